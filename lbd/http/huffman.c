#include "lbd/http/huffman.h"

#include "lbd/base/compiler.h"

enum {
    PAIR_BITS = 11,
    PAIRS = 1 << PAIR_BITS,
    REFILL_BITS = 56,  /* there are at least so many after a refill, at most 63 */
    REFILL_BYTES = 14, /* written before the next: 63 bits are at most 12 bytes, and one too far */
};

/* What the next 11 bits begin with: the first byte, the second, the bits of the first, the bits of
 * all that is said here, and how many bytes that is. 0: a code longer than 11 bits. */
static const uint32_t pairs[PAIRS] = {
#define PAIR(row) row,
#include "lbd/http/huffman_pairs.def"
#undef PAIR
};

static inline unsigned pair_first_bits(uint32_t pair)
{
    return pair >> 16 & 15U;
}

static inline unsigned pair_bits(uint32_t pair)
{
    return pair >> 20 & 15U;
}

static inline unsigned pair_count(uint32_t pair)
{
    return pair >> 24;
}

/* The codes of more than 11 bits, in their order; those of one length follow one another. */
static const uint8_t long_bytes[] = {
    /* clang-format off */
    35, 62, 0, 36, 64, 91, 93, 126, 94, 125, 60, 96, 123, 92, 195, 208, 128, 130, 131, 162, 184,
    194, 224, 226, 153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230, 129, 132, 133,
    134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189, 190, 196,
    198, 228, 232, 233, 1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157,
    158, 165, 166, 168, 174, 175, 180, 182, 183, 188, 191, 197, 231, 239, 9, 142, 144, 145, 148,
    159, 171, 206, 215, 225, 236, 237, 199, 207, 234, 235, 192, 193, 200, 201, 202, 205, 210, 213,
    218, 219, 238, 240, 242, 243, 255, 203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246,
    247, 248, 250, 251, 252, 253, 254, 2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21,
    23, 24, 25, 26, 27, 28, 29, 30, 31, 127, 220, 249, 10, 13, 22,
    /* clang-format on */
};

static const struct {
    uint32_t first; /* code, aligned to the right */
    uint8_t bits;
    uint8_t count;
} longs[] = {
    {0xffa, 12, 2},      {0x1ff8, 13, 6},     {0x3ffc, 14, 2},     {0x7ffc, 15, 3},
    {0x7fff0, 19, 3},    {0xfffe6, 20, 8},    {0x1fffdc, 21, 13},  {0x3fffd2, 22, 26},
    {0x7fffd8, 23, 29},  {0xffffea, 24, 12},  {0x1ffffec, 25, 4},  {0x3ffffe0, 26, 15},
    {0x7ffffde, 27, 19}, {0xfffffe2, 28, 29}, {0x3ffffffc, 30, 3},
};

/* The byte that `bits` (aligned to the left) begin with, a code of more than 11 bits; its length in
 * *used. -1: EOS. */
static int long_code(uint64_t bits, unsigned *used)
{
    unsigned before = 0;
    for (size_t i = 0; i < ARRAY_LEN(longs); i++) {
        uint32_t code = (uint32_t)(bits >> (64U - longs[i].bits));
        /* every shorter code was smaller than this prefix of ours */
        if (code - longs[i].first < longs[i].count) {
            *used = longs[i].bits;
            return long_bytes[before + (code - longs[i].first)];
        }
        before += longs[i].count;
    }
    return -1;
}

static inline uint64_t load_big_endian(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return __builtin_bswap64(word);
}

/* Decoding, or with `writes` false only measuring. */
static inline enum huffman_verdict decode(struct slice in, char *out, size_t capacity, bool writes,
                                          size_t *len)
{
    const uint8_t *at = (const uint8_t *)in.ptr;
    const uint8_t *end = at + in.len;
    size_t done = 0;
    uint64_t bits = 0; /* the next ones, aligned to the left; those beyond `have` may be there */
    unsigned have = 0;

    while (end - at >= 8 && capacity - done >= (size_t)REFILL_BYTES) {
        bits |= load_big_endian(at) >> have;
        at += (63U - have) >> 3U;
        have |= REFILL_BITS;
        do {
            uint32_t pair = pairs[bits >> (64U - PAIR_BITS)];
            unsigned used = pair_bits(pair);
            if (LB_LIKELY(pair != 0)) {
                if (writes) {
                    out[done] = (char)pair;
                    out[done + 1] = (char)(pair >> 8U);
                }
                done += pair_count(pair);
            } else {
                if (have < HUFFMAN_BITS_MAX) {
                    break; /* refill first */
                }
                int byte = long_code(bits, &used);
                if (byte < 0) {
                    return HUFFMAN_BAD;
                }
                if (writes) {
                    out[done] = (char)byte;
                }
                done++;
            }
            bits <<= used;
            have -= used;
        } while (have >= PAIR_BITS);
    }

    for (;;) {
        while (at < end && have <= REFILL_BITS) {
            bits |= (uint64_t)*at++ << (REFILL_BITS - have);
            have += 8;
        }
        if (have == 0) {
            break;
        }
        /* ones behind the last bit, as padding has them */
        uint64_t padded = have < 64 ? bits | ~(uint64_t)0 >> have : bits;
        uint32_t pair = pairs[padded >> (64U - PAIR_BITS)];
        unsigned used = pair_first_bits(pair);
        int byte = pair != 0 ? (int)(pair & 0xffU) : long_code(padded, &used);
        if (byte < 0 || used > have) {
            bool is_padding = have < 8 && padded == ~(uint64_t)0;
            if (!is_padding) {
                return HUFFMAN_BAD;
            }
            break;
        }
        if (done == capacity) {
            return HUFFMAN_FULL;
        }
        if (writes) {
            out[done] = (char)byte;
        }
        done++;
        bits <<= used;
        have -= used;
    }
    *len = done;
    return HUFFMAN_OK;
}

enum huffman_verdict huffman_decode(struct slice in, char *out, size_t capacity, size_t *len)
{
    return decode(in, out, capacity, true, len);
}

size_t huffman_decoded_len(struct slice in)
{
    size_t len = 0;
    return decode(in, NULL, SIZE_MAX, false, &len) == HUFFMAN_OK ? len : SIZE_MAX;
}

/* -- encoding -- */

static const struct {
    uint32_t code;
    uint32_t bits;
} codes[256] = {
#define CODE(code, bits) {code, bits},
#include "lbd/http/huffman_codes.def"
#undef CODE
};

size_t huffman_encoded_len(struct slice in)
{
    size_t bits = 0;
    for (size_t i = 0; i < in.len; i++) {
        bits += codes[(unsigned char)in.ptr[i]].bits;
    }
    return (bits + 7) / 8;
}

size_t huffman_encode(struct slice in, char *out, size_t capacity)
{
    size_t len = 0;
    uint64_t bits = 0; /* the last `have` of them are not written yet */
    unsigned have = 0;
    for (size_t i = 0; i < in.len; i++) {
        unsigned char byte = (unsigned char)in.ptr[i];
        bits = bits << codes[byte].bits | codes[byte].code;
        have += codes[byte].bits;
        for (; have >= 8; have -= 8) {
            if (len == capacity) {
                return 0;
            }
            out[len++] = (char)(bits >> (have - 8));
        }
    }
    if (have > 0) {
        if (len == capacity) {
            return 0;
        }
        unsigned padding = 8 - have; /* the beginning of EOS */
        out[len++] = (char)(bits << padding | ((1U << padding) - 1U));
    }
    return len;
}
