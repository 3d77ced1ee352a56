#include "suites/gather.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/progress.h"
#include "harness/refusal_detector.h"
#include "judges/judge.h"
#include "suites/judgments.h"

static int read_world(struct gathered *out, const struct node *data, struct error *err) {
    char *path = data && data->first ? path_join(data->first->text, "world.json") : NULL;
    struct node *facts = NULL;
    int status = -1;

    if (!path || !file_exists(path)) {
        free(path);
        return 0;
    }
    facts = document_read(path, err);
    if (!facts) goto out;
    out->world = world_find(node_text(facts, "world", ""));
    if (!out->world) {
        fail(err, "%s: there is no world \"%s\"", path, node_text(facts, "world", ""));
        goto out;
    }
    out->dials = xcalloc(1, out->world->dials_size ? out->world->dials_size : 1);
    status = options_read(out->world->options, NULL, node_get(facts, "dials"), path, out->dials, err);
out:
    node_free(facts);
    free(path);
    return status;
}

static int read_questions(struct gathered *out, const char *folder, const char *name, struct error *err) {
    char *path = path_join(folder, name);
    int status = file_exists(path) ? examples_read(path, &out->questions, err) : 0;

    free(path);
    return status;
}

static int read_answers(struct gathered *out, const struct gather_options *options, struct error *err) {
    for (const struct node *folder = options->answers->first; folder; folder = folder->next) {
        char *path = path_join(folder->text, "transcripts.jsonl");
        int status = transcripts_read(path, &out->transcripts, err);

        free(path);
        if (status || read_questions(out, folder->text, "questions.jsonl", err)) return -1;
    }
    for (const struct node *folder = options->data ? options->data->first : NULL; folder;
         folder = folder->next)
        if (read_questions(out, folder->text, "prompts.jsonl", err)) return -1;
    out->asked = out->transcripts.count;
    nulls_add(&out->transcripts, options->baseline);
    return table_build(&out->table, &out->transcripts, options->baseline, err);
}

/* What the transcripts themselves tell. */
static void add_plain_columns(struct gathered *out) {
    double *tokens = table_add_column(&out->table, "tokens", NULL);
    double *truncated = table_add_column(&out->table, "truncated", NULL);

    for (int i = 0; i < table_cells(&out->table); i++) {
        const struct transcript *answer = out->table.answers[i];

        if (answer && (answer->tokens > 0 || answer->unit)) tokens[i] = answer->tokens;
        if (answer && answer->finish) truncated[i] = !strcmp(answer->finish, "length");
    }
}

void gathered_keep(struct gathered *out, struct verdicts *verdicts) {
    table_add_verdicts(&out->table, verdicts);
    for (int i = 0; i < verdicts->count; i++) {
        struct verdict *verdict = &verdicts->items[i];

        if (is_null_policy(verdict->transcript)) continue; /* their ids begin with their policy */
        *verdicts_add(&out->verdicts) = *verdict;
        *verdict = (struct verdict){0};
    }
    verdicts_free(verdicts);
}

/* Real data has no truth about refusals: the detector's word, and where it has none. */
static void detect_refusals(struct gathered *out) {
    double *refused = table_add_column(&out->table, "refused", "detector");
    double *undetermined = table_add_column(&out->table, "undetermined", "detector");

    for (int i = 0; i < table_cells(&out->table); i++) {
        const struct transcript *answer = out->table.answers[i];
        enum refusal found;

        if (!answer) continue;
        found = refusal_detect(answer->response);
        if (found != REFUSAL_UNDETERMINED) refused[i] = found == REFUSAL_REFUSED;
        undetermined[i] = found == REFUSAL_UNDETERMINED;
        if (is_null_policy(answer->policy)) continue;
        verdict_add(&out->verdicts, answer, "detector", "refused", found == REFUSAL_REFUSED);
        if (found == REFUSAL_UNDETERMINED) {
            struct verdict *verdict = &out->verdicts.items[out->verdicts.count - 1];

            verdict->outcome = OUTCOME_UNPARSED;
            verdict->reason = xstrdup("undetermined: neither answered nor refused");
        }
    }
}

static int judge_by(struct gathered *out, const char *name, const struct run *run, struct error *err) {
    struct judge_setup setup = {.run = run, .world = out->world, .dials = out->dials};
    const struct judge *judge = judge_find(name);
    const struct transcript **list = xmalloc((size_t)out->transcripts.count * sizeof *list);
    struct judging *judging = NULL;
    struct verdicts verdicts = {0};
    int status = -1;

    for (int i = 0; i < out->transcripts.count; i++) list[i] = &out->transcripts.items[i];
    if (!judge) {
        fail(err, "this program was built without the judge \"%s\"", name);
        goto out;
    }
    if (judge->open(&judging, &setup, err)) goto out;
    if (judge->judge(judging, list, out->transcripts.count, &verdicts, err)) goto out;
    gathered_keep(out, &verdicts);
    status = 0;
out:
    if (judging) judge->close(judging);
    verdicts_free(&verdicts);
    free(list);
    return status;
}

