#include "harness/wrap.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { USUAL = 79, LEAST = 20 };

int wrap_width(FILE *out) {
    struct winsize size;

    if (!isatty(fileno(out))) return 0;
    return ioctl(fileno(out), TIOCGWINSZ, &size) || size.ws_col < LEAST ? USUAL : size.ws_col - 1;
}

/* Bytes of the first of `length` that fill `places`; one that continues a UTF-8 character takes none. */
static size_t fitting(const char *line, size_t length, int places) {
    size_t at = 0;

    for (; at < length; at++)
        if (((unsigned char)line[at] & 0xc0) != 0x80 && --places < 0) break;
    return at;
}

/* Where to break a line that is too long: at the last blanks of what fits, else at the first behind it. */
static size_t break_of(const char *line, size_t length, int places) {
    size_t begin = strspn(line, " "), at = fitting(line, length, places);

    while (at > begin && line[at] != ' ') at--;
    if (at > begin) return at;
    at = begin + strcspn(line + begin, " ");
    return at < length ? at : length;
}

static void wrap_line(struct text *out, const char *line, size_t length, int column, int indent, int width) {
    while (fitting(line, length, width - column) < length) {
        size_t end = break_of(line, length, width - column), next = end;

        while (end && line[end - 1] == ' ') end--;
        text_add(out, line, end);
        while (next < length && line[next] == ' ') next++;
        if (next == length) return;
        text_printf(out, "\n%*s", indent, "");
        line += next;
        length -= next;
        column = indent;
    }
    text_add(out, line, length);
}

void wrap_text(struct text *out, const char *text, int column, int indent, int width) {
    text_add(out, "", 0);
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, "\n");

        if (width)
            wrap_line(out, at, length, column, indent, width);
        else
            text_add(out, at, length);
        at += length;
        column = 0;
        if (*at) text_add(out, at++, 1);
    }
}
