#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/document.h"
#include "harness/memory.h"
#include "harness/section.h"
#include "kernels/kernels.h"
#include "models/bench.h"
#include "models/bench_operations.h"
#include "models/bench_product.h"
#include "models/bench_rival.h"
#include "models/bench_serve.h"
#include "models/bench_tokenize.h"
#include "models/bench_weights.h"
#include "models/bench_work.h"
#include "models/growth.h"
#include "models/race.h"
#include "models/training.h"

enum { THREADS_MOST = 1024 };

/* One kind of work and what it reached. */
struct result {
    const char *part, *kind; /* "matmul", "forward" */
    int rows, outs, ins;     /* of the product; 0 for a whole step */
    struct rate rate;
    double per_second; /* tokens, for a whole step */
    double bytes;      /* that the step takes */
};

/* What is measured, and how. */
struct bench {
    const struct kernels *kernels;
    struct stopwatch watch;
    const char *only;   /* of operations, rollouts and PPO; NULL: all */
    const char *python; /* has PyTorch, which operations are timed beside; NULL: nothing is */
    int rounds;
    int probe_rounds, repeats_most; /* of the probe's loop; of one task in a round */
    double least;                   /* operations of a round, unless that is too many repeats */
    double *peaks;                  /* a probe of the ceiling beside every round */
    struct result *results;
    int peak_count, count;
    struct operations operations; /* the others than matrix products */
    struct wholes wholes;         /* rollouts and PPO */
    struct product ceiling;       /* of a device */
};

typedef void timed(void *context);

static void add_probe(struct bench *bench) {
    bench->peaks = xrealloc(bench->peaks, (size_t)bench->peak_count + 1, sizeof *bench->peaks);
    bench->peaks[bench->peak_count++] = fmax(probe_peak(bench->kernels, &bench->watch, bench->probe_rounds),
                                             probe_product(&bench->ceiling, &bench->watch, 3));
}

/* Rounds of at least bench->least operations each, after one that warms up, each with a probe of the ceiling.
 */
static struct rate measure(struct bench *bench, timed *task, void *context, double operations) {
    double *samples = xcalloc((size_t)bench->rounds, sizeof *samples);
    int repeats = 1 + (int)fmin(bench->least / operations, bench->repeats_most - 1);
    struct rate rate;

    task(context);
    bench->kernels->sync();
    for (int r = 0; r < bench->rounds; r++) {
        double from = stopwatch_seconds(&bench->watch);

        for (int i = 0; i < repeats; i++) task(context);
        bench->kernels->sync();
        samples[r] = operations * repeats / (stopwatch_seconds(&bench->watch) - from) / 1e9;
        add_probe(bench);
    }
    rate = rate_of(samples, bench->rounds);
    free(samples);
    return rate;
}

static void add_result(struct bench *bench, struct result result) {
    bench->results = xrealloc(bench->results, (size_t)bench->count + 1, sizeof *bench->results);
    bench->results[bench->count++] = result;
}

/* context: the task's, which is the product or has it. */
static void measure_product(struct bench *bench, const char *part, const char *kind, timed *task,
                            void *context, const struct product *product) {
    double operations = product_operations(product);

    add_result(bench, (struct result){part, kind, product->rows, product->outs, product->ins,
                                      measure(bench, task, context, operations), 0, 0});
}

/* The four products of a layer of that width: qkv, proj, up and down. */
static void set_layer_shape(struct product *product, int which, int width) {
    const int outs[] = {3, 1, 4, 1}, ins[] = {1, 1, 1, 4};

    product_shape(product, outs[which] * width, ins[which] * width);
}

/* 3 widths x 3 batches x 4 products x forward and both gradients. */
static int bench_matmul(struct bench *bench, struct error *err) {
    const int widths[] = {256, 512, 768}, tokens[] = {512, 2048, 4096};
    struct product product;

    if (product_create(&product, bench->kernels, 4096, 4 * 768, 768, err)) return -1;
    for (int w = 0; w < 3; w++)
        for (int t = 0; t < 3; t++)
            for (int which = 0; which < 4; which++) {
                product.rows = tokens[t];
                set_layer_shape(&product, which, widths[w]);
                measure_product(bench, "matmul", "forward", product_forward, &product, &product);
                measure_product(bench, "matmul", "dx", product_dx, &product, &product);
                measure_product(bench, "matmul", "dw", product_dw, &product, &product);
            }
    product_free(&product);
    return 0;
}

