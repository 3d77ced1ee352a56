#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/command.h"
#include "harness/failures.h"
#include "harness/file.h"
#include "harness/format.h"
#include "harness/gate.h"
#include "harness/judge_list.h"
#include "harness/manifest.h"
#include "harness/memory.h"
#include "harness/names.h"
#include "harness/outputs.h"
#include "harness/registry.h"
#include "harness/score_folder.h"
#include "harness/step_folder.h"
#include "harness/wrap.h"

/* What is scored, and where the score goes. */
struct scoring {
    const struct arguments *arguments;
    struct outputs outputs;
    struct names policies;
    struct node *judges; /* a list */
    const char *folder, *baseline;
    char *gaps;    /* what --allow-missing let pass, or NULL */
    int uncounted; /* answers whose tokens nobody counted; all lengths are words then */
};

static int read_one(struct scoring *scoring, const char *word, struct error *err) {
    const struct arguments *arguments = scoring->arguments;
    struct outputs_how how = {.id_key = argument_value(arguments, "id-key", NULL),
                              .prompt_key = argument_value(arguments, "prompt-key", NULL),
                              .response_key = argument_value(arguments, "response-key", NULL),
                              .allow_missing = argument_given(arguments, "allow-missing")};

    return outputs_read_word(&scoring->outputs, word, &how, err);
}

static int read_flags(struct scoring *scoring, const char *flag, struct error *err) {
    const struct arguments *arguments = scoring->arguments;

    for (int i = 0; i < arguments->flag_count; i++) {
        const char *value = arguments->values[i];
        int status = 0;

        if (strcmp(arguments->flags[i]->name, flag)) continue;
        if (!strcmp(flag, "outputs")) status = read_one(scoring, value, err);
        if (!strcmp(flag, "questions")) status = outputs_read_questions(&scoring->outputs, value, err);
        if (!strcmp(flag, "labels")) {
            const char *equals = strchr(value, '=');
            char *name = equals ? xstrndup(value, (size_t)(equals - value)) : NULL;

            status = outputs_read_labels(&scoring->outputs, equals ? equals + 1 : value, name, err);
            free(name);
        }
        if (status) return -1;
    }
    return 0;
}

static int add_judges_of(struct scoring *scoring, const char *path, struct error *err) {
    struct node *document = document_read(path, err);
    const struct node *list = document;

    if (!document) return -1;
    if (document->kind == NODE_MAP) list = node_get(document, "judges");
    if (!list || judge_list_check(list, path, err)) {
        if (!list) fail(err, "%s: a list of judges was expected, or a map with \"judges\"", path);
        node_free(document);
        return -1;
    }
    judge_list_locate((struct node *)list, path);
    for (const struct node *one = list->first; one; one = one->next)
        node_add_copy(scoring->judges, NULL, one);
    node_free(document);
    return 0;
}

/* Every judge that keeps its errors asks again, a panel's members too. */
static void retry_errors(struct node *list) {
    for (struct node *entry = list->first; entry; entry = entry->next) {
        const struct option *option = judge_options(node_text(entry, "use", NULL));

        for (; option && option->name; option++) {
            struct node *given = (struct node *)node_get(entry, option->name);

            if (option->kind == OPTION_JUDGES && given) retry_errors(given);
            if (!strcmp(option->name, "retry_errors") && !given) node_add_bool(entry, "retry_errors", 1);
        }
    }
}

static int read_judges(struct scoring *scoring, struct error *err) {
    const struct arguments *arguments = scoring->arguments;

    for (int i = 0; i < arguments->flag_count; i++) {
        const char *flag = arguments->flags[i]->name, *value = arguments->values[i];
        struct node *entry;

        if (!strcmp(flag, "judges") && add_judges_of(scoring, value, err)) return -1;
        if (strcmp(flag, "judge")) continue;
        entry = judge_entry_parse(value, "--judge", err);
        if (!entry) return -1;
        node_add_copy(scoring->judges, NULL, entry);
        node_free(entry);
    }
    if (argument_given(arguments, "retry-errors")) retry_errors(scoring->judges);
    return judge_list_check(scoring->judges, "--judge", err);
}

