#include <stdlib.h>

#include <string.h>

#include "models/tokenizer_parts.h"
#include "models/unicode.h"

/* One text on its way to ids. A piece of it that was rewritten comes with the source of each of its bytes. */
struct encoder {
    const struct tokenizer *tokenizer;
    int special;                 /* special tokens in the text are cut out */
    const struct stretch *plain; /* but not where they begin in one of these */
    int plain_count;
    struct tokens *out, *ends; /* ends: NULL if not wanted */
    struct bpe_work work;
    struct rewritten rewritten, led, spare;
};

/* Bytes of the text as given, or rewritten: then source[i] is where byte i comes from. */
struct piece {
    const char *bytes;
    size_t length, first; /* source NULL: byte i comes from first + i */
    const size_t *source;
};

static size_t source_of(const struct piece *piece, size_t at) {
    return piece->source ? piece->source[at] : piece->first + at;
}

static struct piece part_of(const struct piece *piece, size_t begin, size_t end) {
    return (struct piece){piece->bytes + begin, end - begin, piece->first + begin,
                          piece->source ? piece->source + begin : NULL};
}

static struct piece piece_of(const struct rewritten *text) {
    return (struct piece){text->bytes, text->length, 0, text->source};
}

static void encode_word(struct encoder *encoder, const struct piece *word) {
    int from = encoder->ends ? encoder->ends->count : 0;

    bpe_encode(&encoder->tokenizer->bpe, word->bytes, word->length, &encoder->work, encoder->out,
               encoder->ends);
    for (int i = from; encoder->ends && i < encoder->ends->count; i++)
        encoder->ends->ids[i] = (int)source_of(word, (size_t)encoder->ends->ids[i]);
}

static void cut_words(struct encoder *encoder, const struct piece *piece, int cut) {
    const struct tokenizer *tokenizer = encoder->tokenizer;

    if (cut == tokenizer->cut_count) {
        encode_word(encoder, piece);
        return;
    }
    for (size_t at = 0, step; at < piece->length; at += step) {
        struct piece part;

        step = pretoken_length(tokenizer->cuts[cut], piece->bytes + at, piece->length - at);
        part = part_of(piece, at, at + step);
        cut_words(encoder, &part, cut + 1);
    }
}

static void encode_piece(struct encoder *encoder, const struct piece *piece) {
    const struct tokenizer *tokenizer = encoder->tokenizer;
    struct piece led = *piece;

    if (tokenizer->lead_count) {
        rewrite(tokenizer->leads, tokenizer->lead_count, piece->bytes, piece->length, piece->source,
                piece->first, &encoder->led, &encoder->spare);
        led = piece_of(&encoder->led);
    }
    cut_words(encoder, &led, 0);
}

/* The longest added token that text begins with, or NULL. */
static const struct added *added_at(const struct added_set *set, const char *text, size_t length) {
    int byte = (unsigned char)*text;

    for (int i = set->first[byte]; i < set->first[byte + 1]; i++) {
        const struct added *added = set->items[i];

        if (added->length <= length && memcmp(added->pattern, text, added->length) == 0) return added;
    }
    return NULL;
}

