"""Whether the group of workers has taken this one in, and for how long it has not."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic


class Membership:
    """Remembers when the worker asked to join the group, was assigned partitions, and lost them.

    Parameters
    ----------
    clock
        Returns monotonic seconds.

    Attributes
    ----------
    joined : bool
        Whether the group has assigned partitions, or said that there are none for it.

    Examples
    --------
    >>> time = 100.0
    >>> membership = Membership(clock=lambda: time)
    >>> membership.ask()
    >>> time = 170.0
    >>> membership.joined, membership.out_s
    (False, 70.0)
    >>> membership.join()
    >>> membership.joined, membership.out_s
    (True, 0.0)
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._out_since: float | None = None
        self.joined = False

    @property
    def out_s(self) -> float:
        """Seconds for which the worker has wanted to be in the group and is not; 0 if it is, or has not asked yet."""
        return 0.0 if self._out_since is None else self._clock() - self._out_since

    def ask(self) -> None:
        """Note that the worker asks to be taken in."""
        self._out_since = self._clock()

    def join(self) -> None:
        """Note that the group has assigned partitions."""
        self.joined, self._out_since = True, None

    def leave(self) -> None:
        """Note that the group takes the partitions back."""
        self.joined, self._out_since = False, self._clock()

    def excuse(self) -> None:
        """Count from now on, if it is out: brokers that are silent take nobody in."""
        if self._out_since is not None:
            self._out_since = self._clock()
