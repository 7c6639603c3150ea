"""What comes of decisions: an ad is seen, clicked, bought from, dismissed, and charged once.

The decision is found again by the id that the app sends back or, without one, by the item that the ad promoted, the
latest first (:mod:`processors.ads.attribution`). Money is charged once per decision, when what the campaign pays for
happens (:meth:`AdTracking._charge`), and given back when a purchase that was paid for is returned.
"""

from __future__ import annotations

import msgspec

from processors.ads.attribution import attributed, number_of
from processors.ads.lift import Arm
from processors.ads.settings import AdSettings
from processors.ads.signals import CampaignSignal, CampaignSignals
from processors.common.time import MINUTE_MS
from processors.events.event import DISMISSED, REFUNDED, TAKES_BACK, Event
from processors.events.impression import Impression
from processors.models.click_model import ClickExample, unpacked
from processors.users.ad_history import Decision
from processors.users.payments import pieces_of
from processors.users.profile import Profile

_CLICK = "click"


class AdStep(msgspec.Struct):
    """What one step gathers.

    Parameters
    ----------
    signals
        What the campaigns plane is sent.
    examples, purchases
        What the models of clicks, and of purchases after clicks, are sent.
    delays
        ``click`` or ``purchase``, and the milliseconds since the impression or click that it is attributed to.
    costs
        What the decisions are going to cost by campaign, in the currency of the ads.
    """

    signals: CampaignSignals
    examples: list[ClickExample] = msgspec.field(default_factory=list)
    purchases: list[ClickExample] = msgspec.field(default_factory=list)
    delays: list[tuple[str, int]] = msgspec.field(default_factory=list)
    costs: dict[str, float] = msgspec.field(default_factory=dict)


