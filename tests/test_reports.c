/* Reports on a run made up here: gathered, arranged, said, drawn, and the same digits in every format. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/child.h"
#include "harness/file.h"
#include "harness/format.h"
#include "harness/memory.h"
#include "harness/registry.h"
#include "reports/browser.h"
#include "reports/figures.h"
#include "reports/findings.h"
#include "reports/provenance.h"
#include "reports/results.h"
#include "reports/sheet.h"

#include <check.h> /* last: it defines a macro named fail */

static char folder[] = "reports-test-XXXXXX";
static struct error err;

static void must(int status) {
    ck_assert_msg(status == 0, "%s", err.message);
}

/* Writes a step's folder: step.json with its matrix {world, seed, NAME: VALUE}. */
static char *make_step(const char *name, const char *use, const char *label, const char *matrix) {
    char *path = xprintf("%s/steps/%s", folder, name), *file = path_join(path, "step.json");
    char *json = xprintf("{\"name\": \"%s\", \"use\": \"%s\", \"label\": \"%s\", \"matrix\": %s}", name, use,
                         label, matrix);

    must(folder_make(path, &err));
    must(file_write(file, json, strlen(json), &err));
    free(file);
    free(json);
    return path;
}

static void make_file(char *step, const char *name, const char *text) {
    char *file = path_join(step, name);

    must(file_write(file, text, strlen(text), &err));
    free(file);
    free(step);
}

/* A level of 40 % and a change of `change` of one policy. */
static void add_measure(struct metrics *list, const char *policy, const char *split, double change,
                        double p) {
    struct metric *metric = metrics_add(list);

    metric->task = xstrdup("safety");
    metric->suite = xstrdup("refusal");
    metric->name = xstrdup("over_refusal");
    metric->policy = xstrdup(policy);
    metric->split = xstrdup(split);
    metric->unit = xstrdup("fraction");
    metric->method = xstrdup("share of prompts; Wilson interval");
    metric->value = 0.4 + change;
    metric->low = 0.3 + change;
    metric->high = 0.5 + change;
    metric->n = 120;
    metric->seeds = 2;
    metric->lower_is_better = 1;
    if (!change) return;
    metric = metrics_add(list);
    *metric = list->items[list->count - 2];
    metric->task = xstrdup("safety");
    metric->suite = xstrdup("refusal");
    metric->name = xstrdup("over_refusal");
    metric->policy = xstrdup(policy);
    metric->split = xstrdup(split);
    metric->unit = xstrdup("fraction");
    metric->method = xstrdup("paired difference");
    metric->baseline = xstrdup("sft");
    metric->family = xstrdup("refusal/safety");
    metric->value = change;
    metric->low = change - 0.0512;
    metric->high = change + 0.0512;
    metric->p = p / 2;
    metric->p_adjusted = p;
    metric->n = 118;
    metric->n_missing = 2;
    metric->per_seed = xcalloc(2, sizeof *metric->per_seed);
    metric->per_seed[0] = change + 0.25;
    metric->per_seed[1] = change - 0.25;
    metric->seeds_low = change - 3.177; /* Student's t with one degree of freedom, 12.706 */
    metric->seeds_high = change + 3.177;
    metric->p_seeds = 1 - 2 * atan(fabs(change) / 0.25) / acos(-1);
}

static void make_metrics(const char *step, double dose) {
    struct metrics list = {0};
    struct metric *metric;
    char *path = path_join(step, "metrics.jsonl");

    add_measure(&list, "ppo-seq2seq", "heldout", 0.1 * dose, 0.2);
    add_measure(&list, "sft", "heldout", 0, NAN);
    add_measure(&list, "null-longest", "heldout", 0, NAN);
    add_measure(&list, "ppo-scalar", "heldout", 0.3 * dose, 2.1e-5);
    add_measure(&list, "ppo-scalar", "ood", 0.2 * dose, 0.03);
    metric = metrics_add(&list);
    metric->suite = xstrdup("win_rate");
    metric->name = xstrdup("win_rate");
    metric->policy = xstrdup("ppo-scalar");
    metric->baseline = xstrdup("sft");
    metric->unit = xstrdup("fraction");
    metric->value = 0.412;
    metric->low = 0.35;
    metric->high = 0.47;
    metric->p = metric->p_adjusted = 0.004;
    metric->lower_is_better = 0;
    metric = metrics_add(&list);
    metric->suite = xstrdup("sophistry");
    metric->name = xstrdup("false_positive_rate");
    metric->policy = xstrdup("ppo-scalar");
    metric->reason = xstrdup("no item was answered wrongly by both");
    must(metrics_write(path, &list, &err));
    metrics_free(&list);
    free(path);
}

static void make_answers(const char *world, const char *policy, const char *label, int seed) {
    char *name = xprintf("%s/%d/answers/%s", world, seed, label);
    char *matrix = xprintf("{\"world\": \"%s\", \"seed\": %d, \"policy\": \"%s\"}", world, seed, label);
    char *step = make_step(name, "generate", "answers", matrix), *path = path_join(step, "transcripts.jsonl");
    struct transcripts list = {0};

    for (int i = 0; i < 20; i++) {
        struct transcript *one = transcripts_add(&list);

        one->id = xprintf("%s/%d/p%02d", policy, seed, i);
        one->prompt_id = xprintf("p%02d", i);
        one->split = xstrdup(i < 15 ? "heldout" : "ood");
        one->policy = xstrdup(policy);
        one->prompt = xprintf("question %d", i);
        one->response =
            xstrdup(i == 3 ? "</script><script>alert(1)</script> \xe2\x80\xae \x1b[1m" : "an answer");
        one->category = xstrdup("benign");
        one->finish = xstrdup(i == 4 ? "length" : "eos");
        one->tokens = 5 + i;
        one->seed = seed;
    }
    must(transcripts_write(path, &list, &err));
    transcripts_free(&list);
    free(path);
    free(step);
    free(matrix);
    free(name);
}

