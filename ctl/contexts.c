#include "ctl/contexts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/json/json_write.h"
#include "ctl/text_file.h"

#define FILE_MAX (1024U * 1024U)

static bool find_places(struct contexts *contexts, struct err *err)
{
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    int len = 0;
    if (config != NULL && config[0] == '/') {
        len = snprintf(contexts->folder, sizeof(contexts->folder), "%s/lbd", config);
    } else if (home != NULL && home[0] == '/') {
        len = snprintf(contexts->folder, sizeof(contexts->folder), "%s/.config/lbd", home);
    }
    if (len <= 0 || (size_t)len + 16 >= sizeof(contexts->path)) {
        contexts->folder[0] = '\0';
        contexts->path[0] = '\0';
        return err_set(err, ERR_NOT_FOUND, "no place for contexts: HOME is not set");
    }
    (void)stpcpy(stpcpy(contexts->path, contexts->folder), "/contexts.json");
    return true;
}

static bool read_file(const char *path, struct buf *text, struct err *err)
{
    struct stat found;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return errno == ENOENT || errno == ENOTDIR ||
               err_set_at(err, ERR_INVALID, path, "cannot open %s: %s", path, strerror(errno));
    }
    bool ok = fstat(fileno(file), &found) == 0;
    if (ok && ((found.st_uid != geteuid() && found.st_uid != 0) ||
               (found.st_mode & (S_IWGRP | S_IWOTH)) != 0)) {
        ok = err_set_at(err, ERR_INVALID, path, "%s may be written by others: chmod 600", path);
    }
    while (ok && buf_reserve(text, 65536)) {
        size_t got = fread(text->data + text->len, 1, 65536, file);
        text->len += got;
        if (got == 0) {
            break;
        }
    }
    (void)fclose(file);
    return ok;
}

static bool wrong(const struct contexts *contexts, const char *what, struct err *err)
{
    return err_set_at(err, ERR_INVALID, contexts->path, "%s: %s", contexts->path, what);
}

static bool parse(struct contexts *contexts, struct slice text, struct err *err)
{
    struct json_error why;
    if (slice_trim(text).len == 0) {
        contexts->root = json_new_object();
        return true;
    }
    contexts->root = json_parse(text, JSON_COMMENTS, &json_limits_resource, &why);
    if (contexts->root == NULL) {
        return err_set_at(err, ERR_INVALID, contexts->path, "%s:%u:%u: %s", contexts->path,
                          why.line, why.column, why.text);
    }
    const struct json *all = json_get(contexts->root, SLICE("contexts"));
    const struct json *current = json_get(contexts->root, SLICE("current"));
    const struct json *one = NULL;
    if (!json_is(contexts->root, JSON_OBJECT) || (all != NULL && !json_is(all, JSON_OBJECT)) ||
        (current != NULL && !json_is(current, JSON_STRING))) {
        return wrong(contexts, "must be {\"current\": NAME, \"contexts\": {NAME: {...}}}", err);
    }
    json_for_each(one, all)
    {
        if (!json_is(one, JSON_OBJECT)) {
            return wrong(contexts, "every context must be an object", err);
        }
    }
    return true;
}

bool contexts_load(struct contexts *contexts, struct err *err)
{
    struct buf text;
    contexts->root = NULL;
    if (!find_places(contexts, err)) {
        contexts->root = json_new_object();
        return true; /* there are none */
    }
    buf_init(&text, FILE_MAX);
    bool ok = read_file(contexts->path, &text, err) && parse(contexts, buf_slice(&text), err);
    buf_fini(&text);
    if (!ok) {
        contexts_fini(contexts);
    }
    return ok;
}

void contexts_fini(struct contexts *contexts)
{
    json_free(contexts->root);
    contexts->root = NULL;
}

struct slice contexts_current(const struct contexts *contexts)
{
    return json_string(json_get(contexts->root, SLICE("current")));
}

const struct json *contexts_all(const struct contexts *contexts)
{
    return json_get(contexts->root, SLICE("contexts"));
}

bool contexts_has(const struct contexts *contexts, struct slice name)
{
    return json_get(contexts_all(contexts), name) != NULL;
}

static bool take(const struct json *item, struct endpoint *out, struct err *err)
{
    char text[CONTEXTS_PATH_MAX];
    struct slice key = json_key(item);
    struct slice value = json_string(item);
    if (!json_is(item, JSON_STRING) || value.len >= sizeof(text)) {
        return err_set(err, ERR_INVALID, "'%.*s' must be a text", SLICE_ARG(key));
    }
    (void)snprintf(text, sizeof(text), "%.*s", SLICE_ARG(value));
    if (slice_eq(key, SLICE("socket"))) {
        endpoint_set_socket(out, text);
    } else if (slice_eq(key, SLICE("url"))) {
        return endpoint_set_url(out, text, err);
    } else if (slice_eq(key, SLICE("ca_file"))) {
        endpoint_text(&out->ca_file, text);
    } else if (slice_eq(key, SLICE("cert_file"))) {
        endpoint_text(&out->cert_file, text);
    } else if (slice_eq(key, SLICE("key_file"))) {
        endpoint_text(&out->key_file, text);
    } else if (slice_eq(key, SLICE("token_file"))) {
        endpoint_text(&out->token_file, text);
    } else {
        return err_set(err, ERR_INVALID, "'%.*s' is not a known key", SLICE_ARG(key));
    }
    return true;
}

