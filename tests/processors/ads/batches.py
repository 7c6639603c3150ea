"""Batches of opportunities and campaigns by chance, in which every reason to show no ad comes up."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np

from processors.ads.audience import Audience, Interest
from processors.ads.campaign import Campaign, Creative, Dayparts, Frequency
from processors.ads.campaign_index import CampaignIndex
from processors.ads.campaign_view import CampaignView
from processors.ads.creative_limits import Blocks
from processors.ads.frame import Frame
from processors.ads.goal import Goal
from processors.ads.goal_figures import GoalView
from processors.ads.no_bid import NoBid
from processors.ads.opportunity import Opportunity
from processors.ads.settings import AdSettings
from processors.common.arrays import Ints
from processors.common.hashing import fingerprint, hashed
from processors.common.money import per_impression
from processors.models.click_model import ClickModel
from processors.users.ad_history import CampaignImpressions, Decision, Model
from processors.users.category_visits import CategoryVisits
from processors.users.profile import Profile

NOW, HOUR = 1_700_000_000_000, 3_600_000
CATEGORIES, ITEMS = ("tents", "lamps", "boats", "books"), ("i1", "i2", "i3", "i4")
CAMPAIGNS = 12
MODELS: tuple[Model, ...] = ("cpm", "cpc", "cpa")

T = TypeVar("T")


@dataclass
class Batch:
    """Opportunities, and what they are decided by."""

    opportunities: list[Opportunity]
    index: CampaignIndex
    clicks: ClickModel
    purchases: ClickModel
    settings: AdSettings

    def frame(self, opportunities: Sequence[Opportunity] | None = None) -> Frame:
        """A frame of all or of some of the opportunities."""
        those = self.opportunities if opportunities is None else opportunities
        return Frame.of(those, self.index, self.clicks, self.purchases, self.settings, {}, SomeShop())


class SomeShop:
    """A shop that forbids some creatives to some users, by what they are called."""

    def of_categories(self, creatives: Sequence[Creative], categories: Set[str]) -> Ints:
        of_item = {"i1": "tents", "i2": "boats"}
        return np.array(
            [n for n, one in enumerate(creatives) if of_item.get(one.item_id or "") in categories], np.int64
        )

    def forbidden(self, opportunities: Sequence[Opportunity], creatives: Sequence[Creative]) -> Ints | None:
        codes = (NoBid.OUT_OF_STOCK, NoBid.NOT_ALLOWED, NoBid.RULED_OUT)
        marks = [[hashed(f"{found.user_id}/{one.item_id}") for one in creatives] for found in opportunities]
        return np.array([[codes[mark % 3] if mark % 8 == 0 else 0 for mark in row] for row in marks], np.int64)


class Chance:
    """What a batch is drawn from."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def maybe(self, odds: float, draw: Callable[[], T], otherwise: T) -> T:
        return draw() if self.random.random() < odds else otherwise

    def some(self, values: Sequence[T], odds: float = 0.5) -> tuple[T, ...]:
        return tuple(value for value in values if self.random.random() < odds)

    def one(self, *values: T) -> T:
        return values[int(self.random.integers(len(values)))]

    def ago(self, most_ms: int) -> int:
        return NOW - int(self.random.integers(most_ms))


def batch(seed: int) -> Batch:
    """The batch of a seed: up to two dozen opportunities of six users, up to twelve campaigns."""
    chance = Chance(seed)
    settings = AdSettings(
        log_losers=1.0,
        page_ms=HOUR,
        floor=chance.one(0.0, 10.0, 300.0, 1500.0),
        exploration=chance.one(0.0, 1.0),
        blocked_categories=chance.one((), (), (), ("Boats",)),
        blocked_at=chance.one({}, {}, {"side": Blocks(advertisers=("C",), domains=("b.example",))}),
    )
    clicks, purchases = ClickModel(), ClickModel()
    for model in (clicks, purchases):
        model.weights[:] = 0.2 * chance.random.normal(size=len(model.weights))
        model.squares[:] = 5.0 * chance.random.random(len(model.squares))
    index = CampaignIndex()
    for number in range(int(chance.random.integers(1, CAMPAIGNS + 1))):
        index.apply(f"c{number:02}", _view(chance))
    users = [_profile(chance) for _ in range(6)]
    count = int(chance.random.integers(1, 24))
    return Batch([_opportunity(chance, n, users, settings) for n in range(count)], index, clicks, purchases, settings)


