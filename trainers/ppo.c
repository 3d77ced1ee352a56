/* Proximal policy optimisation against a reward, held near a reference by a KL term. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/adapter_base.h"
#include "harness/file.h"
#include "harness/memory.h"
#include "harness/progress.h"
#include "models/cost.h"
#include "models/device.h"
#include "models/folder.h"
#include "models/session.h"
#include "trainers/advantage.h"
#include "trainers/collector.h"
#include "trainers/learner.h"

struct ppo {
    const struct step *step;
    struct ppo_options options;
    const struct kernels *kernels;
    struct tokenizer *tokenizer;
    struct collector collector;
    struct learner learner;
    struct model *reference;         /* NULL: none, or the policy without its adapters */
    struct adapter_options adapters; /* the policy's; of rank 0: none */
    const struct world *world;       /* NULL: no gold score */
    struct dataset demonstrations;
    struct supervised ptx;
    struct session session;
    double first_length; /* mean, of the first iteration's responses */
    unsigned told;       /* events that a person knows of */
};

static const char *const event_names[] = {"nan",        "kl_blowup",       "entropy_collapse",
                                          "repetition", "length_collapse", "kl_stop"};
enum { EVENT_NAN, EVENT_KL, EVENT_ENTROPY, EVENT_REPETITION, EVENT_LENGTH, EVENT_STOP };

static int uses_reference(const struct ppo_options *o) {
    return o->kl > 0 || o->kl_control == KL_ADAPTIVE || o->log_reference;
}

/* The reward's own model, for its trunk. */
static int load_reward_model(struct model **out, const struct ppo *ppo, struct error *err) {
    char *member = path_join(ppo->options.reward, "member-1");
    char *config = path_join(ppo->options.reward, "config.json");
    int whole = file_exists(config) || is_adapter(ppo->options.reward);
    const char *folder = whole ? ppo->options.reward : member;
    int form = ppo->options.weights;
    int status = lora_check_weights(form, ppo->options.lora, folder, "value_init: reward", err);

    if (status) goto out;
    status = model_load_as(out, folder, ppo->kernels, form, err);
    if (status)
        fail_within(err, "value_init: reward needs a reward that has a model");
    else if ((*out)->config.vocab != ppo->learner.policy.model->config.vocab) {
        status =
            fail(err, "value_init: the reward's model has %d tokens, the policy %d; use value_init: policy",
                 (*out)->config.vocab, ppo->learner.policy.model->config.vocab);
        model_free(*out);
        *out = NULL;
    }
out:
    free(config);
    free(member);
    return status;
}

static int make_value_model(struct ppo *ppo, struct error *err) {
    struct model **value = &ppo->learner.value.model, *trunk = NULL;
    int status;

    if (ppo->options.value_init == VALUE_FROM_POLICY)
        return model_clone(value, ppo->learner.policy.model, 1, 1, ppo->step->seed, err);
    if (load_reward_model(&trunk, ppo, err)) return -1;
    status = model_clone(value, trunk, 1, 1, ppo->step->seed, err);
    model_free(trunk);
    return status;
}

/* What adapters are put on stays as it was at the start: it serves as its own reference. */
static int share_reference(struct ppo *ppo, struct error *err) {
    if (trunk_create(&ppo->collector.reference, ppo->learner.policy.model, 0, err)) return -1;
    trunk_adapters(ppo->collector.reference, 0);
    return 0;
}

static int shares_reference(const struct ppo_options *o) {
    return o->lora && (!o->reference || strcmp(o->reference, o->policy) == 0);
}

