/*
 * mail_line - lines as mail protocols send them, collected and taken apart.
 *
 * Collecting: mail_line_take moves bytes into a buf until the line ends; where one names a literal
 * at its end ("{5}", "{5+}"; mail_literal_read), the caller adds a LF with mail_line_join, the
 * literal's bytes with mail_line_take_literal, and takes the next line behind it. So a command lies
 * in one buf:
 *
 *     a LOGIN {3}LFjoe "secret"
 *
 * Taking apart: mail_words walks over that. What is quoted loses its backslashes where it lies.
 *
 * Lines carry passwords: what outgrows its memory is wiped there, and mail_line_wipe leaves
 * nothing.
 *
 * Memory: the caller's buf. Threads: any.
 */
#ifndef LBD_MAIL_MAIL_LINE_H
#define LBD_MAIL_MAIL_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/buf.h"
#include "lbd/base/slice.h"

enum mail_line_end {
    MAIL_LINE_MORE,     /* all bytes are used, the line goes on */
    MAIL_LINE_WHOLE,    /* it ended with CRLF */
    MAIL_LINE_BARE_LF,  /* it ended with LF alone */
    MAIL_LINE_TOO_LONG, /* more than `max` bytes without its end */
    MAIL_LINE_NUL,      /* a NUL is in it */
};

/* Appends to `line` up to the end of the line, which is dropped. `max`: bytes that `line` may have
 * without the end. Returns how many bytes were used. */
size_t mail_line_take(struct buf *line, size_t max, const char *bytes, size_t len,
                      enum mail_line_end *end);
/* A line ended with a literal: its bytes come next. */
void mail_line_join(struct buf *line);
/* Up to *left bytes of a literal; *left falls. Returns how many were used. */
size_t mail_line_take_literal(struct buf *line, const char *bytes, size_t len, uint32_t *left);
/* Empty, and nothing of it is left in memory. Keeps the memory. */
void mail_line_wipe(struct buf *line);
/* The same, and the memory is free. */
void mail_line_fini(struct buf *line);

struct mail_literal {
    uint64_t bytes;  /* UINT64_MAX: more than that */
    bool is_waiting; /* the sender waits for a go-ahead: "{5}" */
    size_t text_len; /* of "{5}" itself */
};

/* Does the line end with a literal? Before it stands a space, '(' or '~', or nothing. */
bool mail_literal_read(struct slice line, struct mail_literal *literal);

/* What is left of a command. Bytes are changed where quotes are undone. */
struct mail_words {
    char *at;
    char *end;
};

static inline struct mail_words mail_words_of(struct buf *line)
{
    return (struct mail_words){line->data, line->data + line->len};
}
static inline bool mail_words_is_end(const struct mail_words *words)
{
    return words->at == words->end;
}
/* Each takes one thing off the front, or is false and leaves it where it is. */
bool mail_words_char(struct mail_words *words, char c);
bool mail_words_spaces(struct mail_words *words); /* one or more */
/* What is neither space, control character, quote, '{' nor parenthesis; of 8 bits, too. That is
 * more than RFC 9051 has: passwords are sent so, and Dovecot takes them. */
bool mail_words_atom(struct mail_words *words, struct slice *word);
bool mail_words_string(struct mail_words *words, struct slice *text);  /* quoted, or a literal */
bool mail_words_astring(struct mail_words *words, struct slice *text); /* or an atom */
/* Up to the next space or the end; may be empty. */
struct slice mail_words_until_space(struct mail_words *words);

/* "text" in quotes, with the backslashes it needs. It has no line end. */
void mail_quoted_append(struct buf *out, struct slice text);
/* A line of our own, without its end. */
void mail_line_say(struct buf *out, const char *line);
/* `begin`, then what somebody else said. */
void mail_line_quote(struct buf *out, const char *begin, struct slice text);
/* Appends what somebody else said, on one line: MAIL_TEXT_MAX bytes at most, '?' for what is no
 * text. */
void mail_text_append(struct buf *out, struct slice text);

/* Takes the word before the first space off the front of *rest. False: there is none. */
bool mail_word_next(struct slice *rest, struct slice *word);
/* Is `word` one of the words in `list`, whatever its case? */
bool mail_word_in(struct slice list, struct slice word);

#endif
