/* Several judges as one: what most of them say, or their mean; and how far they agree. Judges what its
   members judge; their own verdicts stand beside it, under PANEL/MEMBER. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge_list.h"
#include "harness/memory.h"
#include "harness/statistics_agree.h"
#include "judges/judge.h"

enum { MAJORITY, MEAN, MEMBERS_MOST = 64, CATEGORIES_MOST = 20 };

struct settings {
    const struct node *of;
    int how, quorum;
};

#define AT(field) offsetof(struct settings, field)
static const struct option options[] = {
    {"of", OPTION_JUDGES, AT(of), NULL, 0, 0, NULL, "its members, a list of judges"},
    {"how", OPTION_CHOICE, AT(how), "majority", 0, 0, "majority|mean",
     "the score that more than half of them give, or the mean of their scores"},
    {"quorum", OPTION_INT, AT(quorum), "0", 0, MEMBERS_MOST, NULL,
     "members that must give a verdict; 0: more than half"},
    {0}};
#undef AT

struct member {
    const struct judge *judge;
    struct judging *judging;
    struct node *options;
    char *name;
};

/* One thing judged, and what each member says of it. */
struct ballot {
    const char *transcript, *other, *policy, *other_policy, *what; /* the members' verdicts' */
    int order, place;
    double score[MEMBERS_MOST]; /* NaN: no verdict */
    enum outcome outcome[MEMBERS_MOST];
    int voted[MEMBERS_MOST];
};

/* What agreement is measured of. */
struct tally {
    char *what;
    double *scores; /* [items][members] */
    int items;
};

struct judging {
    struct settings settings;
    struct member members[MEMBERS_MOST];
    int count, quorum;
    char *name;
    struct tally *tallies;
    int tally_count;
};

static void panel_close(struct judging *panel) {
    if (!panel) return;
    for (int i = 0; i < panel->count; i++) {
        if (panel->members[i].judging) panel->members[i].judge->close(panel->members[i].judging);
        node_free(panel->members[i].options);
        free(panel->members[i].name);
    }
    for (int i = 0; i < panel->tally_count; i++) {
        free(panel->tallies[i].what);
        free(panel->tallies[i].scores);
    }
    free(panel->tallies);
    free(panel->name);
    free(panel);
}

static int open_member(struct judging *panel, const struct node *node, const struct judge_setup *setup,
                       struct error *err) {
    struct member *member = &panel->members[panel->count];
    struct judge_setup own = *setup;
    struct judge_entry entry;

    if (judge_entry_read(&entry, node, setup->where, err)) return -1;
    *member = (struct member){judge_find(entry.use), NULL, entry.options,
                              xprintf("%s/%s", panel->name, entry.name)};
    panel->count++;
    own.name = member->name;
    own.options = entry.options;
    if (member->judge->open(&member->judging, &own, err)) return fail_within(err, "member %s", entry.name);
    return 0;
}

static int check_size(const struct settings *settings, const char *where, struct error *err) {
    int count = settings->of->count;

    if (count >= 2 && count <= MEMBERS_MOST && settings->quorum <= count) return 0;
    return fail_at(err, where, settings->of->line,
                   "a panel has 2 to %d members, and a quorum that they can reach", MEMBERS_MOST);
}

static int panel_check(const struct node *given, const char *where, struct error *err) {
    struct settings settings;

    if (options_read(options, NULL, given, where, &settings, err) || check_size(&settings, where, err))
        return -1;
    return judges_check(settings.of, where, err);
}

static int panel_open(struct judging **out, const struct judge_setup *setup, struct error *err) {
    struct judging *panel = xcalloc(1, sizeof *panel);
    const struct node *members;
    int status = -1;

    if (options_read(options, NULL, setup->options, setup->where, &panel->settings, err)) goto out;
    members = panel->settings.of;
    panel->name = xstrdup(setup->name ? setup->name : "panel");
    panel->quorum = panel->settings.quorum ? panel->settings.quorum : members->count / 2 + 1;
    if (check_size(&panel->settings, setup->where, err)) goto out;
    for (const struct node *node = members->first; node; node = node->next)
        if (open_member(panel, node, setup, err)) goto out;
    *out = panel;
    panel = NULL;
    status = 0;
out:
    panel_close(panel);
    return status;
}

