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

#define FILES         "{'chain_file':'/c','key_file':'/k'}"
#define POOLS         "'pools':{'p':{'servers':{'a':{'address':'h:1'},'b':{'address':'h:2'}}}}"
#define CERTS         "'certificates':{'shop':" FILES "}"
#define SETS          "'ca_sets':{'inside':{'file':'/ca'}}"
#define TLS(...)      "'tls':{'certificates':['shop']" __VA_ARGS__ "}"
#define WEB(...)      "'listeners':{'web':{'bind':['127.0.0.1:443'],'default_pool':'p'," __VA_ARGS__ "}}"
#define ALL(...)      "{" WEB(__VA_ARGS__) "," POOLS "," CERTS "}"
#define WITH_SET(...) "{" WEB(__VA_ARGS__) "," POOLS "," CERTS "," SETS "}"
#define POOL_OF(name, more)                                                                        \
    "'" name "':{'servers':{'a':{'address':'h:1'},'b':{'address':'h:2'}}" more "}"
#define PASSING(listener, routes, pools)                                                           \
    "{'listeners':{'t':{'bind':['127.0.0.1:443'],'protocol':'tls_passthrough'," listener           \
    "}}," routes "'pools':{" pools "}}"
#define ROUTE "'routes':{'r':{'listener':'t','match':{'host':['a.test']},'action':{'pool':'p'}}},"
#define POOL(...)                                                                                  \
    "{'listeners':{'web':{'bind':['127.0.0.1:443'],'default_pool':'p'}},'pools':{'p':{'servers':"  \
    "{'a':{'address':'h:1'},'b':{'address':'h:2'}}," __VA_ARGS__ "}}}"

/* What must be said first about a document; NULL: nothing at all. */
static const struct {
    const char *text;
    const char *pointer;
    const char *code;
    bool is_warning;
} cases[] = {
    {ALL(TLS()), NULL, "", false},
    {ALL("'tls':{'certificates':['shpo']}"), "/listeners/web/tls/certificates/0",
     "unknown-reference", false},
    {"{" POOLS "," WEB("'protocol':'http'") "," CERTS "}", "/certificates/shop",
     "unused-certificate", true},
    {"{" POOLS "," WEB("'protocol':'http'") "," SETS "}", "/ca_sets/inside", "unused-ca-set", true},

    /* versions, protocols, tickets */
    {ALL(TLS(",'min_version':'1.3','max_version':'1.2'")), "/listeners/web/tls/max_version",
     "out-of-range", false},
    {ALL(TLS(",'profile':'modern','max_version':'1.2'")), "/listeners/web/tls/max_version",
     "out-of-range", false},
    {ALL(TLS(",'alpn':['spdy']")), "/listeners/web/tls/alpn/0", "invalid-value", false},
    {ALL(TLS(",'alpn':['h2']")), "/listeners/web/tls/alpn", "only-http2", true},
    {ALL("'http2':{'enabled':false}," TLS(",'alpn':['h2','http/1.1']")),
     "/listeners/web/tls/alpn/0", "not-applicable", false},
    {ALL("'protocol':'tcp'," TLS(",'alpn':['imap']")), NULL, "", false},
    {ALL(TLS(",'session_tickets':false,'ticket_keys_file':'/t'")),
     "/listeners/web/tls/ticket_keys_file", "no-effect", true},
    {ALL("'protocol':'tls_passthrough'," TLS()), "/listeners/web/tls", "invalid-value", false},

    /* TLS that goes through */
    {PASSING("'default_pool':'p'", "", POOL_OF("p", ",'tls':{}")), "/pools/p/tls", "invalid-value",
     false},
    {PASSING("'default_pool':'p'", "",
             POOL_OF("p", ",'when_all_down':'fallback','fallback_pool':'q'") "," POOL_OF(
                 "q", ",'tls':{}")),
     "/pools/q/tls", "invalid-value", false},
    {PASSING("'http2':{'max_streams':5}", ROUTE, POOL_OF("p", ",'tls':{}")), "/pools/p/tls",
     "invalid-value", false},
    {PASSING("'default_pool':'p'", ROUTE, POOL_OF("p", ",'tls':{}")), "/pools/p/tls",
     "invalid-value", false},
    {PASSING("'default_pool':'p'", ROUTE, POOL_OF("p", ",'http_version':'2'")),
     "/pools/p/http_version", "no-effect", true},
    {PASSING("'http2':{'max_streams':5},'default_pool':'p'", "", POOL_OF("p", "")),
     "/listeners/t/http2", "no-effect", true},
    {PASSING("'forwarded':{'trusted':['10.0.0.0/8']},'default_pool':'p'", "", POOL_OF("p", "")),
     "/listeners/t/forwarded", "no-effect", true},
    {PASSING("'default_pool':'p'", ROUTE, POOL_OF("p", "")), NULL, "", false},

    /* certificates of clients */
    {WITH_SET(TLS(",'client_auth':{'mode':'required','ca':'inside'}")), NULL, "", false},
    {ALL(TLS(",'client_auth':{'mode':'optional'}")), "/listeners/web/tls/client_auth/ca",
     "missing-key", false},
    {WITH_SET(TLS(",'client_auth':{'ca':'inside'}")), "/listeners/web/tls/client_auth/ca",
     "no-effect", true},
    {WITH_SET(TLS(",'client_auth':{'mode':'required','ca':'insied'}")),
     "/listeners/web/tls/client_auth/ca", "unknown-reference", false},

    /* servers */
    {POOL("'tls':{}"), NULL, "", false},
    {POOL("'tls':{'verify':'off'}"), "/pools/p/tls/verify", "unverified", true},
    {POOL("'tls':{'ca':'inside'}"), "/pools/p/tls/ca", "unknown-reference", false},
    {POOL("'tls':{'certificate':'me'}"), "/pools/p/tls/certificate", "unknown-reference", false},
    {POOL("'tls':{'server_name':'a.test:443'}"), "/pools/p/tls/server_name", "invalid-value",
     false},

    /* the ways to have them */
    {"{'certificates':{'shop':{}}}", "/certificates/shop", "missing-key", false},
    {"{'certificates':{'shop':{'chain_file':'/c'}}}", "/certificates/shop/key_file", "missing-key",
     false},
    {"{'certificates':{'shop':{'key_file':'/c'}}}", "/certificates/shop/chain_file", "missing-key",
     false},
    {"{'ca_sets':{'x':{}}}", "/ca_sets/x", "missing-key", false},
    {"{'ca_sets':{'x':{'file':'/f','pem':'p'}}}", "/ca_sets/x", "exclusive-keys", false},
    {"{'ca_sets':{'x':{'pem':'p','crl_file':'/f'}}}", "/ca_sets/x/crl_file", "not-applicable",
     false},
    {"{'ca_sets':{'x':{'pem':'-----BEGIN PRIVATE KEY-----'}}}", "/ca_sets/x/pem", "invalid-value",
     false},
};

