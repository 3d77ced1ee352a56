#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/element.cuh"

#define ROWS 8  /* a block: half a warp each */
#define KEPT 64 /* elements of a row that a lane keeps; of a longer one it keeps none */

/* As sum_of() and dot_of() on the CPU, by half a warp; `lane` is the thread's. */
static __device__ __forceinline__ float sum_of(const float *x, int count, int lane) {
    float sum = 0;

    for (int i = lane; i < count; i += WIDTH) sum += x[i];
    return lanes_sum(sum);
}

static __device__ __forceinline__ float square_sum(const float *x, float centre, int count, int lane) {
    float sum = 0;

    for (int i = lane; i < count; i += WIDTH) sum += (x[i] - centre) * (x[i] - centre);
    return lanes_sum(sum);
}

static __device__ __forceinline__ int row_index(void) {
    return blockIdx.x * ROWS + threadIdx.y;
}

/* The lanes of a row's half-warp have group after group of it: op(column, count). */
template <int EACH, class OP>
static __device__ __forceinline__ void over_row(int width, int lane, const OP &op) {
    for (int c = lane * EACH; c < width; c += WIDTH * EACH) op(c, width - c < EACH ? width - c : EACH);
}

/* What a lane has of an array of `width`, all asked for at once: every WIDTH-th element. */
static __device__ __forceinline__ void keep(float kept[KEPT], const float *in, int width, int lane) {
#pragma unroll
    for (int i = 0; i < KEPT; i++) kept[i] = i * WIDTH + lane < width ? in[i * WIDTH + lane] : 0;
}

/* As sum_of(), and as square_sum(). */
static __device__ __forceinline__ float kept_sum(const float kept[KEPT], int width, int lane) {
    float sum = 0;

#pragma unroll
    for (int i = 0; i < KEPT; i++)
        if (i * WIDTH + lane < width) sum += kept[i];
    return lanes_sum(sum);
}

static __device__ __forceinline__ float kept_squares(const float kept[KEPT], float centre, int width,
                                                     int lane) {
    float sum = 0;

#pragma unroll
    for (int i = 0; i < KEPT; i++)
        if (i * WIDTH + lane < width) sum += (kept[i] - centre) * (kept[i] - centre);
    return lanes_sum(sum);
}

/* LayerNorm of rows that are kept, to the bits of the others: for rows so few that they take the time of
 * their loads one after another. Of many, the registers let too few run at a time. */
template <class E>
static __global__ void __launch_bounds__(ROWS *WIDTH)
    short_layernorm_kernel(E *out, float *mean, float *rstd, const float *in, const float *weight,
                           const float *bias, int rows, int width, float eps) {
    int r = row_index(), lane = threadIdx.x;
    size_t at = (size_t)(r < rows ? r : rows - 1) * width;
    float x[KEPT], by[KEPT], plus[KEPT], centre, scale;

    keep(by, weight, width, lane);
    keep(plus, bias, width, lane);
    start_successor();
    wait_for_predecessor();
    keep(x, in + at, width, lane);
    centre = kept_sum(x, width, lane) / (float)width;
    scale = 1.0f / sqrtf(kept_squares(x, centre, width, lane) / (float)width + eps);
    if (r >= rows) return;
#pragma unroll
    for (int i = 0; i < KEPT; i++)
        if (i * WIDTH + lane < width)
            set_element(out + at + i * WIDTH + lane, (x[i] - centre) * scale * by[i] + plus[i]);
    if (lane) return;
    mean[r] = centre;
    rstd[r] = scale;
}

/* out = (x - centre) scale weight + bias, a row of it. */
template <class E> struct layernorm_row {
    static const int EACH = group<E>::SIZE;
    E *out;
    const float *x, *weight, *bias;
    float centre, scale;
    bool wide;

    __device__ __forceinline__ void operator()(int c, int count) const {
        float y[EACH], by[EACH], plus[EACH];

        take<EACH>(y, x + c, count, wide);
        take<EACH>(by, weight + c, count, wide);
        take<EACH>(plus, bias + c, count, wide);
#pragma unroll
        for (int i = 0; i < EACH; i++) y[i] = (y[i] - centre) * scale * by[i] + plus[i];
        give<EACH>(out + c, y, count, wide);
    }
};

