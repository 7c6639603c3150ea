"""Times as files write them: ISO-8601, or a number of seconds, milliseconds, microseconds or nanoseconds since 1970."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from processors.common.bounds import MAX_MS
from processors.common.errors import FieldError

UNITS = {"seconds": 1e11, "milliseconds": 1e14, "microseconds": 1e17, "nanoseconds": 1e20}
"""Units of numbers, and below what a number is taken to be in each: all of them reach beyond the year 5000."""

_PER_MS = {"seconds": 1e-3, "milliseconds": 1.0, "microseconds": 1e3, "nanoseconds": 1e6}
_EXPECTED = "ISO-8601, or seconds, milliseconds, microseconds or nanoseconds since 1970"


def moment_of(value: object) -> tuple[int, str]:
    """Read a time of any unit, which its size tells.

    Parameters
    ----------
    value
        A number, a text that is one, or ISO-8601; without a time zone it is taken to be UTC.

    Returns
    -------
    tuple
        Milliseconds since the epoch, and the unit: one of :data:`UNITS`, or ``iso``.

    Raises
    ------
    FieldError
        If it is no time, or one before 1970 or after the year 9999.

    Examples
    --------
    >>> moment_of("1700000000"), moment_of(1_700_000_000_000_000), moment_of("2019-10-01 00:00:00 UTC")
    ((1700000000000, 'seconds'), (1700000000000, 'microseconds'), (1569888000000, 'iso'))
    """
    number = _number(value)
    if number is None:
        return _iso(value), "iso"
    for unit, below in UNITS.items():
        if 0 <= number < below:
            time_ms = round(number / _PER_MS[unit])
            if time_ms <= MAX_MS:
                return time_ms, unit
    raise FieldError("timestamp", value, f"{_EXPECTED}, up to the year 9999")


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, int | float):
        # Whole numbers stay whole: nanoseconds have more digits than a float.
        return value if isinstance(value, int) or math.isfinite(value) else None
    return None


def _iso(value: object) -> int:
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip().removesuffix(" UTC"))
        except ValueError:
            pass
        else:
            time_ms = round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
            if time_ms >= 0:
                return time_ms
    raise FieldError("timestamp", value, _EXPECTED)
