/* A model behind an OpenAI-compatible chat endpoint, asked by a rubric. Judges what the rubric calls its
   verdict; docs/judging.md says how, and what comes of each fault. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/progress.h"
#include "harness/refusal_detector.h"
#include "judges/asking.h"
#include "judges/canary.h"
#include "judges/judge.h"
#include "judges/reading.h"
#include "judges/remote_options.h"

struct judging {
    struct remote_options settings;
    struct node *options; /* owns the settings' texts */
    struct rubric rubric;
    struct asking asking;
    struct examples *questions;
    struct canary_counts canaries;
    double input_tokens, output_tokens, attempts; /* behind all replies, each counted once */
    int outcomes[5];
    char *name, *url, *key, *label;
};

/* One request: what is shown, and whose judgment it is. */
struct trial {
    struct exhibit shown;
    int salt, turned;
    int subject, order; /* of a real judgment */
    struct canary *canary;
    int side; /* of the canary */
};

struct sitting {
    struct trial *trials;
    struct inquiry *inquiries;
    int count, room;
    struct canary canaries[MOST_CANARIES];
    int canary_count;
};

static void make_url(struct judging *judging) {
    const char *endpoint = judging->settings.endpoint, *tail = "/chat/completions";
    size_t length = strlen(endpoint);

    while (length && endpoint[length - 1] == '/') length--;
    if (length > strlen(tail) && !strncmp(endpoint + length - strlen(tail), tail, strlen(tail))) tail = "";
    judging->url = xprintf("%.*s%s", (int)length, endpoint, tail);
}

static struct ask_settings ask_settings(const struct judging *judging) {
    const struct remote_options *settings = &judging->settings;

    return (struct ask_settings){.http = {.url = judging->url,
                                          .key = judging->key,
                                          .ca_file = settings->ca_file,
                                          .concurrency = settings->concurrency,
                                          .retries = settings->retries,
                                          .per_minute = settings->rate,
                                          .connect_seconds = settings->connect_timeout,
                                          .seconds = settings->timeout,
                                          .backoff = settings->backoff,
                                          .longest_wait = settings->longest_wait,
                                          .most_bytes = (size_t)settings->most_bytes,
                                          .seed = 1},
                                 .label = judging->label,
                                 .input_price = settings->input_price,
                                 .output_price = settings->output_price,
                                 .budget = settings->budget,
                                 .max_tokens = settings->max_tokens,
                                 .give_up = settings->give_up,
                                 .retry_errors = settings->retry_errors};
}

static void remote_close(struct judging *judging) {
    if (!judging) return;
    cache_close(judging->asking.cache);
    rubric_free(&judging->rubric);
    node_free(judging->options);
    if (judging->key) explicit_bzero(judging->key, strlen(judging->key));
    free(judging->key);
    free(judging->name);
    free(judging->url);
    free(judging->label);
    free(judging);
}

static int open_rubric(struct rubric *out, const struct remote_options *settings, struct error *err) {
    if (rubric_open(out, settings->rubric, settings->rubric_file, err)) return -1;
    if (out->endings[settings->method]) return 0;
    return fail(err, "the rubric %s has no \"endings\" for the method %s", out->name,
                settings->method == METHOD_TEXT ? "text" : "logprobs");
}

static int remote_check(const struct node *given, const char *where, struct error *err) {
    struct remote_options settings;
    struct rubric rubric = {0};
    int status = remote_options_read(&settings, given, where, err);

    if (!status) status = open_rubric(&rubric, &settings, err);
    rubric_free(&rubric);
    return status;
}

static int prepare(struct judging *judging, const char *where, struct error *err) {
    struct remote_options *settings = &judging->settings;

    if (remote_options_read(settings, judging->options, where, err)) return -1;
    make_url(judging);
    if (http_check_url(judging->url, settings->key_env || settings->key_file, err)) return -1;
    if (open_rubric(&judging->rubric, settings, err)) return -1;
    if (settings->method == METHOD_LOGPROBS) settings->max_tokens = 1;
    judging->label = xprintf("judging by %s", settings->model);
    if (remote_key(&judging->key, settings, err) || cache_open(&judging->asking.cache, settings->cache, err))
        return -1;
    judging->asking.settings = ask_settings(judging);
    return 0;
}

static int remote_open(struct judging **out, const struct judge_setup *setup, struct error *err) {
    struct judging *judging = xcalloc(1, sizeof *judging);

    judging->options = setup->options ? node_copy(setup->options) : node_new(NODE_MAP);
    judging->name = xstrdup(setup->name ? setup->name : "remote");
    judging->questions = setup->questions;
    if (prepare(judging, setup->where ? setup->where : "judge remote", err)) {
        remote_close(judging);
        return -1;
    }
    *out = judging;
    return 0;
}

