#include "harness/display.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/memory.h"
#include "harness/worker.h"
#include "harness/wrap.h"

enum { BAR = 20 };
static const double redraw_pause = 0.1, plain_pause = 10; /* seconds */

/* One step that runs, or work without steps (name ""). */
struct lane {
    char *name, *what, *unit, *note;
    double done, total;
    double began,
        first;   /* when this piece of work began here, and how far it was (a resumed one is not at 0) */
    double told; /* last plain line */
};

struct display {
    FILE *out;
    int live, colour; /* live: a terminal that can redraw */
    int done, total;
    struct lane *lanes;
    int count, drawn; /* drawn: lines on the screen now */
    double last;      /* frame */
};

const char *format_seconds(char buffer[32], double seconds) {
    double whole = floor(seconds + 0.5);

    if (seconds < 9.95)
        snprintf(buffer, 32, "%.1f s", seconds);
    else if (whole < 60)
        snprintf(buffer, 32, "%.0f s", whole);
    else if (whole < 3600)
        snprintf(buffer, 32, "%d min %02d s", (int)whole / 60, (int)whole % 60);
    else
        snprintf(buffer, 32, "%.0f h %02.0f min", floor(whole / 3600), floor(fmod(whole, 3600) / 60));
    return buffer;
}

struct display *display_open(FILE *out, int done, int total) {
    struct display *display = xcalloc(1, sizeof *display);
    const char *terminal = getenv("TERM"), *plain = getenv("NO_COLOR");

    display->out = out;
    display->done = done;
    display->total = total;
    display->live = isatty(fileno(out)) && terminal && strcmp(terminal, "dumb");
    display->colour = display->live && !(plain && *plain);
    return display;
}

static struct lane *lane_of(struct display *display, const char *name) {
    struct lane *lane;

    for (int i = 0; i < display->count; i++)
        if (!strcmp(display->lanes[i].name, name)) return &display->lanes[i];
    display->lanes = xrealloc(display->lanes, (size_t)display->count + 1, sizeof *lane);
    lane = &display->lanes[display->count++];
    *lane = (struct lane){.name = xstrdup(name), .began = monotonic_seconds(), .told = monotonic_seconds()};
    return lane;
}

static void lane_free(struct lane *lane) {
    free(lane->name);
    free(lane->what);
    free(lane->unit);
    free(lane->note);
}

static void lane_remove(struct display *display, struct lane *lane) {
    size_t after = (size_t)(display->lanes + display->count - lane - 1);

    lane_free(lane);
    memmove(lane, lane + 1, after * sizeof *lane);
    display->count--;
}

static void add_rate(struct text *line, const struct lane *lane) {
    double passed = monotonic_seconds() - lane->began, rate = (lane->done - lane->first) / passed;
    char left[32];

    if (passed < 0.5 || !(rate > 0)) return;
    text_printf(line, "  %.3g %s/s", rate, lane->unit);
    if (lane->total > lane->done)
        text_printf(line, "  %s left", format_seconds(left, (lane->total - lane->done) / rate));
}

static void add_figures(struct text *line, const struct lane *lane) {
    if (!lane->what) return;
    if (strcmp(lane->what, lane->name)) text_printf(line, "%s ", lane->what);
    text_printf(line, "%.0f/%.0f %s", lane->done, lane->total, lane->unit);
    add_rate(line, lane);
    if (*lane->note) text_printf(line, "  %s", lane->note);
}

static void add_bar(struct text *line, double share) {
    int full = (int)(BAR * fmin(fmax(share, 0), 1));

    text_add(line, "[", 1);
    for (int i = 0; i < BAR; i++) text_add(line, i < full ? "#" : ".", 1);
    text_printf(line, "] %3.0f %%  ", 100 * fmin(fmax(share, 0), 1));
}

/* Bytes of the line that fill `width` places; a byte that continues a UTF-8 character takes none. */
static int fitting(const char *line, int width) {
    int at = 0;

    for (int places = 0; line[at]; at++)
        if (((unsigned char)line[at] & 0xC0) != 0x80 && ++places > width) break;
    return at;
}

static void add_line(struct text *frame, const struct text *line, int width, int colour) {
    int length = fitting(line->data, width);

    text_printf(frame, "%s%.*s%s\x1b[K\n", colour ? "\x1b[36m" : "", length, line->data,
                colour ? "\x1b[0m" : "");
}

