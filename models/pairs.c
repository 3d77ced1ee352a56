#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "harness/convention.h"
#include "harness/file.h"
#include "harness/memory.h"
#include "harness/progress.h"
#include "harness/registry.h"
#include "harness/rows.h"
#include "harness/split.h"
#include "models/overlong.h"
#include "models/tokenizer.h"

struct settings {
    const char *file, *convention, *prompt_key, *chosen_key, *rejected_key, *response_key, *tokenizer,
        *split_key;
    const struct node *splits;
    int prefer, template, demonstrations, most_prompt, most_response, overlong, rows, near;
    double heldout, near_least;
};

enum { TEACH_RESPONSE, TEACH_DIALOGUE };

#define AT(field) offsetof(struct settings, field)
static const struct option options[] = {
    {"file", OPTION_FILE, AT(file), NULL, 0, 0, NULL,
     "preference pairs or demonstrations: .jsonl, .json or .csv, packed (.gz, .zst) or not"},
    {"convention", OPTION_TEXT, AT(convention), "", 0, 0, NULL,
     "preference (TRL, OpenRLHF, HH), safe-rlhf, lm-human-preferences, messages, completion, unpaired, "
     "stepwise or "
     "text; told from the columns of the first row if not given"},
    {"prompt_key", OPTION_TEXT, AT(prompt_key), "", 0, 0, NULL,
     "column of the prompt; found by its usual names if not given"},
    {"chosen_key", OPTION_TEXT, AT(chosen_key), "chosen", 0, 0, NULL, "column of the preferred response"},
    {"rejected_key", OPTION_TEXT, AT(rejected_key), "rejected", 0, 0, NULL, "column of the other response"},
    {"response_key", OPTION_TEXT, AT(response_key), "", 0, 0, NULL,
     "column of a demonstration's response; found by its usual names if not given"},
    {"prefer", OPTION_CHOICE, AT(prefer), "better", 0, 0, "better|safer",
     "which label of a safe-rlhf file decides"},
    {"template", OPTION_CHOICE, AT(template), "as_is", 0, 0, "as_is|hh",
     "how a prompt that is no dialogue is written; hh: Human, Assistant"},
    {"tokenizer", OPTION_STEP, AT(tokenizer), "", 0, 0, "tokenizer|sft|ppo",
     "folder with the tokenizer.json of a file that holds token ids"},
    {"demonstrations", OPTION_CHOICE, AT(demonstrations), "response", 0, 0, "response|dialogue",
     "what they teach: the chosen response to its prompt; or prompt and response as one text that answers "
     "nothing, for a base model"},
    {"most_prompt", OPTION_INT, AT(most_prompt), "2000", 1, INT_MAX, NULL,
     "characters; what becomes of rows with a longer prompt says overlong"},
    {"most_response", OPTION_INT, AT(most_response), "1000", 1, INT_MAX, NULL,
     "characters; rows with a longer response are dropped and listed, none is ever cut"},
    {"overlong", OPTION_CHOICE, AT(overlong), "drop", 0, 0, "drop|cut_prompt|error",
     "drop and list such rows; cut a prompt's oldest turns, then its beginning, and list it; or stop at the "
     "first"},
    {"rows", OPTION_INT, AT(rows), "0", 0, INT_MAX, NULL, "how many pairs or demonstrations to take; 0: all"},
    {"heldout", OPTION_REAL, AT(heldout), "0.1", 0, 1, NULL,
     "share of the prompts, by the hash of their first turn's words, that no training sees"},
    {"split_key", OPTION_TEXT, AT(split_key), "", 0, 0, NULL,
     "column that names the split instead: train; heldout, test, validation, …; ood; others by hash"},
    {"splits", OPTION_MAP, AT(splits), "", 0, 0, NULL,
     "what that column says: the split it means ({adversarial: ood})"},
    {"near", OPTION_CHOICE, AT(near), "report", 0, 0, "report|move|drop|ignore",
     "nearly the same prompts in different splits: counted and listed in near.jsonl; also moved to the "
     "held-out "
     "side, or left out of the training side"},
    {"near_least", OPTION_REAL, AT(near_least), "0.6", 0.3, 1, NULL,
     "from which similarity on they are nearly the same: shared runs of three words, as a share of all"},
    {0}};
