#include "lbd/proxy/route_condition.h"

#include "lbd/base/cidr.h"
#include "lbd/http/cookie.h"
#include "lbd/http/query.h"

enum { METHODS_SHOWN = 4, TEXT_SHOWN_MAX = 80 };

/* In the order in which they are looked at. */
enum kind { METHOD, SOURCE, HEADER, COOKIE, QUERY, PATH_REGEX, HOST_REGEX };
enum test { EXACT, PREFIX, REGEX, PRESENT, ABSENT };

struct condition {
    enum kind kind;
    enum test test;     /* HEADER, COOKIE, QUERY */
    enum header_id id;  /* HEADER; HEADER_OTHER: by its name */
    struct slice name;  /* HEADER, COOKIE, QUERY */
    struct slice value; /* EXACT, PREFIX; REGEX, PATH_REGEX, HOST_REGEX: its text */
    const struct pattern *pattern;
    const struct slice *methods;
    uint32_t method_count;
    struct cidr_set source;
};

struct route_conditions {
    struct condition *list;
    uint32_t count;
};

/* -- building -- */

static uint32_t values_count(const struct conf_match_values *values)
{
    return values->exact_count + values->prefix_count + values->regex_count +
           values->present_count + values->absent_count;
}

uint32_t route_condition_count(const struct conf_match *match)
{
    return (match->method_count != 0 ? 1U : 0U) + (match->source_count != 0 ? 1U : 0U) +
           values_count(&match->header) + values_count(&match->cookie) +
           values_count(&match->query);
}

static const struct pattern *compile(struct arena *arena, struct slice text, bool ignore_case)
{
    const struct pattern *pattern = pattern_compile(arena, text, ignore_case, NULL);
    assert(pattern != NULL); /* conf_check has compiled it */
    return pattern;
}

static struct condition *add(struct route_conditions *conditions, enum kind kind)
{
    struct condition *condition = &conditions->list[conditions->count++];
    *condition = (struct condition){.kind = kind};
    return condition;
}

static void add_pairs(struct route_conditions *conditions, struct arena *arena, enum kind kind,
                      enum test test, const struct conf_header *pairs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct condition *condition = add(conditions, kind);
        condition->test = test;
        condition->name = pairs[i].name;
        condition->value = pairs[i].value;
        condition->id = kind == HEADER ? header_id_of(pairs[i].name) : HEADER_OTHER;
        if (test == REGEX) {
            condition->pattern = compile(arena, pairs[i].value, false);
        }
    }
}

static void add_names(struct route_conditions *conditions, enum kind kind, enum test test,
                      const struct slice *names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct condition *condition = add(conditions, kind);
        condition->test = test;
        condition->name = names[i];
        condition->id = kind == HEADER ? header_id_of(names[i]) : HEADER_OTHER;
    }
}

static void add_values(struct route_conditions *conditions, struct arena *arena, enum kind kind,
                       const struct conf_match_values *values)
{
    add_pairs(conditions, arena, kind, EXACT, values->exact, values->exact_count);
    add_pairs(conditions, arena, kind, PREFIX, values->prefix, values->prefix_count);
    add_names(conditions, kind, PRESENT, values->present, values->present_count);
    add_names(conditions, kind, ABSENT, values->absent, values->absent_count);
    add_pairs(conditions, arena, kind, REGEX, values->regex, values->regex_count);
}

static void add_pattern(struct route_conditions *conditions, struct arena *arena, enum kind kind,
                        struct slice text)
{
    if (text.len != 0) {
        struct condition *condition = add(conditions, kind);
        condition->value = text;
        condition->pattern = compile(arena, text, kind == HOST_REGEX);
    }
}

