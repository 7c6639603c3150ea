"""What the users plane sends to the models plane: examples of what was chosen from what, as gradients.

An example is the gradient of the ranker's loss at the weights of that moment, not the list it comes from: a list has
hundreds of candidates with dozens of features each, its gradient one figure per feature. It is all that the optimiser
needs. Weights that were learned in between make it a little stale, as in any asynchronous descent.
"""

from __future__ import annotations

import msgspec
import numpy as np

from processors.common.arrays import Floats, Ints
from processors.models.click_model import ClickExample
from processors.models.context_popularity import ChosenIn
from processors.models.exploration_rate import Trials
from processors.models.exposure import Measured
from processors.models.interest_groups import Interests
from processors.models.ranker_weights import BUCKETS, HEADS

RANKER = "ranker"
"""Name of the ranker's model: the key under which the models plane keeps it."""

_SLACK = 1e-3


class Examples(msgspec.Struct, array_like=True):
    """A message of examples for the ranker, as columns, and the parts for every other model.

    Parameters
    ----------
    model
        Always :data:`RANKER`.
    features
        Names of the features.
    heads, buckets
        Per example (int8): index into :data:`processors.models.ranker_weights.HEADS`, and the user's bucket.
    ranks, plain_ranks
        Per example (int32): position of the chosen item in the list from 1, as ranked and by co-visitation alone.
    losses
        Per example (float32): negative log-likelihood of the chosen item.
    gradients
        Little-endian float32, as all columns: shape (examples, features).
    interests
        For the groups (:mod:`processors.models.interest_groups`): some of the users' interests, and what they chose.
    trials
        For the bandit (:mod:`processors.models.exploration_rate`): what exploring brought.
    chosen_in
        What some chose in which context (:mod:`processors.models.context_popularity`).
    exposure
        What exposure the items of rules got (:mod:`processors.models.exposure`).
    clicks, purchases
        Ads that were seen and clicked, and clicked and bought from (:mod:`processors.models.click_model`).
    asked, found
        Number of choices of users with a history, and of those whose item was among the first twenty: one that was no
        candidate gives no example, and counts here.
    """

    model: str
    features: tuple[str, ...]
    heads: bytes
    buckets: bytes
    ranks: bytes
    plain_ranks: bytes
    losses: bytes
    gradients: bytes
    interests: Interests = Interests()
    trials: Trials = Trials()
    chosen_in: ChosenIn = ChosenIn()
    exposure: tuple[Measured, ...] = ()
    clicks: tuple[ClickExample, ...] = ()
    purchases: tuple[ClickExample, ...] = ()
    asked: int = 0
    found: int = 0

    def columns(self) -> tuple[Ints, Ints, Ints, Ints, Floats, Floats]:
        """Return heads, buckets, ranks, plain ranks, losses and gradients (examples, features) as arrays.

        Raises
        ------
        ValueError
            If they do not fit together or hold what no example can: nothing in the message can be used then.

        Examples
        --------
        >>> Examples("ranker", ("together",), b"", b"", b"", b"", b"", b"1234").columns()
        Traceback (most recent call last):
        ...
        ValueError: gradients: 1 figures, expected 0 examples of 1 features
        """
        heads, buckets = np.frombuffer(self.heads, "<i1"), np.frombuffer(self.buckets, "<i1")
        ranks, plain = np.frombuffer(self.ranks, "<i4"), np.frombuffer(self.plain_ranks, "<i4")
        losses, gradients = np.frombuffer(self.losses, "<f4"), np.frombuffer(self.gradients, "<f4")
        n = len(heads)
        if not 0 <= self.found <= self.asked:
            raise ValueError(f"found: {self.found} of {self.asked} choices asked about")
        if not n == len(buckets) == len(ranks) == len(plain) == len(losses):
            raise ValueError("columns of examples have different lengths")
        if len(gradients) != n * len(self.features):
            width = len(self.features)
            raise ValueError(f"gradients: {len(gradients)} figures, expected {n} examples of {width} features")
        if n and not (0 <= heads.min() <= heads.max() < len(HEADS) and 0 <= buckets.min() <= buckets.max() < BUCKETS):
            raise ValueError("heads or buckets beyond those there are")
        if n and not (np.isfinite(losses).all() and losses.min() >= 0.0):
            raise ValueError("losses: expected finite figures that are not negative")
        if gradients.size and not np.abs(gradients).max() <= 1.0 + _SLACK:
            raise ValueError("gradients: expected figures in [-1, 1]")
        return (
            heads.astype(np.int64),
            buckets.astype(np.int64),
            ranks.astype(np.int64),
            plain.astype(np.int64),
            losses.astype(np.float64),
            gradients.reshape(n, len(self.features)).astype(np.float64),
        )


def example_bytes(features: tuple[str, ...]) -> int:
    """Return the largest size of a user's examples in a message, in bytes, the message's own spread over them.

    Examples
    --------
    >>> example_bytes(("together", "visits"))
    108
    """
    names = sum(len(name.encode()) + 5 for name in features)
    return len(HEADS) * (4 * len(features) + 14) + names + 40
