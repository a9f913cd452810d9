#include "lbd/proxy/mail_answers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/hash.h"
#include "lbd/base/mem.h"
#include "lbd/base/random.h"
#include "lbd/tls/digest.h"

enum { STRIPES = 16, WAYS = 4, SETS = MAIL_ANSWERS_MAX / STRIPES / WAYS };

/* The texts follow one another: user, text. */
struct kept {
    struct mail_answers_key key;
    uint64_t put_ms;
    uint64_t owner; /* a hash of the user */
    struct addr address;
    uint32_t wait_s;
    uint16_t user_len;
    uint16_t text_len;
    bool is_refusal;
    bool has_wait;
    bool has_authzid;
    char pool[MAIL_ASK_NAME_MAX + 1];
    char server[MAIL_ASK_NAME_MAX + 1];
    char code[MAIL_ASK_CODE_MAX + 1];
    char texts[];
};

struct stripe {
    pthread_mutex_t lock;
    struct kept **places; /* NULL: none yet */
} LB_ALIGNED;

struct mail_answers {
    uint8_t secret[32];
    struct stripe stripes[STRIPES];
};

struct mail_answers *mail_answers_new(void)
{
    struct mail_answers *answers = mem_zero_aligned(sizeof(*answers));
    random_bytes(answers->secret, sizeof(answers->secret));
    for (size_t i = 0; i < STRIPES; i++) {
        (void)pthread_mutex_init(&answers->stripes[i].lock, NULL);
    }
    return answers;
}

void mail_answers_free(struct mail_answers *answers)
{
    if (answers == NULL) {
        return;
    }
    (void)mail_answers_forget(answers, SLICE_NONE);
    for (size_t i = 0; i < STRIPES; i++) {
        free(answers->stripes[i].places);
        (void)pthread_mutex_destroy(&answers->stripes[i].lock);
    }
    mem_wipe(answers->secret, sizeof(answers->secret));
    free(answers);
}

/* With its length before it, so that no two questions have the same bytes. */
static void put_part(struct buf *out, struct slice part)
{
    (void)buf_append_u64(out, part.len);
    (void)buf_append_char(out, ':');
    (void)buf_append_slice(out, part);
}

void mail_answers_key(const struct mail_answers *answers, struct slice callback,
                      const struct mail_ask *ask, struct mail_answers_key *key)
{
    struct buf bytes;
    buf_init(&bytes, MAIL_ASK_BYTES_MAX);
    (void)buf_reserve(&bytes, 512 + callback.len + ask->user.len + ask->login.len +
                                  ask->authzid.len + ask->secret.len + ask->tls_subject.len +
                                  ask->tls_fingerprint.len); /* no copy of the secret is left */
    put_part(&bytes, callback);
    (void)buf_append_u64(&bytes, (uint64_t)ask->protocol << 8U | ask->mechanism);
    put_part(&bytes, ask->user); /* listeners may make different names of one login */
    put_part(&bytes, ask->login);
    put_part(&bytes, ask->authzid);
    put_part(&bytes, ask->secret);
    put_part(&bytes, ask->tls_subject);
    put_part(&bytes, ask->tls_fingerprint);
    digest_hmac_sha256(slice_of((const char *)answers->secret, sizeof(answers->secret)),
                       buf_slice(&bytes), key->bytes);
    mem_wipe(bytes.data, bytes.len);
    buf_fini(&bytes);
}

static uint64_t number_of(const struct mail_answers_key *key)
{
    uint64_t number;
    memcpy(&number, key->bytes, sizeof(number));
    return number;
}

static struct stripe *stripe_of(struct mail_answers *answers, const struct mail_answers_key *key)
{
    return &answers->stripes[number_of(key) & (STRIPES - 1)];
}

static struct kept **set_of(struct stripe *stripe, const struct mail_answers_key *key)
{
    return &stripe->places[(number_of(key) >> 8U & (SETS - 1)) * WAYS];
}

