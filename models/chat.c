#include "models/chat.h"

#include <stdlib.h>
#include <string.h>

#include "models/unicode.h"

/* Llama 3.1 and later begin the system turn with dates; the second is the one that their template falls back
   to where no clock is given to it. */
#define LLAMA31_DATES "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"

#define LLAMA3_TURNS                                                                                         \
    .begin = "{bos}", .system_before = "<|start_header_id|>system<|end_header_id|>\n\n",                     \
    .system_after = "<|eot_id|>", .user_before = "<|start_header_id|>user<|end_header_id|>\n\n",             \
    .user_after = "<|eot_id|>", .assistant_before = "<|start_header_id|>assistant<|end_header_id|>\n\n",     \
    .assistant_end = "<|eot_id|>", .ask = "<|start_header_id|>assistant<|end_header_id|>\n\n",               \
    .stop = "<|eot_id|>", .trim = 1

static const struct chat_format formats[] = {
    {.name = "chatml",
     .system_before = "<|im_start|>system\n",
     .system_after = "<|im_end|>\n",
     .user_before = "<|im_start|>user\n",
     .user_after = "<|im_end|>\n",
     .assistant_before = "<|im_start|>assistant\n",
     .assistant_end = "<|im_end|>",
     .assistant_tail = "\n",
     .ask = "<|im_start|>assistant\n",
     .stop = "<|im_end|>"},
    {.name = "llama2",
     .system_before = "<<SYS>>\n",
     .system_after = "\n<</SYS>>\n\n",
     .user_before = "{bos}[INST] ",
     .user_after = " [/INST]",
     .assistant_before = " ",
     .assistant_end = " {eos}",
     .stop = "{eos}",
     .trim = 1,
     .alternates = 1,
     .system_in_user = 1},
    {.name = "llama3", LLAMA3_TURNS},
    {.name = "llama3.1", LLAMA3_TURNS, .first_system = LLAMA31_DATES},
    {.name = "gemma",
     .begin = "{bos}",
     .user_before = "<start_of_turn>user\n",
     .user_after = "<end_of_turn>\n",
     .assistant_before = "<start_of_turn>model\n",
     .assistant_end = "<end_of_turn>",
     .assistant_tail = "\n",
     .ask = "<start_of_turn>model\n",
     .stop = "<end_of_turn>",
     .trim = 1,
     .alternates = 1,
     .no_system = 1},
    {.name = "zephyr",
     .system_before = "<|system|>\n",
     .system_after = "{eos}\n",
     .user_before = "<|user|>\n",
     .user_after = "{eos}\n",
     .assistant_before = "<|assistant|>\n",
     .assistant_end = "{eos}",
     .assistant_tail = "\n",
     .ask = "<|assistant|>\n",
     .stop = "{eos}"},
    {.name = "hh",
     .user_before = "\n\nHuman: ",
     .assistant_before = "\n\nAssistant: ",
     .last_end = "{eos}",
     .ask = "\n\nAssistant:",
     .stop = "{eos}",
     .no_system = 1},
    {.name = "pyrite",
     .system_after = "\n\n",
     .user_after = TOKEN_RESPONSE,
     .assistant_end = TOKEN_END,
     .stop = TOKEN_END},
    {.name = "plain", .last_end = "{eos}", .stop = "{eos}"},
};
enum { FORMATS = sizeof formats / sizeof *formats };

/* What a template must hold, and what makes it one that is rendered differently. */
static const struct {
    const char *name, *with[3], *without[6];
} fingerprints[] = {
    {"chatml", {"<|im_start|>", "<|im_end|>"}, {"<think>", "reasoning", "trim", "strip()", "[INST]"}},
    {"llama2", {"[INST]", "<<SYS>>", "strip()"}, {"<|im_start|>", "[AVAILABLE_TOOLS]"}},
    {"llama3.1", {"<|start_header_id|>", "<|eot_id|>", "Cutting Knowledge Date: December 2023"}, {"<think>"}},
    {"llama3", {"<|start_header_id|>", "<|eot_id|>", "trim"}, {"Cutting Knowledge", "<think>"}},
    {"gemma", {"<start_of_turn>", "<end_of_turn>", "trim"}, {"first_user_prefix", "<think>"}},
    {"zephyr", {"<|user|>", "<|assistant|>", "eos_token"}, {"<|end|>", "<think>", "trim", "strip()"}},
    {"hh", {"Human:", "Assistant:"}, {"<|", "trim", "strip()"}},
};

