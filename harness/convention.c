#include "harness/convention.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "harness/memory.h"
#include "harness/names.h"

static const char empty_column[] = "a column is empty", no_prompt[] = "the two sides share no prompt",
                  part_early[] = "the two sides part before the last turn",
                  no_answer[] = "the last message is not the assistant's",
                  no_question[] = "the message before the answer is not the user's",
                  wrong_step[] = "a step is labelled wrong";

static const struct node *first_of(const struct node *record, const char *const *names) {
    const struct node *found = NULL;

    for (; *names && !found; names++) found = node_get(record, *names);
    return found;
}

static const char *or_usual(const char *key, const char *usual) {
    return key ? key : usual;
}

/* Of a JSON truth value or of its spelling in a table: 1, 0, or -1 where it is none. */
static int truth_of(const struct node *field) {
    if (!field) return -1;
    if (field->kind == NODE_BOOL) return field->number != 0;
    if (field->kind != NODE_STRING) return -1;
    if (!strcasecmp(field->text, "true")) return 1;
    return strcasecmp(field->text, "false") ? -1 : 0;
}

/* Of a whole number or its spelling, from 0 on; -1 where it is none. */
static int number_of(const struct node *field) {
    char *end;
    long number;

    if (!field || (field->kind != NODE_NUMBER && field->kind != NODE_STRING) || !field->text) return -1;
    number = strtol(field->text, &end, 10);
    return end == field->text || *end || number < 0 || number > 1000 ? -1 : (int)number;
}

static const struct node *prompt_column(const struct convention_how *how, const struct node *record) {
    static const char *const names[] = {"prompt",   "instruction", "question", "query",
                                        "dialogue", "input",       NULL};

    return how->prompt_key ? node_get(record, how->prompt_key) : first_of(record, names);
}

static int is_ids(const struct node *field) {
    return field->kind == NODE_LIST && field->first && field->first->kind == NODE_NUMBER;
}

/* A text, or token ids that become one. */
static char *text_of(const struct convention_how *how, const struct node *field, struct error *err) {
    if (field->kind == NODE_STRING) return xstrdup(field->text);
    if (is_ids(field) && how->decode) return how->decode(how->context, field, err);
    if (is_ids(field))
        fail(err, "\"%s\" holds token ids; name the tokenizer that they are of (tokenizer)", field->key);
    else
        fail(err, "\"%s\" must be a text or a list of messages", field->key ? field->key : "it");
    return NULL;
}

static void replace_text(char **text, const char *from) {
    char *rest = text_trimmed(from);

    free(*text);
    *text = rest;
}

/* What the prompt's column and, of an instruction, its input say. */
static int read_prompt(struct example *example, const struct convention_how *how, const struct node *record,
                       struct error *err) {
    const struct node *field = prompt_column(how, record), *more = node_get(record, "input");
    struct node whole = {.kind = NODE_STRING};
    int status;

    if (!field) return fail(err, "the column \"%s\" (prompt_key) is missing", how->prompt_key);
    if (is_ids(field)) {
        whole.text = text_of(how, field, err);
        if (!whole.text) return -1;
    } else if (field->kind == NODE_STRING && more && more != field && more->kind == NODE_STRING &&
               more->text[0] && !strcmp(field->key, "instruction")) {
        whole.text = xprintf("%s\n\n%s", field->text, more->text);
    }
    status = dialogue_read(example, whole.text ? &whole : field, how->template, err);
    free(whole.text);
    return status;
}

static int is_role(const struct node *message, const char *role) {
    return message && !strcmp(node_text(message, "role", ""), role);
}

/* TRL's and OpenRLHF's preference pairs, HH's and DeepSpeed-Chat's. */

static int preference_knows(const struct convention_how *how, const struct node *record) {
    return node_get(record, or_usual(how->chosen_key, "chosen")) &&
           node_get(record, or_usual(how->rejected_key, "rejected"));
}

/* The common beginning of two plain texts, up to the last white space in it. */
static size_t common_words(const char *a, const char *b) {
    size_t common = 0;

    for (size_t i = 0; a[i] && a[i] == b[i]; i++)
        if (strchr(" \t\n", a[i])) common = i + 1;
    return common;
}

