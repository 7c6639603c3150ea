"""How far a partition has come: the commit record that travels with every batch of states."""

from copy import copy

import msgspec


class Position(msgspec.Struct, array_like=True):
    """How far the states of a partition have come: what they have taken in, and what they have sent.

    It is stored with the states and published on the changelog as the last record of every micro-batch, so that whoever
    reads the states knows exactly which input they contain.

    Parameters
    ----------
    number
        Number of the last micro-batch; it rises by one with each.
    offsets
        Per source topic, the next offset to apply. Everything below is in the states, nothing from there on is.
    received
        Per sender of chained messages, the number of the last one applied.
    sent
        Per ``topic/partition`` of chained messages sent, the number of the last one.
    incarnation
        Which life of the partition this is. After its changelog was deleted a partition counts its messages from 1
        again, and with the old incarnation receivers would drop them as repetitions. Any number that was not used
        before; 0 stands for none.
    clock_ms
        Time of the latest event taken in, milliseconds since the epoch: by this clock idle states expire.
    swept, swept_ms
        The key up to which the states were looked through for such that have expired, and the clock at that time.
    """

    number: int = 0
    offsets: dict[str, int] = msgspec.field(default_factory=dict)
    received: dict[str, int] = msgspec.field(default_factory=dict)
    sent: dict[str, int] = msgspec.field(default_factory=dict)
    incarnation: int = 0
    clock_ms: int = 0
    swept: str = ""
    swept_ms: int = 0

    def copy(self) -> "Position":
        """Return an independent copy: a change of one does not reach the other.

        Examples
        --------
        >>> one = Position(offsets={"a": 1})
        >>> one.copy().offsets.update(a=2)
        >>> one.offsets
        {'a': 1}
        """
        copied = copy(self)
        copied.offsets, copied.received, copied.sent = dict(self.offsets), dict(self.received), dict(self.sent)
        return copied
