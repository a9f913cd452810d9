#include <stdio.h>

#include "lbd/base/compiler.h"
#include "lbd/upstream/health_history.h"
#include "tests/unit/unit.h"

START_TEST(the_newest_stand_first_and_the_oldest_fall_out)
{
    static const uint32_t sizes[] = {1, 2, HEALTH_HISTORY_MAX, HEALTH_HISTORY_MAX + 1, 57};
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        struct health_history history = {0};
        for (uint32_t i = 0; i < sizes[s]; i++) {
            char text[24];
            (void)snprintf(text, sizeof(text), "check %u", i);
            health_history_note(&history, i, 2 * (uint64_t)i, i % 3, text);
        }
        uint32_t kept = sizes[s] < HEALTH_HISTORY_MAX ? sizes[s] : HEALTH_HISTORY_MAX;
        ck_assert_uint_eq(history.count, kept);
        for (uint32_t i = 0; i < kept; i++) {
            const struct health_history_entry *entry = health_history_at(&history, i);
            uint32_t number = sizes[s] - 1 - i;
            char text[24];
            (void)snprintf(text, sizeof(text), "check %u", number);
            ck_assert_uint_eq(entry->wall_us, number);
            ck_assert_uint_eq(entry->duration_us, 2 * number);
            ck_assert_uint_eq(entry->result, number % 3);
            ck_assert_str_eq(entry->text, text);
        }
        health_history_fini(&history);
        ck_assert_uint_eq(history.count, 0);
    }
}
END_TEST

UNIT_TESTS("health_history", the_newest_stand_first_and_the_oldest_fall_out)
