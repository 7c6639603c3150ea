"""How the ranker is learned: what the models plane keeps of it, how examples change it, and what is published.

Learning never stops; what may happen is that it goes wrong: the data changes, or somebody feeds it nonsense. Losses are
therefore watched in blocks of examples by ADWIN, and so are misses: what was no candidate at all carries no loss. When
a block shows that losses have risen, there are two answers. If the ranking is still better than plain co-visitation,
the world has changed and the optimiser takes larger steps again. If it is not, the weights go back to the last good
ones, and slates are ranked by co-visitation until the learned ranking is ahead again. When misses have risen, users
want what nobody could propose: that is told (an alarm), and no weight is to blame.

References
----------
AdaGrad: :mod:`processors.models.adagrad`. ADWIN: :mod:`processors.models.drift`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from processors.common.arrays import Floats, Ints
from processors.common.bounds import Confidence, Positive, PositiveRate, Share, WindowBlocks
from processors.models.adagrad import descend
from processors.models.base import ViewDecoder
from processors.models.drift import since_last_change
from processors.models.examples import RANKER, Examples
from processors.models.exploration_rate import BOLDEST
from processors.models.misses import Misses
from processors.models.ranker_weights import (
    BUCKETS,
    HEADS,
    PAUSES,
    WEIGHT_ROWS,
    carried_over,
    fallback_weights,
    rows_of_bucket,
)
from processors.models.serving_weights import RankerView

_SHAPE = (len(HEADS), WEIGHT_ROWS)
_LARGEST = 1e6


class RankerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the ranker learns and is watched.

    Parameters
    ----------
    learning_rate
        Step size of AdaGrad.
    first_square
        What the sums of squared gradients start from; larger makes the first steps smaller.
    block_examples
        Examples whose mean loss is one observation of the drift alarm.
    window_blocks
        Blocks the alarm looks back.
    drift_confidence
        ADWIN's delta: probability of a false alarm.
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

    @property
    def misses(self) -> Misses:
        """What is known of choices that were not found, which is kept behind the states of the other models."""
        return Misses()

    @property
    def by_history(self) -> list[list[float]]:
        """Figures by length of history, which are kept behind the states of the other models; none here."""
        return []

    @property
    def exploration_arm(self) -> int:
        """How much is to be explored, which the ranker's view carries: all that is allowed, if nothing else knows."""
        return BOLDEST


