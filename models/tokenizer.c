#include "models/tokenizer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "harness/document.h"
#include "harness/file.h"
#include "harness/memory.h"
#include "harness/utf8.h"
#include "models/tokenizer_parts.h"

void tokens_add(struct tokens *tokens, int id) {
    if (tokens->count == tokens->room) {
        tokens->room = 2 * tokens->room + 64;
        tokens->ids = xrealloc(tokens->ids, (size_t)tokens->room, sizeof *tokens->ids);
    }
    tokens->ids[tokens->count++] = id;
}

/* GPT-2's alphabet: printable Latin-1 bytes are spelt as themselves, the other 68 as U+0100 and on, in order.
 */
static int byte_code(int byte) {
    if (byte <= 0x20) return 0x100 + byte;
    if (byte >= 0x7f && byte <= 0xa0) return 0x121 + byte - 0x7f;
    return byte == 0xad ? 0x143 : byte;
}

static int code_byte(int code) {
    if (code >= 0x100 && code <= 0x120) return code - 0x100;
    if (code >= 0x121 && code <= 0x142) return code - 0x121 + 0x7f;
    if (code == 0x143) return 0xad;
    return code < 0x100 && byte_code(code) == code ? code : -1;
}

char *tokenizer_spell(const struct span *bytes) {
    struct text out = {0};

    text_add(&out, "", 0);
    for (size_t i = 0; i < bytes->length; i++) {
        int code = byte_code((unsigned char)bytes->bytes[i]);
        char two[2] = {(char)(0xc0 | code >> 6), (char)(0x80 | (code & 0x3f))}, one = (char)code;

        if (code < 0x80)
            text_add(&out, &one, 1);
        else
            text_add(&out, two, 2);
    }
    return out.data;
}

struct span tokenizer_unspell(const char *name, size_t length) {
    char *bytes = xmalloc(length + 1);
    size_t count = 0;

    for (size_t i = 0; i < length; i++) {
        int code = (unsigned char)name[i];

        if (code >= 0x80) code = (code & 0xe0) == 0xc0 ? (code & 0x1f) << 6 | (name[++i] & 0x3f) : 0x200;
        code = code_byte(code);
        if (code < 0) {
            count = 0;
            break;
        }
        bytes[count++] = (char)code;
    }
    if (count) return (struct span){bytes, count};
    free(bytes);
    return (struct span){0};
}

static void describe_added(struct node *list, const char *content, int id) {
    static const char *const off[] = {"single_word", "lstrip", "rstrip", "normalized", NULL};
    struct node *map = node_add(list, NULL, NODE_MAP);

    node_add_number(map, "id", id);
    node_add_text(map, "content", content);
    for (int i = 0; off[i]; i++) node_add_bool(map, off[i], 0);
    node_add_bool(map, "special", 1);
}

static void describe_byte_level(struct node *root, const char *name) {
    struct node *map = node_add(root, name, NODE_MAP);

    node_add_text(map, "type", "ByteLevel");
    node_add_bool(map, "add_prefix_space", 0);
    node_add_bool(map, "trim_offsets", 1);
    node_add_bool(map, "use_regex", 1);
}

static void add_pair(struct node *merges, const char *left, const char *right) {
    struct node *pair = node_add(merges, NULL, NODE_LIST);

    node_add_text(pair, NULL, left);
    node_add_text(pair, NULL, right);
}

static void describe_model(struct node *model, const struct bpe *bpe, const char *const *special) {
    static const char *const off[] = {"dropout", "unk_token", "continuing_subword_prefix",
                                      "end_of_word_suffix", NULL};
    static const char *const no[] = {"fuse_unk", "byte_fallback", "ignore_merges", NULL};
    char **names = xcalloc((size_t)bpe->count, sizeof *names);
    struct node *vocab, *merges;

    for (int id = 0; id < bpe->count; id++) names[id] = tokenizer_spell(&bpe->tokens[id]);
    node_add_text(model, "type", "BPE");
    for (int i = 0; off[i]; i++) node_add_text(model, off[i], NULL);
    for (int i = 0; no[i]; i++) node_add_bool(model, no[i], 0);
    vocab = node_add(model, "vocab", NODE_MAP);
    for (int id = 0; id < bpe->count; id++) node_add_number(vocab, names[id], id);
    for (int i = 0; special[i]; i++) node_add_number(vocab, special[i], bpe->count + i);
    merges = node_add(model, "merges", NODE_LIST);
    for (int i = 0; i < bpe->merge_count; i++)
        add_pair(merges, names[bpe->merges[i].left], names[bpe->merges[i].right]);
    for (int id = 0; id < bpe->count; id++) free(names[id]);
    free(names);
}

