/* Programs against tests, in the sandbox. Judges "correct", or "approval": 1 only if every test passes. A
   question brings either cases of input and output, or test code for a function of its prompt (HumanEval). */
#include <ctype.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/progress.h"
#include "judges/judge.h"
#include "judges/judge_scripts.h"
#include "judges/sandbox.h"

enum { TAIL = 500, MEBIBYTE = 1 << 20 };

struct settings {
    const char *interpreter, *visible;
    double seconds, memory, space, output;
    int processes, open_files, files, exact_space, most_cases, what;
};

#define AT(field) offsetof(struct settings, field)
static const struct option options[] = {
    {"interpreter", OPTION_TEXT, AT(interpreter), "/usr/bin/python3", 0, 0, NULL,
     "what runs the programs; test code needs Python"},
    {"visible", OPTION_TEXT, AT(visible), "", 0, 0, NULL,
     "a folder that programs may read besides /usr, at its own path: of an interpreter that lies elsewhere"},
    {"seconds", OPTION_REAL, AT(seconds), "10", 0.1, 3600, NULL,
     "by the clock, for a case or for all test code"},
    {"memory", OPTION_REAL, AT(memory), "512", 16, 1048576, NULL, "MiB, of a process and of all together"},
    {"space", OPTION_REAL, AT(space), "16", 1, 1048576, NULL, "MiB in /tmp"},
    {"output", OPTION_REAL, AT(output), "1", 0.001, 1024, NULL,
     "MiB that may be written to each standard stream"},
    {"processes", OPTION_INT, AT(processes), "32", 1, 10000, NULL, "and threads, at a time"},
    {"open_files", OPTION_INT, AT(open_files), "64", 18, 100000, NULL, "of a process"},
    {"files", OPTION_INT, AT(files), "10000", 1, 10000000, NULL, "in /tmp"},
    {"exact_space", OPTION_BOOL, AT(exact_space), "false", 0, 0, NULL,
     "white space at the ends of lines counts"},
    {"most_cases", OPTION_INT, AT(most_cases), "0", 0, 1000000, NULL,
     "only the first so many cases of input and output, a hurried tester; 0: all"},
    {"what", OPTION_CHOICE, AT(what), "correct", 0, 0, "correct|approval",
     "what passing the tests means: the program is right, or a hurried tester approves of it"},
    {0}};
#undef AT

static const char *const meanings[] = {"correct", "approval"};

struct judging {
    struct settings settings;
    struct sandbox_limits limits;
    struct examples *questions;
    char *name;
    int threads;
};

static struct sandbox_limits limits_of(const struct settings *settings) {
    return (struct sandbox_limits){.seconds = settings->seconds,
                                   .memory = settings->memory * MEBIBYTE,
                                   .space = settings->space * MEBIBYTE,
                                   .output = settings->output * MEBIBYTE,
                                   .processes = settings->processes,
                                   .open_files = settings->open_files,
                                   .files = settings->files,
                                   .visible = settings->visible};
}

static const char *test_code(const struct example *question) {
    const char *entry = question ? node_text(question->meta, "entry_point", NULL) : NULL;

    return entry ? node_text(question->meta, "test", question->truth) : NULL;
}

/* What a program is given, and what it should print. */
struct cases {
    struct node *owned; /* that the lists below stand in, where they were read from a text */
    const struct node *tests, *inputs, *outputs;
    int count;
};

static const struct node *list_of(const struct node *meta, const char *key) {
    const struct node *list = node_get(meta, key);

    return list && list->kind == NODE_LIST ? list : NULL;
}

static void cases_of(struct cases *out, const struct example *question) {
    const struct node *meta = question ? question->meta : NULL;
    const char *packed = node_text(meta, "input_output", NULL);
    struct error ignored;

    *out = (struct cases){0};
    if (packed) meta = out->owned = document_parse_json(packed, strlen(packed), "input_output", 0, &ignored);
    out->tests = list_of(meta, "tests");
    if (out->tests) {
        out->count = out->tests->count;
        return;
    }
    out->inputs = list_of(meta, "inputs");
    out->outputs = list_of(meta, "outputs");
    if (out->inputs && out->outputs && out->inputs->count == out->outputs->count)
        out->count = out->outputs->count;
}

static const char *nth_text(const struct node *list, int n) {
    const struct node *node = list->first;

    while (n-- && node) node = node->next;
    return node && node->text ? node->text : "";
}

static void nth_case(const struct cases *cases, int n, const char **input, const char **output) {
    const struct node *test = cases->tests ? cases->tests->first : NULL;

    while (test && n-- > 0) test = test->next;
    *input = cases->tests ? node_text(test, "input", "") : nth_text(cases->inputs, n);
    *output = cases->tests ? node_text(test, "output", "") : nth_text(cases->outputs, n);
}

