/* Conversations are rendered as the families' templates render them in Jinja; what is learned of them is what
 * the assistant writes and its end; what is not known is refused, and can be described. */
#include "models/chat.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/document.h"
#include "harness/file.h"
#include "harness/memory.h"
#include "models/dataset.h"

enum { TURNS_MOST = 8 };

static struct error err;

static char *fixture(const char *name) {
    const char *source = getenv("srcdir");

    return xprintf("%s/tests/fixtures/%s", source ? source : ".", name);
}

static struct node *read_chats(void) {
    char *path = fixture("chats.json");
    struct node *chats = document_read(path, &err);

    ck_assert_msg(chats != NULL, "%s", err.message);
    free(path);
    return chats;
}

static struct tokenizer *load(const char *family) {
    char *name = xprintf("tokenizers/%s.json", family), *path = fixture(name);
    struct tokenizer *tokenizer;

    ck_assert_msg(tokenizer_load(&tokenizer, path, &err) == 0, "%s", err.message);
    free(path);
    free(name);
    return tokenizer;
}

static int read_turns(const struct node *conversation, struct turn *turns) {
    int count = 0;

    for (const struct node *turn = conversation->first; turn; turn = turn->next)
        turns[count++] = (struct turn){node_text(turn, "role", ""), node_text(turn, "content", "")};
    return count;
}

/* expected: a text, or null where the template raises an error. */
static void check_rendering(const struct chat *chat, const struct node *conversation, enum chat_end end,
                            const struct node *expected, const char *name) {
    struct turn turns[TURNS_MOST];
    int count = read_turns(conversation, turns);
    struct rendering got = {0};
    int status = chat_render(chat, turns, count, end, &got, &err);

    ck_assert_msg((status == 0) == (expected->kind == NODE_STRING), "%s: \"%s\" is rendered: %d, %s", name,
                  turns[0].content, status == 0, err.message);
    if (status == 0)
        ck_assert_msg(!strcmp(got.text.data, expected->text), "%s: \"%s\", not \"%s\"", name, got.text.data,
                      expected->text);
    rendering_free(&got);
}

static void check_template(const struct node *chats, const struct node *template) {
    const struct node *conversation = node_get(chats, "conversations")->first;
    const char *name = node_text(template, "name", "");
    struct chat chat;

    ck_assert_msg(chat_recognize(&chat, node_text(template, "template", ""), &err) == 0, "%s: %s", name,
                  err.message);
    ck_assert_str_eq(chat.format.name, node_text(template, "format", ""));
    chat.begin_text = xstrdup("<s>");
    chat.end_text = xstrdup("</s>");
    for (const struct node *texts = node_get(template, "texts")->first; texts; texts = texts->next) {
        check_rendering(&chat, conversation, CHAT_CLOSED, texts->first, name);
        check_rendering(&chat, conversation, CHAT_ASK, texts->last, name);
        conversation = conversation->next;
    }
    chat_free(&chat);
}

START_TEST(renderings_are_those_of_jinja)
{
    struct node *chats = read_chats();
    int count = 0;

    for (const struct node *template = node_get(chats, "templates")->first; template;
         template = template->next) {
        check_template(chats, template);
        count++;
    }
    ck_assert_int_eq(count, 12);
    node_free(chats);
}
END_TEST

START_TEST(templates_that_are_not_known_are_refused_with_a_remedy)
{
    struct node *chats = read_chats();
    struct chat chat;

    for (const struct node *one = node_get(chats, "unknown")->first; one; one = one->next) {
        ck_assert_msg(chat_recognize(&chat, node_text(one, "template", ""), &err) == -1, "%s",
                      node_text(one, "name", ""));
        ck_assert_msg(strstr(err.message, "chat.yaml") && strstr(err.message, "chatml"), "%s", err.message);
        chat_free(&chat);
    }
    node_free(chats);
}
END_TEST

static void expect_stretch(const struct rendering *rendering, struct stretch stretch, const char *expected) {
    ck_assert_uint_eq(stretch.end - stretch.begin, strlen(expected));
    ck_assert_int_eq(memcmp(rendering->text.data + stretch.begin, expected, strlen(expected)), 0);
}

