#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "models/model_file.h"

#define MARGIN 14

static void line(FILE *out, const char *name) {
    fprintf(out, "%-*s", MARGIN, name);
}

static double total_bytes(const struct weights *weights) {
    double sum = 0;

    for (int i = 0; i < weights->count; i++) sum += (double)weights->items[i]->length;
    return sum;
}

static double numbers(const struct stored *tensor) {
    double product = 1;

    for (int i = 0; i < tensor->rank; i++) product *= (double)tensor->shape[i];
    return product;
}

static void print_file(const struct weights *weights, FILE *out) {
    line(out, "file");
    if (weights->gguf.metadata)
        fprintf(out, "%s, GGUF", weights->path);
    else if (weights->file_count > 1)
        fprintf(out, "%s, safetensors in %d files", weights->path, weights->file_count);
    else
        fprintf(out, "%s, safetensors", weights->path);
    fprintf(out, ", %.1f MiB of numbers\n", total_bytes(weights) / 0x1p20);
}

static void print_attention(const struct config *c, FILE *out) {
    line(out, "attention");
    fprintf(out, "%d heads of %d", c->heads, c->head_size);
    if (c->kv_heads != c->heads) fprintf(out, ", %d for keys and values", c->kv_heads);
    if (c->rotary)
        fprintf(out, ", rotary positions, theta %g", c->rope_theta);
    else
        fprintf(out, ", learned positions");
    if (c->rope_scaling) fprintf(out, ", stretched %g times", c->rope_factor);
    if (c->rope_scaling == ROPE_LLAMA3) fprintf(out, " beyond %d", c->rope_original);
    if (c->window) fprintf(out, ", window %d", c->window);
    if (c->attention_cap != 0) fprintf(out, ", capped at %g", c->attention_cap);
    fprintf(out, ", context %d\n", c->context);
}

static void print_layers(const struct config *c, FILE *out) {
    line(out, "layers");
    fprintf(out, "%d of width %d, feed-forward %d (%s), %s%s, epsilon %g\n", c->layers, c->width, c->ffn,
            !c->gated      ? "GELU"
            : c->gelu_gate ? "gated GELU"
                           : "SwiGLU",
            c->rms_norm ? "RMSNorm" : "LayerNorm", c->post_norms ? " before and after" : "", c->norm_eps);
}

static void print_head(const struct config *c, FILE *out) {
    line(out, "vocabulary");
    fprintf(out, "%d, the head is %s", c->vocab, c->tied ? "the embedding" : "its own");
    if (c->final_cap != 0) fprintf(out, ", capped at %g", c->final_cap);
    fprintf(out, "\n");
    if (!c->score_heads) return;
    line(out, "scores");
    fprintf(out, "%d for each text, from its last token\n", c->score_heads);
}

/* A description that cannot be used is said where it would stand. */
static void print_model(const char *path, const struct weights *weights, FILE *out) {
    struct error err;
    struct config config;
    int status = model_describe(&config, path, weights, &err);

    line(out, "model");
    if (status) {
        fprintf(out, "not usable: %s\n", err.message);
        return;
    }
    fprintf(out, "%s, %.0f parameters\n", config_family_name(config.family), config_parameters(&config));
    print_layers(&config, out);
    print_attention(&config, out);
    print_head(&config, out);
    if (config_runs(&config, &err) == 0) return;
    line(out, "");
    fprintf(out, "not usable: %s\n", err.message);
}

/* How a tokenizer is described. */
struct tokenizer_facts {
    const char *kind, *template;
    int tokens, merges;
};

static int count_of(const struct node *map, const char *key) {
    const struct node *list = node_get(map, key);

    return list ? list->count : 0;
}

static struct tokenizer_facts facts_of_gguf(const struct node *metadata) {
    const char *model = node_text(metadata, "tokenizer.ggml.model", NULL);
    struct tokenizer_facts facts = {.kind = model,
                                    .template = node_text(metadata, "tokenizer.chat_template", NULL),
                                    .tokens = count_of(metadata, "tokenizer.ggml.tokens"),
                                    .merges = count_of(metadata, "tokenizer.ggml.merges")};

