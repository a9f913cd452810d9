#include "api/api_guard.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/api_credentials.h"
#include "api/audit.h"
#include "api/rate_limit.h"
#include "conf/conf_diff.h"
#include "lbd/base/log.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/control/events.h"

/* Pointers of an audit line: 32 of at most 200 bytes fit into API_CHANGES_MAX. */
#define CHANGES_LISTED_MAX 32
/* No line is worth a walk over a hundred thousand servers on the control loop. */
#define CHANGES_COUNTED_MAX 1000
/* Refusals of one identity or source that go into log, audit and events; all are counted. */
#define TOLD_PER_MINUTE 60
#define NO_GROUP        ((gid_t)-1)
#define PEER_GROUPS_MAX 1024

struct api_guard {
    const struct conf_api *conf; /* borrowed */
    struct token_file *tokens;
    struct audit *audit; /* NULL: off */
    gid_t admin;         /* NO_GROUP: there is none */
    gid_t operate;
    gid_t read;
    struct rate_limit failures; /* by source */
    struct rate_limit writes;   /* by identity */
    struct rate_limit unix_admin_writes;
    struct rate_limit told; /* refusals of one that are told: who asks on fills no disk */
    uint64_t untold;        /* since the last one that was */
};

/* Counted in one place for the process, as the metrics are. */
static uint64_t failures[API_GUARD_FAILURES];
static uint64_t limited;
static uint64_t lost;

void api_guard_count(enum api_guard_failure failure)
{
    failures[failure]++;
}

uint64_t api_guard_failures(enum api_guard_failure failure)
{
    return failures[failure];
}

const char *api_guard_failure_word(enum api_guard_failure failure)
{
    static const char *const words[] = {
        [API_GUARD_NO_CREDENTIALS] = "no_credentials",
        [API_GUARD_BAD_TOKEN] = "bad_token",
        [API_GUARD_EXPIRED_TOKEN] = "expired_token",
        [API_GUARD_CERTIFICATE] = "certificate",
        [API_GUARD_PEER] = "peer",
        [API_GUARD_ROLE] = "role",
        [API_GUARD_HOST] = "host",
        [API_GUARD_BROWSER] = "browser",
        [API_GUARD_HANDSHAKE] = "handshake",
    };
    return words[failure];
}

void api_guard_count_limited(void)
{
    limited++;
}

uint64_t api_guard_limited(void)
{
    return limited;
}

const char *api_guard_via_word(enum api_via via)
{
    static const char *const words[] = {
        [API_VIA_UNIX] = "unix",
        [API_VIA_TOKEN] = "token",
        [API_VIA_CERTIFICATE] = "certificate",
        [API_VIA_INSECURE] = "insecure",
        [API_VIA_OBSERVE] = "observe",
    };
    return words[via];
}

/* -- life -- */

/* Folders and names that the configuration leaves open. */
static char *tokens_path(const struct conf_daemon *daemon)
{
    struct buf path;
    size_t len = 0;
    if (daemon->api.tokens_file.len != 0) {
        return mem_slicedup(daemon->api.tokens_file);
    }
    buf_init(&path, 8192);
    (void)buf_printf(&path, "%.*s/tokens", SLICE_ARG(daemon->state_dir));
    return buf_take(&path, &len);
}

static gid_t find_group(struct slice name)
{
    char text[64];
    if (name.len == 0 || name.len >= sizeof(text)) {
        return NO_GROUP;
    }
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    const struct group *group = getgrnam(text);
    return group != NULL ? group->gr_gid : NO_GROUP;
}

static void find_groups(struct api_guard *guard)
{
    guard->admin = find_group(guard->conf->groups.admin);
    guard->operate = find_group(guard->conf->groups.operate);
    guard->read = find_group(guard->conf->groups.read);
}

static bool has_audit(const struct conf_api *conf)
{
    return !slice_eq(conf->audit.path, SLICE("off"));
}

static bool open_audit(struct api_guard *guard, struct err *err)
{
    if (!has_audit(guard->conf)) {
        return true;
    }
    char *path = mem_slicedup(guard->conf->audit.path);
    guard->audit = audit_open(path, err);
    free(path);
    if (guard->audit == NULL && guard->conf->audit.on_failure == CONF_AUDIT_CONTINUE) {
        log_error("api.audit_failed", "why=\"%s\" do=continue", err->text);
        return true;
    }
    return guard->audit != NULL;
}

