"""Which read model takes over which record of the broadcast topics.

Every worker reads these topics in whole, and so do the topology driver and ``nearstream why-not``. They hand over each
record without knowing what it is; the table here knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from processors.ads.ad_server import AdServer
from processors.ads.campaign_view import decode_campaign_view
from processors.common.topics import (
    BROADCAST_CAMPAIGNS_TOPIC,
    BROADCAST_ITEMS_TOPIC,
    BROADCAST_MODELS_TOPIC,
    BROADCAST_RULES_TOPIC,
)
from processors.items.view import decode_view
from processors.models.click_learner import ClickLearner, PurchaseLearner
from processors.models.context_popularity import ContextLearner
from processors.models.exposure import Exposure, ExposureLearner
from processors.models.interest_group_learner import InterestGroupLearner
from processors.models.ranker_learner import RankerLearner
from processors.ranking.read_models import ReadModels
from processors.ranking.rule_index import RuleIndex, decode_rule

View = TypeVar("View")


class ReadModel(Protocol):
    """What every worker holds of something that is published, fed by the records of a topic.

    It follows from the last record of each key alone, as the topics are compacted: taking over a record twice, or one
    that is replaced later, makes no difference.
    """

    @property
    def topic(self) -> str:
        """The topic it is published on."""
        ...

    @property
    def key(self) -> str | None:
        """The key of its records; :obj:`None` if it takes every key of the topic that is no other read model's."""
        ...

    def apply(self, key: str, value: bytes | None) -> None:
        """Take over a record; a value of :obj:`None` forgets what was published under the key.

        Raises
        ------
        ValueError, OverflowError, IndexError
            If the value cannot be decoded (``msgspec.DecodeError`` is a ValueError) or holds figures that cannot be.
        """
        ...


@dataclass(frozen=True)
class Adapted(Generic[View]):
    """A read model that takes over decoded views (:class:`ReadModel`).

    Parameters
    ----------
    topic, key
        See :class:`ReadModel`.
    decode
        Makes a view of a record's value, and :obj:`None` of a tombstone.
    take
        Takes over a key and its view.
    """

    topic: str
    key: str | None
    decode: Callable[[bytes | None], View | None]
    take: Callable[[str, View | None], object]

    def apply(self, key: str, value: bytes | None) -> None:
        """Decode the value and take it over."""
        self.take(key, self.decode(value))


def read_models(read: ReadModels, ads: AdServer) -> tuple[ReadModel, ...]:
    """List every read model of a worker with its topic and key.

    Parameters
    ----------
    read
        The read models of ranking.
    ads
        The ad server with its own.
    """
    items, models, campaigns = BROADCAST_ITEMS_TOPIC, BROADCAST_MODELS_TOPIC, BROADCAST_CAMPAIGNS_TOPIC
    return (
        Adapted(items, None, decode_view, read.items.apply),
        Adapted(models, RankerLearner.key, RankerLearner.decode, _whole(read.weights.apply)),
        Adapted(models, ExposureLearner.key, ExposureLearner.decode, _whole(_exposure_of(read.rules))),
        Adapted(models, InterestGroupLearner.key, InterestGroupLearner.decode, _whole(read.groups.apply)),
        Adapted(models, ContextLearner.key, ContextLearner.decode, _whole(read.contexts.apply)),
        Adapted(models, ClickLearner.key, ClickLearner.decode, _whole(ads.clicks.apply)),
        Adapted(models, PurchaseLearner.key, PurchaseLearner.decode, _whole(ads.purchases.apply)),
        Adapted(campaigns, None, decode_campaign_view, ads.campaigns.apply),
        Adapted(BROADCAST_RULES_TOPIC, None, decode_rule, read.rules.apply),
    )


class ReadModelTable:
    """Finds the read model of each record by topic and key.

    Parameters
    ----------
    models
        The read models.

    Raises
    ------
    ValueError
        If two of them take the same records.

    Examples
    --------
    >>> taken = []
    >>> table = ReadModelTable([Adapted("t", "a", lambda value: value, lambda key, view: taken.append((key, view)))])
    >>> table.apply("t", b"a", b"1")
    >>> table.apply("t", b"b", b"2")
    >>> taken
    [('a', b'1')]
    """

    def __init__(self, models: Sequence[ReadModel]) -> None:
        self._topics: dict[str, dict[bytes | None, ReadModel]] = {model.topic: {} for model in models}
        for model in models:
            rows = self._topics[model.topic]
            key = None if model.key is None else model.key.encode()
            if key in rows:
                raise ValueError(f"{model.topic}: two read models take {model.key or 'any other key'}")
            rows[key] = model

    def apply(self, topic: str, key: bytes, value: bytes | None) -> None:
        """Hand a record to the read model it is for. Call it between two steps of the planes that read from it.

        A key that no read model takes is passed over: a later release may publish more.

        Parameters
        ----------
        topic
            One that some read model is published on.
        key, value
            As they came; a value of :obj:`None` is a tombstone.

        Raises
        ------
        KeyError
            If no read model is published on the topic.
        msgspec.DecodeError
            If the value cannot be decoded.
        """
        rows = self._topics[topic]
        model = rows.get(key, rows.get(None))
        if model is not None:
            model.apply(key.decode(), value)


def _whole(take: Callable[[View | None], object]) -> Callable[[str, View | None], object]:
    """Return the same for a read model that has one key, so that it needs no key."""
    return lambda _, view: take(view)


def _exposure_of(rules: RuleIndex) -> Callable[[dict[str, Exposure] | None], None]:
    def take(view: dict[str, Exposure] | None) -> None:
        rules.exposure = view or {}

    return take
