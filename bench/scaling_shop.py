"""A simulated shop in a topology driver whose planes, messages and read models are metered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, islice
from time import process_time
from typing import Any

import msgspec
import orjson

from bench.load import SEED, START_MS, LoadEvent
from bench.micro_batches import chunks
from processors.common.hashing import partition_of
from processors.common.topics import CATALOG_TOPIC, changelog_topic
from processors.events.record import Record
from processors.planes.read_models import ReadModelTable, read_models
from processors.simulator import Simulator, build_catalogue, catalogue_rows
from state.store import POSITION_KEY
from streams.engine.driver import TopologyDriver
from streams.engine.partition import PartitionProcessor, Prepared
from streams.engine.source_batch import SourceBatch
from streams.settings.sections import Settings

POSITIONS = "positions"
"""Name under which the bytes of the users plane's positions are metered."""


def _zeros() -> dict[str, float]:
    return defaultdict(float)


@dataclass
class Meter:
    """What was used since it was last read: CPU-seconds by plane or broadcast topic; records and bytes by topic.

    ``batches`` are the micro-batches by plane.
    """

    seconds: dict[str, float] = field(default_factory=_zeros)
    records: dict[str, float] = field(default_factory=_zeros)
    sizes: dict[str, float] = field(default_factory=_zeros)
    batches: dict[str, float] = field(default_factory=_zeros)

    def take(self) -> Meter:
        """Return what was metered, and begin anew."""
        taken = Meter(self.seconds, self.records, self.sizes, self.batches)
        self.seconds, self.records, self.sizes, self.batches = _zeros(), _zeros(), _zeros(), _zeros()
        return taken

    def sent(self, topic: str, *parts: bytes | None) -> None:
        """Count a record of these parts."""
        self.records[topic] += 1
        self.sizes[topic] += sum(len(part or b"") for part in parts)


class MeteredProcessor(PartitionProcessor[Any]):
    """A partition whose time and output are metered."""

    def __init__(self, processor: PartitionProcessor[Any], meter: Meter) -> None:
        super().__init__(processor.plane, processor.partition, processor.store)
        self._meter = meter

    def prepare(self, batches: Iterable[SourceBatch]) -> Prepared[Any] | None:
        """Prepare a micro-batch, and meter it."""
        begun, meter, name = process_time(), self._meter, self.plane.name
        prepared = super().prepare(batches)
        meter.seconds[name] += process_time() - begun
        if prepared is not None:
            meter.batches[name] += 1
            for output in prepared.outputs:
                headers = (part for key, value in output.headers for part in (key.encode(), value))
                meter.sent(output.topic, output.key, output.value, *headers)
            for key, value in prepared.changelog:
                meter.sent(changelog_topic(name), key, value)
                if key == POSITION_KEY and name == "users":
                    meter.sent(POSITIONS, value)
        return prepared

    def commit(self, prepared: Prepared[Any], changelog_offset: int) -> None:
        """Commit a micro-batch, and meter it."""
        begun = process_time()
        super().commit(prepared, changelog_offset)
        self._meter.seconds[self.plane.name] += process_time() - begun


class MeteredTable(ReadModelTable):
    """Read models that are metered while they take over records."""

    meter: Meter

    def apply(self, topic: str, key: bytes, value: bytes | None) -> None:
        """Hand over a record, and meter it."""
        begun = process_time()
        super().apply(topic, key, value)
        self.meter.seconds[topic] += process_time() - begun


class Shop:
    """A shop whose shoppers are all on the first of some partitions, so that this one's micro-batches are full.

    Parameters
    ----------
    users, items
        Shoppers and products.
    partitions
        Partitions of every topic: as many receivers has each micro-batch.
    events_per_s
        Events per second of simulated time.
    keep
        Topics whose records are kept.

    Attributes
    ----------
    driver
        Runs the planes.
    meter
        What was used.
    """

    def __init__(
        self, users: int, items: int, partitions: int = 1, events_per_s: float = 500.0, keep: Collection[str] = ()
    ) -> None:
        settings = Settings()
        topics = msgspec.structs.replace(settings.topics, partitions=partitions)
        self.driver = driver = TopologyDriver(msgspec.structs.replace(settings, topics=topics), keep=keep)
        self.meter = Meter()
        catalogue = build_catalogue(SEED, items)
        for rows in chunks(catalogue_rows(catalogue)):
            driver.pipe_batch(CATALOG_TOPIC, [(key, value, ()) for key, value in rows], START_MS)
        driver.flush()
        self._meter_all()
        self._offsets: dict[str, int] = defaultdict(int)
        self._ids: dict[str, str] = {}
        self._coming = self._events(Simulator(SEED, users, catalogue), events_per_s)
        self._per_ms = events_per_s / 1000.0

    def take(self, batches: int, size: int) -> Meter:
        """Take in some micro-batches of events, have the other planes follow once, and return what that used."""
        for _ in range(batches):
            self.step(size)
        return self.follow()

    def step(self, size: int) -> float:
        """Take in a micro-batch of events, and return the CPU-seconds that the users plane took."""
        before, at = self.meter.seconds["users"], self.driver.now + max(1, round(size / self._per_ms))
        self.driver.process("users", 0, self._batches(list(islice(self._coming, size)), at), at)
        return self.meter.seconds["users"] - before

    def follow(self) -> Meter:
        """Have the other planes take what waits for them, and return all that was used since this was last called."""
        self.driver.flush()
        return self.meter.take()

    def _meter_all(self) -> None:
        driver, users = self.driver, self.driver.topology.users
        table = MeteredTable(read_models(users.read, users.ads))
        table.meter = self.meter
        driver.topology = replace(driver.topology, read_models=table)
        for name, processors in driver.processors.items():
            driver.processors[name] = [MeteredProcessor(processor, self.meter) for processor in processors]

    def _events(self, simulator: Simulator, rate_per_s: float) -> Iterator[LoadEvent]:
        for event in simulator.events(self.driver.now, rate_per_s):
            key = self._ids.get(event.key) or self._ids.setdefault(event.key, self._on_first(event.key))
            yield LoadEvent(event.topic, key, orjson.dumps({**event.value(), "user_id": key}))

    def _on_first(self, user: str) -> str:
        """Return a name for a user that belongs to the first partition."""
        partitions = self.driver.settings.topics.partitions
        names = (f"{user}~{number:03d}" for number in count())
        return next(name for name in names if partition_of(name, partitions) == 0)

    def _batches(self, events: Sequence[LoadEvent], at: int) -> list[SourceBatch]:
        records: dict[str, list[Record]] = defaultdict(list)
        for event in events:
            offset = self._offsets[event.topic]
            self._offsets[event.topic] = offset + 1
            records[event.topic].append(Record(event.topic, 0, offset, at, event.key.encode(), event.value))
            self.meter.sent("events", event.key.encode(), event.value)
        return [SourceBatch(topic, those[0].offset, those[-1].offset + 1, those) for topic, those in records.items()]
