#include "kernels/cuda/sums.cuh"

struct square {
    __device__ double operator()(float x) const {
        return (double)x * (double)x;
    }
};

void sum_squares_cuda(double *out, const float *x, size_t count) {
    double *sums = (double *)device_scratch((sum_blocks_of(count) + 1) * sizeof *sums);

    if (sums) queue_sum("sum_squares", out, sums, x, count, square());
}
