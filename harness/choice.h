/* Which of the choices of a multiple-choice question an answer takes. */
#ifndef HARNESS_CHOICE_H
#define HARNESS_CHOICE_H

/* The number of the choice, from 0; -1: none, or more than one. The first rule that applies decides:
     1. the last statement: "the answer is B", "Answer: (B)", "option is B", "I choose B", "\boxed{B}", or a
   choice's text in place of B;
     2. the answer is a choice's text, or opens with a label and a mark: "B", "(b)", "B. The man", "b) …";
     3. one label in brackets, "… so (B) it is", and no other;
     4. the text of one choice stands in it as whole words, and that of no other.
   Labels are A, B, … in the order of the choices, at most 26, and 1, 2, … unless a choice's text begins with
   a digit; case and white space around do not matter. */
int choice_find(const char *answer, const char *const *choices, int count);

#endif
