#include "lbd/mail/mail_ask.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "conf/json/json.h"
#include "conf/json/json_write.h"
#include "lbd/base/mem.h"
#include "lbd/base/utf8.h"
#include "lbd/mail/mail_login.h"
#include "lbd/mail/sasl.h"
#include "lbd/tls/digest.h"

/* -- words -- */

static const char *method_of(const struct mail_ask *ask)
{
    if (!ask->has_login) {
        return "none";
    }
    switch ((enum mail_mechanism)ask->mechanism) {
    case MAIL_XOAUTH2:
        return "xoauth2";
    case MAIL_OAUTHBEARER:
        return "oauthbearer";
    case MAIL_EXTERNAL:
        return "external";
    case MAIL_LOGIN_COMMAND:
    case MAIL_PLAIN:
    case MAIL_LOGIN:
        break;
    }
    return "plain";
}

/* The token alone, where the client said more. */
static struct slice secret_of(const struct mail_ask *ask)
{
    struct slice token = SLICE_NONE;
    if (ask->has_login && ask->mechanism == MAIL_OAUTHBEARER) {
        token = sasl_token(ask->secret);
    }
    return token.len > 0 ? token : ask->secret;
}

static bool is_utf8(struct slice text)
{
    return utf8_first_invalid(text) == SIZE_MAX;
}

/* -- nginx: the question -- */

/* As ngx_escape_uri with NGX_ESCAPE_MAIL_AUTH: controls, space and %; upper case digits. */
static void put_escaped(struct buf *out, struct slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= ' ' || c == '%') {
            const char escaped[3] = {'%', digits[c >> 4U], digits[c & 15U]};
            (void)buf_append(out, escaped, sizeof(escaped));
        } else {
            (void)buf_append_char(out, text.ptr[i]);
        }
    }
}

static void put_line(struct buf *out, const char *name, struct slice value)
{
    (void)buf_printf(out, "%s: ", name);
    for (size_t i = 0; i < value.len; i++) { /* whoever let a line end in: it ends here */
        char c = value.ptr[i];
        (void)buf_append_char(out, c == '\r' || c == '\n' || c == '\0' ? ' ' : c);
    }
    (void)buf_append_text(out, "\r\n");
}

static void put_some(struct buf *out, const char *name, struct slice value)
{
    if (value.len != 0) {
        put_line(out, name, value);
    }
}

static struct slice ip_of(const struct addr_small *address, char text[ADDR_TEXT_MAX])
{
    if (address == NULL || address->family == 0) {
        return SLICE_NONE;
    }
    if (address->family == AF_UNIX) {
        return SLICE("unix:");
    }
    return slice_of(text, addr_small_write_ip(address, text));
}

static void put_proxy(const struct mail_ask *ask, struct buf *out)
{
    char text[ADDR_TEXT_MAX];
    if (!ask->has_proxy_header || ask->client == NULL || ask->local == NULL) {
        return;
    }
    put_line(out, "Proxy-Protocol-Addr", ip_of(ask->client, text));
    (void)buf_printf(out, "Proxy-Protocol-Port: %u\r\n", ask->client->port);
    put_line(out, "Proxy-Protocol-Server-Addr", ip_of(ask->local, text));
    (void)buf_printf(out, "Proxy-Protocol-Server-Port: %u\r\n", ask->local->port);
}

static void put_tls(const struct mail_ask *ask, struct buf *out)
{
    if (!ask->is_secure) {
        return;
    }
    put_line(out, "Auth-SSL", SLICE("on"));
    put_some(out, "Auth-SSL-Protocol", ask->tls_version);
    put_some(out, "Auth-SSL-Cipher", ask->tls_cipher);
    if (ask->asks_certificate) {
        bool has_one = ask->tls_subject.len != 0;
        put_line(out, "Auth-SSL-Verify", has_one ? SLICE("SUCCESS") : SLICE("NONE"));
        put_some(out, "Auth-SSL-Subject", ask->tls_subject); /* nginx's fingerprint is a SHA-1 */
    }
}

