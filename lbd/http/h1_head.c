#include "lbd/http/h1_head.h"

#include "lbd/base/authority.h"
#include "lbd/http/h1_facts.h"
#include "lbd/http/h1_scan.h"
#include "lbd/http/header_table.h"

enum {
    STAGE_START,  /* before the request or status line */
    STAGE_FIELDS, /* after it */

    EMPTY_LINES_MAX = 4, /* before a request line (RFC 9112 2.2) */
    METHOD_LEN_MAX = 32,
};

/* One call. What is learned of the lines lives here and not in struct h1_head: a head that came in
 * pieces is read once more when it is complete, so an idle or slow client costs 16 bytes. */
struct parse {
    struct h1_head *head;
    const char *base;
    const char *at;  /* start of the next line */
    const char *end; /* of what may be looked at: the bytes, or the limit */
    struct header *list;
    uint32_t fields;
    uint32_t fields_max;
    bool is_request;
    struct h1_seen seen;
};

static enum h1_verdict fail(struct parse *parse, enum close_reason reason)
{
    parse->head->reason = (uint16_t)reason;
    return H1_BAD;
}

/* A grammar error: requests say which, an answer is bad_response. */
static enum h1_verdict malformed(struct parse *parse, enum close_reason reason)
{
    return fail(parse, parse->is_request ? reason : CLOSE_BAD_RESPONSE);
}

/* -- lines -- */

/* The start of this line was looked at by an earlier call: line_end() goes on from there. */
static bool line_is_resumed(const struct parse *parse)
{
    return parse->base + parse->head->scan_at > parse->at;
}

/* A line is judged when its first control character (but HTAB) is seen: everything depends on the
 * bytes up to there and nothing on how they were split. H1_DONE: *cr is the CR of its CRLF (R5:
 * nothing else ends a line). */
static enum h1_verdict line_end(struct parse *parse, const char **cr)
{
    const char *from = line_is_resumed(parse) ? parse->base + parse->head->scan_at : parse->at;
    const char *stop = h1_scan_text(from, parse->end);
    bool may_follow = stop == parse->end || (*stop == '\r' && stop + 1 == parse->end);
    if (may_follow) {
        parse->head->scan_at = (uint32_t)(stop - parse->base);
        return H1_MORE;
    }
    if (*stop == '\r' && stop[1] == '\n') {
        *cr = stop;
        return H1_DONE;
    }
    if (*stop == '\r' || *stop == '\n') {
        return malformed(parse, CLOSE_BAD_LINE_END);
    }
    bool in_start_line = parse->head->stage == STAGE_START;
    return malformed(parse, in_start_line ? CLOSE_BAD_REQUEST_LINE : CLOSE_BAD_HEADER);
}

/* The line was scanned: *cr is its CR and no byte before it is below SP but HTAB. */
static inline void note_field(struct parse *parse, const char *name, const char *colon,
                              const char *cr, enum header_id id)
{
    const char *base = parse->base;
    uint32_t index = parse->fields++;
    struct header *header = &parse->list[index];
    const char *value = colon + 1;
    const char *value_end = cr;
    while ((unsigned char)*value <= ' ' && value < cr) {
        value++;
    }
    while ((unsigned char)value_end[-1] <= ' ' && value_end > value) {
        value_end--;
    }
    header->name_at = (uint32_t)(name - base);
    header->name_len = (uint32_t)(colon - name);
    header->value_at = (uint32_t)(value - base);
    header->value_len = (uint32_t)(value_end - value);
    header->id = (uint16_t)id;
    header->dropped = 0;
    header->secret = 0;
    h1_seen_note(&parse->seen, id, index);
}

#if defined(__SSE2__) && !defined(H1_HEAD_SCALAR)
/* The name at `at` is valid, `lower` are its first 16 bytes in lower case; every byte compared is
 * one of it. */
