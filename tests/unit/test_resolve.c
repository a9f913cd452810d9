#include <stdlib.h>
#include <string.h>

#include "lbd/base/now.h"
#include "lbd/net/resolve.h"
#include "tests/unit/dns_peer.h"
#include "tests/unit/unit.h"

static const struct dns_peer_name names[] = {
    {"one.test", "10.1.2.3", ""},
    {"two.test", "10.0.0.2 10.0.0.1", "2001:db8::1"}, /* the server's order, A before AAAA */
    {"six.test", "", "2001:db8::6"},
    {"empty.test", "", ""},
    {NULL, NULL, NULL},
};

struct answer {
    uint32_t calls;
    char address[ADDR_TEXT_MAX];
    char why[128];
};

struct field {
    struct loop *loop;
    struct dns_peer peer;
    struct resolve *resolve;
};

static void field_init(struct field *field)
{
    struct err err;
    *field = (struct field){0};
    field->loop = loop_new(&err);
    ck_assert_ptr_nonnull(field->loop);
    dns_peer_init(&field->peer, field->loop, names);
    struct slice server = slice_from(field->peer.address);
    field->resolve = resolve_new(field->loop, &server, 1, &err);
    ck_assert_msg(field->resolve != NULL, "%s", err.text);
}

static void field_fini(struct field *field)
{
    resolve_free(field->resolve);
    dns_peer_fini(&field->peer);
    loop_free(field->loop);
}

static void note(const struct addr *address, const char *why, void *arg)
{
    struct answer *answer = arg;
    answer->calls++;
    answer->address[0] = '\0';
    if (address != NULL) {
        (void)addr_write(address, answer->address);
    }
    (void)snprintf(answer->why, sizeof(answer->why), "%s", why);
}

static void run(struct field *field, const struct answer *until, uint64_t limit_ms)
{
    uint64_t end_ms = now_ms() + limit_ms;
    while (until->calls == 0 && now_ms() < end_ms) {
        loop_run_once(field->loop, 20);
    }
}

static void ask(struct field *field, const char *name, struct answer *answer)
{
    *answer = (struct answer){0};
    (void)resolve_ask(field->resolve, slice_from(name), note, answer);
    ck_assert_uint_eq(answer->calls, 0); /* never during the call */
    run(field, answer, RESOLVE_LIMIT_MS + 2000);
    ck_assert_uint_eq(answer->calls, 1);
}

static const struct {
    const char *name;
    const char *address; /* "": none */
    const char *why;
} cases[] = {
    {"one.test", "10.1.2.3:0", ""},
    {"ONE.Test", "10.1.2.3:0", ""},
    {"two.test", "10.0.0.2:0", ""},
    {"six.test", "[2001:db8::6]:0", ""},
    {"localhost", "127.0.0.1:0", ""},
    {"192.0.2.7", "192.0.2.7:0", ""},
    {"empty.test", "", "the name has no address"},
    {"missing.test", "", "no such name"},
    {"", "", "not a valid host name"},
};

START_TEST(names_become_addresses)
{
    struct field field;
    field_init(&field);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer answer;
        ask(&field, cases[i].name, &answer);
        ck_assert_msg(strcmp(answer.address, cases[i].address) == 0 &&
                          strcmp(answer.why, cases[i].why) == 0,
                      "%s: '%s' '%s'", cases[i].name, answer.address, answer.why);
    }
    field_fini(&field);
}
END_TEST

START_TEST(names_that_are_too_long_or_odd_are_refused)
{
    struct field field;
    struct answer answer;
    char name[400];
    field_init(&field);
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    ask(&field, name, &answer);
    ck_assert_str_eq(answer.address, "");
    name[200] = '\0'; /* a label may have 63 bytes */
    ask(&field, name, &answer);
    ck_assert_str_eq(answer.address, "");
    ck_assert_str_ne(answer.why, "");
    ask(&field, "a..test", &answer);
    ck_assert_str_eq(answer.address, "");
    field_fini(&field);
}
END_TEST

