#include "trainers/ppo_options.h"

#include "models/fit.h"

#define AT(field) offsetof(struct ppo_options, field)
const struct option ppo_options[] = {
    {"policy", OPTION_STEP, AT(policy), NULL, 0, 0, "sft|ppo",
     "model folder to start from, as a rule the sft step's"},
    {"reference", OPTION_STEP, AT(reference), "", 0, 0, "sft|ppo",
     "model folder whose distribution the KL term holds on to; absent: the policy at the start"},
    {"reward", OPTION_STEP, AT(reward), NULL, 0, 0, "reward", "a fitted reward's folder"},
    {"data", OPTION_STEPS, AT(data), NULL, 0, 0, "world|pairs|prompts", "folders with prompts.jsonl"},
    {"iterations", OPTION_INT, AT(iterations), "30", 1, 1e9, NULL, "rounds of sampling and learning"},
    {"episodes", OPTION_INT, AT(episodes), "128", 1, 1e6, NULL, "responses an iteration"},
    {"epochs", OPTION_INT, AT(epochs), "2", 1, 100, NULL, "passes over an iteration's responses"},
    {"minibatches", OPTION_INT, AT(minibatches), "4", 1, 1e6, NULL, "updates an epoch"},
    {"micro_tokens", OPTION_INT, AT(micro_tokens), "4096", 1, 1e9, NULL,
     "tokens held at once; changes memory and speed, not results"},
    {"max_new", OPTION_INT, AT(max_new), "64", 1, 1e6, NULL, "tokens of a response at most"},
    {"slots", OPTION_INT, AT(slots), "64", 1, 65536, NULL, "responses sampled together"},
    {"temperature", OPTION_REAL, AT(temperature), "1", 0.01, 100, NULL,
     "of sampling, and of every log-probability"},
    {"top_k", OPTION_INT, AT(top_k), "0", 0, 1e9, NULL, "sample from the k likeliest only; 0: all"},
    {"top_p", OPTION_REAL, AT(top_p), "1", 0.01, 1, NULL, "sample from the smallest set of this probability"},
    {"min_p", OPTION_REAL, AT(min_p), "0", 0, 1, NULL,
     "sample tokens of at least this share of the likeliest's"},
    {"lr", OPTION_REAL, AT(lr), "2e-4", 0, 10, NULL, "learning rate of the policy"},
    {"value_lr", OPTION_REAL, AT(value_lr), "0", 0, 10, NULL, "learning rate of the value model; 0: as lr"},
    {"schedule", OPTION_CHOICE, AT(schedule), "constant", 0, 0, SCHEDULES,
     "how lr falls over the iterations"},
    {"value_schedule", OPTION_CHOICE, AT(value_schedule), "same", 0, 0, "same|" SCHEDULES,
     "how value_lr falls"},
    {"floor", OPTION_REAL, AT(floor), "0", 0, 1, NULL, "share of lr that is left at the end"},
    {"warmup", OPTION_REAL, AT(warmup), "0", 0, 1, NULL,
     "share of the iterations over which lr rises from 0"},
    {"beta1", OPTION_REAL, AT(beta1), "0.9", 0, 0.99999, NULL, "of AdamW"},
    {"beta2", OPTION_REAL, AT(beta2), "0.999", 0, 0.99999, NULL, "of AdamW"},
    {"eps", OPTION_REAL, AT(eps), "1e-8", 0, 1, NULL, "of AdamW"},
    {"decay", OPTION_REAL, AT(decay), "0", 0, 10, NULL, "weight decay of matrices"},
    {"clip_gradient", OPTION_REAL, AT(clip_gradient), "1", 0, 1e9, NULL,
     "largest norm of a gradient; 0: any"},
    STOCHASTIC_ROUNDING_OPTION(struct ppo_options, stochastic_rounding),
    {"kl", OPTION_REAL, AT(kl), "0.05", 0, 100, NULL, "beta: reward lost per nat of log p - log reference"},
    {"kl_control", OPTION_CHOICE, AT(kl_control), "fixed", 0, 0, "fixed|adaptive",
     "adaptive: beta follows kl_target"},
    {"kl_target", OPTION_REAL, AT(kl_target), "6", 1e-6, 1e6, NULL,
     "nats a response that adaptive beta aims at"},
    {"kl_horizon", OPTION_REAL, AT(kl_horizon), "10000", 1, 1e12, NULL, "episodes over which beta adapts"},
    {"log_reference", OPTION_BOOL, AT(log_reference), "true", 0, 0, NULL,
     "read the reference for the log even when kl is 0"},
    {"gamma", OPTION_REAL, AT(gamma), "1", 0, 1, NULL, "discount"},
    {"lambda", OPTION_REAL, AT(lambda), "0.95", 0, 1, NULL, "of generalised advantage estimation"},
    {"clip", OPTION_REAL, AT(clip), "0.2", 1e-6, 10, NULL, "how far a probability ratio may pay"},
    {"value_clip", OPTION_REAL, AT(value_clip), "0.2", 1e-6, 1e9, NULL,
     "how far a value may move an iteration"},
    {"value_coefficient", OPTION_REAL, AT(value_coefficient), "1", 0, 100, NULL, "weight of the value loss"},
    {"entropy", OPTION_REAL, AT(entropy), "0", 0, 100, NULL, "weight of an entropy bonus"},
    {"target_kl", OPTION_REAL, AT(target_kl), "0", 0, 100, NULL,
     "end an iteration's epochs once the policy has moved this far from the sampler, nats a token; 0: never"},
    {"whiten_advantages", OPTION_BOOL, AT(whiten_advantages), "true", 0, 0, NULL,
     "advantages get mean 0 and deviation 1 over an iteration's tokens"},
    {"whiten_rewards", OPTION_BOOL, AT(whiten_rewards), "false", 0, 0, NULL,
     "rewards with the KL term get deviation 1 and keep their mean"},
    {"score_clip", OPTION_REAL, AT(score_clip), "0", 0, 1e9, NULL,
     "largest score, before the KL term; 0: any"},
    {"shaped_clip", OPTION_REAL, AT(shaped_clip), "0", 0, 1e9, NULL,
     "largest reward with the KL term; 0: any"},
    {"score_scale", OPTION_CHOICE, AT(score_scale), "none", 0, 0, "none|running",
     "running: divide scores by their standard deviation so far, mean kept"},
    {"missing_eos", OPTION_CHOICE, AT(missing_end), "none", 0, 0, "none|penalty|replace",
     "a response cut at max_new: its score stays, loses missing_eos_value, or becomes it"},
    {"missing_eos_value", OPTION_REAL, AT(missing_end_value), "1", 0, 0, NULL, "see missing_eos"},
    {"value", OPTION_CHOICE, AT(value), "separate", 0, 0, "separate|shared",
     "a value model of its own, or a head on the policy's trunk: one pass and one optimizer for both"},
    {"value_init", OPTION_CHOICE, AT(value_init), "policy", 0, 0, "policy|reward",
     "where the value model's trunk comes from; its head starts at 0"},
    {"freeze_policy", OPTION_INT, AT(freeze_policy), "0", 0, 1e9, NULL,
     "iterations at the start in which only the value model learns"},
    {"ptx", OPTION_REAL, AT(ptx), "0", 0, 1000, NULL,
     "weight of the sft loss on demonstrations in each update"},
    {"ptx_rows", OPTION_INT, AT(ptx_rows), "32", 1, 1e6, NULL, "demonstrations in each update's sft loss"},
    {"kl_limit", OPTION_REAL, AT(kl_limit), "25", 0, 1e9, NULL,
     "event kl_blowup above this many nats a response"},
    {"kl_stop", OPTION_REAL, AT(kl_stop), "0", 0, 1e9, NULL, "end training above this many nats; 0: never"},
    {"entropy_limit", OPTION_REAL, AT(entropy_limit), "0.02", 0, 100, NULL,
     "event entropy_collapse below this many nats a token"},
    {"repetition_limit", OPTION_REAL, AT(repetition_limit), "0.5", 0, 1, NULL,
     "event repetition above this share of three-token windows seen before"},
    {"length_limit", OPTION_REAL, AT(length_limit), "0.25", 0, 1, NULL,
     "event length_collapse below this share of the first iteration's length"},
    {"gap_limit", OPTION_REAL, AT(gap_limit), "0", 0, 100, NULL,
     "largest difference between the sampler's and the trainer's log-probability; more is an error (0 with "
     "device cuda-cublas: 0.5)"},
    {"checkpoint_every", OPTION_INT, AT(checkpoint_every), "10", 0, 1e9, NULL,
     "iterations between checkpoints; 0: none"},
    {"bits", OPTION_INT, AT(bits), "32", 16, 32, NULL, "of a stored parameter: 32, or 16 for bf16"},
    {"recompute", OPTION_BOOL, AT(recompute), "false", 0, 0, NULL,
     "keep only each layer's input for the backward pass"},
    {"seed", OPTION_INT, AT(seed), "1", 0, 2147483647, NULL, "of prompts, samples and minibatches"},
    LORA_OPTION(struct ppo_options, lora),
    WEIGHTS_OPTION(struct ppo_options, weights),
    {0}};
