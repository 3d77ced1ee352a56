#include "models/race.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/progress.h"
#include "harness/section.h"
#include "harness/worker.h"
#include "models/bench_ask.h"
#include "models/bench_product.h"
#include "models/peer_script.h"
#include "models/work.h"

/* A contender's process. */
struct peer {
    struct companion companion;
    int started;
    char trouble[512]; /* why it cannot run; "" if it can */
};

struct race {
    const struct race_options *options;
    struct node *results;
    char *folder, *script, *log, *given; /* given: the given model's name in the folder; NULL: none */
    struct config config;                /* its */
    struct peer peers[PEERS];
    double *peaks[2], *bandwidths; /* f32, bf16: GFLOP/s; bytes a second; one of every round */
    int peak_count[2], bandwidth_count;
    struct product ceiling; /* of a device */
    double deadline;
};

static const char *const peer_words[PEERS] = {"", "pytorch", "pytorch-as-installed", "llama.cpp",
                                              "pytorch-cuda"};
static const char *const precisions[2] = {"f32", "bf16"}, *const devices[2][2] = {{"cpu", "cpu-bf16"},
                                                                                  {"cuda", "cuda-bf16"}};

static int start(const struct race *race, enum race_peer peer, struct companion *companion,
                 struct error *err) {
    const char *const theirs[] = {race->options->python, race->script, peer_words[peer], NULL};

    return bench_start(companion, peer == PEER_PYRITE ? NULL : theirs, &race->options->watch, race->log, err);
}

/* The peer's process, running; NULL if it cannot, and then peer->trouble says why. */
static struct peer *ready(struct race *race, enum race_peer which) {
    struct peer *peer = &race->peers[which];
    struct node *hello, *answer, *programs;
    struct error err = {0};

    if (peer->started) return peer->trouble[0] ? NULL : peer;
    peer->started = 1;
    hello = bench_request("hello", NULL);
    answer = start(race, which, &peer->companion, &err)
                 ? NULL
                 : bench_ask(&peer->companion, hello, HELLO_SECONDS, &err);
    programs = (struct node *)node_get(race->results, "programs");
    if (answer) node_add_copy(programs, NULL, answer);
    if (!answer) {
        snprintf(peer->trouble, sizeof peer->trouble, "%.500s", err.message);
        progress_notice("%s: %s", which ? peer_words[which] : "pyrite", err.message);
    }
    node_free(hello);
    node_free(answer);
    return peer->trouble[0] ? NULL : peer;
}

/* A contender's part of a heat: {"name", "precision", "told", "turns"} or {"name", "error"}. */
struct entry {
    int contender, alive;
    char key[32];
    struct node *node, *turns;
};

static void lose(struct entry *entry, const char *why) {
    entry->alive = 0;
    node_set_text(entry->node, "error", why);
    progress_notice("%s: %s", contenders[entry->contender].name, why);
}

static char *weights_of(const struct race *race, const struct race_model *model) {
    return path_join(race->folder, model ? model->name : race->given);
}

static const char *section_name(const struct race_options *options) {
    return options->device ? "race cuda" : options->model ? "race-model" : "race";
}

static void add_order(struct node *request, const struct race *race, const struct heat *heat, int equal) {
    struct node *order = node_add(request, "order", NODE_MAP);
    const struct {
        const char *name;
        int value;
    } numbers[] = {{"rows", heat->rows},
                   {"length", heat->length},
                   {"prompt", heat->prompt},
                   {"fresh", equal ? (heat->fresh + heat->shortest) / 2 : heat->fresh},
                   {"shortest", equal ? 0 : heat->shortest},
                   {"slots", heat->slots},
                   {"epochs", heat->epochs},
                   {"minibatch", heat->minibatch}};
    char *folder = weights_of(race, heat->model);

    node_add_text(order, "weights", folder);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].value) node_add_number(order, numbers[i].name, numbers[i].value);
    free(folder);
}

static struct node *opening(const struct race *race, const struct heat *heat, const struct entry *entry) {
    const struct contender *contender = &contenders[entry->contender];
    struct node *open = bench_request("open", entry->key);

    node_add_text(open, "work", heat->work);
    node_add_text(open, "mode", contender->mode);
    add_order(open, race, heat, contender->equal);
    return open;
}

