/* Our side that logs in, before our side that clients log in to: what one writes the other reads,
 * whatever the name, the secret and the way to show it. */
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/mail/mail_client.h"
#include "lbd/mail/mail_server.h"
#include "tests/unit/mail_stand.h"
#include "tests/unit/unit.h"

enum { OUT_MAX = 256 * 1024 };

static const struct slice host = SLICE_INIT("lbd.example");

struct pair {
    enum mail_protocol protocol;
    uint32_t mechanisms; /* that the listener offers */
    enum mail_mechanism login_mechanism;
    struct slice user;
    struct slice authzid;
    struct slice secret;
    uint8_t insists; /* mechanism + 1 */
    bool is_secure;
    bool starttls;
    bool tells_client;
    enum mail_credentials credentials;
};

/* What came of it. */
struct outcome {
    bool is_ready;  /* the server took it */
    bool is_failed; /* there was no way to show it */
    struct mail_login seen;
    struct mail_behind behind;
};

struct wire {
    struct mail_client client;
    struct mail_server server;
    struct buf to_client;
    struct buf to_server;
    bool in_handshake;
};

static void client_reads(struct wire *wire, struct outcome *outcome)
{
    enum mail_client_event event;
    size_t used = mail_client_feed(&wire->client, wire->to_client.data, wire->to_client.len,
                                   &wire->to_server, &event);
    buf_consume(&wire->to_client, used);
    static const struct mail_welcome welcome = {.text = SLICE_INIT("in"),
                                                .capabilities = SLICE_INIT("IMAP4rev1")};
    switch (event) {
    case MAIL_CLIENT_MORE:
        break;
    case MAIL_CLIENT_STARTTLS:
        ck_assert_uint_eq(wire->to_client.len, 0);
        break;
    case MAIL_CLIENT_LOGIN:
        ck_assert_uint_eq(wire->to_client.len, 0);
        outcome->seen = wire->client.login;
        outcome->behind = wire->client.behind;
        wire->client.login = (struct mail_login){0};
        mail_client_accept(&wire->client, &welcome, &wire->to_server);
        break;
    case MAIL_CLIENT_RELAY:
    case MAIL_CLIENT_CLOSE:
        ck_abort_msg("closed: %s", close_reason_sentence((enum close_reason)wire->client.reason));
    }
}

/* False: it is over. */
static bool server_reads(struct wire *wire, struct outcome *outcome)
{
    enum mail_server_event event;
    size_t used = mail_server_feed(&wire->server, wire->to_server.data, wire->to_server.len,
                                   &wire->to_client, &event);
    buf_consume(&wire->to_server, used);
    switch (event) {
    case MAIL_SERVER_MORE:
        return true;
    case MAIL_SERVER_STARTTLS:
        mail_server_secured(&wire->server, &wire->to_client);
        mail_client_secured(&wire->client, &wire->to_server);
        return true;
    case MAIL_SERVER_READY:
        outcome->is_ready = true;
        return false;
    case MAIL_SERVER_FAILED:
        outcome->is_failed = true;
        return false;
    case MAIL_SERVER_CHALLENGE:
    case MAIL_SERVER_REFUSED:
    case MAIL_SERVER_UNAVAILABLE:
        ck_abort_msg("event %d: %s", (int)event, wire->server.text.data);
    }
    return false;
}

