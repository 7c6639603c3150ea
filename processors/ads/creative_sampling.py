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
        drawn = (mean + normal(keys) * spread)[None, :]
        return cls(firsts, lengths, mean, spread, keys, _first_best(drawn, firsts, lengths)[0])

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
        drawn = self.mean[flat] + normal(keys.ravel()).reshape(keys.shape) * self.spread[flat]
        best = _first_best(drawn, begins[:-1], lengths) + begins[:-1]
        return begins, np.bincount(best.ravel(), minlength=len(flat)) / DRAWS


def _first_best(drawn: Floats, firsts: Ints, lengths: Ints) -> Ints:
    """Find the largest of each row and group, the first of equals, counted within the group; shape (rows, groups)."""
    groups = np.repeat(np.arange(len(firsts)), lengths)
    numbers = np.arange(drawn.shape[1]) - firsts[groups]
    best = drawn == np.maximum.reduceat(drawn, firsts, axis=1)[:, groups]
    found: Ints = np.minimum.reduceat(np.where(best, numbers, drawn.shape[1]), firsts, axis=1)
    return found
