/*
 * fuzz_pattern - whatever stands in a configuration as a regular expression, and whatever a client
 * sends to it: it matches or not, within its limits, and its groups lie in the subject.
 *
 * The input is a pattern, a line feed, and a subject.
 *
 * Threads: the main thread.
 */
#include <stdint.h>
#include <stdlib.h>

#include "lbd/base/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void try_one(const struct pattern *pattern, uint32_t groups_max, struct slice subject)
{
    struct pattern_work work;
    struct slice groups[PATTERN_GROUPS_MAX + 1];
    pattern_work_init(&work);
    bool is_match = pattern_match(pattern, &work, subject);
    uint64_t limited = work.limited;
    must(!is_match || (limited == 0 && subject.len <= PATTERN_SUBJECT_MAX));
    must(pattern_groups(pattern, &work, subject, groups) == is_match);
    must(work.limited == 2 * limited); /* the same again */
    for (uint32_t i = 0; i <= PATTERN_GROUPS_MAX; i++) {
        must(groups[i].len == 0 || (is_match && i <= groups_max));
        must(groups[i].len == 0 || (groups[i].ptr >= subject.ptr &&
                                    groups[i].ptr + groups[i].len <= subject.ptr + subject.len));
    }
    pattern_work_fini(&work);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice subject = slice_of((const char *)data, size);
    struct slice text;
    struct arena arena;
    struct err err;
    if (data == NULL || !slice_split(&subject, '\n', &text)) {
        return 0;
    }
    arena_init(&arena, NULL, 0);
    for (int ignore_case = 0; ignore_case < 2; ignore_case++) {
        const struct pattern *pattern = pattern_compile(&arena, text, ignore_case != 0, &err);
        must(pattern == NULL || (text.len > 0 && text.len <= PATTERN_TEXT_MAX));
        if (ignore_case == 0) {
            must((pattern != NULL) == pattern_check(text, &err));
        }
        if (pattern != NULL) {
            try_one(pattern, pattern_count_groups(text), subject);
        }
    }
    arena_fini(&arena);
    return 0;
}
