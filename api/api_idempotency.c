#include "api/api_idempotency.h"

#include <stdlib.h>
#include <string.h>

#include "api/api_problem.h"
#include "api/api_table.h"
#include "lbd/base/list.h"
#include "lbd/base/map.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/tls/digest.h"

#define NAME_MAX_LEN (API_WHO_MAX + API_IDEMPOTENCY_KEY_MAX + 2)
#define KEEP_US      (API_IDEMPOTENCY_HOURS * 3600ULL * 1000000ULL)

struct api_idempotency_entry {
    struct list_node link; /* oldest first */
    char *name;            /* owned: identity, newline, key */
    uint8_t fingerprint[DIGEST_SHA256_BYTES];
    uint64_t since_us;
    bool is_running;
    /* the answer */
    unsigned status;
    char *body; /* owned */
    size_t body_len;
    const char *content_type;
    char etag[CONTROL_ETAG_MAX];
    bool has_changed;
    bool is_changed;
    const char *accept_patch;
    struct api_header headers[API_HEADERS_MAX];
    uint32_t header_count;
    uint64_t revision;
};

struct api_idempotency {
    struct map entries; /* name -> struct api_idempotency_entry */
    struct list_node order;
    size_t bytes;
};

struct api_idempotency *api_idempotency_new(void)
{
    struct api_idempotency *idempotency = mem_zero(1, sizeof(*idempotency));
    map_init(&idempotency->entries);
    list_init(&idempotency->order);
    return idempotency;
}

static size_t weight_of(const struct api_idempotency_entry *entry)
{
    return sizeof(*entry) + strlen(entry->name) + entry->body_len;
}

static void forget(struct api_idempotency *idempotency, struct api_idempotency_entry *entry)
{
    (void)map_remove(&idempotency->entries, slice_from(entry->name));
    list_remove(&entry->link);
    idempotency->bytes -= weight_of(entry);
    free(entry->name);
    free(entry->body);
    free(entry);
}

void api_idempotency_free(struct api_idempotency *idempotency)
{
    struct list_node *node = NULL;
    if (idempotency == NULL) {
        return;
    }
    while ((node = list_first(&idempotency->order)) != NULL) {
        forget(idempotency, container_of(node, struct api_idempotency_entry, link));
    }
    map_fini(&idempotency->entries);
    free(idempotency);
}

size_t api_idempotency_count(const struct api_idempotency *idempotency)
{
    return idempotency->entries.count;
}

size_t api_idempotency_bytes(const struct api_idempotency *idempotency)
{
    return idempotency->bytes;
}

/* The oldest that are answered go until the rest is within the limits. */
static void make_room(struct api_idempotency *idempotency)
{
    struct list_node *node = NULL;
    struct list_node *following = NULL;
    uint64_t now = now_us();
    list_for_each_safe (node, following, &idempotency->order) {
        struct api_idempotency_entry *entry =
            container_of(node, struct api_idempotency_entry, link);
        bool is_old = now - entry->since_us > KEEP_US;
        if (!is_old && idempotency->entries.count <= API_IDEMPOTENCY_COUNT_MAX &&
            idempotency->bytes <= API_IDEMPOTENCY_BYTES_MAX) {
            return;
        }
        if (!entry->is_running) {
            forget(idempotency, entry);
        }
    }
}

/* -- a request -- */

static void put(struct buf *out, struct slice part)
{
    (void)buf_printf(out, "%zu:", part.len);
    (void)buf_append_slice(out, part);
}

static void take_fingerprint(const struct api_request *request, uint8_t out[DIGEST_SHA256_BYTES])
{
    struct buf text;
    uint8_t body[DIGEST_SHA256_BYTES];
    buf_init(&text, 1024U * 1024U);
    digest_sha256(request->body, body);
    (void)buf_printf(&text, "%d ", (int)request->method);
    put(&text, request->path);
    for (uint32_t i = 0; i < request->query_count; i++) {
        put(&text, request->query[i].name);
        put(&text, request->query[i].value);
    }
    put(&text, request->if_match);
    put(&text, request->if_none_match);
    put(&text, request->content_type);
    (void)buf_append(&text, body, sizeof(body));
    digest_sha256(buf_slice(&text), out);
    buf_fini(&text);
}

static bool is_key(struct slice key)
{
    for (size_t i = 0; i < key.len; i++) {
        if (key.ptr[i] < '!' || key.ptr[i] > '~') {
            return false;
        }
    }
    return key.len >= 1 && key.len <= API_IDEMPOTENCY_KEY_MAX;
}

