#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "models/tokenizer_parts.h"

static const char *type_of(const struct node *node) {
    return node_text(node, "type", "without a type");
}

static int is_on(const struct node *map, const char *name, int fallback) {
    return node_number(map, name, fallback) != 0;
}

static int is_null(const struct node *node) {
    return !node || node->kind == NODE_NULL;
}

/* A setting that must be off: missing, null, false, 0 or "". */
static int refuse(const struct node *map, const char *name, struct error *err) {
    const struct node *node = node_get(map, name);

    if (is_null(node) || ((node->kind == NODE_BOOL || node->kind == NODE_NUMBER) && node->number == 0))
        return 0;
    if (node->kind == NODE_STRING && node->text[0] == 0) return 0;
    return fail(err, "line %d: \"%s\" is set, which is not supported", node->line, name);
}

/* Calls read() for a part of the pipeline, or for each of those that a Sequence lists under this name. */
static int each_part(struct tokenizer *out, const struct node *part, const char *list,
                     int (*read)(struct tokenizer *, const struct node *, struct error *),
                     struct error *err) {
    const struct node *parts;

    if (is_null(part)) return 0;
    if (strcmp(type_of(part), "Sequence")) return read(out, part, err);
    parts = node_get(part, list);
    if (!parts || parts->kind != NODE_LIST)
        return fail(err, "line %d: a Sequence has no list \"%s\"", part->line, list);
    for (const struct node *one = parts->first; one; one = one->next)
        if (each_part(out, one, list, read, err)) return -1;
    return 0;
}

static int add_rewrite(struct rewrite *steps, int *count, enum rewrite_kind kind, const char *from,
                       const char *to, const struct node *part, struct error *err) {
    if (*count == STEPS_MOST)
        return fail(err, "line %d: more than %d steps of one kind are not supported", part->line, STEPS_MOST);
    steps[(*count)++] = (struct rewrite){kind, xstrdup(from), xstrdup(to)};
    return 0;
}

static int read_normalizer(struct tokenizer *out, const struct node *part, struct error *err) {
    const char *type = type_of(part), *from = node_text(node_get(part, "pattern"), "String", NULL);
    const char *to = node_text(part, strcmp(type, "Prepend") ? "content" : "prepend", NULL);

    if (!strcmp(type, "NFC"))
        return add_rewrite(out->rewrites, &out->rewrite_count, REWRITE_NFC, NULL, NULL, part, err);
    if (!strcmp(type, "Prepend") && to)
        return add_rewrite(out->rewrites, &out->rewrite_count, REWRITE_PREPEND, NULL, to, part, err);
    if (!strcmp(type, "Replace") && from && from[0] && to)
        return add_rewrite(out->rewrites, &out->rewrite_count, REWRITE_REPLACE, from, to, part, err);
    return fail(err,
                "line %d: the normalizer is %s: only NFC, Prepend and Replace of a text (\"String\") are "
                "supported",
                part->line, type);
}

static int add_cut(struct tokenizer *out, enum pretokens cut, const struct node *part, struct error *err) {
    if (out->cut_count == STEPS_MOST)
        return fail(err, "line %d: more than %d pre-tokenizers are not supported", part->line, STEPS_MOST);
    out->cuts[out->cut_count++] = cut;
    return 0;
}

static int add_lead(struct tokenizer *out, enum rewrite_kind kind, const char *from, const char *to,
                    const struct node *part, struct error *err) {
    if (out->cut_count)
        return fail(err, "line %d: a pre-tokenizer that adds a prefix must be the first one", part->line);
    return add_rewrite(out->leads, &out->lead_count, kind, from, to, part, err);
}

static int read_byte_level(struct tokenizer *out, const struct node *part, struct error *err) {
    if (is_on(part, "add_prefix_space", 1) && add_lead(out, REWRITE_LEAD, NULL, " ", part, err)) return -1;
    if (is_on(part, "use_regex", 1) && add_cut(out, PRETOKENS_GPT2, part, err)) return -1;
    out->byte_level = 1;
    return 0;
}

