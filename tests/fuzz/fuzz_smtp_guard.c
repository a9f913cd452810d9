/* Bytes of client and server in turns (a zero byte between them): whole or cut at every byte, the
 * same is let through, and the same is thought of what comes next. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lbd/mail/smtp_guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool play(struct smtp_guard *guard, struct slice text, size_t step)
{
    struct slice turn;
    bool is_client = true;
    memset(guard, 0, sizeof(*guard));
    while (slice_split(&text, '\0', &turn)) {
        for (size_t at = 0; at < turn.len; at += step) {
            size_t left = turn.len - at;
            struct slice piece = slice_of(turn.ptr + at, left < step ? left : step);
            if (!is_client) {
                smtp_guard_server(guard, piece);
            } else if (!smtp_guard_client(guard, piece)) {
                return false;
            }
        }
        is_client = !is_client;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct slice text = slice_of((const char *)data, size);
    struct smtp_guard whole;
    struct smtp_guard cut;
    bool may = play(&whole, text, SIZE_MAX / 2);
    bool may_cut = play(&cut, text, 1);
    assert(may == may_cut);
    assert(!may || memcmp(&whole, &cut, sizeof(whole)) == 0);
    return 0;
}