#undef AT

static const char long_prompt[] = "the prompt is too long", long_response[] = "a response is too long",
                  empty_response[] = "a response is empty", same_responses[] = "both responses are the same",
                  cut_prompt[] = "the prompt was cut",
                  lone_label[] = "no answer of the other label to its prompt",
                  near_heldout[] = "nearly the same prompt is in a held-out split";

struct reading {
    const struct settings *settings;
    struct convention_how how;
    const struct convention *convention; /* told by the first row */
    char *described;
    struct tokenizer *tokenizer;
    struct examples kept;
};

/* Ids beyond the vocabulary pad: they may stand at either end, and are left out. */
static char *decode(void *context, const struct node *ids, struct error *err) {
    const struct tokenizer *tokenizer = context;
    int *numbers = xcalloc((size_t)ids->count, sizeof *numbers), count = 0, begun = 0, ended = 0, bad = 0;
    char *text = NULL;

    for (const struct node *id = ids->first; id; id = id->next) {
        int known = id->kind == NODE_NUMBER && id->number >= 0 && id->number < tokenizer_vocab(tokenizer);

        bad |= id->kind != NODE_NUMBER || id->number < 0 || (known && ended);
        begun |= known;
        ended |= begun && !known;
        if (known) numbers[count++] = (int)id->number;
    }
    if (bad)
        fail(err, "\"%s\" holds what is no token of the tokenizer (%d tokens)", ids->key,
             tokenizer_vocab(tokenizer));
    else
        text = tokenizer_decode(tokenizer, numbers, count, NULL);
    free(numbers);
    return text;
}

/* What limits say of it: NULL, or why the row is left out; *cut is set where the prompt was. */
static const char *limit(const struct settings *settings, struct example *example, int *cut) {
    const char *sides[] = {example->chosen, example->rejected, example->response};

    for (int i = 0; i < 3; i++) {
        if (!sides[i]) continue;
        if (!sides[i][strspn(sides[i], " \t\r\n")]) return empty_response;
        if (text_characters(sides[i]) > (size_t)settings->most_response) return long_response;
    }
    if (example->chosen && !strcmp(example->chosen, example->rejected)) return same_responses;
    if (text_characters(example->prompt) <= (size_t)settings->most_prompt) return NULL;
    *cut = settings->overlong == OVERLONG_CUT && !dialogue_cut(example, (size_t)settings->most_prompt);
    return *cut ? NULL : long_prompt;
}

static void set_split(struct reading *reading, struct example *example, const struct node *record) {
    const struct settings *settings = reading->settings;
    const char *word = settings->split_key ? node_text(record, settings->split_key, NULL) : NULL;
    const char *named = split_named(word, settings->splits);

    if (!named) named = prompt_position(example->prompt) < settings->heldout ? "heldout" : "train";
    free(example->split);
    example->split = xstrdup(named);
}

/* Takes the example's content, or lists why not. */
static int keep(struct rows *rows, struct example *example, const struct node *record, int line, int number,
                struct error *err) {
    struct reading *reading = rows->context;
    int cut = 0;
    const char *reason;

    set_split(reading, example, record); /* of the whole prompt */
    reason = limit(reading->settings, example, &cut);
    if ((reason == long_prompt || reason == long_response) && reading->settings->overlong == OVERLONG_ERROR)
        return fail(err, "%s (most_prompt %d, most_response %d); overlong: drop leaves such rows out", reason,
                    reading->settings->most_prompt, reading->settings->most_response);
    if (reason) {
        rows_drop(rows, rows->count, line, reason);
        return 0;
    }
    if (cut) rows_cut(rows, rows->count, line, cut_prompt);
    example->id = number ? xprintf("row-%d-%d", rows->count, number + 1) : xprintf("row-%d", rows->count);
    *examples_add(&reading->kept) = *example;
    *example = (struct example){0};
    return 0;
}

