#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/gguf_tokenizer.h"
#include "models/tokenizer_parts.h"
#include "models/unicode.h"

#define KEY "tokenizer.ggml."

enum token_type { TOKEN_NORMAL = 1, TOKEN_UNKNOWN = 2, TOKEN_CONTROL = 3, TOKEN_USER = 4 };

/* llama.cpp's names of pre-tokenizers. The model of a file named "qwen2" was taught composed text (NFC),
   which llama.cpp leaves out. */
static const struct words {
    const char *name;
    enum pretokens cut;
    int digits, composed, whole_first, begins;
} words[] = {{"gpt-2", PRETOKENS_GPT2, 0, 0, 0, 0},       {"smollm", PRETOKENS_GPT2, 1, 0, 0, 0},
             {"llama-bpe", PRETOKENS_LLAMA3, 0, 0, 1, 1}, {"llama3", PRETOKENS_LLAMA3, 0, 0, 1, 1},
             {"llama-v3", PRETOKENS_LLAMA3, 0, 0, 1, 1},  {"qwen2", PRETOKENS_QWEN2, 0, 1, 0, 0}};

/* The arrays of the file, by id. */
struct source {
    const struct node *metadata;
    int count;
    const char **texts;
    double *scores;
    enum token_type *types;
};

static const struct node *key_of(const struct source *source, const char *name) {
    char key[64];

    snprintf(key, sizeof key, KEY "%s", name);
    return node_get(source->metadata, key);
}

static int flag_of(const struct source *source, const char *name, int fallback) {
    const struct node *flag = key_of(source, name);

    return flag && flag->kind == NODE_BOOL ? flag->number != 0 : fallback;
}

static int read_texts(struct source *source, struct error *err) {
    const struct node *list = key_of(source, "tokens");
    int id = 0;

    if (!list || list->kind != NODE_LIST || list->count == 0)
        return fail(err, "\"" KEY "tokens\" is no list of texts");
    source->count = list->count;
    source->texts = xcalloc((size_t)list->count, sizeof *source->texts);
    source->scores = xcalloc((size_t)list->count, sizeof *source->scores);
    source->types = xcalloc((size_t)list->count, sizeof *source->types);
    for (const struct node *text = list->first; text; text = text->next, id++) {
        if (text->kind != NODE_STRING) return fail(err, "token %d of \"" KEY "tokens\" is not a text", id);
        source->texts[id] = text->text;
        source->types[id] = TOKEN_NORMAL;
    }
    return 0;
}

/* An array with a number of each token, which may be missing. */
static const struct node *numbers_of(const struct source *source, const char *name, struct error *err) {
    const struct node *list = key_of(source, name);

    if (!list || (list->kind == NODE_LIST && list->count == source->count)) return list ? list->first : NULL;
    fail(err, "\"" KEY "%s\" is not a list of %d numbers, one of each token", name, source->count);
    return NULL;
}

static int read_source(struct source *source, struct error *err) {
    const struct node *number;
    int id = 0;

    if (read_texts(source, err)) return -1;
    err->message[0] = 0;
    for (number = numbers_of(source, "token_type", err); number; number = number->next)
        source->types[id++] = number->number >= 1 && number->number <= 6 ? (int)number->number : TOKEN_NORMAL;
    id = 0;
    for (number = numbers_of(source, "scores", err); number; number = number->next)
        source->scores[id++] = number->number;
    return err->message[0] ? -1 : 0;
}

static void source_free(struct source *source) {
    free(source->texts);
    free(source->scores);
    free(source->types);
}

/* A part of the pipeline: {"type": type}. */
static struct node *add_part(struct node *parent, const char *key, const char *type) {
    struct node *part = node_add(parent, key, NODE_MAP);

    node_add_text(part, "type", type);
    return part;
}

static struct node *add_sequence(struct node *root, const char *key, const char *list) {
    return node_add(add_part(root, key, "Sequence"), list, NODE_LIST);
}

