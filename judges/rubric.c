#include "judges/rubric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "harness/names.h"
#include "harness/rng.h"
#include "judges/defence.h"

static int need_text(const struct node *map, const char *key, const char *where, const char **out,
                     struct error *err) {
    const struct node *value = node_get(map, key);

    if (!value || value->kind != NODE_STRING || !*value->text)
        return fail(err, "%s: a rubric needs the text \"%s\"", where, key);
    *out = value->text;
    return 0;
}

static int read_choices(struct choices *out, const struct node *map, const char *where, struct error *err) {
    if (map->kind != NODE_MAP || !map->first)
        return fail(err, "%s:%d: a map of what may be said and its worth was expected, {YES: 1, NO: 0}",
                    where, map->line);
    out->items = xcalloc((size_t)map->count, sizeof *out->items);
    for (const struct node *item = map->first; item; item = item->next) {
        struct choice *choice = &out->items[out->count++];

        if (item->kind != NODE_NUMBER && item->kind != NODE_NULL)
            return fail(err, "%s:%d: \"%s\" must be worth a number, or null where the judge abstains", where,
                        item->line, item->key);
        choice->token = xstrdup(item->key);
        choice->score = item->kind == NODE_NULL ? NAN : item->number;
    }
    return 0;
}

static int read_range(struct choices *out, const struct node *list, const char *where, struct error *err) {
    if (list->kind != NODE_LIST || list->count != 2 || list->first->kind != NODE_NUMBER ||
        list->last->kind != NODE_NUMBER || list->first->number >= list->last->number)
        return fail(err, "%s:%d: \"range\" must be two numbers, [1, 9]", where, list->line);
    *out = (struct choices){.numbers = 1, .low = list->first->number, .high = list->last->number};
    return 0;
}

static int read_offers(struct rubric *out, const char *where, struct error *err) {
    const struct node *verdicts = node_get(out->tree, "verdicts"), *range = node_get(out->tree, "range");
    const struct node *tokens = node_get(out->tree, "tokens");

    if (!verdicts == !range) return fail(err, "%s: a rubric needs either \"verdicts\" or \"range\"", where);
    for (int m = METHOD_TEXT; m <= METHOD_LOGPROBS; m++) {
        const struct node *map = m == METHOD_LOGPROBS && tokens ? tokens : verdicts;
        int status = map ? read_choices(&out->offers[m], map, where, err)
                         : read_range(&out->offers[m], range, where, err);

        if (status) return -1;
    }
    return 0;
}

static int read_known(struct rubric *out, const struct node *list, const char *where, struct error *err) {
    out->known = xcalloc((size_t)(list ? list->count : 0), sizeof *out->known);
    for (const struct node *item = list ? list->first : NULL; item; item = item->next) {
        struct known *known = &out->known[out->known_count++];

        if (need_text(item, "prompt", where, &known->prompt, err) ||
            need_text(item, "good", where, &known->good, err) ||
            need_text(item, "bad", where, &known->bad, err))
            return -1;
        known->reference = node_text(item, "reference", NULL);
        if (out->needs_reference && !known->reference)
            return fail(err, "%s:%d: this canary needs a \"reference\"", where, item->line);
    }
    return 0;
}

static int read_canaries(struct rubric *out, const char *where, struct error *err) {
    const struct node *canaries = node_get(out->tree, "canaries"), *null = node_get(canaries, "null");

    out->null_answer = node_text(null, "answer", NULL);
    out->null_at_most = node_number(null, "at_most", NAN);
    if (out->null_answer && !out->pair && isnan(out->null_at_most))
        return fail(err, "%s:%d: the canary \"null\" needs \"at_most\", the score that it may get", where,
                    null->line);
    return read_known(out, node_get(canaries, "gold"), where, err);
}

/* A pair's verdict is for the answer shown first, and 1 less it for the other. */
static int check_pair(const struct rubric *rubric, const char *where, struct error *err) {
    for (int m = METHOD_TEXT; m <= METHOD_LOGPROBS; m++) {
        const struct choices *offers = &rubric->offers[m];
        int beyond = offers->numbers && (offers->low < 0 || offers->high > 1);

        for (int i = 0; i < offers->count; i++)
            beyond |= offers->items[i].score < 0 || offers->items[i].score > 1;
        if (beyond) return fail(err, "%s: of a pair, what may be said must be worth 0 to 1", where);
    }
    return 0;
}

static int check_place(const struct rubric *rubric, const char *place, const char *where, struct error *err) {
    if (strstr(rubric->user, place)) return 0;
    return fail(err, "%s: the text \"user\" must say where the answer goes: %s is missing", where, place);
}

static int read_asks(struct rubric *out, const char *where, struct error *err) {
    const char *asks = node_text(out->tree, "asks", "");

    out->pair = !strcmp(asks, "pair");
    if (!out->pair && strcmp(asks, "answer")) return fail(err, "%s: \"asks\" must be answer or pair", where);
    out->needs_reference = strstr(out->user, "{reference}") != NULL;
    if (!out->pair) return check_place(out, "{answer}", where, err);
    return check_place(out, "{first}", where, err) || check_place(out, "{second}", where, err) ? -1 : 0;
}