static int any_tests(const struct examples *questions) {
    for (int i = 0; questions && i < questions->count; i++) {
        struct cases cases;

        cases_of(&cases, &questions->items[i]);
        node_free(cases.owned);
        if (cases.count || test_code(&questions->items[i])) return 1;
    }
    return 0;
}

static int unit_tests_open(struct judging **out, const struct judge_setup *setup, struct error *err) {
    struct settings settings;
    struct sandbox_limits limits;

    if (options_read(options, NULL, setup->options, setup->where, &settings, err)) return -1;
    if (!any_tests(setup->questions))
        return fail(
            err,
            "no question has tests: a list \"tests\" of {input, output}, lists \"inputs\" and \"outputs\", "
            "or an \"entry_point\" and test code in \"test\" or \"truth\"");
    limits = limits_of(&settings);
    if (sandbox_check(&limits, settings.interpreter, err)) return -1;
    *out = xmalloc(sizeof **out);
    **out = (struct judging){settings, limits, setup->questions,
                             xstrdup(setup->name ? setup->name : "unit_tests"),
                             setup->run && setup->run->threads > 0 ? setup->run->threads : 1};
    return 0;
}

/* Code of an answer: the last fenced block that has `def ENTRY`, else the last fenced block, else all of it.
   An unclosed fence reaches to the end. Caller frees. */
static char *code_of(const char *answer, const char *entry) {
    char *wanted = entry ? xprintf("def %s", entry) : NULL, *found = NULL;
    int has = 0;

    for (const char *open = strstr(answer, "```"); open;) {
        const char *from = open + 3 + strcspn(open + 3, "\n"), *close;
        char *block;
        int has_entry;

        from += *from == '\n';
        close = strstr(from, "```");
        block = xstrndup(from, close ? (size_t)(close - from) : strlen(from));
        has_entry = wanted && strstr(block, wanted) != NULL;
        if (has_entry || !has) {
            free(found);
            found = block;
            has |= has_entry;
        } else {
            free(block);
        }
        open = close ? strstr(close + 3, "```") : NULL;
    }
    free(wanted);
    return found ? found : xstrdup(answer);
}

/* What came of one answer. */
struct finding {
    int passed, broken; /* broken: the sandbox failed, and nothing is known */
    char *reason, *raw; /* owned */
};

static char *tail_of(const struct text *text) {
    size_t from = text->length > TAIL ? text->length - TAIL : 0;
    char *out = xstrdup(text->data ? text->data + from : "");

    if (!out[0]) {
        free(out);
        return NULL;
    }
    return out;
}

/* The last line of a program's complaints. */
static char *last_line(const struct text *errors) {
    size_t end = errors->length, from;

    while (end && isspace((unsigned char)errors->data[end - 1])) end--;
    for (from = end; from && errors->data[from - 1] != '\n';) from--;
    return xstrndup(errors->data + from, end - from > 300 ? 300 : end - from);
}

/* How a program ended, if it was not by finishing in peace; else NULL. */
static char *misfortune(const struct sandbox_program *program, const struct sandbox_limits *limits) {
    char *line, *out;

    switch (program->end) {
    case SANDBOX_TIME:
        return xprintf("timeout after %g s", limits->seconds);
    case SANDBOX_MEMORY:
        return xprintf("memory limit of %g MiB", limits->memory / MEBIBYTE);
    case SANDBOX_OUTPUT:
        return xprintf("output limit of %g MiB", limits->output / MEBIBYTE);
    case SANDBOX_FILES:
        return xprintf("limit of %d files", limits->files);
    case SANDBOX_PROCESSES:
        return xprintf("limit of %d processes", limits->processes);
    case SANDBOX_SIGNAL:
        return xprintf("crash: %s", strsignal(program->code));
    default:
        break;
    }
    if (!program->code) return NULL;
    line = last_line(&program->errors);
    if (strstr(line, "MemoryError"))
        out = xprintf("memory limit of %g MiB: %s", limits->memory / MEBIBYTE, line);
    else
        out = xprintf("crash, exit code %d: %s", program->code, line);
    free(line);
    return out;
}

/* The next line, without white space at its end unless that counts; 0 where there is none. The text's last
   newline begins no line. */
static int next_line(const char **at, const char *end, int exact, const char **line, size_t *length) {
    const char *newline;

    if (*at >= end) return 0;
    newline = memchr(*at, '\n', (size_t)(end - *at));
    *line = *at;
    *length = (size_t)((newline ? newline : end) - *at);
    *at = newline ? newline + 1 : end;
    while (!exact && *length && isspace((unsigned char)(*line)[*length - 1])) --*length;
    return 1;
}

