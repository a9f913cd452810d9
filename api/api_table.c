#include "api/api_table.h"

#include <stdlib.h>
#include <string.h>

#include "api/api_admin.h"
#include "api/api_batch.h"
#include "api/api_certificates.h"
#include "api/api_check.h"
#include "api/api_config.h"
#include "api/api_connections.h"
#include "api/api_events.h"
#include "api/api_explain.h"
#include "api/api_explain_route.h"
#include "api/api_learned.h"
#include "api/api_mail.h"
#include "api/api_mail_affinity.h"
#include "api/api_mail_import.h"
#include "api/api_mail_tables.h"
#include "api/api_metrics.h"
#include "api/api_openapi.h"
#include "api/api_overview.h"
#include "api/api_policies.h"
#include "api/api_problem.h"
#include "api/api_requests.h"
#include "api/api_resource.h"
#include "api/api_revisions.h"
#include "api/api_stats.h"
#include "api/api_status.h"
#include "api/api_tokens.h"
#include "conf/conf_format.h"
#include "conf/json/json_patch.h"
#include "lbd/base/mem.h"

/* What every write of the configuration takes. */
#define WRITES "dry_run confirm_within wait force"
#define CONFIG(path, json_pointer, bytes)                                                          \
    {                                                                                              \
        .pattern = (path), .pointer = (json_pointer),                                              \
        .handlers = {[API_GET] = api_resource_get,                                                 \
                     [API_PUT] = api_resource_put,                                                 \
                     [API_PATCH] = api_resource_patch},                                            \
        .query = "defaults", .changing_query = WRITES " owner", .body_max = (bytes)                \
    }
#define ITEM(path, json_pointer) ITEM_UP_TO(path, json_pointer, API_BODY_MAX)
#define ITEM_UP_TO(path, json_pointer, bytes)                                                      \
    {                                                                                              \
        .pattern = (path), .pointer = (json_pointer),                                              \
        .handlers = {[API_GET] = api_resource_get,                                                 \
                     [API_PUT] = api_resource_put,                                                 \
                     [API_PATCH] = api_resource_patch,                                             \
                     [API_DELETE] = api_resource_delete},                                          \
        .query = "defaults", .changing_query = WRITES " missing", .body_max = (bytes)              \
    }
#define COLLECTION(path, json_pointer)                                                             \
    {                                                                                              \
        .pattern = (path), .pointer = (json_pointer), .handlers = {[API_GET] = api_resource_get},  \
        .query = "defaults"                                                                        \
    }
#define READ(path, handler, parameters)                                                            \
    {                                                                                              \
        .pattern = (path), .handlers = {[API_GET] = (handler)}, .query = (parameters)              \
    }
