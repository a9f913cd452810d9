#include "conf/conf_check.h"
#include "conf/conf_document.h"
#include "lbd/base/compiler.h"
#include "lbd/base/mem.h"
#include "tests/unit/unit.h"

/* Single quotes stand for double ones. */
static struct conf_document *read_text(const char *text, struct conf_errors *errors)
{
    char *copy = mem_strdup(text);
    for (char *c = copy; *c != '\0'; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    conf_errors_init(errors);
    struct conf_document *document = conf_document_from_text(slice_from(copy), errors);
    free(copy);
    return document;
}

#define SERVERS "'servers':{'b1':{'address':'h:1'},'b2':{'address':'h:2'}}"
/* `listener` and `mail` are members, `rest` of the document. Pools "p" and "q". */
#define LISTENS(listener, mail, rest)                                                              \
    "{'listeners':{'in':{'bind':['127.0.0.1:143'],'protocol':'imap'," listener "'mail':{" mail     \
    "}}}," rest "'pools':{'p':{" SERVERS "},'q':{" SERVERS "}}}"
#define CLEAR "'allow_cleartext':true"
#define TO_P  "'default_pool':'p',"
#define IMAP  LISTENS(TO_P, CLEAR, "")
#define SMTP(mail)                                                                                   \
    "{'listeners':{'in':{'bind':['127.0.0.1:25'],'protocol':'smtp','default_pool':'p','mail':{" mail \
    "}}},'pools':{'p':{" SERVERS "}}}"
#define POOL(members) "{'pools':{'p':{" members "," SERVERS "}}}"
#define MAP(type, entry)                                                                           \
    LISTENS(TO_P, CLEAR ",'maps':['m']",                                                           \
            "'mail_maps':{'m':{'type':'" type "','entries':{" entry "}}},")
/* Two listeners, each with its pool; more members of the second pool, and of its server. */
#define GROUPED(pool, server)                                                                          \
    "{'listeners':{'in':{'bind':['127.0.0.1:143'],'protocol':'imap','default_pool':'p','mail':{" CLEAR \
    "}},'on':{'bind':['127.0.0.1:110'],'protocol':'pop3','default_pool':'q','mail':{" CLEAR            \
    "}}},'pools':{'p':{'servers':{'b1':{'address':'127.0.0.1:1143'},'b2':{'address':"                  \
    "'127.0.0.2:1143'}}},'q':{'servers':{'b1':{'address':'127.0.0.1:1110'" server                      \
    "},'b2':{'address':'127.0.0.2:1110'}}" pool "}}}"
#define USER(members) LISTENS(TO_P, CLEAR, "'mail_users':{'joe':{" members "}},")

/* What must be said about a document, and nothing else. */
static const struct {
    const char *text;
    const char *pointer; /* NULL: all is well */
    const char *code;
    bool is_warning;
} cases[] = {
    {IMAP, NULL, "", false},

    /* listeners */
    {LISTENS(TO_P, CLEAR ",'starttls':true", ""), "/listeners/in/mail/starttls", "not-applicable",
     false},
    {LISTENS(TO_P, "", ""), "/listeners/in/mail/allow_cleartext", "no-login", true},
    {LISTENS(TO_P, CLEAR ",'mechanisms':['plain','external']", ""),
     "/listeners/in/mail/mechanisms/1", "not-applicable", false},
    {LISTENS(TO_P, CLEAR ",'login':'none'", ""), "/listeners/in/mail/login", "not-applicable",
     false},
    {SMTP("'login':'none'"), NULL, "", false},
    {SMTP(CLEAR ",'cache':{'clients':['10.0.0.0/8']}"), "/listeners/in/mail/cache",
     "not-applicable", false},
    {LISTENS("", CLEAR, ""), "/listeners/in/default_pool", "no-default-pool", true},
    {SMTP(CLEAR ",'relay':'track'"), "/listeners/in/mail/relay", "no-effect", true},
    {LISTENS(TO_P, CLEAR ",'maps':['none']", ""), "/listeners/in/mail/maps/0", "unknown-reference",
     false},
    {LISTENS(TO_P, CLEAR ",'callback':'none'", ""), "/listeners/in/mail/callback",
     "unknown-reference", false},
    {"{'listeners':{'in':{'bind':['127.0.0.1:80'],'mail':{}}}}", "/listeners/in/mail", "no-effect",
     true},
    {"{'listeners':{'in':{'bind':['127.0.0.1:143'],'protocol':'imap','default_pool':'p','mail':{" CLEAR
     "}}},'routes':{'r':{'listener':'in','action':{'pool':'p'}}},'pools':{'p':{" SERVERS "}}}",
     "/routes/r/listener", "invalid-value", false},

    /* pools */
    {POOL("'mail':{}"), NULL, "", false},
    {POOL("'mail':{'starttls':true}"), "/pools/p/mail/starttls", "not-applicable", false},
    {POOL("'tls':{},'mail':{'starttls':true}"), NULL, "", false},
    {POOL("'mail':{'credentials':'master','master_user':'lbd'}"),
     "/pools/p/mail/master_password_file", "missing-key", false},
    {POOL("'mail':{'credentials':'master','master_password_file':'/x'}"),
     "/pools/p/mail/master_user", "missing-key", false},
    {POOL("'mail':{'master_user':'lbd'}"), "/pools/p/mail/master_user", "no-effect", true},
    {GROUPED(",'mail':{'credentials':'none'}", ""), "/pools/q/mail/credentials", "no-login", true},
    {"{'listeners':{'in':{'bind':['127.0.0.1:25'],'protocol':'smtp','default_pool':'p','mail':{" CLEAR
     "}}},'pools':{'p':{'mail':{'credentials':'none'}," SERVERS "}}}",
     NULL, "", false},
    {"{'listeners':{'in':{'bind':['127.0.0.1:143'],'protocol':'imap','default_pool':'p','mail':{" CLEAR
     "}},'on':{'bind':['127.0.0.1:110'],'protocol':'pop3','default_pool':'p','mail':{" CLEAR
     "}}},'pools':{'p':{" SERVERS "}}}",
     "/pools/p", "two-protocols", true},
    {"{'listeners':{'in':{'bind':['127.0.0.1:143'],'protocol':'imap','default_pool':'p','mail':{" CLEAR
     "}},'on':{'bind':['127.0.0.2:143'],'protocol':'imap','default_pool':'p','mail':{" CLEAR
     "}}},'pools':{'p':{" SERVERS "}}}",
     NULL, "", false},

    /* health checks */
    {"{'health_checks':{'h':{'type':'imap'}},'pools':{'p':{'health_check':'h'," SERVERS "}}}", NULL,
     "", false},
    {"{'health_checks':{'h':{'type':'imap','user':'joe'}},'pools':{'p':{'health_check':'h'," SERVERS
     "}}}",
     "/health_checks/h/password_file", "missing-key", false},
    {"{'health_checks':{'h':{'type':'imap','password_file':'/x'}},'pools':{'p':{'health_check':'h'"
     "," SERVERS "}}}",
     "/health_checks/h/user", "missing-key", false},

    /* maps */
    {MAP("exact", "'joe':{'pool':'q','server':'b2'}"), NULL, "", false},
    {MAP("exact", "'joe':{'server':'b2'}"), NULL, "", false}, /* of the listener's pool */
    {MAP("exact", "'joe':{'pool':'x'}"), "/mail_maps/m/entries/joe/pool", "unknown-reference",
     false},
    {MAP("exact", "'joe':{'pool':'q','server':'b3'}"), "/mail_maps/m/entries/joe/server",
     "unknown-reference", false},
    {MAP("domain", "'A.example':{'pool':'q'}"), "/mail_maps/m/entries/A.example", "no-effect",
     true},
    {MAP("domain", "'joe@a.example':{'pool':'q'}"), "/mail_maps/m/entries/joe@a.example",
     "no-effect", true},
    {MAP("exact", "'Joe':{'pool':'q'}"), "/mail_maps/m/entries/Joe", "no-effect", true},
    {LISTENS(TO_P, CLEAR ",'keep_case':true", "'mail_users':{'Joe@a':{'pool':'q'}},"), NULL, "",
     false},
    {LISTENS(TO_P, CLEAR ",'keep_case':true", "'mail_users':{'joe@A':{'pool':'q'}},"),
     "/mail_users/joe@A", "no-effect", true},
    {MAP("regex", "'^[A-m](x|y).*@':{'pool':'q'}"), NULL, "", false},
    {MAP("regex", "'^[a-m](x|y).*@':{'pool':'q'}"), NULL, "", false},
    {MAP("regex", "'a[':{'pool':'q'}"), "/mail_maps/m/entries/a[", "invalid-name", false},
    {MAP("regex", "'^(a)\\\\1$':{'pool':'q'}"), "/mail_maps/m/entries/^(a)\\1$", "invalid-name",
     false},
    {MAP("regex", "'a\\\\{5':{'pool':'q'}"), NULL, "", false}, /* a brace that is text */
    {MAP("regex", "'(a{10}){100}':{'pool':'q'}"), NULL, "", false},
    {MAP("regex", "'(a{10}){101}':{'pool':'q'}"), "/mail_maps/m/entries/(a{10}){101}",
     "invalid-name", false},
    {MAP("regex", "'a{2,1001}':{'pool':'q'}"), "/mail_maps/m/entries/a{2,1001}", "invalid-name",
     false},
    {MAP("exact", "'a{2,9999}':{'pool':'q'}"), NULL, "", false}, /* no pattern at all */

    /* users */
    {USER("'pool':'q','server':'b1'"), NULL, "", false},
    {USER("'disabled':true,'reason':'left'"), NULL, "", false},
    {USER("'pool':'x'"), "/mail_users/joe/pool", "unknown-reference", false},
    {USER("'pool':'q','server':'x'"), "/mail_users/joe/server", "unknown-reference", false},

    {USER("'server':'b1'"), NULL, "", false}, /* of the listener's pool */
    {USER("'server':'x'"), "/mail_users/joe/server", "no-server", true},
    {MAP("exact", "'joe':{'server':'x'}"), "/mail_maps/m/entries/joe/server", "no-server", true},

    /* pools of one group */
    {GROUPED("", ""), NULL, "", false},
    {GROUPED(",'mail':{'affinity':'failover'}", ""), "/pools/q/mail/affinity", "differs", true},
    {GROUPED(",'mail':{'linger':'1m'}", ""), "/pools/q/mail/linger", "differs", true},
    {GROUPED(",'mail':{'linger':'1m','group':'other'}", ""), NULL, "", false},
    {GROUPED("", ",'weight':7"), "/pools/q/servers/b1/weight", "differs", true},

    /* callbacks */
    {LISTENS(TO_P, CLEAR ",'callback':'c'",
             "'mail_callbacks':{'c':{'urls':['http://127.0.0.1:9/a']}},"),
     NULL, "", false},
    {LISTENS(TO_P, CLEAR ",'callback':'c'",
             "'mail_callbacks':{'c':{'urls':['https://a.b/'],'ca':'none'}},"),
     "/mail_callbacks/c/ca", "unknown-reference", false},
};

/* What nothing leads to is not what these cases are about. */
static void drop_unused(struct conf_errors *errors)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < errors->warning_count; i++) {
        if (!slice_starts(errors->warnings[i].code, SLICE("unused-"))) {
            errors->warnings[kept++] = errors->warnings[i];
        }
    }
    errors->warning_count = kept;
}