struct api_guard *api_guard_new(const struct conf_daemon *daemon, struct err *err)
{
    const struct conf_api_limits *limits = &daemon->api.limits;
    struct api_guard *guard = mem_zero(1, sizeof(*guard));
    char *path = tokens_path(daemon);
    guard->conf = &daemon->api;
    find_groups(guard);
    rate_limit_init(&guard->failures, limits->auth_failures_per_minute,
                    limits->auth_failures_per_minute);
    rate_limit_init(&guard->writes, (uint64_t)limits->writes_per_second * 60, limits->write_burst);
    rate_limit_init(&guard->unix_admin_writes, (uint64_t)limits->unix_admin_writes_per_second * 60,
                    limits->write_burst);
    rate_limit_init(&guard->told, TOLD_PER_MINUTE, TOLD_PER_MINUTE);
    guard->tokens = token_file_open(path, err);
    free(path);
    if (guard->tokens == NULL || !open_audit(guard, err)) {
        api_guard_free(guard);
        return NULL;
    }
    return guard;
}

bool api_guard_check(const struct conf_daemon *daemon, struct err *err)
{
    char *path = tokens_path(daemon);
    struct token_file *tokens = token_file_open(path, err);
    bool ok = tokens != NULL || err->kind == ERR_SYSTEM; /* not ours to read now */
    (void)snprintf(err->place, sizeof(err->place), "/daemon/api/tokens_file");
    token_file_close(tokens);
    free(path);
    return ok;
}

void api_guard_free(struct api_guard *guard)
{
    if (guard == NULL) {
        return;
    }
    token_file_close(guard->tokens);
    audit_close(guard->audit);
    rate_limit_fini(&guard->failures);
    rate_limit_fini(&guard->writes);
    rate_limit_fini(&guard->unix_admin_writes);
    rate_limit_fini(&guard->told);
    free(guard);
}

struct token_file *api_guard_tokens(struct api_guard *guard)
{
    struct err err = {0};
    switch (token_file_refresh(guard->tokens, &err)) {
    case TOKEN_FILE_SAME:
        break;
    case TOKEN_FILE_READ:
        log_info("api.tokens_read", "tokens=%u", token_file_tokens(guard->tokens)->count);
        break;
    case TOKEN_FILE_BAD:
        log_error("api.tokens_kept", "why=\"%s\" do=keep_those_of_before", err.text);
        break;
    }
    return guard->tokens;
}

void api_guard_reload(struct api_guard *guard)
{
    find_groups(guard);
    (void)api_guard_tokens(guard);
}

void api_guard_reopen(struct api_guard *guard)
{
    struct err err = {0};
    if (guard->audit == NULL && has_audit(guard->conf)) {
        (void)open_audit(guard, &err);
    } else if (guard->audit != NULL && !audit_reopen(guard->audit, &err)) {
        log_error("api.audit_failed", "why=\"%s\"", err.text);
    }
}

/* -- who -- */

static enum api_role group_role(const struct api_guard *guard, gid_t gid)
{
    if (gid == NO_GROUP) {
        return API_ROLE_NONE;
    }
    if (gid == guard->admin) {
        return API_ROLE_ADMIN;
    }
    if (gid == guard->operate) {
        return API_ROLE_OPERATE;
    }
    return gid == guard->read ? API_ROLE_READ : API_ROLE_NONE;
}

static enum api_role groups_role(const struct api_guard *guard, int fd, gid_t primary)
{
    gid_t groups[PEER_GROUPS_MAX];
    socklen_t len = sizeof(groups);
    enum api_role role = group_role(guard, primary);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == 0) {
        for (size_t i = 0; i < len / sizeof(groups[0]); i++) {
            enum api_role more = group_role(guard, groups[i]);
            role = more > role ? more : role;
        }
    }
    return role;
}

static void look_at_unix(const struct api_guard *guard, const struct api_peer *peer,
                         struct api_identity *out)
{
    struct ucred credentials;
    socklen_t len = sizeof(credentials);
    out->via = API_VIA_UNIX;
    if (getsockopt(peer->fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) != 0) {
        (void)snprintf(out->who, sizeof(out->who), "unix");
    } else {
        (void)snprintf(out->who, sizeof(out->who), "unix uid=%u pid=%d", (unsigned)credentials.uid,
                       (int)credentials.pid);
        (void)snprintf(out->name, sizeof(out->name), "unix uid=%u", (unsigned)credentials.uid);
        out->role = credentials.uid == 0 || credentials.uid == geteuid()
                        ? API_ROLE_ADMIN
                        : groups_role(guard, peer->fd, credentials.gid);
    }
}