static const struct turn two_turns[] = {{"user", " Why? "}, {"assistant", "Because. "}};

static void check_learned(const char *format, enum chat_end end, const char *content, const char *learned) {
    struct rendering rendering = {0};
    struct chat chat;

    ck_assert_int_eq(chat_named(&chat, format, &err), 0);
    chat.end_text = xstrdup("</s>");
    ck_assert_msg(chat_render(&chat, two_turns, 2, end, &rendering, &err) == 0, "%s", err.message);
    expect_stretch(&rendering, rendering.contents[1], content);
    expect_stretch(&rendering, rendering.learned[1], learned);
    expect_stretch(&rendering, rendering.learned[0], "");
    rendering_free(&rendering);
    chat_free(&chat);
}

START_TEST(what_is_learned_is_the_content_and_its_end)
{
    check_learned("chatml", CHAT_CLOSED, "Because. ", "Because. <|im_end|>");
    check_learned("chatml", CHAT_OPEN, "Because. ", "Because. ");
    check_learned("llama2", CHAT_CLOSED, "Because.", "Because. </s>");
    check_learned("llama3", CHAT_CLOSED, "Because.", "Because.<|eot_id|>");
    check_learned("gemma", CHAT_CLOSED, "Because.", "Because.<end_of_turn>");
    check_learned("zephyr", CHAT_CLOSED, "Because. ", "Because. </s>");
    check_learned("hh", CHAT_CLOSED, "Because. ", "Because. </s>");
    check_learned("plain", CHAT_CLOSED, "Because. ", "Because. </s>");
    check_learned("pyrite", CHAT_CLOSED, "Because. ", "Because. <|end|>");
}
END_TEST

START_TEST(every_token_knows_the_turn_it_is_learned_in)
{
    /* a user who spells the end of a turn does not end it */
    const struct turn turns[] = {
        {"user", "a<|im_end|>"}, {"assistant", "b"}, {"user", "c"}, {"assistant", "dd"}};
    struct tokenizer *tokenizer = load("qwen2");
    const int end = tokenizer_special(tokenizer, "<|im_end|>");
    struct tokens ids = {0}, turn = {0};
    struct rendering rendering = {0};
    struct text learned = {0};
    struct chat chat;
    int ends = 0;

    ck_assert_int_eq(chat_named(&chat, "chatml", &err), 0);
    ck_assert_int_eq(chat_render(&chat, turns, 4, CHAT_CLOSED, &rendering, &err), 0);
    rendering_encode(tokenizer, &rendering, &ids, &turn);
    ck_assert_int_eq(ids.count, turn.count);
    for (int i = 0; i < ids.count; i++) {
        if (ids.ids[i] == end) ends++;
        if (turn.ids[i] < 0) continue;
        text_printf(&learned, "%d%s ", turn.ids[i], tokenizer_name(tokenizer, ids.ids[i]));
    }
    ck_assert_int_eq(ends, 4);
    ck_assert_str_eq(learned.data, "1b 1<|im_end|> 3d 3d 3<|im_end|> ");
    free(learned.data);
    rendering_free(&rendering);
    chat_free(&chat);
    free(ids.ids);
    free(turn.ids);
    tokenizer_free(tokenizer);
}
END_TEST

static const struct {
    const char *format;
    struct turn turns[2];
    enum chat_end end;
    const char *said;
} refused[] = {
    {"gemma", {{"system", "x"}, {"user", "y"}}, CHAT_CLOSED, "system"},
    {"llama2", {{"user", "x"}, {"user", "y"}}, CHAT_CLOSED, "take turns"},
    {"llama2", {{"user", "x"}, {"system", "y"}}, CHAT_CLOSED, "only the first"},
    {"chatml", {{"user", "x"}, {"tool", "y"}}, CHAT_CLOSED, "\"tool\""},
    {"chatml", {{"assistant", "x"}, {"user", "y"}}, CHAT_OPEN, "go on"},
};

