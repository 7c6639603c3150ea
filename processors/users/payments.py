"""What a user paid in the purchases made last, so that a refund takes back what was paid, and no more."""

from __future__ import annotations

import msgspec

from processors.common.hashing import FINGERPRINT_BYTES, fingerprint
from processors.events.event import Event

MOST = 64
"""Purchases that are remembered."""


def pieces_of(event: Event) -> float:
    """Return how many pieces an event is about: one, if it does not say."""
    return 1.0 if event.quantity is None else event.quantity


class Payments(msgspec.Struct, array_like=True):
    """The purchases made last and not taken back, the oldest first, as columns.

    Parameters
    ----------
    marks
        Fingerprint of the item of each.
    amounts, pieces
        Money paid and pieces bought, as far as they were not taken back.
    times
        When each was made, milliseconds since the epoch; 0 for those that an older release noted. Empty if it noted
        all of them.

    Examples
    --------
    >>> def act(action, **fields):
    ...     who = dict(event_id="e", user_id="u", item_id="tent", time_ms=0, kind="purchase")
    ...     return Event(action=action, **who, **fields)
    >>> payments = Payments()
    >>> payments.pay(act("purchase", price=40.0, quantity=2.0))
    80.0
    >>> payments.take_back(act("refund", quantity=1.0)), payments.take_back(act("refund"))
    ((40.0, False), (40.0, True))
    >>> payments.take_back(act("refund")) is None
    True
    """

    marks: bytes = b""
    amounts: list[float] = msgspec.field(default_factory=list)
    pieces: list[float] = msgspec.field(default_factory=list)
    times: list[int] = msgspec.field(default_factory=list)

    def pay(self, event: Event) -> float:
        """Note a purchase, and return what was paid; a price is that of one piece."""
        pieces = pieces_of(event)
        amount = (event.price or 0.0) * pieces
        self.marks += fingerprint(event.item_id)
        self.times += [0] * (len(self.amounts) - len(self.times))
        self.times.append(event.time_ms)
        self.amounts.append(amount)
        self.pieces.append(pieces)
        if len(self.amounts) > MOST:
            self._drop(0)
        return amount

    def latest(self) -> dict[bytes, int]:
        """Return when each item was bought last, by its fingerprint: milliseconds since the epoch, 0 if not known."""
        found: dict[bytes, int] = {}
        for at in range(len(self.amounts)):
            mark = self.marks[at * FINGERPRINT_BYTES : (at + 1) * FINGERPRINT_BYTES]
            found[mark] = max(found.get(mark, 0), self.times[at] if self.times else 0)
        return found

    def holds(self, item: str) -> bool:
        """Tell whether a purchase of an item is among them."""
        return self._latest(item) >= 0

    def take_back(self, event: Event) -> tuple[float, bool] | None:
        """Take a refund off the latest purchase of its item.

        A price says what comes back for each piece, up to what was paid; a quantity alone its share; neither all of it.

        Returns
        -------
        tuple or None
            The money that comes back, and whether nothing of the purchase is left; :obj:`None` if none is known.
        """
        at = self._latest(event.item_id)
        if at < 0:
            return None
        amount, pieces = self.amounts[at], self.pieces[at]
        back_pieces = pieces if event.quantity is None else min(event.quantity, pieces)
        if event.price is not None:
            money = min(event.price * pieces_of(event), amount)
            is_whole = money >= amount if event.quantity is None else back_pieces >= pieces
        else:
            is_whole = back_pieces >= pieces
            money = amount if is_whole else amount * back_pieces / pieces
        if is_whole:
            self._drop(at)
        else:
            self.amounts[at] = amount - money
            if event.quantity is not None:
                self.pieces[at] = pieces - back_pieces
        return money, is_whole

    def _latest(self, item: str) -> int:
        mark = fingerprint(item)
        for at in range(len(self.amounts) - 1, -1, -1):
            if self.marks[at * FINGERPRINT_BYTES : (at + 1) * FINGERPRINT_BYTES] == mark:
                return at
        return -1

    def _drop(self, at: int) -> None:
        self.marks = self.marks[: at * FINGERPRINT_BYTES] + self.marks[(at + 1) * FINGERPRINT_BYTES :]
        del self.amounts[at], self.pieces[at], self.times[at : at + 1]
