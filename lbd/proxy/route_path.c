#include "lbd/proxy/route_path.h"

#include <assert.h>

#include "lbd/http/uri.h"

const struct route_path *route_path_build(struct arena *arena, const struct conf_match *match,
                                          struct slice text)
{
    struct route_path *to = arena_zero(arena, sizeof(*to));
    const char *problem = NULL;
    to->text = text;
    to->has_template = path_template_read(match->path_template, &to->template, &problem);
    if (match->path_regex.len != 0) {
        to->pattern = pattern_compile(arena, match->path_regex, false, NULL);
        assert(to->pattern != NULL); /* conf_check has compiled it */
    }
    return to;
}

static struct slice without_slash(struct slice path)
{
    while (path.len > 0 && path.ptr[path.len - 1] == '/') {
        path.len--;
    }
    return path;
}

const struct route_path *route_path_build_prefix(struct arena *arena,
                                                 const struct conf_match *match,
                                                 struct slice prefix)
{
    struct route_path *to = arena_zero(arena, sizeof(*to));
    to->is_prefix = true;
    to->text = without_slash(prefix);
    to->cut = without_slash(match->path_prefix).len;
    return to;
}

/* {1} to {9} */
static uint32_t group_values(const struct route_path *to, struct slice path,
                             struct pattern_work *patterns,
                             struct path_template_value values[PATH_TEMPLATE_SEGMENTS_MAX])
{
    static const char digits[] = "0123456789";
    struct slice groups[PATTERN_GROUPS_MAX + 1];
    (void)pattern_groups(to->pattern, patterns, path, groups);
    for (uint32_t i = 0; i <= PATTERN_GROUPS_MAX; i++) {
        values[i] = (struct path_template_value){slice_of(digits + i, 1), groups[i]};
    }
    return PATTERN_GROUPS_MAX + 1;
}

static size_t fill(const struct route_path *to, struct slice path, struct pattern_work *patterns,
                   char *out)
{
    struct path_template_value values[PATH_TEMPLATE_SEGMENTS_MAX];
    uint32_t count = 0;
    if (to->has_template) {
        (void)path_template_match(&to->template, path, values, &count);
    } else if (to->pattern != NULL) {
        count = group_values(to, path, patterns, values);
    }
    return path_template_fill(to->text, values, count, out, ROUTE_PATH_MAX);
}

static size_t replace_prefix(const struct route_path *to, struct slice path, char *out)
{
    const struct path_template_value parts[] = {
        {SLICE_INIT("b"), to->text},
        {SLICE_INIT("r"), slice_from_at(path, to->cut)},
    };
    bool is_empty = to->text.len == 0 && parts[1].value.len == 0;
    return path_template_fill(is_empty ? SLICE("/") : SLICE("{b}{r}"), parts, 2, out,
                              ROUTE_PATH_MAX);
}

bool route_path_make(const struct route_path *to, struct slice path, struct pattern_work *patterns,
                     struct arena *arena, struct slice *out)
{
    char bytes[ROUTE_PATH_MAX];
    *out = path;
    if (path.len == 0 || path.ptr[0] != '/') {
        return true; /* OPTIONS * is about no path */
    }
    size_t len = to->is_prefix ? replace_prefix(to, path, bytes) : fill(to, path, patterns, bytes);
    if (len == SIZE_MAX) {
        return false;
    }
    return uri_path_normalise(arena_copy(arena, slice_of(bytes, len)), arena, out) ==
           URI_PATH_PLAIN;
}
