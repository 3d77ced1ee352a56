#include "judges/reading.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/utf8.h"
#include "judges/defence.h"

static void tell(struct completion *out, enum completion_kind kind, const char *reason) {
    out->kind = kind;
    snprintf(out->reason, sizeof out->reason, "%s", reason);
}

static int is_utf8(const char *text, size_t length) {
    const unsigned char *at = (const unsigned char *)text, *end = at + length;

    while (at < end) {
        size_t one = utf8_length(at, (size_t)(end - at));

        if (!one) return 0;
        at += one;
    }
    return 1;
}

static const struct node *path_get(const struct node *map, const char *a, const char *b) {
    const struct node *inner = node_get(map, a);

    return inner && inner->kind == NODE_MAP ? node_get(inner, b) : NULL;
}

static int is_blank(const char *text) {
    return text[strspn(text, " \t\r\n")] == '\0';
}

static void read_usage(struct completion *out) {
    const struct node *usage = node_get(out->tree, "usage");

    if (usage && usage->kind != NODE_MAP) usage = NULL;
    out->input_tokens = node_number(usage, "prompt_tokens", NAN);
    out->output_tokens = node_number(usage, "completion_tokens", NAN);
    if (!(out->input_tokens >= 0) || !(out->output_tokens >= 0)) out->input_tokens = out->output_tokens = NAN;
}

/* choices[0].logprobs.content[0].top_logprobs */
static void read_logprobs(struct completion *out, const struct node *choice) {
    const struct node *content = path_get(choice, "logprobs", "content");
    const struct node *token = content && content->kind == NODE_LIST ? content->first : NULL;
    const struct node *top = token && token->kind == NODE_MAP ? node_get(token, "top_logprobs") : NULL;

    if (top && top->kind == NODE_LIST && top->first) out->top_logprobs = top;
}

static void read_choice(struct completion *out, const struct node *choice) {
    const struct node *message = node_get(choice, "message"),
                      *content = path_get(choice, "message", "content");
    const char *finish = node_text(choice, "finish_reason", ""), *refusal = NULL;

    if (message && message->kind == NODE_MAP) refusal = node_text(message, "refusal", NULL);
    out->cut = !strcmp(finish, "length");
    read_logprobs(out, choice);
    if (content && content->kind == NODE_STRING) out->content = content->text;
    if (refusal && *refusal)
        tell(out, COMPLETION_REFUSED, "the judge declines");
    else if (!strcmp(finish, "content_filter"))
        tell(out, COMPLETION_REFUSED, "the server's filter stopped the judge");
    else if (!content || content->kind != NODE_STRING)
        tell(out, COMPLETION_EMPTY,
             out->cut ? "null content: max_tokens were used up before any was written" : "null content");
    else if (is_blank(content->text))
        tell(out, COMPLETION_EMPTY,
             out->cut ? "empty content: max_tokens were used up before any was written" : "empty content");
    else
        out->kind = COMPLETION_TEXT;
}

/* {"error": {"message": …}}, as far as it tells something. */
static void read_error(struct completion *out) {
    const struct node *message = path_get(out->tree, "error", "message");

    out->kind = COMPLETION_BROKEN;
    if (message && message->kind == NODE_STRING)
        snprintf(out->reason, sizeof out->reason, "the server reports: %.120s", message->text);
    else
        snprintf(out->reason, sizeof out->reason, "the reply is no chat completion");
}

void completion_read(struct completion *out, const char *body, size_t length) {
    const struct node *choices;
    struct error err;

    *out = (struct completion){.input_tokens = NAN, .output_tokens = NAN};
    if (!is_utf8(body, length)) {
        tell(out, COMPLETION_BROKEN, "the reply is not UTF-8");
        return;
    }
    out->tree = document_parse_json(body, length, "reply", 1, &err);
    choices = out->tree && out->tree->kind == NODE_MAP ? node_get(out->tree, "choices") : NULL;
    if (!out->tree) {
        tell(out, COMPLETION_BROKEN, "the reply is not JSON");
        return;
    }
    if (out->tree->kind == NODE_MAP) read_usage(out);
    if (choices && choices->kind == NODE_LIST && !choices->first)
        tell(out, COMPLETION_EMPTY, "no choices");
    else if (choices && choices->kind == NODE_LIST && choices->first->kind == NODE_MAP)
        read_choice(out, choices->first);
    else
        read_error(out);
}

void completion_free(struct completion *completion) {
    node_free(completion->tree);
    *completion = (struct completion){0};
}

static struct reading unparsed(const char *reason) {
    struct reading reading = {.outcome = OUTCOME_UNPARSED, .score = NAN};

    snprintf(reading.reason, sizeof reading.reason, "%s", reason);
    return reading;
}

/* The reading of a score; NaN is an abstention. ½ of a pair is a tie, which the caller knows. */
static struct reading scored(double score, const char *said) {
    struct reading reading = {.outcome = isnan(score) ? OUTCOME_UNPARSED : OUTCOME_VERDICT, .score = score};

    if (isnan(score)) snprintf(reading.reason, sizeof reading.reason, "the judge abstains: %.40s", said);
    return reading;
}

/* Emphasis, brackets and quotes that may stand around a marker or a choice. */
static int is_wrapping(char c) {
    return c && strchr("*_`\"'()[]{}<>$\\# \t", c) != NULL;
}

static const char *skip_wrapping(const char *at) {
    while (is_wrapping(*at)) at++;
    return at;
}