static inline enum header_id known_id(const char *at, size_t len, __m128i lower)
{
    enum header_id id = header_candidate(at, len);
    const char *text = header_text[id];
    unsigned same = h1_mask(_mm_cmpeq_epi8(lower, h1_load(text)));
    if (len <= 16) {
        unsigned wanted = (1U << len) - 1U;
        return (same & wanted) == wanted ? id : HEADER_OTHER;
    }
    if (same != 0xffffU || id == HEADER_OTHER) {
        return HEADER_OTHER;
    }
    __m128i tail = _mm_or_si128(h1_load(at + len - 16), _mm_set1_epi8(0x20));
    return h1_mask(_mm_cmpeq_epi8(tail, h1_load(text + len - 16))) == 0xffffU ? id : HEADER_OTHER;
}

/* Takes whole, well-formed field lines as long as they come; what it stops at is for field_line().
 * The end of the line is looked for from its start and not from the colon: so the next line can
 * begin while this one's name is still being looked at, and a processor that does several things at
 * a time does. */
static void take_fields(struct parse *parse)
{
    const char *at = parse->at;
    const char *end = parse->end;
    while (end - at >= 16 && parse->fields < parse->fields_max) {
        const char *cr = h1_scan_text(at, end);
        if (end - cr < 2 || memcmp(cr, "\r\n", 2) != 0) {
            break;
        }
        __m128i bytes = h1_load(at);
        unsigned stop = h1_mask_not_name(bytes);
        const char *colon =
            LB_LIKELY(stop != 0) ? at + __builtin_ctz(stop) : h1_scan_name(at + 16, cr);
        if (*colon != ':' || colon == at) {
            break;
        }
        __m128i lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
        note_field(parse, at, colon, cr, known_id(at, (size_t)(colon - at), lower));
        at = cr + 2;
    }
    parse->at = at;
}
#else
static void take_fields(struct parse *parse)
{
    (void)parse; /* field_line() can do it all */
}
#endif

static enum h1_verdict field_line(struct parse *parse, const char *cr)
{
    if (parse->fields == parse->fields_max) {
        return fail(parse,
                    parse->is_request ? CLOSE_TOO_MANY_HEADERS : CLOSE_RESPONSE_HEADER_TOO_LARGE);
    }
    /* RFC 9112 5: no white space before the colon; a line that begins with some is an obs-fold */
    const char *colon = h1_scan_name_scalar(parse->at, cr);
    if (colon == parse->at || colon == cr || *colon != ':') {
        return malformed(parse, CLOSE_BAD_HEADER);
    }
    size_t len = (size_t)(colon - parse->at);
    note_field(parse, parse->at, colon, cr, header_id_of(slice_of(parse->at, len)));
    parse->at = cr + 2;
    return H1_DONE;
}

/* H1_DONE: parse->at is behind the empty line. */
static enum h1_verdict read_fields(struct parse *parse)
{
    for (;;) {
        const char *cr = NULL;
        if (!line_is_resumed(parse)) {
            take_fields(parse);
            if (parse->end - parse->at >= 2 && parse->at[0] == '\r' && parse->at[1] == '\n') {
                parse->at += 2;
                return H1_DONE;
            }
        }
        enum h1_verdict verdict = line_end(parse, &cr);
        if (verdict != H1_DONE) {
            return verdict;
        }
        if (cr == parse->at) {
            parse->at += 2;
            return H1_DONE;
        }
        verdict = field_line(parse, cr);
        if (verdict != H1_DONE) {
            return verdict;
        }
    }
}

/* -- the request line -- */

static void take_origin_form(struct message *out, const char *target, const char *query,
                             const char *end, bool plain)
{
    out->target_form = TARGET_ORIGIN;
    out->path = slice_of(target, (size_t)(query - target));
    out->query = slice_of(query, (size_t)(end - query));
    out->path_is_plain = plain;
}

