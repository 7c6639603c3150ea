"""Texts in one buffer of bytes, by number: what compiled loops copy into messages."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from processors.common.arrays import Ints

Bytes = npt.NDArray[np.uint8]

_FIRST_BYTES = 4096


class TextColumn:
    r"""Parts of JSON texts, each under a number: mostly what stands between the quotes of a string.

    Memory: at most twice the bytes of the texts, rounded up to a power of two, and 16 bytes per number.

    Attributes
    ----------
    buffer : uint8 array
        The texts in UTF-8, escaped for JSON, in arbitrary order.
    begins, lengths : int64 arrays
        Where the text of a number begins in the buffer, and how many bytes it has; 0 for a number without text.

    Examples
    --------
    >>> texts = TextColumn()
    >>> texts.put(1, 'a "tent"')
    >>> texts.get(0), texts.get(1)
    (b'', b'a \\"tent\\"')
    """

    def __init__(self) -> None:
        self.buffer: Bytes = np.zeros(_FIRST_BYTES, np.uint8)
        self.begins: Ints = np.zeros(16, np.int64)
        self.lengths: Ints = np.zeros(16, np.int64)
        self._end = self._used = 0

    def put(self, number: int, text: str) -> None:
        """Set the text of a number, escaped for JSON. Constant time, amortised over growth and tidying."""
        self.put_raw(number, msgspec.json.encode(text)[1:-1])

    def put_raw(self, number: int, escaped: bytes) -> None:
        """Set the bytes of a number: any part of a JSON text."""
        if number >= len(self.begins):
            more = np.zeros(max(number + 1, 2 * len(self.begins)) - len(self.begins), np.int64)
            self.begins, self.lengths = np.append(self.begins, more), np.append(self.lengths, more)
        self._used += len(escaped) - int(self.lengths[number])
        if self._end + len(escaped) > len(self.buffer):
            self.lengths[number] = 0
            self._tidy(len(escaped))
        begin, self._end = self._end, self._end + len(escaped)
        self.buffer[begin : self._end] = np.frombuffer(escaped, np.uint8)
        self.begins[number], self.lengths[number] = begin, len(escaped)

    def get(self, number: int) -> bytes:
        """Return the text of a number, escaped for JSON; empty if it has none."""
        begin, length = int(self.begins[number]), int(self.lengths[number])
        return self.buffer[begin : begin + length].tobytes()

    def _tidy(self, more: int) -> None:
        """Write all texts anew, one after another, into a buffer with room for twice as many bytes."""
        size = _FIRST_BYTES
        while size < 2 * self._used + more:
            size *= 2
        old, self.buffer, self._end = self.buffer, np.zeros(size, np.uint8), 0
        for number in np.flatnonzero(self.lengths).tolist():
            begin, length = int(self.begins[number]), int(self.lengths[number])
            self.buffer[self._end : self._end + length] = old[begin : begin + length]
            self.begins[number], self._end = self._end, self._end + length