static int by_thing(const void *a, const void *b) {
    const struct ballot *x = a, *y = b;
    int order = strcmp(x->transcript, y->transcript);

    if (!order) order = strcmp(x->what, y->what);
    if (!order) order = strcmp(x->other ? x->other : "", y->other ? y->other : "");
    if (!order) order = x->order - y->order;
    return order ? order : x->place - y->place;
}

static int same_thing(const struct ballot *a, const struct ballot *b) {
    return !strcmp(a->transcript, b->transcript) && !strcmp(a->what, b->what) && a->order == b->order &&
           !strcmp(a->other ? a->other : "", b->other ? b->other : "");
}

static int by_place(const void *a, const void *b) {
    return ((const struct ballot *)a)->place - ((const struct ballot *)b)->place;
}

/* A member's second verdict on a thing replaces its first. */
static void add_votes(struct ballot *ballot, const struct ballot *more, int members) {
    for (int m = 0; m < members; m++) {
        if (!more->voted[m]) continue;
        ballot->score[m] = more->score[m];
        ballot->outcome[m] = more->outcome[m];
        ballot->voted[m] = 1;
    }
}

/* The members' verdicts as one ballot a thing, in the order in which things were first judged. */
static struct ballot *ballots_of(const struct verdicts *lists, int members, int *count) {
    struct ballot *all;
    int total = 0, kept = 0;

    for (int m = 0; m < members; m++) total += lists[m].count;
    all = xcalloc((size_t)total + 1, sizeof *all);
    total = 0;
    for (int m = 0; m < members; m++)
        for (int i = 0; i < lists[m].count; i++) {
            const struct verdict *verdict = &lists[m].items[i];
            struct ballot *ballot = &all[total];

            *ballot = (struct ballot){.transcript = verdict->transcript,
                                      .other = verdict->other,
                                      .policy = verdict->policy,
                                      .other_policy = verdict->other_policy,
                                      .what = verdict->what,
                                      .order = verdict->order,
                                      .place = total++};
            for (int k = 0; k < members; k++) ballot->score[k] = NAN;
            ballot->score[m] = verdict->outcome <= OUTCOME_TIE ? verdict->score : NAN;
            ballot->outcome[m] = verdict->outcome;
            ballot->voted[m] = 1;
        }
    qsort(all, (size_t)total, sizeof *all, by_thing);
    for (int i = 0; i < total; i++) {
        if (kept && same_thing(&all[kept - 1], &all[i]))
            add_votes(&all[kept - 1], &all[i], members);
        else
            all[kept++] = all[i];
    }
    qsort(all, (size_t)kept, sizeof *all, by_place);
    *count = kept;
    return all;
}

static void keep_tally(struct judging *panel, const struct ballot *ballot) {
    struct tally *tally = NULL;

    for (int i = 0; i < panel->tally_count && !tally; i++)
        if (!strcmp(panel->tallies[i].what, ballot->what)) tally = &panel->tallies[i];
    if (!tally) {
        panel->tallies = xrealloc(panel->tallies, (size_t)panel->tally_count + 1, sizeof *panel->tallies);
        tally = &panel->tallies[panel->tally_count++];
        *tally = (struct tally){.what = xstrdup(ballot->what)};
    }
    if ((tally->items & (tally->items - 1)) == 0)
        tally->scores =
            xrealloc(tally->scores, (tally->items ? 2 * (size_t)tally->items : 1) * (size_t)panel->count,
                     sizeof *tally->scores);
    memcpy(tally->scores + (size_t)tally->items++ * (size_t)panel->count, ballot->score,
           (size_t)panel->count * sizeof(double));
}

