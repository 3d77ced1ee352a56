#include "harness/public_files.h"

#include <ctype.h>
#include <string.h>

#include "harness/memory.h"

static const struct kept_prompts advbench = {.prefix = "advbench-", .prompt = "goal"};
static const struct kept_prompts harmbench = {.id = "BehaviorID",
                                              .prompt = "Behavior",
                                              .category = "SemanticCategory",
                                              .where = "FunctionalCategory",
                                              .is = "standard"};

static const struct public_file advbench_files[] = {
    {"harmful-prompts/advbench_prompts.jsonl", "ab235/AttnGCG-attack",
     "6d9f1a4752760bf9dec98fddf111075e194eb71e", "data/advbench/harmful_behaviors.csv",
     "0dd195e388fc641fc4684a76830c1ac59b4d7b288591621937599efac7fae90e", 0, &advbench},
    {0}};

static const struct public_file alpaca_eval_files[] = {
    {"alpaca_eval/text_davinci_003.json", "tatsu-lab/alpaca_eval", "2a8a6f3a4d535a3d11e5c3c8e74d1841d19fe693",
     "results/text_davinci_003/model_outputs.json", NULL, 0, NULL},
    {"alpaca_eval/gpt4.json", "tatsu-lab/alpaca_eval", "f994f2e01e76608481ac4c3e8ee4f1dbbe1da407",
     "results/gpt4/model_outputs.json", NULL, 0, NULL},
    {"alpaca_eval/NullModel.json", "tatsu-lab/alpaca_eval", "3a7b5daed068116ca3c2f944c687f6456c3d1600",
     "results/NullModel/model_outputs.json", NULL, 0, NULL},
    {"alpaca_eval/NullModel.annotations.json", "tatsu-lab/alpaca_eval",
     "3a7b5daed068116ca3c2f944c687f6456c3d1600",
     "results/NullModel/weighted_alpaca_eval_gpt4_turbo/annotations.json", NULL, 0, NULL},
    {0}};

static const struct public_file bbq_files[] = {
    {"bbq/Age.jsonl", "nyu-mll/BBQ", "bea11bd97d79217245b5871acd247b9d6eb24598", "data/Age.jsonl",
     "46e805b3fc2d8cbd26eeb8e8430d98cf7b2dc9c83574ff3674e8ce4f0fca2a60", 3091834, NULL},
    {"bbq/Disability_status.jsonl", "nyu-mll/BBQ", "bea11bd97d79217245b5871acd247b9d6eb24598",
     "data/Disability_status.jsonl", "375d40d9b71f056150264445ec189b13934998f3f49a1e311aa7578eb3b45e5f",
     1336984, NULL},
    {"bbq/Gender_identity.jsonl", "nyu-mll/BBQ", "bea11bd97d79217245b5871acd247b9d6eb24598",
     "data/Gender_identity.jsonl", NULL, 0, NULL},
    {"bbq/Nationality.jsonl", "nyu-mll/BBQ", "bea11bd97d79217245b5871acd247b9d6eb24598",
     "data/Nationality.jsonl", "a583e74666aec0341ded8aa3983e7cad694eb24de72c254d28b2df3035720090", 2900040,
     NULL},
    {"bbq/Physical_appearance.jsonl", "nyu-mll/BBQ", "bea11bd97d79217245b5871acd247b9d6eb24598",
     "data/Physical_appearance.jsonl", "e48d7e13508565f4801574e611043470c25c95a0a62af3699cb5ee7cb02608fb",
     1347476, NULL},
    {"bbq/Race_ethnicity.jsonl", "nyu-mll/BBQ", "bea11bd97d79217245b5871acd247b9d6eb24598",
     "data/Race_ethnicity.jsonl", NULL, 0, NULL},
    {"bbq/Race_x_SES.jsonl", "nyu-mll/BBQ", "bea11bd97d79217245b5871acd247b9d6eb24598",
     "data/Race_x_SES.jsonl", NULL, 0, NULL},
    {"bbq/Race_x_gender.jsonl", "nyu-mll/BBQ", "bea11bd97d79217245b5871acd247b9d6eb24598",
     "data/Race_x_gender.jsonl", NULL, 0, NULL},
    {"bbq/Religion.jsonl", "nyu-mll/BBQ", "bea11bd97d79217245b5871acd247b9d6eb24598", "data/Religion.jsonl",
     "cb9555f9f3454a52cd2df85956b59bd7fcca5aa922c8527693b1164d08417616", 1118728, NULL},
    {"bbq/SES.jsonl", "nyu-mll/BBQ", "bea11bd97d79217245b5871acd247b9d6eb24598", "data/SES.jsonl", NULL, 0,
     NULL},
    {"bbq/Sexual_orientation.jsonl", "nyu-mll/BBQ", "bea11bd97d79217245b5871acd247b9d6eb24598",
     "data/Sexual_orientation.jsonl", "2c71036b9e7584fe589c42aef32c1a42bc01b9a5e9b1b8704342630cdb08cefd",
     729010, NULL},
    {0}};