static void add_pattern(struct node *part, const char *kind, const char *text) {
    node_add_text(node_add(part, "pattern", NODE_MAP), kind, text);
}

static void describe_added(struct node *root, const struct source *source) {
    static const char *const off[] = {"single_word", "lstrip", "rstrip", "normalized", NULL};
    struct node *list = node_add(root, "added_tokens", NODE_LIST), *map;

    for (int id = 0; id < source->count; id++) {
        enum token_type type = source->types[id];

        if (type != TOKEN_UNKNOWN && type != TOKEN_CONTROL && type != TOKEN_USER) continue;
        map = node_add(list, NULL, NODE_MAP);
        node_add_number(map, "id", id);
        node_add_text(map, "content", source->texts[id]);
        for (int i = 0; off[i]; i++) node_add_bool(map, off[i], 0);
        node_add_bool(map, "special", type != TOKEN_USER);
    }
}

/* The token of a role's id, or -1. */
static int role_of(const struct source *source, const char *role) {
    const struct node *id = key_of(source, role);
    int number =
        id && id->kind == NODE_NUMBER && id->number >= 0 && id->number < source->count ? (int)id->number : -1;

    return number;
}

static void add_framing(struct node *single, struct node *tokens, const struct source *source, int id) {
    struct node *special = node_add(node_add(single, NULL, NODE_MAP), "SpecialToken", NODE_MAP), *token;

    node_add_text(special, "id", source->texts[id]);
    node_add_number(special, "type_id", 0);
    if (node_get(tokens, source->texts[id])) return;
    token = node_add(tokens, source->texts[id], NODE_MAP);
    node_add_text(token, "id", source->texts[id]);
    node_add_number(node_add(token, "ids", NODE_LIST), NULL, id);
    node_add_text(node_add(token, "tokens", NODE_LIST), NULL, source->texts[id]);
}

static void add_slot(struct node *list, const char *name, int type) {
    struct node *slot = node_add(node_add(list, NULL, NODE_MAP), "Sequence", NODE_MAP);

    node_add_text(slot, "id", name);
    node_add_number(slot, "type_id", type);
}

static void describe_framing(struct node *root, const struct source *source, int begins) {
    int first = flag_of(source, "add_bos_token", begins) ? role_of(source, "bos_token_id") : -1;
    int last = flag_of(source, "add_eos_token", 0) ? role_of(source, "eos_token_id") : -1;
    struct node *template, *single, *pair, *tokens;

    if (first < 0 && last < 0) {
        node_add_text(root, "post_processor", NULL);
        return;
    }
    template = add_part(root, "post_processor", "TemplateProcessing");
    single = node_add(template, "single", NODE_LIST);
    pair = node_add(template, "pair", NODE_LIST);
    tokens = node_add(template, "special_tokens", NODE_MAP);
    if (first >= 0) add_framing(single, tokens, source, first);
    add_slot(single, "A", 0);
    if (last >= 0) add_framing(single, tokens, source, last);
    add_slot(pair, "A", 0);
    add_slot(pair, "B", 1);
}

static struct node *begin_document(const struct source *source) {
    struct node *root = node_new(NODE_MAP);

    node_add_text(root, "version", "1.0");
    node_add_text(root, "truncation", NULL);
    node_add_text(root, "padding", NULL);
    describe_added(root, source);
    return root;
}

static struct node *describe_model(struct node *root, const struct source *source, const char *unknown,
                                   int fallback, int whole_first) {
    struct node *model = add_part(root, "model", "BPE"), *vocab;

    node_add_text(model, "dropout", NULL);
    node_add_text(model, "unk_token", unknown);
    node_add_text(model, "continuing_subword_prefix", NULL);
    node_add_text(model, "end_of_word_suffix", NULL);
    node_add_bool(model, "fuse_unk", fallback);
    node_add_bool(model, "byte_fallback", fallback);
    node_add_bool(model, "ignore_merges", whole_first);
    vocab = node_add(model, "vocab", NODE_MAP);
    for (int id = 0; id < source->count; id++) node_add_number(vocab, source->texts[id], id);
    return model;
}

