"""What the stages of the ads pipeline work on, and what a stage is.

A :class:`Frame` holds one micro-batch: its opportunities as rows, all campaigns as columns, and what the stages have
found out so far. Filters note in :attr:`Frame.removed` why a campaign is out; the bid stage fills :attr:`Frame.bids`
and :attr:`Frame.worth` for the pairs that are left, the auction fills :attr:`Frame.auctions`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from processors.ads.advertisers import AdvertiserMoney
from processors.ads.campaign_columns import Columns
from processors.ads.campaign_index import CampaignIndex
from processors.ads.creative_sampling import CreativeDraws
from processors.ads.features import Facts
from processors.ads.goal_worth import GoalWorth, goal_worth_of
from processors.ads.no_bid import NoBid
from processors.ads.opportunity import Opportunity
from processors.ads.settings import AdSettings
from processors.common.arrays import Flags, Floats, Hashes, Ints
from processors.common.hashing import hashed
from processors.items.index import ItemIndex
from processors.models.click_model import ClickModel

if TYPE_CHECKING:
    from processors.ads.shop import Shop


@dataclass(frozen=True)
class Bids:
    """Pairs of an opportunity and a campaign that no filter removed, by opportunity and then campaign.

    Arrays have the shape (bids,) unless said otherwise.

    Attributes
    ----------
    opportunities, campaigns
        Row and column of each pair in the frame; the opportunities ascend.
    creatives
        The creative drawn for it, as a number among those of all campaigns.
    clicks
        Probability of a click, as the model gives it, of every creative that could have been drawn. Shape as in
        ``draws``: (creatives of all bids,).
    logits, spreads
        The same as log odds, and the standard deviation with which a campaign draws what a click on it is worth: that
        of the model, and of the campaign's own record.
    expected_click, expected_purchase
        Probabilities of a click on the drawn creative and of a purchase after it, as the models give them.
    drawn_click
        The probability of a click as it was drawn: with which the campaign bids.
    ties
        Which of two equal bids wins: the lower.
    draws
        How the creatives were drawn.
    candidates
        The number among those of all campaigns of each creative that could have been drawn. Shape as in ``draws``.
    facts
        What the click model knows of the moments.
    """

    opportunities: Ints
    campaigns: Ints
    creatives: Ints
    clicks: Floats
    logits: Floats
    spreads: Floats
    expected_click: Floats
    expected_purchase: Floats
    drawn_click: Floats
    ties: Hashes
    draws: CreativeDraws
    candidates: Ints
    facts: Facts | None

    def features(self, those: Ints) -> Ints:
        """Return the numbers of the click model's features of some bids, shape (those, features)."""
        if self.facts is None:
            return np.empty((0, 0), np.int64)
        return self.facts.features(self.opportunities[those], self.campaigns[those], self.creatives[those])


class Worth(NamedTuple):
    """What each bid is worth, shape (bids,).

    Attributes
    ----------
    p_click, p_purchase
        Probabilities of a click and of a purchase after it, corrected by the campaign's calibration.
    odds
        Probability that what the campaign pays for happens after one impression.
    values
        What one impression is worth to the campaign: its bid times the odds as they were drawn, or less if its goal
        does not allow so much; of a campaign of the house the odds alone, which only other campaigns of the house are
        compared with.
    most
        The most that it pays each time that what it pays for happens.
    click_worth
        The most that a click is worth for the sake of the campaign's goal; infinite without one.
    """

    p_click: Floats
    p_purchase: Floats
    odds: Floats
    values: Floats
    most: Floats
    click_worth: Floats


class Auctions(NamedTuple):
    """What came of the auction of each opportunity, shape (opportunities,) unless said otherwise.

    Attributes
    ----------
    winners
        Number of the winning bid, -1 where there is none.
    beaten
        What each winner had to beat, in the currency of the ads; 0 where there is none.
    values, floors
        What each bid was worth, 0 for those that took no part, and the least that it must be worth; shape (bids,).
    """

    winners: Ints
    beaten: Floats
    values: Floats
    floors: Floats


_NO_INTS, _NO_FLOATS, _NO_HASHES = np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint64)
_NO_DRAWS = CreativeDraws(_NO_INTS, _NO_FLOATS, _NO_FLOATS, _NO_HASHES, _NO_INTS)
NO_BIDS = Bids(
    _NO_INTS, _NO_INTS, _NO_INTS, _NO_FLOATS, _NO_FLOATS, _NO_FLOATS, _NO_FLOATS, _NO_FLOATS, _NO_FLOATS, _NO_HASHES,
    _NO_DRAWS,
    _NO_INTS, None,
)  # fmt: skip
NO_WORTH = Worth(_NO_FLOATS, _NO_FLOATS, _NO_FLOATS, _NO_FLOATS, _NO_FLOATS, _NO_FLOATS)
_NOTHING_FORBIDDEN = np.empty((0, 0), np.int64)
NO_AUCTIONS = Auctions(_NO_INTS, _NO_FLOATS, _NO_FLOATS, _NO_FLOATS)


