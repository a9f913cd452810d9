/*
 * filter_key - whose request it is, for policies that count: a hash of the client's network, of a
 * header or cookie, of the route, or one for all.
 *
 * A request that says nothing under the name counts with all others that do not, or not at all. One
 * that says it several times counts with all others that do: nobody knows which of them the server
 * will believe, so that it must not be a way to another bucket.
 *
 * Memory: frozen, in the filter's arena. Threads: any.
 */
#ifndef LBD_FILTER_FILTER_KEY_H
#define LBD_FILTER_FILTER_KEY_H

#include "lbd/filter/filter.h"

struct filter_key {
    enum conf_key_by by;
    struct slice name;
    uint8_t v4_prefix;
    uint8_t v6_prefix;
    uint8_t v4_mask[4];
    uint8_t v6_mask[16];
    bool skips_missing;
};

void filter_key_build(struct filter_key *key, struct arena *arena,
                      const struct conf_policy_key *conf);
/* Not 0. False: the request does not count. */
bool filter_key_find(const struct filter_key *key, const struct filter_run *run, uint64_t *found);
/* How people are told of what was found: the client's network, the route, "all", "missing",
 * "repeated". Values of headers and cookies are not told, for they may be secrets: 0. Returns its
 * length. */
#define FILTER_KEY_NAME_MAX 72U
size_t filter_key_name(const struct filter_key *key, const struct filter_run *run, uint64_t found,
                       char out[FILTER_KEY_NAME_MAX]);

#endif
