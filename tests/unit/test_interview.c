#include "lbd/base/compiler.h"
#include "lbd/upstream/interview.h"
#include "tests/unit/unit.h"

static const struct {
    struct slice said;
    enum interview_found found;
} cases[] = {
    {SLICE_INIT(""), INTERVIEW_NOTHING},
    {SLICE_INIT("HTTP/1.1 200 OK\r\n\r\n"), INTERVIEW_HTTP1},
    {SLICE_INIT("HTTP/1.1 400 Bad Request\r\n\r\nno"), INTERVIEW_HTTP1},
    {SLICE_INIT("HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request was sent to HTTPS port"),
     INTERVIEW_TLS},
    {SLICE_INIT("HTTP/1.1 301 Moved\r\nLocation: https://x/\r\n\r\n"), INTERVIEW_HTTP1},
    {SLICE_INIT("\x15\x03\x01\x00\x02\x02\x46"), INTERVIEW_TLS},
    {SLICE_INIT("\x16\x03\x03"), INTERVIEW_TLS},
    {SLICE_INIT("\x15\x03"), INTERVIEW_OTHER},
    {SLICE_INIT("\0\0\x12\x04\0\0\0\0\0rest"), INTERVIEW_HTTP2},
    {SLICE_INIT("\0\0\x12\x04\0\0\0\0\1rest"), INTERVIEW_OTHER},
    {SLICE_INIT("\0\0\x12\x04\0\0\0\0"), INTERVIEW_OTHER},
    {SLICE_INIT("220 mail.test ESMTP\r\n"), INTERVIEW_SMTP},
    {SLICE_INIT("220-mail.test Postfix\r\n"), INTERVIEW_SMTP},
    {SLICE_INIT("220 ftp.test ready\r\n"), INTERVIEW_OTHER},
    {SLICE_INIT("* OK ready\r\n"), INTERVIEW_IMAP},
    {SLICE_INIT("* BYE no\r\n"), INTERVIEW_IMAP},
    {SLICE_INIT("+OK ready\r\n"), INTERVIEW_POP3},
    {SLICE_INIT("SSH-2.0-x\r\n"), INTERVIEW_SSH},
    {SLICE_INIT("hello"), INTERVIEW_OTHER},
};

START_TEST(first_bytes_tell_a_protocol)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_msg(interview_look(cases[i].said) == cases[i].found, "case %zu: %d", i,
                      (int)interview_look(cases[i].said));
    }
}
END_TEST

UNIT_TESTS("interview", first_bytes_tell_a_protocol)
