#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/progress.h"
#include "harness/record.h"
#include "harness/registry.h"
#include "models/tokenizer.h"

struct settings {
    const struct node *data;
    int vocab;
};

static const struct option options[] = {
    {"data", OPTION_STEPS, offsetof(struct settings, data), NULL, 0, 0, "world|pairs|prompts",
     "steps whose training texts are learned from"},
    {"vocab", OPTION_INT, offsetof(struct settings, vocab), "1024", 259, 1 << 20, NULL,
     "most tokens, of which 256 are the bytes and 3 special"},
    {0}};

/* Every text of the training split, owned by the records it comes from. */
struct corpus {
    struct examples examples;
    const char **texts;
    int count;
};

static void add(struct corpus *corpus, const char *text) {
    if (text && text[0]) corpus->texts[corpus->count++] = text;
}

static int read_folder(struct corpus *corpus, const char *folder, struct error *err) {
    static const char *const files[] = {"prompts.jsonl", "demonstrations.jsonl", "pairs.jsonl"};
    int found = 0, status = 0;

    for (int i = 0; i < 3 && status == 0; i++) {
        char *path = path_join(folder, files[i]);

        if (file_exists(path)) {
            found = 1;
            status = examples_read(path, &corpus->examples, err);
        }
        free(path);
    }
    if (status || found) return status;
    return fail(err, "%s holds none of prompts.jsonl, demonstrations.jsonl and pairs.jsonl", folder);
}

static void collect(struct corpus *corpus) {
    corpus->texts = xcalloc((size_t)corpus->examples.count, 4 * sizeof *corpus->texts);
    for (int i = 0; i < corpus->examples.count; i++) {
        const struct example *example = &corpus->examples.items[i];

        if (example->split && strcmp(example->split, "train")) continue;
        add(corpus, example->prompt);
        add(corpus, example->response);
        add(corpus, example->chosen);
        add(corpus, example->rejected);
    }
}

static int train(const struct corpus *corpus, int vocab, const struct step *step, struct error *err) {
    struct tokenizer *tokenizer;
    char *path;
    int status;

    if (corpus->count == 0) return fail(err, "the data hold no text of the split \"train\" to learn from");
    if (tokenizer_train(&tokenizer, corpus->texts, corpus->count, vocab, err)) return -1;
    if (tokenizer_vocab(tokenizer) < vocab)
        progress_notice("the texts have pairs for %d tokens only, not %d", tokenizer_vocab(tokenizer), vocab);
    path = step_path(step, "tokenizer.json");
    status = tokenizer_save(tokenizer, path, err);
    free(path);
    tokenizer_free(tokenizer);
    return status;
}

static int run(struct run *of, const struct step *step, struct error *err) {
    struct settings settings;
    struct corpus corpus = {0};
    int status = -1;

    if (options_read(options, NULL, step->options, of->recipe, &settings, err)) return -1;
    for (const struct node *folder = settings.data->first; folder; folder = folder->next)
        if (read_folder(&corpus, folder->text, err)) goto out;
    collect(&corpus);
    status = train(&corpus, settings.vocab, step, err);
out:
    free(corpus.texts);
    examples_free(&corpus.examples);
    return status;
}

const struct stage stage_tokenizer = {
    .name = "tokenizer",
    .summary = "a byte-level BPE tokenizer, trained on the training texts of data steps",
    .options = options,
    .run = run};
