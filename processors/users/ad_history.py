"""A user's ad history: decisions still open to clicks and purchases, and impressions per campaign for frequency caps.

A decision is kept for as long as a click, a purchase or a refund may still be attributed to it; impressions of a
campaign are counted for as long as the longest cap looks back. Both are bounded in number.

A decision counts against the caps from the moment it is made, seen or not: an app that asks twice at once must not be
able to show a campaign more often than its cap allows. A decision that was never seen is taken off the caps again once
it has expired and no impression of it can still arrive.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from processors.common.time import DAY_MS

Model = Literal["cpm", "cpc", "cpa"]
"""What a campaign pays for: an impression (priced per thousand), a click, a purchase."""

PAID_FOR: dict[Model, str] = {"cpm": "impression", "cpc": "click", "cpa": "purchase"}
"""The same in words."""

MAX_TIMES = 100
"""Impressions of a campaign whose times are kept per user. A cap above this would never be reached."""


class Decision(msgspec.Struct, array_like=True):
    """An ad decision, as far as attribution and charging need it later.

    Parameters
    ----------
    number
        Fingerprint of the decision's id (:func:`processors.common.hashing.fingerprint`) as a whole number.
    cid, crid, advertiser
        Ids of the campaign and the creative, and name of the advertiser.
    at_ms
        When it was made, milliseconds since the epoch.
    expires_ms
        Until when the app may show the ad, milliseconds since the epoch.
    price
        What is charged if the event that the campaign pays for happens, in the campaign's currency.
    model
        Which event the campaign pays for.
    cool_down_ms
        How long the campaign is not shown to the user after a purchase or a dismissal, milliseconds; 0 for none.
    item_id
        The item that the ad promotes, if it promotes one.
    expected_click, expected_purchase
        Probabilities that the models gave, before they were multiplied by the campaign's calibration.
    features
        Features of the click model, packed (:func:`processors.models.click_model.packed`): a profile holds many
        decisions.
    seen_ms, clicked_ms
        When it was seen and clicked, milliseconds since the epoch; 0 if it was not.
    billed
        Whether the price was charged.
    converted
        Whether a purchase was attributed to it.
    page
        The page that it was made for, if the app names it.
    revenue
        Money of the purchase that was attributed to it.
    placement
        Where it was made for.
    value_share
        The share of the money of a purchase that counts for the campaign's goal; :obj:`None` if it has none.
    pursuit
        Which pursuit of a goal of the campaign the decision was made in, counted from 1; 0 without one.
    """

    number: int
    cid: str
    crid: str
    advertiser: str
    at_ms: int
    expires_ms: int
    price: float
    model: Model
    expected_click: float
    cool_down_ms: int = 0
    item_id: str | None = None
    features: bytes = b""
    seen_ms: int = 0
    clicked_ms: int = 0
    billed: bool = False
    converted: bool = False
    expected_purchase: float = 0.0
    page: str = ""
    revenue: float = 0.0
    placement: str = ""
    value_share: float | None = None
    pursuit: int = 0

    def unseen_until(self, unseen_ms: int) -> int:
        """Return until when an impression of it is awaited, milliseconds since the epoch.

        Parameters
        ----------
        unseen_ms
            Milliseconds after the decision for which an impression may still arrive, even past the expiry.
        """
        return max(self.expires_ms, self.at_ms + unseen_ms + 1)


def _worth(decision: Decision, now_ms: int) -> tuple[int, int]:
    """Return how much may still come of a decision, for comparison: by what became of it, then by its age."""
    if decision.clicked_ms or decision.converted:
        return 3, decision.at_ms
    if decision.seen_ms:
        return 1, decision.at_ms
    return (2 if now_ms < decision.expires_ms else 0), decision.at_ms


class CampaignImpressions(msgspec.Struct, array_like=True):
    """Impressions of one campaign to one user, as frequency caps count them: from the decision on.

    Parameters
    ----------
    advertiser
        The campaign's advertiser.
    times
        Times of those of the last day, milliseconds since the epoch, at most :data:`MAX_TIMES`.
    total
        Number of all of them.
    cool_down_until_ms
        Until when the campaign must not be shown to the user again, milliseconds since the epoch; 0 for no cool-down.
    earlier
        Times of those before the last day, oldest first, as far back as a cap by week or month of the campaign needs
        them; with ``times`` at most :data:`MAX_TIMES`, which no cap is above, so that they are counted exactly.
    conversions
        Purchases that it led to, less those that were returned.
    """

    advertiser: str
    times: list[int] = msgspec.field(default_factory=list)
    total: int = 0
    cool_down_until_ms: int = 0
    earlier: list[int] = msgspec.field(default_factory=list)
    conversions: int = 0

    def add(self, at_ms: int, keep_ms: int = DAY_MS) -> None:
        """Count one more, in place, and forget times that no cap asks for.

        Parameters
        ----------
        at_ms
            When it was decided, milliseconds since the epoch.
        keep_ms
            How far back caps look, milliseconds; a day at least.

        Examples
        --------
        >>> counted = CampaignImpressions("shop")
        >>> for at_ms in (0, 2 * DAY_MS, 3 * DAY_MS, 8 * DAY_MS):
        ...     counted.add(at_ms, keep_ms=7 * DAY_MS)
        >>> counted.times, counted.earlier, counted.total
        ([691200000], [172800000, 259200000], 4)
        """
        of_last_day = [time for time in self.times if time > at_ms - DAY_MS]
        if keep_ms > DAY_MS or self.earlier:
            known = sorted((*self.earlier, *(time for time in self.times if time <= at_ms - DAY_MS)))
            kept = [time for time in known if time > at_ms - keep_ms]
            room = max(MAX_TIMES - len(of_last_day) - 1, 0)
            self.earlier = kept[max(len(kept) - room, 0) :]
        self.times = [*of_last_day, at_ms][-MAX_TIMES:]
        self.total += 1

    def since(self, begin_ms: int) -> int:
        """Return how many came after a moment, milliseconds since the epoch, of those whose times are kept."""
        times = (*self.earlier, *self.times) if self.earlier else self.times
        return len([time for time in times if time > begin_ms])

    def take_off(self, at_ms: int) -> None:
        """Take off one that was never seen, decided at a moment, in place."""
        self.total = max(0, self.total - 1)
        for times in (self.times, self.earlier):
            if at_ms in times:
                times.remove(at_ms)
                return


class Trial(msgspec.Struct, array_like=True):
    """A user's part in finding the lift of a campaign.

    Parameters
    ----------
    since_ms
        When the campaign won an auction for the user for the first time, milliseconds since the epoch.
    held
        Whether the user is held out, and was shown nothing.
    spent
        What the user has spent since, in the currency of the ads.
    bought
        Whether the user has bought anything since.
    """

    since_ms: int
    held: bool
    spent: float = 0.0
    bought: bool = False


class AdHistory(msgspec.Struct, array_like=True):
    """A user's ads.

    Parameters
    ----------
    decisions
        Decisions that something may still be attributed to, oldest first.
    impressions
        Impressions by campaign id, the campaign shown last at the end.
    next_ms
        First moment at which :meth:`expire` may find a decision to drop, milliseconds since the epoch.
    trials
        By campaign with a holdout that has won an auction for the user, the earliest first.
    """

    decisions: list[Decision] = msgspec.field(default_factory=list)
    impressions: dict[str, CampaignImpressions] = msgspec.field(default_factory=dict)
    next_ms: int = 0
    trials: dict[str, Trial] = msgspec.field(default_factory=dict)

    def note(self, decision: Decision, decisions: int, campaigns: int, keep_ms: int = DAY_MS) -> None:
        """Add a decision and count it against its campaign's caps, in place.

        Parameters
        ----------
        decision
            The decision, the latest so far.
        decisions, campaigns
            Decisions and campaigns kept at most. Of decisions those go first that least may still come of: never seen
            and expired, then seen, then not seen yet, then clicked; of these the oldest. Of campaigns the one shown the
            longest ago goes first. A dropped decision gets no more clicks or purchases, a dropped campaign is no longer
            capped.
        keep_ms
            How far back the campaign's caps look, milliseconds.
        """
        self.next_ms = min(self.next_ms, decision.expires_ms) if self.decisions else decision.expires_ms
        self.decisions.append(decision)
        # A decision dropped here stays counted against the caps: its ad may be on a screen.
        while len(self.decisions) > decisions:
            self.decisions.remove(min(self.decisions[:-1], key=lambda one: _worth(one, decision.at_ms)))
        counted = self.impressions.pop(decision.cid, None) or CampaignImpressions(decision.advertiser)
        counted.advertiser = decision.advertiser
        counted.add(decision.at_ms, keep_ms)
        self.impressions[decision.cid] = counted
        if len(self.impressions) > campaigns:
            del self.impressions[next(iter(self.impressions))]

    def enter(self, cid: str, at_ms: int, *, held: bool, campaigns: int) -> bool:
        """Note that a campaign with a holdout has won, and return whether that is the first time.

        A user takes part in the trials of ``campaigns`` campaigns at most: whoever was forgotten would count twice.
        """
        if cid in self.trials or len(self.trials) >= campaigns:
            return False
        self.trials[cid] = Trial(at_ms, held)
        return True

    def find(self, number: int) -> Decision | None:
        """Find the decision with that number; :obj:`None` if it is not kept (any more)."""
        return next((decision for decision in self.decisions if decision.number == number), None)

    def clicked_since(self, since_ms: int) -> int:
        """Return how many of the decisions kept were clicked after a moment, milliseconds since the epoch."""
        return sum(1 for decision in self.decisions if decision.clicked_ms > since_ms)

    def count_conversions(self, cid: str, change: int) -> None:
        """Add to the purchases that a campaign led to, or take off what was returned, in place."""
        counted = self.impressions.get(cid)
        if counted is not None:
            counted.conversions = max(0, counted.conversions + change)

    def cool_down(self, cid: str, until_ms: int) -> None:
        """Keep a campaign from being shown before ``until_ms`` (milliseconds since the epoch), in place."""
        counted = self.impressions.get(cid)
        if counted is not None:
            counted.cool_down_until_ms = max(counted.cool_down_until_ms, until_ms)

    def expire(self, now_ms: int, credit_ms: int, unseen_ms: int = 0, refund_ms: int = 0) -> list[Decision]:
        """Drop the decisions that nothing can be attributed to any more, in place.

        Parameters
        ----------
        now_ms
            The present, milliseconds since the epoch.
        credit_ms
            How long after a decision, its impression or its click something may still be attributed to it,
            milliseconds.
        unseen_ms
            How long after a decision its impression may still arrive, milliseconds; it may be later than the expiry.
        refund_ms
            How much longer a decision is kept that a purchase was attributed to, milliseconds.

        Returns
        -------
        list of Decision
            The decisions dropped.
        """
        if now_ms < self.next_ms:
            return []
        kept, gone, next_ms = list[Decision](), list[Decision](), now_ms + credit_ms
        for decision in self.decisions:
            seen = decision.seen_ms or decision.clicked_ms
            longest_ms = credit_ms + (refund_ms if decision.converted else 0)
            last_ms = max(decision.at_ms, decision.seen_ms, decision.clicked_ms) + longest_ms + 1
            over_ms = last_ms if seen else decision.unseen_until(unseen_ms)
            if now_ms < over_ms:
                kept.append(decision)
                next_ms = min(next_ms, over_ms)
                continue
            gone.append(decision)
            if not seen:
                self._uncount(decision)
        self.decisions, self.next_ms = kept, next_ms
        return gone

    def _uncount(self, decision: Decision) -> None:
        """Take a decision that was never seen off the caps of its campaign."""
        counted = self.impressions.get(decision.cid)
        if counted is not None:
            counted.take_off(decision.at_ms)
