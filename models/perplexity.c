#include "models/perplexity.h"

#include <stdlib.h>

#include "harness/document.h"
#include "harness/progress.h"
#include "models/device.h"

/* Room for a window and what was found of it: predictions of ids[first …]. */
struct reading {
    const struct kernels *kernels;
    struct trunk *trunk;
    struct batch batch;
    int *position, *best; /* [window] */
    float *logprob;       /* [window] */
};

static int first_predicted(const struct tokens *begin) {
    return begin->count ? begin->count : 1;
}

static int read_window(struct reading *reading, const struct tokens *begin, const int *ids, int count,
                       struct error *err) {
    struct batch *batch = &reading->batch;
    int first = first_predicted(begin), predicted;

    batch_clear(batch);
    batch_add(batch, begin->ids, begin->count);
    batch_extend(batch, ids, count);
    predicted = batch->total - first;
    for (int i = 0; i < predicted; i++) reading->position[i] = first + i - 1;
    if (trunk_forward(reading->trunk, batch, 0, err)) return -1;
    head_logprob(reading->trunk, reading->position, batch->tokens + first, predicted, &SAMPLING_PLAIN,
                 reading->logprob, NULL, reading->best);
    return device_check(reading->kernels, "reading", err) ? -1 : predicted;
}

static void add_ints(struct node *row, const char *key, const int *values, int count) {
    struct node *list = node_add(row, key, NODE_LIST);

    for (int i = 0; i < count; i++) node_add_number(list, NULL, values[i]);
}

static void list_window(const struct reading *reading, int predicted, FILE *list) {
    struct node *row = node_new(NODE_MAP), *logprobs;

    add_ints(row, "ids", reading->batch.tokens, reading->batch.total);
    logprobs = node_add(row, "logprob", NODE_LIST);
    for (int i = 0; i < predicted; i++) node_add_number(logprobs, NULL, (double)reading->logprob[i]);
    add_ints(row, "best", reading->best, predicted);
    node_print(list, row, 0);
    node_free(row);
}

static int read_windows(struct perplexity *out, struct reading *reading, const struct tokens *begin,
                        const struct tokens *text, int window, FILE *list, struct error *err) {
    int room = window - begin->count, lone = !begin->count, done = 0;

    while (text->count - done > lone) {
        int count = text->count - done < room ? text->count - done : room;
        int predicted = read_window(reading, begin, text->ids + done, count, err);

        if (predicted < 0) return -1;
        for (int i = 0; i < predicted; i++) out->nats -= (double)reading->logprob[i];
        if (list) list_window(reading, predicted, list);
        out->scored += predicted;
        out->windows++;
        done += count;
        progress_update(done, "%s", "");
    }
    return 0;
}

int perplexity_measure(struct perplexity *out, struct model *model, const struct tokens *begin,
                       const struct tokens *text, int window, FILE *list, struct error *err) {
    struct reading reading = {.kernels = model->kernels};
    int status;

    *out = (struct perplexity){0};
    if (window > model->config.context)
        return fail(
            err, "windows of %d tokens are longer than the model's context of %d, the most that it can read",
            window, model->config.context);
    if (window <= first_predicted(begin))
        return fail(err, "windows of %d tokens leave none to predict: expected more than %d", window,
                    first_predicted(begin));
    if (text->count + begin->count <= first_predicted(begin))
        return fail(err, "the text has %d tokens: expected at least %d", text->count,
                    first_predicted(begin) + 1 - begin->count);
    if (trunk_create(&reading.trunk, model, 0, err)) return -1;
    reading.position = xcalloc((size_t)window, sizeof *reading.position);
    reading.best = xcalloc((size_t)window, sizeof *reading.best);
    reading.logprob = xcalloc((size_t)window, sizeof *reading.logprob);
    progress_begin("reading", text->count, "tokens");
    status = read_windows(out, &reading, begin, text, window, list, err);
    progress_end();
    batch_free(&reading.batch);
    free(reading.position);
    free(reading.best);
    free(reading.logprob);
    trunk_free(reading.trunk);
    return status;
}
