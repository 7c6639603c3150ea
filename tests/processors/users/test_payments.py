"""A refund takes back what was paid for that item, part of it if part comes back, and nothing of anything else."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.hashing import fingerprint
from processors.events.event import Event
from processors.events.reader import RecordReader
from processors.users.payments import MOST, Payments
from processors.users.profile import Profile
from processors.users.profile_keeper import ProfileKeeper
from processors.users.settings import ProfileSettings
from state.codec import StateCodec

AT = 1_700_000_000_000


class Shopper:
    """A profile that events are folded into."""

    def __init__(self) -> None:
        self.profile, self._keeper, self._events = Profile(), ProfileKeeper(ProfileSettings()), 0

    def act(self, action: str, item: str, **fields: Any) -> tuple[int, float]:
        self._events += 1
        event = Event(
            event_id=f"e{self._events}", user_id="u", item_id=item, time_ms=AT + self._events, kind="purchase",
            action=action, **fields,
        )  # fmt: skip
        self._keeper.learn(self.profile, event)
        return self.profile.purchases, self.profile.spent


def test_a_refund_without_price_takes_back_what_was_paid() -> None:
    shopper = Shopper()
    shopper.act("purchase", "lamp", price=30.0)
    shopper.act("purchase", "tent", price=100.0, quantity=2.0)
    assert shopper.act("refund", "tent") == (1, 30.0)
    assert not shopper.profile.has_bought("tent")
    assert shopper.profile.item_actions == ["purchase", "refund"]


def test_part_of_a_purchase_can_come_back() -> None:
    shopper = Shopper()
    shopper.act("purchase", "tent", price=100.0, quantity=4.0)
    assert shopper.act("refund", "tent", quantity=1.0) == (1, 300.0)
    assert shopper.act("refund", "tent", quantity=1.0, price=90.0) == (1, 210.0)
    assert shopper.act("refund", "tent", price=10.0) == (1, 200.0)
    assert shopper.profile.has_bought("tent")
    assert shopper.act("refund", "tent", quantity=9.0) == (0, 0.0)


def test_a_refund_of_what_was_never_bought_takes_nothing() -> None:
    shopper = Shopper()
    shopper.act("purchase", "tent", price=100.0)
    assert shopper.act("refund", "lamp", price=40.0) == (1, 100.0)
    assert shopper.act("refund", "tent", price=4000.0) == (0, 0.0)
    assert shopper.act("refund", "tent", price=100.0) == (0, 0.0)


def test_of_two_purchases_of_an_item_one_comes_back_at_a_time() -> None:
    shopper = Shopper()
    shopper.act("purchase", "tent", price=100.0)
    shopper.act("purchase", "tent", price=80.0)
    assert shopper.act("refund", "tent") == (1, 100.0)
    assert shopper.profile.has_bought("tent")
    assert shopper.act("refund", "tent") == (0, 0.0)


def test_a_profile_of_the_release_before_takes_back_as_the_refund_says() -> None:
    shopper = Shopper()
    shopper.act("purchase", "tent", price=100.0)
    shopper.act("purchase", "lamp", price=30.0)
    shopper.profile.payments = Payments()
    assert shopper.act("refund", "tent", price=100.0) == (1, 30.0)


def test_no_more_purchases_are_remembered_than_the_bound() -> None:
    shopper = Shopper()
    for n in range(MOST + 6):
        shopper.act("purchase", f"i{n}", price=1.0)
    assert (len(shopper.profile.payments.amounts), len(shopper.profile.payments.marks)) == (MOST, 8 * MOST)
    codec = StateCodec(Profile)
    assert codec.decode(codec.encode(shopper.profile)).payments == shopper.profile.payments


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("purchase", "refund")),
            st.sampled_from(("a", "b")),
            st.none() | st.integers(0, 20),
            st.none() | st.integers(0, 5),
        ),
        max_size=30,
    )
)
def test_no_more_comes_back_than_was_paid(
    acts: list[tuple[str, str, int | None, int | None]],
) -> None:
    shopper = Shopper()
    for action, item, price, quantity in acts:
        shopper.act(
            action,
            item,
            price=None if price is None else float(price),
            quantity=None if quantity is None else float(quantity),
        )
        payments = shopper.profile.payments
        # More than that where less came back than was paid for the piece, such as after a fee.
        assert shopper.profile.spent >= sum(payments.amounts) - 1e-6
        assert shopper.profile.purchases == len(payments.amounts)
        assert all(amount >= 0.0 for amount in payments.amounts)


@pytest.mark.parametrize("field", ["quantity", "price"])
def test_a_negative_quantity_or_price_of_a_purchase_is_a_return(field: str) -> None:
    raw = f'{{"event_id":"e","user_id":"u","item_id":"i","timestamp":{AT},"{field}":-2}}'.encode()
    read: Any = RecordReader().read(raw, "purchase", AT)
    assert (read.action, getattr(read, field), read.repairs) == ("refund", 2.0, (f"{field}:taken_as_return",))
    click: Any = RecordReader().read(raw, "click", AT)
    assert (click.action, getattr(click, field), click.repairs) == ("click", 0.0, (f"{field}:clipped",))


def test_the_time_of_the_latest_purchase_that_is_left_is_known() -> None:
    shopper = Shopper()
    for item in ("tent", "lamp", "tent"):
        shopper.act("purchase", item, price=10.0)
    tent, lamp = fingerprint("tent"), fingerprint("lamp")
    assert shopper.profile.last_bought() == {lamp: AT + 2, tent: AT + 3}
    shopper.act("refund", "tent")
    assert shopper.profile.last_bought() == {lamp: AT + 2, tent: AT + 1}
    shopper.act("refund", "tent", quantity=0.5)
    assert shopper.profile.last_bought() == {lamp: AT + 2, tent: AT + 1}, "half of it is left"
    shopper.act("refund", "lamp")
    assert shopper.profile.last_bought() == {tent: AT + 1}


@given(st.lists(st.tuples(st.sampled_from(["purchase", "refund"]), st.sampled_from("abcdef")), max_size=2 * MOST))
def test_times_are_kept_beside_amounts(did: list[tuple[str, str]]) -> None:
    shopper, bought = Shopper(), dict[str, list[int]]()
    for n, (action, item) in enumerate(did, 1):
        shopper.act(action, item)
        if action == "purchase":
            bought.setdefault(item, []).append(AT + n)
        elif bought.get(item):
            bought[item].pop()
    payments = shopper.profile.payments
    assert len(payments.times) == len(payments.amounts) == len(payments.pieces) <= MOST
    if sum(map(len, bought.values())) < MOST:
        assert shopper.profile.last_bought() == {
            fingerprint(item): times[-1] for item, times in bought.items() if times
        }


def test_payments_of_an_older_release_have_no_times_and_get_one_with_the_next_purchase() -> None:
    shopper = Shopper()
    for item in ("tent", "lamp"):
        shopper.act("purchase", item, price=10.0)
    marks, amounts, pieces, _ = msgspec.msgpack.decode(msgspec.msgpack.encode(shopper.profile.payments))
    older = msgspec.msgpack.encode([marks, amounts, pieces])
    shopper.profile.payments = msgspec.msgpack.decode(older, type=Payments)
    assert shopper.profile.last_bought() == {fingerprint("tent"): 0, fingerprint("lamp"): 0}
    shopper.act("refund", "lamp")
    assert shopper.profile.last_bought() == {fingerprint("tent"): 0}
    shopper.act("purchase", "mat", price=5.0)
    assert shopper.profile.last_bought() == {fingerprint("tent"): 0, fingerprint("mat"): AT + 4}
    assert shopper.profile.payments.times == [0, AT + 4]
