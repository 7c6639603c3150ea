"""All planes conform, and a plane that breaks a promise is found out."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from processors.ads.campaign import Campaign, Creative
from processors.ads.campaign_view import CampaignView
from processors.ads.ledger import Ledger
from processors.ads.settings import AdSettings
from processors.ads.signals import CampaignSignal
from processors.common.hashing import partition_of
from processors.common.topics import (
    AUDIENCES_TOPIC,
    BROADCAST_ITEMS_TOPIC,
    CAMPAIGN_SIGNALS_TOPIC,
    CAMPAIGNS_TOPIC,
    IMPRESSIONS_TOPIC,
    SIGNALS_TOPIC,
    TRAINING_TOPIC,
)
from processors.events.event import EVENT_TOPICS
from processors.events.record import Record, SourceRecord
from processors.items.index import ItemIndex
from processors.items.state import ItemSettings, ItemState
from processors.items.view import decode_view
from processors.models.state import ModelsSettings, ModelState
from processors.planes.base import KeptForever, Output, Plane, ReadStates, Step
from processors.planes.campaigns import CampaignsPlane
from processors.planes.items import ItemsPlane
from processors.planes.models import ModelsPlane
from processors.planes.users import UsersPlane
from processors.planes.users_settings import UsersSettings
from processors.ranking.training import Answers, examples_of
from processors.users.profile import Profile
from processors.users.settings import ProfileSettings
from tests.processors.conformance import Case, check_plane

NOW = 1_700_000_000_000
PARTITIONS = 2
USERS = UsersSettings(
    profile=ProfileSettings(recent_items=5, older_items=10, interests=3, event_ids=20, shown_items=5),
    ads=AdSettings(decisions=3, campaigns=2, floor=1.0),
)
CAMPAIGN = Campaign("shop", (Creative("a", "A", "https://shop.example"),), bid=900.0, budget=100.0)
ITEMS = ItemSettings(neighbours=4, published_neighbours=3)


def event_batches() -> list[list[Record]]:
    """Ordinary events and all that can be wrong with one: duplicates, strangers, garbage, lateness."""
    random, batches, offset = np.random.default_rng(7), [], 0
    for n in range(60):
        batch = []
        for _ in range(random.integers(1, 12)):
            offset += 1
            fields: dict[str, Any] = {
                "event_id": f"e{random.integers(0, 500)}",
                "user_id": f"u{random.integers(0, 6)}",
                "item_id": f"item {random.integers(0, 20)}",
                "timestamp": int(NOW + n * 10**6 - random.integers(0, 2) * random.integers(0, 10**7)),
                "category": f"c{random.integers(0, 5)}",
                "brand": f"b{random.integers(0, 5)}",
                "price": int(random.integers(-1, 9)),
                "context": {"placement": "top"},
            }
            if random.random() < 0.5:
                place = f"{random.integers(0, offset)}"
                fields["decision_id"] = f"{random.choice(list(EVENT_TOPICS))}/0/{place}/ad"
            topic = str(random.choice(UsersPlane.source_topics))
            if topic == IMPRESSIONS_TOPIC and random.random() < 0.8:
                fields["items"] = [f"item {n}" for n in random.permutation(20)[: random.integers(0, 9)]]
            value = msgspec.json.encode(fields) if random.random() < 0.9 else b"garbage"
            key = b"key"
            if topic == AUDIENCES_TOPIC and random.random() < 0.8:
                key, lists = fields["user_id"].encode(), [f"list {n}" for n in range(random.integers(0, 3))]
                value = msgspec.json.encode({"audiences": lists})
            batch.append(Record(topic, 0, offset, NOW + n * 10**6, key, value, (("trace", b"1"),)))
        batches.append(batch)
    return batches


def signal_batches() -> list[list[Record]]:
    """The signals that the users plane sends for these events."""
    plane = UsersPlane(USERS, ItemIndex(), 1)
    states: dict[str, Profile] = {}
    batches = []
    for n, batch in enumerate(event_batches()):
        step = plane.step(lambda keys: [states.get(key) for key in keys], batch, 0)
        states.update(step.states)
        signals = [output.value for output in step.outputs if output.topic == SIGNALS_TOPIC]
        batches.append([Record(SIGNALS_TOPIC, 0, n, NOW, None, value) for value in [*signals, None]])
    return batches


def users_case() -> Case[Profile]:
    indexes: dict[int, ItemIndex] = {}

    def make() -> Plane[Profile]:
        index = ItemIndex(ITEMS.published_neighbours)
        for item_id, value in broadcasts:
            index.apply(item_id, decode_view(value))
        plane = UsersPlane(USERS, index, PARTITIONS)
        for cid in ("c", "d"):
            plane.ads.campaigns.apply(cid, CampaignView(CAMPAIGN, left=9.0, left_today=9.0))
        indexes[id(plane)] = index
        return plane

    def model(plane: Plane[Profile]) -> bytes:
        index = indexes[id(plane)]
        columns = (
            index.neighbours,
            index.together,
            index.after,
            index.popularity.trends,
            index.popularity.visits,
            index.popularity.entries,
            index.attributes.category,
            index.attributes.tie,
        )
        learned = plane.read.weights.learned.tobytes() if isinstance(plane, UsersPlane) else b""
        ads = list(plane.ads.campaigns.views.items()) if isinstance(plane, UsersPlane) else []
        return msgspec.msgpack.encode([index.ids, index.views, learned, ads, *(column.tobytes() for column in columns)])

    broadcasts = _broadcasts()
    return Case(make, event_batches(), largest_state=4000, read_model=model)


def campaigns_case() -> Case[Ledger]:
    """Campaigns that come, change, go and are refused, and signals of all kinds."""
    random, batches = np.random.default_rng(3), []
    value = msgspec.json.encode(msgspec.to_builtins(CAMPAIGN))
    here = [cid for n in range(9) if partition_of(cid := f"c{n}", PARTITIONS) == 0]
    for n in range(200):
        at, cid = NOW + n * 10**7, here[n % len(here)]
        signal = CampaignSignal(cid, at, opportunities=n % 7, shown=n % 5, clicks=n % 2, expected=random.random())
        signal.charged = float(random.integers(0, 3))
        campaign = [value, value, None, b"{}"][int(random.integers(4))]
        batches.append(
            [
                Record(CAMPAIGNS_TOPIC, 0, n, at, cid.encode(), campaign),
                Record(CAMPAIGN_SIGNALS_TOPIC, 0, n, at, None, msgspec.msgpack.encode([signal])),
                Record(CAMPAIGN_SIGNALS_TOPIC, 0, n, at, None, b"garbage"),
            ]
        )
    return Case(lambda: CampaignsPlane("EUR", PARTITIONS), batches, largest_state=2000)


def test_the_campaigns_plane_conforms() -> None:
    check_plane(campaigns_case())


def items_case() -> Case[ItemState]:
    return Case(lambda: ItemsPlane(ITEMS), signal_batches(), largest_state=480)


def _broadcasts() -> list[tuple[str, bytes | None]]:
    plane, states, found = ItemsPlane(ITEMS), dict[str, ItemState](), []
    for batch in signal_batches():
        step = plane.step(lambda keys: [states.get(key) for key in keys], batch, 0)
        states.update(step.states)
        found += [(o.key.decode(), o.value) for o in step.outputs if o.topic == BROADCAST_ITEMS_TOPIC and o.key]
    return found


def models_case() -> Case[ModelState]:
    """Lessons of a ranker with a short window, so that it is full before the batches are."""
    settings = ModelsSettings(block_examples=4, window_blocks=8)
    random = np.random.default_rng(5)
    return Case(lambda: ModelsPlane(settings), [[lesson(random, n)] for n in range(120)], largest_state=2500)


def lesson(random: np.random.Generator, offset: int) -> Record:
    users = np.arange(3)
    part = Answers(
        users, users, random.uniform(-1, 1, (3, 2)), random.uniform(0, 5, 3), users + 1, users + 2, np.ones(3)
    )
    examples = examples_of(("together", "visits"), users, [part, part], np.ones(3, np.bool_))
    return Record(TRAINING_TOPIC, 0, offset, NOW, None, msgspec.msgpack.encode(examples))


def test_the_models_plane_conforms() -> None:
    check_plane(models_case())


def test_the_users_plane_conforms() -> None:
    check_plane(users_case())


def test_the_items_plane_conforms() -> None:
    check_plane(items_case())


class Tally(msgspec.Struct):
    seen: int = 0
    values: list[bytes] = msgspec.field(default_factory=list)
    note: object = None


def nothing_known(keys: Sequence[str], /) -> list[Tally | None]:
    return [None for _ in keys]


class TallyPlane(KeptForever):
    """Keeps the last three values per key: the least that conforms, for others to break."""

    name = "tally"
    state_type = Tally
    source_topics: tuple[str, ...] = ("in",)
    chained_topics: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.model = bytearray(b"model")

    def committed(self, step: Step[Tally]) -> None:
        """Nothing follows from a step but what it says."""

    def step(self, read: ReadStates[Tally], batch: Sequence[SourceRecord], partition: int) -> Step[Tally]:
        keys = list(dict.fromkeys((record.key or b"").decode() for record in batch))
        states = {key: state or Tally() for key, state in zip(keys, read(keys), strict=True)}
        for record in batch:
            self.learn(states[(record.key or b"").decode()], record)
        return Step(states, [Output("out", partition, key.encode(), b"%d" % states[key].seen) for key in keys])

    def learn(self, state: Tally, record: SourceRecord) -> None:
        state.seen += 1
        state.values = [*state.values, record.value or b""][-3:]


class Remembering(TallyPlane):
    def step(self, read: ReadStates[Tally], batch: Sequence[SourceRecord], partition: int) -> Step[Tally]:
        self.source_topics += ("again",)
        step = super().step(read, batch, partition)
        step.outputs.append(Output("out", len(self.source_topics), None, None))
        return step


class Counting(TallyPlane):
    """Has a number of its own, so two of them never agree."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        Counting.made += 1
        self.number = Counting.made

    def learn(self, state: Tally, record: SourceRecord) -> None:
        state.seen += self.number


