#include "models/lora.h"

#include <stdio.h>

#include "harness/adapter_base.h"
#include "models/folder.h"

struct settings {
    int rank, rslora;
    double alpha, dropout;
    const struct node *targets;
};

static const struct option options[] = {
    {"rank", OPTION_INT, offsetof(struct settings, rank), "8", 1, 65536, NULL, "of each module's adapter"},
    {"alpha", OPTION_REAL, offsetof(struct settings, alpha), "16", 1e-9, 1e9, NULL,
     "adapters count alpha / rank times"},
    {"dropout", OPTION_REAL, offsetof(struct settings, dropout), "0", 0, 0.999, NULL,
     "share of what adapters read that is left out while training"},
    {"targets", OPTION_WORDS, offsetof(struct settings, targets), "", 0, 0, NULL,
     "modules that get one: all-linear (if absent), or a list such as [q_proj, v_proj]"},
    {"rslora", OPTION_BOOL, offsetof(struct settings, rslora), "false", 0, 0, NULL,
     "adapters count alpha / sqrt(rank) times"},
    {0}};

static int read_targets(unsigned *out, const struct node *targets, const struct config *config,
                        struct error *err) {
    if (!targets) return adapter_target(out, "all-linear", config, err);
    if (targets->text) return adapter_target(out, targets->text, config, err);
    for (const struct node *name = targets->first; name; name = name->next)
        if (adapter_target(out, name->text, config, err)) return -1;
    return *out ? 0 : fail(err, "\"targets\" names no module");
}

int lora_read(struct adapter_options *out, const struct node *given, const char *where,
              const struct config *config, struct error *err) {
    struct settings settings;

    *out = (struct adapter_options){0};
    if (!given) return 0;
    if (options_read(options, NULL, given, where, &settings, err)) return -1;
    *out = (struct adapter_options){.rank = settings.rank,
                                    .alpha = settings.alpha,
                                    .rslora = settings.rslora,
                                    .dropout = settings.dropout};
    if (!config || read_targets(&out->targets, settings.targets, config, err) == 0) return 0;
    return fail_within(err, "%s: lora", where);
}

int lora_check_weights(int form, const struct node *given, const char *base, const char *where,
                       struct error *err) {
    if (form == WEIGHTS_FULL) return 0;
    if (!given)
        return fail(err, "%s: weights: int8 needs lora: only adapters can learn on such weights", where);
    if (!base || !is_adapter(base)) return 0;
    return fail(err, "%s: weights: int8 cannot take in the adapter that %s is: give weights: full", where,
                base);
}

int lora_store(const struct model *model, const struct tokenizer *tokenizer, const char *folder, int bits,
               const struct adapter_options *adapters, const char *base, int scores, struct error *err) {
    if (!adapters->rank) return folder_store(model, tokenizer, folder, bits, err);
    return folder_store_adapter(model, tokenizer, folder, bits, adapters, base, scores, err);
}

const struct adapter_options *lora_plan(const struct adapter_options *adapters) {
    return adapters->rank ? adapters : NULL;
}

double lora_passes(const struct adapter_options *adapters) {
    return adapters->rank ? 2 : 3;
}

static double count_numbers(const struct adapter_options *adapters, const struct config *config) {
    struct model *model = model_outline(config, kernels_find("cpu"));
    double sum = 0;

    model_outline_adapters(model, adapters);
    for (int i = 0; i < model->adapter_count; i++) {
        const struct adapter *adapter = &model->adapters[i];

        for (int p = 0; p < adapter->part_count; p++)
            sum += (double)adapter->rank * (adapter->a->cols + adapter->parts[p].rows);
    }
    if (model->score) sum += (double)model->score->rows * model->score->cols;
    model_free(model);
    return sum;
}

const char *lora_note(char note[64], const struct adapter_options *adapters, const struct config *config) {
    note[0] = 0;
    if (adapters->rank) snprintf(note, 64, ", %.0f numbers learn", count_numbers(adapters, config));
    return note;
}
