#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/duels.h"
#include "harness/format.h"
#include "harness/memory.h"
#include "harness/names.h"
#include "harness/outputs.h"
#include "harness/statistics.h"
#include "harness/statistics_agree.h"
#include "harness/statistics_length.h"
#include "harness/tabular.h"

enum { MAIN, LENGTH };

struct winrates {
    const struct arguments *arguments;
    struct outputs outputs;
    struct duels duels;
    enum duel_rule rule;
    enum tabular_format format;
    enum length_variant variant;
    struct bootstrap bootstrap;
    const char *baseline;
    int uneven; /* policies were judged on different prompts */
    struct match *matches;
    int match_count;
    struct tabular tables[2]; /* MAIN, LENGTH */
};

/* The duels of one judge and one pair of policies, and what they come to. */
struct match {
    const struct duel *duels;
    int count;
    struct estimate rate; /* NaN where there is none */
    double adjusted;      /* its p by Holm's method, within the table */
    double won, games, missing;
    int judged, ties, unparsed, failed;
};

static int read_files(struct winrates *all, struct error *err) {
    const struct arguments *arguments = all->arguments;
    struct outputs_how how = {.allow_missing = 1};

    for (int i = 0; i < arguments->count; i++)
        if (outputs_read(&all->outputs, arguments->words[i], &how, err)) return -1;
    for (int i = 0; i < arguments->flag_count; i++)
        if (!strcmp(arguments->flags[i]->name, "outputs") &&
            outputs_read_word(&all->outputs, arguments->values[i], &how, err))
            return -1;
    return 0;
}

/* The policy that stands in every pair, if there is one. */
static const char *common_policy(const struct duels *duels) {
    const char *candidates[2] = {duels->items[0].other, duels->items[0].policy};

    for (int c = 0; c < 2; c++) {
        int everywhere = 1;

        for (int i = 0; i < duels->count; i++)
            everywhere &= !strcmp(duels->items[i].policy, candidates[c]) ||
                          !strcmp(duels->items[i].other, candidates[c]);
        if (everywhere) return candidates[c];
    }
    return NULL;
}

static int is_policy(const struct duels *duels, const char *name) {
    for (int i = 0; i < duels->count; i++)
        if (!strcmp(duels->items[i].policy, name) || !strcmp(duels->items[i].other, name)) return 1;
    return 0;
}

static int make_duels(struct winrates *all, struct error *err) {
    const char *asked = argument_value(all->arguments, "baseline", NULL);
    char *common;

    if (duels_make(&all->duels, &all->outputs, NULL, err)) return -1;
    if (!all->duels.count)
        return fail(err, "the files hold no verdicts on pairs of answers; 'pyrite score --judge' makes some");
    if (asked && !is_policy(&all->duels, asked))
        return fail(err, "no verdict is about the baseline '%s'", asked);
    all->baseline = common = xstrdup(asked ? asked : common_policy(&all->duels));
    if (!common) return 0;
    duels_free(&all->duels);
    return duels_make(&all->duels, &all->outputs, common, err);
}

static int same_match(const struct duel *a, const struct duel *b) {
    return !strcmp(a->judge, b->judge) && !strcmp(a->policy, b->policy) && !strcmp(a->other, b->other);
}

static double characters(const char *text) {
    double count = 0;

    for (; *text; text++) count += (*text & 0xc0) != 0x80;
    return count;
}

/* Judged prompts of a match whose two answers are known. */
struct lengths {
    double *delta, *score; /* other's less the policy's */
    int count;
};

static struct lengths lengths_of(struct winrates *all, const struct match *match) {
    struct lengths out = {xmalloc((size_t)match->count * sizeof(double)),
                          xmalloc((size_t)match->count * sizeof(double)), 0};

    for (int i = 0; i < match->count && all->outputs.transcripts.count; i++) {
        const struct duel *duel = &match->duels[i];
        const struct transcript *own = transcripts_find(&all->outputs.transcripts, duel->answer);
        const struct transcript *theirs = transcripts_find(&all->outputs.transcripts, duel->other_answer);
        double score = duel_score(duel, all->rule);

        if (!own || !theirs || isnan(score)) continue;
        out.delta[out.count] = characters(theirs->response) - characters(own->response);
        out.score[out.count++] = score;
    }
    return out;
}

