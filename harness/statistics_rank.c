#include "harness/statistics_rank.h"

#include <gsl/gsl_blas.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_linalg.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/rng.h"
#include "harness/statistics.h"

enum { STEPS_MOST = 100 };

/* Parameters: abilities but the reference's, then the order effect, then styles. */
struct design {
    const struct contest *contests;
    const struct ranking_form *form;
    int count, reference, terms;
};

static struct design design_of(const struct contest *contests, int count, const struct ranking_form *form) {
    return (struct design){contests, form, count, form->baseline < 0 ? 0 : form->baseline,
                           form->models - 1 + form->has_order + form->style_count};
}

/* Index of a model's parameter; -1 for the reference. */
static int ability_term(const struct design *design, int model) {
    if (model == design->reference) return -1;
    return model - (model > design->reference);
}

/* The row of the design matrix, whose only entries are these. */
struct row {
    int at[2];
    double order;
    const double *styles;
};

static struct row row_of(const struct design *design, int i) {
    const struct contest *contest = &design->contests[i];
    const struct ranking_form *form = design->form;

    return (struct row){{ability_term(design, contest->first), ability_term(design, contest->second)},
                        form->has_order,
                        form->style_count ? form->styles + (size_t)i * form->style_count : NULL};
}

static void spread(const struct design *design, const struct row *row, double *x) {
    int at = design->form->models - 1;

    memset(x, 0, design->terms * sizeof *x);
    if (row->at[0] >= 0) x[row->at[0]] += 1;
    if (row->at[1] >= 0) x[row->at[1]] -= 1;
    if (design->form->has_order) x[at++] = row->order;
    for (int s = 0; s < design->form->style_count; s++) x[at++] = row->styles[s];
}

static double linear(const struct design *design, const double *x, const double *beta) {
    double sum = 0;

    for (int i = 0; i < design->terms; i++) sum += x[i] * beta[i];
    return sum;
}

