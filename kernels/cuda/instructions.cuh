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

/* The same on 1024 bytes, as matrices of a group's products lie. */
template <class T> static __device__ __forceinline__ T *dynamic_matrices(void) {
    extern __shared__ __align__(1024) unsigned char matrices[];

    return (T *)matrices;
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

/* Until all that was queued before a kernel of launch_chained() has ended, and what it wrote can be read. */
static __device__ __forceinline__ void wait_for_predecessor(void) {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/* Lets the blocks of a next kernel of launch_chained() start when all of this one's have come here. */
static __device__ __forceinline__ void start_successor(void) {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/* --- of Hopper: groups of 4 warps, gates ---
 * Only code for compute capability 9.0 itself has these: kernels that use them have a body where WITH_GROUPS
 * is defined, and are launched there alone. */

#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define WITH_GROUPS
#endif

/* A gate in shared memory opens when `count` have arrived, and counts anew. Who waits names the parity of the
 * opening that it waits for, 0 for the first; for others than who sets it it is there after a barrier. */
typedef unsigned long long gate;

static __device__ __forceinline__ void set_gate(gate *gate, unsigned count) {
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared_address(gate)), "r"(count) : "memory");
}

static __device__ __forceinline__ void arrive(gate *gate) {
    asm volatile("mbarrier.arrive.shared.b64 _, [%0];" ::"r"(shared_address(gate)) : "memory");
}

/* The thread arrives when all copies that it has started are there. */
static __device__ __forceinline__ void arrive_with_copies(gate *gate) {
    asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(shared_address(gate)) : "memory");
}

static __device__ __forceinline__ void wait_at(gate *gate, unsigned parity) {
    asm volatile("{\n"
                 ".reg .pred open;\n"
                 "again:\n"
                 "mbarrier.try_wait.parity.shared.b64 open, [%0], %1;\n"
                 "@!open bra again;\n"
                 "}" ::"r"(shared_address(gate)),
                 "r"(parity)
                 : "memory");
}

/* Of a block's barriers 1 to 15, number `number`: opens when so many threads, whole warps, have come; who
 * announces itself does not wait. */
static __device__ __forceinline__ void meet(int number, int threads) {
    asm volatile("bar.sync %0, %1;" ::"r"(number), "r"(threads) : "memory");
}

static __device__ __forceinline__ void announce(int number, int threads) {
    asm volatile("bar.arrive %0, %1;" ::"r"(number), "r"(threads) : "memory");
}

/* How many registers, a multiple of 8, each of the group's threads has from here on: fewer, or, when others
 * have given them, more than the launch's. */
template <int COUNT> static __device__ __forceinline__ void give_registers(void) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(COUNT));
}

template <int COUNT> static __device__ __forceinline__ void take_registers(void) {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(COUNT));
}

/* Lines of 64 elements in shared memory that the products of a group read: a line is 128 bytes, 8 of them, on
 * 1024 bytes, have their eights turned as eight_of<64>() has them. Plain, the lines are a side's rows, and
 * the sum runs along them, 16 elements from `tile` on. Turned, the sum runs over 16 lines, a side's rows
 * along them: 64, and the next 64 in lines `apart` bytes further on. */
typedef unsigned long long matrix;

static __device__ __forceinline__ matrix matrix_at(const bf16 *tile, unsigned apart = 16) {
    return (matrix)(shared_address(tile) >> 4) | (matrix)(apart >> 4) << 16 | (matrix)(1024 >> 4) << 32 |
           (matrix)1 << 62;
}

/* What the thread wrote to shared memory, or knows from a gate or barrier to be there, is there for a group's
 * products that start later. */
