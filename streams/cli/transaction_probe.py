"""Trying out whether the brokers' transactions do what a worker relies on, without leaving a record anywhere."""

from __future__ import annotations

from threading import Thread

from kafka import TopicPartition
from kafka.errors import InvalidProducerEpochError, KafkaError, ProducerFencedError
from kafka.structs import OffsetAndMetadata

from processors.common.errors import NearstreamError
from streams.cli.connections import producing
from streams.settings.sections import Settings

_TIMEOUT_S = 20.0


def fencing_problem(settings: Settings, topic: str) -> str | None:
    """Say why the brokers' transactions cannot be relied on; :obj:`None` if they can.

    A producer commits a consumer group's offset in a transaction, while a second one takes over its transactional id.
    The commit must fail: this is how a worker that lost a partition is kept from writing for it.

    Parameters
    ----------
    topic
        An existing topic; it is only named in the offset.
    """
    verdict: list[str | None] = []

    def probe() -> None:
        verdict.append(_probe(settings, topic))

    # Brokers without transactions may never answer, and kafka-python waits for them without end.
    thread = Thread(target=probe, daemon=True)
    thread.start()
    thread.join(_TIMEOUT_S)
    return verdict[0] if verdict else f"the brokers left a transaction without answer for {_TIMEOUT_S:.0f} s"


def _probe(settings: Settings, topic: str) -> str | None:
    name = f"{settings.kafka.group}-doctor"
    options = {"transactional_id": name, "transaction_timeout_ms": 10_000}
    try:
        with producing(settings, **options) as zombie, producing(settings, **options) as successor:
            zombie.init_transactions()
            zombie.begin_transaction()
            zombie.send_offsets_to_transaction({TopicPartition(topic, 0): OffsetAndMetadata(0, "", -1)}, name)
            successor.init_transactions()
            try:
                zombie.commit_transaction()
            except (ProducerFencedError, InvalidProducerEpochError):
                return None
    except (KafkaError, NearstreamError) as error:
        return str(error)
    return "a producer whose transactional id was taken over could still commit"
