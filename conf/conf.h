/*
 * conf - every setting as a struct field: the configuration model.
 *
 * conf_read.c fills it from JSON by the schema table (conf_schema.def), conf_check.c checks what
 * one field cannot know, conf_write.c renders it. Plain data, no behaviour. Defaults and limits
 * stand in the table; the comments here name unit and meaning.
 *
 *     daemon (file only)      struct conf_daemon
 *     document (API + file)   struct conf: listeners, routes, policies, address_sets,
 *                             pools -> servers, health_checks, certificates, ca_sets, mail_maps ->
 * entries, mail_users, mail_callbacks
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

enum conf_protocol {
    CONF_PROTOCOL_HTTP,
    CONF_PROTOCOL_TCP,
    CONF_PROTOCOL_TLS_PASSTHROUGH,
    CONF_PROTOCOL_IMAP, /* from here on mail: conf_protocol_is_mail */
    CONF_PROTOCOL_POP3,
    CONF_PROTOCOL_SMTP,
    CONF_PROTOCOL_SIEVE
};
enum conf_tls_version { CONF_TLS_1_2, CONF_TLS_1_3 };
enum conf_tls_profile { CONF_TLS_INTERMEDIATE, CONF_TLS_MODERN };
enum conf_client_auth {
    CONF_CLIENT_AUTH_OFF,
    CONF_CLIENT_AUTH_OPTIONAL,
    CONF_CLIENT_AUTH_REQUIRED
};
enum conf_forwarded_header { CONF_FORWARDED_HEADER_X, CONF_FORWARDED_HEADER_FORWARDED };
enum conf_forwarded_send {
    CONF_FORWARDED_SEND_X,
    CONF_FORWARDED_SEND_FORWARDED,
    CONF_FORWARDED_SEND_BOTH
};
enum conf_client_forward {
    CONF_CLIENT_FORWARD_OFF,
    CONF_CLIENT_FORWARD_SUBJECT,
    CONF_CLIENT_FORWARD_CERTIFICATE
};
enum conf_http_version { CONF_HTTP_VERSION_1, CONF_HTTP_VERSION_2, CONF_HTTP_VERSION_AUTO };
enum conf_tls_verify { CONF_TLS_VERIFY_FULL, CONF_TLS_VERIFY_CHAIN, CONF_TLS_VERIFY_OFF };
enum conf_send_proxy { CONF_SEND_PROXY_OFF, CONF_SEND_PROXY_V1, CONF_SEND_PROXY_V2 };
enum conf_algorithm {
    CONF_ALGORITHM_LEAST_REQUEST,
    CONF_ALGORITHM_ROUND_ROBIN,
    CONF_ALGORITHM_RANDOM,
    CONF_ALGORITHM_PEAK_EWMA,
    CONF_ALGORITHM_MAGLEV,
    CONF_ALGORITHM_RING_HASH,
};
enum conf_when_all_down { CONF_FAIL_CLOSED, CONF_FAIL_OPEN, CONF_FALL_BACK };
enum conf_members { CONF_MEMBERS_CONFIG, CONF_MEMBERS_API };
enum conf_admin_state { CONF_READY, CONF_DRAIN, CONF_MAINT };
enum conf_check_type {
    CONF_CHECK_HTTP,
    CONF_CHECK_TCP,
    CONF_CHECK_TLS,
    CONF_CHECK_GRPC,
    CONF_CHECK_IMAP,
    CONF_CHECK_POP3,
    CONF_CHECK_SMTP,
    CONF_CHECK_SIEVE
};
enum conf_mail_login { CONF_MAIL_LOGIN_REQUIRED, CONF_MAIL_LOGIN_NONE };
enum conf_mail_relay { CONF_MAIL_RELAY_BLIND, CONF_MAIL_RELAY_TRACK };
enum conf_mail_credentials {
    CONF_MAIL_CREDENTIALS_FORWARD,
    CONF_MAIL_CREDENTIALS_MASTER,
    CONF_MAIL_CREDENTIALS_NONE
};
enum conf_mail_mechanism {
    CONF_MAIL_MECHANISM_AUTO,
    CONF_MAIL_MECHANISM_PLAIN,
    CONF_MAIL_MECHANISM_LOGIN,
    CONF_MAIL_MECHANISM_LOGIN_COMMAND
};
enum conf_mail_affinity { CONF_MAIL_AFFINITY_STRICT, CONF_MAIL_AFFINITY_FAILOVER };
enum conf_mail_failback { CONF_MAIL_FAILBACK_LAZY, CONF_MAIL_FAILBACK_KICK };
enum conf_mail_map_type {
    CONF_MAIL_MAP_EXACT,
    CONF_MAIL_MAP_DOMAIN,
    CONF_MAIL_MAP_PREFIX,
    CONF_MAIL_MAP_REGEX
};
enum conf_mail_callback_format { CONF_MAIL_CALLBACK_NGINX, CONF_MAIL_CALLBACK_JSON };
enum conf_mail_callback_error {
    CONF_MAIL_CALLBACK_STALE,
    CONF_MAIL_CALLBACK_HASH,
    CONF_MAIL_CALLBACK_FAIL
};
enum conf_action { CONF_ACTION_POOL, CONF_ACTION_RESPOND, CONF_ACTION_REDIRECT, CONF_ACTION_SPLIT };
enum conf_subset_fallback { CONF_SUBSET_ANY, CONF_SUBSET_NONE };
enum conf_trailers { CONF_TRAILERS_DROP, CONF_TRAILERS_FORWARD };
enum conf_priority_class { CONF_PRIORITY_HIGH, CONF_PRIORITY_NORMAL, CONF_PRIORITY_LOW };
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
    uint32_t tunnel_idle_ms; /* no byte either way after an upgrade; on a TCP listener */
    uint32_t rate_grace_ms;  /* how far a client may fall behind the limits' rates */
    uint32_t handshake_ms;   /* PROXY header and TLS handshake, or ClientHello */
    uint32_t first_byte_ms;  /* TCP: the client says nothing at first; 0: may be so */
};

