"""What all campaigns of an advertiser may spend together, and what is left of it.

Ledgers lie on the partitions of their campaigns, and none knows of another one. But what each has spent is published to
every worker, and adding it up gives what the advertiser has. It counts as a campaign's own budget does: what was
charged, what decisions made so far are still expected to be charged, and what those of this process are going to cost.
The day of each campaign is that of its own time zone, as for its own daily budget.

No single ledger can refuse what is charged beyond. So an advertiser's budget is overspent by what is decided between
two publications, and by what is charged more than was expected.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from processors.ads.campaign_view import CampaignView
from processors.common.arrays import Floats, Ints
from processors.common.compiled import kernel
from processors.common.text import folded


class AdvertiserMoney(NamedTuple):
    """What advertisers with a budget have left.

    Attributes
    ----------
    numbers
        Number of each campaign's advertiser among them, -1 for others; shape (campaigns,).
    left
        What is left beside what is held, shape (moments, advertisers); 0 or less for nothing.
    """

    numbers: Ints
    left: Floats


class Advertisers:
    """Add up what the campaigns of each advertiser have spent.

    Parameters
    ----------
    most
        Campaigns that are remembered, withdrawn ones included. Beyond that those are forgotten that have spent least,
        and no longer counted; first those of advertisers without a budget, last those that name one.

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
        self._table: _Table | None = None
        self._numbers: tuple[Sequence[str], Ints] = ((), np.empty(0, np.int64))

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
        if len(self._views) > self._most:
            limited = {folded(self._views[one].campaign.advertiser) for one in self._limiting}
            least = min(self._views, key=lambda one: (self._worth_keeping(one, limited), self._views[one].spent, one))
            del self._views[least]
            self._limiting.discard(least)
            self._table = None
        if view is None or before is None or (before.campaign, before.withdrawn) != (view.campaign, view.withdrawn):
            self._table = None
        elif self._table is not None:
            self._table.update(cid, view)

    def _worth_keeping(self, cid: str, limited: Set[str]) -> int:
        """Tell what is forgotten last: who says what an advertiser may spend, then campaigns of such advertisers."""
        if cid in self._limiting:
            return 2
        return int(folded(self._views[cid].campaign.advertiser) in limited)

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
            return AdvertiserMoney(np.full(len(cids), -1, np.int64), np.empty((len(now_ms), 0)))
        if self._table is None:
            self._table = _Table.of(self._views)
            self._numbers = (), np.empty(0, np.int64)
        if self._numbers[0] is not cids:
            self._numbers = cids, self._table.numbers_of(cids)
        return AdvertiserMoney(self._numbers[1], self._table.left(now_ms, held))


@dataclass(frozen=True)
class _Table:
    """The campaigns that pay of advertisers with a budget, one row each.

    Attributes
    ----------
    rows
        The row of each campaign.
    advertisers
        The number of each row's advertiser.
    figures
        Of each row what it has spent, what today, until when that is, what is promised, as of when, how fast that
        fades, and whether it pays for purchases; shape (rows, 7).
    budgets
        Of each advertiser what it may spend in all and per day, infinite without a limit; shape (advertisers, 2).
    """

    rows: Mapping[str, int]
    advertisers: Ints
    figures: Floats
    budgets: Floats

    @classmethod
    def of(cls, views: Mapping[str, CampaignView]) -> _Table:
        """Lay out campaigns, those of advertisers without a budget left out; of several budgets the smallest counts."""
        budgets: dict[str, list[float]] = {}
        for view in views.values():
            campaign = view.campaign
            if campaign.limits_advertiser and not view.withdrawn:
                least = budgets.setdefault(folded(campaign.advertiser), [math.inf, math.inf])
                least[0] = min(least[0], campaign.advertiser_budget or math.inf)
                least[1] = min(least[1], campaign.advertiser_budget_daily or math.inf)
        numbers = {name: number for number, name in enumerate(budgets)}
        # By id, so that sums do not depend on the order in which campaigns came.
        those = {
            cid: view
            for cid, view in sorted(views.items())
            if folded(view.campaign.advertiser) in numbers and not view.campaign.house
        }
        return cls(
            rows={cid: row for row, cid in enumerate(those)},
            advertisers=np.array([numbers[folded(view.campaign.advertiser)] for view in those.values()], np.int64),
            figures=np.array([_figures(view) for view in those.values()], np.float64),
            budgets=np.array(list(budgets.values()), np.float64),
        )

    def update(self, cid: str, view: CampaignView) -> None:
        """Take over what was published of a campaign that itself is as before, in place."""
        row = self.rows.get(cid)
        if row is not None:
            self.figures[row] = _figures(view)

    def numbers_of(self, cids: Sequence[str]) -> Ints:
        """Return the number of each campaign's advertiser, -1 if that has no budget."""
        rows = [self.rows.get(cid, -1) for cid in cids]
        return np.array([-1 if row < 0 else self.advertisers[row] for row in rows], np.int64)

    def left(self, now_ms: Floats, held: Mapping[str, float]) -> Floats:
        """Return what advertisers have left, shape (moments, advertisers)."""
        costs = np.zeros(len(self.figures))
        for cid, cost in held.items():
            if cid in self.rows:
                costs[self.rows[cid]] = cost
        found: Floats = _left(now_ms, self.advertisers, self.figures, costs, self.budgets)
        return found


def _figures(view: CampaignView) -> tuple[float, ...]:
    promised = (view.held, view.held_ms, max(view.held_fades_ms, 1.0))
    return view.spent, view.spent_today, view.day_ends_ms, *promised, view.campaign.model == "cpa"


@kernel
def _left(now_ms, advertisers, figures, held, budgets):  # type: ignore[no-untyped-def]  # numba finds the types
    """Do what :meth:`_Table.left` does, by the rules of :meth:`processors.ads.campaign_index.CampaignIndex.left`."""
    found = np.empty((len(now_ms), len(budgets)))
    for row in range(len(now_ms)):
        whole, day = budgets[:, 0].copy(), budgets[:, 1].copy()
        for campaign in range(len(figures)):
            advertiser, kept = advertisers[campaign], 0.0
            if figures[campaign, 3] > 0.0:
                age = max(now_ms[row] - figures[campaign, 4], 0.0)
                kept = figures[campaign, 3] * math.exp(-age / figures[campaign, 5])
            whole[advertiser] -= figures[campaign, 0] + kept + held[campaign]
            day[advertiser] -= held[campaign]
            if now_ms[row] < figures[campaign, 2]:
                day[advertiser] -= figures[campaign, 1]
            if figures[campaign, 6] == 0.0:
                day[advertiser] -= kept
        for advertiser in range(len(budgets)):
            found[row, advertiser] = min(whole[advertiser], day[advertiser])
    return found
