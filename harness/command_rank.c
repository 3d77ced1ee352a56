#define _GNU_SOURCE /* qsort_r */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/duels.h"
#include "harness/memory.h"
#include "harness/names.h"
#include "harness/outputs.h"
#include "harness/statistics_rank.h"
#include "harness/tabular.h"

enum { STYLES_MOST = 4 };
static const char *const style_names[STYLES_MOST] = {"length", "headers", "lists", "bold"};

struct rank {
    const struct arguments *arguments;
    struct outputs outputs;
    struct duels duels;
    struct names models, prompts;
    struct contest *contests;
    double *styles; /* [contests][style_count] */
    int count, style_count, styles_wanted[STYLES_MOST];
    enum tabular_format format;
};

static int read_files(struct rank *all, struct error *err) {
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

static int read_styles(struct rank *all, struct error *err) {
    const char *list = argument_value(all->arguments, "style", "");

    for (const char *at = list; *at;) {
        size_t length = strcspn(at, ",");
        int found = -1;

        for (int s = 0; s < STYLES_MOST; s++)
            if (strlen(style_names[s]) == length && !strncmp(style_names[s], at, length)) found = s;
        if (found < 0)
            return fail(err, "'%.*s' is no style; there are length, headers, lists and bold", (int)length,
                        at);
        all->styles_wanted[all->style_count++] = found;
        at += length + (at[length] == ',');
    }
    return 0;
}

/* Code points, lines that begin as a header's or a list's, and pairs of "**". */
static double style_of(const char *text, int style) {
    double count = 0;

    if (style == 0) {
        for (; *text; text++) count += (*text & 0xc0) != 0x80;
        return count;
    }
    if (style == 3) {
        for (const char *at = strstr(text, "**"); at; at = strstr(at + 2, "**")) count += 0.5;
        return floor(count);
    }
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        size_t digits;

        line += strspn(line, " ");
        digits = strspn(line, "0123456789");
        if (style == 1)
            count += line[0] == '#';
        else
            count += !strncmp(line, "- ", 2) || !strncmp(line, "* ", 2) || (digits && line[digits] == '.');
    }
    return count;
}

/* (a - b)/(a + b) of lengths; of the others' densities a character, with one added below, as arena-hard v2.
 */
static double style_difference(const char *a, const char *b, int style) {
    double x = style_of(a, style), y = style_of(b, style);

    if (style == 0) return x + y > 0 ? (x - y) / (x + y) : 0;
    x /= fmax(1, style_of(a, 0));
    y /= fmax(1, style_of(b, 0));
    return (x - y) / (x + y + 1);
}

static int add_styles(struct rank *all, const struct duel *duel, double *out, struct error *err) {
    const struct transcript *own = transcripts_find(&all->outputs.transcripts, duel->answer);
    const struct transcript *theirs = transcripts_find(&all->outputs.transcripts, duel->other_answer);

    if (!own || !theirs)
        return fail(
            err,
            "the answers of %s and %s to %s are not in the files, so their style is not known; --outputs "
            "names more files",
            duel->policy, duel->other, duel->prompt_id);
    for (int s = 0; s < all->style_count; s++)
        out[s] = style_difference(own->response, theirs->response, all->styles_wanted[s]);
    return 0;
}

/* Each order that was judged is a contest; an order that nobody told is one without sides. */
static int add_contests(struct rank *all, const struct duel *duel, struct error *err) {
    const double scores[3] = {duel->first, duel->second, duel->plain};
    int first = names_add(&all->models, duel->policy), second = names_add(&all->models, duel->other);
    int cluster = names_add(&all->prompts, duel->prompt_id);
    double styles[STYLES_MOST] = {0};

    if (all->style_count && add_styles(all, duel, styles, err)) return -1;
    for (int o = 0; o < 3; o++) {
        if (isnan(scores[o])) continue;
        all->contests = xrealloc(all->contests, (size_t)all->count + 1, sizeof *all->contests);
        all->styles = xrealloc(all->styles, ((size_t)all->count + 1) * STYLES_MOST, sizeof *all->styles);
        all->contests[all->count] = o == 1 ? (struct contest){second, first, 1 - scores[o], 1, cluster}
                                           : (struct contest){first, second, scores[o], 1, cluster};
        for (int s = 0; s < all->style_count; s++)
            all->styles[(size_t)all->count * all->style_count + s] = o == 1 ? -styles[s] : styles[s];
        all->count++;
    }
    return 0;
}

