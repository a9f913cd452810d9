/* sasl - see sasl.h. */
#include "lbd/mail/sasl.h"

#include <stdint.h>
#include <string.h>

#include "lbd/base/base64.h"
#include "lbd/base/mem.h"

#define KEY_END '\x01'

static const struct slice bearer = SLICE_INIT("auth=Bearer ");

/* -- a client's messages -- */

bool sasl_mechanism_find(struct slice word, enum mail_mechanism *mechanism)
{
    for (int i = MAIL_PLAIN; i < MAIL_MECHANISM_COUNT; i++) {
        if (slice_eq_nocase(word, slice_from(mail_mechanism_word((enum mail_mechanism)i)))) {
            *mechanism = (enum mail_mechanism)i;
            return true;
        }
    }
    return false;
}

/* Takes what stands before `end` off the front. False: there is no such end. */
static bool take_until(struct slice *rest, char end, struct slice *part)
{
    size_t at = slice_find(*rest, end);
    if (at == SIZE_MAX) {
        return false;
    }
    *part = slice_of(rest->ptr, at);
    *rest = slice_from_at(*rest, at + 1);
    return true;
}

static enum sasl_verdict keep_secret(struct mail_login *login, struct slice secret, size_t max)
{
    return mail_login_set_secret(login, secret, max) ? SASL_DONE : SASL_TOO_LONG;
}

static enum sasl_verdict read_plain(struct mail_login *login, struct slice message)
{
    struct slice authzid;
    struct slice user;
    if (!take_until(&message, '\0', &authzid) || !take_until(&message, '\0', &user) ||
        slice_find(message, '\0') != SIZE_MAX) {
        return SASL_MALFORMED;
    }
    if (!mail_login_set_user(login, user)) {
        return SASL_BAD_NAME;
    }
    /* Many clients name themselves twice. */
    if (authzid.len > 0 && !slice_eq(authzid, user) && !mail_login_set_authzid(login, authzid)) {
        return SASL_BAD_NAME;
    }
    return keep_secret(login, message, MAIL_PASSWORD_MAX);
}

static enum sasl_verdict read_login(struct mail_login *login, struct slice message)
{
    if (login->user_len == 0) {
        return mail_login_set_user(login, message) ? SASL_NEXT : SASL_BAD_NAME;
    }
    if (slice_find(message, '\0') != SIZE_MAX) {
        return SASL_MALFORMED;
    }
    return keep_secret(login, message, MAIL_PASSWORD_MAX);
}

static bool starts_nocase(struct slice text, struct slice prefix)
{
    return text.len >= prefix.len && slice_eq_nocase(slice_of(text.ptr, prefix.len), prefix);
}

struct slice sasl_token(struct slice pairs)
{
    struct slice pair;
    while (take_until(&pairs, KEY_END, &pair)) {
        if (starts_nocase(pair, bearer)) {
            return slice_trim(slice_from_at(pair, bearer.len));
        }
    }
    return SLICE_NONE;
}

/* RFC 6750 2.1: what a token may be made of; and nothing that ends a line or a pair. */
static bool is_token(struct slice token)
{
    for (size_t i = 0; i < token.len; i++) {
        unsigned char c = (unsigned char)token.ptr[i];
        if (c <= ' ' || c >= 0x7f) {
            return false;
        }
    }
    return token.len > 0;
}

/* "user=" name ^A "auth=Bearer " token ^A ^A */
static enum sasl_verdict read_xoauth2(struct mail_login *login, struct slice message)
{
    static const struct slice key = SLICE_INIT("user=");
    struct slice user;
    if (!slice_ends(message, SLICE("\x01\x01")) || !slice_starts(message, key) ||
        !take_until(&message, KEY_END, &user)) {
        return SASL_MALFORMED;
    }
    struct slice token = sasl_token(message);
    if (!is_token(token)) {
        return SASL_MALFORMED;
    }
    if (!mail_login_set_user(login, slice_from_at(user, key.len))) {
        return SASL_BAD_NAME;
    }
    return keep_secret(login, token, MAIL_TOKEN_MAX);
}

/* RFC 5801 4: "=2C" is a comma, "=3D" an equals sign, no other '=' may stand there. */
static bool read_saslname(struct slice text, char name[MAIL_USER_MAX], size_t *len)
{
    *len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '=') {
            struct slice escape = slice_from_at(text, i);
            if (slice_starts(escape, SLICE("=2C"))) {
                c = ',';
            } else if (!slice_starts(escape, SLICE("=3D"))) {
                return false;
            }
            i += 2;
        }
        if (*len == MAIL_USER_MAX) {
            return false;
        }
        name[(*len)++] = c;
    }
    return true;
}

