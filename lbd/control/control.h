/*
 * control - the one place that changes anything: what the API and signals use, and nothing below
 * it.
 *
 *     api, signals --> control --> conf_document, conf_store, snapshot_build, workers
 *                         ^------- health, resolve: a server's state or address is different
 *
 * Holds the document that runs, its revision, the registry of live objects, the overrides, and the
 * workers. A change of the document makes a new revision; a change of health, address or admin
 * state makes only a new generation of the same revision (several within some milliseconds make
 * one).
 *
 * Memory: control_new to control_free. Threads: control.
 */
#ifndef LBD_CONTROL_CONTROL_H
#define LBD_CONTROL_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf_document.h"
#include "conf/conf_errors.h"
#include "conf/conf_revision.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/job.h"
#include "lbd/control/overrides.h"
#include "lbd/net/loop.h"
#include "lbd/snapshot/registry.h"
#include "lbd/snapshot/snapshot.h"
#include "lbd/stats/histogram.h"
#include "lbd/upstream/server.h"
#include "lbd/worker/worker.h"

#define CONTROL_ADOPT_LIMIT_MS 5000 /* then a change is answered "accepted, not everywhere yet" */
#define CONTROL_WAITERS_MAX    32   /* changes that wait for their turn; then ERR_UNAVAILABLE */
#define CONTROL_ADOPTING_MAX   128  /* changes that wait for the workers; likewise */
#define CONTROL_ETAG_MAX       17   /* 16 hexadecimal digits and a NUL */

struct control;
struct inherit;

/* -- life -- */

struct control_options {
    struct loop *loop;                /* borrowed */
    const struct conf_daemon *daemon; /* borrowed, outlives control */
    const char *file;                 /* borrowed: where the document (or its seed) comes from */
    struct inherit *inherit;          /* borrowed: sockets that were passed; NULL: none */
    /* All workers run the first document: ready, or why not. */
    void (*ready)(void *arg);
    /* Everything that was open has ended, or the deadline has passed: time to leave. */
    void (*drained)(void *arg);
    void *arg;
};

/* Takes the state directory; starts nothing. NULL: *err says why. */
LB_MUST_CHECK struct control *control_new(const struct control_options *options, struct err *err);
/* Finds the document to run (saved state or `seed`), compiles it, opens its sockets, starts the
 * workers and publishes. False: *err says why (ERR_INVALID: the configuration; others: the system).
 */
LB_MUST_CHECK bool control_start(struct control *control, struct conf_document *seed,
                                 struct err *err);
/* Stops accepting and lets what is open end; options.drained is called. A second call shortens the
 * deadline. */
void control_drain(struct control *control, uint32_t limit_ms);
/* Ends everything at once, joins all threads, and calls back whoever waits. What is asked after
 * this is refused. NULL is fine, and so is a second time. */
void control_stop(struct control *control);
/* The same, and frees. NULL is fine. */
void control_free(struct control *control);

/* -- changing the document -- */

/* Doors to the document. Whatever comes through one of them takes the same road. */
enum control_change_kind {
    CONTROL_EDIT,      /* one resource, a collection or the whole: `edit`, `pointer`, `body` */
    CONTROL_BATCH,     /* `operations`, all or nothing */
    CONTROL_OWNER,     /* everything of `owner`: `body`, `is_forced` */
    CONTROL_ENDPOINTS, /* all servers of a pool: `pointer` "/pools/web/servers", `body` */
    CONTROL_ROLLBACK,  /* the document of `revision` again */
    CONTROL_RELOAD,    /* the file, read again */
    CONTROL_CONFIRM,   /* `revision` is what a restart runs */
    CONTROL_REJECT,    /* `revision` was a mistake: back to the one before the window */
    CONTROL_EXPIRE     /* the window's time is over; control's own */
};

struct control_operation {
    struct conf_operation edit;
    struct slice if_match;
    struct slice if_none_match;
};

/* Slices and operations are borrowed until done() is called. */
struct control_change {
    enum control_change_kind kind;
    enum conf_edit edit;
    struct slice pointer;       /* "" or of a resource */
    struct slice body;          /* JSON */
    struct slice if_match;      /* header value, or empty */
    struct slice if_none_match; /* "*": create only */
    bool is_dry_run;
    bool is_comparison;   /* a dry run that neither compiles nor opens sockets */
    bool missing_is_fine; /* DELETE of what is not there */
    const struct control_operation *operations;
    uint32_t operation_count;
    struct slice owner;
    bool is_forced;
    uint64_t revision;
    uint32_t confirm_within_ms; /* 0: confirmed at once */
    uint32_t wait_ms;           /* for the workers; 0: CONTROL_ADOPT_LIMIT_MS */
    bool is_not_waiting;        /* not for the workers at all */
    bool needs_precondition;    /* If-Match or If-None-Match must be there */
    struct slice who;           /* for the log */
};

