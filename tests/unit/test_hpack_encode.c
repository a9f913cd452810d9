#include "lbd/base/mem.h"
#include "lbd/http/hpack_encode.h"
#include "tests/unit/hpack_stand.h"
#include "tests/unit/unit.h"

static const struct hpack_limits roomy = {.bytes = 65536, .fields = 100};

static void check_text(const struct hpack_stand *stand, const char *want, const char *what)
{
    struct slice text = hpack_stand_text(stand);
    ck_assert_msg(slice_eq(text, slice_from(want)), "%s: '%.*s', want '%s'", what, SLICE_ARG(text),
                  want);
}

START_TEST(what_it_sends_is_read_again)
{
    struct hpack_stand stand;
    hpack_stand_init(&stand, roomy);
    struct hpack_encoder encoder;
    hpack_encode_init(&encoder);
    char out[2048];
    char long_value[300];
    memset(long_value, 'v', sizeof(long_value));
    for (int round = 0; round < 2; round++) {
        struct hpack_encode writer;
        hpack_encode_begin(&writer, &encoder, out, sizeof(out));
        hpack_encode_pseudo(&writer, HPACK_METHOD, SLICE("PURGE"));
        hpack_encode_pseudo(&writer, HPACK_SCHEME, SLICE("https"));
        hpack_encode_pseudo(&writer, HPACK_AUTHORITY, SLICE("a.example"));
        hpack_encode_pseudo(&writer, HPACK_PATH, SLICE("/x?y"));
        hpack_encode_pseudo(&writer, HPACK_PROTOCOL, SLICE("websocket"));
        hpack_encode_field(&writer, SLICE("X-Custom-Name"), SLICE("Value"));
        hpack_encode_field(&writer, SLICE("Accept-Encoding"), SLICE(""));
        hpack_encode_known(&writer, HEADER_X_FORWARDED_FOR, SLICE("10.0.0.1"));
        hpack_encode_known(&writer, HEADER_USER_AGENT, slice_of(long_value, sizeof(long_value)));
        size_t len = hpack_encode_end(&writer);
        ck_assert_uint_gt(len, 0);
        ck_assert_int_eq(out[0] == 0x20, round == 0); /* "there is no table", once */
        ck_assert_int_eq(hpack_stand_decode(&stand, slice_of(out, len)), HPACK_OK);
        struct slice text = hpack_stand_text(&stand);
        static const char want[] =
            ":method=PURGE :scheme=https :authority=a.example :path=/x?y :protocol=websocket "
            "|x-custom-name: Value|accept-encoding: |x-forwarded-for: 10.0.0.1|user-agent: v";
        ck_assert_msg(slice_starts(text, slice_from(want)), "%.*s", SLICE_ARG(text));
    }
    for (unsigned status = 100; status < 600; status++) {
        struct hpack_encode writer;
        char want[40];
        hpack_encode_begin(&writer, &encoder, out, sizeof(out));
        hpack_encode_status(&writer, status);
        (void)snprintf(want, sizeof(want), ":status=%u |", status);
        size_t len = hpack_encode_end(&writer);
        ck_assert_int_eq(hpack_stand_decode(&stand, slice_of(out, len)), HPACK_OK);
        check_text(&stand, want, "a status");
        ck_assert_msg(status != 200 || len == 1, "200 is one byte");
    }
    hpack_stand_fini(&stand);
}
END_TEST

/* RFC 7541 6.2.3: what came never to be indexed goes on so. */
START_TEST(passes_secrets_on_as_secrets)
{
    static const struct slice received = SLICE_INIT("\x1f\x08\x03"
                                                    "abc\x10\x01x\x01y\x53\x01"
                                                    "b");
    struct hpack_stand stand;
    hpack_stand_init(&stand, roomy);
    ck_assert_int_eq(hpack_stand_decode(&stand, received), HPACK_OK);
    check_text(&stand, "|authorization:! abc|x:! y|accept: b|", "as received");
    char out[200];
    struct hpack_encoder encoder;
    struct hpack_encode writer;
    hpack_encode_init(&encoder);
    hpack_encode_begin(&writer, &encoder, out, sizeof(out));
    const struct headers *headers = &stand.fields.headers;
    for (uint32_t i = 0; i < headers->count; i++) {
        hpack_encode_header(&writer, headers, &headers->list[i]);
    }
    size_t len = hpack_encode_end(&writer);
    ck_assert_int_eq(hpack_stand_decode(&stand, slice_of(out, len)), HPACK_OK);
    check_text(&stand, "|authorization:! abc|x:! y|accept: b|", "as sent");
    hpack_stand_fini(&stand);
}
END_TEST

/* R11 */
START_TEST(never_writes_beyond_its_capacity)
{
    size_t whole = 0;
    for (size_t capacity = 200; capacity-- > 0;) {
        char *out = mem_alloc(capacity == 0 ? 1 : capacity);
        struct hpack_encoder encoder;
        struct hpack_encode writer;
        hpack_encode_init(&encoder);
        hpack_encode_begin(&writer, &encoder, out, capacity);
        hpack_encode_status(&writer, 418);
        hpack_encode_field(&writer, SLICE("Name"), SLICE("value"));
        hpack_encode_known(&writer, HEADER_SERVER, SLICE("lbd"));
        size_t len = hpack_encode_end(&writer);
        whole = whole == 0 ? len : whole;
        ck_assert_uint_eq(len, capacity >= whole ? whole : 0);
        ck_assert_int_eq(encoder.said_no_table, len != 0);
        free(out);
    }
    ck_assert_uint_gt(whole, 0);
}
END_TEST

UNIT_TESTS("hpack_encode", what_it_sends_is_read_again, passes_secrets_on_as_secrets,
           never_writes_beyond_its_capacity)
