"""The stream of the golden test: a small shop, its users and their apps, whose every step follows from a seed.

Users are shown what the driver recommends and which ads it decides for, and react to that, so everything that learns
from reactions does. Of the product this knows the driver, the settings, and what a batch of records is.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from processors.events.consent import PURPOSES
from streams.engine.driver import TopologyDriver
from streams.engine.source_batch import SourceBatch
from streams.engine.topology import topic_specs
from streams.settings.sections import Settings
from tests.streams.engine.golden_messages import (
    AUDIENCES,
    BAD_CAMPAIGNS,
    BAD_ROWS,
    BAD_RULES,
    BROWSE,
    CAMPAIGNS,
    CAMPAIGNS_AT_FIRST,
    CAMPAIGNS_LATER,
    CATALOGUE,
    CLICK,
    DAY,
    FORWARDED,
    HOUR,
    IMPRESSION,
    ITEMS,
    POISON,
    PURCHASE,
    REPAIRABLE,
    REQUEST,
    RULES,
    RULES_AT_FIRST,
    RULES_LATER,
    SLATE,
    START,
    Wire,
    dump,
    facts_of,
    row,
)

USERS = tuple(f"user-{n}" for n in range(24))
BEYOND = 253_402_300_800_000
"""The year 10000."""

_KINDS = (BROWSE, CLICK, PURCHASE, IMPRESSION, REQUEST, SLATE)
_SIZES = (1, 1, 1, 2, 3, 5, 8, 13, 21)
_PLACES: tuple[dict[str, str], ...] = (
    {"country": "DE", "region": "Bayern", "city": "Ulm", "device": "phone", "locale": "de-DE"},
    {"country": "FR", "device": "desktop", "time_zone": "Europe/Paris", "locale": "fr"},
    {"country": "US", "device": "phone", "time_zone": "America/New_York", "page": "sale"},
    {},
)


@dataclass
class Played:
    """What came of a run: all records per topic, the raw store of every plane, and what was answered to questions."""

    records: dict[str, list[Any]]
    stores: dict[str, list[tuple[bytes, bytes]]]
    answers: list[bytes]


@dataclass
class _User:
    """What a user has in front of them, and did."""

    name: str
    number: int
    slates: list[dict[str, Any]] = field(default_factory=list)
    ads: list[dict[str, Any]] = field(default_factory=list)
    clicked: list[tuple[str, str]] = field(default_factory=list)
    paid: list[tuple[str, str]] = field(default_factory=list)


class _Apps:
    """Writes what users do, by chance, at a moment."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.users = {name: _User(name, n) for n, name in enumerate(USERS)}
        self.now = START
        self._n = 0
        self._sent: list[tuple[str, Wire]] = []

    def hear(self, topic: str, value: bytes | None) -> None:
        """Take over a slate or a decision, for its user to see."""
        message = json.loads(value or b"{}")
        user = self.users.get(message.get("user_id", ""))
        if user is None:
            return
        if topic == "recommendations.v1":
            user.slates = [*user.slates[-1:], message]
        elif message.get("cid"):
            user.ads = [*user.ads[-3:], message]

    def some(self, kind: str) -> Wire:
        """A record of some user; now and then one that was sent before, or without a key."""
        chance = self.chance
        again = [wire for topic, wire in self._sent[-40:] if topic == kind]
        if again and chance.random() < 0.03:
            return chance.choice(again)
        user = self.users[USERS[min(int(chance.expovariate(0.12)), len(USERS) - 1)]]
        write = {IMPRESSION: self._impression, REQUEST: self._request, SLATE: self._slate}.get(kind)
        key = None if chance.random() < 0.04 else user.name.encode()
        headers = (("trace", b"%d" % self._n), ("empty", b"")) if chance.random() < 0.05 else ()
        wire = key, dump(write(user) if write else self._event(kind, user)), headers
        self._sent.append((kind, wire))
        return wire

    def head(self, user: _User, name: str = "event_id") -> dict[str, Any]:
        self._n += 1
        shift = self.chance.choice((0, 0, 0, 0, 0, -200, -4000, -4000, -2 * HOUR, 100_000, 3 * HOUR))
        late = shift if self.chance.random() < 0.3 else 0
        return {name: f"n{self._n}", "user_id": user.name, "timestamp": self.now + late}

    def _around(self, user: _User) -> dict[str, Any]:
        """What apps say of the circumstances: a place, a channel, an age, what was agreed to."""
        chance, found = self.chance, dict[str, Any]()
        context = dict(_PLACES[user.number % 4]) if chance.random() < 0.7 else {}
        if chance.random() < 0.8:
            context["placement"] = chance.choice(("top", "top", "side", "checkout"))
        if context:
            found["context"] = context
        if user.number % 3 == 0:
            found["channel"] = chance.choice(("app", "web"))
        agreed = chance.random()
        if agreed < 0.97 and user.number % 8 != 5:
            some = chance.random() < 0.03
            found["purposes"] = [purpose for purpose in PURPOSES if not some or chance.random() < 0.7]
        elif agreed < 0.98:
            found["purposes"] = []
        return found

    def _event(self, topic: str, user: _User) -> dict[str, Any]:
        chance = self.chance
        event = {**self.head(user), "item_id": chance.choice(ITEMS), **self._around(user)}
        if user.slates and chance.random() < 0.6:
            slate = chance.choice(user.slates)
            if slate["items"]:
                event["item_id"] = chance.choice(slate["items"][:6])["item_id"]
                event["recommendation_id"] = slate["recommendation_id"]
        if topic == CLICK:
            self._click(event, user)
        elif topic == PURCHASE:
            self._purchase(event, user)
        if chance.random() < 0.6:
            event.update(facts_of(event["item_id"]))
        if user.number % 2 and chance.random() < 0.5:
            event["age"] = 12 + user.number * 2
        if chance.random() < 0.5:
            event["session_id"] = f"{user.name}/{self.now // (2 * HOUR)}"
        if topic == BROWSE and chance.random() < 0.08:
            del event["item_id"]  # a visit to a page
        return event

    def _click(self, event: dict[str, Any], user: _User) -> None:
        chance = self.chance
        event["action"] = chance.choice(("click", "fav", "cart", "rate"))
        if event["action"] == "rate":
            event["rating"] = chance.choice((1, 2, 3, 4, 5, 5, "4.5"))
        if user.ads and chance.random() < 0.6:
            ad = chance.choice(user.ads)
            event.pop("recommendation_id", None)
            event["item_id"] = ad.get("item_id", event["item_id"])
            if chance.random() < 0.85:
                event["decision_id"] = ad["decision_id"]
            event["action"] = "dismiss" if chance.random() < 0.12 else "click"
            user.clicked = [*user.clicked[-4:], (event["item_id"], ad["decision_id"])]

    def _purchase(self, event: dict[str, Any], user: _User) -> None:
        """Often of what was clicked before, and sometimes it is brought back."""
        chance = self.chance
        currency = chance.choice(("EUR", "EUR", "EUR", "JPY"))
        event["price"], event["currency"], event["quantity"] = 10.0 + self._n % 50, currency, chance.choice((1, 2))
        if user.paid and chance.random() < 0.35:
            event["item_id"], decision_id = user.paid.pop()
            event["action"] = "refund"
        elif user.clicked and chance.random() < 0.8:
            event["item_id"], decision_id = user.clicked[-1] if chance.random() < 0.5 else chance.choice(user.clicked)
            user.paid.append((event["item_id"], decision_id))
        else:
            return
        if chance.random() < 0.6:
            event["decision_id"] = decision_id
            event.pop("recommendation_id", None)

    def _impression(self, user: _User) -> dict[str, Any]:
        chance, seen = self.chance, self.head(user)
        if user.ads and (chance.random() < 0.6 or not user.slates):
            ad = user.ads[-1]
            return {**seen, "decision_id": ad["decision_id"], "item_id": ad.get("item_id", "banner")}
        if not user.slates or not user.slates[-1]["items"]:
            return {**seen, "items": [chance.choice(ITEMS), chance.choice(ITEMS)], "placement": "shelf"}
        slate = chance.choice(user.slates)
        items = [item["item_id"] for item in slate["items"][: chance.choice((1, 3, 5))]] or ["nothing"]
        return {
            **seen,
            "items": items,
            "recommendation_id": slate["recommendation_id"],
            "placement": slate["placement"],
        }

    def _slate(self, user: _User) -> dict[str, Any]:
        """A request for a slate, at times beside an item or a basket, or one that makes no sense."""
        chance = self.chance
        asked = {**self.head(user, "request_id"), "placement": chance.choice(("home", "discover", "related", "cellar"))}
        if asked["placement"] == "related":
            asked["item_id"] = chance.choice(ITEMS)
        elif chance.random() < 0.3:
            asked |= {"placement": "together", "items": chance.sample(ITEMS, 3)}
        if chance.random() < 0.4:
            asked |= {"size": chance.choice((1, 5, 200)), "exclude": chance.sample(ITEMS, 2)}
        around = self._around(user)
        context = {name: value for name, value in around.get("context", {}).items() if name != "placement"}
        return {
            **asked,
            **{name: around[name] for name in ("channel", "purposes") if name in around},
            "context": context,
        }

    def _request(self, user: _User) -> dict[str, Any]:
        request = {**self.head(user, "request_id"), "placement": "top", **self._around(user)}
        if self.chance.random() < 0.3:
            request["bidfloor"] = self.chance.choice((10.0, 50.0, 200.0, 5000.0))
        return request


