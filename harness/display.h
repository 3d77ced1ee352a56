/* What a person sees of a run: redrawn bars on a terminal, plain lines elsewhere. */
#ifndef HARNESS_DISPLAY_H
#define HARNESS_DISPLAY_H

#include <stdio.h>

#include "harness/progress.h"

struct display;

/* total: how many steps there are, and done of them; 0 for work without steps. */
struct display *display_open(FILE *out, int done, int total);
void display_close(struct display *display); /* takes the bars away; NULL is fine */

/* Steps that run have a line of their own, found by name. */
void display_start(struct display *display, const char *name);
void display_event(struct display *display, const char *name, const struct progress_event *event);
void display_end(struct display *display, const char *name, double seconds);
void display_refresh(struct display *display); /* now and then: estimates change while nothing comes */

/* A sink (progress.h) for work without steps; context is the display. */
void display_sink(void *context, const struct progress_event *event);

/* "42 s", "3 min 20 s", "2 h 5 min"; caller's buffer. */
const char *format_seconds(char buffer[32], double seconds);

#endif
