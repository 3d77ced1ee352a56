/* How an ensemble's members make one score. */
#ifndef REWARDS_ENSEMBLE_H
#define REWARDS_ENSEMBLE_H

enum aggregate { AGGREGATE_MEAN, AGGREGATE_WORST, AGGREGATE_MEAN_VARIANCE, AGGREGATE_MEAN_STD };

/* mean; min; mean - weight * variance; mean - weight * standard deviation; of the population (divided by the
   count), which at 5 members is 0.8 of the unbiased variance. */
double ensemble_aggregate(const double *members, int count, enum aggregate how, double weight);
double ensemble_variance(const double *members, int count);

#endif
