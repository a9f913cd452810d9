#include "lbd/base/compiler.h"
#include "lbd/mail/mail_line.h"
#include "lbd/mail/mail_protocol.h"
#include "tests/unit/unit.h"

START_TEST(lines_end_the_same_however_they_are_cut)
{
    static const struct {
        struct slice bytes;
        size_t max;
        enum mail_line_end end;
        struct slice line;
    } cases[] = {
        {SLICE_INIT("abc\r\n"), 8, MAIL_LINE_WHOLE, SLICE_INIT("abc")},
        {SLICE_INIT("abc\n"), 8, MAIL_LINE_BARE_LF, SLICE_INIT("abc")},
        {SLICE_INIT("\r\n"), 8, MAIL_LINE_WHOLE, SLICE_INIT("")},
        {SLICE_INIT("\n"), 8, MAIL_LINE_BARE_LF, SLICE_INIT("")},
        {SLICE_INIT("a\rb\r\r\n"), 8, MAIL_LINE_WHOLE, SLICE_INIT("a\rb\r")},
        {SLICE_INIT("abc"), 8, MAIL_LINE_MORE, SLICE_INIT("abc")},
        {SLICE_INIT("12345678\r\n"), 8, MAIL_LINE_WHOLE, SLICE_INIT("12345678")},
        {SLICE_INIT("12345678\n"), 8, MAIL_LINE_BARE_LF, SLICE_INIT("12345678")},
        {SLICE_INIT("12345678\r"), 8, MAIL_LINE_MORE, SLICE_INIT("12345678\r")},
        {SLICE_INIT("123456789\r\n"), 8, MAIL_LINE_TOO_LONG, {0}},
        {SLICE_INIT("123456789\n"), 8, MAIL_LINE_TOO_LONG, {0}},
        {SLICE_INIT("123456789"), 8, MAIL_LINE_MORE, SLICE_INIT("123456789")}, /* a CR may come */
        {SLICE_INIT("1234567890"), 8, MAIL_LINE_TOO_LONG, {0}},
        {SLICE_INIT("12345678\0"), 8, MAIL_LINE_NUL, {0}},
        {SLICE_INIT("1234567890\0"), 8, MAIL_LINE_TOO_LONG, {0}},
        {SLICE_INIT("a\0b\r\n"), 8, MAIL_LINE_NUL, {0}},
        {SLICE_INIT("\0"), 8, MAIL_LINE_NUL, {0}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t cut = 0; cut <= cases[i].bytes.len; cut++) {
            struct buf line;
            buf_init(&line, SIZE_MAX);
            enum mail_line_end end = MAIL_LINE_MORE;
            size_t used = mail_line_take(&line, cases[i].max, cases[i].bytes.ptr, cut, &end);
            if (end == MAIL_LINE_MORE) {
                ck_assert_uint_eq(used, cut);
                (void)mail_line_take(&line, cases[i].max, cases[i].bytes.ptr + cut,
                                     cases[i].bytes.len - cut, &end);
            }
            ck_assert_msg(end == cases[i].end, "case %zu cut at %zu: %d", i, cut, (int)end);
            ck_assert_msg(cases[i].line.ptr == NULL || slice_eq(buf_slice(&line), cases[i].line),
                          "case %zu cut at %zu", i, cut);
            mail_line_fini(&line);
        }
    }
}
END_TEST

START_TEST(what_follows_the_line_is_left)
{
    struct buf line;
    enum mail_line_end end;
    buf_init(&line, SIZE_MAX);
    ck_assert_uint_eq(mail_line_take(&line, 10, "a\r\nb\r\n", 6, &end), 3);
    ck_assert_int_eq(end, MAIL_LINE_WHOLE);
    mail_line_join(&line);
    uint32_t left = 4;
    ck_assert_uint_eq(mail_line_take_literal(&line, "xyz", 3, &left), 3);
    ck_assert_uint_eq(mail_line_take_literal(&line, "\n!!", 3, &left), 1);
    ck_assert_uint_eq(left, 0);
    ck_assert_str_eq(line.data, "a\nxyz\n");
    mail_line_wipe(&line);
    ck_assert_uint_eq(line.len, 0);
    ck_assert_int_eq(line.data[2], 0);
    mail_line_fini(&line);
}
END_TEST

