/* mail_fuzz - see mail_fuzz.h. */
#include "tests/fuzz/mail_fuzz.h"

#include <stdbool.h>
#include <stdlib.h>

#include "lbd/base/mem.h"
#include "lbd/mail/mail_client.h"
#include "lbd/mail/mail_server.h"

enum { HEAD = 3, OUT_MAX = 16 * 1024 * 1024, INPUT_MAX = 64 * 1024 };

static void expect(bool is_true)
{
    if (!is_true) {
        abort();
    }
}

/* Lines that end in CRLF and hold nothing else that could end one. */
static void expect_lines(struct slice said)
{
    for (size_t i = 0; i < said.len; i++) {
        char c = said.ptr[i];
        expect(c != '\0');
        expect(c != '\r' || (i + 1 < said.len && said.ptr[i + 1] == '\n'));
        expect(c != '\n' || (i > 0 && said.ptr[i - 1] == '\r'));
    }
    expect(said.len == 0 || said.ptr[said.len - 1] == '\n');
}

static void expect_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        expect((unsigned char)name.ptr[i] >= ' ' && name.ptr[i] != 0x7f);
    }
}

/* How the bytes are handed over: up to `cut`, then in pieces of `piece`. */
struct cuts {
    size_t cut;
    size_t piece;
};

static size_t piece_of(const struct cuts *cuts, size_t at, size_t len)
{
    size_t piece = at < cuts->cut ? cuts->cut - at : cuts->piece;
    return piece < len - at ? piece : len - at;
}

static void note(struct buf *log, struct buf *out, unsigned event, unsigned detail)
{
    expect_lines(buf_slice(out));
    buf_append_slice(log, buf_slice(out));
    buf_clear(out);
    if (event != 0) {
        buf_printf(log, "<%u %u>\n", event, detail);
    }
}

/* -- a client -- */

/* False: it is over. */
static bool after_event(struct mail_client *client, enum mail_client_event event, uint8_t how,
                        struct buf *out, struct buf *log)
{
    unsigned round = client->failures;
    switch (event) {
    case MAIL_CLIENT_MORE:
        return true;
    case MAIL_CLIENT_STARTTLS:
        mail_client_secured(client, out);
        return true;
    case MAIL_CLIENT_LOGIN:
        expect(client->login.user_len > 0);
        expect_name(mail_login_user(&client->login));
        expect_name(mail_login_authzid(&client->login));
        buf_append_slice(log, mail_login_user(&client->login));
        buf_append_char(log, '\n');
        buf_append_slice(log, mail_login_authzid(&client->login));
        buf_append_char(log, '\n');
        buf_append_slice(log, mail_login_secret(&client->login));
        break;
    case MAIL_CLIENT_RELAY:
        buf_append_slice(log, buf_slice(&client->line));
        break;
    case MAIL_CLIENT_CLOSE:
        return false;
    }
    if ((how & 16) != 0) {
        mail_client_challenge(client, SLICE("e30="), out);
    }
    if ((how & 32) != 0) {
        return mail_client_refuse(client, (enum mail_refusal)(round % (MAIL_INTERNAL + 1)),
                                  SLICE("no\r\n+OK"), out);
    }
    mail_client_accept(client, &(struct mail_welcome){.text = SLICE_INIT("in\r\n")}, out);
    return false;
}

static void run_client(enum mail_protocol protocol, uint8_t how, struct slice bytes,
                       struct cuts cuts, struct buf *log)
{
    const struct mail_offer offer = {
        .protocol = protocol,
        .host = SLICE_INIT("mx.example"),
        .greeting = SLICE_INIT("ready"),
        .mechanisms = (1U << MAIL_MECHANISM_COUNT) - 1,
        .has_starttls = true,
        .allows_cleartext = (how & 1) != 0,
        .needs_no_login = (how & 8) != 0,
        .needs_recipient = (how & 40) == 40,
        .bad_commands = 5,
        .failures = 9,
    };
    struct mail_client client;
    struct buf out;
    buf_init(&out, OUT_MAX);
    mail_client_init(&client, &offer, (how & 2) != 0);
    client.is_trusted = (how & 4) != 0;
    client.subject = (how & 64) != 0 ? SLICE("joe") : SLICE_NONE;
    mail_client_greet(&client, &out);
    bool goes_on = true;
    size_t at = 0;
    while (goes_on && at < bytes.len) {
        size_t piece = piece_of(&cuts, at, bytes.len);
        char *copy = mem_alloc(piece);
        memcpy(copy, bytes.ptr + at, piece);
        enum mail_client_event event;
        size_t used = mail_client_feed(&client, copy, piece, &out, &event);
        expect(used <= piece && (used == piece || event != MAIL_CLIENT_MORE));
        free(copy);
        at += used;
        note(log, &out, event, event == MAIL_CLIENT_CLOSE ? client.reason : 0);
        goes_on = after_event(&client, event, how, &out, log);
        note(log, &out, 0, 0);
        if (event == MAIL_CLIENT_LOGIN) {
            buf_printf(log, "<rest from %zu>", at);
        }
    }
    buf_printf(log, "<%.*s %u>", (int)client.behind.address_len, client.behind.address,
               client.behind.port);
    mail_client_fini(&client);
    buf_fini(&out);
}

