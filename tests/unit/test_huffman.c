#include "lbd/base/compiler.h"
#include "lbd/http/huffman.h"
#include "tests/unit/unit.h"

static const struct {
    uint32_t code;
    unsigned bits;
} codes[256] = {
#define CODE(code, bits) {code, bits},
#include "lbd/http/huffman_codes.def"
#undef CODE
};

enum { PAIR_BITS = 11 };

/* What the first `have` bits of `bits` (aligned to the right) begin with, or -1. */
static int begins_with(uint32_t bits, unsigned have)
{
    for (int byte = 0; byte < 256; byte++) {
        unsigned len = codes[byte].bits;
        if (len <= have && bits >> (have - len) == codes[byte].code) {
            return byte;
        }
    }
    return -1;
}

START_TEST(pairs_are_made_of_the_codes)
{
    static const uint32_t pairs[] = {
#define PAIR(row) row,
#include "lbd/http/huffman_pairs.def"
#undef PAIR
    };
    ck_assert_uint_eq(ARRAY_LEN(pairs), 1U << PAIR_BITS);
    for (uint32_t bits = 0; bits < ARRAY_LEN(pairs); bits++) {
        uint32_t want = 0;
        int first = begins_with(bits, PAIR_BITS);
        if (first >= 0) {
            unsigned used = codes[first].bits;
            unsigned left = PAIR_BITS - used;
            int second = begins_with(bits & ((1U << left) - 1U), left);
            want = (uint32_t)first | used << 16U | used << 20U | 1U << 24U;
            if (second >= 0) {
                want = (uint32_t)first | (uint32_t)second << 8U | used << 16U |
                       (used + codes[second].bits) << 20U | 2U << 24U;
            }
        }
        unit_expect(pairs[bits] == want, "%x: 0x%x, want 0x%x", bits, pairs[bits], want);
    }
}
END_TEST

/* Every byte value, alone and in every place of a longer text. */
START_TEST(every_byte_comes_back)
{
    char text[40];
    char coded[200];
    char back[sizeof(text) + 16];
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t len = 1; len <= sizeof(text); len++) {
            memset(text, 'a', sizeof(text));
            text[len - 1] = (char)byte;
            text[len / 2] = (char)byte;
            struct slice in = slice_of(text, len);
            size_t coded_len = huffman_encode(in, coded, sizeof(coded));
            unit_expect(coded_len == huffman_encoded_len(in), "%u %zu", byte, len);
            size_t back_len = 0;
            enum huffman_verdict verdict =
                huffman_decode(slice_of(coded, coded_len), back, sizeof(back), &back_len);
            unit_expect(verdict == HUFFMAN_OK && back_len == len && memcmp(back, text, len) == 0,
                        "%u %zu", byte, len);
            unit_expect(huffman_decoded_len(slice_of(coded, coded_len)) == len, "%u %zu", byte,
                        len);
        }
    }
}
END_TEST

START_TEST(never_writes_beyond_its_capacity)
{
    static const char text[] = "the quick brown fox #jumps over the lazy dog ~ 0123456789 aeioust";
    struct slice in = slice_of(text, sizeof(text) - 1);
    char coded[sizeof(text)];
    size_t coded_len = huffman_encode(in, coded, sizeof(coded));
    ck_assert_uint_eq(coded_len, huffman_encoded_len(in));
    for (size_t capacity = 0; capacity < coded_len; capacity++) {
        char *out = malloc(capacity + 1);
        ck_assert_uint_eq(huffman_encode(in, out, capacity), 0);
        free(out);
    }
    for (size_t capacity = 0; capacity <= in.len; capacity++) {
        char *out = malloc(capacity == 0 ? 1 : capacity);
        size_t len = 0;
        enum huffman_verdict verdict =
            huffman_decode(slice_of(coded, coded_len), out, capacity, &len);
        ck_assert_int_eq(verdict, capacity < in.len ? HUFFMAN_FULL : HUFFMAN_OK);
        free(out);
    }
}
END_TEST

/* RFC 7541 5.2 */
START_TEST(refuses_wrong_padding_and_eos)
{
    static const struct {
        const char *bytes;
        size_t len;
        enum huffman_verdict want;
    } cases[] = {
        {"", 0, HUFFMAN_OK},
        {"\x1f", 1, HUFFMAN_OK},  /* 'a' 00011, padding 111 */
        {"\x1e", 1, HUFFMAN_BAD}, /* padding 110 */
        {"\x18", 1, HUFFMAN_BAD}, /* padding 000: '0' would be five bits of it */
        {"\xff", 1, HUFFMAN_BAD}, /* a whole byte of padding */
        {"\x1f\xff", 2, HUFFMAN_BAD},
        {"\xff\xff\xff\xfc", 4, HUFFMAN_BAD},                     /* EOS */
        {"\xff\xff\xff\xff", 4, HUFFMAN_BAD},                     /* EOS, padded */
        {"\x1f\xff\xff\xff\xff", 5, HUFFMAN_BAD},                 /* 'a', EOS */
        {"\xff\xff\xff\xff\x1f\x1f\x1f\x1f\x1f", 9, HUFFMAN_BAD}, /* EOS where many bits follow */
        {"\xff\xff\xff\xf0", 4, HUFFMAN_BAD}, /* the 28 bits of nothing: 30 are LF */
        {"\xff\xff\xff\xf3", 4, HUFFMAN_OK},  /* LF is 30 bits, padding 11 */
        {"\x84", 1, HUFFMAN_BAD},             /* half a code that is not padding */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[64];
        size_t len;
        struct slice in = slice_of(cases[i].bytes, cases[i].len);
        ck_assert_msg(huffman_decode(in, out, sizeof(out), &len) == cases[i].want, "case %zu", i);
        ck_assert_msg((huffman_decoded_len(in) != SIZE_MAX) == (cases[i].want == HUFFMAN_OK),
                      "case %zu", i);
    }
}
END_TEST

UNIT_TESTS("huffman", pairs_are_made_of_the_codes, every_byte_comes_back,
           never_writes_beyond_its_capacity, refuses_wrong_padding_and_eos)
