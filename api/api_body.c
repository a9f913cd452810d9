#include "api/api_body.h"

#include <string.h>

#include "api/api_problem.h"
#include "conf/conf_errors.h"
#include "lbd/base/num.h"

enum { TEXT_MAX = 256 };

struct reading {
    struct conf_errors errors;
    char *out;
    bool ok;
};

static void fail(struct reading *reading, struct slice key, const char *fmt, ...) LB_PRINTF(3, 4);

static void fail(struct reading *reading, struct slice key, const char *fmt, ...)
{
    char detail[256];
    const struct conf_path root = {0};
    const struct conf_path at = {.parent = &root, .key = key};
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    conf_errors_add(&reading->errors, &at, "invalid-value", SLICE_NONE, "%s", detail);
    reading->ok = false;
}

static void read_text(struct reading *reading, const struct api_body_member *member,
                      const struct json *json)
{
    struct slice text = json_string(json);
    bool is_too_long = member->kind == API_BODY_TEXT && text.len > TEXT_MAX;
    if (!json_is(json, JSON_STRING) || text.len == 0 || is_too_long) {
        fail(reading, slice_from(member->key), "must be a string of 1 to %d bytes", TEXT_MAX);
        return;
    }
    memcpy(reading->out + member->offset, &text, sizeof(text));
}

static void store(struct reading *reading, const struct api_body_member *member, uint64_t value,
                  const char *what)
{
    if (value < member->min || value > member->max) {
        fail(reading, slice_from(member->key), "must be %s from %u to %u%s", what, member->min,
             member->max, member->kind == API_BODY_DURATION ? " ms" : "");
        return;
    }
    uint32_t number = (uint32_t)value;
    memcpy(reading->out + member->offset, &number, sizeof(number));
}

static void read_word(struct reading *reading, const struct api_body_member *member,
                      const struct json *json)
{
    struct buf words;
    buf_init(&words, TEXT_MAX);
    for (uint32_t i = 0; member->words[i] != NULL; i++) {
        if (json_is(json, JSON_STRING) &&
            slice_eq(json_string(json), slice_from(member->words[i]))) {
            memcpy(reading->out + member->offset, &i, sizeof(i));
            buf_fini(&words);
            return;
        }
        (void)buf_printf(&words, "%s\"%s\"", i != 0 ? ", " : "", member->words[i]);
    }
    fail(reading, slice_from(member->key), "must be one of %s", words.data);
    buf_fini(&words);
}

static void read_member(struct reading *reading, const struct api_body_member *member,
                        const struct json *json)
{
    uint64_t value = 0;
    int64_t number = 0;
    switch (member->kind) {
    case API_BODY_TEXT:
    case API_BODY_LONG_TEXT:
        read_text(reading, member, json);
        break;
    case API_BODY_DURATION:
        if (!json_is(json, JSON_STRING) || !num_parse_duration_ms(json_string(json), &value)) {
            fail(reading, slice_from(member->key), "must be a duration such as \"2s\"");
        } else {
            store(reading, member, value, "a duration");
        }
        break;
    case API_BODY_NUMBER:
        store(reading, member,
              json_integer(json, &number) && number >= 0 ? (uint64_t)number : UINT64_MAX,
              "a number");
        break;
    case API_BODY_WORD:
        read_word(reading, member, json);
        break;
    }
}

static const struct api_body_member *find(const struct api_body_member *members, size_t count,
                                          struct slice key)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_eq(slice_from(members[i].key), key)) {
            return &members[i];
        }
    }
    return NULL;
}

static void read_all(struct reading *reading, const struct api_body_member *members, size_t count,
                     const struct json *body)
{
    const struct json *item = NULL;
    json_for_each(item, body)
    {
        const struct api_body_member *member = find(members, count, json_key(item));
        if (member == NULL) {
            fail(reading, json_key(item), "is not known here");
        } else {
            read_member(reading, member, item);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (members[i].is_required && json_get(body, slice_from(members[i].key)) == NULL) {
            fail(reading, slice_from(members[i].key), "must be set");
        }
    }
}

struct json *api_body_read(struct api_request *request, const struct api_body_member *members,
                           size_t count, void *out)
{
    struct reading reading = {.out = out, .ok = true};
    struct json_error why;
    struct slice text = request->body.len != 0 ? request->body : SLICE("{}");
    struct json *body = json_parse(text, JSON_STRICT, &json_limits_document, &why);
    conf_errors_init(&reading.errors);
    if (body == NULL) {
        conf_errors_add_syntax(&reading.errors, &why);
        api_problem_with(request, why.too_large ? "too-large" : "malformed-json", why.text,
                         &reading.errors);
    } else if (!json_is(body, JSON_OBJECT)) {
        api_problem(request, "invalid-body", "the body must be an object");
        json_free(body);
        body = NULL;
    } else {
        read_all(&reading, members, count, body);
        if (!reading.ok) {
            api_problem_with(request, "invalid-body", "the body is not what is asked for",
                             &reading.errors);
            json_free(body);
            body = NULL;
        }
    }
    conf_errors_fini(&reading.errors);
    return body;
}
