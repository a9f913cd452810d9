#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/token_file.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

#define HASH "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

static char folder[64];
static char path[128];

static void begin(void)
{
    (void)strcpy(folder, "/tmp/test-token-file-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/tokens", folder);
}

static void end(void)
{
    (void)chmod(folder, 0700);
    (void)unlink(path);
    ck_assert_int_eq(rmdir(folder), 0); /* no temporary file is left */
}

static void write_file(const char *text, mode_t mode)
{
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)fchmod(fd, mode);
    (void)close(fd);
}

static const struct {
    const char *text;
    uint32_t count;
    const char *problem; /* NULL: it is fine */
} files[] = {
    {"", 0, NULL},
    {"\n  \n# nothing\n", 0, NULL},
    {"a read " HASH " -\n", 1, NULL},
    {"a read " HASH " -", 1, NULL},
    {"  a\tadmin  " HASH " 2027-01-31T00:00:00Z  the note, of several words \r\n", 1, NULL},
    {"a metrics " HASH " -\nb.c-1 operate " HASH " -\n", 2, NULL},
    {"a read " HASH " -\na admin " HASH " -\n", 0, "line 2: the id stands twice"},
    {"A read " HASH " -\n", 0, "line 1: the id must be a name"},
    {"a root " HASH " -\n", 0, "line 1: the role must be"},
    {"\na read abc -\n", 0, "line 2: the hash must be"},
    {"a read " HASH "00 -\n", 0, "line 1: the hash must be"},
    {"a read +" HASH " -\n", 0, "line 1: the hash must be"},
    {"a read " HASH "\n", 0, "line 1: the expiry must be"},
    {"a read " HASH " never\n", 0, "line 1: the expiry must be"},
    {"a read " HASH " 2027-02-30T00:00:00Z\n", 0, "line 1: the expiry must be"},
    {"a read " HASH " - a\x1b[1m\n", 0, "line 1: the note must be"},
    {"a", 0, "line 1: the role must be"},
};

START_TEST(reads_lines)
{
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct token_list list;
        struct err err = {0};
        bool ok = token_file_parse(slice_from(files[i].text), &list, &err);
        ck_assert_msg(ok == (files[i].problem == NULL), "%s: %s", files[i].text, err.text);
        ck_assert_msg(ok || strncmp(err.text, files[i].problem, strlen(files[i].problem)) == 0,
                      "%s: %s", files[i].text, err.text);
        ck_assert_uint_eq(list.count, files[i].count);
        token_file_list_fini(&list);
    }
}
END_TEST

START_TEST(what_is_written_is_read_again)
{
    struct token_list list;
    struct token_list again;
    struct err err = {0};
    struct buf text;
    ck_assert(token_file_parse(SLICE("deploy admin " HASH " 2027-01-31T00:00:00Z of the shop\n"
                                     "prom metrics " HASH " -\n"),
                               &list, &err));
    buf_init(&text, 4096);
    token_file_write(&list, &text);
    ck_assert(token_file_parse(buf_slice(&text), &again, &err));
    ck_assert_uint_eq(again.count, 2);
    ck_assert_str_eq(again.items[0].id, "deploy");
    ck_assert_int_eq(again.items[0].role, API_ROLE_ADMIN);
    ck_assert_uint_eq(again.items[0].expires_s, 1801353600);
    ck_assert_str_eq(again.items[0].note, "of the shop");
    ck_assert_int_eq(again.items[1].role, API_ROLE_METRICS);
    ck_assert_uint_eq(again.items[1].expires_s, 0);
    token_file_list_fini(&list);
    token_file_list_fini(&again);
    buf_fini(&text);
}
END_TEST

static const struct {
    const char *text;
    uint64_t seconds; /* 0: it is none */
} times[] = {
    {"1970-01-01T00:00:01Z", 1},
    {"2027-01-31T00:00:00Z", 1801353600},
    {"2027-01-31T00:00:00.25Z", 1801353600},
    {"2028-02-29T23:59:59Z", 1835481599},
    {"2027-02-29T00:00:00Z", 0},
    {"2027-13-01T00:00:00Z", 0},
    {"2027-01-01T24:00:00Z", 0},
    {"2027-01-01T00:00:00", 0},
    {"2027-01-01T00:00:00+01:00", 0},
    {"2027-01-01 00:00:00Z", 0},
    {"2027-01-01T00:00:00.Z", 0},
    {"-027-01-01T00:00:00Z", 0},
    {"", 0},
};

START_TEST(reads_times)
{
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        uint64_t seconds = 0;
        bool ok = token_file_time_parse(slice_from(times[i].text), &seconds);
        ck_assert_msg(ok == (times[i].seconds != 0), "%s", times[i].text);
        ck_assert_msg(!ok || seconds == times[i].seconds, "%s", times[i].text);
    }
}
END_TEST

