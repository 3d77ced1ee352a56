/* Recipes: their matrix, references and overrides, and the sentences for what is wrong in them. */
#include "harness/recipe.h"

#include "harness/file.h"
#include "harness/matrix.h"
#include "harness/memory.h"
#include "harness/names.h"
#include "tests/fakes.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static char *folder;

static void setup(void) {
    folder = fakes_folder();
    free(fakes_write(folder, "in.txt", "hello\n"));
}

static void teardown(void) {
    struct error err;

    folder_remove(folder, &err);
    free(folder);
}

static int read_with(struct recipe *recipe, const char *yaml, const char *const *overrides, int count,
                     struct error *err) {
    char *path = fakes_write(folder, "r.yaml", yaml);
    int status = recipe_read(recipe, path, overrides, count, err);

    free(path);
    return status;
}

/* The sentence, which must hold `words`, of a recipe that is wrong. */
static void refuse(const char *yaml, const char *words) {
    struct recipe recipe;
    struct error err = {0};

    ck_assert_int_eq(read_with(&recipe, yaml, NULL, 0, &err), -1);
    ck_assert_msg(strstr(err.message, words) != NULL, "'%s' is not in '%s'", words, err.message);
}

static void refuse_override(const char *override, const char *words) {
    static const char yaml[] = "name: t\nmatrix: {seed: [1, 2]}\nsteps:\n  a: {use: count, rows: 3}\n"
                               "  b: {use: count, matrix: {kind: [x]}, from: a, dials: {loud: 1}}\n";
    struct recipe recipe;
    struct error err = {0};

    ck_assert_int_eq(read_with(&recipe, yaml, &override, 1, &err), -1);
    ck_assert_msg(strstr(err.message, words) != NULL, "'%s' is not in '%s'", words, err.message);
}

static const struct instance *find(const struct recipe *recipe, const char *name) {
    for (int i = 0; i < recipe->count; i++)
        if (!strcmp(recipe->steps[i].name, name)) return &recipe->steps[i];
    ck_abort_msg("no step %s", name);
    return NULL;
}

static const char full[] =
    "name: full\n"
    "title: All of it\n"
    "matrix: {world: [safety, debate], seed: [1, 2]}\n"
    "steps:\n"
    "  all: {use: join, over: seed, parts: [ppo/*, data], one: shared}\n"
    "  shared: {use: count, over: [world, seed], file: in.txt}\n"
    "  data: {use: count, word: \"$world has $$5\", rows: {by: world, safety: 3, debate: 4}}\n"
    "  rm: {use: count, matrix: {kind: [scalar, seq2seq]}, from: data}\n"
    "  ppo: {use: count, matrix: {kind: [scalar, seq2seq]}, from: rm/$kind, dials: {deep: [$seed, "
    "\"s$seed\"]},\n"
    "        preset: long}\n"
    "  copy: {use: count, matrix: {policy: [data, ppo/scalar]}, from: $policy, seed: 7}\n"
    "report: {formats: [markdown]}\n";

START_TEST(a_step_exists_once_a_cell_after_what_it_needs)
{
    struct recipe recipe;
    struct error err = {0};

    ck_assert_msg(!read_with(&recipe, full, NULL, 0, &err), "%s", err.message);
    ck_assert_int_eq(recipe.count, 2 + 1 + 4 + 8 + 8 + 8);
    ck_assert_str_eq(recipe.name, "full");
    ck_assert_str_eq(recipe.title, "All of it");
    ck_assert_int_eq(recipe.formats->count, 1);
    ck_assert_str_eq(find(&recipe, "debate/2/ppo/seq2seq")->label, "ppo/seq2seq");
    ck_assert_str_eq(find(&recipe, "safety/1/copy/ppo/scalar")->label, "copy/ppo/scalar");
    for (int i = 0; i < recipe.count; i++)
        for (int j = 0; j < recipe.steps[i].input_count; j++)
            ck_assert_int_lt(recipe.steps[i].inputs[j].step, i);
    recipe_free(&recipe);
}
END_TEST

