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

#define POOL(name)  "'" name "':{'servers':{'a':{'address':'h:1'},'b':{'address':'h:2'}}}"
#define RESPOND     "'action':{'respond':{'status':200}}"
#define LISTEN(...) "'listeners':{" __VA_ARGS__ "}"
#define WEB         "'web':{'bind':['127.0.0.1:80']}"

/* What must be said about a document, and nothing else. */
static const struct {
    const char *text;
    const char *pointer; /* NULL: all is well */
    const char *code;
    const char *suggestion;
    bool is_warning;
} cases[] = {
    {"{'pools':{" POOL("p") "}}", NULL, "", "", false},
    {"{" LISTEN("'w':{'bind':['127.0.0.1:80'],'default_pool':'web'}") ",'pools':{" POOL(
         "weba") "}}",
     "/listeners/w/default_pool", "unknown-reference", "weba", false},
    {"{" LISTEN(WEB) ",'routes':{'r':{'listener':'wbe'," RESPOND "}}}", "/routes/r/listener",
     "unknown-reference", "web", false},
    {"{" LISTEN(WEB) ",'routes':{'r':{'listener':'web','action':{'pool':'nowhere'}}}}",
     "/routes/r/action/pool", "unknown-reference", "", false},
    {"{'pools':{'p':{'health_check':'h','servers':{'a':{'address':'h:1'},'b':{'address':'h:2'}}}}}",
     "/pools/p/health_check", "unknown-reference", "", false},

    /* binds */
    {"{" LISTEN(WEB ",'b':{'bind':['127.0.0.1:81','127.0.0.2:80','[::]:80']}") "}", NULL, "", "",
     false},
    {"{" LISTEN(WEB ",'b':{'bind':['127.0.0.1:80']}") "}", "/listeners/web/bind/0", "bind-clash",
     "", false},
    {"{" LISTEN("'b':{'bind':['127.0.0.1:80','127.0.0.1:80']}") "}", "/listeners/b/bind/1",
     "bind-clash", "", false},
    {"{" LISTEN(WEB ",'b':{'bind':['0.0.0.0:80']}") "}", "/listeners/web/bind/0", "bind-clash", "",
     false},
    {"{" LISTEN("'a':{'bind':['[::1]:80']},'b':{'bind':['[::]:80']}") "}", "/listeners/a/bind/0",
     "bind-clash", "", false},
    {"{" LISTEN("'a':{'bind':['127.0.0.1:0']},'b':{'bind':['127.0.0.1:0','0.0.0.0:0']}") "}", NULL,
     "", "", false},
    {"{" LISTEN("'a':{'bind':['unix:/x']},'b':{'bind':['unix:/x','unix:/y']}") "}",
     "/listeners/b/bind/0", "bind-clash", "", false},

    /* answers */
    {"{" LISTEN(WEB) ",'routes':{'r':{'listener':'web','action':{'respond':{'status':204,"
                     "'body':'x'}}}}}",
     "/routes/r/action/respond/body", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'routes':{'r':{'listener':'web','action':{'respond':{'status':204}}}}}",
     NULL, "", "", false},

    /* pools and checks */
    {"{'pools':{'p':{}}}", "/pools/p", "empty-pool", "", true},
    {"{'pools':{'p':{'servers':{'a':{'address':'h:1','admin_state':'maint'},"
     "'b':{'address':'h:2','admin_state':'drain'}}}}}",
     "/pools/p", "no-ready-server", "", true},
    {"{'pools':{'p':{'servers':{'a':{'address':'h:1'}}}}}", "/pools/p", "single-server", "", true},
    {"{'health_checks':{'h':{'interval':'1s','timeout':'2s'}}}", "/health_checks/h/timeout",
     "long-timeout", "", true},

    /* shadows */
    {"{" LISTEN(WEB) ",'routes':{'a':{'listener':'web'," RESPOND "},'b':{'listener':'web'," RESPOND
                     "}}}",
     "/routes/b", "shadowed-route", "", true},
    {"{" LISTEN(WEB) ",'routes':{'a':{'listener':'web'," RESPOND
                     "},'b':{'listener':'web','priority':1," RESPOND "}}}",
     "/routes/a", "shadowed-route", "", true},
    {"{" LISTEN(WEB) ",'routes':{'a':{'listener':'web'," RESPOND
                     "},'b':{'listener':'web','match':{'path':'/x'}," RESPOND "}}}",
     NULL, "", "", false}, /* the more exact one goes first */
    {"{" LISTEN(
         WEB) ",'routes':{'a':{'listener':'web','priority':1,'match':{'path_prefix':'/'}," RESPOND
              "},'b':{'listener':'web','match':{'path':'/x'}," RESPOND "}}}",
     "/routes/b", "shadowed-route", "", true},
    {"{" LISTEN(WEB) ",'routes':{'a':{'listener':'web','match':{'host':['a.b','c.d']}," RESPOND
                     "},'b':{'listener':'web','match':{'host':['C.D']}," RESPOND "}}}",
     "/routes/b", "shadowed-route", "", true},
    {"{" LISTEN(WEB) ",'routes':{'a':{'listener':'web','match':{'host':['a.b','c.d']}," RESPOND
                     "},'b':{'listener':'web','match':{'host':['c.d','e.f']}," RESPOND "}}}",
     NULL, "", "", false}, /* one of its hosts is its own */
    {"{" LISTEN(WEB) ",'routes':{'a':{'listener':'web','match':{'host':['a.b','a.b']}," RESPOND
                     "}}}",
     NULL, "", "", false},
    {"{" LISTEN(WEB ",'x':{'bind':['127.0.0.1:81']}") ",'routes':{'a':{'listener':'web'," RESPOND
                                                      "},'b':{'listener':'x'," RESPOND "}}}",
     NULL, "", "", false},
    {"{" LISTEN(WEB) ",'routes':{'a':{'listener':'web','match':{'path':'/x'}," RESPOND
                     "},'b':{'listener':'web','match':{'path_prefix':'/x'}," RESPOND "}}}",
     NULL, "", "", false},
};

