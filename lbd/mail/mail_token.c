/* mail_token - see mail_token.h. */
#include "lbd/mail/mail_token.h"

#include "conf/json/json.h"
#include "lbd/base/mem.h"
#include "lbd/mail/sasl.h"

#define PAYLOAD_MAX (MAIL_TOKEN_MAX / 4 * 3 + 3)

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* base64url without padding (RFC 7515 2). False: it is none. */
static bool decode(struct slice text, char out[PAYLOAD_MAX], size_t *len)
{
    uint32_t bits = 0;
    unsigned count = 0;
    *len = 0;
    if (text.len > MAIL_TOKEN_MAX || text.len % 4 == 1) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.ptr[i]);
        if (value < 0) {
            return false;
        }
        bits = bits << 6U | (uint32_t)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[(*len)++] = (char)(bits >> count & 0xFFU);
        }
    }
    return true;
}

static bool read_payload(struct slice payload, uint64_t *expires_s)
{
    static const struct json_limits limits = {
        .bytes = PAYLOAD_MAX, .depth = 16, .values = 1000, .objects = 100};
    struct json_error error;
    struct json *json = json_parse(payload, JSON_FOREIGN, &limits, &error);
    const struct json *value = json_get(json, SLICE("exp"));
    double number = json_number(value); /* with a fraction, if it likes (RFC 7519 2) */
    bool ok = json_is(value, JSON_NUMBER) && number >= 0 && number < 1e15;
    *expires_s = ok ? (uint64_t)number : 0;
    json_free(json);
    return ok;
}

bool mail_token_expiry(enum mail_mechanism mechanism, struct slice secret, uint64_t *expires_s)
{
    char payload[PAYLOAD_MAX];
    size_t len = 0;
    struct slice part;
    if (mechanism == MAIL_OAUTHBEARER) {
        secret = sasl_token(secret);
    } else if (mechanism != MAIL_XOAUTH2) {
        return false;
    }
    /* header "." payload "." signature */
    if (secret.len == 0 || !slice_split(&secret, '.', &part) || !slice_split(&secret, '.', &part) ||
        secret.ptr == NULL) {
        return false;
    }
    bool ok = decode(part, payload, &len) && read_payload(slice_of(payload, len), expires_s);
    mem_wipe(payload, len);
    return ok;
}
