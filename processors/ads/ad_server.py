"""The ad desk of the users plane: opportunities in, decisions out, and what comes of them written down.

Follow one ad: :meth:`AdDesk.opportunity` sees that a browse event names a placement, :meth:`AdDesk.decide` has the
auction held and notes the winner in the user's profile, :meth:`AdDesk.seen` and :meth:`AdDesk.react` find the decision
again when the user sees it, clicks or buys: by the id the app sends back or, without one, by the item that the ad
promoted, the latest first. Money is charged once per decision, when what the campaign pays for happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from processors.ads.attribution import credited, number_of
from processors.ads.campaign_index import CampaignBook
from processors.ads.decision import Decided
from processors.ads.messages import AdDecision, LoggedDecision, message_of
from processors.ads.pipeline import Decider
from processors.ads.settings import AdSettings
from processors.ads.signals import CampaignSignals
from processors.ads.targeting import Opportunity
from processors.events.ad_request import AdRequest
from processors.events.event import DISMISSED, REFUNDED, TAKES_BACK, Event
from processors.events.impression import Impression
from processors.events.record import Origin
from processors.items.index import ItemIndex
from processors.models.click_model import PURCHASE_LOGIT, ClickExample, ClickTable, packed, unpacked
from processors.users.ad_history import Decision
from processors.users.context import remember
from processors.users.profile import Profile

TARGET = "target"
"""The purpose without which only the moment decides."""


class Decides(Protocol):
    """Finds an ad for each opportunity."""

    def decide(self, opportunities: Sequence[Opportunity]) -> list[Decided]:
        """One decision for each, in their order."""
        ...


class AdDesk:
    """Decides, and joins what comes of it.

    Parameters
    ----------
    settings
        Of the ads.
    index
        For the user's interest group.
    partitions
        Of every topic.

    Attributes
    ----------
    book, clicks, purchases
        The read models of campaigns, of clicks and of purchases after clicks, to be updated between steps.
    decider
        Who decides; a replay of what was decided puts its own here, since decisions are part of the profiles.
    """

    def __init__(self, settings: AdSettings, index: ItemIndex, partitions: int) -> None:
        self.settings = settings
        self.book = CampaignBook(settings.max_campaigns)
        self.clicks, self.purchases = ClickTable(), ClickTable(first_logit=PURCHASE_LOGIT)
        self._index, self._partitions = index, partitions
        self.decider: Decides = Decider(settings, self.book, self.clicks, self.purchases)
        self._credit_ms = max(settings.click_credit_ms, settings.view_credit_ms, settings.purchase_credit_ms)

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
            self._expire(profile, request.time_ms)
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

    def seen(self, profile: Profile, impression: Impression, step: AdStep) -> None:
        """Take over that an ad was seen, if the impression names its decision."""
        if impression.decision_id and self.settings.impressions == "explicit":
            # Only this decision is judged by the impression's time: others may be seen in time though it is late.
            decision = profile.ads.find(number_of(impression.decision_id))
            if decision is not None and impression.time_ms < decision.unseen_until(self.settings.click_credit_ms):
                self._see(decision, impression.time_ms, step)

    def react(self, profile: Profile, event: Event, step: AdStep) -> None:
        """Take over what an event says of ads that the user was shown."""
        self._expire(profile, event.time_ms)
        decision = credited(profile.ads, event, self.settings)
        if decision is None:
            return
        if event.action == REFUNDED:
            self._refund(decision, event.time_ms, step)
            return
        self._see(decision, event.time_ms, step)
        if event.action == DISMISSED:
            step.signals.of(decision.cid, event.time_ms).dismissed += 1
            self._rest(profile, decision, event.time_ms)
        elif event.kind == "browse":
            return
        elif event.kind == "purchase":
            if not decision.converted:
                self._convert(decision, event.time_ms, step)
                self._rest(profile, decision, event.time_ms)
        elif not decision.clicked_ms:
            self._click(decision, event.time_ms, step)

    def _click(self, decision: Decision, at_ms: int, step: AdStep) -> None:
        decision.clicked_ms = at_ms
        signal = step.signals.of(decision.cid, at_ms)
        signal.clicks += 1
        signal.expected_purchases += decision.expected_purchase
        step.delays.append(("click", at_ms - decision.seen_ms))
        step.examples.append(ClickExample(unpacked(decision.features), clicked=True))
        step.purchases.append(ClickExample(unpacked(decision.features), clicked=False))
        self._charge(decision, "cpc", at_ms, step)

    def _convert(self, decision: Decision, at_ms: int, step: AdStep) -> None:
        decision.converted = True
        signal = step.signals.of(decision.cid, at_ms)
        signal.conversions += 1
        signal.bought += decision.clicked_ms > 0
        step.delays.append(("purchase", at_ms - (decision.clicked_ms or decision.seen_ms)))
        if decision.clicked_ms:
            step.purchases.append(ClickExample(unpacked(decision.features), clicked=True))
        self._charge(decision, "cpa", at_ms, step)

    @staticmethod
    def _refund(decision: Decision, at_ms: int, step: AdStep) -> None:
        if decision.converted:
            decision.converted = False
            signal = step.signals.of(decision.cid, at_ms)
            signal.returned += 1
            signal.returned_bought += decision.clicked_ms > 0
            if decision.model == "cpa" and decision.billed:
                decision.billed = False
                signal.refunded += decision.price

    def _see(self, decision: Decision, at_ms: int, step: AdStep) -> None:
        if decision.seen_ms:
            return
        decision.seen_ms = max(at_ms, decision.at_ms)
        signal = step.signals.of(decision.cid, at_ms)
        signal.shown += 1
        signal.expected += decision.expected_click
        step.examples.append(ClickExample(unpacked(decision.features), clicked=False))
        self._charge(decision, "cpm", at_ms, step)

    def _charge(self, decision: Decision, event: str, at_ms: int, step: AdStep) -> None:
        if decision.model == event and not decision.billed:
            decision.billed = True
            step.signals.of(decision.cid, at_ms).charged += decision.price

    def _rest(self, profile: Profile, decision: Decision, at_ms: int) -> None:
        if decision.cool_down_ms:
            profile.ads.rest(decision.cid, at_ms + decision.cool_down_ms)

    def _expire(self, profile: Profile, now_ms: int) -> None:
        if profile.ads.decisions:
            profile.ads.expire(now_ms, self._credit_ms, self.settings.click_credit_ms, self.settings.refund_ms)

    def _find_segments(self, opportunities: Sequence[Opportunity]) -> None:
        """Note each user's interest group among the places."""
        if opportunities and len(self.book):
            groups = self._index.groups.of([found.profile for found in opportunities]).tolist()
            for found, group in zip(opportunities, groups, strict=True):
                if group >= 0:
                    found.places["segment"] = str(group)

    @staticmethod
    def _count_able(asked: Sequence[Opportunity], outcomes: Sequence[Decided], step: AdStep) -> None:
        """Tell the campaigns how many opportunities they could have taken part in."""
        at_ms = max(found.at_ms for found in asked)
        for decided in outcomes:
            for cid, count in decided.opportunities.items():
                step.signals.of(cid, at_ms).opportunities += count

    def _note(self, found: Opportunity, decided: Decided, step: AdStep) -> None:
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
        self._expire(found.profile, found.at_ms)
        found.profile.ads.note(decision, self.settings.decisions, self.settings.campaigns)
        if self.settings.impressions == "inferred":
            self._see(decision, found.at_ms, step)

    def _places(self, asked: Event | AdRequest, profile: Profile, placement: str) -> dict[str, str]:
        places = dict(profile.context)
        remember(places, asked.context, asked.channel)
        places.pop("page", None)
        locale = asked.context.locale if asked.context is not None else None
        if locale:
            places["language"] = locale.partition("-")[0].partition("_")[0]
        return {**places, "placement": placement}


class AdStep(msgspec.Struct):
    """What one step gathers.

    Parameters
    ----------
    signals
        For the campaigns plane.
    examples, purchases
        For the models of clicks, and of purchases after clicks.
    delays
        Between what was seen or clicked and the ``click`` or ``purchase`` that it is credited with, in milliseconds.
    costs
        By campaign, what the decisions are going to cost.
    """

    signals: CampaignSignals
    examples: list[ClickExample] = msgspec.field(default_factory=list)
    purchases: list[ClickExample] = msgspec.field(default_factory=list)
    delays: list[tuple[str, int]] = msgspec.field(default_factory=list)
    costs: dict[str, float] = msgspec.field(default_factory=dict)


def decision_id_of(origin: Origin) -> str:
    """The id of the decision that a record asks for.

    Examples
    --------
    >>> decision_id_of(Origin("events.browse.v1", 3, 1208, 0))
    'events.browse.v1/3/1208/ad'
    """
    return f"{origin.topic}/{origin.partition}/{origin.offset}/ad"