static void run(const struct pair *pair, struct outcome *outcome)
{
    struct mail_offer offer = mail_stand_offer;
    offer.protocol = pair->protocol;
    offer.mechanisms = pair->mechanisms;
    offer.allows_cleartext = !pair->starttls;
    const struct mail_terms terms = {.protocol = pair->protocol,
                                     .credentials = pair->credentials,
                                     .mechanism = pair->insists,
                                     .starttls = pair->starttls,
                                     .tells_client = pair->tells_client,
                                     .master_user = SLICE_INIT("master"),
                                     .master_password = SLICE_INIT("key"),
                                     .host = host};
    static const struct mail_origin origin = {.client_ip = SLICE_INIT("2001:db8::1"),
                                              .client_port = 1025,
                                              .session = SLICE_INIT("s7"),
                                              .helo = SLICE_INIT("a.example"),
                                              .transport = SLICE_INIT("TLS"),
                                              .is_esmtp = true,
                                              .ttl = 6};
    struct mail_login login = {.mechanism = (uint8_t)pair->login_mechanism};
    ck_assert(mail_login_set_user(&login, pair->user));
    ck_assert(pair->authzid.len == 0 || mail_login_set_authzid(&login, pair->authzid));
    ck_assert(mail_login_set_secret(&login, pair->secret, MAIL_TOKEN_MAX));
    struct wire wire = {0};
    buf_init(&wire.to_client, OUT_MAX);
    buf_init(&wire.to_server, OUT_MAX);
    mail_client_init(&wire.client, &offer, pair->is_secure);
    wire.client.is_trusted = true;
    mail_server_init(&wire.server, &terms, &login, pair->user, &origin, pair->is_secure);
    mail_client_greet(&wire.client, &wire.to_server);
    *outcome = (struct outcome){0};
    bool goes_on = true;
    for (int turns = 0; goes_on; turns++) {
        ck_assert_msg(turns < 100, "they wait for each other");
        if (wire.to_server.len > 0) {
            goes_on = server_reads(&wire, outcome);
        }
        if (goes_on && wire.to_client.len > 0) {
            client_reads(&wire, outcome);
        }
    }
    mail_server_fini(&wire.server);
    mail_client_fini(&wire.client);
    mail_login_wipe(&login);
    buf_fini(&wire.to_client);
    buf_fini(&wire.to_server);
}

static const enum mail_protocol protocols[] = {MAIL_IMAP, MAIL_POP3, MAIL_SMTP, MAIL_SIEVE};

static struct slice long_secret(void)
{
    static char secret[1000];
    memset(secret, 'x', sizeof(secret));
    secret[500] = '"';
    return slice_of(secret, sizeof(secret));
}

static const struct slice secrets[] = {
    SLICE_INIT("secret"),      SLICE_INIT(" "),           SLICE_INIT("\"\\ %{}"),
    SLICE_INIT("{5}"),         SLICE_INIT("{3+}"),        SLICE_INIT("p\xc3\xa4ss w\xc3\xb6rd"),
    SLICE_INIT("\xff\xfe"),    SLICE_INIT("*"),           SLICE_INIT("="),
    SLICE_INIT("+"),           SLICE_INIT("a\tb"),        SLICE_INIT(" lead and trail "),
    SLICE_INIT("a\r\nb NOOP"), SLICE_INIT("x\nQUIT\r\n"), SLICE_INIT(""),
};

static void expect_seen(const struct pair *pair, const struct outcome *outcome)
{
    const struct mail_login *seen = &outcome->seen;
    ck_assert_msg(slice_eq(mail_login_user(seen), pair->user), "%s: user '%.*s'",
                  mail_protocol_word(pair->protocol), SLICE_ARG(mail_login_user(seen)));
    ck_assert_msg(slice_eq(mail_login_secret(seen), pair->secret), "%s: secret '%.*s' not '%.*s'",
                  mail_protocol_word(pair->protocol), SLICE_ARG(mail_login_secret(seen)),
                  SLICE_ARG(pair->secret));
    ck_assert(slice_eq(mail_login_authzid(seen), pair->authzid));
}

/* Each mechanism alone, so that it is the one that is chosen. A secret that cannot be shown in a
 * way of a protocol is not shown there: nothing of it is taken for a command. */
START_TEST(passwords_arrive_as_they_are)
{
    static const enum mail_mechanism mechanisms[] = {MAIL_PLAIN, MAIL_LOGIN, MAIL_LOGIN_COMMAND};
    for (size_t i = 0; i < ARRAY_LEN(protocols) * ARRAY_LEN(mechanisms); i++) {
        for (size_t k = 0; k <= ARRAY_LEN(secrets); k++) {
            enum mail_mechanism mechanism = mechanisms[i % ARRAY_LEN(mechanisms)];
            struct outcome outcome;
            struct pair pair = {
                .protocol = protocols[i / ARRAY_LEN(mechanisms)],
                .mechanisms = MAIL_MECHANISM_BIT(mechanism),
                .login_mechanism = MAIL_PLAIN,
                .insists = (uint8_t)(mechanism + 1),
                .is_secure = true, /* LOGINDISABLED in clear means no password at all */
                .user = SLICE("j\"o\\e@example.com"),
                .secret = k < ARRAY_LEN(secrets) ? secrets[k] : long_secret(),
            };
            run(&pair, &outcome);
            bool is_in_base64 = mechanism != MAIL_LOGIN_COMMAND;
            ck_assert_msg(outcome.is_ready != outcome.is_failed, "%s %zu",
                          mail_protocol_word(pair.protocol), k);
            ck_assert_msg(outcome.is_ready || !(is_in_base64 || pair.protocol == MAIL_IMAP),
                          "%s secret %zu by %s", mail_protocol_word(pair.protocol), k,
                          mail_mechanism_word(mechanism));
            if (outcome.is_ready) {
                expect_seen(&pair, &outcome);
                ck_assert_int_eq(outcome.seen.mechanism, mechanism);
            }
            mail_login_wipe(&outcome.seen);
        }
    }
}
END_TEST

