#include "lbd/tls/tls_sni.h"

#include <string.h>

void tls_sni_init(struct tls_sni *sni)
{
    map_init(&sni->names);
}

void tls_sni_fini(struct tls_sni *sni)
{
    map_fini(&sni->names);
}

/* "*.rest" is ".rest" in the table: what a host has from its first dot on. */
static struct slice key_of(struct slice name)
{
    return slice_starts(name, SLICE("*.")) ? slice_from_at(name, 1) : name;
}

void tls_sni_put(struct tls_sni *sni, struct slice name, void *value)
{
    (void)map_put(&sni->names, key_of(name), value);
}

void *tls_sni_get(const struct tls_sni *sni, struct slice name)
{
    return map_get(&sni->names, key_of(name));
}

void *tls_sni_find(const struct tls_sni *sni, struct slice host)
{
    void *found = host.len != 0 && host.ptr[0] != '.' ? map_get(&sni->names, host) : NULL;
    size_t dot = found == NULL ? slice_find(host, '.') : SIZE_MAX;
    if (dot != SIZE_MAX && dot > 0) {
        found = map_get(&sni->names, slice_from_at(host, dot));
    }
    return found;
}

bool tls_sni_covers(struct slice pattern, struct slice host)
{
    if (!slice_starts(pattern, SLICE("*."))) {
        return slice_eq(pattern, host);
    }
    size_t dot = slice_find(host, '.');
    return dot != SIZE_MAX && dot > 0 &&
           slice_eq(slice_from_at(pattern, 1), slice_from_at(host, dot));
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

bool tls_sni_plain(struct slice name, char *out, struct slice *plain)
{
    if (name.len > 1 && name.ptr[name.len - 1] == '.') {
        name.len--;
    }
    if (name.len == 0 || name.len > TLS_SNI_NAME_MAX || name.ptr[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        char c = slice_lower(name.ptr[i]);
        if (!is_name_byte(c)) {
            return false;
        }
        out[i] = c;
    }
    *plain = slice_of(out, name.len);
    return true;
}

/* Names of hosts do not end in a number (WHATWG URL 3.5), addresses do, and are no SNI. */
static bool is_address(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] != '.' && (name.ptr[i] < '0' || name.ptr[i] > '9')) {
            return false;
        }
    }
    return true;
}

enum tls_sni_verdict tls_sni_parse(const uint8_t *extension, size_t len, char *out,
                                   struct slice *name)
{
    /* ServerNameList: 2 bytes of length, then one host_name: 0, 2 bytes of length, the name */
    *name = SLICE_NONE;
    if (len < 5 || (size_t)(extension[0] << 8 | extension[1]) != len - 2 || extension[2] != 0) {
        return TLS_SNI_BAD;
    }
    size_t name_len = (size_t)(extension[3] << 8 | extension[4]);
    if (name_len != len - 5 || name_len == 0) {
        return TLS_SNI_BAD;
    }
    if (memchr(extension + 5, ':', name_len) != NULL) {
        return TLS_SNI_NONE; /* an IPv6 address */
    }
    if (!tls_sni_plain(slice_of((const char *)extension + 5, name_len), out, name)) {
        return TLS_SNI_BAD;
    }
    if (is_address(*name)) {
        *name = SLICE_NONE;
        return TLS_SNI_NONE;
    }
    return TLS_SNI_OK;
}
