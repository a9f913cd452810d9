#include "lbd/filter/filter_headers.h"

#include <string.h>

#include "lbd/base/template.h"

/* A value, taken apart. */
struct piece {
    struct slice literal; /* when there is no word */
    enum conf_header_word word;
};

struct edit {
    struct slice name;
    struct piece *pieces;
    uint32_t piece_count;
    bool is_set; /* others of the name go */
};

struct edits {
    struct slice *removes;
    uint32_t remove_count;
    struct edit *list;
    uint32_t count;
};

struct filter_headers {
    struct filter filter;
    struct edits request;
    struct edits response;
};

static const struct filter_headers *headers_of(const struct filter *self)
{
    return (const struct filter_headers *)self; /* its first member */
}

static void compile(struct edit *edit, struct arena *arena, const struct conf_header *conf,
                    bool is_set)
{
    struct slice rest = arena_copy(arena, conf->value);
    struct slice piece;
    edit->name = arena_copy(arena, conf->name);
    edit->is_set = is_set;
    edit->pieces = arena_zero(arena, (rest.len + 1) * sizeof(*edit->pieces));
    for (;;) {
        struct piece *next = &edit->pieces[edit->piece_count];
        switch (template_next(&rest, &piece)) {
        case TEMPLATE_LITERAL:
            *next = (struct piece){piece, CONF_HEADER_WORD_NONE};
            edit->piece_count++;
            break;
        case TEMPLATE_NAME:
            *next = (struct piece){SLICE_NONE, conf_header_word_of(piece)};
            edit->piece_count++;
            break;
        case TEMPLATE_END:
        case TEMPLATE_BAD: /* conf_check has seen to it */
            return;
        }
    }
}

static void compile_all(struct edits *edits, struct arena *arena,
                        const struct conf_header_edits *conf)
{
    edits->removes = arena_zero(arena, conf->remove_count * sizeof(*edits->removes));
    for (uint32_t i = 0; i < conf->remove_count; i++) {
        edits->removes[edits->remove_count++] = arena_copy(arena, conf->remove[i]);
    }
    edits->list = arena_zero(arena, (conf->set_count + conf->add_count) * sizeof(*edits->list));
    for (uint32_t i = 0; i < conf->set_count; i++) {
        compile(&edits->list[edits->count++], arena, &conf->set[i], true);
    }
    for (uint32_t i = 0; i < conf->add_count; i++) {
        compile(&edits->list[edits->count++], arena, &conf->add[i], false);
    }
}

static bool build(struct filter *self, const struct conf_policy *conf, struct err *err)
{
    struct filter_headers *headers = container_of(self, struct filter_headers, filter);
    (void)err;
    compile_all(&headers->request, &self->arena, &conf->headers.request);
    compile_all(&headers->response, &self->arena, &conf->headers.response);
    return true;
}

static struct slice value_of(const struct filter_run *run, enum conf_header_word word)
{
    switch (word) {
    case CONF_HEADER_WORD_CLIENT_IP: {
        char text[ADDR_TEXT_MAX];
        size_t len = addr_small_write_ip(run->client, text);
        return arena_copy(run->arena, slice_of(text, len));
    }
    case CONF_HEADER_WORD_REQUEST_ID:
        return run->request_id;
    case CONF_HEADER_WORD_ROUTE:
        return run->route;
    case CONF_HEADER_WORD_LISTENER:
        return run->listener;
    case CONF_HEADER_WORD_SCHEME:
        return run->proto;
    case CONF_HEADER_WORD_HOST:
        return run->request->authority;
    case CONF_HEADER_WORD_METHOD:
        return message_method(run->request);
    case CONF_HEADER_WORD_PATH:
        return run->request->path;
    case CONF_HEADER_WORD_NONE:
        break;
    }
    return SLICE_NONE;
}

static struct slice fill(const struct filter_run *run, const struct edit *edit)
{
    if (edit->piece_count == 1 && edit->pieces->word == CONF_HEADER_WORD_NONE) {
        return edit->pieces->literal;
    }
    struct slice *parts = arena_alloc(run->arena, edit->piece_count * sizeof(*parts));
    size_t len = 0;
    for (uint32_t i = 0; i < edit->piece_count; i++) {
        const struct piece *piece = &edit->pieces[i];
        parts[i] =
            piece->word != CONF_HEADER_WORD_NONE ? value_of(run, piece->word) : piece->literal;
        len += parts[i].len;
    }
    char *out = arena_alloc(run->arena, len);
    char *at = out;
    for (uint32_t i = 0; i < edit->piece_count; i++) {
        if (parts[i].len != 0) {
            memcpy(at, parts[i].ptr, parts[i].len);
            at += parts[i].len;
        }
    }
    return slice_of(out, len);
}

/* False: there is no room, or a value cannot stand in a head. */
static bool apply(const struct filter_run *run, const struct edits *edits, struct message *message)
{
    for (uint32_t i = 0; i < edits->remove_count; i++) {
        filter_field_drop(message, edits->removes[i]);
    }
    for (uint32_t i = 0; i < edits->count; i++) {
        const struct edit *edit = &edits->list[i];
        struct slice value = fill(run, edit);
        if (edit->is_set) {
            filter_field_drop(message, edit->name);
        }
        if (!filter_field_add(message, edit->name, value)) {
            return false;
        }
    }
    return true;
}

static enum filter_verdict request(struct filter_run *run, const struct filter *self, void **kept)
{
    const struct filter_headers *headers = headers_of(self);
    (void)kept;
    if (headers->request.count != 0 || headers->request.remove_count != 0) {
        run->drops_trailers = true;
    }
    return apply(run, &headers->request, run->request) ? FILTER_GO_ON
                                                       : filter_refuse(run, CLOSE_NO_HEADER_ROOM);
}

static void response(struct filter_run *run, const struct filter *self, void **kept,
                     struct message *answer)
{
    (void)kept;
    (void)apply(run, &headers_of(self)->response, answer);
}

const struct filter_ops filter_headers_ops = {
    .size = sizeof(struct filter_headers),
    .is_edit = true,
    .build = build,
    .request = request,
    .response = response,
};
