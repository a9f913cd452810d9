#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lbd/control/memory_share.h"
#include "tests/unit/unit.h"

static char root[64];

static void write_limit(const char *folder, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s%s", root, folder);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof(path), "%s%s/memory.max", root, folder);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

START_TEST(the_least_on_the_way_up_counts)
{
    (void)snprintf(root, sizeof(root), "/tmp/lbd_memory_share_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    write_limit("/slice", "3000000\n");
    write_limit("/slice/one", "max\n");
    write_limit("/slice/two", "2000000\n");
    write_limit("/slice/three", "9000000\n");
    write_limit("/other", "max\n");
    ck_assert_uint_eq(memory_share_of_cgroup(root, "/slice/one"), 3000000);
    ck_assert_uint_eq(memory_share_of_cgroup(root, "/slice/two"), 2000000);
    ck_assert_uint_eq(memory_share_of_cgroup(root, "/slice/three"), 3000000);
    ck_assert_uint_eq(memory_share_of_cgroup(root, "/other"), UINT64_MAX);
    ck_assert_uint_eq(memory_share_of_cgroup(root, "/"), UINT64_MAX);
    ck_assert_uint_eq(memory_share_of_cgroup(root, "/not/there"), UINT64_MAX);
    ck_assert_uint_eq(memory_share_of_cgroup(root, "nonsense"), UINT64_MAX);
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -r %s", root);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(this_process_has_some)
{
    ck_assert_uint_gt(memory_share(), 1U << 20U);
}
END_TEST

UNIT_TESTS("memory_share", the_least_on_the_way_up_counts, this_process_has_some)