START_TEST(variables_become_values_of_their_own_kind)
{
    struct recipe recipe;
    struct error err = {0};
    const struct instance *ppo, *data;
    const struct node *deep;

    ck_assert_int_eq(read_with(&recipe, full, NULL, 0, &err), 0);
    data = find(&recipe, "debate/1/data");
    ck_assert_str_eq(node_text(data->options, "word", ""), "debate has $5");
    ck_assert_int_eq((int)node_number(data->options, "rows", 0), 4);
    ck_assert_int_eq((int)node_number(find(&recipe, "safety/1/data")->options, "rows", 0), 3);
    ppo = find(&recipe, "debate/2/ppo/seq2seq");
    deep = node_get(node_get(ppo->options, "dials"), "deep");
    ck_assert_int_eq(deep->first->kind, NODE_NUMBER);
    ck_assert_int_eq((int)deep->first->number, 2);
    ck_assert_str_eq(deep->last->text, "s2");
    ck_assert_str_eq(node_text(ppo->matrix, "kind", ""), "seq2seq");
    recipe_free(&recipe);
}
END_TEST

START_TEST(references_stay_in_their_cell_and_over_opens_it)
{
    struct recipe recipe;
    struct error err = {0};
    const struct instance *all;

    ck_assert_int_eq(read_with(&recipe, full, NULL, 0, &err), 0);
    ck_assert_str_eq(find(&recipe, "safety/2/ppo/scalar")->inputs[0].text, "safety/2/rm/scalar");
    all = find(&recipe, "debate/all");
    ck_assert_int_eq(all->input_count, 2 * 2 + 2 + 1);
    ck_assert_str_eq(all->inputs[0].text, "debate/1/ppo/scalar");
    ck_assert_str_eq(all->inputs[3].text, "debate/2/ppo/seq2seq");
    ck_assert_str_eq(all->inputs[5].text, "debate/2/data");
    ck_assert_str_eq(all->inputs[6].text, "shared");
    ck_assert_int_eq(find(&recipe, "shared")->inputs[0].step, -1);
    ck_assert_str_eq(find(&recipe, "shared")->inputs[0].text, "in.txt");
    recipe_free(&recipe);
}
END_TEST

static char *spell_path(void *context, const struct input *input) {
    (void)context;
    return xprintf("<%s>", input->path ? input->path : "a step");
}

START_TEST(files_of_judges_are_inputs_wherever_they_stand)
{
    static const char yaml[] =
        "name: t\nsteps:\n  a: {use: count, file: in.txt, judges: [{use: critic, notes: in.txt},"
        " {use: critic, name: two, nulls: false, of: [{use: critic, notes: in.txt}]}]}\n";
    struct recipe recipe;
    struct error err = {0};
    struct node *options;
    const struct node *list;

    ck_assert_msg(!read_with(&recipe, yaml, NULL, 0, &err), "%s", err.message);
    ck_assert_int_eq(recipe.steps[0].input_count, 3);
    ck_assert(!recipe.steps[0].inputs[0].nested && recipe.steps[0].inputs[1].nested);
    options = instance_options(&recipe.steps[0], spell_path, NULL);
    list = node_get(options, "judges");
    ck_assert_ptr_nonnull(strstr(node_text(list->first, "notes", ""), "in.txt>"));
    ck_assert_ptr_nonnull(strstr(node_text(node_get(list->last, "of")->first, "notes", ""), "in.txt>"));
    ck_assert_ptr_nonnull(strstr(node_text(options, "file", ""), "in.txt>"));
    node_free(options);
    recipe_free(&recipe);
}
END_TEST

START_TEST(judges_are_checked_before_anything_runs)
{
#define JUDGES(list) "name: t\nsteps:\n  a: {use: count, judges: " list "}\n"
    refuse(JUDGES("[critic]"), "r.yaml:3: a judge must be a map with its name in \"use\"");
    refuse(JUDGES("[{use: critik}]"), "there is no judge 'critik'; did you mean 'critic'?");
    refuse(JUDGES("[{use: critic}, {use: critic}]"), "two judges are called 'critic'");
    refuse(JUDGES("[{use: critic, note: in.txt}]"), "did you mean \"notes\"?");
    refuse(JUDGES("[{use: critic, notes: none.txt}]"), "notes: there is no file or folder 'none.txt'");
    refuse(JUDGES("[{use: critic, of: [{use: nobody}]}]"), "there is no judge 'nobody'");
    refuse(JUDGES("[{use: critic, nulls: 2}]"), "\"nulls\" must be true or false");
    refuse(JUDGES("{use: critic}"), "a list of judges");
#undef JUDGES
}
END_TEST

