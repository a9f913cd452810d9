#include "lbd/base/list.h"
#include "tests/unit/unit.h"

struct item {
    int number;
    struct list_node link;
};

START_TEST(keeps_order_and_lets_go)
{
    struct list_node head;
    struct item items[5] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    list_init(&head);
    ck_assert(list_is_empty(&head));
    ck_assert_ptr_null(list_pop_front(&head));
    for (size_t i = 0; i < 4; i++) {
        ck_assert(!list_is_linked(&items[i].link));
        list_push_back(&head, &items[i].link);
        ck_assert(list_is_linked(&items[i].link));
    }
    items[4].number = 9;
    list_push_front(&head, &items[4].link);
    list_remove(&items[2].link);
    list_remove(&items[2].link); /* twice does no harm */

    static const int want[] = {9, 0, 1, 3};
    size_t count = 0;
    struct list_node *node;
    list_for_each (node, &head) {
        ck_assert_int_eq(list_entry(node, struct item, link)->number, want[count]);
        count++;
    }
    ck_assert_uint_eq(count, 4);

    struct list_node *following;
    list_for_each_safe (node, following, &head) {
        list_remove(node);
        count--;
    }
    ck_assert_uint_eq(count, 0);
    ck_assert(list_is_empty(&head));
}
END_TEST

UNIT_TESTS("list", keeps_order_and_lets_go)
