"""A profile stays bounded, finds duplicates, knows the session at hand, and forgets as it says."""

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.decay import growth
from processors.common.hashing import FINGERPRINT_BYTES, FingerprintRing, fingerprint
from processors.common.time import DAY_MS
from processors.events.event import ACTION_WEIGHTS, Event
from processors.users.category_visits import CategoryVisits
from processors.users.influence import Influence
from processors.users.profile import Profile
from processors.users.profile_keeper import Learned, ProfileKeeper
from processors.users.settings import ProfileSettings

NOW = 1_700_000_000_000
IDLE = ProfileSettings().session_idle_ms
SMALL = ProfileSettings(recent_items=4, older_items=6, interests=3, event_ids=5, window_items=2)
COLUMNS = ("item_ids", "item_times", "item_counts", "item_weights", "item_actions")


def event(n: int | str, item: str = "tent", time_ms: int = NOW, **fields: Any) -> Event:
    return Event(
        **{
            "event_id": f"e{n}",
            "user_id": "u",
            "item_id": item,
            "time_ms": time_ms,
            "kind": "click",
            "action": "click",
            **fields,
        }
    )


@dataclass
class User:
    """A profile and the keeper that folds events into it."""

    profile: Profile
    keeper: ProfileKeeper
    events: int = 0

    def does(self, item: str, time_ms: int = NOW, **fields: Any) -> Learned:
        self.events += 1
        return self.keeper.learn(self.profile, event(self.events, item, time_ms, **fields))

    def knows_older(self, item: str) -> bool:
        return FingerprintRing.contains(self.profile.older_items, fingerprint(item))


def user(**settings: Any) -> User:
    return User(Profile(), ProfileKeeper(ProfileSettings(**settings)))


def encode(profile: Profile) -> bytes:
    return msgspec.msgpack.encode(profile)


few = st.integers(0, 9).map(str)
event_lists = st.lists(
    st.builds(
        event,
        few,
        item=few,
        time_ms=st.integers(NOW - 400 * DAY_MS, NOW + 400 * DAY_MS) | st.integers(NOW, NOW + 4 * IDLE),
        action=st.sampled_from([*ACTION_WEIGHTS, "stare"]),
        kind=st.sampled_from(["browse", "click", "purchase"]),
        category=st.none() | few,
        brand=st.none() | few,
        session_id=st.none() | st.sampled_from("ab"),
        price=st.none() | st.floats(0, 1e9),
        quantity=st.none() | st.floats(0, 1e9),
    ),
    max_size=60,
)


@given(event_lists)
def test_stays_within_its_bounds_whatever_happens(events: list[Event]) -> None:
    profile, keeper = Profile(), ProfileKeeper(SMALL)
    for each in events:
        learned = keeper.learn(profile, each)
        assert {len(getattr(profile, column)) for column in COLUMNS} == {len(set(profile.item_ids))}
        assert len(profile.item_ids) <= SMALL.recent_items
        assert len(profile.older_items) <= SMALL.older_items * FINGERPRINT_BYTES
        assert len(profile.event_ids) <= SMALL.event_ids * FINGERPRINT_BYTES
        assert max(len(profile.categories), len(profile.brands)) <= SMALL.interests
        assert profile.category_visits.keys() <= profile.categories.keys()
        assert len(learned.preceding) <= SMALL.window_items
        weights = [*profile.item_weights, *profile.categories.values(), *profile.brands.values(), profile.spent]
        assert all(math.isfinite(weight) and weight >= 0.0 for weight in weights)


@given(event_lists)
def test_survives_being_stored_between_any_two_events(events: list[Event]) -> None:
    kept, stored, keeper = Profile(), Profile(), ProfileKeeper(SMALL)
    decode = msgspec.msgpack.Decoder(Profile).decode
    for each in events:
        stored = decode(encode(stored))
        assert keeper.learn(stored, each) == keeper.learn(kept, each)
    assert stored == kept


@given(st.lists(st.integers(0, 12), max_size=60))
def test_finds_duplicates_exactly_within_the_window(numbers: list[int]) -> None:
    profile, keeper = Profile(), ProfileKeeper(SMALL)
    window = deque[int](maxlen=SMALL.event_ids)
    for n in numbers:
        assert keeper.learn(profile, event(n)).duplicate == (n in window)
        if n not in window:
            window.append(n)


