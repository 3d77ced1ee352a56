#include "harness/dialogue.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"

static const char white[] = " \t\r\n\f\v";

static void add_message(struct node *list, const char *role, const char *content) {
    struct node *message = node_add(list, NULL, NODE_MAP);

    node_add_text(message, "role", role);
    node_add_text(message, "content", content);
}

static const char *normal_role(const char *role) {
    static const char *const names[][2] = {{"user", "user"},           {"human", "user"},
                                           {"assistant", "assistant"}, {"gpt", "assistant"},
                                           {"model", "assistant"},     {"system", "system"}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(role, names[i][0])) return names[i][1];
    return NULL;
}

/* A text, or parts {type: text, text} one after the other; NULL if it is neither. */
static char *content_text(const struct node *content) {
    struct text out = {0};

    if (!content) return NULL;
    if (content->kind == NODE_STRING) return xstrdup(content->text);
    if (content->kind != NODE_LIST || !content->first) return NULL;
    for (const struct node *part = content->first; part; part = part->next) {
        const struct node *text = node_get(part, "text");

        if (!text || text->kind != NODE_STRING) {
            free(out.data);
            return NULL;
        }
        text_printf(&out, "%s", text->text);
    }
    return out.data;
}

static int add_normal(struct node *list, const struct node *message, struct error *err) {
    const char *role = node_text(message, "role", node_text(message, "from", NULL)), *known;
    const struct node *content = node_get(message, "content");
    char *text = content_text(content ? content : node_get(message, "value"));
    int status = -1;

    known = role ? normal_role(role) : NULL;
    if (message->kind == NODE_STRING)
        add_message(list, list->count % 2 ? "assistant" : "user", message->text);
    else if (!role || !text)
        goto out;
    else if (known)
        add_message(list, known, text);
    else
        goto out;
    status = 0;
out:
    if (status && role && text)
        fail(err, "the role \"%s\" is not known; system, user and assistant are", role);
    else if (status)
        fail(err, "a message needs \"role\" and \"content\", both texts (line %d)", message->line);
    free(text);
    return status;
}

struct node *dialogue_normal(const struct node *list, struct error *err) {
    struct node *out = node_new(NODE_LIST);

    for (const struct node *message = list->first; message; message = message->next)
        if (add_normal(out, message, err)) {
            node_free(out);
            return NULL;
        }
    return out;
}

/* The next mark from `at` on and its length, or NULL. */
static const char *next_mark(const char *at, size_t *length, const char **role) {
    const char *human = strstr(at, DIALOGUE_HUMAN), *assistant = strstr(at, DIALOGUE_ASSISTANT);
    int answers = assistant && (!human || assistant < human);

    *length = answers ? strlen(DIALOGUE_ASSISTANT) : strlen(DIALOGUE_HUMAN);
    *role = answers ? "assistant" : "user";
    return answers ? assistant : human;
}

struct node *dialogue_split(const char *text) {
    struct node *list = node_new(NODE_LIST);
    size_t length;
    const char *next_role, *role = "system", *mark = next_mark(text, &length, &next_role);

    if (!mark) role = "user";
    for (;;) {
        char *turn = mark ? xstrndup(text, (size_t)(mark - text)) : xstrdup(text);
        char *content = text_trimmed(turn);

        if (content[0] || (mark && strcmp(role, "system"))) add_message(list, role, content);
        free(content);
        free(turn);
        if (!mark) return list;
        text = mark + length;
        role = next_role;
        mark = next_mark(text, &length, &next_role);
    }
}

char *dialogue_join(const struct node *messages, int is_prompt) {
    struct text out = {0};

    text_add(&out, "", 0);
    for (const struct node *message = messages->first; message; message = message->next) {
        const char *role = node_text(message, "role", ""), *content = node_text(message, "content", "");

        if (!strcmp(role, "system"))
            text_printf(&out, "%s", content);
        else
            text_printf(&out, "%s %s", strcmp(role, "user") ? DIALOGUE_ASSISTANT : DIALOGUE_HUMAN, content);
    }
    if (is_prompt) text_printf(&out, DIALOGUE_ASSISTANT);
    return out.data;
}