/* ln(1 + e^x) without overflow. */
static double log1p_exp(double x) {
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

/* Log-likelihood, gradient and information (negative Hessian) at beta; weights: of each contest. */
static double likelihood(const struct design *design, const double *rows, const double *weights,
                         const double *beta, double *gradient, gsl_matrix *information) {
    double sum = 0;
    int terms = design->terms;

    memset(gradient, 0, terms * sizeof *gradient);
    gsl_matrix_set_zero(information);
    for (int i = 0; i < design->count; i++) {
        const double *x = rows + (size_t)i * terms;
        double w = weights[i], eta, p, y = design->contests[i].score;

        if (w == 0) continue;
        eta = linear(design, x, beta);
        p = 1 / (1 + exp(-eta));
        sum += w * (y * eta - log1p_exp(eta));
        for (int a = 0; a < terms; a++) {
            if (x[a] == 0) continue;
            gradient[a] += w * (y - p) * x[a];
            for (int b = 0; b <= a; b++) *gsl_matrix_ptr(information, a, b) += w * p * (1 - p) * x[a] * x[b];
        }
    }
    for (int a = 0; a < terms; a++)
        for (int b = 0; b < a; b++) gsl_matrix_set(information, b, a, gsl_matrix_get(information, a, b));
    return sum;
}

/* Cholesky's factors in place. -1 if a pivot is rounding beside its diagonal entry: a term that others make.
 */
static int factorise(gsl_matrix *information) {
    size_t terms = information->size1;
    double *diagonal = xmalloc(terms * sizeof *diagonal);
    int status;

    for (size_t i = 0; i < terms; i++) diagonal[i] = gsl_matrix_get(information, i, i);
    status = gsl_linalg_cholesky_decomp1(information) ? -1 : 0;
    for (size_t i = 0; i < terms && !status; i++)
        if (pow(gsl_matrix_get(information, i, i), 2) <= 1e-12 * diagonal[i]) status = -1;
    free(diagonal);
    return status;
}

/* Solves information · step = gradient by Cholesky's factors, in place. -1 if it is not positive definite. */
static int newton_step(gsl_matrix *information, double *gradient, int terms) {
    gsl_vector_view right = gsl_vector_view_array(gradient, terms);
    int status = factorise(information);

    if (!status) gsl_linalg_cholesky_svx(information, &right.vector);
    return status;
}

/* What Newton's method works on. */
struct search {
    const struct design *design;
    const double *rows, *weights; /* [count][terms], [count] */
    double *beta, *gradient, *next;
    gsl_matrix *information;
    double height; /* the log-likelihood at beta */
    int steps;     /* taken */
};

/* How far the terms move a contest's logit: a size that does not depend on the units of styles. */
static double farthest(const struct search *search, const double *terms) {
    double most = 0;

    for (int i = 0; i < search->design->count; i++)
        if (search->weights[i] > 0)
            most = fmax(
                most, fabs(linear(search->design, search->rows + (size_t)i * search->design->terms, terms)));
    return most;
}

static double climb_to(struct search *search, double scale, const double *step) {
    for (int i = 0; i < search->design->terms; i++) search->next[i] = search->beta[i] + scale * step[i];
    return likelihood(search->design, search->rows, search->weights, search->next, search->gradient,
                      search->information);
}

/* One step, halved until the likelihood does not fall. 1: that was the last one needed. Where there is no
   finite maximum the steps go on until every chance is 0 or 1 to the last digit, and nothing is left of the
   information. */
static int climb(struct search *search, double *step, struct error *err) {
    int terms = search->design->terms;
    double scale = 1, height, size;

    memcpy(step, search->gradient, terms * sizeof *step);
    if (newton_step(search->information, step, terms))
        return search->steps
                   ? fail(err, "no finite maximum: some term explains every outcome (separation)")
                   : fail(err, "the terms cannot be told apart: their information matrix is singular");
    search->steps++;
    size = farthest(search, step);
    while ((height = climb_to(search, scale, step)) < search->height - 1e-9 * fabs(search->height) &&
           scale > 1e-6)
        scale /= 2;
    search->height = height;
    memcpy(search->beta, search->next, terms * sizeof *step);
    return size < 1e-11 * fmax(1, farthest(search, search->beta));
}

/* From the beta given; *information is that of the result. */
static int maximise(const struct design *design, const double *rows, const double *weights, double *beta,
                    gsl_matrix *information, struct error *err) {
    size_t bytes = design->terms * sizeof(double);
    struct search search = {design, rows, weights, beta, xmalloc(bytes), xmalloc(bytes), information, 0, 0};
    double *step = xmalloc(bytes);
    int status = 0;

    search.height = likelihood(design, rows, weights, beta, search.gradient, information);
    for (int i = 0; i < STEPS_MOST && !status; i++) status = climb(&search, step, err);
    if (!status) status = fail(err, "Newton's method did not converge in %d steps", STEPS_MOST);
    free(search.gradient);
    free(search.next);
    free(step);
    return status < 0 ? -1 : 0;
}

static double *spread_all(const struct design *design) {
    double *rows = xmalloc((size_t)design->count * design->terms * sizeof *rows);

    for (int i = 0; i < design->count; i++) {
        struct row row = row_of(design, i);
        spread(design, &row, rows + (size_t)i * design->terms);
    }
    return rows;
}

/* Contests as a graph (kept as reach[model]): models that `from` reaches by winning (forward) or losing. */
static void reach(char *reached, int from, int models, const struct contest *contests, int count,
                  int forward) {
    int grows = 1;

    memset(reached, 0, models);
    reached[from] = 1;
    while (grows) {
        grows = 0;
        for (int i = 0; i < count; i++) {
            const struct contest *contest = &contests[i];
            double to_second = forward ? contest->score : 1 - contest->score;

            if (contest->weight <= 0) continue;
            if (reached[contest->first] && !reached[contest->second] && to_second > 0)
                grows = reached[contest->second] = 1;
            if (reached[contest->second] && !reached[contest->first] && to_second < 1)
                grows = reached[contest->first] = 1;
        }
    }
}

int ranking_groups(int *group, int models, const struct contest *contests, int count) {
    int groups = 0, grows = 1;

    for (int i = 0; i < models; i++) group[i] = i;
    while (grows) {
        grows = 0;
        for (int i = 0; i < count; i++) {
            int *a = &group[contests[i].first], *b = &group[contests[i].second];

            if (*a == *b || contests[i].weight <= 0) continue;
            *a = *b = *a < *b ? *a : *b;
            grows = 1;
        }
    }
    for (int i = 0; i < models; i++) group[i] = group[i] == i ? groups++ : group[group[i]];
    return groups;
}

static void name_models(struct text *out, const struct ranking_form *form, const char *chosen, int wanted) {
    int named = 0, many = 0;

    for (int i = 0; i < form->models; i++) {
        if ((chosen[i] != 0) != wanted) continue;
        if (named == 8) {
            many++;
            continue;
        }
        text_printf(out, "%s", named++ ? ", " : "");
        if (form->names)
            text_printf(out, "%s", form->names[i]);
        else
            text_printf(out, "model %d", i + 1);
    }
    if (many) text_printf(out, " and %d more", many);
}

/* The maximum is finite where every model reaches every other by a chain of wins (Ford 1957). */
static int check_graph(const struct contest *contests, int count, const struct ranking_form *form,
                       struct error *err) {
    char *reached = xmalloc(form->models);
    int *group = xmalloc(form->models * sizeof *group), groups, status = 0;
    struct text names = {0};

    groups = ranking_groups(group, form->models, contests, count);
    if (groups > 1) {
        for (int g = 0; g < groups; g++) {
            for (int i = 0; i < form->models; i++) reached[i] = group[i] == g;
            if (g) text_printf(&names, "; ");
            name_models(&names, form, reached, 1);
        }
        status = fail(err, "no contest connects these groups of models: %s", names.data);
        goto out;
    }
    for (int forward = 0; forward < 2 && !status; forward++) {
        reach(reached, 0, form->models, contests, count, forward);
        if (!memchr(reached, 0, form->models)) continue;
        name_models(&names, form, reached, !forward);
        status = fail(err, "%s never lost to the other models, so no finite abilities fit (separation)",
                      names.data);
    }
out:
    free(names.data);
    free(group);
    free(reached);
    return status;
}

static int cluster_count(const struct contest *contests, int count) {
    int clusters = 0;

    for (int i = 0; i < count; i++)
        if (contests[i].cluster >= clusters) clusters = contests[i].cluster + 1;
    return clusters;
}

/* Σ over clusters of (Σ of scores)(Σ of scores)ᵀ: the middle of the sandwich. */
static void sum_scores(const struct design *design, const double *rows, const double *weights,
                       const double *beta, gsl_matrix *out) {
    int terms = design->terms, clusters;
    double *scores;

    clusters = cluster_count(design->contests, design->count);
    scores = xcalloc((size_t)clusters * terms, sizeof *scores);
    for (int i = 0; i < design->count; i++) {
        const double *x = rows + (size_t)i * terms;
        double *score = scores + (size_t)design->contests[i].cluster * terms;
        double off = design->contests[i].score - 1 / (1 + exp(-linear(design, x, beta)));

        for (int a = 0; a < terms; a++) score[a] += weights[i] * off * x[a];
    }
    gsl_matrix_set_zero(out);
    for (int c = 0; c < clusters; c++)
        for (int a = 0; a < terms; a++)
            for (int b = 0; b < terms; b++)
                *gsl_matrix_ptr(out, a, b) += scores[(size_t)c * terms + a] * scores[(size_t)c * terms + b];
    free(scores);
}

/* What a term of the result is of the parameters: combination[terms]. */
static void combine(const struct design *design, int term, double *combination) {
    int models = design->form->models, own = term < models ? ability_term(design, term) : term - 1;

    memset(combination, 0, design->terms * sizeof *combination);
    if (own >= 0) combination[own] = 1;
    if (term >= models || design->form->baseline >= 0) return;
    for (int i = 0; i < models - 1; i++) combination[i] -= 1.0 / models;
}

static double variance_of(const double *combination, const gsl_matrix *covariance, int terms) {
    double sum = 0;

    for (int a = 0; a < terms; a++)
        for (int b = 0; b < terms; b++)
            sum += combination[a] * combination[b] * gsl_matrix_get(covariance, a, b);
    return sum > 0 ? sum : 0;
}

/* out = a·b·a, all symmetric. */
static void sandwich(gsl_matrix *out, const gsl_matrix *a, const gsl_matrix *b) {
    gsl_matrix *half = gsl_matrix_alloc(a->size1, a->size1);

    gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, a, b, 0, half);
    gsl_blas_dgemm(CblasNoTrans, CblasNoTrans, 1, half, a, 0, out);
    gsl_matrix_free(half);
}