int gathered_knows_judge(struct gathered *out, const char *name) {
    for (int i = 0; i < out->judge_count; i++)
        if (!strcmp(out->judges[i], name)) return 1;
    out->judges = xrealloc(out->judges, (size_t)out->judge_count + 1, sizeof *out->judges);
    out->judges[out->judge_count++] = xstrdup(name);
    return 0;
}

/* Labels and judgments that were made elsewhere. */
static int read_verdicts(struct verdicts *out, const struct gather_options *options, struct error *err) {
    for (const struct node *file = options->verdicts ? options->verdicts->first : NULL; file;
         file = file->next)
        if (verdicts_read(file->text, out, err)) return -1;
    return 0;
}

static int judge_answers(struct gathered *out, const struct run *run, struct error *err) {
    if (!out->world) {
        detect_refusals(out);
        return 0;
    }
    if (judge_by(out, "gold", run, err)) return -1;
    return out->world->approve ? judge_by(out, "bounded", run, err) : 0;
}

static int is_in_split(const struct example *example, const char *split) {
    return example->split && !strcmp(example->split, split);
}

/* Held-out pairs, those that several data folders share once, the first `most` of each split. */
static void choose_pairs(struct gathered *out, int most) {
    out->pair_items = xmalloc((size_t)out->examples.count * sizeof *out->pair_items);
    out->pairs.items = out->pair_items;
    for (int i = 0; i < out->examples.count; i++) {
        const struct example *pair = &out->examples.items[i],
                             *first = examples_find(&out->examples, pair->id);
        int same = 0;

        if (!pair->chosen || !pair->rejected || !pair->split || is_in_split(pair, "train")) continue;
        if (first != pair && !strcmp(first->prompt, pair->prompt) && first->chosen &&
            !strcmp(first->chosen, pair->chosen))
            continue;
        for (int j = 0; j < out->pairs.count; j++) same += is_in_split(out->pair_items[j], pair->split);
        if (!most || same < most) out->pair_items[out->pairs.count++] = pair;
    }
}

static void judge_pairs_gold(struct gathered *out) {
    size_t bytes = (size_t)out->pairs.count * sizeof(double);

    if (!out->world) return;
    out->pairs.gold_chosen = xmalloc(bytes);
    out->pairs.gold_rejected = xmalloc(bytes);
    for (int i = 0; i < out->pairs.count; i++) {
        const struct example *pair = out->pair_items[i];
        struct features features = {0};

        out->world->inspect(pair->prompt, pair->chosen, &features);
        out->pairs.gold_chosen[i] = features.gold;
        out->world->inspect(pair->prompt, pair->rejected, &features);
        out->pairs.gold_rejected[i] = features.gold;
    }
}

static int read_pairs(struct gathered *out, const struct gather_options *options, struct error *err) {
    for (const struct node *folder = options->data ? options->data->first : NULL; folder;
         folder = folder->next) {
        char *path = path_join(folder->text, "pairs.jsonl");
        int status = file_exists(path) ? examples_read(path, &out->examples, err) : 0;

        free(path);
        if (status) return -1;
    }
    choose_pairs(out, options->reward_pairs);
    judge_pairs_gold(out);
    return 0;
}

/* One fitted reward: its folder, name and seed; `alone`: no other seed has one of this name. */
struct fitted {
    const char *folder;
    char *name;
    int seed, alone;
};

/* Rewards score answers to the first prompts of each split, 0: to all. */
static void choose_prompts(struct table *table, int most) {
    for (int q = 0; q < table->question_count && most; q++) {
        int before = 0;

        for (int i = 0; i < q; i++) before += !strcmp(table->questions[i].split, table->questions[q].split);
        table->questions[q].unscored = before >= most;
    }
}

/* The answers a reward scores: of its own seed, to the prompts chosen; in a world the null policies are left
   to the truth. */
static const struct transcript **choose_answers(const struct gathered *out, const struct fitted *fitted,
                                                int *count) {
    const struct table *table = &out->table;
    const struct transcript **list = xmalloc((size_t)table_cells(table) * sizeof *list);

    *count = 0;
    for (int q = 0; q < table->question_count; q++) {
        if (table->questions[q].unscored) continue;
        for (int p = 0; p < table->policy_count; p++)
            for (int s = 0; s < table->seed_count; s++) {
                const struct transcript *answer = table->answers[table_cell(table, p, s, q)];

                if (!answer || (out->world && is_null_policy(answer->policy))) continue;
                if (fitted->alone || answer->seed == fitted->seed) list[(*count)++] = answer;
            }
    }
    return list;
}

