/* Ranks: processes that work on one step together, each on its share; one alone unless mpirun or srun started
   more. What they add up is added in an order that their number alone decides, and is the same bits in each.
 */
#ifndef HARNESS_RANKS_H
#define HARNESS_RANKS_H

#include <stddef.h>

#include "harness/error.h"

/* Finds the others that were started with this process; before it, and without others, all below is of one
   rank and does nothing. */
int ranks_join(struct error *err);
/* The last call. A code that is not 0 ends the other ranks at once. */
void ranks_leave(int code);

int ranks_first(void);     /* this one writes, prints and keeps the run's folder; the others only compute */
int ranks_here(void);      /* ranks that share this one's processors, itself among them */
int ranks_neighbour(void); /* this one's number among the ranks of its machine, from 0 */
/* For a failure that may have met all: returns at once in the first, and in others after a time in which the
   first would have ended them. The rank's index. */
int ranks_let_first_speak(void);

/* The first works and the others wait: until alone is 0, there is one rank. */
void ranks_alone(int alone);
int ranks_count(void);
int ranks_index(void); /* 0 … count - 1 */

void ranks_wait(void); /* for all */

/* Where each rank's share of so many things begins, [ranks + 1]; a share may be empty. Caller frees. */
size_t *ranks_even(size_t count);
/* The same, so that shares have nearly equal sums of sizes. items: indices into sizes; NULL: 0, 1, … */
size_t *ranks_cut(const int *sizes, const int *items, int count);

/* What the first has, to all. */
void ranks_share(void *data, size_t bytes);
/* Each rank has filled its own elements of one array, start[index] … start[index + 1] - 1; afterwards all
   have all. */
void ranks_exchange(void *data, const size_t *start, size_t element);
/* The same, only that the first's `all` is filled, from `mine`, each rank's own elements. */
void ranks_collect(float *all, const float *mine, const size_t *start);
/* Over all ranks, in each the same. */
void ranks_sum(double *values, int count);
void ranks_max(double *values, int count);

#endif