static const char *without_mark(const char *response) {
    size_t mark = strlen(DIALOGUE_ASSISTANT);

    return strncmp(response, DIALOGUE_ASSISTANT, mark) ? response : response + mark;
}

/* Two whole texts become a prompt and two responses; a prompt that both sides repeat is taken off. */
static const char *part_texts(struct example *pair) {
    size_t prompt = pair->prompt ? strlen(pair->prompt) : 0, common = 0;

    if (prompt && !strncmp(pair->chosen, pair->prompt, prompt) &&
        !strncmp(pair->rejected, pair->prompt, prompt)) {
        common = prompt;
    } else if (!pair->prompt) {
        common = dialogue_common(pair->chosen, pair->rejected);
        if (!common) common = common_words(pair->chosen, pair->rejected);
        if (!common) return no_prompt;
        pair->prompt = xstrndup(pair->chosen, common);
    }
    replace_text(&pair->chosen, without_mark(pair->chosen + common));
    replace_text(&pair->rejected, without_mark(pair->rejected + common));
    return strstr(pair->chosen, DIALOGUE_HUMAN) || strstr(pair->rejected, DIALOGUE_HUMAN) ? part_early : NULL;
}

static int take_texts(struct example *pair, const struct convention_how *how, const struct node *record,
                      const struct node *chosen, const struct node *rejected, const char **reason,
                      struct error *err) {
    pair->chosen = text_of(how, chosen, err);
    pair->rejected = pair->chosen ? text_of(how, rejected, err) : NULL;
    if (!pair->rejected) return -1;
    if (prompt_column(how, record) && read_prompt(pair, how, record, err)) return -1;
    *reason = part_texts(pair);
    return 0;
}

/* The first `count` of a list of messages. */
static struct node *first_messages(const struct node *list, int count) {
    struct node *out = node_new(NODE_LIST);

    for (const struct node *message = list->first; message && out->count < count; message = message->next)
        node_add_copy(out, NULL, message);
    return out;
}

static int common_messages(const struct node *a, const struct node *b) {
    int count = 0;

    for (const struct node *x = a->first, *y = b->first; x && y; x = x->next, y = y->next, count++)
        if (strcmp(node_text(x, "role", ""), node_text(y, "role", "")) ||
            strcmp(node_text(x, "content", ""), node_text(y, "content", "")))
            break;
    return count;
}

/* Both sides as messages: what they share is the prompt, unless a column holds it. */
static const char *part_messages(struct example *pair, const struct node *chosen,
                                 const struct node *rejected) {
    int common = common_messages(chosen, rejected);
    struct node *prompt;

    if (chosen->count == common && rejected->count == common && common) common--; /* the same answer twice */
    if (!common && !pair->prompt) return no_prompt;
    if (chosen->count != common + 1 || rejected->count != common + 1) return part_early;
    if (!is_role(chosen->last, "assistant") || !is_role(rejected->last, "assistant")) return no_answer;
    pair->chosen = text_trimmed(node_text(chosen->last, "content", ""));
    pair->rejected = text_trimmed(node_text(rejected->last, "content", ""));
    if (!common) return NULL;
    prompt = first_messages(chosen, common);
    dialogue_set(pair, prompt);
    node_free(prompt);
    return NULL;
}

static int take_messages(struct example *pair, const struct convention_how *how, const struct node *record,
                         const struct node *chosen, const struct node *rejected, const char **reason,
                         struct error *err) {
    struct node *a = dialogue_normal(chosen, err), *b = a ? dialogue_normal(rejected, err) : NULL, *prompt;
    int status = -1;

    if (!b || (prompt_column(how, record) && read_prompt(pair, how, record, err))) goto out;
    *reason = part_messages(pair, a, b);
    prompt = *reason ? NULL : dialogue_messages(pair);
    if (prompt && !is_role(prompt->last, "user")) *reason = no_question;
    node_free(prompt);
    status = 0;
out:
    node_free(a);
    node_free(b);
    return status;
}

static void keep_margin(struct example *pair, const struct node *record) {
    const struct node *margin = node_get(record, "margin");

    if (!margin || margin->kind != NODE_NUMBER) return;
    pair->meta = node_new(NODE_MAP);
    node_add_number(pair->meta, "margin", margin->number);
}

