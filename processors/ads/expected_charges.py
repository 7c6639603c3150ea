r"""What decisions made lately are still going to cost: money that is promised, and not charged yet.

An ad that pays for clicks is charged seconds after it was decided on, one that pays for purchases a day later, say. If
only what is charged counted, a campaign would be shown on and on meanwhile, and what its users do then could not be
billed. So each decision's expected cost is held against the budget, less and less as time passes: of what is charged at
all, the part that has not come by an age ``a`` is

    S(a) = sum over k of w_k * exp(-a / tau_k)

with a few fixed times ``tau_k`` from seconds to days, and weights ``w_k`` that are learned from how long charges took.
A campaign that has run for a day has seen the quick ones of its charges only: of the long times it believes what is
usual until it has run for four times as long.

Sums of exponentials are all that must be kept: one figure per ``tau_k``, however many decisions there are.
"""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec

from processors.common.time import DAY_MS, HOUR_MS, MINUTE_MS
from processors.users.ad_history import Model

TIMES_MS = (5_000, MINUTE_MS, 20 * MINUTE_MS, 4 * HOUR_MS, 12 * HOUR_MS, 3 * DAY_MS)
"""The times ``tau_k``, in milliseconds."""

_PRIOR: dict[Model, tuple[float, ...]] = {
    "cpm": (4.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "cpc": (1.0, 2.5, 0.5, 0.0, 0.0, 0.0),
    "cpa": (0.0, 0.0, 0.25, 0.5, 2.0, 1.0),
}
"""Charges that are taken to have been seen before there were any, by the time that they took."""

_SEEN_AFTER = 4
"""How many times as long as a time a campaign must have run for what it has seen of it to count."""

_FORGET = 1_000.0


class ExpectedCharges(msgspec.Struct, array_like=True):
    """What is expected to be charged for the decisions of one campaign.

    Parameters
    ----------
    at_ms
        The moment that ``sums`` are for, milliseconds since the epoch.
    sums
        Expected cost of all decisions, decayed by each of :data:`TIMES_MS`; empty before the first.
    delays
        Number of charges by how long they took, decayed (:func:`bin_of`).
    since_ms
        Moment of the first decision, milliseconds since the epoch.
    """

    at_ms: int = 0
    sums: list[float] = msgspec.field(default_factory=list)
    delays: list[float] = msgspec.field(default_factory=lambda: [0.0] * len(TIMES_MS))
    since_ms: int = 0

    def add(self, cost: float, delays: tuple[int, ...], at_ms: int) -> None:
        """Take over what was decided and charged about a moment, in place.

        Parameters
        ----------
        cost
            Expected cost of the decisions.
        delays
            Number of charges by how long they took; empty for none.
        """
        self.since_ms = self.since_ms or at_ms
        moment = max(at_ms, self.at_ms)
        # A clock that was ahead once must not make what is decided now look old: it counts as decided at the latest
        # moment known.
        self.sums, self.at_ms = [held + cost for held in self._at(moment)], moment
        if delays:
            self.delays = [known + more for known, more in zip(self.delays, delays, strict=True)]
            if sum(self.delays) > _FORGET:
                self.delays = [known / 2.0 for known in self.delays]

    def fades_ms(self, model: Model, at_ms: int) -> float:
        """Return within how many milliseconds, about, what is held at a moment falls to a third by itself."""
        parts = [weight * held for weight, held in zip(self._weights(model, at_ms), self._at(at_ms), strict=True)]
        whole = sum(parts)
        return sum(part * time for part, time in zip(parts, TIMES_MS, strict=True)) / whole if whole > 0.0 else 0.0

    def held(self, model: Model, at_ms: int) -> float:
        """Return what is still expected to be charged at a moment, milliseconds since the epoch.

        Examples
        --------
        >>> expected = ExpectedCharges()
        >>> expected.add(2.0, (), 0)
        >>> round(expected.held("cpm", 0), 2), round(expected.held("cpm", 60_000), 2)
        (2.0, 0.0)
        >>> round(expected.held("cpa", 60_000), 2), round(expected.held("cpa", 7 * DAY_MS), 2)
        (1.99, 0.05)
        """
        return sum(weight * held for weight, held in zip(self._weights(model, at_ms), self._at(at_ms), strict=True))

    def _weights(self, model: Model, at_ms: int) -> list[float]:
        """Return the weight of each time: as learned where the campaign has run long enough, else as is usual."""
        prior, known = _PRIOR[model], sum(_SEEN_AFTER * time <= at_ms - self.since_ms for time in TIMES_MS)
        learned = [usual + seen for usual, seen in zip(prior[:known], self.delays[:known], strict=True)]
        late = sum(prior[known:]) / sum(prior)
        scale = (1.0 - late) / sum(learned) if sum(learned) else 0.0
        return [*(scale * part for part in learned), *(usual / sum(prior) for usual in prior[known:])]

    def _at(self, at_ms: int) -> list[float]:
        """Return the sums as they are at a moment."""
        passed = max(at_ms - self.at_ms, 0)
        return [held * math.exp(-passed / time) for held, time in zip(self.sums or _NOTHING, TIMES_MS, strict=True)]


def bin_of(delay_ms: int) -> int:
    """Return the number of the time of :data:`TIMES_MS` that a delay is nearest to, as a ratio.

    Examples
    --------
    >>> bin_of(0), bin_of(4 * MINUTE_MS), bin_of(12 * HOUR_MS), bin_of(30 * DAY_MS)
    (0, 1, 4, 5)
    """
    return next((at for at, edge in enumerate(_EDGES_MS) if delay_ms < edge), len(_EDGES_MS))


_EDGES_MS = tuple(math.sqrt(one * two) for one, two in pairwise(TIMES_MS))
_NOTHING = [0.0] * len(TIMES_MS)
