/*
 * balance_field - a row of targets for the tests of the balancers.
 *
 * Threads: the test's.
 */
#ifndef TESTS_UNIT_BALANCE_FIELD_H
#define TESTS_UNIT_BALANCE_FIELD_H

#include <stdint.h>

#include "lbd/balance/balancer.h"
#include "lbd/base/arena.h"
#include "lbd/base/random.h"

struct balance_field {
    struct arena arena;
    struct target_load *loads;
    struct target *targets;
    uint32_t count;
    struct balancer balancer;
    struct random random;
};

/* All usable and ready. weights NULL: 100 each. */
void balance_field_init(struct balance_field *field, enum balancer_kind kind,
                        const uint32_t *weights, uint32_t count);
void balance_field_fini(struct balance_field *field);
/* Built again over what is usable now. */
void balance_field_build(struct balance_field *field, enum balancer_kind kind);
/* Of names "server-0", "server-1", ...; the caller's to free. */
uint64_t *balance_field_seeds(uint32_t count);
void balance_field_set_usable(struct balance_field *field, uint32_t index, bool usable);
void balance_field_set_ready(struct balance_field *field, uint32_t index, bool ready);
/* Adds to (or takes from) what is in flight. */
void balance_field_add(struct balance_field *field, uint32_t index, int by);
uint32_t balance_field_in_flight(const struct balance_field *field, uint32_t index);

#endif
