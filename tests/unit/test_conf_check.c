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

#define POOL(name) "'" name "':{'servers':{'a':{'address':'h:1'},'b':{'address':'h:2'}}}"
#define HASHED(algorithm, hash)                                                                    \
    "'p':{'algorithm':'" algorithm "','hash':{" hash "},'servers':{'a':{'address':'h:1'},"         \
    "'b':{'address':'h:2'}}}"
#define FALLS(name, to)                                                                            \
    "'" name "':{'when_all_down':'fallback','fallback_pool':'" to                                  \
    "','servers':{'a':{'address':'h:1'},'b':{'address':'h:2'}}}"
#define CHECK(check)                                                                               \
    "{'pools':{'p':{'health_check':'h','servers':{'a':{'address':'h:1'},'b':{'address':'h:2'}}}}," \
    "'health_checks':{'h':{" check "}}}"
#define LEAVES(from)                                                                               \
    "{'pools':{'p':{'source_address':[" from "],'servers':{'a':{'address':'h:1'},"                 \
    "'b':{'address':'h:2'}}}}}"
#define AT(pool, address, check)                                                                   \
    "{'pools':{'p':{" pool ",'servers':{'a':{'address':'" address "'},'b':{'address':'h:2'}}}},"   \
    "'health_checks':{'h':{" check "}}}"
#define OUTLIER(outlier)                                                                           \
    "{'pools':{'p':{'outlier':{" outlier "},'servers':{'a':{'address':'h:1'},"                     \
    "'b':{'address':'h:2'}}}}}"
#define STICKY(sticky)                                                                             \
    "'p':{'sticky':{" sticky "},'servers':{'a':{'address':'h:1'},'b':{'address':'h:2'}}}"
#define STICKY_IDS(mode, a, b)                                                                     \
    "'p':{'sticky':{'cookie':'id','mode':'" mode                                                   \
    "'},'servers':{'a':{'address':'h:1','sticky_id':" a "},'b':{'address':'h:2','sticky_id':" b    \
    "},'c':{'address':'h:3'}}}"
#define WEIGHED(a, b)                                                                              \
    "'p':{'servers':{'a':{'address':'h:1','weight':" a "},'b':{'address':'h:2','weight':" b "}}}"
