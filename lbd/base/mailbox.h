/*
 * mailbox - how threads talk: many senders, one receiver, woken by an eventfd.
 *
 * A posted message belongs to the receiver. Messages of one sender arrive in order. The receiver's
 * loop watches mailbox_fd() for reading and calls mailbox_drain(), which runs each message's
 * `deliver` on its own thread; `deliver` owns the message then.
 *
 * Memory: messages are embedded in the caller's structs. Threads: post any; the rest the receiver.
 */
#ifndef LBD_BASE_MAILBOX_H
#define LBD_BASE_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "lbd/base/compiler.h"
#include "lbd/base/err.h"

struct mailbox_message {
    struct mailbox_message *next;
    void (*deliver)(struct mailbox_message *message, void *receiver);
};

struct mailbox {
    _Atomic(struct mailbox_message *) newest; /* a stack, reversed when drained */
    int fd;                                   /* eventfd, non-blocking */
    void *receiver;                           /* passed to deliver */
};

LB_MUST_CHECK bool mailbox_init(struct mailbox *mailbox, void *receiver, struct err *err);
/* Undelivered messages are dropped: the caller has drained before. */
void mailbox_fini(struct mailbox *mailbox);
/* Wait-free but for the wake-up write when the box was empty. */
void mailbox_post(struct mailbox *mailbox, struct mailbox_message *message);
int mailbox_fd(const struct mailbox *mailbox);
/* Returns the number of messages delivered. Messages posted meanwhile wait for the next call. */
size_t mailbox_drain(struct mailbox *mailbox);

#endif
