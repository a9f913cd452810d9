#include <signal.h>
#include <unistd.h>

#include "lbd/control/signals.h"
#include "tests/unit/unit.h"

struct seen {
    int numbers[8];
    int count;
};

static void on_signal(int number, void *arg)
{
    struct seen *seen = arg;
    if (seen->count < 8) {
        seen->numbers[seen->count++] = number;
    }
}

START_TEST(each_signal_is_an_event_of_the_loop)
{
    static const int sent[] = {SIGHUP, SIGUSR1, SIGTERM, SIGINT};
    struct err err;
    struct seen seen = {.count = 0};
    signals_block();
    struct loop *loop = loop_new(&err);
    ck_assert_ptr_nonnull(loop);
    struct signals *signals = signals_new(loop, on_signal, &seen, &err);
    ck_assert_ptr_nonnull(signals);
    for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
        ck_assert_int_eq(kill(getpid(), sent[i]), 0);
        for (int turn = 0; turn < 100 && seen.count <= (int)i; turn++) {
            loop_run_once(loop, 20);
        }
        ck_assert_int_eq(seen.count, (int)i + 1);
        ck_assert_int_eq(seen.numbers[i], sent[i]);
    }
    signals_free(signals);
    signals_free(NULL);
    loop_free(loop);
}
END_TEST

START_TEST(signals_without_a_meaning_do_no_harm)
{
    signals_block();
    ck_assert_int_eq(kill(getpid(), SIGPIPE), 0);
    ck_assert_int_eq(kill(getpid(), SIGUSR2), 0);
    ck_assert_int_eq(kill(getpid(), SIGXFSZ), 0);
}
END_TEST

UNIT_TESTS("signals", each_signal_is_an_event_of_the_loop, signals_without_a_meaning_do_no_harm)
