"""How ads are decided for: the settings."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from processors.ads.campaign import MAX_AMOUNT
from processors.ads.campaign_index import MAX_CAMPAIGNS
from processors.ads.creative_limits import Blocks
from processors.common.bounds import Entries, Ids, Milliseconds, Share
from processors.common.time import DAY_MS
from processors.events.event import EventKind

Floor = Annotated[float, msgspec.Meta(ge=0.0, le=MAX_AMOUNT)]


class AdSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How ads are decided for.

    Parameters
    ----------
    floor, floors
        Least price of a thousand impressions (CPM), and the same by placement where it differs.
    consent
        Whether an event or request that says nothing of ``purposes`` comes from somebody who agreed to be known when an
        ad is chosen: ``assumed``, as the app asked before it sent anything, or not, ``required``.
    on
        Kinds of events that are opportunities if they name a placement.
    late_ms
        An event that is older than this when it arrives is no opportunity, and a request gets no ad.
    expires_ms
        How long after a decision its ad may be shown.
    impressions
        ``explicit`` counts the impressions that the app sends, ``inferred`` every decision as an impression; never
        both.
    click_credit_ms, view_credit_ms, purchase_credit_ms
        Attribution windows: how long after the impression a click counts, after the impression a purchase without a
        click, and after a click a purchase.
    refund_ms
        How long after that a purchase can be undone by a refund.
    lift_ms
        How long after a campaign with a holdout won a user's auction for the first time the user's purchases count for
        its lift.
    decisions, campaigns
        Number of decisions, and of campaigns shown, that are kept of each user.
    max_campaigns
        Campaigns that take part; beyond that those are left out that are paused, have ended or have no approved
        creative, then those of the lowest tiers, then those that bid least for an impression.
    exploration
        How much creatives are drawn by chance: 1 as uncertain as they are, 0 always the best.
    clock_tolerance_ms
        Milliseconds that an app's clock may differ from a record's arrival; beyond that the arrival is the moment that
        counts for caps, hours and windows.
    clicks_only_by_id
        Whether a click counts for an ad only if it names the decision. Otherwise a click on the item that an ad
        promoted counts, too, however the user came upon it.
    clicks_per_minute
        Clicks on ads of one user within a minute that are billed and learned from; what is more is invalid traffic and
        only counted.
    dismissal_rest_ms, dismissal_rests_advertiser
        Milliseconds for which a campaign is not shown to a user who dismissed it, unless it says itself for how long;
        and whether that goes for all campaigns of its advertiser that the user was shown.
    bought_rest_ms
        Milliseconds for which an item that the user has bought is not advertised to the user.
    page_ms
        Milliseconds within which ads on a page of one name count as on one page: it shows no campaign twice.
    rivals_apart
        Whether a page shows no two advertisers' ads for one category either.
    log_losers
        Share of the decisions whose log has every campaign, and not only the one that won.
    blocked_advertisers, blocked_categories, blocked_domains
        What is shown nowhere: advertisers by name, categories of creatives, and domains that creatives lead to, with
        all that lies within them (:class:`processors.ads.creative_limits.Blocks`).
    blocked_at
        By placement what is not shown there either: ``advertisers``, ``categories`` and ``domains``.
    """

    floor: Floor = 0.0
    floors: dict[str, Floor] = msgspec.field(default_factory=dict)
    consent: Literal["assumed", "required"] = "assumed"
    on: tuple[EventKind, ...] = ("browse",)
    late_ms: Milliseconds = 3_600_000
    expires_ms: Milliseconds = 600_000
    impressions: Literal["explicit", "inferred"] = "explicit"
    click_credit_ms: Milliseconds = 1_800_000
    view_credit_ms: Milliseconds = 86_400_000
    purchase_credit_ms: Milliseconds = 604_800_000
    refund_ms: Milliseconds = 2_592_000_000
    lift_ms: Milliseconds = 14 * DAY_MS
    decisions: Entries = 24
    campaigns: Entries = 200
    max_campaigns: Entries = MAX_CAMPAIGNS
    exploration: Share = 1.0
    clock_tolerance_ms: Milliseconds = 60_000
    clicks_only_by_id: bool = True
    clicks_per_minute: Entries = 5
    dismissal_rest_ms: Milliseconds = 7 * DAY_MS
    dismissal_rests_advertiser: bool = False
    bought_rest_ms: Milliseconds = 7 * DAY_MS
    page_ms: Milliseconds = 2_000
    rivals_apart: bool = False
    log_losers: Share = 0.05
    blocked_advertisers: Ids = ()
    blocked_categories: Ids = ()
    blocked_domains: Ids = ()
    blocked_at: dict[str, Blocks] = msgspec.field(default_factory=dict)

    @property
    def blocked(self) -> Blocks:
        """What is shown nowhere."""
        return Blocks(self.blocked_advertisers, self.blocked_categories, self.blocked_domains)

    @property
    def remembered_ms(self) -> int:
        """How long after an impression something can still come of it, in milliseconds: the last of it is a refund.

        Examples
        --------
        >>> AdSettings(click_credit_ms=1, purchase_credit_ms=2, view_credit_ms=4, refund_ms=10).remembered_ms
        14
        """
        return max(self.click_credit_ms + self.purchase_credit_ms, self.view_credit_ms) + self.refund_ms
