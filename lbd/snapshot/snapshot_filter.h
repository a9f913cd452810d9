/*
 * snapshot_filter - the policies of a document as chains of filters.
 *
 * A filter is shared with the snapshot before while its policy is the same. Its state (buckets,
 * counts) is the registry's and stays the same object for as long as there is a policy of that kind
 * and name.
 *
 * The file that a policy names is read again when it changes; one that is no good is told of once,
 * and what it was before goes on.
 *
 * Threads: control.
 */
#ifndef LBD_SNAPSHOT_SNAPSHOT_FILTER_H
#define LBD_SNAPSHOT_SNAPSHOT_FILTER_H

#include "lbd/snapshot/snapshot.h"
#include "lbd/snapshot/snapshot_build.h"

/* All filters of the document, before plans and routes. False: *err. */
bool snapshot_filter_build(struct snapshot *snapshot, const struct snapshot_build *build,
                           struct err *err);
/* Can a policy of a kind without a state be used, with the file that it names? One that `newest`
 * (which may be NULL) has as it is can. False: *err. */
bool snapshot_filter_check(const struct snapshot *newest, const struct conf *conf,
                           const struct conf_policy *policy, struct err *err);
/* Of a listener (`route` NULL), or of a route behind its listener. NULL: nobody is asked. */
const struct filter_chain *snapshot_filter_chain(struct snapshot *snapshot,
                                                 const struct conf_listener *listener,
                                                 const struct conf_route *route);
/* Are the files that its policies name, and the keys that were fetched for them, as they were when
 * they were read last? */
bool snapshot_filter_is_current(const struct snapshot *snapshot, const struct registry *registry);
/* NULL: there is no policy of that name. */
const struct filter *snapshot_filter_find(const struct snapshot *snapshot, struct slice name);
void snapshot_filter_fini(struct snapshot *snapshot);

#endif
