#include "models/supervised.h"

#include <stdlib.h>

#include "harness/memory.h"
#include "harness/ranks.h"
#include "models/fit.h"

struct slope {
    const struct supervised *supervised;
    double scale, loss; /* scale: of each token's weight */
};

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
    if (s->targets.room > s->room) {
        s->room = s->targets.room;
        s->logprob = xrealloc(s->logprob, (size_t)s->room, sizeof *s->logprob);
    }
}

static void token_slope(void *context, int first, int count, const float *logprob, const float *entropy,
                        float *slope, float *entropy_slope) {
    struct slope *of = context;
    const struct supervised *s = of->supervised;

    (void)entropy;
    (void)entropy_slope;
    for (int i = 0; i < count; i++) {
        double weight = of->scale * s->data->weight[s->targets.item[first + i]];

        slope[i] = (float)-weight;
        of->loss -= weight * logprob[i];
    }
}

int supervised_learn(struct supervised *s, const int *rows, int count, double scale, double *loss,
                     struct error *err) {
    double weight = total_weight(s->data, rows, count);
    struct slope of = {s, weight > 0 ? scale / weight : 0, 0};
    int budget;

    rows = run_share(s->sizes, rows, &count);
    budget = run_budget(s->sizes, rows, count, s->micro_tokens);
    for (int first = 0, end; first < count; first = end) {
        end = run_end(s->sizes, rows, first, count, budget);
        gather(s, rows + first, end - first);
        if (trunk_forward_at(s->trunk, &s->batch, s->targets.position, s->targets.count, 1, err)) return -1;
        head_train(s->trunk, s->targets.position, s->targets.target, s->targets.count, &SAMPLING_PLAIN, 0,
                   token_slope, &of, s->logprob, NULL);
        (end < count ? trunk_backward : trunk_backward_last)(s->trunk);
    }
    ranks_sum(&of.loss, 1);
    *loss = of.loss / (scale != 0 ? scale : 1);
    return 0;
}

int supervised_loss(struct supervised *s, const int *rows, int count, double *loss, struct error *err) {
    double sum = 0, weight = total_weight(s->data, rows, count);

    rows = run_share(s->sizes, rows, &count);
    for (int first = 0, end; first < count; first = end) {
        end = run_end(s->sizes, rows, first, count, s->micro_tokens);
        gather(s, rows + first, end - first);
        if (trunk_forward_at(s->trunk, &s->batch, s->targets.position, s->targets.count, 0, err)) return -1;
        head_logprob(s->trunk, s->targets.position, s->targets.target, s->targets.count, &SAMPLING_PLAIN,
                     s->logprob, NULL, NULL);
        for (int i = 0; i < s->targets.count; i++)
            sum -= (double)s->data->weight[s->targets.item[i]] * s->logprob[i];
    }
    ranks_sum(&sum, 1);
    *loss = weight > 0 ? sum / weight : 0;
    return 0;
}

void supervised_free(struct supervised *s) {
    batch_free(&s->batch);
    targets_free(&s->targets);
    free(s->sizes);
    free(s->logprob);
}
