#include "ctl/shell_word.h"

#include <string.h>

static bool is_plain(struct slice word)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/:@%+=,";
    for (size_t i = 0; i < word.len; i++) {
        if (word.ptr[i] == '\0' || strchr(plain, word.ptr[i]) == NULL) {
            return false;
        }
    }
    return word.len != 0;
}

void shell_word_append(struct buf *out, struct slice word)
{
    if (is_plain(word)) {
        buf_append_slice(out, word);
        return;
    }
    buf_append_char(out, '\'');
    for (size_t i = 0; i < word.len; i++) {
        if (word.ptr[i] == '\'') {
            buf_append_text(out, "'\\''");
        } else {
            buf_append_char(out, word.ptr[i]);
        }
    }
    buf_append_char(out, '\'');
}
