"""What was sought is delivered, though Faust has delivered something later."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport import consumer as faust_consumer
from faust.types import TP

from streams.settings.sections import Settings
from streams.worker.faust_app import FaustApp

HERE = TP("t", 0)


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
        (faust_consumer.Consumer._drain_messages, "get_read_offset = self._read_offset.__getitem__"),
        (faust_consumer.Consumer._drain_messages, "if r_offset is None or offset >= r_offset:"),
        (faust_consumer.Consumer._drain_messages, "await self._add_gap(tp, r_offset + 1, offset)"),
    ],
)
def test_upstream_still_has_the_line(function: Any, line: str) -> None:
    assert line in inspect.getsource(function)
