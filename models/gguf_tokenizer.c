#include "models/gguf_tokenizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/tokenizer_parts.h"

#define KEY "tokenizer.ggml."

enum token_type {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN = 2,
    TOKEN_CONTROL = 3,
    TOKEN_USER = 4,
    TOKEN_UNUSED = 5,
    TOKEN_BYTE = 6
};

static int is_type(const struct node *part, const char *type) {
    return strcmp(node_text(part, "type", ""), type) == 0;
}

/* llama.cpp's name of a list of two steps, of which the second is byte-level. */
static const char *name_sequence(const struct node *first, const struct node *last) {
    if (!is_type(last, "ByteLevel")) return NULL;
    if (is_type(first, "Digits") && node_number(first, "individual_digits", 0) &&
        node_number(last, "use_regex", 1))
        return "smollm";
    if (!is_type(first, "Split") || node_number(last, "use_regex", 1)) return NULL;
    switch (pretokens_of_regex(node_text(node_get(first, "pattern"), "Regex", ""))) {
    case PRETOKENS_LLAMA3:
        return "llama-bpe";
    case PRETOKENS_QWEN2:
        return "qwen2";
    default:
        return NULL;
    }
}

/* NULL: none that llama.cpp knows. Documents are not nested deeply enough for the recursion to matter. */
static const char *name_words(const struct node *words) {
    const struct node *steps = node_get(words, "pretokenizers");

    if (is_type(words, "ByteLevel")) return node_number(words, "use_regex", 1) ? "gpt-2" : NULL;
    if (!is_type(words, "Sequence") || !steps || steps->count < 1 || steps->count > 2) return NULL;
    return steps->count == 1 ? name_words(steps->first) : name_sequence(steps->first, steps->last);
}

/* Every id's text and type. */
struct vocabulary {
    const char **texts;
    char **made; /* texts of unused ids */
    int *types;
    int count;
};

static int set_token(struct vocabulary *tokens, const struct node *id, const char *text, enum token_type type,
                     struct error *err) {
    if (!id || id->kind != NODE_NUMBER || !(id->number >= 0 && id->number < tokens->count) ||
        id->number != floor(id->number))
        return fail(err, "token \"%s\" has no id below the model's vocabulary of %d", text, tokens->count);
    tokens->texts[(int)id->number] = text;
    tokens->types[(int)id->number] = type;
    return 0;
}

static int read_vocabulary(struct vocabulary *tokens, const struct node *root, struct error *err) {
    const struct node *vocab = node_get(node_get(root, "model"), "vocab"),
                      *added = node_get(root, "added_tokens");

    if (!vocab || vocab->kind != NODE_MAP) return fail(err, "its model has no \"vocab\": expected a map");
    for (const struct node *token = vocab->first; token; token = token->next)
        if (set_token(tokens, token, token->key, TOKEN_NORMAL, err)) return -1;
    for (const struct node *token = added ? added->first : NULL; token; token = token->next)
        if (set_token(tokens, node_get(token, "id"), node_text(token, "content", ""),
                      node_number(token, "special", 0) ? TOKEN_CONTROL : TOKEN_USER, err))
            return -1;
    for (int id = 0; id < tokens->count; id++) {
        if (tokens->texts[id]) continue;
        tokens->texts[id] = tokens->made[id] = xprintf("[PAD%d]", id);
        tokens->types[id] = TOKEN_UNUSED;
    }
    return 0;
}

/* "a b", which older files have as it is, newer ones as a pair. Caller frees. */
static char *spell_merge(const struct node *merge) {
    const struct node *a = merge->first, *b = merge->last;

    if (merge->kind == NODE_STRING) return xstrdup(merge->text);
    if (merge->kind != NODE_LIST || merge->count != 2 || !a->text || !b->text) return NULL;
    return xprintf("%s %s", a->text, b->text);
}