#define RESPOND "'action':{'respond':{'status':200}}"
#define CORS    "'policies':{'c':{'cors':{'origins':['https://a.example']}}}"
#define LINES(name)                                                                                \
    "'" name "':{'headers':{'response':{'add':{'a':'1','b':'1','c':'1','d':'1','e':'1','f':'1',"   \
    "'g':'1','h':'1'}}}}"
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

    /* by key */
    {"{'pools':{" HASHED("maglev", "'key':'cookie','name':'id'") "}}", NULL, "", "", false},
    {"{'pools':{" HASHED("ring_hash", "'key':'path'") "}}", NULL, "", "", false},
    {"{'pools':{" HASHED("random", "'key':'path'") "}}", "/pools/p/hash", "invalid-value", "",
     false},
    {"{'pools':{" HASHED("maglev", "'key':'header'") "}}", "/pools/p/hash/name", "missing-key", "",
     false},
    {"{'pools':{" HASHED("maglev", "'name':'x'") "}}", "/pools/p/hash/name", "invalid-value", "",
     false},
    {"{'pools':{" HASHED("maglev", "'key':'header','name':'x_y'") "}}", "/pools/p/hash/name",
     "invalid-value", "", false},
    {"{'pools':{" HASHED("maglev", "'key':'query','name':'a b'") "}}", "/pools/p/hash/name",
     "invalid-value", "", false},
    {"{" LISTEN("'w':{'bind':['127.0.0.1:80'],'protocol':'tcp','default_pool':'p'}") ",'pools':{" HASHED(
         "maglev", "'key':'path'") "}}",
     "/pools/p/hash/key", "invalid-value", "", false},
    {"{" LISTEN("'w':{'bind':['127.0.0.1:80'],'protocol':'tcp','default_pool':'p'}") ",'pools':{" HASHED(
         "maglev", "'bound':200") "}}",
     NULL, "", "", false},
    {"{" LISTEN("'w':{'bind':['127.0.0.1:80'],'protocol':'tcp','default_pool':'a'}") ",'pools':{" FALLS(
         "a", "b") "," FALLS("b", "p") "," HASHED("maglev", "'key':'path'") "}}",
     "/pools/p/hash/key", "invalid-value", "", false},
    {"{" LISTEN("'w':{'bind':['127.0.0.1:80'],'protocol':'tcp','default_pool':'a'}") ",'pools':{" FALLS(
         "a", "p") "," STICKY("'cookie':'id'") "}}",
     "/pools/p/sticky", "invalid-value", "", false},
    {"{'pools':{'p':{'algorithm':'maglev','slow_start':'30s','servers':{'a':{'address':'h:1'},"
     "'b':{'address':'h:2'}}}}}",
     "/pools/p/slow_start", "no-effect", "", true},

    /* where connections leave from */
    {LEAVES("'10.0.0.5','::1','127.0.0.9'"), NULL, "", "", false},
    {LEAVES("'10.0.0.5','0.0.0.0'"), "/pools/p/source_address/1", "invalid-value", "", false},
    {LEAVES("'::'"), "/pools/p/source_address/0", "invalid-value", "", false},
    {LEAVES("'224.0.0.1'"), "/pools/p/source_address/0", "invalid-value", "", false},
    {LEAVES("'255.255.255.255'"), "/pools/p/source_address/0", "invalid-value", "", false},
    {LEAVES("'ff02::1'"), "/pools/p/source_address/0", "invalid-value", "", false},
    {LEAVES("'::ffff:127.0.0.7'"), "/pools/p/source_address/0", "invalid-value", "", false},

    /* who stands in */
    {"{'pools':{" FALLS("a", "b") "," FALLS("b", "c") "," POOL("c") "}}", NULL, "", "", false},
    {"{'pools':{" FALLS("a", "a") "}}", "/pools/a/fallback_pool", "invalid-value", "", false},
    {"{'pools':{" FALLS("a", "x") "}}", "/pools/a/fallback_pool", "unknown-reference", "", false},
    {"{'pools':{'p':{'when_all_down':'fallback','servers':{'a':{'address':'h:1'},'b':{'address':'h:2'}}}}}",
     "/pools/p/fallback_pool", "missing-key", "", false},

    /* health checks */
    {CHECK("'path':'/x','method':'POST','body':'{}','expect':{'body':'ok','headers':{'A':''}},"
           "'fast_interval':'100ms','down_interval':'1h','port':9000"),
     NULL, "", "", false},
    {CHECK("'type':'tcp','send':'PING\\r\\n\\\\x00','receive':'PONG','address':'[::1]:9'"), NULL,
     "", "", false},
    {CHECK("'type':'tcp','receive':'220 '"), NULL, "", "", false},
    {CHECK("'type':'tcp','send':'PING'"), "/health_checks/h/receive", "missing-key", "", false},
    {CHECK("'type':'tcp','send':'a\\\\q','receive':'b'"), "/health_checks/h/send", "invalid-value",
     "", false},
    {CHECK("'method':'HEAD','expect':{'body':'ok'}"), "/health_checks/h/expect/body",
     "invalid-value", "", false},
    {CHECK("'body':'x'"), "/health_checks/h/body", "invalid-value", "", false},
    {CHECK("'fast_interval':'99ms'"), "/health_checks/h/fast_interval", "invalid-value", "", false},
    {CHECK("'down_interval':'1ms'"), "/health_checks/h/down_interval", "invalid-value", "", false},
    {CHECK("'address':'10.0.0.1:1','port':2"), "/health_checks/h/port", "no-effect", "", true},
    {CHECK("'address':'host:1'"), "/health_checks/h/address", "invalid-value", "", false},
    {AT("'health_check':'h'", "unix:/x", "'port':9"), "/pools/p/health_check", "no-effect", "",
     true},
    {AT("'health_check':'h'", "unix:/x", ""), NULL, "", "", false},
    {AT("'health_check':'h','agent':{'port':9}", "unix:/x", ""), "/pools/p/agent", "no-effect", "",
     true},
    {AT("'health_check':'h','agent':{'port':9}", "h:1", "'port':9"), NULL, "", "", false},

    /* outliers */
    {OUTLIER(""), NULL, "", "", false},
    {OUTLIER("'consecutive_failures':0"), NULL, "", "", false},
    {OUTLIER("'consecutive_failures':0,'success_rate':0"), "/pools/p/outlier", "no-effect", "",
     true},
    {OUTLIER("'consecutive_failures':0,'success_rate':0,'latency':300"), NULL, "", "", false},
    {OUTLIER("'ejection_time':'10m'"), "/pools/p/outlier/max_ejection_time", "no-effect", "", true},
    {OUTLIER("'ejection_time':'10m','max_ejection_time':'10m'"), NULL, "", "", false},

    /* groups */
    {"{'pools':{'p':{'servers':{'a':{'address':'h:1','zone':'x'},'b':{'address':'h:2','priority':"
     "1}}}}}",
     NULL, "", "", false},
    {"{" LISTEN(
         "'w':{'bind':['127.0.0.1:143'],'protocol':'imap','default_pool':'p','mail':{'allow_cleartext':true}}") ",'pools':{'p':{"
                                                                                                                "'servers':{'a':{'address':'h:1'},'b':{'address':'h:2','priority':1}}}}}",
     "/pools/p/servers/b/priority", "invalid-value", "", false},

    /* one fault, one error */
    {"{'policies':{'p':{}}}", "/policies/p", "missing-key", "", false},
    {"{" LISTEN(WEB) ",'routes':{'r':{'listener':'web','action':{'split':{'pools':{}}}}}}",
     "/routes/r/action/split/pools", "out-of-range", "", false},

    /* lines of policies */
    {"{" LISTEN("'web':{'bind':['127.0.0.1:80'],'policies':['a','c']}") ",'policies':{" LINES("a") "," LINES(
         "b") ",'c':{'security_headers':{}}},'routes':{'r':{'listener':'web','policies':['a','b']," RESPOND
              "}}}",
     "/routes/r/policies", "no-header-room", "", true},
    {"{" LISTEN("'web':{'bind':['127.0.0.1:80'],'policies':['a']}") ",'policies':{" LINES(
         "a") "," LINES("b") "},'routes':{'r':{'listener':'web','policies':['a','b']," RESPOND
                             "}}}",
     NULL, "", "", false},

    /* preflights */
    {"{" LISTEN(
         WEB) "," CORS
              ",'routes':{'r':{'listener':'web','policies':['c'],'match':{'method':['PUT']}," RESPOND
              "}}}",
     "/routes/r/policies/0", "no-preflights", "", true},
    {"{" LISTEN(
         WEB) "," CORS
              ",'routes':{'r':{'listener':'web','policies':['c'],'match':{'method':['PUT','OPTIONS']}," RESPOND
              "}}}",
     NULL, "", "", false},
    {"{" LISTEN(
         WEB) "," CORS
              ",'routes':{'r':{'listener':'web','policies':['c'],'match':{'method':['PUT']}," RESPOND
              "},'s':{'listener':'web','policies':['c'],'match':{'method':['OPTIONS']}," RESPOND
              "}}}",
     NULL, "", "", false},
    {"{" LISTEN(
         "'web':{'bind':['127.0.0.1:80'],'policies':['c']}") "," CORS
                                                             ",'routes':{'r':{'listener':'web',"
                                                             "'policies':['c'],'match':{'method':['PUT']}," RESPOND
                                                             "}}}",
     NULL, "", "", false},

    /* names of headers */
    {"{'policies':{'p':{'headers':{'response':{'set':{'X':'1','x':'2'}}}}}}",
     "/policies/p/headers/response/set/x", "duplicate", "", false},
    {"{'policies':{'p':{'headers':{'request':{'set':{'X':'1','Y':'1'},'add':{'X':'2','x':'3'}}}}}}",
     NULL, "", "", false},
    {"{" LISTEN(
         WEB) ",'routes':{'r':{'listener':'web','action':{'respond':{'status':200,'headers':{'A':'1','a':'2'}}}}}}",
     "/routes/r/action/respond/headers/a", "duplicate", "", false},
    {"{" LISTEN(
         WEB) ",'routes':{'r':{'listener':'web','match':{'header':{'exact':{'X_A':'1'}}}," RESPOND
              "}}}",
     "/routes/r/match/header/exact/X_A", "no-effect", "", true},
    {"{" LISTEN(
         WEB) ",'routes':{'r':{'listener':'web','match':{'header':{'absent':['A','X_A']}}," RESPOND
              "}}}",
     "/routes/r/match/header/absent/1", "no-effect", "", true},

    /* routes that answer by themselves */
    {"{" LISTEN(WEB) ",'routes':{'r':{'listener':'web','timeouts':{'response':'3s'}," RESPOND "}}}",
     "/routes/r/timeouts", "no-effect", "", true},
    {"{" LISTEN(WEB) ",'routes':{'r':{'listener':'web','buffering':{'request':'1MiB'}," RESPOND
                     "}}}",
     "/routes/r/buffering", "no-effect", "", true},

    /* subsets */
    {"{" LISTEN(WEB) ",'pools':{" POOL(
         "p") "},'routes':{'r':{'listener':'web','action':{'pool':'p','subset':{'v':'1'}}}}}",
     NULL, "", "", false},
    {"{" LISTEN(
         WEB) ",'routes':{'r':{'listener':'web','action':{'respond':{'status':200},'subset':{'v':'1'}}}}}",
     "/routes/r/action/subset", "invalid-value", "", false},

    /* weights */
    {"{'pools':{" WEIGHED("'10%'", "'90%'") "}}", NULL, "", "", false},
    {"{'pools':{" WEIGHED("'10%'", "1") "}}", NULL, "", "", false},
    {"{'pools':{" WEIGHED("'60%'", "'50%'") "}}", "/pools/p/servers/b/weight", "invalid-value", "",
     false},
    {"{'pools':{" WEIGHED("'100%'", "1") "}}", "/pools/p/servers/a/weight", "invalid-value", "",
     false},
    {"{'pools':{" WEIGHED("'30%'", "'60%'") "}}", "/pools/p/servers/b/weight", "invalid-value", "",
     false},
    {"{'pools':{" WEIGHED("'100%'", "1,'priority':1") "}}", NULL, "", "", false},
    {"{'pools':{" WEIGHED("'30%'", "1,'priority':1") "}}", "/pools/p/servers/a/weight",
     "invalid-value", "", false},
    {"{'pools':{'p':{'servers':{'a':{'address':'dns:h:1','weight':'30%'},'b':{'address':'h:2'}}}}}",
     "/pools/p/servers/a/weight", "invalid-value", "", false},
    {"{" LISTEN("'w':{'bind':['127.0.0.1:143'],'protocol':'imap','default_pool':'p','mail':{'allow_cleartext':true}}") ",'pools':{" WEIGHED(
         "'30%'", "100") "}}",
     "/pools/p/servers/a/weight", "invalid-value", "", false},

    /* sticky */
    {"{'pools':{" STICKY("'cookie':'id'") "}}", NULL, "", "", false},
    {"{'pools':{" STICKY("'cookie':'a b'") "}}", "/pools/p/sticky/cookie", "invalid-value", "",
     false},
    {"{'pools':{" STICKY("'cookie':'a;b'") "}}", "/pools/p/sticky/cookie", "invalid-value", "",
     false},
    {"{'pools':{" STICKY("'cookie':'id','path':'/a;b'") "}}", "/pools/p/sticky/path",
     "invalid-value", "", false},
    {"{'pools':{" STICKY("'cookie':'id','domain':'h:80'") "}}", "/pools/p/sticky/domain",
     "invalid-value", "", false},
    {"{'pools':{" STICKY("'cookie':'id','same_site':'none','secure':'off'") "}}",
     "/pools/p/sticky/secure", "invalid-value", "", false},
    {"{'pools':{" STICKY("'cookie':'__Host-id','secure':'on'") "}}", NULL, "", "", false},
    {"{'pools':{" STICKY("'cookie':'__Host-id','path':'/x'") "}}", "/pools/p/sticky/cookie",
     "invalid-value", "", false},
    {"{'pools':{" STICKY("'cookie':'__Secure-id','secure':'off'") "}}", "/pools/p/sticky/cookie",
     "invalid-value", "", false},
    {"{'pools':{" STICKY("'cookie':'id','mode':'passive','max_age':'1h'") "}}", "/pools/p/sticky",
     "no-effect", "", true},
    {"{'pools':{" STICKY("'cookie':'id','mode':'passive'") "}}", NULL, "", "", false},
    {"{'pools':{" STICKY("'cookie':'id','mode':'learn','learn':{'ttl':'1h'}") "}}", NULL, "", "",
     false},
    {"{'pools':{" STICKY_IDS("passive", "'1'", "'2'") "}}", NULL, "", "", false},
    {"{'pools':{" STICKY_IDS("insert", "'1'", "'1'") "}}", NULL, "", "", false},
    {"{'pools':{" STICKY_IDS("passive", "'1'", "'1'") "}}", "/pools/p/servers/b/sticky_id",
     "invalid-value", "", false},
    {"{'pools':{" STICKY_IDS("passive", "'c'", "'2'") "}}", "/pools/p/servers/a/sticky_id",
     "invalid-value", "", false},
    {"{'pools':{" STICKY_IDS("passive", "'b'", "'a'") "}}", NULL, "", "", false},
    {"{'pools':{'p':{'sticky':{'cookie':'id','mode':'passive'},'servers':{'a':{'address':'dns:h:1',"
     "'sticky_id':'1'}}}}}",
     "/pools/p/servers/a/sticky_id", "invalid-value", "", false},
    {"{" LISTEN("'w':{'bind':['127.0.0.1:80'],'default_pool':'p'}") ",'pools':{" STICKY(
         "'cookie':'id','same_site':'none'") "}}",
     "/pools/p/sticky/same_site", "dropped-cookie", "", true},
    {"{" LISTEN("'w':{'bind':['127.0.0.1:80'],'default_pool':'p'}") ",'pools':{" STICKY(
         "'cookie':'id','same_site':'none','secure':'on'") "}}",
     NULL, "", "", false},
    {"{" LISTEN("'w':{'bind':['127.0.0.1:80']}") ",'routes':{'r':{'listener':'w','action':{"
                                                 "'pool':'p'}}},'pools':{" STICKY(
                                                     "'cookie':'id','same_site':'none'") "}}",
     "/pools/p/sticky/same_site", "dropped-cookie", "", true},
    {"{'pools':{" STICKY("'cookie':'id','same_site':'none'") "}}", NULL, "", "", false},
    {"{'pools':{" STICKY("'header':'X-Id','mode':'learn'") "}}", NULL, "", "", false},
    {"{'pools':{" STICKY("'header':'X Id','mode':'learn'") "}}", "/pools/p/sticky/header",
     "invalid-value", "", false},
    {"{'pools':{" STICKY("'header':'X-Id','cookie':'id','mode':'learn'") "}}",
     "/pools/p/sticky/header", "invalid-value", "", false},
    {"{'pools':{" STICKY("'header':'X-Id','cookie':'id'") "}}", "/pools/p/sticky/header",
     "invalid-value", "", false},
    {"{'pools':{" STICKY("'mode':'learn'") "}}", "/pools/p/sticky/cookie", "missing-key", "",
     false},
    {"{'pools':{" STICKY("") "}}", "/pools/p/sticky/cookie", "missing-key", "", false},
    {"{" LISTEN("'w':{'bind':['127.0.0.1:80'],'protocol':'tcp','default_pool':'p'}") ",'pools':{" STICKY(
         "'cookie':'id'") "}}",
     "/pools/p/sticky", "invalid-value", "", false},

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

    /* what routes make of requests */
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','match':{'path_template':'/u/{id}/{rest*}'},'action':{'pool':'p'},'rewrite':{'path':'/v/{id}/{rest}'}}}}",
     NULL, "", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','match':{'path_template':'/u/{id}/{rest*}'},'action':{'pool':'p'},'rewrite':{'path':'/v/{other}'}}}}",
     "/routes/r/rewrite/path", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','match':{'path_template':'/u/{id}/{rest*}'},'action':{'pool':'p'},'rewrite':{'path':'/v/{1}'}}}}",
     "/routes/r/rewrite/path", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','match':{'path_regex':'/(a)/(b)'},'action':{'pool':'p'},'rewrite':{'path':'/{2}/{1}'}}}}",
     NULL, "", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','match':{'path_regex':'/(a)/(b)'},'action':{'pool':'p'},'rewrite':{'path':'/{3}'}}}}",
     "/routes/r/rewrite/path", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','match':{'path_prefix':'/a'},'action':{'pool':'p'},'rewrite':{'prefix':'/b','host':'h:1'}}}}",
     NULL, "", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','match':{'path_prefix':'/a'},'action':{'pool':'p'},'rewrite':{'prefix':'/b','strip_prefix':true}}}}",
     "/routes/r/rewrite", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'pool':'p'},'rewrite':{'strip_prefix':true}}}}",
     "/routes/r/rewrite", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','match':{'path_template':'/u/{id}/{rest*}'},'action':{'pool':'p'},'rewrite':{'prefix':'/x'}}}}",
     "/routes/r/rewrite", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'respond':{'status':200}},'rewrite':{'host':'h'}}}}",
     "/routes/r/rewrite", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'split':{'pools':{'p':1,'q':0}}}}}}",
     NULL, "", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'split':{'pools':{'p':0,'q':0}}}}}}",
     "/routes/r/action/split/pools", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'split':{'pools':{'p':1},'key':'cookie'}}}}}",
     "/routes/r/action/split/name", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'split':{'pools':{'p':1},'name':'x'}}}}}",
     "/routes/r/action/split/name", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'split':{'pools':{'p':1,'P':1}}}}}}",
     "/routes/r/action/split/pools/P", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'split':{'pools':{'p':1,'q':1},"
              "'cookie':{'name':'s'}}}}}}",
     NULL, "", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'split':{'pools':{'p':1,'q':1},"
              "'cookie':{}}}}}}",
     "/routes/r/action/split/cookie/name", "missing-key", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'split':{'pools':{'p':1,'q':1},"
              "'cookie':{'name':'a b'}}}}}}",
     "/routes/r/action/split/cookie/name", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'split':{'pools':{'p':1,'q':1},"
              "'cookie':{'name':'s','path':'/a;b'}}}}}}",
     "/routes/r/action/split/cookie/path", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'split':{'pools':{'p':1,'q':1},"
              "'cookie':{'name':'s','same_site':'none','secure':'off'}}}}}}",
     "/routes/r/action/split/cookie/secure", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'split':{'pools':{'p':1,'q':1},"
              "'cookie':{'name':'__Host-s','domain':'example.com'}}}}}}",
     "/routes/r/action/split/cookie/name", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'split':{'pools':{'p':1,'q':1},'key':'cookie','name':'s',"
              "'cookie':{'name':'s'}}}}}}",
     "/routes/r/action/split/cookie/name", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'split':{'pools':{'p':1,'q':1},'key':'header','name':'s',"
              "'cookie':{'name':'s'}}}}}}",
     NULL, "", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'split':{'pools':{'p':1,'q':-1}}}}}}",
     "/routes/r/action/split/pools/q", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'redirect':{'scheme':'https'}}}}}",
     NULL, "", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'redirect':{'status':301}}}}}",
     "/routes/r/action/redirect", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'redirect':{'location':'/x','port':1}}}}}",
     "/routes/r/action/redirect", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'redirect':{'host':'h:1'}}}}}",
     "/routes/r/action/redirect/host", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','match':{'path_prefix':'/a'},'action':{'redirect':{'path':'/{id}'}}}}}",
     "/routes/r/action/redirect/path", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'respond':{'status':200,'headers':{'X-A':'1'}}}}}}",
     NULL, "", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'respond':{'status':200,'headers':{'X_A':'1'}}}}}}",
     "/routes/r/action/respond/headers/X_A", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':{'respond':{'status':200,'headers':{'Content-Type':'a/b'}}}}}}",
     "/routes/r/action/respond/headers/Content-Type", "invalid-value", "", false},

    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "," POOL(
         "q") "},'routes':{'r':{'listener':'web','action':"
              "{'pool':'p','mirror':{'pool':'q','percent':5}}}}}",
     NULL, "", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("q") "},'routes':{'r':{'listener':'web','action':"
                                            "{'respond':{'status':200},'mirror':{'pool':'q'}}}}}",
     "/routes/r/action/mirror", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL(
         "p") ",'q':{'http_version':'2','servers':{'a':{'address':'h:1'},"
              "'b':{'address':'h:2'}}}},'routes':{'r':{'listener':'web','action':"
              "{'pool':'p','mirror':{'pool':'q'}}}}}",
     "/routes/r/action/mirror", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL(
         "p") ",'q':{'send_proxy':'v2','servers':{'a':{'address':'h:1'},"
              "'b':{'address':'h:2'}}}},'routes':{'r':{'listener':'web','action':"
              "{'pool':'p','mirror':{'pool':'q'}}}}}",
     "/routes/r/action/mirror", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'pools':{" POOL("p") "},'routes':{'r':{'listener':'web','action':"
                                            "{'pool':'p','mirror':{'pool':'none'}}}}}",
     "/routes/r/action/mirror/pool", "unknown-reference", "", false},

    /* listeners of TCP */
    {"{" LISTEN("'t':{'bind':['127.0.0.1:80'],'protocol':'tcp'}") ",'pools':{" POOL(
         "p") "},'routes':{'r':{'listener':'t','action':{'pool':'p'}}}}",
     NULL, "", "", false},
    {"{" LISTEN(
         "'t':{'bind':['127.0.0.1:80'],'protocol':'tcp'}") ",'routes':{'r':{'listener':'t'," RESPOND
                                                           "}}}",
     "/routes/r/action", "invalid-value", "", false},
    {"{" LISTEN("'t':{'bind':['127.0.0.1:80'],'protocol':'tcp'}") ",'pools':{" POOL(
         "p") "},'routes':{'r':{'listener':'t','match':{'host':['a.b']},'action':{'pool':'p'}}}}",
     "/routes/r/match/host", "invalid-value", "", false},
    {"{" LISTEN("'t':{'bind':['127.0.0.1:80'],'protocol':'tcp'}") ",'pools':{" POOL(
         "p") "},'routes':{'r':{'listener':'t','match':{'alpn':['h2']},'action':{'pool':'p'}}}}",
     "/routes/r/match/alpn", "invalid-value", "", false},
    {"{" LISTEN("'t':{'bind':['127.0.0.1:80'],'protocol':'tls_passthrough'}") ",'pools':{" POOL(
         "p") "},'routes':{'r':{'listener':'t','match':{'host':['a.b'],'alpn':['h2']},"
              "'action':{'pool':'p'}}}}",
     NULL, "", "", false},
    {"{" LISTEN("'t':{'bind':['127.0.0.1:80'],'protocol':'tls_passthrough'}") ",'pools':{" POOL(
         "p") "},'routes':{'r':{'listener':'t','match':{'path':'/x'},'action':{'pool':'p'}}}}",
     "/routes/r/match/path", "invalid-value", "", false},
    {"{" LISTEN("'t':{'bind':['127.0.0.1:80'],'protocol':'tls_passthrough'}") ",'pools':{" POOL(
         "p") "},'routes':{'r':{'listener':'t','match':{'path_prefix':'/x'},"
              "'action':{'pool':'p'}}}}",
     "/routes/r/match/path_prefix", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'routes':{'r':{'listener':'web','match':{'alpn':['h2']}," RESPOND "}}}",
     "/routes/r/match/alpn", "invalid-value", "", false},
    {"{" LISTEN("'t':{'bind':['127.0.0.1:80'],'protocol':'tls_passthrough'}") ",'pools':{" POOL(
         "p") "},'routes':{'a':{'listener':'t','match':{'alpn':['h2','x']},'action':{'pool':'p'}},"
              "'b':{'listener':'t','match':{'alpn':['x']},'action':{'pool':'p'}}}}",
     "/routes/b", "shadowed-route", "", true},
    {"{" LISTEN("'t':{'bind':['127.0.0.1:80'],'protocol':'tls_passthrough'}") ",'pools':{" POOL(
         "p") "},'routes':{'a':{'listener':'t','match':{'alpn':['h2']},'action':{'pool':'p'}},"
              "'b':{'listener':'t','action':{'pool':'p'}}}}",
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
    {"{" LISTEN(WEB) ",'routes':{'a':{'listener':'web','match':{'path':'/x'}," RESPOND
                     "},'b':{'listener':'web','match':{'path':'/x','method':['GET']}," RESPOND
                     "}}}",
     NULL, "", "", false}, /* conditions go first */
    {"{" LISTEN(
         WEB) ",'routes':{'a':{'listener':'web','match':{'path':'/x','method':['GET']}," RESPOND
              "},'b':{'listener':'web','match':{'path':'/x','method':['GET']}," RESPOND "}}}",
     "/routes/b", "shadowed-route", "", true},
    {"{" LISTEN(
         WEB) ",'routes':{'a':{'listener':'web','match':{'path':'/x','method':['GET']}," RESPOND
              "},'b':{'listener':'web','match':{'path':'/x','method':['PUT']}," RESPOND "}}}",
     NULL, "", "", false},
    {"{" LISTEN(
         WEB) ",'routes':{'a':{'listener':'web','match':{'path':'/x','method':['GET']}," RESPOND
              "},'b':{'listener':'web','match':{'path':'/x','method':['GET'],'query':{'present':['q']}}," RESPOND
              "}}}",
     NULL, "", "", false},
    {"{" LISTEN(WEB) ",'routes':{'a':{'listener':'web','match':{'path_template':'/u/{id}'}," RESPOND
                     "},'b':{'listener':'web','match':{'path_template':'/u/{name}'}," RESPOND "}}}",
     "/routes/b", "shadowed-route", "", true},
    {"{" LISTEN(WEB) ",'routes':{'a':{'listener':'web','match':{'path_template':'/u/{id}'}," RESPOND
                     "},'b':{'listener':'web','match':{'path_template':'/u/{name*}'}," RESPOND
                     "}}}",
     NULL, "", "", false},
    {"{" LISTEN(WEB) ",'routes':{'a':{'listener':'web','match':{'path_regex':'/a.*'}," RESPOND
                     "},'b':{'listener':'web','match':{'path_regex':'/a.*'}," RESPOND "}}}",
     "/routes/b", "shadowed-route", "", true},
    {"{" LISTEN(WEB) ",'routes':{'a':{'listener':'web','match':{'host_regex':'a.*'}," RESPOND
                     "},'b':{'listener':'web','match':{'host_regex':'a.*'}," RESPOND "}}}",
     "/routes/b", "shadowed-route", "", true},
    {"{" LISTEN(WEB) ",'routes':{'a':{'listener':'web','match':{'host_regex':'a.*'}," RESPOND
                     "},'b':{'listener':'web','match':{'host':['a.b']}," RESPOND "}}}",
     NULL, "", "", false},
    {"{" LISTEN(
         WEB) ",'routes':{'a':{'listener':'web','match':{'header':{'exact':{'X-A':'1'}}}," RESPOND
              "},'b':{'listener':'web','match':{'header':{'prefix':{'X-A':'1'}}}," RESPOND "}}}",
     NULL, "", "", false},
    {"{" LISTEN(
         WEB) ",'routes':{'a':{'listener':'web','match':{'cookie':{'exact':{'a':'1'}}}," RESPOND
              "},'b':{'listener':'web','match':{'query':{'exact':{'a':'1'}}}," RESPOND "}}}",
     NULL, "", "", false},
    {"{" LISTEN(WEB) ",'routes':{'a':{'listener':'web','match':{'path_regex':'/a('}," RESPOND "}}}",
     "/routes/a/match/path_regex", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'routes':{'a':{'listener':'web','match':{'host_regex':'[a'}," RESPOND "}}}",
     "/routes/a/match/host_regex", "invalid-value", "", false},
    {"{" LISTEN(
         WEB) ",'routes':{'a':{'listener':'web','match':{'host_regex':'a','host':['a.b']}," RESPOND
              "}}}",
     "/routes/a/match/host_regex", "invalid-value", "", false},
    {"{" LISTEN(
         WEB) ",'routes':{'a':{'listener':'web','match':{'query':{'regex':{'q':'(*UTF)a'}}}," RESPOND
              "}}}",
     "/routes/a/match/query/regex/q", "invalid-value", "", false},
    {"{" LISTEN(
         WEB) ",'routes':{'a':{'listener':'web','match':{'header':{'present':['Host']}}," RESPOND
              "}}}",
     "/routes/a/match/header/present/0", "invalid-value", "", false},
    {"{" LISTEN(WEB) ",'routes':{'a':{'listener':'web','match':{'path_template':'/a/b'}," RESPOND
                     "}}}",
     "/routes/a/match/path_template", "invalid-value", "", false},
    {"{" LISTEN("'t':{'bind':['127.0.0.1:1'],'protocol':'tcp'}") ",'pools':{" POOL(
         "p") "},'routes':{'r':{'listener':'t','match':{'path_template':'/{a}'},'action':{'pool':'p'}}}}",
     "/routes/r/match/path_template", "invalid-value", "", false},
    {"{" LISTEN("'t':{'bind':['127.0.0.1:1'],'protocol':'tcp'}") ",'pools':{" POOL(
         "p") "},'routes':{'r':{'listener':'t','match':{'path_regex':'/a'},'action':{'pool':'p'}}}}",
     "/routes/r/match/path_regex", "invalid-value", "", false},
    {"{" LISTEN("'t':{'bind':['127.0.0.1:1'],'protocol':'tcp'}") ",'pools':{" POOL(
         "p") "},'routes':{'r':{'listener':'t','match':{'method':['GET']},'action':{'pool':'p'}}}}",
     "/routes/r/match/method", "invalid-value", "", false},
    {"{" LISTEN("'t':{'bind':['127.0.0.1:1'],'protocol':'tcp'}") ",'pools':{" POOL(
         "p") "},'routes':{'r':{'listener':'t','match':{'header':{'present':['a']}},'action':{'pool':'p'}}}}",
     "/routes/r/match/header", "invalid-value", "", false},
    {"{" LISTEN("'t':{'bind':['127.0.0.1:1'],'protocol':'tcp'}") ",'pools':{" POOL(
         "p") "},'routes':{'r':{'listener':'t','match':{'cookie':{'absent':['a']}},'action':{'pool':'p'}}}}",
     "/routes/r/match/cookie", "invalid-value", "", false},
    {"{" LISTEN("'t':{'bind':['127.0.0.1:1'],'protocol':'tcp'}") ",'pools':{" POOL(
         "p") "},'routes':{'r':{'listener':'t','match':{'query':{'exact':{'a':'1'}}},'action':{'pool':'p'}}}}",
     "/routes/r/match/query", "invalid-value", "", false},
    {"{" LISTEN("'t':{'bind':['127.0.0.1:1'],'protocol':'tcp'}") ",'pools':{" POOL(
         "p") "},'routes':{'r':{'listener':'t','match':{'host_regex':'a'},'action':{'pool':'p'}}}}",
     "/routes/r/match/host_regex", "invalid-value", "", false},
    {"{" LISTEN("'t':{'bind':['127.0.0.1:1'],'protocol':'tcp'}") ",'pools':{" POOL(
         "p") "},'routes':{'r':{'listener':'t','match':{'source':['10.0.0.0/8']},'action':{'pool':'p'}}}}",
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