static int check_policies(const struct names *policies, struct error *err) {
    for (int i = 0; i < policies->count; i++) {
        const char *name = policies->items[i];

        if (!name[0]) return fail(err, "a policy has no name; --outputs NAME=FILE gives one");
        if (is_null_policy(name))
            return fail(
                err,
                "the policy '%s' is called as the content-blind ones are, which begin with " NULL_POLICY "; "
                "--outputs NAME=FILE gives it another name",
                name);
    }
    return 0;
}

static int choose_baseline(struct scoring *scoring, struct error *err) {
    int count, found = 0;
    const char **names = outputs_policies(&scoring->outputs, &count), *asked;

    for (int i = 0; i < count; i++) names_add(&scoring->policies, names[i]);
    free(names);
    if (check_policies(&scoring->policies, err)) return -1;
    asked = argument_value(scoring->arguments, "baseline", scoring->policies.items[0]);
    for (int i = 0; i < count; i++) found |= !strcmp(scoring->policies.items[i], asked);
    scoring->baseline = asked;
    if (found) return 0;
    char *hint = names_hint(&scoring->policies, asked);
    fail(err, "there are no outputs of the baseline '%s'%s", asked, hint);
    free(hint);
    return -1;
}

static int count_words(const char *text) {
    int words = 0;

    for (; *text; text++)
        words += !isspace((unsigned char)*text) && (!text[1] || isspace((unsigned char)text[1]));
    return words;
}

static int by_id(const void *a, const void *b) {
    return strcmp(((const struct example *)a)->id, ((const struct example *)b)->id);
}

/* Lengths are compared in one unit: words, unless every answer that says something comes with its tokens. */
static void count_lengths(struct scoring *scoring) {
    struct transcripts *all = &scoring->outputs.transcripts;
    int counted = 0;

    for (int i = 0; i < all->count; i++) {
        counted += all->items[i].tokens > 0;
        scoring->uncounted += all->items[i].tokens <= 0 && all->items[i].response[0];
    }
    if (!counted) scoring->uncounted = all->count;
    for (int i = 0; i < all->count && scoring->uncounted; i++) {
        all->items[i].tokens = count_words(all->items[i].response);
        all->items[i].unit = xstrdup("words");
    }
}

/* Prompts, categories and splits from the questions. */
static void complete(struct scoring *scoring) {
    struct transcripts *all = &scoring->outputs.transcripts;
    const struct examples *questions = &scoring->outputs.questions;

    count_lengths(scoring);
    for (int i = 0; i < all->count; i++) {
        struct transcript *answer = &all->items[i];
        struct example key = {.id = answer->prompt_id},
                       *question =
                           bsearch(&key, questions->items, (size_t)questions->count, sizeof key, by_id);

        if (!question) continue;
        if (!answer->prompt[0]) {
            free(answer->prompt);
            answer->prompt = xstrdup(question->prompt);
        }
        if (!answer->category) answer->category = xstrdup(question->category);
        if (question->split && strcmp(question->split, answer->split)) {
            free(answer->split);
            answer->split = xstrdup(question->split);
        }
    }
}

static int write_step(const char *folder, const char *label, const char *use, const struct node *options,
                      struct error *err) {
    struct node *entry = node_new(NODE_MAP);
    int status;

    node_add_text(entry, "name", label);
    node_add_text(entry, "label", label);
    node_add_text(entry, "use", use);
    node_add(entry, "matrix", NODE_MAP);
    if (options) node_add_copy(entry, "options", options);
    status = step_write_file(folder, entry, err);
    node_free(entry);
    return status;
}

/* FOLDER/steps/answers: one step that holds every answer, as a generate step would. */
static int write_answers(const struct scoring *scoring, const char *folder, struct error *err) {
    char *answers = path_join(folder, "transcripts.jsonl"), *verdicts = path_join(folder, "labels.jsonl"),
         *questions = path_join(folder, "questions.jsonl");
    int status = folder_make(folder, err);

    if (!status) status = transcripts_write(answers, &scoring->outputs.transcripts, err);
    if (!status) status = verdicts_write(verdicts, &scoring->outputs.verdicts, err);
    if (!status) status = examples_write(questions, &scoring->outputs.questions, err);
    if (!status) status = write_step(folder, "answers", "generate", NULL, err);
    free(questions);
    free(answers);
    free(verdicts);
    return status;
}

