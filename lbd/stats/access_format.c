#include "lbd/stats/access_format.h"

#include <stdio.h>

#include "lbd/base/now.h"
#include "lbd/stats/access_text.h"

enum { HEADER_BYTES_MAX = 256, COMBINED_PATH_MAX = 2048, COMBINED_WORD_MAX = 320 };

enum kind { TIME, ADDRESS, TEXT, NUMBER, COUNT, STATUS, REASON, TRIES, HEX };

struct field {
    struct slice name;
    enum kind kind;
    size_t offset; /* in struct access_record */
    size_t most;
};

static const struct field all_fields[] = {
#define FIELD(id, name, kind, member, most)                                                        \
    {SLICE_INIT(name), kind, offsetof(struct access_record, member), most},
#include "conf/conf_access_fields.def"
#undef FIELD
};

static_assert(ARRAY_LEN(all_fields) <= ACCESS_FIELDS_MAX, "all fields fit");

static const struct slice credentials[] = {SLICE_INIT("authorization"),
                                           SLICE_INIT("proxy-authorization"), SLICE_INIT("cookie"),
                                           SLICE_INIT("set-cookie")};

bool access_format_field(struct slice name, uint8_t *field)
{
    for (size_t i = 0; i < ARRAY_LEN(all_fields); i++) {
        if (slice_eq(all_fields[i].name, name)) {
            *field = (uint8_t)i;
            return true;
        }
    }
    return false;
}

struct slice access_format_name(uint8_t field)
{
    return field < ARRAY_LEN(all_fields) ? all_fields[field].name : SLICE_NONE;
}

void access_format_build(struct access_format *format)
{
    if (format->field_count == 0) {
        format->field_count = (uint32_t)ARRAY_LEN(all_fields);
        for (uint32_t i = 0; i < format->field_count; i++) {
            format->fields[i] = (uint8_t)i;
        }
    }
    if (format->style == ACCESS_COMBINED) {
        format->request_header_count = 2;
        format->request_headers[0] = SLICE("referer");
        format->request_headers[1] = SLICE("user-agent");
        format->response_header_count = 0;
    }
}

bool access_format_wants(const struct access_format *format, const struct access_record *record,
                         uint64_t count)
{
    if (!close_reason_is_good(record->reason) || record->status >= 500) {
        return true;
    }
    switch (format->only) {
    case ACCESS_ALL:
        return format->sample == 0 || count % format->sample == 0;
    case ACCESS_ERRORS:
        return false;
    case ACCESS_SLOW:
        return record->first_byte_us != 0 && record->first_byte_us >= format->slow_us;
    }
    return true;
}

/* -- json and logfmt: a line is names and values -- */

struct line {
    const struct access_format *format;
    char *at;
    bool is_begun; /* there is a value before the next one */
};

static bool is_logfmt(const struct line *line)
{
    return line->format->style == ACCESS_LOGFMT;
}

/* "group.name" in logfmt; the group of JSON is an object that is open. */
static void put_key(struct line *line, struct slice group, struct slice name)
{
    char *at = line->at;
    if (is_logfmt(line)) {
        at = line->is_begun ? PUT(at, " ") : at;
        if (group.len != 0) {
            at = PUT(access_put(at, group.ptr, group.len), ".");
        }
        at = PUT(access_put(at, name.ptr, name.len), "=");
    } else {
        at = line->is_begun ? PUT(at, ",\"") : PUT(at, "\"");
        at = PUT(access_put(at, name.ptr, name.len), "\":");
    }
    line->at = at;
    line->is_begun = true;
}

static bool is_bare(struct slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=') {
            return false;
        }
    }
    return value.len != 0;
}

static void put_text(struct line *line, struct slice value, size_t most)
{
    if (is_logfmt(line) && value.len <= most && is_bare(value)) {
        line->at = access_put(line->at, value.ptr, value.len);
        return;
    }
    line->at = PUT(access_put_text(PUT(line->at, "\""), value, most), "\"");
}

static void put_named(struct line *line, struct slice name, struct slice value, size_t most)
{
    if (value.len != 0) {
        put_key(line, SLICE_NONE, name);
        put_text(line, value, most);
    }
}

static void put_number(struct line *line, struct slice name, uint64_t value)
{
    put_key(line, SLICE_NONE, name);
    line->at = access_put_number(line->at, value);
}

static void put_address(struct line *line, struct slice name, const struct addr_small *address)
{
    char text[ADDR_TEXT_MAX];
    if (address->family != 0) {
        put_named(line, name, slice_of(text, addr_small_write(address, text)), sizeof(text));
    }
}

static uint64_t u64_at(const void *member)
{
    uint64_t value;
    memcpy(&value, member, sizeof(value));
    return value;
}

