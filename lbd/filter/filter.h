/*
 * filter - what requests must pass, and have done to them: the policies of a listener and a route.
 *
 * A chain is the listener's policies and then the route's; it is asked once the route is known, and
 * before a server is chosen.
 *
 *     filter_run_go -+-> GO_ON      all let it pass
 *                    +-> WAIT       one is still thinking: run->resume comes later
 *                    '-> ANSWERED   run->answer is what the client is told
 *     filter_run_response           the head of the answer, by those that were asked, last first
 *     filter_run_code               its body, piece by piece, when one of them has taken it over
 *     filter_run_end                once, however it ended: what they hold is let go
 *
 * A kind is a row of verbs (struct filter_ops) and an object that begins with struct filter; its
 * file is filter_<kind>.c. In shadow mode a refusal is counted and not carried out; what only edits
 * is not done at all, and who would wait finds out beside the request.
 *
 * Memory: a filter is frozen and counted: one snapshot after the other shares it while its part of
 * the document is the same. What must outlive that (buckets, counts) is its state, found again by
 * kind and name. A run lives in its request's arena. Threads: made on control; run by workers.
 */
#ifndef LBD_FILTER_FILTER_H
#define LBD_FILTER_FILTER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "lbd/base/addr.h"
#include "lbd/base/arena.h"
#include "lbd/base/close_reason.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/file_stamp.h"
#include "lbd/base/lease.h"
#include "lbd/http/message.h"
#include "lbd/net/loop.h"
#include "lbd/stats/counters.h"
#include "lbd/tls/tls_client.h"

#define FILTER_CHAIN_MAX  64U /* policies of a listener and a route together */
#define FILTER_FIELDS_MAX 18U /* of an answer, beside Content-Type */

struct filter;
struct filter_facts; /* filter_facts.h */
struct filter_run;

enum filter_verdict { FILTER_GO_ON, FILTER_WAIT, FILTER_ANSWERED };

/* What the client is told. Texts live as long as the run, or the filter. */
struct filter_answer {
    enum close_reason reason;
    uint16_t status;             /* 0: that of the reason */
    struct slice body;           /* empty: the words of the reason */
    struct slice type;           /* of `body` */
    uint32_t field_count;        /* at most FILTER_FIELDS_MAX */
    struct header_extra *fields; /* in the run's arena; few answers have more than one */
};

/* A piece of a body on its way through the filter that has taken it over. */
struct filter_piece {
    struct slice in;  /* what it has not taken of it so far */
    struct slice out; /* what is sent instead; until the next call of any filter of the worker */
    bool is_last;     /* nothing follows `in` */
    bool has_more;    /* the same piece again: `in` and `is_last` are left as they are */
};

/* What survives changes of the document. A kind's own begins with this. */
struct filter_state {
    _Atomic uint32_t refs;
    void (*free)(struct filter_state *state);
};

/* What a request holds longer than its run, when it becomes a tunnel: a part of a number in a
 * state. Threads: the worker's. */
struct filter_hold {
    struct filter_hold *next;
    struct filter_state *state; /* referenced: the number is in it */
    _Atomic uint64_t *value;
    uint64_t part;
};

