#include "trainers/advantage.h"

#include <math.h>
#include <stddef.h>

void advantage_estimate(float *advantage, float *returns, const float *reward, const float *value,
                        const int *start, int rows, double gamma, double lambda) {
    for (int r = 0; r < rows; r++) {
        double next_value = 0, running = 0;

        for (int t = start[r + 1] - 1; t >= start[r]; t--) {
            running = reward[t] + gamma * next_value - value[t] + gamma * lambda * running;
            next_value = value[t];
            advantage[t] = (float)running;
            returns[t] = (float)(running + value[t]);
        }
    }
}

static void mean_variance(const float *values, int count, double *mean, double *variance) {
    double sum = 0, squares = 0;

    for (int i = 0; i < count; i++) sum += values[i];
    *mean = count ? sum / count : 0;
    for (int i = 0; i < count; i++) squares += (values[i] - *mean) * (values[i] - *mean);
    *variance = count ? squares / count : 0;
}

void whiten(float *values, int count, int keep_mean) {
    double mean, variance, scale;

    mean_variance(values, count, &mean, &variance);
    scale = 1 / sqrt(variance + 1e-8);
    for (int i = 0; i < count; i++) values[i] = (float)((values[i] - mean) * scale + (keep_mean ? mean : 0));
}

static double clamp(double x, double low, double high) {
    return x < low ? low : x > high ? high : x;
}

double ppo_policy_loss(double logprob, double old, double advantage, double clip, double *slope,
                       int *clipped) {
    double ratio = exp(logprob - old);
    double free = -advantage * ratio, held = -advantage * clamp(ratio, 1 - clip, 1 + clip);

    *clipped = held > free;
    *slope = *clipped ? 0 : free;
    return *clipped ? held : free;
}

double ppo_value_loss(double value, double old, double returns, double clip, double *slope) {
    double free = value - returns, held = old + clamp(value - old, -clip, clip) - returns;

    if (held * held > free * free) {
        *slope = fabs(value - old) < clip ? held : 0;
        return 0.5 * held * held;
    }
    *slope = free;
    return 0.5 * free * free;
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
