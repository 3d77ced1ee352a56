#include "models/transformer.h"

#include <stdlib.h>
#include <string.h>

#include "harness/memory.h"

void batch_clear(struct batch *batch) {
    batch->rows = batch->total = 0;
}

static void reserve_row(struct batch *batch) {
    if (batch->rows + 1 < batch->room_rows) return;
    batch->room_rows = 2 * batch->room_rows + 16;
    batch->start = xrealloc(batch->start, (size_t)batch->room_rows, sizeof *batch->start);
}

static void reserve_tokens(struct batch *batch, int count) {
    if (batch->total + count <= batch->room_tokens) return;
    batch->room_tokens = 2 * (batch->total + count);
    batch->tokens = xrealloc(batch->tokens, (size_t)batch->room_tokens, sizeof *batch->tokens);
}

void batch_add(struct batch *batch, const int *tokens, int count) {
    reserve_row(batch);
    batch->start[batch->rows++] = batch->total;
    batch_extend(batch, tokens, count);
}

void batch_extend(struct batch *batch, const int *tokens, int count) {
    if (count > 0) {
        reserve_tokens(batch, count);
        memcpy(batch->tokens + batch->total, tokens, (size_t)count * sizeof *tokens);
    }
    batch->total += count;
    batch->start[batch->rows] = batch->total;
}

void batch_free(struct batch *batch) {
    free(batch->tokens);
    free(batch->start);
    *batch = (struct batch){0};
}
