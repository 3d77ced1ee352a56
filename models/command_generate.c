#include <errno.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/command.h"
#include "harness/memory.h"
#include "harness/progress.h"
#include "models/dataset.h"
#include "models/folder.h"
#include "models/generator.h"

enum { RESPONSES_MOST = 100000, SLOTS = 64 };

/* What was asked for, and the model that answers. */
struct work {
    struct generator_options how;
    int per_prompt;
    struct model *model;
    struct tokenizer *tokenizer;
    char **prompts;
    struct tokens *ids;
    int count; /* of prompts */
    struct response *responses;
};

static int read_real(const struct arguments *arguments, const char *flag, double fallback, double low,
                     double high, float *out, struct error *err) {
    const char *text = argument_value(arguments, flag, NULL);
    double value = fallback;
    char *end;

    if (text) {
        value = strtod(text, &end);
        if (end == text || *end || !(value >= low && value <= high))
            return fail(err, "--%s must be a number from %g to %g, not '%s'", flag, low, high, text);
    }
    *out = (float)value;
    return 0;
}

static int read_sampling(const struct arguments *arguments, struct work *work, struct error *err) {
    struct sampling *sampling = &work->how.sampling;
    int seed;

    *sampling = SAMPLING_PLAIN;
    if (read_real(arguments, "temperature", 1, 0, 100, &sampling->temperature, err)) return -1;
    if (read_real(arguments, "top-p", 1, 0.01, 1, &sampling->top_p, err)) return -1;
    if (read_real(arguments, "min-p", 0, 0, 1, &sampling->min_p, err)) return -1;
    if (argument_int(arguments, "top-k", 0, 0, INT32_MAX, &sampling->top_k, err)) return -1;
    if (argument_int(arguments, "n", 1, 1, RESPONSES_MOST, &work->per_prompt, err)) return -1;
    if (argument_int(arguments, "max-new", 128, 1, INT32_MAX, &work->how.max_new, err)) return -1;
    if (argument_int(arguments, "seed", 1, 0, INT32_MAX, &seed, err)) return -1;
    work->how.seed = (uint64_t)seed;
    work->how.slots = SLOTS;
    work->how.stream = "command/generate";
    return 0;
}

static void add_prompt(struct work *work, const char *text, size_t length) {
    work->prompts = xrealloc(work->prompts, (size_t)work->count + 1, sizeof *work->prompts);
    work->prompts[work->count++] = xstrndup(text, length);
}

/* Each line is a prompt. */
static int read_lines(struct work *work, FILE *in, struct error *err) {
    char *line = NULL;
    size_t room = 0;
    ssize_t length;

    while ((length = getline(&line, &room, in)) >= 0) {
        while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r')) length--;
        if (length) add_prompt(work, line, (size_t)length);
    }
    free(line);
    if (ferror(in)) return fail(err, "cannot read prompts: %s", strerror(errno));
    return work->count ? 0 : fail(err, "no prompt was given, as a word or on standard input");
}

static int open_model(const struct arguments *arguments, struct work *work, struct error *err) {
    struct run run = {.device = argument_value(arguments, "device", "cpu")};
    const struct kernels *kernels;
    enum weight_form form;

    if (weight_form_read(&form, argument_value(arguments, "weights", "full"), err)) return -1;
    if (argument_int(arguments, "threads", omp_get_num_procs(), 1, 1024, &run.threads, err)) return -1;
    if (run_kernels(&kernels, &run, err)) return -1;
    if (folder_open_as(&work->model, &work->tokenizer, arguments->words[0], kernels, form, err)) return -1;
    if (work->model->config.score_heads)
        return fail(err,
                    "%s has a score head: a reward model scores answers, and what it wrote would be no "
                    "policy's; a policy's folder is expected, such as RUN/steps/safety/1/ppo/scalar",
                    arguments->words[0]);
    work->how.end_token = tokenizer_end(work->tokenizer);
    return 0;
}

