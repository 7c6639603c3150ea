"""States committed lately, as objects: the next step that needs one does not decode it again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

State = TypeVar("State")


class DecodedStates(Generic[State]):
    """Keep states by key, bounded in size; those kept longest go first.

    Parameters
    ----------
    most_bytes
        Greatest total size, in bytes as the states are encoded; their objects take several times as much.

    Examples
    --------
    >>> known = DecodedStates[str](most_bytes=10)
    >>> for key in (b"a", b"b", b"c"):
    ...     known.keep(key, key.decode(), 4)
    >>> known.take(b"a"), known.take(b"c"), known.take(b"c"), known.size_bytes
    (None, 'c', None, 4)
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._states: dict[bytes, tuple[State, int]] = {}
        self.size_bytes = 0

    def take(self, key: bytes) -> State | None:
        """Remove and return a state, so that nobody else gets the same object; :obj:`None` if it is not kept."""
        found = self._states.pop(key, None)
        if found is None:
            return None
        self.size_bytes -= found[1]
        return found[0]

    def keep(self, key: bytes, state: State, size: int) -> None:
        """Keep a state that nobody changes any more; ``size`` is its length in bytes as it is encoded."""
        self.take(key)
        self._states[key] = state, size
        self.size_bytes += size
        while self.size_bytes > self._most_bytes:
            self.take(next(iter(self._states)))

    def forget(self, keys: Iterable[bytes]) -> None:
        """Drop the states of some keys: others are written in their place."""
        for key in keys:
            self.take(key)

    def clear(self) -> None:
        """Drop all states."""
        self._states.clear()
        self.size_bytes = 0
