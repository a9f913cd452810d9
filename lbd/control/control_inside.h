/*
 * control_inside - what the files of control share and nobody else sees.
 *
 *     control.c            life, facts, publication
 *     control_queue.c      changes wait, are saved together, are published
 *     control_propose.c    a change becomes a document
 *     control_apply.c      doors, ends of jobs
 *     control_read.c       texts become documents
 *     control_ahead.c      large ones, beside the loop
 *     control_save.c       what a save writes, beside the loop
 *     control_confirm.c    the window in which a change can be taken back
 *     control_history.c    revisions
 *     control_members.c    endpoints of a file
 *     control_running.c    servers that the DNS names
 *     control_admin.c      something is set by hand
 *     control_overrides.c  the table of that
 *     control_drains.c     what is being emptied
 *     control_check.c      a probe because somebody asks
 *     control_conditions.c what is true since when
 *     control_certs.c      certificates come, change and end
 *
 * Threads: control.
 */
#ifndef LBD_CONTROL_CONTROL_INSIDE_H
#define LBD_CONTROL_CONTROL_INSIDE_H

#include "conf/conf_store.h"
#include "lbd/base/job.h"
#include "lbd/base/list.h"
#include "lbd/base/mailbox.h"
#include "lbd/control/control.h"
#include "lbd/control/control_agent.h"
#include "lbd/control/control_health.h"
#include "lbd/control/control_keys.h"
#include "lbd/control/control_mail.h"
#include "lbd/control/control_ocsp.h"
#include "lbd/control/control_outlier.h"
#include "lbd/control/control_resolve.h"
#include "lbd/control/drains.h"
#include "lbd/control/events.h"
#include "lbd/control/overrides.h"
#include "lbd/proxy/pressure.h"
#include "lbd/snapshot/snapshot_retire.h"
#include "lbd/stats/access_format.h"

/* What conditions were noted for, see control_conditions. */
struct control_noted {
    struct conf_document *document; /* held, so that its lists are told from later ones */
    bool is_adopted;
};

struct control_process_conditions {
    struct condition ready;
    struct condition degraded;
    struct condition overloaded;
    struct condition confirmed;
    struct condition seed;
    struct condition metrics;
};

/* A change that is on trial until somebody confirms it. */
struct control_window {
    struct conf_document *base; /* held; NULL: closed */
    uint64_t base_revision;
    struct loop_timer timer;
    uint64_t deadline_us; /* monotonic */
    uint32_t within_ms;   /* as asked for last */
};

/* Owners whose changes were taken back: they must not do it again before somebody has seen it. */
struct control_owners {
    struct map blocked; /* owner -> uint64_t *, the revision that took it back */
};

/* File mode: servers of pools with "members": "api". */
struct control_members {
    char *text; /* canonical members.json, owned; NULL: none */
    size_t len;
};

/* Files of certificates are looked at; ends are told of. */
struct control_certs {
    struct loop_timer timer;
    size_t cursor; /* of registry_tls_look */
    struct control_ocsp *ocsp;
    struct control_keys *keys;
    uint64_t minute_us; /* what is done once a minute was done then; monotonic */
};

struct control {
    struct control_options options;
    struct conf_store *store;
    struct conf_document *document; /* held; NULL before control_start */
    struct conf_document *running;  /* held: the same with members of templates */
    struct loop_ready members_ready;
    struct registry registry;
    struct overrides overrides;
    struct events *events;
    struct drains *drains;
    struct list_node checks; /* that somebody asked for */
    uint32_t asking;         /* questions to workers under way */
    uint32_t closing;        /* drains that end what is left */
    struct list_node wishes; /* overrides that are saved at the end of this pass */
    struct loop_ready wishes_ready;
    struct loop_timer expiry_timer; /* of overrides */
    uint64_t expiry_wall_us;        /* the first one; 0: none */
    char not_ready[320];            /* why the process is not, when it was drained by hand */
    struct control_facts facts;
    uint8_t pressure[SNAPSHOT_WORKERS_MAX][PRESSURE_KINDS]; /* the stage of each worker */

