"""What all campaigns of an advertiser may spend together, and what is left of it.

Ledgers lie on the partitions of their campaigns, and none knows of another one. But what each has spent is published to
every worker, and adding it up gives what the advertiser has. It counts as a campaign's own budget does: what was
charged, what decisions made so far are still expected to be charged, and what those of this process are going to cost.
The day of each campaign is that of its own time zone, as for its own daily budget.

What was spent stays spent: a campaign that is withdrawn goes on being published for it, and one that is given to
another advertiser says what it has spent for those before (:mod:`processors.ads.spent_for`).

Of an advertiser that has less left today than its campaigns plan to spend, those that are paced are held back together:
the same part of what it may spend as has come of their plans, by now, may be spent. They are let through fully until
that is spent, and not at all a fiftieth of the day's money later. Nothing is learned for that: each ledger, which
paces its campaign alone, lets it through as often as it can.

No single ledger can refuse what is charged beyond. So an advertiser's budget is overspent by what is decided between
two publications, and by what is charged more than was expected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

import numpy as np

from processors.ads.advertiser_table import AdvertiserTable, is_laid_out_anew
from processors.ads.campaign_view import CampaignView
from processors.common.arrays import Flags, Floats, Ints
from processors.common.text import folded

LEAST = 5e-7
"""What counts as nothing: half of the smallest part of the currency that ledgers publish."""


class AdvertiserMoney(NamedTuple):
    """What advertisers with a budget have left.

    Attributes
    ----------
    numbers
        Number of each campaign's advertiser among them, -1 for others; shape (campaigns,).
    left
        What is left beside what is held, shape (moments, advertisers); 0 or less for nothing.
    shares
        Share of the opportunities that their campaigns may take part in so that it lasts, shape (moments, advertisers).
    paced
        Which campaigns keep to that; shape (campaigns,).
    """

    numbers: Ints
    left: Floats
    shares: Floats
    paced: Flags


class Advertisers:
    """Add up what the campaigns of each advertiser have spent.

    Parameters
    ----------
    most
        Campaigns that are remembered, withdrawn ones included; for a while up to a quarter more. Beyond that those are
        forgotten that have spent least, and no longer counted; first those of advertisers without a budget, last those
        that name one.

    Examples
    --------
    >>> from processors.ads.campaign import Campaign, Creative
    >>> tents = Campaign("shop", (Creative("a", "A tent", "https://shop.example/tent"),), 2.0, 90.0)
    >>> limited = Campaign("shop", tents.creatives, 2.0, 90.0, advertiser_budget=50.0)
    >>> advertisers = Advertisers()
    >>> advertisers.note("a", CampaignView(tents, spent=20.0))
    >>> advertisers.note("b", CampaignView(limited, spent=25.0))
    >>> advertisers.money(("a", "b"), np.zeros(1), {"a": 1.0}).left.tolist()
    [[4.0]]
    """

    def __init__(self, most: int = 8_000) -> None:
        self._most = most
        self._views: dict[str, CampaignView] = {}
        self._limiting: set[str] = set()
        self._table: AdvertiserTable | None = None
        self._numbers: tuple[Sequence[str], Ints, Flags] = _NO_NUMBERS

    def note(self, cid: str, view: CampaignView | None) -> None:
        """Take over what was published of a campaign, withdrawn or not; :obj:`None` forgets it.

        Constant time while campaigns stay as they are.
        """
        before = self._views.pop(cid, None)
        self._limiting.discard(cid)
        if view is not None:
            self._views[cid] = view
            if view.campaign.limits_advertiser and not view.withdrawn:
                self._limiting.add(cid)
        if len(self._views) > self._most + self._most // _SLACK:
            self._forget()
        if view is None or before is None or is_laid_out_anew(before, view):
            self._table = None
        elif self._table is not None:
            self._table.update(cid, view)

    def _forget(self) -> None:
        """Forget campaigns beyond those that are remembered: many at once, as each time all are looked at."""
        limited = {folded(self._views[one].campaign.advertiser) for one in self._limiting}
        order = sorted(self._views, key=lambda one: (self._worth_keeping(one, limited), self._views[one].spent, one))
        for cid in order[: len(order) - self._most]:
            del self._views[cid]
            self._limiting.discard(cid)
        self._table = None

    def _worth_keeping(self, cid: str, limited: Set[str]) -> int:
        """Tell what is forgotten last: who says what an advertiser may spend, then campaigns of such advertisers."""
        if cid in self._limiting:
            return 2
        view = self._views[cid]
        names = (view.campaign.advertiser, *(part.advertiser for part in view.spent_for))
        return int(any(folded(name) in limited for name in names))

    def money(self, cids: Sequence[str], now_ms: Floats, held: Mapping[str, float]) -> AdvertiserMoney:
        """Return what advertisers have left at some moments.

        Complexity: moments times campaigns, none of it while no campaign says what its advertiser may spend; linear in
        the campaigns once after one has come, gone or was changed.

        Parameters
        ----------
        cids
            The campaigns that take part; the same object as long as they are the same.
        now_ms
            Moments, milliseconds since the epoch, shape (moments,).
        held
            What decisions of this process are going to cost, by campaign.
        """
        if not self._limiting:
            none, nobody = np.empty((len(now_ms), 0)), np.zeros(len(cids), np.bool_)
            return AdvertiserMoney(np.full(len(cids), -1, np.int64), none, none, nobody)
        if self._table is None:
            self._table = AdvertiserTable.of(self._views)
            self._numbers = _NO_NUMBERS
        if self._numbers[0] is not cids:
            self._numbers = cids, self._table.numbers_of(cids), self._table.paces(cids)
        left, shares, _ = self._table.money(now_ms, held)
        return AdvertiserMoney(self._numbers[1], left, shares, self._numbers[2])

    def short(self, now_ms: float) -> dict[str, float]:
        """Return what advertisers have left that have less than their campaigns plan to spend today, or nothing.

        By name, in the form that names are compared in. What decisions of this process are going to cost is left out.

        Parameters
        ----------
        now_ms
            The present, milliseconds since the epoch.
        """
        if not self._limiting:
            return {}
        table = self._table or AdvertiserTable.of(self._views)
        left, _, plans = table.money(np.array([now_ms], np.float64), {})
        figures = zip(table.names, left[0].tolist(), plans[0].tolist(), strict=True)
        return {name: rest for name, rest, plan in figures if rest < max(plan, LEAST)}


_SLACK = 4
_NO_NUMBERS = (), np.empty(0, np.int64), np.empty(0, np.bool_)
