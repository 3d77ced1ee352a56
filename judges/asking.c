#include "judges/asking.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/progress.h"
#include "judges/reading.h"

enum { TEMPLATE_TOKENS = 64 }; /* that a chat template may add around the messages */

void inquiry_make(struct inquiry *inquiry, const struct ask_settings *settings, const char *body) {
    char *all = xprintf("%s\n%s", settings->http.url, body);

    *inquiry = (struct inquiry){.same_as = -1};
    hash_bytes(inquiry->key, all, strlen(all));
    free(all);
    /* A token is at least a byte, so bytes are a bound on tokens. */
    inquiry->worst = 1e-6 * (settings->input_price * (double)(strlen(body) + TEMPLATE_TOKENS) +
                             settings->output_price * settings->max_tokens);
}

void inquiry_free(struct inquiry *inquiry) {
    free(inquiry->body);
    cached_free(&inquiry->reply);
    *inquiry = (struct inquiry){0};
}

static int fits(const struct asking *asking, double more) {
    const struct ask_settings *settings = &asking->settings;

    return settings->budget <= 0 || asking->totals.cost + asking->reserved + more <= settings->budget;
}

static void show(struct asking *asking) {
    const struct ask_settings *settings = &asking->settings;
    char cost[48] = "", of[32] = "";

    asking->finished++;
    if (settings->budget > 0) snprintf(of, sizeof of, " of %g", settings->budget);
    if (settings->input_price + settings->output_price > 0)
        snprintf(cost, sizeof cost, "cost %.4f%s", asking->totals.cost, of);
    progress_update(asking->finished, "%s%s%d failed", cost, *cost ? ", " : "", asking->totals.failed);
}

static void take_cached(struct asking *asking, struct inquiry *inquiry, struct cached *known) {
    cached_free(&inquiry->reply);
    inquiry->reply = *known;
    inquiry->state = known->good ? ASK_ANSWERED : ASK_FAILED;
    asking->totals.cached++;
    asking->totals.failed += !known->good;
}

/* Whether the cache settles it: 1, 0 or -1. An earlier failure that is asked again stays as what counts until
   there is better. */
static int look_up(struct asking *asking, struct inquiry *inquiry) {
    struct cached known = {0};
    int found = cache_get(asking->cache, inquiry->key, &known, asking->err);

    if (found <= 0) return found;
    asking->totals.cost += known.cost;
    if (known.good || !asking->settings.retry_errors) {
        take_cached(asking, inquiry, &known);
        return 1;
    }
    cached_free(&known);
    return 0;
}

static void leave_unasked(struct asking *asking, struct inquiry *inquiry, const char *reason) {
    inquiry->state = ASK_UNASKED;
    snprintf(inquiry->reason, sizeof inquiry->reason, "not asked: %s", reason);
    asking->totals.unasked++;
    show(asking);
}

/* Another process may have asked it meanwhile. */
static int answered_meanwhile(struct asking *asking, struct inquiry *inquiry) {
    struct cached known = {0};
    int found = cache_get(asking->cache, inquiry->key, &known, asking->err);

    if (found < 0) asking->broken = 1;
    if (found > 0 && known.good) {
        asking->totals.cost += known.cost;
        take_cached(asking, inquiry, &known);
        show(asking);
        return 1;
    }
    cached_free(&known);
    return 0;
}

static int has_given_up(const struct asking *asking) {
    return asking->settings.give_up && asking->failures >= asking->settings.give_up;
}

static int next_inquiry(void *context, int *number, const char **body) {
    struct asking *asking = context;

    for (; asking->next < asking->count && !asking->broken; asking->next++) {
        struct inquiry *inquiry = &asking->list[asking->next];
        char reason[200];

        if (inquiry->state != ASK_WAITING || inquiry->same_as >= 0) continue;
        if (has_given_up(asking)) {
            snprintf(reason, sizeof reason, "%d requests in a row failed (%.120s)", asking->failures,
                     asking->last_failure);
            leave_unasked(asking, inquiry, reason);
            continue;
        }
        if (!fits(asking, inquiry->worst)) {
            if (asking->flying) return 0;
            snprintf(reason, sizeof reason, "it could pass the budget of %g (%.4f spent)",
                     asking->settings.budget, asking->totals.cost);
            leave_unasked(asking, inquiry, reason);
            continue;
        }
        if (answered_meanwhile(asking, inquiry) || asking->broken) continue;
        inquiry->state = ASK_FLYING;
        asking->flying++;
        asking->reserved += inquiry->worst;
        *number = asking->next++;
        *body = inquiry->body = asking->make_body(asking->context, *number);
        return 1;
    }
    return -1;
}

static int is_json(const char *type) {
    return type && (strstr(type, "json") || strstr(type, "JSON"));
}

static void check_reply(void *context, int number, struct http_reply *reply) {
    struct completion completion;

    (void)context;
    (void)number;
    completion_read(&completion, reply->body, reply->length);
    if (!is_json(reply->type) || completion.kind == COMPLETION_BROKEN) {
        const char *reason =
            is_json(reply->type) ? completion.reason : "the reply's Content-Type is not JSON";

        reply->end = HTTP_BODY;
        reply->worth_repeating = 1;
        snprintf(reply->reason, sizeof reply->reason, "HTTP %d: %.200s", reply->status, reason);
    }
    completion_free(&completion);
}

/* A failed attempt counts as charged where the server may have done its work. */
static int may_ask_again(void *context, int number, const struct http_reply *reply) {
    struct asking *asking = context;
    struct inquiry *inquiry = &asking->list[number];
    double charge = reply->may_be_charged ? inquiry->worst : 0;

    if (has_given_up(asking) || !fits(asking, charge)) return 0;
    inquiry->charge += charge;
    asking->totals.cost += charge;
    return 1;
}

