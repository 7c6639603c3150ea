"""The lines of aiokafka and Faust that the transport relies on, and what it makes of them."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher, FetchError, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import TopicPartitionState
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.producer import sender
from aiokafka.structs import TopicPartition
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.engine.source_batch import SourceBatch
from streams.kafka.faust_transport import BatchConsumer, CoveredFetches
from streams.settings.sections import KafkaSettings, Settings
from streams.worker.faust_app import FaustApp

KEY = TopicPartition("t", 0)
HERE = TP("t", 0)


class Records:
    """Stands for aiokafka's PartitionRecords: offsets that hold records, within a stretch."""

    def __init__(self, start: int, end: int, offsets: list[int]) -> None:
        self.next_fetch_offset = start
        self._end, self._offsets = end, offsets

    def __iter__(self) -> Iterator[Any]:
        while self._offsets:
            offset = self._offsets.pop(0)
            self.next_fetch_offset = offset + 1
            yield SimpleNamespace(offset=offset, timestamp=0)
        self.next_fetch_offset = self._end


class FakeFetcher:
    """The part of the fetcher that is relied on, around real fetch results."""

    def __init__(self, position: int) -> None:
        self.state = TopicPartitionState(None)
        self.state.seek(position)
        self.assigned = True
        self._records: dict[TopicPartition, Any] = {}
        self._wait_consume_future = None
        self._subscriptions = SimpleNamespace(is_assigned=lambda _: self.assigned)
        self.assignment = SimpleNamespace(active=True, state_value=lambda _: self.state)

    def _notify(self, _: Any) -> None: ...

    def fetched(self, start: int, end: int, offsets: list[int]) -> None:
        records = Records(start, end, offsets)
        self._records[KEY] = FetchResult(KEY, assignment=self.assignment, partition_records=records, backoff=0)


def stretches(drained: dict[TP, list[SourceBatch]]) -> list[tuple[int, int, list[int]]]:
    return [(b.start, b.end, [r.offset for r in b.records]) for batches in drained.values() for b in batches]


async def test_a_batch_covers_the_markers_in_it() -> None:
    fetcher, fetches = FakeFetcher(5), CoveredFetches(100)
    fetcher.fetched(5, 10, [5, 6, 8])
    assert stretches(fetches.drain(fetcher, {HERE})) == [(5, 10, [5, 6, 8])]
    assert fetches.covered[HERE] == 10


async def test_a_fetch_of_markers_alone_is_joined_to_the_next_batch() -> None:
    fetcher, fetches = FakeFetcher(5), CoveredFetches(100)
    fetcher.fetched(5, 6, [])
    assert stretches(fetches.drain(fetcher, {HERE})) == []
    assert fetches.recordless == {HERE: (5, 6)}
    fetcher.fetched(6, 8, [6, 7])
    assert stretches(fetches.drain(fetcher, {HERE})) == [(5, 8, [6, 7])]
    assert fetches.recordless == {}


async def test_markers_before_a_seek_are_not_joined_to_what_comes_after() -> None:
    fetcher, fetches = FakeFetcher(5), CoveredFetches(100)
    fetcher.fetched(5, 6, [])
    fetches.drain(fetcher, {HERE})
    fetcher.state.seek(20)
    fetcher.fetched(20, 21, [20])
    assert stretches(fetches.drain(fetcher, {HERE})) == [(20, 21, [20])]


async def test_a_long_fetch_is_handed_over_in_pieces_without_a_gap() -> None:
    fetcher, fetches = FakeFetcher(0), CoveredFetches(2)
    fetcher.fetched(0, 6, [0, 1, 3, 4])
    found = [stretches(fetches.drain(fetcher, {HERE})) for _ in range(3)]
    assert found == [[(0, 2, [0, 1])], [(2, 5, [3, 4])], []]
    assert fetches.covered[HERE] == 6


async def test_records_fetched_before_a_seek_are_not_handed_over() -> None:
    fetcher, fetches = FakeFetcher(5), CoveredFetches(100)
    fetcher.fetched(5, 7, [5, 6])
    fetcher.state.seek(3)
    assert stretches(fetches.drain(fetcher, {HERE})) == []


async def test_partitions_that_are_paused_keep_their_records() -> None:
    fetcher, fetches = FakeFetcher(5), CoveredFetches(100)
    fetcher.fetched(5, 6, [5])
    assert stretches(fetches.drain(fetcher, {TP("other", 0)})) == []
    assert stretches(fetches.drain(fetcher, {HERE})) == [(5, 6, [5])]


async def test_partitions_that_are_gone_lose_them() -> None:
    fetcher, fetches = FakeFetcher(5), CoveredFetches(100)
    fetcher.fetched(5, 6, [5])
    fetcher.assigned = False
    fetches.drain(fetcher, {TP("other", 0)})
    assert fetcher._records == {}


