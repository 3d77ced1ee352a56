#define _GNU_SOURCE /* memmem */
/* Hostile programs in the sandbox: none reaches anything, each is stopped, and none stays. Skipped where
   bubblewrap does not work. docs/sandbox.md lists what this test prints. */
#include "judges/sandbox.h"

#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "harness/file.h"
#include "harness/outputs.h"
#include "judges/judge.h"
#include "tests/public_data.h"

#undef fail /* of check.h; ours is a function */

#define PYTHON "/usr/bin/python3"
#define FOLDER "test_sandbox.tmp"
#define SECRET "the-canary-that-nobody-may-see"

enum { SKIP = 77, MEBIBYTE = 1 << 20 };

/* How a program may end: by itself, or by force. */
enum {
    ITSELF = 1 << SANDBOX_EXIT,
    SIGNAL = 1 << SANDBOX_SIGNAL,
    TIME = 1 << SANDBOX_TIME,
    MEMORY = 1 << SANDBOX_MEMORY,
    OUTPUT = 1 << SANDBOX_OUTPUT,
    FILES = 1 << SANDBOX_FILES,
    PROCESSES = 1 << SANDBOX_PROCESSES
};

static const struct {
    const char *name;
    double seconds;
    unsigned ends;
    const char *words; /* for the list: what held */
} programs[] = {
    {"fork_bomb", 0.5, TIME | MEMORY | PROCESSES, "limit of processes; stopped by the clock"},
    {"thread_bomb", 20, ITSELF, "limit of processes"},
    {"memory_one", 20, ITSELF, "limit of a process's memory"},
    {"memory_many", 20, MEMORY, "stopped by the limit of memory held together"},
    {"memory_shared", 20, ITSELF, "refused"},
    {"disk_fill", 20, ITSELF, "limit of space"},
    {"huge_file", 20, ITSELF, "limit of a file's size"},
    {"many_files", 20, FILES, "stopped by the limit of files"},
    {"open_files", 20, ITSELF, "limit of open files"},
    {"network", 20, ITSELF, "refused"},
    {"abstract_socket", 20, ITSELF, "refused"},
    {"read_home", 20, ITSELF, "not there"},
    {"read_system", 20, ITSELF, "not there"},
    {"symlink_out", 20, ITSELF, "not there"},
    {"kill_parent", 20, ITSELF, "reaches its own processes alone"},
    {"stop_parent", 20, ITSELF, "reaches its own processes alone"},
    {"ignore_signals", 0.5, TIME, "stopped by the clock"},
    {"stop_itself", 0.5, TIME, "stopped by the clock"},
    {"endless_output", 20, OUTPUT, "stopped by the limit of output"},
    {"endless_errors", 20, OUTPUT, "stopped by the limit of output"},
    {"burst", 20, OUTPUT, "limit of output"},
    {"trace", 20, ITSELF, "refused"},
    {"mount", 20, ITSELF, "refused"},
    {"namespaces", 20, ITSELF, "refused"},
    {"chroot", 20, ITSELF, "refused"},
    {"kernel_settings", 20, ITSELF, "not there"},
    {"become_root", 20, ITSELF, "refused"},
    {"keyring", 20, ITSELF, "refused"},
    {"devices", 20, ITSELF, "refused, or not there"},
    {"daemon", 20, ITSELF, "killed with the sandbox"},
    {"zombies", 20, ITSELF | PROCESSES, "limit of processes"},
    {"recursion", 2, ITSELF | SIGNAL | TIME | MEMORY, "limit of memory, or the clock"},
    {"stack", 20, ITSELF | SIGNAL, "ends by itself, or by a signal"},
    {"swallow_input", 0.5, TIME, "stopped by the clock"},
    {"terminal", 20, ITSELF, "kept as bytes; no terminal is there"},
    {"sleep", 0.5, TIME, "stopped by the clock"},
    {"spin", 0.5, TIME | SIGNAL, "stopped by the clock"},
    {"shell", 20, ITSELF, "not there"},
    {"environment", 20, ITSELF, "three variables, none of ours"},
    {"write_system", 20, ITSELF, "read-only"},
    {"inherited_files", 20, ITSELF, "none is open"},
    {"limits", 20, ITSELF, "refused"},
    {"kernel_interfaces", 20, ITSELF, "refused"},
};

