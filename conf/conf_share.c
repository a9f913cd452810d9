/* conf_share - see conf_share.h. */
#include "conf/conf_share.h"

#include <string.h>

void conf_share_add_up(const struct conf_pool *pool, struct conf_share_sums *sums)
{
    memset(sums, 0, sizeof(*sums));
    for (uint32_t i = 0; i < pool->server_count; i++) {
        const struct conf_server *server = &pool->servers[i];
        struct conf_share_sum *sum = &sums->of[server->priority];
        sum->percent += server->weight_percent;
        sum->number += server->weight;
        sum->shares += server->weight_percent != 0 ? 1 : 0;
        sum->numbers += server->weight_percent == 0 ? 1 : 0;
    }
}

/* Where there are only shares, they are numbers among each other. */
static bool has_both(const struct conf_share_sum *sum)
{
    return sum->shares != 0 && sum->numbers != 0 && sum->percent < 100;
}

uint32_t conf_share_scale(const struct conf_share_sums *sums, const struct conf_server *server)
{
    const struct conf_share_sum *sum = &sums->of[server->priority];
    return has_both(sum) ? 100 - sum->percent : 1;
}

uint64_t conf_share_scaled(const struct conf_share_sums *sums, const struct conf_server *server)
{
    const struct conf_share_sum *sum = &sums->of[server->priority];
    if (server->weight_percent == 0) {
        return (uint64_t)server->weight * conf_share_scale(sums, server);
    }
    return server->weight_percent * (has_both(sum) ? sum->number : 1);
}

uint64_t conf_share_most(const struct conf_share_sums *sums, const struct conf_server *server)
{
    const struct conf_share_sum *sum = &sums->of[server->priority];
    return has_both(sum) ? 100 * sum->number : 0;
}

uint32_t conf_share_number(const struct conf_pool *pool, const struct conf_server *server)
{
    struct conf_share_sums sums;
    if (server->weight_percent == 0) {
        return server->weight;
    }
    conf_share_add_up(pool, &sums);
    uint32_t scale = conf_share_scale(&sums, server);
    uint64_t number = (conf_share_scaled(&sums, server) + scale / 2) / scale;
    return number < 1 ? 1 : number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
}
