/* The command line: flags and words, what is said of misspelt ones, help and manual, and the commands over
 * fake plug-ins. */
#include "harness/command_line.h"

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/record.h"
#include "tests/fakes.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS = 16 };

/* A line of words, cut at blanks, as a shell gives them. */
struct line {
    char *store, *words[WORDS];
    int count;
};

static struct line cut(const char *text) {
    struct line line = {.store = xstrdup(text)};
    char *rest = NULL;

    for (char *word = strtok_r(line.store, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        line.words[line.count++] = word;
    return line;
}

/* Parses and runs a line; what it printed (caller frees), its code and its sentence. */
static char *run(const char *text, int *code, struct error *err) {
    struct line line = cut(text);
    const struct command *command = command_find(line.words[0], err);
    struct arguments arguments = {0};
    char *printed = NULL;
    size_t length;

    ck_assert_msg(command != NULL, "%s", err->message);
    *code = arguments_read(&arguments, command, line.count, line.words, err);
    arguments.out = open_memstream(&printed, &length);
    if (*code == 0) *code = command->run(&arguments, err);
    fclose(arguments.out);
    arguments_free(&arguments);
    free(line.store);
    return printed;
}

/* It succeeds, and does not print that. */
static void says_not(const char *text, const char *words) {
    struct error err = {0};
    int code;
    char *printed = run(text, &code, &err);

    ck_assert_int_eq(code, 0);
    ck_assert_msg(!strstr(printed, words), "'%s' is in '%s'", words, printed);
    free(printed);
}

static void says(const char *text, int want, const char *words) {
    struct error err = {0};
    int code;
    char *printed = run(text, &code, &err);

    ck_assert_int_eq(code, want);
    ck_assert_msg(strstr(code ? err.message : printed, words) != NULL, "'%s' is not in '%s'", words,
                  code ? err.message : printed);
    free(printed);
}

START_TEST(a_letter_stands_for_one_flag_of_a_command)
{
    for (int c = 0; commands[c]; c++)
        for (const struct flag *flag = commands[c]->flags; flag && flag->name; flag++)
            for (const struct flag *other = flag + 1; other->name; other++)
                ck_assert_msg(!flag->letter || flag->letter != other->letter, "%s: -%c is --%s and --%s",
                              commands[c]->name, flag->letter, flag->name, other->name);
}
END_TEST

START_TEST(flags_and_words_mix_and_the_last_value_counts)
{
    struct line line = cut("run --threads=3 r.yaml -s a=1 --dry-run --set b=2 -t 4");
    struct arguments arguments;
    struct error err = {0};
    int threads;

    ck_assert_int_eq(arguments_read(&arguments, command_find("run", &err), line.count, line.words, &err), 0);
    ck_assert_int_eq(arguments.count, 1);
    ck_assert_str_eq(arguments.words[0], "r.yaml");
    ck_assert_int_eq(arguments.flag_count, 5);
    ck_assert_str_eq(argument_value(&arguments, "set", ""), "b=2");
    ck_assert_int_eq(argument_given(&arguments, "dry-run"), 1);
    ck_assert_int_eq(argument_given(&arguments, "jobs"), 0);
    ck_assert_int_eq(argument_int(&arguments, "threads", 9, 1, 8, &threads, &err), 0);
    ck_assert_int_eq(threads, 4);
    ck_assert_int_eq(argument_int(&arguments, "jobs", 9, 1, 8, &threads, &err), 0);
    ck_assert_int_eq(threads, 9);
    ck_assert_int_eq(argument_int(&arguments, "threads", 9, 5, 8, &threads, &err), -1);
    ck_assert_str_eq(err.message, "--threads must be a whole number from 5 to 8, not '4'");
    arguments_free(&arguments);
    free(line.store);
}
END_TEST

START_TEST(what_is_misspelt_or_missing_is_said)
{
    struct error err = {0};

    ck_assert_ptr_null(command_find("rnu", &err));
    ck_assert_str_eq(err.message, "there is no command 'rnu'; did you mean 'run'?");
    says("run --thraeds 3 r.yaml", -1, "no option --thraeds, or it takes no value; did you mean 'threads'?");
    says("run -q r.yaml", -1, "no option -q");
    says("run r.yaml --threads", -1, "--threads needs a value");
    says("run r.yaml --dry-run=yes", -1, "no option --dry-run, or it takes no value");
    says("run", -1, "something is missing; usage: pyrite run RECIPE");
    says("run a b", -1, "'b' is one word too many");
    says("run nowhere.yaml", -1, "nowhere.yaml");
    says("run nowhere.yaml --threads 0", -1, "from 1 to 1024, not '0'");
    says("run nowhere.yaml --device gpu", -1, "there is no device 'gpu'; did you mean 'cpu'?");
}
END_TEST

START_TEST(help_comes_from_the_flags_table)
{
    struct line line = cut("run --help");
    struct arguments arguments;
    struct error err = {0};
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    ck_assert_int_eq(arguments_read(&arguments, command_find("run", &err), line.count, line.words, &err), 1);
    arguments_free(&arguments);
    command_help(command_find("run", &err), out);
    program_help(out);
    program_manual(out);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "Usage: pyrite run RECIPE"));
    ck_assert_ptr_nonnull(strstr(text, "  -j, --jobs N"));
    ck_assert_ptr_nonnull(strstr(text, "  130  interrupted"));
    ck_assert_ptr_nonnull(strstr(text, "  world      show what"));
    ck_assert_ptr_nonnull(strstr(text, "\\fB\\-\\-dry-run\\fR"));
    ck_assert_ptr_nonnull(strstr(text, ".SH \"EXIT STATUS\""));
    for (const char *at = text; at && strncmp(at, ".TH", 3);) {
        const char *end = strchr(at, '\n');

        ck_assert_msg(end - at <= 110, "a line is too long: %.*s", (int)(end - at), at);
        at = end + 1;
    }
    free(text);
    free(line.store);
}
END_TEST

