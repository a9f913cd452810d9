#include "api/api_requests.h"

#include "api/api_limit.h"
#include "api/api_problem.h"
#include "conf/conf_suggest.h"
#include "lbd/base/close_advice.h"
#include "lbd/base/now.h"
#include "lbd/base/num.h"
#include "lbd/proxy/route_explain.h"
#include "lbd/worker/requests.h"

#define LIMIT_USUAL 100U
#define LIMIT_MOST  1000U
#define TEXT_MAX    1024 /* bytes of a sentence for people */

/* -- the question -- */

static bool read_reason(struct api_request *request, struct requests_query *query)
{
    struct slice word = api_request_query(request, "reason");
    struct conf_suggest suggest;
    if (word.ptr == NULL) {
        return true;
    }
    conf_suggest_init(&suggest, word);
    for (unsigned i = 0; i < CLOSE_REASON_COUNT; i++) {
        struct slice known = close_reason_word((enum close_reason)i);
        if (slice_eq(word, known)) {
            query->has_reason = true;
            query->reason = (enum close_reason)i;
            return true;
        }
        conf_suggest_offer(&suggest, known);
    }
    api_problem(request, "unknown-parameter", "'reason' is a word of /v1/reasons%s%.*s%s",
                suggest.best.len != 0 ? "; did you mean '" : "", SLICE_ARG(suggest.best),
                suggest.best.len != 0 ? "'?" : "");
    return false;
}

/* "503", "5xx" */
static bool read_status(struct api_request *request, struct requests_query *query)
{
    struct slice text = api_request_query(request, "status");
    uint64_t status = 0;
    if (text.ptr == NULL) {
        return true;
    }
    if (text.len == 3 && text.ptr[0] >= '1' && text.ptr[0] <= '5' &&
        slice_eq(slice_from_at(text, 1), SLICE("xx"))) {
        query->status = (uint16_t)(text.ptr[0] - '0');
        return true;
    }
    if (!num_parse_u64(text, &status) || status < 100 || status > 599) {
        api_problem(request, "unknown-parameter", "'status' is as in 503 or 5xx");
        return false;
    }
    query->status = (uint16_t)status;
    return true;
}

static bool read_min(struct api_request *request, struct requests_query *query)
{
    struct slice text = api_request_query(request, "min_ms");
    uint64_t min_ms = 0;
    if (text.ptr != NULL && (!num_parse_u64(text, &min_ms) || min_ms > UINT32_MAX)) {
        api_problem(request, "unknown-parameter", "'min_ms' is a number of milliseconds");
        return false;
    }
    query->min_us = min_ms * 1000;
    return true;
}

static bool read_client(struct api_request *request, struct addr_small *client,
                        struct requests_query *query)
{
    bool is_given;
    bool ok = api_request_client(request, client, &is_given);
    query->client = ok && is_given ? client : NULL;
    return ok;
}

/* "a", "pool/a" */
static void read_server(struct api_request *request, struct requests_query *query)
{
    query->pool = api_request_query(request, "pool");
    query->server = api_request_query(request, "server");
    if (slice_find(query->server, '/') != SIZE_MAX) {
        (void)slice_split(&query->server, '/', &query->pool);
    }
}

static void ask(struct api_request *request, const struct requests_query *query,
                void (*done)(const struct requests_answer *answer, void *arg))
{
    if (!control_ask_requests(request->control, query, done, request)) {
        api_request_header(request, "Retry-After", "%u", 1U);
        api_problem(request, "unavailable", "%u questions to the workers are under way",
                    CONTROL_ASKING_MAX);
        api_request_done(request);
    }
}

/* -- the answer -- */

static void write_if(struct json_write *w, const char *key, struct slice value)
{
    if (value.len != 0) {
        json_write_member_string(w, key, value);
    }
}

static void write_time(struct json_write *w, uint64_t wall_us)
{
    char text[NOW_LOG_DATE_LEN + 1];
    now_log_date(text, wall_us);
    json_write_member_text(w, "time", text);
}

