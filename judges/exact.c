/* A reference answer, by a named rule. Judges "correct". */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "judges/judge.h"
#include "judges/reference.h"

enum rule { RULE_EQUAL, RULE_FIRST_LINE, RULE_LAST_LINE, RULE_CONTAINS, RULE_NUMBER };

struct settings {
    int rule, keep_case, keep_punctuation, drop_articles;
    const char *separator;
    double tolerance;
};

#define AT(field) offsetof(struct settings, field)
static const struct option options[] = {
    {"rule", OPTION_CHOICE, AT(rule), "equal", 0, 0, "equal|first_line|last_line|contains|number",
     "the answer, its first or last line that is not empty, is the reference; it contains it as whole words; "
     "its "
     "last number is the reference's"},
    {"keep_case", OPTION_BOOL, AT(keep_case), "false", 0, 0, NULL, "upper and lower case differ"},
    {"keep_punctuation", OPTION_BOOL, AT(keep_punctuation), "false", 0, 0, NULL, "punctuation counts"},
    {"drop_articles", OPTION_BOOL, AT(drop_articles), "false", 0, 0, NULL, "a, an, the do not count"},
    {"separator", OPTION_TEXT, AT(separator), "", 0, 0, NULL, "between several right references, such as ;"},
    {"tolerance", OPTION_REAL, AT(tolerance), "1e-6", 0, 1, NULL,
     "of numbers, relative to the reference; absolute where that is 0"},
    {0}};
#undef AT

struct judging {
    struct settings settings;
    struct examples *questions;
    char *name;
};

static int any_truth(const struct examples *questions) {
    for (int i = 0; questions && i < questions->count; i++)
        if (questions->items[i].truth) return 1;
    return 0;
}

static int exact_open(struct judging **out, const struct judge_setup *setup, struct error *err) {
    struct settings settings;

    if (options_read(options, NULL, setup->options, setup->where, &settings, err)) return -1;
    if (!any_truth(setup->questions))
        return fail(err,
                    "no question has a reference answer; give a file of questions with a column \"truth\"");
    *out = xmalloc(sizeof **out);
    **out = (struct judging){settings, setup->questions, xstrdup(setup->name ? setup->name : "exact")};
    return 0;
}

/* The first or last line with anything in it, else "". Caller frees. */
static char *line_of(const char *text, int last) {
    const char *found = "";
    size_t length = 0;

    for (const char *at = text; *at;) {
        size_t end = strcspn(at, "\n");

        if (strspn(at, " \t\r") < end) {
            found = at;
            length = end;
            if (!last) break;
        }
        at += end + (at[end] != 0);
    }
    return xstrndup(found, length);
}

static char *part_judged(const struct settings *settings, const char *response) {
    if (settings->rule == RULE_FIRST_LINE) return line_of(response, 0);
    if (settings->rule == RULE_LAST_LINE) return line_of(response, 1);
    return xstrdup(response);
}

static int same_number(const struct settings *settings, const char *response, const char *reference) {
    double wanted = text_last_number(reference), got = text_last_number(response);

    return fabs(got - wanted) <= settings->tolerance * (wanted == 0 ? 1 : fabs(wanted));
}

static int is_right(const struct settings *settings, const char *response, const char *reference) {
    struct normalising how = {settings->keep_case, settings->keep_punctuation, settings->drop_articles};
    char *part, *given, *wanted;
    int right;

    if (settings->rule == RULE_NUMBER) return same_number(settings, response, reference);
    part = part_judged(settings, response);
    given = text_normalise(part, &how);
    wanted = text_normalise(reference, &how);
    right = settings->rule == RULE_CONTAINS ? text_has_words(given, wanted) : !strcmp(given, wanted);
    free(wanted);
    free(given);
    free(part);
    return right;
}

/* Why nothing can be compared with the references, or NULL. */
static const char *why_not(const struct settings *settings, const struct references *references) {
    if (!references->count) return "the question has no reference answer";
    for (int i = 0; i < references->count; i++)
        if (settings->rule != RULE_NUMBER || !isnan(text_last_number(references->items[i]))) return NULL;
    return "the reference answer has no number";
}

static void judge_one(struct judging *judging, const struct transcript *answer, struct verdicts *out) {
    struct references references;
    const char *why;
    int right = 0;

    references_of(&references, examples_find(judging->questions, answer->prompt_id),
                  judging->settings.separator);
    for (int i = 0; i < references.count; i++)
        right |= is_right(&judging->settings, answer->response, references.items[i]);
    why = why_not(&judging->settings, &references);
    if (why)
        verdict_add_failure(out, answer, judging->name, "correct", OUTCOME_UNPARSED, why);
    else
        verdict_add(out, answer, judging->name, "correct", right);
    references_free(&references);
}

static int exact_judge(struct judging *judging, const struct transcript *const *answers, int count,
                       struct verdicts *out, struct error *err) {
    (void)err;
    for (int i = 0; i < count; i++) judge_one(judging, answers[i], out);
    return 0;
}

static void exact_close(struct judging *judging) {
    if (!judging) return;
    free(judging->name);
    free(judging);
}

const struct judge judge_exact = {.name = "exact",
                                  .summary = "a reference answer, by a named rule: is it right?",
                                  .options = options,
                                  .open = exact_open,
                                  .judge = exact_judge,
                                  .close = exact_close};
