"""A tiny fixed shop whose few events pass through every stage: what :mod:`streams.engine.warm` runs.

All of it is literals, so each run does the same. The catalogue has tags and limits, rules are of every kind, campaigns
pay in every way; users look, click, buy, are shown things again and again, and ask for ads.
"""

from __future__ import annotations

from typing import Any

import msgspec

from processors.common.time import DAY_MS, HOUR_MS
from processors.common.topics import (
    AD_DECISIONS_TOPIC,
    CAMPAIGNS_TOPIC,
    CATALOG_TOPIC,
    RECOMMENDATIONS_TOPIC,
    RULES_TOPIC,
)
from streams.engine.driver import TopologyDriver
from streams.settings.sections import Settings

_START_MS = 1_700_000_000_000
_ITEMS, _USERS, _ROUNDS = 16, 4, 2
_CATEGORIES, _BRANDS = ("tents", "lamps", "stoves"), ("alp", "bivak")
_PLACES = ({"country": "DE", "device": "phone", "page": "sale"}, {"country": "FR", "device": "desktop"})
_KINDS = ("browse", "click", "purchase")

_RULES: dict[str, dict[str, Any]] = {
    "only": {"kind": "only", "items": {"categories": _CATEGORIES}, "placements": ["discover"]},
    "expert": {"kind": "expert_only", "items": {"price_max": 90.0}, "placements": ["discover"]},
    "exclude": {"kind": "exclude", "items": {"ids": ["item-3"]}},
    "bought": {"kind": "exclude", "items": {"bought": True}},
    "pin": {"kind": "pin", "items": {"ids": ["item-4"]}, "position": 2, "placements": ["home"]},
    "include": {"kind": "include", "items": {"suppliers": ["supplier 1"]}},
    "cap": {"kind": "cap", "at_most": 2, "per": "category"},
    "boost": {"kind": "boost", "items": {"brands": ["alp"]}, "factor": 2.0},
    "exposure": {"kind": "exposure", "items": {"brands": ["bivak"]}, "share_min": 0.4},
}

_CREATIVES = [
    {"crid": crid, "title": crid, "landing_url": f"https://shop.example/{crid}", "item_id": f"item-{n}"}
    for n, crid in enumerate("ab")
]
_CAMPAIGN = {"advertiser": "shop", "bid": 40.0, "budget": 500.0, "pacing": "asap", "creatives": _CREATIVES}
_CAMPAIGNS: dict[str, dict[str, Any]] = {
    "shown": {**_CAMPAIGN, "frequency": {"per_hour": 9, "per_day": 20, "cool_down_ms": 1}},
    "even": {**_CAMPAIGN, "pacing": "even", "budget_daily": 50.0, "advertiser": "other", "advertiser_budget": 900.0},
    "clicks": {**_CAMPAIGN, "model": "cpc", "bid": 0.5, "target": {"interests": [{"name": "tents", "at_least": 0.1}]}},
    "bought": {**_CAMPAIGN, "model": "cpa", "bid": 25.0, "exclude_purchasers": True, "goal": {"roas": 2.0}},
    "own": {"advertiser": "shop", "house": True, "creatives": [{**_CREATIVES[0], "w": 300, "h": 250}]},
    "waiting": {**_CAMPAIGN, "creatives": [{**_CREATIVES[0], "status": "pending"}]},
    "near": {**_CAMPAIGN, "target": {"countries": ["de"], "devices": ["phone"]}, "dayparts": {"hours": [0, 1, 22]}},
}


def settings_with(embedding_size: int) -> Settings:
    """Return settings with every source and stage on, whose slates are so small that many candidates are left over.

    They are literals: neither a file nor the environment is read.

    Parameters
    ----------
    embedding_size
        Length of the items' embeddings; 0 for a shop without.
    """
    ranking = {
        "placements": [{"name": "home", "size": 3}, {"name": "discover", "only_new": True, "size": 2}],
        "sources": {"off": []},
        "diversity": 0.4,
        "exploration": 1.0,
        "objectives": {"click": 0.9, "purchase": 0.5, "margin": 0.7, "freshness": 0.3},
        "fatigue": 0.8,
        "fatigue_after": 1,
    }
    wanted = {
        "topics": {"partitions": 1},
        "users": {"ranking": ranking, "ads": {"on": ["browse", "click"], "log_losers": 1.0, "exploration": 0.8}},
        "items": {"neighbours": 8, "published_neighbours": 6, "embedding_size": embedding_size},
        "models": {
            "groups": {"groups": 2, "published_every": 2},
            "contexts": {"contexts": 2, "published_every": 2, "fewest_choices": 1},
        },
    }
    return msgspec.convert(wanted, Settings)