/* Something set by hand. */
#define BY_HAND(path, suffix)                                                                      \
    {                                                                                              \
        .pattern = (path),                                                                         \
        .handlers = {[API_GET] = api_admin_get##suffix,                                            \
                     [API_PUT] = api_admin_put##suffix,                                            \
                     [API_DELETE] = api_admin_delete##suffix},                                     \
        .query = "", .changing_query = "dry_run", .changing_role = API_ROLE_OPERATE,               \
        .body_max = 64 * 1024                                                                      \
    }
#define POST(path, handler, parameters, needed, bytes)                                             \
    {                                                                                              \
        .pattern = (path), .handlers = {[API_POST] = (handler)}, .changing_query = (parameters),   \
        .changing_role = (needed), .body_max = (bytes)                                             \
    }
#define OBSERVE(path, handler, parameters)                                                         \
    {                                                                                              \
        .pattern = (path), .handlers = {[API_GET] = (handler)}, .query = (parameters),             \
        .role = API_ROLE_METRICS, .is_observable = true                                            \
    }

static const struct api_row rows[] = {
    CONFIG("/v1/config", "", API_DOCUMENT_MAX),
    READ("/v1/config/status", api_status_config, ""),
    POST("/v1/config/validate", api_config_validate, "", API_ROLE_READ, API_DOCUMENT_MAX),
    POST("/v1/config/diff", api_config_diff, "", API_ROLE_READ, API_DOCUMENT_MAX),
    POST("/v1/config/reload", api_config_reload, "wait", API_ROLE_ADMIN, 64 * 1024),
    POST("/v1/batch", api_batch_post, WRITES, API_ROLE_ADMIN, API_DOCUMENT_MAX),
    COLLECTION("/v1/listeners", "/listeners"),
    ITEM("/v1/listeners/{}", "/listeners/{}"),
    READ("/v1/listeners/{}/status", api_status_listener, ""),
    COLLECTION("/v1/routes", "/routes"),
    ITEM("/v1/routes/{}", "/routes/{}"),
    READ("/v1/routes/{}/status", api_status_route, ""),
    COLLECTION("/v1/pools", "/pools"),
    ITEM("/v1/pools/{}", "/pools/{}"),
    READ("/v1/pools/{}/status", api_status_pool, ""),
    {.pattern = "/v1/pools/{}/sessions",
     .handlers = {[API_GET] = api_learned_list, [API_DELETE] = api_learned_forget},
     .query = "server limit",
     .changing_query = "server session",
     .changing_role = API_ROLE_OPERATE},
    COLLECTION("/v1/pools/{}/servers", "/pools/{}/servers"),
    ITEM("/v1/pools/{}/servers/{}", "/pools/{}/servers/{}"),
    READ("/v1/pools/{}/servers/{}/status", api_status_server, ""),
    {.pattern = "/v1/pools/{}/endpoints",
     .pointer = "/pools/{}/servers",
     .handlers = {[API_GET] = api_resource_get, [API_PUT] = api_resource_put_endpoints},
     .query = "defaults",
     .changing_query = WRITES,
     .body_max = API_DOCUMENT_MAX},
    BY_HAND("/v1/pools/{}/servers/{}/admin-state", ),
    BY_HAND("/v1/pools/{}/servers/{}/overrides/weight", _weight),
    BY_HAND("/v1/listeners/{}/admin-state", _listener),
    BY_HAND("/v1/admin-state", _process),
    READ("/v1/overrides", api_admin_overrides, ""),
    READ("/v1/drains", api_admin_drains, ""),
    READ("/v1/connections", api_connections_list, "listener pool server user limit"),
    READ("/v1/requests/recent", api_requests_recent,
         "reason listener route pool server client status min_ms limit"),
    READ("/v1/requests/{*}", api_requests_get, ""),
    {.pattern = "/v1/connections/{}",
     .handlers = {[API_DELETE] = api_connections_delete},
     .changing_query = "",
     .changing_role = API_ROLE_OPERATE},
    {.pattern = "/v1/pools/{}/servers/{}/check",
     .handlers = {[API_POST] = api_check_server},
     .changing_query = "",
     .changing_role = API_ROLE_OPERATE,
     .body_max = 1024},
    {.pattern = "/v1/pools/{}/check",
     .handlers = {[API_POST] = api_check_pool},
     .changing_query = "",
     .changing_role = API_ROLE_OPERATE,
     .body_max = 1024},
    READ("/v1/events", api_events_list, "since wait types name limit"),
    READ("/v1/watch", api_events_watch, "since types name"),
    COLLECTION("/v1/policies", "/policies"),
    ITEM("/v1/policies/{}", "/policies/{}"),
    READ("/v1/policies/{}/status", api_policies_status, ""),
    COLLECTION("/v1/address-sets", "/address_sets"),
    ITEM_UP_TO("/v1/address-sets/{}", "/address_sets/{}", API_DOCUMENT_MAX),
    COLLECTION("/v1/health-checks", "/health_checks"),
    ITEM("/v1/health-checks/{}", "/health_checks/{}"),
    COLLECTION("/v1/certificates", "/certificates"),
    ITEM("/v1/certificates/{}", "/certificates/{}"),
    READ("/v1/certificates/{}/status", api_certificates_status, ""),
    COLLECTION("/v1/ca-sets", "/ca_sets"),
    ITEM("/v1/ca-sets/{}", "/ca_sets/{}"),
    READ("/v1/ca-sets/{}/status", api_certificates_ca_set_status, ""),
    COLLECTION("/v1/mail/users", "/mail_users"),
    ITEM("/v1/mail/users/{}", "/mail_users/{}"),
    COLLECTION("/v1/mail/maps", "/mail_maps"),
    ITEM("/v1/mail/maps/{}", "/mail_maps/{}"),
    COLLECTION("/v1/mail/maps/{}/entries", "/mail_maps/{}/entries"),
    ITEM("/v1/mail/maps/{}/entries/{}", "/mail_maps/{}/entries/{}"),
    COLLECTION("/v1/mail/callbacks", "/mail_callbacks"),
    ITEM("/v1/mail/callbacks/{}", "/mail_callbacks/{}"),
    READ("/v1/mail/users/{}/status", api_mail_user_status, ""),
    POST("/v1/mail/users/{}/move", api_mail_user_move, "", API_ROLE_OPERATE, 64 * 1024),
    POST("/v1/mail/users/{}/kick", api_mail_user_kick, "", API_ROLE_OPERATE, 64 * 1024),
    POST("/v1/mail/users/{}/release", api_mail_user_release, "", API_ROLE_OPERATE, 64 * 1024),
    READ("/v1/mail/sessions", api_mail_sessions_list, "user listener pool server client limit"),
    {.pattern = "/v1/mail/sessions/{}",
     .handlers = {[API_DELETE] = api_mail_sessions_delete},
     .changing_query = "",
     .changing_role = API_ROLE_OPERATE},
    {.pattern = "/v1/mail/affinity/{}",
     .handlers = {[API_GET] = api_mail_affinity_list, [API_POST] = api_mail_import_affinity},
     .query = "limit",
     .changing_query = "",
     .changing_role = API_ROLE_OPERATE,
     .body_max = API_DOCUMENT_MAX},
    POST("/v1/mail/maps/{}/import", api_mail_import_map, WRITES, API_ROLE_ADMIN, API_DOCUMENT_MAX),
    {.pattern = "/v1/mail/bans",
     .handlers = {[API_GET] = api_mail_bans_list, [API_DELETE] = api_mail_bans_clear},
     .query = "",
     .changing_query = "address user",
     .changing_role = API_ROLE_OPERATE},
    {.pattern = "/v1/mail/bans/{}",
     .handlers = {[API_DELETE] = api_mail_bans_delete},
     .changing_query = "",
     .changing_role = API_ROLE_OPERATE},
    {.pattern = "/v1/mail/cache",
     .handlers = {[API_GET] = api_mail_cache_get, [API_DELETE] = api_mail_cache_delete},
     .query = "",
     .changing_query = "user",
     .changing_role = API_ROLE_OPERATE},
    {.pattern = "/v1/pools/{}/servers/{}/mail-drain",
     .handlers = {[API_GET] = api_mail_drain_get,
                  [API_PUT] = api_mail_drain_put,
                  [API_DELETE] = api_mail_drain_delete},
     .query = "",
     .changing_query = "",
     .changing_role = API_ROLE_OPERATE,
     .body_max = 64 * 1024},
    {.pattern = "/v1/whoami",
     .handlers = {[API_GET] = api_tokens_whoami},
     .query = "",
     .role = API_ROLE_METRICS},
    {.pattern = "/v1/tokens",
     .handlers = {[API_GET] = api_tokens_list},
     .query = "",
     .role = API_ROLE_ADMIN},
    {.pattern = "/v1/tokens/{}",
     .handlers = {[API_PUT] = api_tokens_put, [API_DELETE] = api_tokens_delete},
     .is_secret = true,
     .changing_query = "dry_run missing",
     .body_max = 64 * 1024},
    READ("/v1/revisions", api_revisions_list, ""),
    READ("/v1/revisions/{}", api_revisions_get, ""),
    READ("/v1/revisions/{}/config", api_revisions_config, ""),
    READ("/v1/revisions/{}/diff", api_revisions_diff, "to"),
    POST("/v1/revisions/{}/rollback", api_revisions_rollback, WRITES, API_ROLE_ADMIN, 64 * 1024),
    POST("/v1/revisions/{}/confirm", api_revisions_confirm, "wait", API_ROLE_OPERATE, 64 * 1024),
    POST("/v1/revisions/{}/reject", api_revisions_reject, "wait", API_ROLE_OPERATE, 64 * 1024),
    READ("/v1/status", api_overview_get, ""),
    READ("/v1/stats", api_stats_get, "scope"),
    READ("/v1/reasons", api_status_reasons, ""),
    READ("/v1/version", api_status_version, ""),
    READ("/v1/schema.json", api_status_schema, ""),
    READ("/v1/openapi.json", api_openapi_get, ""),
    READ("/v1/explain", api_explain_all, ""),
    {.pattern = "/v1/explain/route",
     .handlers = {[API_POST] = api_explain_route},
     .query = "",
     .changing_query = "",
     .changing_role = API_ROLE_READ,
     .body_max = 64 * 1024},
    READ("/v1/explain/{*}", api_explain_key, ""),
    READ("/v1/problems/{}", api_problem_explain, ""),
    OBSERVE("/healthz", api_status_healthz, ""),
    OBSERVE("/readyz", api_status_readyz, "pool"),
    OBSERVE("/metrics", api_metrics_get, "scope pool name[]"),
};

size_t api_table_count(void)
{
    return ARRAY_LEN(rows);
}

const struct api_row *api_table_row(size_t index)
{
    return &rows[index];
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* %2F and the like, into `out`, which has room for all of it. What is no escape stays. */
static struct slice unescape(struct slice text, char *out)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        int high = -1;
        int low = -1;
        if (text.ptr[i] == '%' && text.len - i > 2) {
            high = hex_digit(text.ptr[i + 1]);
            low = hex_digit(text.ptr[i + 2]);
        }
        if (high >= 0 && low >= 0) {
            out[len++] = (char)(high * 16 + low);
            i += 2;
        } else {
            out[len++] = text.ptr[i];
        }
    }
    return slice_of(out, len);
}

