/*
 * standalone - drives a fuzz target without libFuzzer.
 *
 * Ordinary builds link each tests/fuzz/fuzz_<stem>.c with this file, so that
 * `make test` runs every target under the sanitizers with any compiler: first
 * each file of the corpus, as it is and cut at every byte, then mutations of
 * it. The seed is fixed: the same build meets the same inputs.
 *
 *     fuzz_<stem> [corpus directory or file ...]
 *
 * Limits: FUZZ_EXECS runs (20,000) or FUZZ_SECONDS (2 s of mutations), whichever
 * comes first; inputs of at most 64 KiB, mutants of at most 4 KiB.
 * Memory: each input is its own heap block of its exact size, so that reading one
 * byte past it is an error the address sanitizer sees.
 * Threads: the main thread.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { INPUT_MAX = 64 * 1024, MUTANT_MAX = 4096, CUTS_MAX = 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

struct input {
    uint8_t *bytes; /* owned */
    size_t size;
};

static struct input *inputs;
static size_t inputs_len;
static uint64_t runs;
static uint64_t state = 0x9e3779b97f4a7c15U;

/* xorshift64*: small, and the same everywhere. */
static uint64_t draw(uint64_t below)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return ((state * 0x2545f4914f6cdd1dU) >> 16) % below;
}

static void *must(void *ptr)
{
    if (ptr == NULL) {
        abort();
    }
    return ptr;
}

static void run(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = must(malloc(size == 0 ? 1 : size));
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    runs++;
}

static void add_input(const uint8_t *bytes, size_t size)
{
    inputs = must(realloc(inputs, (inputs_len + 1) * sizeof(*inputs)));
    inputs[inputs_len].bytes = must(malloc(size == 0 ? 1 : size));
    if (size > 0) {
        memcpy(inputs[inputs_len].bytes, bytes, size);
    }
    inputs[inputs_len].size = size;
    inputs_len++;
}

static void add_file(const char *path)
{
    static uint8_t bytes[INPUT_MAX];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    (void)fclose(file);
    add_input(bytes, size);
}

/* Adds a file, or the files of a directory in the order of their names. A
 * directory that is not there is an empty corpus. */
static void add_path(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return;
    }
    if (!S_ISDIR(info.st_mode)) {
        add_file(path);
        return;
    }

    struct dirent **names = NULL;
    int count = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char full[4096];
        int len = snprintf(full, sizeof(full), "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && len > 0 && (size_t)len < sizeof(full)) {
            add_file(full);
        }
        free(names[i]);
    }
    free(names);
}

/* One small change in place; `size` bytes of at most MUTANT_MAX. */
static size_t mutate(uint8_t *bytes, size_t size)
{
    static const char spice[] = "\r\n\t :;,=\"\\{}[]/%?#.*-+\0\x7f\xff\x80"
                                "09azAZ";
    const struct input *other = &inputs[draw(inputs_len)];
    size_t at = size == 0 ? 0 : (size_t)draw(size);
    size_t len = 1 + (size_t)draw(16);

    switch (draw(8)) {
    case 0: /* flip a bit */
        if (size > 0) {
            bytes[at] = (uint8_t)(bytes[at] ^ (1U << draw(8)));
        }
        return size;
    case 1: /* a byte that means something */
        if (size > 0) {
            bytes[at] = (uint8_t)spice[draw(sizeof(spice) - 1)];
        }
        return size;
    case 2: /* insert one */
        if (size < MUTANT_MAX) {
            memmove(bytes + at + 1, bytes + at, size - at);
            bytes[at] = (uint8_t)spice[draw(sizeof(spice) - 1)];
            size++;
        }
        return size;
    case 3: /* leave some out */
        if (size > at) {
            len = len > size - at ? size - at : len;
            memmove(bytes + at, bytes + at + len, size - at - len);
            size -= len;
        }
        return size;
    case 4: /* say some twice */
        len = len > size - at ? size - at : len;
        if (size + len <= MUTANT_MAX) {
            memmove(bytes + at + len, bytes + at, size - at);
            size += len;
        }
        return size;
    case 5: /* cut the end off */
        return at;
    case 6: /* go on as another input does */
        if (other->size > 0) {
            size_t from = (size_t)draw(other->size);
            size_t tail = other->size - from;
            tail = tail > MUTANT_MAX - at ? MUTANT_MAX - at : tail;
            memcpy(bytes + at, other->bytes + from, tail);
            size = at + tail;
        }
        return size;
    default: /* a number at its edge */
        if (size > 0) {
            static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xfe, 0xff, '0', '9'};
            bytes[at] = edges[draw(sizeof(edges))];
        }
        return size;
    }
}

static uint64_t from_env(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static double now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (LLVMFuzzerInitialize != NULL) {
        (void)LLVMFuzzerInitialize(&argc, &argv);
    }
    for (int i = 1; i < argc; i++) {
        add_path(argv[i]);
    }
    size_t files = inputs_len;
    add_input(NULL, 0);

    for (size_t i = 0; i < inputs_len; i++) {
        run(inputs[i].bytes, inputs[i].size);
        for (size_t cut = 0; cut < inputs[i].size && cut < CUTS_MAX; cut++) {
            run(inputs[i].bytes, cut);
        }
    }

    uint64_t most = runs + from_env("FUZZ_EXECS", 20000);
    double deadline = now_s() + (double)from_env("FUZZ_SECONDS", 2);
    static uint8_t mutant[MUTANT_MAX];
    while (runs < most && ((runs & 63U) != 0 || now_s() < deadline)) {
        const struct input *from = &inputs[draw(inputs_len)];
        size_t size = from->size > MUTANT_MAX ? MUTANT_MAX : from->size;
        if (size > 0) {
            memcpy(mutant, from->bytes, size);
        }
        for (uint64_t changes = 1 + draw(6); changes > 0; changes--) {
            size = mutate(mutant, size);
        }
        run(mutant, size);
    }

    printf("%zu corpus files, %" PRIu64 " runs, no crash\n", files, runs);
    for (size_t i = 0; i < inputs_len; i++) {
        free(inputs[i].bytes);
    }
    free(inputs);
    return EXIT_SUCCESS;
}
