"""The estimators of off-policy evaluation (replay, IPS, SNIPS, DR), each with its confidence interval.

``replay``: rows are accepted by rejection sampling as if the policy had chosen, and averaged. ``ips`` (inverse
propensity scoring): every row counts by its importance weight. ``snips`` (self-normalised IPS): the same, divided by
the sum of the weights. ``dr`` (doubly robust): a model of the rewards predicts what the policy would earn, and the
weighted rows correct the model; it is unbiased if either model or propensities are right. On the log of a policy that
learns, DR is the one to rely on: see :func:`doubly_robust`.

Intervals are Student's, from the variance of the rows' terms, with the effective sample size less one as degrees of
freedom. Rewards between 0 and 1 get Wilson's interval instead, for as many rows as would give a proportion of that size
that variance: clicks are rare, and a plain interval around two of them reaches below zero, around none has no width.

References
----------
L. Li, W. Chu, J. Langford, X. Wang, "Unbiased offline evaluation of contextual-bandit-based news article recommendation
algorithms", WSDM 2011. A. Swaminathan, T. Joachims, "The self-normalized estimator for counterfactual learning", NIPS
2015. M. Dudík, D. Erhan, J. Langford, L. Li, "Doubly robust policy evaluation and optimization", Statistical Science
29, 2014. V. Hadad, D. Hirshberg, R. Zhan, S. Wager, S. Athey, "Confidence intervals for policy evaluation in adaptive
experiments", PNAS 118, 2021. E. Wilson, "Probable inference, the law of succession, and statistical inference", JASA
22, 1927. E. Korn, B. Graubard, "Confidence intervals for proportions with small expected number of positive counts
estimated from survey data", Survey Methodology 24, 1998. L. Kish, "Survey Sampling", 1965 (effective sample size).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from processors.common.arrays import Floats, Ints
from processors.common.random import uniform


@dataclass(frozen=True)
class Estimate:
    """An estimated mean reward per row.

    Attributes
    ----------
    value
        The estimate; IPS and DR may leave the range of the rewards.
    low, high
        Ends of its confidence interval.
    ess
        Effective sample size (Kish): how many rows of equal weight would estimate as well.
    rows
        Number of rows with a weight above zero, on which the estimate rests.
    """

    value: float
    low: float
    high: float
    ess: float
    rows: int


@dataclass(frozen=True)
class Logged:
    """A log as the estimators read it: columns of n rows, with the importance weights for one policy.

    Attributes
    ----------
    actions, rewards, positions, predicted, logging
        As in :class:`processors.evaluation.feedback.Feedback`.
    weights
        Importance weights, clipped, shape (n,).
    """

    actions: Ints
    rewards: Floats
    weights: Floats
    positions: Ints | None = None
    predicted: Floats | None = None
    logging: Floats | None = None

    @property
    def unit(self) -> bool:
        """Whether all rewards are between 0 and 1, so that Wilson's interval applies."""
        return bool(((self.rewards >= 0.0) & (self.rewards <= 1.0)).all())

    @property
    def ess(self) -> float:
        """Effective sample size (Kish) of the weights."""
        return float(self.weights.sum() ** 2 / (self.weights**2).sum())


def replayed(logged: Logged, confidence: float) -> Estimate:
    """Estimate by replay: average the rows accepted by rejection sampling, each with weight / highest weight.

    Where the log was uniformly random and the policy is deterministic, these are the rows in which the two agree. The
    random numbers follow from the rows' numbers. With clipped weights the estimate is biased towards the log.
    """
    chance = uniform(np.arange(len(logged.weights), dtype=np.uint64))
    rewards = logged.rewards[chance * logged.weights.max() < logged.weights]
    size = len(rewards)
    if not size:
        return Estimate(0.0, *((0.0, 1.0) if logged.unit else (-math.inf, math.inf)), 0.0, 0)
    variance = float(rewards.var()) / max(size - 1, 1)
    return interval(float(rewards.mean()), variance, float(size), confidence, unit=logged.unit)


def ips(logged: Logged, confidence: float) -> Estimate:
    """Estimate by inverse propensity scoring: the mean of weighted rewards. Unbiased; large weights add variance."""
    terms = logged.weights * logged.rewards
    return _of_terms(terms, logged, confidence)


