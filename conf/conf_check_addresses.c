/* conf_check_addresses - who clients are, and how servers are found and reached; see
 * conf_check_inside.h. */
#include <netinet/in.h>

#include "conf/conf_check_inside.h"
#include "lbd/base/addr.h"

#define PATH CONF_CHECK_PATH

/* What no connection can leave from; NULL: it can, where this machine has it. */
static const char *source_problem(struct slice ip)
{
    struct addr address;
    if (!addr_from_ip(ip, 0, &address)) {
        return NULL; /* conf_format tells */
    }
    if (address.u.any.sa_family == AF_INET) {
        uint32_t host = ntohl(address.u.v4.sin_addr.s_addr);
        return host == INADDR_ANY
                   ? "must be one address: that is any, which is what its absence means"
               : IN_MULTICAST(host) || host == INADDR_BROADCAST
                   ? "must be the address of one machine, not of many"
                   : NULL;
    }
    const struct in6_addr *host = &address.u.v6.sin6_addr;
    return IN6_IS_ADDR_UNSPECIFIED(host)
               ? "must be one address: that is any, which is what its absence means"
           : IN6_IS_ADDR_MULTICAST(host) ? "must be the address of one machine, not of many"
           : IN6_IS_ADDR_V4MAPPED(host)  ? "must be written as IPv4, without \"::ffff:\""
                                         : NULL;
}

static void check_sources(struct conf_check *check, const struct conf_pool *pool,
                          const struct conf_path *at)
{
    PATH(list, at, SLICE("source_address"));
    for (uint32_t i = 0; i < pool->source_address_count; i++) {
        const struct conf_path item = {.parent = &list, .index = i};
        const char *problem = source_problem(pool->source_address[i]);
        if (problem != NULL) {
            conf_errors_add(check->errors, &item, "invalid-value", SLICE_NONE, "%s", problem);
            check->ok = false;
        }
    }
}

void conf_check_addresses(struct conf_check *check)
{
    const struct conf *conf = check->conf;
    PATH(listeners, &conf_check_root, SLICE("listeners"));
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct conf_listener *listener = &conf->listeners[i];
        if (listener->has_forwarded != 0 && listener->protocol != CONF_PROTOCOL_HTTP) {
            PATH(at, &listeners, listener->name);
            PATH(forwarded, &at, SLICE("forwarded"));
            conf_errors_warn(check->errors, &forwarded, "no-effect",
                             "without effect: 'protocol' is not http; see 'proxy_protocol_from'");
        }
    }
    PATH(pools, &conf_check_root, SLICE("pools"));
    for (uint32_t i = 0; i < conf->pool_count; i++) {
        const struct conf_pool *pool = &conf->pools[i];
        PATH(at, &pools, pool->name);
        check_sources(check, pool, &at);
        if (pool->send_proxy_tlvs_count != 0 && pool->send_proxy != CONF_SEND_PROXY_V2) {
            PATH(tlvs, &at, SLICE("send_proxy_tlvs"));
            conf_errors_add(
                check->errors, &tlvs, "invalid-value", SLICE_NONE,
                "must be absent: 'send_proxy' is not v2, and no other header has room for "
                "them");
            check->ok = false;
        }
    }
}
