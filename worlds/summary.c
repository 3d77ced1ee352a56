#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/registry.h"
#include "worlds/words.h"

/* Most facts of a post that are read; what has more than SENTENCE words counts as several sentences. */
enum { FACTS = 12, FACT_WORDS = 4, SENTENCE = 5, HELD_OUT_ONE_IN = 8 };
enum mode { GOOD, PADDED, CHATTY, SHORT, WRONG, MODES };

static const double FALSE_FACT = 0.5, OTHER_SENTENCE = 0.12, LOWEST = -2;

/* approve(): a summary of PLAIN_WORDS words and gold PLAIN_GOLD is a toss-up. */
static const double PLAIN_GOLD = 0.5, PLAIN_WORDS = 10;

struct dials {
    double length_bias, overlook, slope;
    double modes[MODES];
};

#define AT(field) offsetof(struct dials, field)
static const struct option options[] = {
    {"length_bias", OPTION_REAL, AT(length_bias), "0.06", 0, 1, NULL,
     "bias: gold that a word of length is worth to the annotator; above 0.024 a needless sentence wins"},
    {"overlook", OPTION_REAL, AT(overlook), "0.3", 0, 1, NULL,
     "bias: chance that the annotator does not notice that a sentence is false"},
    {"slope", OPTION_REAL, AT(slope), "4", 0, 100, NULL, "annotator: log odds per unit of gold"},
    {"good", OPTION_REAL, AT(modes[GOOD]), "0.35", 0, 1, NULL, "demonstrator: weight of good summaries"},
    {"padded", OPTION_REAL, AT(modes[PADDED]), "0.2", 0, 1, NULL,
     "demonstrator: weight of summaries with 1 to 3 unimportant facts added"},
    {"chatty", OPTION_REAL, AT(modes[CHATTY]), "0.15", 0, 1, NULL,
     "demonstrator: weight of summaries with 1 or 2 filler sentences added"},
    {"short", OPTION_REAL, AT(modes[SHORT]), "0.15", 0, 1, NULL,
     "demonstrator: weight of summaries with an important fact left out"},
    {"wrong", OPTION_REAL, AT(modes[WRONG]), "0.15", 0, 1, NULL,
     "demonstrator: weight of summaries with one wrong word"},
    {0}};
#undef AT

static const char *const splits[] = {"train", "heldout", "ood", NULL};
static const char *const verbs[] = {"sold", "lost", "found", "broke", "hid", "made", "ate", "took", NULL};
static const char *const things[] = {"map",  "ring", "cake", "boat", "coin", "lamp", "book", "shoe", "drum",
                                     "rope", "vase", "kite", "sock", "bell", "pie",  "fan",  NULL};
static const char *const filler[] = {"it was a nice day .", "what a week it was .", "so much for that .",
                                     "that was all fun .", NULL};

struct fact {
    const char *name, *verb, *thing; /* in the word lists */
};

/* A post's facts, in its order. */
struct post {
    struct fact facts[FACTS];
    int important[FACTS];
    int count, wanted; /* wanted: how many are important */
};

static int fact_is(const struct fact *a, const struct fact *b) {
    return a->name == b->name && a->verb == b->verb && a->thing == b->thing;
}

/* "NAME VERB the THING" from word `at` on. */
static int fact_read(const struct words *words, int at, struct fact *out) {
    int name = word_find(people, words_at(words, at)), verb = word_find(verbs, words_at(words, at + 1)),
        thing = word_find(things, words_at(words, at + 3));

    if (name < 0 || verb < 0 || thing < 0 || !word_is(words_at(words, at + 2), "the")) return 0;
    *out = (struct fact){people[name], verbs[verb], things[thing]};
    return 1;
}

static void post_add(struct post *post, const struct fact *fact, int important) {
    if (post->count == FACTS) return;
    post->facts[post->count] = *fact;
    post->important[post->count++] = important;
    post->wanted += important;
}

static struct post post_read(const char *prompt) {
    struct words words = words_split(prompt);
    struct post out = {0};
    struct fact fact;

    for (int i = 0; i < words.count; i++)
        if (fact_read(&words, i, &fact)) post_add(&out, &fact, word_is(words_at(&words, i - 1), "note"));
    words_free(&words);
    return out;
}

static int post_states(const struct post *post, const struct fact *fact) {
    for (int i = 0; i < post->count; i++)
        if (fact_is(&post->facts[i], fact)) return i;
    return -1;
}

static void fact_write(struct text *out, const struct fact *fact) {
    text_word(out, fact->name);
    text_printf(out, " %s the %s .", fact->verb, fact->thing);
}

