"""Settings of the ranking: placements, sources, and how much is learned, explored and spread."""

from __future__ import annotations

from typing import Annotated

import msgspec

from processors.common.bounds import Examples as ExampleCount
from processors.common.bounds import HalfLife, ItemDays, Natural, Positions, Rate, Share
from processors.common.time import DAY_MS
from processors.ranking.eligibility import Unknown
from processors.ranking.objectives import Objectives
from processors.ranking.sources import SourceSettings


class Placement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the app that shows a slate.

    Parameters
    ----------
    name
        Its name, as in the messages.
    only_new
        Whether its slates leave out everything that the user has touched.
    size
        Positions of a slate.
    """

    name: str
    only_new: bool = False
    size: Positions = 20


class RankingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How slates are made.

    Parameters
    ----------
    placements
        The placements that slates are made for.
    anchored
        Placements whose slates are made on request only, beside an item or a basket.
    sources
        Which sources are off, and how many items the others propose.
    locale
        Language of the reasons' texts for users whose own (``context.locale``) is not known or has none.
    texts
        Texts in further languages, or other words than the built-in English and Chinese: by language and kind of reason
        (:class:`processors.ranking.reason_texts.ReasonTexts`).
    training_examples
        Most users per micro-batch whose choice the ranker learns from: bounds the cost under load, where there are
        examples enough. 0 learns nothing.
    diversity
        0 to 1: how much an item loses, as a part of the range of the user's scores, if its category fills all positions
        above it. 0 keeps the order of the scores.
    exploration
        Greatest share of slates, 0 to 1, that give one position to a new item: a bandit finds the part of it that
        serves users (:mod:`processors.models.exploration_rate`).
    new_item_days
        Days after it was first seen for which an item is new.
    objectives
        What else than the learned score counts, such as margin, and how much.
    unknown_limits
        Whether items with limits of age or region are shown to users whose age or region is not known.
    fatigue
        What an item loses in score each time it was shown without a reaction; 0 turns fatigue off. Scores are logits:
        0.5 takes two fifths of the odds.
    fatigue_after
        Times that an item may be shown before it loses anything.
    fatigue_half_life_ms
        Time since the last impression, in milliseconds, after which an item loses half as much.
    dislike
        What an item loses in score that is as much as can be like what the user dismissed or rated low.
    dislike_half_life_ms
        After this long a dislike counts half for that; milliseconds.
    dislike_days
        Days for which an item itself is not shown after it was dismissed or rated low.
    """

    placements: Annotated[tuple[Placement, ...], msgspec.Meta(min_length=1)] = (
        Placement("home"),
        Placement("discover", only_new=True),
    )
    anchored: tuple[Placement, ...] = (Placement("related"), Placement("together"))
    sources: SourceSettings = SourceSettings()
    locale: str = "en"
    texts: dict[str, dict[str, str]] = {}
    training_examples: ExampleCount = 16
    diversity: Share = 0.0
    exploration: Share = 0.05
    new_item_days: ItemDays = 3.0
    objectives: Objectives = Objectives()
    unknown_limits: Unknown = "hide"
    fatigue: Rate = 0.5
    fatigue_after: Natural = 3
    fatigue_half_life_ms: HalfLife = DAY_MS
    dislike: Rate = 2.0
    dislike_half_life_ms: HalfLife = 30 * DAY_MS
    dislike_days: ItemDays = 90.0
