#include "lbd/proxy/cause.h"

#include <stdio.h>
#include <string.h>

enum cause_of { OF_NOTHING, OF_LISTENER, OF_ROUTE, OF_POOL, OF_SERVER, OF_PROCESS };
enum cause_unit { UNIT_NONE, UNIT_MS, UNIT_BYTES, UNIT_COUNT };

struct row {
    const char *key; /* below the object */
    enum cause_of of;
    enum cause_unit unit;
    size_t offset; /* of a uint32_t in struct plan, struct route or struct pool */
};

#define LISTENER(key, unit, member)                                                                \
    {                                                                                              \
        key, OF_LISTENER, unit, offsetof(struct plan, member)                                      \
    }
#define POOL(key, unit, member)                                                                    \
    {                                                                                              \
        key, OF_POOL, unit, offsetof(struct pool, member)                                          \
    }

static const struct row rows[CLOSE_REASON_COUNT] = {
    [CLOSE_KEEP_ALIVE_TIMEOUT] = LISTENER("timeouts/keep_alive", UNIT_MS, timeouts.keep_alive_ms),
    [CLOSE_HEADER_TIMEOUT] = LISTENER("timeouts/header", UNIT_MS, timeouts.header_ms),
    [CLOSE_BODY_TIMEOUT] = LISTENER("timeouts/body_idle", UNIT_MS, timeouts.body_idle_ms),
    [CLOSE_CLIENT_WRITE_TIMEOUT] = LISTENER("timeouts/write_idle", UNIT_MS, timeouts.write_idle_ms),
    [CLOSE_TUNNEL_TIMEOUT] = LISTENER("timeouts/tunnel_idle", UNIT_MS, timeouts.tunnel_idle_ms),
    [CLOSE_HANDSHAKE_TIMEOUT] = LISTENER("timeouts/handshake", UNIT_MS, timeouts.handshake_ms),
    [CLOSE_FIRST_BYTE_TIMEOUT] = LISTENER("timeouts/first_byte", UNIT_MS, timeouts.first_byte_ms),
    [CLOSE_BODY_TOO_SLOW] =
        LISTENER("limits/min_body_rate", UNIT_BYTES, limits.min_body_rate_bytes),
    [CLOSE_READER_TOO_SLOW] =
        LISTENER("limits/min_read_rate", UNIT_BYTES, limits.min_read_rate_bytes),
    [CLOSE_TARGET_TOO_LONG] = LISTENER("limits/header_size", UNIT_BYTES, limits.header_size_bytes),
    [CLOSE_HEADER_TOO_LARGE] = LISTENER("limits/header_size", UNIT_BYTES, limits.header_size_bytes),
    [CLOSE_TOO_MANY_HEADERS] = LISTENER("limits/header_fields", UNIT_COUNT, limits.header_fields),
    [CLOSE_TLS_UNKNOWN_NAME] = {"tls/strict_sni", OF_LISTENER, UNIT_NONE, 0},
    [CLOSE_TLS_CLIENT_CERTIFICATE_MISSING] = {"tls/client_auth/mode", OF_LISTENER, UNIT_NONE, 0},
    [CLOSE_CONNECT_TIMEOUT] = POOL("timeouts/connect", UNIT_MS, connect_ms),
    [CLOSE_SERVER_TLS_TIMEOUT] = POOL("timeouts/connect", UNIT_MS, connect_ms),
    [CLOSE_RESPONSE_TIMEOUT] = POOL("timeouts/response", UNIT_MS, response_ms),
    [CLOSE_SERVER_IDLE_TIMEOUT] = POOL("timeouts/idle", UNIT_MS, idle_ms),
    [CLOSE_TRY_TIMEOUT] = POOL("retry/per_try_timeout", UNIT_MS, retry.per_try_ms),
    [CLOSE_QUEUE_FULL] = POOL("queue/max", UNIT_COUNT, queue_max),
    [CLOSE_QUEUE_TIMEOUT] = POOL("queue/timeout", UNIT_MS, queue_ms),
    [CLOSE_SERVER_TLS_UNVERIFIED] = {"tls/verify", OF_POOL, UNIT_NONE, 0},
    [CLOSE_SERVER_TLS_PIN_MISMATCH] = {"tls/pin_sha256", OF_POOL, UNIT_NONE, 0},
    [CLOSE_SOURCE_UNAVAILABLE] = {"source_address", OF_POOL, UNIT_NONE, 0},
    [CLOSE_NO_WEBSOCKET] = {"http_version", OF_POOL, UNIT_NONE, 0},
    [CLOSE_POOL_REQUESTS_LIMIT] =
        POOL("limits/requests", UNIT_COUNT, circuit.max[CIRCUIT_REQUESTS]),
    [CLOSE_POOL_CONNECTIONS_LIMIT] =
        POOL("limits/connections", UNIT_COUNT, circuit.max[CIRCUIT_CONNECTIONS]),
    [CLOSE_POOL_PENDING_LIMIT] = POOL("limits/pending", UNIT_COUNT, circuit.max[CIRCUIT_PENDING]),
    [CLOSE_SERVER_LIMIT] = {"max_connections", OF_SERVER, UNIT_COUNT, 0},
    [CLOSE_OVERLOAD] = {"max_buffered", OF_PROCESS, UNIT_BYTES, 0},
    [CLOSE_BUFFER_HOLDER] = {"max_buffered", OF_PROCESS, UNIT_BYTES, 0},
    [CLOSE_MEMORY_SHORT] = {"max_memory", OF_PROCESS, UNIT_BYTES, 0},
    [CLOSE_SHED] = {"shed_lag", OF_PROCESS, UNIT_MS, 0},
};