async def test_an_error_of_the_fetch_is_raised() -> None:
    fetcher, fetches = FakeFetcher(5), CoveredFetches(100)
    fetcher._records[KEY] = FetchError(error=OffsetOutOfRangeError(KEY), backoff=0)
    with pytest.raises(OffsetOutOfRangeError):
        fetches.drain(fetcher, {HERE})


def test_faust_gets_the_times_that_a_worker_needs() -> None:
    for session_s, request_s in ((10, 20.0), (30, 60.0)):
        conf: Any = FaustApp(Settings(kafka=KafkaSettings(session_timeout_s=session_s))).conf
        assert (conf.broker_session_timeout, conf.broker_request_timeout) == (session_s, request_s)
        assert (conf.broker_commit_interval, conf.autodiscover) == (2.0, False)
        assert min(conf.stream_processing_timeout, conf.broker_commit_livelock_soft_timeout) == 86_400.0


async def test_what_was_sought_is_handed_over_though_something_later_was_on_its_way() -> None:
    handed: list[int] = []

    async def take(message: Any) -> None:
        handed.append(message.offset)
        if message.offset == 149:
            consumer._read_offset[HERE] = 50  # a seek, while this one is on its way

    app = FaustApp(Settings())
    consumer: Any = app.transport.create_consumer(take, on_partitions_revoked=None, on_partitions_assigned=None)
    passes, last = iter([[99, 149], [59, 109], [119]]), iter([False, False, True])

    async def getmany(timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109  # Faust's signature
        for offset in next(passes, []):
            yield HERE, SimpleNamespace(offset=offset, topic=HERE.topic, key=None, value=None)
        if next(last):
            consumer._stopped.set()

    consumer.getmany = getmany
    try:
        await asyncio.wait_for(consumer._drain_messages(SimpleNamespace(_stopped=asyncio.Event())), 5)
    finally:
        consumer._thread.thread_loop.close()
    assert handed == [99, 149, 59, 109, 119]


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (Fetcher._proc_fetch_request, "records = MemoryRecords(part_data[-1])"),
        (PartitionRecords._unpack_records, "for record in next_batch:"),
        (PartitionRecords._contains_abort_marker, "control_record = next(next_batch)"),
        (Fetcher.fetched_records, "for tp in list(self._records.keys()):"),
        (Fetcher.fetched_records, "records = res_or_error.getall(max_records)"),
        (Fetcher.fetched_records, "self._notify(self._wait_consume_future)"),
        (Fetcher.fetched_records, "waiter = self._create_fetch_waiter()"),
        (FetchResult.check_assignment, "if position != self._partition_records.next_fetch_offset:"),
        (FetchResult.getall, "if not self.check_assignment(tp) or not self.has_more():"),
        (FetchResult._update_position, "state.consumed_to(self._partition_records.next_fetch_offset)"),
        (driver.AIOKafkaConsumerThread._fetch_records, "if not self.consumer.flow_active:"),
        (driver.AIOKafkaConsumerThread._fetch_records, "return await fetcher.fetched_records("),
        (sender.AddPartitionsToTxnHandler.handle_response, "return BACKOFF_OVERRIDE"),
        (driver.Consumer._new_consumer_thread, "return AIOKafkaConsumerThread("),
        (faust_consumer.Consumer.getmany, "yield tp, to_message(tp, record)"),
        (faust_consumer.Consumer.getmany, "if new_generation_id != generation_id:"),
        (faust_consumer.Consumer._drain_messages, "get_read_offset = self._read_offset.__getitem__"),
        (faust_consumer.Consumer._drain_messages, "if r_offset is None or offset >= r_offset:"),
        (faust_consumer.Consumer._drain_messages, "await self._add_gap(tp, r_offset + 1, offset)"),
        (faust_consumer.Consumer._filter_committable_offsets, "offset = self._new_offset(tp)"),
    ],
)
def test_upstream_still_has_the_line(function: Any, line: str) -> None:
    assert line in inspect.getsource(function)


def test_the_highest_acknowledged_offset_is_committed() -> None:
    consumer = SimpleNamespace(_acked={HERE: [9, 4, 30]}, _acked_index={HERE: {4, 9, 30}})
    assert BatchConsumer._new_offset(consumer, HERE) == 31  # type: ignore[arg-type]  # only these two are used
    assert (consumer._acked[HERE], consumer._acked_index[HERE]) == ([], set())


def test_nothing_acknowledged_is_nothing_to_commit() -> None:
    assert BatchConsumer._new_offset(SimpleNamespace(_acked={}), HERE) is None  # type: ignore[arg-type]