static int tell_convention(struct reading *reading, const struct node *record, struct error *err) {
    if (reading->convention) return 0;
    reading->convention = convention_find(&reading->how, record, err);
    if (!reading->convention) return -1;
    reading->described = convention_describe(reading->convention, &reading->how, record);
    return 0;
}

static int take_row(struct rows *rows, const struct node *record, int line, struct error *err) {
    struct reading *reading = rows->context;
    struct examples found = {0};
    const char *reason = NULL;
    int status;

    if (reading->settings->rows && reading->kept.count >= reading->settings->rows) return 1;
    if (tell_convention(reading, record, err)) return -1;
    status = convention_take(reading->convention, &found, &reading->how, record, &reason, err);
    if (!status && reason) rows_drop(rows, rows->count, line, reason);
    for (int i = 0; i < found.count && !status && !reason; i++)
        status = keep(rows, &found.items[i], record, line, i, err);
    examples_free(&found);
    return status;
}

static int row_of(const struct example *example) {
    return atoi(example->id + strlen("row-"));
}

static void example_clear(struct example *example) {
    struct examples one = {xmalloc(sizeof *example), 1, NULL, 0};

    *one.items = *example;
    examples_free(&one);
    *example = (struct example){0};
}

/* Leaves out the examples that are marked. */
static void leave_out(struct reading *reading, struct rows *rows, const char *marked, const char *reason) {
    int kept = 0;

    for (int i = 0; i < reading->kept.count; i++) {
        struct example *example = &reading->kept.items[i];

        if (!marked[i]) {
            reading->kept.items[kept++] = *example;
            continue;
        }
        rows_drop(rows, row_of(example), 0, reason);
        example_clear(example);
    }
    reading->kept.count = kept;
}

static int by_prompt_and_label(const void *a, const void *b) {
    const struct example *x = *(const struct example *const *)a, *y = *(const struct example *const *)b;
    int order = strcmp(x->prompt, y->prompt);

    if (!order) order = strcmp(y->category, x->category); /* true, then false */
    return order ? order : (x > y) - (x < y);
}

/* Answers to one prompt: the first good one becomes a pair with the first bad one, and so on. */
static void pair_answers(struct example **answers, int count) {
    int good = 0;

    while (good < count && answers[good]->category[0] == 't') good++;
    for (int i = 0; i < good && good + i < count; i++) {
        answers[i]->chosen = answers[i]->response;
        answers[i]->rejected = answers[good + i]->response;
        answers[i]->response = answers[good + i]->response = NULL;
    }
}

/* Labelled answers become pairs; good ones without a bad one stay as demonstrations. */
static void pair_labelled(struct reading *reading, struct rows *rows) {
    struct examples *kept = &reading->kept;
    struct example **order = xmalloc((size_t)kept->count * sizeof *order + 1);
    char *used = xcalloc((size_t)kept->count + 1, 1), *alone = xcalloc((size_t)kept->count + 1, 1);
    int count = 0;

    for (int i = 0; i < kept->count; i++) order[i] = &kept->items[i];
    qsort(order, (size_t)kept->count, sizeof *order, by_prompt_and_label);
    for (int first = 0, end; first < kept->count; first = end) {
        for (end = first + 1; end < kept->count && !strcmp(order[end]->prompt, order[first]->prompt); end++)
            continue;
        pair_answers(order + first, end - first);
    }
    for (int i = 0; i < kept->count; i++) {
        used[i] = !kept->items[i].response && !kept->items[i].chosen;
        alone[i] = kept->items[i].response && kept->items[i].category[0] == 'f';
        free(kept->items[i].category);
        kept->items[i].category = NULL;
    }
    for (int i = 0; i < kept->count; i++) {
        if (alone[i]) rows_drop(rows, row_of(&kept->items[i]), 0, lone_label);
        if (used[i] || alone[i])
            example_clear(&kept->items[i]);
        else
            kept->items[count++] = kept->items[i];
    }
    kept->count = count;
    free(order);
    free(used);
    free(alone);
}

