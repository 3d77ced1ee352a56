/* The Python programs of the judge unit_tests, from judges/NAME.py as they are; made into C strings by
 * reports/embed.sh. */
#ifndef JUDGES_JUDGE_SCRIPTS_H
#define JUDGES_JUDGE_SCRIPTS_H

extern const char exchange_py[], candidate_py[], checker_py[];

#endif
