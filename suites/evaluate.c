/* The stage that turns the answers of all policies and seeds of one task into verdicts and metrics. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/judge_list.h"
#include "harness/memory.h"
#include "harness/names.h"
#include "harness/progress.h"
#include "harness/recipe.h"
#include "judges/judge.h"
#include "models/cost.h"
#include "models/folder.h"
#include "models/transformer.h"
#include "rewards/reward.h"
#include "suites/gather.h"
#include "suites/judgments.h"
#include "suites/measure.h"
#include "suites/warnings.h"

struct settings {
    struct gather_options gather;
    const struct node *suites;
    const char *task;
    int seed, resamples;
    double level, most_failures;
};

#define AT(field) offsetof(struct settings, field)
static const struct option options[] = {
    {"data", OPTION_STEPS, AT(gather.data), "", 0, 0, "world|pairs|prompts",
     "data folders: the world, if it is one, and held-out pairs"},
    {"answers", OPTION_STEPS, AT(gather.answers), NULL, 0, 0, "generate", "answers of every policy and seed"},
    {"rewards", OPTION_STEPS, AT(gather.rewards), "", 0, 0, "reward", "fitted rewards to look at"},
    {"training", OPTION_STEPS, AT(gather.training), "", 0, 0, "ppo", "PPO steps whose logs are read"},
    {"verdicts", OPTION_MAP, AT(gather.verdicts), "", 0, 0, NULL,
     "list of verdicts.jsonl with labels and judgments made elsewhere"},
    {"judges", OPTION_JUDGES, AT(gather.judges), "", 0, 0, NULL,
     "list of judges of every answer, and of pairs with the baseline's: {use: NAME, and its options}"},
    {"most_failures", OPTION_REAL, AT(most_failures), "0.05", 0, 1, NULL,
     "share of a judge's judgments that may be refused, unparsed or lost; beyond it pyrite ends in code 3"},
    {"suites", OPTION_MAP, AT(suites), "", 0, 0, NULL, "list of suites; all if not given"},
    {"baseline", OPTION_TEXT, AT(gather.baseline), BASELINE_POLICY, 0, 0, NULL,
     "the policy that others are compared with"},
    {"task", OPTION_TEXT, AT(task), "", 0, 0, NULL,
     "name of the task in tables; the world's, or the first data step's, if not given"},
    {"seed", OPTION_INT, AT(seed), "1", 0, 2147483647, NULL, "of resampling"},
    {"resamples", OPTION_INT, AT(resamples), "10000", 100, 10000000, NULL, "of the bootstrap"},
    {"level", OPTION_REAL, AT(level), "0.95", 0.5, 0.9999, NULL, "of the intervals"},
    {"reward_prompts", OPTION_INT, AT(gather.reward_prompts), "200", 0, 10000000, NULL,
     "prompts of each split whose answers the rewards score; 0: all"},
    {"reward_pairs", OPTION_INT, AT(gather.reward_pairs), "400", 0, 10000000, NULL,
     "held-out pairs of each split that the rewards score; 0: all"},
    {"samples", OPTION_INT, AT(gather.samples), "4", 0, 1000, NULL,
     "prompts whose answers are scored token by token"},
    {0}};
#undef AT

/* The suite of a name in the list, or the sentence with the nearest one. */
static const struct suite *named_suite(const struct node *name, const char *where, struct error *err) {
    const struct suite *found = name->kind == NODE_STRING ? suite_find(name->text) : NULL;
    const char *names[64], *nearest;
    int count = 0;

    if (found) return found;
    while (suites[count] && count < 64) {
        names[count] = suites[count]->name;
        count++;
    }
    nearest = name->text ? nearest_name(name->text, names, count) : NULL;
    fail_at(err, where, name->line, "there is no suite \"%s\"%s%s%s; pyrite list suite shows them",
            name->text ? name->text : "", nearest ? "; did you mean \"" : "", nearest ? nearest : "",
            nearest ? "\"?" : "");
    return NULL;
}

static int check_suites(const struct node *list, const char *where, struct error *err) {
    if (list && list->kind != NODE_LIST)
        return fail_at(err, where, list->line, "\"suites\" must be a list of suites");
    for (const struct node *name = list ? list->first : NULL; name; name = name->next)
        if (!named_suite(name, where, err)) return -1;
    return 0;
}