static int is_compiled(int contender) {
    return strstr(contenders[contender].mode, "compiled") != NULL;
}

static double seconds_to_open(int contender) {
    return is_compiled(contender) ? COMPILE_SECONDS : OPEN_SECONDS;
}

static void open_entry(struct race *race, const struct heat *heat, struct entry *entry, int contender,
                       struct node *list) {
    struct peer *peer = ready(race, contenders[contender].peer);
    struct error err = {0};
    struct node *open, *told;

    *entry = (struct entry){.contender = contender, .alive = 1};
    snprintf(entry->key, sizeof entry->key, "%d", contender);
    entry->node = node_add(list, NULL, NODE_MAP);
    node_add_text(entry->node, "name", contenders[contender].name);
    node_add_text(entry->node, "precision", contenders[contender].precision);
    if (!peer) {
        lose(entry, race->peers[contenders[contender].peer].trouble);
        return;
    }
    if (is_compiled(contender))
        progress_notice("%s, %s: compiles, which can take minutes", heat->name, contenders[contender].name);
    open = opening(race, heat, entry);
    told = bench_ask(&peer->companion, open, seconds_to_open(contender), &err);
    node_free(open);
    if (!told) {
        lose(entry, err.message);
        return;
    }
    node_add_copy(entry->node, "told", told);
    node_free(told);
    entry->turns = node_add(entry->node, "turns", NODE_LIST);
}

static void take_turn(struct race *race, const struct heat *heat, struct entry *entry) {
    struct peer *peer = &race->peers[contenders[entry->contender].peer];
    struct node *turn = bench_request("turn", entry->key), *told;
    struct error err = {0};

    node_add_number(turn, "repeats", contenders[entry->contender].peer == PEER_INSTALLED ? 1 : heat->repeats);
    told = bench_ask(&peer->companion, turn, is_compiled(entry->contender) ? COMPILE_SECONDS : TURN_SECONDS,
                     &err);
    if (told)
        node_add_copy(entry->turns, NULL, told);
    else
        lose(entry, err.message);
    node_free(turn);
    node_free(told);
}

static void close_entry(struct race *race, const struct entry *entry) {
    struct peer *peer = &race->peers[contenders[entry->contender].peer];
    struct node *close = bench_request("close", entry->key);
    struct error err;

    if (peer->companion.pid && entry->turns)
        node_free(bench_ask(&peer->companion, close, OPEN_SECONDS, &err));
    node_free(close);
}

static double *append(double *samples, int *count, double value) {
    samples = xrealloc(samples, (size_t)*count + 1, sizeof *samples);
    samples[(*count)++] = value;
    return samples;
}

/* The ceilings, beside every round: some 50 ms of each, on a device a few. */

static void probe(struct race *race) {
    const struct stopwatch *watch = &race->options->watch;
    const char *const *names = devices[race->options->device];
    int rounds = race->options->device ? DEVICE_PROBE_ROUNDS : PROBE_ROUNDS;

    for (int i = 0; i < 2; i++) {
        const struct kernels *kernels = kernels_find(names[i]);
        double peak;

        if (!kernels) continue;
        probe_peak(kernels, watch, rounds); /* wakes the threads, and the clock of wide registers */
        peak = probe_peak(kernels, watch, rounds);
        if (kernels->operand_bytes == 2) peak = fmax(peak, probe_product(&race->ceiling, watch, 10));
        race->peaks[i] = append(race->peaks[i], &race->peak_count[i], peak);
    }
    race->bandwidths = append(race->bandwidths, &race->bandwidth_count,
                              probe_bandwidth(kernels_find(names[0]), watch, (size_t)256 << 20));
}

static void set_rate(struct node *results, const char *key, const double *samples, int count) {
    double *copy = xcalloc((size_t)count + 1, sizeof *copy);
    struct node *map = (struct node *)node_get(node_get(results, "ceilings"), key);
    struct rate rate;

    if (count) memcpy(copy, samples, (size_t)count * sizeof *copy);
    rate = rate_of(copy, count);
    free(copy);
    if (!map) {
        map = node_add((struct node *)node_get(results, "ceilings"), key, NODE_MAP);
        for (int i = 0; i < 4; i++)
            node_add_number(map, (const char *const[]){"median", "low", "high", "probes"}[i], 0);
    }
    map->first->number = rate.median;
    map->first->next->number = rate.low;
    map->first->next->next->number = rate.high;
    map->last->number = count;
}

