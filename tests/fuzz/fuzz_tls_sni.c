/*
 * fuzz_tls_sni - a name out of a ClientHello's extension is a host name in lower case, found by
 * the table and covered by its own pattern.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lbd/tls/tls_sni.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char room[TLS_SNI_NAME_MAX];
    char again[TLS_SNI_NAME_MAX];
    struct slice name;
    struct slice plain;
    enum tls_sni_verdict verdict = tls_sni_parse(data, size, room, &name);
    must((verdict == TLS_SNI_OK) == (name.len != 0) && name.len <= TLS_SNI_NAME_MAX);
    if (verdict == TLS_SNI_OK) {
        struct tls_sni sni;
        must(name.len + 5 <= size && name.ptr[0] != '.');
        must(memchr(name.ptr, '\0', name.len) == NULL);
        if (name.ptr[name.len - 1] != '.') {
            must(tls_sni_plain(name, again, &plain) && slice_eq(plain, name));
        }
        tls_sni_init(&sni);
        tls_sni_put(&sni, name, &sni);
        must(tls_sni_find(&sni, name) == &sni && tls_sni_covers(name, name));
        tls_sni_fini(&sni);
    }
    return 0;
}
