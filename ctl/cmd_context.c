#include "ctl/cmd_context.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/contexts.h"
#include "ctl/print_table.h"
#include "ctl/shell_word.h"
#include "lbd/base/mem.h"

/* Loads, or says why not. */
static bool load(struct ctl *ctl, struct contexts *contexts, enum ctl_exit *code)
{
    struct err err = {.kind = ERR_NONE};
    if (contexts_load(contexts, &err)) {
        return true;
    }
    *code = ctl_fail(ctl, CTL_USAGE, "%s", err.text);
    return false;
}

static enum ctl_exit save(struct ctl *ctl, struct contexts *contexts)
{
    struct err err = {.kind = ERR_NONE};
    return contexts_save(contexts, &err) ? CTL_OK : ctl_fail(ctl, CTL_REFUSED, "%s", err.text);
}

static enum ctl_exit no_such(struct ctl *ctl, const char *name)
{
    (void)ctl_fail(ctl, CTL_NOT_FOUND, "there is no context '%s'", name);
    ctl_hint(ctl, "lbctl context list");
    return CTL_NOT_FOUND;
}

/* -- list -- */

static const char *shows(const struct json *one)
{
    bool has_token = ctl_text(one, "token_file").len != 0;
    bool has_certificate = ctl_text(one, "cert_file").len != 0;
    if (has_token && has_certificate) {
        return "token, certificate";
    }
    return has_token ? "token" : (has_certificate ? "certificate" : "");
}

static void print_contexts(struct ctl *ctl, const struct contexts *contexts)
{
    struct print_table table;
    const struct json *one = NULL;
    print_table_init(&table);
    print_table_column(&table, "NAME");
    print_table_column(&table, "CURRENT");
    print_table_column(&table, "WHERE");
    print_table_column(&table, "SHOWS");
    json_for_each(one, contexts_all(contexts))
    {
        struct slice url = ctl_text(one, "url");
        bool is_current = slice_eq(json_key(one), contexts_current(contexts));
        print_table_cell(&table, PRINT_PLAIN, json_key(one));
        print_table_cell(&table, PRINT_GOOD, is_current ? SLICE("current") : SLICE_NONE);
        print_table_cell(&table, PRINT_PLAIN, url.len != 0 ? url : ctl_text(one, "socket"));
        print_table_cell(&table, PRINT_PLAIN, slice_from(shows(one)));
    }
    print_table_write(&table, ctl->out, ctl->color, ctl->width);
    print_table_fini(&table);
}

enum ctl_exit cmd_context_list(struct ctl *ctl)
{
    struct contexts contexts;
    enum ctl_exit code = CTL_OK;
    const struct json *one = NULL;
    if (!load(ctl, &contexts, &code)) {
        return code;
    }
    if (ctl_wants_json(ctl)) {
        ctl_print_json(ctl, contexts.root);
    } else if (ctl->output == CTL_NAME) {
        json_for_each(one, contexts_all(&contexts))
        {
            print_text(ctl->out, json_key(one));
            (void)fputc('\n', ctl->out);
        }
    } else {
        print_contexts(ctl, &contexts);
    }
    contexts_fini(&contexts);
    return CTL_OK;
}

/* -- use, remove -- */

enum ctl_exit cmd_context_use(struct ctl *ctl)
{
    struct contexts contexts;
    enum ctl_exit code = CTL_OK;
    char undo[300] = "";
    if (!load(ctl, &contexts, &code)) {
        return code;
    }
    struct slice before = contexts_current(&contexts);
    if (!contexts_has(&contexts, slice_from(ctl->args[0]))) {
        code = no_such(ctl, ctl->args[0]);
    } else {
        if (before.len != 0 && before.len < 200 && !slice_eq(before, slice_from(ctl->args[0]))) {
            (void)snprintf(undo, sizeof(undo), " (undo: lbctl context use %.*s)",
                           SLICE_ARG(before));
        }
        contexts_use(&contexts, slice_from(ctl->args[0]));
        code = save(ctl, &contexts);
    }
    if (code == CTL_OK) {
        (void)fprintf(ctl->out, "using context %s%s\n", ctl->args[0], undo);
    }
    contexts_fini(&contexts);
    return code;
}

enum ctl_exit cmd_context_remove(struct ctl *ctl)
{
    struct contexts contexts;
    enum ctl_exit code = CTL_OK;
    struct slice name = slice_from(ctl->args[0]);
    if (!load(ctl, &contexts, &code)) {
        return code;
    }
    if (!contexts_remove(&contexts, name)) {
        code = no_such(ctl, ctl->args[0]);
    } else {
        code = save(ctl, &contexts);
    }
    if (code == CTL_OK) {
        contexts_remove_token(&contexts, name);
        (void)fprintf(ctl->out, "removed context %s\n", ctl->args[0]);
    }
    contexts_fini(&contexts);
    return code;
}

/* -- add -- */