def _view(chance: Chance) -> CampaignView:
    return CampaignView(
        _campaign(chance),
        rate=chance.one(1.0, 0.5, 0.05),
        left=chance.one(0.0, 50.0),
        left_today=chance.one(0.0, 5.0, 5.0),
        day_ends_ms=NOW + int(chance.random.integers(-HOUR, HOUR)),
        calibration=chance.one(1.0, 1.7),
        conversion=chance.one(1.0, 0.6),
        goal=GoalView(chance.one(1.0, 2.0), purchase_value=400.0),
        spent=chance.one(1.0, 2.0),
    )


def _campaign(chance: Chance) -> Campaign:
    maybe, model = chance.maybe, chance.one(*MODELS)
    creatives = tuple(_creative(chance, n) for n in range(int(chance.random.integers(1, 5))))
    if chance.random.random() < 0.1:
        return Campaign(chance.one("a", "b", "c"), creatives, house=True)
    return Campaign(
        chance.one("a", "b", "c"),
        creatives,
        priority=chance.one(5, 5, 5, 6, 3),
        adomain=chance.one((), (), ("m.b.example",)),
        bid=chance.one(1000.0, 2000.0) if model == "cpm" else chance.one(5.0, 50.0),
        budget=100.0,
        model=model,
        bidfloor=chance.one(0.0, 500.0),
        ends_at=maybe(0.1, lambda: datetime.fromtimestamp(NOW / 1000 + 1800, UTC), None),
        target=maybe(0.6, lambda: _audience(chance, 0.25), Audience()),
        exclude=maybe(0.4, lambda: _audience(chance, 0.12), Audience()),
        exclude_purchasers=chance.one(True, False, False, False),
        dayparts=maybe(0.2, lambda: _dayparts(chance), Dayparts()),
        frequency=maybe(0.6, lambda: _frequency(chance), Frequency()),
        paused=maybe(0.05, lambda: True, False),
        holdout=maybe(0.3, lambda: 0.5, 0.0),
        goal=maybe(0.4, lambda: chance.one(Goal(cpa=1000.0), Goal(roas=0.3)), None),
        advertiser_budget=maybe(0.3, lambda: chance.one(6.0, 60.0), None),
    )


def _creative(chance: Chance, number: int) -> Creative:
    item, category = chance.one(None, *ITEMS), chance.one(None, *CATEGORIES)
    weight = chance.one(1.0, 2.0)
    width, height = chance.one((None, None), (None, None), (300, 250), (728, 90))
    status = chance.one(*("approved",) * 8, "pending", "rejected")
    return Creative(
        f"k{number}", "An ad", "https://shop.example/", item_id=item, category=category, weight=weight, w=width,
        h=height, status=status,  # type: ignore[arg-type]
    )  # fmt: skip


def _audience(chance: Chance, odds: float) -> Audience:
    maybe, some = chance.maybe, chance.some
    return Audience(
        segments=maybe(odds / 2, lambda: some(("0", "1")), ()),
        interests=maybe(odds, lambda: tuple(Interest(name, 0.2) for name in some(CATEGORIES)), ()),
        countries=maybe(odds, lambda: some(("DE", "fr")), ()),
        devices=maybe(odds, lambda: some(("Phone", "desktop")), ()),
        placements=maybe(odds / 2, lambda: some(("top", "side")), ()),
        visitors=maybe(odds / 2, lambda: "returning", None),
        events_at_least=maybe(odds / 2, lambda: 3, None),
        viewed_categories=maybe(odds, lambda: some(CATEGORIES), ()),
        viewed_items=maybe(odds, lambda: some(ITEMS), ()),
    )


