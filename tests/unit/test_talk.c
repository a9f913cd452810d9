#include <stdlib.h>
#include <string.h>

#include "lbd/upstream/talk.h"
#include "tests/unit/probe_peer.h"
#include "tests/unit/unit.h"

/* A conversation, and how it went. */
static struct {
    struct probe_field field;
    struct talk talk;
    const char *says; /* when connected; NULL: nothing */
    unsigned connected;
    bool has_ended;
    bool is_over;
    bool is_ours;
    char why[TALK_WHY_MAX];
} seen;

static bool on_connected(struct talk *talk)
{
    seen.connected++;
    if (seen.says != NULL) {
        (void)buf_append_text(&talk->out, seen.says);
    }
    return true;
}

static bool on_received(struct talk *talk, bool ended)
{
    (void)talk;
    seen.has_ended = ended;
    seen.is_over = ended;
    return true;
}

static void on_failed(struct talk *talk, bool is_ours, const char *why)
{
    (void)snprintf(seen.why, sizeof(seen.why), "%s", why);
    seen.is_ours = is_ours;
    seen.is_over = true;
    talk_end(talk);
}

static const struct talk_ops ops = {
    .connected = on_connected, .received = on_received, .failed = on_failed};

static void begin(void)
{
    memset(&seen, 0, sizeof(seen));
    probe_field_init(&seen.field);
}

static void run(const struct talk_way *way, size_t in_max)
{
    talk_begin(&seen.talk, seen.field.loop, &ops, way, in_max);
    ck_assert(!seen.is_over && seen.connected == 0); /* nothing within the call */
    for (int i = 0; i < 1000 && !seen.is_over; i++) {
        loop_run_once(seen.field.loop, 10);
    }
    ck_assert(seen.is_over);
}

static void end(void)
{
    talk_end(&seen.talk);
    talk_end(&seen.talk); /* twice is fine */
    probe_field_fini(&seen.field);
}

#define ASK "GET / HTTP/1.0\r\n\r\n"

START_TEST(both_say_what_they_have)
{
    begin();
    seen.says = ASK;
    seen.field.peer.answer = "an answer";
    seen.field.peer.closes = true;
    const struct talk_way way = {.address = &seen.field.peer.address};
    run(&way, 1000);
    ck_assert_uint_eq(seen.connected, 1);
    ck_assert(seen.has_ended);
    ck_assert(slice_eq(buf_slice(&seen.talk.in), SLICE("an answer")));
    ck_assert_str_eq(seen.field.peer.request, ASK);
    end();
}
END_TEST

START_TEST(more_can_be_said_later)
{
    begin();
    seen.field.peer.answer = "an answer";
    seen.field.peer.closes = true;
    const struct talk_way way = {.address = &seen.field.peer.address};
    talk_begin(&seen.talk, seen.field.loop, &ops, &way, 1000);
    ck_assert(talk_send(&seen.talk)); /* too early: nothing happens */
    for (int i = 0; i < 1000 && seen.connected == 0; i++) {
        loop_run_once(seen.field.loop, 10);
    }
    ck_assert(talk_is_open(&seen.talk));
    (void)buf_append_text(&seen.talk.out, ASK);
    ck_assert(talk_send(&seen.talk));
    for (int i = 0; i < 1000 && !seen.is_over; i++) {
        loop_run_once(seen.field.loop, 10);
    }
    ck_assert_str_eq(seen.field.peer.request, ASK);
    end();
}
END_TEST

static const struct {
    enum proxy_header_version version;
    const char *header;
    size_t len;
} headers[] = {
    {PROXY_HEADER_V1, "PROXY UNKNOWN\r\n", 15},
    {PROXY_HEADER_V2, "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16},
};

START_TEST(a_proxy_header_of_our_own_goes_first)
{
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        begin();
        seen.says = ASK;
        seen.field.peer.answer = "an answer";
        seen.field.peer.closes = true;
        const struct talk_way way = {.address = &seen.field.peer.address,
                                     .proxy = headers[i].version};
        run(&way, 1000);
        ck_assert_mem_eq(seen.field.peer.request, headers[i].header, headers[i].len);
        end();
    }
}
END_TEST

START_TEST(what_cannot_be_is_said_in_words)
{
    static const struct {
        const char *address; /* NULL: none */
        const char *why;
    } cases[] = {
        {"unix:/nowhere/at/all.sock", "no such socket file"},
        {NULL, "Destination address required"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct addr address = {0};
        begin();
        ck_assert(cases[i].address == NULL || addr_parse(slice_from(cases[i].address), &address));
        const struct talk_way way = {.address = &address};
        run(&way, 1000);
        ck_assert_str_eq(seen.why, cases[i].why);
        ck_assert(!seen.is_ours);
        end();
    }
}
END_TEST

START_TEST(an_answer_has_its_size)
{
    begin();
    seen.says = ASK;
    seen.field.peer.answer = "more than eight bytes";
    const struct talk_way way = {.address = &seen.field.peer.address};
    run(&way, 8);
    ck_assert_str_eq(seen.why, "the answer is larger than 0 KiB");
    end();
}
END_TEST

START_TEST(a_reset_is_told)
{
    begin();
    seen.says = ASK;
    seen.field.peer.resets = true;
    const struct talk_way way = {.address = &seen.field.peer.address};
    run(&way, 1000);
    ck_assert_str_eq(seen.why, "connection reset");
    end();
}
END_TEST

UNIT_TESTS("talk", both_say_what_they_have, more_can_be_said_later,
           a_proxy_header_of_our_own_goes_first, what_cannot_be_is_said_in_words,
           an_answer_has_its_size, a_reset_is_told)
