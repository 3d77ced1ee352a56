#include "models/bench_tokenize.h"

#include <stdlib.h>
#include <string.h>

#include "harness/document.h"
#include "harness/file.h"
#include "harness/memory.h"
#include "models/tokenizer.h"

enum { LEARNED_TOKENS = 8192 };
#define ROUND_SECONDS 0.2

struct work {
    struct tokenizer *tokenizer;
    char *text;
    size_t length;
    struct tokens ids;
};

static int learn(struct work *work, struct error *err) {
    char *copy = xstrdup(work->text), *state = NULL;
    const char **lines = NULL;
    int count = 0, room = 0, status;

    for (char *line = strtok_r(copy, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
        if (count == room) lines = xrealloc(lines, (size_t)(room = 2 * room + 64), sizeof *lines);
        lines[count++] = line;
    }
    status = tokenizer_train(&work->tokenizer, lines, count, LEARNED_TOKENS, err);
    free(lines);
    free(copy);
    return status;
}

static int open_work(struct work *work, const struct tokenize_options *options, struct error *err) {
    if (!options->text)
        return fail(err,
                    "bench tokenize needs a text to encode: --text FILE, some hundred KB of English or more");
    work->text = file_read(options->text, &work->length, err);
    if (!work->text) return -1;
    if (work->length == 0) return fail(err, "%s is empty: expected a text to encode", options->text);
    return options->tokenizer ? tokenizer_open(&work->tokenizer, options->tokenizer, err) : learn(work, err);
}

static void encode(struct work *work) {
    work->ids.count = 0;
    tokenizer_encode_added(work->tokenizer, work->text, work->length, &work->ids);
}

static void decode(struct work *work) {
    free(tokenizer_decode(work->tokenizer, work->ids.ids, work->ids.count, NULL));
}

/* MB/s of the text's bytes. */
static struct rate measure(struct work *work, void (*task)(struct work *), const struct stopwatch *watch,
                           int rounds) {
    double *samples = xcalloc((size_t)rounds, sizeof *samples);
    struct rate rate;

    task(work);
    for (int r = 0; r < rounds; r++) {
        double from = stopwatch_seconds(watch), passed = 0;
        size_t bytes = 0;

        for (; passed < ROUND_SECONDS; passed = stopwatch_seconds(watch) - from, bytes += work->length)
            task(work);
        samples[r] = (double)bytes / passed / 1e6;
    }
    rate = rate_of(samples, rounds);
    free(samples);
    return rate;
}

static void print_rate(FILE *out, const char *what, struct rate rate) {
    fprintf(out, "%-6s %8.1f %8.1f %8.1f\n", what, rate.median, rate.low, rate.high);
}

static void add_rate(struct node *root, const char *what, struct rate rate) {
    struct node *map = node_add(root, what, NODE_MAP);

    node_add_number(map, "median", rate.median);
    node_add_number(map, "low", rate.low);
    node_add_number(map, "high", rate.high);
}

static void print_json(const struct work *work, struct rate encoding, struct rate decoding, FILE *out) {
    struct node *root = node_new(NODE_MAP);

    node_add_number(root, "bytes", (double)work->length);
    node_add_number(root, "tokens", work->ids.count);
    node_add_number(root, "vocabulary", tokenizer_vocab(work->tokenizer));
    add_rate(root, "encode", encoding);
    add_rate(root, "decode", decoding);
    node_print(out, root, 2);
    node_free(root);
}

int bench_tokenize(const struct tokenize_options *options, const struct stopwatch *watch, FILE *out,
                   struct error *err) {
    const struct stopwatch one = {watch->cpu_time, 1};
    struct work work = {0};
    struct rate encoding, decoding;
    int status = open_work(&work, options, err);

    if (status) goto out;
    encoding = measure(&work, encode, &one, options->rounds);
    decoding = measure(&work, decode, &one, options->rounds);
    if (options->json) {
        print_json(&work, encoding, decoding, out);
        goto out;
    }
    fprintf(out, "%zu bytes, %d tokens of a vocabulary of %d; MB/s on one thread, %d rounds\n", work.length,
            work.ids.count, tokenizer_vocab(work.tokenizer), options->rounds);
    fprintf(out, "%-6s %8s %8s %8s\n", "", "median", "low", "high");
    print_rate(out, "encode", encoding);
    print_rate(out, "decode", decoding);
out:
    tokenizer_free(work.tokenizer);
    free(work.text);
    free(work.ids.ids);
    return status;
}