/* The failure that most members had. */
static enum outcome common_failure(const struct ballot *ballot, int members) {
    int counts[OUTCOME_TRANSPORT + 1] = {0};
    enum outcome most = OUTCOME_UNPARSED;

    for (int m = 0; m < members; m++)
        if (ballot->voted[m] && ballot->outcome[m] > OUTCOME_TIE) counts[ballot->outcome[m]]++;
    for (int o = OUTCOME_REFUSED; o <= OUTCOME_TRANSPORT; o++)
        if (counts[o] > counts[most]) most = (enum outcome)o;
    return most;
}

/* The score that more than half of the votes give; NaN: none. */
static double majority(const double *votes, int count) {
    for (int i = 0; i < count; i++) {
        int same = 0;

        for (int k = 0; k < count; k++) same += votes[k] == votes[i];
        if (2 * same > count) return votes[i];
    }
    return NAN;
}

static double mean(const double *votes, int count) {
    double sum = 0;

    for (int i = 0; i < count; i++) sum += votes[i];
    return sum / count;
}

/* A pair on which they are split is a tie; of a single answer they then have nothing to say. */
static void decide(const struct judging *panel, const struct ballot *ballot, struct verdict *out) {
    double votes[MEMBERS_MOST];
    int count = 0;

    for (int m = 0; m < panel->count; m++)
        if (!isnan(ballot->score[m])) votes[count++] = ballot->score[m];
    out->score = NAN;
    if (count < panel->quorum) {
        out->outcome = common_failure(ballot, panel->count);
        out->reason = xprintf("%d of %d members gave a verdict", count, panel->count);
        return;
    }
    out->score = panel->settings.how == MEAN ? mean(votes, count) : majority(votes, count);
    if (isnan(out->score) && ballot->other) out->score = 0.5;
    out->outcome = isnan(out->score)                    ? OUTCOME_UNPARSED
                   : ballot->other && out->score == 0.5 ? OUTCOME_TIE
                                                        : OUTCOME_VERDICT;
    if (isnan(out->score)) out->reason = xstrdup("its members are split");
}

static void combine(struct judging *panel, struct verdicts *lists, struct verdicts *out) {
    int count;
    struct ballot *ballots = ballots_of(lists, panel->count, &count);

    for (int i = 0; i < count; i++) {
        struct verdict *verdict = verdicts_add(out);

        verdict->transcript = xstrdup(ballots[i].transcript);
        verdict->other = xstrdup(ballots[i].other);
        verdict->policy = xstrdup(ballots[i].policy);
        verdict->other_policy = xstrdup(ballots[i].other_policy);
        verdict->judge = xstrdup(panel->name);
        verdict->what = xstrdup(ballots[i].what);
        verdict->order = ballots[i].order;
        decide(panel, &ballots[i], verdict);
        keep_tally(panel, &ballots[i]);
    }
    free(ballots);
    for (int m = 0; m < panel->count; m++) {
        for (int i = 0; i < lists[m].count; i++) {
            *verdicts_add(out) = lists[m].items[i];
            lists[m].items[i] = (struct verdict){0};
        }
        verdicts_free(&lists[m]);
    }
}

static int panel_judge(struct judging *panel, const struct transcript *const *answers, int count,
                       struct verdicts *out, struct error *err) {
    struct verdicts lists[MEMBERS_MOST] = {{0}};
    int status = 0;

    for (int m = 0; m < panel->count && !status; m++) {
        const struct member *member = &panel->members[m];

        if (member->judge->judge)
            status = member->judge->judge(member->judging, answers, count, &lists[m], err);
    }
    combine(panel, lists, out);
    return status;
}

