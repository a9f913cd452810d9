/* Every command that reads, against answers that no lbd would give. */
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/ctl.h"
#include "lbd/base/compiler.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

#define EVIL "\\u001b[2J\\u0007\\u009b31m\\r\\n"
#define DEEP "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[" /* deeper than we read */
/* every name that a command looks for, with something else behind it */
static const char every_name[] =
    "{\"state\":@,\"admin\":@,\"health\":@,\"servers\":@,\"pools\":@,\"listeners\":@,\"routes\":@,"
    "\"events\":@,\"next\":@,\"revisions\":@,\"connections\":@,\"changes\":@,\"warnings\":@,"
    "\"conditions\":@,\"problems\":@,\"overrides\":@,\"keys\":@,\"path\":@,\"file\":@,\"process\":@,"
    "\"bounds_ms\":@,\"considered\":@,\"action\":@,\"weight\":@,\"drain\":@,\"version\":@,"
    "\"revision\":@,\"time\":@,\"unconfirmed\":@,\"web\":@,\"title\":@,\"errors\":@}";

/* "@...": every_name with this behind each name */
static const char *const bodies[] = {
    "null",
    "[]",
    "7",
    "\"" EVIL "\"",
    "{}",
    "{\"",
    "",
    DEEP,
    "@"
    "null",
    "@"
    "-1",
    "@"
    "1e300",
    "@"
    "\"" EVIL "\"",
    "@"
    "{}",
    "@"
    "[7,null,\"" EVIL "\",{\"" EVIL "\":1},[]]",
    "@"
    "{\"" EVIL "\":{\"" EVIL "\":\"" EVIL "\",\"servers\":{\"" EVIL "\":null}}}",
    "@"
    "{\"web\":{\"servers\":{\"a\":[1,{\"state\":{}}]},\"buckets\":{\"x\":-5}}}",
};

static const char *const lines[][5] = {
    {"status"},
    {"version"},
    {"get", "servers"},
    {"get", "servers", "-ojsonl"},
    {"get", "pools", "-owide"},
    {"get", "listeners"},
    {"get", "routes"},
    {"get", "health-checks"},
    {"get", "config"},
    {"get", "pools", "-la=b", "-ojson"},
    {"describe", "pool", "web"},
    {"describe", "server", "web/a"},
    {"describe", "config"},
    {"conns"},
    {"requests", "--slower=1s"},
    {"explain", "request", "x"},
    {"events"},
    {"events", "--since", "1h"},
    {"explain", "pools"},
    {"explain", "route", "GET", "http://h/"},
    {"history"},
    {"history", "-owide"},
    {"diff", "--rev", "1"},
    {"diff", "--seed"},
    {"rollback", "1", "--yes"},
    {"rollback", "--dry-run"},
    {"confirm"},
    {"reject"},
    {"reload"},
    {"set", "pools/web/retries", "1"},
    {"unset", "pools/web/retries"},
    {"delete", "server", "web/a", "--yes"},
    {"drain", "web/a"},
    {"drain", "listener/web", "-y"},
    {"maint", "a"},
    {"enable", "process"},
    {"weight", "web/a", "5"},
    {"check", "web"},
    {"check", "web/a"},
    {"wait", "web", "--for=ready", "--timeout=0"},
    {"config", "schema"},
    {"config", "validate", "conf/lbd.json"},
    {"apply", "-f", "conf/lbd.json", "--yes"},
    {"__complete", "drain", ""},
    {"cert", "list"},
    {"cert", "expiring", "--for", "90d"},
    {"cert", "put", "x", "--chain=docs/reference.md"}, /* it shows an example of a key */
    {"cert", "rm", "x", "--yes"},
    {"get", "certificates", "-owide"},
    {"get", "ca-sets"},
    {"describe", "certificate", "x"},
    {"mail", "who", "joe@example.com"},
    {"mail", "move", "joe@example.com", "b2"},
    {"mail", "kick", "joe@example.com"},
    {"mail", "release", "joe@example.com"},
    {"mail", "flush", "web/a", "--over=1h"},
    {"mail", "sessions"},
    {"mail", "end", "1-2a"},
    {"mail", "affinity", "mail"},
    {"mail", "import", "mail", "conf/lbd.json"},
    {"mail", "popmap", "map", "conf/lbd.json", "--pool=web"},
    {"mail", "bans"},
    {"mail", "unban", "1f"},
    {"mail", "cache"},
    {"mail", "purge"},
    {"token", "list"},
    {"token", "create", "x", "read"},
    {"token", "revoke", "x"},
    {"conns", "kill", "1-2a"},
    {"top", "servers", "--once", "--timeout=300ms"},
    {"edit", "pool", "web"},
};

