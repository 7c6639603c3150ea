"""The read model of the ranker: what every worker ranks with."""

from __future__ import annotations

from collections.abc import Mapping

from processors.models.exploration_rate import BOLDEST, PARTS
from processors.models.ranker_learner import ModelView
from processors.models.ranker_weights import FALLBACK, carried_over, effective, fallback_weights

_COVISITATION = "covisitation"


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
    >>> weights = ServingWeights(("together", "visits"))
    >>> weights.version, weights.serving[0, 0].tolist()
    ('covisitation', [2.0, 0.0])
    """

    def __init__(self, features: tuple[str, ...], baseline: Mapping[str, float] = FALLBACK) -> None:
        self.features, self._baseline = features, baseline
        self.apply(None)

    def apply(self, view: ModelView | None) -> None:
        """Take over what was published; :obj:`None` forgets what was learned."""
        self.view = view
        plain = fallback_weights(self.features, self._baseline)
        weights = plain if view is None else carried_over(self.features, view.features, view.weights, plain)
        behind = view is None or view.fallback
        self.learned = effective(weights)
        self.serving = effective(plain) if behind else self.learned
        self.arm = BOLDEST if view is None or not 0 <= view.arm < len(PARTS) else view.arm
        self.version = _COVISITATION if view is None or view.fallback else f"softmax-{view.version}"
