#include "lbd/base/mem.h"
#include "lbd/http/h1_write.h"
#include "lbd/http/hpack.h"
#include "lbd/http/hpack_table.h"
#include "tests/unit/hpack_stand.h"
#include "tests/unit/unit.h"

enum { BLOCK_MAX = 256 * 1024, FIELDS = 100 };

static const struct hpack_limits roomy = {.bytes = 65536, .fields = FIELDS};

/* Hexadecimal digits in pairs, blanks between them as one likes. */
static size_t bytes_of(const char *hex, char *out, size_t capacity)
{
    size_t len = 0;
    for (const char *at = hex; *at != '\0';) {
        if (*at == ' ') {
            at++;
            continue;
        }
        char pair[] = {at[0], at[1], '\0'};
        ck_assert_msg(at[1] != '\0' && len < capacity, "bad hex");
        out[len++] = (char)strtoul(pair, NULL, 16);
        at += 2;
    }
    return len;
}

static enum hpack_verdict decode_hex(struct hpack_stand *stand, const char *hex)
{
    static char block[BLOCK_MAX];
    return hpack_stand_decode(stand, slice_of(block, bytes_of(hex, block, sizeof(block))));
}

static void check_text(const struct hpack_stand *stand, const char *want, const char *what)
{
    struct slice text = hpack_stand_text(stand);
    ck_assert_msg(slice_eq(text, slice_from(want)), "%s: '%.*s', want '%s'", what, SLICE_ARG(text),
                  want);
}

static unsigned table_size(const struct hpack_stand *stand)
{
    return stand->decoder.table == NULL ? 0 : stand->decoder.table->size;
}

/* -- RFC 7541 Appendix C -- */

struct example {
    const char *hex;
    const char *want;
    unsigned size; /* of the table afterwards */
};

static void follow(const struct example *examples, size_t count, uint32_t table_max)
{
    struct hpack_stand stand;
    hpack_stand_init(&stand, roomy);
    if (table_max != HPACK_TABLE) { /* agreed upon out of sight, as the appendix has it */
        stand.decoder.max = (uint16_t)table_max;
    }
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(decode_hex(&stand, examples[i].hex), HPACK_OK);
        check_text(&stand, examples[i].want, examples[i].hex);
        ck_assert_uint_eq(table_size(&stand), examples[i].size);
    }
    hpack_stand_fini(&stand);
}

START_TEST(decodes_single_fields_of_the_appendix)
{
    static const struct example examples[] = {
        /* C.2.1 to C.2.4, the names and values as they are */
        {"400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
         "|custom-key: custom-header|", 55},
        {"040c 2f73 616d 706c 652f 7061 7468", ":path=/sample/path |", 55},
        {"1008 7061 7373 776f 7264 0673 6563 7265 74", "|password:! secret|", 55},
        {"82", ":method=GET |", 55},
    };
    follow(examples, ARRAY_LEN(examples), HPACK_TABLE);
}
END_TEST

#define REQUEST_1 ":method=GET :scheme=http :authority=www.example.com :path=/ |"
#define REQUEST_2                                                                                  \
    ":method=GET :scheme=http :authority=www.example.com :path=/ |cache-control: no-cache|"
#define REQUEST_3                                                                                  \
    ":method=GET :scheme=https :authority=www.example.com :path=/index.html |"                     \
    "custom-key: custom-value|"

START_TEST(decodes_the_requests_of_the_appendix)
{
    static const struct example plain[] = {
        /* C.3 */
        {"8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", REQUEST_1, 57},
        {"8286 84be 5808 6e6f 2d63 6163 6865", REQUEST_2, 110},
        {"8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65", REQUEST_3,
         164},
    };
    static const struct example huffman[] = {
        /* C.4 */
        {"8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", REQUEST_1, 57},
        {"8286 84be 5886 a8eb 1064 9cbf", REQUEST_2, 110},
        {"8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", REQUEST_3, 164},
    };
    follow(plain, ARRAY_LEN(plain), HPACK_TABLE);
    follow(huffman, ARRAY_LEN(huffman), HPACK_TABLE);
}
END_TEST

#define RESPONSE_1                                                                                 \
    ":status=302 |cache-control: private|date: Mon, 21 Oct 2013 20:13:21 GMT|"                     \
    "location: https://www.example.com|"
