"""How predictions of clicks are bent towards what comes of them: a line through log odds, learned online.

Weights of rare features are noisy, so that small predictions are too small and large ones too large, and while
decisions get better all are behind. Platt scaling mends both: the log odds of a prediction are stretched around those
of the beginning and moved. The line is learned from predictions as they were when an ad was shown, by Newton steps
whose curvature forgets what is long ago.

References
----------
J. Platt, "Probabilistic outputs for support vector machines", 1999. H. B. McMahan et al., "Ad click prediction: a view
from the trenches", KDD 2013 (calibration as a layer of its own).
"""

from __future__ import annotations

import math

import msgspec

_MEMORY = 5_000.0
"""Impressions after which one counts 1/e."""

_FIRST_CURVATURE = 3.0
"""What the line of the beginning is worth, in units of p (1 - p) of impressions: some thirty of them."""

_LEAST_SLOPE, _MOST_SLOPE, _FARTHEST = 0.2, 2.0, 3.0
_LEAST = 1e-6


class Bend(msgspec.Struct, array_like=True):
    """The line, and what it rests on.

    Parameters
    ----------
    intercept, slope
        Log odds become ``first + intercept + slope * (log odds - first)``, where ``first`` are those before anything is
        known.
    curvature, crossed, squared
        Sums of p (1 - p) over impressions, decayed, and of its products with the distance of the log odds from the
        first and with the square of that.

    Examples
    --------
    >>> bend = Bend()
    >>> for _ in range(500):
    ...     bend.seen(0.12, -2.0)
    >>> bend.intercept < -0.5
    True
    """

    intercept: float = 0.0
    slope: float = 1.0
    curvature: float = 0.0
    crossed: float = 0.0
    squared: float = 0.0

    def seen(self, expected: float, first: float) -> None:
        """Take over that an ad was seen: it is taken for not clicked, until it is.

        Parameters
        ----------
        expected
            Probability of a click as it was predicted, bent, when the ad was decided on.
        first
            Log odds before anything is known.
        """
        distance, variance, kept = self._distance(expected, first), expected * (1.0 - expected), 1.0 - 1.0 / _MEMORY
        self.curvature = kept * self.curvature + variance
        self.crossed = kept * self.crossed + variance * distance
        self.squared = kept * self.squared + variance * distance * distance
        self._step(distance, expected)

    def clicked(self, expected: float, first: float) -> None:
        """Take over that an ad that was seen is clicked; parameters as in :meth:`seen`."""
        self._step(self._distance(expected, first), -1.0)

    def _distance(self, expected: float, first: float) -> float:
        """Return how far log odds were from the first before they were bent, by the line as it is now."""
        held = min(max(expected, _LEAST), 1.0 - _LEAST)
        return (math.log(held / (1.0 - held)) - first - self.intercept) / self.slope

    def _step(self, distance: float, gradient: float) -> None:
        """Take a Newton step for a gradient by the log odds, in place."""
        one, other = self.curvature + _FIRST_CURVATURE, self.squared + _FIRST_CURVATURE
        scale = gradient / (one * other - self.crossed * self.crossed)
        self.intercept -= scale * (other - self.crossed * distance)
        self.slope -= scale * (one * distance - self.crossed)
        self.intercept = min(max(self.intercept, -_FARTHEST), _FARTHEST)
        self.slope = min(max(self.slope, _LEAST_SLOPE), _MOST_SLOPE)
