#include "lbd/filter/brotli_coder.h"

#if LB_BROTLI

#    include <assert.h>
#    include <malloc.h>
#    include <stdlib.h>

#    include <brotli/encode.h>

#    include "lbd/base/compiler.h"
#    include "lbd/base/mem.h"

/* A window of 64 KiB: from quality 4 on a smaller one saves nothing. Quality 9 would need twice the
 * memory of 8 to save nothing that one sees. */
#    define WINDOW_BITS 16
#    define QUALITY_MAX 8

/* It plans for as many commands as its input block could come to, 786 KiB for the 64 KiB it likes
 * to gather. Blocks that end sooner cost one percent of length and bound that; they also bound what
 * a client waits for. */
#    define BLOCK_BYTES (16U * 1024)

struct brotli_coder {
    struct coder coder; /* first */
    BrotliEncoderState *state;
    size_t block_bytes; /* taken since the last block ended */
    bool is_ending;     /* a block: nothing is taken until all of it is out */
};

static struct brotli_coder *brotli_of(struct coder *coder)
{
    return container_of(coder, struct brotli_coder, coder);
}

static void *take_memory(void *owner, size_t size)
{
    struct brotli_coder *brotli = owner;
    void *memory = mem_alloc(size);
    brotli->coder.held_bytes += malloc_usable_size(memory);
    return memory;
}

static void give_memory(void *owner, void *memory)
{
    struct brotli_coder *brotli = owner;
    brotli->coder.held_bytes -= malloc_usable_size(memory); /* 0 of NULL */
    free(memory);
}

static struct coder *make(int level)
{
    struct brotli_coder *brotli = mem_zero(1, sizeof(*brotli));
    uint32_t quality = level < QUALITY_MAX ? (uint32_t)level : QUALITY_MAX;
    brotli->state = BrotliEncoderCreateInstance(take_memory, give_memory, brotli);
    bool ok = BrotliEncoderSetParameter(brotli->state, BROTLI_PARAM_QUALITY, quality) &&
              BrotliEncoderSetParameter(brotli->state, BROTLI_PARAM_LGWIN, WINDOW_BITS);
    assert(ok); /* these are numbers it takes */
    return &brotli->coder;
}

static bool run(struct coder *coder, struct slice *in, enum coder_push push, char *out,
                size_t *room)
{
    struct brotli_coder *brotli = brotli_of(coder);
    BrotliEncoderOperation operation = BROTLI_OPERATION_FLUSH;
    size_t now = 0;
    if (!brotli->is_ending) {
        size_t fits = BLOCK_BYTES - brotli->block_bytes;
        now = in->len < fits ? in->len : fits;
        if (now == in->len && push != CODER_FLUSH) {
            operation = push == CODER_END ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_PROCESS;
        }
        if (operation == BROTLI_OPERATION_PROCESS && now == fits) {
            operation = BROTLI_OPERATION_FLUSH;
        }
        brotli->block_bytes += now;
    } else if (push == CODER_END && in->len == 0) {
        operation = BROTLI_OPERATION_FINISH;
    }
    const uint8_t *from = (const uint8_t *)in->ptr;
    uint8_t *to = (uint8_t *)out;
    size_t in_left = now;
    size_t out_left = *room;
    bool ok = BrotliEncoderCompressStream(brotli->state, operation, &in_left, &from, &out_left, &to,
                                          NULL);
    assert(ok && in_left == 0); /* a block fits its own buffer */
    *in = slice_from_at(*in, now);
    *room -= out_left;

    bool has_output = BrotliEncoderHasMoreOutput(brotli->state) != 0;
    if (operation != BROTLI_OPERATION_PROCESS) {
        brotli->is_ending = has_output;
        brotli->block_bytes = 0;
    }
    return in->len > 0 || has_output ||
           (push == CODER_END && BrotliEncoderIsFinished(brotli->state) == 0);
}

static void brotli_free(struct coder *coder)
{
    struct brotli_coder *brotli = brotli_of(coder);
    BrotliEncoderDestroyInstance(brotli->state);
    free(brotli);
}

const struct coder_ops brotli_coder_ops = {
    .most_bytes = (size_t)1024 * 1024,
    .most_taken = 64,
    .most_kept = 0,
    .make = make,
    .run = run,
    .free = brotli_free,
};

#endif
