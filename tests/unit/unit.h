/*
 * unit - main() of a unit test, in one line.
 *
 * A test file is a list of Check tests and one of these two at its end:
 *
 *     UNIT_TESTS("slice", trims_both_ends, splits_at_the_first_comma)
 *
 *         names what START_TEST defined: enough for nearly every module;
 *
 *     UNIT_MAIN("health", add_verdicts, add_limits)
 *
 *         names functions `static void add_verdicts(TCase *tcase)` that fill one
 *         test case each, for who wants fixtures or tcase_add_loop_test().
 *
 * The program prints Check's summary, says which test failed and why, and
 * exits 0 only when every test passed. CK_FORK=no keeps all in one process, as
 * the sanitizers want it (ctest sets it). A test takes at most 60 s.
 *
 * Threads: the main thread.
 */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <check.h>

typedef void unit_add_fn(TCase *tcase);

enum { UNIT_TIMEOUT_S = 60 };

/* For loops that ask a million times: Check writes each of its own assertions down, 5 us. */
#define unit_expect(is_true, ...)                                                                  \
    do {                                                                                           \
        if (!(is_true)) {                                                                          \
            ck_abort_msg(__VA_ARGS__);                                                             \
        }                                                                                          \
    } while (0)

/* Runs the suite and gives the exit code of the program. Keeps `suite`. */
static inline int unit_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    if (srunner_ntests_run(runner) == 0) {
        (void)fputs("no test ran\n", stderr);
        failed = 1;
    }
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static inline TCase *unit_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, UNIT_TIMEOUT_S);
    suite_add_tcase(suite, tcase);
    return tcase;
}

#define UNIT_TESTS(name, ...)                                                                      \
    int main(void)                                                                                 \
    {                                                                                              \
        const TTest *const unit_tests[] = {__VA_ARGS__};                                           \
        Suite *suite = suite_create(name);                                                         \
        TCase *tcase = unit_case(suite, name);                                                     \
        for (size_t i = 0; i < sizeof(unit_tests) / sizeof(unit_tests[0]); i++) {                  \
            tcase_add_test(tcase, unit_tests[i]);                                                  \
        }                                                                                          \
        return unit_run(suite);                                                                    \
    }

#define UNIT_MAIN(name, ...)                                                                       \
    int main(void)                                                                                 \
    {                                                                                              \
        unit_add_fn *const unit_adds[] = {__VA_ARGS__};                                            \
        Suite *suite = suite_create(name);                                                         \
        for (size_t i = 0; i < sizeof(unit_adds) / sizeof(unit_adds[0]); i++) {                    \
            unit_adds[i](unit_case(suite, name));                                                  \
        }                                                                                          \
        return unit_run(suite);                                                                    \
    }

#endif
