/* Option tables: fallbacks, presets, what a recipe gives, and the sentences for what it gets wrong. */
#include "harness/option.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    int steps, fixed, kind;
    double rate;
    const char *title, *base, *data;
    const struct node *answers, *dials, *parts;
};

static const struct option table[] = {
    {"steps", OPTION_INT, offsetof(struct settings, steps), "100", 1, 1000, NULL, "how many updates"},
    {"rate", OPTION_REAL, offsetof(struct settings, rate), "1e-3", 0, 0, NULL, "learning rate"},
    {"fixed", OPTION_BOOL, offsetof(struct settings, fixed), "false", 0, 0, NULL, "keep it fixed"},
    {"kind", OPTION_CHOICE, offsetof(struct settings, kind), "mean", 0, 0, "mean|min|off", "how to combine"},
    {"title", OPTION_TEXT, offsetof(struct settings, title), "", 0, 0, NULL, "a title"},
    {"base", OPTION_STEP, offsetof(struct settings, base), NULL, 0, 0, NULL, "the model to start from"},
    {"data", OPTION_FILE, offsetof(struct settings, data), "", 0, 0, NULL, "a file"},
    {"answers", OPTION_STEPS, offsetof(struct settings, answers), "", 0, 0, NULL, "answers to score"},
    {"dials", OPTION_MAP, offsetof(struct settings, dials), "", 0, 0, NULL, "of the world"},
    {"parts", OPTION_WORDS, offsetof(struct settings, parts), "", 0, 0, NULL, "what to take"},
    {0}};

static const struct preset presets[] = {
    {"trl", "steps=5 rate=3e-6  kind=min", "its manual"}, {"odd", "title=x", ""}, {0}};

static struct error err;
static struct settings got;

static int read_text(const char *yaml) {
    static struct node *kept; /* texts in `got` point into it */

    node_free(kept);
    kept = document_parse_yaml(yaml, strlen(yaml), "r.yaml", &err);
    ck_assert_msg(kept != NULL, "%s", err.message);
    got = (struct settings){0};
    return options_read(table, presets, kept, "r.yaml", &got, &err);
}

START_TEST(what_is_not_given_falls_back)
{
    ck_assert_int_eq(read_text("base: sft"), 0);
    ck_assert_int_eq(got.steps, 100);
    ck_assert_double_eq(got.rate, 1e-3);
    ck_assert_int_eq(got.fixed, 0);
    ck_assert_int_eq(got.kind, 0);
    ck_assert_str_eq(got.base, "sft");
    ck_assert_ptr_null(got.title);
    ck_assert_ptr_null(got.data);
    ck_assert_ptr_null(got.answers);
    ck_assert_ptr_null(got.dials);
}
END_TEST

START_TEST(given_wins_over_preset_wins_over_fallback)
{
    ck_assert_int_eq(read_text("{base: sft, preset: trl, steps: 7, fixed: true}"), 0);
    ck_assert_int_eq(got.steps, 7);
    ck_assert_double_eq(got.rate, 3e-6);
    ck_assert_int_eq(got.kind, 1);
    ck_assert_int_eq(got.fixed, 1);
}
END_TEST

START_TEST(null_is_not_given_where_an_option_may_be_absent)
{
    ck_assert_int_eq(read_text("{base: sft, preset: trl, steps: null, rate: null, dials: null, title: ~}"),
                     0);
    ck_assert_int_eq(got.steps, 5);
    ck_assert_double_eq(got.rate, 3e-6);
    ck_assert_ptr_null(got.dials);
    ck_assert_ptr_null(got.title);
    ck_assert_int_eq(read_text("{base: sft, preset: null}"), 0);
    ck_assert_int_eq(read_text("{base: null}"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "\"base\" must be a text"));
}
END_TEST

START_TEST(lists_maps_and_words_arrive)
{
    ck_assert_int_eq(read_text("{base: sft, kind: off, title: 12, answers: [a, b], dials: {x: 1}}"), 0);
    ck_assert_int_eq(got.kind, 2);
    ck_assert_str_eq(got.title, "12");
    ck_assert_int_eq(got.answers->count, 2);
    ck_assert_double_eq(node_number(got.dials, "x", 0), 1);
    ck_assert_ptr_null(got.parts);
    ck_assert_int_eq(read_text("{base: sft, parts: all-linear}"), 0);
    ck_assert_str_eq(got.parts->text, "all-linear");
    ck_assert_int_eq(read_text("{base: sft, parts: [a, b]}"), 0);
    ck_assert_str_eq(got.parts->last->text, "b");
    ck_assert_int_eq(read_text("{base: sft, parts: [a, 2]}"), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "\"parts\" must be a text or a list of texts (what to take)"));
}
END_TEST

