/* The client's side of h2_conn; the server's is test_h2_conn_server.c. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lbd/http/h2_guard.h"
#include "lbd/http/h2_inside.h"
#include "tests/unit/h2_stand.h"
#include "tests/unit/unit.h"

static struct h2_stand stand;

#define HI    "! ; S; "
#define OK(n) ":status=200 |content-length: " #n "|"

/* -- the same answer however the bytes come -- */

static const struct {
    const char *said;
    const char *heard;
    const char *log;
} conversations[] = {
    {HI "G1 /a", "s; H1 " OK(10) "; D1 GET /a 0/0 E; ", "[GET /a][end 0 ok]"},
    {HI "s; G1 /a?b=c; G3 /b",
     "s; H1 " OK(14) "; D1 GET /a?b=c 0/0 E; H3 " OK(10) "; D3 GET /b 0/0 E; ",
     "[GET /a?b=c][end 0 ok][GET /b][end 1 ok]"},
    {HI "O1 /b|content-length: 5; d1 hello", "s; H1 " OK(18) "; D1 POST /b 5/99162322 E; ",
     "[POST /b][end 0 ok]"},
    {HI "O1 /b|content-length: 5; D1 he; D1 llo; d1", "s; H1 " OK(18) "; D1 POST /b 5/99162322 E; ",
     "[POST /b][end 0 ok]"},
    {HI "O1 /c; D1 he; d1 llo", "s; H1 " OK(18) "; D1 POST /c 5/99162322 E; ",
     "[POST /c][end 0 ok]"},
    {HI "O1 /c; D1 hello; T1 x-t: 1", "s; H1 " OK(18) "; D1 POST /c 5/99162322 E; ",
     "[POST /c][trailers x-t: 1\r\n][end 0 ok]"},
    {HI "O1 /c; d1", "s; H1 " OK(11) "; D1 POST /c 0/0 E; ", "[POST /c][end 0 ok]"},
    {HI "h1 :method: HEAD|:scheme: http|:path: /h|:authority: x", "s; H1 " OK(11) " E; ",
     "[HEAD /h][end 0 ok]"},
    /* two at a time, their bodies in between each other */
    {HI "O1 /a; O3 /b; D3 1; D1 2; d3 3; d1 4",
     "s; H3 " OK(14) "; D3 POST /b 2/1570 E; H1 " OK(14) "; D1 POST /a 2/1602 E; ",
     "[POST /a][POST /b][end 1 ok][end 0 ok]"},
    /* padding, priority, a block in three parts, what is unknown */
    {HI "X0,8,1 00; G1 /a", "s; Y0 1; ", "[close protocol_error linger]"},
    {HI "O1 /c; X0,9,1 0368656c6c6f000000", "s; H1 " OK(18) "; D1 POST /c 5/99162322 E; ",
     "[POST /c][end 0 ok]"},
    {HI "X1,33,1 0000000010828684410178; X9,0,1; X9,4,1", "s; H1 " OK(9) "; D1 GET / 0/0 E; ",
     "[GET /][end 0 ok]"},
    {HI "X1,1,1 8286; X9,0,1 84; X9,4,1 410178", "s; H1 " OK(9) "; D1 GET / 0/0 E; ",
     "[GET /][end 0 ok]"},
    {HI "X66,255,7 0102; X2,0,9 0000000010; G1 /a", "s; H1 " OK(10) "; D1 GET /a 0/0 E; ",
     "[GET /a][end 0 ok]"},
    {HI "P 12345678; G1 /a; p 12345678", "s; p 12345678; H1 " OK(10) "; D1 GET /a 0/0 E; ",
     "[GET /a][end 0 ok]"},
    /* heads that are refused: framing is intact, the connection goes on */
    {HI "h1 :method: GET|:scheme: http|:path: /|:authority: x|X-Up: 1; G3 /a",
     "s; H1 :status=400 |content-length: 7|; D1 refused E; R1 1; H3 " OK(10) "; D3 GET /a 0/0 E; ",
     "[refused bad_header][end 0 ok][GET /a][end 1 ok]"},
    {HI "h1 :method: GET|:scheme: http|:path: /|:authority: x|connection: close",
     "s; H1 :status=400 |content-length: 7|; D1 refused E; R1 1; ",
     "[refused bad_connection_header][end 0 ok]"},
    {HI "O1 /a|content-length: 5; d1 four; G3 /a", "s; R1 1; H3 " OK(10) "; D3 GET /a 0/0 E; ",
     "[POST /a][end 0 bad_content_length][GET /a][end 1 ok]"},
    {HI "h1 :method: POST|:scheme: http|:path: /|:authority: x|content-length: 5",
     "s; H1 :status=400 |content-length: 7|; D1 refused E; R1 1; ",
     "[refused bad_content_length][end 0 ok]"},
    {HI "O1 /a|content-length: 5; D1 four; T1 x: y", "s; R1 1; ",
     "[POST /a][end 0 bad_content_length]"},
    /* the client gives up */
    {HI "O1 /a; D1 12345; R1 8; G3 /b", "s; H3 " OK(10) "; D3 GET /b 0/0 E; ",
     "[POST /a][end 0 client_abort][GET /b][end 1 ok]"},
    /* what breaks the connection */
    {"G1 /a", "Y0 1; ", "[close protocol_error linger]"},
    {"! ; G1 /a", "Y0 1; ", "[close protocol_error linger]"},
    {HI "G2 /a", "s; Y0 1; ", "[close protocol_error linger]"},
    {HI "G3 /a; G1 /b", "s; H3 " OK(10) "; D3 GET /a 0/0 E; Y3 1; ",
     "[GET /a][end 0 ok][close protocol_error linger]"},
    {HI "X6,0,0 01", "s; Y0 6; ", "[close protocol_error linger]"},
    {HI "D1 x", "s; Y0 1; ", "[close protocol_error linger]"},
    {HI "X1,1,1 82; G3 /a", "s; Y0 1; ", "[close protocol_error linger]"},
    {HI "X1,5,1 ffffffffffffffff", "s; Y0 9; ", "[close protocol_error linger]"},
    {HI "W0 0", "s; Y0 1; ", "[close protocol_error linger]"},
    {HI "W0 2147483647", "s; Y0 3; ", "[close protocol_error linger]"},
    {HI "O1 /a; W1 2147483647; G3 /a", "s; R1 3; H3 " OK(10) "; D3 GET /a 0/0 E; ",
     "[POST /a][end 0 protocol_error][GET /a][end 1 ok]"},
    {HI "X5,4,1 00000002", "s; Y0 1; ", "[close protocol_error linger]"},
};

