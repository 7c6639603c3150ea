"""What the models plane keeps of the ranker, and how examples change it.

Learning never stops; what may happen is that it goes wrong: the data changes, or somebody feeds it nonsense. Losses are
therefore watched in blocks of examples by ADWIN. When a block shows that they have risen, there are two answers. If the
ranking is still better than plain co-visitation, the world has changed and the optimiser takes larger steps again. If
it is not, the weights go back to the last good ones, and slates are ranked by co-visitation until the learned ranking
is ahead again.

References
----------
J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and stochastic optimization", JMLR 12,
2011 (AdaGrad). A. Bifet, R. Gavaldà, "Learning from time-changing data with adaptive windowing", SDM 2007 (ADWIN).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from river.drift import ADWIN

from processors.common.arrays import Flags, Floats, Ints
from processors.common.bounds import Confidence, Positive, PositiveRate, Share, WindowBlocks
from processors.models.examples import Examples
from processors.models.exploration_rate import BOLDEST
from processors.models.ranker_weights import BUCKETS, HEADS, WEIGHT_ROWS, carried_over, fallback_weights, rows_of_bucket

_SHAPE = (len(HEADS), WEIGHT_ROWS)
_LARGEST = 1e6


class RankerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the ranker learns and is watched.

    Parameters
    ----------
    learning_rate
        Of AdaGrad.
    first_square
        What the sums of squared gradients start from; larger makes the first steps smaller.
    block_examples
        Examples whose mean loss is one observation of the drift alarm.
    window_blocks
        Blocks the alarm looks back.
    drift_confidence
        ADWIN's delta: how often it may cry wolf.
    boldness
        What the sums of squared gradients are multiplied with after a change of the world: 1 leaves the rate of
        learning as it is, less makes it bolder.
    """

    learning_rate: PositiveRate = 0.4
    first_square: PositiveRate = 0.1
    block_examples: Positive = 32
    window_blocks: WindowBlocks = 256
    drift_confidence: Confidence = 0.002
    boldness: Share = 1.0


class Good(msgspec.Struct, array_like=True):
    """Weights that were better than co-visitation, to go back to."""

    version: int = 0
    weights: bytes = b""
    squares: bytes = b""


class RankerState(msgspec.Struct, array_like=True):
    """The state of the ranker.

    ``weights`` and ``squares`` (sums of squared gradients) are float64 of shape (heads, weight rows, features),
    the first row being what all share. ``losses`` are the mean losses of the blocks in ADWIN's window, ``gains`` and
    ``plain_gains`` the mean reciprocal ranks of the last few blocks, and those by co-visitation; ``block`` are the sums
    of the running block, after its number of examples.
    """

    features: tuple[str, ...] = ()
    weights: bytes = b""
    squares: bytes = b""
    version: int = 0
    examples: int = 0
    block: tuple[int, float, float, float] = (0, 0.0, 0.0, 0.0)
    losses: list[float] = msgspec.field(default_factory=list)
    gains: list[float] = msgspec.field(default_factory=list)
    plain_gains: list[float] = msgspec.field(default_factory=list)
    good: Good | None = None
    fallback: bool = False
    alarms: int = 0
    rollbacks: int = 0


