#!/usr/bin/env python3
"""Compares harness/statistics with SciPy, statsmodels and scikit-learn, or with counts and sums written down here
from the definitions, on random, extreme and degenerate inputs. Prints a Markdown table: the function, what it was
compared with, cases, in how many both sides had no result, and the largest relative error. Exit code: 0 all agree,
1 some do not (the first such case of each function is shown), 77 the libraries are not installed.

usage: make -C build tests/show_statistics && tests/cross_check.py build/tests/show_statistics
       [--cases 1000] [--seed 1] [--only NAME]"""

import argparse
import gc
import itertools
import math
import subprocess
import sys
import warnings
from fractions import Fraction

try:
    import numpy as np
    import scipy
    import sklearn
    import statsmodels
    import statsmodels.api as sm
    from scipy import optimize, stats
    from sklearn import linear_model, metrics
    from statsmodels.nonparametric.smoothers_lowess import lowess as sm_lowess
    from statsmodels.stats import inter_rater, multitest, power, proportion
    from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
except ImportError as missing:
    print(f"SKIP: {missing.name} is not installed (SciPy, statsmodels and scikit-learn are needed)")
    sys.exit(77)

EPSILON = np.finfo(float).eps
NORMAL = stats.norm.ppf(0.975)


class NoResult(Exception):
    """The definition gives nothing for this input."""


def need(condition):
    if not condition:
        raise NoResult


def near(value, scale):
    """A value that is a difference of larger ones: its error is told relative to those."""
    return value, abs(scale)


# Inputs.


def numbers(rng, n):
    kind = rng.integers(7)
    if kind == 0:
        return rng.integers(-3, 4, n).astype(float)
    if kind == 1:
        return rng.integers(0, 2, n).astype(float)
    if kind == 2:
        return 1e6 + rng.normal(size=n)
    if kind == 3:
        return 1e-9 * rng.normal(size=n)
    if kind == 4:
        return np.exp(3 * rng.normal(size=n))
    return rng.normal(size=n)


def spoil(rng, *columns):
    """One case in ten is degenerate: constant, a hole, or an infinity."""
    if rng.random() > 0.1:
        return columns
    kind, column = rng.integers(4), columns[rng.integers(len(columns))]
    if kind == 0:
        column[:] = column[0]
    elif kind == 1:
        column[rng.integers(len(column))] = math.nan
    elif kind == 2:
        column[rng.integers(len(column))] = math.inf
    else:
        column[:] = 0.1
    return columns


def size(rng, least=1, most=40):
    if rng.random() < 0.03:
        return 50 * most
    return int(rng.integers(least, 6 if rng.random() < 0.2 and least < 6 else most + 1))


def columns(rng, count, most=40):
    n = size(rng, most=most)
    return spoil(rng, *[numbers(rng, n) for _ in range(count)])


