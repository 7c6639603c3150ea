"""The read model of models: what every worker ranks with."""

from __future__ import annotations

import msgspec

from processors.models.examples import RANKER
from processors.models.exploration_rate import BOLDEST, PARTS
from processors.models.ranker_learner import ModelView
from processors.models.ranker_weights import carried_over, effective, fallback_weights

_COVISITATION = "covisitation"


class ServingWeights:
    """Holds the models last published.

    Parameters
    ----------
    features
        Names of the ranker's features in this process. A view may come from one with others: what it lacks starts
        anew.

    Attributes
    ----------
    view : ModelView or None
        What was last published of the ranker.
    learned : float64 array of shape (heads, buckets, features)
        What has been learned, shared weights added in: what is trained.
    serving : float64 array of the same shape
        What slates are ranked by: the same, unless the ranker has fallen back.
    arm : int
        How much is explored: index into :data:`processors.models.exploration_rate.PARTS`.
    version : str
        Names what slates are ranked by.

    Examples
    --------
    >>> book = ServingWeights(("together", "visits"))
    >>> book.version, book.serving[0, 0].tolist()
    ('covisitation', [2.0, 0.0])
    """

    def __init__(self, features: tuple[str, ...]) -> None:
        self.features = features
        self.apply(RANKER, None)

    def apply(self, name: str, view: ModelView | None) -> None:
        """Take over what was published of a model; :obj:`None` forgets what was learned."""
        if name != RANKER:
            return
        self.view = view
        plain = fallback_weights(self.features)
        weights = plain if view is None else carried_over(self.features, view.features, view.weights, plain)
        behind = view is None or view.fallback
        self.learned = effective(weights)
        self.serving = effective(plain) if behind else self.learned
        self.arm = BOLDEST if view is None or not 0 <= view.arm < len(PARTS) else view.arm
        self.version = _COVISITATION if view is None or view.fallback else f"softmax-{view.version}"


def decode_model(value: bytes | None) -> ModelView | None:
    """Model view of a broadcast record's value; a tombstone gives :obj:`None`."""
    return None if value is None else _DECODER.decode(value)


_DECODER = msgspec.msgpack.Decoder(ModelView)
