#include "harness/outputs.h"

#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/names.h"
#include "harness/outputs_format.h"
#include "harness/questions.h"

static const struct outputs_format *format_of(const struct node *record) {
    for (const struct outputs_format *const *format = outputs_formats; *format; format++)
        if ((*format)->knows(record)) return *format;
    return NULL;
}

/* Of the judgments from `first` on none is of a model and itself: that would count as a win or a loss of it.
 */
static int check_sides(const struct verdicts *all, int first, struct error *err) {
    for (int i = first; i < all->count; i++) {
        const struct verdict *verdict = &all->items[i];
        int named = verdict->policy && verdict->other_policy;

        if (verdict->other && (named ? !strcmp(verdict->policy, verdict->other_policy)
                                     : !strcmp(verdict->transcript, verdict->other)))
            return fail(err, "a comparison of %s with itself; a pair needs answers of two models",
                        named ? verdict->policy : verdict->transcript);
    }
    return 0;
}

static int take_record(void *context, const struct node *record, int line, struct error *err) {
    struct outputs_reading *in = context;
    int first = in->out->verdicts.count;

    if (record->kind != NODE_MAP) return fail(err, "an object was expected in every row");
    if (!in->format) in->format = format_of(record);
    if (!in->format) return fail(err, "an empty row; columns were expected");
    if (!in->format->knows(record))
        return fail(err, "a row of another kind than the first, which is of %s", in->format->name);
    in->rows++;
    if (in->format->take(in, record, line, err)) return -1;
    return check_sides(&in->out->verdicts, first, err);
}

struct place {
    const struct transcript *answer;
    int line; /* in this file; 0: in one before */
};

static int by_place(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    int order = strcmp(x->answer->id, y->answer->id);

    return order ? order : x->line - y->line;
}

/* Every answer by its id, then by its line. Caller frees. */
static struct place *places_of(const struct outputs_reading *in) {
    const struct transcripts *all = &in->out->transcripts;
    struct place *places = xmalloc(((size_t)all->count + 1) * sizeof *places);
    int old = all->count - in->line_count;

    for (int i = 0; i < all->count; i++)
        places[i] = (struct place){&all->items[i], i < old ? 0 : in->lines[i - old]};
    qsort(places, (size_t)all->count, sizeof *places, by_place);
    return places;
}

/* Leaves out the answers that are marked. */
static void drop_answers(struct transcripts *all, const char *marked) {
    struct transcripts dropped = {0};
    int kept = 0;

    for (int i = 0; i < all->count; i++) {
        if (marked[i])
            *transcripts_add(&dropped) = all->items[i];
        else
            all->items[kept++] = all->items[i];
    }
    all->count = kept;
    transcripts_free(&dropped);
}

static int is_again(const struct place *place, const struct place *before) {
    return !strcmp(place->answer->id, before->answer->id);
}

/* Answers that this file gives twice, or gave again after another. A file of comparisons may, in the same
 * words.
 */
static int check_twice(const struct outputs_reading *in, struct error *err) {
    struct transcripts *all = &in->out->transcripts;
    struct place *places = places_of(in);
    char *again = xcalloc((size_t)all->count + 1, 1);
    struct text twice = {0};
    int count = 0, status = 0;

    for (int i = 1; i < all->count; i++) {
        const struct place *place = &places[i], *before = &places[i - 1];

        if (!is_again(place, before)) continue;
        if (in->format->repeats && !strcmp(place->answer->response, before->answer->response)) {
            again[place->answer - all->items] = 1;
            continue;
        }
        if (count++ >= 3) continue;
        text_printf(&twice, "%s%s", count > 1 ? ", " : "", place->answer->id);
        if (before->line) text_printf(&twice, " (lines %d and %d)", before->line, place->line);
    }
    if (count)
        status = fail(
            err,
            "%s: %d answer%s stand%s twice: %s%s; give each prompt one answer a policy, or ids of its own",
            in->path, count, count > 1 ? "s" : "", count > 1 ? "" : "s", twice.data, count > 3 ? ", …" : "");
    else
        drop_answers(all, again);
    free(twice.data);
    free(again);
    free(places);
    return status;
}