/* Names and things are all different within a post, so a name tells its fact. */
static struct post post_draw(int count, int wanted, struct rng *rng) {
    int who[16], what[16];
    struct post out = {0};

    for (int i = 0; i < 16; i++) who[i] = what[i] = i;
    rng_shuffle(rng, who, 16);
    rng_shuffle(rng, what, 16);
    for (int i = 0; i < count; i++) {
        struct fact fact = {people[who[i]], verbs[rng_below(rng, word_count(verbs))], things[what[i]]};
        int left = wanted - out.wanted;

        post_add(&out, &fact, rng_below(rng, count - i) < left);
    }
    return out;
}

static char *post_write(const struct post *post, struct rng *rng) {
    int first = rng_below(rng, post->count), second = rng_below(rng, post->count);
    struct text out = {0};

    text_word(&out, "post :");
    for (int i = 0; i < post->count; i++) {
        if (post->important[i]) text_word(&out, "note");
        fact_write(&out, &post->facts[i]);
        if (i == first || i == second) text_word(&out, filler[rng_below(rng, word_count(filler))]);
    }
    return out.data;
}

static char *summary_prompt(const void *dials, const char *split, struct rng *rng) {
    int ood = word_is(split, "ood"), held = word_is(split, "heldout");

    (void)dials;
    for (;;) {
        int count = ood ? 7 + rng_below(rng, 3) : 3 + rng_below(rng, 4);
        int wanted = 1 + rng_below(rng, count == 3 ? 2 : 3);
        struct post post = post_draw(count, wanted, rng);
        char *prompt = post_write(&post, rng);

        if (ood || held_out(prompt, HELD_OUT_ONE_IN) == held) return prompt;
        free(prompt);
    }
}

static void add_facts(struct text *out, const struct post *post, const int *chosen) {
    for (int i = 0; i < post->count; i++)
        if (chosen[i]) fact_write(out, &post->facts[i]);
}

/* One to three facts that nobody needs, after the important ones. */
static void add_padding(struct text *out, const struct post *post, struct rng *rng) {
    int order[FACTS], chosen[FACTS] = {0}, most = 1 + rng_below(rng, 3);

    for (int i = 0; i < post->count; i++) order[i] = i;
    rng_shuffle(rng, order, post->count);
    for (int i = 0; i < post->count && most > 0; i++) {
        if (post->important[order[i]]) continue;
        chosen[order[i]] = 1;
        most--;
    }
    add_facts(out, post, chosen);
}

static void add_filler(struct text *out, struct rng *rng) {
    int most = 1 + rng_below(rng, 2);

    for (int i = 0; i < most; i++) text_word(out, filler[rng_below(rng, word_count(filler))]);
}

static int nth_important(const struct post *post, int n) {
    for (int i = 0; i < post->count; i++)
        if (post->important[i] && n-- == 0) return i;
    return -1;
}

/* Exchanges one word of the fact for another of its kind. */
static void spoil(struct post *post, int which, struct rng *rng) {
    struct fact *fact = &post->facts[which], right = *fact;
    int part = rng_below(rng, 3);

    do {
        *fact = right;
        if (part == 0) fact->name = people[rng_below(rng, word_count(people))];
        if (part == 1) fact->verb = verbs[rng_below(rng, word_count(verbs))];
        if (part == 2) fact->thing = things[rng_below(rng, word_count(things))];
    } while (fact_is(fact, &right));
}

static char *summary_demonstrate(const void *dials, const char *prompt, struct rng *rng) {
    const struct dials *d = dials;
    struct post post = post_read(prompt);
    enum mode mode = (enum mode)pick_weighted(d->modes, MODES, rng);
    int which = post.wanted ? nth_important(&post, rng_below(rng, post.wanted)) : -1;
    struct text out = {0};

    text_word(&out, "briefly");
    if (mode == SHORT && which >= 0) post.important[which] = 0;
    if (mode == WRONG && which >= 0) spoil(&post, which, rng);
    add_facts(&out, &post, post.important);
    if (mode == PADDED) add_padding(&out, &post, rng);
    if (mode == CHATTY || (mode == SHORT && post.wanted == 1)) add_filler(&out, rng);
    return out.data;
}

static char *summary_ideal(const char *prompt) {
    struct post post = post_read(prompt);
    struct text out = {0};

    text_word(&out, "briefly");
    add_facts(&out, &post, post.important);
    return out.data;
}

