#include "rewards/reward.h"

#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/registry.h"

const struct reward *reward_find(const char *name) {
    for (int i = 0; name && rewards[i]; i++)
        if (strcmp(rewards[i]->name, name) == 0) return rewards[i];
    return NULL;
}

int reward_open(const struct reward **reward, struct scorer **out, const char *folder,
                const struct kernels *kernels, struct error *err) {
    char *path = path_join(folder, "reward.json");
    struct node *facts = document_read(path, err);
    int status = -1;

    if (!facts) goto out;
    *reward = reward_find(node_text(facts, "reward", NULL));
    if (!*reward) {
        fail(err, "%s: \"reward\" names no reward of this program: %s", path,
             node_text(facts, "reward", "(missing)"));
        goto out;
    }
    status = (*reward)->open(out, folder, facts, kernels, err);
out:
    node_free(facts);
    free(path);
    return status;
}

int reward_settings(const struct reward *reward, const struct node *facts, const char *folder, void *settings,
                    struct error *err) {
    struct node *none = node_new(NODE_MAP);
    const struct node *given = node_get(facts, "settings");
    int status = options_read(reward->options, reward->presets, given ? given : none, folder, settings, err);

    node_free(none);
    return status;
}

int reward_weights(enum weight_form *out, const struct node *facts, const char *folder, struct error *err) {
    if (weight_form_read(out, node_text(facts, "weights", "full"), err) == 0) return 0;
    return fail_within(err, "%s/reward.json", folder);
}

int exchanges_end(const struct exchange *rows, int first, int count, int copies, int extra, int budget) {
    int total = 0, end = first;

    for (; end < count; end++) {
        total += rows[end].prompt_length + copies * rows[end].response_length + extra;
        if (end > first && total > budget) break;
    }
    return end;
}

void score_last_tokens(float *tokens_out, const struct exchange *rows, int count, const float *score) {
    for (int r = 0; r < count; r++) {
        memset(tokens_out, 0, (size_t)rows[r].response_length * sizeof *tokens_out);
        tokens_out += rows[r].response_length;
        if (rows[r].response_length) tokens_out[-1] = score[r];
    }
}
