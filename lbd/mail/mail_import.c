#include "lbd/mail/mail_import.h"

#include <string.h>

#include "conf/json/json.h"
#include "lbd/base/addr.h"
#include "lbd/mail/mail_login.h"

void mail_import_init(struct mail_import *import, enum mail_import_kind kind, struct slice text)
{
    memset(import, 0, sizeof(*import));
    import->kind = kind;
    import->rest = text;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct slice trim(struct slice text)
{
    while (text.len > 0 && is_space(text.ptr[0])) {
        text = slice_from_at(text, 1);
    }
    while (text.len > 0 && is_space(text.ptr[text.len - 1])) {
        text.len--;
    }
    return text;
}

/* -- popmaps -- */

/* The index of the bracket that closes the expression which opens at `at`; the end when none does.
 * A bracket is itself at the front, and a class ([:alpha:]) has one of its own. */
static size_t end_of_brackets(struct slice line, size_t at)
{
    size_t i = at + 1;
    i += i < line.len && line.ptr[i] == '^' ? 1 : 0;
    i += i < line.len && line.ptr[i] == ']' ? 1 : 0;
    while (i < line.len && line.ptr[i] != ']') {
        bool is_class =
            line.ptr[i] == '[' && i + 1 < line.len && memchr(":.=", line.ptr[i + 1], 3) != NULL;
        if (is_class) {
            char kind = line.ptr[i + 1];
            i += 2;
            while (i + 1 < line.len && !(line.ptr[i] == kind && line.ptr[i + 1] == ']')) {
                i++;
            }
            i++;
        }
        i++;
    }
    return i;
}

/* A colon ends the key; of a pattern one that is escaped or between brackets does not. */
static size_t end_of_key(struct slice line, bool is_pattern)
{
    for (size_t i = 0; i < line.len; i++) {
        if (is_pattern && line.ptr[i] == '\\') {
            i++;
        } else if (is_pattern && line.ptr[i] == '[') {
            i = end_of_brackets(line, i);
        } else if (line.ptr[i] == ':') {
            return i;
        }
    }
    return SIZE_MAX;
}

/* In lower case, what is escaped apart, unless case is kept. */
static void set_key(struct mail_import *import, struct slice key, bool is_pattern)
{
    import->key_len = 0;
    for (size_t i = 0; i < key.len; i++) {
        bool stays = import->keeps_case || (is_pattern && i > 0 && key.ptr[i - 1] == '\\');
        import->key[import->key_len++] = stays ? key.ptr[i] : slice_lower(key.ptr[i]);
    }
}

/* "$1" becomes "{1}", "$0" all of it. False: it becomes too long. */
static bool set_user(struct mail_import *import, struct slice user, bool is_pattern)
{
    import->user_len = 0;
    for (size_t i = 0; i < user.len; i++) {
        char text[8] = {user.ptr[i]};
        size_t len = 1;
        if (is_pattern && user.ptr[i] == '$' && i + 1 < user.len && user.ptr[i + 1] >= '0' &&
            user.ptr[i + 1] <= '9') {
            i++;
            bool is_all = user.ptr[i] == '0';
            len = is_all ? 6 : 3;
            memcpy(text, is_all ? "{user}" : "{1}", len);
            text[1] = is_all ? 'u' : user.ptr[i];
        }
        if (len > sizeof(import->user) - import->user_len) {
            return false;
        }
        memcpy(import->user + import->user_len, text, len);
        import->user_len += len;
    }
    return true;
}

static bool is_host(struct slice host)
{
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '.' || c == '_' || c == ':' || c == '$';
        if (!fits) {
            return false;
        }
    }
    return host.len != 0 && host.len <= MAIL_IMPORT_HOST_MAX;
}

/* host, host:port, [v6], [v6]:port */
static bool split_host(struct slice text, struct mail_import_entry *entry)
{
    struct slice host;
    uint16_t port = 0;
    if (addr_split(text, false, &host, &port)) {
        entry->server = host;
        entry->port = port;
    } else if (text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']') {
        entry->server = slice_of(text.ptr + 1, text.len - 2);
    } else {
        entry->server = text;
    }
    struct addr address;
    bool has_colon = slice_find(entry->server, ':') != SIZE_MAX;
    return is_host(entry->server) && (!has_colon || addr_from_ip(entry->server, 1, &address));
}