enum { COLD_BYTES = 200 << 20 }; /* more weights than caches hold */

/* A product whose weights were last read that many bytes ago. */
struct cold {
    struct product product;
    char *layouts;
    size_t each; /* bytes of a layout */
    int count, turn;
};

static void run_cold(void *context) {
    struct cold *cold = context;

    cold->product.packed = cold->layouts + cold->turn * cold->each;
    cold->turn = (cold->turn + 1) % cold->count;
    product_forward(&cold->product);
}

/* The product's layout again and again, all within COLD_BYTES. */
static struct cold cold_of(const struct product *p, char *layouts) {
    size_t each = p->kernels->pack_size(p->outs, p->ins, 0);
    int count = (int)(COLD_BYTES / each);

    for (int i = 0; i < count; i++) p->kernels->pack(layouts + i * each, p->w, 0, p->outs, p->ins, 0);
    return (struct cold){*p, layouts, each, count, 0};
}

/* Rows decoded together against packed weights of width 768, proj, up and down; with room for layouts also
   against cold ones. */
static void measure_decode(struct bench *bench, struct product *product, char *layouts) {
    static const struct {
        const char *kind;
        int rows;
    } cases[] = {{"1 row", 1}, {"8 rows", 8}, {"16 rows", 16}, {"32 rows", 32}, {"64 rows", 64}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int which = 1; which < 4; which++) {
            struct cold cold;

            product->rows = cases[i].rows;
            set_layer_shape(product, which, 768);
            measure_product(bench, "decode", cases[i].kind, product_forward, product, product);
            if (!layouts) continue;
            cold = cold_of(product, layouts);
            measure_product(bench, "cold", cases[i].kind, run_cold, &cold, product);
        }
}

static int bench_decode(struct bench *bench, struct error *err) {
    const struct kernels *kernels = bench->kernels;
    struct product product;
    char *layouts;

    if (product_create(&product, kernels, 64, 4 * 768, 768, err)) return -1;
    layouts = product.packed ? kernels->alloc(COLD_BYTES) : NULL;
    if (product.packed && !layouts) {
        product_free(&product);
        return fail(err, "no memory for %d MiB of cold weights", COLD_BYTES >> 20);
    }
    measure_decode(bench, &product, layouts);
    if (layouts) kernels->free(layouts);
    product_free(&product);
    return 0;
}

/* A step that was asked for, and why there are no more. */
struct steps {
    struct training training;
    int failed;
    struct error err;
};

static void run_step(void *context) {
    struct steps *steps = context;

    if (!steps->failed) steps->failed = training_step(&steps->training, &steps->err);
}

/* The memory plan of a step. */
static double step_bytes(const struct bench *bench, const struct config *config, int tokens,
                         const struct adapter_options *adapters) {
    return (double)model_bytes(config, bench->kernels, 1, adapters) +
           (double)trunk_bytes(config, bench->kernels, tokens, 1, 0, adapters);
}

/* A step of all parameters, or of adapters of that rank on every linear layer. */
static int bench_train(struct bench *bench, const struct race_model *shape, int rows, int length, int rank,
                       const char *kind, struct error *err) {
    struct adapter_options adapters = {.rank = rank, .alpha = 2.0 * rank};
    struct steps steps = {0};
    struct result result = {.part = "train", .kind = kind};
    struct model *model;
    double operations, tokens = rows * length;
    int status = 0;

    if (race_model_create(&model, shape, bench->kernels, err)) return -1;
    result.bytes = step_bytes(bench, &model->config, rows * length, NULL);
    operations = training_operations(&model->config, tokens, length);
    if (rank) {
        if (adapter_target(&adapters.targets, "all-linear", &model->config, err) ||
            model_adapt(model, &adapters, 1, err)) {
            model_free(model);
            return -1;
        }
        result.bytes = step_bytes(bench, &model->config, rows * length, &adapters);
        operations = training_operations_adapted(&model->config, tokens, length, (double)model->learned_size);
    }
    if (training_create(&steps.training, model, rows, length, err)) return -1;
    result.rate = measure(bench, run_step, &steps, operations);
    result.per_second = result.rate.median * 1e9 / operations * steps.training.tokens;
    if (steps.failed)
        status = fail(err, "%s", steps.err.message);
    else
        add_result(bench, result);
    training_free(&steps.training);
    return status;
}

