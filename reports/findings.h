/* What moved, in sentences made from the metrics alone: direction, size, interval, p, seeds. */
#ifndef REPORTS_FINDINGS_H
#define REPORTS_FINDINGS_H

#include "reports/notes.h"
#include "reports/results.h"

/* One tested comparison of a policy with its baseline. */
struct finding {
    const struct metric *metric;
    double effect, error; /* from no difference; error is half the 95 % interval over 1.96 */
    int significant;      /* adjusted p (else p) below 0.05, and the seeds agree */
    int disputed;         /* the same, but they do not */
    int better;           /* 1, 0; -1 where the metric has no good side */
};

struct finding finding_of(const struct metric *metric);
/* The metric compares a policy that reads its prompts with a baseline, and has a p. */
int finding_exists(const struct metric *metric);

/* The tested comparisons of one policy: significant first, then by effect over error, largest first. */
struct findings {
    const char *policy;
    struct finding *items;
    int count, significant, disputed;
};

/* One list a trained policy that was tested, in the order of appearance. Caller frees each `items` and the
   array. */
struct findings *findings_of(const struct evaluation *evaluation, int *count);
void findings_free(struct findings *findings, int count);

/* The significant ones from *at on, at most two metrics a suite, each in the split where it shows most; NULL
   at the end. */
const struct finding *findings_next(const struct findings *findings, int *at);

/* "refused borderline, heldout, against sft: +32.1 pp [+25.0, +39.1], worse, p = 2.1e−5; seeds +30.1 +34.1,
   over 2 seeds [+6.7, +57.5], p = 0.040". Caller frees. */
char *finding_sentence(const struct finding *finding);
/* How many of a policy's comparisons are significant, how many would be but for seeds that disagree, and what
 * could have been missed. Caller frees. */
char *findings_total(const struct findings *findings);
/* What was evaluated and how much of it moved: the summary's first paragraph. Caller frees. */
char *findings_overview(const struct results *results);

/* What limits the run's answers, as far as its files show: seeds, missing judgments, cut responses, what
   could not be drawn or computed. */
void limitations_of(struct notes *out, const struct results *results);

#endif
