#include "tests/fakes.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/progress.h"
#include "harness/registry.h"

char *fakes_folder(void) {
    const char *given = getenv("TMPDIR");
    const char *above = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm"; /* memory: fsync costs nothing */
    char *path = xprintf("%s/pyrite-test-XXXXXX", given ? given : above);

    return mkdtemp(path);
}

char *fakes_write(const char *folder, const char *name, const char *text) {
    struct error err;
    char *path = path_join(folder, name);

    if (file_write(path, text, strlen(text), &err)) abort();
    return path;
}

char *fakes_read(const char *folder, const char *name) {
    struct error err;
    size_t length;
    char *path = path_join(folder, name), *text = file_read(path, &length, &err);

    free(path);
    return text;
}

struct count_settings {
    int rows, pause, seed, cells, thrifty;
    double rate;
    const char *word, *from, *file;
    const struct node *dials, *judges;
    int trouble;
};

#define AT(field) offsetof(struct count_settings, field)
static const struct option count_options[] = {
    {"rows", OPTION_INT, AT(rows), "20", 1, 100000, NULL, "rows of the log"},
    {"pause", OPTION_INT, AT(pause), "0", 0, 10000, NULL, "before each row (milliseconds)"},
    {"rate", OPTION_REAL, AT(rate), "0.5", 0, 1, NULL, "a share"},
    {"word", OPTION_TEXT, AT(word), "", 0, 0, NULL, "what to write"},
    {"from", OPTION_STEP, AT(from), "", 0, 0, NULL, "a step whose out.txt goes in front"},
    {"file", OPTION_FILE, AT(file), "", 0, 0, NULL, "a file whose text goes in front"},
    {"judges", OPTION_JUDGES, AT(judges), "", 0, 0, NULL, "judges that nobody asks"},
    {"dials", OPTION_MAP, AT(dials), "", 0, 0, NULL, "anything"},
    {"cells", OPTION_INT, AT(cells), "1024", 1, 1000000, NULL, "bytes held, as a plan has it"},
    {"thrifty", OPTION_BOOL, AT(thrifty), "false", 0, 0, NULL, "half of the cells"},
    {"trouble", OPTION_CHOICE, AT(trouble), "none", 0, 0, "none|fail|crash|kill", "what goes wrong"},
    {0},
};
static const struct preset count_presets[] = {{"long", "rows=50 rate=0.25", "a test"}, {0}};

/* How far an interrupted attempt came: rows done and bytes of the log. */
static void read_state(const struct step *step, int *done, long *bytes) {
    char *text = fakes_read(step->folder, "state");

    *done = 0;
    *bytes = 0;
    if (text) sscanf(text, "%d %ld", done, bytes);
    free(text);
}

static void pause_ms(int milliseconds) {
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};

    nanosleep(&time, NULL);
}

static int count_rows(const struct step *step, const struct count_settings *settings, struct error *err) {
    struct log log;
    int done;
    long bytes;

    read_state(step, &done, &bytes);
    if (log_open(&log, step, bytes, err)) return -1;
    progress_begin("counting", settings->rows, "rows");
    for (; done < settings->rows; done++) {
        struct node *row = node_new(NODE_MAP);

        pause_ms(settings->pause);
        node_add_number(row, "row", done);
        log_write(&log, row, err);
        node_free(row);
        if (done % 7 == 6) {
            char *state = xprintf("%d %ld", done + 1, log_sync(&log, err));

            free(fakes_write(step->folder, "state", state));
            free(state);
        }
        progress_update(done + 1, "row %d", done);
    }
    progress_end();
    log_close(&log);
    return 0;
}

static void write_out(const struct step *step, const struct count_settings *settings) {
    char *before = settings->from ? fakes_read(settings->from, "out.txt") : NULL, *text, *path;
    struct error err;
    size_t length;
    char *file = settings->file ? file_read(settings->file, &length, &err) : NULL;

    text = xprintf("%s%s%s %s %g\n", before ? before : "", file ? file : "", step->label,
                   settings->word ? settings->word : "", (double)step->seed);
    free(fakes_write(step->folder, "out.txt", text));
    path = step_path(step, "state");
    unlink(path);
    free(path);
    free(before);
    free(file);
    free(text);
}

static int count_run(struct run *run, const struct step *step, struct error *err) {
    struct count_settings settings;

    (void)run;
    if (options_read(count_options, count_presets, step->options, "recipe", &settings, err)) return -1;
    if (settings.trouble == 1) return fail(err, "the %s is out of words", step->label);
    if (settings.trouble == 2) abort();
    if (settings.trouble == 3) raise(SIGKILL);
    if (count_rows(step, &settings, err)) return -1;
    write_out(step, &settings);
    return 0;
}

/* 1 KiB of parameters, said to be a million, or as many as --rate asks (a billion at 1); and cells, of which
 * there is half with one setting, a quarter with another. */
static int count_plan(const struct run *run, const struct step *step, struct plan *out, struct error *err) {
    struct count_settings settings;
    double cells;

    (void)run;
    if (options_read(count_options, count_presets, step->options, "recipe", &settings, err)) return -1;
    if (settings.rows == 13) return fail(err, "13 rows bring bad luck");
    cells = settings.cells / (settings.thrifty ? 2.0 : 1) / (node_get(settings.dials, "quarter") ? 4 : 1);
    *out = (struct plan){.parameters = settings.rate > 0.5 ? settings.rate * 1e9 : 1e6,
                         .held = {1024},
                         .flops = settings.rows * 1e9};
    out->held[HELD_ACTIVATIONS] = cells;
    return 0;
}

static int count_is_bare(const struct node *options) {
    return !strcmp(node_text(options, "word", ""), "bare");
}

