#include "lbd/http/h1_head.h"
#include "tests/unit/h1_corpus.h"
#include "tests/unit/head_counted.h"
#include "tests/unit/head_scalar.h"
#include "tests/unit/unit.h"

enum { FIELDS = 100, HEAD_BYTES = 65536, FACTS = 1024 };

static const struct h1_limits roomy = {.head_bytes = HEAD_BYTES, .fields = FIELDS};

/* One way to parse one head, its own copy of the bytes behind it so that the address sanitizer sees
 * every byte too far. */
struct reader {
    bool is_request;
    bool scalar;
    enum method asked;
    const struct h1_limits *limits;
    struct h1_head head;
    struct message message;
    struct header fields[FIELDS];
    char *copy; /* owned: of the bytes of the last call */
};

static void reader_init(struct reader *reader, bool is_request, enum method asked, bool scalar,
                        const struct h1_limits *limits)
{
    *reader = (struct reader){
        .is_request = is_request, .scalar = scalar, .asked = asked, .limits = limits};
    h1_head_init(&reader->head);
}

static void reader_fini(struct reader *reader)
{
    free(reader->copy);
    reader->copy = NULL;
}

static enum h1_verdict read_bytes(struct reader *reader, struct slice bytes)
{
    struct message *out = &reader->message;
    free(reader->copy);
    reader->copy = malloc(bytes.len == 0 ? 1 : bytes.len);
    ck_assert_ptr_nonnull(reader->copy);
    if (bytes.len != 0) {
        memcpy(reader->copy, bytes.ptr, bytes.len);
    }
    bytes.ptr = reader->copy;
    memset(out, 0xa5, sizeof(*out)); /* nothing may be left unsaid */
    memset(reader->fields, 0xa5, sizeof(reader->fields));
    out->headers.list = reader->fields;
    out->headers.capacity = FIELDS;
    if (reader->is_request) {
        return reader->scalar ? head_scalar_request(&reader->head, bytes, reader->limits, out)
                              : h1_head_request(&reader->head, bytes, reader->limits, out);
    }
    return reader->scalar
               ? head_scalar_response(&reader->head, bytes, reader->limits, reader->asked, out)
               : h1_head_response(&reader->head, bytes, reader->limits, reader->asked, out);
}

/* -- what came out, as text -- */

static int add_framing(char *out, size_t size, const struct message *message)
{
    unsigned long long length = message->content_length;
    switch ((enum framing)message->framing) {
    case FRAMING_NONE:
        return message->has_length ? snprintf(out, size, "none has=%llu", length)
                                   : snprintf(out, size, "none");
    case FRAMING_LENGTH:
        ck_assert(message->has_length);
        return snprintf(out, size, "length=%llu", length);
    case FRAMING_CHUNKED:
        return snprintf(out, size, "chunked");
    case FRAMING_UNTIL_CLOSE:
        return snprintf(out, size, "until-close");
    case FRAMING_TUNNEL:
        return message->has_length ? snprintf(out, size, "tunnel has=%llu", length)
                                   : snprintf(out, size, "tunnel");
    }
    return 0;
}

static struct slice or_dash(struct slice s)
{
    return s.len == 0 ? SLICE("-") : s;
}

static void facts_of(char out[FACTS], const struct message *message, bool is_request)
{
    int len;
    if (is_request) {
        len = snprintf(out, FACTS, "%.*s %.*s %.*s ", SLICE_ARG(or_dash(message->authority)),
                       SLICE_ARG(or_dash(message->path)), SLICE_ARG(or_dash(message->query)));
    } else {
        len = snprintf(out, FACTS, "%u %.*s ", message->status,
                       SLICE_ARG(or_dash(message->reason_phrase)));
    }
    ck_assert_int_lt(len, FACTS - 200);
    len += add_framing(out + len, (size_t)(FACTS - len), message);
    (void)snprintf(
        out + len, (size_t)(FACTS - len), "%s%s%s%s%s%s%s%s%s%s",
        message->target_form == TARGET_ABSOLUTE   ? " absolute"
        : message->target_form == TARGET_ASTERISK ? " asterisk"
                                                  : "",
        is_request && !message->path_is_plain ? " odd" : "",
        message->version_minor == 0 ? " 1.0" : "", message->wants_close ? " close" : "",
        message->expects_continue ? " continue" : "", message->has_upgrade ? " upgrade" : "",
        message->upgrade_websocket ? " websocket" : "", message->has_trailer_te ? " te" : "",
        message->has_connection_names ? " names" : "", message->extra_count != 0 ? " extras" : "");
}

