"""What a partition runner may ask of the consumer that delivers its records."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence


class ConsumerControl:
    """The five calls to the consumer that a runner needs, so that tests can stand in for Faust.

    Parameters
    ----------
    seek
        ``await seek(offsets, partition)`` has the consumer deliver from these offsets, by topic, next.
    beginnings
        ``await beginnings(topics, partition)`` returns, by topic, the first offset that the log still has.
    ends
        ``await ends(topics, partition)`` returns, by topic, the offset up to which records can be read now (exclusive).
    pause, resume
        ``pause(topic, partition)`` stops fetching, ``resume(topic, partition)`` goes on with it.
    """

    def __init__(
        self,
        seek: Callable[[Mapping[str, int], int], Awaitable[None]],
        beginnings: Callable[[Sequence[str], int], Awaitable[dict[str, int]]],
        ends: Callable[[Sequence[str], int], Awaitable[dict[str, int]]],
        pause: Callable[[str, int], None],
        resume: Callable[[str, int], None],
    ) -> None:
        self.seek, self.beginnings, self.ends, self.pause, self.resume = seek, beginnings, ends, pause, resume