static int by_question(const void *a, const void *b) {
    const struct example *x = a, *y = b;

    return strcmp(x->id, y->id);
}

static void keep_field(char **kept, char **other) {
    if (*kept) {
        free(*other);
    } else {
        *kept = *other;
    }
    *other = NULL;
}

static void keep_meta(struct example *question, const struct node *more) {
    for (const struct node *field = more ? more->first : NULL; field; field = field->next) {
        if (!question->meta) question->meta = node_new(NODE_MAP);
        if (!node_get(question->meta, field->key)) node_add_copy(question->meta, field->key, field);
    }
}

/* What `other` adds to the question that is kept; empties it. */
static void merge_question(struct example *kept, struct example *other) {
    if (!kept->prompt[0]) {
        char *prompt = kept->prompt;

        kept->prompt = other->prompt;
        other->prompt = prompt;
    }
    keep_field(&kept->category, &other->category);
    keep_field(&kept->truth, &other->truth);
    keep_field(&kept->split, &other->split);
    keep_meta(kept, other->meta);
    node_free(other->meta);
    free(other->id);
    free(other->prompt);
}

static int differ(const char *a, const char *b) {
    return a && b && a[0] && b[0] && strcmp(a, b);
}

/* Whether an id stands for two questions: two prompts, or two truths. */
static int check_same(const struct example *a, const struct example *b, const char *path, struct error *err) {
    const char *form = "%s: the id %s stands for two %ss, \"%.60s\" and \"%.60s\"; files are joined by id";

    if (differ(a->prompt, b->prompt)) return fail(err, form, path, a->id, "prompt", a->prompt, b->prompt);
    if (differ(a->truth, b->truth)) return fail(err, form, path, a->id, "truth", a->truth, b->truth);
    return 0;
}

/* One question an id, in the order of ids; what a later file adds is kept. */
static int merge_questions(struct examples *questions, const char *path, struct error *err) {
    int kept = 0, status = 0;

    if (questions->count) qsort(questions->items, questions->count, sizeof *questions->items, by_question);
    for (int i = 0; i < questions->count; i++) {
        struct example *next = &questions->items[i], *same = kept ? &questions->items[kept - 1] : NULL;
        int again = same && !strcmp(same->id, next->id);

        if (again && check_same(same, next, path, err)) {
            status = -1;
            again = 0;
        }
        if (again)
            merge_question(same, next);
        else
            questions->items[kept++] = *next;
    }
    questions->count = kept;
    return status;
}

static char *stem_of(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

    return xstrndup(name, strcspn(name, "."));
}

static void say_understood(struct outputs_reading *in) {
    struct outputs *out = in->out;
    struct text more = {0};

    text_add(&more, "", 0);
    if (in->columns.length) text_printf(&more, "; %s", in->columns.data);
    if (in->missing) text_printf(&more, "; %d left out without an answer", in->missing);
    if (in->untyped)
        text_printf(&more, "; %d answer%s a number or true or false, read as written", in->untyped,
                    in->untyped == 1 ? " is" : "s are each");
    out->understood = xrealloc(out->understood, (size_t)out->file_count + 1, sizeof *out->understood);
    out->understood[out->file_count++] = xprintf("%s: %s, %d row%s%s", in->path, in->format->name, in->rows,
                                                 in->rows == 1 ? "" : "s", more.data);
    out->missing += in->missing;
    free(more.data);
}

int outputs_read(struct outputs *out, const char *path, const struct outputs_how *how, struct error *err) {
    char *stem = stem_of(path);
    struct outputs_reading in = {.out = out, .how = how, .path = path, .stem = stem};
    int status = document_each(path, take_record, &in, err);

    if (!status && !in.rows) status = fail(err, "%s has no rows", path);
    if (!status) status = check_twice(&in, err);
    if (!status) status = merge_questions(&out->questions, path, err);
    if (!status) say_understood(&in);
    free(in.columns.data);
    free(in.lines);
    free(stem);
    return status;
}

int outputs_read_word(struct outputs *out, const char *word, const struct outputs_how *how,
                      struct error *err) {
    const char *equals = strchr(word, '=');
    char *name = equals ? xstrndup(word, (size_t)(equals - word)) : NULL;
    struct outputs_how named = *how;
    int status;

    if (name) named.name = name;
    status = outputs_read(out, equals ? equals + 1 : word, &named, err);
    free(name);
    return status;
}