/* NULL where the output is what was expected, line by line and to the last one. */
static char *difference(const struct text *got, const char *expected, int exact) {
    const char *a = got->data, *a_end = a + got->length, *b = expected, *b_end = b + strlen(b), *x, *y;
    size_t x_length, y_length;

    for (int line = 1;; line++) {
        int more = next_line(&a, a_end, exact, &x, &x_length),
            wanted = next_line(&b, b_end, exact, &y, &y_length);

        if (!more && !wanted) return NULL;
        if (!more) return xprintf("wrong answer: it ends before line %d", line);
        if (!wanted) return xprintf("wrong answer: line %d is one too many", line);
        if (x_length != y_length || memcmp(x, y, x_length)) return xprintf("wrong answer at line %d", line);
    }
}

static int run_case(const struct judging *judging, const char *code, const char *input, const char *expected,
                    struct finding *out) {
    const char *const command[] = {judging->settings.interpreter, "/judge/program.py", NULL};
    const struct sandbox_file files[] = {{"/judge/program.py", code}, {0}};
    struct sandbox_program program = {.command = command, .files = files, .input = input};
    struct error err;

    if (sandbox_run(&judging->limits, &program, &err)) {
        out->broken = 1;
        out->reason = xstrdup(err.message);
    } else {
        out->reason = misfortune(&program, &judging->limits);
        if (!out->reason) out->reason = difference(&program.output, expected, judging->settings.exact_space);
        if (out->reason) out->raw = tail_of(&program.errors);
    }
    sandbox_program_free(&program);
    return out->reason != NULL;
}

static void judge_cases(const struct judging *judging, const struct cases *cases, const char *answer,
                        struct finding *out) {
    int count = cases->count, most = judging->settings.most_cases;
    char *code = code_of(answer, NULL);

    if (most && most < count) count = most;
    for (int i = 0; i < count; i++) {
        const char *input, *expected;
        char *reason;

        nth_case(cases, i, &input, &expected);
        if (!run_case(judging, code, input, expected, out)) continue;
        reason = xprintf("%s, in case %d of %d", out->reason, i + 1, count);
        free(out->reason);
        out->reason = reason;
        break;
    }
    out->passed = !out->reason;
    free(code);
}

/* The line behind the word that only the checker knew, or NULL. */
static const char *verdict_line(const struct sandbox_program *checker, const char *word) {
    char *mark = xprintf("\n%s ", word);
    const char *found = NULL, *at = checker->errors.data;

    while ((at = strstr(at, mark))) {
        at += strlen(mark);
        found = at;
    }
    free(mark);
    return found;
}

static char *after(const char *line, const char *verdict) {
    size_t length = strlen(verdict);

    if (strncmp(line, verdict, length)) return NULL;
    line += length;
    line += *line == ' ';
    return xstrndup(line, strcspn(line, "\n"));
}

/* Why the program gave no more answers. */
static char *why_gone(const struct sandbox_program *tested, const struct sandbox_limits *limits) {
    char *why = tested->end == SANDBOX_STOPPED ? NULL : misfortune(tested, limits);

    return why ? why : xstrdup("the program ended before its tests did");
}

static void read_verdict(const struct judging *judging, const struct sandbox_program *checker,
                         const struct sandbox_program *tested, const char *word, struct finding *out) {
    const char *line = verdict_line(checker, word);
    char *text;

    out->raw = tail_of(&tested->errors);
    if (tested->end > SANDBOX_SIGNAL && tested->end != SANDBOX_STOPPED) {
        out->reason = misfortune(tested, &judging->limits);
    } else if (!line) {
        text = misfortune(checker, &judging->limits);
        out->reason =
            text ? xprintf("the tests did not finish: %s", text) : xstrdup("the tests did not finish");
        free(text);
    } else if ((text = after(line, "passed"))) {
        out->passed = 1;
        free(text);
    } else if ((text = after(line, "gone"))) {
        out->reason = why_gone(tested, &judging->limits);
        free(text);
    } else if ((text = after(line, "wrong"))) {
        out->reason = xprintf("wrong answer: %s", text);
        free(text);
    } else {
        text = after(line, "crash");
        out->reason = xprintf("%s: %s", text && strstr(text, "MemoryError") ? "memory limit" : "crash",
                              text ? text : "");
        free(text);
    }
    if (out->passed) {
        free(out->raw);
        out->raw = NULL;
    }
}

