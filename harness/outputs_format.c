#include "harness/outputs_format.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "harness/dialogue.h"
#include "harness/memory.h"
#include "harness/questions.h"

static const struct node *first_of(const struct node *record, const char *const *names, const char **name) {
    for (; *names; names++) {
        const struct node *found = node_get(record, *names);

        if (!found) continue;
        if (name) *name = *names;
        return found;
    }
    return NULL;
}

static void add_turn(struct text *out, const struct node *message) {
    const char *role = node_text(message, "role", node_text(message, "from", "user"));
    int answers = !strcmp(role, "assistant") || !strcmp(role, "gpt") || !strcmp(role, "model");
    char *content =
        field_text(node_get(message, "content") ? node_get(message, "content") : node_get(message, "value"));

    text_printf(out, "%s%s", answers ? "\n\nAssistant: " : "\n\nHuman: ", content ? content : "");
    free(content);
}

char *field_text(const struct node *field) {
    struct text out = {0};

    if (!field || field->kind == NODE_NULL) return NULL;
    if (field->kind == NODE_BOOL) return xstrdup(field->number ? "true" : "false");
    if (field->kind == NODE_STRING || field->kind == NODE_NUMBER) return xstrdup(field->text);
    if (field->kind == NODE_MAP)
        return field_text(node_get(field, "content") ? node_get(field, "content") : node_get(field, "text"));
    if (!field->first) return NULL;
    if (field->count == 1 || field->first->kind != NODE_MAP) return field_text(field->first);
    for (const struct node *message = field->first; message; message = message->next) add_turn(&out, message);
    return out.data;
}

char *field_answer(struct outputs_reading *in, const struct node *record, const char *column) {
    const struct node *field = node_get(record, column);

    in->untyped += field && (field->kind == NODE_NUMBER || field->kind == NODE_BOOL);
    return field_text(field);
}

int field_number(double *out, const struct node *record, const char *column, struct error *err) {
    const struct node *field = node_get(record, column);
    char *end = NULL;

    *out = NAN;
    if (!field || field->kind == NODE_NULL || (field->kind == NODE_STRING && !field->text[0])) return 0;
    if (field->kind == NODE_NUMBER) *out = field->number;
    if (field->kind == NODE_STRING) *out = strtod(field->text, &end);
    if (isnan(*out) || (end && *end)) return fail(err, "\"%s\" must be a number", column);
    return 0;
}

char *field_reference(const struct node *field) {
    int several = field && field->kind == NODE_LIST && field->count > 1 && field->first->kind != NODE_MAP;
    char *text = several ? node_json(field, 0) : field_text(field);

    if (!text || text[strspn(text, " \t\r\n")]) return text;
    free(text);
    return NULL;
}

char *record_id(const struct node *record, const char *const *names, const char *prompt) {
    const struct node *own = names ? first_of(record, names, NULL) : NULL;
    char *id = own ? field_text(own) : NULL;

    if (id && id[0]) return id;
    free(id);
    return prompt ? prompt_hash(prompt) : NULL;
}

struct example *add_question(struct outputs_reading *in, const char *id, const char *prompt) {
    struct example *question = examples_add(&in->out->questions);

    question->id = xstrdup(id);
    question->prompt = xstrdup(prompt ? prompt : "");
    return question;
}

int add_answer(struct outputs_reading *in, const char *policy, const char *id, const char *prompt,
               const char *response, int line, struct error *err) {
    return add_answer_of(in,
                         in->how->name ? in->how->name
                         : policy      ? policy
                                       : in->stem,
                         id, prompt, response, line, err);
}

