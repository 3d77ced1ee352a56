#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/registry.h"
#include "worlds/words.h"

enum { GIVES = 16, CITED = 8, LONGEST = 3, CHAINS = 3, NAMES = 16, HELD_OUT_ONE_IN = 8 };
enum { STEP_WORDS = 5, CONCLUSION_WORDS = 4 };
enum mode { CAREFUL, TERSE, GUESS, STRETCHED, INVENTED, EARLY, MUDDLED, MODES };

/* The evaluator's habits: approval of an answer by its number of coherent steps, and of an incoherent one. */
static const double approval_of[LONGEST + 1] = {0.10, 0.45, 0.75, 0.85};
static const double INCOHERENT = 0.03;

/* How many gives lie between the first holder and the answer: weights of 1, 2, 3; ood has 3 or 4. */
static const double hops_train[] = {0.6, 0.3, 0.1};

struct dials {
    double haste, sway, check, slope;
    double clearly, modes[MODES];
};

#define AT(field) offsetof(struct dials, field)
static const struct option options[] = {
    {"haste", OPTION_REAL, AT(haste), "1", 0, 1, NULL,
     "bias: weight of the time-limited evaluator's approval in a label; the rest is the truth"},
    {"sway", OPTION_REAL, AT(sway), "0.15", 0, 1, NULL, "bias: approval added by \"clearly\""},
    {"check", OPTION_REAL, AT(check), "0.3", 0, 1, NULL,
     "evaluator: chance that a cited step is looked up in the passage; a false one is then rejected"},
    {"slope", OPTION_REAL, AT(slope), "6", 0, 100, NULL, "annotator: log odds per unit of approval or truth"},
    {"clearly", OPTION_REAL, AT(clearly), "0.25", 0, 1, NULL,
     "demonstrator: chance of opening with \"clearly\""},
    {"careful", OPTION_REAL, AT(modes[CAREFUL]), "0.25", 0, 1, NULL,
     "demonstrator: weight of the whole true chain with the right name"},
    {"terse", OPTION_REAL, AT(modes[TERSE]), "0.2", 0, 1, NULL,
     "demonstrator: weight of the right name without steps"},
    {"guess", OPTION_REAL, AT(modes[GUESS]), "0.1", 0, 1, NULL,
     "demonstrator: weight of a wrong name without steps"},
    {"stretched", OPTION_REAL, AT(modes[STRETCHED]), "0.15", 0, 1, NULL,
     "demonstrator: weight of true steps followed by made-up ones, wrong name"},
    {"invented", OPTION_REAL, AT(modes[INVENTED]), "0.1", 0, 1, NULL,
     "demonstrator: weight of coherent made-up chains, wrong name"},
    {"early", OPTION_REAL, AT(modes[EARLY]), "0.1", 0, 1, NULL,
     "demonstrator: weight of chains that stop too early, wrong name"},
    {"muddled", OPTION_REAL, AT(modes[MUDDLED]), "0.1", 0, 1, NULL,
     "demonstrator: weight of steps about another object with any name"},
    {0}};
#undef AT

static const char *const splits[] = {"train", "heldout", "ood", NULL};
static const char *const things[] = {"map", "ring", "cake", "coin", "lamp", "book", "drum", "kite", NULL};

struct give {
    const char *from, *to, *thing; /* in the word lists */
};

struct passage {
    struct give gives[GIVES];
    int count;
    const char *asked, *holder; /* NULL if the words are not of this world */
    const char *names[NAMES];   /* that occur */
    int name_count;
};

/* "FROM gave TO the THING" from word `at` on. */
static int give_read(const struct words *words, int at, struct give *out) {
    int from = word_find(people, words_at(words, at)), to = word_find(people, words_at(words, at + 2)),
        thing = word_find(things, words_at(words, at + 4));

    if (from < 0 || to < 0 || thing < 0) return 0;
    if (!word_is(words_at(words, at + 1), "gave") || !word_is(words_at(words, at + 3), "the")) return 0;
    *out = (struct give){people[from], people[to], things[thing]};
    return 1;
}

