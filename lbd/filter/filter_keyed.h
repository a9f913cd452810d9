/*
 * filter_keyed - the state of policies that count by key: a table that survives changes of the
 * document, as long as it is to hold as many keys.
 *
 * Threads: made on control, used by workers.
 */
#ifndef LBD_FILTER_FILTER_KEYED_H
#define LBD_FILTER_FILTER_KEYED_H

#include "lbd/filter/filter.h"
#include "lbd/filter/filter_facts.h"
#include "lbd/filter/filter_key.h"
#include "lbd/filter/key_table.h"
#include "lbd/filter/rate_epochs.h"

struct filter_state *filter_keyed_new(uint32_t keys);
bool filter_keyed_fits(const struct filter_state *state, uint32_t keys);
struct key_table *filter_keyed_table(struct filter_state *state);
/* Control: from now on the numbers of the table are times at this rate; see rate_epochs_begin. The
 * filter keeps the copy. A state of which no snapshot comes to be loses nothing by it. */
struct rate_epochs filter_keyed_begin(struct filter_state *state, uint64_t unit_ns,
                                      uint64_t most_ns);
/* Counts what became of a place in it. */
void filter_keyed_count(struct filter_run *run, const struct filter *filter,
                        enum key_table_change change, bool is_eviction);
/* `found` was refused, or is nearly full: notes it for who asks, with its name if that may be
 * shown.
 */
void filter_keyed_note(struct filter_run *run, const struct filter *filter,
                       const struct filter_key *key, uint64_t found);
/* ... and it is refused now: the request's log says so. In shadow mode the first one counts. */
void filter_keyed_refused(struct filter_run *run, const struct filter *filter, uint64_t found);
/* The keys that are noted and have a number of at least `least`; the caller fills in the rest. */
void filter_keyed_facts(const struct filter *filter, uint64_t least, struct filter_facts *facts);

#endif
