#include "lbd/tls/tls_key.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/pem.h>

#include "lbd/base/mem.h"
#include "lbd/tls/tls_error.h"
#include "lbd/tls/tls_file.h"

struct tls_key {
    EVP_PKEY *key;
    char *title;
};

/* Never asks on a terminal. `arg` is told that there is something to ask. */
static int no_passphrase(char *out, int size, int is_write, void *arg)
{
    bool *is_locked = arg;
    (void)out;
    (void)size;
    (void)is_write;
    *is_locked = true;
    return -1;
}

/* `title` becomes the key's. */
static struct tls_key *read_key(struct slice pem, char *title, struct err *err)
{
    tls_error_clear();
    BIO *bio = BIO_new_mem_buf(pem.len != 0 ? pem.ptr : "", (int)pem.len);
    bool is_locked = false;
    EVP_PKEY *found =
        bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &is_locked) : NULL;
    BIO_free(bio);
    if (found == NULL) {
        if (is_locked) {
            (void)err_set(err, ERR_INVALID, "%s has a passphrase: `openssl pkey` takes it off",
                          title);
            tls_error_clear();
        } else {
            (void)tls_error_set(err, ERR_INVALID, "cannot read %s (PEM)", title);
        }
        free(title);
        return NULL;
    }
    struct tls_key *key = mem_zero(1, sizeof(*key));
    key->key = found;
    key->title = title;
    return key;
}

struct tls_key *tls_key_load(const char *path, struct err *err)
{
    struct slice pem;
    char title[256];
    if (!tls_file_read(path, "the key", true, TLS_KEY_PEM_MAX, &pem, err)) {
        return NULL;
    }
    (void)snprintf(title, sizeof(title), "the key '%s'", path);
    struct tls_key *key = read_key(pem, mem_strdup(title), err);
    tls_file_forget(pem);
    return key;
}

struct tls_key *tls_key_from_pem(struct slice pem, struct err *err)
{
    if (pem.len > TLS_KEY_PEM_MAX) {
        (void)err_set(err, ERR_INVALID, "the key is larger than %u bytes", TLS_KEY_PEM_MAX);
        return NULL;
    }
    return read_key(pem, mem_strdup("the key"), err);
}

void tls_key_free(struct tls_key *key)
{
    if (key != NULL) {
        EVP_PKEY_free(key->key);
        free(key->title);
        free(key);
    }
}

bool tls_key_is_of(const struct tls_key *key, X509 *certificate)
{
    bool is_so = X509_check_private_key(certificate, key->key) == 1;
    tls_error_clear();
    return is_so;
}

const char *tls_key_title(const struct tls_key *key)
{
    return key->title;
}

bool tls_key_use(const struct tls_key *key, SSL_CTX *context, struct err *err)
{
    tls_error_clear();
    if (SSL_CTX_use_PrivateKey(context, key->key) != 1 || SSL_CTX_check_private_key(context) != 1) {
        return tls_error_set(err, ERR_INVALID, "%s is not that of the certificate", key->title);
    }
    return true;
}
