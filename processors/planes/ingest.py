"""What comes in at the users plane: records of all event topics in, clean messages of users who live here out.

What cannot be read goes to the dead letters, what belongs to another partition is forwarded there. Producers partition
differently, so a record may come to any partition.
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
_BAD_TIME = "bad_record_time"

Seen = Event | Impression | AdRequest
"""What a record of an event topic may hold."""


@dataclass
class Ingested:
    """What came of the records of a micro-batch.

    Attributes
    ----------
    accepted
        Clean messages in order, each with where it was first appended.
    declined
        Requests for ads that made no sense and were answered so.
    """

    accepted: list[tuple[Seen, Origin]] = field(default_factory=list)
    declined: int = 0


class Ingest:
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
        self._reader = RecordReader(settings)
        self._json = msgspec.json.Encoder().encode
        self._pack = msgspec.msgpack.Encoder().encode
        self._unpack_origin = msgspec.msgpack.Decoder(Origin).decode

    def read(self, batch: Sequence[SourceRecord], partition: int, step: Step[Any]) -> Ingested:
        """Read the records of a micro-batch; what was not accepted is noted in the step, in place.

        Returns
        -------
        Ingested
            The clean messages of users who live on the partition, and how many requests for ads made no sense.
        """
        found = Ingested()
        for record in batch:
            origin = self._origin(record)
            seen = self._understand(record, origin)
            if isinstance(seen, Refusal):
                self._refuse(record, origin, seen, partition, step)
                if EVENT_TOPICS.get(origin.topic) == "request" and seen.reason != _BAD_TIME:
                    found.declined += self._decline(record, origin, seen, step)
            elif partition_of(seen.user_id, self._partitions) == partition:
                found.accepted.append((seen, origin))
            else:
                self._forward(record, origin, seen.user_id, partition, step)
        return found

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

    def _understand(self, record: SourceRecord, origin: Origin) -> Seen | Refusal:
        """Read what the record says, or why it says nothing."""
        kind = EVENT_TOPICS.get(origin.topic)
        if kind is None:
            return Refusal("no_origin", f"headers: no {_ORIGIN} that names one of {', '.join(EVENT_TOPICS)}")
        if not 0 <= origin.time_ms <= MAX_MS:
            return Refusal(_BAD_TIME, f"timestamp: {origin.time_ms}, expected milliseconds up to {MAX_MS}")
        return self._reader.read(record.value, kind, origin.time_ms)

    def _forward(self, record: SourceRecord, origin: Origin, user_id: str, partition: int, step: Step[Any]) -> None:
        """Hand a record over to the partition that its user lives on; refuse one that was handed over before."""
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
        """Tell who asked for an ad that the request makes no sense; whether it says who asked."""
        ids = ids_of(record.value, self._settings)
        if ids is None:
            return False
        told = refusal_of(decision_id_of(origin), *ids, origin.time_ms, refusal.message)
        home = partition_of(ids[1], self._partitions)
        step.outputs.append(Output(AD_DECISIONS_TOPIC, home, ids[1].encode(), self._json(told)))
        return True