static const struct {
    enum dns_peer_mood mood;
    const char *why;
} failures[] = {
    {DNS_PEER_FAILS, NULL},
    {DNS_PEER_BABBLES, NULL},
    {DNS_PEER_SILENT, "no name server answered in time"},
};

START_TEST(a_bad_name_server_is_a_sentence_within_the_limit)
{
    for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
        struct field field;
        struct answer answer;
        field_init(&field);
        field.peer.mood = failures[i].mood;
        uint64_t before_ms = now_ms();
        ask(&field, "one.test", &answer);
        ck_assert_str_eq(answer.address, "");
        ck_assert_str_ne(answer.why, "");
        if (failures[i].why != NULL) {
            ck_assert_str_eq(answer.why, failures[i].why);
        }
        ck_assert_uint_le(now_ms() - before_ms, RESOLVE_LIMIT_MS + 500);
        field.peer.mood = DNS_PEER_ANSWERS; /* and it recovers */
        ask(&field, "one.test", &answer);
        ck_assert_str_eq(answer.address, "10.1.2.3:0");
        field_fini(&field);
    }
}
END_TEST

START_TEST(many_questions_at_once)
{
    enum { COUNT = 100 };
    struct field field;
    static struct answer answers[COUNT];
    memset(answers, 0, sizeof(answers));
    field_init(&field);
    for (size_t i = 0; i < COUNT; i++) {
        (void)resolve_ask(field.resolve, i % 2 == 0 ? SLICE("one.test") : SLICE("six.test"), note,
                          &answers[i]);
    }
    for (size_t i = 0; i < COUNT; i++) {
        run(&field, &answers[i], 5000);
        ck_assert_uint_eq(answers[i].calls, 1);
        ck_assert_str_eq(answers[i].address, i % 2 == 0 ? "10.1.2.3:0" : "[2001:db8::6]:0");
    }
    field_fini(&field);
}
END_TEST

START_TEST(cancelled_questions_stay_silent)
{
    struct field field;
    struct answer answers[4] = {{0}};
    field_init(&field);
    struct resolve_question *first =
        resolve_ask(field.resolve, SLICE("one.test"), note, &answers[0]);
    struct resolve_question *known =
        resolve_ask(field.resolve, SLICE("localhost"), note, &answers[1]);
    struct resolve_question *bad = resolve_ask(field.resolve, SLICE(""), note, &answers[2]);
    (void)resolve_ask(field.resolve, SLICE("six.test"), note, &answers[3]);
    resolve_cancel(first);
    resolve_cancel(known);
    resolve_cancel(bad);
    resolve_cancel(NULL);
    run(&field, &answers[3], 5000);
    for (uint32_t i = 0; i < 10; i++) {
        loop_run_once(field.loop, 5);
    }
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(answers[i].calls, 0);
    }
    ck_assert_uint_eq(answers[3].calls, 1);
    field_fini(&field);
}
END_TEST

START_TEST(freeing_it_forgets_open_questions)
{
    struct field field;
    struct answer answers[3] = {{0}};
    field_init(&field);
    field.peer.mood = DNS_PEER_SILENT;
    (void)resolve_ask(field.resolve, SLICE("one.test"), note, &answers[0]);
    (void)resolve_ask(field.resolve, SLICE("localhost"), note, &answers[1]);
    struct resolve_question *cancelled =
        resolve_ask(field.resolve, SLICE("two.test"), note, &answers[2]);
    resolve_cancel(cancelled);
    loop_run_once(field.loop, 0);
    resolve_free(field.resolve);
    field.resolve = NULL;
    loop_run_once(field.loop, 5);
    ck_assert_uint_eq(answers[0].calls, 0);
    ck_assert_uint_eq(answers[2].calls, 0);
    field_fini(&field);
}
END_TEST

static struct answer chained;

static void ask_again(const struct addr *address, const char *why, void *arg)
{
    struct field *field = arg;
    ck_assert_ptr_nonnull(address);
    (void)why;
    (void)resolve_ask(field->resolve, SLICE("six.test"), note, &chained);
}