def count_pair(rng):
    n = int(10 ** rng.uniform(0, 6))
    k = int(rng.choice([0, n, 1, n // 2, rng.integers(0, n + 1)]))
    return min(k, n), n


def finite(*arrays):
    need(all(np.all(np.isfinite(a)) for a in arrays))


# Rates.


def make_rate(rng):
    k, n = count_pair(rng)
    level = rng.choice([0.5, 0.9, 0.95, 0.99, 0.9999])
    if rng.random() < 0.05:
        k, n, level = (n + 1, n, level) if rng.random() < 0.5 else (k, n, 1.0)
    return [[k, n, level]]


def check_rate(case):
    k, n, level = case[0]
    need(0 <= k <= n and n >= 1 and 0 < level < 1)
    return k, n, 1 - level


def expect_wilson(case):
    k, n, alpha = check_rate(case)
    low, high = proportion.proportion_confint(k, n, alpha, "wilson")
    return [0.0 if k == 0 else near(low, 1 / n), 1.0 if k == n else high]


def expect_clopper_pearson(case):
    k, n, alpha = check_rate(case)
    return list(proportion.proportion_confint(k, n, alpha, "beta"))


def make_two_rates(rng):
    (a, n), (b, m) = count_pair(rng), count_pair(rng)
    return [[a, n, b, m]]


def expect_difference(case):
    a, n, b, m = (int(x) for x in case[0])
    low, high = proportion.confint_proportions_2indep(a, n, b, m, method="newcomb", compare="diff")
    return [near(a / n - b / m, 1e-3), near(low, 1e-3), near(high, 1e-3)]


def wilson_roots(k, n):
    """Wilson's interval as the roots of (p - rate)² = z² p (1 - p) / n."""
    z, rate = NORMAL, k / n
    roots = np.sort(np.roots([1 + z * z / n, -2 * rate - z * z / n, rate * rate]).real)
    return (0.0 if k == 0 else roots[0]), (1.0 if k == n else roots[1])


def make_pairs(rng):
    top = int(10 ** rng.uniform(0, 4)) + 1
    cells = rng.integers(0, top, 4)
    cells[rng.random(4) < 0.15] = 0
    return [list(cells)]


def expect_paired(case):
    both, a, b, neither = (int(x) for x in case[0])
    n = both + a + b + neither
    need(n >= 1)
    low1, high1 = wilson_roots(both + a, n)
    low2, high2 = wilson_roots(both + b, n)
    product = (both + a) * (b + neither) * (both + b) * (a + neither)
    cross = both * neither - a * b
    cross = max(cross - n / 2, 0) if cross > 0 else cross
    phi = cross / math.sqrt(product) if product else 0.0
    p1, p2 = (both + a) / n, (both + b) / n
    below = (p1 - low1) ** 2 - 2 * phi * (p1 - low1) * (high2 - p2) + (high2 - p2) ** 2
    above = (high1 - p1) ** 2 - 2 * phi * (high1 - p1) * (p2 - low2) + (p2 - low2) ** 2
    p = stats.binomtest(min(a, b), a + b).pvalue if a + b else 1.0
    low, high = p1 - p2 - math.sqrt(max(below, 0)), p1 - p2 + math.sqrt(max(above, 0))
    return [near(p1 - p2, 1e-3), near(low, 1e-3), near(high, 1e-3), p]


def make_discordant(rng):
    top = int(10 ** rng.uniform(0, 3.5)) + 1
    return [[int(rng.integers(0, top)), int(rng.integers(0, top))]]


def binomial_half(a, b):
    """Twice P(at most the lesser of n), and P(the lesser alone), exactly."""
    n, least, ways, below = a + b, min(a, b), 1, 0
    for k in range(least + 1):
        below += ways
        last, ways = ways, ways * (n - k) // (k + 1)
    return Fraction(2 * below, 2**n), Fraction(last, 2**n)


def expect_mcnemar(case):
    a, b = (int(x) for x in case[0])
    if a + b == 0:
        return [1.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    table, (exact, last) = [[3, a], [b, 4]], binomial_half(a, b)
    mid = float(min(Fraction(1), exact - last))
    plain = sm_mcnemar(table, exact=False, correction=False)
    corrected = sm_mcnemar(table, exact=False, correction=True)
    if a == b:  # statsmodels corrects a difference of 0 to 1
        corrected = plain
    return [
        float(min(Fraction(1), exact)),
        mid,
        plain.statistic,
        plain.pvalue,
        corrected.statistic,
        corrected.pvalue,
    ]


def expect_fisher(case):
    a, b, c, d = (int(x) for x in case[0])
    need(a + b > 0 and c + d > 0)
    return [stats.fisher_exact([[a, b], [c, d]])[1]]


def make_table(rng):
    top = int(10 ** rng.uniform(0, 3)) + 1
    cells = rng.integers(0, top, 4)
    cells[rng.random(4) < 0.1] = 0
    return [list(cells)]


def expect_odds_ratio(case):
    a, b, c, d = (int(x) for x in case[0])
    need(b > 0 and c > 0)
    if a + b == 0 or c + d == 0 or a + c == 0 or b + d == 0 or a == 0 or d == 0:
        return [0.0]
    return [stats.contingency.odds_ratio([[a, b], [c, d]], kind="sample").statistic]


def expect_sign_test(case):
    a, b = (int(x) for x in case[0])
    need(a + b > 0)
    return [float(min(Fraction(1), binomial_half(a, b)[0]))]


# Means.


def no_spread(error, *samples):
    return not error > 10 * EPSILON * max(np.mean(np.abs(s)) for s in samples)


def estimate(value, error, freedom, scale):
    t, reach = value / error, stats.t.ppf(0.975, freedom) * error
    scale = max(scale * 1e-3, error)
    p = 2 * stats.t.sf(abs(t), freedom)
    return [near(value, scale), error, near(value - reach, scale), near(value + reach, scale), near(t, 1), freedom, p]


def of_test(result, value, error, scale):
    """From a t-test of SciPy."""
    low, high = result.confidence_interval(0.95)
    scale = max(scale * 1e-3, error)
    return [near(value, scale), error, near(low, scale), near(high, scale), near(result.statistic, 1), result.df, result.pvalue]


def expect_mean(case):
    x = np.array(case[0])
    finite(x)
    need(len(x) > 1 and not no_spread(stats.sem(x), x))
    return of_test(stats.ttest_1samp(x, 0), np.mean(x), stats.sem(x), np.mean(np.abs(x)))


def expect_mean_paired(case):
    a, b = np.array(case[0]), np.array(case[1])
    finite(a, b)
    d = a - b
    need(len(d) > 1 and not no_spread(stats.sem(d), d))
    return of_test(stats.ttest_rel(a, b), np.mean(d), stats.sem(d), np.mean(np.abs(d)))


def make_clustered(rng):
    n = size(rng, 1, 60)
    (x,) = spoil(rng, numbers(rng, n))
    return [x, rng.integers(-5, rng.integers(-4, 20), n)]


def expect_clustered(case):
    x, cluster = np.array(case[0]), np.array(case[1])
    finite(x)
    clusters = len(set(cluster))
    need(clusters > 1)
    centred = x - np.mean(x)
    fit = sm.OLS(centred, np.ones(len(x))).fit(
        cov_type="cluster", cov_kwds={"groups": cluster + 5, "use_correction": False}
    )
    error = fit.bse[0] * math.sqrt(clusters / (clusters - 1))
    need(not no_spread(error, x))
    return estimate(np.mean(x), error, clusters - 1, np.mean(np.abs(x)))


def make_two_samples(rng):
    return list(spoil(rng, numbers(rng, size(rng)), numbers(rng, size(rng))))


def expect_welch(case):
    a, b = np.array(case[0]), np.array(case[1])
    need(len(a) > 1 and len(b) > 1)
    finite(a, b)
    error = math.sqrt(np.var(a, ddof=1) / len(a) + np.var(b, ddof=1) / len(b))
    need(not no_spread(error, a, b))
    scale = max(np.mean(np.abs(a)), np.mean(np.abs(b)))
    shift = a[0] if min(abs(np.mean(a)), abs(np.mean(b))) > 1e5 else 0  # SciPy's sums lose digits beside a large mean
    a, b = a - shift, b - shift
    return of_test(stats.ttest_ind(a, b, equal_var=False), np.mean(a) - np.mean(b), error, scale)


def make_wins(rng):
    n = size(rng, 1, 60)
    kind = rng.integers(4)
    wins = rng.integers(0, 2, n).astype(float) if kind < 2 else rng.integers(0, 3, n) / 2
    wins = rng.random(n) if kind == 3 else wins
    if rng.random() < 0.05:
        wins[0] = rng.choice([2, -1, math.nan])
    return [wins]


def expect_wins(case):
    x = np.array(case[0])
    need(np.all((x >= 0) & (x <= 1)))
    if np.all((x == 0) | (x == 1)):
        k, n = int(x.sum()), len(x)
        low, high = proportion.proportion_confint(k, n, 0.05, "wilson")
        return [k / n, 0.0 if k == 0 else low, 1.0 if k == n else high, stats.binomtest(k, n).pvalue]
    need(len(x) > 1 and not no_spread(stats.sem(x), x))
    result = stats.ttest_1samp(x, 0.5)
    low, high = result.confidence_interval(0.95)
    return [np.mean(x), near(max(low, 0), 0.1), min(high, 1), result.pvalue]


def make_flips(rng):
    n = int(rng.integers(1, 11))
    d = rng.integers(-4, 5, n) / 8 if rng.random() < 0.4 else rng.normal(size=n)
    return list(spoil(rng, d.astype(float)))


def expect_flips(case):
    d = np.array(case[0])
    finite(d)
    if np.all(d == d[0]):  # the same either way: 2 of the 2^n patterns
        return [1.0 if d[0] == 0 else 2.0 ** (1 - len(d))]
    result = stats.permutation_test((d,), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=False)
    return [result.pvalue]


def make_quantile(rng):
    q = rng.choice([0, 0.025, 0.5, 0.975, 1, rng.random(), 1.5 if rng.random() < 0.2 else 0.1])
    return [spoil(rng, numbers(rng, size(rng)))[0], [q]]


def expect_quantile(case):
    x, q = np.array(case[0]), case[1][0]
    finite(x)
    need(0 <= q <= 1)
    return [near(np.quantile(x, q), 1e-3 * np.max(np.abs(x)))]


def make_p(rng):
    p = rng.random(int(rng.integers(1, 41))) ** rng.choice([1, 4, 30])
    p[rng.random(len(p)) < 0.1] = math.nan
    if rng.random() < 0.2:
        p = np.round(p, 1)
    return [p]


def expect_adjust(case):
    p = np.array(case[0])
    there, out = ~np.isnan(p), []
    for method in ("bonferroni", "holm", "fdr_bh"):
        adjusted = np.full(len(p), math.nan)
        if there.any():
            adjusted[there] = multitest.multipletests(p[there], method=method)[1]
        out += list(adjusted)
    return out


# Power.


def make_paired_power(rng):
    between, within_a, within_b = rng.random(3) + 0.01
    answers = rng.integers(1, 20, 2)
    alpha, wanted = rng.choice([0.01, 0.05, 0.1]), rng.choice([0.5, 0.8, 0.95])
    return [[between, within_a, within_b, *answers, alpha, wanted, rng.uniform(0.01, 0.5), int(10 ** rng.uniform(1, 4))]]


def expect_paired_power(case):
    between, within_a, within_b, k_a, k_b, alpha, wanted, effect, n = case[0]
    sd = math.sqrt(between + within_a / k_a + within_b / k_b)
    needed = lambda x: power.normal_sample_size_one_tail(x, wanted, alpha / 2, sd)
    least = optimize.brentq(lambda x: needed(x) - n, 1e-6, 1e3, xtol=1e-14, rtol=1e-14)
    have = power.normal_power(effect, n, alpha / 2, "larger", sd)
    return [needed(effect), least, have]


def make_rate_power(rng):
    a, b = rng.uniform(0.02, 0.98, 2)
    n, alpha, wanted = int(rng.integers(1, 80)), rng.choice([0.01, 0.05, 0.1]), rng.choice([0.5, 0.8, 0.95])
    if rng.random() < 0.05:
        a = rng.choice([0.5, b, 1.5])
    return [[n, a, b, alpha, wanted]]


def exact_test_at_half(n):
    return np.array([min(1, 2 * stats.binom.cdf(min(k, n - k), n, 0.5)) for k in range(n + 1)])


def expect_rate_power(case):
    n, a, b, alpha, wanted = case[0]
    n = int(n)
    need(0 <= a <= 1 and a != 0.5 and a != b)
    one = power.normal_sample_size_one_tail(abs(a - 0.5), wanted, alpha / 2, 0.5, math.sqrt(a * (1 - a)))
    exact = stats.binom.pmf(np.arange(n + 1), n, a)[exact_test_at_half(n) <= alpha].sum()
    high, low = max(a, b), min(a, b)
    two = proportion.samplesize_proportions_2indep_onetail(high - low, low, wanted, alpha=alpha / 2, alternative="larger")
    have = lambda x, y: proportion.power_proportions_2indep(
        y - x, x, n, alpha=alpha / 2, alternative="larger", return_results=False
    )
    top = 1 - 1e-12 - a
    least = -1.0
    if have(a, 1 - 1e-12) >= wanted:
        least = optimize.brentq(lambda x: have(a, a + x) - wanted, 1e-12, top, xtol=1e-13)
    effect = proportion.proportion_effectsize(a, b)
    return [one, near(exact, 1e-3), two, have(low, high), near(least, 1e-1), near(effect, 1e-2)]


def make_mcnemar_power(rng):
    return [[int(rng.integers(1, 26)), rng.random(), rng.random(), rng.choice([0.01, 0.05, 0.1])]]


def expect_mcnemar_power(case):
    n, discordant, split, alpha = case[0]
    n, total = int(n), 0.0
    for m in range(n + 1):
        rejects = exact_test_at_half(m) <= alpha
        total += stats.binom.pmf(m, n, discordant) * stats.binom.pmf(np.arange(m + 1), m, split)[rejects].sum()
    return [near(total, 1e-3)]


# Bootstrap: against all resamples.


def make_bootstrap(rng):
    n = int(rng.integers(1, 6))
    weight = rng.integers(1, 5, n).astype(float)
    total = weight * numbers(rng, n)
    kind = rng.random()
    if kind < 0.05:
        weight[:] = 0
    elif kind < 0.1:
        total = 0.1 * weight
    return [total, weight, [rng.integers(1, 1 << 30)]]


def ratios(total, weight):
    n = len(total)
    picks = np.array(list(itertools.product(range(n), repeat=n)))
    return np.sort(total[picks].sum(1) / weight[picks].sum(1))


def jackknife_skew(total, weight):
    left = (total.sum() - total) / (weight.sum() - weight)
    d = left.mean() - left
    if np.max(np.abs(d)) <= 1e-9 * np.max(np.abs(left)) or len(d) == 2:  # two are symmetric; rounding has no skew
        return 0.0
    return (d**3).sum() / (6 * (d**2).sum() ** 1.5)


def at_level(all_values, got, level, slack):
    """How far the share of resamples below `got` is from `level`, in units of the slack."""
    edge = 1e-9 * np.max(np.abs(all_values))
    below, upto = np.mean(all_values < got - edge), np.mean(all_values <= got + edge)
    return max(below - level, level - upto, 0) / slack


def expect_bootstrap(case, got):
    total, weight = np.array(case[0]), np.array(case[1])
    need(len(total) > 1 and weight.sum() > 0)
    every = ratios(total, weight)
    value = total.sum() / weight.sum()
    need(every[-1] - every[0] > 1e-13 * np.max(np.abs(every)))
    skew = jackknife_skew(total, weight)
    if got is None:
        return [value]
    noise = lambda q: 5 * math.sqrt(q * (1 - q) / 10000) + 1e-4
    sd = every.std()
    kurtosis = np.mean((every - every.mean()) ** 4) / sd**4
    off = [abs(got[1] / sd - 1) / (5 * math.sqrt((kurtosis - 1) / 40000) + 1e-3)]
    off += [at_level(every, got[2], 0.025, noise(0.025)), at_level(every, got[3], 0.975, noise(0.025))]
    share = np.mean(every < value - 1e-12 * abs(value))
    if 0.02 < share < 0.98:  # the corrected tails move with the estimate of the bias: three widths of that
        bias = stats.norm.ppf(share)
        for at, q in ((4, 0.025), (5, 0.975)):
            z = bias + stats.norm.ppf(q)
            tail = stats.norm.cdf(bias + z / (1 - skew * z))
            wide = 2 * 5 * math.sqrt(share * (1 - share) / 10000) / stats.norm.pdf(bias)
            spread = abs(stats.norm.cdf(stats.norm.ppf(tail) + wide) - tail)
            spread = max(spread, abs(stats.norm.cdf(stats.norm.ppf(tail) - wide) - tail))
            off.append(at_level(every, got[at], tail, spread + noise(min(max(tail, 1e-3), 0.999))))
    if max(off) > 1:
        return [value + 1, f"sampling error beyond five of its standard errors: {off}"]
    return [near(value, np.max(np.abs(every))), *got[1:6], near(skew, max(1, 1e-4 * np.max(np.abs(every)) / (every[-1] - every[0])))]


# Association.


def make_two(rng):
    x, y = columns(rng, 2)
    if rng.random() < 0.3:
        y = y + x
    if rng.random() < 0.03:
        x = np.arange(len(y)).astype(float)
        y = 2 * x
    return [x, y]


def check_two(case, least=3):
    x, y = np.array(case[0]), np.array(case[1])
    need(len(x) >= least)
    finite(x, y)
    need(np.any(x != x[0]) and np.any(y != y[0]))
    return x, y


def correlation(result, n, controls=0):
    r = result.statistic
    freedom = n - 2 - controls
    if abs(r) > 1 - 1e-14:
        return [math.copysign(1, r)] * 3 + [math.copysign(math.inf, r), 0.0]
    low, high = result.confidence_interval(0.95)
    t = r * math.sqrt(freedom / ((1 - r) * (1 + r)))
    if 1 - abs(r) < 1e-4:  # what is left of 1 - r² has few digits: t and p lose as many
        return [r, low, high, near(t, 1e4 * abs(t)), near(result.pvalue, 1)]
    return [near(r, 1e-3), near(low, 1e-3), near(high, 1e-3), near(t, 1e-3), result.pvalue]


def expect_pearson(case):
    x, y = check_two(case)
    return correlation(stats.pearsonr(x, y), len(x))


def expect_spearman(case):
    x, y = check_two(case)
    out, result = correlation(stats.pearsonr(stats.rankdata(x), stats.rankdata(y)), len(x)), stats.spearmanr(x, y)
    if 1 - abs(result.statistic) > 1e-4:
        out[0], out[4] = near(result.statistic, 1e-3), result.pvalue
    return out


ORDERS = {n: np.array(list(itertools.permutations(range(n)))) for n in range(3, 8)}


def make_few(rng):
    n = int(rng.integers(2, 8))
    x, y = spoil(rng, numbers(rng, n), numbers(rng, n))
    return [x, y]


def expect_spearman_exact(case):
    x, y = check_two(case)
    a, b = stats.rankdata(x), stats.rankdata(y)
    products = (a * b[ORDERS[len(x)]]).sum(1)
    middle = a.sum() * b.mean()
    return [np.mean(np.abs(products - middle) >= abs((a * b).sum() - middle) - 1e-9)]


def expect_kendall(case):
    x, y = check_two(case)
    result = stats.kendalltau(x, y, method="asymptotic")
    return [near(result.statistic, 1e-3), result.pvalue]


def make_orders(rng):
    n = int(rng.integers(2, 31))
    x, y = rng.permutation(n).astype(float), rng.permutation(n).astype(float)
    if rng.random() < 0.1:
        y[0] = y[-1]
    return [x, y]


def expect_kendall_exact(case):
    x, y = check_two(case)
    need(len(set(y)) == len(y))
    return [stats.kendalltau(x, y, method="exact").pvalue]


def make_three(rng):
    x, y, z = columns(rng, 3)
    if rng.random() < 0.05:
        z = 2 * x
    return [x, y, z]


def partial(x, y, z):
    n = len(x)
    need(n >= 4 and all(np.any(c != c[0]) for c in (x, y, z)))
    with_z = [np.corrcoef(c, z)[0, 1] for c in (x, y)]
    need(all(1 - abs(r) > 1e-13 for r in with_z))
    matrix = np.corrcoef([x, y, z])
    if np.linalg.eigvalsh(matrix)[0] < 1e-7:  # x and y are one beside z: the inverse has no digits
        return None
    inverse = np.linalg.inv(matrix)
    r = -inverse[0, 1] / math.sqrt(inverse[0, 0] * inverse[1, 1])
    t = r * math.sqrt((n - 3) / (1 - r * r))
    low, high = -1.0, 1.0
    if n > 4:
        reach = NORMAL / math.sqrt(n - 4)
        low, high = math.tanh(math.atanh(r) - reach), math.tanh(math.atanh(r) + reach)
    return [near(r, 1e-2), near(low, 1e-2), near(high, 1e-2), near(t, 1e-2), 2 * stats.t.sf(abs(t), n - 3)]


def expect_partial_pearson(case):
    columns = [np.array(c) for c in case]
    finite(*columns)
    need(len(columns[0]) >= 4)
    return partial(*columns)


def expect_partial_spearman(case):
    columns = [np.array(c) for c in case]
    finite(*columns)
    need(len(columns[0]) >= 4)
    return partial(*[stats.rankdata(c) for c in columns])


# Fits.


def make_lowess(rng):
    n = int(rng.integers(12, 60))
    x = np.cumsum(rng.random(n) + 0.1)
    y = np.sin(x) + 0.3 * rng.normal(size=n)
    if rng.random() < 0.1:
        y[rng.integers(n)] += 30
    share, rounds = rng.uniform(6 / n, 1), rng.integers(0, 4)
    x, y = spoil(rng, x, y) if rng.random() < 0.5 else (x, y)
    if rng.random() < 0.05:
        share = rng.choice([0.0, 1.5])
    return [x, y, [share, rounds]]


def line_at(x, y, robust, left, right, at):
    """The weighted least-squares line, by NumPy; R's cuts: nothing beyond 0.999 of the reach, no distance within
    0.001 of it, and the mean where what is left spans less than 0.001 of x."""
    reach = max(x[at] - x[left], x[right] - x[at])
    away = np.abs(x - x[at])
    weight = np.where(away <= 0.001 * reach, 1, (1 - np.minimum(away / reach, 1) ** 3) ** 3) * robust
    weight[(away > 0.999 * reach) | (np.arange(len(x)) < left)] = 0
    if weight.sum() <= 0:
        return y[at]
    centre = np.average(x, weights=weight)
    if math.sqrt(np.average((x - centre) ** 2, weights=weight)) <= 0.001 * (x[-1] - x[0]):
        return np.average(y, weights=weight)
    root = np.sqrt(weight)
    design = np.column_stack([np.ones(len(x)), x - x[at]])
    return np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0][0]


def expect_lowess(case):
    x, y, (share, rounds) = np.array(case[0]), np.array(case[1]), case[2]
    n = len(x)
    finite(x, y)
    need(0 < share <= 1 and np.all(np.diff(x) >= 0))
    if np.all(x == x[0]) or np.all(y == y[0]):
        return None
    nearest, robust = max(2, min(n, int(share * n + 1e-7))), np.ones(n)
    for round in range(int(rounds) + 1):
        left, fitted = 0, np.zeros(n)
        for i in range(n):
            while left + nearest < n and x[i] - x[left] > x[left + nearest] - x[i]:
                left += 1
            fitted[i] = line_at(x, y, robust, left, left + nearest - 1, i)
        off = np.abs(y - fitted)
        six = 6 * np.median(off)
        if six < 1e-7 * off.mean():
            break
        robust = np.where(off <= 0.001 * six, 1, np.where(off > 0.999 * six, 0, (1 - (off / six) ** 2) ** 2))
    return [near(v, np.max(np.abs(y))) for v in fitted]


def make_smooth(rng):
    x, y, how = make_lowess(rng)
    how[1] = 0
    return [x, y, how]


def expect_sm_lowess(case):
    x, y, (share, rounds) = np.array(case[0]), np.array(case[1]), case[2]
    finite(x, y)
    need(0 < share <= 1 and np.all(np.diff(x) >= 0))
    if np.all(x == x[0]) or np.all(y == y[0]):
        return None
    fitted = sm_lowess(y, x, frac=share, it=int(rounds), delta=0.0, is_sorted=True, return_sorted=False)
    return [near(v, np.max(np.abs(y))) for v in fitted]


def make_gao(rng):
    n = int(rng.integers(2, 20))
    d = np.sort(rng.uniform(0.1, 8, n))
    alpha, beta = rng.normal(), 0.3 * rng.normal()
    form = int(rng.integers(2))
    y = d * (alpha - beta * (np.log(d) if form else d)) + 0.1 * rng.normal(size=n)
    if rng.random() < 0.2:
        d[0] = 0
    d, y = spoil(rng, d, y)
    return [d, y, [form]]


def expect_gao(case):
    d, y, form = np.array(case[0]), np.array(case[1]), case[2][0]
    finite(d, y)
    d, y = d[d > 0], y[d > 0]
    need(len(d) >= 3 and np.any(d != d[0]))
    bend = -d * np.log(d) if form else -d * d
    fit = sm.OLS(y, np.column_stack([d, bend])).fit()
    alpha, beta = fit.params
    has_peak = beta > 0 and (form == 1 or alpha > 0)
    at = (math.exp(min(alpha / beta - 1, 700)) if form else alpha / (2 * beta)) if has_peak else 0.0
    if at > 1e300:
        return None
    peak = (beta * at if form else alpha**2 / (4 * beta)) if has_peak else 0.0
    scale = np.max(np.abs(y))
    if np.all(y == y[0]) and y[0] == 0:
        return None
    sensitive = abs(alpha / beta) * 1e-3 if form and has_peak else 0.0
    return [
        near(alpha, scale),
        near(beta, scale),
        near(fit.bse[0], 1e-3 * scale),
        near(fit.bse[1], 1e-3 * scale),
        float(has_peak),
        near(at, at * (1 + sensitive * 1e3)),
        near(peak, max(peak, scale) * (1 + sensitive * 1e3)),
        float(has_peak and d.min() <= at <= d.max()),
    ]


def make_best_of_n(rng):
    count = int(rng.integers(1, 9))
    proxy = rng.integers(0, 4, count).astype(float) if rng.random() < 0.5 else rng.normal(size=count)
    gold = rng.normal(size=count)
    spoil(rng, proxy, gold)
    return [proxy, gold, [int(rng.integers(0, count + 2))]]


def expect_best_of_n(case):
    proxy, gold, n = np.array(case[0]), np.array(case[1]), int(case[2][0])
    need(1 <= n <= len(proxy))
    finite(proxy, gold)
    means = []
    for drawn in itertools.combinations(range(len(proxy)), n):
        drawn = np.array(drawn)
        best = drawn[proxy[drawn] == proxy[drawn].max()]
        means.append(gold[best].mean())
    return [near(np.mean(means), 1e-2)]


def make_pass_at(rng):
    n = int(rng.integers(1, 300))
    return [[n, int(rng.integers(0, n + 1)), int(rng.integers(0, n + 2))]]


def expect_pass_at(case):
    n, right, k = (int(x) for x in case[0])
    need(1 <= k <= n)
    return [float(1 - Fraction(math.comb(n - right, k), math.comb(n, k)))]


# Agreement.


def labels(rng, count, categories, missing):
    out = rng.integers(0, categories, count)
    if rng.random() < 0.08:
        out[:] = 0
    out[rng.random(count) < missing] = -1
    return out


def make_cohen(rng):
    n, categories = size(rng), int(rng.integers(2, 6))
    a, b = labels(rng, n, categories, 0.1), labels(rng, n, categories, 0.1)
    if rng.random() < 0.5:
        b = np.where((rng.random(n) < 0.6) & (b >= 0), a, b)
    return [a, b, [categories, int(rng.integers(3))]]


def expect_cohen(case):
    a, b, (categories, weights) = np.array(case[0]), np.array(case[1]), case[2]
    both = (a >= 0) & (b >= 0)
    a, b = a[both], b[both]
    need(len(a) > 0 and len(set(a) | set(b)) > 1)
    kind = [None, "linear", "quadratic"][int(weights)]
    kappa = metrics.cohen_kappa_score(a, b, labels=list(range(int(categories))), weights=kind)
    return [near(kappa, 1e-2), np.mean(a == b)]


def make_raters(rng):
    items, raters, categories = size(rng, 1, 20), int(rng.integers(2, 6)), int(rng.integers(2, 5))
    return [labels(rng, items * raters, categories, 0.1 if rng.random() < 0.7 else 0), [raters, categories]]


def expect_fleiss(case):
    raters, categories = (int(x) for x in case[1])
    table = np.array(case[0]).reshape(-1, raters)
    table = table[(table >= 0).all(1)]
    need(len(table) > 0 and len(set(table.ravel())) > 1)
    counts, _ = inter_rater.aggregate_raters(table, categories)
    return [near(inter_rater.fleiss_kappa(counts), 1e-2), len(table)]


def expect_krippendorff(case):
    raters, categories = (int(x) for x in case[1])
    table = np.array(case[0]).reshape(-1, raters)
    units = [row[row >= 0] for row in table if (row >= 0).sum() >= 2]
    need(units)
    together = np.zeros((categories, categories))
    for unit in units:
        for i, j in itertools.permutations(range(len(unit)), 2):
            together[unit[i], unit[j]] += 1 / (len(unit) - 1)
    each = together.sum(1)
    total = each.sum()
    apart = sum(each[c] * each[k] for c in range(categories) for k in range(categories) if c != k)
    need(apart > 0)
    observed = total - np.trace(together)
    return [near(1 - (total - 1) * observed / apart, 1e-2), len(units)]


def make_ratings(rng):
    items, raters = size(rng, 1, 20), int(rng.integers(2, 6))
    ratings = numbers(rng, items * raters)
    ratings[:] = 0.1 if rng.random() < 0.05 else ratings
    ratings[rng.random(len(ratings)) < 0.2] = math.nan
    return [ratings, [raters]]


def expect_krippendorff_interval(case):
    table = np.array(case[0]).reshape(-1, int(case[1][0]))
    units = [row[~np.isnan(row)] for row in table if (~np.isnan(row)).sum() >= 2]
    need(units)
    pooled = np.concatenate(units)
    need(np.any(pooled != pooled[0]))
    apart = lambda x: np.sum((x[:, None] - x[None, :]) ** 2)
    observed = sum(apart(u) / (len(u) - 1) for u in units) / len(pooled)
    expected = apart(pooled) / (len(pooled) * (len(pooled) - 1))
    return [near(1 - observed / expected, 1), len(units)]


def make_positions(rng):
    n = size(rng)
    first, second = (rng.choice([0, 0.5, 1, 0.3, math.nan], n, p=[0.3, 0.2, 0.3, 0.1, 0.1]) for _ in range(2))
    if rng.random() < 0.1:
        first[:], second[:] = 0.5, 0.5
    return [first, second]


def share(k, n):
    low, high = proportion.proportion_confint(k, n, 0.05, "wilson")
    return [k / n, 0.0 if k == 0 else near(low, 1e-2), 1.0 if k == n else high]


def expect_positions(case):
    first, second = np.array(case[0]), np.array(case[1])
    both = ~np.isnan(first) & ~np.isnan(second)
    first, second = first[both], second[both]
    need(len(first) > 0)
    same = int((np.sign(first - 0.5) == np.sign(second - 0.5)).sum())
    decided = int((first != 0.5).sum() + (second != 0.5).sum())
    need(decided > 0)
    slot = int((first > 0.5).sum() + (second < 0.5).sum())
    return [*share(same, len(first)), *share(slot, decided), stats.binomtest(slot, decided).pvalue]


def make_longer(rng):
    n = size(rng)
    score = rng.choice([0, 0.5, 1, 0.7, math.nan], n)
    return [score, rng.choice([-3, -1, 0, 2, 5, math.nan], n)]


def expect_longer(case):
    score, delta = np.array(case[0]), np.array(case[1])
    counts = ~np.isnan(score) & ~np.isnan(delta) & (score != 0.5) & (delta != 0)
    won = np.sign(score[counts] - 0.5) == np.sign(delta[counts])
    need(len(won) > 0)
    return [*share(int(won.sum()), len(won)), stats.binomtest(int(won.sum()), len(won)).pvalue]


def make_calibration(rng):
    n = size(rng)
    p = np.round(rng.random(n), 2) if rng.random() < 0.3 else rng.random(n)
    p[rng.random(n) < 0.05] = rng.choice([0, 1])
    y = (rng.random(n) < p).astype(int)
    if rng.random() < 0.03:
        p[0] = 1.5
    return [p, y, [int(rng.integers(1, 12))]]


def expect_calibration(case):
    p, y, bins = np.array(case[0]), np.array(case[1]), int(case[2][0])
    need(np.all((p >= 0) & (p <= 1)) and len(set(y)) == 2)
    clipped = np.clip(p, 1e-15, 1 - 1e-15)
    slot = np.minimum((p * bins).astype(int), bins - 1)
    ece = sum(np.mean(slot == b) * abs(p[slot == b].mean() - y[slot == b].mean()) for b in set(slot))
    return [
        np.mean((p - y) ** 2) if len(p) < 2 else metrics.brier_score_loss(y, p),
        -np.mean(np.where(y == 1, np.log(clipped), np.log1p(-clipped))),
        metrics.roc_auc_score(y, p),
        near(ece, 1e-2),
    ]


# Length control.


def make_length(rng, variant, c):
    n = int(rng.integers(30, 60))
    delta = rng.normal(0, 300, n).round()
    difficulty = rng.normal(size=n) if rng.random() < 0.5 else []
    chance = 1 / (1 + np.exp(1.5 * np.tanh(delta / 300) - rng.normal() - 0.7 * rng.normal(size=n)))
    preference = chance if rng.random() < 0.5 else (rng.random(n) < chance).astype(float)
    gamed = []
    if variant == 0 and rng.random() < 0.5:
        for mean in (150, -150):
            gamed += [rng.normal(mean, 100, n), rng.random(n)]
    if rng.random() < 0.05:
        delta[:] = 7
    if rng.random() < 0.03:
        delta, preference, gamed = delta[:6], preference[:6], []
        difficulty = difficulty[:6] if len(difficulty) else []
    return [[variant, c], delta, preference, difficulty, *gamed]


GRID = np.logspace(-4, 4, 10)


def length_rows(case):
    """Rows as alpaca_eval has them: every one twice, as a win and as a loss."""
    (variant, _), delta, preference, difficulty = case[0], *[np.array(c, float) for c in case[1:4]]
    need(len(delta) >= 10 and np.std(delta) > 0)
    hard = difficulty if len(difficulty) and variant != 2 else np.zeros(len(delta))
    parts = [(delta, preference, 1.0, 1.0)]
    for g in range(4, len(case), 2):
        parts.append((np.array(case[g]), np.array(case[g + 1]), 0.1, 0.0))
    x, y, weight, prompt = [], [], [], []
    for d, p, w, own in parts:
        x.append(np.column_stack([np.tanh(d / np.std(d, ddof=1)), hard, np.full(len(d), own)]))
        y.append(p)
        weight.append(np.full(len(d), w))
        prompt.append(np.arange(len(d)))
    x, y, weight, prompt = np.vstack(x), np.concatenate(y), np.concatenate(weight), np.concatenate(prompt)
    return x, y, weight, prompt, hard


def liblinear(x, y, weight, c):
    keep = np.any(x != 0, axis=0)
    model = linear_model.LogisticRegression(
        penalty="l1", solver="liblinear", C=c, fit_intercept=False, tol=1e-11, max_iter=100000, random_state=1
    )
    share = np.r_[weight * y, weight * (1 - y)]
    model.fit(np.vstack([x, x])[:, keep], np.repeat([1, 0], len(y)), sample_weight=share)
    out = np.zeros(3)
    out[keep] = model.coef_[0]
    return out


def losses(x, y, weight, prompt):
    out = []
    for c in GRID:
        folds = []
        for fold in range(5):
            test = prompt % 5 == fold
            w = liblinear(x[~test], y[~test], weight[~test], c)
            p = np.clip(1 / (1 + np.exp(-x[test] @ w)), 1e-15, 1 - 1e-15)
            loss = -(y[test] * np.log(p) + (1 - y[test]) * np.log(1 - p))
            folds.append(np.average(loss, weights=weight[test]))
        out.append(np.mean(folds))
    return np.array(out)


def length_figures(w, hard, y, c):
    p = 1 / (1 + np.exp(-w[1] * hard - w[2]))
    scale = 1e-1
    return [near(v, scale) for v in w] + [np.mean(p), np.mean(y), c, near(stats.sem(p), 1e-2)]


def expect_length_fixed(case):
    x, y, weight, _, hard = length_rows(case)
    c = case[0][1]
    return length_figures(liblinear(x, y, weight, c), hard, case[2], c)


def expect_length_chosen(case, got):
    x, y, weight, prompt, hard = length_rows(case)
    found = losses(x, y, weight, prompt)
    c = GRID[np.argmin(found)]
    if got is not None and got[5] != c:  # two C of one loss
        other = int(np.argmin(np.abs(GRID - got[5])))
        if found[other] < found.min() * (1 + 1e-7):
            c = GRID[other]
    return length_figures(liblinear(x, y, weight, c), hard, case[2], c)


def expect_length_free(case):
    x, y, _, _, hard = length_rows(case)
    keep = np.any(x != 0, axis=0)
    fit = sm.GLM(y, x[:, keep], family=sm.families.Binomial()).fit(tol=1e-14, maxiter=200)
    need(np.max(np.abs(fit.params)) < 300)
    w = np.zeros(3)
    w[keep] = fit.params
    return length_figures(w, hard, case[2], math.inf)


def make_difficulty(rng):
    models, prompts = int(rng.integers(2, 7)), int(rng.integers(2, 12))
    table = rng.integers(0, 3, models * prompts) / 2
    table[rng.random(len(table)) < 0.1] = math.nan
    return [table, [models]]


def expect_difficulty(case):
    models = int(case[1][0])
    need(models >= 3)
    y = np.array(case[0]).reshape(models, -1)
    there = ~np.isnan(y)
    y = np.where(there, y, 0)

    def slope(w):
        theta, gamma = w[:models], w[models:]
        off = there * (y - 1 / (1 + np.exp(gamma[None, :] - theta[:, None])))
        return np.r_[off.sum(1) - 1e-3 * theta, -off.sum(0) - gamma]

    def bend(w):
        theta, gamma = w[:models], w[models:]
        p = 1 / (1 + np.exp(gamma[None, :] - theta[:, None]))
        v = there * p * (1 - p)
        return np.block([[np.diag(-v.sum(1) - 1e-3), v], [v.T, np.diag(-v.sum(0) - 1)]])

    w = np.zeros(models + y.shape[1])
    for _ in range(200):
        step = np.linalg.solve(bend(w), -slope(w))
        w = w + step * min(1, 1 / np.max(np.abs(step)) if np.max(np.abs(step)) > 0 else 1)
        if np.max(np.abs(step)) < 1e-13:
            break
    return [near(v, 1) for v in w[models:]]


# Ranking.


def make_ranking(rng):
    models = int(rng.integers(2, 6))
    count = int(rng.integers(1, 10)) if rng.random() < 0.2 else int(rng.integers(20 * models, 60 * models))
    first = rng.integers(0, models, count)
    second = (first + rng.integers(1, models, count)) % models if models > 1 else first
    ability, style = rng.normal(size=models), rng.normal(size=count) if rng.random() < 0.5 else np.zeros(0)
    eta = ability[first] - ability[second] + 0.3 + (style if len(style) else 0)
    score = (rng.random(count) < 1 / (1 + np.exp(-eta))).astype(float)
    score[rng.random(count) < 0.1] = 0.5
    weight = rng.integers(0, 4, count)
    cluster = rng.integers(0, max(2, count // 3), count)
    return [[models, int(rng.integers(2))], first, second, score, weight, cluster, style]


def grouped_deviance(first, second, score, weight, p, style):
    keys = range(len(first)) if len(style) else list(zip(first, second))
    total, groups = 0.0, {}
    for key, s, w, chance in zip(keys, score, weight, p):
        at = groups.setdefault(key, [0.0, 0.0, chance])
        at[0] += w * s
        at[1] += w
    used = {k: v for k, v in groups.items() if v[1] > 0}
    for wins, games, chance in used.values():
        for part, q in ((wins, chance), (games - wins, 1 - chance)):
            if part > 0:
                total += 2 * part * math.log(part / (games * q))
    return total, len(used)


def expect_ranking(case):
    (models, order), first, second, score, weight, cluster, style = [np.array(c) for c in case]
    models = int(models)
    wins = np.zeros((models, models))
    for a, b, s, w in zip(first, second, score, weight):
        wins[a, b] += w * (s > 0)
        wins[b, a] += w * (s < 1)
    parts, _ = scipy.sparse.csgraph.connected_components(scipy.sparse.csr_matrix(wins > 0), connection="strong")
    need(parts == 1)
    x = np.zeros((len(first), models))
    x[np.arange(len(first)), first] += 1
    x[np.arange(len(first)), second] -= 1
    x = x[:, 1:]
    if order:
        x = np.column_stack([x, np.ones(len(first))])
    if len(style):
        x = np.column_stack([x, style])
    used = weight > 0
    need(np.linalg.matrix_rank(x[used]) == x.shape[1])
    model = sm.GLM(score[used], x[used], family=sm.families.Binomial(), freq_weights=weight[used].astype(float))
    fit = model.fit(tol=1e-13, maxiter=300)
    if np.max(np.abs(fit.params)) > 15:
        return None
    _, codes = np.unique(cluster[used], return_inverse=True)
    scores = fit.model.score_obs(fit.params)
    sums = np.zeros((codes.max() + 1, x.shape[1]))
    np.add.at(sums, codes, scores)
    covariance = np.linalg.inv(-fit.model.hessian(fit.params))  # fit.bse is of the step before the last
    errors, robust = (np.sqrt(np.diag(m)) for m in (covariance, covariance @ sums.T @ sums @ covariance))
    out = []
    for value, error, own in zip(fit.params, errors, robust):
        out += [near(value, 1), error, near(own, error)]
    p = 1 / (1 + np.exp(-x @ fit.params))
    deviance, groups = grouped_deviance(first, second, score, weight, p, style)
    return out + [near(deviance, 1), groups - x.shape[1]]


# Sophistry.


def make_sophistry(rng):
    n = size(rng)
    shares = rng.random(4) if rng.random() < 0.5 else []
    approve = lambda: rng.integers(0, 2, n).astype(float) if rng.random() < 0.5 else rng.random(n)
    return [rng.integers(0, 2, n), rng.integers(0, 2, n), approve(), approve(), shares]


def expect_sophistry(case):
    before, after, says_before, says_after = [np.array(c, float) for c in case[:4]]
    cell = (2 * before + after).astype(int)
    counts = np.bincount(cell, minlength=4)
    shares = np.array(case[4]) if len(case[4]) else counts / len(cell)
    need(np.all(counts[shares > 0] > 0))
    weight = (shares / shares.sum())[cell] / counts[cell]
    wrong, out = cell == 0, []
    for right, says in ((before, says_before), (after, says_after)):
        rate = says[wrong].mean() if wrong.any() else math.nan
        out += [weight @ right, weight @ says, weight @ np.abs(says - right), rate]
    return [near(v, 1e-2) for v in out] + [int(wrong.sum())]


def fixed_length(rng):
    return make_length(rng, 0, float(rng.choice(GRID[2:8])))


def chosen_length(rng):
    return make_length(rng, 0, math.nan)


def free_length(rng):
    return make_length(rng, int(rng.integers(1, 3)), math.nan)


# Name, how cases are made and expected, tolerance, what is compared with.
CHECKS = [
    ("rate_wilson", make_rate, expect_wilson, 1e-9, "statsmodels proportion_confint"),
    ("rate_clopper_pearson", make_rate, expect_clopper_pearson, 1e-9, "statsmodels proportion_confint"),
    ("rate_difference", make_two_rates, expect_difference, 1e-9, "statsmodels confint_proportions_2indep"),
    ("rate_paired", make_pairs, expect_paired, 1e-9, "roots of the score equation; SciPy binomtest"),
    ("mcnemar", make_discordant, expect_mcnemar, 1e-9, "exact fractions; statsmodels mcnemar"),
    ("fisher_exact", make_table, expect_fisher, 1e-9, "SciPy fisher_exact"),
    ("odds_ratio", make_table, expect_odds_ratio, 1e-9, "SciPy odds_ratio"),
    ("sign_test", make_discordant, expect_sign_test, 1e-9, "exact fractions"),
    ("mean_simple", lambda r: list(columns(r, 1)), expect_mean, 1e-9, "SciPy ttest_1samp"),
    ("mean_paired", lambda r: list(columns(r, 2)), expect_mean_paired, 1e-9, "SciPy ttest_rel"),
    ("mean_clustered", make_clustered, expect_clustered, 1e-9, "statsmodels OLS, cluster"),
    ("mean_difference", make_two_samples, expect_welch, 1e-9, "SciPy ttest_ind"),
    ("win_rate", make_wins, expect_wins, 1e-9, "SciPy ttest_1samp, binomtest"),
    ("sign_flip", make_flips, expect_flips, 1e-9, "SciPy permutation_test"),
    ("quantile", make_quantile, expect_quantile, 1e-9, "NumPy quantile"),
    ("adjust", make_p, expect_adjust, 1e-9, "statsmodels multipletests"),
    ("paired_power", make_paired_power, expect_paired_power, 1e-9, "statsmodels power"),
    ("rate_power", make_rate_power, expect_rate_power, 1e-9, "statsmodels power, proportion; SciPy binom"),
    ("mcnemar_power", make_mcnemar_power, expect_mcnemar_power, 1e-9, "sum over all outcomes"),
    ("bootstrap_mean", make_bootstrap, expect_bootstrap, 1e-9, "all n^n resamples"),
    ("pearson", make_two, expect_pearson, 1e-9, "SciPy pearsonr"),
    ("spearman", make_two, expect_spearman, 1e-9, "SciPy spearmanr"),
    ("spearman_exact", make_few, expect_spearman_exact, 1e-9, "all n! orders"),
    ("kendall", make_two, expect_kendall, 1e-9, "SciPy kendalltau"),
    ("kendall_exact", make_orders, expect_kendall_exact, 1e-9, "SciPy kendalltau, exact"),
    ("partial_pearson", make_three, expect_partial_pearson, 1e-9, "inverse of the correlation matrix"),
    ("partial_spearman", make_three, expect_partial_spearman, 1e-9, "the same on SciPy's ranks"),
    ("lowess", make_lowess, expect_lowess, 1e-9, "NumPy least squares with R's cuts"),
    ("lowess, 0 rounds", make_smooth, expect_sm_lowess, 1e-6, "statsmodels lowess, which cuts elsewhere"),
    ("gao_fit", make_gao, expect_gao, 1e-9, "statsmodels OLS"),
    ("best_of_n", make_best_of_n, expect_best_of_n, 1e-9, "all subsets"),
    ("pass_at", make_pass_at, expect_pass_at, 1e-9, "exact fractions"),
    ("cohen_kappa", make_cohen, expect_cohen, 1e-9, "scikit-learn cohen_kappa_score"),
    ("fleiss_kappa", make_raters, expect_fleiss, 1e-9, "statsmodels fleiss_kappa"),
    ("krippendorff_alpha", make_raters, expect_krippendorff, 1e-9, "coincidence matrix"),
    ("krippendorff_interval", make_ratings, expect_krippendorff_interval, 1e-9, "sums over all pairs"),
    ("positions_measure", make_positions, expect_positions, 1e-9, "counts; statsmodels, SciPy"),
    ("longer_preferred", make_longer, expect_longer, 1e-9, "counts; statsmodels, SciPy"),
    ("calibration_measure", make_calibration, expect_calibration, 1e-9, "scikit-learn metrics"),
    ("length_controlled, C given", fixed_length, expect_length_fixed, 1e-6, "scikit-learn liblinear"),
    ("length_controlled, C chosen", chosen_length, expect_length_chosen, 1e-6, "scikit-learn liblinear, 5 folds"),
    ("length_controlled, no penalty", free_length, expect_length_free, 1e-9, "statsmodels GLM"),
    ("length_difficulty", make_difficulty, expect_difficulty, 1e-7, "damped Newton steps on all terms"),
    ("ranking_fit", make_ranking, expect_ranking, 1e-9, "statsmodels GLM and its scores; SciPy csgraph"),
    ("sophistry_measure", make_sophistry, expect_sophistry, 1e-9, "NumPy"),
]


def write(name, case):
    parts = [name.split(",")[0]]
    for array in case:
        parts.append(str(len(array)))
        parts += [repr(float(v)) for v in array]
    return " ".join(parts)


def ask(program, lines):
    done = subprocess.run([program], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    answers = done.stdout.splitlines()
    if len(answers) != len(lines):
        sys.exit(f"{program} answered {len(answers)} of {len(lines)} cases: {done.stderr}")
    return [None if a.startswith("error") else [float(v) for v in a.split()] for a in answers]


def error_of(got, want):
    value, scale = want if isinstance(want, tuple) else (want, 0.0)
    if got == value or (math.isnan(got) and math.isnan(value)):
        return 0.0
    if math.isnan(got) or math.isnan(value):
        return math.inf
    return abs(got - value) / max(abs(value), scale, 1e-290)


def judge(expect, case, got):
    """The largest error; None where the case is left out (the reference is ill-defined there)."""
    try:
        wants_got = expect in (expect_bootstrap, expect_length_chosen)
        want = expect(case, got) if wants_got else expect(case)
    except NoResult:
        want = []
        return "both" if got is None else math.inf
    if want is None:
        return None
    if got is None or len(got) != len(want):
        return math.inf
    return max((error_of(g, w) for g, w in zip(got, want)), default=0.0)


def run(check, program, cases, seed):
    name, make, expect, tolerance, against = check
    rng = np.random.default_rng([seed, *name.encode()])
    inputs = [make(rng) for _ in range(cases)]
    answers = ask(program, [write(name, c) for c in inputs])
    used, both, worst, complaint = 0, 0, 0.0, None
    for case, got in zip(inputs, answers):
        off = judge(expect, case, got)
        if off is None:
            continue
        used += 1
        if off == "both":
            both += 1
            continue
        worst = max(worst, off)
        if off > tolerance and complaint is None:
            complaint = f"{name}: error {off:g}\n  case {write(name, case)}\n  got  {got}"
            try:
                wants_got = expect in (expect_bootstrap, expect_length_chosen)
                complaint += f"\n  want {expect(case, got) if wants_got else expect(case)}"
            except NoResult:
                complaint += "\n  want no result"
    if complaint:
        print(complaint, file=sys.stderr, flush=True)
    print(f"| `{name}` | {against} | {used} | {both} | {worst:.1e} | {tolerance:g} |", flush=True)
    return complaint


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="build/tests/show_statistics")
    parser.add_argument("--cases", type=int, default=1000, help="of each function")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="functions whose name begins so")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    gc.freeze()  # statsmodels collects garbage in every correction
    print(
        f"Python {sys.version.split()[0]}, NumPy {np.__version__}, SciPy {scipy.__version__}, "
        f"statsmodels {statsmodels.__version__}, scikit-learn {sklearn.__version__}; seed {options.seed}\n"
    )
    print("| function | against | cases | both without a result | largest relative error | tolerance |")
    print("|---|---|---|---|---|---|")
    chosen = [c for c in CHECKS if not options.only or c[0].startswith(options.only)]
    complaints = [run(c, options.program, options.cases, options.seed) for c in chosen]
    return 1 if any(complaints) else 0


if __name__ == "__main__":
    sys.exit(main())
