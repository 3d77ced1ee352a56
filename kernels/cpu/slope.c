#include "kernels/cpu/vector.h"

static double clipped_to(double x, double low, double high) {
    return x < low ? low : x > high ? high : x;
}

/* Adds a token's terms; d loss / d logprob. */
static double policy_token(double *sums, double change, double advantage, double share, double clip) {
    double ratio = exp(change);
    double free = -advantage * ratio, held = -advantage * clipped_to(ratio, 1 - clip, 1 + clip);
    int clipped = held > free;

    sums[POLICY_LOSS] += share * (clipped ? held : free);
    sums[POLICY_CLIPPED] += share * clipped;
    sums[POLICY_RATIO] += share * ratio;
    sums[POLICY_MOVED] += share * (ratio - 1 - change);
    sums[POLICY_GAP] = fmax(sums[POLICY_GAP], fabs(change));
    return clipped ? 0 : free;
}

void CPU(policy_slope)(float *slope, float *entropy_slope, double *sums, const float *logprob,
                       const float *entropy, const float *old, const float *advantage, const int *item,
                       int count, double share, double clip, double bonus) {
    for (int i = 0; i < count; i++) {
        double change = (double)logprob[i] - old[item[i]];

        slope[i] = (float)(share * policy_token(sums, change, advantage[item[i]], share, clip));
        if (entropy) sums[POLICY_ENTROPY] += share * entropy[i];
        if (entropy_slope) entropy_slope[i] = (float)(-bonus * share);
    }
}

/* The loss; d loss / d value in slope. */
static double value_token(double *slope, double value, double old, double returns, double clip) {
    double free = value - returns, held = old + clipped_to(value - old, -clip, clip) - returns;

    if (held * held > free * free) {
        *slope = fabs(value - old) < clip ? held : 0;
        return 0.5 * held * held;
    }
    *slope = free;
    return 0.5 * free * free;
}

void CPU(value_slope)(float *slope, double *sum, const float *value, const float *old, const float *returns,
                      const int *item, int count, double share, double weight, double clip) {
    for (int i = 0; i < count; i++) {
        double by_value;

        *sum += share * value_token(&by_value, value[i], old[item[i]], returns[item[i]], clip);
        slope[i] = (float)(weight * by_value);
    }
}

/* -log sigmoid(margin); d loss / d margin in slope. */
static double margin_loss(double *slope, double margin) {
    double e = exp(-fabs(margin));

    *slope = margin >= 0 ? -e / (1 + e) : -1 / (1 + e);
    return (margin < 0 ? -margin : 0) + log1p(e);
}

void CPU(pair_slope)(float *slope, double *sums, const float *score, int pairs, int heads, double share,
                     double l2) {
    for (int i = 0; i < pairs * heads; i++) {
        int chosen = i / heads * 2 * heads + i % heads, rejected = chosen + heads;
        double a = score[chosen], b = score[rejected], by_margin;

        sums[0] += share * (margin_loss(&by_margin, a - b) + l2 * (a * a + b * b) / 2);
        sums[1] += share * (a > b ? 1 : a == b ? 0.5 : 0);
        slope[chosen] = (float)(share * (by_margin + l2 * a));
        slope[rejected] = (float)(share * (-by_margin + l2 * b));
    }
}