static const struct chat_format *find_format(const char *name) {
    for (int i = 0; i < FORMATS; i++)
        if (strcmp(formats[i].name, name) == 0) return &formats[i];
    return NULL;
}

static void name_formats(struct text *out) {
    for (int i = 0; i < FORMATS; i++) text_printf(out, "%s%s", i ? ", " : "", formats[i].name);
}

int chat_named(struct chat *out, const char *name, struct error *err) {
    const struct chat_format *found = find_format(name);
    struct text known = {0};

    *out = (struct chat){0};
    if (found) {
        out->format = *found;
        return 0;
    }
    name_formats(&known);
    fail(err, "there is no chat format \"%s\": it is one of %s", name, known.data);
    free(known.data);
    return -1;
}

void chat_free(struct chat *chat) {
    free(chat->begin_text);
    free(chat->end_text);
    free(chat->own_system);
    node_free(chat->description);
    *chat = (struct chat){0};
}

static int fits(int fingerprint, const char *template) {
    const char *const *with = fingerprints[fingerprint].with, *const *without =
                                                                  fingerprints[fingerprint].without;

    for (int i = 0; i < 3 && with[i]; i++)
        if (!strstr(template, with[i])) return 0;
    for (int i = 0; i < 6 && without[i]; i++)
        if (strstr(template, without[i])) return 0;
    return 1;
}

/* The system turn that a ChatML template puts before conversations without one: a text of its own, not a
   message's content, in one of its quoted texts. NULL: none. Caller frees. */
static char *find_own_system(const char *template) {
    static const char before[] = "<|im_start|>system\\n";

    for (const char *at = template; (at = strstr(at, before)) != NULL;) {
        const char *end = strstr(at += sizeof before - 1, "<|im_end|>"), *quote = strpbrk(at, "'\"{}");

        if (end && end > at && !(quote && quote < end)) return xstrndup(at, (size_t)(end - at));
    }
    return NULL;
}

/* Whether a line ends after the last "<|assistant|>" that the template writes: within the quotes, or since
   Jinja keeps the line's end after an expression without "-". */
static int asks_with_line(const char *template) {
    const char *last = NULL;

    for (const char *at = template; (at = strstr(at, "<|assistant|>")) != NULL; at++) last = at;
    last += strlen("<|assistant|>");
    if (strncmp(last, "\\n", 2) == 0) return 1;
    last += strspn(last, "'\" ");
    return strncmp(last, "}}\n", 3) == 0;
}

int chat_recognize(struct chat *out, const char *template, struct error *err) {
    int which = 0, count = sizeof fingerprints / sizeof *fingerprints;
    struct text known = {0};

    while (which < count && !fits(which, template)) which++;
    if (which < count) {
        if (chat_named(out, fingerprints[which].name, err)) return -1;
        if (!strcmp(out->format.name, "chatml")) out->own_system = find_own_system(template);
        out->format.default_system = out->own_system;
        if (!strcmp(out->format.name, "zephyr") && !asks_with_line(template))
            out->format.ask = "<|assistant|>";
        return 0;
    }
    *out = (struct chat){0};
    name_formats(&known);
    fail(err,
         "the chat template is none of those that are known; say which format it is (%s), or describe it, in "
         "chat.yaml in the folder (beside a GGUF file: in FILE.gguf.chat.yaml)",
         known.data);
    free(known.data);
    return -1;
}