START_TEST(list_shows_kinds_names_and_options)
{
    says("list", 0, "stages\n  count            writes a log, row by row\n  join");
    says("list", 0, "\nworlds\n  echo             says it again\n");
    says("list worlds echo", 0, "loudness");
    says("list stage count", 0,
         "rows                   whole number  20         rows of the log [1 to 100000]");
    says("list stages count", 0, "long: a test\n      rows=50 rate=0.25");
    says("list stages join", 0, "parts                  steps         required");
    says("list wrld", -1, "there is no kind of plug-in 'wrld'; did you mean 'world'?");
    says("list stage cuont", -1, "there is no stage 'cuont'; did you mean 'count'?");
    says("list stages cuont", -1, "there is no stage 'cuont'");
    says("list wrld echo", -1, "there is no kind of plug-in 'wrld'");
}
END_TEST

START_TEST(world_prints_a_prompt_with_answers_and_the_annotators_choice)
{
    struct error err = {0};
    int code;
    char *loud = run("world echo --n 1 --seed 4", &code, &err), *quiet, *again;
    const char *preferred, *other;

    ck_assert_int_eq(code, 0);
    ck_assert_ptr_nonnull(strstr(loud, "--- train 0 (echo)\nprompt"));
    preferred = strstr(loud, "preferred      ");
    other = strstr(loud, "not preferred  ");
    ck_assert_int_gt((int)strcspn(preferred + 15, "\n"), (int)strcspn(other + 15, "\n"));
    again = run("world echo --n 1 --seed 4", &code, &err);
    ck_assert_str_eq(loud, again);
    quiet = run("world echo --n 1 --seed 4 --set loudness=-1", &code, &err);
    preferred = strstr(quiet, "preferred      ");
    other = strstr(quiet, "not preferred  ");
    ck_assert_int_lt((int)strcspn(preferred + 15, "\n"), (int)strcspn(other + 15, "\n"));
    free(loud);
    free(quiet);
    free(again);
    says("world ehco", -1, "there is no world 'ehco'; did you mean 'echo'?");
    says("world echo --split heldot", -1, "has no split 'heldot'; did you mean 'heldout'?");
    says("world echo --set lodness=1", -1, "--set: unknown option \"lodness\"; did you mean \"loudness\"?");
    says("world echo --set loudness=[1", -1, "--set: not valid YAML: did not find expected ',' or ']'");
    says("world echo --set loudness=7", -1, "must be a number from -1 to 1");
    says("world echo --set loudness", -1, "--set takes DIAL=VALUE");
}
END_TEST

