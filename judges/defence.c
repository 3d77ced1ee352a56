#include "judges/defence.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"

/* Bytes of the invisible character that stands here, else 0: U+00AD, U+200B … 200F, 202A … 202E, 2060 … 2064,
   2066 … 2069, FEFF, and control characters but tab and newline. */
static size_t invisible(const char *text) {
    const unsigned char *at = (const unsigned char *)text;

    if ((at[0] < 0x20 && at[0] != '\n' && at[0] != '\t') || at[0] == 0x7F) return at[0] != '\0';
    if (at[0] == 0xC2 && at[1] == 0xAD) return 2;
    if (at[0] == 0xEF && at[1] == 0xBB && at[2] == 0xBF) return 3;
    if (at[0] != 0xE2 || (at[1] != 0x80 && at[1] != 0x81)) return 0;
    if (at[1] == 0x80) return (at[2] >= 0x8B && at[2] <= 0x8F) || (at[2] >= 0xAA && at[2] <= 0xAE) ? 3 : 0;
    return (at[2] >= 0xA0 && at[2] <= 0xA4) || (at[2] >= 0xA6 && at[2] <= 0xA9) ? 3 : 0;
}

static int starts(const char *text, const char *word) {
    for (; *word; text++, word++)
        if (tolower((unsigned char)*text) != tolower((unsigned char)*word)) return 0;
    return 1;
}

/* What opens a template's sign or a forged verdict: a blank after its first byte breaks it. */
static int opens_sign(const char *text) {
    static const char *const signs[] = {"[[",        "[INST",   "[/INST",    "<|",     "<<SYS",  "<</SYS",
                                        "<s>",       "</s>",    "<bos>",     "<eos>",  "<think", "</think",
                                        "<start_of", "<end_of", "--- BEGIN", "--- END"};

    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (starts(text, signs[i])) return 1;
    return 0;
}

char *text_seen(const char *text) {
    struct text out = {0};

    text_add(&out, "", 0);
    while (*text) {
        size_t skip = invisible(text);

        if (!skip) text_add(&out, text, 1);
        text += skip ? skip : 1;
    }
    return out.data;
}

char *text_defused(const char *text, const char *marker) {
    size_t word = strlen(marker);
    char *seen = text_seen(text);
    struct text out = {0};

    text_add(&out, "", 0);
    for (const char *at = seen; *at;) {
        int marked = starts(at, marker);

        text_add(&out, at, marked ? word : 1);
        if (marked)
            text_add(&out, " (quoted)", 9);
        else if (opens_sign(at))
            text_add(&out, " ", 1);
        at += marked ? word : 1;
    }
    free(seen);
    return out.data;
}
