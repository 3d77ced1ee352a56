/* For cross_check.py: reads cases from the standard input, one a line, and prints what harness/statistics
   makes of each, a line of numbers or "error" and the sentence. A case is a function's name and its arrays,
   each the count and the values. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/statistics.h"
#include "harness/statistics_agree.h"
#include "harness/statistics_length.h"
#include "harness/statistics_power.h"
#include "harness/statistics_rank.h"

enum { ARRAYS_MOST = 8, RESULTS_MOST = 16384 };

struct array {
    double *values;
    int *ints; /* the same, cut to whole numbers */
    int count;
};

/* Results go to `out`; returns how many, or -1. */
typedef int shown(double *out, const struct array *in, struct error *err);

static int put(double *out, int count, const double *values) {
    memcpy(out, values, (size_t)count * sizeof *out);
    return count;
}

#define PUT(...) put(out, sizeof((double[]){__VA_ARGS__}) / sizeof(double), (double[]){__VA_ARGS__})

static int put_estimate(double *out, int status, const struct estimate *got) {
    return status ? -1 : PUT(got->value, got->error, got->low, got->high, got->t, got->freedom, got->p);
}

static int put_correlation(double *out, int status, const struct correlation *got) {
    return status ? -1 : PUT(got->value, got->low, got->high, got->statistic, got->p);
}

static int show_wilson(double *out, const struct array *in, struct error *err) {
    const double *x = in[0].values;
    struct interval got;

    return rate_wilson(&got, x[0], x[1], x[2], err) ? -1 : PUT(got.low, got.high);
}

static int show_clopper_pearson(double *out, const struct array *in, struct error *err) {
    struct interval got;

    return rate_clopper_pearson(&got, in[0].ints[0], in[0].ints[1], in[0].values[2], err)
               ? -1
               : PUT(got.low, got.high);
}

static int show_rate_difference(double *out, const struct array *in, struct error *err) {
    const int *k = in[0].ints;
    struct estimate got;

    return rate_difference(&got, k[0], k[1], k[2], k[3], 0.95, err) ? -1 : PUT(got.value, got.low, got.high);
}

static int show_rate_paired(double *out, const struct array *in, struct error *err) {
    const int *k = in[0].ints;
    struct estimate got;

    return rate_paired(&got, k[0], k[1], k[2], k[3], 0.95, err) ? -1
                                                                : PUT(got.value, got.low, got.high, got.p);
}

static int show_mcnemar(double *out, const struct array *in, struct error *err) {
    const int *k = in[0].ints;
    double plain, p, corrected, p_corrected;

    (void)err;
    mcnemar_chi_square(&plain, &p, k[0], k[1], 0);
    mcnemar_chi_square(&corrected, &p_corrected, k[0], k[1], 1);
    return PUT(mcnemar_exact(k[0], k[1]), mcnemar_mid(k[0], k[1]), plain, p, corrected, p_corrected);
}

static int show_fisher(double *out, const struct array *in, struct error *err) {
    const int *k = in[0].ints;
    double p;

    return fisher_exact(&p, k[0], k[1], k[2], k[3], err) ? -1 : PUT(p);
}

static int show_odds_ratio(double *out, const struct array *in, struct error *err) {
    const int *k = in[0].ints;
    double ratio;

    return odds_ratio(&ratio, k[0], k[1], k[2], k[3], err) ? -1 : PUT(ratio);
}

static int show_sign_test(double *out, const struct array *in, struct error *err) {
    double p;

    return sign_test(&p, in[0].ints[0], in[0].ints[1], err) ? -1 : PUT(p);
}

static int show_mean(double *out, const struct array *in, struct error *err) {
    struct estimate got;

    return put_estimate(out, mean_simple(&got, in[0].values, in[0].count, 0.95, err), &got);
}

static int show_mean_paired(double *out, const struct array *in, struct error *err) {
    struct estimate got;

    return put_estimate(out, mean_paired(&got, in[0].values, in[1].values, NULL, in[0].count, 0.95, err),
                        &got);
}

static int show_mean_clustered(double *out, const struct array *in, struct error *err) {
    struct estimate got;

    return put_estimate(out, mean_clustered(&got, in[0].values, in[1].ints, in[0].count, 0.95, err), &got);
}

static int show_mean_difference(double *out, const struct array *in, struct error *err) {
    struct estimate got;

    return put_estimate(
        out, mean_difference(&got, in[0].values, in[0].count, in[1].values, in[1].count, 0.95, err), &got);
}

static int show_win_rate(double *out, const struct array *in, struct error *err) {
    struct estimate got;

    return win_rate(&got, in[0].values, in[0].count, 0.95, err) ? -1
                                                                : PUT(got.value, got.low, got.high, got.p);
}

