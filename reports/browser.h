/* The data of the HTML page's sample browser: every response with its verdicts, pairs and token rewards. */
#ifndef REPORTS_BROWSER_H
#define REPORTS_BROWSER_H

#include "harness/memory.h"
#include "reports/results.h"

#define BROWSER_ANSWERS 20000      /* responses in a page at most, */
#define BROWSER_BYTES   (32 << 20) /* and bytes of their texts, about */
#define BROWSER_TEXT    20000      /* bytes of one text; a longer one says how much was cut */

/* How much of what was answered is in the page. */
struct browser_counts {
    int shown, total; /* responses */
};

/* Appends the data as JSON that may stand in a script element. Above BROWSER_ANSWERS or BROWSER_BYTES whole
   prompts are left out, evenly, each with all its responses. A text that occurs often is there once.

     policies, sections, splits, categories, judges, whats: names, referred to by their places
     texts      what was asked, answered and said, referred to by place
     baselines  of each section the policy that others are compared with, -1 where there is none
     prompts    [section, split, category, text, id]
     answers    [prompt, policy, seed, tokens, 1 where it was cut at the length limit, text, id]
     verdicts   [answer, other, judge, what, outcome, score, order, reason, raw]; other: an answer, the id of
                one that is not in the page, or null where no pair was judged; score: 0, ½, 1, or a text as
                every format writes it; -1 for no reason and no raw reply
     maps       [answer, reward's name, tokens, rewards] */
void browser_add_data(struct text *out, const struct results *results, struct browser_counts *counts);

#endif