/* Role by role, word for word. */
static int dialogue_equal(const struct node *a, const struct node *b) {
    const struct node *x = a->first, *y = b->first;

    for (; x && y; x = x->next, y = y->next)
        if (strcmp(node_text(x, "role", ""), node_text(y, "role", "")) ||
            strcmp(node_text(x, "content", ""), node_text(y, "content", "")))
            return 0;
    return !x && !y;
}

size_t dialogue_common(const char *a, const char *b) {
    size_t common = 0;

    for (const char *mark = a; (mark = strstr(mark, DIALOGUE_ASSISTANT)); mark++) {
        size_t end = (size_t)(mark - a) + strlen(DIALOGUE_ASSISTANT);

        if (!strncmp(a, b, end)) common = end;
    }
    return common;
}

struct node *dialogue_messages(const struct example *example) {
    return example->messages ? node_copy(example->messages) : dialogue_split(example->prompt);
}

void dialogue_set(struct example *example, const struct node *messages) {
    struct node *told;

    free(example->prompt);
    node_free(example->messages);
    example->prompt = dialogue_join(messages, 1);
    told = dialogue_split(example->prompt);
    example->messages = dialogue_equal(told, messages) ? NULL : node_copy(messages);
    node_free(told);
}

/* " Human: … Assistant: … Human: … Assistant:", where every mark follows a white space or begins the text. */
static char *from_one_line(const char *text) {
    struct text out = {0};
    const char *begin = text + strspn(text, white);

    if (strncmp(begin, "Human:", 6) || !text_ends(begin, "Assistant:")) return NULL;
    for (const char *at = begin; *at; at++) {
        int starts = at == begin || strchr(white, at[-1]) != NULL;

        if (!starts || (strncmp(at, "Human:", 6) && strncmp(at, "Assistant:", 10))) {
            text_add(&out, at, 1);
            continue;
        }
        while (out.length && strchr(white, out.data[out.length - 1])) out.data[--out.length] = 0;
        text_printf(&out, "\n\n%c", *at);
    }
    return out.data;
}

static char *read_text(const char *text, enum dialogue_template template) {
    char *flat;

    if (text_ends(text, DIALOGUE_ASSISTANT)) return xstrdup(text);
    if (strstr(text, DIALOGUE_HUMAN)) return xprintf("%s" DIALOGUE_ASSISTANT, text);
    flat = from_one_line(text);
    if (flat) return flat;
    if (template == TEMPLATE_HH) return xprintf(DIALOGUE_HUMAN " %s" DIALOGUE_ASSISTANT, text);
    return xstrdup(text);
}

int dialogue_read(struct example *example, const struct node *field, enum dialogue_template template,
                  struct error *err) {
    struct node *messages;

    if (field->kind == NODE_STRING) {
        free(example->prompt);
        example->prompt = read_text(field->text, template);
        return 0;
    }
    if (field->kind != NODE_LIST)
        return fail(err, "\"%s\" must be a text or a list of messages", field->key ? field->key : "it");
    messages = dialogue_normal(field, err);
    if (!messages) return -1;
    dialogue_set(example, messages);
    node_free(messages);
    return 0;
}

/* The end of a text, from a white space on, of at most so many characters; "" where no word fits. */
static const char *last_words(const char *text, size_t most) {
    const char *at = text;

    if (text_characters(text) <= most) return text;
    for (size_t more = text_characters(text) - most; more; more--) do
            at++;
        while ((*at & 0xC0) == 0x80);
    if (at > text && !strchr(white, at[-1])) at += strcspn(at, white);
    return at + strspn(at, white);
}

/* A list without message number `left_out`, and with the last one's content replaced if one is given. */
static struct node *without(const struct node *messages, int left_out, const char *content) {
    struct node *list = node_new(NODE_LIST);
    int number = 0;

    for (const struct node *message = messages->first; message; message = message->next, number++)
        if (number != left_out)
            add_message(list, node_text(message, "role", ""),
                        content && !message->next ? content : node_text(message, "content", ""));
    return list;
}

