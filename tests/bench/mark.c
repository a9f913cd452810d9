#include "tests/bench/mark.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>

#include "tests/bench/crowd.h"
#include "tests/bench/secure.h"
#include "tests/bench/syscalls.h"

enum { PIDS_MAX = 16 };

static long pids[PIDS_MAX];
static size_t pids_len;
static const char *snapshot; /* borrowed */

void mark_watch_pid(long pid)
{
    if (pids_len < PIDS_MAX) {
        pids[pids_len++] = pid;
    }
}

void mark_snapshot(const char *path)
{
    snapshot = path;
}

/* Processor time of the watched processes in ns: the run time of each of their threads. */
static uint64_t cpu_ns(void)
{
    uint64_t total = 0;
    for (size_t i = 0; i < pids_len; i++) {
        char path[300];
        (void)snprintf(path, sizeof(path), "/proc/%ld/task", pids[i]);
        DIR *tasks = opendir(path);
        const struct dirent *task = NULL;
        while (tasks != NULL && (task = readdir(tasks)) != NULL) {
            if (task->d_name[0] == '.') {
                continue; /* "task/.." is the process again */
            }
            uint64_t ran = 0;
            (void)snprintf(path, sizeof(path), "/proc/%ld/task/%.32s/schedstat", pids[i],
                           task->d_name);
            FILE *file = fopen(path, "re");
            if (file != NULL) {
                if (fscanf(file, "%" SCNu64, &ran) == 1) {
                    total += ran;
                }
                (void)fclose(file);
            }
        }
        if (tasks != NULL) {
            (void)closedir(tasks);
        }
    }
    return total;
}
static void snapshot_copy(const char *suffix)
{
    static char bytes[64 * 1024];
    char path[1024];
    if (snapshot == NULL) {
        return;
    }
    (void)snprintf(path, sizeof(path), "%s%s", snapshot, suffix);
    FILE *from = fopen(snapshot, "re");
    FILE *to = fopen(path, "we");
    if (from == NULL || to == NULL) {
        crowd_die(path);
    }
    size_t len = fread(bytes, 1, sizeof(bytes), from);
    if (fwrite(bytes, 1, len, to) != len || fclose(to) != 0) {
        crowd_die(path);
    }
    (void)fclose(from);
}

struct mark mark_take(void)
{
    snapshot_copy(crowd_measuring ? ".end" : ".start");
    return (struct mark){.us = crowd_now_us(),
                         .cpu_ns = cpu_ns(),
                         .syscalls = syscalls_total(),
                         .done = crowd_sum.done};
}
void mark_report(const struct mark *from, const struct mark *to)
{
    printf("{\"requests\": %" PRIu64 ", \"seconds\": %.4f, \"failed\": %" PRIu64
           ", \"bad_status\": %" PRIu64 ", \"closed\": %" PRIu64
           ", \"cpu_us\": %.1f, \"syscalls\": %" PRIu64 ", "
           "\"p50_us\": %" PRIu64 ", \"p99_us\": %" PRIu64 ", \"p999_us\": %" PRIu64
           ", \"max_us\": %" PRIu64 ", \"full\": %" PRIu64 ", \"tls\": \"%s\"}\n",
           to->done - from->done, (double)(to->us - from->us) / 1e6, crowd_sum.failed,
           crowd_sum.bad_status, crowd_sum.closed, (double)(to->cpu_ns - from->cpu_ns) / 1000,
           to->syscalls - from->syscalls, latency_percentile(&crowd_latency, 0.5),
           latency_percentile(&crowd_latency, 0.99), latency_percentile(&crowd_latency, 0.999),
           crowd_latency.max_us, crowd_sum.full, secure_spoken());
    (void)fflush(stdout);
}
