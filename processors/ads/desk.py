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

from processors.ads.book import CampaignBook
from processors.ads.campaign_signals import CampaignSignals
from processors.ads.click_model import ClickExample, ClickTable
from processors.ads.codes import NoBid
from processors.ads.decide import AdSettings, Decided, Decider
from processors.ads.history import Decision
from processors.ads.messages import AdDecision, LoggedDecision, message_of
from processors.ads.targeting import Opportunity
from processors.dead_letters import Origin
from processors.events import DISMISSED, REFUNDED, Event
from processors.impressions import Impression
from processors.item_index import ItemIndex
from processors.keys import fingerprint
from processors.profile import Profile


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
    book, clicks
        The read models of campaigns and of clicks, to be updated between steps.
    decider
        Who decides; a replay of what was decided puts its own here, since decisions are part of the profiles.
    """

    def __init__(self, settings: AdSettings, index: ItemIndex, partitions: int) -> None:
        self.settings = settings
        self.book, self.clicks = CampaignBook(), ClickTable()
        self._index, self._partitions = index, partitions
        self.decider: Decides = Decider(settings, self.book, self.clicks)
        self._credit_ms = max(settings.click_credit_ms, settings.view_credit_ms, settings.purchase_credit_ms)

    def begin(self) -> AdStep:
        """A step's signals and examples, to be filled."""
        return AdStep(CampaignSignals(self._partitions))

    def opportunity(self, event: Event, origin: Origin, profile: Profile) -> Opportunity | None:
        """The opportunity that an event is, if it is one: its kind is among the settings', and it names a placement."""
        placement = event.context.placement if event.context is not None else None
        if event.kind not in self.settings.on or not placement:
            return None
        return Opportunity(
            decision_id=f"{origin.topic}/{origin.partition}/{origin.offset}/ad",
            user_id=event.user_id,
            profile=profile,
            at_ms=event.time_ms,
            placement=placement,
            places=self._places(event, profile, placement),
            floor=self.settings.floors.get(placement, self.settings.floor),
        )

    def decide(self, opportunities: Sequence[Opportunity], step: AdStep) -> list[tuple[AdDecision, LoggedDecision]]:
        """Decide for each opportunity, in order, and note it in the profiles.

        A user's second opportunity is decided for after the first: it must know of it.
        """
        told: dict[int, tuple[AdDecision, LoggedDecision]] = {}
        waiting = list(enumerate(opportunities))
        while waiting:
            turn: dict[str, tuple[int, Opportunity]] = {}
            for entry in waiting:
                turn.setdefault(entry[1].user_id, entry)
            taken = {at for at, _ in turn.values()}
            waiting = [entry for entry in waiting if entry[0] not in taken]
            for (at, found), decided in zip(
                turn.values(), self.decider.decide([found for _, found in turn.values()]), strict=True
            ):
                self._note(found, decided, step)
                told[at] = message_of(found, decided, self.settings.currency, self.settings.expires_ms)
        return [told[at] for at in range(len(opportunities))]

    def seen(self, profile: Profile, impression: Impression, step: AdStep) -> None:
        """Take over that an ad was seen, if the impression names its decision."""
        if impression.decision_id and self.settings.impressions == "explicit":
            decision = profile.ads.find(_number(impression.decision_id))
            if decision is not None:
                self._see(decision, impression.time_ms, step)

    def react(self, profile: Profile, event: Event, step: AdStep) -> None:
        """Take over what an event says of ads that the user was shown."""
        self._expire(profile, event.time_ms)
        decision = self._credited(profile, event)
        if decision is None:
            return
        signal = step.signals.of(decision.cid, event.time_ms)
        if event.action == REFUNDED:
            if decision.converted:
                decision.converted = False
                if decision.model == "cpa" and decision.billed:
                    decision.billed = False
                    signal.refunded += decision.price
            return
        if event.action == DISMISSED:
            signal.dismissed += 1
            self._rest(profile, decision, event.time_ms)
            return
        if not decision.seen_ms:
            self._see(decision, event.time_ms, step)
        if event.kind == "purchase":
            if not decision.converted:
                decision.converted = True
                signal.conversions += 1
                self._charge(decision, "cpa", event.time_ms, step)
                self._rest(profile, decision, event.time_ms)
        elif not decision.clicked_ms:
            decision.clicked_ms = event.time_ms
            signal.clicks += 1
            step.examples.append(ClickExample(decision.features, clicked=True))
            self._charge(decision, "cpc", event.time_ms, step)

    def _credited(self, profile: Profile, event: Event) -> Decision | None:
        """The decision that an event is the doing of: the one it names, or the last that led to its item."""
        if event.decision_id:
            found = profile.ads.find(_number(event.decision_id))
            return found if found is not None and self._in_time(found, event) else None
        if event.kind == "browse" or event.action in (DISMISSED, REFUNDED):
            return None
        led = (d for d in reversed(profile.ads.decisions) if d.item_id == event.item_id and (d.seen_ms or d.clicked_ms))
        in_time = [decision for decision in led if self._in_time(decision, event)]
        if event.kind == "purchase":
            clicked = [decision for decision in in_time if decision.clicked_ms]
            return next(iter(clicked or in_time), None)
        return next((decision for decision in in_time if not decision.clicked_ms), None)

    def _in_time(self, decision: Decision, event: Event) -> bool:
        settings, at_ms = self.settings, event.time_ms
        seen = decision.seen_ms or decision.at_ms
        if event.kind != "purchase":
            return at_ms - seen <= settings.click_credit_ms
        after_click = decision.clicked_ms and at_ms - decision.clicked_ms <= settings.purchase_credit_ms
        return bool(after_click) or at_ms - seen <= settings.view_credit_ms

    def _see(self, decision: Decision, at_ms: int, step: AdStep) -> None:
        if decision.seen_ms:
            return
        decision.seen_ms = at_ms
        signal = step.signals.of(decision.cid, at_ms)
        signal.shown += 1
        signal.expected += decision.p_click
        step.examples.append(ClickExample(decision.features, clicked=False))
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
            profile.ads.expire(now_ms, self._credit_ms)

    def _note(self, found: Opportunity, decided: Decided, step: AdStep) -> None:
        for cid in decided.could:
            step.signals.of(cid, found.at_ms).opportunities += 1
        step.nbr.append(decided.nbr)
        creative, campaign = decided.creative, decided.campaign
        if creative is None or campaign is None:
            return
        decision = Decision(
            number=_number(found.decision_id),
            cid=decided.cid,
            crid=creative.crid,
            advertiser=campaign.advertiser,
            at_ms=found.at_ms,
            expires_ms=found.at_ms + self.settings.expires_ms,
            price=decided.price,
            model=campaign.model,
            p_click=decided.p_click,
            cool_down_ms=campaign.frequency.cool_down_ms,
            item_id=creative.item_id,
            features=decided.features,
        )
        self._expire(found.profile, found.at_ms)
        found.profile.ads.note(decision, self.settings.decisions, self.settings.campaigns)
        step.signals.of(decided.cid, found.at_ms).decided += 1
        if self.settings.impressions == "inferred":
            self._see(decision, found.at_ms, step)

    def _places(self, event: Event, profile: Profile, placement: str) -> dict[str, str]:
        places = {name: value for name, value in profile.context.items() if name != "page"}
        locale = event.context.locale if event.context is not None else None
        if locale:
            places["language"] = locale.partition("-")[0].partition("_")[0]
        (group,) = self._index.groups.of([profile]).tolist()
        if group >= 0:
            places["segment"] = str(group)
        return {**places, "placement": placement}


class AdStep(msgspec.Struct):
    """What one step gathers: signals for the campaigns plane, examples for the click model, and why there was no ad."""

    signals: CampaignSignals
    examples: list[ClickExample] = msgspec.field(default_factory=list)
    nbr: list[NoBid | None] = msgspec.field(default_factory=list)


def _number(decision_id: str) -> int:
    return int.from_bytes(fingerprint(decision_id), "little", signed=False)
