#include "lbd/http/cookie.h"

static struct slice without_quotes(struct slice value)
{
    size_t len = value.len;
    if (len >= 2 && value.ptr[0] == '"' && value.ptr[len - 1] == '"') {
        return slice_of(value.ptr + 1, len - 2); /* RFC 6265 4.1.1 */
    }
    return value;
}

bool cookie_next(struct slice *rest, struct cookie *cookie)
{
    struct slice pair;
    while (slice_split(rest, ';', &pair)) {
        pair = slice_trim(pair);
        size_t equals = slice_find(pair, '=');
        if (equals != SIZE_MAX) {
            cookie->name = slice_trim(slice_of(pair.ptr, equals));
            cookie->value = without_quotes(slice_trim(slice_from_at(pair, equals + 1)));
            return true;
        }
    }
    return false;
}
