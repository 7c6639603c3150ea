"""Hours and days at which a campaign is shown."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from processors.ads.campaign import Dayparts
from processors.ads.frame import Frame, Stage
from processors.ads.no_bid import NoBid
from processors.common.time import zone_of

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def in_daypart(dayparts: Dayparts, at_ms: int, time_zone: str | None = None) -> bool:
    """Tell whether a moment is in the hours and on the days, in their time zone.

    Parameters
    ----------
    at_ms
        The moment, milliseconds since the epoch.
    time_zone
        The user's, if it is known; it counts if the hours are the user's.

    Examples
    --------
    >>> evening = Dayparts(hours=(20, 21), timezone="Asia/Shanghai")
    >>> in_daypart(evening, 1_700_000_000_000), in_daypart(evening, 1_700_049_600_000)
    (False, True)
    >>> morning = Dayparts(hours=(7,), of="user")
    >>> [in_daypart(morning, 1_700_000_000_000, zone) for zone in ("Asia/Tokyo", "America/Lima", None)]
    [True, False, False]
    """
    own = zone_of(time_zone) if time_zone is not None and dayparts.of == "user" else None
    moment = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(own or zone_of(dayparts.timezone) or UTC)
    on_day = not dayparts.days or _WEEKDAYS[moment.weekday()] in dayparts.days
    return on_day and (not dayparts.hours or moment.hour in dayparts.hours)


def remove_at_other_hours(frame: Frame) -> Frame:
    """Remove campaigns at hours at which they are not shown. Complexity: opportunities times campaigns with hours."""
    for campaign in frame.columns.has_dayparts.tolist():
        dayparts = frame.columns.views[campaign].campaign.dayparts
        inside = [in_daypart(dayparts, one.at_ms, one.dimensions.get("time_zone")) for one in frame.opportunities]
        frame.remove_campaign(campaign, ~np.array(inside, np.bool_), NoBid.OTHER_HOURS)
    return frame


DAYPARTS = Stage("dayparts", remove_at_other_hours, gives=(NoBid.OTHER_HOURS,))
