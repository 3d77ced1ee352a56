/* Runs over fake stages: what is done again, what is skipped, resumed, recorded, and said when it fails. */
#include "harness/pipeline.h"

#include "harness/adapter_base.h"
#include "harness/file.h"
#include "harness/memory.h"
#include "harness/registry.h"
#include "harness/source.h"
#include "harness/step_folder.h"
#include "tests/fakes.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char yaml[] = "name: t\n"
                           "matrix: {seed: [1, 2]}\n"
                           "steps:\n"
                           "  data: {use: count, word: first, file: in.txt}\n"
                           "  rm: {use: count, matrix: {kind: [x, y]}, from: data, word: $kind}\n"
                           "  all: {use: join, over: seed, parts: [rm/*]}\n";

static char *folder, *out;

static void setup(void) {
    folder = fakes_folder();
    out = path_join(folder, "out");
    free(fakes_write(folder, "in.txt", "in "));
}

static void teardown(void) {
    struct error err;

    folder_remove(folder, &err);
    free(folder);
    free(out);
}

/* What one `pyrite run` did. */
struct attempt {
    int status, pending, interrupted; /* pending: before it */
    struct error err;
};

static struct attempt run(const char *text, const char *override, int jobs) {
    char *path = fakes_write(folder, "r.yaml", text);
    struct pipeline_settings settings = {.out = out, .device = "cpu", .threads = jobs, .jobs = jobs};
    struct attempt outcome = {.status = -1};
    struct recipe recipe;
    struct pipeline pipeline;
    FILE *sink = fopen("/dev/null", "w");

    ck_assert_msg(!recipe_read(&recipe, path, &override, override != NULL, &outcome.err), "%s",
                  outcome.err.message);
    ck_assert_int_eq(pipeline_open(&pipeline, &recipe, &settings, &outcome.err), 0);
    outcome.pending = pipeline_pending(&pipeline);
    if (sink) {
        struct display *display = display_open(sink, 0, recipe.count);

        outcome.status = pipeline_run(&pipeline, display, &outcome.err);
        display_close(display);
        fclose(sink);
    }
    outcome.interrupted = pipeline.interrupted;
    pipeline_close(&pipeline);
    recipe_free(&recipe);
    free(path);
    return outcome;
}

static char *in_out(const char *name) {
    return fakes_read(out, name);
}

START_TEST(steps_read_what_earlier_ones_wrote)
{
    struct attempt outcome = run(yaml, NULL, 2);
    char *text;

    ck_assert_msg(!outcome.status, "%s", outcome.err.message);
    ck_assert_int_eq(outcome.pending, 2 + 4 + 1 + 1);
    text = in_out("steps/2/rm/y/out.txt");
    ck_assert_str_eq(text, "in data first 2\nrm/y y 2\n");
    free(text);
    text = in_out("report/report.md");
    ck_assert_str_eq(text, "in data first 1\nrm/x x 1\nin data first 1\nrm/y y 1\n"
                           "in data first 2\nrm/x x 2\nin data first 2\nrm/y y 2\n");
    free(text);
}
END_TEST

START_TEST(what_is_done_is_skipped)
{
    ck_assert_int_eq(run(yaml, NULL, 2).status, 0);
    free(fakes_write(out, "steps/1/data/mark", "kept"));
    ck_assert_int_eq(run(yaml, NULL, 2).pending, 0);
    free(in_out("steps/1/data/mark"));
}
END_TEST

START_TEST(a_change_runs_what_depends_on_it_and_no_more)
{
    char *text;

    ck_assert_int_eq(run(yaml, NULL, 2).status, 0);
    ck_assert_int_eq(run(yaml, "steps.rm.rate=0.25", 2).pending, 4 + 1 + 1);
    free(fakes_write(folder, "in.txt", "other "));
    ck_assert_int_eq(run(yaml, "steps.rm.rate=0.25", 2).pending, 8);
    text = in_out("steps/1/data/out.txt");
    ck_assert_str_eq(text, "other data first 1\n");
    free(text);
    ck_assert_int_eq(run(yaml, NULL, 2).pending, 6);
    ck_assert_int_eq(run(yaml, "title=Another", 2).pending, 1); /* the report */
}
END_TEST