static void converse(size_t which, size_t first, size_t second)
{
    h2_stand_open(&stand);
    h2_frames_say(&stand.frames, conversations[which].said);
    struct slice said = slice_of(stand.frames.bytes, stand.frames.len);
    first = first < said.len ? first : said.len;
    second = second < said.len ? second : said.len;
    h2_stand_send(&stand, slice_of(said.ptr, first));
    h2_stand_send(&stand, slice_of(said.ptr + first, second - first));
    h2_stand_send(&stand, slice_from_at(said, second));
    const char *got = h2_stand_heard(&stand);
    ck_assert_msg(strcmp(got, conversations[which].heard) == 0,
                  "case %zu cut at %zu, %zu:\n--- got\n%s\n--- want\n%s", which, first, second, got,
                  conversations[which].heard);
    ck_assert_msg(strcmp(stand.log, conversations[which].log) == 0,
                  "case %zu cut at %zu, %zu:\n--- got\n%s\n--- want\n%s", which, first, second,
                  stand.log, conversations[which].log);
    ck_assert_uint_eq(stand.http.h2_streams.objects, 0);
    ck_assert_uint_eq(stand.loop.net.buffered_bytes, 0);
    h2_stand_close(&stand);
}

START_TEST(the_same_answer_wherever_the_bytes_are_cut)
{
    for (size_t which = 0; which < ARRAY_LEN(conversations); which++) {
        struct h2_frames frames;
        h2_frames_init(&frames);
        h2_frames_say(&frames, conversations[which].said);
        for (size_t cut = 0; cut <= frames.len; cut++) {
            converse(which, cut, frames.len);
            converse(which, cut, cut + 1);
        }
        h2_frames_fini(&frames);
    }
}
END_TEST

static void begin(void)
{
    h2_stand_open(&stand);
    h2_stand_say(&stand, HI);
    ck_assert_str_eq(h2_stand_heard(&stand), "s; ");
}

static void end(void)
{
    h2_stand_close(&stand);
}

static void say_many(unsigned count, const char *text)
{
    stand.frames.len = 0;
    for (unsigned i = 0; i < count; i++) {
        h2_frames_say(&stand.frames, text);
    }
    h2_stand_send(&stand, slice_of(stand.frames.bytes, stand.frames.len));
}

static void say_requests(unsigned from, unsigned count)
{
    stand.frames.len = 0;
    for (unsigned i = 0; i < count; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "G%u /%u", (from + i) * 2 + 1, from + i);
        h2_frames_say(&stand.frames, text);
    }
    h2_stand_send(&stand, slice_of(stand.frames.bytes, stand.frames.len));
}

