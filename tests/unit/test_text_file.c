#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/text_file.h"
#include "tests/unit/unit.h"

START_TEST(what_is_written_is_read)
{
    char directory[] = "/tmp/lbctl-test-XXXXXX";
    char path[64];
    struct ctl ctl;
    struct err err = {.kind = ERR_NONE};
    struct stat status;
    struct buf text;
    ctl_init(&ctl);
    ck_assert_ptr_nonnull(mkdtemp(directory));
    (void)snprintf(path, sizeof(path), "%s/file", directory);
    ck_assert_msg(text_file_replace(path, SLICE("one\n"), &err), "%s", err.text);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0600); /* a new one is for its owner */
    ck_assert_int_eq(chmod(path, 0644), 0);
    ck_assert_msg(text_file_replace(path, SLICE("two\n"), &err), "%s", err.text);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0644);
    text_file_init(&text);
    ck_assert_int_eq(text_file_read(&ctl, path, &text), CTL_OK);
    ck_assert(slice_eq(buf_slice(&text), SLICE("two\n")));
    buf_fini(&text);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(rmdir(directory), 0); /* nothing was left beside it */
}
END_TEST

START_TEST(what_cannot_be_is_said)
{
    struct ctl ctl;
    struct err err = {.kind = ERR_NONE};
    struct buf text;
    char *said = NULL;
    size_t len;
    ctl_init(&ctl);
    ctl.err = open_memstream(&said, &len);
    text_file_init(&text);
    ck_assert_int_eq(text_file_read(&ctl, "/nonexistent/file", &text), CTL_USAGE);
    ck_assert_int_eq(text_file_read(&ctl, "/tmp", &text), CTL_USAGE);
    ck_assert(!text_file_replace("/nonexistent/file", SLICE("x"), &err));
    ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent/file"));
    (void)fclose(ctl.err);
    ck_assert_ptr_nonnull(strstr(said, "cannot open '/nonexistent/file'"));
    ck_assert_ptr_nonnull(strstr(said, "cannot read '/tmp'"));
    free(said);
    buf_fini(&text);
    ck_assert_str_eq(text_file_name("-"), "stdin");
}
END_TEST

UNIT_TESTS("text_file", what_is_written_is_read, what_cannot_be_is_said)
