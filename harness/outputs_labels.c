#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "harness/memory.h"
#include "harness/outputs_format.h"

/* 1 refused, 0 answered, ½ undetermined, NaN: no label of refusals. */
static double refusal_of(const char *label) {
    static const struct {
        const char *label;
        double value;
    } labels[] = {
        {"refused", 1},        {"refusal", 1},    {"2_full_refusal", 1},      {"full_refusal", 1},
        {"answered", 0},       {"compliance", 0}, {"1_full_compliance", 0},   {"full_compliance", 0},
        {"undetermined", 0.5}, {"partial", 0.5},  {"3_partial_refusal", 0.5}, {"partial_refusal", 0.5}};

    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        if (!strcasecmp(labels[i].label, label)) return labels[i].value;
    return NAN;
}

static void add_refusal(struct outputs_reading *in, double refused, const char *policy, const char *id) {
    judgment_set(add_judgment(in, policy, id, NULL, "label", "refused"), refused == 0.5 ? NAN : refused);
    judgment_set(add_judgment(in, policy, id, NULL, "label", "undetermined"), refused == 0.5);
}

static int is_blank(const struct node *field) {
    return field->kind == NODE_NULL || (field->text && !field->text[strspn(field->text, " \t")]);
}

int add_labels(struct outputs_reading *in, const struct node *record, const char *policy, const char *id) {
    static const char *const truths[][2] = {{"correct", "correct"},   {"is_correct", "correct"},
                                            {"approved", "approval"}, {"approval", "approval"},
                                            {"accepted", "approval"}, {"refused", "refused"}};
    static const char *const texts[] = {"label", "refusal", "final_label", NULL};
    const struct node *field;
    int count = 0;

    for (size_t i = 0; i < sizeof truths / sizeof *truths; i++) {
        if (!(field = node_get(record, truths[i][0]))) continue;
        count++;
        if (is_blank(field)) continue; /* not labelled: nothing was judged */
        judgment_set(add_judgment(in, policy, id, NULL, "label", truths[i][1]), field_truth(field));
    }
    for (int i = 0; texts[i]; i++) {
        double refused = (field = node_get(record, texts[i])) && field->text ? refusal_of(field->text) : NAN;

        count += field && is_blank(field);
        if (isnan(refused)) continue;
        add_refusal(in, refused, policy, id);
        count++;
    }
    return count;
}

/* A number in any spelling, NaN if it is none. */
static double number_of(const struct node *field) {
    char *end;
    double number;

    if (field->kind == NODE_NUMBER) return field->number;
    if (!field->text || is_blank(field)) return NAN;
    number = strtod(field->text, &end);
    return end[strspn(end, " %")] ? NAN : number;
}

static int add_number_label(struct outputs_reading *in, const struct node *field, const char *what,
                            double value, const char *policy, const char *id) {
    if (!field) return 0;
    if (!is_blank(field)) judgment_set(add_judgment(in, policy, id, NULL, "label", what), value);
    return 1;
}

/* What a file of labels may say, and a table of answers not: there "gold" is a text, and "weight" anything.
 */
static int add_more_labels(struct outputs_reading *in, const struct node *record, const char *policy,
                           const char *id) {
    const struct node *gold = node_get(record, "gold"), *weight = node_get(record, "weight"),
                      *confidence = node_get(record, "confidence");
    double percent = confidence ? number_of(confidence) : NAN;
    int count = add_number_label(in, gold, "correct", gold ? field_truth(gold) : NAN, policy, id);

    count += add_number_label(in, confidence, "approval", isnan(percent) ? NAN : percent > 50, policy, id);
    count += add_number_label(in, confidence, "approval_probability", percent / 100, policy, id);
    add_number_label(in, weight, "weight", weight ? number_of(weight) : NAN, policy, id);
    return count;
}

/* A file of labels for answers that were read before. */
struct labels {
    struct outputs_reading in;
    const char *policy;
    const char **policies;
    int policy_count;
};

static const char *policy_of(const struct labels *labels, const struct node *record, struct error *err) {
    const char *named = node_text(record, "policy", node_text(record, "model", labels->policy));

    if (!named && labels->policy_count == 1) named = labels->policies[0];
    if (!named) {
        fail(err, "a label must say whose answer it is, in a column \"policy\": there are %d policies",
             labels->policy_count);
        return NULL;
    }
    for (int i = 0; i < labels->policy_count; i++)
        if (!strcmp(labels->policies[i], named)) return named;
    fail(err, "there are no answers of \"%s\" to label", named);
    return NULL;
}

/* A slip of the pen is no label that nobody gave: what stands there is read, or named. */
static int check_spelling(const struct node *record, struct error *err) {
    static const char *const truths[] = {"correct",  "is_correct", "approved", "approval",
                                         "accepted", "refused",    "gold",     NULL};
    static const char *const numbers[] = {"confidence", "weight", NULL};
    const struct node *field;

    for (int i = 0; truths[i]; i++)
        if ((field = node_get(record, truths[i])) && !is_blank(field) && isnan(field_truth(field)))
            return fail(
                err,
                "\"%s\" must be yes or no (true or false, 1 or 0), or blank where nobody labelled, not '%s'",
                truths[i], field->text ? field->text : "that");
    for (int i = 0; numbers[i]; i++)
        if ((field = node_get(record, numbers[i])) && !is_blank(field) && isnan(number_of(field)))
            return fail(err, "\"%s\" must be a number, or blank, not '%s'", numbers[i],
                        field->text ? field->text : "that");
    return 0;
}

