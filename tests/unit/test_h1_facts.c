#include <stdio.h>

#include "lbd/base/compiler.h"
#include "lbd/http/h1_facts.h"
#include "tests/unit/unit.h"

/* The corpus of test_h1_head has the single fields; here is what several lines say together. */

enum { FIELDS = 8, BYTES_MAX = 512 };

struct fields {
    char bytes[BYTES_MAX];
    struct header list[FIELDS];
    struct h1_seen seen;
    struct message message;
};

/* Names and values in turn, ended by NULL. */
static void fields_init(struct fields *fields, const char *const *text)
{
    *fields = (struct fields){0};
    uint32_t at = 0;
    uint32_t count = 0;
    for (; text[0] != NULL; text += 2, count++) {
        struct header *header = &fields->list[count];
        header->name_at = at;
        header->name_len = (uint32_t)strlen(text[0]);
        header->value_at = at + header->name_len + 2;
        header->value_len = (uint32_t)strlen(text[1]);
        header->id = (uint16_t)header_id_of(slice_from(text[0]));
        h1_seen_note(&fields->seen, (enum header_id)header->id, count);
        at +=
            (uint32_t)snprintf(fields->bytes + at, BYTES_MAX - at, "%s: %s\r\n", text[0], text[1]);
    }
    at += (uint32_t)snprintf(fields->bytes + at, BYTES_MAX - at, "\r\n");
    fields->message.headers = (struct headers){fields->bytes, fields->list, count, FIELDS};
    fields->message.head_len = at;
    fields->message.method = METHOD_GET;
    fields->message.version_minor = 1;
    fields->message.status = 200;
}

START_TEST(connection_lines_add_up)
{
    static const struct {
        const char *first;
        const char *second;
        uint8_t minor;
        bool close;
        bool names;
        bool upgrade;
    } cases[] = {
        {"keep-alive", "keep-alive", 1, false, false, false},
        {"keep-alive", "close", 1, true, false, false},
        {"CLOSE", "Keep-Alive", 1, true, false, false},
        {"x-a", "close", 1, true, true, false},
        {"upgrade", "x-a", 1, false, true, true},
        {"closed", "", 1, false, true, false},
        {"", "keep-alive", 0, false, false, false},
        {"upgrade", "", 0, true, false, false},
        {"keep-alive, close", "", 0, true, false, false},
        {"host", "", 1, false, true, false}, /* hop refuses it */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const text[] = {"Connection", cases[i].first, "Host",          "a", "Upgrade",
                                    "x",          "connection",   cases[i].second, NULL};
        struct fields fields;
        fields_init(&fields, text);
        fields.message.version_minor = cases[i].minor;
        ck_assert_int_eq(h1_facts_request(&fields.seen, &fields.message), CLOSE_OK);
        ck_assert_msg(fields.message.wants_close == cases[i].close, "%s", cases[i].first);
        ck_assert_msg(fields.message.has_connection_names == cases[i].names, "%s", cases[i].first);
        ck_assert_msg(fields.message.has_upgrade == cases[i].upgrade, "%s", cases[i].first);
    }
}
END_TEST

START_TEST(te_may_be_said_in_parts)
{
    static const struct {
        const char *first;
        const char *second;
        bool trailers;
    } cases[] = {
        {"gzip", "trailers", true},
        {"trailers, gzip", "", true},
        {"gzip;q=0.5", "deflate", false},
        {"trailers2", "xtrailers", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const text[] = {"Host", "a", "TE", cases[i].first, "te", cases[i].second, NULL};
        struct fields fields;
        fields_init(&fields, text);
        ck_assert_int_eq(h1_facts_request(&fields.seen, &fields.message), CLOSE_OK);
        ck_assert_msg(fields.message.has_trailer_te == cases[i].trailers, "%s", cases[i].first);
    }
}
END_TEST

/* A host of any length up to where vectors, blocks and limits change over. */
START_TEST(hosts_of_every_length_are_judged_the_same)
{
    char host[300];
    for (size_t len = 1; len < 64; len++) {
        for (size_t bad = 0; bad <= len; bad++) {
            memset(host, 'h', len);
            host[len] = '\0';
            if (bad < len) {
                host[bad] = ','; /* R8 */
            }
            const char *const text[] = {"Host", host, NULL};
            struct fields fields;
            fields_init(&fields, text);
            enum close_reason got = h1_facts_request(&fields.seen, &fields.message);
            ck_assert_msg(got == (bad < len ? CLOSE_BAD_HOST : CLOSE_OK), "%s", host);
        }
    }
}
END_TEST

START_TEST(the_authority_of_the_target_must_be_the_hosts)
{
    static const struct {
        const char *target;
        const char *host;
        enum close_reason want;
    } cases[] = {
        {"a", "a", CLOSE_OK},          {"A", "a", CLOSE_OK},          {"a", "b", CLOSE_BAD_HOST},
        {"a:80", "a", CLOSE_BAD_HOST}, {"a", "a:80", CLOSE_BAD_HOST}, {"aa", "a", CLOSE_BAD_HOST},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const text[] = {"Host", cases[i].host, NULL};
        struct fields fields;
        fields_init(&fields, text);
        fields.message.authority = slice_from(cases[i].target);
        ck_assert_int_eq(h1_facts_request(&fields.seen, &fields.message), cases[i].want);
    }
}
END_TEST

START_TEST(forgets_what_a_message_said_before)
{
    const char *const text[] = {"Host",      "a",      "Connection",   "upgrade, x", "Upgrade",
                                "websocket", "Expect", "100-continue", NULL};
    const char *const plain[] = {"Host", "a", NULL};
    struct fields fields;
    fields_init(&fields, text);
    ck_assert_int_eq(h1_facts_request(&fields.seen, &fields.message), CLOSE_OK);
    ck_assert(fields.message.upgrade_websocket && fields.message.expects_continue);
    struct message used = fields.message;

    fields_init(&fields, plain);
    used.headers = fields.message.headers;
    used.head_len = fields.message.head_len;
    used.authority = SLICE_NONE;
    ck_assert_int_eq(h1_facts_request(&fields.seen, &used), CLOSE_OK);
    ck_assert(!used.upgrade_websocket && !used.has_upgrade && !used.expects_continue);
    ck_assert(!used.has_connection_names && !used.wants_close && !used.has_length);
}
END_TEST

UNIT_TESTS("h1_facts", connection_lines_add_up, te_may_be_said_in_parts,
           hosts_of_every_length_are_judged_the_same, the_authority_of_the_target_must_be_the_hosts,
           forgets_what_a_message_said_before)