static const struct {
    const char *name, *reason; /* that the verdict begins with */
} judged[] = {
    {"judged_exits_early", "the program ended before its tests did"},
    {"judged_exits_in_call", "the program ended before its tests did"},
    {"judged_prints_passed", "crash: what it sent back cannot be read"},
    {"judged_equals_all", "wrong answer: line 2 of the tests"},
    {"judged_object", "crash: "},
    {"judged_patches", "crash, exit code 1: TypeError"},
    {"judged_forges_answers", "wrong answer: line 2 of the tests"},
    {"judged_looks_for_tests", "wrong answer: line 2 of the tests"},
    {"judged_nests", "crash: "},
    {"judged_floods", "memory limit"},
    {"judged_hangs", "timeout after 2 s"},
    {"judged_ends_checker", "crash: "},
};

static struct error err;
static char *goal;     /* what the programs are told */
static char token[64]; /* a word of their command lines that no other run of this test has */
static int listener = -1, talker = -1;

static struct sandbox_limits limits(double seconds) {
    return (struct sandbox_limits){.seconds = seconds,
                                   .memory = 256 * MEBIBYTE,
                                   .space = 8 * MEBIBYTE,
                                   .output = 100000,
                                   .processes = 20,
                                   .open_files = 64,
                                   .files = 2000};
}

static char *hostile(const char *name) {
    const char *srcdir = getenv("srcdir");
    char *path = xprintf("%s/tests/hostile/%s.py", srcdir ? srcdir : ".", name);
    size_t length;
    char *text = file_read(path, &length, &err);

    ck_assert_msg(text != NULL, "%s", err.message);
    free(path);
    return text;
}

/* What there is to reach: a file, a listener on the loopback, an abstract socket, an environment, this
 * process. */
static void lay_out(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    socklen_t length = sizeof address;
    char place[4096];

    snprintf(token, sizeof token, "pyrite-test-sandbox-%d", (int)getpid());
    ck_assert_ptr_nonnull(getcwd(place, sizeof place));
    ck_assert_int_eq(folder_make(FOLDER, &err), 0);
    ck_assert_int_eq(file_write(FOLDER "/secret", SECRET, strlen(SECRET), &err), 0);
    ck_assert_int_eq(chmod(FOLDER "/secret", 0644), 0);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(listener, 5), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    talker = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    snprintf(local.sun_path + 1, sizeof local.sun_path - 1, "pyrite-%d", (int)getpid());
    length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(local.sun_path + 1));
    ck_assert_int_eq(bind(talker, (struct sockaddr *)&local, length), 0);
    ck_assert_int_eq(listen(talker, 5), 0);
    ck_assert_int_eq(setenv("PYRITE_SECRET", SECRET, 1), 0);
    goal = xprintf("{\"file\": \"%s/" FOLDER "/secret\", \"port\": %d, \"socket\": \"%s\", \"pid\": %d}\n",
                   place, ntohs(address.sin_port), local.sun_path + 1, (int)getpid());
}

static void clear_up(void) {
    close(listener);
    close(talker);
    free(goal);
    folder_remove(FOLDER, &err);
}

/* Whether a process has the token among its words. */
static int any_left(void) {
    const struct dirent *entry;
    DIR *all = opendir("/proc");
    int found = 0;

    while ((entry = readdir(all))) {
        char path[300], words[4096];
        ssize_t got = 0;
        int fd;

        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        fd = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (fd < 0) continue;
        got = read(fd, words, sizeof words - 1);
        close(fd);
        if (got <= 0) continue;
        words[got] = 0;
        for (char *at = words; at < words + got; at += strlen(at) + 1) found |= !strcmp(at, token);
    }
    closedir(all);
    return found;
}

static void expect_none_left(const char *name) {
    static const struct timespec moment = {.tv_nsec = 20000000};

    for (int i = 0; i < 50 && any_left(); i++) nanosleep(&moment, NULL);
    ck_assert_msg(!any_left(), "%s left a process", name);
}

static void expect_contained(const char *name, const struct text *text) {
    ck_assert_msg(!memmem(text->data, text->length, "ESCAPED", 7), "%s: %s", name, text->data);
    ck_assert_msg(!memmem(text->data, text->length, SECRET, strlen(SECRET)), "%s saw the secret: %s", name,
                  text->data);
}

