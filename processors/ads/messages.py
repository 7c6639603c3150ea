"""What apps read of ads: decisions on ``ad-decisions.v1``, and how each came about on ``decision-log.v1``."""

from __future__ import annotations

import msgspec

from processors.ads.campaign import Audience
from processors.ads.decision import AuctionResult, Candidate, CreativeShare
from processors.ads.no_bid import NoBid
from processors.ads.opportunity import Opportunity
from processors.ads.targeting import share_of
from processors.common.time import stamp
from processors.users.profile import Profile


class AdReason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why this ad: what of the user or the moment the campaign is for.

    Parameters
    ----------
    kind
        ``viewed_item``, ``viewed_category``, ``interest``, ``segment``, ``place`` or ``best_value``.
    value
        The item, category, interest, group or place.
    text
        For people.
    """

    kind: str
    text: str
    value: str | None = None


class AdDecision(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message on ``ad-decisions.v1``. One without ``cid`` is a no-bid, and ``nbr`` says why.

    Parameters
    ----------
    price
        Charged if what the campaign pays for (``model``) happens, in ``currency``.
    at, expires_at
        When it was decided, and until when it may be shown.
    propensity
        Probability with which this creative was chosen for the campaign.
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
    model: str | None = None
    currency: str | None = None
    p_click: float | None = None
    p_conversion: float | None = None
    propensity: float | None = None
    expires_at: str | None = None
    reasons: tuple[AdReason, ...] = ()
    nbr: int | None = None
    nbr_text: str | None = None


class LoggedDecision(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message on ``decision-log.v1``: what the decision rested on, and what became of the campaigns.

    Parameters
    ----------
    candidates
        All campaigns of some decisions, else the one that won.
    able
        Number of those that could have taken part, held back by pacing or budget or not.
    features
        Hashed, of the click model.
    expected_click, expected_purchase
        Probabilities as the models gave them, before the campaign's calibration.
    creatives
        All of the campaign that won, if it has several: what off-policy evaluation rests on.
    opportunities
        As of :class:`processors.ads.pipeline.AuctionResult`: what the campaigns were told when this was decided.
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


def message_of(
    found: Opportunity, decided: AuctionResult, currency: str, expires_ms: int
) -> tuple[AdDecision, LoggedDecision]:
    """The messages of a decision. What is logged names the user only if that was agreed to."""
    at, user = stamp(found.at_ms), "" if found.contextual else found.user_id
    creative, campaign, nbr = decided.creative, decided.campaign, decided.nbr
    if creative is None or campaign is None:
        code, text = (None, None) if nbr is None else (int(nbr), nbr.text)
        return (
            AdDecision(
                found.decision_id, found.user_id, found.placement, at, found.request_id, nbr=code, nbr_text=text
            ),
            LoggedDecision(
                found.decision_id,
                user,
                found.placement,
                at,
                decided.candidates,
                able=decided.able,
                nbr=code,
                opportunities=decided.opportunities,
                request_id=found.request_id,
            ),
        )
    told = AdDecision(
        found.decision_id,
        found.user_id,
        found.placement,
        at,
        found.request_id,
        cid=decided.cid,
        crid=creative.crid,
        title=creative.title,
        image_url=creative.image_url,
        landing_url=creative.landing_url,
        item_id=creative.item_id,
        price=decided.price,
        model=campaign.model,
        currency=currency,
        p_click=decided.p_click,
        p_conversion=decided.p_conversion,
        propensity=decided.propensity,
        expires_at=stamp(found.at_ms + expires_ms),
        reasons=reasons_of(campaign.target, found),
    )
    logged = LoggedDecision(
        found.decision_id,
        user,
        found.placement,
        at,
        decided.candidates,
        cid=decided.cid,
        crid=creative.crid,
        advertiser=campaign.advertiser,
        item_id=creative.item_id,
        model=campaign.model,
        price=decided.price,
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
    )
    return told, logged


def refusal_of(decision_id: str, request_id: str, user_id: str, at_ms: int, message: str) -> AdDecision:
    """The answer to a request that makes no sense; the message says why."""
    return AdDecision(
        decision_id,
        user_id,
        "",
        stamp(at_ms),
        request_id,
        nbr=NoBid.INVALID_REQUEST.value,
        nbr_text=f"{NoBid.INVALID_REQUEST.text}: {message}",
    )


def reasons_of(target: Audience, found: Opportunity) -> tuple[AdReason, ...]:
    """What of the user or the moment a campaign is for; that it was worth most, if it is for everybody."""
    profile = found.profile
    reasons = [*_of_user(target, profile)]
    for field, place in (("segments", "segment"), ("countries", "country"), ("cities", "city"), ("devices", "device")):
        if getattr(target, field):
            value = found.places.get(place, "")
            kind = "segment" if place == "segment" else "place"
            reasons.append(AdReason(kind, f"Shown to visitors with {place} {value}", value))
    return tuple(reasons) or (AdReason("best_value", "The ad that fits best here and now"),)


def _of_user(target: Audience, profile: Profile) -> list[AdReason]:
    reasons = []
    items = [item for item in target.viewed_items if item in profile.item_ids]
    if items:
        last = max(items, key=profile.item_ids.index)
        reasons.append(AdReason("viewed_item", f"You looked at {last}", last))
    categories = [name for name in target.viewed_categories if name in profile.categories]
    if categories:
        reasons.append(AdReason("viewed_category", f"You looked at {categories[0]}", categories[0]))
    liked = [interest.name for interest in target.interests if share_of(profile, interest.name) >= interest.at_least]
    if liked:
        reasons.append(AdReason("interest", f"You are interested in {liked[0]}", liked[0]))
    return reasons
