#include "api/api_request.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "api/api_problem.h"
#include "lbd/base/now.h"

void api_request_done(struct api_request *request)
{
    request->done(request);
}

void api_stream_wake(struct api_stream *stream)
{
    if (stream->wake != NULL) {
        stream->wake(stream);
    }
}

void api_stream_cut(struct api_stream *stream)
{
    if (stream->cut != NULL) {
        stream->cut(stream);
    }
}

void api_request_header(struct api_request *request, const char *name, const char *fmt, ...)
{
    struct api_reply *reply = &request->reply;
    assert(reply->header_count < API_HEADERS_MAX);
    struct api_header *header = &reply->headers[reply->header_count++];
    va_list args;
    va_start(args, fmt);
    header->name = name;
    (void)vsnprintf(header->value, sizeof(header->value), fmt, args);
    va_end(args);
}

const char *api_request_role_word(enum api_role role)
{
    static const char *const words[] = {[API_ROLE_NONE] = "none",
                                        [API_ROLE_METRICS] = "metrics",
                                        [API_ROLE_READ] = "read",
                                        [API_ROLE_OPERATE] = "operate",
                                        [API_ROLE_ADMIN] = "admin"};
    return words[role];
}

struct slice api_request_query(const struct api_request *request, const char *name)
{
    for (uint32_t i = 0; i < request->query_count; i++) {
        if (slice_eq(request->query[i].name, slice_from(name))) {
            return request->query[i].value;
        }
    }
    return SLICE_NONE;
}

bool api_request_client(struct api_request *request, struct addr_small *address, bool *is_given)
{
    struct slice text = api_request_query(request, "client");
    struct addr addr;
    *is_given = text.ptr != NULL;
    if (!*is_given) {
        return true;
    }
    if (!addr_from_ip(text, 1, &addr)) {
        api_problem(request, "unknown-parameter", "'client' is an IP address");
        return false;
    }
    addr_small_from(address, &addr.u.any);
    return true;
}

bool api_request_flag(const struct api_request *request, const char *name)
{
    return slice_eq(api_request_query(request, name), SLICE("true"));
}

bool api_request_has_type(const struct api_request *request, const char *type)
{
    struct slice rest = request->content_type;
    struct slice given;
    return rest.len != 0 && slice_split(&rest, ';', &given) &&
           slice_eq_nocase(slice_trim(given), slice_from(type));
}

bool api_request_names_tag(struct slice header, const char *tag)
{
    struct slice item;
    while (header.len != 0 && slice_split(&header, ',', &item)) {
        item = slice_trim(item);
        if (slice_eq(item, SLICE("*"))) {
            return true;
        }
        if (slice_starts(item, SLICE("W/"))) { /* RFC 9110 13.1.2: weak comparison */
            item = slice_from_at(item, 2);
        }
        if (item.len >= 2 && item.ptr[0] == '"' && item.ptr[item.len - 1] == '"' &&
            slice_eq(slice_of(item.ptr + 1, item.len - 2), slice_from(tag))) {
            return true;
        }
    }
    return false;
}

void api_request_json_begin(struct api_request *request, struct json_write *w)
{
    json_write_init(w, &request->reply.body, JSON_PRETTY);
}

void api_request_json_end(struct api_request *request, unsigned status)
{
    (void)buf_append_char(&request->reply.body, '\n');
    request->reply.status = status;
    request->reply.content_type = "application/json";
}

void api_request_write_moment(struct json_write *w, const char *key, uint64_t ms)
{
    int64_t away_us = ((int64_t)ms - (int64_t)now_ms()) * 1000;
    api_request_write_time(w, key, (uint64_t)((int64_t)now_wall_us() + away_us));
}

void api_request_write_time(struct json_write *w, const char *key, uint64_t wall_us)
{
    char date[NOW_LOG_DATE_LEN + 1];
    now_log_date(date, wall_us);
    json_write_member_text(w, key, date);
}