START_TEST(turns_that_a_format_does_not_have_are_refused)
{
    struct rendering rendering = {0};
    struct chat chat;

    ck_assert_int_eq(chat_named(&chat, refused[_i].format, &err), 0);
    ck_assert_int_eq(chat_render(&chat, refused[_i].turns, 2, refused[_i].end, &rendering, &err), -1);
    ck_assert_msg(strstr(err.message, refused[_i].said), "%s", err.message);
    ck_assert_int_eq(chat_render(&chat, refused[_i].turns, 0, CHAT_CLOSED, &rendering, &err), -1);
    rendering_free(&rendering);
    chat_free(&chat);
}
END_TEST

/* A folder with a tokenizer, a template and perhaps chat.yaml; the test's own, in the current one. */
struct checkpoint {
    char path[32];
};

static void put(const struct checkpoint *in, const char *name, const char *text) {
    char *path = path_join(in->path, name);

    ck_assert_msg(file_write(path, text, strlen(text), &err) == 0, "%s", err.message);
    free(path);
}

static struct checkpoint make_checkpoint(const char *family, const char *config) {
    struct checkpoint made = {"checkpoint-XXXXXX"};
    char *name = xprintf("tokenizers/%s.json", family), *path = fixture(name), *text;

    ck_assert_ptr_nonnull(mkdtemp(made.path));
    text = file_read(path, NULL, &err);
    put(&made, "tokenizer.json", text);
    if (config) put(&made, "tokenizer_config.json", config);
    free(text);
    free(path);
    free(name);
    return made;
}

static void expect_prompt(const struct tokenizer *tokenizer, const char *expected) {
    const struct chat *chat = tokenizer_chat(tokenizer, &err);
    const struct turn turn = {"user", "x"};
    struct rendering rendering = {0};

    ck_assert_msg(chat != NULL, "%s", err.message);
    ck_assert_int_eq(chat_render(chat, &turn, 1, CHAT_ASK, &rendering, &err), 0);
    ck_assert_str_eq(rendering.text.data, expected);
    rendering_free(&rendering);
}

#define UNKNOWN_TEMPLATE "{\"chat_template\": \"{{ messages }}\", \"eos_token\": \"<|im_end|>\"}"

START_TEST(an_unknown_template_can_be_overridden)
{
    struct checkpoint folder = make_checkpoint("qwen2", UNKNOWN_TEMPLATE);
    struct tokenizer *tokenizer;

    ck_assert_msg(tokenizer_open(&tokenizer, folder.path, &err) == 0, "%s", err.message);
    ck_assert_ptr_null(tokenizer_chat(tokenizer, &err));
    ck_assert_msg(strstr(err.message, folder.path) && strstr(err.message, "chat.yaml"), "%s", err.message);
    tokenizer_free(tokenizer);

    put(&folder, "chat.yaml", "chatml\n");
    ck_assert_int_eq(tokenizer_open(&tokenizer, folder.path, &err), 0);
    expect_prompt(tokenizer, "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n");
    tokenizer_free(tokenizer);

    put(&folder, "chat.yaml", "format: chatml\nbegin: \"{eos}\"\ntrim: true\nuser_before: \"U: \"\n");
    ck_assert_int_eq(tokenizer_open(&tokenizer, folder.path, &err), 0);
    expect_prompt(tokenizer, "<|im_end|>U: x<|im_end|>\n<|im_start|>assistant\n");
    tokenizer_free(tokenizer);
    ck_assert_int_eq(folder_remove(folder.path, &err), 0);
}
END_TEST

static const struct {
    const char *description, *said;
} misdescribed[] = {
    {"nobody\n", "nobody"},
    {"format: nobody\n", "nobody"},
    {"user_before: x\n", "stop"},
    {"stop: x\nuser_befor: y\n", "user_befor"},
    {"stop: x\ntrim: perhaps\n", "trim"},
    {"stop: [x]\n", "stop"},
    {"[x]\n", "map"},
};

