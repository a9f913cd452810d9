/*
 * imap_park - an IMAP connection between two users' sessions of the same user: cleaned, parked,
 * looked at before it is used again. No sockets.
 *
 *     imap_park_check_in --> "lbd..U UNSELECT", "lbd..N NOOP" -->
 *         both OK, in this order: READY. Anything tagged besides, a "+", a BYE, nonsense: BROKEN
 *     parked: untagged responses are thrown away, up to IMAP_PARK_DISCARD_MAX bytes; else BROKEN
 *     imap_park_ask (keepalive, or before it is used again) --> "lbd..N NOOP" --> READY | BROKEN
 *
 * Never CLOSE, which expunges (RFC 9051 6.4.1). Only the tagged OK of a command that nobody else
 * can have sent proves that no answer of the session before is still under way (MAIL.md 1.3, 4.8).
 *
 * Memory: none. Threads: one owner.
 */
#ifndef LBD_MAIL_IMAP_PARK_H
#define LBD_MAIL_IMAP_PARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/slice.h"
#include "lbd/mail/imap_lines.h"

#define IMAP_PARK_DISCARD_MAX 61440U
#define IMAP_PARK_OUT_MAX     64U

enum imap_park_event {
    IMAP_PARK_MORE,   /* what was asked is not answered yet; or nothing was asked */
    IMAP_PARK_READY,  /* clean: it may be parked, or used */
    IMAP_PARK_BROKEN, /* close it */
};

struct imap_park {
    struct imap_lines lines;
    uint64_t number; /* in the tags; not to be guessed */
    uint32_t discarded;
    uint8_t state;
    bool is_asked; /* and READY was not said yet */
};

/* `number`: random. */
void imap_park_init(struct imap_park *park, uint64_t number);
/* Each gives what is to be sent to the server. */
struct slice imap_park_check_in(struct imap_park *park, bool unselect, char out[IMAP_PARK_OUT_MAX]);
struct slice imap_park_ask(struct imap_park *park, char out[IMAP_PARK_OUT_MAX]);
/* Bytes of the server: all are used up. */
enum imap_park_event imap_park_feed(struct imap_park *park, const char *bytes, size_t len);
/* Nothing is asked and nothing half said: it can be used as it is. */
bool imap_park_is_quiet(const struct imap_park *park);

#endif
