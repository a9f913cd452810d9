/* mail_xclient - see mail_xclient.h. */
#include "lbd/mail/mail_xclient.h"

#include <string.h>

#include "lbd/base/addr.h"
#include "lbd/base/compiler.h"
#include "lbd/base/num.h"

enum attribute {
    ATTRIBUTE_ADDR,
    ATTRIBUTE_PORT,
    ATTRIBUTE_NAME,
    ATTRIBUTE_PROTO,
    ATTRIBUTE_HELO,
    ATTRIBUTE_LOGIN,
    ATTRIBUTE_CLIENT_TRANSPORT,
    ATTRIBUTE_DESTADDR,
    ATTRIBUTE_DESTPORT,
    ATTRIBUTE_SESSION,
    ATTRIBUTE_TTL,
    ATTRIBUTE_COUNT,
};
#define BIT(attribute) (1U << (attribute))
static_assert(MAIL_XCLIENT_LOGIN == BIT(ATTRIBUTE_LOGIN), "the set's bits");
static_assert(MAIL_XCLIENT_POP3 ==
                  (BIT(ATTRIBUTE_ADDR) | BIT(ATTRIBUTE_PORT) | BIT(ATTRIBUTE_CLIENT_TRANSPORT) |
                   BIT(ATTRIBUTE_DESTADDR) | BIT(ATTRIBUTE_DESTPORT) | BIT(ATTRIBUTE_SESSION) |
                   BIT(ATTRIBUTE_TTL)),
              "the set's bits");

static const struct slice names[ATTRIBUTE_COUNT] = {
    [ATTRIBUTE_ADDR] = SLICE_INIT("ADDR"),
    [ATTRIBUTE_PORT] = SLICE_INIT("PORT"),
    [ATTRIBUTE_NAME] = SLICE_INIT("NAME"),
    [ATTRIBUTE_PROTO] = SLICE_INIT("PROTO"),
    [ATTRIBUTE_HELO] = SLICE_INIT("HELO"),
    [ATTRIBUTE_LOGIN] = SLICE_INIT("LOGIN"),
    [ATTRIBUTE_CLIENT_TRANSPORT] = SLICE_INIT("CLIENT-TRANSPORT"),
    [ATTRIBUTE_DESTADDR] = SLICE_INIT("DESTADDR"),
    [ATTRIBUTE_DESTPORT] = SLICE_INIT("DESTPORT"),
    [ATTRIBUTE_SESSION] = SLICE_INIT("SESSION"),
    [ATTRIBUTE_TTL] = SLICE_INIT("TTL"),
};

static enum attribute find(struct slice name)
{
    unsigned i = 0;
    while (i < ATTRIBUTE_COUNT && !slice_eq_nocase(names[i], name)) {
        i++;
    }
    return (enum attribute)i;
}

uint32_t mail_xclient_set(struct slice text)
{
    uint32_t set = 0;
    struct slice word;
    while (slice_split(&text, ' ', &word)) {
        enum attribute attribute = find(word);
        set |= attribute < ATTRIBUTE_COUNT ? BIT(attribute) : 0;
    }
    return set;
}

/* -- telling -- */

static const char hex[] = "0123456789ABCDEF";

void mail_xclient_write_xtext(struct slice value, struct buf *out)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (c > ' ' && c < 0x7f && c != '+' && c != '=') {
            buf_append_char(out, (char)c);
        } else {
            const char coded[3] = {'+', hex[c >> 4], hex[c & 15]};
            buf_append(out, coded, sizeof(coded));
        }
    }
}

static void write_address(enum mail_protocol protocol, struct slice ip, struct buf *out)
{
    struct addr unused;
    if (!addr_from_ip(ip, 0, &unused)) {
        buf_append_text(out, "[UNAVAILABLE]"); /* a unix socket */
        return;
    }
    if (protocol == MAIL_SMTP && slice_find(ip, ':') != SIZE_MAX) {
        buf_append_text(out, "IPV6:");
    }
    buf_append_slice(out, ip);
}

/* The value, or nothing: then the attribute is not said. */
static void write_value(enum mail_protocol protocol, enum attribute attribute,
                        const struct mail_origin *origin, struct slice login, struct buf *out)
{
    switch (attribute) {
    case ATTRIBUTE_ADDR:
        write_address(protocol, origin->client_ip, out);
        break;
    case ATTRIBUTE_PORT:
        if (origin->client_port != 0) {
            buf_append_u64(out, origin->client_port);
        }
        break;
    case ATTRIBUTE_NAME:
        /* Without it Postfix would keep our own name for the client's. */
        buf_append_text(out, "[UNAVAILABLE]");
        break;
    case ATTRIBUTE_PROTO:
        buf_append_text(out, origin->is_esmtp ? "ESMTP" : "SMTP");
        break;
    case ATTRIBUTE_HELO:
        mail_xclient_write_xtext(origin->helo, out);
        break;
    case ATTRIBUTE_LOGIN:
        mail_xclient_write_xtext(login, out);
        break;
    case ATTRIBUTE_CLIENT_TRANSPORT:
        mail_xclient_write_xtext(origin->transport, out);
        break;
    case ATTRIBUTE_DESTADDR:
        if (origin->local_port != 0) {
            write_address(protocol, origin->local_ip, out);
        }
        break;
    case ATTRIBUTE_DESTPORT:
        if (origin->local_port != 0) {
            buf_append_u64(out, origin->local_port);
        }
        break;
    case ATTRIBUTE_SESSION:
        mail_xclient_write_xtext(origin->session, out);
        break;
    case ATTRIBUTE_TTL:
        buf_append_u64(out, origin->ttl);
        break;
    case ATTRIBUTE_COUNT:
        break;
    }
}