struct conf_listener_limits {
    uint32_t connections;         /* at once, over all workers; 0: none of its own */
    uint32_t header_size_bytes;   /* of one head */
    uint32_t header_fields;       /* header lines of one head */
    uint32_t buffered_bytes;      /* that wait for one client */
    uint32_t min_body_rate_bytes; /* per second, of a request's body; 0: any */
    uint32_t min_read_rate_bytes; /* per second, of an answer; 0: any */
};

/* "client_auth": certificates of clients. */
struct conf_listener_client_auth {
    enum conf_client_auth mode;
    struct slice ca;                  /* a CA set; empty with CONF_CLIENT_AUTH_OFF only */
    enum conf_client_forward forward; /* what servers are told of the certificate */
};

struct conf_listener_tls {
    struct slice *certificates; /* names; the first is for clients that name none of theirs */
    uint32_t certificate_count;
    enum conf_tls_version min_version;
    enum conf_tls_version max_version;
    enum conf_tls_profile profile;
    struct slice *alpn; /* none: what the protocol speaks */
    uint32_t alpn_count;
    uint32_t strict_sni; /* bool: an unknown name ends the handshake */
    struct conf_listener_client_auth client_auth;
    uint32_t session_tickets; /* bool */
    struct slice
        ticket_keys_file;   /* a secret that several machines share; empty: keys of our own */
    uint32_t ocsp_stapling; /* bool */
};

#define CONF_HTTP2_STREAMS_PRESET 100
struct conf_listener_http2 {
    uint32_t enabled;     /* bool: by ALPN, or by its preface without TLS */
    uint32_t max_streams; /* requests at once on one connection */
};

/* "mail.cache": logged-in IMAP connections kept for webmail that comes back. */
struct conf_mail_cache {
    struct slice *clients; /* CIDRs and "unix": who may use it */
    uint32_t client_count;
    uint32_t idle_ttl_ms;
    uint32_t max_age_ms; /* since the server last saw the password */
    uint32_t per_user;
    uint32_t per_pool;
    uint32_t announce_reuse; /* bool: "* OK [XPROXYREUSE]" */
    uint32_t keep_selected;  /* bool: parked with its mailbox open */
};

struct conf_mail_limits {
    uint32_t bad_commands;            /* before login, that end the connection */
    uint32_t failures;                /* logins that fail, likewise */
    uint32_t connections_per_address; /* not logged in yet; 0: no limit */
    uint32_t sessions_per_user;       /* 0: no limit */
    uint32_t ban_failures; /* logins of one address that fail within ban_window_ms; 0: never */
    uint32_t ban_window_ms;
    uint32_t ban_ms;
};

struct conf_mail_timeouts {
    uint32_t login_ms; /* from accepting to being logged in */
    uint32_t read_ms;  /* silence before login */
    uint32_t idle_ms;  /* silence after it; 0: what is right for the protocol */
};

/* "mail": of listeners of imap, pop3, smtp and sieve. */
struct conf_listener_mail {
    uint32_t starttls;        /* bool: TLS begins by STARTTLS, not at once */
    uint32_t allow_cleartext; /* bool: logins without TLS */
    enum conf_mail_login login;
    struct slice *mechanisms;
    uint32_t mechanism_count;
    struct slice host; /* our name; empty: the system's */
    struct slice greeting;
    struct slice default_domain;   /* of names without one; empty: none */
    struct slice strip_extension;  /* one character; empty: nothing */
    struct slice master_separator; /* likewise */
    uint32_t keep_case;            /* bool: names differ by case */
    struct slice *trusted_from;    /* CIDRs and "unix": who may name the client behind them */
    uint32_t trusted_from_count;
    struct slice *maps; /* names, asked in this order */
    uint32_t map_count;
    struct slice callback; /* empty: none */
    enum conf_mail_relay relay;
    uint32_t has_cache; /* bool */
    struct conf_mail_cache cache;
    struct conf_mail_limits limits;
    struct conf_mail_timeouts timeouts;
};

/* "forwarded": who proxies before us say the client is, and how servers are told. */
struct conf_listener_forwarded {
    struct slice *trusted; /* CIDRs and "unix" */
    uint32_t trusted_count;
    enum conf_forwarded_header header;
    uint32_t depth; /* members of the list that are read */
    enum conf_forwarded_send send;
};

/* Whose X-Request-Id is taken. */
enum conf_request_id { CONF_REQUEST_ID_ALWAYS, CONF_REQUEST_ID_TRUSTED, CONF_REQUEST_ID_NEVER };

/* "tracing": W3C Trace Context. */
struct conf_tracing {
    uint32_t start;  /* bool: a request without a trace begins one */
    uint32_t sample; /* of those, one of so many is marked as sampled */
};

