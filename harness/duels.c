#include "harness/duels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"

/* Whose answer it is, as the verdict or the answer itself says; NULL where neither does. */
static const char *told(const char *policy, const char *id, struct transcripts *answers) {
    const struct transcript *answer = policy ? NULL : transcripts_find(answers, id);

    return policy ? policy : answer ? answer->policy : NULL;
}

/* The prompt in an answer's id, POLICY/PROMPT or as trained ones are called POLICY-SEED-PROMPT; NULL if the
   id does not begin so. */
static const char *prompt_after(const char *id, const char *policy) {
    size_t length = strlen(policy);

    return !strncmp(id, policy, length) && strchr("/-", id[length]) && id[length] && id[length + 1]
               ? id + length + 1
               : NULL;
}

/* The prompt in both ids, where what they end in alike begins at one slash alone; else NULL. */
static const char *common_prompt(const char *id, const char *other) {
    size_t length = strlen(id), theirs = strlen(other);
    const char *found = NULL;

    for (const char *slash = strchr(id, '/'); slash; slash = strchr(slash + 1, '/')) {
        size_t tail = length - (size_t)(slash - id);

        if (theirs < tail || strcmp(other + theirs - tail, slash)) continue;
        if (found) return NULL;
        found = slash + 1;
    }
    return found;
}

/* What stands in the id before the prompt that it ends in; NULL if that is nobody, or not `policy`. Caller
   frees. */
static char *policy_before(const char *id, const char *prompt, const char *policy) {
    size_t length = strlen(id), tail = strlen(prompt) + 1;

    if (length <= tail || strcmp(id + length - tail + 1, prompt)) return NULL;
    if (policy && (strlen(policy) != length - tail || strncmp(policy, id, length - tail))) return NULL;
    return xstrndup(id, length - tail);
}

/* Fills policy, other and prompt_id. */
static int name_sides(struct duel *out, const struct verdict *verdict, struct transcripts *answers,
                      struct error *err) {
    const char *own = told(verdict->policy, verdict->transcript, answers);
    const char *theirs = told(verdict->other_policy, verdict->other, answers);
    const char *prompt = own      ? prompt_after(verdict->transcript, own)
                         : theirs ? prompt_after(verdict->other, theirs)
                                  : common_prompt(verdict->transcript, verdict->other);

    if (!prompt && !own && !theirs)
        return fail(
            err,
            "the ids %s and %s do not tell where the policies' names end; give their verdict \"policy\" "
            "and \"other_policy\", or name the answers' file too (--outputs)",
            verdict->transcript, verdict->other);
    out->policy = prompt ? policy_before(verdict->transcript, prompt, own) : NULL;
    out->other = prompt ? policy_before(verdict->other, prompt, theirs) : NULL;
    if (!out->policy || !out->other)
        return fail(err,
                    "%s and %s, of the policies %s and %s, are no answers to one prompt; ids of answers are "
                    "POLICY/PROMPT",
                    verdict->transcript, verdict->other, own ? own : "?", theirs ? theirs : "?");
    out->prompt_id = xstrdup(prompt);
    return 0;
}

static void swap(char **a, char **b) {
    char *kept = *a;

    *a = *b;
    *b = kept;
}

/* A verdict as one side of a duel, turned the right way round. */
static int one_sided(struct duel *out, const struct verdict *verdict, struct transcripts *answers,
                     const char *baseline, struct error *err) {
    double score = verdict->outcome <= OUTCOME_TIE ? verdict->score : NAN;
    int turn, order;

    *out = (struct duel){.judge = verdict->judge, .first = NAN, .second = NAN, .plain = NAN};
    if (name_sides(out, verdict, answers, err)) return -1;
    turn = baseline ? !strcmp(out->policy, baseline) : strcmp(out->policy, out->other) > 0;
    order = verdict->order && turn ? 3 - verdict->order : verdict->order;
    out->answer = turn ? verdict->other : verdict->transcript;
    out->other_answer = turn ? verdict->transcript : verdict->other;
    if (turn) swap(&out->policy, &out->other);
    *(order == 1 ? &out->first : order == 2 ? &out->second : &out->plain) = turn ? 1 - score : score;
    out->counts[order == 1 ? 0 : order == 2 ? 1 : 2] = !isnan(score);
    if (!isnan(score)) {
        out->games = verdict->reason && !strcmp(verdict->reason, "strong") ? 3 : 1;
        out->pooled = out->games * (turn ? 1 - score : score);
    }
    out->verdicts = verdict->outcome <= OUTCOME_TIE;
    out->ties = !isnan(score) && score == 0.5;
    out->unparsed = verdict->outcome == OUTCOME_UNPARSED;
    out->refused = verdict->outcome == OUTCOME_REFUSED;
    out->transport = verdict->outcome == OUTCOME_TRANSPORT;
    return 0;
}

