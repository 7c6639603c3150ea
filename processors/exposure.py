"""Fair exposure: the share of places that some items get in slates, held within bounds.

A rule of the kind ``exposure`` gives the bounds. What is shown is measured on the slates of those users who teach the
ranker: a place counts ``1 / log2(1 + rank)``, as it is looked at less the further down it is. The models plane keeps
one offset per rule, which every worker adds to the scores of the items: raised while their share is too low, lowered
while it is too high, taken back slowly while it is well within. That is an integral controller: it finds the smallest
push that will do, and no more.

References
----------
A. Singh, T. Joachims, "Fairness of exposure in rankings", KDD 2018 (the measure).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import numpy as np

from processors.rules import Name
from processors.sources.base import Flags, Floats

STRONGEST = 6.0
"""Offset at the most, either way: four hundred times the odds."""

MAX_EXPOSURES = 32
"""Rules that are held at a time, the first by id; others are known, and do nothing."""

EXPOSURE_BYTES = MAX_EXPOSURES * 400
"""Of measurements in a message, at most."""

_STEP = 0.1
_RETURN = 0.98
_MEMORY = 0.9
_ROUNDING = 6
_SLACK = 1.1


class Measured(msgspec.Struct, array_like=True, frozen=True):
    """Exposure that the items of one rule got in some slates, and that of all items; and the rule's bounds."""

    rule: Name
    got: float
    total: float
    share_min: float = 0.0
    share_max: float = 1.0

    def check(self) -> None:
        """Make sure that the figures can be true.

        Raises
        ------
        ValueError
            If they cannot.

        Examples
        --------
        >>> Measured("rule", 3.0, 2.0).check()
        Traceback (most recent call last):
        ...
        ValueError: exposure of rule: 3.0 of 2.0, expected a part of a finite whole
        """
        if not 0.0 <= self.got <= self.total * (1.0 + 1e-6) < math.inf:
            raise ValueError(f"exposure of {self.rule}: {self.got} of {self.total}, expected a part of a finite whole")
        if not 0.0 <= self.share_min <= self.share_max <= 1.0:
            bounds = f"{self.share_min} to {self.share_max}"
            raise ValueError(f"exposure of {self.rule}: bounds {bounds}, expected shares in order")


class Exposure(msgspec.Struct, array_like=True):
    """One rule's state: decayed sums of exposure, and the offset that its items get."""

    got: float = 0.0
    total: float = 0.0
    offset: float = 0.0

    @property
    def share(self) -> float:
        """Share that the items got lately; 0 before anything was shown.

        Examples
        --------
        >>> Exposure(got=1.0, total=4.0).share
        0.25
        """
        return self.got / self.total if self.total > 0.0 else 0.0


def learn_exposure(state: dict[str, Exposure], measured: Measured) -> None:
    """Take over a measurement, in place, and correct the rule's offset.

    The rule that was not heard of for longest goes when there are more than :data:`MAX_EXPOSURES`.

    Examples
    --------
    >>> state = {}
    >>> learn_exposure(state, Measured("new-brands", 1.0, 10.0, share_min=0.2))
    >>> state["new-brands"].share, state["new-brands"].offset > 0.0
    (0.1, True)
    """
    exposure = state[measured.rule] = state.pop(measured.rule, Exposure())
    if len(state) > MAX_EXPOSURES:
        del state[next(iter(state))]
    exposure.got = _MEMORY * exposure.got + measured.got
    exposure.total = _MEMORY * exposure.total + measured.total
    share = exposure.share
    if share < measured.share_min:
        exposure.offset += _STEP * min(1.0, (measured.share_min - share) / measured.share_min + 0.1)
    elif share > measured.share_max:
        exposure.offset -= _STEP * min(1.0, (share - measured.share_max) / max(1.0 - measured.share_max, 0.1) + 0.1)
    elif _is_well_within(exposure.offset, share, measured):
        exposure.offset *= _RETURN
    exposure.offset = min(max(exposure.offset, -STRONGEST), STRONGEST)


def _is_well_within(offset: float, share: float, measured: Measured) -> bool:
    """Whether less of a push may do, too."""
    if offset > 0.0:
        return share > measured.share_min * _SLACK
    return share * _SLACK < measured.share_max


def weights_of_places(size: int) -> Floats:
    """What each place of a slate counts.

    Examples
    --------
    >>> weights_of_places(3).round(2).tolist()
    [1.0, 0.63, 0.5]
    """
    found: Floats = 1.0 / np.log2(np.arange(2, size + 2))
    return found


def measure(rule: str, bounds: tuple[float, float], matching: Flags, filled: Flags) -> Measured:
    """What the items of a rule got in some slates.

    Rounded, so that the order in which users stand makes no difference to the message.

    Parameters
    ----------
    bounds
        The least and the greatest share.
    matching, filled
        Of each place, shape (users, size): whether an item of the rule, and whether any item, is there.
    """
    weights = weights_of_places(filled.shape[1])
    total = float((filled.sum(axis=0) * weights).sum())
    got = float(((matching & filled).sum(axis=0) * weights).sum())
    return Measured(rule, round(got, _ROUNDING), round(total, _ROUNDING), *bounds)


def offsets_of(state: Mapping[str, Exposure]) -> dict[str, float]:
    """Offsets by rule, those that push anything."""
    return {rule: exposure.offset for rule, exposure in sorted(state.items()) if exposure.offset}
