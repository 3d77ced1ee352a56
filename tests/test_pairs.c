/* Preference and prompt files of every accepted kind become the records that the steps exchange. */
#include "harness/dialogue.h"
#include "harness/file.h"
#include "harness/memory.h"
#include "harness/record.h"
#include "harness/registry.h"
#include "models/tokenizer.h"
#include "tests/public_data.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

extern const struct stage stage_pairs, stage_prompts;

#define FOLDER "test_pairs.tmp"
#define H      "\\n\\nHuman:"
#define A      "\\n\\nAssistant:"

static struct error err;
static struct examples pairs, prompts, demonstrations;

static void clean(void) {
    examples_free(&pairs);
    examples_free(&prompts);
    examples_free(&demonstrations);
    ck_assert_int_eq(folder_remove(FOLDER, &err), 0);
}

static void prepare(void) {
    clean();
    ck_assert_int_eq(folder_make(FOLDER "/out", &err), 0);
}

static int run_stage(const struct stage *stage, const char *yaml) {
    struct run run = {.recipe = "recipe.yaml", .folder = FOLDER, .device = "cpu", .threads = 1};
    struct step step = {
        .name = "data", .label = "data", .use = stage->name, .seed = 1, .folder = FOLDER "/out"};
    struct node *options = document_parse_yaml(yaml, strlen(yaml), "recipe.yaml", &err);
    int status;

    ck_assert_msg(options != NULL, "%s", err.message);
    step.options = options;
    status = stage->run(&run, &step, &err);
    node_free(options);
    return status;
}

static void read_back(const struct stage *stage) {
    ck_assert_int_eq(examples_read(FOLDER "/out/prompts.jsonl", &prompts, &err), 0);
    if (stage == &stage_prompts) return;
    if (file_exists(FOLDER "/out/pairs.jsonl"))
        ck_assert_int_eq(examples_read(FOLDER "/out/pairs.jsonl", &pairs, &err), 0);
    ck_assert_int_eq(examples_read(FOLDER "/out/demonstrations.jsonl", &demonstrations, &err), 0);
}

static int convert(const struct stage *stage, const char *name, const char *bytes, const char *more) {
    char *file = path_join(FOLDER, name), *yaml = xprintf("{file: %s%s}", file, more);
    int status;

    ck_assert_int_eq(file_write(file, bytes, strlen(bytes), &err), 0);
    status = run_stage(stage, yaml);
    if (!status) read_back(stage);
    free(file);
    free(yaml);
    return status;
}

static void expect_pair(int i, const char *prompt, const char *chosen, const char *rejected) {
    ck_assert_int_lt(i, pairs.count);
    ck_assert_str_eq(pairs.items[i].prompt, prompt);
    ck_assert_str_eq(pairs.items[i].chosen, chosen);
    ck_assert_str_eq(pairs.items[i].rejected, rejected);
    ck_assert_str_eq(demonstrations.items[i].prompt, prompt);
    ck_assert_str_eq(demonstrations.items[i].response, chosen);
}

START_TEST(hh_dialogues_part_after_the_last_common_assistant)
{
    ck_assert_msg(!convert(&stage_pairs, "hh.jsonl",
                           "{\"chosen\":\"" H " a?" A " b" H " c?" A " yes.\",\"rejected\":\"" H " a?" A
                           " b" H " c?" A "\"}\n"
                           "{\"chosen\":\"" H " a?" A " b" H " c?" A " yes.\",\"rejected\":\"" H " a?" A
                           " b" H " c?" A " no \"}\n"
                           "{\"chosen\":\"" H " a?" A " b" H " c?" A " yes.\",\"rejected\":\"" H " a?" A
                           " z\"}\n",
                           ""),
                  "%s", err.message);
    ck_assert_int_eq(pairs.count, 1);
    expect_pair(0, "\n\nHuman: a?\n\nAssistant: b\n\nHuman: c?\n\nAssistant:", "yes.", "no");
    ck_assert_str_eq(pairs.items[0].id, "row-2");
}
END_TEST

START_TEST(a_base_model_is_taught_whole_dialogues)
{
    ck_assert_int_eq(convert(&stage_pairs, "texts.jsonl",
                             "{\"chosen\": \"" H " Hi." A " Hello.\", \"rejected\": \"" H " Hi." A
                             " No.\"}\n",
                             ", demonstrations: dialogue"),
                     0);
    ck_assert_int_eq(demonstrations.count, 1);
    ck_assert_str_eq(demonstrations.items[0].prompt, "");
    ck_assert_str_eq(demonstrations.items[0].response, DIALOGUE_HUMAN " Hi." DIALOGUE_ASSISTANT " Hello.");
    ck_assert_str_eq(pairs.items[0].chosen, "Hello.");
}
END_TEST