static void add_byte_level(struct node *parent, const char *key, int use_regex) {
    struct node *part = add_part(parent, key, "ByteLevel");

    node_add_bool(part, "add_prefix_space", 0);
    node_add_bool(part, "trim_offsets", 1);
    node_add_bool(part, "use_regex", use_regex);
}

static void describe_words(struct node *root, const struct words *how) {
    struct node *steps = add_sequence(root, "pre_tokenizer", "pretokenizers"), *part;

    if (how->digits) node_add_bool(add_part(steps, NULL, "Digits"), "individual_digits", 1);
    if (how->cut != PRETOKENS_GPT2) {
        part = add_part(steps, NULL, "Split");
        add_pattern(part, "Regex", pretokens_regex(how->cut));
        node_add_text(part, "behavior", "Isolated");
        node_add_bool(part, "invert", 0);
    }
    add_byte_level(steps, NULL, how->cut == PRETOKENS_GPT2);
}

static int build_bytes(struct tokenizer **out, const struct source *source, struct error *err) {
    const struct node *name = key_of(source, "pre"), *merges = key_of(source, "merges");
    const struct words *how = NULL;
    struct node *root;

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (name && name->kind == NODE_STRING && !strcmp(name->text, words[i].name)) how = &words[i];
    if (!how)
        return fail(err, "the pre-tokenizer is %s: only gpt-2, smollm, llama-bpe and qwen2 are supported",
                    name && name->text ? name->text : "not named (\"" KEY "pre\")");
    if (!merges || merges->kind != NODE_LIST) return fail(err, "\"" KEY "merges\" is no list of texts");
    root = begin_document(source);
    if (how->composed)
        add_part(root, "normalizer", "NFC");
    else
        node_add_text(root, "normalizer", NULL);
    describe_words(root, how);
    describe_framing(root, source, how->begins);
    add_byte_level(root, "decoder", 1);
    node_add_copy(describe_model(root, source, NULL, 0, how->whole_first), "merges", merges);
    return tokenizer_build(out, root, NULL, err);
}

/* A merge of SentencePiece: two tokens that make one of a score. */
struct scored {
    double score;
    int left, right, id;
};

struct scored_list {
    struct scored *items;
    int count, room;
};

static int by_score(const void *a, const void *b) {
    const struct scored *x = a, *y = b;

    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (x->left > y->left) - (x->left < y->left);
}

static void add_scored(struct scored_list *list, struct scored merge) {
    if (list->count == list->room) {
        list->room = 2 * list->room + 1024;
        list->items = xrealloc(list->items, (size_t)list->room, sizeof *list->items);
    }
    list->items[list->count++] = merge;
}

/* Every cut of a normal token, between two characters, into two normal tokens. */
static void split_token(struct scored_list *list, const struct source *source, const struct span *spans,
                        const struct span_index *known, int id) {
    const unsigned char *text = (const unsigned char *)source->texts[id], *end = text + spans[id].length;
    int size;

    for (const unsigned char *at = text; at < end;) {
        int left, right;

        unicode_decode(at, end, &size);
        at += size;
        if (at == end) break;
        left = span_find(known, spans, (const char *)text, (size_t)(at - text));
        right = left < 0 ? -1 : span_find(known, spans, (const char *)at, (size_t)(end - at));
        if (right >= 0) add_scored(list, (struct scored){source->scores[id], left, right, id});
    }
}

static struct scored_list list_merges(const struct source *source) {
    struct span *spans = xcalloc((size_t)source->count, sizeof *spans);
    struct span_index known = {0};
    struct scored_list list = {0};

    for (int id = 0; id < source->count; id++) {
        spans[id] = (struct span){source->texts[id], strlen(source->texts[id])};
        if (source->types[id] == TOKEN_NORMAL && spans[id].length > 0 &&
            span_find(&known, spans, spans[id].bytes, spans[id].length) < 0)
            span_add(&known, spans, id);
    }
    for (int id = 0; id < source->count; id++)
        if (source->types[id] == TOKEN_NORMAL) split_token(&list, source, spans, &known, id);
    if (list.count) qsort(list.items, (size_t)list.count, sizeof *list.items, by_score);
    free(known.slots);
    free(spans);
    return list;
}

