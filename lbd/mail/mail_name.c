#include "lbd/mail/mail_name.h"

#include <stdint.h>
#include <string.h>

/* The last @ counts: local parts may have some in quotes. */
static size_t at_sign(struct slice name)
{
    const char *found = name.len != 0 ? memrchr(name.ptr, '@', name.len) : NULL;
    return found != NULL ? (size_t)(found - name.ptr) : SIZE_MAX;
}

static bool put(struct mail_name *name, struct slice text, bool lower)
{
    if (text.len > sizeof(name->text) - name->len) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        name->text[name->len++] = lower && c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
    }
    return true;
}

struct mail_name_parts mail_name_parts(struct slice name)
{
    size_t at = at_sign(name);
    struct mail_name_parts parts = {.user = name, .local = name, .domain = SLICE_NONE};
    if (at != SIZE_MAX) {
        parts.local = slice_of(name.ptr, at);
        parts.domain = slice_from_at(name, at + 1);
    }
    return parts;
}

bool mail_name_make(const struct mail_name_rules *rules, struct slice user, struct mail_name *out)
{
    size_t master = rules->separator != 0 ? slice_find(user, rules->separator) : SIZE_MAX;
    if (master != SIZE_MAX && master != 0) {
        user.len = master;
    }
    struct mail_name_parts parts = mail_name_parts(user);
    bool has_at = parts.local.len != user.len;
    out->len = 0;
    if (parts.local.len == 0 || (has_at && parts.domain.len == 0)) {
        return false;
    }
    struct slice local = parts.local;
    if (rules->extension != 0) {
        size_t cut = slice_find(local, rules->extension);
        if (cut != SIZE_MAX && cut != 0) { /* a name that begins with it has no other local part */
            local.len = cut;
        }
    }
    struct slice domain = has_at ? parts.domain : rules->default_domain;
    return put(out, local, !rules->keeps_case) &&
           (domain.len == 0 || (put(out, SLICE("@"), false) && put(out, domain, true)));
}

/* What stands for the text between braces; false: nothing does. */
static bool replacement(struct slice word, const struct mail_name_parts *parts,
                        const struct slice *groups, struct slice *out)
{
    if (slice_eq(word, SLICE("user"))) {
        *out = parts->user;
    } else if (slice_eq(word, SLICE("local"))) {
        *out = parts->local;
    } else if (slice_eq(word, SLICE("domain"))) {
        *out = parts->domain;
    } else if (groups != NULL && word.len == 1 && word.ptr[0] >= '1' && word.ptr[0] <= '9') {
        *out = groups[word.ptr[0] - '1'];
    } else {
        return false;
    }
    return true;
}

bool mail_name_expand(struct slice form, const struct mail_name_parts *parts,
                      const struct slice *groups, struct mail_name *out)
{
    size_t at = 0;
    out->len = 0;
    while (at < form.len) {
        struct slice rest = slice_from_at(form, at);
        size_t open = slice_find(rest, '{');
        if (open != 0) {
            struct slice plain = slice_of(rest.ptr, open == SIZE_MAX ? rest.len : open);
            if (!put(out, plain, false)) {
                return false;
            }
            at += plain.len;
            continue;
        }
        size_t close = slice_find(rest, '}');
        struct slice text;
        if (close == SIZE_MAX ||
            !replacement(slice_of(rest.ptr + 1, close - 1), parts, groups, &text)) {
            text = slice_of(rest.ptr, 1); /* only a brace */
            close = 0;
        }
        if (!put(out, text, false)) {
            return false;
        }
        at += close + 1;
    }
    return out->len != 0;
}
