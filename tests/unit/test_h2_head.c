#include "lbd/http/h2_head.h"
#include "tests/unit/hpack_stand.h"
#include "tests/unit/unit.h"

enum { BLOCK_MAX = 4096, FACTS = 512 };

static const struct hpack_limits limits = {.bytes = 16384, .fields = 100};

#define GET  ":method GET\n:scheme https\n:authority a.example\n:path /\n"
#define POST ":method POST\n:scheme https\n:authority a.example\n:path /\n"

/* "name value" lines, each a literal. */
static void decode(struct hpack_stand *stand, const char *lines)
{
    char block[BLOCK_MAX];
    size_t len = 0;
    struct slice rest = slice_from(lines);
    struct slice line;
    while (rest.len > 0 && slice_split(&rest, '\n', &line)) {
        size_t blank = slice_find(line, ' ');
        struct slice parts[] = {slice_of(line.ptr, blank), slice_from_at(line, blank + 1)};
        block[len++] = 0;
        for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
            ck_assert_uint_lt(parts[i].len, 127);
            block[len++] = (char)parts[i].len;
            memcpy(block + len, parts[i].ptr, parts[i].len);
            len += parts[i].len;
        }
    }
    ck_assert_int_eq(hpack_stand_decode(stand, slice_of(block, len)), HPACK_OK);
}

static void add_framing(char *out, size_t size, const struct message *message)
{
    static const char *const names[] = {
        [FRAMING_NONE] = "none",     [FRAMING_LENGTH] = "length",
        [FRAMING_CHUNKED] = "open",  [FRAMING_UNTIL_CLOSE] = "until-close",
        [FRAMING_TUNNEL] = "tunnel",
    };
    size_t len = strlen(out);
    (void)snprintf(out + len, size - len, " %s%s", names[message->framing],
                   message->has_length ? "" : " -");
    len = strlen(out);
    if (message->has_length) {
        (void)snprintf(out + len, size - len, " %llu", (unsigned long long)message->content_length);
    }
}

