#include "lbd/filter/filter_basic_auth.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/base64.h"
#include "lbd/base/mem.h"
#include "lbd/filter/filter_facts.h"
#include "lbd/filter/filter_users.h"
#include "lbd/filter/filter_worker.h"

#define PASSWORD_MAX 256U

struct filter_basic_auth {
    struct filter filter;
    struct filter_users users;
    struct slice challenge;   /* of WWW-Authenticate */
    struct slice user_header; /* empty: servers are not told */
    bool is_passed_on;        /* servers see the password, too */
};

/* A sum that is being done; `run` is NULL when nobody waits any more. */
struct proof {
    struct job job;
    struct filter_run *run;
    struct filter_worker *worker;
    const struct filter_basic_auth *auth; /* while there is a run */
    struct filter_memo_key key;
    struct slice user; /* in the run's arena */
    bool is_known;
    bool is_good;
    char hash[FILTER_USERS_HASH_MAX + 1];
    char password[PASSWORD_MAX + 1];
};

static const struct filter_basic_auth *auth_of(const struct filter *self)
{
    return (const struct filter_basic_auth *)self; /* its first member */
}

static bool build(struct filter *self, const struct conf_policy *conf, struct err *err)
{
    struct filter_basic_auth *auth = container_of(self, struct filter_basic_auth, filter);
    const struct conf_policy_basic_auth *of = &conf->basic_auth;
    struct buf lines;
    buf_init(&lines, 16U * 1024 * 1024);
    for (uint32_t i = 0; i < of->user_count; i++) {
        buf_append_slice(&lines, of->users[i]);
        buf_append_char(&lines, '\n');
    }
    buf_append_slice(&lines, self->material);
    bool ok = filter_users_read(&auth->users, &self->arena, buf_slice(&lines), err);
    mem_wipe(lines.data, lines.len);
    buf_fini(&lines);
    auth->challenge =
        arena_printf(&self->arena, "Basic realm=\"%.*s\", charset=\"UTF-8\"", SLICE_ARG(of->realm));
    auth->user_header = arena_copy(&self->arena, of->user_header);
    auth->is_passed_on = of->pass_on != 0;
    return ok;
}

static enum filter_verdict refuse(struct filter_run *run, const struct filter_basic_auth *auth,
                                  enum close_reason reason)
{
    (void)filter_refuse(run, reason);
    filter_answer_add(run, SLICE("WWW-Authenticate"), auth->challenge);
    return FILTER_ANSWERED;
}

/* The request goes on as this user's. */
static enum filter_verdict let_in(struct filter_run *run, const struct filter_basic_auth *auth,
                                  struct slice user)
{
    if (!auth->filter.is_shadow) {
        if (!auth->is_passed_on) {
            message_drop(run->request, HEADER_AUTHORIZATION);
        }
        if (auth->user_header.len > 0 && !filter_tell(run, auth->user_header, user)) {
            return filter_refuse(run, CLOSE_NO_HEADER_ROOM);
        }
    }
    return FILTER_GO_ON;
}

/* -- the sum -- */

static void work(struct job *job)
{
    struct proof *proof = container_of(job, struct proof, job);
    struct crypt_data *data = mem_zero(1, sizeof(*data));
    const char *made = crypt_r(proof->password, proof->hash, data);
    size_t len = strlen(proof->hash);
    proof->is_good = made != NULL && strlen(made) == len && proof->is_known &&
                     digest_equal((const uint8_t *)made, (const uint8_t *)proof->hash, len);
    mem_wipe(data, sizeof(*data));
    free(data);
}

static void done(struct job *job)
{
    struct proof *proof = container_of(job, struct proof, job);
    struct filter_run *run = proof->run;
    struct filter_worker *worker = proof->worker;
    uint64_t now_us = loop_now_us(worker->loop);
    bool is_good = proof->is_good;
    filter_worker_done(worker);
    if (is_good) {
        filter_memo_put(filter_worker_memo(worker), &proof->key, now_us,
                        now_us + FILTER_BASIC_AUTH_KEPT_US, NULL);
    }
    const struct filter_basic_auth *auth = proof->auth;
    struct slice user = proof->user;
    mem_wipe(proof, sizeof(*proof));
    free(proof);
    if (run != NULL) {
        *filter_run_kept(run) = NULL;
        filter_run_resume(run, is_good ? let_in(run, auth, user)
                                       : refuse(run, auth, CLOSE_LOGIN_REFUSED));
    }
}