struct conf_listener {
    struct slice name;
    uint64_t version; /* equal and not 0: same content, also in another document of this process */
    struct slice *bind; /* "host:port" literals or "unix:/path" */
    uint32_t bind_count;
    enum conf_protocol protocol;
    uint32_t has_tls; /* bool: `tls` is there, TLS ends here */
    struct conf_listener_tls tls;
    struct conf_listener_http2 http2;
    struct slice *proxy_protocol_from; /* CIDRs and "unix": who must begin with a PROXY header */
    uint32_t proxy_protocol_from_count;
    struct slice *policies; /* of every request, in the order in which they are asked; of other
                               protocols than HTTP: of every connection */
    uint32_t policy_count;
    uint32_t
        has_forwarded; /* bool: `forwarded` is there; else X-Forwarded-* are sent and none read */
    struct conf_listener_forwarded forwarded;
    struct slice default_pool; /* empty: requests without a route get 404 */
    uint32_t has_mail;         /* bool: `mail` is there */
    struct conf_listener_mail mail;
    struct conf_listener_timeouts timeouts;
    struct conf_listener_limits limits;
    uint32_t reason_detail; /* bool: answers of lbd name the setting behind their reason */
    uint32_t access_log;    /* bool: its lines are written, where there is a log */
    uint32_t server_timing; /* bool: clients are told where the time went */
    enum conf_request_id request_id;
    uint32_t has_tracing; /* bool: `tracing` is there */
    struct conf_tracing tracing;
    struct conf_meta meta;
};

enum conf_hash_key {
    CONF_HASH_KEY_SOURCE,
    CONF_HASH_KEY_HEADER,
    CONF_HASH_KEY_COOKIE,
    CONF_HASH_KEY_PATH,
    CONF_HASH_KEY_QUERY,
};

/* What a request must say under names, of its headers, its cookies or its query. All must hold; of
 * what is there several times one is enough. */
struct conf_match_values {
    struct conf_header *exact;
    uint32_t exact_count;
    struct conf_header *prefix;
    uint32_t prefix_count;
    struct conf_header *regex; /* of the whole value */
    uint32_t regex_count;
    struct slice *present; /* whatever the value */
    uint32_t present_count;
    struct slice *absent;
    uint32_t absent_count;
};

struct conf_match {
    struct slice
        *host; /* lower case; exact or "*.example.com"; none: any. Of TCP: the name in SNI */
    uint32_t host_count;
    struct slice host_regex;    /* of the whole host, any case; empty: not set */
    struct slice path;          /* exact; empty: not set */
    struct slice path_prefix;   /* whole segments: "/api" matches "/api" and "/api/x", not "/apix";
                                   empty: not set */
    struct slice path_template; /* "/users/{id}"; empty: not set */
    struct slice path_regex;    /* of the whole path; empty: not set */
    struct slice *method;       /* one of these; none: any */
    uint32_t method_count;
    struct conf_match_values header;
    struct conf_match_values cookie;
    struct conf_match_values query;
    struct slice *source; /* CIDRs and "unix": the client is in one of them; none: any */
    uint32_t source_count;
    struct slice *alpn; /* TCP: the client offers one of these; none: any */
    uint32_t alpn_count;
};

/* What a policy is: the member of its object that is there, in the order of the schema. */
enum conf_policy_kind {
    CONF_POLICY_ACCESS,
    CONF_POLICY_RATE_LIMIT,
    CONF_POLICY_CONCURRENCY,
    CONF_POLICY_BODY_SIZE,
    CONF_POLICY_BANDWIDTH,
    CONF_POLICY_COMPRESSION,
    CONF_POLICY_HEADERS,
    CONF_POLICY_CORS,
    CONF_POLICY_SECURITY_HEADERS,
    CONF_POLICY_MAINTENANCE,
    CONF_POLICY_BASIC_AUTH,
    CONF_POLICY_JWT,
    CONF_POLICY_EXTERNAL_AUTH,
    CONF_POLICY_KIND_COUNT
};
enum conf_policy_mode { CONF_POLICY_ENFORCE, CONF_POLICY_SHADOW };

struct conf_policy_access {
    struct slice *allow; /* networks; none: everybody */
    uint32_t allow_count;
    struct slice *deny; /* networks; before `allow` */
    uint32_t deny_count;
    struct slice *allow_sets; /* names of address sets, beside `allow` */
    uint32_t allow_set_count;
    struct slice *deny_sets;
    uint32_t deny_set_count;
};

/* Networks under a name. */
struct conf_address_set {
    struct slice name;
    uint64_t version; /* equal and not 0: same content, also in another document of this process */
    struct slice *addresses;
    uint32_t address_count;
    struct slice file; /* lines of further ones; empty: none */
    struct conf_meta meta;
};

/* Whose requests a policy counts together. */
enum conf_key_by {
    CONF_KEY_SOURCE,
    CONF_KEY_HEADER,
    CONF_KEY_COOKIE,
    CONF_KEY_ROUTE,
    CONF_KEY_ALL,
};
enum conf_key_missing { CONF_KEY_MISSING_TOGETHER, CONF_KEY_MISSING_PASS };

struct conf_policy_key {
    enum conf_key_by by;
    struct slice name;  /* of the header or cookie */
    uint32_t v4_prefix; /* bits of an address of IPv4 that count */
    uint32_t v6_prefix;
    enum conf_key_missing missing; /* requests without the header or cookie */
};

enum conf_per { CONF_PER_SECOND, CONF_PER_MINUTE, CONF_PER_HOUR };

struct conf_policy_rate_limit {
    uint32_t requests;
    enum conf_per per;
    uint32_t burst; /* 0: as many as `requests` */
    struct conf_policy_key key;
    uint32_t keys;
    uint32_t response_headers; /* bool: RateLimit-* */
};

struct conf_policy_concurrency {
    uint32_t requests; /* at once */
    struct conf_policy_key key;
    uint32_t keys;
    uint32_t status; /* of the refusal: 429 or 503 */
};

struct conf_policy_bandwidth {
    uint32_t per_request_bytes; /* a second; 0: any */
    uint32_t per_key_bytes;     /* likewise */
    uint32_t burst_bytes;
    struct conf_policy_key key;
    uint32_t keys;
};

