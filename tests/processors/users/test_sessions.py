"""Sessions of several devices run side by side."""

from typing import Any

from processors.events.event import Event
from processors.users.profile import Profile
from processors.users.profile_keeper import ProfileKeeper
from processors.users.settings import ProfileSettings

NOW = 1_700_000_000_000
KEEPER = ProfileKeeper(ProfileSettings())


def click(n: int, session: str | None, at_ms: int | None = None) -> Event:
    at_ms = NOW + n * 1000 if at_ms is None else at_ms
    who: dict[str, Any] = {"event_id": f"e{n}", "user_id": "u", "item_id": f"i{n}", "time_ms": at_ms}
    return Event(**who, kind="click", action="click", session_id=session)


def test_two_devices_in_turn_are_two_sessions_seen_together() -> None:
    profile = Profile()
    preceding = [KEEPER.learn(profile, click(n, "AB"[n % 2])).preceding for n in range(10)]
    assert profile.sessions == 2
    assert preceding[-1] == tuple(f"i{n}" for n in range(8, -1, -1))


def test_after_a_rest_the_ids_are_new_sessions() -> None:
    profile = Profile()
    for n, session in enumerate("AB"):
        KEEPER.learn(profile, click(n, session))
    later = NOW + 4_000_000
    assert KEEPER.learn(profile, click(5, "A", later)).preceding == ()
    assert profile.sessions == 3


def test_an_id_that_comes_late_belongs_to_the_running_session() -> None:
    profile = Profile()
    for n, session in enumerate((None, "A", "A")):
        KEEPER.learn(profile, click(n, session))
    assert (profile.sessions, profile.session_id) == (1, "A")
