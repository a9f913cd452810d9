#include "lbd/worker/clients.h"
#include "tests/unit/unit.h"

static const struct {
    const char *text;
    uint64_t id; /* 0: none */
} ids[] = {
    {"0-1", UINT64_C(1) << 48 | 1},
    {"1-2a", UINT64_C(2) << 48 | 0x2a},
    {"63-ffffffffffff", UINT64_C(64) << 48 | 0xffffffffffff},
    {"", 0},
    {"-", 0},
    {"1", 0},
    {"1-", 0},
    {"-1", 0},
    {"0-0", 0},
    {"64-1", 0},
    {"1-2A", 0}, /* one way to write it */
    {"1-02a", 0},
    {"01-2a", 0},
    {"1-1000000000000", 0},
    {"99999999999999999999-1", 0},
    {"1-2a ", 0},
    {"1-2g", 0},
    {"1-2-3", 0},
};

START_TEST(ids_are_a_worker_and_a_number)
{
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        uint64_t id = 0;
        char text[CLIENTS_ID_MAX];
        bool ok = clients_read_id(slice_from(ids[i].text), &id);
        ck_assert_msg(ok == (ids[i].id != 0), "'%s'", ids[i].text);
        if (ok) {
            ck_assert_uint_eq(id, ids[i].id);
            clients_write_id(id, text);
            ck_assert_str_eq(text, ids[i].text);
        }
    }
}
END_TEST

UNIT_TESTS("clients", ids_are_a_worker_and_a_number)
