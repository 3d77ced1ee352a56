#include <math.h>
#include <stdlib.h>

#include "harness/memory.h"
#include "harness/statistics.h"

static double cube(double x) {
    return x * x * x;
}

/* The line at x[at] through the neighbours [left, right], tricube and robustness weights; R leaves out what
   is beyond 0.999 of the reach, and takes 0.001 of it as no distance. */
static double line_at(const double *x, const double *y, const double *robust, int n, int left, int right,
                      int at) {
    double reach = fmax(x[at] - x[left], x[right] - x[at]), total = 0, centre = 0, spread = 0, value = 0;
    double *weights = xcalloc((size_t)n, sizeof *weights);
    int last = left;

    for (int j = left; j < n; j++) {
        double away = fabs(x[j] - x[at]);

        if (away > 0.999 * reach) {
            if (x[j] > x[at]) break;
            continue;
        }
        weights[j] = (away > 0.001 * reach ? cube(1 - cube(away / reach)) : 1) * robust[j];
        total += weights[j];
        last = j;
    }
    if (total <= 0) {
        free(weights);
        return y[at];
    }
    for (int j = left; j <= last; j++) centre += (weights[j] /= total) * x[j];
    for (int j = left; j <= last; j++) spread += weights[j] * (x[j] - centre) * (x[j] - centre);
    for (int j = left; j <= last; j++) {
        double tilt =
            sqrt(spread) > 0.001 * (x[n - 1] - x[0]) ? (x[at] - centre) * (x[j] - centre) / spread : 0;

        value += weights[j] * (1 + tilt) * y[j];
    }
    free(weights);
    return value;
}

static void fit_lines(double *fitted, const double *x, const double *y, const double *robust, int n,
                      int nearest) {
    int left = 0;

    for (int i = 0; i < n; i++) {
        while (left + nearest < n && x[i] - x[left] > x[left + nearest] - x[i]) left++;
        fitted[i] = line_at(x, y, robust, n, left, left + nearest - 1, i);
    }
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Bisquare weights of the residuals at six times their median. 0: the fit is exact enough to stop. */
static int set_robust(double *robust, const double *fitted, const double *y, int n) {
    double *sizes = xmalloc((size_t)n * sizeof *sizes), six, mean = 0;

    for (int i = 0; i < n; i++) {
        sizes[i] = fabs(y[i] - fitted[i]);
        mean += sizes[i] / n;
    }
    qsort(sizes, (size_t)n, sizeof *sizes, by_value);
    six = 3 * (sizes[n / 2] + sizes[(n - 1) / 2]);
    for (int i = 0; i < n; i++) {
        double size = fabs(y[i] - fitted[i]), u = size / six;

        robust[i] = size <= 0.001 * six ? 1 : size > 0.999 * six ? 0 : (1 - u * u) * (1 - u * u);
    }
    free(sizes);
    return six >= 1e-7 * mean;
}

int lowess(double *fitted, const double *x, const double *y, int n, double share, int rounds,
           struct error *err) {
    int nearest = (int)(share * n + 1e-7);
    double *robust;

    if (n < 2) return fail(err, "%d point(s): a smooth line needs two", n);
    if (!(share > 0 && share <= 1)) return fail(err, "a share of %g, expected one in (0, 1]", share);
    if (statistics_check(x, n, err) || statistics_check(y, n, err)) return -1;
    for (int i = 1; i < n; i++)
        if (!(x[i] >= x[i - 1])) return fail(err, "x is not ascending at point %d", i + 1);
    nearest = nearest < 2 ? 2 : nearest > n ? n : nearest;
    robust = xmalloc((size_t)n * sizeof *robust);
    for (int i = 0; i < n; i++) robust[i] = 1;
    fit_lines(fitted, x, y, robust, n, nearest);
    for (int round = 0; round < rounds && set_robust(robust, fitted, y, n); round++)
        fit_lines(fitted, x, y, robust, n, nearest);
    free(robust);
    return 0;
}
