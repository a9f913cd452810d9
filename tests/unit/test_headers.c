#include <ctype.h>
#include <string.h>

#include "lbd/http/header_table.h"
#include "lbd/http/headers.h"
#include "tests/unit/unit.h"

START_TEST(every_known_name_has_its_own_slot)
{
    bool taken[HEADER_SLOTS] = {false};
    for (unsigned id = 1; id < HEADER_ID_COUNT; id++) {
        struct slice name = header_id_name((enum header_id)id);
        ck_assert_uint_ge(name.len, 2);
        ck_assert_uint_lt(name.len, HEADER_TEXT_MAX);
        size_t slot =
            HEADER_SLOT(name.len, name.ptr[0], name.ptr[name.len - 2], name.ptr[name.len - 1]);
        ck_assert_msg(!taken[slot], "%.*s shares slot %zu", SLICE_ARG(name), slot);
        taken[slot] = true;
        ck_assert_msg(header_slots[slot] == id, "%.*s is not in slot %zu", SLICE_ARG(name), slot);
    }
    for (size_t slot = 0; slot < HEADER_SLOTS; slot++) {
        ck_assert_msg(taken[slot] == (header_slots[slot] != 0), "slot %zu", slot);
    }
}
END_TEST

START_TEST(names_are_known_in_any_case_and_only_whole)
{
    for (unsigned id = 1; id < HEADER_ID_COUNT; id++) {
        char text[HEADER_TEXT_MAX + 1];
        struct slice name = header_id_name((enum header_id)id);
        for (size_t i = 0; i < name.len; i++) {
            text[i] = (char)((i & 1U) != 0 ? toupper(name.ptr[i]) : name.ptr[i]);
        }
        ck_assert_uint_eq(header_id_of(slice_of(text, name.len)), id);
        for (size_t i = 0; i < name.len; i++) { /* one letter makes another name */
            char kept = text[i];
            text[i] = 'q';
            ck_assert_msg(header_id_of(slice_of(text, name.len)) != id || kept == 'q', "%.*s",
                          SLICE_ARG(name));
            text[i] = kept;
        }
        ck_assert_uint_ne(header_id_of(slice_of(text, name.len - 1)), id);
        text[name.len] = 's';
        ck_assert_uint_ne(header_id_of(slice_of(text, name.len + 1)), id);
    }
    ck_assert_uint_eq(header_id_of(SLICE("")), HEADER_OTHER);
    ck_assert_uint_eq(header_id_of(SLICE("x")), HEADER_OTHER);
    ck_assert_uint_eq(header_id_of(SLICE("x-custom")), HEADER_OTHER);
}
END_TEST

