/*
 * conf_owner - everything that belongs to one owner, replaced at once: apply and prune.
 *
 * A listener, route, pool or health check belongs to whom its meta.managed_by names; what is inside
 * of it (servers) belongs with it. A body holds all that its owner wants to have. What is missing
 * from it goes, what others own stays as it is, and what refers across owners is fine as long as
 * the whole is valid.
 *
 * Memory: as conf_document.h. Threads: control.
 */
#ifndef CONF_CONF_OWNER_H
#define CONF_CONF_OWNER_H

#include <stdbool.h>

#include "conf/conf_document.h"
#include "conf/conf_errors.h"
#include "lbd/base/compiler.h"
#include "lbd/base/err.h"
#include "lbd/base/slice.h"

/* `document` with exactly the resources of `body` (strict JSON) as those of `owner`;
 * meta.managed_by is filled in where it is missing. Failures as with conf_document_edit, and:
 *
 *     ERR_CONFLICT   *is_clash: names in the body are others' (or nobody's), *errors lists them all
 *                    (code "owned-by-other"); with `is_forced` they change hands instead
 *     ERR_CONFLICT   else: what would go is referred to by what stays (code "in-use") */
LB_MUST_CHECK struct conf_document *conf_owner_apply(struct conf_document *document,
                                                     struct slice owner, struct slice body,
                                                     bool is_forced, struct conf_errors *errors,
                                                     bool *is_clash, struct err *err);
/* Whose is the resource that a pointer leads to or into? Empty: nobody's, or no such resource. */
struct slice conf_owner_of(const struct conf_document *document, struct slice pointer);

#endif