bool contexts_find(const struct contexts *contexts, struct slice name, struct endpoint *out,
                   struct err *err)
{
    struct err why = {.kind = ERR_NONE};
    const struct json *one = json_get(contexts_all(contexts), name);
    const struct json *item = NULL;
    bool ok = true;
    if (one == NULL) {
        return err_set(err, ERR_NOT_FOUND, "there is no context '%.*s'", SLICE_ARG(name));
    }
    json_for_each(item, one)
    {
        ok = ok && take(item, out, &why);
    }
    ok = ok && endpoint_check(out, &why);
    return ok || err_set(err, ERR_INVALID, "%s: context '%.*s': %s", contexts->path,
                         SLICE_ARG(name), why.text);
}

/* -- changes -- */

static void set_text(struct json *object, const char *key, const char *value)
{
    if (value != NULL) {
        json_set(object, slice_from(key), json_new_string(slice_from(value)));
    }
}

void contexts_put(struct contexts *contexts, struct slice name, const struct endpoint *endpoint)
{
    struct json *all = json_get(contexts->root, SLICE("contexts"));
    struct json *one = json_new_object();
    if (all == NULL) {
        all = json_new_object();
        json_set(contexts->root, SLICE("contexts"), all);
    }
    set_text(one, "socket", endpoint->socket);
    set_text(one, "url", endpoint->socket == NULL ? endpoint->url : NULL);
    set_text(one, "ca_file", endpoint->ca_file);
    set_text(one, "cert_file", endpoint->cert_file);
    set_text(one, "key_file", endpoint->key_file);
    set_text(one, "token_file", endpoint->token_file);
    json_set(all, name, one);
}

bool contexts_remove(struct contexts *contexts, struct slice name)
{
    struct json *all = json_get(contexts->root, SLICE("contexts"));
    struct json *one = all != NULL ? json_take(all, name) : NULL;
    bool is_there = one != NULL;
    if (is_there && slice_eq(contexts_current(contexts), name)) {
        json_free(json_take(contexts->root, SLICE("current")));
    }
    json_free(one);
    return is_there;
}

void contexts_use(struct contexts *contexts, struct slice name)
{
    json_set(contexts->root, SLICE("current"), json_new_string(name));
}

/* With those above it. */
static bool make_folder(const struct contexts *contexts, struct err *err)
{
    char path[CONTEXTS_PATH_MAX];
    if (contexts->folder[0] == '\0') {
        return err_set(err, ERR_STORAGE, "no place for contexts: HOME is not set");
    }
    (void)snprintf(path, sizeof(path), "%s", contexts->folder);
    for (char *slash = path + 1; *slash != '\0'; slash++) {
        if (*slash == '/') {
            *slash = '\0';
            (void)mkdir(path, 0755);
            *slash = '/';
        }
    }
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return err_set(err, ERR_STORAGE, "cannot make %s: %s", path, strerror(errno));
    }
    return true;
}

bool contexts_save(const struct contexts *contexts, struct err *err)
{
    struct buf text;
    struct json_write w;
    buf_init(&text, FILE_MAX);
    json_write_init(&w, &text, JSON_PRETTY);
    json_write_json(&w, contexts->root);
    (void)buf_append_char(&text, '\n');
    bool ok =
        make_folder(contexts, err) && text_file_replace(contexts->path, buf_slice(&text), err);
    buf_fini(&text);
    return ok;
}

static bool token_path(const struct contexts *contexts, struct slice name,
                       char path[CONTEXTS_PATH_MAX])
{
    int len = snprintf(path, CONTEXTS_PATH_MAX, "%s/%.*s.token", contexts->folder, SLICE_ARG(name));
    return len > 0 && len < CONTEXTS_PATH_MAX;
}

bool contexts_save_token(const struct contexts *contexts, struct slice name, struct slice token,
                         char path[CONTEXTS_PATH_MAX], struct err *err)
{
    if (!make_folder(contexts, err)) {
        return false;
    }
    if (!token_path(contexts, name, path)) {
        return err_set(err, ERR_STORAGE, "the path of the token is too long");
    }
    (void)unlink(path); /* its permissions would stay */
    return text_file_replace(path, token, err);
}

void contexts_remove_token(const struct contexts *contexts, struct slice name)
{
    char path[CONTEXTS_PATH_MAX];
    if (token_path(contexts, name, path)) {
        (void)unlink(path);
    }
}
