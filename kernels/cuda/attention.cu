#include "kernels/cuda/device.cuh"

/* Tiles of queries x keys whose scores exist at a time; nothing of T x T is ever in memory. Scores are made
 * twice: first for each query's largest, then for the weights, so that every sum has the CPU's order. */
#define ACROSS  16 /* threads along either side of a tile */
#define THREADS (ACROSS * ACROSS)

struct shape {
    const int *start;
    int rows, heads, kv_heads, head_size;
    float scale, cap;
};

/* The slope of a product of query and key, given its weight and that of its score. */
static __device__ __forceinline__ float score_slope(float weight, float off, float score,
                                                    const struct shape &shape) {
    float slope = weight * off * shape.scale;

    if (shape.cap > 0) slope *= 1 - score / shape.cap * (score / shape.cap);
    return slope;
}

static __host__ __device__ __forceinline__ int shape_width(const struct shape &shape) {
    return (shape.heads + 2 * shape.kv_heads) * shape.head_size;
}

/* SIZE: head_size rounded up; EACH: rows or columns of a tile that a thread has. */
template <int SIZE_, int EACH_> struct tiling {
    static const int SIZE = SIZE_, EACH = EACH_, TILE = ACROSS * EACH;
    static const int CHANNELS = SIZE / ACROSS; /* of a thread */
    static const int NEAR = TILE + 4;          /* pitch of what is read in groups of EACH rows */
    static const int FAR = TILE + 1;           /* pitch of what is read one column a thread, either way */
};

/* Which tile of which row a number stands for: row r has the numbers from start[r] / tile + r on, which is
 * enough for all its tiles and needs no table. */
static __device__ int number_of_row(const int *start, int r, int tile) {
    return start[r] / tile + r;
}