class RankerLearner:
    r"""The learned model of the ranker (:class:`processors.models.base.LearnedModel`).

    Its state is the models' as a whole, as its view carries what another model says: how much is to be explored.

    Parameters
    ----------
    settings
        How it learns and is watched.
    baseline
        Weights that it starts from, and goes back to when nothing else is good.

    Examples
    --------
    >>> model, state = RankerLearner(RankerSettings(), {"together": 2.0}), RankerState()
    >>> row = np.array([-0.5], "<f4").tobytes()
    >>> one, zero = np.array([1], "<i4").tobytes(), b"\0"
    >>> model.learn(state, Examples("ranker", ("together",), zero, zero, one, one, row, row))
    Traceback (most recent call last):
    ...
    ValueError: losses: expected finite figures that are not negative
    >>> loss = np.array([0.7], "<f4").tobytes()
    >>> model.learn(state, Examples("ranker", ("together",), zero, zero, one, one, loss, row))
    >>> weights = np.frombuffer(state.weights).reshape(2, 10, 1)
    >>> weights[0, :2, 0].round(3).tolist(), state.version
    ([2.338, 0.338], 1)
    """

    key = RANKER
    state_field = None
    message_field = None
    message_bytes = 0  # counted per user (example_bytes)
    decode = ViewDecoder(RankerView)

    def __init__(self, settings: RankerSettings, baseline: Mapping[str, float]) -> None:
        self._settings, self._baseline = settings, baseline

    def new_state(self) -> RankerState:
        """Return the state before anything was learned."""
        return RankerState()

    def check(self, message: Examples) -> None:
        """Make sure that the message is for the ranker, and that its columns are usable.

        Raises
        ------
        ValueError
            If they are not.
        """
        if message.model != RANKER:
            raise ValueError(f"model: {message.model!r}, expected {RANKER!r}")
        message.columns()

    def learn(self, state: RankerState, message: Examples) -> None:
        """Take one step per example, in place, as AdaGrad would one after another.

        Raises
        ------
        ValueError
            If the examples are unusable; the state is unchanged then.
        """
        heads, buckets, ranks, plain_ranks, losses, gradients = message.columns()
        if message.asked:
            bounds = self._settings.window_blocks, self._settings.drift_confidence
            state.misses.note(message.asked, message.asked - message.found, *bounds)
        if not len(heads):
            return
        weights, squares = self._arrays(state, message.features)
        width, taught = len(message.features), heads[:, None] * WEIGHT_ROWS + _TAUGHT[buckets]
        flat = weights.reshape(-1, width), squares.reshape(-1, width)
        descend(*flat, taught, gradients, self._settings.learning_rate)
        if not np.abs(weights).max(initial=0.0) < _LARGEST:
            weights, squares = self._fallback(message.features), self._first(message.features)
            state.alarms += 1
        state.features = message.features
        state.weights, state.squares = weights.tobytes(), squares.tobytes()
        state.version += 1
        state.examples += len(heads)
        self._watch(state, losses, ranks, plain_ranks, heads)
        if state.by_history:
            _note_histories(state.by_history, heads, buckets, ranks, plain_ranks)

    def progress(self, state: RankerState) -> int:
        """Return the number of times the weights have changed."""
        return state.version

    def due(self, state: RankerState, before: object) -> bool:  # noqa: ARG002  # as every model's
        """Return True: the view also carries what other models learned, so it is published with any progress."""
        return True

    def view(self, state: RankerState) -> RankerView:
        """Return what is published of a state, and how much is to be explored."""
        return RankerView(
            version=state.version,
            features=state.features,
            weights=state.weights,
            fallback=state.fallback,
            examples=state.examples,
            loss=_recent_mean(state.losses),
            gain=_recent_mean(state.gains),
            plain_gain=_recent_mean(state.plain_gains),
            alarms=state.alarms,
            rollbacks=state.rollbacks,
            arm=state.exploration_arm,
            behind=tuple(number for number, sums in enumerate(state.by_history) if not _is_ahead(sums)),
            missed=_recent_mean(state.misses.shares),
            miss_alarms=state.misses.alarms,
        )

    def _fallback(self, features: tuple[str, ...]) -> Floats:
        return fallback_weights(features, self._baseline)

    def _first(self, features: tuple[str, ...]) -> Floats:
        return np.full((*_SHAPE, len(features)), self._settings.first_square)

    def _arrays(self, state: RankerState, features: tuple[str, ...]) -> tuple[Floats, Floats]:
        """Return weights and sums of squares for the features; those that the state has keep what they learned."""
        return (
            carried_over(features, state.features, state.weights, self._fallback(features)),
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
                bounds = self._settings.window_blocks, _RECENT, _RECENT
                means = state.losses, state.gains, state.plain_gains
                for kept, total, bound in zip(means, state.block[1:], bounds, strict=True):
                    kept.append(total / (n + 1))
                    del kept[:-bound]
                state.block = 0, 0.0, 0.0, 0.0
                self._judge(state)

    def _judge(self, state: RankerState) -> None:
        ahead = _recent_mean(state.gains) >= _recent_mean(state.plain_gains)
        state.losses, risen = since_last_change(state.losses, self._settings.drift_confidence)
        if risen:
            state.alarms += 1
            if ahead:
                squares = np.frombuffer(state.squares) * self._settings.boldness
                state.squares = np.maximum(squares, self._settings.first_square).tobytes()
            else:
                self._roll_back(state)
        elif ahead:
            state.fallback = False
            state.good = Good(state.version, state.weights, state.squares)
        elif len(state.gains) == _RECENT:
            state.fallback = True

    def _roll_back(self, state: RankerState) -> None:
        good = state.good
        if good is not None and len(good.weights) == len(state.weights):
            state.weights, state.squares = good.weights, good.squares
        else:
            state.weights = self._fallback(state.features).tobytes()
            state.squares = self._first(state.features).tobytes()
        state.rollbacks += 1
        state.fallback = True


_TAUGHT = np.array([rows_of_bucket(bucket) for bucket in range(BUCKETS)])
"""Numbers of the rows of weights that an example teaches, by the bucket of its user."""

_RECENT = 32

_HISTORY_MEMORY = 255 / 256
_FEWEST = 16.0
"""Examples, decayed, from which it can be said whether learned weights serve a length of history."""


def _note_histories(by_history: list[list[float]], heads: Ints, buckets: Ints, ranks: Ints, plain_ranks: Ints) -> None:
    """Add the examples of the first head to the figures of their lengths of history, in place."""
    rows = zip(heads.tolist(), buckets.tolist(), ranks.tolist(), plain_ranks.tolist(), strict=True)
    for head, bucket, rank, plain in rows:
        if head == 0:
            sums = by_history[bucket // PAUSES]
            for at, added in enumerate((1.0, 1.0 / max(rank, 1), 1.0 / max(plain, 1))):
                sums[at] = _HISTORY_MEMORY * sums[at] + added


def _is_ahead(sums: list[float]) -> bool:
    """Tell whether what was learned ranks a length of history at least as well as co-visitation does.

    Users of other lengths teach the weights, too: in a young shop they can put what everybody wants last for newcomers.
    """
    examples, gain, plain = sums
    return examples >= _FEWEST and gain >= plain


def _recent_mean(means: list[float]) -> float:
    """Return the mean over the last blocks; 0 if there is none yet."""
    recent = means[-_RECENT:]
    return sum(recent) / len(recent) if recent else 0.0
