#include "judges/canary.h"

#include <math.h>

static const double fine_slack = 0.25; /* of expectations that should be equal */

/* Both orders of a pair, the score being of `own`. */
static struct canary in_both_orders(enum canary_kind kind, const char *prompt, const char *own,
                                    const char *other, const char *reference) {
    return (struct canary){.kind = kind,
                           .shown = {{prompt, own, other, reference}, {prompt, other, own, reference}},
                           .turned = {0, 1},
                           .salt = {0, kind == CANARY_IDENTICAL},
                           .count = 2,
                           .score = {NAN, NAN}};
}

/* Two answers, or one twice, each judged alone. */
static struct canary alone(enum canary_kind kind, const char *prompt, const char *one, const char *two,
                           const char *reference) {
    return (struct canary){.kind = kind,
                           .shown = {{prompt, one, NULL, reference}, {prompt, two, NULL, reference}},
                           .salt = {kind == CANARY_IDENTICAL, 2 * (kind == CANARY_IDENTICAL)},
                           .count = two ? 2 : 1,
                           .score = {NAN, NAN}};
}

int canaries_make(struct canary list[MOST_CANARIES], const struct rubric *rubric,
                  const struct exhibit *first) {
    int count = 0;

    if (rubric->pair)
        list[count++] =
            in_both_orders(CANARY_IDENTICAL, first->prompt, first->first, first->first, first->reference);
    else
        list[count++] = alone(CANARY_IDENTICAL, first->prompt, first->first, first->first, first->reference);
    if (rubric->null_answer && rubric->pair)
        list[count++] =
            in_both_orders(CANARY_NULL, first->prompt, rubric->null_answer, first->first, first->reference);
    else if (rubric->null_answer)
        list[count++] = alone(CANARY_NULL, first->prompt, rubric->null_answer, NULL, first->reference);
    for (int i = 0; i < rubric->known_count && count < MOST_CANARIES; i++) {
        const struct known *known = &rubric->known[i];

        list[count++] = (rubric->pair ? in_both_orders : alone)(CANARY_GOLD, known->prompt, known->good,
                                                                known->bad, known->reference);
    }
    return count;
}

int canary_passed(const struct canary *canary, const struct rubric *rubric, int fine_scores) {
    double a = canary->score[0], b = canary->score[1], mean = (a + b) / 2,
           slack = fine_scores ? fine_slack : 0;

    if (isnan(a) || (canary->count == 2 && isnan(b))) return -1;
    switch (canary->kind) {
    case CANARY_IDENTICAL:
        return rubric->pair ? fabs(mean - 0.5) <= slack : fabs(a - b) <= slack;
    case CANARY_NULL:
        return rubric->pair ? mean <= 0.5 : a <= rubric->null_at_most + 2 * slack;
    default:
        return rubric->pair ? mean > 0.5 : a > b;
    }
}

void canaries_count(struct canary_counts *counts, const struct canary *list, int count,
                    const struct rubric *rubric, int fine_scores) {
    for (int i = 0; i < count; i++) {
        int passed = canary_passed(&list[i], rubric, fine_scores);

        counts->tried[list[i].kind]++;
        counts->passed[list[i].kind] += passed == 1;
        counts->unjudged[list[i].kind] += passed < 0;
    }
}

const char *canary_name(enum canary_kind kind) {
    static const char *const names[] = {"identical", "null", "gold"};

    return names[kind];
}

void canaries_describe(const struct canary_counts *counts, struct node *out) {
    for (int k = 0; k < CANARY_KINDS; k++) {
        struct node *one = node_add(out, canary_name((enum canary_kind)k), NODE_MAP);

        node_add_number(one, "tried", counts->tried[k]);
        node_add_number(one, "passed", counts->passed[k]);
        node_add_number(one, "unjudged", counts->unjudged[k]);
    }
}