/* Geometric means over the results of one part, and of one kind unless NULL. */
static struct rate mean_rate(const struct bench *bench, const char *part, const char *kind) {
    struct rate sum = {0};
    int count = 0;

    for (int i = 0; i < bench->count; i++) {
        const struct result *result = &bench->results[i];

        if (strcmp(result->part, part) || (kind && strcmp(result->kind, kind))) continue;
        sum.median += log(result->rate.median);
        sum.low += log(result->rate.low);
        sum.high += log(result->rate.high);
        count++;
    }
    if (!count) return sum;
    return (struct rate){exp(sum.median / count), exp(sum.low / count), exp(sum.high / count)};
}

static void print_rate(const struct bench *bench, FILE *out, const char *part, const char *kind,
                       double peak) {
    struct rate rate = mean_rate(bench, part, kind);

    fprintf(out, "%-8s %-11s %9.1f %9.1f %9.1f %8.3f\n", part, kind ? kind : "all", rate.median, rate.low,
            rate.high, rate.median / peak);
}

/* A line for every kind, in the order of measurement, and one for all of a part that has several. */
static void print_part(const struct bench *bench, FILE *out, const char *part, double peak) {
    int kinds = 0;

    for (int i = 0; i < bench->count; i++) {
        int first = i;

        if (strcmp(bench->results[i].part, part)) continue;
        for (int j = 0; j < i; j++)
            if (!strcmp(bench->results[j].part, part) &&
                !strcmp(bench->results[j].kind, bench->results[i].kind))
                first = j;
        if (first < i) continue;
        print_rate(bench, out, part, bench->results[i].kind, peak);
        kinds++;
    }
    if (kinds > 1) print_rate(bench, out, part, NULL, peak);
}

static void print_table(const struct bench *bench, FILE *out) {
    struct rate peak = rate_of(bench->peaks, bench->peak_count);

    fprintf(out, "%s, %d thread%s; GFLOP/s, geometric means of %d rounds' medians\n", bench->kernels->name,
            bench->watch.threads, bench->watch.threads > 1 ? "s" : "", bench->rounds);
    fprintf(out, "%-8s %-11s %9s %9s %9s %8s\n", "", "", "median", "low", "high", "of peak");
    fprintf(out, "%-8s %-11s %9.1f %9.1f %9.1f\n", "peak", "probe", peak.median, peak.low, peak.high);
    print_part(bench, out, "matmul", peak.median);
    print_part(bench, out, "decode", peak.median);
    print_part(bench, out, "cold", peak.median);
    print_part(bench, out, "train", peak.median);
    for (int i = 0; i < bench->count; i++)
        if (bench->results[i].per_second > 0)
            fprintf(out, "%s %s: %.0f tokens/s, %.0f MiB\n", bench->results[i].part, bench->results[i].kind,
                    bench->results[i].per_second, bench->results[i].bytes / (1 << 20));
    if (bench->operations.count) operations_print(&bench->operations, out);
    if (bench->wholes.count) wholes_print(&bench->wholes, bench->kernels, peak.median, out);
}

static void add_rate(struct node *map, struct rate rate, double peak) {
    node_add_number(map, "median", rate.median);
    node_add_number(map, "low", rate.low);
    node_add_number(map, "high", rate.high);
    node_add_number(map, "share", rate.median / peak);
}

static void add_means(const struct bench *bench, struct node *root, double peak) {
    const char *const parts[] = {"matmul", "decode", "cold", "train"};

    for (int i = 0; i < 4; i++) {
        struct rate rate = mean_rate(bench, parts[i], NULL);

        if (rate.median > 0) add_rate(node_add(root, parts[i], NODE_MAP), rate, peak);
    }
}

