#include "lbd/filter/filter_jwt.h"

#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/filter/filter_facts.h"
#include "lbd/filter/filter_worker.h"
#include "lbd/filter/jwt_keys.h"
#include "lbd/http/cookie.h"

#define WHOLE_MAX (INT64_C(1) << 53)

struct claim {
    struct slice name;  /* of the header, or of the claim that must be there */
    struct slice value; /* the claim, or what it must be */
};

struct filter_jwt {
    struct filter filter;
    struct jwt_keys keys;
    struct slice issuer; /* empty: any */
    struct slice *audience;
    uint32_t audience_count;
    struct claim *required;
    uint32_t required_count;
    struct claim *headers;
    uint32_t header_count;
    struct slice cookie; /* where it is; empty: Authorization */
    int64_t leeway_s;
    bool algs[JWK_ALG_COUNT];
    bool is_optional;
    bool is_passed_on;
    bool has_keys;  /* false: they are being fetched */
    uint64_t build; /* what was verified with other keys is not known here */
};

/* What servers are told of a token: the values of `headers`, one behind the other. */
struct told {
    uint32_t lens[FILTER_JWT_HEADERS_MAX]; /* 0: there is no such claim */
    char bytes[];
};

static const struct filter_jwt *jwt_of(const struct filter *self)
{
    return (const struct filter_jwt *)self; /* its first member */
}

static struct claim *copy_claims(struct arena *arena, const struct conf_header *from,
                                 uint32_t count)
{
    struct claim *claims = arena_alloc(arena, count * sizeof(*claims));
    for (uint32_t i = 0; i < count; i++) {
        claims[i] =
            (struct claim){arena_copy(arena, from[i].name), arena_copy(arena, from[i].value)};
    }
    return claims;
}

static bool build(struct filter *self, const struct conf_policy *conf, struct err *err)
{
    static uint64_t builds; /* of control alone */
    struct filter_jwt *jwt = container_of(self, struct filter_jwt, filter);
    const struct conf_policy_jwt *of = &conf->jwt;
    jwt->issuer = arena_copy(&self->arena, of->issuer);
    jwt->audience = arena_alloc(&self->arena, of->audience_count * sizeof(*jwt->audience));
    jwt->audience_count = of->audience_count;
    for (uint32_t i = 0; i < of->audience_count; i++) {
        jwt->audience[i] = arena_copy(&self->arena, of->audience[i]);
    }
    jwt->required = copy_claims(&self->arena, of->required, of->required_count);
    jwt->required_count = of->required_count;
    jwt->headers = copy_claims(&self->arena, of->headers, of->header_count);
    jwt->header_count = of->header_count;
    jwt->cookie = arena_copy(&self->arena, of->cookie);
    jwt->leeway_s = of->leeway_ms / 1000;
    for (uint32_t i = 0; i < of->algorithm_count; i++) {
        enum jwk_alg alg;
        if (!jwk_alg_find(of->algorithms[i], &alg)) {
            return err_set(err, ERR_INVALID, "'%.*s' is none of RS256, ES256, EdDSA, HS256",
                           SLICE_ARG(of->algorithms[i]));
        }
        jwt->algs[alg] = true;
    }
    for (size_t i = 0; of->algorithm_count == 0 && i < JWK_ALG_COUNT; i++) {
        jwt->algs[i] = true;
    }
    jwt->is_optional = of->optional != 0;
    jwt->is_passed_on = of->pass_on != 0;
    jwt->build = ++builds;
    jwt->has_keys = of->keys_url.len == 0 || self->material.len != 0;
    return !jwt->has_keys || jwt_keys_read(&jwt->keys, &self->arena, self->material, err);
}

static void fini(struct filter *self)
{
    jwt_keys_fini(&container_of(self, struct filter_jwt, filter)->keys);
}

static enum filter_verdict refuse(struct filter_run *run, enum close_reason reason)
{
    (void)filter_refuse(run, reason);
    struct slice challenge = reason == CLOSE_TOKEN_REQUIRED ? SLICE("Bearer")
                             : reason == CLOSE_TOKEN_CLAIMS
                                 ? SLICE("Bearer error=\"insufficient_scope\"")
                                 : SLICE("Bearer error=\"invalid_token\"");
    filter_answer_add(run, SLICE("WWW-Authenticate"), challenge);
    return FILTER_ANSWERED;
}

/* -- finding it -- */

