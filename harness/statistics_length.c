#include "harness/statistics_length.h"

#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"

enum { PHI, PSI, THETA, TERMS };
enum { FOLDS = 5, STEPS_MOST = 200, PROMPTS_LEAST = 10 };

/* numpy's logspace(-4, 4, 10). */
const double length_grid[LENGTH_GRID] = {1e-4,
                                         7.742636826811270e-4,
                                         5.994842503189409e-3,
                                         4.641588833612782e-2,
                                         3.593813663804626e-1,
                                         2.782559402207126,
                                         2.154434690031882e1,
                                         1.668100537200059e2,
                                         1.291549665014884e3,
                                         1e4};

const char *length_variant_name(enum length_variant variant) {
    static const char *const names[] = {"full", "no-regulariser", "minimal"};
    return names[variant];
}

/* One weighted row of the regression. */
struct row {
    double x[TERMS], y, weight;
    int prompt;
};

struct rows {
    struct row *items;
    int count;
    int active[TERMS]; /* terms that are fitted */
};

static double softplus(double x) {
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double linear(const struct row *row, const double *w) {
    return row->x[PHI] * w[PHI] + row->x[PSI] * w[PSI] + row->x[THETA] * w[THETA];
}

/* Weighted cross-entropy of the rows outside `fold` (-1: all), with slope and curvature unless they are NULL.
 */
static double loss_of(const struct rows *rows, const double *w, int fold, double *slope,
                      double (*curvature)[TERMS]) {
    double loss = 0;

    if (slope) memset(slope, 0, TERMS * sizeof *slope);
    if (curvature) memset(curvature, 0, TERMS * sizeof *curvature);
    for (int i = 0; i < rows->count; i++) {
        const struct row *row = &rows->items[i];
        double eta, p, bend;

        if (row->prompt % FOLDS == fold) continue;
        eta = linear(row, w);
        loss += row->weight * (softplus(eta) - row->y * eta);
        if (!slope) continue;
        p = 1 / (1 + exp(-eta));
        bend = row->weight * p * (1 - p);
        for (int a = 0; a < TERMS; a++) {
            slope[a] += row->weight * (p - row->y) * row->x[a];
            for (int b = 0; b <= a; b++) curvature[a][b] += bend * row->x[a] * row->x[b];
        }
    }
    for (int a = 0; slope && a < TERMS; a++)
        for (int b = 0; b < a; b++) curvature[b][a] = curvature[a][b];
    return loss;
}

static double soften(double x, double by) {
    return x > by ? x - by : x < -by ? x + by : 0;
}

/* Minimises slope·d + ½ d·curvature·d + penalty·‖w + d‖₁ by coordinate descent. */
static void quadratic_step(double *d, const struct rows *rows, const double *w, const double *slope,
                           double (*curvature)[TERMS], double penalty) {
    double moved;
    int sweeps = 0;

    memset(d, 0, TERMS * sizeof *d);
    do {
        moved = 0;
        for (int a = 0; a < TERMS; a++) {
            double bend = curvature[a][a], pull = slope[a], next;

            if (!rows->active[a] || bend <= 0) continue;
            for (int b = 0; b < TERMS; b++) pull += b == a ? 0 : curvature[a][b] * d[b];
            next = soften(w[a] - pull / bend, penalty / bend) - w[a];
            moved = fmax(moved, fabs(next - d[a]));
            d[a] = next;
        }
    } while (moved > 1e-14 && ++sweeps < 10000);
}

static double absolute(const double *w) {
    return fabs(w[PHI]) + fabs(w[PSI]) + fabs(w[THETA]);
}

/* Some combination of the terms has no information left beside its rows' size: every chance that it moves is
   0 or 1 to the last digit, or another term makes it. By elimination. */
static int is_flat(const struct rows *rows, double (*curvature)[TERMS]) {
    double left[TERMS][TERMS];

    memcpy(left, curvature, sizeof left);
    for (int a = 0; a < TERMS; a++) {
        double size = 0;

        if (!rows->active[a]) continue;
        for (int i = 0; i < rows->count; i++)
            size += rows->items[i].weight * rows->items[i].x[a] * rows->items[i].x[a];
        if (left[a][a] <= 1e-10 * size) return 1;
        for (int b = a + 1; b < TERMS; b++)
            for (int c = a + 1; c < TERMS; c++) left[b][c] -= left[b][a] * left[a][c] / left[a][a];
    }
    return 0;
}

/* Proximal Newton on loss + penalty·‖w‖₁ from the w given. -1: no finite minimum. */
static int minimise(double *w, const struct rows *rows, int fold, double penalty) {
    double slope[TERMS], curvature[TERMS][TERMS], d[TERMS], next[TERMS];

    for (int step = 0; step < STEPS_MOST; step++) {
        double now = loss_of(rows, w, fold, slope, curvature) + penalty * absolute(w), then, scale = 1,
               size = 0;

        quadratic_step(d, rows, w, slope, curvature, penalty);
        do {
            size = 0;
            for (int a = 0; a < TERMS; a++) {
                next[a] = w[a] + scale * d[a];
                size = fmax(size, fabs(scale * d[a]));
            }
            then = loss_of(rows, next, fold, NULL, NULL) + penalty * absolute(next);
            scale /= 2;
        } while (then > now + 1e-12 * fabs(now) && scale > 1e-9);
        memcpy(w, next, sizeof next);
        if (absolute(w) > 1e3) return -1;
        if (size < 1e-11) return penalty == 0 && is_flat(rows, curvature) ? -1 : 0;
    }
    return -1;
}

/* x = tanh(Δ / sd Δ), the sd of these rows alone. -1 where Δ does not vary. */
static int add_rows(struct rows *out, const struct length_data *data, const struct gamed *source,
                    double weight, int is_model) {
    double sd = gsl_stats_sd(source->delta, 1, data->n);

    if (!(sd > 0)) return -1;
    for (int i = 0; i < data->n; i++)
        out->items[out->count++] =
            (struct row){{tanh(source->delta[i] / sd), data->difficulty ? data->difficulty[i] : 0, is_model},
                         source->preference[i],
                         weight,
                         i};
    return 0;
}

/* -1: lengths do not vary. The items are the caller's. */
static int make_rows(struct rows *out, const struct length_data *data, enum length_variant variant) {
    struct gamed own = {data->delta, data->preference};
    struct length_data used = *data;

    if (variant == LENGTH_MINIMAL) used.difficulty = NULL;
    *out = (struct rows){xmalloc(3 * data->n * sizeof *out->items), 0, {1, used.difficulty != NULL, 1}};
    if (add_rows(out, &used, &own, 1, 1)) return -1;
    for (int g = 0; g < 2 && variant == LENGTH_FULL; g++)
        if (data->gamed[g].delta && add_rows(out, &used, &data->gamed[g], 0.1, 0)) return -1;
    return 0;
}

/* Mean weighted log-loss of a fold's rows under w, probabilities clipped to 1e-15. */
static double score_fold(const struct rows *rows, const double *w, int fold) {
    double loss = 0, weight = 0;

    for (int i = 0; i < rows->count; i++) {
        const struct row *row = &rows->items[i];
        double p;

        if (row->prompt % FOLDS != fold) continue;
        p = fmin(fmax(1 / (1 + exp(-linear(row, w))), 1e-15), 1 - 1e-15);
        loss -= row->weight * (row->y * log(p) + (1 - row->y) * log(1 - p));
        weight += row->weight;
    }
    return loss / weight;
}

/* The grid's C of the least mean loss over the folds, the smallest of equals; NaN if no fit is finite. */
static double choose_c(const struct rows *rows) {
    double losses[LENGTH_GRID] = {0}, best = NAN, least = HUGE_VAL;

    for (int fold = 0; fold < FOLDS; fold++) {
        double w[TERMS] = {0};

        for (int g = 0; g < LENGTH_GRID; g++) {
            if (minimise(w, rows, fold, 1 / length_grid[g])) {
                losses[g] = HUGE_VAL;
                memset(w, 0, sizeof w);
            }
            losses[g] += score_fold(rows, w, fold) / FOLDS;
        }
    }
    for (int g = 0; g < LENGTH_GRID; g++)
        if (losses[g] < least) {
            least = losses[g];
            best = length_grid[g];
        }
    return best;
}

/* Mean of σ(ψ·difficulty + θ), and the standard error of that mean. */
static double controlled(const struct length_data *data, const double *w, double *spread) {
    double *p = xmalloc(data->n * sizeof *p), mean;

    for (int i = 0; i < data->n; i++)
        p[i] = 1 / (1 + exp(-w[THETA] - (data->difficulty ? w[PSI] * data->difficulty[i] : 0)));
    mean = gsl_stats_mean(p, 1, data->n);
    if (spread) *spread = gsl_stats_sd_m(p, 1, data->n, mean) / sqrt(data->n);
    free(p);
    return mean;
}

/* What each resample fits again. */
struct refit {
    const struct length_data *data;
    enum length_variant variant;
    double c;
    const double *start;
};

static const double *pick_column(double **at, const double *from, const int *picked, int count) {
    double *to = *at;

    if (!from) return NULL;
    for (int i = 0; i < count; i++) to[i] = from[picked[i]];
    *at += count;
    return to;
}

static double refit(const void *context, const int *picked, int count) {
    const struct refit *how = context;
    const struct length_data *all = how->data;
    double *room = xmalloc((size_t)count * 7 * sizeof *room), *at = room, w[TERMS], value = NAN;
    struct length_data data = {.n = count};
    struct rows rows;

    data.delta = pick_column(&at, all->delta, picked, count);
    data.preference = pick_column(&at, all->preference, picked, count);
    data.difficulty =
        how->variant == LENGTH_MINIMAL ? NULL : pick_column(&at, all->difficulty, picked, count);
    for (int g = 0; g < 2; g++) {
        data.gamed[g].delta = pick_column(&at, all->gamed[g].delta, picked, count);
        data.gamed[g].preference = pick_column(&at, all->gamed[g].preference, picked, count);
    }
    memcpy(w, how->start, sizeof w);
    if (!make_rows(&rows, &data, how->variant) && !minimise(w, &rows, -1, 1 / how->c))
        value = controlled(&data, w, NULL);
    free(rows.items);
    free(room);
    return value;
}

static int check_data(const struct length_data *data, struct error *err) {
    if (data->n < PROMPTS_LEAST)
        return fail(err, "%d prompts: a length-controlled win rate needs %d", data->n, PROMPTS_LEAST);
    for (int i = 0; i < data->n; i++)
        if (!(data->preference[i] >= 0 && data->preference[i] <= 1) || !isfinite(data->delta[i]))
            return fail(err, "prompt %d: a preference in [0, 1] and a length were expected", i + 1);
    if (data->difficulty && statistics_check(data->difficulty, data->n, err)) return -1;
    for (int g = 0; g < 2; g++)
        if (data->gamed[g].delta && (statistics_check(data->gamed[g].delta, data->n, err) ||
                                     statistics_check(data->gamed[g].preference, data->n, err)))
            return -1;
    return 0;
}

int length_is_far(double raw, double value) {
    return value < raw - fmax(raw / 4, 0.1) || value > raw + fmax((1 - raw) / 4, 0.1);
}

static void set_result(struct length_fit *out, const struct length_data *data, const double *w) {
    out->phi = w[PHI];
    out->psi = w[PSI];
    out->theta = w[THETA];
    out->value = controlled(data, w, &out->spread);
    out->sd = gsl_stats_sd(data->delta, 1, data->n);
    out->far = length_is_far(out->raw, out->value);
}

int length_controlled(struct length_fit *out, const struct length_data *data, enum length_variant variant,
                      double c, const struct bootstrap *how, struct error *err) {
    struct length_data used = *data;
    double w[TERMS] = {0};
    struct rows rows = {0};
    int status = -1;

    *out = (struct length_fit){.variant = variant, .value = NAN, .low = NAN, .high = NAN, .error = NAN};
    if (check_data(data, err)) return -1;
    if (variant == LENGTH_MINIMAL) used.difficulty = NULL;
    out->raw = gsl_stats_mean(data->preference, 1, data->n);
    if (make_rows(&rows, &used, variant)) {
        fail(err, "the differences of length do not vary, so there is nothing to control");
        goto out;
    }
    out->c = variant != LENGTH_FULL ? HUGE_VAL : isnan(c) ? choose_c(&rows) : c;
    if (isnan(out->c) || minimise(w, &rows, -1, 1 / out->c)) {
        fail(err, "no finite fit: length or difficulty tells every preference (separation)");
        goto out;
    }
    set_result(out, &used, w);
    status = 0;
    if (how) {
        struct refit again = {&used, variant, out->c, w};
        struct bootstrapped resampled;

        status = bootstrap_run(&resampled, refit, &again, data->n, how, err);
        if (!status) {
            out->low = resampled.low;
            out->high = resampled.high;
            out->error = resampled.error;
        }
    }
out:
    free(rows.items);
    return status;
}

/* One Newton step of every model's θ given γ, then of every γ given θ. Returns the largest move. */
static double rasch_step(double *theta, double *gamma, const double *preference, int models, int prompts) {
    double moved = 0;

    for (int side = 0; side < 2; side++)
        for (int a = 0; a < (side ? prompts : models); a++) {
            double *own = side ? &gamma[a] : &theta[a], slope = 0, bend = 0, step;

            for (int b = 0; b < (side ? models : prompts); b++) {
                int m = side ? b : a, i = side ? a : b;
                double y = preference[(size_t)m * prompts + i], p = 1 / (1 + exp(gamma[i] - theta[m]));

                if (isnan(y)) continue;
                slope += side ? p - y : y - p;
                bend += p * (1 - p);
            }
            slope -= *own * (side ? 1 : 1e-3); /* the prior; a wide one keeps an all-winning model finite */
            bend += side ? 1 : 1e-3;
            step = slope / bend;
            *own += step;
            moved = fmax(moved, fabs(step));
        }
    return moved;
}

int length_difficulty(double *difficulty, const double *preference, int models, int prompts,
                      struct error *err) {
    double *theta;
    int steps = 0;

    if (models < 3) return fail(err, "%d model(s): the difficulty of prompts needs three", models);
    theta = xcalloc(models, sizeof *theta);
    memset(difficulty, 0, prompts * sizeof *difficulty);
    while (rasch_step(theta, difficulty, preference, models, prompts) > 1e-9 && ++steps < STEPS_MOST) {
    }
    free(theta);
    return steps < STEPS_MOST ? 0 : fail(err, "the difficulties did not converge in %d steps", STEPS_MOST);
}
