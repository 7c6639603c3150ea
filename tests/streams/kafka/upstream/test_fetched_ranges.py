"""Ranges of offsets that fetches cover, around real results of aiokafka's fetcher."""

import inspect
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher, FetchError, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import TopicPartitionState
from aiokafka.errors import OffsetOutOfRangeError
from aiokafka.structs import TopicPartition
from faust.types import TP

from streams.engine.source_batch import SourceBatch
from streams.kafka.upstream.fetched_ranges import CoveredFetches

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


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (PartitionRecords._unpack_records, "for record in next_batch:"),
        (PartitionRecords._contains_abort_marker, "control_record = next(next_batch)"),
        (Fetcher.fetched_records, "for tp in list(self._records.keys()):"),
        (Fetcher.fetched_records, "records = res_or_error.getall(max_records)"),
        (Fetcher.fetched_records, "self._notify(self._wait_consume_future)"),
        (FetchResult.check_assignment, "if position != self._partition_records.next_fetch_offset:"),
        (FetchResult.getall, "if not self.check_assignment(tp) or not self.has_more():"),
        (FetchResult._update_position, "state.consumed_to(self._partition_records.next_fetch_offset)"),
    ],
)
def test_upstream_still_has_the_line(function: Any, line: str) -> None:
    assert line in inspect.getsource(function)
