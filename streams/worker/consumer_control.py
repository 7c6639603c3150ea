"""What a partition runner may ask of the consumer that delivers its records."""

from __future__ import annotations

from collections.abc import Awaitable, Callable


class ConsumerControl:
    """The five calls to the consumer that a runner needs, so that tests can stand in for Faust.

    Parameters
    ----------
    seek
        ``await seek(topic, partition, offset)`` has the consumer deliver from that offset next.
    beginning
        ``await beginning(topic, partition)`` returns the first offset that the log still has.
    end
        ``await end(topic, partition)`` returns the offset up to which records can be read now (exclusive).
    pause, resume
        ``pause(topic, partition)`` stops fetching, ``resume(topic, partition)`` goes on with it.
    """

    def __init__(
        self,
        seek: Callable[[str, int, int], Awaitable[None]],
        beginning: Callable[[str, int], Awaitable[int]],
        end: Callable[[str, int], Awaitable[int]],
        pause: Callable[[str, int], None],
        resume: Callable[[str, int], None],
    ) -> None:
        self.seek, self.beginning, self.end, self.pause, self.resume = seek, beginning, end, pause, resume