const struct route_conditions *route_condition_build(struct arena *arena,
                                                     const struct conf_match *match)
{
    uint32_t count = route_condition_count(match) + (match->path_regex.len != 0 ? 1U : 0U) +
                     (match->host_regex.len != 0 ? 1U : 0U);
    if (count == 0) {
        return NULL;
    }
    struct route_conditions *conditions = arena_zero(arena, sizeof(*conditions));
    conditions->list = arena_alloc(arena, count * sizeof(*conditions->list));
    if (match->method_count != 0) {
        struct condition *condition = add(conditions, METHOD);
        condition->methods = match->method;
        condition->method_count = match->method_count;
    }
    if (match->source_count != 0) {
        (void)cidr_set_build(&add(conditions, SOURCE)->source, arena, match->source,
                             match->source_count); /* conf_read has read them */
    }
    add_values(conditions, arena, HEADER, &match->header);
    add_values(conditions, arena, COOKIE, &match->cookie);
    add_values(conditions, arena, QUERY, &match->query);
    add_pattern(conditions, arena, PATH_REGEX, match->path_regex);
    add_pattern(conditions, arena, HOST_REGEX, match->host_regex);
    return conditions;
}

/* -- looking -- */

static bool has_method(const struct condition *condition, const struct message *request)
{
    struct slice method = message_method(request);
    for (uint32_t i = 0; i < condition->method_count; i++) {
        if (slice_eq(condition->methods[i], method)) {
            return true;
        }
    }
    return false;
}

/* Is this value what the condition asks for? Of ABSENT: whatever it is, it is there. */
static bool fits(const struct condition *condition, struct slice value,
                 const struct route_question *question)
{
    switch (condition->test) {
    case EXACT:
        return slice_eq(value, condition->value);
    case PREFIX:
        return slice_starts(value, condition->value);
    case REGEX:
        return pattern_match(condition->pattern, question->patterns, value);
    case PRESENT:
    case ABSENT:
        return true;
    }
    return false;
}

static bool is_named(const struct condition *condition, const struct headers *headers,
                     const struct header *field)
{
    return condition->id != HEADER_OTHER
               ? field->id == condition->id
               : field->id == HEADER_OTHER &&
                     slice_eq_nocase(header_name(headers, field), condition->name);
}

static bool has_header(const struct condition *condition, const struct route_question *question)
{
    const struct headers *headers = &question->request->headers;
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct header *field = &headers->list[i];
        if (field->dropped == 0 && is_named(condition, headers, field) &&
            fits(condition, header_value(headers, field), question)) {
            return true;
        }
    }
    return false;
}

static bool has_cookie(const struct condition *condition, const struct route_question *question)
{
    const struct headers *headers = &question->request->headers;
    struct cookie cookie;
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct header *field = &headers->list[i];
        if (field->id != HEADER_COOKIE || field->dropped != 0) {
            continue;
        }
        struct slice rest = header_value(headers, field);
        while (cookie_next(&rest, &cookie)) {
            if (slice_eq(cookie.name, condition->name) && fits(condition, cookie.value, question)) {
                return true;
            }
        }
    }
    return false;
}

static bool fits_decoded(const struct condition *condition, struct slice sent,
                         const struct route_question *question)
{
    char decoded[PATTERN_SUBJECT_MAX];
    size_t len = 0;
    switch (condition->test) {
    case EXACT:
        return query_is(sent, condition->value);
    case PREFIX:
        return query_starts(sent, condition->value);
    case REGEX:
        len = query_decode(sent, decoded, sizeof decoded);
        if (len == SIZE_MAX) {
            question->patterns->limited++;
            return false;
        }
        return fits(condition, slice_of(decoded, len), question);
    case PRESENT:
    case ABSENT:
        return true;
    }
    return false;
}

static bool has_parameter(const struct condition *condition, const struct route_question *question)
{
    struct slice rest = query_begin(question->request->query);
    struct query_pair pair;
    while (query_next(&rest, &pair)) {
        if (query_is(pair.name, condition->name) && fits_decoded(condition, pair.value, question)) {
            return true;
        }
    }
    return false;
}

static struct slice host_of(const struct route_question *question)
{
    struct slice host = question->host;
    return host.len > 1 && slice_ends(host, SLICE(".")) ? slice_of(host.ptr, host.len - 1) : host;
}

static bool holds(const struct condition *condition, const struct route_question *question)
{
    const struct message *request = question->request;
    bool is_absent = condition->test == ABSENT;
    switch (condition->kind) {
    case METHOD:
        return request != NULL && has_method(condition, request);
    case SOURCE:
        return question->client != NULL && cidr_set_has(&condition->source, question->client);
    case HEADER:
        return request != NULL && has_header(condition, question) != is_absent;
    case COOKIE:
        return request != NULL && has_cookie(condition, question) != is_absent;
    case QUERY:
        return request != NULL && has_parameter(condition, question) != is_absent;
    case PATH_REGEX:
        return pattern_match(condition->pattern, question->patterns, question->path);
    case HOST_REGEX:
        return pattern_match(condition->pattern, question->patterns, host_of(question));
    }
    return false;
}

