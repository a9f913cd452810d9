#include "lbd/base/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "lbd/base/mem.h"

enum { NESTING_MAX = 32, MESSAGE_MAX = 128 };

/* Whole subjects only; nothing that leaves the bytes: no \C, no UTF by "(*UTF)". */
#define OPTIONS                                                                                    \
    (PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF |  \
     PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C)

/* PCRE2's allocator in an arena, where nothing is given back before all is. */
static void *take(PCRE2_SIZE size, void *arena)
{
    return arena_alloc(arena, size);
}

static void leave(void *bytes, void *arena)
{
    (void)bytes;
    (void)arena;
}

static uint32_t info(const pcre2_code *code, uint32_t what)
{
    uint32_t value = 0;
    (void)pcre2_pattern_info(code, what, &value);
    return value;
}

static const pcre2_code *code_of(const struct pattern *pattern)
{
    return (const void *)pattern;
}

static bool is_within_limits(const pcre2_code *code, struct err *err)
{
    size_t size = 0;
    (void)pcre2_pattern_info(code, PCRE2_INFO_SIZE, &size);
    if (size > PATTERN_COMPILED_MAX) {
        return err_set(err, ERR_INVALID, "compiled it takes %zu bytes, more than %u", size,
                       PATTERN_COMPILED_MAX);
    }
    if (info(code, PCRE2_INFO_CAPTURECOUNT) > PATTERN_GROUPS_MAX) {
        return err_set(err, ERR_INVALID, "it has more than %u groups; \"(?:...)\" makes none",
                       PATTERN_GROUPS_MAX);
    }
    return true;
}

const struct pattern *pattern_compile(struct arena *arena, struct slice text, bool ignore_case,
                                      struct err *err)
{
    if (text.len == 0 || text.len > PATTERN_TEXT_MAX) {
        (void)err_set(err, ERR_INVALID, "it must be 1 to %u bytes long", PATTERN_TEXT_MAX);
        return NULL;
    }
    pcre2_general_context *memory = pcre2_general_context_create(take, leave, arena);
    pcre2_compile_context *context = pcre2_compile_context_create(memory);
    (void)pcre2_set_parens_nest_limit(context, NESTING_MAX);
    int code = 0;
    PCRE2_SIZE at = 0;
    const pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)text.ptr, text.len,
                      OPTIONS | (ignore_case ? (uint32_t)PCRE2_CASELESS : 0), &code, &at, context);
    if (compiled == NULL) {
        PCRE2_UCHAR message[MESSAGE_MAX] = "";
        (void)pcre2_get_error_message(code, message, sizeof message);
        (void)err_set(err, ERR_INVALID, "at byte %zu: %s", at, (const char *)message);
        return NULL;
    }
    return is_within_limits(compiled, err) ? (const void *)compiled : NULL;
}

bool pattern_check(struct slice text, struct err *err)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    bool ok = pattern_compile(&arena, text, false, err) != NULL;
    arena_fini(&arena);
    return ok;
}

uint32_t pattern_count_groups(struct slice text)
{
    struct arena arena;
    arena_init(&arena, NULL, 0);
    const struct pattern *pattern = pattern_compile(&arena, text, false, NULL);
    uint32_t count = pattern != NULL ? info(code_of(pattern), PCRE2_INFO_CAPTURECOUNT) : 0;
    arena_fini(&arena);
    return count;
}

void pattern_work_init(struct pattern_work *work)
{
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    *work = (struct pattern_work){
        .match = pcre2_match_data_create(PATTERN_GROUPS_MAX + 1, NULL),
        .limits = limits,
    };
    if (work->match == NULL || limits == NULL) {
        mem_exhausted(0);
    }
    (void)pcre2_set_match_limit(limits, PATTERN_STEPS_MAX);
    (void)pcre2_set_heap_limit(limits, PATTERN_MEMORY_KIB);
}

void pattern_work_fini(struct pattern_work *work)
{
    pcre2_match_data_free(work->match);
    pcre2_match_context_free(work->limits);
    *work = (struct pattern_work){.match = NULL};
}

/* The number of groups that may have taken part, and one more; 0: no match. */
static uint32_t match(const struct pattern *pattern, struct pattern_work *work,
                      struct slice subject)
{
    if (subject.len > PATTERN_SUBJECT_MAX) {
        work->limited++;
        return 0;
    }
    PCRE2_SPTR bytes = (PCRE2_SPTR)(subject.ptr != NULL ? subject.ptr : "");
    int found = pcre2_match(code_of(pattern), bytes, subject.len, 0, PCRE2_NO_UTF_CHECK,
                            work->match, work->limits);
    if (found < 0 && found != PCRE2_ERROR_NOMATCH) {
        work->limited++;
    }
    return found > 0 ? (uint32_t)found : 0;
}

bool pattern_match(const struct pattern *pattern, struct pattern_work *work, struct slice subject)
{
    return match(pattern, work, subject) != 0;
}

bool pattern_groups(const struct pattern *pattern, struct pattern_work *work, struct slice subject,
                    struct slice groups[PATTERN_GROUPS_MAX + 1])
{
    uint32_t count = match(pattern, work, subject);
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(work->match);
    for (uint32_t i = 0; i <= PATTERN_GROUPS_MAX; i++) {
        /* \K in a lookaround could put the end before the beginning */
        bool is_set = i < count && ends[2 * (size_t)i] != PCRE2_UNSET &&
                      ends[2 * (size_t)i] <= ends[2 * (size_t)i + 1];
        groups[i] = is_set ? slice_of(subject.ptr + ends[2 * (size_t)i],
                                      ends[2 * (size_t)i + 1] - ends[2 * (size_t)i])
                           : SLICE_NONE;
    }
    return count != 0;
}
