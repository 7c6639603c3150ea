"""One page shows a campaign once, and by setting no two rivals."""

from __future__ import annotations

from processors.ads.frame import Frame, Stage
from processors.ads.no_bid import NoBid
from processors.ads.opportunity import Opportunity


def remove_shown_on_the_page(frame: Frame) -> Frame:
    """Remove the campaigns that the page shows already, and by setting those that compete with them.

    A page is what an app calls by one name (``context.page``) within ``ads.page_ms`` milliseconds. Two campaigns
    compete if they are of different advertisers and promote one category.

    Complexity: a look at the decisions of the last moments of each user whose app names the page.
    """
    settings, columns = frame.settings, frame.columns
    for row, found in enumerate(frame.opportunities):
        for cid in _shown_beside(found, settings.page_ms):
            shown = columns.rows.get(cid)
            if shown is None:
                continue
            frame.removed[row, shown] = frame.removed[row, shown] or int(NoBid.SAME_PAGE)
            for rival in _rivals_of(frame, shown) if settings.rivals_apart else ():
                frame.removed[row, rival] = frame.removed[row, rival] or int(NoBid.SAME_PAGE)
    return frame


def _shown_beside(found: Opportunity, page_ms: int) -> list[str]:
    """Return the campaigns decided for on the page of an opportunity, the latest first."""
    shown = list[str]()
    if found.page:
        for decision in reversed(found.profile.ads.decisions):
            if found.at_ms - decision.at_ms > page_ms:
                break
            if decision.page == found.page:
                shown.append(decision.cid)
    return shown


def _rivals_of(frame: Frame, campaign: int) -> list[int]:
    """Return the campaigns of other advertisers that promote a category which a campaign promotes."""
    columns = frame.columns
    creatives, begins = columns.creatives.category, columns.creatives.begins
    own = set(creatives[begins[campaign] : begins[campaign + 1]].tolist()) - {-1}
    advertiser = columns.views[campaign].campaign.advertiser
    return [
        other
        for other, view in enumerate(columns.views)
        if view.campaign.advertiser != advertiser
        and own.intersection(creatives[begins[other] : begins[other + 1]].tolist())
    ]


SAME_PAGE = Stage("page", remove_shown_on_the_page, gives=(NoBid.SAME_PAGE,))
