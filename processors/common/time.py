"""Time zones by their IANA names, looked up once each."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MOST_REMEMBERED = 1024


@lru_cache(_MOST_REMEMBERED)
def zone_of(name: str) -> ZoneInfo | None:
    """The zone of a name such as ``Europe/Berlin``; :obj:`None` if there is none.

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
