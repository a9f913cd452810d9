/*
 * imap_track - what state an IMAP connection is in, from the bytes that pass through it after the
 * login.
 *
 *     client --bytes--> imap_track_client --bytes--> server
 *     client <--bytes-- imap_track_server <--bytes-- server
 *
 * The bytes are never changed. What can be asked:
 *
 *     imap_track_may_speak   is the client between two responses, so that a BYE may be put in?
 *     imap_track_doubt       may somebody else use the server connection, and if not, why not?
 *     imap_track_client      is this the client's LOGOUT, which need not reach the server? Or
 *                            UNAUTHENTICATE (RFC 8437), which must not: whoever logged in behind
 *                            it would be at a server that is not his
 *
 * The second is answered by a whitelist (imap_verb): a verb that is not known, or one whose
 * effect outlives the mailbox (ENABLE, NOTIFY, anything that turns CONDSTORE on, RFC 7162 3.1, ID
 * with keys that servers trust), makes the connection sticky for ever. Where a line cannot be
 * parsed, a reply belongs to no command, or COMPRESS was accepted (RFC 4978), it is opaque for
 * ever: then nothing is looked at any more, and nothing is said. With a server that has
 * UNAUTHENTICATE it is lost instead, but for COMPRESS: unseen, that command would pass.
 *
 * Limits: IMAP_TRACK_TAGS_MAX commands without an answer, the next one waits for one of them; tags
 * of 32 bytes, longer ones cannot be parsed. Memory:
 * 40 bytes while it is idle or in IDLE; else an object of the caller's slab beside them. Threads:
 * worker.
 */
#ifndef LBD_MAIL_IMAP_TRACK_H
#define LBD_MAIL_IMAP_TRACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/buf.h"
#include "lbd/base/slice.h"
#include "lbd/mail/imap_lines.h"
#include "lbd/mail/imap_peek.h"
#include "lbd/net/slab.h"

#define IMAP_TRACK_TAGS_MAX  64U
#define IMAP_TRACK_TAGS_HERE 2U
/* Bytes of a command that imap_track_client may leave for the next call. */
#define IMAP_TRACK_HELD_MAX IMAP_PEEK_MAX

/* What of `capabilities` matters. */
enum { IMAP_TRACK_HAS_UNSELECT = 1, IMAP_TRACK_HAS_UNAUTHENTICATE = 2 };

enum imap_track_doubt {
    IMAP_TRACK_CLEAN,
    IMAP_TRACK_OUTSTANDING, /* commands without an answer, or one that is not whole */
    IMAP_TRACK_STICKY,
    IMAP_TRACK_OPAQUE,
    IMAP_TRACK_BYE, /* the server said so */
};

/* Since imap_track_news was asked last. */
enum { IMAP_TRACK_SELECT_SENT = 1, IMAP_TRACK_SELECT_DONE = 2 };

/* What is needed while something is under way: a line that is not whole, many commands. */
struct imap_track_work {
    uint64_t tags[IMAP_TRACK_TAGS_MAX - IMAP_TRACK_TAGS_HERE];
    struct imap_lines lines; /* of the server */
    uint64_t literal_left;   /* of the client */
    uint64_t literal;        /* length of the one that may follow */
    uint64_t tag_hash;
    uint8_t literal_digits; /* 0: none follows */
    uint8_t tag_len;
    uint8_t name_len;
    bool literal_waits; /* for a "+" */
    char before;        /* what stands before the byte that comes */
    char name[14];      /* the command's or a word of its arguments, upper case */
};

struct imap_track {
    struct slab *slab;                   /* of struct imap_track_work; borrowed */
    struct imap_track_work *work;        /* NULL: nothing is under way */
    uint64_t tags[IMAP_TRACK_TAGS_HERE]; /* hash of the tag, verb in the low byte; oldest first */
    uint8_t outstanding;
    uint8_t flags; /* of imap_track.c */
    uint8_t state; /* of the client's line */
    uint8_t verb;
    uint8_t capabilities;
    uint8_t news;
    bool holds_logout; /* the caller's: LOGOUT is kept from the server while the rest is clean */
};

/* `capabilities`: words of the server after the login; `slab`: for struct imap_track_work. */
void imap_track_init(struct imap_track *track, struct slice capabilities, struct slab *slab);
void imap_track_fini(struct imap_track *track);

/* The connection has a mailbox selected that this client did not ask for. SELECT and EXAMINE go to
 * the server as they are; before any other command `unselect` is said, until the mailbox was left.
 */
void imap_track_inherit(struct imap_track *track);
void imap_track_leave(struct imap_track *track);

struct imap_track_said {
    size_t pass;      /* bytes from the front that the server is to get */
    size_t used;      /* as many, and behind them the line of a LOGOUT that it is not to get */
    bool logout;      /* such a line is there */
    bool leaves_user; /* an UNAUTHENTICATE is there; the end of its line is not passed. Or it is
                         lost: what could not be followed is not passed either */
    bool waits;       /* for the answer to a command, before what follows */
    bool unselect;    /* imap_track_inherit: before what follows, the mailbox must be left */
    struct slice tag; /* of it; lies in the bytes that were fed */
};

/* Bytes of the client. What lies behind `used` (at most IMAP_TRACK_HELD_MAX bytes, unless
 * `unselect`, `logout`, `leaves_user` or `waits` is said) begins a command that may be a LOGOUT
 * that is held, or a SELECT of one who inherits: it is fed again with what comes behind it. After a
 * LOGOUT the rest is nobody's. */
struct imap_track_said imap_track_client(struct imap_track *track, const char *bytes, size_t len);
/* Bytes of the server, in the moment they are passed on. */
void imap_track_server(struct imap_track *track, const char *bytes, size_t len);

/* How many of the server's next bytes need not be seen; they may be skipped. */
uint64_t imap_track_unseen(const struct imap_track *track);
void imap_track_skip(struct imap_track *track, uint64_t len);

/* Is it over, since the client could leave its user unseen? */
bool imap_track_is_lost(const struct imap_track *track);
/* May lines of ours be put between the bytes that were fed and those that will be? */
bool imap_track_may_speak(const struct imap_track *track);
enum imap_track_doubt imap_track_doubt(const struct imap_track *track);
/* Commands that wait for their tagged reply. */
static inline uint32_t imap_track_outstanding(const struct imap_track *track)
{
    return track->outstanding;
}
/* Must the client wait with the next one? */
static inline bool imap_track_is_full(const struct imap_track *track)
{
    return track->outstanding == IMAP_TRACK_TAGS_MAX;
}
/* Can it become clean again by waiting? */
static inline bool imap_track_may_become_clean(const struct imap_track *track)
{
    return imap_track_doubt(track) <= IMAP_TRACK_OUTSTANDING;
}
bool imap_track_has_mailbox(const struct imap_track *track); /* selected */
static inline bool imap_track_can_unselect(const struct imap_track *track)
{
    return (track->capabilities & IMAP_TRACK_HAS_UNSELECT) != 0;
}
/* IMAP_TRACK_SELECT_SENT, _DONE; each is told once. */
static inline unsigned imap_track_news(struct imap_track *track)
{
    unsigned news = track->news;
    track->news = 0;
    return news;
}

/* What a server answers to LOGOUT, said by us: "* BYE ..." and the tagged OK. */
void imap_track_goodbye(struct slice tag, struct buf *out);

#endif