/* -- a server -- */

static void run_server(enum mail_protocol protocol, uint8_t how, struct slice bytes,
                       struct cuts cuts, struct buf *log)
{
    static const struct mail_origin origin = {
        .client_ip = SLICE_INIT("2001:db8::1"),
        .client_port = 1025,
        .session = SLICE_INIT("x7"),
        .helo = SLICE_INIT("a.example"),
        .ttl = 6,
    };
    const struct mail_terms terms = {
        .protocol = protocol,
        .credentials = (how & 8) != 0 ? MAIL_CREDENTIALS_MASTER : MAIL_CREDENTIALS_FORWARD,
        .starttls = (how & 1) != 0,
        .tells_client = (how & 2) != 0,
        .is_check = (how & 4) != 0,
        .master_user = SLICE_INIT("master"),
        .master_password = SLICE_INIT("key"),
        .host = SLICE_INIT("mx.example"),
    };
    struct mail_login login = {.mechanism = (how & 16) != 0 ? MAIL_OAUTHBEARER : MAIL_PLAIN};
    expect(mail_login_set_user(&login, SLICE("joe")));
    expect(mail_login_set_secret(&login, SLICE("auth=Bearer t\x01\x01"), MAIL_TOKEN_MAX));
    struct mail_server server;
    struct buf out;
    buf_init(&out, OUT_MAX);
    mail_server_init(&server, &terms, (how & 32) != 0 ? NULL : &login, SLICE("joe"), &origin,
                     false);
    bool goes_on = true;
    size_t at = 0;
    while (goes_on && at < bytes.len) {
        size_t piece = piece_of(&cuts, at, bytes.len);
        char *copy = mem_alloc(piece);
        memcpy(copy, bytes.ptr + at, piece);
        enum mail_server_event event;
        size_t used = mail_server_feed(&server, copy, piece, &out, &event);
        expect(used <= piece && (used == piece || event != MAIL_SERVER_MORE));
        free(copy);
        at += used;
        if (event == MAIL_SERVER_STARTTLS && at < bytes.len) {
            event = MAIL_SERVER_FAILED; /* the cut hid it from the dialect, and TLS fails */
            server.reason = CLOSE_SERVER_STARTTLS_INJECTION;
            buf_clear(&server.text);
        } else if (event == MAIL_SERVER_FAILED &&
                   server.reason == CLOSE_SERVER_STARTTLS_INJECTION) {
            buf_clear(&server.text);
        }
        note(log, &out, event, event == MAIL_SERVER_FAILED ? server.reason : server.at);
        if (event != MAIL_SERVER_MORE) {
            buf_append_slice(log, buf_slice(&server.text));
        }
        goes_on = event == MAIL_SERVER_MORE || event == MAIL_SERVER_CHALLENGE;
        if (event == MAIL_SERVER_STARTTLS) {
            mail_server_secured(&server, &out);
            note(log, &out, 0, 0);
            goes_on = true;
        } else if (event == MAIL_SERVER_READY) {
            buf_append_slice(log, server.welcome.capabilities);
            buf_append_slice(log, server.welcome.untagged);
            buf_printf(log, "<rest from %zu>", at);
        }
    }
    mail_server_fini(&server);
    mail_login_wipe(&login);
    buf_fini(&out);
}

/* -- both -- */

typedef void run_fn(enum mail_protocol protocol, uint8_t how, struct slice bytes, struct cuts cuts,
                    struct buf *log);

static int fuzz(run_fn *run, enum mail_protocol protocol, const uint8_t *data, size_t size)
{
    if (size < HEAD + 1 || size > INPUT_MAX) {
        return 0;
    }
    struct slice bytes = slice_of((const char *)data + HEAD, size - HEAD);
    const struct cuts ways[] = {
        {0, SIZE_MAX}, {0, 1}, {(data[1] * 256U + data[2]) % bytes.len, SIZE_MAX}};
    struct buf logs[3];
    for (size_t i = 0; i < 3; i++) {
        buf_init(&logs[i], 2 * OUT_MAX);
        run(protocol, data[0], bytes, ways[i], &logs[i]);
        expect(slice_eq(buf_slice(&logs[i]), buf_slice(&logs[0])));
    }
    for (size_t i = 0; i < 3; i++) {
        buf_fini(&logs[i]);
    }
    return 0;
}

int mail_fuzz_client(enum mail_protocol protocol, const uint8_t *data, size_t size)
{
    return fuzz(run_client, protocol, data, size);
}

int mail_fuzz_server(enum mail_protocol protocol, const uint8_t *data, size_t size)
{
    return fuzz(run_server, protocol, data, size);
}
