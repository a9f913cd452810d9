#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conf/conf_store.h"
#include "lbd/base/compiler.h"
#include "lbd/base/mem.h"
#include "tests/unit/unit.h"

static char dir[64];
static struct err err;

static void remove_tree(const char *path)
{
    DIR *open = opendir(path);
    const struct dirent *entry = NULL;
    while (open != NULL && (entry = readdir(open)) != NULL) {
        char inner[512];
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            (void)snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
            if (unlink(inner) != 0) {
                remove_tree(inner);
            }
        }
    }
    if (open != NULL) {
        (void)closedir(open);
    }
    (void)rmdir(path);
}

static void setup(void)
{
    (void)snprintf(dir, sizeof dir, "/tmp/test_conf_store.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
    remove_tree(dir);
}

/* A document that is told from others by one number. */
static struct conf_document *document_of(int retries)
{
    char text[64];
    struct conf_errors errors;
    conf_errors_init(&errors);
    (void)snprintf(text, sizeof text, "{\"pools\":{\"p\":{\"retries\":%d}}}", retries);
    struct conf_document *document = conf_document_from_text(slice_from(text), &errors);
    ck_assert_ptr_nonnull(document);
    conf_errors_fini(&errors);
    return document;
}

static struct conf_store *must_open(void)
{
    struct conf_store *store = conf_store_open(dir, &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    return store;
}

static bool write_one(struct conf_store *store, const struct conf_document *document,
                      uint64_t number, enum conf_store_target target)
{
    struct buf text;
    buf_init(&text, 65536);
    ck_assert(conf_document_text(document, SLICE_NONE, &text) && buf_append_char(&text, '\n'));
    struct conf_store_item item = {.text = buf_slice(&text)};
    const struct conf_store_save save = {.items = &item, .count = 1, .target = target};
    conf_revision_init(&item.note, number);
    item.note.time_us = 1000000ULL * 2000000;
    item.note.is_confirmed = target != CONF_STORE_UNCONFIRMED;
    item.note.is_from_file = target == CONF_STORE_FILE;
    conf_revision_set(item.note.via, sizeof item.note.via, SLICE("put"));
    bool ok = conf_store_write(store, &save, &err);
    if (ok) {
        conf_store_noted(store, &save);
    }
    buf_fini(&text);
    return ok;
}

static bool save(struct conf_store *store, int retries, uint64_t revision)
{
    struct conf_document *document = document_of(retries);
    bool ok = write_one(store, document, revision, CONF_STORE_BOOT);
    conf_document_unref(document);
    return ok;
}

static bool save_as(struct conf_store *store, int retries, uint64_t revision,
                    enum conf_store_target target)
{
    struct conf_document *document = document_of(retries);
    bool ok = write_one(store, document, revision, target);
    conf_document_unref(document);
    return ok;
}

static void write_file(const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    (void)fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

static bool exists(const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

/* What a fresh start finds: the number in the document, or -1. */
static int found_retries(enum conf_store_found want, uint64_t want_revision)
{
    struct conf_store *store = must_open();
    struct conf_document *document = NULL;
    uint64_t revision = 99;
    int retries = -1;
    enum conf_store_found found = conf_store_load(store, &document, &revision, &err);
    ck_assert_msg(found == want, "found %d: %s", (int)found, err.text);
    ck_assert_uint_eq(revision, want_revision);
    ck_assert((document != NULL) == (found == CONF_STORE_CURRENT || found == CONF_STORE_OLDER ||
                                     found == CONF_STORE_TAKEN_BACK));
    if (document != NULL) {
        retries = (int)conf_document_conf(document)->pools[0].retries;
    }
    conf_document_unref(document);
    conf_store_close(store);
    return retries;
}

START_TEST(nothing_was_saved_yet)
{
    ck_assert_int_eq(found_retries(CONF_STORE_EMPTY, 0), -1);
}
END_TEST

START_TEST(what_was_saved_is_found_again)
{
    struct conf_store *store = must_open();
    ck_assert(save(store, 1, 1));
    ck_assert(save(store, 2, 2));
    conf_store_close(store);
    ck_assert_int_eq(found_retries(CONF_STORE_CURRENT, 2), 2);
    ck_assert_int_eq(found_retries(CONF_STORE_CURRENT, 2), 2);

    struct stat status;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/config.json", dir);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    ck_assert(exists("config.json.tmp")); /* the room for the next */
}
END_TEST

START_TEST(makes_its_folder)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/a/b/state", dir);
    struct conf_store *store = conf_store_open(path, &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    conf_store_close(store);
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0700);
    ck_assert_ptr_null(conf_store_open("/dev/null/state", &err));
    ck_assert_ptr_null(conf_store_open("", &err));
}
END_TEST

START_TEST(only_one_daemon_writes)
{
    struct conf_store *store = must_open();
    ck_assert_ptr_null(conf_store_open(dir, &err));
    ck_assert_int_eq(err.kind, ERR_CONFLICT);
    char pid[32];
    (void)snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    ck_assert_msg(strstr(err.text, pid) != NULL, "%s", err.text);
    conf_store_close(store);
    conf_store_close(must_open());
}
END_TEST

START_TEST(one_that_is_about_to_end_is_waited_for)
{
    const struct timespec moment = {.tv_nsec = 50 * 1000 * 1000};
    int holds[2];
    char byte = 0;
    ck_assert_int_eq(pipe(holds), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        const struct conf_store *held = must_open();
        ssize_t told = write(holds[1], "x", 1);
        (void)nanosleep(&moment, NULL);
        _exit(held != NULL && told == 1 ? 0 : 1);
    }
    ck_assert_int_eq(read(holds[0], &byte, 1), 1);
    conf_store_close(must_open());
    (void)waitpid(child, NULL, 0);
    (void)close(holds[0]);
    (void)close(holds[1]);
}
END_TEST

START_TEST(falls_back_to_the_newest_that_is_whole)
{
    struct conf_store *store = must_open();
    for (int i = 1; i <= 4; i++) {
        ck_assert(save(store, i, (uint64_t)i));
    }
    conf_store_close(store);
    static const char *const damages[] = {"", "{\"pools\":{\"p\":{\"retr",
                                          "{\"pools\":{\"p\":{\"x\":1}}}"};
    for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
        write_file("config.json", damages[i]);
        ck_assert_int_eq(found_retries(CONF_STORE_OLDER, 5), 4);
        ck_assert_msg(strstr(err.text, "config.json") != NULL &&
                          strstr(err.text, "revision 4 is used instead") != NULL,
                      "%s", err.text);
    }
    write_file("revisions/000004.json", "{");
    write_file("revisions/000003.json", "");
    ck_assert_int_eq(found_retries(CONF_STORE_OLDER, 5), 2);
    write_file("revisions/000002.json", "[]");
    write_file("revisions/000001.json", "{\"pools\":7}");
    ck_assert_int_eq(found_retries(CONF_STORE_BROKEN, 4), -1);
    ck_assert_msg(strstr(err.text, "config.json") != NULL, "%s", err.text);
}
END_TEST

START_TEST(a_lost_file_is_no_fresh_start)
{
    struct conf_store *store = must_open();
    ck_assert(save(store, 3, 1));
    conf_store_close(store);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/config.json", dir);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(found_retries(CONF_STORE_OLDER, 2), 3);
}
END_TEST

/* The end between the rename and the notes behind it: the number is put right. */
START_TEST(a_save_without_its_note_has_the_next_number)
{
    struct conf_store *store = must_open();
    ck_assert(save(store, 1, 41));
    conf_store_close(store);
    write_file("config.json", "{\"pools\":{\"p\":{\"retries\":7}}}\n");
    ck_assert_int_eq(found_retries(CONF_STORE_CURRENT, 42), 7);
    ck_assert_int_eq(found_retries(CONF_STORE_CURRENT, 42), 7); /* noted by the first */
    ck_assert(exists("revisions/000042.json"));
}
END_TEST

static const struct {
    const char *step;
    int want; /* what is found afterwards: 1 the old one, 2 the new one */
    uint64_t revision;
} crashes[] = {
    {"save-open", 1, 1},   {"save-write", 1, 1},   {"save-fsync", 1, 1},
    {"save-rename", 1, 1}, {"save-dirsync", 2, 2},
};

START_TEST(ended_at_any_step_there_is_old_or_new)
{
    for (size_t i = 0; i < ARRAY_LEN(crashes); i++) {
        struct conf_store *store = must_open();
        ck_assert(save(store, 1, 1));
        conf_store_close(store);

        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            (void)setenv("LBD_TEST_CRASH_AT", crashes[i].step, 1);
            store = conf_store_open(dir, &err);
            if (store != NULL) {
                (void)save(store, 2, 2);
            }
            _exit(0); /* not reached */
        }
        int status = 0;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 137, "%s: %d", crashes[i].step,
                      status);
        int found = found_retries(CONF_STORE_CURRENT, crashes[i].revision);
        ck_assert_msg(found == crashes[i].want, "%s: %d", crashes[i].step, found);

        /* And it goes on as if nothing had been. */
        store = must_open();
        ck_assert(save(store, 3, 3));
        conf_store_close(store);
        ck_assert_int_eq(found_retries(CONF_STORE_CURRENT, 3), 3);
        teardown();
        setup();
    }
}
END_TEST