static int show_sign_flip(double *out, const struct array *in, struct error *err) {
    double p;

    return sign_flip(&p, in[0].values, in[0].count, 1, err) ? -1 : PUT(p);
}

static int show_quantile(double *out, const struct array *in, struct error *err) {
    double got;

    return quantile(&got, in[0].values, in[0].count, in[1].values[0], err) ? -1 : PUT(got);
}

static int show_adjust(double *out, const struct array *in, struct error *err) {
    int n = in[0].count;

    (void)err;
    adjust_bonferroni(out, in[0].values, n);
    adjust_holm(out + n, in[0].values, n);
    adjust_benjamini_hochberg(out + 2 * n, in[0].values, n);
    return 3 * n;
}

static int show_paired_power(double *out, const struct array *in, struct error *err) {
    const double *x = in[0].values; /* the design's fields, effect, n */
    struct paired_design design = {x[0], x[1], x[2], x[3], x[4], x[5], x[6]};

    (void)err;
    return PUT(paired_sample_size(&design, x[7]), paired_detectable(&design, x[8]),
               paired_power(&design, x[8], x[7]));
}

static int show_rate_power(double *out, const struct array *in, struct error *err) {
    const double *x = in[0].values; /* n, two rates, alpha, power */
    double one, exact, two, two_power, least;

    if (rate_sample_size(&one, 0.5, x[1], x[3], x[4], err) ||
        sign_test_power(&exact, (int)x[0], x[1], x[3], err) ||
        two_rates_sample_size(&two, x[1], x[2], x[3], x[4], err) ||
        two_rates_power(&two_power, x[0], x[1], x[2], x[3], err))
        return -1;
    if (two_rates_detectable(&least, x[0], x[1], x[3], x[4], err)) least = -1;
    return PUT(one, exact, two, two_power, least, cohens_h(x[1], x[2]));
}

static int show_mcnemar_power(double *out, const struct array *in, struct error *err) {
    const double *x = in[0].values;
    double power;

    return mcnemar_power(&power, (int)x[0], x[1], x[2], x[3], err) ? -1 : PUT(power);
}

static int show_bootstrap(double *out, const struct array *in, struct error *err) {
    struct bootstrap how = {(uint64_t)in[2].values[0], 10000, 0.95, BOOTSTRAP_PERCENTILE};
    struct bootstrapped plain, corrected;

    if (bootstrap_mean(&plain, in[0].values, in[1].values, in[0].count, &how, err)) return -1;
    how.kind = BOOTSTRAP_BCA;
    if (bootstrap_mean(&corrected, in[0].values, in[1].values, in[0].count, &how, err)) return -1;
    return PUT(plain.value, plain.error, plain.low, plain.high, corrected.low, corrected.high,
               corrected.skew);
}

static int show_pearson(double *out, const struct array *in, struct error *err) {
    struct correlation got;

    return put_correlation(out, pearson(&got, in[0].values, in[1].values, in[0].count, 0.95, err), &got);
}

static int show_spearman(double *out, const struct array *in, struct error *err) {
    struct correlation got;

    return put_correlation(out, spearman(&got, in[0].values, in[1].values, in[0].count, 0.95, err), &got);
}

static int show_spearman_exact(double *out, const struct array *in, struct error *err) {
    double p;

    return spearman_exact(&p, in[0].values, in[1].values, in[0].count, err) ? -1 : PUT(p);
}

static int show_kendall(double *out, const struct array *in, struct error *err) {
    struct correlation got;

    return kendall(&got, in[0].values, in[1].values, in[0].count, err) ? -1 : PUT(got.value, got.p);
}

static int show_kendall_exact(double *out, const struct array *in, struct error *err) {
    double p;

    return kendall_exact(&p, in[0].values, in[1].values, in[0].count, err) ? -1 : PUT(p);
}

static int show_partial_pearson(double *out, const struct array *in, struct error *err) {
    struct correlation got;

    return put_correlation(
        out, partial_pearson(&got, in[0].values, in[1].values, in[2].values, in[0].count, 0.95, err), &got);
}

static int show_partial_spearman(double *out, const struct array *in, struct error *err) {
    struct correlation got;

    return put_correlation(
        out, partial_spearman(&got, in[0].values, in[1].values, in[2].values, in[0].count, 0.95, err), &got);
}

static int show_lowess(double *out, const struct array *in, struct error *err) {
    return lowess(out, in[0].values, in[1].values, in[0].count, in[2].values[0], in[2].ints[1], err)
               ? -1
               : in[0].count;
}

static int show_gao(double *out, const struct array *in, struct error *err) {
    struct gao_fit got;

    return gao_fit(&got, (enum gao_form)in[2].ints[0], in[0].values, in[1].values, in[0].count, err)
               ? -1
               : PUT(got.alpha, got.beta, got.alpha_error, got.beta_error, got.has_peak, got.peak_at,
                     got.peak, got.inside);
}

