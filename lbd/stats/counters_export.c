#include "lbd/stats/counters_export.h"

#include <string.h>

/* -- sets: what the index of an array means -- */

struct word_set {
    const char *label;
    size_t count;
    struct slice (*word)(size_t index); /* empty: not shown */
    const char *(*fixed)(size_t index); /* a label more, in front; NULL: none */
};

#define WORDS(set, label_name, ...)                                                                \
    static struct slice word_of_##set(size_t index)                                                \
    {                                                                                              \
        static const char *const words[] = {__VA_ARGS__};                                          \
        static_assert(ARRAY_LEN(words) == COUNTERS_##set##_COUNT, "one word per index");           \
        return slice_from(words[index]);                                                           \
    }                                                                                              \
    static const struct word_set set_##set = {label_name, COUNTERS_##set##_COUNT, word_of_##set,   \
                                              NULL};

WORDS(CODE, "code_class", "1xx", "2xx", "3xx", "4xx", "5xx")
WORDS(GRPC, "grpc_status", "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
      "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED")
WORDS(REJECT, "reason", "limit", "acl", "rate", "proxy_protocol", "memory", "draining")
WORDS(ACCEPT, "reason", "descriptors", "memory", "other")
WORDS(ERROR, "reason", "refused", "timeout", "reset", "tls", "protocol", "dns")
WORDS(CHECK, "result", "passed", "failed", "not_run")
WORDS(STICKY, "result", "hit", "new", "unknown", "rebalanced", "refused")
WORDS(SPLIT, "result", "stayed", "new", "unknown", "moved")
WORDS(DECISION, "decision", "allow", "deny", "shadow", "wait")
WORDS(MEMO, "result", "hit", "miss")
WORDS(ENCODING, "encoding", "zstd", "br", "gzip") /* enum conf_encoding */
WORDS(CIRCUIT, "reason", "requests", "connections", "pending", "retries", "retry_budget")
WORDS(OUTLIER, "reason", "consecutive_failures", "success_rate", "latency")
WORDS(CALLBACK, "result", "ok", "refused", "wait", "failed", "kept")
WORDS(LOOP, "state", "busy", "idle")
WORDS(RELIEF, "action", "keep_alive", "idle_client", "idle_server", "accept", "large_buffer",
      "pipe", "compression", "holder", "request", "low_priority")

static struct slice word_of_ending(size_t index)
{
    return close_reason_word((enum close_reason)index);
}

static const char *const version_labels[] = {"protocol=\"http1\"", "protocol=\"http2\""};
static_assert(ARRAY_LEN(version_labels) == COUNTERS_HTTP_COUNT, "one per version");

static struct slice word_of_protocol_error(size_t index)
{
    return word_of_ending(CLOSE_BAD_REQUEST_LINE + index % COUNTERS_BREACH_COUNT);
}

static const char *version_of_protocol_error(size_t index)
{
    return version_labels[index / COUNTERS_BREACH_COUNT];
}

static struct slice word_of_http_code(size_t index)
{
    return word_of_CODE(index % COUNTERS_CODE_COUNT);
}

static const char *version_of_http_code(size_t index)
{
    return version_labels[index / COUNTERS_CODE_COUNT];
}

static const struct word_set set_HTTP_CODE = {"code_class", COUNTERS_HTTP_CODE_COUNT,
                                              word_of_http_code, version_of_http_code};
static const struct word_set set_ENDING = {"reason", COUNTERS_ENDING_COUNT, word_of_ending, NULL};
static const struct word_set set_PROTOCOL = {"reason", COUNTERS_PROTOCOL_COUNT,
                                             word_of_protocol_error, version_of_protocol_error};

static struct slice word_of_tls_failure(size_t index)
{
    return word_of_ending(index == COUNTERS_TLS_TIMEOUT ? CLOSE_HANDSHAKE_TIMEOUT
                                                        : CLOSE_TLS_HANDSHAKE_FAILED + index);
}

static struct slice word_of_handshake(size_t index)
{
    return index < COUNTERS_HANDSHAKE_1_3 ? SLICE("1.2") : SLICE("1.3");
}

static const char *resumed_of_handshake(size_t index)
{
    return index == COUNTERS_HANDSHAKE_1_2_RESUMED || index == COUNTERS_HANDSHAKE_1_3_RESUMED
               ? "resumed=\"true\""
               : "resumed=\"false\"";
}

static const char *const login_words[] = {"ok",    "bad_credentials", "server_down", "route_error",
                                          "limit", "timeout",         "protocol",    "starttls"};
static_assert(ARRAY_LEN(login_words) == COUNTERS_LOGIN_COUNT, "one per way to end");

static struct slice word_of_login(size_t index)
{
    return slice_from(login_words[index % COUNTERS_LOGIN_COUNT]);
}