int add_answer_of(struct outputs_reading *in, const char *policy, const char *id, const char *prompt,
                  const char *response, int line, struct error *err) {
    struct transcript *answer;

    if (!response) {
        if (!in->how->allow_missing)
            return fail(
                err,
                "%s has no answer to the prompt %s; --allow-missing leaves such rows out and counts them",
                policy, id);
        in->missing++;
        return 0;
    }
    answer = transcripts_add(&in->out->transcripts);
    answer->id = xprintf("%s/%s", policy, id);
    answer->prompt_id = xstrdup(id);
    answer->policy = xstrdup(policy);
    answer->prompt = xstrdup(prompt ? prompt : "");
    answer->response = xstrdup(response);
    answer->split = xstrdup("heldout");
    answer->seed = 1;
    answer->logprob = NAN;
    in->lines = xrealloc(in->lines, (size_t)in->line_count + 1, sizeof *in->lines);
    in->lines[in->line_count++] = line;
    return 0;
}

struct verdict *add_judgment(struct outputs_reading *in, const char *policy, const char *id,
                             const char *other, const char *judge, const char *what) {
    struct verdict *verdict = verdicts_add(&in->out->verdicts);

    verdict->transcript = xprintf("%s/%s", policy, id);
    if (other) {
        verdict->other = xprintf("%s/%s", other, id);
        verdict->policy = xstrdup(policy);
        verdict->other_policy = xstrdup(other);
    }
    verdict->judge = xstrdup(judge);
    verdict->what = xstrdup(what);
    return verdict;
}

void judgment_set(struct verdict *verdict, double score) {
    verdict->outcome = isnan(score)                     ? OUTCOME_UNPARSED
                       : score == 0.5 && verdict->other ? OUTCOME_TIE
                                                        : OUTCOME_VERDICT;
    verdict->score = score;
}

int record_has(const struct node *record, const char *key) {
    return node_get(record, key) != NULL;
}

int record_has_text(const struct node *record, const char *key) {
    const struct node *field = node_get(record, key);

    return field && field->kind == NODE_STRING;
}

/* A truth in any spelling: 1, 0, NaN. */
double field_truth(const struct node *field) {
    static const char *const yes[] = {"true", "yes",    "1",       "1.0",     "correct",
                                      "C",    "accept", "approve", "refused", NULL};
    static const char *const no[] = {"false", "no", "0", "0.0", "incorrect", "I", "reject", "answered", NULL};

    if (field->kind == NODE_BOOL) return field->number;
    if (field->kind == NODE_NUMBER) return field->number == 0 || field->number == 1 ? field->number : NAN;
    for (int i = 0; field->kind == NODE_STRING && yes[i]; i++)
        if (!strcasecmp(field->text, yes[i])) return 1;
    for (int i = 0; field->kind == NODE_STRING && no[i]; i++)
        if (!strcasecmp(field->text, no[i])) return 0;
    return NAN;
}

/* This program's own transcripts. */

static int own_knows(const struct node *record) {
    return record_has(record, "prompt_id") && record_has(record, "policy") && record_has(record, "response");
}

/* How many tokens the answer has, where the row says it: in a table without types a field may be blank. */
static int take_tokens(struct transcript *answer, const struct node *record, struct error *err) {
    const struct node *value = node_get(record, "tokens");
    const char *text = value && value->kind == NODE_STRING ? value->text : NULL;
    char *end = NULL;
    double tokens = -1;

    if (!value || value->kind == NODE_NULL || (text && !text[0])) return 0;
    if (value->kind == NODE_NUMBER) tokens = value->number;
    if (text) tokens = strtod(text, &end);
    if ((end && *end) || !(tokens >= 0 && tokens <= INT_MAX) || tokens != floor(tokens))
        return fail(err, "\"tokens\" must be a whole number from 0 to %d", INT_MAX);
    answer->tokens = (int)tokens;
    return 0;
}

