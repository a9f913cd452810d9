#include "api/api_tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_change.h"
#include "api/api_guard.h"
#include "api/api_problem.h"
#include "api/token_file.h"
#include "conf/conf_format.h"
#include "conf/json/json.h"
#include "lbd/base/mem.h"
#include "lbd/base/now.h"
#include "lbd/base/num.h"

#define EXPIRES_MAX_S (UINT64_C(3653) * 86400) /* ten years */

void api_tokens_whoami(struct api_request *request)
{
    struct json_write w;
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    json_write_member_text(&w, "identity", request->who);
    json_write_member_text(&w, "role", api_request_role_word(request->role));
    json_write_member_text(&w, "via", api_guard_via_word(request->identity.via));
    json_write_object_end(&w);
    api_request_json_end(request, 200);
    api_request_done(request);
}

/* Members of an open object. */
static void write_token(struct json_write *w, const struct token *token)
{
    char expires[32];
    json_write_member_text(w, "id", token->id);
    json_write_member_text(w, "role", api_request_role_word(token->role));
    if (token->expires_s != 0) {
        token_file_time_write(token->expires_s, expires);
        json_write_member_text(w, "expires", expires);
    }
    json_write_member_text(w, "note", token->note);
}

void api_tokens_list(struct api_request *request)
{
    const struct token_list *tokens = token_file_tokens(api_guard_tokens(request->guard));
    struct json_write w;
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    json_write_key(&w, "tokens");
    json_write_array_begin(&w);
    for (uint32_t i = 0; i < tokens->count; i++) {
        json_write_object_begin(&w);
        write_token(&w, &tokens->items[i]);
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    api_request_json_end(request, 200);
    api_request_done(request);
}

static void refuse(struct conf_errors *errors, const char *pointer, const char *detail)
{
    conf_errors_add_at(errors, slice_from(pointer), "invalid-value", SLICE_NONE, "%s", detail);
}

/* "30d" from now on, or a time to come. */
static void read_expires(const struct json *item, struct token *token, struct conf_errors *errors)
{
    uint64_t now_s = now_wall_us() / 1000000U;
    struct slice text = json_string(item);
    uint64_t value = 0;
    if (num_parse_duration_ms(text, &value) && value >= 1000 && value / 1000 <= EXPIRES_MAX_S) {
        token->expires_s = now_s + value / 1000;
    } else if (token_file_time_parse(text, &value) && value > now_s &&
               value - now_s <= EXPIRES_MAX_S) {
        token->expires_s = value;
    } else {
        refuse(errors, "/expires",
               "must be a duration such as \"30d\" or a time to come such as "
               "\"2027-01-31T00:00:00Z\", at most ten years from now");
    }
}

static void read_member(const struct json *item, struct token *token, struct conf_errors *errors)
{
    struct slice key = json_key(item);
    struct slice text = json_string(item);
    if (slice_eq(key, SLICE("role"))) {
        if (!token_file_role_parse(text, &token->role)) {
            refuse(errors, "/role", "must be \"metrics\", \"read\", \"operate\" or \"admin\"");
        }
    } else if (slice_eq(key, SLICE("expires"))) {
        read_expires(item, token, errors);
    } else if (slice_eq(key, SLICE("note"))) {
        text = slice_trim(text);
        if (!json_is(item, JSON_STRING) || text.len >= sizeof(token->note) ||
            conf_format_problem(CONF_FORMAT_FILE, text) != NULL) {
            refuse(errors, "/note", "must be a text of one line, at most 200 bytes");
        } else {
            memcpy(token->note, text.len != 0 ? text.ptr : "", text.len);
        }
    } else {
        struct conf_path root = {0};
        struct conf_path path = {.parent = &root, .key = key};
        conf_errors_add(errors, &path, "unknown-key", SLICE_NONE,
                        "'%.*s' is not a known key; there are \"role\", \"expires\" and \"note\"",
                        SLICE_ARG(slice_of(key.ptr, key.len < 80 ? key.len : 80)));
    }
}

static bool read_wish(const struct json *body, struct token *token, struct conf_errors *errors)
{
    const struct json *item = NULL;
    if (!json_is(body, JSON_OBJECT)) {
        conf_errors_add_at(errors, SLICE_NONE, "wrong-type", SLICE_NONE, "must be an object");
        return false;
    }
    json_for_each(item, body)
    {
        read_member(item, token, errors);
    }
    if (json_get(body, SLICE("role")) == NULL) {
        conf_errors_add_at(errors, SLICE("/role"), "missing-key", SLICE_NONE, "'role' must be set");
    }
    return errors->error_count == 0;
}

static bool has_token(const struct token_list *tokens, struct slice id)
{
    for (uint32_t i = 0; i < tokens->count; i++) {
        if (slice_eq(slice_from(tokens->items[i].id), id)) {
            return true;
        }
    }
    return false;
}

/* {"changes":[{"change":"added","pointer":"#/tokens/ci"}],"changes_total":1} */
static void reply_dry_run(struct api_request *request, const char *change, unsigned status)
{
    struct json_write w;
    char pointer[96];
    request->reply.has_changed = true;
    (void)snprintf(pointer, sizeof(pointer), "#/tokens/%.*s", SLICE_ARG(request->names[0]));
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    json_write_key(&w, "changes");
    json_write_array_begin(&w);
    if (change != NULL) {
        json_write_object_begin(&w);
        json_write_member_text(&w, "change", change);
        json_write_member_text(&w, "pointer", pointer);
        json_write_object_end(&w);
    }
    json_write_array_end(&w);
    json_write_member_u64(&w, "changes_total", change != NULL ? 1 : 0);
    json_write_object_end(&w);
    api_request_json_end(request, status);
}

static void make(struct api_request *request, const struct token *wish)
{
    struct token_file *file = api_guard_tokens(request->guard);
    bool is_new = !has_token(token_file_tokens(file), request->names[0]);
    if (!api_change_expects(request, !is_new, "token")) {
        return;
    }
    if (api_request_flag(request, "dry_run")) {
        reply_dry_run(request, is_new ? "added" : "changed", is_new ? 201 : 200);
        return;
    }
    char secret[TOKEN_FILE_SECRET_MAX];
    struct json_write w;
    struct err err = {0};
    if (!token_file_put(file, wish, secret, &err)) {
        api_problem(request, api_problem_of(err.kind), "%s", err.text);
        return;
    }
    request->reply.has_changed = true;
    request->reply.is_changed = true;
    api_request_json_begin(request, &w);
    json_write_object_begin(&w);
    write_token(&w, wish);
    json_write_member_text(&w, "secret", secret);
    json_write_object_end(&w);
    api_request_json_end(request, is_new ? 201 : 200);
    mem_wipe(secret, sizeof(secret));
}

void api_tokens_put(struct api_request *request)
{
    struct json_error why;
    struct conf_errors *errors = mem_zero(1, sizeof(*errors));
    struct token wish = {0};
    struct slice id = request->names[0];
    conf_errors_init(errors);
    memcpy(wish.id, id.ptr, id.len); /* a name: at most 63 bytes */
    struct json *body = json_parse(request->body, JSON_STRICT, &json_limits_resource, &why);
    if (body == NULL) {
        conf_errors_add_syntax(errors, &why);
        api_problem_with(request, why.too_large ? "too-large" : "malformed-json", why.text, errors);
    } else if (!read_wish(body, &wish, errors)) {
        conf_errors_locate(errors, request->body, SLICE_NONE);
        api_problem_with(request, "invalid-body", "the body is not a wish for a token", errors);
    } else {
        make(request, &wish);
    }
    json_free(body);
    conf_errors_fini(errors);
    free(errors);
    api_request_done(request);
}

void api_tokens_delete(struct api_request *request)
{
    struct err err = {0};
    struct token_file *file = api_guard_tokens(request->guard);
    bool is_there = has_token(token_file_tokens(file), request->names[0]);
    bool missing_is_fine = api_request_query(request, "missing").ptr != NULL;
    if (!is_there && !missing_is_fine) {
        api_problem(request, "not-found", "there is no token '%.*s'", SLICE_ARG(request->names[0]));
    } else if (!api_change_expects(request, is_there, "token")) {
        ;
    } else if (api_request_flag(request, "dry_run")) {
        reply_dry_run(request, is_there ? "removed" : NULL, 200);
    } else if (is_there && !token_file_remove(file, request->names[0], &err)) {
        api_problem(request, api_problem_of(err.kind), "%s", err.text);
    } else {
        request->reply.has_changed = true;
        request->reply.is_changed = is_there;
        request->reply.status = 204;
    }
    api_request_done(request);
}
