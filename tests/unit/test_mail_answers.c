#include <string.h>

#include "lbd/proxy/mail_answers.h"
#include "tests/unit/unit.h"

static const struct mail_answers_terms terms = {
    .ttl_ms = 1000, .negative_ttl_ms = 100, .stale_ttl_ms = 5000};

static struct mail_ask ask_of(const char *login, const char *secret)
{
    return (struct mail_ask){.protocol = MAIL_IMAP,
                             .has_login = true,
                             .login = slice_from(login),
                             .user = slice_from(login),
                             .secret = slice_from(secret)};
}

static struct mail_ask_answer ok_to(const char *server)
{
    struct mail_ask_answer answer = {.verdict = MAIL_ASK_OK, .problem = ""};
    (void)snprintf(answer.server, sizeof(answer.server), "%s", server);
    return answer;
}

static void put(struct mail_answers *answers, const char *login, const char *secret,
                const struct mail_ask_answer *answer, uint64_t now_ms)
{
    struct mail_answers_key key;
    struct mail_ask ask = ask_of(login, secret);
    mail_answers_key(answers, SLICE("auth/1"), &ask, &key);
    mail_answers_put(answers, &key, &ask, answer, now_ms);
}

static enum mail_answers_age find(struct mail_answers *answers, const char *login,
                                  const char *secret, uint64_t now_ms, struct mail_ask_answer *out)
{
    struct mail_answers_key key;
    struct mail_ask ask = ask_of(login, secret);
    mail_answers_key(answers, SLICE("auth/1"), &ask, &key);
    return mail_answers_find(answers, &key, &terms, now_ms, out);
}

START_TEST(an_answer_ages)
{
    struct mail_answers *answers = mail_answers_new();
    struct mail_ask_answer answer = ok_to("b1");
    struct mail_ask_answer out;
    answer.user_len = 3;
    memcpy(answer.user, "joe", 3);
    put(answers, "joe", "secret", &answer, 10000);
    ck_assert_int_eq(find(answers, "joe", "secret", 10999, &out), MAIL_ANSWERS_FRESH);
    ck_assert_str_eq(out.server, "b1");
    ck_assert_uint_eq(out.user_len, 3);
    ck_assert_int_eq(find(answers, "joe", "secret", 11000, &out), MAIL_ANSWERS_STALE);
    ck_assert_int_eq(find(answers, "joe", "secret", 15000, &out), MAIL_ANSWERS_NONE);
    ck_assert_int_eq(find(answers, "joe", "Secret", 10001, &out), MAIL_ANSWERS_NONE);
    ck_assert_int_eq(find(answers, "joes", "ecret", 10001, &out), MAIL_ANSWERS_NONE);
    mail_answers_free(answers);
}
END_TEST

/* What else a callback is told of who it is: nobody's answer is another one's. */
START_TEST(the_same_login_may_be_somebody_else)
{
    const struct mail_ask joe = ask_of("joe", "secret");
    struct mail_ask others[] = {joe, joe, joe, joe};
    struct mail_answers *answers = mail_answers_new();
    const struct mail_ask_answer answer = ok_to("b1");
    put(answers, "joe", "secret", &answer, 10000);
    others[0].user = SLICE("joe@b.example"); /* at a listener with this default_domain */
    others[1].authzid = SLICE("ann");
    others[2].tls_subject = SLICE("CN=joe,O=Other");
    others[3].tls_fingerprint = SLICE("00ff");
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct mail_answers_key key;
        struct mail_ask_answer out;
        mail_answers_key(answers, SLICE("auth/1"), &others[i], &key);
        unit_expect(mail_answers_find(answers, &key, &terms, 10000, &out) == MAIL_ANSWERS_NONE,
                    "%zu", i);
    }
    mail_answers_free(answers);
}
END_TEST

START_TEST(refusals_age_faster_and_keep_their_words)
{
    struct mail_answers *answers = mail_answers_new();
    struct mail_ask_answer out;
    struct mail_ask_answer answer = {
        .verdict = MAIL_ASK_REFUSED, .has_wait = true, .wait_s = 3, .text_len = 2, .problem = ""};
    memcpy(answer.text, "no", 2);
    memcpy(answer.code, "535", 3);
    put(answers, "joe", "x", &answer, 10000);
    ck_assert_int_eq(find(answers, "joe", "x", 10099, &out), MAIL_ANSWERS_FRESH);
    ck_assert(out.verdict == MAIL_ASK_REFUSED && out.has_wait && out.wait_s == 3);
    ck_assert(slice_eq(slice_of(out.text, out.text_len), SLICE("no")));
    ck_assert_str_eq(out.code, "535");
    ck_assert_int_eq(find(answers, "joe", "x", 10100, &out), MAIL_ANSWERS_STALE);
    mail_answers_free(answers);
}
END_TEST