static int own_take(struct outputs_reading *in, const struct node *record, int line, struct error *err) {
    const char *id = node_text(record, "prompt_id", ""), *prompt = node_text(record, "prompt", "");
    struct transcript *answer;
    struct example *question;
    char *response = field_answer(in, record, "response");
    int before = in->out->transcripts.count,
        status = add_answer(in, node_text(record, "policy", NULL), id, prompt, response, line, err);

    free(response);
    if (status) return -1;
    question = add_question(in, id, prompt);
    question->category = xstrdup(node_text(record, "category", NULL));
    if (before == in->out->transcripts.count) return 0;
    answer = &in->out->transcripts.items[before];
    free(answer->split);
    answer->split = xstrdup(node_text(record, "split", "heldout"));
    answer->finish = xstrdup(node_text(record, "finish", NULL));
    answer->category = xstrdup(node_text(record, "category", NULL));
    if (!record_has(record, "unit") && take_tokens(answer, record, err)) return -1;
    answer->seed = node_int(record, "seed", 1);
    if (answer->seed != 1) {
        free(answer->id);
        answer->id = xprintf("%s/%d/%s", answer->policy, answer->seed, id);
    }
    return 0;
}

static const struct outputs_format own = {"transcripts", own_knows, own_take, 0};

/* This program's own verdicts. */

static int verdicts_know(const struct node *record) {
    return record_has(record, "transcript") && record_has(record, "judge") && record_has(record, "outcome");
}

static int verdicts_take(struct outputs_reading *in, const struct node *record, int line, struct error *err) {
    static const char *const outcomes[] = {"verdict", "tie", "refused", "unparsed", "transport"};
    const char *outcome = node_text(record, "outcome", "");
    struct verdict *verdict = verdicts_add(&in->out->verdicts);
    int known = 0;

    (void)line;
    for (int i = 0; i < 5; i++)
        if (!strcmp(outcomes[i], outcome)) {
            verdict->outcome = (enum outcome)i;
            known = 1;
        }
    verdict->transcript = xstrdup(node_text(record, "transcript", ""));
    verdict->other = xstrdup(node_text(record, "other", NULL));
    verdict->policy = xstrdup(node_text(record, "policy", NULL));
    verdict->other_policy = xstrdup(node_text(record, "other_policy", NULL));
    verdict->judge = xstrdup(node_text(record, "judge", ""));
    verdict->what = xstrdup(node_text(record, "what", ""));
    verdict->score = node_number(record, "score", NAN);
    verdict->order = node_int(record, "order", 0);
    verdict->reason = xstrdup(node_text(record, "reason", NULL));
    verdict->raw = xstrdup(node_text(record, "raw", NULL));
    return known ? 0 : fail(err, "\"outcome\" must be one of verdict, tie, refused, unparsed, transport");
}

static const struct outputs_format verdicts = {"verdicts", verdicts_know, verdicts_take, 0};

/* Preference pairs: two policies, "chosen" and "rejected", and the label that chose. */

static int pairs_know(const struct node *record) {
    return record_has(record, "chosen") && record_has(record, "rejected");
}

static const char *skip_space(const char *text) {
    return text + strspn(text, " \n");
}

static int pairs_take(struct outputs_reading *in, const struct node *record, int line, struct error *err) {
    char *chosen = field_text(node_get(record, "chosen")),
         *rejected = field_text(node_get(record, "rejected"));
    char *prompt = field_text(node_get(record, "prompt")), *id;
    size_t shared = 0;
    int status;

    if (!chosen || !rejected) {
        status = fail(err, "a pair has an empty side");
        goto out;
    }
    if (!prompt && (shared = dialogue_common(chosen, rejected))) prompt = xstrndup(chosen, shared);
    if (!prompt) {
        status = fail(
            err, "a pair without \"prompt\" must be two dialogues (\\n\\nHuman: … \\n\\nAssistant: …) that "
                 "share one");
        goto out;
    }
    id = record_id(record, (const char *const[]){"id", "prompt_id", NULL}, chosen);
    add_question(in, id, prompt);
    judgment_set(add_judgment(in, "chosen", id, "rejected", "label", "preference"), 1);
    status = add_answer_of(in, "chosen", id, prompt, skip_space(chosen + shared), line, err);
    if (!status) status = add_answer_of(in, "rejected", id, prompt, skip_space(rejected + shared), line, err);
    free(id);
out:
    free(chosen);
    free(rejected);
    free(prompt);
    return status;
}