/* gs2-header ^A *( key "=" value ^A ) ^A, gs2-header: ("n" / "y") "," ["a=" name] "," */
static enum sasl_verdict read_oauthbearer(struct mail_login *login, struct slice message)
{
    struct slice flag;
    struct slice user;
    if (!take_until(&message, ',', &flag) ||
        !(slice_eq(flag, SLICE("n")) || slice_eq(flag, SLICE("y"))) ||
        !take_until(&message, ',', &user) || message.len == 0 || *message.ptr != KEY_END ||
        !slice_ends(message, SLICE("\x01\x01"))) {
        return SASL_MALFORMED;
    }
    struct slice pairs = slice_from_at(message, 1);
    if (!is_token(sasl_token(pairs)) || slice_find(pairs, '\0') != SIZE_MAX) {
        return SASL_MALFORMED;
    }
    if (user.len == 0) {
        return SASL_NO_USER;
    }
    char name[MAIL_USER_MAX];
    size_t name_len = 0;
    if (!slice_starts(user, SLICE("a="))) {
        return SASL_MALFORMED;
    }
    if (!read_saslname(slice_from_at(user, 2), name, &name_len) ||
        !mail_login_set_user(login, slice_of(name, name_len))) {
        return SASL_BAD_NAME;
    }
    return keep_secret(login, pairs, MAIL_TOKEN_MAX);
}

static enum sasl_verdict read_external(struct mail_login *login, struct slice subject,
                                       struct slice message)
{
    if (subject.len == 0) {
        return SASL_NO_USER;
    }
    if (!mail_login_set_user(login, subject)) {
        return SASL_BAD_NAME;
    }
    if (message.len > 0 && !slice_eq(message, subject) && !mail_login_set_authzid(login, message)) {
        return SASL_BAD_NAME;
    }
    return SASL_DONE;
}

enum sasl_verdict sasl_read(struct mail_login *login, struct slice subject, char *base64,
                            size_t len)
{
    struct slice message;
    if (len > MAIL_SASL_LINE_MAX) {
        return SASL_TOO_LONG;
    }
    if (!base64_read(base64, len, &message)) {
        return SASL_BAD_BASE64;
    }
    switch ((enum mail_mechanism)login->mechanism) {
    case MAIL_PLAIN:
        return read_plain(login, message);
    case MAIL_LOGIN:
        return read_login(login, message);
    case MAIL_XOAUTH2:
        return read_xoauth2(login, message);
    case MAIL_OAUTHBEARER:
        return read_oauthbearer(login, message);
    case MAIL_EXTERNAL:
        return read_external(login, subject, message);
    case MAIL_LOGIN_COMMAND:
        break;
    }
    return SASL_MALFORMED;
}

struct slice sasl_question(const struct mail_login *login)
{
    if (login->mechanism != MAIL_LOGIN) {
        return SLICE_NONE;
    }
    return login->user_len == 0 ? SLICE("VXNlcm5hbWU6") : SLICE("UGFzc3dvcmQ6");
}

/* -- ours to a server -- */

static void append_saslname(struct slice name, struct buf *out)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (c == ',') {
            buf_append_text(out, "=2C");
        } else if (c == '=') {
            buf_append_text(out, "=3D");
        } else {
            buf_append_char(out, c);
        }
    }
}

static void write_plain(const struct sasl_proof *proof, struct buf *message)
{
    buf_append_slice(message, proof->authzid);
    buf_append_char(message, '\0');
    buf_append_slice(message, proof->user);
    buf_append_char(message, '\0');
    buf_append_slice(message, proof->secret);
}

static void write_oauthbearer(const struct sasl_proof *proof, struct buf *message)
{
    buf_append_text(message, "n,a=");
    append_saslname(proof->user, message);
    buf_append_char(message, ',');
    buf_append_char(message, KEY_END);
    if (slice_find(proof->secret, KEY_END) != SIZE_MAX) {
        buf_append_slice(message, proof->secret);
        return;
    }
    buf_append_slice(message, bearer);
    buf_append_slice(message, proof->secret);
    buf_append_text(message, "\x01\x01");
}

static void write_xoauth2(const struct sasl_proof *proof, struct buf *message)
{
    struct slice token = sasl_token(proof->secret);
    buf_append_text(message, "user=");
    buf_append_slice(message, proof->user);
    buf_append_char(message, KEY_END);
    buf_append_slice(message, bearer);
    buf_append_slice(message, token.len > 0 ? token : proof->secret);
    buf_append_text(message, "\x01\x01");
}

void sasl_write(const struct sasl_proof *proof, struct buf *out)
{
    enum { NAMES = 4 * MAIL_USER_MAX + 64 };
    struct buf message;
    buf_init(&message, MAIL_TOKEN_MAX + NAMES);
    (void)buf_reserve(&message, proof->secret.len + NAMES); /* no copy of it is left behind */
    switch (proof->mechanism) {
    case MAIL_PLAIN:
        write_plain(proof, &message);
        break;
    case MAIL_LOGIN:
        buf_append_slice(&message, proof->user);
        break;
    case MAIL_XOAUTH2:
        write_xoauth2(proof, &message);
        break;
    case MAIL_OAUTHBEARER:
        write_oauthbearer(proof, &message);
        break;
    case MAIL_EXTERNAL:
        buf_append_slice(&message, proof->authzid);
        break;
    case MAIL_LOGIN_COMMAND:
        break;
    }
    base64_write(buf_slice(&message), out);
    if (message.len > 0) {
        mem_wipe(message.data, message.len);
    }
    buf_fini(&message);
}

void sasl_write_second(const struct sasl_proof *proof, struct buf *out)
{
    base64_write(proof->secret, out);
}
