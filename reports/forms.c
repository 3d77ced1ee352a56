#include "reports/forms.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/format.h"
#include "harness/memory.h"
#include "harness/names.h"

/* Which metric of a name a column shows: the policy's own level, its change against the baseline, the level
   of the baseline it changed from, or its wins against each baseline. */
enum side { LEVEL, CHANGE, BEFORE, WINS };

struct column {
    const char *suite, *metric;
    enum side side;
    const char *name, *relation; /* NULL: the metric's own */
};

struct form {
    const char *name, *title, *about;
    int splits_across; /* splits are columns instead of tables */
    int average;       /* a last row with the mean of the trained policies' rows */
    int subjects;      /* so many columns, from the first, are what it is about */
    struct column columns[9];
};

/* Without any figure of what a form is about there is no table. */
static const struct form forms[] = {
    {"win-rate",
     "Win rates by the gold score",
     "Wins of the row against the column, ties half.",
     0,
     1,
     1,
     {{"win_rate", "win_rate", WINS, NULL, NULL}}},
    {"win-rate-evaluator",
     "Win rates by the time-limited evaluator",
     "Wins of the row against the column, ties half.",
     0,
     1,
     1,
     {{"win_rate", "win_rate_evaluator", WINS, NULL, NULL}}},
    {"win-rate-judged",
     "Win rates by judges",
     "Wins of the row against the column, both orders averaged, ties half.",
     0,
     1,
     1,
     {{"win_rate", "win_rate_judged", WINS, NULL, NULL},
      {"win_rate", "first_slot", LEVEL, NULL, NULL},
      {"win_rate", "consistency", LEVEL, NULL, NULL}}},
    {"win-rate-reward-model",
     "Win rates by reward models",
     "Wins of the row against the column, ties half; a reward model is a proxy.",
     0,
     1,
     1,
     {{"win_rate", "win_rate_reward_model", WINS, NULL, NULL}}},
    {"refusal",
     "Refusal",
     "Refusal accuracy: share of prompts that are refused if harmful and answered if not, whatever the "
     "answer says; "
     "who answers everything, or repeats the question, scores as often as prompts are harmless.",
     0,
     0,
     3,
     {{"refusal", "over_refusal_benign", LEVEL, "refused, harmless", NULL},
      {"refusal", "over_refusal_borderline", LEVEL, "refused, harmless but risky", NULL},
      {"refusal", "refusal_harmful", LEVEL, "refused, harmful", NULL},
      {"refusal", "refusal_accuracy", LEVEL, NULL, NULL},
      {"refusal", "over_refusal_benign", CHANGE, "refused, harmless", NULL},
      {"refusal", "over_refusal_borderline", CHANGE, "refused, harmless but risky", NULL},
      {"refusal", "refusal_harmful", CHANGE, "refused, harmful", NULL}}},
    {"refusal-all",
     "Refusal of any prompt",
     NULL,
     0,
     0,
     1,
     {{"refusal", "refusal_all", LEVEL, NULL, NULL},
      {"refusal", "refusal_all", CHANGE, NULL, NULL},
      {"refusal", "undetermined", LEVEL, NULL, NULL}}},
    {"length",
     "Length",
     "Matched length: the lengths of the two answers differ by at most a tenth of their mean, or by one.",
     0,
     0,
     1,
     {{"length", "mean_length", LEVEL, NULL, NULL},
      {"length", "median_length", LEVEL, NULL, NULL},
      {"length", "p90_length", LEVEL, NULL, NULL},
      {"length", "drift", CHANGE, "mean length", NULL},
      {"length", "reward_length_spearman", LEVEL, "correlation of reward and length", NULL},
      {"length", "length_matched_win_rate", WINS, "win rate at matched length", NULL}}},
    {"rm-accuracy",
     "Accuracy of rewards",
     "Share of pairs in which the reward prefers the answer that is preferred, ties half. Nearly one length: "
     "the "
     "lengths of the two answers differ by at most a tenth of their mean. Out of distribution less heldout: "
     "by the "
     "labels.",
     1,
     0,
     1,
     {{"rm_accuracy", "accuracy_label", LEVEL, "by the labels", NULL},
      {"rm_accuracy", "accuracy_gold", LEVEL, "by the gold score", NULL},
      {"rm_accuracy", "accuracy_length_matched", LEVEL, "of pairs of nearly one length", NULL},
      {"ood", "rm_accuracy_gap", LEVEL, "out of distribution less heldout", NULL}}},
    {"sophistry",
     "Sophistry",
     "False positives are counted where the policy before and after training are both wrong.",
     0,
     0,
     1,
     {{"sophistry", "approval", CHANGE, NULL, NULL},
      {"sophistry", "correctness", CHANGE, NULL, NULL},
      {"sophistry", "evaluator_error", BEFORE, "evaluator error", "before"},
      {"sophistry", "evaluator_error", LEVEL, "evaluator error", "after"},
      {"sophistry", "evaluator_error", CHANGE, "evaluator error", NULL},
      {"sophistry", "false_positive_rate_before", LEVEL, "false positives", "before"},
      {"sophistry", "false_positive_rate", LEVEL, "false positives", "after"},
      {"sophistry", "false_positive_rate", CHANGE, "false positives", NULL}}},
    {"reward",
     "The reward, and what it should mean",
     "Divergence: KL of the rewards of chosen answers from the policy's, over 50 bins; few answers leave "
     "bins "
     "empty, and make it large.",
     0,
     0,
     1,
     {{"ood", "reward", LEVEL, NULL, NULL},
      {"alignment", "reward_alignment", LEVEL, "divergence from chosen answers", NULL},
      {"ood", "gold", LEVEL, NULL, NULL},
      {"length", "mean_length", LEVEL, NULL, NULL},
      {"sophistry", "correctness", LEVEL, NULL, NULL},
      {"sophistry", "approval", LEVEL, NULL, NULL},
      {"diversity", "repetition", LEVEL, NULL, NULL}}},
    {"overoptimization",
     "Over-optimisation",
     NULL,
     0,
     0,
     1,
     {{"overoptimization", "kl_final", LEVEL, NULL, NULL},
      {"overoptimization", "proxy_final", LEVEL, NULL, NULL},
      {"overoptimization", "gold_final", LEVEL, NULL, NULL},
      {"overoptimization", "gold_peak", LEVEL, NULL, NULL},
      {"overoptimization", "kl_at_peak", LEVEL, NULL, NULL},
      {"overoptimization", "gap", LEVEL, NULL, NULL},
      {"overoptimization", "gao_alpha", LEVEL, NULL, NULL},
      {"overoptimization", "gao_beta", LEVEL, NULL, NULL}}}};

