#include "suites/judgments.h"

#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/judge_list.h"
#include "harness/memory.h"
#include "judges/judge.h"

/* Pairs of answers to one prompt under one seed; b is the baseline's. */
struct couples {
    const struct transcript **a, **b;
    int count;
};

static void couples_make(struct couples *out, const struct table *table, int nulls) {
    size_t room = (size_t)table_cells(table);

    *out = (struct couples){xmalloc(room * sizeof *out->a), xmalloc(room * sizeof *out->b), 0};
    for (int p = 0; p < table->policy_count; p++) {
        if (p == table->baseline || (!nulls && is_null_policy(table->policies[p]))) continue;
        for (int s = 0; s < table->seed_count; s++)
            for (int q = 0; q < table->question_count; q++) {
                out->a[out->count] = table->answers[table_cell(table, p, s, q)];
                out->b[out->count] = table->answers[table_cell(table, table->baseline, s, q)];
                out->count += out->a[out->count] && out->b[out->count];
            }
    }
}

static int judge_pairs(const struct gathered *gathered, const struct judge *judge, struct judging *judging,
                       int nulls, struct verdicts *verdicts, struct error *err) {
    struct couples couples;
    int status = 0;

    if (!judge->compare) return 0;
    couples_make(&couples, &gathered->table, nulls);
    if (couples.count) status = judge->compare(judging, couples.a, couples.b, couples.count, verdicts, err);
    free(couples.a);
    free(couples.b);
    return status;
}

/* Null policies' answers stand behind those that were read. */
static int judge_answers(const struct gathered *gathered, const struct judge *judge, struct judging *judging,
                         int nulls, struct verdicts *verdicts, struct error *err) {
    int count = nulls ? gathered->transcripts.count : gathered->asked, status;
    const struct transcript **list = xmalloc(((size_t)count + 1) * sizeof *list);

    for (int i = 0; i < count; i++) list[i] = &gathered->transcripts.items[i];
    status = judge->judge ? judge->judge(judging, list, count, verdicts, err) : 0;
    free(list);
    return status;
}

/* Of the policies that were read: what a null policy's answers do to a judge says nothing of the judge. A
   panel's members stand behind its own word. */
static void add_counts(struct node *account, const struct verdicts *verdicts) {
    static const char *const names[] = {"verdicts", "ties", "refused", "unparsed", "transport"};
    int counts[5] = {0}, total = 0;
    const char *first = NULL;

    for (int i = 0; i < verdicts->count; i++) {
        if (is_null_policy(verdicts->items[i].transcript) || strcmp(verdicts->items[i].judge, account->key))
            continue;
        counts[verdicts->items[i].outcome]++;
        total++;
        if (verdicts->items[i].outcome == OUTCOME_TRANSPORT && !first) first = verdicts->items[i].reason;
    }
    node_add_number(account, "judgments", total);
    for (int i = 0; i < 5; i++) node_add_number(account, names[i], counts[i]);
    node_add_number(account, "failed", total ? (counts[2] + counts[3] + counts[4]) / (double)total : 0);
    if (first) node_add_text(account, "first_transport", first);
}

static int ask(struct gathered *out, const struct judge_entry *entry, const struct gather_options *options,
               const struct run *run, struct error *err) {
    struct judge_setup setup = {.run = run,
                                .world = out->world,
                                .dials = out->dials,
                                .name = entry->name,
                                .questions = &out->questions,
                                .options = entry->options,
                                .where = options->where};
    const struct judge *judge = judge_find(entry->use);
    int nulls = entry->nulls < 0 ? !judge->costly : entry->nulls, status = -1;
    struct node *account = node_add(out->accounts, entry->name, NODE_MAP);
    struct judging *judging = NULL;
    struct verdicts verdicts = {0};

    if (gathered_knows_judge(out, entry->name)) {
        fail(err, "the answers come with verdicts of a judge '%s'; give this one another \"name\"",
             entry->name);
        goto out;
    }
    if (judge->open(&judging, &setup, err)) goto out;
    if (judge_answers(out, judge, judging, nulls, &verdicts, err)) goto out;
    if (judge_pairs(out, judge, judging, nulls, &verdicts, err)) goto out;
    node_add_text(account, "use", entry->use);
    add_counts(account, &verdicts);
    if (judge->account) judge->account(judging, account);
    gathered_keep(out, &verdicts);
    status = 0;
out:
    if (judging) judge->close(judging);
    verdicts_free(&verdicts);
    return status ? fail_within(err, "judge %s", entry->name) : 0;
}

int judgments_make(struct gathered *out, const struct gather_options *options, const struct run *run,
                   struct error *err) {
    for (const struct node *node = options->judges ? options->judges->first : NULL; node; node = node->next) {
        struct judge_entry entry;
        int status = judge_entry_read(&entry, node, options->where, err);

        if (!status) {
            status = ask(out, &entry, options, run, err);
            node_free(entry.options);
        }
        if (status) return -1;
    }
    return 0;
}

int judgments_write(const struct gathered *gathered, double most_failures, const char *folder,
                    struct error *err) {
    struct node *all;
    char *path;
    int status;

    if (!gathered->accounts || !gathered->accounts->first) return 0;
    all = node_new(NODE_MAP);
    node_add_number(all, "most_failures", most_failures);
    node_add_copy(all, "judges", gathered->accounts);
    path = path_join(folder, "judging.json");
    status = document_write(path, all, err);
    free(path);
    node_free(all);
    return status;
}