static void standardise(struct rank *all) {
    for (int s = 0; s < all->style_count; s++) {
        double mean = 0, square = 0, sd;

        for (int i = 0; i < all->count; i++)
            mean += all->styles[(size_t)i * all->style_count + s] / all->count;
        for (int i = 0; i < all->count; i++)
            square += pow(all->styles[(size_t)i * all->style_count + s] - mean, 2) / all->count;
        sd = sqrt(square);
        for (int i = 0; i < all->count && sd > 0; i++) all->styles[(size_t)i * all->style_count + s] /= sd;
    }
}

static int make_contests(struct rank *all, struct error *err) {
    const char *judge = argument_value(all->arguments, "judge", NULL);

    if (duels_make(&all->duels, &all->outputs, NULL, err)) return -1;
    for (int i = 0; i < all->duels.count; i++) {
        const struct duel *duel = &all->duels.items[i];

        if (judge && strcmp(judge, duel->judge)) continue;
        if (add_contests(all, duel, err)) return -1;
    }
    if (!all->count && judge) return fail(err, "no verdict is of the judge '%s'", judge);
    if (!all->count)
        return fail(err, "the files hold no verdicts on pairs of answers; 'pyrite score --judge' makes some");
    standardise(all);
    return 0;
}

static int by_ability(const void *a, const void *b, void *context) {
    const struct ranking *ranking = context;
    double x = ranking->abilities[*(const int *)a].value, y = ranking->abilities[*(const int *)b].value;

    return (x < y) - (x > y);
}

/* "2 (1 to 3)": the places that resamples gave. */
static void add_place(struct node *row, const struct ranking *ranking, int place, int model) {
    int low = ranking->rank_low ? ranking->rank_low[model] : place,
        high = ranking->rank_low ? ranking->rank_high[model] : place;
    char *text = low != high ? xprintf("%d (%d to %d)", place, low, high) : xprintf("%d", place);

    tabular_interval(row, text, place, ranking->rank_low ? low : NAN, ranking->rank_low ? high : NAN);
    free(text);
}

static void add_models(const struct rank *all, const struct ranking *ranking, struct tabular *table) {
    int *order = xmalloc((size_t)ranking->models * sizeof *order);

    for (int i = 0; i < ranking->models; i++) order[i] = i;
    qsort_r(order, (size_t)ranking->models, sizeof *order, by_ability, (void *)ranking);
    for (int i = 0; i < ranking->models; i++) {
        const struct term *term = &ranking->abilities[order[i]];
        struct node *row = tabular_add(table);
        char *ability = xprintf("%+.3f [%+.3f, %+.3f]", term->value, term->low, term->high);
        int games = 0;

        for (int c = 0; c < all->count; c++)
            games += all->contests[c].first == order[i] || all->contests[c].second == order[i];
        add_place(row, ranking, i + 1, order[i]);
        tabular_cell(row, "%s", all->models.items[order[i]]);
        tabular_interval(row, ability, term->value, term->low, term->high);
        tabular_number(row, "%.3f", term->error);
        tabular_number(row, "%.3f", term->robust);
        tabular_number(row, "%.0f", ranking_elo(term->value));
        tabular_number(row, "%.0f", games);
        free(ability);
    }
    free(order);
}

static void add_notes(const struct rank *all, const struct ranking *ranking, struct tabular *table,
                      const char *zero, const char *interval) {
    tabular_note(
        table,
        "Bradley and Terry's model, ties half a win each, by Newton's method; 0 is %s; Elo 1000 + 400/ln 10 "
        "times the ability. Contests: %d on %d prompts.",
        zero, all->count, all->prompts.count);
    tabular_note(table,
                 "Intervals: 95 %%, %s. se: from the information; robust: sandwich, clustered by prompt. "
                 "Deviance %.1f "
                 "on %d degrees of freedom.",
                 interval, ranking->deviance, ranking->freedom);
    if (ranking->has_order)
        tabular_note(table, "Being shown first is worth %+.3f [%+.3f, %+.3f].", ranking->order.value,
                     ranking->order.low, ranking->order.high);
    for (int s = 0; s < ranking->style_count; s++)
        tabular_note(table, "One standard deviation more %s is worth %+.3f [%+.3f, %+.3f].",
                     style_names[all->styles_wanted[s]], ranking->styles[s].value, ranking->styles[s].low,
                     ranking->styles[s].high);
}

/* For a program, beside the sentences that say it. */
static void add_effects(const struct rank *all, const struct ranking *ranking, struct tabular *table) {
    struct node *row;

    if (all->format <= TABULAR_MARKDOWN) return;
    if (ranking->has_order) {
        row = tabular_add(table);
        tabular_cell(row, "shown first");
        tabular_interval(row, "", ranking->order.value, ranking->order.low, ranking->order.high);
    }
    for (int s = 0; s < ranking->style_count; s++) {
        const struct term *term = &ranking->styles[s];

        row = tabular_add(table);
        tabular_cell(row, "%s, one standard deviation", style_names[all->styles_wanted[s]]);
        tabular_interval(row, "", term->value, term->low, term->high);
    }
}