static void print_json(const struct bench *bench, FILE *out) {
    struct rate peak = rate_of(bench->peaks, bench->peak_count);
    struct node *root = node_new(NODE_MAP), *list;

    node_add_text(root, "backend", bench->kernels->name);
    node_add_number(root, "threads", bench->watch.threads);
    node_add_number(root, "rounds", bench->rounds);
    add_rate(node_add(root, "peak", NODE_MAP), peak, peak.median);
    add_means(bench, root, peak.median);
    list = node_add(root, "results", NODE_LIST);
    for (int i = 0; i < bench->count; i++) {
        const struct result *result = &bench->results[i];
        struct node *one = node_add(list, NULL, NODE_MAP);

        node_add_text(one, "part", result->part);
        node_add_text(one, "kind", result->kind);
        if (result->rows) {
            node_add_number(one, "rows", result->rows);
            node_add_number(one, "outs", result->outs);
            node_add_number(one, "ins", result->ins);
        }
        if (result->per_second > 0) {
            node_add_number(one, "tokens_per_second", result->per_second);
            node_add_number(one, "bytes", result->bytes);
        }
        add_rate(one, result->rate, peak.median);
    }
    if (bench->operations.count) operations_json(&bench->operations, node_add(root, "operations", NODE_LIST));
    if (bench->wholes.count)
        wholes_json(&bench->wholes, bench->kernels, peak.median, node_add(root, "whole", NODE_LIST));
    node_print(out, root, 2);
    node_free(root);
}

/* All parameters against adapters, of a small model and of GPT-2. */
static int bench_lora(struct bench *bench, struct error *err) {
    static const struct {
        const struct race_model *model;
        int rows, length, rank;
        const char *kind;
    } steps[] = {{&race_small, 8, 128, 0, "14M all"},
                 {&race_small, 8, 128, 8, "14M r8"},
                 {&race_gpt2, 2, 128, 0, "124M all"},
                 {&race_gpt2, 2, 128, 8, "124M r8"}};

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (bench_train(bench, steps[i].model, steps[i].rows, steps[i].length, steps[i].rank, steps[i].kind,
                        err))
            return -1;
    return 0;
}

/* A step of S10M, on a device also one that fills it. */
static int bench_steps(struct bench *bench, struct error *err) {
    if (bench_train(bench, &race_small, 8, 128, 0, "14M 8x128", err)) return -1;
    if (!is_device(bench->kernels)) return 0;
    return bench_train(bench, &race_small, 64, 128, 0, "14M 64x128", err);
}

static int bench_gpt2(struct bench *bench, struct error *err) {
    if (bench_train(bench, &race_gpt2, 8, 1024, 0, "124M 8x1024", err)) return -1;
    if (!is_device(bench->kernels)) return 0;
    return bench_train(bench, &race_gpt2, 64, 1024, 0, "124M 64x1024", err);
}

/* What PyTorch lacks is said before anything is measured. */
static int bench_operations(struct bench *bench, struct error *err) {
    struct rival rival = {0};
    int status = 0;

    if (bench->python) status = rival_start(&rival, bench->python, bench->kernels, &bench->watch, err);
    for (int r = 0; r <= bench->rounds && !status; r++) add_probe(bench);
    if (!status)
        status = operations_measure(&bench->operations, bench->kernels, bench->only,
                                    is_device(bench->kernels) ? 8 : 1, bench->rounds,
                                    rate_of(bench->peaks, bench->peak_count).median, err);
    if (!status && bench->python) rival_measure(&rival, &bench->operations, bench->rounds);
    rival_free(&rival);
    return status;
}

static int bench_wholes(struct bench *bench, const char *work, struct error *err) {
    for (int r = 0; r <= bench->rounds; r++) add_probe(bench);
    return wholes_measure(&bench->wholes, work, bench->only, bench->kernels, &bench->watch, bench->rounds,
                          err);
}

static int bench_generate(struct bench *bench, struct error *err) {
    return bench_wholes(bench, "generate", err);
}

static int bench_ppo(struct bench *bench, struct error *err) {
    return bench_wholes(bench, "ppo", err);
}

/* What can be named, and what is measured when nothing is. */
static const struct part {
    const char *name;
    int (*run)(struct bench *bench, struct error *err);
    enum { WHEN_NAMED, ON_DEVICES, ALWAYS } unnamed;
} parts[] = {{"matmul", bench_matmul, ALWAYS},         {"decode", bench_decode, ALWAYS},
             {"train", bench_steps, ALWAYS},           {"gpt2", bench_gpt2, ON_DEVICES},
             {"lora", bench_lora, WHEN_NAMED},         {"operations", bench_operations, ON_DEVICES},
             {"generate", bench_generate, ON_DEVICES}, {"ppo", bench_ppo, ON_DEVICES}};

