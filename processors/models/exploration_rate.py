"""How much is explored: a bandit tries parts of the share that the settings allow, and keeps to what serves users.

Giving a position to a new item costs the item that it displaces, and brings what the new one may become. How that comes
out differs from shop to shop and from season to season, so it is tried: Thompson sampling pulls one of
:data:`PARTS` for so many choices of users at a time, and is rewarded for each choice that was in the slate as shown.
Only slates that had a new item to show are counted: of the others no arm could have made anything else. The smallest
part is not zero, because what is never shown is never learned. The arm in force is published in the ranker's view.

References
----------
O. Chapelle, L. Li, "An empirical evaluation of Thompson sampling", NIPS 2011.
"""

from __future__ import annotations

from random import Random

import msgspec

PARTS = (0.25, 0.5, 1.0)
"""The arms: parts of the share of slates that the settings allow to explore."""

BOLDEST = len(PARTS) - 1
"""Arm that explores as much as the settings allow: in force before anything is known."""

_PULL_EVERY = 64
_FADE_AT = 2000.0


class Trials(msgspec.Struct, array_like=True, frozen=True):
    """Choices of users whose slate could have shown a new item: how many, and how many were in the slate.

    Examples
    --------
    >>> Trials(arm=1, asked=2, hits=3).check()
    Traceback (most recent call last):
    ...
    ValueError: trials: arm 1 with 3 hits of 2, expected an arm below 3 and no more hits than were asked
    """

    arm: int = BOLDEST
    asked: int = 0
    hits: int = 0

    def check(self) -> None:
        """Make sure that the figures can be true.

        Raises
        ------
        ValueError
            If they cannot.
        """
        if not (0 <= self.arm < len(PARTS) and 0 <= self.hits <= self.asked):
            raise ValueError(
                f"trials: arm {self.arm} with {self.hits} hits of {self.asked}, expected an arm below {len(PARTS)} and "
                "no more hits than were asked"
            )


class ShareState(msgspec.Struct, array_like=True):
    """The bandit.

    Parameters
    ----------
    hits, misses
        Choices per arm that were in the slate, and that were not; halved when there are many.
    arm
        The arm in force: index into :data:`PARTS`.
    since
        Choices since it was pulled.
    pulls
        Arms pulled so far.
    """

    hits: list[float] = msgspec.field(default_factory=lambda: [0.0] * len(PARTS))
    misses: list[float] = msgspec.field(default_factory=lambda: [0.0] * len(PARTS))
    arm: int = BOLDEST
    since: int = 0
    pulls: int = 0


class ExplorationRateLearner:
    """The learned model of how much to explore (:class:`processors.models.base.LearnedModel`).

    It has no view: the arm in force rides in the ranker's, which is published whenever anything was learned.

    Examples
    --------
    >>> model, state = ExplorationRateLearner(), ShareState()
    >>> model.learn(state, Trials(arm=BOLDEST, asked=64, hits=3))
    >>> state.hits[BOLDEST], state.misses[BOLDEST], state.pulls
    (3.0, 61.0, 1)
    """

    key = None
    state_field = "share"
    message_field = "trials"
    message_bytes = 0  # a few bytes, in what examples allow for the message itself

    def new_state(self) -> ShareState:
        """Return the state before anything was learned."""
        return ShareState()

    def check(self, message: Trials) -> None:
        """Make sure that the figures can be true.

        Raises
        ------
        ValueError
            If they cannot.
        """
        message.check()

    def learn(self, state: ShareState, message: Trials) -> None:
        """Reward the arm that was tried, in place, and pull again when it has had its turn.

        All counts are halved once an arm has many, so that the bandit follows the seasons.
        """
        if not message.asked:
            return
        state.hits[message.arm] += message.hits
        state.misses[message.arm] += message.asked - message.hits
        if state.hits[message.arm] + state.misses[message.arm] > _FADE_AT:
            state.hits = [count / 2.0 for count in state.hits]
            state.misses = [count / 2.0 for count in state.misses]
        state.since += message.asked
        if state.since >= _PULL_EVERY:
            state.pulls, state.since = state.pulls + 1, 0
            state.arm = _pull(state)

    def progress(self, state: ShareState) -> int:
        """Return the number of pulls."""
        return state.pulls

    def due(self, state: ShareState, before: object) -> bool:  # noqa: ARG002  # as every model's
        """Return False: there is no view."""
        return False

    def view(self, state: ShareState) -> None:
        """Return :obj:`None`: there is no view."""

    def decode(self, value: bytes | None) -> None:
        """Return :obj:`None`: there is no view."""


def _pull(state: ShareState) -> int:
    """Return the arm that Thompson sampling pulls: the one whose draw from what is believed of it is the highest.

    What is believed is a Beta distribution, uniform before the first choice. Each pull has seeds of its own that follow
    from the number of the pull, so that a replay pulls the same. The draws are those of River's ``ThompsonSampling``
    with ``Beta`` rewards, as a test checks: its package loads scipy.stats, a second of every start of a worker and 64
    MB.
    """
    seeds = Random(state.pulls)
    draws = [
        Random(seeds.randint(0, 2**32)).betavariate(1.0 + hits, 1.0 + misses)
        for hits, misses in zip(state.hits, state.misses, strict=True)
    ]
    return draws.index(max(draws))
