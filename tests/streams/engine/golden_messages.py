"""What the shop of the golden test says of itself, and what is wrong with some of its records. Nothing but literals."""

from __future__ import annotations

import json
import random
from typing import Any

START = 1_700_000_000_000
"""A Tuesday, 22:13 UTC."""
HOUR = 3_600_000
DAY = 24 * HOUR

CLICK, BROWSE, PURCHASE = "events.click.v1", "events.browse.v1", "events.purchase.v1"
IMPRESSION, REQUEST, SLATE = "events.impression.v1", "ads.requests.v1", "recommendations.requests.v1"
CATALOGUE, RULES, CAMPAIGNS = "catalog.items.v1", "catalog.rules.v1", "catalog.campaigns.v1"
AUDIENCES = "audiences.v1"
FORWARDED = "internal.events"

CATEGORIES = ("tents", "lamps", "stoves", "boots", "knives", "books")
BRANDS = ("alp", "bivak", "cirrus", "dune")
ITEMS = tuple(f"item-{n}" for n in range(60))

Headers = tuple[tuple[str, bytes], ...]
Wire = tuple[bytes | None, bytes | None, Headers]


def dump(value: Any) -> bytes:
    """JSON as apps write it."""
    return json.dumps(value, separators=(",", ":")).encode()


def facts_of(item: str) -> dict[str, str | float]:
    """Category, brand and price of an item, as events and the catalogue name them."""
    n = int(item.rpartition("-")[2])
    return {"category": CATEGORIES[n % 6], "brand": BRANDS[n * 7 % 4], "price": 5.0 + n * 37 % 100}


def row(item: str, chance: random.Random, embedding_size: int) -> dict[str, Any]:
    """A row of the catalogue; some have limits, some a margin, some are not to be had."""
    n = int(item.rpartition("-")[2])
    found: dict[str, Any] = {"item_id": item, "title": f"The {item}", "supplier": f"supplier {n % 3}", **facts_of(item)}
    found.update(currency="EUR", tags=[f"tag {n % 5}"], url=f"https://shop.example/{item}", available=n % 11 != 3)
    if n % 2:
        found["margin"] = n % 10 / 10
    if n % 9 == 4:
        found["min_age"] = 18
    if n % 10 == 7:
        found["regions"] = ["DE", "FR"]
    if n % 4 == 1:
        found["published_at"] = START - n * 6 * HOUR
    if embedding_size:
        found["embedding"] = [round(chance.uniform(-1.0, 1.0), 3) for _ in range(embedding_size)]
    return found


RULES_AT_FIRST: dict[str, Any] = {
    "a-only": {"kind": "only", "items": {"categories": [*CATEGORIES[:5]]}, "placements": ["discover"]},
    "b-expert": {
        "kind": "expert_only",
        "items": {"price_min": 20.0, "newer_than_days": 1.0},
        "placements": ["discover"],
        "ignored_when_empty": True,
        "starts_at": "2023-11-16T12:00:00Z",
        "ends_at": "2023-11-16T18:00:00Z",
    },
    "c-exclude": {"kind": "exclude", "items": {"ids": ["item-6", "item-7"]}},
    "d-pin": {"kind": "pin", "items": {"ids": ["item-12"]}, "position": 2, "placements": ["home"]},
    "e-include": {"kind": "include", "items": {"suppliers": ["supplier 1"], "older_than_days": 3.0}},
    "f-cap": {"kind": "cap", "at_most": 2, "per": "category", "placements": ["home"]},
    "g-boost": {"kind": "boost", "items": {"brands": ["dune"], "price_max": 60.0}, "factor": 3.0},
    "h-bought": {"kind": "exclude", "items": {"bought": True}, "placements": ["home"]},
    "i-exposure": {"kind": "exposure", "items": {"brands": ["cirrus"]}, "share_min": 0.6},
    "j-exposure": {"kind": "exposure", "items": {"categories": ["stoves"]}, "share_max": 0.05},
    "k-gone": {"kind": "exclude", "items": {"categories": ["lamps"]}},
}

RULES_LATER: dict[str, Any] = {
    "k-gone": None,
    "f-cap": {"kind": "cap", "items": {"brands": ["alp"]}, "at_most": 1, "per": "brand", "placements": ["home"]},
    "d-pin": {"kind": "pin", "items": {"ids": ["item-18"]}, "position": 1, "placements": ["home"]},
}

BAD_RULES: dict[str, Any] = {
    "bad-kind": {"kind": "hide", "items": {"ids": ["item-1"]}},
    "bad-pin": {"kind": "pin", "items": {"ids": ["item-1"]}},
    "bad-price": {"kind": "boost", "items": {"price_min": 9.0, "price_max": 1.0}, "factor": 2.0},
}


def _creative(crid: str, **fields: Any) -> dict[str, Any]:
    return {"crid": crid, "title": f"Ad {crid}", "landing_url": f"https://shop.example/{crid}", **fields}


def _campaign(**fields: Any) -> dict[str, Any]:
    plain = {"advertiser": "shop", "bid": 40.0, "budget": 500.0, "pacing": "asap", "creatives": [_creative("only")]}
    return {**plain, **fields}


_PROMOTED = [_creative("a", item_id="item-1", weight=2.0), _creative("b", item_id="item-8"), _creative("c")]

