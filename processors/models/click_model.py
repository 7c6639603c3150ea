"""How likely a creative is clicked: a logistic regression over hashed features, learned online by AdaGrad.

A feature is a fact of the moment, a creative or campaign, or one of each together; all are hashed into one table of
weights, which bounds it whatever ids there come. An impression is first taken for one that is not clicked: its gradient
is the predicted probability. A click, which comes later, takes one off: on average the prediction comes to the share
that is clicked, with nothing to wait for.

The sums of squared gradients also say how sure a weight is. Creatives are chosen by Thompson sampling from that.

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

import msgspec
import numpy as np

from processors.common.arrays import Floats, Hashes, Ints
from processors.common.bounds import PositiveRate

BITS = 14
"""The table has 16,384 weights."""

MAX_FEATURES = 64
"""Features of one example, at most."""

MAX_EXAMPLES = 256
"""Examples in a message, at most; of further ones the campaigns hear, and the model does not."""

CLICK_BYTES = MAX_EXAMPLES * (MAX_FEATURES * 3 + 8)
"""Of examples in a message, at most."""

FIRST_LOGIT = -2.0
"""What is expected before anything is known: one click in eight impressions."""

PURCHASE_LOGIT = -3.9
"""What is expected of purchases after a click: one in fifty."""

_MASK = np.uint64((1 << BITS) - 1)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_MAX_REMEMBERED = 65_536


class ClickModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How clicks are learned.

    Parameters
    ----------
    learning_rate
        Of AdaGrad.
    first_square
        What sums of squared gradients start from.
    """

    learning_rate: PositiveRate = 0.05
    first_square: PositiveRate = 0.5


class ClickExample(msgspec.Struct, array_like=True, frozen=True):
    """An ad that was seen, or one that was seen before and is now clicked."""

    features: tuple[int, ...]
    clicked: bool

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
        if not 0 < len(self.features) <= MAX_FEATURES:
            raise ValueError(f"clicks: {len(self.features)} features, expected 1 to {MAX_FEATURES}")


class ClickState(msgspec.Struct, array_like=True):
    """Weights met so far: their numbers (int32), values and sums of squared gradients (float32); and what was learned.

    ``shown`` and ``clicked`` are examples learned; ``log_loss`` and ``base_loss`` what one costs lately, by the model
    and by always guessing the share clicked so far, before each is learned.
    """

    numbers: bytes = b""
    weights: bytes = b""
    squares: bytes = b""
    version: int = 0
    shown: int = 0
    clicked: int = 0
    log_loss: float = 0.0
    base_loss: float = 0.0


class ClickView(msgspec.Struct, array_like=True, frozen=True):
    """What the read models get of it; as in :class:`ClickState`."""

    numbers: bytes
    weights: bytes
    squares: bytes
    version: int
    shown: int
    clicked: int
    log_loss: float
    base_loss: float


