/* What a step takes, said before it takes it: its memory by what it is for, whether a device has so much, and
 * which of the step's options would make it fit. */
#ifndef HARNESS_PLAN_H
#define HARNESS_PLAN_H

#include "harness/error.h"

struct run; /* harness/run.h */
struct step;

enum holding {
    HELD_PARAMETERS, /* and the tables of positions */
    HELD_LAYOUTS,    /* copies of the weights as products read them */
    HELD_GRADIENTS,
    HELD_MOMENTS,     /* an optimizer's two */
    HELD_ACTIVATIONS, /* of a pass, and their gradients */
    HELD_LOGITS,      /* of a chunk of tokens */
    HELD_SCRATCH,     /* what operations need for themselves, one after another in the same memory */
    HELD_CACHE,       /* of keys and values */
    HOLDINGS
};

/* What a step will cost; estimates, from shapes and options alone. */
struct plan {
    double parameters;     /* of all models held at once */
    double held[HOLDINGS]; /* bytes at the peak; of the device's memory */
    double host;           /* bytes of the host's beside it, where those of `held` are not the host's */
    double flops;          /* of the whole step */
    char note[200];
};

/* An option of a stage that lowers what its steps take. */
struct remedy {
    const char *option; /* "recompute"; within a map "settings.architecture" */
    const char *value;  /* as in a recipe; NULL: a smaller number than now, a power of two */
    int least;          /* such numbers */
};

/* A device's memory in bytes; total 0: nobody can tell. */
struct room {
    double free, total;
    int is_host; /* it is the machine's own, of which only the system knows how far it goes */
};

double plan_bytes(const struct plan *plan);
/* held becomes that of `phase` if that is more: of phases that follow one another, the largest is the peak.
 */
void plan_phase(double held[HOLDINGS], const double phase[HOLDINGS]);
/* held becomes what it was with `more` beside it, which has its scratch in the same memory. */
void plan_add(double held[HOLDINGS], const double more[HOLDINGS]);
/* "9.1 GiB (parameters 1.2 GiB, gradients 1.2 GiB, …)"; caller frees. */
char *plan_describe(const struct plan *plan);

/* The plan of a step by its stage; of a stage without plans, zeros. */
int plan_make(struct plan *out, const struct run *run, const struct step *step, struct error *err);
/* Why the step's plan does not fit into so much memory, less what a device's driver takes, by how much, and
 * what would make it fit: each remedy of its stage is planned too. NULL: it fits, or nobody can tell; caller
 * frees. */
char *plan_trouble(const struct plan *plan, const struct run *run, const struct step *step,
                   const struct room *room);
/* Before a step begins: what it takes is said where a device other than the host will hold it, and what does
 * not fit is refused there; on the host, whose plans a system may stretch, it is a notice. */
int plan_check(const struct run *run, const struct step *step, struct error *err);

#endif
