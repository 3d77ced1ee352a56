#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/outputs_format.h"
#include "harness/questions.h"

/* An answer of one of a file's models, from a column. */
static int take_column(struct outputs_reading *in, const char *policy, const char *id, const char *prompt,
                       const struct node *record, const char *column, int line, struct error *err) {
    char *response = field_answer(in, record, column);
    int status = add_answer_of(in, policy, id, prompt, response, line, err);

    free(response);
    return status;
}

/* alpaca_eval's annotations: preference in [1, 2], 2 for output_2; 0 or 1.5 for a draw. */

static int annotations_know(const struct node *record) {
    return record_has(record, "output_1") && record_has(record, "output_2") &&
           record_has(record, "preference") && record_has(record, "instruction");
}

static int annotations_take(struct outputs_reading *in, const struct node *record, int line,
                            struct error *err) {
    const char *prompt = node_text(record, "instruction", "");
    const char *first = node_text(record, "generator_1", "output_1"),
               *second = node_text(record, "generator_2", "output_2");
    char *id;
    double preference;
    struct verdict *verdict;
    int status;

    if (field_number(&preference, record, "preference", err)) return -1;
    if (preference && !(preference >= 1 && preference <= 2) && !isnan(preference))
        return fail(err, "\"preference\" must be from 1 to 2 (2: output_2 wins), or 0 for a draw, not %g",
                    preference);
    id = record_id(record, NULL, prompt);
    add_question(in, id, prompt);
    if (in->how->name) second = in->how->name;
    verdict = add_judgment(in, second, id, first, node_text(record, "annotator", "annotator"), "preference");
    if (preference == 0) preference = 1.5; /* as older files write a draw */
    judgment_set(verdict, preference - 1);
    verdict->raw = xstrdup(node_text(record, "raw_completion", NULL));
    status = take_column(in, first, id, prompt, record, "output_1", line, err);
    if (!status) status = take_column(in, second, id, prompt, record, "output_2", line, err);
    free(id);
    return status;
}

const struct outputs_format outputs_annotations = {"alpaca_eval annotations (preference 2: output_2 wins)",
                                                   annotations_know, annotations_take, 1};

/* LLMBar: two outputs and which is better. */

static int llmbar_knows(const struct node *record) {
    return record_has(record, "output_1") && record_has(record, "output_2") && record_has(record, "label") &&
           record_has(record, "input");
}

static int llmbar_take(struct outputs_reading *in, const struct node *record, int line, struct error *err) {
    const char *prompt = node_text(record, "input", "");
    struct example *question;
    double label;
    int status;
    char *id;

    if (field_number(&label, record, "label", err)) return -1;
    if (label != 1 && label != 2 && !isnan(label))
        return fail(err, "\"label\" must be 1 or 2, the better output, not %g", label);
    id = llmbar_id(record);
    question = add_question(in, id, prompt);
    question->category = xstrdup(node_text(record, "subset", NULL));
    judgment_set(add_judgment(in, "output_1", id, "output_2", "gold", "preference"), 2 - label);
    status = take_column(in, "output_1", id, prompt, record, "output_1", line, err);
    if (!status) status = take_column(in, "output_2", id, prompt, record, "output_2", line, err);
    free(id);
    return status;
}

const struct outputs_format outputs_llmbar = {"LLMBar pairs (label: the better output)", llmbar_knows,
                                              llmbar_take, 1};

/* PandaLM: two models' responses and several people's labels; 0 is a tie. */

static int pandalm_knows(const struct node *record) {
    return record_has(record, "response1") && record_has(record, "response2") &&
           record_has(record, "annotator1");
}

static int pandalm_take(struct outputs_reading *in, const struct node *record, int line, struct error *err) {
    const char *instruction = node_text(record, "instruction", ""), *input = node_text(record, "input", "");
    const char *pair = node_text(record, "cmp_key", "response1_response2"), *cut = strchr(pair, '_');
    char *prompt = input[0] ? xprintf("%s\n\n%s", instruction, input) : xstrdup(instruction);
    char *number = record_id(record, (const char *const[]){"idx", NULL}, prompt);
    char *first = cut ? xstrndup(pair, cut - pair) : xstrdup("response1"),
         *second = xstrdup(cut ? cut + 1 : "response2");
    int status = 0;

    add_question(in, number, prompt);
    for (const struct node *column = record->first; column; column = column->next) {
        double label;

        if (status || strncmp(column->key, "annotator", 9)) continue;
        if (strspn(column->key + 9, "0123456789") < strlen(column->key + 9)) continue;
        status = field_number(&label, record, column->key, err);
        if (status || isnan(label)) continue;
        if (label != 0 && label != 1 && label != 2)
            status = fail(err, "\"%s\" must be 1 or 2, the better response, or 0 for a tie, not %g",
                          column->key, label);
        judgment_set(add_judgment(in, first, number, second, column->key, "preference"),
                     label ? 2 - label : 0.5);
    }
    if (!status) status = take_column(in, first, number, prompt, record, "response1", line, err);
    if (!status) status = take_column(in, second, number, prompt, record, "response2", line, err);
    free(first);
    free(second);
    free(number);
    free(prompt);
    return status;
}