def test_a_duplicate_changes_nothing() -> None:
    someone = user()
    someone.does("tent", price=3.0, kind="purchase")
    before = encode(someone.profile)
    learned = someone.keeper.learn(someone.profile, event(1, "lamp", NOW + 5, category="lamps"))
    assert (learned, encode(someone.profile)) == (Learned(duplicate=True), before)


def test_the_first_event_starts_the_first_session() -> None:
    someone = user()
    assert someone.does("tent", session_id="s") == Learned(influence=Influence(settled=False), entered=True)
    profile = someone.profile
    assert (profile.sessions, profile.session_start, profile.session_id, profile.session_events) == (1, NOW, "s", 1)


@pytest.mark.parametrize(("gap", "sessions", "preceding"), [(IDLE, 1, ("tent",)), (IDLE + 1, 2, ())])
def test_a_gap_longer_than_the_cut_off_ends_the_session(gap: int, sessions: int, preceding: tuple[str, ...]) -> None:
    someone = user()
    someone.does("tent")
    learned = someone.does("lamp", NOW + gap)
    assert (someone.profile.sessions, learned.preceding) == (sessions, preceding)


def test_a_session_is_entered_by_its_first_item_alone() -> None:
    someone = user()
    assert [someone.does(item, NOW + n).entered for n, item in enumerate(["tent", "tent", "lamp"])] == [
        True,
        False,
        False,
    ]
    assert someone.does("tent", NOW + IDLE + 3).entered
    assert not someone.does("stove", NOW - IDLE).entered, "it came too late to belong to any session"


def test_who_opens_the_home_page_first_enters_by_the_first_item_all_the_same() -> None:
    someone = user()
    someone.does("tent")
    later = NOW + IDLE + 1
    assert someone.keeper.visit(someone.profile, event(99, "", later, kind="browse"))
    assert someone.does("lamp", later + 1).entered
    assert not someone.does("stove", later + 2).entered


@pytest.mark.parametrize(
    ("ids", "sessions"),
    [
        (["a", "a"], 1),
        (["a", "b"], 2),
        (["a", None], 1),
        (["a", None, "a"], 1),
        ([None, None], 1),
        ([None, "a"], 1),
        (["a", "b", "a", "b"], 2),
    ],
)
def test_another_session_id_starts_a_session_and_none_stays_in_it(ids: list[str | None], sessions: int) -> None:
    someone = user()
    for n, session_id in enumerate(ids):
        someone.does(f"item {n}", NOW + n, session_id=session_id)
    assert someone.profile.sessions == sessions


def test_a_session_that_begins_after_a_gap_forgets_the_old_id() -> None:
    someone = user()
    someone.does("tent", session_id="a")
    someone.does("lamp", NOW + IDLE + 1)
    assert (someone.profile.session_id, someone.profile.session_start) == (None, NOW + IDLE + 1)


def test_an_item_is_paired_with_those_before_it_in_the_session_the_latest_first() -> None:
    someone = user()
    for n, item in enumerate(["tent", "lamp", "stove"]):
        someone.does(item, NOW + n)
    assert someone.does("mat", NOW + 3).preceding == ("stove", "lamp", "tent")


def test_an_item_is_not_paired_with_itself_and_with_another_only_once() -> None:
    someone = user()
    for n, item in enumerate(["tent", "lamp", "tent", "lamp"]):
        someone.does(item, NOW + n)
    assert someone.does("tent", NOW + 4).preceding == ("lamp",)


def test_an_item_is_not_paired_with_those_of_earlier_sessions() -> None:
    someone, later = user(), NOW + IDLE + 1
    someone.does("tent", session_id="a")
    someone.does("lamp", later, session_id="b")
    assert someone.does("stove", later + 1, session_id="b").preceding == ("lamp",)


def test_an_item_of_an_earlier_session_counts_once_it_is_touched_again() -> None:
    someone, later = user(), NOW + IDLE + 1
    someone.does("tent")
    someone.does("lamp", later)
    someone.does("tent", later + 1)
    assert someone.does("stove", later + 2).preceding == ("tent", "lamp")


