/*
 * fuzz_h1_roundtrip - what we forward, read again, is one message and means the same (R19).
 *
 *     byte 0: bit 0 an answer; the rest is a head
 *
 *     bytes --h1_head--> message --uri, hop--> message --h1_write--> bytes --h1_head--> the same
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/http/h1_head.h"
#include "lbd/http/h1_write.h"
#include "lbd/http/hop.h"
#include "lbd/http/uri.h"

enum { FIELDS = 64, OUT_MAX = 16384 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct h1_limits limits = {.head_bytes = 8192, .fields = FIELDS - 8};
static const struct h1_limits roomy = {.head_bytes = OUT_MAX, .fields = FIELDS};
static struct header fields[FIELDS];
static struct header fields_again[FIELDS];
static char out[OUT_MAX];

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

static unsigned count_of(const struct message *message, enum header_id id)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < message->headers.count; i++) {
        count += message->headers.list[i].id == id;
    }
    return count;
}

/* Every field that went out came in, or is ours. */
static void check_fields(const struct message *sent, const struct message *again,
                         unsigned made_here)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < again->headers.count; i++) {
        struct slice name = header_name(&again->headers, &again->headers.list[i]);
        kept += headers_find_name(&sent->headers, name) != NULL;
    }
    must(again->headers.count <= kept + sent->extra_count + made_here);
}

static void forward_request(struct message *copy)
{
    struct message again = {.headers = {.list = fields_again, .capacity = FIELDS}};
    struct h1_head head;
    struct h1_write how = {
        .framing = (enum framing)copy->framing,
        .content_length = copy->content_length,
        .upgrade_websocket = copy->upgrade_websocket,
        .te_trailers = copy->has_trailer_te && !copy->has_upgrade,
    };
    size_t len = h1_write_request(out, sizeof(out), copy, &how);
    must(len > 0);

    h1_head_init(&head);
    must(h1_head_request(&head, slice_of(out, len), &roomy, &again) == H1_DONE);
    must(again.head_len == len);
    must(slice_eq(again.method_text, copy->method_text) && slice_eq(again.path, copy->path));
    must(slice_eq(again.query, copy->query) && slice_eq(again.authority, copy->authority));
    must(again.version_minor == 1 && again.framing == copy->framing);
    must(again.content_length == copy->content_length);
    must(again.upgrade_websocket == copy->upgrade_websocket && !again.wants_close);
    must(!again.has_connection_names && again.has_upgrade == again.upgrade_websocket);
    must(again.expects_continue == copy->expects_continue);
    must(again.has_trailer_te == how.te_trailers);
    must(count_of(&again, HEADER_HOST) == 1 && count_of(&again, HEADER_X_FORWARDED_FOR) == 1);
    must(count_of(&again, HEADER_X_FORWARDED_PROTO) == 1);
    must(count_of(&again, HEADER_X_REQUEST_ID) == 1 && count_of(&again, HEADER_FORWARDED) == 0);
    must(count_of(&again, HEADER_X_REAL_IP) == 0 && count_of(&again, HEADER_HTTP2_SETTINGS) == 0);
    check_fields(copy, &again, 4);
}

static void request(struct slice bytes)
{
    static const struct hop_facts facts = {
        .client_ip = {"192.0.2.1", 9}, .proto = {"http", 4}, .request_id = {"ours", 4}};
    struct message message = {.headers = {.list = fields, .capacity = FIELDS}};
    struct message copy;
    struct h1_head head;
    struct arena arena;
    enum close_reason reason;
    h1_head_init(&head);
    if (h1_head_request(&head, bytes, &limits, &message) != H1_DONE) {
        return;
    }
    arena_init(&arena, NULL, 0);
    message_copy(&copy, &message, &arena);
    if (uri_path_normalise(copy.path, &arena, &copy.path) != URI_PATH_BAD &&
        hop_request(&copy, &facts, &reason)) {
        if (copy.authority.len == 0) {
            copy.authority = SLICE("server");
        }
        forward_request(&copy);
    }
    arena_fini(&arena);
}

static void response(struct slice bytes)
{
    struct message message = {.headers = {.list = fields, .capacity = FIELDS}};
    struct message again = {.headers = {.list = fields_again, .capacity = FIELDS}};
    struct h1_head head;
    h1_head_init(&head);
    if (h1_head_response(&head, bytes, &limits, METHOD_GET, &message) != H1_DONE) {
        return;
    }
    hop_response(&message, SLICE("Thu, 01 Jan 1970 00:00:00 GMT"), false);
    struct h1_write how = {
        .framing = (enum framing)message.framing,
        .content_length = message.content_length,
        .has_length = message.has_length,
        .upgrade_websocket = message.status == 101 && message.upgrade_websocket,
        .close = message.framing == FRAMING_UNTIL_CLOSE,
    };
    size_t len = h1_write_response(out, sizeof(out), &message, &how);
    must(len > 0);

    h1_head_init(&head);
    must(h1_head_response(&head, slice_of(out, len), &roomy, METHOD_GET, &again) == H1_DONE);
    must(again.head_len == len && again.status == message.status);
    must(again.framing == message.framing && again.content_length == message.content_length);
    must(again.wants_close == how.close && !again.has_connection_names);
    must(message.status < 200 || count_of(&again, HEADER_DATE) >= 1);
    must(message.reason_phrase.len == 0 || slice_eq(again.reason_phrase, message.reason_phrase));
    check_fields(&message, &again, 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct slice bytes = slice_of((const char *)data + 1, size - 1);
    if ((data[0] & 1U) == 0) {
        request(bytes);
    } else {
        response(bytes);
    }
    return 0;
}
