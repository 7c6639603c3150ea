"""Off-policy evaluation: estimate what another policy would have earned, from the log of the policy that ran.

A log says which action was taken, with what probability (its propensity), and with what reward. A policy to be
evaluated gives each action in each row a probability. Rows count by their importance weight, the ratio of the policy's
probability to the propensity. The estimators are in :mod:`processors.evaluation.estimators`; this module checks what
goes into them and reports what comes out.

An estimate can only rest on actions that the log could have taken. Where all probabilities of the log are known, rows
in which the policy may take an action of logging probability 0 are left out. Where they are not, actions that the log
never took are reported (``unseen``), and so is a mean weight that differs from what it must be: the sign of wrong
propensities.

References
----------
M. Dudík, D. Erhan, J. Langford, L. Li, "Doubly robust policy evaluation and optimization", Statistical Science 29,
2014. N. Sachdeva, Y. Su, T. Joachims, "Off-policy bandits with deficient support", KDD 2020.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

import msgspec
import numpy as np

from processors.common.arrays import Floats
from processors.common.bounds import Rate
from processors.common.errors import FeedbackError, SupportError
from processors.evaluation.estimators import Estimate, Logged, doubly_robust, interval, ips, replayed, snips
from processors.evaluation.feedback import Feedback, require

Bound = Annotated[float, msgspec.Meta(ge=1.0, le=1e9)]
Confidence = Annotated[float, msgspec.Meta(ge=0.5, le=0.9999)]
Part = Annotated[float, msgspec.Meta(ge=0.05, le=0.95)]


class OpeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of off-policy evaluation.

    Parameters
    ----------
    clip
        Bound on importance weights: those above it are set to it. It lowers variance, but IPS and SNIPS then estimate
        too low (for rewards that are not negative), and DR relies on its reward model instead. The default hardly ever
        takes effect.
    confidence
        Probability that an interval covers the true value.
    smoothing
        Rows at which an action's own mean reward counts as much as the mean of all actions.
    learned
        Share of the log, from its beginning, that the policy ``best`` learns from.
    """

    clip: Bound = 1e6
    confidence: Confidence = 0.95
    smoothing: Rate = 20.0
    learned: Part = 0.5


@dataclass(frozen=True)
class Evaluation:
    """Estimates of a policy's mean reward per row, and what they rest on.

    Attributes
    ----------
    rows
        Number of rows evaluated: the policy gives them probabilities, and the log could have taken its actions.
    estimates
        Estimate by name of the estimator: ``replay``, ``ips``, ``snips``, ``dr``.
    logged
        Mean reward that the policy that ran earned in these rows.
    mean_weight, max_weight
        Mean and maximum of the importance weights before clipping. With right propensities the mean is expected to be 1
        less ``unsupported``.
    left_out
        Rows left out because the policy may take an action that the log could not. The estimates say nothing of them.
    clipped
        Share of the sum of importance weights that :attr:`OpeSettings.clip` removed.
    unsupported
        Share of the policy's probability that is on actions in ``unseen``. IPS counts their reward as 0; SNIPS takes
        them to earn what the others earn; DR trusts its reward model.
    unseen
        Actions of the policy that the log never took; empty if all probabilities of the log are known.
    warnings
        Texts that say why the estimates may be wrong.
    """

    rows: int
    estimates: dict[str, Estimate]
    logged: float
    mean_weight: float = 1.0
    max_weight: float = 1.0
    left_out: int = 0
    clipped: float = 0.0
    unsupported: float = 0.0
    unseen: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()


ESTIMATORS = ("replay", "ips", "snips", "dr")
"""Names of the estimators, in the order of :attr:`Evaluation.estimates`."""


def evaluate(feedback: Feedback, policy: Floats, settings: OpeSettings | None = None) -> Evaluation:
    """Estimate by every estimator what a policy would have earned per row. Deterministic in its arguments.

    Parameters
    ----------
    feedback
        The log.
    policy
        Probability of each action in each row, shape (n, actions). A row of zeros is left out.
    settings
        Clipping, confidence and smoothing.

    Raises
    ------
    FeedbackError
        If a row's probabilities do not sum to 1, or one is on an action that was not available.
    SupportError
        If the log took none of the policy's actions.

    Examples
    --------
    A coin decided, and the second action is the better one:

    >>> actions = np.tile([0, 1], 500)
    >>> clicked = np.where(actions == 1, np.arange(1000) % 4 == 1, np.arange(1000) % 20 == 0).astype(float)
    >>> log = Feedback(actions, clicked, np.full(1000, 0.5), n_actions=2)
    >>> found = evaluate(log, np.broadcast_to([0.0, 1.0], (1000, 2)))
    >>> {name: round(one.value, 3) for name, one in found.estimates.items()}
    {'replay': 0.5, 'ips': 0.5, 'snips': 0.5, 'dr': 0.5}
    """
    settings = settings or OpeSettings()
    evaluated, policy = _evaluated_rows(feedback, policy)
    supported, policy = _supported_rows(evaluated, policy)
    return _evaluate_supported(supported, policy, settings, left_out=len(evaluated) - len(supported))