/* Codings of a body (RFC 9110 8.4.1), in the order that is used when nobody says another one. */
enum conf_encoding {
    CONF_ENCODING_ZSTD,
    CONF_ENCODING_BR,
    CONF_ENCODING_GZIP,
    CONF_ENCODING_COUNT
};

struct conf_policy_compression {
    struct slice *encodings; /* words of enum conf_encoding, what is liked best first; none: all
                                that this build has */
    uint32_t encoding_count;
    struct slice *types; /* "type/subtype", "type/" and a star, "*+suffix"; none: the usual ones */
    uint32_t type_count;
    uint32_t min_size_bytes;
    uint32_t level; /* 1 to 9 */
    bool with_credentials;
};

struct conf_policy_body_size {
    uint64_t max_bytes;
};

#define CONF_HEADER_EDITS_MAX 8  /* lines that one policy may set and add to a head */
#define CONF_HEADER_LINES_MAX 18 /* and all policies that a request passes */

/* What may stand in braces in the value of a header. */
enum conf_header_word {
    CONF_HEADER_WORD_NONE,
    CONF_HEADER_WORD_CLIENT_IP,
    CONF_HEADER_WORD_REQUEST_ID,
    CONF_HEADER_WORD_ROUTE,
    CONF_HEADER_WORD_LISTENER,
    CONF_HEADER_WORD_SCHEME,
    CONF_HEADER_WORD_HOST,
    CONF_HEADER_WORD_METHOD,
    CONF_HEADER_WORD_PATH,
};

/* First what goes, then what is set, then what is added. Values: lbd/base/template. */
struct conf_header_edits {
    struct conf_header *set;
    uint32_t set_count;
    struct conf_header *add;
    uint32_t add_count;
    struct slice *remove;
    uint32_t remove_count;
};

struct conf_policy_headers {
    struct conf_header_edits request;
    struct conf_header_edits response;
};

struct conf_policy_cors {
    struct slice *origins; /* in full, with a star for what is below a domain, or "*" */
    uint32_t origin_count;
    struct slice *methods; /* none: GET, HEAD, POST */
    uint32_t method_count;
    struct slice *headers; /* of requests */
    uint32_t header_count;
    struct slice *exposed; /* headers of answers */
    uint32_t exposed_count;
    uint32_t credentials; /* bool */
    uint32_t max_age_ms;  /* 0: not said */
};

enum conf_frame { CONF_FRAME_OFF, CONF_FRAME_DENY, CONF_FRAME_SAME_ORIGIN };

struct conf_policy_security_headers {
    uint32_t hsts_max_age_s;  /* 0: not sent */
    uint32_t hsts_subdomains; /* bool */
    uint32_t hsts_preload;    /* bool */
    uint32_t no_sniff;        /* bool */
    enum conf_frame frame_options;
    struct slice referrer_policy;         /* empty: not sent */
    struct slice content_security_policy; /* empty: not sent */
    uint32_t override;                    /* bool: also where the server says something else */
};

struct conf_policy_maintenance {
    struct slice *allow; /* networks that are let through */
    uint32_t allow_count;
    struct slice body;      /* empty: the words of the reason */
    struct slice body_file; /* its path, instead of it; empty: none */
    struct slice content_type;
    uint32_t retry_after_ms;
};

struct conf_policy_basic_auth {
    struct slice realm;
    struct slice *users; /* "name:hash" */
    uint32_t user_count;
    struct slice users_file;  /* lines of the same; empty: none */
    struct slice user_header; /* tells servers the name; empty: it does not */
    uint32_t pass_on;         /* servers see Authorization */
};

struct conf_policy_jwt {
    struct slice keys_file; /* JWKS; empty: keys_url */
    struct slice keys_url;  /* likewise */
    struct slice ca;        /* of keys_url: a CA set; empty: the system's */
    uint32_t refresh_ms;    /* of keys_url */
    struct slice issuer;    /* empty: any */
    struct slice *audience; /* one of them; none: any */
    uint32_t audience_count;
    struct slice *algorithms; /* none: all that there are keys for */
    uint32_t algorithm_count;
    struct conf_header *required; /* claim -> value */
    uint32_t required_count;
    struct conf_header *headers; /* header -> claim */
    uint32_t header_count;
    struct slice cookie; /* where the token is; empty: Authorization */
    uint32_t leeway_ms;
    uint32_t optional;
    uint32_t pass_on; /* servers see Authorization */
};

enum conf_policy_error { CONF_POLICY_ERROR_DENY, CONF_POLICY_ERROR_ALLOW };

struct conf_policy_external_auth {
    struct slice url;
    struct slice ca; /* a CA set; empty: the system's */
    uint32_t timeout_ms;
    struct slice *request_headers; /* that it is told; none: Authorization, Cookie */
    uint32_t request_header_count;
    struct slice *response_headers; /* of its answer, that servers are told */
    uint32_t response_header_count;
    uint32_t cache_ttl_ms; /* 0: asked for each request */
    enum conf_policy_error on_error;
};

struct conf_policy {
    struct slice name;
    uint64_t version; /* equal and not 0: same content, also in another document of this process */
    enum conf_policy_mode mode;
    enum conf_policy_kind kind;
    struct conf_policy_access access; /* CONF_POLICY_ACCESS, and so on */
    struct conf_policy_rate_limit rate_limit;
    struct conf_policy_concurrency concurrency;
    struct conf_policy_body_size body_size;
    struct conf_policy_bandwidth bandwidth;
    struct conf_policy_compression compression;
    struct conf_policy_headers headers;
    struct conf_policy_cors cors;
    struct conf_policy_security_headers security_headers;
    struct conf_policy_maintenance maintenance;
    struct conf_policy_basic_auth basic_auth;
    struct conf_policy_jwt jwt;
    struct conf_policy_external_auth external_auth;
    struct conf_meta meta;
};

