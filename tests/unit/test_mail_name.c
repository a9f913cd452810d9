#include <string.h>

#include "lbd/mail/mail_name.h"
#include "tests/unit/unit.h"

static const struct {
    const char *user;
    const char *domain; /* default */
    char extension;
    bool keeps_case;
    const char *want; /* NULL: refused */
} names[] = {
    {"joe", "", 0, false, "joe"},
    {"Joe", "", 0, false, "joe"},
    {"Joe", "", 0, true, "Joe"},
    {"joe", "example.com", 0, false, "joe@example.com"},
    {"joe", "Example.COM", 0, false, "joe@example.com"},
    {"joe@other.org", "example.com", 0, false, "joe@other.org"},
    {"Joe@Other.ORG", "", 0, true, "Joe@other.org"}, /* domains have no case */
    {"joe+lists@example.com", "", '+', false, "joe@example.com"},
    {"joe+a+b", "example.com", '+', false, "joe@example.com"},
    {"joe-a@example.com", "", '-', false, "joe@example.com"},
    {"joe+lists@example.com", "", 0, false, "joe+lists@example.com"},
    {"+joe@example.com", "", '+', false, "+joe@example.com"},     /* nothing would be left */
    {"joe@a+b.example", "", '+', false, "joe@a+b.example"},       /* of the local part only */
    {"\"a@b\"@example.com", "", 0, false, "\"a@b\"@example.com"}, /* the last @ counts */
    {"a@b@c", "", 0, false, "a@b@c"},
    {"J\xc3\x96rg@example.com", "", 0, false, "j\xc3\x96rg@example.com"}, /* ASCII's letters */
    {"joe smith", "example.com", 0, false, "joe smith@example.com"},
    {"", "example.com", 0, false, NULL},
    {"@example.com", "", 0, false, NULL},
    {"joe@", "", 0, false, NULL},
    {"joe@", "example.com", 0, false, NULL},
    {"@", "", 0, false, NULL},
};

START_TEST(a_name_is_made_by_the_listeners_rules)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct mail_name_rules rules = {.default_domain = slice_from(names[i].domain),
                                              .extension = names[i].extension,
                                              .keeps_case = names[i].keeps_case};
        struct mail_name name;
        bool made = mail_name_make(&rules, slice_from(names[i].user), &name);
        ck_assert_msg(made == (names[i].want != NULL), "'%s'", names[i].user);
        ck_assert_msg(!made || slice_eq(mail_name_slice(&name), slice_from(names[i].want)),
                      "'%s' is '%.*s'", names[i].user, (int)name.len, name.text);
        struct mail_name again;
        ck_assert(!made || (mail_name_make(&rules, mail_name_slice(&name), &again) &&
                            slice_eq(mail_name_slice(&again), mail_name_slice(&name))));
    }
}
END_TEST

START_TEST(a_master_behind_it_is_not_of_the_name)
{
    static const struct {
        const char *user;
        const char *want; /* NULL: refused */
    } masters[] = {
        {"Joe@Example.com*chief", "joe@example.com"},
        {"joe+lists*chief@x", "joe@d"},
        {"joe@d*a*b", "joe@d"},
        {"*chief", "*chief@d"}, /* nothing would be left */
        {"joe@*chief", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(masters); i++) {
        const struct mail_name_rules rules = {
            .default_domain = SLICE("d"), .extension = '+', .separator = '*'};
        struct mail_name name;
        bool made = mail_name_make(&rules, slice_from(masters[i].user), &name);
        ck_assert_msg(made == (masters[i].want != NULL), "'%s'", masters[i].user);
        ck_assert_msg(!made || slice_eq(mail_name_slice(&name), slice_from(masters[i].want)),
                      "'%s' is '%.*s'", masters[i].user, (int)name.len, name.text);
    }
}
END_TEST

START_TEST(a_name_that_becomes_too_long_is_none)
{
    char user[MAIL_USER_MAX];
    struct mail_name name;
    const struct mail_name_rules plain = {.default_domain = SLICE_NONE};
    const struct mail_name_rules domain = {.default_domain = SLICE("d")};
    memset(user, 'a', sizeof(user));
    ck_assert(mail_name_make(&plain, slice_of(user, sizeof(user)), &name));
    ck_assert_uint_eq(name.len, MAIL_USER_MAX);
    ck_assert(mail_name_make(&domain, slice_of(user, sizeof(user) - 2), &name));
    ck_assert(!mail_name_make(&domain, slice_of(user, sizeof(user) - 1), &name));
}
END_TEST

static const struct {
    const char *form;
    const char *want; /* NULL: refused. Of joe@example.com; groups "one", "" */
} forms[] = {
    {"{user}", "joe@example.com"},
    {"{local}", "joe"},
    {"{domain}/{local}", "example.com/joe"},
    {"{local}*master", "joe*master"},
    {"{1}-{local}", "one-joe"},
    {"{2}x", "x"},
    {"{9}", NULL}, /* empty */
    {"{0}", "{0}"},
    {"{10}", "{10}"},
    {"{other}", "{other}"},
    {"{", "{"},
    {"{local", "{local"},
    {"{{local}}", "{joe}"},
    {"}{", "}{"},
    {"plain", "plain"},
    {"", NULL},
};

START_TEST(a_form_takes_the_parts)
{
    const struct slice groups[9] = {SLICE("one")};
    struct mail_name_parts parts = mail_name_parts(SLICE("joe@example.com"));
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct mail_name out;
        bool made = mail_name_expand(slice_from(forms[i].form), &parts, groups, &out);
        ck_assert_msg(made == (forms[i].want != NULL), "'%s'", forms[i].form);
        ck_assert_msg(!made || slice_eq(mail_name_slice(&out), slice_from(forms[i].want)),
                      "'%s' is '%.*s'", forms[i].form, (int)out.len, out.text);
    }
    struct mail_name out;
    ck_assert(mail_name_expand(SLICE("{1}"), &parts, NULL, &out)); /* not of a pattern: text */
    ck_assert(slice_eq(mail_name_slice(&out), SLICE("{1}")));
}
END_TEST

START_TEST(an_expansion_that_is_too_long_is_refused)
{
    char form[3 * 110];
    struct mail_name out;
    struct mail_name_parts parts = mail_name_parts(SLICE("joe@example.com"));
    for (size_t i = 0; i < sizeof(form); i += 3) {
        memcpy(form + i, "{1}", 3);
    }
    const struct slice groups[9] = {SLICE("1234")};
    ck_assert(mail_name_expand(slice_of(form, 3 * 80), &parts, groups, &out));
    ck_assert_uint_eq(out.len, 320);
    ck_assert(!mail_name_expand(slice_of(form, 3 * 81), &parts, groups, &out));
}
END_TEST

UNIT_TESTS("mail_name", a_name_is_made_by_the_listeners_rules,
           a_master_behind_it_is_not_of_the_name, a_name_that_becomes_too_long_is_none,
           a_form_takes_the_parts, an_expansion_that_is_too_long_is_refused)
