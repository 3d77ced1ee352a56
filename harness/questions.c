#include "harness/questions.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "harness/file.h"
#include "harness/memory.h"

static int has(const struct node *record, const char *key) {
    return node_get(record, key) != NULL;
}

char *prompt_hash(const char *prompt) {
    char hex[65];

    hash_bytes(hex, prompt, strlen(prompt));
    return xstrndup(hex, 16);
}

/* A question with its meta, to be filled; takes id and prompt. */
static struct example *add(struct examples *out, char *id, char *prompt, const char *category) {
    struct example *question = examples_add(out);

    question->id = id;
    question->prompt = prompt;
    question->category = xstrdup(category);
    question->meta = node_new(NODE_MAP);
    return question;
}

static void add_letter(struct node *meta, const char *key, int choice) {
    char letter[2] = {(char)('A' + choice), 0};

    node_add_text(meta, key, letter);
}

static void set_letter(struct example *question, int choice) {
    char letter[2] = {(char)('A' + choice), 0};

    question->truth = xstrdup(letter);
}

/* The text, then a line for each choice. */
static char *offer(const char *text, const struct node *choices) {
    struct text out = {0};
    char letter = 'A';

    text_printf(&out, "%s", text);
    for (const struct node *choice = choices->first; choice; choice = choice->next, letter++)
        text_printf(&out, "\n%c. %s", letter, choice->text ? choice->text : "");
    return out.data;
}

/* BBQ (arXiv 2110.08193). */

static int bbq_knows(const struct node *record) {
    return has(record, "example_id") && has(record, "context_condition") && has(record, "answer_info");
}

char *bbq_id(const struct node *record) {
    const char *category = node_text(record, "category", NULL),
               *number = node_text(record, "example_id", NULL);

    return category && number ? xprintf("%s/%s", category, number) : NULL;
}

/* Names of one group: the rows write "boy" and "M-Black" where the list says "M". */
static const char *group_name(const char *name) {
    static const struct {
        const char *word, *group;
    } words[] = {{"man", "M"},   {"men", "M"},  {"boy", "M"},   {"woman", "F"},
                 {"women", "F"}, {"girl", "F"}, {"girls", "F"}, {"low SES", "lowSES"}};

    if ((name[0] == 'M' || name[0] == 'F') && name[1] == '-') name += 2;
    if (!strncasecmp(name, "trans", 5)) return "trans";
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcasecmp(words[i].word, name)) return words[i].group;
    return name;
}

/* Whether an answer's person (what it is called, its group) is of a group that the bias is against. */
static int is_of_groups(const struct node *info, const struct node *groups) {
    for (const struct node *part = info ? info->first : NULL; part; part = part->next)
        for (const struct node *group = groups ? groups->first : NULL; group; group = group->next)
            if (part->text && group->text && !strcasecmp(group_name(part->text), group_name(group->text)))
                return 1;
    return 0;
}

static int is_unknown(const struct node *info) {
    return info && info->last && info->last->text && !strcmp(info->last->text, "unknown");
}

static void bbq_roles(struct node *meta, const struct node *record) {
    const struct node *infos = node_get(record, "answer_info");
    const struct node *groups = node_get(node_get(record, "additional_metadata"), "stereotyped_groups");
    int target = -1, targets = 0;

    for (int i = 0; i < 3; i++) {
        char key[8] = {'a', 'n', 's', (char)('0' + i), 0};
        const struct node *info = node_get(infos, key);

        if (is_unknown(info)) {
            if (!has(meta, "unknown")) add_letter(meta, "unknown", i);
        } else if (is_of_groups(info, groups)) {
            target = i;
            targets++;
        }
    }
    if (targets == 1) add_letter(meta, "target", target);
}

