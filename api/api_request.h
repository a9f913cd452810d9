/*
 * api_request - one call of the API: what was asked, what is answered.
 *
 * The transport (api_call.c) fills in what arrived and hands it to the handler of its row
 * (api_table.h). The handler fills the reply and calls api_request_done once, at once or later; it
 * knows nothing of sockets.
 *
 * Memory: the transport owns it; slices live until api_request_done returns. Threads: control.
 */
#ifndef API_API_REQUEST_H
#define API_API_REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/json/json_write.h"
#include "lbd/base/addr.h"
#include "lbd/base/buf.h"
#include "lbd/base/compiler.h"
#include "lbd/base/slice.h"
#include "lbd/control/control.h"

#define API_QUERY_MAX    24 /* with each name[] */
#define API_NAMES_MAX    2  /* the {} of a path */
#define API_ID_MAX       25
#define API_WHO_MAX      128
#define API_CHANGES_MAX  (8U * 1024U)
#define API_BODY_MAX     (1024U * 1024U)       /* of a request */
#define API_DOCUMENT_MAX (16U * 1024U * 1024U) /* of a request that brings a whole document */
#define API_REPLY_MAX    (512U * 1024U * 1024U)

enum api_method { API_GET, API_PUT, API_PATCH, API_DELETE, API_POST, API_METHODS };

/* Each may do what those before it may. */
enum api_role { API_ROLE_NONE, API_ROLE_METRICS, API_ROLE_READ, API_ROLE_OPERATE, API_ROLE_ADMIN };

/* How somebody showed who they are. */
enum api_via {
    API_VIA_UNIX,        /* a unix socket, by user and groups */
    API_VIA_TOKEN,       /* a bearer token */
    API_VIA_CERTIFICATE, /* the certificate of a TLS client */
    API_VIA_INSECURE,    /* a bearer token that came without TLS */
    API_VIA_OBSERVE      /* nobody asks there */
};

/* Who asks; made by api_guard. */
struct api_identity {
    enum api_role role;
    enum api_via via;
    char
        who[API_WHO_MAX]; /* "unix uid=0 pid=7", "token ci", "certificate CN:ops", "tcp 10.0.0.1" */
    char name[API_WHO_MAX]; /* the same for each of its requests: what limits go by */
    const char *reason;     /* why it was not let in, or NULL; static, a word of the metrics */
    uint32_t retry_s;       /* when it asked too often */
    char token[64];         /* the id of its token; "": it showed none */
    uint64_t token_mark;    /* of that secret, for another one has the same id */
};

struct api_query {
    struct slice name;
    struct slice value;
};

/*
 * An answer that is made while it is sent: long ones, and those that wait for things to happen.
 *
 * The handler puts it into reply.stream (status and content type are set as ever); read() is then
 * called whenever the client has taken what there was.
 */
#define API_STREAM_BLOCK (32U * 1024U)
enum { API_STREAM_BROKEN = -2, API_STREAM_END = -1, API_STREAM_WAIT = 0 };
struct api_stream {
    /* Puts at most `max` bytes and says how many; API_STREAM_WAIT: none yet, api_stream_wake will
     * be called; API_STREAM_END: that was all; API_STREAM_BROKEN: the rest does not come, and the
     * client must not take what it has for the whole. */
    ssize_t (*read)(struct api_stream *stream, char *out, size_t max);
    /* The client has everything, or is gone, or lbd ends. Once. */
    void (*free)(struct api_stream *stream);
    /* the transport's */
    void (*wake)(struct api_stream *stream);
    void (*cut)(struct api_stream *stream);
    void *transport;
};

#define API_HEADERS_MAX 6
struct api_header {
    const char *name; /* static */
    char value[512];
};

struct api_reply {
    unsigned status;
    struct buf body;
    struct api_stream *stream;   /* kept by the transport; NULL: the body is complete */
    const char *content_type;    /* static; NULL: no body */
    char etag[CONTROL_ETAG_MAX]; /* "" for none */
    bool has_changed;            /* Lbd-Changed is sent: */
    bool is_changed;
    bool must_close;                            /* the connection ends after this */
    const char *accept_patch;                   /* static or NULL */
    char allow[48];                             /* "" for none */
    struct api_header headers[API_HEADERS_MAX]; /* further ones */
    uint32_t header_count;
    uint64_t revision; /* Lbd-Revision; 0: the one that runs */
};

struct api_row;
struct api_guard;
struct api_idempotency_entry;

struct api_request {
    struct control *control; /* borrowed */
    const struct api_row *row;
    enum api_method method;            /* HEAD comes as GET */
    struct slice path;                 /* as it came */
    struct slice names[API_NAMES_MAX]; /* decoded, in `path` or `unescaped` */
    char *unescaped;                   /* owned; NULL: nothing was to be decoded */
    uint32_t name_count;
    struct api_query query[API_QUERY_MAX];
    uint32_t query_count;
    struct slice content_type;
    struct slice accept;
    struct slice if_match;
    struct slice if_none_match;
    struct slice last_event_id;
    struct slice idempotency_key; /* ptr NULL: none */
    struct slice body;
    char id[API_ID_MAX];
    char who[API_WHO_MAX];
    enum api_role role;
    struct api_identity identity; /* with more than who and role */
    struct api_guard *guard;      /* borrowed */
    struct buf changes;           /* what a write changed, for the audit: a JSON array, or empty */
    uint32_t changes_total;       /* the array has the first of them */
    struct api_reply reply;
    struct api_idempotency_entry *idempotency; /* of api_idempotency; NULL: none, or it is done */
    void (*done)(struct api_request *request); /* the transport's */
};

/* The reply is complete; the request may be gone when this returns. */
void api_request_done(struct api_request *request);
/* The stream has something to read again, or has come to its end. */
void api_stream_wake(struct api_stream *stream);
/* The client does not keep up: its connection ends within about a second whatever it does; free()
 * is called then. */
void api_stream_cut(struct api_stream *stream);
/* A header of the answer beyond the usual ones; `name` is static. */
void api_request_header(struct api_request *request, const char *name, const char *fmt, ...)
    LB_PRINTF(3, 4);
/* "read" */
const char *api_request_role_word(enum api_role role);
/* Empty when it was not given. */
struct slice api_request_query(const struct api_request *request, const char *name);
/* The IP address in `client`: *is_given tells whether there is one. False: answered. */
bool api_request_client(struct api_request *request, struct addr_small *address, bool *is_given);
/* Was it given as "true"? (The transport has refused what is neither true nor false.) */
bool api_request_flag(const struct api_request *request, const char *name);
/* Is this media type, parameters aside, the one of the request? */
bool api_request_has_type(const struct api_request *request, const char *type);
/* Does a header such as If-None-Match name this tag? `tag` without quotes. */
bool api_request_names_tag(struct slice header, const char *tag);

/* Begins a JSON body; api_request_json_end completes it and sets status and type. */
void api_request_json_begin(struct api_request *request, struct json_write *w);
void api_request_json_end(struct api_request *request, unsigned status);
/* A time as status documents show it: "2026-11-21T10:00:00.123456Z". */
void api_request_write_time(struct json_write *w, const char *key, uint64_t wall_us);
/* The same of a moment of the monotonic clock. */
void api_request_write_moment(struct json_write *w, const char *key, uint64_t ms);

#endif