static int fail_no_label(const struct node *record, struct error *err) {
    const char *label = node_text(record, "label", NULL);

    if (label) return fail(err, "\"label\" must be answered, refused or undetermined, not '%s'", label);
    return fail(err, "no label: expected a column \"label\" (answered, refused, undetermined), \"refused\", "
                     "\"correct\" or \"approval\"");
}

static int take_label(void *context, const struct node *record, int line, struct error *err) {
    static const char *const ids[] = {"id", "prompt_id", "question_id", "task_id", "example_id", "idx", NULL};
    struct labels *labels = context;
    const char *policy = policy_of(labels, record, err);
    char *id = record_id(record, ids, node_text(record, "prompt", NULL));
    int status = 0;

    (void)line;
    labels->in.rows++;
    if (!policy)
        status = -1;
    else if (!id)
        status = fail(err, "a label needs the id or the prompt of its answer");
    else if (check_spelling(record, err))
        status = -1;
    else if (!(add_labels(&labels->in, record, policy, id) +
               add_more_labels(&labels->in, record, policy, id)))
        status = fail_no_label(record, err);
    free(id);
    return status;
}

static int by_id(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_known(const struct outputs *out, int first, const char *path, struct error *err) {
    const char **ids = xmalloc(((size_t)out->transcripts.count + 1) * sizeof *ids);
    int unknown = 0, status = 0;
    const char *example = NULL;

    for (int i = 0; i < out->transcripts.count; i++) ids[i] = out->transcripts.items[i].id;
    qsort(ids, (size_t)out->transcripts.count, sizeof *ids, by_id);
    for (int i = first; i < out->verdicts.count; i++)
        if (!bsearch(&out->verdicts.items[i].transcript, ids, (size_t)out->transcripts.count, sizeof *ids,
                     by_id)) {
            unknown++;
            example = out->verdicts.items[i].transcript;
        }
    if (unknown)
        status = fail(
            err, "%s: %d label%s of no answer that was read, such as %s; labels and answers are joined by id",
            path, unknown, unknown == 1 ? " is" : "s are", example);
    free(ids);
    return status;
}

static int by_label(const void *a, const void *b) {
    const struct verdict *x = *(const struct verdict *const *)a, *y = *(const struct verdict *const *)b;
    int order = strcmp(x->transcript, y->transcript);

    if (!order) order = strcmp(x->what, y->what);
    return order ? order : (x > y) - (x < y);
}

static int same_label(const struct verdict *a, const struct verdict *b) {
    return a->outcome == b->outcome && (a->outcome != OUTCOME_VERDICT || a->score == b->score);
}

/* One answer has one label: a file that gives two, or one that says another than what was read before, is an
   error. */
static int check_labelled_once(const struct outputs *out, int first, const char *path, struct error *err) {
    const struct verdict **labels = xmalloc(((size_t)out->verdicts.count + 1) * sizeof *labels);
    const struct verdict *begun = out->verdicts.items + first;
    int count = 0, status = 0;

    for (int i = 0; i < out->verdicts.count; i++)
        if (!strcmp(out->verdicts.items[i].judge, "label")) labels[count++] = &out->verdicts.items[i];
    qsort(labels, (size_t)count, sizeof *labels, by_label);
    for (int i = 1; i < count && !status; i++) {
        const struct verdict *before = labels[i - 1], *label = labels[i];

        if (strcmp(before->transcript, label->transcript) || strcmp(before->what, label->what)) continue;
        if (before >= begun || !same_label(before, label))
            status =
                fail(err, "%s: the answer %s is labelled twice (%s)", path, label->transcript, label->what);
    }
    free(labels);
    return status;
}

int outputs_read_labels(struct outputs *out, const char *path, const char *policy, struct error *err) {
    struct labels labels = {.in = {.out = out, .path = path}, .policy = policy};
    int first = out->verdicts.count, count = 0, status;

    labels.policies = outputs_policies(out, &labels.policy_count);
    status = document_each(path, take_label, &labels, err);
    if (!status && !labels.in.rows) status = fail(err, "%s has no rows", path);
    if (!status && out->verdicts.count == first)
        status = fail(err, "%s has no labels: every field is blank", path);
    if (!status) status = check_known(out, first, path, err);
    if (!status) status = check_labelled_once(out, first, path, err);
    /* a refusal is two verdicts: whether, and whether that can be told */
    for (int i = first; i < out->verdicts.count; i++)
        count += strcmp(out->verdicts.items[i].what, "undetermined") != 0;
    if (!status) {
        out->understood = xrealloc(out->understood, (size_t)out->file_count + 1, sizeof *out->understood);
        out->understood[out->file_count++] =
            xprintf("%s: labels, %d rows, %d labels", path, labels.in.rows, count);
    }
    free(labels.policies);
    return status;
}
