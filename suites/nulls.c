#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "suites/table.h"

/* What the answers to one prompt under one seed are replaced by. */
enum { CONSTANT, LONGEST, SHORTEST, COPY, KINDS };
static const char *const names[KINDS] = {NULL_POLICY "constant", NULL_POLICY "longest",
                                         NULL_POLICY "shortest", NULL_POLICY "copy"};

static int by_response(const void *a, const void *b) {
    return strcmp((*(const struct transcript *const *)a)->response,
                  (*(const struct transcript *const *)b)->response);
}

/* The most frequent answer of a policy, of equally frequent ones the first by its bytes; -1: none. */
static int most_frequent(const struct transcripts *in, const char *policy) {
    const struct transcript **sorted = xmalloc((size_t)in->count * sizeof *sorted);
    int count = 0, best = -1, most = 0, run = 0;

    for (int i = 0; i < in->count; i++)
        if (!strcmp(in->items[i].policy, policy)) sorted[count++] = &in->items[i];
    qsort(sorted, (size_t)count, sizeof *sorted, by_response);
    for (int i = 0; i < count; i++) {
        run = i && !strcmp(sorted[i - 1]->response, sorted[i]->response) ? run + 1 : 1;
        if (run > most) {
            most = run;
            best = (int)(sorted[i] - in->items);
        }
    }
    free(sorted);
    return best;
}

static int by_prompt_and_seed(const void *a, const void *b) {
    const struct transcript *x = *(const struct transcript *const *)a;
    const struct transcript *y = *(const struct transcript *const *)b;
    int order = strcmp(x->prompt_id, y->prompt_id);

    if (!order) order = (x->seed > y->seed) - (x->seed < y->seed);
    return order ? order : (x > y) - (x < y);
}

static int longer(const struct transcript *a, const struct transcript *b) {
    if (a->tokens != b->tokens) return a->tokens > b->tokens;
    return strlen(a->response) > strlen(b->response);
}

static void add_null(struct transcripts *out, int kind, int like, const char *response, int tokens) {
    struct transcript *added = transcripts_add(out);
    const struct transcript *t = &out->items[like];

    added->id = xprintf("%s/%d/%s", names[kind], t->seed, t->prompt_id);
    added->prompt_id = xstrdup(t->prompt_id);
    added->split = xstrdup(t->split);
    added->policy = xstrdup(names[kind]);
    added->prompt = xstrdup(t->prompt);
    added->category = xstrdup(t->category);
    added->finish = xstrdup("eos");
    added->response = xstrdup(response);
    added->tokens = tokens;
    added->unit = xstrdup(t->unit);
    added->seed = t->seed;
}

static void add_nulls(struct transcripts *out, const int *group, int count, const char *constant,
                      int tokens) {
    int longest = group[0], shortest = group[0];

    for (int i = 1; i < count; i++) {
        if (longer(&out->items[group[i]], &out->items[longest])) longest = group[i];
        if (longer(&out->items[shortest], &out->items[group[i]])) shortest = group[i];
    }
    add_null(out, CONSTANT, group[0], constant, tokens);
    add_null(out, LONGEST, group[0], out->items[longest].response, out->items[longest].tokens);
    add_null(out, SHORTEST, group[0], out->items[shortest].response, out->items[shortest].tokens);
    add_null(out, COPY, group[0], out->items[group[0]].prompt, 0);
}

void nulls_add(struct transcripts *transcripts, const char *baseline) {
    int count = transcripts->count, frequent = most_frequent(transcripts, baseline);
    const struct transcript **sorted = xmalloc((size_t)count * sizeof *sorted);
    int *order = xmalloc((size_t)count * sizeof *order);
    char *constant = frequent < 0 ? xstrdup("") : xstrdup(transcripts->items[frequent].response);
    int tokens = frequent < 0 ? 1 : transcripts->items[frequent].tokens;

    for (int i = 0; i < count; i++) sorted[i] = &transcripts->items[i];
    qsort(sorted, (size_t)count, sizeof *sorted, by_prompt_and_seed);
    for (int i = 0; i < count; i++) order[i] = (int)(sorted[i] - transcripts->items);
    for (int from = 0, to; from < count; from = to) {
        const struct transcript *first = &transcripts->items[order[from]];
        const char *prompt_id = first->prompt_id;
        int seed = first->seed;

        for (to = from; to < count; to++) {
            const struct transcript *t = &transcripts->items[order[to]];

            if (t->seed != seed || strcmp(t->prompt_id, prompt_id)) break;
        }
        add_nulls(transcripts, order + from, to - from, constant, tokens);
    }
    free(constant);
    free(order);
    free(sorted);
}
