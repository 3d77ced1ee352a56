#include "models/cost.h"

static int row_length(const struct config *config, int wanted) {
    return wanted < config->context ? wanted : config->context;
}

struct passage cost_answers(const struct config *config, double prompts, int responses, int max_new) {
    double read = prompts * responses * max_new;

    return (struct passage){prompts * max_new + read, read, cost_answer(config, max_new)};
}

struct passage cost_updates(const struct config *config, double steps, double batch_tokens) {
    double tokens = steps * batch_tokens;

    return (struct passage){tokens, tokens / 2, row_length(config, COST_ROW)};
}

struct passage cost_rows(const struct config *config, double rows) {
    return (struct passage){rows * COST_ROW, 0, row_length(config, COST_ROW)};
}

int cost_held(const struct config *config, int budget, double rows) {
    double all = rows * config->context;

    return all < budget ? (int)all : budget;
}

int cost_answer(const struct config *config, int max_new) {
    return max_new < config->context / 2 ? 2 * max_new : config->context;
}

double cost_forward(const struct config *config, const struct passage *passage) {
    double head = 2.0 * config->width * config->vocab;

    return passage->tokens * (config_flops(config, passage->length) - head) + passage->read * head;
}