static enum mail_import_verdict read_popmap(struct mail_import *import, struct slice line,
                                            struct mail_import_entry *entry, const char **why)
{
    bool is_pattern = import->kind == MAIL_IMPORT_POPMAP_RE;
    size_t colon = end_of_key(line, is_pattern);
    if (colon == SIZE_MAX) {
        *why = "no colon between key and server";
        return MAIL_IMPORT_BAD;
    }
    struct slice key = trim(slice_of(line.ptr, colon));
    struct slice value = trim(slice_from_at(line, colon + 1));
    const char *at = value.len != 0 ? memrchr(value.ptr, '@', value.len) : NULL;
    struct slice user = SLICE_NONE;
    struct slice host = value;
    if (at != NULL) {
        user = slice_of(value.ptr, (size_t)(at - value.ptr));
        host = slice_from_at(value, user.len + 1);
    }
    if (!mail_login_is_name(key)) {
        *why = "the key is none";
        return MAIL_IMPORT_BAD;
    }
    if (!split_host(host, entry)) {
        *why = "the server is none";
        return MAIL_IMPORT_BAD;
    }
    if (at != NULL && (!mail_login_is_name(user) || !set_user(import, user, is_pattern))) {
        *why = "the user at the server is none";
        return MAIL_IMPORT_BAD;
    }
    set_key(import, key, is_pattern);
    entry->key = slice_of(import->key, import->key_len);
    entry->user = at != NULL ? slice_of(import->user, import->user_len) : SLICE_NONE;
    return MAIL_IMPORT_ENTRY;
}

/* -- who is where -- */

static struct slice next_word(struct slice *rest)
{
    *rest = trim(*rest);
    size_t len = 0;
    while (len < rest->len && !is_space(rest->ptr[len])) {
        len++;
    }
    struct slice word = slice_of(rest->ptr, len);
    *rest = slice_from_at(*rest, len);
    return word;
}

/* {"user":"joe","server":"b1"}; more members are passed over. */
static enum mail_import_verdict read_json(struct mail_import *import, struct slice line,
                                          struct mail_import_entry *entry, const char **why)
{
    static const struct json_limits limits = {
        .bytes = MAIL_IMPORT_LINE_MAX, .depth = 4, .values = 100, .objects = 10};
    struct json_error error;
    struct json *json = json_parse(line, JSON_STRICT, &limits, &error);
    struct slice user = json_string(json_get(json, SLICE("user")));
    struct slice server = json_string(json_get(json, SLICE("server")));
    *why = json == NULL                ? "no JSON object"
           : !mail_login_is_name(user) ? "the user is none"
           : !is_host(server)          ? "no server"
                                       : "";
    if (**why == '\0') {
        set_key(import, user, false);
        memcpy(import->host, server.ptr, server.len);
        entry->key = slice_of(import->key, import->key_len);
        entry->server = slice_of(import->host, server.len);
    }
    json_free(json);
    return **why == '\0' ? MAIL_IMPORT_ENTRY : MAIL_IMPORT_BAD;
}

/* END: nothing is to be taken of this line. */
static enum mail_import_verdict read_affinity(struct mail_import *import, struct slice line,
                                              struct mail_import_entry *entry, const char **why)
{
    if (line.ptr[0] == '{') {
        return read_json(import, line, entry, why);
    }
    struct slice user = next_word(&line);
    struct slice server = next_word(&line);
    struct slice word = server;
    struct addr address;
    bool has_address = addr_from_ip(server, 1, &address);
    for (int i = 0; i < 3 && !has_address && line.len != 0; i++) { /* a hash may stand between */
        word = next_word(&line);
        has_address = word.len != 0 && addr_from_ip(word, 1, &address);
    }
    if (slice_eq(user, SLICE("<unknown>")) ||
        (slice_eq(user, SLICE("user")) && !has_address)) { /* a heading */
        return MAIL_IMPORT_END;
    }
    entry->server = has_address && word.len != 0 ? word : server;
    if (!mail_login_is_name(user)) {
        *why = "the user is none";
        return MAIL_IMPORT_BAD;
    }
    if (!is_host(entry->server)) {
        *why = "no server";
        return MAIL_IMPORT_BAD;
    }
    set_key(import, user, false);
    entry->key = slice_of(import->key, import->key_len);
    return MAIL_IMPORT_ENTRY;
}

enum mail_import_verdict mail_import_next(struct mail_import *import,
                                          struct mail_import_entry *entry, const char **why)
{
    struct slice line;
    *why = "";
    while (import->rest.len != 0) {
        (void)slice_split(&import->rest, '\n', &line);
        import->line++;
        *entry = (struct mail_import_entry){.port = 0};
        if (line.len > MAIL_IMPORT_LINE_MAX) {
            *why = "the line is too long";
            return MAIL_IMPORT_BAD;
        }
        line = trim(line);
        if (line.len == 0 || line.ptr[0] == '#') {
            continue;
        }
        enum mail_import_verdict verdict = import->kind == MAIL_IMPORT_AFFINITY
                                               ? read_affinity(import, line, entry, why)
                                               : read_popmap(import, line, entry, why);
        if (verdict != MAIL_IMPORT_END) {
            return verdict;
        }
    }
    return MAIL_IMPORT_END;
}