static int find_baseline(const struct rank *all, int *out, struct error *err) {
    const char *name = argument_value(all->arguments, "baseline", NULL);
    char *hint;

    *out = -1;
    for (int i = 0; name && i < all->models.count; i++)
        if (!strcmp(all->models.items[i], name)) *out = i;
    if (!name || *out >= 0) return 0;
    hint = names_hint(&all->models, name);
    fail(err, "no verdict is about the baseline '%s'%s", name, hint);
    free(hint);
    return -1;
}

static int rank(struct rank *all, struct error *err) {
    static const char *const headings[] = {"rank",   "model", "ability",  "se",
                                           "robust", "Elo",   "contests", NULL},
                             *const effects[] = {"effect", "ability", NULL};
    struct ranking_form form = {.models = all->models.count,
                                .names = all->models.items,
                                .level = 0.95,
                                .has_order = argument_given(all->arguments, "order-effect"),
                                .styles = all->styles,
                                .style_count = all->style_count};
    int sandwich = argument_given(all->arguments, "sandwich"), seed, resamples, status = -1;
    struct tabular tables[] = {{.title = "Ranking", .headings = headings},
                               {.title = "Effects", .headings = effects}};
    struct ranking ranking = {0};
    char *interval;

    if (find_baseline(all, &form.baseline, err) ||
        argument_int(all->arguments, "seed", 1, 0, 2147483647, &seed, err) ||
        argument_int(all->arguments, "resamples", 2000, 100, 10000000, &resamples, err) ||
        ranking_fit(&ranking, all->contests, all->count, &form, err))
        goto out;
    if (!sandwich &&
        ranking_resample(&ranking, all->contests, all->count, &form, (uint64_t)seed, resamples, err))
        goto out;
    interval = sandwich ? xstrdup("normal, with the sandwich error")
                        : xprintf("percentile bootstrap over prompts (%d resamples, %d with a fit, seed %d)",
                                  resamples, ranking.used, seed);
    add_models(all, &ranking, &tables[0]);
    add_effects(all, &ranking, &tables[1]);
    add_notes(all, &ranking, &tables[0], form.baseline < 0 ? "the mean" : all->models.items[form.baseline],
              interval);
    for (int i = 0; i < all->outputs.file_count && all->format == TABULAR_TEXT; i++)
        fprintf(all->arguments->out, "%s\n", all->outputs.understood[i]);
    tabular_write_all(tables, 2, all->format, all->arguments->out);
    free(interval);
    status = 0;
out:
    ranking_free(&ranking);
    for (int i = 0; i < 2; i++) tabular_free(&tables[i]);
    return status;
}

static int run(const struct arguments *arguments, struct error *err) {
    struct rank all = {.arguments = arguments};
    int status = -1;

    if (tabular_format_read(&all.format, argument_value(arguments, "format", "text"), err) ||
        read_styles(&all, err) || read_files(&all, err) || make_contests(&all, err))
        goto out;
    status = rank(&all, err);
out:
    free(all.contests);
    free(all.styles);
    free(all.models.items);
    free(all.prompts.items);
    duels_free(&all.duels);
    outputs_free(&all.outputs);
    return status;
}

static const struct flag flags[] = {
    {"baseline", 'b', "NAME", "the model whose ability is 0 (default: the mean is)"},
    {"judge", 'j', "NAME", "verdicts of this judge alone (default: all, pooled)"},
    {"order-effect", 0, NULL, "a term for being shown first"},
    {"style", 0, "S[,S]...", "control for differences of length, headers, lists, bold between the answers"},
    {"outputs", 'o', "[NAME=]FILE",
     "answers, for their style and the policies' names, where the verdicts' file does not hold them"},
    {"sandwich", 0, NULL, "intervals from the sandwich error, not from resampling prompts"},
    {"format", 'f', "NAME", "text, md, csv or json"},
    {"seed", 0, "N", "of resampling (default: 1)"},
    {"resamples", 0, "N", "of the bootstrap (default: 2000)"},
    {0}};

const struct command command_rank = {
    .name = "rank",
    .summary = "rank models by Bradley and Terry's model of their verdicts",
    .usage = "FILE... [--baseline NAME] [--order-effect] [--style length]",
    .description = "Reads verdicts on pairs of answers (as 'pyrite winrate' does) and ranks all models that "
                   "meet in them, with "
                   "intervals for abilities and ranks. Models that no contest connects, or that never lost "
                   "or never won, have no finite "
                   "ability; the sentence names them.",
    .flags = flags,
    .least_words = 1,
    .most_words = -1,
    .run = run,
};