/* As in enum mail_mechanism. */
static const char *mechanism_of_login(size_t index)
{
    static const char *const labels[] = {"mechanism=\"login_command\"", "mechanism=\"PLAIN\"",
                                         "mechanism=\"LOGIN\"",         "mechanism=\"XOAUTH2\"",
                                         "mechanism=\"OAUTHBEARER\"",   "mechanism=\"EXTERNAL\""};
    static_assert(ARRAY_LEN(labels) == COUNTERS_MAIL_MECHANISMS, "one per mechanism");
    return labels[index / COUNTERS_LOGIN_COUNT];
}

static const struct word_set set_MAIL_LOGIN = {"result", COUNTERS_MAIL_LOGIN_COUNT, word_of_login,
                                               mechanism_of_login};
static const struct word_set set_TLS = {"reason", COUNTERS_TLS_COUNT, word_of_tls_failure, NULL};
static const struct word_set set_HANDSHAKE = {"version", COUNTERS_HANDSHAKE_COUNT,
                                              word_of_handshake, resumed_of_handshake};

/* -- rows: one per family -- */

enum row_shape { ROW_NUMBER, ROW_ARRAY, ROW_GAUGE, ROW_DURATION, ROW_SIZE };

struct row {
    const char *family;
    const char *help;
    const char *fixed; /* labels that every sample has */
    const struct word_set *set;
    size_t slot;
    size_t less; /* ROW_GAUGE: the slot to subtract */
    enum row_shape shape;
    enum prometheus_type type;
    enum prometheus_unit unit;
    bool is_full;
};

enum { SCOPE_BASIC = 0, SCOPE_FULL = 1 };