static const struct public_file harmbench_files[] = {
    {"harmful-prompts/harmbench_standard_prompts.jsonl", "busycalibrating/AdversariaLLM",
     "f970939273ea17b491fadf6001fddc36ed3ae3ff", "data/behavior_datasets/harmbench_behaviors_text_all.csv",
     "ebec73910e88d25952aaa35cdad41e6f05f5c92d652c688de0a9354ac7ee4756", 0, &harmbench},
    {0}};

static const struct public_file hh_rlhf_files[] = {
    {"hh-rlhf/harmless-base.test.jsonl.gz", "anthropics/hh-rlhf", "354e5c3cb8960630860dd5774a6ac2a58313bf4d",
     "harmless-base/test.jsonl.gz", "ebfaaed21162a4de120ae85366075b34425e2a6303fac59b99555002f7016f03",
     742801, NULL},
    {0}};

static const struct public_file humaneval_files[] = {
    {"humaneval/HumanEval.jsonl.gz", "openai/human-eval", "6d43fb980f9fee3c892a914eda09951f772ad10d",
     "data/HumanEval.jsonl.gz", "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef", 44877,
     NULL},
    {0}};

static const struct public_file llmbar_files[] = {
    {"llmbar/Natural.json", "princeton-nlp/LLMBar", "900616bff90b6c6c8e1681f7d079250637c55992",
     "Dataset/LLMBar/Natural/dataset.json", NULL, 0, NULL},
    {"llmbar/Neighbor.json", "princeton-nlp/LLMBar", "900616bff90b6c6c8e1681f7d079250637c55992",
     "Dataset/LLMBar/Adversarial/Neighbor/dataset.json", NULL, 0, NULL},
    {"llmbar/GPTInst.json", "princeton-nlp/LLMBar", "900616bff90b6c6c8e1681f7d079250637c55992",
     "Dataset/LLMBar/Adversarial/GPTInst/dataset.json", NULL, 0, NULL},
    {"llmbar/GPTOut.json", "princeton-nlp/LLMBar", "900616bff90b6c6c8e1681f7d079250637c55992",
     "Dataset/LLMBar/Adversarial/GPTOut/dataset.json", NULL, 0, NULL},
    {"llmbar/Manual.json", "princeton-nlp/LLMBar", "900616bff90b6c6c8e1681f7d079250637c55992",
     "Dataset/LLMBar/Adversarial/Manual/dataset.json", NULL, 0, NULL},
    {"llmbar/FairEval.json", "princeton-nlp/LLMBar", "900616bff90b6c6c8e1681f7d079250637c55992",
     "Dataset/Processed/FairEval/dataset.json", NULL, 0, NULL},
    {"llmbar/LLMEval2.json", "princeton-nlp/LLMBar", "900616bff90b6c6c8e1681f7d079250637c55992",
     "Dataset/Processed/LLMEval^2/dataset.json", NULL, 0, NULL},
    {"llmbar/MT-Bench.json", "princeton-nlp/LLMBar", "900616bff90b6c6c8e1681f7d079250637c55992",
     "Dataset/Processed/MT-Bench/dataset.json", NULL, 0, NULL},
    {0}};

static const struct public_file pandalm_files[] = {
    {"pandalm/testset-v1.json", "WeOpenML/PandaLM", "3871806e72b4832f815ecafd24d3503c73403f48",
     "data/testset-v1.json", "cc154f9067c7382d7ea86f8f246511a5e1ac87e1fddd845c5938d789505b07a4", 937899,
     NULL},
    {0}};