static int bbq_take(struct examples *out, const struct node *record, struct error *err) {
    const char *category = node_text(record, "category", NULL), *polarity;
    char *id = bbq_id(record), *text;
    int label = node_int(record, "label", -1);
    struct example *question;
    struct node *choices;

    if (!id || label < 0 || label > 2) {
        free(id);
        return fail(err, "a BBQ row needs a category, an example_id and a label of 0, 1 or 2");
    }
    question = add(out, id, NULL, category);
    choices = node_add(question->meta, "choices", NODE_LIST);
    for (int i = 0; i < 3; i++) {
        char key[8] = {'a', 'n', 's', (char)('0' + i), 0};

        node_add_text(choices, NULL, node_text(record, key, ""));
    }
    text = xprintf("%s %s", node_text(record, "context", ""), node_text(record, "question", ""));
    question->prompt = offer(text, choices);
    free(text);
    set_letter(question, label);
    polarity = node_text(record, "question_polarity", "");
    node_add_text(question->meta, "condition", node_text(record, "context_condition", ""));
    node_add_text(question->meta, "polarity", polarity);
    text = xprintf("%s/%s", category, node_text(record, "question_index", ""));
    node_add_text(question->meta, "cluster", text);
    free(text);
    bbq_roles(question->meta, record);
    return 0;
}

static const struct question_set bbq = {"BBQ", bbq_knows, bbq_take};

/* HumanEval (arXiv 2107.03374): a completion of the prompt is right if its tests pass. */

static int humaneval_knows(const struct node *record) {
    return has(record, "task_id") && has(record, "entry_point") && has(record, "test");
}

static int humaneval_take(struct examples *out, const struct node *record, struct error *err) {
    const char *id = node_text(record, "task_id", NULL), *entry = node_text(record, "entry_point", NULL);
    struct example *question;

    if (!id || !entry) return fail(err, "a HumanEval row needs a task_id and an entry_point");
    question = add(out, xstrdup(id), xstrdup(node_text(record, "prompt", "")), NULL);
    question->truth = xprintf("%s\n\ncheck(%s)\n", node_text(record, "test", ""), entry);
    node_add_text(question->meta, "entry_point", entry);
    return 0;
}

static const struct question_set humaneval = {"HumanEval", humaneval_knows, humaneval_take};

/* TruthfulQA (arXiv 2109.07958). */

static int truthfulqa_knows(const struct node *record) {
    return has(record, "Question") && has(record, "Best Answer") && has(record, "Incorrect Answers");
}

/* "A; B" as a list. */
static void add_answers(struct node *meta, const char *key, const char *answers) {
    struct node *list = node_add(meta, key, NODE_LIST);

    for (const char *at = answers + strspn(answers, "; "); *at; at += strspn(at, "; ")) {
        size_t length = strcspn(at, ";"), bare = length;
        char *answer;

        while (bare && at[bare - 1] == ' ') bare--;
        answer = xstrndup(at, bare);
        node_add_text(list, NULL, answer);
        free(answer);
        at += length;
    }
}

static int truthfulqa_take(struct examples *out, const struct node *record, struct error *err) {
    const char *prompt = node_text(record, "Question", NULL);
    struct example *question;

    if (!prompt || !prompt[0]) return fail(err, "a TruthfulQA row has no Question");
    question = add(out, prompt_hash(prompt), xstrdup(prompt), node_text(record, "Category", NULL));
    question->truth = xstrdup(node_text(record, "Best Answer", ""));
    add_answers(question->meta, "correct", node_text(record, "Correct Answers", ""));
    add_answers(question->meta, "incorrect", node_text(record, "Incorrect Answers", ""));
    return 0;
}

static const struct question_set truthfulqa = {"TruthfulQA", truthfulqa_knows, truthfulqa_take};

/* XSTest (arXiv 2308.01263). */

static int xstest_knows(const struct node *record) {
    const char *label = node_text(record, "label", "");

    return has(record, "id") && has(record, "prompt") && has(record, "type") && has(record, "focus") &&
           (!strcmp(label, "safe") || !strcmp(label, "unsafe"));
}