START_TEST(each_mistake_has_its_sentence)
{
    static const struct {
        const char *yaml, *parts[4];
    } cases[] = {
        {"base: a\nstpes: 4", {"r.yaml:2", "unknown option \"stpes\"", "did you mean \"steps\"", "rate"}},
        {"base: a\nzzzzzzzz: 4", {"r.yaml:2", "unknown option \"zzzzzzzz\"", "valid: steps, rate", "preset"}},
        {"base: a\nsteps: many", {"r.yaml:2", "\"steps\"", "a whole number from 1 to 1000", "not many"}},
        {"base: a\nsteps: 0", {"r.yaml:2", "from 1 to 1000", "not 0"}},
        {"base: a\nsteps: 1.5", {"a whole number", "not 1.5"}},
        {"base: a\nrate: [1]", {"\"rate\" must be a number"}},
        {"base: a\nfixed: 1", {"\"fixed\" must be true or false"}},
        {"base: a\nkind: maen", {"unknown kind \"maen\"", "did you mean \"mean\"", "mean, min, off"}},
        {"base: a\nkind: {}", {"\"kind\" must be mean|min|off"}},
        {"base: a\nanswers: b", {"\"answers\" must be a list of steps"}},
        {"base: a\ndials: b", {"\"dials\" must be a map"}},
        {"base: [a]", {"\"base\" must be a text", "the model to start from"}},
        {"steps: 4", {"r.yaml:1", "\"base\" is missing", "the model to start from"}},
        {"base: a\npreset: tlr", {"r.yaml:2", "unknown preset \"tlr\"", "did you mean \"trl\"", "trl, odd"}},
        {"base: a\npreset: odd", {"preset odd", "title=x"}},
        {"[1]", {"r.yaml:1", "a map of names and values"}}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(read_text(cases[i].yaml), -1);
        for (int j = 0; j < 4 && cases[i].parts[j]; j++)
            ck_assert_msg(strstr(err.message, cases[i].parts[j]), "\"%s\" is not in \"%s\"",
                          cases[i].parts[j], err.message);
    }
}
END_TEST

START_TEST(a_description_reads_back_the_same)
{
    struct settings first;
    struct node *described;
    char *json;

    ck_assert_int_eq(read_text("{base: sft, kind: min, rate: 0.1, answers: [a]}"), 0);
    first = got;
    described = options_describe(table, &first);
    json = node_json(described, 0);
    ck_assert_str_eq(json, "{\"steps\":100,\"rate\":0.1,\"fixed\":false,\"kind\":\"min\",\"title\":null,"
                           "\"base\":\"sft\",\"data\":null,\"answers\":[\"a\"],\"dials\":null,"
                           "\"parts\":null}");
    free(json);
    node_free(described);
}
END_TEST

START_TEST(the_nearest_name_is_near)
{
    static const char *const names[] = {"refusal", "length", "ood", "win_rate"};

    ck_assert_str_eq(nearest_name("refusals", names, 4), "refusal");
    ck_assert_str_eq(nearest_name("lenght", names, 4), "length");
    ck_assert_str_eq(nearest_name("winrate", names, 4), "win_rate");
    ck_assert_ptr_null(nearest_name("sophistry", names, 4));
    ck_assert_ptr_null(nearest_name("anything", names, 0));
    ck_assert_ptr_null(nearest_name("z", (const char *const[]){"a"}, 1)); /* all of its letters are others */
    ck_assert_str_eq(nearest_name("c", (const char *const[]){"cc"}, 1), "cc");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("option");
    TCase *cases = tcase_create("option");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_test(cases, what_is_not_given_falls_back);
    tcase_add_test(cases, given_wins_over_preset_wins_over_fallback);
    tcase_add_test(cases, null_is_not_given_where_an_option_may_be_absent);
    tcase_add_test(cases, lists_maps_and_words_arrive);
    tcase_add_test(cases, each_mistake_has_its_sentence);
    tcase_add_test(cases, a_description_reads_back_the_same);
    tcase_add_test(cases, the_nearest_name_is_near);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
