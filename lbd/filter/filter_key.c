#include "lbd/filter/filter_key.h"

#include <assert.h>
#include <string.h>

#include "lbd/base/hash.h"
#include "lbd/base/num.h"
#include "lbd/http/cookie.h"

/* Who has no value of its own; hashes are as likely to be one of these as any other number. */
enum { KEY_ALL = 1, KEY_MISSING, KEY_REPEATED, KEY_UNIX };

static void fill_mask(uint8_t *mask, uint32_t bytes, uint32_t bits)
{
    for (uint32_t i = 0; i < bytes; i++) {
        uint32_t here = bits > 8 * i ? bits - 8 * i : 0;
        mask[i] = (uint8_t)(here >= 8 ? 0xffU : 0xff00U >> here);
    }
}

void filter_key_build(struct filter_key *key, struct arena *arena,
                      const struct conf_policy_key *conf)
{
    key->by = conf->by;
    key->name = arena_copy(arena, conf->name);
    key->skips_missing = conf->missing == CONF_KEY_MISSING_PASS;
    key->v4_prefix = (uint8_t)conf->v4_prefix;
    key->v6_prefix = (uint8_t)conf->v6_prefix;
    fill_mask(key->v4_mask, sizeof(key->v4_mask), conf->v4_prefix);
    fill_mask(key->v6_mask, sizeof(key->v6_mask), conf->v6_prefix);
}

static uint64_t hash(struct slice value)
{
    uint64_t sum = hash_sip(value, hash_process_key());
    return sum != 0 ? sum : KEY_ALL;
}

/* False: it has no address. */
static bool network_of(const struct filter_key *key, const struct addr_small *client,
                       uint8_t ip[16])
{
    memset(ip, 0, 16);
    if (client->family == AF_INET) {
        for (uint32_t i = 0; i < 4; i++) {
            ip[12 + i] = client->ip[12 + i] & key->v4_mask[i];
        }
        ip[10] = ip[11] = 0xff;
        return true;
    }
    for (uint32_t i = 0; client->family == AF_INET6 && i < 16; i++) {
        ip[i] = client->ip[i] & key->v6_mask[i];
    }
    return client->family == AF_INET6;
}

static uint64_t key_of_source(const struct filter_key *key, const struct addr_small *client)
{
    uint8_t ip[16];
    return network_of(key, client, ip) ? hash(slice_of((const char *)ip, sizeof(ip))) : KEY_UNIX;
}

/* How often a name occurs; *value: the first. */
static uint32_t find_header(const struct message *request, struct slice name, struct slice *value)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < request->headers.count; i++) {
        const struct header *field = &request->headers.list[i];
        if (field->dropped == 0 && field->name_len == name.len &&
            slice_eq_nocase(header_name(&request->headers, field), name)) {
            *value = count++ == 0 ? header_value(&request->headers, field) : *value;
        }
    }
    for (uint32_t i = 0; i < request->extra_count; i++) { /* set by a policy before this one */
        if (slice_eq_nocase(request->extras[i].name, name)) {
            *value = count++ == 0 ? request->extras[i].value : *value;
        }
    }
    return count;
}

static uint32_t find_cookie(const struct message *request, struct slice name, struct slice *value)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < request->headers.count; i++) {
        const struct header *field = &request->headers.list[i];
        struct slice rest = header_value(&request->headers, field);
        struct cookie cookie;
        while (field->id == HEADER_COOKIE && field->dropped == 0 && cookie_next(&rest, &cookie)) {
            if (slice_eq(cookie.name, name)) {
                *value = count++ == 0 ? cookie.value : *value;
            }
        }
    }
    return count;
}

bool filter_key_find(const struct filter_key *key, const struct filter_run *run, uint64_t *found)
{
    struct slice value = SLICE_NONE;
    uint32_t count = 0;
    switch (key->by) {
    case CONF_KEY_SOURCE:
        *found = key_of_source(key, run->client);
        return true;
    case CONF_KEY_HEADER:
        count = find_header(run->request, key->name, &value);
        break;
    case CONF_KEY_COOKIE:
        count = find_cookie(run->request, key->name, &value);
        break;
    case CONF_KEY_ROUTE:
        *found = hash(run->route);
        return true;
    case CONF_KEY_ALL:
        *found = KEY_ALL;
        return true;
    }
    if (count == 0 || (count == 1 && value.len == 0)) {
        *found = KEY_MISSING;
        return !key->skips_missing;
    }
    *found = count == 1 ? hash(value) : KEY_REPEATED;
    return true;
}

static size_t put(struct slice text, char out[FILTER_KEY_NAME_MAX])
{
    size_t len = text.len < FILTER_KEY_NAME_MAX ? text.len : FILTER_KEY_NAME_MAX;
    if (len != 0) {
        memcpy(out, text.ptr, len);
    }
    return len;
}

/* "192.0.2.7", "2001:db8::/64" */
static size_t put_network(const struct filter_key *key, const struct addr_small *client,
                          char out[FILTER_KEY_NAME_MAX])
{
    struct addr_small network = *client;
    uint8_t ip[16];
    bool is_v4 = client->family == AF_INET;
    uint32_t prefix = is_v4 ? key->v4_prefix : key->v6_prefix;
    if (!network_of(key, client, ip)) {
        return put(SLICE("unix"), out);
    }
    memcpy(network.ip, ip, sizeof(ip));
    size_t len = addr_small_write_ip(&network, out);
    if (prefix < (is_v4 ? 32U : 128U)) {
        out[len++] = '/';
        len += num_write_u64(out + len, prefix);
    }
    return len;
}

size_t filter_key_name(const struct filter_key *key, const struct filter_run *run, uint64_t found,
                       char out[FILTER_KEY_NAME_MAX])
{
    static_assert(ADDR_IP_TEXT_MAX + 4 <= FILTER_KEY_NAME_MAX, "an address and its prefix");
    switch (key->by) {
    case CONF_KEY_SOURCE:
        return put_network(key, run->client, out);
    case CONF_KEY_ROUTE:
        return put(run->route, out);
    case CONF_KEY_ALL:
        return put(SLICE("all"), out);
    case CONF_KEY_HEADER:
    case CONF_KEY_COOKIE:
        break;
    }
    return found == KEY_MISSING    ? put(SLICE("missing"), out)
           : found == KEY_REPEATED ? put(SLICE("repeated"), out)
                                   : 0;
}
