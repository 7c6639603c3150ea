"""Impressions: records in which an app says which items its user has seen.

Slates are published with every event and most are never looked at, so only the app knows. An impression is no visit to
an item: it counts towards how often the item was shown without a click
(:mod:`processors.users.unclicked_impressions`), and it is what an ad is charged by.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from processors.common.bounds import EpochMs, Id
from processors.events.consent import take_purposes
from processors.events.event import Context
from processors.events.event_fields import as_id, optional_context, optional_text, required_id, required_time
from processors.events.json_object import Moment, Purposes, Refused, decode_object, quoted
from processors.events.repair import Format, IntakeSettings, check_time

MAX_ITEMS = 100
"""Items that one impression may list."""

_EXPECTED = f"expected a list of 1 to {MAX_ITEMS} item ids"
_TEXTS = ("placement", "session_id", "recommendation_id", "decision_id", "anonymous_id")


class Impression(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A clean impression: every field has its type and range.

    Parameters
    ----------
    event_id, user_id
        As in :class:`processors.events.event.Event`.
    time_ms
        When it was seen, milliseconds since the epoch.
    items
        Ids of what was seen, each once, in the order of the message.
    placement, context
        Where it was seen.
    recommendation_id, decision_id
        Ids of the recommendation and of the ad decision that the app showed.
    purposes
        What the user agreed to; :obj:`None` if the impression does not say.
    repairs
        ``field:what`` for each repair, such as ``items:number_to_text``.
    """

    event_id: str
    user_id: str
    time_ms: int
    items: tuple[str, ...]
    placement: str | None = None
    session_id: str | None = None
    recommendation_id: str | None = None
    decision_id: str | None = None
    anonymous_id: str | None = None
    context: Context | None = None
    purposes: tuple[str, ...] | None = None
    repairs: tuple[str, ...] = ()


class _StrictImpression(msgspec.Struct, forbid_unknown_fields=True):
    """Schema of an impression that needs no repair; anything else fails to decode."""

    event_id: Id
    user_id: Id
    timestamp: EpochMs | Moment
    items: Annotated[tuple[Id, ...], msgspec.Meta(min_length=1, max_length=MAX_ITEMS)] | None = None
    item_id: Id | None = None
    placement: Id | None = None
    session_id: Id | None = None
    recommendation_id: Id | None = None
    decision_id: Id | None = None
    anonymous_id: Id | None = None
    context: Context | None = None
    purposes: Purposes | None = None


def repair_impression(raw: bytes | None, at_ms: int, settings: IntakeSettings) -> Impression:
    """Read an impression field by field, with repairs. A bad optional field is dropped, the impression is kept.

    Parameters
    ----------
    raw
        The record's value.
    at_ms
        When the record was appended, milliseconds since the epoch.
    settings
        Limits on size and time.

    Raises
    ------
    Refused
        With a reason code and a message that names field, value and expectation.

    Examples
    --------
    >>> raw = b'{"event_id":"e","user_id":7,"timestamp":1700000000000,"items":[1,"b"]}'
    >>> impression = repair_impression(raw, 1700000000000, IntakeSettings())
    >>> impression.items, impression.repairs
    (('1', 'b'), ('user_id:number_to_text', 'items:number_to_text'))
    """
    fields = decode_object(raw, settings.max_event_bytes)
    repairs: list[str] = []
    ids = {name: required_id(fields, name, repairs) for name in ("event_id", "user_id")}
    items = _items(fields, repairs)
    time_ms, notes = check_time(required_time(fields, repairs, settings.timezone), at_ms, settings)
    repairs.extend(notes)
    texts: dict[str, Any] = {name: optional_text(fields.get(name), name, repairs) for name in _TEXTS}
    context = optional_context(fields.get("context"), "context", repairs)
    purposes = take_purposes(fields, repairs)
    return Impression(
        **ids, time_ms=time_ms, items=items, **texts, context=context, purposes=purposes, repairs=tuple(repairs)
    )


def _items(fields: dict[str, Any], repairs: list[str]) -> tuple[str, ...]:
    listed = fields.get("items")
    if listed is None:
        if fields.get("item_id") is None:
            raise Refused("missing_field", f"items: missing, {_EXPECTED}, or one as item_id")
        return (required_id(fields, "item_id", repairs),)
    if not isinstance(listed, list):
        raise Refused("wrong_type", f"items: {quoted(listed)}, {_EXPECTED}")
    if not 1 <= len(listed) <= MAX_ITEMS:
        raise Refused("bad_items", f"items: {len(listed)} ids, {_EXPECTED}")
    made: list[str] = []
    found = [as_id(value, f"items[{at}]", made) for at, value in enumerate(listed)]
    if made:
        repairs.append("items:number_to_text")
    if fields.get("item_id") is not None:
        repairs.append("item_id:dropped")
    return tuple(dict.fromkeys(found))


def _accept(wire: _StrictImpression, time_ms: int, repairs: tuple[str, ...]) -> Impression:
    return Impression(
        event_id=wire.event_id,
        user_id=wire.user_id,
        time_ms=time_ms,
        items=tuple(dict.fromkeys(wire.items or (wire.item_id or "",))),
        placement=wire.placement,
        session_id=wire.session_id,
        recommendation_id=wire.recommendation_id,
        decision_id=wire.decision_id,
        anonymous_id=wire.anonymous_id,
        context=wire.context,
        purposes=wire.purposes,
        repairs=repairs,
    )


def _names_items_once(wire: _StrictImpression) -> bool:
    return (wire.items is None) != (wire.item_id is None)


IMPRESSION = Format(_StrictImpression, _accept, repair_impression, _names_items_once)
"""How the records on ``events.impression.v1`` are read.

Examples
--------
>>> raw = b'{"event_id":"e","user_id":"u","timestamp":1700000000000,"items":["tent","lamp","tent"]}'
>>> IMPRESSION.read(raw, 1700000000500, IntakeSettings()).items
('tent', 'lamp')
"""
