#include "tests/training.h"

#include <check.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/progress.h"
#include "models/folder.h"
#include "rewards/reward.h"

/* The world "echo": the prompt asks for a word, the demonstrator says that word or the other, half and half,
   and adds "please" at random; gold is 1 for the word asked for, less 0.1 a word beyond one. */
static void echo_inspect(const char *prompt, const char *response, struct features *out) {
    const char *asked = prompt + strlen("say ");
    size_t length = strlen(asked);

    *out = (struct features){.category = "plain", .correct = 0, .words = *response != 0};
    for (const char *at = response; *at; at++) out->words += *at == ' ';
    out->correct =
        strncmp(response, asked, length) == 0 && (response[length] == 0 || response[length] == ' ');
    out->gold = out->correct - 0.1 * (out->words > 1 ? out->words - 1 : 0);
}

static const struct world world_echo = {
    .name = "echo", .summary = "say the word that is asked for", .inspect = echo_inspect};

extern const struct stage stage_sft, stage_reward, stage_ppo, stage_generate;
extern const struct reward reward_scalar, reward_seq2seq, reward_ensemble, reward_gold;

const struct stage *const stages[] = {&stage_sft, &stage_reward, &stage_ppo, &stage_generate, NULL};
const struct report *const reports[] = {NULL};
const struct world *const worlds[] = {&world_echo, NULL};
const struct reward *const rewards[] = {&reward_scalar, &reward_seq2seq, &reward_ensemble, &reward_gold,
                                        NULL};

const char *training_device = "cpu";

static const char *const words[] = {"yes", "no", "left", "right"};

char *fresh_folder(void) {
    const char *place = getenv("TMPDIR");
    char *folder = xprintf("%s/pyrite-XXXXXX", place ? place : "/tmp");

    ck_assert_ptr_nonnull(mkdtemp(folder));
    return folder;
}

static char *answer(int word, int polite) {
    return xprintf("%s%s", words[word], polite ? " please" : "");
}

static struct example *add(struct examples *list, const char *split, int word) {
    struct example *out = examples_add(list);

    out->id = xprintf("echo-%s-%d", split, list->count);
    out->split = xstrdup(split);
    out->prompt = xprintf("say %s", words[word]);
    return out;
}

static void fill_data(struct examples *prompts, struct examples *demonstrations, struct examples *pairs) {
    struct rng rng = rng_stream(1, "echo", 0, 0);

    for (int i = 0; i < 400; i++) {
        int word = rng_below(&rng, 4), said = rng_chance(&rng, 0.5) ? word : word ^ 1;
        const char *split = i < 320 ? "train" : i < 360 ? "heldout" : "ood";
        struct example *pair = add(pairs, split, word);

        add(demonstrations, "train", word)->response = answer(said, rng_chance(&rng, 0.3));
        pair->chosen = answer(word, rng_chance(&rng, 0.3));
        pair->rejected = answer(word ^ 1, rng_chance(&rng, 0.3));
        if (i < 8) add(prompts, i < 4 ? "train" : "heldout", i % 4);
    }
}

static void write_data(const char *folder) {
    struct examples prompts = {0}, demonstrations = {0}, pairs = {0};
    const char world[] = "{\"world\": \"echo\", \"dials\": {}}";
    char *data = path_join(folder, "data");
    char *a = path_join(data, "prompts.jsonl"), *b = path_join(data, "demonstrations.jsonl"),
         *c = path_join(data, "pairs.jsonl"), *d = path_join(data, "world.json");
    struct error err;

    fill_data(&prompts, &demonstrations, &pairs);
    ck_assert_int_eq(folder_make(data, &err), 0);
    ck_assert_int_eq(examples_write(a, &prompts, &err), 0);
    ck_assert_int_eq(examples_write(b, &demonstrations, &err), 0);
    ck_assert_int_eq(examples_write(c, &pairs, &err), 0);
    ck_assert_int_eq(file_write(d, world, strlen(world), &err), 0);
    examples_free(&prompts);
    examples_free(&demonstrations);
    examples_free(&pairs);
    free(a);
    free(b);
    free(c);
    free(d);
    free(data);
}

