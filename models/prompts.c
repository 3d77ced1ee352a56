#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "harness/dialogue.h"
#include "harness/file.h"
#include "harness/memory.h"
#include "harness/outputs.h"
#include "harness/questions.h"
#include "harness/record.h"
#include "harness/registry.h"
#include "harness/rows.h"

struct settings {
    const char *file, *prompt_key, *id_key, *category_key, *category, *split;
    const struct node *categories;
    int template, most_prompt, rows;
};

#define AT(field) offsetof(struct settings, field)
static const struct option options[] = {
    {"file", OPTION_FILE, AT(file), NULL, 0, 0, NULL,
     "prompts: .jsonl, .json or .csv, packed (.gz, .zst) or not; public data sets as they are published"},
    {"prompt_key", OPTION_TEXT, AT(prompt_key), "", 0, 0, NULL,
     "column of the prompt; found by its usual names if not given"},
    {"id_key", OPTION_TEXT, AT(id_key), "id", 0, 0, NULL,
     "column of the id; the row's number where there is none"},
    {"category_key", OPTION_TEXT, AT(category_key), "", 0, 0, NULL,
     "column of the category; label, then category, if not given"},
    {"category", OPTION_TEXT, AT(category), "", 0, 0, NULL, "category of every prompt, instead of a column"},
    {"categories", OPTION_MAP, AT(categories), "", 0, 0, NULL,
     "what the file calls a category: what the suites do ({safe: borderline, unsafe: harmful})"},
    {"split", OPTION_TEXT, AT(split), "heldout", 0, 0, NULL, "split of every prompt: train, heldout or ood"},
    {"template", OPTION_CHOICE, AT(template), "as_is", 0, 0, "as_is|hh",
     "how a prompt that is no dialogue is written; hh: Human, Assistant"},
    {"most_prompt", OPTION_INT, AT(most_prompt), "2000", 1, INT_MAX, NULL,
     "characters; longer prompts are dropped and listed"},
    {"rows", OPTION_INT, AT(rows), "0", 0, INT_MAX, NULL, "how many prompts to take; 0: all"},
    {0}};
#undef AT

struct reading {
    const struct settings *settings;
    struct examples prompts;
};

static const struct node *column(const struct node *record, const char *key, const char *const *names) {
    const struct node *found = NULL;

    if (key) return node_get(record, key);
    for (; !found && *names; names++) found = node_get(record, *names);
    return found;
}

static int read_category(const struct settings *settings, const struct node *record, char **out,
                         struct error *err) {
    static const char *const names[] = {"label", "category", NULL};
    const struct node *found = column(record, settings->category_key, names);

    if (settings->category_key && !found)
        return fail(err, "the column \"%s\" (category_key) is missing", settings->category_key);
    if (*out && !settings->category_key) return 0;
    free(*out);
    *out = found ? xstrdup(found->text) : NULL;
    return 0;
}

/* What a set calls its ids and categories is known; the options name the columns of other files. */
static int read_plain(const struct settings *settings, const struct node *record, int row,
                      struct examples *out, struct error *err) {
    static const char *const names[] = {"prompt", "question", "instruction", "goal", "Goal", "input", NULL};
    const struct node *found = column(record, settings->prompt_key, names);
    const char *id = node_text(record, settings->id_key, NULL);
    struct example *example;

    if (!found)
        return fail(err, "no column \"%s\" with the prompt; name it with prompt_key",
                    settings->prompt_key ? settings->prompt_key : "prompt");
    example = examples_add(out);
    example->id = id ? xstrdup(id) : xprintf("row-%d", row);
    question_take(example, record);
    if (found->kind == NODE_NULL) return 0;
    return dialogue_read(example, found, TEMPLATE_AS_IS, err);
}

/* What was given as messages is a dialogue already. */
static int set_prompt(const struct settings *settings, struct example *example, struct error *err) {
    struct node text = {.kind = NODE_STRING, .text = example->prompt};
    struct example whole = {0};

    if (example->messages) return 0;
    if (dialogue_read(&whole, &text, (enum dialogue_template)settings->template, err)) return -1;
    free(example->prompt);
    example->prompt = whole.prompt;
    return 0;
}

/* Keeps the example, whose content it takes, or lists why not. */
static int keep(struct rows *rows, struct example *example, const struct node *record, int line,
                struct error *err) {
    struct reading *reading = rows->context;
    const struct settings *settings = reading->settings;
    const char *word;

    if (!example->prompt || !example->prompt[strspn(example->prompt, " \t\r\n")]) {
        rows_drop(rows, rows->count, line, "the prompt is empty");
        return 0;
    }
    if (set_prompt(settings, example, err)) return -1;
    if (text_characters(example->prompt) > (size_t)settings->most_prompt) {
        rows_drop(rows, rows->count, line, "the prompt is too long");
        return 0;
    }
    if (read_category(settings, record, &example->category, err)) return -1;
    word = settings->category ? settings->category : example->category;
    if (word && settings->categories) word = node_text(settings->categories, word, word);
    if (word != example->category) {
        char *name = xstrdup(word);

        free(example->category);
        example->category = name;
    }
    example->split = xstrdup(settings->split);
    *examples_add(&reading->prompts) = *example;
    *example = (struct example){0};
    return 0;
}

static int take_row(struct rows *rows, const struct node *record, int line, struct error *err) {
    struct reading *reading = rows->context;
    const struct settings *settings = reading->settings;
    const struct question_set *set = settings->prompt_key ? NULL : question_set_of(record);
    struct examples found = {0};
    int status;

    if (settings->rows && reading->prompts.count >= settings->rows) return 1;
    status = set ? set->take(&found, record, err) : read_plain(settings, record, rows->count, &found, err);
    for (int i = 0; i < found.count && !status; i++)
        if (!settings->rows || reading->prompts.count < settings->rows)
            status = keep(rows, &found.items[i], record, line, err);
    examples_free(&found);
    return status;
}

static int check_ids(struct examples *prompts, const char *file, struct error *err) {
    for (int i = 0; i < prompts->count; i++)
        if (examples_find(prompts, prompts->items[i].id) != &prompts->items[i])
            return fail(err, "%s: the id \"%s\" is given twice; choose another column with id_key", file,
                        prompts->items[i].id);
    return 0;
}

static int run_prompts(struct run *run, const struct step *step, struct error *err) {
    struct settings settings;
    struct reading reading = {.settings = &settings};
    struct rows rows = {.context = &reading};
    char *path = step_path(step, "prompts.jsonl");
    int status = -1;

    if (options_read(options, NULL, step->options, run->recipe, &settings, err)) goto out;
    if (rows_read(&rows, step, settings.file, take_row, err)) goto out;
    if (!reading.prompts.count) {
        fail(err, "%s: none of its %d rows is a usable prompt", settings.file, rows.count);
        goto out;
    }
    if (check_ids(&reading.prompts, settings.file, err)) goto out;
    rows_notice(&rows, step);
    if (rows_close(&rows, err)) goto out;
    status = examples_write(path, &reading.prompts, err);
out:
    rows_free(&rows);
    examples_free(&reading.prompts);
    free(path);
    return status;
}

const struct stage stage_prompts = {.name = "prompts",
                                    .summary = "prompts of a file, to be answered",
                                    .options = options,
                                    .run = run_prompts};
