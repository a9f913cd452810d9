#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lbd/base/compiler.h"
#include "lbd/snapshot/body_file.h"
#include "tests/unit/unit.h"

static char folder[32];
static char path[64];
static struct err err;

static void write_file(const char *text, size_t len)
{
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, len, file), len);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(chmod(path, 0644), 0);
}

static void setup(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/lbd-body-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/body", folder);
}

static void teardown(void)
{
    (void)unlink(path);
    (void)rmdir(folder);
}

START_TEST(it_is_all_of_the_file)
{
    write_file("a\0b\n", 4);
    struct body_file *body = body_file_new(path, &err);
    ck_assert_msg(body != NULL, "%s", err.text);
    ck_assert(slice_eq(body_file_text(body), slice_of("a\0b\n", 4)));
    write_file("other", 5);
    struct body_file *other = body_file_new(path, &err);
    ck_assert_ptr_nonnull(other);
    ck_assert(!body_file_is_same(body, other));
    ck_assert(body_file_is_same(body, body));
    body_file_unref(other);
    body_file_unref(body_file_ref(body));
    ck_assert_uint_eq(body_file_text(body).len, 4); /* what the file is now does not matter */
    body_file_unref(body);
    body_file_unref(NULL);
}
END_TEST

static void must_fail(const char *at, const char *words)
{
    struct slice text;
    ck_assert_ptr_null(body_file_new(at, &err));
    ck_assert_msg(strstr(err.text, words) != NULL && strstr(err.text, at) != NULL, "%s", err.text);
    ck_assert(!body_file_read(at, &text, &err));
    ck_assert_ptr_null(text.ptr);
}

START_TEST(what_may_not_be_sent_is_refused)
{
    char *large = calloc(1, BODY_FILE_MAX + 1);
    must_fail(path, "No such file");
    must_fail(folder, "is not a regular file");
    must_fail("/dev/null", "is not a regular file");
    ck_assert_int_eq(mkfifo(path, 0644), 0);
    must_fail(path, "is not a regular file"); /* and nobody waits for who writes */
    ck_assert_int_eq(unlink(path), 0);
    write_file("", 0);
    must_fail(path, "is empty"); /* perhaps it is just being written */
    must_fail("/proc/self/maps", "is empty");
    write_file(large, BODY_FILE_MAX + 1);
    must_fail(path, "is larger than 1 MiB");
    write_file(large, BODY_FILE_MAX);
    struct body_file *body = body_file_new(path, &err);
    ck_assert_msg(body != NULL, "%s", err.text);
    ck_assert_uint_eq(body_file_text(body).len, BODY_FILE_MAX);
    body_file_unref(body);
    ck_assert_int_eq(chmod(path, 0640), 0);
    must_fail(path, "is not readable for everybody"); /* a key, perhaps */
    free(large);
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, it_is_all_of_the_file);
    tcase_add_test(tcase, what_may_not_be_sent_is_refused);
}

UNIT_MAIN("body_file", add_all)