static int load_reference(struct ppo *ppo, struct error *err) {
    const char *folder = ppo->options.reference ? ppo->options.reference : ppo->options.policy;

    if (!uses_reference(&ppo->options)) return 0;
    if (shares_reference(&ppo->options)) return share_reference(ppo, err);
    if (model_load_as(&ppo->reference, folder, ppo->kernels, ppo->options.weights, err)) return -1;
    if (ppo->reference->config.vocab != ppo->learner.policy.model->config.vocab)
        return fail(err, "the reference %s has %d tokens, the policy %d; they must share a tokenizer", folder,
                    ppo->reference->config.vocab, ppo->learner.policy.model->config.vocab);
    return trunk_create(&ppo->collector.reference, ppo->reference, 0, err);
}

/* A score head of zeros for the policy's values. */
static int add_value_head(struct model **policy, struct error *err) {
    struct model *bare = *policy;
    int status = model_clone(policy, bare, 1, 1, 0, err);

    model_free(bare);
    return status;
}

/* Each with its own, by its own modules' names. */
static int adapt(struct ppo *ppo, struct error *err) {
    struct model *value = ppo->learner.value.model;
    struct adapter_options adapters;

    if (!ppo->options.lora) return 0;
    if (ppo_adapters(&ppo->adapters, &ppo->options, ppo->step->name, &ppo->learner.policy.model->config, err))
        return -1;
    if (model_adapt(ppo->learner.policy.model, &ppo->adapters, ppo->step->seed, err)) return -1;
    if (!value) return 0;
    if (ppo_adapters(&adapters, &ppo->options, ppo->step->name, &value->config, err)) return -1;
    return model_adapt(value, &adapters, ppo->step->seed, err);
}

static void prepare_collector(struct ppo *ppo) {
    struct collector *collector = &ppo->collector;

    collector->options = &ppo->options;
    collector->seed = ppo->step->seed;
    collector->tokenizer = ppo->tokenizer;
    collector->end_token = tokenizer_end(ppo->tokenizer);
    collector->policy = ppo->learner.policy.model;
    collector->value = ppo->learner.value.trunk;
}

static int load_models(struct ppo *ppo, struct error *err) {
    struct learner *learner = &ppo->learner;
    int shared = ppo->options.value == VALUE_SHARED;

    learner->options = &ppo->options;
    if (folder_open_as(&learner->policy.model, &ppo->tokenizer, ppo->options.policy, ppo->kernels,
                       ppo->options.weights, err))
        return -1;
    if (shared ? add_value_head(&learner->policy.model, err) : make_value_model(ppo, err)) return -1;
    if (adapt(ppo, err) || load_reference(ppo, err)) return -1;
    if (pupil_prepare(&learner->policy, &ppo->options, err)) return -1;
    if (!shared && pupil_prepare(&learner->value, &ppo->options, err)) return -1;
    prepare_collector(ppo);
    return reward_open(&ppo->collector.reward, &ppo->collector.scorer, ppo->options.reward, ppo->kernels,
                       err);
}

static int load_prompts(struct ppo *ppo, struct error *err) {
    int context = ppo->learner.policy.model->config.context;
    struct collector *collector = &ppo->collector;
    struct prompts *prompts = &collector->prompts;

    if (prompts_open(prompts, ppo->options.data, "train", ppo->tokenizer, ppo->options.max_new, context,
                     ppo->step, err))
        return -1;
    if (prompts->count == 0)
        return fail(err, "%s: no training prompt is left; expected rows of split \"train\" in prompts.jsonl",
                    ppo->step->name);
    collector->order = xcalloc((size_t)prompts->count, sizeof *collector->order);
    collector->epoch = -1;
    return 0;
}

static void load_world(struct ppo *ppo) {
    char *name = data_world(ppo->options.data);

    if (name) ppo->world = world_find(name);
    free(name);
}