static int take_sides(struct examples *out, const struct convention_how *how, const struct node *record,
                      const struct node *chosen, const struct node *rejected, const char **reason,
                      struct error *err) {
    struct example *pair;

    if (chosen->kind == NODE_NULL || rejected->kind == NODE_NULL) {
        *reason = empty_column;
        return 0;
    }
    if ((chosen->kind == NODE_LIST) != (rejected->kind == NODE_LIST))
        return fail(err, "\"%s\" and \"%s\" must both be texts, or both messages", chosen->key,
                    rejected->key);
    pair = examples_add(out);
    keep_margin(pair, record);
    if (chosen->kind == NODE_LIST && !is_ids(chosen))
        return take_messages(pair, how, record, chosen, rejected, reason, err);
    return take_texts(pair, how, record, chosen, rejected, reason, err);
}

static int preference_take(struct examples *out, const struct convention_how *how, const struct node *record,
                           const char **reason, struct error *err) {
    return take_sides(out, how, record, node_get(record, or_usual(how->chosen_key, "chosen")),
                      node_get(record, or_usual(how->rejected_key, "rejected")), reason, err);
}

/* safe-rlhf's two forms: a truth value for `answer`, or the number of the better of two responses. */

static int is_numbered(const struct node *record) {
    return node_get(record, "response_0") && node_get(record, "response_1") &&
           (node_get(record, "better_response_id") || node_get(record, "safer_response_id"));
}

static int safe_knows(const struct convention_how *how, const struct node *record) {
    (void)how;
    return is_numbered(record) || (node_get(record, "answer") && node_get(record, "other_answer") &&
                                   (node_get(record, "better") || node_get(record, "safer")));
}

static int safe_take(struct examples *out, const struct convention_how *how, const struct node *record,
                     const char **reason, struct error *err) {
    int numbered = is_numbered(record);
    const char *column = numbered     ? how->safer ? "safer_response_id" : "better_response_id"
                         : how->safer ? "safer"
                                      : "better";
    const struct node *label = node_get(record, column);
    const struct node *first = node_get(record, numbered ? "response_0" : "answer");
    const struct node *second = node_get(record, numbered ? "response_1" : "other_answer");
    int number = number_of(label), first_wins = numbered ? number == 0 : truth_of(label) == 1;

    if (!label)
        return fail(err, "there is no column \"%s\"; prefer chooses between better and safer", column);
    if (numbered ? number != 0 && number != 1 : truth_of(label) < 0)
        return fail(err, numbered ? "\"%s\" must be 0 or 1" : "\"%s\" must be true or false", column);
    return take_sides(out, how, record, first_wins ? first : second, first_wins ? second : first, reason,
                      err);
}

/* lm-human-preferences: the best of several samples is preferred to each of the others. */

static int samples_know(const struct convention_how *how, const struct node *record) {
    (void)how;
    return node_get(record, "query") && node_get(record, "sample0") && node_get(record, "best");
}

static const struct node *sample_number(const struct node *record, int number) {
    char name[32];

    snprintf(name, sizeof name, "sample%d", number);
    return node_get(record, name);
}

static int samples_take(struct examples *out, const struct convention_how *how, const struct node *record,
                        const char **reason, struct error *err) {
    int best = number_of(node_get(record, "best"));
    const struct node *chosen = best < 0 ? NULL : sample_number(record, best);
    struct convention_how with_query = *how;

    if (!chosen) return fail(err, "\"best\" must be the number of a sample, from 0 on");
    if (!with_query.prompt_key) with_query.prompt_key = "query";
    for (int i = 0; sample_number(record, i) && !*reason; i++)
        if (i != best && take_sides(out, &with_query, record, chosen, sample_number(record, i), reason, err))
            return -1;
    return 0;
}

/* Whole conversations: TRL's messages, conversations of {from, value}. */

static const struct node *conversation(const struct node *record) {
    static const char *const names[] = {"messages", "conversations", NULL};
    const struct node *found = first_of(record, names);

    return found && found->kind == NODE_LIST ? found : NULL;
}

static int conversation_knows(const struct convention_how *how, const struct node *record) {
    (void)how;
    return conversation(record) != NULL;
}

