#include "lbd/filter/filter_memo.h"

#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/base/random.h"

#define WAYS 4U
#define SETS (FILTER_MEMO_ENTRIES / WAYS)

struct entry {
    struct filter_memo_key key;
    uint64_t until_us; /* 0: empty */
    void *value;       /* owned */
};

struct filter_memo {
    uint8_t secret[DIGEST_SHA256_BYTES];
    struct entry entries[FILTER_MEMO_ENTRIES];
};

struct filter_memo *filter_memo_new(void)
{
    struct filter_memo *memo = mem_zero(1, sizeof(*memo));
    random_bytes(memo->secret, sizeof(memo->secret));
    return memo;
}

void filter_memo_free(struct filter_memo *memo)
{
    if (memo != NULL) {
        for (size_t i = 0; i < FILTER_MEMO_ENTRIES; i++) {
            free(memo->entries[i].value);
        }
        mem_wipe(memo->secret, sizeof(memo->secret));
        free(memo);
    }
}

void filter_memo_key(const struct filter_memo *memo, const struct slice *parts, size_t count,
                     struct filter_memo_key *key)
{
    uint8_t digests[2][DIGEST_SHA256_BYTES] = {{0}, {0}};
    struct slice secret = slice_of((const char *)memo->secret, sizeof(memo->secret));
    /* A chain, so that nothing of what is secret is copied: each part's under what came before. */
    for (size_t i = 0; i < count; i++) {
        digest_hmac_sha256(secret, parts[i], digests[1]);
        secret = slice_of((const char *)digests[0], sizeof(digests[0]));
        memcpy(digests[0], digests[1], sizeof(digests[0]));
    }
    memcpy(key->bytes, digests[0], sizeof(key->bytes));
    mem_wipe(digests, sizeof(digests));
}

static struct entry *set_of(struct filter_memo *memo, const struct filter_memo_key *key)
{
    uint32_t at;
    memcpy(&at, key->bytes, sizeof(at));
    return &memo->entries[at % SETS * WAYS];
}

bool filter_memo_find(struct filter_memo *memo, const struct filter_memo_key *key, uint64_t now_us,
                      void **value)
{
    struct entry *set = set_of(memo, key);
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].until_us > now_us &&
            digest_equal(set[i].key.bytes, key->bytes, sizeof(key->bytes))) {
            *value = set[i].value;
            return true;
        }
    }
    return false;
}

void filter_memo_put(struct filter_memo *memo, const struct filter_memo_key *key, uint64_t now_us,
                     uint64_t until_us, void *value)
{
    struct entry *set = set_of(memo, key);
    struct entry *to = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (memcmp(set[i].key.bytes, key->bytes, sizeof(key->bytes)) == 0) {
            to = &set[i];
            break;
        }
        to = set[i].until_us < to->until_us ? &set[i] : to;
    }
    free(to->value);
    *to =
        until_us > now_us ? (struct entry){*key, until_us, value} : (struct entry){.value = value};
}