struct control_result {
    struct err err;      /* ERR_NONE: it was done */
    const char *problem; /* names the problem type when err is set, e.g. "managed-by-file" */
    bool is_changed;
    bool is_created;
    bool is_dry_run;
    bool is_pending; /* saved and published, but a worker has not adopted it in time */
    uint64_t revision;
    uint64_t rolled_back_to;          /* of a rollback; else 0 */
    uint32_t operation;               /* of a batch: the one to blame, from 1; 0: none */
    struct conf_document *before;     /* borrowed for the call of done */
    struct conf_document *document;   /* what came out; NULL on failure */
    const struct conf_errors *errors; /* errors and warnings; may be NULL */
};

/* Runs the whole journey: parse, validate, compile, prepare, persist, publish. Changes wait for
 * their turn and are made in order; those that wait at the same time are saved together, each with
 * a revision of its own. done() is called once: during the call when nothing is to be waited for,
 * else when all workers run it, at the latest after wait_ms. */
void control_apply(struct control *control, const struct control_change *change,
                   void (*done)(const struct control_result *result, void *arg), void *arg);
/* Work beside the loop, in order with the reading and saving of changes: work() on a thread, then
 * done() on this one. The caller's, embedded in what it is about. */
struct control_work {
    struct job job;
    void (*work)(struct control_work *work);
    void (*done)(struct control_work *work);
};
void control_work(struct control *control, struct control_work *work);
/* Reads the file again (config_source file), else says in the log why not; names keys of `daemon`
 * that need a restart. done() (may be NULL) as with control_apply. */
void control_reload(struct control *control,
                    void (*done)(const struct control_result *result, void *arg), void *arg);

/* -- revisions -- */

/* Newest first; borrowed for the call. */
const struct conf_revision *control_revisions(const struct control *control, uint32_t *count);
/* Finds out the hashes of revisions that were saved before notes were kept. */
void control_revisions_hash(struct control *control);
/* NULL: not kept. */
const struct conf_revision *control_revision(const struct control *control, uint64_t number);
struct control_comparison {
    uint64_t from;
    uint64_t to;
    struct conf_document *before; /* held; NULL: err says why */
    struct conf_document *after;
    struct err err; /* ERR_NOT_FOUND, or it cannot be read any more */
};
/* Reads the documents of two revisions, beside the loop. done() is called once, later. */
void control_compare(struct control *control, uint64_t from, uint64_t to,
                     void (*done)(const struct control_comparison *comparison, void *arg),
                     void *arg);
/* Appends its text, with a final newline. */
LB_MUST_CHECK bool control_revision_text(const struct control *control, uint64_t number,
                                         struct buf *out, struct err *err);

/* Opens log and access log anew. */
void control_reopen_logs(struct control *control);

/* -- set by hand, on top of the document -- */

struct control_wish {
    enum override_kind kind;
    struct slice pool;       /* of a server */
    struct slice name;       /* of a server or listener; process: nothing */
    bool is_clear;           /* what is configured counts again */
    enum server_admin state; /* all but weights; listener and process: ready or drain */
    uint32_t weight;         /* weights: this, or */
    uint32_t percent;        /* so much of the configured one */
    uint64_t expires_ms;     /* from now; 0: never */
    uint64_t deadline_ms;    /* of a drain, from now; 0: none */
    enum override_end on_deadline;
    struct slice reason;
    struct slice who;
};

struct control_wished {
    struct err err; /* ERR_NONE: it was done. ERR_NOT_FOUND, ERR_INVALID, ERR_STORAGE, ... */
    bool is_changed;
};

/* What overrides and drains call its target: "web/a", "web", or OVERRIDES_PROCESS. */
struct slice control_wish_key(const struct control_wish *wish, char out[OVERRIDES_KEY_MAX]);

/* What is asked for in one pass of the loop is saved together, then takes effect: new requests heed
 * it from then on, the schedules and sockets of workers when they adopt what is published for it.
 * done() is called then, once; with an error perhaps during the call. Texts are copied. */
void control_override_set(struct control *control, const struct control_wish *wish,
                          void (*done)(const struct control_wished *wished, void *arg), void *arg);
/* Would it be accepted? What it names exists and its numbers fit. */
LB_MUST_CHECK bool control_override_check(const struct control *control,
                                          const struct control_wish *wish, struct err *err);
/* Calls done() when all workers run what was published last: during the call when they do, at the
 * latest after CONTROL_ADOPT_LIMIT_MS (then result->is_pending). */
void control_when_adopted(struct control *control,
                          void (*done)(const struct control_result *result, void *arg), void *arg);
/* An admin state; NULL: none. */
const struct override *control_override(const struct control *control, struct slice pool,
                                        struct slice server);
const struct overrides *control_overrides(const struct control *control);
uint32_t control_override_count(const struct control *control);
struct drains;
const struct drains *control_drains(const struct control *control);
/* By hand or because it stops: does the process take no new connections? */
bool control_is_drained(const struct control *control);
/* And this listener? */
bool control_listener_is_drained(const struct control *control,
                                 const struct registry_listener *listener);

