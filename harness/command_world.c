#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/memory.h"
#include "harness/names.h"
#include "harness/registry.h"

enum { COUNT_MOST = 1000000, ANSWER_TRIES = 100 };

/* A world with its dials set, and what to draw from it. */
struct request {
    const struct world *world;
    void *dials;
    struct node *given; /* owns the dials' texts */
    const char *split;
    int count, seed;
};

/* One prompt with what the world has to say of it. */
struct draw {
    char *prompt, *demonstration, *ideal;
    char *a, *b; /* two different answers; NULL if the demonstrator knows but one */
    int prefers_a;
};

static const struct world *world_named(const char *name, struct error *err) {
    const struct world *world = world_find(name);
    struct names names = {0};
    char *hint;

    if (world) return world;
    for (int i = 0; worlds[i]; i++) names_add(&names, worlds[i]->name);
    hint = names_hint(&names, name);
    fail(err, "there is no world '%s'%s", name, hint);
    free(hint);
    free(names.items);
    return NULL;
}

static int check_split(const struct request *request, struct error *err) {
    struct names names = {0};
    int known = 0;
    char *hint;

    for (int i = 0; request->world->splits[i]; i++) {
        names_add(&names, request->world->splits[i]);
        known |= !strcmp(request->world->splits[i], request->split);
    }
    hint = names_hint(&names, request->split);
    if (!known) fail(err, "the world %s has no split '%s'%s", request->world->name, request->split, hint);
    free(hint);
    free(names.items);
    return known ? 0 : -1;
}

/* "dial=value" */
static int add_dial(struct node *given, const char *setting, struct error *err) {
    const char *equals = strchr(setting, '=');
    struct node *value;
    char *name;

    if (!equals || equals == setting) return fail(err, "--set takes DIAL=VALUE, not '%s'", setting);
    value = document_parse_value(equals + 1, "--set", err);
    if (!value) return -1;
    name = xstrndup(setting, (size_t)(equals - setting));
    node_add_copy(given, name, value);
    free(name);
    node_free(value);
    return 0;
}

static int read_dials(const struct arguments *arguments, struct request *request, struct error *err) {
    request->given = node_new(NODE_MAP);
    request->dials = xcalloc(1, request->world->dials_size);
    for (int i = 0; i < arguments->flag_count; i++)
        if (!strcmp(arguments->flags[i]->name, "set") && add_dial(request->given, arguments->values[i], err))
            return -1;
    return options_read(request->world->options, NULL, request->given, "--set", request->dials, err);
}

static int read_request(const struct arguments *arguments, struct request *out, struct error *err) {
    *out = (struct request){.world = world_named(arguments->words[0], err)};
    if (!out->world) return -1;
    out->split = argument_value(arguments, "split", out->world->splits[0]);
    if (check_split(out, err)) return -1;
    if (argument_int(arguments, "n", 3, 1, COUNT_MOST, &out->count, err)) return -1;
    if (argument_int(arguments, "seed", 1, 0, INT32_MAX, &out->seed, err)) return -1;
    return read_dials(arguments, out, err);
}

static void draw_pair(const struct request *request, struct draw *draw, struct rng *rng) {
    const struct world *world = request->world;

    draw->a = world->demonstrate(request->dials, draw->prompt, rng);
    for (int i = 0; i < ANSWER_TRIES && !draw->b; i++) {
        draw->b = world->demonstrate(request->dials, draw->prompt, rng);
        if (strcmp(draw->a, draw->b)) continue;
        free(draw->b);
        draw->b = NULL;
    }
    if (draw->b) draw->prefers_a = world->annotate(request->dials, draw->prompt, draw->a, draw->b, rng);
}

static void draw_one(const struct request *request, int index, struct draw *out) {
    struct rng rng = rng_stream((uint64_t)request->seed, "command/world", (uint64_t)index, 0);
    const struct world *world = request->world;

    *out = (struct draw){.prompt = world->prompt(request->dials, request->split, &rng)};
    out->demonstration = world->demonstrate(request->dials, out->prompt, &rng);
    out->ideal = world->ideal(out->prompt);
    draw_pair(request, out, &rng);
}