/* RFC 9112 3.2.2: scheme "://" authority path-abempty [ "?" query ] */
static bool absolute_form(struct slice target, struct message *out)
{
    static const struct slice schemes[] = {{"http://", 7}, {"https://", 8}};
    size_t scheme_len = 0;
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (target.len > schemes[i].len &&
            slice_eq_nocase(slice_of(target.ptr, schemes[i].len), schemes[i])) {
            scheme_len = schemes[i].len;
        }
    }
    if (scheme_len == 0) {
        return false;
    }

    const char *end = target.ptr + target.len;
    const char *authority = target.ptr + scheme_len;
    const char *path = authority;
    while (path < end && *path != '/' && *path != '?') {
        path++;
    }
    out->authority = slice_of(authority, (size_t)(path - authority));
    if (!authority_is_valid(out->authority)) {
        return false;
    }
    const char *query;
    bool plain;
    if (h1_scan_target(path, end, &query, &plain) != end) {
        return false;
    }
    take_origin_form(out, path, query, end, plain);
    out->target_form = TARGET_ABSOLUTE;
    if (out->path.len == 0) {
        /* RFC 9112 3.2.4: OPTIONS without path and query means the server itself */
        bool server_wide = out->method == METHOD_OPTIONS && out->query.len == 0;
        out->path = server_wide ? SLICE("*") : SLICE("/");
    }
    return true;
}

static bool request_target(struct slice target, struct message *out)
{
    const char *end = target.ptr + target.len;
    out->authority = SLICE_NONE;
    if (target.ptr[0] == '/') {
        const char *query;
        bool plain;
        if (h1_scan_target(target.ptr, end, &query, &plain) != end) {
            return false;
        }
        take_origin_form(out, target.ptr, query, end, plain);
        return true;
    }
    if (slice_eq(target, SLICE("*"))) {
        out->target_form = TARGET_ASTERISK;
        out->path = target;
        out->query = slice_of(end, 0);
        out->path_is_plain = true;
        return out->method == METHOD_OPTIONS;
    }
    return absolute_form(target, out);
}

/* CLOSE_OK for 1.0 and 1.1. */
static enum close_reason request_version(struct slice text, struct message *out)
{
    if (text.len != 8 || !slice_starts(text, SLICE("HTTP/")) || !h1_is(text.ptr[5], H1_DIGIT) ||
        text.ptr[6] != '.' || !h1_is(text.ptr[7], H1_DIGIT)) {
        return CLOSE_BAD_VERSION;
    }
    if (text.ptr[5] != '1' || text.ptr[7] > '1') {
        return CLOSE_VERSION_NOT_SUPPORTED;
    }
    out->version_minor = (uint8_t)(text.ptr[7] - '0');
    return CLOSE_OK;
}

/* RFC 9112 3: method SP request-target SP HTTP-version, and not a byte else. */
static enum h1_verdict request_line(struct parse *parse, struct slice line, struct message *out)
{
    size_t first = slice_find(line, ' ');
    if (first == SIZE_MAX || first == 0) {
        return fail(parse, CLOSE_BAD_REQUEST_LINE);
    }
    struct slice method = slice_of(line.ptr, first);
    const char *method_end = line.ptr + first;
    if (first > METHOD_LEN_MAX || h1_scan_class(line.ptr, method_end, H1_TOKEN) != method_end) {
        return fail(parse, CLOSE_BAD_METHOD);
    }

    struct slice rest = slice_from_at(line, first + 1);
    size_t second = slice_find(rest, ' ');
    if (second == SIZE_MAX) { /* an HTTP/0.9 request */
        return fail(parse, CLOSE_BAD_VERSION);
    }
    struct slice version = slice_from_at(rest, second + 1);
    if (second == 0 || slice_find(version, ' ') != SIZE_MAX) {
        return fail(parse, CLOSE_BAD_REQUEST_LINE);
    }
    enum close_reason reason = request_version(version, out);
    if (reason != CLOSE_OK) {
        return fail(parse, reason);
    }

