#include "lbd/filter/filter_compression.h"

#include "lbd/filter/coder.h"
#include "lbd/filter/filter_worker.h"
#include "lbd/http/accept_encoding.h"
#include "lbd/http/cookie_strip.h"

#define OWN_FIELDS 3U /* that a coded answer gets */

struct filter_compression {
    struct filter filter;
    struct slice *types; /* of `filter.arena` */
    uint32_t type_count;
    uint32_t min_bytes;
    int level;
    bool with_credentials;
    uint32_t encoding_count;
    enum conf_encoding encodings[CONF_ENCODING_COUNT]; /* what is liked best first */
};

/* A label of the counters. */
static_assert((int)CONF_ENCODING_COUNT == (int)COUNTERS_ENCODING_COUNT, "one per encoding");

/* An answer that is coded. */
struct coding {
    struct coder *coder; /* NULL: all of it is coded */
    enum conf_encoding encoding;
    bool is_flushed; /* its length is not known: a client may wait for each piece */
};

static const struct filter_compression *compression_of(const struct filter *self)
{
    return (const struct filter_compression *)self; /* its first member */
}

static void build_encodings(struct filter_compression *compression,
                            const struct conf_policy_compression *from)
{
    enum conf_encoding encoding;
    for (uint32_t i = 0; i < from->encoding_count; i++) { /* which were checked */
        compression->encodings[compression->encoding_count++] =
            conf_encoding_of(from->encodings[i]);
    }
    for (encoding = 0; from->encoding_count == 0 && encoding < CONF_ENCODING_COUNT; encoding++) {
        if (conf_encoding_is_built(encoding)) {
            compression->encodings[compression->encoding_count++] = encoding;
        }
    }
}

static bool build(struct filter *self, const struct conf_policy *conf, struct err *err)
{
    static const struct slice usual[] = {
        SLICE_INIT("text/*"),          SLICE_INIT("application/json"),
        SLICE_INIT("*+json"),          SLICE_INIT("application/javascript"),
        SLICE_INIT("application/xml"), SLICE_INIT("*+xml"),
        SLICE_INIT("application/wasm")};
    const struct conf_policy_compression *from = &conf->compression;
    struct filter_compression *compression = container_of(self, struct filter_compression, filter);
    const struct slice *types = from->type_count != 0 ? from->types : usual;
    (void)err;
    compression->type_count = from->type_count != 0 ? from->type_count : ARRAY_LEN(usual);
    compression->types =
        arena_alloc(&self->arena, compression->type_count * sizeof(*compression->types));
    for (uint32_t i = 0; i < compression->type_count; i++) {
        compression->types[i] = arena_copy(&self->arena, types[i]);
    }
    compression->min_bytes = from->min_size_bytes;
    compression->level = (int)from->level;
    compression->with_credentials = from->with_credentials;
    build_encodings(compression, from);
    return true;
}

/* -- what heads say -- */

/* Fields of a name one after the other, those that were added, too. `*at` is 0 at first. */
static bool next_value(const struct message *message, struct slice name, uint32_t *at,
                       struct slice *value)
{
    const struct headers *headers = &message->headers;
    while (*at < headers->count + message->extra_count) {
        uint32_t i = (*at)++;
        if (i >= headers->count) {
            const struct header_extra *extra = &message->extras[i - headers->count];
            if (slice_eq_nocase(extra->name, name)) {
                *value = extra->value;
                return true;
            }
        } else if (!headers->list[i].dropped &&
                   slice_eq_nocase(header_name(headers, &headers->list[i]), name)) {
            *value = header_value(headers, &headers->list[i]);
            return true;
        }
    }
    return false;
}

static bool has_field(const struct message *message, struct slice name)
{
    uint32_t at = 0;
    struct slice value;
    return next_value(message, name, &at, &value);
}