/* Gold rises and falls as d(1 − 0.5 ln d), d = √KL: its peak is at e. */
static void make_training(const char *world, int seed) {
    char *name = xprintf("%s/%d/ppo/scalar", world, seed);
    char *matrix = xprintf("{\"world\": \"%s\", \"seed\": %d, \"kind\": \"scalar\"}", world, seed);
    struct text log = {0};

    for (int i = 0; i < 12; i++) {
        double d = 0.5 * i;
        text_printf(
            &log,
            "{\"iteration\": %d, \"reward\": %g, \"gold\": %.12g, \"kl\": %g, \"length\": 7, \"refused\": "
            "%g%s}\n",
            i + 1, 0.1 + d, d > 0 ? 0.25 + d * (1 - 0.5 * log1p(d - 1)) : 0.25, d * d,
            !strcmp(world, "ant") ? 0.1 * (i % 3) : 0,
            i == 9 && seed == 2 ? ", \"events\": [\"entropy\"]" : "");
    }
    make_file(make_step(name, "ppo", "ppo/scalar", matrix), "log.jsonl", log.data);
    free(log.data);
    free(matrix);
    free(name);
}

static void make_verdicts(const char *step) {
    char *path = path_join(step, "verdicts.jsonl");
    static const char text[] =
        "{\"transcript\": \"ppo-scalar/1/p02\", \"judge\": \"detector\", \"what\": \"refused\", \"outcome\": "
        "\"verdict\", \"score\": 1}\n"
        "{\"transcript\": \"ppo-scalar/1/p02\", \"judge\": \"gold\", \"what\": \"correct\", \"outcome\": "
        "\"verdict\", \"score\": 0}\n"
        "{\"transcript\": \"sft/2/p01\", \"judge\": \"bounded\", \"what\": \"approval\", \"outcome\": "
        "\"verdict\", "
        "\"score\": 1}\n"
        "{\"transcript\": \"sft/2/p01\", \"judge\": \"gold\", \"what\": \"gold\", \"outcome\": "
        "\"unparsed\"}\n"
        "{\"transcript\": \"ppo-scalar/1/p02\", \"other\": \"sft/1/p02\", \"judge\": \"llm\", \"what\": "
        "\"preference\", \"outcome\": \"verdict\", \"score\": 0.731, \"order\": 2, \"reason\": "
        "\"<shorter>\", "
        "\"raw\": \"I say\\u200b B\"}\n"
        "{\"transcript\": \"ppo-scalar/1/p02\", \"other\": \"elsewhere\", \"judge\": \"llm\", \"what\": "
        "\"preference\", \"outcome\": \"tie\", \"score\": 0.5, \"order\": 1}\n";

    must(file_write(path, text, strlen(text), &err));
    free(path);
}

static void make_evaluation(const char *world) {
    char *matrix = xprintf("{\"world\": \"%s\"}", world), *name = xprintf("%s/evaluate", world);
    char *step = make_step(name, "evaluate", "evaluate", matrix);

    make_metrics(step, 1);
    make_verdicts(step);
    make_file(
        step, "token_rewards.jsonl",
        "{\"task\": \"safety\", \"policy\": \"ppo-scalar\", \"reward\": \"rm-seq2seq\", \"transcript\": "
        "\"ppo-scalar/1/p02\", \"tokens\": [\" good\", \" <bad>\"], \"rewards\": [0.5, -0.25]}\n");
    free(matrix);
    free(name);
}

static void make_manifest(void) {
    static const char text[] = "{\"name\": \"made-up\", \"title\": \"A run <made> up\", \"command\": "
                               "[\"pyrite\", \"run\", \"it.yaml\"], "
                               "\"libraries\": {\"gsl\": \"2.7.1\"}, \"document\": {\"matrix\": {\"world\": "
                               "[\"zebra\", \"ant\"], \"seed\": "
                               "[1, 2]}}, \"steps\": [{\"name\": \"x\"}]}";
    char *path = path_join(folder, "manifest.json");

    must(file_write(path, text, strlen(text), &err));
    free(path);
}

static void make_run(void) {
    static const char *const worlds_made[] = {"ant", "zebra"};

    ck_assert(mkdtemp(folder));
    make_manifest();
    for (int i = 0; i < 2; i++) {
        for (int seed = 1; seed <= 2; seed++) {
            make_answers(worlds_made[i], "sft", "sft", seed);
            make_answers(worlds_made[i], "ppo-scalar", "ppo/scalar", seed);
            make_training(worlds_made[i], seed);
        }
        make_evaluation(worlds_made[i]);
    }
}

static void remove_run(void) {
    must(folder_remove(folder, &err));
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
}

static struct results gathered(void) {
    struct results results;

