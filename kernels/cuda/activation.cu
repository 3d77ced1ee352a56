#include "kernels/cuda/device.cuh"

#define THREADS   256
#define ROOT      0.7978845608028654f /* sqrt(2 / pi) */
#define CUBIC     0.044715f
#define SATURATED 16.0f /* beyond, gelu' is 0 or 1 to the bit */

static __device__ __forceinline__ size_t thread_index(void) {
    return (size_t)blockIdx.x * blockDim.x + threadIdx.x;
}

static __device__ __forceinline__ float sigmoid(float x) {
    return 1.0f / (1.0f + exp_of(-x));
}

static __device__ __forceinline__ float gelu_of(float x) {
    return x * sigmoid(2 * ROOT * (x + CUBIC * (x * x * x)));
}

static __device__ __forceinline__ float gelu_slope(float x) {
    float low = x < -SATURATED ? -SATURATED : x, y = low > SATURATED ? SATURATED : low;
    float s = sigmoid(2 * ROOT * (y + CUBIC * (y * y * y)));
    float slope = 2 * ROOT * (1 + 3 * CUBIC * (y * y));

    return s + y * (s * (1 - s)) * slope;
}

static __global__ void gelu_kernel(float *out, const float *x, size_t count) {
    size_t i = thread_index();

    if (i < count) out[i] = gelu_of(x[i]);
}

extern "C" void cuda_gelu(float *out, const float *x, size_t count) {
    if (count == 0) return;
    launch("gelu", gelu_kernel, blocks_for(count, THREADS), THREADS, 0, out, x, count);
}

static __global__ void gelu_backward_kernel(float *dx, const float *x, size_t count) {
    size_t i = thread_index();

    if (i < count) dx[i] *= gelu_slope(x[i]);
}

extern "C" void cuda_gelu_backward(float *dx, const float *x, size_t count) {
    if (count == 0) return;
    launch("gelu_backward", gelu_backward_kernel, blocks_for(count, THREADS), THREADS, 0, dx, x, count);
}

static __global__ void swiglu_kernel(float *out, const float *gate_up, size_t count, int ffn) {
    size_t i = thread_index();

    if (i >= count) return;
    const float *row = gate_up + i / ffn * 2 * ffn;
    float gate = row[i % ffn], up = row[ffn + i % ffn];

    out[i] = gate * sigmoid(gate) * up;
}

void swiglu_cuda(operand *out, const operand *gate_up, int rows, int ffn) {
    size_t count = (size_t)rows * ffn;

    if (count == 0) return;
    launch("swiglu", swiglu_kernel, blocks_for(count, THREADS), THREADS, 0, (float *)out,
           (const float *)gate_up, count, ffn);
}

static __global__ void swiglu_backward_kernel(float *dgate_up, const float *dy, const float *gate_up,
                                              size_t count, int ffn) {
    size_t i = thread_index();

    if (i >= count) return;
    size_t gate_at = i / ffn * 2 * ffn + i % ffn;
    float gate = gate_up[gate_at], up = gate_up[gate_at + ffn], s = sigmoid(gate);

    dgate_up[gate_at] = dy[i] * up * (s + gate * (s * (1 - s)));
    dgate_up[gate_at + ffn] = dy[i] * (gate * s);
}

void swiglu_backward_cuda(operand *dgate_up, const float *dy, const operand *gate_up, int rows, int ffn) {
    size_t count = (size_t)rows * ffn;

    if (count == 0) return;
    launch("swiglu_backward", swiglu_backward_kernel, blocks_for(count, THREADS), THREADS, 0,
           (float *)dgate_up, dy, (const float *)gate_up, count, ffn);
}

static __global__ void geglu_kernel(float *out, const float *gate_up, size_t count, int ffn) {
    size_t i = thread_index();

    if (i >= count) return;
    const float *row = gate_up + i / ffn * 2 * ffn;

    out[i] = gelu_of(row[i % ffn]) * row[ffn + i % ffn];
}

void geglu_cuda(operand *out, const operand *gate_up, int rows, int ffn) {
    size_t count = (size_t)rows * ffn;

    if (count == 0) return;
    launch("geglu", geglu_kernel, blocks_for(count, THREADS), THREADS, 0, (float *)out,
           (const float *)gate_up, count, ffn);
}

static __global__ void geglu_backward_kernel(float *dgate_up, const float *dy, const float *gate_up,
                                             size_t count, int ffn) {
    size_t i = thread_index();

    if (i >= count) return;
    size_t gate_at = i / ffn * 2 * ffn + i % ffn;
    float gate = gate_up[gate_at], up = gate_up[gate_at + ffn];

    dgate_up[gate_at] = dy[i] * up * gelu_slope(gate);
    dgate_up[gate_at + ffn] = dy[i] * gelu_of(gate);
}

void geglu_backward_cuda(operand *dgate_up, const float *dy, const operand *gate_up, int rows, int ffn) {
    size_t count = (size_t)rows * ffn;

    if (count == 0) return;
    launch("geglu_backward", geglu_backward_kernel, blocks_for(count, THREADS), THREADS, 0, (float *)dgate_up,
           dy, (const float *)gate_up, count, ffn);
}

static __global__ void cap_kernel(float *x, size_t count, float limit) {
    size_t i = thread_index();

    if (i < count) x[i] = limit * (2 * sigmoid(2 * (x[i] / limit)) - 1);
}

void cap_cuda(float *x, size_t count, float limit) {
    if (count == 0) return;
    launch("cap", cap_kernel, blocks_for(count, THREADS), THREADS, 0, x, count, limit);
}

static __global__ void cap_backward_kernel(float *dx, const float *y, size_t count, float limit) {
    size_t i = thread_index();

    if (i >= count) return;
    float share = y[i] / limit, slope = 1 - share * share;

    dx[i] = dx[i] * (slope > 0 ? slope : 0);
}

void cap_backward_cuda(operand *dx, const float *y, size_t count, float limit) {
    if (count == 0) return;
    launch("cap_backward", cap_backward_kernel, blocks_for(count, THREADS), THREADS, 0, (float *)dx, y, count,
           limit);
}

static __global__ void add_kernel(float *out, const float *x, size_t count) {
    size_t i = thread_index();

    if (i < count) out[i] += x[i];
}

void add_cuda(float *out, const float *x, size_t count) {
    if (count == 0) return;
    launch("add", add_kernel, blocks_for(count, THREADS), THREADS, 0, out, x, count);
}
