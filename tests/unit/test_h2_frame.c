#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/http/h2_frame.h"
#include "tests/unit/unit.h"

START_TEST(a_head_is_read_as_it_was_written)
{
    char bytes[H2_FRAME_HEAD];
    ck_assert_ptr_eq(h2_frame_write(bytes, 0x010203, H2_HEADERS, 0x25, 0x7fffffff), bytes + 9);
    struct h2_frame frame = h2_frame_read(bytes);
    ck_assert_uint_eq(frame.length, 0x010203);
    ck_assert_uint_eq(frame.type, H2_HEADERS);
    ck_assert_uint_eq(frame.flags, 0x25);
    ck_assert_uint_eq(frame.stream_id, 0x7fffffff);
    bytes[5] = (char)0xff; /* RFC 9113 4.1: the reserved bit is ignored */
    ck_assert_uint_eq(h2_frame_read(bytes).stream_id, 0x7fffffff);
}
END_TEST

static const struct {
    const char *rule;
    struct h2_frame frame;
    enum h2_frame_verdict want;
    enum h2_error code;
} cases[] = {
    {"6.1", {0, 1, H2_DATA, 0}, H2_FRAME_OK, 0},
    {"6.1", {16384, 1, H2_DATA, 0}, H2_FRAME_OK, 0},
    {"4.2", {16385, 1, H2_DATA, 0}, H2_FRAME_CONNECTION_ERROR, H2_FRAME_SIZE_ERROR},
    {"4.2", {0xffffff, 0, 99, 0}, H2_FRAME_CONNECTION_ERROR, H2_FRAME_SIZE_ERROR},
    {"6.1", {5, 0, H2_DATA, 0}, H2_FRAME_CONNECTION_ERROR, H2_PROTOCOL_ERROR},
    {"6.2", {5, 0, H2_HEADERS, 0}, H2_FRAME_CONNECTION_ERROR, H2_PROTOCOL_ERROR},
    {"6.3", {5, 3, H2_PRIORITY, 0}, H2_FRAME_OK, 0},
    {"6.3", {4, 3, H2_PRIORITY, 0}, H2_FRAME_STREAM_ERROR, H2_FRAME_SIZE_ERROR},
    {"6.3", {5, 0, H2_PRIORITY, 0}, H2_FRAME_CONNECTION_ERROR, H2_PROTOCOL_ERROR},
    {"6.4", {4, 3, H2_RST_STREAM, 0}, H2_FRAME_OK, 0},
    {"6.4", {5, 3, H2_RST_STREAM, 0}, H2_FRAME_CONNECTION_ERROR, H2_FRAME_SIZE_ERROR},
    {"6.4", {4, 0, H2_RST_STREAM, 0}, H2_FRAME_CONNECTION_ERROR, H2_PROTOCOL_ERROR},
    {"6.5", {0, 0, H2_SETTINGS, 0}, H2_FRAME_OK, 0},
    {"6.5", {12, 0, H2_SETTINGS, 0}, H2_FRAME_OK, 0},
    {"6.5", {7, 0, H2_SETTINGS, 0}, H2_FRAME_CONNECTION_ERROR, H2_FRAME_SIZE_ERROR},
    {"6.5", {6, 0, H2_SETTINGS, H2_ACK}, H2_FRAME_CONNECTION_ERROR, H2_FRAME_SIZE_ERROR},
    {"6.5", {6, 1, H2_SETTINGS, 0}, H2_FRAME_CONNECTION_ERROR, H2_PROTOCOL_ERROR},
    {"6.7", {8, 0, H2_PING, 0}, H2_FRAME_OK, 0},
    {"6.7", {7, 0, H2_PING, 0}, H2_FRAME_CONNECTION_ERROR, H2_FRAME_SIZE_ERROR},
    {"6.7", {8, 1, H2_PING, 0}, H2_FRAME_CONNECTION_ERROR, H2_PROTOCOL_ERROR},
    {"6.8", {8, 0, H2_GOAWAY, 0}, H2_FRAME_OK, 0},
    {"6.8", {7, 0, H2_GOAWAY, 0}, H2_FRAME_CONNECTION_ERROR, H2_FRAME_SIZE_ERROR},
    {"6.8", {8, 1, H2_GOAWAY, 0}, H2_FRAME_CONNECTION_ERROR, H2_PROTOCOL_ERROR},
    {"6.9", {4, 0, H2_WINDOW_UPDATE, 0}, H2_FRAME_OK, 0},
    {"6.9", {4, 7, H2_WINDOW_UPDATE, 0}, H2_FRAME_OK, 0},
    {"6.9", {3, 7, H2_WINDOW_UPDATE, 0}, H2_FRAME_CONNECTION_ERROR, H2_FRAME_SIZE_ERROR},
    {"6.10", {9, 0, H2_CONTINUATION, 0}, H2_FRAME_CONNECTION_ERROR, H2_PROTOCOL_ERROR},
    {"4.1", {9, 5, 0x42, 0xff}, H2_FRAME_OK, 0},
    {"9218 7.1", {4, 0, H2_PRIORITY_UPDATE, 0}, H2_FRAME_OK, 0},
    {"9218 7.1", {3, 0, H2_PRIORITY_UPDATE, 0}, H2_FRAME_CONNECTION_ERROR, H2_FRAME_SIZE_ERROR},
    {"9218 7.1", {4, 1, H2_PRIORITY_UPDATE, 0}, H2_FRAME_CONNECTION_ERROR, H2_PROTOCOL_ERROR},
};