START_TEST(a_callback_may_ask)
{
    struct field field;
    field_init(&field);
    chained = (struct answer){0};
    (void)resolve_ask(field.resolve, SLICE("one.test"), ask_again, &field);
    run(&field, &chained, 5000);
    ck_assert_str_eq(chained.address, "[2001:db8::6]:0");
    field_fini(&field);
}
END_TEST

START_TEST(resolvers_must_be_addresses)
{
    static const char *const good[] = {"127.0.0.1", "127.0.0.1:5353", "::1", "[::1]:5353"};
    static const char *const bad[] = {"dns.test:53", "", "127.0.0.1:0", "unix:/x",
                                      "127.0.0.1:99999"};
    struct err err;
    struct loop *loop = loop_new(&err);
    ck_assert_ptr_nonnull(loop);
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct slice server = slice_from(good[i]);
        struct resolve *resolve = resolve_new(loop, &server, 1, &err);
        ck_assert_msg(resolve != NULL, "%s: %s", good[i], err.text);
        resolve_free(resolve);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct slice server = slice_from(bad[i]);
        ck_assert_msg(resolve_new(loop, &server, 1, &err) == NULL, "%s", bad[i]);
        ck_assert_int_eq(err.kind, ERR_INVALID);
    }
    resolve_free(NULL);
    loop_free(loop);
}
END_TEST

struct all {
    uint32_t calls;
    enum resolve_verdict verdict;
    uint32_t ttl_s;
    char text[256];
};

static void note_all(const struct resolve_answer *answer, void *arg)
{
    struct all *all = arg;
    size_t len = 0;
    all->calls++;
    all->verdict = answer->verdict;
    all->ttl_s = answer->ttl_s;
    all->text[0] = '\0';
    ck_assert((answer->verdict == RESOLVE_FOUND) == (answer->count != 0));
    for (uint32_t i = 0; i < answer->count; i++) {
        char text[ADDR_TEXT_MAX];
        (void)addr_write(&answer->addresses[i], text);
        len += (size_t)snprintf(all->text + len, sizeof(all->text) - len, "%s ", text);
    }
}

START_TEST(all_addresses_come_with_their_time)
{
    static const struct {
        const char *name;
        enum resolve_verdict verdict;
        const char *text;
    } wanted[] = {
        {"two.test", RESOLVE_FOUND, "10.0.0.2:0 10.0.0.1:0 "},
        {"six.test", RESOLVE_FOUND, "[2001:db8::6]:0 "},
        {"empty.test", RESOLVE_EMPTY, ""},
        {"missing.test", RESOLVE_EMPTY, ""},
        {"", RESOLVE_FAILED, ""},
    };
    struct field field;
    field_init(&field);
    for (size_t i = 0; i <= ARRAY_LEN(wanted); i++) {
        struct all all = {0};
        bool is_last = i == ARRAY_LEN(wanted);
        field.peer.mood = is_last ? DNS_PEER_FAILS : DNS_PEER_ANSWERS;
        (void)resolve_ask_all(field.resolve, slice_from(is_last ? "two.test" : wanted[i].name),
                              RESOLVE_ADDRESSES, note_all, &all);
        for (int turn = 0; turn < 1000 && all.calls == 0; turn++) {
            loop_run_once(field.loop, 20);
        }
        ck_assert_uint_eq(all.calls, 1);
        ck_assert_int_eq(all.verdict, is_last ? RESOLVE_FAILED : wanted[i].verdict);
        ck_assert_str_eq(all.text, is_last ? "" : wanted[i].text);
        ck_assert_uint_eq(all.ttl_s, all.verdict == RESOLVE_FOUND ? 30 : 0);
    }
    field_fini(&field);
}
END_TEST

