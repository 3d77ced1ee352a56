#include "models/work.h"

#include <string.h>

const struct option order_options[] = {
    {"weights", OPTION_TEXT, offsetof(struct order, weights), NULL, 0, 0, NULL, "a model's folder"},
    {"rows", OPTION_INT, offsetof(struct order, rows), NULL, 1, 1 << 20, NULL, "rows, or sequences"},
    {"length", OPTION_INT, offsetof(struct order, length), "0", 0, 1 << 20, NULL,
     "tokens of a row that is trained on"},
    {"prompt", OPTION_INT, offsetof(struct order, prompt), "0", 0, 1 << 20, NULL, "tokens of a prompt"},
    {"fresh", OPTION_INT, offsetof(struct order, fresh), "0", 0, 1 << 20, NULL, "tokens of a response"},
    {"shortest", OPTION_INT, offsetof(struct order, shortest), "0", 0, 1 << 20, NULL,
     "tokens of the shortest response; 0: all are equal"},
    {"slots", OPTION_INT, offsetof(struct order, slots), "0", 0, 1 << 20, NULL,
     "rows decoded together; 0: all"},
    {"epochs", OPTION_INT, offsetof(struct order, epochs), "1", 1, 100, NULL, "of PPO"},
    {"minibatch", OPTION_INT, offsetof(struct order, minibatch), "16", 1, 1 << 20, NULL,
     "rows of an update of PPO"},
    {"form", OPTION_CHOICE, offsetof(struct order, form), "full", 0, 0, WEIGHT_FORMS,
     "of the weights that a rollout multiplies by"},
    {0}};

const struct work *work_find(const char *name) {
    for (int i = 0; works[i]; i++)
        if (!strcmp(works[i]->name, name)) return works[i];
    return NULL;
}

int race_token(uint32_t i, int vocab) {
    uint32_t x = i * UINT32_C(2654435761);

    x ^= x >> 15;
    x *= UINT32_C(2246822519);
    x ^= x >> 13;
    return (int)(x % (uint32_t)vocab);
}