#define CONF_WEIGHT_MAX 1000000

struct conf_weight {
    struct slice name;
    uint32_t weight; /* 0 to CONF_WEIGHT_MAX */
};

enum conf_cookie_secure { CONF_COOKIE_SECURE_AUTO, CONF_COOKIE_SECURE_ON, CONF_COOKIE_SECURE_OFF };
enum conf_same_site {
    CONF_SAME_SITE_LAX,
    CONF_SAME_SITE_STRICT,
    CONF_SAME_SITE_NONE,
    CONF_SAME_SITE_UNSET
};

/* A cookie that we set, but for its name. */
struct conf_cookie {
    struct slice path;
    struct slice domain; /* empty: the host that was asked, and no other */
    uint32_t http_only;  /* bool */
    enum conf_cookie_secure secure;
    enum conf_same_site same_site;
    uint32_t max_age_ms;   /* 0: until the browser ends */
    uint32_t forward;      /* bool: servers see it */
    struct slice key_file; /* a secret that its values are made with; empty: a known one */
};

/* "split.cookie": how clients stay with their pool. */
struct conf_split_cookie {
    struct slice name;
    struct conf_cookie set;
};

/* What of a request says to which pool of a split it goes. */
enum conf_split_key {
    CONF_SPLIT_KEY_SOURCE,
    CONF_SPLIT_KEY_HEADER,
    CONF_SPLIT_KEY_COOKIE,
    CONF_SPLIT_KEY_RANDOM,
    CONF_SPLIT_KEY_AUTO, /* random where lbd's cookie keeps the client there, else source */
};

/* "split": which of several pools a client belongs to. */
struct conf_split {
    struct conf_weight *pools;
    uint32_t pool_count;
    enum conf_split_key key;
    struct slice name; /* of the header or cookie */
    struct conf_split_cookie cookie;
    uint32_t has_cookie;
};

/* "rewrite": what a server gets in place of what the client sent. At most one for the path. */
struct conf_rewrite {
    struct slice host;     /* empty: as it was sent */
    struct slice path;     /* with variables of the match; empty: not set */
    struct slice prefix;   /* in place of match.path_prefix; empty: not set */
    uint32_t strip_prefix; /* bool: match.path_prefix is taken off */
};

/* "mirror": copies for another pool. */
struct conf_mirror {
    struct slice pool; /* empty: none */
    uint32_t percent;  /* of the requests */
};

/* "timeouts" of a route: 0 is what the pool has. */
struct conf_route_timeouts {
    uint32_t response_ms;
    uint32_t idle_ms;
};

enum conf_scheme { CONF_SCHEME_SAME, CONF_SCHEME_HTTP, CONF_SCHEME_HTTPS };

/* Where a redirect leads, by its parts; what is empty or 0 is that of the request. */
struct conf_redirect {
    enum conf_scheme scheme;
    struct slice host;
    uint32_t port;
    struct slice path; /* with variables of the match */
};

/* What lbd keeps of bodies so that servers do not wait for clients; 0: it streams. */
struct conf_buffering {
    uint32_t request_bytes;
    uint32_t response_bytes;
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
    struct slice respond_file; /* its path, instead of it; empty: none */
    struct slice respond_type; /* Content-Type */
    uint32_t redirect_status;  /* CONF_ACTION_REDIRECT: 301 302 303 307 308 */
    struct conf_header *respond_headers;
    uint32_t respond_header_count;
    struct slice redirect_location; /* as it is sent; "{path}" stands for path and query of the
                                       request; empty: `redirect` says it */
    struct conf_redirect redirect;
    struct conf_header *redirect_headers;
    uint32_t redirect_header_count;
    struct conf_split split;   /* CONF_ACTION_SPLIT */
    struct conf_mirror mirror; /* CONF_ACTION_POOL, CONF_ACTION_SPLIT */
    uint32_t has_mirror;
    struct conf_rewrite rewrite;
    struct conf_route_timeouts timeouts;
    struct slice subset; /* labels that servers must have, as canonical JSON; empty: none */
    enum conf_subset_fallback subset_fallback;
    enum conf_trailers trailers;
    uint32_t access_log;    /* bool: likewise */
    uint32_t server_timing; /* bool: likewise */
    struct slice *policies; /* in the order in which they are asked, after the listener's */
    uint32_t policy_count;
    enum conf_priority_class priority_class;
    struct conf_buffering buffering;
    struct conf_meta meta;
};

#define CONF_PRIORITIES 16U /* of servers */

struct conf_server {
    struct slice name;
    uint64_t version; /* equal and not 0: same content, also in another document of this process */
    struct slice address;     /* see conf_address.h */
    uint32_t weight;          /* 1-1000; 0: a share, see conf_share.h: */
    uint32_t weight_percent;  /* 1-100; 0: a number */
    uint32_t max_connections; /* requests in flight at once over all workers; 0: no limit */
    enum conf_admin_state admin_state;
    struct slice labels;    /* the object as canonical JSON text, or empty */
    uint32_t priority;      /* 0: its group is used first */
    struct slice zone;      /* empty: near to all */
    struct slice sticky_id; /* what names it in the cookie of CONF_STICKY_PASSIVE; empty: `name` */
    struct conf_meta meta;
};

/* "agent": what runs beside each server and says how it wants to be treated. */
struct conf_pool_agent {
    uint32_t port;
    struct slice send; /* as lbd/base/escape has it; empty: nothing */
    uint32_t interval_ms;
    uint32_t timeout_ms;
};

