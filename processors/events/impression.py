"""Impressions: what an app says its user has seen.

Slates are published with every event and most are never looked at, so only the app knows. An impression is no visit. It
counts how often items were shown without a reaction (:mod:`processors.users.unclicked_impressions`), and nothing else.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from processors.common.bounds import EpochMs, Id
from processors.events.event import Context
from processors.events.json_object import Moment, Refused, decode_object, shown
from processors.events.repair import OPTIONAL, Format, IntakeSettings, as_id, check_time, required_id, required_time

MAX_ITEMS = 100
"""Items of one impression."""

_EXPECTED = f"expected a list of 1 to {MAX_ITEMS} item ids"
_TEXTS = ("placement", "session_id", "recommendation_id", "decision_id", "anonymous_id")


class Impression(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A clean impression.

    Parameters
    ----------
    event_id, user_id
        As of :class:`processors.events.event.Event`.
    time_ms
        When it was seen, milliseconds since the epoch.
    items
        Ids of what was seen, each once, in the order of the message.
    placement, recommendation_id, decision_id, context
        Where it was seen, and the messages that it came from.
    repairs
        ``field:what`` for each repair.
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
    repairs: tuple[str, ...] = ()


class _StrictImpression(msgspec.Struct, forbid_unknown_fields=True):
    """The wire schema with nothing to repair; anything else fails to decode."""

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


def repair_impression(raw: bytes | None, at_ms: int, settings: IntakeSettings) -> Impression:
    """Read an impression that may need repairs. A bad optional field costs that field, never the impression.

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
    time_ms, notes = check_time(required_time(fields, repairs), at_ms, settings)
    repairs.extend(notes)
    texts = {name: OPTIONAL["session_id"](fields.get(name), name, repairs) for name in _TEXTS}
    context = OPTIONAL["context"](fields.get("context"), "context", repairs)
    return Impression(**ids, time_ms=time_ms, items=items, **texts, context=context, repairs=tuple(repairs))


def _items(fields: dict[str, Any], repairs: list[str]) -> tuple[str, ...]:
    listed = fields.get("items")
    if listed is None:
        if fields.get("item_id") is None:
            raise Refused("missing_field", f"items: missing, {_EXPECTED}, or one as item_id")
        return (required_id(fields, "item_id", repairs),)
    if not isinstance(listed, list):
        raise Refused("wrong_type", f"items: {shown(listed)}, {_EXPECTED}")
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
        repairs=repairs,
    )


def _names_items_once(wire: _StrictImpression) -> bool:
    return (wire.items is None) != (wire.item_id is None)


IMPRESSION = Format(_StrictImpression, _accept, repair_impression, _names_items_once)
"""How the records of the topic of impressions are read.

Examples
--------
>>> raw = b'{"event_id":"e","user_id":"u","timestamp":1700000000000,"items":["tent","lamp","tent"]}'
>>> IMPRESSION.read(raw, 1700000000500, IntakeSettings()).items
('tent', 'lamp')
"""
