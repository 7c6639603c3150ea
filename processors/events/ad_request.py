"""Requests for an ad: what an app asks on ``ads.requests.v1`` when a place for one is about to be shown.

The answer comes on ``ad-decisions.v1`` and repeats the request's id.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from processors.common.bounds import EpochMs, Id
from processors.events.event import Context
from processors.events.json_object import Moment, Purposes, Refused, as_number, decode_object, shown
from processors.events.repair import (
    MAX_AMOUNT,
    OPTIONAL,
    Format,
    IntakeSettings,
    as_id,
    check_time,
    required_id,
    required_time,
)

_FLOOR = f"expected a number from 0 to {MAX_AMOUNT:.0e}"


class AdRequest(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A clean request.

    Parameters
    ----------
    request_id
        The app's name for it; one that is repeated is not answered again.
    user_id
        Who is there.
    time_ms
        When, milliseconds since the epoch.
    placement
        Where on the page.
    bidfloor
        Least price of one showing, in the currency of the ads; :obj:`None` leaves it to the settings.
    channel, context
        Circumstances, as of an event.
    purposes
        What the user agreed to; :obj:`None` if the request does not say.
    repairs
        ``field:what`` for each repair.
    """

    request_id: str
    user_id: str
    time_ms: int
    placement: str
    bidfloor: float | None = None
    channel: str | None = None
    context: Context | None = None
    purposes: tuple[str, ...] | None = None
    repairs: tuple[str, ...] = ()

    @property
    def event_id(self) -> str:
        """The id that tells repetitions, as an event has one."""
        return self.request_id


class _StrictRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The wire schema with nothing to repair; anything else fails to decode."""

    request_id: Id
    user_id: Id
    timestamp: EpochMs | Moment
    placement: Id | None = None
    bidfloor: Annotated[float, msgspec.Meta(ge=0.0, le=MAX_AMOUNT)] | None = None
    channel: Id | None = None
    context: Context | None = None
    purposes: Purposes | None = None


def repair_request(raw: bytes | None, at_ms: int, settings: IntakeSettings) -> AdRequest:
    """Read a request that may need repairs.

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
    >>> raw = b'{"request_id":"r1","user_id":"u","timestamp":1700000000000,"placement":"top","purposes":["target"]}'
    >>> repair_request(raw, 1_700_000_000_500, IntakeSettings()).purposes
    ('target',)
    >>> repair_request(raw.replace(b"top", b""), 1_700_000_000_500, IntakeSettings())
    Traceback (most recent call last):
    ...
    processors.events.json_object.Refused: placement: '', expected a non-empty text of at most 256 characters
    """
    fields = decode_object(raw, settings.max_event_bytes)
    repairs: list[str] = []
    ids = {name: required_id(fields, name, repairs) for name in ("request_id", "user_id")}
    time_ms, notes = check_time(required_time(fields, repairs), at_ms, settings)
    repairs.extend(notes)
    context = OPTIONAL["context"](fields.get("context"), "context", repairs)
    placement = fields.get("placement")
    if placement is None and context is not None:
        placement = context.placement
    return AdRequest(
        **ids,
        time_ms=time_ms,
        placement=as_id(placement, "placement", repairs),
        bidfloor=_floor(fields.get("bidfloor")),
        channel=OPTIONAL["channel"](fields.get("channel"), "channel", repairs),
        context=context,
        purposes=OPTIONAL["purposes"](fields.get("purposes"), "purposes", repairs),
        repairs=tuple(repairs),
    )


def _floor(value: Any) -> float | None:
    """The floor: one that makes no sense refuses the request, or ads would be sold below it."""
    if value is None:
        return None
    floor = as_number(value) if not isinstance(value, str) else None
    if floor is None or not 0.0 <= floor <= MAX_AMOUNT:
        raise Refused("bad_floor", f"bidfloor: {shown(value)}, {_FLOOR}")
    return float(floor)


def ids_of(raw: bytes | None, settings: IntakeSettings) -> tuple[str, str] | None:
    """Request id and user id of a request that was refused, if it has both: who asked gets to know.

    Examples
    --------
    >>> ids_of(b'{"request_id":"r1","user_id":"u"}', IntakeSettings())
    ('r1', 'u')
    """
    try:
        fields = decode_object(raw, settings.max_event_bytes)
        return required_id(fields, "request_id", []), required_id(fields, "user_id", [])
    except Refused:
        return None


def _accept(wire: _StrictRequest, time_ms: int, repairs: tuple[str, ...]) -> AdRequest:
    return AdRequest(
        request_id=wire.request_id,
        user_id=wire.user_id,
        time_ms=time_ms,
        placement=_placement_of(wire) or "",
        bidfloor=wire.bidfloor,
        channel=wire.channel,
        context=wire.context,
        purposes=wire.purposes,
        repairs=repairs,
    )


def _placement_of(wire: _StrictRequest) -> str | None:
    return wire.placement or (wire.context.placement if wire.context is not None else None)


AD_REQUEST = Format(_StrictRequest, _accept, repair_request, lambda wire: _placement_of(wire) is not None)
"""How the records of the topic of requests are read."""
