#include "lbd/proxy/route_explain.h"

#include "lbd/base/path_template.h"
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
    bool found = route_match(table, question) != NULL;
    arena_fini(&arena);
    return found;
}

/* 0: it asks for other protocols; 1: it asks for none; more: the earlier in the client's order. */
static uint64_t alpn_rank(const struct conf_match *match, const struct route_question *question)
{
    struct slice rest = question->alpn;
    uint64_t rank = UINT32_MAX;
    if (match->alpn_count == 0) {
        return 1;
    }
    while (rest.len > 0) {
        size_t len = (unsigned char)rest.ptr[0];
        if (len >= rest.len) {
            break;
        }
        for (uint32_t i = 0; i < match->alpn_count; i++) {
            if (slice_eq(match->alpn[i], slice_of(rest.ptr + 1, len))) {
                return rank;
            }
        }
        rest = slice_from_at(rest, len + 1);
        rank--;
    }
    return 0;
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
    bool fits = match->host_count == 0; /* regular expressions are asked later */
    if (host.len > 1 && host.ptr[host.len - 1] == '.') {
        host.len--;
    }
    for (uint32_t i = 0; i < match->host_count && !fits; i++) {
        fits = may_be_host(match->host[i], host);
    }
    if (question->by_name) {
        return fits && alpn_rank(match, question) != 0;
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

/* The host alone: one of the names, the regular expression, or any. */
static bool takes_any_host(const struct conf_match *whole, const struct route_question *question)
{
    const struct conf_match match = {
        .host = whole->host, .host_count = whole->host_count, .host_regex = whole->host_regex};
    return takes(&match, question);
}

static bool takes_path(const struct conf_match *whole, const struct route_question *question)
{
    const struct conf_match match = {.path = whole->path,
                                     .path_prefix = whole->path_prefix,
                                     .path_template = whole->path_template,
                                     .path_regex = whole->path_regex,
                                     .alpn = whole->alpn,
                                     .alpn_count = whole->alpn_count};
    return takes(&match, question);
}

/* Says of each condition that holds, or of each that does not. */
static void say_conditions(const struct conf_match *match, const struct route_question *question,
                           bool want_held, const char *lead, struct buf *out)
{
    _Alignas(8) char block[ARENA_BYTES];
    struct arena arena;
    arena_init(&arena, block, sizeof block);
    (void)route_condition_explain(route_condition_build(&arena, match), question, want_held, lead,
                                  out);
    arena_fini(&arena);
}

static bool is_wildcard(struct slice pattern)
{
    return slice_starts(pattern, SLICE("*."));
}

/* How exact a host pattern is: 0 none at all, then wildcards by their length, then exact. */
static uint64_t pattern_rank(struct slice pattern)
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
        if (pattern_rank(match->host[i]) > pattern_rank(best) &&
            takes_host(match->host[i], question)) {
            best = match->host[i];
        }
    }
    return best;
}

/* host_regex goes before any host; a wildcard has more than one byte. */
static uint64_t host_rank(const struct conf_match *match, const struct route_question *question)
{
    return match->host_regex.len != 0 ? 1 : pattern_rank(fitting_host(match, question));
}

/* How exact what stands beside the host is; templates are equal here. */
static uint64_t path_rank(const struct conf_match *match, const struct route_question *question)
{
    if (question->by_name) {
        return alpn_rank(match, question);
    }
    if (match->path.len != 0) {
        return UINT64_MAX;
    }
    if (match->path_template.len != 0) {
        return UINT64_MAX - 1;
    }
    if (match->path_regex.len != 0) {
        return UINT64_MAX - 2;
    }
    struct slice prefix = match->path_prefix;
    while (prefix.len > 1 && prefix.ptr[prefix.len - 1] == '/') {
        prefix.len--;
    }
    return prefix.len;
}

/* >0: the path of `a` goes before that of `b`. Both fit. */
static int compare_paths(const struct conf_match *a, const struct conf_match *b,
                         const struct route_question *question)
{
    struct path_template left;
    struct path_template right;
    const char *problem = NULL;
    uint64_t ranks[] = {path_rank(a, question), path_rank(b, question)};
    if (ranks[0] != ranks[1]) {
        return ranks[0] > ranks[1] ? 1 : -1;
    }
    if (path_template_read(a->path_template, &left, &problem) &&
        path_template_read(b->path_template, &right, &problem)) {
        return -path_template_compare(&left.shape, &right.shape);
    }
    return 0;
}

static void append_protocols(const struct conf_match *match, struct buf *out)
{
    for (uint32_t i = 0; i < match->alpn_count && i < SHOWN_MAX; i++) {
        (void)buf_printf(out, "%s%.*s", i != 0 ? " or " : "", SLICE_ARG(shown(match->alpn[i])));
    }
    if (match->alpn_count > SHOWN_MAX) {
        (void)buf_printf(out, " or one of %u more", match->alpn_count - SHOWN_MAX);
    }
}

