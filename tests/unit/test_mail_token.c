#include <string.h>

#include "lbd/base/compiler.h"
#include "lbd/mail/mail_token.h"
#include "tests/unit/unit.h"

static const struct {
    enum mail_mechanism mechanism;
    const char *secret;
    bool says;
    uint64_t expires_s;
} cases[] = {
    /* {"exp":1700009060} */
    {MAIL_XOAUTH2, "x.eyJleHAiOjE3MDAwMDkwNjB9.y", true, 1700009060},
    {MAIL_OAUTHBEARER, "n,a=ann,\1host=x\1auth=Bearer x.eyJleHAiOjE3MDAwMDkwNjB9.y\1\1", true,
     1700009060},
    {MAIL_OAUTHBEARER, "n,a=ann,\1auth=bearer x.eyJleHAiOjE3MDAwMDkwNjB9.y\1\1", true, 1700009060},
    {MAIL_OAUTHBEARER, "auth=Bearer x.eyJleHAiOjE3MDAwMDkwNjB9.y\1\1", true, 1700009060},
    {MAIL_OAUTHBEARER, "x.eyJleHAiOjE3MDAwMDkwNjB9.y", false, 0},
    {MAIL_PLAIN, "x.eyJleHAiOjE3MDAwMDkwNjB9.y", false, 0}, /* a password */
    {MAIL_XOAUTH2, "", false, 0},
    {MAIL_XOAUTH2, "opaque", false, 0},
    {MAIL_XOAUTH2, "x.eyJleHAiOjE3MDAwMDkwNjB9", false, 0}, /* no signature */
    {MAIL_XOAUTH2, "..", false, 0},
    {MAIL_XOAUTH2, "x.!!!!.y", false, 0},
    {MAIL_XOAUTH2, "x.eyJle.y", false, 0},
    /* {"n":18446744073709551616,"exp":15} */
    {MAIL_XOAUTH2, "x.eyJuIjoxODQ0Njc0NDA3MzcwOTU1MTYxNiwiZXhwIjoxNX0.y", true, 15},
    {MAIL_XOAUTH2, "x.eyJleHAiOjE1LjV9.y", true, 15},     /* {"exp":15.5} */
    {MAIL_XOAUTH2, "x.eyJleHAiOi0xfQ.y", false, 0},       /* {"exp":-1} */
    {MAIL_XOAUTH2, "x.eyJleHAiOiIxIn0.y", false, 0},      /* {"exp":"1"} */
    {MAIL_XOAUTH2, "x.eyJleHAiOjFlMzAwfQ.y", false, 0},   /* {"exp":1e300} */
    {MAIL_XOAUTH2, "x.eyJ4Ijp7ImV4cCI6MX19.y", false, 0}, /* {"x":{"exp":1}} */
    {MAIL_XOAUTH2, "x.W10.y", false, 0},                  /* [] */
};

START_TEST(what_a_token_says_of_its_end)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t expires_s = 0;
        bool says = mail_token_expiry(cases[i].mechanism, slice_from(cases[i].secret), &expires_s);
        ck_assert_msg(says == cases[i].says && expires_s == cases[i].expires_s, "case %zu: %d %lu",
                      i, says, (unsigned long)expires_s);
    }
}
END_TEST

START_TEST(the_longest_token_is_looked_at)
{
    static char token[MAIL_TOKEN_MAX + 64];
    uint64_t expires_s = 0;
    memset(token, 'A', sizeof(token));
    token[1] = '.';
    token[sizeof(token) - 2] = '.';
    ck_assert(!mail_token_expiry(MAIL_XOAUTH2, slice_of(token, sizeof(token)), &expires_s));
}
END_TEST

UNIT_TESTS("mail_token", what_a_token_says_of_its_end, the_longest_token_is_looked_at)
