#include "models/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "harness/file.h"
#include "harness/memory.h"
#include "models/prompt_turns.h"

static const char example_prompt[] = "x";

static void render(const struct tokenizer *tokenizer, const struct turn *turns, int count, enum chat_end end,
                   struct rendering *out) {
    struct error err;
    const struct chat *chat = tokenizer_chat(tokenizer, &err);

    if (!chat || chat_render(chat, turns, count, end, out, &err)) out->count = 0;
}

void prompt_encode(const struct tokenizer *tokenizer, const char *text, struct tokens *out) {
    struct rendering rendering = {0};

    prompt_render(tokenizer, text, &rendering);
    if (rendering.count) rendering_encode_from(tokenizer, &rendering, 0, out);
    rendering_free(&rendering);
}

void prompt_mark(const struct tokenizer *tokenizer, const char *text, unsigned char *marks, int count) {
    struct rendering rendering = {0};
    struct tokens ids = {0}, turn = {0};

    prompt_render(tokenizer, text, &rendering);
    if (rendering.count) rendering_encode(tokenizer, &rendering, &ids, &turn);
    for (int i = 0; i < count; i++) marks[i] = i < turn.count && turn.ids[i] >= 0;
    free(ids.ids);
    free(turn.ids);
    rendering_free(&rendering);
}

/* What follows the prompt in a conversation of some prompt and the response: what is before a response does
   not change its tokens. */
void response_encode(const struct tokenizer *tokenizer, const char *text, int ended, struct tokens *out) {
    const struct turn turns[] = {{"user", example_prompt}, {"assistant", text}};
    struct rendering prompt = {0}, whole = {0};
    size_t begin;

    render(tokenizer, turns, 1, CHAT_ASK, &prompt);
    render(tokenizer, turns, 2, ended ? CHAT_CLOSED : CHAT_OPEN, &whole);
    if (whole.count == 2) {
        begin = prompt.text.length;
        if (whole.text.length < begin || memcmp(whole.text.data, prompt.text.data, begin))
            begin = whole.contents[1].begin;
        whole.text.length = whole.learned[1].end;
        rendering_encode_from(tokenizer, &whole, begin, out);
    }
    rendering_free(&prompt);
    rendering_free(&whole);
}

static int read_one(const char *folder, const char *file, struct examples *out, struct error *err) {
    char *path = path_join(folder, file);
    int status = examples_read(path, out, err);

    free(path);
    return status;
}

int data_read(const struct node *folders, const char *file, struct examples *out, struct error *err) {
    if (folders && folders->kind == NODE_STRING) return read_one(folders->text, file, out, err);
    for (const struct node *folder = folders ? folders->first : NULL; folder; folder = folder->next)
        if (read_one(folder->text, file, out, err)) return -1;
    return 0;
}

char *data_world(const struct node *folders) {
    const struct node *folder = folders && folders->kind == NODE_LIST ? folders->first : folders;
    struct error ignored;
    struct node *node = NULL;
    char *path, *name;

    if (!folder) return NULL;
    path = path_join(folder->text, "world.json");
    if (file_exists(path)) node = document_read(path, &ignored);
    name = xstrdup(node_text(node, "world", NULL));
    node_free(node);
    free(path);
    return name;
}

static void dataset_grow(struct dataset *data, int more) {
    if (data->ids.count + more > data->learn_room) {
        data->learn_room = 2 * (data->ids.count + more) + 256;
        data->learn = xrealloc(data->learn, (size_t)data->learn_room, 1);
    }
    if (data->count < data->room) return;
    data->room = 2 * data->room + 64;
    data->start = xrealloc(data->start, (size_t)data->room + 1, sizeof *data->start);
    data->learned = xrealloc(data->learned, (size_t)data->room, sizeof *data->learned);
    data->weight = xrealloc(data->weight, (size_t)data->room, sizeof *data->weight);
}

static void add_ids(struct dataset *data, const int *ids, int count) {
    for (int i = 0; i < count; i++) tokens_add(&data->ids, ids[i]);
}

static void end_row(struct dataset *data, float weight) {
    int first = data->start[data->count], length = data->ids.count - first, learned = 0;

    if (length) data->learn[first] = 0; /* nothing stands before it that could predict it */
    for (int i = 0; i < length; i++) learned += data->learn[first + i];
    data->learned[data->count] = learned;
    data->weight[data->count] = weight;
    data->start[++data->count] = data->ids.count;
    if (length > data->longest) data->longest = length;
}

void dataset_add(struct dataset *data, const int *given, int given_count, const int *learned,
                 int learned_count, float weight) {
    dataset_grow(data, given_count + learned_count);
    data->start[data->count] = data->ids.count;
    memset(data->learn + data->ids.count, 0, (size_t)given_count);
    memset(data->learn + data->ids.count + given_count, 1, (size_t)learned_count);
    add_ids(data, given, given_count);
    add_ids(data, learned, learned_count);
    end_row(data, weight);
}

void dataset_add_marked(struct dataset *data, const int *ids, const unsigned char *learn, int count,
                        float weight) {
    dataset_grow(data, count);
    data->start[data->count] = data->ids.count;
    memcpy(data->learn + data->ids.count, learn, (size_t)count);
    add_ids(data, ids, count);
    end_row(data, weight);
}

int dataset_length(const struct dataset *data, int row) {
    return data->start[row + 1] - data->start[row];
}

void dataset_free(struct dataset *data) {
    free(data->ids.ids);
    free(data->start);
    free(data->learn);
    free(data->learned);
    free(data->weight);
    *data = (struct dataset){0};
}

void targets_add(struct targets *targets, int position, int target, int item) {
    if (targets->count == targets->room) {
        targets->room = 2 * targets->room + 256;
        targets->position = xrealloc(targets->position, (size_t)targets->room, sizeof *targets->position);
        targets->target = xrealloc(targets->target, (size_t)targets->room, sizeof *targets->target);
        targets->item = xrealloc(targets->item, (size_t)targets->room, sizeof *targets->item);
    }
    targets->position[targets->count] = position;
    targets->target[targets->count] = target;
    targets->item[targets->count++] = item;
}

void targets_free(struct targets *targets) {
    free(targets->position);
    free(targets->target);
    free(targets->item);
    *targets = (struct targets){0};
}
