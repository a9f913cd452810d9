/* tls_hello - see tls_hello.h. */
#include "lbd/tls/tls_hello.h"

#include <string.h>

#define RECORD_HEAD    5U
#define RECORD_MAX     16384U
#define MESSAGE_HEAD   4U
#define HANDSHAKE      22
#define CLIENT_HELLO   1
#define EXTENSION_NAME 0U
#define EXTENSION_ALPN 16U
#define EXTENSION_ECH  0xfe0dU
#define NAME_TYPE_HOST 0U
#define SESSION_ID_MAX 32U
#define RANDOM_BYTES   32U

/* -- records -- */

static uint32_t record_bytes(const unsigned char *head)
{
    return (uint32_t)head[3] << 8U | head[4];
}

/* True: `at` may be the head of a record of a handshake, as far as it is there. */
static bool head_may_be(const unsigned char *at, size_t len)
{
    if (len > 0 && at[0] != HANDSHAKE) {
        return false;
    }
    if (len > 1 && at[1] != 3) {
        return false;
    }
    if (len > 2 && at[2] > 4) {
        return false;
    }
    if (len < RECORD_HEAD) {
        return true;
    }
    uint32_t size = record_bytes(at);
    return size > 0 && size <= RECORD_MAX; /* RFC 8446 5.1: no empty ones */
}

/* The bytes of the message, one after the other, whatever records they lie in. */
struct cursor {
    const unsigned char *bytes;
    size_t len;
    size_t at;     /* of the next byte */
    size_t record; /* what is left of its record */
};

/* How many of the next bytes lie together, up to `most`; 0: there are none. */
static size_t take_run(struct cursor *cursor, size_t most)
{
    if (cursor->record == 0) {
        if (cursor->len - cursor->at < RECORD_HEAD) {
            return 0;
        }
        cursor->record = record_bytes(cursor->bytes + cursor->at);
        cursor->at += RECORD_HEAD;
    }
    size_t there = cursor->len - cursor->at;
    size_t run = cursor->record < there ? cursor->record : there;
    run = run < most ? run : most;
    cursor->at += run;
    cursor->record -= run;
    return run;
}

static bool take_u8(struct cursor *cursor, uint32_t *out)
{
    if (take_run(cursor, 1) == 0) {
        return false;
    }
    *out = cursor->bytes[cursor->at - 1];
    return true;
}

static bool take_number(struct cursor *cursor, unsigned size, uint32_t *out)
{
    *out = 0;
    for (unsigned i = 0; i < size; i++) {
        uint32_t byte;
        if (!take_u8(cursor, &byte)) {
            return false;
        }
        *out = *out << 8U | byte;
    }
    return true;
}

enum tls_hello_verdict tls_hello_feed(struct tls_hello *hello, const char *bytes, size_t len)
{
    const unsigned char *at = (const unsigned char *)bytes;
    len = len < TLS_HELLO_MAX ? len : TLS_HELLO_MAX;
    if (hello->next_record == 0 && len > RECORD_HEAD && at[RECORD_HEAD] != CLIENT_HELLO) {
        return TLS_HELLO_BAD;
    }
    while (hello->next_record < len) {
        size_t there = len - hello->next_record;
        const unsigned char *head = at + hello->next_record;
        if (!head_may_be(head, there)) {
            return TLS_HELLO_BAD;
        }
        if (there <= RECORD_HEAD) {
            break;
        }
        uint32_t size = record_bytes(head);
        uint32_t has = there - RECORD_HEAD < size ? (uint32_t)(there - RECORD_HEAD) : size;
        if (hello->want == 0 && hello->body + has >= MESSAGE_HEAD) {
            struct cursor cursor = {.bytes = at, .len = len};
            uint32_t number;
            (void)take_u8(&cursor, &number);
            (void)take_number(&cursor, 3, &number);
            if (number > TLS_HELLO_MAX) {
                return TLS_HELLO_BAD;
            }
            hello->want = MESSAGE_HEAD + number;
        }
        if (hello->want != 0 && hello->body + has >= hello->want) {
            return TLS_HELLO_DONE;
        }
        if (has < size) {
            break; /* its bytes are counted when all of them are there */
        }
        hello->body += size;
        hello->next_record += RECORD_HEAD + size;
    }
    return len < TLS_HELLO_MAX ? TLS_HELLO_MORE : TLS_HELLO_BAD;
}

/* -- the message -- */

/* A part of the message with a length of its own. */
struct part {
    struct cursor *cursor;
    size_t left;
};

static bool part_number(struct part *part, unsigned size, uint32_t *out)
{
    if (part->left < size || !take_number(part->cursor, size, out)) {
        return false;
    }
    part->left -= size;
    return true;
}

static bool part_skip(struct part *part, size_t count)
{
    if (part->left < count) {
        return false;
    }
    part->left -= count;
    while (count > 0) {
        size_t run = take_run(part->cursor, count);
        if (run == 0) {
            return false;
        }
        count -= run;
    }
    return true;
}

