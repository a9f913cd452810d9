#include <string.h>

#include "api/api_admin_wish.h"
#include "tests/unit/unit.h"

static const struct {
    enum override_kind kind;
    const char *body;
    const char *wrong; /* the pointer of the first error; NULL: fine */
} cases[] = {
    {OVERRIDE_ADMIN, "{\"state\":\"ready\"}", NULL},
    {OVERRIDE_ADMIN, "{\"state\":\"maint\",\"reason\":\"x\",\"expires\":\"1h\"}", NULL},
    {OVERRIDE_ADMIN, "{\"state\":\"drain\",\"deadline\":\"2m\",\"on_deadline\":\"keep\"}", NULL},
    {OVERRIDE_ADMIN, "{\"state\":\"ready\",\"expires\":\"100ms\"}", NULL},
    {OVERRIDE_ADMIN, "{}", ""},
    {OVERRIDE_ADMIN, "[]", ""},
    {OVERRIDE_ADMIN, "\"drain\"", ""},
    {OVERRIDE_ADMIN, "{\"state\":1}", "/state"},
    {OVERRIDE_ADMIN, "{\"state\":\"Drain\"}", "/state"},
    {OVERRIDE_ADMIN, "{\"state\":\"drain\",\"weight\":1}", "/weight"},
    {OVERRIDE_ADMIN, "{\"state\":\"drain\",\"reason\":1}", "/reason"},
    {OVERRIDE_ADMIN, "{\"state\":\"drain\",\"deadline\":\"99ms\"}", "/deadline"},
    {OVERRIDE_ADMIN, "{\"state\":\"drain\",\"deadline\":\"367d\"}", "/deadline"},
    {OVERRIDE_ADMIN, "{\"state\":\"drain\",\"deadline\":\"\"}", "/deadline"},
    {OVERRIDE_ADMIN, "{\"state\":\"drain\",\"deadline\":\"18446744073709551616s\"}", "/deadline"},
    {OVERRIDE_ADMIN, "{\"state\":\"ready\",\"deadline\":\"1m\"}", "/deadline"},
    {OVERRIDE_ADMIN, "{\"state\":\"drain\",\"on_deadline\":\"close\"}", "/on_deadline"},
    {OVERRIDE_ADMIN, "{\"state\":\"drain\",\"deadline\":\"1m\",\"on_deadline\":1}", "/on_deadline"},
    {OVERRIDE_ADMIN, "{\"state\":\"drain\",\"expires\":60}", "/expires"},
    {OVERRIDE_LISTENER, "{\"state\":\"drain\",\"deadline\":\"1m\"}", NULL},
    {OVERRIDE_LISTENER, "{\"state\":\"ready\"}", NULL},
    {OVERRIDE_LISTENER, "{\"state\":\"maint\"}", "/state"},
    {OVERRIDE_PROCESS, "{\"state\":\"ready\",\"expires\":\"1m\"}", "/expires"},
    {OVERRIDE_PROCESS, "{\"state\":\"drain\",\"expires\":\"1m\"}", NULL},
    {OVERRIDE_WEIGHT, "{\"weight\":1}", NULL},
    {OVERRIDE_WEIGHT, "{\"weight\":1000,\"reason\":\"warm\",\"expires\":\"10m\"}", NULL},
    {OVERRIDE_WEIGHT, "{\"weight\":\"50%\"}", NULL},
    {OVERRIDE_WEIGHT, "{\"weight\":0}", "/weight"},
    {OVERRIDE_WEIGHT, "{\"weight\":1001}", "/weight"},
    {OVERRIDE_WEIGHT, "{\"weight\":1.5}", "/weight"},
    {OVERRIDE_WEIGHT, "{\"weight\":-1}", "/weight"},
    {OVERRIDE_WEIGHT, "{\"weight\":\"50\"}", "/weight"},
    {OVERRIDE_WEIGHT, "{\"weight\":\"0%\"}", "/weight"},
    {OVERRIDE_WEIGHT, "{\"weight\":\"%\"}", "/weight"},
    {OVERRIDE_WEIGHT, "{\"weight\":\"-5%\"}", "/weight"},
    {OVERRIDE_WEIGHT, "{\"weight\":\"1e2%\"}", "/weight"},
    {OVERRIDE_WEIGHT, "{\"weight\":\"999999999999999999999%\"}", "/weight"},
    {OVERRIDE_WEIGHT, "{\"weight\":null}", "/weight"},
    {OVERRIDE_WEIGHT, "{\"reason\":\"x\"}", ""},
    {OVERRIDE_WEIGHT, "{\"weight\":1,\"deadline\":\"1m\"}", "/deadline"},
};

START_TEST(what_is_wrong_is_named)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct control_wish wish = {.kind = cases[i].kind};
        struct conf_errors errors;
        struct json_error why;
        struct json *body =
            json_parse(slice_from(cases[i].body), JSON_STRICT, &json_limits_resource, &why);
        conf_errors_init(&errors);
        ck_assert_msg(body != NULL, "%s", cases[i].body);
        bool ok = api_admin_wish_read(body, &wish, &errors);
        ck_assert_msg(ok == (cases[i].wrong == NULL), "%s", cases[i].body);
        if (!ok) {
            ck_assert_msg(slice_eq(errors.errors[0].pointer, slice_from(cases[i].wrong)),
                          "%s: %.*s", cases[i].body, SLICE_ARG(errors.errors[0].pointer));
        }
        conf_errors_fini(&errors);
        json_free(body);
    }
}
END_TEST

START_TEST(all_that_is_said_is_taken)
{
    struct control_wish wish = {.kind = OVERRIDE_ADMIN};
    struct conf_errors errors;
    struct json_error why;
    struct json *body =
        json_parse(SLICE("{\"state\":\"drain\",\"reason\":\"kernel\",\"deadline\":\"2m\","
                         "\"on_deadline\":\"keep\",\"expires\":\"1h30m\"}"),
                   JSON_STRICT, &json_limits_resource, &why);
    conf_errors_init(&errors);
    ck_assert(api_admin_wish_read(body, &wish, &errors));
    ck_assert_int_eq(wish.state, SERVER_DRAIN);
    ck_assert(slice_eq(wish.reason, SLICE("kernel")));
    ck_assert_uint_eq(wish.deadline_ms, 120000);
    ck_assert_uint_eq(wish.expires_ms, 5400000);
    ck_assert_int_eq(wish.on_deadline, OVERRIDE_KEEP);
    conf_errors_fini(&errors);
    json_free(body);
}
END_TEST

UNIT_TESTS("api_admin_wish", what_is_wrong_is_named, all_that_is_said_is_taken)
