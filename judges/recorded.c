/* Judgments that were made before, from a file: people's labels, or another tool's verdicts. Judges what the
   file says; joined by id alone. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/outputs_format.h"
#include "judges/judge.h"

struct settings {
    const char *file, *of, *column, *what;
    int extra;
};

#define AT(field) offsetof(struct settings, field)
static const struct option options[] = {
    {"file", OPTION_FILE, AT(file), NULL, 0, 0, NULL,
     "verdicts.jsonl; or a table with \"transcript\", or \"id\" and \"policy\", and a column of labels"},
    {"of", OPTION_TEXT, AT(of), "", 0, 0, NULL, "of verdicts.jsonl, only what this judge said"},
    {"column", OPTION_TEXT, AT(column), "correct", 0, 0, NULL, "of a table: where the labels stand"},
    {"what", OPTION_TEXT, AT(what), "", 0, 0, NULL,
     "what a table's labels say; the column's name if not given"},
    {"extra", OPTION_BOOL, AT(extra), "false", 0, 0, NULL, "the file may say more than is asked"},
    {0}};
#undef AT

/* One thing that the file says. */
struct record {
    char *key; /* of the answer, or of the pair */
    char *what, *reason;
    enum outcome outcome;
    double score;
    int order, row, used;
};

struct judging {
    struct settings settings;
    char *name, *file;
    struct record *records; /* sorted by key, then as in the file */
    int count, pairs;       /* pairs: how many of them */
};

static char *key_of_answer(const char *transcript) {
    return xprintf("answer %s", transcript);
}

static char *key_of_prompt(const char *policy, const char *prompt) {
    return xprintf("prompt %s\n%s", policy ? policy : "", prompt);
}

static char *key_of_pair(const char *transcript, const char *other) {
    return xprintf("pair %s\n%s", transcript, other);
}

/* What list_verdict() and take_row() fill. */
static struct record *add_record(struct judging *judging, char *key, const char *what) {
    int count = judging->count;

    if ((count & (count - 1)) == 0)
        judging->records =
            xrealloc(judging->records, count ? 2 * (size_t)count : 1, sizeof *judging->records);
    judging->records[count] = (struct record){.key = key, .what = xstrdup(what), .row = count};
    judging->count++;
    return &judging->records[count];
}

static int take_verdicts(struct judging *judging, struct error *err) {
    struct verdicts list = {0};
    int status = verdicts_read(judging->file, &list, err);

    for (int i = 0; i < list.count && !status; i++) {
        const struct verdict *verdict = &list.items[i];
        struct record *record;

        if (judging->settings.of && strcmp(judging->settings.of, verdict->judge)) continue;
        record = add_record(judging,
                            verdict->other ? key_of_pair(verdict->transcript, verdict->other)
                                           : key_of_answer(verdict->transcript),
                            verdict->what);
        record->outcome = verdict->outcome;
        record->score = verdict->score;
        record->order = verdict->order;
        record->reason = xstrdup(verdict->reason);
        judging->pairs += verdict->other != NULL;
    }
    verdicts_free(&list);
    return status;
}

/* A number, or yes and no in any spelling; NaN where there is none. */
static double label_of(const struct node *field) {
    char *end;
    double number;

    if (!field || field->kind == NODE_NULL) return NAN;
    if (field->kind == NODE_NUMBER || field->kind == NODE_BOOL) return field->number;
    number = field->text ? strtod(field->text, &end) : NAN;
    return field->text && field->text[0] && !*end ? number : field_truth(field);
}

static int take_row(void *context, const struct node *row, int line, struct error *err) {
    static const char *const ids[] = {"id", "prompt_id", "question_id", "task_id", NULL};
    struct judging *judging = context;
    const char *column = judging->settings.column, *transcript = node_text(row, "transcript", NULL),
               *id = NULL;
    const char *what = judging->settings.what ? judging->settings.what : column;
    struct record *record;

    (void)line;
    for (int i = 0; ids[i] && !id; i++) id = node_text(row, ids[i], NULL);
    if (!transcript && !id) return fail(err, "a label needs \"transcript\", or \"id\" and \"policy\"");
    if (!node_get(row, column))
        return fail(err, "there is no column \"%s\"; name the labels' with column", column);
    record =
        add_record(judging,
                   transcript ? key_of_answer(transcript)
                              : key_of_prompt(node_text(row, "policy", node_text(row, "model", NULL)), id),
                   what);
    record->score = label_of(node_get(row, column));
    record->outcome = isnan(record->score) ? OUTCOME_UNPARSED : OUTCOME_VERDICT;
    if (isnan(record->score))
        record->reason = xstrdup("the file's label is empty, or neither yes, no nor a number");
    return 0;
}

static int peek(void *context, const struct node *row, int line, struct error *err) {
    int *is_verdicts = context;

    (void)line;
    (void)err;
    *is_verdicts = node_get(row, "transcript") && node_get(row, "judge") && node_get(row, "outcome");
    return 1;
}

static int by_key(const void *a, const void *b) {
    const struct record *x = a, *y = b;
    int order = strcmp(x->key, y->key);

    return order ? order : x->row - y->row;
}

static void recorded_close(struct judging *judging) {
    if (!judging) return;
    for (int i = 0; i < judging->count; i++) {
        free(judging->records[i].key);
        free(judging->records[i].what);
        free(judging->records[i].reason);
    }
    free(judging->records);
    free(judging->name);
    free(judging->file);
    free(judging);
}

