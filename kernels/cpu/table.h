/* The table of one instruction set's operations, filled from ops.def. */
#include <stdlib.h>

#include "kernels/cpu/gemm.h"

size_t CPU(cache_size)(int slots, int context, int kv_heads, int head_size);

const struct kernels CPU(kernels) = {
    .name = BACKEND,
    .alloc = huge_alloc,
    .free = free,
    .pack_size = CPU(gemm_pack_size),
    .cache_size = CPU(cache_size),
    .sync = nothing_queued,
#define OP(name, arguments) .name = CPU(name),
#include "kernels/ops.def"
#undef OP
};