/* Names in a description, and where in the format their texts or truths go. */
static const struct {
    const char *name;
    size_t offset;
} texts[] = {{"begin", offsetof(struct chat_format, begin)},
             {"system_before", offsetof(struct chat_format, system_before)},
             {"system_after", offsetof(struct chat_format, system_after)},
             {"user_before", offsetof(struct chat_format, user_before)},
             {"user_after", offsetof(struct chat_format, user_after)},
             {"assistant_before", offsetof(struct chat_format, assistant_before)},
             {"assistant_end", offsetof(struct chat_format, assistant_end)},
             {"assistant_tail", offsetof(struct chat_format, assistant_tail)},
             {"last_end", offsetof(struct chat_format, last_end)},
             {"ask", offsetof(struct chat_format, ask)},
             {"stop", offsetof(struct chat_format, stop)},
             {"default_system", offsetof(struct chat_format, default_system)},
             {"first_system", offsetof(struct chat_format, first_system)}},
  truths[] = {{"trim", offsetof(struct chat_format, trim)},
              {"alternates", offsetof(struct chat_format, alternates)},
              {"no_system", offsetof(struct chat_format, no_system)},
              {"system_in_user", offsetof(struct chat_format, system_in_user)}};

static int set_field(struct chat_format *format, const struct node *field, struct error *err) {
    char *base = (char *)format;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!strcmp(texts[i].name, field->key)) {
            if (field->kind != NODE_STRING)
                return fail(err, "line %d: \"%s\" is not a text", field->line, field->key);
            *(const char **)(base + texts[i].offset) = field->text;
            return 0;
        }
    for (size_t i = 0; i < sizeof truths / sizeof *truths; i++)
        if (!strcmp(truths[i].name, field->key)) {
            if (field->kind != NODE_BOOL)
                return fail(err, "line %d: \"%s\" is neither true nor false", field->line, field->key);
            *(int *)(base + truths[i].offset) = field->number != 0;
            return 0;
        }
    return fail(err, "line %d: a chat format has no \"%s\"", field->line, field->key);
}

int chat_described(struct chat *out, struct node *description, struct error *err) {
    const char *name = node_text(description, "format", NULL);
    int status = 0;

    *out = (struct chat){0};
    if (description->kind != NODE_MAP) status = fail(err, "a chat format is described by a map");
    if (!status && name) status = chat_named(out, name, err);
    out->description = description;
    if (!name) out->format.name = "described";
    for (const struct node *field = description->first; field && !status; field = field->next)
        if (strcmp(field->key, "format")) status = set_field(&out->format, field, err);
    if (!status && !name && !out->format.stop)
        status = fail(err, "the chat format has no \"stop\": the token that ends what an assistant writes");
    return status;
}

/* A format's text with its tokens put in. */
static void add_text(const struct chat *chat, struct text *out, const char *text) {
    while (text && *text) {
        int begins = strncmp(text, "{bos}", 5) == 0, ends = strncmp(text, "{eos}", 5) == 0;
        const char *token = begins ? chat->begin_text : chat->end_text;

        if (begins || ends) {
            if (token) text_add(out, token, strlen(token));
            text += 5;
        } else {
            text_add(out, text++, 1);
        }
    }
}

/* What Python's strip() takes off: \s and the separators 0x1c to 0x1f. */
static int is_stripped(const char *at, const char *end, int *size) {
    int code = unicode_decode((const unsigned char *)at, (const unsigned char *)end, size);

    return (code >= 0x1c && code <= 0x1f) || (code >= 0 && unicode_class(code) == UNICODE_SPACE);
}

static void trim(const char **text, size_t *length) {
    const char *at = *text, *end = at + *length, *last = at;
    int size;

    while (at < end && is_stripped(at, end, &size)) at += size;
    for (const char *next = last = at; next < end; next += size)
        if (!is_stripped(next, end, &size)) last = next + size;
    *text = at;
    *length = (size_t)(last - at);
}

static struct stretch add_content(const struct chat *chat, struct text *out, const char *text) {
    size_t length = strlen(text);
    struct stretch content = {out->length, 0};

    if (chat->format.trim) trim(&text, &length);
    text_add(out, text, length);
    content.end = out->length;
    return content;
}

static void add_room(struct rendering *out, int count) {
    out->contents = xrealloc(out->contents, (size_t)count + 1, sizeof *out->contents);
    out->learned = xrealloc(out->learned, (size_t)count + 1, sizeof *out->learned);
    memset(out->contents, 0, (size_t)count * sizeof *out->contents);
    memset(out->learned, 0, (size_t)count * sizeof *out->learned);
    out->count = count;
}

