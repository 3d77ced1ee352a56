/* Rows that do not fit a model's context: left out or with a shorter prompt, and listed in the step's
   dropped.jsonl. A response is never cut. */
#ifndef MODELS_OVERLONG_H
#define MODELS_OVERLONG_H

#include "harness/file.h"
#include "harness/record.h"
#include "harness/run.h"
#include "models/tokenizer.h"

enum overlong { OVERLONG_DROP, OVERLONG_CUT, OVERLONG_ERROR };

/* The row of an option table that fills an int, member `field` of `type`. */
#define OVERLONG_OPTION(type, field)                                                                         \
    {                                                                                                        \
        "overlong", OPTION_CHOICE, offsetof(type, field), "drop", 0, 0, "drop|cut_prompt|error",             \
            "rows longer than the context: left out; or their prompts cut, oldest turns first, where the "   \
            "response "                                                                                      \
            "fits; or an error. Those left out or cut are listed in dropped.jsonl"                           \
    }

struct overlong_rows {
    const struct step *step;
    enum overlong action;
    int context, dropped, cut;
    struct output list;
};

int overlong_begin(struct overlong_rows *rows, const struct step *step, int action, int context,
                   struct error *err);
/* Appends the ids of the example's prompt, cut if need be so that `response` tokens fit behind it: 1. 0 where
   the row is left out; -1 with err set. The example itself stays as it is; *cut is the text where it was cut,
   which the caller frees, else NULL. cut may be NULL. */
int overlong_encode(struct overlong_rows *rows, const struct tokenizer *tokenizer,
                    const struct example *example, int response, struct tokens *prompt, char **cut,
                    struct error *err);
/* Lists a row that is left out for another reason. */
void overlong_leave(struct overlong_rows *rows, const struct example *example, const char *reason);
/* Finishes the list, and tells the person; `noun`: of what. */
int overlong_end(struct overlong_rows *rows, int count, const char *noun, struct error *err);
void overlong_free(struct overlong_rows *rows); /* after a failure; harmless after overlong_end() */

#endif