START_TEST(world_exports_examples)
{
    char *folder = fakes_folder(), *path = path_join(folder, "e.jsonl"),
         *text = xprintf("world echo --n 5 --export %s", path);
    struct examples examples = {0};
    struct error err = {0};

    says(text, 0, "e.jsonl: 5 examples");
    ck_assert_int_eq(examples_read(path, &examples, &err), 0);
    ck_assert_int_eq(examples.count, 5);
    ck_assert_str_eq(examples.items[4].id, "echo-train-4");
    ck_assert_int_gt((int)strlen(examples.items[0].chosen), (int)strlen(examples.items[0].rejected));
    examples_free(&examples);
    folder_remove(folder, &err);
    free(text);
    free(path);
    free(folder);
}
END_TEST

START_TEST(run_plans_runs_and_reports)
{
    char *folder = fakes_folder(),
         *recipe = fakes_write(folder, "r.yaml", "name: r\nsteps:\n  a: {use: count}\n");
    struct error err = {0};

    ck_assert_int_eq(chdir(folder), 0);
    says("run r.yaml --dry-run --threads 2", 0, "a     count      to do         1 M       2 KiB    20 GFLOP");
    says("run r.yaml -n -t 2", 0,
         "2 steps with the report, 0 of them done; at most 2 KiB with 2 at a time; 20 GFLOP to do");
    says("run r.yaml -n --set steps.a.rows=58600 --set steps.a.rate=1", 0, /* 58.6 TFLOP */
         "cuda                             29.3 TFLOP/s,  3.0 % of its bf16 peak         2.0 s\n"
         "  cuda-bf16                       201.0 TFLOP/s, 20.3 % of its bf16 peak");
    says("run r.yaml -n --set steps.a.rate=1", 0, "its 80 GB hold what is held at a time");
    says_not("run r.yaml -n --set steps.a.rows=58600", "H100"); /* its model is too small for such rates */
    ck_assert_int_eq(file_exists("runs"), 0);
    says("run r.yaml --set steps.a.rows=[1", -1, "--set steps.a.rows=[1: not valid YAML: ");
    says("run r.yaml --set steps.a.rows=13", -1, "step a: 13 rows bring bad luck");
    setenv("PYRITE_TEST_ROOM", "1600", 1);
    says("run r.yaml --device cuda -n", 0,
         "Of the memory of cuda 1.56 KiB of 3.12 KiB are free:\nstep a: it takes 2");
    says("run r.yaml --device cuda", 1, "step a: it takes 2 KiB (parameters 1 KiB, activations 1 KiB)");
    says("run r.yaml --out slim --device cuda --set steps.a.cells=512", 0, "slim/report");
    says("run r.yaml --out warned", 0, "warned/report"); /* on the host, whose plans a system may stretch */
    unsetenv("PYRITE_TEST_ROOM");
    says("run r.yaml --set steps.a.trouble=fail", 1, "step a: the a is out of words");
    says("run r.yaml --out here", 0, "2 of 2 steps done in ");
    says("run r.yaml --out here", 0, "Everything was done already.\nhere/report/report.md\n");
    says("run r.yaml --out here --dry-run", 0, "a     count      done");
    says("run r.yaml --out here --dry-run", 0, "2 steps with the report, 2 of them done");
    says("report here --format md", 0, "here/report/report.md\n");
    says("report here", 0, "here/report/report.md\n");
    says("report here --format pdf", -1, "there is no report format 'pdf'; there is markdown");
    says("report nowhere", -1, "nowhere is no run's folder");
    says("version", 0, "sqlite 3.");
    ck_assert_int_eq(chdir("/"), 0);
    folder_remove(folder, &err);
    free(folder);
    free(recipe);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("command");
    TCase *cases = tcase_create("command");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, a_letter_stands_for_one_flag_of_a_command);
    tcase_add_test(cases, flags_and_words_mix_and_the_last_value_counts);
    tcase_add_test(cases, what_is_misspelt_or_missing_is_said);
    tcase_add_test(cases, help_comes_from_the_flags_table);
    tcase_add_test(cases, list_shows_kinds_names_and_options);
    tcase_add_test(cases, world_prints_a_prompt_with_answers_and_the_annotators_choice);
    tcase_add_test(cases, world_exports_examples);
    tcase_add_test(cases, run_plans_runs_and_reports);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