static int is_role(const struct turn *turn, const char *role) {
    return strcmp(turn->role, role) == 0;
}

/* How many turns at the beginning the format renders apart. */
static int leading(const struct turn *turns, int count) {
    return count > 0 && is_role(&turns[0], "system");
}

static int check_turn(const struct chat_format *format, const struct turn *turns, int index, int first,
                      struct error *err) {
    const struct turn *turn = &turns[index];
    int is_system = is_role(turn, "system");

    if (!is_system && !is_role(turn, "user") && !is_role(turn, "assistant"))
        return fail(err, "turn %d has the role \"%s\": expected system, user or assistant", index + 1,
                    turn->role);
    if (is_system && format->no_system)
        return fail(err, "turn %d is a system turn, which the chat format %s does not have", index + 1,
                    format->name);
    if (is_system && index > 0 && format->system_in_user)
        return fail(err, "turn %d is a system turn: in the chat format %s only the first can be", index + 1,
                    format->name);
    if (format->alternates && index >= first && is_role(turn, "user") != ((index - first) % 2 == 0))
        return fail(
            err, "turn %d is of the %s: in the chat format %s user and assistant take turns, the user first",
            index + 1, turn->role, format->name);
    return 0;
}

static int check_turns(const struct chat_format *format, const struct turn *turns, int count,
                       enum chat_end end, struct error *err) {
    int first = leading(turns, count);

    if (count < 1) return fail(err, "a conversation has no turns");
    for (int i = 0; i < count; i++)
        if (check_turn(format, turns, i, first, err)) return -1;
    if (first && format->system_in_user && count == 1)
        return fail(err, "the chat format %s has no system turn without one of a user", format->name);
    if (end == CHAT_OPEN && !is_role(&turns[count - 1], "assistant"))
        return fail(err, "the last turn is of the %s: only an assistant's can go on", turns[count - 1].role);
    return 0;
}

static void render_assistant(const struct chat *chat, const struct turn *turn, int last, enum chat_end end,
                             struct text *out, struct stretch *content, struct stretch *learned) {
    const struct chat_format *format = &chat->format;

    add_text(chat, out, format->assistant_before);
    *content = add_content(chat, out, turn->content);
    *learned = *content;
    if (last && end == CHAT_OPEN) return;
    add_text(chat, out, last && format->last_end ? format->last_end : format->assistant_end);
    learned->end = out->length;
    if (!last || !format->last_end) add_text(chat, out, format->assistant_tail);
}

/* The first user's content with the system's before it, trimmed as one. */
static void render_joined(const struct chat *chat, const char *system, const char *content, struct text *out,
                          struct stretch *where) {
    const struct chat_format *format = &chat->format;
    struct text both = {0};

    add_text(chat, &both, format->system_before);
    text_add(&both, system, strlen(system));
    add_text(chat, &both, format->system_after);
    text_add(&both, content, strlen(content));
    *where = add_content(chat, out, both.data);
    free(both.data);
}

static void render_system(const struct chat *chat, const char *first, const char *content, struct text *out,
                          struct stretch *where) {
    add_text(chat, out, chat->format.system_before);
    add_text(chat, out, first);
    *where = add_content(chat, out, content);
    add_text(chat, out, chat->format.system_after);
}

/* What comes before the first turn; returns whether the first turn is done with. */
static int render_beginning(const struct chat *chat, const struct turn *turns, int count,
                            struct rendering *out) {
    const struct chat_format *format = &chat->format;
    const char *content = format->default_system;
    int system = leading(turns, count);
    struct stretch none;

    add_text(chat, &out->text, format->begin);
    if (format->system_in_user) return system;
    if (system) content = turns[0].content;
    if (!content && format->first_system) content = "";
    if (content)
        render_system(chat, format->first_system, content, &out->text, system ? out->contents : &none);
    return system;
}