static char *request_body(const struct judging *judging, const struct trial *trial) {
    const struct remote_options *settings = &judging->settings;
    struct node *body = node_new(NODE_MAP), *messages;
    char *json;

    messages = rubric_messages(&judging->rubric, &trial->shown, (enum method)settings->method, trial->salt);
    node_add_text(body, "model", settings->model);
    node_add_copy(body, "messages", messages);
    if (settings->temperature >= 0) node_add_number(body, "temperature", settings->temperature);
    node_add_number(body, settings->max_tokens_name ? "max_completion_tokens" : "max_tokens",
                    settings->max_tokens);
    if (settings->method == METHOD_LOGPROBS) {
        node_add_bool(body, "logprobs", 1);
        node_add_number(body, "top_logprobs", settings->top_logprobs);
    }
    for (const struct node *field = settings->body ? settings->body->first : NULL; field; field = field->next)
        node_add_copy(body, field->key, field);
    json = node_json(body, 0);
    node_free(messages);
    node_free(body);
    return json;
}

static void add_trial(struct sitting *sitting, struct trial trial) {
    if (sitting->count == sitting->room) {
        sitting->room = 2 * sitting->room + 64;
        sitting->trials = xrealloc(sitting->trials, (size_t)sitting->room, sizeof *sitting->trials);
    }
    sitting->trials[sitting->count++] = trial;
}

static void add_canaries(struct sitting *sitting, const struct judging *judging,
                         const struct exhibit *first) {
    if (!judging->settings.canaries) return;
    sitting->canary_count = canaries_make(sitting->canaries, &judging->rubric, first);
    for (int i = 0; i < sitting->canary_count; i++)
        for (int side = 0; side < sitting->canaries[i].count; side++) {
            struct canary *canary = &sitting->canaries[i];

            add_trial(sitting, (struct trial){.shown = canary->shown[side],
                                              .salt = canary->salt[side],
                                              .turned = canary->turned[side],
                                              .canary = canary,
                                              .side = side});
        }
}

static void sitting_free(struct sitting *sitting) {
    for (int i = 0; i < sitting->count && sitting->inquiries; i++) inquiry_free(&sitting->inquiries[i]);
    free(sitting->inquiries);
    free(sitting->trials);
}

static const char *truth_of(const struct judging *judging, const char *prompt_id) {
    const struct example *question = judging->questions ? examples_find(judging->questions, prompt_id) : NULL;

    return question ? question->truth : NULL;
}

/* Whose trials they are that ask() asks for. */
struct bodies {
    const struct judging *judging;
    const struct sitting *sitting;
};

static char *make_body(void *context, int number) {
    const struct bodies *bodies = context;

    return request_body(bodies->judging, &bodies->sitting->trials[number]);
}

static int ask_all(struct judging *judging, struct sitting *sitting, struct error *err) {
    struct bodies bodies = {judging, sitting};

    sitting->inquiries = xcalloc((size_t)sitting->count + 1, sizeof *sitting->inquiries);
    for (int i = 0; i < sitting->count; i++) {
        char *body = make_body(&bodies, i);

        inquiry_make(&sitting->inquiries[i], &judging->asking.settings, body);
        free(body);
    }
    return ask(&judging->asking, sitting->inquiries, sitting->count, make_body, &bodies, err);
}

static struct reading failure(enum outcome outcome, const char *reason) {
    struct reading reading = {.outcome = outcome, .score = NAN};

    snprintf(reading.reason, sizeof reading.reason, "%s", reason);
    return reading;
}

/* What the model said, as a reading; -1 where the server does not do what the method needs. */
static int read_answer(struct reading *out, struct judging *judging, const struct completion *completion,
                       struct error *err) {
    const struct remote_options *settings = &judging->settings;
    const struct choices *offers = &judging->rubric.offers[settings->method];

    if (completion->kind == COMPLETION_REFUSED)
        *out = failure(OUTCOME_REFUSED, completion->reason);
    else if (settings->method == METHOD_TEXT)
        *out = reading_of_text(completion, judging->rubric.marker, offers);
    else if (completion->top_logprobs)
        *out = reading_of_logprobs(completion, offers);
    else
        return fail(err,
                    "the server ignores logprobs (model %s): use one that returns them, or the method text; "
                    "no verdict was read from its text instead",
                    settings->model);
    if (settings->method == METHOD_TEXT && out->outcome == OUTCOME_UNPARSED &&
        refusal_detect(completion->content) == REFUSAL_REFUSED)
        *out = failure(OUTCOME_REFUSED, "the judge declines");
    if (out->outcome == OUTCOME_VERDICT && judging->rubric.pair && out->score == 0.5)
        out->outcome = OUTCOME_TIE;
    return 0;
}