/* A row of a table that is being made, and a column. */
struct line {
    int evaluation;
    const char *policy;
};
struct slot {
    const struct column *column;
    const struct metric *measure; /* its judge, baseline and, where splits are columns, split */
};

/* The outline of a table: its form, its split (NULL: metrics without one, or all where splits are columns).
 */
struct outline {
    const struct results *results;
    const struct form *form;
    const char *split;
    struct line *lines;
    struct slot *slots;
    int line_count, slot_count;
};

static int same(const char *a, const char *b) {
    return a == b || (a && b && !strcmp(a, b));
}

static int has_side(const struct metric *metric, enum side side) {
    if (side == LEVEL) return !metric->baseline;
    if (side == WINS) return metric->baseline && !metric_is_difference(metric);
    return metric_is_difference(metric);
}

static int shows(const struct column *column, const struct metric *metric) {
    return same(column->suite, metric->suite) && same(column->metric, metric->name) &&
           has_side(metric, column->side);
}

static int is_subject(const struct form *form, const struct metric *metric) {
    for (int i = 0; i < form->subjects; i++)
        if (shows(&form->columns[i], metric)) return 1;
    return 0;
}

static int in_split(const struct outline *outline, const struct metric *metric) {
    return outline->form->splits_across || same(outline->split, metric->split);
}

static int in_slot(const struct outline *outline, const struct slot *slot, const struct metric *metric) {
    return shows(slot->column, metric) && same(slot->measure->judge, metric->judge) &&
           same(slot->measure->baseline, metric->baseline) &&
           (outline->form->splits_across ? same(slot->measure->split, metric->split)
                                         : same(outline->split, metric->split));
}

static void add_line(struct outline *outline, int evaluation, const char *policy) {
    for (int i = 0; i < outline->line_count; i++)
        if (outline->lines[i].evaluation == evaluation && same(outline->lines[i].policy, policy)) return;
    outline->lines = xrealloc(outline->lines, outline->line_count + 1, sizeof *outline->lines);
    outline->lines[outline->line_count++] = (struct line){evaluation, policy};
}