START_TEST(a_seed_is_the_steps_or_the_matrixs_or_one)
{
    struct recipe recipe;
    struct error err = {0};

    ck_assert_int_eq(read_with(&recipe, full, NULL, 0, &err), 0);
    ck_assert_uint_eq(find(&recipe, "safety/1/copy/data")->seed, 7);
    ck_assert_uint_eq(find(&recipe, "safety/2/data")->seed, 2);
    ck_assert_uint_eq(find(&recipe, "shared")->seed, 1);
    recipe_free(&recipe);
}
END_TEST

START_TEST(resolved_options_have_presets_and_fallbacks)
{
    struct recipe recipe;
    struct error err = {0};
    struct node *all;

    ck_assert_int_eq(read_with(&recipe, full, NULL, 0, &err), 0);
    all = instance_resolve(find(&recipe, "safety/1/ppo/scalar"), "r.yaml", input_name, NULL, &err);
    ck_assert_int_eq((int)node_number(all, "rows", 0), 50);
    ck_assert_double_eq(node_number(all, "rate", 0), 0.25);
    ck_assert_int_eq((int)node_number(all, "pause", -1), 0);
    ck_assert_str_eq(node_text(all, "from", ""), "safety/1/rm/scalar");
    node_free(all);
    recipe_free(&recipe);
}
END_TEST

START_TEST(what_is_misspelt_is_named_with_its_line_and_the_nearest_name)
{
    refuse("nam: x\nsteps: {a: {use: count}}\n", "r.yaml:1: unknown key 'nam'; did you mean 'name'?");
    refuse("name: x\nsteps:\n  a: {use: cuont}\n",
           "r.yaml:3: there is no stage 'cuont'; did you mean 'count'?");
    refuse("name: x\nsteps:\n  a: {use: count,\n      rwos: 3}\n",
           "r.yaml:4: unknown option \"rwos\"; did you mean \"rows\"?");
    refuse("name: x\nsteps:\n  data: {use: count}\n  b: {use: count, from: dta}\n",
           "r.yaml:4: from: there is no step 'dta', nor a file or folder of that name; did you mean 'data'?");
    refuse("name: x\nmatrix: {world: [a]}\nsteps:\n  a: {use: count, word: $wrold}\n",
           "r.yaml:4: this step has no matrix variable 'wrold'; did you mean 'world'?");
    refuse("name: x\nmatrix: {world: [safety]}\nsteps:\n  a: {use: count, rows: {by: world, safty: 3}}\n",
           "r.yaml:4: 'rows' has no value for world 'safety'; did you mean 'safty'?");
    refuse("name: x\nmatrix: {seed: [1]}\nsteps:\n  a: {use: count, over: sed}\n",
           "r.yaml:4: over: the recipe has no matrix variable 'sed'; did you mean 'seed'?");
    refuse("name: x\nsteps:\n  a: {use: count}\nreport: {formats: [markdwon]}\n",
           "r.yaml:4: there is no report 'markdwon'; did you mean 'markdown'?");
    refuse("name: x\nsteps:\n  a: {use: count}\nreport: {effect: 5}\n",
           "r.yaml:4: effect must be a number above 0 and at most 1, the change of a rate");
    refuse("name: x\nsteps:\n  a: {use: count, preset: lnog}\n",
           "r.yaml:3: unknown preset \"lnog\"; did you mean \"long\"?");
}
END_TEST

START_TEST(what_has_the_wrong_shape_is_refused)
{
    refuse("- a\n", "a recipe is a map");
    refuse("name: x\n", "steps must be a map");
    refuse("steps: {a: {use: count}}\n", "the recipe has no name");
    refuse("name: a/b\nsteps: {a: {use: count}}\n", "r.yaml:1: the name 'a/b' cannot be a folder's name");
    refuse("name: x\nsteps:\n  a: 3\n", "r.yaml:3: step 'a' must be a map");
    refuse("name: x\nsteps:\n  a: {rows: 3}\n", "r.yaml:3: step 'a' does not say which stage it uses");
    refuse("name: x\nsteps:\n  a: {use: count, rows: many}\n",
           "r.yaml:3: \"rows\" must be a whole number from 1 to 100000, not many");
    refuse("name: x\nsteps:\n  a: {use: join}\n", "r.yaml:3: the option \"parts\" is missing");
    refuse("name: x\nmatrix: {seed: []}\nsteps: {a: {use: count}}\n", "r.yaml:2: 'seed' has no values");
    refuse("name: x\nmatrix: {seed: [[1]]}\nsteps: {a: {use: count}}\n",
           "values of 'seed' must be words or numbers");
    refuse("name: x\nmatrix: {w: [../up]}\nsteps: {a: {use: count}}\n", "'../up' cannot be a folder's name");
    refuse("name: x\nmatrix: {seed: [one]}\nsteps: {a: {use: count}}\n", "seed must be a whole number");
    refuse("name: x\nmatrix: {w: [a]}\nsteps:\n  a: {use: count, matrix: {w: [b]}}\n",
           "'w' is a variable of the whole recipe already");
    refuse("name: x\nsteps:\n  a.b: {use: count}\n", "has a dot in its name");
}
END_TEST

