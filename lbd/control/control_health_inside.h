/*
 * control_health_inside - what the files of control_health share and nobody else sees.
 *
 *     control_health.c        when servers are probed, what their state is, what workers tell
 *     control_health_learn.c  what else is learnt of them: what mail servers can, what they speak
 *     control_health_apply.c  what the document says of them
 *
 * Threads: control.
 */
#ifndef LBD_CONTROL_CONTROL_HEALTH_INSIDE_H
#define LBD_CONTROL_CONTROL_HEALTH_INSIDE_H

#include "lbd/base/list.h"
#include "lbd/base/map.h"
#include "lbd/base/random.h"
#include "lbd/control/control_health.h"
#include "lbd/upstream/health.h"
#include "lbd/upstream/interview.h"

/* A pool and its check. */
struct health_pool {
    struct control_health *health;
    char *name;                     /* owned */
    uint64_t version;               /* of the conf_pool it was made from; 0: look again */
    uint64_t check_version;         /* of the conf_health_check, likewise */
    struct health_probe_plan *plan; /* referenced; NULL: no check */
    struct map servers;             /* name -> struct health_server */
    struct control_health_stats stats;
    struct counters_id *counters; /* held: the pool's block, in which control counts too */
    char *fallback;               /* owned: the pool that stands in; empty: none */
    char *tls_name;               /* owned: of its servers; empty: the host of each one's address */
    enum proxy_header_version proxy;
    enum pool_http http;
    bool starttls;
    bool is_mail;
    bool has_tls;
    struct dial_sources sources; /* owned */
    uint32_t source_turn;
    char differing[CONTROL_HEALTH_DIFFERING_MAX + 1]; /* see control_health_differing */
};

/* A server and what we know of it.
 *
 *     idle --timer--> in health->waiting --a place is free--> probe --result--> idle
 */
struct health_server {
    struct health_pool *pool;
    struct server *server; /* referenced */
    struct addr address;   /* len 0: none */
    char *authority;       /* owned: the address as configured */
    struct health health;  /* the verdict of the probes */
    struct list_node waiting;
    struct loop_timer timer;    /* the next probe; without a check: the end of a passive mark */
    uint64_t due_us;            /* when that probe should begin */
    struct health_probe *probe; /* under way */
    bool is_first;              /* probe since the check or the address is new */
    bool is_out;                /* in maintenance: not checked */
    struct loop_timer calm;     /* until then no further report of connection failures is taken */
    bool is_kept;               /* the last report of them changed nothing: it was the last one */
    uint64_t kept_us;           /* when we last said that it is kept although it fails */
    uint64_t trouble_us;        /* when we last told of its last_error */
    struct control_health_facts facts;
    struct health_history history;
    struct interview *interview; /* under way */
    bool was_interviewed;        /* since the check or the address is new */
    struct loop_timer again;     /* the next one, where no check would see that all is well again */
    uint64_t doubted_us;         /* when requests made us begin one, */
    enum conf_check_type doubted_as; /* and as what they go there */
};

struct control_health {
    struct control_health_options options;
    struct map pools;                  /* name -> struct health_pool */
    struct tls_client *handshake_only; /* held; NULL: not needed yet */
    const struct registry *registry;   /* borrowed: knows the TLS of each pool; NULL: not yet */
    bool is_started;                   /* who is new now was not there when lbd began */
    struct list_node waiting;
    uint32_t probing;        /* under way */
    uint32_t interviewing;   /* likewise */
    struct loop_ready start; /* probes begin after the caller has finished */
    struct random random;
    uint64_t not_run_us; /* when we last said that a probe could not run */
};

/* -- control_health.c -- */

/* "server.health" in the event log: from one word to another. */
void control_health_post(const struct health_server *live, const char *from, const char *to,
                         const char *why);
void control_health_set_state(struct health_server *live, enum server_health state,
                              const char *why);
/* Not within a minute after the last time (0: never). */
bool control_health_is_time_to_say(uint64_t *last_us, uint64_t now);
/* Its last result in words. */
void control_health_remember(struct health_server *live, const char *text);
/* As soon as there is a place. */
void control_health_probe_now(struct health_server *live);
/* What is under way or waits is about something that is not true any more. */
void control_health_stop_probing(struct health_server *live);
void control_health_fill_target(const struct health_server *live,
                                struct control_health_target *target);
/* For TLS that looks at no certificate; NULL: OpenSSL has no room. */
struct tls_client *control_health_handshake_only(struct control_health *health);
struct health_server *control_health_find(const struct control_health *health, struct slice pool,
                                          struct slice server);
/* From here on three failures in a row make another report. */
void control_health_listen_again(struct server *server);

/* -- control_health_learn.c -- */

/* What a mail server said that it can; empty: it said nothing. */
void control_health_learn(struct health_server *live, struct slice list);
/* Nobody learns any more, or others are asked something else. */
void control_health_unlearn(struct health_server *live);
/* A state beside up: nothing changes for traffic. */
void control_health_note_degraded(struct health_server *live, bool is_degraded, const char *text);
/* A check that failed; the first that connected and was not understood is followed by an interview.
 */
void control_health_doubt(struct health_server *live, const struct health_probe_result *result);
/* It is new, and gets requests of HTTP: where no check would notice, an interview tells whether it
 * speaks that. */
void control_health_admit(struct health_server *live);
/* Requests found that it speaks something else. Where no check would notice, an interview follows.
 */
void control_health_doubt_requests(struct health_server *live, enum close_reason reason);
/* It is understood: what was said of it is not true any more. */
void control_health_trust(struct health_server *live);
/* No interview is under way, and none will follow the last one. */
void control_health_forget_interview(struct health_server *live);

/* -- control_health_apply.c -- */

void control_health_free_pool(struct health_pool *pool);

#endif
