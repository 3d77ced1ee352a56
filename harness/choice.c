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

/* The letter that stands here alone, as a number; -1 if none of the first `count` does. */
static int letter_at(const char *at, int count) {
    int letter = toupper((unsigned char)*at) - 'A';

    if (letter < 0 || letter >= count || letter >= 26) return -1;
    return isalnum((unsigned char)at[1]) || at[1] == '\'' ? -1 : letter;
}

static int is_same(const char *a, size_t a_length, const char *b) {
    return bare_length(b) == a_length && !strncasecmp(a, b, a_length);
}

/* "B", "(b)", "B. …", "B) …", "B: …", a letter on a line of its own; "A man" is none. */
static int opening(const char *answer, const char *const *choices, int count) {
    const char *word = skip_to_word(answer);
    int letter = letter_at(word, count);

    for (int i = 0; i < count; i++)
        if (is_same(word, bare_length(word), skip_to_word(choices[i]))) return i;
    if (letter < 0) return -1;
    return !word[1] || strchr(".):\r\n*", word[1]) || !*skip_to_word(word + 1) ? letter : -1;
}

static int named(const char *answer, int count) {
    static const char word[] = "answer";
    int found = -1;

    for (const char *at = answer; *at; at++) {
        const char *next = at + sizeof word - 1;
        int letter;

        if (strncasecmp(at, word, sizeof word - 1)) continue;
        next += strspn(next, " :*");
        if (!strncasecmp(next, "is", 2) && !isalnum((unsigned char)next[2])) next += 2;
        next += strspn(next, " :*(\"'[");
        letter = letter_at(next, count);
        /* "the answer is a man" begins with an article */
        if (letter == 0 && *next == 'a' && next[1] == ' ') letter = -1;
        if (letter >= 0) found = letter;
    }
    return found;
}

static int bracketed(const char *answer, int count) {
    int found = -1;

    for (const char *at = strchr(answer, '('); at; at = strchr(at + 1, '(')) {
        int letter = at[1] && at[2] == ')' ? letter_at(at + 1, count) : -1;

        if (letter >= 0 && found >= 0 && letter != found) return -1;
        if (letter >= 0) found = letter;
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
    int found = opening(answer, choices, count);

    if (found < 0) found = named(answer, count);
    if (found < 0) found = bracketed(answer, count);
    return found < 0 ? quoted(answer, choices, count) : found;
}