class ClickModel:
    """The weights as two dense tables.

    Attributes
    ----------
    weights, squares : float64 arrays
        One figure per number of a feature.
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

    def load(self, numbers: bytes, weights: bytes, squares: bytes, version: int) -> None:
        """Take over weights from a state or a view."""
        at = np.frombuffer(numbers, "<i4")
        self.weights[:], self.squares[:] = 0.0, 0.0
        self.weights[at] = np.frombuffer(weights, "<f4")
        self.squares[at] = np.frombuffer(squares, "<f4")
        self.version = version

    def apply(self, view: ClickView | None) -> None:
        """Take over what was published; none forgets all."""
        self.view = view
        if view is None:
            self.load(b"", b"", b"", 0)
        else:
            self.load(view.numbers, view.weights, view.squares, view.version)

    def logits(self, features: Ints) -> Floats:
        """Log odds of a click, one per row of features."""
        found: Floats = self._first_logit + self.weights[features].sum(axis=-1)
        return found

    def probability(self, features: Ints) -> Floats:
        """Probability of a click, one per row of features."""
        return sigmoid(self.logits(features))

    def spread(self, features: Ints) -> Floats:
        """How uncertain each logit is: the standard deviation, taking each weight to be as sure as its gradients."""
        variance = self._settings.learning_rate / np.sqrt(self.squares[features] + self._settings.first_square)
        found: Floats = np.sqrt((variance * variance).sum(axis=-1)) * _BOLDNESS
        return found

    def first_spread(self, features: Ints) -> float:
        """The same of so many features of which nothing is known."""
        first = self._settings.learning_rate / np.sqrt(self._settings.first_square)
        return float(first * np.sqrt(features.shape[-1]) * _BOLDNESS)

    def learn(self, features: Sequence[int], gradient: float) -> None:
        """One step of AdaGrad, in place."""
        at = np.unique(np.array(features, np.int64))
        self.squares[at] += gradient * gradient
        scale = np.sqrt(self.squares[at] + self._settings.first_square)
        self.weights[at] -= self._settings.learning_rate * gradient / scale

    def packed(self) -> tuple[bytes, bytes, bytes]:
        """Numbers, weights and squares of the weights met so far, as a state holds them."""
        met = np.flatnonzero(self.squares)
        return (
            met.astype("<i4").tobytes(),
            self.weights[met].astype("<f4").tobytes(),
            self.squares[met].astype("<f4").tobytes(),
        )


class ClickLearner:
    """Folds examples into the state.

    Examples
    --------
    >>> keeper, state = ClickLearner(ClickModelSettings()), ClickState()
    >>> keeper.learn(state, [ClickExample((1, 2), clicked=False), ClickExample((1, 2), clicked=True)])
    >>> state.version, state.shown, state.clicked, np.frombuffer(state.numbers, "<i4").tolist()
    (1, 1, 1, [1, 2])
    """

    def __init__(self, settings: ClickModelSettings, first_logit: float = FIRST_LOGIT) -> None:
        self._settings, self._first_logit = settings, first_logit

    def learn(self, state: ClickState, examples: Sequence[ClickExample]) -> None:
        """Take a step per example, in place."""
        if not examples:
            return
        table = ClickModel(self._settings, self._first_logit)
        table.load(state.numbers, state.weights, state.squares, state.version)
        for example in examples:
            expected = float(table.probability(np.array([sorted(set(example.features))]))[0])
            usual = min((state.clicked + 1.0) / (state.shown + 20.0), _MOST_USUAL)
            # What a click costs is taken back from what its impression did, which was taken for none.
            state.log_loss = self._lately(state.log_loss, expected, example.clicked)
            state.base_loss = self._lately(state.base_loss, usual, example.clicked)
            state.shown += not example.clicked
            state.clicked += example.clicked
            table.learn(example.features, -1.0 if example.clicked else expected)
        state.numbers, state.weights, state.squares = table.packed()
        state.version += 1

    def view(self, state: ClickState) -> ClickView:
        """What is published of a state."""
        return ClickView(
            state.numbers,
            state.weights,
            state.squares,
            state.version,
            state.shown,
            state.clicked,
            round(state.log_loss, 6),
            round(state.base_loss, 6),
        )

    @staticmethod
    def _lately(mean: float, expected: float, clicked: bool) -> float:
        lost, kept = -np.log(1.0 - expected), 1.0 - 1.0 / _LATELY
        if clicked:
            return float(mean + (-np.log(expected) - lost) / _LATELY)
        return float(kept * mean + lost / _LATELY)


def decode_clicks(value: bytes | None) -> ClickView | None:
    """View of a broadcast record's value; a tombstone gives :obj:`None`."""
    return None if value is None else _DECODER.decode(value)


_DECODER = msgspec.msgpack.Decoder(ClickView)
_LATELY = 1000.0
_MOST_USUAL = 0.99
_BOLDNESS = 3.0
"""Weights of one example move together, which a deviation for each of them does not know."""


def sigmoid(logits: Floats) -> Floats:
    """The logistic function.

    Examples
    --------
    >>> sigmoid(np.array([0.0, -800.0])).round(11).tolist()
    [0.5, 1e-10]
    """
    found: Floats = 1.0 / (1.0 + np.exp(-np.clip(logits, -23.0, 23.0)))
    return found


def packed(features: Sequence[int]) -> bytes:
    """Numbers of features in two bytes each.

    Examples
    --------
    >>> unpacked(packed((7, 16383)))
    (7, 16383)
    """
    return struct.pack(f"<{len(features)}H", *features)


def unpacked(features: bytes) -> tuple[int, ...]:
    """The numbers that :func:`packed` packed."""
    return struct.unpack(f"<{len(features) // 2}H", features)


def paired(moments: Hashes, ads: Hashes) -> Ints:
    """Numbers of the features that pairs of facts are, in the shape of both.

    Parameters
    ----------
    moments, ads
        Hashed facts of the moment, and the fact of the ad that each goes with.
    """
    with np.errstate(over="ignore"):
        mixed = moments * _MIX ^ (ads + _MIX)
        mixed ^= mixed >> np.uint64(29)
        mixed *= _MIX
        mixed ^= mixed >> np.uint64(32)
    return (mixed & _MASK).astype(np.int64)