/* A file of questions: the set that its first row belongs to, or NULL, and the prompts asked so far by id. */
struct asking {
    struct outputs_reading in;
    const struct question_set *set;
    int asked; /* questions before this file's, sorted by id */
};

/* A set's row tells how the set asks; what a model was really asked stands beside its answer and counts. */
static void keep_asked(struct asking *asking, int first) {
    struct examples *questions = &asking->in.out->questions;

    for (int i = first; i < questions->count; i++) {
        struct example *question = &questions->items[i],
                       *known = bsearch(question, questions->items, (size_t)asking->asked, sizeof *question,
                                        by_question);

        if (known && known->prompt[0]) question->prompt[0] = 0;
    }
}

static int take_question(void *context, const struct node *record, int line, struct error *err) {
    struct asking *asking = context;
    int first = asking->in.out->questions.count;

    (void)line;
    if (record->kind != NODE_MAP) return fail(err, "an object was expected in every row");
    if (!asking->in.rows++) asking->set = question_set_of(record);
    if (!asking->set) return add_question_row(&asking->in, record, err);
    if (!asking->set->knows(record))
        return fail(err, "a row of another kind than the first, which is of %s", asking->set->name);
    if (asking->set->take(&asking->in.out->questions, record, err)) return -1;
    keep_asked(asking, first);
    return 0;
}

/* Ids that this file gives to two questions. */
static int check_questions(const struct asking *asking, struct error *err) {
    struct examples *all = &asking->in.out->questions;
    struct text twice = {0};
    int count = 0, status = 0;

    if (all->count == asking->asked) return 0;
    qsort(all->items + asking->asked, (size_t)(all->count - asking->asked), sizeof *all->items, by_question);
    for (int i = asking->asked + 1; i < all->count; i++) {
        if (strcmp(all->items[i].id, all->items[i - 1].id)) continue;
        if (count++ < 3) text_printf(&twice, "%s%s", count > 1 ? ", " : "", all->items[i].id);
    }
    if (count)
        status = fail(err, "%s: %d id%s of questions stand%s twice: %s%s", asking->in.path, count,
                      count > 1 ? "s" : "", count > 1 ? "" : "s", twice.data, count > 3 ? ", …" : "");
    free(twice.data);
    return status;
}

/* Questions of which none was answered are of other prompts, however many answers may be missing. */
static int check_answered(const struct asking *asking, struct error *err) {
    const struct outputs *out = asking->in.out;
    int first = asking->asked, answered = 0;
    struct names prompts = {0};

    for (int i = 0; i < out->transcripts.count; i++) names_add(&prompts, out->transcripts.items[i].prompt_id);
    for (int i = first; i < out->questions.count && !answered; i++)
        answered = names_place(&prompts, out->questions.items[i].id) >= 0;
    free(prompts.items);
    if (answered || !out->transcripts.count || first == out->questions.count) return 0;
    return fail(
        err,
        "%s: no answer is to any of its %d questions: their ids are such as %s, the answers' such as %s; "
        "files are joined by id, or by the prompt where there is none",
        asking->in.path, out->questions.count - first, out->questions.items[first].id,
        out->transcripts.items[0].prompt_id);
}

int outputs_read_questions(struct outputs *out, const char *path, struct error *err) {
    struct asking asking = {.in = {.out = out, .path = path}, .asked = out->questions.count};
    int status = document_each(path, take_question, &asking, err),
        count = out->questions.count - asking.asked;

    if (!status && !asking.in.rows) status = fail(err, "%s has no rows", path);
    if (!status) status = check_questions(&asking, err);
    if (!status) status = check_answered(&asking, err);
    if (!status) status = merge_questions(&out->questions, path, err);
    if (status) return -1;
    out->understood = xrealloc(out->understood, (size_t)out->file_count + 1, sizeof *out->understood);
    out->understood[out->file_count++] =
        asking.set ? xprintf("%s: %s, %d rows, %d questions", path, asking.set->name, asking.in.rows, count)
                   : xprintf("%s: questions, %d rows", path, asking.in.rows);
    return 0;
}

