#include "reports/browser.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/format.h"
#include "harness/names.h"
#include "reports/samples.h"

/* One response and where it stands. */
struct answer {
    const struct evaluation *evaluation;
    const struct transcript *transcript;
    int rank, prompt, place; /* of the policy; of the prompt's first appearance; in the page, -1 left out */
};

/* What the page's rows refer to by number. */
struct lists {
    struct names sections, splits, categories, judges, whats, texts;
};

/* Prompts in the order of their ids; each with its seeds and policies together, baselines first. */
static int by_place(const void *a, const void *b) {
    const struct answer *x = a, *y = b;
    int order;

    if (x->evaluation != y->evaluation) return x->evaluation < y->evaluation ? -1 : 1;
    order = strcmp(x->transcript->prompt_id, y->transcript->prompt_id);
    if (order) return order;
    if (x->transcript->seed != y->transcript->seed) return x->transcript->seed - y->transcript->seed;
    if (x->rank != y->rank) return x->rank - y->rank;
    return x->transcript < y->transcript ? -1 : 1;
}

static int rank_of(const char **policies, int count, const char *policy) {
    int i = 0;
    while (i < count && strcmp(policies[i], policy)) i++;
    return i;
}

static struct answer *collect(const struct results *results, const char **policies, int policy_count,
                              int *count) {
    struct answer *answers = NULL;

    *count = 0;
    for (int i = 0; i < results->evaluation_count; i++) {
        const struct evaluation *evaluation = &results->evaluations[i];
        const struct transcripts *transcripts = &evaluation->transcripts;

        answers = xrealloc(answers, (size_t)(*count + transcripts->count) + 1, sizeof *answers);
        for (int j = 0; j < transcripts->count; j++)
            answers[(*count)++] =
                (struct answer){.evaluation = evaluation,
                                .transcript = &transcripts->items[j],
                                .rank = rank_of(policies, policy_count, transcripts->items[j].policy),
                                .place = -1};
    }
    if (*count) qsort(answers, (size_t)*count, sizeof *answers, by_place);
    return answers;
}

static int same_prompt(const struct answer *a, const struct answer *b) {
    return a->evaluation == b->evaluation && !strcmp(a->transcript->prompt_id, b->transcript->prompt_id);
}

/* Numbers the prompts, from 0; returns how many. */
static int number_prompts(struct answer *answers, int count) {
    int prompts = 0;

    for (int i = 0; i < count; i++) {
        if (i == 0 || !same_prompt(&answers[i - 1], &answers[i])) prompts++;
        answers[i].prompt = prompts - 1;
    }
    return prompts;
}

static double length_of(const char *text) {
    return text ? fmin((double)strlen(text), BROWSER_TEXT) : 0;
}

static double bytes_of(const struct results *results) {
    double bytes = 0;

    for (int i = 0; i < results->evaluation_count; i++) {
        const struct evaluation *evaluation = &results->evaluations[i];

        for (int j = 0; j < evaluation->transcripts.count; j++)
            bytes += length_of(evaluation->transcripts.items[j].response);
        for (int j = 0; j < evaluation->verdicts.count; j++)
            bytes += length_of(evaluation->verdicts.items[j].reason) +
                     length_of(evaluation->verdicts.items[j].raw);
    }
    return bytes;
}

/* Prompts that stay, so that neither limit is passed by much. */
static long prompts_kept(const struct results *results, long prompts, int answers) {
    double share = fmin(1, fmin((double)BROWSER_ANSWERS / answers, BROWSER_BYTES / bytes_of(results)));

    return answers ? (long)fmax(1, floor(share * (double)prompts)) : 0;
}

/* Gives places to the answers of `kept` prompts at even distances, so that what is shown is spread over all;
   returns how many. */
static int choose(struct answer *answers, int count, long kept, long prompts) {
    int shown = 0;

    for (int i = 0; i < count; i++) {
        long order = answers[i].prompt;

        if (order == 0 || order * kept / prompts != (order - 1) * kept / prompts) answers[i].place = shown++;
    }
    return shown;
}

/* The place of a name in a list that grows; -1 for none. */
static int index_in(struct names *names, const char *name) {
    return name ? names_add(names, name) : -1;
}

static void add_visible(struct node *list, const char *text) {
    char *visible = text_visible(text);
    node_add_text(list, NULL, visible);
    free(visible);
}

static void add_names(struct node *root, const char *key, const char *const *names, int count) {
    struct node *list = node_add(root, key, NODE_LIST);
    for (int i = 0; i < count; i++) add_visible(list, names[i]);
}

