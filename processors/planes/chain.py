"""The chain that links the messages from one plane's partition to another's, so that none is lost or taken twice."""

from __future__ import annotations

import msgspec

LINK_BYTES = 512
"""What a message has beside its signals, at most: the link and Kafka's own."""


class Link(msgspec.Struct, array_like=True, frozen=True):
    """Position of a message in the chain from one sender to one receiving partition.

    Parameters
    ----------
    sender
        Plane and partition, such as ``users-3``; with an incarnation ``users-3@7``, which is another sender.
    number
        The sender's batch number; rises with every message.
    previous
        Number of the message before it on this chain, 0 if it is the first.
    """

    sender: str
    number: int
    previous: int
