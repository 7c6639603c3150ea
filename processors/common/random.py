"""Random numbers that follow from hashes alone, so that a replay of the same events draws the same numbers.

References
----------
S. Vigna's SplitMix64 mixes the bits. G. Box, M. Muller, "A note on the generation of random normal deviates", 1958.
"""

from __future__ import annotations

import numpy as np

from processors.common.arrays import Floats, Hashes

STEP = np.uint64(0x9E3779B97F4A7C15)
"""Increment of SplitMix64: a seed plus this gives the next random number."""

_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def uniform(seeds: Hashes) -> Floats:
    """Return uniform random numbers in (0, 1), one per seed. Equal seeds give equal numbers.

    Examples
    --------
    >>> uniform(np.array([1, 2], np.uint64)).round(3).tolist()
    [0.567, 0.591]
    """
    with np.errstate(over="ignore"):
        mixed = seeds + STEP
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
        mixed ^= mixed >> np.uint64(31)
    found: Floats = ((mixed >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
    return found


def normal(seeds: Hashes) -> Floats:
    """Return standard normal random numbers, one per seed. Equal seeds give equal numbers.

    Examples
    --------
    >>> first, second = normal(np.arange(2, dtype=np.uint64)), normal(np.arange(2, dtype=np.uint64))
    >>> bool((first == second).all()), bool(first[0] != first[1])
    (True, True)
    """
    radius = np.sqrt(-2.0 * np.log(uniform(seeds)))
    found: Floats = radius * np.cos(2.0 * np.pi * uniform(seeds ^ np.uint64(0xD1B54A32D192ED03)))
    return found
