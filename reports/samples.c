#include "reports/samples.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/format.h"
#include "harness/names.h"

#define SHOWN 5000 /* responses in the page */
#define MAPS  8    /* token maps an evaluation */

enum { REFUSED = 1, WRONG = 2, APPROVED = 4 };

/* One response with the verdicts on it; sorted by its place in the browser. */
struct sample {
    const struct evaluation *evaluation;
    const struct transcript *transcript;
    int flags, order, rank; /* order: of the prompt's first appearance; rank: of the policy */
    struct text verdicts;   /* "gold 0.81 · approval 0.95" */
};

static int same(const char *a, const char *b) {
    return a == b || (a && b && !strcmp(a, b));
}

static int flags_of(const struct verdict *verdict) {
    int yes = verdict->score >= 0.5;

    if (verdict->outcome == OUTCOME_REFUSED) return REFUSED;
    if (verdict->outcome != OUTCOME_VERDICT) return 0;
    if (!strncmp(verdict->what, "refus", 5)) return yes ? REFUSED : 0;
    if (!strcmp(verdict->what, "correct")) return yes ? 0 : WRONG;
    if (!strcmp(verdict->what, "approval")) return yes ? APPROVED : 0;
    return 0;
}

static int by_id(const void *a, const void *b) {
    const struct sample *x = a, *y = b;
    int order = strcmp(x->transcript->id, y->transcript->id);

    if (order) return order;
    return (x->transcript > y->transcript) - (x->transcript < y->transcript);
}

static struct sample *find_sample(struct sample *samples, int count, const char *id) {
    int low = 0, high = count - 1;

