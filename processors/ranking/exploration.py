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
from processors.ranking.selection import pinned_candidates, position_in_slate
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


class Bounds(msgspec.Struct, frozen=True):
    """What exploration must not break.

    Attributes
    ----------
    pinned
        The candidates that rules pin in each slate, shape (users, pins), -1 for none: they keep their positions.
    labels, at_most
        For each cap: the label of every candidate, 0 for those that it does not bound, shape (caps, candidates); and
        how many of a label a slate may have, shape (caps,).
    """

    pinned: Ints
    labels: Ints
    at_most: Ints

    @classmethod
    def of(cls, frame: Frame) -> Bounds:
        """Take the bounds from the rules that are in force for a frame."""
        slots, caps = frame.candidates.slots, frame.effects.caps
        everything, labels = np.arange(len(slots)), np.empty((len(caps), len(slots)), np.int64)
        for row, cap in enumerate(caps):
            labels[row] = cap.labels_of(everything, slots)
        return cls(pinned_candidates(frame), labels, np.array([cap.at_most for cap in caps], np.int64))


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
    begins: Ints,
    numbers: Ints,
    filled: Flags,
    scores: Floats,
    new: Flags,
    ties: Floats,
    draw: Draw,
    bounds: Bounds,
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
    bounds
        What must not be broken: a position is drawn among those that are not pinned, and for it an item among those
        that the caps allow in the place of the one that stands there. Where they allow none, the slate stays as it is.

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
    ...     Bounds(np.empty((1, 0), np.int64), np.empty((0, 3), np.int64), np.empty(0, np.int64)),
    ... )
    >>> explored.numbers.tolist(), explored.propensities.tolist()
    ([[2, 1]], [[1.0, 0.5]])
    """
    if not draw.share:
        return Explored(numbers, filled, np.ones(numbers.shape))
    with np.errstate(over="ignore"):  # seeds wrap around on purpose, and say so where nothing is compiled
        chosen, propensities = _explored(
            begins, numbers, filled, scores, new, ties, draw.share, draw.seeds, bounds.pinned, bounds.labels,
            bounds.at_most,
        )  # fmt: skip
    return Explored(chosen, filled, propensities)


@kernel
def _explored(  # type: ignore[no-untyped-def]  # noqa: C901  # numba finds the types
    begins, numbers, filled, scores, new, ties, share, seeds, pinned, labels, at_most
):
    """Return numbers and propensities of :func:`explore`."""
    users, size = numbers.shape
    chosen, propensities, shown = numbers.copy(), np.ones((users, size)), np.zeros(len(new), np.bool_)
    free, totals = np.empty(size, np.int64), np.empty(size)
    for user in range(users):
        n = 0
        for position in range(size):
            if filled[user, position]:
                shown[numbers[user, position]] = True
                is_pinned = False
                for pin in range(pinned.shape[1]):
                    is_pinned = is_pinned or pinned[user, pin] == numbers[user, position]
                if not is_pinned:
                    free[n] = position
                    n += 1
        highest = -np.inf
        for at in range(begins[user], begins[user + 1]):
            if new[at] and not shown[at]:
                highest = max(highest, scores[at])
        if not n or highest == -np.inf:
            continue
        for place in range(n):
            if place > 0 and len(at_most) == 0:
                totals[place] = totals[0]
                propensities[user, free[place]] = 1.0 - share / n
                continue
            totals[place] = 0.0
            for at in range(begins[user], begins[user + 1]):
                if new[at] and not shown[at] and _fits(at, numbers[user], filled[user], free[place], labels, at_most):
                    totals[place] += math.exp(scores[at] - highest)
            if totals[place] > 0.0:
                propensities[user, free[place]] = 1.0 - share / n
        given = np.int64(_uniform(seeds[user] + _STEP) * n)
        if _uniform(seeds[user]) >= share or totals[given] <= 0.0:
            continue
        # Gumbel noise added to a logit and the greatest sum taken is a draw from the softmax.
        drawn, best = -1, -np.inf
        for at in range(begins[user], begins[user + 1]):
            if new[at] and not shown[at] and _fits(at, numbers[user], filled[user], free[given], labels, at_most):
                noise = _uniform(seeds[user] ^ np.uint64(ties[at] * 2.0**53))
                value = math.log(math.exp(scores[at] - highest) + 1e-300) - math.log(-math.log(noise))
                if value > best:
                    drawn, best = at, value
        # It could have been drawn for any of the positions that it fits.
        odds, chance = math.exp(scores[drawn] - highest), 0.0
        chosen[user, free[given]] = drawn
        if len(at_most) == 0:
            propensities[user, free[given]] = share * odds / totals[0]
            continue
        for place in range(n):
            if totals[place] > 0.0 and _fits(drawn, numbers[user], filled[user], free[place], labels, at_most):
                chance += odds / totals[place]
        propensities[user, free[given]] = share * chance / n
    return chosen, propensities


@kernel
def _fits(candidate, numbers, filled, given, labels, at_most):  # type: ignore[no-untyped-def]  # numba finds the types
    """Tell whether the caps allow a candidate at a position of a slate, in the place of what stands there."""
    for cap in range(len(at_most)):
        label, there = labels[cap, candidate], 0
        if label > 0:
            for position in range(len(numbers)):
                if filled[position] and position != given:
                    there += labels[cap, numbers[position]] == label
            if there >= at_most[cap]:
                return False
    return True


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
            frame.candidates.begins, frame.numbers, frame.filled, frame.kept_scores, new, frame.ties, draw,
            Bounds.of(frame),
        )  # fmt: skip
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
