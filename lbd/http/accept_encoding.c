#include "lbd/http/accept_encoding.h"

#include <assert.h>
#include <stdbool.h>

#define UNSAID UINT16_MAX

struct said {
    uint16_t weights[CONF_ENCODING_COUNT];
    uint16_t identity;
    uint16_t any;
};

static void say_nothing(struct said *said)
{
    for (size_t i = 0; i < CONF_ENCODING_COUNT; i++) {
        said->weights[i] = UNSAID;
    }
    said->identity = UNSAID;
    said->any = UNSAID;
}

/* CONF_ENCODING_COUNT: none that we know. */
static enum conf_encoding encoding_of(struct slice word)
{
    enum conf_encoding encoding = 0;
    if (slice_eq_nocase(word, SLICE("x-gzip"))) {
        return CONF_ENCODING_GZIP; /* RFC 9110 8.4.1.3: the same */
    }
    while (encoding < CONF_ENCODING_COUNT &&
           !slice_eq_nocase(word, slice_from(conf_encoding_word(encoding)))) {
        encoding++;
    }
    return encoding;
}

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
    enum conf_encoding encoding = encoding_of(coding);
    if (encoding != CONF_ENCODING_COUNT) {
        said->weights[encoding] = weight;
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
    struct accept_encoding takes = {.identity = said->identity};
    for (size_t i = 0; i < CONF_ENCODING_COUNT; i++) {
        takes.weights[i] = said->weights[i] != UNSAID ? said->weights[i] : any;
    }
    if (takes.identity == UNSAID) {
        takes.identity = said->any != UNSAID ? said->any : ACCEPT_ENCODING_LEAST;
    }
    return takes;
}

struct accept_encoding accept_encoding_of(struct slice value)
{
    struct said said;
    say_nothing(&said);
    note_field(&said, value);
    return sum_up(&said);
}

struct accept_encoding accept_encoding_read(const struct headers *headers)
{
    struct said said;
    say_nothing(&said);
    for (uint32_t i = 0; i < headers->count; i++) {
        if (headers->list[i].id == HEADER_ACCEPT_ENCODING) {
            note_field(&said, header_value(headers, &headers->list[i]));
        }
    }
    return sum_up(&said);
}

uint32_t accept_encoding_choose(const struct accept_encoding *takes,
                                const enum conf_encoding *offered, uint32_t count,
                                enum conf_encoding chosen[CONF_ENCODING_COUNT])
{
    uint32_t have = 0;
    assert(count <= CONF_ENCODING_COUNT);
    for (uint32_t i = 0; i < count; i++) {
        uint16_t weight = takes->weights[offered[i]];
        uint32_t at = have;
        if (weight == 0 || weight < takes->identity) {
            continue;
        }
        while (at > 0 && takes->weights[chosen[at - 1]] < weight) {
            chosen[at] = chosen[at - 1];
            at--;
        }
        chosen[at] = offered[i];
        have++;
    }
    return have;
}
