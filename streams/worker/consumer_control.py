"""What a partition asks of the consumer that its records come from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable


class SourceControl:
    """What a runner asks of the consumer.

    Parameters
    ----------
    seek
        ``await seek(topic, partition, offset)``: hand over from there next.
    beginning
        ``await beginning(topic, partition)``: first offset the log still has.
    end
        ``await end(topic, partition)``: offset up to which its records can be read now.
    pause, resume
        ``pause(topic, partition)``: stop, go on fetching.
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
