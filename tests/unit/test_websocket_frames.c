#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/http/websocket_frames.h"
#include "tests/unit/unit.h"

#define BYTES(text) text, sizeof(text) - 1

static const struct {
    const char *bytes;
    size_t len;
    bool between; /* at their end */
    uint64_t unseen;
} cases[] = {
    {BYTES(""), true, 0},
    {BYTES("\x81"), false, 0},
    {BYTES("\x81\x02"), false, 2},
    {BYTES("\x81\x02h"), false, 1},
    {BYTES("\x81\x02hi"), true, 0},
    {BYTES("\x81\x00"), true, 0},
    {BYTES("\x81\x02hi\x82\x03"), false, 3},
    {BYTES("\x01\x01"
           "a"
           "\x89\x00"
           "\x80\x01"
           "b"),
     true, 0},                     /* a ping in a message */
    {BYTES("\xc1\x01x"), true, 0}, /* compressed */
    {BYTES("\x82\x7e"), false, 0},
    {BYTES("\x82\x7e\x01"), false, 0},
    {BYTES("\x82\x7e\x01\x00"), false, 256},
    {BYTES("\x82\x7e\x00\x00"), true, 0},
    {BYTES("\x82\x7f\x00\x00\x00\x01\x00\x00\x00\x00"), false, UINT64_C(1) << 32},
    {BYTES("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"), false, UINT64_MAX}, /* top bit */
    {BYTES("\x88\x02\x03\xe8"), false, UINT64_MAX},                         /* its own close */
    {BYTES("\x88\x00"), false, UINT64_MAX},
    {BYTES("\x88\x02\x03"), false, 1},
    {BYTES("\x83\x00"), false, UINT64_MAX},           /* no such opcode */
    {BYTES("\xa1\x00"), false, UINT64_MAX},           /* a bit nobody has defined */
    {BYTES("\x81\x81mask!"), false, UINT64_MAX},      /* masked */
    {BYTES("GET / HTTP/1.1"), false, UINT64_MAX},     /* another protocol */
    {BYTES("\x88\x00\x81\x02hi"), false, UINT64_MAX}, /* nothing counts after a close */
};

START_TEST(split_anywhere_the_same_answer)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t cut = 0; cut <= cases[i].len; cut++) {
            struct websocket_frames frames;
            websocket_frames_init(&frames);
            websocket_frames_follow(&frames, slice_of(cases[i].bytes, cut));
            websocket_frames_follow(&frames, slice_of(cases[i].bytes + cut, cases[i].len - cut));
            ck_assert_msg(websocket_frames_between(&frames) == cases[i].between,
                          "case %zu cut at %zu", i, cut);
            ck_assert_msg(websocket_frames_unseen(&frames) == cases[i].unseen,
                          "case %zu cut at %zu", i, cut);
        }
    }
}
END_TEST

START_TEST(what_goes_by_unseen_is_as_if_it_was_read)
{
    struct websocket_frames frames;
    websocket_frames_init(&frames);
    websocket_frames_follow(&frames, slice_of(BYTES("\x82\x7e\x01\x00x")));
    websocket_frames_skip(&frames, 200);
    ck_assert_uint_eq(websocket_frames_unseen(&frames), 55);
    websocket_frames_skip(&frames, 55);
    ck_assert(websocket_frames_between(&frames));
    websocket_frames_follow(&frames, slice_of(BYTES("\x88\x7e\x00\x10")));
    websocket_frames_skip(&frames, 16);
    ck_assert(!websocket_frames_between(&frames)); /* that was its close */
}
END_TEST

START_TEST(our_own_frame_is_one)
{
    struct websocket_frames frames;
    websocket_frames_init(&frames);
    websocket_frames_follow(&frames, WEBSOCKET_GOING_AWAY);
    ck_assert_uint_eq(websocket_frames_unseen(&frames), UINT64_MAX);
    ck_assert_uint_eq(WEBSOCKET_GOING_AWAY.len, 4);
}
END_TEST

UNIT_TESTS("websocket_frames", split_anywhere_the_same_answer,
           what_goes_by_unseen_is_as_if_it_was_read, our_own_frame_is_one)
