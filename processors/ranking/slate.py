"""Slates: what users are shown at the placements of an app, as arrays, and as messages.

The way of a slate: sources propose (:mod:`processors.ranking.candidates`), each candidate gets its features
(:mod:`processors.ranking.features`), the learned ranker scores them (:mod:`processors.models.ranker_weights`), the best
are taken (:mod:`processors.ranking.pipeline`), and each is explained (:mod:`processors.ranking.reasons`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from processors.common.arrays import Floats, Ints
from processors.common.bounds import Examples as ExampleCount
from processors.common.bounds import HalfLife, ItemDays, Natural, Places, Rate, Share
from processors.common.time import DAY_MS
from processors.evaluation.live_quality import Shown
from processors.items.index import ItemIndex
from processors.ranking.eligibility import Unknown
from processors.ranking.objectives import Objectives
from processors.ranking.reasons import CATEGORY, KINDS, Locale, Reason, reason_of
from processors.ranking.sources import SourceSettings


class Placement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place in the app that shows a slate.

    Parameters
    ----------
    name
        As in the messages.
    only_new
        Leave out everything the user has touched.
    size
        Items in the slate, at most.
    """

    name: str
    only_new: bool = False
    size: Places = 20


class RankingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Placements, sources, and how much is learned.

    Parameters
    ----------
    locale
        Language of the reasons' texts.
    training_examples
        Users per micro-batch whose choice the ranker learns from, at most: bounds the cost under load, where there are
        examples enough. 0 learns nothing.
    diversity
        0 to 1: how much an item loses whose category fills the places above it. 0 is the order of the scores.
    exploration
        Share of the slates that give one place to a new item, at most: a bandit finds the part of it that serves users
        (:mod:`processors.models.exploration_rate`).
    new_item_days
        How long an item is new after it was first seen.
    objectives
        What a slate is to bring, and how the ends are weighed.
    unknown_limits
        Whether items with limits of age or region are shown to users whose age or place is not known.
    fatigue
        What an item loses in score each time it was shown without a reaction; 0 turns fatigue off. Scores are logits:
        0.5 takes two fifths of the odds.
    fatigue_after
        Times an item may be shown before it loses anything.
    fatigue_half_life_ms
        Time since an item was last shown after which it loses half as much.
    """

    placements: tuple[Placement, ...] = (Placement("home"), Placement("discover", only_new=True))
    sources: SourceSettings = SourceSettings()
    locale: Locale = "en"
    training_examples: ExampleCount = 32
    diversity: Share = 0.0
    exploration: Share = 0.05
    new_item_days: ItemDays = 3.0
    objectives: Objectives = Objectives()
    unknown_limits: Unknown = "hide"
    fatigue: Rate = 0.5
    fatigue_after: Natural = 3
    fatigue_half_life_ms: HalfLife = DAY_MS


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
    _reasons: dict[int, tuple[tuple[Reason, ...], str]] = field(default_factory=dict, init=False, repr=False)
    _made: list[list[list[Any]]] = field(default_factory=list, init=False, repr=False)

    def sample(self, placement: str, index: ItemIndex) -> Shown:
        """Some of the slates, for the figures of their quality."""
        slots = self.slots[:_SAMPLED]
        there = np.maximum(slots, 0)
        popularity = index.popularity.visits[there] / max(float(index.popularity.visits.sum()), 1.0)
        return Shown(placement, slots, index.attributes.category[there].astype(np.int64), popularity)

    def items(self, row: int, index: ItemIndex) -> list[SlateItem]:
        """The slate of one user."""
        ids, found, reasons = index.ids, list[SlateItem](), self._reasons
        slots, scores, codes, propensities = self._lists(index)
        for rank, (slot, score, code, propensity) in enumerate(
            zip(slots[row], scores[row], codes[row], propensities[row], strict=True), 1
        ):
            if slot < 0:
                break
            explained = reasons.get(code)
            if explained is None:
                kind, because = int(self.kinds[row, rank - 1]), int(self.because[row, rank - 1])
                explained = (reason_of(kind, because, slot, self.locale, index),), _SOURCES[kind]
                reasons[code] = explained
            found.append(SlateItem(ids[slot], rank, score, explained[1], explained[0], propensity))
        return found

    def _lists(self, index: ItemIndex) -> tuple[list[list[Any]], ...]:
        """Slots, scores, codes that tell reasons apart, and propensities, made once for all rows."""
        if not self._made:
            about = np.where(self.kinds == CATEGORY, index.attributes.category[np.maximum(self.slots, 0)], self.because)
            columns = self.slots, self.scores, about * len(KINDS) + self.kinds, self.propensities
            self._made.extend(column.tolist() for column in columns)
        return tuple(self._made)


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
    )


_SAMPLED = 16
"""Slates of a step that the figures of quality look at, at most."""

_SOURCES = tuple(kind.column or kind.source for kind in KINDS)
