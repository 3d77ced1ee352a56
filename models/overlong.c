#include "models/overlong.h"

#include <stdlib.h>

#include "harness/dialogue.h"
#include "harness/memory.h"
#include "harness/progress.h"
#include "harness/ranks.h"
#include "models/dataset.h"

int overlong_begin(struct overlong_rows *rows, const struct step *step, int action, int context,
                   struct error *err) {
    char *path;
    int status;

    *rows = (struct overlong_rows){.step = step, .action = (enum overlong)action, .context = context};
    if (!ranks_first()) return 0;
    path = step_path(step, "dropped.jsonl");
    status = output_open(&rows->list, path, err);
    free(path);
    return status;
}

static void list_row(struct overlong_rows *rows, const struct example *example, const char *reason,
                     int kept) {
    struct node *row;

    if (!rows->list.file) return;
    row = node_new(NODE_MAP);
    node_add_text(row, "id", example->id);
    node_add_text(row, "reason", reason);
    if (kept) node_add_bool(row, "kept", 1);
    node_print(rows->list.file, row, 0);
    node_free(row);
}

void overlong_leave(struct overlong_rows *rows, const struct example *example, const char *reason) {
    rows->dropped++;
    list_row(rows, example, reason, 0);
}

/* The prompt in at most so many characters; its ids replace what is behind `before` of out, and its text
 *text. -1 where no word is left of it. */
static int encode_cut(const struct tokenizer *tokenizer, const struct example *example, size_t most,
                      int before, struct tokens *out, char **text) {
    struct example cut = {.prompt = xstrdup(example->prompt),
                          .messages = example->messages ? node_copy(example->messages) : NULL};
    int status = dialogue_cut(&cut, most);

    out->count = before;
    if (!status) prompt_encode(tokenizer, cut.prompt, out);
    free(*text);
    *text = cut.prompt;
    node_free(cut.messages);
    return status;
}

/* The longest cut that has at most `room` tokens: 1, or 0 where none has. */
static int find_cut(const struct tokenizer *tokenizer, const struct example *example, int room,
                    struct tokens *out, char **text) {
    size_t fits = 0, exceeds = text_characters(example->prompt);
    int before = out->count;

    while (exceeds - fits > 1) {
        size_t middle = fits + (exceeds - fits) / 2;

        if (encode_cut(tokenizer, example, middle, before, out, text) || out->count - before <= room)
            fits = middle;
        else
            exceeds = middle;
    }
    if (!fits || encode_cut(tokenizer, example, fits, before, out, text) || out->count - before > room) {
        out->count = before;
        return 0;
    }
    return 1;
}

int overlong_encode(struct overlong_rows *rows, const struct tokenizer *tokenizer,
                    const struct example *example, int response, struct tokens *prompt, char **cut,
                    struct error *err) {
    int room = rows->context - response, before = prompt->count, fits;
    char *text = NULL;

    if (cut) *cut = NULL;
    prompt_encode(tokenizer, example->prompt, prompt);
    if (prompt->count - before <= room) return 1;
    if (rows->action == OVERLONG_ERROR)
        return fail(err,
                    "%s: prompt and response of %s have %d tokens, and the context %d; overlong: drop leaves "
                    "such rows "
                    "out",
                    rows->step->name, example->id, prompt->count - before + response, rows->context);
    prompt->count = before;
    fits = rows->action == OVERLONG_CUT && room > 0 && find_cut(tokenizer, example, room, prompt, &text);
    if (fits) {
        rows->cut++;
        list_row(rows, example, "the prompt was cut to fit the context", 1);
    } else {
        overlong_leave(rows, example,
                       room > 0 ? "prompt and response are longer than the context"
                                : "the response alone is longer than the context");
    }
    if (fits && cut)
        *cut = text;
    else
        free(text);
    return fits;
}

int overlong_end(struct overlong_rows *rows, int count, const char *noun, struct error *err) {
    if (rows->dropped)
        progress_notice("%s: left out %d of %d %s: incomplete, or longer than the context of %d; listed in "
                        "dropped.jsonl",
                        rows->step->name, rows->dropped, count, noun, rows->context);
    if (rows->cut)
        progress_notice(
            "%s: cut the prompts of %d of %d %s to fit the context of %d; listed in dropped.jsonl",
            rows->step->name, rows->cut, count, noun, rows->context);
    return rows->list.file ? output_close(&rows->list, err) : 0;
}

void overlong_free(struct overlong_rows *rows) {
    output_discard(&rows->list);
}