START_TEST(what_cannot_be_together_is_refused)
{
    refuse("name: x\nsteps:\n  a: {use: count, from: b}\n  b: {use: count, from: a}\n",
           "r.yaml:3: these steps wait for each other: a, b");
    refuse("name: x\nsteps:\n  a: {use: count}\n  b: {use: join, parts: [a]}\n"
           "  c: {use: join, parts: [a, b], one: b}\n",
           "r.yaml:5: one needs a step of count, and 'b' is one of join (one step)");
    refuse("name: x\nsteps:\n  a: {use: count, from: a}\n", "the step 'a' cannot wait for itself");
    refuse("name: x\nmatrix: {seed: [1, 1]}\nsteps: {a: {use: count}}\n",
           "two steps would share the folder '1/a'");
    refuse("name: x\nmatrix: {seed: [1, 2]}\nsteps:\n  a: {use: count}\n  b: {use: count, over: seed, from: "
           "a}\n",
           "r.yaml:5: 'from' takes one step, but 'a' means several here (1/a, 2/a, ...)");
    refuse("name: x\nsteps:\n  a: {use: count, file: none.txt}\n",
           "r.yaml:3: file: there is no file or folder 'none.txt' beside the recipe");
    refuse("name: x\nsteps:\n  a: {use: count, file: ../data/xstest/xstest_prompts.csv}\n",
           "beside the recipe; 'pyrite fetch xstest --to ");
    refuse("name: x\nsteps:\n  a: {use: count, from: ../data/org/name}\n",
           "from: there is no file or folder '../data/org/name' beside the recipe; 'pyrite fetch hf:org/name "
           "--to ");
    refuse("name: x\nsteps:\n  a: {use: count, from: ../data/org/name-0.5B}\n",
           "'pyrite fetch hf:org/name-0.5B ");
    refuse("name: x\nsteps:\n  a: {use: count, from: ../data/org/name.txt}\n", "there is no step");
    refuse("name: x\nsteps:\n  a: {use: count, from: mydata/org/name}\n", "there is no step");
    refuse("name: x\nsteps:\n  a: {use: count, matrix: {k: [x, y]}}\n  b: {use: count, from: a}\n",
           "there is no step 'a'");
}
END_TEST

START_TEST(a_seed_of_null_is_that_of_the_cell)
{
    struct recipe recipe;
    struct error err = {0};

    ck_assert_msg(!read_with(&recipe, "name: x\nmatrix: {seed: [6]}\nsteps: {a: {use: count, seed: null}}\n",
                             NULL, 0, &err),
                  "%s", err.message);
    ck_assert_uint_eq(find(&recipe, "6/a")->seed, 6);
    recipe_free(&recipe);
}
END_TEST

START_TEST(overrides_change_options_and_matrix)
{
    static const char *const overrides[] = {"steps.data.rows=9",
                                            "matrix.seed=[5]",
                                            "steps.ppo.rate=0.75",
                                            "steps.rm.matrix.kind=scalar",
                                            "steps.ppo.matrix.kind=[scalar]",
                                            "steps.ppo.dials.deeper.still=on top",
                                            "title=Less"};
    struct recipe plain, recipe;
    struct error err = {0};

    ck_assert_int_eq(read_with(&plain, full, NULL, 0, &err), 0);
    ck_assert_msg(!read_with(&recipe, full, overrides, 7, &err), "%s", err.message);
    ck_assert_int_eq(recipe.count, 2 + 1 + 2 + 2 + 2 + 4);
    ck_assert_int_eq((int)node_number(find(&recipe, "debate/5/data")->options, "rows", 0), 9);
    ck_assert_double_eq(node_number(find(&recipe, "debate/5/ppo/scalar")->options, "rate", 0), 0.75);
    ck_assert_str_eq(
        node_text(node_get(node_get(find(&recipe, "debate/5/ppo/scalar")->options, "dials"), "deeper"),
                  "still", ""),
        "on top");
    ck_assert_str_eq(recipe.title, "Less");
    ck_assert_int_ne(strcmp(plain.hash, recipe.hash), 0);
    recipe_free(&plain);
    recipe_free(&recipe);
}
END_TEST

