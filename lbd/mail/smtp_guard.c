/* smtp_guard - see smtp_guard.h. */
#include "lbd/mail/smtp_guard.h"

#include <string.h>

static bool is_word(const struct smtp_guard *guard, struct slice word)
{
    return slice_eq_nocase(slice_of(guard->word, guard->word_len), word);
}

static bool is_forbidden(const struct smtp_guard *guard)
{
    return !guard->is_message &&
           (is_word(guard, SLICE("XCLIENT")) || is_word(guard, SLICE("XFORWARD")));
}

static void end_line(struct smtp_guard *guard)
{
    /* whatever a server may take for the end of a message is one */
    if (guard->is_message && guard->word_len > 0 && guard->word[0] == '.' &&
        (guard->word_len == 1 || guard->word[1] != '.')) {
        guard->is_message = false;
    } else if (!guard->is_message) {
        guard->waits = is_word(guard, SLICE("DATA"));
    }
    guard->word_len = 0;
    guard->is_past_word = false;
}

bool smtp_guard_client(struct smtp_guard *guard, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        if (guard->waits) {
            guard->waits = false;
            guard->doubts = true;
        }
        bool is_space = c <= ' ';
        if (is_space && !guard->is_past_word && is_forbidden(guard)) {
            return false;
        }
        if (c == '\n') {
            end_line(guard);
        } else if (is_space) { /* before the word it counts for nothing */
            guard->is_past_word = guard->is_past_word || guard->word_len > 0;
        } else if (!guard->is_past_word && guard->word_len < sizeof(guard->word)) {
            guard->word[guard->word_len++] = (char)c;
        }
    }
    return true;
}

void smtp_guard_server(struct smtp_guard *guard, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        char c = bytes.ptr[i];
        if (c == '\n') {
            guard->reply_len = 0;
        } else if (guard->reply_len < sizeof(guard->reply)) {
            guard->reply[guard->reply_len++] = c;
            if (guard->reply_len == sizeof(guard->reply)) {
                bool goes_on = memcmp(guard->reply, "354", sizeof(guard->reply)) == 0;
                guard->is_message = goes_on && guard->waits && !guard->doubts;
                guard->waits = guard->waits && !goes_on;
            }
        }
    }
}
