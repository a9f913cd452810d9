#include "lbd/base/shared_text.h"

#include <string.h>

enum { READS = 8 }; /* before it is given up */

/* A sequence lock whose words are atomic themselves: each word that is new when it is read has been
 * stored after the turn became odd, and so that turn, or a later one, is seen behind it. */

bool shared_text_write(struct shared_text *shared, struct slice text)
{
    char bytes[SHARED_TEXT_MAX] = {0};
    size_t len = text.len < sizeof(bytes) ? text.len : sizeof(bytes);
    uint32_t turn = atomic_load_explicit(&shared->turn, memory_order_relaxed);
    if (len != 0) {
        memcpy(bytes, text.ptr, len);
    }
    if (turn % 2 != 0 ||
        !atomic_compare_exchange_strong_explicit(&shared->turn, &turn, turn + 1,
                                                 memory_order_acq_rel, memory_order_relaxed)) {
        return false;
    }
    for (size_t i = 0; i < SHARED_TEXT_WORDS; i++) {
        uint64_t word;
        memcpy(&word, bytes + i * sizeof(word), sizeof(word));
        atomic_store_explicit(&shared->words[i], word, memory_order_release);
    }
    atomic_store_explicit(&shared->len, (uint32_t)len, memory_order_release);
    atomic_store_explicit(&shared->turn, turn + 2, memory_order_release);
    return true;
}

size_t shared_text_read(const struct shared_text *shared, char out[SHARED_TEXT_MAX])
{
    for (int i = 0; i < READS; i++) {
        uint32_t turn = atomic_load_explicit(&shared->turn, memory_order_acquire);
        size_t len = atomic_load_explicit(&shared->len, memory_order_acquire);
        for (size_t w = 0; w < SHARED_TEXT_WORDS; w++) {
            uint64_t word = atomic_load_explicit(&shared->words[w], memory_order_acquire);
            memcpy(out + w * sizeof(word), &word, sizeof(word));
        }
        if (turn % 2 == 0 && atomic_load_explicit(&shared->turn, memory_order_relaxed) == turn) {
            return len;
        }
    }
    return 0;
}
