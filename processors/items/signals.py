"""Item signals: what the users plane sends to the items plane, touches of items and pairs co-visited in a session.

One message per micro-batch and receiving partition, as columns, so that ten thousand pairs take one record.
"""

from collections.abc import Iterable

import msgspec
import numpy as np

from processors.common.hashing import partition_of
from processors.events.event import Event

_FRAME_BYTES, _NUMBER_BYTES, _PAIR_BYTES = 37, 5, 18
"""Sizes in bytes: of a message without content, of the longest index or length, of a pair in the five columns."""


class Touch(msgspec.Struct, array_like=True):
    """One touch of an item: an event of a user with it.

    Parameters
    ----------
    item
        Index of the item in the message's table.
    time_ms
        Time of the event, milliseconds since the epoch.
    weight
        How strongly the event counts as interest (:attr:`processors.events.event.Event.strength`).
    category, brand, price
        What the event says of the item.
    purchased
        Whether the event is a purchase.
    nth
        How often its user has touched the item, this time included; negative if the user has no past.
    entered
        Whether it is the first item of its user's session.
    returned
        Whether it takes back a purchase, and is nothing else.
    """

    item: int
    time_ms: int
    weight: float
    category: str | None = None
    brand: str | None = None
    price: float | None = None
    purchased: bool = False
    nth: int = 1
    entered: bool = False
    returned: bool = False