START_TEST(jobs_and_threads_change_nothing)
{
    char *one, *many, *manifest_one, *manifest_many;
    struct error err;

    ck_assert_int_eq(run(yaml, NULL, 1).status, 0);
    one = in_out("steps/all/out.txt");
    manifest_one = in_out("manifest.json");
    ck_assert_int_eq(folder_remove(out, &err), 0);
    ck_assert_int_eq(run(yaml, NULL, 5).status, 0);
    many = in_out("steps/all/out.txt");
    manifest_many = in_out("manifest.json");
    ck_assert_str_eq(one, many);
    ck_assert_str_eq(manifest_one, manifest_many);
    free(one);
    free(many);
    free(manifest_one);
    free(manifest_many);
}
END_TEST

START_TEST(failures_name_the_step_and_keep_what_is_done)
{
    struct attempt outcome = run(yaml, "steps.rm.trouble=fail", 1);

    ck_assert_int_eq(outcome.status, -1);
    ck_assert_str_eq(outcome.err.message, "step 1/rm/x: the rm/x is out of words");
    outcome = run(yaml, NULL, 1);
    ck_assert_int_eq(outcome.status, 0);
    ck_assert_int_eq(outcome.pending, 6);
}
END_TEST

START_TEST(crashes_and_kills_are_told_apart)
{
    struct attempt outcome = run(yaml, "steps.rm.trouble=crash", 1);

    ck_assert_int_eq(outcome.status, -1);
    ck_assert_msg(strstr(outcome.err.message, "step 1/rm/x: its process crashed: Aborted") != NULL, "%s",
                  outcome.err.message);
    outcome = run(yaml, "steps.rm.trouble=kill", 1);
    ck_assert_msg(strstr(outcome.err.message, "memory ran out") != NULL, "%s", outcome.err.message);
}
END_TEST

