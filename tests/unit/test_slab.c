#include <stdbool.h>
#include <string.h>

#include "lbd/base/random.h"
#include "lbd/net/slab.h"
#include "tests/unit/slab_mapped.h"
#include "tests/unit/unit.h"

#define CHUNK_BYTES (64U * 1024)

START_TEST(objects_are_apart_and_aligned)
{
    static const size_t sizes[] = {1, 8, 9, 100, 336, 3584, 4096, 32768, 60000, 65472};
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        struct slab slab;
        unsigned char *objects[300];
        slab_mapped_init(&slab, sizes[s], CHUNK_BYTES);
        ck_assert_uint_eq(slab.object_bytes % 8, 0);
        ck_assert_uint_ge(slab.object_bytes, sizes[s]);
        for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
            objects[i] = slab_mapped_take(&slab);
            ck_assert_ptr_nonnull(objects[i]);
            ck_assert_uint_eq((uintptr_t)objects[i] % 8, 0);
            memset(objects[i], (int)(i & 0xFF), sizes[s]);
        }
        for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
            bool is_whole = true; /* one assertion per object: there are 50 million bytes */
            for (size_t at = 0; at < sizes[s]; at++) {
                is_whole = is_whole && objects[i][at] == (i & 0xFF);
            }
            ck_assert(is_whole);
        }
        ck_assert_uint_eq(slab.objects, ARRAY_LEN(objects));
        ck_assert_uint_eq(slab.chunks, (ARRAY_LEN(objects) + slab.per_chunk - 1) / slab.per_chunk);
        for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
            slab_mapped_give(&slab, objects[i]);
        }
        ck_assert_uint_eq(slab.objects, 0);
        ck_assert_uint_eq(slab.empty_chunks, slab.chunks);
        slab_mapped_fini(&slab);
    }
}
END_TEST

START_TEST(what_was_given_back_last_is_taken_first)
{
    struct slab slab;
    slab_mapped_init(&slab, 100, CHUNK_BYTES);
    void *first = slab_mapped_take(&slab);
    void *second = slab_mapped_take(&slab);
    slab_mapped_give(&slab, first);
    ck_assert_ptr_eq(slab_mapped_take(&slab), first);
    slab_mapped_give(&slab, second);
    slab_mapped_give(&slab, first);
    ck_assert_ptr_eq(slab_mapped_take(&slab), first);
    ck_assert_ptr_eq(slab_mapped_take(&slab), second);
    slab_mapped_give(&slab, second);
    slab_mapped_give(&slab, first);
    slab_mapped_fini(&slab);
}
END_TEST

START_TEST(a_steady_load_maps_nothing)
{
    struct slab slab;
    slab_mapped_init(&slab, 60000, CHUNK_BYTES); /* one per chunk: the hardest case */
    ck_assert_uint_eq(slab.per_chunk, 1);
    void *before = NULL;
    for (int i = 0; i < 100; i++) {
        void *object = slab_mapped_take(&slab);
        ck_assert(before == NULL || object == before);
        ck_assert_uint_eq(slab.chunks, 1);
        ck_assert_uint_eq(slab.empty_chunks, 0);
        before = object;
        slab_mapped_give(&slab, object);
        ck_assert_uint_eq(slab.empty_chunks, 1);
    }
    slab_mapped_fini(&slab);
}
END_TEST

START_TEST(fuller_chunks_are_used_before_the_empty_one)
{
    struct slab slab;
    slab_mapped_init(&slab, 16000, CHUNK_BYTES);
    ck_assert_uint_eq(slab.per_chunk, 4);
    void *objects[8];
    for (size_t i = 0; i < 8; i++) {
        objects[i] = slab_mapped_take(&slab);
    }
    for (size_t i = 4; i < 8; i++) {
        slab_mapped_give(&slab, objects[i]); /* the second chunk is empty and kept */
    }
    slab_mapped_give(&slab, objects[0]);
    ck_assert_uint_eq(slab.chunks, 2);
    ck_assert_ptr_eq(slab_mapped_take(&slab), objects[0]);
    ck_assert_uint_eq(slab.empty_chunks, 1);
    for (size_t i = 0; i < 4; i++) {
        slab_mapped_give(&slab, objects[i]);
    }
    ck_assert_uint_eq(slab.empty_chunks, 2);
    slab_mapped_fini(&slab);
}
END_TEST

