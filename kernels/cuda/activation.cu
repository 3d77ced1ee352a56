#include "kernels/cuda/element.cuh"
#include "kernels/cuda/gelu.cuh"

struct gelu {
    __device__ __forceinline__ float operator()(float x) const {
        return gelu_of(x);
    }
};

extern "C" void cuda_gelu(float *out, const float *x, size_t count) {
    map_array("gelu", out, x, count, gelu{});
}

struct gelu_backward {
    __device__ __forceinline__ float operator()(float dx, float x) const {
        return dx * gelu_slope(x);
    }
};

extern "C" void cuda_gelu_backward(float *dx, const float *x, size_t count) {
    update_array("gelu_backward", dx, x, count, gelu_backward{});
}

/* What a gate passes on, and its derivative. */
struct silu_gate {
    static __device__ __forceinline__ float of(float x) {
        return x * sigmoid(x);
    }
    static __device__ __forceinline__ float slope(float x) {
        float s = sigmoid(x);

        return s + x * (s * (1 - s));
    }
};

struct gelu_gate {
    static __device__ __forceinline__ float of(float x) {
        return gelu_of(x);
    }
    static __device__ __forceinline__ float slope(float x) {
        return gelu_slope(x);
    }
};

template <class E, class GATE> struct gating {
    static const int EACH = group<E>::SIZE;
    E *out;
    const E *gate_up;
    int ffn;

    __device__ __forceinline__ void operator()(size_t row, int c, int count, bool wide) const {
        const E *from = gate_up + row * 2 * ffn + c;
        float gate[EACH], up[EACH];

        take<EACH>(gate, from, count, wide);
        take<EACH>(up, from + ffn, count, wide);
#pragma unroll
        for (int i = 0; i < EACH; i++) up[i] = GATE::of(gate[i]) * up[i];
        give<EACH>(out + row * ffn + c, up, count, wide);
    }
};

template <class E, class GATE>
static void run_gate(const char *operation, operand *out, const operand *gate_up, int rows, int ffn) {
    gating<E, GATE> op = {(E *)out, (const E *)gate_up, ffn};

    over_rows(operation, op, rows, ffn, on_16_bytes(out, gate_up));
}

void swiglu_cuda(operand *out, const operand *gate_up, int rows, int ffn) {
    run_gate<float, silu_gate>("swiglu", out, gate_up, rows, ffn);
}

void swiglu_bf16_cuda(operand *out, const operand *gate_up, int rows, int ffn) {
    run_gate<bf16, silu_gate>("swiglu", out, gate_up, rows, ffn);
}

void geglu_cuda(operand *out, const operand *gate_up, int rows, int ffn) {
    run_gate<float, gelu_gate>("geglu", out, gate_up, rows, ffn);
}

void geglu_bf16_cuda(operand *out, const operand *gate_up, int rows, int ffn) {
    run_gate<bf16, gelu_gate>("geglu", out, gate_up, rows, ffn);
}

template <class E, class GATE> struct gating_backward {
    static const int EACH = group<E>::SIZE;
    E *dgate_up;
    const float *dy;
    const E *gate_up;
    int ffn;

    __device__ __forceinline__ void operator()(size_t row, int c, int count, bool wide) const {
        size_t at = row * 2 * ffn + c;
        float slope[EACH], gate[EACH], up[EACH];

        take<EACH>(slope, dy + row * ffn + c, count, wide);
        take<EACH>(gate, gate_up + at, count, wide);
        take<EACH>(up, gate_up + at + ffn, count, wide);
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            up[i] = slope[i] * up[i] * GATE::slope(gate[i]);
            gate[i] = slope[i] * GATE::of(gate[i]);
        }
        give<EACH>(dgate_up + at, up, count, wide);
        give<EACH>(dgate_up + at + ffn, gate, count, wide);
    }
};

template <class E, class GATE>
static void run_gate_backward(const char *operation, operand *dgate_up, const float *dy,
                              const operand *gate_up, int rows, int ffn) {
    gating_backward<E, GATE> op = {(E *)dgate_up, dy, (const E *)gate_up, ffn};

    over_rows(operation, op, rows, ffn, on_16_bytes(dgate_up, dy, gate_up));
}

void swiglu_backward_cuda(operand *dgate_up, const float *dy, const operand *gate_up, int rows, int ffn) {
    run_gate_backward<float, silu_gate>("swiglu_backward", dgate_up, dy, gate_up, rows, ffn);
}

void swiglu_backward_bf16_cuda(operand *dgate_up, const float *dy, const operand *gate_up, int rows,
                               int ffn) {
    run_gate_backward<bf16, silu_gate>("swiglu_backward", dgate_up, dy, gate_up, rows, ffn);
}

void geglu_backward_cuda(operand *dgate_up, const float *dy, const operand *gate_up, int rows, int ffn) {
    run_gate_backward<float, gelu_gate>("geglu_backward", dgate_up, dy, gate_up, rows, ffn);
}

void geglu_backward_bf16_cuda(operand *dgate_up, const float *dy, const operand *gate_up, int rows, int ffn) {
    run_gate_backward<bf16, gelu_gate>("geglu_backward", dgate_up, dy, gate_up, rows, ffn);
}

struct capping {
    float limit;

    __device__ __forceinline__ float operator()(float x) const {
        return limit * (2 * sigmoid(2 * (x / limit)) - 1);
    }
};

void cap_cuda(float *x, size_t count, float limit) {
    map_array("cap", x, x, count, capping{limit});
}

struct capping_backward {
    float limit;

    __device__ __forceinline__ float operator()(float dx, float y) const {
        float share = y / limit, slope = 1 - share * share;

        return dx * (slope > 0 ? slope : 0);
    }
};

void cap_backward_cuda(operand *dx, const float *y, size_t count, float limit) {
    update_array("cap_backward", (float *)dx, y, count, capping_backward{limit});
}

void cap_backward_bf16_cuda(operand *dx, const float *y, size_t count, float limit) {
    update_array("cap_backward", (bf16 *)dx, y, count, capping_backward{limit});
}

struct adding {
    __device__ __forceinline__ float operator()(float out, float x) const {
        return out + x;
    }
};

void add_cuda(float *out, const float *x, size_t count) {
    update_array("add", out, x, count, adding{});
}

struct scaling {
    float scale;

    __device__ __forceinline__ float operator()(float x) const {
        return scale * x;
    }
};

void narrow_cuda(operand *out, const float *x, float scale, size_t count) {
    map_array("narrow", (float *)out, x, count, scaling{scale});
}

void narrow_bf16_cuda(operand *out, const float *x, float scale, size_t count) {
    map_array("narrow", (bf16 *)out, x, count, scaling{scale});
}