static int read_split(struct tokenizer *out, const struct node *part, struct error *err) {
    const struct node *pattern = node_get(part, "pattern");
    const char *regex = node_text(pattern, "Regex", NULL), *text = node_text(pattern, "String", NULL);
    const char *behavior = node_text(part, "behavior", "");
    int invert = is_on(part, "invert", 0), kind = regex ? pretokens_of_regex(regex) : -1;

    if (regex && kind < 0)
        return fail(err,
                    "line %d: the pre-tokenizer splits by an expression that is not supported: only those of "
                    "GPT-2, Llama 3 and Qwen2 are, spelt exactly as there",
                    part->line);
    if (kind >= 0 && !strcmp(behavior, invert ? "Removed" : "Isolated")) return add_cut(out, kind, part, err);
    if (text && !strcmp(text, " ") && !strcmp(behavior, "MergedWithPrevious") && !invert)
        return add_cut(out, PRETOKENS_AFTER_SPACE, part, err);
    return fail(
        err,
        "line %d: a Split of this pattern and behavior is not supported: expected Isolated pieces of a "
        "known expression, or \" \" with MergedWithPrevious",
        part->line);
}

static int read_metaspace(struct tokenizer *out, const struct node *part, struct error *err) {
    const char *scheme =
        node_text(part, "prepend_scheme", is_on(part, "add_prefix_space", 1) ? "always" : "never");
    enum rewrite_kind lead = strcmp(scheme, "first") ? REWRITE_LEAD : REWRITE_LEAD_ONCE;

    if (strcmp(node_text(part, "replacement", ""), BLANK))
        return fail(err, "line %d: only \"" BLANK "\" is supported as Metaspace's \"replacement\"",
                    part->line);
    if (add_lead(out, REWRITE_REPLACE, " ", BLANK, part, err)) return -1;
    if (strcmp(scheme, "never") && add_lead(out, lead, NULL, BLANK, part, err)) return -1;
    return is_on(part, "split", 1) ? add_cut(out, PRETOKENS_BEFORE_BLANK, part, err) : 0;
}

static int read_pre_tokenizer(struct tokenizer *out, const struct node *part, struct error *err) {
    const char *type = type_of(part);

    if (out->byte_level)
        return fail(err, "line %d: a pre-tokenizer after ByteLevel is not supported", part->line);
    if (!strcmp(type, "ByteLevel")) return read_byte_level(out, part, err);
    if (!strcmp(type, "Split")) return read_split(out, part, err);
    if (!strcmp(type, "Metaspace")) return read_metaspace(out, part, err);
    if (!strcmp(type, "Digits"))
        return add_cut(out, is_on(part, "individual_digits", 0) ? PRETOKENS_DIGIT : PRETOKENS_DIGITS, part,
                       err);
    return fail(err,
                "line %d: the pre-tokenizer is %s: only ByteLevel, Split, Digits and Metaspace are supported",
                part->line, type);
}

static int read_id(const struct node *node, int *id, struct error *err) {
    if (!node || node->kind != NODE_NUMBER || !(node->number >= 0 && node->number < MOST_TOKENS) ||
        node->number != floor(node->number))
        return fail(err, "line %d: a token's id is not a whole number from 0 to %d", node ? node->line : 0,
                    MOST_TOKENS - 1);
    *id = (int)node->number;
    return 0;
}

/* The ids of a SpecialToken of a template. */
static int read_framing(struct tokens *out, const struct node *template, const char *name,
                        struct error *err) {
    const struct node *ids = node_get(node_get(node_get(template, "special_tokens"), name), "ids");
    int id = 0;

    if (!ids || ids->kind != NODE_LIST)
        return fail(err, "line %d: the template's special token \"%s\" has no list \"ids\"", template->line,
                    name);
    for (const struct node *node = ids->first; node; node = node->next) {
        if (read_id(node, &id, err)) return -1;
        tokens_add(out, id);
    }
    return 0;
}

