"""Forward decay: exponential forgetting by half-lives, without touching what is stored.

A backward-decayed weight must be multiplied down at every read. A forward-decayed one is stored relative to a
*landmark* in the past: an event at time ``t`` adds ``2 ** ((t - landmark) / half_life)``, so weights of different ages
compare directly and only rise. Landmarks sit on a fixed grid of event time, so that any two workers agree on them
whatever the order of events.

References
----------
G. Cormode, V. Shkapenyuk, D. Srivastava, B. Xu, "Forward decay: a practical time decay model for streaming systems",
ICDE 2009.
"""

import math

GRID_HALF_LIVES = 16
"""Landmarks are this many half-lives apart, which keeps growth factors below 2**17."""


def landmark_at(at_ms: int, half_life_ms: int) -> int:
    """Return the landmark in force at a time.

    Parameters
    ----------
    at_ms, half_life_ms
        The time, milliseconds since the epoch, and the half-life in milliseconds.

    Examples
    --------
    >>> landmark_at(1000, 10), landmark_at(1119, 10), landmark_at(1120, 10)
    (960, 960, 1120)
    """
    step = half_life_ms * GRID_HALF_LIVES
    return at_ms // step * step


def growth(at_ms: int, landmark_ms: int, half_life_ms: int) -> float:
    """Return the weight relative to a landmark that an event of weight one at a time adds.

    Events from before the landmark add less than one. The exponent is held within ±1000, so that the result is finite.

    Parameters
    ----------
    at_ms, landmark_ms
        Milliseconds since the epoch.
    half_life_ms
        After this many milliseconds a weight counts half.

    Examples
    --------
    >>> growth(20, 0, 10), growth(-10, 0, 10)
    (4.0, 0.5)
    """
    exponent = (at_ms - landmark_ms) / half_life_ms
    return math.exp2(max(-1000.0, min(exponent, 1000.0)))


def rebase(old_landmark_ms: int, new_landmark_ms: int, half_life_ms: int) -> float:
    """Return the factor by which stored weights are multiplied when the landmark moves to a later one.

    Weights relative to different landmarks must not be added up.

    Examples
    --------
    >>> rebase(0, 160, 10) == 2.0**-16
    True
    """
    return growth(old_landmark_ms, new_landmark_ms, half_life_ms)