START_TEST(names_arrive_as_they_are)
{
    static const struct slice names[] = {
        SLICE_INIT("joe"),           SLICE_INIT("gr\xc3\xbcn@ex\xc3\xa4mple.com"),
        SLICE_INIT("a b"),           SLICE_INIT("j,o=e"),
        SLICE_INIT("joe+x=y@b"),     SLICE_INIT("{5}"),
        SLICE_INIT("\"q\" \\ %{}*"), SLICE_INIT("NIL"),
    };
    for (size_t i = 0; i < ARRAY_LEN(protocols) * ARRAY_LEN(names); i++) {
        struct outcome outcome;
        struct pair pair = {
            .protocol = protocols[i / ARRAY_LEN(names)],
            .mechanisms = mail_stand_offer.mechanisms,
            .login_mechanism = MAIL_PLAIN,
            .user = names[i % ARRAY_LEN(names)],
            .secret = SLICE("secret"),
            .tells_client = true,
        };
        run(&pair, &outcome);
        ck_assert_msg(outcome.is_ready, "%zu", i);
        expect_seen(&pair, &outcome);
        mail_login_wipe(&outcome.seen);
        pair.authzid = SLICE("bob, the = \"other\"");
        run(&pair, &outcome);
        ck_assert_msg(outcome.is_ready, "%zu", i);
        expect_seen(&pair, &outcome);
        mail_login_wipe(&outcome.seen);
        pair.login_mechanism = MAIL_OAUTHBEARER;
        pair.authzid = SLICE_NONE;
        pair.secret = SLICE("auth=Bearer t.o-k_e~n+/=\x01\x01");
        run(&pair, &outcome);
        ck_assert_msg(outcome.is_ready, "%zu", i);
        expect_seen(&pair, &outcome);
        mail_login_wipe(&outcome.seen);
    }
}
END_TEST

START_TEST(the_client_behind_is_told_and_heard)
{
    for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
        for (int starttls = 0; starttls < 2; starttls++) {
            struct outcome outcome;
            struct pair pair = {
                .protocol = protocols[i],
                .mechanisms = mail_stand_offer.mechanisms,
                .login_mechanism = MAIL_PLAIN,
                .user = SLICE("joe"),
                .secret = SLICE("secret"),
                .starttls = starttls == 1,
                .tells_client = true,
            };
            run(&pair, &outcome);
            ck_assert(outcome.is_ready);
            expect_seen(&pair, &outcome);
            if (pair.protocol != MAIL_SIEVE) { /* has no way that we offer */
                ck_assert_msg(slice_eq(slice_of(outcome.behind.address, outcome.behind.address_len),
                                       SLICE("2001:db8::1")),
                              "%s", mail_protocol_word(pair.protocol));
                ck_assert_uint_eq(outcome.behind.port, 1025);
            }
            mail_login_wipe(&outcome.seen);
        }
    }
}
END_TEST

START_TEST(a_master_acts_as_the_user)
{
    for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
        struct outcome outcome;
        struct pair pair = {
            .protocol = protocols[i],
            .mechanisms = mail_stand_offer.mechanisms,
            .login_mechanism = MAIL_EXTERNAL,
            .user = SLICE("joe"),
            .credentials = MAIL_CREDENTIALS_MASTER,
        };
        run(&pair, &outcome);
        ck_assert(outcome.is_ready);
        ck_assert(slice_eq(mail_login_user(&outcome.seen), SLICE("master")));
        ck_assert(slice_eq(mail_login_authzid(&outcome.seen), SLICE("joe")));
        ck_assert(slice_eq(mail_login_secret(&outcome.seen), SLICE("key")));
        mail_login_wipe(&outcome.seen);
    }
}
END_TEST

UNIT_TESTS("mail_pair", passwords_arrive_as_they_are, names_arrive_as_they_are,
           the_client_behind_is_told_and_heard, a_master_acts_as_the_user)
