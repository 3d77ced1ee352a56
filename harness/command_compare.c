#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/file.h"
#include "harness/format.h"
#include "harness/memory.h"
#include "harness/names.h"
#include "harness/record.h"
#include "harness/statistics.h"
#include "harness/tabular.h"

/* Observed of every answer: which prompts a policy was asked, whatever was judged. */
#define ASKED ""

/* What one judge said of one prompt's answers: the mean over seeds, once sorted and joined. */
struct observation {
    char *task, *what, *policy, *split, *prompt;
    double sum;
    int count;
    int order; /* of the prompt, in the run: resampling takes prompts in the order in which suites do */
};
struct observations {
    struct observation *items;
    int count, room;
};

/* One compared figure. */
struct comparison {
    const char *task, *what, *policy, *split; /* policy: of the second run */
    int n, missing, confirmatory, is_share;
    int place; /* among the comparisons as they were made */
    double before, after, difference, low, high, p, adjusted, detectable;
    int at_floor; /* p is the least that drawn sign patterns can show */
    char *reason;
};
struct comparisons {
    struct comparison *items;
    int count;
    const char *length_before, *length_after; /* what lengths count in the two runs, or NULL */
};

static int add_transcripts(void *list, const char *path, struct error *err) {
    return transcripts_read(path, list, err);
}

static int by_prompt(const void *a, const void *b) {
    const struct transcript *x = *(const struct transcript *const *)a,
                            *y = *(const struct transcript *const *)b;
    int order = strcmp(x->prompt_id, y->prompt_id);

    return order ? order : (x > y) - (x < y);
}

/* Of each answer, where its prompt was first answered. Caller frees. */
static int *number_prompts(const struct transcripts *answers) {
    const struct transcript **sorted = xmalloc((size_t)answers->count * sizeof *sorted), *first = NULL;
    int *order = xmalloc((size_t)answers->count * sizeof *order);

    for (int i = 0; i < answers->count; i++) sorted[i] = &answers->items[i];
    qsort(sorted, (size_t)answers->count, sizeof *sorted, by_prompt);
    for (int i = 0; i < answers->count; i++) {
        if (!first || strcmp(first->prompt_id, sorted[i]->prompt_id)) first = sorted[i];
        order[sorted[i] - answers->items] = (int)(first - answers->items);
    }
    free(sorted);
    return order;
}

static void observe(struct observations *out, const char *task, const char *what,
                    const struct transcript *answer, int order, double value) {
    if (out->count == out->room) {
        out->room = out->room ? 2 * out->room : 256;
        out->items = xrealloc(out->items, (size_t)out->room, sizeof *out->items);
    }
    out->items[out->count++] = (struct observation){xstrdup(task),
                                                    xstrdup(what),
                                                    xstrdup(answer->policy),
                                                    xstrdup(answer->split ? answer->split : ""),
                                                    xstrdup(answer->prompt_id),
                                                    isnan(value) ? 0 : value,
                                                    !isnan(value),
                                                    order};
}

/* "refused (detector)": the judge stands beside what it judged, so that nothing is mixed. */
static void observe_verdicts(struct observations *out, const char *task, struct transcripts *answers,
                             const int *order, const struct verdicts *verdicts) {
    for (int i = 0; i < verdicts->count; i++) {
        const struct verdict *verdict = &verdicts->items[i];
        const struct transcript *answer;
        char *what;

        if (verdict->other) continue;
        answer = transcripts_find(answers, verdict->transcript);
        if (!answer) continue;
        what = xprintf("%s (%s)", verdict->what, verdict->judge);
        observe(out, task, what, answer, order[answer - answers->items],
                verdict->outcome <= OUTCOME_TIE ? verdict->score : NAN);
        free(what);
    }
}

struct reading {
    struct observations *out;
    const char *steps;
};

