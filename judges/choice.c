/* Multiple choice: which choice the answer takes, by the rules of harness/choice.h. Judges "correct". */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "harness/choice.h"
#include "harness/memory.h"
#include "judges/judge.h"

enum { CHOICES_MOST = 26 };

struct settings {
    int first; /* number of the first choice, where a truth is a number */
};

#define AT(field) offsetof(struct settings, field)
static const struct option options[] = {{"first", OPTION_INT, AT(first), "1", 0, 1, NULL,
                                         "what the first choice counts as where truths are numbers"},
                                        {0}};
#undef AT

struct judging {
    struct settings settings;
    struct examples *questions;
    char *name;
};

/* A question's choices, borrowed. */
struct offer {
    const char *texts[CHOICES_MOST];
    int count, right; /* right: -1 where nobody says */
};

static int is_choice(const struct offer *offer, const char *truth) {
    for (int i = 0; i < offer->count; i++)
        if (!strcasecmp(offer->texts[i], truth)) return i;
    return -1;
}

/* A letter, a number or a choice's text. */
static int right_choice(const struct offer *offer, const char *truth, int first) {
    int right = truth ? is_choice(offer, truth) : -1;

    if (right >= 0 || !truth) return right;
    if (truth[0] && !truth[1] && (truth[0] & ~32) >= 'A' && (truth[0] & ~32) <= 'Z')
        right = (truth[0] & ~32) - 'A';
    else if (truth[0] && !truth[strspn(truth, "0123456789")] && strlen(truth) < 3)
        right = atoi(truth) - first;
    return right < offer->count ? right : -1;
}

static const struct node *choices_of(const struct example *question) {
    static const char *const names[] = {"choices", "options", "endings"};
    const struct node *found = NULL;

    for (int i = 0; question && i < 3 && !found; i++) found = node_get(question->meta, names[i]);
    if (found && node_get(found, "text")) found = node_get(found, "text"); /* {text: [...], label: [...]} */
    return found && (found->kind == NODE_LIST || found->kind == NODE_MAP) ? found : NULL;
}

/* "choices" or "options", a list or a map; or the columns A, B, … */
static void offer_of(struct offer *out, const struct example *question, int first) {
    const struct node *list = choices_of(question);

    *out = (struct offer){.right = -1};
    for (const struct node *one = list ? list->first : NULL; one && out->count < CHOICES_MOST;
         one = one->next)
        out->texts[out->count++] = one->text ? one->text : "";
    for (char letter = 'A'; question && !list && letter <= 'Z'; letter++) {
        const char *text = node_text(question->meta, (char[]){letter, 0}, NULL);

        if (!text) break;
        out->texts[out->count++] = text;
    }
    if (out->count) out->right = right_choice(out, question->truth, first);
}

static int choice_open(struct judging **out, const struct judge_setup *setup, struct error *err) {
    struct settings settings;
    int usable = 0;

    if (options_read(options, NULL, setup->options, setup->where, &settings, err)) return -1;
    for (int i = 0; setup->questions && i < setup->questions->count && !usable; i++) {
        struct offer offer;

        offer_of(&offer, &setup->questions->items[i], settings.first);
        usable = offer.right >= 0;
    }
    if (!usable)
        return fail(err,
                    "no question has choices (a list \"choices\", or columns A, B, …) and a \"truth\" among "
                    "them: a letter, a number or a choice's text");
    *out = xmalloc(sizeof **out);
    **out = (struct judging){settings, setup->questions, xstrdup(setup->name ? setup->name : "choice")};
    return 0;
}

static void judge_one(struct judging *judging, const struct transcript *answer, struct verdicts *out) {
    struct offer offer;
    int chosen;

    offer_of(&offer, examples_find(judging->questions, answer->prompt_id), judging->settings.first);
    chosen = offer.count ? choice_find(answer->response, offer.texts, offer.count) : -1;
    if (offer.right < 0 || chosen < 0) {
        verdict_add_failure(out, answer, judging->name, "correct", OUTCOME_UNPARSED,
                            !offer.count      ? "the question has no choices"
                            : offer.right < 0 ? "the question's truth is none of its choices"
                                              : "the answer takes no choice, or more than one");
        return;
    }
    verdict_add(out, answer, judging->name, "correct", chosen == offer.right);
    out->items[out->count - 1].reason = xprintf("took %c of %d", 'A' + chosen, offer.count);
}

static int choice_judge(struct judging *judging, const struct transcript *const *answers, int count,
                        struct verdicts *out, struct error *err) {
    (void)err;
    for (int i = 0; i < count; i++) judge_one(judging, answers[i], out);
    return 0;
}

static void choice_close(struct judging *judging) {
    if (!judging) return;
    free(judging->name);
    free(judging);
}

const struct judge judge_choice = {.name = "choice",
                                   .summary = "multiple choice: is the choice that the answer takes right?",
                                   .options = options,
                                   .open = choice_open,
                                   .judge = choice_judge,
                                   .close = choice_close};