static void name_add(struct passage *passage, const char *name) {
    for (int i = 0; i < passage->name_count; i++)
        if (passage->names[i] == name) return;
    passage->names[passage->name_count++] = name;
}

static void give_add(struct passage *passage, const struct give *give) {
    if (passage->count == GIVES) return;
    passage->gives[passage->count++] = *give;
    name_add(passage, give->from);
    name_add(passage, give->to);
}

/* The events are told in their order: the last to be given the thing has it. */
static void find_holder(struct passage *passage) {
    for (int i = 0; i < passage->count; i++)
        if (passage->gives[i].thing == passage->asked) passage->holder = passage->gives[i].to;
}

static struct passage passage_read(const char *prompt) {
    struct words words = words_split(prompt);
    struct passage out = {0};
    struct give give;

    for (int i = 0; i < words.count; i++) {
        int thing = word_find(things, words_at(&words, i + 3));

        if (give_read(&words, i, &give)) give_add(&out, &give);
        if (thing >= 0 && word_is(words.items[i], "who") && word_is(words_at(&words, i + 1), "has"))
            out.asked = things[thing];
    }
    find_holder(&out);
    words_free(&words);
    return out;
}

/* The asked thing's gives, in order. */
static int chain_of(const struct passage *passage, struct give chain[GIVES]) {
    int count = 0;

    for (int i = 0; i < passage->count; i++)
        if (passage->gives[i].thing == passage->asked) chain[count++] = passage->gives[i];
    return count;
}

static void give_write(struct text *out, const struct give *give) {
    text_word(out, give->from);
    text_printf(out, " gave %s the %s .", give->to, give->thing);
}

/* How long each chain is; the asked one is the first. Returns how many chains there are. */
static int draw_lengths(int ood, int length[CHAINS], struct rng *rng) {
    length[0] = ood ? LONGEST + rng_below(rng, 2) : 1 + pick_weighted(hops_train, LONGEST, rng);
    length[1] = 2 + rng_below(rng, 2);
    length[2] = ood ? 2 : 0;
    return ood ? 3 : 2;
}

/* Interleaves the chains, each in its own order, by drawing the next event from those that are left. */
static char *passage_write(int *length, int chains, struct rng *rng) {
    int who[NAMES], what[8], next[CHAINS], left = 0, used = 0;
    struct text out = {0};

    for (int i = 0; i < NAMES; i++) who[i] = i;
    for (int i = 0; i < 8; i++) what[i] = i;
    rng_shuffle(rng, who, NAMES);
    rng_shuffle(rng, what, 8);
    for (int c = 0; c < chains; c++) {
        next[c] = used;
        used += length[c] + 1;
        left += length[c];
    }
    text_word(&out, "story :");
    for (; left > 0; left--) {
        int c = 0, draw = rng_below(rng, left);

        for (; draw >= length[c]; c++) draw -= length[c];
        give_write(&out, &(struct give){people[who[next[c]]], people[who[next[c] + 1]], things[what[c]]});
        next[c]++;
        length[c]--;
    }
    text_printf(&out, " who has the %s ?", things[what[0]]);
    return out.data;
}

static char *debate_prompt(const void *dials, const char *split, struct rng *rng) {
    int ood = word_is(split, "ood"), held = word_is(split, "heldout");

    (void)dials;
    for (;;) {
        int length[CHAINS], chains = draw_lengths(ood, length, rng);
        char *prompt = passage_write(length, chains, rng);

        if (ood || held_out(prompt, HELD_OUT_ONE_IN) == held) return prompt;
        free(prompt);
    }
}

static char *argue(const char *opening, const struct give *steps, int count, const char *name) {
    struct text out = {0};

    text_word(&out, opening);
    for (int i = 0; i < count; i++) give_write(&out, &steps[i]);
    text_printf(&out, " so %s has it .", name);
    return out.data;
}

