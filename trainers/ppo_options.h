/* What PPO can be told, and the presets that reproduce other systems' settings. */
#ifndef TRAINERS_PPO_OPTIONS_H
#define TRAINERS_PPO_OPTIONS_H

#include "harness/option.h"
#include "models/lora.h"

enum kl_control { KL_FIXED, KL_ADAPTIVE };
enum score_scale { SCORE_AS_IS, SCORE_RUNNING };
enum missing_end { END_NONE, END_PENALTY, END_REPLACE };
enum value_model { VALUE_SEPARATE, VALUE_SHARED };
enum value_init { VALUE_FROM_POLICY, VALUE_FROM_REWARD };

struct ppo_options {
    const char *policy, *reference, *reward;
    const struct node *data;
    int iterations, episodes, epochs, minibatches, micro_tokens;
    int max_new, slots, top_k;
    double temperature, top_p, min_p;

    double lr, value_lr, floor, warmup; /* value_lr 0: as lr */
    int schedule, value_schedule;       /* value_schedule 0: as schedule; else enum schedule + 1 */
    double beta1, beta2, eps, decay, clip_gradient;

    double kl, kl_target, kl_horizon;
    int kl_control, log_reference;
    double gamma, lambda, clip, value_clip, value_coefficient, entropy, target_kl;
    int whiten_advantages, whiten_rewards;

    double score_clip, shaped_clip, missing_end_value;
    int score_scale, missing_end;
    int value_init, freeze_policy;
    double ptx;
    int ptx_rows;

    double kl_limit, kl_stop, entropy_limit, repetition_limit, length_limit, gap_limit;
    int checkpoint_every, bits, recompute, seed, stochastic_rounding;
    int value; /* enum value_model */
    const struct node *lora;
    int weights; /* enum weight_form: of the policy, the value model and the reference */
};

extern const struct option ppo_options[];
extern const struct preset ppo_presets[];

/* Reads the options of a step and refuses those that contradict each other. */
int ppo_options_read(const struct node *given, const char *where, struct ppo_options *out, struct error *err);

/* The option lora for a model of this config; NULL: not known yet. Dropout is refused: a policy that learns
 * must be the one that was sampled. */
int ppo_adapters(struct adapter_options *out, const struct ppo_options *options, const char *where,
                 const struct config *config, struct error *err);

#endif
