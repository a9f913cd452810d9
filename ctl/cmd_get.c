#include "ctl/cmd_get.h"

#include <poll.h>
#include <stdio.h>

#include "conf/json/json_write.h"
#include "ctl/cmd_cert.h"
#include "ctl/cmd_status.h"
#include "ctl/listing.h"

enum { WATCH_TIMEOUT_MS = 45 * 1000, WATCH_PAUSE_MS = 1000, SOURCES_SHOWN = 3 };

/* -- cells that are more than one value -- */

/* "shop.example.com, *.example.org", "~ regex", or "any" */
static void cell_host(struct print_table *table, const struct json *config,
                      const struct json *status)
{
    struct buf text;
    const struct json *host;
    (void)status;
    buf_init(&text, CTL_PATH_MAX);
    json_for_each(host, ctl_member(config, "match.host"))
    {
        if (text.len != 0) {
            buf_append_text(&text, ", ");
        }
        buf_append_slice(&text, json_string(host));
    }
    struct slice regex = ctl_text(config, "match.host_regex");
    if (text.len == 0 && regex.len != 0) {
        buf_printf(&text, "~ %.*s", SLICE_ARG(regex));
    }
    print_table_cell(table, PRINT_PLAIN, text.len != 0 ? buf_slice(&text) : SLICE("any"));
    buf_fini(&text);
}

static void append_condition(struct buf *text, const char *before, const char *what,
                             struct slice name)
{
    buf_printf(text, "%s%s%s %.*s", text->len != 0 ? ", " : "", before, what, SLICE_ARG(name));
}

/* Those on headers, cookies or parameters: {"exact": {"X-Env": "canary"}, "absent": ["X-Old"]}. */
static void append_named(struct buf *text, const struct json *config, const char *what)
{
    char path[64];
    const struct json *how;
    const struct json *one;
    (void)snprintf(path, sizeof(path), "match.%s", what);
    json_for_each(how, ctl_member(config, path))
    {
        bool is_exact = slice_eq(json_key(how), SLICE("exact"));
        bool is_absent = slice_eq(json_key(how), SLICE("absent"));
        json_for_each(one, how)
        {
            bool is_list = json_is(how, JSON_ARRAY);
            append_condition(text, is_absent ? "no " : "", what,
                             is_list ? json_string(one) : json_key(one));
            if (is_exact && !is_list) {
                buf_printf(text, "=%.*s", SLICE_ARG(json_string(one)));
            }
        }
    }
}

/* What else must hold: "GET, header X-Env=canary, no cookie group, source 10.0.0.0/8" */
static void cell_conditions(struct print_table *table, const struct json *config,
                            const struct json *status)
{
    struct buf text;
    const struct json *one;
    (void)status;
    buf_init(&text, CTL_TEXT_MAX);
    json_for_each(one, ctl_member(config, "match.method"))
    {
        append_condition(&text, "", "method", json_string(one));
    }
    append_named(&text, config, "header");
    append_named(&text, config, "cookie");
    append_named(&text, config, "query");
    const struct json *sources = ctl_member(config, "match.source");
    if (json_count(sources) > SOURCES_SHOWN) {
        buf_printf(&text, "%s%u sources", text.len != 0 ? ", " : "", json_count(sources));
        sources = NULL;
    }
    json_for_each(one, sources)
    {
        append_condition(&text, "", "source", json_string(one));
    }
    print_table_cell(table, PRINT_PLAIN, buf_slice(&text));
    buf_fini(&text);
}

/* "split stable 95, canary 5" */
static void cell_split(struct print_table *table, const struct json *pools)
{
    struct buf text;
    const struct json *pool;
    buf_init(&text, CTL_TEXT_MAX);
    buf_append_text(&text, "split");
    json_for_each(pool, pools)
    {
        buf_printf(&text, "%s %.*s %llu", pool != json_first(pools) ? "," : "",
                   SLICE_ARG(json_key(pool)), (unsigned long long)json_number(pool));
    }
    print_table_cell(table, PRINT_PLAIN, buf_slice(&text));
    buf_fini(&text);
}

