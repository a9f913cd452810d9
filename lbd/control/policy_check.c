#include "lbd/control/policy_check.h"

#include "lbd/base/arena.h"
#include "lbd/filter/filter_users.h"
#include "lbd/snapshot/snapshot_filter.h"

#define PATH(name_, parent_, key_)                                                                 \
    const struct conf_path name_ = {.parent = (parent_), .key = (key_)}

static const struct conf_path root;

/* -- users of the document -- */

/* False: one of them is none. */
static bool check_users(const struct conf_policy_basic_auth *auth, const struct conf_path *kind,
                        struct conf_errors *errors)
{
    bool ok = true;
    PATH(users, kind, SLICE("users"));
    for (uint32_t i = 0; i < auth->user_count; i++) {
        const struct conf_path item = {.parent = &users, .index = i};
        struct filter_users one;
        struct arena arena;
        size_t colon = slice_find(auth->users[i], ':');
        arena_init(&arena, NULL, 0);
        if (colon == SIZE_MAX || !filter_users_read(&one, &arena, auth->users[i], NULL) ||
            one.count != 1) {
            conf_errors_add(errors, &item, "invalid-value", SLICE_NONE,
                            colon == SIZE_MAX || colon == 0
                                ? "must be NAME:HASH"
                                : "must be NAME:HASH, with one hash of yescrypt, bcrypt, scrypt, "
                                  "SHA-512 or SHA-256 (mkpasswd, htpasswd -B)");
            ok = false;
        }
        arena_fini(&arena);
    }
    return ok;
}

/* -- files -- */

static struct slice file_key(const struct conf_policy *policy)
{
    return policy->kind == CONF_POLICY_BASIC_AUTH    ? SLICE("users_file")
           : policy->kind == CONF_POLICY_JWT         ? SLICE("keys_file")
           : policy->kind == CONF_POLICY_MAINTENANCE ? SLICE("body_file")
                                                     : SLICE_NONE;
}

static bool check_policy(const struct snapshot *newest, const struct conf *conf,
                         const struct conf_policy *policy, struct conf_errors *errors)
{
    PATH(policies, &root, SLICE("policies"));
    PATH(at, &policies, policy->name);
    PATH(kind, &at, slice_from(conf_policy_word(policy->kind)));
    PATH(file, &kind, file_key(policy));
    struct err err = {0};
    if (policy->kind == CONF_POLICY_BASIC_AUTH &&
        !check_users(&policy->basic_auth, &kind, errors)) {
        return false;
    }
    if (snapshot_filter_check(newest, conf, policy, &err)) {
        return true;
    }
    bool has_file = conf_policy_file(policy).len != 0;
    conf_errors_add(errors, has_file ? &file : &kind, has_file ? "unusable-file" : "invalid-value",
                    SLICE_NONE, "%s", err.text);
    return false;
}

bool policy_check(const struct snapshot *newest, const struct conf *conf,
                  struct conf_errors *errors)
{
    bool ok = true;
    for (uint32_t i = 0; i < conf->policy_count; i++) {
        switch (conf->policies[i].kind) {
        case CONF_POLICY_ACCESS: /* the files of its address sets */
        case CONF_POLICY_BASIC_AUTH:
        case CONF_POLICY_JWT:
        case CONF_POLICY_MAINTENANCE:
            ok = check_policy(newest, conf, &conf->policies[i], errors) && ok;
            break;
        case CONF_POLICY_BANDWIDTH:
        case CONF_POLICY_BODY_SIZE:
        case CONF_POLICY_COMPRESSION:
        case CONF_POLICY_CONCURRENCY:
        case CONF_POLICY_CORS:
        case CONF_POLICY_EXTERNAL_AUTH:
        case CONF_POLICY_HEADERS:
        case CONF_POLICY_RATE_LIMIT:
        case CONF_POLICY_SECURITY_HEADERS:
        case CONF_POLICY_KIND_COUNT:
            break;
        }
    }
    return ok;
}
