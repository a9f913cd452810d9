/*
 * fuzz_api_credentials - the heads of strangers: a host has one reading, a token is one word.
 *
 * The first line is taken as Host and as Authorization, both lines as name and pattern.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_credentials.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void try_host(struct slice text)
{
    static const struct slice patterns[] = {SLICE_INIT("lb.example.com"),
                                            SLICE_INIT("*.example.org")};
    struct slice name = SLICE_NONE;
    bool is_ip = false;
    bool is_host = api_credentials_host(text, &name, &is_ip);
    bool is_allowed = api_credentials_host_is_allowed(text, patterns, 2);
    must(is_host || !is_allowed);
    if (is_host) {
        must(name.len > 0 && name.ptr >= text.ptr && name.ptr + name.len <= text.ptr + text.len);
        for (size_t i = 0; i < name.len; i++) {
            must(name.ptr[i] > ' ' && name.ptr[i] < 0x7f &&
                 strchr("/@,\\%?#[]", name.ptr[i]) == NULL);
        }
    }
    if (is_allowed && !is_ip) {
        if (name.ptr[name.len - 1] == '.') {
            name.len--;
        }
        must(slice_eq_nocase(name, SLICE("localhost")) ||
             slice_eq_nocase(name, SLICE("lb.example.com")) ||
             (name.len > 12 &&
              slice_eq_nocase(slice_from_at(name, name.len - 12), SLICE(".example.org"))));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of((const char *)data, size);
    struct slice first = SLICE_NONE;
    struct slice token = SLICE_NONE;
    if (size == 0 || !slice_split(&rest, '\n', &first)) {
        return 0;
    }
    struct slice second = rest.ptr != NULL ? rest : SLICE_NONE;
    try_host(first);
    if (api_credentials_bearer(first, &token)) {
        must(token.len > 0 && memchr(token.ptr, ' ', token.len) == NULL &&
             memchr(token.ptr, ',', token.len) == NULL);
    }
    if (first.len <= 4096 && second.len <= 256) {
        bool matches = api_credentials_matches(first, second);
        must(matches || second.len != first.len || !slice_eq(first, second) ||
             memchr(first.ptr, '*', first.len) != NULL);
        must(api_credentials_matches(first, SLICE("*")));
    }
    return 0;
}