    must(results_gather(&results, folder, &err));
    return results;
}

static char *report_text(const char *name) {
    char *path = xprintf("%s/report/%s", folder, name);
    size_t length;
    char *text = file_read(path, &length, &err);

    ck_assert_msg(text, "%s", err.message);
    free(path);
    return text;
}

static void holds(const char *text, const char *part) {
    ck_assert_msg(strstr(text, part), "\"%s\" is missing", part);
}

START_TEST(a_run_is_gathered_in_the_recipes_order)
{
    struct results results = gathered();
    int count;
    const char **policies = results_policies(&results, &count);

    ck_assert_str_eq(results.title, "A run <made> up");
    ck_assert_int_eq(results.evaluation_count, 2);
    ck_assert_str_eq(results.evaluations[0].name, "zebra");
    ck_assert_str_eq(results.evaluations[1].task, "ant");
    ck_assert_int_eq(results.evaluations[1].transcripts.count, 80);
    ck_assert_int_eq(results.evaluations[0].verdicts.count, 6);
    ck_assert_int_eq(results.curve_count, 4);
    ck_assert_str_eq(results.curves[0].policy, "ppo-scalar");
    ck_assert_int_eq(results.curves[1].seed, 2);
    ck_assert_int_eq(count, 2);
    ck_assert_str_eq(policies[0], "sft");
    ck_assert_str_eq(policies[1], "ppo-scalar");
    free(policies);
    results_free(&results);
}
END_TEST

START_TEST(what_is_no_run_is_refused_with_a_reason)
{
    struct results results;
    struct node *formats = node_new(NODE_LIST);

    ck_assert_int_eq(results_gather(&results, "no/such/folder", &err), -1);
    holds(err.message, "no/such/folder holds no run");
    node_add_text(formats, NULL, "markdwn");
    ck_assert_int_eq(report_write(folder, formats, &err), -1);
    holds(err.message, "there is no report format 'markdwn'; did you mean 'markdown'?");
    node_free(formats);
}
END_TEST

START_TEST(broken_records_name_file_and_line)
{
    char *step = make_step("ant/evaluate", "evaluate", "evaluate", "{\"world\": \"ant\"}");
    struct results results;

    make_file(step, "metrics.jsonl", "{\"suite\": \"x\"}\n");
    ck_assert_int_eq(results_gather(&results, folder, &err), -1);
    holds(err.message, "metrics.jsonl:1");
}
END_TEST

START_TEST(a_sheet_has_policies_down_and_metrics_across)
{
    struct results results = gathered();
    struct sheets sheets;
    const struct sheet *sheet;
    struct notes notes;
    char *counts;

    sheets_arrange(&sheets, &results.evaluations[0]);
    ck_assert_int_eq(sheets.count, 4); /* refusal heldout and ood, win_rate, sophistry */
    sheet = &sheets.items[0];
    ck_assert_str_eq(sheet->name, "zebra-refusal-heldout");
    ck_assert_int_eq(sheet->row_count, 4);
    ck_assert_str_eq(sheet->rows[0].name, "sft");
    ck_assert_str_eq(sheet->rows[1].name, "ppo-seq2seq");
    ck_assert_str_eq(sheet->rows[3].name, "null-longest");
    ck_assert_int_eq(sheet->heading_count, 2);
    ck_assert_ptr_null(sheet_cell(sheet, 0, 1));
    ck_assert_double_eq_tol(sheet_cell(sheet, 2, 1)->value, 0.3, 1e-12);
    counts = sheet_counts(sheet, 2);
    ck_assert_str_eq(counts, "118 to 120, 2 missing");
    free(counts);
    sheet_notes(&notes, sheet, &results.effect);
    ck_assert_int_eq(notes.count, 5);
    ck_assert_str_eq(
        notes.items[0],
        "* p < 0.05, ** p < 0.01, *** p < 0.001, corrected by Holm's method within: refusal/safety.");
    ck_assert_str_eq(notes.items[1], "over refusal: share of prompts; Wilson interval.");
    ck_assert_str_eq(notes.items[2], "over refusal change: paired difference.");
    ck_assert_str_eq(
        notes.items[4], /* 2.8016 standard errors of 0.0512 / 1.96 */
        "Not powered to see a change of 5.0 pp, the default where none was stated beforehand; power 0.8 "
        "begins "
        "at: over refusal change of ppo-seq2seq 7.3 pp, over refusal change of ppo-scalar 7.3 pp.");
    notes_free(&notes);
    sheet_notes(&notes, &sheets.items[3], &results.effect);
    ck_assert_str_eq(notes.items[0],
                     "No figure (no item was answered wrongly by both): false positive rate of ppo-scalar.");
    notes_free(&notes);
    sheets_free(&sheets);
    results_free(&results);
}
END_TEST

/* Both evaluations compare with ppo-scalar, and say so. */
static void compare_with_ppo(void) {
    static const char *const made[] = {"ant", "zebra"};

    for (int i = 0; i < 2; i++) {
        char *path = xprintf("%s/steps/%s/evaluate/step.json", folder, made[i]);
        char *json =
            xprintf("{\"use\": \"evaluate\", \"label\": \"evaluate\", \"matrix\": {\"world\": \"%s\"}, "
                    "\"options\": {\"baseline\": \"ppo-scalar\"}}",
                    made[i]);

        must(file_write(path, json, strlen(json), &err));
        free(json);
        free(path);
    }
}

