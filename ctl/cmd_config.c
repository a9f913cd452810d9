#include "ctl/cmd_config.h"

#include <errno.h>
#include <string.h>

#include "conf/json/json_write.h"
#include "ctl/print_table.h"
#include "ctl/refusal.h"
#include "ctl/undo_file.h"

enum { READ_BYTES = 64 * 1024, TRIES = 3, VALUE_SHOWN_MAX = 60 };

/* An apply on its way. */
struct apply {
    struct ctl *ctl;
    struct refusal_source source; /* the file as it was written */
    struct buf text;              /* of the file */
    struct buf body;              /* what is sent */
    struct buf undo_path;         /* empty: what ran before could not be kept */
};

static enum ctl_exit read_file(struct apply *apply)
{
    struct ctl *ctl = apply->ctl;
    bool from_stdin = strcmp(ctl->file, "-") == 0;
    FILE *file = from_stdin ? ctl->in : fopen(ctl->file, "re");
    if (file == NULL) {
        return ctl_fail(ctl, CTL_USAGE, "cannot open '%s': %s", ctl->file, strerror(errno));
    }
    enum ctl_exit code = CTL_OK;
    size_t got = 0;
    do {
        if (!buf_reserve(&apply->text, READ_BYTES)) {
            code = ctl_fail(ctl, CTL_INVALID, "%s is larger than %zu bytes", apply->source.name,
                            json_limits_document.bytes);
            break;
        }
        got = fread(apply->text.data + apply->text.len, 1, READ_BYTES, file);
        apply->text.len += got;
    } while (got != 0);
    if (code == CTL_OK && ferror(file) != 0) {
        code = ctl_fail(ctl, CTL_USAGE, "cannot read '%s': %s", ctl->file, strerror(errno));
    }
    if (!from_stdin) {
        (void)fclose(file);
    }
    apply->source.text = buf_slice(&apply->text);
    return code;
}

/* JSONC in, strict JSON without "daemon" out. */
static enum ctl_exit make_body(struct apply *apply)
{
    struct ctl *ctl = apply->ctl;
    struct json_error error;
    struct json_write w;
    struct json *json =
        json_parse(apply->source.text, JSON_COMMENTS, &json_limits_document, &error);
    if (json == NULL) {
        return ctl_fail(ctl, CTL_INVALID, "not applied: %s:%u:%u: %s", apply->source.name,
                        error.line, error.column, error.text);
    }
    if (!json_is(json, JSON_OBJECT)) {
        json_free(json);
        return ctl_fail(ctl, CTL_INVALID, "not applied: %s:1:1: must be an object",
                        apply->source.name);
    }
    json_free(json_take(json, SLICE("daemon")));
    json_write_init(&w, &apply->body, JSON_COMPACT);
    json_write_json(&w, json);
    json_free(json);
    return CTL_OK;
}

/* Keeps what runs in the undo file; that it could not is said, and no reason to stop. */
static void keep_undo(struct apply *apply, const struct json *before)
{
    struct err err = {.kind = ERR_NONE};
    struct buf text;
    struct json_write w;
    buf_init(&text, CTL_TEXT_MAX);
    json_write_init(&w, &text, JSON_PRETTY);
    json_write_json(&w, before);
    buf_append_char(&text, '\n');
    buf_clear(&apply->undo_path);
    if (!undo_file_save(buf_slice(&text), &apply->undo_path, &err)) {
        buf_clear(&apply->undo_path);
        ctl_hint(apply->ctl, "what ran before could not be kept: %s", err.text);
    }
    buf_fini(&text);
}

static void print_value(FILE *out, const struct json *value)
{
    struct buf text;
    struct json_write w;
    buf_init(&text, CTL_TEXT_MAX);
    json_write_init(&w, &text, JSON_COMPACT);
    json_write_json(&w, value);
    struct slice shown = buf_slice(&text);
    if (shown.len > VALUE_SHOWN_MAX) {
        (void)fputs(json_is(value, JSON_OBJECT) ? "{...}" : "...", out);
    } else {
        print_text(out, shown);
    }
    buf_fini(&text);
}

