/*
 * mail_token - until when a token holds, where it says so.
 *
 * Bearer tokens are opaque to us (RFC 6750), but most are JSON Web Tokens, whose payload names its
 * end (RFC 7519 4.1.4). Nothing is verified: the server did, and an end is only ever made earlier
 * by it.
 *
 * Limits: MAIL_TOKEN_MAX. Threads: any.
 */
#ifndef LBD_MAIL_MAIL_TOKEN_H
#define LBD_MAIL_MAIL_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/slice.h"
#include "lbd/mail/mail_protocol.h"

/* The secret of a login with this mechanism, as struct mail_login has it. False: it is no token, or
 * does not say. Seconds since 1970. */
bool mail_token_expiry(enum mail_mechanism mechanism, struct slice secret, uint64_t *expires_s);

#endif