START_TEST(the_baseline_that_an_evaluation_names_comes_first)
{
    struct results results;
    struct sheets sheets;
    const char **policies;
    char *overview;
    int count;

    compare_with_ppo();
    results = gathered();
    policies = results_policies(&results, &count);
    ck_assert_int_eq(count, 2);
    ck_assert_str_eq(policies[0], "ppo-scalar");
    ck_assert_str_eq(policies[1], "sft");
    sheets_arrange(&sheets, &results.evaluations[0]);
    ck_assert_str_eq(sheets.items[0].rows[0].name, "ppo-scalar");
    ck_assert_str_eq(sheets.items[0].rows[1].name, "ppo-seq2seq");
    ck_assert_str_eq(sheets.items[0].rows[2].name, "sft");
    ck_assert_str_eq(sheets.items[0].rows[3].name, "null-longest");
    overview = findings_overview(&results);
    holds(overview, "2 evaluations of ppo-scalar and 1 other policy");
    free(overview);
    sheets_free(&sheets);
    free(policies);
    results_free(&results);
}
END_TEST

START_TEST(what_moved_is_said_with_figures)
{
    struct results results = gathered();
    int count, at = 0;
    struct findings *findings = findings_of(&results.evaluations[0], &count), *scalar;
    char *sentence, *overview = findings_overview(&results), *total;

    ck_assert_int_eq(count, 2);
    ck_assert_str_eq(findings[0].policy, "ppo-seq2seq");
    ck_assert_int_eq(findings[0].significant, 0);
    scalar = &findings[1];
    ck_assert_int_eq(scalar->count, 3);
    ck_assert_int_eq(scalar->significant, 2);
    ck_assert_int_eq(scalar->disputed, 1); /* on ood one seed fell */
    sentence = finding_sentence(findings_next(scalar, &at));
    ck_assert_str_eq(sentence,
                     "over refusal, heldout, against sft: +30.0 pp [+24.9, +35.1], worse, p = 2.1e−5; seeds "
                     "+55.0 +5.0, over 2 seeds [−287.7, +347.7], p = 0.44");
    free(sentence);
    sentence = finding_sentence(findings_next(scalar, &at));
    ck_assert_str_eq(sentence, "win rate, against sft: 41.2 % [35.0, 47.0], worse, p = 0.0040");
    free(sentence);
    ck_assert_ptr_null(findings_next(scalar, &at));
    total = findings_total(scalar);
    holds(total, "2 of 3 comparisons significant; 1 more over prompts alone: seeds disagree. Power 0.8 for "
                 "changes of a rate from 7.3 pp on");
    holds(overview, "2 evaluations of sft and 1 other policy, 2 seeds, 160 responses. 4 of 8 tested "
                    "comparisons are significant at 0.05 "
                    "after correction, with all seeds on one side; of these 0 also over seeds (p below 0.05, "
                    "one by one). "
                    "2 more are over prompts, but their seeds disagree");
    free(total);
    free(overview);
    findings_free(findings, count);
    results_free(&results);
}
END_TEST

START_TEST(what_seeds_disagree_on_is_not_found)
{
    double seeds[] = {0.1, -0.2, 0.3};
    struct metric metric = {.name = "wrong",
                            .policy = "ppo",
                            .baseline = "sft",
                            .value = 0.1,
                            .low = 0,
                            .high = 0.2,
                            .level = 0.95,
                            .p = 0.04,
                            .p_adjusted = NAN,
                            .seeds = 3,
                            .per_seed = seeds,
                            .lower_is_better = 1};
    struct finding finding = finding_of(&metric);

    ck_assert_int_eq(finding.significant, 0);
    ck_assert_int_eq(finding.disputed, 1);
    seeds[1] = 0.2;
    finding = finding_of(&metric);
    ck_assert_int_eq(finding.significant, 1);
    ck_assert_int_eq(finding.disputed, 0);
    ck_assert_int_eq(finding.better, 0);
    ck_assert_double_eq_tol(finding.error, 0.2 / (2 * 1.96), 1e-4);
    metric.policy = "null-longest";
    ck_assert(!finding_exists(&metric));
}
END_TEST

START_TEST(limitations_are_counted_from_the_files)
{
    struct results results = gathered();
    struct notes limits;
    struct text all = {0};

    limitations_of(&limits, &results);
    for (int i = 0; i < limits.count; i++) text_printf(&all, "%s\n", limits.items[i]);
    holds(all.data, "2 seeds: intervals, p and stars hold over prompts, for these very models");
    holds(all.data, "zebra: 5.0 % of 80 responses were cut at the length limit.");
    holds(all.data, "ant: 1 metric could not be computed");
    free(all.data);
    notes_free(&limits);
    results_free(&results);
}
END_TEST

/* Two steps of the made-up run warn; `file` of a third makes it warn too. */
static void warns(const char *file, const char *text, const char *line) {
    struct results results;
    char *step = path_join(folder, "steps/ant/1/other");
    int found = 0;

    make_file(make_step("ant/1/other", "other", "other", "{}"), file, text);
    must(results_gather(&results, folder, &err));
    ck_assert_int_eq(results.warnings.count, 3);
    for (int i = 0; i < 3; i++) {
        char *told = warning_line(&results.warnings.items[i]);

        found |= !strcmp(told, line);
        free(told);
    }
    ck_assert_msg(found, "\"%s\" is missing", line);
    results_free(&results);
    must(folder_remove(step, &err));
    free(step);
}

