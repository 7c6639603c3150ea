"""``nearstream bench ads-baskets``: which ad to show, where it is known of every ad whether it would have been clicked.

Requests come from households that begin a basket. An ad for a department is clicked if the basket is going to hold
something of it, so the click-through rate of any policy is exact. The policy is the ad server as the users plane runs
it: one campaign per department, all with the same bid for a click, and it learns from the answer to its own choice, and
from what is bought then.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from time import process_time

import msgspec
import numpy as np

from processors.ads.ad_server import AdServer
from processors.ads.campaign import Campaign, Creative
from processors.ads.ledger import Ledger
from processors.ads.ledger_keeper import LedgerKeeper
from processors.ads.opportunity import Opportunity
from processors.ads.settings import AdSettings
from processors.common.errors import NearstreamError
from processors.events.event import Event
from processors.models.click_learner import ClickLearner, ClickState
from processors.models.click_model import ClickModelSettings
from processors.models.interest_groups import InterestGroups
from processors.users.profile import Profile
from processors.users.profile_keeper import ProfileKeeper
from processors.users.settings import ProfileSettings

_PLACEMENT = "basket"
_HOUSEHOLDS = ProfileSettings(interests=60, interest_half_life_ms=180 * 86_400_000)
"""Groceries: what a household buys is the same for years."""


class BasketsResult(msgspec.Struct):
    """Result, one JSON line: click-through rates of the policy, of drawing by chance, and of the best single ad."""

    requests: int
    arms: int
    ctr: float
    ctr_last_half: float
    uniform: float
    best_fixed: float
    us_per_request: float


class _Request(msgspec.Struct):
    number: str
    time_ms: int
    user: str
    clicked: frozenset[str]


def run_baskets(folder: Path, requests: int | None = None) -> BasketsResult:
    """Decide which ad to show for every request, in order, and measure how many were clicked.

    Parameters
    ----------
    folder
        Folder with ``baskets.csv.gz``, ``basket_events.csv.gz`` and ``arms.csv``.
    requests
        Most requests that are decided; by default all.

    Raises
    ------
    NearstreamError
        If a file is missing.
    """
    for name in ("baskets.csv.gz", "basket_events.csv.gz", "arms.csv"):
        if not (folder / name).is_file():
            raise NearstreamError(f"{folder / name} is missing")
    arms = [row["arm"] for row in _rows(folder / "arms.csv")]
    todo = list(_requests(folder))[:requests]
    shop, bought = _Shop(arms), _bought(folder)
    begun = process_time()
    rewards = np.array([shop.serve(request, bought.get(request.number, [])) for request in todo], np.float64)
    taken = process_time() - begun
    known = np.array([[arm in request.clicked for arm in arms] for request in todo], np.float64)
    return BasketsResult(
        requests=len(todo),
        arms=len(arms),
        ctr=round(float(rewards.mean()), 4),
        ctr_last_half=round(float(rewards[len(rewards) // 2 :].mean()), 4),
        uniform=round(float(known.mean()), 4),
        best_fixed=round(float(known.mean(axis=0).max()), 4),
        us_per_request=round(taken / len(todo) * 1e6, 1),
    )


class _Shop:
    """The ad server with one campaign per department, and the profiles of the households."""

    def __init__(self, arms: list[str]) -> None:
        self._ads = AdServer(AdSettings(impressions="inferred", log_losers=0.0), InterestGroups(), 1)
        self._keeper, self._profiles = ProfileKeeper(_HOUSEHOLDS), dict[str, Profile]()
        self._ledger_keeper, self._ledgers = LedgerKeeper(), {arm: Ledger() for arm in arms}
        self._learner, self._learned = ClickLearner(ClickModelSettings()), ClickState()
        for arm in arms:
            creative = Creative("a", arm, "https://shop.example/", category=arm)
            campaign = Campaign("shop", (creative,), 1.0, 1e6, model="cpc", pacing="asap")
            self._ledger_keeper.replace(self._ledgers[arm], campaign)
            self._ads.campaigns.apply(arm, self._ledger_keeper.view(self._ledgers[arm]))

    def serve(self, request: _Request, events: list[Event]) -> bool:
        """Show an ad, learn from the answer and from the basket, and tell whether the ad was clicked."""
        profile = self._profiles.setdefault(request.user, Profile())
        step = self._ads.begin()
        found = Opportunity(
            f"{request.number}/ad", request.user, profile, request.time_ms, _PLACEMENT, {"placement": _PLACEMENT}
        )
        ((decision, _),) = self._ads.decide([found], step)
        clicked = decision.cid in request.clicked
        if clicked:
            click = Event(
                event_id=f"click {request.number}",
                user_id=request.user,
                item_id="ad",
                time_ms=request.time_ms,
                kind="click",
                action="click",
                decision_id=decision.decision_id,
            )
            self._ads.tracking.react(profile, click, step)
        self._learner.learn(self._learned, step.examples)
        self._ads.clicks.apply(self._learner.view(self._learned))
        for signal in step.signals.messages()[0]:
            self._ledger_keeper.learn(self._ledgers[signal.cid], signal)
            if signal.shown:
                self._ads.campaigns.apply(signal.cid, self._ledger_keeper.view(self._ledgers[signal.cid]))
        for event in events:
            self._keeper.learn(profile, event)
        return clicked


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        yield from csv.DictReader(lines)


def _requests(folder: Path) -> Iterator[_Request]:
    for row in _rows(folder / "baskets.csv.gz"):
        clicked = frozenset(filter(None, row["clicked_arms"].split(";")))
        yield _Request(row["request_id"], int(row["timestamp"]) * 1000, row["user_id"], clicked)


def _bought(folder: Path) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for n, row in enumerate(_rows(folder / "basket_events.csv.gz")):
        event = Event(
            event_id=f"bought {n}",
            user_id=row["user_id"],
            item_id=row["item_id"],
            time_ms=int(row["timestamp"]) * 1000,
            kind="purchase",
            action="purchase",
            price=float(row["price"] or 0.0),
            category=row["category"] or None,
        )
        found.setdefault(row["request_id"], []).append(event)
    return found