/* What failed counts against where it came from; too often is told otherwise. */
static enum api_guard_verdict failed(struct api_guard *guard, struct api_identity *out,
                                     enum api_guard_failure why, enum api_guard_verdict verdict)
{
    api_guard_count(why);
    out->reason = api_guard_failure_word(why);
    out->role = API_ROLE_NONE;
    if (!rate_limit_take(&guard->failures, slice_from(out->name), now_us(), &out->retry_s)) {
        api_guard_count_limited();
        return API_GUARD_TOO_MANY;
    }
    return verdict;
}

static uint64_t mark_of(const struct token *token)
{
    uint64_t mark = 0;
    memcpy(&mark, token->hash, sizeof(mark));
    return mark;
}

bool api_guard_still_knows(struct api_guard *guard, const struct api_identity *identity)
{
    if (identity->token[0] == '\0') {
        return true;
    }
    const struct token_list *tokens = token_file_tokens(api_guard_tokens(guard));
    for (uint32_t i = 0; i < tokens->count; i++) {
        const struct token *token = &tokens->items[i];
        if (strcmp(token->id, identity->token) == 0) {
            return mark_of(token) == identity->token_mark && token->role >= identity->role &&
                   (token->expires_s == 0 || token->expires_s > now_wall_us() / 1000000U);
        }
    }
    return false;
}

static enum api_guard_verdict by_token(struct api_guard *guard, const struct api_peer *peer,
                                       struct api_identity *out)
{
    const struct token *token = NULL;
    struct slice secret;
    if (!api_credentials_bearer(peer->authorization, &secret)) {
        return failed(guard, out, API_GUARD_BAD_TOKEN, API_GUARD_UNKNOWN);
    }
    switch (token_file_find(api_guard_tokens(guard), secret, now_wall_us() / 1000000U, &token)) {
    case TOKEN_FILE_UNKNOWN:
        return failed(guard, out, API_GUARD_BAD_TOKEN, API_GUARD_UNKNOWN);
    case TOKEN_FILE_EXPIRED:
        return failed(guard, out, API_GUARD_EXPIRED_TOKEN, API_GUARD_UNKNOWN);
    case TOKEN_FILE_FOUND:
        break;
    }
    (void)snprintf(out->who, sizeof(out->who), "token %s", token->id);
    (void)snprintf(out->name, sizeof(out->name), "token %s", token->id);
    (void)snprintf(out->token, sizeof(out->token), "%s", token->id);
    out->token_mark = mark_of(token);
    out->role = token->role;
    out->via = peer->is_unix || peer->is_tls ? API_VIA_TOKEN : API_VIA_INSECURE;
    return API_GUARD_KNOWN;
}

static const struct slice *find_match(const struct api_peer *peer, const struct slice *patterns,
                                      uint32_t count)
{
    for (uint32_t i = 0; i < peer->certificate_count; i++) {
        for (uint32_t j = 0; j < count; j++) {
            if (api_credentials_matches(peer->certificate[i], patterns[j])) {
                return &peer->certificate[i];
            }
        }
    }
    return NULL;
}

static enum api_guard_verdict by_certificate(struct api_guard *guard, const struct api_peer *peer,
                                             struct api_identity *out)
{
    const struct conf_api_certificates *conf = &guard->conf->certificates;
    const struct {
        const struct slice *patterns;
        uint32_t count;
        enum api_role role;
    } steps[] = {{conf->admin, conf->admin_count, API_ROLE_ADMIN},
                 {conf->operate, conf->operate_count, API_ROLE_OPERATE},
                 {conf->read, conf->read_count, API_ROLE_READ},
                 {conf->metrics, conf->metrics_count, API_ROLE_METRICS}};
    const struct slice *name = NULL;
    out->via = API_VIA_CERTIFICATE;
    for (size_t i = 0; name == NULL && i < ARRAY_LEN(steps); i++) {
        name = find_match(peer, steps[i].patterns, steps[i].count);
        out->role = name != NULL ? steps[i].role : API_ROLE_NONE;
    }
    if (name == NULL) {
        if (peer->certificate_count != 0) {
            (void)snprintf(out->who, sizeof(out->who), "certificate %.*s",
                           SLICE_ARG(peer->certificate[0]));
        }
        return failed(guard, out, API_GUARD_CERTIFICATE, API_GUARD_NO_ROLE);
    }
    (void)snprintf(out->who, sizeof(out->who), "certificate %.*s", SLICE_ARG(*name));
    (void)snprintf(out->name, sizeof(out->name), "%s", out->who);
    if (strlen("certificate ") + name->len >= sizeof(out->name)) {
        char hash[DIGEST_HEX_MAX]; /* two that begin alike are two */
        digest_hex(*name, 64, hash);
        (void)snprintf(out->name, sizeof(out->name), "certificate sha256:%s", hash);
    }
    return API_GUARD_KNOWN;
}