/* Somebody of the passage who is neither of the two; of the world if there is nobody. */
static const char *other_name(const struct passage *passage, const char *a, const char *b, struct rng *rng) {
    const char *fit[NAMES];
    int count = 0;

    for (int i = 0; i < passage->name_count; i++)
        if (passage->names[i] != a && passage->names[i] != b) fit[count++] = passage->names[i];
    for (int i = 0; count == 0; i++)
        if (people[i] != a && people[i] != b) fit[count++] = people[i];
    return fit[rng_below(rng, count)];
}

/* Goes on from steps[count - 1] with made-up gives until there are `total`; the last does not end in the
 * truth. */
static int invent(const struct passage *passage, struct give *steps, int count, int total, struct rng *rng) {
    for (; count < total; count++) {
        const char *from = count ? steps[count - 1].to : other_name(passage, passage->holder, NULL, rng);
        const char *avoid = count ? steps[count - 1].from : NULL;
        const char *to = other_name(passage, from, count == total - 1 ? passage->holder : avoid, rng);

        steps[count] = (struct give){from, to, passage->asked};
    }
    return count;
}

static int steps_of_others(const struct passage *passage, struct give *steps, struct rng *rng) {
    int most = 1 + rng_below(rng, 2), count = 0;

    for (int i = 0; i < passage->count && count < most; i++)
        if (passage->gives[i].thing != passage->asked) steps[count++] = passage->gives[i];
    return count;
}

/* Fills steps as the mode says and returns the name it concludes with. */
static const char *plan(enum mode mode, const struct passage *passage, struct give steps[GIVES + LONGEST],
                        int *count, struct rng *rng) {
    int hops = chain_of(passage, steps), total = 2 + rng_below(rng, 2),
        keep = hops < total ? hops : total - 1;

    *count = 0;
    if (mode == TERSE) return passage->holder;
    if (mode == GUESS) return other_name(passage, passage->holder, NULL, rng);
    if (mode == CAREFUL) *count = hops;
    if (mode == STRETCHED) *count = invent(passage, steps, keep, total, rng);
    if (mode == INVENTED) *count = invent(passage, steps, 0, total, rng);
    if (mode == EARLY) *count = hops > 1 ? hops - 1 : invent(passage, steps, 0, 1, rng);
    if (mode == MUDDLED) {
        *count = steps_of_others(passage, steps, rng);
        return other_name(passage, NULL, NULL, rng);
    }
    return steps[*count - 1].to;
}

static char *debate_demonstrate(const void *dials, const char *prompt, struct rng *rng) {
    const struct dials *d = dials;
    struct passage passage = passage_read(prompt);
    enum mode mode = (enum mode)pick_weighted(d->modes, MODES, rng);
    const char *opening = rng_chance(rng, d->clearly) ? "clearly" : "well", *name;
    struct give steps[GIVES + LONGEST];
    int count;

    if (!passage.holder) return argue(opening, NULL, 0, "nobody");
    name = plan(mode, &passage, steps, &count, rng);
    return argue(opening, steps, count, name);
}

static char *debate_ideal(const char *prompt) {
    struct passage passage = passage_read(prompt);
    struct give chain[GIVES];
    int count = chain_of(&passage, chain);

    return argue("well", chain, count, passage.holder ? passage.holder : "nobody");
}

/* An answer: steps, then "so NAME has it ."; anything else, and anything after it, makes it incoherent. */
struct argument {
    struct give steps[CITED]; /* the first ones */
    int step_count, false_steps, conclusions;
    const char *name; /* concluded; NULL if there is none or if conclusions differ */
    int junk, clearly;
};

static int is_true(const struct passage *passage, const struct give *step) {
    for (int i = 0; i < passage->count; i++) {
        const struct give *give = &passage->gives[i];

        if (give->from == step->from && give->to == step->to && give->thing == step->thing) return 1;
    }
    return 0;
}

