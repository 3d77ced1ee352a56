#include "kernels/cuda/device.cuh"

#define THREADS 256

static __global__ void rope_kernel(float *x, const float *cosine, const float *sine, const int *position,
                                   size_t count, int heads, int half, int stride, float sign) {
    size_t task = (size_t)blockIdx.x * THREADS + threadIdx.x;

    if (task >= count) return;
    int i = (int)(task % half), head = (int)(task / half % heads);
    size_t t = task / half / heads, angle = (size_t)position[t] * half + i;
    float *at = x + t * stride + (size_t)head * 2 * half + i;
    float a = at[0], b = at[half], c = cosine[angle], s = sign * sine[angle];

    at[0] = a * c - b * s;
    at[half] = b * c + a * s;
}

void rope_cuda(operand *x, const float *cosine, const float *sine, const int *position, int count, int heads,
               int head_size, int stride, int inverse) {
    size_t tasks = (size_t)count * heads * (head_size / 2);

    if (tasks == 0) return;
    launch("rope", rope_kernel, blocks_for(tasks, THREADS), THREADS, 0, (float *)x, cosine, sine, position,
           tasks, heads, head_size / 2, stride, inverse ? -1.0f : 1.0f);
}
