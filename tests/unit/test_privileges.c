#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lbd/control/privileges.h"
#include "tests/unit/unit.h"

static char directory[64];

static void begin(void)
{
    (void)snprintf(directory, sizeof(directory), "/tmp/lbd-unit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

START_TEST(the_soft_limit_becomes_the_hard_one)
{
    struct rlimit limit;
    uint32_t files = privileges_raise_files();
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(limit.rlim_cur, limit.rlim_max);
    ck_assert_uint_eq(files, limit.rlim_cur > UINT32_MAX ? UINT32_MAX : limit.rlim_cur);
}
END_TEST

START_TEST(a_user_is_found_by_name)
{
    struct privileges_user user;
    struct err err = {0};
    ck_assert(privileges_find_user(SLICE("root"), &user, &err));
    ck_assert_uint_eq(user.uid, 0);
    ck_assert_str_eq(user.name, "root");
    ck_assert(!privileges_find_user(SLICE("no-such-user-here"), &user, &err));
    ck_assert_str_eq(err.place, "/daemon/user");
    ck_assert_int_eq(err.kind, ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "no-such-user-here"));
}
END_TEST

START_TEST(a_directory_is_made_with_its_mode)
{
    char path[128];
    struct stat found;
    struct err err = {0};
    begin();
    (void)snprintf(path, sizeof(path), "%s/a/b", directory);
    mode_t old = umask(077);
    ck_assert_msg(privileges_make_directory(path, 0750, NULL, &err), "%s", err.text);
    (void)umask(old);
    ck_assert_int_eq(stat(path, &found), 0);
    ck_assert_uint_eq(found.st_mode & 0777, 0750);
    ck_assert(privileges_make_directory(path, 0700, NULL, &err)); /* exists: stays as it is */
    ck_assert_int_eq(stat(path, &found), 0);
    ck_assert_uint_eq(found.st_mode & 0777, 0750);

    (void)snprintf(path, sizeof(path), "%s/file", directory);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    (void)fclose(file);
    ck_assert(!privileges_make_directory(path, 0750, NULL, &err));
    ck_assert_int_eq(err.kind, ERR_INVALID);

    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s/a/b", directory);
    (void)rmdir(path);
    (void)snprintf(path, sizeof(path), "%s/a", directory);
    (void)rmdir(path);
    (void)rmdir(directory);
}
END_TEST

START_TEST(a_folder_for_everybody_is_not_given_away)
{
    struct privileges_user user;
    struct stat found;
    struct err err = {0};
    if (geteuid() != 0) {
        return; /* it could not be */
    }
    ck_assert(privileges_find_user(SLICE("nobody"), &user, &err));
    begin();
    ck_assert_int_eq(chmod(directory, 01777), 0);
    ck_assert(privileges_make_directory(directory, 0750, &user, &err));
    ck_assert_int_eq(stat(directory, &found), 0);
    ck_assert_uint_eq(found.st_uid, 0);
    ck_assert_int_eq(chmod(directory, 0755), 0);
    ck_assert(privileges_make_directory(directory, 0750, &user, &err));
    ck_assert_int_eq(stat(directory, &found), 0);
    ck_assert_uint_eq(found.st_uid, user.uid);
    (void)rmdir(directory);
}
END_TEST

static unsigned long long status_field(const char *name)
{
    char line[256];
    unsigned long long value = ~0ULL;
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            value = strtoull(line + strlen(name) + 2, NULL, 16);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return value;
}

/* In a child: what is dropped does not come back. Exits with the number of what is wrong. */
static void drop_and_look(const struct privileges_user *user, const char *file)
{
    struct err err;
    struct stat found;
    unsigned long long only = 1ULL << 10; /* CAP_NET_BIND_SERVICE */
    unsigned long long had = status_field("CapPrm");
    if (!privileges_make_file(file, user, &err) || stat(file, &found) != 0 ||
        found.st_uid != user->uid) {
        _exit(1);
    }
    if (!privileges_drop(user, &err)) {
        (void)fprintf(stderr, "%s\n", err.text);
        _exit(2);
    }
    privileges_forbid_new();
    if (geteuid() != user->uid || getegid() != user->gid || setuid(0) == 0) {
        _exit(3);
    }
    if (status_field("CapPrm") != (had & only) || status_field("CapEff") != (had & only) ||
        (status_field("CapBnd") & ~only) != 0) {
        _exit(4);
    }
    if (prctl(PR_GET_NO_NEW_PRIVS, 0UL, 0UL, 0UL, 0UL) != 1) {
        _exit(5);
    }
    _exit(0);
}

START_TEST(root_is_given_up_for_good)
{
    struct privileges_user user;
    struct err err = {0};
    char path[128];
    int status = -1;
    if (geteuid() != 0) {
        return; /* nothing to give up */
    }
    ck_assert(privileges_find_user(SLICE("nobody"), &user, &err));
    begin();
    (void)snprintf(path, sizeof(path), "%s/log", directory);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        drop_and_look(&user, path);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    (void)unlink(path);
    (void)rmdir(directory);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child ended with %d", status);
}
END_TEST

UNIT_TESTS("privileges", the_soft_limit_becomes_the_hard_one, a_user_is_found_by_name,
           a_directory_is_made_with_its_mode, a_folder_for_everybody_is_not_given_away,
           root_is_given_up_for_good)