/* RLIMIT_FSIZE stands in for a full disk: write(2) fails in the middle. */
START_TEST(a_full_disk_changes_nothing)
{
    struct conf_store *store = must_open();
    ck_assert(save(store, 1, 1));
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        const struct rlimit small = {.rlim_cur = 10, .rlim_max = 10};
        (void)signal(SIGXFSZ, SIG_IGN);
        (void)setrlimit(RLIMIT_FSIZE, &small);
        bool refused = !save(store, 2, 2) && err.kind == ERR_STORAGE &&
                       !conf_store_save_overrides(store, SLICE("{\"a\":\"a long text\"}"), &err) &&
                       err.kind == ERR_STORAGE && err.place[0] != '\0';
        _exit(refused ? 0 : 1);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    conf_store_close(store);
    ck_assert(!exists("config.json.tmp"));
    ck_assert_int_eq(found_retries(CONF_STORE_CURRENT, 1), 1);
}
END_TEST

START_TEST(keeps_fifty_revisions)
{
    struct conf_store *store = must_open();
    for (int i = 1; i <= CONF_STORE_HISTORY_MAX + 5; i++) {
        ck_assert(save(store, i % 10, (uint64_t)i));
    }
    uint32_t count = 0;
    const struct conf_revision *revisions = conf_store_history(store, &count);
    ck_assert_uint_eq(count, CONF_STORE_HISTORY_MAX);
    for (uint32_t i = 0; i < CONF_STORE_HISTORY_MAX; i++) {
        ck_assert_uint_eq(revisions[i].number, CONF_STORE_HISTORY_MAX + 5 - i);
        ck_assert_uint_gt(revisions[i].bytes, 10);
        ck_assert_uint_gt(revisions[i].time_us, 1000000);
    }
    struct buf text;
    buf_init(&text, 65536);
    ck_assert(conf_store_read_revision(store, 10, &text, &err));
    ck_assert_str_eq(text.data, "{\"pools\":{\"p\":{\"retries\":0}}}\n");
    ck_assert_ptr_null(conf_store_find(store, 5));
    ck_assert(exists("revisions/000005.json")); /* the next save writes over it */
    ck_assert(save(store, 3, CONF_STORE_HISTORY_MAX + 6));
    ck_assert(!exists("revisions/000005.json") && !exists("revisions/000056.json.tmp"));
    buf_fini(&text);
    conf_store_close(store);
    ck_assert(!exists("revisions/000005.json"));
    ck_assert(!exists("revisions/000006.meta"));
    ck_assert(exists("revisions/000007.meta"));
}
END_TEST

