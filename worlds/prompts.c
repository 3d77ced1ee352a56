#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/progress.h"
#include "harness/record.h"
#include "harness/registry.h"
#include "worlds/dialogue.h"

struct settings {
    const char *file, *prompt_key, *id_key, *category_key, *category, *split;
    const struct node *categories;
    int template, most_prompt, rows;
};

#define AT(field) offsetof(struct settings, field)
static const struct option options[] = {
    {"file", OPTION_FILE, AT(file), NULL, 0, 0, NULL, "prompts: .csv, .jsonl, .jsonl.gz or .json"},
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
    FILE *dropped;
    int rows;
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
    const char *word = settings->category ? settings->category : found ? found->text : NULL;

    if (settings->category_key && !found)
        return fail(err, "the column \"%s\" (category_key) is missing", settings->category_key);
    if (word && settings->categories) word = node_text(settings->categories, word, word);
    *out = xstrdup(word);
    return 0;
}

static int drop(struct reading *reading, int line, const char *reason) {
    fprintf(reading->dropped, "{\"row\":%d,\"line\":%d,\"reason\":\"%s\"}\n", reading->rows, line, reason);
    return 0;
}

static int read_row(void *context, const struct node *record, int line, struct error *err) {
    static const char *const names[] = {"prompt", "question", "instruction", "goal", "Goal", "input", NULL};
    struct reading *reading = context;
    const struct settings *settings = reading->settings;
    const struct node *found = column(record, settings->prompt_key, names);
    const char *id = node_text(record, settings->id_key, NULL);
    struct example *example;
    char *prompt;

    if (settings->rows && reading->prompts.count == settings->rows) return 1;
    reading->rows++;
    if (!found)
        return fail(err, "no column \"%s\" with the prompt; name it with prompt_key",
                    settings->prompt_key ? settings->prompt_key : "prompt");
    if (found->kind == NODE_NULL || (found->text && !found->text[strspn(found->text, " \t\r\n")]))
        return drop(reading, line, "the prompt is empty");
    prompt = dialogue_prompt(found, (enum dialogue_template)settings->template, err);
    if (!prompt) return -1;
    if (text_characters(prompt) > (size_t)settings->most_prompt) {
        free(prompt);
        return drop(reading, line, "the prompt is too long");
    }
    example = examples_add(&reading->prompts);
    example->prompt = prompt;
    example->id = id ? xstrdup(id) : xprintf("row-%d", reading->rows);
    example->split = xstrdup(settings->split);
    return read_category(settings, record, &example->category, err);
}

static int check_ids(struct examples *prompts, const char *file, struct error *err) {
    for (int i = 0; i < prompts->count; i++)
        if (examples_find(prompts, prompts->items[i].id) != &prompts->items[i])
            return fail(err, "%s: the id \"%s\" is given twice; choose another column with id_key", file,
                        prompts->items[i].id);
    return 0;
}

static int read_prompts(struct reading *reading, const struct step *step, struct error *err) {
    char *path = step_path(step, "dropped.jsonl");
    struct output out;
    int status = output_open(&out, path, err);

    free(path);
    if (status) return -1;
    reading->dropped = out.file;
    if (document_each(reading->settings->file, read_row, reading, err) < 0) {
        output_discard(&out);
        return -1;
    }
    return output_close(&out, err);
}

static int run_prompts(struct run *run, const struct step *step, struct error *err) {
    struct settings settings;
    struct reading reading = {.settings = &settings};
    char *path = step_path(step, "prompts.jsonl");
    int status = -1;

    if (options_read(options, NULL, step->options, run->recipe, &settings, err)) goto out;
    if (read_prompts(&reading, step, err)) goto out;
    if (!reading.prompts.count) {
        fail(err, "%s: none of its %d rows is a usable prompt", settings.file, reading.rows);
        goto out;
    }
    if (check_ids(&reading.prompts, settings.file, err)) goto out;
    if (reading.rows > reading.prompts.count)
        progress_notice("%s: %d of %d rows dropped, listed in dropped.jsonl", step->name,
                        reading.rows - reading.prompts.count, reading.rows);
    status = examples_write(path, &reading.prompts, err);
out:
    examples_free(&reading.prompts);
    free(path);
    return status;
}

const struct stage stage_prompts = {.name = "prompts",
                                    .summary = "prompts of a file, to be answered",
                                    .options = options,
                                    .run = run_prompts};