static bool lists(const struct message *message, struct slice name, struct slice wanted)
{
    uint32_t at = 0;
    struct slice value;
    struct slice member;
    while (next_value(message, name, &at, &value)) {
        while (header_list_next(&value, &member)) {
            if (slice_eq_nocase(member, wanted)) {
                return true;
            }
        }
    }
    return false;
}

/* Also when servers are not told of it. */
static bool client_sent(const struct message *request, enum header_id id)
{
    for (uint32_t i = 0; i < request->headers.count; i++) {
        if (request->headers.list[i].id == id) {
            return true;
        }
    }
    return false;
}

static bool type_fits(struct slice pattern, struct slice type)
{
    size_t rest = pattern.len - 1;
    if (pattern.ptr[0] == '*') { /* "*+json" */
        return type.len > rest &&
               slice_eq_nocase(slice_from_at(type, type.len - rest), slice_from_at(pattern, 1));
    }
    if (pattern.ptr[rest] == '*') { /* "text/" and whatever */
        return type.len > rest &&
               slice_eq_nocase(slice_of(type.ptr, rest), slice_of(pattern.ptr, rest));
    }
    return slice_eq_nocase(pattern, type);
}

static bool is_of_types(const struct filter_compression *policy, const struct message *answer)
{
    uint32_t at = 0;
    struct slice value;
    struct slice type;
    if (!next_value(answer, SLICE("content-type"), &at, &value) ||
        !slice_split(&value, ';', &type)) {
        return false;
    }
    type = slice_trim(type);
    for (uint32_t i = 0; i < policy->type_count; i++) {
        if (type_fits(policy->types[i], type)) {
            return true;
        }
    }
    return false;
}

static bool is_long(const struct filter_compression *policy, uint64_t bytes)
{
    return bytes > 0 && bytes >= policy->min_bytes;
}

/* By what it says itself, whoever gets it, but for its type and length. */
static bool is_left_alone(const struct message *answer)
{
    return answer->status == 206 || has_field(answer, SLICE("content-encoding")) ||
           has_field(answer, SLICE("content-range")) ||
           lists(answer, SLICE("cache-control"), SLICE("no-transform"));
}

static bool may_be_coded(const struct filter_compression *policy, const struct message *answer)
{
    bool fits = answer->framing == FRAMING_LENGTH
                    ? is_long(policy, answer->content_length)
                    : answer->framing == FRAMING_CHUNKED || answer->framing == FRAMING_UNTIL_CLOSE;
    return fits && is_of_types(policy, answer) && !is_left_alone(answer);
}

/* Of 304, and of answers to HEAD: might the body that it stands for be coded? A 304 need not say of
 * which type or length that is. */
static bool stands_for_coded(const struct filter_compression *policy, const struct message *request,
                             const struct message *answer)
{
    bool is_304 = answer->status == 304;
    if (!is_304 && (request->method != METHOD_HEAD || answer->status == 204)) {
        return false;
    }
    bool fits = (answer->has_length && (!is_304 || answer->content_length != 0))
                    ? is_long(policy, answer->content_length)
                    : true;
    bool has_type = has_field(answer, SLICE("content-type"));
    return fits && (has_type ? is_of_types(policy, answer) : is_304) && !is_left_alone(answer);
}

/* Where lbd sends clients is no secret of theirs, and no server writes it into a page. */
static bool client_sent_cookie(const struct filter_run *run)
{
    const struct headers *headers = &run->request->headers;
    for (uint32_t i = 0; i < headers->count; i++) {
        const struct header *header = &headers->list[i];
        if (header->id == HEADER_COOKIE &&
            !cookie_strip_is_all(header_value(headers, header), run->own_cookies,
                                 ARRAY_LEN(run->own_cookies))) {
            return true;
        }
    }
    return false;
}

