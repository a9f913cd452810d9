#include <stdlib.h>
#include <string.h>

#include "ctl/sse.h"
#include "tests/unit/unit.h"

struct log {
    struct buf text;
    uint32_t most; /* events that are wanted */
    uint32_t count;
};

static bool note(void *user, const struct sse_event *event)
{
    struct log *log = user;
    buf_printf(&log->text, "[%.*s|%.*s]", SLICE_ARG(event->type), SLICE_ARG(event->data));
    return ++log->count < log->most;
}

static const struct {
    const char *text;
    const char *want;
    const char *id;
} cases[] = {
    {"data: a\n\n", "[message|a]", ""},
    {"id: 7\nevent: x.y\ndata: {}\n\n", "[x.y|{}]", "7"},
    {"data:a\ndata\ndata:  b\n\n", "[message|a\n\n b]", ""},
    {"data: a\r\n\r\ndata: b\r\rdata: c\n\n", "[message|a][message|b][message|c]", ""},
    {": comment\nretry: 5\nnonsense\ndata: a\n\n", "[message|a]", ""},
    {"event: x\n\ndata: a\n\n", "[message|a]", ""}, /* an event without data is none */
    {"id: 7\n\nid: 8\ndata: half", "", "7"},
    {"id: 7\ndata: a\n\nid\ndata: b\n\n", "[message|a][message|b]", ""},
    {"id: 7\x01\ndata: a\n\n", "[message|a]", ""}, /* nothing that would split a header */
    {"\xef\xbb\xbf"
     "data: a\n\n",
     "[message|a]", ""},
    {"data: \xff\xfe\n\n", "[message|\xff\xfe]", ""},
    {"\n\n\n\n", "", ""},
};

START_TEST(the_same_wherever_it_is_cut)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice text = slice_from(cases[i].text);
        for (size_t cut = 0; cut <= text.len; cut++) {
            struct log log = {.most = 100};
            struct sse sse;
            buf_init(&log.text, 4096);
            buf_append_text(&log.text, "");
            sse_init(&sse, note, &log);
            ck_assert(sse_feed(&sse, slice_of(text.ptr, cut)));
            ck_assert(sse_feed(&sse, slice_from_at(text, cut)));
            ck_assert_msg(slice_eq(buf_slice(&log.text), slice_from(cases[i].want)),
                          "case %zu cut at %zu: %s", i, cut,
                          log.text.data != NULL ? log.text.data : "");
            ck_assert_str_eq(sse.id, cases[i].id);
            sse_fini(&sse);
            buf_fini(&log.text);
        }
    }
}
END_TEST

START_TEST(enough_is_enough)
{
    struct log log = {.most = 1};
    struct sse sse;
    buf_init(&log.text, 4096);
    sse_init(&sse, note, &log);
    ck_assert(!sse_feed(&sse, SLICE("id: 1\ndata: a\n\nid: 2\ndata: b\n\n")));
    ck_assert_str_eq(log.text.data, "[message|a]");
    ck_assert_str_eq(sse.id, "1");
    ck_assert(!sse.is_broken);
    sse_fini(&sse);
    buf_fini(&log.text);
}
END_TEST

START_TEST(limits_are_kept)
{
    static char line[64 * 1024];
    static const char *const starts[] = {"", "data: ", "id: ", "event: ", ":"};
    memset(line, 'x', sizeof(line));
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        struct log log = {.most = 100};
        struct sse sse;
        bool ok = true;
        buf_init(&log.text, 4096);
        sse_init(&sse, note, &log);
        for (size_t at = 0; ok && at <= SSE_LINE_MAX + sizeof(line); at += sizeof(line)) {
            ok = sse_feed(&sse, at == 0 ? slice_from(starts[i]) : slice_of(line, sizeof(line)));
        }
        ok = ok && sse_feed(&sse, SLICE("\n"));
        ck_assert_msg(!ok && sse.is_broken, "%s", starts[i]);
        sse_reset(&sse);
        ck_assert(sse_feed(&sse, SLICE("data: a\n\n")));
        ck_assert_str_eq(log.text.data, "[message|a]");
        sse_fini(&sse);
        buf_fini(&log.text);
    }
    /* many lines of data are no way round */
    struct log log = {.most = 100};
    struct sse sse;
    bool ok = true;
    buf_init(&log.text, 4096);
    sse_init(&sse, note, &log);
    for (size_t at = 0; ok && at <= SSE_DATA_MAX; at += sizeof(line)) {
        ok = sse_feed(&sse, SLICE("data: ")) && sse_feed(&sse, slice_of(line, sizeof(line))) &&
             sse_feed(&sse, SLICE("\n"));
    }
    ck_assert(!ok && sse.is_broken);
    sse_fini(&sse);
    buf_fini(&log.text);
}
END_TEST

UNIT_TESTS("sse", the_same_wherever_it_is_cut, enough_is_enough, limits_are_kept)
