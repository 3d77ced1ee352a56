/* Slopes that a test has, for head_train() and head_score_train(). */
#ifndef TESTS_GIVEN_SLOPES_H
#define TESTS_GIVEN_SLOPES_H

struct slopes {
    const float *weight, *spread; /* [count] */
};

/* loss = -sum weight logprob - sum spread entropy */
static inline void slope(void *context, int first, int count, const float *logprob, const float *entropy,
                         float *out, float *entropy_out) {
    const struct slopes *slopes = context;

    (void)logprob, (void)entropy;
    for (int i = 0; i < count; i++) {
        out[i] = -slopes->weight[first + i];
        if (entropy_out) entropy_out[i] = -slopes->spread[first + i];
    }
}

/* d loss / d score: slope[count][heads]. */
struct given {
    const float *slope;
    int heads;
};

static inline void give(void *context, int first, int count, const float *score, float *out) {
    const struct given *given = context;

    (void)score;
    for (int i = 0; i < count * given->heads; i++) out[i] = given->slope[first * given->heads + i];
}

#endif
