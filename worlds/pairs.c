#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/record.h"
#include "harness/registry.h"
#include "worlds/dialogue.h"
#include "worlds/rows.h"

struct settings {
    const char *file, *prompt_key, *chosen_key, *rejected_key;
    int prefer, template, demonstrations, most_prompt, most_response, rows;
    double heldout;
};

enum { PREFER_BETTER, PREFER_SAFER };
enum { TEACH_RESPONSE, TEACH_DIALOGUE };

#define AT(field) offsetof(struct settings, field)
static const struct option options[] = {
    {"file", OPTION_FILE, AT(file), NULL, 0, 0, NULL,
     "preference pairs: .jsonl, .json or .csv, packed (.gz, .zst) or not (HH, TRL, OpenRLHF, safe-rlhf)"},
    {"prompt_key", OPTION_TEXT, AT(prompt_key), "", 0, 0, NULL,
     "column of the prompt; found by its usual names if not given"},
    {"chosen_key", OPTION_TEXT, AT(chosen_key), "chosen", 0, 0, NULL, "column of the preferred response"},
    {"rejected_key", OPTION_TEXT, AT(rejected_key), "rejected", 0, 0, NULL, "column of the other response"},
    {"prefer", OPTION_CHOICE, AT(prefer), "better", 0, 0, "better|safer",
     "which label of a safe-rlhf file decides"},
    {"template", OPTION_CHOICE, AT(template), "as_is", 0, 0, "as_is|hh",
     "how a prompt that is no dialogue is written; hh: Human, Assistant"},
    {"demonstrations", OPTION_CHOICE, AT(demonstrations), "response", 0, 0, "response|dialogue",
     "what they teach: the chosen response to its prompt; or prompt and response as one text that answers "
     "nothing, for a base model"},
    {"most_prompt", OPTION_INT, AT(most_prompt), "2000", 1, INT_MAX, NULL,
     "characters; rows with a longer prompt are dropped and listed"},
    {"most_response", OPTION_INT, AT(most_response), "1000", 1, INT_MAX, NULL,
     "characters; rows with a longer response are dropped and listed"},
    {"rows", OPTION_INT, AT(rows), "0", 0, INT_MAX, NULL, "how many pairs to take; 0: all"},
    {"heldout", OPTION_REAL, AT(heldout), "0.1", 0, 1, NULL,
     "share of the prompts, by their hash, that no training sees"},
    {0}};
#undef AT

/* Why a row is left out; counted and listed by these words. */
static const char *const reasons[] = {
    "a column is empty",      "the two sides share no prompt", "the two sides part before the last turn",
    "a response is empty",    "both responses are the same",   "the prompt is too long",
    "a response is too long",
};
enum {
    EMPTY_COLUMN,
    NO_PROMPT,
    PART_EARLY,
    EMPTY_RESPONSE,
    SAME,
    LONG_PROMPT,
    LONG_RESPONSE,
    REASONS,
    KEPT = -1
};

struct pair {
    char *prompt, *chosen, *rejected;
};

struct reading {
    const struct settings *settings;
    struct examples pairs;
    int counts[REASONS];
};

static void pair_free(struct pair *pair) {
    free(pair->prompt);
    free(pair->chosen);
    free(pair->rejected);
    *pair = (struct pair){0};
}

static const struct node *first_of(const struct node *record, const char *const *names) {
    for (; *names; names++) {
        const struct node *found = node_get(record, *names);

        if (found) return found;
    }
    return NULL;
}

static const struct node *prompt_column(const struct settings *settings, const struct node *record) {
    static const char *const names[] = {"prompt", "input", "dialogue", "question", "instruction", NULL};

    return settings->prompt_key ? node_get(record, settings->prompt_key) : first_of(record, names);
}

/* safe-rlhf's two forms: a truth value for `answer`, or the number of the better of two responses. */
static int find_labelled(const struct settings *settings, const struct node *record,
                         const struct node **chosen, const struct node **rejected) {
    int safer = settings->prefer == PREFER_SAFER;
    const struct node *numbered = node_get(record, safer ? "safer_response_id" : "better_response_id");
    const struct node *truth = node_get(record, safer ? "safer" : "better");
    const struct node *first, *second;
    int first_wins;

    if (numbered && numbered->kind == NODE_NUMBER) {
        first = node_get(record, "response_0");
        second = node_get(record, "response_1");
        first_wins = numbered->number == 0;
    } else if (truth && truth->kind == NODE_BOOL) {
        first = node_get(record, "answer");
        second = node_get(record, "other_answer");
        first_wins = truth->number != 0;
    } else {
        return -1;
    }
    *chosen = first_wins ? first : second;
    *rejected = first_wins ? second : first;
    return first && second ? 0 : -1;
}