/* What of the route the request fits: known while the configuration is the one that served it. */
static void write_match(struct json_write *w, const struct api_request *request,
                        const struct access_record *record)
{
    struct conf_document *document = control_document(request->control);
    const struct conf_route *route = conf_route_find(conf_document_conf(document), record->route);
    struct slice host = record->host;
    struct slice path = record->path;
    struct slice part;
    struct buf text;
    if (route == NULL || control_facts(request->control)->revision != record->revision) {
        return;
    }
    size_t colon = slice_find(host, ':');
    host.len = colon != SIZE_MAX && host.ptr[0] != '[' ? colon : host.len;
    (void)slice_split(&path, '?', &part);
    const struct route_question question = {.host = host, .path = part};
    buf_init(&text, 1024);
    route_explain_fit(&route->match, &question, &text);
    json_write_member_string(w, "match", buf_slice(&text));
    buf_fini(&text);
}

static void write_policies(struct json_write *w, const struct recent_entry *entry)
{
    json_write_key(w, "policies");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < entry->policy_count; i++) {
        json_write_object_begin(w);
        json_write_member_string(w, "policy", entry->policies[i].name);
        json_write_member_text(w, "decision", entry->policies[i].decision);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void write_tries(struct json_write *w, const struct recent_entry *entry)
{
    json_write_key(w, "tries");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < entry->try_count; i++) {
        const struct recent_try *try = &entry->tries[i];
        json_write_object_begin(w);
        json_write_member_string(w, "server", try->server);
        json_write_member_string(w, "reason", close_reason_word(try->reason));
        if (try->status != 0) {
            json_write_member_u64(w, "status", try->status);
        }
        json_write_member_bool(w, "reused", try->reused);
        json_write_member_u64(w, "began_us", try->began_us);
        json_write_member_u64(w, "took_us", try->took_us);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void write_candidates(struct json_write *w, const struct recent_entry *entry)
{
    json_write_key(w, "candidates");
    json_write_array_begin(w);
    for (uint32_t i = 0; i < entry->candidate_count; i++) {
        json_write_object_begin(w);
        json_write_member_string(w, "server", entry->candidates[i].server);
        json_write_member_text(w, "state", entry->candidates[i].state);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_member_u64(w, "candidates_total", entry->candidate_total);
}

/* The policy that refused it; empty: none did. */
static struct slice refuser_of(const struct recent_entry *entry)
{
    for (uint32_t i = 0; i < entry->policy_count; i++) {
        if (slice_eq(slice_from(entry->policies[i].decision), SLICE("refused"))) {
            return entry->policies[i].name;
        }
    }
    return SLICE_NONE;
}

static void write_ending(struct json_write *w, const struct recent_entry *entry)
{
    const struct access_record *record = &entry->record;
    enum close_by by = close_advice_by(record->reason);
    struct buf detail;
    struct buf advice;
    buf_init(&detail, TEXT_MAX);
    buf_init(&advice, TEXT_MAX);
    (void)buf_append_text(&detail, close_reason_sentence(record->reason));
    close_advice_write(&advice, record->reason, refuser_of(entry), record->pool);
    if (record->reason == CLOSE_OK && record->status >= 500 && record->server.len != 0) {
        /* for lbd all went well, but not for who looks here */
        by = CLOSE_BY_SERVER;
        buf_clear(&detail);
        (void)buf_printf(&detail, "the server itself answered %u", record->status);
        buf_clear(&advice);
        (void)buf_append_text(&advice, "look at the server's log");
    }
    json_write_member_string(w, "reason", close_reason_word(record->reason));
    json_write_member_string(w, "detail", buf_slice(&detail));
    json_write_member_text(w, "ended_by", close_advice_by_word(by));
    write_if(w, "setting", record->setting);
    write_if(w, "setting_value", record->setting_value);
    json_write_member_string(w, "advice", buf_slice(&advice));
    buf_fini(&advice);
    buf_fini(&detail);
}

/* Which route took it. What fits none goes to the listener's default_pool, which the log names
 * "default". */
static void write_route(struct json_write *w, const struct api_request *request,
                        const struct access_record *record)
{
    const struct conf *conf = conf_document_conf(control_document(request->control));
    bool is_default =
        slice_eq(record->route, SLICE("default")) && conf_route_find(conf, record->route) == NULL;
    write_if(w, "route", record->route);
    if (is_default) {
        json_write_member_bool(w, "is_default", true);
    }
    write_match(w, request, record);
}

static void write_request(struct json_write *w, const struct api_request *request,
                          const struct recent_entry *entry)
{
    const struct access_record *record = &entry->record;
    char client[ADDR_TEXT_MAX];
    json_write_object_begin(w);
    write_if(w, "id", record->request_id);
    write_if(w, "trace_id", record->trace_id);
    write_time(w, record->time_us);
    json_write_member_string(w, "listener", record->listener);
    if (record->client.family != 0) {
        json_write_member_string(w, "client",
                                 slice_of(client, addr_small_write(&record->client, client)));
    }
    write_if(w, "method", record->method);
    write_if(w, "host", record->host);
    write_if(w, "path", record->path);
    write_if(w, "protocol", record->protocol);
    write_if(w, "tls", record->tls);
    if (record->status != 0) {
        json_write_member_u64(w, "status", record->status);
    }
    write_ending(w, entry);
    write_route(w, request, record);
    write_if(w, "pool", record->pool);
    write_if(w, "server", record->server);
    json_write_member_u64(w, "request_bytes", record->request_bytes);
    json_write_member_u64(w, "response_bytes", record->response_bytes);
    json_write_member_u64(w, "duration_us", record->duration_us);
    if (record->queue_us != 0) {
        json_write_member_u64(w, "queue_us", record->queue_us);
    }
    if (record->connect_us != 0) {
        json_write_member_u64(w, "connect_us", record->connect_us);
    }
    if (record->first_byte_us != 0) {
        json_write_member_u64(w, "first_byte_us", record->first_byte_us);
    }
    write_if(w, "policy_key", record->policy_key);
    write_policies(w, entry);
    write_tries(w, entry);
    if (entry->candidate_count != 0) {
        write_candidates(w, entry);
    }
    json_write_member_u64(w, "revision", record->revision);
    json_write_object_end(w);
}

static void on_listed(const struct requests_answer *answer, void *arg)
{
    struct api_request *request = arg;
    struct json_write w;
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    json_write_key(&w, "requests");
    json_write_array_begin(&w);
    for (uint32_t i = 0; i < answer->count; i++) {
        write_request(&w, request, answer->entries[i]);
    }
    json_write_array_end(&w);
    json_write_member_u64(&w, "total", answer->total);
    json_write_object_end(&w);
    api_request_json_end(request, 200);
    api_request_done(request);
}

void api_requests_recent(struct api_request *request)
{
    struct requests_query query = {.listener = api_request_query(request, "listener"),
                                   .route = api_request_query(request, "route")};
    struct addr_small client;
    read_server(request, &query);
    if (api_limit_read(request, 0, LIMIT_USUAL, LIMIT_MOST, &query.limit) &&
        read_reason(request, &query) && read_status(request, &query) && read_min(request, &query) &&
        read_client(request, &client, &query)) {
        ask(request, &query, on_listed);
    } else {
        api_request_done(request);
    }
}

static void on_found(const struct requests_answer *answer, void *arg)
{
    struct api_request *request = arg;
    struct json_write w;
    if (answer->count == 0) {
        api_problem(request, "not-found",
                    "no request '%.*s' is kept: only those that failed, were tried again or were "
                    "slow are, and only for a while (observability.recent)",
                    SLICE_ARG(request->names[0]));
    } else {
        api_request_json_begin(request, &w);
        write_request(&w, request, answer->entries[0]);
        api_request_json_end(request, 200);
    }
    api_request_done(request);
}

void api_requests_get(struct api_request *request)
{
    const struct requests_query query = {.id = request->names[0], .limit = 1};
    ask(request, &query, on_found);
}