bool mail_ask_write_nginx(const struct mail_ask *ask, struct buf *out)
{
    char text[ADDR_TEXT_MAX];
    put_line(out, "Auth-Method", slice_from(method_of(ask)));
    (void)buf_append_text(out, "Auth-User: ");
    put_escaped(out, ask->login);
    (void)buf_append_text(out, "\r\nAuth-Pass: ");
    put_escaped(out, secret_of(ask));
    (void)buf_append_text(out, "\r\n");
    put_line(out, "Auth-Protocol", slice_from(mail_protocol_word(ask->protocol)));
    (void)buf_printf(out, "Auth-Login-Attempt: %u\r\n", ask->attempt);
    put_line(out, "Client-IP", ip_of(ask->client, text));
    if (ask->protocol == MAIL_SMTP) { /* as nginx without a resolver: nobody asks for the name */
        put_line(out, "Client-Host", SLICE("[UNAVAILABLE]"));
    }
    put_proxy(ask, out);
    if (!ask->has_login) {
        put_line(out, "Auth-SMTP-Helo", ask->helo);
        put_line(out, "Auth-SMTP-From", ask->mail_from);
        put_line(out, "Auth-SMTP-To", ask->rcpt_to);
    }
    put_tls(ask, out);
    return !out->overflow;
}

/* -- JSON: the question -- */

static void member(struct json_write *w, const char *key, struct slice value)
{
    if (value.len != 0 && is_utf8(value)) {
        json_write_member_string(w, key, value);
    }
}

static void put_secret(struct json_write *w, struct slice secret)
{
    if (is_utf8(secret) && (secret.len == 0 || memchr(secret.ptr, 0, secret.len) == NULL)) {
        json_write_member_string(w, "password", secret);
        return;
    }
    size_t max = DIGEST_BASE64_MAX(secret.len);
    char *text = mem_alloc(max);
    digest_write_base64((const uint8_t *)secret.ptr, secret.len, text);
    json_write_member_text(w, "password_base64", text);
    mem_wipe(text, max);
    free(text);
}

static void put_end(struct json_write *w, const char *key, const struct addr_small *address)
{
    char text[ADDR_TEXT_MAX];
    struct slice ip = ip_of(address, text);
    if (ip.len != 0) {
        json_write_key(w, key);
        json_write_object_begin(w);
        json_write_member_string(w, "ip", ip);
        json_write_member_u64(w, "port", address->port);
        json_write_object_end(w);
    }
}

bool mail_ask_write_json(const struct mail_ask *ask, struct buf *out)
{
    struct json_write w;
    json_write_init(&w, out, JSON_COMPACT);
    json_write_object_begin(&w);
    json_write_member_text(&w, "protocol", mail_protocol_word(ask->protocol));
    json_write_member_text(&w, "method", method_of(ask));
    if (ask->has_login) {
        member(&w, "user", ask->user);
        member(&w, "login", ask->login);
        member(&w, "authzid", ask->authzid);
        if (ask->mechanism != MAIL_EXTERNAL) {
            put_secret(&w, secret_of(ask));
        }
    }
    json_write_member_u64(&w, "attempt", ask->attempt);
    member(&w, "session", ask->session);
    put_end(&w, "client", ask->client);
    put_end(&w, "server", ask->local);
    if (ask->is_secure) {
        json_write_key(&w, "tls");
        json_write_object_begin(&w);
        member(&w, "version", ask->tls_version);
        member(&w, "cipher", ask->tls_cipher);
        member(&w, "subject", ask->tls_subject);
        member(&w, "fingerprint", ask->tls_fingerprint);
        json_write_object_end(&w);
    }
    if (ask->protocol == MAIL_SMTP) {
        json_write_key(&w, "smtp");
        json_write_object_begin(&w);
        member(&w, "helo", ask->helo);
        member(&w, "from", ask->mail_from);
        member(&w, "to", ask->rcpt_to);
        json_write_object_end(&w);
    }
    json_write_object_end(&w);
    return !out->overflow;
}

/* -- the answer -- */

static void bad(struct mail_ask_answer *answer, const char *problem)
{
    answer->verdict = MAIL_ASK_BAD;
    answer->problem = problem;
}

/* A text for the client: one line of what it may be shown. */
static void set_text(struct mail_ask_answer *answer, struct slice text)
{
    for (size_t i = 0; i < text.len && answer->text_len < sizeof(answer->text); i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        answer->text[answer->text_len++] = c < ' ' || c == 0x7F ? ' ' : (char)c;
    }
}

