/* Processor seconds and peak memory of reading 160,000 preference pairs (as many as HH has): made-up
 * dialogues of HH's lengths, of words that are as frequent as Zipf's law says; every tenth first turn is
 * another one with a word replaced. usage: time_data FOLDER, which receives about 700 MB. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/registry.h"
#include "harness/rng.h"

enum { PAIRS = 160000, WORDS = 20000, TURN = 25, ANSWER = 60 };

extern const struct stage stage_pairs;

static double seconds(void) {
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Up to twice `mean` words; the word of rank r with probability about 1 / r. */
static void add_words(struct text *out, struct rng *rng, int mean) {
    int count = 1 + rng_below(rng, 2 * mean);

    for (int i = 0; i < count; i++) {
        double rank = 1;

        while (rank < WORDS && rng_chance(rng, 0.75)) rank *= 1 + 3 * rng_uniform(rng);
        text_printf(out, " w%d", (int)rank);
    }
}

/* The dialogue up to where the answers part: the first turn is drawn from `number`, and one word apart. */
static void add_dialogue(struct text *out, int number) {
    struct rng first = rng_stream(1, "time/first", (uint64_t)(number % 10 == 9 ? number - 1 : number), 0);
    struct rng rest = rng_stream(1, "time/rest", (uint64_t)number, 0);
    int turns = rng_below(&rest, 3);

    text_printf(out, "\\n\\nHuman:");
    add_words(out, &first, TURN);
    if (number % 10 == 9) text_printf(out, " once");
    for (int i = 0; i < turns; i++) {
        text_printf(out, "\\n\\nAssistant:");
        add_words(out, &rest, ANSWER);
        text_printf(out, "\\n\\nHuman:");
        add_words(out, &rest, TURN);
    }
    text_printf(out, "\\n\\nAssistant:");
}

static int write_pairs(const char *path, struct error *err) {
    struct output out;

    if (output_open(&out, path, err)) return -1;
    for (int i = 0; i < PAIRS; i++) {
        struct rng rng = rng_stream(1, "time/answers", (uint64_t)i, 0);
        struct text dialogue = {0}, chosen = {0}, rejected = {0};

        add_dialogue(&dialogue, i);
        add_words(&chosen, &rng, ANSWER);
        add_words(&rejected, &rng, ANSWER);
        fprintf(out.file, "{\"chosen\": \"%s%s\", \"rejected\": \"%s%s\"}\n", dialogue.data, chosen.data,
                dialogue.data, rejected.data);
        free(dialogue.data);
        free(chosen.data);
        free(rejected.data);
    }
    return output_close(&out, err);
}

static int read_pairs(const char *file, const char *folder, struct error *err) {
    struct run run = {.recipe = "time", .folder = (char *)folder, .device = "cpu", .threads = 1};
    struct step step = {.name = "data", .label = "data", .use = "pairs", .seed = 1, .folder = folder};
    struct node *options = node_new(NODE_MAP);
    int status;

    node_add_text(options, "file", file);
    node_add_number(options, "most_prompt", 100000);
    node_add_number(options, "most_response", 100000);
    step.options = options;
    status = stage_pairs.run(&run, &step, err);
    node_free(options);
    return status;
}

int main(int count, char **words) {
    const char *folder = count == 2 ? words[1] : "time_data.tmp";
    char *file = path_join(folder, "pairs-160k.jsonl"), *summary = path_join(folder, "data.json"), *text;
    struct rusage usage;
    struct error err;
    double begun;

    if (folder_make(folder, &err) || write_pairs(file, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    begun = seconds();
    if (read_pairs(file, folder, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    getrusage(RUSAGE_SELF, &usage);
    printf("%d pairs: %.1f s of processor time, %ld MiB at most\n", PAIRS, seconds() - begun,
           usage.ru_maxrss / 1024);
    text = file_read(summary, NULL, &err);
    printf("%s\n", text ? text : err.message);
    free(text);
    free(file);
    free(summary);
    return 0;
}
