"""Frequency caps: whether a user may be shown a campaign once more."""

from __future__ import annotations

from processors.ads.campaign import Frequency
from processors.ads.frame import Frame, Stage
from processors.ads.no_bid import NoBid
from processors.common.time import DAY_MS, HOUR_MS, MONTH_MS, WEEK_MS
from processors.users.ad_history import AdHistory, CampaignImpressions


def capped(history: AdHistory, cid: str, advertiser: str, caps: Frequency, now_ms: int) -> NoBid | None:
    """Say why a campaign may not be shown to a user once more; :obj:`None` if it may.

    Parameters
    ----------
    history
        The user's ads so far.
    cid, advertiser
        The campaign and whose it is.
    caps
        How often the campaign may be shown.
    now_ms
        The moment of the opportunity, milliseconds since the epoch.

    Examples
    --------
    >>> from processors.users.ad_history import Decision
    >>> history = AdHistory()
    >>> history.note(Decision(1, "c", "a", "shop", 0, 900, 1.0, "cpm", 0.1), decisions=9, campaigns=9)
    >>> capped(history, "c", "shop", Frequency(per_hour=1), now_ms=1000).text
    'the user was shown it often enough'
    >>> capped(history, "c", "shop", Frequency(per_hour=1), now_ms=3_600_001) is None
    True
    """
    shown = history.impressions.get(cid)
    if shown is not None:
        if now_ms < shown.cool_down_until_ms:
            return NoBid.COOL_DOWN
        if caps.conversions is not None and shown.conversions >= caps.conversions:
            return NoBid.BOUGHT_OFTEN
        code = _capped(shown, caps, now_ms)
        if code is not None:
            return code
    return _capped_by_advertiser(history, advertiser, caps, now_ms) if caps.counts_advertiser else None


def _capped(shown: CampaignImpressions, caps: Frequency, now_ms: int) -> NoBid | None:
    if caps.total is not None and shown.total >= caps.total:
        return NoBid.FREQUENCY_CAP
    for most, span_ms, code in (
        (caps.per_hour, HOUR_MS, NoBid.FREQUENCY_CAP),
        (caps.per_day, DAY_MS, NoBid.DAILY_USER_CAP),
        (caps.per_week, WEEK_MS, NoBid.FREQUENCY_CAP),
        (caps.per_month, MONTH_MS, NoBid.FREQUENCY_CAP),
    ):
        if most is not None and shown.since(now_ms - span_ms) >= most:
            return code
    return None


def _capped_by_advertiser(history: AdHistory, advertiser: str, caps: Frequency, now_ms: int) -> NoBid | None:
    shown = [other for other in history.impressions.values() if other.advertiser == advertiser]
    if caps.advertiser_total is not None and sum(one.total for one in shown) >= caps.advertiser_total:
        return NoBid.FREQUENCY_CAP
    for most, span_ms, code in (
        (caps.advertiser_per_hour, HOUR_MS, NoBid.FREQUENCY_CAP),
        (caps.advertiser_per_day, DAY_MS, NoBid.DAILY_USER_CAP),
    ):
        if most is not None and sum(one.since(now_ms - span_ms) for one in shown) >= most:
            return code
    return None


def remove_capped(frame: Frame) -> Frame:
    """Remove campaigns that users were shown often enough, or that are in their cool-down.

    Only campaigns that the user was shown before can be, and those of an advertiser that limits all of its campaigns.
    A user's dismissal lets any campaign rest, whether it has caps or not.

    Complexity: a loop over opportunities and over the campaigns shown to each user.
    """
    columns, removed = frame.columns, frame.removed
    for row, found in enumerate(frame.opportunities):
        history = found.profile.ads
        for cid, seen in history.impressions.items():
            if found.at_ms < seen.cool_down_until_ms and (resting := columns.rows.get(cid)) is not None:
                removed[row, resting] = removed[row, resting] or int(NoBid.COOL_DOWN)
        shown = [cid for cid in history.impressions if cid in columns.capped]
        for cid in {*shown, *columns.capped_by_advertiser} if history.impressions else ():
            campaign = columns.rows[cid]
            if removed[row, campaign]:
                continue
            advertised = columns.capped[cid]
            code = capped(history, cid, advertised.advertiser, advertised.frequency, found.at_ms)
            if code is not None:
                removed[row, campaign] = code
    return frame


FREQUENCY = Stage(
    "frequency",
    remove_capped,
    gives=(NoBid.DAILY_USER_CAP, NoBid.FREQUENCY_CAP, NoBid.BOUGHT_OFTEN, NoBid.COOL_DOWN),
)
