#include "ctl/cmd_set.h"

#include <string.h>

#include "conf/json/json_patch.h"
#include "conf/json/json_write.h"
#include "ctl/cmd_apply.h"
#include "ctl/confirm.h"
#include "ctl/kind.h"
#include "ctl/proposal.h"
#include "ctl/server_name.h"
#include "ctl/shell_word.h"
#include "ctl/text_file.h"

enum { TOKENS_MAX = JSON_DEPTH_MAX };

/* Where a pointer leads. */
struct place {
    struct buf pointer;              /* with its slash */
    struct slice tokens[TOKENS_MAX]; /* as they stand in `pointer`, still escaped */
    uint32_t count;
    uint32_t inside;   /* tokens that the resource's path stands for */
    struct buf path;   /* of the resource in the API */
    struct json *json; /* the resource; an object without members when there is none yet */
    bool is_new;
    char etag[REST_REPLY_ETAG_MAX];
    uint64_t revision;
};

struct json *cmd_set_read_value(const char *text)
{
    struct json_error error;
    struct json *value = json_parse(slice_from(text), JSON_STRICT, &json_limits_resource, &error);
    return value != NULL ? value : json_new_string(slice_from(text));
}

static enum ctl_exit read_pointer(struct ctl *ctl, const char *text, struct place *place)
{
    *place = (struct place){.count = 0};
    buf_init(&place->pointer, CTL_PATH_MAX);
    buf_init(&place->path, CTL_PATH_MAX);
    if (text[0] == '#') {
        text++;
    }
    buf_printf(&place->pointer, "%s%s", text[0] != '/' ? "/" : "", text);
    while (place->pointer.len > 1 && place->pointer.data[place->pointer.len - 1] == '/') {
        place->pointer.data[--place->pointer.len] = '\0'; /* as completion leaves it */
    }
    if (place->pointer.overflow || place->pointer.len <= 1 ||
        !json_patch_pointer_valid(buf_slice(&place->pointer))) {
        return ctl_fail(ctl, CTL_USAGE,
                        "'%s' leads nowhere: a pointer is like pools/web/servers/a/weight", text);
    }
    struct slice rest = slice_from_at(buf_slice(&place->pointer), 1);
    while (place->count < TOKENS_MAX && slice_split(&rest, '/', &place->tokens[place->count])) {
        place->count++;
    }
    return CTL_OK;
}

static void place_fini(struct place *place)
{
    json_free(place->json);
    buf_fini(&place->pointer);
    buf_fini(&place->path);
}

/* The path of the resource that the first `inside` tokens name. */
static void set_path(struct place *place, const struct kind *kind, uint32_t inside)
{
    buf_clear(&place->path);
    place->inside = inside;
    if (inside == 0) {
        buf_append_text(&place->path, "/v1/config");
        return;
    }
    buf_append_text(&place->path, kind->path);
    rest_client_append_segment(&place->path, place->tokens[1]);
    if (inside == 4) {
        buf_append_text(&place->path, "/servers");
        rest_client_append_segment(&place->path, place->tokens[3]);
    }
}

/* Reads the resource. 404 is an answer, when `may_lack`. */
static enum ctl_exit fetch(struct ctl *ctl, struct place *place, bool may_lack)
{
    struct rest_reply reply;
    enum ctl_exit code = CTL_OK;
    const struct rest_request request = {.method = "GET", .target = place->path.data};
    rest_reply_init(&reply);
    if (!ctl_ask(ctl, &request, &reply, &code)) {
        goto out;
    }
    place->revision = reply.revision;
    place->is_new = reply.status == 404 && may_lack;
    if (place->is_new) {
        place->json = json_new_object();
        place->etag[0] = '\0';
        goto out;
    }
    if (reply.status != 200) {
        code = refusal_print(ctl, &reply, NULL);
        goto out;
    }
    memcpy(place->etag, reply.etag, sizeof(place->etag));
    place->json = ctl_body(&reply);
    if (place->json == NULL) {
        code = ctl_fail(ctl, CTL_BUG, "the answer to GET %s is not JSON", request.target);
    }
out:
    rest_reply_fini(&reply);
    return code;
}