enum api_guard_verdict api_guard_identify(struct api_guard *guard, const struct api_peer *peer,
                                          struct api_identity *out)
{
    memset(out, 0, sizeof(*out));
    if (peer->is_observe) {
        (void)snprintf(out->who, sizeof(out->who), "observe");
        out->via = API_VIA_OBSERVE;
        out->role = API_ROLE_METRICS;
        return API_GUARD_KNOWN;
    }
    if (peer->is_unix) {
        look_at_unix(guard, peer, out);
        if (peer->authorization.ptr != NULL) {
            return by_token(guard, peer, out);
        }
        return out->role != API_ROLE_NONE ? API_GUARD_KNOWN
                                          : failed(guard, out, API_GUARD_PEER, API_GUARD_NO_ROLE);
    }
    (void)snprintf(out->who, sizeof(out->who), "tcp %s", peer->ip);
    (void)snprintf(out->name, sizeof(out->name), "tcp %s", peer->ip);
    out->via = peer->is_tls ? API_VIA_TOKEN : API_VIA_INSECURE;
    if (peer->authorization.ptr != NULL) {
        return by_token(guard, peer, out);
    }
    if (peer->certificate != NULL) {
        return by_certificate(guard, peer, out);
    }
    return failed(guard, out, API_GUARD_NO_CREDENTIALS, API_GUARD_UNKNOWN);
}

bool api_guard_may_write(struct api_guard *guard, const struct api_identity *identity,
                         uint32_t *retry_s)
{
    struct rate_limit *limit = identity->via == API_VIA_UNIX && identity->role == API_ROLE_ADMIN
                                   ? &guard->unix_admin_writes
                                   : &guard->writes;
    if (rate_limit_take(limit, slice_from(identity->name), now_us(), retry_s)) {
        return true;
    }
    api_guard_count_limited();
    return false;
}

bool api_guard_knows_host(const struct api_guard *guard, struct slice host)
{
    return api_credentials_host_is_allowed(host, guard->conf->hosts, guard->conf->host_count);
}

/* -- the audit -- */

bool api_guard_can_audit(struct api_guard *guard, struct err *err)
{
    if (!has_audit(guard->conf) || guard->conf->audit.on_failure == CONF_AUDIT_CONTINUE) {
        return true;
    }
    return audit_is_ready(guard->audit, err);
}

/* Names nobody, and comes from strangers: told as often as other failures. */
void api_guard_note_handshake(struct api_guard *guard, const char *ip, const char *why)
{
    char source[API_WHO_MAX];
    char date[NOW_LOG_DATE_LEN + 1];
    uint32_t retry_s = 0;
    struct err err = {0};
    struct buf line;
    struct json_write w;
    api_guard_count(API_GUARD_HANDSHAKE);
    (void)snprintf(source, sizeof(source), "tcp %s", ip);
    if (!rate_limit_take(&guard->failures, slice_from(source), now_us(), &retry_s)) {
        return;
    }
    log_warn("api.handshake_failed", "from=%s why=\"%s\"", ip, why);
    if (guard->audit == NULL) {
        return;
    }
    now_log_date(date, now_wall_us());
    buf_init(&line, AUDIT_LINE_MAX);
    json_write_init(&w, &line, JSON_COMPACT);
    json_write_object_begin(&w);
    json_write_member_text(&w, "time", date);
    json_write_member_text(&w, "event", "denied");
    json_write_member_text(&w, "identity", source);
    json_write_member_text(&w, "reason", api_guard_failure_word(API_GUARD_HANDSHAKE));
    json_write_member_text(&w, "detail", why);
    json_write_object_end(&w);
    if (!audit_write(guard->audit, buf_slice(&line), &err)) {
        lost++;
        log_error("api.audit_failed", "why=\"%s\"", err.text);
    }
    buf_fini(&line);
}

