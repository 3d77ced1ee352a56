#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "models/adapter_file.h"
#include "models/chat.h"
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

static void print_config(const struct config *config, FILE *out) {
    fprintf(out, "%s, %.0f parameters\n", config_family_name(config->family), config_parameters(config));
    print_layers(config, out);
    print_attention(config, out);
    print_head(config, out);
}

/* A description that cannot be used is said where it would stand. */
static void print_model(const char *path, const struct weights *weights, FILE *out) {
    struct error err;
    struct config config;

    line(out, "model");
    if (model_describe(&config, path, weights, &err))
        fprintf(out, "not usable: %s\n", err.message);
    else
        print_config(&config, out);
}

static void print_adapter(const struct adapter_folder *adapter, FILE *out) {
    const struct adapter_options *o = &adapter->options;

    line(out, "adapter");
    fprintf(out, "LoRA on %s, rank %d, alpha %g, dropout %g%s,", adapter->base, o->rank, o->alpha, o->dropout,
            o->rslora ? ", scaled by the rank's root" : "");
    for (int i = 0; adapter_module(&adapter->config, i); i++)
        if (o->targets >> i & 1) fprintf(out, " %s", adapter_module(&adapter->config, i));
    fprintf(out, "\n");
}

/* The same of an adapter, and of the model that it makes of its base. */
static void print_adapted(const char *path, FILE *out) {
    struct error err;
    struct adapter_folder adapter;

    if (adapter_open(&adapter, path, &err)) {
        line(out, "adapter");
        fprintf(out, "not usable: %s\n", err.message);
        return;
    }
    print_adapter(&adapter, out);
    line(out, "model");
    print_config(&adapter.config, out);
    adapter_close(&adapter);
}

/* In its folder, or in one that it stands on. */
static int adapter_has_tokenizer(const char *path) {
    char *place = adapter_find_file(path, "tokenizer.json"),
         *file = place ? path_join(place, "tokenizer.json") : NULL;
    int found = file && (is_gguf(place) || file_exists(file));

    free(file);
    free(place);
    return found;
}

/* Whether there is a tokenizer at all, sound or not. */
static int has_tokenizer(const char *path, const struct weights *weights) {
    const char *kind = node_text(weights->gguf.metadata, "tokenizer.ggml.model", NULL);
    char *file;
    int found;

    if (weights->gguf.metadata) return kind && strcmp(kind, "no_vocab") != 0;
    if (is_adapter(path)) return adapter_has_tokenizer(path);
    file = path_join(path, "tokenizer.json");
    found = file_exists(file);
    free(file);
    return found;
}

static void print_chat(const struct tokenizer *tokenizer, FILE *out) {
    struct error err;
    const struct chat *chat = tokenizer_chat(tokenizer, &err);

    line(out, "chat");
    if (!chat) {
        fprintf(out, "not usable: %s\n", err.message);
        return;
    }
    fprintf(out, "format %s, ends with %s\n", chat->format.name,
            tokenizer_name(tokenizer, tokenizer_end(tokenizer)));
}

static void print_tokenizer(const char *path, const struct weights *weights, FILE *out) {
    struct tokenizer *tokenizer;
    struct error err;

    line(out, "tokenizer");
    if (!has_tokenizer(path, weights)) {
        fprintf(out, "none\n");
    } else if (tokenizer_open(&tokenizer, path, &err)) {
        fprintf(out, "not usable: %s\n", err.message);
    } else {
        fprintf(out, "%s, %d tokens\n", tokenizer_kind(tokenizer), tokenizer_vocab(tokenizer));
        print_chat(tokenizer, out);
        tokenizer_free(tokenizer);
    }
}

static double all_numbers(const struct weights *weights) {
    double sum = 0;

    for (int i = 0; i < weights->count; i++) sum += numbers(weights->items[i]);
    return sum;
}

static void print_types(const struct weights *weights, FILE *out) {
    const struct number_type *seen[64];
    int count = 0;

    line(out, "tensors");
    fprintf(out, "%d of %.0f numbers", weights->count, all_numbers(weights));
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

static int open_files(struct weights *out, const char *path, struct error *err) {
    char *file = path_join(path, ADAPTER_NUMBERS);
    int status = is_adapter(path) ? weights_open_file(out, file, err) : weights_open(out, path, err);

    free(file);
    return status;
}

static int run(const struct arguments *arguments, struct error *err) {
    const char *path = arguments->words[0];
    struct weights weights;

    if (open_files(&weights, path, err)) return -1;
    print_file(&weights, arguments->out);
    if (is_adapter(path))
        print_adapted(path, arguments->out);
    else
        print_model(path, &weights, arguments->out);
    print_tokenizer(path, &weights, arguments->out);
    print_tensors(&weights, arguments->out);
    weights_close(&weights);
    return 0;
}

const struct command command_inspect = {
    .name = "inspect",
    .summary = "say what a model's files hold",
    .usage = "PATH",
    .description =
        "PATH is a folder with safetensors (one file, or shards with an index), a GGUF file, or a LoRA "
        "adapter's folder. "
        "Prints what the "
        "model is, its tokenizer and chat format, and every tensor with its type, how many "
        "numbers it has and "
        "their shape. Nothing is loaded: large files are inspected as fast as small ones.",
    .least_words = 1,
    .most_words = 1,
    .run = run,
};
