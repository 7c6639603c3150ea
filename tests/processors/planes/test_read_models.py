"""Every read model conforms, one that breaks a promise is found out, and each record gets to the one it is for."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from processors.ads.ad_server import AdServer
from processors.ads.campaign import Campaign, Creative
from processors.ads.campaign_view import CampaignView
from processors.ads.settings import AdSettings
from processors.common.topics import BROADCAST_MODELS_TOPIC, BROADCAST_TOPICS
from processors.items.index import ItemIndex
from processors.items.view import ItemView
from processors.models.click_model import ClickView
from processors.models.context_popularity import ContextView
from processors.models.exposure import Exposure
from processors.models.interest_groups import DIMENSIONS, GroupView
from processors.models.learned import LEARNED
from processors.models.serving_weights import RankerView, ServingWeights
from processors.planes.read_models import Adapted, ReadModel, ReadModelTable, read_models
from processors.ranking.read_models import ReadModels
from processors.ranking.rules import Items, Rule
from streams.engine.driver import TopologyDriver
from streams.settings.sections import Settings
from tests.processors.conformance import ReadModelCase, check_read_model

FEATURES = ("together", "visits")
pack, json = msgspec.msgpack.encode, msgspec.json.encode
Name = tuple[str, str | None]


def new() -> tuple[ReadModels, AdServer]:
    read = ReadModels(ItemIndex(2), ServingWeights(FEATURES, {}))
    return read, AdServer(AdSettings(), read.groups, 1)


def look(read: ReadModels, ads: AdServer) -> dict[Name, object]:
    """Return what readers see of each read model, by topic and key."""
    weights, rules, clicks, purchases = read.weights, read.rules, ads.clicks, ads.purchases
    categories = {name: read.items.view(name) for name in ("a", "b")}
    return {
        ("broadcast.items", None): categories,
        ("broadcast.models", "ranker"): (weights.version, weights.arm, weights.serving.tolist()),
        ("broadcast.models", "exposure"): [(name, rules.exposure_offset(name)) for name in ("a", "b")],
        ("broadcast.models", "groups"): (read.groups.views, read.groups._centres.tolist()),
        ("broadcast.models", "contexts"): (read.contexts.views, read.contexts.names),
        ("broadcast.models", "clicks"): (clicks.view, clicks.version, clicks.weights.tolist()),
        ("broadcast.models", "purchases"): (purchases.view, purchases.version, purchases.weights.tolist()),
        ("broadcast.campaigns", None): (dict(sorted(ads.campaigns.views.items())), ads.campaigns.columns.cids),
        ("broadcast.rules", None): rules.in_force(0),
    }


def item(visits: int) -> bytes:
    return pack(ItemView((1.0, 1.0, 1.0), visits, 5, 6, [], b"", b"", category="tents"))


def ranker(version: int) -> bytes:
    weights = np.full((2, 10, 2), float(version)).tobytes()
    return pack(RankerView(version, FEATURES, weights, False, 9, 0.5, 0.5, 0.4, 0, 0, arm=version % 3))


def group(share: float) -> bytes:
    return pack((GroupView(np.full(DIMENSIONS, share, "<f4").tobytes(), share, ("tents",), ("tent",), (1.0,)),))


def clicks(weight: float) -> bytes:
    number, figure = np.array([7], "<i4").tobytes(), np.array([weight], "<f4").tobytes()
    return pack(ClickView(number, figure, figure, int(9 * weight), 3, 1, 0.5, 0.6))


def campaign(bid: float) -> bytes:
    return pack(CampaignView(Campaign("shop", (Creative("a", "A", "https://shop.example"),), bid=bid, budget=100.0)))


VALUES: dict[Name, list[bytes]] = {
    ("broadcast.items", None): [item(3), item(4)],
    ("broadcast.models", "ranker"): [ranker(3), ranker(4)],
    ("broadcast.models", "exposure"): [pack({"a": Exposure(1.0, 2.0, 0.5)}), pack({"b": Exposure(1.0, 2.0, 0.7)})],
    ("broadcast.models", "groups"): [group(0.25), group(0.5)],
    ("broadcast.models", "contexts"): [
        pack({"country:DE": ContextView(("tent",), (1.0,))}),
        pack({"country:FR": ContextView(("lamp",), (1.0,))}),
    ],
    ("broadcast.models", "clicks"): [clicks(0.5), clicks(1.0)],
    ("broadcast.models", "purchases"): [clicks(0.5), clicks(1.0)],
    ("broadcast.campaigns", None): [campaign(1.0), campaign(2.0)],
    ("broadcast.rules", None): [
        json(Rule("exclude", Items(ids=("tent",)))),
        json(Rule("exclude", Items(ids=("lamp",)))),
    ],
}
"""Views of each read model, by topic and key. A new read model needs its own here, and a line in ``look``."""

names = [(model.topic, model.key) for model in read_models(*new())]
each = pytest.mark.parametrize("number", range(len(names)), ids=[f"{topic}/{key or '*'}" for topic, key in names])


@each
def test_every_read_model_conforms(number: int) -> None:
    name = names[number]
    assert name in VALUES, f"no views to check the read model of {name} with"

    def make() -> tuple[ReadModel, Callable[[], object]]:
        read, ads = new()
        return read_models(read, ads)[number], lambda: look(read, ads)[name]

    check_read_model(ReadModelCase(make, ("a", "b") if name[1] is None else (name[1],), VALUES[name]))


@each
def test_a_record_gets_to_the_read_model_it_is_for_and_to_no_other(number: int) -> None:
    read, ads = new()
    before = look(read, ads)
    topic, key = names[number]
    ReadModelTable(read_models(read, ads)).apply(topic, (key or "a").encode(), VALUES[topic, key][0])
    after = look(read, ads)
    assert {name for name in after if repr(after[name]) != repr(before[name])} == {(topic, key)}


def test_every_broadcast_topic_and_every_published_model_has_a_read_model() -> None:
    assert {topic for topic, _ in names} == set(BROADCAST_TOPICS)
    published = {model.key for model in LEARNED if model.key is not None}
    assert {key for topic, key in names if topic == BROADCAST_MODELS_TOPIC} == published


@pytest.mark.parametrize("key", [b"a later model", b"", b"\xff"])
@pytest.mark.parametrize("value", [b"\xc1 whatever", None])
def test_models_that_nobody_knows_are_passed_over(key: bytes, value: bytes | None) -> None:
    driver = TopologyDriver(Settings())
    before = repr(look(driver.topology.users.read, driver.topology.users.ads))
    driver.topology.broadcast(BROADCAST_MODELS_TOPIC, key, value)
    assert repr(look(driver.topology.users.read, driver.topology.users.ads)) == before


def test_a_topic_that_nobody_reads_is_an_error_and_so_are_two_read_models_of_one_key() -> None:
    table = ReadModelTable(read_models(*new()))
    with pytest.raises(KeyError, match=r"broadcast\.weather"):
        table.apply("broadcast.weather", b"a", None)
    row = Adapted[bytes]("t", "a", lambda value: value, lambda key, view: None)
    with pytest.raises(ValueError, match="t: two read models take a"):
        ReadModelTable([row, row])


class Notes:
    """Holds one value per key: the least that conforms, for others to break."""

    topic = "notes"
    key: str | None = None

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}

    def apply(self, key: str, value: bytes | None) -> None:
        if value is None:
            self.held.pop(key, None)
        else:
            self.held[key] = value


class NeverForgetting(Notes):
    def apply(self, key: str, value: bytes | None) -> None:
        if value is not None:
            super().apply(key, value)


class ForgettingAll(Notes):
    def apply(self, key: str, value: bytes | None) -> None:
        if value is None:
            self.held.clear()
        super().apply(key, value)


class Counting(Notes):
    def apply(self, key: str, value: bytes | None) -> None:
        super().apply(key, value if value is None else value + b"%d" % len(self.held.get(key, b"")))


class AddingUp(Notes):
    """Adds what is new to what was there before."""

    def apply(self, key: str, value: bytes | None) -> None:
        super().apply(key, value if value is None else bytes({*self.held.get(key, b""), *value}))


class Deaf(Notes):
    def apply(self, key: str, value: bytes | None) -> None:
        """Take nothing over."""


class Coarse(Notes):
    def apply(self, key: str, value: bytes | None) -> None:
        super().apply(key, value and b"something")


class Single(Notes):
    """Has room for one key, and keeps the first."""

    def apply(self, key: str, value: bytes | None) -> None:
        if not self.held or key in self.held:
            super().apply(key, value)


class Latest(Notes):
    """Has room for the key that came last."""

    def apply(self, key: str, value: bytes | None) -> None:
        super().apply(key, value)
        self.held = {key: self.held[key]} if key in self.held else {}


def check_notes(kind: type[Notes]) -> None:
    def make() -> tuple[ReadModel, Callable[[], object]]:
        notes = kind()
        return notes, lambda: dict(notes.held)

    check_read_model(ReadModelCase(make, ("a", "b"), [b"1", b"2"]))


def test_a_read_model_that_keeps_its_promises_conforms() -> None:
    check_notes(Notes)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (NeverForgetting, "a tombstone does not forget"),
        (ForgettingAll, "a tombstone forgets another key"),
        (Counting, "a view that comes twice makes a difference"),
        (AddingUp, "a view that was replaced makes a difference"),
        (Deaf, "a view changes nothing"),
        (Coarse, "two views look alike"),
        (Single, "a record of another key is not taken"),
        (Latest, "a tombstone forgets another key"),
    ],
)
def test_a_read_model_that_breaks_a_promise_does_not_conform(kind: type[Notes], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_notes(kind)