static int read_template(struct tokenizer *out, const struct node *template, struct error *err) {
    const struct node *single = node_get(template, "single");
    struct tokens *side = &out->before;

    if (!single || single->kind != NODE_LIST)
        return fail(err, "line %d: TemplateProcessing has no list \"single\"", template->line);
    for (const struct node *piece = single->first; piece; piece = piece->next) {
        const char *name = node_text(node_get(piece, "SpecialToken"), "id", NULL);

        if (name && read_framing(side, template, name, err)) return -1;
        if (!name && (!node_get(piece, "Sequence") || side == &out->after))
            return fail(err, "line %d: a template is special tokens around one Sequence", piece->line);
        if (!name) side = &out->after;
    }
    if (side == &out->after) return 0;
    return fail(err, "line %d: the template has no Sequence", template->line);
}

static int read_post_processor(struct tokenizer *out, const struct node *part, struct error *err) {
    if (!strcmp(type_of(part), "ByteLevel")) return 0;
    if (strcmp(type_of(part), "TemplateProcessing") || out->before.count || out->after.count)
        return fail(
            err, "line %d: the post_processor is %s: only ByteLevel and one TemplateProcessing are supported",
            part->line, type_of(part));
    return read_template(out, part, err);
}

/* What a decoder has been so far. */
enum { DECODER_BYTES = 1, DECODER_FUSED = 2 };

static int read_decoder_part(struct tokenizer *out, const struct node *part, int *seen, struct error *err) {
    const char *type = type_of(part), *from = node_text(node_get(part, "pattern"), "String", "");

    if (!strcmp(type, "ByteLevel"))
        *seen |= DECODER_BYTES;
    else if (!strcmp(type, "Replace") && !strcmp(from, BLANK) && !strcmp(node_text(part, "content", ""), " "))
        out->blank_text = 1;
    else if (!strcmp(type, "ByteFallback"))
        out->byte_fallback = 1;
    else if (!strcmp(type, "Fuse"))
        *seen |= DECODER_FUSED;
    else if (!strcmp(type, "Strip") && *seen & DECODER_FUSED && node_int(part, "stop", 0) == 0 &&
             !strcmp(node_text(part, "content", ""), " "))
        out->strip = node_int(part, "start", 0);
    else
        return fail(err,
                    "line %d: the decoder has a step %s that is not supported: expected ByteLevel, or "
                    "Replace of \"" BLANK
                    "\" by a space, ByteFallback, Fuse and Strip of spaces at the start",
                    part->line, type);
    return 0;
}

static int read_decoder(struct tokenizer *out, const struct node *decoder, struct error *err) {
    int sequence = !is_null(decoder) && !strcmp(type_of(decoder), "Sequence"), seen = 0;
    const struct node *parts = sequence ? node_get(decoder, "decoders") : NULL;

    if (is_null(decoder) || (sequence && !parts)) return fail(err, "the decoder is missing");
    if (!sequence && read_decoder_part(out, decoder, &seen, err)) return -1;
    for (const struct node *part = parts ? parts->first : NULL; part; part = part->next)
        if (read_decoder_part(out, part, &seen, err)) return -1;
    if (out->byte_level == !!(seen & DECODER_BYTES)) return 0;
    return fail(err, "line %d: the decoder does not belong to the pre-tokenizer: expected %s", decoder->line,
                out->byte_level ? "ByteLevel" : "one of characters, as the pre-tokenizer is");
}

static int check_model(const struct node *model, struct error *err) {
    static const char *const off[] = {"dropout", "continuing_subword_prefix", "end_of_word_suffix", NULL};

    if (!model || model->kind != NODE_MAP) return fail(err, "the \"model\" is missing");
    if (strcmp(node_text(model, "type", "BPE"), "BPE"))
        return fail(err, "line %d: the model is %s: only BPE is supported", model->line, type_of(model));
    for (int i = 0; off[i]; i++)
        if (refuse(model, off[i], err)) return -1;
    return 0;
}

