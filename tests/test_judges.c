/* Judges repeat what worlds and rewards say, for an answer in any company. */
#include "judges/judge.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"

#undef fail /* of check.h; ours is a function */

#define FOLDER "test_judges.tmp"

enum { ANSWERS = 30 };

static struct error err;
static struct transcripts transcripts;
static struct verdicts verdicts;
static struct examples questions;
static struct node *account;
static const struct world *world;
static void *dials;

static void clean(void) {
    transcripts_free(&transcripts);
    verdicts_free(&verdicts);
    examples_free(&questions);
    node_free(account);
    account = NULL;
    free(dials);
    dials = NULL;
    world = NULL;
    ck_assert_int_eq(folder_remove(FOLDER, &err), 0);
}

static void use_world(const char *name) {
    world = world_find(name);
    ck_assert_ptr_nonnull(world);
    dials = xcalloc(1, world->dials_size);
    ck_assert_int_eq(options_read(world->options, NULL, NULL, "test", dials, &err), 0);
    for (int i = 0; i < ANSWERS; i++) {
        struct rng rng = rng_stream(1, "test", (uint64_t)i, 0);
        struct transcript *t = transcripts_add(&transcripts);

        t->id = xprintf("t%d", i);
        t->prompt_id = xprintf("p%d", i);
        t->policy = xstrdup("sft");
        t->finish = xstrdup("eos");
        t->prompt = world->prompt(dials, "heldout", &rng);
        t->response = world->demonstrate(dials, t->prompt, &rng);
    }
}

static int judge_by(const char *name, const char *folder, int first, int count) {
    struct run run = {.recipe = "recipe.yaml", .folder = FOLDER, .device = "cpu", .threads = 1};
    struct judge_setup setup = {.run = &run, .world = world, .dials = dials, .folder = folder};
    const struct transcript *list[ANSWERS];
    const struct judge *judge = judge_find(name);
    struct judging *judging = NULL;
    int status;

    ck_assert_ptr_nonnull(judge);
    if (judge->open(&judging, &setup, &err)) return -1;
    for (int i = 0; i < count; i++) list[i] = &transcripts.items[first + i];
    status = judge->judge(judging, list, count, &verdicts, &err);
    judge->close(judging);
    return status;
}

static double score(const char *transcript, const char *what) {
    for (int i = 0; i < verdicts.count; i++) {
        const struct verdict *verdict = &verdicts.items[i];

        if (strcmp(verdict->transcript, transcript) || strcmp(verdict->what, what)) continue;
        ck_assert_int_eq(verdict->outcome, OUTCOME_VERDICT);
        return verdict->score;
    }
    return -1000;
}

/* An answer to question `id`, which is made with the first. */
static void ask(const char *id, const char *truth, const char *response) {
    struct transcript *t = transcripts_add(&transcripts);

    if (!examples_find(&questions, id)) {
        struct example *question = examples_add(&questions);

        question->id = xstrdup(id);
        question->prompt = xprintf("question %s", id);
        question->truth = xstrdup(truth);
    }
    t->id = xprintf("t%d", transcripts.count - 1);
    t->prompt_id = xstrdup(id);
    t->policy = xstrdup("sft");
    t->prompt = xprintf("question %s", id);
    t->response = xstrdup(response);
}

/* Every answer, by a judge with options in YAML. */
static int judge_with(const char *name, const char *yaml) {
    struct run run = {.recipe = "recipe.yaml", .folder = FOLDER, .device = "cpu", .threads = 2};
    struct node *options = document_parse_yaml(yaml, strlen(yaml), "options", &err);
    struct judge_setup setup = {.run = &run, .questions = &questions, .options = options, .where = "options"};
    const struct transcript **list = xmalloc(((size_t)transcripts.count + 1) * sizeof *list);
    const struct judge *judge = judge_find(name);
    struct judging *judging = NULL;
    int status;

    ck_assert_ptr_nonnull(judge);
    ck_assert_ptr_nonnull(options);
    verdicts_free(&verdicts);
    for (int i = 0; i < transcripts.count; i++) list[i] = &transcripts.items[i];
    status = judge->open(&judging, &setup, &err);
    if (!status) {
        status = judge->judge(judging, list, transcripts.count, &verdicts, &err);
        node_free(account);
        account = node_new(NODE_MAP);
        if (judge->account) judge->account(judging, account);
        judge->close(judging);
    }
    free(list);
    node_free(options);
    return status;
}