static void add_prompt(struct node *prompts, const struct answer *answer, struct lists *lists) {
    const struct transcript *transcript = answer->transcript;
    struct node *row = node_add(prompts, NULL, NODE_LIST);

    node_add_number(row, NULL, index_in(&lists->sections, answer->evaluation->name));
    node_add_number(row, NULL, index_in(&lists->splits, transcript->split));
    node_add_number(row, NULL, index_in(&lists->categories, transcript->category));
    node_add_number(row, NULL, index_in(&lists->texts, transcript->prompt));
    add_visible(row, transcript->prompt_id);
}

static void add_answer(struct node *answers, const struct answer *answer, int prompt, struct lists *lists) {
    const struct transcript *transcript = answer->transcript;
    struct node *row = node_add(answers, NULL, NODE_LIST);

    node_add_number(row, NULL, prompt);
    node_add_number(row, NULL, answer->rank);
    node_add_number(row, NULL, transcript->seed);
    node_add_number(row, NULL, transcript->tokens);
    node_add_number(row, NULL, transcript->finish && !strcmp(transcript->finish, "length"));
    node_add_number(row, NULL, index_in(&lists->texts, transcript->response));
    add_visible(row, transcript->id);
    node_add_text(row, NULL, transcript->unit ? transcript->unit : transcript->tokens > 0 ? "tokens" : "");
}

static void add_answers(struct node *root, const struct answer *answers, int count, struct lists *lists) {
    struct node *prompts = node_add(root, "prompts", NODE_LIST);
    struct node *rows = node_add(root, "answers", NODE_LIST);
    int last = -1;

    for (int i = 0; i < count; i++) {
        if (answers[i].place < 0) continue;
        if (answers[i].prompt != last) add_prompt(prompts, &answers[i], lists);
        last = answers[i].prompt;
        add_answer(rows, &answers[i], prompts->count - 1, lists);
    }
}

/* Answers of one evaluation by their ids. */
struct index {
    const struct answer **items;
    int count;
};

static int by_id(const void *a, const void *b) {
    const struct answer *const *x = a, *const *y = b;
    return strcmp((*x)->transcript->id, (*y)->transcript->id);
}

static struct index index_answers(const struct answer *answers, int count,
                                  const struct evaluation *evaluation) {
    struct index index = {.items = xmalloc(((size_t)count + 1) * sizeof *index.items)};

    for (int i = 0; i < count; i++)
        if (answers[i].evaluation == evaluation) index.items[index.count++] = &answers[i];
    if (index.count) qsort(index.items, (size_t)index.count, sizeof *index.items, by_id);
    return index;
}

/* The place in the page of the answer of this id; -1 if it is not in the page. */
static int find_place(const struct index *index, const char *id) {
    struct transcript sought = {.id = (char *)id};
    const struct answer key = {.transcript = &sought}, *pointer = &key;
    const struct answer *const *found =
        id && index->count
            ? bsearch(&pointer, index->items, (size_t)index->count, sizeof *index->items, by_id)
            : NULL;

    return found ? (*found)->place : -1;
}

static void add_other(struct node *row, const struct index *index, const char *other) {
    int place = find_place(index, other);

    if (place >= 0)
        node_add_number(row, NULL, place);
    else if (other)
        add_visible(row, other);
    else
        node_add(row, NULL, NODE_NULL);
}

/* Yes, no and half as numbers, others as every format writes them. */
static void add_score(struct node *row, double score) {
    char number[32];

    if (isnan(score))
        node_add(row, NULL, NODE_NULL);
    else if (score == 0 || score == 0.5 || score == 1)
        node_add_number(row, NULL, score);
    else
        node_add_text(row, NULL, format_number(number, score, NULL));
}

static void add_verdict(struct node *rows, const struct verdict *verdict, const struct index *index,
                        struct lists *lists) {
    int place = find_place(index, verdict->transcript);
    struct node *row;

    if (place < 0) return;
    row = node_add(rows, NULL, NODE_LIST);
    node_add_number(row, NULL, place);
    add_other(row, index, verdict->other);
    node_add_number(row, NULL, index_in(&lists->judges, verdict->judge));
    node_add_number(row, NULL, index_in(&lists->whats, verdict->what));
    node_add_number(row, NULL, verdict->outcome);
    add_score(row, verdict->outcome == OUTCOME_VERDICT ? verdict->score : NAN);
    node_add_number(row, NULL, verdict->order);
    node_add_number(row, NULL, index_in(&lists->texts, verdict->reason));
    node_add_number(row, NULL, index_in(&lists->texts, verdict->raw));
}