/* -- asking servers and workers -- */

struct control_checked {
    bool is_passed;
    const char *detail; /* "HTTP 503, expected 2xx"; lives as long as the call */
    uint64_t duration_us;
    enum server_health health; /* after it */
};

/* Probes a server now, also one in maintenance; done() comes later, once. False: there is no such
 * server. */
LB_MUST_CHECK bool control_check(struct control *control, struct slice pool, struct slice server,
                                 void (*done)(const struct control_checked *checked, void *arg),
                                 void *arg);
struct clients_query;
struct clients_answer;
/* Asks all workers about their clients (worker/clients.h); done() comes later, once. False: so many
 * ask already, or we leave. */
#define CONTROL_ASKING_MAX 8
LB_MUST_CHECK bool control_ask_clients(struct control *control, const struct clients_query *query,
                                       void (*done)(const struct clients_answer *answer, void *arg),
                                       void *arg);
struct requests_query;
struct requests_answer;
/* The same about requests that failed or were slow (worker/requests.h). */
LB_MUST_CHECK bool control_ask_requests(struct control *control, const struct requests_query *query,
                                        void (*done)(const struct requests_answer *answer,
                                                     void *arg),
                                        void *arg);

/* -- what is -- */

struct conf_document *control_document(const struct control *control); /* borrowed */
/* The same with the servers that the DNS names in place of "dns:" and "srv:": what runs. */
struct conf_document *control_running(const struct control *control);
/* What workers were given last; NULL before the start. Borrowed until the loop turns. */
const struct snapshot *control_snapshot(const struct control *control);
/* The ETag of a resource, without quotes. False: there is none. */
bool control_etag(const struct conf_document *document, struct slice pointer,
                  char out[CONTROL_ETAG_MAX]);

enum control_apply_word {
    CONTROL_APPLIED,
    CONTROL_UNCHANGED,
    CONTROL_REJECTED,    /* it was wrong */
    CONTROL_FAILED,      /* we could not */
    CONTROL_ROLLED_BACK, /* not confirmed, or rejected: it was taken back */
    CONTROL_APPLY_WORDS
};

struct control_facts {
    uint64_t revision;
    uint64_t generation;         /* published */
    uint64_t adopted_generation; /* by all workers */
    uint64_t adopted_revision;   /* of that generation */
    enum conf_source source;
    const char *file;
    bool is_seed_different; /* api mode: the file says something else than what was saved */
    bool is_degraded;       /* the saved document was damaged; an older one runs */
    bool is_draining;
    bool needs_preconditions;      /* daemon.api.require_preconditions */
    uint64_t unconfirmed_revision; /* 0: what runs is what a restart runs */
    uint64_t unconfirmed_base;     /* the revision that comes back when nobody confirms */
    uint64_t confirm_deadline_wall_us;
    uint64_t started_wall_us;
    uint64_t applies[CONTROL_APPLY_WORDS];
    bool last_apply_succeeded;
    uint64_t last_apply_wall_us;
    uint64_t persist_failures;
    uint32_t snapshots;   /* published and not freed yet */
    uint32_t waiting;     /* changes that wait for workers */
    uint64_t republished; /* generations without a revision */
    uint32_t workers;
    uint32_t max_connections;
    uint64_t max_memory_bytes; /* of connections and requests; 0: any number */
    struct histogram_duration apply_duration;
    struct histogram_duration persist_duration;
};

const struct control_facts *control_facts(const struct control *control);
const char *control_source_word(enum conf_source source);
const struct registry *control_registry(const struct control *control);
/* The loop all of this runs on. */
struct loop *control_loop(const struct control *control);
struct events;
/* What happened: whoever changes something says so there. */
struct events *control_events(const struct control *control);
struct control_outlier;
/* For control_outlier_facts; borrowed. */
const struct control_outlier *control_outliers(const struct control *control);
struct control_health;
/* For control_health_facts and _stats; borrowed. */
const struct control_health *control_checks(const struct control *control);
/* What is known of names of servers. */
const struct control_resolve *control_names(const struct control *control);
uint64_t control_access_log_dropped(const struct control *control);

struct mail_cache;
/* The logged-in connections that the workers keep. */
struct mail_cache *control_mail_cache(const struct control *control);

struct control_worker {
    struct loop_stats loop;
    uint64_t generation;
    uint64_t revision; /* of that generation, as far as known */
    uint32_t connections;
};
struct control_worker control_worker(const struct control *control, uint32_t worker);
/* Is every worker turning? (healthz, watchdog) */
bool control_is_alive(struct control *control);
/* Running the newest document everywhere and accepting? Else *why is a sentence (borrowed). */
bool control_is_ready(struct control *control, const char **why);

/* A server's usability or address is different: publishes soon. */
void control_republish(struct control *control);

#endif