static int is_wanted(const struct node *list, const struct suite *suite) {
    if (!list) return 1;
    for (const struct node *name = list->first; name; name = name->next)
        if (!strcmp(name->text, suite->name)) return 1;
    return 0;
}

static int measure(const struct bench *bench, const struct node *list, struct metrics *out,
                   struct error *err) {
    int count = 0, done = 0;

    while (suites[count]) count++;
    progress_begin("measuring", count, "suites");
    for (const struct suite *const *suite = suites; *suite; suite++) {
        if (is_wanted(list, *suite) && (*suite)->measure(bench, out, err)) {
            progress_end();
            return fail_within(err, "suite %s", (*suite)->name);
        }
        progress_update(++done, "%s", (*suite)->name);
    }
    progress_end();
    metrics_over_seeds(out);
    metrics_note_sample(bench, out);
    metrics_adjust(out);
    return 0;
}

static int write_token_rewards(const struct step *step, const struct gathered *gathered, const char *task,
                               struct error *err) {
    char *path = step_path(step, "token_rewards.jsonl");
    struct output out;
    int status = output_open(&out, path, err);

    free(path);
    if (status) return -1;
    for (struct node *row = gathered->token_rewards->first; row; row = row->next) {
        if (!node_get(row, "tokens")->count) continue; /* a reward that sees no tokens */
        node_set_text(row, "task", task);
        node_print(out.file, row, 0);
    }
    return output_close(&out, err);
}

static int write_outputs(const struct step *step, const struct gathered *gathered,
                         const struct metrics *metrics, const char *task, struct error *err) {
    char *verdicts = step_path(step, "verdicts.jsonl"), *values = step_path(step, "metrics.jsonl");
    int status = verdicts_write(verdicts, &gathered->verdicts, err);

    if (!status) status = metrics_write(values, metrics, err);
    if (!status) status = write_token_rewards(step, gathered, task, err);
    free(verdicts);
    free(values);
    return status;
}

static char *task_name(const struct settings *settings, const struct gathered *gathered) {
    const struct node *data = settings->gather.data;
    int seed;

    if (settings->task) return xstrdup(settings->task);
    if (gathered->world) return xstrdup(gathered->world->name);
    return data && data->first ? step_label(data->first->text, &seed) : xstrdup("answers");
}

static int run_evaluate(struct run *run, const struct step *step, struct error *err) {
    struct settings settings;
    struct gathered gathered = {0};
    struct metrics metrics = {0};
    struct bench bench;
    char *task = NULL;
    int status = -1;

    if (options_read(options, NULL, step->options, run->recipe, &settings, err)) return -1;
    if (check_suites(settings.suites, run->recipe, err)) return -1;
    if (judge_lists_check(options, step->options, run->recipe, err)) return -1;
    settings.gather.where = run->recipe;
    if (gather(&gathered, &settings.gather, run, err)) goto out;
    task = task_name(&settings, &gathered);
    bench = (struct bench){.task = task,
                           .world = gathered.world,
                           .table = &gathered.table,
                           .pairs = &gathered.pairs,
                           .questions = &gathered.questions,
                           .trainings = gathered.trainings,
                           .training_count = gathered.training_count,
                           .rewards = gathered.rewards,
                           .reward_count = gathered.reward_count,
                           .reward_prompts = settings.gather.reward_prompts,
                           .judges = gathered.judges,
                           .judge_count = gathered.judge_count,
                           .seed = (uint64_t)settings.seed,
                           .resamples = settings.resamples,
                           .level = settings.level};
    if (measure(&bench, settings.suites, &metrics, err)) goto out;
    if (write_outputs(step, &gathered, &metrics, task, err)) goto out;
    if (warnings_write(&bench, settings.suites, &metrics, step->folder, err)) goto out;
    status = judgments_write(&gathered, settings.most_failures, step->folder, err);
out:
    free(task);
    metrics_free(&metrics);
    gathered_free(&gathered);
    return status;
}

enum { SPLITS = 2 }; /* that prompts are asked of, as a rule: heldout and ood */