/* "/exact", "/prefix/...", "/a/{b}", or "~ regex" */
static void cell_path(struct print_table *table, const struct json *config,
                      const struct json *status)
{
    struct slice path = ctl_text(config, "match.path");
    struct slice prefix = ctl_text(config, "match.path_prefix");
    struct slice template = ctl_text(config, "match.path_template");
    struct slice regex = ctl_text(config, "match.path_regex");
    (void)status;
    if (path.len != 0) {
        print_table_cell(table, PRINT_PLAIN, path);
    } else if (prefix.len != 0) {
        print_table_cellf(table, PRINT_PLAIN, "%.*s%s", SLICE_ARG(prefix),
                          slice_ends(prefix, SLICE("/")) ? "..." : "/...");
    } else if (template.len != 0) {
        print_table_cell(table, PRINT_PLAIN, template);
    } else if (regex.len != 0) {
        print_table_cellf(table, PRINT_PLAIN, "~ %.*s", SLICE_ARG(regex));
    } else {
        print_table_cell(table, PRINT_PLAIN, SLICE("any"));
    }
}

static void cell_action(struct print_table *table, const struct json *config,
                        const struct json *status)
{
    struct slice pool = ctl_text(config, "action.pool");
    struct slice location = ctl_text(config, "action.redirect.location");
    (void)status;
    if (pool.len != 0) {
        print_table_cellf(table, PRINT_PLAIN, "pool %.*s", SLICE_ARG(pool));
    } else if (ctl_member(config, "action.split") != NULL) {
        cell_split(table, ctl_member(config, "action.split.pools"));
    } else if (ctl_member(config, "action.redirect") != NULL) {
        print_table_cellf(table, PRINT_PLAIN, "redirect %llu %.*s",
                          (unsigned long long)ctl_number(config, "action.redirect.status"),
                          SLICE_ARG(location));
    } else {
        print_table_cellf(table, PRINT_PLAIN, "respond %llu",
                          (unsigned long long)ctl_number(config, "action.respond.status"));
    }
}

static void cell_usable(struct print_table *table, const struct json *config,
                        const struct json *status)
{
    uint64_t all = json_count(ctl_member(config, "servers"));
    uint64_t usable = ctl_number(status, "usable");
    enum print_color color = usable == all ? PRINT_GOOD : usable == 0 ? PRINT_BAD : PRINT_WARN;
    print_table_cellf(table, all == 0 ? PRINT_WARN : color, "%llu/%llu", (unsigned long long)usable,
                      (unsigned long long)all);
}

static void cell_health(struct print_table *table, const struct json *config,
                        const struct json *status)
{
    struct slice health = ctl_text(status, "health");
    (void)config;
    print_table_cell(table, cmd_status_health_color(health), health);
}

static void cell_admin(struct print_table *table, const struct json *config,
                       const struct json *status)
{
    struct slice admin = ctl_text(status, "admin");
    (void)config;
    print_table_cell(table, cmd_status_admin_color(admin), admin);
}

/* "100", or "7/100" when another weight counts for now, "0/100" when the server is sent nothing; a
 * share beside what it comes to: "33/25%" */
static void cell_weight(struct print_table *table, const struct json *config,
                        const struct json *status)
{
    uint64_t configured = ctl_number(config, "weight");
    uint64_t effective = ctl_number(status, "effective_weight");
    bool is_known = ctl_member(status, "effective_weight") != NULL;
    struct slice share = ctl_text(config, "weight");
    if (share.len != 0) {
        if (is_known) {
            print_table_cellf(table, PRINT_PLAIN, "%llu/%.*s", (unsigned long long)effective,
                              SLICE_ARG(share));
        } else {
            print_table_cell(table, PRINT_PLAIN, share);
        }
    } else if (configured == 0) {
        print_table_cell(table, PRINT_PLAIN, SLICE_NONE);
    } else if (!is_known || effective == configured) {
        print_table_cellf(table, PRINT_PLAIN, "%llu", (unsigned long long)configured);
    } else {
        print_table_cellf(table, PRINT_WARN, "%llu/%llu", (unsigned long long)effective,
                          (unsigned long long)configured);
    }
}