static int show_best_of_n(double *out, const struct array *in, struct error *err) {
    double got;

    return best_of_n(&got, in[0].values, in[1].values, in[0].count, in[2].ints[0], err) ? -1 : PUT(got);
}

static int show_pass_at(double *out, const struct array *in, struct error *err) {
    double got;

    return pass_at(&got, in[0].ints[0], in[0].ints[1], in[0].ints[2], err) ? -1 : PUT(got);
}

static int show_cohen(double *out, const struct array *in, struct error *err) {
    struct agreement got;
    int categories = in[2].ints[0];

    return cohen_kappa(&got, in[0].ints, in[1].ints, in[0].count, categories,
                       (enum kappa_weights)in[2].ints[1], NULL, err)
               ? -1
               : PUT(got.value, got.raw);
}

static int show_fleiss(double *out, const struct array *in, struct error *err) {
    int raters = in[1].ints[0];
    struct agreement got;

    return fleiss_kappa(&got, in[0].ints, in[0].count / raters, raters, in[1].ints[1], NULL, err)
               ? -1
               : PUT(got.value, got.n);
}

static int show_krippendorff(double *out, const struct array *in, struct error *err) {
    int raters = in[1].ints[0];
    struct agreement got;

    return krippendorff_alpha(&got, in[0].ints, in[0].count / raters, raters, in[1].ints[1], NULL, err)
               ? -1
               : PUT(got.value, got.n);
}

static int show_krippendorff_interval(double *out, const struct array *in, struct error *err) {
    int raters = in[1].ints[0];
    struct agreement got;

    return krippendorff_interval(&got, in[0].values, in[0].count / raters, raters, NULL, NULL, err)
               ? -1
               : PUT(got.value, got.n);
}

static int show_positions(double *out, const struct array *in, struct error *err) {
    struct positions got;

    return positions_measure(&got, in[0].values, in[1].values, NULL, in[0].count, 0.95, err)
               ? -1
               : PUT(got.consistency, got.consistency_at.low, got.consistency_at.high, got.first_slot,
                     got.first_slot_at.low, got.first_slot_at.high, got.p);
}

static int show_longer_preferred(double *out, const struct array *in, struct error *err) {
    struct estimate got;

    return longer_preferred(&got, in[0].values, in[1].values, in[0].count, 0.95, err)
               ? -1
               : PUT(got.value, got.low, got.high, got.p);
}

static int show_calibration(double *out, const struct array *in, struct error *err) {
    struct calibration got;

    return calibration_measure(&got, in[0].values, in[1].ints, in[0].count, in[2].ints[0], err)
               ? -1
               : PUT(got.brier, got.log_loss, got.auc, got.ece);
}

/* Variant and C (NaN: chosen); lengths, preferences, difficulty or nothing, gamed lengths and preferences. */
static int show_length(double *out, const struct array *in, struct error *err) {
    struct length_data data = {in[1].count,
                               in[1].values,
                               in[2].values,
                               in[3].count ? in[3].values : NULL,
                               {{NULL, NULL}, {NULL, NULL}}};
    struct length_fit got;

    for (int g = 0; g < 2 && in[4 + 2 * g].count; g++)
        data.gamed[g] = (struct gamed){in[4 + 2 * g].values, in[5 + 2 * g].values};
    return length_controlled(&got, &data, (enum length_variant)in[0].ints[0], in[0].values[1], NULL, err)
               ? -1
               : PUT(got.phi, got.psi, got.theta, got.value, got.raw, got.c, got.spread);
}

static int show_difficulty(double *out, const struct array *in, struct error *err) {
    int models = in[1].ints[0], prompts = in[0].count / models;

    return length_difficulty(out, in[0].values, models, prompts, err) ? -1 : prompts;
}

/* Models and whether there is an order effect; first, second, score, weight, cluster; one style or nothing.
 */
static int show_ranking(double *out, const struct array *in, struct error *err) {
    int count = in[1].count, n = 0;
    struct contest *contests = xmalloc(((size_t)count + 1) * sizeof *contests);
    struct ranking_form form = {.models = in[0].ints[0],
                                .has_order = in[0].ints[1],
                                .styles = in[6].values,
                                .style_count = in[6].count > 0,
                                .level = 0.95};
    struct ranking got;
    int status;

    for (int i = 0; i < count; i++)
        contests[i] =
            (struct contest){in[1].ints[i], in[2].ints[i], in[3].values[i], in[4].values[i], in[5].ints[i]};
    status = ranking_fit(&got, contests, count, &form, err);
    free(contests);
    if (status) return -1;
    for (int m = 1; m < got.models; m++) {
        out[n++] = got.abilities[m].value;
        out[n++] = got.abilities[m].error;
        out[n++] = got.abilities[m].robust;
    }
    if (got.has_order) n += put(out + n, 3, (double[]){got.order.value, got.order.error, got.order.robust});
    if (got.style_count)
        n += put(out + n, 3, (double[]){got.styles[0].value, got.styles[0].error, got.styles[0].robust});
    out[n++] = got.deviance;
    out[n++] = got.freedom;
    ranking_free(&got);
    return n;
}

