"""Which creative of a campaign is shown: draws by Thompson sampling, and how likely each was.

References
----------
O. Chapelle, L. Li, "An empirical evaluation of Thompson sampling", NIPS 2011.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from processors.common.arrays import Floats, Hashes, Ints
from processors.common.compiled import kernel
from processors.common.random import normal

DRAWS = 32
"""Draws that the shares of creatives are counted from."""


@dataclass(frozen=True)
class CreativeDraws:
    """Groups of creatives, one group for each bid, and the creative that was drawn from each.

    Parameters
    ----------
    begins
        Where each group begins in the flat arrays, and the end of the last; shape (groups + 1,).
    mean, spread
        The score of each creative, and how uncertain the score is: its standard deviation. Shape (creatives,).
    keys
        What the chance of each creative is drawn from; shape (creatives,).
    chosen
        Which creative of each group was drawn, counted in the flat arrays; shape (groups,).
    """

    begins: Ints
    mean: Floats
    spread: Floats
    keys: Hashes
    chosen: Ints

    @classmethod
    def of(cls, begins: Ints, mean: Floats, spread: Floats, keys: Hashes) -> Self:
        """Draw one creative from each group.

        Examples
        --------
        >>> begins, keys = np.array([0, 2, 3]), np.arange(3, dtype=np.uint64)
        >>> CreativeDraws.of(begins, np.array([0.0, 9.0, 1.0]), np.full(3, 0.5), keys).chosen.tolist()
        [1, 2]
        """
        return cls(begins, mean, spread, keys, _chosen(normal(keys), mean, spread, begins))

    def shares(self, groups: Ints) -> tuple[Ints, Ints, Floats]:
        """Count which share of :data:`DRAWS` draws choose each creative of some groups.

        All draws are alike, and any of them could have been the one that counted: given the draws, the shares are
        exactly the probabilities of what was shown.

        Returns
        -------
        begins : int64 array of shape (groups + 1,)
            Where each group begins in the next two, and the end of the last.
        creatives : int64 array
            The creatives of the groups, counted in the flat arrays.
        shares : float64 array
            Those of each group sum to 1.

        Examples
        --------
        >>> begins, keys = np.array([0, 1, 3]), np.arange(3, dtype=np.uint64)
        >>> draws = CreativeDraws.of(begins, np.array([0.0, 9.0, 1.0]), np.full(3, 0.5), keys)
        >>> [found.tolist() for found in draws.shares(np.array([1, 0]))]
        [[0, 2, 3], [1, 2, 0], [1.0, 0.0, 1.0]]
        """
        begins, creatives, seeds = self.redrawn(groups, DRAWS)
        return begins, creatives, _counted(normal(seeds), self.mean, self.spread, begins, creatives, DRAWS)

    def redrawn(self, groups: Ints, draws: int) -> tuple[Ints, Ints, Hashes]:
        """Lay out the creatives of some groups, and seeds for so many draws of all of them, one draw after another.

        Returns
        -------
        begins, creatives, seeds
            Where each group begins, the creatives in the flat arrays, and the seeds, shape (draws * creatives,).
        """
        begins, creatives, seeds = _redrawn(groups, self.begins, self.keys, draws)
        return begins, creatives, seeds


@kernel
def _chosen(noise, mean, spread, begins):  # type: ignore[no-untyped-def]  # numba finds the types
    """Find the creative with the highest draw of each group, the first of equals."""
    found = np.zeros(len(begins) - 1, np.int64)
    for group in range(len(begins) - 1):
        highest = -np.inf
        for at in range(begins[group], begins[group + 1]):
            drawn = mean[at] + noise[at] * spread[at]
            if drawn > highest:
                found[group], highest = at, drawn
    return found


@kernel
def _redrawn(groups, begins, keys, draws):  # type: ignore[no-untyped-def]  # numba finds the types
    """Lay out the creatives of some groups, and seeds for draws of all of them, one draw after another."""
    ends = np.zeros(len(groups) + 1, np.int64)
    for at in range(len(groups)):
        ends[at + 1] = ends[at] + begins[groups[at] + 1] - begins[groups[at]]
    creatives = np.empty(ends[-1], np.int64)
    for at in range(len(groups)):
        for number in range(ends[at + 1] - ends[at]):
            creatives[ends[at] + number] = begins[groups[at]] + number
    seeds = np.empty(draws * len(creatives), np.uint64)
    for draw in range(draws):
        for at in range(len(creatives)):
            seeds[draw * len(creatives) + at] = keys[creatives[at]] + np.uint64(draw)
    return ends, creatives, seeds


@kernel
def _counted(noise, mean, spread, begins, creatives, draws):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return which share of the draws choose each creative of each group; ``noise`` has one draw after another."""
    shares = np.zeros(len(creatives))
    for draw in range(draws):
        for group in range(len(begins) - 1):
            best, highest = begins[group], -np.inf
            for at in range(begins[group], begins[group + 1]):
                creative = creatives[at]
                drawn = mean[creative] + noise[draw * len(creatives) + at] * spread[creative]
                if drawn > highest:
                    best, highest = at, drawn
            shares[best] += 1.0 / draws
    return shares
