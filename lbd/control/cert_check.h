/*
 * cert_check - what the certificates of a document are worth: do they exist, do they fit, are they
 * for the names that are asked for, and is each shown to anybody? And the passwords in files: can
 * they be read?
 *
 *     lbd -t, control (prepare) --cert_check--> errors and warnings with their pointers
 *                                                 '--registry_tls: what was read stays there
 *
 * And the function behind conf_seal: PEM as it comes in.
 *
 * Memory: what was read hangs on the registry. Threads: cert_check control; cert_check_seal any.
 */
#ifndef LBD_CONTROL_CERT_CHECK_H
#define LBD_CONTROL_CERT_CHECK_H

#include <stdbool.h>

#include "conf/conf.h"
#include "conf/conf_errors.h"
#include "conf/conf_seal.h"
#include "lbd/snapshot/registry_tls.h"

/* For conf_seal_set. */
bool cert_check_seal(struct slice chain, struct slice key, char stored[CONF_SEAL_NAME_MAX],
                     struct err *err);

/* Reads what `conf` names and was not read yet. False: *errors says what cannot be used. Warnings
 * are added all the same. */
LB_MUST_CHECK bool cert_check(struct registry_tls *tls, const struct conf *conf,
                              struct conf_errors *errors);

#endif
