#include "reports/results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/names.h"
#include "harness/registry.h"

#define EFFECT 0.05 /* where the recipe states none: five points */

/* A step's folder, as its step.json describes it. */
struct place {
    char *folder, *use, *label, *baseline; /* baseline: of an evaluation */
    struct node *matrix;
};
struct places {
    struct place *items;
    int count;
};

static void place_free(struct place *place) {
    free(place->folder);
    free(place->use);
    free(place->label);
    free(place->baseline);
    node_free(place->matrix);
}

/* Of a step.json. */
static int add_place(void *list, const char *path, struct error *err) {
    struct places *places = list;
    struct node *step = document_read(path, err);
    const struct node *matrix;

    if (!step) return -1;
    matrix = node_get(step, "matrix");
    places->items = xrealloc(places->items, places->count + 1, sizeof *places->items);
    places->items[places->count++] = (struct place){
        .folder = xstrndup(path, (size_t)(strrchr(path, '/') - path)),
        .use = xstrdup(node_text(step, "use", "")),
        .label = xstrdup(node_text(step, "label", node_text(step, "name", ""))),
        .baseline = xstrdup(node_text(node_get(step, "options"), "baseline", BASELINE_POLICY)),
        .matrix = node_new(NODE_MAP),
    };
    if (matrix && matrix->kind == NODE_MAP)
        for (const struct node *child = matrix->first; child; child = child->next)
            node_add_copy(places->items[places->count - 1].matrix, child->key, child);
    node_free(step);
    return 0;
}

/* The matrix variable that names the task. */
static const char *task_of(const struct node *matrix) {
    static const char *const names[] = {"world", "task", "data"};

    for (int i = 0; i < 3; i++)
        if (node_text(matrix, names[i], NULL)) return node_text(matrix, names[i], NULL);
    return NULL;
}

/* "safety", or "safety, bias 0.5" where the evaluation stands for more than its task. */
static char *name_evaluation(const char *task, const struct node *matrix) {
    struct text name = {0};

    text_printf(&name, "%s", task);
    for (const struct node *value = matrix->first; value; value = value->next) {
        if (value->kind == NODE_STRING && !strcmp(value->text, task)) continue;
        if (value->kind == NODE_NUMBER)
            text_printf(&name, ", %s %g", value->key, value->number);
        else if (value->text)
            text_printf(&name, ", %s %s", value->key, value->text);
    }
    return name.data;
}

static int add_line(void *list, const struct node *record, int line, struct error *err) {
    (void)line;
    (void)err;
    node_add_copy(list, NULL, record);
    return 0;
}

/* The records of a JSON-lines file as a list; empty if there is no file. NULL with err set. */
static struct node *read_lines(const char *folder, const char *name, struct error *err) {
    struct node *list = node_new(NODE_LIST);
    char *path = path_join(folder, name);

    if (file_exists(path) && document_each(path, add_line, list, err)) {
        node_free(list);
        list = NULL;
    }
    free(path);
    return list;
}

static int read_records(const char *folder, const char *name, struct evaluation *out, struct error *err) {
    char *path = path_join(folder, name);
    int status = 0;

    if (!file_exists(path))
        ;
    else if (!strcmp(name, "metrics.jsonl"))
        status = metrics_read(path, &out->metrics, err);
    else if (!strcmp(name, "verdicts.jsonl"))
        status = verdicts_read(path, &out->verdicts, err);
    else
        status = transcripts_read(path, &out->transcripts, err);
    free(path);
    return status;
}

static int read_judging(const char *folder, struct evaluation *out, struct error *err) {
    char *path = path_join(folder, "judging.json");
    int there = file_exists(path);

    if (there) out->judging = document_read(path, err);
    free(path);
    return there && !out->judging ? -1 : 0;
}

