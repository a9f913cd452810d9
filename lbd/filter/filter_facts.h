/*
 * filter_facts - what a filter can tell of itself beside the decisions that are counted: its verb
 * `facts` fills in the part of its kind.
 *
 * Memory: texts and lists are the filter's. Threads: any; what workers change is read word by word.
 */
#ifndef LBD_FILTER_FILTER_FACTS_H
#define LBD_FILTER_FILTER_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/shared_text.h"
#include "lbd/base/slice.h"
#include "lbd/filter/jwt_keys.h"
#include "lbd/filter/key_top.h"

#define FILTER_FACTS_FULL_MAX 20U

/* A key that has used much of what it may. */
struct filter_facts_full {
    struct key_top_row row;
    uint64_t used;
    bool is_full; /* its next request is refused */
};

struct filter_facts_keyed {
    uint32_t keys_max; /* places */
    uint64_t limit;    /* what a key may use */
    uint32_t full_count;
    struct filter_facts_full full[FILTER_FACTS_FULL_MAX]; /* the fullest first */
};

struct filter_facts_set {
    struct slice name;
    uint32_t networks; /* as they are written, before those inside others are left out */
    bool is_deny;
};

struct filter_facts_access {
    uint32_t allow; /* disjoint networks */
    uint32_t deny;
    const struct filter_facts_set *sets;
    uint32_t set_count;
};

struct filter_facts_endpoint {
    uint64_t answered_wall_us; /* 0: never */
    uint64_t failed_wall_us;   /* 0: never */
    uint32_t failures;         /* in a row, over all workers */
    size_t why_len;            /* of the last failure */
    char why[SHARED_TEXT_MAX];
};

/* What is not of the kind stays zeroed. */
struct filter_facts {
    bool is_keyed;
    bool is_access;
    bool has_users;
    bool has_tokens;
    bool has_endpoint;
    bool remembers; /* what it found out: counters `memo` */
    struct filter_facts_keyed keyed;
    struct filter_facts_access access;
    uint32_t users;
    const struct jwt_keys *tokens; /* NULL: they are being fetched */
    struct filter_facts_endpoint endpoint;
};

#endif