class ItemSignals(msgspec.Struct, array_like=True):
    """One message of item signals. Lists of pairs are packed little-endian columns of equal length.

    Parameters
    ----------
    items
        Table of item ids, which touches and pairs refer to by index.
    touches
        Touches in the order of the events.
    owners, others
        Indices (int32) of the two items of each pair. The receiving partition owns the first.
    distances
        Steps (int8) from the owner to the other item in the session: ``d`` if the other was touched ``d`` steps later,
        ``-d`` if earlier. Never 0.
    times
        Times (int64) of the pairs, milliseconds since the epoch.
    nths
        As :attr:`Touch.nth` (int8), of the touch that made the pair; what is more than 127 times counts as that. Empty
        in messages of older releases: all are 1.
    """

    items: list[str]
    touches: list[Touch]
    owners: bytes
    others: bytes
    distances: bytes
    times: bytes
    nths: bytes = b""

    def check(self) -> None:
        """Check that the columns fit together.

        Raises
        ------
        ValueError
            If they do not. Nothing of the message may be used then.

        Examples
        --------
        >>> ItemSignals(["a"], [Touch(1, 0, 1.0)], b"", b"", b"", b"").check()
        Traceback (most recent call last):
        ...
        ValueError: columns refer to items beyond the table of 1
        """
        owners, others, distances, times, nths = self.pairs()
        if not len(owners) == len(others) == len(distances) == len(times) == len(nths):
            raise ValueError("columns of pairs have different lengths")
        if not distances.all():
            raise ValueError("a pair has the distance 0")
        if not nths.all() or not all(touch.nth for touch in self.touches):
            raise ValueError("a touch is the 0th")
        indices = (*owners.tolist(), *others.tolist(), *(touch.item for touch in self.touches))
        if indices and not 0 <= min(indices) <= max(indices) < len(self.items):
            raise ValueError(f"columns refer to items beyond the table of {len(self.items)}")

    def cut(self, max_bytes: int) -> tuple["ItemSignals", int]:
        """Return as much of the message as fits into ``max_bytes``, and how many touches and pairs are left out.

        Pairs are left out before touches, and pairs far apart in their session before near ones: these say least.

        Examples
        --------
        >>> gatherer = SignalGatherer(1)
        >>> event = Event(event_id="e", user_id="u", item_id="mat", time_ms=5, kind="click", action="click")
        >>> gatherer.add(event, ("lamp", "tent"))
        >>> kept, left_out = gatherer.messages()[0].cut(120)
        >>> kept.items, kept.pairs()[2].tolist(), left_out
        (['mat', 'lamp'], [1, -1], 2)
        """
        kept, encode, names = _Columns(), msgspec.msgpack.Encoder().encode, self.items
        room = max_bytes - _FRAME_BYTES
        for at, touch in enumerate(self.touches):
            room -= len(encode(touch)) + _NUMBER_BYTES + kept.new_bytes(names[touch.item])
            if room < 0:
                return kept.message(), len(self.touches) - at + len(self.times) // 8
            kept.touches.append(msgspec.structs.replace(touch, item=kept.index(names[touch.item])))
        columns = self.pairs()
        nearest = np.argsort(np.abs(columns[2].astype(np.int16)), kind="stable")
        for at, row in enumerate(zip(*(column[nearest].tolist() for column in columns), strict=True)):
            owner, other, distance, time_ms, nth = names[row[0]], names[row[1]], *row[2:]
            room -= _PAIR_BYTES + kept.new_bytes(owner, other)
            if room < 0:
                return kept.message(), len(nearest) - at
            kept.add_pair(owner, other, distance, time_ms, nth)
        return kept.message(), 0

    def pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the pair columns as arrays: owners, others, distances, times, nths."""
        owners = np.frombuffer(self.owners, "<i4")
        return (
            owners,
            np.frombuffer(self.others, "<i4"),
            np.frombuffer(self.distances, "<i1"),
            np.frombuffer(self.times, "<i8"),
            np.frombuffer(self.nths, "<i1") if self.nths else np.ones(len(owners), np.int8),
        )


class _Columns:
    """Signals for one receiving partition, being gathered."""

    def __init__(self) -> None:
        self.table: dict[str, int] = {}
        self.touches: list[Touch] = []
        self.owners: list[int] = []
        self.others: list[int] = []
        self.distances: list[int] = []
        self.times: list[int] = []
        self.nths: list[int] = []

    def index(self, item: str) -> int:
        return self.table.setdefault(item, len(self.table))

    def new_bytes(self, *items: str) -> int:
        """Return by how many bytes the table grows at most if the items are added."""
        return sum(_NUMBER_BYTES + len(item.encode()) for item in items if item not in self.table)

    def add_pair(self, owner: str, other: str, distance: int, time_ms: int, nth: int) -> None:
        table = self.table
        self.owners.append(table.setdefault(owner, len(table)))
        self.others.append(table.setdefault(other, len(table)))
        self.distances.append(distance)
        self.times.append(time_ms)
        self.nths.append(nth)

    def message(self) -> ItemSignals:
        return ItemSignals(
            items=list(self.table),
            touches=self.touches,
            owners=np.asarray(self.owners, "<i4").tobytes(),
            others=np.asarray(self.others, "<i4").tobytes(),
            distances=np.asarray(self.distances, "<i1").tobytes(),
            times=np.asarray(self.times, "<i8").tobytes(),
            nths=np.asarray(self.nths, "<i1").tobytes(),
        )


class SignalGatherer:
    """Collects the item signals of one micro-batch, split by the partition that owns each item.

    Parameters
    ----------
    partitions
        Partitions of the items plane.

    Examples
    --------
    >>> gatherer = SignalGatherer(1)
    >>> event = Event(event_id="e", user_id="u", item_id="lamp", time_ms=5, kind="click", action="click")
    >>> gatherer.add(event, ("tent",))
    >>> signals = gatherer.messages()[0]
    >>> signals.items, signals.pairs()[2].tolist()
    (['lamp', 'tent'], [1, -1])
    """

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._columns: dict[int, _Columns] = {}

    def add(
        self, event: Event, preceding: Iterable[str], nth: int = 1, *, touched: bool = True, entered: bool = False
    ) -> None:
        """Add the touch of an event, and a pair of its item with each item touched before it in the session.

        Parameters
        ----------
        event
            The event.
        preceding
            Ids of distinct other items, the latest first.
        nth
            How often the user has touched the item, this time included; negative if the user has no past.
        touched
            Whether the event speaks for the item. One that does not, a low rating, still says what is seen together.
        entered
            Whether the item is the first one of its user's session.
        """
        nth = max(-127, min(nth, 127))
        item, time_ms = event.item_id, event.time_ms
        home = self._columns_of(item)
        at, bought = home.table.setdefault(item, len(home.table)), event.action == "purchase"
        if touched:
            facts = (event.category, event.brand, event.price)
            home.touches.append(Touch(at, time_ms, event.strength, *facts, bought, nth, entered))
        for distance, before in enumerate(preceding, 1):
            self._columns_of(before).add_pair(before, item, distance, time_ms, nth)
            home.add_pair(item, before, -distance, time_ms, nth)

    def give_back(self, event: Event) -> None:
        """Add that a purchase of the event's item was taken back."""
        home = self._columns_of(event.item_id)
        home.touches.append(Touch(home.index(event.item_id), event.time_ms, 0.0, returned=True))

    def messages(self) -> dict[int, ItemSignals]:
        """Return the message for each receiving partition; there is none for a partition without signals."""
        return {partition: self._columns[partition].message() for partition in sorted(self._columns)}

    def _columns_of(self, item: str) -> _Columns:
        partition = partition_of(item, self._partitions)
        columns = self._columns.get(partition)
        if columns is None:
            columns = self._columns[partition] = _Columns()
        return columns