static int read_settings(struct tokenizer *out, const struct node *root, struct error *err) {
    if (each_part(out, node_get(root, "normalizer"), "normalizers", read_normalizer, err)) return -1;
    if (each_part(out, node_get(root, "pre_tokenizer"), "pretokenizers", read_pre_tokenizer, err)) return -1;
    if (each_part(out, node_get(root, "post_processor"), "processors", read_post_processor, err)) return -1;
    return read_decoder(out, node_get(root, "decoder"), err);
}

/* Sets vocab to one more than the largest id of all, and makes the tables of that size. */
static int make_tables(struct tokenizer *out, const struct node *vocab, const struct node *added,
                       struct error *err) {
    int most = vocab->count + (added ? added->count : 0), id = 0;

    for (const struct node *token = vocab->first; token; token = token->next) {
        if (read_id(token, &id, err)) return -1;
        if (id >= out->vocab) out->vocab = id + 1;
    }
    for (const struct node *token = added ? added->first : NULL; token; token = token->next) {
        if (read_id(node_get(token, "id"), &id, err)) return -1;
        if (id >= out->vocab) out->vocab = id + 1;
    }
    if (out->vocab > 2 * most + 1024)
        return fail(err, "ids go up to %d for %d tokens: expected them without large holes", out->vocab - 1,
                    most);
    out->names = xcalloc((size_t)out->vocab, sizeof *out->names);
    out->listed = xcalloc((size_t)out->vocab, 1);
    out->special = xcalloc((size_t)out->vocab, 1);
    out->spans = xcalloc((size_t)out->vocab, sizeof *out->spans);
    out->bpe.tokens = xcalloc((size_t)out->vocab, sizeof *out->bpe.tokens);
    out->bpe.count = out->vocab;
    return 0;
}

static void name_token(struct tokenizer *out, int id, const char *name) {
    out->names[id] = xstrdup(name);
    out->spans[id] = (struct span){out->names[id], strlen(name)};
    span_add(&out->by_name, out->spans, id);
}

static int read_vocab(struct tokenizer *out, const struct node *vocab, struct error *err) {
    for (const struct node *token = vocab->first; token; token = token->next) {
        int id = (int)token->number;

        if (tokenizer_find(out, token->key, strlen(token->key)) >= 0)
            return fail(err, "line %d: the token \"%s\" is there twice", token->line, token->key);
        if (out->names[id])
            return fail(err, "line %d: \"%s\" and \"%s\" have the same id %d", token->line, out->names[id],
                        token->key, id);
        name_token(out, id, token->key);
        out->listed[id] = 1;
    }
    return 0;
}

static int add_added(struct tokenizer *out, const struct node *token, struct error *err) {
    const char *content = node_text(token, "content", "");
    int id = (int)node_number(token, "id", 0), known = tokenizer_find(out, content, strlen(content));

    if (content[0] == 0) return fail(err, "line %d: an added token has no \"content\"", token->line);
    if (tokenizer_special(out, content) >= 0)
        return fail(err, "line %d: \"%s\" is added twice", token->line, content);
    if (out->names[id] && strcmp(out->names[id], content))
        return fail(err, "line %d: \"%s\" has the id %d of \"%s\"", token->line, content, id, out->names[id]);
    if (known >= 0 && known != id)
        return fail(err, "line %d: \"%s\" has the id %d, but %d in the vocabulary", token->line, content, id,
                    known);
    if (!out->names[id]) name_token(out, id, content);
    out->special[id] = is_on(token, "special", 0) != 0;
    out->added[out->added_count++] = (struct added){.content = xstrdup(content),
                                                    .id = id,
                                                    .special = out->special[id],
                                                    .single_word = is_on(token, "single_word", 0),
                                                    .lstrip = is_on(token, "lstrip", 0),
                                                    .rstrip = is_on(token, "rstrip", 0),
                                                    .normalized = is_on(token, "normalized", 0)};
    return 0;
}

static int read_added(struct tokenizer *out, const struct node *added, struct error *err) {
    if (!added || added->kind != NODE_LIST) return 0;
    out->added = xcalloc((size_t)added->count, sizeof *out->added);
    for (const struct node *token = added->first; token; token = token->next)
        if (add_added(out, token, err)) return -1;
    return 0;
}

