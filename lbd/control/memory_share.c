#include "lbd/control/memory_share.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lbd/base/num.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

/* UINT64_MAX: "max", or no such file. */
static uint64_t read_limit(const char *root, const char *path)
{
    char name[PATH_MAX];
    char text[32];
    uint64_t limit = UINT64_MAX;
    int len = snprintf(name, sizeof(name), "%s%s/memory.max", root, path);
    FILE *file = len > 0 && (size_t)len < sizeof(name) ? fopen(name, "re") : NULL;
    if (file == NULL) {
        return limit;
    }
    if (fgets(text, sizeof(text), file) != NULL) {
        text[strcspn(text, "\n")] = '\0';
        if (!num_parse_u64(slice_from(text), &limit)) {
            limit = UINT64_MAX;
        }
    }
    (void)fclose(file);
    return limit;
}

uint64_t memory_share_of_cgroup(const char *root, const char *path)
{
    char at[PATH_MAX];
    uint64_t least = UINT64_MAX;
    if (path[0] != '/' || strlen(path) >= sizeof(at)) {
        return least;
    }
    (void)snprintf(at, sizeof(at), "%s", path);
    for (char *slash = at + strlen(at); slash != NULL; slash = strrchr(at, '/')) {
        *slash = '\0';
        uint64_t limit = read_limit(root, at);
        least = limit < least ? limit : least;
    }
    return least;
}

/* The line of cgroup v2: "0::/system.slice/lbd.service". */
static uint64_t read_cgroup(void)
{
    char line[PATH_MAX];
    uint64_t limit = UINT64_MAX;
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (file == NULL) {
        return limit;
    }
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "0::", 3) == 0) {
            line[strcspn(line, "\n")] = '\0';
            limit = memory_share_of_cgroup(CGROUP_ROOT, line + 3);
        }
    }
    (void)fclose(file);
    return limit;
}

uint64_t memory_share(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long page = sysconf(_SC_PAGESIZE);
    uint64_t machine = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_MAX;
    uint64_t cgroup = read_cgroup();
    uint64_t least = machine < cgroup ? machine : cgroup;
    return least != UINT64_MAX ? least : 0;
}