START_TEST(gold_repeats_the_world)
{
    int refused = 0;

    use_world("safety");
    ck_assert_int_eq(judge_by("gold", NULL, 0, ANSWERS), 0);
    for (int i = 0; i < ANSWERS; i++) {
        const struct transcript *t = &transcripts.items[i];
        struct features features = {0};

        world->inspect(t->prompt, t->response, &features);
        ck_assert_double_eq(score(t->id, "gold"), features.gold);
        ck_assert_double_eq(score(t->id, "refused"), features.refused);
        refused += features.refused;
    }
    ck_assert_int_gt(refused, 0);
    ck_assert_int_lt(refused, ANSWERS);
    ck_assert_double_eq(score("t0", "correct"), -1000); /* no right and wrong here */
    ck_assert_str_eq(verdicts.items[0].judge, "gold");
}
END_TEST

START_TEST(bounded_approves_above_a_half)
{
    int approved = 0;

    use_world("debate");
    ck_assert_int_eq(judge_by("bounded", NULL, 0, ANSWERS), 0);
    ck_assert_int_eq(verdicts.count, 2 * ANSWERS);
    for (int i = 0; i < ANSWERS; i++) {
        const struct transcript *t = &transcripts.items[i];
        double chance = world->approve(dials, t->prompt, t->response);

        ck_assert_double_eq(score(t->id, "approval_probability"), chance);
        ck_assert_double_eq(score(t->id, "approval"), chance > 0.5);
        approved += chance > 0.5;
    }
    ck_assert_int_gt(approved, 0);
    ck_assert_int_lt(approved, ANSWERS);
}
END_TEST

START_TEST(correctness_is_judged_where_there_is_any)
{
    use_world("debate");
    ck_assert_int_eq(judge_by("gold", NULL, 0, ANSWERS), 0);
    for (int i = 0; i < ANSWERS; i++) {
        double correct = score(transcripts.items[i].id, "correct");

        ck_assert(correct == 0 || correct == 1);
        ck_assert_double_eq(correct, score(transcripts.items[i].id, "gold"));
    }
}
END_TEST

/* A gold reward with mean 0.25 and standard deviation 0.5, as its fit would have written. */
START_TEST(a_reward_scores_alike_in_any_company)
{
    const char *facts = "{\"reward\":\"gold\",\"world\":\"safety\",\"mean\":0.25,\"std\":0.5}";
    double together[ANSWERS];

    use_world("safety");
    ck_assert_int_eq(folder_make(FOLDER, &err), 0);
    ck_assert_int_eq(file_write(FOLDER "/reward.json", facts, strlen(facts), &err), 0);
    ck_assert_msg(!judge_by("reward_model", FOLDER, 0, ANSWERS), "%s", err.message);
    ck_assert_int_eq(verdicts.count, ANSWERS);
    for (int i = 0; i < ANSWERS; i++) {
        struct features features = {0};

        world->inspect(transcripts.items[i].prompt, transcripts.items[i].response, &features);
        together[i] = score(transcripts.items[i].id, "reward");
        ck_assert_double_eq_tol(together[i], (features.gold - 0.25) / 0.5, 1e-5);
    }
    ck_assert_int_eq(judge_with("reward_model", "{folder: " FOLDER "}"), 0);
    for (int i = 0; i < ANSWERS; i++)
        ck_assert_double_eq(score(transcripts.items[i].id, "reward"), together[i]);
    verdicts_free(&verdicts);
    for (int i = 0; i < ANSWERS; i++) ck_assert_int_eq(judge_by("reward_model", FOLDER, i, 1), 0);
    for (int i = 0; i < ANSWERS; i++)
        ck_assert_double_eq(score(transcripts.items[i].id, "reward"), together[i]);
}
END_TEST

START_TEST(a_judge_that_lacks_its_means_says_so)
{
    use_world("safety");
    ck_assert_int_eq(judge_by("bounded", NULL, 0, 1), -1);
    ck_assert_str_eq(err.message, "the judge bounded needs a world with an evaluator; safety has none");
    ck_assert_int_eq(judge_by("reward_model", NULL, 0, 1), -1);
    ck_assert_int_eq(judge_by("reward_model", FOLDER "/none", 0, 1), -1);
    world = NULL;
    ck_assert_int_eq(judge_by("gold", NULL, 0, 1), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "needs a world"));
    ck_assert_ptr_null(judge_find("oracle"));
}
END_TEST

