/* The CUDA backend's functions, as C sees them. */
#ifndef KERNELS_CUDA_CUDA_H
#define KERNELS_CUDA_CUDA_H

#include "kernels/kernels.h"

extern const struct kernels kernels_cuda, kernels_cuda_bf16;
/* The latter, but for large products, which cuBLASLt makes, and attention on Hopper; call cublaslt_open()
 * first. */
const struct kernels *cuda_cublas(void);
extern const struct collective cuda_collective;

/* Which device cuda_open() takes: number modulo their count. */
void cuda_choose(int number);
/* Makes the device ready; NULL, or the sentence that says why there is none. */
const char *cuda_open(void);
/* Loads cuBLASLt and makes it ready, once there is a device; NULL, or the sentence that says what is missing.
 */
const char *cublaslt_open(void);

void *cuda_alloc(size_t bytes);
void cuda_release(void *memory);
void *cuda_map(void *memory, size_t bytes, int reading);
void cuda_unmap(void *memory, void *view, size_t bytes, int writing);
const void *cuda_send(void *room, const void *array, size_t bytes);
void *cuda_place(void *room, void *array);
void cuda_fetch(void *array, const void *place, size_t bytes);
void cuda_zero(void *memory, size_t bytes);
void cuda_copy(void *out, const void *memory, size_t bytes);
void cuda_repeat(struct recording **recording, void (*calls)(void *context), void *context);
void cuda_forget(struct recording *recording);
size_t cuda_pack_size(int outs, int ins, int turned);
size_t cuda_pack_size_bf16(int outs, int ins, int turned);
size_t cuda_pack_int8_size(int outs, int ins);
size_t cuda_cache_size(int slots, int context, int kv_heads, int head_size);
size_t cuda_cache_size_bf16(int slots, int context, int kv_heads, int head_size);
size_t cuda_scratch_size(int rows, int outs, int ins, int results);
size_t cuda_scratch_size_bf16(int rows, int outs, int ins, int results);
size_t cuda_scratch_size_lt(int rows, int outs, int ins, int results);
void cuda_memory(size_t *free, size_t *total);
size_t cuda_peak(float *out, int rounds);
size_t cuda_peak_bf16(float *out, int rounds);
const char *cuda_sync(void);
void cuda_identify(void *identity);

/* For tests: the number, of CUDA_PRODUCT_SHAPES at most, of the tile that makes all products, though it take
 * longer; -1: each product's own choice. */
#define CUDA_PRODUCT_SHAPES 6
extern int cuda_product_shape;

/* out = gelu(x); dx *= gelu'(x) */
void cuda_gelu(float *out, const float *x, size_t count);
void cuda_gelu_backward(float *dx, const float *x, size_t count);

#define OP(name, arguments) void name##_cuda arguments;
#include "kernels/ops.def"
#undef OP
/* Of these, those that meet operands are there. */
#define OP(name, arguments) void name##_bf16_cuda arguments;
#include "kernels/ops.def"
#undef OP
#define OP(name, arguments) void name##_lt_cuda arguments;
#include "kernels/ops.def"
#undef OP

#endif
