#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "harness/command_line.h"
#include "harness/display.h"
#include "harness/ranks.h"
#include "harness/version.h"

enum { FAILED = 1, WRONG_INPUT = 2 };

/* What goes wrong in every rank is said once. */
static int complain(const struct error *err, int code) {
    int rank = ranks_let_first_speak();

    if (rank && err->message[0]) fprintf(stderr, "pyrite: rank %d: %s\n", rank, err->message);
    if (!rank && err->message[0]) fprintf(stderr, "pyrite: %s\n", err->message);
    return code;
}

/* The display appears with the first thing it has to show. */
static void show(void *context, const struct progress_event *event) {
    struct display **display = context;

    if (!*display) *display = display_open(stderr, 0, 0);
    display_sink(*display, event);
}

static int run_command(const struct command *command, int argc, char **argv) {
    struct display *display = NULL;
    struct arguments arguments;
    struct error err = {0};
    int code = arguments_read(&arguments, command, argc, argv, &err);

    if (code == 1) {
        command_help(command, stdout);
        code = 0;
    } else if (code == 0) {
        progress_to(show, &display);
        code = command->run(&arguments, &err);
        progress_to(NULL, NULL);
        display_close(display);
    }
    arguments_free(&arguments);
    if (code < 0) code = WRONG_INPUT;
    return code ? complain(&err, code) : 0;
}

static int is_one_of(const char *word, const char *a, const char *b) {
    return !strcmp(word, a) || !strcmp(word, b);
}

static int help(int argc, char **argv) {
    struct error err = {0};
    const struct command *command = argc > 0 ? command_find(argv[0], &err) : NULL;

    if (argc > 0 && !command) return complain(&err, WRONG_INPUT);
    if (command)
        command_help(command, stdout);
    else
        program_help(stdout);
    return 0;
}

static int dispatch(int argc, char **argv) {
    const struct command *command;
    struct error err = {0};

    if (argc < 2) {
        program_help(stderr);
        return WRONG_INPUT;
    }
    if (is_one_of(argv[1], "--help", "-h") || is_one_of(argv[1], "help", "help"))
        return help(argc - 2, argv + 2);
    if (!strcmp(argv[1], "--man")) {
        program_manual(stdout);
        return 0;
    }
    command = command_find(is_one_of(argv[1], "--version", "-V") ? "version" : argv[1], &err);
    return command ? run_command(command, argc - 1, argv + 1) : complain(&err, WRONG_INPUT);
}

int main(int argc, char **argv) {
    int code = dispatch(argc, argv);

    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "pyrite: cannot write the output: %s\n", strerror(errno));
        code = FAILED;
    }
    ranks_leave(code);
    return code;
}
