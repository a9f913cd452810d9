/*
 * control_drains - what is out of use and how it empties; declared in control.h.
 *
 * A drained listener is a plan that says so in the next publication (workers empty their sockets'
 * queues and let them refuse, the ports stay ours); a drained process is all its listeners. Both
 * can be brought back.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/control/control_inside.h"
#include "lbd/worker/clients.h"
#include "lbd/worker/requests.h"

/* -- how many, and ending them -- */

static struct registry_server *server_of(const struct control *control, const struct drain *drain)
{
    struct slice rest = slice_from(drain->key);
    struct slice pool;
    (void)slice_split(&rest, '/', &pool);
    return registry_find_server(&control->registry, pool, rest);
}

static bool count(const struct drain *drain, uint32_t *open, bool *is_settled, void *arg)
{
    const struct control *control = arg;
    const struct registry_server *server = NULL;
    const struct registry_listener *listener = NULL;
    *open = 0;
    *is_settled = control->facts.adopted_generation >= drain->generation;
    switch (drain->kind) {
    case OVERRIDE_ADMIN:
        server = server_of(control, drain);
        if (server != NULL) {
            *open = atomic_load_explicit(&server->server->load.in_flight, memory_order_relaxed);
        }
        return server != NULL;
    case OVERRIDE_LISTENER:
        listener = registry_find_listener(&control->registry, slice_from(drain->key));
        if (listener != NULL) {
            *open = atomic_load_explicit(&listener->listener->connections, memory_order_relaxed);
        }
        return listener != NULL;
    case OVERRIDE_PROCESS:
        for (uint32_t i = 0; control->workers != NULL && i < control->facts.workers; i++) {
            *open += workers_connections(control->workers, i);
        }
        return true;
    case OVERRIDE_WEIGHT:
    case OVERRIDE_KINDS:
        break;
    }
    return false;
}

/* Each is a walk over all clients of every worker, a slice of it in each pass of their loops: when
 * the deadlines of a thousand servers pass at once, requests must not wait for a thousand slices.
 */
#define CLOSING_MAX 4U

/* Which drain was asked to end what is left. */
struct closing {
    struct control *control;
    uint64_t number;
};

static void on_closed(const struct clients_answer *answer, void *arg)
{
    struct closing *closing = arg;
    struct control *control = closing->control;
    log_info("drain.closed", "number=%llu ended=%llu", (unsigned long long)closing->number,
             (unsigned long long)answer->total);
    control->closing--;
    if (!control->is_ending) {
        drains_closed(control->drains, closing->number);
        drains_look(control->drains); /* the next one's turn */
    }
    free(closing);
}

static bool close_rest(const struct drain *drain, void *arg)
{
    struct control *control = arg;
    struct clients_query query = {.is_end = true, .reason = CLOSE_DRAIN_DEADLINE};
    if (control->facts.is_draining && drain->kind == OVERRIDE_PROCESS) {
        return true; /* the workers have this deadline too */
    }
    if (control->closing >= CLOSING_MAX) {
        return false;
    }
    if (drain->kind == OVERRIDE_ADMIN) {
        struct registry_server *live = server_of(control, drain);
        query.server = live != NULL ? live->server : NULL;
    } else if (drain->kind == OVERRIDE_LISTENER) {
        struct registry_listener *live =
            registry_find_listener(&control->registry, slice_from(drain->key));
        query.listener = live != NULL ? live->listener : NULL;
    }
    struct closing *closing = mem_zero(1, sizeof(*closing));
    closing->control = control;
    closing->number = drain->number;
    control->closing++;
    clients_ask(control->workers, &query, on_closed, closing);
    return true;
}

struct drains *control_drains_new(struct control *control)
{
    const struct drains_options options = {
        .loop = control->options.loop,
        .events = control->events,
        .count = count,
        .close = close_rest,
        .arg = control,
    };
    return drains_new(&options);
}

const struct drains *control_drains(const struct control *control)
{
    return control->drains;
}

void control_drain_target(struct control *control, enum override_kind kind, struct slice key,
                          bool is_out, const struct override *override, uint64_t generation)
{
    if (!is_out) {
        drains_cancel(control->drains, kind, key, "ended early: in use again");
        return;
    }
    const struct drains_wish wish = {
        .kind = kind,
        .key = key,
        .on_deadline = override != NULL ? override->on_deadline : OVERRIDE_KEEP,
        .deadline_wall_us = override != NULL ? override->deadline_wall_us : 0,
        .generation = generation,
        .reason = override != NULL ? slice_from(override->reason) : SLICE("configured"),
        .who = override != NULL ? slice_from(override->who) : SLICE("config"),
    };
    drains_start(control->drains, &wish);
}

/* -- questions -- */

struct question {
    struct control *control;
    void (*clients)(const struct clients_answer *answer, void *arg);
    void (*requests)(const struct requests_answer *answer, void *arg);
    void *arg;
};

