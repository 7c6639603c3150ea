"""The days of a campaign: when they begin and end in its time zone, and how its traffic falls on their hours."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, tzinfo

from processors.ads.ledger import HOURS, Ledger
from processors.common.time import DAY_MS, zone_of

_MEMORY = 0.7
"""Weight of the days before, of 1, when a day is over and its traffic is learned."""


def begin_day(state: Ledger, at_ms: int) -> None:
    """Begin a new day if one is over, in place, and learn from that how traffic falls on the hours of a day."""
    day = local_time(state, at_ms).toordinal()
    if state.day and (day <= state.day or at_ms < day_ends(state)):
        return
    if state.day and sum(state.traffic_today) > 0.0:
        today = _whole_day(state)
        known = state.traffic or today
        state.traffic = [_MEMORY * before + (1.0 - _MEMORY) * now for before, now in zip(known, today, strict=True)]
    state.day, state.spent_today, state.traffic_today = day, 0.0, [0.0] * HOURS
    state.day_until_ms = _midnight_after(state, day)


def running_time(state: Ledger, at_ms: int) -> tuple[int, int]:
    """Find from when to when the campaign runs on the day of a moment, milliseconds since the epoch."""
    midnight, campaign = midnight_before(state, at_ms), state.campaign
    begin, end = max(midnight, min(state.begun_ms, at_ms)), midnight + DAY_MS
    if campaign is not None and campaign.starts_at is not None:
        begin = max(begin, min(int(campaign.starts_at.timestamp() * 1000), at_ms))
    if campaign is not None and campaign.ends_at is not None:
        end = max(min(end, int(campaign.ends_at.timestamp() * 1000)), begin + 1)
    return begin, end


def day_ends(state: Ledger) -> int:
    """Return when the running day is over; 0 before the first.

    That is at midnight in the campaign's time zone. If the zone was changed meanwhile, the day lasts to the first
    midnight there after it would have been over: the day's budget must not be spent twice.
    """
    if not state.day:
        return 0
    if not state.day_until_ms:  # a state of an older release
        return _midnight_after(state, state.day)
    ends = _midnight_after(state, local_time(state, state.day_until_ms - 1).toordinal())
    return ends if ends >= state.day_until_ms else ends + DAY_MS


def midnight_before(state: Ledger, at_ms: int) -> int:
    """Return when the day of a moment began in the campaign's time zone, milliseconds since the epoch."""
    return int(datetime.combine(local_time(state, at_ms).date(), time(), _zone(state)).timestamp() * 1000)


def hour_of(state: Ledger, at_ms: int) -> int:
    """Return the hour of a moment, 0 to 23, in the campaign's time zone."""
    return local_time(state, at_ms).hour


def local_time(state: Ledger, at_ms: int) -> datetime:
    """Return the date and time of a moment in the campaign's time zone; UTC if it names none."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(_zone(state))


def _whole_day(state: Ledger) -> list[float]:
    """Return the day's traffic by hour; the hours before the first day began are taken to be as the rest of it."""
    begun = local_time(state, state.begun_ms)
    if state.traffic or begun.toordinal() != state.day:
        return state.traffic_today
    usual = sum(state.traffic_today[begun.hour :]) / (HOURS - begun.hour)
    return [usual] * begun.hour + state.traffic_today[begun.hour :]


def _midnight_after(state: Ledger, day: int) -> int:
    """Return when a day, by its ordinal, is over in the campaign's time zone."""
    return int(datetime.combine(date.fromordinal(day + 1), time(), _zone(state)).timestamp() * 1000)


def _zone(state: Ledger) -> tzinfo:
    return (None if state.campaign is None else zone_of(state.campaign.dayparts.timezone)) or UTC
