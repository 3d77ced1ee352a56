#include "models/session.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/memory.h"
#include "harness/progress.h"
#include "harness/ranks.h"
#include "models/device.h"

void session_begin(struct session *session, const struct step *step) {
    session->step = step;
    session->path = step_path(step, "checkpoint");
}

static void keep_array(struct session *session, char *name, float *data, size_t count, const size_t *slices) {
    session->items = xrealloc(session->items, (size_t)session->count + 1, sizeof *session->items);
    session->items[session->count++] = (struct session_item){name, data, count, slices};
}

void session_keep(struct session *session, const char *name, struct model *model,
                  struct optimizer *optimizer) {
    const size_t *slices = ranks_count() > 1 ? optimizer->slices : NULL;

    session->kernels = model->kernels;
    keep_array(session, xprintf("%s", name), model->learned, model->learned_size, NULL);
    keep_array(session, xprintf("%s.m", name), optimizer->m, model->learned_size, slices);
    keep_array(session, xprintf("%s.v", name), optimizer->v, model->learned_size, slices);
    session->optimizers =
        xrealloc(session->optimizers, (size_t)session->optimizer_count + 1, sizeof *session->optimizers);
    session->optimizers[session->optimizer_count++] =
        (struct session_optimizer){xprintf("%s.updates", name), optimizer, model};
}

static size_t slice_bytes(const struct session_item *item) {
    const size_t *own = item->slices + ranks_index();

    return (own[1] - own[0]) * sizeof *item->data;
}

/* The whole of an array whose slices the ranks have; reading: filled, in the first. */
static float *join_slices(const struct kernels *kernels, const struct session_item *item, int reading) {
    float *whole = ranks_first() || !reading ? xcalloc(item->count, sizeof *whole) : NULL, *slice;

    if (!reading) return whole;
    slice = kernels->map(item->data, slice_bytes(item), 1);
    ranks_collect(whole, slice, item->slices);
    kernels->unmap(item->data, slice, slice_bytes(item), 0);
    return whole;
}

/* Keeps this rank's slice. */
static void cut_slice(const struct kernels *kernels, const struct session_item *item, float *whole,
                      int writing) {
    float *slice;

    if (writing) {
        slice = kernels->map(item->data, slice_bytes(item), 0);
        memcpy(slice, whole + item->slices[ranks_index()], slice_bytes(item));
        kernels->unmap(item->data, slice, slice_bytes(item), 1);
    }
    free(whole);
}

/* The kept arrays as the host sees them, until close_views(). */
static struct checkpoint_item *open_views(const struct session *session, int reading) {
    struct checkpoint_item *views = xcalloc((size_t)session->count, sizeof *views);

    for (int i = 0; i < session->count; i++) {
        const struct session_item *item = &session->items[i];

        views[i] = (struct checkpoint_item){item->name, NULL, item->count};
        views[i].data = item->slices
                            ? join_slices(session->kernels, item, reading)
                            : session->kernels->map(item->data, item->count * sizeof(float), reading);
    }
    return views;
}

static void close_views(const struct session *session, struct checkpoint_item *views, int writing) {
    for (int i = 0; i < session->count; i++) {
        const struct session_item *item = &session->items[i];

        if (item->slices)
            cut_slice(session->kernels, item, views[i].data, writing);
        else
            session->kernels->unmap(item->data, views[i].data, item->count * sizeof(float), writing);
    }
    free(views);
}

static int load(struct session *session, struct error *err) {
    struct checkpoint_item *views = open_views(session, 0);
    int found = checkpoint_load(session->path, views, session->count, &session->state, err);

    close_views(session, views, found == 1);
    return found;
}

int session_resume(struct session *session, struct error *err) {
    int found = load(session, err);

    if (found < 0) return -1;
    for (int i = 0; found && i < session->optimizer_count; i++) {
        struct session_optimizer *kept = &session->optimizers[i];

        kept->optimizer->step = (int)session_number(session, kept->name, 0);
        model_learned_changed(kept->model);
    }
    if (log_open(&session->log, session->step, (long)session_number(session, "log", 0), err)) return -1;
    return found;
}

double session_number(const struct session *session, const char *key, double fallback) {
    return session->state ? node_number(session->state, key, fallback) : fallback;
}

int session_save(struct session *session, const struct node *numbers, struct error *err) {
    struct checkpoint_item *views;
    struct node *state;
    long length = log_sync(&session->log, err);
    int status;

    if (length < 0) return -1;
    if (session->count && device_check(session->kernels, "the checkpoint", err)) return -1;
    state = node_new(NODE_MAP);
    for (const struct node *n = numbers ? numbers->first : NULL; n; n = n->next)
        node_add_copy(state, n->key, n);
    for (int i = 0; i < session->optimizer_count; i++)
        node_add_number(state, session->optimizers[i].name, session->optimizers[i].optimizer->step);
    node_add_number(state, "log", (double)length);
    views = open_views(session, 1);
    status = session->count ? device_check(session->kernels, "the checkpoint", err) : 0;
    if (!status)
        status = ranks_first() ? checkpoint_save(session->path, views, session->count, state, err) : 0;
    close_views(session, views, 0);
    node_free(state);
    return status;
}

int session_finish(struct session *session, struct error *err) {
    if (log_sync(&session->log, err) < 0) return -1;
    if (ranks_first()) unlink(session->path);
    return 0;
}

void session_free(struct session *session) {
    if (session->log.file) log_close(&session->log);
    for (int i = 0; i < session->count; i++) free(session->items[i].name);
    for (int i = 0; i < session->optimizer_count; i++) free(session->optimizers[i].name);
    free(session->items);
    free(session->optimizers);
    free(session->path);
    node_free(session->state);
    *session = (struct session){0};
}

void session_event(struct session *session, struct node *row, const char *event, const char *detail) {
    struct node *events = (struct node *)node_get(row, "events");

    if (!events) events = node_add(row, "events", NODE_LIST);
    node_add_text(events, NULL, event);
    progress_notice("%s: %s: %s", session->step->name, event, detail);
}