template <class E>
static __global__ void layernorm_kernel(E *out, float *mean, float *rstd, const float *x, const float *weight,
                                        const float *bias, int rows, int width, float eps, bool wide) {
    int r = row_index(), lane = threadIdx.x;
    /* all lanes of a warp take part in its sums */
    size_t at = (size_t)(r < rows ? r : rows - 1) * width;

    start_successor();
    wait_for_predecessor();
    float centre = sum_of(x + at, width, lane) / (float)width;
    float scale = 1.0f / sqrtf(square_sum(x + at, centre, width, lane) / (float)width + eps);

    if (r >= rows) return;
    over_row<layernorm_row<E>::EACH>(width, lane,
                                     layernorm_row<E>{out + at, x + at, weight, bias, centre, scale, wide});
    if (lane) return;
    mean[r] = centre;
    rstd[r] = scale;
}

template <class E>
static void run_layernorm(E *out, float *mean, float *rstd, const float *x, const float *weight,
                          const float *bias, int rows, int width, float eps) {
    bool wide = width % group<E>::SIZE == 0 && on_16_bytes(out, x, weight, bias);

    if (rows == 0) return;
    if (width <= KEPT * WIDTH && rows <= ROWS * multiprocessors()) {
        launch_chained("layernorm", short_layernorm_kernel<E>, blocks_for(rows, ROWS), dim3(WIDTH, ROWS), 0,
                       out, mean, rstd, x, weight, bias, rows, width, eps);
        return;
    }
    launch_chained("layernorm", layernorm_kernel<E>, blocks_for(rows, ROWS), dim3(WIDTH, ROWS), 0, out, mean,
                   rstd, x, weight, bias, rows, width, eps, wide);
}

void layernorm_cuda(operand *out, float *mean, float *rstd, const float *x, const float *weight,
                    const float *bias, int rows, int width, float eps) {
    run_layernorm((float *)out, mean, rstd, x, weight, bias, rows, width, eps);
}

void layernorm_bf16_cuda(operand *out, float *mean, float *rstd, const float *x, const float *weight,
                         const float *bias, int rows, int width, float eps) {
    run_layernorm((bf16 *)out, mean, rstd, x, weight, bias, rows, width, eps);
}

/* With n the normalised x and g = dy weight: dx += rstd (g - mean(g) - n mean(g n)); without centre (RMSNorm)
 * the mean of g is left out. */
template <bool CENTRED>
static __global__ void norm_backward_kernel(float *__restrict__ dx, float *__restrict__ rounded,
                                            const float *__restrict__ dy, const float *__restrict__ x,
                                            const float *__restrict__ weight, const float *__restrict__ mean,
                                            const float *__restrict__ rstd, int rows, int width) {
    int r = row_index(), lane = threadIdx.x, row = r < rows ? r : rows - 1;
    size_t at = (size_t)row * width;
    float centre = CENTRED ? mean[row] : 0, scale = rstd[row], of_g = 0, of_gn = 0;

#pragma unroll 4
    for (int i = lane; i < width; i += WIDTH) {
        float g = dy[at + i] * weight[i], n = CENTRED ? (x[at + i] - centre) * scale : x[at + i] * scale;

        of_g += g;
        of_gn += g * n;
    }
    of_g = CENTRED ? lanes_sum(of_g) / (float)width : 0;
    of_gn = lanes_sum(of_gn) / (float)width;
    if (r >= rows) return;
#pragma unroll 4
    for (int i = lane; i < width; i += WIDTH) {
        float g = dy[at + i] * weight[i], n = CENTRED ? (x[at + i] - centre) * scale : x[at + i] * scale;
        float sum = dx[at + i] + (CENTRED ? g - of_g - n * of_gn : g - n * of_gn) * scale;

        dx[at + i] = sum;
        if (rounded) rounded[at + i] = sum;
    }
}

/* Terms of the sums over rows, for add_columns(): what is loaded, and what is made of it. */
struct slope_term {
    typedef float parts;
    const float *dy;
    int width;

    __device__ parts load(int r, size_t at) const {
        (void)r;
        return __ldg(dy + at);
    }
    static __device__ float make(parts slope) {
        return slope;
    }
};

struct norm_parts {
    float dy, x, mean, rstd;
};

struct layernorm_term {
    typedef norm_parts parts;
    const float *dy, *x, *mean, *rstd;
    int width;

    __device__ parts load(int r, size_t at) const {
        return {__ldg(dy + at), __ldg(x + at), __ldg(mean + r), __ldg(rstd + r)};
    }
    static __device__ float make(const parts &p) {
        return p.dy * ((p.x - p.mean) * p.rstd);
    }
};

struct rmsnorm_term {
    typedef norm_parts parts;
    const float *dy, *x, *rstd;
    int width;

