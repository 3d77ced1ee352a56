#include "harness/condition.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"
#include "harness/names.h"

static const char *const keys[CONDITION_PARTS] = {"task", "policy", "split", "judge", "baseline"};

static const char *skip_space(const char *at) {
    while (isspace((unsigned char)*at)) at++;
    return at;
}

/* From `start` to `end`, without white space around it. */
static char *trimmed(const char *start, const char *end) {
    start = skip_space(start);
    while (end > start && isspace((unsigned char)end[-1])) end--;
    return xstrndup(start, end > start ? (size_t)(end - start) : 0);
}

static int wrong(const struct condition *condition, const char *what, struct error *err) {
    return fail(err, "'%s': %s; expected SUITE.NAME[policy=P, split=S] > NUMBER, or < NUMBER",
                condition->text, what);
}

/* What is left of the brackets. */
static int read_name(struct condition *out, const char *end, struct error *err) {
    char *whole = trimmed(out->text, end), *dot = strchr(whole, '.');
    int status = 0;

    if (!dot || dot == whole || !dot[1]) {
        status = wrong(out, "it names no metric", err);
    } else {
        out->suite = xstrndup(whole, (size_t)(dot - whole));
        out->name = xstrdup(dot + 1);
    }
    free(whole);
    return status;
}

static int read_part(struct condition *out, const char *key, const char *value, struct error *err) {
    struct names names = {0};
    char *hint;
    int status = 0;

    for (int i = 0; i < CONDITION_PARTS; i++) {
        names_add(&names, keys[i]);
        if (strcmp(keys[i], key)) continue;
        if (out->parts[i]) status = wrong(out, "a part is given twice", err);
        free(out->parts[i]);
        out->parts[i] = xstrdup(value);
        free(names.items);
        return status;
    }
    hint = names_hint(&names, key);
    fail(err, "'%s': a metric has no '%s'%s", out->text, key, hint);
    free(hint);
    free(names.items);
    return -1;
}

/* "policy=P, split=S" between the brackets. */
static int read_parts(struct condition *out, const char *at, const char *end, struct error *err) {
    int status = 0;

    while (at < end && !status) {
        const char *comma = memchr(at, ',', (size_t)(end - at)), *stop = comma ? comma : end;
        const char *equals = memchr(at, '=', (size_t)(stop - at));
        char *key = equals ? trimmed(at, equals) : NULL, *value = equals ? trimmed(equals + 1, stop) : NULL;

        status = !equals || !*value ? wrong(out, "a part in brackets is no KEY=VALUE", err)
                                    : read_part(out, key, value, err);
        free(key);
        free(value);
        at = comma ? comma + 1 : end;
    }
    return status;
}

/* "> 0.10", "< 5 %". */
static int read_bound(struct condition *out, const char *at, struct error *err) {
    char *end;

    at = skip_space(at);
    if (*at != '>' && *at != '<') return wrong(out, "'>' or '<' is missing", err);
    out->above = *at++ == '>';
    if (*at == '=') return wrong(out, "'>=' and '<=' are not known, since bounds are no single points", err);
    out->bound = strtod(at, &end);
    if (end == at || !isfinite(out->bound)) return wrong(out, "the bound is no number", err);
    end = (char *)skip_space(end);
    out->percent = *end == '%';
    if (out->percent) out->bound /= 100;
    return *skip_space(end + out->percent) ? wrong(out, "something follows the bound", err) : 0;
}

int condition_read(struct condition *out, const char *text, struct error *err) {
    struct condition got = {.text = xstrdup(text)};
    const char *open = strchr(got.text, '['), *end = open ? strrchr(got.text, ']') : NULL;
    const char *name_end = open ? open : got.text + strcspn(got.text, "<>");
    int status = open && !end ? wrong(&got, "']' is missing", err) : read_name(&got, name_end, err);

    if (!status && open) status = read_parts(&got, open + 1, end, err);
    if (!status) status = read_bound(&got, open ? end + 1 : name_end, err);
    if (status)
        condition_free(&got);
    else
        *out = got;
    return status;
}

void condition_free(struct condition *condition) {
    for (int i = 0; i < CONDITION_PARTS; i++) free(condition->parts[i]);
    free(condition->text);
    free(condition->suite);
    free(condition->name);
    *condition = (struct condition){0};
}

/* Alike, or with an underscore and more. */
static int is_named(const struct condition *condition, const struct metric *metric, int longer) {
    size_t length = strlen(condition->name);

    if (strcmp(condition->suite, metric->suite) || strncmp(condition->name, metric->name, length)) return 0;
    return longer ? metric->name[length] == '_' : !metric->name[length];
}

static int has_parts(const struct condition *condition, const struct metric *metric) {
    const char *const parts[] = {metric->task, metric->policy, metric->split, metric->judge,
                                 metric->baseline};

    for (int i = 0; i < CONDITION_PARTS; i++)
        if (condition->parts[i] && (!parts[i] || strcmp(parts[i], condition->parts[i]))) return 0;
    return condition->parts[CONDITION_POLICY] || !metric->policy || !is_null_policy(metric->policy);
}