static void replay(const struct api_idempotency_entry *entry, struct api_request *request)
{
    struct api_reply *reply = &request->reply;
    reply->status = entry->status;
    buf_clear(&reply->body);
    (void)buf_append(&reply->body, entry->body, entry->body_len);
    reply->content_type = entry->content_type;
    memcpy(reply->etag, entry->etag, sizeof(reply->etag));
    reply->has_changed = entry->has_changed;
    reply->is_changed = entry->is_changed;
    reply->accept_patch = entry->accept_patch;
    memcpy(reply->headers, entry->headers, sizeof(reply->headers));
    reply->header_count = entry->header_count;
    reply->revision = entry->revision;
    api_request_header(request, "Idempotent-Replay", "true");
}

static void enter(struct api_idempotency *idempotency, struct api_request *request,
                  struct slice name, const uint8_t fingerprint[DIGEST_SHA256_BYTES])
{
    struct api_idempotency_entry *entry = mem_zero(1, sizeof(*entry));
    entry->name = mem_slicedup(name);
    entry->since_us = now_us();
    entry->is_running = true;
    memcpy(entry->fingerprint, fingerprint, DIGEST_SHA256_BYTES);
    (void)map_put(&idempotency->entries, name, entry);
    list_push_back(&idempotency->order, &entry->link);
    idempotency->bytes += weight_of(entry);
    request->idempotency = entry;
}

bool api_idempotency_begin(struct api_idempotency *idempotency, struct api_request *request)
{
    char name[NAME_MAX_LEN];
    uint8_t fingerprint[DIGEST_SHA256_BYTES];
    if (request->idempotency_key.ptr == NULL || request->method == API_GET ||
        request->row->is_secret) {
        return true;
    }
    if (!is_key(request->idempotency_key)) {
        api_problem(request, "malformed-request",
                    "Idempotency-Key must be 1 to %d visible characters", API_IDEMPOTENCY_KEY_MAX);
        return false;
    }
    make_room(idempotency);
    int len = snprintf(name, sizeof(name), "%s\n%.*s", request->identity.name,
                       SLICE_ARG(request->idempotency_key));
    const struct api_idempotency_entry *entry =
        map_get(&idempotency->entries, slice_of(name, (size_t)len));
    take_fingerprint(request, fingerprint);
    if (entry == NULL) {
        enter(idempotency, request, slice_of(name, (size_t)len), fingerprint);
        return true;
    }
    if (memcmp(entry->fingerprint, fingerprint, sizeof(fingerprint)) != 0) {
        api_problem(request, "idempotency-mismatch",
                    "the Idempotency-Key '%.*s' was used for another request",
                    SLICE_ARG(request->idempotency_key));
    } else if (entry->is_running) {
        api_problem(request, "idempotency-running",
                    "the first request with the Idempotency-Key '%.*s' is not answered yet",
                    SLICE_ARG(request->idempotency_key));
    } else {
        replay(entry, request);
    }
    return false;
}

/* "Not now" is no answer to keep. */
static bool is_final(unsigned status)
{
    return status < 500 && status != 401 && status != 403 && status != 429;
}

void api_idempotency_end(struct api_idempotency *idempotency, struct api_request *request)
{
    struct api_idempotency_entry *entry = request->idempotency;
    const struct api_reply *reply = &request->reply;
    if (entry == NULL) {
        return;
    }
    request->idempotency = NULL;
    if (!is_final(reply->status) || reply->stream != NULL || reply->body.overflow) {
        forget(idempotency, entry);
        return;
    }
    entry->is_running = false;
    entry->status = reply->status;
    if (reply->content_type != NULL) {
        entry->body = mem_slicedup(buf_slice(&reply->body));
        entry->body_len = reply->body.len;
    }
    entry->content_type = reply->content_type;
    memcpy(entry->etag, reply->etag, sizeof(entry->etag));
    entry->has_changed = reply->has_changed;
    entry->is_changed = reply->is_changed;
    entry->accept_patch = reply->accept_patch;
    memcpy(entry->headers, reply->headers, sizeof(entry->headers));
    entry->header_count =
        reply->header_count < API_HEADERS_MAX ? reply->header_count : API_HEADERS_MAX - 1;
    entry->revision =
        reply->revision != 0 ? reply->revision : control_facts(request->control)->revision;
    idempotency->bytes += entry->body_len;
    make_room(idempotency);
}

void api_idempotency_abandon(struct api_idempotency *idempotency, struct api_request *request)
{
    if (request->idempotency != NULL) {
        forget(idempotency, request->idempotency);
        request->idempotency = NULL;
    }
}