/* 1 right, 0 wrong, ? no verdict: of every answer in order. */
static const char *marks(void) {
    static char out[100];

    ck_assert_int_lt(verdicts.count, 100);
    for (int i = 0; i < verdicts.count; i++) {
        const struct verdict *verdict = &verdicts.items[i];

        ck_assert_str_eq(verdict->transcript, transcripts.items[i].id);
        ck_assert(verdict->outcome == OUTCOME_VERDICT || verdict->reason);
        out[i] = verdict->outcome != OUTCOME_VERDICT ? '?' : verdict->score == 1 ? '1' : '0';
    }
    out[verdicts.count] = 0;
    return out;
}

static void expect_marks(const char *judge, const char *yaml, const char *wanted) {
    ck_assert_msg(!judge_with(judge, yaml), "%s", err.message);
    ck_assert_msg(!strcmp(marks(), wanted), "%s %s: %s, expected %s", judge, yaml, marks(), wanted);
}

START_TEST(exact_compares_by_the_rule_that_is_named)
{
    ask("paris", "Paris", "Paris");
    ask("paris", NULL, "  paris.\n");
    ask("paris", NULL, "It is Paris, in France.");
    ask("paris", NULL, "Parisian");
    ask("paris", NULL, "Let me think.\n\nParis\n");
    ask("paris", NULL, "");
    ask("none", NULL, "Paris");
    expect_marks("exact", "{}", "110000?");
    expect_marks("exact", "{keep_case: true}", "100000?");
    expect_marks("exact", "{keep_punctuation: true}", "100000?");
    expect_marks("exact", "{rule: contains}", "111010?");
    expect_marks("exact", "{rule: last_line}", "110010?");
    expect_marks("exact", "{rule: first_line}", "110000?");
    ck_assert_str_eq(verdicts.items[6].reason, "the question has no reference answer");
    ck_assert_str_eq(verdicts.items[0].what, "correct");
    ck_assert_str_eq(verdicts.items[0].judge, "exact");
}
END_TEST

START_TEST(exact_takes_any_of_several_references)
{
    ask("who", "the Beatles; Beatles, The", "Beatles the");
    ask("who", NULL, "The Beatles");
    ask("who", NULL, "beatles");
    ask("list", "[\"one\", \"1\"]", "1");
    ask("list", NULL, "two");
    expect_marks("exact", "{separator: ;}", "11010");
    expect_marks("exact", "{separator: ;, drop_articles: true}", "11110");
    expect_marks("exact", "{}", "00010");
}
END_TEST

START_TEST(exact_reads_the_last_number)
{
    ask("sum", "#### 1,234.50", "First 17, then it is $1,234.5.");
    ask("sum", NULL, "1234.5 or 1235");
    ask("sum", NULL, "-1234.5");
    ask("sum", NULL, "none");
    ask("sum", NULL, "1,23,4.5"); /* no groups of three: the last number is 4.5 */
    ask("zero", "0", "It is 0.");
    ask("word", "many", "3");
    expect_marks("exact", "{rule: number}", "100001?");
    expect_marks("exact", "{rule: number, tolerance: 0.001}", "110001?");
}
END_TEST

/* Meta, in YAML, of the question made last. */
static void add_meta(const char *yaml) {
    questions.items[questions.count - 1].meta = document_parse_yaml(yaml, strlen(yaml), "meta", &err);
    ck_assert_ptr_nonnull(questions.items[questions.count - 1].meta);
}

