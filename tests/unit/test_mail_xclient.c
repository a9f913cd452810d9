#include "lbd/base/compiler.h"
#include "lbd/mail/mail_xclient.h"
#include "tests/unit/unit.h"

START_TEST(xtext_leaves_nothing_that_ends_a_value)
{
    static const struct {
        struct slice value;
        const char *want;
    } cases[] = {
        {SLICE_INIT("joe@example.com"), "joe@example.com"},
        {SLICE_INIT("a b+c=d"), "a+20b+2Bc+3Dd"},
        {SLICE_INIT("x\r\nLOGIN=root"), "x+0D+0ALOGIN+3Droot"},
        {SLICE_INIT("gr\xc3\xbcn\0"), "gr+C3+BCn+00"},
        {SLICE_INIT("\x7f"), "+7F"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out;
        buf_init(&out, 256);
        mail_xclient_write_xtext(cases[i].value, &out);
        ck_assert_msg(slice_eq(buf_slice(&out), slice_from(cases[i].want)), "%.*s",
                      SLICE_ARG(buf_slice(&out)));
        buf_fini(&out);
    }
}
END_TEST

/* Lines of at most 512 bytes, and every attribute once. */
START_TEST(long_names_take_a_line_of_their_own)
{
    char name[160];
    memset(name, '=', sizeof(name)); /* three bytes each */
    const struct mail_origin origin = {
        .client_ip = SLICE_INIT("192.0.2.1"),
        .client_port = 25,
        .helo = slice_of(name, 150),
        .session = SLICE_INIT("x7"),
        .ttl = 5,
    };
    uint32_t left = mail_xclient_set(SLICE("HELO LOGIN ADDR SESSION TTL WHAT PORT"));
    struct buf lines;
    buf_init(&lines, 4096);
    int count = 0;
    size_t before = 0;
    while (mail_xclient_write(MAIL_SMTP, &origin, slice_of(name, 150), &left, &lines)) {
        ck_assert_uint_le(lines.len - before, MAIL_XCLIENT_LINE_MAX);
        before = lines.len;
        count++;
    }
    ck_assert_int_eq(count, 2);
    ck_assert_uint_eq(left, 0);
    ck_assert_ptr_nonnull(strstr(lines.data, "XCLIENT ADDR=192.0.2.1 PORT=25 HELO=+3D"));
    ck_assert_ptr_nonnull(strstr(lines.data, "\r\nXCLIENT LOGIN=+3D"));
    ck_assert_ptr_nonnull(strstr(lines.data, " SESSION=x7 TTL=5\r\n"));
    buf_fini(&lines);
}
END_TEST

/* It has to be said, but fits no line: then the others are. */
START_TEST(what_fits_no_line_is_left_out)
{
    char name[200];
    memset(name, '=', sizeof(name));
    const struct mail_origin origin = {.helo = slice_of(name, sizeof(name)),
                                       .client_ip = SLICE_INIT("unix")};
    uint32_t left = mail_xclient_set(SLICE("HELO ADDR NAME"));
    struct buf out;
    buf_init(&out, 4096);
    while (mail_xclient_write(MAIL_SMTP, &origin, SLICE_NONE, &left, &out)) {
    }
    ck_assert_str_eq(out.data, "XCLIENT ADDR=[UNAVAILABLE] NAME=[UNAVAILABLE]\r\n");
    buf_fini(&out);
}
END_TEST

START_TEST(believes_only_what_keeps_to_the_grammar)
{
    static const struct {
        enum mail_protocol protocol;
        const char *text;
        bool is_good;
        const char *want;
    } cases[] = {
        {MAIL_SMTP, "ADDR=192.0.2.1", true, "192.0.2.1 0  -1"},
        {MAIL_SMTP, "addr=ipv6:2001:db8::1 port=7", true, "2001:db8::1 7  -1"},
        {MAIL_SMTP, "ADDR=[UNAVAILABLE] SESSION=a+2Fb", true, " 0 a/b -1"},
        {MAIL_POP3, "ADDR=2001:db8::1 TTL=0 FORWARD=eA==", true, "2001:db8::1 0  0"},
        {MAIL_SMTP, "FORWARD=eA==", false, ""},
        {MAIL_SMTP, "LOGIN=joe", false, ""},
        {MAIL_SMTP, "LOGIN=[UNAVAILABLE]", true, " 0  -1"},
        {MAIL_SMTP, "", false, ""},
        {MAIL_SMTP, "ADDR", false, ""},
        {MAIL_SMTP, "ADDR=", false, ""},
        {MAIL_SMTP, "ADDR=192.0.2.1:25", false, ""},
        {MAIL_SMTP, "ADDR=localhost", false, ""},
        {MAIL_SMTP, "ADDR=192.0.2.1 PORT=0", false, ""},
        {MAIL_SMTP, "ADDR=192.0.2.1 PORT=65536", false, ""},
        {MAIL_SMTP, "TTL=256", false, ""},
        {MAIL_SMTP, "SESSION=a+2", false, ""},
        {MAIL_SMTP, "SESSION=a+0A", false, ""},
        {MAIL_SMTP, "SESSION=0123456789012345678901234567890123456789", false, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mail_behind behind = {0};
        bool is_good = mail_xclient_read(cases[i].protocol, slice_from(cases[i].text), &behind);
        char got[160];
        (void)snprintf(got, sizeof(got), "%.*s %u %s %d", (int)behind.address_len, behind.address,
                       behind.port, behind.session, behind.has_ttl ? behind.ttl : -1);
        ck_assert_msg(is_good == cases[i].is_good, "%s", cases[i].text);
        ck_assert_msg(!is_good || strcmp(got, cases[i].want) == 0, "'%s' is '%s'", cases[i].text,
                      got);
        ck_assert(is_good || behind.address_len + behind.port == 0);
    }
}
END_TEST

UNIT_TESTS("mail_xclient", xtext_leaves_nothing_that_ends_a_value,
           long_names_take_a_line_of_their_own, what_fits_no_line_is_left_out,
           believes_only_what_keeps_to_the_grammar)
