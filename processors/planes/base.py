"""The interface of every plane: a pure step that folds a micro-batch into states and outputs.

``step(read, batch, partition) -> Step``: the changed states, the records to publish, and counts for the metrics. Where
the batch came from, where the states are stored and how the outputs are sent is up to the shell.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Generic, Protocol, TypeVar

import msgspec

from processors.events.record import SourceRecord

State = TypeVar("State", bound=msgspec.Struct)


DEFAULT_MAX_MESSAGE_BYTES = 16 * 2**20
"""Largest record on topics of forwarded records, signals and dead letters: default of ``topics.max_message_bytes``."""

_RECORD_BYTES, _HEADER_BYTES = 128, 10
"""Overhead of a record batch and of a header in bytes: the batch's own 61, and the longest lengths and numbers."""


class ReadStates(Protocol[State]):
    """A function that reads the states of keys; :obj:`None` for a key without a state."""

    def __call__(self, keys: Sequence[str], /) -> list[State | None]:
        """Read the states in the order of the keys."""
        ...


class Output(msgspec.Struct, frozen=True):
    """A record to publish.

    Parameters
    ----------
    topic, key, value, headers
        As they are sent; a value of :obj:`None` is a tombstone.
    partition
        Partition of the topic. The step chooses it, because each state has its own partition.
    chained
        Whether the shell adds a link, by which the receiver tells gaps and duplicates (see
        :class:`processors.planes.chain.Link`).
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    chained: bool = False

    def batch_bytes(self) -> int:
        """Return the size of a Kafka record batch with only this record, at most.

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
        Number of source records by topic and outcome.
    refusals
        Number of refused records by reason code.
    held
        Number of changes that were held back because they say nothing new.
    held_ms
        How long ago that was last published whose change this step held back the longest, milliseconds; 0 for none.
    clock_ms
        Time of the latest event of the batch, but not later than it was appended, milliseconds since the epoch; 0 if
        there was none. States expire by it.
    seconds
        What the step's time went to, by the names that the plane gives its stages (:meth:`done`).
    """

    states: dict[str, State] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    held: int = 0
    held_ms: int = 0
    clock_ms: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=perf_counter)

    def done(self, stage: str) -> None:
        """Note that a stage is done, which began when the one before it was, or when the step was made.

        For the metrics alone: nothing that comes of a step depends on it. A stage may come several times.

        Examples
        --------
        >>> step = Step()
        >>> step.done("read")
        >>> step.done("fold")
        >>> [*step.seconds]
        ['read', 'fold']
        """
        now = perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._since
        self._since = now


class Plane(Protocol[State]):
    """A plane, as the shell runs it."""

    name: str
    """Short name: ``users``, ``items``."""

    state_type: type[State]
    """Type of its states."""

    source_topics: tuple[str, ...]
    """Topics it reads, in the order in which records of equal time are taken."""

    chained_topics: frozenset[str]
    """Those of its topics whose records carry a link. A header of that name on another topic is the app's own."""

    expire_after_ms: int
    """Milliseconds without an event after which a state is deleted; 0 for never."""

    def last_active_ms(self, state: State) -> int:
        """Return when something last happened to a state, milliseconds since the epoch; 0 if it must be kept."""
        ...

    def expired(self, keys: Sequence[str], partition: int) -> list[Output]:
        """Return what is to be published of states that have expired: tombstones of what was published of them."""
        ...

    def step(self, read: ReadStates[State], batch: Sequence[SourceRecord], partition: int) -> Step[State]:
        """Fold a micro-batch of one partition into the states.

        The result must depend on nothing but the states read, the batch, the partition and the plane's own settings and
        read models, or a repeated step would publish something else. Neither batch nor read models are changed.
        """
        ...

    def committed(self, step: Step[State]) -> None:
        """Learn that the step's transaction is committed. Only now may it change what this process keeps in memory."""


def has_expired(plane: Plane[State], state: State, clock_ms: int) -> bool:
    """Tell whether nothing has happened to a state for so long that it is to be deleted.

    Parameters
    ----------
    clock_ms
        Time of the latest event of the partition, milliseconds since the epoch.

    Examples
    --------
    >>> class Remembering(KeptForever):
    ...     expire_after_ms = 1000
    ...
    ...     def last_active_ms(self, state):
    ...         return state
    >>> [has_expired(Remembering(), last_ms, clock_ms=3001) for last_ms in (2000, 2001, 0)]
    [True, False, False]
    """
    return bool(plane.expire_after_ms) and 0 < plane.last_active_ms(state) < clock_ms - plane.expire_after_ms


class KeptForever:
    """A part of planes whose states do not expire: there are few, or their owners delete them."""

    expire_after_ms = 0

    def last_active_ms(self, state: object) -> int:  # noqa: ARG002  # the interface's
        """Return 0: the state must be kept."""
        return 0

    def expired(self, keys: Sequence[str], partition: int) -> list[Output]:  # noqa: ARG002
        """Return nothing."""
        return []