static int bench_parts(struct bench *bench, const char *what, struct error *err) {
    int all = !strcmp(what, "all"), ran = 0;

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        int wanted =
            parts[i].unnamed == ALWAYS || (parts[i].unnamed == ON_DEVICES && is_device(bench->kernels));

        if (all ? !wanted : strcmp(what, parts[i].name) != 0) continue;
        if (parts[i].run(bench, err)) return -1;
        ran++;
    }
    if (ran) return 0;
    return fail(err,
                "cannot bench '%s': it is matmul, decode, train, gpt2, lora, operations, generate, ppo, all, "
                "tokenize, compare, growth, weights or serve",
                what);
}

/* The command line, for the record. */
static char *command_line(const struct arguments *arguments) {
    struct text line = {0};

    text_printf(&line, "pyrite bench");
    for (int i = 0; i < arguments->count; i++) text_printf(&line, " %s", arguments->words[i]);
    for (int i = 0; i < arguments->flag_count; i++)
        text_printf(&line, " --%s%s%s", arguments->flags[i]->name, arguments->values[i] ? " " : "",
                    arguments->values[i] ? arguments->values[i] : "");
    return line.data;
}

static int compare(const struct arguments *arguments, const struct stopwatch *watch, struct error *err) {
    const char *device = argument_value(arguments, "device", "cpu");
    char *line = command_line(arguments);
    struct race_options options = {.python = argument_value(arguments, "python", "python3"),
                                   .model = argument_value(arguments, "model", NULL),
                                   .only = argument_value(arguments, "only", NULL),
                                   .folder = argument_value(arguments, "folder", NULL),
                                   .compile = argument_given(arguments, "compile"),
                                   .device = strcmp(device, "cpu") != 0,
                                   .out_path = argument_value(arguments, "out", NULL),
                                   .document = argument_value(arguments, "write", NULL),
                                   .watch = *watch,
                                   .command = line};
    struct node *results = node_new(NODE_MAP);
    int status = argument_int(arguments, "rounds", 0, 0, ROUNDS_MOST, &options.rounds, err);

    if (!status && options.device && strcmp(device, "cuda"))
        status = fail(err, "the race is run on cpu, or with all its modes on cuda, not on '%s'", device);
    if (!status) status = argument_number(arguments, "minutes", 14, 0, 1e6, &options.minutes, err);
    if (!status) status = race_run(&options, results, err);
    if (argument_given(arguments, "json"))
        node_print(arguments->out, results, 2);
    else if (!status)
        race_markdown(results, arguments->out);
    node_free(results);
    free(line);
    return status;
}

static int grow(const struct arguments *arguments, const struct stopwatch *watch, struct error *err) {
    char *line = command_line(arguments);
    struct growth_options options = {.device = argument_value(arguments, "device", "cpu"),
                                     .folder = argument_value(arguments, "folder", NULL),
                                     .only = argument_value(arguments, "only", NULL),
                                     .out_path = argument_value(arguments, "out", NULL),
                                     .document = argument_value(arguments, "write", NULL),
                                     .watch = *watch,
                                     .command = line};
    struct node *results = node_new(NODE_MAP);
    int status = argument_int(arguments, "rounds", 3, 1, ROUNDS_MOST, &options.rounds, err);

    if (!status) status = growth_run(&options, results, err);
    if (!status && argument_given(arguments, "json"))
        node_print(arguments->out, results, 2);
    else if (!status)
        growth_markdown(results, arguments->out);
    node_free(results);
    free(line);
    return status;
}

/* The table into the section of a Markdown file that is called after what was measured and where. */
static int write_table(const struct bench *bench, const char *what, const char *device, const char *path,
                       struct error *err) {
    char *name = xprintf("%s %s", what, device), *table = NULL;
    size_t room = 0;
    FILE *out = open_memstream(&table, &room);
    int status;

    fprintf(out, "```\n");
    print_table(bench, out);
    fprintf(out, "```\n");
    fclose(out);
    status = section_write(path, name, table, err);
    free(table);
    free(name);
    return status;
}

