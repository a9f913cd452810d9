#include "conf/conf_document.h"
#include "conf/conf_files.h"
#include "lbd/base/mem.h"
#include "tests/unit/unit.h"

enum { FILES = 4 };

static struct conf_errors errors;
static struct conf_document *document;
static struct conf_daemon *daemon_settings;

static const char *const paths[FILES] = {"lbd.json", "conf.d/a.json", "conf.d/b.json",
                                         "conf.d/c.jsonc"};

static void setup(void)
{
    conf_errors_init(&errors);
    document = NULL;
    daemon_settings = NULL;
}

static void teardown(void)
{
    conf_document_unref(document);
    conf_daemon_free(daemon_settings);
    conf_errors_fini(&errors);
}

/* Reads up to FILES texts; NULL ends them. */
static bool read_texts(const char *const texts[FILES])
{
    struct conf_file_text files[FILES];
    uint32_t count = 0;
    while (count < FILES && texts[count] != NULL) {
        files[count] = (struct conf_file_text){slice_from(paths[count]), slice_from(texts[count])};
        count++;
    }
    return conf_document_from_files(files, count, &document, &daemon_settings, &errors);
}

static void show(const struct conf_error *error, struct buf *out)
{
    buf_clear(out);
    conf_errors_describe(error, error->file, out);
}

START_TEST(maps_are_put_together_by_name)
{
    ck_assert(read_texts((const char *const[FILES]){
                  "{'daemon':{},'schema':1}",
                  "{\"$schema\":\"x\",\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:0\"]}}}",
                  "// only a comment\n{}", NULL}) == false);
    ck_assert_uint_eq(errors.error_count, 1); /* single quotes are no JSON: nothing else is said */
    conf_errors_clear(&errors);

    ck_assert(read_texts((const char *const[FILES]){
        "{\"daemon\":{\"workers\":3},\"schema\":1,\"pools\":{\"one\":{}}}",
        "{\"$schema\":\"x\",\"pools\":{\"two\":{},},}",
        "// routes of one, listeners of another\n"
        "{\"routes\":{\"r\":{\"listener\":\"web\",\"action\":{\"pool\":\"two\"}}}}",
        "{\"listeners\":{\"web\":{\"bind\":[\"127.0.0.1:0\"]}},\"pools\":{\"three\":{}}}"}));
    ck_assert_uint_eq(errors.error_count, 0);
    ck_assert_uint_eq(daemon_settings->workers, 3);
    const struct conf *conf = conf_document_conf(document);
    ck_assert_uint_eq(conf->pool_count, 3);
    ck_assert_uint_eq(conf->listener_count, 1);
    ck_assert_uint_eq(conf->route_count, 1);
}
END_TEST

START_TEST(it_is_the_same_as_one_file)
{
    struct conf_document *one = NULL;
    ck_assert(conf_document_from_file_text(
        SLICE("{\"pools\":{\"a\":{\"retries\":3},\"b\":{}},\"health_checks\":{\"h\":{}}}"), &one,
        NULL, &errors));
    ck_assert(read_texts((const char *const[FILES]){
        "{\"pools\":{\"b\":{}}}",
        "{\"health_checks\":{\"h\":{}},\"pools\":{\"a\":{\"retries\":3}}}", NULL}));
    ck_assert(conf_document_same(one, document));
    conf_document_unref(one);
}
END_TEST