static const struct remedy count_remedies[] = {
    {"thrifty", "true", 0}, {"cells", NULL, 64}, {"dials.quarter", "true", 0}, {0}};

static const struct stage stage_count = {.name = "count",
                                         .summary = "writes a log, row by row",
                                         .options = count_options,
                                         .presets = count_presets,
                                         .run = count_run,
                                         .plan = count_plan,
                                         .remedies = count_remedies,
                                         .is_bare = count_is_bare};

struct join_settings {
    const struct node *parts;
    const char *one;
};
static const struct option join_options[] = {
    {"parts", OPTION_STEPS, offsetof(struct join_settings, parts), NULL, 0, 0, NULL, "steps to join"},
    {"one", OPTION_STEP, offsetof(struct join_settings, one), "", 0, 0, "count", "one step"},
    {0},
};

static void add_metric(struct metrics *metrics, const char *policy, double value) {
    struct metric *metric = metrics_add(metrics);

    metric->task = xstrdup("words");
    metric->suite = xstrdup("count");
    metric->name = xstrdup("bytes");
    metric->policy = xstrdup(policy);
    metric->split = xstrdup("train");
    metric->unit = xstrdup("");
    metric->method = xstrdup("counted");
    metric->value = value;
    metric->n = 1;
}

static int join_run(struct run *run, const struct step *step, struct error *err) {
    struct join_settings settings;
    struct metrics metrics = {0};
    struct text text = {0};
    char *path = step_path(step, "metrics.jsonl");
    int status;

    (void)run;
    if (options_read(join_options, NULL, step->options, "recipe", &settings, err)) return -1;
    text_add(&text, "", 0);
    for (const struct node *part = settings.parts->first; part; part = part->next) {
        char *out = fakes_read(part->text, "out.txt");

        text_printf(&text, "%s", out);
        add_metric(&metrics, "all", (double)strlen(out));
        free(out);
    }
    free(fakes_write(step->folder, "out.txt", text.data));
    status = metrics_write(path, &metrics, err);
    metrics_free(&metrics);
    free(text.data);
    free(path);
    return status;
}

static const struct stage stage_join = {
    .name = "join", .summary = "puts texts together", .options = join_options, .run = join_run};

static const struct report report_markdown = {"markdown", "a page of text", "report.md", NULL, NULL, NULL};

/* The joined text, if the run has one: content enough. */
int report_shows(const char *stage) {
    return strcmp(stage, "nothing") != 0;
}

int report_write(const char *run_folder, const struct node *formats, struct error *err) {
    char *text = fakes_read(run_folder, "steps/all/out.txt"), *folder = path_join(run_folder, "report");

    (void)formats;
    if (folder_make(folder, err)) return -1;
    free(fakes_write(folder, "report.md", text ? text : "nothing\n"));
    free(folder);
    free(text);
    return 0;
}

/* As large as PYRITE_TEST_ROOM says, all of it free. */
void device_room(struct room *out, const char *device) {
    const char *bytes = getenv("PYRITE_TEST_ROOM");

    *out =
        (struct room){bytes ? atof(bytes) : 0, bytes ? 2 * atof(bytes) : 0, strncmp(device, "cuda", 4) != 0};
}

/* There is one rank. */
int device_join(const char *device, struct error *err) {
    (void)device;
    (void)err;
    return 0;
}

static char *echo_prompt(const void *dials, const char *split, struct rng *rng) {
    (void)dials;
    return xprintf("%s %u?", split, rng_u32(rng) % 100);
}

static char *echo_demonstrate(const void *dials, const char *prompt, struct rng *rng) {
    (void)dials;
    return xprintf("%s%.*s", prompt, 1 + rng_below(rng, 3), "!!!");
}

static char *echo_ideal(const char *prompt) {
    return xstrdup(prompt);
}

static int echo_annotate(const void *dials, const char *prompt, const char *a, const char *b,
                         struct rng *rng) {
    (void)prompt;
    (void)rng;
    return (strlen(a) > strlen(b)) == (*(const double *)dials > 0);
}

static void echo_inspect(const char *prompt, const char *response, struct features *out) {
    *out = (struct features){.category = "echo", .words = 2, .correct = -1};
    out->gold = 1.0 / (1.0 + (double)strlen(response) - (double)strlen(prompt));
}

static const struct option echo_dials[] = {
    {"loudness", OPTION_REAL, 0, "1", -1, 1, NULL, "how much the annotator likes length"}, {0}};
static const char *const echo_splits[] = {"train", "heldout", NULL};
static const struct world world_echo = {
    "echo",           "says it again", echo_dials,    sizeof(double), echo_splits, echo_prompt,
    echo_demonstrate, echo_ideal,      echo_annotate, echo_inspect,   NULL};

static const struct option judge_options_of[] = {
    {"notes", OPTION_FILE, 0, "", 0, 0, NULL, "a file"},
    {"of", OPTION_JUDGES, sizeof(char *), "", 0, 0, NULL, "judges within"},
    {0}};
static const char *const judge_name = "critic", *const judge_summary = "finds fault";
static const struct option *const judge_table = judge_options_of;

const struct stage *const stages[] = {&stage_count, &stage_join, NULL};
const struct world *const worlds[] = {&world_echo, NULL};
const struct report *const reports[] = {&report_markdown, NULL};
const struct listing listings[] = {
    {"stage", &stage_count.name, &stage_count.summary, &stage_count.options, &stage_count.presets, NULL},
    {"stage", &stage_join.name, &stage_join.summary, &stage_join.options, NULL, NULL},
    {"world", &world_echo.name, &world_echo.summary, &world_echo.options, NULL, NULL},
    {"judge", &judge_name, &judge_summary, &judge_table, NULL, NULL},
    {"report", &report_markdown.name, &report_markdown.summary, NULL, NULL, NULL},
    {0},
};
