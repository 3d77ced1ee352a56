/* How a sequence-to-sequence reward model's predictions become token rewards. */
#ifndef REWARDS_SEQ2SEQ_H
#define REWARDS_SEQ2SEQ_H

enum variant { VARIANT_HARD, VARIANT_SOFT, VARIANT_MARGIN };
enum scale { SCALE_REFERENCE, SCALE_LENGTH, SCALE_NONE };

struct extraction {
    int variant, scale;
    int agreement;   /* 1: tokens that agree after the divergence earn `plus`; 0: nothing */
    int missing_end; /* 1: a response without its end token has one more diverging token */
    double plus, minus;
    double reference; /* length that SCALE_REFERENCE divides by */
};

/* out[length] for a response of which best[t] is what the model would say after response[0..t-1], logprob[t]
   the log-probability of response[t] and best_logprob[t] that of best[t] (margin only; else NULL). Tokens are
   positive until the first that is not the best; from there on those that are not the best are negative.
   A missing end's token is added to the last one's. */
void seq2seq_extract(float *out, const int *response, const int *best, const float *logprob,
                     const float *best_logprob, int length, int ended, const struct extraction *how);

#endif
