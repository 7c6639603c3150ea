"""``nearstream bench growth``: whether an event costs more when there are more items, more users, or a longer past.

Everything runs in memory (:class:`streams.engine.driver.TopologyDriver`): all planes, slates published, no broker. Time
is CPU time of the process. What is compared takes turns in one process, one segment each, so that whatever else the
machine does hits all alike; in every round another one is first. A cost is the median over the segments, a ratio the
median over the rounds of the ratio within a round. What is in memory before the measurement is left out of garbage
collection while it lasts.

Items and users. Three drivers: one with the fewer items and users, one with ten times as many items, one with ten times
as many users. Each is given the rows of its whole catalogue, and learns from the same number of simulated events. The
profiles that these lead to are then copied so that every shopper of the population has one: all items are in the index,
all users in the store. Then simulated shoppers of the population go on.

- Equal: number of events, size and number of micro-batches, how many shoppers are in the shop at once, how long their
  histories are when they come, and between fewer and more users also items, neighbours and models.
- Not equal: with more items each is visited less often, so that neighbours are fewer and, as similar items are looked
  for when first asked for, more of them are looked for. With more users fewer shoppers come twice while it is measured.

Age. Two drivers with the fewer items and users that begin with the catalogue and without any event, one measured around
its 10,000th event and the other around its 60,000th.

- Equal: shop, shoppers, size of the micro-batches.
- Not equal, which is what is measured: histories and neighbours are longer, and more of the shoppers are known.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import median
from time import process_time

import msgspec
import orjson

from bench.load import SEED, START_MS, LoadEvent
from bench.micro_batches import SIZE, STEP_MS, batch_of, chunks, pipe
from processors.common.topics import CATALOG_TOPIC
from processors.simulator import Catalogue, Simulator, build_catalogue, catalogue_rows
from state.store import ChangelogRecord
from streams.engine.driver import TopologyDriver
from streams.engine.warm import warm
from streams.settings.sections import Settings

TIMES = 10
"""How many times as many items or users there are."""
OLDER = 6
"""How many times as many events there were before."""
_EVENTS_PER_USER = 10
_RATE_PER_S = SIZE * 1000 / STEP_MS


class GrowthResult(msgspec.Struct):
    """Result, one JSON line. Times are CPU-microseconds per event.

    Parameters
    ----------
    items_ratio, users_ratio
        Cost with ten times as many items or users, relative to the cost with ``items`` and ``users``.
    age_ratio
        Cost after six times as many events, relative to the cost after ``events``.
    base_us, more_items_us, more_users_us
        The costs behind the first two, with ``items`` and ``users``, ten times the items, ten times the users.
    young_us, old_us
        The costs behind the third, after ``events`` and after six times as many.
    events, items, users
        Events before the measurement, items of the catalogue, shoppers.
    segments, segment_events
        Segments of each run that were measured, and events in each.
    """

    items_ratio: float
    users_ratio: float
    age_ratio: float
    base_us: float
    more_items_us: float
    more_users_us: float
    young_us: float
    old_us: float
    events: int
    items: int
    users: int
    segments: int
    segment_events: int


def run_growth(
    events: int = 10_000, items: int = 2_000, users: int = 20_000, segments: int = 20, segment_events: int = SIZE
) -> GrowthResult:
    """Measure what an event costs, with few and many items and users, and after few and many events.

    Parameters
    ----------
    events
        Events before the measurement, and in the middle of it for the age.
    items, users
        The fewer of them.
    segments, segment_events
        How many segments of each run are measured, and the events in each.
    """
    warm()  # else the first run would pay for loading the kernels
    sizes = ((items, users), (items * TIMES, users), (items, users * TIMES))
    by_size = _Costs.of([grown(events, *size) for size in sizes], segments, segment_events)
    half = (segments + 1) * segment_events // 2
    ages = (max(0, age - half) for age in (events, OLDER * events))
    by_age = _Costs.of([_aged(age, items, users) for age in ages], segments, segment_events)
    return GrowthResult(
        items_ratio=by_size.ratio(1),
        users_ratio=by_size.ratio(2),
        age_ratio=by_age.ratio(1),
        base_us=by_size.middle(0),
        more_items_us=by_size.middle(1),
        more_users_us=by_size.middle(2),
        young_us=by_age.middle(0),
        old_us=by_age.middle(1),
        events=events,
        items=items,
        users=users,
        segments=segments,
        segment_events=segment_events,
    )


@dataclass
class Run:
    """A driver, and the simulated events that it is given next."""

    driver: TopologyDriver
    coming: Iterator[LoadEvent]

    def take(self, events: int) -> float:
        """Take in the next so many events and return the CPU-seconds of that, without those of simulating them."""
        batches = [batch_of(chunk) for chunk in chunks(islice(self.coming, events))]
        begun = process_time()
        for batch in batches:
            pipe(self.driver, batch, self.driver.now + STEP_MS)
        return process_time() - begun


@dataclass
class _Costs:
    """CPU-microseconds per event of some runs, by round and then run."""

    rounds: list[list[float]]

    @classmethod
    def of(cls, runs: Sequence[Run], segments: int, segment_events: int) -> _Costs:
        """Let the runs take turns, a segment each in every round, and another one first in each.

        One more round before is not measured.
        """
        for run in runs:
            run.take(segment_events)
        gc.collect()
        gc.freeze()
        rounds = []
        for number in range(segments):
            seconds = [0.0] * len(runs)
            for turn in range(len(runs)):
                at = (number + turn) % len(runs)
                seconds[at] = runs[at].take(segment_events)
            rounds.append([taken / segment_events * 1e6 for taken in seconds])
        gc.unfreeze()
        return cls(rounds)

    def middle(self, run: int) -> float:
        """Return the median cost of a run."""
        return round(median(costs[run] for costs in self.rounds), 1)

    def ratio(self, run: int) -> float:
        """Return the median over the rounds of a run's cost relative to the first run's cost in the same round."""
        return round(median(costs[run] / costs[0] for costs in self.rounds), 2)


def grown(events: int, items: int, users: int) -> Run:
    """Return a run whose items are all in the index and whose users all have a profile."""
    catalogue = build_catalogue(SEED, items)
    driver = _with(catalogue)
    few = max(1, events // _EVENTS_PER_USER)
    _teach(Run(driver, _events(Simulator(SEED, few, catalogue), driver.now)), events)
    simulator = Simulator(SEED + 1, users, catalogue)
    copy_states(driver, "users", [simulator.population.user_id(number) for number in range(users)])
    return Run(driver, _events(simulator, driver.now))


def _aged(events: int, items: int, users: int) -> Run:
    """Return a run that has taken in so many events."""
    catalogue = build_catalogue(SEED, items)
    driver = _with(catalogue)
    run = Run(driver, _events(Simulator(SEED, users, catalogue), driver.now))
    _teach(run, events)
    return run


def _with(catalogue: Catalogue) -> TopologyDriver:
    """Return a driver of one partition that knows the catalogue."""
    settings = Settings()
    topics = msgspec.structs.replace(settings.topics, partitions=1)
    driver = TopologyDriver(msgspec.structs.replace(settings, topics=topics), keep=())
    for rows in chunks(catalogue_rows(catalogue)):
        driver.pipe_batch(CATALOG_TOPIC, [(key, value, ()) for key, value in rows], START_MS)
    driver.flush()
    return driver


def _teach(run: Run, events: int) -> None:
    """Take in events without answering them, which leads to the same states in half the time."""
    run.driver.topology.users.publishes = False
    run.take(events)
    run.driver.topology.users.publishes = True


def copy_states(driver: TopologyDriver, plane: str, keys: Sequence[str]) -> None:
    """Give each of some keys a copy of one of the states in the first store of a plane, in turn."""
    store = driver.processors[plane][0].store
    *found, position = store.encode(driver.state(plane), store.position())
    # What is copied are the bytes: all who have a copy share them.
    *wanted, _ = store.encode(dict.fromkeys(keys), store.position())
    copies = [ChangelogRecord(key, found[n % len(found)].value) for n, (key, _) in enumerate(wanted)]
    store.restore([*copies, position], store.changelog_offset())


def _events(simulator: Simulator, start_ms: int) -> Iterator[LoadEvent]:
    for event in simulator.events(start_ms, _RATE_PER_S):
        yield LoadEvent(event.topic, event.key, orjson.dumps(event.value()))
