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

static struct rated rate(const double *ratings, int raters, double middle) {
    struct rated out = {0};

    for (int r = 0; r < raters; r++) {
        double one = ratings[r] - middle;

        if (isnan(one)) continue;
        out.count++;
        out.sum += one;
        out.squares += one * one;
    }
    return out;
}

static double middle_of(const double *ratings, size_t count) {
    double sum = 0, given = 0;

    for (size_t i = 0; i < count; i++)
        if (!isnan(ratings[i])) {
            sum += ratings[i];
            given++;
        }
    return given > 0 ? sum / given : 0;
}

int krippendorff_interval(struct agreement *out, const double *ratings, int items, int raters,
                          const struct bootstrap *how, struct error *err) {
    struct rated *kept = xmalloc(((size_t)items + 1) * sizeof *kept);
    int *every = xmalloc(((size_t)items + 1) * sizeof *every), count = 0, status = -1;
    double middle = middle_of(ratings, (size_t)items * (size_t)raters); /* squares lose no digits to it */
    struct bootstrapped resampled;
    struct error ignored;

    for (int i = 0; i < items; i++) {
        kept[count] = rate(ratings + (size_t)i * raters, raters, middle);
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