START_TEST(a_wrong_description_is_refused_by_name)
{
    struct checkpoint folder = make_checkpoint("qwen2", NULL);
    struct tokenizer *tokenizer;

    put(&folder, "chat.yaml", misdescribed[_i].description);
    ck_assert_int_eq(tokenizer_open(&tokenizer, folder.path, &err), 0);
    ck_assert_ptr_null(tokenizer_chat(tokenizer, &err));
    ck_assert_msg(strstr(err.message, misdescribed[_i].said) && strstr(err.message, "chat.yaml"), "%s",
                  err.message);
    tokenizer_free(tokenizer);
    ck_assert_int_eq(folder_remove(folder.path, &err), 0);
}
END_TEST

START_TEST(a_token_that_ends_turns_must_be_there)
{
    struct checkpoint folder = make_checkpoint("gpt2", "{}");
    struct tokenizer *tokenizer;

    ck_assert_int_eq(tokenizer_open(&tokenizer, folder.path, &err), 0);
    ck_assert_ptr_null(tokenizer_chat(tokenizer, &err));
    ck_assert_msg(strstr(err.message, "eos_token"), "%s", err.message);
    tokenizer_set_roles(tokenizer, -1, tokenizer_special(tokenizer, "<|endoftext|>"));
    expect_prompt(tokenizer, "x");
    ck_assert_int_eq(tokenizer_end(tokenizer), tokenizer_special(tokenizer, "<|endoftext|>"));
    tokenizer_free(tokenizer);
    ck_assert_int_eq(folder_remove(folder.path, &err), 0);
}
END_TEST

START_TEST(the_default_of_several_templates_is_taken_and_a_file_goes_first)
{
    struct checkpoint folder = make_checkpoint(
        "llama2",
        "{\"eos_token\": {\"content\": \"</s>\"}, \"bos_token\": \"<s>\", \"chat_template\": [{\"name\": "
        "\"rag\", \"template\": \"x\"}, {\"name\": \"default\", \"template\": \"<|user|> <|assistant|>\\\\n "
        "eos_token\"}]}");
    struct tokenizer *tokenizer;

    ck_assert_int_eq(tokenizer_open(&tokenizer, folder.path, &err), 0);
    expect_prompt(tokenizer, "<|user|>\nx</s>\n<|assistant|>\n");
    tokenizer_free(tokenizer);
    put(&folder, "chat_template.jinja", "[INST] <<SYS>> strip()");
    ck_assert_int_eq(tokenizer_open(&tokenizer, folder.path, &err), 0);
    expect_prompt(tokenizer, "<s>[INST] x [/INST]");
    tokenizer_free(tokenizer);
    ck_assert_int_eq(folder_remove(folder.path, &err), 0);
}
END_TEST

static void open_with(struct tokenizer **out, const char *family, const char *config, const char *format) {
    struct checkpoint folder = make_checkpoint(family, config);

    put(&folder, "chat.yaml", format);
    ck_assert_msg(tokenizer_open(out, folder.path, &err) == 0, "%s", err.message);
    ck_assert_msg(tokenizer_chat(*out, &err) != NULL, "%s", err.message);
    ck_assert_int_eq(folder_remove(folder.path, &err), 0);
}

static const struct {
    const char *family, *config, *format;
} spoken[] = {
    {"qwen2", "{\"eos_token\": \"<|im_end|>\"}", "chatml"},
    {"llama2", "{\"eos_token\": \"</s>\", \"bos_token\": \"<s>\"}", "llama2"},
    {"llama2", "{\"eos_token\": \"</s>\", \"bos_token\": \"<s>\"}", "zephyr"},
    {"mistral", "{\"eos_token\": \"</s>\", \"bos_token\": \"<s>\"}", "hh"},
    {"gpt2", "{\"eos_token\": \"<|endoftext|>\"}", "hh"},
    {"gemma", "{\"eos_token\": \"<eos>\", \"bos_token\": \"<bos>\"}", "gemma"},
    {"llama3", "{\"bos_token\": \"<|begin_of_text|>\"}", "llama3"},
};

/* A prompt's ids and a response's, one after the other, are those of the conversation up to what is learned.
 */