static int write_document(const struct node *results, const struct race_options *options, struct error *err) {
    char *tables = NULL;
    size_t room = 0;
    FILE *out = open_memstream(&tables, &room);
    int status;

    race_markdown(results, out);
    fclose(out);
    status = section_write(options->document, section_name(options), tables, err);
    free(tables);
    return status;
}

static int save(struct race *race, struct error *err) {
    const struct race_options *options = race->options;

    for (int i = 0; i < 2; i++) set_rate(race->results, precisions[i], race->peaks[i], race->peak_count[i]);
    set_rate(race->results, "bandwidth", race->bandwidths, race->bandwidth_count);
    if (options->out_path && document_write(options->out_path, race->results, err)) return -1;
    return options->document ? write_document(race->results, options, err) : 0;
}

static void run_rounds(struct race *race, const struct heat *heat, struct entry *entries, int count) {
    int most = race->options->rounds ? race->options->rounds : heat->rounds;
    double began = monotonic_seconds();

    for (int round = 0; round < most; round++) {
        double now = monotonic_seconds();

        if ((round >= 3 && now - began > heat->seconds) || (round && now > race->deadline)) break;
        probe(race);
        for (int i = 0; i < count; i++) {
            struct entry *entry = &entries[(i + round) % count];

            if (entry->alive) take_turn(race, heat, entry);
        }
        progress_update(round + 1, "%s", heat->name);
    }
}

static int takes_part(const struct race *race, const struct heat *heat, int contender) {
    return (heat->who >> contender & 1) && (!is_compiled(contender) || race->options->compile);
}

/* The peak memory of a process that opens this and nothing else; NAN with err set. */
static double memory_of(const struct race *race, int contender, const struct node *open, struct error *err) {
    struct node *close = bench_request("close", "0"), *opened = NULL, *closed = NULL;
    struct companion companion = {0};
    double bytes;

    if (!start(race, contenders[contender].peer, &companion, err))
        opened = bench_ask(&companion, open, seconds_to_open(contender), err);
    if (opened) closed = bench_ask(&companion, close, TURN_SECONDS, err);
    bytes = node_number(closed, "peak_bytes", NAN);
    companion_close(&companion);
    node_free(opened);
    node_free(closed);
    node_free(close);
    return bytes;
}

/* A process for each, which does the work once or twice and ends. */
static void measure_memory(struct race *race, const struct heat *heat, struct node *list) {
    for (int c = 0; c < CONTENDERS; c++) {
        struct entry entry = {.contender = c, .key = "0"};
        struct error err = {0};
        struct node *open;
        double bytes;

        if (!takes_part(race, heat, c)) continue;
        entry.node = node_add(list, NULL, NODE_MAP);
        node_add_text(entry.node, "name", contenders[c].name);
        open = opening(race, heat, &entry);
        bytes = memory_of(race, c, open, &err);
        if (isfinite(bytes))
            node_add_number(entry.node, "peak_bytes", bytes);
        else
            lose(&entry, err.message);
        node_free(open);
    }
}

/* The heat's model is there, and what the tables count by is in its map. */
static int make_ready(struct race *race, const struct heat *heat, struct node *map, struct error *err) {
    struct config config = race->config;

    if (heat->model && race_config(&config, heat->model, err)) return -1;
    if (heat->model && race_weights(race->folder, heat->model, err)) return -1;
    node_add_number(map, "parameters", config_parameters(&config));
    node_add_number(map, "operations", heat_operations(heat, &config));
    node_add_number(map, "decode_numbers", heat_decode_numbers(heat, &config));
    return 0;
}

/* All are open, and take turns. */
static void run_together(struct race *race, const struct heat *heat, struct node *list) {
    struct entry entries[CONTENDERS];
    int count = 0;

    for (int c = 0; c < CONTENDERS; c++)
        if (takes_part(race, heat, c)) open_entry(race, heat, &entries[count++], c, list);
    run_rounds(race, heat, entries, count);
    for (int i = 0; i < count; i++) close_entry(race, &entries[i]);
}