/* For whom nobody knows: the hash of somebody else, whose password it cannot be. */
static const char *stand_in(const struct filter_basic_auth *auth)
{
    return auth->users.count > 0 ? auth->users.list[0].hash : "$6$nobody$";
}

static enum filter_verdict prove(struct filter_run *run, const struct filter_basic_auth *auth,
                                 struct slice user, struct slice password, void **kept)
{
    struct filter_worker *worker = filter_worker_of(run->loop);
    struct filter_memo *memo = filter_worker_memo(worker);
    const struct filter_user *found = filter_users_find(&auth->users, user);
    struct slice hash = slice_from(found != NULL ? found->hash : stand_in(auth));
    const struct slice parts[] = {SLICE("basic"), user, password, hash};
    struct filter_memo_key key;
    void *nothing;
    filter_memo_key(memo, parts, ARRAY_LEN(parts), &key);
    if (found != NULL && filter_worker_recall(run, &auth->filter, &key, &nothing)) {
        return let_in(run, auth, user);
    }
    struct proof *proof = mem_zero(1, sizeof(*proof));
    proof->job = (struct job){.work = work, .done = done};
    proof->run = run;
    proof->worker = worker;
    proof->auth = auth;
    proof->key = key;
    proof->user = user;
    proof->is_known = found != NULL;
    memcpy(proof->hash, hash.ptr, hash.len);
    memcpy(proof->password, password.ptr, password.len);
    if (!filter_worker_post(worker, &proof->job)) {
        mem_wipe(proof, sizeof(*proof));
        free(proof);
        return filter_refuse(run, CLOSE_LOGIN_BUSY);
    }
    *kept = proof;
    return FILTER_WAIT;
}

/* -- the request -- */

static enum filter_verdict request(struct filter_run *run, const struct filter *self, void **kept)
{
    const struct filter_basic_auth *auth = auth_of(self);
    const struct header *header = filter_only_header(run, HEADER_AUTHORIZATION);
    static const struct slice scheme = SLICE_INIT("Basic ");
    if (header == NULL) {
        return refuse(run, auth, CLOSE_LOGIN_REQUIRED);
    }
    struct slice value = header_value(&run->request->headers, header);
    if (value.len <= scheme.len || !slice_eq_nocase(slice_of(value.ptr, scheme.len), scheme)) {
        return refuse(run, auth, CLOSE_LOGIN_REQUIRED);
    }
    struct slice text = slice_trim(slice_from_at(value, scheme.len));
    struct slice pair;
    char *copy = arena_alloc(run->arena, text.len);
    memcpy(copy, text.ptr, text.len);
    if (!base64_read(copy, text.len, &pair)) {
        return refuse(run, auth, CLOSE_LOGIN_REFUSED);
    }
    size_t colon = slice_find(pair, ':');
    bool is_one = colon < pair.len && colon > 0 && pair.len - colon - 1 <= PASSWORD_MAX &&
                  memchr(pair.ptr, '\0', pair.len) == NULL &&
                  header_value_is_valid(slice_of(pair.ptr, colon < pair.len ? colon : 0));
    enum filter_verdict verdict =
        is_one ? prove(run, auth, arena_copy(run->arena, slice_of(pair.ptr, colon)),
                       slice_from_at(pair, colon + 1), kept)
               : refuse(run, auth, CLOSE_LOGIN_REFUSED);
    mem_wipe(copy, text.len);
    return verdict;
}

static void end(struct filter_run *run, const struct filter *self, void **kept)
{
    struct proof *proof = *kept;
    (void)run;
    (void)self;
    if (proof != NULL) {
        proof->run = NULL; /* the sum is done all the same */
    }
}

static void facts(const struct filter *self, uint64_t now_us, struct filter_facts *facts)
{
    (void)now_us;
    facts->has_users = true;
    facts->remembers = true;
    facts->users = auth_of(self)->users.count;
}

const struct filter_ops filter_basic_auth_ops = {
    .size = sizeof(struct filter_basic_auth),
    .build = build,
    .request = request,
    .end = end,
    .facts = facts,
};