static void print_change(struct ctl *ctl, const struct json *change)
{
    struct slice pointer = ctl_text(change, "pointer");
    const struct json *before = json_get(change, SLICE("before"));
    const struct json *after = json_get(change, SLICE("after"));
    bool was = before != NULL && !json_is(before, JSON_NULL);
    bool is = after != NULL && !json_is(after, JSON_NULL);
    if (slice_starts(pointer, SLICE("#"))) {
        pointer = slice_from_at(pointer, 1);
    }
    print_colored(ctl->out, ctl->color,
                  was && is ? PRINT_WARN
                  : was     ? PRINT_BAD
                            : PRINT_GOOD,
                  was && is ? SLICE("~")
                  : was     ? SLICE("-")
                            : SLICE("+"));
    (void)fputc(' ', ctl->out);
    print_text(ctl->out, pointer);
    if (was || is) {
        (void)fputs(": ", ctl->out);
        if (was) {
            print_value(ctl->out, before);
        }
        (void)fputs(was && is ? " -> " : "", ctl->out);
        if (is) {
            print_value(ctl->out, after);
        }
    }
    (void)fputc('\n', ctl->out);
}

/* How many there are, listed or not. */
static uint64_t count_changes(const struct json *answer)
{
    uint64_t listed = json_count(json_get(answer, SLICE("changes")));
    uint64_t total = ctl_number(answer, "changes_total");
    return total > listed ? total : listed;
}

static void print_changes(struct ctl *ctl, const struct json *answer)
{
    const struct json *changes = json_get(answer, SLICE("changes"));
    const struct json *change;
    json_for_each(change, changes)
    {
        print_change(ctl, change);
    }
    uint64_t more = count_changes(answer) - json_count(changes);
    if (more != 0) {
        (void)fprintf(ctl->out, "... and %llu more\n", (unsigned long long)more);
    }
}

static bool put(struct apply *apply, const char *target, const char *etag, struct rest_reply *reply,
                enum ctl_exit *code)
{
    struct rest_request request = {.method = "PUT",
                                   .target = target,
                                   .content_type = "application/json",
                                   .if_match = etag[0] != '\0' ? etag : NULL,
                                   .body = buf_slice(&apply->body)};
    return ctl_ask(apply->ctl, &request, reply, code);
}

static void say_applied(struct apply *apply, const struct rest_reply *reply, uint64_t changes)
{
    FILE *out = apply->ctl->out;
    if (!reply->is_changed) {
        (void)fprintf(out, "unchanged: revision %llu\n", (unsigned long long)reply->revision);
        return;
    }
    (void)fprintf(out, "applied: %llu %s, revision %llu", (unsigned long long)changes,
                  ctl_plural(changes, "change", "changes"), (unsigned long long)reply->revision);
    if (reply->status == 202) {
        (void)fputs(", not everywhere yet (lbctl status)", out);
    }
    if (apply->undo_path.len != 0) {
        (void)fputs(" (undo: lbctl apply -f ", out);
        print_text(out, buf_slice(&apply->undo_path));
        (void)fputc(')', out);
    }
    (void)fputc('\n', out);
}

/* The dry run: everything that is wrong, or everything that would change. */
static enum ctl_exit rehearse(struct apply *apply, const char *etag, struct rest_reply *reply,
                              uint64_t *changes)
{
    struct ctl *ctl = apply->ctl;
    enum ctl_exit code = CTL_OK;
    if (!put(apply, "/v1/config?dry_run=true", etag, reply, &code)) {
        return code;
    }
    if (reply->status == 412) {
        return CTL_CONFLICT; /* told by who knows whether it is worth another try */
    }
    if (reply->status >= 300) {
        return refusal_print(ctl, reply, &apply->source);
    }
    struct json *answer = ctl_body(reply);
    if (answer == NULL) {
        return ctl_fail(ctl, CTL_BUG, "the answer to a dry run is not JSON");
    }
    refusal_print_warnings(ctl, answer, &apply->source);
    *changes = count_changes(answer);
    if (ctl->output == CTL_TABLE || ctl->output == CTL_WIDE) {
        print_changes(ctl, answer);
    } else if (ctl->dry_run) {
        ctl_print_json(ctl, answer);
    }
    json_free(answer);
    return CTL_OK;
}