/* What the last turn gave, for who watches or cuts the race short. */
static void tell(const struct heat *heat, const struct entry *entry) {
    const struct node *told = entry->turns->last;
    int decodes = node_get(told, "decode_seconds") != NULL;

    progress_notice("%s, %s: %.0f tokens/s", heat->name, contenders[entry->contender].name,
                    node_number(told, decodes ? "decode_tokens" : "tokens", NAN) /
                        node_number(told, decodes ? "decode_seconds" : "seconds", NAN));
}

/* One after another, since a device has not the memory for all of them. */
static void run_apart(struct race *race, const struct heat *heat, struct node *list) {
    for (int c = 0; c < CONTENDERS; c++) {
        struct entry entry;

        if (!takes_part(race, heat, c)) continue;
        open_entry(race, heat, &entry, c, list);
        if (entry.alive) run_rounds(race, heat, &entry, 1);
        if (entry.alive) tell(heat, &entry);
        close_entry(race, &entry);
    }
}

static int run_heat(struct race *race, const struct heat *heat, struct error *err) {
    struct node *map = node_add((struct node *)node_get(race->results, "heats"), NULL, NODE_MAP), *list;
    node_add_text(map, "name", heat->name);
    if (make_ready(race, heat, map, err)) return -1;
    list = node_add(map, "entries", NODE_LIST);
    progress_begin(heat->name, race->options->rounds ? race->options->rounds : heat->rounds, "rounds");
    if (heat->memory)
        measure_memory(race, heat, list);
    else if (heat->device)
        run_apart(race, heat, list);
    else
        run_together(race, heat, list);
    progress_end();
    return save(race, err);
}

static int prepare(struct race *race, struct error *err) {
    race->folder = bench_folder(race->options->folder, err);
    if (!race->folder) return -1;
    race->script = path_join(race->folder, "peers.py");
    race->log = path_join(race->folder, "peers.log");
    if (race->options->model) {
        race->given = race_given(&race->config, race->folder, race->options->model, err);
        if (!race->given) return -1;
        node_add_text(race->results, "model", race->given);
    }
    if (race->options->device && ceiling_create(&race->ceiling, kernels_find("cuda-bf16"), err)) return -1;
    return file_write(race->script, peers_py, strlen(peers_py), err);
}

static void race_free(struct race *race) {
    struct error ignored;

    for (int i = 0; i < PEERS; i++) companion_close(&race->peers[i].companion);
    if (race->folder && !race->options->folder) folder_remove(race->folder, &ignored);
    for (int i = 0; i < 2; i++) free(race->peaks[i]);
    product_free(&race->ceiling);
    free(race->bandwidths);
    free(race->folder);
    free(race->script);
    free(race->log);
    free(race->given);
}

static int check(const struct race_options *options, struct error *err) {
    if (options->device && options->model)
        return fail(err, "a model that is given is raced on the processor: leave out --device");
    if (options->device && options->watch.cpu_time)
        return fail(err, "a device's work takes no processor seconds: leave out --cpu-time");
    if (options->device && !kernels_find("cuda")) return fail(err, "%s", kernels_missing("cuda"));
    return options->document ? section_check(options->document, section_name(options), err) : 0;
}

int race_run(const struct race_options *options, struct node *results, struct error *err) {
    struct race race = {.options = options, .results = results};
    int status, ran = 0;

    bench_describe(results, options->command, &options->watch);
    if (options->device) node_add_text(results, "device", "cuda");
    node_add(results, "ceilings", NODE_MAP);
    node_add(results, "programs", NODE_LIST);
    node_add(results, "heats", NODE_LIST);
    race.deadline = monotonic_seconds() + 60 * options->minutes;
    status = check(options, err);
    if (!status) status = prepare(&race, err);
    for (const struct heat *heat = heats; heat->name && !status; heat++) {
        if (!heat->model != !!options->model || heat->device != options->device) continue;
        if (options->only && !strstr(heat->name, options->only)) continue;
        if (ran++ && monotonic_seconds() > race.deadline)
            progress_notice("%s: left out, the %g minutes are over", heat->name, options->minutes);
        else
            status = run_heat(&race, heat, err);
    }
    if (!status && !ran) status = fail(err, "no work has \"%s\" in its name", options->only);
    race_free(&race);
    return status;
}