/* The tokenizer.json of what was learned. */
static struct node *describe(const struct bpe *bpe) {
    static const char *const special[] = {TOKEN_END, TOKEN_RESPONSE, TOKEN_BETTER, NULL};
    struct node *root = node_new(NODE_MAP), *added;

    node_add_text(root, "version", "1.0");
    node_add_text(root, "truncation", NULL);
    node_add_text(root, "padding", NULL);
    added = node_add(root, "added_tokens", NODE_LIST);
    for (int i = 0; special[i]; i++) describe_added(added, special[i], bpe->count + i);
    node_add_text(root, "normalizer", NULL);
    describe_byte_level(root, "pre_tokenizer");
    node_add_text(root, "post_processor", NULL);
    describe_byte_level(root, "decoder");
    describe_model(node_add(root, "model", NODE_MAP), bpe, special);
    return root;
}

int tokenizer_train(struct tokenizer **out, const char *const *texts, int count, int vocab,
                    struct error *err) {
    struct bpe bpe = {0};
    int status;

    *out = NULL;
    if (vocab < 256 + 3 || vocab > MOST_TOKENS)
        return fail(err, "a vocabulary of %d is not possible: expected 259 (bytes and special tokens) to %d",
                    vocab, MOST_TOKENS);
    bpe_train(&bpe, texts, count, vocab - 3);
    status = tokenizer_build(out, describe(&bpe), NULL, err);
    bpe_free(&bpe);
    return status;
}

void tokenizer_free(struct tokenizer *tokenizer) {
    if (!tokenizer) return;
    for (int id = 0; tokenizer->names && id < tokenizer->vocab; id++) free(tokenizer->names[id]);
    for (int id = 0; tokenizer->decoded && id < tokenizer->vocab; id++)
        free((char *)tokenizer->decoded[id].bytes);
    for (int i = 0; i < tokenizer->added_count; i++) {
        free(tokenizer->added[i].content);
        free(tokenizer->added[i].pattern);
    }
    for (int i = 0; i < STEPS_MOST; i++) {
        free(tokenizer->rewrites[i].from);
        free(tokenizer->rewrites[i].to);
        free(tokenizer->leads[i].from);
        free(tokenizer->leads[i].to);
    }
    node_free(tokenizer->settings);
    node_free(tokenizer->config);
    chat_free(&tokenizer->chat);
    free(tokenizer->chat_problem);
    bpe_free(&tokenizer->bpe);
    free(tokenizer->names);
    free(tokenizer->listed);
    free(tokenizer->special);
    free(tokenizer->spans);
    free(tokenizer->by_name.slots);
    free(tokenizer->decoded);
    free(tokenizer->added);
    free(tokenizer->raw.items);
    free(tokenizer->normalized.items);
    free(tokenizer->before.ids);
    free(tokenizer->after.ids);
    free(tokenizer);
}

int tokenizer_load(struct tokenizer **out, const char *path, struct error *err) {
    struct node *root = document_read(path, err);

    *out = NULL;
    if (!root) return -1;
    return tokenizer_build(out, root, NULL, err) ? fail_within(err, "%s", path) : 0;
}

static struct node *document_of(const struct tokenizer *tokenizer) {
    struct node *root = node_copy(tokenizer->settings), *model, *vocab, *merges;

    model = (struct node *)node_get(root, "model");
    vocab = node_add(model, "vocab", NODE_MAP);
    for (int id = 0; id < tokenizer->vocab; id++)
        if (tokenizer->listed[id]) node_add_number(vocab, tokenizer->names[id], id);
    merges = node_add(model, "merges", NODE_LIST);
    for (int i = 0; i < tokenizer->bpe.merge_count; i++)
        add_pair(merges, tokenizer->names[tokenizer->bpe.merges[i].left],
                 tokenizer->names[tokenizer->bpe.merges[i].right]);
    return root;
}

