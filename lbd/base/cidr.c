#include "lbd/base/cidr.h"

#include <stdlib.h>
#include <string.h>

#include "lbd/base/num.h"

#define V4_BITS 96U /* of ::ffff:0:0 */

/* Of the first `bits` of both: are they the same? */
static bool same_prefix(const uint8_t a[16], const uint8_t b[16], uint32_t bits)
{
    uint32_t whole = bits / 8;
    uint32_t rest = bits % 8;
    if (memcmp(a, b, whole) != 0) {
        return false;
    }
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8U - rest)) == 0;
}

static bool is_zero_behind(const uint8_t ip[16], uint32_t bits)
{
    for (uint32_t bit = bits; bit < 128; bit++) {
        if ((ip[bit / 8] & (0x80U >> (bit % 8))) != 0) {
            return false;
        }
    }
    return true;
}

bool cidr_parse(struct slice text, struct cidr *out)
{
    struct addr address;
    struct addr_small small;
    size_t slash = slice_find(text, '/');
    struct slice ip = slash == SIZE_MAX ? text : slice_of(text.ptr, slash);
    if (!addr_from_ip(ip, 0, &address)) {
        return false;
    }
    addr_small_from(&small, &address.u.any);

    bool is_written_v4 = address.u.any.sa_family == AF_INET;
    uint64_t bits = is_written_v4 ? 32 : 128;
    if (slash != SIZE_MAX) {
        struct slice digits = slice_from_at(text, slash + 1);
        uint64_t asked;
        if (digits.len > 3 || (digits.len > 1 && digits.ptr[0] == '0') ||
            !num_parse_u64(digits, &asked) || asked > bits) {
            return false;
        }
        bits = asked;
    }
    if (is_written_v4) {
        bits += V4_BITS;
    }
    if (!is_zero_behind(small.ip, (uint32_t)bits)) {
        return false;
    }
    *out =
        (struct cidr){.bits = (uint8_t)bits, .is_v6 = small.family == AF_INET6 || bits < V4_BITS};
    memcpy(out->ip, small.ip, sizeof(out->ip));
    return true;
}

bool cidr_has(const struct cidr *cidr, const struct addr_small *address)
{
    return address->family == (cidr->is_v6 ? AF_INET6 : AF_INET) &&
           same_prefix(cidr->ip, address->ip, cidr->bits);
}

/* IPv4 first, then by address, then the larger network. */
static int compare(const void *left, const void *right)
{
    const struct cidr *a = left;
    const struct cidr *b = right;
    if (a->is_v6 != b->is_v6) {
        return a->is_v6 ? 1 : -1;
    }
    int by_ip = memcmp(a->ip, b->ip, sizeof(a->ip));
    return by_ip != 0 ? by_ip : (int)a->bits - (int)b->bits;
}

bool cidr_set_build(struct cidr_set *set, struct arena *arena, const struct slice *texts,
                    uint32_t count)
{
    bool all = true;
    struct cidr *list = arena_alloc(arena, count * sizeof(*list));
    uint32_t parsed = 0;
    *set = (struct cidr_set){.list = list};
    for (uint32_t i = 0; i < count; i++) {
        if (slice_eq(texts[i], SLICE("unix"))) {
            set->has_unix = true;
        } else if (cidr_parse(texts[i], &list[parsed])) {
            parsed++;
        } else {
            all = false;
        }
    }
    qsort(list, parsed, sizeof(*list), compare);
    for (uint32_t i = 0; i < parsed; i++) {
        const struct cidr *last = set->count > 0 ? &list[set->count - 1] : NULL;
        if (last == NULL || last->is_v6 != list[i].is_v6 ||
            !same_prefix(last->ip, list[i].ip, last->bits)) {
            list[set->count++] = list[i];
        }
    }
    return all;
}

bool cidr_set_has(const struct cidr_set *set, const struct addr_small *address)
{
    if (address->family == AF_UNIX) {
        return set->has_unix;
    }
    struct cidr wanted = {.bits = 128, .is_v6 = address->family == AF_INET6};
    memcpy(wanted.ip, address->ip, sizeof(wanted.ip));
    uint32_t low = 0; /* the first network that begins behind the address */
    uint32_t high = set->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare(&set->list[middle], &wanted) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 && cidr_has(&set->list[low - 1], address);
}
