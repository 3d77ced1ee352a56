#include <errno.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/command.h"
#include "harness/document.h"
#include "harness/file.h"
#include "harness/version.h"
#include "kernels/kernels.h"

static void print_map(const struct node *map, const char *indent, FILE *out) {
    for (const struct node *one = map->first; one; one = one->next) {
        char *json = one->text ? NULL : node_json(one, 0);

        fprintf(out, "%s%-14s %s\n", indent, one->key, one->text ? one->text : json);
        free(json);
    }
}

static void print_machine(FILE *out) {
    struct node *machine = node_new(NODE_MAP);

    version_processor(machine);
    fprintf(out, "machine\n");
    print_map(machine, "  ", out);
    fprintf(out, "  %-14s %d\n", "threads", omp_get_num_procs());
    fprintf(out, "  %-14s %.1f GiB\n", "memory", memory_total() / 0x1p30);
    node_free(machine);
}

static void print_devices(FILE *out) {
    const struct kernels *cpu = kernels_find("cpu"), *half = kernels_find("cpu-bf16"),
                         *cuda = kernels_find("cuda"), *cublas = cuda ? kernels_find("cuda-cublas") : NULL;

    fprintf(out, "devices\n  %-14s %s\n", "cpu", cpu ? cpu->name : "none");
    fprintf(out, "  %-14s %s\n", "cpu-bf16", half ? half->name : "none");
    fprintf(out, "  %-14s %s\n", "cuda", cuda ? cuda->name : kernels_missing("cuda"));
    if (cuda)
        fprintf(out, "  %-14s %s\n", "cuda-cublas", cublas ? cublas->name : kernels_missing("cuda-cublas"));
}

static void print_libraries(FILE *out) {
    struct node *libraries = node_new(NODE_MAP);

    version_libraries(libraries);
    fprintf(out, "pyrite %s, with\n", version_program());
    print_map(libraries, "  ", out);
    node_free(libraries);
}

static void print_data(FILE *out) {
    static const char *const folders[] = {"recipes", "bases", "data/hh-rlhf", "data/xstest"};

    fprintf(out, "folders here\n");
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        fprintf(out, "  %-14s %s\n", folders[i], file_exists(folders[i]) ? "found" : "not here");
}

/* Whether runs/ can be written, which is where runs go. */
static int check_writing(FILE *out) {
    const char *folder = file_exists("runs") ? "runs" : ".";
    int refused = access(folder, W_OK) != 0;

    fprintf(out, "  %-14s %s\n", "runs/", refused ? strerror(errno) : "can be written");
    return refused;
}

static int run(const struct arguments *arguments, struct error *err) {
    int refused;

    print_libraries(arguments->out);
    print_machine(arguments->out);
    print_devices(arguments->out);
    print_data(arguments->out);
    refused = check_writing(arguments->out);
    if (!kernels_find("cpu")) {
        fail(err, "no device works on this processor");
        return 1;
    }
    if (refused) fail(err, "runs cannot be written in this folder; go to another, or use --out");
    return refused;
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "say what this machine and installation have",
    .usage = "",
    .description =
        "Prints the versions of libraries, the processor and its vector instructions, threads, memory, "
        "which devices work, which data is at hand, and whether runs can be written here. Exit code 1 "
        "if something is missing that a run needs.",
    .run = run,
};
