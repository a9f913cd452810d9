#include <string.h>

#include "api/api_calls.h"
#include "api/api_table.h"
#include "tests/unit/unit.h"

static uint64_t count(size_t row, const char *method, unsigned code)
{
    uint64_t sum = 0;
    for (size_t m = 0; m < api_calls_methods(); m++) {
        for (size_t c = 0; c < api_calls_codes(); c++) {
            if (strcmp(api_calls_method(m), method) == 0 && api_calls_code(c) == code) {
                sum += api_calls_count(row, m, c);
            }
        }
    }
    return sum;
}

START_TEST(answers_are_counted_by_row_method_and_code)
{
    api_calls_note(3, "GET", 200, 150);
    api_calls_note(3, "GET", 200, 250);
    api_calls_note(3, "BREW", 418, 0);
    api_calls_note(SIZE_MAX, "GET", 404, 10);
    ck_assert_uint_eq(count(3, "GET", 200), 2);
    ck_assert_uint_eq(count(3, "other", 0), 1); /* never a label that a client made up */
    ck_assert_uint_eq(count(2, "GET", 200), 0);
    ck_assert_uint_eq(count(api_table_count(), "GET", 404), 1);
    ck_assert_uint_eq(
        histogram_count(api_calls_duration(3)->buckets, HISTOGRAM_DURATION_BOUNDS + 1), 3);
    ck_assert_uint_eq(api_calls_duration(3)->sum_us, 400);
    ck_assert_uint_lt(api_table_count(), API_CALLS_ROWS_MAX);
}
END_TEST

START_TEST(connections_come_and_go)
{
    ck_assert_uint_eq(api_calls_connections(), 0);
    api_calls_connection(1);
    api_calls_connection(1);
    api_calls_connection(-1);
    ck_assert_uint_eq(api_calls_connections(), 1);
    api_calls_connection(-1);
}
END_TEST

UNIT_TESTS("api_calls", answers_are_counted_by_row_method_and_code, connections_come_and_go)