/* Shares, shown in percent. */
static void add_share(struct node *row, double value, double low, double high) {
    char text[40];

    if (isnan(value))
        snprintf(text, sizeof text, "–");
    else if (isnan(low))
        snprintf(text, sizeof text, "%.1f %%", 100 * value);
    else
        snprintf(text, sizeof text, "%.1f %% [%.1f, %.1f]", 100 * value, 100 * low, 100 * high);
    tabular_interval(row, text, value, low, high);
}

/* How often the judge took the longer of two answers. */
static void add_longer(struct node *row, const struct lengths *lengths, double level) {
    double *own = xmalloc((size_t)lengths->count * sizeof *own);
    struct estimate got;
    struct error err;

    for (int i = 0; i < lengths->count; i++) own[i] = -lengths->delta[i];
    if (longer_preferred(&got, lengths->score, own, lengths->count, level, &err))
        got.value = got.low = got.high = NAN;
    add_share(row, got.value, got.low, got.high);
    free(own);
}

/* Arena-hard's estimate weighs prompts by their games: a ratio of sums, against ½. */
static int pooled_rate(struct estimate *out, const struct match *match, const struct bootstrap *how,
                       struct error *err) {
    size_t bytes = (size_t)match->count * sizeof(double);
    double *above = xmalloc(bytes), *games = xmalloc(bytes);
    struct bootstrapped got;
    int status;

    for (int i = 0; i < match->count; i++) {
        games[i] = match->duels[i].games;
        above[i] = match->duels[i].pooled - games[i] / 2;
    }
    status = bootstrap_mean(&got, above, games, match->count, how, err);
    *out =
        (struct estimate){.value = got.value + 0.5, .low = got.low + 0.5, .high = got.high + 0.5, .p = got.p};
    free(above);
    free(games);
    return status;
}

static void add_positions(struct node *row, const struct match *match, double level) {
    double *first = xmalloc((size_t)match->count * sizeof *first),
           *second = xmalloc((size_t)match->count * sizeof *second);
    struct positions positions;
    struct error err;

    for (int i = 0; i < match->count; i++) {
        first[i] = match->duels[i].first;
        second[i] = match->duels[i].second;
    }
    if (positions_measure(&positions, first, second, NULL, match->count, level, &err)) {
        add_share(row, NAN, NAN, NAN);
        add_share(row, NAN, NAN, NAN);
    } else {
        add_share(row, positions.consistency, positions.consistency_at.low, positions.consistency_at.high);
        add_share(row, positions.first_slot, positions.first_slot_at.low, positions.first_slot_at.high);
    }
    free(first);
    free(second);
}

static void measure_match(struct winrates *all, struct match *match) {
    double *scores = xmalloc((size_t)match->count * sizeof *scores);
    int pooled = all->rule == DUEL_ARENAHARD;
    struct error err;

    for (int i = 0; i < match->count; i++) {
        double score = duel_score(&match->duels[i], all->rule), weight = pooled ? match->duels[i].games : 1;

        match->ties += score == 0.5;
        match->unparsed += match->duels[i].unparsed + match->duels[i].refused;
        match->failed += match->duels[i].transport;
        if (isnan(score)) {
            match->missing += pooled ? 2 : 1;
            continue;
        }
        scores[match->judged++] = score;
        match->won += weight * score;
        match->games += weight;
    }
    if (pooled ? pooled_rate(&match->rate, match, &all->bootstrap, &err)
               : win_rate(&match->rate, scores, match->judged, all->bootstrap.level, &err)) {
        match->rate.low = match->rate.high = match->rate.p = NAN;
        match->rate.value = match->judged ? match->won / match->games : NAN;
        tabular_note(&all->tables[MAIN], "%s against %s, %s: no interval: %s.", match->duels->policy,
                     match->duels->other, match->duels->judge, err.message);
    }
    free(scores);
}

static void adjust(struct winrates *all) {
    double *p = xmalloc((size_t)all->match_count * sizeof *p),
           *adjusted = xmalloc((size_t)all->match_count * sizeof *adjusted);

    for (int i = 0; i < all->match_count; i++) p[i] = all->matches[i].rate.p;
    adjust_holm(adjusted, p, all->match_count);
    for (int i = 0; i < all->match_count; i++) all->matches[i].adjusted = adjusted[i];
    free(p);
    free(adjusted);
}

