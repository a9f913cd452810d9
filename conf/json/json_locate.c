#include "conf/json/json_locate.h"

#include "conf/json/json_patch.h"
#include "conf/json/json_scan.h"
#include "lbd/base/buf.h"
#include "lbd/base/num.h"

enum {
    WALK_DEPTH_MAX = 64,
    KEY_LEN_MAX = 65536,
};

/* A set of queries, a bit each. */
struct query_set {
    uint64_t bits[JSON_LOCATE_MAX / 64];
};

struct walk {
    struct slice text;
    size_t at;
    struct json_place *places;
    struct slice rest[JSON_LOCATE_MAX]; /* of each pointer, what is still to be followed */
    uint32_t unfound;
    struct buf key;   /* the key at the cursor, when it has escapes */
    struct buf token; /* the next part of a pointer */
};

static bool set_is_empty(const struct query_set *set)
{
    return (set->bits[0] | set->bits[1]) == 0;
}

static bool set_has(const struct query_set *set, uint32_t i)
{
    return (set->bits[i / 64] >> (i % 64) & 1) != 0;
}

static void set_add(struct query_set *set, uint32_t i)
{
    set->bits[i / 64] |= UINT64_C(1) << (i % 64);
}

static void set_drop(struct query_set *set, uint32_t i)
{
    set->bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

static char here(const struct walk *walk)
{
    return walk->at < walk->text.len ? walk->text.ptr[walk->at] : '\0';
}

static void skip_comment(struct walk *walk)
{
    struct slice rest = slice_from_at(walk->text, walk->at);
    const char *end = NULL;
    size_t over = 0;
    if (rest.len > 1 && rest.ptr[1] == '*') {
        end = rest.len > 2 ? memmem(rest.ptr + 2, rest.len - 2, "*/", 2) : NULL;
        over = 2;
    } else {
        end = memchr(rest.ptr, '\n', rest.len);
    }
    walk->at = end == NULL ? walk->text.len : (size_t)(end - walk->text.ptr) + over;
}

/* Spaces, comments and commas: what may stand between two items. */
static void skip_between(struct walk *walk)
{
    for (;;) {
        char c = here(walk);
        if (c == '/') {
            skip_comment(walk);
        } else if (walk->at < walk->text.len && (c == ' ' || c == '\n' || c == '\r' || c == '\t' ||
                                                 c == ',' || (walk->at == 0 && c == '\xef'))) {
            walk->at += c == '\xef' ? 3 : 1; /* a byte order mark */
        } else {
            return;
        }
    }
}

/* The cursor stands on '"'. Returns what is between the quotes. */
static struct slice skip_string(struct walk *walk, bool *has_escapes)
{
    size_t start = ++walk->at;
    *has_escapes = false;
    while (walk->at < walk->text.len && here(walk) != '"') {
        if (here(walk) == '\\') {
            *has_escapes = true;
            walk->at++;
        }
        walk->at++;
    }
    if (walk->at > walk->text.len) {
        walk->at = walk->text.len;
    }
    struct slice quoted = slice_of(walk->text.ptr + start, walk->at - start);
    if (walk->at < walk->text.len) {
        walk->at++;
    }
    return quoted;
}

static void skip_value(struct walk *walk)
{
    size_t depth = 0;
    bool has_escapes = false;
    do {
        skip_between(walk);
        char c = here(walk);
        if (walk->at >= walk->text.len) {
            return;
        }
        if (c == '"') {
            (void)skip_string(walk, &has_escapes);
        } else if (c == '{' || c == '[') {
            depth++;
            walk->at++;
        } else if (c == '}' || c == ']') {
            if (depth == 0) {
                return; /* not ours: there was no value */
            }
            depth--;
            walk->at++;
        } else if (c == ':') {
            walk->at++;
        } else {
            do { /* a number or a word */
                walk->at++;
                c = here(walk);
            } while (walk->at < walk->text.len && c != ',' && c != '}' && c != ']' && c != ' ' &&
                     c != '\n' && c != '\r' && c != '\t' && c != '/');
        }
    } while (depth > 0);
}

static void note(struct walk *walk, uint32_t query, size_t key_at, size_t value_at)
{
    struct json_place *place = &walk->places[query];
    place->exact = walk->rest[query].len == 0;
    place->offset = place->want_key && place->exact ? key_at : value_at;
    if (place->exact) {
        walk->unfound--;
    }
}

/* Which queries go on into the item called `name`? They leave `queries`: names are unique. */
static struct query_set choose(struct walk *walk, struct query_set *queries, struct slice name,
                               size_t key_at, size_t value_at)
{
    struct query_set inside = {{0}};
    for (uint32_t i = 0; i < JSON_LOCATE_MAX; i++) {
        if (!set_has(queries, i)) {
            continue;
        }
        struct slice rest = walk->rest[i];
        if (!json_patch_token(&rest, &walk->token)) {
            set_drop(queries, i);
            continue;
        }
        if (!slice_eq(buf_slice(&walk->token), name)) {
            continue;
        }
        walk->rest[i] = rest;
        note(walk, i, key_at, value_at);
        set_drop(queries, i);
        if (rest.len > 0) {
            set_add(&inside, i);
        }
    }
    return inside;
}

static void walk_value(struct walk *walk, struct query_set queries, uint32_t depth);

static void walk_member(struct walk *walk, struct query_set *queries, uint32_t depth)
{
    size_t key_at = walk->at;
    bool has_escapes = false;
    struct slice name = skip_string(walk, &has_escapes);
    if (has_escapes) {
        buf_clear(&walk->key);
        json_scan_unescape(name, &walk->key);
        name = buf_slice(&walk->key);
    }
    skip_between(walk);
    if (here(walk) == ':') {
        walk->at++;
    }
    skip_between(walk);
    walk_value(walk, choose(walk, queries, name, key_at, walk->at), depth);
}

static void walk_element(struct walk *walk, struct query_set *queries, uint64_t index,
                         uint32_t depth)
{
    char name[NUM_TEXT_MAX];
    size_t len = num_write_u64(name, index);
    walk_value(walk, choose(walk, queries, slice_of(name, len), walk->at, walk->at), depth);
}

static void walk_value(struct walk *walk, struct query_set queries, uint32_t depth)
{
    char open = here(walk);
    if (walk->unfound == 0) {
        return; /* nobody reads on */
    }
    if (set_is_empty(&queries) || (open != '{' && open != '[') || depth >= WALK_DEPTH_MAX) {
        skip_value(walk);
        return;
    }
    walk->at++;
    for (uint64_t index = 0; walk->unfound > 0; index++) {
        size_t before = walk->at;
        skip_between(walk);
        char c = here(walk);
        if (walk->at >= walk->text.len) {
            return;
        }
        if (c == '}' || c == ']') {
            walk->at++;
            return;
        }
        if (open == '[' && !set_is_empty(&queries)) {
            walk_element(walk, &queries, index, depth + 1);
        } else if (open == '{' && c == '"') {
            walk_member(walk, &queries, depth + 1);
        } else {
            skip_value(walk); /* nobody looks for it, or it is no JSON */
        }
        if (walk->at == before) {
            return;
        }
    }
}

/* Lines and columns of all offsets in one pass: the queries sorted by offset. */
static void count_lines(struct slice text, struct json_place *places, uint32_t count)
{
    uint32_t order[JSON_LOCATE_MAX];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = i;
        while (place > 0 && places[order[place - 1]].offset > places[i].offset) {
            order[place] = order[place - 1];
            place--;
        }
        order[place] = i;
    }
    /* On from place to place: a document of one line is not counted from its start for each. */
    uint32_t line = 1;
    uint32_t column = 1;
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct json_place *place = &places[order[i]];
        uint32_t lines = 1;
        uint32_t columns = 1;
        json_scan_position(slice_from_at(text, at), place->offset - at, &lines, &columns);
        column = lines > 1 ? columns : column + columns - 1;
        line += lines - 1;
        at = place->offset;
        place->line = line;
        place->column = column;
    }
}