START_TEST(judges_documents)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conf_errors errors;
        struct conf_document *document = read_text(cases[i].text, &errors);
        drop_unused(&errors);
        bool has_error = cases[i].pointer != NULL && !cases[i].is_warning;
        bool has_warning = cases[i].pointer != NULL && cases[i].is_warning;
        ck_assert_msg(errors.error_count == (has_error ? 1 : 0), "%s: %u errors, %.*s",
                      cases[i].text, errors.error_count,
                      SLICE_ARG(errors.error_count != 0 ? errors.errors[0].detail : SLICE_NONE));
        ck_assert_msg((document == NULL) == has_error, "%s", cases[i].text);
        ck_assert_msg(
            errors.warning_count == (has_warning ? 1 : 0), "%s: %u warnings, %.*s", cases[i].text,
            errors.warning_count,
            SLICE_ARG(errors.warning_count != 0 ? errors.warnings[0].detail : SLICE_NONE));
        if (cases[i].pointer != NULL) {
            const struct conf_error *error = has_error ? &errors.errors[0] : &errors.warnings[0];
            ck_assert_msg(slice_eq(error->pointer, slice_from(cases[i].pointer)), "%s: %.*s",
                          cases[i].text, SLICE_ARG(error->pointer));
            ck_assert_msg(slice_eq(error->code, slice_from(cases[i].code)), "%s: %.*s",
                          cases[i].text, SLICE_ARG(error->code));
        }
        conf_document_unref(document);
        conf_errors_fini(&errors);
    }
}
END_TEST