class ChangingBatch(TallyPlane):
    def learn(self, state: Tally, record: SourceRecord) -> None:
        super().learn(state, record)
        record.headers.append(("seen", b"1"))


class ChangingModel(TallyPlane):
    def learn(self, state: Tally, record: SourceRecord) -> None:
        super().learn(state, record)
        self.model += b"!"


class Caching(TallyPlane):
    """Reads a state once and then trusts its own copy."""

    def __init__(self) -> None:
        super().__init__()
        self.cache: dict[str, Tally] = {}

    def step(self, read: ReadStates[Tally], batch: Sequence[SourceRecord], partition: int) -> Step[Tally]:
        def cached(keys: Sequence[str], /) -> list[Tally | None]:
            found = dict(zip(keys, read(keys), strict=True))
            return [self.cache.setdefault(key, found[key] or Tally()) for key in keys]

        return super().step(cached, batch, partition)


class Sharing(TallyPlane):
    def step(self, read: ReadStates[Tally], batch: Sequence[SourceRecord], partition: int) -> Step[Tally]:
        step = super().step(read, batch, partition)
        values = next(iter(step.states.values())).values
        for state in step.states.values():
            state.values = values
        return step


class Growing(TallyPlane):
    def learn(self, state: Tally, record: SourceRecord) -> None:
        state.values.append(record.value or b"")