static const struct public_file quality_files[] = {
    {"quality/QuALITY.v1.0.1.htmlstripped.train.jsonl", "nyu-mll/quality",
     "0ced8de294260496bee55121e6125abdd632f92f", "data/v1.0.1/QuALITY.v1.0.1.htmlstripped.train", NULL, 0,
     NULL},
    {"quality/QuALITY.v1.0.1.htmlstripped.dev.jsonl", "nyu-mll/quality",
     "0ced8de294260496bee55121e6125abdd632f92f", "data/v1.0.1/QuALITY.v1.0.1.htmlstripped.dev", NULL, 0,
     NULL},
    {"quality/QuALITY.v1.0.1.htmlstripped.test.jsonl", "nyu-mll/quality",
     "0ced8de294260496bee55121e6125abdd632f92f", "data/v1.0.1/QuALITY.v1.0.1.htmlstripped.test", NULL, 0,
     NULL},
    {0}};

static const struct public_file squality_files[] = {
    {"squality/human-eval.jsonl", "nyu-mll/SQuALITY", "dc08d4f574639d773bc64ef3ab3527043108fb4e",
     "data/human-eval/all-responses.jsonl",
     "fdefc51dae186097b35d09af1e9e355c19e422d4291a9899d2e7adcc87024f02", 1145030, NULL},
    {"squality/squality-v1.3.train.jsonl", "nyu-mll/SQuALITY", "dc08d4f574639d773bc64ef3ab3527043108fb4e",
     "data/v1-3/txt/train.jsonl", "7d36b79a8fa42ee4b7203a83ab4816ff2b413d927938e3445d973d6918251832", 2892091,
     NULL},
    {"squality/squality-v1.3.dev.jsonl", "nyu-mll/SQuALITY", "dc08d4f574639d773bc64ef3ab3527043108fb4e",
     "data/v1-3/txt/dev.jsonl", "e9cbb1daff74b70a6cd15641ba2f602a925761759200a17c9225aca90018a42b", 1474020,
     NULL},
    {"squality/squality-v1.3.test.jsonl", "nyu-mll/SQuALITY", "dc08d4f574639d773bc64ef3ab3527043108fb4e",
     "data/v1-3/txt/test.jsonl", "5a485f30edebd16367427997ae82fac47bcd9ada9e7755c70a7d6569c0668c9c", 3039248,
     NULL},
    {0}};

static const struct public_file truthfulqa_files[] = {
    {"truthfulqa/TruthfulQA.csv", "benedictflorance/truthfulqa_experiments",
     "6fdfd38288e86296582a584694df5cf43d1f634a", "datasets/TruthfulQA.csv",
     "99d6ae7755e3b435eade956068c9de7c0c474770344237aeb66b56519ba4b697", 443719, NULL},
    {0}};

static const struct public_file xstest_files[] = {
    {"xstest/xstest_prompts.csv", "paul-rottger/exaggerated-safety",
     "d7bb5bd738c1fcbc36edd83d5e7d1b71a3e2d84d", "xstest_prompts.csv",
     "11783fb294ed017473ee53c207d71f2161c7672c8d0b037501e78387f801cb5a", 38719, NULL},
    {0}};

static const struct public_file xsum_files[] = {
    {"xsum-hallucination/factuality_annotations_xsum_summaries.csv",
     "google-research-datasets/xsum_hallucination_annotations", "4abdbb2c807cb93c1df1188a1992d20a55cdcc34",
     "factuality_annotations_xsum_summaries.csv",
     "f0ace0a9b52cacaa632ded3d07a355b7991383ce28fdd9fcbbf08a8523695ecb", 759614, NULL},
    {"xsum-hallucination/hallucination_annotations_xsum_summaries.csv",
     "google-research-datasets/xsum_hallucination_annotations", "4abdbb2c807cb93c1df1188a1992d20a55cdcc34",
     "hallucination_annotations_xsum_summaries.csv",
     "fa7fb66a36cc0f32ede4135985d0d65591dc2a8d21103a0bacd0583d77d4c8ea", 2105145, NULL},
    {0}};