int tokenizer_save(const struct tokenizer *tokenizer, const char *path, struct error *err) {
    struct node *root = document_of(tokenizer);
    char *json = node_json(root, 1);
    int status = file_write(path, json, strlen(json), err);

    free(json);
    node_free(root);
    return status;
}

const char *tokenizer_kind(const struct tokenizer *tokenizer) {
    if (tokenizer->byte_level) return "byte-level BPE";
    return tokenizer->byte_fallback ? "BPE with byte fallback" : "BPE";
}

int tokenizer_vocab(const struct tokenizer *tokenizer) {
    return tokenizer->vocab;
}

int tokenizer_special(const struct tokenizer *tokenizer, const char *content) {
    if (!content) return -1;
    for (int i = 0; i < tokenizer->added_count; i++)
        if (strcmp(tokenizer->added[i].content, content) == 0) return tokenizer->added[i].id;
    return -1;
}

int tokenizer_find(const struct tokenizer *tokenizer, const char *name, size_t length) {
    return span_find(&tokenizer->by_name, tokenizer->spans, name, length);
}

const char *tokenizer_name(const struct tokenizer *tokenizer, int id) {
    return id >= 0 && id < tokenizer->vocab ? tokenizer->names[id] : NULL;
}

/* Takes spaces off the beginning, as many as the decoder's Strip takes. */
static void strip(struct decoding *decoding, struct span *bytes) {
    while (bytes->length > 0 && decoding->stripped >= 0) {
        if (bytes->bytes[0] != ' ' || decoding->stripped == decoding->tokenizer->strip) {
            decoding->stripped = -1;
            return;
        }
        decoding->stripped++;
        bytes->bytes++;
        bytes->length--;
    }
}

/* What an id adds to the text; empty for special tokens and ids that do not exist. */
static struct span bytes_of(struct decoding *decoding, int id) {
    const struct tokenizer *tokenizer = decoding->tokenizer;
    struct span bytes = {"", 0};

    if (id < 0 || id >= tokenizer->vocab || !tokenizer->names[id] || tokenizer->special[id]) return bytes;
    bytes = tokenizer->decoded[id];
    strip(decoding, &bytes);
    return bytes;
}

char *tokenizer_decode(const struct tokenizer *tokenizer, const int *ids, int count, size_t *length) {
    struct decoding decoding = {.tokenizer = tokenizer};
    struct text out = {0};

    text_add(&out, "", 0);
    for (int i = 0; i < count; i++) {
        struct span bytes = bytes_of(&decoding, ids[i]);

        text_add(&out, bytes.bytes, bytes.length);
    }
    if (length) *length = out.length;
    return out.data;
}

/* Whether more bytes can make a character of these. */
static int is_beginning(const char *held, int count) {
    unsigned char tried[4];
    int low = 0x80, high = 0xbf;

    memcpy(tried, held, (size_t)count);
    for (int first = low; first <= high; first += 0x10) {
        memset(tried + count, 0x80, (size_t)(4 - count));
        if (count < 4) tried[count] = (unsigned char)first;
        if (utf8_length(tried, 4) > (size_t)count) return 1;
    }
    return 0;
}

void decoding_add(struct decoding *decoding, int id, struct text *out) {
    struct span bytes = bytes_of(decoding, id);

    for (size_t i = 0; i < bytes.length; i++) {
        decoding->held[decoding->held_count++] = bytes.bytes[i];
        while (decoding->held_count > 0 && !is_beginning(decoding->held, decoding->held_count)) {
            size_t whole = utf8_length((unsigned char *)decoding->held, (size_t)decoding->held_count);

            if (!whole) whole = 1;
            text_add(out, decoding->held, whole);
            decoding->held_count -= (int)whole;
            memmove(decoding->held, decoding->held + whole, (size_t)decoding->held_count);
        }
    }
}

void decoding_end(struct decoding *decoding, struct text *out) {
    text_add(out, decoding->held, (size_t)decoding->held_count);
    decoding->held_count = 0;
}