void json_locate_all(struct slice text, struct json_place *places, uint32_t count)
{
    assert(count <= JSON_LOCATE_MAX);
    struct walk walk = {.text = text, .places = places};
    struct query_set queries = {{0}};
    buf_init(&walk.key, KEY_LEN_MAX);
    buf_init(&walk.token, KEY_LEN_MAX);
    skip_between(&walk);
    walk.unfound = count;
    for (uint32_t i = 0; i < count; i++) {
        walk.rest[i] = places[i].pointer;
        note(&walk, i, walk.at, walk.at);
        if (places[i].pointer.len > 0) {
            set_add(&queries, i);
        }
    }
    if (walk.at >= text.len) {
        for (uint32_t i = 0; i < count; i++) {
            places[i].exact = false;
            places[i].offset = 0;
            places[i].line = 0;
            places[i].column = 0;
        }
    } else {
        walk_value(&walk, queries, 0);
        count_lines(text, places, count);
    }
    buf_fini(&walk.key);
    buf_fini(&walk.token);
}

bool json_locate(struct slice text, struct slice pointer, uint32_t *line, uint32_t *column)
{
    struct json_place place = {.pointer = pointer};
    json_locate_all(text, &place, 1);
    *line = place.line;
    *column = place.column;
    return place.exact;
}