def test_no_more_items_are_paired_than_the_window_holds() -> None:
    someone = user(window_items=2)
    for n in range(5):
        someone.does(f"item {n}", NOW + n)
    assert someone.does("tent", NOW + 5).preceding == ("item 4", "item 3")


def test_an_item_touched_again_becomes_the_latest_and_is_counted() -> None:
    someone = user()
    for n, item in enumerate(["tent", "lamp", "tent"]):
        someone.does(item, NOW + n, action="view" if n < 2 else "cart")
    profile = someone.profile
    assert (profile.item_ids, profile.item_counts, profile.item_times, profile.item_actions) == (
        ["lamp", "tent"],
        [1, 2],
        [NOW + 1, NOW + 2],
        ["view", "cart"],
    )


@pytest.fixture
def late() -> User:
    """Saw tent and lamp, and mat long before, which is told only now."""
    someone = user()
    someone.does("tent", session_id="s")
    someone.does("lamp", NOW + 1, session_id="s")
    assert someone.does("mat", NOW - IDLE, session_id="old") == Learned()
    return someone


def test_a_late_event_is_counted_but_is_no_part_of_the_session(late: User) -> None:
    profile = late.profile
    assert (profile.events, profile.sessions, profile.session_events, profile.session_id) == (3, 1, 2, "s")


def test_a_late_event_moves_the_first_time_seen_and_not_the_last(late: User) -> None:
    assert (late.profile.first_seen, late.profile.last_seen) == (NOW - IDLE, NOW + 1)


def test_a_late_item_is_older_than_all_others(late: User) -> None:
    assert (late.profile.item_ids, late.profile.item_times[0]) == (["mat", "tent", "lamp"], NOW - IDLE)


def test_a_late_item_is_not_paired_with_what_follows(late: User) -> None:
    assert late.does("stove", NOW + 2, session_id="s").preceding == ("lamp", "tent")


def test_a_late_event_of_a_known_item_leaves_it_where_it_is(late: User) -> None:
    late.does("tent", NOW - 2 * IDLE)
    assert (late.profile.item_ids, late.profile.item_counts, late.profile.item_times) == (
        ["mat", "tent", "lamp"],
        [1, 2, 1],
        [NOW - IDLE, NOW, NOW + 1],
    )


def test_a_late_item_that_finds_no_room_is_remembered_as_older() -> None:
    someone = user(recent_items=2)
    someone.does("tent")
    someone.does("lamp")
    someone.does("mat", NOW - DAY_MS)
    assert (someone.profile.item_ids, someone.knows_older("mat")) == (["tent", "lamp"], True)


def test_an_item_that_falls_out_of_the_detail_is_remembered_as_older() -> None:
    someone = user(recent_items=2)
    for n, item in enumerate(["tent", "lamp", "mat"]):
        someone.does(item, NOW + n)
    assert (someone.profile.item_ids, someone.profile.item_counts) == (["lamp", "mat"], [1, 1])
    assert [item for item in ("tent", "lamp", "mat") if someone.knows_older(item)] == ["tent"]


def test_an_item_that_falls_out_twice_is_remembered_once() -> None:
    someone = user(recent_items=1)
    for n, item in enumerate(["tent", "lamp"] * 3):
        someone.does(item, NOW + n)
    assert someone.profile.older_items == fingerprint("tent") + fingerprint("lamp")


def test_the_oldest_of_the_older_items_is_forgotten_first() -> None:
    someone = user(recent_items=1, older_items=2)
    for n in range(4):
        someone.does(str(n), NOW + n)
    assert [n for n in range(4) if someone.knows_older(str(n))] == [1, 2]


def test_purchases_are_counted_and_added_up() -> None:
    someone = user()
    someone.does("tent", kind="purchase", price=100.0, quantity=2.0)
    someone.does("lamp", kind="purchase", price=7.5)
    someone.does("mat", kind="purchase")
    someone.does("stove", kind="purchase", price=50.0, quantity=0.0)
    someone.does("stove", kind="click", price=50.0)
    profile = someone.profile
    assert (profile.events, profile.purchases, profile.spent) == (5, 4, 207.5)


