#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "harness/command.h"
#include "harness/file.h"
#include "models/folder.h"
#include "models/perplexity.h"
#include "models/tokenizer_parts.h"

enum { WINDOW = 512 };

struct work {
    int window, most; /* most: tokens of the text; 0: all */
    struct model *model;
    struct tokenizer *tokenizer;
    struct tokens text;
    struct output list; /* path NULL: none */
};

static int open_model(const struct arguments *arguments, struct work *work, struct error *err) {
    struct run run = {.device = argument_value(arguments, "device", "cpu")};
    const struct kernels *kernels;
    enum weight_form form;

    if (weight_form_read(&form, argument_value(arguments, "weights", "full"), err)) return -1;
    if (argument_int(arguments, "threads", omp_get_num_procs(), 1, 1024, &run.threads, err)) return -1;
    if (run_kernels(&kernels, &run, err)) return -1;
    return folder_open_as(&work->model, &work->tokenizer, arguments->words[0], kernels, form, err);
}

/* Where none was asked for, a model that reads less than the usual window is given what it can read. */
static void fit_window(const struct arguments *arguments, struct work *work) {
    int context = work->model->config.context;

    if (argument_given(arguments, "window") || work->window <= context) return;
    fprintf(arguments->out, "the window is the model's context of %d tokens, which is below %d\n", context,
            WINDOW);
    work->window = context;
}

static int read_text(struct work *work, const char *path, struct error *err) {
    size_t length;
    char *text = file_read(path, &length, err);

    if (!text) return -1;
    tokenizer_encode(work->tokenizer, text, length, &work->text);
    if (work->most && work->text.count > work->most) work->text.count = work->most;
    free(text);
    return 0;
}

static void print_result(const struct perplexity *result, const struct work *work, const char *path,
                         FILE *out) {
    double mean = result->nats / result->scored;

    fprintf(out, "%s: %d tokens, windows of %d: %d, predicted tokens: %d\n", path, work->text.count,
            work->window, result->windows, result->scored);
    fprintf(out, "negative log-likelihood %.6f nats a token, perplexity %.4f\n", mean, exp(mean));
}

static int run(const struct arguments *arguments, struct error *err) {
    const char *path = arguments->words[1], *list = argument_value(arguments, "tokens", NULL);
    struct perplexity result;
    struct work work = {0};
    int status = -1;

    if (argument_int(arguments, "window", WINDOW, 2, 1 << 24, &work.window, err)) goto out;
    if (argument_int(arguments, "most", 0, 0, INT32_MAX, &work.most, err)) goto out;
    if (open_model(arguments, &work, err) || read_text(&work, path, err)) goto out;
    fit_window(arguments, &work);
    if (list && output_open(&work.list, list, err)) goto out;
    if (perplexity_measure(&result, work.model, &work.tokenizer->before, &work.text, work.window,
                           work.list.file, err)) {
        fail_within(err, "%s", path);
        goto out;
    }
    if (list && output_close(&work.list, err)) goto out;
    print_result(&result, &work, path, arguments->out);
    status = 0;
out:
    output_discard(&work.list);
    free(work.text.ids);
    tokenizer_free(work.tokenizer);
    model_free(work.model);
    return status;
}

static const struct flag flags[] = {
    {"window", 'w', "N",
     "tokens that are read together (default: 512, or the model's context where that is less)"},
    {"most", 0, "N", "only so many of the text's first tokens (default: all)"},
    {"tokens", 0, "FILE", "every window as a line of JSON: ids, log-probabilities, the likeliest ids"},
    {"device", 'd', "NAME", "where to compute (default: cpu)"},
    {"threads", 't', "N", "threads to use (default: all processors)"},
    {"weights", 0, "FORM", "full, or int8: 8 bits a number, on processors (default: full)"},
    {0},
};

const struct command command_perplexity = {
    .name = "perplexity",
    .summary = "say how well a model predicts a text",
    .usage = "MODEL FILE [OPTION]...",
    .description =
        "MODEL is a model's folder or a .gguf file, FILE a text. The text's tokens are cut into windows, "
        "each "
        "is read by itself, and the perplexity is exp of the mean negative log-likelihood of all predicted "
        "tokens: every token of a window but its first, and that too where the tokenizer puts a token before "
        "every text, which then begins each window. Special tokens spelt in the text are ordinary "
        "characters.\n"
        "\n"
        "Perplexities of models with different tokenizers, and of windows of different length, do not "
        "compare.",
    .flags = flags,
    .least_words = 2,
    .most_words = 2,
    .run = run,
};