static const struct row route_response = {"timeouts/response", OF_ROUTE, UNIT_MS,
                                          offsetof(struct route, response_ms)};
static const struct row route_idle = {"timeouts/idle", OF_ROUTE, UNIT_MS,
                                      offsetof(struct route, idle_ms)};

/* Where a reason stands for two settings, the one that was at work. */
static const struct row *row_of(enum close_reason reason, const struct cause_facts *facts)
{
    if (reason == CLOSE_RESPONSE_TIMEOUT && facts->is_uploading) {
        return &rows[CLOSE_SERVER_IDLE_TIMEOUT]; /* it did not take the request */
    }
    if (reason == CLOSE_SERVER_IDLE_TIMEOUT && facts->is_call) {
        return &rows[CLOSE_TUNNEL_TIMEOUT];
    }
    if (reason == CLOSE_RESPONSE_TIMEOUT && facts->route != NULL &&
        facts->route->response_ms != 0) {
        return &route_response;
    }
    if (reason == CLOSE_SERVER_IDLE_TIMEOUT && facts->route != NULL && facts->route->idle_ms != 0) {
        return &route_idle;
    }
    if (reason == CLOSE_BUFFER_HOLDER && !facts->is_short_of_buffers) {
        return &rows[CLOSE_MEMORY_SHORT];
    }
    return &rows[reason];
}

static void write_value(struct cause *cause, enum cause_unit unit, uint64_t value)
{
    switch (unit) {
    case UNIT_NONE:
        break;
    case UNIT_MS:
        (void)num_write_duration(cause->value, value);
        break;
    case UNIT_BYTES:
        (void)num_write_size(cause->value, value);
        break;
    case UNIT_COUNT:
        (void)num_write_u64(cause->value, value);
        break;
    }
}

/* The first server that has all it may; false: none has any more. */
static bool find_full(struct cause *cause, const struct row *row, const struct pool *pool)
{
    for (uint32_t i = 0; i < pool->count; i++) {
        const struct target *target = &pool->targets[i];
        if (target->max_in_flight != 0 && target_in_flight(target) >= target->max_in_flight) {
            (void)snprintf(cause->pointer, sizeof(cause->pointer), "/pools/%.*s/servers/%s/%s",
                           SLICE_ARG(pool->name), pool->members[i].server->name, row->key);
            write_value(cause, row->unit, target->max_in_flight);
            return true;
        }
    }
    return false;
}

static uint32_t number_at(const void *object, size_t offset)
{
    uint32_t value;
    memcpy(&value, (const char *)object + offset, sizeof(value));
    return value;
}

bool cause_of_tunnel(struct cause *cause, enum close_reason reason, const char *listener,
                     uint32_t idle_ms)
{
    cause->pointer[0] = '\0';
    cause->value[0] = '\0';
    if (reason != CLOSE_TUNNEL_TIMEOUT) {
        return false;
    }
    const struct row *row = &rows[reason];
    (void)snprintf(cause->pointer, sizeof(cause->pointer), "/listeners/%s/%s", listener, row->key);
    write_value(cause, row->unit, idle_ms);
    return true;
}

bool cause_of_policy(struct cause *cause, struct slice policy)
{
    (void)snprintf(cause->pointer, sizeof(cause->pointer), "/policies/%.*s", SLICE_ARG(policy));
    cause->value[0] = '\0';
    return true;
}

bool cause_find(struct cause *cause, enum close_reason reason, const struct cause_facts *facts)
{
    const struct row *row = row_of(reason, facts);
    const struct pool *pool = facts->pool;
    const struct plan *plan = facts->plan;
    cause->pointer[0] = '\0';
    cause->value[0] = '\0';
    switch (row->of) {
    case OF_NOTHING:
        return false;
    case OF_LISTENER:
        if (plan == NULL) {
            return false;
        }
        (void)snprintf(cause->pointer, sizeof(cause->pointer), "/listeners/%s/%s",
                       plan->listener->name, row->key);
        write_value(cause, row->unit, number_at(plan, row->offset));
        return true;
    case OF_ROUTE:
        (void)snprintf(cause->pointer, sizeof(cause->pointer), "/routes/%.*s/%s",
                       SLICE_ARG(facts->route->name), row->key);
        write_value(cause, row->unit, number_at(facts->route, row->offset));
        return true;
    case OF_POOL:
        if (pool == NULL) {
            return false;
        }
        (void)snprintf(cause->pointer, sizeof(cause->pointer), "/pools/%.*s/%s",
                       SLICE_ARG(pool->name), row->key);
        write_value(cause, row->unit, number_at(pool, row->offset));
        return true;
    case OF_PROCESS:
        if (facts->limits == NULL || (reason == CLOSE_OVERLOAD && !facts->is_short_of_buffers)) {
            return false; /* or descriptors, or the client's own share */
        }
        (void)snprintf(cause->pointer, sizeof(cause->pointer), "/daemon/%s", row->key);
        write_value(cause, row->unit,
                    row == &rows[CLOSE_SHED]           ? facts->limits->shed_lag_ms
                    : row == &rows[CLOSE_MEMORY_SHORT] ? facts->limits->memory_bytes
                                                       : facts->limits->buffered_bytes);
        return true;
    case OF_SERVER:
        return pool != NULL && find_full(cause, row, pool);
    }
    return false;
}