/* Whether TLS ends there, and whether clients must show who they are. */
static void cell_tls(struct print_table *table, const struct json *config,
                     const struct json *status)
{
    struct slice mode = ctl_text(config, "tls.client_auth.mode");
    (void)status;
    if (ctl_member(config, "tls") == NULL) {
        print_table_cell(table, PRINT_PLAIN, SLICE_NONE);
    } else if (mode.len == 0 || slice_eq(mode, SLICE("off"))) {
        bool is_starttls = json_bool(ctl_member(config, "mail.starttls"));
        print_table_cell(table, PRINT_PLAIN, is_starttls ? SLICE("starttls") : SLICE("yes"));
    } else {
        print_table_cellf(table, PRINT_PLAIN, "client %.*s", SLICE_ARG(mode));
    }
}

static void cell_disabled(struct print_table *table, const struct json *config,
                          const struct json *status)
{
    bool is_disabled = json_bool(ctl_member(config, "disabled"));
    (void)status;
    print_table_cell(table, is_disabled ? PRINT_WARN : PRINT_PLAIN,
                     is_disabled ? SLICE("yes") : SLICE_NONE);
}

static void cell_entries(struct print_table *table, const struct json *config,
                         const struct json *status)
{
    (void)status;
    print_table_cellf(table, PRINT_PLAIN, "%u", json_count(ctl_member(config, "entries")));
}

static void cell_target(struct print_table *table, const struct json *config,
                        const struct json *status)
{
    struct slice host = ctl_text(config, "host");
    struct slice type = ctl_text(config, "type");
    (void)status;
    if (slice_eq(type, SLICE("grpc"))) {
        struct slice service = ctl_text(config, "service");
        print_table_cellf(table, PRINT_PLAIN, "Check%s%.*s", service.len != 0 ? " " : "",
                          SLICE_ARG(service));
        return;
    }
    if (!slice_eq(type, SLICE("http"))) {
        print_table_cell(table, PRINT_PLAIN,
                         slice_eq(type, SLICE("tls")) ? SLICE("handshake") : SLICE("connect"));
        return;
    }
    struct slice method = ctl_text(config, "method");
    struct slice path = ctl_text(config, "path");
    print_table_cellf(table, PRINT_PLAIN, "%.*s %.*s%.*s", SLICE_ARG(method), SLICE_ARG(host),
                      SLICE_ARG(path));
}

static void cell_addresses(struct print_table *table, const struct json *config,
                           const struct json *status)
{
    (void)status;
    print_table_cellf(table, PRINT_PLAIN, "%u", json_count(ctl_member(config, "addresses")));
}

/* A policy is what its object has beside its mode. */
static void cell_policy_kind(struct print_table *table, const struct json *config,
                             const struct json *status)
{
    const struct json *member;
    (void)status;
    json_for_each(member, config)
    {
        struct slice key = json_key(member);
        if (json_type(member) == JSON_OBJECT && !slice_eq(key, SLICE("meta"))) {
            print_table_cell(table, PRINT_PLAIN, key);
            return;
        }
    }
    print_table_cell(table, PRINT_PLAIN, SLICE_NONE);
}

/* -- the kinds -- */

#define OF_STATUS(title_, path_)                                                                   \
    {                                                                                              \
        .title = (title_), .path = (path_), .from_status = true                                    \
    }
#define OF_STATUS_BUSY(title_, path_)                                                              \
    {                                                                                              \
        .title = (title_), .path = (path_), .from_status = true, .is_busy = true                   \
    }
#define OF_STATUS_WIDE(title_, path_)                                                              \
    {                                                                                              \
        .title = (title_), .path = (path_), .from_status = true, .is_busy = true, .is_wide = true  \
    }
