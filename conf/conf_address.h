/*
 * conf_address - what the address of a server is: a literal, a name, or a question to the DNS.
 *
 *     10.0.0.1:80  [::1]:80  unix:/path      where it is
 *     app.internal:80                        a server that is where its name is
 *     dns:app.internal:80                    a server for each address of the name
 *     srv:_http._tcp.app.internal            a server for each SRV record
 *
 * Threads: any.
 */
#ifndef CONF_CONF_ADDRESS_H
#define CONF_CONF_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "lbd/base/slice.h"

enum conf_address {
    CONF_ADDRESS_LITERAL,
    CONF_ADDRESS_NAME,
    CONF_ADDRESS_DNS,
    CONF_ADDRESS_SRV,
    CONF_ADDRESS_BAD
};

/* *host: the name to ask for, and *port, 0 with SRV; both untouched for literals. */
enum conf_address conf_address_of(struct slice text, struct slice *host, uint16_t *port);
/* Does it stand for servers that the DNS names? */
bool conf_address_is_template(struct slice text);

#endif
