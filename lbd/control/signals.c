#include "lbd/control/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lbd/base/mem.h"

struct signals {
    struct loop_watch watch;
    int fd;
    void (*fn)(int number, void *arg);
    void *arg;
};

static void fill(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGHUP);
    (void)sigaddset(set, SIGUSR1);
}

void signals_block(void)
{
    sigset_t set;
    fill(&set);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a file at its limit is an error of write(2) */
    (void)signal(SIGUSR2, SIG_IGN); /* unused, and its default is to end the process */
}

static void on_readable(struct loop_watch *watch, unsigned ready)
{
    (void)ready;
    struct signals *signals = container_of(watch, struct signals, watch);
    struct signalfd_siginfo info;
    ssize_t got = read(signals->fd, &info, sizeof(info)); /* level-triggered: one at a time */
    if (got == (ssize_t)sizeof(info)) {
        signals->fn((int)info.ssi_signo, signals->arg);
    }
}

struct signals *signals_new(struct loop *loop, void (*fn)(int number, void *arg), void *arg,
                            struct err *err)
{
    sigset_t set;
    fill(&set);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) {
        (void)err_set(err, ERR_SYSTEM, "cannot make a signalfd: %s", strerror(errno));
        return NULL;
    }

    struct signals *signals = mem_zero(1, sizeof(*signals));
    signals->fd = fd;
    signals->fn = fn;
    signals->arg = arg;
    if (!loop_watch_start(loop, &signals->watch, fd, LOOP_READ, on_readable)) {
        (void)err_set(err, ERR_SYSTEM, "cannot watch the signalfd");
        (void)close(fd);
        free(signals);
        return NULL;
    }
    return signals;
}

void signals_free(struct signals *signals)
{
    if (signals == NULL) {
        return;
    }
    loop_watch_stop(&signals->watch);
    (void)close(signals->fd);
    free(signals);
}