static int encode_prompts(struct work *work, struct error *err) {
    if (work->count > RESPONSES_MOST / work->per_prompt)
        return fail(err, "%d responses to each of %d prompts are more than %d at once", work->per_prompt,
                    work->count, RESPONSES_MOST);
    work->ids = xcalloc((size_t)work->count, sizeof *work->ids);
    for (int i = 0; i < work->count; i++) {
        prompt_encode(work->tokenizer, work->prompts[i], &work->ids[i]);
        if (work->ids[i].count >= work->model->config.context)
            return fail(err, "prompt %d has %d tokens; the model's context of %d leaves no room to answer",
                        i + 1, work->ids[i].count, work->model->config.context);
    }
    return 0;
}

static void tell(void *context, int finished) {
    (void)context;
    progress_update(finished, "%s", "");
}

static int answer(struct work *work, struct error *err) {
    int total = work->count * work->per_prompt, status;
    struct request *requests = xcalloc((size_t)total, sizeof *requests);

    work->responses = xcalloc((size_t)total, sizeof *work->responses);
    for (int i = 0; i < total; i++) {
        int prompt = i / work->per_prompt;

        requests[i] = (struct request){work->ids[prompt].ids, work->ids[prompt].count, (uint64_t)prompt,
                                       (uint64_t)(i % work->per_prompt), 0};
    }
    progress_begin("generating", total, "responses");
    status = generate(work->model, requests, total, &work->how, work->responses, tell, NULL, err);
    progress_end();
    free(requests);
    return status;
}

/* One answer to one prompt stands alone; of several, each is under its prompt. */
static void print_answers(const struct work *work, FILE *out) {
    int total = work->count * work->per_prompt;

    for (int i = 0; i < total; i++) {
        const struct response *response = &work->responses[i];
        char *text = tokenizer_decode(work->tokenizer, response->tokens, response->length, NULL);

        if (work->count > 1 && i % work->per_prompt == 0)
            fprintf(out, "%s> %s\n", i ? "\n" : "", work->prompts[i / work->per_prompt]);
        fprintf(out, "%s%s\n", text, response->ended ? "" : " [cut]");
        free(text);
    }
}

static void work_free(struct work *work) {
    for (int i = 0; i < work->count; i++) {
        free(work->prompts[i]);
        if (work->ids) free(work->ids[i].ids);
    }
    for (int i = 0; work->responses && i < work->count * work->per_prompt; i++)
        response_free(&work->responses[i]);
    free(work->prompts);
    free(work->ids);
    free(work->responses);
    tokenizer_free(work->tokenizer);
    model_free(work->model);
}

static int run(const struct arguments *arguments, struct error *err) {
    struct work work = {0};
    int status = -1;

    if (read_sampling(arguments, &work, err)) goto out;
    if (open_model(arguments, &work, err)) goto out;
    if (arguments->count > 1) add_prompt(&work, arguments->words[1], strlen(arguments->words[1]));
    if (!work.count && read_lines(&work, stdin, err)) goto out;
    if (encode_prompts(&work, err) || answer(&work, err)) goto out;
    print_answers(&work, arguments->out);
    status = 0;
out:
    work_free(&work);
    return status;
}

static const struct flag flags[] = {
    {"n", 'n', "N", "responses to each prompt (default: 1)"},
    {"temperature", 0, "T", "0 for the likeliest token every time (default: 1)"},
    {"top-k", 0, "N", "only the N likeliest tokens (default: 0, all)"},
    {"top-p", 0, "P", "only the likeliest tokens that make up this probability (default: 1)"},
    {"min-p", 0, "P", "only tokens with this share of the likeliest one's probability (default: 0)"},
    {"max-new", 0, "N", "tokens of a response at most (default: 128)"},
    {"seed", 0, "N", "the same seed gives the same responses (default: 1)"},
    {"device", 'd', "NAME", "where to compute (default: cpu)"},
    {"threads", 't', "N", "threads to use (default: all processors)"},
    {"weights", 0, "FORM", "full, or int8: 8 bits a number, on processors (default: full)"},
    {0},
};

const struct command command_generate = {
    .name = "generate",
    .summary = "let a model answer prompts",
    .usage = "MODEL [PROMPT] [OPTION]...",
    .description =
        "MODEL is a model's folder, such as a policy of a run: RUN/steps/safety/1/ppo/scalar. Without "
        "PROMPT, every line of standard input is one. A response that was cut for length ends in "
        "[cut].",
    .flags = flags,
    .least_words = 1,
    .most_words = 2,
    .run = run,
};