int gguf_tokenizer_pairs(const char **texts, const int *types, int count) {
    struct source source = {.count = count,
                            .texts = texts,
                            .scores = xcalloc((size_t)count, sizeof *source.scores),
                            .types = xcalloc((size_t)count, sizeof *source.types)};
    struct scored_list list;

    for (int id = 0; id < count; id++) source.types[id] = (enum token_type)types[id];
    list = list_merges(&source);
    free(list.items);
    free(source.scores);
    free(source.types);
    return list.count;
}

/* SentencePiece merges the pair whose token has the highest score: merges of one score have one rank. */
static int *describe_merges(struct node *model, const struct source *source) {
    struct node *merges = node_add(model, "merges", NODE_LIST), *pair;
    struct scored_list list = list_merges(source);
    int *ranks = xcalloc((size_t)list.count + 1, sizeof *ranks);

    for (int i = 0; i < list.count; i++) {
        ranks[i] = i && list.items[i].score == list.items[i - 1].score ? ranks[i - 1] : i;
        pair = node_add(merges, NULL, NODE_LIST);
        node_add_text(pair, NULL, source->texts[list.items[i].left]);
        node_add_text(pair, NULL, source->texts[list.items[i].right]);
    }
    free(list.items);
    return ranks;
}

static void describe_blanks(struct node *root, int lead) {
    struct node *steps = add_sequence(root, "normalizer", "normalizers"), *part;

    if (lead) node_add_text(add_part(steps, NULL, "Prepend"), "prepend", BLANK);
    part = add_part(steps, NULL, "Replace");
    add_pattern(part, "String", " ");
    node_add_text(part, "content", BLANK);
    node_add_text(root, "pre_tokenizer", NULL);
}

static void describe_decoder(struct node *root, int lead) {
    struct node *steps = add_sequence(root, "decoder", "decoders"), *part;

    part = add_part(steps, NULL, "Replace");
    add_pattern(part, "String", BLANK);
    node_add_text(part, "content", " ");
    add_part(steps, NULL, "ByteFallback");
    add_part(steps, NULL, "Fuse");
    if (!lead) return;
    part = add_part(steps, NULL, "Strip");
    node_add_text(part, "content", " ");
    node_add_number(part, "start", 1);
    node_add_number(part, "stop", 0);
}

static int build_characters(struct tokenizer **out, const struct source *source, struct error *err) {
    int lead = flag_of(source, "add_space_prefix", 1), unknown = role_of(source, "unknown_token_id"), status;
    struct node *root, *model;
    int *ranks;

    if (!key_of(source, "scores")) return fail(err, "\"" KEY "scores\" is missing");
    root = begin_document(source);
    describe_blanks(root, lead);
    describe_framing(root, source, 1);
    describe_decoder(root, lead);
    model = describe_model(root, source, unknown < 0 ? NULL : source->texts[unknown], 1, 0);
    ranks = describe_merges(model, source);
    status = tokenizer_build(out, root, ranks, err);
    free(ranks);
    return status;
}

int gguf_tokenizer_read(struct tokenizer **out, const struct node *metadata, struct error *err) {
    struct source source = {.metadata = metadata};
    const struct node *kind = key_of(&source, "model");
    const char *name = kind && kind->kind == NODE_STRING ? kind->text : "not named (\"" KEY "model\")";
    int status = -1;

    *out = NULL;
    if (strcmp(name, "gpt2") && strcmp(name, "llama"))
        return fail(err,
                    "the tokenizer is %s: only gpt2 (byte-level BPE) and llama (SentencePiece) are supported",
                    name);
    if (read_source(&source, err) == 0)
        status = strcmp(name, "gpt2") ? build_characters(out, &source, err) : build_bytes(out, &source, err);
    source_free(&source);
    return status;
}
