/* How far long work has come. Work calls these; what a person sees is decided by the sink that main sets. */
#ifndef HARNESS_PROGRESS_H
#define HARNESS_PROGRESS_H

struct progress_event {
    const char *what, *unit; /* what is NULL for a notice */
    const char *note;        /* a few figures, or "" */
    double done, total;
    int over; /* this was the work's last */
};

typedef void progress_sink(void *context, const struct progress_event *event);
void progress_to(progress_sink *sink, void *context); /* NULL: silence */

void progress_begin(const char *what, double total, const char *unit);
void progress_update(double done, const char *note_format, ...) __attribute__((format(printf, 2, 3)));
void progress_end(void);
/* Something a person should know now (a watchdog's event, a skipped row). Also written to the step's log by
 * the caller. */
void progress_notice(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
