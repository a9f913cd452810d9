#include "lbd/http/request_value.h"

#include "lbd/http/cookie.h"
#include "lbd/http/query.h"

bool request_value_of_cookies(struct slice text, struct slice name, struct slice *value)
{
    struct cookie cookie;
    while (cookie_next(&text, &cookie)) {
        if (slice_eq(cookie.name, name)) {
            *value = cookie.value;
            return true;
        }
    }
    return false;
}

bool request_value_of_query(struct slice text, struct slice name, struct slice *value)
{
    struct query_pair pair;
    text = query_begin(text);
    while (query_next(&text, &pair)) {
        if (query_is(pair.name, name)) {
            *value = pair.value;
            return true;
        }
    }
    return false;
}

bool request_value_header(const struct message *request, struct slice name, struct slice *value)
{
    if (slice_eq_nocase(name, SLICE("host"))) {
        *value = request->authority;
        return value->len != 0;
    }
    const struct header *found = headers_find_name(&request->headers, name);
    if (found != NULL) {
        *value = header_value(&request->headers, found);
        return true;
    }
    for (uint32_t i = 0; i < request->extra_count; i++) {
        if (slice_eq_nocase(request->extras[i].name, name)) {
            *value = request->extras[i].value;
            return true;
        }
    }
    return false;
}

bool request_value_cookie(const struct message *request, struct slice name, struct slice *value)
{
    for (uint32_t i = 0; i < request->headers.count; i++) {
        const struct header *field = &request->headers.list[i];
        if (field->id == HEADER_COOKIE && field->dropped == 0 &&
            request_value_of_cookies(header_value(&request->headers, field), name, value)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < request->extra_count; i++) { /* see cookie_strip */
        if (slice_eq_nocase(request->extras[i].name, SLICE("Cookie")) &&
            request_value_of_cookies(request->extras[i].value, name, value)) {
            return true;
        }
    }
    return false;
}

bool request_value_query(const struct message *request, struct slice name, struct slice *value)
{
    return request_value_of_query(request->query, name, value);
}