START_TEST(every_alarm_of_a_step_is_a_warning)
{
    warns(
        "reward.json",
        "{\"samples\": 256, \"length_correlation\": 0.771, \"events\": [\"length_correlation\"]}",
        "ant/1/other: length_correlation: total reward and length correlate at 0.77 on 256 samples; a policy "
        "will find that out");
    warns("log.jsonl",
          "{\"kl\": 26}\n{\"kl\": 30, \"events\": [\"kl_blowup\"]}\n{\"kl\": 63.7, \"events\": "
          "[\"kl_blowup\"]}\n",
          "ant/1/other: kl_blowup in 2 of 3 rows of its log, first in row 2: kl up to 63.7 nats");
    warns("dropped.jsonl", "{\"row\": 1, \"reason\": \"long\"}\n{\"row\": 5, \"reason\": \"long\"}\n",
          "ant/1/other: 2 rows were left out; dropped.jsonl lists them with the reason");
    warns("warnings.jsonl", "{\"warning\": \"a says nothing to 12 of 12 prompts\"}\n",
          "ant/1/other: a says nothing to 12 of 12 prompts");
    warns("log.jsonl", "{\"loss\": 1}\n{\"events\": [\"nan\"]}\n",
          "ant/1/other: nan in 1 of 2 rows of its log, first in row 2");
}
END_TEST

START_TEST(warnings_stand_in_every_format)
{
    static const char *const files[] = {"report.md", "report.html", "report.tex", "report.json",
                                        "warnings.csv"};
    struct node *formats = node_new(NODE_LIST);

    for (int i = 0; reports[i]; i++) node_add_text(formats, NULL, reports[i]->name);
    make_file(make_step("ant/1/rm", "reward", "rm", "{}"), "reward.json",
              "{\"samples\": 9, \"length_correlation\": -0.5, \"events\": [\"length_correlation\"]}");
    must(report_write(folder, formats, &err));
    for (int i = 0; i < 5; i++) {
        char *text = report_text(files[i]), *at = strstr(text, "ant/1/rm");

        ck_assert_msg(at && strstr(at, "correlate at -0.50 on 9 samples"), "%s does not warn", files[i]);
        free(text);
    }
    node_free(formats);
}
END_TEST

START_TEST(a_run_of_data_alone_has_nothing_to_report_on)
{
    struct results results;
    char *steps = path_join(folder, "steps"), *manifest = path_join(folder, "manifest.json");
    static const char text[] = "{\"steps\": [{\"name\": \"data\", \"use\": \"world\"}]}";

    must(folder_remove(steps, &err));
    free(make_step("data", "world", "data", "{}"));
    ck_assert_int_eq(results_gather(&results, folder, &err), -1);
    holds(err.message, "nothing to report on: none of its steps trains or evaluates");
    must(file_write(manifest, "{\"steps\": [{\"use\": \"ppo\"}]}", 27, &err));
    ck_assert_int_eq(results_gather(&results, folder, &err), -1);
    holds(err.message, "no finished training or evaluate step to report on; 'pyrite run' goes on with it");
    must(file_write(manifest, text, strlen(text), &err));
    ck_assert_int_eq(results_gather(&results, folder, &err), -1);
    holds(err.message, "nothing to report on");
    free(manifest);
    free(steps);
}
END_TEST

START_TEST(provenance_tells_scalars_and_the_command)
{
    struct results results = gathered();
    struct facts facts;
    char *command = command_of(&results);
    int found = 0;

    ck_assert_str_eq(command, "pyrite run it.yaml");
    facts_of(&facts, &results);
    for (int i = 0; i < facts.count; i++) {
        found += !strcmp(facts.items[i].name, "libraries gsl") && !strcmp(facts.items[i].value, "2.7.1");
        found += !strcmp(facts.items[i].name, "matrix seed") && !strcmp(facts.items[i].value, "1, 2");
        ck_assert_ptr_null(strstr(facts.items[i].name, "document"));
    }
    ck_assert_int_eq(found, 2);
    facts_free(&facts);
    free(command);
    results_free(&results);
}
END_TEST

/* The metric's text as the CSV has it must stand in the other formats. */
struct comparison {
    char *markdown, *html;
    const struct node *json; /* the metrics of all evaluations, in the CSV's order */
    int rows;
};

static int compare_row(void *context, const struct node *row, int line, struct error *unused) {
    struct comparison *comparison = context;
    const char *shown = node_text(row, "shown", ""), *bracket = strchr(shown, '[');
    char *value = xstrndup(shown, bracket ? (size_t)(bracket - shown) - 1 : strlen(shown)), *cell;

    (void)line;
    (void)unused;
    holds(comparison->markdown, shown);
    cell = bracket ? xprintf("<b>%s</b>", value) : xprintf("<b>%s</b></td>", value);
    holds(comparison->html, cell);
    if (bracket) holds(comparison->html, bracket);
    ck_assert_str_eq(node_text(comparison->json, "shown", ""), shown);
    if (*node_text(row, "value", ""))
        ck_assert(node_number(comparison->json, "value", NAN) == atof(node_text(row, "value", "")));
    comparison->json = comparison->json->next;
    comparison->rows++;
    free(cell);
    free(value);
    return 0;
}