static int write_near(const struct step *step, const struct split_report *report, struct error *err) {
    char *path = step_path(step, "near.jsonl");
    struct output out;
    int status = output_open(&out, path, err);

    free(path);
    if (status) return -1;
    for (const struct node *pair = report->pairs->first; pair; pair = pair->next)
        node_print(out.file, pair, 0);
    return output_close(&out, err);
}

static void notice_near(const struct step *step, const struct settings *settings,
                        const struct split_report *report) {
    static const char *const done[] = {"near: move or drop takes them out", "moved to the held-out side",
                                       "left out of the training side", ""};
    const struct node *first = report->pairs->first;

    if (report->same_moved)
        progress_notice("%s: %d rows went to the split of a row with the same prompt", step->name,
                        report->same_moved);
    if (report->near_pairs)
        progress_notice(
            "%s: %d pairs of nearly the same prompts lie in different splits (near.jsonl), such as "
            "%s and %s, %.0f %% alike; %s",
            step->name, report->near_pairs, node_text(first, "a", ""), node_text(first, "b", ""),
            100 * node_number(first, "similarity", 0), done[settings->near]);
    if (report->passed_over)
        progress_notice("%s: %lld pairs of prompts that resemble many others were not compared", step->name,
                        report->passed_over);
}

static int mend_splits(struct reading *reading, struct rows *rows, const struct step *step,
                       struct split_report *report, struct error *err) {
    const struct settings *settings = reading->settings;
    char *marked = xcalloc((size_t)reading->kept.count + 1, 1);

    split_mend(report, &reading->kept, (enum near_action)settings->near, settings->near_least, marked);
    leave_out(reading, rows, marked, near_heldout);
    free(marked);
    notice_near(step, settings, report);
    return settings->near == NEAR_IGNORE ? 0 : write_near(step, report, err);
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
        if (pairs->items[i].messages) example->messages = node_copy(pairs->items[i].messages);
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
    const char *response = pair->chosen ? pair->chosen : pair->response;
    int apart = last > prompt && !strchr(" \t\n", last[-1]);

    example->id = xstrdup(pair->id);
    example->split = xstrdup(pair->split);
    example->prompt = xstrdup(whole_dialogue ? "" : prompt);
    example->response =
        whole_dialogue ? xprintf("%s%s%s", prompt, apart ? " " : "", response) : xstrdup(response);
    if (pair->messages && !whole_dialogue) example->messages = node_copy(pair->messages);
}

/* The best of a row's samples stands in several pairs. */
static int shown_before(const struct example *pairs, int i) {
    return i && pairs[i].chosen && pairs[i - 1].chosen && row_of(&pairs[i]) == row_of(&pairs[i - 1]);
}

/* What a policy, or a base model, is first taught. */
static int write_demonstrations(const struct step *step, const struct examples *pairs, int whole_dialogue,
                                struct error *err) {
    struct examples list = {0};
    char *path = step_path(step, "demonstrations.jsonl");
    int status;

    for (int i = 0; i < pairs->count; i++)
        if (!shown_before(pairs->items, i))
            demonstrate(examples_add(&list), &pairs->items[i], whole_dialogue);
    status = examples_write(path, &list, err);
    examples_free(&list);
    free(path);
    return status;
}

/* No file where the data have none. */
static int write_pairs(const struct step *step, const struct examples *kept, int *count, struct error *err) {
    struct examples pairs = {.items = xmalloc((size_t)kept->count * sizeof *pairs.items + 1)}; /* borrows */
    char *path = step_path(step, "pairs.jsonl");
    int status = 0;

    for (int i = 0; i < kept->count; i++)
        if (kept->items[i].chosen) pairs.items[pairs.count++] = kept->items[i];
    *count = pairs.count;
    if (pairs.count) status = examples_write(path, &pairs, err);
    free(pairs.items);
    free(path);
    return status;
}

