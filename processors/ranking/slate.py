"""Slates: the lists of items that users are shown at a placement, as arrays of many users and as parts of messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from processors.common.arrays import Floats, Ints
from processors.common.compiled import kernel
from processors.evaluation.live_quality import ShownSlates
from processors.evaluation.published import Published
from processors.items.index import ItemIndex
from processors.ranking.frame import Frame
from processors.ranking.read_models import ReadModels
from processors.ranking.reason_kinds import KINDS
from processors.ranking.reason_texts import ReasonTexts
from processors.ranking.reasons import Reason, reason_of


class SlateItem(msgspec.Struct, frozen=True):
    """The item at one position of a slate.

    Parameters
    ----------
    item_id
        Its id.
    rank
        The position, from 1.
    score
        The score that it was ranked by, rounded to six digits.
    source
        Name of the candidate source that the reason is of.
    reasons
        Why it is in the slate, one reason.
    propensity
        Probability that it was to be in the slate; 1 if nothing was left to chance.
    """

    item_id: str
    rank: int
    score: float
    source: str
    reasons: tuple[Reason, ...]
    propensity: float = 1.0


@dataclass(frozen=True)
class Slates:
    """Slates of several users for one placement.

    Attributes
    ----------
    slots
        Item at each position, shape (users, size); -1 beyond the end of a slate.
    scores, propensities
        Score of each item, and the probability that it was to be in the slate, shape (users, size).
    kinds, links
        The reason for each item: an index into :data:`processors.ranking.reasons.KINDS`, and the user's item (slot) or
        context that it names, -1 if it names none; shape (users, size).
    languages
        Number of each user's language, shape (users,).
    texts
        What reasons say in each language.
    ignored
        By rule id: how many slates were made without the rule because they would have been empty.
    removed
        How many candidates each stage removed, by its name.
    """

    slots: Ints
    scores: Floats
    kinds: Ints
    links: Ints
    propensities: Floats
    languages: Ints
    texts: ReasonTexts
    ignored: Counter[str]
    removed: Counter[str] = field(default_factory=Counter)

    def sample(self, placement: str, index: ItemIndex) -> ShownSlates:
        """Return what the figures of quality need of the first few slates.

        Parameters
        ----------
        placement
            Name of the placement.
        index
            The read model of items.
        """
        slots = self.slots[:_SAMPLED]
        there = np.maximum(slots, 0)
        popularity = index.popularity.visits[there] / max(index.popularity.total, 1.0)
        return ShownSlates.of(placement, slots, index.attributes.category[there].astype(np.int64), popularity)

    def published(
        self,
        placement: int,
        users: Sequence[str],
        moments: Sequence[int],
        index: ItemIndex,
        rows: Sequence[int] | None = None,
    ) -> Published:
        """Return what is remembered of the slates once they are published.

        Parameters
        ----------
        placement
            Number of the placement in the settings.
        users, moments
            The user of each row, and when each was last heard of, milliseconds since the epoch.
        index
            The read model of items.
        rows
            The rows that count; by default all.
        """
        slots = self.slots if rows is None else self.slots[list(rows)]
        marks = np.where(slots >= 0, index.attributes.tie[np.maximum(slots, 0)], -1.0)
        return Published(placement, users, moments, marks)

    def items(self, row: int, read: ReadModels) -> list[SlateItem]:
        """Return the slate of one user as objects; :class:`processors.ranking.slate_writer.SlateWriter` writes many.

        Parameters
        ----------
        row
            Row of the user.
        read
            The read models that the slates were made with, unchanged since; their names of items, categories and
            contexts are looked up only here.
        """
        found = list[SlateItem]()
        columns = (self.slots, self.scores, self.kinds, self.links, self.propensities)
        for rank, (slot, score, kind, link, propensity) in enumerate(
            zip(*(column[row].tolist() for column in columns), strict=True), 1
        ):
            if slot < 0:
                break
            reason = reason_of(kind, link, slot, int(self.languages[row]), self.texts, read)
            found.append(SlateItem(read.items.ids[slot], rank, score, SOURCES[kind], (reason,), propensity))
        return found

    def item_ids(self, row: int, read: ReadModels) -> list[str]:
        """Return the ids of one user's slate, without what people are told of them; parameters as in :meth:`items`."""
        return [read.items.ids[slot] for slot in self.slots[row].tolist() if slot >= 0]


def slates_of(frame: Frame, texts: ReasonTexts) -> Slates:
    """Return the slates of a frame that has been through all stages."""
    slots, scores, propensities = _published(
        frame.numbers, frame.filled, frame.candidates.slots, frame.kept_scores, frame.propensities
    )
    ignored, removed = frame.effects.ignored, +Counter(frame.removed)
    languages = frame.once("languages", lambda: texts.numbers_of(frame.profiles))
    return Slates(slots, scores, frame.kinds, frame.links, propensities, languages, texts, ignored, removed)


@kernel
def _published(numbers, filled, slots, scores, propensities):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return slots, and scores and propensities rounded to six digits, of each position."""
    shape = numbers.shape
    found, rounded, chances = np.full(shape, -1, np.int64), np.zeros(shape), np.empty(shape)
    for user in range(shape[0]):
        for position in range(shape[1]):
            chances[user, position] = np.rint(propensities[user, position] * 1e6) / 1e6
            if filled[user, position]:
                number = numbers[user, position]
                found[user, position] = slots[number]
                rounded[user, position] = np.rint(scores[number] * 1e6) / 1e6
    return found, rounded, chances


def joined(parts: list[Slates]) -> Slates:
    """Join slates of several frames for one placement, one frame after the other; there must be at least one."""
    if len(parts) == 1:
        return parts[0]
    return Slates(
        slots=np.concatenate([part.slots for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        kinds=np.concatenate([part.kinds for part in parts]),
        links=np.concatenate([part.links for part in parts]),
        propensities=np.concatenate([part.propensities for part in parts]),
        languages=np.concatenate([part.languages for part in parts]),
        texts=parts[0].texts,
        ignored=sum((part.ignored for part in parts), Counter()),
        removed=sum((part.removed for part in parts), Counter()),
    )


_SAMPLED = 16
"""Most slates of a frame that the figures of quality are computed from."""

SOURCES = tuple(entry.kind.column or entry.source for entry in KINDS)
"""What a message names as source, per kind of reason: the value that speaks for it, or the source itself."""