/* -- windows -- */

START_TEST(an_answer_waits_for_windows_and_ends_when_they_open)
{
    begin();
    stand.answers = false;
    h2_stand_say(&stand, "S 4=10; G1 /a");
    h2_stand_answer_bytes(&stand, 0, 100000);
    ck_assert(stand.streams[0].stream->ops->is_blocked(stand.streams[0].stream));
    ck_assert_str_eq(h2_stand_heard(&stand),
                     "s; H1 :status=200 |content-length: 100000|; D1 xxxxxxxxxx; ");
    h2_stand_say(&stand, "W1 5");
    ck_assert_str_eq(h2_stand_heard(&stand), "D1 xxxxx; ");
    h2_stand_say(&stand, "S 4=20000"); /* also for streams that are open (RFC 9113 6.9.2) */
    ck_assert_str_eq(h2_stand_heard(&stand), "s; D1 (16384); D1 (3606); ");
    h2_stand_say(&stand, "W1 1000000");
    ck_assert_str_eq(h2_stand_heard(&stand), "D1 (16384); D1 (16384); D1 (12762); ");
    h2_stand_say(&stand, "W0 1000000");
    ck_assert_str_eq(h2_stand_heard(&stand), "D1 (16384); D1 (16384); D1 (1697) E; ");
    ck_assert_str_eq(stand.log, "[GET /a][end 0 ok]");
    end();
}
END_TEST

START_TEST(a_window_may_become_negative)
{
    begin();
    stand.answers = false;
    h2_stand_say(&stand, "S 4=100; G1 /a");
    h2_stand_answer_bytes(&stand, 0, 150);
    ck_assert_str_eq(h2_stand_heard(&stand), "s; H1 :status=200 |content-length: 150|; D1 (100); ");
    h2_stand_say(&stand, "S 4=0; W1 100"); /* -100, then 0 */
    ck_assert_str_eq(h2_stand_heard(&stand), "s; ");
    h2_stand_say(&stand, "W1 50");
    ck_assert_str_eq(h2_stand_heard(&stand),
                     "D1 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx E; ");
    end();
}
END_TEST

START_TEST(credit_is_given_for_what_was_pulled)
{
    static char piece[16384];
    begin();
    stand.pauses = true;
    h2_stand_say(&stand, "O1 /a; O3 /b");
    stand.frames.len = 0;
    for (int i = 0; i < 3; i++) {
        h2_frames_add(&stand.frames, 0, 0, 1, slice_of(piece, sizeof(piece)));
    }
    h2_stand_send(&stand, slice_of(stand.frames.bytes, stand.frames.len));
    ck_assert_str_eq(h2_stand_heard(&stand), "");
    ck_assert_uint_eq(stand.loop.net.buffered_bytes, 3 * sizeof(piece));
    struct stream *stream = stand.streams[0].stream;
    stream->ops->resume(stream);
    ck_assert_str_eq(h2_stand_heard(&stand), "W1 49152; ");
    ck_assert_uint_eq(stand.streams[0].body_len, 3 * sizeof(piece));
    /* what is thrown away comes back to the connection alone */
    stand.streams[0].stream = NULL;
    stream->ops->reset(stream, CLOSE_SERVER_RESET);
    ck_assert_str_eq(h2_stand_heard(&stand), "R1 2; ");
    for (int i = 0; i < 40; i++) { /* 640 KB on streams that are over, or paused */
        stand.frames.len = 0;
        h2_frames_add(&stand.frames, 0, 0, 1, slice_of(piece, sizeof(piece)));
        h2_stand_send(&stand, slice_of(stand.frames.bytes, stand.frames.len));
    }
    ck_assert_str_eq(h2_stand_heard(&stand), "W0 524288; ");
    ck_assert_ptr_nonnull(stand.h2);
    ck_assert_uint_eq(stand.loop.net.buffered_bytes, 0);
    end();
}
END_TEST

START_TEST(more_than_the_window_is_an_error)
{
    static char piece[16384];
    begin();
    stand.pauses = true;
    h2_stand_say(&stand, "O1 /a");
    stand.frames.len = 0;
    for (int i = 0; i < 4; i++) {
        h2_frames_add(&stand.frames, 0, 0, 1, slice_of(piece, sizeof(piece)));
    }
    h2_stand_send(&stand, slice_of(stand.frames.bytes, stand.frames.len));
    ck_assert_str_eq(h2_stand_heard(&stand), "R1 3; ");
    ck_assert_str_eq(stand.log, "[POST /a][end 0 protocol_error]");
    end();
}
END_TEST