START_TEST(flags_say_what_stops_here_and_what_is_ours)
{
    static const struct {
        enum header_id id;
        unsigned flags;
    } cases[] = {
        {HEADER_CONNECTION, HEADER_HOP | HEADER_NO_TRAILER},
        {HEADER_CONTENT_LENGTH, HEADER_FRAMING | HEADER_SINGLE | HEADER_NO_TRAILER},
        {HEADER_X_FORWARDED_FOR, HEADER_OURS | HEADER_NO_TRAILER},
        {HEADER_USER_AGENT, 0},
        {HEADER_OTHER, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_uint_eq(header_id_flags(cases[i].id), cases[i].flags);
    }
}
END_TEST

START_TEST(names_fold_to_ours)
{
    static const struct {
        const char *name;
        enum header_id id;
    } cases[] = {
        {"X_Forwarded_For", HEADER_X_FORWARDED_FOR},
        {"x.real-IP", HEADER_X_REAL_IP},
        {"X-Forwarded-Proto", HEADER_X_FORWARDED_PROTO},
        {"content_length", HEADER_CONTENT_LENGTH},
        {"X+Forwarded+For", HEADER_OTHER},
        {"X_Forwarded_Fo", HEADER_OTHER},
        {"a_name_that_is_longer_than_any_that_is_known", HEADER_OTHER},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice name = slice_from(cases[i].name);
        ck_assert_msg(header_folded_id_of(name) == cases[i].id, "%s", cases[i].name);
        for (unsigned id = 1; id < HEADER_ID_COUNT; id++) {
            ck_assert(header_name_folds_to(name, header_id_name((enum header_id)id)) ==
                      (id == (unsigned)cases[i].id));
        }
    }
}
END_TEST

START_TEST(finds_the_first_that_was_not_dropped)
{
    static const char base[] = "Via: a\r\nX-Y: b\r\nvia: c\r\n";
    struct header list[] = {
        {.name_at = 0, .name_len = 3, .value_at = 5, .value_len = 1, .id = HEADER_VIA},
        {.name_at = 8, .name_len = 3, .value_at = 13, .value_len = 1, .id = HEADER_OTHER},
        {.name_at = 16, .name_len = 3, .value_at = 21, .value_len = 1, .id = HEADER_VIA},
    };
    struct headers headers = {base, list, 3, 3};
    ck_assert_ptr_eq(headers_find(&headers, HEADER_VIA), &list[0]);
    ck_assert_ptr_eq(headers_find_name(&headers, SLICE("x-y")), &list[1]);
    ck_assert_ptr_eq(headers_find_name(&headers, SLICE("VIA")), &list[0]);
    list[0].dropped = 1;
    list[1].dropped = 1;
    ck_assert_ptr_eq(headers_find(&headers, HEADER_VIA), &list[2]);
    ck_assert_ptr_eq(headers_find_name(&headers, SLICE("VIA")), &list[2]);
    ck_assert_ptr_null(headers_find_name(&headers, SLICE("x-y")));
    ck_assert_ptr_null(headers_find(&headers, HEADER_HOST));
    ck_assert(slice_eq(header_name(&headers, &list[2]), SLICE("via")));
    ck_assert(slice_eq(header_value(&headers, &list[2]), SLICE("c")));
}
END_TEST

START_TEST(lists_skip_empty_members)
{
    static const struct {
        const char *value;
        const char *want; /* each member followed by '|' */
    } cases[] = {
        {"", ""},        {"a", "a|"},    {"a,b", "a|b|"},      {" a , b ", "a|b|"},
        {",,a,,", "a|"}, {" , \t,", ""}, {"a b, c", "a b|c|"}, {"a;q=1,b", "a;q=1|b|"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct slice rest = slice_from(cases[i].value);
        struct slice member;
        char got[64] = "";
        while (header_list_next(&rest, &member)) {
            (void)strncat(got, member.ptr, member.len);
            (void)strcat(got, "|");
        }
        ck_assert_str_eq(got, cases[i].want);
    }
}
END_TEST

/* Every control character at every place of values of many lengths. */
START_TEST(values_hold_no_control_character_but_htab)
{
    char value[70];
    for (size_t len = 1; len < sizeof(value); len++) {
        memset(value, 'v', sizeof(value));
        ck_assert(header_value_is_valid(slice_of(value, len)));
        for (size_t at = 0; at < len; at++) {
            for (int c = 0; c < 256; c++) {
                value[at] = (char)c;
                bool want = (c >= 0x20 && c != 0x7f) || c == '\t';
                unit_expect(header_value_is_valid(slice_of(value, len)) == want,
                            "0x%02x at %zu of %zu", (unsigned)c, at, len);
            }
            value[at] = 'v';
        }
    }
    ck_assert(header_value_is_valid(SLICE("")));
}
END_TEST

START_TEST(names_are_letters_digits_and_dashes)
{
    for (int c = 0; c < 256; c++) {
        char name[] = {'X', '-', (char)c, '1'};
        bool want = c < 128 && (isalnum(c) != 0 || c == '-');
        ck_assert_msg(header_name_is_valid(slice_of(name, sizeof(name))) == want, "0x%02x",
                      (unsigned)c);
    }
    ck_assert(!header_name_is_valid(SLICE("")));
}
END_TEST

UNIT_TESTS("headers", every_known_name_has_its_own_slot, names_are_known_in_any_case_and_only_whole,
           flags_say_what_stops_here_and_what_is_ours, names_fold_to_ours,
           finds_the_first_that_was_not_dropped, lists_skip_empty_members,
           values_hold_no_control_character_but_htab, names_are_letters_digits_and_dashes)
