#include "lbd/http/h1_facts.h"

#include "lbd/base/authority.h"
#include "lbd/http/h1_scan.h"
#include "lbd/http/header_table.h"

enum { LENGTH_DIGITS_MAX = 19 };

_Static_assert((unsigned)HEADER_HOST < H1_SPECIALS &&
                   (unsigned)HEADER_CONTENT_LENGTH < H1_SPECIALS &&
                   (unsigned)HEADER_TRANSFER_ENCODING < H1_SPECIALS &&
                   (unsigned)HEADER_CONNECTION < H1_SPECIALS && (unsigned)HEADER_TE < H1_SPECIALS &&
                   (unsigned)HEADER_UPGRADE < H1_SPECIALS,
               "the names looked into here come first in header_names.def");

static struct slice first_value(const struct h1_seen *seen, const struct message *message,
                                enum header_id id)
{
    const struct header *header = &message->headers.list[seen->first[id]];
    return slice_of(message->headers.base + header->value_at, header->value_len);
}

/* R5: ^[0-9]{1,19}$, and small enough for every signed 64-bit reader behind us. */
static bool length_of(struct slice text, uint64_t *length)
{
    uint64_t value = 0;
    if (text.len == 0 || text.len > LENGTH_DIGITS_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (!h1_is(text.ptr[i], H1_DIGIT)) {
            return false;
        }
        value = value * 10 + (uint64_t)(text.ptr[i] - '0'); /* 19 digits fit */
    }
    *length = value;
    return value <= INT64_MAX;
}

/* Of a Transfer-Encoding that is not "chunked": a list of codings we do not have is 501, all that
 * is ambiguous 400. */
static enum close_reason transfer_coding_reason(struct slice value)
{
    struct slice member;
    bool chunked = false;
    bool any = false;
    while (header_list_next(&value, &member)) {
        if (chunked || slice_eq_nocase(member, SLICE("identity")) ||
            h1_scan_class(member.ptr, member.ptr + member.len, H1_TOKEN) !=
                member.ptr + member.len) {
            return CLOSE_BAD_TRANSFER_ENCODING;
        }
        chunked = slice_eq_nocase(member, SLICE("chunked"));
        any = any || !chunked;
    }
    return any ? CLOSE_TRANSFER_ENCODING_NOT_IMPLEMENTED : CLOSE_BAD_TRANSFER_ENCODING;
}

/* RFC 9112 6.3 for the fields alone; both roles refuse the same (R5). CLOSE_OK: message->framing is
 * NONE, LENGTH or CHUNKED. */
static enum close_reason read_framing(const struct h1_seen *seen, struct message *message)
{
    unsigned lengths = seen->count[HEADER_CONTENT_LENGTH];
    unsigned codings = seen->count[HEADER_TRANSFER_ENCODING];
    message->framing = FRAMING_NONE;
    if (LB_LIKELY(lengths + codings == 0)) {
        return CLOSE_OK;
    }
    if (lengths != 0 && codings != 0) {
        return CLOSE_LENGTH_AND_CHUNKED;
    }
    if (lengths != 0) {
        if (lengths > 1 || !length_of(first_value(seen, message, HEADER_CONTENT_LENGTH),
                                      &message->content_length)) {
            return CLOSE_BAD_CONTENT_LENGTH;
        }
        message->has_length = true;
        message->framing = FRAMING_LENGTH;
        return CLOSE_OK;
    }
    struct slice coding = first_value(seen, message, HEADER_TRANSFER_ENCODING);
    if (codings > 1 || message->version_minor == 0) {
        return CLOSE_BAD_TRANSFER_ENCODING;
    }
    if (!slice_eq_nocase(coding, SLICE("chunked"))) {
        return transfer_coding_reason(coding);
    }
    message->framing = FRAMING_CHUNKED;
    return CLOSE_OK;
}