class _Player:
    """Runs the stream through the driver, and gathers what comes out."""

    def __init__(self, settings: Settings, rounds: int, seed: int) -> None:
        self.topics = sorted(spec.name for spec in topic_specs(settings))
        self.driver = TopologyDriver(settings, keep=self.topics)
        self.embedding_size = settings.items.embedding_size
        self.rounds = rounds
        self.chance = random.Random(seed)
        self.apps = _Apps(self.chance)
        self.records: dict[str, list[Any]] = {topic: [] for topic in self.topics}
        self.answers: list[bytes] = []

    def play(self) -> Played:
        """From the first row of the catalogue to the last record of poison."""
        self._ask_without_campaigns()
        self._open()
        for number in range(self.rounds):
            self._pass_time(number)
            self._round()
            self._happen(number)
        self._close()
        stores = {
            plane: [entry for processor in processors for entry in processor.store.scan()]
            for plane, processors in self.driver.processors.items()
        }
        return Played(self.records, stores, self.answers)

    def send(self, topic: str, records: Iterable[Wire], partition: int | None = None) -> None:
        """Append a batch, and let users hear of what comes of it."""
        self.driver.pipe_batch(topic, records, self.apps.now, partition)
        self.listen()

    def listen(self) -> None:
        for topic in self.topics:
            found = self.driver.read(topic)
            self.records[topic] += found
            if topic in ("recommendations.v1", "ad-decisions.v1"):
                for record in found:
                    self.apps.hear(topic, record.value)

    def put(self, topic: str, values: dict[str, Any]) -> None:
        """Tell of rules or campaigns, or withdraw them."""
        self.send(topic, [(key.encode(), None if value is None else dump(value), ()) for key, value in values.items()])

    def _ask_without_campaigns(self) -> None:
        self.send(REQUEST, [self.apps.some(REQUEST) for _ in range(3)])

    def _open(self) -> None:
        self._stock(ITEMS[:40])
        self.put(RULES, RULES_AT_FIRST)
        self.put(CAMPAIGNS, CAMPAIGNS_AT_FIRST)
        self.put(AUDIENCES, {user: {"audiences": ["vip", f"list {n % 3}"]} for n, user in enumerate(USERS[:6])})
        self.driver.flush()
        self.listen()

    def _stock(self, items: Iterable[str]) -> None:
        rows = {item: row(item, self.chance, self.embedding_size) for item in items}
        self.put(CATALOGUE, rows)

    def _pass_time(self, number: int) -> None:
        """Seconds mostly, and some hours eight times a day."""
        apps, jump = self.apps, self.rounds // 24
        apps.now += self.chance.choice((40, 150, 900, 4000, 20_000, 90_000))
        if number % jump == jump - 1:
            apps.now = max(apps.now, START + (number + 1) * 3 * DAY // self.rounds)
            self.driver.advance(apps.now)
            self.listen()

    def _round(self) -> None:
        """A batch of one topic; a small one may come to any partition."""
        chance = self.chance
        (kind,) = chance.choices(_KINDS, (8, 6, 3, 5, 2, 1))
        size = chance.choice(_SIZES)
        astray = chance.randrange(4) if size < 3 and chance.random() < 0.1 else None
        self.send(kind, [self.apps.some(kind) for _ in range(size)], astray)

    def _happen(self, number: int) -> None:
        """What the shop does meanwhile, and what goes wrong."""
        chance, part = self.chance, number * 60 // self.rounds
        if number and part == (number - 1) * 60 // self.rounds:
            return
        at = part % len(POISON)
        self.send(POISON[at][0], [(b"user-1", POISON[at][1], (("own", b"header"),))])
        mended = {
            **self.apps.head(self.apps.users["user-1"]),
            "item_id": "item-1",
            **REPAIRABLE[part % len(REPAIRABLE)],
        }
        self.send(chance.choice((BROWSE, CLICK, PURCHASE)), [self.apps.some(BROWSE), (b"user-1", dump(mended), ())])
        self.send(CATALOGUE, [(*BAD_ROWS[part % len(BAD_ROWS)], ())])
        if part % 15 == 14:
            self.put(AUDIENCES, {USERS[0]: {"audiences": ["news"]}, USERS[1]: None, USERS[2]: {"audiences": "vip"}})
        if part == 20:
            self.put(RULES, {**BAD_RULES, **RULES_LATER})
            self.put(CAMPAIGNS, {**BAD_CAMPAIGNS, **CAMPAIGNS_LATER})
        elif part == 30:
            self._stock(ITEMS[40:])
        elif part == 40:
            self.put(CATALOGUE, dict.fromkeys(ITEMS[20:23]) | {"item-30": {"price": "9.5", "available": 1}})
        elif part == 45:
            self._stock(ITEMS[20:21])
        if part % 10 == 9:
            late = {"request_id": f"late{part}", "user_id": "user-2", "timestamp": self.apps.now - 2 * HOUR}
            self.send(REQUEST, [(b"user-2", dump({**late, "placement": "top"}), ())])
            self._question()

    def _question(self) -> None:
        for user in USERS[:3]:
            self.answers.append(msgspec.json.encode(self.driver.recommend(user)))
            for item in ("item-6", "item-12", "nothing"):
                assert len(self.driver.why_not(user, item)) == 2  # what it says is going to change

    def _close(self) -> None:
        """What can come last only: all times stay as late as these are, and offsets no longer follow on."""
        headers = (("nearstream.origin", msgspec.msgpack.encode([CLICK, 0, 1, START])),)
        stray = dump({"event_id": "stray", "user_id": "user-1", "item_id": "item-1", "timestamp": START})
        for partition in range(4):
            self.send(FORWARDED, [(None, stray, headers)], partition)
            self.send(CATALOGUE, [(b"item-1", dump({"title": "astray"}), ())], partition)
        self.driver.flush()
        self.listen()
        for plane, topic in (
            ("items", "internal.item-signals"),
            ("campaigns", "internal.campaign-signals"),
            ("models", "internal.training"),
        ):
            self._slip_in(plane, topic)
        self.apps.now = BEYOND
        self.send(CLICK, [(b"user-1", stray, ())])
        self.send(CATALOGUE, [(b"item-1", dump({"title": "late"}), ())])
        self.driver.flush()
        self.listen()

    def _slip_in(self, plane: str, topic: str) -> None:
        """Give a plane a record of an internal topic that makes no sense."""
        start = self.driver.processors[plane][1].position.offsets.get(topic, 0)
        record = type(self.records[CLICK][0])(topic, 1, start, self.apps.now, None, b"\xc1")
        self.driver.process(plane, 1, [SourceBatch(topic, start, start + 1, [record])], self.apps.now)
        self.listen()


SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "everything": {
        "worker": {"broadcast_interval_ms": 1000},
        "topics": {"max_message_bytes": 250_000},
        "users": {
            "profile": {
                "recent_items": 12,
                "older_items": 16,
                "interests": 4,
                "event_ids": 24,
                "window_items": 6,
                "shown_items": 12,
            },
            "ranking": {
                "placements": [{"name": "home", "size": 8}, {"name": "discover", "only_new": True, "size": 6}],
                "sources": {"off": [], "context_history": 20, "group_items": 30},
                "locale": "zh",
                "diversity": 0.4,
                "exploration": 0.5,
                "objectives": {"click": 0.9, "purchase": 0.5, "margin": 0.7, "freshness": 0.3},
                "unknown_limits": "show",
                "fatigue": 0.8,
                "fatigue_after": 1,
            },
            "ads": {
                "floor": 2.0,
                "floors": {"side": 30.0},
                "consent": "required",
                "on": ["browse", "click"],
                "log_losers": 1.0,
                "exploration": 0.8,
                "decisions": 12,
                "campaigns": 8,
            },
        },
        "items": {"neighbours": 16, "published_neighbours": 10, "embedding_size": 5, "next_distance": 2},
        "models": {
            "block_examples": 8,
            "boldness": 0.5,
            "groups": {"groups": 3, "published_every": 6, "items": 20},
            "contexts": {"contexts": 3, "published_every": 6, "fewest_choices": 1},
        },
    },
}
"""Settings by the name of the run."""


def play(name: str) -> Played:
    """Run the stream with the default settings, or with everything on (:data:`SETTINGS`)."""
    return play_with(msgspec.convert(SETTINGS[name], Settings))


def play_with(settings: Settings, rounds: int = 280, seed: int = 20_231_114) -> Played:
    """Run the stream, or with fewer rounds or another seed one of its kind, with any settings of two placements."""
    return _Player(settings, rounds, seed).play()
