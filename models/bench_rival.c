#include "models/bench_rival.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/progress.h"
#include "models/bench_ask.h"
#include "models/peer_script.h"

int rival_start(struct rival *rival, const char *python, const struct kernels *kernels,
                const struct stopwatch *watch, struct error *err) {
    const struct stopwatch wall = {.threads = watch->threads}; /* as operations are timed */
    const char *words[] = {python, NULL, is_device(kernels) ? "pytorch-cuda" : "pytorch", NULL};
    struct node *hello = bench_request("hello", NULL), *answer = NULL;
    int status = -1;

    rival->mode = kernels->operand_bytes == 2 ? "bf16" : "f32";
    rival->folder = bench_folder(NULL, err);
    if (!rival->folder) goto out;
    words[1] = rival->script = path_join(rival->folder, "peers.py");
    rival->log = path_join(rival->folder, "peers.log");
    if (file_write(rival->script, peers_py, strlen(peers_py), err)) goto out;
    if (bench_start(&rival->companion, words, &wall, rival->log, err)) goto out;
    answer = bench_ask(&rival->companion, hello, HELLO_SECONDS, err);
    if (!answer) goto out;
    rival->about = xprintf("%s (%s)", node_text(answer, "name", "?"), node_text(answer, "setting", "?"));
    status = 0;
out:
    node_free(hello);
    node_free(answer);
    return status;
}

/* Seconds of so many calls; NAN with err set. */
static double turn(struct rival *rival, int repeats, struct error *err) {
    struct node *request = bench_request("turn", "0"), *told;
    double seconds;

    node_add_number(request, "repeats", repeats);
    told = bench_ask(&rival->companion, request, TURN_SECONDS, err);
    seconds = node_number(told, "seconds", NAN);
    node_free(request);
    node_free(told);
    return seconds;
}

/* As operations are timed: the median of rounds of some twenty milliseconds. */
static double time_turns(struct rival *rival, int rounds, struct error *err) {
    double *samples = xcalloc((size_t)rounds, sizeof *samples), once = turn(rival, 1, err), median = once;
    int times = (int)fmin(fmax(0.02 / once, 1), 1000), count = 0;

    while (count < rounds && isfinite(median)) samples[count++] = median = turn(rival, times, err) / times;
    if (isfinite(median)) median = rate_of(samples, count).median;
    free(samples);
    return median;
}

static double measure(struct rival *rival, const struct operations *operations,
                      const struct operation *operation, int rounds, struct error *err) {
    struct node *open = bench_request("open", "0"), *close = bench_request("close", "0"), *told;
    struct error ignored;
    double seconds = NAN;

    node_add_text(open, "work", "operation");
    node_add_text(open, "mode", rival->mode);
    operation_order(operations, operation, node_add(open, "order", NODE_MAP));
    told = bench_ask(&rival->companion, open, OPEN_SECONDS, err);
    if (told) {
        seconds = time_turns(rival, rounds, err);
        if (rival->companion.pid) node_free(bench_ask(&rival->companion, close, OPEN_SECONDS, &ignored));
    }
    node_free(told);
    node_free(open);
    node_free(close);
    return seconds;
}

void rival_measure(struct rival *rival, struct operations *operations, int rounds) {
    operations->against = xstrdup(rival->about);
    for (int i = 0; i < operations->count; i++) {
        struct operation *one = &operations->items[i];
        struct error err = {0};

        if (!one->rival) continue;
        if (!rival->companion.pid) return;
        one->theirs = measure(rival, operations, one, rounds, &err);
        if (!isfinite(one->theirs)) progress_notice("PyTorch's %s: %s", one->name, err.message);
    }
}

void rival_free(struct rival *rival) {
    struct error ignored;

    companion_close(&rival->companion);
    if (rival->folder) folder_remove(rival->folder, &ignored);
    free(rival->folder);
    free(rival->script);
    free(rival->log);
    free(rival->about);
}
