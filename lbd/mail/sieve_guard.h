/*
 * sieve_guard - keeps a client of ManageSieve who he is.
 *
 * Some servers (Cyrus) take UNAUTHENTICATE (RFC 5804 2.14.1) and then another login: of a user who
 * may belong to another server, and whose failures nobody counts. So no line that begins with this
 * word goes on, neither a command nor one in a literal: what is a literal servers do not agree
 * about when the command before it is wrong.
 *
 * Split anywhere, the same happens. Memory: the caller's; all zero at first. Threads: one owner.
 */
#ifndef LBD_MAIL_SIEVE_GUARD_H
#define LBD_MAIL_SIEVE_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/slice.h"

struct sieve_guard {
    uint8_t matched; /* bytes of the word that the line begins with */
    bool is_past;    /* the line begins with something else */
};

/* Bytes of the client: true, they may go on. False: the server must hear nothing more of it. */
bool sieve_guard_client(struct sieve_guard *guard, struct slice bytes);

#endif