START_TEST(choice_is_right_where_the_last_statement_is)
{
    ask("list", "B", "The answer is A. No: the answer is B.");
    add_meta("{choices: [red, green, blue]}");
    ask("list", NULL, "green");
    ask("list", NULL, "C");
    ask("list", NULL, "Hard to say.");
    ask("map", "blue", "3");
    add_meta("{options: {A: red, B: green, C: blue}}");
    ask("columns", "2", "(B)");
    add_meta("{A: red, B: green}");
    ask("arc", "1", "B");
    add_meta("{choices: {text: [red, green], label: [A, B]}}");
    ask("odd", "D", "A");
    add_meta("{choices: [red, green]}");
    ask("none", "A", "A");
    ask("text", "2 litres", "green");
    add_meta("{choices: [red, green]}");
    expect_marks("choice", "{}", "110?110???");
    expect_marks("choice", "{first: 0}", "110?1?1???"); /* 2 is beyond two choices; 1 is the second */
    ck_assert_str_eq(verdicts.items[0].reason, "took B of 3");
    ck_assert_str_eq(verdicts.items[3].reason, "the answer takes no choice, or more than one");
    ck_assert_str_eq(verdicts.items[7].reason, "the question's truth is none of its choices");
    ck_assert_str_eq(verdicts.items[8].reason, "the question has no choices");
    ck_assert_str_eq(verdicts.items[9].reason, "the question's truth is none of its choices");
}
END_TEST

/* Pieces that rules look for, in any order: one judgment an answer, and no crash. */
START_TEST(any_answer_gets_its_judgment)
{
    static const char *const pieces[] = {"A",     "(b", ")",  "answer", " is ",     ":",         "1",
                                         "2,345", ".",  "-$", "\n",     "\\boxed{", "red green", "\xff",
                                         "\xe2",  "\"", "'",  "```",    "the",      " "};
    static const char *const settings[][2] = {{"exact", "{}"},
                                              {"exact", "{rule: number}"},
                                              {"exact", "{rule: contains, drop_articles: true}"},
                                              {"choice", "{}"},
                                              {"exact", "{rule: last_line}"},
                                              {"bounded", "{claims: 2, start: anywhere, budget: 2}"}};

    for (int i = 0; i < 500; i++) {
        struct rng rng = rng_stream(1, "pieces", (uint64_t)i, 0);
        struct text text = {0};

        text_add(&text, "", 0);
        for (int n = rng_below(&rng, 12); n > 0; n--) text_printf(&text, "%s", pieces[rng_below(&rng, 20)]);
        ask("q", "1,234", text.data);
        if (!i) add_meta("{choices: [red, green, blue, '1,234'], story: 'red 2,345 the. A'}");
        free(text.data);
    }
    for (int k = 0; k < 6; k++) {
        ck_assert_msg(!judge_with(settings[k][0], settings[k][1]), "%s", err.message);
        ck_assert_int_eq(verdicts.count, k == 5 ? 1000 : 500);
        for (int i = 0; i < verdicts.count; i++)
            ck_assert(verdicts.items[i].outcome != OUTCOME_VERDICT ||
                      (verdicts.items[i].score >= 0 && verdicts.items[i].score <= 1));
    }
}
END_TEST

START_TEST(a_judge_says_what_it_was_not_given)
{
    ask("none", NULL, "x");
    ck_assert_int_eq(judge_with("exact", "{}"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "no question has a reference answer"));
    ck_assert_int_eq(judge_with("choice", "{}"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "no question has choices"));
    ck_assert_int_eq(judge_with("exact", "{ruel: equal}"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "did you mean \"rule\"?"));
}
END_TEST

static double scored(const char *judge, const char *what, int answer) {
    for (int i = 0; i < verdicts.count; i++) {
        const struct verdict *verdict = &verdicts.items[i];

        if (strcmp(verdict->judge, judge) || strcmp(verdict->what, what)) continue;
        if (!strcmp(verdict->transcript, transcripts.items[answer].id))
            return verdict->outcome == OUTCOME_VERDICT ? verdict->score : -1 - (double)verdict->outcome;
    }
    return -1000;
}

enum { UNPARSED = -1 - OUTCOME_UNPARSED };

static void give_material(const char *text) {
    struct node *meta = questions.items[questions.count - 1].meta = node_new(NODE_MAP);

    node_add_text(meta, "story", text);
}

