#include "conf/conf_document.h"
#include "conf/conf_write.h"
#include "lbd/base/compiler.h"
#include "tests/unit/unit.h"

static const char everything[] =
    "{\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:80\"],\"limits\":{\"header_size\":\"1024B\"},"
    "\"meta\":{\"labels\":{\"a\":\"b\"}}},\"x\":{\"bind\":[\"127.0.0.1:81\"]}},"
    "\"routes\":{\"p\":{\"listener\":\"web\",\"match\":{\"host\":[\"A.b\"],\"path\":\"/x\"},"
    "\"action\":{\"pool\":\"p\"}},\"r\":{\"listener\":\"web\",\"priority\":-1,\"action\":{"
    "\"redirect\":{\"location\":\"/\"}}},\"s\":{\"listener\":\"x\",\"action\":{\"respond\":{"
    "\"status\":404}}}},\"pools\":{\"p\":{\"servers\":{\"a\":{\"address\":\"h:1\"}}}},"
    "\"health_checks\":{\"h\":{\"headers\":{\"X\":\"1\"},\"expect\":{\"status\":[\"1xx\",\"5xx\",200]}},"
    "\"t\":{\"type\":\"tcp\"}}}";

static char *effective(const struct conf_document *document)
{
    struct buf text;
    struct json_write w;
    buf_init(&text, 1024 * 1024);
    json_write_init(&w, &text, JSON_COMPACT);
    conf_write(conf_document_conf(document), &w);
    return buf_take(&text, &(size_t){0});
}

static struct conf_document *must_read(const char *text)
{
    struct conf_errors errors;
    conf_errors_init(&errors);
    struct conf_document *document = conf_document_from_text(slice_from(text), &errors);
    ck_assert_msg(document != NULL, "%.*s: %.*s", SLICE_ARG(errors.errors[0].pointer),
                  SLICE_ARG(errors.errors[0].detail));
    conf_errors_fini(&errors);
    return document;
}

START_TEST(writes_defaults_too)
{
    static const char *const pieces[] = {
        "\"web\":{\"bind\":[\"127.0.0.1:80\"],\"protocol\":\"http\",",
        "\"http2\":{\"enabled\":true,\"max_streams\":100}",
        "\"timeouts\":{\"header\":\"10s\",\"body_idle\":\"30s\",",
        "\"limits\":{\"connections\":0,\"header_size\":\"1KiB\",\"header_fields\":100,",
        "\"meta\":{\"labels\":{\"a\":\"b\"}}",
        "\"p\":{\"listener\":\"web\",\"priority\":0,\"match\":{\"host\":[\"a.b\"],\"path\":\"/x\"},\"action\":{\"pool\":\"p\"",
        "\"r\":{\"listener\":\"web\",\"priority\":-1,\"action\":{\"redirect\":{\"status\":302,\"location\":\"/\"",
        "\"action\":{\"respond\":{\"status\":404}",
        "\"p\":{\"algorithm\":\"least_request\",",
        "\"slow_start\":\"0s\",",
        "\"timeouts\":{\"connect\":\"3s\",\"response\":\"1m\",\"idle\":\"1m\",\"max_age\":\"0s\"}",
        "\"servers\":{\"a\":{\"address\":\"h:1\",\"weight\":100,\"max_connections\":0,\"admin_state\":\"ready\"",
        "\"h\":{\"type\":\"http\",\"method\":\"GET\",\"path\":\"/\",\"headers\":{\"X\":\"1\"},\"expect\":{\"status\":[\"1xx\",\"5xx\",200]}",
        "\"interval\":\"2s\"",
        "\"rise\":2,\"fall\":3}",
        "\"t\":{\"type\":\"tcp\",",
    };
    struct conf_document *document = must_read(everything);
    char *text = effective(document);
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        ck_assert_msg(strstr(text, pieces[i]) != NULL, "%s is not in %s", pieces[i], text);
    }
    free(text);
    conf_document_unref(document);
}
END_TEST

/* What is in effect is itself a configuration, and means the same. */
START_TEST(what_is_written_can_be_read)
{
    struct conf_document *document = must_read(everything);
    char *text = effective(document);
    struct conf_document *again = must_read(text);
    char *same = effective(again);
    ck_assert_str_eq(text, same);
    free(same);
    free(text);
    conf_document_unref(again);
    conf_document_unref(document);
}
END_TEST

START_TEST(writes_the_daemon)
{
    struct conf_document *document = NULL;
    struct conf_daemon *daemon = NULL;
    struct conf_errors errors;
    struct buf text;
    struct json_write w;
    conf_errors_init(&errors);
    buf_init(&text, 65536);
    ck_assert(
        conf_document_from_file_text(SLICE("{\"daemon\":{\"workers\":2,\"max_memory\":\"5GiB\"}}"),
                                     &document, &daemon, &errors));
    json_write_init(&w, &text, JSON_COMPACT);
    conf_write_daemon(daemon, &w);
    static const char *const pieces[] = {
        "{\"workers\":2,\"user\":\"lbd\",\"api\":{",
        "\"groups\":{\"admin\":\"lbd-admin\",\"operate\":\"lbd-operate\",\"read\":\"lbd-read\"}",
        "\"limits\":{\"connections\":256,\"connections_per_address\":64,",
        "\"config_source\":\"api\"",
        "\"drain_timeout\":\"30s\",\"max_connections\":0,\"max_buffered\":\"1GiB\","
        "\"max_memory\":\"5GiB\",\"shed_lag\":\"20ms\"",
        "\"log\":{\"level\":\"info\",\"format\":\"text\",\"path\":\"stderr\"}",
        "\"access_log\":{\"path\":\"off\"",
    };
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        ck_assert_msg(strstr(text.data, pieces[i]) != NULL, "%s is not in %s", pieces[i],
                      text.data);
    }
    buf_fini(&text);
    conf_daemon_free(daemon);
    conf_document_unref(document);
    conf_errors_fini(&errors);
}
END_TEST

UNIT_TESTS("conf_write", writes_defaults_too, what_is_written_can_be_read, writes_the_daemon)