/* What is looked for: in text that is normalized, the content normalized as well. */
static void make_patterns(struct tokenizer *out) {
    struct rewritten text = {0}, spare = {0};

    for (int i = 0; i < out->added_count; i++) {
        struct added *added = &out->added[i];

        rewrite(out->rewrites, added->normalized ? out->rewrite_count : 0, added->content,
                strlen(added->content), NULL, 0, &text, &spare);
        added->pattern = xstrndup(text.bytes, text.length);
        added->length = text.length;
    }
    rewritten_free(&text);
    rewritten_free(&spare);
}

static int by_pattern(const void *a, const void *b) {
    const struct added *x = *(const struct added *const *)a, *y = *(const struct added *const *)b;
    int order = (unsigned char)x->pattern[0] - (unsigned char)y->pattern[0];

    if (order) return order;
    if (x->length != y->length) return x->length < y->length ? 1 : -1;
    return (x > y) - (x < y);
}

static void make_set(struct added_set *set, const struct tokenizer *tokenizer, int normalized) {
    int count = 0, byte = 0;

    set->items = xcalloc((size_t)tokenizer->added_count + 1, sizeof *set->items);
    for (int i = 0; i < tokenizer->added_count; i++)
        if (tokenizer->added[i].normalized == normalized && tokenizer->added[i].length > 0)
            set->items[count++] = &tokenizer->added[i];
    qsort(set->items, (size_t)count, sizeof *set->items, by_pattern);
    for (int i = 0; i < count; i++)
        while (byte <= (unsigned char)set->items[i]->pattern[0]) set->first[byte++] = i;
    while (byte <= 256) set->first[byte++] = count;
}

/* Some vocabularies, as SmolLM's, lack bytes that their texts did not have. */
static void set_bytes(struct tokenizer *out) {
    for (int id = 0; id < out->vocab; id++)
        if (out->listed[id] && !out->special[id])
            out->bpe.tokens[id] = tokenizer_unspell(out->names[id], strlen(out->names[id]));
    for (int byte = 0; byte < 256; byte++) {
        char letter = (char)byte, *name = tokenizer_spell(&(struct span){&letter, 1});
        int id = tokenizer_find(out, name, strlen(name));

        out->bpe.byte_id[byte] = id >= 0 && out->listed[id] ? id : -1;
        free(name);
    }
}

static void set_characters(struct tokenizer *out, const struct node *model) {
    out->bpe.characters = 1;
    for (int id = 0; id < out->vocab; id++)
        if (out->listed[id] && !out->special[id] && out->names[id][0])
            out->bpe.tokens[id] = (struct span){xstrdup(out->names[id]), strlen(out->names[id])};
    for (int byte = 0; byte < 256; byte++) {
        char *name = xprintf("<0x%02X>", byte);

        out->bpe.byte_id[byte] = is_on(model, "byte_fallback", 0) ? tokenizer_find(out, name, 6) : -1;
        free(name);
    }
}

static int set_symbols(struct tokenizer *out, const struct node *model, struct error *err) {
    const char *unknown = node_text(model, "unk_token", NULL);

    out->bpe.fuse_unknown = is_on(model, "fuse_unk", 0);
    out->bpe.unknown = unknown ? tokenizer_find(out, unknown, strlen(unknown)) : -1;
    if (unknown && out->bpe.unknown < 0)
        return fail(err, "line %d: the unk_token \"%s\" is not in the vocabulary", model->line, unknown);
    if (out->byte_level)
        set_bytes(out);
    else
        set_characters(out, model);
    return 0;
}

