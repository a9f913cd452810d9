#include "lbd/control/control_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/list.h"
#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/filter/jwt_keys.h"
#include "lbd/net/resolve.h"
#include "lbd/snapshot/snapshot_filter.h"
#include "lbd/upstream/http_call.h"

#define SECOND_US  UINT64_C(1000000)
#define TIMEOUT_MS 10000U

struct control_keys {
    struct control_keys_options options;
    struct random random;
    struct resolve *resolve; /* NULL: nobody was asked by name, or names cannot be resolved */
    struct list_node questions;
    uint32_t count;
};

struct question {
    struct list_node link;
    struct control_keys *keys;
    struct conf_policy policy; /* which one: nothing but kind and `name`, owned */
    char *name;
    uint64_t refresh_us;
    struct http_call *call;
};

uint64_t control_keys_pause_us(struct random *random, uint32_t failures, uint64_t refresh_us)
{
    uint64_t pause = refresh_us;
    if (failures != 0 && failures < 20 && SECOND_US << (failures - 1) < refresh_us) {
        pause = SECOND_US << (failures - 1);
    }
    return pause - pause / 10 + random_below(random, (uint32_t)(pause / 5000) + 1) * 1000;
}

struct control_keys *control_keys_new(const struct control_keys_options *options)
{
    struct control_keys *keys = mem_zero(1, sizeof(*keys));
    keys->options = *options;
    random_seed(&keys->random);
    list_init(&keys->questions);
    return keys;
}

static void free_question(struct question *question)
{
    list_remove(&question->link);
    question->keys->count--;
    free(question->name);
    free(question);
}

void control_keys_free(struct control_keys *keys)
{
    struct list_node *node = NULL;
    if (keys == NULL) {
        return;
    }
    while ((node = list_first(&keys->questions)) != NULL) {
        struct question *question = container_of(node, struct question, link);
        http_call_cancel(question->call);
        free_question(question);
    }
    resolve_free(keys->resolve);
    free(keys);
}

/* -- answers -- */

static bool are_keys(struct slice text, struct err *err)
{
    struct jwt_keys keys = {0};
    struct arena arena;
    arena_init(&arena, NULL, 0);
    bool ok = jwt_keys_read(&keys, &arena, text, err);
    jwt_keys_fini(&keys);
    arena_fini(&arena);
    return ok;
}

static void note_failure(const struct question *question, struct registry_keys *live,
                         const char *why)
{
    live->failures++;
    free(live->error);
    live->error = mem_slicedup(slice_from(why));
    live->error_wall_us = now_wall_us();
    if (live->failures == 1) {
        log_warn("policy.keys_failed", "policy=%s url=%s why=\"%s\" now=\"%s\"", question->name,
                 live->url, why, live->version != 0 ? "as before" : "tokens are answered 503");
        events_post(question->keys->options.events, "keys.failed", slice_from(question->name), NULL,
                    "%s; %s", why,
                    live->version != 0 ? "those that are there stay" : "tokens are answered 503");
    }
}

static void note_keys(const struct question *question, struct registry_keys *live,
                      struct slice text)
{
    bool is_news = live->version == 0 || !slice_eq(live->text, text);
    if (is_news || live->failures != 0) {
        log_info("policy.keys_read", "policy=%s url=%s changed=%s", question->name, live->url,
                 is_news ? "yes" : "no");
    }
    live->failures = 0;
    live->fetched_wall_us = now_wall_us();
    if (is_news) {
        events_post(question->keys->options.events, "keys.changed", slice_from(question->name),
                    NULL, "other keys were fetched");
        free((char *)(uintptr_t)live->text.ptr);
        live->text = slice_of(mem_slicedup(text), text.len);
        live->version = ++live->versions;
    }
}

/* NULL: the policy has gone, or asks somewhere else by now. */
static struct registry_keys *asked_for(const struct question *question)
{
    struct registry_policy *policy =
        registry_find_policy(question->keys->options.registry, &question->policy);
    return policy != NULL && policy->keys.question == question ? &policy->keys : NULL;
}