/* The program's first line says what it tries; the list in the docs has this row. */
static void expect_listed(const char *name, const char *program, const char *words) {
    const char *srcdir = getenv("srcdir");
    char *path = xprintf("%s/docs/sandbox.md", srcdir ? srcdir : "."), *docs, *row;
    size_t length;

    row = xprintf("| `%s` | %.*s | %s |", name, (int)strcspn(program + 2, "\n"), program + 2, words);
    docs = file_read(path, &length, &err);
    printf("%s\n", row);
    ck_assert_msg(docs && strstr(docs, row), "docs/sandbox.md lacks the row\n%s", row);
    free(docs);
    free(row);
    free(path);
}

START_TEST(hostile_programs_are_contained)
{
    char *attempt = hostile("attempt"), *text = hostile(programs[_i].name);
    const char *const command[] = {PYTHON, "/judge/program.py", token, NULL};
    const struct sandbox_file files[] = {{"/judge/attempt.py", attempt}, {"/judge/program.py", text}, {0}};
    struct sandbox_program program = {.command = command, .files = files, .input = goal};
    struct sandbox_limits most = limits(programs[_i].seconds);

    ck_assert_msg(!sandbox_run(&most, &program, &err), "%s: %s", programs[_i].name, err.message);
    ck_assert_msg(1u << program.end & programs[_i].ends, "%s ended as %d, %d: %s %s", programs[_i].name,
                  program.end, program.code, program.output.data, program.errors.data);
    expect_contained(programs[_i].name, &program.output);
    expect_contained(programs[_i].name, &program.errors);
    ck_assert(program.output.length <= most.output && program.errors.length <= most.output);
    expect_none_left(programs[_i].name);
    ck_assert_int_eq(accept(listener, NULL, NULL), -1);
    ck_assert_int_eq(accept(talker, NULL, NULL), -1);
    expect_listed(programs[_i].name, text, programs[_i].words);
    sandbox_program_free(&program);
    free(attempt);
    free(text);
}
END_TEST

/* The last lines are of values that JSON alone would not keep. */
#define TESTS                                                                                                \
    "def check(candidate):\n    assert candidate(2) == 4\n    assert double(-3) == -6\n"                     \
    "    assert candidate((1, 'a')) == (1, 'a', 1, 'a') and candidate(10 ** 5000) == 2 * 10 ** 5000\n"       \
    "    assert candidate(float('inf')) == float('inf') and candidate(x=2j) == 4j and candidate(True) == "   \
    "2\n"

static struct verdicts judge_double(const char *response, const char *more) {
    struct examples questions = {0};
    struct example *question = examples_add(&questions);
    struct transcript answer = {
        .id = "a", .prompt_id = "double", .policy = "p", .prompt = "", .response = (char *)response};
    const struct transcript *list[] = {&answer};
    char *yaml = xprintf("{seconds: 2, memory: 256%s}", more);
    struct node *options = document_parse_yaml(yaml, strlen(yaml), "options", &err);
    struct judge_setup setup = {.questions = &questions, .options = options, .where = "options"};
    const struct judge *judge = judge_find("unit_tests");
    struct judging *judging = NULL;
    struct verdicts verdicts = {0};

    question->id = xstrdup("double");
    question->prompt = xstrdup("Write double(x).");
    question->truth = xstrdup(TESTS);
    question->meta = node_new(NODE_MAP);
    node_add_text(question->meta, "entry_point", "double");
    ck_assert_msg(!judge->open(&judging, &setup, &err), "%s", err.message);
    ck_assert_int_eq(judge->judge(judging, list, 1, &verdicts, &err), 0);
    ck_assert_int_eq(verdicts.count, 1);
    judge->close(judging);
    node_free(options);
    free(yaml);
    examples_free(&questions);
    return verdicts;
}

START_TEST(no_trick_passes_the_tests)
{
    char *text = hostile(judged[_i].name);
    struct verdicts verdicts = judge_double(text, "");
    const struct verdict *verdict = &verdicts.items[0];

    ck_assert_int_eq(verdict->outcome, OUTCOME_VERDICT);
    ck_assert_msg(verdict->score == 0, "%s passes", judged[_i].name);
    ck_assert_msg(!strncmp(verdict->reason, judged[_i].reason, strlen(judged[_i].reason)), "%s: %s",
                  judged[_i].name, verdict->reason);
    expect_listed(judged[_i].name, text, judged[_i].reason);
    verdicts_free(&verdicts);
    free(text);
}
END_TEST

