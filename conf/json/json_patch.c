#include "conf/json/json_patch.h"

#include "lbd/base/map.h"
#include "lbd/base/num.h"

enum {
    MERGE_LINEAR_MAX = 16, /* patches of more members look the target's up in a map */
    TOKEN_LEN_MAX = 65536, /* bytes of one pointer token */
};

/* The members of a target, found quickly when many will be asked for. */
struct member_index {
    struct json *target;
    struct map map;
    bool mapped;
};

static void index_init(struct member_index *index, struct json *target, const struct json *patch)
{
    index->target = target;
    index->mapped = json_count(patch) > MERGE_LINEAR_MAX;
    map_init(&index->map);
    if (!index->mapped) {
        return;
    }
    for (struct json *member = json_child(target); member != NULL; member = json_sibling(member)) {
        (void)map_put(&index->map, json_key(member), member);
    }
}

/* Patches have no duplicate keys, so nothing that was changed is asked for again. */
static struct json *index_get(const struct member_index *index, struct slice key)
{
    return index->mapped ? map_get(&index->map, key) : json_get(index->target, key);
}

/* RFC 7396 2 */
struct json *json_patch_merge(struct json *target, const struct json *patch)
{
    if (!json_is(patch, JSON_OBJECT)) {
        json_free(target);
        return json_copy(patch);
    }
    if (!json_is(target, JSON_OBJECT)) {
        json_free(target);
        target = json_new_object();
    }

    struct member_index index;
    index_init(&index, target, patch);
    const struct json *change = NULL;
    json_for_each(change, patch)
    {
        struct slice key = json_key(change);
        struct json *old = index_get(&index, key);
        if (json_is(change, JSON_NULL)) {
            if (old != NULL) {
                json_free(json_detach(target, old));
            }
        } else if (old != NULL && json_is(old, JSON_OBJECT) && json_is(change, JSON_OBJECT)) {
            struct json *merged = json_patch_merge(old, change);
            assert(merged == old); /* an object stays where it is */
        } else {
            if (old != NULL) {
                json_free(json_detach(target, old));
            }
            json_add(target, key, json_patch_merge(NULL, change));
        }
    }
    map_fini(&index.map);
    return target;
}

/* For an index that is only read from. */
static struct json *readable(const struct json *json)
{
    return (struct json *)(uintptr_t)json;
}

static struct json *make_object(const struct json *before, const struct json *after)
{
    struct json *patch = json_new_object();
    struct member_index old;
    struct member_index new;
    const struct json *member;
    index_init(&old, readable(before), after);
    index_init(&new, readable(after), before);
    json_for_each(member, before)
    {
        if (index_get(&new, json_key(member)) == NULL) {
            json_add(patch, json_key(member), json_new_null());
        }
    }
    json_for_each(member, after)
    {
        const struct json *was = index_get(&old, json_key(member));
        if (!json_equal(was, member)) {
            json_add(patch, json_key(member), json_patch_make(was, member));
        }
    }
    map_fini(&new.map);
    map_fini(&old.map);
    return patch;
}

struct json *json_patch_make(const struct json *before, const struct json *after)
{
    if (json_is(before, JSON_OBJECT) && json_is(after, JSON_OBJECT)) {
        return make_object(before, after);
    }
    return json_copy(after);
}

bool json_patch_overlap(const struct json *a, const struct json *b, struct buf *pointer)
{
    struct member_index index;
    const struct json *member;
    bool found = false;
    if (!json_is(a, JSON_OBJECT) || !json_is(b, JSON_OBJECT)) {
        return !json_equal(a, b);
    }
    index_init(&index, readable(b), a);
    json_for_each(member, a)
    {
        const struct json *other = index_get(&index, json_key(member));
        size_t len = pointer->len;
        if (other == NULL) {
            continue;
        }
        json_patch_append_token(pointer, json_key(member));
        found = json_patch_overlap(member, other, pointer);
        if (found) {
            break;
        }
        pointer->len = len;
        pointer->data[len] = '\0';
    }
    map_fini(&index.map);
    return found;
}

bool json_patch_pointer_valid(struct slice pointer)
{
    if (pointer.len == 0) {
        return true;
    }
    if (pointer.ptr[0] != '/') {
        return false;
    }
    for (size_t i = 0; i < pointer.len; i++) {
        if (pointer.ptr[i] == '\0') {
            return false;
        }
        if (pointer.ptr[i] == '~' &&
            (i + 1 == pointer.len || (pointer.ptr[i + 1] != '0' && pointer.ptr[i + 1] != '1'))) {
            return false;
        }
    }
    return true;
}