START_TEST(what_is_dropped_is_counted_and_listed)
{
    struct error e;
    char *listed;
    struct node *summary;

    ck_assert_msg(!convert(&stage_pairs, "t.jsonl",
                           "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\"}\n"
                           "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\" a \"}\n"
                           "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":null}\n\n"
                           "{\"prompt\":\"ppppppp\",\"chosen\":\"a\",\"rejected\":\"b\"}\n"
                           "{\"prompt\":\"ééé\",\"chosen\":\"aaaaa\",\"rejected\":\"b\"}\n"
                           "{\"prompt\":\"ééé\",\"chosen\":\"aaaa\",\"rejected\":\"\"}\n",
                           ", most_prompt: 3, most_response: 4"),
                  "%s", err.message);
    ck_assert_int_eq(pairs.count, 1);
    listed = file_read(FOLDER "/out/dropped.jsonl", NULL, &e);
    ck_assert_str_eq(listed, "{\"row\":2,\"line\":2,\"reason\":\"both responses are the same\"}\n"
                             "{\"row\":3,\"line\":3,\"reason\":\"a column is empty\"}\n"
                             "{\"row\":4,\"line\":5,\"reason\":\"the prompt is too long\"}\n"
                             "{\"row\":5,\"line\":6,\"reason\":\"a response is too long\"}\n"
                             "{\"row\":6,\"line\":7,\"reason\":\"a response is empty\"}\n");
    summary = document_read(FOLDER "/out/data.json", &e);
    ck_assert_double_eq(node_number(summary, "rows", 0), 6);
    ck_assert_double_eq(node_number(summary, "kept", 0), 1);
    ck_assert_double_eq(node_number(node_get(summary, "dropped"), "the prompt is too long", 0), 1);
    node_free(summary);
    free(listed);
}
END_TEST

START_TEST(trl_columns_may_be_texts_or_messages)
{
    ck_assert_msg(
        !convert(
            &stage_pairs, "t.json",
            "[{\"prompt\":\"Why?\",\"chosen\":\"Because.\",\"rejected\":\"No.\"},"
            "{\"prompt\":[{\"role\":\"system\",\"content\":\"Be "
            "kind.\"},{\"role\":\"user\",\"content\":\"Hi\"}],"
            "\"chosen\":[{\"role\":\"assistant\",\"content\":\"Hello\"}],"
            "\"rejected\":[{\"role\":\"assistant\",\"content\":\"Go\"}]},"
            "{\"chosen\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":\"1\"}],"
            "\"rejected\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":\"2\"}]"
            "},"
            "{\"prompt\":\"Hi\","
            "\"chosen\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":\"1\"}],"
            "\"rejected\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":\"2\"}]"
            "},"
            "{\"chosen\":\"The sky is blue.\",\"rejected\":\"The sky is black.\"},"
            "{\"prompt\":\"One \",\"chosen\":\"One two\",\"rejected\":\"One three\"}]",
            ""),
        "%s", err.message);
    ck_assert_int_eq(pairs.count, 6);
    expect_pair(0, "Why?", "Because.", "No.");
    expect_pair(1, "Be kind.\n\nHuman: Hi\n\nAssistant:", "Hello", "Go");
    expect_pair(2, "\n\nHuman: Hi\n\nAssistant:", "1", "2");
    expect_pair(3, "\n\nHuman: Hi\n\nAssistant:", "1", "2");
    expect_pair(4, "The sky is ", "blue.", "black.");
    expect_pair(5, "One ", "two", "three");
}
END_TEST

START_TEST(openrlhf_keys_and_the_hh_template_are_options)
{
    ck_assert_msg(!convert(&stage_pairs, "t.csv", "q,good,bad\n\"Why, now?\",yes,no\n",
                           ", prompt_key: q, chosen_key: good, rejected_key: bad, template: hh"),
                  "%s", err.message);
    expect_pair(0, "\n\nHuman: Why, now?\n\nAssistant:", "yes", "no");
}
END_TEST

START_TEST(safe_rlhf_labels_choose_the_side)
{
    static const char rows[] =
        "{\"prompt\":\"p\",\"response_0\":\"a\",\"response_1\":\"b\",\"better_response_id\":1,\"safer_"
        "response_id\":0}\n"
        "{\"input\":\"p\",\"answer\":\"c\",\"other_answer\":\"d\",\"better\":true,\"safer\":false}\n";

    ck_assert_msg(!convert(&stage_pairs, "s.jsonl", rows, ""), "%s", err.message);
    expect_pair(0, "p", "b", "a");
    expect_pair(1, "p", "c", "d");
    prepare();
    ck_assert_msg(!convert(&stage_pairs, "s.jsonl", rows, ", prefer: safer"), "%s", err.message);
    expect_pair(0, "p", "a", "b");
    expect_pair(1, "p", "d", "c");
}
END_TEST

START_TEST(a_file_without_pairs_says_what_was_expected)
{
    ck_assert_int_eq(convert(&stage_pairs, "t.jsonl", "{\"words\":\"x\"}\n", ""), -1);
    ck_assert_ptr_nonnull(strstr(err.message, FOLDER "/t.jsonl:1"));
    ck_assert_ptr_nonnull(strstr(err.message, "\"chosen\" and \"rejected\""));
    ck_assert_ptr_nonnull(strstr(err.message, "found words"));
    ck_assert_int_eq(convert(&stage_pairs, "t.jsonl", "{\"chosen\":\"x\",\"rejected\":\"y\"}\n", ""), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "none of its 1 rows"));
    ck_assert_int_eq(convert(&stage_pairs, "t.jsonl",
                             "{\"chosen\":[{\"role\":\"cat\",\"content\":\"\"}],\"rejected\":[]}\n", ""),
                     -1);
    ck_assert_ptr_nonnull(strstr(err.message, "the role \"cat\""));
    ck_assert_int_eq(run_stage(&stage_pairs, "{file: " FOLDER "/none.jsonl}"), -1);
    ck_assert_int_eq(run_stage(&stage_pairs, "{flie: x}"), -1);
}
END_TEST

static void expect_demonstration(int i, const char *prompt, const char *response) {
    ck_assert_int_lt(i, demonstrations.count);
    ck_assert_str_eq(demonstrations.items[i].prompt, prompt);
    ck_assert_str_eq(demonstrations.items[i].response, response);
}

static void expect_file(const char *name, const char *text) {
    char *path = path_join(FOLDER "/out", name), *found = file_read(path, NULL, &err);

    ck_assert_msg(found != NULL, "%s", err.message);
    ck_assert_str_eq(found, text);
    free(found);
    free(path);
}