static void cut(struct buf *out, size_t len)
{
    out->len = len;
    out->data[len] = '\0';
}

bool mail_xclient_write(enum mail_protocol protocol, const struct mail_origin *origin,
                        struct slice login, uint32_t *left, struct buf *out)
{
    size_t begin = out->len;
    if (!buf_reserve(out, 2 * MAIL_XCLIENT_LINE_MAX) || !buf_append_text(out, "XCLIENT")) {
        return false;
    }
    size_t empty = out->len;
    for (unsigned i = 0; i < ATTRIBUTE_COUNT; i++) {
        if ((*left & BIT(i)) == 0) {
            continue;
        }
        size_t before = out->len;
        buf_append_char(out, ' ');
        buf_append_slice(out, names[i]);
        buf_append_char(out, '=');
        size_t value = out->len;
        write_value(protocol, (enum attribute)i, origin, login, out);
        bool is_over = out->len - begin + 2 > MAIL_XCLIENT_LINE_MAX;
        if (out->len == value || is_over) {
            cut(out, before);
        }
        if (is_over && before != empty) {
            break; /* the next line has it */
        }
        *left &= ~BIT(i); /* said, or it fits no line at all */
    }
    if (out->len == empty) {
        cut(out, begin);
        return false;
    }
    buf_append_text(out, "\r\n");
    return true;
}

/* -- hearing -- */

static int hex_value(char c)
{
    const char *at = c != '\0' ? strchr("0123456789ABCDEFabcdef", c) : NULL;
    int value = at != NULL ? (int)(at - "0123456789ABCDEFabcdef") : -1;
    return value > 15 ? value - 6 : value;
}

/* Undoes xtext; false when it is none, or too long for `out`. */
static bool read_xtext(struct slice coded, char *out, size_t max, size_t *len)
{
    *len = 0;
    for (size_t i = 0; i < coded.len; i++) {
        int c = (unsigned char)coded.ptr[i];
        if (c == '+') {
            int high = i + 2 < coded.len ? hex_value(coded.ptr[i + 1]) : -1;
            int low = i + 2 < coded.len ? hex_value(coded.ptr[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            c = high * 16 + low;
            i += 2;
        }
        if (c <= ' ' || c >= 0x7f || *len == max) {
            return false;
        }
        out[(*len)++] = (char)c;
    }
    return true;
}

static bool read_address(struct slice value, struct mail_behind *behind)
{
    if (value.len > 5 && slice_eq_nocase(slice_of(value.ptr, 5), SLICE("IPV6:"))) {
        value = slice_from_at(value, 5);
    }
    struct addr addr;
    if (value.len > sizeof(behind->address) || !addr_from_ip(value, 0, &addr)) {
        return false;
    }
    memcpy(behind->address, value.ptr, value.len);
    behind->address_len = (uint16_t)value.len;
    return true;
}

static bool read_value(enum attribute attribute, struct slice value, struct mail_behind *behind)
{
    static const struct slice unknown[] = {SLICE_INIT("[UNAVAILABLE]"),
                                           SLICE_INIT("[TEMPUNAVAIL]")};
    if (slice_eq_nocase(value, unknown[0]) || slice_eq_nocase(value, unknown[1])) {
        return true; /* it does not know either */
    }
    uint64_t number = 0;
    size_t len = 0;
    switch (attribute) {
    case ATTRIBUTE_ADDR:
        return read_address(value, behind);
    case ATTRIBUTE_PORT:
        if (!num_parse_u64(value, &number) || number == 0 || number > UINT16_MAX) {
            return false;
        }
        behind->port = (uint16_t)number;
        return true;
    case ATTRIBUTE_TTL:
        if (!num_parse_u64(value, &number) || number > UINT8_MAX) {
            return false;
        }
        behind->has_ttl = true;
        behind->ttl = (uint8_t)number;
        return true;
    case ATTRIBUTE_SESSION:
        if (!read_xtext(value, behind->session, sizeof(behind->session) - 1, &len)) {
            return false;
        }
        behind->session[len] = '\0';
        return true;
    case ATTRIBUTE_LOGIN:
        return false; /* a name that nobody has proved */
    case ATTRIBUTE_NAME:
    case ATTRIBUTE_PROTO:
    case ATTRIBUTE_HELO:
    case ATTRIBUTE_CLIENT_TRANSPORT:
    case ATTRIBUTE_DESTADDR:
    case ATTRIBUTE_DESTPORT:
        return true; /* well known, and of no use to us */
    case ATTRIBUTE_COUNT:
        break;
    }
    return false;
}

bool mail_xclient_read(enum mail_protocol protocol, struct slice attributes,
                       struct mail_behind *behind)
{
    struct mail_behind heard = *behind;
    struct slice word;
    unsigned count = 0;
    while (slice_split(&attributes, ' ', &word)) {
        size_t equal = slice_find(word, '=');
        if (word.len == 0) {
            continue;
        }
        if (equal == SIZE_MAX) {
            return false;
        }
        enum attribute attribute = find(slice_of(word.ptr, equal));
        if (attribute == ATTRIBUTE_COUNT && protocol == MAIL_POP3) {
            count++; /* Dovecot adds to its list as it likes */
            continue;
        }
        if (!read_value(attribute, slice_from_at(word, equal + 1), &heard)) {
            return false;
        }
        count++;
    }
    if (count == 0) {
        return false;
    }
    *behind = heard;
    return true;
}