START_TEST(all_formats_print_the_same_digits)
{
    struct comparison comparison = {0};
    struct node *json, *metrics = node_new(NODE_LIST);
    char *csv = xprintf("%s/report/report.csv", folder), *path = xprintf("%s/report/report.json", folder);

    must(report_write(folder, NULL, &err));
    comparison.markdown = report_text("report.md");
    comparison.html = report_text("report.html");
    json = document_read(path, &err);
    ck_assert_msg(json, "%s", err.message);
    for (const struct node *at = node_get(json, "evaluations")->first; at; at = at->next)
        for (const struct node *metric = node_get(at, "metrics")->first; metric; metric = metric->next)
            node_add_copy(metrics, NULL, metric);
    comparison.json = metrics->first;
    must(document_each(csv, compare_row, &comparison, &err));
    ck_assert_int_eq(comparison.rows, 20);
    ck_assert_ptr_null(comparison.json);
    node_free(json);
    node_free(metrics);
    free(comparison.markdown);
    free(comparison.html);
    free(csv);
    free(path);
}
END_TEST

START_TEST(the_page_needs_no_network_and_runs_no_models_text)
{
    char *html;

    must(report_write(folder, NULL, &err));
    html = report_text("report.html");
    holds(html, "<title>A run &lt;made&gt; up</title>");
    ck_assert_ptr_null(strstr(html, "<script>alert"));
    holds(html, "\\u003c/script>\\u003cscript>alert(1)");
    ck_assert_ptr_null(strstr(html, "\xe2\x80\xae"));
    holds(html, "⟨U+202E⟩ ␛[1m");
    ck_assert_ptr_null(strstr(html, "src="));
    ck_assert_ptr_null(strstr(html, "<link"));
    ck_assert_ptr_null(strstr(html, "@import"));
    holds(html, "default-src 'none'");
    free(html);
}
END_TEST

START_TEST(token_rewards_are_shaded_by_their_share)
{
    char *html, *markdown;

    must(report_write(folder, NULL, &err));
    html = report_text("report.html");
    holds(html, "<span class=\"pos\" style=\"--w:1.00\" title=\"0.500\"> good</span>");
    holds(html, "<span class=\"neg\" style=\"--w:0.50\" title=\"−0.250\"> &lt;bad&gt;</span>");
    holds(html, "question 2</p>");
    markdown = report_text("report.md");
    holds(markdown, " good (0.500)  \\<bad\\> (−0.250)");
    free(html);
    free(markdown);
}
END_TEST

static struct node *browser_data(const struct results *results, struct browser_counts *counts) {
    struct text text = {0};
    struct node *data;

    browser_add_data(&text, results, counts);
    ck_assert_ptr_null(strchr(text.data, '<'));
    data = document_parse_json(text.data, text.length, "browser", 1, &err);
    ck_assert_msg(data, "%s", err.message);
    free(text.data);
    return data;
}

static const struct node *item(const struct node *list, int place) {
    const struct node *at = list->first;

    while (place--) at = at->next;
    return at;
}

/* The field of a row; of a row that names a text or a name by its place, that. */
static const char *named(const struct node *data, const char *list, const struct node *row, int field) {
    return item(node_get(data, list), (int)item(row, field)->number)->text;
}

START_TEST(the_browser_gets_answers_with_their_verdicts)
{
    struct results results = gathered();
    struct browser_counts counts;
    struct node *data = browser_data(&results, &counts);
    const struct node *verdicts = node_get(data, "verdicts"), *row = verdicts->first, *answer;

    ck_assert_int_eq(counts.shown, 160);
    ck_assert_int_eq(counts.total, 160);
    ck_assert_int_eq(node_get(data, "prompts")->count, 40);
    ck_assert_int_eq(verdicts->count, 12); /* six in each evaluation */
    answer = item(node_get(data, "answers"), (int)row->first->number);
    ck_assert_str_eq(item(answer, 6)->text, "ppo-scalar/1/p02");
    ck_assert_str_eq(item(answer, 7)->text, "tokens");
    ck_assert_str_eq(named(data, "texts", answer, 5), "an answer");
    ck_assert_str_eq(named(data, "policies", answer, 1), "ppo-scalar");
    ck_assert_str_eq(named(data, "judges", row, 2), "detector");
    ck_assert_str_eq(named(data, "whats", row, 3), "refused");
    ck_assert_double_eq(item(row, 5)->number, 1);
    ck_assert_int_eq(item(row, 1)->kind, NODE_NULL);
    row = item(verdicts, 3);
    ck_assert_double_eq(item(row, 4)->number, OUTCOME_UNPARSED);
    ck_assert_int_eq(item(row, 5)->kind, NODE_NULL);
    node_free(data);
    results_free(&results);
}
END_TEST

START_TEST(the_browser_gets_pairs_with_order_reason_and_reply)
{
    struct results results = gathered();
    struct browser_counts counts;
    struct node *data = browser_data(&results, &counts);
    const struct node *row = item(node_get(data, "verdicts"), 4), *other;

    other = item(node_get(data, "answers"), (int)item(row, 1)->number);
    ck_assert_str_eq(item(other, 6)->text, "sft/1/p02");
    ck_assert_str_eq(item(row, 5)->text, "0.731");
    ck_assert_double_eq(item(row, 6)->number, 2);
    ck_assert_str_eq(named(data, "texts", row, 7), "<shorter>");
    ck_assert_str_eq(named(data, "texts", row, 8), "I say⟨U+200B⟩ B");
    ck_assert_str_eq(item(item(node_get(data, "verdicts"), 5), 1)->text, "elsewhere");
    ck_assert_double_eq(node_get(data, "baselines")->first->number, 0); /* sft */
    node_free(data);
    results_free(&results);
}
END_TEST