/* -- whose turn it is -- */

START_TEST(the_most_urgent_goes_first)
{
    begin();
    stand.answers = false;
    h2_stand_say(&stand, "S 4=1000000; G1 /a|priority: u=7; G3 /b; G5 /c|priority: u=1");
    h2_stand_say(&stand, "X16,0,0 00000001753d30"); /* PRIORITY_UPDATE 1 "u=0" */
    h2_stand_answer_bytes(&stand, 0, 65535);
    (void)h2_stand_heard(&stand); /* the connection's window is used up */
    h2_stand_answer_bytes(&stand, 1, 20000);
    h2_stand_answer_bytes(&stand, 2, 20000);
    (void)h2_stand_heard(&stand);
    h2_stand_say(&stand, "W0 20000");
    ck_assert_str_eq(h2_stand_heard(&stand), "D5 (16384); D5 (3616) E; ");
    h2_stand_say(&stand, "W0 100000");
    ck_assert_str_eq(h2_stand_heard(&stand), "D3 (16384); D3 (3616) E; ");
    end();
}
END_TEST

START_TEST(incremental_streams_share)
{
    begin();
    stand.answers = false;
    h2_stand_say(&stand, "S 4=1000000; G1 /a; G3 /b|priority: i; G5 /c|priority: u=3, i");
    h2_stand_answer_bytes(&stand, 0, 65535);
    (void)h2_stand_heard(&stand);
    h2_stand_answer_bytes(&stand, 1, 20000);
    h2_stand_answer_bytes(&stand, 2, 20000);
    (void)h2_stand_heard(&stand);
    h2_stand_say(&stand, "W0 100000");
    ck_assert_str_eq(h2_stand_heard(&stand), "D3 (16384); D5 (16384); D3 (3616) E; D5 (3616) E; ");
    end();
}
END_TEST

/* -- R1: streams -- */

START_TEST(a_stream_too_many_is_refused)
{
    begin();
    stand.answers = false;
    say_requests(0, 101);
    loop_stand_settle(&stand.loop);
    ck_assert_uint_eq(stand.began, 100);
    ck_assert_str_eq(h2_stand_heard(&stand), "R201 7; ");
    ck_assert_ptr_nonnull(strstr(stand.log, "[no room]"));
    for (unsigned i = 0; i < 100; i++) {
        h2_stand_answer(&stand, i);
    }
    (void)h2_stand_heard(&stand);
    stand.answers = true;
    h2_stand_say(&stand, "G203 /x");
    ck_assert_str_eq(h2_stand_heard(&stand), "H203 " OK(10) "; D203 GET /x 0/0 E; ");
    end();
}
END_TEST

START_TEST(ten_streams_begin_in_a_turn)
{
    begin();
    stand.answers = false;
    stand.frames.len = 0;
    for (unsigned i = 0; i < 25; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "G%u /%u", i * 2 + 1, i);
        h2_frames_say(&stand.frames, text);
    }
    ck_assert_uint_eq(peer_write(stand.peer, stand.frames.bytes, stand.frames.len),
                      stand.frames.len);
    loop_run_once(stand.loop.loop, 0); /* the event */
    ck_assert_uint_le(stand.began, 20);
    ck_assert_uint_ge(stand.began, 10);
    loop_stand_settle(&stand.loop);
    ck_assert_uint_eq(stand.began, 25);
    for (unsigned i = 0; i < 25; i++) {
        h2_stand_answer(&stand, i);
    }
    end();
}
END_TEST

START_TEST(rapid_resets_end_the_connection)
{
    begin();
    stand.answers = false;
    for (unsigned i = 0; i < 200 && !stand.closed; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "G%u /; R%u 8", i * 2 + 1, i * 2 + 1);
        h2_stand_say(&stand, text);
    }
    ck_assert(stand.closed);
    ck_assert_uint_eq(stand.began, 101);
    ck_assert_str_eq(h2_stand_heard(&stand), "Y201 11; ");
    ck_assert_ptr_nonnull(strstr(stand.log, "[close flood linger]"));
    end();
}
END_TEST

/* -- R2, R3: floods; each ends with ENHANCE_YOUR_CALM -- */