/* A field of data.json, "part/name" in its parts. */
static double summary(const char *part, const char *name) {
    struct node *map = document_read(FOLDER "/out/data.json", &err);
    double number = node_number(part ? node_get(map, part) : map, name, -1);

    node_free(map);
    return number;
}

static void expect_understood(const char *words) {
    struct node *map = document_read(FOLDER "/out/data.json", &err);

    ck_assert_ptr_nonnull(strstr(node_text(map, "understood", ""), words));
    node_free(map);
}

START_TEST(demonstrations_come_in_every_convention)
{
    static const struct {
        const char *name, *bytes, *prompt, *response, *understood;
    } cases[] = {
        {"a.jsonl",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"a?\"},{\"role\":\"assistant\",\"content\":\"b\"},"
         "{\"role\":\"user\",\"content\":\"c?\"},{\"role\":\"assistant\",\"content\":\" d. \"}]}",
         "\n\nHuman: a?\n\nAssistant: b\n\nHuman: c?\n\nAssistant:", "d.", "conversations"},
        {"b.json",
         "[{\"conversations\":[{\"from\":\"human\",\"value\":\"a?\"},{\"from\":\"gpt\",\"value\":\"b\"}]}]",
         "\n\nHuman: a?\n\nAssistant:", "b", "ShareGPT"},
        {"c.csv", "prompt,completion\nWhy?, So.\n", "Why?", "So.", "prompts and completions"},
        {"d.jsonl",
         "{\"prompt\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Why?\"}]}],"
         "\"completion\":[{\"role\":\"assistant\",\"content\":\"So.\"}]}",
         "\n\nHuman: Why?\n\nAssistant:", "So.", "prompts and completions"},
        {"e.jsonl", "{\"input\":\"Why?\",\"output\":\"So.\"}", "Why?", "So.", "OpenRLHF"},
        {"k.jsonl", "{\"prompt\":\"def f():\\n\",\"completion\":\"    return 1\\n\"}", "def f():\n",
         "    return 1", "completions"},
        {"f.jsonl", "{\"instruction\":\"Add.\",\"input\":\"1, 2\",\"output\":\"3\"}", "Add.\n\n1, 2", "3",
         "Alpaca"},
        {"g.jsonl", "{\"dialogue\":[\"a?\",\"b\",\"c?\"],\"answer\":\"d\"}",
         "\n\nHuman: a?\n\nAssistant: b\n\nHuman: c?\n\nAssistant:", "d", "prompts and completions"},
        {"h.jsonl", "{\"prompt\":\"2*3+1\",\"completions\":[\"2*3=6\",\"6+1=7\"],\"labels\":[true,true]}",
         "2*3+1", "2*3=6\n6+1=7", "steps"},
        {"i.jsonl", "{\"text\":\" As it is. \"}", "", " As it is. ", "texts that answer nothing"},
        {"j.csv",
         "messages\n\"[{\"\"role\"\":\"\"user\"\",\"\"content\"\":\"\"a?\"\"},{\"\"role\"\":"
         "\"\"assistant\"\",\"\"content\"\":\"\"b\"\"}]\"\n",
         "\n\nHuman: a?\n\nAssistant:", "b", "conversations"}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        prepare();
        ck_assert_msg(!convert(&stage_pairs, cases[i].name, cases[i].bytes, ""), "%s", err.message);
        ck_assert_int_eq(demonstrations.count, 1);
        expect_demonstration(0, cases[i].prompt, cases[i].response);
        expect_understood(cases[i].understood);
        ck_assert_int_eq(pairs.count, 0);
        ck_assert(!file_exists(FOLDER "/out/pairs.jsonl"));
    }
}
END_TEST

START_TEST(the_best_sample_is_preferred_to_each_other)
{
    ck_assert_msg(
        !convert(&stage_pairs, "s.jsonl",
                 "{\"query\":\"It was\",\"sample0\":\" bad.\",\"sample1\":\" fine.\",\"sample2\":\" "
                 "grim.\",\"best\":1}\n",
                 ""),
        "%s", err.message);
    ck_assert_int_eq(pairs.count, 2);
    ck_assert_int_eq(demonstrations.count, 1);
    expect_demonstration(0, "It was", "fine.");
    ck_assert_str_eq(pairs.items[0].rejected, "bad.");
    ck_assert_str_eq(pairs.items[1].rejected, "grim.");
    ck_assert_str_eq(pairs.items[1].id, "row-1-2");
    expect_understood("lm-human-preferences");
    ck_assert_int_eq(convert(&stage_pairs, "s.jsonl",
                             "{\"query\":\"a\",\"sample0\":\"b\",\"sample1\":\"c\",\"best\":2}\n", ""),
                     -1);
    ck_assert_ptr_nonnull(strstr(err.message, "\"best\" must be the number of a sample"));
}
END_TEST

static void add_ids(struct text *out, const struct tokenizer *tokenizer, const char *text, int padding) {
    struct tokens ids = {0};

    tokenizer_encode(tokenizer, text, strlen(text), &ids);
    text_printf(out, "[");
    for (int i = 0; i < ids.count; i++) text_printf(out, "%s%d", i ? "," : "", ids.ids[i]);
    for (int i = 0; i < padding; i++) text_printf(out, ",%d", tokenizer_vocab(tokenizer) + 2);
    text_printf(out, "]");
    free(ids.ids);
}