START_TEST(the_number_alone_can_be_kept)
{
    struct conf_store *store = must_open();
    conf_store_close(store);
    write_file("revision", "17\n");
    ck_assert_int_eq(found_retries(CONF_STORE_EMPTY, 17), -1);
    write_file("revision", "nonsense");
    ck_assert_int_eq(found_retries(CONF_STORE_EMPTY, 0), -1);
    store = must_open();
    ck_assert(save_as(store, 1, 5, CONF_STORE_FILE));
    conf_store_close(store);
    ck_assert_int_eq(found_retries(CONF_STORE_EMPTY, 5), -1);
}
END_TEST

START_TEST(overrides_are_kept)
{
    struct conf_store *store = must_open();
    struct buf text;
    buf_init(&text, 65536);
    ck_assert(conf_store_read_overrides(store, &text, &err));
    ck_assert_uint_eq(text.len, 0);
    ck_assert(conf_store_save_overrides(store, SLICE("{\"a\":1}"), &err));
    ck_assert(conf_store_save_overrides(store, SLICE("{\"b\":1}"), &err));
    ck_assert(conf_store_read_overrides(store, &text, &err));
    ck_assert_str_eq(text.data, "{\"b\":1}");
    buf_fini(&text);
    conf_store_close(store);
}
END_TEST

