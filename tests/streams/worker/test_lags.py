"""What counts as lag."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.exceptions import ConsumerNotStarted
from faust.types import TP

from streams.kafka.faust_transport import BatchConsumer
from streams.worker.lags import Lags
from tests.streams.worker.fakes import HERE, WatchedWorker


async def test_what_was_delivered_is_not_applied_yet(worker: WatchedWorker) -> None:
    worker.end = 510
    worker.recordless[HERE] = (508, 510)
    assert worker.lags.now() == {HERE: 500}


async def test_a_range_without_records_behind_the_position_is_no_lag(worker: WatchedWorker) -> None:
    worker.end = 12
    worker.recordless[HERE] = (10, 12)
    assert worker.lags.now() == {HERE: 0}


async def test_a_partition_that_is_not_taken_over_has_no_lag_to_tell(worker: WatchedWorker) -> None:
    worker.runner.processor = cast(Any, None)
    assert (worker.lags.now(), worker.lags.offset(HERE)) == ({}, None)


def test_a_worker_without_partitions_does_not_ask_its_consumer_which_may_not_have_started() -> None:
    def consumer() -> BatchConsumer:
        raise ConsumerNotStarted

    assert Lags([], {}, consumer).now() == {}


async def test_each_source_topic_belongs_to_the_runner_of_its_plane(worker: WatchedWorker) -> None:
    assert cast(Any, worker.lags.runner(HERE)) is worker.runner
    assert worker.lags.runner(TP(HERE.topic, 1)) is None
    assert worker.lags.runner(TP("catalog.items.v1", 0)) is None
    assert worker.lags.runner(TP("of nobody", 0)) is None


@pytest.mark.parametrize(("stable", "end"), [(7, 7), (None, 9), (-1, 9)])
def test_an_open_transaction_is_not_waited_for(stable: int | None, end: int) -> None:
    client = SimpleNamespace(last_stable_offset=lambda _: stable, highwater=lambda _: 9)
    consumer = SimpleNamespace(_thread=SimpleNamespace(_ensure_consumer=lambda: client))
    assert BatchConsumer.end(cast(Any, consumer), HERE) == end
