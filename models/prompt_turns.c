#include "models/prompt_turns.h"

#include <stdlib.h>
#include <string.h>

#include "harness/dialogue.h"

static int has_marks(const struct chat *chat) {
    return chat->format.user_before && chat->format.user_before[0];
}

static int is_role(const struct node *message, const char *role) {
    return !strcmp(node_text(message, "role", ""), role);
}

static void add_message(struct node *list, const char *role, const char *content) {
    struct node *message = node_add(list, NULL, NODE_MAP);

    node_add_text(message, "role", role);
    node_add_text(message, "content", content);
}

/* The last message goes on, in a new paragraph. */
static void add_to_last(struct node *list, const char *content) {
    char *whole = xprintf("%s\n\n%s", node_text(list->last, "content", ""), content);

    node_set_text(list->last, "content", whole);
    free(whole);
}

/* The turns as the format can have them. */
static struct node *fitting_turns(const struct chat *chat, const struct node *turns) {
    struct node *out = node_new(NODE_LIST);
    int goes_on = 0;

    for (const struct node *turn = turns->first; turn; turn = turn->next) {
        const char *role = node_text(turn, "role", ""), *content = node_text(turn, "content", "");
        int becomes_user = chat->format.no_system && !strcmp(role, "system");

        if (becomes_user) role = "user";
        if (out->last && is_role(out->last, role) && (chat->format.alternates || goes_on))
            add_to_last(out, content);
        else
            add_message(out, role, content);
        goes_on = becomes_user;
    }
    return out;
}

static int render_turns(const struct chat *chat, const struct node *messages, struct rendering *out) {
    struct turn *turns = xcalloc((size_t)messages->count, sizeof *turns);
    struct error err;
    int count = 0, status;

    for (const struct node *message = messages->first; message; message = message->next)
        turns[count++] = (struct turn){node_text(message, "role", ""), node_text(message, "content", "")};
    status = chat_render(chat, turns, count, CHAT_ASK, out, &err);
    free(turns);
    return status;
}

static int render_dialogue(const struct chat *chat, const char *text, struct rendering *out) {
    struct node *split = dialogue_split(text), *turns = fitting_turns(chat, split);
    int status = render_turns(chat, turns, out);

    node_free(split);
    node_free(turns);
    return status;
}

static void add_learned(struct rendering *out, struct stretch learned) {
    out->contents = xrealloc(out->contents, (size_t)out->count + 1, sizeof *out->contents);
    out->learned = xrealloc(out->learned, (size_t)out->count + 1, sizeof *out->learned);
    out->contents[out->count] = (struct stretch){out->text.length, out->text.length};
    out->learned[out->count++] = learned;
    out->room = out->count;
}

/* In a text that is kept as it is: from an assistant's mark to the next one of the user. */
static void learn_marked(struct rendering *out) {
    const char *text = out->text.data, *end = text + out->contents[0].end,
               *mark = text + out->contents[0].begin;

    while ((mark = strstr(mark, DIALOGUE_ASSISTANT)) && mark < end) {
        const char *begin = mark + strlen(DIALOGUE_ASSISTANT), *stop = strstr(begin, DIALOGUE_HUMAN);

        if (!stop || stop > end) return;
        add_learned(out, (struct stretch){(size_t)(begin - text), (size_t)(stop - text)});
        mark = stop;
    }
}

void prompt_render(const struct tokenizer *tokenizer, const char *text, struct rendering *out) {
    const struct turn turn = {"user", text};
    struct error err;
    const struct chat *chat = tokenizer_chat(tokenizer, &err);

    if (chat && has_marks(chat) && strstr(text, DIALOGUE_HUMAN) && !render_dialogue(chat, text, out)) return;
    if (!chat || chat_render(chat, &turn, 1, CHAT_ASK, out, &err))
        out->count = 0;
    else if (!has_marks(chat))
        learn_marked(out);
}