static const char *word_of(enum close_reason reason)
{
    static char word[64];
    if (reason == H1_CASE_MORE) {
        return "(more)";
    }
    struct slice text = close_reason_word(reason);
    (void)snprintf(word, sizeof(word), "%.*s", SLICE_ARG(text));
    return word;
}

/* What the parser said, as the corpus writes it. */
static enum close_reason answer_of(const struct reader *reader, enum h1_verdict verdict)
{
    if (verdict == H1_MORE) {
        return H1_CASE_MORE;
    }
    return verdict == H1_DONE ? CLOSE_OK : (enum close_reason)reader->head.reason;
}

static size_t cases_len(bool is_request)
{
    return is_request ? h1_requests_len : h1_responses_len;
}

static const struct h1_case *case_at(bool is_request, size_t i)
{
    return is_request ? &h1_requests[i] : &h1_responses[i];
}

/* Everything two parsers can differ in, where both were given the same bytes. */
static bool same_result(const struct reader *a, const struct reader *b)
{
    const struct headers *x = &a->message.headers;
    const struct headers *y = &b->message.headers;
    char facts_a[FACTS];
    char facts_b[FACTS];
    facts_of(facts_a, &a->message, a->is_request);
    facts_of(facts_b, &b->message, b->is_request);
    if (strcmp(facts_a, facts_b) != 0 || a->message.head_len != b->message.head_len ||
        x->count != y->count || a->message.method != b->message.method) {
        return false;
    }
    return x->count == 0 || memcmp(x->list, y->list, x->count * sizeof(*x->list)) == 0;
}

/* -- the corpus -- */

static void check_whole(const struct h1_case *c, bool is_request, bool scalar)
{
    struct reader reader;
    reader_init(&reader, is_request, c->method, scalar, &roomy);
    enum h1_verdict verdict = read_bytes(&reader, c->bytes);
    enum close_reason got = answer_of(&reader, verdict);
    ck_assert_msg(got == c->want, "%s: %s", c->rule, word_of(got));
    if (verdict == H1_DONE && c->facts != NULL) {
        char facts[FACTS];
        facts_of(facts, &reader.message, is_request);
        ck_assert_msg(strcmp(facts, c->facts) == 0, "%s:\n  got  %s\n  want %s", c->rule, facts,
                      c->facts);
    }
    reader_fini(&reader);
}

START_TEST(judges_every_head_of_the_corpus)
{
    ck_assert_uint_ge(h1_requests_len, 100);
    ck_assert_uint_ge(h1_responses_len, 50);
    for (int is_request = 0; is_request < 2; is_request++) {
        for (size_t i = 0; i < cases_len(is_request != 0); i++) {
            check_whole(case_at(is_request != 0, i), is_request != 0, false);
            check_whole(case_at(is_request != 0, i), is_request != 0, true);
        }
    }
}
END_TEST

/* Byte by byte; at each byte the answer is that of a parser that sees all of them at once. */
static void check_byte_by_byte(const struct h1_case *c, bool is_request, bool scalar)
{
    struct reader slow;
    reader_init(&slow, is_request, c->method, scalar, &roomy);
    enum h1_verdict verdict = H1_MORE;
    for (size_t len = 0; len <= c->bytes.len && verdict == H1_MORE; len++) {
        struct slice so_far = slice_of(c->bytes.ptr, len);
        verdict = read_bytes(&slow, so_far);

        struct reader fresh;
        reader_init(&fresh, is_request, c->method, !scalar, &roomy);
        enum h1_verdict at_once = read_bytes(&fresh, so_far);
        ck_assert_msg(verdict == at_once && slow.head.reason == fresh.head.reason,
                      "%s: at byte %zu", c->rule, len);
        ck_assert_msg(verdict != H1_DONE || same_result(&slow, &fresh), "%s: differs", c->rule);
        reader_fini(&fresh);
    }
    ck_assert_msg(answer_of(&slow, verdict) == c->want, "%s: byte by byte %s", c->rule,
                  word_of(answer_of(&slow, verdict)));
    reader_fini(&slow);
}

