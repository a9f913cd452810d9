#include "lbd/tls/tls_secret.h"

#include <stdint.h>
#include <stdlib.h>

#include "lbd/base/mem.h"
#include "lbd/tls/tls_file.h"

struct tls_secret {
    uint32_t refs;
    struct slice file; /* all that was read */
    struct slice text; /* of it */
};

struct tls_secret *tls_secret_from_file(const char *path, size_t min, struct err *err)
{
    struct slice file;
    if (!tls_file_read(path, "the secret", true, TLS_SECRET_MAX + 2, &file, err)) {
        return NULL;
    }
    struct tls_secret *secret = mem_zero(1, sizeof(*secret));
    secret->refs = 1;
    secret->file = file;
    secret->text = file;
    while (secret->text.len > 0 && (secret->text.ptr[secret->text.len - 1] == '\n' ||
                                    secret->text.ptr[secret->text.len - 1] == '\r')) {
        secret->text.len--;
    }
    if (secret->text.len < min) { /* perhaps a file that is being written, or forgotten */
        (void)(secret->text.len == 0
                   ? err_set(err, ERR_INVALID, "there is no secret in '%s'", path)
                   : err_set(err, ERR_INVALID, "'%s' is shorter than %zu bytes", path, min));
        tls_secret_unref(secret);
        return NULL;
    }
    return secret;
}

struct tls_secret *tls_secret_ref(struct tls_secret *secret)
{
    secret->refs++;
    return secret;
}

void tls_secret_unref(struct tls_secret *secret)
{
    if (secret != NULL && --secret->refs == 0) {
        tls_file_forget(secret->file);
        free(secret);
    }
}

struct slice tls_secret_text(const struct tls_secret *secret)
{
    return secret->text;
}

bool tls_secret_is_same(const struct tls_secret *a, const struct tls_secret *b)
{
    return slice_eq(a->text, b->text);
}
