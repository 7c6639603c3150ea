"""The one shape that every plane has: a pure step over a micro-batch.

``step(read, batch, ...) -> Step``: what the states become, what is published, and what happened, for the metrics. Where
the batch came from, where the states are kept and how the outputs leave is the shell's business.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import msgspec

from processors.events.record import SourceRecord

State = TypeVar("State", bound=msgspec.Struct)


DEFAULT_MAX_MESSAGE_BYTES = 16 * 2**20
"""What the topics of forwarded events, signals and dead letters take, unless ``topics.max_message_bytes`` differs."""

_RECORD_BYTES, _HEADER_BYTES = 128, 10
"""Beside the data: the batch's own 61 bytes and a record's lengths and numbers, each as long as they get."""


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
        :class:`processors.planes.chain.Link`).
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    chained: bool = False

    def batch_bytes(self) -> int:
        """Bytes of a Kafka record batch with nothing else in it, at most.

        Examples
        --------
        >>> Output("t", 0, b"key", b"value", (("name", b""),)).batch_bytes()
        150
        """
        headers = sum(_HEADER_BYTES + len(name.encode()) + len(value or b"") for name, value in self.headers)
        return _RECORD_BYTES + len(self.key or b"") + len(self.value or b"") + headers


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

    def committed(self, step: Step[State]) -> None:
        """Take note that a step has come true: what is known of this process alone may follow from it."""
