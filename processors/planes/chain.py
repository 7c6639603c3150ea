"""Links: the header by which a receiving partition tells gaps and duplicates among another plane's messages."""

from __future__ import annotations

import msgspec

LINK_BYTES = 512
"""Overhead of a chained message in bytes at most: its link and Kafka's own."""


class Link(msgspec.Struct, array_like=True, frozen=True):
    """The link of a message to the one before it, in the chain from one sender to one receiving partition.

    Parameters
    ----------
    sender
        Plane and partition, such as ``users-3``; with an incarnation, ``users-3@7``, it is another sender.
    number
        Number of the sender's micro-batch; it rises from message to message.
    previous
        Number of the message before it in this chain, 0 for the first. A receiver that has taken another one last has
        found a gap.
    """

    sender: str
    number: int
    previous: int
