/*
 * api_inside - what the files of the transport share and nobody else sees; the only file that
 * includes libmicrohttpd.
 *
 *     api.c        doors (one per listening socket) on the control loop, begin and end
 *     api_call.c   one request: its body, its handler, its answer, streamed or whole
 *     api_head.c   what is wrong with the head of a request
 *
 * Memory: a call lives from the first line of its request to the last byte of its answer.
 * Threads: control.
 */
#ifndef API_API_INSIDE_H
#define API_API_INSIDE_H

#include <microhttpd.h>

#include "api/api.h"
#include "api/api_front.h"
#include "api/api_guard.h"
#include "api/api_idempotency.h"
#include "api/api_request.h"
#include "api/api_table.h"
#include "lbd/base/list.h"
#include "lbd/base/slice.h"

#define API_DOORS_MAX 16

struct door {
    struct api *api;
    struct MHD_Daemon *daemon;
    struct slice address; /* borrowed from `text` */
    char text[160];
    bool is_observe;
    bool is_unix;
    bool is_inherited; /* the service manager's: its path stays */
    const char *uri;   /* of the request line that is being parsed: only to compare with */
    const struct conf_api_limits *limits;
    struct api_front *front; /* speaks TLS before the daemon; NULL: nobody does */
    struct loop_watch watch;
    struct loop_timer timer;
    struct loop_ready ready;
};

struct api {
    struct loop *loop;
    struct control *control;
    const struct conf_api *conf; /* borrowed */
    struct api_guard *guard;
    struct net_worker *net; /* for the connections of fronts; NULL: there are none */
    struct api_idempotency *idempotency;
    bool is_ending; /* nothing is asked any more */
    struct door doors[API_DOORS_MAX];
    uint32_t door_count;
    struct list_node streaming; /* struct call.link: answers that are still being made */
    struct list_node held; /* struct call.held_link: those of them that wait for the next pass */
    struct loop_ready held_ready;
    size_t body_bytes;    /* of all bodies that are held */
    size_t reply_bytes;   /* of all answers that are held whole until they were taken */
    uint64_t pulled_pass; /* of the loop, in which a block was made last */
};

/* One request in the transport. */
struct call {
    struct api_request request;
    struct list_node link; /* api.streaming, while `stream` is set */
    struct door *door;
    struct MHD_Connection *connection;
    struct list_node held_link; /* api.held, while is_held */
    const char *method;         /* as it came */
    uint64_t began_us;
    uint64_t looked_us; /* at its token, while the answer is sent */
    struct buf body;
    size_t reply_bytes;        /* of its answer, when that is held whole */
    uint64_t discarded;        /* bytes of a body that is too large */
    struct api_stream *stream; /* kept; the rest of the answer, or NULL */
    enum api_guard_verdict verdict;
    uint64_t revision_before;
    uint64_t revision; /* when the answer was made */
    bool is_refused;   /* answered from the head alone */
    bool is_too_much;  /* its body, beside those that are held already */
    bool is_write;     /* changes something: goes into the audit */
    bool is_denied;    /* so does this */
    bool is_suspended;
    bool is_held;
    bool is_cut; /* its client does not keep up: it ends */
    bool is_in_handler;
    bool is_done;
};

/* The door's daemon has something to do: soon, from the loop. */
void api_turn_soon(struct door *door);

/* libmicrohttpd's callbacks; the first argument is the door. */
enum MHD_Result api_call_on_access(void *door, struct MHD_Connection *connection, const char *url,
                                   const char *method, const char *version, const char *data,
                                   size_t *data_len, void **state);
void api_call_on_completed(void *door, struct MHD_Connection *connection, void **state,
                           enum MHD_RequestTerminationCode code);
/* Gives the stream back; its client gets the end of the answer. */
void api_call_end_stream(struct call *call);

/* SLICE_NONE: it was not sent. */
struct slice api_head_field(struct MHD_Connection *connection, const char *name);
/* Looks up the row and the method. False: the reply says what is wrong. */
bool api_head_is_fine(struct call *call);
/* Bytes that the body may have. */
size_t api_head_body_max(const struct call *call);
/* Makes the reply for a body that is larger; returns false. */
bool api_head_refuse_large(struct call *call);

#endif