/* Runs in a child until `moment` seconds have passed, then sends it a signal; its exit status. */
static int run_until(useconds_t moment, int signal_number) {
    pid_t child = fork();
    int status;

    if (child == 0) {
        struct attempt outcome = run(yaml, "steps.rm.pause=20", 2);

        _exit(outcome.interrupted ? 130 : outcome.status ? 1 : 0);
    }
    usleep(moment);
    kill(child, signal_number);
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(a_killed_run_goes_on_from_its_checkpoint)
{
    char *log, *text;
    int rows = 0;

    ck_assert_int_eq(run_until(400000, SIGKILL), -1); /* in the rm steps: 20 rows of 20 ms, state every 7 */
    text = in_out("steps/1/rm/.x.partial/state");
    ck_assert_ptr_nonnull(text);
    ck_assert_int_ge(atoi(text), 7);
    free(text);
    free(fakes_write(out, "steps/1/rm/.x.partial/half.tmp", "lost"));
    ck_assert_int_eq(run(yaml, "steps.rm.pause=20", 2).status, 0);
    log = in_out("steps/1/rm/x/log.jsonl");
    for (char *at = log; (at = strstr(at, "\"row\"")) != NULL; at++) {
        char *want = xprintf("\"row\":%d}", rows++);

        ck_assert_int_eq(strncmp(at, want, strlen(want)), 0);
        free(want);
    }
    ck_assert_int_eq(rows, 20);
    ck_assert_ptr_null(in_out("steps/1/rm/x/half.tmp"));
    free(log);
}
END_TEST

START_TEST(an_interruption_stops_the_children_and_says_so)
{
    ck_assert_int_eq(run_until(300000, SIGINT), 130);
    ck_assert_int_eq(run(yaml, "steps.rm.pause=20", 2).status, 0);
}
END_TEST

START_TEST(a_partial_of_other_options_is_thrown_away)
{
    char *text;

    ck_assert_int_eq(run_until(400000, SIGKILL), -1);
    free(fakes_write(out, "steps/1/rm/.x.partial/mark", "old"));
    ck_assert_int_eq(run(yaml, "steps.rm.rows=9", 2).status, 0);
    ck_assert_ptr_null(in_out("steps/1/rm/x/mark"));
    text = in_out("steps/1/rm/x/log.jsonl");
    ck_assert_ptr_nonnull(strstr(text, "\"row\":8}"));
    ck_assert_ptr_null(strstr(text, "\"row\":9}"));
    free(text);
}
END_TEST

/* What a plan of the last step is told of its input, "from". */
static char *planned_from(const char *text) {
    char *path = fakes_write(folder, "r.yaml", text), *from;
    struct pipeline_settings settings = {.out = out, .device = "cpu", .threads = 1, .jobs = 1};
    struct recipe recipe;
    struct pipeline pipeline;
    struct error err;
    struct run planned;
    struct step step;

    ck_assert_msg(!recipe_read(&recipe, path, NULL, 0, &err), "%s", err.message);
    ck_assert_int_eq(pipeline_open(&pipeline, &recipe, &settings, &err), 0);
    pipeline_step(&pipeline, &pipeline.tasks[recipe.count - 1], 1, &planned, &step);
    from = xstrdup(node_text(step.options, "from", NULL));
    node_free((struct node *)step.options);
    pipeline_close(&pipeline);
    recipe_free(&recipe);
    free(path);
    return from;
}

START_TEST(a_plan_is_told_what_model_a_step_to_come_will_have)
{
    char *same = planned_from("name: t\nsteps:\n  a: {use: count}\n  b: {use: count, from: a}\n"
                              "  c: {use: count, from: b}\n"),
         *none = planned_from("name: t\nsteps:\n  a: {use: count}\n  b: {use: count, from: a, word: bare}\n"
                              "  c: {use: count, from: b}\n");

    ck_assert_ptr_nonnull(strstr(same, "/steps/a")); /* that of what it starts from */
    ck_assert_str_eq(none, NO_MODEL);
    free(same);
    free(none);
}
END_TEST

START_TEST(two_runs_do_not_share_a_folder)
{
    struct error err;
    int mine = -1, theirs = -1;

    ck_assert_int_eq(folder_make(out, &err), 0);
    ck_assert_int_eq(run_lock(&mine, out, &err), 0);
    ck_assert_int_eq(run_lock(&theirs, out, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "another pyrite is at work"));
    close(mine);
    close(theirs);
}
END_TEST

START_TEST(steps_of_another_recipe_are_not_mixed_in)
{
    struct attempt outcome;

    ck_assert_int_eq(run(yaml, NULL, 2).status, 0);
    outcome = run(yaml, "matrix.seed=[1]", 2);
    ck_assert_int_eq(outcome.status, -1);
    ck_assert_msg(strstr(outcome.err.message, "steps/2/data is a step that this recipe does not have") !=
                      NULL,
                  "%s", outcome.err.message);
}
END_TEST

START_TEST(the_manifest_says_what_made_the_run_and_no_more)
{
    char *path = path_join(out, "manifest.json");
    struct error err = {0};
    struct node *manifest;
    const struct node *first;

    ck_assert_int_eq(run(yaml, "steps.data.word=other", 2).status, 0);
    manifest = document_read(path, &err);
    ck_assert_ptr_nonnull(manifest);
    ck_assert_str_eq(node_text(manifest, "name", ""), "t");
    ck_assert_str_eq(node_get(manifest, "command")->last->text, "steps.data.word=other");
    ck_assert_int_eq(node_get(manifest, "steps")->count, 7);
    first = node_get(manifest, "steps")->first;
    ck_assert_str_eq(node_text(first, "use", ""), "count");
    ck_assert_str_eq(node_text(node_get(first, "options"), "word", ""), "other");
    ck_assert_int_eq((int)node_number(node_get(first, "options"), "rows", 0), 20);
    ck_assert_uint_eq(strlen(node_text(node_get(first, "sources"), "in.txt", "")), 64);
    node_free(manifest);
    free(path);
}
END_TEST

START_TEST(the_store_has_every_finished_step_once)
{
    struct error err = {0};
    struct store *store;
    char *path = path_join(out, "run.db"), *entry;
    struct node *step;

    ck_assert_int_eq(run(yaml, NULL, 2).status, 0);
    unlink(path);
    ck_assert_int_eq(run(yaml, NULL, 2).status, 0); /* made again from the folders */
    ck_assert_int_eq(store_open(&store, path, &err), 0);
    entry = path_join(out, "steps/all/step.json");
    step = document_read(entry, &err);
    ck_assert_int_eq(store_has(store, "all", node_text(step, "hash", ""), &err), 1);
    ck_assert_int_eq(store_has(store, "all", "other", &err), 0);
    store_close(store);
    node_free(step);
    free(entry);
    free(path);
}
END_TEST

START_TEST(a_folder_outside_is_known_by_its_content)
{
    char before[65], after[65], *inner = path_join(folder, "given");
    struct error err;

    ck_assert_int_eq(folder_make(inner, &err), 0);
    free(fakes_write(inner, "a", "1"));
    ck_assert_int_eq(source_read(before, inner, &err), 0);
    free(fakes_write(inner, "timing.jsonl", "12 s"));
    ck_assert_int_eq(source_read(after, inner, &err), 0);
    ck_assert_str_eq(before, after);
    free(fakes_write(inner, "b", ""));
    ck_assert_int_eq(source_read(after, inner, &err), 0);
    ck_assert_str_ne(before, after);
    ck_assert_int_eq(source_read(after, "/nowhere/at/all", &err), -1);
    free(inner);
}
END_TEST

/* PEFT names a base as seen from the working directory, this program as seen from the adapter. */
START_TEST(an_adapter_is_known_by_its_base_too)
{
    char before[65], after[65], outer[65], *base = path_join(folder, "base");
    char *above = path_join(folder, "a"), *adapter = path_join(above, "b");
    struct error err;
    char *name, *found;

    ck_assert_int_eq(folder_make(base, &err), 0);
    ck_assert_int_eq(folder_make(adapter, &err), 0);
    free(fakes_write(base, "weights", "1"));
    ck_assert_int_eq(is_adapter(adapter), 0);
    name = adapter_base_name(adapter, base, &err);
    ck_assert_str_eq(name, "../../base");
    free(fakes_write(adapter, ADAPTER_CONFIG, "{\"base_model_name_or_path\": \"../../base\"}"));
    ck_assert_int_eq(is_adapter(adapter), 1);
    found = adapter_base_of(adapter);
    ck_assert_ptr_nonnull(found);
    ck_assert_int_eq(source_read(before, adapter, &err), 0);
    ck_assert_int_eq(source_read(outer, above, &err), 0);
    free(fakes_write(base, "weights", "2"));
    ck_assert_int_eq(source_read(after, adapter, &err), 0);
    ck_assert_str_ne(before, after);
    ck_assert_int_eq(source_read(after, above, &err), 0);
    ck_assert_str_ne(outer, after); /* and so is what holds one */
    free(fakes_write(adapter, ADAPTER_CONFIG, "{\"base_model_name_or_path\": \".\"}"));
    ck_assert_int_eq(source_read(after, adapter, &err), 0);
    ck_assert_ptr_null(adapter_base_find(adapter, "org/model"));
    free(found);
    free(name);
    free(base);
    free(above);
    free(adapter);
}
END_TEST

START_TEST(a_base_is_named_by_the_way_to_it)
{
    static const struct {
        const char *folder, *base, *name;
    } ways[] = {{"a/b", "c", "../../c"}, {"a/b", "a", ".."}, {"a", "a/b", "b"}, {"ab", "a", "../a"}};
    struct error err;

    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char *from = path_join(folder, ways[i].folder), *to = path_join(folder, ways[i].base), *name;

        ck_assert_int_eq(folder_make(from, &err), 0);
        ck_assert_int_eq(folder_make(to, &err), 0);
        name = adapter_base_name(from, to, &err);
        ck_assert_str_eq(name, ways[i].name);
        free(name);
        free(from);
        free(to);
    }
    ck_assert_ptr_null(adapter_base_name(folder, "/nowhere", &err));
    ck_assert_ptr_nonnull(strstr(err.message, "/nowhere: "));
}
END_TEST

