#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lbd/base/file_stamp.h"
#include "tests/unit/unit.h"

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq((int)write(fd, text, strlen(text)), (int)strlen(text));
    ck_assert_int_eq(close(fd), 0);
}

START_TEST(tells_states_apart)
{
    char dir[] = "/tmp/test_file_stamp.XXXXXX";
    char one[64];
    char two[64];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(one, sizeof(one), "%s/one", dir);
    (void)snprintf(two, sizeof(two), "%s/two", dir);
    struct file_stamp none = file_stamp_of(one);
    ck_assert(!none.exists);
    write_file(one, "a");
    struct file_stamp first = file_stamp_of(one);
    struct file_stamp again = file_stamp_of(one);
    ck_assert(first.exists && file_stamp_is_same(&first, &again));
    ck_assert(!file_stamp_is_same(&first, &none));
    write_file(two, "b");
    ck_assert_int_eq(rename(two, one), 0);
    struct file_stamp replaced = file_stamp_of(one);
    ck_assert(!file_stamp_is_same(&first, &replaced));
    struct file_stamp nothing = file_stamp_of(NULL);
    ck_assert(file_stamp_is_same(&nothing, &none));
    (void)unlink(one);
    (void)rmdir(dir);
}
END_TEST

START_TEST(several_have_one_in_their_order)
{
    struct file_stamp root = file_stamp_of("/");
    struct file_stamp dev = file_stamp_of("/dev");
    struct file_stamp a = {0};
    struct file_stamp b = {0};
    struct file_stamp again = {0};
    file_stamp_add(&a, &root);
    file_stamp_add(&a, &dev);
    file_stamp_add(&b, &dev);
    file_stamp_add(&b, &root);
    file_stamp_add(&again, &root);
    file_stamp_add(&again, &dev);
    ck_assert(a.exists && file_stamp_is_same(&a, &again));
    ck_assert(!file_stamp_is_same(&a, &b) && !file_stamp_is_same(&a, &root));
}
END_TEST

UNIT_TESTS("file_stamp", tells_states_apart, several_have_one_in_their_order)
