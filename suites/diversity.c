/* Diversity of a policy's answers to the prompts of a split; words are what white space parts. All but
   repetition are one value a seed; their differences from the baseline are taken seed by seed. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "suites/measure.h"

enum { LONGEST_GRAM = 4, UNIQUE = LONGEST_GRAM + 1, KINDS = UNIQUE };

struct gram {
    const char *at;
    size_t length;
};

struct grams {
    struct gram *items;
    int count, room;
};

static void add_gram(struct grams *grams, const char *at, size_t length) {
    if (grams->count == grams->room) {
        grams->room = 2 * grams->room + 64;
        grams->items = xrealloc(grams->items, (size_t)grams->room, sizeof *grams->items);
    }
    grams->items[grams->count++] = (struct gram){at, length};
}

static int by_bytes(const void *a, const void *b) {
    const struct gram *x = a, *y = b;
    size_t shorter = x->length < y->length ? x->length : y->length;
    int order = memcmp(x->at, y->at, shorter);

    return order ? order : (x->length > y->length) - (x->length < y->length);
}

/* Words with one space between them, so that n-grams are slices. */
static char *single_spaced(const char *text) {
    struct text out = {0};

    text_add(&out, "", 0);
    while (*text) {
        size_t word = 0;

        while (isspace((unsigned char)*text)) text++;
        while (text[word] && !isspace((unsigned char)text[word])) word++;
        if (word && out.length) text_add(&out, " ", 1);
        text_add(&out, text, word);
        text += word;
    }
    return out.data;
}

/* All slices of n words. */
static void add_grams(struct grams *grams, const char *spaced, int n) {
    const char *from = spaced;

    while (*from) {
        const char *end = from;

        for (int words = 0; words < n && end; words++) end = words ? strchr(end + 1, ' ') : strchr(end, ' ');
        if (!end) {
            int spaces = 0;

            for (const char *c = from; *c; c++) spaces += *c == ' ';
            if (spaces == n - 1) add_gram(grams, from, strlen(from));
            return;
        }
        add_gram(grams, from, (size_t)(end - from));
        from = strchr(from, ' ') + 1;
    }
}

static int count_distinct(struct grams *grams) {
    int distinct = 0;

    if (grams->count) qsort(grams->items, (size_t)grams->count, sizeof *grams->items, by_bytes);
    for (int i = 0; i < grams->count; i++)
        distinct += !i || by_bytes(&grams->items[i - 1], &grams->items[i]) != 0;
    return distinct;
}

/* kind 1 to 4: n-grams; UNIQUE: whole answers. */
static double distinct_share(const struct bench *bench, const struct measure *what, int seed, int kind) {
    const struct table *table = bench->table;
    char **texts = xcalloc((size_t)table->question_count, sizeof *texts);
    struct grams grams = {0};
    int distinct;
    double out;

    for (int q = 0; q < table->question_count; q++) {
        const struct transcript *answer = table->answers[table_cell(table, what->policy, seed, q)];

        if (!answer || !measure_takes(bench, what, q)) continue;
        texts[q] = single_spaced(answer->response);
        if (kind == UNIQUE)
            add_gram(&grams, texts[q], strlen(texts[q]));
        else
            add_grams(&grams, texts[q], kind);
    }
    distinct = count_distinct(&grams);
    out = grams.count ? (double)distinct / grams.count : NAN;
    for (int q = 0; q < table->question_count; q++) free(texts[q]);
    free(texts);
    free(grams.items);
    return out;
}

static void add_shares(const struct bench *bench, const struct measure *what, const double *mine,
                       const double *theirs, struct metrics *out) {
    const struct table *table = bench->table;
    struct metric *metric =
        measure_metric(bench, what, theirs ? table->policies[table->baseline] : NULL, out);

    metric->seeds = table->seed_count;
    metric->per_seed = xmalloc((size_t)table->seed_count * sizeof *metric->per_seed);
    for (int s = 0; s < table->seed_count; s++) metric->per_seed[s] = mine[s] - (theirs ? theirs[s] : 0);
    metric_of_seeds(bench, metric, theirs ? TESTED : ANY);
}

static void measure_kind(const struct bench *bench, struct measure *what, int kind, struct metrics *out) {
    const struct table *table = bench->table;
    double *mine = xmalloc((size_t)table->seed_count * sizeof *mine);
    double *theirs = xmalloc((size_t)table->seed_count * sizeof *theirs);
    struct measure baseline = *what;
    char name[32];

    snprintf(name, sizeof name, kind == UNIQUE ? "unique_answers" : "distinct_%d", kind);
    what->name = name;
    baseline.policy = table->baseline;
    for (int s = 0; s < table->seed_count; s++) {
        mine[s] = distinct_share(bench, what, s, kind);
        theirs[s] = distinct_share(bench, &baseline, s, kind);
    }
    add_shares(bench, what, mine, NULL, out);
    if (what->policy != table->baseline) add_shares(bench, what, mine, theirs, out);
    free(mine);
    free(theirs);
}

static double repetition_of(const char *response) {
    char *text = single_spaced(response);
    struct grams grams = {0};
    double out = 0;

    add_grams(&grams, text, LONGEST_GRAM);
    if (grams.count) out = 1 - (double)count_distinct(&grams) / grams.count;
    free(grams.items);
    free(text);
    return out;
}

static int diversity_measure(const struct bench *bench, struct metrics *out, struct error *err) {
    const struct table *table = bench->table;
    const char **splits = table_splits(table);
    double *repetition = xmalloc((size_t)table_cells(table) * sizeof *repetition);
    struct measure what = {.suite = "diversity", .unit = "fraction"};

    (void)err;
    for (int i = 0; i < table_cells(table); i++)
        repetition[i] = table->answers[i] ? repetition_of(table->answers[i]->response) : NAN;
    for (int i = 0; splits[i]; i++)
        for (what.policy = 0; what.policy < table->policy_count; what.policy++) {
            if (is_null_policy(table->policies[what.policy])) continue;
            what.split = splits[i];
            what.lower_is_better = 0;
            what.value = NULL;
            for (int kind = 1; kind <= KINDS; kind++) measure_kind(bench, &what, kind, out);
            what.name = "repetition";
            what.lower_is_better = 1;
            what.value = repetition;
            measure_column(bench, &what, out);
        }
    free(repetition);
    free(splits);
    return 0;
}

static const struct definition definitions[] = {
    {"distinct_1",
     "different words over all words, of all answers together; falls with the total length by itself"},
    {"distinct_2", "the same of runs of two words"},
    {"distinct_3", "the same of runs of three words"},
    {"distinct_4", "the same of runs of four words"},
    {"unique_answers", "share of different answers among all"},
    {"repetition", "share of an answer's runs of four words that stood in it before; mean over prompts"},
    {0}};

const struct suite suite_diversity = {.name = "diversity",
                                      .summary = "different n-grams and answers; repetition within one",
                                      .metrics = definitions,
                                      .measure = diversity_measure};
