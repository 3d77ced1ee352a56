#include "harness/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/ranks.h"

const char *step_where(const struct step *step) {
    return step->recipe ? step->recipe : step->name;
}

char *step_path(const struct step *step, const char *name) {
    return path_join(step->folder, name);
}

/* Cuts the file to its first `keep` bytes and goes to their end. */
static int keep_only(struct log *log, long keep, struct error *err) {
    struct stat facts;

    if (fstat(fileno(log->file), &facts)) return fail(err, "cannot read %s: %s", log->path, strerror(errno));
    if (keep < 0 || facts.st_size < keep)
        return fail(err,
                    "%s has %ld bytes where the checkpoint knows of %ld; remove the step's folder to start "
                    "it anew",
                    log->path, (long)facts.st_size, keep);
    if (ftruncate(fileno(log->file), keep) || fseek(log->file, keep, SEEK_SET))
        return fail(err, "cannot write %s: %s", log->path, strerror(errno));
    return 0;
}

int log_open(struct log *log, const struct step *step, long keep, struct error *err) {
    *log = (struct log){0};
    if (!ranks_first()) return 0;
    log->path = step_path(step, "log.jsonl");
    log->file = fopen(log->path, keep ? "r+b" : "wb");
    if (!log->file)
        fail(err, "cannot write %s: %s", log->path, strerror(errno));
    else if (!keep || !keep_only(log, keep, err))
        return 0;
    log_close(log);
    return -1;
}

int log_write(struct log *log, const struct node *row, struct error *err) {
    if (!log->file || !node_print(log->file, row, 0)) return 0;
    return fail(err, "cannot write %s: %s", log->path, strerror(errno));
}

long log_sync(struct log *log, struct error *err) {
    long length = -1;

    if (!log->file) return 0;
    if (!fflush(log->file) && !fsync(fileno(log->file))) length = ftell(log->file);
    return length < 0 ? fail(err, "cannot write %s: %s", log->path, strerror(errno)) : length;
}

void log_close(struct log *log) {
    if (log->file) fclose(log->file);
    free(log->path);
    *log = (struct log){0};
}

void step_timing(const struct step *step, const char *what, double seconds, double amount, const char *unit) {
    char *path = step_path(step, "timing.jsonl");
    FILE *file = ranks_first() ? fopen(path, "ab") : NULL;
    struct node *row = node_new(NODE_MAP);

    node_add_text(row, "what", what);
    node_add_number(row, "seconds", seconds);
    node_add_number(row, "amount", amount);
    node_add_text(row, "unit", unit);
    if (file) {
        node_print(file, row, 0);
        fclose(file);
    }
    node_free(row);
    free(path);
}

char *policy_name(const char *label) {
    char *name = xstrdup(label);

    for (char *c = name; *c; c++)
        if (*c == '/') *c = '-';
    return name;
}

char *step_label(const char *folder, int *seed) {
    char *path = path_join(folder, "step.json"), *label;
    struct error ignored;
    struct node *facts = file_exists(path) ? document_read(path, &ignored) : NULL;
    const char *slash = strrchr(folder, '/');

    if (seed) *seed = (int)node_number(node_get(facts, "matrix"), "seed", node_number(facts, "seed", 1));
    label = policy_name(node_text(facts, "label", slash && slash[1] ? slash + 1 : folder));
    node_free(facts);
    free(path);
    return label;
}
