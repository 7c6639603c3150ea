"""A place for new items: without being shown they would never become known.

Some slates give one of their places to a new item, drawn from the user's new candidates by their odds. Who gets it and
what is drawn follows from the user's latest event, not from a clock or a generator, so a replay draws the same. How
likely each item was to be in the slate, its propensity, goes into the message: what is learned from slates later needs
it.

References
----------
S. Gumbel's trick of drawing from a softmax by adding noise: C. Maddison, D. Tarlow, T. Minka, "A* sampling", NIPS 2014.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from processors.common.arrays import Flags, Floats, Hashes, Ints, run_begins, run_lengths
from processors.common.hashing import FINGERPRINT_BYTES
from processors.common.random import STEP, uniform
from processors.common.time import DAY_MS
from processors.models.exploration_rate import PARTS
from processors.ranking.frame import SLATES_AND_TRIALS, Frame, Stage
from processors.ranking.selection import position_in_slate
from processors.users.profile import Profile


@dataclass(frozen=True)
class Explored:
    """Slates after exploration, all of shape (users, size): candidates, which places are filled, propensities."""

    numbers: Ints
    filled: Flags
    propensities: Floats


@dataclass(frozen=True)
class Draw:
    """What is left to chance.

    Attributes
    ----------
    share
        Probability that a slate explores, if the user has a new candidate that is not in it.
    seeds
        One per user.
    """

    share: float
    seeds: Hashes


def explore(numbers: Ints, filled: Flags, scores: Floats, rows: Ints, new: Flags, ties: Floats, draw: Draw) -> Explored:
    """Give one place of some slates to a new item.

    Parameters
    ----------
    numbers, filled
        Slates of shape (users, size), as candidate numbers.
    scores, rows, new, ties
        Of each candidate: score, user, whether it may be drawn, hash of its item.
    draw
        How likely each slate is to explore, and by which chance.

    Examples
    --------
    >>> slates = np.array([[0, 1]]), np.array([[True, True]])
    >>> explored = explore(
    ...     *slates,
    ...     np.array([2.0, 1.0, 0.0]),
    ...     np.zeros(3, int),
    ...     np.array([False, False, True]),
    ...     np.array([0.1, 0.2, 0.3]),
    ...     Draw(1.0, np.array([7], np.uint64)),
    ... )
    >>> explored.numbers.tolist(), explored.propensities.tolist()
    ([[2, 1]], [[1.0, 0.5]])
    """
    (users, size), share, seeds = numbers.shape, draw.share, draw.seeds
    propensities = np.ones((users, size))
    free = new.copy()
    free[numbers[filled]] = False
    at = np.flatnonzero(free)
    lengths = filled.sum(axis=1)
    if not share or not len(at):
        return Explored(numbers, filled, propensities)
    able = np.unique(rows[at])
    able = able[lengths[able] > 0]
    propensities[able] = 1.0 - share / lengths[able, None]
    coins = uniform(seeds)
    places = (uniform(seeds + STEP) * lengths).astype(np.int64)
    drawn, chances = _draw(at, scores, rows, ties, seeds)
    numbers = numbers.copy()
    for user, number, chance in zip(rows[drawn].tolist(), drawn.tolist(), chances.tolist(), strict=True):
        if lengths[user] and coins[user] < share:
            numbers[user, places[user]] = number
            propensities[user, places[user]] = share * chance
    return Explored(numbers, filled, propensities)


def seeds_of(profiles: Sequence[Profile]) -> Hashes:
    r"""A seed per user, from the user's latest event.

    Examples
    --------
    >>> seeds_of([Profile(), Profile(event_ids=bytes(7) + b"\x01")]).tolist()
    [0, 72057594037927936]
    """
    marks = (profile.event_ids[-FINGERPRINT_BYTES:] for profile in profiles)
    return np.array([int.from_bytes(mark, "little") for mark in marks], np.uint64)


def _draw(at: Ints, scores: Floats, rows: Ints, ties: Floats, seeds: Hashes) -> tuple[Ints, Floats]:
    """For each user with candidates ``at``, one of them by the softmax of the scores, and how likely it was."""
    of_user = rows[at]
    begins = run_begins(of_user)
    counts = run_lengths(begins, len(at))
    odds = np.exp(scores[at] - np.repeat(np.maximum.reduceat(scores[at], begins), counts))
    noise = uniform(seeds[of_user] ^ (ties[at] * 2.0**53).astype(np.uint64))
    keys = np.log(odds + 1e-300) - np.log(-np.log(noise))
    best = np.repeat(np.maximum.reduceat(keys, begins), counts)
    winners = np.flatnonzero(keys == best)
    winners = winners[run_begins(of_user[winners])]
    total = np.add.reduceat(odds, begins)
    return at[winners], odds[winners] / total


class Explore(Stage):
    """Give one position of some slates to a new item.

    Parameters
    ----------
    share
        Share of the slates that explore, at most; the bandit's arm says which part of it is used.
    new_item_days
        How long an item is new after it was first seen.
    """

    name = "explore"
    purposes = SLATES_AND_TRIALS

    def __init__(self, share: float, new_item_days: float) -> None:
        self._share, self._new_ms = share, int(new_item_days * DAY_MS)

    def could(self, frame: Frame) -> bool:
        """Tell whether any slate of the frame might explore: a new item is among the candidates that are kept."""
        return bool(self._share and (frame.kept & self._are_new(frame)).any())

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        seeds = frame.once("seeds", lambda: seeds_of(frame.profiles))
        draw = Draw(self._share * PARTS[frame.read.weights.arm], seeds + np.uint64(frame.number))
        new = frame.kept & self._are_new(frame)
        explored = explore(frame.numbers, frame.filled, frame.offered, frame.candidates.rows, new, frame.ties, draw)
        frame.numbers, frame.propensities = explored.numbers, explored.propensities
        return frame

    def why(self, before: Frame, after: Frame, number: int) -> str | None:
        """See :class:`processors.ranking.frame.Stage`."""
        if position_in_slate(before, number) is None or position_in_slate(after, number) is not None:
            return None
        return "its position went to a new item, which is shown so that it becomes known"

    def _are_new(self, frame: Frame) -> Flags:
        candidates = frame.candidates
        since = candidates.visitors.now_ms[candidates.rows] - self._new_ms
        new: Flags = frame.read.items.attributes.since[candidates.slots] > since
        return new
