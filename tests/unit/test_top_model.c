#include <math.h>
#include <string.h>

#include "ctl/top_model.h"
#include "tests/unit/unit.h"

#define HEAD(second, revision)                                                                     \
    "{\"time\":\"2026-11-26T11:00:0" second "Z\",\"revision\":" revision ",\"bounds_ms\":[1,2,4],"
#define SERVER(name, requests, errors, sum, connections)                                           \
    "\"" name                                                                                      \
    "\":{\"health\":\"up\",\"admin\":\"ready\",\"weight\":7,\"connections\":" connections          \
    ",\"requests\":" requests ",\"responses\":{\"5xx\":" errors "},\"errors\":0,"                  \
    "\"response_sum_ms\":" sum "}"
#define POOL(name, requests, buckets)                                                              \
    "\"" name "\":{\"servers\":3,\"usable\":2,\"requests\":" requests ",\"response_duration\":{"   \
    "\"buckets\":" buckets "}}"

static const char before[] = HEAD("0", "1") "\"process\":{\"requests\":100},\"servers\":{" SERVER(
    "web/a", "100", "0", "50", "1") "," SERVER("web/b", "0", "0", "0",
                                               "9") "},\"pools\":{" POOL("web", "100",
                                                                         "[1,1,1,1]") "}}";
static const char now[] =
    HEAD("2", "2") "\"process\":{\"requests\":300,\"connections\":4},"
                   "\"servers\":{" SERVER("web/a", "300", "20", "250.5", "1") "," SERVER(
                       "web/b", "10", "0", "5",
                       "9") "," SERVER("new/c", "40", "0", "40",
                                       "0") "},\"pools\":{" POOL("web", "300", "[1,101,1,1]") "}}";

static void feed(struct top_model *model, const char *text)
{
    struct json *json = json_parse_trusted(slice_from(text));
    ck_assert_ptr_nonnull(json);
    top_model_feed(model, json);
}

static bool near(double a, double b)
{
    return fabs(a - b) < 0.001;
}

static void check_order(struct top_model *model, enum top_sort sort, const char *want)
{
    char names[128] = "";
    model->sort = sort;
    top_model_arrange(model);
    for (uint32_t i = 0; i < model->count; i++) {
        (void)snprintf(names + strlen(names), sizeof(names) - strlen(names), "%.*s ",
                       SLICE_ARG(model->rows[i].name));
    }
    ck_assert_str_eq(names, want);
}

START_TEST(logins_of_mail_have_rates)
{
    struct top_model model;
    top_model_init(&model, TOP_POOLS);
    feed(&model, before);
    ck_assert(!model.mail.is_there);
    feed(&model, HEAD("4", "1") "\"process\":{\"mail\":{\"sessions\":5,\"logins\":100,"
                                "\"failed_logins\":10}}}");
    ck_assert(model.mail.is_there && near(model.mail.rate, 0.0)); /* nothing to compare with yet */
    feed(&model, HEAD("6", "1") "\"process\":{\"mail\":{\"sessions\":7,\"logins\":140,"
                                "\"failed_logins\":20}}}");
    ck_assert_uint_eq(model.mail.sessions, 7);
    ck_assert(near(model.mail.rate, 20.0) && near(model.mail.failed, 25.0));
    top_model_fini(&model);
}
END_TEST

START_TEST(two_answers_make_rates)
{
    struct top_model model;
    top_model_init(&model, TOP_SERVERS);
    feed(&model, before);
    ck_assert_uint_eq(model.count, 2);
    ck_assert(near(model.rows[0].rate, 0.0)); /* nothing to compare with yet */
    ck_assert(!model.rows[0].has_latency);
    feed(&model, now);
    ck_assert(near(model.elapsed_s, 2.0));
    ck_assert(near(model.process.rate, 100.0));
    ck_assert_uint_eq(model.process.connections, 4);
    const struct top_row *a = &model.rows[0];
    ck_assert(slice_eq(a->name, SLICE("web/a")));
    ck_assert(near(a->rate, 100.0));
    ck_assert(near(a->errors, 10.0));
    ck_assert(a->has_latency && near(a->p50_ms, 200.5 / 200.0));
    ck_assert_uint_eq(a->weight, 7);
    ck_assert(slice_eq(a->health, SLICE("up")));
    /* what is new began at 0 */
    ck_assert(slice_eq(model.rows[1].name, SLICE("new/c")) && near(model.rows[1].rate, 20.0));
    top_model_fini(&model);
}
END_TEST