/* Of SentencePiece's vocabularies: <0x00> to <0xFF> and the unknown token. */
static int mark_pieces(struct vocabulary *tokens, const struct node *model, struct error *err) {
    const struct node *vocab = node_get(model, "vocab");
    int unknown = node_int(vocab, node_text(model, "unk_token", ""), -1);
    char name[8];

    for (int byte = 0; byte < 256; byte++) {
        int id;

        snprintf(name, sizeof name, "<0x%02X>", (unsigned)byte);
        id = node_int(vocab, name, -1);
        if (id < 0)
            return fail(err, "its vocabulary has no %s, and GGUF's kind of it needs every byte", name);
        tokens->types[id] = TOKEN_BYTE;
    }
    if (unknown >= 0) tokens->types[unknown] = TOKEN_UNKNOWN;
    return 0;
}

/* The id that a merge makes, if it is a normal token; -1. */
static int made_by(const struct node *merge, const struct vocabulary *tokens, const struct span *spans,
                   const struct span_index *known) {
    char *pair = spell_merge(merge), *gap = pair ? strchr(pair, ' ') : NULL;
    int id = -1;

    if (gap) {
        memmove(gap, gap + 1, strlen(gap));
        id = span_find(known, spans, pair, strlen(pair));
    }
    free(pair);
    return id >= 0 && tokens->types[id] == TOKEN_NORMAL ? id : -1;
}

/* Scores fall in the order in which tokens are made. 0 where merges of one token do not stand together, or
 * make others than normal tokens. */
static int score_merges(float *scores, const struct vocabulary *tokens, const struct node *merges) {
    struct span *spans = xcalloc((size_t)tokens->count, sizeof *spans);
    struct span_index known = {0};
    int last = -1, made = 0, good = 1;

    for (int id = 0; id < tokens->count; id++) {
        spans[id] = (struct span){tokens->texts[id], strlen(tokens->texts[id])};
        if (span_find(&known, spans, spans[id].bytes, spans[id].length) < 0) span_add(&known, spans, id);
    }
    for (const struct node *merge = merges->first; merge && good; merge = merge->next) {
        int id = made_by(merge, tokens, spans, &known);

        good = id >= 0 && (id == last || scores[id] == 0);
        if (good && id != last) scores[id] = -(float)++made;
        last = id;
    }
    free(known.slots);
    free(spans);
    return good;
}

static int add_scores(struct gguf_out *out, const struct vocabulary *tokens, const struct node *merges,
                      struct error *err) {
    float *scores = xcalloc((size_t)tokens->count, sizeof *scores);
    int status = 0;

    if (!merges || merges->kind != NODE_LIST)
        status = fail(err, "its model has no \"merges\": expected a list");
    else if (!score_merges(scores, tokens, merges) ||
             gguf_tokenizer_pairs(tokens->texts, tokens->types, tokens->count) != merges->count)
        status = fail(err, "its merges are not all those of its tokens in the order of their scores, as "
                           "SentencePiece's are, and GGUF files have the scores alone: use --no-tokenizer");
    else
        gguf_add_reals(out, KEY "scores", scores, tokens->count);
    free(scores);
    return status;
}

/* scored: with types and scores as SentencePiece has them. */
static int add_vocabulary(struct gguf_out *out, const struct node *root, int count, int scored,
                          struct error *err) {
    const struct node *model = node_get(root, "model");
    struct vocabulary tokens = {xcalloc((size_t)count, sizeof *tokens.texts),
                                xcalloc((size_t)count, sizeof *tokens.made),
                                xcalloc((size_t)count, sizeof *tokens.types), count};
    int status = read_vocabulary(&tokens, root, err);

    if (status == 0 && scored) status = mark_pieces(&tokens, model, err);
    if (status == 0 && scored) status = add_scores(out, &tokens, node_get(model, "merges"), err);
    if (status == 0) {
        gguf_add_texts(out, KEY "tokens", tokens.texts, count);
        gguf_add_ints(out, KEY "token_type", tokens.types, count);
    }
    for (int id = 0; id < count; id++) free(tokens.made[id]);
    free(tokens.texts);
    free(tokens.made);
    free(tokens.types);
    return status;
}

