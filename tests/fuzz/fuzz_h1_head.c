/*
 * fuzz_h1_head - a head read at once, in pieces and by the scalar twin is the same head.
 *
 *     byte 0: bit 0 an answer, bits 1-2 what was asked, bit 3 tight limits; the rest is the head
 *
 * And whatever is accepted keeps the promises that the rest of the house leans on: fields inside
 * the head, names and values without what R5 and R9 refuse, one authority, one framing.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/authority.h"
#include "lbd/base/compiler.h"
#include "lbd/http/h1_head.h"
#include "lbd/http/uri.h"
#include "tests/unit/head_scalar.h"

enum { FIELDS = 40 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct answer {
    enum h1_verdict verdict;
    struct h1_head head;
    struct message message;
    struct header fields[FIELDS];
};

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

struct input {
    struct slice bytes;
    struct h1_limits limits;
    bool is_request;
    enum method asked;
};

static void feed(struct answer *answer, const struct input *input, size_t len, bool scalar)
{
    struct slice bytes = slice_of(input->bytes.ptr, len);
    answer->message.headers.list = answer->fields;
    answer->message.headers.capacity = FIELDS;
    if (input->is_request) {
        answer->verdict = (scalar ? head_scalar_request : h1_head_request)(
            &answer->head, bytes, &input->limits, &answer->message);
    } else {
        answer->verdict = (scalar ? head_scalar_response : h1_head_response)(
            &answer->head, bytes, &input->limits, input->asked, &answer->message);
    }
}

static void start(struct answer *answer, int filler)
{
    memset(answer, filler, sizeof(*answer));
    h1_head_init(&answer->head);
}

static void check_same(const struct answer *a, const struct answer *b)
{
    const struct message *x = &a->message;
    const struct message *y = &b->message;
    must(a->verdict == b->verdict);
    if (a->verdict == H1_BAD) {
        must(a->head.reason == b->head.reason);
    }
    if (a->verdict != H1_DONE) {
        return;
    }
    must(x->head_len == y->head_len && x->headers.count == y->headers.count);
    must(memcmp(a->fields, b->fields, x->headers.count * sizeof(a->fields[0])) == 0);
    must(x->method == y->method && x->target_form == y->target_form);
    must(x->version_minor == y->version_minor && x->framing == y->framing);
    must(slice_eq(x->method_text, y->method_text) && slice_eq(x->authority, y->authority));
    must(slice_eq(x->path, y->path) && slice_eq(x->query, y->query));
    must(x->status == y->status && slice_eq(x->reason_phrase, y->reason_phrase));
    must(x->content_length == y->content_length && x->has_length == y->has_length);
    must(x->wants_close == y->wants_close && x->expects_continue == y->expects_continue);
    must(x->has_upgrade == y->has_upgrade && x->upgrade_websocket == y->upgrade_websocket);
    must(x->has_trailer_te == y->has_trailer_te && x->path_is_plain == y->path_is_plain);
    must(x->has_connection_names == y->has_connection_names);
}

static void check_promises(const struct answer *answer, const struct input *input)
{
    const struct message *message = &answer->message;
    const struct headers *headers = &message->headers;
    unsigned lengths = 0;
    unsigned codings = 0;
    must(message->head_len <= input->bytes.len && message->head_len <= input->limits.head_bytes);
    must(headers->count <= input->limits.fields && message->extra_count == 0);
    uint32_t at = 0;
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct header *header = &headers->list[i];
        must(header->name_at >= at && header->value_at > header->name_at + header->name_len);
        at = header->value_at + header->value_len;
        must(at + 4 <= message->head_len && header->dropped == 0);
        must(header_name_is_valid(header_name(headers, header)));
        must(header_value_is_valid(header_value(headers, header)));
        must(header->id == (unsigned)header_id_of(header_name(headers, header)));
        lengths += header->id == HEADER_CONTENT_LENGTH;
        codings += header->id == HEADER_TRANSFER_ENCODING;
    }
    must(lengths <= 1 && codings <= 1 && lengths + codings <= 1);
    must(message->framing != FRAMING_LENGTH || (lengths == 1 && message->has_length));
    must(message->framing != FRAMING_CHUNKED || (codings == 1 && message->version_minor == 1));
    if (input->is_request) {
        must(message->framing <= FRAMING_CHUNKED);
        must((lengths == 1) == (message->framing == FRAMING_LENGTH));
        must((codings == 1) == (message->framing == FRAMING_CHUNKED));
        must(message->path.len > 0 && (message->path.ptr[0] == '/' || message->path.ptr[0] == '*'));
        must(message->authority.len == 0 ? message->version_minor == 0
                                         : authority_is_valid(message->authority));
    } else {
        must(message->status >= 100 && message->status <= 599);
    }
}

/* A path that is called plain must be what normalising makes of it. */
static void check_plain(const struct message *message)
{
    struct arena arena;
    struct slice out;
    arena_init(&arena, NULL, 0);
    must(!message->path_is_plain ||
         uri_path_normalise(message->path, &arena, &out) == URI_PATH_PLAIN);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum method asked[] = {METHOD_GET, METHOD_HEAD, METHOD_CONNECT, METHOD_POST};
    if (size == 0) {
        return 0;
    }
    struct input input = {
        .bytes = slice_of((const char *)data + 1, size - 1),
        .limits = {.head_bytes = (data[0] & 8U) != 0 ? 60 : 4096,
                   .fields = (data[0] & 8U) != 0 ? 3 : FIELDS},
        .is_request = (data[0] & 1U) == 0,
        .asked = asked[data[0] >> 1U & 3U],
    };
    static struct answer whole;
    static struct answer scalar;
    static struct answer pieces;

    start(&whole, 0x00);
    feed(&whole, &input, input.bytes.len, false);
    start(&scalar, 0xff);
    feed(&scalar, &input, input.bytes.len, true);
    check_same(&whole, &scalar);

    start(&pieces, 0xff);
    size_t step = 1 + (size_t)(data[0] >> 4U);
    size_t len = 0;
    do {
        len = input.bytes.len - len < step ? input.bytes.len : len + step;
        feed(&pieces, &input, len, false);
    } while (pieces.verdict == H1_MORE && len < input.bytes.len);
    check_same(&whole, &pieces);

    if (whole.verdict == H1_DONE) {
        check_promises(&whole, &input);
        if (input.is_request) {
            check_plain(&whole.message);
        }
    }
    return 0;
}