def snips(logged: Logged, confidence: float) -> Estimate:
    """Estimate by self-normalised IPS: the weighted mean of rewards. Less variance than IPS for a small bias."""
    # The variance of this ratio is that of the delta method.
    weights = logged.weights
    total = float(weights.sum())
    value = float((weights * logged.rewards).sum()) / total
    size = len(weights)
    variance = float((weights**2 * (logged.rewards - value) ** 2).sum()) / total**2 * size / max(size - 1, 1)
    found = interval(value, variance, logged.ess, confidence, unit=logged.unit)
    return _counted(found, logged)


def doubly_robust(logged: Logged, policy: Floats, smoothing: float, confidence: float) -> Estimate:
    """Estimate by DR: the reward that a model predicts for the policy, plus the weighted errors of the model.

    The model is fitted forwards: rows are predicted in blocks, each from the rows before it, so that no row is
    predicted from itself or from what it led to.

    The log of a policy that learns holds ever fewer of the actions that it finds worse, and how soon depends on chance:
    a plain mean is then not normal, and its interval too narrow. If all probabilities of the log are known, rows are
    weighted by :func:`steadying` instead, so that all stretches of the log add alike to the variance (Hadad et al.). On
    a log that does not change that is nearly the plain mean.

    Parameters
    ----------
    logged
        The log.
    policy
        Probability of each action in each row, shape (n, actions).
    smoothing
        Strength of the reward model's smoothing in rows, see :func:`expected`.
    confidence
        Probability that the interval covers the true value.
    """
    terms = np.empty(len(logged.actions))
    for block, rewards in expected(logged, policy.shape[1], smoothing):
        own = rewards[np.arange(len(rewards)), logged.actions[block]]
        missed = logged.weights[block] * (logged.rewards[block] - own)
        terms[block] = np.einsum("ij,ij->i", policy[block], rewards) + missed
    counts = np.ones(len(terms)) if logged.logging is None else steadying(policy, logged.logging)
    counts /= counts.sum()
    value = float((counts * terms).sum())
    variance = float((counts**2 * (terms - value) ** 2).sum()) * len(terms) / max(len(terms) - 1, 1)
    weights = counts * logged.weights
    found = interval(value, variance, float(weights.sum() ** 2 / (weights**2).sum()), confidence, unit=logged.unit)
    return _counted(found, logged)


def steadying(policy: Floats, logging: Floats) -> Floats:
    """Compute by how much each row counts: one over the root of the variance that the rows before it add on average.

    A row adds about the sum of p²/q over its actions, where p is the probability of the policy and q that of the log.
    By how much a row counts depends on earlier rows alone, never on its own context, as Hadad et al. require.

    Parameters
    ----------
    policy, logging
        Probabilities of policy and log, shape (n, actions). Where the policy's is above 0 the log's must be.

    Examples
    --------
    The log took the policy's action every other time, then one time in fifty:

    >>> logging = np.array([[0.5, 0.5]] * 100 + [[0.02, 0.98]] * 100)
    >>> steadying(np.broadcast_to([1.0, 0.0], (200, 2)), logging)[[0, 99, 199]].round(2).tolist()
    [0.71, 0.71, 0.14]
    """
    added = np.divide(policy**2, logging, out=np.zeros(policy.shape), where=policy > 0.0).sum(axis=1)
    sums = np.concatenate([[0.0], added.cumsum()])
    ends = np.maximum(np.arange(len(added)), 1)
    begins = np.maximum(ends - _RECENT_ROWS, 0)
    found: Floats = ((sums[ends] - sums[begins]) / (ends - begins)) ** -0.5
    return found


