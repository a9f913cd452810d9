#include <stdlib.h>
#include <string.h>

#include "ctl/event_feed.h"
#include "tests/unit/fake_api.h"
#include "tests/unit/unit.h"

#define STREAM(text) FAKE_REPLY("200 OK", "Content-Type: text/event-stream\r\n", text)

struct log {
    struct buf text;
    uint32_t left;
};

static bool note(void *user, const struct json *event)
{
    struct log *log = user;
    buf_printf(&log->text, "%llu ", (unsigned long long)ctl_number(event, "sequence"));
    return --log->left != 0;
}

static const struct {
    struct fake_turn turns[3];
    size_t turn_count;
    uint32_t wanted; /* events, then it is enough */
    enum ctl_exit code;
    const char *seen;
    const char *err;
    const char *last_id; /* in the last question; NULL: none */
} cases[] = {
    {{{"GET /v1/watch?types=a%2Cb&name=web",
       STREAM(": from 1\n\nid: 7\ndata: {\"sequence\":7}\n\n")}},
     1,
     1,
     CTL_OK,
     "7 ",
     "",
     NULL},
    /* goes on behind the last one when lbd comes back */
    {{{"GET /v1/watch?types=a%2Cb&name=web",
       STREAM("id: 7\ndata: {\"sequence\":7}\n\nid: 8\ndata: {\"se")},
      {"GET /v1/watch?types=a%2Cb&name=web", STREAM("id: 8\ndata: {\"sequence\":8}\n\n")}},
     2,
     2,
     CTL_OK,
     "7 8 ",
     "lbd went away; waiting for it to come back\nlbd is here again\n",
     "\r\nLast-Event-ID: 7\r\n"},
    /* what is gone is gone */
    {{{"GET /v1/watch?types=a%2Cb&name=web",
       STREAM("id: 7\ndata: {\"sequence\":7}\n\nevent: events-gone\ndata: {}\n\n")},
      {"GET /v1/watch?types=a%2Cb&name=web", STREAM("id: 99\ndata: {\"sequence\":99}\n\n")}},
     2,
     2,
     CTL_OK,
     "7 99 ",
     "some events were lost\n",
     NULL},
    {{{"GET /v1/watch?types=a%2Cb&name=web", FAKE_PROBLEM("410 Gone", "{\"title\":\"gone\"}")},
      {"GET /v1/watch?types=a%2Cb&name=web", STREAM("id: 99\ndata: {\"sequence\":99}\n\n")}},
     2,
     1,
     CTL_OK,
     "99 ",
     "some events were lost\n",
     NULL},
    /* nonsense is passed over */
    {{{"GET /v1/watch?types=a%2Cb&name=web",
       STREAM("data: nonsense\n\ndata: []\n\ndata: 7\n\nid: 1\ndata: {\"sequence\":1}\n\n")}},
     1,
     1,
     CTL_OK,
     "1 ",
     "",
     NULL},
    {{{"GET /v1/watch?types=a%2Cb&name=web", FAKE_PROBLEM("403 Forbidden", "{\"title\":\"No\"}")}},
     1,
     1,
     CTL_DENIED,
     "",
     "lbctl: No\n",
     NULL},
    {{{"GET /v1/watch?types=a%2Cb&name=web", "nonsense\r\n"}},
     1,
     1,
     CTL_UNREACHABLE,
     "",
     NULL,
     NULL},
};

START_TEST(follows_until_it_is_enough)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fake_api api;
        struct ctl ctl;
        struct log log = {.left = cases[i].wanted};
        char *err = NULL;
        size_t len;
        buf_init(&log.text, 1024);
        buf_append_text(&log.text, "");
        fake_api_start(&api, cases[i].turns, cases[i].turn_count);
        ctl_init(&ctl);
        ctl.socket_path = api.path;
        ctl.err = open_memstream(&err, &len);
        const struct event_feed feed = {
            .ctl = &ctl, .types = "a,b", .name = "web", .on_event = note, .user = &log};
        enum ctl_exit code = event_feed_run(&feed);
        (void)fclose(ctl.err);
        fake_api_stop(&api);
        ck_assert_msg(code == cases[i].code, "case %zu: %d %s", i, code, err);
        ck_assert_msg(slice_eq(buf_slice(&log.text), slice_from(cases[i].seen)), "case %zu: %s", i,
                      log.text.data);
        if (cases[i].err != NULL) {
            ck_assert_str_eq(err, cases[i].err);
        }
        const char *last = api.requests[cases[i].turn_count - 1];
        if (cases[i].last_id != NULL) {
            ck_assert_msg(strstr(last, cases[i].last_id) != NULL, "case %zu: %s", i, last);
        } else {
            ck_assert_msg(strstr(last, "Last-Event-ID") == NULL, "case %zu: %s", i, last);
        }
        buf_fini(&log.text);
        free(err);
        fake_api_fini(&api);
    }
}
END_TEST

UNIT_TESTS("event_feed", follows_until_it_is_enough)