static void add_lanes(struct display *display, struct text *frame) {
    int width = wrap_width(display->out);

    for (int i = 0; i < display->count; i++) {
        const struct lane *lane = &display->lanes[i];
        struct text line = {0};

        add_bar(&line, lane->total > 0 ? lane->done / lane->total : 0);
        text_printf(&line, "%s%s", lane->name, *lane->name ? "  " : "");
        add_figures(&line, lane);
        add_line(frame, &line, width, display->colour);
        free(line.data);
    }
    if (display->total) {
        struct text line = {0};

        text_printf(&line, "%d of %d steps done", display->done, display->total);
        add_line(frame, &line, width, 0);
        free(line.data);
    }
    display->drawn = display->count + (display->total > 0);
}

/* Lines that stay, over what the frame left there. */
static void add_staying(struct display *display, struct text *frame, const char *line) {
    struct text lines = {0};

    wrap_text(&lines, line, 0, 2, wrap_width(display->out));
    for (const char *at = lines.data; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        text_printf(frame, "%.*s\x1b[K\n", (int)strcspn(at, "\n"), at);
    free(lines.data);
}

/* The whole frame in one write, above it what stays (or NULL): nothing flickers. */
static void draw(struct display *display, const char *stays) {
    struct text frame = {0};

    text_add(&frame, "", 0);
    if (display->drawn) text_printf(&frame, "\x1b[%dF", display->drawn);
    if (stays) add_staying(display, &frame, stays);
    add_lanes(display, &frame);
    text_printf(&frame, "\x1b[J");
    fwrite(frame.data, 1, frame.length, display->out);
    fflush(display->out);
    free(frame.data);
    display->last = monotonic_seconds();
}

static void say(struct display *display, const char *line) {
    if (display->live) {
        draw(display, line);
        return;
    }
    fprintf(display->out, "%s\n", line);
    fflush(display->out);
}

static void say_free(struct display *display, char *line) {
    say(display, line);
    free(line);
}

void display_refresh(struct display *display) {
    if (display->live && monotonic_seconds() - display->last >= redraw_pause) draw(display, NULL);
}

void display_start(struct display *display, const char *name) {
    lane_of(display, name);
    if (display->live)
        draw(display, NULL);
    else
        say_free(display, xprintf("%s: started", name));
}

void display_end(struct display *display, const char *name, double seconds) {
    char passed[32];

    lane_remove(display, lane_of(display, name));
    display->done++;
    format_seconds(passed, seconds);
    if (display->live)
        draw(display, NULL);
    else
        say_free(display,
                 xprintf("%s: done in %s (%d of %d steps)", name, passed, display->done, display->total));
}

static void take(struct lane *lane, const struct progress_event *event) {
    int fresh = !lane->what || strcmp(lane->what, event->what);

    if (fresh || event->done < lane->done || (lane->first == 0 && lane->done == 0 && event->done > 0)) {
        lane->began = monotonic_seconds();
        lane->first = event->done;
    }
    free(lane->what);
    free(lane->unit);
    free(lane->note);
    lane->what = xstrdup(event->what);
    lane->unit = xstrdup(event->unit ? event->unit : "");
    lane->note = xstrdup(event->note);
    lane->done = event->done;
    lane->total = event->total;
}

static void tell_plainly(struct display *display, struct lane *lane) {
    double now = monotonic_seconds();
    struct text line = {0};

    if (now - lane->told < plain_pause) return;
    lane->told = now;
    text_printf(&line, "%s%s", lane->name, *lane->name ? ": " : "");
    add_figures(&line, lane);
    say(display, line.data);
    free(line.data);
}

void display_event(struct display *display, const char *name, const struct progress_event *event) {
    struct lane *lane;

    if (!event->what) {
        int named = !*name || !strncmp(event->note, name, strlen(name));

        say_free(display, named ? xstrdup(event->note) : xprintf("%s: %s", name, event->note));
        return;
    }
    lane = lane_of(display, name);
    take(lane, event);
    if (display->live)
        display_refresh(display);
    else
        tell_plainly(display, lane);
}

void display_sink(void *context, const struct progress_event *event) {
    struct display *display = context;

    display_event(display, "", event);
    if (!event->over) return;
    lane_remove(display, lane_of(display, "")); /* before the command prints below it */
    if (display->live) draw(display, NULL);
}

void display_close(struct display *display) {
    if (!display) return;
    if (display->live && display->drawn) fprintf(display->out, "\x1b[%dF\x1b[J", display->drawn);
    fflush(display->out);
    for (int i = 0; i < display->count; i++) lane_free(&display->lanes[i]);
    free(display->lanes);
    free(display);
}
