"""Publish a micro-batch: everything it changes in one Kafka transaction, as whole batches per partition."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaError,
    KafkaTimeoutError,
    ProducerFenced,
)

from processors.common.errors import FencedError, StuckTransactionError
from processors.planes.base import Output
from streams.kafka.clients import REQUEST_MS, client_arguments, start_client
from streams.kafka.upstream import transaction_rest
from streams.kafka.upstream.stopping import stop_client
from streams.settings.sections import Settings

logger = logging.getLogger(__name__)

_BATCH_BYTES = 900_000
"""Below a broker's default limit for a batch, where no topic has a lower one; a larger record is sent alone."""

_STOP_S = 10.0

transaction_rest.install()

_FENCED = (ProducerFenced, InvalidProducerEpoch)


class Appended(NamedTuple):
    """Where outputs were appended to a log.

    Parameters
    ----------
    end
        Offset after the last of them.
    time_ms
        Append time, milliseconds since the epoch; :obj:`None` if the broker did not say.
    """

    end: int
    time_ms: int | None


class Publisher:
    """Publishes for one partition of one plane. A publisher that was stopped cannot be started again.

    Parameters
    ----------
    settings
        Brokers and guarantee.
    name
        Names plane and partition, such as ``users-3``. Under ``exactly_once`` it is part of the transactional id, so
        that starting a publisher fences every earlier one of the same name, wherever that runs.

    Attributes
    ----------
    transactional : bool
        Whether outputs are published in transactions.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self.name = name
        self.transactional = settings.worker.processing_guarantee == "exactly_once"
        identity: dict[str, Any] = {"enable_idempotence": False}
        if self.transactional:
            identity = {
                "transactional_id": f"{settings.kafka.group}-{name}",
                "transaction_timeout_ms": 60_000,
            }
        self._producer = AIOKafkaProducer(
            **client_arguments(settings.kafka),
            **identity,
            client_id=f"nearstream-{name}",
            acks="all",
            max_batch_size=min(_BATCH_BYTES, settings.topics.max_message_bytes),
            max_request_size=settings.topics.max_message_bytes + 65_536,
            retry_backoff_ms=20,
            request_timeout_ms=REQUEST_MS,
        )

    async def start(self) -> None:
        """Connect and, under ``exactly_once``, fence every earlier publisher of the name and abort its transaction.

        Waits for brokers that cannot be reached.
        """
        await start_client(self._producer)

    async def stop(self) -> None:
        """Disconnect, within 10 s. A transaction that is still open is aborted by the broker."""
        try:
            async with asyncio.timeout(_STOP_S):
                await stop_client(self._producer)
        except TimeoutError:
            # A client whose requests are stuck would wait for them for ever.
            logger.warning("%s: the producer did not stop in %.0f s; leaving it behind", self.name, _STOP_S)
            await self._producer.client.close()

    async def publish(self, outputs: Iterable[Output]) -> dict[tuple[str, int], Appended]:
        """Append outputs, all or none under ``exactly_once``, and wait until the brokers have acknowledged them.

        Without transactions, the outputs to the log of the last output are appended after all others have been
        acknowledged: let that be the changelog, whose records say that the rest was published.

        Parameters
        ----------
        outputs
            In the order in which each log is to get them.

        Returns
        -------
        dict
            Where the outputs to each topic and partition were appended.

        Raises
        ------
        FencedError
            If another publisher of this name has taken over; nothing was published.
        StuckTransactionError
            If the brokers were away for so long that the client gave up: whether something was published is not known.
        """
        per_log: dict[tuple[str, int], list[Output]] = {}
        log = None
        for output in outputs:
            log = output.topic, output.partition
            per_log.setdefault(log, []).append(output)
        try:
            if self.transactional:
                await self._producer.begin_transaction()
                appended = await self._send(per_log)
                await self._producer.commit_transaction()
                return appended
            last = {} if log is None else {log: per_log.pop(log)}
            return await self._send(per_log) | await self._send(last)
        except _FENCED as error:
            raise FencedError(f"{self.name}: another worker has taken over") from error
        except KafkaError as error:
            if isinstance(error, KafkaTimeoutError) or error.retriable:
                raise StuckTransactionError(f"{self.name}: the client gave up publishing: {error!r}") from error
            raise

    async def _send(self, per_log: dict[tuple[str, int], list[Output]]) -> dict[tuple[str, int], Appended]:
        ends = await asyncio.gather(*(self._send_log(*log, records) for log, records in per_log.items()))
        return dict(zip(per_log, ends, strict=True))

    async def _send_log(self, topic: str, partition: int, outputs: list[Output]) -> Appended:
        pending = []
        batch = self._producer.create_batch()
        for output in outputs:
            record = {
                "timestamp": None,
                "key": output.key,
                "value": output.value,
                "headers": list(output.headers),
            }
            if batch.append(**record) is None:
                pending.append((await self._producer.send_batch(batch, topic, partition=partition), batch))
                batch = self._producer.create_batch()
                batch.append(**record)
        pending.append((await self._producer.send_batch(batch, topic, partition=partition), batch))
        *_, last = [(await sent, batch.record_count()) for sent, batch in pending]
        metadata, count = last
        return Appended(metadata.offset + count, metadata.timestamp)