static void split_words(struct node *list, const char *words) {
    for (const char *at = words; *at;) {
        size_t length = strcspn(at, ",");
        char *word = xstrndup(at, length);

        node_add_text(list, NULL, word);
        free(word);
        at += length + (at[length] == ',');
    }
}

static void add_list(struct node *options, const char *key, const char *words) {
    split_words(node_add(options, key, NODE_LIST), words);
}

/* Every word of a list of suites, or of formats, is one. */
static int check_list(const struct arguments *arguments, const char *flag,
                      int (*is_known)(const char *, struct error *), struct error *err) {
    const char *words = argument_value(arguments, flag, NULL);
    struct node *list = node_new(NODE_LIST);
    int status = 0;

    if (words) split_words(list, words);
    if (words && !list->count) status = fail(err, "--%s names nothing", flag);
    for (const struct node *word = list->first; word && !status; word = word->next)
        status = is_known(word->text, err);
    node_free(list);
    return status;
}

static int is_suite(const char *name, struct error *err) {
    return suite_listing(name, err) ? 0 : -1;
}

/* Before anything is measured: conditions that no metric can meet. */
static int check_conditions(const struct arguments *arguments, struct error *err) {
    const char *words = argument_value(arguments, "suite", NULL);
    struct node *asked = words ? node_new(NODE_LIST) : NULL;
    int status;

    if (words) split_words(asked, words);
    status = gate_check_suites(arguments, asked, err);
    node_free(asked);
    return status;
}

static int is_format(const char *name, struct error *err) {
    return report_find(name, err) ? 0 : -1;
}

/* The numbers among the flags, before anything is read. */
static int check_numbers(const struct arguments *arguments, struct error *err) {
    double number;
    int whole;

    if (argument_int(arguments, "seed", 1, 0, 2147483647, &whole, err)) return -1;
    if (argument_int(arguments, "resamples", 10000, 100, 10000000, &whole, err)) return -1;
    if (argument_number(arguments, "level", 0.95, 0.5, 0.9999, &number, err)) return -1;
    return argument_number(arguments, "most-failures", 0.05, 0, 1, &number, err);
}

static void add_number(struct node *options, const struct arguments *arguments, const char *flag) {
    const char *value = argument_value(arguments, flag, NULL);

    if (value) {
        struct node *number = node_add_number(options, flag, strtod(value, NULL));
        number->text = xstrdup(value);
    }
}

static struct node *evaluate_options(const struct scoring *scoring, const char *answers) {
    const struct arguments *arguments = scoring->arguments;
    const char *wanted = argument_value(arguments, "suite", NULL);
    struct node *options = node_new(NODE_MAP);
    char *verdicts = path_join(answers, "labels.jsonl");

    node_add_text(node_add(options, "answers", NODE_LIST), NULL, answers);
    if (scoring->outputs.verdicts.count)
        node_add_text(node_add(options, "verdicts", NODE_LIST), NULL, verdicts);
    if (scoring->judges->count) node_add_copy(options, "judges", scoring->judges);
    if (wanted) add_list(options, "suites", wanted);
    node_add_text(options, "baseline", scoring->baseline);
    node_add_text(options, "task", argument_value(arguments, "task", "outputs"));
    if (argument_given(arguments, "most-failures"))
        node_add_number(options, "most_failures",
                        strtod(argument_value(arguments, "most-failures", "0"), NULL));
    add_number(options, arguments, "seed");
    add_number(options, arguments, "resamples");
    add_number(options, arguments, "level");
    free(verdicts);
    return options;
}

static int evaluate(const struct scoring *scoring, const char *answers, const char *folder,
                    struct error *err) {
    const struct stage *stage = stage_find("evaluate");
    struct node *options = evaluate_options(scoring, answers), *matrix = node_new(NODE_MAP);
    struct run run = {.recipe = (char *)"pyrite score",
                      .folder = (char *)scoring->folder,
                      .device = "cpu",
                      .threads = (int)sysconf(_SC_NPROCESSORS_ONLN)};
    struct step step = {.name = "evaluate",
                        .label = "evaluate",
                        .use = "evaluate",
                        .options = options,
                        .matrix = matrix,
                        .seed = 1,
                        .folder = folder};
    int status = folder_make(folder, err);

    if (!stage) status = fail(err, "this program was built without the stage evaluate");
    if (!status) status = stage->run(&run, &step, err);
    if (!status) status = write_step(folder, "evaluate", "evaluate", options, err);
    node_free(options);
    node_free(matrix);
    return status;
}