static int add_evaluation(struct results *out, const struct place *place, struct error *err) {
    struct evaluation *added;
    const char *task = task_of(place->matrix);

    out->evaluations = xrealloc(out->evaluations, out->evaluation_count + 1, sizeof *out->evaluations);
    added = &out->evaluations[out->evaluation_count++];
    *added = (struct evaluation){.matrix = node_new(NODE_MAP), .baseline = xstrdup(place->baseline)};
    for (const struct node *value = place->matrix->first; value; value = value->next)
        node_add_copy(added->matrix, value->key, value);
    if (read_records(place->folder, "metrics.jsonl", added, err)) return -1;
    if (read_records(place->folder, "verdicts.jsonl", added, err)) return -1;
    added->token_rewards = read_lines(place->folder, "token_rewards.jsonl", err);
    if (!added->token_rewards || read_judging(place->folder, added, err)) return -1;
    if (!task && added->metrics.count) task = added->metrics.items[0].task;
    added->task = xstrdup(task ? task : place->label);
    added->name = name_evaluation(added->task, added->matrix);
    return 0;
}

static int add_curve(struct results *out, const struct place *place, struct error *err) {
    const char *task = task_of(place->matrix);
    struct node *rows = read_lines(place->folder, "log.jsonl", err);
    struct curve *added;

    if (!rows) return -1;
    if (!rows->count) {
        node_free(rows);
        return 0;
    }
    out->curves = xrealloc(out->curves, out->curve_count + 1, sizeof *out->curves);
    added = &out->curves[out->curve_count++];
    *added =
        (struct curve){.task = xstrdup(task ? task : ""), .policy = policy_name(place->label), .rows = rows};
    added->stage = xstrdup(place->use);
    added->seed = node_int(place->matrix, "seed", 1);
    added->matrix = node_new(NODE_MAP);
    for (const struct node *value = place->matrix->first; value; value = value->next)
        node_add_copy(added->matrix, value->key, value);
    return 0;
}

static int same_value(const struct node *a, const struct node *b) {
    if (a->text && b->text) return !strcmp(a->text, b->text);
    return a->kind == b->kind && a->number == b->number;
}

int matrix_agrees(const struct node *evaluation, const struct node *other) {
    for (const struct node *value = evaluation->first; value; value = value->next) {
        const struct node *its = node_get(other, value->key);
        if (!its || !same_value(value, its)) return 0;
    }
    return 1;
}

static int add_transcripts(struct results *out, const struct place *place, struct error *err) {
    for (int i = 0; i < out->evaluation_count; i++)
        if (matrix_agrees(out->evaluations[i].matrix, place->matrix) &&
            read_records(place->folder, "transcripts.jsonl", &out->evaluations[i], err))
            return -1;
    return 0;
}

/* The place of a matrix value among those the recipe lists; at the end if it is none of them. */
static int place_of(const struct node *listed, const struct node *value) {
    int place = 0;

    if (!value || !listed || listed->kind != NODE_LIST) return 0;
    for (const struct node *item = listed->first; item; item = item->next, place++)
        if (same_value(item, value)) break;
    return place;
}

/* Evaluations in the order of the recipe's matrix, where the manifest holds the recipe. */
static void sort_evaluations(struct results *out) {
    const struct node *matrix = node_get(node_get(out->manifest, "document"), "matrix");

    for (int i = 1; matrix && i < out->evaluation_count; i++) {
        struct evaluation moved = out->evaluations[i];
        int at = i;

        for (; at > 0; at--) {
            const struct evaluation *before = &out->evaluations[at - 1];
            int order = 0;

            for (const struct node *listed = matrix->first; listed && !order; listed = listed->next)
                order = place_of(listed, node_get(before->matrix, listed->key)) -
                        place_of(listed, node_get(moved.matrix, listed->key));
            if (order <= 0) break;
            out->evaluations[at] = *before;
        }
        out->evaluations[at] = moved;
    }
}

static int is_trainer(const char *use) {
    return !strcmp(use, "sft") || !strcmp(use, "reward") || !strcmp(use, "ppo");
}