START_TEST(what_a_second_did_not_need_goes_back)
{
    struct slab slab;
    void *objects[40];
    slab_mapped_init(&slab, 16000, CHUNK_BYTES);
    ck_assert(slab_is_tidy(&slab));
    ck_assert(!slab_mapped_tidy(&slab));
    for (size_t i = 0; i < 40; i++) {
        objects[i] = slab_mapped_take(&slab);
    }
    ck_assert_uint_eq(slab.chunks, 10);
    for (size_t i = 4; i < 40; i++) {
        slab_mapped_give(&slab, objects[i]);
    }
    ck_assert(!slab_is_tidy(&slab));
    ck_assert(slab_mapped_tidy(&slab)); /* all were needed since the last call */
    ck_assert_uint_eq(slab.chunks, 10);
    for (size_t i = 4; i < 12; i++) {
        objects[i] = slab_mapped_take(&slab); /* two of them are needed again */
    }
    for (size_t i = 4; i < 12; i++) {
        slab_mapped_give(&slab, objects[i]);
    }
    ck_assert(slab_mapped_tidy(&slab));
    ck_assert_uint_eq(slab.chunks, 3);
    ck_assert(!slab_mapped_tidy(&slab));
    ck_assert_uint_eq(slab.chunks, 1);
    ck_assert(slab_is_tidy(&slab));
    for (size_t i = 0; i < 4; i++) {
        slab_mapped_give(&slab, objects[i]); /* what was in use was not touched */
    }
    (void)slab_mapped_tidy(&slab);
    ck_assert(!slab_mapped_tidy(&slab));
    ck_assert_uint_eq(slab.chunks, 0);
    slab_mapped_fini(&slab);
}
END_TEST

/* Each object holds its own address and number; a lost or doubled one shows. */
static void random_load(bool mapped, size_t object_bytes)
{
    enum { OBJECTS = 500, ROUNDS = 20000 };
    struct slab slab;
    struct random random;
    static uintptr_t *objects[OBJECTS];
    memset(objects, 0, sizeof(objects));
    random_seed(&random);
    (mapped ? slab_mapped_init : slab_init)(&slab, object_bytes, CHUNK_BYTES);
    uint32_t alive = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t i = random_below(&random, OBJECTS);
        bool give = random_below(&random, 4) < (round / 4000 % 2 == 0 ? 1 : 3);
        if (objects[i] == NULL && !give) {
            objects[i] = (mapped ? slab_mapped_take : slab_take)(&slab);
            objects[i][0] = (uintptr_t)objects[i];
            objects[i][1] = i;
            alive++;
        } else if (objects[i] != NULL && give) {
            ck_assert_uint_eq(objects[i][0], (uintptr_t)objects[i]);
            ck_assert_uint_eq(objects[i][1], i);
            (mapped ? slab_mapped_give : slab_give)(&slab, objects[i]);
            objects[i] = NULL;
            alive--;
        }
        ck_assert_uint_eq(slab.objects, alive);
        if (mapped && round % 500 == 0) {
            (void)slab_mapped_tidy(&slab);
            ck_assert_uint_le(slab.empty_chunks, slab.chunks);
        }
        if (mapped) {
            ck_assert_uint_ge(slab.chunks * slab.per_chunk, alive);
        }
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        if (objects[i] != NULL) {
            ck_assert_uint_eq(objects[i][1], i);
            (mapped ? slab_mapped_give : slab_give)(&slab, objects[i]);
        }
    }
    ck_assert_uint_eq(slab.objects, 0);
    (mapped ? slab_mapped_fini : slab_fini)(&slab);
}

START_TEST(a_random_load_loses_and_doubles_nothing)
{
    static const size_t sizes[] = {16, 336, 4096, 30000, 60000};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        random_load(true, sizes[i]);
        random_load(false, sizes[i]);
    }
}
END_TEST

UNIT_TESTS("slab", objects_are_apart_and_aligned, what_was_given_back_last_is_taken_first,
           a_steady_load_maps_nothing, fuller_chunks_are_used_before_the_empty_one,
           what_a_second_did_not_need_goes_back, a_random_load_loses_and_doubles_nothing)
