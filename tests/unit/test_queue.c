#include <string.h>

#include "lbd/upstream/queue.h"
#include "tests/unit/loop_stand.h"
#include "tests/unit/unit.h"

enum { WORKERS = 3, PEOPLE = 8 };

/* Workers that share one thread: each has its bell and its mailbox, rung when the test says so. */
static struct loop_stand stand;
static struct mailbox boxes[WORKERS];
static struct queue_bell bells[WORKERS];
static struct queue *queue;

struct person {
    struct queue_waiter waiter;
    uint32_t worker;
    char name;
    bool is_picky; /* cannot use what there is */
};

static struct person people[PEOPLE];
static uint32_t places;
static char order[64]; /* who was let in */

static enum queue_try on_turn(struct queue_waiter *waiter)
{
    struct person *person = container_of(waiter, struct person, waiter);
    if (person->is_picky) {
        return QUEUE_NOT_THIS;
    }
    if (places == 0) {
        return QUEUE_NOT_YET;
    }
    places--;
    queue_leave(waiter, &bells[person->worker]);
    order[strlen(order)] = person->name;
    return QUEUE_LET_IN;
}

static void open_stand(void)
{
    struct err err;
    loop_stand_open(&stand);
    queue = queue_new(WORKERS);
    for (uint32_t i = 0; i < WORKERS; i++) {
        ck_assert(mailbox_init(&boxes[i], NULL, &err));
        queue_bell_init(&bells[i], stand.loop, i);
        bells[i].mailbox = &boxes[i];
    }
    memset(people, 0, sizeof(people));
    memset(order, 0, sizeof(order));
    places = 0;
}

static void close_stand(void)
{
    for (uint32_t i = 0; i < PEOPLE; i++) {
        queue_leave(&people[i].waiter, &bells[people[i].worker]);
    }
    ck_assert_uint_eq(queue_len(queue), 0);
    for (uint32_t i = 0; i < WORKERS; i++) {
        queue_bell_fini(&bells[i]);
        mailbox_fini(&boxes[i]);
    }
    queue_unref(queue);
    loop_stand_close(&stand);
}

static bool enter(uint32_t i, uint32_t worker, uint8_t class, uint64_t since_us)
{
    people[i] = (struct person){.name = (char)('a' + i), .worker = worker};
    people[i].waiter = (struct queue_waiter){.class = class, .since_us = since_us, .fn = on_turn};
    return queue_enter(queue, &bells[worker], &people[i].waiter, 6);
}

/* A place is given back; how many workers were woken until all is quiet. */
static uint32_t give_back(uint32_t count)
{
    uint32_t woken = 0;
    for (uint32_t i = 0; i < count; i++) {
        places++;
        queue_ring(queue);
    }
    for (uint32_t quiet = 0; quiet < WORKERS;) {
        quiet = 0;
        for (uint32_t i = 0; i < WORKERS; i++) {
            size_t got = mailbox_drain(&boxes[i]);
            woken += (uint32_t)got;
            quiet += got == 0 ? 1 : 0;
        }
    }
    return woken;
}

START_TEST(the_best_class_and_the_longest_wait_come_first_over_all_workers)
{
    open_stand();
    ck_assert(enter(0, 0, 1, 500));
    ck_assert(enter(1, 1, 1, 400));
    ck_assert(enter(2, 2, 2, 100));
    ck_assert(enter(3, 2, 0, 900));
    ck_assert(enter(4, 1, 1, 300)); /* came back from a try: older than who is before it */
    ck_assert(enter(5, 0, 1, 600));
    (void)loop_stand_turn(&stand); /* no place: nobody is let in */
    ck_assert_str_eq(order, "");
    for (uint32_t i = 0; i < 6; i++) {
        ck_assert_uint_eq(give_back(1), 1);
    }
    ck_assert_str_eq(order, "debafc");
    close_stand();
}
END_TEST

START_TEST(many_places_at_once_are_used_in_the_same_order)
{
    open_stand();
    for (uint32_t i = 0; i < 6; i++) {
        ck_assert(enter(i, i % WORKERS, 1, 100 + i));
    }
    (void)give_back(6);
    ck_assert_str_eq(order, "abcdef");
    ck_assert_uint_eq(places, 0);
    close_stand();
}
END_TEST

START_TEST(it_is_bounded_over_all_workers)
{
    open_stand();
    for (uint32_t i = 0; i < 6; i++) {
        ck_assert(enter(i, i % WORKERS, (uint8_t)(i % QUEUE_CLASSES), 100));
    }
    ck_assert(!enter(6, 0, 0, 1));
    ck_assert_uint_eq(queue_len(queue), 6);
    queue_leave(&people[2].waiter, &bells[2]);
    queue_leave(&people[2].waiter, &bells[2]); /* does nothing */
    ck_assert_uint_eq(queue_len(queue), 5);
    ck_assert(enter(6, 0, 0, 1));
    close_stand();
}
END_TEST

START_TEST(who_leaves_is_not_called)
{
    open_stand();
    ck_assert(enter(0, 0, 1, 100));
    ck_assert(enter(1, 1, 1, 200));
    ck_assert(enter(2, 1, 1, 300));
    queue_leave(&people[0].waiter, &bells[0]);
    queue_leave(&people[1].waiter, &bells[1]);
    ck_assert_uint_eq(give_back(1), 1);
    ck_assert_str_eq(order, "c");
    ck_assert_uint_eq(give_back(1), 0); /* nobody waits: nobody is woken */
    close_stand();
}
END_TEST

START_TEST(who_cannot_use_a_place_lets_others_by)
{
    open_stand();
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert(enter(i, 0, 1, 100 + i));
    }
    people[0].is_picky = true;
    (void)give_back(1);
    ck_assert_str_eq(order, "b");
    people[0].is_picky = false;
    (void)give_back(1);
    ck_assert_str_eq(order, "ba");
    close_stand();
}
END_TEST

START_TEST(who_enters_tries_once_more_in_the_same_pass)
{
    open_stand();
    places = 1; /* was given back when nobody seemed to wait */
    ck_assert(enter(0, 0, 1, 100));
    loop_stand_turn(&stand);
    ck_assert_str_eq(order, "a");
    close_stand();
}
END_TEST

START_TEST(a_look_finds_what_nobody_rang_for)
{
    open_stand();
    ck_assert(enter(0, 2, 1, 100));
    loop_stand_turn(&stand);
    places = 1;
    queue_look(&bells[2]);
    loop_stand_turn(&stand);
    ck_assert_str_eq(order, "a");
    queue_look(&bells[2]); /* nobody waits: nothing is done */
    close_stand();
}
END_TEST

UNIT_TESTS("queue", the_best_class_and_the_longest_wait_come_first_over_all_workers,
           many_places_at_once_are_used_in_the_same_order, it_is_bounded_over_all_workers,
           who_leaves_is_not_called, who_cannot_use_a_place_lets_others_by,
           who_enters_tries_once_more_in_the_same_pass, a_look_finds_what_nobody_rang_for)