static void write_base(const char *folder) {
    const char *const text[] = {
        "say yes say no say left say right yes please no please left please right please"};
    const char *const places[] = {"tokenizer", "base"};
    struct tokenizer *tokenizer;
    struct config config;
    struct model *model;
    struct error err;

    ck_assert_int_eq(tokenizer_train(&tokenizer, text, 1, 272, &err), 0);
    ck_assert_int_eq(config_family(&config, "llama", &err), 0);
    config.vocab = tokenizer_vocab(tokenizer);
    config.context = 64;
    config.layers = 2;
    config.width = 32;
    config.heads = config.kv_heads = 2;
    config.head_size = 16;
    config.ffn = 64;
    config.tied = 1;
    ck_assert_msg(model_create(&model, &config, kernels_find("cpu"), &err) == 0, "%s", err.message);
    model_init(model, 1);
    for (int i = 0; i < 2; i++) {
        char *place = path_join(folder, places[i]);

        ck_assert_msg(folder_store(model, tokenizer, place, 32, &err) == 0, "%s", err.message);
        free(place);
    }
    model_free(model);
    tokenizer_free(tokenizer);
}

void make_task(const char *folder) {
    write_data(folder);
    write_base(folder);
}

static char *spell_out(const char *options, const char *folder) {
    struct text text = {0};

    for (const char *at = options; *at; at++)
        if (*at == '@')
            text_printf(&text, "%s/", folder);
        else
            text_add(&text, at, 1);
    return text.data;
}

int run_step(const char *stage, const char *folder, const char *name, const char *options, int threads,
             struct error *err) {
    struct run run = {
        .recipe = "test", .folder = (char *)folder, .device = training_device, .threads = threads};
    char *spelt = spell_out(options, folder), *place = path_join(folder, name);
    struct node *node = document_parse_yaml(spelt, strlen(spelt), "test", err);
    struct step step = {.name = name, .label = name, .use = stage, .options = node, .folder = place};
    int status = -1;

    if (!node || folder_make(place, err)) goto out;
    step.seed = (uint64_t)node_number(node, "seed", 1);
    status = stage_find(stage)->run(&run, &step, err);
out:
    node_free(node);
    free(spelt);
    free(place);
    return status;
}

int plan_step(const char *stage, const char *folder, const char *options, struct plan *out,
              struct error *err) {
    struct run run = {.recipe = "test", .folder = (char *)folder, .device = training_device, .threads = 1};
    char *spelt = spell_out(options, folder);
    struct node *node = document_parse_yaml(spelt, strlen(spelt), "test", err);
    struct step step = {.name = stage, .label = stage, .use = stage, .options = node, .folder = folder};
    int status = node ? plan_make(out, &run, &step, err) : -1;

    node_free(node);
    free(spelt);
    return status;
}

static void kill_at(void *context, const struct progress_event *event) {
    if (event->done >= *(double *)context) kill(getpid(), SIGKILL);
}

void run_step_killed(const char *stage, const char *folder, const char *name, const char *options,
                     double at) {
    pid_t child = fork();
    struct error err;
    int how;

    if (child == 0) {
        progress_to(kill_at, &at);
        run_step(stage, folder, name, options, 1, &err);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert_msg(WIFSIGNALED(how), "the step ended before it could be killed");
}

struct search {
    const char *field;
    double found;
    int first;
};

static int look(void *context, const struct node *record, int line, struct error *err) {
    struct search *search = context;
    const struct node *value = node_get(record, search->field);

    (void)line;
    (void)err;
    if (value && value->kind == NODE_NUMBER && !(search->first && !isnan(search->found)))
        search->found = value->number;
    return 0;
}

double log_value(const char *folder, const char *name, const char *field, int first) {
    char *path = xprintf("%s/%s/log.jsonl", folder, name);
    struct search search = {field, NAN, first};
    struct error err;

    ck_assert_msg(document_each(path, look, &search, &err) == 0, "%s", err.message);
    free(path);
    return search.found;
}

void check_same_bytes(const char *folder, const char *a, const char *b, const char *file) {
    char *path_a = xprintf("%s/%s/%s", folder, a, file), *path_b = xprintf("%s/%s/%s", folder, b, file);
    char hex_a[65] = "", hex_b[65] = "";
    struct error err;

    ck_assert_msg(hash_file(hex_a, path_a, &err) == 0, "%s", err.message);
    ck_assert_msg(hash_file(hex_b, path_b, &err) == 0, "%s", err.message);
    ck_assert_msg(strcmp(hex_a, hex_b) == 0, "%s and %s differ in %s", a, b, file);
    free(path_a);
    free(path_b);
}

void check_dropped(const char *folder, const char *name, const char *expected) {
    char *path = xprintf("%s/%s/dropped.jsonl", folder, name), *text;
    struct error err;

    text = file_read(path, NULL, &err);
    ck_assert_msg(text != NULL, "%s", err.message);
    ck_assert_str_eq(text, expected);
    free(text);
    free(path);
}
