/* For check_formats.py: loads a model from a folder or GGUF file and prints, as JSON, the log-probability of
 * every token after some ids (or the scores, of a reward model) and the ids that follow them greedily. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "models/tokenizer.h"
#include "models/transformer.h"

/* "3,1,4" */
static struct tokens read_ids(const char *text) {
    struct tokens ids = {0};
    char *end;

    for (; *text; text = *end ? end + 1 : end) tokens_add(&ids, (int)strtol(text, &end, 10));
    return ids;
}

static int forward(struct trunk *trunk, const struct tokens *ids, struct error *err) {
    struct batch batch = {0};
    int status;

    batch_add(&batch, ids->ids, ids->count);
    status = trunk_forward(trunk, &batch, 0, err);
    batch_free(&batch);
    return status;
}

/* Of every token, at the last position; one a time, so that no more than that is asked of the heads. */
static void print_outputs(struct trunk *trunk, const struct model *model, int last) {
    const struct sampling plain = SAMPLING_PLAIN;
    float score[64];

    printf("{\"outputs\":[");
    if (model->score) head_score(trunk, &last, 1, score);
    for (int i = 0; i < (model->score ? model->config.score_heads : model->config.vocab); i++) {
        if (!model->score) head_logprob(trunk, &last, &i, 1, &plain, score, NULL, NULL);
        printf("%s%.9g", i ? "," : "", score[model->score ? i : 0]);
    }
    printf("]");
}

static int show(struct trunk *trunk, const struct model *model, struct tokens *ids, int more,
                struct error *err) {
    const struct sampling plain = SAMPLING_PLAIN;
    float logprob;

    if (forward(trunk, ids, err)) return -1;
    if (model->config.vocab <= 4096)
        print_outputs(trunk, model, ids->count - 1);
    else
        printf("{\"outputs\":[]");
    printf(",\"greedy\":[");
    for (int i = 0; i < more; i++) {
        int last = ids->count - 1, any = 0, best;

        head_logprob(trunk, &last, &any, 1, &plain, &logprob, NULL, &best);
        printf("%s%d", i ? "," : "", best);
        tokens_add(ids, best);
        if (forward(trunk, ids, err)) return -1;
    }
    printf("]}\n");
    return 0;
}

int main(int count, char **words) {
    struct model *model = NULL;
    struct trunk *trunk = NULL;
    struct tokens ids;
    struct error err;
    int status;

    if (count != 4) {
        fprintf(stderr, "usage: show_model PATH IDS GREEDY\n");
        return 2;
    }
    ids = read_ids(words[2]);
    status = model_load(&model, words[1], kernels_find("cpu"), &err);
    if (status == 0) status = trunk_create(&trunk, model, 0, &err);
    if (status == 0) status = show(trunk, model, &ids, atoi(words[3]), &err);
    if (status) fprintf(stderr, "show_model: %s\n", err.message);
    trunk_free(trunk);
    model_free(model);
    free(ids.ids);
    return status ? 1 : 0;
}
