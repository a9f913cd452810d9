/*
 * api_change - what all writes of the configuration have in common: their parameters, and their
 * answers.
 *
 *     api_resource, api_batch, api_revisions, api_config
 *         --api_change_begin--> struct control_change --control_apply--> result
 *         --api_change_head, _changes, _fail--> the answer
 *
 * Threads: control.
 */
#ifndef API_API_CHANGE_H
#define API_API_CHANGE_H

#include <stdbool.h>

#include "api/api_request.h"
#include "conf/json/json_write.h"

/* Fills in what headers and query say: preconditions, dry_run, confirm_within, wait, owner, force,
 * missing. False: the reply says what is wrong, and is done. */
LB_MUST_CHECK bool api_change_begin(struct api_request *request, struct control_change *change);
/* If-Match and If-None-Match at what has no tag: only * can be asked for. False: the reply says
 * that it is not as expected. */
LB_MUST_CHECK bool api_change_expects(struct api_request *request, bool is_there, const char *what);
/* Lbd-Changed, Lbd-Warning, Lbd-Confirm-Deadline, and what the audit is told. */
void api_change_head(struct api_request *request, const struct control_result *result);
/* "changes" and "changes_total", members of an object. */
void api_change_write(struct json_write *w, const struct conf_document *before,
                      const struct conf_document *after);
/* The problem document of a change that was not made. `pointer`: whose tag and body a failed
 * precondition tells. */
void api_change_fail(struct api_request *request, const struct control_result *result,
                     struct slice pointer);
/* The answer to a dry run, with the resource when there is one; SLICE_NONE with has_resource false:
 * without. */
void api_change_dry_run(struct api_request *request, const struct control_result *result,
                        bool has_resource, struct slice pointer);

#endif