    out->method_text = method;
    out->method = (uint8_t)method_of(method);
    if (out->method == METHOD_OTHER && method_is_misspelt(method)) {
        return fail(parse, CLOSE_BAD_METHOD);
    }
    if (out->method == METHOD_CONNECT || out->method == METHOD_TRACE) {
        return fail(parse, CLOSE_METHOD_NOT_IMPLEMENTED);
    }
    if (!request_target(slice_of(rest.ptr, second), out)) {
        return fail(parse, CLOSE_BAD_TARGET);
    }
    return H1_DONE;
}

#if defined(__SSE2__) && !defined(H1_HEAD_SCALAR)
/* The usual request line, complete and in origin-form; false: request_line() shall see what it is.
 */
static bool take_request_line(struct parse *parse, struct message *out)
{
    enum { AFTER_TARGET = 11 }; /* " HTTP/1.1" CRLF */
    const char *at = parse->at;
    const char *end = parse->end;
    if (end - at < 16) {
        return false;
    }
    if (memcmp(at, "GET ", 4) == 0) {
        out->method = METHOD_GET;
        out->method_text = slice_of(at, 3);
        at += 4;
    } else if (memcmp(at, "POST ", 5) == 0) {
        out->method = METHOD_POST;
        out->method_text = slice_of(at, 4);
        at += 5;
    } else if (memcmp(at, "HEAD ", 5) == 0) {
        out->method = METHOD_HEAD;
        out->method_text = slice_of(at, 4);
        at += 5;
    } else {
        return false;
    }
    const char *query;
    bool plain;
    const char *stop = h1_scan_target(at, end, &query, &plain);
    if (*at != '/' || end - stop < AFTER_TARGET || memcmp(stop, " HTTP/1.", 8) != 0 ||
        (stop[8] != '1' && stop[8] != '0') || stop[9] != '\r' || stop[10] != '\n') {
        return false;
    }
    out->version_minor = (uint8_t)(stop[8] - '0');
    out->authority = SLICE_NONE;
    take_origin_form(out, at, query, stop, plain);
    parse->at = stop + AFTER_TARGET;
    return true;
}
#else
static bool take_request_line(struct parse *parse, struct message *out)
{
    (void)parse;
    (void)out;
    return false;
}
#endif

static enum h1_verdict read_request_line(struct parse *parse, struct message *out)
{
    while (line_is_resumed(parse) || !take_request_line(parse, out)) {
        const char *cr = NULL;
        enum h1_verdict verdict = line_end(parse, &cr);
        if (verdict != H1_DONE) {
            return verdict;
        }
        struct slice line = slice_of(parse->at, (size_t)(cr - parse->at));
        if (line.len > 0) {
            parse->at = cr + 2;
            return request_line(parse, line, out);
        }
        if (parse->at - parse->base >= (ptrdiff_t)2 * EMPTY_LINES_MAX) {
            return fail(parse, CLOSE_BAD_REQUEST_LINE);
        }
        parse->at += 2;
    }
    return H1_DONE;
}

/* -- the status line -- */

/* RFC 9112 4: HTTP-version SP 3DIGIT SP [ reason ]; the second SP may be missing with the reason.
 */
static enum h1_verdict read_status_line(struct parse *parse, struct message *out)
{
    const char *cr = NULL;
    const char *at = parse->at;
    enum h1_verdict verdict = line_end(parse, &cr);
    if (verdict != H1_DONE) {
        return verdict;
    }
    if (cr - at < 12 || memcmp(at, "HTTP/1.", 7) != 0 || (at[7] != '0' && at[7] != '1') ||
        at[8] != ' ' || at[9] < '1' || at[9] > '5' || !h1_is(at[10], H1_DIGIT) ||
        !h1_is(at[11], H1_DIGIT) || (cr - at > 12 && at[12] != ' ')) {
        return fail(parse, CLOSE_BAD_RESPONSE);
    }
    const char *phrase = cr - at > 12 ? at + 13 : cr;
    out->version_minor = (uint8_t)(at[7] - '0');
    out->status = (uint16_t)((at[9] - '0') * 100 + (at[10] - '0') * 10 + (at[11] - '0'));
    out->reason_phrase = slice_of(phrase, (size_t)(cr - phrase));
    parse->at = cr + 2;
    return H1_DONE;
}

