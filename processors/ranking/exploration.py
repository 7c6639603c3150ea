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

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from processors.common.arrays import Flags, Floats, Hashes, Ints
from processors.common.compiled import kernel
from processors.common.hashing import FINGERPRINT_BYTES
from processors.common.time import DAY_MS
from processors.models.exploration_rate import PARTS
from processors.ranking.frame import SLATES_AND_TRIALS, Frame, Stage
from processors.ranking.selection import position_in_slate
from processors.users.profile import Profile

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_BITS_11, _BITS_27, _BITS_30, _BITS_31 = (np.uint64(bits) for bits in (11, 27, 30, 31))


class Explored(msgspec.Struct, frozen=True):
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


class Draw(msgspec.Struct, frozen=True):
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


def explore(
    begins: Ints, numbers: Ints, filled: Flags, scores: Floats, new: Flags, ties: Floats, draw: Draw
) -> Explored:
    """Give one position of some slates to a new item.

    Parameters
    ----------
    begins
        Number of each user's first candidate, and the number of candidates, shape (users + 1,).
    numbers, filled
        The candidate number at each position, and which positions are filled, shape (users, size).
    scores, new, ties
        One per candidate: its score, whether its item may be drawn, and the hash of its item in [0, 1).
    draw
        How likely each slate is to explore, and the seeds.

    Examples
    --------
    >>> slates = np.array([[0, 1]]), np.array([[True, True]])
    >>> explored = explore(
    ...     np.array([0, 3]),
    ...     *slates,
    ...     np.array([2.0, 1.0, 0.0]),
    ...     np.array([False, False, True]),
    ...     np.array([0.1, 0.2, 0.3]),
    ...     Draw(1.0, np.array([7], np.uint64)),
    ... )
    >>> explored.numbers.tolist(), explored.propensities.tolist()
    ([[2, 1]], [[1.0, 0.5]])
    """
    if not draw.share:
        return Explored(numbers, filled, np.ones(numbers.shape))
    with np.errstate(over="ignore"):  # seeds wrap around on purpose, and say so where nothing is compiled
        chosen, propensities = _explored(begins, numbers, filled, scores, new, ties, draw.share, draw.seeds)
    return Explored(chosen, filled, propensities)


@kernel
def _explored(begins, numbers, filled, scores, new, ties, share, seeds):  # type: ignore[no-untyped-def]  # noqa: C901  # numba finds the types
    """Return numbers and propensities of :func:`explore`."""
    users, size = numbers.shape
    chosen, propensities, shown = numbers.copy(), np.ones((users, size)), np.zeros(len(new), np.bool_)
    for user in range(users):
        length = 0
        for position in range(size):
            if filled[user, position]:
                length += 1
                shown[numbers[user, position]] = True
        highest = -np.inf
        for at in range(begins[user], begins[user + 1]):
            if new[at] and not shown[at]:
                highest = max(highest, scores[at])
        if not length or highest == -np.inf:
            continue
        for position in range(size):
            propensities[user, position] = 1.0 - share / length
        if _uniform(seeds[user]) >= share:
            continue
        # Gumbel noise added to a logit and the greatest sum taken is a draw from the softmax.
        drawn, best, odds_drawn, total = -1, -np.inf, 0.0, 0.0
        for at in range(begins[user], begins[user + 1]):
            if new[at] and not shown[at]:
                odds = math.exp(scores[at] - highest)
                noise = _uniform(seeds[user] ^ np.uint64(ties[at] * 2.0**53))
                value = math.log(odds + 1e-300) - math.log(-math.log(noise))
                total += odds
                if value > best:
                    drawn, best, odds_drawn = at, value, odds
        given = np.int64(_uniform(seeds[user] + _STEP) * length)
        chosen[user, given] = drawn
        propensities[user, given] = share * odds_drawn / total
    return chosen, propensities


@kernel
def _uniform(seed):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return a uniform random number in (0, 1), as :func:`processors.common.random.uniform` does for many seeds."""
    mixed = seed + _STEP
    mixed = (mixed ^ (mixed >> _BITS_30)) * _FIRST
    mixed = (mixed ^ (mixed >> _BITS_27)) * _SECOND
    mixed ^= mixed >> _BITS_31
    # The greatest one would be rounded to 1.
    return min((np.float64(mixed >> _BITS_11) + 0.5) / 2.0**53, 1.0 - 2.0**-53)


def seeds_of(profiles: Sequence[Profile]) -> Hashes:
    r"""Return a seed per user, the fingerprint of the user's latest event; 0 for users without any.

    Examples
    --------
    >>> seeds_of([Profile(), Profile(event_ids=bytes(7) + b"\x01")]).tolist()
    [0, 72057594037927936]
    """
    marks = (profile.event_ids[-FINGERPRINT_BYTES:] for profile in profiles)
    return np.array([int.from_bytes(mark, "little") for mark in marks], np.uint64)


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
        return bool(self._share and self._are_new(frame).any())

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        seeds = frame.once("seeds", lambda: seeds_of(frame.profiles))
        draw = Draw(self._share * PARTS[frame.read.weights.arm], seeds + np.uint64(frame.number))
        new = self._are_new(frame)
        explored = explore(
            frame.candidates.begins, frame.numbers, frame.filled, frame.kept_scores, new, frame.ties, draw
        )
        frame.numbers, frame.propensities = explored.numbers, explored.propensities
        return frame

    def why(self, before: Frame, after: Frame, number: int) -> str | None:
        """See :class:`processors.ranking.frame.Stage`."""
        if position_in_slate(before, number) is None or position_in_slate(after, number) is not None:
            return None
        return "its position went to a new item, which is shown so that it becomes known"

    def _are_new(self, frame: Frame) -> Flags:
        """Tell which candidates that are kept are new items at the moment of their slate, shape (candidates,)."""
        candidates = frame.candidates
        found: Flags = _new(
            candidates.rows,
            candidates.slots,
            candidates.visitors.now_ms,
            frame.read.items.attributes.since,
            frame.kept,
            self._new_ms,
        )
        return found


@kernel
def _new(rows, slots, now_ms, since, kept, new_ms):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return which candidates are kept and younger than ``new_ms``."""
    new = np.empty(len(slots), np.bool_)
    for at in range(len(slots)):
        new[at] = kept[at] and since[slots[at]] > now_ms[rows[at]] - new_ms
    return new
