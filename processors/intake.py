"""From bytes to a clean event, or to a refusal with a reason code.

Two readers share the work. The strict one decodes straight into the schema (a third of a microsecond) and accepts only
what needs no repair. Whatever it declines goes to the lenient one (:mod:`processors.lenient`), which knows every
repair and every reason to refuse. For a message that both accept they give the same event.
"""

from typing import Annotated, overload

import msgspec

from processors.ads.request import AdRequest, read_request
from processors.common.bounds import EpochMs, Id
from processors.events import DEFAULT_ACTIONS, Context, Event, EventKind, RecordKind
from processors.impressions import Impression, ImpressionReader
from processors.json_objects import Moment, Purposes, Refused
from processors.lenient import MAX_AGE, IntakeSettings, check_time, is_tidy, read_leniently

_Age = Annotated[int, msgspec.Meta(ge=0, le=MAX_AGE)]
_Amount = Annotated[float, msgspec.Meta(ge=0.0, le=1e9)]


class _StrictEvent(msgspec.Struct, forbid_unknown_fields=True):
    """The wire schema with nothing to repair; anything else fails to decode."""

    event_id: Id
    user_id: Id
    item_id: Id
    timestamp: EpochMs | Moment
    action: Id | None = None
    session_id: Id | None = None
    price: _Amount | None = None
    currency: Id | None = None
    quantity: _Amount | None = None
    category: Id | None = None
    brand: Id | None = None
    channel: Id | None = None
    context: Context | None = None
    age: _Age | None = None
    recommendation_id: Id | None = None
    decision_id: Id | None = None
    anonymous_id: Id | None = None
    purposes: Purposes | None = None


class Refusal(msgspec.Struct, frozen=True):
    """Why a record is refused. ``reason`` is one of :data:`processors.lenient.REASONS`, or of its topic's own."""

    reason: str
    message: str


class Intake:
    """Reads the records of the event topics.

    Parameters
    ----------
    settings
        Limits on size and time.

    Examples
    --------
    >>> intake = Intake()
    >>> event = intake.read(
    ...     b'{"event_id":"e1","user_id":"u1","item_id":"i1","timestamp":1700000000000,"price":-3}',
    ...     "click",
    ...     at_ms=1700000000500,
    ... )
    >>> event.price, event.repairs
    (0.0, ('price:clipped',))
    >>> intake.read(b'{"event_id":"e1"}', "click", at_ms=1700000000500)
    Refusal(reason='missing_field', message='user_id: missing, expected a non-empty text of at most 256 characters')
    """

    def __init__(self, settings: IntakeSettings | None = None) -> None:
        self.settings = settings or IntakeSettings()
        self._impressions = ImpressionReader(self.settings)
        self._strict = msgspec.json.Decoder(_StrictEvent)

    @overload
    def read(self, raw: bytes | None, kind: EventKind, at_ms: int) -> Event | Refusal: ...

    @overload
    def read(self, raw: bytes | None, kind: RecordKind, at_ms: int) -> Event | Impression | AdRequest | Refusal: ...

    def read(self, raw: bytes | None, kind: RecordKind, at_ms: int) -> Event | Impression | AdRequest | Refusal:
        """Clean event of a record's value, or why there is none. Never raises for any bytes.

        Parameters
        ----------
        raw
            The record's value as it came.
        kind
            What the topic says the event is.
        at_ms
            The record's append time, against which late and future timestamps are judged.
        """
        try:
            if kind == "impression":
                return self._impressions.read(raw, at_ms)
            if kind == "request":
                return read_request(raw, at_ms, self.settings)
            if raw is not None and len(raw) <= self.settings.max_event_bytes:
                try:
                    wire = self._strict.decode(raw)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                    pass
                else:
                    if wire.context is None or is_tidy(wire.context):
                        return self._accept(wire, kind, at_ms)
            return read_leniently(raw, kind, at_ms, self.settings)
        except Refused as refused:
            return Refusal(refused.reason, str(refused))

    def _accept(self, wire: _StrictEvent, kind: EventKind, at_ms: int) -> Event:
        stamp = wire.timestamp
        time_ms = stamp if isinstance(stamp, int) else round(stamp.timestamp() * 1000)
        time_ms, repairs = check_time(time_ms, at_ms, self.settings)
        return Event(
            event_id=wire.event_id,
            user_id=wire.user_id,
            item_id=wire.item_id,
            time_ms=time_ms,
            kind=kind,
            action=wire.action or DEFAULT_ACTIONS[kind],
            session_id=wire.session_id,
            price=wire.price,
            currency=wire.currency,
            quantity=wire.quantity,
            category=wire.category,
            brand=wire.brand,
            channel=wire.channel,
            context=wire.context,
            age=wire.age,
            recommendation_id=wire.recommendation_id,
            decision_id=wire.decision_id,
            anonymous_id=wire.anonymous_id,
            purposes=wire.purposes,
            repairs=repairs,
        )