/* data.json: how the file was understood, how many rows there were and what became of them. */
static int write_summary(const struct step *step, const struct reading *reading, const struct rows *rows,
                         const struct split_report *report, int pairs, struct error *err) {
    static const char *const names[] = {"train", "heldout", "ood"};
    const char *slash = strrchr(reading->settings->file, '/');
    struct node *map = node_new(NODE_MAP), *part;
    char *path = step_path(step, "data.json");
    int status;

    node_add_text(map, "file", slash ? slash + 1 : reading->settings->file);
    node_add_text(map, "convention", reading->convention->name);
    node_add_text(map, "understood", reading->described);
    node_add_number(map, "rows", rows->count);
    node_add_number(map, "kept", reading->kept.count);
    node_add_number(map, "pairs", pairs);
    node_add_number(map, "prompts_cut", rows->cut);
    node_add_copy(map, "dropped", rows->reasons);
    part = node_add(map, "splits", NODE_MAP);
    for (int s = 0; s < 3; s++) {
        int count = 0;

        for (int i = 0; i < reading->kept.count; i++)
            count += !strcmp(reading->kept.items[i].split, names[s]);
        node_add_number(part, names[s], count);
    }
    node_add_number(map, "different_prompts", report->prompts);
    part = node_add(map, "near_duplicates", NODE_MAP);
    node_add_number(part, "pairs", report->near_pairs);
    node_add_number(part, "prompts_moved", report->near_moved);
    node_add_number(part, "prompts_dropped", report->near_dropped);
    node_add_number(part, "not_compared", (double)report->passed_over);
    status = document_write(path, map, err);
    free(path);
    node_free(map);
    return status;
}

static int write_all(const struct step *step, struct reading *reading, struct rows *rows, struct error *err) {
    const struct examples *kept = &reading->kept;
    int whole = reading->settings->demonstrations == TEACH_DIALOGUE, pairs, status = -1;
    struct split_report report = {0};

    if (reading->convention->gives == GIVES_LABELLED) pair_labelled(reading, rows);
    if (mend_splits(reading, rows, step, &report, err)) goto out;
    if (!kept->count) {
        fail(err, "%s: none of its %d rows is usable; dropped.jsonl says why", reading->settings->file,
             rows->count);
        goto out;
    }
    progress_notice("%s: %s, %d rows: %s", step->name, reading->settings->file, rows->count,
                    reading->described);
    rows_notice(rows, step);
    if (write_pairs(step, kept, &pairs, err) || write_demonstrations(step, kept, whole, err)) goto out;
    if (write_prompts(step, kept, err)) goto out;
    status = write_summary(step, reading, rows, &report, pairs, err);
out:
    split_report_free(&report);
    return status;
}

static int open_tokenizer(struct reading *reading, struct error *err) {
    if (!reading->settings->tokenizer) return 0;
    if (tokenizer_open(&reading->tokenizer, reading->settings->tokenizer, err)) return -1;
    reading->how.decode = decode;
    reading->how.context = reading->tokenizer;
    return 0;
}

static int run_pairs(struct run *run, const struct step *step, struct error *err) {
    struct settings settings;
    struct reading reading = {.settings = &settings};
    struct rows rows = {.context = &reading};
    int status = -1;

    if (options_read(options, NULL, step->options, run->recipe, &settings, err)) return -1;
    reading.how = (struct convention_how){.name = settings.convention,
                                          .prompt_key = settings.prompt_key,
                                          .chosen_key = settings.chosen_key,
                                          .rejected_key = settings.rejected_key,
                                          .response_key = settings.response_key,
                                          .safer = settings.prefer,
                                          .template = (enum dialogue_template)settings.template};
    if (open_tokenizer(&reading, err) || rows_read(&rows, step, settings.file, take_row, err)) goto out;
    if (!rows.count) {
        fail(err, "%s: it has no rows", settings.file);
        goto out;
    }
    if (!write_all(step, &reading, &rows, err)) status = 0;
    if (rows_close(&rows, err)) status = -1;
out:
    rows_free(&rows);
    examples_free(&reading.kept);
    tokenizer_free(reading.tokenizer);
    free(reading.described);
    return status;
}

const struct stage stage_pairs = {
    .name = "pairs",
    .summary = "a file's preference pairs or demonstrations, as prompts, demonstrations and pairs",
    .options = options,
    .run = run_pairs};
