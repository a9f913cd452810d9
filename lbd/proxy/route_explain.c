#include "lbd/proxy/route_explain.h"

#include "lbd/proxy/route.h"

enum {
    ARENA_BYTES = 4096, /* a table of one route */
    SHOWN_MAX = 4,      /* host patterns that are named */
    TEXT_SHOWN_MAX = 120
};

/* The matcher's answer for a table of this one match. */
static bool takes(const struct conf_match *match, const struct route_question *question)
{
    _Alignas(8) char block[ARENA_BYTES];
    struct conf_route conf = {.match = *match};
    struct route route = {.name = conf.name};
    const struct conf_route *confs[] = {&conf};
    struct route *routes[] = {&route};
    struct arena arena;
    arena_init(&arena, block, sizeof block);
    const struct route_table *table = route_table_build(&arena, confs, routes, 1);
    bool found = route_match(table, question->host, question->path) != NULL;
    arena_fini(&arena);
    return found;
}

static bool may_be_host(struct slice pattern, struct slice host)
{
    if (slice_starts(pattern, SLICE("*."))) {
        struct slice tail = slice_from_at(pattern, 1);
        return host.len > tail.len &&
               slice_eq_nocase(slice_from_at(host, host.len - tail.len), tail);
    }
    return slice_eq_nocase(pattern, host);
}

bool route_explain_may_take(const struct conf_match *match, const struct route_question *question)
{
    struct slice host = question->host;
    struct slice prefix = match->path_prefix;
    bool fits = match->host_count == 0;
    if (host.len > 1 && host.ptr[host.len - 1] == '.') {
        host.len--;
    }
    for (uint32_t i = 0; i < match->host_count && !fits; i++) {
        fits = may_be_host(match->host[i], host);
    }
    if (match->path.len != 0) {
        return fits && slice_eq(match->path, question->path);
    }
    while (prefix.len > 1 && prefix.ptr[prefix.len - 1] == '/') {
        prefix.len--;
    }
    return fits && slice_starts(question->path, prefix);
}

static struct slice shown(struct slice text)
{
    return text.len > TEXT_SHOWN_MAX ? slice_of(text.ptr, TEXT_SHOWN_MAX) : text;
}

static bool takes_host(struct slice pattern, const struct route_question *question)
{
    const struct conf_match match = {.host = &pattern, .host_count = 1};
    return takes(&match, question);
}

static bool takes_path(const struct conf_match *whole, const struct route_question *question)
{
    const struct conf_match match = {.path = whole->path, .path_prefix = whole->path_prefix};
    return takes(&match, question);
}

static bool is_wildcard(struct slice pattern)
{
    return slice_starts(pattern, SLICE("*."));
}

/* How exact a host pattern is: 0 none at all, then wildcards by their length, then exact. */
static uint64_t host_rank(struct slice pattern)
{
    if (pattern.len == 0) {
        return 0;
    }
    return is_wildcard(pattern) ? pattern.len : UINT64_MAX;
}

/* The pattern that decides: the most exact of those that fit; empty when any host does. */
static struct slice fitting_host(const struct conf_match *match,
                                 const struct route_question *question)
{
    struct slice best = SLICE_NONE;
    for (uint32_t i = 0; i < match->host_count; i++) {
        if (host_rank(match->host[i]) > host_rank(best) && takes_host(match->host[i], question)) {
            best = match->host[i];
        }
    }
    return best;
}

static uint64_t path_rank(const struct conf_match *match)
{
    if (match->path.len != 0) {
        return UINT64_MAX;
    }
    struct slice prefix = match->path_prefix;
    while (prefix.len > 1 && prefix.ptr[prefix.len - 1] == '/') {
        prefix.len--;
    }
    return prefix.len;
}

static void append_path(const struct conf_match *match, struct buf *out)
{
    if (match->path.len != 0) {
        (void)buf_printf(out, "path %.*s", SLICE_ARG(shown(match->path)));
    } else if (match->path_prefix.len != 0) {
        (void)buf_printf(out, "path_prefix %.*s", SLICE_ARG(shown(match->path_prefix)));
    } else {
        (void)buf_append_text(out, "any path");
    }
}

static void append_host(struct slice pattern, struct buf *out)
{
    if (pattern.len != 0) {
        (void)buf_printf(out, "host %.*s", SLICE_ARG(shown(pattern)));
    } else {
        (void)buf_append_text(out, "any host");
    }
}

void route_explain_fit(const struct conf_match *match, const struct route_question *question,
                       struct buf *out)
{
    append_host(fitting_host(match, question), out);
    (void)buf_append_text(out, ", ");
    append_path(match, out);
}

static void say_wrong_host(const struct conf_match *match, const struct route_question *question,
                           struct buf *out)
{
    (void)buf_printf(out, "host: '%.*s' is not ", SLICE_ARG(shown(question->host)));
    for (uint32_t i = 0; i < match->host_count && i < SHOWN_MAX; i++) {
        (void)buf_printf(out, "%s%.*s", i != 0 ? ", " : "", SLICE_ARG(shown(match->host[i])));
    }
    if (match->host_count > SHOWN_MAX) {
        (void)buf_printf(out, " or one of %u more", match->host_count - SHOWN_MAX);
    }
}

static void say_wrong_path(const struct conf_match *match, const struct route_question *question,
                           struct buf *out)
{
    (void)buf_printf(out, "path: '%.*s' is not ", SLICE_ARG(shown(question->path)));
    if (match->path.len != 0) {
        (void)buf_append_slice(out, shown(match->path));
    } else {
        (void)buf_printf(out, "%.*s or below it", SLICE_ARG(shown(match->path_prefix)));
    }
}

/* Both would take it: the first difference in the order of route.h. */
static void say_preferred(const struct conf_route *conf, const struct conf_route *winner,
                          const struct route_question *question, struct buf *out)
{
    struct slice host = fitting_host(&conf->match, question);
    struct slice winning_host = fitting_host(&winner->match, question);
    if (conf->priority != winner->priority) {
        (void)buf_printf(out, "priority: %d is less than %d", conf->priority, winner->priority);
    } else if (host_rank(host) != host_rank(winning_host)) {
        append_host(host, out);
        (void)buf_append_text(out, " is less exact than ");
        append_host(winning_host, out);
    } else if (path_rank(&conf->match) != path_rank(&winner->match)) {
        append_path(&conf->match, out);
        (void)buf_append_text(out, " is less exact than ");
        append_path(&winner->match, out);
    } else {
        (void)buf_append_text(out, "name: the same match, and it comes later in the alphabet");
    }
    (void)buf_printf(out, " of route '%.*s'", SLICE_ARG(winner->name));
}

bool route_explain_other(const struct conf_route *conf, const struct conf_route *winner,
                         const struct route_question *question, struct buf *out)
{
    if (takes(&conf->match, question)) {
        assert(winner != NULL); /* somebody has taken what this one would */
        say_preferred(conf, winner, question, out);
        return true;
    }
    if (takes_path(&conf->match, question)) {
        say_wrong_host(&conf->match, question, out);
    } else if (conf->match.host_count != 0 && fitting_host(&conf->match, question).len == 0) {
        say_wrong_host(&conf->match, question, out);
        (void)buf_append_text(out, "; ");
        say_wrong_path(&conf->match, question, out);
    } else {
        say_wrong_path(&conf->match, question, out);
    }
    return false;
}
