/* Which of the choices of a multiple-choice question an answer takes. */
#ifndef HARNESS_CHOICE_H
#define HARNESS_CHOICE_H

/* The number of the choice, from 0; -1: none, or more than one. The first rule that applies decides:
     1. the answer is a choice's text, or opens with a letter and a mark: "B", "(b)", "B. The man", "b) …";
     2. the last "answer is B", "answer: (B)";
     3. one letter in brackets, "… so (B) it is", and no other;
     4. the text of one choice stands in it as whole words, and that of no other.
   Letters are A, B, … in the order of the choices, at most 26; case and white space around do not matter. */
int choice_find(const char *answer, const char *const *choices, int count);

#endif