/* The two halves of ["a", "b"], or "a b" in older files; -1 if it is neither. */
static int split_merge(const struct node *merge, struct span *left, struct span *right) {
    const char *space = merge->kind == NODE_STRING ? strchr(merge->text, ' ') : NULL;

    if (space && !strchr(space + 1, ' ')) {
        *left = (struct span){merge->text, (size_t)(space - merge->text)};
        *right = (struct span){space + 1, strlen(space + 1)};
        return 0;
    }
    if (merge->kind != NODE_LIST || merge->count != 2 || merge->first->kind != NODE_STRING ||
        merge->last->kind != NODE_STRING)
        return -1;
    *left = (struct span){merge->first->text, strlen(merge->first->text)};
    *right = (struct span){merge->last->text, strlen(merge->last->text)};
    return 0;
}

/* A merge that would make a special token is left out: no text may spell one. */
static int read_merge(struct tokenizer *out, const struct node *merge, int rank, struct error *err) {
    struct span left, right;
    struct merge made = {.rank = rank};
    struct text whole = {0};

    if (split_merge(merge, &left, &right))
        return fail(err, "line %d: a merge is not a pair of tokens", merge->line);
    text_add(&whole, left.bytes, left.length);
    text_add(&whole, right.bytes, right.length);
    made.left = tokenizer_find(out, left.bytes, left.length);
    made.right = tokenizer_find(out, right.bytes, right.length);
    made.id = tokenizer_find(out, whole.data, whole.length);
    free(whole.data);
    if (made.left < 0 || made.right < 0 || made.id < 0)
        return fail(err,
                    "line %d: the merge of \"%.*s\" and \"%.*s\" uses or makes a token that is not in the "
                    "vocabulary",
                    merge->line, (int)left.length, left.bytes, (int)right.length, right.bytes);
    if (!out->special[made.id]) out->bpe.merges[out->bpe.merge_count++] = made;
    return 0;
}

static int read_merges(struct tokenizer *out, const struct node *merges, const int *ranks,
                       struct error *err) {
    int index = 0;

    if (!merges || merges->kind != NODE_LIST) return fail(err, "the model's \"merges\" are missing");
    out->bpe.merges = xcalloc((size_t)merges->count + 1, sizeof *out->bpe.merges);
    for (const struct node *merge = merges->first; merge; merge = merge->next, index++)
        if (read_merge(out, merge, ranks ? ranks[index] : index, err)) return -1;
    return 0;
}

/* Whether a BLANK follows something else in the token. */
static int holds_inner_blank(const char *name) {
    const char *at = name;

    while (strncmp(at, BLANK, BLANK_SIZE) == 0) at += BLANK_SIZE;
    return strstr(at, BLANK) != NULL;
}

/* Where no merge crosses from something else to a BLANK, the text can be cut there without changing its
   tokens: then the words are short. */
static void cut_at_blanks(struct tokenizer *out) {
    const struct bpe *bpe = &out->bpe;

    if (out->byte_level || bpe->whole_first || out->cut_count == STEPS_MOST) return;
    if (tokenizer_find(out, BLANK, BLANK_SIZE) < 0 || bpe->unknown >= 0) {
        for (int byte = 0; byte < 256; byte++)
            if (bpe->byte_id[byte] < 0) return;
    }
    for (int i = 0; i < bpe->merge_count; i++)
        if (holds_inner_blank(out->names[bpe->merges[i].id])) return;
    out->cuts[out->cut_count++] = PRETOKENS_BLANK_RUNS;
}

static int hexadecimal(char digit) {
    static const char digits[] = "0123456789ABCDEF0123456789abcdef";
    const char *found = digit ? strchr(digits, digit) : NULL;

    return found ? (int)(found - digits) % 16 : -1;
}

/* The byte of a name like <0x0A>, or -1. */
static int named_byte(const char *name) {
    int high, low;

    if (strlen(name) != 6 || strncmp(name, "<0x", 3) || name[5] != '>') return -1;
    high = hexadecimal(name[3]);
    low = hexadecimal(name[4]);
    return high < 0 || low < 0 ? -1 : 16 * high + low;
}

/* What a name stands for in text. */
static struct span decoded(const struct tokenizer *tokenizer, const char *name, int is_added) {
    struct span bytes = {0};
    struct text out = {0};
    int byte = tokenizer->byte_fallback ? named_byte(name) : -1;