static int read_rubric(struct rubric *out, const char *where, struct error *err) {
    static const char *const known[] = {"what",   "asks",  "system",   "user",   "endings",
                                        "marker", "range", "verdicts", "tokens", "canaries"};
    const struct node *endings = node_get(out->tree, "endings");

    for (const struct node *key = out->tree->first; key; key = key->next) {
        size_t i = 0;

        while (i < sizeof known / sizeof *known && strcmp(known[i], key->key)) i++;
        if (i == sizeof known / sizeof *known)
            return fail(err, "%s:%d: a rubric has no \"%s\"", where, key->line, key->key);
    }
    if (need_text(out->tree, "what", where, &out->what, err) ||
        need_text(out->tree, "system", where, &out->system, err) ||
        need_text(out->tree, "user", where, &out->user, err) ||
        need_text(out->tree, "marker", where, &out->marker, err) || read_asks(out, where, err))
        return -1;
    out->endings[METHOD_TEXT] = node_text(endings, "text", NULL);
    out->endings[METHOD_LOGPROBS] = node_text(endings, "token", NULL);
    if (read_offers(out, where, err) || (out->pair && check_pair(out, where, err))) return -1;
    return read_canaries(out, where, err);
}

static const char *shipped(const char *name, struct error *err) {
    struct names names = {0};
    char *hint;

    for (const struct text_file *file = rubric_files; file->name; file++)
        if (!strcmp(file->name, name)) return file->text;
    for (const struct text_file *file = rubric_files; file->name; file++) names_add(&names, file->name);
    hint = names_hint(&names, name);
    fail(err, "there is no rubric \"%s\"%s; your own is named by rubric_file", name, hint);
    free(hint);
    free(names.items);
    return NULL;
}

int rubric_open(struct rubric *out, const char *name, const char *path, struct error *err) {
    const char *where = path ? path : name;
    size_t length;
    char *text = path ? file_read(path, &length, err) : xstrdup(shipped(name, err));

    *out = (struct rubric){0};
    if (!text) return -1;
    hash_bytes(out->hash, text, strlen(text));
    out->tree = document_parse_yaml(text, strlen(text), where, err);
    free(text);
    if (!out->tree) return -1;
    out->name = where;
    if (out->tree->kind != NODE_MAP)
        fail(err, "%s: a map was expected, with what, asks, system, user, …", where);
    else if (!read_rubric(out, where, err))
        return 0;
    rubric_free(out);
    return -1;
}

void rubric_free(struct rubric *rubric) {
    for (int m = 0; m < 2; m++) {
        for (int i = 0; i < rubric->offers[m].count; i++) free(rubric->offers[m].items[i].token);
        free(rubric->offers[m].items);
    }
    free(rubric->known);
    node_free(rubric->tree);
    *rubric = (struct rubric){0};
}

/* 16 hex digits that none of the texts holds. */
static void draw_number(char number[17], const struct exhibit *exhibit, int salt) {
    const char *texts[] = {exhibit->prompt, exhibit->first, exhibit->second, exhibit->reference};
    struct text all = {0};
    char hash[65];
    int taken = 1;

    for (int i = 0; i < 4; i++) text_printf(&all, "%d:%s\n", i, texts[i] ? texts[i] : "");
    for (int round = 0; taken; round++) {
        struct rng rng;

        hash_bytes(hash, all.data, all.length);
        rng = rng_stream(strtoull(hash + 48, NULL, 16), "rubric/delimiter", (uint64_t)salt, (uint64_t)round);
        snprintf(number, 17, "%08x%08x", rng_u32(&rng), rng_u32(&rng));
        taken = strstr(all.data, number) != NULL;
    }
    free(all.data);
}

static void add_block(struct text *out, const char *title, const char *text, const char *marker,
                      const char *number) {
    char *safe = text_defused(text ? text : "", marker);

    text_printf(out, "--- BEGIN %s %s ---\n%s\n--- END %s %s ---", title, number, safe, title, number);
    free(safe);
}

static char *fill(const struct rubric *rubric, const struct exhibit *exhibit, const char *number) {
    const struct {
        const char *place, *title, *text;
    } blocks[] = {{"{prompt}", "PROMPT", exhibit->prompt},
                  {"{answer}", "ANSWER", exhibit->first},
                  {"{first}", "ANSWER A", exhibit->first},
                  {"{second}", "ANSWER B", exhibit->second},
                  {"{reference}", "REFERENCE", exhibit->reference}};
    struct text out = {0};

    for (const char *at = rubric->user; *at;) {
        size_t i = 0, count = sizeof blocks / sizeof *blocks;

        while (i < count && strncmp(at, blocks[i].place, strlen(blocks[i].place))) i++;
        if (i < count)
            add_block(&out, blocks[i].title, blocks[i].text, rubric->marker, number);
        else
            text_add(&out, at, 1);
        at += i < count ? strlen(blocks[i].place) : 1;
    }
    return out.data;
}

static void add_message(struct node *messages, const char *role, const char *content) {
    struct node *message = node_add(messages, NULL, NODE_MAP);

    node_add_text(message, "role", role);
    node_add_text(message, "content", content);
}

struct node *rubric_messages(const struct rubric *rubric, const struct exhibit *exhibit, enum method method,
                             int salt) {
    struct node *messages = node_new(NODE_LIST);
    char number[17], *filled, *user;

    draw_number(number, exhibit, salt);
    filled = fill(rubric, exhibit, number);
    user = xprintf("%s\n%s", filled, rubric->endings[method]);
    add_message(messages, "system", rubric->system);
    add_message(messages, "user", user);
    free(filled);
    free(user);
    return messages;
}