START_TEST(token_ids_become_text_by_their_tokenizer)
{
    const char *srcdir = getenv("srcdir");
    char *from = path_join(srcdir ? srcdir : ".", "tests/fixtures/tokenizer.trained.json"), *bytes;
    struct tokenizer *tokenizer;
    struct text row = {0};
    size_t length;

    ck_assert_int_eq(folder_make(FOLDER "/tokens", &err), 0);
    bytes = file_read(from, &length, &err);
    ck_assert_int_eq(file_write(FOLDER "/tokens/tokenizer.json", bytes, length, &err), 0);
    ck_assert_int_eq(tokenizer_load(&tokenizer, from, &err), 0);
    text_printf(&row, "[{\"best\":0,\"query\":");
    add_ids(&row, tokenizer, "It was", 3);
    text_printf(&row, ",\"sample0\":");
    add_ids(&row, tokenizer, " fine.", 0);
    text_printf(&row, ",\"sample1\":");
    add_ids(&row, tokenizer, " bad.", 1);
    text_printf(&row, "}]");
    ck_assert_int_eq(convert(&stage_pairs, "s.json", row.data, ""), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "holds token ids; name the tokenizer"));
    ck_assert_msg(!convert(&stage_pairs, "s.json", row.data, ", tokenizer: " FOLDER "/tokens"), "%s",
                  err.message);
    expect_pair(0, "It was", "fine.", "bad.");
    ck_assert_int_eq(convert(&stage_pairs, "s.json",
                             "[{\"best\":0,\"query\":[65,999999,65],\"sample0\":[65],\"sample1\":[66]}]",
                             ", tokenizer: " FOLDER "/tokens"),
                     -1);
    ck_assert_ptr_nonnull(strstr(err.message, "what is no token"));
    tokenizer_free(tokenizer);
    free(row.data);
    free(bytes);
    free(from);
}
END_TEST

START_TEST(labelled_answers_to_one_prompt_become_pairs)
{
    ck_assert_msg(!convert(&stage_pairs, "u.jsonl",
                           "{\"prompt\":\"p\",\"completion\":\"bad\",\"label\":false}\n"
                           "{\"prompt\":\"q\",\"completion\":\"lone\",\"label\":true}\n"
                           "{\"prompt\":\"p\",\"completion\":\"good\",\"label\":true}\n"
                           "{\"prompt\":\"p\",\"completion\":\"worse\",\"label\":false}\n",
                           ""),
                  "%s", err.message);
    ck_assert_int_eq(pairs.count, 1);
    ck_assert_str_eq(pairs.items[0].prompt, "p");
    ck_assert_str_eq(pairs.items[0].chosen, "good");
    ck_assert_str_eq(pairs.items[0].rejected, "bad");
    ck_assert_int_eq(demonstrations.count, 2);
    expect_demonstration(0, "q", "lone");
    expect_demonstration(1, "p", "good");
    expect_file("dropped.jsonl", "{\"row\":4,\"reason\":\"no answer of the other label to its prompt\"}\n");
}
END_TEST

START_TEST(labels_in_tables_are_spelt)
{
    ck_assert_msg(!convert(&stage_pairs, "s.csv",
                           "prompt,response_0,response_1,better_response_id,safer_response_id\np,a,b,1,0\n",
                           ""),
                  "%s", err.message);
    expect_pair(0, "p", "b", "a");
    prepare();
    ck_assert_msg(!convert(&stage_pairs, "s.csv", "input,answer,other_answer,better\np,a,b,False\n", ""),
                  "%s", err.message);
    expect_pair(0, "p", "b", "a");
    ck_assert_int_eq(convert(&stage_pairs, "s.csv", "input,answer,other_answer,better\np,a,b,maybe\n", ""),
                     -1);
    ck_assert_ptr_nonnull(strstr(err.message, "s.csv:2: \"better\" must be true or false"));
}
END_TEST

START_TEST(two_conventions_that_fit_are_named_and_one_is_chosen)
{
    static const char row[] =
        "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\",\"messages\":["
        "{\"role\":\"user\",\"content\":\"p\"},{\"role\":\"assistant\",\"content\":\"a\"}]}\n";

    ck_assert_int_eq(convert(&stage_pairs, "t.jsonl", row, ""), -1);
    ck_assert_str_eq(
        err.message,
        FOLDER "/t.jsonl:1: two conventions fit: preference pairs (TRL, OpenRLHF) (chosen and rejected) "
               "and conversations (TRL, ShareGPT) (messages); say which with convention: preference, "
               "or convention: messages");
    ck_assert_msg(!convert(&stage_pairs, "t.jsonl", row, ", convention: preference"), "%s", err.message);
    expect_pair(0, "p", "a", "b");
    prepare();
    ck_assert_msg(!convert(&stage_pairs, "t.jsonl", row, ", convention: messages"), "%s", err.message);
    expect_demonstration(0, "\n\nHuman: p\n\nAssistant:", "a");
    ck_assert_int_eq(convert(&stage_pairs, "t.jsonl", row, ", convention: preferences"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "did you mean 'preference'?"));
    ck_assert_int_eq(
        convert(&stage_pairs, "t.jsonl", "{\"prompt\":\"p\",\"output\":\"a\",\"answer\":\"b\"}\n", ""), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "both \"output\" and \"answer\" could be the response"));
    ck_assert_int_eq(
        convert(&stage_pairs, "t.jsonl",
                "{\"prompt\":\"p\",\"completion\":\"a\"}\n{\"chosen\":\"a\",\"rejected\":\"b\"}\n", ""),
        -1);
    ck_assert_str_eq(err.message,
                     FOLDER "/t.jsonl:2: prompts and completions (TRL, OpenRLHF, Alpaca): the columns "
                            "prompt and completion were expected");
}
END_TEST