START_TEST(a_token_lets_in_until_it_is_revoked_or_expires)
{
    struct err err = {0};
    const struct token *found = NULL;
    char secret[TOKEN_FILE_SECRET_MAX];
    char other[TOKEN_FILE_SECRET_MAX];
    char old[TOKEN_FILE_SECRET_MAX];
    struct token wish = {.id = "ci", .role = API_ROLE_OPERATE, .expires_s = 1000, .note = "n"};
    struct stat file_found;
    begin();
    struct token_file *file = token_file_open(path, &err);
    ck_assert_msg(file != NULL, "%s", err.text);
    ck_assert_msg(token_file_put(file, &wish, secret, &err), "%s", err.text);
    ck_assert_uint_eq(strlen(secret), 47);
    ck_assert_int_eq(strncmp(secret, "lbd_", 4), 0);
    ck_assert_int_eq(stat(path, &file_found), 0);
    ck_assert_uint_eq(file_found.st_mode & 0777, 0600);
    (void)strcpy(wish.id, "b");
    wish.expires_s = 0;
    ck_assert(token_file_put(file, &wish, other, &err));
    ck_assert_str_ne(secret, other);
    ck_assert_int_eq(token_file_find(file, slice_from(secret), 999, &found), TOKEN_FILE_FOUND);
    ck_assert_str_eq(found->id, "ci");
    ck_assert_int_eq(token_file_find(file, slice_from(secret), 1000, &found), TOKEN_FILE_EXPIRED);
    ck_assert_int_eq(token_file_find(file, slice_from(other), 1U << 31, &found), TOKEN_FILE_FOUND);
    ck_assert_int_eq(token_file_refresh(file, &err), TOKEN_FILE_SAME); /* our own change */

    /* a new secret for the same id ends the old one */
    (void)strcpy(old, other);
    ck_assert(token_file_put(file, &wish, other, &err));
    ck_assert_int_eq(token_file_find(file, slice_from(old), 1, &found), TOKEN_FILE_UNKNOWN);
    ck_assert_uint_eq(token_file_tokens(file)->count, 2);

    /* a new life finds them; the secrets themselves are in no file */
    token_file_close(file);
    file = token_file_open(path, &err);
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(token_file_find(file, slice_from(secret), 1, &found), TOKEN_FILE_FOUND);

    secret[46] = secret[46] == 'A' ? 'B' : 'A';
    ck_assert_int_eq(token_file_find(file, slice_from(secret), 1, &found), TOKEN_FILE_UNKNOWN);
    ck_assert_int_eq(token_file_find(file, SLICE(""), 1, &found), TOKEN_FILE_UNKNOWN);
    ck_assert_int_eq(token_file_find(file, SLICE("lbd_"), 1, &found), TOKEN_FILE_UNKNOWN);

    ck_assert(token_file_remove(file, SLICE("ci"), &err));
    ck_assert(!token_file_remove(file, SLICE("ci"), &err));
    ck_assert_int_eq(err.kind, ERR_NOT_FOUND);
    ck_assert_uint_eq(token_file_tokens(file)->count, 1);
    token_file_close(file);
    end();
}
END_TEST

START_TEST(a_change_of_the_file_is_noticed)
{
    struct err err = {0};
    begin();
    write_file("a read " HASH " -\n", 0600);
    struct token_file *file = token_file_open(path, &err);
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(token_file_refresh(file, &err), TOKEN_FILE_SAME);
    write_file("a read " HASH " -\nb read " HASH " -\n", 0600);
    ck_assert_int_eq(token_file_refresh(file, &err), TOKEN_FILE_READ);
    ck_assert_uint_eq(token_file_tokens(file)->count, 2);

    write_file("a read\n", 0600); /* a mistake leaves what was, and is told once */
    ck_assert_int_eq(token_file_refresh(file, &err), TOKEN_FILE_BAD);
    ck_assert_ptr_nonnull(strstr(err.text, "line 1"));
    ck_assert_int_eq(token_file_refresh(file, &err), TOKEN_FILE_SAME);
    ck_assert_uint_eq(token_file_tokens(file)->count, 2);

    write_file("", 0622); /* others may write it */
    ck_assert_int_eq(token_file_refresh(file, &err), TOKEN_FILE_BAD);
    ck_assert_int_eq(err.kind, ERR_DENIED);
    ck_assert_uint_eq(token_file_tokens(file)->count, 2);

    (void)unlink(path); /* no file, no tokens */
    ck_assert_int_eq(token_file_refresh(file, &err), TOKEN_FILE_READ);
    ck_assert_uint_eq(token_file_tokens(file)->count, 0);
    token_file_close(file);

    write_file("a read\n", 0600);
    ck_assert_ptr_null(token_file_open(path, &err));
    ck_assert_int_eq(err.kind, ERR_INVALID);
    end();
}
END_TEST

START_TEST(what_cannot_be_saved_changes_nothing)
{
    struct err err = {0};
    struct token wish = {.id = "a", .role = API_ROLE_READ};
    char secret[TOKEN_FILE_SECRET_MAX];
    begin();
    struct token_file *file = token_file_open(path, &err);
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(rmdir(folder), 0);
    ck_assert(!token_file_put(file, &wish, secret, &err));
    ck_assert_int_eq(err.kind, ERR_STORAGE);
    ck_assert_uint_eq(token_file_tokens(file)->count, 0);
    ck_assert_int_eq(mkdir(folder, 0700), 0);
    ck_assert(token_file_put(file, &wish, secret, &err));
    token_file_close(file);
    end();
}
END_TEST

UNIT_TESTS("token_file", reads_lines, what_is_written_is_read_again, reads_times,
           a_token_lets_in_until_it_is_revoked_or_expires, a_change_of_the_file_is_noticed,
           what_cannot_be_saved_changes_nothing)