static int add_merges(struct gguf_out *out, const struct node *merges, struct error *err) {
    char **spelt;
    int count = 0, status = 0;

    if (!merges || merges->kind != NODE_LIST)
        return fail(err, "its model has no \"merges\": expected a list");
    spelt = xcalloc((size_t)merges->count, sizeof *spelt);
    for (const struct node *merge = merges->first; merge && status == 0; merge = merge->next) {
        spelt[count] = spell_merge(merge);
        if (!spelt[count++]) status = fail(err, "line %d: a merge is no pair of texts", merge->line);
    }
    if (status == 0) gguf_add_texts(out, KEY "merges", (const char *const *)spelt, count);
    for (int i = 0; i < count; i++) free(spelt[i]);
    free(spelt);
    return status;
}

/* What tokenizer_config.json calls by a role: a text, or a map with it. */
static const char *role_text(const struct node *settings, const char *role) {
    const struct node *token = node_get(settings, role);

    return token && token->kind == NODE_MAP ? node_text(token, "content", NULL)
                                            : node_text(settings, role, NULL);
}

static int id_of(const struct node *root, const char *text) {
    const struct node *added = node_get(root, "added_tokens");

    for (const struct node *token = added && text ? added->first : NULL; token; token = token->next)
        if (strcmp(node_text(token, "content", ""), text) == 0) return node_int(token, "id", -1);
    return -1;
}

static void add_id(struct gguf_out *out, const char *key, int id, int other) {
    if (id < 0) id = other;
    if (id >= 0) gguf_add_count(out, key, (uint32_t)id);
}

/* Whether the post-processor puts a token before all texts. */
static int begins(const struct node *after) {
    const struct node *parts = node_get(after, "processors"), *single = node_get(after, "single");

    for (const struct node *part = parts ? parts->first : NULL; part; part = part->next)
        if (begins(part)) return 1;
    return single && single->first && node_get(single->first, "SpecialToken") != NULL;
}

static void add_roles(struct gguf_out *out, const struct node *root, const struct node *settings,
                      const struct config *config) {
    const char *end = role_text(settings, "eos_token"), *template = tokenizer_template(settings);
    int fallback = id_of(root, end ? end : "<|end|>");

    add_id(out, KEY "bos_token_id", config->begin_token, id_of(root, role_text(settings, "bos_token")));
    add_id(out, KEY "eos_token_id", config->end_token, fallback);
    add_id(out, KEY "padding_token_id", config->pad_token, id_of(root, role_text(settings, "pad_token")));
    add_id(out, KEY "unknown_token_id", id_of(root, role_text(settings, "unk_token")), -1);
    gguf_add_truth(out, KEY "add_bos_token", begins(node_get(root, "post_processor")));
    if (template) gguf_add_text(out, "tokenizer.chat_template", template);
}

/* Whether spaces become BLANKs and nothing else happens to a text; 2: and it begins with one, too. */
static int writes_blanks(const struct node *root) {
    const struct node *normalizer = node_get(root, "normalizer"), *cut = node_get(root, "pre_tokenizer"),
                      *steps = node_get(normalizer, "normalizers"), *last = steps ? steps->last : normalizer;
    int lead = steps && steps->count == 2 && is_type(steps->first, "Prepend") &&
               !strcmp(node_text(steps->first, "prepend", ""), BLANK);

    if (cut && cut->kind != NODE_NULL &&
        (!is_type(cut, "Split") || strcmp(node_text(node_get(cut, "pattern"), "String", ""), " ")))
        return 0;
    if (!is_type(last, "Replace") || strcmp(node_text(last, "content", ""), BLANK) ||
        strcmp(node_text(node_get(last, "pattern"), "String", ""), " "))
        return 0;
    return steps && steps->count > 1 && !lead ? 0 : 1 + lead;
}

