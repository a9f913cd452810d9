#include "lbd/base/num.h"

#include <endian.h>
#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes decimal digits off the front of *text. */
static bool take_u64(struct slice *text, uint64_t *out)
{
    uint64_t value = 0;
    size_t used = 0;
    while (used < text->len && is_digit(text->ptr[used])) {
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(text->ptr[used] - '0'), &value)) {
            return false;
        }
        used++;
    }
    if (used == 0) {
        return false;
    }
    *text = slice_from_at(*text, used);
    *out = value;
    return true;
}

bool num_parse_u64(struct slice text, uint64_t *out)
{
    uint64_t value;
    if (!take_u64(&text, &value) || text.len != 0) {
        return false;
    }
    *out = value;
    return true;
}

bool num_parse_hex(struct slice text, uint64_t *out)
{
    uint64_t value = 0;
    if (text.len == 0 || text.len > 16) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        unsigned digit;
        if (is_digit(c)) {
            digit = (unsigned)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            digit = (unsigned)(c - 'a') + 10U;
        } else if (c >= 'A' && c <= 'F') {
            digit = (unsigned)(c - 'A') + 10U;
        } else {
            return false;
        }
        value = value << 4U | digit;
    }
    *out = value;
    return true;
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* largest first: a compound must descend, and the writers take the first that divides */
static const struct unit durations[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

static const struct unit sizes[] = {
    {"TiB", UINT64_C(1) << 40U},
    {"GiB", UINT64_C(1) << 30U},
    {"MiB", UINT64_C(1) << 20U},
    {"KiB", UINT64_C(1) << 10U},
    {"TB", 1000000000000},
    {"GB", 1000000000},
    {"MB", 1000000},
    {"kB", 1000},
    {"B", 1},
};

static size_t find_unit(const struct unit *units, size_t count, struct slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_eq(slice_from(units[i].name), name)) {
            return i;
        }
    }
    return count;
}

bool num_parse_duration_ms(struct slice text, uint64_t *out_ms)
{
    uint64_t total = 0;
    size_t next_unit = 0; /* units before this one were used */
    if (slice_eq(text, SLICE("0"))) {
        *out_ms = 0;
        return true;
    }
    do {
        uint64_t value;
        if (!take_u64(&text, &value)) {
            return false;
        }
        size_t letters = 0;
        while (letters < text.len && !is_digit(text.ptr[letters])) {
            letters++;
        }
        size_t unit = find_unit(durations, ARRAY_LEN(durations), slice_of(text.ptr, letters));
        if (unit == ARRAY_LEN(durations) || unit < next_unit ||
            __builtin_mul_overflow(value, durations[unit].factor, &value) ||
            __builtin_add_overflow(total, value, &total)) {
            return false;
        }
        next_unit = unit + 1;
        text = slice_from_at(text, letters);
    } while (text.len != 0);
    *out_ms = total;
    return true;
}

bool num_parse_size(struct slice text, uint64_t *out_bytes)
{
    uint64_t value;
    if (!take_u64(&text, &value)) {
        return false;
    }
    if (text.len != 0) {
        size_t unit = find_unit(sizes, ARRAY_LEN(sizes), text);
        if (unit == ARRAY_LEN(sizes) || __builtin_mul_overflow(value, sizes[unit].factor, &value)) {
            return false;
        }
    }
    *out_bytes = value;
    return true;
}

static size_t count_digits(uint64_t value)
{
    size_t count = 1;
    while (value >= 10000) {
        value /= 10000;
        count += 4;
    }
    return count + (value >= 10 ? 1U : 0U) + (value >= 100 ? 1U : 0U) + (value >= 1000 ? 1U : 0U);
}

size_t num_write_u64(char *out, uint64_t value)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    size_t len = count_digits(value);
    char *at = out + len;
    *at = '\0';
    while (value >= 100) {
        at -= 2;
        memcpy(at, pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        memcpy(out, pairs + value * 2, 2);
    } else {
        *out = (char)('0' + value);
    }
    return len;
}

size_t num_write_hex(char *out, uint64_t value)
{
    size_t len = 1;
    while (len < 16 && value >> (4 * len) != 0) {
        len++;
    }
    for (size_t i = len; i-- > 0; value >>= 4U) {
        out[i] = "0123456789abcdef"[value & 15U];
    }
    out[len] = '\0';
    return len;
}

typedef uint8_t eight_bytes __attribute__((vector_size(8)));
typedef uint8_t sixteen_bytes __attribute__((vector_size(16)));

static eight_bytes nibbles_of(uint64_t bytes)
{
    eight_bytes nibbles;
    bytes &= UINT64_C(0x0f0f0f0f0f0f0f0f);
    memcpy(&nibbles, &bytes, sizeof(nibbles));
    return nibbles;
}

/* All digits at once: the highest nibble is the first. */
void num_write_hex16(char out[16], uint64_t value)
{
    uint64_t bytes = htobe64(value);
    sixteen_bytes nibbles =
        __builtin_shufflevector(nibbles_of(bytes >> 4U), nibbles_of(bytes), 0, 8, 1, 9, 2, 10, 3,
                                11, 4, 12, 5, 13, 6, 14, 7, 15);
    sixteen_bytes are_letters = (sixteen_bytes)(nibbles > 9);
    sixteen_bytes digits = nibbles + '0' + (are_letters & ('a' - '0' - 10));
    memcpy(out, &digits, sizeof(digits));
}

static size_t write_unit(char *out, uint64_t value, struct unit unit)
{
    size_t len = num_write_u64(out, value / unit.factor);
    memcpy(out + len, unit.name, strlen(unit.name) + 1);
    return len + strlen(unit.name);
}

size_t num_write_duration(char out[NUM_TEXT_MAX], uint64_t ms)
{
    size_t unit = 0;
    while (ms % durations[unit].factor != 0) {
        unit++;
    }
    /* 0 is written as "0s": every duration then carries its unit */
    return write_unit(out, ms, ms != 0 ? durations[unit] : durations[3]);
}

size_t num_write_size(char out[NUM_TEXT_MAX], uint64_t bytes)
{
    for (size_t unit = 0; bytes != 0 && unit < 4; unit++) {
        if (bytes % sizes[unit].factor == 0) {
            return write_unit(out, bytes, sizes[unit]);
        }
    }
    return num_write_u64(out, bytes);
}
