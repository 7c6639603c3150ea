"""Measure the unit costs of scaling in memory, in CPU time of the process.

Two shops are given the same simulated events. In one every topic has one partition, in the other many, with all
shoppers on the first: both have full micro-batches, but in the other each sends as many messages as there are
partitions. They take turns, a micro-batch each, and what a message costs is the median of the differences within a
turn. Every four micro-batches the planes that broadcast follow, each in one step, and the read models of the process
take over what they publish. Other costs are lower quartiles over the rounds, as what else the machine does only adds.

Examples cost what messages with eight times as many take longer, in a models plane of its own. How many item views are
published is looked at in a third shop: few items and two simulated hours, so that most has been said.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from statistics import mean, median
from typing import NamedTuple

import msgspec

from bench.machine import Busy, describe
from bench.restore import run_restore
from bench.scaling_costs import Costs
from bench.scaling_examples import lower_quartile, message_costs
from bench.scaling_load import Load
from bench.scaling_plan import broadcasts_per_s
from bench.scaling_shop import POSITIONS, Meter, Shop
from processors.common.topics import (
    BROADCAST_ITEMS_TOPIC,
    BROADCAST_MODELS_TOPIC,
    RECOMMENDATIONS_TOPIC,
    SIGNALS_TOPIC,
    TRAINING_TOPIC,
    changelog_topic,
)
from processors.events.record import Record
from processors.items.keeper import ItemKeeper
from processors.items.signals import ItemSignals
from processors.items.view import decode_view
from streams.engine.topology import build_topology
from streams.settings.sections import Settings

MANY = 256
"""Partitions of the shop with many."""
BATCHES = 4
"""Micro-batches of the users plane, for each of the planes that follow."""

_CHAINED = (SIGNALS_TOPIC, TRAINING_TOPIC)
_KEPT = (SIGNALS_TOPIC, TRAINING_TOPIC, BROADCAST_ITEMS_TOPIC)
_OLD_ITEMS, _OLD_USERS, _OLD_RATE, _OLD_BATCH = 100, 200, 2.5, 25


class Extent(NamedTuple):
    """How much is measured.

    Parameters
    ----------
    users, items
        Simulated shoppers and products.
    warm_events
        Events before.
    rounds
        How often each of the two shops has its turn, with four micro-batches.
    batch_events
        Events of a micro-batch.
    old_events
        Events of the shop in which broadcasts are counted.
    """

    users: int = 20_000
    items: int = 5_000
    warm_events: int = 20_000
    rounds: int = 24
    batch_events: int = 500
    old_events: int = 20_000

    @property
    def round_events(self) -> int:
        """Events of a round."""
        return BATCHES * self.batch_events


def measure(extent: Extent | None = None, shell: Callable[[], tuple[float, float]] | None = None) -> Costs:
    """Measure unit costs.

    Parameters
    ----------
    extent
        How much is measured.
    shell
        Measures what a worker takes beside computing: CPU relative to that, and memory; by default it is not measured.
    """
    extent, busy = extent or Extent(), Busy()
    figures = _figures(extent, shell() if shell else (0.0, 0.0))
    return Costs(
        **{name: float(f"{figure:.4g}") for name, figure in figures.items()},
        batch_events=extent.batch_events,
        training_examples=Settings().users.ranking.training_examples,
        users=extent.users,
        items=extent.items,
        warm_events=extent.warm_events,
        events=extent.rounds * extent.round_events,
        busy=busy.share(),
        machine=describe(),
        python=sys.version.split()[0],
        date=datetime.now(UTC).date().isoformat(),
    )


def _figures(extent: Extent, shell: tuple[float, float]) -> dict[str, float]:
    """Measure the costs that are no facts of the measurement itself."""
    few, many = Shop(extent.users, extent.items, keep=_KEPT), Shop(extent.users, extent.items, MANY)
    for shop in (few, many):
        _warm(shop, extent.warm_events, extent.batch_events)
    for topic in _KEPT:
        few.driver.read(topic)
    turns = Turns()
    for _ in range(extent.rounds):
        turns.take(few, many, extent.batch_events)
    signals, training, views = (few.driver.read(topic) for topic in _KEPT)
    events, (beside, worker_mb) = extent.rounds * extent.round_events, shell
    return {
        **_plane_costs(turns, extent.round_events),
        **message_costs([record.value or b"" for record in training]),
        **_sizes(turns.few, events, few),
        "shell_us": beside * _in_memory_us(turns.few, extent.round_events),
        "worker_mb": worker_mb,
        "changes_per_event": sum(map(_changes, signals)) / events,
        "view_bytes": mean(len(record.value or b"") + len(record.key or b"") for record in views),
        "read_model_bytes": _read_model_bytes(few),
        "broadcasts_ratio": _broadcasts_ratio(extent.old_events),
        "restore_records_per_s": run_restore(max(100, events), max(10, extent.users // 4)).records_per_cpu_s,
    }


def _warm(shop: Shop, events: int, batch_events: int) -> None:
    """Let a shop come to life; the last round answers too, so that everything is loaded and compiled."""
    shop.driver.topology.users.publishes = False
    for _ in range(max(1, events // (BATCHES * batch_events)) - 1):
        shop.take(BATCHES, batch_events)
    shop.driver.topology.users.publishes = True
    shop.take(BATCHES, batch_events)


class Turns:
    """What two shops used, round by round, and how much longer each step took in the one with many partitions."""

    def __init__(self) -> None:
        self.few: list[Meter] = []
        self.many: list[Meter] = []
        self.longer: list[float] = []

    def take(self, few: Shop, many: Shop, size: int) -> None:
        """Let both take in four micro-batches in turn, and then follow."""
        for number in range(BATCHES):
            first, second = (few, many) if number % 2 else (many, few)
            seconds = first.step(size) - second.step(size)
            self.longer.append(-seconds if number % 2 else seconds)
        self.few.append(few.follow())
        self.many.append(many.follow())


def _plane_costs(turns: Turns, events: float) -> dict[str, float]:
    """Return the costs of an event, of a message and of a broadcast; ``events`` are those of a round."""
    few, many = turns.few, turns.many
    sent_few, sent_many = _messages(few, *_CHAINED), _messages(many, *_CHAINED)
    got_few, got_many = _messages(few, SIGNALS_TOPIC), _messages(many, SIGNALS_TOPIC)
    sent = max(0.0, median(turns.longer) * BATCHES * 1e6 / (sent_many - sent_few))
    longer = median(more.seconds["items"] - less.seconds["items"] for less, more in zip(few, many, strict=True))
    received = max(0.0, longer * 1e6 / (got_many - got_few))
    views = sum(meter.records[BROADCAST_ITEMS_TOPIC] for meter in few)
    sizes = [sum(meter.sizes[topic] for meter in shop for topic in _CHAINED) / len(shop) for shop in (few, many)]
    positions = [sum(meter.sizes[POSITIONS] for meter in shop) / len(shop) / BATCHES for shop in (few, many)]
    return {
        "sent_us": sent,
        "received_us": received,
        "users_us": (_us(few, "users") - sent * sent_few) / events,
        "items_us": (_us(few, "items") - received * got_few) / events,
        "item_applied_us": lower_quartile(
            meter.seconds[BROADCAST_ITEMS_TOPIC] / max(1.0, meter.records[BROADCAST_ITEMS_TOPIC]) * 1e6 for meter in few
        ),
        "models_applied_us": _us(few, BROADCAST_MODELS_TOPIC),  # one step in a round
        "message_bytes": (sizes[1] - sizes[0]) / (sent_many - sent_few),
        "link_bytes": (positions[1] - positions[0]) / (MANY - 1),
        "broadcasts_per_event": views / len(few) / events,
    }


def _us(rounds: Sequence[Meter], name: str) -> float:
    """Return what a plane or read model took in a round, CPU-microseconds."""
    return lower_quartile(meter.seconds[name] for meter in rounds) * 1e6


def _messages(rounds: Sequence[Meter], *topics: str) -> float:
    """Return how many records of some topics there were in a round, on average."""
    return sum(meter.records[topic] for meter in rounds for topic in topics) / len(rounds)


def _in_memory_us(rounds: Sequence[Meter], events: float) -> float:
    """Return what all planes and one process's read models take per event."""
    return lower_quartile(sum(meter.seconds.values()) for meter in rounds) / events * 1e6