/* How many there are; nobody knows which of several a server would take. */
static uint32_t find_in_cookies(const struct filter_run *run, struct slice name,
                                struct slice *token)
{
    const struct headers *headers = &run->request->headers;
    uint32_t count = 0;
    for (uint32_t i = 0; i < headers->count; i++) {
        if (headers->list[i].id != HEADER_COOKIE || headers->list[i].dropped) {
            continue;
        }
        struct slice rest = header_value(headers, &headers->list[i]);
        struct cookie cookie;
        while (cookie_next(&rest, &cookie)) {
            if (slice_eq(cookie.name, name)) {
                *token = cookie.value;
                count++;
            }
        }
    }
    return count;
}

/* Fields that are of the scheme; others are somebody else's. But when there are several, one of
 * them could be taken for a token that was verified. */
static uint32_t find_in_fields(const struct filter_run *run, struct slice *token)
{
    static const struct slice scheme = SLICE_INIT("Bearer");
    const struct headers *headers = &run->request->headers;
    uint32_t fields = 0;
    uint32_t tokens = 0;
    for (uint32_t i = 0; i < headers->count; i++) {
        if (headers->list[i].id != HEADER_AUTHORIZATION || headers->list[i].dropped) {
            continue;
        }
        struct slice value = header_value(headers, &headers->list[i]);
        struct slice rest = slice_from_at(value, value.len < scheme.len ? value.len : scheme.len);
        bool is_whole = rest.len == 0 || rest.ptr[0] == ' ' || rest.ptr[0] == '\t';
        fields++;
        if (is_whole && slice_eq_nocase(slice_of(value.ptr, value.len - rest.len), scheme)) {
            *token = slice_trim(rest);
            tokens++;
        }
    }
    return fields > 1 ? fields : tokens;
}

/* How many the request has. */
static uint32_t find_token(const struct filter_run *run, const struct filter_jwt *jwt,
                           struct slice *token)
{
    *token = SLICE_NONE;
    return jwt->cookie.len > 0 ? find_in_cookies(run, jwt->cookie, token)
                               : find_in_fields(run, token);
}

/* -- believing it -- */

static bool is_for_us(const struct filter_jwt *policy, const struct jwt *jwt)
{
    bool ok = policy->audience_count == 0;
    for (uint32_t i = 0; i < policy->audience_count && !ok; i++) {
        ok = jwt_has(jwt, SLICE("aud"), policy->audience[i]);
    }
    return ok && (policy->issuer.len == 0 ||
                  slice_eq(json_string(json_get(jwt->claims, SLICE("iss"))), policy->issuer));
}

/* CLOSE_OK, or what is wrong; *until_s: when it ends. */
static enum close_reason judge(const struct filter_jwt *policy, const struct jwt *jwt,
                               int64_t now_s, int64_t *until_s)
{
    int64_t begin_s = 0;
    if (!policy->algs[jwt->alg] || !jwt_keys_verify(&policy->keys, jwt)) {
        return CLOSE_TOKEN_INVALID;
    }
    bool has_begin = json_get(jwt->claims, SLICE("nbf")) != NULL;
    if (!jwt_date(jwt, SLICE("exp"), until_s) ||
        (has_begin && !jwt_date(jwt, SLICE("nbf"), &begin_s))) {
        return CLOSE_TOKEN_INVALID; /* one that never ends could not be taken back */
    }
    if (now_s >= *until_s + policy->leeway_s || now_s + policy->leeway_s < begin_s) {
        return CLOSE_TOKEN_EXPIRED;
    }
    if (!is_for_us(policy, jwt)) {
        return CLOSE_TOKEN_INVALID;
    }
    for (uint32_t i = 0; i < policy->required_count; i++) {
        if (!jwt_has(jwt, policy->required[i].name, policy->required[i].value)) {
            return CLOSE_TOKEN_CLAIMS;
        }
    }
    return CLOSE_OK;
}

/* Text, or a whole number below 2^53: those beyond were rounded when they were read, perhaps to
 * somebody else's. Others are not told, nor is text that would not arrive as it is. */
static struct slice claim_text(const struct jwt *jwt, struct slice name, struct arena *arena)
{
    const struct json *value = json_get(jwt->claims, name);
    int64_t number;
    if (json_is(value, JSON_STRING)) {
        struct slice text = json_string(value);
        return header_value_is_valid(text) && slice_eq(slice_trim(text), text) ? text : SLICE_NONE;
    }
    return json_is(value, JSON_NUMBER) && json_integer(value, &number) && number < WHOLE_MAX &&
                   number > -WHOLE_MAX
               ? arena_printf(arena, "%lld", (long long)number)
               : SLICE_NONE;
}