    struct mailbox mailbox; /* what workers say */
    struct loop_watch mailbox_watch;
    struct workers *workers;       /* NULL until control_start, and after the end */
    struct log_writer *access_log; /* NULL: off */
    struct access_format access_format;
    struct control_health *health;
    struct control_outlier *outlier;
    struct control_agent *agent;
    struct control_resolve *resolve;

    struct snapshot *newest; /* published last; borrowed from `live` */
    struct list_node live;   /* struct snapshot.link, oldest first */
    struct snapshot_retired retired;
    struct list_node queue;      /* struct control_job.link: changes whose turn has not come */
    struct list_node saving;     /* likewise: the group that is being saved */
    struct list_node waiting;    /* likewise: changes that workers adopt */
    struct job_pool *saver;      /* one thread, which reads large changes, too */
    struct control_ahead *ahead; /* the first of the queue is being read, or NULL */
    struct control_save *save;   /* under way, or NULL */
    uint32_t queued;             /* in `queue` */
    uint32_t alone;              /* so many of the queue are taken one by one */
    bool is_turning;
    struct control_window window;
    struct control_owners owners;
    struct control_members members;
    struct control_certs certs;
    struct control_mail *mail;
    struct loop_timer republish_timer;
    struct loop_ready republish_ready;
    uint64_t republished_us;         /* when it was done last */
    struct loop_timer weights_timer; /* the next step of a slow start */
    struct loop_timer drain_timer;
    uint64_t poked_us; /* a worker that was silent was asked to turn; 0: none was */
    struct control_noted noted;
    struct control_process_conditions process;
    bool is_started; /* options.ready was called */
    bool has_counters;
    bool is_ending; /* in control_stop, or after it */
};

/* One change on its way. */
struct control_job {
    struct list_node link;
    struct control *control;
    struct control_change change; /* without its pointer to a text of the caller's call: */
    char *pointer;                /* owned */
    struct control_result result;
    struct conf_errors errors;
    char what[256];              /* for the log */
    char who[64];                /* for the event */
    struct control_ahead *ahead; /* owned: what was read beside the loop, or NULL */
    bool is_wait;                /* no change, only waits for what was published */
    uint64_t started_us;
    uint64_t generation; /* that must be adopted */
    struct loop_timer limit;
    void (*done)(const struct control_result *result, void *arg);
    void *arg;
};

/* -- jobs (control_apply.c) -- */

struct control_job *control_job_new(struct control *control, const struct control_change *change,
                                    void (*done)(const struct control_result *result, void *arg),
                                    void *arg);
/* Answers, counts, frees. */
void control_job_finish(struct control_job *job);
/* Puts it into the list of those that wait for the workers. */
void control_job_wait(struct control_job *job);
/* Sets the problem; returns false. */
bool control_job_refuse(struct control_job *job, const char *problem);
void control_job_post(const struct control_job *job, const char *type, const char *message);

/* -- the queue (control_queue.c) -- */

void control_queue_put(struct control_job *job);
/* Takes the next group when nothing is under way. */
void control_queue_turn(struct control *control);
/* We leave: what waits for its turn is refused. */
void control_queue_refuse_all(struct control *control);

/* -- proposals (control_propose.c) -- */

/* May this be done at all, now? False: result.err says why not. */
bool control_propose_is_allowed(struct control_job *job);
/* Writes what is wrong with the file into the log. */
void control_log_errors(const char *file, const struct conf_errors *errors);
/* result.before becomes result.document. False: result.err says why not. */
bool control_propose(struct control_job *job);

/* -- reading (control_read.c) -- */

struct control_reading {
    struct conf_document *document; /* the caller's; NULL: */
    struct err err;
    bool is_clash;      /* of an owner */
    uint32_t operation; /* of a batch: the one to blame, from 1; 0: none */
};
/* Any thread, as long as change and `before` stay. `errors` is initialised. */
void control_read(const struct control_change *change, const struct conf_store *store,
                  struct conf_document *before, struct conf_errors *errors,
                  struct control_reading *reading);