/* clang-format off */
#define BLOCK(object) static const struct row rows_##object[] = {
#define END(object)   };
#define SLOT(object, member)
#define COUNTER(object, member, scope, family_name, unit_name, help_text)                          \
    {.family = family_name, .help = help_text, .fixed = "", .slot = COUNTERS_SLOT(object, member), \
     .shape = ROW_NUMBER, .type = PROMETHEUS_COUNTER, .unit = PROMETHEUS_##unit_name, .is_full = SCOPE_##scope},
#define VALUE(object, member, scope, family_name, unit_name, help_text)                            \
    {.family = family_name, .help = help_text, .fixed = "", .slot = COUNTERS_SLOT(object, member), \
     .shape = ROW_NUMBER, .type = PROMETHEUS_GAUGE, .unit = PROMETHEUS_##unit_name, .is_full = SCOPE_##scope},
#define COUNTER_BY(object, member, set_name, scope, family_name, fixed_labels, help_text)          \
    {.family = family_name, .help = help_text, .fixed = fixed_labels, .set = &set_##set_name,      \
     .slot = COUNTERS_SLOT(object, member), .shape = ROW_ARRAY, .type = PROMETHEUS_COUNTER,        \
     .unit = UNIT_OF_##set_name, .is_full = SCOPE_##scope},
#define GAUGE(object, more, less_member, scope, family_name, help_text)                            \
    {.family = family_name, .help = help_text, .fixed = "", .slot = COUNTERS_SLOT(object, more),   \
     .less = COUNTERS_SLOT(object, less_member), .shape = ROW_GAUGE, .type = PROMETHEUS_GAUGE,     \
     .is_full = SCOPE_##scope},
#define DURATION(object, member, scope, family_name, help_text)                                    \
    {.family = family_name, .help = help_text, .fixed = "", .slot = COUNTERS_SLOT(object, member), \
     .shape = ROW_DURATION, .type = PROMETHEUS_HISTOGRAM, .is_full = SCOPE_##scope},
#define SIZE(object, member, scope, family_name, help_text)                                        \
    {.family = family_name, .help = help_text, .fixed = "", .slot = COUNTERS_SLOT(object, member), \
     .shape = ROW_SIZE, .type = PROMETHEUS_HISTOGRAM, .is_full = SCOPE_##scope},
#define UNIT_OF_CODE     PROMETHEUS_ONE
#define UNIT_OF_HTTP_CODE PROMETHEUS_ONE
#define UNIT_OF_GRPC     PROMETHEUS_ONE
#define UNIT_OF_REJECT   PROMETHEUS_ONE
#define UNIT_OF_ACCEPT   PROMETHEUS_ONE
#define UNIT_OF_ERROR    PROMETHEUS_ONE
#define UNIT_OF_CHECK    PROMETHEUS_ONE
#define UNIT_OF_CIRCUIT  PROMETHEUS_ONE
#define UNIT_OF_OUTLIER  PROMETHEUS_ONE
#define UNIT_OF_ENDING   PROMETHEUS_ONE
#define UNIT_OF_PROTOCOL PROMETHEUS_ONE
#define UNIT_OF_RELIEF   PROMETHEUS_ONE
#define UNIT_OF_LOOP     PROMETHEUS_MICROSECONDS
#define UNIT_OF_TLS       PROMETHEUS_ONE
#define UNIT_OF_HANDSHAKE PROMETHEUS_ONE
#define UNIT_OF_MAIL_LOGIN PROMETHEUS_ONE
#define UNIT_OF_STICKY    PROMETHEUS_ONE
#define UNIT_OF_MEMO      PROMETHEUS_ONE
#define UNIT_OF_SPLIT     PROMETHEUS_ONE
#define UNIT_OF_CALLBACK  PROMETHEUS_ONE
#define UNIT_OF_DECISION  PROMETHEUS_ONE
#define UNIT_OF_ENCODING  PROMETHEUS_ONE
#include "lbd/stats/counters.def"
/* clang-format on */

static const struct {
    const struct row *rows;
    size_t count;
} tables[] = {
    [COUNTERS_LISTENER] = {rows_listener, ARRAY_LEN(rows_listener)},
    [COUNTERS_ROUTE] = {rows_route, ARRAY_LEN(rows_route)},
    [COUNTERS_POLICY] = {rows_policy, ARRAY_LEN(rows_policy)},
    [COUNTERS_POOL] = {rows_pool, ARRAY_LEN(rows_pool)},
    [COUNTERS_SERVER] = {rows_server, ARRAY_LEN(rows_server)},
    [COUNTERS_LOOP] = {rows_loop, ARRAY_LEN(rows_loop)},
    [COUNTERS_MAIL] = {rows_mail, ARRAY_LEN(rows_mail)},
};

static const struct row *row_of(enum counters_kind kind, size_t family)
{
    assert(kind < COUNTERS_KIND_COUNT && family < tables[kind].count);
    return &tables[kind].rows[family];
}

size_t counters_export_families(enum counters_kind kind)
{
    assert(kind < COUNTERS_KIND_COUNT);
    return tables[kind].count;
}

const char *counters_export_name(enum counters_kind kind, size_t family)
{
    return row_of(kind, family)->family;
}

bool counters_export_is_full(enum counters_kind kind, size_t family)
{
    return row_of(kind, family)->is_full;
}

size_t counters_export_series(enum counters_kind kind, size_t family)
{
    const struct row *row = row_of(kind, family);
    size_t shown = 0;
    switch (row->shape) {
    case ROW_NUMBER:
    case ROW_GAUGE:
        break;
    case ROW_ARRAY:
        for (size_t i = 0; i < row->set->count; i++) {
            shown += row->set->word(i).len != 0 ? 1U : 0U;
        }
        return shown;
    case ROW_DURATION:
        return HISTOGRAM_DURATION_BOUNDS + 3; /* +Inf, sum, count */
    case ROW_SIZE:
        return HISTOGRAM_SIZE_BOUNDS + 3;
    }
    return 1;
}

/* Is there a gauge that has this counter's name without _total? */
static bool is_beside_gauge(enum counters_kind kind, const struct row *row)
{
    size_t len = strlen(row->family) - strlen("_total");
    for (size_t i = 0; i < tables[kind].count; i++) {
        const char *other = tables[kind].rows[i].family;
        if (strlen(other) == len && strncmp(other, row->family, len) == 0) {
            return true;
        }
    }
    return false;
}

void counters_export_heading(struct prometheus *out, enum counters_kind kind, size_t family)
{
    const struct row *row = row_of(kind, family);
    enum prometheus_type type = row->type;
    if (type == PROMETHEUS_COUNTER && is_beside_gauge(kind, row)) {
        type = PROMETHEUS_COUNTER_BESIDE_GAUGE;
    }
    prometheus_family(out, row->family, type, row->help);
    prometheus_fixed(out, row->fixed);
}

static void read_slots(enum counters_kind kind, uint32_t id, size_t slot, uint64_t *out,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = counters_sum(kind, id, slot + i);
    }
}

static void put_array(struct prometheus *out, enum counters_kind kind, const struct row *row,
                      uint32_t id, struct slice labels)
{
    for (size_t i = 0; i < row->set->count; i++) {
        struct slice word = row->set->word(i);
        if (word.len != 0) {
            if (row->set->fixed != NULL) {
                prometheus_fixed(out, row->set->fixed(i));
            }
            prometheus_sample_by(out, labels, row->set->label, word,
                                 counters_sum(kind, id, row->slot + i), row->unit);
        }
    }
}

void counters_export_object(struct prometheus *out, enum counters_kind kind, size_t family,
                            uint32_t id, struct slice labels)
{
    const struct row *row = row_of(kind, family);
    switch (row->shape) {
    case ROW_NUMBER:
        prometheus_sample_unit(out, labels, counters_sum(kind, id, row->slot), row->unit);
        break;
    case ROW_ARRAY:
        put_array(out, kind, row, id, labels);
        break;
    case ROW_GAUGE:
        prometheus_sample(out, labels, counters_gauge(kind, id, row->slot, row->less));
        break;
    case ROW_DURATION: {
        struct histogram_duration copy;
        read_slots(kind, id, row->slot, (uint64_t *)&copy, sizeof(copy) / sizeof(uint64_t));
        prometheus_durations(out, labels, &copy);
        break;
    }
    case ROW_SIZE: {
        struct histogram_size copy;
        read_slots(kind, id, row->slot, (uint64_t *)&copy, sizeof(copy) / sizeof(uint64_t));
        prometheus_sizes(out, labels, &copy);
        break;
    }
    }
}
