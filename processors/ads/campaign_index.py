"""The read model of campaigns: what every worker knows of them, as columns and as tables of who is meant."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from processors.ads.campaign import Audience, Creative, Frequency
from processors.ads.campaign_view import CampaignView
from processors.common.arrays import Flags, Floats, Hashes, Ints
from processors.common.hashing import hashed

PLACES = ("country", "region", "city", "device", "channel", "language", "placement", "segment")
"""What of a moment is one of a list of names."""

_FIELDS = ("countries", "regions", "cities", "devices", "channels", "languages", "placements", "segments")


MAX_CAMPAIGNS = 2_000
"""Held by default. A decision looks at all of them."""


@dataclass(frozen=True)
class Columns:
    """Figures of all campaigns, in the order of their ids.

    Attributes
    ----------
    cids, views
        Ids, and what was published.
    begins, ends
        When each runs, milliseconds since the epoch.
    paused, needs_user
        Whether it rests, and whether it has to know the user.
    left, left_today, day_ends
        What may still be spent, of all and until the day ends.
    rates, bids, floors, calibration, conversions
        As published; a bid for a thousand impressions as one for each.
    pays_click, pays_purchase
        What it pays for; a showing if neither.
    looking
        Numbers of the campaigns that look at more than places: at what users did, or at the hour.
    capped, capped_by_advertiser
        Whether showings of it to one user are limited, and whether those of its advertiser's are.
    campaign_keys
        Hash of each id.
    places
        Where each id is in the columns.
    creatives
        Of all of them.
    """

    cids: tuple[str, ...]
    views: tuple[CampaignView, ...]
    begins: Floats
    ends: Floats
    paused: Flags
    needs_user: Flags
    left: Floats
    left_today: Floats
    day_ends: Floats
    rates: Floats
    bids: Floats
    floors: Floats
    calibration: Floats
    pays_click: Flags
    pays_purchase: Flags
    conversions: Floats
    looking: Ints
    capped: Flags
    capped_by_advertiser: Flags
    campaign_keys: Hashes
    places: Mapping[str, int]
    creatives: Creatives


@dataclass(frozen=True)
class Creatives:
    """The creatives of all campaigns, one campaign's after the other's.

    Attributes
    ----------
    all, crids
        The creatives, and their ids.
    begins
        Where those of each campaign begin, and the end of the last.
    keys
        Hash of each with its campaign's id.
    weights
        Logarithms of how often each is preferred.
    categories, category
        Categories that are promoted, and which of them each promotes; -1 for none.
    """

    all: tuple[Creative, ...]
    crids: tuple[str, ...]
    begins: Ints
    keys: Hashes
    weights: Floats
    categories: tuple[str, ...]
    category: Ints


class CampaignIndex:
    """Holds what was published of campaigns.

    Parameters
    ----------
    most
        Campaigns held; beyond that the ones whose ids sort last are left out, whatever the order they come in.

    Examples
    --------
    >>> from processors.ads.campaign import Campaign, Creative
    >>> tent = Creative("a", "A tent", "https://shop.example/tent")
    >>> index = CampaignIndex()
    >>> index.apply("c1", CampaignView(Campaign("shop", (tent,), 2.0, 100.0, target=Audience(devices=("Phone",)))))
    >>> index.meant("device", "phone").tolist(), index.meant("device", "tablet").tolist()
    ([True], [False])
    """

    def __init__(self, most: int = MAX_CAMPAIGNS) -> None:
        self._most, self._beyond = most, set[str]()
        self._views: dict[str, CampaignView] = {}
        self._columns: Columns | None = None
        self._tables: dict[tuple[str, str], Flags] = {}
        self._agreed: dict[tuple[str | None, ...], Flags] = {}
        self._held: dict[str, float] = {}
        self._to_hold: deque[tuple[str, float]] = deque()

    def __len__(self) -> int:
        return len(self._views)

    @property
    def views(self) -> Mapping[str, CampaignView]:
        """By campaign id."""
        return self._views

    def apply(self, cid: str, view: CampaignView | None) -> None:
        """Take over a campaign; :obj:`None` withdraws it."""
        self._take_hold()
        before = self._views.get(cid)
        self._beyond.discard(cid)
        if view is None:
            self._views.pop(cid, None)
            self._held.pop(cid, None)
        else:
            self._views[cid] = view
            if cid in self._held:
                self._held[cid] *= _STILL_HELD
            if len(self._views) > self._most:
                self._leave_out(max(self._views))
        self._columns = None
        if before is None or view is None or before.campaign != view.campaign:
            self._tables.clear()
            self._agreed.clear()

    def hold(self, cid: str, cost: float) -> None:
        """Note what decisions of this process are going to cost.

        The ledger hears of it when ads are seen or clicked, seconds later, and is silent as long as it moves to another
        worker. So costs are held against what is left, and a fifth is let go each time the ledger speaks.

        May be called in any thread, while the book is read in another.
        """
        self._to_hold.append((cid, cost))

    def _take_hold(self) -> None:
        while self._to_hold:
            cid, cost = self._to_hold.popleft()
            if cid in self._views:
                self._held[cid] = self._held.get(cid, 0.0) + cost

    def exhausted(self, now_ms: Floats) -> Flags:
        """Which campaigns have nothing left beside what is held, shape (moments, campaigns).

        Parameters
        ----------
        now_ms
            Moments, shape (moments, 1).
        """
        self._take_hold()
        columns = self.columns
        held = np.zeros(len(columns.cids))
        for cid, cost in self._held.items():
            held[columns.places[cid]] = cost
        left = np.where(now_ms < columns.day_ends, columns.left_today, columns.left)
        found: Flags = held >= left
        return found

    def _leave_out(self, cid: str) -> None:
        del self._views[cid]
        self._held.pop(cid, None)
        if len(self._beyond) < self._most:
            self._beyond.add(cid)

    @property
    def left_out(self) -> int:
        """Campaigns that were left out, as far as they are counted."""
        return len(self._beyond)

    @property
    def columns(self) -> Columns:
        """The campaigns as columns. Made anew after a change; linear in their number."""
        if self._columns is None:
            self._columns = _columns_of(dict(sorted(self._views.items())))
        return self._columns

    def agree(self, values: tuple[str | None, ...]) -> Flags:
        """Which campaigns, in the order of the columns, agree to a moment's values of :data:`PLACES`.

        Complexity: as :meth:`meant`, and bounded likewise.
        """
        found = self._agreed.get(values)
        if found is None:
            if len(self._agreed) >= _MOST_TABLES:
                self._agreed.clear()
            flags = [self.meant(place, value) for place, value in zip(PLACES, values, strict=True)]
            found = self._agreed[values] = np.logical_and.reduce(flags)
        return found

    def meant(self, place: str, value: str | None) -> Flags:
        """Which campaigns, in the order of the columns, agree to a value of one of :data:`PLACES`.

        Complexity: one look at each campaign for a value that is new, none for those known; bounded, as values are
        forgotten when there are many.
        """
        known = (value or "").casefold()
        found = self._tables.get((place, known))
        if found is None:
            if len(self._tables) >= _MOST_TABLES:
                self._tables.clear()
            field = _FIELDS[PLACES.index(place)]
            found = self._tables[place, known] = np.array(
                [_allows(view.campaign.target, view.campaign.exclude, field, known) for view in self.columns.views],
                np.bool_,
            )
        return found


_MOST_TABLES = 4096
_STILL_HELD = 0.8
_UNLIMITED = Frequency()


def _allows(target: Audience, exclude: Audience, field: str, value: str) -> bool:
    wanted: tuple[str, ...] = getattr(target, field)
    unwanted: tuple[str, ...] = getattr(exclude, field)
    names = {name.casefold() for name in wanted}
    return (not names or value in names) and value not in {name.casefold() for name in unwanted}


def _columns_of(views: Mapping[str, CampaignView]) -> Columns:
    campaigns = [view.campaign for view in views.values()]
    return Columns(
        cids=tuple(views),
        views=tuple(views.values()),
        begins=_moments(c.starts_at.timestamp() if c.starts_at else -np.inf for c in campaigns),
        ends=_moments(c.ends_at.timestamp() if c.ends_at else np.inf for c in campaigns),
        paused=np.array([campaign.paused for campaign in campaigns], np.bool_),
        needs_user=np.array([campaign.needs_user for campaign in campaigns], np.bool_),
        left=np.array([view.left for view in views.values()], np.float64),
        left_today=np.array([view.left_today for view in views.values()], np.float64),
        day_ends=np.array([view.day_ends_ms for view in views.values()], np.float64),
        rates=np.array([view.rate for view in views.values()], np.float64),
        floors=np.array([campaign.bidfloor for campaign in campaigns], np.float64),
        bids=np.array([campaign.bid_each for campaign in campaigns], np.float64),
        calibration=np.array([view.calibration for view in views.values()], np.float64),
        pays_click=np.array([campaign.model == "cpc" for campaign in campaigns], np.bool_),
        pays_purchase=np.array([campaign.model == "cpa" for campaign in campaigns], np.bool_),
        conversions=np.array([view.conversion for view in views.values()], np.float64),
        looking=np.flatnonzero([campaign.looks_beyond_places for campaign in campaigns]),
        capped=np.array([campaign.frequency != _UNLIMITED for campaign in campaigns], np.bool_),
        capped_by_advertiser=np.array([c.frequency.counts_advertiser for c in campaigns], np.bool_),
        places={cid: place for place, cid in enumerate(views)},
        campaign_keys=np.array([hashed(f"campaign:{cid}") for cid in views], np.uint64),
        creatives=_creatives_of(views),
    )


def _creatives_of(views: Mapping[str, CampaignView]) -> Creatives:
    flat = [(cid, creative) for cid, view in views.items() for creative in view.campaign.creatives]
    categories = tuple(sorted({creative.category for _, creative in flat if creative.category is not None}))
    numbers = {name: number for number, name in enumerate(categories)}
    lengths = [len(view.campaign.creatives) for view in views.values()]
    return Creatives(
        all=tuple(creative for _, creative in flat),
        crids=tuple(creative.crid for _, creative in flat),
        begins=np.cumsum([0, *lengths]),
        keys=np.array([hashed(f"creative:{cid}/{creative.crid}") for cid, creative in flat], np.uint64),
        weights=np.log(np.array([creative.weight for _, creative in flat], np.float64)),
        categories=categories,
        category=np.array([numbers.get(creative.category or "", -1) for _, creative in flat], np.int64),
    )


def _moments(seconds: Iterable[float]) -> Floats:
    return 1000.0 * np.array(list(seconds), np.float64)
