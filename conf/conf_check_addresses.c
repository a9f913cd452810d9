/* conf_check_addresses - who clients are, and how servers are found and reached; see
 * conf_check_inside.h. */
#include "conf/conf_check_inside.h"

#define PATH CONF_CHECK_PATH

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
        if (pool->send_proxy_tlvs_count != 0 && pool->send_proxy != CONF_SEND_PROXY_V2) {
            PATH(at, &pools, pool->name);
            PATH(tlvs, &at, SLICE("send_proxy_tlvs"));
            conf_errors_add(
                check->errors, &tlvs, "invalid-value", SLICE_NONE,
                "must be absent: 'send_proxy' is not v2, and no other header has room for "
                "them");
            check->ok = false;
        }
    }
}
