/*
 * conf_check_inside - what the files of conf_check share and nobody else sees.
 *
 *     conf_check.c      references, binds, pools              conf_check_daemon.c   `daemon`
 *     conf_check_tls.c  TLS, certificates, CA sets            conf_check_tcp.c      TCP
 *     conf_check_mail.c mail                                  conf_check_health.c   health
 *     conf_check_policy.c policies                        conf_check_policy_heads.c  of heads
 *     conf_check_addresses.c  who clients are, how servers are reached
 *     conf_check_route.c routes
 *
 * Threads: any.
 */
#ifndef CONF_CONF_CHECK_INSIDE_H
#define CONF_CONF_CHECK_INSIDE_H

#include "conf/conf_check.h"

struct conf_check {
    const struct conf *conf;
    struct conf_errors *errors;
    bool ok;
};

/* A chain of path steps from constant words and names. */
#define CONF_CHECK_PATH(name_, parent_, key_)                                                      \
    const struct conf_path name_ = {.parent = (parent_), .key = (key_)}

extern const struct conf_path conf_check_root;

#define CONF_CHECK_FALLBACKS_MAX 8 /* pools in a row that stand in for one */

/* One of the maps that can be referred to: an array of structs that begin with their name. */
struct conf_check_names {
    const void *array;
    uint32_t count;
    size_t size;
    const char *kind;
};

/* An error when `name` is not empty and not known. */
void conf_check_reference(struct conf_check *check, const struct conf_check_names *names,
                          bool is_known, struct slice name, const struct conf_path *path);

/* Was something about it refused already? Then nobody knows what was meant. */
bool conf_check_is_refused(const struct conf_check *check, const struct conf_path *at);

/* Listeners that pass bytes on, and what routes may match where. */
void conf_check_tcp(struct conf_check *check);
/* Who clients are, and how servers are found and reached. */
void conf_check_addresses(struct conf_check *check);
/* What each route says; then, of documents without a mistake, which routes can never be used. */
void conf_check_routes(struct conf_check *check);
void conf_check_shadows(struct conf_check *check);
/* What is wrong with the name of a header, else of a cookie or parameter; NULL: nothing. What
 * cannot stand under it in a request would never be found. */
const char *conf_check_value_name_problem(bool is_header, struct slice name);
/* What is wrong with a header that is lbd's own. */
#define CONF_CHECK_OURS "must not be a header that lbd sets itself"
/* Is it one by which lbd says why it answers? Nobody else may write it; to take it away is fine. */
bool conf_check_is_reason_header(struct slice name);
/* Errors for lines of the same name, which is read in any case. */
void conf_check_header_twice(struct conf_check *check, const struct conf_header *lines,
                             uint32_t count, const struct conf_path *path);
/* The cookie by which clients stay with a pool of a split; `at`: the split. */
void conf_check_split_cookie(struct conf_check *check, const struct conf_route *route,
                             const struct conf_path *at);
/* How pools choose a server. */
void conf_check_balance(struct conf_check *check);
/* How servers are checked, and who stands in for them. */
void conf_check_health(struct conf_check *check);
/* TLS of listeners and pools, certificates, CA sets. */
void conf_check_tls(struct conf_check *check);
/* Certificates and CA sets that nothing refers to. */
void conf_check_tls_unused(struct conf_check *check);
/* Who refers to a certificate or a CA set: as conf_check_unused. */
bool conf_check_certificate_unused(const struct conf *conf, struct slice name,
                                   struct conf_errors *errors);
bool conf_check_ca_set_unused(const struct conf *conf, struct slice name,
                              struct conf_errors *errors);
/* Policies, and who names them. */
void conf_check_policy(struct conf_check *check);
/* What they cannot do where they are named. */
void conf_check_policy_routes(struct conf_check *check);
void conf_check_policy_unused(struct conf_check *check);
/* The same of address sets. */
void conf_check_address_sets_unused(struct conf_check *check);
bool conf_check_address_set_is_unused(const struct conf *conf, struct slice name,
                                      struct conf_errors *errors);
/* Of `headers` and `cors`, what they may write into heads. */
void conf_check_policy_heads(struct conf_check *check, const struct conf_policy *policy,
                             const struct conf_path *at);
/* Warns where policies together may write more lines than a head has room for. */
void conf_check_policy_lines(struct conf_check *check);
/* Of `basic_auth`, `jwt` and `external_auth`, under which names they tell servers, or ask. */
void conf_check_policy_told(struct conf_check *check, const struct conf_policy *policy,
                            const struct conf_path *at);
/* Who refers to a policy: as conf_check_unused. */
bool conf_check_policy_is_unused(const struct conf *conf, struct slice name,
                                 struct conf_errors *errors);
/* Mail: listeners, pools, maps, users, callbacks. */
void conf_check_mail(struct conf_check *check);
/* Each pool that users of mail are sent to. */
void conf_check_mail_pools(const struct conf *conf, void (*used)(struct slice pool, void *arg),
                           void *arg);
/* Is it that mail refers to it? As conf_check_unused, of what mail knows. */
bool conf_check_mail_unused(const struct conf *conf, struct slice collection, struct slice name,
                            struct conf_errors *errors);
/* Adds "in-use"; returns false. */
bool conf_check_report_user(struct conf_errors *errors, const struct conf_path *path,
                            struct slice collection, struct slice name);

#endif
