/* Texts that a judge is shown, made harmless: what a candidate may hide in its answer to speak as somebody
 * else. */
#ifndef JUDGES_DEFENCE_H
#define JUDGES_DEFENCE_H

/* Without invisible characters (soft hyphens, zero-width and direction characters, control characters but tab
   and newline). Caller frees. */
char *text_seen(const char *text);

/* That, with each verdict marker followed by "(quoted)", so that no line of it reads as a verdict, and the
   openings of chat templates' signs, of "[[" and of delimiters broken by a blank. Caller frees. */
char *text_defused(const char *text, const char *marker);

#endif
