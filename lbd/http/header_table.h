/*
 * header_table - from the bytes of a field name to its id, in a handful of instructions.
 *
 * For h1_head.c, which has the name in its hands while it validates it, and headers.c. A slot is
 * found by length and three characters; the table is perfect for the names of header_names.def (two
 * names in one slot do not compile: -Woverride-init), so one comparison decides.
 *
 *     "Host" --4, 'h', 's', 't'--> slot 34 --> HEADER_HOST --compare--> yes, or HEADER_OTHER
 *
 * A new name needs a line in headers.c; when its slot is taken, choose other odd factors below.
 *
 * Memory: constants. Threads: any.
 */
#ifndef LBD_HTTP_HEADER_TABLE_H
#define LBD_HTTP_HEADER_TABLE_H

#include <stdint.h>

#include "lbd/http/headers.h"

enum { HEADER_SLOTS = 128, HEADER_TEXT_MAX = 32 };

/* From the length, the first, the last but one and the last character in lower case. */
#define HEADER_SLOT(len, first, penultimate, last)                                                 \
    (((unsigned)(len)*3U + ((unsigned)(first) + (unsigned)(penultimate)) * 6U +                    \
      (unsigned)(last)) &                                                                          \
     (HEADER_SLOTS - 1U))

extern const uint8_t header_slots[HEADER_SLOTS];                 /* enum header_id, 0: none */
extern const uint8_t header_text_len[HEADER_ID_COUNT];           /* of the name */
extern const uint8_t header_flags[HEADER_ID_COUNT];              /* HEADER_HOP | ... */
extern const char header_text[HEADER_ID_COUNT][HEADER_TEXT_MAX]; /* lower case, padded with NUL */

/* The only id that a valid name of `len` bytes can have; whether it does, a comparison must say.
 * Setting bit 5 makes a letter lower case and changes no digit and no '-'. */
static inline enum header_id header_candidate(const char *name, size_t len)
{
    if (len < 2) {
        return HEADER_OTHER;
    }
    unsigned first = (unsigned char)name[0] | 0x20U;
    unsigned penultimate = (unsigned char)name[len - 2] | 0x20U;
    unsigned last = (unsigned char)name[len - 1] | 0x20U;
    unsigned id = header_slots[HEADER_SLOT(len, first, penultimate, last)];
    return header_text_len[id] == len ? (enum header_id)id : HEADER_OTHER;
}

#endif
