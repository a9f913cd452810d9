#include <string.h>
#include <sys/stat.h>

#include "lbd/tls/tls_key.h"
#include "tests/unit/tls_files.h"
#include "tests/unit/unit.h"

/* an Ed25519 key behind a passphrase */
#define LOCKED_KEY                                                                                 \
    "MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAj5X6S/8/TiPgICCAAw\n"                           \
    "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEB0dcReUA/uFQ8jjLWljf9YEQLCz\n"                           \
    "b0Iw/9lV841lcDOQYYo5pH4yCSevfaH6dcwf4tTM1tE9WzRpedWmQobj7deuMITF\n"                           \
    "AXdQclI6xpkdXwuXZWg=\n"

START_TEST(says_what_is_wrong_with_a_key)
{
    struct tls_files files;
    struct err err = {0};
    tls_files_begin(&files);
    struct tls_key *key = tls_key_load(files.key, &err);
    ck_assert_msg(key != NULL, "%s", err.text);

    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    ck_assert_int_eq(SSL_CTX_use_certificate_chain_file(context, files.chain), 1);
    ck_assert(tls_key_use(key, context, &err));
    ck_assert_int_eq(SSL_CTX_use_certificate_chain_file(context, files.client_chain), 1);
    ck_assert(!tls_key_use(key, context, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "not that of the certificate"));
    SSL_CTX_free(context);
    tls_key_free(key);
    tls_key_free(NULL);

    ck_assert_ptr_null(tls_key_load("/nowhere/key.pem", &err));
    ck_assert_ptr_nonnull(strstr(err.text, "No such file"));
    ck_assert_int_eq(chmod(files.key, 0644), 0);
    ck_assert_ptr_null(tls_key_load(files.key, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "open to others"));
    ck_assert_int_eq(chmod(files.key, 0640), 0); /* a group may read it */
    key = tls_key_load(files.key, &err);
    ck_assert_ptr_nonnull(key);
    tls_key_free(key);
    tls_files_write(files.key,
                    "-----BEGIN ENCRYPTED PRIVATE KEY-----\n" LOCKED_KEY
                    "-----END ENCRYPTED PRIVATE KEY-----\n",
                    0600);
    ck_assert_ptr_null(tls_key_load(files.key, &err));
    ck_assert_msg(strstr(err.text, "has a passphrase") != NULL, "%s", err.text);
    tls_files_write(files.key, "nothing\n", 0600);
    ck_assert_ptr_null(tls_key_load(files.key, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "cannot read the key"));
    ck_assert_int_eq(err.kind, ERR_INVALID);
    tls_files_end(&files);
}
END_TEST

UNIT_TESTS("tls_key", says_what_is_wrong_with_a_key)
