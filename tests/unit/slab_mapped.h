/*
 * slab_mapped - lbd/net/slab.c compiled once more as a release has it: chunks from mmap also under
 * AddressSanitizer, so that test_slab sees them in every build.
 *
 * Threads: any.
 */
#ifndef TESTS_UNIT_SLAB_MAPPED_H
#define TESTS_UNIT_SLAB_MAPPED_H

#include <stdbool.h>

#include "lbd/net/slab.h"

void slab_mapped_init(struct slab *slab, size_t object_bytes, size_t chunk_bytes);
void slab_mapped_fini(struct slab *slab);
void *slab_mapped_take(struct slab *slab);
void slab_mapped_give(struct slab *slab, void *object);
bool slab_mapped_tidy(struct slab *slab);

#endif