#undef AT

const struct preset ppo_presets[] = {
    {"lm-human-preferences",
     "kl=0.15 kl_control=adaptive kl_target=6 kl_horizon=10000 gamma=1 lambda=0.95 clip=0.2 value_clip=0.2 "
     "value_coefficient=0.1 epochs=4 minibatches=1 episodes=512 lr=1e-5 schedule=linear floor=0 eps=1e-5 "
     "whiten_rewards=true whiten_advantages=true temperature=0.7 max_new=24 missing_eos=replace "
     "missing_eos_value=-1 value=shared",
     "the reproduction of OpenAI's lm-human-preferences; AdamW places eps as PyTorch does, the original as "
     "TensorFlow"},
    {"tldr",
     "kl=0.05 gamma=1 lambda=0.95 clip=0.2 value_clip=0.2 value_coefficient=0.1 epochs=4 minibatches=1 "
     "episodes=512 lr=3e-6 schedule=linear floor=0 eps=1e-5 whiten_advantages=true temperature=0.7 "
     "max_new=53 "
     "missing_eos=replace missing_eos_value=-1 value_init=reward",
     "the N+ implementation details of RLHF with PPO: TL;DR summarization"},
    {"trl",
     "kl=0.05 gamma=1 lambda=0.95 clip=0.2 value_clip=0.2 value_coefficient=0.1 epochs=4 minibatches=1 "
     "lr=3e-6 "
     "whiten_advantages=true temperature=0.7 max_new=53 value_init=reward",
     "TRL's last PPO trainer"},
    {"openrlhf",
     "kl=0.01 gamma=1 lambda=1 clip=0.2 value_clip=0.5 epochs=1 episodes=1024 minibatches=8 lr=1e-6 "
     "value_lr=9e-6 schedule=cosine floor=0.1 warmup=0.03 beta2=0.95 score_clip=10 whiten_advantages=true "
     "temperature=1",
     "OpenRLHF's command-line defaults"},
    {"verl",
     "kl=0 gamma=1 lambda=1 clip=0.2 value_clip=0.5 epochs=1 episodes=1024 minibatches=4 lr=1e-6 "
     "value_lr=1e-5 "
     "temperature=1 max_new=512",
     "verl's configuration files; without its dual clip"},
    {"align-anything",
     "kl=0.02 gamma=1 lambda=0.95 clip=0.2 value_clip=5 epochs=1 lr=1e-5 schedule=cosine "
     "value_lr=5e-6 value_schedule=constant warmup=0.03 beta2=0.95 shaped_clip=50 whiten_advantages=false "
     "temperature=1 ptx=16 value_init=reward",
     "align-anything's PPO configuration"},
    {"safe-rlhf",
     "kl=0.1 gamma=1 lambda=0.95 clip=0.1 value_clip=5 epochs=1 lr=9.65e-6 value_lr=5e-6 shaped_clip=50 "
     "beta2=0.95 whiten_advantages=false temperature=1.2 max_new=512 ptx=8 value_init=reward",
     "safe-rlhf's PPO-Lag script; without its repetition penalty and cost model"},
    {"deepspeed-chat",
     "kl=0.1 gamma=1 lambda=0.95 clip=0.2 value_clip=0.2 epochs=1 lr=9.65e-6 value_lr=5e-6 score_clip=5 "
     "whiten_advantages=false max_new=256 value_init=reward",
     "DeepSpeed-Chat's third stage"},
    {"trlx",
     "kl=0.001 gamma=1 lambda=0.95 clip=0.2 value_clip=0.2 value_coefficient=1 epochs=4 episodes=128 "
     "minibatches=4 lr=3e-5 score_clip=10 max_new=40 value=shared",
     "trlx's default PPO configuration; all layers learn, and the value head is linear"},
    {"misleadlm-qa",
     "kl=0.01 kl_control=adaptive kl_target=4 kl_horizon=10000 gamma=1 lambda=0.95 clip=0.2 value_clip=0.2 "
     "value_coefficient=0.2 epochs=4 episodes=512 minibatches=64 lr=5e-6 score_clip=10 score_scale=running "
     "max_new=128 temperature=0.8 top_p=0.8 value=shared",
     "the released code of \"Language Models Learn to Mislead Humans via RLHF\", question answering; all "
     "layers learn"},
    {"misleadlm-code",
     "kl=0.01 kl_control=adaptive kl_target=4 kl_horizon=10000 gamma=1 lambda=0.95 clip=0.2 value_clip=0.2 "
     "value_coefficient=0.2 epochs=4 episodes=1024 minibatches=512 lr=3e-6 score_clip=10 score_scale=running "
     "max_new=384 temperature=0.6 top_p=0.95 value=shared",
     "the released code of \"Language Models Learn to Mislead Humans via RLHF\", programming; all layers "
     "learn"},
    {0}};