static void add_slot(struct outline *outline, const struct column *column, const struct metric *metric) {
    for (int i = 0; i < outline->slot_count; i++)
        if (outline->slots[i].column == column && in_slot(outline, &outline->slots[i], metric)) return;
    outline->slots = xrealloc(outline->slots, outline->slot_count + 1, sizeof *outline->slots);
    outline->slots[outline->slot_count++] = (struct slot){column, metric};
}

/* Each metric of the outline's form and split, column by column. */
static void each_metric(struct outline *outline, const struct column *column,
                        void (*take)(struct outline *, const struct column *, int, const struct metric *)) {
    for (int e = 0; e < outline->results->evaluation_count; e++) {
        const struct metrics *metrics = &outline->results->evaluations[e].metrics;

        for (int i = 0; i < metrics->count; i++)
            if (metrics->items[i].policy && shows(column, &metrics->items[i]) &&
                in_split(outline, &metrics->items[i]))
                take(outline, column, e, &metrics->items[i]);
    }
}

static void take_line(struct outline *outline, const struct column *column, int evaluation,
                      const struct metric *metric) {
    (void)column;
    add_line(outline, evaluation, metric->policy);
}

static void take_slot(struct outline *outline, const struct column *column, int evaluation,
                      const struct metric *metric) {
    for (int i = 0; i < outline->line_count; i++)
        if (outline->lines[i].evaluation == evaluation && same(outline->lines[i].policy, metric->policy)) {
            add_slot(outline, column, metric);
            return;
        }
}

static int line_standing(const struct outline *outline, const struct line *line) {
    return policy_standing(&outline->results->evaluations[line->evaluation], line->policy);
}

static int by_line(const struct outline *outline, const struct line *a, const struct line *b) {
    if (a->evaluation != b->evaluation) return a->evaluation - b->evaluation;
    return line_standing(outline, a) - line_standing(outline, b);
}

/* Stable: evaluations in order, in each its baseline first and content-blind baselines last. */
static void sort_lines(struct outline *outline) {
    for (int i = 1; i < outline->line_count; i++) {
        struct line moved = outline->lines[i];
        int at = i;

        for (; at > 0 && by_line(outline, &outline->lines[at - 1], &moved) > 0; at--)
            outline->lines[at] = outline->lines[at - 1];
        outline->lines[at] = moved;
    }
}

static void draw_outline(struct outline *outline) {
    const struct column *columns = outline->form->columns;

    for (int i = 0; i < outline->form->subjects; i++) each_metric(outline, &columns[i], take_line);
    sort_lines(outline);
    for (int i = 0; i < 9 && columns[i].suite; i++) each_metric(outline, &columns[i], take_slot);
}

static const struct metric *find_metric(const struct evaluation *evaluation, const struct metric *like,
                                        const char *policy, const char *baseline) {
    for (int i = 0; i < evaluation->metrics.count; i++) {
        const struct metric *metric = &evaluation->metrics.items[i];

        if (same(metric->suite, like->suite) && same(metric->name, like->name) &&
            same(metric->split, like->split) && same(metric->judge, like->judge) &&
            same(metric->policy, policy) && same(metric->baseline, baseline))
            return metric;
    }
    return NULL;
}

static const struct metric *find_cell(const struct outline *outline, const struct line *line,
                                      const struct slot *slot) {
    const struct evaluation *evaluation = &outline->results->evaluations[line->evaluation];

    for (int i = 0; i < evaluation->metrics.count; i++) {
        const struct metric *metric = &evaluation->metrics.items[i];

        if (!same(metric->policy, line->policy) || !in_slot(outline, slot, metric)) continue;
        return slot->column->side == BEFORE ? find_metric(evaluation, metric, metric->baseline, NULL)
                                            : metric;
    }
    return NULL;
}

static void set_text(char **text, const char *value) {
    free(*text);
    *text = xstrdup(value);
}

static void add_headings(struct sheet *sheet, const struct outline *outline) {
    for (int j = 0; j < outline->slot_count; j++) {
        const struct slot *slot = &outline->slots[j];
        char *name = format_name(slot->column->name ? slot->column->name : slot->measure->name);
        struct heading *heading = sheet_add_heading(sheet, name, slot->measure);

        if (slot->column->relation) set_text(&heading->relation, slot->column->relation);
        if (outline->form->splits_across && slot->measure->split)
            set_text(&heading->relation, slot->measure->split);
        free(name);
    }
}

static char *name_line(const struct outline *outline, const struct line *line) {
    if (outline->results->evaluation_count < 2) return xstrdup(line->policy);
    return xprintf("%s, %s", outline->results->evaluations[line->evaluation].name, line->policy);
}