static int conversation_take(struct examples *out, const struct convention_how *how,
                             const struct node *record, const char **reason, struct error *err) {
    struct node *messages = dialogue_normal(conversation(record), err), *prompt;
    struct example *example;

    (void)how;
    if (!messages) return -1;
    prompt = first_messages(messages, messages->count - 1);
    if (!messages->first)
        *reason = empty_column;
    else if (!is_role(messages->last, "assistant"))
        *reason = no_answer;
    else if (!is_role(prompt->last, "user"))
        *reason = no_question;
    else {
        example = examples_add(out);
        dialogue_set(example, prompt);
        example->response = text_trimmed(node_text(messages->last, "content", ""));
    }
    node_free(prompt);
    node_free(messages);
    return 0;
}

/* A prompt and what completes it: TRL, OpenRLHF (input, output), safe-rlhf (input, answer), Alpaca. */

static const char *const response_names[] = {"completion", "response", "output", "answer", NULL};

static int is_labelled(const struct node *record) {
    return node_get(record, "completion") && truth_of(node_get(record, "label")) >= 0;
}

static int completion_knows(const struct convention_how *how, const struct node *record) {
    const struct node *prompt = prompt_column(how, record);
    const struct node *response =
        how->response_key ? node_get(record, how->response_key) : first_of(record, response_names);

    return prompt && response && prompt != response && !is_labelled(record) && !safe_knows(how, record);
}

static int find_response(const struct node **out, const struct convention_how *how, const struct node *record,
                         struct error *err) {
    *out = how->response_key ? node_get(record, how->response_key) : NULL;
    if (how->response_key && !*out)
        return fail(err, "the column \"%s\" (response_key) is missing", how->response_key);
    for (int i = 0; !how->response_key && response_names[i]; i++) {
        const struct node *found = node_get(record, response_names[i]);

        if (found && *out)
            return fail(err, "both \"%s\" and \"%s\" could be the response; say which with response_key",
                        (*out)->key, found->key);
        if (found) *out = found;
    }
    return *out ? 0 : fail(err, "there is no column with the response; name it with response_key");
}

/* What completes a prompt: of its beginning only the one space goes that parts it from the prompt, since code
   begins with white space that counts. */
static char *completion_text(const char *text) {
    size_t length = strlen(text);

    while (length && strchr(" \t\r\n", text[length - 1])) length--;
    if (length > 1 && text[0] == ' ' && !strchr(" \t\r\n", text[1])) {
        text++;
        length--;
    }
    return xstrndup(text, length);
}

static int read_response(struct example *example, const struct convention_how *how, const struct node *field,
                         const char **reason, struct error *err) {
    struct node *messages;

    if (field->kind != NODE_LIST || is_ids(field)) {
        char *text = text_of(how, field, err);

        if (!text) return -1;
        example->response = completion_text(without_mark(text));
        free(text);
        return 0;
    }
    messages = dialogue_normal(field, err);
    if (!messages) return -1;
    if (messages->count != 1 || !is_role(messages->first, "assistant"))
        *reason = no_answer;
    else
        example->response = text_trimmed(node_text(messages->first, "content", ""));
    node_free(messages);
    return 0;
}

static int completion_take(struct examples *out, const struct convention_how *how, const struct node *record,
                           const char **reason, struct error *err) {
    const struct node *prompt = prompt_column(how, record), *response;
    struct example *example;

    if (find_response(&response, how, record, err)) return -1;
    if (response->kind == NODE_NULL || (prompt && prompt->kind == NODE_NULL)) {
        *reason = empty_column;
        return 0;
    }
    example = examples_add(out);
    if (read_prompt(example, how, record, err)) return -1;
    return read_response(example, how, response, reason, err);
}

/* TRL's unpaired preferences: answers, each good or bad. */

static int labelled_knows(const struct convention_how *how, const struct node *record) {
    return prompt_column(how, record) && is_labelled(record);
}

static int labelled_take(struct examples *out, const struct convention_how *how, const struct node *record,
                         const char **reason, struct error *err) {
    int label = truth_of(node_get(record, "label")), before = out->count;

    if (label < 0) return fail(err, "\"label\" must be true or false");
    if (completion_take(out, how, record, reason, err)) return -1;
    if (out->count > before) out->items[before].category = xstrdup(label ? "true" : "false");
    return 0;
}

/* TRL's stepwise supervision: an answer is shown where every step of it is right. */

static int stepwise_knows(const struct convention_how *how, const struct node *record) {
    const struct node *steps = node_get(record, "completions"), *labels = node_get(record, "labels");

    return prompt_column(how, record) && steps && steps->kind == NODE_LIST && labels &&
           labels->kind == NODE_LIST;
}