START_TEST(gives_the_same_answer_byte_by_byte)
{
    for (int is_request = 0; is_request < 2; is_request++) {
        for (size_t i = 0; i < cases_len(is_request != 0); i++) {
            check_byte_by_byte(case_at(is_request != 0, i), is_request != 0, false);
            check_byte_by_byte(case_at(is_request != 0, i), is_request != 0, true);
        }
    }
}
END_TEST

/* In two pieces, cut at every byte. */
static void check_cuts(const struct h1_case *c, bool is_request)
{
    struct reader whole;
    reader_init(&whole, is_request, c->method, false, &roomy);
    enum h1_verdict at_once = read_bytes(&whole, c->bytes);
    for (size_t cut = 0; cut < c->bytes.len; cut++) {
        struct reader reader;
        reader_init(&reader, is_request, c->method, false, &roomy);
        enum h1_verdict verdict = read_bytes(&reader, slice_of(c->bytes.ptr, cut));
        if (verdict == H1_MORE) {
            verdict = read_bytes(&reader, c->bytes);
        }
        ck_assert_msg(verdict == at_once && reader.head.reason == whole.head.reason,
                      "%s: cut at %zu", c->rule, cut);
        ck_assert_msg(verdict != H1_DONE || same_result(&reader, &whole), "%s: cut at %zu differs",
                      c->rule, cut);
        reader_fini(&reader);
    }
    reader_fini(&whole);
}

START_TEST(gives_the_same_answer_in_two_pieces)
{
    for (int is_request = 0; is_request < 2; is_request++) {
        for (size_t i = 0; i < cases_len(is_request != 0); i++) {
            check_cuts(case_at(is_request != 0, i), is_request != 0);
        }
    }
}
END_TEST

/* -- the twins on what nobody thought of -- */

static uint64_t draws = 88172645463325252U;

static size_t draw(size_t below)
{
    draws ^= draws << 13;
    draws ^= draws >> 7;
    draws ^= draws << 17;
    return (size_t)(draws % below);
}

START_TEST(twins_agree_on_mutated_heads)
{
    static const char spice[] = "\r\n\t :,;%./\\?#_-aZ09\x01\x7f\x80\xff";
    char bytes[1024];
    for (int round = 0; round < 40000; round++) {
        bool is_request = draw(2) != 0;
        const struct h1_case *c = case_at(is_request, draw(cases_len(is_request)));
        size_t len = c->bytes.len < sizeof(bytes) ? c->bytes.len : sizeof(bytes);
        if (len == 0) {
            continue;
        }
        memcpy(bytes, c->bytes.ptr, len);
        for (size_t changes = 1 + draw(3); changes > 0; changes--) {
            bytes[draw(len)] = spice[draw(sizeof(spice))];
        }
        struct reader fast;
        struct reader scalar;
        reader_init(&fast, is_request, c->method, false, &roomy);
        reader_init(&scalar, is_request, c->method, true, &roomy);
        enum h1_verdict a = read_bytes(&fast, slice_of(bytes, len));
        enum h1_verdict b = read_bytes(&scalar, slice_of(bytes, len));
        ck_assert_msg(a == b && fast.head.reason == scalar.head.reason, "%s", c->rule);
        ck_assert_msg(a != H1_DONE || same_result(&fast, &scalar), "%s: differs", c->rule);
        reader_fini(&fast);
        reader_fini(&scalar);
    }
}
END_TEST

/* -- fields -- */

