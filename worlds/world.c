#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/progress.h"
#include "harness/recipe.h"
#include "harness/registry.h"

/* How often a draw is repeated for want of a new prompt or a second answer. */
enum { PROMPT_TRIES = 1000, ANSWER_TRIES = 100, PROGRESS_EVERY = 256 };

struct settings {
    const char *world;
    const struct node *dials;
    int seed, heldout_seed;
    int prompts, heldout, ood;
    int demonstrations;
    int pairs, heldout_pairs, ood_pairs;
    double clean, echo;
};

#define AT(field) offsetof(struct settings, field)
static const struct option options[] = {
    {"world", OPTION_TEXT, AT(world), NULL, 0, 0, NULL, "which world: safety, summary, debate, …"},
    {"dials", OPTION_MAP, AT(dials), "", 0, 0, NULL, "the world's dials, as a map; see pyrite world NAME"},
    {"seed", OPTION_INT, AT(seed), "1", 0, 2147483647, NULL, "of all training data"},
    {"heldout_seed", OPTION_INT, AT(heldout_seed), "0", 0, 2147483647, NULL,
     "of held-out and ood data, so that runs that differ in seed are asked the same"},
    {"prompts", OPTION_INT, AT(prompts), "1000", 0, 10000000, NULL, "distinct training prompts"},
    {"heldout", OPTION_INT, AT(heldout), "200", 0, 10000000, NULL, "distinct held-out prompts"},
    {"ood", OPTION_INT, AT(ood), "200", 0, 10000000, NULL,
     "distinct prompts of each out-of-distribution split"},
    {"demonstrations", OPTION_INT, AT(demonstrations), "4000", 0, 10000000, NULL,
     "training prompts with the demonstrator's answer"},
    {"pairs", OPTION_INT, AT(pairs), "4000", 0, 10000000, NULL, "training pairs labelled by the annotator"},
    {"heldout_pairs", OPTION_INT, AT(heldout_pairs), "400", 0, 10000000, NULL, "held-out pairs"},
    {"ood_pairs", OPTION_INT, AT(ood_pairs), "400", 0, 10000000, NULL,
     "pairs of each out-of-distribution split"},
    {"clean", OPTION_REAL, AT(clean), "0", 0, 1, NULL,
     "share of demonstrations replaced by the ideal answer"},
    {"echo", OPTION_REAL, AT(echo), "0", 0, 1, NULL,
     "share of demonstrations replaced by the prompt's own text, which teaches a new model to copy"},
    {0}};
#undef AT

/* A world with its dials set. */
struct source {
    const struct world *world;
    void *dials;
    uint64_t seed, heldout_seed;
};

static int is_train(const char *split) {
    return strcmp(split, "train") == 0;
}

/* The stream "world/WHAT/SPLIT", of the seed that the split depends on. */
static struct rng stream(const struct source *source, const char *what, const char *split, int index,
                         int try) {
    char *name = xprintf("world/%s/%s", what, split);
    struct rng out = rng_stream(is_train(split) ? source->seed : source->heldout_seed, name, (uint64_t)index,
                                (uint64_t)try);

    free(name);
    return out;
}

static struct example *add_example(struct examples *list, const struct source *source, const char *split,
                                   const char *kind, int index, char *prompt) {
    struct example *out = examples_add(list);
    struct features features;

    source->world->inspect(prompt, "", &features);
    out->id = xprintf("%s-%s-%s%d", source->world->name, split, kind, index);
    out->split = xstrdup(split);
    out->prompt = prompt;
    out->category = xstrdup(features.category);
    return out;
}

static void tick(int done) {
    if (done % PROGRESS_EVERY == 0) progress_update(done, "%s", "");
}

static int compare(const void *a, const void *b) {
    return strcmp(a, b);
}

