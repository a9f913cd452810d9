#include "conf/conf_address.h"

#include "lbd/base/addr.h"

enum conf_address conf_address_of(struct slice text, struct slice *host, uint16_t *port)
{
    struct addr literal;
    if (addr_is_unix(text) || addr_parse(text, &literal)) {
        return CONF_ADDRESS_LITERAL;
    }
    if (slice_starts(text, SLICE("srv:_"))) {
        *host = slice_from_at(text, 4);
        *port = 0;
        return CONF_ADDRESS_SRV;
    }
    bool is_template =
        slice_starts(text, SLICE("dns:")) && slice_find(slice_from_at(text, 4), ':') != SIZE_MAX;
    struct slice rest = is_template ? slice_from_at(text, 4) : text;
    if ((is_template && addr_parse(rest, &literal)) || !addr_split(rest, false, host, port)) {
        return CONF_ADDRESS_BAD;
    }
    return is_template ? CONF_ADDRESS_DNS : CONF_ADDRESS_NAME;
}

bool conf_address_is_template(struct slice text)
{
    struct slice host;
    uint16_t port;
    enum conf_address kind = conf_address_of(text, &host, &port);
    return kind == CONF_ADDRESS_DNS || kind == CONF_ADDRESS_SRV;
}