    if (!model || strcmp(model, "no_vocab") == 0) facts.kind = NULL;
    if (facts.kind && strcmp(model, "gpt2") == 0) facts.kind = "byte-level BPE";
    if (facts.kind && strcmp(model, "llama") == 0) facts.kind = "SentencePiece";
    return facts;
}

static struct tokenizer_facts facts_of_folder(const struct node *root, const struct node *settings) {
    const struct node *model = node_get(root, "model");

    return (struct tokenizer_facts){.kind = node_number(model, "byte_fallback", 0)
                                                ? "BPE with byte fallback"
                                                : node_text(model, "type", NULL),
                                    .template = node_text(settings, "chat_template", NULL),
                                    .tokens = count_of(model, "vocab"),
                                    .merges = count_of(model, "merges")};
}

static void print_facts(const struct tokenizer_facts *facts, FILE *out) {
    line(out, "tokenizer");
    if (facts->kind)
        fprintf(out, "%s, %d tokens, %d merges\n", facts->kind, facts->tokens, facts->merges);
    else
        fprintf(out, "none\n");
    line(out, "template");
    if (facts->template)
        fprintf(out, "%zu characters\n", strlen(facts->template));
    else
        fprintf(out, "none\n");
}

static struct node *read_beside(const char *folder, const char *name, struct error *err) {
    char *path = path_join(folder, name);
    struct node *root = file_exists(path) ? document_read(path, err) : NULL;

    free(path);
    return root;
}

static int print_tokenizer(const char *path, const struct weights *weights, FILE *out, struct error *err) {
    struct tokenizer_facts facts;
    struct node *root = NULL, *settings = NULL;

    err->message[0] = 0;
    if (weights->gguf.metadata) {
        facts = facts_of_gguf(weights->gguf.metadata);
    } else {
        root = read_beside(path, "tokenizer.json", err);
        settings = read_beside(path, "tokenizer_config.json", err);
        facts = facts_of_folder(root, settings);
    }
    if (!err->message[0]) print_facts(&facts, out);
    node_free(root);
    node_free(settings);
    return err->message[0] ? -1 : 0;
}

static void print_types(const struct weights *weights, FILE *out) {
    const struct number_type *seen[64];
    int count = 0;

    line(out, "tensors");
    fprintf(out, "%d", weights->count);
    for (int i = 0; i < weights->count && count < 64; i++) {
        const struct number_type *type = weights->items[i]->type;
        int known = 0, same = 0;

        for (int j = 0; j < count; j++) known |= seen[j] == type;
        if (known) continue;
        for (int j = i; j < weights->count; j++) same += weights->items[j]->type == type;
        fprintf(out, "%s %d %s", count ? "," : ":", same, type->name);
        seen[count++] = type;
    }
    fprintf(out, "\n");
}

static void print_tensors(const struct weights *weights, FILE *out) {
    int widest = 0;

    print_types(weights, out);
    for (int i = 0; i < weights->count; i++) {
        int length = (int)strlen(weights->items[i]->name);

        if (length > widest) widest = length;
    }
    for (int i = 0; i < weights->count; i++) {
        const struct stored *tensor = weights->items[i];
        char shape[200];

        fprintf(out, "  %-*s  %-5s %12.0f  %s\n", widest, tensor->name, tensor->type->name, numbers(tensor),
                shape_text(shape, tensor->shape, tensor->rank));
    }
}

static int run(const struct arguments *arguments, struct error *err) {
    const char *path = arguments->words[0];
    struct weights weights;
    int status;

    if (weights_open(&weights, path, err)) return -1;
    print_file(&weights, arguments->out);
    print_model(path, &weights, arguments->out);
    status = print_tokenizer(path, &weights, arguments->out, err);
    if (status == 0) print_tensors(&weights, arguments->out);
    weights_close(&weights);
    return status;
}

const struct command command_inspect = {
    .name = "inspect",
    .summary = "say what a model's files hold",
    .usage = "PATH",
    .description = "PATH is a folder with safetensors (one file, or shards with an index) or a GGUF file. "
                   "Prints what the "
                   "model is, its tokenizer and chat template, and every tensor with its type, how many "
                   "numbers it has and "
                   "their shape. Nothing is loaded: large files are inspected as fast as small ones.",
    .least_words = 1,
    .most_words = 1,
    .run = run,
};