static int measure_kernels(const struct arguments *arguments, const char *what, const struct stopwatch *watch,
                           struct error *err) {
    const char *device = argument_value(arguments, "device", "cpu"),
               *document = argument_value(arguments, "write", NULL);
    struct bench bench = {.kernels = kernels_find(device),
                          .watch = *watch,
                          .only = argument_value(arguments, "only", NULL),
                          .python = argument_value(arguments, "python", NULL)};
    int status;

    if (!bench.kernels) return fail(err, "%s; cpu is always there", kernels_missing(device));
    if (argument_int(arguments, "rounds", 5, 1, ROUNDS_MOST, &bench.rounds, err)) return -1;
    bench.probe_rounds = is_device(bench.kernels) ? DEVICE_PROBE_ROUNDS : 400000;
    bench.repeats_most = is_device(bench.kernels) ? 500 : 1000;
    bench.least = is_device(bench.kernels) ? 2e11 : 5e7;
    kernels_threads(bench.watch.threads);
    status = ceiling_create(&bench.ceiling, bench.kernels, err);
    if (!status) status = bench_parts(&bench, what, err);
    if (!status && document) status = write_table(&bench, what, device, document, err);
    if (!status && argument_given(arguments, "json"))
        print_json(&bench, arguments->out);
    else if (!status)
        print_table(&bench, arguments->out);
    free(bench.peaks);
    free(bench.results);
    free(bench.operations.items);
    free(bench.operations.against);
    wholes_free(&bench.wholes);
    product_free(&bench.ceiling);
    return status;
}

static int tokenize(const struct arguments *arguments, const struct stopwatch *watch, struct error *err) {
    struct tokenize_options options = {.text = argument_value(arguments, "text", NULL),
                                       .tokenizer = argument_value(arguments, "tokenizer", NULL),
                                       .json = argument_given(arguments, "json")};

    if (argument_int(arguments, "rounds", 5, 1, ROUNDS_MOST, &options.rounds, err)) return -1;
    return bench_tokenize(&options, watch, arguments->out, err);
}

static int weigh(const struct arguments *arguments, const struct stopwatch *watch, struct error *err) {
    const char *device = argument_value(arguments, "device", "cpu-bf16");
    const struct kernels *kernels = kernels_find(device);
    int rounds;

    if (!kernels) return fail(err, "%s; cpu is always there", kernels_missing(device));
    if (argument_int(arguments, "rounds", 5, 1, ROUNDS_MOST, &rounds, err)) return -1;
    kernels_threads(watch->threads);
    return bench_weights(argument_value(arguments, "model", NULL), kernels, watch, rounds, arguments->out,
                         err);
}

static int run(const struct arguments *arguments, struct error *err) {
    const char *what = arguments->count ? arguments->words[0] : "all";
    struct stopwatch watch = {.cpu_time = argument_given(arguments, "cpu-time")};

    if (argument_int(arguments, "threads", omp_get_num_procs(), 1, THREADS_MOST, &watch.threads, err))
        return -1;
    if (!strcmp(what, "compare")) return compare(arguments, &watch, err);
    if (!strcmp(what, "tokenize")) return tokenize(arguments, &watch, err);
    if (!strcmp(what, "weights")) return weigh(arguments, &watch, err);
    if (!strcmp(what, "growth")) return grow(arguments, &watch, err);
    if (strcmp(what, "serve")) return measure_kernels(arguments, what, &watch, err);
    bench_serve(stdin, arguments->out, &watch);
    return 0;
}