const struct outputs_format outputs_pandalm = {"PandaLM pairs (annotators: 1, 2, 0 for a tie)", pandalm_knows,
                                               pandalm_take, 1};

/* Answers of FastChat's MT-bench and of arena-hard: choices with turns. */

static int arena_answers_know(const struct node *record) {
    const struct node *choices = node_get(record, "choices");

    return choices && choices->kind == NODE_LIST &&
           (record_has(record, "question_id") || record_has(record, "uid"));
}

static int arena_answers_take(struct outputs_reading *in, const struct node *record, int line,
                              struct error *err) {
    static const char *const ids[] = {"question_id", "uid", NULL};
    const struct node *choice = node_get(record, "choices")->first;
    char *id = record_id(record, ids, NULL),
         *response = choice ? field_text(node_get(choice, "turns")) : NULL;
    const char *policy = node_text(record, "model_id", node_text(record, "model", NULL));
    int status =
        id ? add_answer(in, policy, id, NULL, response, line, err) : fail(err, "a row has no question_id");

    if (!status) add_question(in, id, NULL);
    free(response);
    free(id);
    return status;
}

const struct outputs_format outputs_arena_answers = {
    "MT-bench or arena-hard answers (first turn of the first choice)", arena_answers_know, arena_answers_take,
    0};

/* Conversations that end in the answer: arena-hard v2's answers, chats. */

static const struct node *last_turn(const struct node *record) {
    const struct node *messages = node_get(record, "messages");
    const struct node *last = messages && messages->kind == NODE_LIST ? messages->last : NULL;

    return last && last->kind == NODE_MAP && !strcmp(node_text(last, "role", ""), "assistant") ? last : NULL;
}

static int chats_know(const struct node *record) {
    return last_turn(record) && !record_has(record, "response") && !record_has(record, "output");
}

/* The turns before the last, as a prompt; caller frees. */
static char *turns_before(const struct node *messages) {
    struct node *before = node_new(NODE_LIST);
    char *prompt;

    for (const struct node *turn = messages->first; turn && turn->next; turn = turn->next)
        node_add_copy(before, NULL, turn);
    prompt = field_text(before);
    node_free(before);
    return prompt;
}

static int chats_take(struct outputs_reading *in, const struct node *record, int line, struct error *err) {
    static const char *const ids[] = {"uid", "question_id", "id", NULL};
    const struct node *content = node_get(last_turn(record), "content");
    const struct node *answer = content && content->kind == NODE_MAP ? node_get(content, "answer") : NULL;
    char *prompt = turns_before(node_get(record, "messages")),
         *response = field_text(answer ? answer : content);
    char *id = record_id(record, ids, prompt);
    int status;

    status = id ? add_answer(in, node_text(record, "model", NULL), id, prompt, response, line, err)
                : fail(err, "a conversation has neither an id nor turns before its answer");
    if (!status) add_question(in, id, prompt);
    free(id);
    free(response);
    free(prompt);
    return status;
}

const struct outputs_format outputs_chats = {
    "conversations (arena-hard v2 answers, chats): the last turn is the answer", chats_know, chats_take, 0};

/* Arena-hard's judgments: in the first game the baseline is A, in the second the model. */

static int arena_judgments_know(const struct node *record) {
    const struct node *games = node_get(record, "games");

    return games && games->kind == NODE_LIST && record_has(record, "model");
}