static int stepwise_take(struct examples *out, const struct convention_how *how, const struct node *record,
                         const char **reason, struct error *err) {
    const struct node *steps = node_get(record, "completions"), *labels = node_get(record, "labels");
    struct example *example;
    struct text whole = {0};

    if (steps->count != labels->count || !steps->first)
        return fail(err, "%d steps in \"completions\" and %d in \"labels\"; as many were expected",
                    steps->count, labels->count);
    for (const struct node *label = labels->first; label; label = label->next)
        if (truth_of(label) != 1) *reason = wrong_step;
    if (*reason) return 0;
    for (const struct node *step = steps->first; step; step = step->next) {
        if (step->kind != NODE_STRING) {
            free(whole.data);
            return fail(err, "\"completions\" must be a list of texts");
        }
        text_printf(&whole, "%s%s", step == steps->first ? "" : "\n", step->text);
    }
    example = examples_add(out);
    example->response = whole.data;
    return read_prompt(example, how, record, err);
}

/* TRL's language modelling: a text that answers nothing. */

static int plain_knows(const struct convention_how *how, const struct node *record) {
    const struct node *text = node_get(record, "text");

    (void)how;
    return text && text->kind == NODE_STRING;
}

static int plain_take(struct examples *out, const struct convention_how *how, const struct node *record,
                      const char **reason, struct error *err) {
    struct example *example = examples_add(out);

    (void)how;
    (void)reason;
    (void)err;
    example->prompt = xstrdup("");
    example->response = xstrdup(node_text(record, "text", ""));
    return 0;
}

static const struct convention preference = {
    "preference", "chosen and rejected", "preference pairs (TRL, OpenRLHF)",
    GIVES_PAIRS,  preference_knows,      preference_take};
static const struct convention safe_rlhf = {"safe-rlhf",
                                            "answer, other_answer and better, or response_0, response_1 and "
                                            "better_response_id",
                                            "preference pairs (safe-rlhf)",
                                            GIVES_PAIRS,
                                            safe_knows,
                                            safe_take};
static const struct convention samples = {"lm-human-preferences",
                                          "query, sample0, sample1, … and best",
                                          "the best of several samples (lm-human-preferences)",
                                          GIVES_PAIRS,
                                          samples_know,
                                          samples_take};
static const struct convention conversations = {
    "messages",           "messages",         "conversations (TRL, ShareGPT)",
    GIVES_DEMONSTRATIONS, conversation_knows, conversation_take};
static const struct convention completion = {
    "completion",         "prompt and completion", "prompts and completions (TRL, OpenRLHF, Alpaca)",
    GIVES_DEMONSTRATIONS, completion_knows,        completion_take};
static const struct convention labelled = {"unpaired",
                                           "prompt, completion and label (true, false)",
                                           "answers labelled good or bad (TRL)",
                                           GIVES_LABELLED,
                                           labelled_knows,
                                           labelled_take};
static const struct convention stepwise = {"stepwise",
                                           "prompt, completions and labels",
                                           "answers whose steps are labelled (TRL)",
                                           GIVES_DEMONSTRATIONS,
                                           stepwise_knows,
                                           stepwise_take};
static const struct convention plain = {
    "text", "text", "texts that answer nothing (TRL)", GIVES_DEMONSTRATIONS, plain_knows, plain_take};

const struct convention *const conventions[] = {
    &preference, &safe_rlhf, &samples, &conversations, &completion, &labelled, &stepwise, &plain, NULL};

static int fail_none(const struct convention_how *how, const struct node *record, struct error *err) {
    struct text found = {0}, known = {0};
    int status;

    text_add(&found, "", 0);
    for (const struct node *column = record->first; column; column = column->next)
        text_printf(&found, "%s%s", column == record->first ? "" : ", ", column->key ? column->key : "?");
    for (int i = 0; conventions[i]; i++)
        text_printf(&known, "%s%s (%s)", i ? "; " : "", conventions[i]->columns, conventions[i]->name);
    status = fail(
        err,
        "no known convention: expected the columns \"%s\" and \"%s\" (chosen_key, rejected_key), or those "
        "of another: %s; found %.200s; a file of prompts alone is for the stage prompts",
        or_usual(how->chosen_key, "chosen"), or_usual(how->rejected_key, "rejected"), known.data,
        found.length ? found.data : "none");
    free(found.data);
    free(known.data);
    return status;
}

