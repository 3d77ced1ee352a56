#include "harness/duels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"

size_t duel_policy_length(const char *transcript, const char *other) {
    size_t length = strlen(transcript), theirs = strlen(other);

    for (const char *slash = strchr(transcript, '/'); slash; slash = strchr(slash + 1, '/')) {
        size_t tail = length - (size_t)(slash - transcript);

        if (theirs > tail && !strcmp(other + theirs - tail, slash)) return (size_t)(slash - transcript);
    }
    return length;
}

/* A verdict as one side of a duel, turned the right way round. */
static struct duel one_sided(const struct verdict *verdict, const char *baseline) {
    size_t own = duel_policy_length(verdict->transcript, verdict->other);
    size_t theirs = duel_policy_length(verdict->other, verdict->transcript);
    char *policy = xstrndup(verdict->transcript, own), *other = xstrndup(verdict->other, theirs);
    const char *prompt = verdict->transcript[own] ? verdict->transcript + own + 1 : verdict->transcript;
    int turn = baseline ? !strcmp(policy, baseline) : strcmp(policy, other) > 0;
    double score = verdict->outcome <= OUTCOME_TIE ? verdict->score : NAN;
    int order = verdict->order && turn ? 3 - verdict->order : verdict->order;
    struct duel duel = {
        .judge = verdict->judge, .prompt_id = xstrdup(prompt), .first = NAN, .second = NAN, .plain = NAN};

    duel.policy = turn ? other : policy;
    duel.other = turn ? policy : other;
    *(order == 1 ? &duel.first : order == 2 ? &duel.second : &duel.plain) = turn ? 1 - score : score;
    duel.counts[order == 1 ? 0 : order == 2 ? 1 : 2] = !isnan(score);
    if (!isnan(score)) {
        duel.games = verdict->reason && !strcmp(verdict->reason, "strong") ? 3 : 1;
        duel.pooled = duel.games * (turn ? 1 - score : score);
    }
    duel.verdicts = verdict->outcome <= OUTCOME_TIE;
    duel.ties = !isnan(score) && score == 0.5;
    duel.unparsed = verdict->outcome == OUTCOME_UNPARSED;
    duel.refused = verdict->outcome == OUTCOME_REFUSED;
    duel.transport = verdict->outcome == OUTCOME_TRANSPORT;
    return duel;
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

void duels_make(struct duels *out, const struct verdicts *verdicts, const char *baseline) {
    int kept = 0;

    *out = (struct duels){xmalloc(((size_t)verdicts->count + 1) * sizeof *out->items), 0};
    for (int i = 0; i < verdicts->count; i++)
        if (verdicts->items[i].other && !strcmp(verdicts->items[i].what, "preference"))
            out->items[out->count++] = one_sided(&verdicts->items[i], baseline);
    qsort(out->items, (size_t)out->count, sizeof *out->items, by_place);
    for (int i = 0; i < out->count; i++) {
        if (kept && !by_place(&out->items[kept - 1], &out->items[i]))
            join(&out->items[kept - 1], &out->items[i]);
        else
            out->items[kept++] = out->items[i];
    }
    out->count = kept;
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