/* Finds the smallest resource that holds the place and is there. */
static enum ctl_exit find(struct ctl *ctl, struct place *place)
{
    enum ctl_exit code = CTL_OK;
    const struct kind *kind = kind_of_key(place->tokens[0]);
    bool is_in_server = kind != NULL && kind->id == KIND_POOLS && place->count > 4 &&
                        slice_eq(place->tokens[2], SLICE("servers"));
    if (is_in_server) {
        set_path(place, kind, 4);
        code = fetch(ctl, place, true);
        if (code != CTL_OK || !place->is_new) {
            return code;
        }
        json_free(place->json); /* made with its pool */
        place->json = NULL;
    }
    if (kind != NULL && place->count > 2) {
        set_path(place, kind, 2);
        return fetch(ctl, place, true);
    }
    set_path(place, NULL, 0);
    return fetch(ctl, place, false);
}

/* The rest of the pointer, inside the resource. */
static struct slice rest_of(const struct place *place, uint32_t from)
{
    if (from == place->count) {
        return slice_from_at(buf_slice(&place->pointer), place->pointer.len);
    }
    size_t at = (size_t)(place->tokens[from].ptr - place->pointer.data) - 1;
    return slice_from_at(buf_slice(&place->pointer), at);
}

/* Objects on the way that are not there yet are made. */
static bool put_value(struct place *place, struct json *value)
{
    for (uint32_t i = place->inside + 1; i < place->count; i++) {
        struct slice whole = rest_of(place, place->inside);
        struct slice tail = rest_of(place, i);
        struct slice way = slice_of(whole.ptr, whole.len - tail.len);
        if (json_patch_get(place->json, way) == NULL &&
            !json_patch_set(place->json, way, json_new_object())) {
            json_free(value);
            return false;
        }
    }
    return json_patch_set(place->json, rest_of(place, place->inside), value);
}

/* The first `count` tokens, without a slash in front. */
static struct slice first_tokens(const struct place *place, uint32_t count)
{
    struct slice whole = buf_slice(&place->pointer);
    return slice_of(whole.ptr + 1, whole.len - 1 - rest_of(place, count).len);
}

/* Tokens of the place in the document that are about one thing: "pools/web". */
static uint32_t new_tokens(const struct place *place)
{
    return place->count < 2 ? place->count : 2;
}

/* Tokens of the smallest resource that the pointer names: "pools/web/servers/a"; 0: of none. */
static uint32_t named_tokens(const struct place *place)
{
    const struct kind *kind = kind_of_key(place->tokens[0]);
    if (kind == NULL) {
        return 0;
    }
    bool is_in_server =
        kind->id == KIND_POOLS && place->count >= 4 && slice_eq(place->tokens[2], SLICE("servers"));
    return is_in_server ? 4 : new_tokens(place);
}

/* Tokens up to the first thing that is not there yet; all of them when everything is. Never less
 * than a resource: the undo of the first policy must not take the second one back, too. */
static uint32_t count_known(const struct place *place)
{
    struct slice whole = rest_of(place, place->inside);
    uint32_t first = place->inside + 1;
    if (place->is_new) {
        return place->inside;
    }
    if (first < named_tokens(place)) {
        first = named_tokens(place);
    }
    for (uint32_t i = first; i < place->count; i++) {
        struct slice way = slice_of(whole.ptr, whole.len - rest_of(place, i).len);
        if (json_patch_get(place->json, way) == NULL) {
            return i;
        }
    }
    return place->count;
}

/* A value as `lbctl set` takes it again. */
static void write_value(const struct json *value, struct buf *text)
{
    struct json_write w;
    if (json_is(value, JSON_STRING) && json_string(value).len != 0) {
        buf_append_slice(text, json_string(value));
        struct json *same = text->overflow ? NULL : cmd_set_read_value(text->data);
        bool is_same = json_is(same, JSON_STRING); /* "7" would come back as a number */
        json_free(same);
        if (is_same) {
            return;
        }
        buf_clear(text);
    }
    json_write_init(&w, text, JSON_COMPACT);
    json_write_json(&w, value);
}

static void write_undo(const struct place *place, struct buf *undo)
{
    const struct json *before = json_patch_get(place->json, rest_of(place, place->inside));
    struct buf text;
    if (place->is_new || before == NULL) {
        buf_append_text(undo, "lbctl unset ");
        shell_word_append(undo, first_tokens(place, count_known(place)));
        return;
    }
    buf_init(&text, 4096);
    write_value(before, &text);
    if (!text.overflow) { /* else by its revision */
        buf_append_text(undo, "lbctl set ");
        shell_word_append(undo, first_tokens(place, place->count));
        buf_append_char(undo, ' ');
        shell_word_append(undo, buf_slice(&text));
    }
    buf_fini(&text);
}