static void add_hashes(struct node *manifest, const struct arguments *arguments) {
    struct node *inputs = node_add(manifest, "inputs", NODE_MAP);

    for (int i = 0; i < arguments->flag_count; i++) {
        const char *flag = arguments->flags[i]->name, *value = arguments->values[i], *equals;
        char hex[65];
        struct error ignored;

        if (strcmp(flag, "outputs") && strcmp(flag, "labels") && strcmp(flag, "questions") &&
            strcmp(flag, "judges"))
            continue;
        equals = strchr(value, '=');
        if (!hash_file(hex, equals ? equals + 1 : value, &ignored))
            node_set_text(inputs, equals ? equals + 1 : value, hex);
    }
}

/* What the evaluation wrote of its judges. */
static int add_judging(struct node *manifest, const char *evaluated, struct error *err) {
    char *path = path_join(evaluated, "judging.json");
    struct node *judging = file_exists(path) ? document_read(path, err) : NULL;
    int status = file_exists(path) && !judging ? -1 : 0;

    if (judging) node_add_copy(manifest, "judging", judging);
    node_free(judging);
    free(path);
    return status;
}

/* The effect stated beforehand, where a recipe would state it. */
static void add_effect(struct node *manifest, const struct arguments *arguments) {
    const char *effect = argument_value(arguments, "effect", NULL);

    if (effect)
        node_add_number(node_add(node_add(manifest, "document", NODE_MAP), "report", NODE_MAP), "effect",
                        strtod(effect, NULL));
}

static int check_effect(const struct arguments *arguments, struct error *err) {
    const char *effect = argument_value(arguments, "effect", "0.05");
    char *end;
    double value = strtod(effect, &end);

    if (end != effect && !*end && value > 0 && value <= 1) return 0;
    return fail(err, "--effect must be a number above 0 and at most 1, the change of a rate, not '%s'",
                effect);
}

static void add_command(struct node *manifest, const struct arguments *arguments) {
    struct node *command = node_add(manifest, "command", NODE_LIST);

    node_add_text(command, NULL, "pyrite");
    node_add_text(command, NULL, "score");
    for (int i = 0; i < arguments->flag_count; i++) {
        char *flag = xprintf("--%s", arguments->flags[i]->name);

        node_add_text(command, NULL, flag);
        if (arguments->flags[i]->value) node_add_text(command, NULL, arguments->values[i]);
        free(flag);
    }
}

/* The flags are written only where the judges took them: a key may stand in the wrong place. */
static int write_manifest(const struct scoring *scoring, const char *evaluated, int took_flags,
                          struct error *err) {
    const struct arguments *arguments = scoring->arguments;
    struct node *manifest = node_new(NODE_MAP), *notes;
    char *path = path_join(scoring->folder, "manifest.json");
    int status;

    node_add_text(manifest, "name", argument_value(arguments, "task", "outputs"));
    node_add_text(manifest, "title", argument_value(arguments, "title", "Outputs made elsewhere"));
    add_effect(manifest, arguments);
    manifest_about(manifest, "cpu");
    if (took_flags) add_command(manifest, arguments);
    add_hashes(manifest, arguments);
    notes = node_add(manifest, "understood", NODE_LIST);
    for (int i = 0; i < scoring->outputs.file_count; i++)
        node_add_text(notes, NULL, scoring->outputs.understood[i]);
    if (scoring->gaps) node_add_text(manifest, "gaps", scoring->gaps);
    status = add_judging(manifest, evaluated, err);
    if (!status) status = document_write(path, manifest, err);
    free(path);
    node_free(manifest);
    return status;
}

/* Padded to a width in characters, which bytes are not. */
static void print_padded(FILE *out, const char *text, int width) {
    int shown = 0;

    for (const char *at = text; *at; at++) shown += (*at & 0xc0) != 0x80;
    fprintf(out, "%s%*s", text, shown < width ? width - shown : 0, "");
}

