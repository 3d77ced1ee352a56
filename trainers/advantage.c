#include "trainers/advantage.h"

static double clamp(double x, double low, double high) {
    return x < low ? low : x > high ? high : x;
}

double explained_variance(const float *returns, const float *values, int count) {
    double mean = 0, total = 0, rest_mean = 0, rest = 0;

    for (int i = 0; i < count; i++) {
        mean += returns[i] / (double)count;
        rest_mean += ((double)returns[i] - values[i]) / count;
    }
    for (int i = 0; i < count; i++) {
        double error = (double)returns[i] - values[i] - rest_mean;

        total += (returns[i] - mean) * (returns[i] - mean);
        rest += error * error;
    }
    return total > 0 ? 1 - rest / total : 0;
}

double adapt_beta(double beta, double kl, double target, double episodes, double horizon) {
    return beta * (1 + clamp(kl / target - 1, -0.2, 0.2) * episodes / horizon);
}

static int same_window(const int *a, const int *b) {
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

double repetition(const int *tokens, int count) {
    int windows = count - 2, repeated = 0;

    for (int i = 1; i < windows; i++)
        for (int j = 0; j < i; j++)
            if (same_window(tokens + i, tokens + j)) {
                repeated++;
                break;
            }
    return windows > 0 ? (double)repeated / windows : 0;
}
