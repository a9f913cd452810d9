#include "lbd/proxy/mail_bans.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/hash.h"
#include "lbd/base/mem.h"

enum {
    STRIPES = 16, /* a power of two */
    WAYS = 4,
    SETS = MAIL_BANS_MAX / STRIPES / WAYS, /* of a stripe; a power of two */
};

struct record {
    uint64_t key; /* 0: free */
    uint64_t first_ms;
    uint64_t until_ms;
    uint32_t failures;
    uint8_t kind; /* enum mail_bans_kind */
    uint8_t name_len;
    uint8_t ip[16];
    uint16_t family;
    char name[MAIL_BANS_NAME_MAX];
};

struct stripe {
    pthread_mutex_t lock;
    struct record *records; /* NULL: none yet */
} LB_ALIGNED;

struct mail_bans {
    _Atomic bool is_used; /* false: nothing has ever failed */
    struct stripe stripes[STRIPES];
};

struct mail_bans *mail_bans_new(void)
{
    struct mail_bans *bans = mem_zero_aligned(sizeof(*bans));
    for (size_t i = 0; i < STRIPES; i++) {
        (void)pthread_mutex_init(&bans->stripes[i].lock, NULL);
    }
    return bans;
}

void mail_bans_free(struct mail_bans *bans)
{
    for (size_t i = 0; bans != NULL && i < STRIPES; i++) {
        free(bans->stripes[i].records);
        (void)pthread_mutex_destroy(&bans->stripes[i].lock);
    }
    free(bans);
}

/* -- keys -- */

/* Of IPv6 the /64: whoever has one address there has them all. */
static void network_of(const struct addr_small *address, uint8_t out[16])
{
    memcpy(out, address->ip, 16);
    if (address->family == AF_INET6) {
        memset(out + 8, 0, 8);
    }
}

/* What is asked about. */
struct subject {
    enum mail_bans_kind kind;
    const struct addr_small *address; /* NULL: USER */
    struct slice user;                /* empty: ADDRESS */
};

static uint64_t key_of(const struct subject *subject)
{
    char text[1 + 16];
    text[0] = (char)subject->kind;
    memset(text + 1, 0, 16);
    if (subject->address != NULL) {
        network_of(subject->address, (uint8_t *)text + 1);
    }
    uint64_t user = hash_sip(subject->user, hash_process_key());
    uint64_t key[2] = {hash_process_key()[0] ^ user, hash_process_key()[1]};
    uint64_t hash = hash_sip(slice_of(text, sizeof(text)), key);
    return hash != 0 ? hash : 1;
}

static struct stripe *stripe_of(struct mail_bans *bans, uint64_t key)
{
    return &bans->stripes[key & (STRIPES - 1)];
}

static struct record *set_of(struct stripe *stripe, uint64_t key)
{
    return &stripe->records[(key >> 8U & (SETS - 1)) * WAYS];
}

static struct record *find(struct stripe *stripe, uint64_t key)
{
    if (stripe->records == NULL) {
        return NULL;
    }
    struct record *set = set_of(stripe, key);
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].key == key) {
            return &set[i];
        }
    }
    return NULL;
}

/* Is `a` of less use than `b`? */
static bool is_less(const struct record *a, const struct record *b, uint64_t now_ms)
{
    bool a_bans = a->until_ms > now_ms;
    bool b_bans = b->until_ms > now_ms;
    if (a->key == 0 || b->key == 0) {
        return a->key == 0 && b->key != 0;
    }
    if (a_bans != b_bans) {
        return b_bans;
    }
    return a_bans ? a->until_ms < b->until_ms : a->first_ms < b->first_ms;
}

