#include "models/pretokenize.h"

#include <string.h>

#include "models/unicode.h"

static const struct {
    const char *regex;
    enum pretokens kind;
} regexes[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", PRETOKENS_GPT2},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
     "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     PRETOKENS_LLAMA3},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
     "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     PRETOKENS_QWEN2},
};

/* Of ASCII: o other, l letter, n number, s space. */
enum { o = UNICODE_OTHER, l = UNICODE_LETTER, n = UNICODE_NUMBER, s = UNICODE_SPACE };
static const unsigned char ascii[128] = {
    o, o, o, o, o, o, o, o, o, s, s, s, s, s, o, o, o, o, o, o, o, o, o, o, o, o, o, o, o, o, o, o,
    s, o, o, o, o, o, o, o, o, o, o, o, o, o, o, o, n, n, n, n, n, n, n, n, n, n, o, o, o, o, o, o,
    o, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, o, o, o, o, o,
    o, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, o, o, o, o, o};

int pretokens_of_regex(const char *regex) {
    for (size_t i = 0; i < sizeof regexes / sizeof *regexes; i++)
        if (strcmp(regexes[i].regex, regex) == 0) return regexes[i].kind;
    return -1;
}

const char *pretokens_regex(enum pretokens kind) {
    for (size_t i = 0; i < sizeof regexes / sizeof *regexes; i++)
        if (regexes[i].kind == kind) return regexes[i].regex;
    return NULL;
}

static int classify(const unsigned char *at, const unsigned char *end, int *size) {
    int code;

    *size = 1;
    if (*at < 0x80) return ascii[*at];
    code = unicode_decode(at, end, size);
    return code < 0 ? UNICODE_OTHER : (int)unicode_class(code);
}

/* Past at most `most` characters of this class; *last is where the last of them begins. */
static const unsigned char *skip(const unsigned char *at, const unsigned char *end, int class, size_t most,
                                 const unsigned char **last) {
    int size;

    while (at < end && most-- > 0) {
        if (classify(at, end, &size) != class) break;
        *last = at;
        at += size;
    }
    return at;
}

/* \s+(?!\S)|\s+: of spaces before something else all but the last. */
static const unsigned char *skip_spaces(const unsigned char *at, const unsigned char *end) {
    const unsigned char *last = at, *past = skip(at, end, UNICODE_SPACE, (size_t)-1, &last);

    return past == end || last == at ? past : last;
}

/* Length of 's 't 're 've 'm 'll 'd at `at`, or 0. */
static size_t contraction(const unsigned char *at, const unsigned char *end) {
    if (end - at < 2 || *at != '\'') return 0;
    if (strchr("stmd", at[1]) && at[1]) return 2;
    if (end - at < 3) return 0;
    return (at[1] == 'r' && at[2] == 'e') || (at[1] == 'v' && at[2] == 'e') || (at[1] == 'l' && at[2] == 'l')
               ? 3
               : 0;
}

/* The same in either case, of which U+017F, the long s, is one. */
static size_t contraction_any_case(const unsigned char *at, const unsigned char *end) {
    unsigned char lower[3] = {'\'', 0, 0};

    if (end - at < 2 || *at != '\'') return 0;
    if (end - at >= 3 && at[1] == 0xc5 && at[2] == 0xbf) return 3;
    for (int i = 1; i < 3 && at + i < end; i++) lower[i] = at[i] | (at[i] >= 'A' && at[i] <= 'Z' ? 0x20 : 0);
    return contraction(lower, lower + (end - at < 3 ? end - at : 3));
}

static const unsigned char *gpt2(const unsigned char *at, const unsigned char *end) {
    const unsigned char *word = at, *last;
    size_t short_form = contraction(at, end);
    int class, size;

    if (short_form) return at + short_form;
    if (*at == ' ' && end - at > 1) word++;
    class = classify(word, end, &size);
    return class == UNICODE_SPACE ? skip_spaces(at, end) : skip(word, end, class, (size_t)-1, &last);
}

/* \s*[\r\n]+|\s+(?!\S)|\s+: up to the last line's end in a row of spaces, if there is one. */
static const unsigned char *lines_or_spaces(const unsigned char *at, const unsigned char *end) {
    const unsigned char *last, *past = skip(at, end, UNICODE_SPACE, (size_t)-1, &last);

    while (past > at && past[-1] != '\r' && past[-1] != '\n') past--;
    return past > at ? past : skip_spaces(at, end);
}

/* Llama 3's and Qwen2's, which differ in how many numbers they keep together. */
static const unsigned char *llama3(const unsigned char *at, const unsigned char *end, size_t numbers) {
    size_t short_form = contraction_any_case(at, end);
    const unsigned char *next, *last;
    int size, class = classify(at, end, &size), next_class;

    if (short_form) return at + short_form;
    if (class == UNICODE_LETTER) return skip(at, end, class, (size_t)-1, &last);
    if (class == UNICODE_NUMBER) return skip(at, end, class, numbers, &last);
    next = at + size;
    next_class = next < end ? classify(next, end, &size) : UNICODE_SPACE;
    if (next_class == UNICODE_LETTER && *at != '\r' && *at != '\n')
        return skip(next, end, UNICODE_LETTER, (size_t)-1, &last);
    if (class == UNICODE_SPACE && !(*at == ' ' && next < end && next_class == UNICODE_OTHER))
        return lines_or_spaces(at, end);
    at = skip(class == UNICODE_SPACE ? next : at, end, UNICODE_OTHER, (size_t)-1, &last);
    while (at < end && (*at == '\r' || *at == '\n')) at++;
    return at;
}

/* One digit or, if not alone, a row of them; or what is before the next. */
static const unsigned char *digits(const unsigned char *at, const unsigned char *end, int alone) {
    const unsigned char *from = at;
    int size, first = 0;

    for (; at < end; at += size) {
        int code = unicode_decode(at, end, &size), digit = code < 0x80 ? code >= '0' && code <= '9' : 0;

        if (code >= 0x80) digit = unicode_digit(code);
        if (at == from)
            first = digit;
        else if (digit != first || (digit && alone))
            break;
    }
    return at;
}

static const unsigned char *before_blank(const unsigned char *at, const unsigned char *end, int runs) {
    const unsigned char *from = at;
    int blank = 1;

    for (; at < end; at++) {
        int was_blank = blank;

        blank = end - at >= BLANK_SIZE && memcmp(at, BLANK, BLANK_SIZE) == 0;
        if (blank && at > from && !(runs && was_blank)) break;
        if (blank) at += BLANK_SIZE - 1;
    }
    return at;
}

size_t pretoken_length(enum pretokens kind, const char *text, size_t length) {
    const unsigned char *at = (const unsigned char *)text, *end = at + length, *past = end;

    if (length == 0) return 0;
    switch (kind) {
    case PRETOKENS_GPT2:
        past = gpt2(at, end);
        break;
    case PRETOKENS_LLAMA3:
        past = llama3(at, end, 3);
        break;
    case PRETOKENS_QWEN2:
        past = llama3(at, end, 1);
        break;
    case PRETOKENS_DIGIT:
    case PRETOKENS_DIGITS:
        past = digits(at, end, kind == PRETOKENS_DIGIT);
        break;
    case PRETOKENS_AFTER_SPACE:
        past = memchr(at, ' ', length);
        past = past ? past + 1 : end;
        break;
    case PRETOKENS_BEFORE_BLANK:
    case PRETOKENS_BLANK_RUNS:
        past = before_blank(at, end, kind == PRETOKENS_BLANK_RUNS);
        break;
    }
    return (size_t)(past - at);
}