/* Of a pool, over all workers; what is above is refused at once. 0: no limit. */
struct conf_pool_limits {
    uint32_t requests;
    uint32_t connections; /* in use or being opened */
    uint32_t pending;     /* being opened */
    uint32_t retries;     /* second and later tries */
};

struct conf_pool_timeouts {
    uint32_t connect_ms;
    uint32_t response_ms; /* request sent to first byte of the answer */
    uint32_t idle_ms;     /* idle server connection; also silence inside a body */
    uint32_t max_age_ms;  /* +-10 %: an older server connection takes no new requests; 0: any age */
};

/* TLS to the servers of a pool. */
struct conf_pool_tls {
    enum conf_tls_verify verify;
    struct slice ca; /* a CA set; empty: the system's */
    struct slice
        server_name; /* for SNI and the name check; empty: the host of the server's address */
    struct slice certificate; /* ours, for servers that ask; empty: none */
    struct slice *pin_sha256; /* base64 of SHA-256 over public keys, one of which it must have */
    uint32_t pin_sha256_count;
    enum conf_tls_version min_version;
};

/* "mail": how mail servers are logged in to, and how users stay with theirs. */
struct conf_pool_mail {
    uint32_t starttls; /* bool: TLS by STARTTLS, not at once; needs `tls` */
    enum conf_mail_credentials credentials;
    enum conf_mail_mechanism mechanism;
    struct slice master_user;
    struct slice master_password_file;
    uint32_t tell_client; /* bool: the client's address by ID or XCLIENT */
    struct slice group;   /* pools of one group have the same machines, by the names of servers */
    enum conf_mail_affinity affinity;
    enum conf_mail_failback failback;
    uint32_t down_for_ms; /* failover: so long it must have been down */
    uint32_t linger_ms;   /* a user without sessions stays with its server so long */
    uint32_t spread;      /* per cent of its share of users that a server may have */
    uint32_t logins;      /* under way at once at one server; 0: no limit */
    uint32_t login_wait_ms;
    uint32_t close_over_ms; /* clients of a server that died are ended over this time */
};

enum conf_dns_empty { CONF_DNS_EMPTY_KEEP, CONF_DNS_EMPTY_DOWN };

/* "dns": of servers whose address is a name. */
struct conf_pool_dns {
    enum conf_dns_empty on_empty;
    uint32_t stale_for_ms; /* beyond the time to live; 0: as long as it takes */
    uint32_t retry_ms;     /* after a failure, then twice that ... */
};

#define CONF_HASH_BOUND 125

/* Of maglev and ring_hash. */
struct conf_pool_hash {
    enum conf_hash_key key;
    struct slice name; /* of the header, cookie or parameter */
    uint32_t bound;    /* per cent of its share of requests that a server may have */
};

/* When a request is tried again, beside `retries`. */
struct conf_pool_retry {
    struct slice *on; /* "connect", "reset", "timeout", "5xx", "503"; none: connect, reset */
    uint32_t on_count;
    uint32_t non_idempotent; /* bool: any method */
    uint32_t per_try_ms;     /* a server is picked to the head of its answer; 0: no limit */
    uint32_t backoff_ms;     /* at most, before the same server is asked again; doubles */
    uint32_t budget_percent; /* retries of all requests */
    uint32_t budget_min;     /* ... or so many a second, over all workers */
};

enum conf_sticky_mode { CONF_STICKY_INSERT, CONF_STICKY_PASSIVE, CONF_STICKY_LEARN };
enum conf_sticky_unavailable { CONF_STICKY_REBALANCE, CONF_STICKY_FAIL };
enum conf_sticky_drain { CONF_STICKY_KEEP, CONF_STICKY_MOVE };
/* The table of CONF_STICKY_LEARN. */
struct conf_sticky_learn {
    uint32_t entries;
    uint32_t ttl_ms; /* since the last use */
};

/* How clients stay with a server. */
struct conf_pool_sticky {
    enum conf_sticky_mode mode;
    struct slice cookie; /* its name; of CONF_STICKY_LEARN, empty: by `header` */
    struct slice header;
    struct conf_sticky_learn learn;
    enum conf_sticky_unavailable on_unavailable;
    enum conf_sticky_drain on_drain;
    struct conf_cookie set; /* CONF_STICKY_INSERT: the one that we set */
};

enum conf_outlier_mode { CONF_OUTLIER_ENFORCE, CONF_OUTLIER_SHADOW };
enum conf_outlier_failures { CONF_OUTLIER_ANY_5XX, CONF_OUTLIER_GATEWAY };

/* "outlier": servers that do worse than the others rest for a while. */
struct conf_pool_outlier {
    enum conf_outlier_mode mode;
    enum conf_outlier_failures failures;
    uint32_t consecutive_failures; /* over all workers; 0: not looked at */
    uint32_t interval_ms;          /* of the rest */
    uint32_t success_rate;         /* per cent of a standard deviation; 0: not looked at */
    uint32_t latency;              /* per cent of the pool's median; 0: not looked at */
    uint32_t min_servers;
    uint32_t min_requests; /* of a server in an interval */
    uint32_t ejection_ms;
    uint32_t max_ejection_ms;
    uint32_t max_ejected; /* per cent of the servers */
};

/* Requests that wait while every server has max_connections. */
struct conf_pool_queue {
    uint32_t max; /* at once, over all workers; 0: none waits */
    uint32_t timeout_ms;
};

/* In which order groups of servers are used. */
struct conf_pool_groups {
    uint32_t overprovisioning; /* per cent of what it has that a group can carry */
    struct slice zone;         /* the near one; empty: conf_daemon.zone */
    uint32_t zone_aware;       /* bool: near servers first */
};