/* What is wrong, and where: "FILE:LINE:COLUMN: POINTER: ..." */
static const struct {
    const char *texts[FILES];
    const char *lines[3];
} wrong[] = {
    /* a name twice: both places are named */
    {{"{\"pools\":\n  {\"p\":{}}}", "{\n\"pools\": {\"q\":{},\n   \"p\":{}}}"},
     {"conf.d/a.json:3:4: /pools/p: 'p' is already in lbd.json:2:4"}},
    {{"{}", "{\"pools\":{\"x\":{}}}", "{\"pools\":{\"x\":{}}}", "{\"pools\":{\"x\":{}}}"},
     {"conf.d/b.json:1:11: /pools/x: 'x' is already in conf.d/a.json:1:11",
      "conf.d/c.jsonc:1:11: /pools/x: 'x' is already in conf.d/a.json:1:11"}},
    {{"{\"pools\":{\"a/b~c\":{}}}", "{\"pools\":{\"a\\u002fb~c\":{}}}"},
     {"conf.d/a.json:1:11: /pools/a~1b~0c: 'a/b~c' is already in lbd.json:1:11",
      "lbd.json:1:11: /pools/a~1b~0c: must "}},
    /* what is the main file's */
    {{"{}", "{\"daemon\":{}}"},
     {"conf.d/a.json:1:2: /daemon: 'daemon' must be set in lbd.json only"}},
    {{"{}", "{\n \"schema\":1}"},
     {"conf.d/a.json:2:2: /schema: 'schema' must be set in lbd.json only"}},
    /* in its own file, whatever it is */
    {{"{}", "{\"pools\":{}}", "{\"pools\":{\"p\":\n{\"retriess\":1}}}"},
     {"conf.d/b.json:2:2: /pools/p/retriess: 'retriess' is not a known key; did you mean 'retries'?"}},
    {{"{}", "{}", "{\"polls\":{}}"},
     {"conf.d/b.json:1:2: /polls: 'polls' is not a known key; did you mean 'pools'?"}},
    {{"{\"pools\":{}}", "{\"polls\":1}", "{\"polls\":2}"},
     {"conf.d/b.json:1:10: /polls: must be an object, not a number",
      "conf.d/a.json:1:2: /polls: 'polls' is not a known key; did you mean 'pools'?"}},
    {{"{\"daemon\":{\"worker\":1}}", "{}"},
     {"lbd.json:1:12: /daemon/worker: 'worker' is not a known key; did you mean 'workers'?"}},
    {{"{\"pools\":{\"a\":{}}}",
      "{\"routes\":{\"r\":{\"listener\":\"w\",\n\"action\":{\"pool\":\"b\"}}}}",
      "{\"listeners\":{\"w\":{\"bind\":[\"127.0.0.1:0\"]}}}"},
     {"conf.d/a.json:2:18: /routes/r/action/pool: "}},
    /* no map */
    {{"{}", "{\"pools\":[]}"},
     {"conf.d/a.json:1:10: /pools: must be an object of named pools, not a list"}},
    {{"{\"pools\":3}", "{\"pools\":{\"p\":{}}}"},
     {"lbd.json:1:10: /pools: must be an object of named pools, not a number"}},
    {{"{\"pools\":{}}", "{\"pools\":null}"},
     {"conf.d/a.json:1:10: /pools: must be an object, not null"}},
    {{"{}", "[]", "7"},
     {"conf.d/a.json:1:1: must be an object, not a list",
      "conf.d/b.json:1:1: must be an object, not a number"}},
    {{"[]", "{\"pools\":{}}"}, {"lbd.json:1:1: must be an object, not a list"}},
    /* no JSON: all files that are none */
    {{"{", "{}", "\n{\"a\" 1}"}, {"lbd.json:1:2: ", "conf.d/b.json:2:6: "}},
    {{"{}", ""}, {"conf.d/a.json:1:1: "}},
    {{"{}", "{\"daemon\":1}", "!"}, {"conf.d/a.json:1:2: /daemon: ", "conf.d/b.json:1:1: "}},
};

START_TEST(what_is_wrong_is_told_where_it_is)
{
    struct buf line;
    buf_init(&line, 1024);
    ck_assert(!read_texts(wrong[_i].texts));
    ck_assert_ptr_null(document);
    uint32_t count = 0;
    while (count < ARRAY_LEN(wrong[_i].lines) && wrong[_i].lines[count] != NULL) {
        show(&errors.errors[count], &line);
        ck_assert_msg(slice_starts(buf_slice(&line), slice_from(wrong[_i].lines[count])),
                      "case %d: %.*s", _i, (int)line.len, line.data);
        count++;
    }
    ck_assert_msg(errors.error_count == count, "case %d: %u errors", _i, errors.error_count);
    buf_fini(&line);
}
END_TEST

START_TEST(a_warning_knows_its_file)
{
    (void)read_texts((const char *const[FILES]){
        "{}",
        "{\"listeners\":{\"w\":{\"bind\":[\"127.0.0.1:0\"]}},\"pools\":{\"p\":{}},\n"
        "\"routes\":{\"a\":{\"listener\":\"w\",\"action\":{\"pool\":\"p\"}},\n"
        "\"b\":{\"listener\":\"w\",\"action\":{\"pool\":\"p\"}}}}",
        NULL});
    for (uint32_t i = 0; i < errors.warning_count; i++) {
        ck_assert(slice_eq(errors.warnings[i].file, SLICE("conf.d/a.json")));
        ck_assert_uint_gt(errors.warnings[i].line, 0);
    }
}
END_TEST

START_TEST(many_names_twice_are_not_dear)
{
    enum { NAMES = 20000 };
    struct buf text;
    struct conf_file_text files[2];
    buf_init(&text, 1024 * 1024);
    (void)buf_append_text(&text, "{\"pools\":{");
    for (int i = 0; i < NAMES; i++) {
        (void)buf_printf(&text, "%s\"p%d\":{}", i != 0 ? "," : "", i);
    }
    (void)buf_append_text(&text, "}}");
    files[0] = (struct conf_file_text){SLICE("a"), buf_slice(&text)};
    files[1] = (struct conf_file_text){SLICE("b"), buf_slice(&text)};
    ck_assert(!conf_document_from_files(files, 2, &document, NULL, &errors));
    ck_assert_uint_eq(errors.error_count, CONF_ERRORS_MAX);
    ck_assert(errors.truncated);
    buf_fini(&text);
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, maps_are_put_together_by_name);
    tcase_add_test(tcase, it_is_the_same_as_one_file);
    tcase_add_loop_test(tcase, what_is_wrong_is_told_where_it_is, 0, ARRAY_LEN(wrong));
    tcase_add_test(tcase, a_warning_knows_its_file);
    tcase_add_test(tcase, many_names_twice_are_not_dear);
}

UNIT_MAIN("conf_files", add_all)