def _sizes(rounds: Sequence[Meter], events: int, shop: Shop) -> dict[str, float]:
    """Return the bytes per event on each topic, and those of states and of single messages."""

    def total(topic: str) -> float:
        return sum(meter.sizes[topic] for meter in rounds)

    def count(topic: str) -> float:
        return sum(meter.records[topic] for meter in rounds)

    stores = {plane: shop.driver.processors[plane][0].store for plane in ("users", "items")}
    states = {plane: store.size_bytes() / len(shop.driver.state(plane)) for plane, store in stores.items()}
    steps = sum(meter.batches["models"] for meter in rounds)
    slates = count(RECOMMENDATIONS_TOPIC)
    placements = len(shop.driver.settings.users.ranking.placements)
    return {
        "answers_per_event": slates / placements / events,
        "event_bytes": total("events") / events,
        "recommendation_bytes": total(RECOMMENDATIONS_TOPIC) / events,
        "slate_bytes": total(RECOMMENDATIONS_TOPIC) / slates,
        "signal_bytes": total(SIGNALS_TOPIC) / events,
        "users_changelog_bytes": total(changelog_topic("users")) / events,
        "items_changelog_bytes": total(changelog_topic("items")) / events,
        "training_bytes": total(TRAINING_TOPIC) / count(TRAINING_TOPIC),
        "model_views_bytes": total(BROADCAST_MODELS_TOPIC) / steps,
        "models_state_bytes": total(changelog_topic("models")) / steps,
        "profile_bytes": states["users"],
        "item_bytes": states["items"],
    }