struct conf_pool {
    struct slice name;
    uint64_t version; /* equal and not 0: same content, also in another document of this process */
    enum conf_algorithm algorithm;
    uint32_t has_hash; /* bool: `hash` is there; else by source, with CONF_HASH_BOUND */
    struct conf_pool_hash hash;
    struct conf_pool_groups groups;
    uint32_t has_sticky; /* bool: `sticky` is there */
    struct conf_pool_sticky sticky;
    uint32_t slow_start_ms; /* until a server that became usable has all its weight; 0: at once */
    struct slice health_check; /* empty: none, servers count as up */
    enum conf_when_all_down when_all_down;
    struct slice fallback_pool; /* CONF_FALL_BACK: whose servers stand in */
    struct conf_pool_limits limits;
    uint32_t has_agent; /* bool: `agent` is there */
    struct conf_pool_agent agent;
    uint32_t has_outlier; /* bool: `outlier` is there */
    struct conf_pool_outlier outlier;
    uint32_t retries; /* further tries after the first */
    struct conf_pool_retry retry;
    struct conf_pool_queue queue;
    struct conf_pool_timeouts timeouts;
    enum conf_http_version http_version;
    uint32_t has_tls; /* bool: `tls` is there */
    struct conf_pool_tls tls;
    enum conf_send_proxy send_proxy;
    struct slice *send_proxy_tlvs; /* words of CONF_FORMAT_PROXY_TLV */
    uint32_t send_proxy_tlvs_count;
    struct conf_pool_dns dns;
    struct slice *source_address; /* IP addresses of ours; none: the kernel chooses */
    uint32_t source_address_count;
    uint32_t has_mail; /* bool: `mail` is there */
    struct conf_pool_mail mail;
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
    struct conf_header *expect_headers; /* http; an empty value: any */
    uint32_t expect_header_count;
    struct slice expect_body;   /* http: stands somewhere in the body; empty: it is not read */
    struct slice body;          /* http: of the request; empty: none */
    struct slice send;          /* tcp: as lbd/base/escape has it */
    struct slice receive;       /* tcp, likewise: comes somewhere in what the server says */
    struct slice service;       /* grpc; empty: the server as a whole */
    struct slice user;          /* mail: logs in as this one; empty: it does not */
    struct slice password_file; /* mail */
    uint32_t port;              /* asked there; 0: at the port of the server */
    struct slice address; /* "ip:port" that is asked instead of the server; empty: the server */
    uint32_t interval_ms;
    uint32_t fast_interval_ms; /* while results speak against the state; 0: interval */
    uint32_t down_interval_ms; /* of a server that is down; 0: interval */
    uint32_t timeout_ms;
    uint32_t rise;
    uint32_t fall;
    struct conf_meta meta;
};

/* A chain and its key: from files, or from the store of the state folder. */
struct conf_certificate {
    struct slice name;
    uint64_t version; /* equal and not 0: same content, also in another document of this process */
    struct slice chain_file;
    struct slice key_file;
    struct slice chain;  /* always empty: conf_seal takes what comes in under these keys, */
    struct slice key;    /* likewise, */
    struct slice stored; /* and says this instead: "sha256:" and 64 digits */
    struct slice
        sent_chain;        /* what it took, until conf_store has put it away; no setting: nothing */
    struct slice sent_key; /* that shows a document knows these. Both empty: it lies in the vault */
    uint32_t ocsp;         /* bool: its state is fetched, to be stapled */
    struct conf_meta meta;
};

/* Who may sign the certificates of others. */
struct conf_ca_set {
    struct slice name;
    uint64_t version; /* equal and not 0: same content, also in another document of this process */
    struct slice file;
    struct slice pem;
    struct slice crl_file; /* empty: nothing is revoked */
    struct conf_meta meta;
};

/* Where a user goes: an entry of a map. */
struct conf_mail_entry {
    struct slice name; /* the user, domain, prefix or pattern */
    uint64_t version;  /* equal and not 0: same content, also in another document of this process */
    struct slice pool; /* empty: the listener's */
    struct slice server;     /* empty: the one that the user's hash leads to */
    struct slice login_user; /* at the server; empty: as the client said */
    int32_t priority;        /* of patterns: higher first */
};

struct conf_mail_map {
    struct slice name;
    uint64_t version; /* equal and not 0: same content, also in another document of this process */
    enum conf_mail_map_type type;
    struct conf_mail_entry *entries; /* sorted by name */
    uint32_t entry_count;
    struct conf_meta meta;
};

/* What is known of one user. */
struct conf_mail_user {
    struct slice name;
    uint64_t version; /* equal and not 0: same content, also in another document of this process */
    struct slice pool;
    struct slice server;
    struct slice login_user;
    uint32_t disabled;   /* bool: may not log in */
    struct slice reason; /* why, for operators */
    uint32_t sessions;   /* at once; 0: what the listener allows */
    struct conf_meta meta;
};

/* A service that is asked where a user goes. */
struct conf_mail_callback {
    struct slice name;
    uint64_t version; /* equal and not 0: same content, also in another document of this process */
    enum conf_mail_callback_format format;
    struct slice *urls; /* asked in turn when one fails */
    uint32_t url_count;
    struct conf_header *headers;
    uint32_t header_count;
    struct slice ca; /* a CA set; empty: the system's */
    uint32_t timeout_ms;
    uint32_t cache_ttl_ms; /* 0: asked at each login */
    uint32_t negative_ttl_ms;
    uint32_t stale_ttl_ms; /* how old an answer may be when nobody answers */
    enum conf_mail_callback_error on_error;
    struct conf_meta meta;
};