    while (low < high) {
        int middle = (low + high) / 2;
        if (strcmp(samples[middle].transcript->id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return count && !strcmp(samples[low].transcript->id, id) ? &samples[low] : NULL;
}

/* Yes and no without decimals. */
static const char *score_text(char buffer[32], const struct verdict *verdict) {
    static const char *const failures[] = {NULL, "tie", "refused", "unparsed", "not judged"};

    if (failures[verdict->outcome]) return failures[verdict->outcome];
    return format_number(buffer, verdict->score, verdict->score == 0 || verdict->score == 1 ? "count" : NULL);
}

static void add_verdict(struct sample *sample, const struct verdict *verdict) {
    int by_judge = !strcmp(verdict->what, "reward"); /* several may score one response */
    char number[32];

    sample->flags |= flags_of(verdict);
    text_printf(&sample->verdicts, "%s%s%s%s %s", sample->verdicts.length ? " · " : "", verdict->what,
                by_judge ? " by " : "", by_judge ? verdict->judge : "", score_text(number, verdict));
    if (verdict->reason) text_printf(&sample->verdicts, " (%s)", verdict->reason);
}

/* Single-answer verdicts, joined by the transcript's id within the evaluation. */
static void join_verdicts(struct sample *samples, int count, const struct evaluation *evaluation) {
    qsort(samples, count, sizeof *samples, by_id);
    for (int i = 0; i < evaluation->verdicts.count; i++) {
        const struct verdict *verdict = &evaluation->verdicts.items[i];
        struct sample *sample = verdict->other ? NULL : find_sample(samples, count, verdict->transcript);

        if (sample) add_verdict(sample, verdict);
    }
}

/* Prompts in the order of their ids; each with its seeds and policies together, sft first. */
static int by_place(const void *a, const void *b) {
    const struct sample *x = a, *y = b;
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

static struct sample *collect(const struct results *results, const char **policies, int policy_count,
                              int *count) {
    struct sample *samples = NULL;

    *count = 0;
    for (int i = 0; i < results->evaluation_count; i++) {
        const struct evaluation *evaluation = &results->evaluations[i];
        const struct transcripts *transcripts = &evaluation->transcripts;

        samples = xrealloc(samples, *count + transcripts->count + 1, sizeof *samples);
        for (int j = 0; j < transcripts->count; j++)
            samples[*count + j] =
                (struct sample){.evaluation = evaluation,
                                .transcript = &transcripts->items[j],
                                .rank = rank_of(policies, policy_count, transcripts->items[j].policy)};
        join_verdicts(samples + *count, transcripts->count, evaluation);
        *count += transcripts->count;
    }
    if (*count) qsort(samples, *count, sizeof *samples, by_place);
    return samples;
}

static int same_prompt(const struct sample *a, const struct sample *b) {
    return a->evaluation == b->evaluation && !strcmp(a->transcript->prompt_id, b->transcript->prompt_id);
}

/* Numbers the prompts, from 0; returns how many. */
static int number_prompts(struct sample *samples, int count) {
    int prompts = 0;

    for (int i = 0; i < count; i++) {
        if (i == 0 || !same_prompt(&samples[i - 1], &samples[i])) prompts++;
        samples[i].order = prompts - 1;
    }
    return prompts;
}

/* The place of a name in a list that grows; -1 for none. */
static int index_in(struct names *names, const char *name) {
    if (!name) return -1;
    names_add(names, name);
    for (int i = 0;; i++)
        if (!strcmp(names->items[i], name)) return i;
}

static void add_visible(struct node *list, const char *text) {
    char *visible = text_visible(text);
    node_add_text(list, NULL, visible);
    free(visible);
}

/* The names that rows refer to by number. */
struct lists {
    struct names sections, splits, categories;
};

static void add_prompt(struct node *prompts, const struct sample *sample, struct lists *lists) {
    struct node *row = node_add(prompts, NULL, NODE_LIST);

    node_add_number(row, NULL, index_in(&lists->sections, sample->evaluation->name));
    node_add_number(row, NULL, index_in(&lists->splits, sample->transcript->split));
    node_add_number(row, NULL, index_in(&lists->categories, sample->transcript->category));
    add_visible(row, sample->transcript->prompt_id);
    add_visible(row, sample->transcript->prompt);
}

static void add_answer(struct node *answers, const struct sample *sample, int prompt) {
    struct node *row = node_add(answers, NULL, NODE_LIST);

    node_add_number(row, NULL, prompt);
    node_add_number(row, NULL, sample->rank);
    node_add_number(row, NULL, sample->transcript->seed);
    node_add_number(row, NULL, sample->flags);
    node_add_number(row, NULL, sample->transcript->tokens);
    node_add_bool(row, NULL, same(sample->transcript->finish, "length"));
    add_visible(row, sample->transcript->response);
    add_visible(row, sample->verdicts.data);
}

static void add_names(struct node *map, const char *key, const char *const *names, int count) {
    struct node *list = node_add(map, key, NODE_LIST);
    for (int i = 0; i < count; i++) add_visible(list, names[i]);
}

/* `kept` of the prompts stay, at even distances, so that what is shown is spread over all. */
static int add_rows(struct node *root, const struct sample *samples, int count, long kept, long all,
                    struct lists *lists) {
    struct node *prompts = node_add(root, "prompts", NODE_LIST);
    struct node *answers = node_add(root, "answers", NODE_LIST);
    int last = -1;

    for (int i = 0; i < count; i++) {
        long order = samples[i].order;

        if (order * kept / all == (order - 1) * kept / all && order > 0) continue;
        if (order != last) add_prompt(prompts, &samples[i], lists);
        last = (int)order;
        add_answer(answers, &samples[i], prompts->count - 1);
    }
    return answers->count;
}

/* JSON in which no tag can begin or end. */
static void add_script_json(struct text *out, const struct node *root) {
    char *json = node_json(root, 0);

    for (const char *c = json; *c; c++)
        if (*c == '<')
            text_add(out, "\\u003c", 6);
        else
            text_add(out, c, 1);
    free(json);
}

void samples_add_json(struct text *out, const struct results *results, int *shown, int *total) {
    int policy_count, prompts;
    const char **policies = results_policies(results, &policy_count);
    struct sample *samples = collect(results, policies, policy_count, total);
    struct node *root = node_new(NODE_MAP);
    struct lists lists = {0};

    prompts = number_prompts(samples, *total);
    *shown = add_rows(root, samples, *total, *total > SHOWN ? (long)prompts * SHOWN / *total : prompts,
                      prompts, &lists);
    add_names(root, "policies", policies, policy_count);
    add_names(root, "sections", lists.sections.items, lists.sections.count);
    add_names(root, "splits", lists.splits.items, lists.splits.count);
    add_names(root, "categories", lists.categories.items, lists.categories.count);
    add_script_json(out, root);
    for (int i = 0; i < *total; i++) free(samples[i].verdicts.data);
    free(samples);
    free(policies);
    free(lists.sections.items);
    free(lists.splits.items);
    free(lists.categories.items);
    node_free(root);
}

static double largest(const struct node *rewards) {
    double most = 0;

    for (const struct node *reward = rewards->first; reward; reward = reward->next)
        if (reward->kind == NODE_NUMBER && isfinite(reward->number)) most = fmax(most, fabs(reward->number));
    return most;
}

static void add_token(struct text *out, const struct node *token, const struct node *reward, double most) {
    double share = most > 0 && isfinite(reward->number) ? reward->number / most : 0;
    char number[32];

    /* The sign is a class and the size a number, so that the style sheet chooses colours. */
    text_printf(out, "<span class=\"%s\" style=\"--w:%.2f\" title=\"%s\">", share < 0 ? "neg" : "pos",
                fabs(share), format_number(number, reward->number, NULL));
    text_add_html(out, token->text);
    text_printf(out, "</span>");
}

static const char *prompt_of(const struct evaluation *evaluation, const char *id) {
    for (int i = 0; id && i < evaluation->transcripts.count; i++)
        if (!strcmp(evaluation->transcripts.items[i].id, id)) return evaluation->transcripts.items[i].prompt;
    return NULL;
}

static void add_map(struct text *out, const struct evaluation *evaluation, const struct node *map) {
    const struct node *tokens = node_get(map, "tokens"), *rewards = node_get(map, "rewards");
    const char *prompt = prompt_of(evaluation, node_text(map, "transcript", NULL));
    const struct node *token, *reward;
    double most;
    char number[32];

    if (!tokens || !rewards || tokens->kind != NODE_LIST || rewards->kind != NODE_LIST) return;
    most = largest(rewards);
    text_printf(out, "<figure class=\"heat\"><figcaption><b>");
    text_add_html(out, node_text(map, "policy", "A policy"));
    text_printf(out, "</b> scored by <b>");
    text_add_html(out, node_text(map, "reward", "the reward"));
    text_printf(out, "</b>, full colour at ±%s</figcaption>", format_digits(number, most, NULL, most));
    if (prompt) {
        text_printf(out, "<p class=\"prompt\">");
        text_add_html(out, prompt);
        text_printf(out, "</p>");
    }
    text_printf(out, "<p class=\"tokens\">");
    for (token = tokens->first, reward = rewards->first; token && reward;
         token = token->next, reward = reward->next)
        add_token(out, token, reward, most);
    text_printf(out, "</p></figure>\n");
}

int token_map_is_spread(const struct node *map) {
    const struct node *rewards = node_get(map, "rewards");
    int told = 0;

    for (const struct node *reward = rewards ? rewards->first : NULL; reward; reward = reward->next)
        told += reward->number != 0;
    return told > 1;
}

void samples_add_maps(struct text *out, const struct evaluation *evaluation) {
    int shown = 0;

    for (const struct node *map = evaluation->token_rewards->first; map && shown < MAPS; map = map->next) {
        if (!token_map_is_spread(map)) continue;
        if (!shown++)
            text_printf(
                out,
                "<h3>Rewards token by token</h3>\n<p class=\"key\">Blue raises the response's reward, orange "
                "and underlined lowers it; the figure is shown on pointing.</p>\n<div class=\"maps\">\n");
        add_map(out, evaluation, map);
    }
    if (shown) text_printf(out, "</div>\n");
}
