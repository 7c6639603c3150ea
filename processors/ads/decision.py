"""What comes of the auctions: the decision for each opportunity, and what became of the campaigns."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from processors.ads.campaign import Campaign, Creative
from processors.ads.no_bid import NoBid
from processors.models.click_model import packed


class Candidate(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a campaign in a decision.

    Parameters
    ----------
    loss
        Why it did not win, a loss reason (:func:`processors.ads.no_bid.loss_of`); 0 for the winner.
    crid, propensity
        The creative that was drawn, and with which probability.
    p_click, p_conversion
        Probabilities that an impression is clicked, and that a click is followed by a purchase.
    value
        What a thousand impressions were worth to it (CPM), in the currency of the ads.
    features_hash
        Stands for the features that the probabilities were computed from; see :func:`features_hash`.
    """

    cid: str
    loss: int = 0
    crid: str | None = None
    p_click: float = 0.0
    value: float = 0.0
    p_conversion: float = 0.0
    propensity: float = 1.0
    features_hash: str = ""


class CreativeShare(msgspec.Struct, frozen=True):
    """How one creative of the campaign that won stood in the draw.

    Parameters
    ----------
    propensity
        Share of the draws that choose it; those of a campaign's creatives sum to 1.
    p_click
        Probability of a click, had it been shown.
    """

    crid: str
    propensity: float
    p_click: float


class AuctionResult(msgspec.Struct, frozen=True):
    """The decision for one opportunity: the ad that won or, without ``campaign`` and ``creative``, why there is none.

    Parameters
    ----------
    able
        Number of campaigns that could have taken part, held back by pacing or budget or not.
    candidates
        What became of each campaign if the decision is among those logged in full, else of the winner alone.
    nbr
        Why there is no ad; :obj:`None` if there is one.
    cid, campaign, creative
        What won.
    price
        What is charged each time that what the campaign pays for happens, in the currency of the ads.
    cost
        What that comes to for one impression on average: the price times the probability that it is charged.
    p_click, p_conversion
        Probabilities that an impression is clicked, and that a click is followed by a purchase.
    expected_click, expected_purchase
        The same as the models gave them, before the campaign's calibration.
    propensity
        Probability with which this creative of the campaign was chosen.
    features
        Numbers of the click model's features.
    creatives
        All creatives of the campaign, if it has several: off-policy evaluation judges other policies by them.
    held_out
        The campaign that won where its user is held out, so that nothing is shown.
    purchase_value, value_share
        Of a campaign with a goal: what a purchase is expected to bring in, and the share of the money of a purchase
        that counts as brought in; the second is :obj:`None` without a goal.
    pursuit
        Which pursuit of a goal of the campaign it was made in, counted from 1; 0 without one.
    bids
        By campaign with a goal, in how many auctions of the micro-batch it bid; only the first decision of a batch has
        it.
    opportunities
        By campaign id, how many opportunities of the micro-batch at this placement the campaign could have taken part
        in. Only the first decision of a batch at each placement has it; it is empty in the others. The first beyond
        :data:`processors.ads.signals.MOST_PLACEMENTS` placements has it for all that are beyond.
    """

    able: int = 0
    candidates: tuple[Candidate, ...] = ()
    nbr: NoBid | None = None
    cid: str = ""
    campaign: Campaign | None = None
    creative: Creative | None = None
    price: float = 0.0
    p_click: float = 0.0
    p_conversion: float = 0.0
    expected_click: float = 0.0
    expected_purchase: float = 0.0
    propensity: float = 1.0
    features: tuple[int, ...] = ()
    creatives: tuple[CreativeShare, ...] = ()
    opportunities: dict[str, int] = msgspec.field(default_factory=dict)
    cost: float = 0.0
    held_out: str = ""
    purchase_value: float = 0.0
    value_share: float | None = None
    bids: dict[str, int] = msgspec.field(default_factory=dict)
    pursuit: int = 0


def features_hash(features: Sequence[int]) -> str:
    """Return what stands for the features of the click model in the log.

    Examples
    --------
    >>> features_hash((7, 16383)) == features_hash((7, 16383)) != features_hash((7, 16382))
    True
    """
    return blake2b(packed(features), digest_size=8).hexdigest()
