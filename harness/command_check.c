#include <stdlib.h>

#include "harness/command.h"
#include "harness/expectation.h"
#include "harness/file.h"
#include "harness/gate.h"

static int write_expected(const char *path, const struct metrics *metrics, FILE *out, struct error *err) {
    struct expectations list = {0};
    int status = file_exists(path) ? expectations_read(path, &list, err) : 0;

    if (!status) {
        expectations_record(&list, metrics);
        status = expectations_write(path, &list, err);
    }
    if (!status)
        fprintf(out, "%s: %d recorded, %d claimed\n", path, metrics->count, list.count - metrics->count);
    expectations_free(&list);
    return status;
}

static int check(const struct arguments *arguments, const struct metrics *metrics, struct error *err) {
    const char *path = arguments->count > 1 ? arguments->words[1] : NULL;
    struct expectations expectations = {0};
    int status = -1;

    if (!path && !argument_given(arguments, "fail-if"))
        return fail(err, "nothing to check: name a file of expectations, or give --fail-if");
    if (path && expectations_read(path, &expectations, err)) goto out;
    if (path && !expectations.count) {
        fail(err, "%s expects nothing; --write records what the run has", path);
        goto out;
    }
    status = gate_run(arguments, metrics, path ? &expectations : NULL, err);
out:
    expectations_free(&expectations);
    return status;
}

static int check_flags(const struct arguments *arguments, struct error *err) {
    static const char *const others[] = {"junit", "summary", "fail-if"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (argument_given(arguments, others[i]))
            return fail(err, "--write compares nothing that --%s could tell; give one of them", others[i]);
    return arguments->count > 1 ? 0 : fail(err, "--write needs the file that it writes");
}

static int run(const struct arguments *arguments, struct error *err) {
    int writes = argument_given(arguments, "write"), status = -1;
    struct metrics metrics = {0};

    if (writes && check_flags(arguments, err)) return -1;
    if (gate_read(&metrics, arguments->words[0], err)) goto out;
    if (arguments->count > 1 && metrics_distinct(&metrics, err)) goto out;
    status = writes ? write_expected(arguments->words[1], &metrics, arguments->out, err)
                    : check(arguments, &metrics, err);
out:
    metrics_free(&metrics);
    return status;
}

static const struct flag flags[] = {
    GATE_FLAGS,
    {"write", 'w', NULL, "write EXPECTED from the run; claims that stand in it are kept"},
    {0},
};

const struct command command_check = {
    .name = "check",
    .summary = "compare a run's metrics with expected ones",
    .usage = "RUN [EXPECTED] [--fail-if CONDITION]... [--junit FILE] [--summary FILE] | RUN EXPECTED --write",
    .description =
        "Compares every metric of a finished run with the intervals and the claims of EXPECTED, a JSON-lines "
        "file. Prints a line for each that fails, with how far it lies outside in its unit and in halves of "
        "the interval, a line for each metric of which nothing is expected, and last a line \"N passed, N "
        "failed\". A metric that the run lacks fails.\n\n"
        "With --write the expectations are made from the run: for each metric the union of its 95 % interval "
        "and of 0.05, or a tenth of the value if that is more, to either side." GATE_HELP,
    .flags = flags,
    .least_words = 1,
    .most_words = 2,
    .run = run,
};