static const struct {
    const char *what;
    const char *before;
    const char *said; /* again and again */
    unsigned most;    /* that pass */
} floods[] = {
    {"PING", "", "P 12345678", 200},
    {"PING that nobody asked back", "", "p 12345678", 200},
    {"SETTINGS", "", "S 1=4096", 19},
    {"SETTINGS ACK", "", "s", 19},
    {"PRIORITY", "", "X2,0,1 0000000010", 200},
    {"PRIORITY_UPDATE", "", "X16,0,0 00000001", 200},
    {"WINDOW_UPDATE", "", "W0 1", 1000},
    {"empty DATA", "O1 /a", "D1", 100},
    {"DATA of a byte", "O1 /a", "D1 x", 2000},
    {"unknown types", "", "X99,0,0 00", 200},
    {"resets of streams that are over", "G1 /a", "R1 8", 201},
    {"DATA on a stream that is over", "G1 /a", "D1 hello", 201},
    {"CONTINUATION", "X1,1,1 82", "X9,0,1", 8},
};

START_TEST(floods_end_the_connection)
{
    for (size_t i = 0; i < ARRAY_LEN(floods); i++) {
        begin();
        h2_stand_say(&stand, floods[i].before);
        (void)h2_stand_heard(&stand);
        for (unsigned n = 0; n < floods[i].most; n++) {
            h2_stand_say(&stand, floods[i].said);
            ck_assert_msg(!stand.closed, "%s: number %u", floods[i].what, n);
            if (n % 50 == 49) {
                (void)h2_stand_heard(&stand);
            }
        }
        (void)h2_stand_heard(&stand);
        h2_stand_say(&stand, floods[i].said);
        const char *last = h2_stand_heard(&stand);
        ck_assert_msg(stand.closed && strstr(last, " 11; ") != NULL, "%s: %s", floods[i].what,
                      last);
        ck_assert_ptr_nonnull(strstr(stand.log, "[close flood linger]"));
        end();
    }
}
END_TEST

/* What was under way to streams that we have ended is no flood. */
START_TEST(bodies_nobody_wants_are_no_flood)
{
    static char piece[1000];
    begin();
    stand.answers = false;
    for (unsigned i = 0; i < 20; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "O%u /", i * 2 + 1);
        h2_stand_say(&stand, text);
        h2_stand_answer(&stand, i); /* before its body */
        for (unsigned n = 0; n < 60; n++) {
            stand.frames.len = 0;
            h2_frames_add(&stand.frames, 0, 0, i * 2 + 1, slice_of(piece, sizeof(piece)));
            h2_stand_send(&stand, slice_of(stand.frames.bytes, stand.frames.len));
        }
    }
    ck_assert(!stand.closed);
    end();
}
END_TEST

/* Answers to PINGs pile up when the peer reads nothing: 64, then it is over. */
START_TEST(control_frames_do_not_pile_up)
{
    begin();
    stand.answers = false;
    loop_stand_small_buffers(stand.conn.fd);
    h2_stand_say(&stand, "S 4=10000000; W0 10000000; G1 /a");
    h2_stand_answer_bytes(&stand, 0, 1000000); /* fills the socket */
    loop_stand_settle(&stand.loop);
    say_many(100, "P 12345678");
    ck_assert(stand.closed);
    ck_assert_ptr_nonnull(strstr(stand.log, "[close flood"));
    end();
}
END_TEST

START_TEST(a_block_is_bounded_and_has_its_time)
{
    static char fields[20000];
    begin();
    /* 1: over the limit of the list: 431, and the connection goes on */
    (void)snprintf(fields, sizeof(fields), "G1 /a|x: %05000d; G3 /b", 0);
    h2_stand_say(&stand, fields);
    ck_assert_str_eq(
        h2_stand_heard(&stand),
        "H1 :status=431 |content-length: 7|; D1 refused E; H3 " OK(10) "; D3 GET /b 0/0 E; ");
    /* 2: a block that does not end */
    h2_stand_say(&stand, "X1,1,5 82");
    h2_stand_tick(&stand, H2_GUARD_BLOCK_MS + 50);
    ck_assert_str_eq(h2_stand_heard(&stand), "Y3 11; ");
    ck_assert_ptr_nonnull(strstr(stand.log, "[close header_timeout linger]"));
    end();
}
END_TEST

/* -- deadlines -- */

START_TEST(a_connection_without_preface_has_its_time)
{
    h2_stand_open(&stand);
    h2_stand_say(&stand, "!");
    h2_stand_tick(&stand, H2_STAND_HEAD_MS + 50);
    ck_assert_str_eq(stand.log, "[close header_timeout linger]");
    end();
}
END_TEST

