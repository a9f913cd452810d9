#include "lbd/stats/prometheus_accept.h"

#define QUALITY_ONE 1000 /* qualities are thousandths */

struct range {
    struct slice type;    /* "text/plain", "text/..." */
    struct slice version; /* empty: any */
    int quality;
};

/* RFC 9110 12.4.2: "0", "0.5", "1", "1.000", at most three digits. -1: it is none. */
static int parse_quality(struct slice text)
{
    if (text.len == 0 || text.len > 5 || (text.ptr[0] != '0' && text.ptr[0] != '1') ||
        (text.len > 1 && text.ptr[1] != '.')) {
        return -1;
    }
    int quality = (text.ptr[0] - '0') * QUALITY_ONE;
    int weight = QUALITY_ONE / 10;
    for (size_t i = 2; i < text.len; i++, weight /= 10) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return -1;
        }
        quality += (text.ptr[i] - '0') * weight;
    }
    return quality <= QUALITY_ONE ? quality : -1;
}

static struct slice unquote(struct slice value)
{
    return value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"'
               ? slice_of(value.ptr + 1, value.len - 2)
               : value;
}

/* False: it says nothing that can be read. */
static bool parse_range(struct slice text, struct range *range)
{
    struct slice part;
    *range = (struct range){.quality = QUALITY_ONE};
    (void)slice_split(&text, ';', &part);
    range->type = slice_trim(part);
    while (text.ptr != NULL) {
        (void)slice_split(&text, ';', &part);
        size_t equals = slice_find(part, '=');
        if (equals == SIZE_MAX) {
            continue; /* an empty parameter does no harm */
        }
        struct slice name = slice_trim(slice_of(part.ptr, equals));
        struct slice value = unquote(slice_trim(slice_from_at(part, equals + 1)));
        if (slice_eq_nocase(name, SLICE("q"))) {
            range->quality = parse_quality(value);
        } else if (slice_eq_nocase(name, SLICE("version"))) {
            range->version = value;
        }
    }
    return range->type.len != 0 && range->quality >= 0;
}

static bool is_version(struct slice version, struct slice ours)
{
    return version.len == 0 || slice_eq(version, ours);
}

/* How exactly a range means plain text: 3 by name, 2 and 1 by a wildcard; 0: not at all. */
static int plainness(const struct range *range)
{
    if (slice_eq_nocase(range->type, SLICE("text/plain"))) {
        return is_version(range->version, SLICE("0.0.4")) ? 3 : 0;
    }
    if (slice_eq_nocase(range->type, SLICE("text/*"))) {
        return 2;
    }
    return slice_eq(range->type, SLICE("*/*")) ? 1 : 0;
}

enum prometheus_format prometheus_accept(struct slice accept)
{
    int open = 0;
    int plain = 0;
    int exactness = 0; /* of what `plain` was taken from */
    struct slice text;
    while (accept.ptr != NULL) {
        struct range range;
        (void)slice_split(&accept, ',', &text);
        if (!parse_range(text, &range)) {
            continue;
        }
        if (slice_eq_nocase(range.type, SLICE("application/openmetrics-text"))) {
            if (is_version(range.version, SLICE("1.0.0")) && range.quality > open) {
                open = range.quality;
            }
        } else if (plainness(&range) > exactness ||
                   (plainness(&range) == exactness && range.quality > plain)) {
            exactness = plainness(&range);
            plain = exactness != 0 ? range.quality : 0;
        }
    }
    return open != 0 && open >= plain ? PROMETHEUS_OPENMETRICS : PROMETHEUS_TEXT;
}
