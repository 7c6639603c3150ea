"""Off-policy evaluation: what another policy would have earned, from the log of the one that ran.

A log says what was shown, how likely that was, and what came of it. A policy gives each action of each row a
probability. Rows that fit the policy better than the log count for more, by their importance weight, the ratio of the
two probabilities: :mod:`processors.evaluation.estimators` has the estimators, this module what goes in and comes out.

An estimate can only rest on what the log could have done. Where all its probabilities are known, rows in which the
policy does what the log could not are left out; where they are not, actions that the log never shows are said
(``unseen``), as is a mean weight that is not what it must be, which speaks of wrong propensities.

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
    """How policies are evaluated.

    Parameters
    ----------
    clip
        Importance weights above this count as this. IPS and SNIPS then lean on fewer lucky rows and estimate too low
        (rewards that are not negative); DR falls back on its model by as much. The default hardly ever does anything.
    confidence
        Of the intervals.
    smoothing
        Rows that an action's own mean reward needs to count as much as that of all.
    learned
        Share of the log, its beginning, that the policy ``best`` learns from.
    """

    clip: Bound = 1e6
    confidence: Confidence = 0.95
    smoothing: Rate = 20.0
    learned: Part = 0.5


@dataclass(frozen=True)
class Evaluation:
    """What a policy would have earned per row.

    Attributes
    ----------
    rows
        That the policy says something of and the log can answer for.
    estimates
        By name of the estimator: ``replay``, ``ips``, ``snips``, ``dr``.
    logged
        What the policy that ran earned in these rows, the plain mean.
    mean_weight, max_weight
        Of the importance weights as they are; the mean is 1 less ``unsupported`` on average if the propensities are
        right.
    left_out
        Rows in which the policy does what the log could not have done. The estimates are of the other rows.
    clipped
        Share of the policy's weight that :attr:`OpeSettings.clip` took away.
    unsupported
        Share of what the policy does that is an action of ``unseen``. IPS estimates nothing for it; SNIPS takes it to
        be as the rest, DR trusts its model.
    unseen
        Actions of the policy that the log never shows, if its probabilities are not known.
    warnings
        What to beware of, in words.
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
    """What a policy would have earned per row, by every estimator.

    Deterministic in its arguments.

    Parameters
    ----------
    policy
        Probability of each action in each row, shape (n, actions). A row of zeros says nothing of that row, and leaves
        it out.

    Raises
    ------
    FeedbackError
        If a row's probabilities do not sum to 1, or one of them is of an action that was not available.
    SupportError
        If there is no row that the policy could have led to.

    Examples
    --------
    A coin decided, and the second action is the better one:

    >>> shown = np.tile([0, 1], 500)
    >>> clicked = np.where(shown == 1, np.arange(1000) % 4 == 1, np.arange(1000) % 20 == 0).astype(float)
    >>> log = Feedback(shown, clicked, np.full(1000, 0.5), n_actions=2)
    >>> found = evaluate(log, np.broadcast_to([0.0, 1.0], (1000, 2)))
    >>> {name: round(one.value, 3) for name, one in found.estimates.items()}
    {'replay': 0.5, 'ips': 0.5, 'snips': 0.5, 'dr': 0.5}
    """
    settings = settings or OpeSettings()
    feedback, policy = _spoken_of(feedback, policy)
    spoken = len(feedback)
    feedback, policy = _possible(feedback, policy)
    wanted = policy[np.arange(len(feedback)), feedback.actions]
    raw = wanted / feedback.propensities
    if not raw.any():
        raise SupportError(f"none of the {len(feedback):,} rows of the log shows what the policy would show")
    weights = np.minimum(raw, settings.clip)
    logged = Logged(
        feedback.actions, feedback.rewards, weights, feedback.positions, feedback.predicted, feedback.logging
    )
    unsupported, unseen = _unsupported(feedback, policy)
    found = Evaluation(
        rows=len(feedback),
        estimates={
            "replay": replayed(logged, settings.confidence),
            "ips": ips(logged, settings.confidence),
            "snips": snips(logged, settings.confidence),
            "dr": doubly_robust(logged, policy, settings.smoothing, settings.confidence),
        },
        logged=float(feedback.rewards.mean()),
        mean_weight=float(raw.mean()),
        max_weight=float(raw.max()),
        left_out=spoken - len(feedback),
        clipped=float(1.0 - weights.sum() / raw.sum()),
        unsupported=unsupported,
        unseen=unseen,
    )
    return replace(found, warnings=tuple(_warnings(found, float(raw.std()))))


def as_logged(feedback: Feedback, settings: OpeSettings | None = None) -> Evaluation:
    """What the policy that ran did earn: the plain mean, whatever the estimator."""
    if not len(feedback):
        raise FeedbackError("the log has no rows")
    rewards, confidence = feedback.rewards, (settings or OpeSettings()).confidence
    unit = bool(((rewards >= 0.0) & (rewards <= 1.0)).all())
    variance = float(rewards.var()) / max(len(rewards) - 1, 1)
    mean = interval(float(rewards.mean()), variance, float(len(rewards)), confidence, unit=unit)
    return Evaluation(len(feedback), dict.fromkeys(ESTIMATORS, mean), mean.value)


def _spoken_of(feedback: Feedback, policy: Floats) -> tuple[Feedback, Floats]:
    """The rows that a policy says something of, if it is one."""
    wanted = (len(feedback), feedback.n_actions)
    if policy.shape != wanted:
        raise FeedbackError(f"policy: shape {policy.shape}, expected {wanted}")
    sums = policy.sum(axis=1)
    spoken = sums != 0.0
    require(np.abs(sums - spoken) <= _TOLERANCE, sums, "the policy's probabilities sum to", "1, or 0 to leave it out")
    lowest = policy.min(axis=1, initial=0.0)
    require(lowest >= 0.0, lowest, "the policy's probability", "0 or more")
    if feedback.available is not None:
        possible = np.logical_and.reduce((policy == 0.0) | feedback.available, axis=1)
        require(possible, policy.argmax(axis=1), "the policy does what was not available: action", "another")
    if not spoken.any():
        raise SupportError("the policy says nothing of any row of the log")
    return (feedback, policy) if spoken.all() else (feedback.part(spoken), policy[spoken])


def _possible(feedback: Feedback, policy: Floats) -> tuple[Feedback, Floats]:
    """The rows in which the log could have done all that the policy does, as far as that is known."""
    if feedback.logging is None:
        return feedback, policy
    possible = np.logical_and.reduce((policy == 0.0) | (feedback.logging > 0.0), axis=1)
    if not possible.any():
        raise SupportError(f"in none of {len(feedback):,} rows the log could have done all that the policy does")
    return (feedback, policy) if possible.all() else (feedback.part(possible), policy[possible])


def _unsupported(feedback: Feedback, policy: Floats) -> tuple[float, tuple[int, ...]]:
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
