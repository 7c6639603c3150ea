"""What was shown is counted until there is a reaction, within bounds."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from processors.events.event import Event
from processors.events.impression import Impression
from processors.users.influence import Pace
from processors.users.profile import Profile
from processors.users.profile_keeper import ProfileKeeper
from processors.users.settings import ProfileSettings
from processors.users.unclicked_impressions import UnclickedImpressions

NOW = 1_700_000_000_000


class User:
    """A profile and what happens to it."""

    def __init__(self, **settings: int) -> None:
        self.keeper, self.profile = ProfileKeeper(ProfileSettings(**settings)), Profile()
        self._n = 0

    def sees(self, *items: str, at: int = NOW, event_id: str | None = None) -> bool:
        self._n += 1
        seen = Impression(event_id=event_id or f"seen {self._n}", user_id="u", time_ms=at, items=items)
        return self.keeper.note_impression(self.profile, seen)

    def touches(self, item: str, at: int = NOW, event_id: str | None = None) -> None:
        self._n += 1
        name = event_id or f"click {self._n}"
        click = Event(event_id=name, user_id="u", item_id=item, time_ms=at, kind="click", action="click")
        assert not self.keeper.learn(self.profile, click).duplicate

    def shown(self) -> dict[str, tuple[int, int]]:
        shown = self.profile.unclicked
        return dict(zip(shown.ids, zip(shown.counts, shown.times, strict=True), strict=True))


def test_impressions_are_counted_with_the_time_of_the_last() -> None:
    user = User()
    user.sees("tent", "lamp", at=NOW)
    user.sees("tent", at=NOW + 5)
    user.sees("lamp", at=NOW - 5)
    assert user.shown() == {"lamp": (2, NOW), "tent": (2, NOW + 5)}


def test_an_impression_changes_nothing_else_of_the_profile() -> None:
    user = User()
    user.touches("tent")
    before = msgspec.structs.replace(user.profile)
    user.sees("lamp", at=NOW + 10**9)
    assert user.shown() == {"lamp": (1, NOW + 10**9)}
    user.profile.unclicked = UnclickedImpressions()
    before.unclicked = UnclickedImpressions()
    assert user.profile == before


def test_a_touch_clears_the_item_and_no_other() -> None:
    user = User()
    user.sees("tent", "lamp")
    user.touches("tent", at=NOW + 1)
    assert user.shown() == {"lamp": (1, NOW)}


def test_what_was_shown_before_the_touch_has_had_its_reaction_even_if_it_comes_later() -> None:
    user = User()
    user.touches("tent", at=NOW)
    user.sees("tent", at=NOW)
    assert user.shown() == {}
    user.sees("tent", at=NOW + 1)
    assert user.shown() == {"tent": (1, NOW + 1)}


def test_a_duplicate_changes_nothing() -> None:
    user = User()
    assert user.sees("tent", event_id="e")
    before = msgspec.msgpack.encode(user.profile)
    assert not user.sees("lamp", event_id="e")
    assert msgspec.msgpack.encode(user.profile) == before


def test_impressions_do_not_push_the_ids_of_events_out() -> None:
    user = User(event_ids=2)
    user.touches("tent", event_id="e")
    for _ in range(9):
        user.sees("lamp")
    click = Event(event_id="e", user_id="u", item_id="tent", time_ms=NOW, kind="click", action="click")
    assert user.keeper.learn(user.profile, click).duplicate


def test_those_shown_the_longest_ago_go_first() -> None:
    user = User(shown_items=2)
    user.sees("new", at=NOW + 9)
    user.sees("old", at=NOW)
    user.sees("mid", at=NOW + 5)
    assert list(user.shown()) == ["mid", "new"]


def test_of_a_long_list_what_is_seen_first_is_kept() -> None:
    user = User(shown_items=2)
    user.sees("a", "b", "c", "d")
    assert set(user.shown()) == {"a", "b"}


def test_no_room_keeps_nothing() -> None:
    user = User(shown_items=0)
    assert user.sees("a")
    assert user.shown() == {}


names = st.sampled_from([f"item {n}" for n in range(9)])
moves = st.tuples(st.lists(names, min_size=1, max_size=9, unique=True) | names, st.integers(NOW, NOW + 20))


@given(st.lists(moves, max_size=40))
def test_stays_within_its_bounds_whatever_happens(happened: list[tuple[list[str] | str, int]]) -> None:
    user = User(shown_items=4, event_ids=5)
    for what, at in happened:
        if isinstance(what, str):
            user.touches(what, at=at)
            assert what not in user.profile.unclicked.ids
        else:
            user.sees(*what, at=at)
        shown = user.profile.unclicked
        assert len(shown.ids) == len(set(shown.ids)) == len(shown.counts) == len(shown.times) <= 4
        assert len(shown.event_ids) <= 5 * 8
        assert min(shown.counts, default=1) >= 1
        stored = msgspec.msgpack.encode(user.profile)
        assert msgspec.msgpack.decode(stored, type=Profile) == user.profile


def test_profiles_that_were_stored_before_still_read() -> None:
    user = User()
    user.touches("tent")
    fields = list(msgspec.structs.astuple(user.profile))
    assert Profile.__struct_fields__[fields.index(UnclickedImpressions())] == "unclicked"
    without = fields[: Profile.__struct_fields__.index("unclicked")]
    expected = msgspec.structs.replace(user.profile, pace=Pace(), unnamed={})
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(without), type=Profile) == expected
