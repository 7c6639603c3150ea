"""What apps read of ads: decisions on ``ad-decisions.v1``, and how each came about on ``decision-log.v1``."""

from __future__ import annotations

import msgspec

from processors.ads.campaign import MIDDLE_PRIORITY, Campaign, Creative
from processors.ads.decision import AuctionResult, Candidate, CreativeShare
from processors.ads.no_bid import NoBid
from processors.ads.opportunity import Opportunity
from processors.ads.reasons import AdReason, reasons_of
from processors.common.money import per_thousand
from processors.common.time import DAY_MS, stamp


class AdDecision(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message on ``ad-decisions.v1``. One without ``cid`` is a no-bid, and ``nbr`` says why.

    Parameters
    ----------
    price
        What a thousand impressions come to (CPM), in ``currency``: on average, for a campaign that pays for clicks or
        purchases.
    charge
        What is charged, once, if what the campaign pays for (``model``) happens: for an impression a thousandth of the
        price, for a click or a purchase what it costs.
    at, expires_at
        When it was decided, and until when it may be shown.
    propensity
        Probability with which this creative was chosen for the campaign.
    w, h
        Size of the creative in pixels, if it has one.
    """

    decision_id: str
    user_id: str
    placement: str
    at: str
    request_id: str | None = None
    cid: str | None = None
    crid: str | None = None
    title: str | None = None
    image_url: str | None = None
    landing_url: str | None = None
    item_id: str | None = None
    price: float | None = None
    charge: float | None = None
    model: str | None = None
    currency: str | None = None
    p_click: float | None = None
    p_conversion: float | None = None
    propensity: float | None = None
    expires_at: str | None = None
    reasons: tuple[AdReason, ...] = ()
    nbr: int | None = None
    nbr_text: str | None = None
    w: int | None = None
    h: int | None = None


class LoggedDecision(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message on ``decision-log.v1``: what the decision rested on, and what became of the campaigns.

    Parameters
    ----------
    candidates
        All campaigns if the decision is one of those logged in full, else the one that won.
    able
        Number of campaigns that could have taken part, held back by pacing or budget or not.
    features
        Numbers of the click model's features.
    expected_click, expected_purchase
        Probabilities as the models gave them, before the campaign's calibration.
    creatives
        All creatives of the campaign that won, if it has several: what off-policy evaluation rests on.
    held_out
        The campaign that won where its user is held out, so that nothing is shown.
    holdout
        Share of the users that the campaign shown holds out.
    price, charge
        As in :class:`AdDecision`.
    caps_ms
        How far back the caps of the campaign shown look, milliseconds: so long the profile keeps its times.
    priority
        The priority of the campaign shown; 0 if it is of the house.
    cost
        What the decision is expected to be charged on average, in the currency of the ads: a thousandth of the price.
    opportunities
        As in :class:`processors.ads.decision.AuctionResult`: what was added to the campaigns' opportunities with this
        decision.
    purchase_value, value_share, bids, pursuit
        As in :class:`processors.ads.decision.AuctionResult`.
    """

    decision_id: str
    user_id: str
    placement: str
    at: str
    candidates: tuple[Candidate, ...]
    cid: str | None = None
    crid: str | None = None
    advertiser: str | None = None
    item_id: str | None = None
    model: str | None = None
    price: float | None = None
    p_click: float | None = None
    propensity: float | None = None
    cool_down_ms: int = 0
    features: tuple[int, ...] = ()
    able: int = 0
    nbr: int | None = None
    expected_click: float | None = None
    expected_purchase: float | None = None
    creatives: tuple[CreativeShare, ...] = ()
    opportunities: dict[str, int] = msgspec.field(default_factory=dict)
    request_id: str | None = None
    p_conversion: float | None = None
    held_out: str = ""
    holdout: float = 0.0
    cost: float = 0.0
    charge: float | None = None
    caps_ms: int = DAY_MS
    priority: int = MIDDLE_PRIORITY
    purchase_value: float | None = None
    value_share: float | None = None
    bids: dict[str, int] = msgspec.field(default_factory=dict)
    pursuit: int = 0


def messages_of(
    found: Opportunity, decided: AuctionResult, currency: str, expires_ms: int
) -> tuple[AdDecision, LoggedDecision]:
    """Make the two messages of a decision. The logged one names the user only if that was agreed to.

    Parameters
    ----------
    currency
        ISO 4217 code of the price.
    expires_ms
        Milliseconds after the opportunity until which the ad may be shown.
    """
    creative, campaign = decided.creative, decided.campaign
    if creative is None or campaign is None:
        return _no_bid(found, decided.nbr), _logged_no_bid(found, decided)
    expires_at = stamp(found.at_ms + expires_ms)
    published = _decision(found, decided, campaign, creative, currency, expires_at)
    return published, _logged_decision(found, decided, campaign, creative)


def _no_bid(found: Opportunity, nbr: NoBid | None) -> AdDecision:
    return AdDecision(
        found.decision_id,
        found.user_id,
        found.placement,
        stamp(found.at_ms),
        found.request_id,
        nbr=None if nbr is None else int(nbr),
        nbr_text=None if nbr is None else _text(found, nbr),
    )


def _text(found: Opportunity, nbr: NoBid) -> str:
    """Return the text of a no-bid; of one that came too late, what may be the cause."""
    if nbr is NoBid.TOO_LATE and found.zoneless:
        return f"{nbr.text}: its time has no time zone, and was taken to be UTC (users.intake.timezone)"
    return nbr.text


def _logged_no_bid(found: Opportunity, decided: AuctionResult) -> LoggedDecision:
    return LoggedDecision(
        found.decision_id,
        _logged_user(found),
        found.placement,
        stamp(found.at_ms),
        decided.candidates,
        able=decided.able,
        nbr=None if decided.nbr is None else int(decided.nbr),
        opportunities=decided.opportunities,
        request_id=found.request_id,
        held_out=decided.held_out,
        bids=decided.bids,
    )


def _decision(
    found: Opportunity, decided: AuctionResult, campaign: Campaign, creative: Creative, currency: str, expires_at: str
) -> AdDecision:
    return AdDecision(
        found.decision_id,
        found.user_id,
        found.placement,
        stamp(found.at_ms),
        found.request_id,
        cid=decided.cid,
        crid=creative.crid,
        title=creative.title,
        image_url=creative.image_url,
        landing_url=creative.landing_url,
        item_id=creative.item_id,
        price=_price_of(decided),
        charge=decided.price,
        model=campaign.model,
        currency=currency,
        p_click=decided.p_click,
        p_conversion=decided.p_conversion,
        propensity=decided.propensity,
        expires_at=expires_at,
        reasons=reasons_of(campaign.target, found),
        w=creative.w,
        h=creative.h,
    )


def _logged_decision(
    found: Opportunity, decided: AuctionResult, campaign: Campaign, creative: Creative
) -> LoggedDecision:
    return LoggedDecision(
        found.decision_id,
        _logged_user(found),
        found.placement,
        stamp(found.at_ms),
        decided.candidates,
        cid=decided.cid,
        crid=creative.crid,
        advertiser=campaign.advertiser,
        item_id=creative.item_id,
        model=campaign.model,
        price=_price_of(decided),
        charge=decided.price,
        p_click=decided.p_click,
        propensity=decided.propensity,
        cool_down_ms=campaign.frequency.cool_down_ms,
        features=decided.features,
        able=decided.able,
        expected_click=decided.expected_click,
        expected_purchase=decided.expected_purchase,
        creatives=decided.creatives,
        opportunities=decided.opportunities,
        request_id=found.request_id,
        p_conversion=decided.p_conversion,
        holdout=campaign.holdout,
        cost=decided.cost,
        caps_ms=campaign.frequency.looks_back_ms,
        priority=campaign.tier,
        purchase_value=decided.purchase_value or None,
        value_share=decided.value_share,
        bids=decided.bids,
        pursuit=decided.pursuit,
    )


def _price_of(decided: AuctionResult) -> float:
    """Return what a thousand impressions of an ad come to, to a millionth of the currency."""
    return round(per_thousand(decided.cost), 6)


def _logged_user(found: Opportunity) -> str:
    return "" if found.contextual else found.user_id


def refusal_of(decision_id: str, request_id: str, user_id: str, at_ms: int, message: str) -> AdDecision:
    """Make the answer to a request that makes no sense; the message says why."""
    return AdDecision(
        decision_id,
        user_id,
        "",
        stamp(at_ms),
        request_id,
        nbr=NoBid.INVALID_REQUEST.value,
        nbr_text=f"{NoBid.INVALID_REQUEST.text}: {message}",
    )