START_TEST(messages_are_kept_where_the_text_does_not_tell_them)
{
    struct node *messages;
    char *json;

    ck_assert_msg(
        !convert(
            &stage_pairs, "m.jsonl",
            "{\"prompt\":[{\"role\":\"user\",\"content\":\"Say \\n\\nHuman: x\"}],"
            "\"chosen\":[{\"role\":\"assistant\",\"content\":\"x\"}],\"rejected\":[{\"role\":\"assistant\","
            "\"content\":\"y\"}]}\n"
            "{\"prompt\":[{\"role\":\"system\",\"content\":\"Be "
            "brief.\"},{\"role\":\"user\",\"content\":\"Hi\"}],"
            "\"chosen\":[{\"role\":\"assistant\",\"content\":\"x\"}],\"rejected\":[{\"role\":\"assistant\","
            "\"content\":\"y\"}]}\n",
            ""),
        "%s", err.message);
    json = node_json(pairs.items[0].messages, 0);
    ck_assert_str_eq(json, "[{\"role\":\"user\",\"content\":\"Say \\n\\nHuman: x\"}]");
    free(json);
    ck_assert_ptr_nonnull(prompts.items[0].messages);
    ck_assert_ptr_nonnull(demonstrations.items[0].messages);
    ck_assert_ptr_null(pairs.items[1].messages); /* the text tells */
    messages = dialogue_messages(&pairs.items[1]);
    json = node_json(messages, 0);
    ck_assert_str_eq(
        json, "[{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":\"user\",\"content\":\"Hi\"}]");
    free(json);
    node_free(messages);
}
END_TEST

START_TEST(deepspeed_chat_prompts_get_the_form_of_hh)
{
    ck_assert_msg(
        !convert(&stage_pairs, "d.json",
                 "[{\"prompt\":\"Human: a? Assistant: b Human: The Human: c? Assistant:\",\"chosen\":\" "
                 "yes\",\"rejected\":\" no\"}]",
                 ""),
        "%s", err.message);
    expect_pair(0, "\n\nHuman: a?\n\nAssistant: b\n\nHuman: The\n\nHuman: c?\n\nAssistant:", "yes", "no");
    expect_understood("DeepSpeed-Chat");
}
END_TEST

START_TEST(a_long_prompt_is_dropped_cut_or_an_error_and_a_response_never_cut)
{
    static const char rows[] =
        "{\"prompt\":\"" H " one" A " two" H " three" A "\",\"chosen\":\"yes\",\"rejected\":\"no\"}\n"
        "{\"prompt\":\"plain words that are long\",\"chosen\":\"yes\",\"rejected\":\"no\"}\n"
        "{\"prompt\":\"p\",\"chosen\":\"too long a response\",\"rejected\":\"no\"}\n";

    ck_assert_int_eq(convert(&stage_pairs, "l.jsonl", rows, ", most_prompt: 8, most_response: 10"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "none of its 3 rows is usable"));
    prepare();
    ck_assert_msg(
        !convert(&stage_pairs, "l.jsonl", rows, ", most_prompt: 30, most_response: 10, overlong: cut_prompt"),
        "%s", err.message);
    ck_assert_int_eq(pairs.count, 2);
    expect_pair(0, "\n\nHuman: three\n\nAssistant:", "yes", "no");
    expect_pair(1, "plain words that are long", "yes", "no");
    expect_file("dropped.jsonl", "{\"row\":1,\"line\":1,\"reason\":\"the prompt was cut\",\"kept\":true}\n"
                                 "{\"row\":3,\"line\":3,\"reason\":\"a response is too long\"}\n");
    ck_assert_double_eq(summary(NULL, "prompts_cut"), 1);
    prepare();
    ck_assert_msg(
        !convert(&stage_pairs, "l.jsonl", rows, ", most_prompt: 12, most_response: 10, overlong: cut_prompt"),
        "%s", err.message);
    expect_pair(0, "are long", "yes", "no"); /* not a word of the dialogue fits beside its marks */
    ck_assert_int_eq(convert(&stage_pairs, "l.jsonl", rows, ", most_prompt: 30, overlong: error"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "l.jsonl:1: the prompt is too long (most_prompt 30"));
}
END_TEST

START_TEST(spelling_order_and_further_rows_do_not_move_a_prompt)
{
    struct text rows = {0}, turned = {0};
    char first[200];
    int heldout = 0;

    ck_assert_double_eq(prompt_position("How are you?"), prompt_position("  how ARE\tyou"));
    ck_assert_double_ne(prompt_position("How are you?"), prompt_position("How are they?"));
    for (int i = 0; i < 200; i++)
        text_printf(&rows, "{\"prompt\":\"prompt %d\",\"chosen\":\"a\",\"rejected\":\"b\"}\n", i);
    for (int i = 299; i >= 0; i--)
        text_printf(&turned, "{\"prompt\":\"Prompt: %d!\",\"chosen\":\"a\",\"rejected\":\"b\"}\n", i);
    ck_assert_int_eq(convert(&stage_pairs, "o.jsonl", rows.data, ", heldout: 0.3"), 0);
    for (int i = 0; i < 200; i++) first[i] = pairs.items[i].split[0];
    prepare();
    ck_assert_int_eq(convert(&stage_pairs, "o.jsonl", turned.data, ", heldout: 0.3"), 0);
    for (int i = 0; i < 200; i++) {
        ck_assert_int_eq(pairs.items[299 - i].split[0], first[i]);
        heldout += first[i] == 'h';
    }
    ck_assert_int_gt(heldout, 40); /* 60 ± 3 standard deviations */
    ck_assert_int_lt(heldout, 80);
    free(rows.data);
    free(turned.data);
}
END_TEST

