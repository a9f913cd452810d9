#include <string.h>

#include "lbd/tls/tls_tickets.h"
#include "tests/unit/unit.h"

#define SECOND_US UINT64_C(1000000)
#define SPAN_US   (TLS_TICKETS_SPAN_S * SECOND_US)
#define START_US  (20000 * SPAN_US + 5)

typedef struct tls_ticket_key keys[TLS_TICKETS_KEYS];

static void take(const struct tls_tickets *tickets, struct slice policy, keys out)
{
    ck_assert_uint_eq(tls_tickets_keys(tickets, policy, out), tls_tickets_generation(tickets));
}

static bool is_same(const struct tls_ticket_key *a, const struct tls_ticket_key *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static void expect_one_step(keys before, keys after)
{
    ck_assert(is_same(&after[TLS_TICKETS_PREVIOUS], &before[TLS_TICKETS_CURRENT]));
    ck_assert(is_same(&after[TLS_TICKETS_CURRENT], &before[TLS_TICKETS_NEXT]));
    ck_assert(!is_same(&after[TLS_TICKETS_NEXT], &before[TLS_TICKETS_NEXT]));
}

START_TEST(rotates_when_its_time_is_up)
{
    keys before;
    keys after;
    struct tls_tickets *tickets = tls_tickets_new();
    ck_assert(!tls_tickets_tick(tickets, START_US));
    take(tickets, SLICE("web"), before);
    ck_assert(!tls_tickets_tick(tickets, START_US + SPAN_US / 2));
    take(tickets, SLICE("web"), after);
    ck_assert(memcmp(before, after, sizeof(before)) == 0);
    ck_assert(tls_tickets_tick(tickets, START_US + SPAN_US));
    take(tickets, SLICE("web"), after);
    expect_one_step(before, after);
    ck_assert(!tls_tickets_tick(tickets, START_US)); /* the clock went back */
    memcpy(before, after, sizeof(before));
    tls_tickets_rotate(tickets);
    take(tickets, SLICE("web"), after);
    expect_one_step(before, after);
    tls_tickets_unref(tls_tickets_ref(tickets));
    tls_tickets_unref(tickets);
    tls_tickets_unref(NULL);
}
END_TEST

/* R12 */
START_TEST(each_policy_has_keys_of_its_own)
{
    keys web;
    keys shop;
    struct tls_tickets *tickets = tls_tickets_new();
    take(tickets, SLICE("web"), web);
    take(tickets, SLICE("shop"), shop);
    for (size_t i = 0; i < TLS_TICKETS_KEYS; i++) {
        for (size_t j = 0; j < TLS_TICKETS_KEYS; j++) {
            ck_assert(memcmp(web[i].name, shop[j].name, TLS_TICKETS_NAME) != 0);
            ck_assert(memcmp(web[i].cipher, shop[j].cipher, sizeof(web[i].cipher)) != 0);
            ck_assert(memcmp(web[i].mac, shop[j].mac, sizeof(web[i].mac)) != 0);
            ck_assert(memcmp(web[i].cipher, web[j].mac, sizeof(web[i].mac)) != 0);
        }
    }
    tls_tickets_unref(tickets);
}
END_TEST

START_TEST(machines_with_one_secret_agree)
{
    static const char secret[] = "0123456789abcdef0123456789abcdef";
    struct err err = {0};
    keys here;
    keys there;
    struct tls_tickets *a = tls_tickets_shared(slice_from(secret), START_US, &err);
    struct tls_tickets *b = tls_tickets_shared(slice_from(secret), START_US + SPAN_US, &err);
    struct tls_tickets *c =
        tls_tickets_shared(SLICE("another secret of at least 32 bytes"), START_US, &err);
    ck_assert(a != NULL && b != NULL && c != NULL);
    take(a, SLICE("web"), here);
    take(b, SLICE("web"), there);
    expect_one_step(here, there); /* so one that is a span late opens the other's */
    ck_assert(tls_tickets_tick(a, START_US + SPAN_US));
    take(a, SLICE("web"), here);
    ck_assert(memcmp(here, there, sizeof(here)) == 0);
    tls_tickets_rotate(a); /* the time does it */
    take(a, SLICE("web"), here);
    ck_assert(memcmp(here, there, sizeof(here)) == 0);
    take(c, SLICE("web"), there);
    ck_assert(!is_same(&here[TLS_TICKETS_CURRENT], &there[TLS_TICKETS_CURRENT]));
    ck_assert_ptr_null(tls_tickets_shared(SLICE("short"), START_US, &err));
    ck_assert_msg(strstr(err.text, "has 32 to 4096 bytes, this has 5") != NULL, "%s", err.text);
    ck_assert_ptr_null(tls_tickets_from_file("/nowhere", START_US, &err));
    tls_tickets_unref(a);
    tls_tickets_unref(b);
    tls_tickets_unref(c);
}
END_TEST

UNIT_TESTS("tls_tickets", rotates_when_its_time_is_up, each_policy_has_keys_of_its_own,
           machines_with_one_secret_agree)
