#include <string.h>

#include "conf/conf_revision.h"
#include "lbd/base/compiler.h"
#include "lbd/base/utf8.h"
#include "tests/unit/unit.h"

START_TEST(comes_back_as_it_was)
{
    struct conf_revision one;
    struct conf_revision two;
    struct buf text;
    struct err err;
    conf_revision_init(&one, 42);
    one.time_us = 1770000000000001ULL;
    one.changes_total = 3;
    one.rolled_back_to = 40;
    one.base = 41;
    one.deadline_us = 1770000300000000ULL;
    one.is_confirmed = false;
    one.is_from_file = true;
    conf_revision_set(one.hash, sizeof one.hash, SLICE("0123456789abcdef"));
    conf_revision_set(one.via, sizeof one.via, SLICE("patch"));
    conf_revision_set(one.who, sizeof one.who, SLICE("unix uid=0 pid=7"));
    conf_revision_set(one.summary, sizeof one.summary, SLICE("pools/a: \"quoted\"\n\xc3\xa4"));
    conf_revision_set(one.reason, sizeof one.reason, SLICE("why"));
    conf_revision_set(one.owner, sizeof one.owner, SLICE("ingress"));
    buf_init(&text, CONF_REVISION_TEXT_MAX);
    conf_revision_write(&one, &text);
    conf_revision_init(&two, 42);
    ck_assert_msg(conf_revision_read(&two, buf_slice(&text), &err), "%s", err.text);
    ck_assert_mem_eq(&one, &two, sizeof one);
    buf_fini(&text);
}
END_TEST

/* Whatever is in it, it fits into the file that it is read from. */
START_TEST(the_longest_can_be_read_again)
{
    struct conf_revision one;
    struct conf_revision two;
    struct buf text;
    struct err err;
    char control[1024];
    memset(control, 1, sizeof control);
    conf_revision_init(&one, 1);
    struct slice all = slice_of(control, sizeof control);
    conf_revision_set(one.hash, sizeof one.hash, all);
    conf_revision_set(one.via, sizeof one.via, all);
    conf_revision_set(one.who, sizeof one.who, all);
    conf_revision_set(one.summary, sizeof one.summary, all);
    conf_revision_set(one.reason, sizeof one.reason, all);
    conf_revision_set(one.owner, sizeof one.owner, all);
    buf_init(&text, CONF_REVISION_TEXT_MAX);
    conf_revision_write(&one, &text);
    ck_assert(!text.overflow);
    conf_revision_init(&two, 1);
    ck_assert_msg(conf_revision_read(&two, buf_slice(&text), &err), "%s", err.text);
    ck_assert_str_eq(two.summary, one.summary);
    buf_fini(&text);
}
END_TEST

START_TEST(is_cut_between_characters)
{
    char out[6];
    conf_revision_set(out, sizeof out, SLICE("abcd\xc3\xa4"));
    ck_assert_str_eq(out, "abcd");
    conf_revision_set(out, sizeof out, SLICE("abc\xc3\xa4"));
    ck_assert_str_eq(out, "abc\xc3\xa4");
    conf_revision_set(out, sizeof out, SLICE("\x80\x80\x80\x80\x80\x80\x80"));
    ck_assert_str_eq(out, "");
    conf_revision_set(out, sizeof out, SLICE_NONE);
    ck_assert_str_eq(out, "");
}
END_TEST

static const char *const damaged[] = {
    "",
    "{}",
    "[]",
    "7",
    "{\"base\":0}",
    "{\"base\":-1,\"changes_total\":0,\"confirmed\":true,\"deadline\":0,\"hash\":\"\",\"owner\":\"\","
    "\"reason\":\"\",\"rolled_back_to\":0,\"source\":\"api\",\"summary\":\"\",\"time\":0,\"via\":\"\","
    "\"who\":\"\"}",
    "{\"base\":0,\"changes_total\":0,\"confirmed\":1,\"deadline\":0,\"hash\":\"\",\"owner\":\"\","
    "\"reason\":\"\",\"rolled_back_to\":0,\"source\":\"api\",\"summary\":\"\",\"time\":0,\"via\":\"\","
    "\"who\":\"\"}",
    "{\"base\":0,\"changes_total\":0,\"confirmed\":true,\"deadline\":0,\"hash\":7,\"owner\":\"\","
    "\"reason\":\"\",\"rolled_back_to\":0,\"source\":\"api\",\"summary\":\"\",\"time\":0,\"via\":\"\","
    "\"who\":\"\"}",
};

START_TEST(what_is_damaged_changes_nothing)
{
    for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
        struct conf_revision one;
        struct conf_revision two;
        struct err err;
        conf_revision_init(&one, 7);
        conf_revision_init(&two, 7);
        ck_assert_msg(!conf_revision_read(&one, slice_from(damaged[i]), &err), "%s", damaged[i]);
        ck_assert_int_eq(err.kind, ERR_MALFORMED);
        ck_assert_mem_eq(&one, &two, sizeof one);
    }
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_test(tcase, comes_back_as_it_was);
    tcase_add_test(tcase, the_longest_can_be_read_again);
    tcase_add_test(tcase, is_cut_between_characters);
    tcase_add_test(tcase, what_is_damaged_changes_nothing);
}

UNIT_MAIN("conf_revision", add_all)
