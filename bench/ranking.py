"""``nearstream bench ranking``: what ranking alone costs per user, without a broker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time

import msgspec

from bench.load import START_MS, LoadEvent, load_of
from bench.micro_batches import STEP_MS, batch_of, chunks, pipe
from processors.ranking.gathering import Gatherer
from processors.ranking.pipeline import RankingPipeline
from processors.ranking.slate_writer import SlateWriter
from processors.users.profile import Profile
from streams.engine.driver import TopologyDriver
from streams.settings.sections import Settings


class RankingResult(msgspec.Struct):
    """Result, one JSON line. Times are CPU-microseconds per user, the best and the middle one of ``runs``.

    ``rank_us`` is all from profiles to finished slates of every placement: candidates, features, scores, rules,
    reasons. ``messages_us`` is writing the messages' items as JSON, which comes on top.
    """

    data: str
    events: int
    users: int
    candidates: float
    history: float
    placements: int
    runs: int
    rank_us: float
    rank_us_median: float
    gather_us: float
    messages_us: float


def run_ranking(
    data: Path | None = None,
    events: int | None = None,
    users: int = 200,
    runs: int = 30,
    seen: tuple[int, int] = (20_000, 2_000),
) -> RankingResult:
    """Measure ranking: learn from events through the driver, then rank the users who came last again and again.

    Parameters
    ----------
    data, events
        Event file, and how many of its events; without a file events are simulated.
    users
        Number of users to rank for in one pass.
    runs
        Number of passes that are measured.
    seen
        Number of shoppers and products of the simulator.
    """
    load = load_of(data, events or 20_000, *seen)
    driver = _learned(load.events)
    profiles = _latest(driver, load.events, users)
    ranking = driver.settings.users.ranking
    n = max(len(profiles), 1)
    return RankingResult(
        data=load.name,
        events=len(load.events),
        users=len(profiles),
        history=round(sum(len(profile.item_ids) for profile in profiles) / n, 1),
        placements=len(ranking.placements),
        runs=runs,
        **_costs(driver, profiles, runs),
    )


def _costs(driver: TopologyDriver, profiles: list[Profile], runs: int) -> dict[str, float]:
    """Rank for all profiles so many times; return candidates and CPU-microseconds per user."""
    read, now, ranking = driver.topology.users.read, driver.now, driver.settings.users.ranking
    moments, n = [profile.last_seen for profile in profiles], max(len(profiles), 1)
    ranker, gatherer = RankingPipeline(ranking), Gatherer(ranking.sources)
    slates = ranker.rank(profiles, moments, read, now)
    rank = _timed(lambda: ranker.rank(profiles, moments, read, now), runs)
    gather = _timed(lambda: gatherer.gather(profiles, moments, read), runs)
    writer = SlateWriter(ranker.texts)
    messages = _timed(lambda: [writer.write(part, read) for part in slates], runs)
    return {
        "candidates": round(len(gatherer.gather(profiles, moments, read)) / n, 1),
        "rank_us": _per_user(min(rank), n),
        "rank_us_median": _per_user(median(rank), n),
        "gather_us": _per_user(min(gather), n),
        "messages_us": _per_user(min(messages), n),
    }


def _learned(events: list[LoadEvent]) -> TopologyDriver:
    settings = Settings()
    topics = msgspec.structs.replace(settings.topics, partitions=1)
    driver = TopologyDriver(msgspec.structs.replace(settings, topics=topics), publish=False)
    for n, chunk in enumerate(chunks(events)):
        pipe(driver, batch_of(chunk), START_MS + n * STEP_MS)
    driver.flush()
    return driver


def _latest(driver: TopologyDriver, events: list[LoadEvent], users: int) -> list[Profile]:
    last = list(dict.fromkeys(event.key for event in reversed(events)))[:users]
    found = driver.processors["users"][0].store.read(last)
    return [profile for profile in found if profile is not None]


def _timed(run: Callable[[], object], runs: int) -> list[float]:
    taken = []
    for _ in range(runs):
        begun = process_time()
        run()
        taken.append(process_time() - begun)
    return taken


def _per_user(seconds: float, users: int) -> float:
    return round(seconds / users * 1e6, 1)