static struct term *term_of(struct ranking *ranking, int term) {
    if (term < ranking->models) return &ranking->abilities[term];
    term -= ranking->models;
    if (ranking->has_order && term-- == 0) return &ranking->order;
    return &ranking->styles[term];
}

static int term_count(const struct ranking *ranking) {
    return ranking->models + ranking->has_order + ranking->style_count;
}

static void set_terms(struct ranking *out, const struct design *design, const double *beta,
                      const gsl_matrix *covariance, const gsl_matrix *robust) {
    double *combination = xmalloc(design->terms * sizeof *combination);
    double z = gsl_cdf_ugaussian_Pinv(0.5 + design->form->level / 2);

    for (int i = 0; i < term_count(out); i++) {
        struct term *term = term_of(out, i);

        combine(design, i, combination);
        term->value = linear(design, combination, beta);
        term->error = sqrt(variance_of(combination, covariance, design->terms));
        term->robust = sqrt(variance_of(combination, robust, design->terms));
        term->low = term->value - z * term->robust;
        term->high = term->value + z * term->robust;
    }
    free(combination);
}

static int by_pair(const void *a, const void *b) {
    const struct contest *x = *(const struct contest *const *)a, *y = *(const struct contest *const *)b;
    if (x->first != y->first) return x->first - y->first;
    return x->second - y->second;
}

