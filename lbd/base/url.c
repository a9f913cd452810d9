#include "lbd/base/url.h"

#include "lbd/base/authority.h"

static bool is_plain(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= ' ' || c >= 0x7F || c == '#') {
            return false;
        }
    }
    return true;
}

enum url_verdict url_parse(struct slice text, struct url *out)
{
    static const struct slice schemes[] = {SLICE_INIT("http://"), SLICE_INIT("https://")};
    *out = (struct url){0};
    if (text.len > URL_MAX) {
        return URL_TOO_LONG;
    }
    size_t at = 0;
    for (size_t i = 0; i < ARRAY_LEN(schemes) && at == 0; i++) {
        if (text.len >= schemes[i].len &&
            slice_eq_nocase(slice_of(text.ptr, schemes[i].len), schemes[i])) {
            at = schemes[i].len;
            out->is_https = i == 1;
        }
    }
    if (at == 0) {
        return URL_BAD_SCHEME;
    }
    struct slice rest = slice_from_at(text, at);
    size_t len = 0;
    while (len < rest.len && rest.ptr[len] != '/' && rest.ptr[len] != '?' && rest.ptr[len] != '#') {
        len++;
    }
    out->authority = slice_of(rest.ptr, len);
    out->target = slice_from_at(rest, len);
    if (!authority_is_valid(out->authority)) {
        return URL_BAD_AUTHORITY;
    }
    if (!is_plain(out->target)) {
        return URL_BAD_TARGET;
    }
    authority_split(out->authority, &out->host, &out->port);
    if (out->host.ptr[0] == '[') {
        out->host = slice_of(out->host.ptr + 1, out->host.len - 2);
    }
    if (out->port == 0) {
        out->port = out->is_https ? 443 : 80;
    }
    return URL_OK;
}