static void expect_verdict(const char *response, double score, const char *reason) {
    struct verdicts verdicts = judge_double(response, "");

    ck_assert_msg(verdicts.items[0].score == score &&
                      !strncmp(verdicts.items[0].reason, reason, strlen(reason)),
                  "%s: %g, %s", response, verdicts.items[0].score, verdicts.items[0].reason);
    verdicts_free(&verdicts);
}

START_TEST(honest_programs_are_judged_by_their_answers)
{
    expect_verdict("def double(x):\n    return 2 * x\n", 1, "passed");
    expect_verdict("Sure:\n```python\ndef double(x):\n    return x + x\n```\nUse it so:\n```\ndouble(1)\n```",
                   1, "passed");
    expect_verdict("```\ndef double(x): return x * x\n```", 0, "wrong answer: line 3 of the tests");
    expect_verdict("def double(x):\n    return 4\n", 0, "wrong answer: line 3 of the tests");
    expect_verdict("def triple(x):\n    return 3 * x\n", 0, "crash: ");
    expect_verdict("def double(x)\n    return 2 * x\n", 0, "crash: SyntaxError");
    expect_verdict("I can't write that.", 0, "crash: SyntaxError");
}
END_TEST

/* Programs from input to output: two cases, the second of two lines. */
static void expect_of(const char *tests, const char *response, const char *more, double score,
                      const char *reason) {
    struct examples questions = {0};
    struct example *question = examples_add(&questions);
    struct transcript answer = {
        .id = "a", .prompt_id = "q", .policy = "p", .prompt = "", .response = (char *)response};
    const struct transcript *list[] = {&answer};
    char *yaml = xprintf("{seconds: 5%s}", more);
    struct node *options = document_parse_yaml(yaml, strlen(yaml), "options", &err);
    struct judge_setup setup = {.questions = &questions, .options = options, .where = "options"};
    const struct judge *judge = judge_find("unit_tests");
    struct judging *judging = NULL;
    struct verdicts verdicts = {0};

    question->id = xstrdup("q");
    question->prompt = xstrdup("Double each.");
    question->meta = document_parse_yaml(tests, strlen(tests), "tests", &err);
    ck_assert_msg(!judge->open(&judging, &setup, &err), "%s", err.message);
    ck_assert_int_eq(judge->judge(judging, list, 1, &verdicts, &err), 0);
    judge->close(judging);
    ck_assert_msg(verdicts.items[0].score == score && !strcmp(verdicts.items[0].reason, reason), "%s: %g, %s",
                  response, verdicts.items[0].score, verdicts.items[0].reason);
    verdicts_free(&verdicts);
    examples_free(&questions);
    node_free(options);
    free(yaml);
}

static void expect_cases(const char *response, const char *more, double score, const char *reason) {
    expect_of("{tests: [{input: \"1\\n\", output: \"2\\n\"}, {input: \"1 2\", output: \"2\\n4\\n\"}]}",
              response, more, score, reason);
}

START_TEST(cases_are_read_as_data_sets_write_them)
{
    static const char *const forms[] = {
        "{inputs: [\"1\", \"2\"], outputs: [\"2\", \"4\"]}",
        "{tests: two, inputs: [\"1\", \"2\"], outputs: [\"2\", \"4\"]}",
        "{input_output: '{\"inputs\": [\"1\", \"2\"], \"outputs\": [\"2\\n\", \"4\\n\"]}'}"};

    for (int i = 0; i < 3; i++) {
        expect_of(forms[i], "print(2 * int(input()))", "", 1, "passed");
        expect_of(forms[i], "print(2 + int(input()) // 2)", "", 0, "wrong answer at line 1, in case 2 of 2");
    }
}
END_TEST

