#include "models/normalize.h"

#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "models/unicode.h"

/* Hangul syllables are composed by arithmetic (The Unicode Standard, 3.12). */
enum { SYLLABLE = 0xac00, LEAD = 0x1100, VOWEL = 0x1161, TAIL = 0x11a7, VOWELS = 21, TAILS = 28 };
enum { SYLLABLES = 19 * VOWELS * TAILS };

/* A code point on its way, with the class by which marks are put in order. */
struct character {
    int code, mark;
};

/* Characters that may be reordered or composed with each other, and no others. */
struct characters {
    struct character *items;
    size_t count, room;
};

static void make_room(struct rewritten *out, size_t more) {
    if (out->length + more < out->room) return;
    out->room = 2 * (out->length + more) + 64;
    out->bytes = xrealloc(out->bytes, out->room, 1);
    out->source = xrealloc(out->source, out->room, sizeof *out->source);
}

static void emit(struct rewritten *out, const char *bytes, size_t length, size_t source) {
    make_room(out, length);
    memcpy(out->bytes + out->length, bytes, length);
    for (size_t i = 0; i < length; i++) out->source[out->length++] = source;
}

static void copy(struct rewritten *out, const struct rewritten *in, size_t from, size_t to) {
    make_room(out, to - from);
    memcpy(out->bytes + out->length, in->bytes + from, to - from);
    memcpy(out->source + out->length, in->source + from, (to - from) * sizeof *out->source);
    out->length += to - from;
}

/* Sets source[length]. */
static void finish(struct rewritten *out, size_t source) {
    emit(out, "", 1, source);
    out->length--;
}

static void add(struct characters *out, int code) {
    if (out->count == out->room) {
        out->room = 2 * out->room + 16;
        out->items = xrealloc(out->items, out->room, sizeof *out->items);
    }
    out->items[out->count++] = (struct character){code, unicode_mark(code)};
}

static void decompose(struct characters *out, int code) {
    int first, second, syllable = code - SYLLABLE;

    if (syllable >= 0 && syllable < SYLLABLES) {
        add(out, LEAD + syllable / (VOWELS * TAILS));
        add(out, VOWEL + syllable / TAILS % VOWELS);
        if (syllable % TAILS) add(out, TAIL + syllable % TAILS);
    } else if (unicode_decompose(code, &first, &second)) {
        decompose(out, first);
        if (second) decompose(out, second);
    } else {
        add(out, code);
    }
}

/* Marks between two characters that are none, by class; of one class as they came. */
static void sort_marks(struct characters *run) {
    for (size_t i = 1; i < run->count; i++) {
        struct character moved = run->items[i];
        size_t to = i;

        for (; moved.mark && to > 0 && run->items[to - 1].mark > moved.mark; to--)
            run->items[to] = run->items[to - 1];
        run->items[to] = moved;
    }
}

static int compose_two(int first, int second) {
    int lead = first - LEAD, vowel = second - VOWEL, syllable = first - SYLLABLE, tail = second - TAIL;

    if (lead >= 0 && lead < 19 && vowel >= 0 && vowel < VOWELS)
        return SYLLABLE + (lead * VOWELS + vowel) * TAILS;
    if (syllable >= 0 && syllable < SYLLABLES && syllable % TAILS == 0 && tail > 0 && tail < TAILS)
        return first + tail;
    return unicode_compose(first, second);
}

/* A character composes with the last one of class 0 unless one between them blocks it: of class 0, or of a
   class that is not lower. */
static void compose(struct characters *run) {
    size_t kept = 0, starter = 0;
    int any = 0;

    for (size_t i = 0; i < run->count; i++) {
        struct character next = run->items[i];
        int adjacent = any && kept == starter + 1, last = any && !adjacent ? run->items[kept - 1].mark : 0;
        int made = any && (adjacent || (last != 0 && last < next.mark))
                       ? compose_two(run->items[starter].code, next.code)
                       : 0;

        if (made) {
            run->items[starter].code = made;
            continue;
        }
        if (next.mark == 0) {
            starter = kept;
            any = 1;
        }
        run->items[kept++] = next;
    }
    run->count = kept;
}

/* Nothing before such a character changes with it: Latin letters, CJK, Hangul syllables, most symbols. */
static int begins_anew(int code) {
    return code < 0x300 || (code >= 0x2000 && code < 0x20d0) || (code >= 0x2100 && code < 0x2c00) ||
           (code >= 0x3400 && code < 0xa000) || (code >= SYLLABLE && code < SYLLABLE + SYLLABLES) ||
           (code >= 0x1f000 && code < 0x2f800);
}