static void print_metric(const struct metric *metric, FILE *out) {
    const char *unit = isnan(metric->value) ? "" : unit_in_heading(metric);
    char *figure = format_estimate(metric), *estimate = xprintf("%s%s%s", figure, unit[0] ? " " : "", unit),
         *name = format_name(metric->name), counts[64] = "", low[32], high[32];
    char *over = format_over_seeds(metric);
    struct metric_text text;

    format_metric(&text, metric);
    snprintf(counts, sizeof counts,
             !isnan(metric->worst) ? "n %d of %d that can be told"
             : metric->n_missing   ? "n %d of %d"
                                   : "n %d",
             metric->n, metric->n + metric->n_missing);
    if (metric->by_seed && metric->seeds > 1) snprintf(counts, sizeof counts, "n %d seeds", metric->n);
    fprintf(out, "  %-28s ", name);
    print_padded(out, metric->policy ? metric->policy : "", 18);
    fputc(' ', out);
    print_padded(out, estimate, 27);
    fprintf(out, " %s", counts);
    if (metric->baseline) fprintf(out, "  against %s", metric->baseline);
    if (!isnan(metric->p_adjusted)) fprintf(out, "  p %s (Holm %s)", text.p, text.p_adjusted);
    if (*format_disagreement(metric)) fprintf(out, "  %s", format_disagreement(metric));
    if (over) fprintf(out, "  %s", over);
    if (!isnan(metric->worst))
        fprintf(out, "  missing ones could make it %s to %s",
                format_number(low, fmin(metric->worst, metric->best), metric_unit(metric)),
                format_number(high, fmax(metric->worst, metric->best), metric_unit(metric)));
    if (metric->judge) fprintf(out, "  by %s", metric->judge);
    if (metric->refused + metric->unparsed + metric->transport)
        fprintf(out, "  (%d refused, %d unparsed, %d transport)", metric->refused, metric->unparsed,
                metric->transport);
    if (metric->reason) fprintf(out, "  (%s)", metric->reason);
    fputc('\n', out);
    free(figure);
    free(estimate);
    free(name);
    free(over);
}

static int is_confusion(const struct metric *metric) {
    return !strcmp(metric->suite, "detector") && strstr(metric->name, "_as_") != NULL;
}

/* Null policies and what no answer tells are left to the report, and the suite degenerate, whose warnings say
   enough, where nobody asked for it. */
static int is_shown(const struct metric *metric, int degenerate) {
    if (is_confusion(metric)) return 0; /* printed as a table */
    if (metric->policy && is_null_policy(metric->policy)) return 0;
    return (degenerate || strcmp(metric->suite, "degenerate")) && (metric->n || !metric->n_missing);
}

/* The nine counts of one policy, which stand together: labels down, the detector across. */
static void print_confusion(const struct metric *counts, FILE *out) {
    static const char *const classes[] = {"answered", "refused", "undetermined"};

    fprintf(out, "  %s: label down, detector across\n  %-14s", counts->policy, "");
    for (int i = 0; i < 3; i++) fprintf(out, " %12s", classes[i]);
    for (int i = 0; i < 9; i++) {
        if (i % 3 == 0) fprintf(out, "\n  %-14s", classes[i / 3]);
        fprintf(out, " %12.0f", counts[i].value);
    }
    fputc('\n', out);
}

static void print_confusions(const struct metrics *metrics, FILE *out) {
    for (int i = 0; i + 8 < metrics->count; i++)
        if (is_confusion(&metrics->items[i]) && !strcmp(metrics->items[i].name, "answered_as_answered"))
            print_confusion(&metrics->items[i], out);
}

static void print_metrics(const struct metrics *metrics, const struct scoring *scoring, FILE *out) {
    int degenerate = argument_given(scoring->arguments, "suite");
    const char *suite = "", *split = "";

    for (int i = 0; i < metrics->count; i++) {
        const struct metric *metric = &metrics->items[i];
        const char *its = metric->split ? metric->split : "";

        if (!is_shown(metric, degenerate)) continue;
        if (strcmp(suite, metric->suite) || strcmp(split, its)) {
            suite = metric->suite;
            split = its;
            fprintf(out, "%s%s%s\n", suite, split[0] ? ", " : "", split);
            if (scoring->gaps) fprintf(out, "  %s\n", scoring->gaps);
        }
        print_metric(metric, out);
    }
}

static int print_warning(void *context, const struct node *row, int line, struct error *err) {
    (void)line;
    (void)err;
    fprintf(context, "WARNING: %s\n", node_text(row, "warning", ""));
    return 0;
}

