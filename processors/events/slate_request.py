"""Requests for slates: what an app sends on ``recommendations.requests.v1`` when it is about to show a placement.

Slates are published after each event. An app that opens its home page for somebody who comes back, or that shows what
goes with an item or a basket, asks for one that is made at that moment. The answer is published on
``recommendations.v1`` and repeats the request's id.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from processors.common.bounds import EpochMs, Id, Positions
from processors.events.consent import take_purposes
from processors.events.event import Context
from processors.events.event_fields import as_id, optional_context, optional_text, required_id
from processors.events.event_fields import required_time as take_time
from processors.events.json_object import Moment, Purposes, Refused, as_number, decode_object, quoted
from processors.events.repair import Format, IntakeSettings, check_time

MAX_ITEMS = 100
"""Items that a request may name, and items that it may exclude."""

_Items = Annotated[tuple[Id, ...], msgspec.Meta(max_length=MAX_ITEMS)]


class SlateRequest(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A clean request for a slate: every field has its type and range.

    Parameters
    ----------
    request_id
        The app's id for the request; a repeated one is not answered again.
    user_id
        The user who will see the slate; one that nothing is known of gets the best that can be said of the moment.
    time_ms
        When the app asked, milliseconds since the epoch.
    placement
        Name of the placement to fill, as in the settings.
    items
        What the user is looking at or has in the basket: ``item_id`` and ``items`` of the message.
    size
        Positions of the slate; :obj:`None` leaves it to the settings.
    exclude
        Items that must not be in it.
    channel, context
        The user's circumstances, as in :class:`processors.events.event.Event`.
    purposes
        What the user agreed to; :obj:`None` if the request does not say.
    repairs
        ``field:what`` for each repair, such as ``user_id:number_to_text``.
    """

    request_id: str
    user_id: str
    time_ms: int
    placement: str
    items: tuple[str, ...] = ()
    size: int | None = None
    exclude: tuple[str, ...] = ()
    channel: str | None = None
    context: Context | None = None
    purposes: tuple[str, ...] | None = None
    repairs: tuple[str, ...] = ()

    @property
    def event_id(self) -> str:
        """The request's id, under the name by which all records are checked for duplicates."""
        return self.request_id


class _StrictRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Schema of a request that needs no repair; anything else fails to decode."""

    request_id: Id
    user_id: Id
    timestamp: EpochMs | Moment
    placement: Id
    item_id: Id | None = None
    items: _Items = ()
    size: Positions | None = None
    exclude: _Items = ()
    channel: Id | None = None
    context: Context | None = None
    purposes: Purposes | None = None


def repair_slate_request(raw: bytes | None, at_ms: int, settings: IntakeSettings) -> SlateRequest:
    """Read a request for a slate field by field, with repairs.

    Parameters
    ----------
    raw
        The record's value.
    at_ms
        The record's append time, milliseconds since the epoch.
    settings
        Limits on size and time.

    Raises
    ------
    Refused
        With a reason code and a message that names field, value and expectation.

    Examples
    --------
    >>> raw = b'{"request_id":"r","user_id":7,"timestamp":1700000000000,"placement":"home","size":200}'
    >>> found = repair_slate_request(raw, 1_700_000_000_500, IntakeSettings())
    >>> found.user_id, found.size, found.repairs
    ('7', 100, ('user_id:number_to_text', 'size:clipped'))
    """
    fields = decode_object(raw, settings.max_event_bytes)
    repairs: list[str] = []
    ids = {name: required_id(fields, name, repairs) for name in ("request_id", "user_id")}
    time_ms, notes = check_time(take_time(fields, repairs, settings.timezone), at_ms, settings)
    repairs.extend(notes)
    placement = as_id(fields.get("placement"), "placement", repairs)
    named = _ids(fields.get("items"), "items", repairs)
    if fields.get("item_id") is not None:
        named = (as_id(fields["item_id"], "item_id", repairs), *named)
    return SlateRequest(
        **ids,
        time_ms=time_ms,
        placement=placement,
        items=tuple(dict.fromkeys(named)),
        size=_size(fields.get("size"), repairs),
        exclude=_ids(fields.get("exclude"), "exclude", repairs),
        channel=optional_text(fields.get("channel"), "channel", repairs),
        context=optional_context(fields.get("context"), "context", repairs),
        purposes=take_purposes(fields, repairs),
        repairs=tuple(repairs),
    )


def _ids(value: Any, name: str, repairs: list[str]) -> tuple[str, ...]:
    """Read a list of item ids; one that is no list is refused: what it was to keep out would be shown."""
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        raise Refused("bad_items", f"{name}: {quoted(value)}, expected a list of up to {MAX_ITEMS} item ids")
    return tuple(dict.fromkeys(as_id(one, f"{name}[{at}]", repairs) for at, one in enumerate(value)))


def _size(value: Any, repairs: list[str]) -> int | None:
    """Read the size of a slate, held within 1 to 100."""
    if value is None:
        return None
    size = as_number(value)
    if size is None:
        repairs.append("size:dropped")
        return None
    if not 1 <= size <= MAX_ITEMS or size != int(size):
        repairs.append("size:clipped")
    return int(min(max(size, 1), MAX_ITEMS))


def _accept(wire: _StrictRequest, time_ms: int, repairs: tuple[str, ...]) -> SlateRequest:
    named = (*(() if wire.item_id is None else (wire.item_id,)), *wire.items)
    return SlateRequest(
        request_id=wire.request_id,
        user_id=wire.user_id,
        time_ms=time_ms,
        placement=wire.placement,
        items=tuple(dict.fromkeys(named)),
        size=wire.size,
        exclude=tuple(dict.fromkeys(wire.exclude)),
        channel=wire.channel,
        context=wire.context,
        purposes=wire.purposes,
        repairs=repairs,
    )


SLATE_REQUEST = Format(_StrictRequest, _accept, repair_slate_request)
"""How the records on ``recommendations.requests.v1`` are read.

Examples
--------
>>> raw = b'{"request_id":"r","user_id":"u","timestamp":1700000000000,"placement":"related","item_id":"tent"}'
>>> SLATE_REQUEST.read(raw, 1700000000500, IntakeSettings()).items
('tent',)
"""