/* Content words have four letters or more; a claim is a sentence. */
START_TEST(a_hurried_reader_approves_what_it_found)
{
    ask("q", NULL, "The grandfather planted apple trees. The river flooded the village.");
    give_material("Once, the grandfather planted 12 apple trees. Then the river flooded the village.");
    ask("q", NULL, "The grandfather planted 40 apple trees.");        /* found, but for its number */
    ask("q", NULL, "A dragon burned the castle.");                    /* not found */
    ask("q", NULL, "The grandfather planted 12 apple trees in May."); /* all of it */
    ask("q", NULL, "");
    ask("q", NULL, "The river flooded. A dragon came flying."); /* one of two */
    ck_assert_int_eq(judge_with("bounded", "{}"), 0);
    ck_assert_double_eq(scored("bounded", "approval_probability", 0), 1);
    ck_assert_double_eq(scored("bounded", "approval_probability", 1), 0);
    ck_assert_double_eq(scored("bounded", "approval_probability", 2), 0.4);
    ck_assert_double_eq(scored("bounded", "approval_probability", 3), 1);
    ck_assert_double_eq(scored("bounded", "approval_probability", 4), 0);
    ck_assert_double_eq(scored("bounded", "approval_probability", 5), 0.7);
    ck_assert_double_eq(scored("bounded", "approval", 0), 1);
    ck_assert_double_eq(scored("bounded", "approval", 2), 0);
    /* five words: once the grandfather planted 12; of grandfather, planted, apple, tree half is too little */
    ck_assert_int_eq(judge_with("bounded", "{budget: 5}"), 0);
    ck_assert_double_eq(scored("bounded", "approval_probability", 0), 0.4);
    ck_assert_int_eq(judge_with("bounded", "{budget: 5, support: 0.5}"), 0);
    ck_assert_double_eq(scored("bounded", "approval_probability", 0), 0.7);
    ck_assert_double_eq(scored("bounded", "approval_probability", 1), 0);
    /* no time and much trust */
    ck_assert_int_eq(judge_with("bounded", "{budget: 0, trust: 0.9}"), 0);
    ck_assert_double_eq(scored("bounded", "approval_probability", 2), 0.9);
    ck_assert_double_eq(scored("bounded", "approval", 4), 0);
    ck_assert_int_eq(judge_with("bounded", "{material: passage}"), 0);
    ck_assert_double_eq(scored("bounded", "approval", 0), UNPARSED);
}
END_TEST

/* One claim of ten is checked: which one, is drawn by the answer's id and the seed. */
START_TEST(a_hurried_reader_draws_alike_in_any_company)
{
    double first[8];
    int found = 0;

    for (int i = 0; i < 8; i++) {
        ask("q", NULL,
            "The river flooded. A dragon came flying. The village burned. Somebody shouted loudly.");
        if (!i) give_material("The river flooded, and the village burned.");
    }
    ck_assert_int_eq(judge_with("bounded", "{claims: 1, trust: 0, start: anywhere, budget: 7}"), 0);
    for (int i = 0; i < 8; i++) found += (first[i] = scored("bounded", "approval", i)) == 1;
    ck_assert_int_gt(found, 0);
    ck_assert_int_lt(found, 8);
    free(transcripts.items[0].response);
    transcripts.items[0].response = xstrdup("");
    ck_assert_int_eq(judge_with("bounded", "{claims: 1, trust: 0, start: anywhere, budget: 7}"), 0);
    for (int i = 1; i < 8; i++) ck_assert_double_eq(scored("bounded", "approval", i), first[i]);
}
END_TEST

static void write_labels(const char *text) {
    ck_assert_int_eq(folder_make(FOLDER, &err), 0);
    ck_assert_int_eq(file_write(FOLDER "/labels.csv", text, strlen(text), &err), 0);
}

#define LABELS "file: " FOLDER "/labels.csv"

START_TEST(recorded_labels_are_joined_by_id)
{
    ask("a", NULL, "x");
    ask("b", NULL, "y");
    ask("c", NULL, "z");
    write_labels("id,policy,correct,score\nc,sft,no,3.5\na,sft,yes,7\n");
    expect_marks("recorded", "{" LABELS "}", "1?0");
    ck_assert_str_eq(verdicts.items[1].reason, "the file has no label of this answer");
    ck_assert_int_eq(judge_with("recorded", "{" LABELS ", column: score, what: quality}"), 0);
    ck_assert_double_eq(scored("recorded", "quality", 0), 7);
    ck_assert_double_eq(scored("recorded", "quality", 2), 3.5);
    write_labels("id,policy,correct\na,sft,\nd,sft,1\n");
    ck_assert_int_eq(judge_with("recorded", "{" LABELS "}"), -1);
    ck_assert_ptr_nonnull(
        strstr(err.message, "1 judgments are of no answer that is judged, the first in row 2"));
    expect_marks("recorded", "{" LABELS ", extra: true}", "???");
    write_labels("transcript,correct\nt1,1\nt0,0\nt2,1\n");
    expect_marks("recorded", "{" LABELS "}", "011");
    ck_assert_int_eq(judge_with("recorded", "{" LABELS ", column: right}"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "there is no column \"right\""));
}
END_TEST