/* Most of these documents are no more than what they show: that nothing uses it is not meant. */
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
        ck_assert_msg((document == NULL) == has_error, "%s: %.*s", cases[i].text,
                      SLICE_ARG(errors.errors[0].detail));
        ck_assert_msg(errors.error_count == (has_error ? 1 : 0), "%s: %u errors", cases[i].text,
                      errors.error_count);
        ck_assert_msg(errors.warning_count == (has_warning ? 1 : 0), "%s: %u warnings, %.*s",
                      cases[i].text, errors.warning_count, SLICE_ARG(errors.warnings[0].detail));
        if (cases[i].pointer != NULL) {
            const struct conf_error *error = has_error ? &errors.errors[0] : &errors.warnings[0];
            ck_assert_msg(slice_eq(error->pointer, slice_from(cases[i].pointer)), "%s: %.*s",
                          cases[i].text, SLICE_ARG(error->pointer));
            ck_assert(slice_eq(error->code, slice_from(cases[i].code)));
            ck_assert(slice_eq(error->suggestion, slice_from(cases[i].suggestion)));
            ck_assert_uint_eq(error->line, 1);
        }
        conf_document_unref(document);
        conf_errors_fini(&errors);
    }
}
END_TEST

START_TEST(says_what_nothing_leads_to)
{
    struct conf_errors errors;
    struct conf_document *document = read_text(
        "{" LISTEN(
            "'web':{'bind':['127.0.0.1:80'],'default_pool':'p'}") ","
                                                                  "'routes':{'r':{'listener':'web','match':{'path':'/q'},'action':{'pool':'q'}}},"
                                                                  "'pools':{" POOL("p") "," POOL("q") "," POOL(
                                                                      "r") "},'health_checks':{'h':{}}}",
        &errors);
    ck_assert_uint_eq(errors.error_count, 0);
    ck_assert_uint_eq(errors.warning_count, 2);
    ck_assert(slice_eq(errors.warnings[0].pointer, SLICE("/pools/r")));
    ck_assert(slice_eq(errors.warnings[0].code, SLICE("unused-pool")));
    ck_assert(slice_eq(errors.warnings[1].pointer, SLICE("/health_checks/h")));
    ck_assert(slice_eq(errors.warnings[1].code, SLICE("unused-health-check")));
    conf_document_unref(document);
    conf_errors_fini(&errors);
}
END_TEST

START_TEST(counts_refused_addresses_too)
{
    struct conf_errors errors;
    struct conf_document *document =
        read_text("{" LISTEN("'b':{'bind':['x','127.0.0.1:80','127.0.0.1:80']}") "}", &errors);
    ck_assert_ptr_null(document);
    ck_assert_uint_eq(errors.error_count, 2);
    ck_assert(slice_eq(errors.errors[0].pointer, SLICE("/listeners/b/bind/0")));
    ck_assert(slice_eq(errors.errors[1].pointer, SLICE("/listeners/b/bind/2")));
    ck_assert(slice_eq(errors.errors[1].code, SLICE("bind-clash")));
    conf_errors_fini(&errors);
}
END_TEST

START_TEST(names_who_uses_what)
{
    struct conf_errors errors;
    struct conf_document *document = read_text(
        "{" LISTEN(
            "'web':{'bind':['127.0.0.1:80'],'default_pool':'p'}") ",'routes':{'r':{"
                                                                  "'listener':'web','action':{'pool':'p'}}},'pools':{" POOL(
                                                                      "q") ",'p':{'health_check':'h',"
                                                                           "'servers':{'a':{'address':'h:1'},'b':{'address':'h:2'}}}},'health_checks':{'h':{},"
                                                                           "'i':{}}}",
        &errors);
    const struct conf *conf = conf_document_conf(document);
    static const struct {
        const char *collection;
        const char *name;
        const char *users[2];
    } uses[] = {
        {"pools", "p", {"/listeners/web/default_pool", "/routes/r/action/pool"}},
        {"pools", "q", {NULL}},
        {"listeners", "web", {"/routes/r/listener", NULL}},
        {"health_checks", "h", {"/pools/p/health_check", NULL}},
        {"health_checks", "i", {NULL}},
        {"routes", "r", {NULL}},
    };
    for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
        conf_errors_clear(&errors);
        bool unused = conf_check_unused(conf, slice_from(uses[i].collection),
                                        slice_from(uses[i].name), &errors);
        uint32_t count =
            (uses[i].users[0] != NULL ? 1U : 0U) + (uses[i].users[1] != NULL ? 1U : 0U);
        ck_assert_msg(unused == (count == 0), "%s", uses[i].name);
        ck_assert_uint_eq(errors.error_count, count);
        for (uint32_t j = 0; j < count; j++) {
            ck_assert(slice_eq(errors.errors[j].pointer, slice_from(uses[i].users[j])));
            ck_assert(slice_eq(errors.errors[j].code, SLICE("in-use")));
        }
    }
    conf_document_unref(document);
    conf_errors_fini(&errors);
}
END_TEST

UNIT_TESTS("conf_check", judges_documents, says_what_nothing_leads_to, counts_refused_addresses_too,
           names_who_uses_what)
