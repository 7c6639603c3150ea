"""Slates: what users are shown at the placements of an app, as arrays, and as messages."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from processors.common.arrays import Floats, Ints
from processors.evaluation.live_quality import ShownSlates
from processors.items.index import ItemIndex
from processors.ranking.frame import Frame
from processors.ranking.read_models import ReadModels
from processors.ranking.reasons import CATEGORY, KINDS, Reason, reason_of
from processors.ranking.sources.base import Locale


class SlateItem(msgspec.Struct, frozen=True):
    """One place of a slate.

    Parameters
    ----------
    propensity
        How likely the item was to be in the slate; 1 where nothing was left to chance.
    """

    item_id: str
    rank: int
    score: float
    source: str
    reasons: tuple[Reason, ...]
    propensity: float = 1.0


@dataclass(frozen=True)
class Slates:
    """Slates of several users for one placement, as arrays of shape (users, size).

    ``slots`` is -1 beyond the end of a slate; ``kinds`` are indices into :data:`processors.ranking.reasons.KINDS`;
    ``because`` is the slot of the user's own item behind a reason, else -1; ``ignored`` counts the slates that a rule
    was left out for, by rule id.
    """

    slots: Ints
    scores: Floats
    kinds: Ints
    because: Ints
    propensities: Floats
    locale: Locale
    ignored: Counter[str]
    removed: Counter[str] = field(default_factory=Counter)
    _reasons: dict[int, tuple[tuple[Reason, ...], str]] = field(default_factory=dict, init=False, repr=False)
    _made: list[list[list[Any]]] = field(default_factory=list, init=False, repr=False)

    def sample(self, placement: str, index: ItemIndex) -> ShownSlates:
        """Some of the slates, for the figures of their quality."""
        slots = self.slots[:_SAMPLED]
        there = np.maximum(slots, 0)
        popularity = index.popularity.visits[there] / max(float(index.popularity.visits.sum()), 1.0)
        return ShownSlates(placement, slots, index.attributes.category[there].astype(np.int64), popularity)

    def items(self, row: int, read: ReadModels) -> list[SlateItem]:
        """The slate of one user."""
        ids, found, reasons = read.items.ids, list[SlateItem](), self._reasons
        slots, scores, codes, propensities = self._lists(read.items)
        for rank, (slot, score, code, propensity) in enumerate(
            zip(slots[row], scores[row], codes[row], propensities[row], strict=True), 1
        ):
            if slot < 0:
                break
            explained = reasons.get(code)
            if explained is None:
                kind, because = int(self.kinds[row, rank - 1]), int(self.because[row, rank - 1])
                explained = (reason_of(kind, because, slot, self.locale, read),), _SOURCES[kind]
                reasons[code] = explained
            found.append(SlateItem(ids[slot], rank, score, explained[1], explained[0], propensity))
        return found

    def _lists(self, index: ItemIndex) -> tuple[list[list[Any]], ...]:
        """Slots, scores, codes that tell reasons apart, and propensities, made once for all rows."""
        if not self._made:
            of_category = np.isin(self.kinds, CATEGORY)
            about = np.where(of_category, index.attributes.category[np.maximum(self.slots, 0)], self.because)
            columns = self.slots, self.scores, about * len(KINDS) + self.kinds, self.propensities
            self._made.extend(column.tolist() for column in columns)
        return tuple(self._made)


def slates_of(frame: Frame, locale: Locale) -> Slates:
    """Return the slates of a frame that has been through all stages."""
    shape, flat = frame.numbers.shape, np.flatnonzero(frame.filled)
    picked = frame.numbers.ravel()[flat]
    slots, scores = np.full(frame.numbers.size, -1, np.int64), np.zeros(frame.numbers.size)
    slots[flat] = frame.candidates.slots[picked]
    scores[flat] = np.round(frame.offered[picked], 6)
    return Slates(
        slots.reshape(shape),
        scores.reshape(shape),
        frame.kinds,
        frame.because,
        np.round(frame.propensities, 6),
        locale,
        frame.effects.ignored,
        frame.removed,
    )


def joined(parts: list[Slates], order: Ints) -> Slates:
    """Slates of several passes as one, its rows in the order given."""
    return Slates(
        slots=np.concatenate([part.slots for part in parts])[order],
        scores=np.concatenate([part.scores for part in parts])[order],
        kinds=np.concatenate([part.kinds for part in parts])[order],
        because=np.concatenate([part.because for part in parts])[order],
        propensities=np.concatenate([part.propensities for part in parts])[order],
        locale=parts[0].locale,
        ignored=sum((part.ignored for part in parts), Counter()),
        removed=sum((part.removed for part in parts), Counter()),
    )


_SAMPLED = 16
"""Slates of a step that the figures of quality look at, at most."""

_SOURCES = tuple(entry.kind.column or entry.source for entry in KINDS)
