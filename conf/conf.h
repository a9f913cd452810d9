/*
 * conf - every setting as a struct field: the configuration model.
 *
 * conf_read.c fills it from JSON by the schema table (conf_schema.def), conf_check.c checks what
 * one field cannot know, conf_write.c renders it. Plain data, no behaviour. Defaults and limits
 * stand in the table; the comments here name unit and meaning.
 *
 *     daemon (file only)      struct conf_daemon
 *     document (API + file)   struct conf: listeners, routes, pools -> servers, health_checks
 *
 * Objects are kept sorted by name. References (route -> listener, pool; pool -> health check) are
 * names; conf_check has proved that they exist.
 *
 * Memory: everything hangs on the arena of struct conf and dies with conf_free. Threads: control;
 * const once built.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/arena.h"
#include "lbd/base/log.h"
#include "lbd/base/slice.h"

enum conf_protocol { CONF_PROTOCOL_HTTP };
enum conf_algorithm { CONF_ALGORITHM_LEAST_REQUEST, CONF_ALGORITHM_ROUND_ROBIN };
enum conf_when_all_down { CONF_FAIL_CLOSED, CONF_FAIL_OPEN };
enum conf_members { CONF_MEMBERS_CONFIG, CONF_MEMBERS_API };
enum conf_admin_state { CONF_READY, CONF_DRAIN, CONF_MAINT };
enum conf_check_type { CONF_CHECK_HTTP, CONF_CHECK_TCP };
enum conf_action { CONF_ACTION_POOL, CONF_ACTION_RESPOND, CONF_ACTION_REDIRECT };
enum conf_trailers { CONF_TRAILERS_DROP, CONF_TRAILERS_FORWARD };
enum conf_source { CONF_SOURCE_API, CONF_SOURCE_FILE };
enum conf_server_scope { CONF_SERVER_SCOPE_NONE, CONF_SERVER_SCOPE_BASIC, CONF_SERVER_SCOPE_FULL };

/* "meta" of any object: carried, never interpreted. */
struct conf_meta {
    struct slice managed_by;
    struct slice note;
    struct slice labels; /* the object as canonical JSON text, or empty */
};

struct conf_listener_timeouts {
    uint32_t header_ms;      /* first byte of a request to the end of its head */
    uint32_t body_idle_ms;   /* no byte of a request body */
    uint32_t keep_alive_ms;  /* idle between requests */
    uint32_t write_idle_ms;  /* the client reads nothing */
    uint32_t tunnel_idle_ms; /* no byte either way after an upgrade */
};

struct conf_listener_limits {
    uint32_t connections;       /* at once, over all workers; 0: none of its own */
    uint32_t header_size_bytes; /* of one head */
    uint32_t header_fields;     /* header lines of one head */
};

struct conf_listener {
    struct slice name;
    uint64_t version; /* equal and not 0: same content, also in another document of this process */
    struct slice *bind; /* "host:port" literals or "unix:/path" */
    uint32_t bind_count;
    enum conf_protocol protocol;
    struct slice default_pool; /* empty: requests without a route get 404 */
    struct conf_listener_timeouts timeouts;
    struct conf_listener_limits limits;
    struct conf_meta meta;
};

struct conf_match {
    struct slice *host; /* lower case; exact or "*.example.com"; none: any */
    uint32_t host_count;
    struct slice path;        /* exact; empty: not set */
    struct slice path_prefix; /* whole segments: "/api" matches "/api" and "/api/x", not "/apix";
                                 empty: not set */
};

struct conf_route {
    struct slice name;
    uint64_t version; /* equal and not 0: same content, also in another document of this process */
    struct slice listener;
    int32_t priority; /* higher first */
    struct conf_match match;
    enum conf_action action;
    struct slice pool;         /* CONF_ACTION_POOL */
    uint32_t respond_status;   /* CONF_ACTION_RESPOND */
    struct slice respond_body; /* at most 64 KiB */
    struct slice respond_type; /* Content-Type */
    uint32_t redirect_status;  /* CONF_ACTION_REDIRECT: 301 302 303 307 308 */
    struct slice
        redirect_location; /* as it is sent; "{path}" stands for path and query of the request */
    enum conf_trailers trailers;
    struct conf_meta meta;
};

struct conf_server {
    struct slice name;
    uint64_t version; /* equal and not 0: same content, also in another document of this process */
    struct slice address;     /* "host:port", "[v6]:port", "unix:/path" */
    uint32_t weight;          /* 1-1000 */
    uint32_t max_connections; /* requests in flight at once over all workers; 0: no limit */
    enum conf_admin_state admin_state;
    struct conf_meta meta;
};

struct conf_pool_timeouts {
    uint32_t connect_ms;
    uint32_t response_ms; /* request sent to first byte of the answer */
    uint32_t idle_ms;     /* idle server connection; also silence inside a body */
};

struct conf_pool {
    struct slice name;
    uint64_t version; /* equal and not 0: same content, also in another document of this process */
    enum conf_algorithm algorithm;
    struct slice health_check; /* empty: none, servers count as up */
    enum conf_when_all_down when_all_down;
    uint32_t retries; /* further tries after the first */
    struct conf_pool_timeouts timeouts;
    enum conf_members members;   /* file mode: who owns the servers */
    struct conf_server *servers; /* sorted by name */
    uint32_t server_count;
    struct conf_meta meta;
};