static __device__ int row_of_number(const int *start, int rows, int number, int tile) {
    int low = 0, high = rows;

    while (high - low > 1) {
        int middle = (low + high) / 2;

        if (number_of_row(start, middle, tile) <= number)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* A block's work: one head's tile. */
struct task {
    int row, from, length, head; /* from: the tile's first token in its row */
    const float *tokens;         /* of qkv: the row's first */
};

/* The block's next task of `heads` heads at or after *number; 0 when there is none. */
static __device__ int next_task(struct task *task, int *number, const float *qkv, const struct shape &shape,
                                int heads, int tile) {
    int tiles = number_of_row(shape.start, shape.rows, tile);

    for (; *number < tiles * heads; *number += gridDim.x) {
        int at = *number / heads;

        task->row = row_of_number(shape.start, shape.rows, at, tile);
        task->length = shape.start[task->row + 1] - shape.start[task->row];
        task->from = (at - number_of_row(shape.start, task->row, tile)) * tile;
        task->head = *number % heads;
        task->tokens = qkv + (size_t)shape.start[task->row] * shape_width(shape);
        if (task->from < task->length) return 1;
    }
    return 0;
}

/* shared[d][t] of tokens from … from + TILE - 1; zeros beyond the row's end and the head's size. */
template <class T>
static __device__ __forceinline__ void bring(float *shared, int pitch, const float *data, int stride,
                                             int from, int length, int size) {
    for (int i = threadIdx.x; i < T::TILE * T::SIZE; i += THREADS) {
        int t = i / T::SIZE, d = i % T::SIZE;

        shared[d * pitch + t] = from + t < length && d < size ? data[(size_t)(from + t) * stride + d] : 0;
    }
}

/* scores[i][j] = the product of near column ty EACH + i and far column tx + 16 j: chains over d. */
template <class T>
static __device__ __forceinline__ void multiply(float scores[T::EACH][T::EACH], const float *near,
                                                const float *far, int ty, int tx) {
#pragma unroll
    for (int i = 0; i < T::EACH; i++)
#pragma unroll
        for (int j = 0; j < T::EACH; j++) scores[i][j] = 0;
#pragma unroll 8
    for (int d = 0; d < T::SIZE; d++) {
        float x[T::EACH], y[T::EACH];

        load<T::EACH>(x, near + d * T::NEAR + ty * T::EACH);
#pragma unroll
        for (int j = 0; j < T::EACH; j++) y[j] = far[d * T::FAR + tx + ACROSS * j];
#pragma unroll
        for (int i = 0; i < T::EACH; i++)
#pragma unroll
            for (int j = 0; j < T::EACH; j++) scores[i][j] = fmaf(x[i], y[j], scores[i][j]);
    }
}

/* sum[i][c] += over the tile's tokens t of weights[t][ty EACH + i] far[tx + 16 c][t]: chains over t. */
template <class T>
static __device__ __forceinline__ void mix(float sum[T::EACH][T::CHANNELS], const float *weights,
                                           const float *far, int ty, int tx) {
#pragma unroll 4
    for (int t = 0; t < T::TILE; t++) {
        float x[T::EACH], y[T::CHANNELS];

        load<T::EACH>(x, weights + t * T::NEAR + ty * T::EACH);
#pragma unroll
        for (int c = 0; c < T::CHANNELS; c++) y[c] = far[(tx + ACROSS * c) * T::FAR + t];
#pragma unroll
        for (int i = 0; i < T::EACH; i++)
#pragma unroll
            for (int c = 0; c < T::CHANNELS; c++) sum[i][c] = fmaf(x[i], y[c], sum[i][c]);
    }
}

/* weights[far token][near token] of what a thread has. */
template <class T>
static __device__ __forceinline__ void put(float *weights, const float tile[T::EACH][T::EACH], int ty,
                                           int tx) {
#pragma unroll
    for (int j = 0; j < T::EACH; j++) {
        float near[T::EACH];

#pragma unroll
        for (int i = 0; i < T::EACH; i++) near[i] = tile[i][j];
        store<T::EACH>(weights + (tx + ACROSS * j) * T::NEAR + ty * T::EACH, near);
    }
}

template <class T> static __device__ __forceinline__ void clear(float sum[T::EACH][T::CHANNELS]) {
#pragma unroll
    for (int i = 0; i < T::EACH; i++)
#pragma unroll
        for (int c = 0; c < T::CHANNELS; c++) sum[i][c] = 0;
}

/* Where key `far` is seen by query `near`. */
template <class T> static __device__ __forceinline__ bool seen(int key, int query, int length) {
    return key <= query && query < length;
}

template <class T>
static __device__ void largest_scores(float max[T::EACH], const struct task &task, const struct shape &shape,
                                      const float *keys, const float *queries, float *far) {
    int ty = threadIdx.x / ACROSS, tx = threadIdx.x % ACROSS;

    for (int i = 0; i < T::EACH; i++) max[i] = -INFINITY;
    for (int from = 0; from < task.from + T::TILE && from < task.length; from += T::TILE) {
        float scores[T::EACH][T::EACH];

        __syncthreads();
        bring<T>(far, T::FAR, keys, shape_width(shape), from, task.length, shape.head_size);
        __syncthreads();
        multiply<T>(scores, queries, far, ty, tx);
#pragma unroll
        for (int i = 0; i < T::EACH; i++)
#pragma unroll
            for (int j = 0; j < T::EACH; j++) {
                float score = score_of(scores[i][j], shape.scale, shape.cap);

                if (seen<T>(from + tx + ACROSS * j, task.from + ty * T::EACH + i, task.length))
                    max[i] = score > max[i] ? score : max[i];
            }
    }
#pragma unroll
    for (int i = 0; i < T::EACH; i++) max[i] = lanes_max(max[i]);
}

/* The second pass: weights, their sums by lane (a thread's keys are one lane's) and the values they mix. */
template <class T>
static __device__ void mix_values(float sum[T::EACH], float mixed[T::EACH][T::CHANNELS],
                                  const float max[T::EACH], const struct task &task,
                                  const struct shape &shape, const float *keys, const float *queries,
                                  float *far, float *weights) {
    int ty = threadIdx.x / ACROSS, tx = threadIdx.x % ACROSS;

    clear<T>(mixed);
    for (int i = 0; i < T::EACH; i++) sum[i] = 0;
    for (int from = 0; from < task.from + T::TILE && from < task.length; from += T::TILE) {
        float scores[T::EACH][T::EACH];

        __syncthreads();
        bring<T>(far, T::FAR, keys, shape_width(shape), from, task.length, shape.head_size);
        __syncthreads();
        multiply<T>(scores, queries, far, ty, tx);
#pragma unroll
        for (int i = 0; i < T::EACH; i++)
#pragma unroll
            for (int j = 0; j < T::EACH; j++) {
                bool in = seen<T>(from + tx + ACROSS * j, task.from + ty * T::EACH + i, task.length);

                scores[i][j] = in ? exp_of(score_of(scores[i][j], shape.scale, shape.cap) - max[i]) : 0;
                sum[i] += scores[i][j];
            }
        __syncthreads();
        put<T>(weights, scores, ty, tx);
        bring<T>(far, T::FAR, keys + (size_t)shape.kv_heads * shape.head_size, shape_width(shape), from,
                 task.length, shape.head_size);
        __syncthreads();
        mix<T>(mixed, weights, far, ty, tx);
    }
#pragma unroll
    for (int i = 0; i < T::EACH; i++) sum[i] = lanes_sum(sum[i]);
}

template <class T>
static __global__ void __launch_bounds__(THREADS)
    attention_kernel(float *out, float *logsum, const float *qkv, struct shape shape) {
    float *shared = dynamic_shared<float>();
    float *queries = shared, *far = queries + T::SIZE * T::NEAR, *weights = far + T::SIZE * T::FAR;
    int ty = threadIdx.x / ACROSS, tx = threadIdx.x % ACROSS, group = shape.heads / shape.kv_heads;
    struct task task;

    for (int number = blockIdx.x; next_task(&task, &number, qkv, shape, shape.heads, T::TILE);
         number += gridDim.x) {
        const float *keys = task.tokens + (size_t)(shape.heads + task.head / group) * shape.head_size;
        float max[T::EACH], sum[T::EACH], mixed[T::EACH][T::CHANNELS];

        __syncthreads();
        bring<T>(queries, T::NEAR, task.tokens + (size_t)task.head * shape.head_size, shape_width(shape),
                 task.from, task.length, shape.head_size);
        largest_scores<T>(max, task, shape, keys, queries, far);
        mix_values<T>(sum, mixed, max, task, shape, keys, queries, far, weights);
#pragma unroll
        for (int i = 0; i < T::EACH; i++) {
            int query = task.from + ty * T::EACH + i;
            size_t at = (size_t)(shape.start[task.row] + query) * shape.heads + task.head;

            if (query >= task.length) continue;
            if (tx == 0) logsum[at] = max[i] + (float)log((double)sum[i]);
#pragma unroll
            for (int c = 0; c < T::CHANNELS; c++)
                if (tx + ACROSS * c < shape.head_size)
                    out[at * shape.head_size + tx + ACROSS * c] = mixed[i][c] * (1.0f / sum[i]);
        }
    }
}

/* dots[t] = the product of dout and out of the tile's queries, by half-warps as dot_of() does; logsums
 * beside.
 */
template <class T>
static __device__ void bring_dots(float *dots, float *logsums, const float *dout, const float *out,
                                  const float *logsum, const struct task &task, const struct shape &shape,
                                  int head, int from) {
    int ty = threadIdx.x / ACROSS, tx = threadIdx.x % ACROSS;

    for (int t = ty; t < T::TILE; t += ACROSS) {
        int query = from + t < task.length ? from + t : task.length - 1;
        size_t at = (size_t)(shape.start[task.row] + query) * shape.heads + head;
        float dot = 0;

        for (int d = tx; d < shape.head_size; d += WIDTH)
            dot += dout[at * shape.head_size + d] * out[at * shape.head_size + d];
        dot = lanes_sum(dot);
        if (tx) continue;
        dots[t] = dot;
        logsums[t] = logsum[at];
    }
}

static __device__ __forceinline__ const float *row_outs(const float *out, const struct task &task,
                                                        const struct shape &shape, int head) {
    return out + ((size_t)shape.start[task.row] * shape.heads + head) * shape.head_size;
}

/* d loss / d queries: a block has a tile of queries and passes over the keys. */
template <class T>
static __global__ void __launch_bounds__(THREADS)
    query_slopes(float *dqkv, const float *dout, const float *qkv, const float *out, const float *logsum,
                 struct shape shape) {
    float *shared = dynamic_shared<float>();
    __shared__ float dots[T::TILE], logsums[T::TILE];
    float *queries = shared, *douts = queries + T::SIZE * T::NEAR, *far = douts + T::SIZE * T::NEAR;
    float *values = far + T::SIZE * T::FAR, *weights = values + T::SIZE * T::FAR;
    int ty = threadIdx.x / ACROSS, tx = threadIdx.x % ACROSS, group = shape.heads / shape.kv_heads;
    int width = shape_width(shape), size = shape.head_size, out_width = shape.heads * size;
    struct task task;

    for (int number = blockIdx.x; next_task(&task, &number, qkv, shape, shape.heads, T::TILE);
         number += gridDim.x) {
        const float *keys = task.tokens + (size_t)(shape.heads + task.head / group) * size;
        float sum[T::EACH][T::CHANNELS];

        __syncthreads();
        bring<T>(queries, T::NEAR, task.tokens + (size_t)task.head * size, width, task.from, task.length,
                 size);
        bring<T>(douts, T::NEAR, row_outs(dout, task, shape, task.head), out_width, task.from, task.length,
                 size);
        bring_dots<T>(dots, logsums, dout, out, logsum, task, shape, task.head, task.from);
        clear<T>(sum);
        for (int from = 0; from < task.from + T::TILE && from < task.length; from += T::TILE) {
            float scores[T::EACH][T::EACH], slopes[T::EACH][T::EACH];

            __syncthreads();
            bring<T>(far, T::FAR, keys, width, from, task.length, size);
            bring<T>(values, T::FAR, keys + (size_t)shape.kv_heads * size, width, from, task.length, size);
            __syncthreads();
            multiply<T>(scores, queries, far, ty, tx);
            multiply<T>(slopes, douts, values, ty, tx);
#pragma unroll
            for (int i = 0; i < T::EACH; i++)
#pragma unroll
                for (int j = 0; j < T::EACH; j++) {
                    int t = ty * T::EACH + i;
                    bool in = seen<T>(from + tx + ACROSS * j, task.from + t, task.length);
                    float score = score_of(scores[i][j], shape.scale, shape.cap);
                    float p = in ? exp_of(score - logsums[t]) : 0;

                    slopes[i][j] = in ? score_slope(p, slopes[i][j] - dots[t], score, shape) : 0;
                }
            put<T>(weights, slopes, ty, tx);
            __syncthreads();
            mix<T>(sum, weights, far, ty, tx);
        }
#pragma unroll
        for (int i = 0; i < T::EACH; i++) {
            int query = task.from + ty * T::EACH + i;
            float *dq = dqkv + (size_t)(shape.start[task.row] + query) * width + (size_t)task.head * size;

            if (query >= task.length) continue;
#pragma unroll
            for (int c = 0; c < T::CHANNELS; c++)
                if (tx + ACROSS * c < size) dq[tx + ACROSS * c] = sum[i][c];
        }
    }
}

/* d loss / d keys and values: a block has a tile of keys and passes over the queries that see them, of all
 * heads of the group, in the CPU's order. */
template <class T>
static __global__ void __launch_bounds__(THREADS)
    key_slopes(float *dqkv, const float *dout, const float *qkv, const float *out, const float *logsum,
               struct shape shape) {
    float *shared = dynamic_shared<float>();
    __shared__ float dots[T::TILE], logsums[T::TILE];
    float *keys = shared, *values = keys + T::SIZE * T::NEAR, *queries = values + T::SIZE * T::NEAR;
    float *douts = queries + T::SIZE * T::FAR, *weights = douts + T::SIZE * T::FAR;
    int ty = threadIdx.x / ACROSS, tx = threadIdx.x % ACROSS, group = shape.heads / shape.kv_heads;
    int width = shape_width(shape), size = shape.head_size, out_width = shape.heads * size;
    struct task task;

    for (int number = blockIdx.x; next_task(&task, &number, qkv, shape, shape.kv_heads, T::TILE);
         number += gridDim.x) {
        const float *key = task.tokens + (size_t)(shape.heads + task.head) * size;
        float dk[T::EACH][T::CHANNELS], dv[T::EACH][T::CHANNELS];

        __syncthreads();
        bring<T>(keys, T::NEAR, key, width, task.from, task.length, size);
        bring<T>(values, T::NEAR, key + (size_t)shape.kv_heads * size, width, task.from, task.length, size);
        clear<T>(dk);
        clear<T>(dv);
        for (int h = task.head * group; h < (task.head + 1) * group; h++)
            for (int from = task.from; from < task.length; from += T::TILE) {
                float scores[T::EACH][T::EACH], slopes[T::EACH][T::EACH];

                __syncthreads();
                bring<T>(queries, T::FAR, task.tokens + (size_t)h * size, width, from, task.length, size);
                bring<T>(douts, T::FAR, row_outs(dout, task, shape, h), out_width, from, task.length, size);
                bring_dots<T>(dots, logsums, dout, out, logsum, task, shape, h, from);
                __syncthreads();
                multiply<T>(scores, keys, queries, ty, tx);
                multiply<T>(slopes, values, douts, ty, tx);
#pragma unroll
                for (int i = 0; i < T::EACH; i++)
#pragma unroll
                    for (int j = 0; j < T::EACH; j++) {
                        int t = tx + ACROSS * j;
                        bool in = seen<T>(task.from + ty * T::EACH + i, from + t, task.length);

                        float score = score_of(scores[i][j], shape.scale, shape.cap);

                        scores[i][j] = in ? exp_of(score - logsums[t]) : 0;
                        slopes[i][j] =
                            in ? score_slope(scores[i][j], slopes[i][j] - dots[t], score, shape) : 0;
                    }
                put<T>(weights, slopes, ty, tx);
                __syncthreads();
                mix<T>(dk, weights, queries, ty, tx);
                __syncthreads();
                put<T>(weights, scores, ty, tx);
                __syncthreads();
                mix<T>(dv, weights, douts, ty, tx);
            }
#pragma unroll
        for (int i = 0; i < T::EACH; i++) {
            int at = task.from + ty * T::EACH + i;
            float *slope = dqkv + (size_t)(shape.start[task.row] + at) * width +
                           (size_t)(shape.heads + task.head) * size;

            if (at >= task.length) continue;
#pragma unroll
            for (int c = 0; c < T::CHANNELS; c++)
                if (tx + ACROSS * c < size) {
                    slope[tx + ACROSS * c] = dk[i][c];
                    slope[(size_t)shape.kv_heads * size + tx + ACROSS * c] = dv[i][c];
                }
        }
    }
}

template <class T>
static void run_forward(float *out, float *logsum, const float *qkv, const struct shape &shape) {
    size_t bytes = (T::SIZE * (T::NEAR + T::FAR) + T::TILE * T::NEAR) * sizeof(float);
    static int known;
    int blocks = resident_blocks(&known, (const void *)attention_kernel<T>, THREADS, bytes, "attention");

    if (!blocks) return;
    launch("attention", attention_kernel<T>, blocks, THREADS, bytes, out, logsum, qkv, shape);
}

template <class T>
static void run_backward(float *dqkv, const float *dout, const float *qkv, const float *out,
                         const float *logsum, const struct shape &shape) {
    size_t bytes = (2 * T::SIZE * (T::NEAR + T::FAR) + T::TILE * T::NEAR) * sizeof(float);
    static int known_query, known_key;
    int by_query =
        resident_blocks(&known_query, (const void *)query_slopes<T>, THREADS, bytes, "attention_backward");
    int by_key =
        resident_blocks(&known_key, (const void *)key_slopes<T>, THREADS, bytes, "attention_backward");

    if (!by_query || !by_key) return;
    launch("attention_backward", query_slopes<T>, by_query, THREADS, bytes, dqkv, dout, qkv, out, logsum,
           shape);
    launch("attention_backward", key_slopes<T>, by_key, THREADS, bytes, dqkv, dout, qkv, out, logsum, shape);
}

/* Up to which head size a tiling goes; its shared memory stays below the 99 KB that every device has. */
typedef tiling<32, 4> up_to_32;
typedef tiling<64, 4> up_to_64;
typedef tiling<128, 2> up_to_128;
typedef tiling<256, 1> up_to_256;

static void refuse_size(const char *operation) {
    note_failure(cudaErrorInvalidValue, operation);
}

void attention_cuda(operand *out, float *logsum, const operand *qkv, const int *start, int rows, int heads,
                    int kv_heads, int head_size, float scale, float cap) {
    struct shape shape = {start, rows, heads, kv_heads, head_size, scale, cap};
    const float *tokens = (const float *)qkv;
    float *mixed = (float *)out;

    if (rows == 0) return;
    if (head_size <= 32)
        run_forward<up_to_32>(mixed, logsum, tokens, shape);
    else if (head_size <= 64)
        run_forward<up_to_64>(mixed, logsum, tokens, shape);
    else if (head_size <= 128)
        run_forward<up_to_128>(mixed, logsum, tokens, shape);
    else if (head_size <= 256)
        run_forward<up_to_256>(mixed, logsum, tokens, shape);
    else
        refuse_size("attention with heads of more than 256 channels");
}

void attention_backward_cuda(operand *dqkv, const operand *dout, const operand *qkv, const operand *out,
                             const float *logsum, const int *start, int rows, int heads, int kv_heads,
                             int head_size, float scale, float cap) {
    struct shape shape = {start, rows, heads, kv_heads, head_size, scale, cap};

    const float *tokens = (const float *)qkv, *mixed = (const float *)out, *dmixed = (const float *)dout;
    float *dtokens = (float *)dqkv;

    if (rows == 0) return;
    if (head_size <= 32)
        run_backward<up_to_32>(dtokens, dmixed, tokens, mixed, logsum, shape);
    else if (head_size <= 64)
        run_backward<up_to_64>(dtokens, dmixed, tokens, mixed, logsum, shape);
    else if (head_size <= 128)
        run_backward<up_to_128>(dtokens, dmixed, tokens, mixed, logsum, shape);
    else if (head_size <= 256)
        run_backward<up_to_256>(dtokens, dmixed, tokens, mixed, logsum, shape);
    else
        refuse_size("attention_backward with heads of more than 256 channels");
}
