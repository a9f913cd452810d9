#include <string.h>

#include "lbd/proxy/session.h"
#include "lbd/proxy/session_proxy.h"
#include "tests/unit/unit.h"

START_TEST(what_was_said_is_kept_and_hosts_in_lower_case)
{
    char bytes[] = "Shop.Exampleid";
    const struct proxy_tlvs said = {
        .authority = slice_of(bytes, 12), .unique_id = slice_of(bytes + 12, 2), .is_ssl = true};
    struct session session = {.proxied = session_proxy_new(&said)};
    memset(bytes, 'x', sizeof(bytes)); /* those of the header go */
    const struct proxy_tlvs *kept = session_proxy_said(&session);
    ck_assert(slice_eq(kept->authority, SLICE("shop.example")));
    ck_assert(slice_eq(kept->unique_id, SLICE("id")));
    ck_assert(kept->is_ssl && kept->ssl_cn.len == 0);
    session_proxy_free(session.proxied);
}
END_TEST

START_TEST(of_nothing_nothing_is_kept)
{
    const struct proxy_tlvs nothing = {.is_ssl = false};
    struct session session = {.proxied = session_proxy_new(&nothing)};
    ck_assert_ptr_null(session.proxied);
    ck_assert_uint_eq(session_proxy_said(&session)->authority.len, 0);
    session_proxy_free(NULL);
}
END_TEST

START_TEST(without_an_id_it_is_that_of_the_connection)
{
    const struct proxy_tlvs said = {.authority = SLICE("a"), .alpn = SLICE("h2")};
    static const struct transport clear; /* not that of TLS */
    struct session session = {
        .id = 0x1f, .conn.transport = &clear, .proxied = session_proxy_new(&said)};
    char out[PROXY_TLVS_OUT_MAX];
    struct proxy_tlvs again;
    size_t at = 0;
    size_t len = session_proxy_write(&session, PROXY_TLVS_UNIQUE_ID | PROXY_TLVS_AUTHORITY, out);
    ck_assert(proxy_tlvs_read(out, len, &again, &at));
    ck_assert(slice_eq(again.unique_id, SLICE("1f")) && slice_eq(again.authority, SLICE("a")));
    ck_assert_uint_eq(again.alpn.len, 0);
    session_proxy_free(session.proxied);
}
END_TEST

UNIT_TESTS("session_proxy", what_was_said_is_kept_and_hosts_in_lower_case,
           of_nothing_nothing_is_kept, without_an_id_it_is_that_of_the_connection)