/* What Connection says (RFC 9110 7.6.1). */
struct connection {
    bool close;
    bool keep_alive;
    bool upgrade;
    bool names; /* further fields */
};

static void read_connection_list(struct slice list, struct connection *said)
{
    struct slice member;
    while (header_list_next(&list, &member)) {
        enum header_id id = header_id_of(member);
        if (slice_eq_nocase(member, SLICE("close"))) {
            said->close = true;
        } else if (id == HEADER_KEEP_ALIVE) {
            said->keep_alive = true;
        } else if (id == HEADER_UPGRADE) {
            said->upgrade = true;
        } else if ((header_flags[id] & HEADER_HOP) == 0) {
            said->names = true;
        }
    }
}

static void read_connection(const struct h1_seen *seen, const struct message *message,
                            struct connection *said)
{
    for (uint32_t i = seen->first[HEADER_CONNECTION]; i < message->headers.count; i++) {
        const struct header *header = &message->headers.list[i];
        if (header->id != HEADER_CONNECTION) {
            continue;
        }
        struct slice value = slice_of(message->headers.base + header->value_at, header->value_len);
        if (slice_eq(value, SLICE("keep-alive"))) { /* by far the most frequent */
            said->keep_alive = true;
        } else {
            read_connection_list(value, said);
        }
    }
}

/* RFC 9110 10.1.4 */
static bool read_te(const struct h1_seen *seen, const struct message *message)
{
    for (uint32_t i = seen->first[HEADER_TE]; i < message->headers.count; i++) {
        const struct header *header = &message->headers.list[i];
        struct slice rest = slice_of(message->headers.base + header->value_at, header->value_len);
        struct slice member;
        while (header->id == HEADER_TE && header_list_next(&rest, &member)) {
            if (slice_eq_nocase(member, SLICE("trailers"))) {
                return true;
            }
        }
    }
    return false;
}

static void read_hop(const struct h1_seen *seen, struct message *message)
{
    struct connection said = {0};
    if (seen->count[HEADER_CONNECTION] != 0) {
        read_connection(seen, message, &said);
    }
    /* RFC 9112 9.3 */
    message->wants_close = said.close || (message->version_minor == 0 && !said.keep_alive);
    message->has_connection_names = said.names;
    if (seen->count[HEADER_UPGRADE] != 0) {
        /* RFC 9110 7.8: HTTP/1.0 knows no Upgrade */
        message->has_upgrade = said.upgrade && message->version_minor == 1;
        message->upgrade_websocket =
            message->has_upgrade && seen->count[HEADER_UPGRADE] == 1 &&
            slice_eq_nocase(first_value(seen, message, HEADER_UPGRADE), SLICE("websocket"));
    }
    message->has_trailer_te = seen->count[HEADER_TE] != 0 && read_te(seen, message);
}

#if defined(__SSE2__) && !defined(H1_HEAD_SCALAR)
/* A name of letters, digits, '-' and single dots that fills at most 16 bytes: most hosts. */
static bool is_plain_host(const struct message *message, struct slice host)
{
    if (host.len == 0 || host.len > 16 ||
        message->headers.base + message->head_len - host.ptr < 16) {
        return false;
    }
    __m128i bytes = h1_load(host.ptr);
    unsigned dots = h1_mask(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('.')));
    unsigned empty = dots & (dots << 1U | 1U); /* a dot at the start, or behind another */
    return (((h1_mask_not_name(bytes) & ~dots) | empty) & ((1U << host.len) - 1U)) == 0;
}
#else
static bool is_plain_host(const struct message *message, struct slice host)
{
    (void)message;
    (void)host;
    return false;
}
#endif

