/* Next-token learning on the learned part of a data set's rows: the sft trainer and the seq2seq reward model.
 */
#ifndef MODELS_SUPERVISED_H
#define MODELS_SUPERVISED_H

#include "models/dataset.h"

/* Start from zero with trunk, data, sizes and micro_tokens set; the rest is scratch. */
struct supervised {
    struct trunk *trunk;
    const struct dataset *data;
    int *sizes; /* tokens of each row; made by supervised_sizes() */
    int micro_tokens;
    struct batch batch;
    struct targets targets;
    float *logprob, *slope; /* of a call's learned tokens, [room] */
    int room;
};

void supervised_sizes(struct supervised *supervised);
/* Adds the gradient of scale * loss, loss = - sum w log p / sum w over all learned tokens of these rows:
   the denominator is the whole call's, so that micro-batches and the ranks' shares add up to one batch. The
   trunk's last backward pass before an update. */
int supervised_learn(struct supervised *supervised, const int *rows, int count, double scale, double *loss,
                     struct error *err);
int supervised_loss(struct supervised *supervised, const int *rows, int count, double *loss,
                    struct error *err);
void supervised_free(struct supervised *supervised); /* what was made here; not the trunk or the data */

#endif
