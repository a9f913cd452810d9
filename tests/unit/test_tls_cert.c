#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/base/now.h"
#include "lbd/tls/tls_cert.h"
#include "lbd/tls/tls_file.h"
#include "tests/unit/tls_files.h"
#include "tests/unit/unit.h"

static struct tls_files files;

static struct slice text_of(const char *path)
{
    struct slice text;
    struct err err = {0};
    ck_assert_msg(tls_file_read(path, "the file", false, TLS_CERT_PEM_MAX, &text, &err), "%s",
                  err.text);
    return text;
}

static bool eq(struct slice found, const char *want)
{
    return slice_eq(found, slice_from(want));
}

START_TEST(knows_what_it_holds)
{
    struct err err = {0};
    tls_files_begin(&files);
    struct tls_cert *cert = tls_cert_from_files(files.chain, files.key, &err);
    ck_assert_msg(cert != NULL, "%s", err.text);
    const struct tls_cert_facts *facts = tls_cert_facts(cert);
    ck_assert(eq(facts->subject, "CN=localhost"));
    ck_assert(eq(facts->issuer, "CN=test CA"));
    ck_assert_uint_eq(facts->name_count, 1);
    ck_assert(eq(facts->names[0], "localhost"));
    ck_assert_uint_eq(facts->address_count, 1);
    ck_assert(eq(facts->addresses[0], "127.0.0.1"));
    ck_assert_uint_gt(facts->not_after_us, now_wall_us());
    ck_assert_uint_lt(facts->not_before_us, now_wall_us());
    ck_assert_int_eq(facts->key_kind, TLS_KEY_EC);
    ck_assert_uint_eq(facts->key_bits, 256);
    ck_assert_uint_eq(facts->chain_count, 1);
    ck_assert(!facts->is_self_signed && !facts->must_staple);
    ck_assert_uint_eq(facts->ocsp_url.len, 0);
    ck_assert_uint_eq(strlen(facts->sha256), 64);
    ck_assert_uint_eq(strlen(facts->key_sha256), 64);
    ck_assert(tls_cert_is_for(cert, SLICE("LOCALHOST")));
    ck_assert(tls_cert_is_for(cert, SLICE("127.0.0.1")));
    ck_assert(!tls_cert_is_for(cert, SLICE("127.0.0.2")));
    ck_assert(!tls_cert_is_for(cert, SLICE("localhost.evil")));
    ck_assert(!tls_cert_is_for(cert, SLICE("")));
    ck_assert_int_eq(tls_cert_chain(cert), TLS_CHAIN_CUT_SHORT);

    struct slice chain = text_of(files.chain);
    struct slice key = text_of(files.key);
    struct tls_cert *same = tls_cert_from_pem(chain, key, &err);
    ck_assert_msg(same != NULL, "%s", err.text);
    ck_assert(tls_cert_is_same(cert, same));
    tls_cert_unref(same);
    tls_files_renew(&files);
    struct tls_cert *other = tls_cert_from_files(files.chain, files.key, &err);
    ck_assert(other != NULL && !tls_cert_is_same(cert, other));
    tls_cert_unref(other);
    tls_cert_unref(tls_cert_ref(cert));
    tls_cert_unref(cert);
    tls_cert_unref(NULL);
    tls_file_forget(chain);
    tls_file_forget(key);
    tls_files_end(&files);
}
END_TEST

/* The chain as a server should show it, and as it should not. */
START_TEST(sees_a_chain_that_is_not_whole)
{
    struct err err = {0};
    char text[8192];
    tls_files_begin(&files);
    struct slice leaf = text_of(files.chain);
    struct slice key = text_of(files.key);
    const struct {
        const char *next;
        enum tls_chain want;
        uint32_t count;
    } cases[] = {
        {NULL, TLS_CHAIN_CUT_SHORT, 1},
        {files.ca, TLS_CHAIN_WHOLE, 2},
        {files.other_ca, TLS_CHAIN_TORN, 2},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice next = cases[i].next != NULL ? text_of(cases[i].next) : SLICE_NONE;
        int len = snprintf(text, sizeof(text), "words before\n%.*s%.*s", SLICE_ARG(leaf),
                           SLICE_ARG(next));
        struct tls_cert *cert = tls_cert_from_pem(slice_of(text, (size_t)len), key, &err);
        ck_assert_msg(cert != NULL, "%s", err.text);
        ck_assert_int_eq(tls_cert_chain(cert), cases[i].want);
        ck_assert_uint_eq(tls_cert_facts(cert)->chain_count, cases[i].count);
        tls_cert_unref(cert);
        tls_file_forget(next);
    }
    tls_file_forget(leaf);
    tls_file_forget(key);
    tls_files_end(&files);
}
END_TEST