static __device__ __forceinline__ void show_to_products(void) {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/* Keeps what is done with numbers before this, and after, on its side of it. */
template <int COUNT> static __device__ __forceinline__ void hold(float (&numbers)[COUNT][4]) {
#pragma unroll
    for (int b = 0; b < COUNT; b++)
#pragma unroll
        for (int i = 0; i < 4; i++) asm volatile("" : "+f"(numbers[b][i])::"memory");
}

template <int COUNT> static __device__ __forceinline__ void hold(unsigned (&numbers)[COUNT][4]) {
#pragma unroll
    for (int b = 0; b < COUNT; b++)
#pragma unroll
        for (int i = 0; i < 4; i++) asm volatile("" : "+r"(numbers[b][i])::"memory");
}

/* Before products that read or write registers which other instructions have touched; hold() these first. */
static __device__ __forceinline__ void begin_products(void) {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

/* The group's products since the last call are one batch. */
static __device__ __forceinline__ void end_products(void) {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/* Until all batches but the last LEFT are done; hold() their sums then. Until it, neither sums nor lefts in
 * registers may be touched, nor matrices. */
template <int LEFT> static __device__ __forceinline__ void wait_for_products(void) {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(LEFT) : "memory");
}

#define SUMS_OF_64                                                                                           \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "                                 \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define SUMS_OF_128                                                                                          \
    SUMS_OF_64 ", "                                                                                          \
               "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "            \
               "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define FOUR(sum) "+f"((sum)[0]), "+f"((sum)[1]), "+f"((sum)[2]), "+f"((sum)[3])
#define FOURS_8(sum)                                                                                         \
    FOUR((sum)[0]), FOUR((sum)[1]), FOUR((sum)[2]), FOUR((sum)[3]), FOUR((sum)[4]), FOUR((sum)[5]),          \
        FOUR((sum)[6]), FOUR((sum)[7])
#define FOURS_16(sum) FOURS_8(sum), FOURS_8((sum) + 8)
#define START_PRODUCT(columns, sums, left, right, keep, turns)                                               \
    "{\n"                                                                                                    \
    ".reg .pred keep;\n"                                                                                     \
    "setp.ne.b32 keep, " keep ", 0;\n"                                                                       \
    "wgmma.mma_async.sync.aligned.m64n" columns "k16.f32.bf16.bf16 {" sums "}, " left ", " right             \
    ", keep, 1, 1, " turns ";\n"                                                                             \
    "}"

/* Starts sum[64][COLUMNS] = left[64][16] right[COLUMNS][16]^T, + sum if keep, by a group. Warp w has the sums
 * of rows 16 w … 16 w + 15: a lane's sum[b] as multiply() has those of columns 8 b … 8 b + 7. */
template <int COLUMNS, int LEFT_TURNED, int RIGHT_TURNED>
static __device__ __forceinline__ void multiply_async(float (&sum)[COLUMNS / 8][4], matrix left, matrix right,
                                                      int keep) {
    static_assert(COLUMNS == 64 || COLUMNS == 128, "what is written out");
    if constexpr (COLUMNS == 64)
        asm volatile(START_PRODUCT("64", SUMS_OF_64, "%32", "%33", "%34", "%35, %36")
                     : FOURS_8(sum)
                     : "l"(left), "l"(right), "r"(keep), "n"(LEFT_TURNED), "n"(RIGHT_TURNED));
    else
        asm volatile(START_PRODUCT("128", SUMS_OF_128, "%64", "%65", "%66", "%67, %68")
                     : FOURS_16(sum)
                     : "l"(left), "l"(right), "r"(keep), "n"(LEFT_TURNED), "n"(RIGHT_TURNED));
}

/* The same with a left in registers, each warp's 16 rows as multiply() has them. */
template <int COLUMNS, int RIGHT_TURNED>
static __device__ __forceinline__ void multiply_async(float (&sum)[COLUMNS / 8][4], const unsigned (&left)[4],
                                                      matrix right, int keep) {
    static_assert(COLUMNS == 64 || COLUMNS == 128, "what is written out");
    if constexpr (COLUMNS == 64)
        asm volatile(START_PRODUCT("64", SUMS_OF_64, "{%32, %33, %34, %35}", "%36", "%37", "%38")
                     : FOURS_8(sum)
                     : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "l"(right), "r"(keep),
                       "n"(RIGHT_TURNED));
    else
        asm volatile(START_PRODUCT("128", SUMS_OF_128, "{%64, %65, %66, %67}", "%68", "%69", "%70")
                     : FOURS_16(sum)
                     : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "l"(right), "r"(keep),
                       "n"(RIGHT_TURNED));
}

#undef SUMS_OF_64
#undef SUMS_OF_128
#undef FOUR
#undef FOURS_8
#undef FOURS_16
#undef START_PRODUCT

#endif
#endif
