#include "suites/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"

int table_cells(const struct table *table) {
    return table->policy_count * table->seed_count * table->question_count;
}

int table_cell(const struct table *table, int policy, int seed, int question) {
    return (policy * table->seed_count + seed) * table->question_count + question;
}

static int policy_of(const struct table *table, const char *policy) {
    for (int i = 0; i < table->policy_count; i++)
        if (!strcmp(table->policies[i], policy)) return i;
    return -1;
}

static int seed_of(const struct table *table, int seed) {
    for (int i = 0; i < table->seed_count; i++)
        if (table->seeds[i] == seed) return i;
    return -1;
}

static int by_number(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;

    return (x > y) - (x < y);
}

static void add_policy(struct table *table, const char *policy) {
    if (policy_of(table, policy) >= 0) return;
    table->policies = xrealloc(table->policies, (size_t)table->policy_count + 1, sizeof *table->policies);
    table->policies[table->policy_count++] = policy;
}

static void add_seed(struct table *table, int seed) {
    if (seed_of(table, seed) >= 0) return;
    table->seeds = xrealloc(table->seeds, (size_t)table->seed_count + 1, sizeof *table->seeds);
    table->seeds[table->seed_count++] = seed;
}

static int by_prompt_id(const void *a, const void *b) {
    const struct transcript *x = *(const struct transcript *const *)a;
    const struct transcript *y = *(const struct transcript *const *)b;
    int order = strcmp(x->prompt_id, y->prompt_id);

    return order ? order : (x > y) - (x < y);
}

/* question[i] of each transcript; questions in the order of their first answer. */
static int number_questions(struct table *table, const struct transcripts *in, int *question,
                            struct error *err) {
    const struct transcript **sorted = xmalloc((size_t)in->count * sizeof *sorted);
    int *first = xmalloc((size_t)in->count * sizeof *first), status = 0;

    for (int i = 0; i < in->count; i++) sorted[i] = &in->items[i];
    qsort(sorted, (size_t)in->count, sizeof *sorted, by_prompt_id);
    for (int i = 0; i < in->count && !status; i++) {
        int at = (int)(sorted[i] - in->items),
            same = i && !strcmp(sorted[i - 1]->prompt_id, sorted[i]->prompt_id);

        first[at] = same ? first[sorted[i - 1] - in->items] : at;
        if (strcmp(in->items[first[at]].prompt, in->items[at].prompt))
            status = fail(err, "the prompt id \"%s\" stands for two different prompts; ids must be unique",
                          in->items[at].prompt_id);
    }
    table->questions = xcalloc((size_t)in->count, sizeof *table->questions);
    for (int i = 0; i < in->count && !status; i++) {
        const struct transcript *t = &in->items[i];

        if (first[i] == i) {
            table->questions[table->question_count] =
                (struct question){.id = t->prompt_id,
                                  .split = t->split ? t->split : "heldout",
                                  .prompt = t->prompt,
                                  .category = t->category};
            question[i] = table->question_count++;
        } else {
            question[i] = question[first[i]];
        }
    }
    free(sorted);
    free(first);
    return status;
}

struct place {
    const char *id;
    int cell;
};

static int by_place(const void *a, const void *b) {
    return strcmp(((const struct place *)a)->id, ((const struct place *)b)->id);
}

static int fail_baseline(const struct table *table, const char *baseline, struct error *err) {
    struct text list = {0};

    text_add(&list, "", 0);
    for (int i = 0; i < table->policy_count; i++)
        text_printf(&list, "%s%s", i ? ", " : "", table->policies[i]);
    fail(err, "the baseline \"%s\" has no answers; there are: %.500s", baseline, list.data);
    free(list.data);
    return -1;
}

/* Puts the answers in their cells, and the ids in order for table_add_verdicts(). */
static int place_answers(struct table *table, const struct transcripts *in, const int *question,
                         struct error *err) {
    struct place *places = xmalloc((size_t)in->count * sizeof *places);
    int status = 0;

    table->answers = xcalloc((size_t)table_cells(table), sizeof *table->answers);
    for (int i = 0; i < in->count && !status; i++) {
        const struct transcript *t = &in->items[i];
        int cell = table_cell(table, policy_of(table, t->policy), seed_of(table, t->seed), question[i]);

        if (table->answers[cell])
            status = fail(
                err,
                "policy %s, seed %d answers prompt %s twice; one answer a prompt is expected (per_prompt: 1)",
                t->policy, t->seed, t->prompt_id);
        table->answers[cell] = t;
        places[i] = (struct place){t->id, cell};
    }
    if (!status) qsort(places, (size_t)in->count, sizeof *places, by_place);
    table->places = xcalloc((size_t)in->count, sizeof *table->places);
    table->cells = xcalloc((size_t)in->count, sizeof *table->cells);
    for (int i = 0; i < in->count && !status; i++) {
        if (i && !strcmp(places[i - 1].id, places[i].id))
            status = fail(err, "two answers have the id \"%s\"; ids must be unique", places[i].id);
        table->places[i] = (char *)places[i].id;
        table->cells[i] = places[i].cell;
    }
    table->place_count = in->count;
    free(places);
    return status;
}

static const char *unit_of(const struct transcript *answer) {
    return answer->unit ? answer->unit : "tokens";
}

static int find_length_unit(struct table *table, const struct transcripts *in, struct error *err) {
    table->length_unit = unit_of(&in->items[0]);
    for (int i = 1; i < in->count; i++)
        if (strcmp(unit_of(&in->items[i]), table->length_unit))
            return fail(
                err,
                "the answer \"%s\" counts its length in %s, the answer \"%s\" in %s; evaluate them apart",
                in->items[0].id, table->length_unit, in->items[i].id, unit_of(&in->items[i]));
    return 0;
}

