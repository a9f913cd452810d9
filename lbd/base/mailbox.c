#include "lbd/base/mailbox.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

bool mailbox_init(struct mailbox *mailbox, void *receiver, struct err *err)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        return err_set(err, ERR_SYSTEM, "cannot create an eventfd: %s", strerror(errno));
    }
    atomic_init(&mailbox->newest, NULL);
    mailbox->fd = fd;
    mailbox->receiver = receiver;
    return true;
}

void mailbox_fini(struct mailbox *mailbox)
{
    if (mailbox->fd >= 0) {
        (void)close(mailbox->fd);
        mailbox->fd = -1;
    }
}

void mailbox_post(struct mailbox *mailbox, struct mailbox_message *message)
{
    struct mailbox_message *before = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
    do {
        message->next = before;
        /* release: the receiver sees what the sender wrote into the message */
    } while (!atomic_compare_exchange_weak_explicit(&mailbox->newest, &before, message,
                                                    memory_order_release, memory_order_relaxed));
    if (before == NULL) {
        /* whoever fills an empty box rings; the receiver empties it only after it took the ring */
        uint64_t one = 1;
        ssize_t wrote;
        do {
            wrote = write(mailbox->fd, &one, sizeof(one));
        } while (wrote < 0 && errno == EINTR);
        /* EAGAIN would mean 2^64-1 unread rings: it is readable all the same */
    }
}

int mailbox_fd(const struct mailbox *mailbox)
{
    return mailbox->fd;
}

size_t mailbox_drain(struct mailbox *mailbox)
{
    /* Ring first, messages second: a message posted in between is either taken now or rings again.
     */
    uint64_t rings;
    ssize_t got;
    do {
        got = read(mailbox->fd, &rings, sizeof(rings));
    } while (got < 0 && errno == EINTR);

    struct mailbox_message *newest =
        atomic_exchange_explicit(&mailbox->newest, NULL, memory_order_acquire);
    struct mailbox_message *oldest = NULL;
    while (newest != NULL) {
        struct mailbox_message *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }

    size_t count = 0;
    while (oldest != NULL) {
        struct mailbox_message *message = oldest;
        oldest = message->next; /* deliver owns the message and may free or post it again */
        message->deliver(message, mailbox->receiver);
        count++;
    }
    return count;
}