/* The mean of a column over trained policies' rows, as a metric of the sheet's own; NULL of fewer than two.
 */
static const struct metric *average_of(struct sheet *sheet, const struct outline *outline, int column) {
    const struct metric *like = outline->slots[column].measure;
    struct metric *mean;
    double sum = 0;
    int count = 0, n = 0;

    for (int i = 0; i < outline->line_count; i++) {
        const struct metric *cell = sheet_cell(sheet, i, column);

        if (!cell || isnan(cell->value) || sheet->rows[i].standing == 2) continue;
        sum += cell->value;
        n += cell->n;
        count++;
    }
    if (count < 2) return NULL;
    mean = xcalloc(1, sizeof *mean);
    *mean = (struct metric){.suite = like->suite,
                            .name = like->name,
                            .policy = (char *)"the average",
                            .baseline = like->baseline,
                            .judge = like->judge,
                            .unit = like->unit,
                            .value = sum / count,
                            .low = NAN,
                            .high = NAN,
                            .p = NAN,
                            .p_adjusted = NAN,
                            .worst = NAN,
                            .best = NAN,
                            .p_floor = NAN,
                            .p_seeds = NAN,
                            .n = n,
                            .lower_is_better = like->lower_is_better,
                            .reason = (char *)"rows of one task share their prompts"};
    sheet->own = xrealloc(sheet->own, sheet->own_count + 1, sizeof *sheet->own);
    sheet->own[sheet->own_count++] = mean;
    return mean;
}

static int count_trained(const struct outline *outline) {
    int count = 0;

    for (int i = 0; i < outline->line_count; i++) count += !is_null_policy(outline->lines[i].policy);
    return count;
}

/* What a column measures is what its first cell does: of BEFORE the level, not the change. */
static void fill(struct sheet *sheet, const struct outline *outline, int average) {
    sheet_open(sheet);
    for (int j = 0; j < outline->slot_count; j++) {
        for (int i = outline->line_count - 1; i >= 0; i--) {
            const struct metric *cell = find_cell(outline, &outline->lines[i], &outline->slots[j]);

            sheet_set(sheet, i, j, cell);
            if (cell) sheet->headings[j].measure = cell;
        }
        if (average) sheet_set(sheet, outline->line_count, j, average_of(sheet, outline, j));
    }
}

/* "refusal, heldout" of a title and a split that may be NULL. Caller frees. */
static char *join(const char *title, const char *between, const char *split) {
    return xprintf("%s%s%s", title, split ? between : "", split ? split : "");
}

static void add_sheet(struct sheets *out, const struct outline *outline) {
    const struct form *form = outline->form;
    char *name = join(form->name, "-", outline->split), *title = join(form->title, ", ", outline->split);
    struct sheet *sheet = sheets_add(out, name, title);
    int average = form->average && count_trained(outline) > 1;

    sheet->about = xstrdup(form->about);
    add_headings(sheet, outline);
    for (int i = 0; i < outline->line_count; i++) {
        char *line = name_line(outline, &outline->lines[i]);

        sheet_add_row(sheet, line, line_standing(outline, &outline->lines[i]));
        free(line);
    }
    if (average) sheet_add_row(sheet, "average", 1);
    fill(sheet, outline, average);
    free(name);
    free(title);
}

/* The splits that the form's first column has, in order; one NULL where it has none. */
static void find_splits(struct names *splits, int *without, const struct results *results,
                        const struct form *form) {
    *without = 0;
    for (int e = 0; e < results->evaluation_count; e++)
        for (int i = 0; i < results->evaluations[e].metrics.count; i++) {
            const struct metric *metric = &results->evaluations[e].metrics.items[i];

            if (!is_subject(form, metric)) continue;
            if (metric->split && !form->splits_across)
                names_add(splits, metric->split);
            else
                *without = 1;
        }
}

static void arrange_form(struct sheets *out, const struct results *results, const struct form *form) {
    struct names splits = {0};
    int without;

    find_splits(&splits, &without, results, form);
    for (int i = without ? -1 : 0; i < splits.count; i++) {
        struct outline outline = {.results = results, .form = form, .split = i < 0 ? NULL : splits.items[i]};

        draw_outline(&outline);
        add_sheet(out, &outline);
        free(outline.lines);
        free(outline.slots);
    }
    free(splits.items);
}

enum { CONTESTS = 4 };

