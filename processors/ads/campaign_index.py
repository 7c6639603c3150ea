"""The read model of campaigns: what every worker knows of them, as columns and as tables of who allows which value."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

import numpy as np

from processors.ads.advertisers import AdvertiserMoney, Advertisers
from processors.ads.audience import Audience, names_in
from processors.ads.campaign_columns import Columns, columns_of
from processors.ads.campaign_view import CampaignView
from processors.common.arrays import Flags, Floats
from processors.common.compiled import kernel
from processors.common.text import folded

_FIELDS = {
    "country": "countries",
    "region": "regions",
    "city": "cities",
    "device": "devices",
    "channel": "channels",
    "language": "languages",
    "placement": "placements",
    "segment": "segments",
}
"""The field of :class:`processors.ads.audience.Audience` that lists values of a dimension."""

DIMENSIONS = tuple(_FIELDS)
"""The targeting dimensions: what of a moment is one value of a list."""

MAX_CAMPAIGNS = 2_000
"""Campaigns held by default. A decision looks at all of them."""


class CampaignIndex:
    """Hold what was published of campaigns.

    Parameters
    ----------
    max_campaigns
        Campaigns that take part. Beyond that, whatever the order they come in, those are left out that are paused or
        have ended or have no approved creative, then those of the lowest tiers, then those that bid least for an
        impression; as many are remembered, to take a place that is free.

    Examples
    --------
    >>> from processors.ads.campaign import Campaign, Creative
    >>> tent = Creative("a", "A tent", "https://shop.example/tent")
    >>> index = CampaignIndex()
    >>> index.apply("c1", CampaignView(Campaign("shop", (tent,), 2.0, 100.0, target=Audience(devices=("Phone",)))))
    >>> index.allowing("device", "phone").tolist(), index.allowing("device", "tablet").tolist()
    ([True], [False])
    """

    def __init__(self, max_campaigns: int = MAX_CAMPAIGNS) -> None:
        self._max_campaigns, self._clock_ms = max_campaigns, 0.0
        self._views: dict[str, CampaignView] = {}
        self._left_out: dict[str, CampaignView] = {}
        self._columns: Columns | None = None
        self._by_value: dict[tuple[str, str, str], Flags] = {}
        self._by_values: dict[tuple[str | None, ...], Flags] = {}
        self._held: dict[str, float] = {}
        self._to_hold: deque[tuple[str, float]] = deque()
        self._advertisers = Advertisers(_MOST_OF_ADVERTISERS * max_campaigns)

    def __len__(self) -> int:
        return len(self._views)

    @property
    def views(self) -> Mapping[str, CampaignView]:
        """What was published, by campaign id, of the campaigns that take part."""
        return self._views

    @property
    def known(self) -> Mapping[str, CampaignView]:
        """What was published, by campaign id, of all campaigns that are remembered, whether they take part or not."""
        return {**self._views, **self._left_out}

    @property
    def left_out(self) -> int:
        """Campaigns that would run and were left out, as far as they are remembered."""
        return sum(not self._rank(cid, view)[0] for cid, view in self._left_out.items())

    @property
    def columns(self) -> Columns:
        """The campaigns as columns. Made anew, linear in their number, when one came, went or was changed."""
        if self._columns is None:
            self._columns = columns_of(dict(sorted(self._views.items())))
        return self._columns

    def apply(self, cid: str, view: CampaignView | None) -> None:
        """Take over what was published of a campaign; :obj:`None` withdraws it."""
        self._take_held()
        self._advertisers.note(cid, view)
        view = None if view is None or view.withdrawn else view
        before = self._views.get(cid)
        self._left_out.pop(cid, None)
        if view is None:
            self._views.pop(cid, None)
            self._held.pop(cid, None)
        else:
            self._views[cid] = view
            if cid in self._held:
                self._held[cid] *= _STILL_HELD
        moved = self._fill_places(cid)
        if not moved and before is not None and view is not None and before.campaign == view.campaign:
            if self._columns is not None:
                self._columns.update(self._columns.rows[cid], view)
        elif moved or before is not None or cid in self._views:
            self._forget_columns()

    def advance(self, now_ms: float) -> None:
        """Note that time has come so far, milliseconds since the epoch: what has ended gives its place to others.

        Constant time unless campaigns were left out; then linear in their number, once a second.
        """
        if not self._left_out:
            self._clock_ms = max(self._clock_ms, now_ms)
        if now_ms < self._clock_ms + _SECOND_MS:
            return
        self._clock_ms = now_ms
        moved = False
        while self._fill_places(""):
            moved = True
        if moved:
            self._forget_columns()

    def hold(self, cid: str, cost: float) -> None:
        """Hold what decisions of this process are going to cost against what the campaign has left.

        The ledger hears of a cost when the ad is seen or clicked, seconds later, and publishes nothing while it moves
        to another worker. Without what is held, a campaign would be overspent meanwhile. A fifth of it is let go each
        time the ledger publishes.

        May be called in any thread, while the index is read in another.

        Parameters
        ----------
        cost
            In the currency of the ads.
        """
        self._to_hold.append((cid, cost))

    def left(self, now_ms: Floats) -> Floats:
        """Return what campaigns have left beside what is held, shape (moments, campaigns); 0 or less for nothing.

        Parameters
        ----------
        now_ms
            Moments, milliseconds since the epoch, shape (moments,).
        """
        self._take_held()
        columns = self.columns
        held = np.zeros(len(columns.cids))
        for cid, cost in self._held.items():
            held[columns.rows[cid]] = cost
        left: Floats = _left(
            now_ms, columns.day_ends, columns.left_today, columns.left_next_day, columns.left_in_all, columns.held,
            columns.held_ms, columns.held_fades, columns.pays_purchase, held,
        )  # fmt: skip
        return left

    def left_of_advertisers(self, now_ms: Floats) -> AdvertiserMoney:
        """Return what the campaigns' advertisers have left beside what is held, as far as they have a budget.

        Parameters
        ----------
        now_ms
            Moments, milliseconds since the epoch, shape (moments,).
        """
        self._take_held()
        return self._advertisers.money(self.columns.cids, now_ms, self._held)

    def short_advertisers(self, now_ms: float) -> dict[str, float]:
        """Do what :meth:`processors.ads.advertisers.Advertisers.short` does."""
        return self._advertisers.short(now_ms)

    def allowing_all(self, values: tuple[str | None, ...], label: str | None = None) -> Flags:
        """Tell which campaigns, in the order of the columns, allow a moment's values of all :data:`DIMENSIONS`.

        Complexity: as :meth:`allowing`, and bounded likewise.

        Parameters
        ----------
        values
            One per dimension, in their order; :obj:`None` for one that is not known.
        label
            Another name of the segment, if it has one.
        """
        found = self._by_values.get((*values, label))
        if found is None:
            if len(self._by_values) >= _MAX_TABLES:
                self._by_values.clear()
            labels = (label if dimension == "segment" else None for dimension in DIMENSIONS)
            flags = [self.allowing(*entry) for entry in zip(DIMENSIONS, values, labels, strict=True)]
            found = self._by_values[*values, label] = np.logical_and.reduce(flags)
        return found

    def allowing(self, dimension: str, value: str | None, label: str | None = None) -> Flags:
        """Tell which campaigns, in the order of the columns, allow a value of one of :data:`DIMENSIONS`.

        A campaign allows it if its target lists the value, or its other name, or lists nothing, and its exclusion lists
        neither.

        Complexity: one look at each campaign for a value that is new, none for those known; bounded, as values are
        forgotten when there are many.
        """
        known, label = folded(value or ""), folded(label or "")
        found = self._by_value.get((dimension, known, label))
        if found is None:
            if len(self._by_value) >= _MAX_TABLES:
                self._by_value.clear()
            field, campaigns = _FIELDS[dimension], [view.campaign for view in self.columns.views]
            names = {known, label} - {""}
            found = self._by_value[dimension, known, label] = np.array(
                [_allows(campaign.target, campaign.exclude, field, names) for campaign in campaigns], np.bool_
            )
        return found

    def _forget_columns(self) -> None:
        self._columns = None
        self._by_value.clear()
        self._by_values.clear()

    def _take_held(self) -> None:
        while self._to_hold:
            cid, cost = self._to_hold.popleft()
            if cid in self._views:
                self._held[cid] = self._held.get(cid, 0.0) + cost

    def _fill_places(self, cid: str) -> bool:
        """Let those take part that come first (:meth:`_rank`), after one campaign has changed, come or gone.

        Returns
        -------
        bool
            Whether another campaign than this one has got or lost a place, or this one has lost its own.
        """
        views, out, moved = self._views, self._left_out, False

        def by_rank(entry: tuple[str, CampaignView]) -> tuple[bool, int, float, str]:
            return self._rank(*entry)

        while out and len(views) < self._max_campaigns:
            first, view = min(out.items(), key=by_rank)
            views[first] = view
            del out[first]
            moved = True
        if len(views) <= self._max_campaigns and not out:
            return moved
        last, worst = max(views.items(), key=by_rank)
        if len(views) > self._max_campaigns:
            moved = last != cid
        else:
            first, best = min(out.items(), key=by_rank)
            if by_rank((first, best)) > by_rank((last, worst)):
                return moved
            views[first] = best
            del out[first]
            moved = True
        del views[last]
        self._held.pop(last, None)
        out[last] = worst
        if len(out) > self._max_campaigns:
            del out[max(out.items(), key=by_rank)[0]]
        return moved

    def _rank(self, cid: str, view: CampaignView) -> tuple[bool, int, float, str]:
        """Return by what campaigns are ordered for places: the first takes part first."""
        campaign = view.campaign
        rests = campaign.paused or campaign.has_ended(self._clock_ms) or not campaign.approved
        return rests, -campaign.tier, -campaign.bid_each * _USUAL_ODDS[campaign.model], cid


@kernel
def _left(  # type: ignore[no-untyped-def]  # numba finds the types
    now_ms, day_ends, left_today, left_next_day, left_in_all, promised, promised_ms, fades, pays_purchase, held
):
    """Return what :meth:`CampaignIndex.left` does.

    What is promised for decisions made so far counts against the whole budget. Against the day's it counts where
    charges come on the day of the decision, as they do for impressions and clicks.
    """
    found = np.empty((len(now_ms), len(held)))
    for row in range(len(now_ms)):
        for campaign in range(len(held)):
            day = left_today[campaign] if now_ms[row] < day_ends[campaign] else left_next_day[campaign]
            kept = 0.0
            if promised[campaign] > 0.0:
                kept = promised[campaign] * math.exp(-max(now_ms[row] - promised_ms[campaign], 0.0) / fades[campaign])
            if not pays_purchase[campaign]:
                day -= kept
            found[row, campaign] = min(day, left_in_all[campaign] - kept) - held[campaign]
    return found


_MAX_TABLES = 4096
_MOST_OF_ADVERTISERS = 4
_SECOND_MS = 1000.0

_USUAL_ODDS = {"cpm": 1.0, "cpc": 0.01, "cpa": 0.0005}
"""How often what a campaign pays for follows an impression, about, so that bids of several models can be compared."""

_STILL_HELD = 0.8


def _allows(target: Audience, exclude: Audience, field: str, names: set[str]) -> bool:
    wanted = names_in(target, field)
    return (not wanted or not names.isdisjoint(wanted)) and names.isdisjoint(names_in(exclude, field))