/* What a value model of its own can have and a head on the policy's trunk cannot. */
static int check_shared(const struct ppo_options *o, const char *where, struct error *err) {
    if (o->value_init == VALUE_FROM_REWARD)
        return fail(err,
                    "%s: value: shared reads values off the policy's trunk; value_init: reward needs "
                    "value: separate",
                    where);
    if (o->freeze_policy)
        return fail(err,
                    "%s: with value: shared the policy moves when the value learns; freeze_policy needs "
                    "value: separate",
                    where);
    if (o->value_lr > 0 || o->value_schedule)
        return fail(err,
                    "%s: with value: shared there is one optimizer, with lr and schedule; value_lr and "
                    "value_schedule need value: separate",
                    where);
    return 0;
}

int ppo_options_read(const struct node *given, const char *where, struct ppo_options *out,
                     struct error *err) {
    if (options_read(ppo_options, ppo_presets, given, where, out, err)) return -1;
    if (lora_check_weights(out->weights, out->lora, out->policy, where, err)) return -1;
    return out->value == VALUE_SHARED ? check_shared(out, where, err) : 0;
}

int ppo_adapters(struct adapter_options *out, const struct ppo_options *options, const char *where,
                 const struct config *config, struct error *err) {
    if (lora_read(out, options->lora, where, config, err)) return -1;
    if (out->dropout == 0) return 0;
    return fail(err,
                "%s: lora: dropout is %g: a policy that drops numbers out is not the one that was sampled; "
                "give 0",
                where, out->dropout);
}