static void append_path(const struct conf_match *match, const struct route_question *question,
                        struct buf *out)
{
    if (question->by_name) {
        (void)buf_append_text(out, match->alpn_count != 0 ? "alpn " : "any protocol");
        append_protocols(match, out);
        return;
    }
    if (match->path.len != 0) {
        (void)buf_printf(out, "path %.*s", SLICE_ARG(shown(match->path)));
    } else if (match->path_template.len != 0) {
        (void)buf_printf(out, "path_template %.*s", SLICE_ARG(shown(match->path_template)));
    } else if (match->path_regex.len != 0) {
        (void)buf_printf(out, "path_regex %.*s", SLICE_ARG(shown(match->path_regex)));
    } else if (match->path_prefix.len != 0) {
        (void)buf_printf(out, "path_prefix %.*s", SLICE_ARG(shown(match->path_prefix)));
    } else {
        (void)buf_append_text(out, "any path");
    }
}

static void append_host(const struct conf_match *match, const struct route_question *question,
                        struct buf *out)
{
    struct slice pattern = fitting_host(match, question);
    if (match->host_regex.len != 0) {
        (void)buf_printf(out, "host_regex %.*s", SLICE_ARG(shown(match->host_regex)));
    } else if (pattern.len != 0) {
        (void)buf_printf(out, "host %.*s", SLICE_ARG(shown(pattern)));
    } else {
        (void)buf_append_text(out, "any host");
    }
}

void route_explain_fit(const struct conf_match *match, const struct route_question *question,
                       struct buf *out)
{
    append_host(match, question, out);
    (void)buf_append_text(out, ", ");
    append_path(match, question, out);
    say_conditions(match, question, true, ", ", out);
}

/* How often so far a regular expression was given up: its limit of steps was reached. */
static uint64_t given_up(const struct route_question *question)
{
    return question->patterns != NULL ? question->patterns->limited : 0;
}

static void say_given_up(const char *what, struct slice subject, struct slice pattern,
                         struct buf *out)
{
    (void)buf_printf(out,
                     "%s: whether '%.*s' is matched by %.*s is not known: the limit of steps was "
                     "reached, which counts as no",
                     what, SLICE_ARG(shown(subject)), SLICE_ARG(shown(pattern)));
}

static void say_wrong_host(const struct conf_match *match, const struct route_question *question,
                           bool is_given_up, struct buf *out)
{
    if (is_given_up) {
        say_given_up("host", question->host, match->host_regex, out);
        return;
    }
    (void)buf_printf(out, "host: '%.*s' is not ", SLICE_ARG(shown(question->host)));
    if (match->host_regex.len != 0) {
        (void)buf_printf(out, "matched by %.*s", SLICE_ARG(shown(match->host_regex)));
        return;
    }
    for (uint32_t i = 0; i < match->host_count && i < SHOWN_MAX; i++) {
        (void)buf_printf(out, "%s%.*s", i != 0 ? ", " : "", SLICE_ARG(shown(match->host[i])));
    }
    if (match->host_count > SHOWN_MAX) {
        (void)buf_printf(out, " or one of %u more", match->host_count - SHOWN_MAX);
    }
}

static void say_wrong_path(const struct conf_match *match, const struct route_question *question,
                           bool is_given_up, struct buf *out)
{
    if (is_given_up) {
        say_given_up("path", question->path, match->path_regex, out);
        return;
    }
    if (question->by_name) {
        (void)buf_append_text(out, "alpn: the client does not offer ");
        append_protocols(match, out);
        return;
    }
    (void)buf_printf(out, "path: '%.*s' is not ", SLICE_ARG(shown(question->path)));
    if (match->path.len != 0) {
        (void)buf_append_slice(out, shown(match->path));
    } else if (match->path_template.len != 0) {
        (void)buf_append_slice(out, shown(match->path_template));
    } else if (match->path_regex.len != 0) {
        (void)buf_printf(out, "matched by %.*s", SLICE_ARG(shown(match->path_regex)));
    } else {
        (void)buf_printf(out, "%.*s or below it", SLICE_ARG(shown(match->path_prefix)));
    }
}

/* Both would take it: the first difference in the order of route.h. */
static void say_preferred(const struct conf_route *conf, const struct conf_route *winner,
                          const struct route_question *question, struct buf *out)
{
    const struct conf_match *match = &conf->match;
    const struct conf_match *winning = &winner->match;
    uint32_t conditions = route_condition_count(match);
    uint32_t winning_conditions = route_condition_count(winning);
    if (conf->priority != winner->priority) {
        (void)buf_printf(out, "priority: %d is less than %d", conf->priority, winner->priority);
    } else if (host_rank(match, question) != host_rank(winning, question)) {
        append_host(match, question, out);
        (void)buf_append_text(out, " is less exact than ");
        append_host(winning, question, out);
    } else if (compare_paths(match, winning, question) != 0) {
        append_path(match, question, out);
        (void)buf_append_text(out, " is less exact than ");
        append_path(winning, question, out);
    } else if (conditions != winning_conditions) {
        (void)buf_printf(out, "conditions: %u are fewer than the %u", conditions,
                         winning_conditions);
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
    bool is_first = true;
    uint64_t before = given_up(question);
    if (!takes_any_host(&conf->match, question)) {
        say_wrong_host(&conf->match, question, given_up(question) != before, out);
        is_first = false;
    }
    before = given_up(question);
    if (!takes_path(&conf->match, question)) {
        (void)buf_append_text(out, is_first ? "" : "; ");
        say_wrong_path(&conf->match, question, given_up(question) != before, out);
        is_first = false;
    }
    say_conditions(&conf->match, question, false, is_first ? "" : "; ", out);
    return false;
}
