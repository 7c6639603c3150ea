"""What is dismissed or rated low is remembered, proposes nothing and is no interest; another act ends it."""

from typing import Any

from processors.events.event import Event
from processors.users.dislikes import MOST, Dislikes
from processors.users.profile import Profile
from processors.users.profile_keeper import ProfileKeeper
from processors.users.settings import ProfileSettings

NOW = 1_700_000_000_000


def act(profile: Profile, n: int, item: str, action: str, **fields: Any) -> None:
    who: dict[str, Any] = {
        "event_id": f"e{n}",
        "user_id": "u",
        "item_id": item,
        "time_ms": NOW + n,
        "kind": "browse",
        "action": action,
    }
    ProfileKeeper(ProfileSettings()).learn(profile, Event(**who, category="horror", **fields))


def test_a_low_rating_is_a_dislike_and_no_interest() -> None:
    profile = Profile()
    act(profile, 1, "saw", "rate", liking=-1.0)
    assert (profile.dislikes.ids, profile.categories, profile.item_actions) == (["saw"], {}, ["dislike"])


def test_a_high_rating_counts_more_than_a_view() -> None:
    rated, viewed = Profile(), Profile()
    act(rated, 1, "saw", "rate", liking=1.0)
    act(viewed, 1, "saw", "view")
    assert rated.categories["horror"] > 3 * viewed.categories["horror"]


def test_a_dismissal_is_a_dislike_until_the_next_act() -> None:
    profile = Profile()
    act(profile, 1, "saw", "view")
    act(profile, 2, "saw", "dismiss")
    assert (profile.dislikes.ids, profile.item_actions) == (["saw"], ["dismiss"])
    act(profile, 3, "saw", "cart")
    assert (profile.dislikes.ids, profile.item_actions) == ([], ["cart"])


def test_dislikes_are_bounded() -> None:
    dislikes = Dislikes()
    for n in range(100):
        dislikes.add(f"i{n}", n, dismissed=True)
    assert len(dislikes.ids) == len(dislikes.times) == len(dislikes.dismissed) == MOST
    assert dislikes.ids[-1] == "i99"
