/*
 * mail_answers - what callbacks said, for the next login of the same user with the same password.
 *
 * The key is an HMAC-SHA256, under 32 random bytes of this process, over callback, protocol, user,
 * login, secret and certificate of the client: the secret itself is nowhere. An answer that brought
 * a password of its own is not kept.
 *
 *     FRESH  younger than the callback's cache_ttl (negative_ttl of a refusal)
 *     STALE  older: stands in when nobody answers, until stale_ttl
 *
 * A fixed table, four places for a key; where they are full the oldest goes. Limits:
 * MAIL_ANSWERS_MAX. Memory: 100 to 900 bytes for each, from the heap. Threads: any; 16 locks by
 * key.
 */
#ifndef LBD_PROXY_MAIL_ANSWERS_H
#define LBD_PROXY_MAIL_ANSWERS_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/slice.h"
#include "lbd/mail/mail_ask.h"

#define MAIL_ANSWERS_MAX       8192U
#define MAIL_ANSWERS_KEY_BYTES 32U

struct mail_answers;
struct mail_answers_key {
    uint8_t bytes[MAIL_ANSWERS_KEY_BYTES];
};

struct mail_answers_terms {
    uint32_t ttl_ms;
    uint32_t negative_ttl_ms;
    uint32_t stale_ttl_ms;
};

enum mail_answers_age { MAIL_ANSWERS_NONE, MAIL_ANSWERS_FRESH, MAIL_ANSWERS_STALE };

struct mail_answers *mail_answers_new(void);
void mail_answers_free(struct mail_answers *answers); /* NULL is fine */

/* `callback`: its name and version in one. */
void mail_answers_key(const struct mail_answers *answers, struct slice callback,
                      const struct mail_ask *ask, struct mail_answers_key *key);
enum mail_answers_age mail_answers_find(struct mail_answers *answers,
                                        const struct mail_answers_key *key,
                                        const struct mail_answers_terms *terms, uint64_t now_ms,
                                        struct mail_ask_answer *answer);
/* OK and REFUSED only; others are not kept. `ask`: what the key is of. */
void mail_answers_put(struct mail_answers *answers, const struct mail_answers_key *key,
                      const struct mail_ask *ask, const struct mail_ask_answer *answer,
                      uint64_t now_ms);
/* It was taken back: it stands in for nobody any longer. */
void mail_answers_drop(struct mail_answers *answers, const struct mail_answers_key *key);
/* Of this user, or (empty) of all. How many. Any thread. */
uint32_t mail_answers_forget(struct mail_answers *answers, struct slice user);
/* Of whom a callback has renamed so that `is_it`, which is asked under a lock, says yes. */
typedef bool mail_answers_is_fn(struct slice renamed, void *arg);
uint32_t mail_answers_forget_renamed(struct mail_answers *answers, mail_answers_is_fn *is_it,
                                     void *arg);
/* What answers that are kept of this user have renamed it to, until `fn`, which is called under a
 * lock, says true. Not of those who came to act as this user: that may be their own name. */
void mail_answers_renamed(struct mail_answers *answers, struct slice user, mail_answers_is_fn *fn,
                          void *arg);

#endif
