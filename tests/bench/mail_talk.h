/*
 * mail_talk - what a client of the benchmark says to a mail server, step by step, and whether it
 * was answered rightly.
 *
 * Deliberately a second, independent reading of the protocols: what a proxy got wrong must not be
 * read right by shared code. A script is a row of steps; each is a line to send and the kind of
 * answer that ends it.
 *
 *     mail_talk_begin() -> [mail_talk_ask() -> send -> mail_talk_feed() until TALK_ANSWERED] ... ->
 * no more steps
 *
 * HTTP is here too, so that one load has all of them.
 *
 * Limits: a line is known by its first 64 and its last 64 bytes. Memory: in place; a head of HTTP
 * that arrived in pieces on the heap. Threads: any, one owner.
 */
#ifndef TESTS_BENCH_MAIL_TALK_H
#define TESTS_BENCH_MAIL_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/reader.h"

enum talk_dialect { TALK_IMAP, TALK_POP3, TALK_SMTP, TALK_HTTP, TALK_DIALECTS };

/* What is latency taken of? */
enum talk_part { TALK_GREETING, TALK_LOGIN, TALK_SELECT, TALK_REST };

enum talk_result { TALK_MORE, TALK_ANSWERED, TALK_BAD };

/* Which steps there are: each has those before it. CLICK is SESSION with a FETCH before the
 * farewell. */
enum talk_script {
    TALK_SCRIPT_GREETING,
    TALK_SCRIPT_HELD,
    TALK_SCRIPT_IDLE,
    TALK_SCRIPT_SESSION,
    TALK_SCRIPT_CLICK
};

enum { TALK_LINE_ENDS = 64, TALK_LINE_MAX = 4 * TALK_LINE_ENDS, TALK_QUESTION_MAX = 512 };

struct mail_talk {
    enum talk_dialect dialect;
    enum talk_script script;
    uint8_t step;  /* whose answer is awaited */
    bool commands; /* a command beyond the script is on its way */
    uint32_t user; /* user<N> logs in */
    uint32_t line_len;
    uint64_t literal; /* bytes to come that are no lines */
    char line[TALK_LINE_MAX];
    struct reader reader;
};

/* "imap", "pop3", "smtp", "http". */
bool mail_talk_dialect(const char *word, size_t len, enum talk_dialect *dialect);
void mail_talk_begin(struct mail_talk *talk, enum talk_dialect dialect, enum talk_script script,
                     uint32_t user);
/* The mailbox that SELECT names; borrowed. */
void mail_talk_mailbox(const char *mailbox);
/* Writes what is to be said next; 0: nothing, the server speaks. False: the script is over. */
bool mail_talk_ask(struct mail_talk *talk, char *question, size_t *len);
/* A command beyond the script, once it is over: NOOP, or another page. */
void mail_talk_command(struct mail_talk *talk, char *question, size_t *len);
/* ANSWERED: the step is over, `part` says what it was. */
enum talk_result mail_talk_feed(struct mail_talk *talk, const char *bytes, size_t len,
                                enum talk_part *part);
void mail_talk_end(struct mail_talk *talk);

#endif