@pytest.mark.parametrize(("now", "expected"), [(NOW + 600, 600), (NOW, 0), (NOW - 1, 0)])
def test_recency_is_the_time_since_the_last_event(now: int, expected: int) -> None:
    someone = user()
    someone.does("tent")
    someone.does("lamp", NOW - DAY_MS)
    assert someone.profile.recency_ms(now) == expected


@given(event_lists)
def test_interests_decay_as_the_textbook_says(events: list[Event]) -> None:
    settings = ProfileSettings(event_ids=0)
    profile, keeper = Profile(), ProfileKeeper(settings)
    half_life = settings.interest_half_life_ms
    for each in events:
        keeper.learn(profile, each)
    now = max((each.time_ms for each in events), default=0)
    scale = growth(now, profile.landmark, half_life)

    def expected(field: str) -> dict[str, float]:
        sums: dict[str, float] = {}
        for each in events:
            name, weight = getattr(each, field), ACTION_WEIGHTS.get(each.action, 1.0)
            if name is not None:
                sums[name] = sums.get(name, 0.0) + weight * 0.5 ** ((now - each.time_ms) / half_life)
        return sums

    items = dict(zip(profile.item_ids, profile.item_weights, strict=True))
    for found, field in ((items, "item_id"), (profile.categories, "category"), (profile.brands, "brand")):
        assert {name: weight / scale for name, weight in found.items()} == pytest.approx(expected(field), rel=1e-9)


def test_a_stronger_action_speaks_louder_for_an_interest() -> None:
    someone = user()
    someone.does("tent", action="purchase", category="tents")
    someone.does("lamp", action="view", category="lamps")
    assert someone.profile.categories["tents"] == 6 * someone.profile.categories["lamps"]


def test_the_weakest_interest_makes_room_for_a_new_one_however_weak() -> None:
    someone = user(interests=2)
    someone.does("a", action="cart", category="tents", brand="Alm")
    someone.does("b", action="click", category="lamps", brand="Berg")
    someone.does("c", action="view", category="mats", brand="Col")
    assert (list(someone.profile.categories), list(someone.profile.brands)) == (["tents", "mats"], ["Alm", "Col"])


def test_a_visit_to_a_category_is_a_session_that_had_it() -> None:
    someone = user()
    someone.does("a", NOW, category="tents")
    someone.does("b", NOW + 1, category="tents")
    someone.does("c", NOW + DAY_MS, category="lamps")
    someone.does("a", NOW + 2 * DAY_MS, category="tents")
    someone.does("a", NOW + 5, category="tents")
    assert someone.profile.category_visits == {
        "tents": CategoryVisits(NOW + 2 * DAY_MS, 2),
        "lamps": CategoryVisits(NOW + DAY_MS, 1),
    }
    assert someone.profile.sessions == 3


def test_an_event_that_comes_late_is_no_visit_more() -> None:
    someone = user()
    someone.does("a", NOW, category="tents")
    someone.does("b", NOW + 2 * DAY_MS, category="lamps")
    someone.does("a", NOW + DAY_MS, category="tents")
    assert someone.profile.category_visits["tents"] == CategoryVisits(NOW + DAY_MS, 1)


def test_visits_go_with_their_category() -> None:
    someone = user(interests=2)
    for n, name in enumerate(("tents", "lamps", "mats")):
        someone.does(name, NOW + n * DAY_MS, category=name)
    assert list(someone.profile.category_visits) == list(someone.profile.categories) == ["lamps", "mats"]


def test_a_profile_from_before_visits_were_counted_learns_them() -> None:
    someone = user()
    someone.does("tent", category="tents")
    older = msgspec.msgpack.decode(encode(someone.profile))[: Profile.__struct_fields__.index("category_visits")]
    profile = msgspec.msgpack.decode(msgspec.msgpack.encode(older), type=Profile)
    assert (list(profile.categories), profile.category_visits) == (["tents"], {})
    someone.keeper.learn(profile, event("next", "tent", NOW + DAY_MS, category="tents"))
    assert profile.category_visits == {"tents": CategoryVisits(NOW + DAY_MS, 1)}