static struct told *tell(const struct filter_jwt *policy, const struct jwt *jwt,
                         struct arena *arena)
{
    struct slice texts[FILTER_JWT_HEADERS_MAX];
    size_t len = 0;
    for (uint32_t i = 0; i < policy->header_count; i++) {
        texts[i] = claim_text(jwt, policy->headers[i].value, arena);
        len += texts[i].len;
    }
    struct told *told = mem_zero(1, sizeof(*told) + len);
    char *to = told->bytes;
    for (uint32_t i = 0; i < policy->header_count; i++) {
        told->lens[i] = (uint32_t)texts[i].len;
        if (texts[i].len > 0) {
            memcpy(to, texts[i].ptr, texts[i].len);
            to += texts[i].len;
        }
    }
    return told;
}

/* The request goes on as this one's. What clients claim under these names never does. */
static enum filter_verdict let_in(struct filter_run *run, const struct filter_jwt *policy,
                                  const struct told *told)
{
    if (policy->filter.is_shadow) {
        return FILTER_GO_ON;
    }
    size_t at = 0;
    for (uint32_t i = 0; i < policy->header_count; i++) {
        struct slice value = SLICE_NONE;
        if (told != NULL) {
            value = arena_copy(run->arena, slice_of(told->bytes + at, told->lens[i]));
            at += value.len;
        }
        if (!filter_tell(run, policy->headers[i].name, value)) {
            return filter_refuse(run, CLOSE_NO_HEADER_ROOM);
        }
    }
    if (told != NULL && !policy->is_passed_on && policy->cookie.len == 0) {
        message_drop(run->request, HEADER_AUTHORIZATION);
    }
    return FILTER_GO_ON;
}

static enum filter_verdict request(struct filter_run *run, const struct filter *self, void **kept)
{
    const struct filter_jwt *policy = jwt_of(self);
    struct slice token;
    uint32_t count = find_token(run, policy, &token);
    (void)kept;
    if (count > 1) {
        return refuse(run, CLOSE_TOKEN_INVALID);
    }
    if (token.len == 0) {
        return policy->is_optional ? let_in(run, policy, NULL) : refuse(run, CLOSE_TOKEN_REQUIRED);
    }
    if (!policy->has_keys) {
        return filter_refuse(run, CLOSE_KEYS_UNAVAILABLE);
    }
    struct filter_memo *memo = filter_worker_memo(filter_worker_of(run->loop));
    const struct slice parts[] = {
        SLICE("jwt"), slice_of((const char *)&policy->build, sizeof(policy->build)), token};
    struct filter_memo_key key;
    void *known;
    uint64_t now_us = loop_now_us(run->loop);
    uint64_t wall_us = loop_wall_us(run->loop);
    filter_memo_key(memo, parts, ARRAY_LEN(parts), &key);
    if (filter_worker_recall(run, self, &key, &known)) {
        return let_in(run, policy, known);
    }
    struct jwt jwt = {0};
    int64_t until_s = 0;
    if (!jwt_read(token, run->arena, &jwt)) {
        return refuse(run, CLOSE_TOKEN_INVALID);
    }
    enum close_reason wrong = judge(policy, &jwt, (int64_t)(wall_us / 1000000), &until_s);
    enum filter_verdict verdict = FILTER_ANSWERED;
    if (wrong == CLOSE_OK) {
        struct told *told = tell(policy, &jwt, run->arena);
        uint64_t left_us = (uint64_t)(until_s + policy->leeway_s) * 1000000 - wall_us;
        verdict = let_in(run, policy, told);
        left_us = left_us < FILTER_JWT_KEPT_US ? left_us : FILTER_JWT_KEPT_US;
        filter_memo_put(memo, &key, now_us, now_us + left_us, told);
    } else {
        verdict = refuse(run, wrong);
    }
    jwt_fini(&jwt);
    return verdict;
}

static void facts(const struct filter *self, uint64_t now_us, struct filter_facts *facts)
{
    const struct filter_jwt *policy = jwt_of(self);
    (void)now_us;
    facts->has_tokens = true;
    facts->remembers = true;
    facts->tokens = policy->has_keys ? &policy->keys : NULL;
}

const struct filter_ops filter_jwt_ops = {
    .size = sizeof(struct filter_jwt),
    .build = build,
    .fini = fini,
    .request = request,
    .facts = facts,
};
