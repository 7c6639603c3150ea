"""The campaigns of advertisers with a budget as columns: what they have spent, and what they plan to spend today."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from processors.ads.campaign_view import CampaignView
from processors.ads.spent_for import SpentFor
from processors.common.arrays import Flags, Floats, Ints
from processors.common.compiled import kernel
from processors.common.text import folded

_FIGURES = 9
_BAND = 0.02
"""Part of what an advertiser may spend today by which it is ahead of its plan when its campaigns are held back."""


@dataclass(frozen=True)
class AdvertiserTable:
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
        fades, whether it pays for purchases, what was planned to be spent by now, and what in all of the day, 0 for one
        that is not paced; shape (rows, 9).
    paced
        Whether each row is of a campaign that is paced.
    names, budgets
        Of each advertiser the name, in the form that names are compared in, and what it may spend in all and per day,
        infinite without a limit; shape (advertisers, 2).
    """

    rows: Mapping[str, int]
    advertisers: Ints
    figures: Floats
    paced: Flags
    names: tuple[str, ...]
    budgets: Floats

    @classmethod
    def of(cls, views: Mapping[str, CampaignView]) -> AdvertiserTable:
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
            paced=np.array([_is_paced(view) for view in those.values()] + [False] * len(before), np.bool_),
            names=tuple(budgets),
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

    def paces(self, cids: Sequence[str]) -> Flags:
        """Tell which campaigns are paced."""
        rows = [self.rows.get(cid, -1) for cid in cids]
        return np.array([row >= 0 and self.paced[row] for row in rows], np.bool_)

    def money(self, now_ms: Floats, held: Mapping[str, float]) -> tuple[Floats, Floats, Floats]:
        """Return what advertisers have left, the share of opportunities that this is paced by, and what is planned.

        The last is what their campaigns that are paced still plan to spend today. Shape (moments, advertisers) each.
        """
        costs = np.zeros(len(self.figures))
        for cid, cost in held.items():
            if cid in self.rows:
                costs[self.rows[cid]] = cost
        found: tuple[Floats, Floats, Floats] = _money(now_ms, self.advertisers, self.figures, costs, self.budgets)
        return found


def _figures(view: CampaignView) -> tuple[float, ...]:
    """Return the figures of a campaign: what it has spent of its present advertiser's money, and the rest."""
    promised = (view.held, view.held_ms, max(view.held_fades_ms, 1.0))
    plan = (view.planned, view.day_budget) if _is_paced(view) else (0.0, 0.0)
    return *_own(view), view.day_ends_ms, *promised, view.campaign.model == "cpa", *plan


def _is_paced(view: CampaignView) -> bool:
    return view.campaign.is_paced and not view.campaign.paused and not view.withdrawn


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
    return part.spent, part.spent_today, view.day_ends_ms, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0


def is_laid_out_anew(before: CampaignView, view: CampaignView) -> bool:
    """Tell whether more than the figures of a campaign has changed."""
    if (before.campaign, before.withdrawn) != (view.campaign, view.withdrawn):
        return True
    return _spent_before(before) != _spent_before(view)


@kernel
def _money(now_ms, advertisers, figures, held, budgets):  # type: ignore[no-untyped-def]  # numba finds the types
    """Do what :meth:`AdvertiserTable.money` does, by the rules of a campaign's own budget.

    These are in :meth:`processors.ads.campaign_index.CampaignIndex.left`. A plan goes on by the clock from when it was
    published until the day is over: of a campaign that nobody comes for nothing more is published.
    """
    shape = (len(now_ms), len(budgets))
    found, shares, plans = np.empty(shape), np.empty(shape), np.zeros(shape)
    for row in range(len(now_ms)):
        whole, day = budgets[:, 0].copy(), budgets[:, 1].copy()
        used, due, days = np.zeros(len(budgets)), np.zeros(len(budgets)), np.zeros(len(budgets))
        for campaign in range(len(figures)):
            advertiser, kept, today = advertisers[campaign], 0.0, held[campaign]
            if figures[campaign, 3] > 0.0:
                age = max(now_ms[row] - figures[campaign, 4], 0.0)
                kept = figures[campaign, 3] * math.exp(-age / figures[campaign, 5])
            whole[advertiser] -= figures[campaign, 0] + kept + held[campaign]
            if now_ms[row] < figures[campaign, 2]:
                today += figures[campaign, 1]
            if figures[campaign, 6] == 0.0:
                today += kept
            day[advertiser] -= today
            used[advertiser] += today
            if now_ms[row] < figures[campaign, 2] and figures[campaign, 8] > 0.0:
                since = max(now_ms[row] - figures[campaign, 4], 0.0)
                gone = min(since / max(figures[campaign, 2] - figures[campaign, 4], 1.0), 1.0)
                due[advertiser] += figures[campaign, 7] + gone * max(figures[campaign, 8] - figures[campaign, 7], 0.0)
                days[advertiser] += figures[campaign, 8]
                plans[row, advertiser] += max(figures[campaign, 8] - today, 0.0)
        for advertiser in range(len(budgets)):
            left = min(whole[advertiser], day[advertiser])
            found[row, advertiser] = left
            shares[row, advertiser] = 1.0
            if left < plans[row, advertiser]:
                may = max(left, 0.0) + used[advertiser]
                ahead = used[advertiser] - may * min(due[advertiser] / days[advertiser], 1.0)
                shares[row, advertiser] = min(max(1.0 - ahead / max(_BAND * may, 1e-9), 0.0), 1.0)
    return found, shares, plans
