#include <pthread.h>
#include <string.h>

#include "lbd/base/shared_text.h"
#include "tests/unit/unit.h"

enum { WRITES = 20000 };

START_TEST(what_was_written_last_is_read)
{
    struct shared_text shared = {0};
    char out[SHARED_TEXT_MAX];
    char longest[SHARED_TEXT_MAX + 5];
    ck_assert_uint_eq(shared_text_read(&shared, out), 0);
    ck_assert(shared_text_write(&shared, SLICE("connection refused")));
    ck_assert(slice_eq(slice_of(out, shared_text_read(&shared, out)), SLICE("connection refused")));
    ck_assert(shared_text_write(&shared, SLICE("no")));
    ck_assert(slice_eq(slice_of(out, shared_text_read(&shared, out)), SLICE("no")));
    memset(longest, 'x', sizeof(longest));
    ck_assert(shared_text_write(&shared, slice_of(longest, sizeof(longest))));
    ck_assert_uint_eq(shared_text_read(&shared, out), SHARED_TEXT_MAX);
    ck_assert_int_eq(memcmp(out, longest, SHARED_TEXT_MAX), 0);
    ck_assert(shared_text_write(&shared, SLICE_NONE));
    ck_assert_uint_eq(shared_text_read(&shared, out), 0);
}
END_TEST

START_TEST(one_at_a_time_writes)
{
    struct shared_text shared = {0};
    char out[SHARED_TEXT_MAX];
    ck_assert(shared_text_write(&shared, SLICE("first")));
    atomic_fetch_add(&shared.turn, 1); /* somebody is at it */
    ck_assert(!shared_text_write(&shared, SLICE("second")));
    ck_assert_uint_eq(shared_text_read(&shared, out), 0);
}
END_TEST

static void *keep_writing(void *arg)
{
    static const struct slice texts[] = {SLICE_INIT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
                                         SLICE_INIT("bbbbbbbbbbbbbbbbbbbbbbbb")};
    for (uint32_t i = 0; i < WRITES; i++) {
        (void)shared_text_write(arg, texts[i % 2]);
    }
    return NULL;
}

START_TEST(a_text_is_whole_or_none)
{
    struct shared_text shared = {0};
    pthread_t writers[2];
    char out[SHARED_TEXT_MAX];
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&writers[i], NULL, keep_writing, &shared), 0);
    }
    for (int i = 0; i < WRITES; i++) {
        size_t len = shared_text_read(&shared, out);
        for (size_t j = 1; j < len; j++) {
            ck_assert_int_eq(out[j], out[0]);
        }
        ck_assert(len == 0 || len == (out[0] == 'a' ? 42U : 24U));
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_join(writers[i], NULL), 0);
    }
}
END_TEST

static void add_all(TCase *tcase)
{
    tcase_add_test(tcase, what_was_written_last_is_read);
    tcase_add_test(tcase, one_at_a_time_writes);
    tcase_add_test(tcase, a_text_is_whole_or_none);
}

UNIT_MAIN("shared_text", add_all)
