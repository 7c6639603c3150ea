"""The recommendation logic once more, as plain Python over plain dicts, one event at a time: what the peers do.

The rules, bounds and half-lives of profiles and items are those of ``processors/``; ``tests/bench`` compares the
neighbours. Ranking is the blend with fixed weights that one would write by hand, over fewer candidates and features,
and nothing is learned: less work per event than the worker does. What a table holds is JSON-ready: dicts and lists.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from heapq import nlargest
from typing import Any, NamedTuple

from processors.common.decay import growth, landmark_at, rebase
from processors.common.hashing import fingerprint
from processors.events.event import ACTION_WEIGHTS
from processors.items.state import ItemSettings
from processors.ranking.settings import Placement, RankingSettings
from processors.users.settings import ProfileSettings

USERS = ProfileSettings()
ITEMS = ItemSettings()


class Blend(NamedTuple):
    """How the blend ranks: reach of the sources, and their weights."""

    recent_items: int = 10
    next_items: int = 3
    position_decay: float = 0.8
    popular_items: int = 60
    together: float = 1.0
    next: float = 0.5
    recent: float = 0.6
    popular: float = 0.02
    model_version: str = "blend"
    placements: tuple[Placement, ...] = RankingSettings().placements


RANKING = Blend()
TREND_HALF_LIFE_MS = ITEMS.trend_half_lives_ms[1]

State = dict[str, Any]
View = list[tuple[str, float, float]]
"""Strongest neighbours of an item: name, share of "together", share of "after"."""


def new_profile() -> State:
    """Return the profile of a user who was never seen."""
    return {
        "items": {},
        "older": [],
        "categories": {},
        "brands": {},
        "landmark": 0,
        "first_seen": 0,
        "last_seen": 0,
        "events": 0,
        "purchases": 0,
        "spent": 0.0,
        "session_id": None,
        "session_start": 0,
        "session_events": 0,
        "sessions": 0,
        "event_ids": [],
    }


def new_item() -> State:
    """Return the state of an item that was never seen."""
    return {"landmark": 0, "together": {}, "after": {}, "trend_landmark": 0, "trend": 0.0, "visits": 0, "last_seen": 0}


def learn(profile: State, event: Any) -> list[str] | None:
    """Fold an event into a profile, in place.

    Returns
    -------
    list of str or None
        Other items of the running session, the latest first; :obj:`None` for an event that was seen before.

    Examples
    --------
    >>> from bench.idiomatic_faust import Event
    >>> profile = new_profile()
    >>> event = {"user_id": "u", "timestamp": 1_700_000_000_000}
    >>> learn(profile, Event(event_id="1", item_id="tent", **event))
    []
    >>> learn(profile, Event(event_id="2", item_id="lamp", **event))
    ['tent']
    >>> learn(profile, Event(event_id="2", item_id="lamp", **event)) is None
    True
    """
    if event.event_id in profile["event_ids"]:
        return None
    profile["event_ids"] = [*profile["event_ids"][-USERS.event_ids + 1 :], event.event_id]
    at = event.timestamp
    preceding = _enter_session(profile, event)
    weight = ACTION_WEIGHTS.get(event.action, 1.0) * _current_growth(profile, at)
    _touch_item(profile, event, weight)
    for interests, name in ((profile["categories"], event.category), (profile["brands"], event.brand)):
        if name:
            interests[name] = interests.get(name, 0.0) + weight
            if len(interests) > USERS.interests:
                del interests[min((key for key in interests if key != name), key=interests.__getitem__)]
    profile["events"] += 1
    profile["first_seen"] = min(profile["first_seen"] or at, at)
    profile["last_seen"] = max(profile["last_seen"], at)
    if event.action == "purchase":
        profile["purchases"] += 1
        profile["spent"] += (event.price or 0.0) * (event.quantity or 1.0)
    return preceding


def _touch_item(profile: State, event: Any, weight: float) -> None:
    items = profile["items"]
    _, count, item_weight, _ = items.pop(event.item_id, (0, 0, 0.0, ""))
    items[event.item_id] = [event.timestamp, count + 1, item_weight + weight, event.action]
    if len(items) > USERS.recent_items:
        oldest = next(iter(items))
        del items[oldest]
        profile["older"] = [*profile["older"][-USERS.older_items + 1 :], oldest]


def _enter_session(profile: State, event: Any) -> list[str]:
    fresh = not profile["events"] or event.timestamp > profile["last_seen"] + USERS.session_idle_ms
    if fresh:
        profile.update(session_start=event.timestamp, session_events=0, sessions=profile["sessions"] + 1)
    if event.session_id is not None or fresh:
        profile["session_id"] = event.session_id
    profile["session_events"] += 1
    if profile["session_events"] == 1:
        return []
    preceding: list[str] = []
    for item_id, (time_ms, *_) in reversed(profile["items"].items()):
        if time_ms < profile["session_start"] or len(preceding) == USERS.window_items:
            break
        if item_id != event.item_id:
            preceding.append(item_id)
    return preceding


def _current_growth(profile: State, at: int) -> float:
    half_life = USERS.interest_half_life_ms
    landmark = landmark_at(at, half_life)
    if landmark > profile["landmark"]:
        factor = rebase(profile["landmark"], landmark, half_life)
        for entry in profile["items"].values():
            entry[2] *= factor
        for interests in (profile["categories"], profile["brands"]):
            for name in interests:
                interests[name] *= factor
        profile["landmark"] = landmark
    return growth(at, profile["landmark"], half_life)


def visit(item: State, at: int, category: str | None, brand: str | None, price: float | None) -> None:
    """Count a visit of an item, in place."""
    half_life = TREND_HALF_LIFE_MS
    landmark = landmark_at(at, half_life)
    if landmark > item["trend_landmark"]:
        item["trend"] *= rebase(item["trend_landmark"], landmark, half_life)
        item["trend_landmark"] = landmark
    item["trend"] += growth(at, item["trend_landmark"], half_life)
    item["visits"] += 1
    item["last_seen"] = max(item["last_seen"], at)
    for name, fact in (("category", category), ("brand", brand), ("price", price)):
        if fact is not None:
            item[name] = fact


def pair(item: State, others: Iterable[tuple[str, int]], at: int) -> None:
    """Count the items that were visited so many steps later (earlier, if negative), in place."""
    half_life = ITEMS.neighbour_half_life_ms
    landmark = landmark_at(at, half_life)
    if landmark > item["landmark"]:
        factor = rebase(item["landmark"], landmark, half_life)
        for kind in ("together", "after"):
            item[kind] = {name: weight * factor for name, weight in item[kind].items()}
        item["landmark"] = landmark
    unit = growth(at, item["landmark"], half_life)
    together, after = item["together"], item["after"]
    for other, distance in others:
        steps = abs(distance)
        together[other] = together.get(other, 0.0) + unit / steps**ITEMS.distance_power
        if 0 < distance <= ITEMS.next_distance:
            after[other] = after.get(other, 0.0) + unit / steps
    if len(together) > ITEMS.neighbours * 3 // 2:
        kept = _strongest(item, ITEMS.neighbours)
        item["together"] = {name: together[name] for name in kept}
        item["after"] = {name: after[name] for name in kept if name in after}


def _strongest(item: State, k: int) -> list[str]:
    after = item["after"]
    return nlargest(k, item["together"], key=lambda name: (item["together"][name] + after.get(name, 0.0), name))


def view(item: State) -> View:
    """Return the strongest neighbours of an item, with weights that sum to one."""
    names = _strongest(item, ITEMS.published_neighbours)
    together, after = item["together"], item["after"]
    all_together = sum(together[name] for name in names) or 1.0
    all_after = sum(after.get(name, 0.0) for name in names) or 1.0
    return [(name, together[name] / all_together, after.get(name, 0.0) / all_after) for name in names]


def trend(item: State) -> float:
    """Return the popularity of an item now, as a logarithm that can be compared between items."""
    if not item["visits"]:
        return -math.inf
    return float(math.log2(item["trend"]) + item["trend_landmark"] / TREND_HALF_LIFE_MS)


def most_popular(items: Mapping[str, State]) -> list[tuple[str, float]]:
    """Return the most popular items with their popularity relative to the first one."""
    trends = {name: trend(item) for name, item in items.items() if item["visits"]}
    top = nlargest(RANKING.popular_items, trends, key=trends.__getitem__)
    return [(name, 2.0 ** (trends[name] - trends[top[0]])) for name in top]


def tie(item_id: str) -> float:
    """Return a number that orders items of the same score."""
    return int.from_bytes(fingerprint(item_id), "little") / 2.0**64
