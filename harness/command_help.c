#include <stdlib.h>
#include <string.h>

#include "harness/command_line.h"
#include "harness/memory.h"
#include "harness/version.h"
#include "harness/wrap.h"

enum { WIDTH = 79 };

static const char about[] =
    "Pyrite runs the whole of reinforcement learning from human feedback - demonstrations, reward models, "
    "policies - and measures where it goes wrong: refusal, length, out-of-distribution prompts, sophistry, "
    "over-optimisation.";

static const struct {
    int code;
    const char *meaning;
} exits[] = {
    {0, "done"},
    {1, "a step or a download failed, or a check did not pass"},
    {2, "the command, the recipe, a condition or another input was wrong"},
    {3, "done and written, but a judge failed on more judgments than its evaluation allows"},
    {70, "memory ran out"},
    {130, "interrupted; the same command goes on from there"},
};
enum { EXITS = sizeof exits / sizeof *exits };

static const struct flag help_flag = {"help", 'h', NULL, "print this"};

/* The text in lines of WIDTH, each begun by `indent` blanks; the first begins at `column`. */
static void wrap(FILE *out, const char *text, int indent, int column) {
    struct text lines = {0};

    fprintf(out, "%*s", column < indent ? indent - column : 0, "");
    wrap_text(&lines, text, column < indent ? indent : column, indent, WIDTH);
    fprintf(out, "%s\n", lines.data);
    free(lines.data);
}

static void print_flag(const struct flag *flag, FILE *out) {
    char *name = flag->value ? xprintf("--%s %s", flag->name, flag->value) : xprintf("--%s", flag->name);
    int column = fprintf(out, "  %c%c%c %-20s", flag->letter ? '-' : ' ', flag->letter ? flag->letter : ' ',
                         flag->letter ? ',' : ' ', name);

    if (column > 26) {
        fprintf(out, "\n");
        column = 0;
    }
    wrap(out, flag->help, 27, column);
    free(name);
}

static void print_exits(FILE *out) {
    fprintf(out, "\nExit codes:\n");
    for (int i = 0; i < EXITS; i++) fprintf(out, "  %3d  %s\n", exits[i].code, exits[i].meaning);
}

void program_help(FILE *out) {
    fprintf(out, "Usage: pyrite COMMAND [OPTION]... [WORD]...\n\n");
    wrap(out, about, 0, 0);
    fprintf(out, "\nCommands:\n");
    for (int i = 0; commands[i]; i++) {
        int column = fprintf(out, "  %-10s", commands[i]->name);

        wrap(out, commands[i]->summary, 13, column);
    }
    print_exits(out);
    fprintf(out, "\n'pyrite COMMAND --help' says more; once installed, so does 'man pyrite'.\n");
}

void command_help(const struct command *command, FILE *out) {
    fprintf(out, "Usage: pyrite %s %s\n\n", command->name, command->usage);
    wrap(out, command->description, 0, 0);
    fprintf(out, "\nOptions:\n");
    for (const struct flag *flag = command->flags; flag && flag->name; flag++) print_flag(flag, out);
    print_flag(&help_flag, out);
    print_exits(out);
}

/* Text for troff: backslashes, hyphens that are typed, and lines that begin with a dot or quote. */
static void print_troff(FILE *out, const char *text) {
    int start = 1;

    for (; *text; text++) {
        if (text[0] == '\n' && text[1] == '\n') continue;
        if (start && (*text == '.' || *text == '\'')) fprintf(out, "\\&");
        start = *text == '\n';
        if (*text == '\\')
            fprintf(out, "\\e");
        else if (*text == '-')
            fprintf(out, "\\-");
        else
            fputc(*text, out);
        if (start && text[1]) fprintf(out, ".PP\n");
    }
    fprintf(out, "\n");
}

static void manual_flag(const struct flag *flag, FILE *out) {
    fprintf(out, ".TP\n");
    if (flag->letter) fprintf(out, "\\fB\\-%c\\fR, ", flag->letter);
    fprintf(out, "\\fB\\-\\-%s\\fR", flag->name);
    if (flag->value) fprintf(out, " \\fI%s\\fR", flag->value);
    fprintf(out, "\n");
    print_troff(out, flag->help);
}

static void manual_command(const struct command *command, FILE *out) {
    fprintf(out, ".SS \"pyrite %s %s\"\n", command->name, command->usage);
    print_troff(out, command->description);
    for (const struct flag *flag = command->flags; flag && flag->name; flag++) manual_flag(flag, out);
}

void program_manual(FILE *out) {
    fprintf(out, ".TH PYRITE 1 \"\" \"pyrite %s\" \"User Commands\"\n", version_program());
    fprintf(out,
            ".SH NAME\npyrite \\- measure where reinforcement learning from human feedback goes wrong\n");
    fprintf(out, ".SH SYNOPSIS\n.B pyrite\n.I COMMAND\n[\\fIOPTION\\fR]... [\\fIWORD\\fR]...\n");
    fprintf(out, ".SH DESCRIPTION\n");
    print_troff(out, about);
    fprintf(out, ".SH COMMANDS\n");
    for (int i = 0; commands[i]; i++) manual_command(commands[i], out);
    fprintf(out, ".SH \"EXIT STATUS\"\n");
    for (int i = 0; i < EXITS; i++) fprintf(out, ".TP\n.B %d\n%s\n", exits[i].code, exits[i].meaning);
    fprintf(out, ".SH ENVIRONMENT\n.TP\n.B NO_COLOR\nno colours on a terminal, if set\n");
    fprintf(out, ".SH FILES\n.TP\n.I runs/NAME\\-HASH/\n");
    print_troff(out,
                "a run's folder: manifest.json (options, seeds, versions, hashes), steps/ (what each step "
                "wrote), run.db (SQLite), report/");
}