/* Both sides of the pairs as answers, chosen first. */
static struct transcript *pairs_as_answers(const struct gathered *out) {
    struct transcript *answers = xcalloc(2 * (size_t)out->pairs.count, sizeof *answers);

    for (int i = 0; i < 2 * out->pairs.count; i++) {
        const struct example *pair = out->pair_items[i / 2];

        answers[i] = (struct transcript){.id = pair->id,
                                         .prompt_id = pair->id,
                                         .prompt = pair->prompt,
                                         .response = i % 2 ? pair->rejected : pair->chosen};
    }
    return answers;
}

static int score_pairs(struct gathered *out, const struct judge *judge, struct judging *judging,
                       const struct fitted *fitted, struct error *err) {
    int count = 2 * out->pairs.count, status;
    struct transcript *answers = pairs_as_answers(out);
    const struct transcript **list = xmalloc((size_t)count * sizeof *list);
    struct verdicts verdicts = {0};

    for (int i = 0; i < count; i++) list[i] = &answers[i];
    status = judge->judge(judging, list, count, &verdicts, err);
    if (!status && count) {
        struct pair_scores *scores;

        out->pairs.scores =
            xrealloc(out->pairs.scores, (size_t)out->pairs.score_count + 1, sizeof *out->pairs.scores);
        scores = &out->pairs.scores[out->pairs.score_count++];
        scores->reward = xstrdup(fitted->name);
        scores->seed = fitted->seed;
        scores->chosen = xmalloc((size_t)out->pairs.count * sizeof(double));
        scores->rejected = xmalloc((size_t)out->pairs.count * sizeof(double));
        for (int i = 0; i < count; i++)
            (i % 2 ? scores->rejected : scores->chosen)[i / 2] = verdicts.items[i].score;
    }
    verdicts_free(&verdicts);
    free(answers);
    free(list);
    return status;
}

/* Token by token, what the reward says of the first answers of each policy. */
static int explain_answers(struct gathered *out, const struct judge *judge, struct judging *judging,
                           const struct fitted *fitted, int samples, struct error *err) {
    const struct table *table = &out->table;

    for (int q = 0; q < table->question_count && q < samples; q++)
        for (int p = 0; p < table->policy_count; p++) {
            const struct transcript *answer = table->answers[table_cell(table, p, 0, q)];
            struct node *row;

            if (!answer || is_null_policy(answer->policy)) continue;
            if (!fitted->alone && answer->seed != fitted->seed) continue;
            row = node_add(out->token_rewards, NULL, NODE_MAP);
            node_add_text(row, "policy", answer->policy);
            node_add_text(row, "reward", fitted->name);
            node_add_text(row, "transcript", answer->id);
            if (judge->explain(judging, answer, row, err)) return -1;
        }
    return 0;
}

static int judge_by_reward(struct gathered *out, const struct gather_options *options,
                           const struct fitted *fitted, const struct run *run, struct error *err) {
    struct judge_setup setup = {.run = run, .folder = fitted->folder, .name = fitted->name};
    const struct judge *judge = judge_find("reward_model");
    const struct transcript **list = NULL;
    struct verdicts verdicts = {0};
    struct judging *judging = NULL;
    int count, status = -1;

    if (!judge) return fail(err, "this program was built without the judge \"reward_model\"");
    if (judge->open(&judging, &setup, err)) goto out;
    list = choose_answers(out, fitted, &count);
    if (judge->judge(judging, list, count, &verdicts, err)) goto out;
    gathered_keep(out, &verdicts);
    if (score_pairs(out, judge, judging, fitted, err)) goto out;
    status = judge->explain ? explain_answers(out, judge, judging, fitted, options->samples, err) : 0;
out:
    if (judging) judge->close(judging);
    verdicts_free(&verdicts);
    free(list);
    if (status) fail_within(err, "the reward in %s", fitted->folder);
    return status;
}

static void add_reward_name(struct gathered *out, const char *name) {
    for (int i = 0; i < out->reward_count; i++)
        if (!strcmp(out->rewards[i], name)) return;
    out->rewards = xrealloc(out->rewards, (size_t)out->reward_count + 1, sizeof *out->rewards);
    out->rewards[out->reward_count++] = xstrdup(name);
}

