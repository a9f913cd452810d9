#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/buf.h"
#include "lbd/control/control.h"
#include "tests/unit/live_control.h"
#include "tests/unit/unit.h"

enum { SPACE = 300 * 1024 }; /* a text of that many bytes is large */

static const char web[] =
    "\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:0\"],\"default_pool\":\"p\"}},"
    "\"pools\":{\"p\":{\"servers\":{\"a\":{\"address\":\"127.0.0.1:1\"}}}}";

static struct live_control live;

/* What came of one of several changes. */
struct outcome {
    bool is_done;
    enum err_kind kind;
    char problem[32];
    uint64_t revision;
    uint32_t order; /* when it was done, from 1 */
    uint32_t line;  /* of the first error */
    char pointer[96];
};
static uint32_t done_count;

static void on_done(const struct control_result *result, void *arg)
{
    struct outcome *outcome = arg;
    ck_assert(!outcome->is_done);
    outcome->is_done = true;
    outcome->kind = result->err.kind;
    outcome->revision = result->revision;
    outcome->order = ++done_count;
    (void)snprintf(outcome->problem, sizeof(outcome->problem), "%s",
                   result->problem != NULL ? result->problem : "");
    if (result->errors->error_count != 0) {
        outcome->line = result->errors->errors[0].line;
        (void)snprintf(outcome->pointer, sizeof(outcome->pointer), "%.*s",
                       SLICE_ARG(result->errors->errors[0].pointer));
    }
}

/* `body` after so much space that it is read beside the loop; free() it. */
static char *large(const char *body)
{
    size_t len = strlen(body);
    char *text = malloc(SPACE + len + 1);
    memset(text, ' ', SPACE);
    text[SPACE - 1] = '\n';
    memcpy(text + SPACE, body, len + 1);
    return text;
}

static void apply(struct outcome *outcome, enum conf_edit edit, const char *pointer,
                  const char *body, const char *if_match)
{
    const struct control_change change = {
        .edit = edit,
        .pointer = slice_from(pointer),
        .body = slice_from(body),
        .if_match = slice_from(if_match),
        .who = SLICE("test"),
    };
    control_apply(live.control, &change, on_done, outcome);
}

static char *document_with(const char *retries)
{
    struct buf text;
    buf_init(&text, 4096);
    (void)buf_printf(&text,
                     "{\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:0\"],\"default_pool\":\"p\"}},"
                     "\"pools\":{\"p\":{\"retries\":%s}}}",
                     retries);
    char *made = large(text.data);
    buf_fini(&text);
    return made;
}

START_TEST(a_large_change_is_done_like_a_small_one)
{
    struct outcome outcome = {0};
    live_control_start(&live, web, "");
    char *body = document_with("3");
    apply(&outcome, CONF_EDIT_PUT, "", body, "");
    ck_assert(!outcome.is_done); /* the loop is free meanwhile */
    live_control_until(&live, &outcome.is_done);
    ck_assert_int_eq(outcome.kind, ERR_NONE);
    ck_assert_uint_eq(outcome.revision, 2);
    const struct conf *conf = conf_document_conf(control_document(live.control));
    ck_assert_uint_eq(conf->pools[0].retries, 3);
    free(body);
    live_control_stop(&live);
}
END_TEST

START_TEST(what_comes_meanwhile_follows_in_order)
{
    struct outcome outcomes[4] = {{0}};
    done_count = 0;
    live_control_start(&live, web, "");
    char *first = document_with("3");
    char *second = document_with("5");
    apply(&outcomes[0], CONF_EDIT_PUT, "", first, "");
    apply(&outcomes[1], CONF_EDIT_MERGE, "/pools/p", "{\"retries\":4}", "");
    apply(&outcomes[2], CONF_EDIT_PUT, "", second, "");
    apply(&outcomes[3], CONF_EDIT_MERGE, "/pools/no", "{}", "");
    for (int i = 0; i < 4; i++) {
        live_control_until(&live, &outcomes[i].is_done);
    }
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_int_eq(outcomes[i].kind, ERR_NONE);
        ck_assert_uint_eq(outcomes[i].revision, 2 + i);
        ck_assert(i == 0 || outcomes[i].order > outcomes[i - 1].order);
    }
    ck_assert_int_eq(outcomes[3].kind, ERR_NOT_FOUND);
    const struct conf *conf = conf_document_conf(control_document(live.control));
    ck_assert_uint_eq(conf->pools[0].retries, 5);
    free(first);
    free(second);
    live_control_stop(&live);
}
END_TEST

