"""What events leave out is filled in from the items, where something is decided; the stored profile stays as it is."""

import msgspec

from processors.events.event import Event
from processors.items.index import ItemIndex
from processors.items.view import ItemView
from processors.models.completed_profiles import completed
from processors.users.profile import Profile
from processors.users.profile_keeper import ProfileKeeper
from processors.users.settings import ProfileSettings

NOW = 1_700_000_000_000
KEEPER = ProfileKeeper(ProfileSettings())


def index(**prices: float) -> ItemIndex:
    found = ItemIndex()
    for name, price in prices.items():
        view = ItemView((0.0, 0.0, 0.0), 1, NOW, NOW, [], b"", b"", category="tents", brand="Alm", price=price)
        found.apply(name, view)
    return found


def act(profile: Profile, n: int, item: str, action: str = "click", **fields: object) -> None:
    kind = "purchase" if action in ("purchase", "refund") else "click"
    who = {"event_id": f"e{n}", "user_id": "u", "item_id": item, "time_ms": NOW + n, "kind": kind, "action": action}
    KEEPER.learn(profile, msgspec.convert({**who, **fields}, Event))


def test_events_with_ids_alone_give_interests_and_money() -> None:
    profile = Profile()
    act(profile, 1, "dome")
    act(profile, 2, "dome", "purchase", quantity=2.0)
    before = msgspec.msgpack.encode(profile)
    found = completed(profile, index(dome=40.0))
    assert list(found.categories) == ["tents"]
    assert list(found.brands) == ["Alm"]
    assert found.spent == 80.0
    assert msgspec.msgpack.encode(profile) == before


def test_what_events_say_themselves_is_not_counted_twice() -> None:
    profile = Profile()
    act(profile, 1, "dome", "purchase", category="shelters", price=30.0)
    found = completed(profile, index(dome=40.0))
    assert found is profile
    assert (list(found.categories), found.spent) == (["shelters"], 30.0)


def test_a_refund_takes_back_pieces_without_a_price() -> None:
    profile = Profile()
    act(profile, 1, "dome", "purchase", quantity=3.0)
    act(profile, 2, "dome", "refund", quantity=1.0)
    assert completed(profile, index(dome=40.0)).spent == 80.0
    act(profile, 3, "dome", "refund")
    assert completed(profile, index(dome=40.0)).spent == 0.0


def test_an_item_that_nothing_is_known_of_adds_nothing() -> None:
    profile = Profile()
    act(profile, 1, "unknown", "purchase")
    found = completed(profile, index(dome=40.0))
    assert (found.categories, found.spent) == ({}, 0.0)