int report_shows(const char *stage) {
    return is_trainer(stage) || !strcmp(stage, "evaluate");
}

static int gather_places(struct results *out, const struct places *places, struct error *err) {
    size_t above = strlen(out->folder) + strlen("/steps/");

    for (int i = 0; i < places->count; i++) {
        const struct place *place = &places->items[i];

        if (warnings_read(&out->warnings, place->folder, place->folder + above, err)) return -1;
        if (!strcmp(place->use, "evaluate") && add_evaluation(out, place, err)) return -1;
        if (is_trainer(place->use) && add_curve(out, place, err)) return -1;
    }
    sort_evaluations(out);
    for (int i = 0; i < places->count; i++)
        if (!strcmp(places->items[i].use, "generate") && add_transcripts(out, &places->items[i], err))
            return -1;
    return 0;
}

static int read_manifest(struct results *out, struct error *err) {
    char *path = path_join(out->folder, "manifest.json");
    const char *slash = strrchr(out->folder, '/'), *title;
    const struct node *report;

    out->manifest = file_exists(path) ? document_read(path, err) : node_new(NODE_MAP);
    free(path);
    if (!out->manifest) return -1;
    report = node_get(node_get(out->manifest, "document"), "report");
    out->effect.size = node_number(report, "effect", EFFECT);
    out->effect.is_stated = node_get(report, "effect") != NULL;
    title = node_text(out->manifest, "title", node_text(out->manifest, "name", NULL));
    out->title = xstrdup(title ? title : slash && slash[1] ? slash + 1 : out->folder);
    return 0;
}

/* Whether the run will ever have something to show, by its manifest; one that lists no steps may. */
static int is_hopeful(const struct results *results) {
    const struct node *steps = node_get(results->manifest, "steps");

    for (const struct node *step = steps ? steps->first : NULL; step; step = step->next)
        if (report_shows(node_text(step, "use", ""))) return 1;
    return !steps;
}

int results_gather(struct results *out, const char *run_folder, struct error *err) {
    struct results got = {.folder = xstrdup(run_folder)};
    struct places places = {0};
    char *steps = path_join(run_folder, "steps");
    int status = -1;

    if (!folder_exists(steps)) {
        fail(err, "%s holds no run: expected a folder with steps/ in it, as 'pyrite run' makes", run_folder);
        goto out;
    }
    if (read_manifest(&got, err) || folder_each(steps, "step.json", add_place, &places, err)) goto out;
    if (gather_places(&got, &places, err)) goto out;
    if (!got.evaluation_count && !got.curve_count) {
        fail(err,
             is_hopeful(&got)
                 ? "%s has no finished training or evaluate step to report on; 'pyrite run' goes on with it"
                 : "%s has nothing to report on: none of its steps trains or evaluates",
             run_folder);
        goto out;
    }
    for (int i = 0; i < got.evaluation_count; i++) {
        got.evaluations[i].gaps = node_text(got.manifest, "gaps", NULL);
        got.evaluations[i].is_trained = got.curve_count > 0;
    }
    *out = got;
    got = (struct results){0};
    status = 0;
out:
    for (int i = 0; i < places.count; i++) place_free(&places.items[i]);
    free(places.items);
    free(steps);
    results_free(&got);
    return status;
}

static void evaluation_free(struct evaluation *evaluation) {
    free(evaluation->name);
    free(evaluation->task);
    free(evaluation->baseline);
    node_free(evaluation->matrix);
    metrics_free(&evaluation->metrics);
    transcripts_free(&evaluation->transcripts);
    verdicts_free(&evaluation->verdicts);
    node_free(evaluation->judging);
    node_free(evaluation->token_rewards);
}

static void curve_free(struct curve *curve) {
    free(curve->task);
    free(curve->policy);
    free(curve->stage);
    node_free(curve->matrix);
    node_free(curve->rows);
}

static void figure_free(struct figure *figure) {
    free(figure->file);
    free(figure->section);
    free(figure->group);
    free(figure->title);
    free(figure->caption);
    free(figure->svg);
    free(figure->script);
}