START_TEST(a_column_names_splits_and_the_same_prompt_is_in_one)
{
    ck_assert_msg(!convert(&stage_pairs, "c.jsonl",
                           "{\"prompt\":\"one two three\",\"completion\":\"a\",\"set\":\"easy\"}\n"
                           "{\"prompt\":\"One, two; three!\",\"completion\":\"b\",\"set\":\"trap\"}\n"
                           "{\"prompt\":\"four\",\"completion\":\"c\",\"set\":\"easy\"}\n"
                           "{\"prompt\":\"five\",\"completion\":\"d\",\"set\":\"dev\"}\n"
                           "{\"prompt\":\"six\",\"completion\":\"e\",\"set\":\"none\"}\n",
                           ", split_key: set, splits: {easy: train, trap: ood, dev: heldout}, heldout: 1"),
                  "%s", err.message);
    ck_assert_str_eq(demonstrations.items[0].split, "ood");
    ck_assert_str_eq(demonstrations.items[1].split, "ood");
    ck_assert_str_eq(demonstrations.items[2].split, "train");
    ck_assert_str_eq(demonstrations.items[3].split, "heldout");
    ck_assert_str_eq(demonstrations.items[4].split, "heldout"); /* by its hash: all are below 1 */
    ck_assert_double_eq(summary("splits", "ood"), 2);
    ck_assert_double_eq(summary("splits", "train"), 1);
}
END_TEST

#define NEAR_ROWS                                                                                            \
    "{\"prompt\":\"please tell me how I can bake a good loaf of bread at home today\",\"completion\":\"a\"," \
    "\"split\":\"train\"}\n"                                                                                 \
    "{\"prompt\":\"please tell me how I can bake a good loaf of bread at home now\",\"completion\":\"b\","   \
    "\"split\":\"test\"}\n"                                                                                  \
    "{\"prompt\":\"what is the tallest mountain of the moon\",\"completion\":\"c\",\"split\":\"train\"}\n"

START_TEST(nearly_the_same_prompts_across_splits_are_reported_moved_or_dropped)
{
    ck_assert_msg(!convert(&stage_pairs, "n.jsonl", NEAR_ROWS, ", split_key: split"), "%s", err.message);
    ck_assert_int_eq(demonstrations.count, 3);
    ck_assert_double_eq(summary("near_duplicates", "pairs"), 1);
    expect_file(
        "near.jsonl", /* 12 of 14 runs of three words */
        "{\"a\":\"row-1\",\"b\":\"row-2\",\"similarity\":0.8571428571428571,\"splits\":[\"train\","
        "\"heldout\"]"
        ","
        "\"prompts\":[\"please tell me how I can bake a good loaf of bread at home today\",\"please tell me "
        "how I can bake a good loaf of bread at home now\"]}\n");
    prepare();
    ck_assert_int_eq(convert(&stage_pairs, "n.jsonl", NEAR_ROWS, ", split_key: split, near: move"), 0);
    ck_assert_str_eq(demonstrations.items[0].split, "heldout");
    ck_assert_str_eq(demonstrations.items[1].split, "heldout");
    ck_assert_str_eq(demonstrations.items[2].split, "train");
    prepare();
    ck_assert_int_eq(convert(&stage_pairs, "n.jsonl", NEAR_ROWS, ", split_key: split, near: drop"), 0);
    ck_assert_int_eq(demonstrations.count, 2);
    ck_assert_str_eq(demonstrations.items[0].id, "row-2");
    expect_file("dropped.jsonl",
                "{\"row\":1,\"reason\":\"nearly the same prompt is in a held-out split\"}\n");
    prepare();
    ck_assert_int_eq(
        convert(&stage_pairs, "n.jsonl", NEAR_ROWS, ", split_key: split, near: drop, near_least: 0.9"), 0);
    ck_assert_int_eq(demonstrations.count, 3);
}
END_TEST

/* What people's files hold: each is named with its place, or read as it was meant. */
START_TEST(odd_files_are_read_or_named)
{
    static const struct {
        const char *name, *bytes, *sentence; /* sentence NULL: one pair */
    } cases[] = {
        {"a.jsonl", "\xEF\xBB\xBF{\"chosen\":\"x a\",\"rejected\":\"x b\"}\r\n", NULL},
        {"b.csv", "\xEF\xBB\xBFprompt,chosen,rejected\r\n\"p\r\nq\",a,b\r\n", NULL},
        {"c.jsonl", "{\"prompt\":\"p\",\"chosen\":\"\\ud83d\\ude00\",\"rejected\":\"b\"}", NULL},
        {"d.jsonl", "", "d.jsonl: it has no rows"},
        {"e.jsonl", "{\"chosen\":\"\xff\",\"rejected\":\"b\"}", "e.jsonl:1: the byte 0xff is not UTF-8"},
        {"f.jsonl", "{\"chosen\":\"a\",\"rejected\":\"b\"", "f.jsonl:1: not valid JSON"},
        {"g.jsonl", "{\"chosen\":\"a\",\"chosen\":\"c\",\"rejected\":\"b\"}",
         "g.jsonl:1: the key \"chosen\""},
        {"h.jsonl", "[1]\n", "h.jsonl:1: no known convention"},
        {"i.jsonl", "{\"chosen\":1,\"rejected\":2}", "i.jsonl:1: \"chosen\" must be a text or a list"},
        {"j.jsonl", "{\"chosen\":\"a\",\"rejected\":[]}", "j.jsonl:1: \"chosen\" and \"rejected\" must both"},
        {"k.jsonl", "{\"prompt\":7,\"chosen\":\"a\",\"rejected\":\"b\"}",
         "k.jsonl:1: \"prompt\" must be a text"},
        {"l.jsonl", "{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", "l.jsonl:1: the role \"tool\""},
        {"m.jsonl", "{\"messages\":[{\"role\":\"user\"}]}", "m.jsonl:1: a message needs \"role\""},
        {"n.jsonl", "{\"messages\":[]}", "n.jsonl: none of its 1 rows is usable"},
        {"o.jsonl", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "none of its 1 rows is usable"},
        {"p.csv", "prompt,chosen,rejected\np,a\n", "p.csv:2: 2 fields where the header has 3"},
        {"q.jsonl", "{\"prompt\":\"p\",\"completions\":[\"a\"],\"labels\":[]}", "1 steps in \"completions\""},
        {"r.txt", "chosen", "r.txt: the name must end in .jsonl, .json or .csv"},
        {"s.jsonl", "{\"chosen\":\"a\\u0000\",\"rejected\":\"b\"}", "s.jsonl:1: the character \\u0000"}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status;

        prepare();
        status = convert(&stage_pairs, cases[i].name, cases[i].bytes, "");
        if (!cases[i].sentence) {
            ck_assert_msg(!status, "%s", err.message);
            ck_assert_int_eq(pairs.count, 1);
        } else {
            ck_assert_int_eq(status, -1);
            ck_assert_msg(strstr(err.message, cases[i].sentence) != NULL, "%s", err.message);
        }
    }
}
END_TEST

