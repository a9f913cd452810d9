#include "lbd/base/num.h"
#include "tests/unit/unit.h"

#define NOT_A_NUMBER UINT64_C(0xdeadbeef)

struct number_case {
    const char *text;
    bool ok;
    uint64_t want;
};

typedef bool parse_fn(struct slice text, uint64_t *out);

static void check(parse_fn *parse, const struct number_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t got = NOT_A_NUMBER;
        bool ok = parse(slice_from(cases[i].text), &got);
        ck_assert_msg(ok == cases[i].ok, "'%s' was %s", cases[i].text, ok ? "taken" : "refused");
        /* a refused text leaves the target alone */
        ck_assert_msg(got == (ok ? cases[i].want : NOT_A_NUMBER), "'%s' gave %llu", cases[i].text,
                      (unsigned long long)got);
    }
}

START_TEST(reads_decimal)
{
    static const struct number_case cases[] = {
        {"0", true, 0},
        {"007", true, 7},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"99999999999999999999", false, 0},
        {"", false, 0},
        {"-1", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1x", false, 0},
        {"0x1", false, 0},
    };
    check(num_parse_u64, cases, ARRAY_LEN(cases));
}
END_TEST

START_TEST(reads_hexadecimal)
{
    static const struct number_case cases[] = {
        {"0", true, 0},
        {"fF", true, 255},
        {"0000000000000001", true, 1},
        {"ffffffffffffffff", true, UINT64_MAX},
        {"00000000000000001", false, 0}, /* 17 digits */
        {"", false, 0},
        {"g", false, 0},
        {"0x1", false, 0},
        {"1 ", false, 0},
        {"@", false, 0},
        {"`", false, 0},
    };
    check(num_parse_hex, cases, ARRAY_LEN(cases));
}
END_TEST

START_TEST(reads_durations)
{
    static const struct number_case cases[] = {
        {"0", true, 0},
        {"0s", true, 0},
        {"250ms", true, 250},
        {"2s", true, 2000},
        {"5m", true, 300000},
        {"1h", true, 3600000},
        {"1d", true, 86400000},
        {"1m30s", true, 90000},
        {"1d2h3m4s5ms", true, 93784005},
        {"90s", true, 90000},
        {"5", false, 0},
        {"00", false, 0},
        {"s", false, 0},
        {"", false, 0},
        {"1.5s", false, 0},
        {"1S", false, 0},
        {"1s1m", false, 0}, /* units descend */
        {"1s1s", false, 0},
        {"1m30", false, 0},
        {"1 s", false, 0},
        {"-1s", false, 0},
        {"1w", false, 0},
        {"213503982334d", true, UINT64_C(18446744073657600000)},
        {"213503982335d", false, 0},
        {"213503982334d15h", false, 0}, /* the sum overflows */
    };
    check(num_parse_duration_ms, cases, ARRAY_LEN(cases));
}
END_TEST

START_TEST(reads_sizes)
{
    static const struct number_case cases[] = {
        {"0", true, 0},
        {"512", true, 512},
        {"512B", true, 512},
        {"64KiB", true, 65536},
        {"16MiB", true, 16777216},
        {"1GiB", true, 1073741824},
        {"2TiB", true, UINT64_C(2199023255552)},
        {"1kB", true, 1000},
        {"1MB", true, 1000000},
        {"3GB", true, 3000000000},
        {"", false, 0},
        {"KiB", false, 0},
        {"1k", false, 0},
        {"1kb", false, 0},
        {"1 KiB", false, 0},
        {"1KiB1", false, 0},
        {"-1", false, 0},
        {"16777216TiB", false, 0}, /* 2^64 */
        {"16777215TiB", true, UINT64_C(16777215) << 40U},
    };
    check(num_parse_size, cases, ARRAY_LEN(cases));
}
END_TEST

START_TEST(writes_what_it_reads)
{
    static const uint64_t values[] = {
        0,
        1,
        9,
        10,
        99,
        100,
        1000,
        1023,
        1024,
        60000,
        65536,
        90000,
        3600000,
        86400000,
        1073741824,
        UINT64_C(1) << 40U,
        250,
        1001,
        0x0123456789abcdef,
        0xfedcba9876543210,
        4095,
        604800,
        UINT32_MAX,
        UINT64_MAX - 1,
        UINT64_MAX,
    };
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        char text[NUM_TEXT_MAX];
        uint64_t back = NOT_A_NUMBER;
        size_t len = num_write_u64(text, values[i]);
        ck_assert_int_eq(text[len], '\0');
        ck_assert(num_parse_u64(slice_of(text, len), &back) && back == values[i]);
        len = num_write_hex(text, values[i]);
        ck_assert_int_eq(text[len], '\0');
        ck_assert(num_parse_hex(slice_of(text, len), &back) && back == values[i]);
        num_write_hex16(text, values[i]);
        ck_assert(num_parse_hex(slice_of(text, 16), &back) && back == values[i]);
        len = num_write_duration(text, values[i]);
        ck_assert_int_eq(text[len], '\0');
        ck_assert(len < NUM_TEXT_MAX);
        ck_assert(num_parse_duration_ms(slice_of(text, len), &back) && back == values[i]);
        len = num_write_size(text, values[i]);
        ck_assert_int_eq(text[len], '\0');
        ck_assert(num_parse_size(slice_of(text, len), &back) && back == values[i]);
    }
}
END_TEST

START_TEST(writes_the_largest_unit_that_divides)
{
    char text[NUM_TEXT_MAX];
    static const struct {
        uint64_t ms;
        const char *want;
    } durations[] = {{0, "0s"},        {250, "250ms"},     {1000, "1s"},
                     {90000, "90s"},   {120000, "2m"},     {3600000, "1h"},
                     {86400000, "1d"}, {129600000, "36h"}, {1500, "1500ms"}};
    for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
        (void)num_write_duration(text, durations[i].ms);
        ck_assert_str_eq(text, durations[i].want);
    }
    static const struct {
        uint64_t bytes;
        const char *want;
    } sizes[] = {{0, "0"},
                 {1000, "1000"},
                 {1024, "1KiB"},
                 {65536, "64KiB"},
                 {16777216, "16MiB"},
                 {1536, "1536"},
                 {1073741824, "1GiB"},
                 {1572864, "1536KiB"}};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        (void)num_write_size(text, sizes[i].bytes);
        ck_assert_str_eq(text, sizes[i].want);
    }
}
END_TEST

UNIT_TESTS("num", reads_decimal, reads_hexadecimal, reads_durations, reads_sizes,
           writes_what_it_reads, writes_the_largest_unit_that_divides)