/* -- both -- */

static void begin(struct parse *parse, struct h1_head *head, struct slice bytes,
                  const struct h1_limits *limits, const struct message *out, bool is_request)
{
    size_t len = bytes.len < limits->head_bytes ? bytes.len : limits->head_bytes;
    parse->head = head;
    parse->base = bytes.ptr;
    parse->at = bytes.ptr + head->line_at;
    parse->end = bytes.ptr + len;
    parse->list = out->headers.list;
    parse->fields = head->fields;
    parse->fields_max = limits->fields;
    parse->is_request = is_request;
    memset(&parse->seen, 0, sizeof(parse->seen));
}

static enum h1_verdict read_head(struct parse *parse, struct message *out)
{
    struct h1_head *head = parse->head;
    if (head->stage == STAGE_START) {
        enum h1_verdict verdict =
            parse->is_request ? read_request_line(parse, out) : read_status_line(parse, out);
        if (verdict != H1_DONE) {
            return verdict;
        }
        head->stage = STAGE_FIELDS;
    }
    return read_fields(parse);
}

static enum h1_verdict need_more(struct parse *parse, struct slice bytes,
                                 const struct h1_limits *limits)
{
    struct h1_head *head = parse->head;
    if (bytes.len >= limits->head_bytes) {
        if (!parse->is_request) {
            return fail(parse, CLOSE_RESPONSE_HEADER_TOO_LARGE);
        }
        return fail(parse,
                    head->stage == STAGE_START ? CLOSE_TARGET_TOO_LONG : CLOSE_HEADER_TOO_LARGE);
    }
    head->line_at = (uint32_t)(parse->at - parse->base);
    head->fields = parse->fields;
    head->resumed = head->line_at != 0;
    return H1_MORE;
}

/* H1_DONE: `parse` knows every line of the head. */
static enum h1_verdict run(struct parse *parse, struct h1_head *head, struct slice bytes,
                           const struct h1_limits *limits, struct message *out, bool is_request)
{
    begin(parse, head, bytes, limits, out, is_request);
    enum h1_verdict verdict = read_head(parse, out);
    if (verdict == H1_DONE && head->resumed != 0) {
        h1_head_init(head); /* complete now: read it again at one go */
        begin(parse, head, bytes, limits, out, is_request);
        verdict = read_head(parse, out);
    }
    return verdict == H1_MORE ? need_more(parse, bytes, limits) : verdict;
}

static void list_fields(const struct parse *parse, struct message *out)
{
    out->headers.base = parse->base;
    out->headers.count = parse->fields;
    out->head_len = (uint32_t)(parse->at - parse->base);
    out->extra_count = 0;
    out->extra_ours = 0;
    out->scheme = SLICE_NONE;
    out->protocol = SLICE_NONE;
}

enum h1_verdict h1_head_request(struct h1_head *head, struct slice bytes,
                                const struct h1_limits *limits, struct message *out)
{
    struct parse parse;
    enum h1_verdict verdict = run(&parse, head, bytes, limits, out, true);
    if (verdict != H1_DONE) {
        return verdict;
    }
    list_fields(&parse, out);
    enum close_reason reason = h1_facts_request(&parse.seen, out);
    return reason == CLOSE_OK ? H1_DONE : fail(&parse, reason);
}

enum h1_verdict h1_head_response(struct h1_head *head, struct slice bytes,
                                 const struct h1_limits *limits, enum method request_method,
                                 struct message *out)
{
    struct parse parse;
    enum h1_verdict verdict = run(&parse, head, bytes, limits, out, false);
    if (verdict != H1_DONE) {
        return verdict;
    }
    list_fields(&parse, out);
    enum close_reason reason = h1_facts_response(&parse.seen, request_method, out);
    return reason == CLOSE_OK ? H1_DONE : fail(&parse, reason);
}
