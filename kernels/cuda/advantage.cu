#include "kernels/cuda/device.cuh"

#define ROWS 4 /* that a block takes, a warp each */

/* A row's tokens go by in tiles of a warp, the last first. What of a token needs no other is worked out by a
 * lane of its own; the chain is the same in all lanes. */
static __device__ void advantage_row(float *out, float *returns, const float *reward, const float *value,
                                     int count, double gamma, double lambda) {
    int lane = threadIdx.x;
    double running = 0;

    for (int from = (count - 1) / WARP * WARP; from >= 0; from -= WARP) {
        int t = from + lane, last = count - from < WARP ? count - from : WARP;
        double next = t + 1 < count ? value[t + 1] : 0, own = t < count ? value[t] : 0, mine = 0;
        double delta = t < count ? reward[t] + gamma * next - own : 0;

        for (int i = last - 1; i >= 0; i--) {
            running = __shfl_sync(EVERYONE, delta, i) + gamma * lambda * running;
            if (i == lane) mine = running;
        }
        if (t < count) {
            out[t] = (float)mine;
            returns[t] = (float)(mine + own);
        }
    }
}

static __global__ void advantage_kernel(float *out, float *returns, const float *reward, const float *value,
                                        const int *start, int rows, double gamma, double lambda) {
    int r = blockIdx.x * ROWS + threadIdx.y;
    int at = r < rows ? start[r] : 0, count = r < rows ? start[r + 1] - at : 0;

    if (count) advantage_row(out + at, returns + at, reward + at, value + at, count, gamma, lambda);
}

void advantage_cuda(float *out, float *returns, const float *reward, const float *value, const int *start,
                    int rows, double gamma, double lambda) {
    if (rows == 0) return;
    launch("advantage", advantage_kernel, blocks_for(rows, ROWS), dim3(WARP, ROWS), 0, out, returns, reward,
           value, start, rows, gamma, lambda);
}
