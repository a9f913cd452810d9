#include "lbd/snapshot/snapshot_build.h"
#include "lbd/snapshot/snapshot_retire.h"
#include "tests/unit/unit.h"

static struct snapshot *build(struct registry *registry, struct conf_document *document,
                              uint64_t published_us)
{
    struct err err;
    const struct snapshot_build input = {
        .document = document, .registry = registry, .revision = 1, .workers = 1};
    struct snapshot *snapshot = snapshot_build(&input, &err);
    ck_assert_ptr_nonnull(snapshot);
    snapshot->published_us = published_us;
    return snapshot;
}

START_TEST(it_says_how_long_a_snapshot_lived)
{
    struct registry registry;
    struct snapshot_retired retired = {0};
    struct conf_document *document = conf_document_new();
    counters_init(1);
    registry_init(&registry);
    snapshot_retire(build(&registry, document, 100), 900, &retired);
    snapshot_retire(build(&registry, document, 1000), 1300, &retired);
    ck_assert_uint_eq(retired.count, 2);
    ck_assert_uint_eq(retired.last_us, 300);
    ck_assert_uint_eq(retired.max_us, 800);
    snapshot_free(NULL);
    registry_fini(&registry);
    conf_document_unref(document);
    counters_fini();
}
END_TEST

UNIT_TESTS("snapshot_retire", it_says_how_long_a_snapshot_lived)
