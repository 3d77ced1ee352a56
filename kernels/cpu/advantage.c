#include "kernels/cpu/vector.h"

static void advantage_row(float *out, float *returns, const float *reward, const float *value, int count,
                          double gamma, double lambda) {
    double next = 0, running = 0;

    for (int t = count - 1; t >= 0; t--) {
        running = reward[t] + gamma * next - value[t] + gamma * lambda * running;
        next = value[t];
        out[t] = (float)running;
        returns[t] = (float)(running + value[t]);
    }
}

void CPU(advantage)(float *out, float *returns, const float *reward, const float *value, const int *start,
                    int rows, double gamma, double lambda) {
    for (int r = 0; r < rows; r++) {
        int at = start[r];

        advantage_row(out + at, returns + at, reward + at, value + at, start[r + 1] - at, gamma, lambda);
    }
}