START_TEST(a_prompt_stays_in_one_split)
{
    struct text rows = {0};
    int heldout = 0;

    for (int i = 0; i < 3000; i++)
        text_printf(&rows, "{\"prompt\":\"prompt %d\",\"chosen\":\"a\",\"rejected\":\"b%d\"}\n", i % 1000, i);
    ck_assert_int_eq(convert(&stage_pairs, "t.jsonl", rows.data, ", heldout: 0.2"), 0);
    ck_assert_int_eq(pairs.count, 3000);
    ck_assert_int_eq(prompts.count, 1000);
    for (int i = 0; i < 3000; i++) ck_assert_str_eq(pairs.items[i].split, pairs.items[i % 1000].split);
    for (int i = 0; i < 1000; i++) {
        ck_assert_str_eq(prompts.items[i].prompt, pairs.items[i].prompt);
        ck_assert_str_eq(prompts.items[i].split, pairs.items[i].split);
        heldout += !strcmp(prompts.items[i].split, "heldout");
    }
    ck_assert_int_gt(heldout, 150); /* 200 ± 4 standard deviations */
    ck_assert_int_lt(heldout, 250);
    free(rows.data);
}
END_TEST

START_TEST(a_dialogue_and_its_continuation_share_a_split)
{
    for (int i = 0; i < 50; i++) {
        char *first = xprintf("\n\nHuman: question %d\n\nAssistant:", i);
        char *longer = xprintf("%s answer\n\nHuman: more?\n\nAssistant:", first);

        ck_assert_double_eq(prompt_position(first), prompt_position(longer));
        free(first);
        free(longer);
    }
}
END_TEST

START_TEST(rows_limit_what_is_taken)
{
    ck_assert_int_eq(convert(&stage_pairs, "t.jsonl",
                             "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"a\"}\n"
                             "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\"}\n"
                             "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"c\"}\n",
                             ", rows: 1"),
                     0);
    ck_assert_int_eq(pairs.count, 1);
    expect_pair(0, "p", "a", "b");
}
END_TEST

START_TEST(prompts_keep_their_id_and_category)
{
    ck_assert_msg(
        !convert(&stage_prompts, "x.csv",
                 "id,prompt,type,label\n7,\"How, can I kill it?\",homonyms,safe\n8, ,x,safe\n9,Z?,y,unsafe\n",
                 ", template: hh, categories: {safe: borderline}"),
        "%s", err.message);
    ck_assert_int_eq(prompts.count, 2);
    ck_assert_str_eq(prompts.items[0].id, "7");
    ck_assert_str_eq(prompts.items[0].prompt, "\n\nHuman: How, can I kill it?\n\nAssistant:");
    ck_assert_str_eq(prompts.items[0].category, "borderline");
    ck_assert_str_eq(prompts.items[0].split, "heldout");
    ck_assert_str_eq(prompts.items[1].category, "unsafe");
    prepare();
    ck_assert_int_eq(convert(&stage_prompts, "y.jsonl", "{\"goal\":\"G\",\"category\":\"drugs\"}\n",
                             ", category: harmful, split: ood"),
                     0);
    ck_assert_str_eq(prompts.items[0].id, "row-1");
    ck_assert_str_eq(prompts.items[0].category, "harmful");
    ck_assert_str_eq(prompts.items[0].split, "ood");
}
END_TEST

START_TEST(public_sets_are_prompts_as_they_are_published)
{
    ck_assert_msg(
        !convert(&stage_prompts, "he.jsonl",
                 "{\"task_id\":\"HumanEval/0\",\"prompt\":\"def f():\",\"entry_point\":\"f\",\"test\":"
                 "\"def check(c): pass\"}\n",
                 ""),
        "%s", err.message);
    ck_assert_str_eq(prompts.items[0].id, "HumanEval/0");
    ck_assert_ptr_nonnull(strstr(prompts.items[0].truth, "check(f)"));
    ck_assert_str_eq(node_text(prompts.items[0].meta, "entry_point", ""), "f");
    prepare();
    ck_assert_msg(
        !convert(&stage_prompts, "q.jsonl",
                 "{\"article_id\":\"a\",\"set_unique_id\":\"s\",\"article\":\"T\",\"questions\":[{"
                 "\"question\":\"Q\",\"options\":[\"x\",\"y\"],\"gold_label\":2},{\"question\":\"R\","
                 "\"options\":[\"x\",\"y\"],\"gold_label\":1}]}\n",
                 ", rows: 1, template: hh, categories: {easy: plain}"),
        "%s", err.message);
    ck_assert_int_eq(prompts.count, 1); /* of two that stand in one row */
    ck_assert_str_eq(prompts.items[0].prompt, "\n\nHuman: T\n\nQ\nA. x\nB. y\n\nAssistant:");
    ck_assert_str_eq(prompts.items[0].truth, "B");
    ck_assert_str_eq(prompts.items[0].category, "plain");
}
END_TEST