static double price(const struct ask_settings *settings, const struct completion *completion, double worst) {
    if (isnan(completion->input_tokens)) return worst;
    return 1e-6 * (settings->input_price * completion->input_tokens +
                   settings->output_price * completion->output_tokens);
}

/* The reason of a failure: what an error's body tells goes with its status, but not where it may speak of the
 * key. */
static char *failure_reason(const struct http_reply *reply) {
    struct completion completion;
    char *reason;

    if (reply->end != HTTP_STATUS || reply->status == 401 || reply->status == 403)
        return xstrdup(reply->reason);
    completion_read(&completion, reply->body, reply->length);
    reason = completion.kind == COMPLETION_BROKEN && strstr(completion.reason, "the server reports")
                 ? xprintf("%s; %s", reply->reason, completion.reason)
                 : xstrdup(reply->reason);
    completion_free(&completion);
    return reason;
}

static void read_reply(struct cached *out, const struct asking *asking, const struct inquiry *inquiry,
                       const struct http_reply *reply) {
    struct completion completion = {.kind = COMPLETION_BROKEN};

    *out = (struct cached){.attempts = reply->attempts, .kind = OUTCOME_TRANSPORT};
    if (reply->end == HTTP_DONE) {
        completion_read(&completion, reply->body, reply->length);
        out->good = completion.kind >= COMPLETION_REFUSED;
        out->kind = OUTCOME_UNPARSED;
        out->body = xstrdup(reply->body);
        out->cost = price(&asking->settings, &completion, inquiry->worst);
        out->input_tokens = isnan(completion.input_tokens) ? 0 : completion.input_tokens;
        out->output_tokens = isnan(completion.output_tokens) ? 0 : completion.output_tokens;
    } else {
        out->cost = reply->may_be_charged ? inquiry->worst : 0;
    }
    if (!out->good)
        out->reason = reply->end == HTTP_DONE ? xstrdup(completion.reason) : failure_reason(reply);
    completion_free(&completion);
}

/* Keeps the reply; a failure that follows an earlier one leaves that one in force. */
static int end_inquiry(void *context, int number, const struct http_reply *reply, struct error *err) {
    struct asking *asking = context;
    struct inquiry *inquiry = &asking->list[number];
    struct cached got;
    int status;

    read_reply(&got, asking, inquiry, reply);
    free(inquiry->body);
    inquiry->body = NULL;
    asking->flying--;
    asking->reserved = asking->flying ? asking->reserved - inquiry->worst : 0;
    asking->totals.cost += got.cost;
    asking->totals.asked++;
    asking->totals.attempts += got.attempts;
    asking->totals.failed += !got.good;
    asking->failures = reply->end == HTTP_DONE ? 0 : asking->failures + 1;
    if (reply->end != HTTP_DONE) {
        free(asking->last_failure);
        asking->last_failure = xstrdup(got.reason);
    }
    got.cost += inquiry->charge;
    status = cache_put(asking->cache, inquiry->key, &got, err);
    cached_free(&got);
    if (!status) status = cache_get(asking->cache, inquiry->key, &inquiry->reply, err) == 1 ? 0 : -1;
    inquiry->state = inquiry->reply.good ? ASK_ANSWERED : ASK_FAILED;
    show(asking);
    return status;
}

/* An inquiry's place in its list, by its key. */
struct place {
    const char *key;
    int index;
};

static int by_key(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    int order = strcmp(x->key, y->key);

    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static void find_same(struct inquiry *list, int count) {
    struct place *places = xmalloc(((size_t)count + 1) * sizeof *places);

    for (int i = 0; i < count; i++) places[i] = (struct place){list[i].key, i};
    qsort(places, (size_t)count, sizeof *places, by_key);
    for (int i = 1; i < count; i++) {
        struct inquiry *one = &list[places[i].index], *before = &list[places[i - 1].index];

        if (!strcmp(one->key, before->key))
            one->same_as = before->same_as >= 0 ? before->same_as : places[i - 1].index;
    }
    free(places);
}

static int look_up_all(struct asking *asking) {
    for (int i = 0; i < asking->count; i++) {
        int found = asking->list[i].same_as < 0 ? look_up(asking, &asking->list[i]) : 0;

        if (found < 0) return -1;
        if (found || asking->list[i].same_as >= 0) asking->finished++;
    }
    return 0;
}

static void copy_same(struct inquiry *list, int count) {
    for (int i = 0; i < count; i++) {
        const struct inquiry *from = list[i].same_as >= 0 ? &list[list[i].same_as] : NULL;

        if (!from) continue;
        list[i].state = from->state;
        list[i].reply = from->reply;
        list[i].reply.body = xstrdup(from->reply.body);
        list[i].reply.reason = xstrdup(from->reply.reason);
        memcpy(list[i].reason, from->reason, sizeof list[i].reason);
    }
}

int ask(struct asking *asking, struct inquiry *list, int count, char *(*make_body)(void *context, int number),
        void *context, struct error *err) {
    struct http_feed feed = {asking, next_inquiry, check_reply, may_ask_again, end_inquiry};
    int status = -1;

    asking->list = list;
    asking->count = count;
    asking->next = asking->flying = asking->finished = asking->failures = asking->broken = 0;
    asking->reserved = 0;
    asking->make_body = make_body;
    asking->context = context;
    asking->err = err;
    progress_begin(asking->settings.label, count, "judgments");
    find_same(list, count);
    if (!look_up_all(asking)) status = http_post(&asking->settings.http, &feed, err);
    if (asking->broken) status = -1;
    copy_same(list, count);
    progress_end();
    free(asking->last_failure);
    asking->last_failure = NULL;
    return status;
}
