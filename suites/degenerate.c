/* Policies that game a suite without reading its prompts, told from the answers alone. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "suites/measure.h"

/* A copy with single spaces and none at the ends. */
static char *squeezed(const char *text) {
    struct text out = {0};

    text_add(&out, "", 0);
    for (; *text; text++) {
        if (!isspace((unsigned char)*text))
            text_add(&out, text, 1);
        else if (out.length && out.data[out.length - 1] != ' ')
            text_add(&out, " ", 1);
    }
    if (out.length && out.data[out.length - 1] == ' ') out.data[--out.length] = 0;
    return out.data;
}

static char **squeeze_answers(const struct table *table) {
    char **texts = xcalloc((size_t)table_cells(table), sizeof *texts);

    for (int i = 0; i < table_cells(table); i++)
        if (table->answers[i]) texts[i] = squeezed(table->answers[i]->response);
    return texts;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The two most frequent answers of one policy and seed, "" before all else; NULL where there are fewer. */
static void most_frequent(char *const *texts, int count, const char *most[2]) {
    char **sorted = xmalloc((size_t)count * sizeof *sorted);
    int n = 0, times[2] = {0};

    most[0] = most[1] = NULL;
    for (int i = 0; i < count; i++)
        if (texts[i]) sorted[n++] = texts[i];
    qsort(sorted, (size_t)n, sizeof *sorted, by_text);
    for (int i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && !strcmp(sorted[end], sorted[i]); end++) continue;
        if (end - i > times[0]) {
            most[1] = most[0];
            times[1] = times[0];
            most[0] = sorted[i];
            times[0] = end - i;
        } else if (end - i > times[1]) {
            most[1] = sorted[i];
            times[1] = end - i;
        }
    }
    free(sorted);
}

enum { MOST, TWO, COPY, BASELINE, EMPTY, KINDS };
static const char *const names[] = {"most_frequent", "two_most_frequent", "copies_prompt", "same_as_baseline",
                                    "empty"};

static int same(const char *a, const char *b) {
    return a && b && !strcmp(a, b);
}

static void fill(const struct table *table, char *const *texts, double *columns[KINDS]) {
    for (int p = 0; p < table->policy_count; p++)
        for (int s = 0; s < table->seed_count; s++) {
            int first = table_cell(table, p, s, 0);
            const char *most[2];

            most_frequent(texts + first, table->question_count, most);
            for (int q = 0; q < table->question_count; q++) {
                int cell = first + q;
                char *prompt;

                for (int k = 0; k < KINDS; k++) columns[k][cell] = NAN;
                if (!texts[cell]) continue;
                prompt = squeezed(table->questions[q].prompt);
                columns[MOST][cell] = same(texts[cell], most[0]);
                columns[TWO][cell] = same(texts[cell], most[0]) || same(texts[cell], most[1]);
                if (prompt[0]) columns[COPY][cell] = same(texts[cell], prompt);
                columns[EMPTY][cell] = !texts[cell][0];
                if (p != table->baseline)
                    columns[BASELINE][cell] =
                        same(texts[cell], texts[table_cell(table, table->baseline, s, q)]);
                free(prompt);
            }
        }
}

static int any_known(const struct table *table, const double *values, int policy) {
    for (int s = 0; s < table->seed_count; s++)
        for (int q = 0; q < table->question_count; q++)
            if (!isnan(values[table_cell(table, policy, s, q)])) return 1;
    return 0;
}

static int degenerate_measure(const struct bench *bench, struct metrics *out, struct error *err) {
    const struct table *table = bench->table;
    size_t bytes = (size_t)table_cells(table) * sizeof(double);
    const double *truncated = table_column(table, "truncated", NULL);
    char **texts = squeeze_answers(table);
    double *columns[KINDS];
    struct measure what = {.suite = "degenerate", .unit = "fraction", .lower_is_better = 1};

    (void)err;
    for (int k = 0; k < KINDS; k++) columns[k] = xmalloc(bytes);
    fill(table, texts, columns);
    for (what.policy = 0; what.policy < table->policy_count; what.policy++) {
        for (int k = 0; k <= KINDS; k++) {
            what.name = k < KINDS ? names[k] : "truncated";
            what.value = k < KINDS ? columns[k] : truncated;
            if (what.value && any_known(table, what.value, what.policy)) measure_level(bench, &what, out);
        }
    }
    for (int k = 0; k < KINDS; k++) free(columns[k]);
    for (int i = 0; i < table_cells(table); i++) free(texts[i]);
    free(texts);
    return 0;
}

static const struct definition definitions[] = {
    {"most_frequent", "share of prompts answered with the policy's most frequent answer"},
    {"two_most_frequent", "share answered with one of its two most frequent ones"},
    {"copies_prompt", "share of answers that are the prompt, white space aside"},
    {"same_as_baseline", "share of answers that are the baseline's to the same prompt"},
    {"empty", "share of answers without a word"},
    {"truncated", "share of answers cut off at the length limit, where they tell how they ended"},
    {0}};

const struct suite suite_degenerate = {
    .name = "degenerate",
    .summary = "constant answers, copies of the prompt or of the baseline, empty ones",
    .metrics = definitions,
    .measure = degenerate_measure};
