#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/base/now.h"
#include "lbd/tls/tls_ca.h"
#include "tests/unit/tls_files.h"
#include "tests/unit/unit.h"

static struct tls_files files;

START_TEST(another_set_has_another_revision)
{
    struct err err = {0};
    tls_files_begin(&files);
    struct tls_ca *ca = tls_ca_from_files(files.ca, NULL, &err);
    struct tls_ca *again = tls_ca_from_files(files.ca, NULL, &err);
    struct tls_ca *other = tls_ca_from_files(files.other_ca, NULL, &err);
    struct tls_ca *system = tls_ca_system(&err);
    ck_assert_msg(ca != NULL && again != NULL && other != NULL && system != NULL, "%s", err.text);
    ck_assert(tls_ca_is_same(ca, again));
    ck_assert(!tls_ca_is_same(ca, other));
    ck_assert(!tls_ca_is_same(ca, system));
    ck_assert_uint_eq(tls_ca_facts(ca)->count, 1);
    ck_assert_uint_gt(tls_ca_facts(ca)->not_after_us, now_wall_us());
    ck_assert_str_eq(tls_ca_facts(ca)->revision_hex, tls_ca_facts(again)->revision_hex);
    ck_assert(slice_eq(tls_ca_subject(ca, 0), SLICE("CN=test CA")));
    ck_assert_uint_eq(tls_ca_subject(ca, 1).len, 0);
    tls_ca_unref(tls_ca_ref(ca));
    tls_ca_unref(ca);
    tls_ca_unref(again);
    tls_ca_unref(other);
    tls_ca_unref(system);
    tls_ca_unref(NULL);
    tls_files_end(&files);
}
END_TEST

START_TEST(says_what_is_wrong_and_where)
{
    tls_files_begin(&files);
    const struct {
        const char *file;
        const char *crl;
        const char *place;
        const char *has;
    } cases[] = {
        {"/nowhere", NULL, "file", "cannot open the set of authorities '/nowhere'"},
        {files.key, NULL, "file", "cannot read the set of authorities"},
        {files.ca, "/nowhere", "crl_file", "cannot open the revocation list '/nowhere'"},
        {files.ca, files.ca, "crl_file", "cannot read the revocation list"},
        {files.ca, "/dev/null", "crl_file", "is empty"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        ck_assert_ptr_null(tls_ca_from_files(cases[i].file, cases[i].crl, &err));
        ck_assert_int_eq(err.kind, ERR_INVALID);
        ck_assert_str_eq(err.place, cases[i].place);
        ck_assert_msg(strstr(err.text, cases[i].has) != NULL, "%s", err.text);
    }
    struct err err = {0};
    ck_assert_ptr_null(tls_ca_from_pem(SLICE("nothing"), SLICE_NONE, &err));
    ck_assert_str_eq(err.place, "pem");
    tls_files_end(&files);
}
END_TEST

UNIT_TESTS("tls_ca", another_set_has_another_revision, says_what_is_wrong_and_where)
