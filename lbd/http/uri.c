#include "lbd/http/uri.h"

#include "lbd/http/h1_scan.h"

/* -1 when it is none */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What a segment is (RFC 3986 5.2.4). DOTS_AND_MORE: dots with path parameters behind them, which
 * some servers take for dots and others for a name (R10). */
enum dots { DOTS_NONE, DOTS_ONE, DOTS_TWO, DOTS_AND_MORE };

static enum dots dots_of(struct slice segment)
{
    size_t dots = 0;
    while (dots < segment.len && segment.ptr[dots] == '.') {
        dots++;
    }
    struct slice rest = slice_from_at(segment, dots);
    if (dots == 0 || dots > 2) {
        return DOTS_NONE;
    }
    if (rest.len == 0) {
        return dots == 1 ? DOTS_ONE : DOTS_TWO;
    }
    return rest.ptr[0] == ';' || slice_starts(rest, SLICE("%3B")) ? DOTS_AND_MORE : DOTS_NONE;
}

/* Decodes unreserved characters, upper-cases the other escapes. The result is never longer.
 * SIZE_MAX: refused. */
static size_t decode(struct slice path, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t len = 0;
    for (size_t i = 0; i < path.len; i++) {
        char c = path.ptr[i];
        if (c != '%') {
            if (!h1_is(c, H1_TARGET) || c == '\\' || c == '?') {
                return SIZE_MAX;
            }
            out[len++] = c;
            continue;
        }
        if (path.len - i < 3) {
            return SIZE_MAX;
        }
        int high = hex_digit(path.ptr[i + 1]);
        int low = hex_digit(path.ptr[i + 2]);
        if (high < 0 || low < 0) {
            return SIZE_MAX;
        }
        i += 2;
        c = (char)(high << 4 | low);
        if (c == '\0' || c == '/' || c == '\\') {
            return SIZE_MAX;
        }
        if (h1_is(c, H1_HOST)) { /* unreserved: RFC 3986 6.2.2.2 */
            out[len++] = c;
        } else {
            out[len++] = '%';
            out[len++] = digits[high];
            out[len++] = digits[low];
        }
    }
    return len;
}

/* RFC 3986 5.2.4 in place, on a path that begins with '/'. SIZE_MAX: refused. */
static size_t remove_dots(char *path, size_t len)
{
    size_t out = 0; /* path[0, out) is done and does not end in '/' */
    for (size_t at = 0; at < len;) {
        size_t start = at + 1; /* path[at] is '/' */
        size_t end = start;
        while (end < len && path[end] != '/') {
            end++;
        }
        bool is_last = end == len;
        switch (dots_of(slice_of(path + start, end - start))) {
        case DOTS_AND_MORE:
            return SIZE_MAX;
        case DOTS_TWO:
            while (out > 0 && path[--out] != '/') {
            }
            break;
        case DOTS_ONE:
            break;
        case DOTS_NONE:
            memmove(path + out, path + at, end - at);
            out += end - at;
            at = end;
            continue;
        }
        if (is_last) { /* "/a/.." is "/": a directory keeps its slash */
            path[out++] = '/';
        }
        at = end;
    }
    return out;
}

enum uri_path_verdict uri_path_normalise(struct slice path, struct arena *arena, struct slice *out)
{
    *out = path;
    if (slice_eq(path, SLICE("*"))) { /* OPTIONS * (RFC 9112 3.2.4) */
        return URI_PATH_PLAIN;
    }
    if (path.len == 0 || path.ptr[0] != '/') {
        return URI_PATH_BAD;
    }

    char *bytes = (char *)arena_alloc(arena, path.len);
    size_t len = decode(path, bytes);
    if (len != SIZE_MAX) {
        len = remove_dots(bytes, len);
    }
    if (len == SIZE_MAX) {
        return URI_PATH_BAD;
    }
    if (slice_eq(path, slice_of(bytes, len))) {
        return URI_PATH_PLAIN;
    }
    *out = slice_of(bytes, len);
    return URI_PATH_FIXED;
}

bool uri_query_is_valid(struct slice query)
{
    return query.len == 0 ||
           h1_scan_class(query.ptr, query.ptr + query.len, H1_TARGET) == query.ptr + query.len;
}