/* These ask nothing, or until somebody stops them: test_event_feed does that to `watch`. */
static const char *const not_here[] = {"watch",       "config fmt",    "help",
                                       "completion",  "context add",   "context list",
                                       "context use", "context remove"};

/* What a terminal would obey. */
static bool is_clean(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        bool is_c1 = at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0;
        if ((*at < ' ' && *at != '\n') || *at == 0x7f || is_c1) {
            return false;
        }
    }
    return true;
}

static void write_body(const char *body, struct buf *out)
{
    if (body[0] != '@') {
        buf_append_text(out, body);
        return;
    }
    for (const char *at = every_name; *at != '\0'; at++) {
        if (*at == '@') {
            buf_append_text(out, body + 1);
        } else {
            buf_append_char(out, *at);
        }
    }
}

static void check(const char *answer, const char *const line[4])
{
    fake_answer_all(answer);
    struct fake_run run = fake_lbctl(NULL, 0, line[0], line[1], line[2], line[3], NULL);
    ck_assert_msg(is_clean(run.out), "%s %s: %s", line[0], line[1], run.out);
    ck_assert_msg(is_clean(run.err), "%s %s: %s", line[0], line[1], run.err);
    ck_assert_msg(run.code >= 0 && (run.code < 10 || run.code == CTL_BUG), "%s: %d", line[0],
                  run.code);
    fake_run_fini(&run);
}

START_TEST(any_answer_is_taken_calmly)
{
    ck_assert_int_eq(setenv("VISUAL", "true", 1), 0); /* an editor that leaves it as it is */
    static const char *const statuses[] = {"200 OK", "404 Not Found", "422 No", "302 Found"};
    for (size_t b = 0; b < ARRAY_LEN(bodies); b++) {
        for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
            struct buf answer;
            if (strcmp(lines[i][0], "top") == 0 && b + 1 < ARRAY_LEN(bodies)) {
                continue; /* it counts for a second; the last body has a bit of everything */
            }
            buf_init(&answer, 1024 * 1024);
            buf_printf(&answer,
                       "HTTP/1.1 %s\r\nConnection: close\r\nContent-Type: application/json\r\n"
                       "ETag: \"x\"\r\n\r\n",
                       statuses[i * b % ARRAY_LEN(statuses) * (b % 3 == 0)]);
            write_body(bodies[b], &answer);
            check(answer.data, lines[i]);
            buf_fini(&answer);
        }
    }
}
END_TEST

START_TEST(what_is_no_answer)
{
    static const char *const answers[] = {
        "nonsense", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz"};
    for (size_t a = 0; a < ARRAY_LEN(answers); a++) {
        for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
            check(answers[a], lines[i]);
        }
    }
}
END_TEST

static bool is_word_of(struct slice word, const char *const line[4])
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%s %s", line[0], line[1] != NULL ? line[1] : "");
    return slice_eq(word, slice_from(line[0])) ||
           (slice_starts(slice_from(text), word) && memchr(word.ptr, ' ', word.len) != NULL);
}

START_TEST(every_command_is_here)
{
    for (size_t i = 0; i < command_count; i++) {
        struct slice word = slice_from(command_rows[i].word);
        bool is_here = false;
        for (size_t n = 0; n < ARRAY_LEN(lines) && !is_here; n++) {
            is_here = is_word_of(word, lines[n]);
        }
        for (size_t n = 0; n < ARRAY_LEN(not_here) && !is_here; n++) {
            is_here = slice_eq(word, slice_from(not_here[n]));
        }
        ck_assert_msg(is_here, "lbctl %s is not tried on strange answers", command_rows[i].word);
    }
}
END_TEST

UNIT_TESTS("ctl_hostile", any_answer_is_taken_calmly, what_is_no_answer, every_command_is_here)