static int recorded_open(struct judging **out, const struct judge_setup *setup, struct error *err) {
    struct judging *judging = xcalloc(1, sizeof *judging);
    int is_verdicts = 0, status = -1;

    if (options_read(options, NULL, setup->options, setup->where, &judging->settings, err)) goto out;
    judging->name = xstrdup(setup->name ? setup->name : "recorded");
    judging->file = xstrdup(judging->settings.file);
    if (document_each(judging->file, peek, &is_verdicts, err) < 0) goto out;
    if (is_verdicts ? take_verdicts(judging, err) : document_each(judging->file, take_row, judging, err) < 0)
        goto out;
    if (!judging->count) {
        fail(err, "%s holds no judgments%s%s", judging->file, judging->settings.of ? " of the judge " : "",
             judging->settings.of ? judging->settings.of : "");
        goto out;
    }
    qsort(judging->records, (size_t)judging->count, sizeof *judging->records, by_key);
    *out = judging;
    judging = NULL;
    status = 0;
out:
    recorded_close(judging);
    return status;
}

/* The first record with this key, or NULL; takes the key. */
static struct record *find(const struct judging *judging, char *key) {
    int low = 0, high = judging->count;
    struct record *found = NULL;

    while (low < high) {
        int middle = low + (high - low) / 2;

        if (strcmp(judging->records[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < judging->count && !strcmp(judging->records[low].key, key)) found = &judging->records[low];
    free(key);
    return found;
}

static struct record *find_answer(const struct judging *judging, const struct transcript *answer) {
    struct record *found = find(judging, key_of_answer(answer->id));

    if (!found) found = find(judging, key_of_prompt(answer->policy, answer->prompt_id));
    return found ? found : find(judging, key_of_prompt(NULL, answer->prompt_id));
}

static void repeat(const struct judging *judging, const struct transcript *answer,
                   const struct transcript *other, struct record *record, int turned, struct verdicts *out) {
    struct verdict *verdict;

    verdict_add(out, answer, judging->name, record->what, turned ? 1 - record->score : record->score);
    verdict = &out->items[out->count - 1];
    verdict->outcome = record->outcome;
    verdict->reason = xstrdup(record->reason);
    if (other) verdict_set_pair(verdict, answer, other);
    verdict->order = turned && record->order ? 3 - record->order : record->order;
    record->used++;
}

static int fail_twice(const struct judging *judging, const struct record *record, struct error *err) {
    return fail(
        err,
        "%s: the label of \"%s\" does not say whose answer it is, and several policies gave one; a column "
        "\"policy\" must",
        judging->file, strchr(record->key, '\n') + 1);
}

static int check_used(const struct judging *judging, int pairs, struct error *err) {
    int unused = 0;
    const struct record *first = NULL;

    for (int i = 0; i < judging->count && !judging->settings.extra; i++) {
        const struct record *record = &judging->records[i];

        if (record->used || (strncmp(record->key, "pair ", 5) == 0) != pairs) continue;
        if (!first || record->row < first->row) first = record;
        unused++;
    }
    if (!unused) return 0;
    return fail(
        err,
        "%s: %d judgments are of no answer that is judged, the first in row %d; ids must match, or extra: "
        "true lets them be",
        judging->file, unused, first->row + 1);
}

static int recorded_judge(struct judging *judging, const struct transcript *const *answers, int count,
                          struct verdicts *out, struct error *err) {
    const struct record *end = judging->records + judging->count;
    const char *what = judging->settings.what ? judging->settings.what : judging->settings.column;

    if (judging->pairs == judging->count) return 0;
    for (int i = 0; i < count; i++) {
        struct record *record = find_answer(judging, answers[i]);
        const char *key = record ? record->key : "";

        if (!record)
            verdict_add_failure(out, answers[i], judging->name, what, OUTCOME_UNPARSED,
                                "the file has no label of this answer");
        if (record && record->used && !strncmp(key, "prompt \n", 8)) return fail_twice(judging, record, err);
        for (; record && record < end && !strcmp(record->key, key); record++)
            repeat(judging, answers[i], NULL, record, 0, out);
    }
    return check_used(judging, 0, err);
}

static int recorded_compare(struct judging *judging, const struct transcript *const *a,
                            const struct transcript *const *b, int count, struct verdicts *out,
                            struct error *err) {
    const struct record *end = judging->records + judging->count;

    if (!judging->pairs) return 0;
    for (int i = 0; i < count; i++) {
        int before = out->count;

        for (int turned = 0; turned < 2; turned++) {
            struct record *record =
                find(judging, turned ? key_of_pair(b[i]->id, a[i]->id) : key_of_pair(a[i]->id, b[i]->id));
            const char *key = record ? record->key : "";

            for (; record && record < end && !strcmp(record->key, key); record++)
                repeat(judging, a[i], b[i], record, turned, out);
        }
        if (out->count > before) continue;
        verdict_add_failure(out, a[i], judging->name, "preference", OUTCOME_UNPARSED,
                            "the file has no verdict on this pair");
        verdict_set_pair(&out->items[out->count - 1], a[i], b[i]);
    }
    return check_used(judging, 1, err);
}

static void recorded_account(const struct judging *judging, struct node *out) {
    char hex[65];
    struct error ignored;

    node_add_text(out, "file", judging->file);
    if (!hash_file(hex, judging->file, &ignored)) node_add_text(out, "sha256", hex);
    node_add_number(out, "records", judging->count);
}

/* Nobody labelled what null policies would say. */
const struct judge judge_recorded = {.name = "recorded",
                                     .summary = "labels or verdicts from a file, joined by id",
                                     .options = options,
                                     .costly = 1,
                                     .open = recorded_open,
                                     .judge = recorded_judge,
                                     .compare = recorded_compare,
                                     .account = recorded_account,
                                     .close = recorded_close};