void outputs_free(struct outputs *outputs) {
    transcripts_free(&outputs->transcripts);
    examples_free(&outputs->questions);
    verdicts_free(&outputs->verdicts);
    for (int i = 0; i < outputs->file_count; i++) free(outputs->understood[i]);
    free(outputs->understood);
    *outputs = (struct outputs){0};
}

const char **outputs_policies(const struct outputs *outputs, int *count) {
    const char **names = NULL;

    *count = 0;
    for (int i = 0; i < outputs->transcripts.count; i++) {
        const char *policy = outputs->transcripts.items[i].policy;
        int known = 0;

        for (int k = *count - 1; k >= 0 && !known; k--) known = !strcmp(names[k], policy);
        if (known) continue;
        names = xrealloc(names, (size_t)*count + 1, sizeof *names);
        names[(*count)++] = policy;
    }
    return names;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted texts, each once; the number left. */
static int sort_once(const char **ids, int count) {
    int kept = 0;

    qsort(ids, (size_t)count, sizeof *ids, by_text);
    for (int i = 0; i < count; i++)
        if (!kept || strcmp(ids[kept - 1], ids[i])) ids[kept++] = ids[i];
    return kept;
}

/* Sorted ids of the prompts that a policy answered; borrowed texts. */
static const char **ids_of(const struct outputs *outputs, const char *policy, int *count) {
    const char **ids = xmalloc(((size_t)outputs->transcripts.count + 1) * sizeof *ids);

    *count = 0;
    for (int i = 0; i < outputs->transcripts.count; i++)
        if (!strcmp(outputs->transcripts.items[i].policy, policy))
            ids[(*count)++] = outputs->transcripts.items[i].prompt_id;
    *count = sort_once(ids, *count);
    return ids;
}

/* Of every prompt: those answered by any policy, and those that a file of questions asks. */
static const char **ids_asked(const struct outputs *outputs, int *count) {
    int answers = outputs->transcripts.count, questions = outputs->questions.count;
    const char **ids = xmalloc(((size_t)answers + (size_t)questions + 1) * sizeof *ids);

    for (int i = 0; i < answers; i++) ids[i] = outputs->transcripts.items[i].prompt_id;
    for (int i = 0; i < questions; i++) ids[answers + i] = outputs->questions.items[i].id;
    *count = sort_once(ids, answers + questions);
    return ids;
}

static int check_policy(const struct outputs *outputs, const char *policy, const char **all, int all_count,
                        struct text *lacks) {
    int count, missing = 0;
    const char **own = ids_of(outputs, policy, &count);

    for (int i = 0; i < all_count; i++) {
        if (bsearch(&all[i], own, (size_t)count, sizeof *own, by_text)) continue;
        if (missing++ < 3) text_printf(lacks, "%s%s", missing > 1 ? ", " : "", all[i]);
    }
    if (missing > 3) text_printf(lacks, ", …");
    free(own);
    return missing;
}

static void add_gap(struct text *gaps, const char *policy, int missing, int count, const char *lacks) {
    text_printf(gaps, "%s%s lacks %d of %d answers (%s)",
                gaps->length ? "; " : "Answers are missing, and --allow-missing was given: ", policy, missing,
                count, lacks);
}

int outputs_check_joint(const struct outputs *outputs, int allow_missing, char **gaps, struct error *err) {
    int policies, count, status = 0;
    const char **names = outputs_policies(outputs, &policies), **all = ids_asked(outputs, &count);
    struct text found = {0};

    for (int p = 0; p < policies && !status; p++) {
        struct text lacks = {0};
        int missing = check_policy(outputs, names[p], all, count, &lacks);

        if (missing && !allow_missing)
            status =
                fail(err,
                     "%s has no answer to %d of %d prompts (%s); policies are compared on the same prompts, "
                     "--allow-missing compares them on those that both answered and says so in every table",
                     names[p], missing, count, lacks.data);
        else if (missing)
            add_gap(&found, names[p], missing, count, lacks.data);
        free(lacks.data);
    }
    if (found.length) text_printf(&found, ". Policies are compared on the prompts that both answered.");
    free(names);
    free(all);
    *gaps = status ? NULL : found.data;
    if (status) free(found.data);
    return status;
}
