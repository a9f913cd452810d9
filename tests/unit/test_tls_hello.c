#include <stdlib.h>
#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/tls/tls_hello.h"
#include "tests/unit/unit.h"

/* A hello that is put together: the message first, then its records. */
struct made {
    unsigned char bytes[140000];
    size_t len;
};

static void put(struct made *made, const void *bytes, size_t len)
{
    unit_expect(made->len + len <= sizeof(made->bytes), "no room");
    memcpy(made->bytes + made->len, bytes, len);
    made->len += len;
}

static void put_number(struct made *made, size_t number, unsigned size)
{
    for (unsigned i = size; i-- > 0;) {
        unsigned char byte = (unsigned char)(number >> (8U * i));
        put(made, &byte, 1);
    }
}

/* What stands behind a length of `size` bytes that was put at `at`. */
static void close_length(struct made *made, size_t at, unsigned size)
{
    size_t length = made->len - at - size;
    for (unsigned i = 0; i < size; i++) {
        made->bytes[at + i] = (unsigned char)(length >> (8U * (size - 1 - i)));
    }
}

static size_t open_length(struct made *made, unsigned size)
{
    size_t at = made->len;
    put_number(made, 0, size);
    return at;
}

static void put_name(struct made *made, const char *name, size_t len)
{
    put_number(made, 0, 2);
    size_t extension = open_length(made, 2);
    size_t list = open_length(made, 2);
    put_number(made, 0, 1);
    put_number(made, len, 2);
    put(made, name, len);
    close_length(made, list, 2);
    close_length(made, extension, 2);
}

/* "h2,http/1.1" */
static void put_alpn(struct made *made, const char *words)
{
    struct slice rest = slice_from(words);
    struct slice word;
    put_number(made, 16, 2);
    size_t extension = open_length(made, 2);
    size_t list = open_length(made, 2);
    while (slice_split(&rest, ',', &word)) {
        put_number(made, word.len, 1);
        put(made, word.ptr, word.len);
    }
    close_length(made, list, 2);
    close_length(made, extension, 2);
}

static void put_extension(struct made *made, unsigned type, size_t len)
{
    put_number(made, type, 2);
    put_number(made, len, 2);
    for (size_t i = 0; i < len; i++) {
        put_number(made, i & 0xffU, 1);
    }
}

struct wish {
    const char *name; /* NULL: no SNI */
    const char *alpn; /* NULL: none */
    size_t padding;   /* an extension of as much */
    bool grease;
    bool ech;
    bool no_extensions;
};

static void make_message(struct made *message, const struct wish *wish)
{
    message->len = 0;
    put_number(message, 1, 1);
    size_t whole = open_length(message, 3);
    put_number(message, 0x0303, 2);
    for (int i = 0; i < 32; i++) {
        put_number(message, (size_t)i, 1);
    }
    put_number(message, 32, 1);
    for (int i = 0; i < 32; i++) {
        put_number(message, 0xaa, 1);
    }
    size_t ciphers = open_length(message, 2);
    if (wish->grease) {
        put_number(message, 0x0a0a, 2);
    }
    put_number(message, 0x1301, 2);
    close_length(message, ciphers, 2);
    put_number(message, 0x0100, 2);
    if (!wish->no_extensions) {
        size_t extensions = open_length(message, 2);
        if (wish->grease) {
            put_extension(message, 0x1a1a, 0);
        }
        if (wish->padding > 0) {
            put_extension(message, 21, wish->padding);
        }
        if (wish->name != NULL) {
            put_name(message, wish->name, strlen(wish->name));
        }
        put_extension(message, 43, 3);
        if (wish->alpn != NULL) {
            put_alpn(message, wish->alpn);
        }
        if (wish->ech) {
            put_extension(message, 0xfe0d, 186);
        }
        if (wish->grease) {
            put_extension(message, 0xfafa, 1);
        }
        close_length(message, extensions, 2);
    }
    close_length(message, whole, 3);
}

static void make_records(struct made *out, const struct made *message, size_t record)
{
    out->len = 0;
    for (size_t at = 0; at < message->len; at += record) {
        size_t part = message->len - at < record ? message->len - at : record;
        put_number(out, 0x160301, 3);
        put_number(out, part, 2);
        put(out, message->bytes + at, part);
    }
}