static int fail_columns(const struct settings *settings, const struct node *record, struct error *err) {
    struct text found = {0};
    int status;

    text_add(&found, "", 0);
    for (const struct node *column = record->first; column; column = column->next)
        text_printf(&found, "%s%s", column == record->first ? "" : ", ", column->key ? column->key : "?");
    status = fail(err,
                  "no preference pair: expected the columns \"%s\" and \"%s\" (chosen_key, rejected_key), or "
                  "answer, other_answer and better; found %.200s",
                  settings->chosen_key, settings->rejected_key, found.length ? found.data : "none");
    free(found.data);
    return status;
}

/* The end of the last assistant's mark before which, it included, both sides agree; 0 if there is none. */
static size_t common_turns(const char *a, const char *b) {
    size_t common = 0;

    for (const char *mark = a; (mark = strstr(mark, DIALOGUE_ASSISTANT)); mark++) {
        size_t end = (size_t)(mark - a) + strlen(DIALOGUE_ASSISTANT);

        if (!strncmp(a, b, end)) common = end;
    }
    return common;
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

static void cut_front(char **text, const char *from) {
    char *rest = text_trimmed(from);

    free(*text);
    *text = rest;
}

/* Turns two whole texts, or a prompt and two sides, into a prompt and two responses. */
static int part_sides(struct pair *pair, int messages) {
    size_t prompt = pair->prompt ? strlen(pair->prompt) : 0, common;

    if (prompt && !strncmp(pair->chosen, pair->prompt, prompt) &&
        !strncmp(pair->rejected, pair->prompt, prompt)) {
        common = prompt;
    } else if (!pair->prompt || (messages && strstr(pair->chosen, DIALOGUE_HUMAN))) {
        common = common_turns(pair->chosen, pair->rejected);
        if (!common) common = common_words(pair->chosen, pair->rejected);
        if (!common) return NO_PROMPT;
        free(pair->prompt);
        pair->prompt = xstrndup(pair->chosen, common);
    } else {
        common = 0;
    }
    cut_front(&pair->chosen, without_mark(pair->chosen + common));
    cut_front(&pair->rejected, without_mark(pair->rejected + common));
    if (strstr(pair->chosen, DIALOGUE_HUMAN) || strstr(pair->rejected, DIALOGUE_HUMAN)) return PART_EARLY;
    return KEPT;
}

static int judge_lengths(const struct settings *settings, const struct pair *pair) {
    size_t most = (size_t)settings->most_response;

    if (!pair->chosen[0] || !pair->rejected[0]) return EMPTY_RESPONSE;
    if (!strcmp(pair->chosen, pair->rejected)) return SAME;
    if (text_characters(pair->prompt) > (size_t)settings->most_prompt) return LONG_PROMPT;
    if (text_characters(pair->chosen) > most || text_characters(pair->rejected) > most) return LONG_RESPONSE;
    return KEPT;
}

/* Fills the pair and *reason: KEPT, or why the row is left out. */
static int read_pair(const struct settings *settings, const struct node *record, struct pair *pair,
                     int *reason, struct error *err) {
    const struct node *chosen = node_get(record, settings->chosen_key);
    const struct node *rejected = node_get(record, settings->rejected_key);
    const struct node *prompt = prompt_column(settings, record);

    if ((!chosen || !rejected) && find_labelled(settings, record, &chosen, &rejected))
        return fail_columns(settings, record, err);
    if (settings->prompt_key && !prompt)
        return fail(err, "the column \"%s\" (prompt_key) is missing", settings->prompt_key);
    *reason = EMPTY_COLUMN;
    if (chosen->kind == NODE_NULL || rejected->kind == NODE_NULL || (prompt && prompt->kind == NODE_NULL))
        return 0;
    pair->chosen = dialogue_text(chosen, err);
    pair->rejected = pair->chosen ? dialogue_text(rejected, err) : NULL;
    if (!pair->rejected) return -1;
    if (prompt) {
        pair->prompt = dialogue_prompt(prompt, (enum dialogue_template)settings->template, err);
        if (!pair->prompt) return -1;
    }
    *reason = part_sides(pair, chosen->kind == NODE_LIST);
    if (*reason == KEPT) *reason = judge_lengths(settings, pair);
    return 0;
}

static void keep_pair(struct reading *reading, int row, struct pair *pair) {
    struct example *example = examples_add(&reading->pairs);

    example->id = xprintf("row-%d", row);
    example->split =
        xstrdup(prompt_position(pair->prompt) < reading->settings->heldout ? "heldout" : "train");
    example->prompt = pair->prompt;
    example->chosen = pair->chosen;
    example->rejected = pair->rejected;
    *pair = (struct pair){0};
}

static int take_row(struct rows *rows, const struct node *record, int line, struct error *err) {
    struct reading *reading = rows->context;
    struct pair pair = {0};
    int reason = EMPTY_COLUMN, status;

    if (reading->settings->rows && reading->pairs.count == reading->settings->rows) return 1;
    status = read_pair(reading->settings, record, &pair, &reason, err);
    if (!status && reason == KEPT)
        keep_pair(reading, rows->count, &pair);
    else if (!status) {
        reading->counts[reason]++;
        rows_drop(rows, line, reasons[reason]);
    }
    pair_free(&pair);
    return status;
}

static int by_prompt(const void *a, const void *b) {
    const struct example *x = *(const struct example *const *)a, *y = *(const struct example *const *)b;
    int order = strcmp(x->prompt, y->prompt);

    return order ? order : (x > y) - (x < y);
}

/* Each prompt once, in the order of the file. */
static int write_prompts(const struct step *step, const struct examples *pairs, struct error *err) {
    const struct example **order = xmalloc((size_t)pairs->count * sizeof *order);
    char *first = xcalloc((size_t)pairs->count, 1), *path = step_path(step, "prompts.jsonl");
    struct examples prompts = {0};
    int status;

    for (int i = 0; i < pairs->count; i++) order[i] = &pairs->items[i];
    qsort(order, (size_t)pairs->count, sizeof *order, by_prompt);
    for (int i = 0; i < pairs->count; i++)
        if (!i || strcmp(order[i - 1]->prompt, order[i]->prompt)) first[order[i] - pairs->items] = 1;
    for (int i = 0; i < pairs->count; i++) {
        struct example *example = first[i] ? examples_add(&prompts) : NULL;

        if (!example) continue;
        example->id = prompt_id(pairs->items[i].prompt);
        example->prompt = xstrdup(pairs->items[i].prompt);
        example->split = xstrdup(pairs->items[i].split);
    }
    status = examples_write(path, &prompts, err);
    examples_free(&prompts);
    free(path);
    free(first);
    free(order);
    return status;
}

static void demonstrate(struct example *example, const struct example *pair, int whole_dialogue) {
    const char *prompt = pair->prompt, *last = prompt + strlen(prompt);
    int apart = last > prompt && !strchr(" \t\n", last[-1]);

    example->id = xstrdup(pair->id);
    example->split = xstrdup(pair->split);
    example->prompt = xstrdup(whole_dialogue ? "" : prompt);
    example->response =
        whole_dialogue ? xprintf("%s%s%s", prompt, apart ? " " : "", pair->chosen) : xstrdup(pair->chosen);
}

/* What a policy, or a base model, is first taught. */
static int write_demonstrations(const struct step *step, const struct examples *pairs, int whole_dialogue,
                                struct error *err) {
    struct examples list = {0};
    char *path = step_path(step, "demonstrations.jsonl");
    int status;

    for (int i = 0; i < pairs->count; i++) demonstrate(examples_add(&list), &pairs->items[i], whole_dialogue);
    status = examples_write(path, &list, err);
    examples_free(&list);
    free(path);
    return status;
}

static int write_pairs(const struct step *step, const struct examples *pairs, struct error *err) {
    char *path = step_path(step, "pairs.jsonl");
    int status = examples_write(path, pairs, err);

    free(path);
    return status;
}

/* data.json: how many rows there were and what became of them. */
static int write_summary(const struct step *step, const struct reading *reading, int rows,
                         struct error *err) {
    const char *slash = strrchr(reading->settings->file, '/');
    struct node *map = node_new(NODE_MAP), *dropped;
    char *path = step_path(step, "data.json"), *json;
    int status;

    node_add_text(map, "file", slash ? slash + 1 : reading->settings->file);
    node_add_number(map, "rows", rows);
    node_add_number(map, "kept", reading->pairs.count);
    dropped = node_add(map, "dropped", NODE_MAP);
    for (int i = 0; i < REASONS; i++)
        if (reading->counts[i]) node_add_number(dropped, reasons[i], reading->counts[i]);
    json = node_json(map, 2);
    status = file_write(path, json, strlen(json), err);
    free(json);
    free(path);
    node_free(map);
    return status;
}

static int run_pairs(struct run *run, const struct step *step, struct error *err) {
    struct settings settings;
    struct reading reading = {.settings = &settings};
    struct rows rows = {.context = &reading};
    int status = -1;

    if (options_read(options, NULL, step->options, run->recipe, &settings, err)) return -1;
    if (rows_read(&rows, step, settings.file, take_row, err)) goto out;
    if (!reading.pairs.count) {
        fail(err, "%s: none of its %d rows is a usable pair; dropped.jsonl says why", settings.file,
             rows.count);
        goto out;
    }
    rows_notice(&rows, step);
    if (write_pairs(step, &reading.pairs, err)) goto out;
    if (write_demonstrations(step, &reading.pairs, settings.demonstrations == TEACH_DIALOGUE, err)) goto out;
    if (write_prompts(step, &reading.pairs, err) || write_summary(step, &reading, rows.count, err)) goto out;
    status = 0;
out:
    examples_free(&reading.pairs);
    return status;
}

const struct stage stage_pairs = {.name = "pairs",
                                  .summary =
                                      "preference pairs of a file, as prompts, demonstrations and pairs",
                                  .options = options,
                                  .run = run_pairs};