/* "observability.metrics": how much /metrics shows. */
struct conf_metrics {
    enum conf_server_scope server_scope; /* of single servers */
    uint32_t
        max_series; /* of listeners, routes, pools and servers; above it servers are left out */
};

/* "observability.recent": which requests are kept for those who ask why. */
struct conf_recent {
    uint32_t slow_ms; /* to the first byte of the answer */
    uint32_t sample;  /* of the others, one of so many; 0: none */
};

struct conf {
    struct arena arena;
    uint32_t schema; /* 1 */
    struct conf_metrics metrics;
    struct conf_recent recent;
    struct conf_listener *listeners;
    uint32_t listener_count;
    struct conf_route *routes;
    uint32_t route_count;
    struct conf_policy *policies;
    uint32_t policy_count;
    struct conf_address_set *address_sets;
    uint32_t address_set_count;
    struct conf_pool *pools;
    uint32_t pool_count;
    struct conf_health_check *health_checks;
    uint32_t health_check_count;
    struct conf_certificate *certificates;
    uint32_t certificate_count;
    struct conf_ca_set *ca_sets;
    uint32_t ca_set_count;
    struct conf_mail_map *mail_maps;
    uint32_t mail_map_count;
    struct conf_mail_user *mail_users;
    uint32_t mail_user_count;
    struct conf_mail_callback *mail_callbacks;
    uint32_t mail_callback_count;
};

static inline bool conf_protocol_is_mail(enum conf_protocol protocol)
{
    return protocol >= CONF_PROTOCOL_IMAP;
}
/* CONF_HEADER_WORD_NONE: there is none. */
enum conf_header_word conf_header_word_of(struct slice word);
const char *conf_policy_word(enum conf_policy_kind kind);    /* "access" */
const char *conf_encoding_word(enum conf_encoding encoding); /* "br", as in Content-Encoding */
/* CONF_ENCODING_COUNT: there is none. */
enum conf_encoding conf_encoding_of(struct slice word);
/* Whether this build can code so. */
bool conf_encoding_is_built(enum conf_encoding encoding);
/* Where a policy asks, and by which CA set it is verified; empty: nobody, the system's. */
struct slice conf_policy_url(const struct conf_policy *policy);
struct slice conf_policy_ca(const struct conf_policy *policy);
/* The file that a policy is made of, too; empty: none. */
struct slice conf_policy_file(const struct conf_policy *policy);
const char *conf_protocol_word(enum conf_protocol protocol); /* "http" */

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

enum conf_access_format { CONF_ACCESS_JSON, CONF_ACCESS_COMBINED, CONF_ACCESS_LOGFMT };
enum conf_access_only { CONF_ACCESS_ALL, CONF_ACCESS_ERRORS, CONF_ACCESS_SLOW };

/* "daemon.access_log", beside its path. */
struct conf_access_log {
    enum conf_access_format format;
    struct slice *fields; /* names of conf_access_fields.def; none: all */
    uint32_t field_count;
    struct slice *request_headers;
    uint32_t request_header_count;
    struct slice *response_headers;
    uint32_t response_header_count;
    uint32_t credentials; /* bool: they are written as they are */
    enum conf_access_only only;
    uint32_t slow_ms; /* to the first byte of the answer */
    uint32_t sample;  /* of what is no error, one of so many */
};

/* The key "daemon": bootstrap settings, from the file only. */
struct conf_daemon {
    struct arena arena;
    uint32_t workers;  /* 0: auto */
    struct slice zone; /* where this lbd is; empty: nowhere */
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
    uint64_t max_buffered_bytes;
    uint64_t max_memory_bytes; /* 0: three quarters of what the process may have */
    uint32_t shed_lag_ms;      /* 0: nothing is shed for it */
    enum log_level log_level;
    enum log_format log_format;
    struct slice log_path;        /* "stderr" or a file */
    struct slice access_log_path; /* "off" or a file */
    struct conf_access_log access_log;
};

/* Lookups by name; NULL when there is none. */
const struct conf_listener *conf_listener_find(const struct conf *conf, struct slice name);
/* The pools that a route leads to, one after the other; empty behind the last. */
struct slice conf_route_pool(const struct conf_route *route, uint32_t index);
const struct conf_route *conf_route_find(const struct conf *conf, struct slice name);
const struct conf_policy *conf_policy_find(const struct conf *conf, struct slice name);
const struct conf_address_set *conf_address_set_find(const struct conf *conf, struct slice name);
const struct conf_pool *conf_pool_find(const struct conf *conf, struct slice name);
const struct conf_server *conf_server_find(const struct conf_pool *pool, struct slice name);
const struct conf_health_check *conf_health_check_find(const struct conf *conf, struct slice name);
const struct conf_certificate *conf_certificate_find(const struct conf *conf, struct slice name);
const struct conf_ca_set *conf_ca_set_find(const struct conf *conf, struct slice name);
const struct conf_mail_map *conf_mail_map_find(const struct conf *conf, struct slice name);
const struct conf_mail_user *conf_mail_user_find(const struct conf *conf, struct slice name);
const struct conf_mail_callback *conf_mail_callback_find(const struct conf *conf,
                                                         struct slice name);
/* An empty document (schema 1, no objects). */
struct conf *conf_new(void);
void conf_free(struct conf *conf);
void conf_daemon_free(struct conf_daemon *daemon);
/* The words of the enums, as in the document ("ready", "drain", "maint"...). */
const char *conf_admin_state_word(enum conf_admin_state state);
bool conf_admin_state_parse(struct slice word, enum conf_admin_state *out);

#endif
