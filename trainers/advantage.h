/* PPO's arithmetic on tokens: advantages, whitening, and its two clipped losses. */
#ifndef TRAINERS_ADVANTAGE_H
#define TRAINERS_ADVANTAGE_H

/* Generalised advantage estimation (Schulman et al. 2016) over each row's own tokens start[r] … start[r+1]-1:
   delta[t] = reward[t] + gamma value[t+1] - value[t], value after the last token 0;
   advantage[t] = delta[t] + gamma lambda advantage[t+1]; returns = advantage + value. */
void advantage_estimate(float *advantage, float *returns, const float *reward, const float *value,
                        const int *start, int rows, double gamma, double lambda);

/* Scales to standard deviation 1 (population); the mean goes to 0 or, with keep_mean, stays. */
void whiten(float *values, int count, int keep_mean);

/* max(-A ratio, -A clip(ratio, 1-clip, 1+clip)), ratio = exp(logprob - old); slope = d loss / d logprob. */
double ppo_policy_loss(double logprob, double old, double advantage, double clip, double *slope,
                       int *clipped);
/* 0.5 max((v - R)², (old + clip(v - old, ±clip) - R)²); slope = d loss / d value. */
double ppo_value_loss(double value, double old, double returns, double clip, double *slope);

/* 1 - Var(returns - values) / Var(returns): 0 where returns do not vary. */
double explained_variance(const float *returns, const float *values, int count);

/* The adaptive controller of Ziegler et al. 2019: beta (1 + clip(kl/target - 1, ±0.2) episodes/horizon). */
double adapt_beta(double beta, double kl, double target, double episodes, double horizon);

/* Share of a response's three-token windows that it has shown before. */
double repetition(const int *tokens, int count);

#endif
