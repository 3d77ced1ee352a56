#include <math.h>
#include <stdlib.h>

#include "harness/memory.h"
#include "harness/statistics_agree.h"

/* Of items with two or more ratings: the ratings' number, sum and sum of squares, and what stands within
 * items. */
struct rated {
    double count, sum, squares, within;
};

/* Σ over pairs (x - y)² = 2 (m Σx² - (Σx)²): of each item divided by m - 1, and of all ratings together. */
static double alpha_of(const void *data, const int *picked, int count) {
    const struct rated *clusters = data;
    struct rated all = {0};
    double between;

    for (int i = 0; i < count; i++) {
        const struct rated *cluster = &clusters[picked[i]];

        all.within += cluster->within;
        all.count += cluster->count;
        all.sum += cluster->sum;
        all.squares += cluster->squares;
    }
    between = all.count * all.squares - all.sum * all.sum;
    return between > 0 ? 1 - (all.count - 1) * all.within / between : NAN;
}

/* Adds an item to its cluster; 0 where it has fewer than two ratings. */
static int add_item(struct rated *cluster, const double *ratings, int raters, double origin) {
    struct rated item = {0};

    for (int r = 0; r < raters; r++) {
        double one = ratings[r] - origin;

        if (isnan(one)) continue;
        item.count++;
        item.sum += one;
        item.squares += one * one;
    }
    if (item.count < 2) return 0;
    cluster->within += (item.count * item.squares - item.sum * item.sum) / (item.count - 1);
    cluster->count += item.count;
    cluster->sum += item.sum;
    cluster->squares += item.squares;
    return 1;
}

/* One of the ratings to measure the others from: squares lose no digits to a large mean, and equal ratings
 * are 0. */
static double origin_of(const double *ratings, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!isnan(ratings[i])) return ratings[i];
    return 0;
}

static int clusters_among(const int *cluster, int items) {
    int most = 0;

    for (int i = 0; i < items; i++)
        if (cluster && cluster[i] >= most) most = cluster[i] + 1;
    return cluster ? most : items;
}

/* Those with a rated item, in order. */
static int keep_rated(struct rated *clusters, int count) {
    int kept = 0;

    for (int i = 0; i < count; i++)
        if (clusters[i].count > 0) clusters[kept++] = clusters[i];
    return kept;
}

int krippendorff_interval(struct agreement *out, const double *ratings, int items, int raters,
                          const int *cluster, const struct bootstrap *how, struct error *err) {
    int room = clusters_among(cluster, items), count, status = -1;
    struct rated *clusters = xcalloc((size_t)room + 1, sizeof *clusters);
    int *every = xmalloc(((size_t)room + 1) * sizeof *every);
    double origin = origin_of(ratings, (size_t)items * (size_t)raters);
    struct bootstrapped resampled;

    *out = (struct agreement){.value = NAN, .low = NAN, .high = NAN, .raw = NAN};
    for (int i = 0; i < items; i++)
        out->n += add_item(&clusters[cluster ? cluster[i] : i], ratings + (size_t)i * raters, raters, origin);
    count = keep_rated(clusters, room);
    for (int i = 0; i < count; i++) every[i] = i;
    if (count) out->value = alpha_of(clusters, every, count);
    if (!count)
        fail(err, "no item has two ratings");
    else if (isnan(out->value))
        fail(err, "all ratings are the same: agreement beyond chance is not defined");
    else
        status = 0;
    if (!status && how) {
        status = bootstrap_run(&resampled, alpha_of, clusters, count, how, err);
        out->low = status ? NAN : resampled.low;
        out->high = status ? NAN : resampled.high;
    }
    free(every);
    free(clusters);
    return status;
}