/* Offers what has come `step` bytes at a time, each time in a block of its own size. */
static enum tls_hello_verdict read_steps(const struct made *made, size_t step,
                                         struct tls_hello_facts *facts, size_t *used)
{
    struct tls_hello hello = {0};
    enum tls_hello_verdict verdict = TLS_HELLO_MORE;
    size_t len = 0;
    memset(facts, 0, sizeof(*facts));
    while (verdict == TLS_HELLO_MORE && len < made->len) {
        len = made->len - len < step ? made->len : len + step;
        char *copy = malloc(len);
        unit_expect(copy != NULL, "no memory");
        memcpy(copy, made->bytes, len);
        verdict = tls_hello_feed(&hello, copy, len);
        if (verdict == TLS_HELLO_DONE && !tls_hello_facts(&hello, copy, len, facts)) {
            verdict = TLS_HELLO_BAD;
        }
        free(copy);
    }
    *used = len;
    return verdict;
}

static enum tls_hello_verdict read_all(const struct made *made, struct tls_hello_facts *facts)
{
    size_t used;
    return read_steps(made, made->len, facts, &used);
}

START_TEST(names_and_protocols_are_found)
{
    static const struct {
        struct wish wish;
        const char *name;
        const char *alpn;
    } cases[] = {
        {{.name = "www.example.com"}, "www.example.com", ""},
        {{.name = "WWW.Example.COM", .alpn = "h2,http/1.1"}, "www.example.com", "\2h2\10http/1.1"},
        {{.name = "a.b", .grease = true, .alpn = "imap"}, "a.b", "\4imap"},
        {{.name = "outer.example", .ech = true, .grease = true}, "outer.example", ""},
        {{.alpn = "h2"}, "", "\2h2"},
        {{.grease = true}, "", ""},
        {{.no_extensions = true}, "", ""},
        {{.name = "x.y", .padding = 1500, .alpn = "h2"}, "x.y", "\2h2"},
        {{.name = "x.y", .padding = 20000, .alpn = "h2"}, "x.y", "\2h2"},
        {{.name = "x.y", .padding = 60000}, "x.y", ""},
        {{.name = "10.0.0.1"}, "10.0.0.1", ""},
        {{.name = "::1"}, "::1", ""},
        {{.name = "under_score-dash.example."}, "under_score-dash.example.", ""},
    };
    static const size_t records[] = {16384, 1000, 100, 7, 1};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        static struct made message;
        static struct made bytes;
        make_message(&message, &cases[i].wish);
        for (size_t r = 0; r < ARRAY_LEN(records); r++) {
            static const size_t steps[] = {100000, 4096, 1460, 5, 1};
            if (message.len / records[r] > 4000) {
                continue; /* more heads than a hello may have bytes */
            }
            make_records(&bytes, &message, records[r]);
            put(&bytes, "what follows", 12); /* is the server's */
            for (size_t s = 0; s < ARRAY_LEN(steps); s++) {
                struct tls_hello_facts facts;
                size_t used;
                if (bytes.len / steps[s] > 700) {
                    continue;
                }
                ck_assert_msg(read_steps(&bytes, steps[s], &facts, &used) == TLS_HELLO_DONE,
                              "case %zu in records of %zu, steps of %zu", i, records[r], steps[s]);
                ck_assert(slice_eq(tls_hello_name(&facts), slice_from(cases[i].name)));
                ck_assert(slice_eq(tls_hello_alpn(&facts), slice_from(cases[i].alpn)));
                ck_assert(facts.has_ech == cases[i].wish.ech);
                ck_assert_uint_ge(used, bytes.len - 12 < steps[s] ? bytes.len - 12 : 0);
            }
        }
    }
}
END_TEST

START_TEST(it_is_done_with_its_last_byte)
{
    static struct made message;
    static struct made bytes;
    struct wish wish = {.name = "www.example.com", .alpn = "h2"};
    make_message(&message, &wish);
    make_records(&bytes, &message, 50);
    for (size_t len = 0; len <= bytes.len; len++) {
        struct tls_hello hello = {0};
        char *copy = malloc(len + 1);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy + 1, bytes.bytes, len);
        ck_assert_int_eq(tls_hello_feed(&hello, copy + 1, len),
                         len < bytes.len ? TLS_HELLO_MORE : TLS_HELLO_DONE);
        free(copy);
    }
}
END_TEST