#define RESPONSE_2                                                                                 \
    ":status=307 |cache-control: private|date: Mon, 21 Oct 2013 20:13:21 GMT|"                     \
    "location: https://www.example.com|"
#define RESPONSE_3                                                                                 \
    ":status=200 |cache-control: private|date: Mon, 21 Oct 2013 20:13:22 GMT|"                     \
    "location: https://www.example.com|content-encoding: gzip|"                                    \
    "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1|"

START_TEST(decodes_the_responses_of_the_appendix)
{
    static const struct example plain[] = {
        /* C.5: a table of 256 bytes, entries are evicted */
        {"4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a"
         "3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
         RESPONSE_1, 222},
        {"4803 3330 37c1 c0bf", RESPONSE_2, 222},
        {"88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04"
         "677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49"
         "553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
         RESPONSE_3, 215},
    };
    static const struct example huffman[] = {
        /* C.6 */
        {"4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e"
         "919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
         RESPONSE_1, 222},
        {"4883 640e ffc1 c0bf", RESPONSE_2, 222},
        {"88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7"
         "821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed"
         "4ee5 b106 3d50 07",
         RESPONSE_3, 215},
    };
    follow(plain, ARRAY_LEN(plain), 256);
    follow(huffman, ARRAY_LEN(huffman), 256);
}
END_TEST

/* -- what ends a connection, what ends a stream -- */

START_TEST(tells_errors_of_the_connection_from_those_of_a_stream)
{
    static const struct {
        const char *what;
        const char *hex;
        enum hpack_verdict want;
    } cases[] = {
        {"an empty block", "", HPACK_OK},
        {"index 0", "80", HPACK_BAD},
        {"an index beyond both tables", "be", HPACK_BAD},
        {"a name's index beyond both tables", "7e 0161", HPACK_BAD},
        {"an integer that never ends", "ff 80808080808080808000", HPACK_BAD},
        {"an integer of 2^32", "ff 8180808010", HPACK_BAD},
        {"an integer cut", "ff", HPACK_BAD},
        {"an integer with leading zeros", "7f 80 00 01 61", HPACK_BAD}, /* index 63: none */
        {"the same, to an index that is", "0f 80 00 01 61", HPACK_OK},  /* 15 */
        {"a name cut", "40 05 61626364", HPACK_BAD},
        {"a value missing", "40 01 61", HPACK_BAD},
        {"a value cut", "40 01 61 02 62", HPACK_BAD},
        {"a literal cut after its first byte", "40", HPACK_BAD},
        {"a length beyond the block", "40 01 61 7f ffff03", HPACK_BAD},
        {"Huffman: padding of zeros", "40 81 18 01 61", HPACK_BAD},
        {"Huffman: EOS", "40 84 ffffffff 01 61", HPACK_BAD},
        {"Huffman: a whole byte of padding", "40 01 61 82 1fff", HPACK_BAD},
        {"Huffman: nothing at all", "40 01 61 80", HPACK_OK},
        {"a size update", "20", HPACK_OK},
        {"a size update to the limit", "3f e11f", HPACK_OK},
        {"a size update beyond the limit", "3f e21f", HPACK_BAD},
        {"a size update of 2^28", "3f ffffff7f", HPACK_BAD},
        {"two size updates", "20 3fe11f 82", HPACK_OK},
        {"three size updates", "20 20 20 82", HPACK_BAD},
        {"a size update after a field", "82 20", HPACK_BAD},
        {"a name in upper case", "00 01 41 01 61", HPACK_MALFORMED},
        {"the same, Huffman", "00 81 87 01 61", HPACK_MALFORMED},
        {"a name with '_'", "00 03 615f62 01 61", HPACK_MALFORMED},
        {"a name with a blank", "00 03 612062 01 61", HPACK_MALFORMED},
        {"a name with ':' inside", "00 03 613a62 01 61", HPACK_MALFORMED},
        {"a name with NUL", "00 03 610062 01 61", HPACK_MALFORMED},
        {"an empty name", "00 00 01 61", HPACK_MALFORMED},
        {"an empty value", "00 01 61 00", HPACK_OK},
        {"a value with LF", "00 01 61 03 610a62", HPACK_MALFORMED},
        {"a value with CR", "00 01 61 03 610d62", HPACK_MALFORMED},
        {"a value with NUL", "00 01 61 03 610062", HPACK_MALFORMED},
        {"a value with DEL", "00 01 61 03 617f62", HPACK_MALFORMED},
        {"a value with HTAB inside", "00 01 61 03 610962", HPACK_OK},
        {"a value with a blank inside", "00 01 61 03 612062", HPACK_OK},
        {"a value with a byte above ASCII", "00 01 61 03 61ff62", HPACK_OK},
        {"a value with a blank at its end", "00 01 61 02 6120", HPACK_MALFORMED},
        {"a value with a blank at its start", "00 01 61 02 2061", HPACK_MALFORMED},
        {"a value of a HTAB", "00 01 61 01 09", HPACK_MALFORMED},
        {"an unknown pseudo-header", "00 02 3a61 01 61", HPACK_MALFORMED},
        {"a ':' alone", "00 01 3a 01 61", HPACK_MALFORMED},
        {"a pseudo-header in upper case", "00 05 3a50415448 01 2f", HPACK_MALFORMED},
        {"a pseudo-header twice", "82 82", HPACK_MALFORMED},
        {"a pseudo-header after a field", "90 82", HPACK_MALFORMED},
        {"a pseudo-header after an empty cookie", "0f11 00 82", HPACK_MALFORMED},
        {"a pseudo-header with CR", "04 03 2f0d61", HPACK_MALFORMED},
        {"a malformed field and an index that is not", "00 01 41 01 61 fe", HPACK_BAD},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct hpack_stand stand;
        hpack_stand_init(&stand, roomy);
        enum hpack_verdict verdict = decode_hex(&stand, cases[i].hex);
        ck_assert_msg(verdict == cases[i].want, "%s: %d, want %d", cases[i].what, (int)verdict,
                      (int)cases[i].want);
        if (verdict == HPACK_OK) {
            (void)hpack_stand_text(&stand);
        }
        if (verdict == HPACK_MALFORMED) {
            ck_assert_int_eq(stand.fields.reason, CLOSE_BAD_HEADER);
        }
        hpack_stand_fini(&stand);
    }
}
END_TEST

