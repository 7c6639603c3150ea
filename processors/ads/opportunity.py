"""A moment at which an ad could be shown."""

from __future__ import annotations

import msgspec

from processors.events.record import Origin
from processors.items.index import ItemIndex
from processors.users.profile import Profile


class Opportunity(msgspec.Struct, frozen=True):
    """A moment at which an ad could be shown.

    Parameters
    ----------
    decision_id
        The id that the decision gets; chance is drawn from it.
    user_id, profile
        Who is there, the event of the moment folded in.
    at_ms
        When, milliseconds since the epoch.
    placement
        Where on the page.
    dimensions
        The values of :data:`processors.ads.campaign_index.DIMENSIONS` that are known, and ``time_zone`` and
        ``segment_label``, the segment's other name, if they are.
    floor
        The least price of one impression, in the currency of the ads.
    item_id
        The item that the user is looking at, if it is an event with one.
    page
        The page that the app names, if it does.
    request_id
        The id of the request, if an app asked for the ad.
    contextual
        Whether the user has not agreed to be known: only the moment decides, and the profile is an empty one.
    late
        Whether it was over when it was asked for.
    zoneless
        Whether its time came without a time zone, and was taken to be UTC.
    measured
        Whether the user is known and has agreed that it is measured what comes of ads.
    items
        The read model of items, which knows the categories of what the user viewed or bought by ids alone;
        :obj:`None` if there is none.
    badv, bcat
        Advertisers, by domain or name, and categories that the request does not want.
    sizes
        Widths and heights in pixels that fit; none given means that all do.
    """

    decision_id: str
    user_id: str
    profile: Profile
    at_ms: int
    placement: str
    dimensions: dict[str, str]
    floor: float = 0.0
    item_id: str | None = None
    page: str = ""
    request_id: str | None = None
    contextual: bool = False
    late: bool = False
    zoneless: bool = False
    measured: bool = False
    items: ItemIndex | None = None
    badv: tuple[str, ...] = ()
    bcat: tuple[str, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()


def decision_id_of(origin: Origin) -> str:
    """Return the id of the decision that a record asks for.

    Examples
    --------
    >>> decision_id_of(Origin("events.browse.v1", 3, 1208, 0))
    'events.browse.v1/3/1208/ad'
    """
    return f"{origin.topic}/{origin.partition}/{origin.offset}/ad"
