/*
 * control_certs - what is known of certificates and CA sets, for the API and the metrics.
 *
 * Threads: control.
 */
#ifndef LBD_CONTROL_CONTROL_CERTS_H
#define LBD_CONTROL_CONTROL_CERTS_H

#include <stdint.h>

#include "lbd/control/control.h"
#include "lbd/control/control_conditions.h"
#include "lbd/snapshot/registry_tls.h"

/* "valid", "expired", "not-yet-valid", "revoked" */
const char *control_certs_state(const struct registry_certificate *certificate, uint64_t wall_us);
/* Whole days until it ends; negative: since it ended. */
int64_t control_certs_days_left(const struct tls_cert *cert, uint64_t wall_us);
/* "off": not asked for, or nobody to ask; "waiting": no answer yet; "good", "revoked", "unknown";
 * "failed": the last try gave none, and there is none from before. */
const char *control_certs_ocsp_word(const struct registry_certificate *certificate,
                                    const struct conf_certificate *conf);
/* "stored", "file" */
const char *control_certs_source(const struct conf_certificate *conf);

/* As those of control_conditions.h. */
uint32_t control_conditions_certificate(struct control *control, struct slice name,
                                        struct control_condition out[CONTROL_CONDITIONS_MAX]);
uint32_t control_conditions_ca_set(struct control *control, struct slice name,
                                   struct control_condition out[CONTROL_CONDITIONS_MAX]);

#endif
