#include "lbd/filter/filter_users.h"

#include <stdlib.h>
#include <string.h>

static bool is_strong(struct slice hash)
{
    static const char *const kinds[] = {"$y$", "$2y$", "$2b$", "$2a$", "$7$", "$6$", "$5$"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (slice_starts(hash, slice_from(kinds[i]))) {
            return hash.len <= FILTER_USERS_HASH_MAX;
        }
    }
    return false;
}

static int by_name(const void *a, const void *b)
{
    const struct filter_user *left = a;
    const struct filter_user *right = b;
    return slice_compare(left->name, right->name);
}

static uint32_t count_lines(struct slice text)
{
    uint32_t count = 1;
    for (size_t i = 0; i < text.len; i++) {
        count += text.ptr[i] == '\n';
    }
    return count;
}

static bool read_line(struct filter_users *users, struct arena *arena, struct slice line,
                      uint32_t number, struct err *err)
{
    size_t colon = slice_find(line, ':');
    if (line.len == 0 || line.ptr[0] == '#') {
        return true;
    }
    if (colon == 0 || colon >= line.len || colon > FILTER_USERS_NAME_MAX) {
        return err_set(err, ERR_INVALID, "line %u is not NAME:HASH", number);
    }
    struct slice hash = slice_from_at(line, colon + 1);
    hash = slice_of(hash.ptr, slice_find(hash, ':') < hash.len ? slice_find(hash, ':') : hash.len);
    if (!is_strong(hash)) {
        return err_set(err, ERR_INVALID,
                       "line %u: the hash is none of yescrypt, bcrypt, scrypt, SHA-512, SHA-256 "
                       "(mkpasswd, htpasswd -B)",
                       number);
    }
    users->list[users->count++] = (struct filter_user){
        .name = arena_copy(arena, slice_of(line.ptr, colon)), .hash = arena_strdup(arena, hash)};
    return true;
}

bool filter_users_read(struct filter_users *users, struct arena *arena, struct slice text,
                       struct err *err)
{
    uint32_t lines = count_lines(text);
    if (lines > FILTER_USERS_MAX) {
        return err_set(err, ERR_INVALID, "more than %u users", FILTER_USERS_MAX);
    }
    *users = (struct filter_users){.list = arena_alloc(arena, lines * sizeof(*users->list))};
    for (uint32_t number = 1; text.len > 0; number++) {
        size_t end = slice_find(text, '\n');
        struct slice line = slice_of(text.ptr, end < text.len ? end : text.len);
        text = slice_from_at(text, line.len + 1);
        if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
            line.len--;
        }
        if (!read_line(users, arena, line, number, err)) {
            return false;
        }
    }
    qsort(users->list, users->count, sizeof(*users->list), by_name);
    for (uint32_t i = 1; i < users->count; i++) {
        if (slice_eq(users->list[i - 1].name, users->list[i].name)) {
            return err_set(err, ERR_INVALID, "the user '%.*s' is there twice",
                           SLICE_ARG(users->list[i].name));
        }
    }
    return true;
}

const struct filter_user *filter_users_find(const struct filter_users *users, struct slice name)
{
    uint32_t low = 0;
    uint32_t high = users->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = slice_compare(users->list[middle].name, name);
        if (order == 0) {
            return &users->list[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}
