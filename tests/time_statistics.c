/* Processor seconds, on one thread, of the estimators that a report waits for: the median of five runs. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "harness/rng.h"
#include "harness/statistics.h"
#include "harness/statistics_length.h"
#include "harness/statistics_rank.h"

enum { RUNS = 5, PROMPTS = 1000, ROWS = 4, METRICS = 10, CASES = 805, MODELS = 8 };

static double sums[METRICS][PROMPTS], weights[METRICS][PROMPTS];
static double delta[CASES], preference[CASES], difficulty[CASES], gamed[4][CASES];
static struct contest contests[MODELS * CASES];

static double seconds(void) {
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void fill(void) {
    struct rng rng = rng_stream(1, "time", 0, 0);

    for (int m = 0; m < METRICS; m++)
        for (int i = 0; i < PROMPTS * ROWS; i++) {
            sums[m][i / ROWS] += rng_normal(&rng);
            weights[m][i / ROWS] += 1;
        }
    for (int i = 0; i < MODELS * CASES; i++) {
        int first = rng_below(&rng, MODELS), second = (first + 1 + rng_below(&rng, MODELS - 1)) % MODELS;

        contests[i] = (struct contest){first, second, rng_chance(&rng, 1 / (1 + exp(0.3 * (first - second)))),
                                       1, i / MODELS};
    }
    for (int i = 0; i < CASES; i++) {
        delta[i] = -300 + 500 * rng_normal(&rng);
        difficulty[i] = rng_normal(&rng);
        preference[i] = rng_chance(&rng, 1 / (1 + exp(2 * tanh(delta[i] / 500) - 0.5 * difficulty[i])));
        for (int g = 0; g < 4; g++) gamed[g][i] = g % 2 ? rng_uniform(&rng) : 150 * rng_normal(&rng);
    }
}

static void resample(void) {
    struct bootstrap how = {1, 10000, 0.95, BOOTSTRAP_PERCENTILE};
    struct bootstrapped out;
    struct error err;

    for (int m = 0; m < METRICS; m++)
        if (bootstrap_mean(&out, sums[m], weights[m], PROMPTS, &how, &err)) exit(1);
}

/* BCa of the same, with its jackknife. */
static void correct(void) {
    struct bootstrap how = {1, 10000, 0.95, BOOTSTRAP_BCA};
    struct bootstrapped out;
    struct error err;

    if (bootstrap_mean(&out, sums[0], weights[0], PROMPTS, &how, &err)) exit(1);
}

static void flip(void) {
    struct error err;
    double p;

    if (sign_flip(&p, sums[0], PROMPTS, 1, &err)) exit(1);
}

static void rank(void) {
    struct ranking_form form = {.models = MODELS, .has_order = 1, .level = 0.95};
    struct ranking out;
    struct error err;

    if (ranking_fit(&out, contests, MODELS * CASES, &form, &err) ||
        ranking_resample(&out, contests, MODELS * CASES, &form, 1, 1000, &err))
        exit(1);
    ranking_free(&out);
}

static void control_with_interval(void) {
    struct length_data data = {
        CASES, delta, preference, difficulty, {{gamed[0], gamed[1]}, {gamed[2], gamed[3]}}};
    struct bootstrap how = {1, 2000, 0.95, BOOTSTRAP_PERCENTILE};
    struct length_fit out;
    struct error err;

    if (length_controlled(&out, &data, LENGTH_FULL, NAN, &how, &err)) exit(1);
}

static void control(void) {
    struct length_data data = {
        CASES, delta, preference, difficulty, {{gamed[0], gamed[1]}, {gamed[2], gamed[3]}}};
    struct length_fit out;
    struct error err;

    if (length_controlled(&out, &data, LENGTH_FULL, NAN, NULL, &err)) exit(1);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void measure(const char *what, void (*work)(void)) {
    double took[RUNS];

    for (int r = 0; r < RUNS; r++) {
        double from = seconds();

        work();
        took[r] = seconds() - from;
    }
    qsort(took, RUNS, sizeof *took, by_size);
    printf("%s: %.3f s (%.3f to %.3f)\n", what, took[RUNS / 2], took[0], took[RUNS - 1]);
}

int main(void) {
    omp_set_num_threads(1);
    fill();
    measure("10000 resamples of 1000 prompts (4 rows each), 10 metrics", resample);
    measure("BCa of one metric, the same resamples", correct);
    measure("sign-flip test of 1000 differences, 100000 patterns", flip);
    measure("length-controlled fit of 805 prompts with two gamed baselines, C by 5 folds", control);
    measure("the same with a refitting interval, 2000 resamples", control_with_interval);
    measure("Bradley-Terry of 8 models, 6440 contests of 805 prompts, 1000 resamples", rank);
    return 0;
}