/* The rate were those without a verdict all lost, and all won. */
static void add_bounds(struct node *row, const struct match *match) {
    double whole = match->games + match->missing, low = match->won / whole,
           high = (match->won + match->missing) / whole;
    struct node *cell =
        tabular_cell(row, match->missing > 0 ? "%.1f to %.1f %%" : "–", 100 * low, 100 * high);

    node_add_number(cell, "low", match->missing > 0 ? low : NAN);
    node_add_number(cell, "high", match->missing > 0 ? high : NAN);
}

static void add_main(struct winrates *all, const struct match *match) {
    struct node *row = tabular_add(&all->tables[MAIN]), *cell;
    struct lengths lengths = lengths_of(all, match);

    tabular_cell(row, "%s", match->duels->judge);
    tabular_cell(row, "%s", match->duels->policy);
    tabular_cell(row, "%s", match->duels->other);
    add_share(row, match->rate.value, match->rate.low, match->rate.high);
    tabular_p(row, match->rate.p);
    tabular_p(row, match->adjusted);
    cell = tabular_cell(row, "%d/%d", match->judged, match->count);
    node_add_number(cell, "value", match->judged);
    node_add_number(cell, "prompts", match->count);
    tabular_number(row, "%.0f", match->ties);
    tabular_number(row, "%.0f", match->unparsed);
    tabular_number(row, "%.0f", match->failed);
    add_bounds(row, match);
    add_positions(row, match, all->bootstrap.level);
    add_longer(row, &lengths, all->bootstrap.level);
    free(lengths.delta);
    free(lengths.score);
}

/* Whether the duel tells of a prompt's difficulty: another model's, before the same judge, against the same
 * other. */
static int tells_difficulty(const struct duel *duel, const struct match *match) {
    return !strcmp(duel->judge, match->duels->judge) && !strcmp(duel->other, match->duels->other) &&
           strcmp(duel->policy, match->duels->policy) != 0;
}

/* At least three other models were judged on every prompt. */
static int enough_models(const double *table, int models, int prompts) {
    for (int i = 0; i < prompts; i++) {
        int judged = 0;

        for (int m = 0; m < models; m++) judged += !isnan(table[(size_t)m * prompts + i]);
        if (judged < 3) return 0;
    }
    return 1;
}

/* Difficulty of the match's prompts by the other models' fates; the model's own would leak into its rate.
   NULL where there are too few. */
static double *difficulty_of(const struct winrates *all, const struct match *match) {
    struct names models = {0}, prompts = {0}; /* a match's prompts stand in it once each */
    double *table, *out = xmalloc((size_t)match->count * sizeof *out);
    struct error err;
    int status;

    for (int i = 0; i < all->duels.count; i++) {
        const struct duel *duel = &all->duels.items[i];

        if (tells_difficulty(duel, match)) names_add(&models, duel->policy);
    }
    table = xmalloc((size_t)models.count * match->count * sizeof *table);
    for (int i = 0; i < models.count * match->count; i++) table[i] = NAN;
    for (int i = 0; i < match->count; i++) names_add(&prompts, match->duels[i].prompt_id);
    for (int i = 0; i < all->duels.count; i++) {
        const struct duel *duel = &all->duels.items[i];
        int prompt = names_place(&prompts, duel->prompt_id);

        if (prompt >= 0 && tells_difficulty(duel, match))
            table[(size_t)names_place(&models, duel->policy) * match->count + prompt] =
                duel_score(duel, all->rule);
    }
    status = enough_models(table, models.count, match->count)
                 ? length_difficulty(out, table, models.count, match->count, &err)
                 : -1;
    free(table);
    free(models.items);
    free(prompts.items);
    if (!status) return out;
    free(out);
    return NULL;
}

static const char shrunk_note[] = "; 1/2 by construction: the penalty shrank every coefficient to 0";

/* No coefficient is left, so that the rate says nothing of the answers. */
static int is_shrunk(const struct length_fit *fit) {
    return isfinite(fit->c) && fabs(fit->value - 0.5) < 1e-9 && fabs(fit->phi) < 1e-9;
}