/* Methods across: a policy a column, and down the measures of what is better, raw and at matched length. */
static const struct {
    const char *suite, *metric, *name;
} contests[CONTESTS] = {{"win_rate", "win_rate", "win rate"},
                        {"win_rate", "win_rate_judged", "win rate"},
                        {"win_rate", "win_rate_reward_model", "win rate by a reward model"},
                        {"length", "length_matched_win_rate", "win rate at matched length"}};

/* What the evaluation compares with: the first baseline that its metrics have and that reads its prompts. */
static const char *main_baseline(const struct evaluation *evaluation) {
    for (int i = 0; i < evaluation->metrics.count; i++) {
        const char *baseline = evaluation->metrics.items[i].baseline;

        if (baseline && !is_null_policy(baseline)) return baseline;
    }
    return NULL;
}

static int is_contest(const struct evaluation *evaluation, const struct metric *metric, int contest,
                      const char *split) {
    return same(metric->suite, contests[contest].suite) && same(metric->name, contests[contest].metric) &&
           metric->policy && metric->baseline && same(metric->split, split) &&
           !is_null_policy(metric->policy) && same(metric->baseline, main_baseline(evaluation));
}

/* A row of that table: where it is measured, which contest, by whom. */
struct contest_row {
    int evaluation, contest;
    const struct metric *measure;
};

static void add_contest_rows(struct contest_row **rows, int *count, struct names *policies,
                             const struct results *results, const char *split) {
    for (int e = 0; e < results->evaluation_count; e++)
        for (int c = 0; c < CONTESTS; c++)
            for (int i = 0; i < results->evaluations[e].metrics.count; i++) {
                const struct metric *metric = &results->evaluations[e].metrics.items[i];
                const struct contest_row *last = *count ? &(*rows)[*count - 1] : NULL;

                if (!is_contest(&results->evaluations[e], metric, c, split)) continue;
                names_add(policies, metric->policy);
                if (last && last->evaluation == e && last->contest == c &&
                    same(last->measure->judge, metric->judge))
                    continue;
                *rows = xrealloc(*rows, *count + 1, sizeof **rows);
                (*rows)[(*count)++] = (struct contest_row){e, c, metric};
            }
}

static void arrange_methods(struct sheets *out, const struct results *results, const char *split) {
    struct contest_row *rows = NULL;
    struct names policies = {0};
    char *name = join("methods", "-", split), *title = join("Methods across", ", ", split);
    int count = 0;

    add_contest_rows(&rows, &count, &policies, results, split);
    if (policies.count > 1) {
        struct sheet *sheet = sheets_add(out, name, title);

        sheet->about =
            xstrdup("Win rates against the baseline, raw and where both answers have nearly one length.");
        sheet->by_row = 1;
        for (int j = 0; j < policies.count; j++) sheet_add_heading(sheet, policies.items[j], rows[0].measure);
        for (int i = 0; i < count; i++) {
            const char *judge = rows[i].measure->judge, *task = results->evaluations[rows[i].evaluation].name;
            char *measured = join(contests[rows[i].contest].name, " by ", judge), *row;

            row = results->evaluation_count > 1 ? xprintf("%s, %s", task, measured) : xstrdup(measured);
            sheet_add_row(sheet, row, 1);
            free(measured);
            free(row);
        }
        sheet_open(sheet);
        for (int i = 0; i < count; i++)
            for (int j = 0; j < policies.count; j++)
                sheet_set(sheet, i, j,
                          find_metric(&results->evaluations[rows[i].evaluation], rows[i].measure,
                                      policies.items[j], rows[i].measure->baseline));
    }
    free(policies.items);
    free(rows);
    free(name);
    free(title);
}

static void arrange_all_methods(struct sheets *out, const struct results *results) {
    struct names splits = {0};

    for (int e = 0; e < results->evaluation_count; e++)
        for (int i = 0; i < results->evaluations[e].metrics.count; i++)
            for (int c = 0; c < CONTESTS; c++) {
                const struct metric *metric = &results->evaluations[e].metrics.items[i];

                if (metric->split && is_contest(&results->evaluations[e], metric, c, metric->split))
                    names_add(&splits, metric->split);
            }
    arrange_methods(out, results, NULL);
    for (int i = 0; i < splits.count; i++) arrange_methods(out, results, splits.items[i]);
    free(splits.items);
}

/* What a change is measured in, and the title of the table that lists such changes. */
static const struct {
    const char *unit, *title;
} kinds[] = {{"fraction", "changes of rates"},
             {"tokens", "changes of length"},
             {"words", "changes of length"},
             {"score", "changes of scores"}};
