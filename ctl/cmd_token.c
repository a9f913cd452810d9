#include "ctl/cmd_token.h"

#include <string.h>

#include "conf/json/json_write.h"
#include "ctl/confirm.h"
#include "ctl/print_table.h"
#include "ctl/refusal.h"
#include "ctl/when.h"
#include "lbd/base/mem.h"

static void write_target(const struct ctl *ctl, struct buf *target)
{
    buf_init(target, CTL_PATH_MAX);
    buf_append_text(target, "/v1/tokens");
    rest_client_append_segment(target, slice_from(ctl->args[0]));
}

static const struct json *find(const struct json *answer, struct slice id)
{
    const struct json *token = NULL;
    json_for_each(token, json_get(answer, SLICE("tokens")))
    {
        if (slice_eq(ctl_text(token, "id"), id)) {
            return token;
        }
    }
    return NULL;
}

/* -- list -- */

static void print_tokens(struct ctl *ctl, const struct json *answer)
{
    struct print_table table;
    const struct json *token = NULL;
    print_table_init(&table);
    print_table_column(&table, "ID");
    print_table_column(&table, "ROLE");
    print_table_column(&table, "EXPIRES");
    print_table_column(&table, "NOTE");
    json_for_each(token, json_get(answer, SLICE("tokens")))
    {
        char when[WHEN_TEXT_MAX] = "never";
        struct slice expires = ctl_text(token, "expires");
        if (expires.len != 0) {
            when_write_text(when, expires);
        }
        print_table_cell(&table, PRINT_PLAIN, ctl_text(token, "id"));
        print_table_cell(&table, PRINT_PLAIN, ctl_text(token, "role"));
        print_table_cell(&table, PRINT_PLAIN, slice_from(when));
        print_table_cell(&table, PRINT_PLAIN, ctl_text(token, "note"));
    }
    print_table_write(&table, ctl->out, ctl->color, ctl->width);
    print_table_fini(&table);
}

enum ctl_exit cmd_token_list(struct ctl *ctl)
{
    enum ctl_exit code = CTL_OK;
    const struct json *token = NULL;
    struct json *answer = ctl_get(ctl, "/v1/tokens", NULL, &code);
    if (answer == NULL) {
        return code;
    }
    if (ctl->output == CTL_JSON) {
        ctl_print_json(ctl, answer);
    } else if (ctl->output == CTL_JSONL || ctl->output == CTL_NAME) {
        json_for_each(token, json_get(answer, SLICE("tokens")))
        {
            if (ctl->output == CTL_JSONL) {
                ctl_print_json(ctl, token);
            } else {
                print_text(ctl->out, ctl_text(token, "id"));
                (void)fputc('\n', ctl->out);
            }
        }
    } else {
        print_tokens(ctl, answer);
    }
    json_free(answer);
    return CTL_OK;
}

/* -- create -- */

/* Whoever uses the old secret is locked out by a new one. */
static enum ctl_exit ask_first(struct ctl *ctl, bool *is_there)
{
    enum ctl_exit code = CTL_OK;
    struct json *answer = ctl_get(ctl, "/v1/tokens", NULL, &code);
    if (answer == NULL) {
        return code;
    }
    *is_there = find(answer, slice_from(ctl->args[0])) != NULL;
    json_free(answer);
    return *is_there
               ? confirm_ask(ctl, "token %s is there already: its old secret will let nobody in",
                             ctl->args[0])
               : CTL_OK;
}

static void write_wish(const struct ctl *ctl, struct buf *body)
{
    struct json_write w;
    json_write_init(&w, body, JSON_COMPACT);
    json_write_object_begin(&w);
    json_write_member_text(&w, "role", ctl->args[1]);
    if (ctl->until != NULL) {
        json_write_member_text(&w, "expires", ctl->until);
    }
    if (ctl->reason != NULL) {
        json_write_member_text(&w, "note", ctl->reason);
    }
    json_write_object_end(&w);
}

static enum ctl_exit print_new(struct ctl *ctl, const struct rest_reply *reply)
{
    struct json *answer = ctl_body(reply);
    struct slice secret = ctl_text(answer, "secret");
    if (secret.len == 0) {
        json_free(answer);
        return ctl_fail(ctl, CTL_BUG, "the answer holds no secret");
    }
    if (ctl_wants_json(ctl)) {
        ctl_print_json(ctl, answer);
    } else {
        print_text(ctl->out, secret);
        (void)fputc('\n', ctl->out);
    }
    (void)fflush(ctl->out);
    (void)fprintf(ctl->err,
                  "%s token %s with the role %s; its secret is shown only now (undo: lbctl "
                  "token revoke %s)\n",
                  reply->status == 201 ? "made" : "renewed", ctl->args[0], ctl->args[1],
                  ctl->args[0]);
    json_free(answer);
    return CTL_OK;
}

enum ctl_exit cmd_token_create(struct ctl *ctl)
{
    struct buf target;
    struct buf body;
    struct rest_reply reply;
    bool is_there = false;
    enum ctl_exit code = ask_first(ctl, &is_there);
    if (code != CTL_OK) {
        return code;
    }
    write_target(ctl, &target);
    buf_init(&body, CTL_PATH_MAX);
    write_wish(ctl, &body);
    rest_reply_init(&reply);
    const struct rest_request request = {.method = "PUT",
                                         .target = target.data,
                                         .content_type = "application/json",
                                         .if_none = !is_there, /* nobody else's meanwhile */
                                         .body = buf_slice(&body)};
    if (ctl_ask(ctl, &request, &reply, &code)) {
        code = reply.status < 300 ? print_new(ctl, &reply) : refusal_print(ctl, &reply, NULL);
    }
    if (reply.body.data != NULL) {
        mem_wipe(reply.body.data, reply.body.len);
    }
    rest_reply_fini(&reply);
    buf_fini(&body);
    buf_fini(&target);
    return code;
}

/* -- revoke -- */

enum ctl_exit cmd_token_revoke(struct ctl *ctl)
{
    struct buf target;
    struct rest_reply reply;
    enum ctl_exit code = CTL_OK;
    write_target(ctl, &target);
    rest_reply_init(&reply);
    const struct rest_request request = {.method = "DELETE", .target = target.data};
    if (ctl_ask(ctl, &request, &reply, &code)) {
        if (reply.status < 300) {
            (void)fprintf(ctl->out,
                          "revoked token %s: it lets nobody in any more (it cannot be undone)\n",
                          ctl->args[0]);
        } else {
            code = refusal_print(ctl, &reply, NULL);
        }
    }
    rest_reply_fini(&reply);
    buf_fini(&target);
    return code;
}