START_TEST(says_what_is_wrong_and_where)
{
    tls_files_begin(&files);
    char open_key[TLS_FILES_PATH_MAX];
    char broken[TLS_FILES_PATH_MAX];
    struct slice key = text_of(files.key);
    struct slice chain = text_of(files.chain);
    (void)snprintf(open_key, sizeof(open_key), "%s/client-key.pem", files.folder);
    (void)snprintf(broken, sizeof(broken), "%s/late.pem", files.folder);
    tls_files_write(open_key, "not secret", 0644);
    tls_files_write(broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0644);
    const struct {
        const char *chain;
        const char *key;
        const char *place;
        const char *has;
    } cases[] = {
        {"/nowhere", files.key, "chain_file", "cannot open the certificate '/nowhere' as user"},
        {files.key, files.key, "chain_file", "cannot read the certificate '"},
        {broken, files.key, "chain_file", "cannot read the certificate '"},
        {files.chain, "/nowhere", "key_file", "cannot open the key '/nowhere' as user"},
        {files.chain, open_key, "key_file", "is open to others: chmod 0600"},
        {files.chain, files.ca, "key_file", "open to others"},
        {files.chain, files.stranger_key, "key_file", "is not that of the certificate '"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        ck_assert_ptr_null(tls_cert_from_files(cases[i].chain, cases[i].key, &err));
        ck_assert_int_eq(err.kind, ERR_INVALID);
        ck_assert_str_eq(err.place, cases[i].place);
        ck_assert_msg(strstr(err.text, cases[i].has) != NULL, "%s", err.text);
    }
    struct err err = {0};
    ck_assert_ptr_null(tls_cert_from_pem(SLICE("x"), key, &err));
    ck_assert_str_eq(err.place, "chain");
    ck_assert_ptr_null(tls_cert_from_pem(chain, SLICE(""), &err));
    ck_assert_str_eq(err.place, "key");
    ck_assert_msg(strstr(err.text, "cannot read the key") != NULL, "%s", err.text);
    tls_file_forget(key);
    tls_file_forget(chain);
    tls_files_end(&files);
}
END_TEST

START_TEST(takes_only_answers_about_itself)
{
    struct err err = {0};
    struct tls_ocsp_facts facts;
    uint8_t shown[TLS_CERT_OCSP_MAX];
    uint8_t *request = NULL;
    size_t len = 0;
    tls_files_begin(&files);
    struct tls_cert *cert = tls_cert_from_files(files.chain, files.key, &err);
    ck_assert(cert != NULL);
    ck_assert(!tls_cert_ocsp_request(cert, &request, &len, &err)); /* nobody knows the issuer */
    ck_assert(!tls_cert_ocsp_set(cert, SLICE("junk"), now_wall_us(), &facts, &err));
    ck_assert_msg(strstr(err.text, "does not have the certificate") != NULL, "%s", err.text);
    tls_cert_unref(cert);
    cert = tls_files_cert(&files);
    ck_assert(!tls_cert_ocsp_set(cert, SLICE("junk"), now_wall_us(), &facts, &err));
    ck_assert_msg(strstr(err.text, "no OCSP answer") != NULL, "%s", err.text);
    ck_assert(!tls_cert_ocsp_set(cert, SLICE(""), now_wall_us(), &facts, &err));
    /* OCSPResponse { tryLater } */
    ck_assert(!tls_cert_ocsp_set(cert, SLICE("\x30\x03\x0a\x01\x03"), now_wall_us(), &facts, &err));
    ck_assert_msg(strstr(err.text, "trylater") != NULL, "%s", err.text);
    ck_assert_uint_eq(tls_cert_ocsp_copy(cert, shown), 0);
    ck_assert_uint_eq(tls_cert_ocsp_until_us(cert), 0);
    tls_cert_ocsp_clear(cert);
    tls_cert_unref(cert);
    tls_files_end(&files);
}
END_TEST

START_TEST(shows_a_good_answer_until_it_runs_out)
{
    struct err err = {0};
    struct tls_ocsp_facts facts;
    unsigned char answer[TLS_FILES_OCSP_MAX];
    uint8_t shown[TLS_CERT_OCSP_MAX];
    uint8_t *request = NULL;
    size_t len = 0;
    tls_files_begin(&files);
    struct tls_cert *cert = tls_files_cert(&files);
    ck_assert_msg(tls_cert_ocsp_request(cert, &request, &len, &err), "%s", err.text);
    ck_assert_uint_gt(len, 0);
    free(request);
    const struct {
        const char *about;
        bool is_good;
        long from_s;
        long until_s;
        const char *why; /* NULL: it is taken */
        enum tls_ocsp_status status;
    } cases[] = {
        {files.chain, true, -60, 3600, NULL, TLS_OCSP_GOOD},
        {files.chain, false, -60, 3600, NULL, TLS_OCSP_REVOKED},
        {files.client_chain, true, -60, 3600, "about another certificate", TLS_OCSP_UNKNOWN},
        {files.chain, true, -7200, -3600, "is not of this time", TLS_OCSP_UNKNOWN},
        {files.chain, true, 3600, 7200, "is not of this time", TLS_OCSP_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        len = tls_files_ocsp(cases[i].about, cases[i].is_good, cases[i].from_s, cases[i].until_s,
                             answer);
        bool taken = tls_cert_ocsp_set(cert, slice_of((const char *)answer, len), now_wall_us(),
                                       &facts, &err);
        ck_assert_msg(taken == (cases[i].why == NULL), "%zu: %s", i, err.text);
        ck_assert(taken || strstr(err.text, cases[i].why) != NULL);
        bool shows = taken && cases[i].status == TLS_OCSP_GOOD;
        ck_assert(!taken || facts.status == cases[i].status);
        if (shows) {
            ck_assert_uint_eq(tls_cert_ocsp_copy(cert, shown), len);
            ck_assert_int_eq(memcmp(shown, answer, len), 0);
            ck_assert_uint_gt(tls_cert_ocsp_until_us(cert), now_wall_us());
        }
    }
    ck_assert_uint_gt(tls_cert_ocsp_copy(cert, shown), 0); /* the good one stays */
    answer[len / 2] ^= 1;
    ck_assert(
        !tls_cert_ocsp_set(cert, slice_of((const char *)answer, len), now_wall_us(), &facts, &err));
    tls_cert_ocsp_clear(cert);
    ck_assert_uint_eq(tls_cert_ocsp_copy(cert, shown), 0);
    tls_cert_unref(cert);
    tls_files_end(&files);
}
END_TEST

UNIT_TESTS("tls_cert", shows_a_good_answer_until_it_runs_out, knows_what_it_holds,
           sees_a_chain_that_is_not_whole, says_what_is_wrong_and_where,
           takes_only_answers_about_itself)
