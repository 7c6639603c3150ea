"""Logged bandit feedback: what was shown, how likely that was, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from processors.common.arrays import Flags, Floats, Ints
from processors.common.errors import FeedbackError


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
            shown = self.available[np.arange(len(self)), self.actions]
            require(shown, self.actions, "action", "one that was available")
        for table, name in ((self.logging, "logging probability"), (self.predicted, "predicted reward")):
            if table is not None:
                require(np.logical_and.reduce(np.isfinite(table), axis=1), table, name, "finite numbers")

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


def require(good: Flags, values: Any, name: str, expected: str) -> None:
    """Make sure that something holds of every row.

    Parameters
    ----------
    good
        Whether it does, shape (n,).
    values
        What it is about, by row.
    name, expected
        For the message.

    Raises
    ------
    FeedbackError
        With the first row of which it does not.
    """
    if not good.all():
        row = int(np.argmin(good))
        raise FeedbackError(f"row {row}: {name} {values[row]}, expected {expected}")
