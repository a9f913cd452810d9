#include <string.h>

#include "lbd/base/err.h"
#include "tests/unit/unit.h"

START_TEST(says_what_and_where)
{
    struct err err = {0};
    ck_assert(!err_set(&err, ERR_NOT_FOUND, "cannot open '%s'", "x"));
    ck_assert_int_eq(err.kind, ERR_NOT_FOUND);
    ck_assert_str_eq(err.text, "cannot open 'x'");
    ck_assert_str_eq(err.place, "");
    ck_assert(!err_set_at(&err, ERR_INVALID, "#/pools/a", "weight %d", 300));
    ck_assert_str_eq(err.place, "#/pools/a");
    ck_assert_str_eq(err.text, "weight 300");
    err_clear(&err);
    ck_assert_int_eq(err.kind, ERR_NONE);
    ck_assert_str_eq(err.text, "");
    ck_assert_str_eq(err.place, "");
}
END_TEST

START_TEST(may_wrap_itself)
{
    struct err err = {0};
    err_set_at(&err, ERR_SYSTEM, "a.json", "disk full");
    err_set_at(&err, ERR_STORAGE, err.place, "cannot save: %s", err.text);
    ck_assert_str_eq(err.text, "cannot save: disk full");
    ck_assert_str_eq(err.place, "a.json");
}
END_TEST

START_TEST(cuts_long_texts)
{
    struct err err = {0};
    char longer[1000];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    err_set_at(&err, ERR_SYSTEM, longer, "%s", longer);
    ck_assert_uint_eq(strlen(err.text), sizeof(err.text) - 1);
    ck_assert_str_eq(err.text + sizeof(err.text) - 4, "...");
    ck_assert_uint_eq(strlen(err.place), sizeof(err.place) - 1);
}
END_TEST

START_TEST(nobody_has_to_listen)
{
    ck_assert(!err_set(NULL, ERR_SYSTEM, "x"));
    ck_assert(!err_set_at(NULL, ERR_SYSTEM, "p", "x"));
    err_clear(NULL);
}
END_TEST

UNIT_TESTS("err", says_what_and_where, may_wrap_itself, cuts_long_texts, nobody_has_to_listen)
