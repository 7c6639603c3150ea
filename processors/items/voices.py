"""How much each touch of an item counts: repetitions less and less, accounts without a past within a bound.

The users plane says with each touch how often its user has touched the item, and whether the user has a past
(:mod:`processors.users.influence`). The ``n``-th touch counts ``n`` to the minus a power: with the power 2 the touches
of one user never come to more than 1.65. Touches by accounts without a past are summed up apart, and count up to a
multiple of what the others bring: a thousand fresh accounts with one click each are no trend, while an item that
people come upon first is not at a disadvantage as long as others choose it, too.

Facts that events say of an item (category, brand, price) are kept by majority: a new one replaces the present one only
once as much was said against that as for it, up to a bound (Boyer and Moore's majority vote). So one event with a price
of a billion changes nothing that several have said before, and is corrected by the next if it was the first.

References
----------
R. S. Boyer and J S. Moore, "MJRTY: A Fast Majority Vote Algorithm", 1991.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from processors.common.bounds import Power, Rate

Fact = TypeVar("Fact", str, float)

_MOST_VOTES = 3.0
_NO_PAST = 0.25
"""What a fact counts that is said by an account without a past."""

_ALIKE = 1.5
"""Prices that differ by less than this factor do not contradict each other."""


class VoiceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How touches count.

    Parameters
    ----------
    repeat_power
        A user's ``n``-th touch of an item counts ``n`` to the minus this power; with 0 all count alike.
    newcomers_ratio
        Touches by accounts without a past count up to this multiple of what those of others come to,
    newcomers_few
        or up to this number, if that is more.
    """

    repeat_power: Power = 2.0
    newcomers_ratio: Rate = 4.0
    newcomers_few: Rate = 3.0


class Votes(msgspec.Struct, array_like=True):
    """How much speaks for the present category, brand and price of an item."""

    category: float = 0.0
    brand: float = 0.0
    price: float = 0.0


class Voices:
    """Weighs touches by the settings.

    Examples
    --------
    >>> voices = Voices(VoiceSettings())
    >>> voices.of(1), voices.of(2), voices.of(-2)
    (1.0, 0.25, 0.25)
    >>> voices.sum(settled=0.0, newcomers=1000.0), voices.sum(settled=60.0, newcomers=100.0)
    (3.0, 160.0)
    """

    def __init__(self, settings: VoiceSettings) -> None:
        self._settings = settings
        self._weights = [1.0, *(float(nth**-settings.repeat_power) for nth in range(1, 128))]

    def of(self, nth: int) -> float:
        """Return what the ``nth`` touch of an item by one user counts; the sign does not matter."""
        return self._weights[min(abs(nth), 127)]

    def sum(self, settled: float, newcomers: float, unit: float = 1.0) -> float:
        """Return what an item's touches count together.

        Parameters
        ----------
        settled, newcomers
            Sums of touches by users with a past, and by accounts without one.
        unit
            What a touch counts in these sums, if they decay.
        """
        return settled + self.heard(newcomers, settled, unit)

    def heard(self, newcomers: float, settled: float, unit: float = 1.0) -> float:
        """Return what touches by accounts without a past count, given those of the item by users with one."""
        settings = self._settings
        return min(newcomers, max(settings.newcomers_few * unit, settings.newcomers_ratio * settled))


def newcomers_share(known: float) -> float:
    """Return what a pair counts that an account without a past visited together, given the visits that are known of it.

    The more is known the less it adds, so that ``n`` such accounts come to about the square root of ``n / 2`` visits.

    Examples
    --------
    >>> newcomers_share(0.0), newcomers_share(4.0)
    (1.0, 0.058823529411764705)
    """
    return 1.0 / (1.0 + 4.0 * known)


def voted(present: Fact | None, said: Fact | None, votes: float, voice: float) -> tuple[Fact | None, float]:
    """Return which of two facts holds after one more was said, and how much speaks for it.

    Parameters
    ----------
    present
        The fact so far; :obj:`None` if there was none.
    said
        What is said now; :obj:`None` if nothing is.
    votes
        How much speaks for the present one.
    voice
        What the saying counts, in [0, 1].

    Examples
    --------
    >>> voted("tents", "cars", 2.0, 1.0), voted("tents", "cars", 0.5, 1.0)
    (('tents', 1.0), ('cars', 0.5))
    >>> voted(40.0, 44.0, 3.0, 1.0), voted(40.0, 1e9, 3.0, 1.0)
    ((44.0, 3.0), (40.0, 2.0))
    """
    if said is None or voice <= 0.0:
        return present, votes
    if present is None:
        return said, voice
    if present == said or _alike(present, said):
        return said, min(_MOST_VOTES, votes + voice)
    return (present, votes - voice) if votes > voice else (said, voice - votes)


def voice_of_fact(voice: float, nth: int) -> float:
    """Return what a saying counts: that of an account without a past (a negative ``nth``) a part of its touch."""
    return voice if nth > 0 else _NO_PAST * voice


def _alike(one: str | float, other: str | float) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return False
    return min(one, other) * _ALIKE >= max(one, other) > 0.0