CAMPAIGNS_AT_FIRST: dict[str, Any] = {
    "open": _campaign(bid=45.0, creatives=_PROMOTED, bidfloor=1.0, holdout=0.3),
    "even": _campaign(bid=60.0, budget=9.0, budget_daily=0.6, pacing="even", advertiser="other"),
    "clicks": _campaign(
        model="cpc",
        bid=0.5,
        creatives=_PROMOTED[:2],
        target={"viewed_categories": ["lamps", "tents"], "events_at_least": 3},
        frequency={"cool_down_ms": 6 * HOUR, "advertiser_per_hour": 4},
    ),
    "buyers": _campaign(
        model="cpa", bid=25.0, creatives=_PROMOTED, exclude_purchasers=True, frequency={"cool_down_ms": DAY}
    ),
    "germany": _campaign(bid=80.0, target={"countries": ["de"], "devices": ["Phone"]}, frequency={"per_day": 2}),
    "newcomers": _campaign(bid=85.0, exclude={"visitors": "returning"}, frequency={"per_hour": 1, "total": 3}),
    "night": _campaign(
        bid=70.0, dayparts={"hours": [0, 1, 2, 3], "days": ["wed", "thu"], "timezone": "Europe/Berlin", "of": "user"}
    ),
    "poor": _campaign(bid=90.0, budget=0.5),
    "fans": _campaign(bid=75.0, target={"segments": ["0", "1"], "interests": [{"name": "tents", "at_least": 0.2}]}),
    "rich": _campaign(bid=65.0, target={"spent_at_least": 50.0, "seen_within_days": 2.0, "languages": ["de"]}),
    "over": _campaign(ends_at="2023-11-15T10:00:00Z"),
    "rests": _campaign(paused=True),
    "withdrawn": _campaign(bid=77.0, advertiser="third"),
    "unseen": _campaign(paused=True),
}

CAMPAIGNS_LATER: dict[str, Any] = {
    "withdrawn": None,
    "unseen": None,
    "rests": _campaign(bid=50.0, target={"placements": ["checkout"], "channels": ["app"]}),
    "poor": _campaign(bid=90.0, budget=0.6),
}

BAD_CAMPAIGNS: dict[str, Any] = {
    "dollars": _campaign(currency="USD"),
    "no-budget": {"advertiser": "shop", "bid": 1.0, "creatives": [_creative("a")]},
    "zone": _campaign(dayparts={"timezone": "Europe/Atlantis"}),
}


def _event(**fields: Any) -> bytes:
    plain = {"event_id": "poison", "user_id": "user-1", "item_id": "item-1", "timestamp": START + HOUR}
    return dump({name: value for name, value in {**plain, **fields}.items() if value is not ...})


_DEEP = b"[" * 40 + b"]" * 40

POISON: tuple[tuple[str, bytes | None], ...] = (
    (CLICK, b"<html>"),
    (CLICK, None),
    (BROWSE, b'{"event_id":"\xff\xfe","user_id":"u"}'),
    (BROWSE, b'{"event_id":"e","user_id":"u","item_id":"i","timestamp":NaN}'),
    (CLICK, b"[" + _DEEP + b"]"),
    (PURCHASE, b"[1,2]"),
    (CLICK, _event(user_id=...)),
    (CLICK, _event(item_id=["item-1"])),
    (PURCHASE, _event(event_id="")),
    (BROWSE, _event(item_id="x" * 300)),
    (CLICK, _event(timestamp="yesterday")),
    (CLICK, _event(timestamp=1_700_000_000)),
    (CLICK, _event(timestamp=START + 90 * DAY)),
    (CLICK, _event(note="x" * 300_000)),
    (IMPRESSION, _event(item_id=..., items=[])),
    (IMPRESSION, _event(item_id=...)),
    (REQUEST, dump({"request_id": "bad", "user_id": "user-2", "timestamp": START, "placement": "top", "bidfloor": -1})),
    (REQUEST, dump({"request_id": "bad2", "user_id": "user-3", "timestamp": START})),
    (SLATE, dump({"request_id": "bad3", "user_id": "user-3", "timestamp": START, "placement": "home", "exclude": "x"})),
    (FORWARDED, _event()),
    (FORWARDED, b"\x00"),
)
"""Records of apps that are refused, each once and again."""

REPAIRABLE: tuple[dict[str, Any], ...] = (
    {"event_id": 70_001, "quantity": "2"},
    {"event_id": "r2", "timestamp": "2023-11-15T09:00:00"},
    {"event_id": "r3", "price": "12.5", "age": "31.7"},
    {"event_id": "r4", "price": -4, "context": {"country": 49, "time_zone": "Mars/Base", "shelf": 3}},
    {"event_id": "r5", "context": "none", "purposes": "all", "action": "rate"},
    {"event_id": "r6", **{f"extra_{n}": n for n in range(40)}},
    {"event_id": "r7", "session_id": "", "purposes": ["store", "recommend", "target", 3], "timestamp": START + DAY},
)
"""What is added to an event so that it has to be mended."""

BAD_ROWS: tuple[tuple[bytes | None, bytes | None], ...] = (
    (None, dump({"item_id": "item-1"})),
    (b"\xff", dump({})),
    (b"", dump({})),
    (b"item-1", dump({"item_id": "item-2"})),
    (b"item-1", b""),
    (b"item-1", dump({"title": "x" * 300_000})),
    (b"item-1", b'{"title":"\xff"}'),
    (b"item-1", b'{"price":1e400}'),
    (b"item-1", _DEEP),
    (b"item-1", b"3"),
    (b"item-1", dump({"available": "perhaps"})),
    (b"item-1", dump({"price": -3.0})),
    (b"item-1", dump({"category": "x" * 300})),
    (b"item-1", dump({"tags": [f"tag {n}" for n in range(50)]})),
    (b"item-1", dump({"published_at": "soon"})),
    (b"item-1", dump({"embedding": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]})),
)
"""Rows of the catalogue that are refused."""
