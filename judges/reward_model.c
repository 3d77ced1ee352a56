/* A fitted reward as a judge, through the same score() that training uses. Judges "reward". */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/progress.h"
#include "judges/judge.h"
#include "models/dataset.h"
#include "models/folder.h"
#include "rewards/reward.h"

struct settings {
    const char *folder;
};

static const struct option options[] = {
    {"folder", OPTION_FILE, offsetof(struct settings, folder), "", 0, 0, NULL, "of a fitted reward"}, {0}};

struct judging {
    const struct reward *reward;
    struct scorer *scorer;
    struct tokenizer *tokenizer; /* NULL: a reward that reads text alone */
    char *name;
};

/* An ensemble keeps its members' tokenizer with them. */
static int open_tokenizer(struct tokenizer **out, const char *folder, struct error *err) {
    static const char *const places[] = {".", "member-1"};

    for (int i = 0; i < 2; i++) {
        char *place = path_join(folder, places[i]), *path = path_join(place, "tokenizer.json");
        int status = file_exists(path) ? tokenizer_open(out, place, err) : 1;

        free(path);
        free(place);
        if (status <= 0) return status;
    }
    *out = NULL;
    return 0;
}

static void reward_close(struct judging *judging) {
    if (!judging) return;
    if (judging->scorer) judging->reward->close(judging->scorer);
    tokenizer_free(judging->tokenizer);
    free(judging->name);
    free(judging);
}

static int reward_model_open(struct judging **out, const struct judge_setup *setup, struct error *err) {
    struct judging *judging;
    const struct kernels *kernels;
    struct settings settings;
    const char *folder;

    if (options_read(options, NULL, setup->options, setup->where, &settings, err)) return -1;
    folder = setup->folder ? setup->folder : settings.folder;
    if (!folder) return fail(err, "the judge reward_model needs the folder of a fitted reward, in folder");
    if (run_kernels(&kernels, setup->run, err)) return -1;
    judging = xcalloc(1, sizeof *judging);
    if (open_tokenizer(&judging->tokenizer, folder, err) ||
        reward_open(&judging->reward, &judging->scorer, folder, kernels, err)) {
        reward_close(judging);
        return -1;
    }
    judging->name = xstrdup(setup->name ? setup->name : judging->reward->name);
    *out = judging;
    return 0;
}

/* Answers as ids; the texts stay the transcripts'. */
struct encoded {
    struct exchange *rows;
    struct tokens *prompts, *responses;
    int count, tokens;
};

static void encode(struct encoded *out, const struct judging *judging,
                   const struct transcript *const *answers, int count) {
    *out = (struct encoded){.count = count};
    out->rows = xcalloc((size_t)count, sizeof *out->rows);
    out->prompts = xcalloc((size_t)count, sizeof *out->prompts);
    out->responses = xcalloc((size_t)count, sizeof *out->responses);
    for (int i = 0; i < count; i++) {
        int ended = !answers[i]->finish || strcmp(answers[i]->finish, "length") != 0;

        if (judging->tokenizer) {
            prompt_encode(judging->tokenizer, answers[i]->prompt, &out->prompts[i]);
            response_encode(judging->tokenizer, answers[i]->response, ended, &out->responses[i]);
        }
        out->tokens += out->responses[i].count;
        out->rows[i] = (struct exchange){.prompt = out->prompts[i].ids,
                                         .response = out->responses[i].ids,
                                         .prompt_length = out->prompts[i].count,
                                         .response_length = out->responses[i].count,
                                         .ended = ended,
                                         .prompt_text = answers[i]->prompt,
                                         .response_text = answers[i]->response};
    }
}

static void encoded_free(struct encoded *encoded) {
    for (int i = 0; i < encoded->count; i++) {
        free(encoded->prompts[i].ids);
        free(encoded->responses[i].ids);
    }
    free(encoded->prompts);
    free(encoded->responses);
    free(encoded->rows);
}

/* One by one: an answer that is too long for the reward has no score, and does not cost the others theirs. */
static int score_each(const struct judging *judging, const struct encoded *encoded, float *scores,
                      struct error *err) {
    struct error first = *err;
    int left_out = 0;

    for (int i = 0; i < encoded->count; i++)
        if (judging->reward->score(judging->scorer, &encoded->rows[i], 1, NULL, &scores[i], err)) {
            scores[i] = NAN;
            left_out++;
        }
    if (left_out == encoded->count) return -1;
    progress_notice("%s: %d of %d answers have no score: %s", judging->name, left_out, encoded->count,
                    first.message);
    return 0;
}

static int reward_judge(struct judging *judging, const struct transcript *const *answers, int count,
                        struct verdicts *out, struct error *err) {
    struct encoded encoded;
    float *scores = xcalloc((size_t)count, sizeof *scores);
    int status = 0;

    encode(&encoded, judging, answers, count);
    if (count) status = judging->reward->score(judging->scorer, encoded.rows, count, NULL, scores, err);
    if (status) status = score_each(judging, &encoded, scores, err);
    for (int i = 0; i < count && !status; i++) {
        verdict_add(out, answers[i], judging->name, "reward", scores[i]);
        if (isnan(scores[i])) out->items[out->count - 1].outcome = OUTCOME_UNPARSED;
    }
    encoded_free(&encoded);
    free(scores);
    return status;
}

/* A token's text, or the name of the one that ends the answer. Caller frees. */
static char *spell_token(const struct tokenizer *tokenizer, int id) {
    struct decoding decoding = {.tokenizer = tokenizer, .stripped = -1};
    struct text out = {0};

    if (id == tokenizer_end(tokenizer)) return xstrdup(tokenizer_name(tokenizer, id));
    text_add(&out, "", 0);
    decoding_add(&decoding, id, &out);
    decoding_end(&decoding, &out);
    return out.data;
}

static int reward_explain(struct judging *judging, const struct transcript *answer, struct node *row,
                          struct error *err) {
    struct node *texts = node_add(row, "tokens", NODE_LIST), *numbers = node_add(row, "rewards", NODE_LIST);
    struct encoded encoded;
    float *scores;
    int status;

    encode(&encoded, judging, &answer, 1);
    scores = xcalloc((size_t)encoded.tokens, sizeof *scores);
    status = judging->reward->score(judging->scorer, encoded.rows, 1, scores, NULL, err);
    for (int i = 0; i < encoded.tokens && !status; i++) {
        char *text = spell_token(judging->tokenizer, encoded.responses[0].ids[i]);

        node_add_text(texts, NULL, text);
        node_add_number(numbers, NULL, scores[i]);
        free(text);
    }
    encoded_free(&encoded);
    free(scores);
    return status;
}

const struct judge judge_reward_model = {.name = "reward_model",
                                         .summary = "a fitted reward, as it scores in training",
                                         .options = options,
                                         .open = reward_model_open,
                                         .judge = reward_judge,
                                         .explain = reward_explain,
                                         .close = reward_close};
