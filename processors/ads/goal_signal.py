"""What a ledger is told of a campaign with a goal, beside what it is told of every campaign."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from processors.ads.expected_charges import TIMES_MS, bin_of


class GoalSignal(msgspec.Struct, array_like=True):
    """What happened to a campaign with a goal; decisions that were made before it had this one are left out.

    Parameters
    ----------
    bids
        Auctions that it bid in, won or lost, whichever its goal was.
    expected, expected_value
        Purchases that the decisions are expected to lead to, and what these are to bring in.
    purchases, value, returned, returned_value
        Purchases that decisions have led to and what they brought in, and the same of those that were undone.
    delays
        Number of purchases by how long after the decision they came (:mod:`processors.ads.expected_charges`).
    pursuit
        Which pursuit of a goal the decisions were made in (:attr:`processors.ads.goal_figures.GoalFigures.pursuit`).
    cost, charged, refunded
        What the decisions are expected to be charged, and what was charged for them and given back, in the currency of
        the ads.
    """

    bids: int = 0
    expected: float = 0.0
    expected_value: float = 0.0
    purchases: int = 0
    value: float = 0.0
    returned: int = 0
    returned_value: float = 0.0
    delays: tuple[int, ...] = ()
    pursuit: int = 0
    cost: float = 0.0
    charged: float = 0.0
    refunded: float = 0.0

    def buy(self, value: float, delay_ms: int) -> None:
        """Note a purchase, what it brought in, and how long after its decision it came, in milliseconds; in place.

        Examples
        --------
        >>> signal = GoalSignal()
        >>> signal.buy(30.0, 4_000)
        >>> signal.purchases, signal.value, signal.delays
        (1, 30.0, (1, 0, 0, 0, 0, 0))
        """
        self.purchases += 1
        self.value += value
        counts = list(self.delays or (0,) * len(TIMES_MS))
        counts[bin_of(delay_ms)] += 1
        self.delays = tuple(counts)

    def problems(self) -> Iterator[str]:
        """Say which figures cannot be true, without the name of the campaign."""
        if len(self.delays) not in (0, len(TIMES_MS)):
            yield f"goal.delays has {len(self.delays)} counts, expected {len(TIMES_MS)}"
        figures = [(field, getattr(self, field)) for field in self.__struct_fields__ if field != "delays"]
        for field, figure in (*figures, *(("delays", count) for count in self.delays)):
            if not 0 <= figure < math.inf:
                yield f"goal.{field} is {figure}, expected a finite figure that is not negative"