START_TEST(a_literal_is_told_from_text)
{
    static const struct {
        struct slice line;
        bool is_literal;
        uint64_t bytes;
        bool is_waiting;
    } cases[] = {
        {SLICE_INIT("a LOGIN {5}"), true, 5, true},
        {SLICE_INIT("a LOGIN {5+}"), true, 5, false},
        {SLICE_INIT("a FOO ({0}"), true, 0, true},
        {SLICE_INIT("a FOO ~{12}"), true, 12, true},
        {SLICE_INIT("{5}"), true, 5, true},
        {SLICE_INIT("a {18446744073709551614}"), true, UINT64_MAX - 1, true},
        {SLICE_INIT("a {18446744073709551616}"), true, UINT64_MAX, true},
        {SLICE_INIT("a {99999999999999999999999+}"), true, UINT64_MAX, false},
        {SLICE_INIT("a {5-}"), false, 0, false},
        {SLICE_INIT("a {+}"), false, 0, false},
        {SLICE_INIT("a {}"), false, 0, false},
        {SLICE_INIT("a {5} "), false, 0, false},
        {SLICE_INIT("a {-5}"), false, 0, false},
        {SLICE_INIT("a {5++}"), false, 0, false},
        {SLICE_INIT("a x{5}"), false, 0, false},
        {SLICE_INIT("a \"{5}\""), false, 0, false},
        {SLICE_INIT("5}"), false, 0, false},
        {SLICE_INIT("+}"), false, 0, false},
        {SLICE_INIT("}"), false, 0, false},
        {SLICE_INIT(""), false, 0, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mail_literal literal = {0};
        ck_assert_msg(mail_literal_read(cases[i].line, &literal) == cases[i].is_literal, "case %zu",
                      i);
        ck_assert_msg(literal.bytes == cases[i].bytes, "case %zu", i);
        ck_assert_msg(literal.is_waiting == cases[i].is_waiting, "case %zu", i);
    }
}
END_TEST

START_TEST(words_are_taken_apart)
{
    static const struct {
        struct slice line;
        const char *words; /* each in brackets; '!' where it is none */
    } cases[] = {
        {SLICE_INIT("a b"), "[a][b]"},
        {SLICE_INIT("\"a b\" \"\""), "[a b][]"},
        {SLICE_INIT("\"a\\\"b\\\\c\" d"), "[a\"b\\c][d]"},
        {SLICE_INIT("{3}\nx\ny {0+}\n"), "[x\ny][]"},
        {SLICE_INIT("{3}\n{1}"), "[{1}]"},
        {SLICE_INIT("\"a"), "!"},
        {SLICE_INIT("\"a\\"), "!"},
        {SLICE_INIT("\"a\nb\""), "!"},
        {SLICE_INIT("{4}\nabc"), "!"},
        {SLICE_INIT("{4"), "!"},
        {SLICE_INIT("{4}"), "!"},
        {SLICE_INIT("{4} x\nabc"), "!"},
        {SLICE_INIT("a  b"), "[a]!"},
        {SLICE_INIT("a b(c"), "[a][b]!"},
        {SLICE_INIT(""), "!"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf line;
        struct buf got;
        buf_init(&line, SIZE_MAX);
        buf_init(&got, 1024);
        buf_append_slice(&line, cases[i].line);
        struct mail_words words = mail_words_of(&line);
        struct slice word;
        do {
            if (!mail_words_astring(&words, &word)) {
                buf_append_char(&got, '!');
                break;
            }
            buf_append_char(&got, '[');
            buf_append_slice(&got, word);
            buf_append_char(&got, ']');
            if (!mail_words_is_end(&words) && !mail_words_char(&words, ' ')) {
                buf_append_char(&got, '!');
                break;
            }
        } while (!mail_words_is_end(&words) || line.data[line.len - 1] == ' ');
        ck_assert_msg(strcmp(got.data, cases[i].words) == 0, "case %zu: %s", i, got.data);
        mail_line_fini(&line);
        buf_fini(&got);
    }
}
END_TEST

START_TEST(lists_of_words)
{
    static const struct slice list = SLICE_INIT("IMAP4rev1  AUTH=PLAIN ID ");
    ck_assert(mail_word_in(list, SLICE("imap4REV1")));
    ck_assert(mail_word_in(list, SLICE("ID")));
    ck_assert(!mail_word_in(list, SLICE("I")));
    ck_assert(!mail_word_in(list, SLICE("")));
    ck_assert(!mail_word_in(SLICE_NONE, SLICE("ID")));
}
END_TEST

START_TEST(texts_of_others_stay_on_their_line)
{
    struct buf out;
    buf_init(&out, 4096);
    mail_text_append(&out, SLICE("a\r\nb\0c\x7f gr\xc3\xbcn \xff\xc3"));
    ck_assert_str_eq(out.data, "a??b?c? gr\xc3\xbcn ??");
    buf_clear(&out);
    char text[MAIL_TEXT_MAX + 10];
    memset(text, 'x', sizeof(text));
    mail_text_append(&out, slice_of(text, sizeof(text)));
    ck_assert_uint_eq(out.len, MAIL_TEXT_MAX);
    buf_fini(&out);
}
END_TEST

UNIT_TESTS("mail_line", lines_end_the_same_however_they_are_cut, what_follows_the_line_is_left,
           a_literal_is_told_from_text, words_are_taken_apart, lists_of_words,
           texts_of_others_stay_on_their_line)