#define POOL_COLUMNS                                                                               \
    {                                                                                              \
        {.title = "ALGORITHM", .path = "algorithm"},                                               \
            {.title = "HEALTH-CHECK", .path = "health_check"},                                     \
            {.title = "HTTP", .path = "http_version", .is_wide = true},                            \
            {.title = "TLS", .path = "tls.verify", .is_wide = true},                               \
            {.title = "PROXY", .path = "send_proxy", .is_wide = true},                             \
            {.title = ">RETRIES", .path = "retries", .is_wide = true},                             \
            {.title = "CONNECT", .path = "timeouts.connect", .is_wide = true},                     \
            {.title = "RESPONSE", .path = "timeouts.response", .is_wide = true},                   \
            OF_STATUS_WIDE(">QUEUED", "queued"), {.title = ">USABLE", .cell = cell_usable},        \
    }
#define CERTIFICATE_COLUMNS                                                                        \
    {                                                                                              \
        {.title = "STATE", .cell = cmd_cert_cell_state},                                           \
            {.title = "NOT-AFTER", .cell = cmd_cert_cell_date},                                    \
            {.title = ">DAYS", .cell = cmd_cert_cell_days, .is_busy = true},                       \
            {.title = "KEY", .cell = cmd_cert_cell_key}, OF_STATUS("SOURCE", "source"),            \
            OF_STATUS("OCSP", "ocsp"), {.title = "FILE", .path = "chain_file", .is_wide = true},   \
            OF_STATUS("NAMES", "names")                                                            \
    }
#define CA_SET_COLUMNS                                                                             \
    {                                                                                              \
        OF_STATUS("STATE", "state"), OF_STATUS(">COUNT", "count"),                                 \
            {.title = "NOT-AFTER", .cell = cmd_cert_cell_date}, OF_STATUS("SOURCE", "source"),     \
            {.title = "FILE", .path = "file", .is_wide = true},                                    \
        {                                                                                          \
            .title = "CRL-FILE", .path = "crl_file", .is_wide = true                               \
        }                                                                                          \
    }