/* What the evaluation warns of. */
static int print_warnings(const char *evaluate, FILE *out, struct error *err) {
    char *path = path_join(evaluate, "warnings.jsonl");
    int status = document_each(path, print_warning, out, err);

    free(path);
    return status;
}

static int print_all(const struct scoring *scoring, const struct metrics *metrics, const char *evaluate,
                     FILE *out, struct error *err) {
    int status;

    for (int i = 0; i < scoring->outputs.file_count; i++)
        fprintf(out, "%s\n", scoring->outputs.understood[i]);
    if (scoring->uncounted == scoring->outputs.transcripts.count)
        fprintf(out, "lengths are words: no file counts tokens\n");
    else if (scoring->uncounted)
        fprintf(out, "lengths are words: %d of %d answers come without a count of tokens\n",
                scoring->uncounted, scoring->outputs.transcripts.count);
    print_metrics(metrics, scoring, out);
    print_confusions(metrics, out);
    status = print_warnings(evaluate, out, err);
    fprintf(out, "%s/report/report.md\n", scoring->folder);
    return status;
}

/* On a terminal, in lines that it holds. */
static int print_results(const struct scoring *scoring, const char *evaluate, FILE *out, struct error *err) {
    char *path = path_join(evaluate, "metrics.jsonl"), *page = NULL;
    struct metrics metrics = {0};
    struct text lines = {0};
    size_t length;
    FILE *whole;
    int status;

    if (metrics_read(path, &metrics, err)) {
        free(path);
        return -1;
    }
    whole = open_memstream(&page, &length);
    status = print_all(scoring, &metrics, evaluate, whole ? whole : out, err);
    if (whole) fclose(whole);
    wrap_text(&lines, page ? page : "", 0, 4, wrap_width(out));
    fputs(lines.data, out);
    metrics_free(&metrics);
    free(lines.data);
    free(page);
    free(path);
    return status;
}

static int write_report(const struct scoring *scoring, struct error *err) {
    const char *formats = argument_value(scoring->arguments, "format", NULL);
    struct node *holder = node_new(NODE_MAP);
    int status;

    if (formats) add_list(holder, "formats", formats);
    status = report_write(scoring->folder, node_get(holder, "formats"), err);
    node_free(holder);
    return status;
}

static int measure(const struct scoring *scoring, FILE *out, struct error *err) {
    char *answers = path_join(scoring->folder, "steps/answers"),
         *measured = path_join(scoring->folder, "steps/evaluate");
    /* Before anything else, so that the folder is known as this command's whenever it is killed. */
    int status = write_manifest(scoring, measured, 0, err);

    if (!status) status = write_answers(scoring, answers, err);
    if (!status) status = evaluate(scoring, answers, measured, err);
    if (!status) status = write_manifest(scoring, measured, 1, err);
    if (!status) status = write_report(scoring, err);
    if (!status) status = print_results(scoring, measured, out, err);
    free(answers);
    free(measured);
    return status;
}

/* Whether what was measured is what was hoped for; the score stays in any case. */
static int pass(const struct scoring *scoring, struct error *err) {
    char *measured = path_join(scoring->folder, "steps/evaluate");
    int status = gate_run_folder(scoring->arguments, scoring->folder, err);

    if (!status && (status = failures_check(measured, err)) > 0) status = TOO_MANY_FAILURES;
    free(measured);
    return status;
}

static int score(struct scoring *scoring, FILE *out, struct error *err) {
    struct score_folder folder;
    struct error ignored;
    int status = score_folder_open(&folder, scoring->folder, err);

    if (status) return -1;
    complete(scoring);
    if (measure(scoring, out, err)) {
        score_folder_close(&folder, 0, &ignored);
        return -1;
    }
    status = pass(scoring, err);
    return score_folder_close(&folder, 1, status ? &ignored : err) ? -1 : status;
}

