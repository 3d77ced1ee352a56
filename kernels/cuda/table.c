#include "kernels/cuda/cuda.h"

const struct kernels kernels_cuda = {
    .name = "cuda",
    .operand_bytes = sizeof(float),
    .alloc = cuda_alloc,
    .free = cuda_release,
    .map = cuda_map,
    .unmap = cuda_unmap,
    .send = cuda_send,
    .place = cuda_place,
    .fetch = cuda_fetch,
    .zero = cuda_zero,
    .copy = cuda_copy,
    .repeat = cuda_repeat,
    .forget = cuda_forget,
    .pack_size = cuda_pack_size,
    .pack_int8_size = cuda_pack_int8_size,
    .cache_size = cuda_cache_size,
    .memory = cuda_memory,
    .peak = cuda_peak,
    .sync = cuda_sync,
    .collective = &cuda_collective,
#define OP(name, arguments) .name = name##_cuda,
#include "kernels/ops.def"
#undef OP
};

const struct kernels *cuda_bf16(void) {
    static struct kernels table;

    table = kernels_cuda;
    table.name = "cuda-bf16";
    return &table;
}
