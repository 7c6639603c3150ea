"""What apps read of a slate."""

from __future__ import annotations

import msgspec

from processors.ranking.slate import SlateItem


class CausedBy(msgspec.Struct, frozen=True):
    """The event that a recommendation answers, and where the app appended it."""

    event_id: str
    topic: str
    partition: int
    offset: int


class Recommendation(msgspec.Struct, frozen=True):
    """A message on ``recommendations.v1``."""

    recommendation_id: str
    user_id: str
    placement: str
    generated_at: str
    caused_by: CausedBy
    model_version: str
    items: list[SlateItem]
