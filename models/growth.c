#include "models/growth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/progress.h"
#include "harness/section.h"
#include "harness/tabular.h"
#include "models/bench_ask.h"
#include "models/race.h"

enum { POINTS_MOST = 16 };
static const double least_seconds = 0.2; /* of a turn */

static const struct race_model model_14m = {"S10M", 6, 384, 8192, 256},
                               model_29m = {"8-512", 8, 512, 8192, 256},
                               model_54m = {"10-640", 10, 640, 8192, 256},
                               model_91m = {"12-768", 12, 768, 8192, 256},
                               model_142m = {"14-896", 14, 896, 8192, 256},
                               model_long = {"S10M-4096", 6, 384, 8192, 4096};

/* One size of a piece of work. */
struct point {
    const struct race_model *model;
    int rows, length, prompt, fresh, threads; /* threads 0: all */
    double size;                              /* in the axis's unit */
};

/* What grows, from the first point on. */
struct axis {
    const char *name, *unit, *work;
    struct point points[POINTS_MOST]; /* ends with {0} */
    int inverse;                      /* time should fall as the size grows */
};

static const struct axis axes[] = {
    {"batch",
     "tokens a step",
     "train",
     {{&model_14m, 1, 128, 0, 0, 0, 128},
      {&model_14m, 2, 128, 0, 0, 0, 256},
      {&model_14m, 4, 128, 0, 0, 0, 512},
      {&model_14m, 8, 128, 0, 0, 0, 1024},
      {&model_14m, 16, 128, 0, 0, 0, 2048},
      {&model_14m, 32, 128, 0, 0, 0, 4096},
      {&model_14m, 64, 128, 0, 0, 0, 8192}},
     0},
    {"model",
     "million parameters",
     "train",
     {{&model_14m, 8, 128, 0, 0, 0, 0},
      {&model_29m, 8, 128, 0, 0, 0, 0},
      {&model_54m, 8, 128, 0, 0, 0, 0},
      {&model_91m, 8, 128, 0, 0, 0, 0},
      {&model_142m, 8, 128, 0, 0, 0, 0}},
     0},
    {"context",
     "tokens a row",
     "train",
     {{&model_long, 2, 128, 0, 0, 0, 128},
      {&model_long, 2, 256, 0, 0, 0, 256},
      {&model_long, 2, 512, 0, 0, 0, 512},
      {&model_long, 2, 1024, 0, 0, 0, 1024},
      {&model_long, 2, 2048, 0, 0, 0, 2048},
      {&model_long, 2, 4096, 0, 0, 0, 4096}},
     0},
    {"decoding",
     "rows",
     "generate",
     {{&model_14m, 1, 0, 64, 64, 0, 1},
      {&model_14m, 4, 0, 64, 64, 0, 4},
      {&model_14m, 16, 0, 64, 64, 0, 16},
      {&model_14m, 64, 0, 64, 64, 0, 64},
      {&model_14m, 256, 0, 64, 64, 0, 256}},
     0},
    {"threads", "threads", "train", {{&model_14m, 8, 128, 0, 0, 1, 1}, {&model_14m, 8, 128, 0, 0, 2, 2}}, 1},
};

/* A point's process, and what it took. */
struct runner {
    const struct point *point;
    struct companion companion;
    double seconds[ROUNDS_MOST], peak_bytes;
    int count, repeats;
};

struct growth {
    const struct growth_options *options;
    char *folder, *log;
};

static double size_of(const struct point *point) {
    return point->size > 0 ? point->size : race_parameters(point->model) / 1e6;
}

static struct node *opening(const struct growth *growth, const struct axis *axis, const struct point *point) {
    struct node *open = bench_request("open", "0"), *order;
    char *weights = path_join(growth->folder, point->model->name);