START_TEST(sorted_and_filtered)
{
    struct top_model model;
    top_model_init(&model, TOP_SERVERS);
    feed(&model, before);
    feed(&model, now);
    check_order(&model, TOP_BY_RATE, "web/a new/c web/b ");
    check_order(&model, TOP_BY_CONNECTIONS, "web/b web/a new/c ");
    check_order(&model, TOP_BY_ERRORS, "web/a new/c web/b ");
    check_order(&model, TOP_BY_LATENCY, "web/a new/c web/b ");
    check_order(&model, TOP_BY_NAME, "new/c web/a web/b ");
    (void)strcpy(model.filter, "web/");
    check_order(&model, TOP_BY_NAME, "web/a web/b ");
    ck_assert_uint_eq(model.all, 3);
    ck_assert_uint_eq(top_model_find(&model, SLICE("web/b")), 1);
    ck_assert_uint_eq(top_model_find(&model, SLICE("new/c")), UINT32_MAX);
    model.view = TOP_ROUTES; /* none there: no rows, no harm */
    check_order(&model, TOP_BY_NAME, "");
    top_model_fini(&model);
}
END_TEST

START_TEST(counters_that_went_back_are_no_news)
{
    struct top_model model;
    top_model_init(&model, TOP_SERVERS);
    feed(&model, now);
    feed(&model, before);
    for (uint32_t i = 0; i < model.count; i++) {
        ck_assert(near(model.rows[i].rate, 0.0) && near(model.rows[i].errors, 0.0));
    }
    feed(&model, "{}"); /* an answer without anything */
    ck_assert_uint_eq(model.count, 0);
    top_model_fini(&model);
}
END_TEST

START_TEST(a_kind_that_was_not_asked_for_has_no_rates_yet)
{
    struct top_model model;
    top_model_init(&model, TOP_SERVERS);
    feed(&model, HEAD("0", "1") "\"process\":{\"requests\":100}}");
    ck_assert_uint_eq(model.count, 0);
    feed(&model, now);
    ck_assert_uint_eq(model.count, 3);
    for (uint32_t i = 0; i < model.count; i++) {
        ck_assert(near(model.rows[i].rate, 0.0));
    }
    ck_assert(near(model.process.rate, 100.0));
    top_model_fini(&model);
}
END_TEST

START_TEST(quantiles_of_the_time_between)
{
    static const struct {
        const char *was; /* NULL: none */
        const char *is;
        double share;
        double want; /* below 0: nothing was counted */
    } cases[] = {
        {"[0,0,0,0]", "[0,0,0,0]", 0.5, -1.0},
        {"[5,5,5,5]", "[5,5,5,5]", 0.5, -1.0},
        {NULL, "[10,0,0,0]", 0.5, 0.5},
        {"[0,0,0,0]", "[0,10,0,0]", 0.5, 1.5},
        {"[9,0,0,0]", "[9,50,50,0]", 0.99, 3.96},
        {"[0,0,0,0]", "[0,0,0,10]", 0.5, 4.0}, /* above the last bound: no more is known */
        {"[1,1]", "[2,2,2,2,2,2,2]", 0.1, 1.2},
    };
    struct json *bounds = json_parse_trusted(SLICE("[1,2,4]"));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct json *was =
            cases[i].was != NULL ? json_parse_trusted(slice_from(cases[i].was)) : NULL;
        struct json *is = json_parse_trusted(slice_from(cases[i].is));
        double value = 0.0;
        bool ok = top_model_quantile(bounds, was, is, cases[i].share, &value);
        ck_assert_msg(ok == (cases[i].want >= 0.0), "case %zu", i);
        ck_assert_msg(!ok || fabs(value - cases[i].want) < 0.2, "case %zu: %f", i, value);
        json_free(was);
        json_free(is);
    }
    json_free(bounds);
}
END_TEST

UNIT_TESTS("top_model", logins_of_mail_have_rates, two_answers_make_rates, sorted_and_filtered,
           counters_that_went_back_are_no_news, a_kind_that_was_not_asked_for_has_no_rates_yet,
           quantiles_of_the_time_between)
