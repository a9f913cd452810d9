/* control_members - endpoints that the API has written into pools of a file's document; see
 * control_inside.h.
 *
 * In file mode the file owns the document, but the servers of a pool with "members": "api" are the
 * API's. They are kept as members.json and laid over the file's document at every start and reload:
 *
 *     {"pools":{"web":{"a":{"address":"10.0.0.1:80"}}}}
 *
 * The file's own servers of such a pool count until the first endpoints are written. What is kept
 * for a pool that the file does not name any more, or has taken back, is dropped by the next write.
 */
#include <stdlib.h>
#include <string.h>

#include "conf/json/json.h"
#include "conf/json/json_write.h"
#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/control/control_inside.h"

#define POINTER_MAX  128
#define NAME_MAX_LEN 63 /* of a pool */

void control_members_saved(struct control *control, struct slice text)
{
    free(control->members.text);
    control->members.text = mem_slicedup(text);
    control->members.len = text.len;
}

static struct json *parse(struct slice text, struct err *err)
{
    struct json_limits limits = json_limits_document;
    struct json_error why;
    limits.bytes = CONF_STORE_FILE_MAX;
    struct json *json = json_parse(text, JSON_STRICT, &limits, &why);
    if (json == NULL) {
        (void)err_set(err, ERR_MALFORMED, "line %u, column %u: %s", why.line, why.column, why.text);
    } else if (!json_is(json_get(json, SLICE("pools")), JSON_OBJECT)) {
        (void)err_set(err, ERR_MALFORMED, "there is no object 'pools'");
        json_free(json);
        json = NULL;
    }
    return json;
}

bool control_members_read(struct control *control, struct err *err)
{
    struct buf text;
    buf_init(&text, CONF_STORE_FILE_MAX);
    bool ok = conf_store_read_file(control->store, CONF_STORE_MEMBERS, &text, err);
    if (ok && text.len != 0) {
        struct json *json = parse(buf_slice(&text), err);
        if (json != NULL) {
            control_members_saved(control, buf_slice(&text));
        } else { /* serving is more than endpoints; but somebody must know */
            log_error("members.damaged", "why=\"%s\"", err->text);
            control->facts.is_degraded = true;
        }
        json_free(json);
    }
    buf_fini(&text);
    return ok;
}

static bool is_api_pool(const struct conf *conf, struct slice name)
{
    const struct conf_pool *pool = conf_pool_find(conf, name);
    return pool != NULL && pool->members == CONF_MEMBERS_API;
}

/* "/pools/NAME/servers" */
static struct slice pool_of(struct slice pointer)
{
    struct slice part;
    struct slice rest = slice_from_at(pointer, 1);
    (void)slice_split(&rest, '/', &part);
    return slice_split(&rest, '/', &part) ? part : SLICE_NONE;
}

bool control_members_are_ours(const struct conf_document *document, struct slice servers_pointer)
{
    return is_api_pool(conf_document_conf(document), pool_of(servers_pointer));
}

/* One pool after the other: what cannot be used of one says nothing about the next. */
static struct conf_document *merge_pool(struct control *control, struct conf_document *document,
                                        const struct json *members)
{
    char pointer[POINTER_MAX];
    struct buf body;
    struct json_write w;
    struct err err;
    struct conf_errors *errors = mem_zero(1, sizeof(*errors));
    int len =
        snprintf(pointer, sizeof(pointer), "/pools/%.*s/servers", SLICE_ARG(json_key(members)));
    conf_errors_init(errors);
    buf_init(&body, CONF_STORE_FILE_MAX);
    json_write_init(&w, &body, JSON_COMPACT);
    json_write_json(&w, members);
    struct conf_document *made = conf_document_edit(
        document, CONF_EDIT_PUT, slice_of(pointer, (size_t)len), buf_slice(&body), errors, &err);
    if (made == NULL) {
        log_error("members.not_used", "pool=%.*s why=\"%s%s%.*s\"", SLICE_ARG(json_key(members)),
                  err.text, errors->error_count != 0 ? ": " : "",
                  SLICE_ARG(errors->error_count != 0 ? errors->errors[0].detail : SLICE_NONE));
        control->facts.is_degraded = true;
        made = conf_document_ref(document);
    }
    buf_fini(&body);
    conf_errors_fini(errors);
    free(errors);
    return made;
}

struct conf_document *control_members_merge(struct control *control, struct conf_document *document)
{
    const struct json *item = NULL;
    struct err err;
    struct conf_document *made = conf_document_ref(document);
    if (control->members.text == NULL) {
        return made;
    }
    struct json *json = parse(slice_of(control->members.text, control->members.len), &err);
    json_for_each(item, json_get(json, SLICE("pools")))
    {
        if (json_key(item).len <= NAME_MAX_LEN &&
            is_api_pool(conf_document_conf(document), json_key(item))) {
            struct conf_document *next = merge_pool(control, made, item);
            conf_document_unref(made);
            made = next;
        }
    }
    json_free(json);
    return made;
}

void control_members_write(const struct control *control, const struct conf_document *document,
                           struct slice servers_pointer, struct buf *out)
{
    const struct conf *conf = conf_document_conf(document);
    struct slice written = pool_of(servers_pointer);
    struct err err;
    struct json *kept = control->members.text != NULL
                            ? parse(slice_of(control->members.text, control->members.len), &err)
                            : NULL;
    bool is_first = true;
    (void)buf_append_text(out, "{\"pools\":{");
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        const struct conf_pool *pool = &conf->pools[i];
        char pointer[POINTER_MAX];
        if (pool->members != CONF_MEMBERS_API ||
            (!slice_eq(pool->name, written) &&
             json_get(json_get(kept, SLICE("pools")), pool->name) == NULL)) {
            continue;
        }
        int len = snprintf(pointer, sizeof(pointer), "/pools/%.*s/servers", SLICE_ARG(pool->name));
        (void)buf_printf(out, "%s\"%.*s\":", is_first ? "" : ",", SLICE_ARG(pool->name));
        is_first = !conf_document_text(document, slice_of(pointer, (size_t)len), out);
    }
    (void)buf_append_text(out, "}}\n");
    json_free(kept);
}