static const struct listing_kind
    kinds[KIND_COUNT] =
        {
            [KIND_LISTENERS] =
                {
                    .status_path = "listeners",
                    .columns =
                        {
                            {.title = "PROTOCOL", .path = "protocol"},
                            {.title = "TLS", .cell = cell_tls},
                            {.title = "BIND", .path = "bind", .is_wide = true},
                            {.title = "ADDRESS", .path = "addresses", .from_status = true},
                            {.title = "STATE", .path = "state", .from_status = true},
                            {.title = ">CONNECTIONS",
                             .path = "connections",
                             .from_status = true,
                             .is_busy = true},
                            {.title = ">LIMIT", .path = "limits.connections", .is_wide = true},
                            {.title = "KEEP-ALIVE", .path = "timeouts.keep_alive", .is_wide = true},
                            {.title = "CERTIFICATES", .path = "tls.certificates", .is_wide = true},
                            {.title = "DEFAULT-POOL", .path = "default_pool"},
                        },
                },
            [KIND_ROUTES] =
                {
                    .columns =
                        {
                            {.title = "LISTENER", .path = "listener"},
                            {.title = ">PRIORITY", .path = "priority"},
                            {.title = "HOST", .cell = cell_host},
                            {.title = "PATH", .cell = cell_path},
                            {.title = "CONDITIONS", .cell = cell_conditions, .is_wide = true},
                            {.title = "ACTION", .cell = cell_action},
                        },
                },
            [KIND_ADDRESS_SETS] = {.columns = {{.title = ">ADDRESSES", .cell = cell_addresses}}},
            [KIND_POLICIES] =
                {
                    .status_path = "policies",
                    .columns =
                        {
                            {.title = "KIND", .cell = cell_policy_kind},
                            {.title = "MODE", .path = "mode"},
                            OF_STATUS_BUSY(">ALLOWED", "decisions.allow"),
                            OF_STATUS_BUSY(">DENIED", "decisions.deny"),
                            OF_STATUS_BUSY(">SHADOW", "decisions.shadow"),
                            OF_STATUS_BUSY(">KEYS", "keys"),
                        },
                },
            [KIND_POOLS] = {.status_path = "pools", .columns = POOL_COLUMNS},
            [KIND_SERVERS] =
                {
                    .status_path = "pools",
                    .columns =
                        {
                            {.title = "ADDRESS", .path = "address"},
                            {.title = "HEALTH", .cell = cell_health},
                            {.title = "ADMIN", .cell = cell_admin},
                            {.title = ">WEIGHT", .cell = cell_weight},
                            {.title = ">IN-USE",
                             .path = "connections",
                             .from_status = true,
                             .is_busy = true},
                            {.title = ">LIMIT", .path = "max_connections", .is_wide = true},
                            {.title = "LAST-CHECK",
                             .path = "last_check",
                             .from_status = true,
                             .is_wide = true},
                        },
                },
            [KIND_HEALTH_CHECKS] =
                {
                    .columns =
                        {
                            {.title = "TYPE", .path = "type"},
                            {.title = "ASKS", .cell = cell_target},
                            {.title = "INTERVAL", .path = "interval"},
                            {.title = "TIMEOUT", .path = "timeout"},
                            {.title = ">RISE", .path = "rise"},
                            {.title = ">FALL", .path = "fall"},
                        },
                },
            [KIND_CERTIFICATES] = {.status_path = "certificates", .columns = CERTIFICATE_COLUMNS},
            [KIND_CA_SETS] = {.status_path = "ca_sets", .columns = CA_SET_COLUMNS},
            [KIND_MAIL_USERS] =
                {
                    .columns =
                        {
                            {.title = "POOL", .path = "pool"},
                            {.title = "SERVER", .path = "server"},
                            {.title = "LOGIN-USER", .path = "login_user"},
                            {.title = "DISABLED", .cell = cell_disabled},
                            {.title = ">SESSIONS", .path = "sessions"},
                            {.title = "REASON", .path = "reason"},
                        },
                },
            [KIND_MAIL_MAPS] =
                {
                    .columns =
                        {
                            {.title = "TYPE", .path = "type"},
                            {.title = ">ENTRIES", .cell = cell_entries},
                        },
                },
            [KIND_MAIL_CALLBACKS] =
                {
                    .columns =
                        {
                            {.title = "FORMAT", .path = "format"},
                            {.title = "URLS", .path = "urls"},
                            {.title = "TIMEOUT", .path = "timeout"},
                            {.title = ">CACHE", .path = "cache_ttl"},
                            {.title = "ON-ERROR", .path = "on_error"},
                        },
                },
};

/* The resource as the API has it. */
static enum ctl_exit print_resource(struct ctl *ctl, const char *target)
{
    enum ctl_exit code = CTL_OK;
    struct json *json = ctl_get(ctl, target, NULL, &code);
    if (json != NULL) {
        ctl_print_json(ctl, json);
    }
    json_free(json);
    return code;
}

/* One thing, or a whole collection, is a document of the API already. */
static enum ctl_exit print_document(struct ctl *ctl, const struct kind *kind, const char *name)
{
    struct kind_target target;
    enum ctl_exit code = CTL_OK;
    if (name == NULL) {
        return print_resource(ctl, kind->path);
    }
    if (kind_target_read(ctl, kind->singular, name, &target, &code)) {
        code = print_resource(ctl, target.path.data);
    }
    kind_target_fini(&target);
    return code;
}

/* -- watching -- */

/* Where events that come from now on begin. False: no answer. */
static bool find_now(struct ctl *ctl, uint64_t *next, enum ctl_exit *code)
{
    /* of a type that hardly ever comes, so that the answer is short */
    struct json *answer =
        ctl_get_silently(ctl, "/v1/events?types=daemon.drain&limit=4096", CTL_TIMEOUT_MS, code);
    bool ok = answer != NULL;
    *next = ctl_number(answer, "next");
    json_free(answer);
    return ok;
}

