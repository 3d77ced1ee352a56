#include "worlds/words.h"

#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

const char *const people[] = {"ann", "bob", "cal", "dan", "eve", "fay", "gus", "hal", "ida",
                              "jim", "kay", "lea", "max", "ned", "pam", "roy", NULL};

struct words words_split(const char *text) {
    struct words out = {.text = xstrdup(text)};
    char *p = out.text;

    out.items = xcalloc(strlen(text) / 2 + 1, sizeof *out.items);
    while (*p) {
        while (isspace((unsigned char)*p)) *p++ = 0;
        if (*p) out.items[out.count++] = p;
        while (*p && !isspace((unsigned char)*p)) p++;
    }
    return out;
}

void words_free(struct words *words) {
    free(words->text);
    free(words->items);
    *words = (struct words){0};
}

const char *words_at(const struct words *words, int index) {
    return index >= 0 && index < words->count ? words->items[index] : "";
}

int words_sentence(const struct words *words, int *at, int *first, int *length) {
    int end = *at;

    if (*at >= words->count) return 0;
    while (end < words->count && !word_is(words->items[end], ".")) end++;
    *first = *at;
    *length = end - *at;
    *at = end + 1;
    return 1;
}

int word_is(const char *word, const char *other) {
    return strcmp(word, other) == 0;
}

int word_find(const char *const *list, const char *word) {
    for (int i = 0; list[i]; i++)
        if (word_is(list[i], word)) return i;
    return -1;
}

int word_count(const char *const *list) {
    int count = 0;

    while (list[count]) count++;
    return count;
}

void text_word(struct text *text, const char *word) {
    text_printf(text, text->length ? " %s" : "%s", word);
}

/* FNV-1a. */
int held_out(const char *key, int one_in) {
    uint32_t hash = 2166136261u;

    for (; *key; key++) hash = (hash ^ (unsigned char)*key) * 16777619u;
    return (hash ^ hash >> 15) % (uint32_t)one_in == 0;
}

double logistic(double x) {
    return 1 / (1 + exp(-x));
}

int pick_weighted(const double *weights, int count, struct rng *rng) {
    double total = 0, left;

    for (int i = 0; i < count; i++) total += weights[i];
    left = rng_uniform(rng) * total;
    for (int i = 0; i < count - 1; i++) {
        if (left < weights[i]) return i;
        left -= weights[i];
    }
    return count - 1;
}