static struct record *make(struct stripe *stripe, uint64_t key, const struct subject *subject,
                           uint64_t now_ms)
{
    if (stripe->records == NULL) {
        stripe->records = mem_zero(SETS * WAYS, sizeof(struct record));
    }
    struct record *record = find(stripe, key);
    if (record != NULL) {
        return record;
    }
    struct record *set = set_of(stripe, key);
    record = &set[0];
    for (size_t i = 1; i < WAYS; i++) {
        if (is_less(&set[i], record, now_ms)) {
            record = &set[i];
        }
    }
    *record = (struct record){.key = key, .kind = (uint8_t)subject->kind, .first_ms = now_ms};
    if (subject->address != NULL) {
        network_of(subject->address, record->ip);
        record->family = subject->address->family;
    }
    size_t len =
        subject->user.len < sizeof(record->name) ? subject->user.len : sizeof(record->name);
    if (len != 0) {
        memcpy(record->name, subject->user.ptr, len);
    }
    record->name_len = (uint8_t)len;
    return record;
}

/* -- questions -- */

/* Until when; 0: there is no ban. */
static uint64_t banned_until(struct mail_bans *bans, const struct subject *subject, uint64_t now_ms)
{
    uint64_t key = key_of(subject);
    struct stripe *stripe = stripe_of(bans, key);
    (void)pthread_mutex_lock(&stripe->lock);
    const struct record *record = find(stripe, key);
    uint64_t until = record != NULL && record->until_ms > now_ms ? record->until_ms : 0;
    (void)pthread_mutex_unlock(&stripe->lock);
    return until;
}

bool mail_bans_has(struct mail_bans *bans, const struct addr_small *address, struct slice user,
                   uint64_t now_ms, uint32_t *left_ms)
{
    uint64_t until = 0;
    if (atomic_load_explicit(&bans->is_used, memory_order_relaxed)) {
        const struct subject alone = {.kind = MAIL_BANS_ADDRESS, .address = address};
        const struct subject both = {.kind = MAIL_BANS_BOTH, .address = address, .user = user};
        until = banned_until(bans, &alone, now_ms);
        if (user.len != 0) {
            uint64_t other = banned_until(bans, &both, now_ms);
            until = until > other ? until : other;
        }
    }
    if (left_ms != NULL) {
        *left_ms = until != 0 ? (uint32_t)(until - now_ms) : 0;
    }
    return until != 0;
}

/* One more; true: it is at the limit. */
static bool count(struct mail_bans *bans, const struct mail_bans_limits *limits,
                  const struct subject *subject, uint32_t limit, uint64_t now_ms)
{
    uint64_t key = key_of(subject);
    struct stripe *stripe = stripe_of(bans, key);
    (void)pthread_mutex_lock(&stripe->lock);
    struct record *record = make(stripe, key, subject, now_ms);
    if (now_ms >= record->first_ms + limits->window_ms && record->until_ms <= now_ms) {
        record->first_ms = now_ms;
        record->failures = 0;
    }
    record->failures += record->failures != UINT32_MAX;
    bool is_over = record->failures >= limit;
    if (is_over) {
        record->until_ms = now_ms + limits->ban_ms;
    }
    (void)pthread_mutex_unlock(&stripe->lock);
    return is_over;
}

bool mail_bans_failed(struct mail_bans *bans, const struct mail_bans_limits *limits,
                      const struct addr_small *address, struct slice user, uint64_t now_ms)
{
    if (limits->failures == 0) {
        return false;
    }
    const struct subject alone = {.kind = MAIL_BANS_ADDRESS, .address = address};
    const struct subject name = {.kind = MAIL_BANS_USER, .user = user};
    const struct subject both = {.kind = MAIL_BANS_BOTH, .address = address, .user = user};
    atomic_store_explicit(&bans->is_used, true, memory_order_relaxed);
    bool is_banned = count(bans, limits, &alone, limits->failures, now_ms);
    if (user.len != 0 && count(bans, limits, &name, limits->failures, now_ms)) {
        is_banned = count(bans, limits, &both, 1, now_ms) || is_banned;
    }
    return is_banned;
}

static uint32_t lift_key(struct mail_bans *bans, uint64_t key)
{
    struct stripe *stripe = stripe_of(bans, key);
    (void)pthread_mutex_lock(&stripe->lock);
    struct record *record = key != 0 ? find(stripe, key) : NULL;
    if (record != NULL) {
        memset(record, 0, sizeof(*record));
    }
    (void)pthread_mutex_unlock(&stripe->lock);
    return record != NULL ? 1 : 0;
}