/* Every text stands there once: 20 questions, an answer and a hostile one, a reason and a reply. */
START_TEST(the_browser_keeps_each_text_once)
{
    struct results results = gathered();
    struct browser_counts counts;
    struct node *data = browser_data(&results, &counts);

    ck_assert_int_eq(node_get(data, "texts")->count, 24);
    ck_assert_int_eq(node_get(data, "maps")->count, 2);
    ck_assert_str_eq(item(node_get(data, "maps")->first, 3)->last->text, "−0.250");
    node_free(data);
    results_free(&results);
}
END_TEST

/* 12,000 prompts of two policies in one evaluation: 24,000 answers, of which the page takes whole prompts. */
START_TEST(the_browser_leaves_out_whole_prompts_beyond_its_limits)
{
    char *step = make_step("bee/1/answers/sft", "generate", "answers", "{\"world\": \"bee\"}"),
         *path = path_join(step, "transcripts.jsonl"), *giant = xmalloc(2 * BROWSER_TEXT + 1);
    struct transcripts list = {0};
    struct browser_counts counts;
    struct results results;
    struct node *data;

    free(make_step("bee/evaluate", "evaluate", "evaluate", "{\"world\": \"bee\"}"));
    for (int i = 0; i < 24000; i++) {
        struct transcript *one = transcripts_add(&list);

        one->id = xprintf("%d", i);
        one->prompt_id = xprintf("p%05d", i / 2);
        one->policy = xstrdup(i % 2 ? "ppo" : "sft");
        one->prompt = xstrdup("why");
        one->response = xstrdup("so");
    }
    for (int i = 0; i < 2 * BROWSER_TEXT; i += 2) memcpy(giant + i, "é", 2);
    giant[2 * BROWSER_TEXT] = 0;
    free(list.items[0].response);
    list.items[0].response = xprintf("a%s", giant); /* the limit falls inside a character */
    must(transcripts_write(path, &list, &err));
    results = gathered();
    data = browser_data(&results, &counts);
    ck_assert_int_eq(counts.total, 24160);
    ck_assert_int_le(counts.shown, BROWSER_ANSWERS);
    ck_assert_int_gt(counts.shown, BROWSER_ANSWERS - 100);
    ck_assert_int_eq(node_get(data, "answers")->count, counts.shown);
    for (const struct node *row = node_get(data, "answers")->first; row; row = row->next)
        if (!strcmp(row->last->text, "0"))
            holds(named(data, "texts", row, 5), "é\n[20002 more bytes are in the run's folder]");
    node_free(data);
    results_free(&results);
    transcripts_free(&list);
    free(giant);
    free(path);
    free(step);
}
END_TEST

static const struct figure *find_figure(const struct results *results, const char *file) {
    for (int i = 0; i < results->figure_count; i++)
        if (!strcmp(results->figures[i].file, file)) return &results->figures[i];
    return NULL;
}

START_TEST(figures_show_curves_and_the_fit)
{
    struct results results = gathered();
    const struct figure *gold;

    figures_draw(&results);
    ck_assert_ptr_nonnull(find_figure(&results, "ant-training-kl.svg"));
    ck_assert_ptr_nonnull(find_figure(&results, "zebra-length.svg"));
    ck_assert_ptr_nonnull(find_figure(&results, "ant-training-refused.svg"));
    ck_assert_ptr_null(find_figure(&results, "zebra-training-refused.svg")); /* never: no figure */
    gold = find_figure(&results, "ant-gold-kl.svg");
    ck_assert_ptr_nonnull(gold);
    holds(gold->caption, "ppo-scalar: α = 1.00, β = 0.500, peak 1.36 at √KL = 2.72, inside the data.");
    if (!results.figure_note) {
        ck_assert(!strncmp(gold->svg, "<svg", 4));
        ck_assert_ptr_null(strstr(gold->svg, "id=\"gnuplot"));
        holds(gold->svg, "ppo-scalar");
    }
    results_free(&results);
}
END_TEST

START_TEST(a_dose_is_drawn_against_the_response)
{
    static const char *const doses[] = {"0.5", "1"};
    struct results results;

    for (int i = 0; i < 2; i++) {
        char *name = xprintf("bee/%s/evaluate", doses[i]);
        char *matrix = xprintf("{\"world\": \"bee\", \"bias\": %s}", doses[i]);
        char *step = make_step(name, "evaluate", "evaluate", matrix);

        make_metrics(step, atof(doses[i]));
        free(step);
        free(matrix);
        free(name);
    }
    results = gathered();
    ck_assert_ptr_nonnull(results_evaluation(&results, "bee, bias 0.5"));
    ck_assert_int_eq(results_evaluation(&results, "bee, bias 0.5")->transcripts.count, 0);
    figures_draw(&results);
    ck_assert_ptr_nonnull(find_figure(&results, "bee-dose-refusal-over-refusal-heldout.svg"));
    must(report_write(folder, NULL, &err)); /* two evaluations, whose names differ behind a dot */
    free(report_text("tables/bee--bias-0-5-refusal-heldout.tex"));
    free(report_text("tables/bee--bias-1-refusal-heldout.tex"));
    ck_assert_ptr_null(find_figure(&results, "ant-dose-refusal-over-refusal-heldout.svg"));
    results_free(&results);
}
END_TEST

