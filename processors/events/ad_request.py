"""Ad requests: what an app sends on ``ads.requests.v1`` when a user is about to see a placement for an ad.

The answer, a decision or the reason for none, is published on ``ad-decisions.v1`` and repeats the request's id.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from processors.common.bounds import MAX_ID_CHARACTERS, EpochMs, Id, Ids
from processors.common.money import MoneySettings
from processors.events.consent import take_purposes
from processors.events.event import Context
from processors.events.event_fields import (
    MAX_AMOUNT,
    as_id,
    optional_context,
    optional_text,
    required_id,
    required_time,
)
from processors.events.json_object import Moment, Purposes, Refused, as_number, decode_object, quoted
from processors.events.repair import Format, IntakeSettings, check_time

MAX_BLOCKED, MAX_FORMATS, MAX_PIXELS = 1000, 32, 10_000
"""Entries of a list of what is blocked, sizes that a request may list, and pixels of a width or height."""

_Pixels = Annotated[int, msgspec.Meta(ge=1, le=MAX_PIXELS)]
_FLOOR = f"expected a number from 0 to {MAX_AMOUNT:.0e}"
_CURRENCY = "expected a code such as EUR"


class AdRequest(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A clean request for an ad: every field has its type and range.

    Parameters
    ----------
    request_id
        The app's id for the request; a repeated one is not answered again.
    user_id
        The user who will see the ad.
    time_ms
        When the app asked, milliseconds since the epoch.
    placement
        Name of the placement to fill.
    bidfloor
        Lowest price of a thousand impressions (CPM); :obj:`None` leaves it to the settings.
    bidfloorcur
        The currency of the floor; :obj:`None` for the one that everything counts in.
    channel, context
        The user's circumstances, as in :class:`processors.events.event.Event`.
    purposes
        What the user agreed to; :obj:`None` if the request does not say.
    badv, bcat
        Advertisers, by domain or name, and categories whose ads are not wanted.
    sizes
        Widths and heights in pixels that fit, from ``format`` and from ``w`` and ``h``; none means that all do.
    repairs
        ``field:what`` for each repair, such as ``user_id:number_to_text``.
    """

    request_id: str
    user_id: str
    time_ms: int
    placement: str
    bidfloor: float | None = None
    bidfloorcur: str | None = None
    channel: str | None = None
    context: Context | None = None
    purposes: tuple[str, ...] | None = None
    repairs: tuple[str, ...] = ()
    badv: tuple[str, ...] = ()
    bcat: tuple[str, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()

    @property
    def event_id(self) -> str:
        """The request's id, under the name by which all records are checked for duplicates."""
        return self.request_id


class _Size(msgspec.Struct, forbid_unknown_fields=True):
    w: _Pixels
    h: _Pixels


class _StrictRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Schema of a request that needs no repair; anything else fails to decode."""

    request_id: Id
    user_id: Id
    timestamp: EpochMs | Moment
    placement: Id | None = None
    bidfloor: Annotated[float, msgspec.Meta(ge=0.0, le=MAX_AMOUNT)] | None = None
    bidfloorcur: Id | None = None
    channel: Id | None = None
    context: Context | None = None
    purposes: Purposes | None = None
    badv: Ids | None = None
    bcat: Ids | None = None
    w: _Pixels | None = None
    h: _Pixels | None = None
    format: Annotated[tuple[_Size, ...], msgspec.Meta(max_length=MAX_FORMATS)] | None = None


def repair_request(raw: bytes | None, at_ms: int, settings: IntakeSettings) -> AdRequest:
    """Read a request for an ad field by field, with repairs.

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
    """
    fields = decode_object(raw, settings.max_event_bytes)
    repairs: list[str] = []
    ids = {name: required_id(fields, name, repairs) for name in ("request_id", "user_id")}
    time_ms, notes = check_time(required_time(fields, repairs, settings.timezone), at_ms, settings)
    repairs.extend(notes)
    context = optional_context(fields.get("context"), "context", repairs)
    placement = as_id(_placement(fields.get("placement"), context), "placement", repairs)
    return AdRequest(
        **ids,
        time_ms=time_ms,
        placement=placement,
        bidfloor=_bidfloor(fields.get("bidfloor")),
        bidfloorcur=_bidfloorcur(fields.get("bidfloorcur")),
        channel=optional_text(fields.get("channel"), "channel", repairs),
        context=context,
        purposes=take_purposes(fields, repairs),
        repairs=tuple(repairs),
        badv=_blocked(fields.get("badv"), "badv"),
        bcat=_blocked(fields.get("bcat"), "bcat"),
        sizes=_sizes(fields),
    )


def _placement(given: Any, context: Context | None) -> Any:
    """Return the placement of a request: its own field if there is one, else that of its context."""
    return context.placement if given is None and context is not None else given


def _bidfloor(value: Any) -> float | None:
    """Read the floor price, or refuse the request: without its floor, ads would be sold below it."""
    if value is None:
        return None
    floor = as_number(value) if not isinstance(value, str) else None
    if floor is None or not 0.0 <= floor <= MAX_AMOUNT:
        raise Refused("bad_floor", f"bidfloor: {quoted(value)}, {_FLOOR}")
    return float(floor)


def _bidfloorcur(value: Any) -> str | None:
    """Read the currency of the floor, or refuse the request: as another amount, the floor would be another."""
    if value is not None and not (isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARACTERS):
        raise Refused("bad_floor", f"bidfloorcur: {quoted(value)}, {_CURRENCY}")
    return value


def _blocked(value: Any, name: str) -> tuple[str, ...]:
    """Read a list of what is blocked, or refuse the request: without it, what is not wanted would be shown."""
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MAX_BLOCKED:
        raise Refused("bad_blocks", f"{name}: {quoted(value)}, expected a list of at most {MAX_BLOCKED} texts")
    for number, entry in enumerate(value):
        if not isinstance(entry, str) or not 0 < len(entry) <= MAX_ID_CHARACTERS:
            expected = f"expected a text of 1 to {MAX_ID_CHARACTERS} characters"
            raise Refused("bad_blocks", f"{name}[{number}]: {quoted(entry)}, {expected}")
    return tuple(value)


def _sizes(fields: dict[str, Any]) -> tuple[tuple[int, int], ...]:
    """Read the sizes that fit, or refuse the request: what does not fit cannot be shown."""
    listed, sizes = fields.get("format"), list[tuple[int, int]]()
    if listed is not None and (not isinstance(listed, list) or len(listed) > MAX_FORMATS):
        raise Refused("bad_size", f"format: {quoted(listed)}, expected a list of at most {MAX_FORMATS} sizes")
    for number, size in enumerate(listed or ()):
        if not isinstance(size, dict):
            raise Refused("bad_size", f"format[{number}]: {quoted(size)}, expected an object with w and h")
        if size.get("w") is None and size.get("h") is None and _has_pixels(listed or []):
            continue  # a ratio (wratio, hratio) beside sizes in pixels
        sizes.append((_pixels(size.get("w"), f"format[{number}].w"), _pixels(size.get("h"), f"format[{number}].h")))
    if fields.get("w") is not None or fields.get("h") is not None:
        sizes.append((_pixels(fields.get("w"), "w"), _pixels(fields.get("h"), "h")))
    return tuple(sizes)


def _has_pixels(sizes: list[Any]) -> bool:
    return any(isinstance(size, dict) and size.get("w") is not None for size in sizes)


def _pixels(value: Any, name: str) -> int:
    figure = as_number(value) if not isinstance(value, str) else None
    if figure is None or figure != int(figure) or not 1 <= figure <= MAX_PIXELS:
        raise Refused("bad_size", f"{name}: {quoted(value)}, expected pixels, a whole number from 1 to {MAX_PIXELS}")
    return int(figure)


def with_floor_in(request: AdRequest, money: MoneySettings) -> AdRequest:
    """Turn the floor of a request, in place, into the currency that everything counts in, and return the request.

    Raises
    ------
    Refused
        If the floor is in a currency whose rate is not known: without its floor, ads would be sold below it.

    Examples
    --------
    >>> request = AdRequest(request_id="r", user_id="u", time_ms=0, placement="top", bidfloor=2.0, bidfloorcur="usd")
    >>> with_floor_in(request, MoneySettings(rates={"USD": 0.9})).bidfloor, request.bidfloorcur
    (1.8, None)
    """
    if request.bidfloor is not None and request.bidfloorcur is not None:
        rate = money.rate(request.bidfloorcur)
        if rate is None:
            known = ", ".join((money.currency, *sorted(money.rates)))
            raise Refused(
                "bad_floor", f"bidfloorcur: {quoted(request.bidfloorcur)}, expected one of {known} (money.rates)"
            )
        request.bidfloor *= rate
    request.bidfloorcur = None
    return request


def ids_of(raw: bytes | None, settings: IntakeSettings) -> tuple[str, str] | None:
    """Return request id and user id of a refused request, so that the app can be answered; :obj:`None` without both.

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
        placement=_placement(wire.placement, wire.context) or "",
        bidfloor=wire.bidfloor,
        bidfloorcur=wire.bidfloorcur,
        channel=wire.channel,
        context=wire.context,
        purposes=wire.purposes,
        repairs=repairs,
        badv=wire.badv or (),
        bcat=wire.bcat or (),
        sizes=_sizes_of(wire),
    )


def _sizes_of(wire: _StrictRequest) -> tuple[tuple[int, int], ...]:
    own = ((wire.w, wire.h),) if wire.w is not None and wire.h is not None else ()
    return (*((size.w, size.h) for size in wire.format or ()), *own)


def _is_whole(wire: _StrictRequest) -> bool:
    """Tell whether a decoded request names its placement, and no width without a height."""
    return _placement(wire.placement, wire.context) is not None and (wire.w is None) == (wire.h is None)


AD_REQUEST = Format(_StrictRequest, _accept, repair_request, _is_whole)
"""How the records on ``ads.requests.v1`` are read."""