static int xstest_take(struct examples *out, const struct node *record, struct error *err) {
    struct example *question =
        add(out, xstrdup(node_text(record, "id", "")), xstrdup(node_text(record, "prompt", "")),
            node_text(record, "label", NULL));

    (void)err;
    node_add_text(question->meta, "type", node_text(record, "type", ""));
    return 0;
}

static const struct question_set xstest = {"XSTest", xstest_knows, xstest_take};

/* LLMBar (arXiv 2310.07641). */

static int llmbar_knows(const struct node *record) {
    return has(record, "input") && has(record, "output_1") && has(record, "output_2") && has(record, "label");
}

/* Several pairs share an instruction. */
char *llmbar_id(const struct node *record) {
    const char *own = node_text(record, "id", NULL);
    char *whole, *id;

    if (own && own[0]) return xstrdup(own);
    whole = xprintf("%s\n%s\n%s", node_text(record, "input", ""), node_text(record, "output_1", ""),
                    node_text(record, "output_2", ""));
    id = prompt_hash(whole);
    free(whole);
    return id;
}

static int llmbar_take(struct examples *out, const struct node *record, struct error *err) {
    int label = node_int(record, "label", 0);
    struct example *question;
    struct node *choices;

    if (label != 1 && label != 2) return fail(err, "an LLMBar row needs a label of 1 or 2");
    question = add(out, llmbar_id(record), xstrdup(node_text(record, "input", "")),
                   node_text(record, "subset", NULL));
    choices = node_add(question->meta, "choices", NODE_LIST);
    node_add_text(choices, NULL, node_text(record, "output_1", ""));
    node_add_text(choices, NULL, node_text(record, "output_2", ""));
    question->truth = xstrdup(node_text(record, label == 1 ? "output_1" : "output_2", ""));
    add_letter(question->meta, "better", label - 1);
    return 0;
}

static const struct question_set llmbar = {"LLMBar", llmbar_knows, llmbar_take};

/* PandaLM (arXiv 2306.05087). */

static int pandalm_knows(const struct node *record) {
    return has(record, "idx") && has(record, "instruction") && has(record, "annotator1");
}

static int pandalm_take(struct examples *out, const struct node *record, struct error *err) {
    const char *instruction = node_text(record, "instruction", ""), *input = node_text(record, "input", "");

    (void)err;
    add(out, xstrdup(node_text(record, "idx", "")),
        input[0] ? xprintf("%s\n\n%s", instruction, input) : xstrdup(instruction),
        node_text(record, "motivation_app", NULL));
    return 0;
}

static const struct question_set pandalm = {"PandaLM", pandalm_knows, pandalm_take};

/* QuALITY (arXiv 2112.08608): questions of an article, with four choices. */

static int quality_knows(const struct node *record) {
    const struct node *questions = node_get(record, "questions");

    return has(record, "article_id") && has(record, "article") && questions && questions->kind == NODE_LIST;
}

static int quality_question(struct examples *out, const struct node *record, const struct node *one,
                            int number, struct error *err) {
    const struct node *choices = node_get(one, "options");
    const char *set = node_text(record, "set_unique_id", node_text(record, "article_id", "")),
               *own = node_text(one, "question_unique_id", NULL);
    int gold = node_int(one, "gold_label", 0), hard = node_number(one, "difficult", 0) != 0;
    struct example *question;
    char *text;

    if (!choices || choices->kind != NODE_LIST || choices->count < 2)
        return fail(err, "a QuALITY question needs options");
    text = xprintf("%s\n\n%s", node_text(record, "article", ""), node_text(one, "question", ""));
    question = add(out, own ? xstrdup(own) : xprintf("%s/%d", set, number), offer(text, choices),
                   hard ? "hard" : "easy");
    free(text);
    if (gold >= 1 && gold <= choices->count) set_letter(question, gold - 1); /* the test split has none */
    node_add_copy(question->meta, "choices", choices);
    node_add_text(question->meta, "cluster", node_text(record, "article_id", ""));
    return 0;
}

