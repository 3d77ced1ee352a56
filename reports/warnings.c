#include "reports/warnings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/document.h"
#include "harness/file.h"
#include "harness/format.h"
#include "harness/memory.h"

/* A folder that is being read. */
struct reading {
    struct warnings *out;
    const char *folder, *step;
};

/* Takes the sentence. */
static void add(struct warnings *out, const char *step, char *sentence) {
    out->items = xrealloc(out->items, (size_t)out->count + 1, sizeof *out->items);
    out->items[out->count++] = (struct warning){xstrdup(step), sentence};
}

void warnings_free(struct warnings *warnings) {
    for (int i = 0; i < warnings->count; i++) {
        free(warnings->items[i].step);
        free(warnings->items[i].sentence);
    }
    free(warnings->items);
    *warnings = (struct warnings){0};
}

char *warning_line(const struct warning *warning) {
    return xprintf("%s: %s", warning->step, warning->sentence);
}

/* Calls `take` with each row of a file of the folder, if there is one. */
static int each_row(const struct reading *reading, const char *name,
                    int (*take)(void *, const struct node *, int, struct error *), void *context,
                    struct error *err) {
    char *path = path_join(reading->folder, name);
    int status = file_exists(path) ? document_each(path, take, context, err) : 0;

    free(path);
    return status < 0 ? -1 : 0;
}

static int has_event(const struct node *row, const char *name) {
    const struct node *events = node_get(row, "events");

    for (const struct node *event = events ? events->first : NULL; event; event = event->next)
        if (event->text && !strcmp(event->text, name)) return 1;
    return 0;
}

/* What a fitted reward says of itself. */
static int read_reward(const struct reading *reading, struct error *err) {
    char *path = path_join(reading->folder, "reward.json");
    struct node *facts = file_exists(path) ? document_read(path, err) : NULL;
    int status = file_exists(path) && !facts ? -1 : 0;

    if (facts && has_event(facts, "length_correlation"))
        add(reading->out, reading->step,
            xprintf("length_correlation: total reward and length correlate at %.2f on %d samples; a policy "
                    "will find that out",
                    node_number(facts, "length_correlation", NAN), node_int(facts, "samples", 0)));
    node_free(facts);
    free(path);
    return status;
}

/* Events of the log that watch a column of it, and the side on which that is worst. */
static const struct watched {
    const char *event, *column, *unit;
    int is_most;
} watched[] = {{"kl_blowup", "kl", "nats", 1},
               {"kl_stop", "kl", "nats", 1},
               {"entropy_collapse", "entropy", "nats", 0},
               {"repetition", "repetition", "fraction", 1},
               {"length_collapse", "length", "tokens", 0}};

static const struct watched *watch_of(const char *event) {
    for (size_t i = 0; i < sizeof watched / sizeof *watched; i++)
        if (!strcmp(watched[i].event, event)) return &watched[i];
    return NULL;
}

struct event {
    char *name;
    int times, first; /* the first row, from 1 */
    double worst;     /* NaN where it watches nothing */
};
struct events {
    struct event *items;
    int count, rows;
};

static struct event *find_event(struct events *events, const char *name) {
    for (int i = 0; i < events->count; i++)
        if (!strcmp(events->items[i].name, name)) return &events->items[i];
    events->items = xrealloc(events->items, (size_t)events->count + 1, sizeof *events->items);
    events->items[events->count] = (struct event){xstrdup(name), 0, events->rows, NAN};
    return &events->items[events->count++];
}

static void count_event(struct events *events, const char *name, const struct node *row) {
    struct event *event = find_event(events, name);
    const struct watched *watch = watch_of(name);
    double value = watch ? node_number(row, watch->column, NAN) : NAN;

    event->times++;
    if (watch) event->worst = watch->is_most ? fmax(event->worst, value) : fmin(event->worst, value);
}

static int count_row(void *context, const struct node *row, int line, struct error *err) {
    const struct node *named = node_get(row, "events");
    struct events *events = context;

    (void)line;
    (void)err;
    events->rows++;
    for (const struct node *name = named ? named->first : NULL; name; name = name->next)
        if (name->text) count_event(events, name->text, row);
    return 0;
}

static char *tell_event(const struct event *event, int rows) {
    const struct watched *watch = watch_of(event->name);
    struct text out = {0};
    char number[32];

    text_printf(&out, "%s in %d of %d rows of its log, first in row %d", event->name, event->times, rows,
                event->first);
    if (!isnan(event->worst)) {
        text_printf(&out, ": %s %s to %s", watch->column, watch->is_most ? "up" : "down",
                    format_number(number, event->worst, watch->unit));
        if (strcmp(watch->unit, "fraction")) text_printf(&out, " %s", watch->unit);
    }
    return out.data;
}

static int read_log(const struct reading *reading, struct error *err) {
    struct events events = {0};
    int status = each_row(reading, "log.jsonl", count_row, &events, err);

    for (int i = 0; i < events.count; i++) {
        if (!status) add(reading->out, reading->step, tell_event(&events.items[i], events.rows));
        free(events.items[i].name);
    }
    free(events.items);
    return status;
}

struct listed {
    int cut, left_out;
};

static int count_listed(void *context, const struct node *row, int line, struct error *err) {
    struct listed *listed = context;

    (void)line;
    (void)err;
    *(node_get(row, "kept") ? &listed->cut : &listed->left_out) += 1;
    return 0;
}

static int read_listed(const struct reading *reading, struct error *err) {
    struct listed dropped = {0}, near = {0};

    if (each_row(reading, "dropped.jsonl", count_listed, &dropped, err)) return -1;
    if (each_row(reading, "near.jsonl", count_listed, &near, err)) return -1;
    if (dropped.left_out)
        add(reading->out, reading->step,
            xprintf("%d rows were left out; dropped.jsonl lists them with the reason", dropped.left_out));
    if (dropped.cut)
        add(reading->out, reading->step,
            xprintf("the prompts of %d rows were cut; dropped.jsonl lists them", dropped.cut));
    if (near.left_out)
        add(reading->out, reading->step,
            xprintf("%d pairs of nearly the same prompts lay in different splits; near.jsonl lists them",
                    near.left_out));
    return 0;
}

/* Sentences that the step wrote itself. */
static int take_sentence(void *context, const struct node *row, int line, struct error *err) {
    const struct reading *reading = context;
    const char *sentence = node_text(row, "warning", NULL);

    (void)line;
    if (!sentence) return fail(err, "\"warning\" is missing");
    add(reading->out, reading->step, xstrdup(sentence));
    return 0;
}

int warnings_read(struct warnings *out, const char *folder, const char *step, struct error *err) {
    struct reading reading = {out, folder, step};

    if (read_reward(&reading, err) || read_log(&reading, err) || read_listed(&reading, err)) return -1;
    return each_row(&reading, "warnings.jsonl", take_sentence, &reading, err);
}
