"""Attribution: which ad led to an event. The decision it names or, without one, the last that led to its item."""

from __future__ import annotations

from processors.ads.settings import AdSettings
from processors.common.hashing import fingerprint
from processors.events.event import DISMISSED, REFUNDED, Event
from processors.users.ad_history import AdHistory, Decision

_SKEW_MS = 300_000
"""How far the clocks of a user's devices may differ, milliseconds."""


def number_of(decision_id: str) -> int:
    """Return the number under which profiles keep a decision."""
    return int.from_bytes(fingerprint(decision_id), "little", signed=False)


def attributed(ads: AdHistory, event: Event, settings: AdSettings) -> Decision | None:
    """Find the decision that an event is attributed to; :obj:`None` if there is none.

    Clicks and purchases count within the windows of the settings, and not if they happened before there was an ad; a
    refund or a dismissal counts whenever it comes. A click on a recommendation is none on an ad for the same item.

    Parameters
    ----------
    ads
        The decisions that the event's user was shown, as far as they are kept.
    """
    if not ads.decisions or (event.action == REFUNDED and event.kind != "purchase"):
        return None
    if event.decision_id:
        found = ads.find(number_of(event.decision_id))
        anytime = event.action in (REFUNDED, DISMISSED)
        return found if found is not None and (anytime or in_window(found, event, settings)) else None
    led = [decision for decision in reversed(ads.decisions) if decision.item_id == event.item_id]
    if event.action == REFUNDED:
        return next((decision for decision in led if decision.converted), None)
    shown = [decision for decision in led if decision.seen_ms or decision.clicked_ms]
    if event.action == DISMISSED:
        return next(iter(shown), None)
    if event.kind == "browse" or event.recommendation_id:
        return None
    if event.kind == "click" and settings.clicks_only_by_id:
        return None
    timely = [decision for decision in shown if in_window(decision, event, settings)]
    if event.kind == "purchase":
        clicked = [decision for decision in timely if decision.clicked_ms]
        return max(clicked, key=lambda decision: decision.clicked_ms) if clicked else next(iter(timely), None)
    return next(iter(timely), None)


def in_window(decision: Decision, event: Event, settings: AdSettings) -> bool:
    """Tell whether a click or a purchase happened after the decision, and within the attribution window."""
    at_ms = event.time_ms
    if at_ms < decision.at_ms - _SKEW_MS:
        return False
    seen = decision.seen_ms or decision.at_ms
    if event.kind != "purchase":
        return at_ms - seen <= settings.click_credit_ms
    after_click = decision.clicked_ms and at_ms - decision.clicked_ms <= settings.purchase_credit_ms
    return bool(after_click) or at_ms - seen <= settings.view_credit_ms