/* What a server sets is its own, whatever its name. */
static bool sets_cookie(const struct filter_run *run, const struct message *answer)
{
    if (headers_find(&answer->headers, HEADER_SET_COOKIE) != NULL) {
        return true;
    }
    for (uint32_t i = 0; i < answer->extra_count; i++) {
        struct slice value = answer->extras[i].value;
        struct slice pair;
        if (slice_eq_nocase(answer->extras[i].name, SLICE("set-cookie")) &&
            !(slice_split(&value, ';', &pair) &&
              cookie_strip_is_all(pair, run->own_cookies, ARRAY_LEN(run->own_cookies)))) {
            return true;
        }
    }
    return false;
}

static bool has_secrets(const struct filter_run *run, const struct message *answer)
{
    return run->has_client_cert || client_sent(run->request, HEADER_AUTHORIZATION) ||
           client_sent_cookie(run) || sets_cookie(run, answer);
}

/* Those that the client wants, what is to be tried first in front. */
static uint32_t wanted_of(const struct filter_compression *policy, const struct message *request,
                          enum conf_encoding wanted[CONF_ENCODING_COUNT])
{
    struct accept_encoding takes = accept_encoding_read(&request->headers);
    if ((!request->is_http2 && request->version_minor == 0) || /* which know no chunks */
        lists(request, SLICE("cache-control"), SLICE("no-transform"))) {
        return 0;
    }
    return accept_encoding_choose(&takes, policy->encodings, policy->encoding_count, wanted);
}

/* Of the first encoding for which there is room: br needs more of it than the others. */
static struct coder *take_coder(struct filter_run *run, const struct filter_compression *policy,
                                enum conf_encoding *encoding)
{
    enum conf_encoding wanted[CONF_ENCODING_COUNT];
    uint32_t count = wanted_of(policy, run->request, wanted);
    struct coder *coder = NULL;
    for (uint32_t i = 0; i < count && coder == NULL; i++) {
        *encoding = wanted[i];
        coder = coder_take(filter_worker_coders(filter_worker_of(run->loop)),
                           loop_slot(run->loop, LOOP_SLOT_NET), wanted[i], policy->level);
    }
    return coder;
}

/* -- the head of a coded answer -- */

/* The tag that a coded answer has in place of its own; empty: its own is one, or there is none. */
static struct slice weak_etag(struct filter_run *run, const struct message *answer)
{
    uint32_t at = 0;
    struct slice tag;
    if (!next_value(answer, SLICE("etag"), &at, &tag) || slice_starts(tag, SLICE("W/"))) {
        return SLICE_NONE;
    }
    return arena_printf(run->arena, "W/%.*s", SLICE_ARG(tag));
}

static void set_etag(struct message *answer, struct slice tag)
{
    filter_field_drop(answer, SLICE("etag"));
    (void)filter_field_add(answer, SLICE("ETag"), tag);
}

/* RFC 9110 8.8.3.3: what is coded is not the same bytes, so it is only as good as them. */
static void weaken_etag(struct filter_run *run, struct message *answer)
{
    struct slice weak = weak_etag(run, answer);
    if (weak.len != 0) {
        set_etag(answer, weak);
    }
}

/* Caches must know, also of what this client gets as it is. */
static void add_vary(struct message *answer)
{
    if (!lists(answer, SLICE("vary"), SLICE("accept-encoding")) &&
        !lists(answer, SLICE("vary"), SLICE("*"))) {
        (void)filter_field_add(answer, SLICE("Vary"), SLICE("Accept-Encoding"));
    }
}

/* RFC 9110 9.3.2, 15.4.5: as the answer with the body would say it. Where a 304 does not tell
 * enough, the client's own tag does: a weak one is of a coded answer. */
static void edit_bodiless(struct filter_run *run, const struct filter_compression *policy,
                          struct message *answer)
{
    enum conf_encoding wanted[CONF_ENCODING_COUNT];
    struct slice weak = weak_etag(run, answer);
    add_vary(answer);
    if (weak.len != 0 && (lists(run->request, SLICE("if-none-match"), weak) ||
                          (has_field(answer, SLICE("content-type")) &&
                           wanted_of(policy, run->request, wanted) != 0))) {
        set_etag(answer, weak);
    }
}