def _changes(record: Record) -> float:
    """Return how many items events of a message of signals change: each its own, and those touched before it."""
    signals = msgspec.msgpack.decode(record.value or b"", type=ItemSignals)
    return len(signals.touches) + len(signals.times) / 8 / 2


def _read_model_bytes(shop: Shop) -> float:
    """Return the memory that an item takes in a worker, views, neighbours and names included."""
    keeper = ItemKeeper(shop.driver.settings.items)
    encode = msgspec.msgpack.encode
    views = {key: encode(keeper.view(state)) for key, state in shop.driver.state("items").items()}
    tracemalloc.start()
    try:
        index = build_topology(shop.driver.settings).index
        before = tracemalloc.get_traced_memory()[0]
        for key, view in views.items():
            index.apply(key, decode_view(view))
        return (tracemalloc.get_traced_memory()[0] - before) / len(index)
    finally:
        tracemalloc.stop()


def _broadcasts_ratio(events: int) -> float:
    """Return the broadcasts of a shop that is hours old, relative to the plan's formula."""
    shop = Shop(_OLD_USERS, _OLD_ITEMS, events_per_s=_OLD_RATE, keep=(SIGNALS_TOPIC,))
    shop.driver.topology.users.publishes = False
    rounds = [shop.take(1, _OLD_BATCH) for _ in range(max(2, events // _OLD_BATCH))]
    last = rounds[len(rounds) // 2 :]
    changes = sum(map(_changes, shop.driver.read(SIGNALS_TOPIC))) / (len(rounds) * _OLD_BATCH)
    load = Load(users=_OLD_USERS, items=_OLD_ITEMS, events_per_s=_OLD_RATE)
    return _messages(last, BROADCAST_ITEMS_TOPIC) / _OLD_BATCH * _OLD_RATE / broadcasts_per_s(load, changes)