static bool part_bytes(struct part *part, char *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t byte;
        if (!part_number(part, 1, &byte)) {
            return false;
        }
        out[i] = (char)byte;
    }
    return true;
}

/* A part of the part: a length of `size` bytes, then as much. */
static bool part_open(struct part *part, unsigned size, struct part *inner)
{
    uint32_t length;
    if (!part_number(part, size, &length) || length > part->left) {
        return false;
    }
    *inner = (struct part){.cursor = part->cursor, .left = length};
    part->left -= length;
    return true;
}

/* Letters, digits, "-", "_" and dots, none of them at the front or twice. */
static bool make_name(struct tls_hello_facts *facts)
{
    char before = '.';
    for (size_t i = 0; i < facts->name_len; i++) {
        char c = slice_lower(facts->name[i]);
        facts->name[i] = c;
        bool is_word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                       c == ':'; /* IPv6, against RFC 6066 3, is no name of anybody's */
        if (!is_word && (c != '.' || before == '.')) {
            return false;
        }
        before = c;
    }
    return true;
}

/* RFC 6066 3: at most one name of a type. */
static bool read_name(struct part *extension, struct tls_hello_facts *facts)
{
    struct part list;
    if (!part_open(extension, 2, &list) || list.left == 0 || extension->left != 0) {
        return false;
    }
    while (list.left > 0) {
        uint32_t type;
        struct part name;
        if (!part_number(&list, 1, &type) || !part_open(&list, 2, &name)) {
            return false;
        }
        if (type != NAME_TYPE_HOST) {
            if (!part_skip(&name, name.left)) {
                return false;
            }
            continue;
        }
        size_t len = name.left;
        if (facts->name_len != 0 || len == 0 || len > TLS_HELLO_NAME_MAX ||
            !part_bytes(&name, facts->name, len)) {
            return false;
        }
        facts->name_len = len;
        if (!make_name(facts)) {
            return false;
        }
    }
    return true;
}

static bool read_alpn(struct part *extension, struct tls_hello_facts *facts)
{
    struct part list;
    bool is_full = false;
    if (!part_open(extension, 2, &list) || list.left == 0 || extension->left != 0) {
        return false;
    }
    while (list.left > 0) {
        struct part word;
        if (!part_open(&list, 1, &word) || word.left == 0) {
            return false;
        }
        size_t len = word.left;
        is_full = is_full || len + 1 > TLS_HELLO_ALPN_MAX - facts->alpn_len;
        if (is_full) {
            if (!part_skip(&word, len)) {
                return false;
            }
            continue;
        }
        facts->alpn[facts->alpn_len] = (char)len;
        if (!part_bytes(&word, facts->alpn + facts->alpn_len + 1, len)) {
            return false;
        }
        facts->alpn_len += 1 + len;
    }
    return true;
}

static bool read_extensions(struct part *message, struct tls_hello_facts *facts)
{
    struct part extensions;
    bool has_name = false;
    bool has_alpn = false;
    if (!part_open(message, 2, &extensions) || message->left != 0) {
        return false;
    }
    while (extensions.left > 0) {
        uint32_t type;
        struct part extension;
        if (!part_number(&extensions, 2, &type) || !part_open(&extensions, 2, &extension)) {
            return false;
        }
        bool ok = true;
        if (type == EXTENSION_NAME) {
            ok = !has_name && read_name(&extension, facts);
            has_name = true;
        } else if (type == EXTENSION_ALPN) {
            ok = !has_alpn && read_alpn(&extension, facts);
            has_alpn = true;
        } else {
            facts->has_ech = facts->has_ech || type == EXTENSION_ECH;
            ok = part_skip(&extension, extension.left);
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

bool tls_hello_facts(const struct tls_hello *hello, const char *bytes, size_t len,
                     struct tls_hello_facts *facts)
{
    struct cursor cursor = {.bytes = (const unsigned char *)bytes, .len = len};
    struct part whole = {.cursor = &cursor, .left = hello->want};
    struct part message;
    struct part inner;
    uint32_t number;
    facts->name_len = 0;
    facts->alpn_len = 0;
    facts->has_ech = false;
    if (!part_number(&whole, 1, &number) || number != CLIENT_HELLO ||
        !part_open(&whole, 3, &message) || whole.left != 0) {
        return false;
    }
    /* legacy_version, random */
    if (!part_number(&message, 2, &number) || number >> 8U != 3 ||
        !part_skip(&message, RANDOM_BYTES)) {
        return false;
    }
    if (!part_open(&message, 1, &inner) || inner.left > SESSION_ID_MAX ||
        !part_skip(&inner, inner.left)) {
        return false;
    }
    /* cipher_suites */
    if (!part_open(&message, 2, &inner) || inner.left < 2 || inner.left % 2 != 0 ||
        !part_skip(&inner, inner.left)) {
        return false;
    }
    /* legacy_compression_methods */
    if (!part_open(&message, 1, &inner) || inner.left == 0 || !part_skip(&inner, inner.left)) {
        return false;
    }
    return message.left == 0 || read_extensions(&message, facts);
}