/* A saved text, sharing with `like` what is the same. */
struct conf_document *control_read_text(struct conf_document *like, struct slice text,
                                        struct conf_errors *errors, struct err *err);

/* -- reading beside the loop (control_ahead.c) -- */

struct control_ahead {
    struct job job;
    struct control_job *change_job; /* borrowed: it is the first of the queue */
    struct conf_document *before;   /* held */
    struct conf_errors errors;
    struct control_reading reading;
};
/* Is it large, and not read yet? */
bool control_ahead_is_due(const struct control_job *job);
/* The first of the queue is being read; the queue waits until control->ahead is NULL again. */
void control_ahead_start(struct control_job *job);
/* Gives what was read, and job->errors. False: nothing was, or against another document than
 * result.before. */
bool control_ahead_take(struct control_job *job, struct control_reading *reading);
void control_ahead_free(struct control_job *job);

/* -- saves (control_save.c) -- */

/* The group in control->saving becomes files, beside the loop; done() comes on it. `snapshot` is
 * only carried. */
struct control_save {
    struct job job;
    struct control *control;
    struct snapshot *snapshot; /* NULL: a confirmation */
    struct conf_store_save store;
    struct buf *texts;         /* one per item */
    struct control_job **jobs; /* one per item; borrowed: they are in control->saving */
    struct buf members;
    struct err err;
    bool ok;
    uint64_t took_us;
    void (*done)(struct control_save *save);
};
void control_save_start(struct control *control, struct snapshot *snapshot,
                        void (*done)(struct control_save *save));
void control_save_free(struct control_save *save);
/* At the start, on the spot. */
bool control_save_first(struct control *control, const struct conf_document *document,
                        const struct conf_revision *note, struct err *err);

/* -- the window (control_confirm.c) -- */

/* Will this change be on trial? */
bool control_confirm_is_on_trial(const struct control_job *job);
/* What the note of its revision says about it. */
void control_confirm_fill_in(const struct control_job *job, struct conf_revision *note);
/* It runs: the window opens, grows, or closes. `before` is the revision that ran. */
void control_confirm_published(struct control_job *job, uint64_t before);
/* The owners whose changes since the last confirmed revision are about to be taken back. */
void control_confirm_block_owners(struct control *control, uint64_t by_revision);
/* At the start: the newest revision was on trial. Fills in what its end looks like. */
void control_confirm_restarted(struct control *control, struct conf_revision *note);
void control_confirm_again(struct control *control); /* it could not be taken back: try again */
void control_confirm_fini(struct control *control);
/* Of a revision that goes back: why. */
void control_confirm_reason(const struct control_job *job, char *out, size_t size);
/* An owner whose change was taken back has not acknowledged it: the revision, or 0. */
uint64_t control_owners_blocked(const struct control *control, struct slice owner);
/* True when there was somebody to acknowledge this one. */
bool control_owners_acknowledge(struct control *control, uint64_t revision);
bool control_owners_read(struct control *control, struct err *err);

/* -- endpoints beside a file (control_members.c) -- */

bool control_members_read(struct control *control, struct err *err);
/* The document of the file with the endpoints that the API has written; a new reference. */
struct conf_document *control_members_merge(struct control *control,
                                            struct conf_document *document);
/* members.json for this document, in which the servers at this pointer were written. */
void control_members_write(const struct control *control, const struct conf_document *document,
                           struct slice servers_pointer, struct buf *out);
void control_members_saved(struct control *control, struct slice text);
/* Is this pool's member list the API's, whoever owns the rest? */
bool control_members_are_ours(const struct conf_document *document, struct slice servers_pointer);

/* The document becomes a snapshot with sockets; NULL and *err. It is swept by control_discard or
 * taken by control_publish. */
struct snapshot *control_compile(struct control *control, struct conf_document *document,
                                 uint64_t revision, struct err *err);
bool control_prepare(struct control *control, struct snapshot *snapshot, struct err *err);
void control_discard(struct control *control, struct snapshot *snapshot);
/* The document runs: live objects take over what it says; the snapshot (kept) goes to the workers.
 */