@dataclass
class Frame:
    """One micro-batch on its way through the stages.

    Attributes
    ----------
    opportunities
        Rows of the frame.
    index, columns
        The campaigns, and the same as columns of the frame.
    clicks, purchases
        The read models of clicks, and of purchases after clicks.
    settings
        Settings of the ads.
    answers
        What campaigns ask of the users' histories, shape (opportunities, questions).
    at_ms
        Moments of the opportunities, milliseconds since the epoch, shape (opportunities,).
    late, contextual
        Whether each was over when it was asked for, and whether its user must not be known; shape (opportunities,).
    floors
        The least price of each, shape (opportunities,).
    seeds
        What chance is drawn from: hashes of the decisions' ids, shape (opportunities,).
    removed
        A :class:`processors.ads.no_bid.NoBid` where a campaign is out, 0 where it is not; shape (opportunities,
        campaigns).
    costs
        What decisions before these are going to cost each campaign, shape (campaigns,).
    shop
        Says what must not be promoted.
    forbidden
        Why a creative must not be shown at a moment, 0 if nothing is against it; shape (opportunities, creatives), or
        without any row if all may be shown.
    bids, worth
        What the campaigns that are left bid.
    auctions
        Who won.
    held_out
        By row: the campaign that won, where its user is held out so that nothing is shown.
    items
        The read model of items, which knows what promoted items cost.
    """

    opportunities: Sequence[Opportunity]
    index: CampaignIndex
    columns: Columns
    clicks: ClickModel
    purchases: ClickModel
    settings: AdSettings
    answers: Floats
    at_ms: Floats
    late: Flags
    contextual: Flags
    floors: Floats
    seeds: Hashes
    removed: Ints
    costs: Floats
    shop: Shop
    forbidden: Ints = field(default_factory=lambda: _NOTHING_FORBIDDEN)
    bids: Bids = field(default=NO_BIDS)
    worth: Worth = field(default=NO_WORTH)
    auctions: Auctions = field(default=NO_AUCTIONS)
    held_out: dict[int, str] = field(default_factory=dict)
    items: ItemIndex | None = None

    @classmethod
    def of(
        cls,
        opportunities: Sequence[Opportunity],
        index: CampaignIndex,
        clicks: ClickModel,
        purchases: ClickModel,
        settings: AdSettings,
        costs: Mapping[str, float],
        shop: Shop,
        items: ItemIndex | None = None,
    ) -> Frame:
        """Make the frame of a batch in which nothing is removed yet."""
        columns = index.columns
        expected = np.zeros(len(columns.cids))
        for cid, cost in costs.items():
            if cid in columns.rows:
                expected[columns.rows[cid]] = cost
        return cls(
            opportunities=opportunities,
            index=index,
            columns=columns,
            clicks=clicks,
            purchases=purchases,
            settings=settings,
            answers=columns.questions.answered(opportunities),
            at_ms=np.array([found.at_ms for found in opportunities], np.float64),
            late=np.array([found.late for found in opportunities], np.bool_),
            contextual=np.array([found.contextual for found in opportunities], np.bool_),
            floors=np.array([found.floor for found in opportunities], np.float64),
            seeds=np.array([hashed(found.decision_id) for found in opportunities], np.uint64),
            removed=np.zeros((len(opportunities), len(columns.cids)), np.int64),
            costs=expected,
            shop=shop,
            items=items,
        )

    @cached_property
    def left(self) -> Floats:
        """What campaigns have left at each moment beside what is held, shape (opportunities, campaigns)."""
        return self.index.left(self.at_ms)

    @cached_property
    def advertisers(self) -> AdvertiserMoney:
        """What advertisers with a budget have left at each moment beside what is held."""
        return self.index.left_of_advertisers(self.at_ms)

    @cached_property
    def goal_worth(self) -> GoalWorth | None:
        """What a purchase may cost campaigns with a goal; :obj:`None` if none has one."""
        return goal_worth_of(self.columns, self.items)

    def remove(self, those: Flags, code: NoBid) -> None:
        """Remove campaigns; those that an earlier stage removed keep the earlier reason.

        Parameters
        ----------
        those
            Which, shape (opportunities, campaigns) or what broadcasts to it.
        """
        self.removed[(self.removed == 0) & those] = code

    def remove_campaign(self, campaign: int, those: Flags, code: NoBid) -> None:
        """Remove a single campaign from some opportunities, likewise.

        Parameters
        ----------
        campaign
            Its column in the frame.
        those
            From which opportunities, shape (opportunities,).
        """
        column = self.removed[:, campaign]
        column[(column == 0) & those] = code


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline.

    Attributes
    ----------
    name
        A name for people, unique among the stages.
    run
        Takes a frame and gives back the same frame, changed in place. It must be deterministic, must leave alone what
        earlier stages removed, and must decide for each opportunity as if it were alone in the batch.
    gives
        The codes that it may put into :attr:`Frame.removed`; of several campaigns with different codes, the later one
        came further. No two stages give the same code.
    could_win
        Whether a campaign that it removes could have taken part all the same, so that the moment counts as an
        opportunity of the campaign: it was held back for the sake of its budget, or beaten by others.
    """

    name: str
    run: Callable[[Frame], Frame]
    gives: tuple[NoBid, ...] = ()
    could_win: bool = False