START_TEST(size_has_a_limit)
{
    static struct made message;
    static struct made bytes;
    struct tls_hello_facts facts;
    for (size_t padding = 65300; padding < 65535; padding += 9) {
        struct wish wish = {.padding = padding};
        make_message(&message, &wish);
        if (message.len >= 65536 + 60) {
            break; /* the extensions' own length ends here */
        }
        make_records(&bytes, &message, 16384);
        ck_assert_int_eq(read_all(&bytes, &facts),
                         bytes.len <= TLS_HELLO_MAX ? TLS_HELLO_DONE : TLS_HELLO_BAD);
    }
    /* a length that nobody has the patience for is refused at once */
    bytes.len = 0;
    put(&bytes, "\x16\x03\x01\x40\x00\x01\x02\x00\x00\x03\x03", 11);
    ck_assert_int_eq(read_all(&bytes, &facts), TLS_HELLO_BAD);
    /* one byte a record: its heads count */
    struct wish wish = {.padding = 20000};
    make_message(&message, &wish);
    make_records(&bytes, &message, 1);
    ck_assert_int_eq(read_all(&bytes, &facts), TLS_HELLO_BAD);
}
END_TEST

START_TEST(what_is_no_hello_is_refused)
{
    static const struct {
        const char *rule;
        struct slice bytes;
        enum tls_hello_verdict verdict;
    } cases[] = {
        {"nothing", SLICE_INIT(""), TLS_HELLO_MORE},
        {"HTTP", SLICE_INIT("GET / HTTP/1.1\r\n"), TLS_HELLO_BAD},
        {"SSH", SLICE_INIT("SSH-2.0-OpenSSH"), TLS_HELLO_BAD},
        {"SSL 2", SLICE_INIT("\x80\x2e\x01\x00\x02\x00\x15"), TLS_HELLO_BAD},
        {"SSL 2 that offers TLS", SLICE_INIT("\x80\x2e\x01\x03\x01\x00\x15"), TLS_HELLO_BAD},
        {"an alert", SLICE_INIT("\x15\x03\x01\x00\x02\x02\x28"), TLS_HELLO_BAD},
        {"another major version", SLICE_INIT("\x16\x02\x00"), TLS_HELLO_BAD},
        {"another minor version", SLICE_INIT("\x16\x03\x05"), TLS_HELLO_BAD},
        {"an empty record", SLICE_INIT("\x16\x03\x01\x00\x00"), TLS_HELLO_BAD},
        {"a record that is too long", SLICE_INIT("\x16\x03\x01\x40\x01"), TLS_HELLO_BAD},
        {"a server's hello", SLICE_INIT("\x16\x03\x01\x00\x30\x02"), TLS_HELLO_BAD},
        {"half a head", SLICE_INIT("\x16\x03\x01\x00"), TLS_HELLO_MORE},
        {"a head", SLICE_INIT("\x16\x03\x01\x00\x30"), TLS_HELLO_MORE},
        {"an alert within", SLICE_INIT("\x16\x03\x01\x00\x02\x01\x00\x15\x03\x01\x00\x02"),
         TLS_HELLO_BAD},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        static struct made bytes;
        for (size_t step = 1; step < 20; step++) {
            struct tls_hello_facts facts;
            size_t used;
            bytes.len = 0;
            put(&bytes, cases[i].bytes.ptr, cases[i].bytes.len);
            ck_assert_msg(read_steps(&bytes, step, &facts, &used) == cases[i].verdict,
                          "%s, steps of %zu", cases[i].rule, step);
        }
    }
}
END_TEST

START_TEST(names_that_are_none_are_refused)
{
    static const struct slice names[] = {
        SLICE_INIT(""),       SLICE_INIT("a\0b"),        SLICE_INIT("a b"),
        SLICE_INIT("a/b"),    SLICE_INIT(".a"),          SLICE_INIT("a..b"),
        SLICE_INIT("a\r\nb"), SLICE_INIT("\xc3\xa4.de"), SLICE_INIT("a*.com"),
        SLICE_INIT("[::1]"),  SLICE_INIT("user@host")};
    static struct made message;
    static struct made bytes;
    struct tls_hello_facts facts;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct wish wish = {.no_extensions = true};
        make_message(&message, &wish);
        size_t extensions = open_length(&message, 2);
        put_name(&message, names[i].ptr, names[i].len);
        close_length(&message, extensions, 2);
        close_length(&message, 1, 3);
        make_records(&bytes, &message, 16384);
        ck_assert_msg(read_all(&bytes, &facts) == TLS_HELLO_BAD, "name %zu", i);
    }
    char longest[300];
    memset(longest, 'a', sizeof(longest));
    for (size_t len = 254; len < 258; len++) {
        struct wish wish = {.no_extensions = true};
        make_message(&message, &wish);
        size_t extensions = open_length(&message, 2);
        put_name(&message, longest, len);
        close_length(&message, extensions, 2);
        close_length(&message, 1, 3);
        make_records(&bytes, &message, 16384);
        ck_assert_int_eq(read_all(&bytes, &facts), len <= 255 ? TLS_HELLO_DONE : TLS_HELLO_BAD);
    }
}
END_TEST

