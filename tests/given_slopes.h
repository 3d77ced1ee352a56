/* Slopes of a model's scores that a test has, for head_score_train(). */
#ifndef TESTS_GIVEN_SLOPES_H
#define TESTS_GIVEN_SLOPES_H

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