START_TEST(output_is_compared_line_by_line_and_to_the_last_line)
{
#define PROGRAM(body) "import sys\nnumbers = [int(w) for w in sys.stdin.read().split()]\n" body
    expect_cases(PROGRAM("for n in numbers: print(2 * n)\n"), "", 1, "passed");
    expect_cases(PROGRAM("print('\\n'.join(str(2 * n) for n in numbers), end='')\n"), "", 1, "passed");
    expect_cases(PROGRAM("for n in numbers: print(2 * n, end='  \\n')\n"), "", 1, "passed");
    expect_cases(PROGRAM("for n in numbers: print(2 * n, end='  \\n')\n"), ", exact_space: true", 0,
                 "wrong answer at line 1, in case 1 of 2");
    /* a prefix of what was expected, and more than was expected */
    expect_cases(PROGRAM("print(2 * numbers[0])\n"), "", 0,
                 "wrong answer: it ends before line 2, in case 2 of 2");
    expect_cases(PROGRAM("for n in numbers: print(2 * n)\nprint()\n"), "", 0,
                 "wrong answer: line 2 is one too many, in case 1 of 2");
    expect_cases(PROGRAM("print(2 * numbers[0])\n"), ", most_cases: 1", 1, "passed"); /* a hurried tester */
    expect_cases(PROGRAM("print(1 / 0)\n"), "", 0,
                 "crash, exit code 1: ZeroDivisionError: division by zero, in case 1 of 2");
    expect_cases("print('2')\nraise SystemExit(3)\n", "", 0, "crash, exit code 3: , in case 1 of 2");
#undef PROGRAM
}
END_TEST

struct solutions {
    char *ids[164], *texts[164];
    int count;
};

static int take_solution(void *context, const struct node *record, int line, struct error *error) {
    struct solutions *out = context;

    (void)line;
    (void)error;
    if (out->count == 164) return 1;
    out->ids[out->count] = xstrdup(node_text(record, "task_id", ""));
    out->texts[out->count++] = xstrdup(node_text(record, "canonical_solution", ""));
    return 0;
}

static void solutions_free(struct solutions *solutions) {
    for (int i = 0; i < solutions->count; i++) {
        free(solutions->ids[i]);
        free(solutions->texts[i]);
    }
}

/* Every 16th problem of HumanEval: its own solution passes, a body that does nothing does not. */
START_TEST(solutions_of_humaneval_pass)
{
    char *path = public_data("humaneval/HumanEval.jsonl.gz");
    struct outputs all = {0};
    struct judge_setup setup = {.questions = &all.questions, .where = "options"};
    const struct judge *judge = judge_find("unit_tests");
    struct judging *judging = NULL;
    struct transcript answers[32] = {{0}};
    const struct transcript *list[32];
    struct verdicts verdicts = {0};
    struct solutions solutions = {0};
    int count = 0;

    if (path) {
        ck_assert_msg(!outputs_read_questions(&all, path, &err), "%s", err.message);
        ck_assert_int_eq(document_each(path, take_solution, &solutions, &err), 0);
        ck_assert_int_eq(solutions.count, 164);
        ck_assert_msg(!judge->open(&judging, &setup, &err), "%s", err.message);
        for (int i = 0; i < solutions.count; i += 16)
            for (int right = 0; right < 2; right++) {
                answers[count] = (struct transcript){.id = solutions.ids[i],
                                                     .prompt_id = solutions.ids[i],
                                                     .policy = "p",
                                                     .response = right ? solutions.texts[i] : "    pass\n"};
                list[count] = &answers[count];
                count++;
            }
        ck_assert_int_eq(judge->judge(judging, list, count, &verdicts, &err), 0);
        for (int i = 0; i < count; i++)
            ck_assert_msg(verdicts.items[i].score == i % 2, "%s: %g, %s", answers[i].id,
                          verdicts.items[i].score, verdicts.items[i].reason);
        judge->close(judging);
    }
    solutions_free(&solutions);
    verdicts_free(&verdicts);
    outputs_free(&all);
    free(path);
}
END_TEST

int main(void) {
    struct sandbox_limits most = limits(10);
    Suite *suite = suite_create("sandbox");
    TCase *cases = tcase_create("sandbox");
    SRunner *runner = srunner_create(suite);
    int failures;

    if (sandbox_check(&most, PYTHON, &err)) {
        printf("skipped: %s\n", err.message);
        srunner_free(runner);
        return SKIP;
    }
    tcase_set_timeout(cases, 60);
    tcase_add_unchecked_fixture(cases, lay_out, clear_up);
    tcase_add_test(cases, honest_programs_are_judged_by_their_answers);
    tcase_add_test(cases, cases_are_read_as_data_sets_write_them);
    tcase_add_test(cases, output_is_compared_line_by_line_and_to_the_last_line);
    tcase_add_test(cases, solutions_of_humaneval_pass);
    tcase_add_loop_test(cases, hostile_programs_are_contained, 0, sizeof programs / sizeof *programs);
    tcase_add_loop_test(cases, no_trick_passes_the_tests, 0, sizeof judged / sizeof *judged);
    suite_add_tcase(suite, cases);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