class Unstorable(TallyPlane):
    def learn(self, state: Tally, record: SourceRecord) -> None:
        state.note = ("a tuple",)  # comes back as a list


class Blind(TallyPlane):
    """Begins anew each time instead of reading what there is."""

    def step(self, read: ReadStates[Tally], batch: Sequence[SourceRecord], partition: int) -> Step[Tally]:
        return super().step(nothing_known, batch, partition)


def tally_case(make: Callable[[], TallyPlane]) -> Case[Tally]:
    def batch(n: int) -> list[Record]:
        # A list where a tuple belongs, so that there is something to change.
        return [Record("in", 0, n, NOW, key, b"v%d" % n, headers=[]) for key in (b"a", b"b")]  # type: ignore[arg-type]

    def model(plane: Plane[Tally]) -> bytes:
        assert isinstance(plane, TallyPlane)
        return bytes(plane.model)

    return Case(make, [batch(n) for n in range(10)], largest_state=40, read_model=model)


def test_a_plane_that_keeps_its_promises_conforms() -> None:
    check_plane(tally_case(TallyPlane))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Remembering, "the plane remembers, or kept a state"),
        (Counting, "another plane of the same kind gave another result"),
        (ChangingBatch, "the step changed its batch"),
        (ChangingModel, "the step changed the read model"),
        (Caching, "the plane remembers, or kept a state"),
        (Sharing, "the states of a and ['b'] share data"),
        (Growing, "the state of a has grown to"),
        (Unstorable, "the state of a does not survive being stored"),
        (Blind, "a state was made without reading what there was"),
    ],
)
def test_a_plane_that_breaks_a_promise_does_not_conform(make: Callable[[], TallyPlane], said: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_plane(tally_case(make))
    assert said in str(caught.value)