int table_build(struct table *out, const struct transcripts *transcripts, const char *baseline,
                struct error *err) {
    int *question = xmalloc((size_t)transcripts->count * sizeof *question), status = -1;
    struct table table = {0};

    if (!transcripts->count) {
        fail(err, "there are no answers to evaluate");
        goto out;
    }
    for (int i = 0; i < transcripts->count; i++) {
        add_policy(&table, transcripts->items[i].policy);
        add_seed(&table, transcripts->items[i].seed);
    }
    qsort(table.seeds, (size_t)table.seed_count, sizeof *table.seeds, by_number);
    table.baseline = policy_of(&table, baseline);
    if (table.baseline < 0) {
        fail_baseline(&table, baseline, err);
        goto out;
    }
    if (find_length_unit(&table, transcripts, err)) goto out;
    if (number_questions(&table, transcripts, question, err)) goto out;
    if (place_answers(&table, transcripts, question, err)) goto out;
    *out = table;
    table = (struct table){0};
    status = 0;
out:
    table_free(&table);
    free(question);
    return status;
}

void table_free(struct table *table) {
    for (int i = 0; i < table->column_count; i++) {
        free(table->columns[i].what);
        free(table->columns[i].judge);
        free(table->columns[i].value);
        free(table->columns[i].verdicts);
        free(table->columns[i].failure);
    }
    free(table->policies);
    free(table->seeds);
    free(table->questions);
    free(table->answers);
    free(table->columns);
    free(table->places);
    free(table->cells);
    *table = (struct table){0};
}

static struct column *find_column(const struct table *table, const char *what, const char *judge) {
    for (int i = 0; i < table->column_count; i++) {
        struct column *column = &table->columns[i];

        if (strcmp(column->what, what)) continue;
        if (!judge || (column->judge && !strcmp(column->judge, judge))) return column;
    }
    return NULL;
}

const double *table_column(const struct table *table, const char *what, const char *judge) {
    const struct column *column = find_column(table, what, judge);

    return column ? column->value : NULL;
}

double *table_add_column(struct table *table, const char *what, const char *judge) {
    struct column *column = find_column(table, what, judge);
    int cells = table_cells(table);

    if (column) return column->value;
    table->columns = xrealloc(table->columns, (size_t)table->column_count + 1, sizeof *table->columns);
    column = &table->columns[table->column_count++];
    *column = (struct column){
        .what = xstrdup(what), .judge = xstrdup(judge), .value = xmalloc((size_t)cells * sizeof(double))};
    for (int i = 0; i < cells; i++) column->value[i] = NAN;
    return column->value;
}

static int cell_of(const struct table *table, const char *id) {
    int low = 0, high = table->place_count;

    while (low < high) {
        int middle = low + (high - low) / 2;

        if (strcmp(table->places[middle], id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < table->place_count && !strcmp(table->places[low], id) ? table->cells[low] : -1;
}

const struct column *table_column_of(const struct table *table, const double *value) {
    for (int i = 0; i < table->column_count; i++)
        if (table->columns[i].value == value) return &table->columns[i];
    return NULL;
}

/* A verdict as a score of one cell; cell -1: of nothing here. */
struct placed {
    const char *what;
    int cell;
    double score;
};

static int is_baselines(const struct table *table, int cell) {
    return cell >= 0 && cell / (table->seed_count * table->question_count) == table->baseline;
}

static struct placed place_pair(const struct table *table, const struct verdict *verdict) {
    static const char *const names[] = {"preference", "preference_first", "preference_second"};
    int cell = cell_of(table, verdict->transcript), other = cell_of(table, verdict->other);
    int turn = is_baselines(table, cell), order = verdict->order;
    struct placed out = {.cell = -1, .score = turn ? 1 - verdict->score : verdict->score};

    if (cell < 0 || other < 0 || strcmp(verdict->what, "preference")) return out;
    if (is_baselines(table, cell) == is_baselines(table, other)) return out;
    if (turn && order) order = 3 - order;
    out.what = names[order == 1 || order == 2 ? order : 0];
    out.cell = turn ? other : cell;
    return out;
}

static void add_verdict(struct table *table, const struct placed *placed, const struct verdict *verdict) {
    double *value = table_add_column(table, placed->what, verdict->judge);
    struct column *column = find_column(table, placed->what, verdict->judge);
    int cells = table_cells(table), *count;

    if (!column->verdicts) {
        column->verdicts = xcalloc((size_t)cells, sizeof *column->verdicts);
        column->failure = xcalloc((size_t)cells, sizeof *column->failure);
    }
    count = &column->verdicts[placed->cell];
    if (verdict->outcome > OUTCOME_TIE || isnan(verdict->score)) {
        column->failure[placed->cell] = (unsigned char)verdict->outcome;
        return;
    }
    value[placed->cell] =
        *count ? (value[placed->cell] * *count + placed->score) / (*count + 1) : placed->score;
    ++*count;
}

void table_add_verdicts(struct table *table, const struct verdicts *verdicts) {
    for (int i = 0; i < verdicts->count; i++) {
        const struct verdict *verdict = &verdicts->items[i];
        struct placed placed = {verdict->what, cell_of(table, verdict->transcript), verdict->score};

        if (verdict->other) placed = place_pair(table, verdict);
        if (placed.cell >= 0) add_verdict(table, &placed, verdict);
    }
}