static int judge_by_rewards(struct gathered *out, const struct gather_options *options, const struct run *run,
                            struct error *err) {
    int count = options->rewards ? options->rewards->count : 0, status = 0, n = 0;
    struct fitted *fitted = xcalloc((size_t)count, sizeof *fitted);

    for (const struct node *folder = count ? options->rewards->first : NULL; folder;
         folder = folder->next, n++) {
        fitted[n] = (struct fitted){.folder = folder->text, .alone = 1};
        fitted[n].name = step_label(folder->text, &fitted[n].seed);
    }
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count; j++)
            if (i != j && !strcmp(fitted[i].name, fitted[j].name)) fitted[i].alone = 0;
    if (count) choose_prompts(&out->table, options->reward_prompts);
    progress_begin("scoring with rewards", count, "rewards");
    for (int i = 0; i < count && !status; i++) {
        add_reward_name(out, fitted[i].name);
        status = judge_by_reward(out, options, &fitted[i], run, err);
        progress_update(i + 1, "%s", fitted[i].name);
    }
    progress_end();
    for (int i = 0; i < count; i++) free(fitted[i].name);
    free(fitted);
    return status;
}

static int add_iteration(void *context, const struct node *row, int line, struct error *err) {
    struct training *training = context;
    size_t room = (size_t)training->count + 1;

    (void)line;
    (void)err;
    if (!node_get(row, "reward") || !node_get(row, "kl")) return 0; /* a row of another kind */
    training->proxy = xrealloc(training->proxy, room, sizeof(double));
    training->gold = xrealloc(training->gold, room, sizeof(double));
    training->kl = xrealloc(training->kl, room, sizeof(double));
    training->proxy[training->count] = node_number(row, "reward", NAN);
    training->gold[training->count] = node_number(row, "gold", NAN);
    training->kl[training->count++] = node_number(row, "kl", NAN);
    return 0;
}

static int read_trainings(struct gathered *out, const struct gather_options *options, struct error *err) {
    int count = options->training ? options->training->count : 0;

    out->trainings = xcalloc((size_t)count, sizeof *out->trainings);
    for (const struct node *folder = count ? options->training->first : NULL; folder; folder = folder->next) {
        struct training *training = &out->trainings[out->training_count++];
        char *path = path_join(folder->text, "log.jsonl");
        int status;

        training->policy = step_label(folder->text, &training->seed);
        status = document_each(path, add_iteration, training, err);
        free(path);
        if (status) return -1;
    }
    return 0;
}

/* Judges' own, then those that were made elsewhere, whose judges are known before anybody is asked; pairs
   stay out of the table. */
static int make_verdicts(struct gathered *out, const struct gather_options *options, const struct run *run,
                         struct error *err) {
    struct verdicts elsewhere = {0};
    int status = read_verdicts(&elsewhere, options, err);

    for (int i = 0; i < elsewhere.count; i++) gathered_knows_judge(out, elsewhere.items[i].judge);
    if (!status) status = judge_answers(out, run, err);
    if (!status) status = judgments_make(out, options, run, err);
    if (!status) gathered_keep(out, &elsewhere);
    verdicts_free(&elsewhere);
    return status;
}

int gather(struct gathered *out, const struct gather_options *options, const struct run *run,
           struct error *err) {
    *out = (struct gathered){.token_rewards = node_new(NODE_LIST), .accounts = node_new(NODE_MAP)};
    if (read_world(out, options->data, err) || read_answers(out, options, err)) return -1;
    add_plain_columns(out);
    if (make_verdicts(out, options, run, err) || read_pairs(out, options, err)) return -1;
    if (judge_by_rewards(out, options, run, err)) return -1;
    return read_trainings(out, options, err);
}

void gathered_free(struct gathered *gathered) {
    for (int i = 0; i < gathered->pairs.score_count; i++) {
        free(gathered->pairs.scores[i].reward);
        free(gathered->pairs.scores[i].chosen);
        free(gathered->pairs.scores[i].rejected);
    }
    for (int i = 0; i < gathered->training_count; i++) {
        free(gathered->trainings[i].policy);
        free(gathered->trainings[i].proxy);
        free(gathered->trainings[i].gold);
        free(gathered->trainings[i].kl);
    }
    for (int i = 0; i < gathered->reward_count; i++) free((char *)gathered->rewards[i]);
    for (int i = 0; i < gathered->judge_count; i++) free((char *)gathered->judges[i]);
    free(gathered->judges);
    examples_free(&gathered->questions);
    node_free(gathered->accounts);
    free(gathered->rewards);
    free(gathered->trainings);
    free(gathered->pairs.scores);
    free(gathered->pairs.gold_chosen);
    free(gathered->pairs.gold_rejected);
    free(gathered->pair_items);
    examples_free(&gathered->examples);
    verdicts_free(&gathered->verdicts);
    table_free(&gathered->table);
    transcripts_free(&gathered->transcripts);
    node_free(gathered->token_rewards);
    free(gathered->dials);
    *gathered = (struct gathered){0};
}
