"""Off-policy evaluation: what another policy would have earned, from the log of the one that ran.

A log says what was shown, how likely that was, and what came of it. A policy gives each action of each row a
probability. Rows that fit the policy better than the log count for more, by their importance weight, the ratio of the
two probabilities: :mod:`processors.ope_estimators` has the estimators, this module what goes in and comes out.

An estimate can only rest on what the log did: what a policy wants and the log never shows is said (``unsupported``),
as is a mean weight that is not what it must be, which speaks of wrong propensities.

References
----------
M. Dudík, D. Erhan, J. Langford, L. Li, "Doubly robust policy evaluation and optimization", Statistical Science 29,
2014. N. Sachdeva, Y. Su, T. Joachims, "Off-policy bandits with deficient support", KDD 2020.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any

import msgspec
import numpy as np

from processors.bounds import Rate
from processors.errors import FeedbackError, SupportError
from processors.ope_estimators import Estimate, Logged, doubly_robust, interval, ips, replayed, snips
from processors.sources.base import Flags, Floats, Ints

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
class Feedback:
    """A log: n rows in the order in which they happened, each with one action of so many.

    Attributes
    ----------
    actions
        What was shown, numbered from 0, shape (n,).
    rewards
        What came of it, such as 1 for a click, shape (n,).
    propensities
        How likely what was shown was to be shown, above 0 and at most 1, shape (n,).
    n_actions
        How many actions there are.
    available
        Which actions could have been shown, shape (n, actions); without it, all.
    positions
        Places on the page, or any other few groups that rewards differ by, numbered from 0, shape (n,).
    logging
        All probabilities of the policy that ran, shape (n, actions), if they are known.
    predicted
        Rewards that were expected of each action before the outcome was known, shape (n, actions).

    Raises
    ------
    FeedbackError
        If something is not of its shape or range.

    Examples
    --------
    >>> Feedback(np.array([0, 1]), np.array([1.0, 0.0]), np.array([0.5, 0.0]), n_actions=2)
    Traceback (most recent call last):
    ...
    processors.errors.FeedbackError: row 1: propensity 0.0, expected above 0 and at most 1
    """

    actions: Ints
    rewards: Floats
    propensities: Floats
    n_actions: int
    available: Flags | None = None
    positions: Ints | None = None
    logging: Floats | None = None
    predicted: Floats | None = None

    def __post_init__(self) -> None:
        for name, column in self._columns():
            wanted: tuple[int, ...] = (len(self),)
            if name in ("available", "logging", "predicted"):
                wanted = (len(self), self.n_actions)
            if column.shape != wanted:
                raise FeedbackError(f"{name}: shape {column.shape}, expected {wanted}")
        inside = (self.actions >= 0) & (self.actions < self.n_actions)
        _all(inside, self.actions, "action", f"0 to {self.n_actions - 1}")
        _all(np.isfinite(self.rewards), self.rewards, "reward", "a finite number")
        likely = (self.propensities > 0.0) & (self.propensities <= 1.0)
        _all(likely, self.propensities, "propensity", "above 0 and at most 1")
        if self.positions is not None:
            _all(self.positions >= 0, self.positions, "position", "0 or more")
        if self.available is not None:
            shown: Flags = self.available[np.arange(len(self)), self.actions]
            _all(shown, self.actions, "action", "one that was available")
        for table, name in ((self.logging, "logging probability"), (self.predicted, "predicted reward")):
            if table is not None:
                _all(np.isfinite(table).all(axis=1), table, name, "finite numbers")

    def __len__(self) -> int:
        return len(self.actions)

    def part(self, rows: Flags | slice) -> Feedback:
        """Some of the rows."""
        return replace(self, **{name: column[rows] for name, column in self._columns()})

    def _columns(self) -> Iterator[tuple[str, Any]]:
        for field in fields(self):
            column = getattr(self, field.name)
            if field.name != "n_actions" and column is not None:
                yield field.name, column


@dataclass(frozen=True)
class Evaluation:
    """What a policy would have earned per row.

    Attributes
    ----------
    rows
        That the policy says something of; the others are left out.
    estimates
        By name of the estimator: ``replay``, ``ips``, ``snips``, ``dr``.
    logged
        What the policy that ran earned in these rows, the plain mean.
    mean_weight, max_weight
        Of the importance weights as they are; the mean is 1 less ``unsupported`` on average if the propensities are
        right.
    clipped
        Share of the policy's weight that :attr:`OpeSettings.clip` took away.
    unsupported
        Share of what the policy does that the log could not have done. IPS estimates nothing for it; SNIPS takes it to
        be as the rest, DR trusts its model.
    unseen
        Actions of the policy that the log has no row of.
    warnings
        What to beware of, in words.
    """

    rows: int
    estimates: dict[str, Estimate]
    logged: float
    mean_weight: float = 1.0
    max_weight: float = 1.0
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
    wanted = policy[np.arange(len(feedback)), feedback.actions]
    raw = wanted / feedback.propensities
    if not raw.any():
        raise SupportError(f"none of the {len(feedback):,} rows of the log shows what the policy would show")
    weights = np.minimum(raw, settings.clip)
    logged = Logged(feedback.actions, feedback.rewards, weights, feedback.positions, feedback.predicted)
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
    _all(np.abs(sums - spoken) <= _TOLERANCE, sums, "the policy's probabilities sum to", "1, or 0 to leave it out")
    lowest = policy.min(axis=1, initial=0.0)
    _all(lowest >= 0.0, lowest, "the policy's probability", "0 or more")
    if feedback.available is not None:
        possible: Flags = ~((policy > 0.0) & ~feedback.available).any(axis=1)
        _all(possible, policy.argmax(axis=1), "the policy shows an action that was not available, not", "so")
    if not spoken.any():
        raise SupportError("the policy says nothing of any row of the log")
    return (feedback, policy) if spoken.all() else (feedback.part(spoken), policy[spoken])


def _unsupported(feedback: Feedback, policy: Floats) -> tuple[float, tuple[int, ...]]:
    shown = np.bincount(feedback.actions, minlength=feedback.n_actions) > 0
    wanted = policy.sum(axis=0)
    unseen = np.flatnonzero(~shown & (wanted > 0.0))
    if feedback.logging is None:
        return float(wanted[unseen].sum() / len(feedback)), tuple(unseen.tolist())
    missing = np.where(feedback.logging > 0.0, 0.0, policy)
    return float(missing.sum() / len(feedback)), tuple(unseen.tolist())


def _warnings(found: Evaluation, spread: float) -> Iterator[str]:
    if found.unsupported > _NOTABLE:
        yield (
            f"{found.unsupported:.1%} of what the policy does the log could not have done: IPS counts it as nothing, "
            "SNIPS as the rest, DR by its model"
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


def _all(good: Flags, values: Any, name: str, expected: str) -> None:
    if not good.all():
        row = int(np.argmin(good))
        raise FeedbackError(f"row {row}: {name} {values[row]}, expected {expected}")


_TOLERANCE = 1e-6
_NOTABLE = 0.01
_FAR = 4.0
_FEW = 30.0