static void add_length(struct winrates *all, const struct match *match) {
    struct lengths lengths = lengths_of(all, match);
    double *difficulty = NULL;
    struct length_data data = {.n = lengths.count, .delta = lengths.delta, .preference = lengths.score};
    struct length_fit fit;
    struct error err;
    struct node *cell;
    int status;

    if (!lengths.count) goto out;
    if (all->variant != LENGTH_MINIMAL && lengths.count == match->count)
        difficulty = difficulty_of(all, match);
    data.difficulty = difficulty;
    status = length_controlled(&fit, &data, all->variant, NAN, &all->bootstrap, &err);
    struct node *row = tabular_add(&all->tables[LENGTH]);
    tabular_cell(row, "%s", match->duels->judge);
    tabular_cell(row, "%s", match->duels->policy);
    tabular_cell(row, "%s", match->duels->other);
    add_share(row, fit.raw, NAN, NAN);
    add_share(row, fit.value, fit.low, fit.high);
    tabular_number(row, "%.3f", isnan(fit.value) ? NAN : fit.phi);
    cell = tabular_cell(row, isnan(fit.value) ? "–" : isinf(fit.c) ? "none" : "%.4g", fit.c);
    node_add_number(cell, "value", isnan(fit.value) ? NAN : fit.c);
    tabular_cell(row, "%s%s", length_variant_name(all->variant), difficulty ? ", difficulty" : "");
    tabular_number(row, "%.0f", lengths.count);
    tabular_cell(row, "%s%s%s", status ? err.message : "",
                 !status && fit.far ? "far from the raw rate: do not trust it alone" : "",
                 is_shrunk(&fit) ? status || fit.far ? shrunk_note : shrunk_note + 2 : "");
out:
    free(difficulty);
    free(lengths.delta);
    free(lengths.score);
}

static void add_notes(struct winrates *all) {
    struct tabular *main = &all->tables[MAIN], *length = &all->tables[LENGTH];
    char level[16];

    snprintf(level, sizeof level, "%g %%", 100 * all->bootstrap.level);
    if (all->rule == DUEL_ARENAHARD)
        tabular_note(main,
                     "Win 1, tie 1/2, loss 0, pooled over games by the rule arena-hard: a verdict of much "
                     "better counts three times. %s intervals and p: bootstrap over prompts (%d resamples, "
                     "seed %llu).",
                     level, all->bootstrap.resamples, (unsigned long long)all->bootstrap.seed);
    else
        tabular_note(main,
                     "Win 1, tie 1/2, loss 0; two orders become one score by the rule %s. %s intervals: "
                     "Wilson's where no "
                     "prompt is tied or split, and then the p is the exact sign test's; else Student's t "
                     "over prompts.",
                     duel_rule_name(all->rule), level);
    tabular_note(main, "p (Holm): corrected for the tests of this table by Holm's method.");
    for (int i = 0; i < 2 && all->uneven; i++)
        tabular_note(i ? length : main, "Policies were judged on different prompts, and --allow-missing was "
                                        "given: their rates are not comparable.");
    tabular_note(main, "Judged: prompts with a verdict; the bounds count the others as all lost, or all won. "
                       "Consistency and "
                       "first slot need both orders; no bias is 50 %%.");
    tabular_note(
        length,
        "%s interval: bootstrap over prompts, each refitted (%d resamples, seed %llu). The length-controlled "
        "rate depends on its variant: read it beside the raw one.",
        level, all->bootstrap.resamples, (unsigned long long)all->bootstrap.seed);
}

static void find_matches(struct winrates *all) {
    all->matches = xmalloc((size_t)all->duels.count * sizeof *all->matches);
    for (int i = 0, end; i < all->duels.count; i = end) {
        struct match *match = &all->matches[all->match_count++];

        for (end = i; end < all->duels.count && same_match(&all->duels.items[i], &all->duels.items[end]);)
            end++;
        *match = (struct match){.duels = &all->duels.items[i], .count = end - i};
    }
}

static void measure(struct winrates *all) {
    for (int i = 0; i < all->match_count; i++) measure_match(all, &all->matches[i]);
    adjust(all);
    for (int i = 0; i < all->match_count; i++) {
        add_main(all, &all->matches[i]);
        add_length(all, &all->matches[i]);
    }
    add_notes(all);
}

static int same_prompts(const struct match *a, const struct match *b) {
    if (a->count != b->count) return 0;
    for (int i = 0; i < a->count; i++)
        if (strcmp(a->duels[i].prompt_id, b->duels[i].prompt_id)) return 0;
    return 1;
}

/* Policies compared with one baseline by one judge must have been judged on the same prompts. */
static int check_prompts(struct winrates *all, struct error *err) {
    const struct match *first = all->matches;

    if (!all->baseline) return 0;
    for (int i = 0; i < all->match_count; i++) {
        const struct match *match = &all->matches[i];

        if (strcmp(first->duels->judge, match->duels->judge)) first = match;
        if (same_prompts(first, match)) continue;
        all->uneven = 1;
        if (!argument_given(all->arguments, "allow-missing"))
            return fail(err,
                        "%s and %s were judged on different prompts (%d and %d of them); win rates against "
                        "one baseline "
                        "need the same ones, --allow-missing prints them all the same and says so",
                        first->duels->policy, match->duels->policy, first->count, match->count);
    }
    return 0;
}