bool route_condition_hold(const struct route_conditions *conditions,
                          const struct route_question *question)
{
    for (uint32_t i = 0; i < conditions->count; i++) {
        if (!holds(&conditions->list[i], question)) {
            return false;
        }
    }
    return true;
}

/* -- in words -- */

static struct slice shown(struct slice text)
{
    return text.len > TEXT_SHOWN_MAX ? slice_of(text.ptr, TEXT_SHOWN_MAX) : text;
}

static void say_method(const struct condition *condition, const struct route_question *question,
                       bool held, struct buf *out)
{
    if (held || question->request == NULL) {
        (void)buf_append_text(out, held ? "method is " : "method is not ");
    } else {
        (void)buf_printf(out, "method %.*s is not ",
                         SLICE_ARG(shown(message_method(question->request))));
    }
    for (uint32_t i = 0; i < condition->method_count && i < METHODS_SHOWN; i++) {
        (void)buf_printf(out, "%s%.*s", i != 0 ? " or " : "", SLICE_ARG(condition->methods[i]));
    }
    if (condition->method_count > METHODS_SHOWN) {
        (void)buf_printf(out, " or one of %u more", condition->method_count - METHODS_SHOWN);
    }
}

static void say_source(const struct route_question *question, bool held, struct buf *out)
{
    char ip[ADDR_TEXT_MAX];
    if (question->client == NULL) {
        (void)buf_append_text(out, "source is not known, and must be in one of its networks");
        return;
    }
    (void)addr_small_write_ip(question->client, ip);
    (void)buf_printf(out, "source %s is %sin one of its networks", ip, held ? "" : "not ");
}

static void say_value(const struct condition *condition, bool held, struct buf *out)
{
    static const char *const kinds[] = {
        [HEADER] = "header", [COOKIE] = "cookie", [QUERY] = "query"};
    static const char *const is[] = {
        [EXACT] = " is '", [PREFIX] = " begins with '", [REGEX] = " is matched by '"};
    static const char *const is_not[] = {[EXACT] = " is not '",
                                         [PREFIX] = " does not begin with '",
                                         [REGEX] = " is not matched by '"};
    (void)buf_printf(out, "%s %.*s", kinds[condition->kind], SLICE_ARG(shown(condition->name)));
    if (condition->test == PRESENT || condition->test == ABSENT) {
        (void)buf_append_text(out,
                              (condition->test == PRESENT) == held ? " is there" : " is not there");
        return;
    }
    (void)buf_printf(out, "%s%.*s'", (held ? is : is_not)[condition->test],
                     SLICE_ARG(shown(condition->value)));
}

static void say(const struct condition *condition, const struct route_question *question, bool held,
                struct buf *out)
{
    switch (condition->kind) {
    case METHOD:
        say_method(condition, question, held, out);
        break;
    case SOURCE:
        say_source(question, held, out);
        break;
    case HEADER:
    case COOKIE:
    case QUERY:
        say_value(condition, held, out);
        break;
    case PATH_REGEX:
    case HOST_REGEX:
        break; /* they are said as path and host */
    }
}

uint32_t route_condition_explain(const struct route_conditions *conditions,
                                 const struct route_question *question, bool want_held,
                                 const char *lead, struct buf *out)
{
    uint32_t said = 0;
    for (uint32_t i = 0; conditions != NULL && i < conditions->count; i++) {
        const struct condition *condition = &conditions->list[i];
        uint64_t before = question->patterns != NULL ? question->patterns->limited : 0;
        if (condition->kind < PATH_REGEX && holds(condition, question) == want_held) {
            bool is_given_up = question->patterns != NULL && question->patterns->limited != before;
            (void)buf_append_text(out, said++ != 0 ? ", " : lead);
            say(condition, question, want_held, out);
            (void)buf_append_text(out, is_given_up ? " within its limit of steps" : "");
        }
    }
    return said;
}
