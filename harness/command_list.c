#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/memory.h"
#include "harness/names.h"
#include "harness/registry.h"

static const char *type_name(const struct option *option) {
    static const char *const names[] = {
        [OPTION_INT] = "whole number", [OPTION_REAL] = "number",   [OPTION_BOOL] = "true or false",
        [OPTION_TEXT] = "text",        [OPTION_CHOICE] = "choice", [OPTION_STEP] = "step",
        [OPTION_STEPS] = "steps",      [OPTION_FILE] = "file",     [OPTION_MAP] = "map",
        [OPTION_WORDS] = "words",      [OPTION_JUDGES] = "judges"};

    return names[option->kind];
}

static void print_option(const struct option *option, FILE *out) {
    const char *fallback = !option->fallback ? "required" : *option->fallback ? option->fallback : "none";

    fprintf(out, "  %-22s %-13s %-10s %s", option->name, type_name(option), fallback, option->help);
    if (option->choices) fprintf(out, " [%s]", option->choices);
    if (option->low != 0 || option->high != 0) fprintf(out, " [%g to %g]", option->low, option->high);
    fprintf(out, "\n");
}

static void print_details(const struct listing *one, FILE *out) {
    fprintf(out, "%s %s: %s\n", one->kind, *one->name, *one->summary);
    if (one->options && *one->options) {
        fprintf(out, "\n  %-22s %-13s %-10s %s\n", "option", "type", "default", "meaning");
        for (const struct option *option = *one->options; option->name; option++) print_option(option, out);
    }
    if (one->metrics) fprintf(out, "\n");
    for (const struct definition *metric = one->metrics ? *one->metrics : NULL; metric && metric->name;
         metric++)
        fprintf(out, "  %-26s %s\n", metric->name, metric->what);
    if (!one->presets || !*one->presets) return;
    fprintf(out, "\npresets (preset: NAME)\n");
    for (const struct preset *preset = *one->presets; preset->name; preset++)
        fprintf(out, "  %s: %s\n      %s\n", preset->name, preset->source, preset->values);
}

/* "stages", "stage": the same. */
static int is_kind(const struct listing *one, const char *word) {
    size_t length = strlen(one->kind);

    return !strncmp(one->kind, word, length) && (!word[length] || !strcmp(word + length, "s"));
}

static int fail_unknown(const char *kind, const char *name, struct error *err) {
    struct names names = {0};
    const char *word = name ? name : kind;
    size_t length = strlen(kind);
    char *hint;

    for (const struct listing *one = listings; one->kind; one++)
        if (!name)
            names_add(&names, one->kind);
        else if (is_kind(one, kind))
            names_add(&names, *one->name);
    hint = names_hint(&names, word);
    if (name)
        fail(err, "there is no %.*s '%s'%s", (int)(length - (length && kind[length - 1] == 's')), kind, word,
             hint);
    else
        fail(err, "there is no kind of plug-in '%s'%s", word, hint);
    free(hint);
    free(names.items);
    return -1;
}

static int print_one(const char *kind, const char *name, FILE *out, struct error *err) {
    int known = 0;

    for (const struct listing *one = listings; one->kind; one++) {
        if (!is_kind(one, kind)) continue;
        known = 1;
        if (strcmp(*one->name, name)) continue;
        print_details(one, out);
        return 0;
    }
    return fail_unknown(kind, known ? name : NULL, err);
}

static int print_kinds(const char *kind, FILE *out, struct error *err) {
    const char *last = "";
    int printed = 0;

    for (const struct listing *one = listings; one->kind; one++) {
        if (kind && !is_kind(one, kind)) continue;
        if (strcmp(last, one->kind)) fprintf(out, "%s%ss\n", printed ? "\n" : "", one->kind);
        fprintf(out, "  %-16s %s\n", *one->name, *one->summary);
        last = one->kind;
        printed++;
    }
    return kind && !printed ? fail_unknown(kind, NULL, err) : 0;
}

static int run(const struct arguments *arguments, struct error *err) {
    const char *kind = arguments->count > 0 ? arguments->words[0] : NULL;

    if (arguments->count < 2) return print_kinds(kind, arguments->out, err);
    return print_one(kind, arguments->words[1], arguments->out, err);
}

const struct command command_list = {
    .name = "list",
    .summary = "list stages, worlds, rewards, judges, suites and reports",
    .usage = "[KIND [NAME]]",
    .description =
        "Lists what can be named in a recipe, each with a line of summary. With a name, its options: "
        "type, default, meaning and range; its presets with their sources; of a suite what its metrics say.",
    .least_words = 0,
    .most_words = 2,
    .run = run,
};
