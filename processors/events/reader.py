"""Read the bytes of any record that apps send into a clean event, impression or ad request, or into a refusal."""

from typing import Annotated, Any, overload

import msgspec

from processors.common.bounds import EpochMs, Id
from processors.common.money import MoneySettings
from processors.events.ad_request import AD_REQUEST, AdRequest, with_floor_in
from processors.events.event import DEFAULT_ACTIONS, Context, Event, EventKind, RecordKind
from processors.events.event_fields import MAX_AGE, MAX_AMOUNT
from processors.events.impression import IMPRESSION, Impression
from processors.events.json_object import Moment, Purposes, Refused
from processors.events.record import Refusal
from processors.events.repair import Format, IntakeSettings, repair_event
from processors.events.slate_request import SLATE_REQUEST, SlateRequest

_Age = Annotated[int, msgspec.Meta(ge=0, le=MAX_AGE)]
_Amount = Annotated[float, msgspec.Meta(ge=0.0, le=MAX_AMOUNT)]


class _StrictEvent(msgspec.Struct, forbid_unknown_fields=True):
    """Schema of an event that needs no repair; anything else fails to decode."""

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
    rating: float | None = None
    recommendation_id: Id | None = None
    decision_id: Id | None = None
    anonymous_id: Id | None = None
    purposes: Purposes | None = None


class RecordReader:
    """Read the records of the event topics.

    Parameters
    ----------
    settings
        Limits on size and time.
    money
        The currency that prices and floors are turned into. A price whose rate is not known is dropped, and noted; a
        request with such a floor is refused.

    Examples
    --------
    >>> reader = RecordReader()
    >>> event = reader.read(
    ...     b'{"event_id":"e1","user_id":"u1","item_id":"i1","timestamp":1700000000000,"price":-3}',
    ...     "click",
    ...     at_ms=1700000000500,
    ... )
    >>> event.price, event.repairs
    (0.0, ('price:clipped',))
    >>> reader.read(b'{"event_id":"e1"}', "click", at_ms=1700000000500)
    Refusal(reason='missing_field', message='user_id: missing, expected a non-empty text of at most 256 characters')
    """

    def __init__(self, settings: IntakeSettings | None = None, money: MoneySettings | None = None) -> None:
        self.settings, self._money = settings or IntakeSettings(), money or MoneySettings()

    @overload
    def read(self, raw: bytes | None, kind: EventKind, at_ms: int) -> Event | Refusal: ...

    @overload
    def read(
        self, raw: bytes | None, kind: RecordKind, at_ms: int
    ) -> Event | Impression | AdRequest | SlateRequest | Refusal: ...

    def read(
        self, raw: bytes | None, kind: RecordKind, at_ms: int
    ) -> Event | Impression | AdRequest | SlateRequest | Refusal:
        """Read a record's value, or return why it is refused. Never raises, whatever the bytes.

        Parameters
        ----------
        raw
            The record's value as it came.
        kind
            Kind of the record, which its topic says.
        at_ms
            When the record was appended, milliseconds since the epoch; late and future timestamps are told by it.
        """
        try:
            found: Event | Impression | AdRequest | SlateRequest = _FORMATS[kind].read(raw, at_ms, self.settings)
            if isinstance(found, AdRequest):
                return with_floor_in(found, self._money)
        except Refused as refused:
            return Refusal(refused.reason, str(refused))
        if isinstance(found, Event):
            self.finish(found)
        return found

    def finish(self, event: Event) -> Event:
        """Say, in place, what the figures of an event mean: its price in the one currency, and how good its rating is.

        The further lines of an order likewise.
        """
        for line in (event, *event.more):
            if line.currency is not None and line.price is not None:
                notes = list(line.repairs)
                line.price = self._money.amount(line.price, line.currency, "price", notes)
                line.currency, line.repairs = self._money.currency, tuple(notes)
            if line.rating is not None:
                line.liking = self.settings.liking(line.rating)
        return event


def _format_of(kind: EventKind) -> Format[Event]:
    def accept(wire: _StrictEvent, time_ms: int, repairs: tuple[str, ...]) -> Event:
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
            rating=wire.rating,
            recommendation_id=wire.recommendation_id,
            decision_id=wire.decision_id,
            anonymous_id=wire.anonymous_id,
            purposes=wire.purposes,
            repairs=repairs,
        )

    def repair(raw: bytes | None, at_ms: int, settings: IntakeSettings) -> Event:
        return repair_event(raw, kind, at_ms, settings)

    return Format(_StrictEvent, accept, repair)


_FORMATS: dict[RecordKind, Format[Any]] = {
    **{kind: _format_of(kind) for kind in DEFAULT_ACTIONS},
    "impression": IMPRESSION,
    "request": AD_REQUEST,
    "slate": SLATE_REQUEST,
}
