"""``nearstream send audiences``: upload who is on which of the shop's lists."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import msgspec
from kafka import KafkaProducer

from processors.common.hashing import partition_of
from processors.common.topics import AUDIENCES_TOPIC
from processors.events.audience_upload import read_upload
from processors.events.json_object import Refused
from processors.events.record import Record
from streams.datasets.audience_files import Row
from streams.settings.sections import Settings

_WAITING = 1000
"""Records that may wait for the brokers' answer."""


class Sent(msgspec.Struct):
    """What came of a file: records sent, and what is wrong with the lines that were not."""

    sent: int = 0
    refused: list[str] = msgspec.field(default_factory=list)


def publish(producer: KafkaProducer, settings: Settings, rows: Iterable[Row | str], partitions: int) -> Sent:
    """Publish a record per user of a file, each checked as a worker would; what it would refuse is not sent.

    Parameters
    ----------
    rows
        Users of a file, and what is wrong with lines that are none (:func:`streams.datasets.audience_files.rows_of`).
    partitions
        Partitions of the topic.
    """
    told, waiting, now = Sent(), list[Any](), time.time_ns() // 1_000_000
    for row in rows:
        if isinstance(row, str):
            told.refused.append(row)
            continue
        home, key = partition_of(row.user_id, partitions), row.user_id.encode()
        try:
            read_upload(
                Record(AUDIENCES_TOPIC, home, 0, now, key, row.value), (home, partitions), settings.users.intake
            )
        except Refused as refused:
            told.refused.append(f"{row.where}: {refused.reason}: {refused}")
            continue
        waiting.append(producer.send(AUDIENCES_TOPIC, key=key, value=row.value, partition=home))
        told.sent += 1
        if len(waiting) == _WAITING:
            _wait_for(waiting)
    _wait_for(waiting)
    return told


def _wait_for(waiting: list[Any]) -> None:
    """Wait until the brokers have taken everything, and forget it."""
    for sent in waiting:
        sent.get()
    waiting.clear()