/* RFC 6901 4 */
bool json_patch_token(struct slice *rest, struct buf *token)
{
    buf_clear(token);
    if (rest->len == 0 || rest->ptr[0] != '/') {
        return false;
    }
    size_t i = 1;
    for (; i < rest->len && rest->ptr[i] != '/'; i++) {
        char c = rest->ptr[i];
        if (c == '~') {
            char escaped = i + 1 < rest->len ? rest->ptr[i + 1] : '\0';
            if (escaped != '0' && escaped != '1') {
                return false;
            }
            c = escaped == '0' ? '~' : '/';
            i++;
        }
        if (c == '\0' || !buf_append_char(token, c)) {
            return false; /* no key holds a zero byte */
        }
    }
    *rest = slice_from_at(*rest, i);
    return true;
}

void json_patch_append_token(struct buf *pointer, struct slice token)
{
    (void)buf_append_char(pointer, '/');
    for (size_t i = 0; i < token.len; i++) {
        if (token.ptr[i] == '~') {
            (void)buf_append_text(pointer, "~0");
        } else if (token.ptr[i] == '/') {
            (void)buf_append_text(pointer, "~1");
        } else {
            (void)buf_append_char(pointer, token.ptr[i]);
        }
    }
}

/* An array index: digits without a needless 0. */
static bool parse_index(struct slice token, uint32_t *index)
{
    uint64_t value = 0;
    if (!num_parse_u64(token, &value) || value > UINT32_MAX ||
        (token.len > 1 && token.ptr[0] == '0')) {
        return false;
    }
    *index = (uint32_t)value;
    return true;
}

static struct json *step(struct json *json, struct slice token)
{
    uint32_t index = 0;
    if (json_is(json, JSON_ARRAY)) {
        return parse_index(token, &index) ? json_at(json, index) : NULL;
    }
    return json_get(json, token);
}

/* Walks to the parent of what `pointer` names; the last token is left in `token`. */
static struct json *walk_to_parent(struct json *root, struct slice pointer, struct buf *token)
{
    struct slice rest = pointer;
    struct json *at = root;
    if (!json_patch_token(&rest, token)) {
        return NULL;
    }
    while (at != NULL && rest.len > 0) {
        at = step(at, buf_slice(token));
        if (!json_patch_token(&rest, token)) {
            return NULL;
        }
    }
    return at;
}

struct json *json_patch_get(struct json *root, struct slice pointer)
{
    if (pointer.len == 0) {
        return root;
    }
    struct buf token;
    buf_init(&token, TOKEN_LEN_MAX);
    struct json *parent = walk_to_parent(root, pointer, &token);
    struct json *found = parent != NULL ? step(parent, buf_slice(&token)) : NULL;
    buf_fini(&token);
    return found;
}

static bool set_in_array(struct json *array, struct slice token, struct json *value)
{
    uint32_t index = 0;
    if (slice_eq(token, SLICE("-"))) {
        json_append(array, value);
        return true;
    }
    if (!parse_index(token, &index)) {
        return false;
    }
    struct json *old = json_take_at(array, index);
    if (old == NULL) {
        return false;
    }
    json_free(old);
    json_insert(array, index, value);
    return true;
}

bool json_patch_set(struct json *root, struct slice pointer, struct json *value)
{
    struct buf token;
    buf_init(&token, TOKEN_LEN_MAX);
    struct json *parent = walk_to_parent(root, pointer, &token);
    bool ok = false;
    if (json_is(parent, JSON_OBJECT)) {
        json_set(parent, buf_slice(&token), value);
        ok = true;
    } else if (json_is(parent, JSON_ARRAY)) {
        ok = set_in_array(parent, buf_slice(&token), value);
    }
    if (!ok) {
        json_free(value);
    }
    buf_fini(&token);
    return ok;
}

bool json_patch_remove(struct json *root, struct slice pointer)
{
    struct buf token;
    buf_init(&token, TOKEN_LEN_MAX);
    struct json *parent = walk_to_parent(root, pointer, &token);
    struct json *found = parent != NULL ? step(parent, buf_slice(&token)) : NULL;
    if (found != NULL) {
        json_free(json_detach(parent, found));
    }
    buf_fini(&token);
    return found != NULL;
}
