/* One training step's state on disk: its log and its checkpoint, so that a killed run goes on in the same
 * bytes. */
#ifndef MODELS_SESSION_H
#define MODELS_SESSION_H

#include "harness/run.h"
#include "models/checkpoint.h"
#include "models/optimizer.h"

/* Start from zero. */
struct session {
    const struct step *step;
    const struct kernels *kernels; /* whose memory the arrays are in */
    struct log log;
    char *path; /* of the checkpoint */
    struct session_item {
        char *name;
        float *data;
        size_t count;         /* of the whole array */
        const size_t *slices; /* data is this rank's slice of it (harness/ranks.h); NULL: all of it */
    } * items;
    int count;
    struct session_optimizer {
        char *name;
        struct optimizer *optimizer;
        struct model *model;
    } * optimizers;
    int optimizer_count;
    struct node *state; /* the numbers that were resumed from; NULL after a fresh start */
};

void session_begin(struct session *session, const struct step *step);
/* What a checkpoint holds: what the model learns and the optimizer's moments; the arrays must stay where they
 * are. */
void session_keep(struct session *session, const char *name, struct model *model,
                  struct optimizer *optimizer);
/* Fills what is kept from the last checkpoint, if there is one, and opens the log there. 1 resumed, 0 fresh.
 */
int session_resume(struct session *session, struct error *err);
double session_number(const struct session *session, const char *key, double fallback);
/* numbers: a map of what else must survive. */
int session_save(struct session *session, const struct node *numbers, struct error *err);
/* The work is done: the checkpoint goes. */
int session_finish(struct session *session, struct error *err);
void session_free(struct session *session);

/* Adds {"events": [...]} once, then the name; and tells the person. */
void session_event(struct session *session, struct node *row, const char *event, const char *detail);

#endif
