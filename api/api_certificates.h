/*
 * api_certificates - how certificates and CA sets do: who they are for, until when, what their
 * authority says. Never a key.
 *
 * Threads: control.
 */
#ifndef API_API_CERTIFICATES_H
#define API_API_CERTIFICATES_H

#include "api/api_request.h"

void api_certificates_status(struct api_request *request);
void api_certificates_ca_set_status(struct api_request *request);

/* For /v1/status: the members of one, and what somebody should look at ("": nothing). */
void api_certificates_write_summary(const struct api_request *request,
                                    const struct conf_certificate *conf, struct json_write *w);
void api_certificates_write_ca_set_summary(const struct api_request *request,
                                           const struct conf_ca_set *conf, struct json_write *w);
void api_certificates_problem(const struct api_request *request,
                              const struct conf_certificate *conf, char *out, size_t size);
void api_certificates_ca_set_problem(const struct api_request *request,
                                     const struct conf_ca_set *conf, char *out, size_t size);

#endif