static int load_demonstrations(struct ppo *ppo, struct error *err) {
    struct examples examples = {0};
    int status =
        ppo->options.ptx > 0 ? data_read(ppo->options.data, "demonstrations.jsonl", &examples, err) : 0;

    for (int i = 0; i < examples.count; i++) {
        const struct example *example = &examples.items[i];
        struct tokens prompt = {0}, response = {0};

        if (!example->prompt || !example->response) continue;
        prompt_encode(ppo->tokenizer, example->prompt, &prompt);
        response_encode(ppo->tokenizer, example->response, 1, &response);
        if (prompt.count + response.count <= ppo->learner.policy.model->config.context)
            dataset_add(&ppo->demonstrations, prompt.ids, prompt.count, response.ids, response.count, 1);
        free(prompt.ids);
        free(response.ids);
    }
    examples_free(&examples);
    if (status || ppo->options.ptx <= 0) return status;
    if (ppo->demonstrations.count == 0) return fail(err, "%s: ptx needs demonstrations", ppo->step->name);
    ppo->ptx = (struct supervised){.trunk = ppo->learner.policy.trunk,
                                   .data = &ppo->demonstrations,
                                   .micro_tokens = ppo->options.micro_tokens};
    supervised_sizes(&ppo->ptx);
    ppo->learner.ptx = &ppo->ptx;
    return 0;
}

/* Each with random numbers of its own. */
static int round_weights(struct ppo *ppo, struct error *err) {
    struct pupil *policy = &ppo->learner.policy, *value = &ppo->learner.value;
    uint64_t seed = ppo->step->seed;

    if (!ppo->options.stochastic_rounding) return 0;
    if (optimizer_round(&policy->optimizer, policy->model, seed, err)) return -1;
    return value->model ? optimizer_round(&value->optimizer, value->model, seed + 1000003, err) : 0;
}

static int resume(struct ppo *ppo, struct error *err) {
    struct session *session = &ppo->session;

    session_begin(session, ppo->step);
    session_keep(session, "policy", ppo->learner.policy.model, &ppo->learner.policy.optimizer);
    if (ppo->learner.value.model)
        session_keep(session, "value", ppo->learner.value.model, &ppo->learner.value.optimizer);
    if (session_resume(session, err) < 0 || round_weights(ppo, err)) return -1;
    ppo->collector.state.beta = session_number(session, "beta", ppo->options.kl);
    ppo->collector.state.scores = session_number(session, "scores", 0);
    ppo->collector.state.score_mean = session_number(session, "score_mean", 0);
    ppo->collector.state.score_squares = session_number(session, "score_squares", 0);
    ppo->first_length = session_number(session, "first_length", 0);
    return 0;
}

static int save(struct ppo *ppo, int iteration, struct error *err) {
    struct node *numbers = node_new(NODE_MAP);
    int status;

    node_add_number(numbers, "iteration", iteration);
    node_add_number(numbers, "beta", ppo->collector.state.beta);
    node_add_number(numbers, "scores", ppo->collector.state.scores);
    node_add_number(numbers, "score_mean", ppo->collector.state.score_mean);
    node_add_number(numbers, "score_squares", ppo->collector.state.score_squares);
    node_add_number(numbers, "first_length", ppo->first_length);
    status = session_save(&ppo->session, numbers, err);
    node_free(numbers);
    return status;
}

static void raise_event(struct ppo *ppo, struct node *events, int event, double value, double limit) {
    node_add_text(events, NULL, event_names[event]);
    if (ppo->told & (1u << event)) return;
    ppo->told |= 1u << event;
    progress_notice("%s: %s: %.4g (limit %.4g)", ppo->step->name, event_names[event], value, limit);
}

static void watch(struct ppo *ppo, struct node *row, const struct rollout_facts *facts,
                  const struct learned *learned) {
    const struct ppo_options *o = &ppo->options;
    struct node *events = node_add(row, "events", NODE_LIST);
    double shortest = o->length_limit * ppo->first_length;

    if (!learned->finite) raise_event(ppo, events, EVENT_NAN, learned->gradient, 0);
    if (facts->kl > o->kl_limit) raise_event(ppo, events, EVENT_KL, facts->kl, o->kl_limit);
    if (learned->entropy < o->entropy_limit)
        raise_event(ppo, events, EVENT_ENTROPY, learned->entropy, o->entropy_limit);
    if (facts->repetition > o->repetition_limit)
        raise_event(ppo, events, EVENT_REPETITION, facts->repetition, o->repetition_limit);
    if (facts->length < shortest) raise_event(ppo, events, EVENT_LENGTH, facts->length, shortest);
    if (o->kl_stop > 0 && facts->kl > o->kl_stop) raise_event(ppo, events, EVENT_STOP, facts->kl, o->kl_stop);
}

