#include "models/supervised.h"

#include <stdlib.h>

#include "harness/memory.h"
#include "harness/ranks.h"
#include "models/device.h"
#include "models/fit.h"

void supervised_sizes(struct supervised *supervised) {
    supervised->sizes = xcalloc((size_t)supervised->data->count, sizeof *supervised->sizes);
    for (int r = 0; r < supervised->data->count; r++)
        supervised->sizes[r] = dataset_length(supervised->data, r);
}

static double total_weight(const struct dataset *data, const int *rows, int count) {
    double sum = 0;

    for (int i = 0; i < count; i++) sum += (double)data->weight[rows[i]] * data->learned[rows[i]];
    return sum;
}

/* Room for the learned tokens of these rows. */
static void make_room(struct supervised *s, const int *rows, int count) {
    int total = 0;

    for (int i = 0; i < count; i++) total += s->data->learned[rows[i]];
    if (total <= s->room) return;
    s->room = total;
    s->logprob = xrealloc(s->logprob, (size_t)s->room, sizeof *s->logprob);
    s->slope = xrealloc(s->slope, (size_t)s->room, sizeof *s->slope);
}

static void gather(struct supervised *s, const int *rows, int count) {
    const struct dataset *data = s->data;

    batch_clear(&s->batch);
    s->targets.count = 0;
    for (int i = 0; i < count; i++) {
        const int *ids = data->ids.ids + data->start[rows[i]];
        const unsigned char *learn = data->learn + data->start[rows[i]];
        int length = dataset_length(data, rows[i]), first = s->batch.total;

        batch_add(&s->batch, ids, length);
        for (int t = 1; t < length; t++)
            if (learn[t]) targets_add(&s->targets, first + t - 1, ids[t], rows[i]);
    }
}

/* d loss / d logprob of the gathered rows' learned tokens; scale: of each one's weight. */
static void set_slopes(struct supervised *s, float *slope, double scale) {
    for (int i = 0; i < s->targets.count; i++)
        slope[i] = (float)-(scale * s->data->weight[s->targets.item[i]]);
}

/* - sum of scale times weight times log-probability over the rows' learned tokens, in their order. */
static double sum_loss(const struct supervised *s, const int *rows, int count, double scale) {
    const float *logprob = s->logprob;
    double sum = 0;

    for (int i = 0; i < count; i++) {
        double weight = scale * s->data->weight[rows[i]];

        for (int t = 0; t < s->data->learned[rows[i]]; t++) sum -= weight * *logprob++;
    }
    return sum;
}

int supervised_learn(struct supervised *s, const int *rows, int count, double scale, double *loss,
                     struct error *err) {
    double weight = total_weight(s->data, rows, count), share = weight > 0 ? scale / weight : 0, sum;
    int budget, done = 0;

    rows = run_share(s->sizes, rows, &count);
    budget = run_budget(s->sizes, rows, count, s->micro_tokens);
    make_room(s, rows, count);
    for (int first = 0, end; first < count; first = end, done += s->targets.count) {
        end = run_end(s->sizes, rows, first, count, budget);
        gather(s, rows + first, end - first);
        set_slopes(s, s->slope + done, share);
        if (trunk_forward_at(s->trunk, &s->batch, s->targets.position, s->targets.count, 1, err)) return -1;
        head_learn(s->trunk, s->targets.position, s->targets.target, s->targets.count, &SAMPLING_PLAIN,
                   s->slope + done, s->logprob + done);
        (end < count ? trunk_backward : trunk_backward_last)(s->trunk);
    }
    if (count == 0) trunk_backward_none(s->trunk);
    if (device_check(trunk_kernels(s->trunk), "a batch's loss", err)) return -1;
    sum = sum_loss(s, rows, count, share);
    ranks_sum(&sum, 1);
    *loss = sum / (scale != 0 ? scale : 1);
    return 0;
}

int supervised_loss(struct supervised *s, const int *rows, int count, double *loss, struct error *err) {
    double sum, weight = total_weight(s->data, rows, count);
    int done = 0;

    rows = run_share(s->sizes, rows, &count);
    make_room(s, rows, count);
    for (int first = 0, end; first < count; first = end, done += s->targets.count) {
        end = run_end(s->sizes, rows, first, count, s->micro_tokens);
        gather(s, rows + first, end - first);
        if (trunk_forward_at(s->trunk, &s->batch, s->targets.position, s->targets.count, 0, err)) return -1;
        head_logprob(s->trunk, s->targets.position, s->targets.target, s->targets.count, &SAMPLING_PLAIN,
                     s->logprob + done, NULL, NULL);
    }
    if (device_check(trunk_kernels(s->trunk), "the loss", err)) return -1;
    sum = sum_loss(s, rows, count, 1);
    ranks_sum(&sum, 1);
    *loss = weight > 0 ? sum / weight : 0;
    return 0;
}

void supervised_free(struct supervised *s) {
    batch_free(&s->batch);
    targets_free(&s->targets);
    free(s->sizes);
    free(s->logprob);
    free(s->slope);
}
