/* imap_id - see imap_id.h. */
#include "lbd/mail/imap_id.h"

#include <string.h>

#include "lbd/base/addr.h"
#include "lbd/base/num.h"

/* RFC 2971 3.3 */
enum { PAIRS_MAX = 30, KEY_MAX = 30, VALUE_MAX = 1024 };

/* -- hearing -- */

static bool is_ip(struct slice text)
{
    struct addr addr;
    return addr_from_ip(text, 0, &addr);
}

/* What a trusted proxy says of the one behind it, with Dovecot's names. */
static void note_behind(struct mail_behind *behind, struct slice key, struct slice value)
{
    uint64_t number = 0;
    if (slice_eq_nocase(key, SLICE("x-originating-ip"))) {
        if (value.len <= sizeof(behind->address) && is_ip(value)) {
            memcpy(behind->address, value.ptr, value.len);
            behind->address_len = (uint16_t)value.len;
        }
    } else if (slice_eq_nocase(key, SLICE("x-originating-port"))) {
        if (num_parse_u64(value, &number) && number <= UINT16_MAX) {
            behind->port = (uint16_t)number;
        }
    } else if (slice_eq_nocase(key, SLICE("x-proxy-ttl"))) {
        if (num_parse_u64(value, &number) && number <= UINT8_MAX) {
            behind->ttl = (uint8_t)number;
            behind->has_ttl = true;
        }
    } else if (slice_eq_nocase(key, SLICE("x-session-id"))) {
        if (value.len < sizeof(behind->session)) {
            memset(behind->session, 0, sizeof(behind->session));
            memcpy(behind->session, value.ptr, value.len);
        }
    }
}

static bool is_printable(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

bool imap_id_read(struct mail_words words, struct mail_behind *behind)
{
    struct mail_behind said = *behind;
    struct slice word;
    if (mail_words_atom(&words, &word)) {
        (void)mail_words_spaces(&words);
        return slice_eq_nocase(word, SLICE("NIL")) && mail_words_is_end(&words);
    }
    if (!mail_words_char(&words, '(')) {
        return false;
    }
    (void)mail_words_spaces(&words);
    for (unsigned pairs = 0; !mail_words_char(&words, ')'); pairs++) {
        struct slice key;
        struct slice value = SLICE_NONE;
        if (pairs == PAIRS_MAX || !mail_words_string(&words, &key) || key.len > KEY_MAX ||
            !mail_words_spaces(&words)) {
            return false;
        }
        if (mail_words_atom(&words, &word)) {
            if (!slice_eq_nocase(word, SLICE("NIL"))) {
                return false;
            }
        } else if (!mail_words_string(&words, &value) || value.len > VALUE_MAX) {
            return false;
        }
        if (value.len > 0 && is_printable(value)) {
            note_behind(&said, key, value);
        }
        if (!mail_words_spaces(&words) && (mail_words_is_end(&words) || *words.at != ')')) {
            return false;
        }
    }
    (void)mail_words_spaces(&words);
    if (!mail_words_is_end(&words)) {
        return false;
    }
    *behind = said;
    return true;
}

/* -- telling -- */

static void append_pair(struct buf *out, const char *key, struct slice value)
{
    if (value.len == 0 || !is_printable(value)) {
        return;
    }
    buf_append_text(out, out->data[out->len - 1] == '(' ? "\"" : " \"");
    buf_append_text(out, key);
    buf_append_text(out, "\" ");
    mail_quoted_append(out, value);
}

static void append_number(struct buf *out, const char *key, unsigned number)
{
    char text[NUM_TEXT_MAX];
    append_pair(out, key, slice_of(text, num_write_u64(text, number)));
}

/* A unix socket has neither. */
static void append_end(struct buf *out, const char *ip_key, const char *port_key, struct slice ip,
                       uint16_t port)
{
    if (is_ip(ip)) {
        append_pair(out, ip_key, ip);
        append_number(out, port_key, port);
    }
}

void imap_id_write(const struct mail_origin *origin, struct buf *out)
{
    buf_append_text(out, "ID (");
    append_end(out, "x-originating-ip", "x-originating-port", origin->client_ip,
               origin->client_port);
    append_end(out, "x-connected-ip", "x-connected-port", origin->local_ip, origin->local_port);
    append_pair(out, "x-session-id", origin->session);
    append_pair(out, "x-client-transport", origin->transport);
    append_number(out, "x-proxy-ttl", origin->ttl);
    buf_append_text(out, ")\r\n");
}