    node_add_text(open, "work", axis->work);
    node_add_text(open, "mode", growth->options->device);
    order = node_add(open, "order", NODE_MAP);
    node_add_text(order, "weights", weights);
    node_add_number(order, "rows", point->rows);
    node_add_number(order, "length", point->length);
    node_add_number(order, "prompt", point->prompt);
    node_add_number(order, "fresh", point->fresh);
    free(weights);
    return open;
}

static int take_turn(struct runner *runner, const struct axis *axis, double *seconds, struct error *err) {
    struct node *turn = bench_request("turn", "0"), *told;
    int decoding = !strcmp(axis->work, "generate");

    node_add_number(turn, "repeats", runner->repeats);
    told = bench_ask(&runner->companion, turn, TURN_SECONDS, err);
    node_free(turn);
    if (!told) return -1;
    *seconds = node_number(told, decoding ? "decode_seconds" : "seconds", NAN) / runner->repeats;
    node_free(told);
    return 0;
}

/* Ready, warm, and with as many repeats as fill a turn. */
static int open_runner(const struct growth *growth, const struct axis *axis, struct runner *runner,
                       struct error *err) {
    struct stopwatch watch = growth->options->watch;
    struct node *open, *told;
    double seconds;

    if (runner->point->threads) watch.threads = runner->point->threads;
    runner->repeats = 1;
    if (race_weights(growth->folder, runner->point->model, err)) return -1;
    if (bench_start(&runner->companion, NULL, &watch, growth->log, err)) return -1;
    open = opening(growth, axis, runner->point);
    told = bench_ask(&runner->companion, open, OPEN_SECONDS, err);
    node_free(open);
    if (!told) return -1;
    node_free(told);
    if (take_turn(runner, axis, &seconds, err)) return -1;
    runner->repeats = 1 + (int)(least_seconds / seconds);
    return 0;
}

static void add_point(struct node *list, const struct runner *runner, const struct runner *first) {
    struct node *point = node_add(list, NULL, NODE_MAP);
    double size = size_of(runner->point), seconds[ROUNDS_MOST];
    struct rate rate;

    memcpy(seconds, runner->seconds, sizeof seconds);
    rate = rate_of(seconds, runner->count);
    node_add_number(point, "size", size);
    node_add_number(point, "factor", size / size_of(first->point));
    node_add_number(point, "seconds", rate.median);
    node_add_number(point, "low", rate.low);
    node_add_number(point, "high", rate.high);
    node_add_number(point, "peak_bytes", runner->peak_bytes);
}

static int close_runner(struct runner *runner, struct error *err) {
    struct node *close = bench_request("close", "0");
    struct node *told = bench_ask(&runner->companion, close, TURN_SECONDS, err);

    node_free(close);
    if (!told) return -1;
    runner->peak_bytes = node_number(told, "peak_bytes", NAN);
    node_free(told);
    return 0;
}

/* All of an axis's points take turns. */
static int run_axis(const struct growth *growth, const struct axis *axis, struct node *list,
                    struct error *err) {
    struct runner *runners = xcalloc(POINTS_MOST, sizeof *runners);
    int count = 0, status = -1;

    for (; count < POINTS_MOST && axis->points[count].model; count++) {
        runners[count].point = &axis->points[count];
        if (open_runner(growth, axis, &runners[count], err)) goto out;
    }
    for (int round = 0; round < growth->options->rounds; round++)
        for (int i = 0; i < count; i++)
            if (take_turn(&runners[i], axis, &runners[i].seconds[runners[i].count++], err)) goto out;
    for (int i = 0; i < count; i++)
        if (close_runner(&runners[i], err)) goto out;
    status = 0;
out:
    for (int i = 0; i < POINTS_MOST; i++) companion_close(&runners[i].companion);
    for (int i = 0; i < count && !status; i++) add_point(list, &runners[i], &runners[0]);
    free(runners);
    return status;
}