static const struct convention *find_named(const char *name, struct error *err) {
    struct names names = {0};
    char *hint;

    for (int i = 0; conventions[i]; i++) {
        names_add(&names, conventions[i]->name);
        if (strcmp(conventions[i]->name, name)) continue;
        free(names.items);
        return conventions[i];
    }
    hint = names_hint(&names, name);
    fail(err, "there is no convention '%s'%s", name, hint);
    free(hint);
    free(names.items);
    return NULL;
}

/* A table's field cannot hold a list; where one is written in it as JSON, the list is meant. NULL: none is.
 */
static struct node *with_lists(const struct node *record) {
    struct node *copy = NULL;

    for (const struct node *field = record->first; field; field = field->next) {
        struct error ignored;
        struct node *list;

        if (field->kind != NODE_STRING || strncmp(field->text, "[{", 2)) continue;
        list = document_parse_json(field->text, strlen(field->text), "", field->line, &ignored);
        if (!list) continue;
        if (!copy) copy = node_copy(record);
        for (struct node *at = copy->first; at; at = at->next) {
            if (strcmp(at->key, field->key)) continue;
            free(at->text);
            at->text = NULL;
            at->kind = NODE_LIST;
            at->count = list->count;
            at->first = list->first;
            at->last = list->last;
            list->first = NULL;
        }
        node_free(list);
    }
    return copy;
}

static const struct convention *find_only(const struct convention_how *how, const struct node *record,
                                          struct error *err) {
    const struct convention *found = NULL;

    for (int i = 0; conventions[i]; i++) {
        if (!conventions[i]->knows(how, record)) continue;
        if (found) {
            fail(err,
                 "two conventions fit: %s (%s) and %s (%s); say which with convention: %s, or convention: %s",
                 found->what, found->columns, conventions[i]->what, conventions[i]->columns, found->name,
                 conventions[i]->name);
            return NULL;
        }
        found = conventions[i];
    }
    if (!found) fail_none(how, record, err);
    return found;
}

const struct convention *convention_find(const struct convention_how *how, const struct node *record,
                                         struct error *err) {
    const struct convention *found = how->name ? find_named(how->name, err) : NULL;
    struct node *copy;

    if (found || how->name) return found;
    copy = with_lists(record);
    found = find_only(how, copy ? copy : record, err);
    node_free(copy);
    return found;
}

int convention_take(const struct convention *convention, struct examples *out,
                    const struct convention_how *how, const struct node *record, const char **reason,
                    struct error *err) {
    struct node *copy = with_lists(record);
    int status;

    if (convention->knows(how, copy ? copy : record))
        status = convention->take(out, how, copy ? copy : record, reason, err);
    else
        status = fail(err, "%s: the columns %s were expected", convention->what, convention->columns);
    node_free(copy);
    return status;
}

/* What a field holds, for a person. */
static const char *form_of(const struct node *field) {
    if (is_ids(field)) return "token ids";
    return field->kind == NODE_LIST ? "messages" : "texts";
}

char *convention_describe(const struct convention *convention, const struct convention_how *how,
                          const struct node *record) {
    const struct node *prompt = prompt_column(how, record);
    const struct node *chosen = node_get(record, or_usual(how->chosen_key, "chosen"));

    if (convention != &preference || !chosen) return xprintf("%s", convention->what);
    if (!prompt && chosen->kind == NODE_STRING && strstr(chosen->text, DIALOGUE_HUMAN))
        return xstrdup("preference pairs (HH): whole dialogues in chosen and rejected");
    if (prompt && prompt->kind == NODE_STRING &&
        !strncmp(prompt->text + strspn(prompt->text, " \n"), "Human:", 6))
        return xstrdup(
            "preference pairs (HH, DeepSpeed-Chat): dialogues in prompt, answers in chosen and rejected");
    return xprintf("%s: %s in %s and %s, %s", convention->what, form_of(chosen),
                   or_usual(how->chosen_key, "chosen"), or_usual(how->rejected_key, "rejected"),
                   prompt ? "the prompt in a column" : "the prompt is what both begin with");
}