static int write_row(struct ppo *ppo, int iteration, const struct rollout *rollout,
                     const struct rollout_facts *facts, const struct learned *learned, struct error *err) {
    struct node *row = node_new(NODE_MAP);
    int status;

    node_add_number(row, "iteration", iteration + 1);
    node_add_number(row, "episodes", (double)(iteration + 1) * ppo->options.episodes);
    node_add_number(row, "reward", facts->score);
    node_add_number(row, "gold", facts->gold);
    node_add_number(row, "refused", facts->refused);
    node_add_number(row, "kl", facts->kl);
    node_add_number(row, "kl3", facts->kl3);
    node_add_number(row, "entropy", learned->entropy);
    node_add_number(row, "length", facts->length);
    node_add_number(row, "ended", facts->ended);
    node_add_number(row, "clip_fraction", learned->clip_fraction);
    node_add_number(row, "explained_variance",
                    explained_variance(rollout->returns, rollout->value, rollout->total));
    node_add_number(row, "beta", ppo->collector.state.beta);
    node_add_number(row, "policy_loss", learned->policy_loss);
    node_add_number(row, "value_loss", learned->value_loss);
    node_add_number(row, "gradient", learned->gradient);
    node_add_number(row, "logprob_gap", learned->gap);
    node_add_number(row, "first_ratio", learned->ratio);
    node_add_number(row, "repetition", facts->repetition);
    watch(ppo, row, facts, learned);
    status = log_write(&ppo->session.log, row, err);
    node_free(row);
    return status;
}

