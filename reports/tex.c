#include "reports/tex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/child.h"
#include "harness/file.h"
#include "harness/memory.h"

#define BUILD   ".tex" /* in the report's folder: TeX's own files, until the PDF is whole */
#define SECONDS 180    /* a run may take */

struct engine {
    const char *name;
    const char *words[8]; /* the file follows */
    int runs;             /* until references have settled */
};

static const struct engine engines[] = {
    {"pdflatex",
     {"pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error",
      "-output-directory=" BUILD},
     2},
    {"lualatex",
     {"lualatex", "--no-shell-escape", "--interaction=nonstopmode", "--halt-on-error",
      "--output-directory=" BUILD},
     2},
    {"tectonic", {"tectonic", "--untrusted", "--keep-logs", "--outdir", BUILD}, 1}};

static const struct engine *find_engine(void) {
    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++)
        if (program_exists(engines[i].name)) return &engines[i];
    return NULL;
}

/* "! Undefined control sequence. l.12 \foo": TeX's first complaint and where it stood. Caller frees; NULL if
   the log has none. */
static char *first_complaint(const char *log) {
    const char *at = strncmp(log, "! ", 2) ? strstr(log, "\n! ") : log, *line;
    char *what, *where, *whole;

    if (!at) return NULL;
    at += *at == '\n';
    what = xstrndup(at + 2, strcspn(at + 2, "\n"));
    line = strstr(at, "\nl.");
    where = line ? xstrndup(line + 1, strcspn(line + 1, "\n")) : xstrdup("");
    whole = xprintf("%s%s%.120s", what, *where ? " at " : "", where);
    free(what);
    free(where);
    return whole;
}

/* Where TeX says nothing of why it failed: mostly that its files have no room. Caller frees. */
static char *silent_cause(const char *build) {
    static const char block[1 << 16];
    char *path = path_join(build, "room");
    struct error full;
    char *cause = file_write(path, block, sizeof block, &full)
                      ? xprintf("it wrote no complaint, and Pyrite %s", full.message)
                      : xstrdup("it wrote no complaint");

    free(path);
    return cause;
}

/* What TeX's log says of a PDF that was not made: 0 if some of TeX is missing, else -1. */
static int explain(const struct engine *engine, const char *folder, const char *build, const char *stem,
                   struct error *err) {
    char *path = xprintf("%s/%s.log", folder, stem), *log = NULL, *complaint = NULL;
    struct error unread;
    int missing;
    size_t length;

    log = file_read(path, &length, &unread);
    complaint = log ? first_complaint(log) : NULL;
    if (!complaint) complaint = silent_cause(build);
    missing = strstr(complaint, "not found") != NULL;
    if (missing)
        fail(err,
             "%s lacks something (%s); Debian's texlive-latex-recommended and lmodern have all that it needs",
             engine->name, complaint);
    else
        fail(err, "%s could not make %s/%s.pdf: %s; the log is %s", engine->name, folder, stem, complaint,
             path);
    free(complaint);
    free(log);
    free(path);
    return missing ? 0 : -1;
}

/* No date goes into the file: the same text gives the same bytes. */
static int run_once(const struct engine *engine, const char *folder, const char *file, int *code,
                    struct error *err) {
    static const char *const environment[] = {"SOURCE_DATE_EPOCH=0", "FORCE_SOURCE_DATE=1",
                                              "max_print_line=1000", NULL};
    const char *words[10] = {0};
    struct child child = {.words = words, .environment = environment, .folder = folder, .seconds = SECONDS};
    int count = 0;

    for (; engine->words[count]; count++) words[count] = engine->words[count];
    words[count] = file;
    return child_run(&child, code, err);
}

static int keep(const char *build, const char *folder, const char *stem, const char *ending,
                struct error *err) {
    char *from = xprintf("%s/%s.%s", build, stem, ending), *to = xprintf("%s/%s.%s", folder, stem, ending);
    int status = 0;

    if (file_exists(from) && rename(from, to)) status = fail(err, "cannot rename %s to %s", from, to);
    free(from);
    free(to);
    return status;
}

/* As tex_run(). */
static int run_engine(const struct engine *engine, const char *folder, const char *stem, struct error *err) {
    char *file = xprintf("%s.tex", stem), *build = path_join(folder, BUILD), *pdf = NULL;
    int status = -1, code = 0;
    struct error unkept;

    if (folder_remove(build, err) || folder_make(build, err)) goto out;
    for (int i = 0; i < engine->runs && !code; i++)
        if (run_once(engine, folder, file, &code, err)) goto out;
    pdf = xprintf("%s/%s.pdf", build, stem);
    if (keep(build, folder, stem, "log", err)) goto out;
    if (code || !file_exists(pdf))
        status = explain(engine, folder, build, stem, err);
    else if (!keep(build, folder, stem, "pdf", err))
        status = 1;
out:
    folder_remove(build, &unkept);
    free(pdf);
    free(build);
    free(file);
    return status;
}

int tex_run(const char *folder, const char *stem, struct error *err) {
    const struct engine *engine = find_engine();
    char *pdf = xprintf("%s/%s.pdf", folder, stem), *log = xprintf("%s/%s.log", folder, stem);

    unlink(pdf);
    unlink(log);
    free(pdf);
    free(log);
    if (engine) return run_engine(engine, folder, stem, err);
    fail(err, "none of pdflatex, lualatex and tectonic is installed");
    return 0;
}