/* Walks pattern and path side by side; the parts that "{}" stands for come out as they are. */
static bool matches(const char *pattern, struct slice path, struct slice names[API_NAMES_MAX],
                    uint32_t *count)
{
    *count = 0;
    while (*pattern != '\0') {
        if (strncmp(pattern, "{}", 2) == 0) {
            size_t end = slice_find(path, '/');
            struct slice name = slice_of(path.ptr, end == SIZE_MAX ? path.len : end);
            names[(*count)++] = name;
            path = slice_from_at(path, name.len);
            pattern += 2;
        } else if (strcmp(pattern, "{*}") == 0) {
            names[(*count)++] = path;
            return path.len != 0;
        } else {
            if (path.len == 0 || *path.ptr != *pattern) {
                return false;
            }
            path = slice_from_at(path, 1);
            pattern++;
        }
    }
    return path.len == 0;
}

/* What the name looks like whose "{}" is the `index`-th: that of a user or of a map's entry is the
 * text of a person. */
static enum conf_format name_format(const char *pattern, uint32_t index)
{
    static const char *const free_texts[] = {"/mail/users/{}", "/entries/{}"};
    const char *at = pattern;
    for (uint32_t i = 0; i <= index && (at = strchr(at, '{')) != NULL; i++) {
        at += 2;
    }
    struct slice before = slice_of(pattern, at != NULL ? (size_t)(at - pattern) : 0);
    for (size_t i = 0; i < ARRAY_LEN(free_texts); i++) {
        if (slice_ends(before, slice_from(free_texts[i]))) {
            return CONF_FORMAT_MAIL_KEY;
        }
    }
    return CONF_FORMAT_NAME;
}