START_TEST(what_stands_twice_is_refused)
{
    static struct made message;
    static struct made bytes;
    struct tls_hello_facts facts;
    for (int round = 0; round < 3; round++) {
        struct wish wish = {.no_extensions = true};
        make_message(&message, &wish);
        size_t extensions = open_length(&message, 2);
        for (int i = 0; i < 2; i++) {
            if (round == 0) {
                put_name(&message, "a.b", 3);
            } else if (round == 1) {
                put_alpn(&message, "h2");
            } else {
                put_extension(&message, 10, 4); /* the server will say so */
            }
        }
        close_length(&message, extensions, 2);
        close_length(&message, 1, 3);
        make_records(&bytes, &message, 16384);
        ck_assert_int_eq(read_all(&bytes, &facts), round < 2 ? TLS_HELLO_BAD : TLS_HELLO_DONE);
    }
}
END_TEST

START_TEST(lengths_add_up)
{
    static struct made message;
    static struct made bytes;
    static struct made broken;
    struct wish wish = {.name = "www.example.com", .alpn = "h2,http/1.1"};
    struct tls_hello_facts facts;
    make_message(&message, &wish);
    make_records(&bytes, &message, 16384);
    /* The whole message, or any length in it, is one too small or too large. */
    static const size_t lengths[] = {43, 77, 80, 83, 87, 89, 92};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        for (int by = -1; by <= 1; by += 2) {
            broken = bytes;
            size_t at = lengths[i];
            broken.bytes[at] = (unsigned char)(broken.bytes[at] + by);
            enum tls_hello_verdict verdict = read_all(&broken, &facts);
            ck_assert_msg(verdict != TLS_HELLO_DONE, "length at %zu by %d", at, by);
        }
    }
    /* Whatever is cut off the message is missed. */
    for (size_t cut = 1; cut < message.len - 4; cut++) {
        static struct made cut_message;
        cut_message = message;
        cut_message.len -= cut;
        close_length(&cut_message, 1, 3);
        make_records(&broken, &cut_message, 16384);
        bool is_whole = cut_message.len == 77; /* a hello without extensions ends there */
        ck_assert_msg((read_all(&broken, &facts) == TLS_HELLO_DONE) == is_whole, "%zu bytes left",
                      cut_message.len);
    }
}
END_TEST

START_TEST(protocols_beyond_the_limit_are_left_out)
{
    static struct made message;
    static struct made bytes;
    struct tls_hello_facts facts;
    struct wish wish = {.name = "a.b", .no_extensions = true};
    make_message(&message, &wish);
    size_t extensions = open_length(&message, 2);
    put_number(&message, 16, 2);
    size_t extension = open_length(&message, 2);
    size_t list = open_length(&message, 2);
    for (int i = 0; i < 300; i++) {
        put(&message, "\4abcd", 5);
    }
    close_length(&message, list, 2);
    close_length(&message, extension, 2);
    put_name(&message, "behind.it", 9);
    close_length(&message, extensions, 2);
    close_length(&message, 1, 3);
    make_records(&bytes, &message, 16384);
    ck_assert_int_eq(read_all(&bytes, &facts), TLS_HELLO_DONE);
    ck_assert_uint_eq(facts.alpn_len, 510);
    ck_assert(slice_eq(tls_hello_name(&facts), SLICE("behind.it")));
}
END_TEST

UNIT_TESTS("tls_hello", names_and_protocols_are_found, it_is_done_with_its_last_byte,
           size_has_a_limit, what_is_no_hello_is_refused, names_that_are_none_are_refused,
           what_stands_twice_is_refused, lengths_add_up, protocols_beyond_the_limit_are_left_out)
