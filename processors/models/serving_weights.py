"""What is published of the ranker, and the read model: what every worker ranks with."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from processors.models.exploration_rate import BOLDEST, PARTS
from processors.models.ranker_weights import PAUSES, carried_over, effective, fallback_weights

_COVISITATION = "covisitation"


class RankerView(msgspec.Struct, array_like=True, frozen=True):
    """What is published of the ranker.

    Parameters
    ----------
    version
        Number of times the weights have changed.
    features, weights
        As in :class:`processors.models.ranker_learner.RankerState`.
    fallback
        Whether slates are to be ranked by co-visitation until the model is ahead of it again.
    examples, loss, gain, plain_gain, alarms, rollbacks
        For the metrics: examples learned, mean loss and reciprocal rank of the last blocks, the same by co-visitation,
        drift alarms, and how often the weights went back to good ones.
    arm
        How much is to be explored: index into :data:`processors.models.exploration_rate.PARTS`.
    missed, miss_alarms
        For the metrics: share of the choices of the last blocks that were not among the first twenty, and how often it
        has risen.
    behind
        Lengths of history, by number, whose slates are ranked by co-visitation until what was learned is ahead there.
    """

    version: int
    features: tuple[str, ...]
    weights: bytes
    fallback: bool
    examples: int
    loss: float
    gain: float
    plain_gain: float
    alarms: int
    rollbacks: int
    arm: int = BOLDEST
    behind: tuple[int, ...] = ()
    missed: float = 0.0
    miss_alarms: int = 0


class ServingWeights:
    """The ranker as last published.

    Parameters
    ----------
    features
        Names of the ranker's features in this process. A view may come from one with others: what it lacks starts
        anew.
    baseline
        Weights to rank by before anything was published, and while the ranker has fallen back.

    Attributes
    ----------
    view : RankerView or None
        What was last published of the ranker.
    learned : float64 array of shape (heads, buckets, features)
        What has been learned, shared weights added in: what is trained.
    serving : float64 array of the same shape
        What slates are ranked by: the same, unless the ranker has fallen back, or is behind for a length of history.
    arm : int
        How much is explored: index into :data:`processors.models.exploration_rate.PARTS`.
    version : str
        Names what slates are ranked by.

    Examples
    --------
    >>> weights = ServingWeights(("together", "visits"), {"together": 2.0})
    >>> weights.version, weights.serving[0, 0].tolist()
    ('covisitation', [2.0, 0.0])
    """

    def __init__(self, features: tuple[str, ...], baseline: Mapping[str, float]) -> None:
        self.features, self._baseline = features, baseline
        self.apply(None)

    def apply(self, view: RankerView | None) -> None:
        """Take over what was published; :obj:`None` forgets what was learned."""
        self.view = view
        plain = fallback_weights(self.features, self._baseline)
        weights = plain if view is None else carried_over(self.features, view.features, view.weights, plain)
        behind = view is None or view.fallback
        self.learned = effective(weights)
        self.serving = effective(plain) if behind else self.learned.copy()
        for history in () if view is None or behind else view.behind:
            buckets = slice(history * PAUSES, (history + 1) * PAUSES)
            self.serving[:, buckets] = effective(plain)[:, buckets]
        self.arm = BOLDEST if view is None or not 0 <= view.arm < len(PARTS) else view.arm
        self.version = _COVISITATION if view is None or view.fallback else f"softmax-{view.version}"
