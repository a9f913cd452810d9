#include "lbd/http/traceparent.h"

#include <string.h>

#include "lbd/base/num.h"

enum { VERSION_LEN = 2, PARENT_LEN = 16, FLAGS_LEN = 2 };

/* Lower case only (2.2). */
static bool is_hex(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
    }
    return true;
}

static bool is_zero(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != '0') {
            return false;
        }
    }
    return true;
}

/* So many hexadecimal digits, and a dash behind them unless it is the last part. */
static bool take(struct slice *rest, size_t len, bool is_last, struct slice *part)
{
    if (rest->len < len + (is_last ? 0 : 1) || (!is_last && rest->ptr[len] != '-')) {
        return false;
    }
    *part = slice_of(rest->ptr, len);
    *rest = slice_from_at(*rest, len + (is_last ? 0 : 1));
    return is_hex(*part);
}

bool traceparent_read(struct slice value, struct traceparent *out)
{
    struct slice version;
    struct slice flags;
    struct slice rest = value;
    if (value.len > TRACEPARENT_MAX || !take(&rest, VERSION_LEN, false, &version) ||
        !take(&rest, TRACEPARENT_ID_LEN, false, &out->trace_id) ||
        !take(&rest, PARENT_LEN, false, &out->parent_id) || !take(&rest, FLAGS_LEN, true, &flags)) {
        return false;
    }
    if (slice_eq(version, SLICE("ff")) || is_zero(out->trace_id) || is_zero(out->parent_id)) {
        return false;
    }
    /* version 00 has nothing more; a later one only behind a dash */
    if (rest.len != 0 && (is_zero(version) || rest.ptr[0] != '-')) {
        return false;
    }
    char low = flags.ptr[1];
    unsigned bits = low <= '9' ? (unsigned)(low - '0') : (unsigned)(low - 'a') + 10U;
    out->is_sampled = (bits & 1U) != 0;
    return true;
}

void traceparent_write(char out[TRACEPARENT_LEN], const uint64_t trace_id[2], uint64_t parent_id,
                       bool is_sampled)
{
    uint64_t low = trace_id[0] == 0 && trace_id[1] == 0 ? 1 : trace_id[1];
    memcpy(out, "00-", 3);
    num_write_hex16(out + 3, trace_id[0]);
    num_write_hex16(out + 19, low);
    out[35] = '-';
    num_write_hex16(out + 36, parent_id != 0 ? parent_id : 1);
    memcpy(out + 52, is_sampled ? "-01" : "-00", 3);
}