static void put_field(struct line *line, const struct field *field,
                      const struct access_record *record, const char *date)
{
    const void *member = (const char *)record + field->offset;
    char hex[NUM_TEXT_MAX];
    switch (field->kind) {
    case TIME:
        put_named(line, field->name, slice_of(date, NOW_LOG_DATE_LEN), NOW_LOG_DATE_LEN);
        break;
    case ADDRESS:
        put_address(line, field->name, member);
        break;
    case TEXT: {
        struct slice text;
        memcpy(&text, member, sizeof(text));
        put_named(line, field->name, text, field->most);
        break;
    }
    case NUMBER:
        if (u64_at(member) != 0) {
            put_number(line, field->name, u64_at(member));
        }
        break;
    case COUNT:
        put_number(line, field->name, u64_at(member));
        break;
    case STATUS:
        if (record->status != 0 || record->method.len != 0) { /* of TCP there is none */
            put_number(line, field->name, record->status);
        }
        break;
    case REASON:
        put_named(line, field->name, close_reason_word(record->reason), SIZE_MAX);
        break;
    case TRIES:
        put_number(line, field->name, record->tries);
        break;
    case HEX:
        /* as text: a number above 2^53 would lose digits in most readers */
        put_named(line, field->name, slice_of(hex, num_write_hex(hex, u64_at(member))),
                  sizeof(hex));
        break;
    }
}

static bool is_credential(struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(credentials); i++) {
        if (slice_eq_nocase(credentials[i], name)) {
            return true;
        }
    }
    return false;
}

static void put_headers(struct line *line, struct slice group, const struct slice *names,
                        const struct slice *values, uint32_t count)
{
    bool is_open = false;
    for (uint32_t i = 0; values != NULL && i < count; i++) {
        if (values[i].len == 0) {
            continue;
        }
        if (!is_open && !is_logfmt(line)) {
            put_key(line, SLICE_NONE, group);
            line->at = PUT(line->at, "{");
            line->is_begun = false;
        }
        is_open = true;
        bool is_hidden = is_credential(names[i]) && !line->format->shows_credentials;
        put_key(line, group, names[i]);
        put_text(line, is_hidden ? SLICE("[redacted]") : values[i], HEADER_BYTES_MAX);
    }
    if (is_open && !is_logfmt(line)) {
        line->at = PUT(line->at, "}");
    }
}

static char *put_fields(const struct access_format *format, const struct access_record *record,
                        const char *date, char *out)
{
    struct line line = {.format = format, .at = out};
    if (!is_logfmt(&line)) {
        line.at = PUT(out, "{");
    }
    for (uint32_t i = 0; i < format->field_count; i++) {
        put_field(&line, &all_fields[format->fields[i]], record, date);
    }
    put_headers(&line, SLICE("request_headers"), format->request_headers, record->request_headers,
                format->request_header_count);
    put_headers(&line, SLICE("response_headers"), format->response_headers,
                record->response_headers, format->response_header_count);
    return is_logfmt(&line) ? PUT(line.at, "\n") : PUT(line.at, "}\n");
}

/* -- combined -- */

/* As nginx does: what is not visible ASCII, quotes and backslashes as \xXX; "-" for nothing. */
static char *put_combined(char *out, struct slice value, size_t most)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t len = value.len < most ? value.len : most;
    if (len == 0) {
        return PUT(out, "-");
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\') {
            out = PUT(out, "\\x");
            *out++ = digits[c >> 4U];
            *out++ = digits[c & 15U];
        } else {
            *out++ = (char)c;
        }
    }
    return out;
}

/* "2026-11-21T10:00:00..." as "21/Nov/2026:10:00:00 +0000" */
static char *put_combined_date(char *out, const char *date)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    unsigned month = (unsigned)(date[5] - '0') * 10 + (unsigned)(date[6] - '0');
    out = PUT(access_put(out, date + 8, 2), "/");
    out = PUT(access_put(out, months + (size_t)(month - 1) % 12 * 3, 3), "/");
    out = PUT(access_put(out, date, 4), ":");
    return PUT(access_put(out, date + 11, 8), " +0000");
}

static char *put_combined_line(const struct access_record *record, const char *date, char *out)
{
    char host[ADDR_TEXT_MAX];
    size_t len = record->client.family != 0 ? addr_small_write_ip(&record->client, host) : 0;
    const struct slice *headers = record->request_headers;
    out = PUT(put_combined(out, slice_of(host, len), sizeof(host)), " - ");
    out = PUT(put_combined(out, record->user, COMBINED_WORD_MAX), " [");
    out = PUT(put_combined_date(out, date), "] \"");
    out = put_combined(out, record->method, COMBINED_WORD_MAX);
    if (record->method.len != 0) {
        out = put_combined(PUT(out, " "), record->path, COMBINED_PATH_MAX);
        out = put_combined(PUT(out, " "), record->protocol, COMBINED_WORD_MAX);
    }
    out = PUT(out, "\" ");
    *out++ = (char)('0' + record->status / 100 % 10);
    *out++ = (char)('0' + record->status / 10 % 10);
    *out++ = (char)('0' + record->status % 10);
    out = PUT(access_put_number(PUT(out, " "), record->response_bytes), " \"");
    out = put_combined(out, headers != NULL ? headers[0] : SLICE_NONE, COMBINED_PATH_MAX);
    out = PUT(out, "\" \"");
    out = put_combined(out, headers != NULL ? headers[1] : SLICE_NONE, COMBINED_PATH_MAX);
    return PUT(out, "\"\n");
}

size_t access_format_line(const struct access_format *format, const struct access_record *record,
                          const char *date, char out[ACCESS_FORMAT_LINE_MAX])
{
    char *end = format->style == ACCESS_COMBINED ? put_combined_line(record, date, out)
                                                 : put_fields(format, record, date, out);
    return (size_t)(end - out);
}
