/* The lines below a table, and lists of sentences. */
#ifndef REPORTS_NOTES_H
#define REPORTS_NOTES_H

#include "reports/sheet.h"

/* Each one sentence. Start from zero; free with notes_free(). */
struct notes {
    char **items;
    int count;
};
void notes_add(struct notes *notes, char *sentence); /* takes it; drops one that is there already */
void notes_free(struct notes *notes);

/* Which answers are missing, what the stars mean and their correction, how intervals were made, what the
   seeds are, why cells are empty, what the bounds beside figures are, and what changes the
   table has no power to see. */
void sheet_notes(struct notes *out, const struct sheet *sheet, const struct effect *effect);

#endif