struct filter_ops {
    size_t size;  /* of the kind's object */
    bool is_edit; /* changes heads and refuses nobody: in shadow mode it is not run */
    /* Of a new object whose struct filter is filled in; texts of `conf` outlive it only when they
     * are copied into self->arena. False: *err. NULL: nothing to do. */
    bool (*build)(struct filter *self, const struct conf_policy *conf, struct err *err);
    /* The state that a new name gets, with one reference; NULL: there is none. */
    struct filter_state *(*make_state)(const struct conf_policy *conf);
    /* Whether it goes on with this one. NULL: always. */
    bool (*state_fits)(const struct filter_state *state, const struct conf_policy *conf);
    void (*fini)(struct filter *self); /* NULL: the arena is all */
    /* A connection that speaks something else than HTTP, by its client's address alone. NULL: the
     * kind is of requests. */
    bool (*admits)(const struct filter *self, const struct addr_small *client);
    /* Each may be NULL. `kept` is the filter's own pointer for this request, NULL at first. */
    enum filter_verdict (*request)(struct filter_run *run, const struct filter *self, void **kept);
    /* In shadow mode, in place of `request`, and the request goes on: it finds out what it would
     * have said, which may take longer than the request does, and tells filter_note_aside. NULL:
     * `request` it is. */
    void (*aside)(struct filter_run *run, const struct filter *self, void **kept);
    void (*response)(struct filter_run *run, const struct filter *self, void **kept,
                     struct message *answer);
    /* Bytes that the request's body may have. Its `kept` is NULL until it has spoken of that. */
    uint64_t (*body_max)(const struct filter *self);
    /* So many bytes of the answer's body go out, when run->is_paced: how long the next ones wait,
     * in milliseconds. */
    uint64_t (*sent)(struct filter_run *run, const struct filter *self, void **kept,
                     uint64_t bytes);
    /* Fills in value and part of a new hold, which has from here on what `end` would let go of.
     * False: there is nothing. */
    bool (*hold)(const struct filter *self, void **kept, struct filter_hold *hold);
    /* The body of the answer, when `response` has taken it over (filter_run_take_body): fills in
     * `out`, which may be empty. True: there is more to come of this piece. */
    bool (*code)(struct filter_run *run, const struct filter *self, void **kept,
                 struct filter_piece *piece);
    void (*end)(struct filter_run *run, const struct filter *self, void **kept);
    /* What it can tell of itself, for who asks; on control, while workers use it. NULL: nothing. */
    void (*facts)(const struct filter *self, uint64_t now_us, struct filter_facts *facts);
};

struct filter {
    const struct filter_ops *ops;
    struct arena arena;
    struct slice name; /* in `arena` */
    _Atomic uint32_t refs;
    uint32_t id;                 /* counters block of its policy */
    struct filter_state *state;  /* referenced; NULL: it has none */
    uint64_t version;            /* conf_policy.version */
    uint64_t sets_version;       /* of all address sets that it names together */
    const struct conf *document; /* during build */
    struct slice material;     /* during build: what is in the file, or at the URL, that it names */
    struct tls_client *tls;    /* referenced: of https to whom it asks; NULL: none */
    struct file_stamp stamp;   /* of that file, */
    struct file_stamp refused; /* and as it was when it was no good; control only */
    char *refused_why;         /* owned: why that is so; NULL: it is not. Control only */
    uint64_t keys_version;     /* of what was fetched for it; 0: nothing */
    bool is_shadow;
};

struct filter_chain {
    uint32_t count;
    const struct filter *list[]; /* borrowed from the snapshot */
};

/* One request on its way through a chain. */
struct filter_run {
    /* set by who begins it */
    const struct filter_chain *chain;
    struct message *request;
    struct arena *arena; /* of the request; lives until filter_run_end */
    struct loop *loop;
    struct counters_worker *counters;
    struct lease *lease; /* of the chain: who needs it longer than the run holds it */
    const struct addr_small *client;
    struct slice listener;
    struct slice route; /* empty: none */
    struct slice request_id;
    struct slice proto; /* how the client asked: "http" or "https", */
    struct slice host;  /* and for which host, by trusted proxies or else by the request itself */
    bool has_client_cert;
    void *owner;
    void (*resume)(struct filter_run *run, enum filter_verdict verdict); /* GO_ON or ANSWERED */
    /* what comes of it */
    struct filter_answer answer;   /* when ANSWERED */
    const struct filter *decided;  /* who answered; NULL: nobody */
    const struct filter *shadowed; /* the first who would have, in shadow mode; NULL: none */
    const struct filter *keyed_by; /* whose refusal, also in shadow mode, was of one key: */
    struct slice key_id;           /* its id, as the policy's status has it */
    uint64_t body_max;             /* request's body: at more than this somebody is asked again */
    uint32_t body_limit;           /* the place of who is */
    bool drops_trailers;           /* of the request: they could bring what its head may not */
    bool is_paced;                 /* the answer: see filter_run_sent */
    bool is_body_free;             /* during `response`: its body may be taken over */
    struct slice own_cookies[2]; /* during `response`: names of those that are lbd's; empty: none */
    uint32_t coder;              /* 1 + the place of who has; 0: nobody */
    /* its own */
    uint32_t asked; /* of the chain */
    void **kept;    /* one for each */
};

