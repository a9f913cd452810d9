#include "ctl/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lbd/base/addr.h"
#include "lbd/base/mem.h"

void endpoint_init(struct endpoint *endpoint)
{
    *endpoint = (struct endpoint){.socket = NULL};
}

void endpoint_fini(struct endpoint *endpoint)
{
    char *const texts[] = {endpoint->socket,   endpoint->url,       endpoint->host,
                           endpoint->port,     endpoint->ca_file,   endpoint->cert_file,
                           endpoint->key_file, endpoint->token_file};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        free(texts[i]);
    }
    endpoint_init(endpoint);
}

void endpoint_text(char **place, const char *value)
{
    char *copy = value != NULL && value[0] != '\0' ? mem_strdup(value) : NULL;
    free(*place);
    *place = copy;
}

void endpoint_set_socket(struct endpoint *endpoint, const char *path)
{
    endpoint_text(&endpoint->socket, strncmp(path, "unix:", 5) == 0 ? path + 5 : path);
}

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    return strcmp(host, "localhost") == 0 ||
           (inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6));
}

static bool no_url(const char *url, struct err *err)
{
    return err_set(err, ERR_INVALID,
                   "'%s' is no URL of lbd: https://HOST[:PORT], or http:// on loopback", url);
}

bool endpoint_set_url(struct endpoint *endpoint, const char *url, struct err *err)
{
    struct slice rest = slice_from(url);
    struct slice host = SLICE_NONE;
    uint16_t port = 0;
    char text[8];
    bool is_tls = slice_starts(rest, SLICE("https://"));
    if (!is_tls && !slice_starts(rest, SLICE("http://"))) {
        return no_url(url, err);
    }
    rest = slice_from_at(rest, is_tls ? 8 : 7);
    if (slice_ends(rest, SLICE("/"))) {
        rest.len--;
    }
    size_t len = rest.len;
    for (size_t i = 0; i < len; i++) {
        if (rest.ptr[i] <= ' ' || rest.ptr[i] >= 0x7F ||
            strchr("/?#@\\%\"'", rest.ptr[i]) != NULL) {
            return no_url(url, err);
        }
    }
    if (!addr_split(rest, false, &host, &port)) { /* without a port */
        bool has_brackets = rest.len > 2 && rest.ptr[0] == '[' && rest.ptr[rest.len - 1] == ']';
        host = has_brackets ? slice_of(rest.ptr + 1, rest.len - 2) : rest;
        port = is_tls ? 443 : 80;
        if (host.len == 0 || (!has_brackets && slice_find(host, ':') != SIZE_MAX)) {
            return no_url(url, err);
        }
    }
    (void)snprintf(text, sizeof(text), "%u", (unsigned)port);
    endpoint_text(&endpoint->socket, NULL);
    endpoint_text(&endpoint->url, url);
    if (endpoint->url[strlen(url) - 1] == '/') {
        endpoint->url[strlen(url) - 1] = '\0';
    }
    free(endpoint->host);
    endpoint->host = mem_slicedup(host);
    endpoint_text(&endpoint->port, text);
    endpoint->is_tls = is_tls;
    return true;
}

bool endpoint_check(const struct endpoint *endpoint, struct err *err)
{
    if ((endpoint->cert_file == NULL) != (endpoint->key_file == NULL)) {
        return err_set(err, ERR_INVALID, "a certificate needs its key, and a key its certificate");
    }
    if (endpoint->socket != NULL) {
        if (endpoint->ca_file != NULL || endpoint->cert_file != NULL) {
            return err_set(err, ERR_INVALID, "certificates go with a URL, not with a socket");
        }
        return true;
    }
    if (endpoint->host == NULL) {
        return err_set(err, ERR_INVALID, "a socket or a URL is needed");
    }
    if (!endpoint->is_tls && !is_loopback(endpoint->host)) {
        return err_set(err, ERR_INVALID, "'%s' would send a token in the clear: https:// is needed",
                       endpoint->url);
    }
    if (!endpoint->is_tls && (endpoint->ca_file != NULL || endpoint->cert_file != NULL)) {
        return err_set(err, ERR_INVALID, "certificates go with https://, not with '%s'",
                       endpoint->url);
    }
    return true;
}

const char *endpoint_name(const struct endpoint *endpoint)
{
    return endpoint->socket != NULL ? endpoint->socket : endpoint->url;
}

bool endpoint_read_token(const struct endpoint *endpoint, char out[ENDPOINT_TOKEN_MAX],
                         struct err *err)
{
    const char *path = endpoint->token_file;
    struct stat found;
    out[0] = '\0';
    if (path == NULL) {
        return true;
    }
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return err_set(err, ERR_INVALID, "cannot open the token '%s': %s", path, strerror(errno));
    }
    if (fstat(fileno(file), &found) == 0 && (found.st_mode & (S_IRWXO | S_IWGRP)) != 0 &&
        S_ISREG(found.st_mode)) {
        (void)fclose(file);
        return err_set(err, ERR_INVALID, "the token '%s' is open to others: chmod 600", path);
    }
    size_t len = fread(out, 1, ENDPOINT_TOKEN_MAX - 1, file);
    (void)fclose(file);
    while (len > 0 && (out[len - 1] == '\n' || out[len - 1] == '\r' || out[len - 1] == ' ')) {
        len--;
    }
    out[len] = '\0';
    for (size_t i = 0; i < len; i++) {
        if (out[i] <= ' ' || out[i] >= 0x7F) {
            len = 0;
        }
    }
    if (len == 0) {
        out[0] = '\0';
        return err_set(err, ERR_INVALID,
                       "'%s' holds no token: one line, as lbctl token create said", path);
    }
    return true;
}