/* Waits until something happens behind *next. False: no answer, or what is behind it is lost. */
static bool wait_for_events(struct ctl *ctl, uint64_t *next, bool *happened, enum ctl_exit *code)
{
    struct buf target;
    buf_init(&target, CTL_PATH_MAX);
    buf_printf(&target, "/v1/events?since=%llu&wait=30s", (unsigned long long)*next);
    struct json *answer = ctl_get_silently(ctl, target.data, WATCH_TIMEOUT_MS, code);
    buf_fini(&target);
    bool ok = answer != NULL;
    *happened = json_count(json_get(answer, SLICE("events"))) != 0;
    *next = ok ? ctl_number(answer, "next") : *next;
    json_free(answer);
    return ok;
}

/* What comes next, and what has changed. *next is 0 when events were missed. */
static enum ctl_exit watch_round(struct listing *listing, uint64_t *next)
{
    struct ctl *ctl = listing->ctl;
    enum ctl_exit code = CTL_OK;
    bool happened = true;
    bool ok =
        *next != 0 ? wait_for_events(ctl, next, &happened, &code) : find_now(ctl, next, &code);
    if (ok && happened) {
        code = listing_write(listing, NULL);
        ok = code == CTL_OK;
    }
    *next = ok ? *next : 0;
    return code;
}

/* After each round all that has changed is on the page, whatever was missed in between. */
static enum ctl_exit keep_watching(struct listing *listing)
{
    struct ctl *ctl = listing->ctl;
    bool is_away = false;
    bool was_lost = false;
    uint64_t next = 0;
    for (;;) {
        enum ctl_exit code = watch_round(listing, &next);
        if (fflush(ctl->out) != 0) {
            return CTL_OK; /* nobody reads it any more */
        }
        if (code == CTL_OK) {
            (void)fputs(is_away ? "lbd is here again\n" : "", ctl->err);
            is_away = false;
            was_lost = false;
        } else if (code == CTL_UNREACHABLE || code == CTL_TIMED_OUT) {
            (void)fputs(is_away ? "" : "lbd went away; waiting for it to come back\n", ctl->err);
            is_away = true;
            (void)poll(NULL, 0, WATCH_PAUSE_MS);
        } else if (was_lost) { /* not only events that are gone: says why */
            struct json *again = ctl_get(ctl, "/v1/events?limit=1", NULL, &code);
            json_free(again);
            return code;
        } else {
            was_lost = true;
        }
    }
}

enum ctl_exit cmd_get(struct ctl *ctl)
{
    enum ctl_exit code = CTL_OK;
    kind_split_pointer(ctl);
    const char *name = ctl->arg_count > 1 ? ctl->args[1] : NULL;
    const struct kind *kind = kind_read(ctl, ctl->args[0], &code);
    if (kind == NULL) {
        return code;
    }
    if (kind->id == KIND_CONFIG && name != NULL) {
        return ctl_fail(ctl, CTL_USAGE, "config is one document: it has no names");
    }
    if (ctl->watch && ctl->output == CTL_JSON) { /* a stream is a line each */
        ctl->output = CTL_JSONL;
    }
    struct listing listing = {.ctl = ctl,
                              .kind = kind,
                              .columns = &kinds[kind->id],
                              .wanted = {.pool = ""},
                              .only = name,
                              .is_watched = ctl->watch};
    bool is_server = kind->id == KIND_SERVERS;
    if (is_server && name != NULL && !server_name_read(ctl, name, &listing.wanted, &code)) {
        return code;
    }
    bool is_one = name != NULL && (!is_server || listing.wanted.server[0] != '\0');
    bool is_whole = !is_server && name == NULL && ctl->label_count == 0;
    if (kind->id == KIND_CONFIG && ctl->watch) {
        return ctl_fail(ctl, CTL_USAGE, "config is watched by: lbctl watch config.applied");
    }
    if (kind->id == KIND_CONFIG || (ctl->output == CTL_JSON && (is_whole || is_one))) {
        return print_document(ctl, kind, name);
    }
    listing_init(&listing);
    code = listing_write(&listing, name);
    if (code == CTL_OK && ctl->watch) {
        (void)fflush(ctl->out);
        code = keep_watching(&listing);
    }
    listing_fini(&listing);
    return code;
}
