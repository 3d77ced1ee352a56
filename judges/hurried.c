#include "judges/hurried.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/rng.h"

/* Words of a text, in lower case, without a plural's s. */
struct word_list {
    char **items;
    int count;
};

static int in_word(char c) {
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

static char *plain_word(const char *from, size_t length) {
    char *word = xstrndup(from, length);

    for (char *c = word; *c; c++)
        if ((unsigned char)*c < 0x80) *c = (char)tolower((unsigned char)*c);
    if (length > 3 && word[length - 1] == 's' && word[length - 2] != 's') word[length - 1] = 0;
    return word;
}

/* An apostrophe or a point between two letters or digits is the word's own. */
static size_t word_length(const char *at) {
    size_t n = 0;

    while (in_word(at[n]) || (n && at[n] && strchr("'.,", at[n]) && in_word(at[n - 1]) && in_word(at[n + 1])))
        n++;
    return n;
}

static void split(struct word_list *out, const char *text, size_t length) {
    *out = (struct word_list){0};
    for (size_t i = 0; i < length;) {
        size_t n = word_length(text + i);

        if (n > length - i) n = length - i;
        if (n) {
            if ((out->count & (out->count - 1)) == 0)
                out->items =
                    xrealloc(out->items, out->count ? 2 * (size_t)out->count : 1, sizeof *out->items);
            out->items[out->count++] = plain_word(text + i, n);
        }
        i += n ? n : 1;
    }
}

static void release(struct word_list *words) {
    for (int i = 0; i < words->count; i++) free(words->items[i]);
    free(words->items);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The part that is read, sorted for looking up; moves its words to the front of `all`, whose count is kept.
 */
static int read_part(const struct hurried *how, struct word_list *all, uint64_t place) {
    int most = how->budget < all->count ? how->budget : all->count;
    struct rng rng = rng_stream(how->seed, "bounded/place", place, 0);
    int from = how->anywhere ? rng_below(&rng, all->count - most + 1) : 0;

    for (int i = 0; i < most && from; i++) {
        char *word = all->items[i];

        all->items[i] = all->items[from + i];
        all->items[from + i] = word;
    }
    if (most) qsort(all->items, (size_t)most, sizeof *all->items, by_text);
    return most;
}

static int was_read(const struct word_list *all, int most, const char *word) {
    return most && bsearch(&word, all->items, (size_t)most, sizeof *all->items, by_text);
}

static int has_digit(const char *word) {
    return strpbrk(word, "0123456789") != NULL;
}

/* Of four letters and more, and none of the words that every text has; numbers always. */
static int is_content(const char *word) {
    static const char *const common[] = {
        "about", "after", "also", "because", "been",  "before", "being", "could",  "does",  "from",  "have",
        "into",  "just",  "more", "most",    "only",  "other",  "over",  "should", "some",  "such",  "than",
        "that",  "their", "them", "then",    "there", "these",  "they",  "thi",    "this",  "those", "very",
        "were",  "what",  "when", "where",   "which", "while",  "will",  "with",   "would", "your"};

    if (has_digit(word)) return 1;
    if (strlen(word) < 4) return 0;
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        if (!strcmp(common[i], word)) return 0;
    return 1;
}

static int any_content(const char *text, size_t length) {
    struct word_list words;
    int found = 0;

    split(&words, text, length);
    for (int i = 0; i < words.count; i++) found |= is_content(words.items[i]);
    release(&words);
    return found;
}

/* Where a sentence ends: behind . ! ? before white space, or at a newline. */
static size_t sentence_length(const char *text) {
    size_t n = 0;

    while (text[n] && text[n] != '\n') {
        if (strchr(".!?", text[n]) && (!text[n + 1] || isspace((unsigned char)text[n + 1]))) return n + 1;
        n++;
    }
    return n + (text[n] == '\n');
}

struct claim {
    const char *text;
    size_t length;
};

static struct claim *claims_of(const char *answer, int *count) {
    struct claim *out = NULL;

    *count = 0;
    for (size_t n; *answer; answer += n) {
        n = sentence_length(answer);
        if (!any_content(answer, n)) continue;
        if ((*count & (*count - 1)) == 0) out = xrealloc(out, *count ? 2 * (size_t)*count : 1, sizeof *out);
        out[(*count)++] = (struct claim){answer, n};
    }
    return out;
}

static double check(const struct hurried *how, const struct word_list *read, int most,
                    const struct claim *claim) {
    struct word_list words;
    int content = 0, found = 0, numbers_missing = 0;

    split(&words, claim->text, claim->length);
    for (int i = 0; i < words.count; i++) {
        int known = was_read(read, most, words.items[i]);

        if (!is_content(words.items[i])) continue;
        if (has_digit(words.items[i])) numbers_missing += !known;
        content += !has_digit(words.items[i]);
        found += known && !has_digit(words.items[i]);
    }
    release(&words);
    if (found < how->support * content) return how->trust;
    if (!content && numbers_missing) return how->trust;
    return numbers_missing ? 0 : 1;
}

double hurried_read(const struct hurried *how, const char *material, const char *answer, uint64_t place,
                    uint64_t draw, int *checked) {
    struct rng rng = rng_stream(how->seed, "bounded/claims", draw, 0);
    int count, most, taken;
    struct claim *claims = claims_of(answer, &count);
    int *order = xmalloc(((size_t)count + 1) * sizeof *order);
    struct word_list words;
    double sum = 0;

    split(&words, material, strlen(material));
    most = read_part(how, &words, place);
    for (int i = 0; i < count; i++) order[i] = i;
    rng_shuffle(&rng, order, count);
    taken = count < how->claims ? count : how->claims;
    for (int i = 0; i < taken; i++) sum += check(how, &words, most, &claims[order[i]]);
    if (checked) *checked = taken;
    release(&words);
    free(order);
    free(claims);
    return taken ? sum / taken : 0;
}
