#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "conf/conf_journal.h"
#include "lbd/control/signals.h"
#include "tests/unit/unit.h"

static char directory[32];
static int dir_fd = -1;
static struct conf_disk disk;
static struct conf_journal journal;
static char heard[512]; /* the records of the last reading, with a comma each */
static bool is_damaged; /* ... and what was said about them */

static void open_it(void)
{
    struct err err = {0};
    ck_assert_msg(conf_journal_open(&journal, &disk, dir_fd, "j.log", &err), "%s", err.text);
}

static void begin(void)
{
    (void)snprintf(directory, sizeof(directory), "/tmp/journal-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    disk = (struct conf_disk){.dir = directory};
    open_it();
}

static void end(void)
{
    conf_journal_close(&journal);
    (void)unlinkat(dir_fd, "j.log", 0);
    (void)close(dir_fd);
    (void)rmdir(directory);
}

static bool hear(struct slice record, void *arg)
{
    size_t len = strlen(heard);
    (void)arg;
    (void)snprintf(heard + len, sizeof(heard) - len, "%.*s,", SLICE_ARG(record));
    return !slice_eq(record, SLICE("stop"));
}

static const char *all(uint64_t tag)
{
    conf_journal_close(&journal);
    open_it();
    heard[0] = '\0';
    (void)conf_journal_read(&journal, tag, hear, NULL, &is_damaged);
    return heard;
}

static void append(const char *record)
{
    struct err err = {0};
    ck_assert_msg(conf_journal_append(&journal, slice_from(record), &err), "%s", err.text);
}

/* Changes one byte of the file. */
static void damage(size_t at)
{
    char byte = '#';
    ck_assert_int_eq(pwrite(journal.fd, &byte, 1, (off_t)at), 1);
}

START_TEST(records_are_found_again_in_order)
{
    begin();
    ck_assert_str_eq(all(7), "");
    conf_journal_begin(&journal, 7);
    append("one");
    append("two");
    ck_assert_str_eq(all(7), "one,two,");
    ck_assert_str_eq(all(8), ""); /* they belong to another base */
    end();
}
END_TEST

START_TEST(a_new_base_makes_them_void)
{
    begin();
    conf_journal_begin(&journal, 7);
    append("one of seven");
    append("two of seven");
    conf_journal_begin(&journal, 8);
    ck_assert_str_eq(all(8), "");
    conf_journal_begin(&journal, 8);
    append("eight"); /* shorter: what follows is the rest of another line */
    ck_assert_str_eq(all(8), "eight,");
    ck_assert_str_eq(all(7), "");
    end();
}
END_TEST

START_TEST(half_a_record_ends_them)
{
    for (size_t at = 0; at < 38; at++) {
        begin();
        conf_journal_begin(&journal, 7);
        append("one");
        append("two");
        append("three");
        damage(38 + at); /* in the second: tag, checksum, text and the end of its line */
        const char *found = all(7);
        ck_assert_msg(strcmp(found, "one,") == 0, "byte %zu: %s", at, found);
        if (at != 37) { /* without the end of its line the third has no line of its own */
            ck_assert_msg(is_damaged, "byte %zu: the third is whole, it was not half written", at);
        }
        end();
    }
}
END_TEST

START_TEST(the_last_one_may_be_half_written)
{
    for (size_t at = 0; at < 38; at++) {
        begin();
        conf_journal_begin(&journal, 7);
        append("one");
        append("two");
        damage(38 + at);
        ck_assert_str_eq(all(7), "one,");
        ck_assert(!is_damaged);
        end();
    }
}
END_TEST

START_TEST(what_was_cut_or_is_gone_is_missed)
{
    begin();
    ck_assert_str_eq(all(7), "");
    ck_assert(!is_damaged); /* as it was made */
    conf_journal_begin(&journal, 7);
    append("one");
    ck_assert_int_eq(ftruncate(journal.fd, 20), 0);
    ck_assert_str_eq(all(7), "");
    ck_assert(is_damaged);
    ck_assert_str_eq(all(7), "");
    ck_assert(!is_damaged); /* told once: it is as long as it should be again */
    ck_assert_int_eq(unlinkat(dir_fd, "j.log", 0), 0);
    ck_assert_str_eq(all(7), "");
    ck_assert(is_damaged);
    end();
}
END_TEST

START_TEST(without_a_base_or_room_nothing_is_appended)
{
    static char large[CONF_JOURNAL_BYTES / 2];
    struct err err = {0};
    begin();
    ck_assert(!conf_journal_append(&journal, SLICE("early"), &err));
    ck_assert_int_eq(err.kind, ERR_TOO_LARGE);
    memset(large, 'x', sizeof(large) - 1);
    conf_journal_begin(&journal, 7);
    append(large);
    ck_assert(!conf_journal_append(&journal, slice_from(large), &err));
    ck_assert_int_eq(err.kind, ERR_TOO_LARGE);
    append("there is room for this");
    conf_journal_begin(&journal, 8);
    append("and again");
    ck_assert_str_eq(all(8), "and again,");
    conf_journal_begin(&journal, 9);
    (void)all(9); /* who has read must begin before it appends */
    ck_assert(!conf_journal_append(&journal, SLICE("late"), &err));
    end();
}
END_TEST

START_TEST(what_could_not_be_written_is_void)
{
    struct rlimit before;
    struct err err = {0};
    begin();
    signals_block(); /* SIGXFSZ is an error of write(2) */
    conf_journal_begin(&journal, 7);
    append("one");
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    bool ok = conf_journal_append(&journal, SLICE("two"), &err);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert(!ok);
    ck_assert_int_eq(err.kind, ERR_STORAGE);
    ck_assert(!conf_journal_append(&journal, SLICE("three"), &err)); /* the base first */
    ck_assert_int_eq(err.kind, ERR_TOO_LARGE);
    ck_assert_str_eq(all(7), "one,");
    end();
}
END_TEST

START_TEST(whoever_reads_may_stop)
{
    begin();
    conf_journal_begin(&journal, 7);
    append("one");
    append("stop");
    append("two");
    ck_assert_str_eq(all(7), "one,stop,");
    end();
}
END_TEST

UNIT_TESTS("conf_journal", records_are_found_again_in_order, a_new_base_makes_them_void,
           half_a_record_ends_them, the_last_one_may_be_half_written,
           what_was_cut_or_is_gone_is_missed, without_a_base_or_room_nothing_is_appended,
           what_could_not_be_written_is_void, whoever_reads_may_stop)