/* A message with one question and records of these bytes. */
static size_t message_of(unsigned char *out, unsigned answers, const char *records, size_t len)
{
    static const unsigned char head[] = {0, 1, 0x81, 0x80, 0, 1,   0, 0, 0,  0, 0,
                                         0, 2, '_',  'h',  1, 't', 0, 0, 33, 0, 1};
    memcpy(out, head, sizeof(head));
    out[7] = (unsigned char)answers;
    memcpy(out + sizeof(head), records, len);
    return sizeof(head) + len;
}

#define SRV_RECORD(ttl, data_len, numbers, host)                                                   \
    "\xc0\x0c\0\x21\0\1\0\0\0" ttl "\0" data_len numbers host
#define ONE SRV_RECORD("\x09", "\x0b", "\0\1\0\2\x1f\x90", "\1a\1t\0")

START_TEST(services_are_read_from_a_message)
{
    static const struct {
        unsigned answers;
        const char *records;
        size_t len;
        bool ok;
        uint32_t count;
        uint32_t ttl_s;
    } messages[] = {
        {0, "", 0, true, 0, UINT32_MAX},
        {1, ONE, sizeof(ONE) - 1, true, 1, 9},
        {2, ONE ONE, 2 * (sizeof(ONE) - 1), true, 2, 9},
        {2, ONE SRV_RECORD("\x05", "\7", "\0\1\0\2\x1f\x90", "\0"), sizeof(ONE) - 1 + 19, true, 1,
         5},
        {1, SRV_RECORD("\x05", "\x0b", "\0\1\0\2\0\0", "\1a\1t\0"), 23, true, 0, 5},
        {2, ONE, sizeof(ONE) - 1, false, 1, 9}, /* one is missing */
        {1, ONE, sizeof(ONE) - 3, false, 0, 9}, /* cut off */
        {1, SRV_RECORD("\x05", "\x0a", "\0\1\0\2\x1f\x90", "\1a\1t\0"), 23, false, 0, 5},
        {1, SRV_RECORD("\x05", "\6", "\0\1\0\2\x1f\x90", ""), 18, false, 0, 5},
        {1, SRV_RECORD("\x05", "\x08", "\0\1\0\2\x1f\x90", "\xc0\x28"), 20, false, 0,
         5}, /* to itself */
        {1, SRV_RECORD("\x05", "\x08", "\0\1\0\2\x1f\x90", "\xff\xff"), 20, false, 0,
         5},                                                                  /* outside */
        {1, "\xc0\x0c\0\1\0\1\0\0\0\1\0\4\1\2\3\4", 16, true, 0, UINT32_MAX}, /* an A */
    };
    for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
        static struct resolve_service services[RESOLVE_ANSWERS_MAX];
        unsigned char message[256];
        uint32_t count;
        uint32_t ttl_s;
        size_t len = message_of(message, messages[i].answers, messages[i].records, messages[i].len);
        bool ok = resolve_parse_services(message, len, services, &count, &ttl_s);
        ck_assert_msg(ok == messages[i].ok, "%zu: %d", i, ok);
        if (ok) {
            ck_assert_msg(count == messages[i].count && ttl_s == messages[i].ttl_s, "%zu: %u %u", i,
                          count, ttl_s);
        }
        if (ok && count != 0) {
            ck_assert_str_eq(services[0].host, "a.t");
            ck_assert_uint_eq(services[0].priority, 1);
            ck_assert_uint_eq(services[0].weight, 2);
            ck_assert_uint_eq(services[0].port, 8080);
        }
        for (size_t cut = 0; cut < len; cut++) { /* no prefix is read beyond its end */
            unsigned char *copy = malloc(cut + 1);
            memcpy(copy, message, cut);
            (void)!resolve_parse_services(copy, cut, services, &count, &ttl_s);
            free(copy);
        }
    }
}
END_TEST

UNIT_TESTS("resolve", names_become_addresses, names_that_are_too_long_or_odd_are_refused,
           a_bad_name_server_is_a_sentence_within_the_limit, many_questions_at_once,
           cancelled_questions_stay_silent, freeing_it_forgets_open_questions, a_callback_may_ask,
           resolvers_must_be_addresses, all_addresses_come_with_their_time,
           services_are_read_from_a_message)
