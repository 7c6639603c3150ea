"""The ad server of the users plane: opportunities in, decisions out.

Follow one ad: :meth:`AdServer.opportunity` sees that a browse event names a placement, :meth:`AdServer.decide` has the
auction held and notes the winner in the user's profile, and :class:`processors.ads.tracking.AdTracking` finds the
decision again when the user sees the ad, clicks or buys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from processors.ads.attribution import number_of
from processors.ads.campaign_index import CampaignIndex
from processors.ads.decision import AuctionResult
from processors.ads.messages import AdDecision, LoggedDecision, message_of
from processors.ads.opportunity import Opportunity, decision_id_of
from processors.ads.pipeline import AdPipeline
from processors.ads.settings import AdSettings
from processors.ads.signals import CampaignSignals
from processors.ads.tracking import AdStep, AdTracking
from processors.events.ad_request import AdRequest
from processors.events.event import TAKES_BACK, Event
from processors.events.record import Origin
from processors.models.click_model import PURCHASE_LOGIT, ClickModel, packed
from processors.models.interest_groups import InterestGroups
from processors.users.ad_history import Decision
from processors.users.context import remember
from processors.users.profile import Profile

TARGET = "target"
"""The purpose without which only the moment decides."""


class Decides(Protocol):
    """Finds an ad for each opportunity."""

    def decide(self, opportunities: Sequence[Opportunity]) -> list[AuctionResult]:
        """One decision for each, in their order."""
        ...


class AdServer:
    """Find an ad for each opportunity, and note the decision where what comes of it is looked up.

    Parameters
    ----------
    settings
        Of the ads.
    groups
        The read model of interest groups, each of which is a segment.
    partitions
        Of every topic.

    Attributes
    ----------
    campaigns, clicks, purchases
        The read models of campaigns, of clicks and of purchases after clicks, to be updated between steps.
    tracking
        What comes of decisions.
    decider
        Who decides; a replay of what was decided puts its own here, since decisions are part of the profiles.
    """

    def __init__(self, settings: AdSettings, groups: InterestGroups, partitions: int) -> None:
        self.settings = settings
        self.campaigns = CampaignIndex(settings.max_campaigns)
        self.clicks, self.purchases = ClickModel(), ClickModel(first_logit=PURCHASE_LOGIT)
        self._groups, self._partitions = groups, partitions
        self.decider: Decides = AdPipeline(settings, self.campaigns, self.clicks, self.purchases)
        self.tracking = AdTracking(settings)

    def begin(self) -> AdStep:
        """A step's signals and examples, to be filled."""
        return AdStep(CampaignSignals(self._partitions))

    def opportunity(self, event: Event, origin: Origin, profile: Profile) -> Opportunity | None:
        """The opportunity that an event is, if it is one: its kind is among the settings', and it names a placement."""
        placement = event.context.placement if event.context is not None else None
        if event.kind not in self.settings.on or not placement or event.action in TAKES_BACK:
            return None
        found = self._opportunity(event, origin, profile, placement)
        return None if found.late else found

    def requested(self, request: AdRequest, origin: Origin, profile: Profile) -> Opportunity:
        """The opportunity that a request for an ad is."""
        if self.agreed(request):
            self.tracking.expire(profile, request.time_ms)
        found = self._opportunity(request, origin, profile, request.placement)
        floor = found.floor if request.bidfloor is None else max(request.bidfloor, found.floor)
        return msgspec.structs.replace(found, request_id=request.request_id, floor=floor)

    def agreed(self, asked: Event | AdRequest) -> bool:
        """Whether the user may be known when an ad is chosen."""
        if asked.purposes is None:
            return self.settings.consent == "assumed"
        return TARGET in asked.purposes

    def decide(self, opportunities: Sequence[Opportunity], step: AdStep) -> list[tuple[AdDecision, LoggedDecision]]:
        """Decide for each opportunity, in order, and note it in the profiles.

        A user's second opportunity is decided for after the first: it must know of it.
        """
        self._find_segments(opportunities)
        told: dict[int, tuple[AdDecision, LoggedDecision]] = {}
        waiting = list(enumerate(opportunities))
        while waiting:
            turn: dict[str, tuple[int, Opportunity]] = {}
            for entry in waiting:
                turn.setdefault(entry[1].user_id, entry)
            taken = {at for at, _ in turn.values()}
            waiting = [entry for entry in waiting if entry[0] not in taken]
            asked = [found for _, found in turn.values()]
            outcomes = self.decider.decide(asked)
            self._count_able(asked, outcomes, step)
            for (at, found), decided in zip(turn.values(), outcomes, strict=True):
                self._note(found, decided, step)
                told[at] = message_of(found, decided, self.settings.currency, self.settings.expires_ms)
        return [told[at] for at in range(len(opportunities))]

    def _opportunity(self, asked: Event | AdRequest, origin: Origin, profile: Profile, placement: str) -> Opportunity:
        known = profile if self.agreed(asked) else Profile()
        return Opportunity(
            decision_id=decision_id_of(origin),
            user_id=asked.user_id,
            profile=known,
            at_ms=asked.time_ms,
            placement=placement,
            places=self._places(asked, known, placement),
            floor=self.settings.floors.get(placement, self.settings.floor),
            contextual=known is not profile,
            late=origin.time_ms - asked.time_ms > self.settings.late_ms,
        )

    def _find_segments(self, opportunities: Sequence[Opportunity]) -> None:
        """Note each user's interest group among the places."""
        if opportunities and len(self.campaigns):
            groups = self._groups.of([found.profile for found in opportunities]).tolist()
            for found, group in zip(opportunities, groups, strict=True):
                if group >= 0:
                    found.places["segment"] = str(group)

    @staticmethod
    def _count_able(asked: Sequence[Opportunity], outcomes: Sequence[AuctionResult], step: AdStep) -> None:
        """Tell the campaigns how many opportunities they could have taken part in."""
        at_ms = max(found.at_ms for found in asked)
        for decided in outcomes:
            for cid, count in decided.opportunities.items():
                step.signals.of(cid, at_ms).opportunities += count

    def _note(self, found: Opportunity, decided: AuctionResult, step: AdStep) -> None:
        creative, campaign = decided.creative, decided.campaign
        if creative is None or campaign is None:
            return
        step.costs[decided.cid] = step.costs.get(decided.cid, 0.0) + decided.cost
        signal = step.signals.of(decided.cid, found.at_ms)
        signal.decided += 1
        if found.contextual:
            # Nothing is kept by which a showing could be recognised: it counts, and is charged, as if it were seen.
            signal.shown += 1
            signal.charged += decided.price
            return
        decision = Decision(
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
        )
        self.tracking.expire(found.profile, found.at_ms)
        found.profile.ads.note(decision, self.settings.decisions, self.settings.campaigns)
        if self.settings.impressions == "inferred":
            self.tracking.see(decision, found.at_ms, step)

    def _places(self, asked: Event | AdRequest, profile: Profile, placement: str) -> dict[str, str]:
        places = dict(profile.context)
        remember(places, asked.context, asked.channel)
        places.pop("page", None)
        locale = asked.context.locale if asked.context is not None else None
        if locale:
            places["language"] = locale.partition("-")[0].partition("_")[0]
        return {**places, "placement": placement}