static int run(const struct arguments *arguments, struct error *err) {
    struct scoring scoring = {.arguments = arguments,
                              .judges = node_new(NODE_LIST),
                              .folder = argument_value(arguments, "out", "scores")};
    int status = -1;

    if (check_conditions(arguments, err) || check_effect(arguments, err) ||
        check_list(arguments, "suite", is_suite, err) || check_list(arguments, "format", is_format, err))
        goto out;
    if (!argument_given(arguments, "outputs")) {
        fail(err, "nothing to score: --outputs NAME=FILE names a policy and the file of its answers");
        goto out;
    }
    if (check_numbers(arguments, err) || read_flags(&scoring, "outputs", err) ||
        read_flags(&scoring, "questions", err) || read_flags(&scoring, "labels", err) ||
        read_judges(&scoring, err))
        goto out;
    if (!scoring.outputs.transcripts.count) {
        fail(err, "the files hold judgments and no answers; 'pyrite winrate' and 'pyrite rank' read those");
        goto out;
    }
    if (choose_baseline(&scoring, err)) goto out;
    if (outputs_check_joint(&scoring.outputs, argument_given(arguments, "allow-missing"), &scoring.gaps, err))
        goto out;
    status = score(&scoring, arguments->out, err);
out:
    outputs_free(&scoring.outputs);
    node_free(scoring.judges);
    free(scoring.policies.items);
    free(scoring.gaps);
    return status;
}

static const struct flag flags[] = {
    {"outputs", 'o', "NAME=FILE", "a policy's answers; FILE alone where it names its models; several times"},
    {"suite", 's', "S[,S]...", "suites to measure (default: all that apply)"},
    {"baseline", 'b', "NAME", "the policy that others are compared with (default: the first)"},
    {"labels", 'l', "[NAME=]FILE",
     "people's labels of answers by id: label, refused, correct, approval, confidence, weight"},
    {"questions", 'q', "FILE",
     "categories, truths, splits and what else judges need of prompts, by id; or a public data set as it is "
     "published"},
    {"judge", 'j', "NAME[,KEY=VALUE]...",
     "a judge of every answer, and its options (pyrite list judge NAME); several times"},
    {"judges", 0, "FILE", "a YAML or JSON list of judges: {use: NAME, name: ..., and its options}"},
    {"retry-errors", 0, NULL, "judges that keep failed requests ask them again"},
    {"most-failures", 0, "SHARE",
     "of a judge's judgments that may be refused, unparsed or lost, else the exit code is 3 (default: 0.05)"},
    {"out", 0, "DIR", "folder that receives answers, metrics and report (default: scores)"},
    {"format", 'f', "NAME[,NAME]...", "formats of the report (default: all)"},
    GATE_FLAGS,
    {"task", 't', "NAME", "what tables call the data (default: outputs)"},
    {"title", 0, "TEXT", "of the report"},
    {"id-key", 0, "COLUMN", "column of the prompt's id"},
    {"prompt-key", 0, "COLUMN", "column of the prompt"},
    {"response-key", 0, "COLUMN", "column of the answer"},
    {"allow-missing", 0, NULL,
     "compare policies on the prompts that both answered; every table says how many"},
    {"seed", 0, "N", "of resampling (default: 1)"},
    {"resamples", 0, "N", "of the bootstrap (default: 10000)"},
    {"level", 0, "P", "of the intervals (default: 0.95)"},
    {"effect", 0, "P", "change of a rate that tables need power to see (default: 0.05, five points)"},
    {0}};

const struct command command_score = {
    .name = "score",
    .summary = "measure answers that were made elsewhere",
    .usage = "--outputs NAME=FILE [--outputs NAME=FILE]... [--labels FILE] [--suite S]",
    .description = "Reads answers from .jsonl, .json or .csv files, .gz or not: tables with a prompt or an "
                   "id and a response, and "
                   "what alpaca_eval, arena-hard, MT-bench, lm-eval, inspect, TRL and HH-RLHF write; says "
                   "what it understood. "
                   "Answers are joined by id; duplicate ids, missing answers and prompts that one policy was "
                   "not asked are errors.\n\n"
                   "Measures them with the suites that apply, writes a folder like a run's, so that 'pyrite "
                   "report' and 'pyrite "
                   "check' work on it, and prints the figures. Refusals are told by the detector; --labels "
                   "says how far it agrees "
                   "with people. --judge asks more judges, in the order given. A policy that gives one "
                   "answer to everything, copies the prompt or the "
                   "baseline is pointed out." GATE_HELP,
    .flags = flags,
    .least_words = 0,
    .most_words = 0,
    .run = run,
};