START_TEST(overrides_that_lead_nowhere_are_refused)
{
    refuse_override("steps.b.rosw=3",
                    "--set steps.b.rosw=3: there is no option 'rosw'; did you mean 'rows'?");
    refuse_override("stps.b.rows=3", "there is no key 'stps'; did you mean 'steps'?");
    refuse_override("steps.c.rows=3", "there is no step 'c'; there are a, b");
    refuse_override("matrix.sede=3", "there is no matrix variable 'sede'; did you mean 'seed'?");
    refuse_override("steps.b.matrix.knid=[y]", "there is no matrix variable 'knid'; did you mean 'kind'?");
    refuse_override("steps.b=3", "an option is missing");
    refuse_override("steps.b.rows", "'=' and a value are missing");
    refuse_override("steps..rows=3", "keys joined by dots");
    refuse_override("steps.b.rows=[", "--set steps.b.rows=[");
    refuse_override("steps.b.rows=0", "\"rows\" must be a whole number");
}
END_TEST

START_TEST(json_recipes_read_alike)
{
    char *path = fakes_write(folder, "r.json",
                             "{\"name\": \"j\", \"matrix\": {\"seed\": [3]},\n"
                             "\"steps\": {\"a\": {\"use\": \"count\", \"rows\": 2}}}");
    struct recipe recipe;
    struct error err = {0};

    ck_assert_msg(!recipe_read(&recipe, path, NULL, 0, &err), "%s", err.message);
    ck_assert_str_eq(recipe.steps[0].name, "3/a");
    ck_assert_str_eq(recipe.title, "j");
    recipe_free(&recipe);
    free(path);
}
END_TEST

START_TEST(hints_name_the_nearest_or_list_all)
{
    struct names names = {0};
    char *hint;

    hint = names_hint(&names, "x");
    ck_assert_str_eq(hint, "; there are none");
    free(hint);
    ck_assert_int_eq(names_place(&names, "scalar"), -1);
    ck_assert_int_eq(names_add(&names, "scalar"), 0);
    ck_assert_int_eq(names_add(&names, "seq2seq"), 1);
    ck_assert_int_eq(names_add(&names, "scalar"), 0);
    ck_assert_int_eq(names.count, 2);
    ck_assert_int_eq(names_place(&names, "seq2seq"), 1);
    ck_assert_int_eq(names_place(&names, "ensemble"), -1);
    hint = names_hint(&names, "scaler");
    ck_assert_str_eq(hint, "; did you mean 'scalar'?");
    free(hint);
    hint = names_hint(&names, "ensemble");
    ck_assert_str_eq(hint, "; there are scalar, seq2seq");
    free(hint);
    free(names.items);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("recipe");
    TCase *cases = tcase_create("recipe");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_step_exists_once_a_cell_after_what_it_needs);
    tcase_add_test(cases, variables_become_values_of_their_own_kind);
    tcase_add_test(cases, references_stay_in_their_cell_and_over_opens_it);
    tcase_add_test(cases, files_of_judges_are_inputs_wherever_they_stand);
    tcase_add_test(cases, judges_are_checked_before_anything_runs);
    tcase_add_test(cases, a_seed_is_the_steps_or_the_matrixs_or_one);
    tcase_add_test(cases, resolved_options_have_presets_and_fallbacks);
    tcase_add_test(cases, what_is_misspelt_is_named_with_its_line_and_the_nearest_name);
    tcase_add_test(cases, what_has_the_wrong_shape_is_refused);
    tcase_add_test(cases, what_cannot_be_together_is_refused);
    tcase_add_test(cases, a_seed_of_null_is_that_of_the_cell);
    tcase_add_test(cases, overrides_change_options_and_matrix);
    tcase_add_test(cases, overrides_that_lead_nowhere_are_refused);
    tcase_add_test(cases, json_recipes_read_alike);
    tcase_add_test(cases, hints_name_the_nearest_or_list_all);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
