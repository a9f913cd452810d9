#include "lbd/http/hop.h"

#include <assert.h>

#include "lbd/http/h1_scan.h"
#include "lbd/http/header_table.h"

enum { REQUEST_ID_MAX = 128 };

/* Both are constants of ours. */
static void add_constant(struct message *message, struct slice name, struct slice value)
{
    assert(message->extra_count < MESSAGE_EXTRAS_MAX);
    message->extras[message->extra_count++] = (struct header_extra){name, value};
}

/* Names are literals; values are made by us or were validated, and are checked once more here
 * (R11). */
static void add(struct message *message, struct slice name, struct slice value)
{
    assert(header_value_is_valid(value));
    add_constant(message, name, value);
}

static void add_if(struct message *message, struct slice name, struct slice value)
{
    if (value.len != 0) {
        add(message, name, value);
    }
}

/* RFC 9110 7.6.3: the version is the one the message came with. */
static struct slice via_of(const struct message *message)
{
    if (message->is_http2) {
        return SLICE("2.0 lbd");
    }
    return message->version_minor == 0 ? SLICE("1.0 lbd") : SLICE("1.1 lbd");
}

/* RFC 9110 7.6.1: what Connection names is for this hop. It may not name what is for all (R9):
 * false. A name we know that is not of a hop is for all; the rest cannot be told and goes. Of a
 * server's answer nothing is refused, for its framing was decided and is made anew. */
static bool drop_connection_names(struct message *message, bool is_request)
{
    const struct headers *headers = &message->headers;
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct header *header = &headers->list[i];
        struct slice rest = header_value(headers, header);
        struct slice member;
        while (header->id == HEADER_CONNECTION && header_list_next(&rest, &member)) {
            enum header_id id = header_folded_id_of(member);
            if (is_request && id != HEADER_OTHER && (header_flags[id] & HEADER_HOP) == 0) {
                return false;
            }
            message_drop_name(message, member);
        }
    }
    return true;
}

static bool is_request_id(struct slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (!h1_is(c, H1_HOST) && c != '+' && c != '/' && c != '=') {
            return false;
        }
    }
    return value.len > 0 && value.len <= REQUEST_ID_MAX;
}

struct slice hop_client_request_id(const struct message *message)
{
    const struct headers *headers = &message->headers;
    struct slice value = SLICE_NONE;
    for (uint32_t i = 0; i < headers->count; i++) {
        if (headers->list[i].id != HEADER_X_REQUEST_ID || headers->list[i].dropped != 0) {
            continue;
        }
        if (value.len != 0) {
            return SLICE_NONE;
        }
        value = header_value(headers, &headers->list[i]);
        if (value.len == 0) {
            return SLICE_NONE;
        }
    }
    return is_request_id(value) ? value : SLICE_NONE;
}

/* Two request ids, or one that may be a trick on whoever logs it, are none. */
static void keep_client_request_id(struct message *message)
{
    if (hop_client_request_id(message).len == 0) {
        message_drop(message, HEADER_X_REQUEST_ID);
    }
}

static void add_told(struct message *message, const struct hop_told *told)
{
    if (told->list.len != 0) {
        add(message, SLICE("X-Forwarded-For"), told->list);
        add(message, SLICE("X-Forwarded-Proto"), told->proto);
        add_if(message, SLICE("X-Forwarded-Host"),
               told->host.len != 0 ? told->host : message->authority);
        add_if(message, SLICE("X-Forwarded-Port"), told->port);
    }
    add_if(message, SLICE("Forwarded"), told->forwarded);
}

bool hop_request(struct message *message, const struct hop_facts *facts, enum close_reason *reason)
{
    unsigned request_ids = 0;
    if (message->has_connection_names && !drop_connection_names(message, true)) {
        *reason = CLOSE_BAD_CONNECTION_HEADER;
        return false;
    }
    for (uint32_t i = 0; i < message->headers.count; i++) {
        struct header *header = &message->headers.list[i];
        if ((header_flags[header->id] & (HEADER_HOP | HEADER_OURS)) != 0) {
            header->dropped = header->id != HEADER_TRAILER || !facts->forward_trailers;
        } else if (header->id == HEADER_X_REQUEST_ID) {
            request_ids++;
        } else if (header->id == HEADER_EXPECT) {
            header->dropped = !message->expects_continue; /* RFC 9110 10.1.1: HTTP/1.0 */
        }
    }
    if (facts->request_id.len != 0) {
        if (request_ids != 0) {
            message_drop(message, HEADER_X_REQUEST_ID);
        }
        add(message, SLICE("X-Request-Id"), facts->request_id);
    } else if (request_ids != 0) {
        keep_client_request_id(message);
    }

    if (LB_LIKELY(facts->told == NULL)) {
        add(message, SLICE("X-Forwarded-For"), facts->client_ip);
        add(message, SLICE("X-Forwarded-Proto"), facts->proto);
        add_if(message, SLICE("X-Forwarded-Host"), message->authority);
    } else {
        add_told(message, facts->told);
    }
    add_if(message, SLICE("X-Client-Cert-Subject"), facts->cert_subject);
    add_if(message, SLICE("X-Client-Cert-SHA256"), facts->cert_sha256);
    add_if(message, SLICE("Client-Cert"), facts->cert);
    add_constant(message, SLICE("Via"), via_of(message));
    return true;
}

void hop_response(struct message *message, struct slice http_date, bool forward_trailers)
{
    bool has_date = false;
    if (message->has_connection_names) {
        (void)drop_connection_names(message, false);
    }
    for (uint32_t i = 0; i < message->headers.count; i++) {
        struct header *header = &message->headers.list[i];
        if ((header_flags[header->id] & HEADER_HOP) != 0) {
            header->dropped = header->id != HEADER_TRAILER || !forward_trailers;
        } else if (header->id == HEADER_DATE) {
            has_date = true;
        }
    }
    add_constant(message, SLICE("Via"), via_of(message));
    if (!has_date && message->status >= 200) { /* RFC 9110 6.6.1: not in interim answers */
        add(message, SLICE("Date"), http_date);
    }
}