START_TEST(without_gnuplot_the_report_says_so)
{
    char *html, *old = xstrdup(getenv("PATH"));

    setenv("PATH", "/nowhere", 1);
    must(report_write(folder, NULL, &err));
    setenv("PATH", old, 1);
    html = report_text("report.html");
    holds(html, "No figures: ");
    holds(html, "gnuplot");
    ck_assert_ptr_null(strstr(html, "<svg"));
    free(html);
    free(old);
}
END_TEST

static void hash_report(char hex[65], const char *name) {
    char *path = xprintf("%s/report/%s", folder, name);

    must(hash_file(hex, path, &err));
    free(path);
}

START_TEST(the_same_run_gives_the_same_bytes)
{
    static const char *const files[] = {"report.md",
                                        "report.html",
                                        "report.csv",
                                        "tables.csv",
                                        "report.json",
                                        "report.tex",
                                        "tables/ant-win-rate.tex",
                                        "figures/ant-length.pdf"};
    int count = sizeof files / sizeof *files - !program_exists("gnuplot");
    char first[8][65], again[65];

    must(report_write(folder, NULL, &err));
    for (int i = 0; i < count; i++) hash_report(first[i], files[i]);
    must(report_write(folder, NULL, &err));
    for (int i = 0; i < count; i++) {
        hash_report(again, files[i]);
        ck_assert_msg(!strcmp(first[i], again), "%s differs", files[i]);
    }
}
END_TEST

START_TEST(only_the_formats_asked_for_are_written)
{
    struct node *formats = node_new(NODE_LIST);
    char *csv = xprintf("%s/report/report.csv", folder), *html = xprintf("%s/report/report.html", folder);

    node_add_text(formats, NULL, "csv");
    must(report_write(folder, formats, &err));
    ck_assert(file_exists(csv) && !file_exists(html));
    node_free(formats);
    free(csv);
    free(html);
}
END_TEST

/* No evaluate step has finished yet: the curves are there. */
START_TEST(training_alone_can_be_reported)
{
    char *ant = xprintf("%s/steps/ant/evaluate", folder), *zebra = xprintf("%s/steps/zebra/evaluate", folder),
         *text;

    must(folder_remove(ant, &err));
    must(folder_remove(zebra, &err));
    must(report_write(folder, NULL, &err));
    text = report_text("report.md");
    holds(text, "## World ant");
    free(text);
    free(ant);
    free(zebra);
}
END_TEST

static Suite *reports_suite(void) {
    Suite *suite = suite_create("reports");
    TCase *read = tcase_create("a made-up run"), *changed = tcase_create("a run that is changed");

    tcase_add_unchecked_fixture(read, make_run, remove_run);
    tcase_add_checked_fixture(changed, make_run, remove_run);
    tcase_set_timeout(read, 60);
    tcase_set_timeout(changed, 60);
    tcase_add_test(read, a_run_is_gathered_in_the_recipes_order);
    tcase_add_test(read, what_is_no_run_is_refused_with_a_reason);
    tcase_add_test(read, a_sheet_has_policies_down_and_metrics_across);
    tcase_add_test(read, what_moved_is_said_with_figures);
    tcase_add_test(read, what_seeds_disagree_on_is_not_found);
    tcase_add_test(read, limitations_are_counted_from_the_files);
    tcase_add_test(read, provenance_tells_scalars_and_the_command);
    tcase_add_test(read, the_browser_gets_answers_with_their_verdicts);
    tcase_add_test(read, the_browser_gets_pairs_with_order_reason_and_reply);
    tcase_add_test(read, the_browser_keeps_each_text_once);
    tcase_add_test(read, figures_show_curves_and_the_fit);
    tcase_add_test(read, only_the_formats_asked_for_are_written);
    tcase_add_test(read, all_formats_print_the_same_digits);
    tcase_add_test(read, the_page_needs_no_network_and_runs_no_models_text);
    tcase_add_test(read, token_rewards_are_shaded_by_their_share);
    tcase_add_test(read, without_gnuplot_the_report_says_so);
    tcase_add_test(read, the_same_run_gives_the_same_bytes);
    tcase_add_test(changed, the_baseline_that_an_evaluation_names_comes_first);
    tcase_add_test(changed, every_alarm_of_a_step_is_a_warning);
    tcase_add_test(changed, warnings_stand_in_every_format);
    tcase_add_test(changed, a_run_of_data_alone_has_nothing_to_report_on);
    tcase_add_test(changed, broken_records_name_file_and_line);
    tcase_add_test(changed, a_dose_is_drawn_against_the_response);
    tcase_add_test(changed, training_alone_can_be_reported);
    tcase_add_test(changed, the_browser_leaves_out_whole_prompts_beyond_its_limits);
    suite_add_tcase(suite, read);
    suite_add_tcase(suite, changed);
    return suite;
}

int main(void) {
    SRunner *runner = srunner_create(reports_suite());
    int failures;

    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
