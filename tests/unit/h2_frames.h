/*
 * h2_frames - frames of HTTP/2 written from a short text, and read into one.
 *
 *     "! S; G1 /a; O3 /b|content-length: 5; d3 hello"
 *
 *     !          preface                     S 4=100,3=1   SETTINGS        s   its ACK
 *     G1 /a|x: y a GET that ends             O1 /a|x: y    a POST whose body follows
 *     A1 200|x:y an answer's head            a1 200        ... that ends
 *     H1 :a: b|c: d   HEADERS as they are    h1 ...        ... that end
 *     T1 x: y    trailers                    D1 text       DATA            d1 text   ... that end
 *     P 12345678 PING         p ...  ACK     R1 8          RST_STREAM
 *     W1 100     WINDOW_UPDATE               Y5 0          GOAWAY
 *     Xtype,flags,stream hex                 whatever it is
 *
 * Heads are literals without an index, so they say exactly what the text says, right or wrong.
 * What is read comes as the same letters: "S s H1 :status=200 |a: b| D1 text E".
 *
 * Threads: the main thread.
 */
#ifndef TESTS_UNIT_H2_FRAMES_H
#define TESTS_UNIT_H2_FRAMES_H

#include <stddef.h>

#include "lbd/base/slice.h"
#include "tests/unit/hpack_stand.h"

enum { H2_FRAMES_MAX = 512 * 1024 };

struct h2_frames {
    char *bytes; /* H2_FRAMES_MAX */
    size_t len;
};

void h2_frames_init(struct h2_frames *frames);
void h2_frames_fini(struct h2_frames *frames);
/* Appends one frame. */
void h2_frames_add(struct h2_frames *frames, unsigned type, unsigned flags, unsigned stream,
                   struct slice payload);
/* Appends what the text says. */
void h2_frames_say(struct h2_frames *frames, const char *text);
/* A header block of "name: value|name: value" at `out`; returns its length. */
size_t h2_frames_block(char *out, size_t capacity, struct slice fields);

/* Reads whole frames as text into `out`; returns how many bytes were read. */
size_t h2_frames_text(struct hpack_stand *decoder, struct slice bytes, char *out, size_t capacity);

#endif
