#include "harness/utf8.h"

size_t utf8_length(const unsigned char *at, size_t room) {
    static const unsigned char first_low[] = {0xC2, 0xE0, 0xF0}, first_high[] = {0xDF, 0xEF, 0xF4};
    size_t length = 0;

    if (at[0] < 0x80) return 1;
    for (int i = 0; i < 3; i++)
        if (at[0] >= first_low[i] && at[0] <= first_high[i]) length = (size_t)i + 2;
    if (!length || length > room) return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xC0) != 0x80) return 0;
    if ((at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F)) return 0;
    if ((at[0] == 0xF0 && at[1] < 0x90) || (at[0] == 0xF4 && at[1] > 0x8F)) return 0;
    return length;
}

int utf8_check(const char *text, size_t length, const char *name, int line, struct error *err) {
    const unsigned char *at = (const unsigned char *)text, *end = at + length;

    while (at < end) {
        size_t step = utf8_length(at, (size_t)(end - at));

        if (!step)
            return fail(err, "%s:%d: the byte 0x%02x is not UTF-8; convert the file to UTF-8", name, line,
                        *at);
        if (!*at) return fail(err, "%s:%d: a NUL byte; a text file was expected", name, line);
        line += *at == '\n';
        at += step;
    }
    return 0;
}
