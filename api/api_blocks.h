/*
 * api_blocks - an answer that is made block by block, each as long as what the client takes at
 * once.
 *
 *     struct api_blocks blocks;       inside what the answer is made from
 *     api_blocks_start(request, &blocks, more, fini);
 *
 * A client that reads slowly costs what the answer is made from, and one block. Who takes longer
 * than API_BLOCKS_LIMIT_S is cut off, so that nothing that was removed is kept for it.
 *
 * Memory: from api_blocks_start on the transport keeps it and calls `fini` at the end. Threads:
 * control.
 */
#ifndef API_API_BLOCKS_H
#define API_API_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/api_request.h"
#include "lbd/base/buf.h"

#define API_BLOCKS_LIMIT_S 60

struct api_blocks {
    struct api_stream stream;
    struct buf block; /* made and not yet taken */
    size_t taken;
    bool is_complete; /* `more` has said so */
    uint64_t began_us;
    /* Appends about `bytes`, what belongs together in one piece; false: that was the end. */
    bool (*more)(struct api_blocks *blocks, struct buf *out, size_t bytes);
    /* Frees what the blocks are part of. */
    void (*fini)(struct api_blocks *blocks);
};

/* Makes it the answer's body; status and content type are the caller's, and api_request_done. */
void api_blocks_start(struct api_request *request, struct api_blocks *blocks,
                      bool (*more)(struct api_blocks *blocks, struct buf *out, size_t bytes),
                      void (*fini)(struct api_blocks *blocks));

#endif