/* An evaluation and the answers that lie beside it or below. */
static int read_evaluation(void *context, const char *path, struct error *err) {
    struct reading *reading = context;
    char *folder = xstrdup(path), *parent, *task;
    struct transcripts answers = {0};
    struct verdicts verdicts = {0};
    int status = -1, *order = NULL;

    *strrchr(folder, '/') = 0;
    parent = xstrdup(folder);
    *strrchr(parent, '/') = 0;
    task = xstrdup(strlen(parent) > strlen(reading->steps) ? parent + strlen(reading->steps) + 1 : "");
    if (verdicts_read(path, &verdicts, err) ||
        folder_each(parent, "transcripts.jsonl", add_transcripts, &answers, err))
        goto out;
    order = number_prompts(&answers);
    observe_verdicts(reading->out, task, &answers, order, &verdicts);
    for (int i = 0; i < answers.count; i++) {
        const struct transcript *answer = &answers.items[i];

        observe(reading->out, task, ASKED, answer, order[i], NAN);
        if (answer->tokens > 0 || answer->unit)
            observe(reading->out, task, answer->unit ? answer->unit : "tokens", answer, order[i],
                    answer->tokens);
    }
    status = 0;
out:
    free(order);
    transcripts_free(&answers);
    verdicts_free(&verdicts);
    free(task);
    free(parent);
    free(folder);
    return status;
}

static int by_place(const void *a, const void *b) {
    const struct observation *x = a, *y = b;
    int order = strcmp(x->task, y->task);

    if (!order) order = strcmp(x->what, y->what);
    if (!order) order = strcmp(x->policy, y->policy);
    if (!order) order = strcmp(x->split, y->split);
    return order ? order : strcmp(x->prompt, y->prompt);
}

static void observation_free(struct observation *one) {
    free(one->task);
    free(one->what);
    free(one->policy);
    free(one->split);
    free(one->prompt);
}

static int read_run(struct observations *out, const char *folder, struct error *err) {
    char *steps = path_join(folder, "steps");
    struct reading reading = {out, steps};
    int kept = 0, status;

    if (!folder_exists(steps))
        status = fail(
            err,
            "%s holds no run: expected a folder with steps/ in it, as 'pyrite run' and 'pyrite score' make",
            folder);
    else
        status = folder_each(steps, "verdicts.jsonl", read_evaluation, &reading, err);
    if (!status && !out->count)
        status = fail(
            err,
            "%s has no judged answers; 'pyrite run' goes on with a run, 'pyrite score' makes a score anew",
            folder);
    free(steps);
    if (status) return -1;
    qsort(out->items, (size_t)out->count, sizeof *out->items, by_place);
    for (int i = 0; i < out->count; i++) {
        if (kept && !by_place(&out->items[kept - 1], &out->items[i])) {
            out->items[kept - 1].sum += out->items[i].sum;
            out->items[kept - 1].count += out->items[i].count;
            observation_free(&out->items[i]);
        } else {
            out->items[kept++] = out->items[i];
        }
    }
    out->count = kept;
    return 0;
}

static double value_of(const struct observation *one) {
    return one->count ? one->sum / one->count : NAN;
}

static int same_group(const struct observation *a, const struct observation *b) {
    return !strcmp(a->task, b->task) && !strcmp(a->what, b->what) && !strcmp(a->policy, b->policy) &&
           !strcmp(a->split, b->split);
}

/* The other run's observation of the same prompt, of the policy that is compared with it. */
static const struct observation *partner(const struct observations *others, const struct observation *own,
                                         const char *policy) {
    struct observation key = *own;

    key.policy = (char *)policy;
    return bsearch(&key, others->items, (size_t)others->count, sizeof key, by_place);
}

static int is_length(const char *what) {
    return !strcmp(what, "tokens") || !strcmp(what, "words");
}

static int is_binary(const double *values, int n) {
    for (int i = 0; i < n; i++)
        if (values[i] != 0 && values[i] != 1) return 0;
    return 1;
}

/* All from 0 to 1: rates, grades, probabilities, or their means over seeds. */
static int is_share(const double *values, int n) {
    for (int i = 0; i < n; i++)
        if (values[i] < 0 || values[i] > 1) return 0;
    return 1;
}