static void draw_free(struct draw *draw) {
    free(draw->prompt);
    free(draw->demonstration);
    free(draw->ideal);
    free(draw->a);
    free(draw->b);
}

static void print_answer(const struct request *request, const struct draw *draw, const char *what,
                         const char *answer, FILE *out) {
    struct features features = {0};

    request->world->inspect(draw->prompt, answer, &features);
    fprintf(out, "%-14s %s\n", what, answer);
    fprintf(out, "%-14s gold %.3f, %d words%s", "", features.gold, features.words,
            features.refused ? ", a refusal" : "");
    if (features.correct >= 0) fprintf(out, ", %s", features.correct ? "correct" : "wrong");
    if (request->world->approve)
        fprintf(out, ", approved with probability %.2f",
                request->world->approve(request->dials, draw->prompt, answer));
    fprintf(out, "\n");
}

static void print_draw(const struct request *request, const struct draw *draw, int index, FILE *out) {
    struct features features = {0};

    request->world->inspect(draw->prompt, draw->ideal, &features);
    fprintf(out, "%s--- %s %d (%s)\n%-14s %s\n", index ? "\n" : "", request->split, index,
            features.category ? features.category : "no category", "prompt", draw->prompt);
    print_answer(request, draw, "demonstration", draw->demonstration, out);
    print_answer(request, draw, "ideal", draw->ideal, out);
    if (!draw->b) return;
    print_answer(request, draw, "preferred", draw->prefers_a ? draw->a : draw->b, out);
    print_answer(request, draw, "not preferred", draw->prefers_a ? draw->b : draw->a, out);
}

static void keep_draw(const struct request *request, const struct draw *draw, int index,
                      struct examples *examples) {
    struct example *example = examples_add(examples);
    struct features features = {0};

    request->world->inspect(draw->prompt, draw->ideal, &features);
    example->id = xprintf("%s-%s-%d", request->world->name, request->split, index);
    example->split = xstrdup(request->split);
    example->prompt = xstrdup(draw->prompt);
    example->response = xstrdup(draw->demonstration);
    example->chosen = draw->b ? xstrdup(draw->prefers_a ? draw->a : draw->b) : NULL;
    example->rejected = draw->b ? xstrdup(draw->prefers_a ? draw->b : draw->a) : NULL;
    example->category = xstrdup(features.category);
}

static int draw_all(const struct request *request, const char *path, FILE *out, struct error *err) {
    struct examples examples = {0};
    int status = 0;

    for (int i = 0; i < request->count; i++) {
        struct draw draw;

        draw_one(request, i, &draw);
        if (path)
            keep_draw(request, &draw, i, &examples);
        else
            print_draw(request, &draw, i, out);
        draw_free(&draw);
    }
    if (path) status = examples_write(path, &examples, err);
    if (path && !status) fprintf(out, "%s: %d examples\n", path, examples.count);
    examples_free(&examples);
    return status;
}

static int run(const struct arguments *arguments, struct error *err) {
    struct request request;
    int status = read_request(arguments, &request, err);

    if (!status) status = draw_all(&request, argument_value(arguments, "export", NULL), arguments->out, err);
    free(request.dials);
    node_free(request.given);
    return status;
}

static const struct flag flags[] = {
    {"n", 'n', "N", "how many prompts (default: 3)"},
    {"split", 0, "NAME", "train (default), heldout, or one of the world's out-of-distribution splits"},
    {"seed", 0, "N", "of the draw (default: 1)"},
    {"set", 's', "DIAL=VALUE", "a dial of the world, see 'pyrite list worlds NAME'; may be given again"},
    {"export", 0, "FILE", "write the examples to a .jsonl file instead of printing them"},
    {0},
};

const struct command command_world = {
    .name = "world",
    .summary = "show what a world asks, demonstrates and prefers",
    .usage = "NAME [--n N] [--split NAME] [--seed N] [--set DIAL=VALUE]... [--export FILE]",
    .description =
        "Draws prompts from a world and prints each with the demonstrator's answer, the ideal one, and "
        "a pair as the annotator labels it, with the gold score of every answer.",
    .flags = flags,
    .least_words = 1,
    .most_words = 1,
    .run = run,
};
