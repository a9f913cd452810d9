/* The benchmark's reader of answers: a figure counts only if it tells right from wrong. */
#include <string.h>

#include "tests/bench/reader.h"
#include "tests/unit/unit.h"

static const struct {
    const char *bytes;
    enum reader_state state;
    unsigned status;
    uint64_t body_bytes;
    size_t left_over; /* bytes that belong to the next answer */
    bool closes;
} cases[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", READER_DONE, 200, 5, 0, false},
    {"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", READER_DONE, 200, 0, 0, false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP", READER_DONE, 200, 5, 4, false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", READER_LENGTH, 200, 4, 0, false},
    {"HTTP/1.1 502 Bad\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", READER_DONE, 502, 1, 0,
     true},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
     READER_DONE, 200, 13, 0, false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", READER_SIZE, 200, 3, 0,
     false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", READER_BAD, 200, 0, 3, false},
    {"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", READER_BAD, 200, 0, 0, false}, /* no length at all */
    {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", READER_BAD, 0, 0, 0, false},
};

START_TEST(tells_right_from_wrong)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reader reader = {0};
        size_t len = strlen(cases[i].bytes);
        size_t took = reader_feed(&reader, cases[i].bytes, len);
        ck_assert_msg(reader.state == cases[i].state, "case %zu: state %d", i, (int)reader.state);
        ck_assert_msg(reader.status == cases[i].status, "case %zu: status %u", i, reader.status);
        ck_assert_msg(reader.body_bytes == cases[i].body_bytes, "case %zu: body", i);
        ck_assert_msg(len - took == cases[i].left_over, "case %zu: took %zu of %zu", i, took, len);
        ck_assert_msg(reader.closes == cases[i].closes, "case %zu: closes", i);
        reader_reset(&reader);
    }
}
END_TEST

START_TEST(reads_the_same_wherever_it_is_split)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len = strlen(cases[i].bytes);
        for (size_t cut = 1; cut < len; cut++) {
            struct reader reader = {0};
            size_t took = reader_feed(&reader, cases[i].bytes, cut);
            if (took == cut) {
                took += reader_feed(&reader, cases[i].bytes + cut, len - cut);
            }
            ck_assert_msg(reader.state == cases[i].state && reader.status == cases[i].status &&
                              reader.body_bytes == cases[i].body_bytes,
                          "case %zu cut at %zu: state %d", i, cut, (int)reader.state);
            reader_reset(&reader);
        }
    }
}
END_TEST

UNIT_TESTS("reader", tells_right_from_wrong, reads_the_same_wherever_it_is_split)
