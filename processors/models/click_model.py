"""How likely a creative is clicked: a logistic regression over hashed features, learned online by AdaGrad.

A feature is a fact of the moment, a creative or campaign, or one of each together; all are hashed into one table of
weights, which bounds it whatever ids there come. An impression is first taken for one that is not clicked: its gradient
is the predicted probability. A click, which comes later, takes one off: on average the prediction comes to the share
that is clicked, with nothing to wait for.

The sums of squared gradients also say how sure a weight is. Creatives are chosen by Thompson sampling from that.

Examples, views and the table of weights are here; :mod:`processors.models.click_learner` learns.

References
----------
J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods", JMLR 12, 2011. K. Weinberger et al., "Feature hashing for
large scale multitask learning", ICML 2009. S. Ktena et al., "Addressing delayed feedback for continuous training with
neural networks in CTR prediction", RecSys 2019. O. Chapelle, L. Li, "An empirical evaluation of Thompson sampling",
NIPS 2011.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from processors.common.arrays import Floats, Hashes, Ints
from processors.common.bounds import PositiveRate
from processors.common.compiled import kernel

BITS = 14
"""The table has 16,384 weights."""

MAX_FEATURES = 64
"""Features of one example, at most."""

MAX_EXAMPLES = 256
"""Examples of clicks and purchases in a message, at most; further ones are counted by campaign, and not learned."""

CLICK_BYTES = MAX_EXAMPLES * (MAX_FEATURES * 3 + 17)
"""Largest size of the examples in a message, in bytes."""

FIRST_LOGIT = -2.0
"""What is expected before anything is known: one click in eight impressions."""

PURCHASE_LOGIT = -3.9
"""What is expected of purchases after a click: one in fifty."""

_MASK = np.uint64((1 << BITS) - 1)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_BITS_29, _BITS_32 = np.uint64(29), np.uint64(32)


class ClickModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How clicks are learned.

    Parameters
    ----------
    learning_rate
        Step size of AdaGrad.
    first_square
        What sums of squared gradients start from; larger makes the first steps smaller.
    """

    learning_rate: PositiveRate = 0.05
    first_square: PositiveRate = 0.5


class ClickExample(msgspec.Struct, array_like=True, frozen=True):
    """An ad that was seen, or one that was seen before and is now clicked; for purchases, clicked and bought from.

    Parameters
    ----------
    features
        Numbers of its features (:func:`paired`).
    clicked
        Whether it is the click; a seen ad comes with False first.
    expected
        Probability of a click that was predicted when the ad was decided on; 0 if it is not known.
    """

    features: tuple[int, ...]
    clicked: bool
    expected: float = 0.0

    def check(self) -> None:
        """Make sure that the model has such features.

        Raises
        ------
        ValueError
            If it has not.

        Examples
        --------
        >>> ClickExample((1, -4), clicked=True).check()
        Traceback (most recent call last):
        ...
        ValueError: clicks: feature -4, expected 0 to 16383
        """
        for feature in self.features:
            if not 0 <= feature < 1 << BITS:
                raise ValueError(f"clicks: feature {feature}, expected 0 to {(1 << BITS) - 1}")
        if not 0.0 <= self.expected <= 1.0:
            raise ValueError(f"clicks: expected {self.expected}, expected a probability")
        if not 0 < len(self.features) <= MAX_FEATURES:
            raise ValueError(f"clicks: {len(self.features)} features, expected 1 to {MAX_FEATURES}")


class PairSums(NamedTuple):
    """Sums over features, one of each per ad: of their weights, and of the relative variances of the weights."""

    weights: Floats
    variances: Floats


class ClickView(msgspec.Struct, array_like=True, frozen=True):
    """What is published of the model; fields as in :class:`processors.models.click_learner.ClickState`."""

    numbers: bytes
    weights: bytes
    squares: bytes
    version: int
    shown: int
    clicked: int
    log_loss: float
    base_loss: float
    intercept: float = 0.0
    slope: float = 1.0