START_TEST(one_is_dropped_and_no_other)
{
    struct mail_answers *answers = mail_answers_new();
    struct mail_ask_answer answer = ok_to("b1");
    struct mail_ask_answer out;
    struct mail_answers_key key;
    struct mail_ask ask = ask_of("joe", "x");
    mail_answers_key(answers, SLICE("auth/1"), &ask, &key);
    mail_answers_drop(answers, &key); /* there is no table yet */
    put(answers, "joe", "x", &answer, 10000);
    put(answers, "joe", "y", &answer, 10000);
    mail_answers_drop(answers, &key);
    mail_answers_drop(answers, &key);
    ck_assert_int_eq(find(answers, "joe", "x", 10001, &out), MAIL_ANSWERS_NONE);
    ck_assert_int_eq(find(answers, "joe", "y", 10001, &out), MAIL_ANSWERS_FRESH);
    mail_answers_free(answers);
}
END_TEST

START_TEST(what_must_not_be_kept_is_not)
{
    struct mail_answers *answers = mail_answers_new();
    struct mail_ask_answer out;
    struct mail_ask_answer answer = ok_to("b1");
    answer.secret_len = 1; /* a password of its own */
    put(answers, "joe", "x", &answer, 10000);
    answer = (struct mail_ask_answer){.verdict = MAIL_ASK_WAIT, .problem = ""};
    put(answers, "joe", "x", &answer, 10000);
    answer = (struct mail_ask_answer){.verdict = MAIL_ASK_BAD, .problem = "x"};
    put(answers, "joe", "x", &answer, 10000);
    ck_assert_int_eq(find(answers, "joe", "x", 10000, &out), MAIL_ANSWERS_NONE);
    mail_answers_free(answers);
}
END_TEST

START_TEST(answers_of_a_user_are_forgotten)
{
    struct mail_answers *answers = mail_answers_new();
    struct mail_ask_answer out;
    struct mail_ask_answer answer = ok_to("b1");
    put(answers, "joe", "x", &answer, 10000);
    put(answers, "joe", "y", &answer, 10000);
    put(answers, "ann", "x", &answer, 10000);
    ck_assert_uint_eq(mail_answers_forget(answers, SLICE("joe")), 2);
    ck_assert_int_eq(find(answers, "joe", "y", 10001, &out), MAIL_ANSWERS_NONE);
    ck_assert_int_eq(find(answers, "ann", "x", 10001, &out), MAIL_ANSWERS_FRESH);
    ck_assert_uint_eq(mail_answers_forget(answers, SLICE_NONE), 1);
    mail_answers_free(answers);
}
END_TEST

static bool is_u1(struct slice renamed, void *arg)
{
    (*(unsigned *)arg)++;
    return slice_eq(renamed, SLICE("u1"));
}

START_TEST(who_was_renamed_is_found_by_both_names)
{
    struct mail_answers *answers = mail_answers_new();
    struct mail_ask_answer out;
    struct mail_ask_answer answer = ok_to("b1");
    struct mail_ask chief = ask_of("joe", "x");
    struct mail_answers_key key;
    unsigned asked = 0;
    put(answers, "ann", "x", &answer, 10000);
    answer.user_len = 2;
    memcpy(answer.user, "u1", 2);
    put(answers, "joe", "x", &answer, 10000);
    put(answers, "jim", "x", &answer, 10000);
    chief.authzid = SLICE("joe"); /* what it is renamed to is not joe */
    mail_answers_key(answers, SLICE("auth/1"), &chief, &key);
    memcpy(answer.user, "ch", 2);
    mail_answers_put(answers, &key, &chief, &answer, 10000);
    mail_answers_renamed(answers, SLICE("joe"), is_u1, &asked);
    ck_assert_uint_eq(asked, 1);
    mail_answers_renamed(answers, SLICE("ann"), is_u1, &asked);
    ck_assert_uint_eq(asked, 1);
    ck_assert_uint_eq(mail_answers_forget_renamed(answers, is_u1, &asked), 2);
    ck_assert_int_eq(find(answers, "jim", "x", 10001, &out), MAIL_ANSWERS_NONE);
    ck_assert_int_eq(find(answers, "ann", "x", 10001, &out), MAIL_ANSWERS_FRESH);
    mail_answers_free(answers);
}
END_TEST

START_TEST(the_table_does_not_grow)
{
    struct mail_answers *answers = mail_answers_new();
    struct mail_ask_answer answer = ok_to("b1");
    struct mail_ask_answer out;
    for (uint32_t i = 0; i < 3 * MAIL_ANSWERS_MAX; i++) {
        char login[16];
        (void)snprintf(login, sizeof(login), "u%u", i);
        put(answers, login, "x", &answer, 10000 + i);
        unit_expect(find(answers, login, "x", 10000 + i, &out) == MAIL_ANSWERS_FRESH, "%u", i);
    }
    ck_assert_uint_le(mail_answers_forget(answers, SLICE_NONE), MAIL_ANSWERS_MAX);
    mail_answers_free(answers);
}
END_TEST

UNIT_TESTS("mail_answers", an_answer_ages, the_same_login_may_be_somebody_else,
           refusals_age_faster_and_keep_their_words, one_is_dropped_and_no_other,
           refusals_age_faster_and_keep_their_words, what_must_not_be_kept_is_not,
           answers_of_a_user_are_forgotten, who_was_renamed_is_found_by_both_names,
           the_table_does_not_grow)