/* Its index among the names; `count`: none. */
static uint32_t first_bad(const char *pattern, const struct slice *names, uint32_t count)
{
    bool last_is_any = strchr(pattern, '*') != NULL;
    for (uint32_t i = 0; i + (last_is_any ? 1 : 0) < count; i++) {
        if (conf_format_problem(name_format(pattern, i), names[i]) != NULL) {
            return i;
        }
    }
    return count;
}

/* Decodes names in place; the texts are in *unescaped, which is made when there are some. */
static void unescape_names(struct slice path, struct slice *names, uint32_t count, char **unescaped)
{
    size_t len = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (slice_find(names[i], '%') == SIZE_MAX) {
            continue;
        }
        if (*unescaped == NULL) {
            *unescaped = mem_alloc(path.len);
        }
        names[i] = unescape(names[i], *unescaped + len);
        len += names[i].len;
    }
}

const struct api_row *api_table_find(struct api_request *request)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!matches(rows[i].pattern, request->path, request->names, &request->name_count)) {
            continue;
        }
        unescape_names(request->path, request->names, request->name_count, &request->unescaped);
        if (first_bad(rows[i].pattern, request->names, request->name_count) ==
            request->name_count) {
            return &rows[i];
        }
    }
    request->name_count = 0;
    return NULL;
}

