"""What an event counts for others: once in full, again less; little without a past; nothing from a machine."""

import random
from typing import Any

import pytest

from processors.common.errors import ConfigurationError
from processors.events.event import Event
from processors.planes.users_settings import UsersSettings
from processors.users.influence import InfluenceSettings
from processors.users.profile import Profile
from processors.users.profile_keeper import Learned, ProfileKeeper
from processors.users.settings import ProfileSettings

NOW = 1_700_000_000_000


class Account:
    """A user and what each event of the user counts."""

    def __init__(self, **settings: Any) -> None:
        self.profile = Profile()
        self.keeper = ProfileKeeper(ProfileSettings(), InfluenceSettings(**settings))
        self._n = 0

    def does(self, item: str, at_ms: int, kind: Any = "click") -> Learned:
        self._n += 1
        event = Event(event_id=f"e{self._n}", user_id="u", item_id=item, time_ms=at_ms, kind=kind, action=kind)
        return self.keeper.learn(self.profile, event)


def test_repetitions_are_numbered() -> None:
    account = Account()
    assert [account.does("tent", NOW + n * 1000).influence.nth for n in range(3)] == [1, 2, 3]


def test_a_past_is_two_other_items() -> None:
    account = Account()
    settled = [account.does(item, NOW + n * 1000).influence.settled for n, item in enumerate("aabac")]
    # The last but one has touched only b beside its own a.
    assert settled == [False, False, False, False, True]
    assert Account(past_items=0).does("a", NOW).influence.settled


def test_more_events_than_a_person_can_make_are_those_of_a_machine_until_they_stop() -> None:
    account = Account()
    found = [account.does("spam", NOW + 50 * n).influence.machine for n in range(1000)]
    assert found[0] is None
    assert found[-1] == "rate"
    assert found.index("rate") < 400
    assert account.does("tent", NOW + 20 * 60_000).influence.machine is None


def test_a_timer_is_a_machine_and_somebody_with_the_same_rate_is_none() -> None:
    timer, person, draw = Account(), Account(), random.Random(1)
    at_ms, last = NOW, Learned()
    for n in range(100):
        last = timer.does(f"i{n % 7}", NOW + 30_000 * n)
        at_ms += int(draw.expovariate(1 / 30_000))
        assert person.does(f"i{n % 7}", at_ms).influence.machine is None
    assert last.influence.machine == "regularity"


def test_a_crawler_is_told_by_items_that_are_all_new_to_it() -> None:
    crawler, shopper, draw = Account(), Account(), random.Random(1)
    at_ms, found = NOW, set[str | None]()
    for n in range(400):
        at_ms += draw.randint(100, 800)
        found.add(crawler.does(f"i{n}", at_ms).influence.machine)
        assert shopper.does(f"i{draw.randrange(30)}", at_ms).influence.machine is None
    assert found == {None, "breadth"}


def test_the_lines_of_an_order_are_no_haste() -> None:
    account = Account()
    assert {account.does(f"i{n}", NOW, "purchase").influence.machine for n in range(1000)} == {None}


@pytest.mark.parametrize("gap", [0, 50])
def test_nobody_is_a_machine_where_that_is_turned_off(gap: int) -> None:
    account = Account(machine_events=0)
    assert {account.does("spam", NOW + gap * n).influence.machine for n in range(500)} == {None}


def test_a_past_that_no_profile_remembers_is_refused() -> None:
    settings = UsersSettings(profile=ProfileSettings(recent_items=4), influence=InfluenceSettings(past_items=4))
    with pytest.raises(ConfigurationError, match=r"users\.influence\.past_items: 4 are not remembered"):
        settings.check()
    UsersSettings(profile=ProfileSettings(recent_items=4), influence=InfluenceSettings(past_items=3)).check()