static void add_map(struct node *rows, const struct node *map, const struct index *index) {
    const struct node *tokens = node_get(map, "tokens"), *rewards = node_get(map, "rewards");
    int place = find_place(index, node_text(map, "transcript", NULL));
    char number[32];
    struct node *row, *list;

    if (place < 0 || !tokens || !token_map_is_spread(map)) return;
    row = node_add(rows, NULL, NODE_LIST);
    node_add_number(row, NULL, place);
    add_visible(row, node_text(map, "reward", "reward"));
    list = node_add(row, NULL, NODE_LIST);
    for (const struct node *token = tokens->first; token; token = token->next) add_visible(list, token->text);
    list = node_add(row, NULL, NODE_LIST);
    for (const struct node *reward = rewards->first; reward; reward = reward->next)
        node_add_text(list, NULL, format_number(number, reward->number, NULL));
}

/* Verdicts and token rewards, joined by the transcript's id within the evaluation. */
static void add_judgments(struct node *root, const struct results *results, const struct answer *answers,
                          int count, struct lists *lists) {
    struct node *verdicts = node_add(root, "verdicts", NODE_LIST), *maps = node_add(root, "maps", NODE_LIST);

    for (int i = 0; i < results->evaluation_count; i++) {
        const struct evaluation *evaluation = &results->evaluations[i];
        struct index index = index_answers(answers, count, evaluation);

        for (int j = 0; j < evaluation->verdicts.count; j++)
            add_verdict(verdicts, &evaluation->verdicts.items[j], &index, lists);
        for (const struct node *map = evaluation->token_rewards->first; map; map = map->next)
            add_map(maps, map, &index);
        free(index.items);
    }
}

/* The first policy where the evaluation's baseline gave no answer. */
static int baseline_of(const struct evaluation *evaluation, const char **policies, int count) {
    int rank = rank_of(policies, count, evaluation->baseline);

    return rank < count ? rank : count ? 0 : -1;
}

static void add_baselines(struct node *root, const struct results *results, const char **policies, int count,
                          const struct lists *lists) {
    struct node *list = node_add(root, "baselines", NODE_LIST);

    for (int i = 0; i < lists->sections.count; i++)
        node_add_number(list, NULL,
                        baseline_of(results_evaluation(results, lists->sections.items[i]), policies, count));
}

static void add_texts(struct node *root, const struct names *texts) {
    struct node *list = node_add(root, "texts", NODE_LIST);

    for (int i = 0; i < texts->count; i++) {
        const char *text = texts->items[i];
        size_t length = strlen(text), kept = BROWSER_TEXT;
        char *head;

        if (length <= BROWSER_TEXT) {
            add_visible(list, text);
            continue;
        }
        while (kept && (text[kept] & 0xc0) == 0x80) kept--; /* no character is cut in two */
        head = xprintf("%.*s\n[%zu more bytes are in the run's folder]", (int)kept, text, length - kept);
        add_visible(list, head);
        free(head);
    }
}

/* JSON in which no tag can begin or end. */
static void add_script_json(struct text *out, const struct node *root) {
    char *json = node_json(root, 0);

    for (const char *at = json;;) {
        size_t plain = strcspn(at, "<");

        text_add(out, at, plain);
        at += plain;
        if (!*at++) break;
        text_add(out, "\\u003c", 6);
    }
    free(json);
}

static void lists_free(struct lists *lists) {
    free(lists->sections.items);
    free(lists->splits.items);
    free(lists->categories.items);
    free(lists->judges.items);
    free(lists->whats.items);
    free(lists->texts.items);
}

void browser_add_data(struct text *out, const struct results *results, struct browser_counts *counts) {
    int policy_count, prompts;
    const char **policies = results_policies(results, &policy_count);
    struct answer *answers = collect(results, policies, policy_count, &counts->total);
    struct node *root = node_new(NODE_MAP);
    struct lists lists = {0};

    prompts = number_prompts(answers, counts->total);
    counts->shown = choose(answers, counts->total, prompts_kept(results, prompts, counts->total), prompts);
    add_answers(root, answers, counts->total, &lists);
    add_judgments(root, results, answers, counts->total, &lists);
    add_names(root, "policies", policies, policy_count);
    add_names(root, "sections", lists.sections.items, lists.sections.count);
    add_names(root, "splits", lists.splits.items, lists.splits.count);
    add_names(root, "categories", lists.categories.items, lists.categories.count);
    add_names(root, "judges", lists.judges.items, lists.judges.count);
    add_names(root, "whats", lists.whats.items, lists.whats.count);
    add_baselines(root, results, policies, policy_count, &lists);
    add_texts(root, &lists.texts);
    add_script_json(out, root);
    free(answers);
    free(policies);
    lists_free(&lists);
    node_free(root);
}
