#include "api/api_credentials.h"

#include "lbd/base/addr.h"
#include "lbd/base/num.h"

#define NAME_MAX_BYTES 253U /* RFC 1035 2.3.4 */

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 6750 2.1: b64token */
static bool is_token68(struct slice text)
{
    size_t end = text.len;
    while (end > 0 && text.ptr[end - 1] == '=') {
        end--;
    }
    for (size_t i = 0; i < end; i++) {
        char c = text.ptr[i];
        if (!is_alnum(c) && c != '-' && c != '.' && c != '_' && c != '~' && c != '+' && c != '/') {
            return false;
        }
    }
    return end > 0;
}

bool api_credentials_bearer(struct slice authorization, struct slice *token)
{
    static const size_t scheme_len = sizeof("Bearer") - 1;
    struct slice text = slice_trim(authorization);
    if (text.len <= scheme_len ||
        !slice_eq_nocase(slice_of(text.ptr, scheme_len), SLICE("Bearer")) ||
        text.ptr[scheme_len] != ' ') {
        return false;
    }
    *token = slice_from_at(text, scheme_len + 1);
    while (token->len > 0 && token->ptr[0] == ' ') {
        *token = slice_from_at(*token, 1);
    }
    return is_token68(*token);
}

static bool is_port(struct slice text)
{
    uint64_t port = 0;
    return text.len == 0 || (text.len <= 5 && num_parse_u64(text, &port) && port <= 65535);
}

static bool is_name(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_alnum(text.ptr[i]) && text.ptr[i] != '-' && text.ptr[i] != '.' &&
            text.ptr[i] != '_') {
            return false;
        }
    }
    return text.len > 0 && text.len <= NAME_MAX_BYTES;
}

bool api_credentials_host(struct slice host, struct slice *name, bool *is_ip)
{
    struct addr address;
    if (host.len > 0 && host.ptr[0] == '[') {
        size_t end = slice_find(host, ']');
        if (end == SIZE_MAX) {
            return false;
        }
        struct slice rest = slice_from_at(host, end + 1);
        *name = slice_of(host.ptr + 1, end - 1);
        *is_ip = true;
        return addr_from_ip(*name, 0, &address) && address.u.any.sa_family == AF_INET6 &&
               (rest.len == 0 || (rest.ptr[0] == ':' && is_port(slice_from_at(rest, 1))));
    }
    size_t colon = slice_find(host, ':');
    *name = slice_of(host.ptr, colon == SIZE_MAX ? host.len : colon);
    if (!is_name(*name) || (colon != SIZE_MAX && !is_port(slice_from_at(host, colon + 1)))) {
        return false;
    }
    *is_ip = addr_from_ip(*name, 0, &address);
    return true;
}

static bool host_matches(struct slice name, struct slice pattern)
{
    if (slice_starts(pattern, SLICE("*."))) {
        struct slice tail = slice_from_at(pattern, 1);
        return name.len > tail.len &&
               slice_eq_nocase(slice_from_at(name, name.len - tail.len), tail);
    }
    return slice_eq_nocase(name, pattern);
}

bool api_credentials_host_is_allowed(struct slice host, const struct slice *patterns,
                                     uint32_t count)
{
    struct slice name;
    bool is_ip = false;
    if (!api_credentials_host(host, &name, &is_ip)) {
        return false;
    }
    if (name.ptr[name.len - 1] == '.') { /* the root, written out */
        name.len--;
    }
    if (is_ip || slice_eq_nocase(name, SLICE("localhost"))) {
        return true;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (host_matches(name, patterns[i])) {
            return true;
        }
    }
    return false;
}

/* Walks both; at a mismatch goes back to the last star and lets it stand for one more. */
bool api_credentials_matches(struct slice name, struct slice pattern)
{
    size_t n = 0;
    size_t p = 0;
    size_t star = SIZE_MAX;
    size_t star_n = 0;
    while (n < name.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            star_n = n;
        } else if (p < pattern.len && slice_lower(pattern.ptr[p]) == slice_lower(name.ptr[n])) {
            p++;
            n++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            n = ++star_n;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*') {
        p++;
    }
    return p == pattern.len;
}
