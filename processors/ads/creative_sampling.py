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
    firsts, lengths
        Where each group begins in the flat arrays, and how many creatives it has; shape (groups,).
    mean, spread
        The score of each creative, and how uncertain the score is: its standard deviation. Shape (creatives,).
    keys
        What the chance of each creative is drawn from; shape (creatives,).
    chosen
        Which creative of each group was drawn, from 0 on; shape (groups,).
    """

    firsts: Ints
    lengths: Ints
    mean: Floats
    spread: Floats
    keys: Hashes
    chosen: Ints

    @classmethod
    def of(cls, lengths: Ints, mean: Floats, spread: Floats, keys: Hashes) -> Self:
        """Draw one creative from each group.

        Examples
        --------
        >>> lengths, keys = np.array([2, 1]), np.arange(3, dtype=np.uint64)
        >>> CreativeDraws.of(lengths, np.array([0.0, 9.0, 1.0]), np.full(3, 0.5), keys).chosen.tolist()
        [1, 0]
        """
        firsts = np.cumsum(lengths) - lengths
        return cls(firsts, lengths, mean, spread, keys, _chosen(normal(keys), mean, spread, firsts, lengths))

    def members(self, groups: Ints) -> Ints:
        """Find the creatives of some groups in the flat arrays, one group's after the other's."""
        lengths = self.lengths[groups]
        begins = np.cumsum(lengths) - lengths
        found: Ints = np.arange(int(lengths.sum())) + np.repeat(self.firsts[groups] - begins, lengths)
        return found

    def shares(self, groups: Ints) -> tuple[Ints, Floats]:
        """Count which share of :data:`DRAWS` draws choose each creative of some groups.

        All draws are alike, and any of them could have been the one that counted: given the draws, the shares are
        exactly the probabilities of what was shown.

        Returns
        -------
        begins : int64 array of shape (groups + 1,)
            Where the shares of each group begin, and the end of the last.
        shares : float64 array
            Those of each group sum to 1.

        Examples
        --------
        >>> lengths, keys = np.array([1, 2]), np.arange(3, dtype=np.uint64)
        >>> draws = CreativeDraws.of(lengths, np.array([0.0, 9.0, 1.0]), np.full(3, 0.5), keys)
        >>> [found.tolist() for found in draws.shares(np.array([1, 0]))]
        [[0, 2, 3], [1.0, 0.0, 1.0]]
        """
        lengths, flat = self.lengths[groups], self.members(groups)
        begins = np.concatenate([[0], np.cumsum(lengths)])
        if not len(groups):
            return begins, np.empty(0)
        keys = self.keys[flat][None, :] + np.arange(DRAWS, dtype=np.uint64)[:, None]
        return begins, _counted(normal(keys.ravel()), self.mean[flat], self.spread[flat], begins) / DRAWS


@kernel
def _chosen(noise, mean, spread, firsts, lengths):  # type: ignore[no-untyped-def]  # numba finds the types
    """Find the creative with the highest draw of each group, the first of equals, counted within the group."""
    found = np.zeros(len(firsts), np.int64)
    for group in range(len(firsts)):
        first, highest = firsts[group], -np.inf
        for at in range(first, first + lengths[group]):
            drawn = mean[at] + noise[at] * spread[at]
            if drawn > highest:
                found[group], highest = at - first, drawn
    return found


@kernel
def _counted(noise, mean, spread, begins):  # type: ignore[no-untyped-def]  # numba finds the types
    """Count how many draws choose each creative of each group; ``noise`` has those of one draw after another."""
    creatives = len(mean)
    counts = np.zeros(creatives)
    for before in range(0, len(noise), creatives):
        for group in range(len(begins) - 1):
            best, highest = begins[group], -np.inf
            for at in range(begins[group], begins[group + 1]):
                drawn = mean[at] + noise[before + at] * spread[at]
                if drawn > highest:
                    best, highest = at, drawn
            counts[best] += 1.0
    return counts
