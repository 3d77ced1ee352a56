/* Prints what a tokenizer makes of texts, for tests/fixtures/check_tokens.py.
 * Usage: show_tokens TOKENIZER TEXTS.jsonl   (a tokenizer.json, a folder or a .gguf file; lines {"text":
 * "..."}) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/document.h"
#include "models/tokenizer.h"

static void add_ids(struct node *line, const char *name, const struct tokens *ids) {
    struct node *list = node_add(line, name, NODE_LIST);

    for (int i = 0; i < ids->count; i++) node_add_number(list, NULL, ids->ids[i]);
}

static int show(void *context, const struct node *record, int number, struct error *err) {
    const struct tokenizer *tokenizer = context;
    const char *text = node_text(record, "text", "");
    struct tokens ids = {0}, framed = {0}, mixed = {0}, ends = {0};
    struct node *line = node_new(NODE_MAP);
    char *back;

    (void)number;
    (void)err;
    tokenizer_encode_added(tokenizer, text, strlen(text), &ids);
    tokenizer_encode_framed(tokenizer, text, strlen(text), &framed);
    tokenizer_encode_mixed(tokenizer, text, strlen(text), NULL, 0, &mixed, &ends);
    back = tokenizer_decode(tokenizer, ids.ids, ids.count, NULL);
    add_ids(line, "ids", &ids);
    add_ids(line, "framed", &framed);
    add_ids(line, "ends", &ends);
    node_add_text(line, "text", back);
    node_print(stdout, line, 0);
    free(back);
    free(ids.ids);
    free(framed.ids);
    free(mixed.ids);
    free(ends.ids);
    node_free(line);
    return 0;
}

int main(int count, char **words) {
    struct tokenizer *tokenizer;
    struct error err;
    int status;

    if (count != 3) return fprintf(stderr, "usage: show_tokens TOKENIZER TEXTS.jsonl\n"), 2;
    if ((strstr(words[1], ".json") ? tokenizer_load : tokenizer_open)(&tokenizer, words[1], &err))
        return fprintf(stderr, "%s\n", err.message), 1;
    status = document_each(words[2], show, tokenizer, &err);
    if (status) fprintf(stderr, "%s\n", err.message);
    tokenizer_free(tokenizer);
    return status != 0;
}