int chat_render(const struct chat *chat, const struct turn *turns, int count, enum chat_end end,
                struct rendering *out, struct error *err) {
    const struct chat_format *format = &chat->format;
    const char *joined;
    int i;

    if (check_turns(format, turns, count, end, err)) return -1;
    out->text.length = 0;
    text_add(&out->text, "", 0);
    add_room(out, count);
    i = render_beginning(chat, turns, count, out);
    joined = i && format->system_in_user ? turns[0].content : NULL;
    for (; i < count; i++) {
        if (is_role(&turns[i], "system")) {
            render_system(chat, NULL, turns[i].content, &out->text, &out->contents[i]);
        } else if (is_role(&turns[i], "assistant")) {
            render_assistant(chat, &turns[i], i == count - 1, end, &out->text, &out->contents[i],
                             &out->learned[i]);
        } else {
            add_text(chat, &out->text, format->user_before);
            if (joined)
                render_joined(chat, joined, turns[i].content, &out->text, &out->contents[i]);
            else
                out->contents[i] = add_content(chat, &out->text, turns[i].content);
            add_text(chat, &out->text, format->user_after);
            joined = NULL;
        }
    }
    if (end == CHAT_ASK) add_text(chat, &out->text, format->ask);
    return 0;
}

void rendering_free(struct rendering *rendering) {
    free(rendering->text.data);
    free(rendering->contents);
    free(rendering->learned);
    *rendering = (struct rendering){0};
}

/* Whether token i holds nothing of the text, as a BLANK that is put before it: it belongs to what follows. */
static int is_empty(const struct tokens *ends, int i) {
    return ends->ids[i] == (i ? ends->ids[i - 1] : 0);
}

void rendering_encode(const struct tokenizer *tokenizer, const struct rendering *rendering,
                      struct tokens *ids, struct tokens *turn) {
    struct tokens ends = {0};
    int at = 0, first = turn->count;

    tokenizer_encode_mixed(tokenizer, rendering->text.data, rendering->text.length, rendering->contents,
                           rendering->count, ids, &ends);
    for (int i = 0; i < ends.count; i++) {
        size_t end = (size_t)ends.ids[i];

        while (at < rendering->count && rendering->learned[at].end < end) at++;
        tokens_add(turn, at < rendering->count && end > rendering->learned[at].begin ? at : -1);
    }
    for (int i = ends.count - 2; i >= 0; i--)
        if (is_empty(&ends, i)) turn->ids[first + i] = turn->ids[first + i + 1];
    free(ends.ids);
}

/* Encodes on its own what is behind `begin`, where a token would cross it. */
static void encode_apart(const struct tokenizer *tokenizer, const struct rendering *rendering, size_t begin,
                         struct tokens *out) {
    struct stretch *contents = xcalloc((size_t)rendering->count + 1, sizeof *contents);
    struct tokens ends = {0};
    int count = 0;

    for (int i = 0; i < rendering->count; i++) {
        struct stretch content = rendering->contents[i];

        if (content.end <= begin) continue;
        contents[count++] =
            (struct stretch){content.begin > begin ? content.begin - begin : 0, content.end - begin};
    }
    tokenizer_encode_mixed(tokenizer, rendering->text.data + begin, rendering->text.length - begin, contents,
                           count, out, &ends);
    free(ends.ids);
    free(contents);
}

void rendering_encode_from(const struct tokenizer *tokenizer, const struct rendering *rendering, size_t begin,
                           struct tokens *out) {
    struct tokens ids = {0}, ends = {0};
    int first = 0;

    tokenizer_encode_mixed(tokenizer, rendering->text.data, rendering->text.length, rendering->contents,
                           rendering->count, &ids, &ends);
    while (first < ids.count && (size_t)ends.ids[first] <= begin) first++;
    while (first > 0 && (size_t)ends.ids[first - 1] == begin && is_empty(&ends, first - 1)) first--;
    if (first > 0 && (size_t)ends.ids[first - 1] < begin)
        encode_apart(tokenizer, rendering, begin, out);
    else
        for (int i = first; i < ids.count; i++) tokens_add(out, ids.ids[i]);
    free(ids.ids);
    free(ends.ids);
}
