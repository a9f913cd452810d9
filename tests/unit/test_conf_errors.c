#include "conf/conf_errors.h"
#include "conf/json/json.h"
#include "lbd/base/mem.h"
#include "tests/unit/unit.h"

static struct conf_errors *fresh(void)
{
    struct conf_errors *errors = mem_alloc(sizeof(*errors));
    conf_errors_init(errors);
    return errors;
}

static void done(struct conf_errors *errors)
{
    conf_errors_fini(errors);
    free(errors);
}

START_TEST(writes_pointers)
{
    const struct conf_path root = {0};
    const struct conf_path a = {.parent = &root, .key = SLICE("a/b~c")};
    const struct conf_path b = {.parent = &a, .index = 3};
    const struct conf_path c = {.parent = &b, .key = SLICE("")};
    struct buf out;
    buf_init(&out, 100);
    conf_errors_pointer(&c, &out);
    ck_assert_str_eq(out.data, "/a~1b~0c/3/");
    buf_clear(&out);
    conf_errors_pointer(&root, &out);
    ck_assert_uint_eq(out.len, 0);
    buf_fini(&out);
}
END_TEST

START_TEST(places_errors_in_a_text)
{
    struct conf_errors *errors = fresh();
    struct slice text = SLICE("{\n  \"x\": {\"y\": 1}\n}");
    conf_errors_add_at(errors, SLICE("/pools/p/x/y"), "out-of-range", SLICE_NONE, "must be %d", 2);
    conf_errors_add_at(errors, SLICE("/pools/p/x"), "unknown-key", SLICE("z"), "no");
    conf_errors_add_at(errors, SLICE("/pools/pp/x"), "unknown-key", SLICE_NONE, "elsewhere");
    conf_errors_warn_at(errors, SLICE("/pools/p"), "single-server", "one server");
    conf_errors_locate(errors, text, SLICE("/pools/p"));
    ck_assert_uint_eq(errors->errors[0].line, 2);
    ck_assert_uint_eq(errors->errors[0].column, 14);
    ck_assert_uint_eq(errors->errors[1].column, 3); /* the key, not its value */
    ck_assert_uint_eq(errors->errors[2].line, 0);   /* not in this text */
    ck_assert_uint_eq(errors->warnings[0].line, 1);
    done(errors);
}
END_TEST

START_TEST(describes_for_people)
{
    struct conf_errors *errors = fresh();
    struct buf out;
    buf_init(&out, 1000);
    conf_errors_add_at(errors, SLICE("/a"), "unknown-key", SLICE("b"), "'a' is not a known key");
    conf_errors_describe(&errors->errors[0], SLICE_NONE, &out);
    ck_assert_str_eq(out.data, "/a: 'a' is not a known key; did you mean 'b'?");
    buf_clear(&out);
    errors->errors[0].line = 3;
    errors->errors[0].column = 4;
    conf_errors_describe(&errors->errors[0], SLICE("x.json"), &out);
    ck_assert_str_eq(out.data, "x.json:3:4: /a: 'a' is not a known key; did you mean 'b'?");
    buf_clear(&out);
    conf_errors_warn_at(errors, SLICE_NONE, "w", "w");
    conf_errors_warn_at(errors, SLICE_NONE, "w", "w");
    conf_errors_summary(errors, &out);
    ck_assert_str_eq(out.data, "1 error, 2 warnings");
    buf_fini(&out);
    done(errors);
}
END_TEST

START_TEST(keeps_a_hundred)
{
    struct conf_errors *errors = fresh();
    const struct conf_path root = {0};
    for (int i = 0; i < CONF_ERRORS_MAX; i++) {
        ck_assert(!conf_errors_full(errors));
        conf_errors_add(errors, &root, "x", SLICE_NONE, "%d", i);
    }
    ck_assert(conf_errors_full(errors) && !errors->truncated);
    conf_errors_add(errors, &root, "x", SLICE_NONE, "one more");
    ck_assert(errors->truncated);
    ck_assert_uint_eq(errors->error_count, CONF_ERRORS_MAX);
    ck_assert(slice_eq(errors->errors[99].detail, SLICE("99")));
    conf_errors_clear(errors);
    ck_assert_uint_eq(errors->error_count, 0);
    ck_assert(!errors->truncated);
    done(errors);
}
END_TEST

START_TEST(tells_syntax_errors)
{
    struct conf_errors *errors = fresh();
    struct json_error error;
    ck_assert_ptr_null(json_parse(SLICE("{\n1"), JSON_STRICT, &json_limits_document, &error));
    conf_errors_add_syntax(errors, &error);
    ck_assert(slice_eq(errors->errors[0].code, SLICE("syntax")));
    ck_assert_uint_eq(errors->errors[0].line, 2);
    ck_assert_uint_eq(errors->errors[0].column, 1);
    done(errors);
}
END_TEST

UNIT_TESTS("conf_errors", writes_pointers, places_errors_in_a_text, describes_for_people,
           keeps_a_hundred, tells_syntax_errors)