    __device__ parts load(int r, size_t at) const {
        return {__ldg(dy + at), __ldg(x + at), 0, __ldg(rstd + r)};
    }
    static __device__ float make(const parts &p) {
        return p.dy * (p.x * p.rstd);
    }
};

void layernorm_backward_cuda(float *dx, operand *rounded, float *dweight, float *dbias, const float *dy,
                             const float *x, const float *weight, const float *mean, const float *rstd,
                             int rows, int width) {
    if (rows == 0) return;
    launch("layernorm_backward", norm_backward_kernel<true>, blocks_for(rows, ROWS), dim3(WIDTH, ROWS), 0, dx,
           (float *)rounded, dy, x, weight, mean, rstd, rows, width);
    if (!dweight) return;
    add_columns(dweight, layernorm_term{dy, x, mean, rstd, width}, rows, "layernorm_backward");
    add_columns(dbias, slope_term{dy, width}, rows, "layernorm_backward");
}

/* out = base (NULL: 0) + x scale weight, a row of it. */
template <class E> struct rmsnorm_row {
    static const int EACH = group<E>::SIZE;
    E *out;
    const float *base, *x, *weight;
    float scale;
    bool wide;

    __device__ __forceinline__ void operator()(int c, int count) const {
        float y[EACH], by[EACH], plus[EACH];

        take<EACH>(y, x + c, count, wide);
        take<EACH>(by, weight + c, count, wide);
#pragma unroll
        for (int i = 0; i < EACH; i++) y[i] = y[i] * scale * by[i];
        if (base) {
            take<EACH>(plus, base + c, count, wide);
#pragma unroll
            for (int i = 0; i < EACH; i++) y[i] = plus[i] + y[i];
        }
        give<EACH>(out + c, y, count, wide);
    }
};

template <class E>
static __global__ void rmsnorm_kernel(E *out, float *rstd, const float *base, const float *x,
                                      const float *weight, int rows, int width, float eps, bool wide) {
    int r = row_index(), lane = threadIdx.x;
    size_t at = (size_t)(r < rows ? r : rows - 1) * width;

    start_successor();
    wait_for_predecessor();
    float scale = 1.0f / sqrtf(square_sum(x + at, 0, width, lane) / (float)width + eps);

    if (r >= rows) return;
    over_row<rmsnorm_row<E>::EACH>(
        width, lane, rmsnorm_row<E>{out + at, base ? base + at : NULL, x + at, weight, scale, wide});
    if (lane == 0) rstd[r] = scale;
}

template <class E>
static void run_rmsnorm(E *out, float *rstd, const float *base, const float *x, const float *weight, int rows,
                        int width, float eps) {
    bool wide = width % group<E>::SIZE == 0 && on_16_bytes(out, base, x, weight);

    if (rows == 0) return;
    launch_chained("rmsnorm", rmsnorm_kernel<E>, blocks_for(rows, ROWS), dim3(WIDTH, ROWS), 0, out, rstd,
                   base, x, weight, rows, width, eps, wide);
}

void rmsnorm_add_cuda(float *out, float *rstd, const float *base, const float *x, const float *weight,
                      int rows, int width, float eps) {
    run_rmsnorm(out, rstd, base, x, weight, rows, width, eps);
}

void rmsnorm_cuda(operand *out, float *rstd, const float *x, const float *weight, int rows, int width,
                  float eps) {
    run_rmsnorm((float *)out, rstd, NULL, x, weight, rows, width, eps);
}

void rmsnorm_bf16_cuda(operand *out, float *rstd, const float *x, const float *weight, int rows, int width,
                       float eps) {
    run_rmsnorm((bf16 *)out, rstd, NULL, x, weight, rows, width, eps);
}

void rmsnorm_backward_cuda(float *dx, operand *rounded, float *dweight, const float *dy, const float *x,
                           const float *weight, const float *rstd, int rows, int width) {
    if (rows == 0) return;
    launch("rmsnorm_backward", norm_backward_kernel<false>, blocks_for(rows, ROWS), dim3(WIDTH, ROWS), 0, dx,
           (float *)rounded, dy, x, weight, nullptr, rstd, rows, width);
    if (!dweight) return;
    add_columns(dweight, rmsnorm_term{dy, x, rstd, width}, rows, "rmsnorm_backward");
}

void bias_backward_cuda(float *dbias, const operand *dy, int rows, int outs) {
    add_columns(dbias, slope_term{(const float *)dy, outs}, rows, "bias_backward");
}
