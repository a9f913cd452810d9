#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/undo_file.h"
#include "tests/unit/unit.h"

static char directory[64];

static void set_up(void)
{
    (void)snprintf(directory, sizeof(directory), "/tmp/lbctl-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

static void tear_down(void)
{
    (void)nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void check_saved(const char *want_path, const char *text)
{
    struct buf path;
    struct err err = {.kind = ERR_NONE};
    struct stat status;
    char read_back[64] = "";
    buf_init(&path, 4096);
    ck_assert_msg(undo_file_save(slice_from(text), &path, &err), "%s", err.text);
    ck_assert_str_eq(path.data, want_path);
    ck_assert_int_eq(stat(path.data, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    FILE *file = fopen(path.data, "r");
    ck_assert_ptr_nonnull(file);
    (void)!fread(read_back, 1, sizeof(read_back) - 1, file);
    (void)fclose(file);
    ck_assert_str_eq(read_back, text);
    buf_fini(&path);
}

START_TEST(is_kept_below_the_state_home)
{
    char home[128];
    char want[192];
    set_up();
    (void)snprintf(home, sizeof(home), "%s/deep/er", directory);
    (void)snprintf(want, sizeof(want), "%s/lbd/before-apply.json", home);
    ck_assert_int_eq(setenv("XDG_STATE_HOME", home, 1), 0);
    check_saved(want, "{\"schema\":1}\n");
    check_saved(want, "{}\n"); /* the newer replaces the older, whole */
    tear_down();
}
END_TEST

START_TEST(or_below_the_home)
{
    char want[192];
    set_up();
    ck_assert_int_eq(unsetenv("XDG_STATE_HOME"), 0);
    ck_assert_int_eq(setenv("HOME", directory, 1), 0);
    (void)snprintf(want, sizeof(want), "%s/.local/state/lbd/before-apply.json", directory);
    check_saved(want, "x");
    tear_down();
}
END_TEST

START_TEST(says_why_it_cannot)
{
    struct buf path;
    struct err err = {.kind = ERR_NONE};
    buf_init(&path, 4096);
    ck_assert_int_eq(unsetenv("XDG_STATE_HOME"), 0);
    ck_assert_int_eq(unsetenv("HOME"), 0);
    ck_assert(!undo_file_save(SLICE("x"), &path, &err));
    ck_assert_int_eq(err.kind, ERR_STORAGE);
    ck_assert_int_eq(setenv("HOME", "/dev/null", 1), 0);
    ck_assert(!undo_file_save(SLICE("x"), &path, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "/dev/null"));
    buf_fini(&path);
}
END_TEST

UNIT_TESTS("undo_file", is_kept_below_the_state_home, or_below_the_home, says_why_it_cannot)
