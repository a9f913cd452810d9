#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf_vault.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

static char dir[64];
static int dir_fd;
static struct conf_disk disk;
static struct conf_vault *vault;
static struct err err;

#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

static void setup(void)
{
    (void)snprintf(dir, sizeof dir, "/tmp/test_conf_vault.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    disk = (struct conf_disk){.dir = dir};
    vault = conf_vault_new(&disk, dir_fd);
}

static void teardown(void)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/certificates", dir);
    DIR *open = opendir(path);
    const struct dirent *entry = NULL;
    while (open != NULL && (entry = readdir(open)) != NULL) {
        (void)unlinkat(dirfd(open), entry->d_name, 0);
    }
    if (open != NULL) {
        (void)closedir(open);
    }
    conf_vault_free(vault);
    (void)close(dir_fd);
    (void)rmdir(path);
    ck_assert_int_eq(rmdir(dir), 0);
}

static void put(const char *stored)
{
    ck_assert_msg(conf_vault_put(vault, slice_from(stored), slice_from(stored), &err), "%s",
                  err.text);
}

static bool has(const char *stored)
{
    return conf_vault_has(vault, slice_from(stored));
}

/* What a revision names, as "AB". */
static void note(uint64_t revision, const char *letters)
{
    struct conf_certificate certificates[3] = {0};
    struct conf conf = {.certificates = certificates};
    for (; *letters != '\0'; letters++) {
        certificates[conf.certificate_count++].stored =
            slice_from(*letters == 'A' ? A : (*letters == 'B' ? B : C));
    }
    conf_vault_note(vault, revision, &conf);
}

START_TEST(a_key_is_a_file_of_ours_alone)
{
    struct stat facts;
    struct buf text;
    char path[256];
    ck_assert(conf_vault_is_empty(vault) && !has(A));
    put(A);
    ck_assert(has(A) && !has(B));
    (void)snprintf(path, sizeof path, "%s/certificates/%s.pem", dir, strchr(A, ':') + 1);
    ck_assert_int_eq(stat(path, &facts), 0);
    ck_assert_uint_eq(facts.st_mode & 0777, 0600);
    (void)snprintf(path, sizeof path, "%s/certificates", dir);
    ck_assert_int_eq(stat(path, &facts), 0);
    ck_assert_uint_eq(facts.st_mode & 0777, 0700);

    buf_init(&text, 4096);
    ck_assert(conf_vault_read(vault, SLICE(A), &text, &err));
    ck_assert(slice_eq(buf_slice(&text), SLICE(A)));
    ck_assert(!conf_vault_read(vault, SLICE(B), &text, &err));
    ck_assert_int_eq(err.kind, ERR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.text, B));
    buf_fini(&text);
}
END_TEST

START_TEST(only_digests_are_names)
{
    static const char *const cases[] = {"", "sha256:", "sha256:../../../etc/passwd", "sha1:aaaa",
                                        "sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                                        "AAAAAAAAAAAAAAA"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert(!has(cases[i]));
        ck_assert(!conf_vault_put(vault, slice_from(cases[i]), SLICE("x"), &err));
        ck_assert_int_eq(err.kind, ERR_INVALID);
    }
}
END_TEST

START_TEST(it_goes_with_the_last_that_names_it)
{
    conf_vault_sweep(vault);
    put(A);
    put(B);
    note(1, "A");
    note(CONF_VAULT_BOOT, "A");
    note(2, "AB");
    note(CONF_VAULT_BOOT, "AB");
    note(3, "AB");
    note(4, "B");
    note(CONF_VAULT_BOOT, "B");
    conf_vault_forget(vault, 1);
    conf_vault_forget(vault, 2);
    ck_assert(has(A) && has(B));
    conf_vault_forget(vault, 3);
    ck_assert(!has(A) && has(B));
    conf_vault_forget(vault, 4);
    ck_assert_msg(has(B), "config.json names it");
    note(CONF_VAULT_BOOT, "");
    ck_assert(!has(B));
    conf_vault_forget(vault, 99);
}
END_TEST

START_TEST(nothing_goes_before_all_have_spoken)
{
    put(A);
    put(B);
    put(C);
    note(7, "A");
    conf_vault_forget(vault, 7);
    conf_vault_drop(vault, SLICE(B));
    ck_assert(has(A) && has(B));
    conf_vault_note_text(vault, 8,
                         SLICE("{\"certificates\":{\"x\":{\"stored\":\"" A
                               "\"}},\"note\":\"\\\"stored"
                               "\\\":\\\"" B "\\\"\"}"));
    conf_vault_note_text(vault, 9, SLICE("{\"certificates\":{\"x\":{\"stored\":\"" C "\"}}}"));
    conf_vault_note_text(vault, 10, SLICE_NONE);
    conf_vault_note_text(vault, 11, SLICE("{\"stored\":\"sha256:aa"));
    conf_vault_sweep(vault);
    ck_assert(has(A) && !has(B) && has(C));
}
END_TEST

START_TEST(what_came_to_nothing_goes)
{
    char path[256];
    conf_vault_sweep(vault);
    put(A);
    note(1, "A");
    put(B);
    conf_vault_drop(vault, SLICE(B));
    conf_vault_drop(vault, SLICE(A));
    ck_assert(has(A) && !has(B));

    /* we ended while it was written */
    (void)snprintf(path, sizeof path, "%s/certificates/%s.pem.tmp", dir, strchr(C, ':') + 1);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    (void)fclose(file);
    conf_vault_sweep(vault);
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert(has(A));
}
END_TEST

START_TEST(answers_are_kept_for_a_month)
{
    struct buf text;
    char path[256];
    const char *hex = strchr(A, ':') + 1;
    buf_init(&text, 4096);
    ck_assert(!conf_vault_read_answer(vault, hex, &text));
    conf_vault_put_answer(vault, "no digits", SLICE("x"));
    ck_assert(conf_vault_is_empty(vault));
    conf_vault_put_answer(vault, hex, SLICE("good"));
    conf_vault_sweep(vault);
    ck_assert(conf_vault_read_answer(vault, hex, &text));
    ck_assert(slice_eq(buf_slice(&text), SLICE("good")));
    buf_fini(&text);

    const struct timespec long_ago[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    (void)snprintf(path, sizeof path, "%s/certificates/%s.ocsp", dir, hex);
    ck_assert_int_eq(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    conf_vault_sweep(vault);
    ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_key_is_a_file_of_ours_alone);
    tcase_add_test(tcase, only_digests_are_names);
    tcase_add_test(tcase, it_goes_with_the_last_that_names_it);
    tcase_add_test(tcase, nothing_goes_before_all_have_spoken);
    tcase_add_test(tcase, what_came_to_nothing_goes);
    tcase_add_test(tcase, answers_are_kept_for_a_month);
}

UNIT_MAIN("conf_vault", add_all)