def play(driver: TopologyDriver) -> None:
    """Run the shop through a driver.

    Parameters
    ----------
    driver
        A new one, with :func:`settings_with`.
    """
    _stock(driver)
    for number in range(_ROUNDS):
        for step, kind in enumerate(_KINDS):
            at = _START_MS + (number * len(_KINDS) + step) * HOUR_MS
            _visit(driver, number, kind, at)
            _react(driver, at + 1000)
            driver.flush()


def _stock(driver: TopologyDriver) -> None:
    """Publish catalogue, rules and campaigns."""
    size = driver.settings.items.embedding_size
    for topic, values in (
        (CATALOG_TOPIC, {f"item-{n}": _row(n, size) for n in range(_ITEMS)}),
        (RULES_TOPIC, _RULES),
        (CAMPAIGNS_TOPIC, _CAMPAIGNS),
    ):
        driver.pipe_batch(topic, [(key.encode(), _bytes(value), ()) for key, value in values.items()], _START_MS - 1000)
    driver.flush()


def _row(n: int, embedding_size: int) -> dict[str, Any]:
    """Return a row of the catalogue; half of the items are new, some have limits."""
    found: dict[str, Any] = {
        "title": f"item {n}",
        "category": _CATEGORIES[n % 3],
        "brand": _BRANDS[n % 2],
        "supplier": f"supplier {n % 3}",
        "price": 5.0 + 7 * n,
        "currency": "EUR",
        "margin": n % 10 / 10,
        "tags": [f"tag {n % 5}", "outdoor"],
        "published_at": _START_MS - (HOUR_MS if n % 2 else 90 * DAY_MS),
    }
    if n % 5 == 4:
        found["min_age"] = 18
    if n % 5 == 2:
        found["regions"] = ["DE"]
    if embedding_size:
        found["embedding"] = [1.0 + (n * (at + 3) % 7) for at in range(embedding_size)]
    return found


def _visit(driver: TopologyDriver, number: int, kind: str, at: int) -> None:
    """Have every user touch an item, in two batches: what the first one teaches is known to the second."""
    for half in range(2):
        records = []
        for user in range(half, _USERS, 2):
            event = {
                "event_id": f"{kind} {number} {user}",
                "user_id": f"user-{user}",
                "item_id": f"item-{(user * 3 + number * 5 + _KINDS.index(kind) * 2) % _ITEMS}",
                "timestamp": at,
                "age": 30,
                "price": 12.0,
                "context": {**_PLACES[user % 2], "placement": "top"},
            }
            records.append((b"user-%d" % user, _bytes(event), ()))
        driver.pipe_batch(f"events.{kind}.v1", records, at + half)
        driver.flush()


def _react(driver: TopologyDriver, at: int) -> None:
    """Have users see what was recommended and decided, click on ads, and ask for another one."""
    slates = [msgspec.json.decode(record.value) for record in driver.read(RECOMMENDATIONS_TOPIC) if record.value]
    for n, slate in enumerate(slates[:4]):
        items = [item["item_id"] for item in slate["items"]]
        for again in range(2 if items else 0):
            _send(driver, "events.impression.v1", slate["user_id"], f"seen {at} {n} {again}", at, items=items)
    decisions = [msgspec.json.decode(record.value or b"{}") for record in driver.read(AD_DECISIONS_TOPIC)]
    for n, made in enumerate([decision for decision in decisions if "cid" in decision][:2]):
        fields = {"item_id": made["item_id"], "decision_id": made["decision_id"]}
        _send(driver, "events.impression.v1", made["user_id"], f"ad {at} {n}", at, **fields)
        _send(driver, "events.click.v1", made["user_id"], f"click {at} {n}", at, **fields)
    _send(driver, "events.click.v1", "user-1", f"dismissed {at}", at, item_id="item-1", action="dismiss")
    request = {"request_id": f"request {at}", "user_id": "user-0", "timestamp": at, "placement": "top"}
    request |= {"bcat": ["tents"], "badv": ["other"], "w": 728, "h": 90}
    driver.pipe("ads.requests.v1", b"user-0", _bytes(request), at)


def _send(driver: TopologyDriver, topic: str, user: str, event_id: str, at: int, **fields: Any) -> None:
    event = {"event_id": event_id, "user_id": user, "timestamp": at, **fields}
    driver.pipe(topic, user.encode(), _bytes(event), at)


def _bytes(value: object) -> bytes:
    return msgspec.json.encode(value)
