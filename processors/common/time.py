"""Time: milliseconds since the epoch written as ISO-8601, and time zones by their IANA names."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
WEEK_MS, MONTH_MS = 7 * DAY_MS, 30 * DAY_MS

_MOST_REMEMBERED = 1024
_SECONDS = 4096


@lru_cache(_MOST_REMEMBERED)
def zone_of(name: str) -> ZoneInfo | None:
    """Find the time zone with an IANA name such as ``Europe/Berlin``; :obj:`None` if there is none.

    Examples
    --------
    >>> zone_of("Asia/Shanghai")
    zoneinfo.ZoneInfo(key='Asia/Shanghai')
    >>> zone_of("../etc/passwd") is zone_of("Moon/Base") is None
    True
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def stamp(at_ms: int) -> str:
    """Write milliseconds since the epoch as ISO-8601 in UTC.

    Examples
    --------
    >>> stamp(1_700_000_000_123)
    '2023-11-14T22:13:20.123Z'
    """
    second, millisecond = divmod(at_ms, 1000)
    return f"{_second(second)}.{millisecond:03}Z"


@lru_cache(_SECONDS)
def _second(second: int) -> str:
    """Write the part up to the second. It is cached, because events of one batch share it."""
    return datetime.fromtimestamp(second, UTC).isoformat(timespec="seconds").removesuffix("+00:00")
