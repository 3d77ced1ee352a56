#include <math.h>
#include <stdlib.h>

#include "harness/memory.h"
#include "harness/statistics_agree.h"

/* Of one item with two or more ratings: their number, sum and sum of squares. */
struct rated {
    double count, sum, squares;
};

/* Σ over pairs (x - y)² = 2 (m Σx² - (Σx)²): of each item divided by m - 1, and of all ratings together. */
static double alpha_of(const void *data, const int *picked, int count) {
    const struct rated *items = data;
    struct rated all = {0};
    double within = 0, between;

    for (int i = 0; i < count; i++) {
        const struct rated *item = &items[picked[i]];

        within += (item->count * item->squares - item->sum * item->sum) / (item->count - 1);
        all.count += item->count;
        all.sum += item->sum;
        all.squares += item->squares;
    }
    between = all.count * all.squares - all.sum * all.sum;
    return between > 0 ? 1 - (all.count - 1) * within / between : NAN;
}

static struct rated rate(const double *ratings, int raters, double origin) {
    struct rated out = {0};

    for (int r = 0; r < raters; r++) {
        double one = ratings[r] - origin;

        if (isnan(one)) continue;
        out.count++;
        out.sum += one;
        out.squares += one * one;
    }
    return out;
}

/* One of the ratings to measure the others from: squares lose no digits to a large mean, and equal ratings
 * are 0. */
static double origin_of(const double *ratings, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!isnan(ratings[i])) return ratings[i];
    return 0;
}

int krippendorff_interval(struct agreement *out, const double *ratings, int items, int raters,
                          const struct bootstrap *how, struct error *err) {
    struct rated *kept = xmalloc(((size_t)items + 1) * sizeof *kept);
    int *every = xmalloc(((size_t)items + 1) * sizeof *every), count = 0, status = -1;
    double origin = origin_of(ratings, (size_t)items * (size_t)raters);
    struct bootstrapped resampled;
    struct error ignored;

    for (int i = 0; i < items; i++) {
        kept[count] = rate(ratings + (size_t)i * raters, raters, origin);
        if (kept[count].count < 2) continue;
        every[count] = count;
        count++;
    }
    *out = (struct agreement){.value = NAN, .low = NAN, .high = NAN, .raw = NAN, .n = count};
    if (count) out->value = alpha_of(kept, every, count);
    if (!count)
        fail(err, "no item has two ratings");
    else if (isnan(out->value))
        fail(err, "all ratings are the same: agreement beyond chance is not defined");
    else
        status = 0;
    if (!status && how && !bootstrap_run(&resampled, alpha_of, kept, count, how, &ignored)) {
        out->low = resampled.low;
        out->high = resampled.high;
    }
    free(every);
    free(kept);
    return status;
}
