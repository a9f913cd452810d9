/*
 * mail_bans - logins that fail too often: whose, from where, and who is not listened to for a
 * while.
 *
 *     address   failures of one address (of IPv6: its /64) within the window reach the limit:
 *               banned, whatever it says
 *     user      failures for one name, from wherever, reach it: that name is under attack. Then an
 *               address whose login for it fails once is banned for that name, and only there
 *
 * So who guesses from many machines is stopped, and the user itself, who knows the password, gets
 * in from any address that has not failed for it.
 *
 * A fixed table, four places for each key; where they are full, the one that matters least goes: no
 * ban before a ban, then the oldest. Every question costs the same, whatever was stored.
 *
 * Limits: MAIL_BANS_MAX records of 96 bytes, allocated with the first failure. Memory: its own.
 * Threads: any; 16 locks by key, held for a few hundred nanoseconds.
 */
#ifndef LBD_PROXY_MAIL_BANS_H
#define LBD_PROXY_MAIL_BANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lbd/base/addr.h"
#include "lbd/base/slice.h"

#define MAIL_BANS_MAX      16384U
#define MAIL_BANS_NAME_MAX 48U /* of a name that is listed; a longer one is cut */

struct mail_bans;

struct mail_bans *mail_bans_new(void);
void mail_bans_free(struct mail_bans *bans); /* NULL is fine */

/* Of a listener. */
struct mail_bans_limits {
    uint32_t failures; /* 0: nobody is ever banned */
    uint32_t window_ms;
    uint32_t ban_ms;
};

/* Is this address banned? `user`: normalised, when it is known; empty: not yet. Monotonic time.
 * *left_ms (may be NULL): for how long still. */
bool mail_bans_has(struct mail_bans *bans, const struct addr_small *address, struct slice user,
                   uint64_t now_ms, uint32_t *left_ms);
/* A login was refused for its name or password. True: that was one too many, and the address is
 * banned from now on (or banned for this name). */
bool mail_bans_failed(struct mail_bans *bans, const struct mail_bans_limits *limits,
                      const struct addr_small *address, struct slice user, uint64_t now_ms);
/* A login was let in: what this address failed for this name counts no more. */
void mail_bans_passed(struct mail_bans *bans, const struct addr_small *address, struct slice user);

/* -- control: any thread -- */

enum mail_bans_kind { MAIL_BANS_ADDRESS, MAIL_BANS_USER, MAIL_BANS_BOTH };

struct mail_bans_row {
    uint64_t id; /* to lift it by */
    enum mail_bans_kind kind;
    struct addr_small address; /* not of USER; of IPv6 the network, /64 */
    struct slice user;         /* not of ADDRESS; borrowed for the call */
    uint32_t failures;
    uint64_t first_ms; /* of those failures */
    uint64_t until_ms; /* the ban ends; 0: it is only counted. Of USER: under attack until then */
};

/* As mail_users_walk: a part of the records from *cursor on, fn under a lock. `only_bans`: those
 * that hold now. */
void mail_bans_walk(struct mail_bans *bans, uint64_t *cursor, bool only_bans, uint64_t now_ms,
                    void (*fn)(const struct mail_bans_row *row, void *arg), void *arg);
/* Each: how many records were forgotten. */
uint32_t mail_bans_lift(struct mail_bans *bans, uint64_t id);
uint32_t mail_bans_lift_address(struct mail_bans *bans, const struct addr_small *address);
uint32_t mail_bans_lift_user(struct mail_bans *bans, struct slice user);
uint32_t mail_bans_lift_all(struct mail_bans *bans);

#endif