static double seconds(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* 1: training ends here (kl_stop). */
static int one_iteration(struct ppo *ppo, int iteration, struct error *err) {
    const struct ppo_options *o = &ppo->options;
    struct rollout rollout = {0};
    struct rollout_facts facts;
    struct learned learned;
    double began = seconds();
    int status = -1;

    if (collector_sample(&ppo->collector, &rollout, iteration, err)) goto out;
    if (collector_read(&ppo->collector, &rollout, err)) goto out;
    rollout_measure(&facts, &rollout, ppo->world, ppo->collector.reference != NULL);
    if (iteration == 0) ppo->first_length = facts.length;
    if (collector_shape(&ppo->collector, &rollout, err)) goto out;
    if (learner_learn(&ppo->learner, &rollout, ppo->step->seed, iteration, &learned, err)) goto out;
    if (device_check(ppo->kernels, "an iteration's last update", err)) goto out;
    if (write_row(ppo, iteration, &rollout, &facts, &learned, err)) goto out;
    if (!learned.finite) {
        fail(err, "%s: iteration %d: a loss or gradient is not a number; lower lr (now %g) or raise kl",
             ppo->step->name, iteration + 1, o->lr);
        goto out;
    }
    if (o->kl_control == KL_ADAPTIVE)
        ppo->collector.state.beta =
            adapt_beta(ppo->collector.state.beta, facts.kl, o->kl_target, o->episodes, o->kl_horizon);
    progress_update(iteration + 1, "reward %.3f, kl %.2f, length %.1f", facts.score, facts.kl, facts.length);
    step_timing(ppo->step, "iteration", seconds() - began, rollout.total, "tokens");
    status = o->kl_stop > 0 && facts.kl > o->kl_stop;
out:
    rollout_free(&rollout);
    return status;
}

static int iterate(struct ppo *ppo, struct error *err) {
    const struct ppo_options *o = &ppo->options;
    int status = 0;

    progress_begin(ppo->step->name, o->iterations, "iterations");
    for (int i = (int)session_number(&ppo->session, "iteration", 0); i < o->iterations && !status; i++) {
        int last = i + 1 == o->iterations;

        status = one_iteration(ppo, i, err);
        if (!status && o->checkpoint_every && (last || (i + 1) % o->checkpoint_every == 0))
            status = save(ppo, i + 1, err);
    }
    progress_end();
    return status < 0 ? -1 : 0;
}

/* What is stored is a policy alone: a head that read values off its trunk stays behind. */
static int finish(struct ppo *ppo, struct error *err) {
    const struct model *policy = ppo->learner.policy.model;
    struct model *bare = NULL;
    int status = -1;

    if (ppo->options.value == VALUE_SHARED && !ppo->adapters.rank && model_clone(&bare, policy, 0, 0, 0, err))
        goto out;
    if (lora_store(bare ? bare : policy, ppo->tokenizer, ppo->step->folder, ppo->options.bits, &ppo->adapters,
                   ppo->options.policy, 0, err))
        goto out;
    status = session_finish(&ppo->session, err);
out:
    model_free(bare);
    return status;
}

static void ppo_free(struct ppo *ppo) {
    if (ppo->collector.scorer) ppo->collector.reward->close(ppo->collector.scorer);
    session_free(&ppo->session);
    collector_free(&ppo->collector);
    trunk_free(ppo->collector.reference);
    learner_free(&ppo->learner);
    model_free(ppo->reference);
    supervised_free(&ppo->ptx);
    dataset_free(&ppo->demonstrations);
    tokenizer_free(ppo->tokenizer);
}

static int ppo_run(struct run *run, const struct step *step, struct error *err) {
    struct ppo ppo = {.step = step};
    int status = -1;

    if (ppo_options_read(step->options, step_where(step), &ppo.options, err)) goto out;
    if (run_kernels(&ppo.kernels, run, err) || load_models(&ppo, err)) goto out;
    if (load_prompts(&ppo, err) || load_demonstrations(&ppo, err)) goto out;
    load_world(&ppo);
    if (resume(&ppo, err) || iterate(&ppo, err)) goto out;
    status = finish(&ppo, err);
out:
    ppo_free(&ppo);
    return status;
}

/* Models that learn. */
static int pupils(const struct ppo_options *o) {
    return o->value == VALUE_SHARED ? 1 : 2;
}

/* Models that score. */
static int scorers(const struct ppo_options *o) {
    return !reward_is_bare(o->reward);
}

/* Of one iteration. The policy samples, learns and may have a reference: these read the vocabulary's head.
   The reward, taken for one model unless it has none, and a value model of its own read the same rows without
   it; learning is so many passes. */
static double iteration_work(const struct ppo_options *o, const struct config *config, double passes) {
    struct passage rows = cost_answers(config, o->episodes, 1, o->max_new), scored = rows;
    int apart = pupils(o) - 1;

    scored.read = 0;
    return (1 + uses_reference(o) + passes * o->epochs) * cost_forward(config, &rows) +
           (scorers(o) + apart * (1 + passes * o->epochs)) * cost_forward(config, &scored);
}

/* A model that learns, and the larger of a minibatch's pass and one that reads an iteration's rows. */
static void hold_pupil(double held[HOLDINGS], const struct ppo_options *o, const struct config *config,
                       const struct kernels *kernels, const struct adapter_options *adapters) {
    int rows = (o->episodes + o->minibatches - 1) / o->minibatches;
    double reading[HOLDINGS] = {0};

    if (o->ptx > 0 && o->ptx_rows > rows) rows = o->ptx_rows;
    trunk_hold(reading, config, kernels, cost_held(config, o->micro_tokens, o->episodes), 0, 0, adapters);
    model_hold(held, config, kernels, o->weights, 1, adapters);
    plan_add(reading, held);
    trunk_hold(held, config, kernels, cost_held(config, o->micro_tokens, rows), 1, o->recompute, adapters);
    plan_phase(held, reading);
}

/* The policy that is stored without the head that read values off its trunk. */
static void hold_bare(double held[HOLDINGS], const struct ppo_options *o, const struct config *config,
                      const struct kernels *kernels) {
    double copy[HOLDINGS] = {0};

    model_hold(copy, config, kernels, o->weights, 0, NULL);
    if (o->value == VALUE_SHARED && !o->lora) held[HELD_PARAMETERS] += copy[HELD_PARAMETERS];
}

/* All at once: what learns, the reference, the reward, and the cache of what is sampled. */
static int ppo_hold(double held[HOLDINGS], const struct ppo_options *o, const struct config *config,
                    const struct kernels *kernels, const struct adapter_options *adapters,
                    struct error *err) {
    int slots = o->episodes < o->slots ? o->episodes : o->slots;
    struct config valued = *config;

    valued.score_heads = 1;
    for (int i = 0; i < pupils(o); i++) {
        double pupil[HOLDINGS] = {0};

        hold_pupil(pupil, o, &valued, kernels, adapters);
        plan_add(held, pupil);
    }
    hold_bare(held, o, config, kernels);
    if (uses_reference(o)) {
        if (!shares_reference(o)) model_hold(held, config, kernels, o->weights, 0, NULL);
        trunk_hold(held, config, kernels, cost_held(config, o->micro_tokens, o->episodes), 0, 0, NULL);
    }
    generator_hold(held, config, kernels, slots, cost_answer(config, o->max_new), adapters);
    held[HELD_ACTIVATIONS] += (double)experience_bytes(o);
    return reward_hold(held, o->reward, config, kernels, err) < 0 ? -1 : 0;
}

static int ppo_plan(const struct run *run, const struct step *step, struct plan *out, struct error *err) {
    const struct kernels *kernels = plan_kernels(run);
    struct ppo_options o;
    struct adapter_options adapters;
    struct config config;
    double parameters;
    char note[64] = "";
    int known, reference;

    if (ppo_options_read(step->options, step_where(step), &o, err)) return -1;
    if (rounding_check(o.stochastic_rounding, kernels, err)) return -1;
    known = folder_config(&config, o.policy, err);
    if (known < 0 || ppo_adapters(&adapters, &o, step_where(step), known ? &config : NULL, err)) return -1;
    if (known) lora_note(note, &adapters, &config);
    snprintf(out->note, sizeof out->note, "%d iterations of %d responses, %d x %d updates each%s%s",
             o.iterations, o.episodes, o.epochs, o.minibatches,
             known ? "" : "; sizes once the policy is there", note);
    if (!known) return 0;
    reference = uses_reference(&o) && !shares_reference(&o);
    parameters = config_parameters(&config);
    out->parameters = parameters * (pupils(&o) + reference + scorers(&o));
    if (weight_form_check(o.weights, kernels, err)) return -1;
    if (ppo_hold(out->held, &o, &config, kernels, lora_plan(&adapters), err)) return -1;
    plan_host(out, &config, run);
    out->flops = o.iterations * iteration_work(&o, &config, lora_passes(&adapters));
    return 0;
}

static const struct remedy remedies[] = {{"recompute", "true", 0},
                                         {"micro_tokens", NULL, 64},
                                         {"slots", NULL, 1},
                                         {"lora", "{rank: 8}", 0},
                                         {"value", "shared", 0},
                                         {"weights", "int8", 0},
                                         {0}};

const struct stage stage_ppo = {.name = "ppo",
                                .summary = "proximal policy optimisation against a reward",
                                .options = ppo_options,
                                .presets = ppo_presets,
                                .run = ppo_run,
                                .plan = ppo_plan,
                                .shared = 1,
                                .remedies = remedies};
