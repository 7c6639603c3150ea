"""``nearstream bench latency``: from an event's append to the moment an app can read its recommendation.

A producer in a process of its own appends events at random times (a Poisson process) at the wanted mean rate, whether
or not the worker keeps up. An event's clock starts at its append time (the broker stamps it) and stops when a
read_committed consumer has its answer in hand; broker and consumer are on one machine, so both read one clock.

Which recommendation answers an event is defined in :mod:`bench.answers`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.answers import Appended, LogPosition, Received, answers_to, percentile
from bench.campaigns import campaigns_of, records_of
from bench.cluster import Cluster, create_topics, log_ends, settings_from, use_cluster
from bench.feeder import Feed, fed_by, feeding
from bench.load import append, simulated
from bench.machine import Busy, Sampler, describe
from bench.recommendations import Answer, committed_consumer, read_all
from bench.worker_process import Figures, WorkerProcess
from processors.common.topics import AD_DECISIONS_TOPIC, RECOMMENDATIONS_TOPIC
from processors.events.event import EVENT_TOPICS
from streams.broker.process import ChildProcess
from streams.kafka.upstream.stopping import stop_client
from streams.settings.sections import Settings
from streams.worker.step_metrics import STEPS

_PLACEMENT = "home"
_QUIET_S = 2.0
_PERCENTILES = (50, 90, 99)


class LatencyResult(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Result, one JSON line. Milliseconds throughout.

    Parameters
    ----------
    events
        Events that were measured: appended after the warm-up, every one of them answered.
    rate
        Events per second as appended.
    p50_ms, p90_ms, p99_ms, max_ms
        Quantiles and largest of the time from an event's append until its recommendation can be read.
    scheduled_p99_ms
        The same from the moment the producer should have sent the event: includes what the producer and the brokers'
        append took.
    late_ms
        How far the producer was behind its own timetable, at most.
    appended_p50_ms, appended_p99_ms
        From the event's append to its answer's append; what is missing to ``p50_ms`` went into committing the
        transaction and reading it.
    batch_events
        Events per transaction of a users partition.
    prepare_ms, publish_ms, store_ms
        Time of a transaction of the users plane: computing, publishing, the local write.
    cpu_share
        Cores that the worker used.
    machine_busy
        Share of all cores' time, whoever used it.
    campaigns, decisions, decision_p50_ms, decision_p99_ms, decision_max_ms
        Campaigns that advertise, measured events that were decided for, and the time from such an event's append until
        its decision can be read.
    """

    events: int
    rate: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float
    scheduled_p99_ms: float
    late_ms: float
    appended_p50_ms: float
    appended_p99_ms: float
    warmup_s: float
    history: int
    batch_events: float
    prepare_ms: float
    publish_ms: float
    store_ms: float
    cpu_share: float
    machine_busy: float
    broker: str
    guarantee: str
    machine: str
    campaigns: int = 0
    decisions: int = 0
    decision_p50_ms: float = 0.0
    decision_p99_ms: float = 0.0
    decision_max_ms: float = 0.0


class _Decided(msgspec.Struct):
    decision_id: str


class _Sent(msgspec.Struct):
    user_id: str
    timestamp: int


def run_latency(
    rate: float = 500.0,
    seconds: float = 30.0,
    warmup_s: float = 8.0,
    brokers: str | None = None,
    history: int = 20_000,
    users: int = 20_000,
    items: int = 2_000,
    campaigns: int = 0,
) -> LatencyResult:
    """Measure the latency of one worker at a fixed rate of events.

    Parameters
    ----------
    rate
        Mean events per second.
    seconds
        Seconds to measure, after the warm-up.
    warmup_s
        Seconds of events at that rate before those that are measured.
    brokers
        Brokers without Nearstream's records; by default an Apache Kafka is started.
    history
        Events appended and applied before all that, so that users and items are not all new.
    users, items
        Shoppers and products of the simulation.
    campaigns
        Number of campaigns that advertise.
    """
    feed = Feed(
        events=int(rate * (warmup_s + seconds)),
        users=users,
        items=items,
        start_ms=int(time.time() * 1000 - 1000 * history / rate),
        skip=history,
        rate=rate,
    )
    with use_cluster(brokers) as cluster:
        return asyncio.run(_measure(cluster, feed, warmup_s, campaigns_of(campaigns, items)))


async def _measure(
    cluster: Cluster, feed: Feed, warmup_s: float, campaigns: dict[str, dict[str, Any]]
) -> LatencyResult:
    environment = cluster.environment()
    settings = settings_from(environment)
    await create_topics(settings)
    await append(settings, records_of(campaigns))
    await append(settings, simulated(feed.skip, feed.users, feed.items, feed.rate, feed.start_ms))
    with WorkerProcess(environment, cluster.directory / "worker.log") as worker, Sampler(worker.pid) as sampler:
        await asyncio.to_thread(worker.wait_until_drained, feed.skip, 300.0)
        begins = await log_ends(settings, list(EVENT_TOPICS))
        busy = Busy()
        before, begun = worker.figures(), time.monotonic()
        async with listening(settings) as consumer:
            with feeding(feed, cluster.directory / "feeder.log", environment) as feeder:
                answers, decided = await _listen(consumer, feeder)
                fed = fed_by(feeder)
        after, ended = worker.figures(), time.monotonic()
        busy_share = busy.share()
        cpu = (sampler.at(ended).cpu_s - sampler.at(begun).cpu_s) / (ended - begun)
    appended = await _read_log(settings, begins)
    measured = [event for event in appended if event.time_ms >= appended[0].time_ms + 1000 * warmup_s]
    return LatencyResult(
        **_latencies(measured, answers_to(appended, answers)),
        **_decision_latencies(measured, decided),
        **_steps(before, after),
        rate=round(len(appended) / fed.seconds, 1),
        late_ms=fed.late_ms,
        warmup_s=warmup_s,
        history=feed.skip,
        cpu_share=round(cpu, 2),
        machine_busy=busy_share,
        broker=cluster.label,
        guarantee=settings.worker.processing_guarantee,
        machine=describe(),
        campaigns=len(campaigns),
    )