/* Of A; NaN if it is no label. *strong: it says much better. */
static double label_score(const char *label, int *strong) {
    static const struct {
        const char *label;
        double score;
        int strong;
    } labels[] = {{"A>>B", 1, 1}, {"A>B", 1, 0}, {"A=B", 0.5, 0}, {"B=A", 0.5, 0},
                  {"B>A", 0, 0},  {"A<B", 0, 0}, {"B>>A", 0, 1},  {"A<<B", 0, 1}};

    *strong = 0;
    for (size_t i = 0; label && i < sizeof labels / sizeof *labels; i++)
        if (!strcmp(label, labels[i].label)) {
            *strong = labels[i].strong;
            return labels[i].score;
        }
    return NAN;
}

static int arena_judgments_take(struct outputs_reading *in, const struct node *record, int line,
                                struct error *err) {
    static const char *const ids[] = {"question_id", "uid", NULL};
    const char *model = node_text(record, "model", ""), *baseline = node_text(record, "baseline", "baseline");
    char *id = record_id(record, ids, NULL);
    int game = 0, strong;

    (void)line;
    if (!id) return fail(err, "a judgment has no question_id");
    for (const struct node *play = node_get(record, "games")->first; play && game < 2;
         play = play->next, game++) {
        double score = label_score(node_text(play, "score", NULL), &strong);
        struct verdict *verdict =
            add_judgment(in, model, id, baseline, node_text(record, "judge", "judge"), "preference");

        judgment_set(verdict, game == 0 ? 1 - score : score);
        verdict->order = game == 0 ? 2 : 1;
        if (strong) verdict->reason = xstrdup("strong");
        verdict->raw = xstrdup(node_text(play, "judgment", NULL));
    }
    add_question(in, id, NULL);
    free(id);
    return 0;
}

const struct outputs_format outputs_arena_judgments = {
    "arena-hard judgments (game 1: the baseline is A, game 2: the model)", arena_judgments_know,
    arena_judgments_take, 0};

/* MT-bench's judgments of one answer, or of a pair in both orders. */

static int mt_judgments_know(const struct node *record) {
    return record_has(record, "question_id") && record_has(record, "judge") &&
           ((record_has(record, "model") && record_has(record, "score")) ||
            (record_has(record, "model_1") && record_has(record, "g1_winner")));
}

/* "error" is what FastChat writes where the judge said nothing that could be read. */
static int winner_score(double *out, const struct node *record, const char *column, struct error *err) {
    const char *winner = node_text(record, column, "error");

    *out = !strcmp(winner, "model_1")   ? 1
           : !strcmp(winner, "model_2") ? 0
           : !strcmp(winner, "tie")     ? 0.5
                                        : NAN;
    if (!isnan(*out) || !strcmp(winner, "error")) return 0;
    return fail(err, "\"%s\" must be model_1, model_2, tie or error, not \"%s\"", column, winner);
}

static int mt_judgments_take(struct outputs_reading *in, const struct node *record, int line,
                             struct error *err) {
    const struct node *judge = node_get(record, "judge");
    char *name = judge->kind == NODE_LIST ? field_text(judge->first) : field_text(judge);
    char *id = record_id(record, (const char *const[]){"question_id", NULL}, NULL);
    int turn = node_int(record, "turn", 1), paired = record_has(record, "model_1"), status = 0;
    struct verdict *verdict;

    (void)line;
    if (!id) {
        free(name);
        return fail(err, "a judgment has no question_id");
    }
    if (turn != 1) { /* a second turn is a prompt of its own */
        char *first = id;
        id = xprintf("%s#%d", first, turn);
        free(first);
    }
    for (int game = 1; paired && game <= 2 && !status; game++) {
        double score;

        status = winner_score(&score, record, game == 1 ? "g1_winner" : "g2_winner", err);
        if (status) continue;
        verdict = add_judgment(in, node_text(record, "model_1", ""), id, node_text(record, "model_2", ""),
                               name ? name : "judge", "preference");
        judgment_set(verdict, score);
        verdict->order = game;
        verdict->raw = xstrdup(node_text(record, game == 1 ? "g1_judgment" : "g2_judgment", NULL));
    }
    if (!paired) {
        double score = node_number(record, "score", -1);

        verdict = add_judgment(in, node_text(record, "model", ""), id, NULL, name ? name : "judge", "score");
        judgment_set(verdict, score == -1 ? NAN : score);
        verdict->raw = xstrdup(node_text(record, "judgment", NULL));
    }
    add_question(in, id, NULL);
    free(name);
    free(id);
    return status;
}

const struct outputs_format outputs_mt_judgments = {
    "MT-bench judgments (g1: model_1 first; a score of -1 is none)", mt_judgments_know, mt_judgments_take, 0};

