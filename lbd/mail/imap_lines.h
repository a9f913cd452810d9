/*
 * imap_lines - the responses in what an IMAP server says: lines, and the literals between them.
 *
 *     "* 1 FETCH (BODY[] {3}\r\n" "abc" ")\r\n"    one response
 *     "a1 OK done\r\n"                             another
 *
 * Fed with bytes as they come, however they are cut; nothing of a response is kept but its first
 * and last few bytes, and those only while it is cut. A long line is one memchr, a literal one
 * subtraction.
 *
 * A line whose end looks like a literal but may be none (in the text of OK, NO, BAD, BYE; after
 * what cannot stand before one) is BAD: who guesses wrong takes a message for commands.
 *
 * Limits: tags of IMAP_LINES_TAG_MAX bytes; literals of 15 digits. Memory: none. Threads: one
 * owner.
 */
#ifndef LBD_MAIL_IMAP_LINES_H
#define LBD_MAIL_IMAP_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/slice.h"

#define IMAP_LINES_TAG_MAX  32U
#define IMAP_LINES_HEAD_MAX 40U
#define IMAP_LINES_TAIL_MAX 20U

struct imap_lines {
    uint64_t literal_left;
    uint8_t state; /* enum of imap_lines.c; 0: between two responses */
    uint8_t head_len;
    uint8_t tail_len;
    char head[IMAP_LINES_HEAD_MAX];
    char tail[IMAP_LINES_TAIL_MAX];
};

enum imap_lines_kind { IMAP_LINES_UNTAGGED, IMAP_LINES_CONTINUE, IMAP_LINES_TAGGED };
enum imap_lines_word {
    IMAP_LINES_OK,
    IMAP_LINES_NO,
    IMAP_LINES_BAD_WORD,
    IMAP_LINES_BYE,
    IMAP_LINES_PREAUTH,
    IMAP_LINES_OTHER, /* of an untagged one: data */
};

struct imap_lines_response {
    enum imap_lines_kind kind;
    enum imap_lines_word word; /* of CONTINUE: OTHER */
    struct slice tag;          /* of TAGGED; until the next call */
};

enum imap_lines_verdict {
    IMAP_LINES_MORE, /* all bytes are used */
    IMAP_LINES_DONE, /* a response ended; behind it may lie more */
    IMAP_LINES_LOST, /* that is no response: nothing can be known any more */
};

/* Zeroed is ready. Returns how many bytes were used. */
enum imap_lines_verdict imap_lines_feed(struct imap_lines *lines, const char *bytes, size_t len,
                                        size_t *used, struct imap_lines_response *response);
/* How many of the bytes that follow lie in a literal, and need not be fed but may be skipped. */
uint64_t imap_lines_unseen(const struct imap_lines *lines);
void imap_lines_skip(struct imap_lines *lines, uint64_t len);
/* RFC 9051 9, `tag`. */
bool imap_lines_is_tag_char(char c);
/* Is it between two responses? */
static inline bool imap_lines_is_between(const struct imap_lines *lines)
{
    return lines->state == 0;
}

#endif
