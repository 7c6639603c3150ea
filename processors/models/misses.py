"""Choices that were not among the first twenty: what is no candidate at all carries no loss, so it is counted."""

from __future__ import annotations

import msgspec

from processors.models.drift import since_last_change

_BLOCK = 4
"""Choices whose share of misses is one observation: ADWIN asks for some fifty observations, whatever their spread."""

_LOOKED_AT_EVERY = 4
"""Blocks between two looks at them: a look goes over the whole window, and a block comes with every step."""


class Misses(msgspec.Struct, array_like=True):
    """Of choices of users with a history, how many were not among the first twenty.

    Parameters
    ----------
    block
        Number of choices and of misses of the running block.
    shares
        Shares of misses of the blocks in ADWIN's window, the oldest first.
    alarms
        How often misses have risen.
    """

    block: tuple[int, int] = (0, 0)
    shares: list[float] = msgspec.field(default_factory=list)
    alarms: int = 0

    def note(self, asked: int, missed: int, window_blocks: int, confidence: float) -> None:
        """Add choices to the running block; after every fourth block that is complete, look whether misses have risen.

        Parameters
        ----------
        asked, missed
            Choices, and how many of them were missed.
        window_blocks
            Blocks to look back.
        confidence
            ADWIN's delta.

        Examples
        --------
        >>> misses = Misses()
        >>> for missed in [0] * 60 + [4] * 60:
        ...     misses.note(4, missed, 256, 0.002)
        >>> misses.alarms
        1
        """
        self.block = self.block[0] + asked, self.block[1] + missed
        if self.block[0] < _BLOCK:
            return
        self.shares.append(self.block[1] / self.block[0])
        self.block = 0, 0
        if len(self.shares) % _LOOKED_AT_EVERY == 0:
            self.shares, risen = since_last_change(self.shares[-window_blocks:], confidence)
            self.alarms += risen