/* -- control -- */

/* How a kind works. */
const struct filter_ops *filter_ops_of(enum conf_policy_kind kind);
/* `conf` is of `document`; `state` and `tls` are referenced; `material` is read, not kept. refs
 * = 1. NULL: *err. */
struct filter *filter_new(const struct conf *document, const struct conf_policy *conf, uint32_t id,
                          struct filter_state *state, struct tls_client *tls, struct slice material,
                          struct err *err);
/* A number that stands for the content of the address sets that it names. */
uint64_t filter_sets_version(const struct conf *document, const struct conf_policy *conf);
struct filter *filter_ref(struct filter *filter);
void filter_unref(struct filter *filter); /* NULL is fine */
struct filter_state *filter_state_ref(struct filter_state *state);
void filter_state_unref(struct filter_state *state); /* NULL is fine */

/* -- workers -- */

/* After the members above "what comes of it" were set and the rest zeroed. */
enum filter_verdict filter_run_go(struct filter_run *run);
/* Of a filter that said WAIT: its verdict. What follows runs within this call. */
void filter_run_resume(struct filter_run *run, enum filter_verdict verdict);
/* The request's body has become larger than body_max. False: too large, and who says so has
 * decided. */
LB_MUST_CHECK bool filter_run_body_fits(struct filter_run *run, uint64_t bytes);
/* The head of the answer, the server's or ours. */
void filter_run_response(struct filter_run *run, struct message *answer);
/* Of an answer that is_paced, for each piece of its body: how long the next one waits, in
 * milliseconds. */
uint64_t filter_run_sent(struct filter_run *run, uint64_t bytes);
/* Of a request that becomes a tunnel, which outlives its run; NULL: nothing. */
struct filter_hold *filter_run_hold(struct filter_run *run);
void filter_hold_end(struct filter_hold *hold); /* NULL is fine */
/* Of an answer whose `coder` is not 0, for each piece of its body until it says false. */
bool filter_run_code(struct filter_run *run, struct filter_piece *piece);
/* Also while one of them waits. */
void filter_run_end(struct filter_run *run);

/* Who does not let in a client of a listener that does not speak HTTP, counted; NULL: nobody. All
 * of the chain are of kinds that can tell. */
const struct filter *filter_chain_refuses(const struct filter_chain *chain,
                                          const struct addr_small *client,
                                          struct counters_worker *counters);
/* The first of those before `end` (NULL: of all) that would not have let it in, in shadow mode, not
 * counted; NULL: none. */
const struct filter *filter_chain_shadows(const struct filter_chain *chain,
                                          const struct addr_small *client,
                                          const struct filter *end);

/* For kinds: refuses the request; fields may be added by filter_answer_add. */
enum filter_verdict filter_refuse(struct filter_run *run, enum close_reason reason);
/* For `aside`: what was found out, counted; once at most. `run`: NULL when it has ended. */
void filter_note_aside(struct filter_run *run, struct counters_worker *counters,
                       const struct filter *filter, bool refuses);
/* In `response`: from here on the body goes through `code`, and has no length that is known. Only
 * when run->is_body_free and run->coder is 0. */
void filter_run_take_body(struct filter_run *run, void **kept);
/* The pointer of the filter that was asked last, the one that said WAIT. */
void **filter_run_kept(struct filter_run *run);
/* The only field of the request with this id; NULL: there is none, or several. */
const struct header *filter_only_header(const struct filter_run *run, enum header_id id);
/* Servers see this field and no other of that name, whoever sent or set it and wherever: trailers
 * end here. An empty value: they see none. Both live as long as the run. False: there is no room
 * for it, or the value cannot be one. */
LB_MUST_CHECK bool filter_tell(struct filter_run *run, struct slice name, struct slice value);
/* A field of run->answer, after filter_refuse; what is more than FILTER_FIELDS_MAX is left out. */
void filter_answer_add(struct filter_run *run, struct slice name, struct slice value);
/* A field of a head; see message_add. False: there is no room, or the value cannot stand in one. */
bool filter_field_add(struct message *message, struct slice name, struct slice value);
/* All fields of a name in a head, those that were added, too. */
void filter_field_drop(struct message *message, struct slice name);

#endif