/* Its place, or NULL. */
static struct kept **find(struct stripe *stripe, const struct mail_answers_key *key)
{
    if (stripe->places == NULL) {
        return NULL;
    }
    struct kept **set = set_of(stripe, key);
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i] != NULL && digest_equal(set[i]->key.bytes, key->bytes, sizeof(key->bytes))) {
            return &set[i];
        }
    }
    return NULL;
}

static void give(const struct kept *kept, struct mail_ask_answer *answer)
{
    memset(answer, 0, sizeof(*answer));
    answer->problem = "";
    answer->verdict = kept->is_refusal ? MAIL_ASK_REFUSED : MAIL_ASK_OK;
    answer->is_kept = true;
    answer->has_wait = kept->has_wait;
    answer->wait_s = kept->wait_s;
    answer->address = kept->address;
    answer->user_len = kept->user_len;
    answer->text_len = kept->text_len;
    memcpy(answer->pool, kept->pool, sizeof(kept->pool));
    memcpy(answer->server, kept->server, sizeof(kept->server));
    memcpy(answer->code, kept->code, sizeof(kept->code));
    memcpy(answer->user, kept->texts, kept->user_len);
    memcpy(answer->text, kept->texts + kept->user_len, kept->text_len);
}

enum mail_answers_age mail_answers_find(struct mail_answers *answers,
                                        const struct mail_answers_key *key,
                                        const struct mail_answers_terms *terms, uint64_t now_ms,
                                        struct mail_ask_answer *answer)
{
    enum mail_answers_age age = MAIL_ANSWERS_NONE;
    struct stripe *stripe = stripe_of(answers, key);
    (void)pthread_mutex_lock(&stripe->lock);
    struct kept **place = find(stripe, key);
    if (place != NULL) {
        const struct kept *kept = *place;
        uint64_t old_ms = now_ms > kept->put_ms ? now_ms - kept->put_ms : 0;
        uint32_t ttl_ms = kept->is_refusal ? terms->negative_ttl_ms : terms->ttl_ms;
        if (old_ms < ttl_ms) {
            age = MAIL_ANSWERS_FRESH;
        } else if (old_ms < terms->stale_ttl_ms) {
            age = MAIL_ANSWERS_STALE;
        }
        if (age != MAIL_ANSWERS_NONE) {
            give(kept, answer);
        }
    }
    (void)pthread_mutex_unlock(&stripe->lock);
    return age;
}

static uint64_t owner_of(struct slice user)
{
    return hash_sip(user, hash_process_key());
}

static struct kept *kept_of(const struct mail_answers_key *key, const struct mail_ask *ask,
                            const struct mail_ask_answer *answer, uint64_t now_ms)
{
    struct kept *kept = mem_alloc(sizeof(*kept) + answer->user_len + (size_t)answer->text_len);
    *kept = (struct kept){.key = *key,
                          .put_ms = now_ms,
                          .owner = owner_of(ask->user),
                          .address = answer->address,
                          .wait_s = answer->wait_s,
                          .user_len = answer->user_len,
                          .text_len = answer->text_len,
                          .is_refusal = answer->verdict == MAIL_ASK_REFUSED,
                          .has_wait = answer->has_wait,
                          .has_authzid = ask->authzid.len != 0};
    memcpy(kept->pool, answer->pool, sizeof(kept->pool));
    memcpy(kept->server, answer->server, sizeof(kept->server));
    memcpy(kept->code, answer->code, sizeof(kept->code));
    memcpy(kept->texts, answer->user, answer->user_len);
    memcpy(kept->texts + answer->user_len, answer->text, answer->text_len);
    return kept;
}