static void write_line(const struct api_guard *guard, const struct api_guard_record *record,
                       struct buf *line)
{
    const struct api_request *request = record->request;
    struct json_write w;
    char date[NOW_LOG_DATE_LEN + 1];
    now_log_date(date, now_wall_us());
    json_write_init(&w, line, JSON_COMPACT);
    json_write_object_begin(&w);
    json_write_member_text(&w, "time", date);
    json_write_member_text(&w, "event", record->is_denied ? "denied" : "write");
    json_write_member_text(&w, "request_id", request->id);
    json_write_member_text(&w, "identity", request->who);
    json_write_member_text(&w, "via", api_guard_via_word(request->identity.via));
    json_write_member_text(&w, "role", api_request_role_word(request->role));
    json_write_member_text(&w, "method", record->method);
    json_write_member_string(
        &w, "path",
        slice_of(request->path.ptr, request->path.len < 4096 ? request->path.len : 4096));
    if (request->if_match.len != 0 && request->if_match.len < 1024) {
        json_write_member_string(&w, "if_match", request->if_match);
    }
    json_write_member_bool(&w, "dry_run", api_request_flag(request, "dry_run"));
    json_write_member_u64(&w, "status", request->reply.status);
    json_write_member_u64(&w, "revision_before", record->revision_before);
    json_write_member_u64(&w, "revision", control_facts(request->control)->revision);
    if (record->is_denied && request->identity.reason != NULL) {
        json_write_member_text(&w, "reason", request->identity.reason);
    }
    if (guard->untold != 0) {
        json_write_member_u64(&w, "untold", guard->untold);
    }
    if (request->changes.len != 0) {
        json_write_key(&w, "changes");
        json_write_raw(&w, buf_slice(&request->changes));
        json_write_member_u64(&w, "changes_total", request->changes_total);
        if (request->changes_total >= CHANGES_COUNTED_MAX) {
            json_write_member_bool(&w, "truncated", true);
        }
    }
    json_write_object_end(&w);
}

void api_guard_audit(struct api_guard *guard, const struct api_guard_record *record)
{
    const struct api_request *request = record->request;
    struct buf line;
    struct err err = {0};
    uint32_t retry_s = 0;
    if (record->is_denied &&
        !rate_limit_take(&guard->told, slice_from(request->identity.name), now_us(), &retry_s)) {
        guard->untold++;
        return;
    }
    if (record->is_denied) {
        log_warn("api.denied", "id=%s who=\"%s\" method=%s path=%.*s status=%u why=%s", request->id,
                 request->who, record->method, SLICE_ARG(request->path), request->reply.status,
                 request->identity.reason != NULL ? request->identity.reason : "limit");
        events_post(control_events(request->control), "api.denied", slice_from(request->who), NULL,
                    "%s %.*s: %u", record->method, SLICE_ARG(request->path), request->reply.status);
    } else {
        log_info("api.write", "id=%s who=\"%s\" method=%s path=%.*s status=%u revision=%llu",
                 request->id, request->who, record->method, SLICE_ARG(request->path),
                 request->reply.status,
                 (unsigned long long)control_facts(request->control)->revision);
    }
    if (guard->audit == NULL) {
        return;
    }
    buf_init(&line, AUDIT_LINE_MAX);
    write_line(guard, record, &line);
    guard->untold = 0;
    if (!audit_write(guard->audit, buf_slice(&line), &err)) {
        lost++;
        log_error("api.audit_failed", "id=%s why=\"%s\"", request->id, err.text);
    }
    buf_fini(&line);
}

void api_guard_note_changes(struct api_request *request, const struct conf_document *before,
                            const struct conf_document *after)
{
    struct conf_diff diff;
    struct json_write w;
    if (request->guard == NULL || request->guard->audit == NULL || before == NULL ||
        after == NULL) {
        return;
    }
    conf_diff_init(&diff);
    diff.stop_at = CHANGES_COUNTED_MAX;
    conf_diff_documents(&diff, before, after);
    buf_clear(&request->changes);
    json_write_init(&w, &request->changes, JSON_COMPACT);
    json_write_array_begin(&w);
    for (uint32_t i = 0; i < diff.count && i < CHANGES_LISTED_MAX; i++) {
        struct slice pointer = diff.changes[i].pointer;
        json_write_string(&w, slice_of(pointer.ptr, pointer.len < 200 ? pointer.len : 200));
    }
    json_write_array_end(&w);
    request->changes_total = diff.total;
    conf_diff_fini(&diff);
}

uint64_t api_guard_audit_lost(void)
{
    return lost;
}
