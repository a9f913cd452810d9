/* keep_alive - see keep_alive.h. */
#include "lbd/upstream/keep_alive.h"

#include "lbd/base/num.h"
#include "lbd/http/headers.h"

enum {
    LEAST_MS = 200,
    APART_S = 1,    /* what closes within a second is one event */
    FORGET_S = 600, /* not confirmed */
    SECONDS_MAX = 86400,
};

static uint32_t load(const _Atomic uint32_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

static uint32_t seconds_of(uint64_t now_us)
{
    return (uint32_t)(now_us / 1000000) + 1; /* 0: never */
}

static void learn(struct keep_alive *self, uint32_t closes_ms, uint64_t now_us)
{
    store(&self->learnt_s, seconds_of(now_us));
    store(&self->closes_ms, closes_ms);
}

static bool agree(uint32_t a, uint32_t b)
{
    uint32_t low = a < b ? a : b;
    uint32_t high = a < b ? b : a;
    return high - low <= low / 4;
}

void keep_alive_note_closed(struct keep_alive *self, uint64_t idle_ms, uint64_t now_us)
{
    uint32_t now_s = seconds_of(now_us);
    uint32_t guess_ms = load(&self->guess_ms);
    uint32_t guess_s = load(&self->guess_s);
    if (idle_ms < LEAST_MS || idle_ms > SECONDS_MAX * UINT64_C(1000)) {
        return;
    }
    if (guess_s != 0 && now_s - guess_s <= APART_S) {
        return; /* with the others of this moment */
    }
    if (guess_s != 0 && agree(guess_ms, (uint32_t)idle_ms)) {
        learn(self, guess_ms < idle_ms ? guess_ms : (uint32_t)idle_ms, now_us);
    }
    store(&self->guess_ms, (uint32_t)idle_ms);
    store(&self->guess_s, now_s);
}

void keep_alive_note_told(struct keep_alive *self, uint32_t seconds, uint64_t now_us)
{
    if (seconds != 0 && seconds <= SECONDS_MAX) {
        learn(self, seconds * 1000, now_us);
    }
}

uint32_t keep_alive_closes_ms(const struct keep_alive *self, uint64_t now_us)
{
    uint32_t closes_ms = load(&self->closes_ms);
    return closes_ms != 0 && seconds_of(now_us) - load(&self->learnt_s) <= FORGET_S ? closes_ms : 0;
}

uint32_t keep_alive_parse(struct slice value)
{
    struct slice member;
    uint64_t seconds;
    while (header_list_next(&value, &member)) {
        if (member.len > 8 && slice_eq_nocase(slice_of(member.ptr, 8), SLICE("timeout=")) &&
            num_parse_u64(slice_from_at(member, 8), &seconds) && seconds <= SECONDS_MAX) {
            return (uint32_t)seconds;
        }
    }
    return 0;
}
