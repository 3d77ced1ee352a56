#include "reports/samples.h"

#include <math.h>
#include <string.h>

#include "harness/format.h"

#define MAPS 8 /* token maps an evaluation */

double token_map_largest(const struct node *map) {
    const struct node *rewards = node_get(map, "rewards");
    double most = 0;

    for (const struct node *reward = rewards ? rewards->first : NULL; reward; reward = reward->next)
        if (reward->kind == NODE_NUMBER && isfinite(reward->number)) most = fmax(most, fabs(reward->number));
    return most;
}

static void add_token(struct text *out, const struct node *token, const struct node *reward, double most) {
    double share = most > 0 && isfinite(reward->number) ? reward->number / most : 0;
    char number[32];

    /* The sign is a class and the size a number, so that the style sheet chooses colours. */
    text_printf(out, "<span class=\"%s\" style=\"--w:%.2f\" title=\"%s\">", share < 0 ? "neg" : "pos",
                fabs(share), format_number(number, reward->number, NULL));
    text_add_html(out, token->text);
    text_printf(out, "</span>");
}

const char *token_map_prompt(const struct evaluation *evaluation, const struct node *map) {
    const char *id = node_text(map, "transcript", NULL);

    for (int i = 0; id && i < evaluation->transcripts.count; i++)
        if (!strcmp(evaluation->transcripts.items[i].id, id)) return evaluation->transcripts.items[i].prompt;
    return NULL;
}

static void add_map(struct text *out, const struct evaluation *evaluation, const struct node *map) {
    const struct node *tokens = node_get(map, "tokens"), *rewards = node_get(map, "rewards");
    const char *prompt = token_map_prompt(evaluation, map);
    const struct node *token, *reward;
    double most;
    char number[32];

    if (!tokens || !rewards || tokens->kind != NODE_LIST || rewards->kind != NODE_LIST) return;
    most = token_map_largest(map);
    text_printf(out, "<figure class=\"heat\"><figcaption><b>");
    text_add_html(out, node_text(map, "policy", "A policy"));
    text_printf(out, "</b> scored by <b>");
    text_add_html(out, node_text(map, "reward", "the reward"));
    text_printf(out, "</b>, full colour at ±%s</figcaption>", format_digits(number, most, NULL, most));
    if (prompt) {
        text_printf(out, "<p class=\"prompt\">");
        text_add_html(out, prompt);
        text_printf(out, "</p>");
    }
    text_printf(out, "<p class=\"tokens\">");
    for (token = tokens->first, reward = rewards->first; token && reward;
         token = token->next, reward = reward->next)
        add_token(out, token, reward, most);
    text_printf(out, "</p></figure>\n");
}

int token_map_is_spread(const struct node *map) {
    const struct node *rewards = node_get(map, "rewards");
    int told = 0;

    for (const struct node *reward = rewards ? rewards->first : NULL; reward; reward = reward->next)
        told += reward->number != 0;
    return told > 1;
}

void samples_add_maps(struct text *out, const struct evaluation *evaluation) {
    int shown = 0;

    for (const struct node *map = evaluation->token_rewards->first; map && shown < MAPS; map = map->next) {
        if (!token_map_is_spread(map)) continue;
        if (!shown++)
            text_printf(
                out,
                "<h3>Rewards token by token</h3>\n<p class=\"key\">Blue raises the response's reward, orange "
                "and underlined lowers it; the figure is shown on pointing, by keyboard in the samples "
                "below.</p>\n<div class=\"maps\">\n");
        add_map(out, evaluation, map);
    }
    if (shown) text_printf(out, "</div>\n");
}
