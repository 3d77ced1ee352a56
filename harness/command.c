#include "harness/command.h"

#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "harness/command_line.h"
#include "harness/memory.h"
#include "harness/names.h"

enum { LONG_FIRST = 1000 }; /* what getopt_long returns for flag number 0 */

const struct command *command_find(const char *name, struct error *err) {
    struct names names = {0};
    char *hint;

    for (int i = 0; commands[i]; i++) {
        if (!strcmp(commands[i]->name, name)) {
            free(names.items);
            return commands[i];
        }
        names_add(&names, commands[i]->name);
    }
    hint = names_hint(&names, name);
    fail(err, "there is no command '%s'%s", name, hint);
    free(hint);
    free(names.items);
    return NULL;
}

static int count_flags(const struct command *command) {
    int count = 0;

    while (command->flags && command->flags[count].name) count++;
    return count;
}

/* getopt's tables: the command's flags, then help. */
struct tables {
    struct option *flags;
    struct text letters;
    int count;
};

static void tables_make(struct tables *tables, const struct command *command) {
    tables->count = count_flags(command);
    tables->flags = xcalloc((size_t)tables->count + 2, sizeof *tables->flags);
    text_printf(&tables->letters, ":h");
    for (int i = 0; i < tables->count; i++) {
        const struct flag *flag = &command->flags[i];
        int has = flag->value ? required_argument : no_argument;

        tables->flags[i] = (struct option){flag->name, has, NULL, LONG_FIRST + i};
        if (flag->letter) text_printf(&tables->letters, "%c%s", flag->letter, has ? ":" : "");
    }
    tables->flags[tables->count] = (struct option){"help", no_argument, NULL, 'h'};
}

static void tables_free(struct tables *tables) {
    free(tables->flags);
    free(tables->letters.data);
}

static const struct flag *flag_of(const struct command *command, const struct tables *tables, int code) {
    if (code >= LONG_FIRST) return &command->flags[code - LONG_FIRST];
    for (int i = 0; i < tables->count; i++)
        if (command->flags[i].letter == code) return &command->flags[i];
    return NULL;
}

/* The sentence for what getopt did not take. */
static int fail_flag(const struct command *command, const char *word, int missing_value, struct error *err) {
    struct names names = {0};
    char *flag = xstrndup(word, strcspn(word, "=")), *hint;

    if (missing_value) {
        fail(err, "%s: %s needs a value; see 'pyrite %s --help'", command->name, flag, command->name);
    } else {
        for (int i = 0; i < count_flags(command); i++) names_add(&names, command->flags[i].name);
        names_add(&names, "help");
        hint = names_hint(&names, flag + strspn(flag, "-"));
        fail(err, "%s: there is no option %s, or it takes no value%s", command->name, flag, hint);
        free(hint);
    }
    free(names.items);
    free(flag);
    return -1;
}

static void keep_flag(struct arguments *out, const struct flag *flag, const char *value) {
    size_t count = (size_t)out->flag_count + 1;

    out->flags = xrealloc((void *)out->flags, count, sizeof *out->flags);
    out->values = xrealloc((void *)out->values, count, sizeof *out->values);
    ((const struct flag **)out->flags)[out->flag_count] = flag;
    ((const char **)out->values)[out->flag_count++] = value ? value : "";
}

static int check_words(const struct arguments *arguments, struct error *err) {
    const struct command *command = arguments->command;

    if (arguments->count < command->least_words)
        return fail(err, "%s: something is missing; usage: pyrite %s %s", command->name, command->name,
                    command->usage);
    if (command->most_words >= 0 && arguments->count > command->most_words)
        return fail(err, "%s: '%s' is one word too many; usage: pyrite %s %s", command->name,
                    arguments->words[command->most_words], command->name, command->usage);
    return 0;
}

int arguments_read(struct arguments *out, const struct command *command, int argc, char **argv,
                   struct error *err) {
    struct tables tables = {0};
    int code, status = 0;

    *out = (struct arguments){.command = command, .out = stdout};
    tables_make(&tables, command);
    optind = 0;
    opterr = 0;
    while (!status && (code = getopt_long(argc, argv, tables.letters.data, tables.flags, NULL)) != -1) {
        if (code == 'h')
            status = 1;
        else if (code == '?' || code == ':')
            status = fail_flag(
                command, optopt && optopt < LONG_FIRST ? (char[]){'-', (char)optopt, 0} : argv[optind - 1],
                code == ':', err);
        else
            keep_flag(out, flag_of(command, &tables, code), optarg);
    }
    out->words = (const char *const *)argv + optind;
    out->count = argc - optind;
    tables_free(&tables);
    if (!status) status = check_words(out, err);
    return status;
}

void arguments_free(struct arguments *arguments) {
    free((void *)arguments->flags);
    free((void *)arguments->values);
    *arguments = (struct arguments){0};
}

const char *argument_value(const struct arguments *arguments, const char *flag, const char *fallback) {
    const char *value = fallback;

    for (int i = 0; i < arguments->flag_count; i++)
        if (!strcmp(arguments->flags[i]->name, flag)) value = arguments->values[i];
    return value;
}

int argument_given(const struct arguments *arguments, const char *flag) {
    return argument_value(arguments, flag, NULL) != NULL;
}

int argument_int(const struct arguments *arguments, const char *flag, int fallback, int low, int high,
                 int *out, struct error *err) {
    const char *text = argument_value(arguments, flag, NULL);
    char *end;
    long value;

    *out = fallback;
    if (!text) return 0;
    value = strtol(text, &end, 10);
    if (end == text || *end || value < low || value > high)
        return fail(err, "--%s must be a whole number from %d to %d, not '%s'", flag, low, high, text);
    *out = (int)value;
    return 0;
}

int argument_number(const struct arguments *arguments, const char *flag, double fallback, double low,
                    double high, double *out, struct error *err) {
    const char *text = argument_value(arguments, flag, NULL);
    char *end;
    double value;

    *out = fallback;
    if (!text) return 0;
    value = strtod(text, &end);
    if (end == text || *end || !(value >= low && value <= high))
        return fail(err, "--%s must be a number from %g to %g, not '%s'", flag, low, high, text);
    *out = value;
    return 0;
}