START_TEST(foreign_files_do_no_harm)
{
    struct conf_store *store = must_open();
    ck_assert(save(store, 1, 1));
    conf_store_close(store);
    write_file("revisions/notes.txt", "x");
    write_file("revisions/x.json", "x");
    write_file("config.json.tmp", "half");
    write_file("revisions/000009.json.tmp", "half");
    write_file("revisions/notes.json.tmp", "half");
    ck_assert_int_eq(found_retries(CONF_STORE_CURRENT, 1), 1);
    store = must_open();
    ck_assert(save(store, 2, 2));
    conf_store_close(store);
    ck_assert(exists("revisions/notes.txt"));
    ck_assert(!exists("revisions/000009.json.tmp") && exists("revisions/notes.json.tmp"));
    ck_assert_int_eq(found_retries(CONF_STORE_CURRENT, 2), 2);
}
END_TEST

START_TEST(what_is_on_trial_is_taken_back_by_a_start)
{
    struct conf_store *store = must_open();
    ck_assert(save(store, 1, 1));
    ck_assert(save_as(store, 2, 2, CONF_STORE_UNCONFIRMED));
    ck_assert(save_as(store, 3, 3, CONF_STORE_UNCONFIRMED));
    conf_store_close(store);
    ck_assert_int_eq(found_retries(CONF_STORE_TAKEN_BACK, 4), 1);
    ck_assert_int_eq(found_retries(CONF_STORE_TAKEN_BACK, 4), 1); /* until it is written down */
    write_file("config.json", "{");
    ck_assert_int_eq(found_retries(CONF_STORE_OLDER, 4), 1);
}
END_TEST

START_TEST(what_was_confirmed_stays)
{
    struct conf_store *store = must_open();
    struct conf_document *document = document_of(2);
    struct buf text;
    ck_assert(save(store, 1, 1));
    ck_assert(save_as(store, 2, 2, CONF_STORE_UNCONFIRMED));
    buf_init(&text, 65536);
    ck_assert(conf_document_text(document, SLICE_NONE, &text) && buf_append_char(&text, '\n'));
    struct conf_store_item item = {.note = *conf_store_find(store, 2), .text = buf_slice(&text)};
    const struct conf_store_save confirmation = {
        .items = &item, .count = 1, .target = CONF_STORE_BOOT, .is_confirmation = true};
    ck_assert(!item.note.is_confirmed);
    item.note.is_confirmed = true;
    ck_assert(conf_store_write(store, &confirmation, &err));
    conf_store_noted(store, &confirmation);
    ck_assert(conf_store_find(store, 2)->is_confirmed);
    uint32_t count = 0;
    (void)conf_store_history(store, &count);
    ck_assert_uint_eq(count, 2);
    conf_store_close(store);
    ck_assert_int_eq(found_retries(CONF_STORE_CURRENT, 2), 2);

    /* Ended between the two files of a confirmation: config.json counts. */
    store = must_open();
    ck_assert(save_as(store, 3, 3, CONF_STORE_UNCONFIRMED));
    conf_store_close(store);
    write_file("config.json", "{\"pools\":{\"p\":{\"retries\":3}}}\n");
    ck_assert_int_eq(found_retries(CONF_STORE_CURRENT, 3), 3);
    buf_fini(&text);
    conf_document_unref(document);
}
END_TEST