static void estimate_shares(struct comparison *out, const double *before, const double *after) {
    int cells[2][2] = {{0}};
    struct estimate estimate = {0};
    struct error err;

    for (int i = 0; i < out->n; i++) cells[after[i] == 1][before[i] == 1]++;
    if (rate_paired(&estimate, cells[1][1], cells[1][0], cells[0][1], cells[0][0], 0.95, &err)) {
        out->reason = xstrdup(err.message);
        return;
    }
    out->low = estimate.low;
    out->high = estimate.high;
    out->p = estimate.p;
}

static void estimate_means(struct comparison *out, const double *before, const double *after, uint64_t seed) {
    double *ones = xmalloc((size_t)out->n * sizeof *ones), *d = xmalloc((size_t)out->n * sizeof *d);
    struct bootstrap how = {seed, 10000, 0.95, BOOTSTRAP_PERCENTILE};
    struct bootstrapped resampled;
    struct error err;

    for (int i = 0; i < out->n; i++) {
        ones[i] = 1;
        d[i] = after[i] - before[i];
    }
    if (bootstrap_difference(&resampled, after, ones, before, ones, out->n, &how, &err))
        out->reason = xstrdup(err.message);
    else {
        out->low = resampled.low;
        out->high = resampled.high;
    }
    if (sign_flip(&out->p, d, out->n, seed, &err)) out->p = NAN;
    out->at_floor = out->p <= sign_flip_floor(d, out->n);
    free(ones);
    free(d);
}

static void finish(struct comparison *out, const double *before, const double *after, uint64_t seed) {
    struct estimate paired = {0};
    struct error err;

    out->low = out->high = out->p = out->detectable = NAN;
    for (int i = 0; i < out->n; i++) {
        out->before += before[i];
        out->after += after[i];
    }
    out->before /= out->n;
    out->after /= out->n;
    out->difference = out->after - out->before;
    out->is_share = is_share(before, out->n) && is_share(after, out->n);
    if (!out->n) {
        out->before = out->after = out->difference = NAN;
        out->reason = xstrdup("no prompt has a judged answer of both");
    } else if (!is_length(out->what) && is_binary(before, out->n) && is_binary(after, out->n)) {
        estimate_shares(out, before, after);
    } else {
        estimate_means(out, before, after, seed);
    }
    if (!mean_paired(&paired, after, before, NULL, out->n, 0.95, &err))
        out->detectable = detectable_effect(paired.error, 0.05, 0.8);
}

/* --before and --after name the policies of the two runs; without them a policy is compared with itself. */
static const char *policy_before(const struct arguments *arguments, const char *after) {
    const char *wanted = argument_value(arguments, "after", NULL),
               *only = argument_value(arguments, "policy", NULL);

    if (only && strcmp(only, after)) return NULL;
    if (wanted && strcmp(wanted, after)) return NULL;
    return argument_value(arguments, "before", after);
}

static int is_listed(const char *list, const char *what) {
    size_t length = strcspn(what, " ");

    for (const char *at = list; *at;) {
        size_t word = strcspn(at, ",");

        if ((word == length || word == strlen(what)) && !strncmp(at, what, word)) return 1;
        at += word + (at[word] == ',');
    }
    return 0;
}

static int count_group(const struct observations *all, const struct observation *of, const char *policy) {
    int count = 0;

    for (int i = 0; i < all->count; i++) {
        const struct observation *one = &all->items[i];

        count += !strcmp(one->task, of->task) && !strcmp(one->what, of->what) &&
                 !strcmp(one->policy, policy) && !strcmp(one->split, of->split);
    }
    return count;
}

/* Both policies were asked the same prompts, or --allow-missing is given. */
static int check_asked(const struct observations *before, const struct observation *group, int count,
                       const char *policy, int theirs, const struct arguments *arguments, struct error *err) {
    int met = 0;

    for (int i = 0; i < count; i++) met += partner(before, &group[i], policy) != NULL;
    if ((met == count && met == theirs) || argument_given(arguments, "allow-missing")) return 0;
    return fail(err,
                "%s%s%s: the runs asked different prompts (%d and %d, %d in both); --allow-missing "
                "compares those in both",
                group->task, group->task[0] ? ", " : "", group->policy, theirs, count, met);
}