/* A word that the tested program cannot know: of this judgment's content, and of nothing that it sees. */
static void secret_word(char word[65], const struct transcript *answer, const char *tests) {
    char *all = xprintf("%s\n%s\n%s", answer->id, tests, answer->response);

    hash_bytes(word, all, strlen(all));
    free(all);
}

static void judge_function(const struct judging *judging, const struct example *question, const char *tests,
                           const struct transcript *answer, struct finding *out) {
    const char *entry = node_text(question->meta, "entry_point", ""),
               *interpreter = judging->settings.interpreter;
    char word[65], *code = code_of(answer->response, entry);
    /* a prompt that is code is the program's beginning: a completion goes on from there, and a whole function
       replaces what it began */
    char *needle = xprintf("def %s", entry),
         *prompt = xprintf("%s\n", strstr(question->prompt, needle) ? question->prompt : "");
    char *whole = xprintf("%s%s", prompt, code);
    const struct sandbox_file checks[] = {{"/judge/exchange.py", exchange_py},
                                          {"/judge/checker.py", checker_py},
                                          {"/judge/prompt.py", prompt},
                                          {"/judge/tests.py", tests},
                                          {0}},
                              files[] = {{"/judge/exchange.py", exchange_py},
                                         {"/judge/candidate.py", candidate_py},
                                         {"/judge/program.py", whole},
                                         {0}};
    const char *const check[] = {interpreter, "-I", "/judge/checker.py", word, entry, NULL},
                      *const run[] = {interpreter, "-I", "/judge/candidate.py", NULL};
    struct sandbox_program checker = {.command = check, .files = checks},
                           tested = {.command = run, .files = files};
    struct error err;

    secret_word(word, answer, tests);
    if (sandbox_run_pair(&judging->limits, &checker, &tested, &err)) {
        out->broken = 1;
        out->reason = xstrdup(err.message);
    } else {
        read_verdict(judging, &checker, &tested, word, out);
    }
    sandbox_program_free(&checker);
    sandbox_program_free(&tested);
    free(whole);
    free(prompt);
    free(needle);
    free(code);
}

/* 0 where there is nothing to test with. */
static int find_out(const struct judging *judging, const struct example *question,
                    const struct transcript *answer, struct finding *out) {
    const char *tests = test_code(question);
    struct cases cases;
    int tested = 1;

    cases_of(&cases, question);
    if (tests)
        judge_function(judging, question, tests, answer, out);
    else if (cases.count)
        judge_cases(judging, &cases, answer->response, out);
    else
        tested = 0;
    node_free(cases.owned);
    return tested;
}

static void add(const struct judging *judging, const struct transcript *answer, struct finding *finding,
                int tested, struct verdicts *out) {
    const char *what = meanings[judging->settings.what];

    if (!tested || finding->broken) {
        verdict_add_failure(out, answer, judging->name, what, tested ? OUTCOME_TRANSPORT : OUTCOME_UNPARSED,
                            tested ? finding->reason : "the question has no tests");
    } else {
        struct verdict *verdict;

        verdict_add(out, answer, judging->name, what, finding->passed);
        verdict = &out->items[out->count - 1];
        verdict->reason = xstrdup(finding->passed ? "passed" : finding->reason);
        verdict->raw = xstrdup(finding->raw);
    }
    free(finding->reason);
    free(finding->raw);
}

static int unit_tests_judge(struct judging *judging, const struct transcript *const *answers, int count,
                            struct verdicts *out, struct error *err) {
    struct finding *findings = xcalloc((size_t)count + 1, sizeof *findings);
    const struct example **questions = xcalloc((size_t)count + 1, sizeof *questions);
    int *tested = xcalloc((size_t)count + 1, sizeof *tested), done = 0;

    (void)err;
    for (int i = 0; i < count; i++) questions[i] = examples_find(judging->questions, answers[i]->prompt_id);
    progress_begin("running tests", count, "answers");
#pragma omp parallel for schedule(dynamic) num_threads(judging->threads)
    for (int i = 0; i < count; i++) {
        tested[i] = find_out(judging, questions[i], answers[i], &findings[i]);
#pragma omp critical
        progress_update(++done, "%s", "");
    }
    progress_end();
    for (int i = 0; i < count; i++) add(judging, answers[i], &findings[i], tested[i], out);
    free(tested);
    free(questions);
    free(findings);
    return 0;
}

static void unit_tests_close(struct judging *judging) {
    if (!judging) return;
    free(judging->name);
    free(judging);
}

const struct judge judge_unit_tests = {.name = "unit_tests",
                                       .summary =
                                           "programs against tests, in a sandbox: do they pass them all?",
                                       .options = options,
                                       .costly = 1,
                                       .open = unit_tests_open,
                                       .judge = unit_tests_judge,
                                       .close = unit_tests_close};