START_TEST(its_mistakes_are_found_in_their_place)
{
    struct outcome bad = {0};
    struct outcome torn = {0};
    struct outcome late = {0};
    live_control_start(&live, web, "");
    char *wrong = document_with("-1");
    apply(&bad, CONF_EDIT_PUT, "", wrong, "");
    live_control_until(&live, &bad.is_done);
    ck_assert_int_eq(bad.kind, ERR_INVALID);
    ck_assert_str_eq(bad.pointer, "/pools/p/retries");
    ck_assert_uint_eq(bad.line, 2);

    char *half = large("{\"pools\":");
    apply(&torn, CONF_EDIT_PUT, "", half, "");
    live_control_until(&live, &torn.is_done);
    ck_assert_str_eq(torn.problem, "malformed-json");

    /* Refused for another reason: what was read is not what is wrong. */
    apply(&late, CONF_EDIT_PUT, "", wrong, "\"0123456789abcdef\"");
    live_control_until(&live, &late.is_done);
    ck_assert_str_eq(late.problem, "precondition-failed");
    ck_assert_str_eq(late.pointer, "");
    ck_assert_uint_eq(control_facts(live.control)->revision, 1);
    free(wrong);
    free(half);
    live_control_stop(&live);
}
END_TEST

START_TEST(an_end_waits_for_the_thread_and_refuses)
{
    for (int draining = 0; draining < 2; draining++) {
        struct outcome outcomes[2] = {{0}};
        live_control_start(&live, web, "");
        char *body = document_with("3");
        apply(&outcomes[0], CONF_EDIT_PUT, "", body, "");
        apply(&outcomes[1], CONF_EDIT_MERGE, "/pools/p", "{\"retries\":4}", "");
        if (draining != 0) {
            control_drain(live.control, 10);
            live_control_until(&live, &outcomes[0].is_done);
        }
        live_control_end(&live);
        for (int i = 0; i < 2; i++) {
            ck_assert(outcomes[i].is_done);
            ck_assert_str_eq(outcomes[i].problem, "unavailable");
        }
        free(body);
        live_control_stop(&live);
    }
}
END_TEST

START_TEST(a_batch_of_many_on_a_large_document_is_large)
{
    struct control_operation operations[64];
    struct outcome outcome = {0};
    struct buf text;
    struct buf body;
    memset(operations, 0, sizeof(operations));
    live_control_start(&live, web, "");
    buf_init(&text, 256 * 1024);
    (void)buf_append_text(&text, "{");
    for (unsigned i = 0; i < 2000; i++) {
        (void)buf_printf(&text, "%s\"s%u\":{\"address\":\"127.0.0.1:%u\"}", i == 0 ? "" : ",", i,
                         10000 + i);
    }
    (void)buf_append_text(&text, "}");
    apply(&outcome, CONF_EDIT_PUT, "/pools/p/servers", text.data, "");
    live_control_until(&live, &outcome.is_done);
    ck_assert_int_eq(outcome.kind, ERR_NONE);

    buf_init(&body, 64);
    (void)buf_append_text(&body, "{\"weight\":7}");
    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        operations[i].edit = (struct conf_operation){.edit = CONF_EDIT_MERGE,
                                                     .pointer = SLICE("/pools/p/servers/s7"),
                                                     .body = buf_slice(&body)};
    }
    const struct control_change change = {.kind = CONTROL_BATCH,
                                          .operations = operations,
                                          .operation_count = ARRAY_LEN(operations),
                                          .is_dry_run = true,
                                          .who = SLICE("test")};
    outcome = (struct outcome){0};
    control_apply(live.control, &change, on_done, &outcome);
    ck_assert(!outcome.is_done); /* a dry run of little is answered at once */
    live_control_until(&live, &outcome.is_done);
    ck_assert_int_eq(outcome.kind, ERR_NONE);

    struct control_change little = change;
    little.operation_count = 1;
    outcome = (struct outcome){0};
    control_apply(live.control, &little, on_done, &outcome);
    ck_assert(outcome.is_done);
    buf_fini(&text);
    buf_fini(&body);
    live_control_stop(&live);
}
END_TEST

UNIT_TESTS("control_ahead", a_large_change_is_done_like_a_small_one,
           what_comes_meanwhile_follows_in_order, its_mistakes_are_found_in_their_place,
           an_end_waits_for_the_thread_and_refuses, a_batch_of_many_on_a_large_document_is_large)
