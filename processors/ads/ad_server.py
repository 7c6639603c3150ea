"""The ad server of the users plane: opportunities in, decisions out.

Follow one ad: :meth:`AdServer.opportunity` sees that a browse event names a placement, :meth:`AdServer.decide` has the
auction held and notes the winner in the user's profile, and :class:`processors.ads.tracking.AdTracking` finds the
decision again when the user sees the ad, clicks or buys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from processors.ads.attribution import number_of
from processors.ads.campaign import Campaign, Creative
from processors.ads.campaign_index import CampaignIndex
from processors.ads.decision import AuctionResult
from processors.ads.messages import AdDecision, LoggedDecision, messages_of
from processors.ads.opportunity import Opportunity, decision_id_of
from processors.ads.pipeline import AdPipeline
from processors.ads.settings import AdSettings
from processors.ads.shop import Shop
from processors.ads.signals import CampaignSignals
from processors.ads.tracking import AdStep, AdTracking
from processors.common.money import Currency, per_impression
from processors.events.ad_request import AdRequest
from processors.events.consent import ConsentSettings
from processors.events.event import TAKES_BACK, Event
from processors.events.json_object import ZONELESS
from processors.events.record import Origin
from processors.items.index import ItemIndex
from processors.models.click_model import PURCHASE_LOGIT, ClickModel, packed
from processors.models.completed_profiles import completed
from processors.models.interest_groups import InterestGroups
from processors.users.ad_history import Decision
from processors.users.context import update_circumstances
from processors.users.profile import Profile
from processors.users.settings import ProfileSettings


class Decider(Protocol):
    """Finds an ad for each opportunity."""

    def decide(self, opportunities: Sequence[Opportunity], costs: Mapping[str, float]) -> list[AuctionResult]:
        """Decide for each, and return the decisions in their order (:meth:`processors.ads.pipeline.AdPipeline.decide`).

        Parameters
        ----------
        costs
            What decisions before these are going to cost, by campaign.
        """
        ...


class AdServer:
    """Find an ad for each opportunity, and note the decision where what comes of it is looked up.

    Parameters
    ----------
    settings
        Settings of the ads.
    groups
        The read model of interest groups, each of which is a segment.
    partitions
        Number of partitions of every topic.
    items
        The read model of items: what they say of users whose events carry only ids.
    currency
        ISO 4217 code of all campaigns' money: bids in several currencies could not be compared.
    shop
        Says what must not be promoted.
    session_idle_ms
        Milliseconds without an event after which a user who asks for an ad is in a further session.

    Attributes
    ----------
    campaigns, clicks, purchases
        The read models of campaigns, of clicks and of purchases after clicks, to be updated between steps.
    items
        The read model of items.
    tracking
        Finds the decision behind impressions, clicks and purchases.
    decider
        What decides; a replay of what was decided puts its own here, since decisions are part of the profiles.
    """

    def __init__(
        self,
        settings: AdSettings,
        groups: InterestGroups,
        partitions: int,
        items: ItemIndex | None = None,
        currency: Currency = "EUR",
        shop: Shop | None = None,
        session_idle_ms: int = ProfileSettings().session_idle_ms,
    ) -> None:
        self.settings, self._currency, self._session_idle_ms = settings, currency, session_idle_ms
        self.items = ItemIndex() if items is None else items
        self.campaigns = CampaignIndex(settings.max_campaigns)
        self.clicks, self.purchases = ClickModel(), ClickModel(first_logit=PURCHASE_LOGIT)
        self._groups, self._partitions = groups, partitions
        self._pipeline = AdPipeline(settings, self.campaigns, self.clicks, self.purchases, shop, self.items)
        self.decider: Decider = self._pipeline
        self.tracking = AdTracking(settings)

    def begin(self) -> AdStep:
        """Make an empty collection of what a step gathers: signals, examples, costs."""
        return AdStep(CampaignSignals(self._partitions))

    @property
    def idle(self) -> bool:
        """Whether no opportunity can have an ad, as there is no campaign: then only requests need an answer."""
        return self.decider is self._pipeline and not len(self.campaigns)

    def opportunity(self, event: Event, origin: Origin, profile: Profile) -> Opportunity:
        """Return the opportunity that an event is, of which :meth:`is_opportunity` says that it is one."""
        placement = event.context.placement if event.context is not None else None
        return self._opportunity(event, origin, profile, placement or "")

    def is_opportunity(self, event: Event, origin: Origin) -> bool:
        """Tell whether an event is an opportunity for an ad.

        It is one if its kind is among the settings', it names a placement, it takes nothing back and is not late.
        """
        context, settings = event.context, self.settings
        if context is None or not context.placement or event.kind not in settings.on or event.action in TAKES_BACK:
            return False
        return origin.time_ms - event.time_ms <= settings.late_ms

    def requested(self, request: AdRequest, origin: Origin, profile: Profile) -> Opportunity:
        """Return the opportunity that a request for an ad is; the higher of its floor and the placement's counts."""
        if self.agreed(request):
            self.tracking.expire(profile, request.time_ms)
        found = self._opportunity(request, origin, profile, request.placement)
        floor = max(per_impression(request.bidfloor or 0.0), found.floor)
        return msgspec.structs.replace(
            found,
            request_id=request.request_id,
            floor=floor,
            profile=self._back(found),
            badv=request.badv,
            bcat=request.bcat,
            sizes=request.sizes,
        )

    def _back(self, found: Opportunity) -> Profile:
        """Return the profile of who asks: in a session of its own, which no event has begun yet, after a pause."""
        profile = found.profile
        if not profile.sessions or found.at_ms <= profile.last_seen + self._session_idle_ms:
            return profile
        return msgspec.structs.replace(profile, sessions=profile.sessions + 1)

    def agreed(self, asked: Event | AdRequest) -> bool:
        """Tell whether the user of an event or a request may be known when an ad is chosen."""
        consent = ConsentSettings(self.settings.consent)
        return consent.allows(asked.purposes, "target", *(("store",) if isinstance(asked, Event) else ()))

    def decide(self, opportunities: Sequence[Opportunity], step: AdStep) -> list[tuple[AdDecision, LoggedDecision]]:
        """Decide for each opportunity, in order, and note it in the profiles.

        A user's second opportunity is decided for after the first: it must know of it.
        """
        opportunities = [self._completed(found) for found in opportunities]
        self._add_segments(opportunities)
        messages: dict[int, tuple[AdDecision, LoggedDecision]] = {}
        waiting = list(enumerate(opportunities))
        while waiting:
            turn: dict[str, tuple[int, Opportunity]] = {}
            for entry in waiting:
                turn.setdefault(entry[1].user_id, entry)
            taken = {number for number, _ in turn.values()}
            waiting = [entry for entry in waiting if entry[0] not in taken]
            asked = [found for _, found in turn.values()]
            decisions = self.decider.decide(asked, step.costs)
            self._count_opportunities(asked, decisions, step)
            for (number, found), decided in zip(turn.values(), decisions, strict=True):
                self._note(found, decided, step)
                messages[number] = messages_of(found, decided, self._currency, self.settings.expires_ms)
        return [messages[number] for number in range(len(opportunities))]

    def _opportunity(self, asked: Event | AdRequest, origin: Origin, profile: Profile, placement: str) -> Opportunity:
        known = profile if self.agreed(asked) else Profile()
        return Opportunity(
            decision_id=decision_id_of(origin),
            user_id=asked.user_id,
            profile=known,
            at_ms=self._moment(asked.time_ms, origin.time_ms),
            placement=placement,
            dimensions=_dimensions_of(asked, known, placement),
            floor=per_impression(self.settings.floors.get(placement, self.settings.floor)),
            contextual=known is not profile,
            item_id=(asked.item_id or None) if isinstance(asked, Event) else None,
            page=(asked.context.page or "") if asked.context is not None else "",
            late=origin.time_ms - asked.time_ms > self.settings.late_ms,
            zoneless=ZONELESS in asked.repairs,
            measured=known is profile and ConsentSettings(self.settings.consent).allows(asked.purposes, "measure"),
            items=self.items,
        )

    def _moment(self, time_ms: int, arrived_ms: int) -> int:
        """Return when the user is there: by the app's clock, or when it was heard of if that clock is off.

        An ad is decided on at its arrival: caps and windows must not follow a clock that is an hour slow.
        """
        return time_ms if abs(arrived_ms - time_ms) <= self.settings.clock_tolerance_ms else arrived_ms

    def _completed(self, found: Opportunity) -> Opportunity:
        """Return the opportunity with all that is known of its user; the ad history is the profile's own."""
        profile = completed(found.profile, self.items)
        if profile is found.profile and found.items is self.items:
            return found
        return msgspec.structs.replace(found, profile=profile, items=self.items)

    def _add_segments(self, opportunities: Sequence[Opportunity]) -> None:
        """Note each user's interest group as the dimension ``segment``, and what it is called beside its number."""
        if opportunities and len(self.campaigns):
            groups = self._groups.of([found.profile for found in opportunities]).tolist()
            for found, group in zip(opportunities, groups, strict=True):
                if group >= 0:
                    found.dimensions["segment"] = str(group)
                    labels = self._groups.views[group].labels
                    found.dimensions["segment_label"] = labels[0] if labels else ""

    @staticmethod
    def _count_opportunities(asked: Sequence[Opportunity], decisions: Sequence[AuctionResult], step: AdStep) -> None:
        """Add to the campaigns' signals how many opportunities they could have taken part in, and bid for."""
        at_ms = max(found.at_ms for found in asked)
        for found, decided in zip(asked, decisions, strict=True):
            for cid, count in decided.opportunities.items():
                step.signals.of(cid, at_ms).add_opportunities(found.placement, count)
            for cid, count in decided.bids.items():
                step.signals.of(cid, at_ms).count_bids(count)

    def _note(self, found: Opportunity, decided: AuctionResult, step: AdStep) -> None:
        """Note a decision in the profile and in the step, if there is an ad."""
        creative, campaign = decided.creative, decided.campaign
        if decided.held_out:
            self.tracking.enter_trial(found.profile, decided.held_out, found.at_ms, step, held=True)
        if creative is None or campaign is None:
            return
        if campaign.holdout > 0.0 and found.measured:
            self.tracking.enter_trial(found.profile, decided.cid, found.at_ms, step, held=False)
        step.costs[decided.cid] = step.costs.get(decided.cid, 0.0) + decided.cost
        part = decided.cid, creative.crid, found.placement
        if found.contextual:
            # Nothing is kept by which an impression could be recognised: it counts, and is charged, as if it were seen.
            step.signals.add(*part, found.at_ms, decided=1, shown=1, charged=decided.price)
            return
        signal = step.signals.add(*part, found.at_ms, decided=1)
        signal.expected_cost += decided.cost
        if decided.value_share is not None:
            purchases, goal = decided.p_click * decided.p_conversion, signal.for_goal(decided.pursuit)
            goal.cost += decided.cost
            goal.expected += purchases
            goal.expected_value += purchases * decided.purchase_value
        decision = self._decision(found, decided, campaign, creative)
        self.tracking.expire(found.profile, found.at_ms)
        kept = self.settings.decisions, self.settings.campaigns, campaign.frequency.looks_back_ms
        found.profile.ads.note(decision, *kept)
        if self.settings.impressions == "inferred":
            self.tracking.see(decision, found.at_ms, step)

    def _decision(self, found: Opportunity, decided: AuctionResult, campaign: Campaign, creative: Creative) -> Decision:
        return Decision(
            number=number_of(found.decision_id),
            cid=decided.cid,
            crid=creative.crid,
            advertiser=campaign.advertiser,
            at_ms=found.at_ms,
            expires_ms=found.at_ms + self.settings.expires_ms,
            price=decided.price,
            model=campaign.model,
            expected_click=decided.expected_click,
            expected_purchase=decided.expected_purchase,
            cool_down_ms=campaign.frequency.cool_down_ms,
            item_id=creative.item_id,
            features=packed(decided.features),
            page=found.page,
            placement=found.placement,
            value_share=decided.value_share,
            pursuit=decided.pursuit,
        )


def _dimensions_of(asked: Event | AdRequest, profile: Profile, placement: str) -> dict[str, str]:
    """Read the targeting dimensions off an event or a request, and off what the profile knows beside."""
    dimensions = dict(profile.context)
    update_circumstances(dimensions, asked.context, asked.channel)
    dimensions.pop("page", None)
    return {**dimensions, "placement": placement}