/* A pool as a document that has nothing else; what is no pool as it is. Borrowed from a copy that
 * the caller frees. */
static struct json *as_document(const struct place *place, const struct json *resource)
{
    bool is_pool = place->inside == 2 && slice_eq(place->tokens[0], SLICE("pools"));
    if (!is_pool) {
        return json_copy(resource);
    }
    struct json *document = json_new_object();
    struct json *pools = json_new_object();
    json_set(pools, place->tokens[1], json_copy(resource));
    json_set(document, SLICE("pools"), pools);
    return document;
}

/* Asks when much would go: a document or a pool was `before`, and is place->json now. */
static enum ctl_exit confirm_change(struct ctl *ctl, const struct place *place,
                                    const struct json *before)
{
    struct json *was = as_document(place, before);
    struct json *is = as_document(place, place->json);
    enum ctl_exit code = cmd_apply_confirm(ctl, was, is, NULL);
    json_free(is);
    json_free(was);
    return code;
}

/* Sends the resource as it is now. */
static enum ctl_exit send_back(struct ctl *ctl, struct place *place, const struct json *before,
                               const char *done, struct buf *undo, bool *was_overtaken)
{
    struct proposal proposal;
    struct json_write w;
    struct buf body;
    buf_init(&body, CTL_TEXT_MAX);
    json_write_init(&w, &body, JSON_COMPACT);
    json_write_json(&w, place->json);
    proposal_init(&proposal, ctl, "PUT", place->path.data);
    /* what is new is made with the whole document, and is one thing in it */
    struct slice root = first_tokens(place, place->inside != 0 ? place->inside : new_tokens(place));
    const struct refusal_source source = {
        .root = root.len != 0 ? slice_of(root.ptr - 1, root.len + 1) : SLICE_NONE};
    proposal.source = &source;
    proposal.body = buf_slice(&body);
    proposal.etag = place->etag;
    proposal.if_none = place->is_new;
    proposal.done = done;
    proposal.revision_before = place->revision;
    buf_append_slice(&proposal.undo, buf_slice(undo));
    enum ctl_exit code = proposal_rehearse(&proposal);
    if (code == CTL_OK && !ctl->dry_run) {
        code = confirm_change(ctl, place, before);
    }
    if (code == CTL_OK) {
        code = proposal_perform(&proposal);
    }
    *was_overtaken = proposal.was_overtaken;
    proposal_fini(&proposal);
    buf_fini(&body);
    return code;
}

/* Many lists need an element or must not be there at all. */
static void hint_at_unset(struct ctl *ctl, const struct place *place, const char *text,
                          enum ctl_exit code)
{
    struct json *value = text != NULL && code == CTL_INVALID ? cmd_set_read_value(text) : NULL;
    if (json_is(value, JSON_ARRAY) && json_count(value) == 0) {
        struct buf pointer;
        buf_init(&pointer, CTL_PATH_MAX);
        shell_word_append(&pointer, first_tokens(place, place->count));
        ctl_hint(ctl, "to have none of it: lbctl unset %s", pointer.data);
        buf_fini(&pointer);
    }
    json_free(value);
}

/* Changes what was found and sends it back. `text` is NULL for unset. */
static enum ctl_exit change_place(struct ctl *ctl, struct place *place, const char *text,
                                  bool *was_overtaken)
{
    struct slice inside = rest_of(place, place->inside);
    struct buf undo;
    enum ctl_exit code = CTL_OK;
    buf_init(&undo, (size_t)4 * CTL_PATH_MAX);
    struct json *before = json_copy(place->json);
    write_undo(place, &undo);
    if (text == NULL && !json_patch_remove(place->json, inside)) {
        (void)fprintf(ctl->out, "unchanged: %s is not set\n", place->pointer.data + 1);
    } else if (text != NULL && !put_value(place, cmd_set_read_value(text))) {
        code = ctl_fail(ctl, CTL_USAGE, "%s leads through what holds nothing",
                        place->pointer.data + 1);
    } else {
        code = send_back(ctl, place, before, text != NULL ? "set" : "unset", &undo, was_overtaken);
        hint_at_unset(ctl, place, text, code);
    }
    json_free(before);
    buf_fini(&undo);
    return code;
}

