/*
 * mail_pace - how long servers take to refuse a login: as long we take where we refuse one
 * ourselves.
 *
 * Servers are slow on purpose when a password is wrong. A refusal of ours that came sooner would
 * tell which names never get to a server: those that are disabled, or that nobody knows.
 *
 *     a server refused --mail_pace_note--> the longest, in steps --mail_pace_ms--> every refusal
 *
 * Steps, so that all refusals take the same and not each as long as it happens to. Whoever owns
 * it, all zero is a fresh one.
 *
 * Limits: MAIL_PACE_MOST_MS; a server that takes longer is told apart. What was noted holds for
 * MAIL_PACE_KEEP_MS. Threads: any.
 */
#ifndef LBD_PROXY_MAIL_PACE_H
#define LBD_PROXY_MAIL_PACE_H

#include <stdatomic.h>
#include <stdint.h>

#include "lbd/mail/mail_protocol.h"

#define MAIL_PACE_STEP_MS 500U
#define MAIL_PACE_MOST_MS 4000U
#define MAIL_PACE_KEEP_MS 600000U

struct mail_pace {
    _Atomic uint64_t longest[MAIL_PROTOCOL_COUNT]; /* steps in the low byte, since when above it */
};

/* A server has refused a login `took_ms` after its command. Monotonic time. */
void mail_pace_note(struct mail_pace *pace, enum mail_protocol protocol, uint64_t took_ms,
                    uint64_t now_ms);
/* How long after its command a login is refused at the earliest; 0: nothing is known. */
uint32_t mail_pace_ms(const struct mail_pace *pace, enum mail_protocol protocol, uint64_t now_ms);

#endif