/* Which metrics are meant: of this name, and levels or comparisons. */
struct meaning {
    int longer, levels;
};

static int is_meant(const struct condition *condition, const struct meaning *meaning,
                    const struct metric *metric) {
    return is_named(condition, metric, meaning->longer) && has_parts(condition, metric) &&
           (!meaning->levels || !metric->baseline);
}

static int count_meant(const struct condition *condition, const struct meaning *meaning,
                       const struct metrics *metrics) {
    int count = 0;

    for (int i = 0; i < metrics->count; i++) count += is_meant(condition, meaning, &metrics->items[i]);
    return count;
}

/* "policy=a, policy=b, split=heldout": what brackets could name of the metrics that have the name. */
static char *list_parts(const struct condition *condition, const struct metrics *metrics) {
    struct text out = {0};

    text_add(&out, "", 0);
    for (int i = 0; i < metrics->count; i++) {
        const struct metric *metric = &metrics->items[i];
        const char *const parts[][2] = {{"policy", metric->policy},
                                        {"split", metric->split},
                                        {"task", metric->task},
                                        {"judge", metric->judge},
                                        {"baseline", metric->baseline}};

        if (!is_named(condition, metric, 0) && !is_named(condition, metric, 1)) continue;
        for (size_t j = 0; j < sizeof parts / sizeof *parts; j++) {
            char *part = xprintf("%s=%s, ", parts[j][0], parts[j][1]);

            if (parts[j][1] && !strstr(out.data, part)) text_add(&out, part, strlen(part));
            free(part);
        }
    }
    if (out.length) out.data[out.length - 2] = '\0';
    return out.data;
}

static int fail_unknown(const struct condition *condition, const struct metrics *metrics, struct error *err) {
    char **all = xcalloc((size_t)metrics->count + 1, sizeof *all);
    char *wanted = xprintf("%s.%s", condition->suite, condition->name), *hint, *parts;
    struct names names = {0};
    int known = 0;

    for (int i = 0; i < metrics->count; i++) {
        all[i] = xprintf("%s.%s", metrics->items[i].suite, metrics->items[i].name);
        names_add(&names, all[i]);
        known |= is_named(condition, &metrics->items[i], 0) || is_named(condition, &metrics->items[i], 1);
    }
    hint = names_hint(&names, wanted);
    parts = list_parts(condition, metrics);
    if (known)
        fail(err, "'%s': %s is measured, but not of what the brackets name; there are %.500s",
             condition->text, wanted, parts);
    else
        fail(err, "'%s': there is no metric %s%s", condition->text, wanted, hint);
    for (int i = 0; i < metrics->count; i++) free(all[i]);
    free(all);
    free(names.items);
    free(wanted);
    free(parts);
    free(hint);
    return -1;
}

static int is_share(const struct metric *metric) {
    return metric->unit && (!strcmp(metric->unit, "fraction") || !strcmp(metric->unit, "points"));
}

static int check_bound(const struct condition *condition, const struct metric *metric, struct error *err) {
    if (is_share(metric) && fabs(condition->bound) > 1)
        return fail(err, "'%s': %s.%s is a share from 0 to 1; say 0.10 or 10 %%", condition->text,
                    metric->suite, metric->name);
    if (!is_share(metric) && condition->percent)
        return fail(err, "'%s': %s.%s is no share, so it has no percent", condition->text, metric->suite,
                    metric->name);
    return 0;
}

static void expect(const struct condition *condition, const struct metric *metric, struct conditioned *out) {
    struct expectation *added = expectations_add(&out->expectations, metric);

    added->claim = xprintf("not %s", condition->text);
    added->by_interval = 1;
    if (condition->above)
        added->metric.high = condition->bound;
    else
        added->metric.low = condition->bound;
    out->metrics = xrealloc(out->metrics, (size_t)out->expectations.count, sizeof *out->metrics);
    out->metrics[out->expectations.count - 1] = metric;
}

int condition_match(const struct condition *condition, const struct metrics *metrics, struct conditioned *out,
                    struct error *err) {
    struct meaning meaning = {0};
    const struct metric *last = NULL;
    int decided = 0;

    meaning.longer = !count_meant(condition, &meaning, metrics);
    meaning.levels = 1;
    meaning.levels = count_meant(condition, &meaning, metrics) > 0;
    for (int i = 0; i < metrics->count; i++) {
        if (!is_meant(condition, &meaning, &metrics->items[i])) continue;
        last = &metrics->items[i];
        if (check_bound(condition, last, err)) return -1;
        decided += !isnan(last->value) && !isnan(last->low) && !isnan(last->high);
        expect(condition, last, out);
    }
    if (!last) return fail_unknown(condition, metrics, err);
    if (!decided)
        return fail(err, "'%s': nothing that it names has an interval, so it decides nothing (%s)",
                    condition->text, last->reason ? last->reason : "no reason is given");
    return 0;
}

void conditioned_free(struct conditioned *conditioned) {
    expectations_free(&conditioned->expectations);
    free(conditioned->metrics);
    *conditioned = (struct conditioned){0};
}