START_TEST(prompt_and_response_are_the_whole)
{
    const struct turn turns[] = {{"user", "the policy's 12 rewards?"}, {"assistant", "refuse the answer"}};
    struct tokens parts = {0}, whole = {0}, turn = {0};
    struct rendering rendering = {0};
    struct tokenizer *tokenizer;
    int learned = 0, prompt;

    open_with(&tokenizer, spoken[_i].family, spoken[_i].config, spoken[_i].format);
    prompt_encode(tokenizer, turns[0].content, &parts);
    prompt = parts.count;
    response_encode(tokenizer, turns[1].content, 1, &parts);
    ck_assert_int_eq(chat_render(tokenizer_chat(tokenizer, &err), turns, 2, CHAT_CLOSED, &rendering, &err),
                     0);
    rendering_encode(tokenizer, &rendering, &whole, &turn);
    ck_assert_int_le(parts.count, whole.count);
    for (int i = 0; i < parts.count; i++) ck_assert_int_eq(parts.ids[i], whole.ids[i]);
    for (int i = 0; i < whole.count; i++) learned += turn.ids[i] == 1;
    ck_assert_int_le(learned, parts.count - prompt);
    ck_assert_int_ge(learned, parts.count - prompt - 1); /* a lone space is not learned but written */
    ck_assert_int_eq(parts.ids[parts.count - 1], tokenizer_end(tokenizer));

    parts.count = 0;
    response_encode(tokenizer, turns[1].content, 0, &parts);
    ck_assert_int_ne(parts.ids[parts.count - 1], tokenizer_end(tokenizer));
    free(parts.ids);
    free(whole.ids);
    free(turn.ids);
    rendering_free(&rendering);
    tokenizer_free(tokenizer);
}
END_TEST

/* In plain text the last word of the prompt and the first of the response do not become one. */
START_TEST(a_response_is_encoded_apart_where_a_token_would_cross_into_it)
{
    struct tokens response = {0}, alone = {0};
    struct tokenizer *tokenizer;

    open_with(&tokenizer, "gpt2", "{\"eos_token\": \"<|endoftext|>\"}", "plain");
    response_encode(tokenizer, "policy", 0, &response);
    tokenizer_encode(tokenizer, "policy", 6, &alone);
    ck_assert_int_eq(response.count, alone.count);
    for (int i = 0; i < alone.count; i++) ck_assert_int_eq(response.ids[i], alone.ids[i]);
    free(response.ids);
    free(alone.ids);
    tokenizer_free(tokenizer);
}
END_TEST

/* What a prompt's marked tokens say. */
static void expect_marked(const struct tokenizer *tokenizer, const char *prompt, const char *expected) {
    struct tokens ids = {0}, marked = {0};
    unsigned char *marks;
    char *text;

    prompt_encode(tokenizer, prompt, &ids);
    marks = xcalloc((size_t)ids.count, 1);
    prompt_mark(tokenizer, prompt, marks, ids.count);
    for (int i = 0; i < ids.count; i++)
        if (marks[i]) tokens_add(&marked, ids.ids[i]);
    text = tokenizer_decode(tokenizer, marked.ids, marked.count, NULL);
    ck_assert_str_eq(text, expected);
    free(text);
    free(marks);
    free(marked.ids);
    free(ids.ids);
}

/* A dialogue in HH's form gets the format's marks, turn by turn; a format without a system turn hears it from
   the user. */
START_TEST(dialogues_are_rendered_turn_by_turn)
{
    static const char prompt[] =
        "Be kind.\n\nHuman: the policy?\n\nAssistant: refuse it\n\nHuman: why?\n\nAssistant:";
    static const struct turn apart[] = {
        {"system", "Be kind."}, {"user", "the policy?"}, {"assistant", "refuse it"}, {"user", "why?"}};
    static const struct turn joined[] = {
        {"user", "Be kind.\n\nthe policy?"}, {"assistant", "refuse it"}, {"user", "why?"}};
    struct tokens got = {0}, whole = {0};
    struct rendering rendering = {0};
    struct tokenizer *tokenizer;
    const struct chat *chat;

    open_with(&tokenizer, spoken[_i].family, spoken[_i].config, spoken[_i].format);
    chat = tokenizer_chat(tokenizer, &err);
    ck_assert_int_eq(chat_render(chat, chat->format.no_system ? joined : apart,
                                 chat->format.no_system ? 3 : 4, CHAT_ASK, &rendering, &err),
                     0);
    rendering_encode_from(tokenizer, &rendering, 0, &whole);
    prompt_encode(tokenizer, prompt, &got);
    ck_assert_int_eq(got.count, whole.count);
    for (int i = 0; i < got.count; i++) ck_assert_int_eq(got.ids[i], whole.ids[i]);
    free(got.ids);
    free(whole.ids);
    rendering_free(&rendering);
    tokenizer_free(tokenizer);
}
END_TEST