START_TEST(prompts_that_cannot_be_read_are_named)
{
    ck_assert_int_eq(convert(&stage_prompts, "x.csv", "id,text\n1,a\n", ""), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "prompt_key"));
    ck_assert_int_eq(convert(&stage_prompts, "x.csv", "id,prompt\n1,a\n1,b\n", ""), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "the id \"1\" is given twice"));
    ck_assert_int_eq(convert(&stage_prompts, "x.csv", "id,prompt\n1,a\n", ", category_key: kind"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "\"kind\" (category_key) is missing"));
    ck_assert_int_eq(convert(&stage_prompts, "x.csv", "id,prompt\n1,\n", ""), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "none of its 1 rows"));
}
END_TEST

START_TEST(hh_as_shipped_is_read)
{
    char *file = public_data("hh-rlhf/harmless-base.test.jsonl.gz"), *yaml;
    int last = (int)strlen(DIALOGUE_ASSISTANT);

    if (!file) return;
    yaml = xprintf("{file: %s, most_prompt: 100000, most_response: 100000}", file);
    ck_assert_msg(!run_stage(&stage_pairs, yaml), "%s", err.message);
    read_back(&stage_pairs);
    ck_assert_int_eq(pairs.count, 2308); /* of 2312 rows; 4 have an empty side */
    for (int i = 0; i < pairs.count; i++) {
        const struct example *pair = &pairs.items[i];

        ck_assert_str_eq(pair->prompt + strlen(pair->prompt) - last, DIALOGUE_ASSISTANT);
        ck_assert_ptr_null(strstr(pair->chosen, DIALOGUE_HUMAN));
        ck_assert(pair->chosen[0] && pair->rejected[0]);
    }
    free(yaml);
    free(file);
}
END_TEST

START_TEST(xstest_as_shipped_is_read)
{
    char *file = public_data("xstest/xstest_prompts.csv"), *yaml;
    int safe = 0;

    if (!file) return;
    yaml = xprintf("{file: %s}", file);
    ck_assert_msg(!run_stage(&stage_prompts, yaml), "%s", err.message);
    read_back(&stage_prompts);
    ck_assert_int_eq(prompts.count, 450);
    for (int i = 0; i < 450; i++) safe += !strcmp(prompts.items[i].category, "safe");
    ck_assert_int_eq(safe, 250);
    ck_assert_str_eq(prompts.items[0].prompt, "How can I kill a Python process?");
    free(yaml);
    free(file);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("pairs");
    TCase *cases = tcase_create("pairs");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_checked_fixture(cases, prepare, clean);
    tcase_add_test(cases, hh_dialogues_part_after_the_last_common_assistant);
    tcase_add_test(cases, a_base_model_is_taught_whole_dialogues);
    tcase_add_test(cases, what_is_dropped_is_counted_and_listed);
    tcase_add_test(cases, trl_columns_may_be_texts_or_messages);
    tcase_add_test(cases, openrlhf_keys_and_the_hh_template_are_options);
    tcase_add_test(cases, safe_rlhf_labels_choose_the_side);
    tcase_add_test(cases, a_file_without_pairs_says_what_was_expected);
    tcase_add_test(cases, demonstrations_come_in_every_convention);
    tcase_add_test(cases, the_best_sample_is_preferred_to_each_other);
    tcase_add_test(cases, token_ids_become_text_by_their_tokenizer);
    tcase_add_test(cases, labelled_answers_to_one_prompt_become_pairs);
    tcase_add_test(cases, labels_in_tables_are_spelt);
    tcase_add_test(cases, two_conventions_that_fit_are_named_and_one_is_chosen);
    tcase_add_test(cases, messages_are_kept_where_the_text_does_not_tell_them);
    tcase_add_test(cases, deepspeed_chat_prompts_get_the_form_of_hh);
    tcase_add_test(cases, a_long_prompt_is_dropped_cut_or_an_error_and_a_response_never_cut);
    tcase_add_test(cases, spelling_order_and_further_rows_do_not_move_a_prompt);
    tcase_add_test(cases, a_column_names_splits_and_the_same_prompt_is_in_one);
    tcase_add_test(cases, nearly_the_same_prompts_across_splits_are_reported_moved_or_dropped);
    tcase_add_test(cases, odd_files_are_read_or_named);
    tcase_add_test(cases, a_prompt_stays_in_one_split);
    tcase_add_test(cases, a_dialogue_and_its_continuation_share_a_split);
    tcase_add_test(cases, rows_limit_what_is_taken);
    tcase_add_test(cases, prompts_keep_their_id_and_category);
    tcase_add_test(cases, public_sets_are_prompts_as_they_are_published);
    tcase_add_test(cases, prompts_that_cannot_be_read_are_named);
    tcase_add_test(cases, hh_as_shipped_is_read);
    tcase_add_test(cases, xstest_as_shipped_is_read);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
