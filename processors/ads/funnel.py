"""Why a campaign is not delivered: at which stage it leaves the decisions, counted from those logged in full."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from processors.ads.messages import LoggedDecision
from processors.ads.no_bid import NoBid, loss_of, reason_of
from processors.ads.pipeline import EVERY, REASONS, stage_of
from processors.ads.results import is_logged_in_full


class FunnelStep(msgspec.Struct, frozen=True):
    """What one reason took from a campaign.

    Parameters
    ----------
    stage, loss, why
        The stage, the loss reason (:func:`processors.ads.no_bid.loss_of`), and what it means.
    removed
        Number of decisions that the campaign left there.
    left
        Number of those in which it was still there afterwards.
    """

    stage: str
    loss: int
    why: str
    removed: int
    left: int


class Funnel(msgspec.Struct, frozen=True):
    """What became of a campaign in the decisions that are logged in full.

    Parameters
    ----------
    cid
        The campaign.
    decisions
        Number of these decisions since it is known.
    won
        In how many of them it was the ad.
    steps
        What took it from the others, in the order of the stages.
    """

    cid: str
    decisions: int
    won: int
    steps: tuple[FunnelStep, ...]


def funnel_of(cid: str, logged: Iterable[LoggedDecision], share: float) -> Funnel:
    """Count where a campaign left the decisions.

    A share of the decisions, drawn by chance, is logged with what became of every campaign (``users.ads.log_losers``).
    Only these count: of the others the log names the winner alone. Nor do entries count that do not say why the
    campaign lost, as those of older releases.

    Parameters
    ----------
    cid
        The campaign.
    logged
        Messages of ``decision-log.v1``.
    share
        The share.

    Examples
    --------
    >>> from processors.ads.decision import Candidate
    >>> log = [LoggedDecision(f"d{n}", "u", "top", "", (Candidate("a", 506),)) for n in range(2)]
    >>> log += [LoggedDecision("d2", "u", "top", "", (Candidate("a"),), cid="a")]
    >>> found = funnel_of("a", log, share=1.0)
    >>> found.decisions, found.won, [(step.stage, step.removed, step.left) for step in found.steps]
    (3, 1, [('frequency', 2, 1)])
    """
    codes = Counter(
        reason_of(candidate.loss) if candidate.loss else 0
        for decision in logged
        if is_logged_in_full(decision.decision_id, share)
        for candidate in decision.candidates
        if candidate.cid == cid and (candidate.loss or decision.cid == cid)
    )
    left, steps = codes.total(), []
    for code in sorted(codes.keys() - {0}, key=_place_of):
        left -= codes[code]
        steps.append(FunnelStep(stage_of(NoBid(code)), loss_of(code), NoBid(code).text, codes[code], left))
    return Funnel(cid, codes.total(), codes[0], tuple(steps))


def _place_of(code: int) -> tuple[int, int]:
    """Return the place of a code in the order in which the stages run, unlike :data:`REASONS`."""
    names = [stage.name for stage in EVERY]
    stage = stage_of(NoBid(code))
    return names.index(stage) if stage in names else -1, REASONS.index(NoBid(code))