static void on_answer(const struct http_call_answer *answer, void *arg)
{
    struct question *question = arg;
    struct control_keys *keys = question->keys;
    struct registry_keys *live = asked_for(question);
    struct err err = {0};
    if (live == NULL) {
        free_question(question);
        return;
    }
    uint64_t version = live->version;
    live->question = NULL;
    if (answer->status == 0) {
        note_failure(question, live, answer->why);
    } else if (answer->status != 200) {
        (void)err_set(&err, ERR_INVALID, "it answers with HTTP status %u", answer->status);
        note_failure(question, live, err.text);
    } else if (!are_keys(answer->body, &err)) {
        note_failure(question, live, err.text);
    } else {
        note_keys(question, live, answer->body);
    }
    live->next_us =
        now_us() + control_keys_pause_us(&keys->random, live->failures, question->refresh_us);
    free_question(question);
    if (live->version != version) {
        keys->options.changed(keys->options.arg);
    }
}

/* -- questions -- */

/* Made when somebody is to be asked. */
static struct resolve *resolve_of(struct control_keys *keys)
{
    struct err err = {0};
    if (keys->resolve == NULL) {
        keys->resolve = resolve_new(keys->options.loop, keys->options.resolvers,
                                    keys->options.resolver_count, &err);
        if (keys->resolve == NULL) {
            log_warn("policy.no_names", "why=\"%s\"", err.text);
        }
    }
    return keys->resolve;
}

static uint64_t refresh_of(const struct conf_policy *policy)
{
    return (uint64_t)policy->jwt.refresh_ms * 1000;
}

static void ask(struct control_keys *keys, const struct conf_policy *policy,
                struct registry_keys *live, struct tls_client *tls)
{
    struct question *question = mem_zero(1, sizeof(*question));
    question->keys = keys;
    question->name = mem_slicedup(policy->name);
    question->policy =
        (struct conf_policy){.kind = policy->kind, .name = slice_from(question->name)};
    question->refresh_us = refresh_of(policy);
    list_push_back(&keys->questions, &question->link);
    keys->count++;
    live->question = question;
    const struct http_call_request request = {
        .url = policy->jwt.keys_url,
        .accept = SLICE("application/jwk-set+json, application/json"),
        .resolve = resolve_of(keys),
        .tls = tls,
        .timeout_ms = TIMEOUT_MS,
        .answer_max = CONTROL_KEYS_BYTES,
    };
    question->call = http_call_start(keys->options.loop, &request, on_answer, question);
}

/* It asks there from now on: the keys of whoever it was before are not theirs. */
static void move_to(struct registry_keys *live, struct slice url)
{
    if (live->url != NULL && slice_eq(slice_from(live->url), url)) {
        return;
    }
    free(live->url);
    free(live->error);
    free((char *)(uintptr_t)live->text.ptr);
    *live = (struct registry_keys){.url = mem_slicedup(url), .versions = live->versions};
}

void control_keys_turn(struct control_keys *keys, const struct snapshot *snapshot)
{
    const struct conf *conf = conf_document_conf(snapshot->document);
    uint64_t now = now_us();
    for (uint32_t i = 0; i < snapshot->filter_count; i++) {
        const struct conf_policy *policy = &conf->policies[i];
        struct registry_policy *live = registry_find_policy(keys->options.registry, policy);
        if (policy->kind != CONF_POLICY_JWT || policy->jwt.keys_url.len == 0 || live == NULL) {
            continue;
        }
        move_to(&live->keys, policy->jwt.keys_url);
        uint64_t latest = now + 2 * refresh_of(policy);
        if (live->keys.next_us > latest) {
            live->keys.next_us = now; /* it was to be seldom, and is not any more */
        }
        if (live->keys.question == NULL && live->keys.next_us <= now &&
            keys->count < CONTROL_KEYS_MAX) {
            ask(keys, policy, &live->keys, snapshot->filters[i]->tls);
        }
    }
}
