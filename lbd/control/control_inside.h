/*
 * control_inside - what the files of control share and nobody else sees.
 *
 *     control.c         life, facts, publication      control_apply.c   a change of the document
 *     control_admin.c   admin states by hand      control_conditions.c   what is true since when
 *
 * Threads: control.
 */
#ifndef LBD_CONTROL_CONTROL_INSIDE_H
#define LBD_CONTROL_CONTROL_INSIDE_H

#include "conf/conf_store.h"
#include "lbd/base/list.h"
#include "lbd/base/mailbox.h"
#include "lbd/control/control.h"
#include "lbd/control/control_health.h"
#include "lbd/control/control_resolve.h"
#include "lbd/control/events.h"
#include "lbd/control/overrides.h"
#include "lbd/snapshot/snapshot_retire.h"

/* What conditions were noted for, see control_conditions. */
struct control_noted {
    struct conf_document *document; /* held, so that its lists are told from later ones */
    bool is_adopted;
    bool is_draining;
};

struct control_process_conditions {
    struct condition ready;
    struct condition degraded;
    struct condition confirmed;
    struct condition seed;
    struct condition metrics;
};

struct control {
    struct control_options options;
    struct conf_store *store;
    struct conf_document *document; /* held; NULL before control_start */
    struct registry registry;
    struct overrides overrides;
    struct events *events;
    struct control_facts facts;

    struct mailbox mailbox; /* what workers say */
    struct loop_watch mailbox_watch;
    struct workers *workers;       /* NULL until control_start, and after the end */
    struct log_writer *access_log; /* NULL: off */
    struct control_health *health;
    struct control_resolve *resolve;

    struct snapshot *newest; /* published last; borrowed from `live` */
    struct list_node live;   /* struct snapshot.link, oldest first */
    struct snapshot_retired retired;
    struct list_node waiting; /* struct control_job.link: changes that workers adopt */
    struct loop_timer republish_timer;
    struct loop_ready republish_ready;
    uint64_t republished_us; /* when it was done last */
    struct loop_timer drain_timer;
    uint64_t poked_us; /* a worker that was silent was asked to turn; 0: none was */
    struct control_noted noted;
    struct control_process_conditions process;
    bool is_started; /* options.ready was called */
    bool has_counters;
    bool is_ending; /* in control_free */
};

/* One change on its way. */
struct control_job {
    struct list_node link;
    struct control *control;
    struct control_result result;
    struct conf_errors errors;
    struct snapshot *snapshot; /* being prepared */
    char what[256];            /* for the log */
    char who[64];              /* for the event */
    bool is_wait;              /* no change, only waits for what was published */
    uint64_t started_us;
    uint64_t generation; /* that must be adopted */
    struct loop_timer limit;
    void (*done)(const struct control_result *result, void *arg);
    void *arg;
};

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
/* The admin state that counts for a server now. */
enum server_admin control_admin_of(const struct control *control, const struct conf_pool *pool,
                                   const struct conf_server *server);
/* Forgets overrides whose server is gone or whose configured state was edited. */
void control_supersede_overrides(struct control *control);

#endif