class ModelView(msgspec.Struct, array_like=True, frozen=True):
    """What the read models get of a model.

    Parameters
    ----------
    version
        Number of times the weights have changed.
    weights
        As in :class:`RankerState`.
    fallback
        Whether slates are to be ranked by co-visitation until the model is ahead of it again.
    examples, loss, gain, plain_gain, alarms, rollbacks
        For the metrics: examples learned, mean loss and reciprocal rank of the last blocks, the same by co-visitation,
        drift alarms, and how often the weights went back to good ones.
    arm
        How much is to be explored: index into :data:`processors.models.exploration_rate.PARTS`.
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


class RankerLearner:
    r"""Folds examples into a model's state.

    Examples
    --------
    >>> keeper, state = RankerLearner(RankerSettings()), RankerState()
    >>> row = np.array([-0.5], "<f4").tobytes()
    >>> one, zero = np.array([1], "<i4").tobytes(), b"\0"
    >>> keeper.learn(state, Examples("ranker", ("together",), zero, zero, one, one, row, row))
    Traceback (most recent call last):
    ...
    ValueError: losses: expected finite figures that are not negative
    >>> loss = np.array([0.7], "<f4").tobytes()
    >>> keeper.learn(state, Examples("ranker", ("together",), zero, zero, one, one, loss, row))
    >>> weights = np.frombuffer(state.weights).reshape(2, 10, 1)
    >>> weights[0, :2, 0].round(3).tolist(), state.version
    ([2.338, 0.338], 1)
    """

    def __init__(self, settings: RankerSettings) -> None:
        self._settings = settings

    def learn(self, state: RankerState, examples: Examples) -> None:
        """Take one step per example, in place, as AdaGrad would one after another.

        Raises
        ------
        ValueError
            If the examples are unusable; the state is unchanged then.
        """
        heads, buckets, ranks, plain_ranks, losses, gradients = examples.columns()
        if not len(heads):
            return
        weights, squares = self._arrays(state, examples.features)
        for head in range(len(HEADS)):
            for row, those in _teaching(heads == head, buckets):
                self._descend(weights[head, row], squares[head, row], gradients[those])
        if not np.abs(weights).max(initial=0.0) < _LARGEST:
            weights, squares = fallback_weights(examples.features), self._first(examples.features)
            state.alarms += 1
        state.features = examples.features
        state.weights, state.squares = weights.tobytes(), squares.tobytes()
        state.version += 1
        state.examples += len(heads)
        self._watch(state, losses, ranks, plain_ranks, heads)

    def view(self, state: RankerState, arm: int = BOLDEST) -> ModelView:
        """What is published of a state, and how much is to be explored."""
        return ModelView(
            version=state.version,
            features=state.features,
            weights=state.weights,
            fallback=state.fallback,
            examples=state.examples,
            loss=_lately(state.losses),
            gain=_lately(state.gains),
            plain_gain=_lately(state.plain_gains),
            alarms=state.alarms,
            rollbacks=state.rollbacks,
            arm=arm,
        )

    def _descend(self, weights: Floats, squares: Floats, gradients: Floats) -> None:
        if len(gradients):
            sums = squares + np.cumsum(gradients * gradients, axis=0)
            weights -= self._settings.learning_rate * (gradients / np.sqrt(sums)).sum(axis=0)
            squares[:] = sums[-1]

    def _first(self, features: tuple[str, ...]) -> Floats:
        return np.full((*_SHAPE, len(features)), self._settings.first_square)

    def _arrays(self, state: RankerState, features: tuple[str, ...]) -> tuple[Floats, Floats]:
        """Weights and sums of squares for the features; those that the state has keep what they learned."""
        return (
            carried_over(features, state.features, state.weights, fallback_weights(features)),
            carried_over(features, state.features, state.squares, self._first(features)),
        )

    def _watch(self, state: RankerState, losses: Floats, ranks: Ints, plain_ranks: Ints, heads: Ints) -> None:
        """Complete blocks with the examples of the first head, and look at each that is complete."""
        watched = heads == 0
        gains, plain = 1.0 / np.maximum(ranks[watched], 1), 1.0 / np.maximum(plain_ranks[watched], 1)
        for row in zip(losses[watched].tolist(), gains.tolist(), plain.tolist(), strict=True):
            n, loss, gain, plain_gain = state.block
            state.block = n + 1, loss + row[0], gain + row[1], plain_gain + row[2]
            if n + 1 == self._settings.block_examples:
                bounds = self._settings.window_blocks, _LATELY, _LATELY
                means = state.losses, state.gains, state.plain_gains
                for kept, total, bound in zip(means, state.block[1:], bounds, strict=True):
                    kept.append(total / (n + 1))
                    del kept[:-bound]
                state.block = 0, 0.0, 0.0, 0.0
                self._judge(state)

    def _judge(self, state: RankerState) -> None:
        ahead = _lately(state.gains) >= _lately(state.plain_gains)
        if self._has_risen(state):
            state.alarms += 1
            if ahead:
                squares = np.frombuffer(state.squares) * self._settings.boldness
                state.squares = np.maximum(squares, self._settings.first_square).tobytes()
            else:
                self._roll_back(state)
        elif ahead:
            state.fallback = False
            state.good = Good(state.version, state.weights, state.squares)
        elif len(state.gains) == _LATELY:
            state.fallback = True

    def _roll_back(self, state: RankerState) -> None:
        good = state.good
        if good is not None and len(good.weights) == len(state.weights):
            state.weights, state.squares = good.weights, good.squares
        else:
            state.weights, state.squares = (
                fallback_weights(state.features).tobytes(),
                self._first(state.features).tobytes(),
            )
        state.rollbacks += 1
        state.fallback = True

    def _has_risen(self, state: RankerState) -> bool:
        """Whether ADWIN finds that the mean loss has changed, and upwards; what came before the change is dropped.

        It is fed the window anew each time: that costs half a microsecond per block, and the state stays plain data.
        """
        alarm: Any = ADWIN(  # type: ignore[no-untyped-call]  # River's have no types
            delta=self._settings.drift_confidence, clock=1, grace_period=8, min_window_length=4
        )
        changed = False
        for loss in state.losses:
            alarm.update(loss)
            changed |= alarm.drift_detected
        if not changed:
            return False
        kept = state.losses[-max(1, int(alarm.width)) :]
        dropped = state.losses[: -len(kept)]
        state.losses = kept
        return bool(dropped) and sum(kept) / len(kept) > sum(dropped) / len(dropped)


def _teaching(of_head: Flags, buckets: Ints) -> Iterator[tuple[int, Flags]]:
    """Rows of weights that examples of a head teach anything, and which examples each."""
    rows = np.array([rows_of_bucket(bucket) for bucket in range(BUCKETS)])[buckets]
    for row in range(WEIGHT_ROWS):
        those = of_head & (rows == row).any(axis=1)
        if those.any():
            yield row, those


_LATELY = 32


def _lately(means: list[float]) -> float:
    """Mean over the last blocks; 0 if there is none yet."""
    recent = means[-_LATELY:]
    return sum(recent) / len(recent) if recent else 0.0
