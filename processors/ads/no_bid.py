"""Why there is no ad (``nbr``) or why a campaign lost (``loss``): codes of OpenRTB 2.6, and our own from 500 on.

OpenRTB has two lists: no-bid reasons are of answers without any ad, loss reasons of campaigns. Inside there is one,
:class:`NoBid`; :func:`loss_of` turns it into what is said of a campaign.

Which stage of the pipeline gives which code is declared by the stage; :func:`processors.ads.pipeline.stage_of` finds
it. Which of several codes a decision without an ad gets follows from the order of the stages, not from the order here.
"""

from __future__ import annotations

from enum import IntEnum


class NoBid(IntEnum):
    """Why a campaign did not win, or why a whole decision has no ad."""

    INVALID_REQUEST = 2
    DAILY_USER_CAP = 9
    NO_CAMPAIGN = 500
    TOO_LATE = 512
    NOT_RUNNING = 501
    NO_CONSENT = 511
    NOT_MEANT = 502
    EXCLUDED = 503
    OTHER_HOURS = 504
    NO_BUDGET = 505
    FREQUENCY_CAP = 506
    COOL_DOWN = 507
    PACED = 508
    BELOW_FLOOR = 509
    OUTBID = 510
    OUT_OF_STOCK = 513
    NOT_ALLOWED = 514
    RULED_OUT = 515
    AT_HAND = 516
    JUST_BOUGHT = 517
    SAME_PAGE = 518
    HELD_OUT = 519
    LOWER_TIER = 530
    BLOCKED_ADVERTISER = 531
    BLOCKED_CATEGORY = 532
    OTHER_SIZE = 533
    PENDING = 534
    REJECTED = 535
    BOUGHT_OFTEN = 536
    NO_ADVERTISER_BUDGET = 550

    @property
    def text(self) -> str:
        """What it means, for people.

        Examples
        --------
        >>> NoBid.PACED.text
        'held back, so that the budget lasts'
        """
        return _TEXTS[self]


_TEXTS = {
    NoBid.INVALID_REQUEST: "the request makes no sense",
    NoBid.DAILY_USER_CAP: "the user was shown it often enough today",
    NoBid.NO_CAMPAIGN: "there is no campaign",
    NoBid.TOO_LATE: "the request came too late",
    NoBid.NOT_RUNNING: "paused, not begun or over",
    NoBid.NO_BUDGET: "its budget is spent",
    NoBid.NO_ADVERTISER_BUDGET: "the budget of its advertiser is spent",
    NoBid.NOT_MEANT: "the user or the moment is not what it is for",
    NoBid.NO_CONSENT: "the user has not agreed to what it needs to know",
    NoBid.EXCLUDED: "the user or the moment is excluded",
    NoBid.OTHER_HOURS: "it is shown at other hours",
    NoBid.FREQUENCY_CAP: "the user was shown it often enough",
    NoBid.COOL_DOWN: "it rests after a purchase or a dismissal",
    NoBid.PACED: "held back, so that the budget lasts",
    NoBid.BELOW_FLOOR: "what it is worth is below the floor",
    NoBid.OUTBID: "another one is worth more",
    NoBid.OUT_OF_STOCK: "what it promotes cannot be bought",
    NoBid.NOT_ALLOWED: "what it promotes must not be shown at the user's age or in the user's region",
    NoBid.RULED_OUT: "a rule of the shop keeps back what it promotes",
    NoBid.AT_HAND: "it promotes what the user is looking at",
    NoBid.JUST_BOUGHT: "it promotes what the user has just bought",
    NoBid.SAME_PAGE: "the page shows it, or a rival of it, already",
    NoBid.HELD_OUT: "the user is among those who are shown nothing, so that its lift can be measured",
    NoBid.LOWER_TIER: "one of a higher priority is shown",
    NoBid.BLOCKED_ADVERTISER: "its advertiser, or the domain that it leads to, is blocked",
    NoBid.BLOCKED_CATEGORY: "what it promotes is of a category that is blocked",
    NoBid.OTHER_SIZE: "none of its creatives has a size that fits",
    NoBid.PENDING: "none of its creatives is approved yet",
    NoBid.REJECTED: "its creatives were rejected",
    NoBid.BOUGHT_OFTEN: "the user has bought through it often enough",
}

BID_WON = 0
_LOSSES: dict[int, int] = {
    NoBid.TOO_LATE: 2,
    NoBid.BELOW_FLOOR: 100,
    NoBid.OUTBID: 102,
    NoBid.DAILY_USER_CAP: 520,
    NoBid.PENDING: 201,
    NoBid.REJECTED: 202,
    NoBid.OTHER_SIZE: 203,
    NoBid.BLOCKED_ADVERTISER: 205,
    NoBid.BLOCKED_CATEGORY: 209,
}
"""Loss reasons with another number than the no-bid reason: OpenRTB has its own, or means something else by that one."""

_NO_BIDS = {loss: NoBid(code) for code, loss in _LOSSES.items()}


def loss_of(code: int) -> int:
    """Return the loss reason that stands for a code in what is said of a campaign; 0, for none, is a bid that won.

    Examples
    --------
    >>> loss_of(NoBid.BELOW_FLOOR), loss_of(NoBid.OUTBID), loss_of(NoBid.PACED), loss_of(0)
    (100, 102, 508, 0)
    """
    return int(_LOSSES.get(code, code))


def reason_of(loss: int) -> NoBid:
    """Return what a loss reason stands for.

    Examples
    --------
    >>> reason_of(102).text, reason_of(508) is NoBid.PACED
    ('another one is worth more', True)
    """
    return _NO_BIDS.get(loss) or NoBid(loss)