START_TEST(says_what_a_request_means)
{
    static const struct {
        const char *lines;
        bool ends;
        enum close_reason reason;
        const char *want; /* method authority path query framing length */
    } cases[] = {
        {GET, true, CLOSE_OK, "GET a.example / [] none -"},
        {GET, false, CLOSE_OK, "GET a.example / [] open -"},
        {POST, true, CLOSE_OK, "POST a.example / [] none 0"}, /* RFC 9110 8.6 */
        {POST "content-length 0\n", true, CLOSE_OK, "POST a.example / [] none 0"},
        {POST "content-length 5\n", false, CLOSE_OK, "POST a.example / [] length 5"},
        {POST "content-length 5\n", true, CLOSE_BAD_CONTENT_LENGTH, NULL},
        {POST "content-length 5\ncontent-length 5\n", false, CLOSE_BAD_CONTENT_LENGTH, NULL},
        {":method GET\n:scheme http\n:path /a/b?c=d?e\nhost b.example\n", true, CLOSE_OK,
         "GET b.example /a/b [?c=d?e] none -"},
        {":method GET\n:scheme http\n:path /a\n", true, CLOSE_BAD_HOST, NULL},
        {GET "host A.example\n", true, CLOSE_OK, "GET A.example / [] none -"},
        {GET "host b.example\n", true, CLOSE_BAD_HOST, NULL},
        {":method OPTIONS\n:scheme http\n:authority a\n:path *\n", true, CLOSE_OK,
         "OPTIONS a * [] none -"},
        {":method GET\n:scheme http\n:authority a\n:path *\n", true, CLOSE_BAD_TARGET, NULL},
        {":method GET\n:scheme http\n:authority a\n:path a\n", true, CLOSE_BAD_TARGET, NULL},
        {":method GET\n:scheme ftp\n:authority a\n:path /\n", true, CLOSE_BAD_TARGET, NULL},
        {":method GET\n:authority a\n:path /\n", true, CLOSE_BAD_REQUEST_LINE, NULL},
        {":scheme http\n:authority a\n:path /\n", true, CLOSE_BAD_REQUEST_LINE, NULL},
        {GET ":status 200\n", true, CLOSE_BAD_REQUEST_LINE, NULL},
        {":method post\n:scheme http\n:authority a\n:path /\n", true, CLOSE_BAD_METHOD, NULL},
        {":method G(T\n:scheme http\n:authority a\n:path /\n", true, CLOSE_BAD_METHOD, NULL},
        {":method TRACE\n:scheme http\n:authority a\n:path /\n", true, CLOSE_METHOD_NOT_IMPLEMENTED,
         NULL},
        {":method CONNECT\n:authority a:1\n", false, CLOSE_METHOD_NOT_IMPLEMENTED, NULL},
        {":method CONNECT\n:protocol websocket\n:scheme https\n:authority a\n:path /w\n", false,
         CLOSE_OK, "CONNECT a /w [] tunnel -"},
        {":method CONNECT\n:protocol websocket\n:scheme https\n:authority a\n:path /w\n", true,
         CLOSE_BAD_UPGRADE, NULL},
        {":method CONNECT\n:protocol gopher\n:scheme https\n:authority a\n:path /w\n", false,
         CLOSE_METHOD_NOT_IMPLEMENTED, NULL},
        {GET ":protocol websocket\n", true, CLOSE_BAD_REQUEST_LINE, NULL},
        {GET "connection close\n", true, CLOSE_BAD_CONNECTION_HEADER, NULL},
        {GET "transfer-encoding chunked\n", false, CLOSE_BAD_CONNECTION_HEADER, NULL},
        {GET "te trailers\n", true, CLOSE_OK, "GET a.example / [] none -"},
        {GET "te gzip\n", true, CLOSE_BAD_CONNECTION_HEADER, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct hpack_stand stand;
        struct message message;
        hpack_stand_init(&stand, limits);
        memset(&message, 0xa5, sizeof(message)); /* nothing may be left unsaid */
        decode(&stand, cases[i].lines);
        enum close_reason reason = h2_head_request(&stand.fields, cases[i].ends, &message);
        ck_assert_msg(reason == cases[i].reason, "case %zu: %s", i, close_reason_word(reason).ptr);
        if (reason == CLOSE_OK) {
            char text[FACTS];
            (void)snprintf(text, sizeof(text), "%.*s %.*s %.*s [%.*s]",
                           SLICE_ARG(message.method_text), SLICE_ARG(message.authority),
                           SLICE_ARG(message.path), SLICE_ARG(message.query));
            add_framing(text, sizeof(text), &message);
            ck_assert_str_eq(text, cases[i].want);
        }
        hpack_stand_fini(&stand);
    }
}
END_TEST

START_TEST(says_what_an_answer_means)
{
    static const struct {
        const char *lines;
        bool ends;
        enum method asked;
        enum close_reason reason;
        const char *want; /* status framing length */
    } cases[] = {
        {":status 200\n", false, METHOD_GET, CLOSE_OK, "200 open -"},
        {":status 200\n", true, METHOD_GET, CLOSE_OK, "200 none 0"}, /* HTTP/1 has to be told */
        {":status 200\ncontent-length 3\n", false, METHOD_GET, CLOSE_OK, "200 length 3"},
        {":status 200\ncontent-length 3\n", true, METHOD_GET, CLOSE_BAD_RESPONSE_FRAMING, NULL},
        {":status 200\ncontent-length 0\n", true, METHOD_GET, CLOSE_OK, "200 none 0"},
        {":status 200\ncontent-length x\n", false, METHOD_GET, CLOSE_BAD_RESPONSE_FRAMING, NULL},
        {":status 200\n", true, METHOD_HEAD, CLOSE_OK, "200 none -"},
        {":status 200\ncontent-length 3\n", true, METHOD_HEAD, CLOSE_OK, "200 none 3"},
        {":status 204\n", true, METHOD_GET, CLOSE_OK, "204 none -"},
        {":status 304\ncontent-length 3\n", true, METHOD_GET, CLOSE_OK, "304 none 3"},
        {":status 200\n", false, METHOD_CONNECT, CLOSE_OK, "200 tunnel -"},
        {":status 404\n", true, METHOD_CONNECT, CLOSE_OK, "404 none 0"},
        {":status 103\n", false, METHOD_GET, CLOSE_OK, "103 none -"},
        {":status 103\n", true, METHOD_GET, CLOSE_BAD_RESPONSE, NULL},
        {":status 101\n", false, METHOD_GET, CLOSE_BAD_RESPONSE, NULL},
        {":status 99\n", false, METHOD_GET, CLOSE_BAD_RESPONSE, NULL},
        {":status 600\n", false, METHOD_GET, CLOSE_BAD_RESPONSE, NULL},
        {":status 20a\n", false, METHOD_GET, CLOSE_BAD_RESPONSE, NULL},
        {"a b\n", false, METHOD_GET, CLOSE_BAD_RESPONSE, NULL},
        {":status 200\n:path /\n", false, METHOD_GET, CLOSE_BAD_RESPONSE, NULL},
        {":status 200\nconnection close\n", false, METHOD_GET, CLOSE_BAD_RESPONSE, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct hpack_stand stand;
        struct message message;
        hpack_stand_init(&stand, limits);
        memset(&message, 0xa5, sizeof(message));
        decode(&stand, cases[i].lines);
        enum close_reason reason =
            h2_head_response(&stand.fields, cases[i].ends, cases[i].asked, &message);
        ck_assert_msg(reason == cases[i].reason, "case %zu: %s", i, close_reason_word(reason).ptr);
        if (reason == CLOSE_OK) {
            char text[FACTS];
            (void)snprintf(text, sizeof(text), "%u", message.status);
            add_framing(text, sizeof(text), &message);
            ck_assert_str_eq(text, cases[i].want);
            ck_assert(!message.wants_close);
        }
        hpack_stand_fini(&stand);
    }
}
END_TEST

START_TEST(gives_trailers_as_lines)
{
    static const struct {
        const char *lines;
        const char *want; /* NULL: refused */
    } cases[] = {
        {"grpc-status 0\nx y\n", "grpc-status: 0\r\nx: y\r\n"},
        {"", ""},
        {":path /\n", NULL},
        {":status 200\n", NULL},
        {"connection close\n", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct hpack_stand stand;
        struct slice lines;
        hpack_stand_init(&stand, limits);
        decode(&stand, cases[i].lines);
        bool good = h2_head_trailers(&stand.fields, &lines);
        ck_assert_msg(good == (cases[i].want != NULL), "case %zu", i);
        ck_assert(!good || slice_eq(lines, slice_from(cases[i].want)));
        hpack_stand_fini(&stand);
    }
}
END_TEST

/* What one reads the other writes, without what is of one connection alone. */
START_TEST(a_request_goes_on_as_it_came)
{
    static const char *const cases[][2] = {
        {GET "x-a b\ncookie c=d\n",
         ":method=GET :scheme=http :authority=a.example :path=/ |x-a: b|cookie: c=d|"},
        {":method GET\n:scheme http\n:path /a?b\nhost h\n",
         ":method=GET :scheme=http :authority=h :path=/a?b |"},
        {POST "content-length 5\nte trailers\n",
         ":method=POST :scheme=http :authority=a.example :path=/ |content-length: 5|"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct hpack_stand stand;
        struct hpack_stand next;
        struct message message;
        struct hpack_encoder encoder;
        char out[BLOCK_MAX];
        hpack_stand_init(&stand, limits);
        hpack_stand_init(&next, limits);
        hpack_encode_init(&encoder);
        decode(&stand, cases[i][0]);
        ck_assert_int_eq(h2_head_request(&stand.fields, false, &message), CLOSE_OK);
        struct stream_head head = {.message = &message,
                                   .framing = (enum framing)message.framing,
                                   .content_length = message.content_length,
                                   .has_length = message.has_length};
        size_t len = h2_head_write_request(&encoder, out, sizeof(out), &head, SLICE("http"));
        ck_assert_int_eq(hpack_stand_decode(&next, slice_of(out, len)), HPACK_OK);
        struct slice text = hpack_stand_text(&next);
        ck_assert_msg(slice_eq(text, slice_from(cases[i][1])), "%.*s", SLICE_ARG(text));
        for (size_t capacity = 0; capacity < len; capacity++) { /* R11 */
            hpack_encode_init(&encoder);
            char *small = malloc(capacity + 1);
            ck_assert_uint_eq(
                h2_head_write_request(&encoder, small, capacity, &head, SLICE("http")), 0);
            free(small);
        }
        hpack_stand_fini(&stand);
        hpack_stand_fini(&next);
    }
}
END_TEST

START_TEST(an_answer_of_http1_goes_out_in_lower_case)
{
    struct message message = {.status = 200, .version_minor = 1};
    struct hpack_stand stand;
    struct hpack_encoder encoder;
    char out[BLOCK_MAX];
    message_add(&message, SLICE("Content-Type"), SLICE("text/plain"));
    message_add(&message, SLICE("X-Name"), SLICE("Value"));
    struct stream_head head = {
        .message = &message, .framing = FRAMING_LENGTH, .content_length = 12, .has_length = true};
    hpack_encode_init(&encoder);
    hpack_stand_init(&stand, limits);
    size_t len = h2_head_write_response(&encoder, out, sizeof(out), &head);
    ck_assert_int_eq(hpack_stand_decode(&stand, slice_of(out, len)), HPACK_OK);
    struct slice text = hpack_stand_text(&stand);
    ck_assert_msg(
        slice_eq(text, SLICE(":status=200 |content-type: text/plain|x-name: Value|content-length: "
                             "12|")),
        "%.*s", SLICE_ARG(text));

    len =
        h2_head_write_trailers(&encoder, out, sizeof(out), SLICE("Grpc-Status: 0\r\nX-T:  v \r\n"));
    ck_assert_int_eq(hpack_stand_decode(&stand, slice_of(out, len)), HPACK_OK);
    text = hpack_stand_text(&stand);
    ck_assert_msg(slice_eq(text, SLICE("|grpc-status: 0|x-t: v|")), "%.*s", SLICE_ARG(text));
    hpack_stand_fini(&stand);
}
END_TEST

UNIT_TESTS("h2_head", says_what_a_request_means, says_what_an_answer_means, gives_trailers_as_lines,
           a_request_goes_on_as_it_came, an_answer_of_http1_goes_out_in_lower_case)
