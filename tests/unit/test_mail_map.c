#include <string.h>

#include "lbd/mail/mail_map.h"
#include "tests/unit/unit.h"

#define ENTRY(text, ...)                                                                           \
    {                                                                                              \
        .name = SLICE_INIT(text), __VA_ARGS__                                                      \
    }

static const char *find(const struct mail_map *map, const char *user)
{
    struct mail_name_parts parts = mail_name_parts(slice_from(user));
    struct mail_map_groups groups;
    const struct conf_mail_entry *entry = mail_map_find(map, &parts, &groups);
    return entry != NULL ? entry->name.ptr : "";
}

START_TEST(exact_is_the_whole_name)
{
    struct conf_mail_entry entries[] = {ENTRY("ann@a"), ENTRY("joe"), ENTRY("joe@a")};
    const struct conf_mail_map conf = {
        .type = CONF_MAIL_MAP_EXACT, .entries = entries, .entry_count = 3};
    struct mail_map map;
    mail_map_init(&map, &conf, NULL);
    ck_assert_str_eq(find(&map, "joe"), "joe");
    ck_assert_str_eq(find(&map, "joe@a"), "joe@a");
    ck_assert_str_eq(find(&map, "ann@a"), "ann@a");
    ck_assert_str_eq(find(&map, "joe@b"), "");
    ck_assert_str_eq(find(&map, "aaa"), "");
    ck_assert_str_eq(find(&map, "zzz"), "");
    mail_map_fini(&map);
}
END_TEST

START_TEST(domain_is_behind_the_last_at)
{
    struct conf_mail_entry entries[] = {ENTRY("a.example"), ENTRY("b.example")};
    const struct conf_mail_map conf = {
        .type = CONF_MAIL_MAP_DOMAIN, .entries = entries, .entry_count = 2};
    struct mail_map map;
    mail_map_init(&map, &conf, NULL);
    ck_assert_str_eq(find(&map, "joe@a.example"), "a.example");
    ck_assert_str_eq(find(&map, "x@b.example@a.example"), "a.example");
    ck_assert_str_eq(find(&map, "a.example"), "");
    ck_assert_str_eq(find(&map, "joe@x.a.example"), "");
    mail_map_fini(&map);
}
END_TEST

START_TEST(prefix_is_the_longest)
{
    struct conf_mail_entry entries[] = {ENTRY("a"),  ENTRY("ab"), ENTRY("abc"), ENTRY("abcx"),
                                        ENTRY("ac"), ENTRY("b1"), ENTRY("b123")};
    const struct conf_mail_map conf = {
        .type = CONF_MAIL_MAP_PREFIX, .entries = entries, .entry_count = ARRAY_LEN(entries)};
    static const char *const cases[][2] = {{"a", "a"},         {"abc", "abc"},    {"abcd", "abc"},
                                           {"abcxyz", "abcx"}, {"ad", "a"},       {"ab@x", "ab"},
                                           {"b12", "b1"},      {"b1234", "b123"}, {"b", ""},
                                           {"c", ""},          {"A", ""},         {"az", "a"}};
    struct mail_map map;
    mail_map_init(&map, &conf, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_str_eq(find(&map, cases[i][0]), cases[i][1]);
    }
    mail_map_fini(&map);
}
END_TEST

START_TEST(patterns_go_by_priority_then_name)
{
    struct conf_mail_entry entries[] = {ENTRY("^[a-m].*@(.*)$", .priority = 5), ENTRY("^joe@.*$"),
                                        ENTRY("^joe@(a|b)\\.example$", .priority = 10),
                                        ENTRY("example")};
    const struct conf_mail_map conf = {
        .type = CONF_MAIL_MAP_REGEX, .version = 7, .entries = entries, .entry_count = 4};
    struct mail_map map;
    struct mail_map shared;
    struct mail_map_groups groups;
    mail_map_init(&map, &conf, NULL);
    mail_map_init(&shared, &conf, &map);
    ck_assert_ptr_eq(map.patterns, shared.patterns);
    mail_map_fini(&map); /* the other one has its own reference */
    ck_assert_str_eq(find(&shared, "joe@a.example"), "^joe@(a|b)\\.example$");
    ck_assert_str_eq(find(&shared, "joe@c.example"), "^[a-m].*@(.*)$");
    ck_assert_str_eq(find(&shared, "zoe@c.example"), "example");
    ck_assert_str_eq(find(&shared, "zoe@c"), "");
    struct mail_name_parts parts = mail_name_parts(SLICE("joe@c.example"));
    ck_assert_ptr_nonnull(mail_map_find(&shared, &parts, &groups));
    ck_assert(slice_eq(groups.list[0], SLICE("c.example")));
    ck_assert_uint_eq(groups.list[1].len, 0);
    mail_map_fini(&shared);
}
END_TEST

START_TEST(patterns_of_another_version_are_not_shared)
{
    struct conf_mail_entry entries[] = {ENTRY("a")};
    struct conf_mail_map conf = {
        .type = CONF_MAIL_MAP_REGEX, .version = 7, .entries = entries, .entry_count = 1};
    struct mail_map map;
    struct mail_map other;
    mail_map_init(&map, &conf, NULL);
    conf.version = 8;
    mail_map_init(&other, &conf, &map);
    ck_assert_ptr_ne(map.patterns, other.patterns);
    mail_map_fini(&map);
    mail_map_fini(&other);
}
END_TEST

UNIT_TESTS("mail_map", exact_is_the_whole_name, domain_is_behind_the_last_at, prefix_is_the_longest,
           patterns_go_by_priority_then_name, patterns_of_another_version_are_not_shared)
