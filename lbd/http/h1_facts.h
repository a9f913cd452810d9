/*
 * h1_facts - what the fields of a parsed head mean: its one authority, its one framing, what
 * Connection says.
 *
 * The last step of h1_head.c, once per head. Decides framing for good (R5), and the authority (R8);
 * nobody looks at these fields again.
 *
 *     field lines --h1_seen_note--> struct h1_seen --h1_facts_*--> what struct message knows
 *
 * Memory: none of its own. Threads: any.
 */
#ifndef LBD_HTTP_H1_FACTS_H
#define LBD_HTTP_H1_FACTS_H

#include <stdint.h>

#include "lbd/base/close_reason.h"
#include "lbd/http/message.h"

/* Ids below this are looked into. */
#define H1_SPECIALS ((unsigned)HEADER_EXPECT + 1U)

/* Where they are in the list, noted line by line. Starts as zeros. */
struct h1_seen {
    uint16_t count[H1_SPECIALS];
    uint16_t first[H1_SPECIALS]; /* index, when count is not 0 */
};

static inline void h1_seen_note(struct h1_seen *seen, enum header_id id, uint32_t index)
{
    if ((unsigned)id < H1_SPECIALS && id != HEADER_OTHER && seen->count[id]++ == 0) {
        seen->first[id] = (uint16_t)index;
    }
}

/* The head's headers, head_len, method, version, authority (of an absolute-form target, else empty)
 * or status are there; fills the rest. CLOSE_OK, or why the head is refused. */
enum close_reason h1_facts_request(const struct h1_seen *seen, struct message *message);
enum close_reason h1_facts_response(const struct h1_seen *seen, enum method request_method,
                                    struct message *message);

#endif
