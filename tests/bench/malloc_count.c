/*
 * malloc_count - how often does each thread of a program allocate? For LD_PRELOAD.
 *
 * Counts calls of malloc, calloc, realloc, the aligned ones and free per thread in a file that is
 * mapped shared (MALLOC_COUNT_FILE, made by who asks): the reader looks whenever it likes and the
 * program does not cooperate, not even by a signal.
 *
 *     file: SLOTS_MAX x struct slot; a slot with tid 0 is free.
 *
 * Limits: 256 threads over the life of the program; later ones are not counted.
 * Threads: any; each writes its own slot.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SLOTS_MAX = 256 };

struct slot {
    uint64_t tid;
    uint64_t allocs; /* malloc, calloc, realloc, aligned */
    uint64_t frees;
    uint64_t bytes; /* asked for */
};

/* glibc's own names under the public ones. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *ptr);

static struct slot *slots;
static __thread struct slot *mine __attribute__((tls_model("initial-exec")));
static struct slot nowhere;

static void slot_find(void)
{
    if (slots == NULL) {
        return;
    }
    uint64_t tid = (uint64_t)syscall(SYS_gettid);
    for (int i = 0; i < SLOTS_MAX; i++) {
        uint64_t free_slot = 0;
        if (__atomic_compare_exchange_n(&slots[i].tid, &free_slot, tid, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
            mine = &slots[i];
            return;
        }
    }
    mine = &nowhere;
}

static void note(size_t bytes)
{
    if (mine == NULL) {
        slot_find();
    }
    if (mine != NULL) {
        mine->allocs++;
        mine->bytes += bytes;
    }
}

/* A forked child counts for itself. */
static void forked(void)
{
    mine = NULL;
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("MALLOC_COUNT_FILE");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    void *map =
        mmap(NULL, SLOTS_MAX * sizeof(struct slot), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (map == MAP_FAILED) {
        return;
    }
    slots = map;
    (void)pthread_atfork(NULL, NULL, forked);
}

void *malloc(size_t size)
{
    note(size);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    note(count * size);
    return __libc_calloc(count, size);
}

void *realloc(void *ptr, size_t size)
{
    note(size);
    return __libc_realloc(ptr, size);
}

void *memalign(size_t alignment, size_t size)
{
    note(size);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    note(size);
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    note(size);
    *out = __libc_memalign(alignment, size);
    return *out == NULL ? ENOMEM : 0;
}

void free(void *ptr)
{
    if (mine != NULL && ptr != NULL) {
        mine->frees++;
    }
    __libc_free(ptr);
}
