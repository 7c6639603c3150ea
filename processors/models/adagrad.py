"""AdaGrad: each weight takes smaller steps the more it was moved already.

References
----------
J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and stochastic optimization", JMLR 12,
2011.
"""

from __future__ import annotations

import math

from processors.common.arrays import Floats, Ints
from processors.common.compiled import kernel


def descend(weights: Floats, squares: Floats, taught: Ints, gradients: Floats, rate: float) -> None:
    """Take a step per example, one after another, in place.

    Complexity: linear in examples times features.

    Parameters
    ----------
    weights, squares
        Weights, and the sums of squared gradients that each has seen, none of them 0; shape (rows, features).
    taught
        Numbers of the rows that each example teaches, shape (examples, rows of one).
    gradients
        Gradient of each example, shape (examples, features).
    rate
        Step size.

    Examples
    --------
    >>> import numpy as np
    >>> weights, squares = np.zeros((2, 1)), np.full((2, 1), 0.75)
    >>> descend(weights, squares, np.array([[1]]), np.array([[-0.5]]), 0.4)
    >>> weights.tolist(), squares.tolist()
    ([[0.0], [0.2]], [[0.75], [1.0]])
    """
    _descend(weights, squares, taught, gradients, rate)


@kernel
def _descend(weights, squares, taught, gradients, rate):  # type: ignore[no-untyped-def]  # numba finds the types
    """Do what :func:`descend` does."""
    for example in range(len(taught)):
        for nth in range(taught.shape[1]):
            row = taught[example, nth]
            for feature in range(gradients.shape[1]):
                slope = gradients[example, feature]
                squares[row, feature] += slope * slope
                weights[row, feature] -= rate * slope / math.sqrt(squares[row, feature])