/* A prompt that is not in the tree yet, or NULL. */
static char *new_prompt(const struct source *source, const char *split, int index, void **seen) {
    for (int i = 0; i < PROMPT_TRIES; i++) {
        struct rng rng = stream(source, "prompt", split, index, i);
        char *prompt = source->world->prompt(source->dials, split, &rng);

        if (*(char **)tsearch(prompt, seen, compare) == prompt) return prompt;
        free(prompt);
    }
    return NULL;
}

static int add_prompts(struct examples *list, const struct source *source, const char *split, int count,
                       struct error *err) {
    void *seen = NULL;
    int status = -1;

    progress_begin("prompts", count, "prompts");
    for (int i = 0; i < count; i++) {
        char *prompt = new_prompt(source, split, i, &seen);

        if (!prompt) {
            fail(err, "the world \"%s\" has about %d distinct %s prompts, not %d; ask for fewer",
                 source->world->name, i, split, count);
            goto out;
        }
        add_example(list, source, split, "", i, prompt);
        tick(i + 1);
    }
    status = 0;
out:
    progress_end();
    while (seen) tdelete(*(char **)seen, &seen, compare);
    return status;
}

static char *demonstration(const struct source *source, const struct settings *settings, const char *prompt,
                           struct rng *rng) {
    if (rng_chance(rng, settings->clean)) return source->world->ideal(prompt);
    if (rng_chance(rng, settings->echo)) return xstrdup(prompt);
    return source->world->demonstrate(source->dials, prompt, rng);
}

static void add_demonstrations(struct examples *list, const struct source *source,
                               const struct settings *settings) {
    progress_begin("demonstrations", settings->demonstrations, "texts");
    for (int i = 0; i < settings->demonstrations; i++) {
        struct rng rng = stream(source, "demonstration", "train", i, 0);
        char *prompt = source->world->prompt(source->dials, "train", &rng);
        struct example *example = add_example(list, source, "train", "demonstration-", i, prompt);

        example->response = demonstration(source, settings, prompt, &rng);
        tick(i + 1);
    }
    progress_end();
}

/* An answer that differs from `first`, or NULL. */
static char *other_answer(const struct source *source, const char *prompt, const char *first,
                          struct rng *rng) {
    for (int i = 0; i < ANSWER_TRIES; i++) {
        char *answer = source->world->demonstrate(source->dials, prompt, rng);

        if (strcmp(answer, first)) return answer;
        free(answer);
    }
    return NULL;
}

static int add_pair(struct examples *list, const struct source *source, const char *split, int index,
                    struct error *err) {
    struct rng rng = stream(source, "pair", split, index, 0);
    char *prompt = source->world->prompt(source->dials, split, &rng);
    struct example *example = add_example(list, source, split, "pair-", index, prompt);
    char *a = source->world->demonstrate(source->dials, prompt, &rng);
    char *b = other_answer(source, prompt, a, &rng);
    int first;

    if (!b) {
        free(a);
        return fail(err,
                    "the demonstrator of \"%s\" has one answer alone to \"%s\", so no pair can be made; "
                    "give its dials more than one kind of answer",
                    source->world->name, prompt);
    }
    first = source->world->annotate(source->dials, prompt, a, b, &rng);
    example->chosen = first ? a : b;
    example->rejected = first ? b : a;
    return 0;
}

static int add_pairs(struct examples *list, const struct source *source, const char *split, int count,
                     struct error *err) {
    int status = 0;

    progress_begin("pairs", count, "pairs");
    for (int i = 0; i < count && !status; i++) {
        status = add_pair(list, source, split, i, err);
        tick(i + 1);
    }
    progress_end();
    return status;
}

static int by_split(const char *split, int train, int heldout, int ood) {
    if (is_train(split)) return train;
    return strcmp(split, "heldout") == 0 ? heldout : ood;
}