void results_free(struct results *results) {
    for (int i = 0; i < results->evaluation_count; i++) evaluation_free(&results->evaluations[i]);
    for (int i = 0; i < results->curve_count; i++) curve_free(&results->curves[i]);
    for (int i = 0; i < results->figure_count; i++) figure_free(&results->figures[i]);
    free(results->evaluations);
    free(results->curves);
    free(results->figures);
    free(results->figure_note);
    free(results->title);
    free(results->folder);
    node_free(results->manifest);
    warnings_free(&results->warnings);
    *results = (struct results){0};
}

const char **results_sections(const struct results *results, int *count) {
    struct names names = {0};

    for (int i = 0; i < results->evaluation_count; i++) names_add(&names, results->evaluations[i].name);
    for (int i = 0; i < results->figure_count; i++) names_add(&names, results->figures[i].section);
    *count = names.count;
    return names.items;
}

static int is_world(const struct results *results, const char *section) {
    for (int i = 0; i < results->evaluation_count; i++)
        if (!strcmp(results->evaluations[i].name, section))
            return node_get(results->evaluations[i].matrix, "world") != NULL;
    for (int i = 0; i < results->curve_count; i++)
        if (!strcmp(results->curves[i].task, section))
            return node_get(results->curves[i].matrix, "world") != NULL;
    return 0;
}

char *section_heading(const struct results *results, const char *section) {
    return xprintf("%s %s", is_world(results, section) ? "World" : "Task", section);
}

const struct evaluation *results_evaluation(const struct results *results, const char *section) {
    for (int i = 0; i < results->evaluation_count; i++)
        if (!strcmp(results->evaluations[i].name, section)) return &results->evaluations[i];
    return NULL;
}

int policy_standing(const struct evaluation *evaluation, const char *policy) {
    return is_null_policy(policy) ? 2 : strcmp(policy, evaluation->baseline) != 0;
}

int results_standing(const struct results *results, const char *policy) {
    int standing = is_null_policy(policy) ? 2 : 1;

    if (!results->evaluation_count && !strcmp(policy, BASELINE_POLICY)) return 0;
    for (int i = 0; i < results->evaluation_count && standing; i++)
        standing = policy_standing(&results->evaluations[i], policy);
    return standing;
}

/* Who answered or was trained. */
static void add_policies(struct names *names, const struct results *results) {
    for (int i = 0; i < results->evaluation_count; i++)
        for (int j = 0; j < results->evaluations[i].transcripts.count; j++)
            names_add(names, results->evaluations[i].transcripts.items[j].policy);
    for (int i = 0; i < results->curve_count; i++)
        if (!strcmp(results->curves[i].stage, "ppo")) names_add(names, results->curves[i].policy);
}

/* Those of them that metrics name, in the metrics' order. */
static void add_measured(struct names *names, const struct results *results, const struct names *known) {
    for (int i = 0; i < results->evaluation_count; i++) {
        const struct metrics *metrics = &results->evaluations[i].metrics;

        for (int j = 0; j < metrics->count; j++)
            for (int k = 0; metrics->items[j].policy && k < known->count; k++)
                if (!strcmp(known->items[k], metrics->items[j].policy)) names_add(names, known->items[k]);
    }
}

const char **results_policies(const struct results *results, int *count) {
    struct names known = {0}, ordered = {0};
    const char **sorted;

    add_policies(&known, results);
    add_measured(&ordered, results, &known);
    for (int i = 0; i < known.count; i++) names_add(&ordered, known.items[i]);
    sorted = xmalloc((ordered.count + 1) * sizeof *sorted);
    *count = 0;
    for (int rank = 0; rank < 3; rank++)
        for (int i = 0; i < ordered.count; i++)
            if (results_standing(results, ordered.items[i]) == rank) sorted[(*count)++] = ordered.items[i];
    free(known.items);
    free(ordered.items);
    return sorted;
}
