#include "lbd/http/accept_encoding.h"

#include <stdbool.h>

#define UNSAID UINT16_MAX

struct said {
    uint16_t gzip;
    uint16_t identity;
    uint16_t any;
};

/* RFC 9110 12.4.2: "0" or "1", and up to three digits. What is none is 0. */
static uint16_t weight_of(struct slice text)
{
    uint16_t weight = 0;
    uint16_t unit = ACCEPT_ENCODING_MOST;
    if (text.len == 0 || text.len > 5 || (text.len > 1 && text.ptr[1] != '.')) {
        return 0;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (i == 1) {
            continue;
        }
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return 0;
        }
        weight = (uint16_t)(weight + unit * (text.ptr[i] - '0'));
        unit /= 10;
    }
    return weight <= ACCEPT_ENCODING_MOST ? weight : 0;
}

static void note_member(struct said *said, struct slice member)
{
    struct slice coding;
    uint16_t weight = ACCEPT_ENCODING_MOST;
    (void)slice_split(&member, ';', &coding);
    coding = slice_trim(coding);
    member = slice_trim(member);
    if (member.len > 0) {
        bool is_weight =
            member.len > 2 && slice_lower(member.ptr[0]) == 'q' && member.ptr[1] == '=';
        weight = is_weight ? weight_of(slice_from_at(member, 2)) : 0;
    }
    if (slice_eq_nocase(coding, SLICE("gzip")) || slice_eq_nocase(coding, SLICE("x-gzip"))) {
        said->gzip = weight; /* RFC 9110 8.4.1.3: the same */
    } else if (slice_eq_nocase(coding, SLICE("identity"))) {
        said->identity = weight;
    } else if (slice_eq(coding, SLICE("*"))) {
        said->any = weight;
    }
}

static void note_field(struct said *said, struct slice value)
{
    struct slice member;
    while (header_list_next(&value, &member)) {
        note_member(said, member);
    }
}

static struct accept_encoding sum_up(const struct said *said)
{
    uint16_t any = said->any != UNSAID ? said->any : 0;
    uint16_t rest = said->any != UNSAID ? said->any : ACCEPT_ENCODING_MOST;
    return (struct accept_encoding){
        .gzip = said->gzip != UNSAID ? said->gzip : any,
        .identity = said->identity != UNSAID ? said->identity : rest,
    };
}

struct accept_encoding accept_encoding_of(struct slice value)
{
    struct said said = {UNSAID, UNSAID, UNSAID};
    note_field(&said, value);
    return sum_up(&said);
}

struct accept_encoding accept_encoding_read(const struct headers *headers)
{
    struct said said = {UNSAID, UNSAID, UNSAID};
    for (uint32_t i = 0; i < headers->count; i++) {
        if (headers->list[i].id == HEADER_ACCEPT_ENCODING) {
            note_field(&said, header_value(headers, &headers->list[i]));
        }
    }
    return sum_up(&said);
}