static int by_order(const void *a, const void *b) {
    const struct observation *x = *(const struct observation *const *)a,
                             *y = *(const struct observation *const *)b;

    return x->order != y->order ? (x->order > y->order) - (x->order < y->order) : (x > y) - (x < y);
}

/* A group's prompts as the run has them. Caller frees. */
static const struct observation **in_order(const struct observation *group, int count) {
    const struct observation **sorted = xmalloc((size_t)count * sizeof *sorted);

    for (int i = 0; i < count; i++) sorted[i] = &group[i];
    qsort(sorted, (size_t)count, sizeof *sorted, by_order);
    return sorted;
}

/* One group of the second run against its partners in the first. 1: compared, 0: the first has none. */
static int compare_group(struct comparison *out, const struct observations *before,
                         const struct observation *group, int count, const struct arguments *arguments,
                         uint64_t seed, struct error *err) {
    const char *policy = policy_before(arguments, group->policy),
               *listed = argument_value(arguments, "confirmatory", NULL);
    const struct observation **mine;
    double *x, *y;
    int theirs = policy ? count_group(before, group, policy) : 0, met = 0;

    if (!theirs) return 0;
    if (!strcmp(group->what, ASKED)) return check_asked(before, group, count, policy, theirs, arguments, err);
    *out = (struct comparison){
        .task = group->task, .what = group->what, .policy = group->policy, .split = group->split};
    out->confirmatory = !listed || is_listed(listed, group->what);
    x = xmalloc((size_t)count * sizeof *x);
    y = xmalloc((size_t)count * sizeof *y);
    mine = in_order(group, count);
    for (int i = 0; i < count; i++) {
        const struct observation *other = partner(before, mine[i], policy);

        met += other != NULL;
        if (!other || isnan(value_of(other)) || isnan(value_of(mine[i]))) continue;
        x[out->n] = value_of(other);
        y[out->n++] = value_of(mine[i]);
    }
    out->missing = count + theirs - met - out->n;
    finish(out, x, y, seed);
    free(mine);
    free(x);
    free(y);
    return 1;
}

static int compare_all(struct comparisons *out, const struct observations *before,
                       const struct observations *after, const struct arguments *arguments, uint64_t seed,
                       struct error *err) {
    for (int i = 0, end; i < after->count; i = end) {
        int status;

        for (end = i; end < after->count && same_group(&after->items[i], &after->items[end]); end++) continue;
        out->items = xrealloc(out->items, (size_t)out->count + 1, sizeof *out->items);
        status =
            compare_group(&out->items[out->count], before, &after->items[i], end - i, arguments, seed, err);
        if (status < 0) return -1;
        out->items[out->count].place = out->count;
        out->count += status;
    }
    return out->count ? 0
                      : fail(err, "the runs have no policy in common; --before and --after name one of each");
}

static const char *length_unit(const struct observations *all) {
    for (int i = 0; i < all->count; i++)
        if (is_length(all->items[i].what)) return all->items[i].what;
    return NULL;
}

/* Every word of --confirmatory is something that was compared: a slip of the pen would empty the family. */
static int check_confirmatory(const struct comparisons *all, const struct arguments *arguments,
                              struct error *err) {
    const char *listed = argument_value(arguments, "confirmatory", "");
    struct names names = {0};
    int status = 0;

    for (int i = 0; i < all->count; i++) names_add(&names, all->items[i].what);
    for (const char *at = listed; *at && !status;) {
        size_t length = strcspn(at, ",");
        char *word = xstrndup(at, length);
        int found = 0;

        for (int i = 0; i < names.count; i++) found |= is_listed(word, names.items[i]);
        if (!found) {
            char *hint = names_hint(&names, word);

            status = fail(err, "--confirmatory: nothing called '%s' was compared%s", word, hint);
            free(hint);
        }
        free(word);
        at += length + (at[length] == ',');
    }
    free(names.items);
    return status;
}