static void edit_head(struct filter_run *run, struct message *answer, enum conf_encoding encoding)
{
    /* They tell of bytes that the client does not get. */
    static const struct slice gone[] = {SLICE_INIT("accept-ranges"), SLICE_INIT("content-md5"),
                                        SLICE_INIT("content-digest"), SLICE_INIT("repr-digest"),
                                        SLICE_INIT("digest")};
    for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
        filter_field_drop(answer, gone[i]);
    }
    weaken_etag(run, answer);
    (void)filter_field_add(answer, SLICE("Content-Encoding"),
                           slice_from(conf_encoding_word(encoding)));
}

static void response(struct filter_run *run, const struct filter *self, void **kept,
                     struct message *answer)
{
    const struct filter_compression *policy = compression_of(self);
    bool has_body = answer->framing != FRAMING_NONE;
    if (!run->is_body_free || run->coder != 0 ||
        answer->extra_count + OWN_FIELDS + MESSAGE_EXTRAS_OURS >
            MESSAGE_EXTRAS_MAX + answer->extra_ours ||
        !(has_body ? may_be_coded(policy, answer)
                   : stands_for_coded(policy, run->request, answer)) ||
        (!policy->with_credentials && has_secrets(run, answer))) {
        return;
    }
    if (!has_body) {
        edit_bodiless(run, policy, answer);
        return;
    }
    add_vary(answer);
    enum conf_encoding encoding = CONF_ENCODING_COUNT;
    struct coder *coder = take_coder(run, policy, &encoding);
    if (coder == NULL) {
        return; /* as it is, then */
    }
    struct coding *coding = arena_alloc(run->arena, sizeof(*coding));
    *coding = (struct coding){coder, encoding, answer->framing != FRAMING_LENGTH};
    *kept = coding;
    filter_run_take_body(run, kept);
    edit_head(run, answer, encoding);
}

/* -- its body -- */

static void give_coder(struct filter_run *run, struct coding *coding)
{
    coder_give(filter_worker_coders(filter_worker_of(run->loop)),
               loop_slot(run->loop, LOOP_SLOT_NET), coding->coder);
    coding->coder = NULL;
}

static bool code(struct filter_run *run, const struct filter *self, void **kept,
                 struct filter_piece *piece)
{
    struct coding *coding = *kept;
    struct counters_policy *counters = counters_of_policy(run->counters, self->id);
    size_t before = piece->in.len;
    enum coder_push push = piece->is_last       ? CODER_END
                           : coding->is_flushed ? CODER_FLUSH
                                                : CODER_MORE;
    piece->out = SLICE_NONE;
    if (before == 0 && !piece->is_last && !piece->has_more) {
        return false;
    }
    piece->has_more = coder_run(filter_worker_coders(filter_worker_of(run->loop)),
                                loop_slot(run->loop, LOOP_SLOT_NET), coding->coder, &piece->in,
                                push, &piece->out);
    counter_add(&counters->compression_in_bytes[coding->encoding], before - piece->in.len);
    counter_add(&counters->compression_out_bytes[coding->encoding], piece->out.len);
    if (piece->is_last && !piece->has_more) {
        give_coder(run, coding); /* a slow client may take long for the rest */
    }
    return piece->has_more;
}

static void end(struct filter_run *run, const struct filter *self, void **kept)
{
    struct coding *coding = *kept;
    (void)self;
    if (coding != NULL && coding->coder != NULL) {
        give_coder(run, coding);
    }
}

const struct filter_ops filter_compression_ops = {
    .size = sizeof(struct filter_compression),
    .is_edit = true,
    .build = build,
    .response = response,
    .code = code,
    .end = end,
};
