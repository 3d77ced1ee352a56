#include "harness/choice.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

static const char *skip_to_word(const char *text) {
    while (*text && !isalnum((unsigned char)*text) && (unsigned char)*text < 0x80) text++;
    return text;
}

/* The text without white space and marks at its end. */
static size_t bare_length(const char *text) {
    size_t length = strlen(text);

    while (length && strchr(" \t\r\n.,;:!*\"')", text[length - 1])) length--;
    return length;
}

/* What labels the choices. */
struct labels {
    const char *const *choices;
    int count, digits; /* digits: 1, 2, … are labels too */
};

/* The label that stands here alone, as a number from 0; -1 if there is none. */
static int label_at(const char *at, const struct labels *labels) {
    int letter = toupper((unsigned char)*at) - 'A', digit = *at - '1';
    int label = letter >= 0 && letter < 26 ? letter : labels->digits && digit >= 0 && digit < 9 ? digit : -1;

    if (label < 0 || label >= labels->count) return -1;
    if (isalnum((unsigned char)at[1]) || at[1] == '\'') return -1;
    return isdigit((unsigned char)*at) && at[1] == '.' && isdigit((unsigned char)at[2]) ? -1 : label;
}

static int is_same(const char *a, size_t a_length, const char *b) {
    return bare_length(b) == a_length && !strncasecmp(a, b, a_length);
}

/* "B", "(b)", "B. …", "B) …", "B: …", a label on a line of its own; "A man" is none. */
static int opening(const char *answer, const struct labels *labels) {
    const char *word = skip_to_word(answer);
    int label = label_at(word, labels);

    for (int i = 0; i < labels->count; i++)
        if (is_same(word, bare_length(word), skip_to_word(labels->choices[i]))) return i;
    if (label < 0) return -1;
    return !word[1] || strchr(".):\r\n*", word[1]) || !*skip_to_word(word + 1) ? label : -1;
}

static int is_word(const char *at, const char *word) {
    size_t length = strlen(word);

    return !strncasecmp(at, word, length) && !isalnum((unsigned char)at[length]);
}

/* The choice whose text begins here, of several the longest; -1 if none does. */
static int text_at(const char *at, const struct labels *labels) {
    size_t longest = 0;
    int found = -1;

    for (int i = 0; i < labels->count; i++) {
        const char *text = skip_to_word(labels->choices[i]);
        size_t length = bare_length(text);

        if (length <= longest || strncasecmp(at, text, length) || isalnum((unsigned char)at[length]))
            continue;
        longest = length;
        found = i;
    }
    return found;
}

/* Where what is stated begins, after a word that announces it; NULL if none stands here. */
static const char *statement_at(const char *at) {
    static const struct {
        const char *word;
        int needs_is;
    } cues[] = {{"answer", 0}, {"option", 1}, {"choice", 1}, {"choose", 0}, {"\\boxed", 0}};

    for (size_t i = 0; i < sizeof cues / sizeof *cues; i++) {
        const char *next = at + strlen(cues[i].word);
        int is = 0;

        if (!is_word(at, cues[i].word)) continue;
        is = next[strspn(next, " *")] == ':';
        next += strspn(next, " :*");
        if (is_word(next, "is")) {
            next += 2;
            is = 1;
        }
        return is || !cues[i].needs_is ? next + strspn(next, " :*(\"'[{") : NULL;
    }
    return NULL;
}

static int stated(const char *answer, const struct labels *labels) {
    int found = -1;

    for (const char *at = answer; *at; at++) {
        const char *next = at == answer || !isalnum((unsigned char)at[-1]) ? statement_at(at) : NULL;
        int label = next ? label_at(next, labels) : -1;

        if (!next) continue;
        /* "the answer is a man" begins with an article */
        if (label == 0 && *next == 'a' && next[1] == ' ') label = -1;
        if (label < 0) label = text_at(next, labels);
        if (label >= 0) found = label;
    }
    return found;
}

static int bracketed(const char *answer, const struct labels *labels) {
    int found = -1;

    for (const char *at = strchr(answer, '('); at; at = strchr(at + 1, '(')) {
        int label = at[1] && at[2] == ')' ? label_at(at + 1, labels) : -1;

        if (label >= 0 && found >= 0 && label != found) return -1;
        if (label >= 0) found = label;
    }
    return found;
}

static int stands_in(const char *text, const char *part) {
    size_t length = bare_length(part);

    for (const char *at = text; length && *at; at++) {
        if (strncasecmp(at, part, length)) continue;
        if ((at == text || !isalnum((unsigned char)at[-1])) && !isalnum((unsigned char)at[length])) return 1;
    }
    return 0;
}

/* "the man" within "the old man's" is its own choice only where the longer one is not there too. */
static int quoted(const char *answer, const char *const *choices, int count) {
    int found = -1;

    for (int i = 0; i < count; i++) {
        int within = 0;

        if (!stands_in(answer, choices[i])) continue;
        for (int j = 0; j < count && !within; j++)
            within = j != i && strlen(choices[j]) > strlen(choices[i]) && stands_in(choices[j], choices[i]) &&
                     stands_in(answer, choices[j]);
        if (within) continue;
        if (found >= 0) return -1;
        found = i;
    }
    return found;
}

int choice_find(const char *answer, const char *const *choices, int count) {
    struct labels labels = {choices, count, 1};
    int found;

    for (int i = 0; i < count; i++)
        if (isdigit((unsigned char)*skip_to_word(choices[i]))) labels.digits = 0;
    found = stated(answer, &labels);
    if (found < 0) found = opening(answer, &labels);
    if (found < 0) found = bracketed(answer, &labels);
    return found < 0 ? quoted(answer, choices, count) : found;
}
