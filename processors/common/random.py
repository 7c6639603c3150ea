"""Random numbers that follow from hashes alone, so that a replay of the same events draws the same numbers.

References
----------
S. Vigna's SplitMix64 mixes the bits. G. Box, M. Muller, "A note on the generation of random normal deviates", 1958.
"""

from __future__ import annotations

import math

import numpy as np

from processors.common.arrays import Floats, Hashes
from processors.common.compiled import kernel

STEP = np.uint64(0x9E3779B97F4A7C15)
"""Increment of SplitMix64: a seed plus this gives the next random number."""

_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_BITS_11, _BITS_27, _BITS_30, _BITS_31 = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)
_OTHER = np.uint64(0xD1B54A32D192ED03)


def uniform(seeds: Hashes) -> Floats:
    """Return uniform random numbers in (0, 1), one per seed. Equal seeds give equal numbers.

    Parameters
    ----------
    seeds
        Array of shape (numbers,).

    Examples
    --------
    >>> uniform(np.array([1, 2], np.uint64)).round(3).tolist()
    [0.567, 0.591]
    """
    with np.errstate(over="ignore"):  # seeds wrap around on purpose, and say so where nothing is compiled
        found: Floats = _uniform_each(seeds)
    return found


def normal(seeds: Hashes) -> Floats:
    """Return standard normal random numbers, one per seed. Equal seeds give equal numbers.

    Parameters
    ----------
    seeds
        Array of shape (numbers,).

    Examples
    --------
    >>> first, second = normal(np.arange(2, dtype=np.uint64)), normal(np.arange(2, dtype=np.uint64))
    >>> bool((first == second).all()), bool(first[0] != first[1])
    (True, True)
    """
    with np.errstate(over="ignore"):
        found: Floats = _normal_each(seeds)
    return found


@kernel
def _uniform_each(seeds):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return :func:`uniform`."""
    found = np.empty(len(seeds))
    for at in range(len(seeds)):
        found[at] = _uniform(seeds[at])
    return found


@kernel
def _normal_each(seeds):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return :func:`normal`."""
    found = np.empty(len(seeds))
    for at in range(len(seeds)):
        radius = math.sqrt(-2.0 * math.log(_uniform(seeds[at])))
        found[at] = radius * math.cos(2.0 * math.pi * _uniform(seeds[at] ^ _OTHER))
    return found


@kernel
def _uniform(seed):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return the uniform random number of one seed."""
    mixed = seed + STEP
    mixed = (mixed ^ (mixed >> _BITS_30)) * _FIRST
    mixed = (mixed ^ (mixed >> _BITS_27)) * _SECOND
    mixed ^= mixed >> _BITS_31
    # The greatest one would be rounded to 1.
    return min((np.float64(mixed >> _BITS_11) + 0.5) / 2.0**53, 1.0 - 2.0**-53)
