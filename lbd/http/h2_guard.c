/* h2_guard - see h2_guard.h. */
#include "lbd/http/h2_guard.h"

#include <string.h>

/* Allowance per window: `base`, and so much for each stream served, each DATA frame sent and each
 * stream that we reset (a window of 64 KB is so many frames of 1 KB). */
static const struct {
    uint32_t base;
    uint32_t halves_per_stream; /* in halves */
    uint32_t per_frame;
    uint32_t per_reset;
} budgets[H2_GUARD_KIND_COUNT] = {
    [H2_GUARD_RESET] = {100, 0, 0, 0}, /* or 50 % of those that were served (R1) */
    [H2_GUARD_PING] = {200, 0, 1, 0},  /* gRPC measures with a PING for what it receives */
    [H2_GUARD_SETTINGS] = {20, 0, 0, 0},        [H2_GUARD_PRIORITY] = {200, 8, 0, 0},
    [H2_GUARD_WINDOW_UPDATE] = {1000, 8, 8, 0}, [H2_GUARD_EMPTY_DATA] = {100, 0, 0, 0},
    [H2_GUARD_TINY_DATA] = {2000, 0, 0, 0},     [H2_GUARD_UNKNOWN] = {200, 2, 0, 64},
};

/* What was earned goes on into the next window: a burst is often paid for by the work before it. */
static void turn_window(struct h2_guard *guard, uint64_t now_us)
{
    uint64_t age_us = now_us - guard->window_us;
    if (guard->window_us != 0 && age_us < (uint64_t)H2_GUARD_WINDOW_MS * 1000) {
        return;
    }
    if (age_us >= (uint64_t)H2_GUARD_WINDOW_MS * 2000) {
        guard->earned_streams = 0;
        guard->earned_frames = 0;
        guard->earned_resets = 0;
    }
    guard->earned_streams /= 2;
    guard->earned_frames /= 2;
    guard->earned_resets /= 2;
    memset(guard->counts, 0, sizeof(guard->counts));
    guard->window_us = now_us;
}

bool h2_guard_note(struct h2_guard *guard, enum h2_guard_kind kind, uint64_t now_us)
{
    turn_window(guard, now_us);
    uint64_t allowed = budgets[kind].base +
                       (uint64_t)budgets[kind].halves_per_stream * guard->earned_streams / 2 +
                       (uint64_t)budgets[kind].per_frame * guard->earned_frames +
                       (uint64_t)budgets[kind].per_reset * guard->earned_resets;
    if (kind == H2_GUARD_RESET) { /* R1: max(100, 50 %) and not the sum */
        uint64_t half = guard->earned_streams / 2;
        allowed = half > budgets[kind].base ? half : budgets[kind].base;
    }
    allowed *= guard->factor > 0 ? guard->factor : 1;
    return ++guard->counts[kind] <= allowed;
}

void h2_guard_earn_stream(struct h2_guard *guard, uint64_t now_us)
{
    turn_window(guard, now_us);
    guard->earned_streams++;
}

void h2_guard_earn_frame(struct h2_guard *guard)
{
    guard->earned_frames++;
}

void h2_guard_earn_reset(struct h2_guard *guard)
{
    guard->earned_resets++;
}

bool h2_guard_block(uint32_t bytes, uint32_t continuations)
{
    return bytes <= H2_GUARD_BLOCK_BYTES && continuations <= H2_GUARD_CONTINUATIONS;
}