def _latencies(measured: list[Appended], received: dict[LogPosition, Received]) -> dict[str, Any]:
    """Return the figures of the time from events to their recommendations."""
    times = [received[event.position].at_ms - event.time_ms for event in measured]
    to_append = [received[event.position].appended_ms - event.time_ms for event in measured]
    from_schedule = [received[event.position].at_ms - event.scheduled_ms for event in measured]
    return {
        "events": len(measured),
        **{f"p{p}_ms": round(percentile(times, p), 1) for p in _PERCENTILES},
        "max_ms": round(max(times), 1),
        "scheduled_p99_ms": round(percentile(from_schedule, 99), 1),
        "appended_p50_ms": round(percentile(to_append, 50), 1),
        "appended_p99_ms": round(percentile(to_append, 99), 1),
    }


def _decision_latencies(measured: list[Appended], decided: dict[LogPosition, float]) -> dict[str, Any]:
    """Return the figures of the time from events to their ad decisions; none if nothing was decided."""
    times = [decided[event.position] - event.time_ms for event in measured if event.position in decided]
    if not times:
        return {}
    return {
        "decisions": len(times),
        "decision_p50_ms": round(percentile(times, 50), 1),
        "decision_p99_ms": round(percentile(times, 99), 1),
        "decision_max_ms": round(max(times), 1),
    }


@asynccontextmanager
async def listening(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """Open a consumer of the recommendations and ad decisions that are yet to come."""
    consumer = committed_consumer(settings)
    await consumer.start()
    try:
        topics, partitions = (RECOMMENDATIONS_TOPIC, AD_DECISIONS_TOPIC), range(settings.topics.partitions)
        logs = [TopicPartition(topic, p) for topic in topics for p in partitions]
        consumer.assign(logs)
        await consumer.seek_to_end(*logs)
        for log in logs:
            await consumer.position(log)
        yield consumer
    finally:
        await stop_client(consumer)


async def _listen(
    consumer: AIOKafkaConsumer, feeder: ChildProcess
) -> tuple[list[tuple[str, Received]], dict[LogPosition, float]]:
    """Receive until the feeder is done and nothing has come for a while.

    Returns
    -------
    tuple
        Recommendations with their users; and by position of an event, when its decision was in hand, in milliseconds.
    """
    decode, decode_decision = msgspec.json.Decoder(Answer).decode, msgspec.json.Decoder(_Decided).decode
    received: list[tuple[str, Received]] = []
    decided: dict[LogPosition, float] = {}
    quiet_since = time.monotonic()
    while feeder.exit_code is None or time.monotonic() - quiet_since < _QUIET_S:
        records, at_ms = await _next(consumer)
        for record in records:
            if record.topic == AD_DECISIONS_TOPIC:
                topic, partition, offset, _ = decode_decision(record.value).decision_id.split("/")
                decided[topic, int(partition), int(offset)] = at_ms
                continue
            if record.value is None:  # a user who has expired
                continue
            answer = decode(record.value)
            if answer.placement == _PLACEMENT:
                cause = answer.caused_by
                position = cause.topic, cause.partition, cause.offset
                received.append((answer.user_id, Received(position, at_ms, record.timestamp)))
        if records or feeder.exit_code is None:
            quiet_since = time.monotonic()
    return received, decided


async def _next(consumer: AIOKafkaConsumer) -> tuple[list[Any], float]:
    """Return the records that can be read now, and when they were in hand."""
    found = await consumer.getmany(timeout_ms=500)
    at_ms = time.time() * 1000.0
    return [record for records in found.values() for record in records], at_ms


async def _read_log(settings: Settings, begins: dict[tuple[str, int], int]) -> list[Appended]:
    """Return the events from those offsets on, in the order in which they were appended."""
    decode = msgspec.json.Decoder(_Sent).decode
    found = []
    for topic in EVENT_TOPICS:
        async for record in read_all(settings, topic):
            if record.offset >= begins[topic, record.partition]:
                sent = decode(record.value)
                position = topic, record.partition, record.offset
                found.append(Appended(sent.user_id, position, record.timestamp, sent.timestamp))
    return sorted(found, key=lambda event: event.time_ms)


def _steps(before: Figures, after: Figures) -> dict[str, Any]:
    """Return what a transaction of the users plane held and took, between two scrapes."""

    def gained(name: str, **labels: str) -> float:
        return after.total(name, **labels) - before.total(name, **labels)

    batches = gained("nearstream_batch_records_count", plane="users") or 1.0
    steps = {
        f"{step}_ms": round(1000 * gained("nearstream_step_seconds_sum", plane="users", step=step) / batches, 2)
        for step in STEPS
    }
    return {"batch_events": round(gained("nearstream_batch_records_sum", plane="users") / batches, 2), **steps}
