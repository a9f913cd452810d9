#include "lbd/snapshot/registry_rest.h"
#include "tests/unit/unit.h"

static int objects[4];

START_TEST(what_rests_is_found_once)
{
    struct registry_rest rest;
    registry_rest_init(&rest, 3);
    ck_assert_ptr_null(registry_rest_put(&rest, SLICE("p/a"), &objects[0]));
    ck_assert_ptr_null(registry_rest_take(&rest, SLICE("p/b")));
    ck_assert_ptr_eq(registry_rest_take(&rest, SLICE("p/a")), &objects[0]);
    ck_assert_ptr_null(registry_rest_take(&rest, SLICE("p/a")));
    ck_assert_ptr_null(registry_rest_pop(&rest));
    registry_rest_fini(&rest);
}
END_TEST

START_TEST(the_oldest_is_forgotten_first)
{
    struct registry_rest rest;
    registry_rest_init(&rest, 3);
    ck_assert_ptr_null(registry_rest_put(&rest, SLICE("a"), &objects[0]));
    ck_assert_ptr_null(registry_rest_put(&rest, SLICE("b"), &objects[1]));
    ck_assert_ptr_null(registry_rest_put(&rest, SLICE("c"), &objects[2]));
    ck_assert_ptr_eq(registry_rest_take(&rest, SLICE("a")), &objects[0]);
    ck_assert_ptr_null(registry_rest_put(&rest, SLICE("a"), &objects[0])); /* the youngest now */
    ck_assert_ptr_eq(registry_rest_put(&rest, SLICE("d"), &objects[3]), &objects[1]);
    ck_assert_ptr_null(registry_rest_take(&rest, SLICE("b")));
    ck_assert_ptr_eq(registry_rest_put(&rest, SLICE("c"), &objects[1]), &objects[2]);
    ck_assert_ptr_eq(registry_rest_pop(&rest), &objects[0]);
    ck_assert_ptr_eq(registry_rest_pop(&rest), &objects[3]);
    ck_assert_ptr_eq(registry_rest_pop(&rest), &objects[1]);
    ck_assert_ptr_null(registry_rest_pop(&rest));
    registry_rest_fini(&rest);
}
END_TEST

UNIT_TESTS("registry_rest", what_rests_is_found_once, the_oldest_is_forgotten_first)
