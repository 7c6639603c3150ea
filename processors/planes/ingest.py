"""Ingest at the users plane: each record from the event topics is accepted, forwarded or refused.

Producers partition differently, so that a record may come to any partition: one whose user belongs to another
partition is forwarded there. A record that cannot be used is refused and becomes a dead letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from processors.ads.messages import refusal_of
from processors.ads.opportunity import decision_id_of
from processors.common.bounds import MAX_MS
from processors.common.hashing import partition_of
from processors.common.money import MoneySettings
from processors.common.topics import AD_DECISIONS_TOPIC, AUDIENCES_TOPIC, FORWARDED_TOPIC
from processors.events.ad_request import AdRequest, ids_of
from processors.events.audience_upload import AudienceUpload, read_upload
from processors.events.event import EVENT_TOPICS, Event
from processors.events.impression import Impression
from processors.events.json_object import Refused
from processors.events.reader import RecordReader
from processors.events.record import Origin, Refusal, SourceRecord
from processors.events.repair import IntakeSettings
from processors.events.slate_request import SlateRequest
from processors.planes.base import Output, Step
from processors.planes.dead_letters import dead_letter
from processors.planes.requested_slates import declined

_ORIGIN = "nearstream.origin"
_BAD_TIME = "bad_record_time"

Message = Event | Impression | AdRequest | SlateRequest
"""A clean message from any of the event topics."""


@dataclass
class Ingested:
    """The messages of a micro-batch that were accepted.

    Attributes
    ----------
    accepted
        Clean messages in order, each with the origin of its record.
    declined
        Number of ad requests that were refused, and answered with the refusal.
    uploads
        Clean uploads of audiences, in order.
    """

    accepted: list[tuple[Message, Origin]] = field(default_factory=list)
    declined: int = 0
    uploads: list[AudienceUpload] = field(default_factory=list)


class Ingest:
    """Accepts, forwards and refuses records.

    Parameters
    ----------
    settings
        Limits on the records that are accepted.
    partitions
        Partitions of every topic.
    max_message_bytes
        Largest record batch that the topics of forwarded records and dead letters accept.
    money
        The currency that prices and floors are turned into.
    """

    def __init__(
        self, settings: IntakeSettings, partitions: int, max_message_bytes: int, money: MoneySettings | None = None
    ) -> None:
        self._settings, self._partitions, self._max_bytes = settings, partitions, max_message_bytes
        self._reader = RecordReader(settings, money)
        self._json = msgspec.json.Encoder().encode
        self._pack = msgspec.msgpack.Encoder().encode
        self._unpack_origin = msgspec.msgpack.Decoder(Origin).decode

    def read(self, batch: Sequence[SourceRecord], partition: int, step: Step[Any]) -> Ingested:
        """Read the records of a micro-batch, and add outputs and counts for those not accepted to the step, in place.

        Parameters
        ----------
        batch
            Records in order, from the event topics, the topic of forwarded records and that of uploaded audiences.
        partition
            The partition that they came to.
        step
            The step to add forwarded records, dead letters, answers to refused ad requests and counts to.

        Returns
        -------
        Ingested
            The clean messages of the partition's own users, and the number of ad requests refused.
        """
        found = Ingested()
        for record in batch:
            origin = self._origin(record)
            message = self._upload(record, partition) if record.topic == AUDIENCES_TOPIC else self._read(record, origin)
            if isinstance(message, AudienceUpload):
                found.uploads.append(message)
            elif isinstance(message, Refusal):
                self._refuse(record, origin, message, partition, step)
                if message.reason != _BAD_TIME:
                    found.declined += self._decline(record, origin, message, step)
            elif partition_of(message.user_id, self._partitions) == partition:
                found.accepted.append((message, origin))
                if isinstance(message, Event):
                    found.accepted.extend((line, origin) for line in message.more)
            else:
                self._forward(record, origin, message.user_id, partition, step)
        return found

    def _origin(self, record: SourceRecord) -> Origin:
        """Return where an app appended the record; a forwarded record says so in its last header of that kind."""
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

    def _read(self, record: SourceRecord, origin: Origin) -> Message | Refusal:
        """Read a record into a clean message, or return why it is refused."""
        kind = EVENT_TOPICS.get(origin.topic)
        if kind is None:
            return Refusal("no_origin", f"headers: no {_ORIGIN} that names one of {', '.join(EVENT_TOPICS)}")
        if not 0 <= origin.time_ms <= MAX_MS:
            return Refusal(_BAD_TIME, f"timestamp: {origin.time_ms}, expected milliseconds up to {MAX_MS}")
        return self._reader.read(record.value, kind, origin.time_ms)

    def _upload(self, record: SourceRecord, partition: int) -> AudienceUpload | Refusal:
        """Read a record of the topic of uploaded audiences, or return why it is refused."""
        if not 0 <= record.timestamp <= MAX_MS:
            return Refusal(_BAD_TIME, f"timestamp: {record.timestamp}, expected milliseconds up to {MAX_MS}")
        try:
            return read_upload(record, (partition, self._partitions), self._settings)
        except Refused as refused:
            return Refusal(refused.reason, str(refused))

    def _forward(self, record: SourceRecord, origin: Origin, user_id: str, partition: int, step: Step[Any]) -> None:
        """Forward a record to its user's partition; refuse one that was forwarded before, or it might go in circles."""
        home = partition_of(user_id, self._partitions)
        if record.topic == FORWARDED_TOPIC:
            message = f"user_id: belongs to partition {home}, the record was forwarded to {partition}"
            self._refuse(record, origin, Refusal("wrong_partition", message), partition, step)
            return
        kept = [(name, value) for name, value in record.headers if name != _ORIGIN]
        headers = (*kept, (_ORIGIN, self._pack(origin)))
        forwarded = Output(FORWARDED_TOPIC, home, user_id.encode(), record.value, headers)
        size = forwarded.batch_bytes()
        if size > self._max_bytes:
            message = f"record: {size} bytes with its headers, expected at most {self._max_bytes} to be forwarded"
            self._refuse(record, origin, Refusal("too_large", message), partition, step)
            return
        step.outputs.append(forwarded)
        step.outcomes[origin.topic, "forwarded"] += 1

    def _refuse(self, record: SourceRecord, origin: Origin, refusal: Refusal, partition: int, step: Step[Any]) -> None:
        step.outputs.append(dead_letter(record, origin, refusal.reason, refusal.message, partition, self._max_bytes))
        step.outcomes[origin.topic, "refused"] += 1
        step.refusals[refusal.reason] += 1

    def _decline(self, record: SourceRecord, origin: Origin, refusal: Refusal, step: Step[Any]) -> bool:
        """Answer a refused request with the refusal; return whether it was one for an ad that says who asked."""
        kind = EVENT_TOPICS.get(origin.topic)
        ids = ids_of(record.value, self._settings) if kind in ("request", "slate") else None
        if ids is None:
            return False
        if kind == "slate":
            step.outputs.append(declined(*ids, origin, refusal.message, self._partitions))
            return False
        answer = refusal_of(decision_id_of(origin), *ids, origin.time_ms, refusal.message)
        home = partition_of(ids[1], self._partitions)
        step.outputs.append(Output(AD_DECISIONS_TOPIC, home, ids[1].encode(), self._json(answer)))
        return True