static enum ctl_exit try_once(struct ctl *ctl, const char *pointer, const char *text,
                              bool *was_overtaken)
{
    struct place place;
    *was_overtaken = false;
    enum ctl_exit code = read_pointer(ctl, pointer, &place);
    if (code == CTL_OK) {
        code = find(ctl, &place);
    }
    if (code == CTL_OK) {
        code = change_place(ctl, &place, text, was_overtaken);
    }
    place_fini(&place);
    return code;
}

static enum ctl_exit change(struct ctl *ctl, const char *text)
{
    bool was_overtaken = false;
    uint32_t tries = 0;
    enum ctl_exit code;
    do {
        code = try_once(ctl, ctl->args[0], text, &was_overtaken);
    } while (was_overtaken && proposal_tries_again(ctl, ++tries));
    if (was_overtaken) {
        (void)ctl_fail(ctl, code, "somebody else keeps changing it; nothing was changed");
    }
    return code;
}

enum ctl_exit cmd_set(struct ctl *ctl)
{
    struct buf text;
    if (strcmp(ctl->args[1], "-") != 0) {
        return change(ctl, ctl->args[1]);
    }
    text_file_init(&text);
    enum ctl_exit code = text_file_read(ctl, "-", &text);
    if (code == CTL_OK) {
        code = change(ctl, text.data != NULL ? text.data : "");
    }
    buf_fini(&text);
    return code;
}

enum ctl_exit cmd_set_unset(struct ctl *ctl)
{
    return change(ctl, NULL);
}

/* -- delete -- */

/* Asks when requests would go nowhere. */
static enum ctl_exit confirm_delete(struct ctl *ctl, const struct kind_target *target)
{
    enum ctl_exit code = CTL_OK;
    struct buf path;
    if (target->kind->id == KIND_SERVERS) {
        return server_name_confirm_last(ctl, target->name.data, "deleted");
    }
    if (target->kind->id != KIND_LISTENERS) {
        return CTL_OK; /* what is in use is refused by lbd */
    }
    buf_init(&path, CTL_PATH_MAX);
    buf_printf(&path, "%s/status", target->path.data);
    struct json *status = ctl_get(ctl, path.data, NULL, &code);
    uint64_t connections = ctl_number(status, "connections");
    if (status != NULL && connections != 0) {
        code = confirm_ask(ctl, "listener %s has %llu %s", target->name.data,
                           (unsigned long long)connections,
                           ctl_plural(connections, "connection", "connections"));
    }
    json_free(status);
    buf_fini(&path);
    return code;
}

enum ctl_exit cmd_set_delete(struct ctl *ctl)
{
    struct kind_target target;
    struct rest_reply reply;
    struct proposal proposal;
    struct refusal_source source = {.name = NULL};
    struct buf root;
    struct json *before = NULL;
    enum ctl_exit code = CTL_OK;
    kind_split_pointer(ctl);
    const char *name = ctl->arg_count > 1 ? ctl->args[1] : NULL;
    rest_reply_init(&reply);
    buf_init(&root, CTL_PATH_MAX);
    bool ok = kind_target_read(ctl, ctl->args[0], name, &target, &code);
    buf_printf(&root, "/%s", ok ? buf_slice(&target.pointer).ptr : "");
    proposal_init(&proposal, ctl, "DELETE", ok ? target.path.data : "");
    if (ok && target.kind->id == KIND_CONFIG) {
        code = ctl_fail(ctl, CTL_USAGE, "config cannot be deleted; apply another one");
        ok = false;
    }
    if (!ok) {
        goto out;
    }
    before = ctl_get(ctl, target.path.data, &reply, &code);
    if (before == NULL) {
        goto out;
    }
    source.root = buf_slice(&root);
    proposal.source = &source;
    proposal.etag = reply.etag;
    proposal.revision_before = reply.revision;
    proposal.done = "deleted";
    code = proposal_rehearse(&proposal);
    if (code == CTL_OK && !ctl->dry_run) {
        code = confirm_delete(ctl, &target);
    }
    if (code == CTL_OK) {
        code = proposal_perform(&proposal);
    }
    if (proposal.was_overtaken) {
        (void)ctl_fail(ctl, code, "%s has changed meanwhile; nothing was deleted",
                       target.name.data);
    }
out:
    json_free(before);
    buf_fini(&root);
    proposal_fini(&proposal);
    rest_reply_fini(&reply);
    kind_target_fini(&target);
    return code;
}
