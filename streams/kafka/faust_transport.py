"""The micro-batching Faust transport: what one fetch brought for one partition arrives as one message.

Faust's own consumer hands over record by record, at about fifty microseconds each. This one leaves everything Faust
does (flow control, buffered partitions, generations, rebalancing) as it is and changes what is handed over: a
:class:`streams.engine.source_batch.SourceBatch` per partition and fetch, with the stretch of the log that it covers.
Knowing the stretch makes gaps exact: an offset missing inside it is a transaction marker or an aborted or compacted
record, one missing between two stretches was not delivered.

The lines of aiokafka and Faust this relies on are held in place by ``tests/streams/kafka/test_faust_transport.py``.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic
from typing import Any, cast

import faust
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher as aiokafka_fetcher
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import ConsumerStoppedError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from streams.engine.source_batch import SourceBatch
from streams.kafka.clients import client_arguments
from streams.kafka.record_batches import LenientMemoryRecords
from streams.settings.sections import Settings

RecordMap = Mapping[TP, list[SourceBatch]]

# A header name that is not UTF-8 must not stop a partition.
aiokafka_fetcher.MemoryRecords = LenientMemoryRecords


class BatchSchema(faust.Schema):  # type: ignore[type-arg]  # of any keys and values
    """Hands keys and values to the agent as they are: there is nothing to decode before the intake."""

    def loads_key(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:  # noqa: ARG002
        """Key of a message, untouched."""
        return message.key

    def loads_value(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:  # noqa: ARG002
        """Value of a message, untouched."""
        return message.value


_REST_S = 0.02
"""Least time between two hand-overs of what was fetched. Each costs threads and brokers alike, and a micro-batch
gathers for longer anyway."""


class CoveredFetches:
    """Takes fetched records out of an aiokafka fetcher, together with the stretch of the log they cover.

    Stretches that hold no record (a transaction's marker at the end of the log) are kept back and joined to the next
    one, so that nobody is woken for them.

    Parameters
    ----------
    max_records
        Records per partition and fetch, at most.
    """

    def __init__(self, max_records: int) -> None:
        self.max_records = max_records
        self.covered: dict[TP, int] = {}
        self._held: dict[TP, tuple[int, int]] = {}

    @property
    def recordless(self) -> Mapping[TP, tuple[int, int]]:
        """Per partition, the stretch that is kept back: start and end."""
        return self._held

    def drain(self, fetcher: Any, partitions: set[TP] | None) -> dict[TP, list[SourceBatch]]:
        """Everything that has been fetched for the partitions. Never waits, so no seek can come between."""
        drained: dict[TP, list[SourceBatch]] = {}
        for key in list(fetcher._records):
            tp = TP(key.topic, key.partition)
            if partitions is not None and tp not in partitions:
                if not fetcher._subscriptions.is_assigned(key):
                    del fetcher._records[key]
                continue
            result = fetcher._records[key]
            if not isinstance(result, FetchResult):
                if drained:
                    break  # hand over what there is; the error is raised at the next call
                del fetcher._records[key]
                fetcher._notify(fetcher._wait_consume_future)
                result.check_raise()
                continue
            batch = self._take(tp, key, result)
            if not result.has_more():
                del fetcher._records[key]
                fetcher._notify(fetcher._wait_consume_future)
            if batch is not None:
                drained[tp] = [batch]
        return drained

    def _take(self, tp: TP, key: Any, result: Any) -> SourceBatch | None:
        if not result.check_assignment(key):
            return None
        state = result._assignment.state_value(key)
        start = state.position
        records = result.getall(self.max_records)
        end = state.position
        held_start, held_end = self._held.pop(tp, (start, start))
        if held_end == start:
            start = held_start
        self.covered[tp] = end
        if not records:
            if end > start:
                self._held[tp] = start, end
            return None
        return SourceBatch(tp.topic, start, end, records)


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, fetching whole batches with the settings of Nearstream."""

    def __post_init__(self) -> None:
        """Set up the fetches beside what Faust sets up."""
        super().__post_init__()
        self.settings: Settings = cast(Any, self.app).nearstream_settings
        self.fetches = CoveredFetches(self.settings.worker.batch_max_records)
        self._drained_at = 0.0

    async def on_thread_stop(self) -> None:
        """Close the consumer; brokers that are gone don't keep the worker from stopping."""
        # aiokafka's fetcher lets the cancellation of its own retries through, and Faust waits for ever then.
        with suppress(asyncio.CancelledError):
            await super().on_thread_stop()

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:  # noqa: ARG002
        kafka, conf = self.settings.kafka, self.app.conf
        # Faust takes this one from here, whatever it consumes with.
        self._assignor = RangePartitionAssignor
        exactly_once = self.settings.worker.processing_guarantee == "exactly_once"
        return AIOKafkaConsumer(
            **client_arguments(kafka),
            client_id=conf.broker_client_id,
            group_id=conf.id,
            # Range gives partition p of every topic to the same member, which is what co-partitioning needs.
            partition_assignment_strategy=[RangePartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_interval_ms=int((conf.broker_max_poll_interval or 0) * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=kafka.fetch_max_wait_ms,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=kafka.session_timeout_s * 1000,
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=kafka.session_timeout_s * 1000 // 4,
            isolation_level="read_committed" if exactly_once else "read_uncommitted",
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
        )

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109  # Faust's signature
        max_records: int | None = None,  # noqa: ARG002  # bounded per partition instead
    ) -> RecordMap:
        if not self.consumer.flow_active:
            return {}
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError
        rest = self._drained_at + _REST_S - monotonic()
        if rest > 0.0:
            await asyncio.sleep(rest)
        deadline = monotonic() + (timeout or 0.0)
        with fetcher._subscriptions.fetch_context():
            while True:
                if fetcher._subscriptions.reassignment_in_progress:
                    await fetcher._subscriptions.wait_for_assignment()
                drained = self.fetches.drain(fetcher, active_partitions)
                remaining = deadline - monotonic()
                if drained:
                    self._drained_at = monotonic()
                if drained or remaining <= 0.0:
                    return drained
                waiter = fetcher._create_fetch_waiter()
                done, _ = await asyncio.wait([waiter], timeout=remaining)
                if not done or fetcher._closed:
                    waiter.cancel()
                    return {}
                waiter.result()


class UnreadOffsets(dict[TP, int | None]):
    """Stands for Faust's notes of what it has handed over, and says that it was nothing.

    Faust drops what ends before the last offset it noted. A batch that was on its way when a partition was sought back
    is noted after the seek, so that Faust would drop what was sought; what comes twice the stores know themselves.
    """

    def __getitem__(self, tp: TP) -> None:
        """Offset of the last message; there never was one."""
        return


class BatchConsumer(driver.Consumer):
    """Faust's consumer, with batches for messages and the partition stores for the truth about offsets."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = UnreadOffsets()

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def recordless(self) -> Mapping[TP, tuple[int, int]]:
        """Per partition, the stretch behind what was handed over last that is known to hold no record."""
        return cast(BatchConsumerThread, self._thread).fetches.recordless

    def end(self, tp: TP) -> int | None:
        """Offset up to which records can be read now, as of the last fetch.

        Not those of a transaction that is still open, unless the consumer reads uncommitted ones too.
        """
        consumer = cast(BatchConsumerThread, self._thread)._ensure_consumer()
        stable = cast("int | None", consumer.last_stable_offset(tp))
        return cast("int | None", consumer.highwater(tp)) if stable is None or stable < 0 else stable

    def _to_message(self, tp: TP, batch: SourceBatch) -> ConsumerMessage:
        last = batch.records[-1]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            batch.end - 1,
            last.timestamp / 1000.0,
            0,
            None,
            None,
            cast(Any, batch),
            None,
            -1,
            -1,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: a batch says itself which offsets it covers."""

    def _new_offset(self, tp: TP) -> int | None:
        """Offset to commit: what is acknowledged was applied in order, so the highest one speaks for all before."""
        acked = self._acked.get(tp)
        if not acked:
            return None
        highest = max(acked)
        acked.clear()
        self._acked_index[tp].clear()
        return highest + 1


class BatchTransport(driver.Transport):
    """Faust transport with the batching consumer."""

    Consumer = BatchConsumer
