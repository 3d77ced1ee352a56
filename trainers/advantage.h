/* What PPO says of an iteration's returns, and how it steers: the arithmetic that updates do not wait for. */
#ifndef TRAINERS_ADVANTAGE_H
#define TRAINERS_ADVANTAGE_H

/* 1 - Var(returns - values) / Var(returns): 0 where returns do not vary. */
double explained_variance(const float *returns, const float *values, int count);

/* The adaptive controller of Ziegler et al. 2019: beta (1 + clip(kl/target - 1, ±0.2) episodes/horizon). */
double adapt_beta(double beta, double kl, double target, double episodes, double horizon);

/* Share of a response's three-token windows that it has shown before. */
double repetition(const int *tokens, int count);

#endif