static char *said(const struct completion *completion, const char *body) {
    return xstrdup(completion->content && *completion->content ? completion->content : body);
}

/* An inquiry's end as a reading, turned to the one it is about; raw: the judge's words, the caller's. */
static int read_inquiry(struct reading *out, char **raw, struct judging *judging,
                        const struct inquiry *inquiry, int turned, struct error *err) {
    const char *body = inquiry->reply.body;
    struct completion completion = {0};
    int status = 0;

    *raw = NULL;
    if (body) {
        completion_read(&completion, body, strlen(body));
        *raw = said(&completion, body);
    }
    if (inquiry->state == ASK_ANSWERED)
        status = read_answer(out, judging, &completion, err);
    else if (inquiry->state == ASK_FAILED)
        *out = failure((enum outcome)inquiry->reply.kind, inquiry->reply.reason);
    else
        *out = failure(OUTCOME_TRANSPORT, inquiry->reason);
    if (turned) out->score = 1 - out->score;
    if (inquiry->same_as < 0) {
        judging->input_tokens += inquiry->reply.input_tokens;
        judging->output_tokens += inquiry->reply.output_tokens;
        judging->attempts += inquiry->reply.attempts;
    }
    completion_free(&completion);
    return status;
}

/* Both functions below fill a verdict that has its ids. */
static void fill_verdict(struct verdict *verdict, struct judging *judging, const struct reading *reading,
                         char *raw) {
    verdict->judge = xstrdup(judging->name);
    verdict->what = xstrdup(judging->rubric.what);
    verdict->outcome = reading->outcome;
    verdict->score = reading->score;
    if (*reading->reason) verdict->reason = xstrdup(reading->reason);
    verdict->raw = raw;
    judging->outcomes[reading->outcome]++;
}

static void tell_canaries(const struct judging *judging, const struct sitting *sitting) {
    static const char *const meanings[] = {"one answer judged twice does not come out even",
                                           "an answer without content is taken for a good one",
                                           "the worse of two answers is taken for the better one"};
    int fine = judging->settings.method == METHOD_LOGPROBS, failed[CANARY_KINDS] = {0};

    for (int i = 0; i < sitting->canary_count; i++)
        failed[sitting->canaries[i].kind] +=
            canary_passed(&sitting->canaries[i], &judging->rubric, fine) == 0;
    for (int k = 0; k < CANARY_KINDS; k++)
        if (failed[k])
            progress_notice("%s: canary %s failed (%d): %s", judging->name, canary_name((enum canary_kind)k),
                            failed[k], meanings[k]);
}

/* What a person should know of the batch. */
static void tell_batch(const struct judging *judging, const struct sitting *sitting) {
    const struct ask_totals *totals = &judging->asking.totals;
    const struct canary_counts *canaries = &judging->canaries;
    const int *n = judging->outcomes;
    struct text passed = {0};
    char cost[64] = "";

    tell_canaries(judging, sitting);
    text_add(&passed, "", 0);
    for (int k = 0; k < CANARY_KINDS && sitting->canary_count; k++)
        text_printf(&passed, "%s %s %d of %d",
                    k ? "," : "; canaries passed:", canary_name((enum canary_kind)k), canaries->passed[k],
                    canaries->tried[k]);
    if (judging->settings.input_price + judging->settings.output_price > 0)
        snprintf(cost, sizeof cost, "; cost %.4f", totals->cost);
    progress_notice(
        "%s: %d verdicts, %d ties, %d refused, %d unparsed, %d transport; %d requests were asked, "
        "%d came from the cache, %d were not asked%s%s%s",
        judging->name, n[OUTCOME_VERDICT], n[OUTCOME_TIE], n[OUTCOME_REFUSED], n[OUTCOME_UNPARSED],
        n[OUTCOME_TRANSPORT], totals->asked, totals->cached, totals->unasked, cost, passed.data,
        totals->failed ? "; retry_errors asks failures again" : "");
    free(passed.data);
}

/* Asks, and calls add() for each real trial in their order. */
static int hold(struct judging *judging, struct sitting *sitting,
                struct verdict *(*add)(void *context, const struct trial *trial), void *context,
                struct error *err) {
    if (ask_all(judging, sitting, err)) return -1;
    for (int i = 0; i < sitting->count; i++) {
        struct trial *trial = &sitting->trials[i];
        struct reading reading;
        char *raw;

        if (read_inquiry(&reading, &raw, judging, &sitting->inquiries[i], trial->turned, err)) {
            free(raw);
            return -1;
        }
        if (trial->canary) {
            trial->canary->score[trial->side] = reading.score;
            free(raw);
        } else {
            fill_verdict(add(context, trial), judging, &reading, raw);
        }
    }
    canaries_count(&judging->canaries, sitting->canaries, sitting->canary_count, &judging->rubric,
                   judging->settings.method == METHOD_LOGPROBS);
    tell_batch(judging, sitting);
    return 0;
}

