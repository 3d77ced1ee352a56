#include "models/config.h"

#include <math.h>
#include <string.h>

#define MOST_LAYERS 4096
#define MOST_SIZE   (1 << 24) /* of any one dimension */

static const char *const names[] = {"gpt2", "llama", "mistral", "qwen2", "gemma", "gemma2"};

const char *config_family_name(enum family family) {
    return names[family];
}

int config_family(struct config *config, const char *family, struct error *err) {
    *config = (struct config){
        .norm_eps = 1e-5f, .rope_theta = 10000, .begin_token = -1, .end_token = -1, .pad_token = -1};
    while (strcmp(names[config->family], family) != 0)
        if (config->family++ == FAMILY_GEMMA2)
            return fail(err,
                        "there is no model family \"%s\": expected gpt2, llama, mistral, qwen2, gemma or "
                        "gemma2",
                        family);
    if (config->family == FAMILY_GPT2)
        config->biases = config->tied = 1;
    else
        config->rms_norm = config->rotary = config->gated = 1;
    config->qkv_biases = config->family == FAMILY_QWEN2;
    config->post_norms = config->family == FAMILY_GEMMA2;
    if (config->family >= FAMILY_GEMMA) config->tied = config->scaled_embeddings = config->gelu_gate = 1;
    return 0;
}

static int check_size(const char *name, int value, int low, int high, struct error *err) {
    if (value >= low && value <= high) return 0;
    return fail(err, "the model's %s is %d: expected %d to %d", name, value, low, high);
}

static int check_scaling(const struct config *c, struct error *err) {
    if (c->rope_scaling != ROPE_PLAIN && (!(c->rope_factor >= 1) || !isfinite(c->rope_factor)))
        return fail(err, "the factor of the rope scaling is %g: expected at least 1", c->rope_factor);
    if (c->rope_scaling != ROPE_LLAMA3) return 0;
    if (!(c->rope_low > 0) || !(c->rope_high > c->rope_low) || !isfinite(c->rope_high))
        return fail(err, "the rope scaling blends from %g to %g: expected two increasing positive numbers",
                    c->rope_low, c->rope_high);
    return check_size("original context of the rope scaling", c->rope_original, 1, MOST_SIZE, err);
}

int config_check(const struct config *c, struct error *err) {
    if (check_size("vocab", c->vocab, 1, MOST_SIZE, err)) return -1;
    if (check_size("context", c->context, 1, MOST_SIZE, err)) return -1;
    if (check_size("number of layers", c->layers, 1, MOST_LAYERS, err)) return -1;
    if (check_size("width", c->width, 1, MOST_SIZE, err)) return -1;
    if (check_size("number of heads", c->heads, 1, MOST_LAYERS, err)) return -1;
    if (check_size("number of key-value heads", c->kv_heads, 1, c->heads, err)) return -1;
    if (check_size("head size", c->head_size, 1, MOST_LAYERS, err)) return -1;
    if (check_size("ffn", c->ffn, 1, MOST_SIZE, err)) return -1;
    if (check_size("number of score heads", c->score_heads, 0, MOST_LAYERS, err)) return -1;
    if (c->heads % c->kv_heads)
        return fail(err, "%d heads cannot share %d key-value heads evenly: expected a divisor of the heads",
                    c->heads, c->kv_heads);
    if (c->rotary && c->head_size % 2)
        return fail(err, "the head size is %d: rotary positions need an even one", c->head_size);
    if (!(c->norm_eps > 0) || c->norm_eps >= 1)
        return fail(err, "the norm's epsilon is %g: expected a number in (0, 1)", c->norm_eps);
    if (c->rotary && (!(c->rope_theta > 0) || !isfinite(c->rope_theta)))
        return fail(err, "rope_theta is %g: expected a positive number", c->rope_theta);
    return check_scaling(c, err);
}

/* As Llama 3.1 defines it: by the wavelength, in positions, of the pair's rotation. */
static double llama3_divisor(const struct config *c, double frequency) {
    double turns = c->rope_original * frequency / (2 * M_PI), smooth;

    if (turns < c->rope_low) return c->rope_factor;
    if (turns > c->rope_high) return 1;
    smooth = (turns - c->rope_low) / (c->rope_high - c->rope_low);
    return 1 / ((1 - smooth) / c->rope_factor + smooth);
}

static double plain_frequency(const struct config *c, int pair) {
    return pow(c->rope_theta, -2.0 * pair / c->head_size);
}

double config_rope_divisor(const struct config *c, int pair) {
    if (c->rope_scaling == ROPE_LINEAR) return c->rope_factor;
    return c->rope_scaling == ROPE_LLAMA3 ? llama3_divisor(c, plain_frequency(c, pair)) : 1;
}

double config_rope_frequency(const struct config *c, int pair) {
    return plain_frequency(c, pair) / config_rope_divisor(c, pair);
}

double config_parameters(const struct config *c) {
    double width = c->width, norm = (c->rms_norm ? 1 : 2) * width;
    double attended = (double)c->heads * c->head_size, up = (c->gated ? 2.0 : 1.0) * c->ffn;
    double qkv = (c->heads + 2.0 * c->kv_heads) * c->head_size;
    double layer = 2 * norm + (qkv + attended + up + c->ffn) * width;

    if (c->biases || c->qkv_biases) layer += qkv;
    if (c->biases) layer += width + up + width;
    if (c->post_norms) layer += 2 * norm;
    return c->vocab * width * (c->tied ? 1 : 2) + (c->rotary ? 0 : c->context * width) + c->layers * layer +
           norm + c->score_heads * width;
}

/* Matrix products with every weight but the embedding tables, and attention over the mean (context + 1) / 2
 * keys. */
double config_flops(const struct config *c, int context) {
    double width = c->width, attended = (double)c->heads * c->head_size;
    double up = (c->gated ? 2.0 : 1.0) * c->ffn, qkv = (c->heads + 2.0 * c->kv_heads) * c->head_size;
    double products = 2 * width * (c->layers * (qkv + attended + up + c->ffn) + c->vocab + c->score_heads);

    return products + c->layers * 4 * attended * (context + 1) / 2;
}
