#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "lbd/tls/tls_peer.h"
#include "tests/unit/tls_files.h"
#include "tests/unit/unit.h"

static struct tls_files files;

static X509 *read_one(const char *path)
{
    FILE *file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    X509 *found = PEM_read_X509(file, NULL, NULL, NULL);
    (void)fclose(file);
    ck_assert_ptr_nonnull(found);
    return found;
}

/* A certificate with this name, signed by itself. */
static X509 *named(const char *common_name, size_t len)
{
    X509 *made = X509_new();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    (void)X509_gmtime_adj(X509_getm_notBefore(made), 0);
    (void)X509_gmtime_adj(X509_getm_notAfter(made), 60);
    ck_assert_int_eq(X509_set_pubkey(made, key), 1);
    ck_assert_int_eq(X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8,
                                                (const unsigned char *)common_name, (int)len, -1,
                                                0),
                     1);
    ck_assert_int_ne(X509_sign(made, key, EVP_sha256()), 0);
    EVP_PKEY_free(key);
    return made;
}

START_TEST(tells_who_showed_it)
{
    tls_files_begin(&files);
    X509 *alice = read_one(files.client_chain);
    unsigned char *der = NULL;
    int der_len = i2d_X509(alice, &der);
    for (int whole = 0; whole < 2; whole++) {
        struct tls_peer *peer = tls_peer_new(alice, whole == 1);
        ck_assert_ptr_nonnull(peer);
        ck_assert(slice_eq(peer->subject, SLICE("CN=alice")));
        ck_assert_uint_eq(strlen(peer->sha256), 64);
        if (whole == 0) {
            ck_assert_uint_eq(peer->field.len, 0);
        } else {
            unsigned char back[8192];
            ck_assert(peer->field.ptr[0] == ':' && slice_ends(peer->field, SLICE(":")));
            int len = EVP_DecodeBlock(back, (const unsigned char *)peer->field.ptr + 1,
                                      (int)peer->field.len - 2);
            ck_assert_int_ge(len, der_len); /* with what fills the last three up */
            ck_assert_int_eq(memcmp(back, der, (size_t)der_len), 0);
        }
        tls_peer_free(peer);
    }
    OPENSSL_free(der);
    X509_free(alice);
    ck_assert_ptr_null(tls_peer_new(NULL, true));
    tls_peer_free(NULL);
    tls_files_end(&files);
}
END_TEST

START_TEST(strange_bytes_are_escaped)
{
    static const struct {
        const char *name;
        size_t len;
        const char *want;
    } cases[] = {
        {"a, b", 4, "CN=a\\, b"},
        {"a\r\nX: 1", 7, "CN=a\\0D\\0AX: 1"},
        {"m\xc3\xbcller", 7, "CN=m\\C3\\BCller"},
        {"a\0b", 3, "CN=a\\00b"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        X509 *made = named(cases[i].name, cases[i].len);
        struct tls_peer *peer = tls_peer_new(made, false);
        ck_assert_ptr_nonnull(peer);
        ck_assert_msg(slice_eq(peer->subject, slice_from(cases[i].want)), "%zu: %.*s", i,
                      SLICE_ARG(peer->subject));
        tls_peer_free(peer);
        X509_free(made);
    }
}
END_TEST

UNIT_TESTS("tls_peer", tells_who_showed_it, strange_bytes_are_escaped)