static double deviance_of(double wins, double games, double chance) {
    double losses = games - wins;

    return 2 * ((wins > 0 ? wins * log(wins / (games * chance)) : 0) +
                (losses > 0 ? losses * log(losses / (games * (1 - chance))) : 0));
}

/* Contests of one ordered pair are one binomial observation, unless styles make each its own. */
static void set_deviance(struct ranking *out, const struct design *design, const double *rows,
                         const double *beta) {
    const struct contest **order = xmalloc(design->count * sizeof *order);
    int groups = 0;

    for (int i = 0; i < design->count; i++) order[i] = &design->contests[i];
    if (!design->form->style_count) qsort(order, design->count, sizeof *order, by_pair);
    for (int i = 0; i < design->count;) {
        const double *x = rows + (size_t)(order[i] - design->contests) * design->terms;
        double wins = 0, games = 0;
        int first = i;

        for (; i == first ||
               (i < design->count && !design->form->style_count && !by_pair(&order[first], &order[i]));
             i++) {
            wins += order[i]->weight * order[i]->score;
            games += order[i]->weight;
        }
        if (games <= 0) continue;
        out->deviance += deviance_of(wins, games, 1 / (1 + exp(-linear(design, x, beta))));
        groups++;
    }
    out->freedom = groups - design->terms;
    free(order);
}

static int check_contests(const struct contest *contests, int count, const struct ranking_form *form,
                          struct error *err) {
    if (form->models < 2) return fail(err, "%d model(s): a ranking needs two", form->models);
    if (count < 1) return fail(err, "no contests");
    for (int i = 0; i < count; i++) {
        const struct contest *contest = &contests[i];

        if (contest->first < 0 || contest->first >= form->models || contest->second < 0 ||
            contest->second >= form->models || contest->first == contest->second)
            return fail(err, "contest %d is not between two of the %d models", i + 1, form->models);
        if (!(contest->score >= 0 && contest->score <= 1) || !(contest->weight >= 0) || contest->cluster < 0)
            return fail(err,
                        "contest %d: a score in [0, 1], a weight and a cluster of 0 or more were expected",
                        i + 1);
    }
    return form->style_count ? statistics_check(form->styles, count * form->style_count, err) : 0;
}