START_TEST(several_are_saved_together)
{
    struct conf_store *store = must_open();
    struct conf_store_item items[3] = {0};
    char texts[3][64];
    ck_assert(save(store, 9, 1));
    for (int i = 0; i < 3; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "{\"pools\":{\"p\":{\"retries\":%d}}}\n", i);
        items[i].text = slice_from(texts[i]);
        conf_revision_init(&items[i].note, (uint64_t)i + 2);
    }
    const struct conf_store_save group = {.items = items, .count = 3};
    ck_assert(conf_store_write(store, &group, &err));
    conf_store_noted(store, &group);
    conf_store_close(store);
    ck_assert_int_eq(found_retries(CONF_STORE_CURRENT, 4), 2);
    ck_assert(exists("revisions/000002.json") && exists("revisions/000003.meta"));
}
END_TEST

/* Notes are written before the moment of truth: it decides what they are worth. */
START_TEST(notes_without_documents)
{
    struct conf_store *store = must_open();
    ck_assert(save(store, 1, 1));
    conf_store_close(store);
    static const char note[] =
        "{\"base\":0,\"changes_total\":5,\"confirmed\":true,\"deadline\":0,\"hash\":\"\","
        "\"owner\":\"\",\"reason\":\"\",\"rolled_back_to\":0,\"source\":\"api\",\"summary\":\"\","
        "\"time\":7,\"via\":\"batch\",\"who\":\"me\"}";
    write_file("revisions/000002.meta", note);
    write_file("revisions/000003.meta", note);
    ck_assert_int_eq(found_retries(CONF_STORE_CURRENT, 1), 1);
    ck_assert(!exists("revisions/000002.meta") && !exists("revisions/000003.meta"));

    write_file("revisions/000002.meta", note);
    write_file("revisions/000003.meta", note);
    write_file("config.json", "{\"pools\":{\"p\":{\"retries\":7}}}\n");
    ck_assert_int_eq(found_retries(CONF_STORE_CURRENT, 3), 7);
    ck_assert_int_eq(found_retries(CONF_STORE_CURRENT, 3), 7);
    ck_assert(!exists("revisions/000002.meta") && exists("revisions/000003.json"));
    store = must_open();
    ck_assert_uint_eq(conf_store_list(store), 3);
    ck_assert_str_eq(conf_store_find(store, 3)->via, "batch");
    ck_assert_uint_eq(conf_store_find(store, 3)->changes_total, 5);
    conf_store_close(store);
}
END_TEST

START_TEST(keeps_64_mib)
{
    enum { TEXT_BYTES = 24 * 1024 * 1024, SAVES = 4, KEPT = 2 };
    struct conf_store *store = must_open();
    char *text = mem_alloc(TEXT_BYTES);
    memset(text, ' ', TEXT_BYTES);
    for (uint64_t i = 1; i <= SAVES; i++) {
        struct conf_store_item item = {.text = slice_of(text, TEXT_BYTES)};
        const struct conf_store_save large = {
            .items = &item, .count = 1, .target = CONF_STORE_FILE};
        conf_revision_init(&item.note, i);
        ck_assert(conf_store_write(store, &large, &err));
        conf_store_noted(store, &large);
    }
    uint32_t count = 0;
    const struct conf_revision *revisions = conf_store_history(store, &count);
    ck_assert_uint_eq(count, KEPT);
    ck_assert_uint_eq(revisions[0].number, SAVES);
    conf_store_learn_hash(store, SAVES, "0123456789abcdef");
    ck_assert_str_eq(conf_store_find(store, SAVES)->hash, "0123456789abcdef");
    conf_store_close(store);
    ck_assert(!exists("revisions/000002.json") && exists("revisions/000003.json"));
    free(text);
}
END_TEST

START_TEST(a_failed_save_leaves_no_notes)
{
    struct conf_store *store = must_open();
    ck_assert(save(store, 1, 1));
    char path[128];
    (void)snprintf(path, sizeof path, "%s/config.json.tmp", dir);
    ck_assert_int_eq(mkdir(path, 0700), 0); /* in the way */
    ck_assert(!save(store, 2, 2));
    ck_assert_int_eq(err.kind, ERR_STORAGE);
    ck_assert(!exists("revisions/000002.meta"));
    ck_assert_ptr_null(conf_store_find(store, 2));
    ck_assert_int_eq(rmdir(path), 0);
    conf_store_close(store);
    ck_assert_int_eq(found_retries(CONF_STORE_CURRENT, 1), 1);
}
END_TEST