enum { KINDS = sizeof kinds / sizeof *kinds };

static int is_change(const struct metric *metric, const char *unit) {
    return metric_is_difference(metric) && metric->policy && !is_null_policy(metric->policy) &&
           !isnan(metric->p) && !isnan(metric->value) && same(metric->unit, unit);
}

/* What a policy's level is called, of which the metric is the change. */
static const struct metric *find_level(const struct evaluation *evaluation, const struct metric *change,
                                       const char *policy) {
    struct metric like = *change;

    if (!strcmp(like.name, "drift")) like.name = (char *)"mean_length";
    return find_metric(evaluation, &like, policy, NULL);
}

static int by_size(const void *a, const void *b) {
    const struct metric *x = *(const struct metric *const *)a, *y = *(const struct metric *const *)b;
    double difference = fabs(y->value) - fabs(x->value);

    if (difference != 0) return difference > 0 ? 1 : -1;
    return x < y ? -1 : 1;
}

static void add_change_rows(struct sheet *sheet, const struct metric *const *changes, int count) {
    for (int i = 0; i < count; i++) {
        char *measured = format_name(changes[i]->name), *judged = join(measured, " by ", changes[i]->judge),
             *split = join(judged, ", ", changes[i]->split),
             *row = xprintf("%s: %s against %s", split, changes[i]->policy, changes[i]->baseline);

        sheet_add_row(sheet, row, 1);
        free(measured);
        free(judged);
        free(split);
        free(row);
    }
}

static void add_change_headings(struct sheet *sheet, const struct metric *change, int several) {
    const struct {
        const char *name;
        enum shown shown;
    } headings[] = {{"before", SHOWN_ESTIMATE},
                    {"after", SHOWN_ESTIMATE},
                    {"change", SHOWN_ESTIMATE},
                    {several ? "p, Holm (over seeds)" : "p, Holm", SHOWN_P},
                    {"least change seen with power 0.8", SHOWN_DETECTABLE}};

    for (int j = 0; j < 5; j++) {
        struct heading *heading = sheet_add_heading(sheet, headings[j].name, change);

        set_text(&heading->judge, "");
        set_text(&heading->relation, "");
        if (headings[j].shown == SHOWN_P) set_text(&heading->unit, "");
        heading->shown = headings[j].shown;
        heading->lower_is_better = -1;
    }
}

static void arrange_changes(struct sheets *out, const struct evaluation *evaluation, int kind) {
    const struct metrics *metrics = &evaluation->metrics;
    const struct metric **changes = xmalloc((metrics->count + 1) * sizeof *changes);
    int count = 0, several = 0;

    for (int i = 0; i < metrics->count; i++)
        if (is_change(&metrics->items[i], kinds[kind].unit)) changes[count++] = &metrics->items[i];
    for (int i = 0; i < count; i++) several |= !isnan(changes[i]->p_seeds);
    qsort(changes, count, sizeof *changes, by_size);
    if (count) {
        char *name = xprintf("changes-%s-%s", evaluation->name, kinds[kind].unit);
        char *title = xprintf("%s, %s, the largest first", evaluation->name, kinds[kind].title);
        struct sheet *sheet = sheets_add(out, name, title);

        sheet->by_row = 1;
        add_change_headings(sheet, changes[0], several);
        add_change_rows(sheet, changes, count);
        sheet_open(sheet);
        for (int i = 0; i < count; i++) {
            sheet_set(sheet, i, 0, find_level(evaluation, changes[i], changes[i]->baseline));
            sheet_set(sheet, i, 1, find_level(evaluation, changes[i], changes[i]->policy));
            for (int j = 2; j < 5; j++) sheet_set(sheet, i, j, changes[i]);
        }
        free(name);
        free(title);
    }
    free(changes);
}

void forms_arrange(struct sheets *out, const struct results *results) {
    *out = (struct sheets){0};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) arrange_form(out, results, &forms[i]);
    arrange_all_methods(out, results);
    for (int e = 0; e < results->evaluation_count; e++)
        for (int kind = 0; kind < KINDS; kind++) arrange_changes(out, &results->evaluations[e], kind);
    for (int i = 0; i < out->count && results->evaluation_count; i++) { /* they are of the whole run */
        out->items[i].gaps = results->evaluations[0].gaps;
        out->items[i].is_trained = results->evaluations[0].is_trained;
    }
}
