#include <poll.h>
#include <pthread.h>

#include "lbd/base/mailbox.h"
#include "lbd/base/mem.h"
#include "tests/unit/unit.h"

struct letter {
    struct mailbox_message message;
    unsigned sender;
    unsigned number;
};

struct reader {
    struct mailbox mailbox;
    unsigned next[4]; /* by sender */
    size_t count;
    struct letter *again; /* posted once more while it is delivered */
};

static bool is_ringing(const struct mailbox *mailbox, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = mailbox_fd(mailbox), .events = POLLIN};
    return poll(&poll_fd, 1, timeout_ms) == 1;
}

static void deliver(struct mailbox_message *message, void *receiver)
{
    struct letter *letter = container_of(message, struct letter, message);
    struct reader *reader = receiver;
    ck_assert_uint_eq(letter->number, reader->next[letter->sender]);
    reader->next[letter->sender]++;
    reader->count++;
    if (letter == reader->again) {
        letter->number++;
        mailbox_post(&reader->mailbox, message);
        return;
    }
    free(letter);
}

static void post(struct reader *reader, unsigned sender, unsigned number)
{
    struct letter *letter = mem_alloc(sizeof(*letter));
    *letter = (struct letter){{NULL, deliver}, sender, number};
    mailbox_post(&reader->mailbox, &letter->message);
}

START_TEST(delivers_in_order_and_rings_once)
{
    struct reader reader = {.count = 0};
    ck_assert(mailbox_init(&reader.mailbox, &reader, NULL));
    ck_assert(!is_ringing(&reader.mailbox, 0));
    ck_assert_uint_eq(mailbox_drain(&reader.mailbox), 0);
    for (unsigned i = 0; i < 10; i++) {
        post(&reader, 0, i);
    }
    ck_assert(is_ringing(&reader.mailbox, 0));
    ck_assert_uint_eq(mailbox_drain(&reader.mailbox), 10);
    ck_assert(!is_ringing(&reader.mailbox, 0));
    ck_assert_uint_eq(reader.count, 10);
    mailbox_fini(&reader.mailbox);
}
END_TEST

START_TEST(a_message_may_be_posted_again_from_its_delivery)
{
    struct reader reader = {.count = 0};
    struct letter letter = {{NULL, deliver}, 1, 0};
    ck_assert(mailbox_init(&reader.mailbox, &reader, NULL));
    reader.again = &letter;
    mailbox_post(&reader.mailbox, &letter.message);
    for (unsigned i = 1; i <= 5; i++) {
        ck_assert(is_ringing(&reader.mailbox, 0));
        ck_assert_uint_eq(mailbox_drain(&reader.mailbox), 1); /* and not for ever */
        ck_assert_uint_eq(reader.count, i);
    }
    mailbox_fini(&reader.mailbox);
}
END_TEST

enum { SENDERS = 3, LETTERS = 20000 };

struct sender {
    struct reader *reader;
    unsigned number;
};

static void *send_all(void *argument)
{
    const struct sender *sender = argument;
    for (unsigned i = 0; i < LETTERS; i++) {
        post(sender->reader, sender->number, i);
    }
    return NULL;
}

START_TEST(many_senders_lose_nothing)
{
    struct reader reader = {.count = 0};
    struct sender senders[SENDERS];
    pthread_t threads[SENDERS];
    ck_assert(mailbox_init(&reader.mailbox, &reader, NULL));
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){&reader, i};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    }
    while (reader.count < (size_t)SENDERS * LETTERS) {
        /* only the ring wakes us: a lost one fails here */
        ck_assert_msg(is_ringing(&reader.mailbox, 20000), "asleep with %zu letters read",
                      reader.count);
        (void)mailbox_drain(&reader.mailbox);
    }
    for (unsigned i = 0; i < SENDERS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_uint_eq(reader.next[i], LETTERS);
    }
    mailbox_fini(&reader.mailbox);
}
END_TEST

UNIT_TESTS("mailbox", delivers_in_order_and_rings_once,
           a_message_may_be_posted_again_from_its_delivery, many_senders_lose_nothing)