void control_commit(struct control *control, struct snapshot *snapshot);
void control_publish(struct control *control, struct snapshot *snapshot);
/* Publishes at once what control_republish would publish soon. */
void control_republish_now(struct control *control);
/* Ends those jobs whose generation all workers run. */
void control_finish_adopted(struct control *control);
/* Ends every job as pending: we leave. */
void control_finish_all(struct control *control);
/* Forgets overrides whose target is gone or whose configured field was edited. */
void control_supersede_overrides(struct control *control);
/* A server of the document that now counts: its admin state and weight, configured or by hand. */
void control_agent_said(struct slice pool, struct slice server, const struct agent_line *line,
                        void *arg); /* control_agent_options.said; `arg` is the control */
void control_heed_server(struct control *control, struct registry_server *live,
                         const struct conf_pool *pool, const struct conf_server *conf);
/* -- servers that the DNS names (control_running.c) -- */

/* The document with members in place of templates, as far as they are known now; a new reference.
 */
struct conf_document *control_running_make(const struct control *control,
                                           struct conf_document *document);
/* Takes over the reference. */
void control_running_set(struct control *control, struct conf_document *running);
/* Is it a server that the DNS does not name now, but may again? */
bool control_running_may_come(const struct control *control, struct slice key);
/* Live objects take over what runs (control_queue.c). */
void control_commit_running(struct control *control);
/* control_resolve_options.members_changed */
void control_running_members_changed(void *arg);

/* -- certificates (control_certs.c) -- */

/* Once the store is open. */
void control_certs_init(struct control *control);
void control_certs_fini(struct control *control);
/* Reads what the document names. False: *errors says what cannot be used. */
bool control_certs_prepare(struct control *control, const struct conf_document *document,
                           struct conf_errors *errors);
/* The document runs. */
void control_certs_committed(struct control *control);
/* Have files changed? Now, not in a second. */
void control_certs_look(struct control *control);

/* -- what is set by hand -- */

enum server_admin control_configured(const struct conf_server *server);
/* The configured server of a key "pool/server", and its pool; NULL: there is none. */
const struct conf_server *control_server_of(const struct control *control, struct slice key,
                                            const struct conf_pool **pool);
/* What was changed together: begun, filled by overrides_write_change, then saved (false:
 * ERR_STORAGE) or given up by buf_fini of its text. */
struct control_record {
    struct buf text;
    struct json_write w;
};
void control_record_begin(struct control_record *record);
bool control_record_save(struct control_record *record, struct control *control, struct err *err);
/* Events; `why` may be "". */
void control_post_override(struct control *control, const char *type, enum override_kind kind,
                           struct slice key, const struct override *override, const char *why);
void control_post_admin(struct control *control, struct slice key, enum server_admin from,
                        enum server_admin to, const char *reason, const char *who);
/* Finds what was set by hand before we ended. What is damaged is told and left out. */
LB_MUST_CHECK bool control_read_overrides(struct control *control, struct err *err);
/* Sets the timer of the next override that ends. */
void control_heed_expiry(struct control *control);
/* Ends what waits to be saved: we leave. */
void control_refuse_wishes(struct control *control);

/* Ends what was to be checked: we leave. */
void control_end_checks(struct control *control);

struct drains *control_drains_new(struct control *control);
/* Takes a server, listener or the process out of use, or brings it back; `override` NULL: the
 * document does. `generation` is the publication that lets workers know. */
void control_drain_target(struct control *control, enum override_kind kind, struct slice key,
                          bool is_out, const struct override *override, uint64_t generation);
/* Events of the listeners that `conf` brings and takes; before it is committed. */
void control_tell_listeners(struct control *control, const struct conf *conf);
/* What was drained when we ended is drained still. */
void control_resume_drains(struct control *control);
/* Listeners of the document that now counts: which are drained. */
void control_heed_listeners(struct control *control);
/* Shows or hides the names of unix sockets accordingly. */
void control_settle_sockets(struct control *control);

#endif
