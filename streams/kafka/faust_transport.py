"""A Faust transport that delivers micro-batches: what one fetch brought for one partition arrives as one message.

Faust's own consumer delivers record by record, at about fifty microseconds each. This one leaves everything Faust does
(flow control, buffered partitions, generations, rebalancing) as it is and changes what is delivered: a
:class:`streams.engine.source_batch.SourceBatch` per partition and fetch, with the range of offsets that it covers.
Knowing the range makes gaps exact: an offset missing inside it is a transaction marker or an aborted or compacted
record, one missing between two ranges was not delivered.

It relies on private parts of aiokafka and Faust. What works around their defects is in :mod:`streams.kafka.upstream`;
``tests/streams/kafka/test_faust_transport.py`` notices if one of the other lines changes.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic
from typing import Any, cast

import faust
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import ConsumerStoppedError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from streams.engine.source_batch import SourceBatch
from streams.kafka.assignor import StickyPartitions
from streams.kafka.clients import client_arguments
from streams.kafka.event_loop import new_event_loop
from streams.kafka.upstream import header_names
from streams.kafka.upstream.fetched_ranges import CoveredFetches, RecordMap
from streams.kafka.upstream.unread_offsets import UnreadOffsets
from streams.settings.sections import Settings

header_names.install()


class BatchSchema(faust.Schema):  # type: ignore[type-arg]  # of any keys and values
    """Gives keys and values to the agent as they are: the planes decode them."""

    def loads_key(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:  # noqa: ARG002
        """Return the key of a message as it is."""
        return message.key

    def loads_value(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:  # noqa: ARG002
        """Return the value of a message as it is."""
        return message.value


_LEAST_REST_S, _MOST_REST_S, _REST_PER_RECORD_S = 0.02, 0.06, 0.0025
"""Seconds between two deliveries of what was fetched, the more the more was delivered at once.

A fetch asks for every partition of every topic and takes 3 ms of the interpreter whatever comes of it, and a busy
micro-batch gathers for longer anyway.
"""


_HEARTBEAT_MS = 500


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, fetching whole batches with the settings of Nearstream."""

    def __post_init__(self) -> None:
        """Set up the fetches in addition to what Faust sets up."""
        super().__post_init__()
        self.settings: Settings = cast(Any, self.app).nearstream_settings
        self.fetches = CoveredFetches(self.settings.worker.batch_max_records)
        self._rests_until = 0.0

    async def on_thread_stop(self) -> None:
        """Close the consumer; brokers that are gone do not keep the worker from stopping."""
        # aiokafka's fetcher raises the cancellation of its own retries, at which Faust would wait for ever.
        with suppress(asyncio.CancelledError):
            await super().on_thread_stop()

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:  # noqa: ARG002
        kafka, conf = self.settings.kafka, self.app.conf
        # Faust reads its assignor from this attribute, whatever the consumer was given.
        assignor = self._assignor = type("StickyPartitions", (StickyPartitions,), {})
        exactly_once = self.settings.worker.processing_guarantee == "exactly_once"
        return AIOKafkaConsumer(
            **client_arguments(kafka),
            client_id=conf.broker_client_id,
            group_id=conf.id,
            # A single one: aiokafka joins the group once for each, and every time all members join again.
            partition_assignment_strategy=[assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_interval_ms=int((conf.broker_max_poll_interval or 0) * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=kafka.fetch_max_wait_ms,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=kafka.session_timeout_s * 1000,
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            # A member hears at its next heartbeat that another one has come or gone.
            heartbeat_interval_ms=min(kafka.session_timeout_s * 1000 // 4, _HEARTBEAT_MS),
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
        rest = self._rests_until - monotonic()
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
                    self._rests_until = monotonic() + _rest_s(_records_in(drained))
                if drained or remaining <= 0.0:
                    return drained
                waiter = fetcher._create_fetch_waiter()
                done, _ = await asyncio.wait([waiter], timeout=remaining)
                if not done or fetcher._closed:
                    waiter.cancel()
                    return {}
                waiter.result()


def _records_in(delivered: RecordMap) -> int:
    return sum(len(batch.records) for batches in delivered.values() for batch in batches)


def _rest_s(records: int) -> float:
    """Return how many seconds to wait for the next delivery after one of some records.

    Examples
    --------
    >>> _rest_s(8), _rest_s(16), _rest_s(4000)
    (0.02, 0.04, 0.06)
    """
    return min(max(_LEAST_REST_S, _REST_PER_RECORD_S * records), _MOST_REST_S)


class BatchConsumer(driver.Consumer):
    """Faust's consumer, with batches as messages, and without opinions on offsets: the stores know the positions."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = UnreadOffsets()

    def _new_consumer_thread(self) -> BatchConsumerThread:
        thread = BatchConsumerThread(self, loop=self.loop, beacon=self.beacon, thread_loop=new_event_loop())
        thread._close_thread_loop_on_stop = True  # as if the thread had made the loop itself
        return thread

    @property
    def recordless(self) -> Mapping[TP, tuple[int, int]]:
        """Range of offsets behind what was delivered last that is known to hold no record, by partition."""
        return cast(BatchConsumerThread, self._thread).fetches.recordless

    def end(self, tp: TP) -> int | None:
        """Return the offset up to which records can be read now, as of the last fetch; :obj:`None` before the first.

        It does not reach into a transaction that is still open, unless the consumer reads uncommitted records too.
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
        """Return the offset to commit; :obj:`None` if nothing was acknowledged since the last one.

        Batches are acknowledged in the order of the log, so the highest offset stands for all before it.
        """
        acked = self._acked.get(tp)
        if not acked:
            return None
        highest = max(acked)
        acked.clear()
        self._acked_index[tp].clear()
        return highest + 1


class BatchTransport(driver.Transport):
    """Faust transport with a consumer that delivers batches."""

    Consumer = BatchConsumer