/* "535 5.7.8": SMTP's reply code, and perhaps the enhanced one (RFC 5321 4.2, RFC 2034). */
static bool set_code(struct mail_ask_answer *answer, struct slice code)
{
    bool fits = code.len >= 3 && code.len <= MAIL_ASK_CODE_MAX &&
                (code.ptr[0] == '4' || code.ptr[0] == '5') && (code.len == 3 || code.ptr[3] == ' ');
    for (size_t i = 0; fits && i < code.len; i++) {
        bool is_digit = code.ptr[i] >= '0' && code.ptr[i] <= '9';
        fits = is_digit || (i >= 3 && (code.ptr[i] == ' ' || code.ptr[i] == '.'));
    }
    if (fits) {
        memcpy(answer->code, code.ptr, code.len);
        answer->code[code.len] = '\0';
    }
    return fits;
}

/* It goes into lines of another protocol. Empty: the client's counts. */
static bool set_user(struct mail_ask_answer *answer, struct slice user)
{
    if (user.len != 0) {
        if (!mail_login_is_name(user)) {
            return false;
        }
        memcpy(answer->user, user.ptr, user.len);
    }
    answer->user_len = (uint16_t)user.len;
    return true;
}

static bool set_secret(struct mail_ask_answer *answer, struct slice secret)
{
    if (secret.len > sizeof(answer->secret)) {
        return false;
    }
    for (size_t i = 0; i < secret.len; i++) {
        if (secret.ptr[i] == '\r' || secret.ptr[i] == '\n' || secret.ptr[i] == '\0') {
            return false;
        }
    }
    if (secret.len != 0) {
        memcpy(answer->secret, secret.ptr, secret.len);
    }
    answer->secret_len = (uint32_t)secret.len;
    return true;
}

static bool read_number(struct slice text, uint32_t max, uint32_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || i >= 10) {
            return false;
        }
        value = value * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    *out = value > max ? max : (uint32_t)value;
    return text.len != 0;
}

static struct slice value_of(const struct headers *headers, const char *name)
{
    const struct header *header = headers_find_name(headers, slice_from(name));
    return header != NULL ? header_value(headers, header) : SLICE_NONE;
}

/* Where it goes, with a status of OK. */
static void read_target(struct mail_ask_answer *answer, const struct headers *headers,
                        const struct mail_ask *ask)
{
    struct slice server = value_of(headers, "Auth-Server");
    struct slice port_text = value_of(headers, "Auth-Port");
    uint32_t port = 0;
    if (server.len == 0 || port_text.len == 0) {
        bad(answer, "it names no Auth-Server or no Auth-Port");
        return;
    }
    if (!read_number(port_text, 65536, &port) || port == 0 || port > 65535) {
        bad(answer, "its Auth-Port is none");
        return;
    }
    if (server.len > 2 && server.ptr[0] == '[' && server.ptr[server.len - 1] == ']') {
        server = slice_of(server.ptr + 1, server.len - 2);
    }
    bool is_unix = slice_starts(server, SLICE("unix:"));
    if (is_unix ? !addr_parse(server, &answer->address)
                : !addr_from_ip(server, (uint16_t)port, &answer->address)) {
        bad(answer, "its Auth-Server is no address (names are not resolved)");
        return;
    }
    if (!set_user(answer, value_of(headers, "Auth-User"))) {
        bad(answer, "its Auth-User is no name");
        return;
    }
    if (!set_secret(answer, value_of(headers, "Auth-Pass"))) {
        bad(answer, "its Auth-Pass is no password");
        return;
    }
    if (answer->secret_len == 0 && ask->has_login && ask->mechanism == MAIL_EXTERNAL &&
        ask->protocol != MAIL_SMTP) {
        bad(answer, "it has no Auth-Pass, and the client showed none");
    }
}

