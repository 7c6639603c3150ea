"""What all campaigns of an advertiser may spend together, and what is left of it.

Ledgers lie on the partitions of their campaigns, and none knows of another one. But what each has spent is published to
every worker, and adding it up gives what the advertiser has. It counts as a campaign's own budget does: what was
charged, what decisions made so far are still expected to be charged, and what those of this process are going to cost.
The day of each campaign is that of its own time zone, as for its own daily budget.

What was spent stays spent: a campaign that is withdrawn goes on being published for it, and one that is given to
another advertiser says what it has spent for those before (:mod:`processors.ads.spent_for`).

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
from processors.ads.spent_for import SpentFor
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
        if len(self._views) > self._most + self._most // _SLACK:
            self._forget()
        if view is None or before is None or _is_laid_out_anew(before, view):
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
            return AdvertiserMoney(np.full(len(cids), -1, np.int64), np.empty((len(now_ms), 0)))
        if self._table is None:
            self._table = _Table.of(self._views)
            self._numbers = (), np.empty(0, np.int64)
        if self._numbers[0] is not cids:
            self._numbers = cids, self._table.numbers_of(cids)
        return AdvertiserMoney(self._numbers[1], self._table.left(now_ms, held))


_SLACK = 4
_FIGURES = 7


@dataclass(frozen=True)
class _Table:
    """The campaigns that pay of advertisers with a budget, one row each, and what others have spent before.

    Attributes
    ----------
    rows
        The row of each campaign; behind them what campaigns have spent for earlier advertisers, and before they were
        the house's.
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
        known = sorted(views.items())
        those = {
            cid: view for cid, view in known if folded(view.campaign.advertiser) in numbers and not view.campaign.house
        }
        before = [
            (view, part) for _, view in known for part in _spent_before(view) if folded(part.advertiser) in numbers
        ]
        names = [view.campaign.advertiser for view in those.values()] + [part.advertiser for _, part in before]
        figures = [_figures(view) for view in those.values()] + [_figures_before(*entry) for entry in before]
        return cls(
            rows={cid: row for row, cid in enumerate(those)},
            advertisers=np.array([numbers[folded(name)] for name in names], np.int64),
            figures=np.array(figures, np.float64).reshape(-1, _FIGURES),
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
    """Return the figures of a campaign: what it has spent of its present advertiser's money, and the rest."""
    promised = (view.held, view.held_ms, max(view.held_fades_ms, 1.0))
    return *_own(view), view.day_ends_ms, *promised, view.campaign.model == "cpa"


def _own(view: CampaignView) -> tuple[float, float]:
    """Return what a campaign has spent of its present advertiser's money, in all and today."""
    spent = view.spent - sum(part.spent for part in view.spent_for)
    today = view.spent_today - sum(part.spent_today for part in view.spent_for)
    return max(spent, 0.0), max(today, 0.0)


def _spent_before(view: CampaignView) -> tuple[SpentFor, ...]:
    """Return what a campaign has spent that is not held against what it may spend itself.

    One of the house pays nothing, and is shown when the money is gone; but it may have paid before it was of the house.
    """
    own = (SpentFor(view.campaign.advertiser, *_own(view)),) if view.campaign.house else ()
    return *own, *view.spent_for


def _figures_before(view: CampaignView, part: SpentFor) -> tuple[float, ...]:
    """Return the figures of what a campaign has spent of an earlier advertiser's money: nothing is promised of it."""
    return part.spent, part.spent_today, view.day_ends_ms, 0.0, 0.0, 1.0, 0.0


def _is_laid_out_anew(before: CampaignView, view: CampaignView) -> bool:
    """Tell whether more than the figures of a campaign has changed."""
    if (before.campaign, before.withdrawn) != (view.campaign, view.withdrawn):
        return True
    return _spent_before(before) != _spent_before(view)


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