START_TEST(a_newer_schema_is_not_damage)
{
    struct conf_store *store = must_open();
    ck_assert(save(store, 1, 1));
    ck_assert(save(store, 2, 2));
    conf_store_close(store);
    write_file("config.json", "{\"schema\":2,\"quarks\":{}}");
    ck_assert_int_eq(found_retries(CONF_STORE_NEWER, 2), -1);
    ck_assert_msg(strstr(err.text, "schema 2") != NULL && strstr(err.text, "revision 2") != NULL,
                  "%s", err.text);
    write_file("revisions/000002.json", "{\"schema\":2}");
    ck_assert_int_eq(found_retries(CONF_STORE_NEWER, 2), -1);
    ck_assert_msg(strstr(err.text, "revision 1") != NULL, "%s", err.text);
    write_file("revisions/000001.json", "{\"schema\":2}");
    ck_assert_int_eq(found_retries(CONF_STORE_NEWER, 2), -1);
    ck_assert_msg(strstr(err.text, "no revision") != NULL, "%s", err.text);
    write_file("config.json", "{\"schema\":\"2\"}"); /* that is no schema at all */
    ck_assert_int_eq(found_retries(CONF_STORE_BROKEN, 2), -1);
}
END_TEST

START_TEST(revisions_of_a_file_are_no_saved_state)
{
    struct conf_store *store = must_open();
    ck_assert(save_as(store, 1, 1, CONF_STORE_FILE));
    ck_assert(save_as(store, 2, 2, CONF_STORE_FILE));
    ck_assert(!exists("config.json"));
    conf_store_close(store);
    store = must_open();
    ck_assert_uint_eq(conf_store_list(store), 2);
    ck_assert(conf_store_find(store, 1)->is_from_file);
    conf_store_close(store);
    ck_assert_int_eq(found_retries(CONF_STORE_EMPTY, 2), -1);
    /* Nor do they stand in for what was saved. */
    store = must_open();
    ck_assert(save(store, 3, 3));
    ck_assert(save_as(store, 4, 4, CONF_STORE_FILE));
    conf_store_close(store);
    write_file("config.json", "{");
    ck_assert_int_eq(found_retries(CONF_STORE_OLDER, 5), 3);
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_test(tcase, what_is_on_trial_is_taken_back_by_a_start);
    tcase_add_test(tcase, what_was_confirmed_stays);
    tcase_add_test(tcase, several_are_saved_together);
    tcase_add_test(tcase, notes_without_documents);
    tcase_add_test(tcase, keeps_64_mib);
    tcase_add_test(tcase, a_failed_save_leaves_no_notes);
    tcase_add_test(tcase, a_newer_schema_is_not_damage);
    tcase_add_test(tcase, revisions_of_a_file_are_no_saved_state);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, nothing_was_saved_yet);
    tcase_add_test(tcase, what_was_saved_is_found_again);
    tcase_add_test(tcase, makes_its_folder);
    tcase_add_test(tcase, only_one_daemon_writes);
    tcase_add_test(tcase, one_that_is_about_to_end_is_waited_for);
    tcase_add_test(tcase, falls_back_to_the_newest_that_is_whole);
    tcase_add_test(tcase, a_lost_file_is_no_fresh_start);
    tcase_add_test(tcase, a_save_without_its_note_has_the_next_number);
    tcase_add_test(tcase, ended_at_any_step_there_is_old_or_new);
    tcase_add_test(tcase, a_full_disk_changes_nothing);
    tcase_add_test(tcase, keeps_fifty_revisions);
    tcase_add_test(tcase, the_number_alone_can_be_kept);
    tcase_add_test(tcase, overrides_are_kept);
    tcase_add_test(tcase, foreign_files_do_no_harm);
}

UNIT_MAIN("conf_store", add_all)