/* Right before and after, approval before and after; shares or nothing. */
static int show_sophistry(double *out, const struct array *in, struct error *err) {
    int n = in[0].count;
    struct sophistry_item *items = xmalloc(((size_t)n + 1) * sizeof *items);
    struct sophistry before, after;
    int status;

    for (int i = 0; i < n; i++)
        items[i] = (struct sophistry_item){in[0].ints[i], in[1].ints[i], in[2].values[i], in[3].values[i]};
    status = sophistry_measure(&before, &after, items, n, in[4].count ? in[4].values : NULL, err);
    free(items);
    return status
               ? -1
               : PUT(before.correctness, before.approval, before.error, before.false_positive,
                     after.correctness, after.approval, after.error, after.false_positive, after.both_wrong);
}

static const struct {
    const char *name;
    shown *show;
} functions[] = {
    {"rate_wilson", show_wilson},
    {"rate_clopper_pearson", show_clopper_pearson},
    {"rate_difference", show_rate_difference},
    {"rate_paired", show_rate_paired},
    {"mcnemar", show_mcnemar},
    {"fisher_exact", show_fisher},
    {"odds_ratio", show_odds_ratio},
    {"sign_test", show_sign_test},
    {"mean_simple", show_mean},
    {"mean_paired", show_mean_paired},
    {"mean_clustered", show_mean_clustered},
    {"mean_difference", show_mean_difference},
    {"win_rate", show_win_rate},
    {"sign_flip", show_sign_flip},
    {"quantile", show_quantile},
    {"adjust", show_adjust},
    {"paired_power", show_paired_power},
    {"rate_power", show_rate_power},
    {"mcnemar_power", show_mcnemar_power},
    {"bootstrap_mean", show_bootstrap},
    {"pearson", show_pearson},
    {"spearman", show_spearman},
    {"spearman_exact", show_spearman_exact},
    {"kendall", show_kendall},
    {"kendall_exact", show_kendall_exact},
    {"partial_pearson", show_partial_pearson},
    {"partial_spearman", show_partial_spearman},
    {"lowess", show_lowess},
    {"gao_fit", show_gao},
    {"best_of_n", show_best_of_n},
    {"pass_at", show_pass_at},
    {"cohen_kappa", show_cohen},
    {"fleiss_kappa", show_fleiss},
    {"krippendorff_alpha", show_krippendorff},
    {"krippendorff_interval", show_krippendorff_interval},
    {"positions_measure", show_positions},
    {"longer_preferred", show_longer_preferred},
    {"calibration_measure", show_calibration},
    {"length_controlled", show_length},
    {"length_difficulty", show_difficulty},
    {"ranking_fit", show_ranking},
    {"sophistry_measure", show_sophistry},
};

/* Arrays up to the line's end; those that are not there are empty. */
static void read_arrays(struct array *in, char *at) {
    for (int a = 0; a < ARRAYS_MOST; a++) {
        in[a] = (struct array){0};
        in[a].count = (int)strtol(at, &at, 10);
        in[a].values = xcalloc((size_t)in[a].count + 1, sizeof *in[a].values);
        in[a].ints = xcalloc((size_t)in[a].count + 1, sizeof *in[a].ints);
        for (int i = 0; i < in[a].count; i++) {
            in[a].values[i] = strtod(at, &at);
            if (fabs(in[a].values[i]) < 2e9) in[a].ints[i] = (int)in[a].values[i];
        }
    }
}

static int show_line(char *line) {
    size_t length = strcspn(line, " \n"), f = 0, known = sizeof functions / sizeof *functions;
    double *out = xcalloc(RESULTS_MOST, sizeof *out);
    struct array in[ARRAYS_MOST];
    struct error err = {0};
    int count;

    while (f < known && (strlen(functions[f].name) != length || strncmp(functions[f].name, line, length)))
        f++;
    if (f == known) return fprintf(stderr, "no function: %s", line), 1;
    read_arrays(in, line + length);
    count = functions[f].show(out, in, &err);
    if (count < 0) printf("error %s", err.message);
    for (int i = 0; i < count; i++) printf("%s%.17g", i ? " " : "", out[i]);
    putchar('\n');
    for (int a = 0; a < ARRAYS_MOST; a++) {
        free(in[a].values);
        free(in[a].ints);
    }
    free(out);
    return 0;
}

int main(void) {
    char *line = NULL;
    size_t room = 0;
    int status = 0;

    while (!status && getline(&line, &room, stdin) > 0) status = show_line(line);
    free(line);
    return status;
}
