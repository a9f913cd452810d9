#include "tests/unit/slab_mapped.h"

#undef __SANITIZE_ADDRESS__

#define slab_init slab_mapped_init
#define slab_fini slab_mapped_fini
#define slab_take slab_mapped_take
#define slab_give slab_mapped_give
#define slab_tidy slab_mapped_tidy

#include "lbd/net/slab.c"
