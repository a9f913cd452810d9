#include <string.h>

#include "lbd/base/base64.h"
#include "tests/unit/unit.h"

static const struct {
    const char *text;
    const char *plain; /* NULL: refused */
    const char *url;   /* NULL: refused */
} cases[] = {
    {"", "", ""},
    {"Zg==", "f", NULL},
    {"Zg", NULL, "f"},
    {"Zm8=", "fo", NULL},
    {"Zm8", NULL, "fo"},
    {"Zm9v", "foo", "foo"},
    {"Zm9vYg==", "foob", NULL},
    {"+/+/", "\xfb\xff\xbf", NULL},
    {"-_-_", NULL, "\xfb\xff\xbf"},
    {"Zh==", NULL, NULL}, /* bits that are lost */
    {"Zh", NULL, NULL},
    {"Zm9=", NULL, NULL},
    {"Z", NULL, NULL},
    {"Z===", NULL, NULL},
    {"Zm9v\n", NULL, NULL},
    {" Zm9v", NULL, NULL},
    {"Zm=v", NULL, NULL},
};

static void check(bool (*read)(char *, size_t, struct slice *), const char *text, const char *want)
{
    char copy[32];
    struct slice bytes;
    size_t len = strlen(text);
    memcpy(copy, text, len);
    bool ok = read(copy, len, &bytes);
    ck_assert_msg(ok == (want != NULL), "%s", text);
    ck_assert(!ok || slice_eq(bytes, slice_from(want)));
}

START_TEST(there_is_one_spelling)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        check(base64_read, cases[i].text, cases[i].plain);
        check(base64_read_url, cases[i].text, cases[i].url);
        if (cases[i].plain != NULL) {
            struct buf out;
            buf_init(&out, 64);
            base64_write(slice_from(cases[i].plain), &out);
            ck_assert(slice_eq(buf_slice(&out), slice_from(cases[i].text)));
            buf_fini(&out);
        }
    }
}
END_TEST

UNIT_TESTS("base64", there_is_one_spelling)
