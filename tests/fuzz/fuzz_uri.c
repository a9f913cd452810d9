/*
 * fuzz_uri - authorities have one reading, and a normalised path is one that nobody reads
 * otherwise.
 *
 * The input is taken as an authority, a path and a query.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/base/authority.h"
#include "lbd/http/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

static bool holds(struct slice s, const char *part)
{
    return s.len != 0 && memmem(s.ptr, s.len, part, strlen(part)) != NULL;
}

static void try_authority(struct slice text)
{
    struct slice host;
    uint16_t port;
    if (!authority_is_valid(text)) {
        return;
    }
    authority_split(text, &host, &port);
    must(host.ptr == text.ptr && host.len > 0 && host.len <= text.len);
    must(port == 0 ? host.len == text.len : text.ptr[host.len] == ':');
    must(authority_is_valid(host));
    for (size_t i = 0; i < text.len; i++) {
        must(text.ptr[i] > ' ' && text.ptr[i] < 0x7f && strchr("@,/?#\\%", text.ptr[i]) == NULL);
    }
}

static void try_path(struct slice path)
{
    struct arena arena;
    struct slice once;
    struct slice twice;
    arena_init(&arena, NULL, 0);
    enum uri_path_verdict verdict = uri_path_normalise(path, &arena, &once);
    if (verdict != URI_PATH_BAD) {
        must(once.len > 0 && once.len <= path.len);
        must((verdict == URI_PATH_PLAIN) == slice_eq(once, path));
        must(slice_eq(once, SLICE("*")) || once.ptr[0] == '/');
        must(!holds(once, "/../") && !holds(once, "/./") && !holds(once, "/..;"));
        must(!slice_ends(once, SLICE("/..")) && !slice_ends(once, SLICE("/.")));
        must(!holds(once, "%2F") && !holds(once, "%5C") && !holds(once, "%00"));
        must(!holds(once, "%2f") || holds(once, "%252f")); /* an escape is in upper case */
        must(uri_query_is_valid(once) && !holds(once, "\\"));
        must(uri_path_normalise(once, &arena, &twice) == URI_PATH_PLAIN);
    }
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of((const char *)data, size);
    try_authority(text);
    try_path(text);
    (void)uri_query_is_valid(text);
    return 0;
}