START_TEST(what_assistants_wrote_in_a_prompt_is_marked)
{
    static const char prompt[] =
        "\n\nHuman: the policy?\n\nAssistant: refuse it\n\nHuman: why?\n\nAssistant:";
    struct tokenizer *tokenizer;

    open_with(&tokenizer, "qwen2", "{}", "chatml");
    expect_marked(tokenizer, prompt, "refuse it"); /* and its end, which is no text */
    expect_marked(tokenizer, "no dialogue", "");
    tokenizer_free(tokenizer);
    open_with(&tokenizer, "gpt2", "{\"eos_token\": \"<|endoftext|>\"}", "plain");
    expect_marked(tokenizer, prompt, " refuse it");
    expect_marked(tokenizer, "no dialogue", "");
    tokenizer_free(tokenizer);
}
END_TEST

START_TEST(what_is_stored_is_opened_alike)
{
    struct checkpoint folder = make_checkpoint("qwen2", UNKNOWN_TEMPLATE), again = {"checkpoint-XXXXXX"};
    struct tokenizer *tokenizer;

    ck_assert_ptr_nonnull(mkdtemp(again.path));
    put(&folder, "chat.yaml", "format: chatml\nuser_before: \"U\\n\"\n");
    ck_assert_int_eq(tokenizer_open(&tokenizer, folder.path, &err), 0);
    ck_assert_msg(tokenizer_store(tokenizer, again.path, &err) == 0, "%s", err.message);
    tokenizer_free(tokenizer);
    ck_assert_msg(tokenizer_open(&tokenizer, again.path, &err) == 0, "%s", err.message);
    expect_prompt(tokenizer, "U\nx<|im_end|>\n<|im_start|>assistant\n");
    ck_assert_int_eq(tokenizer_end(tokenizer), tokenizer_special(tokenizer, "<|im_end|>"));
    tokenizer_free(tokenizer);
    ck_assert_int_eq(folder_remove(folder.path, &err), 0);
    ck_assert_int_eq(folder_remove(again.path, &err), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("chat");
    TCase *tests = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tests, renderings_are_those_of_jinja);
    tcase_add_test(tests, templates_that_are_not_known_are_refused_with_a_remedy);
    tcase_add_test(tests, what_is_learned_is_the_content_and_its_end);
    tcase_add_test(tests, every_token_knows_the_turn_it_is_learned_in);
    tcase_add_loop_test(tests, turns_that_a_format_does_not_have_are_refused, 0,
                        (int)(sizeof refused / sizeof *refused));
    tcase_add_test(tests, an_unknown_template_can_be_overridden);
    tcase_add_loop_test(tests, a_wrong_description_is_refused_by_name, 0,
                        (int)(sizeof misdescribed / sizeof *misdescribed));
    tcase_add_test(tests, a_token_that_ends_turns_must_be_there);
    tcase_add_test(tests, the_default_of_several_templates_is_taken_and_a_file_goes_first);
    tcase_add_loop_test(tests, prompt_and_response_are_the_whole, 0, (int)(sizeof spoken / sizeof *spoken));
    tcase_add_loop_test(tests, dialogues_are_rendered_turn_by_turn, 0, (int)(sizeof spoken / sizeof *spoken));
    tcase_add_test(tests, what_assistants_wrote_in_a_prompt_is_marked);
    tcase_add_test(tests, a_response_is_encoded_apart_where_a_token_would_cross_into_it);
    tcase_add_test(tests, what_is_stored_is_opened_alike);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