/* Votes on pairs: Chatbot Arena, MT-bench's people. */

static int votes_know(const struct node *record) {
    return record_has(record, "model_a") && record_has(record, "model_b") &&
           record_has_text(record, "winner");
}

static int vote_score(double *out, const struct node *record, struct error *err) {
    const char *winner = node_text(record, "winner", "");
    int is_tie = !strncmp(winner, "tie", 3) || !strcmp(winner, "both_bad");

    *out = !strcmp(winner, "model_a") ? 1 : !strcmp(winner, "model_b") ? 0 : 0.5;
    if (*out != 0.5 || is_tie) return 0;
    return fail(err, "\"winner\" must be model_a, model_b, tie or both_bad, not \"%s\"", winner);
}

/* What the model said in a turn of a conversation, counted from 1. */
static const struct node *said_in(const struct node *conversation, int turn) {
    const struct node *message = conversation ? conversation->first : NULL;

    for (; message; message = message->next)
        if (!strcmp(node_text(message, "role", ""), "assistant") && --turn == 0)
            return node_get(message, "content");
    return NULL;
}

static int take_side(struct outputs_reading *in, const struct node *record, const char *side,
                     const char *policy, const char *id, int line, struct error *err) {
    int turn = node_int(record, "turn", 1);
    char *key = xprintf("conversation_%s", side),
         *response = field_text(said_in(node_get(record, key), turn));
    int status = response ? add_answer_of(in, policy, id, NULL, response, line, err) : 0;

    free(response);
    free(key);
    return status;
}

static int votes_take(struct outputs_reading *in, const struct node *record, int line, struct error *err) {
    static const char *const ids[] = {"question_id", "conversation_id", "id", "uid", NULL};
    const struct node *judge = node_get(record, "judge");
    const char *first = node_text(record, "model_a", "model_a"),
               *second = node_text(record, "model_b", "model_b");
    char *plain = record_id(record, ids, NULL), *id,
         *name = field_text(judge ? judge : node_get(record, "judge_hash"));
    int turn = node_int(record, "turn", 1), status;
    struct verdict *verdict;
    double score;

    status = plain ? vote_score(&score, record, err)
                   : fail(err, "a vote needs a question_id, conversation_id or id");
    if (status) {
        free(name);
        free(plain);
        return -1;
    }
    id = turn > 1 ? xprintf("%s#%d", plain, turn) : xstrdup(plain);
    verdict = add_judgment(in, first, id, second, name ? name : "votes", "preference");
    judgment_set(verdict, score);
    verdict->order = 1; /* model_a stands left */
    status = take_side(in, record, "a", first, id, line, err);
    if (!status) status = take_side(in, record, "b", second, id, line, err);
    add_question(in, id, NULL);
    free(name);
    free(id);
    free(plain);
    return status;
}

const struct outputs_format outputs_votes = {"votes on pairs (Chatbot Arena, MT-bench's people)", votes_know,
                                             votes_take, 1};

/* lm-evaluation-harness, --log_samples. */

static int lm_eval_knows(const struct node *record) {
    return record_has(record, "doc_id") && record_has(record, "resps") && record_has(record, "doc");
}

/* Of multiple choice, resps are [log-likelihood, greedy] of each continuation: the likeliest one, which the
   arguments end in. NULL where it is no multiple choice. Caller frees. */
static char *likeliest(const struct node *resps, const struct node *arguments) {
    const struct node *best = NULL, *request = arguments ? arguments->first : NULL;
    double most = -INFINITY;

    for (const struct node *resp = resps ? resps->first : NULL; resp; resp = resp->next) {
        const struct node *pair = resp;
        char *end;
        double likelihood;

        while (pair->first && pair->first->kind == NODE_LIST)
            pair = pair->first; /* raw ones stand in a list */
        if (pair->kind != NODE_LIST || pair->count != 2 || !request) return NULL;
        likelihood = pair->first->text ? strtod(pair->first->text, &end) : NAN;
        if (!pair->first->text || *end || !request->last) return NULL;
        if (likelihood > most) best = request->last;
        most = likelihood > most ? likelihood : most;
        request = request->next;
    }
    return best && best->text ? xstrdup(best->text + strspn(best->text, " ")) : NULL;
}

