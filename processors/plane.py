"""The one shape that every plane has: a pure step over a micro-batch.

``step(read, batch, ...) -> Step``: what the states become, what is published, and what happened, for the metrics. Where
the batch came from, where the states are kept and how the outputs leave is the shell's business.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import msgspec

from processors.events import SourceRecord

State = TypeVar("State", bound=msgspec.Struct)


class ReadStates(Protocol[State]):
    """Looks up the states of keys; :obj:`None` where there is none yet."""

    def __call__(self, keys: Sequence[str], /) -> list[State | None]:
        """States in the order of the keys."""
        ...


class Output(msgspec.Struct, frozen=True):
    """A record to publish.

    Parameters
    ----------
    topic, key, value, headers
        As on the wire; a value of :obj:`None` is a tombstone.
    partition
        Where it goes. The step decides, because the partition is part of what it promises.
    chained
        Whether the receiver must see these records without a gap or repetition (see
        :class:`processors.signals.Link`).
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    chained: bool = False


@dataclass
class Step(Generic[State]):
    """Result of one step.

    Parameters
    ----------
    states
        New state per key that changed.
    outputs
        Records to publish, in order.
    outcomes
        How many source records had which outcome, by topic and outcome.
    refusals
        How many were refused, by reason.
    """

    states: dict[str, State] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)


class Plane(Protocol[State]):
    """What the shell needs of a plane."""

    name: str
    """Short name: ``users``, ``items``."""

    state_type: type[State]
    """What a state is decoded to."""

    source_topics: tuple[str, ...]
    """Topics it reads, in the order in which equally old records are taken."""

    chained_topics: frozenset[str]
    """Those whose records carry a link of a chain. On any other topic a header of that name is the app's own."""

    def step(self, read: ReadStates[State], batch: Sequence[SourceRecord], partition: int) -> Step[State]:
        """Fold a micro-batch of one partition into the states.

        Promises: the result depends on nothing but the states read, the batch, the partition and the plane's own
        settings and read model; neither batch nor read model is changed.
        """
        ...