static bool is_name(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= 63 && name[0] != '.' && name[0] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

/* The context is used from any folder. */
static enum ctl_exit take_file(struct ctl *ctl, char **place, const char *path)
{
    char found[PATH_MAX];
    if (path == NULL) {
        return CTL_OK;
    }
    if (realpath(path, found) == NULL) {
        return ctl_fail(ctl, CTL_USAGE, "cannot find '%s': %s", path, strerror(errno));
    }
    endpoint_text(place, found);
    return CTL_OK;
}

static bool is_from_stdin(const struct ctl *ctl)
{
    return ctl->token_file != NULL && strcmp(ctl->token_file, "-") == 0;
}

static enum ctl_exit take_token(struct ctl *ctl, const struct contexts *contexts,
                                struct endpoint *endpoint)
{
    char line[ENDPOINT_TOKEN_MAX];
    char path[CONTEXTS_PATH_MAX];
    struct err err = {.kind = ERR_NONE};
    if (!is_from_stdin(ctl)) {
        return take_file(ctl, &endpoint->token_file, ctl->token_file);
    }
    if (fgets(line, (int)sizeof(line), ctl->in) == NULL) {
        return ctl_fail(ctl, CTL_USAGE, "no token came on stdin");
    }
    bool ok = contexts_save_token(contexts, slice_from(ctl->args[0]), slice_from(line), path, &err);
    mem_wipe(line, sizeof(line));
    if (!ok) {
        return ctl_fail(ctl, CTL_REFUSED, "%s", err.text);
    }
    endpoint_text(&endpoint->token_file, path);
    return CTL_OK;
}

static enum ctl_exit read_endpoint(struct ctl *ctl, const struct contexts *contexts,
                                   struct endpoint *endpoint)
{
    struct err err = {.kind = ERR_NONE};
    char token[ENDPOINT_TOKEN_MAX];
    enum ctl_exit code = CTL_OK;
    if ((ctl->url != NULL) == (ctl->socket_path != NULL)) {
        return ctl_fail(ctl, CTL_USAGE, "say where it is: --url URL or --socket PATH");
    }
    if (ctl->url == NULL) {
        endpoint_set_socket(endpoint, ctl->socket_path);
    } else if (!endpoint_set_url(endpoint, ctl->url, &err)) {
        return ctl_fail(ctl, CTL_USAGE, "%s", err.text);
    }
    code = take_file(ctl, &endpoint->ca_file, ctl->ca_file);
    code = code == CTL_OK ? take_file(ctl, &endpoint->cert_file, ctl->cert_file) : code;
    code = code == CTL_OK ? take_file(ctl, &endpoint->key_file, ctl->key_file) : code;
    if (code == CTL_OK && !endpoint_check(endpoint, &err)) {
        code = ctl_fail(ctl, CTL_USAGE, "%s", err.text);
    }
    code = code == CTL_OK ? take_token(ctl, contexts, endpoint) : code;
    if (code == CTL_OK && !endpoint_read_token(endpoint, token, &err)) {
        code = ctl_fail(ctl, CTL_USAGE, "%s", err.text);
    }
    mem_wipe(token, sizeof(token));
    return code;
}

/* The command that makes the context what it was: "lbctl context remove shop" when there was none,
 * else the one that would add it, with the files that it had. */
static void say_how_to_add(struct ctl *ctl, const struct endpoint *before)
{
    struct buf text;
    buf_init(&text, (size_t)8 * CTL_PATH_MAX);
    if (before == NULL) {
        buf_printf(&text, "lbctl context remove %s", ctl->args[0]);
    } else {
        const char *const words[][2] = {{" --ca ", before->ca_file},
                                        {" --cert ", before->cert_file},
                                        {" --key ", before->key_file},
                                        {" --token-file ", before->token_file}};
        buf_printf(&text, "lbctl context add %s %s ", ctl->args[0],
                   before->socket != NULL ? "--socket" : "--url");
        shell_word_append(&text, slice_from(endpoint_name(before)));
        for (size_t i = 0; i < ARRAY_LEN(words); i++) {
            if (words[i][1] != NULL) {
                buf_append_text(&text, words[i][0]);
                shell_word_append(&text, slice_from(words[i][1]));
            }
        }
    }
    print_text(ctl->out, buf_slice(&text));
    buf_fini(&text);
}

enum ctl_exit cmd_context_add(struct ctl *ctl)
{
    struct contexts contexts;
    struct endpoint endpoint;
    struct endpoint before;
    struct err err = {.kind = ERR_NONE};
    enum ctl_exit code = CTL_OK;
    struct slice name = slice_from(ctl->args[0]);
    if (!is_name(ctl->args[0])) {
        return ctl_fail(ctl, CTL_USAGE,
                        "'%s' cannot be a name: letters, digits and . _ -, at most 63",
                        ctl->args[0]);
    }
    if (!load(ctl, &contexts, &code)) {
        return code;
    }
    endpoint_init(&before);
    endpoint_init(&endpoint);
    bool is_there = contexts_has(&contexts, name);
    if (is_there && !contexts_find(&contexts, name, &before, &err)) {
        endpoint_fini(&before); /* it is of no use, and is not to be had back */
        endpoint_init(&before);
        is_there = false;
    }
    code = read_endpoint(ctl, &contexts, &endpoint);
    if (code == CTL_OK) {
        contexts_put(&contexts, name, &endpoint);
        code = save(ctl, &contexts);
    }
    if (code == CTL_OK) {
        (void)fprintf(ctl->out, "%s context %s: %s (undo: ", is_there ? "replaced" : "added",
                      ctl->args[0], endpoint_name(&endpoint));
        say_how_to_add(ctl, is_there ? &before : NULL);
        (void)fputs(is_there && is_from_stdin(ctl) ? "; its former token is gone)\n" : ")\n",
                    ctl->out);
        if (!slice_eq(contexts_current(&contexts), name)) {
            (void)fflush(ctl->out);
            ctl_hint(ctl, "lbctl context use %s", ctl->args[0]);
        }
    }
    endpoint_fini(&endpoint);
    endpoint_fini(&before);
    contexts_fini(&contexts);
    return code;
}
