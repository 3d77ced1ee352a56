/* What of a device's instructions C++ has no words for. A translation unit that is not nvcc's takes them, as
 * all of CUDA, from the cuda_runtime.h that it includes: tests/emulator. */
#ifndef KERNELS_CUDA_INSTRUCTIONS_CUH
#define KERNELS_CUDA_INSTRUCTIONS_CUH

typedef unsigned short bf16;

#ifdef __CUDACC__

/* The block's shared memory of the size that its launch names, on 16 bytes. */
template <class T> static __device__ __forceinline__ T *dynamic_shared(void) {
    extern __shared__ __align__(16) unsigned char dynamic[];

    return (T *)dynamic;
}

/* Two numbers rounded to nearest even, `low` in the lower half. */
static __device__ __forceinline__ unsigned rounded(float low, float high) {
    unsigned both;

    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}

/* 2 to the power of x, off by 2^-22 of itself at most; below the least normal number 0. Exact at 0 and
 * -infinity.
 */
static __device__ __forceinline__ float power_of_two(float x) {
    float power;

    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
    return power;
}

/* 1 / x, off by 2^-23 of itself at most. */
static __device__ __forceinline__ float reciprocal(float x) {
    float inverse;

    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(x));
    return inverse;
}

static __device__ __forceinline__ unsigned shared_address(const void *shared) {
    return (unsigned)__cvta_generic_to_shared(shared);
}

/* Four matrices of 8 x 8 from shared memory: lanes 8 i … 8 i + 7 name the lines of number i, each on 16
 * bytes; a lane gets of each the elements 2 (lane % 4) and the next of line lane / 4. */
static __device__ __forceinline__ void load_matrices(unsigned out[4], const bf16 *line) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(shared_address(line))
                 : "memory");
}

/* The same, each turned: a lane gets the elements lane / 4 of the lines 2 (lane % 4) and the next. */
static __device__ __forceinline__ void load_turned_matrices(unsigned out[4], const bf16 *line) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(shared_address(line))
                 : "memory");
}

/* sum[16][8] += left[16][16] right[8][16]^T, by a warp. A lane's sums are those of rows lane / 4 and + 8,
 * columns 2 (lane % 4) and + 1; its left pairs rows lane / 4 and + 8 of columns 2 (lane % 4), then the same
 * of columns + 8; its right pairs line lane / 4, columns 2 (lane % 4), then + 8. */
static __device__ __forceinline__ void multiply(float sum[4], const unsigned left[4],
                                                const unsigned right[2]) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right[0]), "r"(right[1]));
}

/* Starts the copy of 16 bytes to shared memory, the first `bytes` of them from global memory, the others
 * zeros. */
static __device__ __forceinline__ void copy_async(void *shared, const void *global, int bytes) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
                 "r"(bytes)
                 : "memory");
}

/* The thread's copies since the last call are one group. */
static __device__ __forceinline__ void end_copies(void) {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Until all groups of the thread's but the last LEFT are there, for this thread; for others after a barrier.
 */
template <int LEFT> static __device__ __forceinline__ void wait_for_copies(void) {
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

#endif
#endif