START_TEST(heads_are_checked_by_the_rules)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum h2_error code = H2_NO_ERROR;
        enum h2_frame_verdict got = h2_frame_check(&cases[i].frame, &code);
        ck_assert_msg(got == cases[i].want, "case %zu (%s): %d", i, cases[i].rule, (int)got);
        ck_assert_msg(got == H2_FRAME_OK || code == cases[i].code, "case %zu (%s): code %d", i,
                      cases[i].rule, (int)code);
    }
}
END_TEST

static const struct {
    uint8_t type;
    uint8_t flags;
    const char *payload;
    size_t len;
    const char *content; /* NULL: refused */
    enum h2_error code;
} contents[] = {
    {H2_DATA, 0, "hello", 5, "hello", 0},
    {H2_DATA, H2_PADDED, "\x02hello__", 8, "hello", 0},
    {H2_DATA, H2_PADDED, "\x00hello", 6, "hello", 0},
    {H2_DATA, H2_PADDED, "\x05hello", 6, "", 0},
    {H2_DATA, H2_PADDED, "\x06hello", 6, NULL, H2_PROTOCOL_ERROR},
    {H2_DATA, H2_PADDED, "", 0, NULL, H2_FRAME_SIZE_ERROR},
    {H2_DATA, H2_WITH_PRIORITY, "hello", 5, "hello", 0}, /* no such flag there */
    {H2_HEADERS, H2_WITH_PRIORITY, "12345block", 10, "block", 0},
    {H2_HEADERS, H2_WITH_PRIORITY, "1234", 4, NULL, H2_FRAME_SIZE_ERROR},
    {H2_HEADERS, H2_WITH_PRIORITY | H2_PADDED,
     "\x01"
     "12345block_",
     12, "block", 0},
    {H2_HEADERS, H2_WITH_PRIORITY | H2_PADDED,
     "\x07"
     "12345block_",
     12, NULL, H2_PROTOCOL_ERROR},
};

START_TEST(padding_and_priority_are_taken_off)
{
    for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
        struct h2_frame frame = {(uint32_t)contents[i].len, 1, contents[i].type, contents[i].flags};
        struct slice content;
        enum h2_error code = H2_NO_ERROR;
        bool fits = h2_frame_content(&frame, slice_of(contents[i].payload, contents[i].len),
                                     &content, &code);
        ck_assert_msg(fits == (contents[i].content != NULL), "case %zu", i);
        if (fits) {
            ck_assert_msg(slice_eq(content, slice_from(contents[i].content)), "case %zu", i);
        } else {
            ck_assert_msg(code == contents[i].code, "case %zu", i);
        }
    }
}
END_TEST

static const struct {
    struct h2_setting_value setting;
    bool valid;
    enum h2_error code;
} settings[] = {
    {{H2_SETTING_ENABLE_PUSH, 1}, true, 0},
    {{H2_SETTING_ENABLE_PUSH, 2}, false, H2_PROTOCOL_ERROR},
    {{H2_SETTING_INITIAL_WINDOW_SIZE, 0}, true, 0},
    {{H2_SETTING_INITIAL_WINDOW_SIZE, 0x7fffffff}, true, 0},
    {{H2_SETTING_INITIAL_WINDOW_SIZE, 0x80000000}, false, H2_FLOW_CONTROL_ERROR},
    {{H2_SETTING_MAX_FRAME_SIZE, 16383}, false, H2_PROTOCOL_ERROR},
    {{H2_SETTING_MAX_FRAME_SIZE, 16384}, true, 0},
    {{H2_SETTING_MAX_FRAME_SIZE, 0x1000000}, false, H2_PROTOCOL_ERROR},
    {{H2_SETTING_ENABLE_CONNECT_PROTOCOL, 2}, false, H2_PROTOCOL_ERROR},
    {{0x9999, 0xffffffff}, true, 0}, /* RFC 9113 6.5.2: unknown ones are ignored */
};

START_TEST(settings_have_their_ranges)
{
    char bytes[H2_SETTING_BYTES];
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        struct h2_setting_value got;
        enum h2_error code = H2_NO_ERROR;
        (void)h2_frame_put_setting(bytes, (enum h2_setting)settings[i].setting.id,
                                   settings[i].setting.value);
        struct slice payload = slice_of(bytes, sizeof(bytes));
        ck_assert(h2_frame_setting(&payload, &got));
        ck_assert_uint_eq(got.id, settings[i].setting.id);
        ck_assert_uint_eq(got.value, settings[i].setting.value);
        ck_assert(!h2_frame_setting(&payload, &got));
        ck_assert_msg(h2_frame_setting_is_valid(&settings[i].setting, &code) == settings[i].valid,
                      "case %zu", i);
        ck_assert_msg(settings[i].valid || code == settings[i].code, "case %zu", i);
    }
}
END_TEST

UNIT_TESTS("h2_frame", a_head_is_read_as_it_was_written, heads_are_checked_by_the_rules,
           padding_and_priority_are_taken_off, settings_have_their_ranges)
