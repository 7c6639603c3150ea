"""The message by which apps receive a slate."""

from __future__ import annotations

import msgspec

from processors.ranking.slate import SlateItem


class CausedBy(msgspec.Struct, frozen=True):
    """The event that a recommendation answers.

    Parameters
    ----------
    event_id
        Id of the event.
    topic, partition, offset
        Where the app appended it.
    """

    event_id: str
    topic: str
    partition: int
    offset: int


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a recommendation says beside its items.

    Parameters
    ----------
    recommendation_id
        Topic, partition and offset of the event, and the placement: unique, and the same in every replay.
    user_id
        The user.
    placement
        Name of the placement.
    generated_at
        When the slate was made, ISO-8601.
    caused_by
        The event that it answers.
    model_version
        Version of the weights that the slate was ranked by.
    request_id
        Id of the request that it answers, if it answers one.
    why
        Why an answer to a request has no items, if it has none.
    """

    recommendation_id: str
    user_id: str
    placement: str
    generated_at: str
    caused_by: CausedBy
    model_version: str
    request_id: str | None = None
    why: str | None = None


class Recommendation(Answer, frozen=True, omit_defaults=True, kw_only=True):
    """A slate of one user at one placement, as a message on ``recommendations.v1``.

    Parameters
    ----------
    items
        The slate, the first position first.
    """

    items: list[SlateItem]


class WrittenRecommendation(Answer, frozen=True, omit_defaults=True, kw_only=True):
    """The same with its items written already (:class:`processors.ranking.slate_writer.SlateWriter`).

    Parameters
    ----------
    items
        The JSON of a list of :class:`processors.ranking.slate.SlateItem`.
    """

    items: msgspec.Raw