START_TEST(names_who_uses_what)
{
    struct conf_errors errors;
    struct conf_document *document =
        read_text(LISTENS(TO_P, CLEAR ",'maps':['m'],'callback':'c'",
                          "'mail_maps':{'m':{'entries':{'ann':{'pool':'q'}}},'n':{}},"
                          "'mail_users':{'joe':{'pool':'q'}},'ca_sets':{'s':{'file':'/x'}},"
                          "'mail_callbacks':{'c':{'urls':['https://a.b/'],'ca':'s'},"
                          "'d':{'urls':['http://a.b/']}},"),
                  &errors);
    ck_assert_ptr_nonnull(document);
    static const struct {
        const char *collection;
        const char *name;
        const char *users[2];
    } uses[] = {
        {"pools", "q", {"/mail_maps/m/entries/ann/pool", "/mail_users/joe/pool"}},
        {"mail_maps", "m", {"/listeners/in/mail/maps/0", NULL}},
        {"mail_maps", "n", {NULL}},
        {"mail_callbacks", "c", {"/listeners/in/mail/callback", NULL}},
        {"mail_callbacks", "d", {NULL}},
        {"mail_users", "joe", {NULL}},
        {"ca_sets", "s", {"/mail_callbacks/c/ca", NULL}},
    };
    for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
        conf_errors_clear(&errors);
        bool unused =
            conf_check_unused(conf_document_conf(document), slice_from(uses[i].collection),
                              slice_from(uses[i].name), &errors);
        uint32_t count =
            (uses[i].users[0] != NULL ? 1U : 0U) + (uses[i].users[1] != NULL ? 1U : 0U);
        ck_assert_msg(unused == (count == 0), "%s", uses[i].name);
        ck_assert_uint_eq(errors.error_count, count);
        for (uint32_t j = 0; j < count; j++) {
            ck_assert_msg(slice_eq(errors.errors[j].pointer, slice_from(uses[i].users[j])), "%.*s",
                          SLICE_ARG(errors.errors[j].pointer));
            ck_assert(slice_eq(errors.errors[j].code, SLICE("in-use")));
        }
    }
    conf_document_unref(document);
    conf_errors_fini(&errors);
}
END_TEST

UNIT_TESTS("conf_check_mail", judges_documents, names_who_uses_what)
