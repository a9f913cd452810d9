#include <stdlib.h>
#include <string.h>

#include "api/api_table.h"
#include "tests/unit/unit.h"

static const struct {
    const char *path;
    const char *pattern; /* NULL: no row */
    const char *names;
} paths[] = {
    {"/v1/config", "/v1/config", ""},
    {"/v1/config/", NULL, ""},
    {"/v1/config/status", "/v1/config/status", ""},
    {"/v1/pools", "/v1/pools", ""},
    {"/v1/pools/a", "/v1/pools/{}", "a"},
    {"/v1/pools/a/status", "/v1/pools/{}/status", "a"},
    {"/v1/pools/status", "/v1/pools/{}", "status"},
    {"/v1/pools/a/servers/b", "/v1/pools/{}/servers/{}", "a b"},
    {"/v1/pools/a/servers/b/admin-state", "/v1/pools/{}/servers/{}/admin-state", "a b"},
    {"/v1/pools/a/servers/b/x", NULL, ""},
    {"/v1/pools/", NULL, ""},
    {"/v1/pools/A", NULL, ""},
    {"/v1/pools/a b", NULL, ""},
    {"/v1/pools//servers", NULL, ""},
    {"/v1/health-checks/h", "/v1/health-checks/{}", "h"},
    {"/v1/health_checks/h", NULL, ""},
    {"/v1/explain/pools.servers", "/v1/explain/{*}", "pools.servers"},
    {"/v1/explain//pools/A/x", "/v1/explain/{*}", "/pools/A/x"},
    {"/v1/explain/", NULL, ""},
    {"/v1/mail/users/a%2Fb", "/v1/mail/users/{}", "a/b"}, /* cut first */
    {"/v1/mail/users/a%2fb/status", "/v1/mail/users/{}/status", "a/b"},
    {"/v1/mail/users/%25%32%46%zz%4", "/v1/mail/users/{}", "%2F%zz%4"}, /* once */
    {"/v1/mail/maps/%6d/entries/%40x", "/v1/mail/maps/{}/entries/{}", "m @x"},
    {"/v1/mail/users/a%00b", NULL, ""},
    {"/v1/mail/users/a%0Ab", NULL, ""},
    {"/v1/pools/a%2Fb", NULL, ""},
    {"/v1/pools%2Fa", NULL, ""},
    {"/v1/explain/pools%2Fservers", "/v1/explain/{*}", "pools/servers"},
    {"/", NULL, ""},
    {"", NULL, ""},
    {"/metrics", "/metrics", ""},
};

START_TEST(a_path_finds_its_row_and_names)
{
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct api_request request = {.path = slice_from(paths[i].path)};
        const struct api_row *row = api_table_find(&request);
        if (paths[i].pattern == NULL) {
            ck_assert_msg(row == NULL, "%s", paths[i].path);
            ck_assert_uint_eq(request.name_count, 0);
            free(request.unescaped);
            continue;
        }
        ck_assert_msg(row != NULL, "%s", paths[i].path);
        ck_assert_str_eq(row->pattern, paths[i].pattern);
        struct slice rest = slice_from(paths[i].names);
        struct slice name;
        uint32_t count = 0;
        while (rest.len != 0 && slice_split(&rest, ' ', &name)) {
            ck_assert(slice_eq(request.names[count++], name));
        }
        ck_assert_uint_eq(request.name_count, count);
        free(request.unescaped);
    }
}
END_TEST

START_TEST(every_row_has_a_method_and_finds_itself)
{
    for (size_t i = 0; i < api_table_count(); i++) {
        const struct api_row *row = api_table_row(i);
        char path[128];
        size_t len = 0;
        bool has_method = false;
        for (unsigned method = 0; method < API_METHODS; method++) {
            has_method = has_method || row->handlers[method] != NULL;
        }
        ck_assert_msg(has_method, "%s", row->pattern);
        for (const char *at = row->pattern; *at != '\0'; at++) {
            if (*at == '{') {
                path[len++] = 'x';
                at = strchr(at, '}');
            } else {
                path[len++] = *at;
            }
        }
        struct api_request request = {.path = slice_of(path, len)};
        ck_assert_ptr_eq(api_table_find(&request), row);
        ck_assert_uint_le(request.name_count, API_NAMES_MAX);
        bool writes = row->handlers[API_PUT] != NULL;
        ck_assert_msg(!row->is_observable || !writes, "%s", row->pattern);
        ck_assert_msg(!writes || row->body_max != 0, "%s", row->pattern);
    }
}
END_TEST

START_TEST(allowed_methods_are_listed)
{
    char allow[48];
    struct api_request request = {.path = SLICE("/v1/pools/a")};
    api_table_allow(api_table_find(&request), allow, sizeof(allow));
    ck_assert_str_eq(allow, "GET, HEAD, PUT, PATCH, DELETE");
    request.path = SLICE("/metrics");
    api_table_allow(api_table_find(&request), allow, sizeof(allow));
    ck_assert_str_eq(allow, "GET, HEAD");
}
END_TEST

START_TEST(parameters_belong_to_row_and_method)
{
    struct api_request request = {.path = SLICE("/v1/pools/a")};
    const struct api_row *row = api_table_find(&request);
    ck_assert(api_table_knows_query(row, API_GET, SLICE("defaults")));
    ck_assert(!api_table_knows_query(row, API_GET, SLICE("dry_run")));
    ck_assert(api_table_knows_query(row, API_PUT, SLICE("dry_run")));
    ck_assert(api_table_knows_query(row, API_DELETE, SLICE("missing")));
    ck_assert(!api_table_knows_query(row, API_PUT, SLICE("dry")));
    ck_assert(!api_table_knows_query(row, API_PUT, SLICE("")));
}
END_TEST

UNIT_TESTS("api_table", a_path_finds_its_row_and_names, every_row_has_a_method_and_finds_itself,
           allowed_methods_are_listed, parameters_belong_to_row_and_method)
