/*
 * route_path - the path that a route makes of the one it matched: rewrites and redirects.
 *
 *     match            to                       /api/users/7  ->
 *     path_prefix      prefix "/v2"             /v2/users/7        ("/api"); "/" takes it off
 *     path_template    path "/u/{id}/x"         /u/7/x             ("/api/users/{id}")
 *     path_regex       path "/{1}"              /users             ("/api/([a-z]+)/.*")
 *     anything         path "/fixed"            /fixed
 *
 * What comes out must be as normal as what came in (R10): values that make a dot segment or another
 * escape when they are put together make no path. It is written through one bounded cursor (R11):
 * what would be longer than ROUTE_PATH_MAX is none either.
 *
 * Memory: in the arena of the snapshot; results in the arena that is passed. Threads: built on
 * control; read on any worker.
 */
#ifndef LBD_PROXY_ROUTE_PATH_H
#define LBD_PROXY_ROUTE_PATH_H

#include <stdbool.h>

#include "conf/conf.h"
#include "lbd/base/arena.h"
#include "lbd/base/path_template.h"
#include "lbd/base/pattern.h"

#define ROUTE_PATH_MAX 8192U

struct route_path {
    struct slice text; /* the new path, or the new beginning */
    bool is_prefix;    /* `text` stands in place of the first `cut` bytes */
    bool has_template; /* of the match */
    size_t cut;
    struct path_template template;
    const struct pattern *pattern; /* of the match; NULL: none */
};

/* `text`: a path with variables of the match. */
const struct route_path *route_path_build(struct arena *arena, const struct conf_match *match,
                                          struct slice text);
/* `prefix` in place of match->path_prefix; empty: nothing. */
const struct route_path *route_path_build_prefix(struct arena *arena,
                                                 const struct conf_match *match,
                                                 struct slice prefix);
/* The path that `path`, which was matched, becomes. False: it would be none. */
bool route_path_make(const struct route_path *to, struct slice path, struct pattern_work *patterns,
                     struct arena *arena, struct slice *out);

#endif
