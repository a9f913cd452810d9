#include "api/api_request.h"
#include "tests/unit/unit.h"

START_TEST(a_media_type_is_compared_without_its_parameters)
{
    static const struct {
        const char *given;
        bool want;
    } types[] = {
        {"application/json", true},      {"Application/JSON; charset=utf-8", true},
        {"application/json ;x=y", true}, {"application/jsonx", false},
        {"text/plain", false},           {"", false},
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct api_request request = {.content_type = slice_from(types[i].given)};
        ck_assert_msg(api_request_has_type(&request, "application/json") == types[i].want, "%s",
                      types[i].given);
    }
    struct api_request none = {0};
    ck_assert(!api_request_has_type(&none, "application/json"));
}
END_TEST

START_TEST(a_tag_is_found_in_a_list)
{
    static const struct {
        const char *header;
        bool want;
    } headers[] = {
        {"\"abc\"", true},   {"\"x\", \"abc\"", true}, {"W/\"abc\"", true}, {"*", true},
        {"\"abcd\"", false}, {"abc", false},           {"", false},         {"\"", false},
        {",,", false},
    };
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        ck_assert_msg(api_request_names_tag(slice_from(headers[i].header), "abc") ==
                          headers[i].want,
                      "%s", headers[i].header);
    }
}
END_TEST

START_TEST(a_parameter_is_found_by_name)
{
    struct api_request request = {
        .query = {{SLICE("dry_run"), SLICE("true")}, {SLICE("pool"), SLICE("")}},
        .query_count = 2,
    };
    ck_assert(api_request_flag(&request, "dry_run"));
    ck_assert(!api_request_flag(&request, "defaults"));
    ck_assert_ptr_nonnull(api_request_query(&request, "pool").ptr);
    ck_assert_ptr_null(api_request_query(&request, "missing").ptr);
}
END_TEST

UNIT_TESTS("api_request", a_media_type_is_compared_without_its_parameters, a_tag_is_found_in_a_list,
           a_parameter_is_found_by_name)
