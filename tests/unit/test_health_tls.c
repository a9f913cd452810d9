#include "lbd/upstream/health_tls.h"
#include "tests/unit/probe_peer.h"
#include "tests/unit/tls_files.h"
#include "tests/unit/unit.h"

static const struct conf_health_check check = {.type = CONF_CHECK_TLS, .timeout_ms = 1000};

static const struct {
    const char *name;
    enum tls_verify verify;
    bool speaks_tls;
    enum health_probe_verdict verdict;
    const char *text;
} servers[] = {
    {"localhost", TLS_VERIFY_FULL, true, HEALTH_PROBE_PASSED, "TLSv1.3 handshake in "},
    {"shop.example", TLS_VERIFY_FULL, true, HEALTH_PROBE_FAILED,
     "TLS: the certificate of 'CN=localhost': hostname mismatch: it is not for shop.example"},
    {"shop.example", TLS_VERIFY_OFF, true, HEALTH_PROBE_PASSED, "TLSv1.3 handshake in "},
    {"localhost", TLS_VERIFY_OFF, false, HEALTH_PROBE_FAILED, "timed out after 1s in the TLS "},
};

START_TEST(a_handshake_is_a_verdict)
{
    struct tls_files files;
    struct probe_field field;
    struct err err = {0};
    tls_files_begin(&files);
    const struct tls_context_options options = {
        .is_server = true, .chain_file = files.chain, .key_file = files.key};
    struct tls_context *context = tls_context_new(&options, &err);
    struct tls_ca *ca = tls_ca_from_files(files.ca, NULL, &err);
    const struct tls_client_options ours = {.verify = servers[_i].verify, .ca = ca};
    struct tls_client *client = tls_client_new(&ours, &err);
    ck_assert_msg(context != NULL && client != NULL, "%s", err.text);
    probe_field_init(&field);
    field.peer.tls = servers[_i].speaks_tls ? context : NULL;
    field.tls = client;
    field.tls_name = servers[_i].name;
    probe_field_run(&field, &check, &field.peer.address);
    probe_field_expect(&field, servers[_i].verdict, servers[_i].text);
    probe_field_fini(&field);
    tls_client_unref(client);
    tls_ca_unref(ca);
    tls_context_unref(context);
    tls_files_end(&files);
}
END_TEST

static void add_servers(TCase *tcase)
{
    tcase_add_loop_test(tcase, a_handshake_is_a_verdict, 0, ARRAY_LEN(servers));
}

UNIT_MAIN("health_tls", add_servers)
