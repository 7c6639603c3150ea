"""What ads a user was shown, and what came of them: for frequency caps, and for who gets the credit.

Decisions are kept until everything that may come of them has had its time; showings for as long as the longest cap
looks back. All of it is bounded.

A decision counts against the caps from the moment it is made, seen or not: an app that asks twice at once must not be
able to show a campaign more often than it may. One that is never seen is forgiven when it has expired, and nothing that
says otherwise can be on its way any more.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from processors.common.time import DAY_MS

Model = Literal["cpm", "cpc", "cpa"]
"""What is paid for: a thousand impressions, a click, a purchase."""

MAX_TIMES = 100
"""Impressions of a campaign to one user that are told apart within a day; caps above make no sense."""


class Decision(msgspec.Struct, array_like=True):
    """An ad that was decided for, as far as what comes of it must know.

    Parameters
    ----------
    number
        Of the decision, as :func:`processors.common.hashing.fingerprint` gives it.
    price
        What is charged if what is paid for happens, in the campaign's currency.
    cool_down_ms
        How long the campaign rests after a purchase or a dismissal.
    item_id
        What it promotes.
    expected_click, expected_purchase
        Probabilities as the models gave them, before the campaign's calibration.
    features
        Of the click model, packed (:func:`processors.models.click_model.packed`): a profile holds many decisions.
    seen_ms, clicked_ms
        When it was seen and clicked; 0 if not.
    billed, converted
        Whether what is paid for was charged, and whether a purchase was credited to it.
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

    def unseen_until(self, unseen_ms: int) -> int:
        """When it is given up if it was not seen: when it has expired, and ``unseen_ms`` after it was made are over."""
        return max(self.expires_ms, self.at_ms + unseen_ms + 1)


class Shown(msgspec.Struct, array_like=True):
    """How often a campaign was shown: when, the last times of a day, and in all; and until when it rests."""

    advertiser: str
    times: list[int] = msgspec.field(default_factory=list)
    total: int = 0
    rests_until_ms: int = 0


class AdHistory(msgspec.Struct, array_like=True):
    """A user's ads: decisions by age, and showings by campaign, the one shown last at the end.

    ``next_ms`` is the first moment at which a decision may have had its time, milliseconds since the epoch.
    """

    decisions: list[Decision] = msgspec.field(default_factory=list)
    shown: dict[str, Shown] = msgspec.field(default_factory=dict)
    next_ms: int = 0

    def note(self, decision: Decision, decisions: int, campaigns: int) -> None:
        """Take over a decision, in place.

        Parameters
        ----------
        decisions, campaigns
            Kept at most; the oldest decision and the campaign shown the longest ago go first.
        """
        self.next_ms = min(self.next_ms, decision.expires_ms) if self.decisions else decision.expires_ms
        self.decisions.append(decision)
        # One that goes before its time stays counted: it may be on a screen.
        del self.decisions[:-decisions]
        shown = self.shown.pop(decision.cid, None) or Shown(decision.advertiser)
        shown.advertiser = decision.advertiser
        lately = [time for time in shown.times if time > decision.at_ms - DAY_MS]
        shown.times = [*lately, decision.at_ms][-MAX_TIMES:]
        shown.total += 1
        self.shown[decision.cid] = shown
        if len(self.shown) > campaigns:
            del self.shown[next(iter(self.shown))]

    def find(self, number: int) -> Decision | None:
        """The decision of a number, if it is still kept."""
        return next((decision for decision in self.decisions if decision.number == number), None)

    def rest(self, cid: str, until_ms: int) -> None:
        """Let a campaign rest, in place."""
        shown = self.shown.get(cid)
        if shown is not None:
            shown.rests_until_ms = max(shown.rests_until_ms, until_ms)

    def expire(self, now_ms: int, credit_ms: int, unseen_ms: int = 0, refund_ms: int = 0) -> list[Decision]:
        """Let go of decisions whose time is over, in place.

        Parameters
        ----------
        credit_ms
            How long after an ad was decided for, seen or clicked something may still come of it.
        unseen_ms
            How long after it was decided for one that was not seen is kept, if that is longer than it holds: what says
            that it was seen may be late.
        refund_ms
            How much longer one is kept that a purchase was credited to.

        Returns
        -------
        list of Decision
            Those that go.
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
                self._forgive(decision)
        self.decisions, self.next_ms = kept, next_ms
        return gone

    def _forgive(self, decision: Decision) -> None:
        """Take back from the caps what was never seen."""
        shown = self.shown.get(decision.cid)
        if shown is not None:
            shown.total = max(0, shown.total - 1)
            if decision.at_ms in shown.times:
                shown.times.remove(decision.at_ms)