START_TEST(an_idle_connection_ends_at_its_owners_deadline)
{
    begin();
    h2_stand_say(&stand, "G1 /a");
    (void)h2_stand_heard(&stand);
    ck_assert(stand.idle);
    h2_stand_tick(&stand, H2_STAND_IDLE_MS / 2);
    h2_stand_say(&stand, "G3 /a");
    (void)h2_stand_heard(&stand);
    h2_stand_tick(&stand, H2_STAND_IDLE_MS - 100);
    ck_assert(!stand.closed);
    h2_stand_tick(&stand, 200);
    ck_assert_str_eq(h2_stand_heard(&stand), "Y3 0; ");
    ck_assert_ptr_nonnull(strstr(stand.log, "[close keep_alive_timeout linger]"));
    end();
}
END_TEST

START_TEST(a_body_that_stalls_is_answered_408)
{
    begin();
    h2_stand_say(&stand, "O1 /a; D1 hello");
    h2_stand_tick(&stand, H2_STAND_BODY_MS + 50);
    ck_assert_str_eq(stand.log, "[POST /a][bad body_timeout][end 0 ok]");
    ck_assert_str_eq(h2_stand_heard(&stand),
                     "H1 :status=408 |content-length: 3|; D1 bad E; R1 0; ");
    ck_assert(!stand.closed);
    end();
}
END_TEST

/* R3: a window that does not open */
START_TEST(a_stream_that_is_not_taken_is_reset)
{
    begin();
    stand.answers = false;
    h2_stand_say(&stand, "S 4=0; G1 /a");
    h2_stand_answer_bytes(&stand, 0, 1000);
    h2_stand_tick(&stand, H2_STAND_WRITE_MS - 100);
    h2_stand_say(&stand, "W1 10");
    h2_stand_tick(&stand, 200); /* slowly, but it goes */
    ck_assert(!stand.closed);
    ck_assert_ptr_nonnull(stand.streams[0].stream);
    h2_stand_tick(&stand, H2_STAND_WRITE_MS + 50);
    ck_assert_str_eq(stand.log, "[GET /a][end 0 client_write_timeout]");
    ck_assert_ptr_nonnull(strstr(h2_stand_heard(&stand), "R1 8; "));
    ck_assert_uint_eq(stand.loop.net.buffered_bytes, 0);
    end();
}
END_TEST

/* -- R3: the least that a client must give and take -- */

static void begin_at(uint32_t body, uint32_t read)
{
    const struct stream_rates rates = {
        .body_bytes_per_s = body, .read_bytes_per_s = read, .grace_ms = 2000};
    h2_stand_open_at(&stand, &rates);
    h2_stand_say(&stand, HI);
    (void)h2_stand_heard(&stand);
}

START_TEST(a_body_that_trickles_is_answered_408)
{
    for (int slow = 0; slow < 2; slow++) {
        begin_at(slow != 0 ? 20 : 9, 0);
        h2_stand_say(&stand, "O1 /a");
        for (unsigned i = 0; i < 12; i++) {
            h2_stand_tick(&stand, 500);
            h2_stand_say(&stand, "D1 hello");
        }
        ck_assert_str_eq(stand.log,
                         slow != 0 ? "[POST /a][bad body_too_slow][end 0 ok]" : "[POST /a]");
        if (slow != 0) {
            ck_assert_str_eq(h2_stand_heard(&stand),
                             "H1 :status=408 |content-length: 3|; D1 bad E; R1 0; ");
        }
        end();
    }
}
END_TEST

START_TEST(a_body_nobody_wants_is_not_slow)
{
    begin_at(1000, 0);
    stand.pauses = true;
    h2_stand_say(&stand, "O1 /a");
    for (unsigned i = 0; i < 100; i++) {
        h2_stand_tick(&stand, 500);
        h2_stand_say(&stand, "D1 hello");
    }
    ck_assert_str_eq(stand.log, "[POST /a]");
    end();
}
END_TEST

/* CVE-2019-9511 in slow motion: each byte is granted by itself. */
START_TEST(a_window_that_opens_byte_by_byte_ends_its_stream)
{
    for (int slow = 0; slow < 2; slow++) {
        begin_at(0, slow != 0 ? 20 : 9);
        stand.answers = false;
        h2_stand_say(&stand, "S 4=0; G1 /a; G3 /b");
        h2_stand_answer_bytes(&stand, 0, 100);
        h2_stand_answer_bytes(&stand, 1, 100);
        for (unsigned i = 0; i < 90; i++) {
            h2_stand_tick(&stand, 100);
            h2_stand_say(&stand, "W1 1; W3 5");
        }
        ck_assert_str_eq(stand.log, slow != 0 ? "[GET /a][GET /b][end 1 ok][end 0 reader_too_slow]"
                                              : "[GET /a][GET /b][end 1 ok]");
        if (slow != 0) {
            ck_assert_ptr_nonnull(strstr(h2_stand_heard(&stand), "R1 11; "));
        }
        end();
    }
}
END_TEST