START_TEST(logs_go_on_where_the_checkpoint_was)
{
    struct step step = {.folder = folder};
    struct log log;
    struct error err = {0};
    struct node *row = node_new(NODE_MAP);
    long length;
    char *text;

    node_add_number(row, "a", 1);
    ck_assert_int_eq(log_open(&log, &step, 0, &err), 0);
    ck_assert_int_eq(log_write(&log, row, &err), 0);
    length = log_sync(&log, &err);
    ck_assert_int_eq(length, 8);
    ck_assert_int_eq(log_write(&log, row, &err), 0);
    log_close(&log);
    ck_assert_int_eq(log_open(&log, &step, length, &err), 0);
    node_add_number(row, "b", 2);
    ck_assert_int_eq(log_write(&log, row, &err), 0);
    log_close(&log);
    text = fakes_read(folder, "log.jsonl");
    ck_assert_str_eq(text, "{\"a\":1}\n{\"a\":1,\"b\":2}\n");
    ck_assert_int_eq(log_open(&log, &step, 1000, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "has 22 bytes where the checkpoint knows of 1000"));
    free(text);
    node_free(row);
}
END_TEST

START_TEST(durations_read_well)
{
    char buffer[32];

    ck_assert_str_eq(format_seconds(buffer, 0.24), "0.2 s");
    ck_assert_str_eq(format_seconds(buffer, 42), "42 s");
    ck_assert_str_eq(format_seconds(buffer, 200), "3 min 20 s");
    ck_assert_str_eq(format_seconds(buffer, 7500), "2 h 05 min");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("pipeline");
    TCase *cases = tcase_create("pipeline");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_set_timeout(cases, 60);
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, steps_read_what_earlier_ones_wrote);
    tcase_add_test(cases, what_is_done_is_skipped);
    tcase_add_test(cases, a_change_runs_what_depends_on_it_and_no_more);
    tcase_add_test(cases, jobs_and_threads_change_nothing);
    tcase_add_test(cases, failures_name_the_step_and_keep_what_is_done);
    tcase_add_test(cases, crashes_and_kills_are_told_apart);
    tcase_add_test(cases, a_killed_run_goes_on_from_its_checkpoint);
    tcase_add_test(cases, an_interruption_stops_the_children_and_says_so);
    tcase_add_test(cases, a_partial_of_other_options_is_thrown_away);
    tcase_add_test(cases, a_plan_is_told_what_model_a_step_to_come_will_have);
    tcase_add_test(cases, two_runs_do_not_share_a_folder);
    tcase_add_test(cases, steps_of_another_recipe_are_not_mixed_in);
    tcase_add_test(cases, the_manifest_says_what_made_the_run_and_no_more);
    tcase_add_test(cases, the_store_has_every_finished_step_once);
    tcase_add_test(cases, a_folder_outside_is_known_by_its_content);
    tcase_add_test(cases, an_adapter_is_known_by_its_base_too);
    tcase_add_test(cases, a_base_is_named_by_the_way_to_it);
    tcase_add_test(cases, logs_go_on_where_the_checkpoint_was);
    tcase_add_test(cases, durations_read_well);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
