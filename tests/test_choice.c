/* What a model says to a multiple-choice question, and the choice that it takes. */
#include "harness/choice.h"

#include <stdlib.h>

#include <check.h>

static const char *const people[] = {"The grandfather", "The grandson", "Can't be determined"};
static const char *const plain[] = {"the man", "the old man", "nobody"};

static const struct {
    const char *answer;
    int choice;
} cases[] = {{"B", 1},
             {" b. ", 1},
             {"(C)", 2},
             {"**A**", 0},
             {"B. The grandson", 1},
             {"C) Can't be determined", 2},
             {"b\nbecause he is young", 1},
             {"the grandson.", 1},
             {"\"Can't be determined\"", 2},
             {"The answer is (B).", 1},
             {"Answer: C", 2},
             {"At first the answer is A, but no: the answer is B", 1},
             {"I would say (A), since he is older.", 0},
             {"It is either (A) or (B).", -1},
             {"It was The Grandfather who did.", 0},
             {"Either the grandfather or the grandson.", -1},
             {"A person on the bus", -1},
             {"The answer is a matter of taste", -1},
             {"D", -1},
             {"", -1},
             {"…", -1},
             {"2", 1},
             {"(3)", 2},
             {"The answer is 2.", 1},
             {"2.5 of them", -1},
             {"4", -1},
             {"A. The grandfather. No, wait: the answer is B.", 1},
             {"The correct option is: B, not A.", 1},
             {"Option A is wrong; my choice is C", 2},
             {"Option A is wrong.", -1},
             {"I choose b", 1},
             {"so \\boxed{B}", 1},
             {"The answer is the grandson, not the grandfather.", 1},
             {"The answer is not B.", -1},
             {"Disanswer B", -1}};

static const char *const numbers[] = {"3", "4", "1"};

START_TEST(numbers_that_are_choices_label_none)
{
    ck_assert_int_eq(choice_find("1", numbers, 3), 2);
    ck_assert_int_eq(choice_find("The answer is 3", numbers, 3), 0);
    ck_assert_int_eq(choice_find("The answer is 2", numbers, 3), -1);
    ck_assert_int_eq(choice_find("(B)", numbers, 3), 1);
}
END_TEST

START_TEST(an_answer_takes_one_choice_or_none)
{
    ck_assert_msg(choice_find(cases[_i].answer, people, 3) == cases[_i].choice,
                  "\"%s\" takes %d, expected %d", cases[_i].answer, choice_find(cases[_i].answer, people, 3),
                  cases[_i].choice);
}
END_TEST

START_TEST(a_choice_within_another_is_not_a_second_one)
{
    ck_assert_int_eq(choice_find("I think it was the old man.", plain, 3), 1);
    ck_assert_int_eq(choice_find("I think it was the man.", plain, 3), 0);
    ck_assert_int_eq(choice_find("I think it was the mandarin.", plain, 3), -1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("choice");
    TCase *all = tcase_create("choice");
    SRunner *runner = srunner_create(suite);
    int failures;

    tcase_add_loop_test(all, an_answer_takes_one_choice_or_none, 0, sizeof cases / sizeof *cases);
    tcase_add_test(all, numbers_that_are_choices_label_none);
    tcase_add_test(all, a_choice_within_another_is_not_a_second_one);
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_NORMAL);
    failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