void mail_bans_passed(struct mail_bans *bans, const struct addr_small *address, struct slice user)
{
    if (atomic_load_explicit(&bans->is_used, memory_order_relaxed)) {
        const struct subject both = {.kind = MAIL_BANS_BOTH, .address = address, .user = user};
        (void)lift_key(bans, key_of(&both));
    }
}

/* -- control -- */

void mail_bans_walk(struct mail_bans *bans, uint64_t *cursor, bool only_bans, uint64_t now_ms,
                    void (*fn)(const struct mail_bans_row *row, void *arg), void *arg)
{
    enum { AT_ONCE = 256 };
    uint64_t at = *cursor;
    struct stripe *stripe = &bans->stripes[at / (SETS * WAYS) & (STRIPES - 1)];
    (void)pthread_mutex_lock(&stripe->lock);
    for (size_t i = 0; i < AT_ONCE && stripe->records != NULL; i++) {
        const struct record *record = &stripe->records[(at + i) % (SETS * WAYS)];
        bool bans_now = record->until_ms > now_ms;
        if (record->key == 0 || (only_bans && !bans_now)) {
            continue;
        }
        struct mail_bans_row row = {
            .id = record->key,
            .kind = (enum mail_bans_kind)record->kind,
            .address = {.family = record->family},
            .user = slice_of(record->name, record->name_len),
            .failures = record->failures,
            .first_ms = record->first_ms,
            .until_ms = bans_now ? record->until_ms : 0,
        };
        memcpy(row.address.ip, record->ip, sizeof(row.address.ip));
        fn(&row, arg);
    }
    (void)pthread_mutex_unlock(&stripe->lock);
    *cursor = at + AT_ONCE >= MAIL_BANS_MAX ? 0 : at + AT_ONCE;
}

uint32_t mail_bans_lift(struct mail_bans *bans, uint64_t id)
{
    return lift_key(bans, id);
}

/* Those for which is_it says so. */
static uint32_t lift_where(struct mail_bans *bans,
                           bool (*is_it)(const struct record *record, const void *arg),
                           const void *arg)
{
    uint32_t lifted = 0;
    for (size_t s = 0; s < STRIPES; s++) {
        struct stripe *stripe = &bans->stripes[s];
        (void)pthread_mutex_lock(&stripe->lock);
        for (size_t i = 0; i < SETS * WAYS && stripe->records != NULL; i++) {
            struct record *record = &stripe->records[i];
            if (record->key != 0 && is_it(record, arg)) {
                memset(record, 0, sizeof(*record));
                lifted++;
            }
        }
        (void)pthread_mutex_unlock(&stripe->lock);
    }
    return lifted;
}

static bool is_of_address(const struct record *record, const void *arg)
{
    uint8_t ip[16];
    network_of(arg, ip);
    return record->kind != MAIL_BANS_USER && memcmp(record->ip, ip, sizeof(ip)) == 0;
}

static bool is_of_user(const struct record *record, const void *arg)
{
    struct slice user = *(const struct slice *)arg;
    user.len = user.len < MAIL_BANS_NAME_MAX ? user.len : MAIL_BANS_NAME_MAX;
    return record->kind != MAIL_BANS_ADDRESS &&
           slice_eq(slice_of(record->name, record->name_len), user);
}

static bool is_any(const struct record *record, const void *arg)
{
    (void)record;
    (void)arg;
    return true;
}

uint32_t mail_bans_lift_address(struct mail_bans *bans, const struct addr_small *address)
{
    return lift_where(bans, is_of_address, address);
}

uint32_t mail_bans_lift_user(struct mail_bans *bans, struct slice user)
{
    return lift_where(bans, is_of_user, &user);
}

uint32_t mail_bans_lift_all(struct mail_bans *bans)
{
    return lift_where(bans, is_any, NULL);
}
