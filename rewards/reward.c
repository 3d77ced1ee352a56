#include "rewards/reward.h"

#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/registry.h"
#include "models/adapter_file.h"
#include "models/folder.h"
#include "models/transformer.h"

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

void reward_hold_models(double held[HOLDINGS], const struct config *config, const struct kernels *kernels,
                        enum weight_form form, double models, const struct adapter_options *adapters) {
    for (int m = 0; m < (adapters ? 1 : models); m++) model_hold(held, config, kernels, form, 0, adapters);
    trunk_hold(held, config, kernels, SCORE_BUDGET, 0, 0, adapters);
}

/* Adapters on a base. */
static int hold_adapted(double held[HOLDINGS], const char *folder, const struct kernels *kernels,
                        enum weight_form form, struct error *err) {
    struct adapter_folder opened;

    if (adapter_open(&opened, folder, err)) return -1;
    reward_hold_models(held, &opened.config, kernels, form, 1, &opened.options);
    adapter_close(&opened);
    return 1;
}

static char *member_path(const char *folder, int member) {
    return xprintf("%s/member-%d", folder, member);
}

static int count_members(const char *folder) {
    int members = 0, found = 1;

    while (found) {
        char *path = member_path(folder, members + 1);

        found = file_exists(path);
        members += found;
        free(path);
    }
    return members;
}

/* Models of their own, or adapters that take turns on one base; 0: there are none. */
static int hold_members(double held[HOLDINGS], const char *folder, const struct kernels *kernels,
                        enum weight_form form, struct error *err) {
    int members = count_members(folder), known = 0;
    char *first = member_path(folder, 1);
    struct config config;

    if (members && is_adapter(first))
        known = hold_adapted(held, first, kernels, form, err);
    else if (members)
        known = folder_config(&config, first, err);
    if (known > 0 && !is_adapter(first)) reward_hold_models(held, &config, kernels, form, members, NULL);
    free(first);
    return known;
}

/* The form that a reward's models are read in; full where there is no reward yet. */
static int form_of(enum weight_form *out, const char *folder, struct error *err) {
    char *path = path_join(folder, "reward.json");
    struct node *facts = file_exists(path) ? document_read(path, err) : NULL;
    int status = file_exists(path) && !facts ? -1 : reward_weights(out, facts, folder, err);

    node_free(facts);
    free(path);
    return status;
}

int reward_is_bare(const char *folder) {
    char *path = path_join(folder, "reward.json");
    struct error ignored;
    struct node *facts = file_exists(path) ? document_read(path, &ignored) : NULL;
    const struct reward *reward = reward_find(node_text(facts, "reward", NULL));
    int bare = !strcmp(folder, NO_MODEL) || (reward && reward->is_bare);

    node_free(facts);
    free(path);
    return bare;
}

int reward_hold(double held[HOLDINGS], const char *folder, const struct config *guess,
                const struct kernels *kernels, struct error *err) {
    enum weight_form form;
    struct config config;
    int known;

    if (reward_is_bare(folder)) return 1;
    if (form_of(&form, folder, err)) return -1;
    known = hold_members(held, folder, kernels, form, err);
    if (known) return known;
    if (form == WEIGHTS_INT8 && is_adapter(folder)) return hold_adapted(held, folder, kernels, form, err);
    known = folder_config(&config, folder, err);
    if (known == 0 && !guess) return 0;
    if (known >= 0) reward_hold_models(held, known ? &config : guess, kernels, form, 1, NULL);
    return known < 0 ? -1 : 1;
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
