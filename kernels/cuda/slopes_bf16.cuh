/* What the gradients of attention on tensor cores are made from, however they are made. */
#ifndef KERNELS_CUDA_SLOPES_BF16_CUH
#define KERNELS_CUDA_SLOPES_BF16_CUH

#include "kernels/cuda/heads_bf16.cuh"

/* What a pass gathers. */
enum wanted { OF_QUERIES = 1, OF_KEYS = 2, OF_VALUES = 4 };

struct gradients {
    bf16 *dqkv;
    const bf16 *dout, *qkv, *out;
    const float *logsum;
};

/* One head's queries and the slopes of their outputs, or its keys and values. */
struct side {
    struct lines one, other;
};

static __device__ __forceinline__ struct side queries_of(const struct gradients &g, const struct task &task,
                                                         const struct shape &shape, int head) {
    int size = shape.head_size;
    int width = shape_width(shape), outs = shape.heads * size, at = head * size;

    return {{g.qkv + (size_t)task.first * width + at, width, task.length, size},
            {g.dout + (size_t)task.first * outs + at, outs, task.length, size}};
}

static __device__ __forceinline__ struct side keys_of(const struct gradients &g, const struct task &task,
                                                      const struct shape &shape, int kv) {
    int size = shape.head_size;
    int width = shape_width(shape);
    const bf16 *keys = g.qkv + (size_t)task.first * width + (size_t)(shape.heads + kv) * size;

    return {{keys, width, task.length, size},
            {keys + (size_t)shape.kv_heads * size, width, task.length, size}};
}

/* The sides of a pass: what its tasks have, and what they meet, which is `head`'s where that is queries. */
template <class T>
static __device__ __forceinline__ struct side near_side(const struct gradients &g, const struct task &task,
                                                        const struct shape &shape) {
    return T::BY_QUERY ? queries_of(g, task, shape, task.head) : keys_of(g, task, shape, task.head);
}

template <class T>
static __device__ __forceinline__ struct side far_side(const struct gradients &g, const struct task &task,
                                                       const struct shape &shape, int head) {
    return T::BY_QUERY ? keys_of(g, task, shape, head / (shape.heads / shape.kv_heads))
                       : queries_of(g, task, shape, head);
}

/* A query's log-sum as a power of two, and the product of its output and the slope of that. */
struct summary {
    float logsum, dot;
};

/* Of the row's query `at`, whose dot dots_kernel() left; beyond its end what makes all weights 0. */
static __device__ __forceinline__ struct summary
summary_of(const struct gradients &g, const struct task &task, const struct shape &shape, int head, int at) {
    size_t token = task.first + at, line = token * shape.heads + head;
    const bf16 *dot = g.dqkv + token * shape_width(shape) + (size_t)head * shape.head_size;

    if (at >= task.length) return {INFINITY, 0};
    if (shape.head_size < 2)
        return {g.logsum[line] * (float)LOG2E, float_of(g.dout[line]) * float_of(g.out[line])};
    return {g.logsum[line] * (float)LOG2E, __uint_as_float((unsigned)dot[0] << 16 | dot[1])};
}

/* Which far lines a task meets: from the place `from` of its first near line, `tiles` from line `first` on,
 * of each of `heads` heads, the first of them `head`. */
struct journey {
    int from, first, tiles, head, heads;
};

template <class T>
static __device__ __forceinline__ struct journey journey_of(const struct task &task,
                                                            const struct shape &shape) {
    int from = (T::BY_QUERY ? task.cost - 1 : task.tiles - task.cost) * T::NEAR;
    int first = T::BY_QUERY ? 0 : from, end = T::BY_QUERY ? min(from + T::NEAR, task.length) : task.length;
    int heads = T::BY_QUERY ? 1 : shape.heads / shape.kv_heads;

    return {from, first, (end - first + T::FAR - 1) / T::FAR, task.head * heads, heads};
}

/* Leaves each query's dot where its gradient will be, in the place of its first two channels: the gradients
 * of queries come last. */
void leave_dots(const struct gradients &g, const struct shape &shape);

#endif