void mail_answers_put(struct mail_answers *answers, const struct mail_answers_key *key,
                      const struct mail_ask *ask, const struct mail_ask_answer *answer,
                      uint64_t now_ms)
{
    if ((answer->verdict != MAIL_ASK_OK && answer->verdict != MAIL_ASK_REFUSED) ||
        answer->secret_len != 0) {
        return;
    }
    struct kept *kept = kept_of(key, ask, answer, now_ms);
    struct stripe *stripe = stripe_of(answers, key);
    (void)pthread_mutex_lock(&stripe->lock);
    if (stripe->places == NULL) {
        stripe->places = mem_zero(SETS * WAYS, sizeof(struct kept *));
    }
    struct kept **place = find(stripe, key);
    if (place == NULL) {
        struct kept **set = set_of(stripe, key);
        place = &set[0];
        for (size_t i = 1; i < WAYS && *place != NULL; i++) {
            if (set[i] == NULL || set[i]->put_ms < (*place)->put_ms) {
                place = &set[i];
            }
        }
    }
    struct kept *old = *place;
    *place = kept;
    (void)pthread_mutex_unlock(&stripe->lock);
    free(old);
}

void mail_answers_drop(struct mail_answers *answers, const struct mail_answers_key *key)
{
    struct kept *old = NULL;
    struct stripe *stripe = stripe_of(answers, key);
    (void)pthread_mutex_lock(&stripe->lock);
    struct kept **place = find(stripe, key);
    if (place != NULL) {
        old = *place;
        *place = NULL;
    }
    (void)pthread_mutex_unlock(&stripe->lock);
    free(old);
}

/* Which of those that are kept. */
typedef bool meant_fn(const struct kept *kept, const void *arg);

static uint32_t forget(struct mail_answers *answers, meant_fn *is_meant, const void *arg)
{
    uint32_t count = 0;
    for (size_t s = 0; s < STRIPES; s++) {
        struct stripe *stripe = &answers->stripes[s];
        (void)pthread_mutex_lock(&stripe->lock);
        for (size_t i = 0; stripe->places != NULL && i < SETS * WAYS; i++) {
            struct kept **place = &stripe->places[i];
            if (*place != NULL && is_meant(*place, arg)) {
                free(*place);
                *place = NULL;
                count++;
            }
        }
        (void)pthread_mutex_unlock(&stripe->lock);
    }
    return count;
}

static bool is_any(const struct kept *kept, const void *arg)
{
    (void)kept;
    (void)arg;
    return true;
}

static bool is_of(const struct kept *kept, const void *owner)
{
    return kept->owner == *(const uint64_t *)owner;
}

uint32_t mail_answers_forget(struct mail_answers *answers, struct slice user)
{
    uint64_t owner = owner_of(user);
    return forget(answers, user.len == 0 ? is_any : is_of, &owner);
}

struct renamed {
    mail_answers_is_fn *fn;
    void *arg;
};

static bool is_renamed(const struct kept *kept, const void *arg)
{
    const struct renamed *to = arg;
    return kept->user_len != 0 && to->fn(slice_of(kept->texts, kept->user_len), to->arg);
}

uint32_t mail_answers_forget_renamed(struct mail_answers *answers, mail_answers_is_fn *is_it,
                                     void *arg)
{
    const struct renamed to = {.fn = is_it, .arg = arg};
    return forget(answers, is_renamed, &to);
}

void mail_answers_renamed(struct mail_answers *answers, struct slice user, mail_answers_is_fn *fn,
                          void *arg)
{
    uint64_t owner = owner_of(user);
    const struct renamed to = {.fn = fn, .arg = arg};
    bool is_over = false;
    for (size_t s = 0; s < STRIPES && !is_over; s++) {
        struct stripe *stripe = &answers->stripes[s];
        (void)pthread_mutex_lock(&stripe->lock);
        for (size_t i = 0; stripe->places != NULL && i < SETS * WAYS && !is_over; i++) {
            const struct kept *kept = stripe->places[i];
            is_over =
                kept != NULL && kept->owner == owner && !kept->has_authzid && is_renamed(kept, &to);
        }
        (void)pthread_mutex_unlock(&stripe->lock);
    }
}
