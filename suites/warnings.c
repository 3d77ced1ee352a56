#include "suites/warnings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"

static const double most_share = 0.9; /* of a policy's answers */
static const int least_prompts = 10;  /* fewer are no proof */

/* The suite degenerate's metrics, in words. */
static const struct {
    const char *name, *words;
} flags[] = {{"most_frequent", "gives one answer"},
             {"two_most_frequent", "gives one of two answers"},
             {"copies_prompt", "copies the prompt"},
             {"same_as_baseline", "gives the baseline's answer"},
             {"empty", "says nothing"},
             {"truncated", "is cut off"}};

static void warn(FILE *out, const char *sentence) {
    struct node *row = node_new(NODE_MAP);

    node_add_text(row, "warning", sentence);
    node_print(out, row, 0);
    node_free(row);
}

static int is_flagged(const struct metric *metric) {
    return metric->value >= most_share && metric->n >= least_prompts && !is_null_policy(metric->policy);
}

/* One answer is one of two as well. */
static int is_told(const struct metrics *metrics, int i) {
    return i && !strcmp(metrics->items[i].name, "two_most_frequent") && is_flagged(&metrics->items[i - 1]);
}

static void warn_of_policies(FILE *out, const struct metrics *degenerate) {
    for (int i = 0; i < degenerate->count; i++) {
        const struct metric *metric = &degenerate->items[i];

        if (!is_flagged(metric) || is_told(degenerate, i)) continue;
        for (size_t f = 0; f < sizeof flags / sizeof *flags; f++)
            if (!strcmp(flags[f].name, metric->name)) {
                char *sentence = xprintf("%s %s to %.0f of %d prompts", metric->policy, flags[f].words,
                                         metric->value * metric->n, metric->n);

                warn(out, sentence);
                free(sentence);
            }
    }
}

static int measured(const struct metrics *metrics, const char *suite) {
    for (int i = 0; i < metrics->count; i++)
        if (!strcmp(metrics->items[i].suite, suite)) return 1;
    return 0;
}

/* "sophistry measured nothing; missing: a; b". Caller frees. */
static char *tell_needs(const struct bench *bench, const struct suite *suite) {
    struct text line = {0};
    int told = 0;

    text_printf(&line, "suite %s: there is nothing that it could measure", suite->name);
    for (const struct need *need = suite->needs; need && need->what; need++)
        if (!need->column || !table_column(bench->table, need->column, NULL))
            text_printf(&line, "%s%s", told++ ? "; and " : "; missing: ", need->what);
    return line.data;
}

static int warn_of_suites(FILE *out, const struct bench *bench, const struct node *named,
                          const struct metrics *metrics, struct error *err) {
    int status = 0;

    for (const struct node *name = named ? named->first : NULL; name && !status; name = name->next) {
        char *sentence;

        if (measured(metrics, name->text)) continue;
        sentence = tell_needs(bench, suite_find(name->text));
        warn(out, sentence);
        if (!metrics->count) status = fail(err, "%s", sentence);
        free(sentence);
    }
    return status;
}

int warnings_write(const struct bench *bench, const struct node *named, const struct metrics *metrics,
                   const char *folder, struct error *err) {
    const struct suite *degenerate = suite_find("degenerate");
    char *path = path_join(folder, "warnings.jsonl");
    struct metrics found = {0};
    struct output out;
    int status = output_open(&out, path, err);

    free(path);
    if (status) return -1;
    status = degenerate->measure(bench, &found, err);
    if (!status) warn_of_policies(out.file, &found);
    if (!status) status = warn_of_suites(out.file, bench, named, metrics, err);
    if (status)
        output_discard(&out);
    else
        status = output_close(&out, err);
    metrics_free(&found);
    return status;
}