/* Rewards score both sides of held-out pairs and every policy's answers; 0 without limits on both. */
static double scored_rows(const struct gather_options *o) {
    int answers = o->answers ? o->answers->count : 0;

    if (!o->reward_prompts || !o->reward_pairs) return 0;
    return 2.0 * o->reward_pairs + (double)SPLITS * o->reward_prompts * answers;
}

/* Of a reward, or of an ensemble's first member; 0: not known yet. */
static int reward_config(struct config *out, const char *folder, struct error *err) {
    int known = folder_config(out, folder, err);
    char *member = path_join(folder, "member-1");

    if (known == 0) known = folder_config(out, member, err);
    free(member);
    return known;
}

/* Rewards are read in turn. */
static int plan_rewards(const struct gather_options *o, const struct kernels *kernels, struct plan *out,
                        struct error *err) {
    double rows = scored_rows(o);

    for (const struct node *folder = o->rewards ? o->rewards->first : NULL; folder; folder = folder->next) {
        struct passage read;
        struct config config;
        double held[HOLDINGS] = {0};
        int known = reward_config(&config, folder->text, err);

        if (known < 0 || reward_hold(held, folder->text, NULL, kernels, err) < 0) return -1;
        if (!known) continue;
        plan_phase(out->held, held);
        out->parameters = fmax(out->parameters, config_parameters(&config));
        read = cost_rows(&config, rows);
        out->flops += cost_forward(&config, &read);
    }
    return 0;
}

/* What can be wrong in a recipe is wrong before hours of training. */
static int plan_evaluate(const struct run *run, const struct step *step, struct plan *out,
                         struct error *err) {
    struct settings settings;

    if (options_read(options, NULL, step->options, run->recipe, &settings, err)) return -1;
    if (judges_check(settings.gather.judges, run->recipe, err)) return -1;
    return plan_rewards(&settings.gather, plan_kernels(run), out, err);
}

/* What transcripts of a generate step call its policy; NULL where only a folder's files say. Caller frees. */
static char *policy_of(const struct recipe *recipe, const struct instance *answers) {
    const char *given = node_text(answers->options, "name", "");

    if (given[0]) return policy_name(given);
    for (int i = 0; i < answers->input_count; i++) {
        const struct input *input = &answers->inputs[i];

        if (!strcmp(input->option->name, "policy") && input->step >= 0)
            return policy_name(recipe->steps[input->step].label);
    }
    return NULL;
}

/* The baseline is the policy of one of the answers, as far as the recipe tells whose they are. */
static int check_baseline(const struct recipe *recipe, const struct instance *instance, const char *baseline,
                          struct error *err) {
    const struct node *given = node_get(instance->options, "baseline");
    char **labels = xcalloc((size_t)instance->input_count + 1, sizeof *labels);
    struct names names = {0};
    int found = 0, status = 0;

    for (int i = 0; i < instance->input_count && !found; i++) {
        const struct input *input = &instance->inputs[i];

        if (strcmp(input->option->name, "answers")) continue;
        labels[i] = input->step < 0 ? NULL : policy_of(recipe, &recipe->steps[input->step]);
        found = !labels[i] || !strcmp(labels[i], baseline);
        if (!found) names_add(&names, labels[i]);
    }
    if (!found && names.count) {
        char *hint = names_hint(&names, baseline);

        status = fail(err, "%s:%d: there are no answers of the baseline '%s'%s", recipe->path,
                      given ? given->line : instance->line, baseline, hint);
        free(hint);
    }
    for (int i = 0; i < instance->input_count; i++) free(labels[i]);
    free(labels);
    free(names.items);
    return status;
}

static int check_evaluate(const struct recipe *recipe, const struct instance *instance, struct error *err) {
    struct node *given = instance_options(instance, input_name, NULL);
    struct settings settings;
    int status = options_read(options, NULL, given, recipe->path, &settings, err);

    if (!status) status = check_suites(settings.suites, recipe->path, err);
    if (!status) status = check_baseline(recipe, instance, settings.gather.baseline, err);
    node_free(given);
    return status;
}

const struct stage stage_evaluate = {.name = "evaluate",
                                     .summary =
                                         "judgments and metrics of the answers of all policies and seeds",
                                     .options = options,
                                     .run = run_evaluate,
                                     .check = check_evaluate,
                                     .plan = plan_evaluate};