/* A malformed field that is remembered is malformed whenever its index comes, a good one that
 * follows is not. */
START_TEST(remembers_what_is_wrong_with_an_entry)
{
    struct hpack_stand stand;
    hpack_stand_init(&stand, roomy);
    ck_assert_int_eq(decode_hex(&stand, "40 01 41 01 61"), HPACK_MALFORMED); /* "A: a" */
    ck_assert_int_eq(decode_hex(&stand, "be"), HPACK_MALFORMED);
    ck_assert_int_eq(decode_hex(&stand, "7e 01 62"), HPACK_MALFORMED); /* its name, value "b" */
    ck_assert_int_eq(decode_hex(&stand, "40 01 62 01 0a"), HPACK_MALFORMED); /* "b: LF" */
    ck_assert_int_eq(decode_hex(&stand, "be"), HPACK_MALFORMED);
    ck_assert_int_eq(decode_hex(&stand, "7e 01 63"), HPACK_OK); /* the name was good */
    check_text(&stand, "|b: c|", "a good name with another value");
    ck_assert_int_eq(decode_hex(&stand, "44 02 2f61"), HPACK_OK); /* :path is remembered */
    ck_assert_int_eq(decode_hex(&stand, "be be"), HPACK_MALFORMED);
    ck_assert_int_eq(decode_hex(&stand, "be"), HPACK_OK);
    check_text(&stand, ":path=/a |", "a pseudo-header by its index");
    hpack_stand_fini(&stand);
}
END_TEST