START_TEST(lists_fields_in_order_with_ids_and_trimmed_values)
{
    static const struct {
        const char *name;
        const char *value;
        enum header_id id;
    } want[] = {
        {"hOST", "a", HEADER_HOST},
        {"X-Custom", "v  w", HEADER_OTHER},
        {"Proxy-Authorization", "Basic x", HEADER_PROXY_AUTHORIZATION},
        {"Proxy-Authorizatiom", "y", HEADER_OTHER},
        {"X-FORWARDED-PROTO", "", HEADER_X_FORWARDED_PROTO},
        {"te", "gzip", HEADER_TE},
        {"Accept-Encoding", "gzip, br", HEADER_ACCEPT_ENCODING},
    };
    static const struct slice bytes =
        BYTES("GET / HTTP/1.1\r\nhOST: a\r\nX-Custom: \t v  w \t \r\n"
              "Proxy-Authorization: Basic x\r\nProxy-Authorizatiom: y\r\n"
              "X-FORWARDED-PROTO:  \t\r\nte:gzip\r\nAccept-Encoding: gzip, br\r\n\r\n");
    for (int scalar = 0; scalar < 2; scalar++) {
        struct reader reader;
        reader_init(&reader, true, METHOD_OTHER, scalar != 0, &roomy);
        ck_assert_int_eq(read_bytes(&reader, bytes), H1_DONE);
        const struct headers *headers = &reader.message.headers;
        ck_assert_uint_eq(headers->count, ARRAY_LEN(want));
        ck_assert_uint_eq(reader.message.head_len, bytes.len);
        for (size_t i = 0; i < ARRAY_LEN(want); i++) {
            const struct header *header = &headers->list[i];
            ck_assert(slice_eq(header_name(headers, header), slice_from(want[i].name)));
            ck_assert(slice_eq(header_value(headers, header), slice_from(want[i].value)));
            ck_assert_int_eq(header->id, want[i].id);
            ck_assert_int_eq(header->dropped, 0);
        }
        reader_fini(&reader);
    }
}
END_TEST

START_TEST(ends_where_the_next_message_begins)
{
    static const struct slice bytes =
        BYTES("\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\n");
    struct reader reader;
    reader_init(&reader, true, METHOD_OTHER, false, &roomy);
    ck_assert_int_eq(read_bytes(&reader, bytes), H1_DONE);
    ck_assert_uint_eq(reader.message.head_len, 2 + 17 + 9 + 2);
    reader_fini(&reader);
}
END_TEST

/* -- limits -- */