    if (tokenizer->byte_level && !is_added) bytes = tokenizer_unspell(name, strlen(name));
    if (bytes.bytes) return bytes;
    text_add(&out, "", 0);
    for (const char *at = name; *at && byte < 0;) {
        int blank = tokenizer->blank_text && strncmp(at, BLANK, BLANK_SIZE) == 0;

        text_add(&out, blank ? " " : at, 1);
        at += blank ? BLANK_SIZE : 1;
    }
    if (byte >= 0) text_add(&out, &(char){(char)byte}, 1);
    return (struct span){out.data, out.length};
}

/* Added tokens stand for what is looked for in the text. */
static void make_decoded(struct tokenizer *out) {
    out->decoded = xcalloc((size_t)out->vocab, sizeof *out->decoded);
    for (int i = 0; i < out->added_count; i++)
        out->decoded[out->added[i].id] = decoded(out, out->added[i].pattern, 1);
    for (int id = 0; id < out->vocab; id++)
        if (out->names[id] && !out->decoded[id].bytes) out->decoded[id] = decoded(out, out->names[id], 0);
}

static int check_framing(const struct tokenizer *tokenizer, const struct tokens *ids, struct error *err) {
    for (int i = 0; i < ids->count; i++)
        if (ids->ids[i] >= tokenizer->vocab || !tokenizer->names[ids->ids[i]])
            return fail(err, "the post_processor adds the id %d, which no token has", ids->ids[i]);
    return 0;
}

/* Without a template: ours, or plain text. */
static int set_format(struct tokenizer *out, struct error *err) {
    int ours = tokenizer_special(out, TOKEN_RESPONSE) >= 0 && tokenizer_special(out, TOKEN_END) >= 0;

    if (chat_named(&out->chat, ours ? "pyrite" : "plain", err)) return -1;
    tokenizer_set_roles(out, -1, -1);
    return 0;
}

static int read_all(struct tokenizer *out, const struct node *root, const int *ranks, struct error *err) {
    const struct node *model = node_get(root, "model"), *vocab = node_get(model, "vocab");
    const struct node *added = node_get(root, "added_tokens");

    if (check_model(model, err) || read_settings(out, root, err)) return -1;
    if (!vocab || vocab->kind != NODE_MAP) return fail(err, "the model's \"vocab\" is missing");
    if (make_tables(out, vocab, added, err) || read_vocab(out, vocab, err)) return -1;
    if (read_added(out, added, err)) return -1;
    if (check_framing(out, &out->before, err) || check_framing(out, &out->after, err)) return -1;
    if (set_symbols(out, model, err)) return -1;
    if (read_merges(out, node_get(model, "merges"), ranks, err)) return -1;
    out->bpe.whole_first = is_on(model, "ignore_merges", 0);
    if (bpe_index(&out->bpe, err)) return -1;
    make_patterns(out);
    make_set(&out->raw, out, 0);
    make_set(&out->normalized, out, 1);
    cut_at_blanks(out);
    make_decoded(out);
    return set_format(out, err);
}

/* A copy of the document without what the tables hold. */
static struct node *settings_of(const struct node *root) {
    struct node *settings = node_new(NODE_MAP), *model;

    for (const struct node *part = root->first; part; part = part->next) {
        if (strcmp(part->key, "model")) {
            node_add_copy(settings, part->key, part);
            continue;
        }
        model = node_add(settings, "model", NODE_MAP);
        for (const struct node *one = part->first; one; one = one->next)
            if (strcmp(one->key, "vocab") && strcmp(one->key, "merges")) node_add_copy(model, one->key, one);
    }
    return settings;
}

int tokenizer_build(struct tokenizer **out, struct node *document, const int *ranks, struct error *err) {
    int status;

    *out = xcalloc(1, sizeof **out);
    status = document->kind == NODE_MAP ? read_all(*out, document, ranks, err) : fail(err, "expected a map");
    if (status == 0) (*out)->settings = settings_of(document);
    node_free(document);
    if (status == 0) return 0;
    tokenizer_free(*out);
    *out = NULL;
    return -1;
}