static double *weights_of(const struct contest *contests, int count) {
    double *weights = xmalloc(count * sizeof *weights);

    for (int i = 0; i < count; i++) weights[i] = contests[i].weight;
    return weights;
}

/* Inverts in place. */
static int invert(gsl_matrix *information, struct error *err) {
    int status = factorise(information) || gsl_linalg_cholesky_invert(information);

    return status ? fail(err, "the terms cannot be told apart: their information matrix is singular") : 0;
}

int ranking_fit(struct ranking *out, const struct contest *contests, int count,
                const struct ranking_form *form, struct error *err) {
    struct design design = design_of(contests, count, form);
    gsl_matrix *covariance = NULL, *middle = NULL, *robust = NULL;
    double *rows = NULL, *weights = NULL, *beta = NULL;
    int status = -1;

    *out = (struct ranking){
        .models = form->models, .style_count = form->style_count, .has_order = form->has_order};
    gsl_set_error_handler_off();
    if (check_contests(contests, count, form, err) || check_graph(contests, count, form, err)) return -1;
    covariance = gsl_matrix_alloc(design.terms, design.terms);
    middle = gsl_matrix_alloc(design.terms, design.terms);
    robust = gsl_matrix_alloc(design.terms, design.terms);
    rows = spread_all(&design);
    weights = weights_of(contests, count);
    beta = xcalloc(design.terms, sizeof *beta);
    if (maximise(&design, rows, weights, beta, covariance, err) || invert(covariance, err)) goto out;
    sum_scores(&design, rows, weights, beta, middle);
    sandwich(robust, covariance, middle);
    out->abilities = xcalloc(form->models, sizeof *out->abilities);
    out->styles = xcalloc(form->style_count + 1, sizeof *out->styles);
    set_terms(out, &design, beta, covariance, robust);
    set_deviance(out, &design, rows, beta);
    status = 0;
out:
    free(rows);
    free(weights);
    free(beta);
    gsl_matrix_free(covariance);
    gsl_matrix_free(middle);
    gsl_matrix_free(robust);
    return status;
}

/* Terms of the resamples, [terms][resamples] so that each can be sorted; NaN where there was no fit. */
struct resamples {
    const struct design *design;
    const double *rows, *start;
    double *values;
    int terms, clusters, count;
    uint64_t seed;
};

static int is_separated(const struct design *design, const double *weights) {
    struct contest *kept = xmalloc(design->count * sizeof *kept);
    struct error err;
    int status;

    memcpy(kept, design->contests, design->count * sizeof *kept);
    for (int i = 0; i < design->count; i++) kept[i].weight = weights[i];
    status = check_graph(kept, design->count, design->form, &err);
    free(kept);
    return status != 0;
}