def expected(logged: Logged, n_actions: int, smoothing: float) -> Iterator[tuple[slice, Floats]]:
    """Yield for each block of rows the expected reward of every action, learned from the rows before the block.

    It is the mean reward of the action at the row's position, smoothed towards the mean of the action at all positions,
    and that towards the mean of all actions. If the log has rewards that were predicted at the time, the means are of
    rewards per predicted reward, and scale the predictions.

    Parameters
    ----------
    logged
        The log.
    n_actions
        Number of actions.
    smoothing
        Rows at which an own mean counts as much as the mean that it is smoothed towards.

    Yields
    ------
    tuple
        The block as a slice, and rewards of shape (block, actions).
    """
    size = len(logged.actions)
    positions = np.zeros(size, np.int64) if logged.positions is None else logged.positions
    groups = int(positions.max(initial=0)) + 1
    key = logged.actions * groups + positions
    predicted = logged.predicted
    base = np.ones(size) if predicted is None else predicted[np.arange(size), logged.actions]
    earned, based = np.zeros(n_actions * groups), np.zeros(n_actions * groups)
    for begin, end in blocks(size):
        block = slice(begin, end)
        if begin:
            scale = _scales(earned.reshape(-1, groups), based.reshape(-1, groups), smoothing * based.sum() / begin)
        else:
            # Before any row: nothing, or what was predicted.
            scale = np.full((n_actions, groups), 0.0 if predicted is None else 1.0)
        rewards = scale.T[positions[block]]
        yield block, rewards if predicted is None else rewards * predicted[block]
        earned += np.bincount(key[block], logged.rewards[block], len(earned))
        based += np.bincount(key[block], base[block], len(based))


def blocks(size: int) -> Iterator[tuple[int, int]]:
    """Yield begin and end of blocks of rows, each a quarter as long as all before it, at most 65,536 rows.

    Examples
    --------
    >>> list(blocks(60))
    [(0, 32), (32, 40), (40, 50), (50, 60)]
    """
    begin, end = 0, min(_FIRST, size)
    while begin < size:
        yield begin, end
        begin, end = end, min(end + min(max(end // 4, 1), _LARGEST), size)


def _scales(earned: Floats, based: Floats, smoothing: float) -> Floats:
    """Return smoothed ratios of ``earned`` to ``based``, shape (actions, positions); 0 without data and smoothing."""
    overall = earned.sum() / max(based.sum(), _TINY)
    by_action = (earned.sum(axis=1) + smoothing * overall) / np.maximum(based.sum(axis=1) + smoothing, _TINY)
    found: Floats = (earned + smoothing * by_action[:, None]) / np.maximum(based + smoothing, _TINY)
    return found


def _of_terms(terms: Floats, logged: Logged, confidence: float) -> Estimate:
    variance = float(terms.var()) / max(len(terms) - 1, 1)
    found = interval(float(terms.mean()), variance, logged.ess, confidence, unit=logged.unit)
    return _counted(found, logged)


def _counted(found: Estimate, logged: Logged) -> Estimate:
    return Estimate(found.value, found.low, found.high, found.ess, int(np.count_nonzero(logged.weights)))


def interval(value: float, variance: float, ess: float, confidence: float, *, unit: bool) -> Estimate:
    """Give an estimated mean its confidence interval.

    Parameters
    ----------
    value
        The estimate.
    variance
        Variance of the estimate.
    ess
        Effective sample size. It also takes the place of the variance where all rewards are 0, or all are 1.
    confidence
        Probability that the interval covers the true value.
    unit
        Whether the true mean must be between 0 and 1 (Wilson's interval).

    Examples
    --------
    Nobody of a hundred clicked:

    >>> found = interval(0.0, 0.0, 100.0, 0.95, unit=True)
    >>> round(found.low, 3), round(found.high, 3)
    (0.0, 0.038)
    """
    z = float(stdtrit(max(ess - 1.0, 1.0), 0.5 + confidence / 2.0))
    if not unit:
        half = z * math.sqrt(variance)
        return Estimate(value, value - half, value + half, ess, round(ess))
    share = min(max(value, 0.0), 1.0)
    spread = share * (1.0 - share)
    size = spread / variance if variance > 0.0 and spread > 0.0 else ess
    middle = (share + z * z / (2.0 * size)) / (1.0 + z * z / size)
    half = z * math.sqrt(spread / size + z * z / (4.0 * size * size)) / (1.0 + z * z / size)
    return Estimate(value, max(middle - half, 0.0), min(middle + half, 1.0), ess, round(ess))


_FIRST, _LARGEST = 32, 65_536
_RECENT_ROWS = 50
_TINY = 1e-12
