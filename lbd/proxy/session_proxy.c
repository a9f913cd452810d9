/* session_proxy - see session_proxy.h. */
#include "lbd/proxy/session_proxy.h"

#include <stdlib.h>
#include <string.h>

#include "lbd/base/mem.h"
#include "lbd/base/num.h"
#include "lbd/proxy/session.h"
#include "lbd/tls/tls_conn.h"

struct session_proxy {
    struct proxy_tlvs tlvs; /* points into text[] */
    char text[];
};

struct session_proxy *session_proxy_new(const struct proxy_tlvs *tlvs)
{
    struct proxy_tlvs copy = *tlvs;
    struct slice *all[] = {&copy.alpn,        &copy.authority, &copy.unique_id,
                           &copy.ssl_version, &copy.ssl_cn,    &copy.ssl_cipher};
    size_t len = 0;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        len += all[i]->len;
    }
    if (len == 0 && !copy.is_ssl) {
        return NULL;
    }
    struct session_proxy *kept = mem_alloc(sizeof(*kept) + len);
    char *at = kept->text;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (all[i]->len != 0) {
            memcpy(at, all[i]->ptr, all[i]->len);
            *all[i] = slice_of(at, all[i]->len);
            at += all[i]->len;
        }
    }
    kept->tlvs = copy;
    for (size_t i = 0; i < copy.authority.len; i++) { /* as SNI is: hosts compare without case */
        char *c = kept->text + (copy.authority.ptr - kept->text) + i;
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + ('a' - 'A')) : *c;
    }
    return kept;
}

void session_proxy_free(struct session_proxy *kept)
{
    free(kept);
}

const struct proxy_tlvs *session_proxy_said(const struct session *session)
{
    static const struct proxy_tlvs nothing;
    return session->proxied != NULL ? &session->proxied->tlvs : &nothing;
}

size_t session_proxy_write(const void *arg, unsigned words, char out[PROXY_TLVS_OUT_MAX])
{
    const struct session *session = arg;
    const struct conn *conn = &session->conn;
    struct proxy_tlvs tlvs = *session_proxy_said(session);
    struct tls_conn_facts facts;
    char id[NUM_TEXT_MAX];
    char name[PROXY_TLVS_NAME_MAX];
    struct slice said = tlvs.unique_id;
    if (tls_conn_look(conn, &facts)) {
        tlvs = (struct proxy_tlvs){
            .alpn = tls_conn_alpn(conn),
            .authority = facts.sni,
            .ssl_version = facts.version,
            .ssl_cipher = facts.cipher,
            .is_ssl = true,
        };
        tlvs.has_certificate =
            tls_conn_certificate(conn, name, sizeof(name), &tlvs.ssl_cn, &tlvs.is_verified);
    }
    tlvs.unique_id = said.len != 0 ? said : slice_of(id, num_write_hex(id, session->id));
    return proxy_tlvs_write(out, &tlvs, words);
}
