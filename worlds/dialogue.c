#include "worlds/dialogue.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"

static int add_message(struct text *out, const struct node *message, struct error *err) {
    const char *role = node_text(message, "role", node_text(message, "from", NULL));
    const char *content = node_text(message, "content", node_text(message, "value", NULL));

    if (!role || !content)
        return fail(err, "a message needs \"role\" and \"content\", both texts (line %d)", message->line);
    if (!strcmp(role, "user") || !strcmp(role, "human"))
        text_printf(out, DIALOGUE_HUMAN " %s", content);
    else if (!strcmp(role, "assistant") || !strcmp(role, "gpt"))
        text_printf(out, DIALOGUE_ASSISTANT " %s", content);
    else if (!strcmp(role, "system"))
        text_printf(out, "%s", content);
    else
        return fail(err, "the role \"%s\" is not known; system, user and assistant are", role);
    return 0;
}

char *dialogue_text(const struct node *field, struct error *err) {
    struct text out = {0};

    if (field->kind == NODE_STRING) return xstrdup(field->text);
    if (field->kind != NODE_LIST) {
        fail(err, "\"%s\" must be a text or a list of messages", field->key ? field->key : "it");
        return NULL;
    }
    text_add(&out, "", 0);
    for (const struct node *message = field->first; message; message = message->next)
        if (add_message(&out, message, err)) {
            free(out.data);
            return NULL;
        }
    return out.data;
}

static int ends_in(const char *text, const char *ending) {
    size_t length = strlen(text), tail = strlen(ending);

    return length >= tail && !strcmp(text + length - tail, ending);
}

char *dialogue_prompt(const struct node *field, enum dialogue_template template, struct error *err) {
    char *text = dialogue_text(field, err), *whole;

    if (!text || ends_in(text, DIALOGUE_ASSISTANT)) return text;
    if (field->kind == NODE_LIST || strstr(text, DIALOGUE_HUMAN))
        whole = xprintf("%s" DIALOGUE_ASSISTANT, text);
    else if (template == TEMPLATE_HH)
        whole = xprintf(DIALOGUE_HUMAN " %s" DIALOGUE_ASSISTANT, text);
    else
        whole = xstrdup(text);
    free(text);
    return whole;
}

size_t text_characters(const char *text) {
    size_t count = 0;

    for (; *text; text++) count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

char *text_trimmed(const char *text) {
    static const char white[] = " \t\r\n\f\v";
    size_t length;

    text += strspn(text, white);
    length = strlen(text);
    while (length && strchr(white, text[length - 1])) length--;
    return xstrndup(text, length);
}

double prompt_position(const char *prompt) {
    const char *turn = strstr(prompt, DIALOGUE_ASSISTANT);
    char hex[65];

    hash_bytes(hex, prompt, turn ? (size_t)(turn - prompt) : strlen(prompt));
    hex[8] = '\0';
    return (double)strtoul(hex, NULL, 16) * 0x1p-32;
}

char *prompt_id(const char *prompt) {
    char hex[65];

    hash_bytes(hex, prompt, strlen(prompt));
    return xprintf("prompt-%.16s", hex);
}