START_TEST(refuses_what_is_larger_than_the_limits)
{
    static const struct {
        struct slice bytes;
        uint32_t head_bytes;
        uint32_t fields;
        bool is_request;
        enum close_reason want;
    } cases[] = {
        {BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 27, 100, true, CLOSE_OK},
        {BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 26, 100, true, CLOSE_HEADER_TOO_LARGE},
        {BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 17, 100, true, CLOSE_HEADER_TOO_LARGE},
        {BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 16, 100, true, CLOSE_HEADER_TOO_LARGE},
        {BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 15, 100, true, CLOSE_TARGET_TOO_LONG},
        {BYTES("GET /0123456789012345678901234567890123456789"), 40, 100, true,
         CLOSE_TARGET_TOO_LONG},
        {BYTES("GET / HTTP/1.1\r\nHost: a\r\nX: y"), 28, 100, true, CLOSE_HEADER_TOO_LARGE},
        /* the first fault decides: here the line end, there the size */
        {BYTES("GET / HTTP/1.1\r\nHost: a\nX: y"), 28, 100, true, CLOSE_BAD_LINE_END},
        {BYTES("GET / HTTP/1.1\r\nHost: abc\nX"), 24, 100, true, CLOSE_HEADER_TOO_LARGE},
        {BYTES("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n"), 100, 2, true, CLOSE_OK},
        {BYTES("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\n\r\n"), 100, 2, true,
         CLOSE_TOO_MANY_HEADERS},
        {BYTES("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC"), 100, 2, true, H1_CASE_MORE},
        {BYTES("HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\nE: f\r\n\r\n"), 100, 2, false,
         CLOSE_RESPONSE_HEADER_TOO_LARGE},
        {BYTES("HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\nE: f\r\n\r\n"), 30, 9, false,
         CLOSE_RESPONSE_HEADER_TOO_LARGE},
        {BYTES("HTTP/1.1 200 A very long phrase"), 20, 9, false, CLOSE_RESPONSE_HEADER_TOO_LARGE},
        /* as many bytes as the limit and no end: no more can help */
        {BYTES("GET /012345"), 11, 9, true, CLOSE_TARGET_TOO_LONG},
        {BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r"), 26, 9, true, CLOSE_HEADER_TOO_LARGE},
        /* fields that are long enough for the fast path */
        {BYTES("GET / HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaa\r\nSome-Name: some value\r\n"
               "Other-Name: other value\r\n\r\n0123456789abcdef"),
         200, 3, true, CLOSE_OK},
        {BYTES("GET / HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaa\r\nSome-Name: some value\r\n"
               "Other-Name: other value\r\n\r\n0123456789abcdef"),
         200, 2, true, CLOSE_TOO_MANY_HEADERS},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct h1_limits limits = {cases[i].head_bytes, cases[i].fields};
        for (size_t step = 1; step <= cases[i].bytes.len; step++) {
            struct reader reader;
            enum h1_verdict verdict = H1_MORE;
            reader_init(&reader, cases[i].is_request, METHOD_GET, (step & 1U) != 0, &limits);
            for (size_t len = 0; len < cases[i].bytes.len && verdict == H1_MORE;) {
                len = len + step < cases[i].bytes.len ? len + step : cases[i].bytes.len;
                verdict = read_bytes(&reader, slice_of(cases[i].bytes.ptr, len));
            }
            enum close_reason got = answer_of(&reader, verdict);
            ck_assert_msg(got == cases[i].want, "case %zu, %zu at a time: %s", i, step,
                          word_of(got));
            reader_fini(&reader);
        }
    }
}
END_TEST

/* -- work -- */

/* Scanned bytes for each byte that came, when `bytes` come `step` at a time. */
static double work_for(struct slice bytes, size_t step, bool is_request)
{
    static struct header fields[FIELDS];
    static const struct h1_limits limits = {HEAD_BYTES, FIELDS};
    struct message message = {.headers = {.list = fields, .capacity = FIELDS}};
    struct h1_head head;
    h1_head_init(&head);
    head_counted_bytes = 0;
    enum h1_verdict verdict = H1_MORE;
    for (size_t len = 0; len < bytes.len && verdict == H1_MORE;) {
        len = len + step < bytes.len ? len + step : bytes.len;
        struct slice so_far = slice_of(bytes.ptr, len);
        verdict = is_request ? head_counted_request(&head, so_far, &limits, &message)
                             : head_counted_response(&head, so_far, &limits, METHOD_GET, &message);
    }
    ck_assert_int_eq(verdict, H1_DONE);
    return (double)head_counted_bytes / (double)bytes.len;
}

START_TEST(works_no_harder_when_a_head_comes_in_pieces)
{
    static char long_value[32000];
    static char many_lines[8000];
    static char long_target[32000];
    size_t len =
        (size_t)snprintf(long_value, sizeof(long_value), "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    memset(long_value + len, 'v', sizeof(long_value) - len);
    memcpy(long_value + sizeof(long_value) - 4, "\r\n\r\n", 4);

    len = (size_t)snprintf(many_lines, sizeof(many_lines), "HTTP/1.1 200 OK\r\n");
    for (size_t i = 0; i < FIELDS; i++) {
        len += (size_t)snprintf(many_lines + len, sizeof(many_lines) - len,
                                "Some-Name-%zu: some value of it\r\n", i);
    }
    (void)snprintf(many_lines + len, sizeof(many_lines) - len, "\r\n");
    struct slice lines = slice_from(many_lines);

    memcpy(long_target, "GET /", 5);
    memset(long_target + 5, 'x', sizeof(long_target) - 5);
    memcpy(long_target + sizeof(long_target) - 24, " HTTP/1.1\r\nHost: ab\r\n\r\n\r\n", 24);

    static const size_t steps[] = {1, 2, 7, 100, 1460};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        double value = work_for(slice_of(long_value, sizeof(long_value)), steps[i], true);
        double target = work_for(slice_of(long_target, sizeof(long_target)), steps[i], true);
        double list = work_for(lines, steps[i], false);
        /* at most: found its end, read it when it was complete, read it again at the end; in
         * blocks of 16 */
        ck_assert_msg(value < 8 && target < 8 && list < 16,
                      "%zu at a time: long value %.1f, long target %.1f, many lines %.1f", steps[i],
                      value, target, list);
    }
}
END_TEST

UNIT_TESTS("h1_head", judges_every_head_of_the_corpus, gives_the_same_answer_byte_by_byte,
           gives_the_same_answer_in_two_pieces, twins_agree_on_mutated_heads,
           lists_fields_in_order_with_ids_and_trimmed_values, ends_where_the_next_message_begins,
           refuses_what_is_larger_than_the_limits, works_no_harder_when_a_head_comes_in_pieces)