/* Code points of the run of characters at `at` that are normalized together. Returns where it ends. */
static const unsigned char *gather(struct characters *run, const unsigned char *at,
                                   const unsigned char *end) {
    const unsigned char *from = at;
    int size;

    run->count = 0;
    for (; at < end; at += size) {
        int code = unicode_decode(at, end, &size);

        if (code < 0 || (at > from && begins_anew(code))) break;
        decompose(run, code);
    }
    return at;
}

static void emit_run(struct rewritten *out, const struct characters *run, size_t source) {
    for (size_t i = 0; i < run->count; i++) {
        char bytes[4];

        emit(out, bytes, (size_t)unicode_encode(bytes, run->items[i].code), source);
    }
}

/* Runs that do not change keep their bytes' sources; one that does comes from where it begins. */
static void compose_text(struct rewritten *out, const struct rewritten *in) {
    const unsigned char *at = (const unsigned char *)in->bytes, *end = at + in->length, *past;
    struct characters run = {0};

    for (; at < end; at = past) {
        size_t from = (size_t)(at - (const unsigned char *)in->bytes), before = out->length;

        past = gather(&run, at, end);
        sort_marks(&run);
        compose(&run);
        if (past == at) {
            past++;
            emit(out, (const char *)at, 1, in->source[from]);
        }
        emit_run(out, &run, in->source[from]);
        if (out->length - before == (size_t)(past - at) && !memcmp(out->bytes + before, at, past - at))
            memcpy(out->source + before, in->source + from, (size_t)(past - at) * sizeof *out->source);
    }
    free(run.items);
}

static int begins_with(const struct rewritten *text, const char *word) {
    size_t length = strlen(word);

    return text->length >= length && memcmp(text->bytes, word, length) == 0;
}

static void replace(struct rewritten *out, const struct rewritten *in, const struct rewrite *step) {
    size_t wanted = strlen(step->from), kept = 0;

    for (size_t i = 0; i + wanted <= in->length;) {
        if (memcmp(in->bytes + i, step->from, wanted)) {
            i++;
            continue;
        }
        copy(out, in, kept, i);
        emit(out, step->to, strlen(step->to), in->source[i]);
        kept = i += wanted;
    }
    copy(out, in, kept, in->length);
}

/* Whether a step of the kinds that put something in front does so. */
static int prepends(const struct rewrite *step, const struct rewritten *in) {
    if (in->length == 0 || (step->kind == REWRITE_LEAD_ONCE && in->source[0] != 0)) return 0;
    return step->kind == REWRITE_PREPEND || !begins_with(in, step->to);
}

static void apply(const struct rewrite *step, const struct rewritten *in, struct rewritten *out) {
    out->length = 0;
    if (step->kind == REWRITE_NFC) {
        compose_text(out, in);
    } else if (step->kind == REWRITE_REPLACE) {
        replace(out, in, step);
    } else {
        if (prepends(step, in)) emit(out, step->to, strlen(step->to), in->source[0]);
        copy(out, in, 0, in->length);
    }
    finish(out, in->source[in->length]);
}

/* All below U+0300, of which nothing is composed or decomposed: UTF-8's bytes up to 0xcb. */
static int is_composed(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] >= 0xcc) return 0;
    return 1;
}

int rewrite_changes_nothing(const struct rewrite *steps, int count, const char *text, size_t length) {
    for (int i = 0; i < count; i++)
        if (steps[i].kind != REWRITE_NFC || !is_composed(text, length)) return 0;
    return 1;
}

void rewrite(const struct rewrite *steps, int count, const char *text, size_t length, const size_t *source,
             size_t first, struct rewritten *out, struct rewritten *spare) {
    out->length = 0;
    for (size_t i = 0; i < length; i++) emit(out, text + i, 1, source ? source[i] : first + i);
    finish(out, source ? source[length] : first + length);
    for (int i = 0; i < count; i++) {
        struct rewritten before = *out;

        apply(&steps[i], &before, spare);
        *out = *spare;
        *spare = before;
    }
}

void rewritten_free(struct rewritten *rewritten) {
    free(rewritten->bytes);
    free(rewritten->source);
    *rewritten = (struct rewritten){0};
}