START_TEST(says_what_does_not_go_together)
{
    struct conf_errors errors;
    struct conf_document *document = read_text(cases[_i].text, &errors);
    const struct conf_error *first = errors.error_count != 0     ? &errors.errors[0]
                                     : errors.warning_count != 0 ? &errors.warnings[0]
                                                                 : NULL;
    if (cases[_i].pointer == NULL) {
        ck_assert_msg(first == NULL, "%s: %.*s: %.*s", cases[_i].text,
                      SLICE_ARG(first != NULL ? first->pointer : SLICE_NONE),
                      SLICE_ARG(first != NULL ? first->detail : SLICE_NONE));
    } else {
        ck_assert_msg(first != NULL, "%s: nothing was said", cases[_i].text);
        ck_assert_msg(slice_eq(first->pointer, slice_from(cases[_i].pointer)) &&
                          slice_eq(first->code, slice_from(cases[_i].code)),
                      "%s: %.*s: %.*s: %.*s", cases[_i].text, SLICE_ARG(first->pointer),
                      SLICE_ARG(first->code), SLICE_ARG(first->detail));
        ck_assert((errors.error_count == 0) == cases[_i].is_warning);
        ck_assert_uint_le(errors.error_count, 1);
    }
    ck_assert((document != NULL) == (errors.error_count == 0));
    conf_document_unref(document);
    conf_errors_fini(&errors);
}
END_TEST

static const struct {
    const char *pointer;
    const char *user;
} in_use[] = {
    {"/certificates/shop", "/listeners/web/tls/certificates/0"},
    {"/certificates/me", "/pools/p/tls/certificate"},
    {"/ca_sets/inside", "/listeners/web/tls/client_auth/ca"},
    {"/ca_sets/theirs", "/pools/p/tls/ca"},
};

START_TEST(what_is_in_use_stays)
{
    struct conf_errors errors;
    struct err err;
    struct conf_document *document = read_text(
        "{'listeners':{'web':{'bind':['127.0.0.1:443'],'tls':{'certificates':['shop'],'client_auth'"
        ":{'mode':'required','ca':'inside'}}}},'pools':{'p':{'tls':{'certificate':'me','ca':"
        "'theirs'}}},'certificates':{'shop':" FILES ",'me':" FILES "},'ca_sets':{'inside':{'file':"
        "'/f'},'theirs':{'file':'/f'}}}",
        &errors);
    ck_assert_ptr_nonnull(document);
    for (size_t i = 0; i < ARRAY_LEN(in_use); i++) {
        conf_errors_clear(&errors);
        ck_assert_ptr_null(conf_document_edit(
            document, CONF_EDIT_DELETE, slice_from(in_use[i].pointer), SLICE_NONE, &errors, &err));
        ck_assert_int_eq(err.kind, ERR_CONFLICT);
        ck_assert(slice_eq(errors.errors[0].pointer, slice_from(in_use[i].user)));
    }
    conf_document_unref(document);
    conf_errors_fini(&errors);
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_loop_test(tcase, says_what_does_not_go_together, 0, (int)ARRAY_LEN(cases));
    tcase_add_test(tcase, what_is_in_use_stays);
}

UNIT_MAIN("conf_check_tls", add_all)