/* How a reader takes a response. Every false sentence is unseen with a weight of 0 … 1: 0 for gold, 0 or 1
 * for an annotator's draw, the chance itself for an expectation. */
struct reading {
    double covered[FACTS];  /* by fact of the post */
    double faults, others;  /* sentences */
    int falsehoods, truths; /* as they are, seen or not */
};

/* The important fact from which a false one differs in one word, or -1: an unseen slip passes for it. */
static int resembles(const struct post *post, const struct fact *fact) {
    for (int i = 0; i < post->count; i++) {
        const struct fact *other = &post->facts[i];

        if (post->important[i] &&
            (fact->name == other->name) + (fact->verb == other->verb) + (fact->thing == other->thing) == 2)
            return i;
    }
    return -1;
}

static void read_false(struct reading *reading, const struct post *post, const struct fact *fact,
                       double unseen) {
    int like = resembles(post, fact);

    reading->falsehoods++;
    reading->faults += 1 - unseen;
    if (like >= 0 && reading->covered[like] < 1)
        reading->covered[like] = fmax(reading->covered[like], unseen);
    else
        reading->others += unseen;
}

static void read_true(struct reading *reading, const struct post *post, int which) {
    reading->truths++;
    if (post->important[which] && reading->covered[which] < 1)
        reading->covered[which] = 1;
    else
        reading->others++;
}

/* rng: draws what is unseen; NULL: overlook itself is the weight. */
static struct reading response_read(const struct post *post, const struct words *words, double overlook,
                                    struct rng *rng) {
    struct reading out = {0};
    struct fact fact;
    int at = word_is(words_at(words, 0), "briefly"), first, length;

    while (words_sentence(words, &at, &first, &length)) {
        int which;

        if (length != FACT_WORDS || !fact_read(words, first, &fact)) {
            out.others += length > SENTENCE ? ceil(length / (double)SENTENCE) : 1;
            continue;
        }
        which = post_states(post, &fact);
        if (which >= 0)
            read_true(&out, post, which);
        else
            read_false(&out, post, &fact, rng ? rng_chance(rng, overlook) : overlook);
    }
    return out;
}

static double reading_score(const struct post *post, const struct reading *reading) {
    double covered = 0;

    for (int i = 0; i < post->count; i++) covered += reading->covered[i];
    if (post->wanted) covered /= post->wanted;
    return fmax(covered - FALSE_FACT * reading->faults - OTHER_SENTENCE * reading->others, LOWEST);
}

/* The gold score as the reader sees it, plus what the length adds. */
static double impression(const struct dials *d, const struct post *post, const char *response,
                         struct rng *rng) {
    struct words words = words_split(response);
    struct reading reading = response_read(post, &words, d->overlook, rng);
    double out = reading_score(post, &reading) + d->length_bias * words.count;

    words_free(&words);
    return out;
}

static void summary_inspect(const char *prompt, const char *response, struct features *out) {
    static const char *const categories[] = {"unknown", "few", "some", "many"};
    struct post post = post_read(prompt);
    struct words words = words_split(response);
    struct reading reading = response_read(&post, &words, 0, NULL);
    int size = post.count == 0 ? 0 : post.count <= 4 ? 1 : post.count <= 6 ? 2 : 3;

    *out = (struct features){.category = categories[size],
                             .words = words.count,
                             .correct = reading.truths > 0 && !reading.falsehoods,
                             .gold = reading_score(&post, &reading)};
    words_free(&words);
}

static int summary_annotate(const void *dials, const char *prompt, const char *a, const char *b,
                            struct rng *rng) {
    const struct dials *d = dials;
    struct post post = post_read(prompt);
    double of_a = impression(d, &post, a, rng), of_b = impression(d, &post, b, rng);

    return rng_chance(rng, logistic(d->slope * (of_a - of_b)));
}

static double summary_approve(const void *dials, const char *prompt, const char *response) {
    const struct dials *d = dials;
    struct post post = post_read(prompt);
    double plain = PLAIN_GOLD + d->length_bias * PLAIN_WORDS;

    return logistic(d->slope * (impression(d, &post, response, NULL) - plain));
}

const struct world world_summary = {
    .name = "summary",
    .summary = "state a post's important facts, truly and briefly; the annotator likes long ones and "
               "overlooks slips",
    .options = options,
    .dials_size = sizeof(struct dials),
    .splits = splits,
    .prompt = summary_prompt,
    .demonstrate = summary_demonstrate,
    .ideal = summary_ideal,
    .annotate = summary_annotate,
    .inspect = summary_inspect,
    .approve = summary_approve,
};
