#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lbd/tls/tls_secret.h"
#include "tests/unit/unit.h"

static char path[32];
static struct err err;

static void write_file(const char *text, size_t len)
{
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, len, file), len);
    ck_assert_int_eq(fclose(file), 0);
}

static void setup(void)
{
    (void)snprintf(path, sizeof(path), "/tmp/lbd-secret-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
}

static void teardown(void)
{
    (void)unlink(path);
}

START_TEST(its_text_has_no_line_end)
{
    static const char *const texts[] = {"pass word", "pass word\n", "pass word\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        write_file(texts[i], strlen(texts[i]));
        struct tls_secret *secret = tls_secret_from_file(path, 1, &err);
        ck_assert_msg(secret != NULL, "%s", err.text);
        ck_assert(slice_eq(tls_secret_text(secret), SLICE("pass word")));
        struct tls_secret *other = tls_secret_from_file(path, 1, &err);
        ck_assert_ptr_nonnull(other);
        ck_assert(tls_secret_is_same(secret, other));
        tls_secret_unref(other);
        tls_secret_unref(tls_secret_ref(secret));
        tls_secret_unref(secret);
    }
}
END_TEST

START_TEST(what_is_no_password_is_refused)
{
    char text[TLS_SECRET_MAX + 4];
    memset(text, 'x', sizeof(text));
    write_file("\n", 1);
    ck_assert_ptr_null(tls_secret_from_file(path, 1, &err));
    write_file(text, sizeof(text));
    ck_assert_ptr_null(tls_secret_from_file(path, 1, &err));
    write_file("secret\n", 7);
    ck_assert_ptr_null(tls_secret_from_file(path, 7, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "shorter than 7 bytes"));
    ck_assert_int_eq(chmod(path, 0644), 0);
    ck_assert_ptr_null(tls_secret_from_file(path, 1, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "open to others"));
    ck_assert_ptr_null(tls_secret_from_file("/nowhere/at/all", 1, &err));
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, its_text_has_no_line_end);
    tcase_add_test(tcase, what_is_no_password_is_refused);
}

UNIT_MAIN("tls_secret", add_all)
