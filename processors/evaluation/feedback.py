"""Logged bandit feedback: the actions that a policy took, their propensities and rewards, checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from processors.common.arrays import Flags, Floats, Ints
from processors.common.errors import FeedbackError


@dataclass(frozen=True)
class Feedback:
    """A log: n rows in the order in which they happened, each with the one action that was taken.

    Attributes
    ----------
    actions
        The action taken, numbered from 0, shape (n,).
    rewards
        The reward of the action, such as 1 for a click, shape (n,).
    propensities
        Probability with which the action was taken, above 0 and at most 1, shape (n,).
    n_actions
        Number of actions.
    available
        Which actions could have been taken, shape (n, actions); :obj:`None` if all could.
    positions
        Position on the page, or another grouping by which rewards differ, numbered from 0, shape (n,).
    logging
        Probabilities of all actions under the policy that ran, shape (n, actions), if they are known.
    predicted
        Reward of each action as predicted before the outcome was known, shape (n, actions).

    Raises
    ------
    FeedbackError
        If a column does not have its shape or range.

    Examples
    --------
    >>> Feedback(np.array([0, 1]), np.array([1.0, 0.0]), np.array([0.5, 0.0]), n_actions=2)
    Traceback (most recent call last):
    ...
    processors.common.errors.FeedbackError: row 1: propensity 0.0, expected above 0 and at most 1
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
        require(inside, self.actions, "action", f"0 to {self.n_actions - 1}")
        require(np.isfinite(self.rewards), self.rewards, "reward", "a finite number")
        likely = (self.propensities > 0.0) & (self.propensities <= 1.0)
        require(likely, self.propensities, "propensity", "above 0 and at most 1")
        if self.positions is not None:
            require(self.positions >= 0, self.positions, "position", "0 or more")
        if self.available is not None:
            possible = self.available[np.arange(len(self)), self.actions]
            require(possible, self.actions, "action", "one that was available")
        for table, name in ((self.logging, "logging probability"), (self.predicted, "predicted reward")):
            if table is not None:
                require(np.logical_and.reduce(np.isfinite(table), axis=1), table, name, "finite numbers")

    def __len__(self) -> int:
        return len(self.actions)

    def part(self, rows: Flags | slice) -> Feedback:
        """Return the log of some of the rows, given as a mask or a slice."""
        return replace(self, **{name: column[rows] for name, column in self._columns()})

    def _columns(self) -> Iterator[tuple[str, Any]]:
        for field in fields(self):
            column = getattr(self, field.name)
            if field.name != "n_actions" and column is not None:
                yield field.name, column


def require(good: Flags, values: Any, name: str, expected: str) -> None:
    """Check that a condition holds in every row.

    Parameters
    ----------
    good
        Whether it holds, shape (n,).
    values
        The values checked, by row.
    name, expected
        What a value is and what it should be, for the message.

    Raises
    ------
    FeedbackError
        Naming the first row in which the condition does not hold.
    """
    if not good.all():
        row = int(np.argmin(good))
        raise FeedbackError(f"row {row}: {name} {values[row]}, expected {expected}")