/* A filter of its own reads the same answer in another way: then the answer is the raw one. */
static char *lm_eval_response(const struct node *record) {
    const struct node *filtered = node_get(record, "filtered_resps"), *raw = node_get(record, "resps");
    int own = strcmp(node_text(record, "filter", "none"), "none") != 0;
    char *choice = likeliest(filtered && filtered->first ? filtered : raw, node_get(record, "arguments"));

    if (choice) return choice;
    return field_text(filtered && filtered->first && !own ? filtered : raw);
}

static char *lm_eval_prompt(const struct node *record) {
    const struct node *doc = node_get(record, "doc");

    for (const struct node *at = node_get(record, "arguments"); at; at = at->first)
        if (at->kind == NODE_STRING) return xstrdup(at->text);
    return field_text(node_get(doc, "question") ? node_get(doc, "question") : node_get(doc, "query"));
}

static void add_lm_eval_metric(struct outputs_reading *in, const struct node *record, const char *policy,
                               const char *id) {
    static const char *const metrics[] = {"acc", "exact_match", "em", "pass@1", "correct", NULL};
    const char *filter = node_text(record, "filter", "none");
    const struct node *metric = NULL;
    char *judge;
    int i = 0;

    while (metrics[i] && !((metric = node_get(record, metrics[i])) && metric->kind == NODE_NUMBER)) i++;
    if (!metrics[i]) return;
    judge = strcmp(filter, "none") ? xprintf("%s (%s)", metrics[i], filter) : xstrdup(metrics[i]);
    judgment_set(add_judgment(in, policy, id, NULL, judge, "correct"), metric->number);
    free(judge);
}

static int lm_eval_take(struct outputs_reading *in, const struct node *record, int line, struct error *err) {
    const char *policy = in->how->name ? in->how->name : in->stem;
    char *id = record_id(record, (const char *const[]){"doc_id", NULL}, NULL);
    char *prompt = lm_eval_prompt(record), *response = lm_eval_response(record);
    int status =
        id ? add_answer(in, policy, id, prompt, response, line, err) : fail(err, "a sample has no doc_id");

    if (!status) {
        add_question(in, id, prompt)->truth = field_reference(node_get(record, "target"));
        add_lm_eval_metric(in, record, policy, id);
    }
    free(id);
    free(prompt);
    free(response);
    return status;
}

const struct outputs_format outputs_lm_eval = {"lm-eval samples", lm_eval_knows, lm_eval_take, 1};

/* inspect's logs: samples with an output and scores. */

static int inspect_knows(const struct node *record) {
    return record_has(record, "input") && record_has(record, "target") &&
           (record_has(record, "scores") || record_has(record, "output")) &&
           !record_has_text(record, "output");
}

static double inspect_value(const struct node *value) {
    if (value && value->kind == NODE_STRING && !strcmp(value->text, "P")) return 0.5;
    return value ? (value->kind == NODE_NUMBER ? value->number : field_truth(value)) : NAN;
}

static int inspect_take(struct outputs_reading *in, const struct node *record, int line, struct error *err) {
    const struct node *output = node_get(record, "output"), *choices = node_get(output, "choices");
    const struct node *scores = node_get(record, "scores");
    const char *policy = in->how->name ? in->how->name : node_text(output, "model", in->stem);
    char *prompt = field_text(node_get(record, "input"));
    char *plain = record_id(record, (const char *const[]){"id", NULL}, prompt);
    int epoch = node_int(record, "epoch", 1), status;
    char *id, *response;

    if (!plain) {
        free(prompt);
        return fail(err, "a sample has neither an id nor an input");
    }
    id = epoch > 1 ? xprintf("%s#%d", plain, epoch) : xstrdup(plain);
    response = record_has_text(output, "completion") ? field_text(node_get(output, "completion"))
               : choices && choices->first           ? field_text(node_get(choices->first, "message"))
                                                     : NULL;
    status = add_answer(in, policy, id, prompt, response, line, err);
    add_question(in, id, prompt)->truth = field_reference(node_get(record, "target"));
    for (const struct node *score = scores ? scores->first : NULL; score; score = score->next) {
        struct verdict *verdict = add_judgment(in, policy, id, NULL, score->key, "correct");

        judgment_set(verdict, inspect_value(node_get(score, "value")));
        verdict->raw = xstrdup(node_text(score, "explanation", NULL));
    }
    free(response);
    free(id);
    free(plain);
    free(prompt);
    return status;
}

const struct outputs_format outputs_inspect = {"inspect samples (scores C, I, P)", inspect_knows,
                                               inspect_take, 0};
