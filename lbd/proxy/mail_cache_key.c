/* mail_cache_key - see mail_cache_key.h. */
#include "lbd/proxy/mail_cache_key.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lbd/base/mem.h"
#include "lbd/base/random.h"
#include "lbd/tls/digest.h"

#define SECRET_BYTES 32U
#define TEXT_MAX     (MAIL_TOKEN_MAX + 4 * MAIL_USER_MAX + 512)

struct mail_cache_secret {
    char bytes[SECRET_BYTES];
};

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

struct mail_cache_secret *mail_cache_secret_new(struct err *err)
{
    void *page =
        mmap(NULL, page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        (void)err_set(err, ERR_SYSTEM, "cannot map a page for a secret: %s", strerror(errno));
        return NULL;
    }
    /* where the limits of the process forbid it, the page is like any other */
    (void)mlock(page, page_bytes());
    (void)madvise(page, page_bytes(), MADV_DONTDUMP);
    struct mail_cache_secret *secret = page;
    random_bytes(secret->bytes, sizeof(secret->bytes));
    return secret;
}

void mail_cache_secret_free(struct mail_cache_secret *secret)
{
    if (secret != NULL) {
        mem_wipe(secret->bytes, sizeof(secret->bytes));
        (void)munmap(secret, page_bytes());
    }
}

/* What is put together and hashed; its parts are told apart by a NUL, which no name has in it. */
struct text {
    size_t len;
    char bytes[TEXT_MAX];
};

static void add(struct text *text, struct slice part)
{
    assert(part.len + 1 <= sizeof(text->bytes) - text->len);
    if (part.len > 0) {
        memcpy(text->bytes + text->len, part.ptr, part.len);
    }
    text->len += part.len;
    text->bytes[text->len++] = '\0';
}

static void hash(const struct mail_cache_secret *secret, const struct text *text, uint8_t *out,
                 size_t len)
{
    uint8_t sum[DIGEST_SHA256_BYTES];
    digest_hmac_sha256(slice_of(secret->bytes, sizeof(secret->bytes)),
                       slice_of(text->bytes, text->len), sum);
    memcpy(out, sum, len);
}

void mail_cache_key_user(const struct mail_cache_secret *secret, struct slice user,
                         uint8_t out[MAIL_CACHE_NAME_BYTES])
{
    struct text text;
    text.len = 0;
    add(&text, SLICE("user"));
    add(&text, user);
    hash(secret, &text, out, MAIL_CACHE_NAME_BYTES);
}

void mail_cache_key_make(const struct mail_cache_secret *secret,
                         const struct mail_cache_login *login, struct mail_cache_key *key)
{
    struct text text;
    struct slice mechanism = slice_from(mail_mechanism_word(login->mechanism));
    mail_cache_key_user(secret, login->user, key->user);

    text.len = 0;
    add(&text, SLICE("name"));
    add(&text, login->group);
    add(&text, login->pool->name);
    add(&text, login->user);
    add(&text, login->login);
    add(&text, login->authzid);
    add(&text, login->origin);
    add(&text, mechanism);
    hash(secret, &text, key->name, sizeof(key->name));

    text.len = 0;
    add(&text, SLICE("secret"));
    add(&text, mechanism);
    add(&text, login->login);
    add(&text, login->authzid);
    add(&text, login->secret); /* the last: it may hold anything */
    hash(secret, &text, key->verifier, sizeof(key->verifier));
    mem_wipe(text.bytes, text.len);
}

bool mail_cache_key_same_name(const struct mail_cache_key *a, const struct mail_cache_key *b)
{
    return digest_equal(a->user, b->user, sizeof(a->user)) &
           digest_equal(a->name, b->name, sizeof(a->name));
}

bool mail_cache_key_same_secret(const struct mail_cache_key *a, const struct mail_cache_key *b)
{
    return digest_equal(a->verifier, b->verifier, sizeof(a->verifier));
}