struct slice api_table_bad_name(struct slice path, const char **must_be)
{
    struct slice names[API_NAMES_MAX];
    struct slice as_came[API_NAMES_MAX];
    uint32_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (matches(rows[i].pattern, path, names, &count)) {
            char *unescaped = NULL;
            memcpy(as_came, names, sizeof(names));
            unescape_names(path, names, count, &unescaped);
            uint32_t bad = first_bad(rows[i].pattern, names, count);
            free(unescaped);
            if (bad == count) {
                return SLICE_NONE;
            }
            *must_be = name_format(rows[i].pattern, bad) == CONF_FORMAT_NAME
                           ? "a-z, 0-9 and inside also . _ -, at most 63 characters"
                           : "1 to 320 bytes without control characters";
            return as_came[bad];
        }
    }
    return SLICE_NONE;
}

void api_table_write_pointer(const struct api_row *row, const struct slice *names, struct buf *out)
{
    for (const char *at = row->pointer; *at != '\0'; at++) {
        if (at[0] == '{' && at[1] == '}') {
            out->len--; /* the slash comes with the token */
            json_patch_append_token(out, *names++);
            at++;
        } else {
            (void)buf_append_char(out, *at);
        }
    }
}

enum api_role api_table_role(const struct api_row *row, enum api_method method)
{
    if (method == API_GET) {
        return row->role != API_ROLE_NONE ? row->role : API_ROLE_READ;
    }
    return row->changing_role != API_ROLE_NONE ? row->changing_role : API_ROLE_ADMIN;
}

void api_table_allow(const struct api_row *row, char *out, size_t size)
{
    static const char *const words[API_METHODS] = {[API_GET] = "GET, HEAD",
                                                   [API_PUT] = "PUT",
                                                   [API_PATCH] = "PATCH",
                                                   [API_DELETE] = "DELETE",
                                                   [API_POST] = "POST"};
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < API_METHODS; i++) {
        if (row->handlers[i] != NULL && len + strlen(words[i]) + 3 < size) {
            len +=
                (size_t)(stpcpy(stpcpy(out + len, len != 0 ? ", " : ""), words[i]) - (out + len));
        }
    }
}

bool api_table_knows_query(const struct api_row *row, enum api_method method, struct slice name)
{
    const char *known = method == API_GET ? row->query : row->changing_query;
    struct slice rest = slice_from(known != NULL ? known : "");
    struct slice word;
    while (rest.len != 0 && slice_split(&rest, ' ', &word)) {
        if (slice_eq(word, name)) {
            return true;
        }
    }
    return false;
}

bool api_table_is_state(const struct api_row *row)
{
    static const char *const others[] = {"/v1/overrides", "/v1/drains", "/v1/admin-state"};
    struct slice pattern = slice_from(row->pattern);
    if (row->pointer != NULL || slice_ends(pattern, SLICE("/status")) ||
        slice_ends(pattern, SLICE("}/admin-state"))) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        if (slice_eq(pattern, slice_from(others[i]))) {
            return true;
        }
    }
    return false;
}