START_TEST(settings_that_open_windows_byte_by_byte_are_no_better)
{
    begin_at(0, 20);
    stand.answers = false;
    h2_stand_say(&stand, "S 4=0; G1 /a");
    h2_stand_answer_bytes(&stand, 0, 1000);
    for (unsigned i = 1; i < 10; i++) {
        char text[32];
        h2_stand_tick(&stand, H2_STAND_WRITE_MS - 100);
        (void)snprintf(text, sizeof(text), "S 4=%u", i);
        h2_stand_say(&stand, text);
    }
    ck_assert_str_eq(stand.log, "[GET /a][end 0 reader_too_slow]");
    end();
}
END_TEST

START_TEST(a_connection_window_that_opens_byte_by_byte_ends_the_connection)
{
    for (int slow = 0; slow < 2; slow++) {
        begin_at(0, slow != 0 ? 20 : 9);
        stand.answers = false;
        h2_stand_say(&stand, "S 4=1000000; G1 /a");
        h2_stand_answer_bytes(&stand, 0, 65535 + 200);
        for (unsigned i = 0; i < 90; i++) {
            h2_stand_tick(&stand, 100);
            h2_stand_say(&stand, "W0 1");
            (void)h2_stand_heard(&stand);
        }
        ck_assert_str_eq(stand.log,
                         slow != 0 ? "[GET /a][end 0 reader_too_slow][close reader_too_slow linger]"
                                   : "[GET /a]");
        end();
    }
}
END_TEST

/* A stream that may last is not measured, and its connection is not, for it may wait for that one.
 */
START_TEST(what_may_last_is_not_measured)
{
    begin_at(1000, 1000);
    stand.answers = false;
    h2_stand_say(&stand, "S 4=0; G1 /a; O3 /b");
    stand.streams[0].stream->idle_ms = UINT32_MAX;
    stand.streams[1].stream->idle_ms = UINT32_MAX;
    h2_stand_answer_bytes(&stand, 0, 100);
    for (unsigned i = 0; i < 90; i++) {
        h2_stand_tick(&stand, 500);
        h2_stand_say(&stand, "W1 1; D3 x");
    }
    ck_assert_str_eq(stand.log, "[GET /a][POST /b]");
    end();
}
END_TEST

START_TEST(answers_that_wait_for_a_client_are_bounded_together)
{
    begin();
    stand.h2->limits.buffered_bytes = 100000;
    stand.answers = false;
    h2_stand_say(&stand, "S 4=0; G1 /a; G3 /b; G5 /c");
    h2_stand_answer_bytes(&stand, 0, 50000);
    h2_stand_answer_bytes(&stand, 1, 50000);
    h2_stand_answer_bytes(&stand, 2, 1);
    (void)h2_stand_heard(&stand);
    ck_assert_uint_eq(stand.loop.net.buffered_bytes, 100000);
    ck_assert_str_eq(stand.log, "[GET /a][GET /b][GET /c][fault 2 overload]");
    h2_stand_say(&stand, "W1 50000");
    ck_assert_str_eq(stand.log, "[GET /a][GET /b][GET /c][fault 2 overload][end 0 ok]");
    end();
}
END_TEST

/* -- ends -- */

static struct http_conn *http_of_stand(void)
{
    return http_conn_on(&stand.conn);
}

START_TEST(drain_takes_what_is_under_way)
{
    begin();
    stand.answers = false;
    h2_stand_say(&stand, "G1 /a");
    http_of_stand()->ops->drain(http_of_stand());
    http_of_stand()->ops->drain(http_of_stand());
    ck_assert_str_eq(h2_stand_heard(&stand), "Y2147483647 0; P lbd ends; ");
    h2_stand_say(&stand, "G3 /b; p lbd ends; G5 /late");
    ck_assert_str_eq(h2_stand_heard(&stand), "Y3 0; ");
    ck_assert_uint_eq(stand.began, 2);
    h2_stand_answer(&stand, 0);
    h2_stand_answer(&stand, 1);
    ck_assert_str_eq(h2_stand_heard(&stand),
                     "H1 " OK(10) "; D1 GET /a 0/0 E; H3 " OK(10) "; D3 GET /b 0/0 E; ");
    ck_assert_str_eq(stand.log, "[GET /a][GET /b][end 0 ok][end 1 ok][close ok linger]");
    end();
}
END_TEST