static void resample_once(const struct resamples *all, int index) {
    const struct design *design = all->design;
    struct rng rng = rng_stream(all->seed, "ranking", index, 0);
    double *weights = xmalloc(design->count * sizeof *weights), *beta = xmalloc(design->terms * sizeof *beta);
    double *combination = xmalloc(design->terms * sizeof *combination);
    int *times = xcalloc(all->clusters, sizeof *times), fitted;
    gsl_matrix *information = gsl_matrix_alloc(design->terms, design->terms);
    struct error err;

    for (int i = 0; i < all->clusters; i++) times[rng_below(&rng, all->clusters)]++;
    for (int i = 0; i < design->count; i++)
        weights[i] = design->contests[i].weight * times[design->contests[i].cluster];
    memcpy(beta, all->start, design->terms * sizeof *beta);
    fitted = !is_separated(design, weights) && !maximise(design, all->rows, weights, beta, information, &err);
    for (int t = 0; t < all->terms; t++) {
        combine(design, t, combination);
        all->values[(size_t)t * all->count + index] = fitted ? linear(design, combination, beta) : NAN;
    }
    gsl_matrix_free(information);
    free(weights);
    free(beta);
    free(combination);
    free(times);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Percentiles of what exists; sorts the values. */
static void set_percentiles(double *values, int count, double level, double *low, double *high) {
    int used = 0;

    for (int i = 0; i < count; i++)
        if (!isnan(values[i])) values[used++] = values[i];
    qsort(values, used, sizeof *values, by_value);
    *low = gsl_stats_quantile_from_sorted_data(values, 1, used, (1 - level) / 2);
    *high = gsl_stats_quantile_from_sorted_data(values, 1, used, (1 + level) / 2);
}

/* The rank of each model in each resample, before the values are sorted. */
static void set_ranks(struct ranking *ranking, const struct resamples *all, double level) {
    double *ranks = xmalloc(all->count * sizeof *ranks), low, high;

    free(ranking->rank_low);
    free(ranking->rank_high);
    ranking->rank_low = xcalloc(ranking->models, sizeof *ranking->rank_low);
    ranking->rank_high = xcalloc(ranking->models, sizeof *ranking->rank_high);
    for (int m = 0; m < ranking->models; m++) {
        for (int r = 0; r < all->count; r++) {
            double own = all->values[(size_t)m * all->count + r];

            ranks[r] = isnan(own) ? NAN : 1;
            for (int other = 0; other < ranking->models; other++)
                ranks[r] += all->values[(size_t)other * all->count + r] > own;
        }
        set_percentiles(ranks, all->count, level, &low, &high);
        ranking->rank_low[m] = (int)floor(low + 0.5);
        ranking->rank_high[m] = (int)floor(high + 0.5);
    }
    free(ranks);
}

int ranking_resample(struct ranking *ranking, const struct contest *contests, int count,
                     const struct ranking_form *form, uint64_t seed, int resamples, struct error *err) {
    struct design design = design_of(contests, count, form);
    double *rows = spread_all(&design), *start = xcalloc(design.terms, sizeof *start);
    struct resamples all = {.design = &design,
                            .rows = rows,
                            .start = start,
                            .terms = term_count(ranking),
                            .clusters = cluster_count(contests, count),
                            .count = resamples,
                            .seed = seed};
    int status = 0;

    all.values = xmalloc((size_t)all.terms * resamples * sizeof *all.values);
    for (int m = 0; m < form->models; m++)
        if (ability_term(&design, m) >= 0)
            start[ability_term(&design, m)] =
                ranking->abilities[m].value - ranking->abilities[design.reference].value;
    for (int t = form->models; t < all.terms; t++) start[t - 1] = term_of(ranking, t)->value;
#pragma omp parallel for schedule(dynamic)
    for (int r = 0; r < resamples; r++) resample_once(&all, r);
    ranking->used = 0;
    for (int r = 0; r < resamples; r++) ranking->used += !isnan(all.values[r]);
    if (all.clusters < 2)
        status = fail(err, all.clusters ? "one cluster: resampling needs two"
                                        : "no cluster: resampling needs two");
    else if (ranking->used < 0.9 * resamples)
        status =
            fail(err, "only %d of %d resamples have finite abilities (separation)", ranking->used, resamples);
    if (!status) {
        set_ranks(ranking, &all, form->level);
        for (int t = 0; t < all.terms; t++) {
            struct term *term = term_of(ranking, t);
            set_percentiles(all.values + (size_t)t * resamples, resamples, form->level, &term->low,
                            &term->high);
        }
    }
    free(all.values);
    free(rows);
    free(start);
    return status;
}

void ranking_free(struct ranking *ranking) {
    free(ranking->abilities);
    free(ranking->styles);
    free(ranking->rank_low);
    free(ranking->rank_high);
    *ranking = (struct ranking){0};
}

double ranking_elo(double ability) {
    return 1000 + 400 / M_LN10 * ability;
}

double ranking_chance(const struct ranking *ranking, int model, int opponent) {
    return 1 / (1 + exp(ranking->abilities[opponent].value - ranking->abilities[model].value));
}
