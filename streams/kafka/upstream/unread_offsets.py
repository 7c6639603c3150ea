"""Faust drops what was sought when something later was on its way: nothing before the last it has delivered passes.

``tests/streams/kafka/upstream/test_unread_offsets.py`` fails when Faust changes how it decides that.
"""

from __future__ import annotations

from faust.types import TP


class UnreadOffsets(dict[TP, int | None]):
    """Replaces Faust's record of the last offset that it delivered: whatever is noted in it, it knows of none.

    Faust drops messages up to the last offset that it delivered. A batch that was on its way at a seek is delivered
    after it, so that Faust would drop the very records that were sought. Records that are delivered twice are left out
    by the partition processors, which know their position.
    """

    def __getitem__(self, tp: TP) -> None:
        """Return :obj:`None`, as for a partition that nothing was delivered of."""
        return
