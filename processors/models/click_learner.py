"""How the models of clicks, and of purchases after them, are learned: one step of AdaGrad per example.

An impression is first taken for one that is not clicked, so that nothing has to be waited for; a click, which comes
later, takes that back (:mod:`processors.models.click_model` says what follows from it).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from processors.models.base import ViewDecoder
from processors.models.bend import Bend
from processors.models.click_model import (
    CLICK_BYTES,
    FIRST_LOGIT,
    PURCHASE_LOGIT,
    ClickExample,
    ClickModel,
    ClickModelSettings,
    ClickView,
)


class ClickState(msgspec.Struct, array_like=True):
    """Weights met so far, and what was learned.

    Parameters
    ----------
    numbers, weights, squares
        Features with a weight (int32, rising), their weights and sums of squared gradients (float32), little-endian;
        16,384 of each at most.
    version
        Messages with examples that were learned.
    shown, clicked
        Examples learned: impressions, and those of them that were clicked.
    log_loss, base_loss
        Mean cost of an example lately, before it was learned, in nats: by the model, and by always guessing the share
        clicked so far.
    bend
        How predictions are bent.
    """

    numbers: bytes = b""
    weights: bytes = b""
    squares: bytes = b""
    version: int = 0
    shown: int = 0
    clicked: int = 0
    log_loss: float = 0.0
    base_loss: float = 0.0
    bend: Bend = msgspec.field(default_factory=Bend)


class ClickLearner:
    """The learned model of clicks on ads (:class:`processors.models.base.LearnedModel`).

    Parameters
    ----------
    settings
        How clicks are learned.
    first_logit
        Log odds of a click before anything is known.

    Examples
    --------
    >>> model, state = ClickLearner(ClickModelSettings()), ClickState()
    >>> model.learn(state, [ClickExample((1, 2), clicked=False), ClickExample((1, 2), clicked=True)])
    >>> state.version, state.shown, state.clicked, np.frombuffer(state.numbers, "<i4").tolist()
    (1, 1, 1, [1, 2])
    """

    key = "clicks"
    state_field = "clicks"
    message_field = "clicks"
    message_bytes = CLICK_BYTES
    decode = ViewDecoder(ClickView)

    def __init__(self, settings: ClickModelSettings, first_logit: float = FIRST_LOGIT) -> None:
        self._settings, self._first_logit = settings, first_logit

    def new_state(self) -> ClickState:
        """Return the state before anything was learned."""
        return ClickState()

    def check(self, message: Sequence[ClickExample]) -> None:
        """Make sure that the model has the features of all examples.

        Raises
        ------
        ValueError
            If it has not.
        """
        for example in message:
            example.check()

    def learn(self, state: ClickState, message: Sequence[ClickExample]) -> None:
        """Take a step per example, in place. Complexity: linear in examples and table."""
        if not message:
            return
        table = ClickModel(self._settings, self._first_logit)
        table.load(state.numbers, state.weights, state.squares, state.version)
        for example in message:
            expected = float(table.probability(np.array([sorted(set(example.features))]))[0])
            usual = min((state.clicked + 1.0) / (state.shown + 20.0), _MOST_USUAL)
            # What a click costs is taken back from what its impression did, which was taken for none.
            state.log_loss = self._mean_loss(state.log_loss, expected, example.clicked)
            state.base_loss = self._mean_loss(state.base_loss, usual, example.clicked)
            state.shown += not example.clicked
            state.clicked += example.clicked
            table.learn(example.features, -1.0 if example.clicked else expected)
            if example.expected:
                note = state.bend.clicked if example.clicked else state.bend.seen
                note(example.expected, self._first_logit)
        state.numbers, state.weights, state.squares = table.packed()
        state.version += 1

    def progress(self, state: ClickState) -> int:
        """Return the number of messages learned."""
        return state.version

    def due(self, state: ClickState, before: object) -> bool:
        """Tell whether anything was learned in the micro-batch."""
        return state.version != before

    def view(self, state: ClickState) -> ClickView:
        """Return what is published of a state."""
        return ClickView(
            state.numbers,
            state.weights,
            state.squares,
            state.version,
            state.shown,
            state.clicked,
            round(state.log_loss, 6),
            round(state.base_loss, 6),
            state.bend.intercept,
            state.bend.slope,
        )

    @staticmethod
    def _mean_loss(mean: float, expected: float, clicked: bool) -> float:
        lost, kept = -np.log(1.0 - expected), 1.0 - 1.0 / _WINDOW
        if clicked:
            return float(mean + (-np.log(expected) - lost) / _WINDOW)
        return float(kept * mean + lost / _WINDOW)


class PurchaseLearner(ClickLearner):
    """The learned model of purchases after clicks on ads: the same, with clicks for impressions.

    Parameters
    ----------
    settings
        How purchases are learned.
    """

    key = "purchases"
    state_field = "purchases"
    message_field = "purchases"
    message_bytes = 0  # at most MAX_EXAMPLES of both kinds come in a message, and clicks count them

    def __init__(self, settings: ClickModelSettings) -> None:
        super().__init__(settings, PURCHASE_LOGIT)


_WINDOW = 1000.0
"""Impressions after which one counts 1/e in the mean cost."""

_MOST_USUAL = 0.99