/* What verdicts are about. */
struct subjects {
    const struct transcript *const *a, *const *b; /* b: NULL for single answers */
    struct verdicts *out;
};

static struct verdict *add_subject(void *context, const struct trial *trial) {
    const struct subjects *subjects = context;
    struct verdict *verdict = verdicts_add(subjects->out);

    verdict->transcript = xstrdup(subjects->a[trial->subject]->id);
    if (subjects->b) verdict_set_pair(verdict, subjects->a[trial->subject], subjects->b[trial->subject]);
    verdict->order = trial->order;
    return verdict;
}

static int remote_judge(struct judging *judging, const struct transcript *const *answers, int count,
                        struct verdicts *out, struct error *err) {
    struct subjects subjects = {answers, NULL, out};
    struct sitting sitting = {0};
    int status = 0;

    if (judging->rubric.pair) return 0;
    for (int i = 0; i < count; i++) {
        struct exhibit shown = {answers[i]->prompt, answers[i]->response, NULL, NULL};

        shown.reference = truth_of(judging, answers[i]->prompt_id);
        if (judging->rubric.needs_reference && !shown.reference) {
            fill_verdict(add_subject(&subjects, &(struct trial){.subject = i}), judging,
                         &(struct reading){OUTCOME_UNPARSED, NAN, "the question has no reference"}, NULL);
            continue;
        }
        if (!sitting.count) add_canaries(&sitting, judging, &shown);
        add_trial(&sitting, (struct trial){.shown = shown, .subject = i});
    }
    if (sitting.count)
        status = hold(judging, &sitting, add_subject, &subjects, err);
    else if (count)
        status =
            fail(err, "no question has a reference answer; give a file of questions with a column \"truth\"");
    sitting_free(&sitting);
    return status;
}

static int remote_compare(struct judging *judging, const struct transcript *const *a,
                          const struct transcript *const *b, int count, struct verdicts *out,
                          struct error *err) {
    struct subjects subjects = {a, b, out};
    struct sitting sitting = {0};
    int status = 0;

    if (!judging->rubric.pair) return 0;
    for (int i = 0; i < count; i++) {
        const char *reference = truth_of(judging, a[i]->prompt_id);
        struct exhibit there = {a[i]->prompt, a[i]->response, b[i]->response, reference};
        struct exhibit back = {a[i]->prompt, b[i]->response, a[i]->response, reference};

        if (!sitting.count) add_canaries(&sitting, judging, &there);
        add_trial(&sitting, (struct trial){.shown = there, .subject = i, .order = 1});
        add_trial(&sitting, (struct trial){.shown = back, .subject = i, .order = 2, .turned = 1});
    }
    if (sitting.count) status = hold(judging, &sitting, add_subject, &subjects, err);
    sitting_free(&sitting);
    return status;
}

static void remote_account(const struct judging *judging, struct node *out) {
    const struct remote_options *settings = &judging->settings;
    struct node *rubric = node_add(out, "rubric", NODE_MAP), *canaries;

    node_add_text(out, "endpoint", judging->url);
    node_add_text(out, "model", settings->model);
    node_add_text(rubric, "name", judging->rubric.name);
    node_add_text(rubric, "sha256", judging->rubric.hash);
    node_add_text(out, "method", settings->method == METHOD_TEXT ? "text" : "logprobs");
    node_add_number(out, "temperature", settings->temperature);
    node_add_number(out, "max_tokens", settings->max_tokens);
    node_add_number(out, "attempts", judging->attempts);
    node_add_number(out, "input_tokens", judging->input_tokens);
    node_add_number(out, "output_tokens", judging->output_tokens);
    node_add_number(out, "cost", judging->asking.totals.cost);
    if (settings->budget > 0) node_add_number(out, "budget", settings->budget);
    node_add_number(out, "unasked", judging->asking.totals.unasked);
    canaries = node_add(out, "canaries", NODE_MAP);
    canaries_describe(&judging->canaries, canaries);
}

const struct judge judge_remote = {.name = "remote",
                                   .summary =
                                       "a model behind an OpenAI-compatible endpoint, asked by a rubric",
                                   .options = remote_options,
                                   .costly = 1,
                                   .check = remote_check,
                                   .open = remote_open,
                                   .judge = remote_judge,
                                   .compare = remote_compare,
                                   .account = remote_account,
                                   .close = remote_close};