static const struct outputs_format pairs = {"preference pairs (HH, TRL): policies chosen and rejected",
                                            pairs_know, pairs_take, 0};

/* Any table with a response, and a prompt or an id. */

static const char *const response_names[] = {"response",   "output",     "completion",   "answer",
                                             "generation", "prediction", "model_output", "text",
                                             "reply",      NULL};
static const char *const prompt_names[] = {"prompt", "instruction", "question", "input",
                                           "query",  "messages",    NULL};
static const char *const id_names[] = {"id",        "prompt_id", "question_id", "task_id", "example_id",
                                       "sample_id", "idx",       "uid",         NULL};

static int table_knows(const struct node *record) {
    return record->first != NULL;
}

static int fail_unknown_columns(const struct node *record, struct error *err) {
    struct text found = {0};
    int status;

    text_add(&found, "", 0);
    for (const struct node *column = record->first; column; column = column->next)
        text_printf(&found, "%s%s", column == record->first ? "" : ", ", column->key);
    status = fail(err,
                  "no known form of outputs: a response and a prompt or an id were expected (--response-key, "
                  "--prompt-key and --id-key name their columns); found %.200s",
                  found.data);
    free(found.data);
    return status;
}

static int choose_columns(struct outputs_reading *in, const struct node *record, struct error *err) {
    int found = 0;

    in->response = in->how->response_key;
    in->prompt = in->how->prompt_key;
    in->id = in->how->id_key;
    for (int i = 0; !in->how->response_key && response_names[i]; i++) {
        if (!record_has(record, response_names[i])) continue;
        if (found++)
            return fail(err, "both \"%s\" and \"%s\" could be the response; say which with --response-key",
                        in->response, response_names[i]);
        in->response = response_names[i];
    }
    if (!in->prompt) first_of(record, prompt_names, &in->prompt);
    if (!in->id) first_of(record, id_names, &in->id);
    if (in->how->id_key && !record_has(record, in->how->id_key))
        return fail(err, "there is no column \"%s\", which --id-key names", in->how->id_key);
    if (in->prompt && !record_has(record, in->prompt)) in->prompt = NULL;
    if (!in->response || !record_has(record, in->response) || (!in->prompt && !in->id))
        return fail_unknown_columns(record, err);
    text_printf(&in->columns, "response from \"%s\"", in->response);
    if (in->prompt)
        text_printf(&in->columns, ", prompt from \"%s\"", in->prompt);
    else if (in->how->prompt_key)
        text_printf(&in->columns, ", no column \"%s\" with prompts", in->how->prompt_key);
    in->id_in_category =
        !in->how->id_key && in->id && !strcmp(in->id, "example_id") && record_has(record, "category");
    if (in->id_in_category)
        text_printf(&in->columns, ", id from \"category\" and \"example_id\" (BBQ)");
    else
        text_printf(&in->columns, in->id ? ", id from \"%s\"" : ", id: the prompt's hash", in->id);
    return 0;
}

/* A category that the suites know, or whatever the file calls it. */
static char *category_of(const struct node *record) {
    static const char *const names[] = {"category", "type", "subset", NULL};
    static const char *const known[] = {"safe", "unsafe", "benign", "borderline", "harmful"};
    const char *label = node_text(record, "label", "");

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(label, known[i])) return xstrdup(label);
    return field_text(first_of(record, names, NULL));
}

/* What a judge may need of a question that stands beside each answer to it. */
static void take_meta(struct example *question, const struct node *record) {
    static const char *const names[] = {"choices", "options",     "test",    "tests",   "inputs",   "outputs",
                                        "story",   "entry_point", "passage", "article", "document", NULL};
    const struct node *field;

    for (int i = 0; names[i]; i++) {
        if (!(field = node_get(record, names[i])) || field->kind == NODE_NULL) continue;
        if (!question->meta) question->meta = node_new(NODE_MAP);
        node_add_copy(question->meta, names[i], field);
    }
}

