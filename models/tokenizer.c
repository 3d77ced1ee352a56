#include "models/tokenizer.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "harness/document.h"
#include "harness/file.h"
#include "harness/memory.h"
#include "models/bpe.h"
#include "models/pretokenize.h"

#define MOST_TOKENS (1 << 24)

/* A token that is cut out of the text before anything else; its bytes stand for themselves. */
struct added {
    char *content;
    size_t length;
    int id, special;
};

struct tokenizer {
    struct bpe bpe;
    int vocab;    /* one more than the largest id */
    char **names; /* of each id, as tokenizer.json spells it; NULL: no such id */
    struct added *added;
    int added_count;
};

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

static char *spell(const struct span *bytes) {
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

/* The bytes that name[length] spells; bytes NULL where it is empty or holds other characters. */
static struct span unspell(const char *name, size_t length) {
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

static void add_added(struct tokenizer *tokenizer, const char *content, int id, int special) {
    size_t room = (size_t)tokenizer->added_count + 1;

    tokenizer->added = xrealloc(tokenizer->added, room, sizeof *tokenizer->added);
    tokenizer->added[tokenizer->added_count++] =
        (struct added){xstrdup(content), strlen(content), id, special};
}

int tokenizer_train(struct tokenizer **out, const char *const *texts, int count, int vocab,
                    struct error *err) {
    static const char *const special[] = {TOKEN_END, TOKEN_RESPONSE, TOKEN_BETTER};
    struct tokenizer *made;

    *out = NULL;
    if (vocab < 256 + 3 || vocab > MOST_TOKENS)
        return fail(err, "a vocabulary of %d is not possible: expected 259 (bytes and special tokens) to %d",
                    vocab, MOST_TOKENS);
    made = xcalloc(1, sizeof *made);
    bpe_train(&made->bpe, texts, count, vocab - 3);
    made->vocab = made->bpe.count + 3;
    made->names = xcalloc((size_t)made->vocab, sizeof *made->names);
    for (int id = 0; id < made->bpe.count; id++) made->names[id] = spell(&made->bpe.tokens[id]);
    for (int i = 0; i < 3; i++) {
        add_added(made, special[i], made->bpe.count + i, 1);
        made->names[made->bpe.count + i] = xstrdup(special[i]);
    }
    if (bpe_index(&made->bpe, err)) {
        tokenizer_free(made);
        return -1;
    }
    *out = made;
    return 0;
}

void tokenizer_free(struct tokenizer *tokenizer) {
    if (!tokenizer) return;
    for (int id = 0; tokenizer->names && id < tokenizer->vocab; id++) free(tokenizer->names[id]);
    for (int i = 0; i < tokenizer->added_count; i++) free(tokenizer->added[i].content);
    bpe_free(&tokenizer->bpe);
    free(tokenizer->names);
    free(tokenizer->added);
    free(tokenizer);
}

/* A setting that must be off: missing, null, false or "". */
static int refuse(const struct node *map, const char *name, struct error *err) {
    const struct node *node = node_get(map, name);

    if (!node || node->kind == NODE_NULL || (node->kind == NODE_BOOL && node->number == 0)) return 0;
    if (node->kind == NODE_STRING && node->text[0] == 0) return 0;
    return fail(err, "line %d: \"%s\" is set, which is not supported", node->line, name);
}

static int check_type(const struct node *root, const char *name, const char *type, struct error *err) {
    const struct node *part = node_get(root, name);
    const char *found = node_text(part, "type", "null");

    if (strcmp(found, type) == 0) return 0;
    return fail(err, "line %d: the %s is %s: only %s is supported", part ? part->line : 1, name, found, type);
}

static int check_model(const struct node *model, struct error *err) {
    static const char *const off[] = {
        "dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges", NULL};

    if (strcmp(node_text(model, "type", "BPE"), "BPE"))
        return fail(err, "the model is %s: only BPE is supported", node_text(model, "type", ""));
    for (int i = 0; off[i]; i++)
        if (refuse(model, off[i], err)) return -1;
    return 0;
}

static int check_settings(const struct node *root, struct error *err) {
    const struct node *before = node_get(root, "pre_tokenizer"), *after = node_get(root, "post_processor");

    if (refuse(root, "normalizer", err)) return -1;
    if (check_type(root, "pre_tokenizer", "ByteLevel", err)) return -1;
    if (node_number(before, "add_prefix_space", 1) != 0)
        return fail(err, "line %d: add_prefix_space is not false, which is not supported", before->line);
    if (node_number(before, "use_regex", 1) != 1)
        return fail(err, "line %d: use_regex is not true, which is not supported", before->line);
    if (check_type(root, "decoder", "ByteLevel", err)) return -1;
    if (after && after->kind != NODE_NULL && check_type(root, "post_processor", "ByteLevel", err)) return -1;
    return check_model(node_get(root, "model"), err);
}

static int read_id(const struct node *node, int *id, struct error *err) {
    if (!node || node->kind != NODE_NUMBER || !(node->number >= 0 && node->number < MOST_TOKENS) ||
        node->number != floor(node->number))
        return fail(err, "line %d: a token's id is not a whole number from 0 to %d", node ? node->line : 0,
                    MOST_TOKENS - 1);
    *id = (int)node->number;
    return 0;
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
    out->bpe.tokens = xcalloc((size_t)out->vocab, sizeof *out->bpe.tokens);
    out->bpe.count = out->vocab;
    return 0;
}

static int read_vocab(struct tokenizer *out, const struct node *vocab, struct span_index *known,
                      struct error *err) {
    for (const struct node *token = vocab->first; token; token = token->next) {
        int id = (int)token->number;

        if (out->names[id])
            return fail(err, "line %d: \"%s\" and \"%s\" have the same id %d", token->line, out->names[id],
                        token->key, id);
        out->names[id] = xstrdup(token->key);
        out->bpe.tokens[id] = unspell(token->key, strlen(token->key));
        if (out->bpe.tokens[id].bytes) span_add(known, out->bpe.tokens, id);
    }
    for (int byte = 0; byte < 256; byte++) {
        char letter = (char)byte;

        out->bpe.byte_id[byte] = span_find(known, out->bpe.tokens, &letter, 1);
        if (out->bpe.byte_id[byte] < 0)
            return fail(err,
                        "the vocabulary lacks the byte 0x%02x: train it with all 256 bytes "
                        "(initial_alphabet=ByteLevel.alphabet())",
                        byte);
    }
    return 0;
}

static int find_name(const struct bpe *bpe, const struct span_index *known, const char *name, size_t length) {
    struct span bytes = unspell(name, length);
    int id = bytes.bytes ? span_find(known, bpe->tokens, bytes.bytes, bytes.length) : -1;

    free((char *)bytes.bytes);
    return id;
}

/* ["a", "b"], or "a b" in older files. */
static int read_merge(struct bpe *bpe, const struct span_index *known, const struct node *merge,
                      struct error *err) {
    const struct node *left = merge->first, *right = merge->last;
    struct merge *out = &bpe->merges[bpe->merge_count++];
    struct text whole = {0};
    const char *a, *b;
    size_t first;

    if (merge->kind == NODE_STRING && strchr(merge->text, ' ')) {
        a = merge->text;
        first = strcspn(a, " ");
        b = a + first + 1;
    } else if (merge->kind == NODE_LIST && merge->count == 2 && left->text && right->text) {
        a = left->text;
        first = strlen(a);
        b = right->text;
    } else {
        return fail(err, "line %d: a merge is not a pair of tokens", merge->line);
    }
    text_add(&whole, a, first);
    text_add(&whole, b, strlen(b));
    out->left = find_name(bpe, known, a, first);
    out->right = find_name(bpe, known, b, strlen(b));
    out->id = find_name(bpe, known, whole.data, whole.length);
    free(whole.data);
    if (out->left >= 0 && out->right >= 0 && out->id >= 0) return 0;
    return fail(
        err, "line %d: the merge of \"%.*s\" and \"%s\" uses or makes a token that is not in the vocabulary",
        merge->line, (int)first, a, b);
}

static int read_merges(struct bpe *bpe, const struct span_index *known, const struct node *merges,
                       struct error *err) {
    if (!merges || merges->kind != NODE_LIST) return fail(err, "the model's \"merges\" are missing");
    bpe->merges = xcalloc((size_t)merges->count, sizeof *bpe->merges);
    for (const struct node *merge = merges->first; merge; merge = merge->next)
        if (read_merge(bpe, known, merge, err)) return -1;
    return 0;
}

static int read_added(struct tokenizer *out, const struct node *added, struct error *err) {
    for (const struct node *token = added ? added->first : NULL; token; token = token->next) {
        const char *content = node_text(token, "content", "");
        int id = (int)node_number(token, "id", 0);

        if (refuse(token, "single_word", err)) return -1;
        if (refuse(token, "lstrip", err) || refuse(token, "rstrip", err)) return -1;
        if (content[0] == 0) return fail(err, "line %d: an added token has no \"content\"", token->line);
        if (tokenizer_special(out, content) >= 0)
            return fail(err, "line %d: \"%s\" is added twice", token->line, content);
        if (out->names[id] && strcmp(out->names[id], content))
            return fail(err, "line %d: \"%s\" has the id %d of \"%s\"", token->line, content, id,
                        out->names[id]);
        if (!out->names[id]) out->names[id] = xstrdup(content);
        add_added(out, content, id, node_number(token, "special", 0) != 0);
    }
    return 0;
}

static int read_all(struct tokenizer *out, const struct node *root, struct error *err) {
    const struct node *model = node_get(root, "model"), *vocab = node_get(model, "vocab");
    const struct node *added = node_get(root, "added_tokens");
    struct span_index known = {0};
    int status = -1;

    if (check_settings(root, err)) goto out;
    if (!vocab || vocab->kind != NODE_MAP) {
        fail(err, "the model's \"vocab\" is missing");
        goto out;
    }
    if (make_tables(out, vocab, added, err)) goto out;
    if (read_vocab(out, vocab, &known, err)) goto out;
    if (read_merges(&out->bpe, &known, node_get(model, "merges"), err)) goto out;
    if (read_added(out, added, err)) goto out;
    status = bpe_index(&out->bpe, err);
out:
    free(known.slots);
    return status;
}

int tokenizer_load(struct tokenizer **out, const char *path, struct error *err) {
    struct node *root = document_read(path, err);

    *out = NULL;
    if (!root) return -1;
    *out = xcalloc(1, sizeof **out);
    if (read_all(*out, root, err)) {
        fail_within(err, "%s", path);
        tokenizer_free(*out);
        *out = NULL;
    }
    node_free(root);
    return *out ? 0 : -1;
}

static void write_added(struct node *list, const struct added *added) {
    static const char *const off[] = {"single_word", "lstrip", "rstrip", "normalized", NULL};
    struct node *map = node_add(list, NULL, NODE_MAP);

    node_add_number(map, "id", added->id);
    node_add_text(map, "content", added->content);
    for (int i = 0; off[i]; i++) node_add_bool(map, off[i], 0);
    node_add_bool(map, "special", added->special);
}

static void write_byte_level(struct node *root, const char *name) {
    struct node *map = node_add(root, name, NODE_MAP);

    node_add_text(map, "type", "ByteLevel");
    node_add_bool(map, "add_prefix_space", 0);
    node_add_bool(map, "trim_offsets", 1);
    node_add_bool(map, "use_regex", 1);
}

static void write_model(struct node *model, const struct tokenizer *tokenizer) {
    static const char *const off[] = {"dropout", "unk_token", "continuing_subword_prefix",
                                      "end_of_word_suffix", NULL};
    static const char *const no[] = {"fuse_unk", "byte_fallback", "ignore_merges", NULL};
    struct node *vocab, *merges;

    node_add_text(model, "type", "BPE");
    for (int i = 0; off[i]; i++) node_add_text(model, off[i], NULL);
    for (int i = 0; no[i]; i++) node_add_bool(model, no[i], 0);
    vocab = node_add(model, "vocab", NODE_MAP);
    for (int id = 0; id < tokenizer->vocab; id++)
        if (tokenizer->names[id]) node_add_number(vocab, tokenizer->names[id], id);
    merges = node_add(model, "merges", NODE_LIST);
    for (int i = 0; i < tokenizer->bpe.merge_count; i++) {
        struct node *pair = node_add(merges, NULL, NODE_LIST);

        node_add_text(pair, NULL, tokenizer->names[tokenizer->bpe.merges[i].left]);
        node_add_text(pair, NULL, tokenizer->names[tokenizer->bpe.merges[i].right]);
    }
}

int tokenizer_save(const struct tokenizer *tokenizer, const char *path, struct error *err) {
    struct node *root = node_new(NODE_MAP), *added;
    char *json;
    int status;

    node_add_text(root, "version", "1.0");
    node_add_text(root, "truncation", NULL);
    node_add_text(root, "padding", NULL);
    added = node_add(root, "added_tokens", NODE_LIST);
    for (int i = 0; i < tokenizer->added_count; i++) write_added(added, &tokenizer->added[i]);
    node_add_text(root, "normalizer", NULL);
    write_byte_level(root, "pre_tokenizer");
    node_add_text(root, "post_processor", NULL);
    write_byte_level(root, "decoder");
    write_model(node_add(root, "model", NODE_MAP), tokenizer);
    json = node_json(root, 1);
    status = file_write(path, json, strlen(json), err);
    free(json);
    node_free(root);
    return status;
}

int tokenizer_vocab(const struct tokenizer *tokenizer) {
    return tokenizer->vocab;
}

int tokenizer_special(const struct tokenizer *tokenizer, const char *content) {
    for (int i = 0; i < tokenizer->added_count; i++)
        if (strcmp(tokenizer->added[i].content, content) == 0) return tokenizer->added[i].id;
    return -1;
}

static void encode_words(const struct tokenizer *tokenizer, const char *text, size_t length,
                         struct bpe_work *work, struct tokens *out) {
    for (size_t step; length > 0; text += step, length -= step) {
        step = pretoken_length(text, length);
        bpe_encode(&tokenizer->bpe, text, step, work, out);
    }
}

void tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length,
                      struct tokens *out) {
    struct bpe_work work = {0};

    encode_words(tokenizer, text, length, &work, out);
    bpe_work_free(&work);
}

/* The longest added token that text begins with, or NULL. */
static const struct added *added_at(const struct tokenizer *tokenizer, const char *text, size_t length) {
    const struct added *longest = NULL;

    for (int i = 0; i < tokenizer->added_count; i++) {
        const struct added *added = &tokenizer->added[i];

        if (added->length > length || memcmp(added->content, text, added->length)) continue;
        if (!longest || added->length > longest->length) longest = added;
    }
    return longest;
}

void tokenizer_encode_added(const struct tokenizer *tokenizer, const char *text, size_t length,
                            struct tokens *out) {
    struct bpe_work work = {0};
    size_t begin = 0;

    for (size_t at = 0; at < length;) {
        const struct added *added = added_at(tokenizer, text + at, length - at);

        if (!added) {
            at++;
            continue;
        }
        encode_words(tokenizer, text + begin, at - begin, &work, out);
        tokens_add(out, added->id);
        begin = at += added->length;
    }
    encode_words(tokenizer, text + begin, length - begin, &work, out);
    bpe_work_free(&work);
}

static const struct added *added_of(const struct tokenizer *tokenizer, int id) {
    for (int i = 0; i < tokenizer->added_count; i++)
        if (tokenizer->added[i].id == id) return &tokenizer->added[i];
    return NULL;
}

char *tokenizer_decode(const struct tokenizer *tokenizer, const int *ids, int count, size_t *length) {
    struct text out = {0};

    text_add(&out, "", 0);
    for (int i = 0; i < count; i++) {
        const struct added *added = added_of(tokenizer, ids[i]);
        int known = ids[i] >= 0 && ids[i] < tokenizer->vocab && tokenizer->names[ids[i]];
        struct span bytes = {0};

        if (!known || (added && added->special)) continue;
        if (!added && ids[i] < tokenizer->bpe.count) bytes = tokenizer->bpe.tokens[ids[i]];
        if (!bytes.bytes) bytes = (struct span){tokenizer->names[ids[i]], strlen(tokenizer->names[ids[i]])};
        text_add(&out, bytes.bytes, bytes.length);
    }
    if (length) *length = out.length;
    return out.data;
}