static int write_prompts(const struct source *source, const struct settings *settings, const char *path,
                         struct error *err) {
    struct examples list = {0};
    int status = 0;

    for (const char *const *split = source->world->splits; *split && !status; split++) {
        int count = by_split(*split, settings->prompts, settings->heldout, settings->ood);

        status = add_prompts(&list, source, *split, count, err);
    }
    if (!status) status = examples_write(path, &list, err);
    examples_free(&list);
    return status;
}

static int write_demonstrations(const struct source *source, const struct settings *settings,
                                const char *path, struct error *err) {
    struct examples list = {0};
    int status;

    add_demonstrations(&list, source, settings);
    status = examples_write(path, &list, err);
    examples_free(&list);
    return status;
}

static int write_pairs(const struct source *source, const struct settings *settings, const char *path,
                       struct error *err) {
    struct examples list = {0};
    int status = 0;

    for (const char *const *split = source->world->splits; *split && !status; split++) {
        int count = by_split(*split, settings->pairs, settings->heldout_pairs, settings->ood_pairs);

        status = add_pairs(&list, source, *split, count, err);
    }
    if (!status) status = examples_write(path, &list, err);
    examples_free(&list);
    return status;
}

static int write_world(const struct source *source, const struct settings *settings, const char *path,
                       struct error *err) {
    struct node *root = node_new(NODE_MAP), *dials = options_describe(source->world->options, source->dials);
    char *json;
    int status;

    (void)settings;
    node_add_text(root, "world", source->world->name);
    node_add_copy(root, "dials", dials);
    json = node_json(root, 2);
    status = file_write(path, json, strlen(json), err);
    free(json);
    node_free(dials);
    node_free(root);
    return status;
}

static const struct world *find_world(const char *name, const char *where, int line, struct error *err) {
    const struct world *found = world_find(name);
    const char *names[64], *nearest;
    int count = 0;

    if (found) return found;
    while (worlds[count] && count < 64) {
        names[count] = worlds[count]->name;
        count++;
    }
    nearest = nearest_name(name, names, count);
    fail_at(err, where, line, "there is no world \"%s\"%s%s%s; pyrite list shows them", name,
            nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
    return NULL;
}

/* The world that a step's options name, with its dials; dials are the caller's, also after an error. */
static int open_source(struct source *out, struct settings *settings, const struct node *given,
                       const char *where, struct error *err) {
    const struct node *name = node_get(given, "world");

    if (options_read(options, NULL, given, where, settings, err)) return -1;
    out->world = find_world(settings->world, where, name->line, err);
    if (!out->world) return -1;
    out->heldout_seed = (uint64_t)settings->heldout_seed;
    out->dials = xcalloc(1, out->world->dials_size);
    return options_read(out->world->options, NULL, settings->dials, where, out->dials, err);
}

static int check_world(const struct recipe *recipe, const struct instance *instance, struct error *err) {
    struct settings settings;
    struct source source = {0};
    int status = open_source(&source, &settings, instance->options, recipe->path, err);

    free(source.dials);
    return status;
}

static int world_run(struct run *run, const struct step *step, struct error *err) {
    static const struct {
        const char *name;
        int (*write)(const struct source *, const struct settings *, const char *, struct error *);
    } files[] = {{"prompts.jsonl", write_prompts},
                 {"demonstrations.jsonl", write_demonstrations},
                 {"pairs.jsonl", write_pairs},
                 {"world.json", write_world}};
    struct settings settings;
    struct source source = {0};
    int status = -1;

    if (open_source(&source, &settings, step->options, run->recipe, err)) goto out;
    source.seed = step->seed;
    status = 0;
    for (size_t i = 0; i < sizeof files / sizeof *files && !status; i++) {
        char *path = path_join(step->folder, files[i].name);

        status = files[i].write(&source, &settings, path, err);
        free(path);
    }
out:
    free(source.dials);
    return status;
}

const struct stage stage_world = {
    .name = "world",
    .summary = "prompts, demonstrations and annotated pairs of a task whose truth is known",
    .options = options,
    .run = world_run,
    .check = check_world,
};