/* R2: over the limits the table goes on. */
START_TEST(stays_in_step_beyond_the_limits)
{
    static const struct {
        const char *what;
        struct hpack_limits limits;
        const char *hex;
        enum hpack_verdict want;
        enum close_reason reason;
    } cases[] = {
        {"as many fields as allowed", {1000, 2}, "82 40 01 61 01 62", HPACK_OK, CLOSE_OK},
        {"one more", {1000, 1}, "82 40 01 61 01 62", HPACK_TOO_LARGE, CLOSE_TOO_MANY_HEADERS},
        {"as many bytes as allowed", {34, 9}, "40 01 61 01 62", HPACK_OK, CLOSE_OK},
        {"one more", {33, 9}, "40 01 61 01 62", HPACK_TOO_LARGE, CLOSE_HEADER_TOO_LARGE},
        {"malformed, too",
         {33, 9},
         "00 01 41 01 61 40 01 61 01 62",
         HPACK_TOO_LARGE,
         CLOSE_HEADER_TOO_LARGE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct hpack_stand stand;
        hpack_stand_init(&stand, cases[i].limits);
        ck_assert_msg(decode_hex(&stand, cases[i].hex) == cases[i].want, "%s", cases[i].what);
        ck_assert_int_eq(stand.fields.reason, cases[i].reason);
        stand.limits = roomy;
        free(stand.fields.bytes);
        stand.fields.capacity = roomy.bytes + HPACK_SLACK;
        stand.fields.bytes = mem_alloc(stand.fields.capacity);
        ck_assert_int_eq(decode_hex(&stand, "be"), HPACK_OK);
        check_text(&stand, "|a: b|", cases[i].what);
        hpack_stand_fini(&stand);
    }
}
END_TEST

/* One field larger than the whole buffer, as it is and by Huffman: with an index it empties the
 * table (RFC 7541 4.4), without one it leaves it alone; what follows is read on. */
START_TEST(survives_fields_larger_than_its_buffer)
{
    enum { LARGE = 20000, NAME = 0, VALUE = 1 };
    for (unsigned round = 0; round < 16; round++) {
        bool inserted = (round & 1U) != 0;
        bool huffman = (round & 2U) != 0;
        bool large_name = (round & 4U) != 0;
        bool not_first = (round & 8U) != 0;
        struct hpack_stand stand;
        hpack_stand_init(&stand, (struct hpack_limits){.bytes = 5000, .fields = 50});
        ck_assert_int_eq(decode_hex(&stand, "40 01 61 01 62"), HPACK_OK);

        char *block = mem_alloc(BLOCK_MAX);
        size_t len = 0;
        if (not_first) {
            block[len++] = (char)0xbe;
        }
        block[len++] = inserted ? 0x40 : 0x00;
        for (int part = NAME; part <= VALUE; part++) {
            if ((part == NAME) != large_name) {
                memcpy(block + len, "\x01z", 2);
                len += 2;
                continue;
            }
            size_t wire = huffman ? LARGE / 8 * 5 : LARGE; /* 'a' is five bits, 8 of them 5 bytes */
            block[len++] = huffman ? (char)0xff : 0x7f;
            block[len++] = (char)(0x80U | ((wire - 127) & 0x7fU));
            block[len++] = (char)(0x80U | ((wire - 127) >> 7U & 0x7fU));
            block[len++] = (char)((wire - 127) >> 14U);
            for (size_t i = 0; i < wire; i++) {
                block[len++] = huffman ? "\x18\xc6\x31\x8c\x63"[i % 5] : 'a';
            }
        }
        memcpy(block + len, "\x40\x01z\x01y", 5);
        len += 5;
        ck_assert_msg(hpack_stand_decode(&stand, slice_of(block, len)) == HPACK_TOO_LARGE,
                      "round %u", round);
        ck_assert_int_eq(stand.fields.reason, CLOSE_HEADER_TOO_LARGE);
        ck_assert_uint_eq(table_size(&stand), inserted ? 34 : 68);
        ck_assert_int_eq(decode_hex(&stand, "be"), HPACK_OK);
        check_text(&stand, "|z: y|", "what follows is read on");
        free(block);
        hpack_stand_fini(&stand);
    }
}
END_TEST

/* RFC 9113 8.2.3: an HTTP/1 server sees one Cookie. */
START_TEST(makes_one_cookie_of_its_crumbs)
{
    static const struct {
        const char *hex;
        const char *want;
    } cases[] = {
        {"60 03 613d31", "|cookie: a=1|"},
        {"60 03 613d31 60 03 623d32", "|cookie: a=1; b=2|"},
        {"60 03 613d31 be be 53 01 62", "|cookie: a=1; a=1; a=1|accept: b|"},
        {"60 03 613d31 90 60 03 623d32 90 60 03 633d33",
         "|accept-encoding: gzip, deflate|accept-encoding: gzip, deflate|cookie: a=1; b=2; c=3|"},
        {"60 03 613d31 60 03 623d32 90 bf be",
         "|accept-encoding: gzip, deflate|cookie: a=1; b=2; a=1; b=2|"},
        {"60 00", "|"},
        {"60 00 60 03 613d31 60 00 60 03 623d32 60 00", "|cookie: a=1; b=2|"},
        {"1f11 03 613d31 60 03 623d32", "|cookie:! a=1; b=2|"},
        {"1f11 03 613d31 90 60 03 623d32", "|accept-encoding: gzip, deflate|cookie:! a=1; b=2|"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct hpack_stand stand;
        hpack_stand_init(&stand, roomy);
        ck_assert_int_eq(decode_hex(&stand, cases[i].hex), HPACK_OK);
        check_text(&stand, cases[i].want, cases[i].hex);
        hpack_stand_fini(&stand);
    }
}
END_TEST

/* R2: each crumb is a field. */
START_TEST(counts_every_crumb)
{
    struct hpack_stand stand;
    hpack_stand_init(&stand, (struct hpack_limits){.bytes = 65536, .fields = 3});
    ck_assert_int_eq(decode_hex(&stand, "60 03 613d31 be be"), HPACK_OK);
    ck_assert_uint_eq(stand.fields.count, 3);
    ck_assert_int_eq(decode_hex(&stand, "be be be be"), HPACK_TOO_LARGE);
    ck_assert_int_eq(stand.fields.reason, CLOSE_TOO_MANY_HEADERS);
    hpack_stand_fini(&stand);
}
END_TEST

/* Crumbs that are not neighbours are copied: when they do not fit twice, that is too large. */
START_TEST(refuses_crumbs_that_do_not_fit_twice)
{
    struct hpack_stand stand;
    hpack_stand_init(&stand, (struct hpack_limits){.bytes = 4096, .fields = 10});
    char block[8192];
    size_t len = 0;
    for (int i = 0; i < 2; i++) {
        memcpy(block + len, "\x0f\x11\x7f\xd1\x0e\0", 5); /* cookie, 2000 bytes */
        len += 5;
        memset(block + len, 'c', 2000);
        len += 2000;
        block[len++] = (char)0x90;
    }
    ck_assert_int_eq(hpack_stand_decode(&stand, slice_of(block, len)), HPACK_TOO_LARGE);
    ck_assert_int_eq(stand.fields.reason, CLOSE_HEADER_TOO_LARGE);
    hpack_stand_fini(&stand);
}
END_TEST

START_TEST(asks_for_an_update_after_its_limit_was_lowered)
{
    struct hpack_stand stand;
    hpack_stand_init(&stand, roomy);
    ck_assert_int_eq(decode_hex(&stand, "40 01 61 01 62"), HPACK_OK);
    hpack_decoder_limit(&stand.decoder, 100);
    ck_assert_int_eq(decode_hex(&stand, "3f45 be"), HPACK_OK); /* 100 */
    ck_assert_int_eq(decode_hex(&stand, "be"), HPACK_OK);
    hpack_decoder_limit(&stand.decoder, 0);
    ck_assert_int_eq(decode_hex(&stand, "20 82"), HPACK_OK);
    ck_assert_ptr_null(stand.decoder.table);
    ck_assert_int_eq(decode_hex(&stand, "40 01 61 01 62"), HPACK_OK); /* inserts nothing */
    ck_assert_int_eq(decode_hex(&stand, "be"), HPACK_BAD);
    hpack_stand_fini(&stand);

    hpack_stand_init(&stand, roomy);
    hpack_decoder_limit(&stand.decoder, 100);
    ck_assert_int_eq(decode_hex(&stand, "82"), HPACK_BAD); /* RFC 7541 4.2 */
    hpack_stand_fini(&stand);

    hpack_stand_init(&stand, roomy);
    hpack_decoder_limit(&stand.decoder, 100);
    ck_assert_int_eq(decode_hex(&stand, "3f46 82"), HPACK_BAD); /* 101 */
    hpack_stand_fini(&stand);

    hpack_stand_init(&stand, roomy);
    ck_assert_int_eq(decode_hex(&stand, "40 01 61 01 62"), HPACK_OK);
    hpack_decoder_limit(&stand.decoder, 0); /* and up again: the smallest is to be said */
    hpack_decoder_limit(&stand.decoder, 4096);
    ck_assert_int_eq(decode_hex(&stand, "20 3fe11f 40 01 61 01 62 be"), HPACK_OK);
    hpack_decoder_limit(&stand.decoder, 0);
    hpack_decoder_limit(&stand.decoder, 4096);
    ck_assert_int_eq(decode_hex(&stand, "3fe11f 82"), HPACK_BAD);
    hpack_stand_fini(&stand);
}
END_TEST

/* An idle connection pays for what is in its table. */
START_TEST(costs_little_when_idle)
{
    ck_assert_uint_le(sizeof(struct hpack_decoder), 24);
    struct hpack_stand stand;
    hpack_stand_init(&stand, roomy);
    ck_assert_int_eq(decode_hex(&stand, "82 87 04 02 2f61"), HPACK_OK);
    ck_assert_uint_eq(hpack_decoder_memory(&stand.decoder), 0);
    ck_assert_int_eq(decode_hex(&stand, "40 01 61 01 62"), HPACK_OK);
    ck_assert_uint_le(hpack_decoder_memory(&stand.decoder), 600);
    char block[] = "\x40\x04name\x04"
                   "0000";
    for (int i = 0; i < 10000; i++) { /* a full table of small entries */
        (void)snprintf(block + 7, 5, "%04d", i);
        ck_assert_int_eq(hpack_stand_decode(&stand, slice_of(block, sizeof(block) - 1)), HPACK_OK);
    }
    ck_assert_uint_eq(table_size(&stand), 4080);
    ck_assert_uint_le(hpack_decoder_memory(&stand.decoder), HPACK_TABLE + 64);
    ck_assert_int_eq(decode_hex(&stand, "ff 24"), HPACK_OK); /* 163: the oldest of 102 */
    check_text(&stand, "|name: 9898|", "the oldest");
    ck_assert_int_eq(decode_hex(&stand, "ff 25"), HPACK_BAD);
    hpack_stand_fini(&stand);
}
END_TEST

/* The lines are those of HTTP/1: h1_write sends them in one copy. */
START_TEST(lines_fit_into_a_message)
{
    struct hpack_stand stand;
    hpack_stand_init(&stand, roomy);
    ck_assert_int_eq(
        decode_hex(&stand, "82 87 84 41 01 68 53 01 62 60 03 613d31 90 60 03 623d32 00 01 7a 00"),
        HPACK_OK);
    struct message message = {0};
    message.headers = stand.fields.headers;
    message.head_len = stand.fields.head_len;
    message.method_text = stand.fields.pseudo[HPACK_METHOD];
    message.authority = stand.fields.pseudo[HPACK_AUTHORITY];
    message.path = stand.fields.pseudo[HPACK_PATH];
    struct arena arena;
    struct message copy;
    arena_init(&arena, NULL, 0);
    message_copy(&copy, &message, &arena);
    memset(stand.fields.bytes, 0xa5, stand.fields.capacity);
    char out[500];
    struct h1_write how = {0};
    size_t len = h1_write_request(out, sizeof(out), &copy, &how);
    static const char want[] = "GET / HTTP/1.1\r\nHost: h\r\naccept: b\r\n"
                               "accept-encoding: gzip, deflate\r\nz: \r\ncookie: a=1; b=2\r\n\r\n";
    ck_assert_msg(slice_eq(slice_of(out, len), slice_from(want)), "%.*s", (int)len, out);
    arena_fini(&arena);
    hpack_stand_fini(&stand);
}
END_TEST

UNIT_TESTS("hpack", decodes_single_fields_of_the_appendix, decodes_the_requests_of_the_appendix,
           decodes_the_responses_of_the_appendix,
           tells_errors_of_the_connection_from_those_of_a_stream,
           remembers_what_is_wrong_with_an_entry, stays_in_step_beyond_the_limits,
           survives_fields_larger_than_its_buffer, makes_one_cookie_of_its_crumbs,
           counts_every_crumb, refuses_crumbs_that_do_not_fit_twice,
           asks_for_an_update_after_its_limit_was_lowered, costs_little_when_idle,
           lines_fit_into_a_message)