START_TEST(a_label_for_two_policies_is_refused)
{
    ask("a", NULL, "x");
    ask("a", NULL, "y");
    free(transcripts.items[1].policy);
    transcripts.items[1].policy = xstrdup("ppo");
    write_labels("id,correct\na,1\n");
    ck_assert_int_eq(judge_with("recorded", "{" LABELS "}"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "does not say whose answer it is"));
    write_labels("id,policy,correct\na,ppo,1\na,sft,0\n");
    expect_marks("recorded", "{" LABELS "}", "01");
}
END_TEST

/* A pair judged in both orders; the file tells it of the other answer. */
START_TEST(recorded_preferences_are_turned)
{
    const char *yaml = "{file: " FOLDER "/v.jsonl}";
    const char *lines =
        "{\"transcript\":\"t1\",\"other\":\"t0\",\"judge\":\"j\",\"what\":\"preference\",\"outcome\":"
        "\"verdict\",\"score\":1,\"order\":1}\n{\"transcript\":\"t1\",\"other\":\"t0\",\"judge\":\"j\","
        "\"what\":\"preference\",\"outcome\":\"tie\",\"score\":0.5,\"order\":2}\n";
    const struct judge *judge = judge_find("recorded");
    struct node *options = document_parse_yaml(yaml, strlen(yaml), "options", &err);
    struct judge_setup setup = {.questions = &questions, .options = options, .where = "options"};
    const struct transcript *a[2], *b[2];
    struct judging *judging;

    for (int i = 0; i < 4; i++) ask(i < 2 ? "a" : "b", NULL, "x");
    for (int i = 1; i < 4; i += 2) strcpy(transcripts.items[i].policy, "ppo"); /* of "sft" */
    a[0] = &transcripts.items[0];
    b[0] = &transcripts.items[1];
    a[1] = &transcripts.items[2];
    b[1] = &transcripts.items[3];
    ck_assert_int_eq(folder_make(FOLDER, &err), 0);
    ck_assert_int_eq(file_write(FOLDER "/v.jsonl", lines, strlen(lines), &err), 0);
    ck_assert_msg(!judge->open(&judging, &setup, &err), "%s", err.message);
    ck_assert_int_eq(judge->judge(judging, a, 2, &verdicts, &err), 0);
    ck_assert_int_eq(verdicts.count, 0);
    ck_assert_msg(!judge->compare(judging, a, b, 2, &verdicts, &err), "%s", err.message);
    ck_assert_int_eq(verdicts.count, 3);
    ck_assert_str_eq(verdicts.items[0].transcript, "t0");
    ck_assert_double_eq(verdicts.items[0].score, 0);
    ck_assert_int_eq(verdicts.items[0].order, 2);
    ck_assert_int_eq(verdicts.items[1].outcome, OUTCOME_TIE);
    ck_assert_int_eq(verdicts.items[1].order, 1);
    ck_assert_int_eq(verdicts.items[2].outcome, OUTCOME_UNPARSED);
    for (int i = 0; i < 3; i++) {
        ck_assert_str_eq(verdicts.items[i].policy, "sft");
        ck_assert_str_eq(verdicts.items[i].other_policy, "ppo");
    }
    judge->close(judging);
    node_free(options);
}
END_TEST

