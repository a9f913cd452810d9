#include "lbd/tls/tls_key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "lbd/base/mem.h"
#include "lbd/tls/tls_error.h"

struct tls_key {
    EVP_PKEY *key;
    char *path;
};

/* Never asks on a terminal. */
static int no_passphrase(char *out, int size, int is_write, void *arg)
{
    (void)out;
    (void)size;
    (void)is_write;
    (void)arg;
    return -1;
}

static FILE *open_private(const char *path, struct err *err)
{
    struct stat found;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &found) != 0) {
        int error = errno;
        (void)err_set_at(err, ERR_INVALID, path, "cannot open the key '%s' as user %u: %s", path,
                         (unsigned)geteuid(), strerror(error));
        if (fd >= 0) {
            (void)close(fd);
        }
        return NULL;
    }
    if ((found.st_mode & (S_IROTH | S_IWOTH | S_IWGRP)) != 0) {
        (void)err_set_at(err, ERR_INVALID, path,
                         "the key '%s' is open to others: chmod 0600, or 0640 for a group", path);
        (void)close(fd);
        return NULL;
    }
    return fdopen(fd, "r");
}

struct tls_key *tls_key_load(const char *path, struct err *err)
{
    FILE *file = open_private(path, err);
    if (file == NULL) {
        return NULL;
    }
    tls_error_clear();
    EVP_PKEY *found = PEM_read_PrivateKey(file, NULL, no_passphrase, NULL);
    (void)fclose(file);
    if (found == NULL) {
        (void)tls_error_set(err, ERR_INVALID, "cannot read the key '%s' (PEM, no passphrase)",
                            path);
        return NULL;
    }
    struct tls_key *key = mem_zero(1, sizeof(*key));
    key->key = found;
    key->path = mem_strdup(path);
    return key;
}

void tls_key_free(struct tls_key *key)
{
    if (key != NULL) {
        EVP_PKEY_free(key->key);
        free(key->path);
        free(key);
    }
}

bool tls_key_use(const struct tls_key *key, SSL_CTX *context, struct err *err)
{
    tls_error_clear();
    if (SSL_CTX_use_PrivateKey(context, key->key) != 1 || SSL_CTX_check_private_key(context) != 1) {
        return tls_error_set(err, ERR_INVALID, "the key '%s' is not that of the certificate",
                             key->path);
    }
    return true;
}