void mail_ask_read_nginx(struct mail_ask_answer *answer, const struct headers *headers,
                         const struct mail_ask *ask)
{
    memset(answer, 0, sizeof(*answer));
    answer->problem = "";
    struct slice status = value_of(headers, "Auth-Status");
    struct slice wait = value_of(headers, "Auth-Wait");
    if (wait.len != 0 && read_number(wait, MAIL_ASK_WAIT_MAX_S, &answer->wait_s)) {
        answer->has_wait = answer->wait_s != 0;
    }
    if (slice_eq(status, SLICE("OK"))) {
        read_target(answer, headers, ask);
    } else if (slice_eq(status, SLICE("WAIT"))) {
        answer->verdict = MAIL_ASK_WAIT;
    } else if (status.len == 0) {
        bad(answer, "it has no Auth-Status");
    } else {
        answer->verdict = MAIL_ASK_REFUSED;
        set_text(answer, status);
        (void)set_code(answer, value_of(headers, "Auth-Error-Code"));
    }
}

/* -- JSON: the answer -- */

static bool copy_name(char out[MAIL_ASK_NAME_MAX + 1], const struct json *json)
{
    struct slice name = json_string(json);
    if (json != NULL && (!json_is(json, JSON_STRING) || name.len == 0)) {
        return false;
    }
    if (name.len > MAIL_ASK_NAME_MAX) {
        return false;
    }
    if (name.len != 0) {
        memcpy(out, name.ptr, name.len);
    }
    out[name.len] = '\0';
    return true;
}

static bool is_text(const struct json *json)
{
    return json == NULL || json_is(json, JSON_STRING);
}

static void read_json_target(struct mail_ask_answer *answer, const struct json *json)
{
    const struct json *address = json_get(json, SLICE("address"));
    const struct json *user = json_get(json, SLICE("login_user"));
    const struct json *secret = json_get(json, SLICE("password"));
    if (!copy_name(answer->pool, json_get(json, SLICE("pool")))) {
        bad(answer, "its \"pool\" is no name");
    } else if (!copy_name(answer->server, json_get(json, SLICE("server")))) {
        bad(answer, "its \"server\" is no name");
    } else if (address != NULL && !addr_parse(json_string(address), &answer->address)) {
        bad(answer, "its \"address\" is none");
    } else if (!is_text(user) || !set_user(answer, json_string(user))) {
        bad(answer, "its \"login_user\" is no name");
    } else if (!is_text(secret) || !set_secret(answer, json_string(secret))) {
        bad(answer, "its \"password\" is none");
    }
}

static void read_json_wait(struct mail_ask_answer *answer, const struct json *json)
{
    const struct json *wait = json_get(json, SLICE("wait"));
    double seconds = json_number(wait);
    if (json_is(wait, JSON_NUMBER) && seconds > 0) {
        answer->wait_s =
            seconds >= MAIL_ASK_WAIT_MAX_S ? MAIL_ASK_WAIT_MAX_S : (uint32_t)ceil(seconds);
        answer->has_wait = true;
    }
}

void mail_ask_read_json(struct mail_ask_answer *answer, struct slice body,
                        const struct mail_ask *ask)
{
    static const struct json_limits limits = {
        .bytes = MAIL_ASK_BYTES_MAX, .depth = 8, .values = 1000, .objects = 100};
    struct json_error error;
    (void)ask;
    memset(answer, 0, sizeof(*answer));
    answer->problem = "";
    struct json *json = json_parse(body, JSON_FOREIGN, &limits, &error);
    struct slice status = json_string(json_get(json, SLICE("status")));
    const struct json *text = json_get(json, SLICE("text"));
    const struct json *code = json_get(json, SLICE("code"));
    if (!json_is(json, JSON_OBJECT)) {
        bad(answer, "it is no JSON object");
    } else if (slice_eq(status, SLICE("ok"))) {
        read_json_target(answer, json);
    } else if (slice_eq(status, SLICE("wait"))) {
        answer->verdict = MAIL_ASK_WAIT;
        read_json_wait(answer, json);
    } else if (!slice_eq(status, SLICE("refused"))) {
        bad(answer, "its \"status\" is none of ok, refused, wait");
    } else if (!is_text(text) || (code != NULL && !set_code(answer, json_string(code)))) {
        bad(answer, "its \"text\" or \"code\" is none");
    } else {
        answer->verdict = MAIL_ASK_REFUSED;
        set_text(answer, json_string(text));
        read_json_wait(answer, json);
    }
    json_free(json);
}

void mail_ask_answer_wipe(struct mail_ask_answer *answer)
{
    mem_wipe(answer->secret, sizeof(answer->secret));
    answer->secret_len = 0;
}
