"""What a partition runner asks of the consumer, answered by Faust's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiokafka.errors import IllegalStateError
from faust.types import TP

from streams.worker.consumer_control import ConsumerControl
from streams.worker.faust_app import FaustApp


def control_of(app: FaustApp) -> ConsumerControl:
    """Return the calls to the consumer of an app, which need not have been started yet."""

    async def seek(offsets: Mapping[str, int], partition: int) -> None:
        to = {TP(topic, partition): offset for topic, offset in offsets.items()}
        try:
            await app.consumer.seek_wait(to)
        except IllegalStateError:
            # It went to another worker just now: the runner is about to be told.
            if to.keys() <= app.consumer.assignment():
                raise

    async def beginnings(topics: Sequence[str], partition: int) -> dict[str, int]:
        offsets = await app.consumer.earliest_offsets(*(TP(topic, partition) for topic in topics))
        return {tp.topic: int(offset) for tp, offset in offsets.items()}

    async def ends(topics: Sequence[str], partition: int) -> dict[str, int]:
        offsets = await app.consumer.highwaters(*(TP(topic, partition) for topic in topics))
        return {tp.topic: int(offset) for tp, offset in offsets.items()}

    def pause(topic: str, partition: int) -> None:
        app.consumer.pause_partitions({TP(topic, partition)})

    def resume(topic: str, partition: int) -> None:
        tp = TP(topic, partition)
        if tp in app.consumer.assignment():
            app.consumer.resume_partitions({tp})

    return ConsumerControl(seek, beginnings, ends, pause, resume)