/* R8: one authority. RFC 9112 3.2. */
static bool read_host(const struct h1_seen *seen, struct message *message)
{
    unsigned hosts = seen->count[HEADER_HOST];
    if (hosts == 0) { /* HTTP/2, which has a scheme, says it in :authority (RFC 9113 8.3.1) */
        return message->version_minor == 0 ||
               (message->scheme.len != 0 && message->authority.len != 0);
    }
    struct slice host = first_value(seen, message, HEADER_HOST);
    if (hosts > 1 || (!is_plain_host(message, host) && !authority_is_valid(host))) {
        return false;
    }
    if (message->authority.len != 0 && !slice_eq_nocase(message->authority, host)) {
        return false;
    }
    message->authority = host;
    return true;
}

/* Everything that a head may leave unsaid. */
static void clear_facts(struct message *message)
{
    message->content_length = 0;
    message->has_length = false;
    message->expects_continue = false;
    message->has_upgrade = false;
    message->upgrade_websocket = false;
}

enum close_reason h1_facts_request(const struct h1_seen *seen, struct message *message)
{
    clear_facts(message);
    message->status = 0;
    message->reason_phrase = SLICE_NONE;
    if (!read_host(seen, message)) {
        return CLOSE_BAD_HOST;
    }
    enum close_reason reason = read_framing(seen, message);
    if (reason != CLOSE_OK) {
        return reason;
    }
    read_hop(seen, message);

    /* R7 for the one upgrade that passes; a WebSocket handshake is a GET (RFC 6455 4.1). Offers
     * that stop here (h2c, with which some clients decorate every POST) are no reason to refuse the
     * request. */
    bool has_body = message->framing == FRAMING_CHUNKED || message->content_length != 0;
    if (message->upgrade_websocket && (has_body || message->method != METHOD_GET)) {
        return CLOSE_BAD_UPGRADE;
    }
    if (seen->count[HEADER_EXPECT] != 0) {
        if (seen->count[HEADER_EXPECT] > 1 ||
            !slice_eq_nocase(first_value(seen, message, HEADER_EXPECT), SLICE("100-continue"))) {
            return CLOSE_BAD_EXPECT;
        }
        /* RFC 9110 10.1.1: HTTP/1.0 knows no 100-continue */
        message->expects_continue = message->version_minor == 1;
    }
    return CLOSE_OK;
}

/* RFC 9110 8.6, RFC 9112 6.1: an interim answer and a 204 have neither length nor coding. What
 * follows a promised body would be taken for the next answer: an interim answer with one is
 * refused, a 204 ends its connection. */
static bool answer_without_content(struct message *message, bool promises_body)
{
    if (message->status < 200 && promises_body) {
        return false;
    }
    message->wants_close = message->wants_close || promises_body;
    message->framing = message->status == 101 ? FRAMING_TUNNEL : FRAMING_NONE;
    message->has_length = false;
    message->content_length = 0;
    return true;
}

enum close_reason h1_facts_response(const struct h1_seen *seen, enum method request_method,
                                    struct message *message)
{
    clear_facts(message);
    message->method = METHOD_OTHER;
    message->method_text = SLICE_NONE;
    message->target_form = TARGET_ORIGIN;
    message->authority = SLICE_NONE;
    message->path = SLICE_NONE;
    message->query = SLICE_NONE;
    message->path_is_plain = false;
    if (read_framing(seen, message) != CLOSE_OK) {
        return CLOSE_BAD_RESPONSE_FRAMING;
    }
    read_hop(seen, message);

    /* RFC 9112 6.3, in its order */
    bool promises_body = message->framing == FRAMING_CHUNKED || message->content_length != 0;
    if (message->status < 200 || message->status == 204) {
        return answer_without_content(message, promises_body) ? CLOSE_OK
                                                              : CLOSE_BAD_RESPONSE_FRAMING;
    }
    if (request_method == METHOD_HEAD || message->status == 304) {
        message->framing = FRAMING_NONE;
    } else if (request_method == METHOD_CONNECT && message->status < 300) {
        message->framing = FRAMING_TUNNEL;
    } else if (message->framing == FRAMING_NONE) {
        message->framing = FRAMING_UNTIL_CLOSE;
        message->wants_close = true;
    }
    return CLOSE_OK;
}
