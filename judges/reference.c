#include "judges/reference.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"

static int is_article(const char *word, size_t length) {
    static const char *const articles[] = {"a", "an", "the"};

    for (int i = 0; i < 3; i++) {
        size_t k = 0;

        while (k < length && articles[i][k] && tolower((unsigned char)word[k]) == articles[i][k]) k++;
        if (k == length && !articles[i][k]) return 1;
    }
    return 0;
}

static char *spaced(const char *text, const struct normalising *how) {
    char *out = xstrdup(text);

    for (char *c = out; *c; c++) {
        unsigned char byte = (unsigned char)*c;

        if (byte < 0x80 && !how->keep_punctuation && ispunct(byte)) *c = ' ';
        if (byte < 0x80 && !how->keep_case) *c = (char)tolower((unsigned char)*c);
    }
    return out;
}

char *text_normalise(const char *text, const struct normalising *how) {
    char *copy = spaced(text, how), *rest = NULL;
    struct text out = {0};

    text_add(&out, "", 0);
    for (char *word = strtok_r(copy, " \t\r\n\v\f", &rest); word;
         word = strtok_r(NULL, " \t\r\n\v\f", &rest)) {
        if (how->drop_articles && is_article(word, strlen(word))) continue;
        text_printf(&out, "%s%s", out.length ? " " : "", word);
    }
    free(copy);
    return out.data;
}

static void add(struct references *out, const char *text, size_t length) {
    out->items = xrealloc(out->items, (size_t)out->count + 1, sizeof *out->items);
    out->items[out->count++] = xstrndup(text, length);
}

static int add_list(struct references *out, const char *truth) {
    struct error ignored;
    struct node *list = truth[0] == '[' ? document_parse_json(truth, strlen(truth), "", 0, &ignored) : NULL;
    int is_list = list && list->kind == NODE_LIST && list->first;

    for (const struct node *one = is_list ? list->first : NULL; one; one = one->next)
        if (one->text) add(out, one->text, strlen(one->text));
    node_free(list);
    return is_list;
}

void references_of(struct references *out, const struct example *question, const char *separator) {
    const char *at = question ? question->truth : NULL;

    *out = (struct references){0};
    if (!at || add_list(out, at)) return;
    while (separator && *separator) {
        const char *end = strstr(at, separator);

        if (!end) break;
        add(out, at, (size_t)(end - at));
        at = end + strlen(separator);
    }
    add(out, at, strlen(at));
}

void references_free(struct references *references) {
    for (int i = 0; i < references->count; i++) free(references->items[i]);
    free(references->items);
    *references = (struct references){0};
}

static int in_word(char c) {
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

int text_has_words(const char *text, const char *part) {
    size_t length = strlen(part);

    for (const char *at = length ? strstr(text, part) : NULL; at; at = strstr(at + 1, part)) {
        int begins = at == text || !in_word(at[-1]) || !in_word(part[0]);
        int ends = !in_word(at[length]) || !in_word(part[length - 1]);

        if (begins && ends) return 1;
    }
    return 0;
}

/* Digits with commas between groups of three, from `at`; the length, 0 where there are none. */
static size_t number_length(const char *at) {
    size_t n = strspn(at, "0123456789"), fraction;

    if (!n) return 0;
    while (n <= 3 || at[n] == ',') {
        if (at[n] != ',' || strspn(at + n + 1, "0123456789") != 3) break;
        n += 4;
    }
    fraction = at[n] == '.' ? strspn(at + n + 1, "0123456789") : 0;
    return fraction ? n + 1 + fraction : n;
}

static double read_number(const char *at, size_t length) {
    char digits[64];
    size_t n = 0;

    for (size_t i = 0; i < length && n + 1 < sizeof digits; i++)
        if (at[i] != ',') digits[n++] = at[i];
    digits[n] = 0;
    return strtod(digits, NULL);
}

double text_last_number(const char *text) {
    double out = NAN;

    for (const char *at = text; *at;) {
        size_t length = at == text || !in_word(at[-1]) ? number_length(at) : 0;

        if (length) {
            int negative = at > text && (at[-1] == '-' || (at[-1] == '$' && at - 1 > text && at[-2] == '-'));

            out = read_number(at, length) * (negative ? -1 : 1);
        }
        at += length ? length : 1;
    }
    return out;
}
