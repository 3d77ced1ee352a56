#include "kernels/cuda/sums.cuh"

struct itself {
    __device__ double operator()(float x) const {
        return x;
    }
};

/* The square of how far off the mean it is. */
struct spread {
    const double *sum;
    double count;

    __device__ double operator()(float x) const {
        double off = x - *sum / count;

        return off * off;
    }
};

static __global__ void whiten_kernel(float *x, const double *sum, const double *squares, size_t count,
                                     bool keep_mean) {
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    double mean = *sum / (double)count, scale = 1 / sqrt(*squares / (double)count + 1e-8);

    if (i < count) x[i] = (float)((x[i] - mean) * scale + (keep_mean ? mean : 0));
}

void whiten_cuda(float *x, size_t count, int keep_mean) {
    double *sum = (double *)device_scratch((sum_blocks_of(count) + 2) * sizeof *sum);
    const int threads = 256;

    if (count == 0 || !sum) return;
    queue_sum("whiten", sum, sum + 2, x, count, itself());
    queue_sum("whiten", sum + 1, sum + 2, x, count, spread{sum, (double)count});
    launch("whiten", whiten_kernel, blocks_for(count, threads), threads, 0, x, (const double *)sum,
           (const double *)(sum + 1), count, keep_mean != 0);
}