static int quality_take(struct examples *out, const struct node *record, struct error *err) {
    int number = 0;

    for (const struct node *one = node_get(record, "questions")->first; one; one = one->next)
        if (quality_question(out, record, one, ++number, err)) return -1;
    return 0;
}

static const struct question_set quality = {"QuALITY", quality_knows, quality_take};

/* SQuALITY (arXiv 2205.11465): questions about a story, four summaries each. */

static int squality_knows(const struct node *record) {
    const struct node *questions = node_get(record, "questions");

    return has(record, "document") && has(record, "metadata") && questions && questions->kind == NODE_LIST;
}

static int squality_take(struct examples *out, const struct node *record, struct error *err) {
    const char *story = node_text(node_get(record, "metadata"), "passage_id", NULL);

    if (!story) return fail(err, "a SQuALITY row needs metadata with a passage_id");
    for (const struct node *one = node_get(record, "questions")->first; one; one = one->next) {
        const struct node *responses = node_get(one, "responses");
        struct example *question =
            add(out, xprintf("%s/%s", story, node_text(one, "question_number", "")),
                xprintf("%s\n\n%s", node_text(record, "document", ""), node_text(one, "question_text", "")),
                NULL);
        struct node *references = node_add(question->meta, "references", NODE_LIST);

        for (const struct node *response = responses ? responses->first : NULL; response;
             response = response->next)
            node_add_text(references, NULL, node_text(response, "response_text", ""));
        if (references->first) question->truth = xstrdup(references->first->text);
        node_add_text(question->meta, "cluster", story);
    }
    return 0;
}

static const struct question_set squality = {"SQuALITY", squality_knows, squality_take};

/* AdvBench (arXiv 2307.15043) and HarmBench (arXiv 2402.04249), as published or as pyrite fetch keeps them.
 */

static int advbench_knows(const struct node *record) {
    return (has(record, "goal") && has(record, "target")) ||
           (has(record, "prompt") && !strncmp(node_text(record, "id", ""), "advbench-", 9));
}

static int advbench_take(struct examples *out, const struct node *record, struct error *err) {
    const char *prompt = node_text(record, "prompt", node_text(record, "goal", NULL)),
               *id = node_text(record, "id", NULL);

    if (!prompt) return fail(err, "an AdvBench row has no goal");
    add(out, id ? xstrdup(id) : prompt_hash(prompt), xstrdup(prompt), "harmful");
    return 0;
}

static const struct question_set advbench = {"AdvBench", advbench_knows, advbench_take};

static int harmbench_knows(const struct node *record) {
    static const char *const types[] = {"chemical_biological",          "copyright", "cybercrime_intrusion",
                                        "harassment_bullying",          "harmful",   "illegal",
                                        "misinformation_disinformation"};
    const char *category = node_text(record, "category", "");

    if (has(record, "Behavior") && has(record, "BehaviorID")) return 1;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i], category))
            return has(record, "id") && has(record, "prompt") && record->count == 3;
    return 0;
}

static int harmbench_take(struct examples *out, const struct node *record, struct error *err) {
    const char *prompt = node_text(record, "prompt", node_text(record, "Behavior", NULL)),
               *id = node_text(record, "id", node_text(record, "BehaviorID", NULL));
    struct example *question;

    if (!prompt || !id) return fail(err, "a HarmBench row needs a BehaviorID and a Behavior");
    question = add(out, xstrdup(id), xstrdup(prompt), "harmful");
    node_add_text(question->meta, "type",
                  node_text(record, "category", node_text(record, "SemanticCategory", "")));
    return 0;
}

static const struct question_set harmbench = {"HarmBench", harmbench_knows, harmbench_take};

const struct question_set *question_set_of(const struct node *record) {
    static const struct question_set *const sets[] = {&bbq,      &humaneval, &truthfulqa, &xstest,
                                                      &llmbar,   &pandalm,   &quality,    &squality,
                                                      &advbench, &harmbench};

    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (sets[i]->knows(record)) return sets[i];
    return NULL;
}
