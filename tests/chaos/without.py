"""Workers from which one safeguard is taken out: the verifier of a chaos run must notice what comes of it.

``python -m tests.chaos.without fence --settings FILE worker`` runs a worker as ``nearstream`` would, without the fence.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from processors.events.record import SourceRecord
from state.position import Position
from streams.cli import main
from streams.engine.partition import PartitionProcessor, Prepared
from streams.engine.source_batch import SourceBatch
from streams.kafka.publisher import Publisher
from streams.settings.sections import Settings
from streams.worker.record_buffer import Acknowledge, RecordBuffer
from streams.worker.runner import PartitionRunner
from streams.worker.takeover import HeldPartition


def fence() -> None:
    """Give every process transactional ids of its own, so that nobody fences a predecessor.

    Nobody aborts its transactions either: they end after five seconds.
    """
    begin = Publisher.__init__

    def unfenced(publisher: Publisher, settings: Settings, name: str) -> None:
        begin(publisher, settings, f"{name}-{os.getpid()}")
        if publisher.transactional:
            publisher._producer._txn_manager.transaction_timeout_ms = 5000

    Publisher.__init__ = unfenced  # type: ignore[assignment, method-assign]


def order() -> None:
    """Write to the store before the transaction, and take a while in between."""
    complete, commit = PartitionRunner._complete, PartitionProcessor.commit

    async def store_first(
        runner: PartitionRunner, held: HeldPartition, prepared: Prepared[Any], compute_s: float
    ) -> None:
        commit(held.processor, prepared, held.processor.store.changelog_offset())
        await asyncio.sleep(0.3)
        await complete(runner, held, prepared, compute_s)

    PartitionRunner._complete = store_first  # type: ignore[assignment, method-assign]


def gaps() -> None:
    """Go on behind records that were not delivered."""
    behind_fence = PartitionProcessor._behind_fence

    def careless(processor: PartitionProcessor[Any], batch: SourceBatch, position: Position) -> Sequence[SourceRecord]:
        expected = position.offsets.get(batch.topic, batch.start)
        position.offsets[batch.topic] = max(expected, batch.start)
        return behind_fence(processor, batch, position)

    PartitionProcessor._behind_fence = careless  # type: ignore[assignment, method-assign]
    nothing()


def nothing() -> None:
    """Keep all safeguards, and have one delivery in forty go missing: what the check for gaps is there for.

    Not for ever: the last of a quiet topic would be missed by the watchdog alone.
    """
    put, delivered = RecordBuffer.put, [0]

    def lossy(buffer: RecordBuffer, batch: SourceBatch, acknowledge: Acknowledge) -> None:
        delivered[0] += 1
        if delivered[0] % 40 or delivered[0] > 400:
            put(buffer, batch, acknowledge)

    RecordBuffer.put = lossy  # type: ignore[assignment, method-assign]


WITHOUT: dict[str, Callable[[], None]] = {what.__name__: what for what in (fence, order, gaps, nothing)}
"""Safeguards by name, and what takes each out."""

if __name__ == "__main__":
    WITHOUT[sys.argv.pop(1)]()
    main()