static enum ctl_exit perform(struct apply *apply, const char *etag, struct rest_reply *reply,
                             uint64_t changes)
{
    struct ctl *ctl = apply->ctl;
    enum ctl_exit code = CTL_OK;
    if (!put(apply, "/v1/config", etag, reply, &code)) {
        return code;
    }
    if (reply->status == 412) {
        return CTL_CONFLICT;
    }
    if (reply->status >= 300) {
        return refusal_print(ctl, reply, &apply->source);
    }
    if (ctl->output == CTL_TABLE || ctl->output == CTL_WIDE) {
        say_applied(apply, reply, changes);
        return CTL_OK;
    }
    struct json *answer = ctl_body(reply);
    if (answer != NULL) {
        ctl_print_json(ctl, answer);
    }
    json_free(answer);
    return CTL_OK;
}

/* One try. CTL_CONFLICT without a word: somebody else changed it meanwhile. */
static enum ctl_exit try_once(struct apply *apply, bool *was_overtaken)
{
    struct ctl *ctl = apply->ctl;
    struct rest_reply reply;
    enum ctl_exit code = CTL_OK;
    uint64_t changes = 0;
    char etag[REST_REPLY_ETAG_MAX];
    rest_reply_init(&reply);

    struct json *before = ctl_get(ctl, "/v1/config", &reply, &code);
    if (before == NULL) {
        goto out;
    }
    memcpy(etag, reply.etag, sizeof(etag));
    code = rehearse(apply, etag, &reply, &changes);
    if (code == CTL_OK && !ctl->dry_run) {
        if (changes != 0) {
            keep_undo(apply, before);
        }
        code = perform(apply, etag, &reply, changes);
    } else if (code == CTL_OK && (ctl->output == CTL_TABLE || ctl->output == CTL_WIDE)) {
        (void)fprintf(ctl->out, "not applied (dry run): %llu %s\n", (unsigned long long)changes,
                      ctl_plural(changes, "change", "changes"));
    }
    *was_overtaken = code == CTL_CONFLICT && reply.status == 412;
out:
    json_free(before);
    rest_reply_fini(&reply);
    return code;
}

enum ctl_exit cmd_config_apply(struct ctl *ctl)
{
    struct apply apply = {.ctl = ctl};
    bool was_overtaken = false;
    if (ctl->file == NULL) {
        return ctl_fail(ctl, CTL_USAGE, "which file? lbctl apply -f FILE (- is stdin)");
    }
    apply.source.name = strcmp(ctl->file, "-") == 0 ? "stdin" : ctl->file;
    buf_init(&apply.text, json_limits_document.bytes + READ_BYTES);
    buf_init(&apply.body, CTL_TEXT_MAX);
    buf_init(&apply.undo_path, CTL_PATH_MAX);

    enum ctl_exit code = read_file(&apply);
    if (code == CTL_OK) {
        code = make_body(&apply);
    }
    if (code == CTL_OK) {
        uint32_t tries = 0;
        do {
            code = try_once(&apply, &was_overtaken);
        } while (was_overtaken && ++tries < TRIES);
        if (was_overtaken) {
            (void)ctl_fail(ctl, code,
                           "not applied: somebody else keeps changing the configuration");
        }
    }
    buf_fini(&apply.undo_path);
    buf_fini(&apply.body);
    buf_fini(&apply.text);
    return code;
}
