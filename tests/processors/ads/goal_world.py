"""A market whose purchases are known: a campaign with a goal, a rival at each placement, and who buys what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from processors.ads.campaign import Campaign, Creative
from processors.ads.campaign_index import CampaignIndex
from processors.ads.campaign_view import CampaignView
from processors.ads.decision import AuctionResult
from processors.ads.ledger import Ledger
from processors.ads.ledger_keeper import LedgerKeeper
from processors.ads.opportunity import Opportunity
from processors.ads.pipeline import AdPipeline
from processors.ads.settings import AdSettings
from processors.ads.signals import CampaignSignal
from processors.common.time import DAY_MS, HOUR_MS
from processors.items.index import ItemIndex
from processors.items.view import ItemView, Listing
from processors.models.click_model import PURCHASE_LOGIT, ClickModel
from processors.users.profile import Profile
from tests.processors.ads.shop import NOW

BATCH, PER_DAY = 25, 1500
PLACEMENTS, DEVICES = 5, ("phone", "desktop")
CLICKED, BOUGHT = 0.4, {"phone": 0.2, "desktop": 0.6}
PRICES = {"mug": 20.0, "tent": 60.0}
MARGIN = 0.5


@dataclass(order=True)
class Purchase:
    """A purchase to come."""

    at_ms: int
    decided_ms: int
    price: float
    revenue: float
    share: float
    pursuit: int


@dataclass
class Market:
    """The campaign, its rivals, and those who see, click and buy.

    Parameters
    ----------
    rivals
        What the rivals bid for a thousand impressions, lowest and highest.
    """

    fields: dict[str, Any]
    seed: int = 1
    rivals: tuple[float, float] = (400.0, 2800.0)
    items: bool = True
    delay_ms: float = 6.0 * HOUR_MS
    state: Ledger = field(default_factory=Ledger)
    days: list[tuple[float, int, float]] = field(default_factory=list)
    prices: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random, self._index = np.random.default_rng(self.seed), CampaignIndex()
        self._clicks, self._purchases = ClickModel(), ClickModel(first_logit=PURCHASE_LOGIT)
        shelf = ItemIndex()
        for item, price in PRICES.items():
            listing = Listing(margin=MARGIN)
            shelf.apply(item, ItemView((0.0, 0.0, 0.0), 1, 0, 0, [], b"", b"", price=price, listing=listing))
        self._pipeline = AdPipeline(
            AdSettings(log_losers=0.0), self._index, self._clicks, self._purchases, items=shelf if self.items else None
        )
        creatives = tuple(Creative(item, item, "https://shop.example/", item_id=item) for item in PRICES)
        self.campaign = msgspec.convert(
            {
                "advertiser": "a",
                "budget": 1e6,
                "pacing": "asap",
                "creatives": msgspec.to_builtins(creatives),
                **self.fields,
            },
            Campaign,
        )
        for number, bid in enumerate(np.linspace(*self.rivals, PLACEMENTS).tolist()):
            rival = {"advertiser": "r", "budget": 1e9, "bid": bid, "target": {"placements": [f"p{number}"]}}
            rival["creatives"] = msgspec.to_builtins(creatives[:1])
            view = CampaignView(msgspec.convert(rival, Campaign), left=1e9, left_today=1e9)
            self._index.apply(f"rival {number}", view)
        self._keeper, self._due = LedgerKeeper(), list[Purchase]()
        self._keeper.replace(self.state, self.campaign)
        self._number, self.now = 0, NOW
        self._publish()

    def run(self, days: int) -> Market:
        """Let days pass."""
        for _ in range(days):
            for _ in range(PER_DAY // BATCH):
                self.now += DAY_MS * BATCH // PER_DAY
                self._step()
            self.days.append((self.state.spent, self.state.conversions, self.revenue))
        return self

    @property
    def revenue(self) -> float:
        return sum(day.revenue for day in self.state.days.values())

    def since(self, day: int) -> tuple[float, int, float]:
        """What was spent, bought and brought in from the end of a day on; the first is 1."""
        return tuple(late - early for late, early in zip(self.days[-1], self.days[day - 1], strict=True))  # type: ignore[return-value]

    def _publish(self) -> None:
        self.state.published_ms = self.now
        self._index.apply("c", self._keeper.view(self.state))

    def _step(self) -> None:
        asked = [self._opportunity(number) for number in range(self._number, self._number + BATCH)]
        self._number += BATCH
        signal = CampaignSignal("c", self.now)
        decisions = self._pipeline.decide(asked)
        for decided in decisions:
            for cid, count in decided.bids.items():
                assert cid == "c"
                signal.count_bids(count)
        signal.opportunities = sum(decided.opportunities.get("c", 0) for decided in decisions)
        for found, decided in zip(asked, decisions, strict=True):
            if decided.cid == "c":
                self._show(found, decided, signal)
        for purchase in [one for one in self._due if one.at_ms <= self.now]:
            self._buy(purchase, signal)
        self._due = [one for one in self._due if one.at_ms > self.now]
        self._keeper.learn(self.state, signal)
        self._publish()

    def _opportunity(self, number: int) -> Opportunity:
        where, device = f"p{self._random.integers(PLACEMENTS)}", DEVICES[self._random.integers(2)]
        return Opportunity(
            f"d{self.seed} {number}", f"u{number}", Profile(), self.now, where, {"placement": where, "device": device}
        )

    def _show(self, found: Opportunity, decided: AuctionResult, signal: CampaignSignal) -> None:
        model, clicked = self.campaign.model, bool(self._random.random() < CLICKED)
        self.prices.append(decided.price)
        signal.decided += 1
        signal.shown += 1
        signal.expected += decided.expected_click
        signal.expected_cost += decided.cost
        if decided.value_share is not None:
            odds, goal = decided.p_click * decided.p_conversion, signal.for_goal(decided.pursuit)
            goal.cost += decided.cost
            goal.expected += odds
            goal.expected_value += odds * decided.purchase_value
        if model == "cpm" or (model == "cpc" and clicked):
            signal.charged += decided.price
            signal.for_goal(decided.pursuit).charged += decided.price
            signal.charge_after(0)
        self._clicks.learn(decided.features, decided.expected_click - clicked)
        if not clicked:
            return
        signal.clicks += 1
        signal.expected_purchases += decided.expected_purchase
        bought = bool(self._random.random() < BOUGHT[found.dimensions["device"]])
        self._purchases.learn(decided.features, decided.expected_purchase - bought)
        if bought:
            assert decided.creative is not None
            at_ms = self.now + int(self._random.exponential(self.delay_ms))
            revenue = PRICES[decided.creative.item_id or ""]
            share = decided.value_share if decided.value_share is not None else 1.0
            self._due.append(Purchase(at_ms, self.now, decided.price, revenue, share, decided.pursuit))

    def _buy(self, purchase: Purchase, signal: CampaignSignal) -> None:
        late = max(self.now - purchase.decided_ms, 0)
        signal.conversions += 1
        signal.bought += 1
        signal.revenue += purchase.revenue
        if self.campaign.goal is not None:
            signal.for_goal(purchase.pursuit).buy(purchase.revenue * purchase.share, late)
        if self.campaign.model == "cpa":
            signal.charged += purchase.price
            signal.for_goal(purchase.pursuit).charged += purchase.price
            signal.charge_after(late)