class ClickModel:
    """The read model of clicks, or of purchases after them: the weights as two dense tables.

    Parameters
    ----------
    settings
        Those that the weights are learned with.
    first_logit
        Log odds before anything is known.

    Attributes
    ----------
    weights, squares : float64 arrays of length 16,384
        Per number of a feature, its weight and its sum of squared gradients.
    view : ClickView or None
        What was published last.

    Examples
    --------
    >>> table = ClickModel()
    >>> table.probability(np.array([[1, 2, 3]])).round(3).tolist()
    [0.119]
    """

    def __init__(self, settings: ClickModelSettings | None = None, first_logit: float = FIRST_LOGIT) -> None:
        self._settings, self._first_logit = settings or ClickModelSettings(), first_logit
        self.weights = np.zeros(1 << BITS, np.float64)
        self.squares = np.zeros(1 << BITS, np.float64)
        self.version = 0
        self.view: ClickView | None = None
        self._intercept, self._slope = 0.0, 1.0

    def load(self, numbers: bytes, weights: bytes, squares: bytes, version: int) -> None:
        """Take over weights from a state or a view."""
        at = np.frombuffer(numbers, "<i4")
        self.weights[:], self.squares[:] = 0.0, 0.0
        self.weights[at] = np.frombuffer(weights, "<f4")
        self.squares[at] = np.frombuffer(squares, "<f4")
        self.version = version

    def apply(self, view: ClickView | None) -> None:
        """Take over what was published; :obj:`None` forgets all."""
        self.view = view
        if view is None:
            self.load(b"", b"", b"", 0)
            self._intercept, self._slope = 0.0, 1.0
        else:
            self.load(view.numbers, view.weights, view.squares, view.version)
            self._intercept, self._slope = view.intercept, view.slope

    def probability(self, features: Ints) -> Floats:
        """Return the probability of a click, one per row of features, before it is bent."""
        return sigmoid(self._first_logit + _sums(features, self.weights))

    def pair_sums(self, moments: Hashes, rows: Ints, ads: Hashes, of_moment: Ints, of_ad: Ints) -> PairSums:
        """Add up what the features say that pairs of facts are; parameters as in :func:`paired`.

        Ads that share some of their facts share these sums too, so that each is computed once.
        """
        table = (self.weights, self.squares, self._settings.first_square)
        with np.errstate(over="ignore"):  # products wrap around on purpose, and say so where nothing is compiled
            return PairSums(*_pair_sums(moments, rows, ads, of_moment, of_ad, *table))

    def scored(self, sums: PairSums) -> tuple[Floats, Floats]:
        """Return the log odds of a click, and their standard deviation, from the sums of all features of each ad.

        The deviation takes each weight to be as sure as its gradients. Both are bent (:mod:`processors.models.bend`).
        """
        spread: Floats = self._slope * self._settings.learning_rate * np.sqrt(sums.variances) * _BOLDNESS
        return self._first_logit + self._intercept + self._slope * sums.weights, spread

    def first_spread(self, features: int) -> float:
        """Return the standard deviation of a logit of so many features of which nothing is known."""
        first = self._settings.learning_rate / np.sqrt(self._settings.first_square)
        return float(first * np.sqrt(features) * _BOLDNESS)

    def learn(self, features: Sequence[int], gradient: float) -> None:
        """Take one step of AdaGrad, in place.

        Parameters
        ----------
        features
            Numbers of the example's features; one that comes twice counts once.
        gradient
            Derivative of the loss by the logit.
        """
        at = np.unique(np.array(features, np.int64))
        self.squares[at] += gradient * gradient
        scale = np.sqrt(self.squares[at] + self._settings.first_square)
        self.weights[at] -= self._settings.learning_rate * gradient / scale

    def packed(self) -> tuple[bytes, bytes, bytes]:
        """Return numbers, weights and squares of the weights met so far, as a state holds them."""
        met = np.flatnonzero(self.squares)
        return (
            met.astype("<i4").tobytes(),
            self.weights[met].astype("<f4").tobytes(),
            self.squares[met].astype("<f4").tobytes(),
        )


_BOLDNESS = 3.0
"""Weights of one example move together, which a deviation for each of them does not know."""


def sigmoid(logits: Floats) -> Floats:
    """Return the logistic function of log odds.

    Examples
    --------
    >>> sigmoid(np.array([0.0, -800.0])).round(11).tolist()
    [0.5, 1e-10]
    """
    found: Floats = 1.0 / (1.0 + np.exp(-np.clip(logits, -23.0, 23.0)))
    return found


def packed(features: Sequence[int]) -> bytes:
    """Pack numbers of features, two bytes each.

    Examples
    --------
    >>> unpacked(packed((7, 16383)))
    (7, 16383)
    """
    return struct.pack(f"<{len(features)}H", *features)


def unpacked(features: bytes) -> tuple[int, ...]:
    """Return the numbers that :func:`packed` packed."""
    return struct.unpack(f"<{len(features) // 2}H", features)


def paired(moments: Hashes, ads: Hashes, rows: Ints, of_moment: Ints, of_ad: Ints) -> Ints:
    """Return the numbers of the features that pairs of facts are, shape (ads, pairs).

    Parameters
    ----------
    moments
        Hashed facts of each moment, shape (moments, facts).
    ads, rows
        Hashed facts of each ad, shape (ads, facts), and the moment that it could be shown at.
    of_moment, of_ad
        For each pair: which fact of the moment, and which of the ad.
    """
    with np.errstate(over="ignore"):  # products wrap around on purpose, and say so where nothing is compiled
        found: Ints = _paired(moments, ads, rows, of_moment, of_ad)
    return found


@kernel
def _paired(moments, ads, rows, of_moment, of_ad):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return what :func:`paired` does: each pair of hashes, mixed and cut to the size of the table."""
    found = np.empty((len(ads), len(of_moment)), np.int64)
    for ad in range(len(ads)):
        for pair in range(len(of_moment)):
            found[ad, pair] = _number_of(moments[rows[ad], of_moment[pair]], ads[ad, of_ad[pair]])
    return found


@kernel
def _pair_sums(moments, rows, ads, of_moment, of_ad, weights, squares, first_square):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return what :meth:`ClickModel.pair_sums` does."""
    sums, variances = np.zeros(len(ads)), np.zeros(len(ads))
    for ad in range(len(ads)):
        for pair in range(len(of_moment)):
            feature = _number_of(moments[rows[ad], of_moment[pair]], ads[ad, of_ad[pair]])
            sums[ad] += weights[feature]
            variances[ad] += 1.0 / (squares[feature] + first_square)
    return sums, variances


@kernel
def _number_of(moment, ad):  # type: ignore[no-untyped-def]  # numba finds the types
    """Mix the hashes of two facts, and cut that to the size of the table."""
    mixed = moment * _MIX ^ (ad + _MIX)
    mixed ^= mixed >> _BITS_29
    mixed *= _MIX
    mixed ^= mixed >> _BITS_32
    return np.int64(mixed & _MASK)


@kernel
def _sums(features, weights):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return, per row of features, the sum of their weights."""
    sums = np.zeros(len(features))
    for row in range(len(features)):
        for column in range(features.shape[1]):
            sums[row] += weights[features[row, column]]
    return sums
