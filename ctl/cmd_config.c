#include "ctl/cmd_config.h"

#include <string.h>

#include "conf/json/json_layout.h"
#include "ctl/document.h"
#include "ctl/print_change.h"
#include "ctl/proposal.h"
#include "ctl/text_file.h"

/* -- validate -- */

enum ctl_exit cmd_config_validate(struct ctl *ctl)
{
    struct document document;
    struct json *answer = NULL;
    enum ctl_exit code = document_read(ctl, ctl->args[0], "not valid", &document);
    if (code == CTL_OK) {
        answer = document_post(ctl, &document, "/v1/config/validate", &code);
    }
    if (answer != NULL && ctl_wants_json(ctl)) {
        ctl_print_json(ctl, answer);
    } else if (answer != NULL) {
        uint64_t changes = print_change_count(answer);
        refusal_print_warnings(ctl, answer, &document.source, UINT32_MAX);
        (void)fprintf(ctl->out, "%s: valid", document.source.name);
        if (changes != 0) {
            (void)fprintf(ctl->out, ", with %llu %s against what runs\n",
                          (unsigned long long)changes, ctl_plural(changes, "change", "changes"));
        } else {
            (void)fputs(", and what runs already\n", ctl->out);
        }
    }
    json_free(answer);
    document_fini(&document);
    return code;
}

/* -- fmt -- */

static enum ctl_exit put_back(struct ctl *ctl, struct slice before, struct slice after)
{
    struct err err = {.kind = ERR_NONE};
    const char *path = ctl->args[0];
    if (slice_eq(before, after)) {
        (void)fprintf(ctl->out, "unchanged: %s\n", path);
    } else if (!text_file_replace(path, after, &err)) {
        return ctl_fail(ctl, CTL_USAGE, "%s", err.text);
    } else {
        (void)fprintf(ctl->out, "written: %s\n", path);
    }
    return CTL_OK;
}

enum ctl_exit cmd_config_fmt(struct ctl *ctl)
{
    const char *path = ctl->args[0];
    struct json_error error;
    struct buf text;
    struct buf out;
    text_file_init(&text);
    buf_init(&out, CTL_TEXT_MAX);
    enum ctl_exit code = text_file_read(ctl, path, &text);
    if (code == CTL_OK) { /* "daemon" is no reason to refuse a file here: nothing is sent */
        struct json *json =
            json_parse(buf_slice(&text), JSON_COMMENTS, &json_limits_document, &error);
        if (json == NULL) {
            code = ctl_fail(ctl, CTL_INVALID, "%s:%u:%u: %s", text_file_name(path), error.line,
                            error.column, error.text);
        }
        json_free(json);
    }
    if (code == CTL_OK) {
        json_layout(buf_slice(&text), &out);
        if (ctl->write && strcmp(path, "-") != 0) {
            code = put_back(ctl, buf_slice(&text), buf_slice(&out));
        } else {
            (void)fwrite(out.data, 1, out.len, ctl->out);
        }
    }
    buf_fini(&out);
    buf_fini(&text);
    return code;
}

/* -- schema -- */

enum ctl_exit cmd_config_schema(struct ctl *ctl)
{
    enum ctl_exit code = CTL_OK;
    struct json *schema = ctl_get(ctl, "/v1/schema.json", NULL, &code);
    if (schema != NULL) {
        ctl_print_json(ctl, schema);
    }
    json_free(schema);
    return code;
}

/* -- reload -- */

enum ctl_exit cmd_config_reload(struct ctl *ctl)
{
    struct rest_reply reply;
    enum ctl_exit code = CTL_OK;
    struct buf target;
    buf_init(&target, CTL_PATH_MAX);
    buf_append_text(&target, "/v1/config/reload");
    ctl_query(&target, "wait", ctl->wait ? "30s" : NULL);
    rest_reply_init(&reply);
    struct json *answer = ctl_post(ctl, target.data, SLICE_NONE, &reply, &code);
    if (answer == NULL) {
        goto out;
    }
    if (ctl_wants_json(ctl)) {
        ctl_print_json(ctl, answer);
    } else if (json_bool(json_get(answer, SLICE("changed")))) {
        (void)fputs("reloaded", ctl->out);
        proposal_end_line(ctl, &reply, SLICE_NONE);
    } else {
        (void)fprintf(ctl->out, "unchanged: revision %llu\n",
                      (unsigned long long)ctl_number(answer, "revision"));
    }
    if (ctl->wait && reply.status == 202) {
        code = ctl_fail(ctl, CTL_TIMED_OUT, "some workers have not taken it yet");
    }
out:
    json_free(answer);
    rest_reply_fini(&reply);
    buf_fini(&target);
    return code;
}