static int panel_compare(struct judging *panel, const struct transcript *const *a,
                         const struct transcript *const *b, int count, struct verdicts *out,
                         struct error *err) {
    struct verdicts lists[MEMBERS_MOST] = {{0}};
    int status = 0;

    for (int m = 0; m < panel->count && !status; m++) {
        const struct member *member = &panel->members[m];

        if (member->judge->compare)
            status = member->judge->compare(member->judging, a, b, count, &lists[m], err);
    }
    combine(panel, lists, out);
    return status;
}

/* Each score's number in the order of its first appearance; the number of different ones, or -1 if they are
   too many to be categories. */
static int categorise(const struct tally *tally, int members, int *out) {
    double known[CATEGORIES_MOST];
    int count = 0;

    for (int i = 0; i < tally->items * members; i++) {
        int category = 0;

        out[i] = -1;
        if (isnan(tally->scores[i])) continue;
        while (category < count && known[category] != tally->scores[i]) category++;
        if (category == CATEGORIES_MOST) return -1;
        if (category == count) known[count++] = tally->scores[i];
        out[i] = category;
    }
    return count;
}

static void add_agreement(struct node *out, const char *name, int status, const struct agreement *agreement,
                          const struct error *err) {
    struct node *map = node_add(out, name, NODE_MAP);

    if (status) {
        node_add_text(map, "reason", err->message);
        return;
    }
    node_add_number(map, "value", agreement->value);
    node_add_number(map, "raw", agreement->raw);
    node_add_number(map, "n", agreement->n);
}

static void account_of(const struct judging *panel, const struct tally *tally, struct node *out) {
    int members = panel->count,
        *labels = xmalloc(((size_t)tally->items * (size_t)members + 1) * sizeof *labels);
    int categories = categorise(tally, members, labels), status;
    struct agreement agreement = {0};
    struct error err = {0};

    node_add_number(out, "items", tally->items);
    if (categories < 0) {
        node_add_text(out, "reason", "their scores are no categories");
    } else {
        if (members == 2) {
            int *a = xmalloc((size_t)tally->items * sizeof *a),
                *b = xmalloc((size_t)tally->items * sizeof *b);

            for (int i = 0; i < tally->items; i++) {
                a[i] = labels[2 * i];
                b[i] = labels[2 * i + 1];
            }
            status = cohen_kappa(&agreement, a, b, tally->items, categories, KAPPA_NOMINAL, NULL, &err);
            add_agreement(out, "cohen_kappa", status, &agreement, &err);
            free(a);
            free(b);
        } else {
            status = fleiss_kappa(&agreement, labels, tally->items, members, categories, NULL, &err);
            add_agreement(out, "fleiss_kappa", status, &agreement, &err);
        }
        status = krippendorff_alpha(&agreement, labels, tally->items, members, categories, NULL, &err);
        add_agreement(out, "krippendorff_alpha", status, &agreement, &err);
    }
    free(labels);
}

static void panel_account(const struct judging *panel, struct node *out) {
    struct node *agreement = node_add(out, "agreement", NODE_MAP),
                *members = node_add(out, "members", NODE_MAP);

    for (int i = 0; i < panel->tally_count; i++)
        account_of(panel, &panel->tallies[i], node_add(agreement, panel->tallies[i].what, NODE_MAP));
    for (int m = 0; m < panel->count; m++) {
        const struct member *member = &panel->members[m];
        struct node *own = node_add(members, member->name + strlen(panel->name) + 1, NODE_MAP);

        node_add_text(own, "use", member->judge->name);
        if (member->judge->account) member->judge->account(member->judging, own);
    }
}

/* Its members may cost something. */
const struct judge judge_panel = {.name = "panel",
                                  .summary =
                                      "several judges as one: their majority or mean, and their agreement",
                                  .options = options,
                                  .costly = 1,
                                  .check = panel_check,
                                  .open = panel_open,
                                  .judge = panel_judge,
                                  .compare = panel_compare,
                                  .account = panel_account,
                                  .close = panel_close};