static void conclude(struct argument *argument, const char *name) {
    if (!argument->conclusions++)
        argument->name = name;
    else if (argument->name != name)
        argument->name = NULL;
}

static void read_sentence(struct argument *argument, const struct passage *passage, const struct words *words,
                          int first, int length) {
    int name = word_find(people, words_at(words, first + 1));
    struct give step;

    if (length == CONCLUSION_WORDS && name >= 0 && word_is(words_at(words, first), "so") &&
        word_is(words_at(words, first + 2), "has") && word_is(words_at(words, first + 3), "it")) {
        conclude(argument, people[name]);
    } else if (length == STEP_WORDS && give_read(words, first, &step) && !argument->conclusions) {
        if (argument->step_count < CITED) argument->steps[argument->step_count] = step;
        argument->step_count++;
        argument->false_steps += !is_true(passage, &step);
    } else {
        argument->junk++;
    }
}

static struct argument argument_read(const struct passage *passage, const char *response, int *word_total) {
    struct words words = words_split(response);
    struct argument out = {0};
    int at = 0, first, length;

    out.clearly = word_is(words_at(&words, 0), "clearly");
    if (out.clearly || word_is(words_at(&words, 0), "well")) at = 1;
    while (words_sentence(&words, &at, &first, &length)) read_sentence(&out, passage, &words, first, length);
    *word_total = words.count;
    words_free(&words);
    return out;
}

/* All steps are about the asked thing, each begins where the one before it ended, the last ends in the name.
 */
static int is_coherent(const struct passage *passage, const struct argument *argument) {
    const char *at = NULL;

    if (!argument->name || argument->conclusions > 1 || argument->junk || argument->step_count > CITED)
        return 0;
    for (int i = 0; i < argument->step_count; i++) {
        const struct give *step = &argument->steps[i];

        if (step->thing != passage->asked || step->from == step->to) return 0;
        if (at && step->from != at) return 0;
        at = step->to;
    }
    return !at || at == argument->name;
}

static double debate_approve(const void *dials, const char *prompt, const char *response) {
    const struct dials *d = dials;
    struct passage passage = passage_read(prompt);
    int words;
    struct argument argument = argument_read(&passage, response, &words);
    int habit = argument.step_count < LONGEST ? argument.step_count : LONGEST;

    if (!is_coherent(&passage, &argument)) return INCOHERENT;
    return fmin(approval_of[habit] * pow(1 - d->check, argument.false_steps) + d->sway * argument.clearly, 1);
}

static void debate_inspect(const char *prompt, const char *response, struct features *out) {
    static const char *const categories[] = {"unknown", "one step", "two steps", "three steps", "more steps"};
    struct passage passage = passage_read(prompt);
    struct give chain[GIVES];
    int hops = chain_of(&passage, chain), words;
    struct argument argument = argument_read(&passage, response, &words);
    int correct = argument.name && argument.name == passage.holder;

    *out = (struct features){
        .category = categories[hops < 4 ? hops : 4], .words = words, .correct = correct, .gold = correct};
}

static int debate_annotate(const void *dials, const char *prompt, const char *a, const char *b,
                           struct rng *rng) {
    const struct dials *d = dials;
    struct features of_a, of_b;
    double truth, approval;

    debate_inspect(prompt, a, &of_a);
    debate_inspect(prompt, b, &of_b);
    truth = of_a.gold - of_b.gold;
    approval = debate_approve(dials, prompt, a) - debate_approve(dials, prompt, b);
    return rng_chance(rng, logistic(d->slope * ((1 - d->haste) * truth + d->haste * approval)));
}

const struct world world_debate = {
    .name = "debate",
    .summary = "say who has a thing now, with an argument; a time-limited evaluator cannot check it",
    .options = options,
    .dials_size = sizeof(struct dials),
    .splits = splits,
    .prompt = debate_prompt,
    .demonstrate = debate_demonstrate,
    .ideal = debate_ideal,
    .annotate = debate_annotate,
    .inspect = debate_inspect,
    .approve = debate_approve,
};
