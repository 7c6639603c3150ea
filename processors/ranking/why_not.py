"""Why an item is not in a slate: the stage of the ranking that kept it out."""

from __future__ import annotations

import msgspec
import numpy as np

from processors.ranking.frame import Frame, Stage
from processors.ranking.pipeline import RankingPipeline
from processors.ranking.read_models import ReadModels
from processors.ranking.selection import Top, position_in_slate
from processors.users.profile import Profile

UNKNOWN = "unknown"
"""Stage of the answer about an item that there is not."""

Trace = list[tuple[Stage, Frame, Frame]]
"""The stages that a frame went through, each with a copy of the frame from before and from after it."""


class WhyNot(msgspec.Struct, frozen=True):
    """Why an item is, or is not, in a user's slate at a placement.

    Parameters
    ----------
    placement
        Name of the placement.
    stage
        Name of the stage that kept the item out (:attr:`processors.ranking.frame.Stage.name`); ``unknown`` if there is
        no such item, ``shown`` if it is in the slate.
    text
        The same as a sentence for people.
    """

    placement: str
    stage: str
    text: str


def why_not(pipeline: RankingPipeline, profile: Profile, item: str, read: ReadModels, at_ms: int) -> list[WhyNot]:
    """Find, per placement, which stage keeps an item out of a user's slate.

    Runs the same stages that rank, for this user alone, and asks each of them.

    Parameters
    ----------
    pipeline
        The ranking.
    profile
        The user.
    item
        The item's id; the item need not be known.
    read
        The read models.
    at_ms
        The moment that the slates are for, milliseconds since the epoch.

    Returns
    -------
    list of WhyNot
        One per placement, in the order of the settings.
    """
    slot = read.items.slot(item)
    placements = pipeline.settings.placements
    if slot < 0:
        text = "no event and no row of the catalogue has named it, it was withdrawn, or it fell out of the item index"
        return [WhyNot(placement.name, UNKNOWN, text) for placement in placements]
    frame = pipeline.begin([profile], [at_ms], read, at_ms)
    shared = _traced(pipeline, frame, shared=True)
    found = np.flatnonzero(frame.candidates.slots == slot)
    number = int(found[0]) if len(found) else -1
    answers = []
    for at, placement in enumerate(placements):
        part = pipeline.for_placement(frame, at)
        trace = shared + _traced(pipeline, part, shared=False)
        answer = _answer(trace, part, number) if number >= 0 else _answer_for_no_candidate(trace, part, slot)
        answers.append(WhyNot(placement.name, *answer))
    return answers


def _traced(pipeline: RankingPipeline, frame: Frame, *, shared: bool) -> Trace:
    """Run the stages one by one, and keep a copy of the frame from before and after each."""
    trace: Trace = []
    for stage in pipeline.stages_for("slate", shared=shared):
        before = frame.copied()
        pipeline.run([stage], frame)
        trace.append((stage, before, frame.copied()))
    return trace


def _answer(trace: Trace, frame: Frame, number: int) -> tuple[str, str]:
    """Return the name of the stage that kept a candidate out, and its explanation."""
    position = position_in_slate(frame, number)
    if position is not None:
        return "shown", f"it is in the slate, at position {position + 1}"
    # Later stages may bring back what an earlier one left out (a pin, a new item), so the last one to drop it counts.
    for stage, before, after in reversed(trace):
        text = stage.why(before, after, number)
        if text is not None:
            notes = [stage.note(frame, number) for stage, _, _ in trace] if isinstance(stage, Top) else []
            return stage.name, "; ".join([text, *(note for note in notes if note is not None)])
    raise AssertionError(f"no stage says why candidate {number} is not in the slate")


def _answer_for_no_candidate(trace: Trace, frame: Frame, slot: int) -> tuple[str, str]:
    """Return the stage that would keep the item out whoever proposed it, or else that nothing proposes it."""
    for stage, _, _ in trace[1:]:
        text = stage.why_item(frame, slot)
        if text is not None:
            return stage.name, text
    gather = trace[0][0]
    return gather.name, gather.removes or ""