const struct public_set public_sets[] = {
    {"advbench", "MIT; 520 harmful behaviours, prompts only: for refusal rates; the targets are not kept",
     advbench_files},
    {"alpaca_eval",
     "Apache-2.0 (code), CC BY-NC 4.0 (instructions); 805 answers each of three models, and judgments of one",
     alpaca_eval_files},
    {"bbq", "CC BY 4.0; 58,492 multiple-choice questions about social groups", bbq_files},
    {"harmbench", "MIT; 200 standard harmful behaviours, prompts only: for refusal rates", harmbench_files},
    {"hh-rlhf", "MIT; 2,312 human preference pairs; some text is offensive; meant for preference modelling",
     hh_rlhf_files},
    {"humaneval", "MIT; 164 programming problems with unit tests", humaneval_files},
    {"llmbar", "MIT; 885 pairs of outputs with the better one named", llmbar_files},
    {"pandalm", "Apache-2.0; 999 pairs of responses with three people's verdicts", pandalm_files},
    {"quality", "CC BY 4.0 (questions), each article its own; 6,737 multiple-choice questions on long texts",
     quality_files},
    {"squality",
     "CC BY 4.0 (questions, summaries, ratings), Project Gutenberg licence (stories); 127 stories, 900 "
     "reviews",
     squality_files},
    {"truthfulqa", "Apache-2.0; 817 questions with right and wrong answers", truthfulqa_files},
    {"xstest", "CC BY 4.0; 250 safe prompts that look unsafe and 200 unsafe contrasts", xstest_files},
    {"xsum-hallucination", "CC BY 4.0; 2,500 summaries with three people's marks of what is made up",
     xsum_files},
    {0}};

/* Bytes that an address cannot hold, as %XX. */
static void add_escaped(struct text *out, const char *path) {
    for (; *path; path++)
        if (isalnum((unsigned char)*path) || strchr("-._~/", *path))
            text_add(out, path, 1);
        else
            text_printf(out, "%%%02X", (unsigned char)*path);
}

char *public_file_url(const struct public_file *file, const char *server) {
    struct text out = {0};
    size_t length = strlen(server);

    while (length && server[length - 1] == '/') length--;
    text_printf(&out, "%.*s/%s/%s/", (int)length, server, file->repository, file->commit);
    add_escaped(&out, file->path);
    return out.data;
}

char *public_file_mirror(const struct public_file *file) {
    struct text out = {0};

    text_printf(&out, "https://cdn.jsdelivr.net/gh/%s@%s/", file->repository, file->commit);
    add_escaped(&out, file->path);
    return out.data;
}

static int ends_in_file(const char *path, const char *file) {
    size_t length = strlen(path), tail = strlen(file);

    return length > tail + 1 && path[length - tail - 1] == '/' && !strcmp(path + length - tail, file);
}

/* "DIR/data/ORG/NAME", where models of a hub are put: that data folder's length, or 0. */
static size_t hub_folder(const char *path) {
    const char *name = strrchr(path, '/'), *owner = name;

    while (owner && owner > path && owner[-1] != '/') owner--;
    if (!owner || owner == name || !name[1] || owner - path < 5) return 0;
    if (strncmp(owner - 5, "data/", 5) || (owner - path > 5 && owner[-6] != '/')) return 0;
    return (size_t)(owner - 1 - path);
}

/* By its ending: models have dots in their names too. */
static int names_file(const char *path) {
    static const char *const endings[] = {".gguf", ".safetensors", ".json", ".jsonl",
                                          ".csv",  ".gz",          ".zst",  ".txt"};
    int found = 0;

    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) found |= text_ends(path, endings[i]);
    return found;
}

char *public_file_fetch(const char *path) {
    size_t folder = hub_folder(path);

    for (const struct public_set *set = public_sets; set->name; set++)
        for (const struct public_file *file = set->files; file->file; file++)
            if (ends_in_file(path, file->file))
                return xprintf("pyrite fetch %s --to %.*s", set->name,
                               (int)(strlen(path) - strlen(file->file) - 1), path);
    if (!folder || names_file(path)) return NULL;
    return xprintf("pyrite fetch hf:%s --to %.*s", path + folder + 1, (int)folder, path);
}
