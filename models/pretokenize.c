#include "models/pretokenize.h"

#include <string.h>

#include "models/unicode.h"

/* Of ASCII: o other, l letter, n number, s space. */
enum { o = UNICODE_OTHER, l = UNICODE_LETTER, n = UNICODE_NUMBER, s = UNICODE_SPACE };
static const unsigned char ascii[128] = {
    o, o, o, o, o, o, o, o, o, s, s, s, s, s, o, o, o, o, o, o, o, o, o, o, o, o, o, o, o, o, o, o,
    s, o, o, o, o, o, o, o, o, o, o, o, o, o, o, o, n, n, n, n, n, n, n, n, n, n, o, o, o, o, o, o,
    o, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, o, o, o, o, o,
    o, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, o, o, o, o, o};

/* The code point of 2 to 4 bytes at `at`, and their number; -1 and 1 byte where they are not UTF-8. */
static int decode(const unsigned char *at, const unsigned char *end, int *size) {
    static const int least[] = {0x80, 0x800, 0x10000};
    int more = *at >= 0xf0 ? 3 : *at >= 0xe0 ? 2 : 1, code = *at & (0x3f >> more);

    *size = 1;
    if (*at < 0xc2 || *at > 0xf4 || end - at <= more) return -1;
    for (int i = 1; i <= more; i++) {
        if ((at[i] & 0xc0) != 0x80) return -1;
        code = code << 6 | (at[i] & 0x3f);
    }
    if (code < least[more - 1] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return -1;
    *size = more + 1;
    return code;
}

static int classify(const unsigned char *at, const unsigned char *end, int *size) {
    int code;

    *size = 1;
    if (*at < 0x80) return ascii[*at];
    code = decode(at, end, size);
    return code < 0 ? UNICODE_OTHER : (int)unicode_class(code);
}

/* Past the characters of this class; *last is where the last of them begins. */
static const unsigned char *skip(const unsigned char *at, const unsigned char *end, int class,
                                 const unsigned char **last) {
    int size;

    while (at < end) {
        if (classify(at, end, &size) != class) break;
        *last = at;
        at += size;
    }
    return at;
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

size_t pretoken_length(const char *text, size_t length) {
    const unsigned char *at = (const unsigned char *)text, *end = at + length;
    const unsigned char *word = at, *last = at, *past;
    size_t short_form = contraction(at, end);
    int class, size;

    if (short_form || length == 0) return short_form;
    if (*at == ' ' && length > 1) word++;
    class = classify(word, end, &size);
    if (class != UNICODE_SPACE) return (size_t)(skip(word, end, class, &last) - at);
    past = skip(at, end, UNICODE_SPACE, &last);
    if (past == end || last == at) return (size_t)(past - at);
    return (size_t)(last - at);
}
