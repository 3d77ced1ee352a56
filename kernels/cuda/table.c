#include "kernels/cuda/cuda.h"

/* What either precision has. */
#define SHARED                                                                                               \
    .alloc = cuda_alloc, .free = cuda_release, .map = cuda_map, .unmap = cuda_unmap, .send = cuda_send,      \
    .place = cuda_place, .fetch = cuda_fetch, .zero = cuda_zero, .copy = cuda_copy, .repeat = cuda_repeat,   \
    .forget = cuda_forget, .pack_int8_size = cuda_pack_int8_size, .memory = cuda_memory, .sync = cuda_sync,  \
    .collective = &cuda_collective

const struct kernels kernels_cuda = {
    SHARED,
    .name = "cuda",
    .operand_bytes = sizeof(float),
    .line = 1,
    .head_rows = 4096,
    .pack_size = cuda_pack_size,
    .cache_size = cuda_cache_size,
    .scratch_size = cuda_scratch_size,
    .peak = cuda_peak,
#define OP(name, arguments) .name = name##_cuda,
#include "kernels/ops.def"
#undef OP
};

/* Operations that meet no operand are the same. */
#define pack_int8_bf16_cuda        pack_int8_cuda
#define embed_bf16_cuda            embed_cuda
#define embed_backward_bf16_cuda   embed_backward_cuda
#define gather_bf16_cuda           gather_cuda
#define scatter_add_bf16_cuda      scatter_add_cuda
#define add_bf16_cuda              add_cuda
#define keep_columns_bf16_cuda     keep_columns_cuda
#define dropout_backward_bf16_cuda dropout_backward_cuda
#define rmsnorm_add_bf16_cuda      rmsnorm_add_cuda
#define cap_bf16_cuda              cap_cuda
#define truncate_bf16_cuda         truncate_cuda
#define advantage_bf16_cuda        advantage_cuda
#define whiten_bf16_cuda           whiten_cuda
#define policy_slope_bf16_cuda     policy_slope_cuda
#define value_slope_bf16_cuda      value_slope_cuda
#define pair_slope_bf16_cuda       pair_slope_cuda
#define sum_squares_bf16_cuda      sum_squares_cuda
#define adamw_vectors_bf16_cuda    adamw_vectors_cuda

const struct kernels kernels_cuda_bf16 = {
    SHARED,
    .name = "cuda-bf16",
    .operand_bytes = 2,
    .line = 64,
    .head_rows = 4096,
    .one_layout = 1,
    .pack_size = cuda_pack_size_bf16,
    .cache_size = cuda_cache_size_bf16,
    .scratch_size = cuda_scratch_size_bf16,
    .peak = cuda_peak_bf16,
#define OP(name, arguments) .name = name##_bf16_cuda,
#include "kernels/ops.def"
#undef OP
};

const struct kernels *cuda_cublas(void) {
    static struct kernels table;

    table = kernels_cuda_bf16;
    table.name = "cuda-cublas";
    table.rows_vary = 1;
    table.scratch_size = cuda_scratch_size_lt;
    table.attention = attention_lt_cuda;
    table.attention_backward = attention_backward_lt_cuda;
    table.matmul = matmul_lt_cuda;
    table.matmul_operand = matmul_operand_lt_cuda;
    table.matmul_gelu = matmul_gelu_lt_cuda;
    table.matmul_dx = matmul_dx_lt_cuda;
    table.matmul_dx_operand = matmul_dx_operand_lt_cuda;
    table.matmul_dx_gelu = matmul_dx_gelu_lt_cuda;
    table.matmul_dw = matmul_dw_lt_cuda;
    return &table;
}
