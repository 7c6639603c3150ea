"""How far a partition has come: the commit record that travels with every batch of states."""

import msgspec


class Position(msgspec.Struct, array_like=True):
    """What a partition's states are the result of.

    Parameters
    ----------
    number
        Of the last micro-batch; rises by one with each.
    offsets
        Per source topic, the next offset to apply. Everything below is in the states, nothing from there on is.
    received
        Per sender of chained messages, the number of the last one applied.
    sent
        Per ``topic/partition`` of chained messages sent, the number of the last one.
    incarnation
        Which life of the partition this is: another one after its changelog was deleted, so that receivers don't take
        its messages, numbered from 1 again, for repetitions. Any number that was not used before; 0 stands for none.
    """

    number: int = 0
    offsets: dict[str, int] = msgspec.field(default_factory=dict)
    received: dict[str, int] = msgspec.field(default_factory=dict)
    sent: dict[str, int] = msgspec.field(default_factory=dict)
    incarnation: int = 0

    def copy(self) -> "Position":
        """An independent copy.

        Examples
        --------
        >>> one = Position(offsets={"a": 1})
        >>> one.copy().offsets.update(a=2)
        >>> one.offsets
        {'a': 1}
        """
        return Position(self.number, dict(self.offsets), dict(self.received), dict(self.sent), self.incarnation)
