#include "lbd/tls/tls_tickets.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/base/random.h"
#include "lbd/tls/digest.h"
#include "lbd/tls/tls_file.h"

#define SECOND_US UINT64_C(1000000)

struct master {
    uint8_t bytes[DIGEST_SHA256_BYTES];
};

struct tls_tickets {
    _Atomic uint32_t refs;
    _Atomic uint64_t generation;
    bool is_shared;
    uint8_t secret[DIGEST_SHA256_BYTES]; /* of a shared ring: what keys are made of */
    uint64_t span;                       /* number of the current span; 0: not known yet */
    pthread_mutex_t lock;                /* of `masters`; held for a copy */
    struct master masters[TLS_TICKETS_KEYS];
};

static struct tls_tickets *new_ring(void)
{
    struct tls_tickets *tickets = mem_zero(1, sizeof(*tickets));
    tickets->refs = 1;
    tickets->generation = 1;
    (void)pthread_mutex_init(&tickets->lock, NULL);
    return tickets;
}

/* Spans are counted from 1970, so that machines agree. */
static uint64_t span_of(uint64_t now_us)
{
    return now_us / SECOND_US / TLS_TICKETS_SPAN_S;
}

static struct master master_of_span(const struct tls_tickets *tickets, uint64_t span)
{
    struct master master;
    char text[64];
    int len = snprintf(text, sizeof(text), "lbd ticket span %llu", (unsigned long long)span);
    digest_hmac_sha256(slice_of((const char *)tickets->secret, sizeof(tickets->secret)),
                       slice_of(text, (size_t)len), master.bytes);
    return master;
}

static void go_to_span(struct tls_tickets *tickets, uint64_t span)
{
    struct master fresh[TLS_TICKETS_KEYS];
    for (uint64_t i = 0; i < TLS_TICKETS_KEYS; i++) {
        fresh[i] = master_of_span(tickets, span + i - 1);
    }
    (void)pthread_mutex_lock(&tickets->lock);
    memcpy(tickets->masters, fresh, sizeof(fresh));
    (void)pthread_mutex_unlock(&tickets->lock);
    tickets->span = span;
    mem_wipe(fresh, sizeof(fresh));
}

struct tls_tickets *tls_tickets_new(void)
{
    struct tls_tickets *tickets = new_ring();
    random_bytes(tickets->masters, sizeof(tickets->masters));
    return tickets;
}

struct tls_tickets *tls_tickets_shared(struct slice secret, uint64_t now_us, struct err *err)
{
    if (secret.len < TLS_TICKETS_SECRET_MIN || secret.len > TLS_TICKETS_SECRET_MAX) {
        (void)err_set(err, ERR_INVALID, "a secret for ticket keys has %u to %u bytes, this has %zu",
                      TLS_TICKETS_SECRET_MIN, TLS_TICKETS_SECRET_MAX, secret.len);
        return NULL;
    }
    struct tls_tickets *tickets = new_ring();
    tickets->is_shared = true;
    digest_hmac_sha256(SLICE("lbd ticket secret"), secret, tickets->secret);
    go_to_span(tickets, span_of(now_us));
    return tickets;
}

struct tls_tickets *tls_tickets_from_file(const char *path, uint64_t now_us, struct err *err)
{
    struct slice secret;
    if (!tls_file_read(path, "the secret", true, TLS_TICKETS_SECRET_MAX, &secret, err)) {
        return NULL;
    }
    struct tls_tickets *tickets = tls_tickets_shared(secret, now_us, err);
    tls_file_forget(secret);
    return tickets;
}

struct tls_tickets *tls_tickets_ref(struct tls_tickets *tickets)
{
    (void)atomic_fetch_add(&tickets->refs, 1);
    return tickets;
}

void tls_tickets_unref(struct tls_tickets *tickets)
{
    if (tickets != NULL && atomic_fetch_sub(&tickets->refs, 1) == 1) {
        (void)pthread_mutex_destroy(&tickets->lock);
        mem_wipe(tickets, sizeof(*tickets));
        free(tickets);
    }
}

void tls_tickets_rotate(struct tls_tickets *tickets)
{
    if (tickets->is_shared) {
        return; /* the others would not go along */
    }
    struct master fresh;
    random_bytes(&fresh, sizeof(fresh));
    (void)pthread_mutex_lock(&tickets->lock);
    memmove(tickets->masters, tickets->masters + 1,
            (TLS_TICKETS_KEYS - 1) * sizeof(tickets->masters[0]));
    tickets->masters[TLS_TICKETS_NEXT] = fresh;
    (void)pthread_mutex_unlock(&tickets->lock);
    (void)atomic_fetch_add(&tickets->generation, 1);
    mem_wipe(&fresh, sizeof(fresh));
}

bool tls_tickets_tick(struct tls_tickets *tickets, uint64_t now_us)
{
    uint64_t span = span_of(now_us);
    if (tickets->span == 0) {
        tickets->span = span;
    }
    if (span <= tickets->span) { /* also when the clock went back */
        return false;
    }
    if (tickets->is_shared) {
        go_to_span(tickets, span);
        (void)atomic_fetch_add(&tickets->generation, 1);
    } else {
        tls_tickets_rotate(tickets);
        tickets->span = span;
    }
    return true;
}

uint64_t tls_tickets_generation(const struct tls_tickets *tickets)
{
    return atomic_load_explicit(&tickets->generation, memory_order_acquire);
}

static void derive(const struct master *master, const char *use, struct slice policy,
                   uint8_t out[DIGEST_SHA256_BYTES])
{
    uint8_t inner[DIGEST_SHA256_BYTES];
    digest_hmac_sha256(slice_of((const char *)master->bytes, sizeof(master->bytes)), policy, inner);
    digest_hmac_sha256(slice_of((const char *)inner, sizeof(inner)), slice_from(use), out);
    mem_wipe(inner, sizeof(inner));
}

uint64_t tls_tickets_keys(const struct tls_tickets *tickets, struct slice policy,
                          struct tls_ticket_key out[TLS_TICKETS_KEYS])
{
    /* the lock is no part of the ring */
    pthread_mutex_t *lock = &((struct tls_tickets *)(uintptr_t)tickets)->lock;
    struct master masters[TLS_TICKETS_KEYS];
    uint64_t generation = tls_tickets_generation(tickets);
    (void)pthread_mutex_lock(lock);
    memcpy(masters, tickets->masters, sizeof(masters));
    (void)pthread_mutex_unlock(lock);
    for (size_t i = 0; i < TLS_TICKETS_KEYS; i++) {
        uint8_t name[DIGEST_SHA256_BYTES];
        derive(&masters[i], "name", policy, name);
        memcpy(out[i].name, name, sizeof(out[i].name));
        derive(&masters[i], "cipher", policy, out[i].cipher);
        derive(&masters[i], "mac", policy, out[i].mac);
    }
    mem_wipe(masters, sizeof(masters));
    return generation;
}
