"""Exploration: some slates give one position to a new item, which would not become known without being shown.

The item is drawn from the user's new candidates, by the softmax of their scores. Which slates explore and what is drawn
follows from the user's latest event, not from a clock or a random generator, so that a replay draws the same. The
propensity of each item, the probability that it was to be in the slate, goes into the message: off-policy evaluation
needs it.

References
----------
C. Maddison, D. Tarlow, T. Minka, "A* sampling", NIPS 2014: the Gumbel-max trick, which draws from a softmax by adding
noise to the scores.
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
    """Slates after exploration.

    Attributes
    ----------
    numbers, filled
        The candidate number at each position, and which positions are filled, shape (users, size).
    propensities
        Probability that the item at each position was to be in the slate, shape (users, size); 1 if nothing was left
        to chance.
    """

    numbers: Ints
    filled: Flags
    propensities: Floats


@dataclass(frozen=True)
class Draw:
    """How chance decides.

    Attributes
    ----------
    share
        Probability, 0 to 1, that a slate explores if the user has a new candidate that is not in it.
    seeds
        Seed of each user's random numbers, uint64 of shape (users,).
    """

    share: float
    seeds: Hashes


def explore(numbers: Ints, filled: Flags, scores: Floats, rows: Ints, new: Flags, ties: Floats, draw: Draw) -> Explored:
    """Give one position of some slates to a new item.

    Parameters
    ----------
    numbers, filled
        The candidate number at each position, and which positions are filled, shape (users, size).
    scores, rows, new, ties
        One per candidate: its score, its user, whether its item may be drawn, and the hash of its item in [0, 1).
    draw
        How likely each slate is to explore, and the seeds.

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
    propensities, lengths = np.ones(numbers.shape), filled.sum(axis=1)
    free = new.copy()
    free[numbers[filled]] = False
    at = np.flatnonzero(free)
    if not draw.share or not len(at):
        return Explored(numbers, filled, propensities)
    able = np.unique(rows[at])
    able = able[lengths[able] > 0]
    propensities[able] = 1.0 - draw.share / lengths[able, None]
    drawn, chances = _draw(at, scores, rows, ties, draw.seeds)
    numbers = numbers.copy()
    explores, positions = _exploring(lengths, draw)
    for user, number, chance in zip(rows[drawn].tolist(), drawn.tolist(), chances.tolist(), strict=True):
        if explores[user]:
            numbers[user, positions[user]] = number
            propensities[user, positions[user]] = draw.share * chance
    return Explored(numbers, filled, propensities)


def _exploring(lengths: Ints, draw: Draw) -> tuple[Flags, Ints]:
    """Draw which slates explore, given how many positions are filled, and the position that each of them gives away."""
    positions = (uniform(draw.seeds + STEP) * lengths).astype(np.int64)
    return (lengths > 0) & (uniform(draw.seeds) < draw.share), positions


def seeds_of(profiles: Sequence[Profile]) -> Hashes:
    r"""Return a seed per user, the fingerprint of the user's latest event; 0 for users without any.

    Examples
    --------
    >>> seeds_of([Profile(), Profile(event_ids=bytes(7) + b"\x01")]).tolist()
    [0, 72057594037927936]
    """
    marks = (profile.event_ids[-FINGERPRINT_BYTES:] for profile in profiles)
    return np.array([int.from_bytes(mark, "little") for mark in marks], np.uint64)


def _draw(at: Ints, scores: Floats, rows: Ints, ties: Floats, seeds: Hashes) -> tuple[Ints, Floats]:
    """Draw one candidate for each user who has any, by the softmax of the scores.

    Parameters
    ----------
    at
        Numbers of the candidates to draw from, in ascending order.
    scores, rows, ties
        One per candidate, as in :func:`explore`.
    seeds
        One per user.

    Returns
    -------
    numbers, chances
        The candidates drawn, and the probability of each among the user's.
    """
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
    """Give one position of some slates to a new item, so that it becomes known.

    Parameters
    ----------
    share
        Share of the slates that explore, 0 to 1, at most: a bandit chooses which part of it is used
        (:mod:`processors.models.exploration_rate`).
    new_item_days
        Days after it was first seen for which an item is new.
    """

    name = "explore"
    purposes = SLATES_AND_TRIALS

    def __init__(self, share: float, new_item_days: float) -> None:
        self._share, self._new_ms = share, int(new_item_days * DAY_MS)

    def may_explore(self, frame: Frame) -> bool:
        """Tell whether any slate of the frame may explore: whether any candidate that is kept is a new item."""
        return bool(self._share and (frame.kept & self._are_new(frame)).any())

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        seeds = frame.once("seeds", lambda: seeds_of(frame.profiles))
        draw = Draw(self._share * PARTS[frame.read.weights.arm], seeds + np.uint64(frame.number))
        new = frame.kept & self._are_new(frame)
        explored = explore(frame.numbers, frame.filled, frame.kept_scores, frame.candidates.rows, new, frame.ties, draw)
        frame.numbers, frame.propensities = explored.numbers, explored.propensities
        return frame

    def why(self, before: Frame, after: Frame, number: int) -> str | None:
        """See :class:`processors.ranking.frame.Stage`."""
        if position_in_slate(before, number) is None or position_in_slate(after, number) is not None:
            return None
        return "its position went to a new item, which is shown so that it becomes known"

    def _are_new(self, frame: Frame) -> Flags:
        """Tell which candidates are new items at the moment of their slate, shape (candidates,)."""
        candidates = frame.candidates
        since = candidates.visitors.now_ms[candidates.rows] - self._new_ms
        new: Flags = frame.read.items.attributes.since[candidates.slots] > since
        return new
