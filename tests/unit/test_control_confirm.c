#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lbd/control/control.h"
#include "tests/unit/live_control.h"
#include "tests/unit/unit.h"

/* The window itself is tested in test_control_queue.c; here are its owners, its ends and the
 * endpoints beside a file. */

static struct live_control live;

static struct live_answer owner_puts(const char *body, uint32_t within_ms)
{
    const struct control_change change = {.kind = CONTROL_OWNER,
                                          .owner = SLICE("x"),
                                          .body = slice_from(body),
                                          .confirm_within_ms = within_ms,
                                          .who = SLICE("test")};
    return live_control_apply(&live, &change);
}

static struct live_answer decide(enum control_change_kind kind, uint64_t revision)
{
    const struct control_change change = {.kind = kind, .revision = revision, .who = SLICE("test")};
    return live_control_apply(&live, &change);
}

START_TEST(an_owner_is_blocked_until_somebody_looks)
{
    live_control_start(&live, "\"pools\":{}", "");
    ck_assert_uint_eq(owner_puts("{\"pools\":{\"a\":{}}}", 60000).revision, 2);
    ck_assert_uint_eq(decide(CONTROL_REJECT, 2).revision, 3);
    for (int i = 0; i < 2; i++) {
        ck_assert_str_eq(owner_puts("{\"pools\":{\"a\":{}}}", 0).problem, "rolled-back");
        live_control_end(&live);
        ck_assert(live_control_restart(&live));
    }
    ck_assert_str_eq(decide(CONTROL_CONFIRM, 2).problem, "not-unconfirmed");
    ck_assert_int_eq(decide(CONTROL_CONFIRM, 3).err.kind, ERR_NONE);
    ck_assert_int_eq(owner_puts("{\"pools\":{\"a\":{}}}", 0).err.kind, ERR_NONE);
    live_control_stop(&live);
}
END_TEST

START_TEST(a_restart_says_no)
{
    live_control_start(&live, "\"pools\":{}", "");
    ck_assert_uint_eq(owner_puts("{\"pools\":{\"a\":{}}}", 60000).revision, 2);
    live_control_end(&live);
    ck_assert(live_control_restart(&live));
    ck_assert_uint_eq(control_facts(live.control)->revision, 3);
    ck_assert(!conf_document_has(control_document(live.control), SLICE("/pools/a")));
    const struct conf_revision *back = control_revision(live.control, 3);
    ck_assert_str_eq(back->via, "auto-rollback");
    ck_assert_uint_eq(back->rolled_back_to, 1);
    ck_assert_ptr_nonnull(strstr(back->reason, "restarted before revision 2"));
    ck_assert_str_eq(owner_puts("{}", 0).problem, "rolled-back");
    live_control_stop(&live);
}
END_TEST

static void write_state(const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/state/%s", live.directory, name);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    (void)fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(damaged_small_files_stop_nothing)
{
    static const char *const texts[] = {"{", "[]", "{\"x\":\"y\"}", "{\"x\":-1}", "7", ""};
    live_control_start(&live, "\"pools\":{}", "");
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        live_control_end(&live);
        write_state("owners.json", texts[i]);
        write_state("members.json", texts[i]);
        ck_assert_msg(live_control_restart(&live), "%s: %s", texts[i], live.answer.err.text);
        ck_assert(control_facts(live.control)->is_degraded);
        ck_assert_int_eq(owner_puts("{}", 0).err.kind, ERR_NONE);
    }
    live_control_stop(&live);
}
END_TEST

static const char in_file[] = "\"pools\":{\"ours\":{\"members\":\"api\",\"servers\":{\"seed\":"
                              "{\"address\":\"127.0.0.1:1\"}}},\"theirs\":{}}";

static struct live_answer put_endpoints(const char *pointer, const char *body)
{
    const struct control_change change = {.kind = CONTROL_ENDPOINTS,
                                          .pointer = slice_from(pointer),
                                          .body = slice_from(body),
                                          .who = SLICE("test")};
    return live_control_apply(&live, &change);
}

START_TEST(endpoints_beside_a_file)
{
    live_control_start(&live, in_file, "\"config_source\":\"file\"");
    ck_assert_str_eq(put_endpoints("/pools/theirs/servers", "{}").problem, "managed-by-file");
    ck_assert_str_eq(put_endpoints("/pools/no/servers", "{}").problem, "not-found");
    ck_assert_str_eq(put_endpoints("/pools/ours/servers", "{\"a\":{}}").problem, "invalid-config");
    struct live_answer answer =
        put_endpoints("/pools/ours/servers", "{\"a\":{\"address\":\"127.0.0.1:2\"}}");
    ck_assert_int_eq(answer.err.kind, ERR_NONE);
    ck_assert_uint_eq(answer.revision, 2);
    live_control_end(&live);
    ck_assert(live_control_restart(&live));
    struct conf_document *document = control_document(live.control);
    ck_assert(conf_document_has(document, SLICE("/pools/ours/servers/a")));
    ck_assert(!conf_document_has(document, SLICE("/pools/ours/servers/seed")));
    ck_assert_uint_eq(control_facts(live.control)->revision, 2); /* the same again */

    live_control_end(&live); /* one pool's entry cannot be used: the file's servers count */
    write_state("members.json", "{\"pools\":{\"ours\":{\"b\":{\"weight\":1}},\"no\":{}}}");
    ck_assert(live_control_restart(&live));
    document = control_document(live.control);
    ck_assert(conf_document_has(document, SLICE("/pools/ours/servers/seed")));
    ck_assert(control_facts(live.control)->is_degraded);
    live_control_stop(&live);
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_test(tcase, an_owner_is_blocked_until_somebody_looks);
    tcase_add_test(tcase, a_restart_says_no);
    tcase_add_test(tcase, damaged_small_files_stop_nothing);
    tcase_add_test(tcase, endpoints_beside_a_file);
}

UNIT_MAIN("control_confirm", add_all)