static size_t joined_length(const struct node *messages) {
    char *text = dialogue_join(messages, 1);
    size_t length = text_characters(text);

    free(text);
    return length;
}

/* The first message that is not the system's, and its number. */
static const struct node *first_turn(const struct node *messages, int *number) {
    const struct node *first = messages->first;

    *number = first && !strcmp(node_text(first, "role", ""), "system");
    return *number ? first->next : first;
}

static int begins_with_answer(const struct node *messages) {
    int number;
    const struct node *turn = first_turn(messages, &number);

    return turn && turn->next && !strcmp(node_text(turn, "role", ""), "assistant");
}

/* Cut to what fits, or NULL; takes the messages. */
static struct node *cut_messages(struct node *messages, size_t most) {
    size_t length;

    while ((length = joined_length(messages)) > most || begins_with_answer(messages)) {
        const struct node *last = messages->last;
        const char *content = last ? node_text(last, "content", "") : "";
        size_t spare = length > most ? length - most : 0;
        struct node *cut = NULL;
        int first;

        first_turn(messages, &first);
        if (messages->count - first > 1)
            cut = without(messages, first, NULL);
        else if (last && text_characters(content) > spare) {
            const char *end = last_words(content, text_characters(content) - spare);

            if (*end) cut = without(messages, -1, end);
        }
        node_free(messages);
        if (!cut) return NULL;
        messages = cut;
    }
    return messages;
}

int dialogue_cut(struct example *example, size_t most) {
    struct node *messages;

    if (text_characters(example->prompt) <= most) return 0;
    if (!example->messages && !strstr(example->prompt, DIALOGUE_HUMAN)) {
        char *end = xstrdup(last_words(example->prompt, most));

        if (end[0]) {
            free(example->prompt);
            example->prompt = end;
            return 0;
        }
        free(end);
        return -1;
    }
    messages = cut_messages(dialogue_messages(example), most);
    if (!messages) return -1;
    dialogue_set(example, messages);
    node_free(messages);
    return 0;
}

size_t text_characters(const char *text) {
    size_t count = 0;

    for (; *text; text++) count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

char *text_trimmed(const char *text) {
    size_t length;

    text += strspn(text, white);
    length = strlen(text);
    while (length && strchr(white, text[length - 1])) length--;
    return xstrndup(text, length);
}

static int in_word(unsigned char c) {
    return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

char *text_normal(const char *text) {
    char *out = xmalloc(strlen(text) + 1);
    size_t length = 0;

    for (const char *at = text; *at; at++) {
        unsigned char c = (unsigned char)*at;

        if (!in_word(c)) continue;
        if (length && !in_word((unsigned char)at[-1])) out[length++] = ' ';
        out[length++] = (char)(c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c);
    }
    out[length] = 0;
    if (length) return out;
    free(out);
    return xstrdup(text);
}

char *prompt_words(const char *prompt) {
    struct node *turns = dialogue_split(prompt);
    struct text all = {0};
    char *normal;

    text_add(&all, "", 0);
    for (const struct node *turn = turns->first; turn; turn = turn->next)
        text_printf(&all, "%s%s", turn == turns->first ? "" : " ", node_text(turn, "content", ""));
    normal = text_normal(all.data);
    free(all.data);
    node_free(turns);
    return normal;
}

double prompt_position(const char *prompt) {
    const char *turn = strstr(prompt, DIALOGUE_ASSISTANT);
    char *first = turn ? xstrndup(prompt, (size_t)(turn - prompt)) : xstrdup(prompt);
    char *words = prompt_words(first), hex[65];

    hash_bytes(hex, words, strlen(words));
    hex[8] = '\0';
    free(words);
    free(first);
    return (double)strtoul(hex, NULL, 16) * 0x1p-32;
}

char *prompt_id(const char *prompt) {
    char hex[65];

    hash_bytes(hex, prompt, strlen(prompt));
    return xprintf("prompt-%.16s", hex);
}
