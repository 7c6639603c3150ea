"""How slates are made: placements, sources, how much is learned, explored and spread."""

from __future__ import annotations

import msgspec

from processors.common.bounds import Examples as ExampleCount
from processors.common.bounds import HalfLife, ItemDays, Natural, Positions, Rate, Share
from processors.common.time import DAY_MS
from processors.ranking.eligibility import Unknown
from processors.ranking.objectives import Objectives
from processors.ranking.sources import SourceSettings
from processors.ranking.sources.base import Locale


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
    size: Positions = 20


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