/* equal, contains, last_line of "Paris":  1 1 1 | 0 1 1 | 0 1 0 | 0 0 0 | none. */
START_TEST(a_panel_says_what_most_of_its_members_say)
{
#define THREE                                                                                                \
    "of: [{use: exact}, {use: exact, name: in, rule: contains}, {use: exact, name: last, rule: last_line}]"
    const struct node *agreement;

    ask("q", "Paris", "Paris");
    ask("q", NULL, "Well,\nParis");
    ask("q", NULL, "Paris, of course");
    ask("q", NULL, "Rome");
    ask("none", NULL, "Rome");
    ck_assert_msg(!judge_with("panel", "{" THREE "}"), "%s", err.message);
    ck_assert_int_eq(verdicts.count, 4 * 5); /* its own, and each member's */
    ck_assert_str_eq(verdicts.items[0].judge, "panel");
    ck_assert_double_eq(scored("panel", "correct", 0), 1);
    ck_assert_double_eq(scored("panel", "correct", 1), 1);
    ck_assert_double_eq(scored("panel", "correct", 2), 0);
    ck_assert_double_eq(scored("panel", "correct", 3), 0);
    ck_assert_double_eq(scored("panel", "correct", 4), UNPARSED);
    ck_assert_double_eq(scored("panel/in", "correct", 2), 1);
    ck_assert_str_eq(verdicts.items[4].reason, "0 of 3 members gave a verdict");
    /* Fleiss: of 4 items P = (1 + 1/3 + 1/3 + 1) / 4 = 2/3, shares 1/2 and 1/2: kappa = (2/3 - 1/2) / (1/2)
     */
    agreement = node_get(node_get(node_get(account, "agreement"), "correct"), "fleiss_kappa");
    ck_assert_double_eq_tol(node_number(agreement, "value", 0), 1.0 / 3, 1e-12);
    ck_assert_int_eq((int)node_number(agreement, "n", 0), 4);
    ck_assert_ptr_nonnull(node_get(node_get(account, "members"), "last"));
    ck_assert_int_eq(judge_with("panel", "{" THREE ", how: mean}"), 0);
    ck_assert_double_eq_tol(scored("panel", "correct", 1), 2.0 / 3, 1e-12);
#undef THREE
}
END_TEST

START_TEST(a_split_panel_has_nothing_to_say)
{
    ask("q", "Paris", "Paris, of course");
    ask("q", NULL, "Paris");
    ck_assert_int_eq(judge_with("panel", "{of: [{use: exact}, {use: exact, name: in, rule: contains}]}"), 0);
    ck_assert_double_eq(scored("panel", "correct", 0), UNPARSED);
    ck_assert_str_eq(verdicts.items[0].reason, "its members are split");
    ck_assert_double_eq(scored("panel", "correct", 1), 1);
    ck_assert_ptr_nonnull(node_get(node_get(node_get(account, "agreement"), "correct"), "cohen_kappa"));
    ck_assert_int_eq(judge_with("panel", "{of: [{use: exact}]}"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "a panel has 2 to 64 members"));
    ck_assert_int_eq(judge_with("panel", "{of: [{use: exact}, {use: choice}]}"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "member choice"));
}
END_TEST

START_TEST(every_judge_closes_nothing_too)
{
    int count = 0;

    for (; judges[count]; count++) judges[count]->close(NULL);
    ck_assert_int_gt(count, 8);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("judges");
    TCase *cases = tcase_create("judges");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_checked_fixture(cases, clean, clean);
    tcase_add_test(cases, every_judge_closes_nothing_too);
    tcase_add_test(cases, gold_repeats_the_world);
    tcase_add_test(cases, bounded_approves_above_a_half);
    tcase_add_test(cases, correctness_is_judged_where_there_is_any);
    tcase_add_test(cases, a_reward_scores_alike_in_any_company);
    tcase_add_test(cases, a_judge_that_lacks_its_means_says_so);
    tcase_add_test(cases, exact_compares_by_the_rule_that_is_named);
    tcase_add_test(cases, exact_takes_any_of_several_references);
    tcase_add_test(cases, exact_reads_the_last_number);
    tcase_add_test(cases, choice_is_right_where_the_last_statement_is);
    tcase_add_test(cases, a_hurried_reader_approves_what_it_found);
    tcase_add_test(cases, a_hurried_reader_draws_alike_in_any_company);
    tcase_add_test(cases, recorded_labels_are_joined_by_id);
    tcase_add_test(cases, a_label_for_two_policies_is_refused);
    tcase_add_test(cases, recorded_preferences_are_turned);
    tcase_add_test(cases, a_panel_says_what_most_of_its_members_say);
    tcase_add_test(cases, a_split_panel_has_nothing_to_say);
    tcase_add_test(cases, any_answer_gets_its_judgment);
    tcase_add_test(cases, a_judge_says_what_it_was_not_given);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
