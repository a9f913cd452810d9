/*
 * pattern - regular expressions whose work is bounded (R16). The only user of PCRE2.
 *
 * A pattern matches a whole subject, from its first byte to its last, as bytes: "v[0-9]+" matches
 * "v12", not "v12/x". There is no compiler to machine code (JIT) and no UTF mode.
 *
 *     text      at most PATTERN_TEXT_MAX bytes, PATTERN_GROUPS_MAX groups; compiled at most
 *               PATTERN_COMPILED_MAX bytes
 *     subject   at most PATTERN_SUBJECT_MAX bytes; a longer one does not match
 *     work      PATTERN_STEPS_MAX steps of the matcher and PATTERN_MEMORY_KIB of memory; who would
 *               need more does not match, and pattern_work.limited goes up
 *
 * Who can look something up without a pattern does so: exact names, prefixes and templates never
 * come here.
 *
 * Memory: a pattern lies in the arena it was compiled in, frozen. A pattern_work is for one thread;
 * what it needs beyond its first match it keeps for the next. Threads: a pattern any; a work one.
 */
#ifndef LBD_BASE_PATTERN_H
#define LBD_BASE_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/arena.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

#define PATTERN_TEXT_MAX     1024U
#define PATTERN_COMPILED_MAX 16384U
#define PATTERN_SUBJECT_MAX  8192U
#define PATTERN_STEPS_MAX    10000U
#define PATTERN_MEMORY_KIB   256U
#define PATTERN_GROUPS_MAX   9U

struct pattern; /* hidden */

struct pattern_work {
    void *match;      /* PCRE2's */
    void *limits;     /* PCRE2's */
    uint64_t limited; /* subjects that were given up because a limit was met */
};

/* NULL: *err says why not, and where (ERR_INVALID). */
LB_MUST_CHECK const struct pattern *pattern_compile(struct arena *arena, struct slice text,
                                                    bool ignore_case, struct err *err);
/* Is it one? As pattern_compile, and nothing is kept. */
LB_MUST_CHECK bool pattern_check(struct slice text, struct err *err);

void pattern_work_init(struct pattern_work *work);
void pattern_work_fini(struct pattern_work *work);

bool pattern_match(const struct pattern *pattern, struct pattern_work *work, struct slice subject);
/* The same, and what stands in the groups: groups[0] is the whole, [n] the n-th; of a group that
 * took no part an empty one. They point into the subject. */
bool pattern_groups(const struct pattern *pattern, struct pattern_work *work, struct slice subject,
                    struct slice groups[PATTERN_GROUPS_MAX + 1]);
/* How many groups a pattern has; 0 when it is none. */
uint32_t pattern_count_groups(struct slice text);

#endif