START_TEST(drain_of_an_idle_connection_needs_no_answer)
{
    begin();
    http_of_stand()->ops->drain(http_of_stand());
    ck_assert_str_eq(h2_stand_heard(&stand), "Y2147483647 0; P lbd ends; ");
    ck_assert(!stand.closed);
    h2_stand_tick(&stand, 1100); /* the PING does not come back */
    ck_assert_str_eq(h2_stand_heard(&stand), "Y0 0; ");
    ck_assert_str_eq(stand.log, "[close ok linger]");
    end();
}
END_TEST

START_TEST(who_leaves_says_goodbye)
{
    begin();
    stand.answers = false;
    h2_stand_say(&stand, "G1 /a");
    http_of_stand()->ops->leave(http_of_stand(), CLOSE_DRAIN_DEADLINE);
    ck_assert_str_eq(stand.log, "[GET /a][end 0 drain_deadline][close drain_deadline linger]");
    ck_assert_str_eq(h2_stand_heard(&stand), "Y1 0; ");
    end();
}
END_TEST

START_TEST(a_client_that_goes_ends_all_its_requests)
{
    begin();
    stand.answers = false;
    h2_stand_say(&stand, "G1 /a; O3 /b; D3 some");
    (void)close(stand.peer);
    stand.peer = -1;
    loop_stand_settle(&stand.loop);
    ck_assert_str_eq(stand.log, "[GET /a][POST /b][end 0 client_abort][end 1 client_abort]"
                                "[close client_abort]");
    end();
}
END_TEST

START_TEST(a_stream_that_leaves_sends_what_waits)
{
    begin();
    stand.answers = false;
    h2_stand_say(&stand, "S 4=10; G1 /a; G3 /b");
    h2_stand_answer_bytes(&stand, 0, 15);
    struct stream *stream = stand.streams[0].stream;
    stand.streams[0].stream = NULL;
    /* its end waits too, so it ends well */
    stream->ops->leave(stream, CLOSE_KILLED);
    ck_assert_str_eq(h2_stand_heard(&stand),
                     "s; H1 :status=200 |content-length: 15|; D1 xxxxxxxxxx; ");
    h2_stand_say(&stand, "W1 10");
    ck_assert_str_eq(h2_stand_heard(&stand), "D1 xxxxx E; ");
    h2_stand_answer(&stand, 1);
    end();
}
END_TEST

START_TEST(a_client_that_reads_nothing_begins_nothing)
{
    begin();
    loop_stand_small_buffers(stand.conn.fd);
    loop_stand_small_buffers(stand.peer);
    for (unsigned i = 0; i < 3000 && stand.began < 200; i++) {
        char text[128];
        (void)snprintf(text, sizeof(text), "G%u /%060u", i * 2 + 1, i);
        stand.frames.len = 0;
        h2_frames_say(&stand.frames, text);
        if (peer_write(stand.peer, stand.frames.bytes, stand.frames.len) == 0) {
            break;
        }
        loop_stand_turn(&stand.loop);
    }
    ck_assert_uint_lt(stand.loop.net.buffered_bytes, 256 * 1024);
    end();
}
END_TEST

UNIT_TESTS("h2_conn", the_same_answer_wherever_the_bytes_are_cut,
           an_answer_waits_for_windows_and_ends_when_they_open, a_window_may_become_negative,
           credit_is_given_for_what_was_pulled, more_than_the_window_is_an_error,
           the_most_urgent_goes_first, incremental_streams_share, a_stream_too_many_is_refused,
           ten_streams_begin_in_a_turn, rapid_resets_end_the_connection, floods_end_the_connection,
           bodies_nobody_wants_are_no_flood, control_frames_do_not_pile_up,
           a_block_is_bounded_and_has_its_time, a_connection_without_preface_has_its_time,
           an_idle_connection_ends_at_its_owners_deadline, a_body_that_stalls_is_answered_408,
           a_stream_that_is_not_taken_is_reset, a_body_that_trickles_is_answered_408,
           a_body_nobody_wants_is_not_slow, a_window_that_opens_byte_by_byte_ends_its_stream,
           settings_that_open_windows_byte_by_byte_are_no_better,
           a_connection_window_that_opens_byte_by_byte_ends_the_connection,
           what_may_last_is_not_measured, answers_that_wait_for_a_client_are_bounded_together,
           drain_takes_what_is_under_way, drain_of_an_idle_connection_needs_no_answer,
           who_leaves_says_goodbye, a_client_that_goes_ends_all_its_requests,
           a_stream_that_leaves_sends_what_waits, a_client_that_reads_nothing_begins_nothing)