static int is_word(char c) {
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

static int same_letters(const char *text, const char *word, size_t length) {
    for (size_t i = 0; i < length; i++)
        if (tolower((unsigned char)text[i]) != tolower((unsigned char)word[i])) return 0;
    return 1;
}

/* A number that ends as a word does; "/9" after it may repeat the range's end. */
static const char *match_number(const char *at, const struct choices *choices, double *score) {
    char *end;
    double of;

    if (!isdigit((unsigned char)at[*at == '-'])) return NULL;
    *score = strtod(at, &end);
    if (is_word(*end) || (*end == '.' && isdigit((unsigned char)end[1]))) return NULL;
    if (*end == '/' && isdigit((unsigned char)end[1])) {
        of = strtod(end + 1, &end);
        if (of != choices->high || is_word(*end)) return NULL;
    }
    return *score >= choices->low && *score <= choices->high ? end : NULL;
}

/* The choice that stands here as a word of its own: what follows it, or NULL. */
static const char *match_choice(const char *at, const struct choices *choices, double *score) {
    const char *end = NULL;
    size_t longest = 0;

    if (choices->numbers) return match_number(at, choices, score);
    for (int i = 0; i < choices->count; i++) {
        size_t length = strlen(choices->items[i].token);

        if (length <= longest || !same_letters(at, choices->items[i].token, length) || is_word(at[length]))
            continue;
        longest = length;
        *score = choices->items[i].score;
        end = at + length;
    }
    return end;
}

/* Whether what follows makes an offer of the choice, not a verdict: "A/B", "[A|B|C]", "A or …", "A if …". */
static int goes_on(const char *at, const struct choices *choices) {
    double ignored;

    at = skip_wrapping(at);
    if (same_letters(at, "or ", 3) || same_letters(at, "if ", 3) || same_letters(at, "and ", 4)) return 1;
    return *at && strchr("/|,&", *at) && match_choice(skip_wrapping(at + 1), choices, &ignored);
}

/* Whether "or" stands before it. */
static int is_alternative(const char *text, const char *at) {
    while (at > text && is_wrapping(at[-1])) at--;
    return at - text > 3 && same_letters(at - 3, " or", 3);
}

static int read_choice_at(const char *at, const struct choices *choices, double *score, const char **end) {
    *end = match_choice(at, choices, score);
    return *end && !goes_on(*end, choices);
}

/* "MARKER: choice" that begins here. */
static int read_marked(const char *text, const char *at, const char *marker, const struct choices *choices,
                       double *score) {
    size_t length = strlen(marker);
    const char *end;

    if (!same_letters(at, marker, length) || is_word(at[length])) return 0;
    if (at > text && (is_word(at[-1]) || at[-1] == '-' || is_alternative(text, at))) return 0;
    at = skip_wrapping(at + length);
    if (*at != ':' && *at != '=') return 0;
    return read_choice_at(skip_wrapping(at + 1), choices, score, &end);
}

/* Without what cannot be seen, no-break spaces as spaces. Caller frees. */
static char *plain_text(const char *text) {
    char *seen = text_seen(text);

    for (char *at = seen; (at = strstr(at, "\xC2\xA0"));) memcpy(at, "  ", 2);
    return seen;
}

struct reading reading_of_text(const struct completion *completion, const char *marker,
                               const struct choices *choices) {
    const char *thought = strstr(completion->content, "</think>"), *end;
    char *text;
    double score = NAN, last = NAN;
    int found = 0, alone;

    if (!thought && strstr(completion->content, "<think>"))
        return unparsed("cut off while thinking: more max_tokens are needed");
    text = plain_text(thought ? thought + strlen("</think>") : completion->content);
    alone = read_choice_at(skip_wrapping(text + strspn(text, "\n")), choices, &score, &end);
    alone = alone && end[strspn(end, "*_`\"')]}>.!\n \t")] == '\0';
    for (const char *at = text; *at && !alone; at++)
        if (read_marked(text, at, marker, choices, &last)) {
            score = last;
            found = 1;
        }
    free(text);
    if (completion->cut && !(alone && !choices->numbers)) return unparsed("cut off at max_tokens");
    if (!alone && !found) return unparsed("no verdict in the reply");
    return scored(score, "it names no winner");
}

static int same_token(const char *token, const char *choice) {
    size_t length = strlen(choice);

    token += strspn(token, " \t\n");
    return !strncmp(token, choice, length) && token[length + strspn(token + length, " \t\n")] == '\0';
}

/* The worth of a token; NaN: it is not offered. */
static double worth(const char *token, const struct choices *choices) {
    char *end;
    double number;

    for (int i = 0; i < choices->count; i++)
        if (same_token(token, choices->items[i].token)) return choices->items[i].score;
    if (!choices->numbers || !isdigit((unsigned char)token[strspn(token, " \t\n")])) return NAN;
    number = strtod(token, &end);
    return end[strspn(end, " \t\n")] == '\0' && number >= choices->low && number <= choices->high ? number
                                                                                                  : NAN;
}

struct reading reading_of_logprobs(const struct completion *completion, const struct choices *choices) {
    double sum = 0, weighted = 0;

    for (const struct node *item = completion->top_logprobs->first; item; item = item->next) {
        const char *token = item->kind == NODE_MAP ? node_text(item, "token", "") : "";
        double chance = item->kind == NODE_MAP ? exp(node_number(item, "logprob", -INFINITY)) : 0;
        double score = worth(token, choices);

        if (isnan(score) || !isfinite(chance)) continue;
        sum += chance;
        weighted += chance * score;
    }
    if (!(sum > 0)) return unparsed("none of the offered tokens is among the likeliest");
    return scored(weighted / sum, "");
}