def _evaluate_supported(feedback: Feedback, policy: Floats, settings: OpeSettings, left_out: int) -> Evaluation:
    """Evaluate a policy on rows in which the log could have taken its actions, as far as that is known."""
    wanted = policy[np.arange(len(feedback)), feedback.actions]
    raw = wanted / feedback.propensities
    if not raw.any():
        raise SupportError(f"none of the {len(feedback):,} rows of the log shows what the policy would show")
    weights = np.minimum(raw, settings.clip)
    unsupported, unseen = _unseen_actions(feedback, policy)
    found = Evaluation(
        rows=len(feedback),
        estimates=_estimates(feedback, policy, weights, settings),
        logged=float(feedback.rewards.mean()),
        mean_weight=float(raw.mean()),
        max_weight=float(raw.max()),
        left_out=left_out,
        clipped=float(1.0 - weights.sum() / raw.sum()),
        unsupported=unsupported,
        unseen=unseen,
    )
    return replace(found, warnings=tuple(_warnings(found, float(raw.std()))))


def _estimates(feedback: Feedback, policy: Floats, weights: Floats, settings: OpeSettings) -> dict[str, Estimate]:
    logged = Logged(
        feedback.actions, feedback.rewards, weights, feedback.positions, feedback.predicted, feedback.logging
    )
    return {
        "replay": replayed(logged, settings.confidence),
        "ips": ips(logged, settings.confidence),
        "snips": snips(logged, settings.confidence),
        "dr": doubly_robust(logged, policy, settings.smoothing, settings.confidence),
    }


def as_logged(feedback: Feedback, settings: OpeSettings | None = None) -> Evaluation:
    """Evaluate the policy that ran: the plain mean of the rewards under the name of every estimator."""
    if not len(feedback):
        raise FeedbackError("the log has no rows")
    rewards, confidence = feedback.rewards, (settings or OpeSettings()).confidence
    unit = bool(((rewards >= 0.0) & (rewards <= 1.0)).all())
    variance = float(rewards.var()) / max(len(rewards) - 1, 1)
    mean = interval(float(rewards.mean()), variance, float(len(rewards)), confidence, unit=unit)
    return Evaluation(len(feedback), dict.fromkeys(ESTIMATORS, mean), mean.value)


def _evaluated_rows(feedback: Feedback, policy: Floats) -> tuple[Feedback, Floats]:
    """Check that a policy is one, and keep the rows in which it has probabilities."""
    wanted = (len(feedback), feedback.n_actions)
    if policy.shape != wanted:
        raise FeedbackError(f"policy: shape {policy.shape}, expected {wanted}")
    sums = policy.sum(axis=1)
    evaluated = sums != 0.0
    require(
        np.abs(sums - evaluated) <= _TOLERANCE, sums, "the policy's probabilities sum to", "1, or 0 to leave it out"
    )
    lowest = policy.min(axis=1, initial=0.0)
    require(lowest >= 0.0, lowest, "the policy's probability", "0 or more")
    if feedback.available is not None:
        possible = np.logical_and.reduce((policy == 0.0) | feedback.available, axis=1)
        require(possible, policy.argmax(axis=1), "the policy does what was not available: action", "another")
    if not evaluated.any():
        raise SupportError("the policy says nothing of any row of the log")
    return (feedback, policy) if evaluated.all() else (feedback.part(evaluated), policy[evaluated])


def _supported_rows(feedback: Feedback, policy: Floats) -> tuple[Feedback, Floats]:
    """Keep the rows in which the log could have taken all actions of the policy, as far as that is known."""
    if feedback.logging is None:
        return feedback, policy
    possible = np.logical_and.reduce((policy == 0.0) | (feedback.logging > 0.0), axis=1)
    if not possible.any():
        raise SupportError(f"in none of {len(feedback):,} rows the log could have done all that the policy does")
    return (feedback, policy) if possible.all() else (feedback.part(possible), policy[possible])


def _unseen_actions(feedback: Feedback, policy: Floats) -> tuple[float, tuple[int, ...]]:
    """Return the policy's share of actions that the log never took, and these actions."""
    if feedback.logging is not None:
        return 0.0, ()
    shown = np.bincount(feedback.actions, minlength=feedback.n_actions) > 0
    wanted = policy.sum(axis=0)
    unseen = np.flatnonzero(~shown & (wanted > 0.0))
    return float(wanted[unseen].sum() / len(feedback)), tuple(unseen.tolist())


def _warnings(found: Evaluation, spread: float) -> Iterator[str]:
    if found.left_out:
        yield (
            f"{found.left_out:,} of {found.left_out + found.rows:,} rows are left out, where the log could not have "
            "done what the policy does: the estimates are of the others"
        )
    if found.unseen:
        yield (
            f"{found.unsupported:.2%} of what the policy does the log never did: IPS counts it as nothing, SNIPS as "
            "the rest, DR by its model"
        )
    expected, error = 1.0 - found.unsupported, spread / found.rows**0.5
    if abs(found.mean_weight - expected) > max(_FAR * error, _NOTABLE):
        yield (
            f"importance weights average {found.mean_weight:.3f}, expected {expected:.3f}: the propensities are not "
            "those of the log, or few rows are like the policy's"
        )
    if found.clipped > _NOTABLE:
        yield f"the bound on importance weights took {found.clipped:.1%} of them away: IPS and SNIPS are too low"
    if found.estimates["snips"].ess < _FEW:
        yield f"the estimates rest on as much as {found.estimates['snips'].ess:.0f} rows: their intervals are rough"


_TOLERANCE = 1e-6
_NOTABLE = 0.01
_FAR = 4.0
_FEW = 30.0
