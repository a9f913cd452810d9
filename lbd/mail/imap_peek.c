/* imap_peek - see imap_peek.h. */
#include "lbd/mail/imap_peek.h"

#include "lbd/base/slice.h"
#include "lbd/mail/imap_lines.h"

_Static_assert(IMAP_LINES_TAG_MAX + sizeof(" EXAMINE\r") <= IMAP_PEEK_MAX, "what is CUT");

/* How many bytes are the tag of a command that begins here. */
static size_t tag_of(const char *bytes, size_t len)
{
    size_t at = 0;
    while (at < len && at < IMAP_LINES_TAG_MAX && imap_lines_is_tag_char(bytes[at])) {
        at++;
    }
    return at;
}

enum imap_peek imap_peek_logout(const char *bytes, size_t len, size_t *tag_len, size_t *line_len)
{
    static const struct slice name = SLICE_INIT("LOGOUT");
    size_t at = tag_of(bytes, len);
    *tag_len = at;
    if (at == len) {
        return IMAP_PEEK_CUT;
    }
    if (at == 0 || bytes[at++] != ' ') {
        return IMAP_PEEK_OTHER;
    }
    size_t here = len - at < name.len ? len - at : name.len;
    if (!slice_eq_nocase(slice_of(bytes + at, here), slice_of(name.ptr, here))) {
        return IMAP_PEEK_OTHER;
    }
    at += here;
    if (at < len && bytes[at] == '\r') {
        at++;
    }
    if (at == len) {
        return IMAP_PEEK_CUT;
    }
    *line_len = at + 1;
    return bytes[at] == '\n' ? IMAP_PEEK_SO : IMAP_PEEK_OTHER;
}

enum imap_peek imap_peek_select(const char *bytes, size_t len)
{
    static const struct slice longest = SLICE_INIT("EXAMINE");
    size_t from = tag_of(bytes, len);
    if (from == len) {
        return IMAP_PEEK_CUT;
    }
    if (from == 0 || bytes[from++] != ' ') {
        return IMAP_PEEK_OTHER;
    }
    size_t at = from;
    while (at < len && at - from <= longest.len && bytes[at] != ' ' && bytes[at] != '\r' &&
           bytes[at] != '\n') {
        at++;
    }
    struct slice name = slice_of(bytes + from, at - from);
    if (name.len > longest.len) {
        return IMAP_PEEK_OTHER;
    }
    if (at == len) {
        return IMAP_PEEK_CUT;
    }
    return slice_eq_nocase(name, SLICE("SELECT")) || slice_eq_nocase(name, longest)
               ? IMAP_PEEK_SO
               : IMAP_PEEK_OTHER;
}
