/* For fixtures/check_hf.py: saves a small random model and a tokenizer in FOLDER, prints what they compute.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "models/tokenizer.h"
#include "models/transformer.h"

static const char *const texts[] = {"the reward model's answers", "the policy can't answer 12 questions",
                                    "na\xc3\xafve \xe6\xbc\xa2\xe5\xad\x97  reward\n\n the end"};

static struct config describe(const char *family, int vocab, int tied, int heads) {
    struct config config;
    struct error err;

    config_family(&config, family, &err);
    config.vocab = vocab;
    config.context = 64;
    config.layers = 3;
    config.width = 24;
    config.heads = 4;
    config.kv_heads = config.rotary ? 2 : 4;
    config.head_size = config.rotary ? 8 : 6;
    config.ffn = 40;
    config.tied = tied;
    config.score_heads = heads;
    return config;
}

static void print_floats(const char *name, const float *values, int count) {
    printf("\"%s\":[", name);
    for (int i = 0; i < count; i++) printf("%s%.9g", i ? "," : "", values[i]);
    printf("]");
}

static int print_model(struct model *model, const struct tokens *tokens, struct error *err) {
    int count = tokens->count, vocab = model->config.vocab, last = count - 1;
    float *logits = xmalloc((size_t)count * (size_t)vocab * sizeof *logits), score[8];
    struct batch batch = {0};
    struct trunk *trunk = NULL;
    int status = -1;

    batch_add(&batch, tokens->ids, count);
    if (trunk_create(&trunk, model, 0, err)) goto out;
    if (trunk_forward(trunk, &batch, 0, err)) goto out;
    model->kernels->matmul(logits, trunk_hidden(trunk), model->head->data, NULL, NULL, NULL, count, vocab,
                           model->config.width);
    print_floats("logits", logits, count * vocab);
    if (model->score) {
        head_score(trunk, &last, 1, score);
        printf(",");
        print_floats("score", score, model->config.score_heads);
    }
    status = 0;
out:
    trunk_free(trunk);
    batch_free(&batch);
    free(logits);
    return status;
}

/* Larger matrices than a fresh model's, and vectors that are not all alike, so that every part matters. */
static void spread(struct model *model) {
    for (int i = 0; i < model->count; i++) {
        struct tensor *tensor = &model->tensors[i];

        for (int j = 0; j < tensor->rows * tensor->cols; j++)
            tensor->data[j] =
                tensor->rank == 2 ? 8 * tensor->data[j] : tensor->data[j] + 0.01f * (float)(j % 7);
    }
}

static int show(const char *folder, const char *family, int tied, int heads, struct error *err) {
    char *path = path_join(folder, "tokenizer.json");
    struct tokenizer *tokenizer = NULL;
    struct model *model = NULL;
    struct tokens tokens = {0};
    struct config config;
    int status = -1;

    if (folder_make(folder, err)) goto out;
    if (tokenizer_train(&tokenizer, texts, 3, 300, err)) goto out;
    if (tokenizer_save(tokenizer, path, err)) goto out;
    config = describe(family, tokenizer_vocab(tokenizer), tied, heads);
    if (model_create(&model, &config, kernels_find("cpu"), err)) goto out;
    model_init(model, 1);
    spread(model);
    if (model_save(model, folder, 32, err)) goto out;
    tokenizer_encode(tokenizer, texts[2], strlen(texts[2]), &tokens);
    printf("{\"ids\":[");
    for (int i = 0; i < tokens.count; i++) printf("%s%d", i ? "," : "", tokens.ids[i]);
    printf("],");
    status = print_model(model, &tokens, err);
    printf("}\n");
out:
    free(tokens.ids);
    model_free(model);
    tokenizer_free(tokenizer);
    free(path);
    return status;
}

int main(int count, char **words) {
    struct error err;

    if (count != 5) {
        fprintf(stderr, "usage: show_logits FOLDER gpt2|llama TIED SCORE_HEADS\n");
        return 2;
    }
    if (show(words[1], words[2], atoi(words[3]), atoi(words[4]), &err) == 0) return 0;
    fprintf(stderr, "show_logits: %s\n", err.message);
    return 1;
}