static int add_pieces(struct gguf_out *out, const struct node *root, const struct node *settings,
                      const struct config *config, struct error *err) {
    const char *unknown = node_text(node_get(root, "model"), "unk_token", NULL);

    gguf_add_text(out, KEY "model", "llama");
    gguf_add_text(out, KEY "pre", "default");
    gguf_add_truth(out, KEY "add_space_prefix", writes_blanks(root) == 2);
    if (add_vocabulary(out, root, config->vocab, 1, err)) return -1;
    add_roles(out, root, settings, config);
    if (!role_text(settings, "unk_token")) add_id(out, KEY "unknown_token_id", id_of(root, unknown), -1);
    return 0;
}

static int add_all(struct gguf_out *out, const struct node *root, const struct node *settings,
                   const struct config *config, struct error *err) {
    const struct node *model = node_get(root, "model");
    const char *words = name_words(node_get(root, "pre_tokenizer"));

    if (is_type(model, "BPE") && node_number(model, "byte_fallback", 0) && writes_blanks(root))
        return add_pieces(out, root, settings, config, err);
    if (!is_type(model, "BPE") || node_number(model, "byte_fallback", 0) || !words)
        return fail(err, "only the byte-level tokenizers of GPT-2, SmolLM, Llama 3 and Qwen2, and those of "
                         "SentencePiece as Llama 2 and Gemma have them, can be put into GGUF files: use "
                         "--no-tokenizer");
    gguf_add_text(out, KEY "model", "gpt2");
    gguf_add_text(out, KEY "pre", words);
    if (add_vocabulary(out, root, config->vocab, 0, err) || add_merges(out, node_get(model, "merges"), err))
        return -1;
    add_roles(out, root, settings, config);
    return 0;
}

int gguf_tokenizer_write(struct gguf_out *out, const char *folder, const struct config *config,
                         struct error *err) {
    char *path;
    struct node *root, *settings = NULL;
    int status = -1;

    if (!folder) {
        gguf_add_text(out, KEY "model", "no_vocab");
        return 0;
    }
    path = path_join(folder, "tokenizer.json");
    root = document_read(path, err);
    if (!root || tokenizer_config_read(&settings, folder, err)) goto out;
    status = add_all(out, root, settings, config, err);
    if (status) fail_within(err, "%s", path);
out:
    node_free(settings);
    node_free(root);
    free(path);
    return status;
}

static void copy_texts(struct gguf_out *out, const struct node *list) {
    const char **texts = xcalloc((size_t)list->count, sizeof *texts);
    int count = 0;

    for (const struct node *item = list->first; item; item = item->next) texts[count++] = item->text;
    gguf_add_texts(out, list->key, texts, count);
    free(texts);
}

static void copy_numbers(struct gguf_out *out, const struct node *list) {
    float *reals = xcalloc((size_t)list->count, sizeof *reals);
    int *ints = xcalloc((size_t)list->count, sizeof *ints), count = 0;

    for (const struct node *item = list->first; item; item = item->next, count++) {
        reals[count] = (float)item->number;
        ints[count] = fabs(item->number) < 1 << 30 ? (int)item->number : 0;
    }
    if (strcmp(list->key, KEY "scores") == 0)
        gguf_add_reals(out, list->key, reals, count);
    else
        gguf_add_ints(out, list->key, ints, count);
    free(reals);
    free(ints);
}

static void copy_value(struct gguf_out *out, const struct node *value) {
    if (value->kind == NODE_STRING)
        gguf_add_text(out, value->key, value->text);
    else if (value->kind == NODE_BOOL)
        gguf_add_truth(out, value->key, (int)value->number);
    else if (value->kind == NODE_NUMBER && value->number >= 0 && value->number < UINT32_MAX)
        gguf_add_count(out, value->key, (uint32_t)value->number);
    else if (value->kind == NODE_LIST && value->first && value->first->kind == NODE_STRING)
        copy_texts(out, value);
    else if (value->kind == NODE_LIST && value->first)
        copy_numbers(out, value);
}

void gguf_tokenizer_copy(struct gguf_out *out, const struct node *metadata) {
    for (const struct node *value = metadata->first; value; value = value->next)
        if (strncmp(value->key, "tokenizer.", 10) == 0) copy_value(out, value);
}