static const struct flag flags[] = {
    {"threads", 'j', "N", "threads to use (default: all processors)"},
    {"rounds", 0, "N",
     "timed rounds of each measurement (default: 5; of compare: as many as it takes; of growth: 3)"},
    {"device", 0, "NAME",
     "cpu, cpu-bf16, or pinned: cpu-avx512, cpu-avx2, cpu-portable, cpu-avx512bf16, cpu-avx512-bf16, "
     "cpu-avx2-bf16, cpu-portable-bf16; cuda, cuda-bf16, cuda-cublas (default: cpu)"},
    {"cpu-time", 0, NULL, "time by processor seconds, for a machine that others use too"},
    {"json", 0, NULL, "print everything measured as JSON"},
    {"text", 0, "FILE", "tokenize: the text"},
    {"tokenizer", 0, "PATH",
     "tokenize: a checkpoint's folder or .gguf file (default: learns 8192 tokens from the text)"},
    {"python", 0, "FILE",
     "compare: the interpreter that has the other programs (default: python3); operations: one that has "
     "PyTorch, whose times are put beside (default: none)"},
    {"model", 0, "MODEL",
     "compare: race this one, a folder or .gguf file, in reading prompts and decoding; weights: decode with "
     "it (default: random ones)"},
    {"only", 0, "TEXT",
     "compare, operations, generate, ppo, growth: only work, or what grows, whose name has this in it"},
    {"compile", 0, NULL,
     "compare: race PyTorch's compiler too, which takes some minutes to compile; --only one kind of work "
     "keeps it short"},
    {"minutes", 0, "N", "compare: leave out what is not reached in so many (default: 14)"},
    {"out", 0, "FILE", "compare, growth: everything measured as JSON, kept up to date"},
    {"write", 0, "FILE", "put the tables into their section of this Markdown file"},
    {"folder", 0, "FOLDER", "compare, growth: keep the weights there for the next time (default: they go)"},
    {0},
};

const struct command command_bench = {
    .name = "bench",
    .summary = "measure this machine, and race other programs on it",
    .usage =
        "[matmul|decode|train|gpt2|lora|operations|generate|ppo|all|compare|growth|tokenize|weights|serve]",
    .description =
        "Measures the kernels' speed and compares it with the machine's peak, which is probed in the same "
        "run "
        "by multiply-adds that stay in registers, on a device in bf16 also by a product of 8192 x 8192 x "
        "8192 "
        "where it has cuBLASLt, of which the faster counts.\n\n"
        "matmul: the products of transformer layers of width 256, 512 and 768 for 512, 2048 and 4096 tokens, "
        "forward and both gradients. decode: products of few rows with packed weights of width 768, in "
        "caches and, cold, from 200 MB in turn. train: a "
        "training step of a model of 14 million parameters (6 layers, width 384, vocabulary 8192) on 8 rows "
        "of 128 "
        "tokens, on a device also of 64. When named, and all but lora also without a name on a device: gpt2, "
        "a step of GPT-2's 124 million parameters on 8 rows of 1024, on a device also of 64; lora, steps of "
        "both models on 1024 and 256 tokens, of all parameters and of adapters "
        "of rank 8 on every linear layer, with the memory that each takes; operations, every other operation "
        "beside its floor, which is its bytes at the "
        "bandwidth or "
        "its arithmetic at the peak that the same run measured, whichever takes longer, and, with --python, "
        "beside PyTorch's time on the same device for those that it has as a call or an idiomatic few; "
        "generate, the "
        "rollouts that compare has, decoded tokens a second with their shares of the peak and of what "
        "reading "
        "weights and cache from memory leaves time for; ppo, its iteration of PPO, with the shares of "
        "rollout, scoring and update.\n\n"
        "tokenize: encodes and decodes a text on one thread.\n\n"
        "weights: decoding of 1 and 16 sequences with full and with int8 weights in turns, and the memory of "
        "both, of a given model or one of GPT-2's shape, on cpu-bf16 unless --device says otherwise.\n\n"
        "compare: a race in turns against PyTorch and llama.cpp, which the interpreter named by --python "
        "must have "
        "(pip install torch llama-cpp-python gguf numpy; what is missing is said, and the others run): "
        "training "
        "steps, rollouts, a PPO iteration, memory. Prints tables in Markdown with ratios, shares of the "
        "probed peaks "
        "and spreads; about 12 minutes, less with --rounds or --only. With --model against llama.cpp alone, "
        "with "
        "that model in numbers of bf16: prompts of 512 tokens of 1 and 16 sequences, decoding of 1, 16 and "
        "64, memory. With --device cuda against PyTorch on the same device, in some 5 minutes and with all "
        "of "
        "cuda, cuda-bf16 and cuda-cublas: training steps, rollouts and a PPO iteration, with model-FLOP "
        "utilisation (MFU) of what the data sheet of an H100 or H200 says, shares of the probed peak and of "
        "the memory floor. growth: time and memory against linear "
        "as "
        "batch, model, context, decoded rows and threads grow; some 3 minutes. serve: takes part in such a "
        "race, a "
        "line of "
        "JSON in and a line of JSON out.",
    .flags = flags,
    .least_words = 0,
    .most_words = 1,
    .run = run,
};