static void set_facts(struct example *question, const struct node *record) {
    static const char *const truths[] = {"truth",          "gold",        "reference", "target",
                                         "correct_answer", "Best Answer", NULL};

    question->category = category_of(record);
    question->truth = field_reference(first_of(record, truths, NULL));
    question->split = field_text(node_get(record, "split"));
}

static int table_take(struct outputs_reading *in, const struct node *record, int line, struct error *err) {
    static const char *const policies[] = {"policy", "model", "generator", "model_id", NULL};
    char *prompt, *id, *response, *policy;
    struct example *question;
    int before = in->out->transcripts.count, status;

    if (!in->response && choose_columns(in, record, err)) return -1;
    response = field_answer(in, record, in->response);
    prompt = in->prompt ? field_text(node_get(record, in->prompt)) : NULL;
    id = in->id_in_category ? bbq_id(record)
                            : record_id(record, in->id ? (const char *const[]){in->id, NULL} : NULL, prompt);
    policy = in->how->name ? xstrdup(in->how->name) : field_text(first_of(record, policies, NULL));
    if (!policy) policy = xstrdup(in->stem);
    status = id ? add_answer(in, policy, id, prompt, response, line, err)
                : fail(err, "a row has neither \"%s\" nor a prompt", in->id ? in->id : "id");
    if (!status) {
        question = add_question(in, id, prompt);
        set_facts(question, record);
        take_meta(question, record);
        add_labels(in, record, policy, id);
        if (in->out->transcripts.count > before) {
            struct transcript *answer = &in->out->transcripts.items[before];

            answer->category = xstrdup(question->category);
            status = take_tokens(answer, record, err);
            answer->finish = xstrdup(node_text(record, "finish", node_text(record, "finish_reason", NULL)));
            if (question->split) {
                free(answer->split);
                answer->split = xstrdup(question->split);
            }
        }
    }
    free(prompt);
    free(id);
    free(response);
    free(policy);
    return status;
}

void question_take(struct example *question, const struct node *record) {
    static const char *const truths[] = {"truth",  "gold",      "reference",  "target", "correct_answer",
                                         "answer", "answerKey", "gold_label", NULL};

    if (!question->truth) question->truth = field_reference(first_of(record, truths, NULL));
    if (!question->meta) question->meta = node_new(NODE_MAP);
    for (const struct node *field = record->first; field; field = field->next) {
        if (!strcmp(field->key, "prompt") || node_get(question->meta, field->key)) continue;
        node_add_copy(question->meta, field->key, field);
    }
}

int add_question_row(struct outputs_reading *in, const struct node *record, struct error *err) {
    const char *column = NULL;
    const struct node *found = first_of(record, prompt_names, &column);
    char *prompt = field_text(found), *id = record_id(record, id_names, prompt);
    struct example *question;

    if (!id) return fail(err, "a question needs an id or a prompt");
    question = add_question(in, id, prompt);
    set_facts(question, record);
    question_take(question, record);
    free(prompt);
    free(id);
    return 0;
}

static const struct outputs_format table = {"a table of responses", table_knows, table_take, 0};

const struct outputs_format *const outputs_formats[] = {&own,
                                                        &verdicts,
                                                        &outputs_annotations,
                                                        &outputs_llmbar,
                                                        &outputs_pandalm,
                                                        &outputs_arena_judgments,
                                                        &outputs_mt_judgments,
                                                        &outputs_arena_answers,
                                                        &outputs_chats,
                                                        &outputs_votes,
                                                        &outputs_lm_eval,
                                                        &outputs_inspect,
                                                        &pairs,
                                                        &table,
                                                        NULL};
