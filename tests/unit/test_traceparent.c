#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/http/traceparent.h"
#include "tests/unit/unit.h"

#define TRACE  "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"
#define NONE   "00000000000000000000000000000000"

/* The cases of the specification's own validation, and what stands beside them. */
static const struct {
    const char *text;
    bool ok;
    bool is_sampled;
} cases[] = {
    {"00-" TRACE "-" PARENT "-01", true, true},
    {"00-" TRACE "-" PARENT "-00", true, false},
    {"00-" TRACE "-" PARENT "-02", true, false}, /* flags that are not known are let be */
    {"00-" TRACE "-" PARENT "-ff", true, true},
    {"00-" TRACE "-" PARENT "-0a", true, false},
    {"00-" TRACE "-" PARENT "-0b", true, true},
    {"cc-" TRACE "-" PARENT "-01", true, true}, /* a later version */
    {"cc-" TRACE "-" PARENT "-01-", true, true},
    {"cc-" TRACE "-" PARENT "-01-what-the-future-will-be-like", true, true},
    {"cc-" TRACE "-" PARENT "-01.what-the-future-will-be-like", false, false},
    {"00-" TRACE "-" PARENT "-01-", false, false},
    {"00-" TRACE "-" PARENT "-01-x", false, false},
    {"00-" TRACE "-" PARENT "-011", false, false},
    {"ff-" TRACE "-" PARENT "-01", false, false},
    {"00-" NONE "-" PARENT "-01", false, false},
    {"00-" TRACE "-0000000000000000-01", false, false},
    {"00-4BF92f3577b34da6a3ce929d0e0e4736-" PARENT "-01", false, false}, /* upper case */
    {"00-" TRACE "-00F067aa0ba902b7-01", false, false},
    {"0A-" TRACE "-" PARENT "-01", false, false},
    {"00-" TRACE "-" PARENT "-0A", false, false},
    {".0-" TRACE "-" PARENT "-01", false, false},
    {"0-" TRACE "-" PARENT "-01", false, false},
    {"000-" TRACE "-" PARENT "-01", false, false},
    {"00-.bf92f3577b34da6a3ce929d0e0e4736-" PARENT "-01", false, false},
    {"00-4bf92f3577b34da6a3ce929d0e0e473-" PARENT "-01", false, false},
    {"00-" TRACE "-.0f067aa0ba902b7-01", false, false},
    {"00-" TRACE "-0f067aa0ba902b7-01", false, false},
    {"00-" TRACE "-" PARENT "-.1", false, false},
    {"00-" TRACE "-" PARENT "-1", false, false},
    {"00-" TRACE "-" PARENT "-", false, false},
    {"00-" TRACE "-" PARENT, false, false},
    {"00_" TRACE "-" PARENT "-01", false, false},
    {"00-" TRACE " " PARENT "-01", false, false},
    {" 00-" TRACE "-" PARENT "-01", false, false},
    {"00-" TRACE "-" PARENT "-01 ", false, false},
    {"00-" TRACE "-" PARENT "-01, 00-" TRACE "-" PARENT "-01", false, false},
    {"", false, false},
    {"00", false, false},
};

START_TEST(read_as_the_specification_says)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct traceparent parent;
        bool ok = traceparent_read(slice_from(cases[i].text), &parent);
        ck_assert_msg(ok == cases[i].ok, "'%s'", cases[i].text);
        if (ok) {
            ck_assert(slice_eq(parent.trace_id, SLICE(TRACE)));
            ck_assert(slice_eq(parent.parent_id, SLICE(PARENT)));
            ck_assert_int_eq(parent.is_sampled, cases[i].is_sampled);
        }
    }
}
END_TEST

START_TEST(every_cut_of_one_is_none)
{
    static const char whole[] = "00-" TRACE "-" PARENT "-01";
    struct traceparent parent;
    ck_assert_uint_eq(sizeof(whole) - 1, TRACEPARENT_LEN);
    for (size_t len = 0; len < TRACEPARENT_LEN; len++) {
        ck_assert(!traceparent_read(slice_of(whole, len), &parent));
    }
}
END_TEST

START_TEST(too_long_a_later_version_is_none)
{
    char text[TRACEPARENT_MAX + 1];
    struct traceparent parent;
    memset(text, 'x', sizeof(text));
    memcpy(text, "cc-" TRACE "-" PARENT "-01-", TRACEPARENT_LEN + 1);
    ck_assert(traceparent_read(slice_of(text, TRACEPARENT_MAX), &parent));
    ck_assert(!traceparent_read(slice_of(text, TRACEPARENT_MAX + 1), &parent));
}
END_TEST

START_TEST(what_is_written_can_be_read)
{
    static const uint64_t numbers[][3] = {{1, 2, 3}, {0, 0, 0}, {0, 7, 0}, {UINT64_MAX, 0, 1}};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        char text[TRACEPARENT_LEN];
        struct traceparent parent;
        traceparent_write(text, numbers[i], numbers[i][2], i % 2 == 0);
        ck_assert(traceparent_read(slice_of(text, TRACEPARENT_LEN), &parent));
        ck_assert_int_eq(parent.is_sampled, i % 2 == 0);
    }
}
END_TEST

UNIT_TESTS("traceparent", read_as_the_specification_says, every_cut_of_one_is_none,
           too_long_a_later_version_is_none, what_is_written_can_be_read)
