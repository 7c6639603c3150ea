"""The door of the users plane: records of all event topics in, clean events of users who live here out.

What cannot be read goes to the dead letters, what belongs to another partition is forwarded there. Producers partition
differently, so a record may come to any partition.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from processors.ads.ad_server import decision_id_of
from processors.ads.messages import refusal_of
from processors.ads.no_bid import NoBid
from processors.common.bounds import MAX_MS
from processors.common.hashing import partition_of
from processors.common.topics import AD_DECISIONS_TOPIC, FORWARDED_TOPIC
from processors.events.ad_request import AdRequest, ids_of
from processors.events.event import EVENT_TOPICS, Event
from processors.events.impression import Impression
from processors.events.reader import RecordReader
from processors.events.record import Origin, Refusal, SourceRecord
from processors.events.repair import IntakeSettings
from processors.planes.base import Output, Step
from processors.planes.dead_letters import dead_letter

_ORIGIN = "nearstream.origin"

Seen = Event | Impression | AdRequest
"""What a record of an event topic may hold."""


class Reception:
    """Reads, refuses and forwards.

    Parameters
    ----------
    settings
        Limits on what is accepted.
    partitions
        Of every topic.
    max_message_bytes
        What the topics of forwarded events and dead letters take in one message.
    """

    def __init__(self, settings: IntakeSettings, partitions: int, max_message_bytes: int) -> None:
        self._settings, self._partitions, self._max_bytes = settings, partitions, max_message_bytes
        self._intake = RecordReader(settings)
        self._json = msgspec.json.Encoder().encode
        self._pack = msgspec.msgpack.Encoder().encode
        self._unpack_origin = msgspec.msgpack.Decoder(Origin).decode

    def read(self, batch: Sequence[SourceRecord], partition: int, step: Step[Any]) -> list[tuple[Seen, Origin]]:
        """What was accepted, in order, each with where it was first appended; the rest is noted in the step."""
        accepted = []
        for record in batch:
            origin = self._origin(record)
            seen = self._read(record, origin, partition, step)
            if seen is not None:
                accepted.append((seen, origin))
        return accepted

    def _origin(self, record: SourceRecord) -> Origin:
        """Where an app appended the record: for a forwarded one, what the last header of that kind says."""
        if record.topic == FORWARDED_TOPIC:
            for name, value in reversed(record.headers):
                if name == _ORIGIN:
                    try:
                        origin = self._unpack_origin(value)
                    except (TypeError, msgspec.MsgspecError):  # a header may have no value
                        break
                    if origin.topic in EVENT_TOPICS:
                        return origin
                    break
        return Origin.of(record)

    def _read(self, record: SourceRecord, origin: Origin, partition: int, step: Step[Any]) -> Seen | None:
        """The record's event, or none if it was refused or belongs to another partition."""
        kind = EVENT_TOPICS.get(origin.topic)
        if kind is None:
            refusal = Refusal("no_origin", f"headers: no {_ORIGIN} that names one of {', '.join(EVENT_TOPICS)}")
            self._refuse(record, origin, refusal, partition, step)
            return None
        if not 0 <= origin.time_ms <= MAX_MS:
            refusal = Refusal("bad_record_time", f"timestamp: {origin.time_ms}, expected milliseconds up to {MAX_MS}")
            self._refuse(record, origin, refusal, partition, step)
            return None
        event = self._intake.read(record.value, kind, origin.time_ms)
        if isinstance(event, Refusal):
            self._refuse(record, origin, event, partition, step)
            if kind == "request":
                self._decline(record, origin, event, step)
            return None
        home = partition_of(event.user_id, self._partitions)
        if home == partition:
            return event
        if record.topic == FORWARDED_TOPIC:
            message = f"user_id: belongs to partition {home}, the record was forwarded to {partition}"
            self._refuse(record, origin, Refusal("wrong_partition", message), partition, step)
            return None
        kept = [(name, value) for name, value in record.headers if name != _ORIGIN]
        headers = (*kept, (_ORIGIN, self._pack(origin)))
        forwarded = Output(FORWARDED_TOPIC, home, event.user_id.encode(), record.value, headers)
        size = forwarded.batch_bytes()
        if size > self._max_bytes:
            message = f"record: {size} bytes with its headers, expected at most {self._max_bytes} to be forwarded"
            self._refuse(record, origin, Refusal("too_large", message), partition, step)
            return None
        step.outputs.append(forwarded)
        step.outcomes[origin.topic, "forwarded"] += 1
        return None

    def _refuse(self, record: SourceRecord, origin: Origin, refusal: Refusal, partition: int, step: Step[Any]) -> None:
        step.outputs.append(dead_letter(record, origin, refusal.reason, refusal.message, partition, self._max_bytes))
        step.outcomes[origin.topic, "refused"] += 1
        step.refusals[refusal.reason] += 1

    def _decline(self, record: SourceRecord, origin: Origin, refusal: Refusal, step: Step[Any]) -> None:
        """Tell who asked for an ad that the request makes no sense, if it says who asked."""
        ids = ids_of(record.value, self._settings)
        if ids is not None:
            decision_id = decision_id_of(origin)
            told = refusal_of(decision_id, *ids, origin.time_ms, refusal.message)
            home = partition_of(ids[1], self._partitions)
            step.outputs.append(Output(AD_DECISIONS_TOPIC, home, ids[1].encode(), self._json(told)))
            step.decisions[NoBid.INVALID_REQUEST.name.lower()] += 1