static int save(const struct growth_options *options, const struct node *results, struct error *err) {
    char *table = NULL;
    size_t room = 0;
    FILE *out = open_memstream(&table, &room);
    int status = 0;

    growth_markdown(results, out);
    fclose(out);
    if (options->out_path) status = document_write(options->out_path, results, err);
    if (!status && options->document) status = section_write(options->document, "growth", table, err);
    free(table);
    return status;
}

int growth_run(const struct growth_options *options, struct node *results, struct error *err) {
    const int count = (int)(sizeof axes / sizeof *axes);
    struct growth growth = {.options = options, .folder = bench_folder(options->folder, err)};
    struct node *list;
    struct error ignored;
    int status = growth.folder ? 0 : -1, ran = 0;

    bench_describe(results, options->command, &options->watch);
    node_add_text(results, "device", options->device);
    list = node_add(results, "axes", NODE_LIST);
    growth.log = growth.folder ? path_join(growth.folder, "serve.log") : NULL;
    progress_begin("growth", count, "axes");
    if (!status && options->document) status = section_check(options->document, "growth", err);
    for (int i = 0; i < count && !status; i++) {
        struct node *axis;

        if (options->only && !strstr(axes[i].name, options->only)) continue;
        ran++;
        axis = node_add(list, NULL, NODE_MAP);
        node_add_text(axis, "name", axes[i].name);
        node_add_text(axis, "unit", axes[i].unit);
        node_add_bool(axis, "inverse", axes[i].inverse);
        status = run_axis(&growth, &axes[i], node_add(axis, "points", NODE_LIST), err);
        progress_update(i + 1, "%s", axes[i].name);
    }
    progress_end();
    if (!status && !ran) status = fail(err, "nothing that grows has \"%s\" in its name", options->only);
    if (!status) status = save(options, results, err);
    if (growth.folder && !options->folder) folder_remove(growth.folder, &ignored);
    free(growth.folder);
    free(growth.log);
    return status;
}

static void add_row(struct tabular *table, const struct node *axis, const struct node *point) {
    const struct node *first = node_get(axis, "points")->first;
    double factor = node_number(point, "factor", NAN), inverse = node_number(axis, "inverse", 0);
    double time = node_number(point, "seconds", NAN) / node_number(first, "seconds", NAN);
    double memory = node_number(point, "peak_bytes", NAN) / node_number(first, "peak_bytes", NAN);
    struct node *row = tabular_add(table);

    tabular_cell(row, "%s", point == first ? node_text(axis, "name", "") : "");
    tabular_cell(row, "%.0f %s", node_number(point, "size", NAN), node_text(axis, "unit", ""));
    tabular_cell(row, "%.1f", factor);
    tabular_cell(row, "%.2f", time);
    tabular_cell(row, "%.2f", inverse > 0 ? time * factor : time / factor);
    tabular_cell(row, "%.0f", node_number(point, "peak_bytes", NAN) / 1e6);
    if (inverse > 0)
        tabular_cell(row, "–");
    else
        tabular_cell(row, "%.2f", memory / factor);
}

void growth_markdown(const struct node *results, FILE *out) {
    static const char *const headings[] = {"what grows", "to",         "times",     "time, times",
                                           "of linear",  "memory, MB", "of linear", NULL};
    struct tabular table = {.headings = headings};

    fprintf(out, "`%s`, %s, on %s, %g thread%s, `%s`.\n\n", node_text(results, "command", ""),
            node_text(results, "date", ""), node_text(node_get(results, "machine"), "processor", ""),
            node_number(results, "threads", 1), node_number(results, "threads", 1) > 1 ? "s" : "",
            node_text(results, "device", ""));
    for (const struct node *axis = node_get(results, "axes")->first; axis; axis = axis->next)
        for (const struct node *point = node_get(axis, "points")->first; point; point = point->next)
            add_row(&table, axis, point);
    if (table.rows) tabular_write(&table, TABULAR_MARKDOWN, out);
    tabular_free(&table);
}