/* NULL: not now. */
static struct question *new_question(struct control *control, void *arg)
{
    if (control->workers == NULL || control->is_ending || control->asking >= CONTROL_ASKING_MAX) {
        return NULL;
    }
    struct question *question = mem_zero(1, sizeof(*question));
    *question = (struct question){.control = control, .arg = arg};
    control->asking++;
    return question;
}

static void on_clients(const struct clients_answer *answer, void *arg)
{
    struct question *question = arg;
    question->control->asking--;
    question->clients(answer, question->arg);
    free(question);
}

bool control_ask_clients(struct control *control, const struct clients_query *query,
                         void (*done)(const struct clients_answer *answer, void *arg), void *arg)
{
    struct question *question = new_question(control, arg);
    if (question != NULL) {
        question->clients = done;
        clients_ask(control->workers, query, on_clients, question);
    }
    return question != NULL;
}

static void on_requests(const struct requests_answer *answer, void *arg)
{
    struct question *question = arg;
    question->control->asking--;
    question->requests(answer, question->arg);
    free(question);
}

bool control_ask_requests(struct control *control, const struct requests_query *query,
                          void (*done)(const struct requests_answer *answer, void *arg), void *arg)
{
    struct question *question = new_question(control, arg);
    if (question != NULL) {
        question->requests = done;
        requests_ask(control->workers, query, on_requests, question);
    }
    return question != NULL;
}

/* -- listeners -- */

bool control_is_drained(const struct control *control)
{
    return control->registry.is_drained || control->facts.is_draining;
}

bool control_listener_is_drained(const struct control *control,
                                 const struct registry_listener *listener)
{
    return control_is_drained(control) || listener->listener->is_drained;
}

/* The sentence of /readyz. */
static void say_why(struct control *control, const struct override *process)
{
    if (process != NULL) {
        (void)snprintf(control->not_ready, sizeof(control->not_ready),
                       "drained by hand%s%.200s (%.64s)", process->reason[0] != '\0' ? ": " : "",
                       process->reason, process->who);
    }
}

void control_heed_listeners(struct control *control)
{
    const struct override *process =
        overrides_find(&control->overrides, OVERRIDE_PROCESS, SLICE(OVERRIDES_PROCESS));
    struct map_entry *entry = NULL;
    control->registry.is_drained = process != NULL;
    say_why(control, process);
    map_for_each (entry, &control->registry.listeners) {
        struct registry_listener *live = entry->value;
        live->listener->is_drained =
            overrides_find(&control->overrides, OVERRIDE_LISTENER, entry->key) != NULL;
    }
    control_settle_sockets(control);
}

void control_resume_drains(struct control *control)
{
    static const enum override_kind kinds[] = {OVERRIDE_LISTENER, OVERRIDE_PROCESS};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct map_entry *entry = NULL;
        map_for_each (entry, &control->overrides.kinds[kinds[i]]) {
            const struct override *override = entry->value;
            log_warn("drain.resumed", "target=%s/%.*s who=\"%s\" reason=\"%s\"",
                     override_kind_word(kinds[i]), SLICE_ARG(entry->key), override->who,
                     override->reason);
            control_drain_target(control, kinds[i], entry->key, true, override,
                                 control->facts.generation + 1);
        }
    }
}

static void tell_listener(struct control *control, const char *type, struct slice name,
                          const char *message)
{
    char target[EVENTS_NAME_MAX + 1];
    (void)snprintf(target, sizeof(target), "listener/%.*s", SLICE_ARG(name));
    events_post(control->events, type, slice_from(target), NULL, "%s", message);
}

void control_tell_listeners(struct control *control, const struct conf *conf)
{
    struct map_entry *entry = NULL;
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct registry_listener *live =
            registry_find_listener(&control->registry, conf->listeners[i].name);
        if (live != NULL && live->listener->bind_count == 0 && conf->listeners[i].bind_count != 0) {
            tell_listener(control, "listener.up", conf->listeners[i].name, "accepts connections");
        }
    }
    map_for_each (entry, &control->registry.listeners) {
        if (conf_listener_find(conf, entry->key) == NULL) {
            tell_listener(control, "listener.drain", entry->key,
                          "removed: what is open may end until drain_timeout");
        }
    }
}

void control_settle_sockets(struct control *control)
{
    struct map_entry *entry = NULL;
    struct err err;
    map_for_each (entry, &control->registry.listeners) {
        struct listener *listener = ((struct registry_listener *)entry->value)->listener;
        bool is_hidden = registry_is_drained(&control->registry, listener);
        for (uint32_t i = 0; i < listener->bind_count; i++) {
            if (!listener_bind_hide(listener->binds[i], is_hidden, &err)) {
                log_error("listener.socket", "listener=%s why=\"%s\"", listener->name, err.text);
            }
        }
    }
}