def _dayparts(chance: Chance) -> Dayparts:
    return Dayparts(hours=chance.some(range(24)), of=chance.one("user", "campaign"))


def _frequency(chance: Chance) -> Frequency:
    maybe = chance.maybe
    return Frequency(
        per_hour=maybe(0.4, lambda: 2, None),
        per_day=maybe(0.4, lambda: 3, None),
        total=maybe(0.3, lambda: 4, None),
        advertiser_per_day=maybe(0.3, lambda: 4, None),
        cool_down_ms=maybe(0.4, lambda: HOUR, 0),
        per_week=maybe(0.2, lambda: 3, None),
        conversions=maybe(0.3, lambda: 2, None),
    )


def _profile(chance: Chance) -> Profile:
    profile = Profile(
        item_ids=list(chance.some(ITEMS)),
        categories={name: chance.random.random() for name in chance.some(CATEGORIES)},
        sessions=int(chance.random.integers(1, 4)),
        events=int(chance.random.integers(6)),
        last_seen=chance.ago(100 * HOUR),
        category_visits={name: CategoryVisits(chance.ago(300 * HOUR), 2) for name in chance.some(CATEGORIES)},
        bought=b"".join(map(fingerprint, chance.some(ITEMS, 0.3))),
    )
    profile.item_actions = [chance.one("view", "purchase") for _ in profile.item_ids]
    profile.item_times = [chance.ago(100 * HOUR) for _ in profile.item_ids]
    for number in chance.some(range(CAMPAIGNS), 0.1):
        at_ms = NOW + int(chance.random.integers(HOUR))
        decision = Decision(number, f"c{number:02}", "k0", "a", at_ms, at_ms, 1.0, "cpm", 0.1, page="front")
        profile.ads.decisions.append(decision)
    profile.ads.decisions.sort(key=lambda decision: decision.at_ms)
    for number in chance.some(range(CAMPAIGNS)):
        times = [chance.ago(chance.one(1, 30) * HOUR) for _ in range(int(chance.random.integers(4)))]
        cool_down_until_ms = chance.one(0, 0, 0, NOW + HOUR)
        profile.ads.impressions[f"c{number:02}"] = CampaignImpressions(
            chance.one("a", "b", "c"), times, len(times), cool_down_until_ms, conversions=chance.one(0, 0, 2)
        )
    return profile


def _opportunity(chance: Chance, number: int, users: Sequence[Profile], settings: AdSettings) -> Opportunity:
    user, contextual = int(chance.random.integers(len(users))), chance.one(True, False, False, False, False, False)
    dimensions = {"placement": chance.one("top", "side"), "device": chance.one("phone", "desktop")}
    for name, values in (("country", ("DE", "FR")), ("segment", ("0", "1")), ("time_zone", ("Asia/Tokyo", "UTC"))):
        dimensions |= chance.maybe(0.6, lambda name=name, values=values: {name: chance.one(*values)}, {})  # type: ignore[misc]
    return Opportunity(
        f"events.browse.v1/0/{number}/ad",
        f"u{user}",
        Profile() if contextual else users[user],
        NOW + int(chance.random.integers(HOUR)),
        dimensions["placement"],
        dimensions,
        floor=per_impression(settings.floor),
        contextual=contextual,
        measured=not contextual,
        late=chance.maybe(0.05, lambda: True, False),
        item_id=chance.maybe(0.5, lambda: chance.one(*ITEMS), None),
        badv=chance.one(*((),) * 8, ("A",), ("shop.example",)),
        bcat=chance.one(*((),) * 4, ("tents",)),
        sizes=chance.one(*((),) * 4, ((300, 250),), ((728, 90), (300, 600))),
        page=chance.maybe(0.5, lambda: "front", ""),
    )
