#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/endpoint.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

static const struct {
    const char *url;
    const char *host; /* NULL: it is none */
    const char *port;
    bool is_tls;
    bool is_fine; /* for endpoint_check */
} urls[] = {
    {"https://lb1.example.com", "lb1.example.com", "443", true, true},
    {"https://lb1.example.com:9443", "lb1.example.com", "9443", true, true},
    {"https://lb1.example.com:9443/", "lb1.example.com", "9443", true, true},
    {"https://10.0.0.1:1", "10.0.0.1", "1", true, true},
    {"https://[::1]:9443", "::1", "9443", true, true},
    {"https://[2001:db8::1]", "2001:db8::1", "443", true, true},
    {"http://127.0.0.1:9443", "127.0.0.1", "9443", false, true},
    {"http://localhost", "localhost", "80", false, true},
    {"http://[::1]:80", "::1", "80", false, true},
    {"http://lb1.example.com:80", "lb1.example.com", "80", false, false},
    {"http://128.0.0.1:80", "128.0.0.1", "80", false, false},
    {"https://", NULL, NULL, false, false},
    {"https:///x", NULL, NULL, false, false},
    {"https://a/v1", NULL, NULL, false, false},
    {"https://user@a", NULL, NULL, false, false},
    {"https://a:0", NULL, NULL, false, false},
    {"https://a:b", NULL, NULL, false, false},
    {"https://a b", NULL, NULL, false, false},
    {"https://a\r\nHost: b", NULL, NULL, false, false},
    {"https://::1", NULL, NULL, false, false},
    {"ftp://a", NULL, NULL, false, false},
    {"a:9443", NULL, NULL, false, false},
    {"", NULL, NULL, false, false},
};

START_TEST(urls_are_taken_apart)
{
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct endpoint endpoint;
        struct err err = {.kind = ERR_NONE};
        endpoint_init(&endpoint);
        bool ok = endpoint_set_url(&endpoint, urls[i].url, &err);
        ck_assert_msg(ok == (urls[i].host != NULL), "%s", urls[i].url);
        if (ok) {
            ck_assert_str_eq(endpoint.host, urls[i].host);
            ck_assert_str_eq(endpoint.port, urls[i].port);
            ck_assert_msg(endpoint.is_tls == urls[i].is_tls, "%s", urls[i].url);
            ck_assert_msg(endpoint_check(&endpoint, &err) == urls[i].is_fine, "%s", urls[i].url);
        }
        endpoint_fini(&endpoint);
    }
}
END_TEST

START_TEST(what_is_set_goes_together)
{
    struct endpoint endpoint;
    struct err err = {.kind = ERR_NONE};
    endpoint_init(&endpoint);
    ck_assert(!endpoint_check(&endpoint, &err));
    endpoint_set_socket(&endpoint, "unix:/run/x");
    ck_assert_str_eq(endpoint.socket, "/run/x");
    ck_assert_str_eq(endpoint_name(&endpoint), "/run/x");
    ck_assert(endpoint_check(&endpoint, &err));
    endpoint_text(&endpoint.ca_file, "ca");
    ck_assert(!endpoint_check(&endpoint, &err));
    ck_assert(endpoint_set_url(&endpoint, "https://a/", &err));
    ck_assert_ptr_null(endpoint.socket);
    ck_assert_str_eq(endpoint_name(&endpoint), "https://a");
    ck_assert(endpoint_check(&endpoint, &err));
    endpoint_text(&endpoint.cert_file, "cert");
    ck_assert(!endpoint_check(&endpoint, &err));
    endpoint_text(&endpoint.key_file, "key");
    ck_assert(endpoint_check(&endpoint, &err));
    ck_assert(endpoint_set_url(&endpoint, "http://127.0.0.1", &err));
    ck_assert(!endpoint_check(&endpoint, &err));
    endpoint_fini(&endpoint);
}
END_TEST

static const struct {
    const char *text;
    mode_t mode;
    const char *token; /* NULL: refused */
} tokens[] = {
    {"lbd_abc\n", 0600, "lbd_abc"},
    {"lbd_abc", 0640, "lbd_abc"},
    {"lbd_abc\r\n\n", 0400, "lbd_abc"},
    {"lbd_abc\n", 0644, NULL},
    {"lbd_abc\n", 0620, NULL},
    {"", 0600, NULL},
    {"\n", 0600, NULL},
    {"a b\n", 0600, NULL},
    {"a\r\nX: y\n", 0600, NULL},
};

START_TEST(tokens_are_read_with_care)
{
    char path[] = "/tmp/test-endpoint-XXXXXX";
    struct endpoint endpoint;
    struct err err = {.kind = ERR_NONE};
    char token[ENDPOINT_TOKEN_MAX];
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    endpoint_init(&endpoint);
    ck_assert(endpoint_read_token(&endpoint, token, &err));
    ck_assert_str_eq(token, "");
    endpoint_text(&endpoint.token_file, path);
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
        size_t len = strlen(tokens[i].text);
        ck_assert_int_eq(ftruncate(fd, 0), 0);
        ck_assert_int_eq(pwrite(fd, tokens[i].text, len, 0), (ssize_t)len);
        ck_assert_int_eq(fchmod(fd, tokens[i].mode), 0);
        bool ok = endpoint_read_token(&endpoint, token, &err);
        ck_assert_msg(ok == (tokens[i].token != NULL), "%zu: %s", i, err.text);
        ck_assert_str_eq(token, ok ? tokens[i].token : "");
    }
    (void)close(fd);
    (void)unlink(path);
    ck_assert(!endpoint_read_token(&endpoint, token, &err));
    endpoint_fini(&endpoint);
}
END_TEST

UNIT_TESTS("endpoint", urls_are_taken_apart, what_is_set_goes_together, tokens_are_read_with_care)