static int is_plain(const struct encoder *encoder, size_t at) {
    int low = 0, high = encoder->plain_count;

    while (low < high) {
        int middle = (low + high) / 2;

        if (encoder->plain[middle].end <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low < encoder->plain_count && encoder->plain[low].begin <= at;
}

/* Where the character before text + at begins. */
static size_t step_back(const char *text, size_t at) {
    size_t begin = at - 1;

    while (begin > 0 && at - begin < 4 && ((unsigned char)text[begin] & 0xc0) == 0x80) begin--;
    return begin;
}

static int code_at(const struct piece *piece, size_t at, int *size) {
    const unsigned char *bytes = (const unsigned char *)piece->bytes;

    return unicode_decode(bytes + at, bytes + piece->length, size);
}

static int is_space(int code) {
    return code >= 0 && unicode_class(code) == UNICODE_SPACE;
}

static int is_single_word(const struct piece *piece, size_t begin, size_t end) {
    int size;

    if (begin > 0 && unicode_word(code_at(piece, step_back(piece->bytes, begin), &size))) return 0;
    return end == piece->length || !unicode_word(code_at(piece, end, &size));
}

static size_t skip_spaces_back(const struct piece *piece, size_t at) {
    int size;

    while (at > 0 && is_space(code_at(piece, step_back(piece->bytes, at), &size)))
        at = step_back(piece->bytes, at);
    return at;
}

static size_t skip_spaces(const struct piece *piece, size_t at) {
    int size;

    while (at < piece->length && is_space(code_at(piece, at, &size))) at += (size_t)size;
    return at;
}

static int is_wanted(const struct encoder *encoder, const struct added *added, const struct piece *piece,
                     size_t begin, size_t end) {
    if (added->special && (!encoder->special || is_plain(encoder, source_of(piece, begin)))) return 0;
    return !added->single_word || is_single_word(piece, begin, end);
}

static void encode_between(struct encoder *encoder, const struct piece *piece, size_t begin, size_t end,
                           void (*encode)(struct encoder *, const struct piece *)) {
    struct piece part;

    if (begin >= end) return;
    part = part_of(piece, begin, end);
    encode(encoder, &part);
}

/* The leftmost added tokens, the longest first, become their ids; encode() gets what is between. One that is
   found and not wanted is passed over whole. */
static void cut_added(struct encoder *encoder, const struct added_set *set, const struct piece *piece,
                      void (*encode)(struct encoder *, const struct piece *)) {
    size_t done = 0;

    for (size_t at = 0, end; at < piece->length; at = end) {
        const struct added *added = added_at(set, piece->bytes + at, piece->length - at);
        size_t begin = at;

        end = at + (added ? added->length : 1);
        if (!added || !is_wanted(encoder, added, piece, begin, end)) continue;
        if (added->lstrip) begin = skip_spaces_back(piece, begin);
        if (begin < done && added->lstrip) begin = done;
        encode_between(encoder, piece, done, begin, encode);
        done = added->rstrip ? skip_spaces(piece, end) : end;
        tokens_add(encoder->out, added->id);
        if (encoder->ends) tokens_add(encoder->ends, (int)source_of(piece, done));
    }
    encode_between(encoder, piece, done, piece->length, encode);
}

static void normalize_piece(struct encoder *encoder, const struct piece *piece) {
    const struct tokenizer *tokenizer = encoder->tokenizer;
    struct piece text = *piece;

    if (!rewrite_changes_nothing(tokenizer->rewrites, tokenizer->rewrite_count, piece->bytes,
                                 piece->length)) {
        rewrite(tokenizer->rewrites, tokenizer->rewrite_count, piece->bytes, piece->length, piece->source,
                piece->first, &encoder->rewritten, &encoder->spare);
        text = piece_of(&encoder->rewritten);
    }
    cut_added(encoder, &tokenizer->normalized, &text, encode_piece);
}

static void encode(struct encoder *encoder, const char *text, size_t length) {
    struct piece piece = {text, length, 0, NULL};

    cut_added(encoder, &encoder->tokenizer->raw, &piece, normalize_piece);
    bpe_work_free(&encoder->work);
    rewritten_free(&encoder->rewritten);
    rewritten_free(&encoder->led);
    rewritten_free(&encoder->spare);
}

void tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length,
                      struct tokens *out) {
    struct encoder encoder = {.tokenizer = tokenizer, .out = out};

    encode(&encoder, text, length);
}

void tokenizer_encode_added(const struct tokenizer *tokenizer, const char *text, size_t length,
                            struct tokens *out) {
    struct encoder encoder = {.tokenizer = tokenizer, .special = 1, .out = out};

    encode(&encoder, text, length);
}

void tokenizer_encode_framed(const struct tokenizer *tokenizer, const char *text, size_t length,
                             struct tokens *out) {
    for (int i = 0; i < tokenizer->before.count; i++) tokens_add(out, tokenizer->before.ids[i]);
    tokenizer_encode_added(tokenizer, text, length, out);
    for (int i = 0; i < tokenizer->after.count; i++) tokens_add(out, tokenizer->after.ids[i]);
}

void tokenizer_encode_mixed(const struct tokenizer *tokenizer, const char *text, size_t length,
                            const struct stretch *plain, int plain_count, struct tokens *out,
                            struct tokens *ends) {
    struct encoder encoder = {.tokenizer = tokenizer,
                              .special = 1,
                              .plain = plain,
                              .plain_count = plain_count,
                              .out = out,
                              .ends = ends};

    encode(&encoder, text, length);
}
