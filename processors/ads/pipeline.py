"""Which ad is shown, of all that could be: the stages of a decision, in order.

:data:`STAGES` is the only place that knows the order. Filters remove campaigns from opportunities, the campaigns that
are left bid what an impression is worth to them (the bid times the probability that what they pay for happens), and the
highest bid wins and pays what it had to beat. Chance (pacing, creatives) is drawn from the id of the decision, so that
a replay decides the same.

To add a stage, write a function that takes and gives back a :class:`processors.ads.frame.Frame`, declare the codes that
it gives, and put it into the list: the reason of a decision without an ad, the count of opportunities and the
conformance tests follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from processors.ads.auction import AUCTION, take_off_budgets
from processors.ads.bidding import BID
from processors.ads.budget import BUDGET
from processors.ads.campaign_index import CampaignIndex
from processors.ads.dayparts import DAYPARTS
from processors.ads.decision import AuctionResult
from processors.ads.eligibility import APPROVAL, CONSENT, LATE, RUNNING
from processors.ads.frame import Frame, Stage
from processors.ads.frequency import FREQUENCY
from processors.ads.holdout import HOLDOUT
from processors.ads.no_bid import NoBid
from processors.ads.opportunity import Opportunity
from processors.ads.pacing import PACING
from processors.ads.results import results_of
from processors.ads.same_page import SAME_PAGE
from processors.ads.settings import AdSettings
from processors.ads.shop import SHOP, NoShop, Shop
from processors.ads.signals import MOST_PLACEMENTS
from processors.ads.targeting import EXCLUSION, TARGETING
from processors.ads.wanted import BLOCKS, SIZES
from processors.common.arrays import Flags, Ints
from processors.items.index import ItemIndex
from processors.models.click_model import ClickModel

STAGES = (
    LATE,
    RUNNING,
    APPROVAL,
    CONSENT,
    TARGETING,
    EXCLUSION,
    SHOP,
    BLOCKS,
    SIZES,
    SAME_PAGE,
    DAYPARTS,
    FREQUENCY,
    BUDGET,
    PACING,
    BID,
    AUCTION,
)

BEFORE_STAGES = {NoBid.INVALID_REQUEST: "request", NoBid.NO_CAMPAIGN: "campaigns"}
"""Codes that no stage gives, as no frame is made, with a name for what gives them."""

EVERY = (*STAGES, HOLDOUT)
"""The stages, and behind them who is held out: that is looked at once it is certain who can pay for having won."""


_NO_COSTS: Mapping[str, float] = {}


class AdPipeline:
    """Decide for many opportunities at once.

    Parameters
    ----------
    settings
        Settings of the ads.
    campaigns, clicks, purchases
        The read models of campaigns, of clicks, and of purchases after clicks; the pipeline only reads them.
    shop
        Says what must not be promoted; without one anything may be.
    items
        The read model of items: what a purchase brings in, for campaigns with a goal.
    """

    def __init__(
        self,
        settings: AdSettings,
        campaigns: CampaignIndex,
        clicks: ClickModel,
        purchases: ClickModel,
        shop: Shop | None = None,
        items: ItemIndex | None = None,
    ) -> None:
        self._shop, self._items = NoShop() if shop is None else shop, items
        self.settings, self.campaigns, self.clicks, self.purchases = settings, campaigns, clicks, purchases

    def decide(
        self, opportunities: Sequence[Opportunity], costs: Mapping[str, float] = _NO_COSTS
    ) -> list[AuctionResult]:
        """Decide for each opportunity, and return the decisions in their order.

        Deterministic in opportunities, costs and read models. What else is decided for makes no difference beyond the
        last bit of a sum, save that what was decided before is taken from the budgets, and that the first decision at
        each placement counts the opportunities of all there (see :class:`processors.ads.decision.AuctionResult`).

        Complexity: linear in opportunities times campaigns, and in the creatives of those that bid.

        Parameters
        ----------
        costs
            What decisions before these are going to cost, by campaign: the read model does not know of it yet.
        """
        self.campaigns.advance(max((found.at_ms for found in opportunities), default=0))
        if not opportunities or not len(self.campaigns):
            return [AuctionResult(nbr=NoBid.NO_CAMPAIGN) for _ in opportunities]
        frame = Frame.of(
            opportunities, self.campaigns, self.clicks, self.purchases, self.settings, costs, self._shop, self._items
        )
        for stage in STAGES:
            frame = stage.run(frame)
        take_off_budgets(frame, _REACHED_BUDGET)
        HOLDOUT.run(frame)
        could_win = _COULD_WIN[frame.removed]
        found = results_of(frame, could_win.sum(axis=1), no_bids_of(frame))
        for row, counts in opportunities_of(frame, could_win).items():
            found[row] = msgspec.structs.replace(found[row], opportunities=counts)
        if bids := bids_of_goals(frame):
            found[0] = msgspec.structs.replace(found[0], bids=bids)
        return found


def opportunities_of(frame: Frame, could_win: Flags) -> dict[int, dict[str, int]]:
    """Count by campaign how many opportunities it could have taken part in, by row of the first at each placement.

    The first beyond :data:`processors.ads.signals.MOST_PLACEMENTS` placements has the count of all that are beyond.

    Parameters
    ----------
    could_win
        Whether a campaign could have taken part; shape (opportunities, campaigns).
    """
    numbers: dict[str, int] = {}
    rows: dict[int, list[int]] = {}
    for row, found in enumerate(frame.opportunities):
        number = numbers.setdefault(found.placement, min(len(numbers), MOST_PLACEMENTS))
        rows.setdefault(number, []).append(row)
    cids, counts = frame.columns.cids, dict[int, dict[str, int]]()
    for those in rows.values():
        able = could_win[those].sum(axis=0)
        counts[those[0]] = {cids[campaign]: int(able[campaign]) for campaign in np.flatnonzero(able).tolist()}
    return counts


def bids_of_goals(frame: Frame) -> dict[str, int]:
    """Count by campaign with a goal in how many auctions it bid; those that it bid in none of are left out."""
    rows = frame.columns.goals.rows
    if not len(rows):
        return {}
    counts = _HAS_BID[frame.removed[:, rows]].sum(axis=0)
    return {frame.columns.cids[row]: count for row, count in zip(rows.tolist(), counts.tolist(), strict=True) if count}


def no_bids_of(frame: Frame) -> dict[int, NoBid]:
    """Say why there is no ad, by row of each opportunity without a winner: the reason of what came furthest."""
    rows = np.flatnonzero(frame.auctions.winners < 0)
    furthest = _RANKS[frame.removed[rows]].max(axis=1)
    return {row: REASONS[rank] for row, rank in zip(rows.tolist(), furthest.tolist(), strict=True)}


def stage_of(code: NoBid) -> str:
    """Name the stage that gives a code or, where no stage does, what is wrong before the first: request or campaigns.

    Examples
    --------
    >>> stage_of(NoBid.COOL_DOWN), stage_of(NoBid.OUTBID), stage_of(NoBid.NO_CAMPAIGN)
    ('frequency', 'auction', 'campaigns')
    """
    return BEFORE_STAGES.get(code) or next(stage.name for stage in EVERY if code in stage.gives)


def _reasons() -> tuple[NoBid, ...]:
    """Order all codes by how far a campaign came that has one: as the stages, save for the budget."""
    # The budget is looked at after the caps so that campaigns without money still count their opportunities. As the
    # reason of a decision it ranks before the caps, which say more of the user who was there.
    stages = [stage for stage in EVERY if stage is not BUDGET]
    stages.insert(stages.index(FREQUENCY), BUDGET)
    return (*BEFORE_STAGES, *(code for stage in stages for code in stage.gives))


REASONS = _reasons()
"""All codes, by how far a campaign came that has one."""


def _ranks() -> Ints:
    ranks = np.zeros(1 + max(NoBid), np.int64)
    ranks[list(REASONS)] = np.arange(len(REASONS))
    return ranks


def _codes_of(stages: Iterable[Stage]) -> Flags:
    """Tell which codes stages give; 0, for none, is taken for one of them."""
    found = np.zeros(1 + max(NoBid), np.bool_)
    found[[0, *(code for stage in stages for code in stage.gives)]] = True
    return found


_RANKS = _ranks()
"""Position of each code among :data:`REASONS`."""

_COULD_WIN = _codes_of(stage for stage in EVERY if stage.could_win)
"""Whether a campaign with a code, or with 0 for none, could have taken part."""

_HAS_BID = _codes_of(EVERY[EVERY.index(AUCTION) :])
_HAS_BID[[NoBid.LOWER_TIER, NoBid.HELD_OUT]] = False
"""Whether a campaign with a code, or with 0 for none, has bid where a higher bid could have shown it."""

_REACHED_BUDGET = _codes_of(STAGES[STAGES.index(BUDGET) + 1 :])
"""Whether a campaign with a code, or with 0 for none, had money when its budget was looked at."""
