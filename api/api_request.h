/*
 * api_request - one call of the API: what was asked, what is answered.
 *
 * The transport (api.c) fills in what arrived and hands it to the handler of its row (api_table.h).
 * The handler fills the reply and calls api_request_done once, at once or later; it knows nothing
 * of sockets.
 *
 * Memory: the transport owns it; slices live until api_request_done returns. Threads: control.
 */
#ifndef API_API_REQUEST_H
#define API_API_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/json/json_write.h"
#include "lbd/base/buf.h"
#include "lbd/base/slice.h"
#include "lbd/control/control.h"

#define API_QUERY_MAX    8
#define API_NAMES_MAX    2 /* the {} of a path */
#define API_ID_MAX       25
#define API_WHO_MAX      48
#define API_BODY_MAX     (1024U * 1024U)       /* of a request */
#define API_DOCUMENT_MAX (16U * 1024U * 1024U) /* of a request that brings a whole document */
#define API_REPLY_MAX    (512U * 1024U * 1024U)

enum api_method { API_GET, API_PUT, API_PATCH, API_DELETE, API_METHODS };

struct api_query {
    struct slice name;
    struct slice value;
};

struct api_reply {
    unsigned status;
    struct buf body;
    const char *content_type;    /* static; NULL: no body */
    char etag[CONTROL_ETAG_MAX]; /* "" for none */
    bool has_changed;            /* Lbd-Changed is sent: */
    bool is_changed;
    bool must_close;          /* the connection ends after this */
    const char *accept_patch; /* static or NULL */
    char allow[48];           /* "" for none */
};

struct api_row;

struct api_request {
    struct control *control; /* borrowed */
    const struct api_row *row;
    enum api_method method; /* HEAD comes as GET */
    struct slice path;
    struct slice names[API_NAMES_MAX];
    uint32_t name_count;
    struct api_query query[API_QUERY_MAX];
    uint32_t query_count;
    struct slice content_type;
    struct slice accept;
    struct slice if_match;
    struct slice if_none_match;
    struct slice body;
    char id[API_ID_MAX];
    char who[API_WHO_MAX];
    struct api_reply reply;
    void (*done)(struct api_request *request); /* the transport's */
};

/* The reply is complete; the request may be gone when this returns. */
void api_request_done(struct api_request *request);
/* Empty when it was not given. */
struct slice api_request_query(const struct api_request *request, const char *name);
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

#endif
