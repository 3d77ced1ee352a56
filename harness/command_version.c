#include "harness/command.h"
#include "harness/document.h"
#include "harness/version.h"

static int run(const struct arguments *arguments, struct error *err) {
    struct node *libraries = node_new(NODE_MAP);

    (void)err;
    version_libraries(libraries);
    fprintf(arguments->out, "pyrite %s\n", version_program());
    for (const struct node *one = libraries->first; one; one = one->next)
        fprintf(arguments->out, "%s %s\n", one->key, one->text);
    node_free(libraries);
    return 0;
}

const struct command command_version = {
    .name = "version",
    .summary = "print the versions of pyrite and its libraries",
    .usage = "",
    .description = "Prints the program's version, then those of the libraries it runs with, one a line.",
    .run = run,
};
