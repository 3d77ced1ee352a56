/* Reads what an evaluation looks at, and has it judged: answers, pairs, rewards, logs of training. */
#ifndef SUITES_GATHER_H
#define SUITES_GATHER_H

#include "harness/run.h"
#include "suites/suite.h"

struct gather_options {
    const struct node *data, *answers, *rewards,
        *training;               /* lists of folders; all but answers may be NULL */
    const struct node *verdicts; /* list of verdicts.jsonl made elsewhere, or NULL */
    const struct node *judges;   /* list of judges (harness/judge_list.h), or NULL */
    const char *where;           /* the file that names them */
    const char *baseline;
    int reward_prompts, reward_pairs; /* a split; 0: all */
    int samples;                      /* prompts whose token rewards are kept */
};

/* Owns everything that a bench borrows. */
struct gathered {
    const struct world *world;
    void *dials;
    struct transcripts transcripts;
    int asked; /* transcripts that were read; behind them stand the null policies' */
    struct table table;
    struct verdicts verdicts; /* of the answers that were read */
    struct examples examples;
    struct examples questions; /* what was asked, as far as the data and the answers' folders tell */
    struct node *accounts;     /* of the judges named, a map by their names */
    const char **judges;       /* of these, and of judges that verdicts made elsewhere name: each once */
    int judge_count;
    const struct example **pair_items;
    struct pairs_judged pairs;
    struct training *trainings;
    int training_count;
    const char **rewards; /* names, each once */
    int reward_count;
    struct node *token_rewards; /* list of {policy, reward, transcript, tokens, rewards} */
};

int gather(struct gathered *out, const struct gather_options *options, const struct run *run,
           struct error *err);
/* 1 where a judge of this name has spoken already; else 0, and it is noted. */
int gathered_knows_judge(struct gathered *out, const char *name);
/* Adds verdicts to the table and, null policies' apart, to the verdicts, and empties the list. */
void gathered_keep(struct gathered *out, struct verdicts *verdicts);
void gathered_free(struct gathered *gathered);

#endif
