/* sieve_guard - see sieve_guard.h. */
#include "lbd/mail/sieve_guard.h"

bool sieve_guard_client(struct sieve_guard *guard, struct slice bytes)
{
    static const struct slice word = SLICE_INIT("unauthenticate");
    for (size_t i = 0; i < bytes.len; i++) {
        char c = bytes.ptr[i];
        if (c == '\n' || c == '\r') {
            guard->matched = 0;
            guard->is_past = false;
        } else if (guard->is_past || (guard->matched == 0 && (unsigned char)c <= ' ')) {
            continue; /* before the word spaces count for nothing */
        } else if (slice_lower(c) != word.ptr[guard->matched]) {
            guard->is_past = true;
        } else if (++guard->matched == word.len) {
            return false; /* whatever follows: not every server wants a space */
        }
    }
    return true;
}