static int by_place(const void *a, const void *b) {
    const struct duel *x = a, *y = b;
    int order = strcmp(x->judge, y->judge);

    if (!order) order = strcmp(x->policy, y->policy);
    if (!order) order = strcmp(x->other, y->other);
    return order ? order : strcmp(x->prompt_id, y->prompt_id);
}

static void duel_free(struct duel *duel) {
    free(duel->policy);
    free(duel->other);
    free(duel->prompt_id);
}

static double either(double a, double b) {
    return isnan(a) ? b : isnan(b) ? a : (a + b) / 2;
}

/* Means of several verdicts on one order, weighted by how many each stands for. */
static void join_mean(double *mean, int *count, double more, int more_count) {
    if (!more_count) return;
    *mean = *count ? (*mean * *count + more * more_count) / (*count + more_count) : more;
    *count += more_count;
}

static void join(struct duel *duel, struct duel *more) {
    join_mean(&duel->first, &duel->counts[0], more->first, more->counts[0]);
    join_mean(&duel->second, &duel->counts[1], more->second, more->counts[1]);
    join_mean(&duel->plain, &duel->counts[2], more->plain, more->counts[2]);
    duel->pooled += more->pooled;
    duel->games += more->games;
    duel->verdicts += more->verdicts;
    duel->ties += more->ties;
    duel->unparsed += more->unparsed;
    duel->refused += more->refused;
    duel->transport += more->transport;
    duel_free(more);
}

/* One duel a place, of all that stand there. */
static void join_all(struct duels *duels) {
    int kept = 0;

    qsort(duels->items, (size_t)duels->count, sizeof *duels->items, by_place);
    for (int i = 0; i < duels->count; i++) {
        if (kept && !by_place(&duels->items[kept - 1], &duels->items[i]))
            join(&duels->items[kept - 1], &duels->items[i]);
        else
            duels->items[kept++] = duels->items[i];
    }
    duels->count = kept;
}

int duels_make(struct duels *out, struct outputs *outputs, const char *baseline, struct error *err) {
    const struct verdicts *verdicts = &outputs->verdicts;

    *out = (struct duels){xmalloc(((size_t)verdicts->count + 1) * sizeof *out->items), 0};
    for (int i = 0; i < verdicts->count; i++) {
        const struct verdict *verdict = &verdicts->items[i];

        if (!verdict->other || strcmp(verdict->what, "preference")) continue;
        if (one_sided(&out->items[out->count++], verdict, &outputs->transcripts, baseline, err)) {
            duels_free(out);
            return -1;
        }
    }
    join_all(out);
    return 0;
}

void duels_free(struct duels *duels) {
    for (int i = 0; i < duels->count; i++) duel_free(&duels->items[i]);
    free(duels->items);
    *duels = (struct duels){0};
}

static const char *const rules[] = {"average", "mt-bench", "judgebench", "auto-j", "arena-hard"};

int duel_rule_read(enum duel_rule *out, const char *name, struct error *err) {
    for (int i = 0; i < 5; i++)
        if (!strcmp(rules[i], name)) {
            *out = (enum duel_rule)i;
            return 0;
        }
    return fail(
        err, "'%s' is no rule for two orders; there are average, mt-bench, judgebench, auto-j and arena-hard",
        name);
}

const char *duel_rule_name(enum duel_rule rule) {
    return rules[rule];
}

static double sign(double score) {
    return score > 0.5 ? 1 : score < 0.5 ? -1 : 0;
}

double duel_score(const struct duel *duel, enum duel_rule rule) {
    double mean = either(duel->first, duel->second), sum;

    if (rule == DUEL_ARENAHARD) return duel->games > 0 ? duel->pooled / duel->games : NAN;
    if (isnan(duel->first) || isnan(duel->second))
        return rule == DUEL_AUTOJ ? NAN : isnan(mean) ? duel->plain : mean;
    sum = sign(duel->first) + sign(duel->second);
    switch (rule) {
    case DUEL_MTBENCH:
        return sign(duel->first) == sign(duel->second) ? mean : 0.5;
    case DUEL_JUDGEBENCH:
        return sum > 0 ? 1 : sum < 0 ? 0 : 0.5;
    case DUEL_AUTOJ:
        return sum == 2;
    default:
        return mean;
    }
}
