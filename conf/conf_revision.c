#include "conf/conf_revision.h"

#include <string.h>

#include "conf/json/json.h"
#include "conf/json/json_write.h"

static const struct json_limits limits = {
    .bytes = CONF_REVISION_TEXT_MAX, .depth = 4, .values = 100, .objects = 4};

void conf_revision_init(struct conf_revision *revision, uint64_t number)
{
    *revision = (struct conf_revision){.number = number, .is_confirmed = true};
    conf_revision_set(revision->via, sizeof(revision->via), SLICE("unknown"));
}

void conf_revision_set(char *out, size_t size, struct slice text)
{
    size_t len = text.len < size ? text.len : size - 1;
    if (len < text.len) {
        while (len > 0 && ((unsigned char)text.ptr[len] & 0xc0) == 0x80) {
            len--;
        }
    }
    if (len != 0) {
        memcpy(out, text.ptr, len);
    }
    out[len] = '\0';
}

void conf_revision_write(const struct conf_revision *revision, struct buf *out)
{
    struct json_write w;
    json_write_init(&w, out, JSON_COMPACT);
    json_write_object_begin(&w);
    json_write_member_u64(&w, "base", revision->base);
    json_write_member_u64(&w, "changes_total", revision->changes_total);
    json_write_member_bool(&w, "confirmed", revision->is_confirmed);
    json_write_member_u64(&w, "deadline", revision->deadline_us);
    json_write_member_text(&w, "hash", revision->hash);
    json_write_member_text(&w, "owner", revision->owner);
    json_write_member_text(&w, "reason", revision->reason);
    json_write_member_u64(&w, "rolled_back_to", revision->rolled_back_to);
    json_write_member_text(&w, "source", revision->is_from_file ? "file" : "api");
    json_write_member_text(&w, "summary", revision->summary);
    json_write_member_u64(&w, "time", revision->time_us);
    json_write_member_text(&w, "via", revision->via);
    json_write_member_text(&w, "who", revision->who);
    json_write_object_end(&w);
    (void)buf_append_char(out, '\n');
}

static bool read_number(const struct json *json, struct slice key, uint64_t *out)
{
    int64_t value = 0;
    if (!json_integer(json_get(json, key), &value) || value < 0) {
        return false;
    }
    *out = (uint64_t)value;
    return true;
}

/* A text that does not fit was not written by us; cutting it does no harm. */
static bool read_text(const struct json *json, struct slice key, char *out, size_t size)
{
    const struct json *text = json_get(json, key);
    if (!json_is(text, JSON_STRING)) {
        return false;
    }
    conf_revision_set(out, size, json_string(text));
    return true;
}

static bool read_all(const struct json *json, struct conf_revision *to)
{
    char source[8] = "";
    const struct json *confirmed = json_get(json, SLICE("confirmed"));
    if (!read_number(json, SLICE("base"), &to->base) ||
        !read_number(json, SLICE("changes_total"), &to->changes_total) ||
        !json_is(confirmed, JSON_BOOL) || !read_number(json, SLICE("deadline"), &to->deadline_us) ||
        !read_number(json, SLICE("rolled_back_to"), &to->rolled_back_to) ||
        !read_number(json, SLICE("time"), &to->time_us) ||
        !read_text(json, SLICE("hash"), to->hash, sizeof(to->hash)) ||
        !read_text(json, SLICE("owner"), to->owner, sizeof(to->owner)) ||
        !read_text(json, SLICE("reason"), to->reason, sizeof(to->reason)) ||
        !read_text(json, SLICE("source"), source, sizeof(source)) ||
        !read_text(json, SLICE("summary"), to->summary, sizeof(to->summary)) ||
        !read_text(json, SLICE("via"), to->via, sizeof(to->via)) ||
        !read_text(json, SLICE("who"), to->who, sizeof(to->who))) {
        return false;
    }
    to->is_confirmed = json_bool(confirmed);
    to->is_from_file = strcmp(source, "file") == 0;
    return true;
}

bool conf_revision_read(struct conf_revision *revision, struct slice text, struct err *err)
{
    struct json_error why;
    struct conf_revision read = *revision;
    struct json *json = json_parse(text, JSON_STRICT, &limits, &why);
    if (json == NULL) {
        return err_set(err, ERR_MALFORMED, "line %u, column %u: %s", why.line, why.column,
                       why.text);
    }
    bool ok = read_all(json, &read);
    json_free(json);
    if (!ok) {
        return err_set(err, ERR_MALFORMED, "a member is missing or is not what it should be");
    }
    *revision = read;
    return true;
}