static void adjust(struct comparisons *all) {
    double *p = xmalloc((size_t)all->count * sizeof *p), *adjusted = xmalloc((size_t)all->count * sizeof *p);

    for (int family = 0; family < 2; family++) {
        for (int i = 0; i < all->count; i++)
            p[i] = all->items[i].confirmatory == family ? all->items[i].p : NAN;
        if (family)
            adjust_holm(adjusted, p, all->count);
        else
            adjust_benjamini_hochberg(adjusted, p, all->count);
        for (int i = 0; i < all->count; i++)
            if (all->items[i].confirmatory == family) all->items[i].adjusted = adjusted[i];
    }
    free(p);
    free(adjusted);
}

/* Figures from 0 to 1, then other scores, then lengths: sizes of different units are not compared. */
static int kind_of(const struct comparison *one) {
    return is_length(one->what) ? 2 : !one->is_share;
}

/* Confirmatory first, then by kind, then by the size of the difference, largest first. */
static int by_effect(const void *a, const void *b) {
    const struct comparison *x = a, *y = b;
    double p = fabs(x->difference), q = fabs(y->difference);

    if (x->confirmatory != y->confirmatory) return y->confirmatory - x->confirmatory;
    if (kind_of(x) != kind_of(y)) return kind_of(x) - kind_of(y);
    if (isnan(p) || isnan(q)) return isnan(p) - isnan(q);
    if (p != q) return p < q ? 1 : -1;
    return x->place - y->place;
}

static void add_difference(struct node *row, const struct comparison *one) {
    char *text = !one->n           ? xstrdup("–")
                 : isnan(one->low) ? xprintf("%+.4g", one->difference)
                                   : xprintf("%+.4g [%+.4g, %+.4g]", one->difference, one->low, one->high);

    tabular_interval(row, text, one->difference, one->low, one->high);
    free(text);
}

static void add_row(struct tabular *table, const struct comparison *one) {
    struct node *row = tabular_add(table), *cell;
    char p[32];

    cell = tabular_cell(row, "%s%s%s", one->task, one->task[0] && one->split[0] ? ", " : "", one->split);
    node_add_text(cell, "task", one->task);
    node_add_text(cell, "split", one->split);
    tabular_cell(row, "%s", one->policy);
    tabular_cell(row, "%s", one->what);
    tabular_number(row, "%.4g", one->before);
    tabular_number(row, "%.4g", one->after);
    add_difference(row, one);
    cell = tabular_cell(row, "%s", format_p(p, one->p, one->at_floor));
    node_add_number(cell, "value", one->p);
    cell = tabular_cell(row, "%s%s", format_p(p, one->adjusted, one->at_floor),
                        one->confirmatory ? "" : " (BH)");
    node_add_number(cell, "value", one->adjusted);
    node_add_text(cell, "adjusted_by", one->confirmatory ? "Holm" : "BH");
    tabular_number(row, "%.3g", one->detectable == 0 ? NAN : one->detectable);
    cell = tabular_cell(row, one->missing ? "%d, %d missing" : "%d", one->n, one->missing);
    node_add_number(cell, "value", one->n);
    node_add_number(cell, "missing", one->missing);
    tabular_cell(row, "%s", one->reason ? one->reason : "");
}

static void add_notes(struct tabular *table, const struct comparisons *all, double effect, int seed) {
    int below = 0, weak = 0, confirmatory = 0, missing = 0;

    for (int i = 0; i < all->count; i++) {
        const struct comparison *one = &all->items[i];

        confirmatory += one->confirmatory;
        missing = one->missing > missing ? one->missing : missing;
        below += one->confirmatory && one->adjusted < 0.05;
        weak += !isnan(one->detectable) && one->detectable > effect;
    }
    tabular_note(
        table,
        "after - before, paired by prompt; a prompt's seeds are averaged first. 95 %% intervals: "
        "shares by Newcombe "
        "with the exact McNemar test, means by bootstrap over prompts (10000 resamples, seed %d) "
        "with the sign-flip "
        "test, as the suites have them; they hold over prompts, for these very models, not over training "
        "runs. Adjusted: Holm within the confirmatory family, Benjamini-Hochberg (BH) for the rest.",
        seed);
    tabular_note(table,
                 "%d of %d confirmatory differences are below 0.05 after Holm. MDE: the smallest difference "
                 "seen with a power "
                 "of 80 %%; a row is not powered to see less.",
                 below, confirmatory);
    if (missing)
        tabular_note(
            table,
            "Up to %d prompts a row are left out: only one of the runs asked them (--allow-missing), or has "
            "a judgment of them.",
            missing);
    if (all->length_before && all->length_after && strcmp(all->length_before, all->length_after))
        tabular_note(table, "Lengths are not compared: the first run counts %s, the second %s.",
                     all->length_before, all->length_after);
    if (effect > 0)
        tabular_note(table, "%d rows are not powered to see the effect of %g that was asked for.", weak,
                     effect);
}

