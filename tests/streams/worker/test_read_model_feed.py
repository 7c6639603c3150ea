"""What the feed of the read models does with records that none of them can take over, and without brokers."""

import asyncio
from typing import Any, cast

import pytest
from aiokafka import TopicPartition

from processors.common.errors import StateError, StuckTransactionError
from processors.events.record import Record
from streams.engine.topology import build_topology
from streams.settings.sections import Settings
from streams.worker.compute_thread import ComputeThread
from streams.worker.read_model_feed import ReadModelFeed


@pytest.mark.parametrize("value", [b"\xc1", b"\x93\x01"])
def test_a_record_that_no_read_model_can_take_over_is_named(value: bytes) -> None:
    feed = ReadModelFeed.__new__(ReadModelFeed)
    feed._topology = build_topology(Settings())
    record = Record("broadcast.items", 3, 17, 0, b"tent", value)
    with pytest.raises(
        StateError, match=r"broadcast\.items\[3\], offset 17, key b'tent': no read model can take it over"
    ):
        feed._apply([cast(Any, record)])


async def test_brokers_that_go_away_while_it_begins_are_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [StuckTransactionError("no answer"), {TopicPartition("t", 0): 3}]

    async def mark(*_: object) -> dict[TopicPartition, int]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return cast("dict[TopicPartition, int]", answer)

    monkeypatch.setattr(ReadModelFeed, "_mark", mark)
    monkeypatch.setattr("streams.worker.read_model_feed._AGAIN_S", 0.01)
    compute = ComputeThread()
    feed = ReadModelFeed(Settings(), build_topology(Settings()), compute)
    assert await feed._marked([TopicPartition("t", 0)]) == {TopicPartition("t", 0): 3}
    compute.close()


async def test_it_is_stuck_if_nothing_is_read_while_somebody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("streams.worker.read_model_feed.monotonic", lambda: now)
    compute = ComputeThread()
    feed = ReadModelFeed(Settings(), build_topology(Settings()), compute)
    now += 600
    assert feed.stuck_s == 0.0, "nobody waits yet"
    waiting = asyncio.create_task(feed.completed())
    await asyncio.sleep(0)
    now += 70
    assert feed.stuck_s == 70.0
    await feed._read(cast(Any, Fetching({TopicPartition("t", 0): [Record("t", 0, 0, 0, b"\x00marker", None)]})))
    assert feed.stuck_s == 0.0
    now += 30
    await feed._read(cast(Any, Fetching({})))
    assert feed.stuck_s == 30.0
    feed.complete.set()
    await waiting
    assert feed.stuck_s == 0.0
    compute.close()


class Fetching:
    """A consumer that has fetched something."""

    def __init__(self, fetched: dict[TopicPartition, list[Record]]) -> None:
        self._fetched = fetched

    async def getmany(self, **_: object) -> dict[TopicPartition, list[Record]]:
        return self._fetched
