"""Fair exposure: the share of positions that some items get in slates, held within bounds.

A rule of the kind ``exposure`` gives the bounds. What is shown is measured on the slates of those users who teach the
ranker: a position counts ``1 / log2(1 + rank)``, as it is looked at less the further down it is. The models plane keeps
one offset per rule, which every worker adds to the scores of the items. Scores are logits, so where a share is and
where it is to be, as logits, differ by about the offset that is missing: a part of that is added to the offset that
was in force when the share was measured. Since each measurement says which that was, offsets that come back late do not
make it swing, however many messages were on their way. An offset that is not needed any more comes back to 0.

References
----------
A. Singh, T. Joachims, "Fairness of exposure in rankings", KDD 2018 (the measure).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from processors.common.arrays import Flags, Floats
from processors.common.bounds import Id
from processors.models.base import ViewDecoder

MAX_EXPOSURES = 32
"""Rules for exposure that are held at a time, the first by id; others are known, and do nothing."""

STRONGEST = 12.0
"""Offset at the most, either way: enough to pass what a user has just looked at."""

EXPOSURE_BYTES = MAX_EXPOSURES * 1200
"""Largest size of measurements in a message, in bytes."""

_GAIN = 0.35
_FURTHEST = 3.0
_MEMORY = 50.0
"""Exposure after which an old measurement counts 1/e: some ten slates."""
_ROUNDING = 6
_ENDLESS = 1e12
"""More exposure than any message measures; sums of what is larger could overflow, and offsets never recover."""


class Measured(msgspec.Struct, array_like=True, frozen=True):
    """Exposure of a rule's items in some slates, that of all items, the bounds, and the offset in force."""

    rule: Id
    got: float
    total: float
    share_min: float = 0.0
    share_max: float = 1.0
    offset: float = 0.0

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
        if not 0.0 <= self.got <= self.total * (1.0 + 1e-6) < _ENDLESS:
            raise ValueError(f"exposure of {self.rule}: {self.got} of {self.total}, expected a part of a finite whole")
        if not 0.0 <= self.share_min <= self.share_max <= 1.0:
            bounds = f"{self.share_min} to {self.share_max}"
            raise ValueError(f"exposure of {self.rule}: bounds {bounds}, expected shares in order")
        if not abs(self.offset) <= STRONGEST:
            raise ValueError(f"exposure of {self.rule}: offset {self.offset}, expected at most {STRONGEST} either way")


class Exposure(msgspec.Struct, array_like=True):
    """One rule's state: decayed sums of exposure, the offset for its items, and the decayed sum of those in force."""

    got: float = 0.0
    total: float = 0.0
    offset: float = 0.0
    pushed: float = 0.0

    @property
    def share(self) -> float:
        """Share that the items got lately; 0 before anything was shown.

        Examples
        --------
        >>> Exposure(got=1.0, total=4.0).share
        0.25
        """
        return self.got / self.total if self.total > 0.0 else 0.0


class ExposureLearner:
    """The learned model of exposure: an offset per rule (:class:`processors.models.base.LearnedModel`).

    Its state is by rule, the rule that was not heard of for longest first, and is published as it is.

    Examples
    --------
    >>> model, state = ExposureLearner(), {}
    >>> model.learn(state, [Measured("new-brands", 1.0, 10.0, share_min=0.2)])
    >>> state["new-brands"].share, state["new-brands"].offset > 0.0
    (0.1, True)
    """

    key = "exposure"
    state_field = "exposure"
    message_field = "exposure"
    message_bytes = EXPOSURE_BYTES
    decode = ViewDecoder(dict[str, Exposure])

    def new_state(self) -> dict[str, Exposure]:
        """Return the state before anything was learned."""
        return {}

    def check(self, message: Sequence[Measured]) -> None:
        """Make sure that all measurements can be true.

        Raises
        ------
        ValueError
            If one cannot.
        """
        for measured in message:
            measured.check()

    def learn(self, state: dict[str, Exposure], message: Sequence[Measured]) -> None:
        """Take over measurements, in place, and correct the rules' offsets.

        The rule that was not heard of for longest goes when there are more than :data:`MAX_EXPOSURES`.
        """
        for measured in message:
            self._correct(state, measured)

    def progress(self, state: dict[str, Exposure]) -> object:
        """Return a copy of the state: it is small, and counts nothing that rises."""
        return msgspec.to_builtins(state)

    def due(self, state: dict[str, Exposure], before: object) -> bool:
        """Tell whether any figure changed in the micro-batch."""
        return self.progress(state) != before

    def view(self, state: dict[str, Exposure]) -> dict[str, Exposure]:
        """Return the state: all of it is published."""
        return state

    @staticmethod
    def _correct(state: dict[str, Exposure], measured: Measured) -> None:
        exposure = state[measured.rule] = state.pop(measured.rule, Exposure())
        if len(state) > MAX_EXPOSURES:
            del state[next(iter(state))]
        kept = math.exp(-measured.total / _MEMORY)
        exposure.got = kept * exposure.got + measured.got
        exposure.total = kept * exposure.total + measured.total
        exposure.pushed = kept * exposure.pushed + measured.total * measured.offset
        in_force = exposure.pushed / exposure.total if exposure.total > 0.0 else 0.0
        up = max(in_force + _GAIN * _missing(exposure.share, measured.share_min), 0.0)
        down = min(in_force + _GAIN * _missing(exposure.share, measured.share_max), 0.0)
        exposure.offset = min(max(up or down, -STRONGEST), STRONGEST)


def _missing(share: float, bound: float) -> float:
    """Return what the logit of the share lacks to that of the bound, :data:`_FURTHEST` at most."""
    return min(max(_logit(bound) - _logit(share), -_FURTHEST), _FURTHEST)


def _logit(share: float) -> float:
    inside = min(max(share, 1e-4), 1.0 - 1e-4)
    return math.log(inside / (1.0 - inside))


def position_weights(size: int) -> Floats:
    """Return what each position of a slate counts, from the top.

    Examples
    --------
    >>> position_weights(3).round(2).tolist()
    [1.0, 0.63, 0.5]
    """
    found: Floats = 1.0 / np.log2(np.arange(2, size + 2))
    return found


def measure(rule: str, bounds: tuple[float, float], matching: Flags, filled: Flags, offset: float = 0.0) -> Measured:
    """Measure what the items of a rule got in some slates.

    Rounded, so that the order in which users stand makes no difference to the message.

    Parameters
    ----------
    rule
        Id of the rule.
    bounds
        The least and the greatest share.
    matching, filled
        Per position, shape (users, size): whether an item of the rule, and whether any item, is there.
    offset
        Offset of the items' scores that was in force.
    """
    weights = position_weights(filled.shape[1])
    total = float((filled.sum(axis=0) * weights).sum())
    got = float(((matching & filled).sum(axis=0) * weights).sum())
    return Measured(rule, round(got, _ROUNDING), round(total, _ROUNDING), *bounds, offset)
