/* Length-controlled win rate (Dubois et al. 2024, alpaca_eval's length_controlled_v1): what the win rate
   would be were both answers of one length. logit P(model preferred) = φ·tanh(Δ/sd Δ) + ψ·difficulty + θ;
   then the mean over prompts of σ(ψ·difficulty + θ). The figure depends on the variant as much as on the
   data, so a result always says which one it is. */
#ifndef HARNESS_STATISTICS_LENGTH_H
#define HARNESS_STATISTICS_LENGTH_H

#include "harness/statistics.h"

enum length_variant {
    LENGTH_FULL,           /* L1 penalty, C by grouped 5-fold; difficulty and gamed baselines where given */
    LENGTH_NO_REGULARISER, /* maximum likelihood, no gamed baselines; difficulty where given */
    LENGTH_MINIMAL         /* maximum likelihood of φ and θ alone */
};
const char *length_variant_name(enum length_variant variant); /* "full", "no-regulariser", "minimal" */

/* The baseline asked to be concise, or verbose, against the baseline: its rows hold φ down, its θ is 0. */
struct gamed {
    const double *delta, *preference; /* [n]; NULL: not there */
};

struct length_data {
    int n;                    /* prompts */
    const double *delta;      /* length of the baseline's answer less the model's, in code points */
    const double *preference; /* of the model: 1, ½, 0 or a weight between; both orders averaged */
    const double *difficulty; /* of the prompts, fixed (length_difficulty()); or NULL */
    struct gamed gamed[2];    /* each row weighs 0.1 */
};

struct length_fit {
    enum length_variant variant;
    double raw, value;      /* win rates in [0, 1], before and after control */
    double phi, psi, theta; /* psi: 0 without difficulty */
    double sd;              /* of delta, n - 1 below: what tanh is scaled by */
    double c;               /* of ‖w‖₁ + C·loss; infinite without penalty */
    double spread;          /* standard error of the mean of the predictions: no sampling error of `value` */
    double low, high,
        error; /* bootstrap over prompts that fits again with the same C; NaN where not asked for */
    int far;   /* length_is_far() */
};

/* alpaca_eval's warning of a fit that failed: value below min(raw - raw/4, raw - 0.1) or above
   max(raw + (1 - raw)/4, raw + 0.1). */
int length_is_far(double raw, double value);

enum { LENGTH_GRID = 10 };
extern const double length_grid[LENGTH_GRID]; /* of C: 1e-4 … 1e4, even in logarithm */

/* c: NAN chooses it from the grid by 5 folds (prompt i in fold i mod 5; mean weighted log-loss). how: of the
   interval, or NULL. -1: too few prompts, lengths that do not vary, no finite fit. */
int length_controlled(struct length_fit *out, const struct length_data *data, enum length_variant variant,
                      double c, const struct bootstrap *how, struct error *err);

/* Difficulty of each prompt for models that are compared with one baseline: γ of the Rasch model logit P =
   θ_model - γ, prior γ ~ N(0, 1), by alternating Newton steps; higher is harder, the sign in which ψ comes
   out negative. preference: [models][prompts], NaN where there is none. -1: fewer than three models. */
int length_difficulty(double *difficulty, const double *preference, int models, int prompts,
                      struct error *err);

#endif