class AdTracking:
    """Finds the decision behind what users see and do, and takes over what it means for campaign and user.

    Parameters
    ----------
    settings
        Settings of the ads.
    """

    def __init__(self, settings: AdSettings) -> None:
        self.settings = settings
        # An impression may come as late as any event, with its own time.
        self._unseen_ms = max(settings.click_credit_ms, settings.late_ms)
        self._attribution_ms = max(settings.click_credit_ms, settings.view_credit_ms, settings.purchase_credit_ms)

    def seen(self, profile: Profile, impression: Impression, step: AdStep) -> None:
        """Take over that an ad was seen, if the impression names its decision."""
        if impression.decision_id and self.settings.impressions == "explicit":
            # Only this decision is judged by the impression's time: others may be seen in time though it is late.
            decision = profile.ads.find(number_of(impression.decision_id))
            if decision is not None and impression.time_ms < decision.unseen_until(self.settings.click_credit_ms):
                self.see(decision, impression.time_ms, step)

    def react(self, profile: Profile, event: Event, step: AdStep) -> None:
        """Take over what an event means for the ad that it is attributed to, if it is to any."""
        self.expire(profile, event.time_ms)
        if event.kind == "purchase" and event.action not in TAKES_BACK:
            self._count_for_lift(profile, event, step)
        decision = attributed(profile.ads, event, self.settings)
        if decision is None:
            return
        if event.action == REFUNDED:
            self._refund(profile, decision, event.time_ms, step)
            return
        self.see(decision, event.time_ms, step)
        if event.action == DISMISSED:
            _add(step, decision, event.time_ms, dismissed=1)
            self._dismiss(profile, decision, event.time_ms)
        elif event.kind == "browse":
            return
        elif event.kind == "purchase":
            if not decision.converted:
                self._convert(decision, event, step)
                profile.ads.count_conversions(decision.cid, 1)
                self._cool_down(profile, decision, event.time_ms)
        elif not decision.clicked_ms and event.action == _CLICK:
            if profile.ads.clicked_since(event.time_ms - MINUTE_MS) >= self.settings.clicks_per_minute:
                _add(step, decision, event.time_ms, filtered=1)
            else:
                self._click(decision, event.time_ms, step)

    def _click(self, decision: Decision, at_ms: int, step: AdStep) -> None:
        decision.clicked_ms = at_ms
        _add(step, decision, at_ms, clicks=1).expected_purchases += decision.expected_purchase
        step.delays.append(("click", at_ms - decision.seen_ms))
        step.examples.append(ClickExample(unpacked(decision.features), clicked=True, expected=decision.expected_click))
        step.purchases.append(ClickExample(unpacked(decision.features), clicked=False))
        self._charge(decision, "cpc", at_ms, step)

    def enter_trial(self, profile: Profile, cid: str, at_ms: int, step: AdStep, *, held: bool) -> None:
        """Note that a campaign with a holdout has won an auction for a user, held out or not."""
        if profile.ads.enter(cid, at_ms, held=held, campaigns=self.settings.campaigns):
            _arm(step, cid, at_ms, held=held).users += 1

    def _count_for_lift(self, profile: Profile, event: Event, step: AdStep) -> None:
        """Count a purchase, of whatever item, for the lift of all campaigns whose trials the user is in."""
        spent = (event.price or 0.0) * pieces_of(event)
        for cid, trial in profile.ads.trials.items():
            if 0 <= event.time_ms - trial.since_ms <= self.settings.lift_ms:
                arm = _arm(step, cid, event.time_ms, held=trial.held)
                arm.buyers += not trial.bought
                arm.revenue += spent
                arm.squares += (2.0 * trial.spent + spent) * spent
                trial.bought, trial.spent = True, trial.spent + spent

    def _convert(self, decision: Decision, event: Event, step: AdStep) -> None:
        at_ms = event.time_ms
        decision.converted, decision.revenue = True, round((event.price or 0.0) * pieces_of(event), 6)
        signal = _add(step, decision, at_ms, conversions=1, revenue=decision.revenue)
        signal.bought += decision.clicked_ms > 0
        if decision.value_share is not None:
            signal.for_goal(decision.pursuit).buy(
                decision.revenue * decision.value_share, max(at_ms - decision.at_ms, 0)
            )
        step.delays.append(("purchase", at_ms - (decision.clicked_ms or decision.seen_ms)))
        if decision.clicked_ms:
            step.purchases.append(ClickExample(unpacked(decision.features), clicked=True))
        self._charge(decision, "cpa", at_ms, step)

    @staticmethod
    def _refund(profile: Profile, decision: Decision, at_ms: int, step: AdStep) -> None:
        if decision.converted:
            decision.converted = False
            profile.ads.count_conversions(decision.cid, -1)
            signal = _add(step, decision, at_ms, returned=1, returned_revenue=decision.revenue)
            signal.returned_bought += decision.clicked_ms > 0
            if decision.value_share is not None:
                goal = signal.for_goal(decision.pursuit)
                goal.returned += 1
                goal.returned_value += decision.revenue * decision.value_share
            if decision.model == "cpa" and decision.billed:
                decision.billed = False
                _add(step, decision, at_ms, refunded=decision.price)
                if decision.value_share is not None:
                    signal.for_goal(decision.pursuit).refunded += decision.price

    def see(self, decision: Decision, at_ms: int, step: AdStep) -> None:
        """Take over that an ad was seen, once: it counts as shown, and is charged if its campaign pays for that."""
        if decision.seen_ms:
            return
        decision.seen_ms = max(at_ms, decision.at_ms)
        _add(step, decision, at_ms, shown=1).expected += decision.expected_click
        step.examples.append(ClickExample(unpacked(decision.features), clicked=False, expected=decision.expected_click))
        self._charge(decision, "cpm", at_ms, step)

    def _charge(self, decision: Decision, event: str, at_ms: int, step: AdStep) -> None:
        if decision.model == event and not decision.billed:
            decision.billed = True
            signal = _add(step, decision, at_ms, charged=decision.price)
            signal.charge_after(max(at_ms - decision.at_ms, 0))
            if decision.value_share is not None:
                signal.for_goal(decision.pursuit).charged += decision.price

    def _dismiss(self, profile: Profile, decision: Decision, at_ms: int) -> None:
        """Let the campaign rest, and by setting what else the user was shown of its advertiser."""
        until_ms = at_ms + (decision.cool_down_ms or self.settings.dismissal_rest_ms)
        profile.ads.cool_down(decision.cid, until_ms)
        if self.settings.dismissal_rests_advertiser:
            for cid, shown in profile.ads.impressions.items():
                if shown.advertiser == decision.advertiser:
                    profile.ads.cool_down(cid, until_ms)

    def _cool_down(self, profile: Profile, decision: Decision, at_ms: int) -> None:
        if decision.cool_down_ms:
            profile.ads.cool_down(decision.cid, at_ms + decision.cool_down_ms)

    def expire(self, profile: Profile, now_ms: int) -> None:
        """Forget the user's decisions that nothing can be attributed to any more, in place."""
        if profile.ads.decisions:
            profile.ads.expire(now_ms, self._attribution_ms, self._unseen_ms, self.settings.refund_ms)


def _add(step: AdStep, decision: Decision, at_ms: int, **figures: float) -> CampaignSignal:
    """Add what came of a decision to its campaign's signal, and return that."""
    return step.signals.add(decision.cid, decision.crid, decision.placement, at_ms, **figures)


def _arm(step: AdStep, cid: str, at_ms: int, *, held: bool) -> Arm:
    """Return what is counted of a campaign's users who are held out, or of the others."""
    signal = step.signals.of(cid, at_ms)
    return signal.lift_held if held else signal.lift_shown