struct conf_header {
    struct slice name;
    struct slice value;
};

struct conf_health_check {
    struct slice name;
    uint64_t version; /* equal and not 0: same content, also in another document of this process */
    enum conf_check_type type;
    struct slice method; /* http */
    struct slice path;   /* http */
    struct slice host;   /* http; empty: the server's address */
    struct conf_header *headers;
    uint32_t header_count;
    /* expect.status: a bit per hundred-class "2xx" and a list of exact codes */
    uint8_t expect_classes; /* bit n: class nxx, 1-5 */
    uint16_t *expect_status;
    uint32_t expect_status_count;
    uint32_t interval_ms;
    uint32_t timeout_ms;
    uint32_t rise;
    uint32_t fall;
    struct conf_meta meta;
};

/* "observability.metrics": how much /metrics shows. */
struct conf_metrics {
    enum conf_server_scope server_scope; /* of single servers */
    uint32_t
        max_series; /* of listeners, routes, pools and servers; above it servers are left out */
};

struct conf {
    struct arena arena;
    uint32_t schema; /* 1 */
    struct conf_metrics metrics;
    struct conf_listener *listeners;
    uint32_t listener_count;
    struct conf_route *routes;
    uint32_t route_count;
    struct conf_pool *pools;
    uint32_t pool_count;
    struct conf_health_check *health_checks;
    uint32_t health_check_count;
};

enum conf_tls_version { CONF_TLS_1_2, CONF_TLS_1_3 };
enum conf_audit { CONF_AUDIT_REFUSE, CONF_AUDIT_CONTINUE };

struct conf_api_tls {
    struct slice chain_file; /* empty: no TLS */
    struct slice key_file;
    struct slice client_ca_file; /* empty: clients show no certificate */
    enum conf_tls_version min_version;
};

/* Group names; empty: nobody. */
struct conf_api_groups {
    struct slice admin;
    struct slice operate;
    struct slice read;
};

/* Patterns of names in certificates. */
struct conf_api_certificates {
    struct slice *admin;
    uint32_t admin_count;
    struct slice *operate;
    uint32_t operate_count;
    struct slice *read;
    uint32_t read_count;
    struct slice *metrics;
    uint32_t metrics_count;
};

struct conf_api_audit {
    struct slice path; /* "off" or a file */
    enum conf_audit on_failure;
};

struct conf_api_limits {
    uint32_t connections;
    uint32_t connections_per_address;
    uint32_t handshake_timeout_ms;
    uint32_t writes_per_second; /* of one identity; 0: no limit */
    uint32_t write_burst;
    uint32_t unix_admin_writes_per_second; /* 0: no limit */
    uint32_t auth_failures_per_minute;     /* of one source; 0: no limit */
};

struct conf_api {
    struct slice *listen; /* "unix:/path", "127.0.0.1:9443" */
    uint32_t listen_count;
    struct conf_api_tls tls;
    uint32_t insecure;   /* bool: loopback without TLS */
    struct slice *hosts; /* host patterns */
    uint32_t host_count;
    struct conf_api_groups groups;
    struct conf_api_certificates certificates;
    struct slice tokens_file;       /* empty: state_dir/tokens */
    uint32_t require_preconditions; /* bool */
    struct conf_api_audit audit;
    struct conf_api_limits limits;
};

/* The key "daemon": bootstrap settings, from the file only. */
struct conf_daemon {
    struct arena arena;
    uint32_t workers;  /* 0: auto */
    struct slice user; /* dropped to when started as root; empty: stay */
    struct conf_api api;
    struct slice *observe_listen; /* "127.0.0.1:9901" */
    uint32_t observe_listen_count;
    enum conf_source config_source;
    struct slice state_dir;
    uint32_t drain_timeout_ms;
    struct slice *resolvers; /* "ip:port"; none: the system's */
    uint32_t resolver_count;
    uint32_t max_connections; /* of the process; 0: from the descriptor limit */
    enum log_level log_level;
    enum log_format log_format;
    struct slice log_path;        /* "stderr" or a file */
    struct slice access_log_path; /* "off" or a file */
};

/* Lookups by name; NULL when there is none. */
const struct conf_listener *conf_listener_find(const struct conf *conf, struct slice name);
const struct conf_route *conf_route_find(const struct conf *conf, struct slice name);
const struct conf_pool *conf_pool_find(const struct conf *conf, struct slice name);
const struct conf_server *conf_server_find(const struct conf_pool *pool, struct slice name);
const struct conf_health_check *conf_health_check_find(const struct conf *conf, struct slice name);
/* An empty document (schema 1, no objects). */
struct conf *conf_new(void);
void conf_free(struct conf *conf);
void conf_daemon_free(struct conf_daemon *daemon);
/* The words of the enums, as in the document ("ready", "drain", "maint"...). */
const char *conf_admin_state_word(enum conf_admin_state state);
bool conf_admin_state_parse(struct slice word, enum conf_admin_state *out);

#endif