static void write(const struct comparisons *all, const struct arguments *arguments,
                  enum tabular_format format, double effect, int seed) {
    static const char *const headings[] = {"task, split", "policy",   "what", "before", "after", "difference",
                                           "p",           "adjusted", "MDE",  "n",      "note",  NULL};
    struct tabular table = {.title = "Before and after", .headings = headings};

    for (int i = 0; i < all->count; i++) add_row(&table, &all->items[i]);
    add_notes(&table, all, effect, seed);
    tabular_write(&table, format, arguments->out);
    tabular_free(&table);
}

static void observations_free(struct observations *all) {
    for (int i = 0; i < all->count; i++) observation_free(&all->items[i]);
    free(all->items);
}

static int run(const struct arguments *arguments, struct error *err) {
    struct observations before = {0}, after = {0};
    struct comparisons all = {0};
    enum tabular_format format;
    int seed, status = -1;
    double effect;

    if (tabular_format_read(&format, argument_value(arguments, "format", "text"), err) ||
        argument_int(arguments, "seed", 1, 0, 2147483647, &seed, err) ||
        argument_number(arguments, "effect", 0, 0, 1e300, &effect, err) ||
        read_run(&before, arguments->words[0], err) || read_run(&after, arguments->words[1], err) ||
        compare_all(&all, &before, &after, arguments, (uint64_t)seed, err) ||
        check_confirmatory(&all, arguments, err))
        goto out;
    all.length_before = length_unit(&before);
    all.length_after = length_unit(&after);
    adjust(&all);
    qsort(all.items, (size_t)all.count, sizeof *all.items, by_effect);
    write(&all, arguments, format, effect, seed);
    status = 0;
out:
    for (int i = 0; i < all.count; i++) free(all.items[i].reason);
    free(all.items);
    observations_free(&before);
    observations_free(&after);
    return status;
}

static const struct flag flags[] = {
    {"policy", 'p', "NAME", "compare this policy alone"},
    {"before", 0, "NAME", "the policy of the first run, where it has another name"},
    {"after", 0, "NAME", "the policy of the second run"},
    {"confirmatory", 'c', "WHAT[,WHAT]...",
     "what the study is about, such as refused,correct (default: all)"},
    {"effect", 'e', "X", "say which rows could not have shown a difference of X"},
    {"allow-missing", 0, NULL, "compare the prompts that both runs asked"},
    {"format", 'f', "NAME", "text, md, csv or json"},
    {"seed", 0, "N", "of resampling (default: 1)"},
    {0}};

const struct command command_compare = {
    .name = "compare",
    .summary = "compare two runs prompt by prompt",
    .usage = "BEFORE AFTER [--before NAME --after NAME]",
    .description =
        "Reads the judged answers of two folders of 'pyrite run' or 'pyrite score' and prints, "
        "for every policy, split and "
        "judgment that both have, the paired difference with its interval, its p adjusted for "
        "their number, and the smallest "
        "difference that the prompts could have shown; the largest differences first: of figures "
        "from 0 to 1, then of other scores, then of lengths. The same folder twice, with --before and "
        "--after, compares two "
        "policies of one run. Different prompt sets are an error.",
    .flags = flags,
    .least_words = 2,
    .most_words = 2,
    .run = run,
};