static int read_settings(struct winrates *all, struct error *err) {
    static const char *const variants[] = {"full", "no-regulariser", "minimal"};
    const char *variant = argument_value(all->arguments, "length", "full");
    int seed, resamples;

    if (duel_rule_read(&all->rule, argument_value(all->arguments, "rule", "average"), err) ||
        tabular_format_read(&all->format, argument_value(all->arguments, "format", "text"), err) ||
        argument_int(all->arguments, "seed", 1, 0, 2147483647, &seed, err) ||
        argument_int(all->arguments, "resamples", 2000, 100, 10000000, &resamples, err))
        return -1;
    all->bootstrap = (struct bootstrap){(uint64_t)seed, resamples, 0.95, BOOTSTRAP_PERCENTILE};
    for (int i = 0; i < 3; i++)
        if (!strcmp(variants[i], variant)) {
            all->variant = (enum length_variant)i;
            return 0;
        }
    return fail(err, "'%s' is no variant of length control; there are full, no-regulariser and minimal",
                variant);
}

static int run(const struct arguments *arguments, struct error *err) {
    static const char *const headings[] = {
        "judge",    "policy", "against", "win rate",    "p",          "p (Holm)",         "judged", "ties",
        "unparsed", "errors", "bounds",  "consistency", "first slot", "longer preferred", NULL};
    static const char *const length_headings[] = {
        "judge", "policy", "against", "raw", "length-controlled", "phi", "C", "variant", "n", "note", NULL};
    struct winrates all = {.arguments = arguments,
                           .tables = {{.title = "Win rates", .headings = headings},
                                      {.title = "Length-controlled win rates", .headings = length_headings}}};
    int status = -1;

    if (read_settings(&all, err) || read_files(&all, err) || make_duels(&all, err)) goto out;
    find_matches(&all);
    if (check_prompts(&all, err)) goto out;
    measure(&all);
    if (all.format == TABULAR_TEXT)
        for (int i = 0; i < all.outputs.file_count; i++)
            fprintf(arguments->out, "%s\n", all.outputs.understood[i]);
    tabular_write_all(all.tables, 2, all.format, arguments->out);
    status = 0;
out:
    for (int i = 0; i < 2; i++) tabular_free(&all.tables[i]);
    free(all.matches);
    free((char *)all.baseline);
    duels_free(&all.duels);
    outputs_free(&all.outputs);
    return status;
}

static const struct flag flags[] = {
    {"outputs", 'o', "[NAME=]FILE",
     "answers, for lengths and the policies' names, where the verdicts' file does not hold them"},
    {"baseline", 'b', "NAME", "whom the others are compared with (default: whoever stands in every pair)"},
    {"rule", 'r', "NAME",
     "how two orders become one score: average, mt-bench, judgebench, auto-j or arena-hard"},
    {"length", 'l', "VARIANT", "of length control: full, no-regulariser or minimal"},
    {"allow-missing", 0, NULL, "print rates of policies that were judged on different prompts"},
    {"format", 'f', "NAME", "text, md, csv or json"},
    {"seed", 0, "N", "of resampling (default: 1)"},
    {"resamples", 0, "N", "of the bootstrap (default: 2000)"},
    {0}};

const struct command command_winrate = {
    .name = "winrate",
    .summary = "win rates from verdicts on pairs, raw and length-controlled",
    .usage = "FILE... [--baseline NAME] [--outputs NAME=FILE]...",
    .description = "Reads verdicts.jsonl, alpaca_eval annotations, arena-hard and MT-bench judgments, and "
                   "preference pairs. For each "
                   "judge and pair of policies: the win rate with its interval and p, how many prompts were "
                   "judged and what the others "
                   "could make of it, ties and failures, whether the judge sticks to its verdict when the "
                   "order is swapped, how often it "
                   "takes the first or the longer answer. Where the answers are known, the length-controlled "
                   "win rate stands beside the "
                   "raw one with everything that it depends on.",
    .flags = flags,
    .least_words = 1,
    .most_words = -1,
    .run = run,
};
